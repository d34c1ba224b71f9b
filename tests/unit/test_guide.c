/* Each preset has a guide, and each guide says where the callback URL goes. */
#include "ctl/guide.h"

#include "rules/preset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void every_preset_has_a_guide(void **state)
{
	(void)state;
	for (size_t i = 0; preset_at(i); i++) {
		const char *name = preset_at(i)->name;
		const struct guide *g = guide_find(name);
		if (!g)
			fail_msg("%s has none", name);
		if (!strstr(g->url, "{url}"))
			fail_msg("that of %s does not say where the URL goes", name);
		/* What verifies by a token alone is told so. */
		const char *verify = preset_value(preset_at(i), "Verify");
		if (verify && !strcmp(verify, "token") && !strstr(g->url, "{url}/SECRET"))
			fail_msg("that of %s lacks the token", name);
		/* Without a secret there is another way to keys. */
		bool keys = preset_value(preset_at(i), "KeysURL") ||
			    (verify && !strcmp(verify, "sns"));
		assert_int_equal(g->secret == NULL, keys);
	}
	assert_null(guide_find("nosuch"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(every_preset_has_a_guide)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
