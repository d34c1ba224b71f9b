/* The two tables of states, every pair of each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rules/outcome.h"
#include "rules/runstate.h"

#include <string.h>

/* Rows: what the job has; columns: what came; both in the order of enum outcome. M moves,
 * R repeats, C contradicts, L late; l late but moves with Reopen=yes. */
static const char *const want[OUTCOME_MAX] = {
	[OUTCOME_NONE] = "CMMMMMM",
	[OUTCOME_PENDING] = "CRMMMMC",
	[OUTCOME_SUCCESS] = "ClRCCCC",
	[OUTCOME_ERROR] = "ClCRCCC",
	[OUTCOME_CANCELED] = "ClCCRCC",
	[OUTCOME_LOST] = "ClMMMRC",
	[OUTCOME_UNREADABLE] = "CLCCCCR",
};

static void test_moves(void **state)
{
	(void)state;
	for (int have = 0; have < OUTCOME_MAX; have++)
		for (int got = 0; got < OUTCOME_MAX; got++)
			for (int reopen = 0; reopen < 2; reopen++) {
				char c = want[have][got];
				enum outcome_move expected =
					c == 'M' || (c == 'l' && reopen) ? OUTCOME_MOVES
					: c == 'R'                       ? OUTCOME_REPEATS
					: c == 'C' ? OUTCOME_CONTRADICTS
						   : OUTCOME_LATE;
				if (outcome_next((enum outcome)have, (enum outcome)got,
					    reopen) != expected)
					fail_msg(
						"%d -> %d, reopen %d", have, got, reopen);
			}
	assert_int_equal(
		outcome_next(OUTCOME_MAX, OUTCOME_SUCCESS, true), OUTCOME_CONTRADICTS);
	assert_int_equal(
		outcome_next(OUTCOME_NONE, OUTCOME_MAX, true), OUTCOME_CONTRADICTS);
}

static void test_names(void **state)
{
	static const char *const names[] = {
		"", "pending", "success", "error", "canceled", "lost", "unreadable"};

	(void)state;
	for (int o = 0; o < OUTCOME_MAX; o++) {
		assert_string_equal(outcome_name((enum outcome)o), names[o]);
		assert_int_equal(outcome_from_name(names[o]), o);
		assert_int_equal(outcome_terminal((enum outcome)o), o >= OUTCOME_SUCCESS);
	}
	assert_int_equal(outcome_from_name("Success"), OUTCOME_NONE);
	assert_int_equal(outcome_from_name("cancelled"), OUTCOME_NONE);
	assert_string_equal(outcome_name(OUTCOME_MAX), "");
	assert_false(outcome_terminal(OUTCOME_MAX));
}

static void test_runs(void **state)
{
	static const char *const allowed[RUN_STATE_MAX] = {
		/* none, waiting, running, done, dead */
		[RUN_NONE] = "-WR--",
		[RUN_WAITING] = "--ROD",
		[RUN_RUNNING] = "-W-OD",
		[RUN_DONE] = "-----",
		[RUN_DEAD] = "---O-",
	};
	static const char *const names[] = {"", "waiting", "running", "done", "dead"};

	(void)state;
	for (int from = 0; from < RUN_STATE_MAX; from++) {
		for (int to = 0; to < RUN_STATE_MAX; to++)
			if (runstate_allowed((enum runstate)from, (enum runstate)to) !=
				(allowed[from][to] != '-'))
				fail_msg("%d -> %d", from, to);
		assert_string_equal(runstate_name((enum runstate)from), names[from]);
		assert_int_equal(runstate_from_name(names[from]), from);
	}
	assert_false(runstate_allowed(RUN_STATE_MAX, RUN_WAITING));
	assert_false(runstate_allowed(RUN_WAITING, RUN_STATE_MAX));
	assert_string_equal(runstate_name(RUN_STATE_MAX), "");
	assert_int_equal(runstate_from_name("Done"), RUN_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_moves),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_runs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
