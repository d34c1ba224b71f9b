/* Reading /proc, signalling exactly one process, and the hunt, with real processes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io/tree.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t sleeper(char *const *envp)
{
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execle("/bin/sleep", "sleep", "1000", NULL, envp);
		_exit(1);
	}
	return pid;
}

static void wait_for_exec(pid_t pid)
{
	char path[64], name[32] = "";

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	for (int i = 0; i < 1000 && strcmp(name, "sleep\n") != 0; i++) {
		FILE *f = fopen(path, "re");

		assert_non_null(f);
		assert_non_null(fgets(name, sizeof(name), f));
		fclose(f);
		poll(NULL, 0, 2);
	}
	assert_string_equal(name, "sleep\n");
}

static struct tree_process get(struct tree *t, pid_t pid)
{
	assert_int_equal(tree_scan(t), 0);
	assert_non_null(tree_find(t, pid));
	return *tree_find(t, pid);
}

static void test_scan(void **state)
{
	struct tree t = TREE_EMPTY;
	struct tree_process p;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		prctl(PR_SET_NAME, "a) R 1 (b) 2"); /* a name that lies */
		setsid();
		pause();
		_exit(0);
	}
	for (int i = 0; i < 500 && get(&t, pid).session != pid; i++)
		poll(NULL, 0, 2);
	p = get(&t, pid);
	assert_int_equal(p.parent, getpid());
	assert_int_equal(p.group, pid);
	assert_int_equal(p.session, pid);
	assert_false(p.dead);
	assert_true(p.start_ticks > 0);
	assert_true(tree_descends(&t, &p, getpid()));
	assert_true(tree_descends(&t, &p, getppid()));
	assert_false(tree_descends(&t, &p, pid));
	assert_false(tree_descends(&t, tree_find(&t, getpid()), pid));
	assert_null(tree_find(&t, 0x7ffffff0));
	kill(pid, SIGSTOP);
	for (int i = 0; i < 500 && !get(&t, pid).halted; i++)
		poll(NULL, 0, 2);
	assert_true(get(&t, pid).halted);
	kill(pid, SIGKILL);
	for (int i = 0; i < 500 && !get(&t, pid).dead; i++)
		poll(NULL, 0, 2);
	assert_true(get(&t, pid).dead); /* not waited for yet */
	waitpid(pid, NULL, 0);
	tree_fini(&t);
}

static void *on_thread(void *arg)
{
	(void)arg;
	pause();
	return NULL;
}

/* Its first thread has ended: a 'Z' in /proc that lives. */
static void test_leaderless(void **state)
{
	struct tree t = TREE_EMPTY;
	pid_t pid = fork();
	bool zombie = false;

	(void)state;
	if (pid == 0) {
		pthread_t thread;

		prctl(PR_SET_PDEATHSIG, 0);
		alarm(20);
		if (pthread_create(&thread, NULL, on_thread, NULL))
			_exit(1);
		pthread_exit(NULL);
	}
	for (int i = 0; i < 1000 && !zombie; i++) {
		char path[64], line[256] = "";
		FILE *f;

		snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
		f = fopen(path, "re");
		assert_non_null(f);
		assert_non_null(fgets(line, sizeof(line), f));
		fclose(f);
		zombie = strstr(line, ") Z ") != NULL;
		poll(NULL, 0, 2);
	}
	assert_true(zombie);
	assert_false(get(&t, pid).dead);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	tree_fini(&t);
}

static void test_run_id(void **state)
{
	static char longest[13 + TREE_RUN_SIZE], too_long[13 + TREE_RUN_SIZE + 1];
	static char big[100000];
	char *cases[][5] = {
		{"A=b", "CALLBACK_RUN=r-1", "C=d", NULL},
		{"CALLBACK_RUN=r-2", NULL},
		{"XCALLBACK_RUN=no", "CALLBACK_RUN2=no", "A=CALLBACK_RUN=no", NULL},
		{big, big, "CALLBACK_RUN=r-3", big, NULL},
		{longest, NULL},
		{too_long, NULL},
		{"CALLBACK_RUN=", NULL},
		{NULL},
	};
	static const char *const expected[] = {
		"r-1", "r-2", NULL, "r-3", longest + 13, NULL, "", NULL};
	char run[TREE_RUN_SIZE];

	(void)state;
	memset(big, 'x', sizeof(big) - 1);
	memset(longest, 'y', sizeof(longest) - 1);
	memset(too_long, 'z', sizeof(too_long) - 1);
	memcpy(longest, "CALLBACK_RUN=", 13);
	memcpy(too_long, "CALLBACK_RUN=", 13);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		pid_t pid = sleeper(cases[i]);

		wait_for_exec(pid);
		assert_true(tree_is_ours(pid));
		assert_int_equal(tree_run_id(pid, run), expected[i] != NULL);
		if (expected[i])
			assert_string_equal(run, expected[i]);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
}

