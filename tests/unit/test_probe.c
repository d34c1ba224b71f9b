/* What stands in the way of a program, a directory, a socket; as another user where we may be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io/probe.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define NOBODY 65534

static char dir[64];

static const char *in(const char *name)
{
	static char path[4][128];
	static unsigned n;

	n = (n + 1) % 4;
	snprintf(path[n], sizeof(path[n]), "%s/%s", dir, name);
	return path[n];
}

static const char *file(const char *name, mode_t mode, const char *content)
{
	const char *path = in(name);
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(content, f);
	fclose(f);
	assert_int_equal(chmod(path, mode), 0);
	return path;
}

static int set_up(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/test-probe-XXXXXX");
	return mkdtemp(dir) && chmod(dir, 0755) == 0 ? 0 : -1;
}

static int tear_down(void **state)
{
	char command[128];

	(void)state;
	if (geteuid() != getuid() && seteuid(getuid()) < 0)
		return -1;
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

/* NULL: nothing stands in the way. */
#define EXPECT(call, words)                                                      \
	do {                                                                     \
		struct text why = TEXT_EMPTY;                                    \
		const char *want_ = words;                                       \
		assert_int_equal(call, want_ != NULL);                           \
		if (want_ && !strstr(why.data, want_))                           \
			fail_msg("\"%s\" does not say \"%s\"", why.data, want_); \
		text_fini(&why);                                                 \
	} while (0)

static void test_programs(void **state)
{
	(void)state;
	EXPECT(probe_program("/bin/true", "", &why), NULL);
	EXPECT(probe_program(file("script", 0755, "#!/bin/sh\n"), "", &why), NULL);
	EXPECT(probe_program(file("env", 0755, "#! /usr/bin/env sh -e\n"), "", &why),
		NULL);
	EXPECT(probe_program(in("none"), "", &why), "No such file");
	EXPECT(probe_program("/home/nobody-at-all/x", "", &why), "ProtectHome");
	EXPECT(probe_program(file("plain", 0644, "#!/bin/sh\n"), "", &why), "chmod a+x");
	EXPECT(probe_program(dir, "", &why), "no regular file");
	EXPECT(probe_program(file("text", 0755, "echo hello\n"), "", &why), "no #! line");
	EXPECT(probe_program(file("empty", 0755, ""), "", &why), "no #! line");
	EXPECT(probe_program(file("dos", 0755, "#!/bin/sh\r\n"), "", &why),
		"carriage return");
	EXPECT(probe_program(file("lost", 0755, "#!/nonexistent/python\n"), "", &why),
		"/nonexistent");
	file("lame", 0644, "#!/bin/sh\n");
	char line[160];
	snprintf(line, sizeof(line), "#!%s\n", in("lame"));
	EXPECT(probe_program(file("on-lame", 0755, line), "", &why), "lame may not be");
}

static void test_path_list(void **state)
{
	char list[256];

	(void)state;
	file("mine", 0755, "#!/bin/sh\n");
	snprintf(list, sizeof(list), "relative::/nonexistent:%s:/bin", dir);
	EXPECT(probe_program("mine", list, &why), NULL);
	EXPECT(probe_program("true", list, &why), NULL);
	EXPECT(probe_program("mine", "/bin", &why), "no directory of PATH");
	EXPECT(probe_program("mine", "", &why), "no directory of PATH");
}

static void test_of_others(void **state)
{
	(void)state;
	if (geteuid() != 0) {
		skip();
	}
	assert_int_equal(mkdir(in("closed"), 0700), 0);
	file("closed/hook", 0755, "#!/bin/sh\n");
	file("owners", 0700, "#!/bin/sh\n");
	assert_int_equal(mkdir(in("deep"), 0755), 0);
	assert_int_equal(mkdir(in("deep/closed"), 0700), 0);
	EXPECT(probe_program(in("closed/hook"), "", &why), NULL);
	assert_int_equal(seteuid(NOBODY), 0);
	EXPECT(probe_program(in("closed/hook"), "", &why),
		"closed may not be entered by this user");
	EXPECT(probe_program(in("owners"), "", &why), "may not be executed by this user");
	EXPECT(probe_directory(in("closed"), false, &why), "may not be entered");
	EXPECT(probe_directory(in("deep/closed/more"), false, &why),
		"deep/closed may not be entered");
	EXPECT(probe_directory(dir, false, &why), NULL);
	EXPECT(probe_directory(dir, true, &why), "may not be written");
	assert_int_equal(seteuid(0), 0);
	EXPECT(probe_directory(dir, true, &why), NULL);
}

static void test_directories_and_sockets(void **state)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)state;
	EXPECT(probe_directory(in("none"), false, &why), "No such file");
	EXPECT(probe_directory(file("plain", 0644, ""), false, &why), "is no directory");
	EXPECT(probe_socket(in("none"), &why), "No such file");
	EXPECT(probe_socket(in("plain"), &why), "is no socket");
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", in("socket"));
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	EXPECT(probe_socket(in("socket"), &why), NULL);
	close(fd);
	if (geteuid() == 0) {
		assert_int_equal(chmod(in("socket"), 0600), 0);
		assert_int_equal(seteuid(NOBODY), 0);
		EXPECT(probe_socket(in("socket"), &why), "may not be connected to");
	}
}

/* What a path is made of does not reach the terminal as it is. */
static void test_escaped(void **state)
{
	(void)state;
	EXPECT(probe_directory("/tmp/\033[2J", false, &why), "\\x1B[2J");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_programs, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_path_list, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_of_others, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_directories_and_sockets, set_up, tear_down),
		cmocka_unit_test(test_escaped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
