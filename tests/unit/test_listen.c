/* Listening sockets: addresses as a person writes them, stale paths, handed-over ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/text.h"
#include "io/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static int opened(const char *address)
{
	char *error = NULL;
	int fd = -1;
	int r = listen_open(address, 0600, &fd, &error);

	if (r < 0)
		fail_msg("%s", error);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	return fd;
}

static void refused(const char *address, int expected)
{
	char *error = NULL;
	int fd = -7;
	int r = listen_open(address, 0600, &fd, &error);

	if (r != expected)
		fail_msg("%s: %d, not %d", address, r, expected);
	assert_int_equal(fd, -7);
	assert_non_null(error);
	assert_memory_equal(error, address, strlen(address));
	assert_null(strchr(error, '\n'));
	free(error);
}

static void named(int fd, const char *expected)
{
	char *name = listen_name(fd);

	assert_non_null(name);
	assert_string_equal(name, expected);
	free(name);
}

static void test_addresses(void **state)
{
	static const char *const bad[] = {"", "8080", "127.0.0.1", "127.0.0.1:", ":8080",
		"127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:80x", "127.0.0.1:000080",
		"::1:80", "[::1]", "[::1]80", "[::1:80", "[127.0.0.1]:80", "localhost:80",
		"relative/path", "[]:80", "1.2.3:80", "127.0.0.1 :80", "]:80"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		refused(bad[i], -EINVAL);
	refused("192.0.2.1:1", -EADDRNOTAVAIL);

	int fd = opened("127.0.0.1:0"), reuse = 0;
	socklen_t size = sizeof(reuse);
	getsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &reuse, &size);
	assert_true(reuse); /* a restart does not wait for TIME_WAIT */
	char *name = listen_name(fd);
	assert_non_null(name);
	assert_memory_equal(name, "127.0.0.1:", 10);
	refused(name, -EADDRINUSE);
	close(fd);
	fd = opened(name); /* the name is an address again */
	named(fd, name);
	free(name);
	close(fd);
}

/* 0.0.0.0 and [::] stand beside each other on one port. */
static void test_both_families(void **state)
{
	char address[64];

	(void)state;
	int v4 = opened("0.0.0.0:0");
	char *name = listen_name(v4);
	assert_non_null(name);
	snprintf(address, sizeof(address), "[::]%s", strrchr(name, ':'));
	char *error = NULL;
	int v6 = -1, r = listen_open(address, 0, &v6, &error);
	free(name);
	close(v4);
	if (r == -EAFNOSUPPORT || r == -EADDRNOTAVAIL) { /* a machine without IPv6 */
		free(error);
		skip();
	}
	assert_int_equal(r, 0);
	named(v6, address);
	close(v6);
}

static void test_paths(void **state)
{
	char path[80], long_path[200], plain[90];
	struct stat st;

	(void)state;
	snprintf(path, sizeof(path), "/tmp/cbd-listen-%d.sock", (int)getpid());
	int fd = opened(path);
	named(fd, path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	refused(path, -EADDRINUSE); /* it lives */
	assert_int_equal(access(path, F_OK), 0);

	/* Alive and with a full queue is alive. */
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	assert_int_equal(listen(fd, 0), 0);
	int waiting[4];
	for (size_t i = 0; i < ARRAY_SIZE(waiting); i++) {
		waiting[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
		int r = connect(waiting[i], (struct sockaddr *)&a, sizeof(a));
		assert_true(r == 0 || errno == EAGAIN);
	}
	refused(path, -EADDRINUSE);
	for (size_t i = 0; i < ARRAY_SIZE(waiting); i++)
		close(waiting[i]);
	close(fd);

	assert_int_equal(access(path, F_OK), 0); /* left behind by a crash */
	fd = opened(path);
	close(fd);
	unlink(path);

	snprintf(plain, sizeof(plain), "%s.txt", path);
	close(open(plain, O_CREAT | O_WRONLY, 0600));
	refused(plain, -EEXIST); /* nobody's socket: not ours to remove */
	assert_int_equal(access(plain, F_OK), 0);
	unlink(plain);

	memset(long_path, 'a', sizeof(long_path));
	long_path[0] = '/';
	long_path[sizeof(long_path) - 1] = '\0';
	refused(long_path, -ENAMETOOLONG);
	refused("/nonexistent/a.sock", -ENOENT);
}

static void put(int fd, int at)
{
	dup2(fd, at);
	if (fd != at)
		close(fd);
}

/* In a child: the descriptors 3 and up and the environment are its own. */
static int child(int scene)
{
	struct listen_socket *sockets = NULL;
	size_t n = 7;
	char pid[16];
	int pipes[2];

	int a = opened("127.0.0.1:0"), b = opened("127.0.0.1:0"),
	    c = opened("127.0.0.1:0"), d = opened("127.0.0.1:0");
	for (int i = 0; i < 4; i++) { /* away from 3 to 6 first */
		int *const all[] = {&a, &b, &c, &d};
		int up = fcntl(*all[i], F_DUPFD, 40);
		close(*all[i]);
		*all[i] = up;
	}
	fcntl(a, F_SETFL, 0);
	put(a, 3);
	put(b, 4);
	put(c, 5);
	put(d, 6);
	if (scene == 1) {
		if (pipe(pipes) < 0)
			return 9;
		put(pipes[0], 4);
	}
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	setenv("LISTEN_PID", pid, 1);
	setenv("LISTEN_FDS", "4", 1);
	setenv("LISTEN_FDNAMES",
		"callbackd-tls.socket:callbackd-status.socket:callbackd-control.socket:"
		"unknown",
		1);
	if (scene == 2)
		unsetenv("LISTEN_FDNAMES");
	if (scene == 3)
		setenv("LISTEN_PID", "1", 1);
	int r = listen_inherited(&sockets, &n);
	if (getenv("LISTEN_FDS") || getenv("LISTEN_FDNAMES"))
		return 2;
	if (scene == 1)
		return r < 0 && !sockets && n == 7 ? 0 : 3;
	if (r < 0)
		return 4;
	if (scene == 3)
		n = n == 0 ? n : 99;
	else if (n != 4)
		return 5;
	static const enum listen_kind kinds[] = {
		LISTEN_TLS, LISTEN_STATUS, LISTEN_CONTROL, LISTEN_PUBLIC};
	for (size_t i = 0; i < n && n == 4; i++) {
		if (sockets[i].fd != (int)i + 3 ||
			sockets[i].kind != (scene == 2 ? LISTEN_PUBLIC : kinds[i]))
			return 6;
		if (!(fcntl(sockets[i].fd, F_GETFL) & O_NONBLOCK) ||
			!(fcntl(sockets[i].fd, F_GETFD) & FD_CLOEXEC))
			return 7;
	}
	free(sockets);
	return n == 99 ? 8 : 0;
}

static void test_inherited(void **state)
{
	(void)state;
	for (int scene = 0; scene < 4; scene++) {
		int status = -1;
		pid_t pid = fork();
		if (pid == 0)
			_exit(child(scene));
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (status)
			fail_msg("scene %d: %d", scene, WEXITSTATUS(status));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_both_families),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_inherited),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
