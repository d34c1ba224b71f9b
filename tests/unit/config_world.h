/*
 * A world without files for the tests of the configuration: a few secrets by name, and
 * the building of texts with all that is said of them. Include behind cmocka.h.
 */
#ifndef CONFIG_WORLD_H
#define CONFIG_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/text.h"
#include "rules/config.h"
#include "rules/keys.h"

#include <errno.h>

#define OPEN "[Source a]\nVerify=none\n"

static const struct {
	const char *name, *content, *warning;
} secrets[] = {
	{"s", "secret\n", NULL},
	{"crlf", "secret\r\n", NULL},
	{"two", "secret\n\n", NULL},
	{"pair", "user:password", NULL},
	{"hex", "00ff10\n", NULL},
	{"base64", "whsec_c2VjcmV0\n", NULL},
	{"prefix", "whsec_\n", NULL},
	{"empty", "\n", NULL},
	{"public", "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=", NULL},
	{"pem", "-----BEGIN PUBLIC KEY-----\nMCow\n", NULL},
	{"rsa",
		"-----BEGIN PUBLIC KEY-----\n"
		"MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAr4tmm3r20Wd/PbqvP1s2\n"
		"+QEtvpuRaV8Yq40gjUR8y2Rjxa6dpG2GXHbPfvMs8ct+Lh1GH45x28Rw3Ry53mm+\n"
		"oAXjyQ86OnDkZ5N8lYbggD4O3w6M6pAvLkhk95AndTrifbIFPNU8PPMO7OyrFAHq\n"
		"gDsznjPFmTOtCEcN2Z1FpWgchwuYLPL+Wokqltd11nqqzi+bJ9cvSKADYdUAAN5W\n"
		"Utzdpiy6LbTgSxP7ociU4Tn0g5I6aDZJ7A8Lzo0KSyZYoA485mqcO0GVAdVw9lq4\n"
		"aOT9v6d+nb4bnNkQVklLQ3fVAvJm+xdDOp9LCNCN48V2pnDOkFV6+U9nV5oyc6XI\n"
		"2wIDAQAB\n"
		"-----END PUBLIC KEY-----\n",
		"others can read it"},
	{"open", "secret", "others can read it"},
	{"line", "key\nX-Evil: 1\n", NULL},
	{"blank", "secret \n", NULL},
};

static int on_read_secret(void *arg, const char *name, char **ret, size_t *ret_size,
	char **ret_path, char **ret_reason, char **ret_warning)
{
	(void)arg;
	for (size_t i = 0; i < ARRAY_SIZE(secrets); i++) {
		if (strcmp(secrets[i].name, name) != 0)
			continue;
		*ret = strdup(secrets[i].content);
		*ret_size = strlen(secrets[i].content);
		*ret_path = *ret ? text_format("/dir/%s", name) : NULL;
		if (secrets[i].warning)
			*ret_warning = strdup(secrets[i].warning);
		return *ret ? 0 : -ENOMEM;
	}
	*ret_reason = strdup("no such file");
	return name[0] == '/' ? 1 : 2;
}

static int on_find_file(void *arg, const char *name, char **ret_path, char **ret_reason)
{
	(void)arg;
	if (strcmp(name, "gone") == 0) {
		*ret_reason = strdup("no such file");
		return 1;
	}
	*ret_path = text_format("/dir/%s", name);
	return 0;
}

static struct config_world world = {
	.read_secret = on_read_secret,
	.find_file = on_find_file,
};

static inline struct config *build_all(
	const struct config_text *texts, size_t n, struct text *said, int wanted)
{
	struct config_report report = {0};
	struct config *c = NULL;
	int r = config_build(texts, n, &world, &report, &c);
	for (size_t i = 0; i < report.size; i++)
		text_addf(said, "%s\n", report.problems[i].text);
	config_report_fini(&report);
	if (r != wanted)
		fail_msg(
			"%d instead of %d:\n%s", r, wanted, said->data ? said->data : "");
	assert_int_equal(r == 0, c != NULL);
	return c;
}

#endif