/* Somebody else's process is no prey of ours (for root alone to be tested). */
static void test_other_user(void **state)
{
	pid_t pid;

	(void)state;
	if (geteuid() != 0)
		skip();
	pid = fork();
	if (pid == 0) {
		char *envp[] = {"CALLBACK_RUN=r", NULL};

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (setgid(65534) < 0 || setuid(65534) < 0)
			_exit(1);
		execle("/bin/sleep", "sleep", "1000", NULL, envp);
		_exit(1);
	}
	wait_for_exec(pid);
	assert_false(tree_is_ours(pid));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* The same number, another process: nobody is hit. */
static void test_number_given_again(void **state)
{
	struct tree t = TREE_EMPTY;
	char *envp[] = {NULL};
	pid_t pid = sleeper(envp);
	struct tree_process p = get(&t, pid);
	struct tree_process earlier = p, self = get(&t, getpid());

	(void)state;
	earlier.start_ticks--;
	assert_int_equal(tree_signal(&earlier, SIGKILL), -ESRCH);
	poll(NULL, 0, 50);
	assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
	assert_int_equal(tree_signal(&self, SIGTERM), -EPERM);
	assert_int_equal(tree_signal(&p, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(tree_signal(&p, SIGKILL), -ESRCH);
	tree_fini(&t);
}

struct prey {
	struct tree tree;
	pid_t ancestor;
};

static bool is_prey(void *arg, const struct tree_process *p)
{
	struct prey *prey = arg;

	return p->pid == prey->ancestor || tree_descends(&prey->tree, p, prey->ancestor);
}

/* A tree that forks all the time, and loses who leaves it: stopping comes first. */
static void test_hunt(void **state)
{
	struct prey prey = {.tree = TREE_EMPTY};
	struct tree_process *p;
	unsigned n = 0;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		setsid();
		signal(SIGTERM, SIG_IGN);
		for (int i = 0; i < 4; i++)
			if (fork() == 0)
				for (int j = 0; j < 50000; j++) {
					pid_t child = fork();

					if (child == 0)
						_exit(0);
					if (child > 0)
						waitpid(child, NULL, 0);
				}
		pause();
		_exit(0);
	}
	prey.ancestor = pid;
	poll(NULL, 0, 50);
	assert_int_equal(tree_hunt_all(&prey.tree, is_prey, &prey, 10000000, &n), 0);
	assert_true(n >= 5);
	assert_int_equal(tree_scan(&prey.tree), 0);
	for (size_t i = 0; i < prey.tree.size; i++) {
		p = &prey.tree.list[i];
		assert_false(!p->dead && p->session == pid);
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	/* Nothing to do is done at once, and hurts nobody. */
	prey.ancestor = 0x7ffffff0;
	assert_int_equal(tree_hunt_all(&prey.tree, is_prey, &prey, 1000000, &n), 0);
	assert_int_equal(n, 0);
	tree_fini(&prey.tree);
}

/* Who forks and dies all the time is nowhere when one looks, but his reaper has him. */
static void test_end_children(void **state)
{
	struct tree t = TREE_EMPTY;
	pid_t pid = fork();
	int status;

	(void)state;
	if (pid == 0) {
		prctl(PR_SET_CHILD_SUBREAPER, 1);
		for (int i = 0; i < 3; i++)
			if (fork() == 0)
				for (int j = 0; j < 100000; j++) {
					if (fork() != 0)
						_exit(0);
					if (j % 16 == 0)
						setsid();
				}
		poll(NULL, 0, 50);
		_exit(tree_end_children(10000000) ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(tree_scan(&t), 0);
	for (size_t i = 0; i < t.size; i++)
		assert_false(!t.list[i].dead && t.list[i].pid != getpid() &&
			     tree_descends(&t, &t.list[i], getpid()));
	tree_fini(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scan),
		cmocka_unit_test(test_leaderless),
		cmocka_unit_test(test_run_id),
		cmocka_unit_test(test_other_user),
		cmocka_unit_test(test_number_given_again),
		cmocka_unit_test(test_hunt),
		cmocka_unit_test(test_end_children),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
