/* Files and directories of a configuration, in a temporary directory of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/text.h"
#include "io/conffile.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static char directory[64];

static char *path_of(const char *name)
{
	char *path = text_format("%s/%s", directory, name);
	assert_non_null(path);
	return path;
}

static void put(const char *name, mode_t mode, const char *content)
{
	CLEANUP(freep) char *path = path_of(name);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(content, 1, strlen(content), f), strlen(content));
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static void make(const char *name)
{
	CLEANUP(freep) char *path = path_of(name);
	assert_int_equal(mkdir(path, 0755), 0);
}

static int on_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static int setup(void **state)
{
	(void)state;
	strcpy(directory, "/tmp/test_conffile.XXXXXX");
	unsetenv("CREDENTIALS_DIRECTORY");
	unsetenv("STATE_DIRECTORY");
	unsetenv("RUNTIME_DIRECTORY");
	return mkdtemp(directory) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	return nftw(directory, on_entry, 8, FTW_DEPTH | FTW_PHYS);
}

/* "D" in `wanted` stands for the directory. */
static struct config *load(bool checking, int result, const char *wanted)
{
	struct config_report report = {0};
	struct config *c = NULL;
	struct text said = TEXT_EMPTY, lines = TEXT_EMPTY;
	CLEANUP(freep) char *path = path_of("c.conf");
	text_adds(&said, "");
	text_adds(&lines, "");
	int r = conffile_load(path, checking, &report, &c);
	for (size_t i = 0; i < report.size; i++)
		text_addf(&said, "%s\n", report.problems[i].text);
	config_report_fini(&report);
	for (const char *p = wanted; *p; p++) {
		if (*p == 'D' && p[1] == '/')
			text_adds(&lines, directory);
		else
			text_addc(&lines, *p);
	}
	assert_string_equal(said.data, lines.data);
	assert_int_equal(r, result);
	text_fini(&said);
	text_fini(&lines);
	return c;
}

#define SECRET "[Source a]\nVerify=hmac\nSecretFile=secret\n"

static void assert_secret(const struct config *c, const char *text)
{
	assert_int_equal(c->sources[0]->n_secrets, 1);
	assert_int_equal(c->sources[0]->secrets[0].text_size, strlen(text));
	assert_memory_equal(c->sources[0]->secrets[0].text, text, strlen(text));
}

static void test_dropins_by_name(void **state)
{
	(void)state;
	put("c.conf", 0644, "[Daemon]\nMaxConcurrent=1\nStopTimeout=1\n");
	make("c.conf.d");
	put("c.conf.d/20-b.conf", 0644, "[Daemon]\nMaxConcurrent=20\n");
	put("c.conf.d/10-a.conf", 0644, "[Daemon]\nMaxConcurrent=10\nStopTimeout=2\n");
	put("c.conf.d/30-c.conf.bak", 0644, "[Daemon]\nMaxConcurrent=30\n");
	put("c.conf.d/.40.conf", 0644, "[Daemon]\nRetention=40d\n");
	struct config *c = load(false, 0, "");
	assert_int_equal(c->max_concurrent, 20);
	assert_int_equal(c->retention_usec, 30 * 86400 * USEC_PER_SEC);
	assert_int_equal(c->stop_timeout_usec, 2 * USEC_PER_SEC);
	config_unref(c);
}

static void test_files_that_cannot_be_read(void **state)
{
	(void)state;
	load(false, 1, "D/c.conf: No such file or directory\n");
	make("c.conf");
	load(false, 1, "D/c.conf: not a regular file\n");
	CLEANUP(freep) char *path = path_of("c.conf");
	assert_int_equal(rmdir(path), 0);
	put("c.conf", 0644, "[Daemon]\nBad=1\n");
	make("c.conf.d");
	make("c.conf.d/a.conf");
	put("c.conf.d/b.conf", 0644, "Worse\n");
	load(false, 1,
		"D/c.conf.d/a.conf: not a regular file\n"
		"D/c.conf:2: unknown key Bad= in [Daemon]\n"
		"D/c.conf.d/b.conf:1: neither [Section] nor Key=value\n");
}

static void make_socket(const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int n = snprintf(
		address.sun_path, sizeof(address.sun_path), "%s/%s", directory, name);
	assert_in_range(n, 1, sizeof(address.sun_path) - 1);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
}

/* A FIFO nobody writes to, a socket, a device without end: none may hold the daemon up. */
static void test_odd_files(void **state)
{
	CLEANUP(freep) char *path = path_of("c.conf");
	CLEANUP(freep) char *fifo = path_of("c.conf.d/a.conf");
	CLEANUP(freep) char *device = path_of("c.conf.d/b.conf");
	(void)state;
	alarm(10);
	assert_int_equal(mkfifo(path, 0600), 0);
	load(false, 1, "D/c.conf: not a regular file\n");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("/dev/zero", path), 0);
	load(false, 1, "D/c.conf: not a regular file\n");
	assert_int_equal(unlink(path), 0);
	put("c.conf", 0644, "");
	make("c.conf.d");
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_int_equal(symlink("/dev/zero", device), 0);
	make_socket("c.conf.d/c.conf");
	load(false, 1,
		"D/c.conf.d/a.conf: not a regular file\n"
		"D/c.conf.d/b.conf: not a regular file\n"
		"D/c.conf.d/c.conf: not a regular file\n");
	assert_int_equal(unlink(fifo), 0);
	assert_int_equal(unlink(device), 0);
	put("c.conf.d/a.conf", 0644, "");
	CLEANUP(freep) char *other = path_of("c.conf.d/c.conf");
	assert_int_equal(unlink(other), 0);
	assert_int_equal(truncate(fifo, (64l << 20) + 1), 0);
	load(false, 1, "D/c.conf.d/a.conf: the file is too large\n");
	alarm(0);
}

static void test_secret_beside(void **state)
{
	(void)state;
	put("c.conf", 0644, SECRET);
	put("secret", 0640, "beside\n");
	struct config *c = load(false, 0, "");
	assert_secret(c, "beside");
	config_unref(c);
	put("secret", 0644, "beside\n");
	config_unref(load(false, 0,
		"D/c.conf:3: SecretFile=secret: D/secret: others can read it "
		"(mode 0644)\n"));
	put("secret", 0600, "\n");
	load(false, 1, "D/c.conf:3: SecretFile=secret: the file is empty\n");
}

static void test_credentials_come_first(void **state)
{
	CLEANUP(freep) char *credentials = path_of("cred");
	(void)state;
	put("c.conf", 0644, SECRET);
	put("secret", 0600, "beside");
	make("cred");
	setenv("CREDENTIALS_DIRECTORY", credentials, 1);
	struct config *c = load(false, 0, "");
	assert_secret(c, "beside");
	config_unref(c);
	put("cred/secret", 0400, "credential\n");
	c = load(false, 0, "");
	assert_secret(c, "credential");
	config_unref(c);
	/* What is there and no file is no reason to look elsewhere. */
	CLEANUP(freep) char *secret = path_of("cred/secret");
	assert_int_equal(unlink(secret), 0);
	make("cred/secret");
	load(false, 1,
		"D/c.conf:3: SecretFile=secret: D/cred/secret: not a regular file\n");
	assert_int_equal(rmdir(secret), 0);
	assert_int_equal(symlink("secret", secret), 0);
	load(false, 1,
		"D/c.conf:3: SecretFile=secret: D/cred/secret: Too many levels of "
		"symbolic links\n");
}

static void test_missing_secret(void **state)
{
	(void)state;
	put("c.conf", 0644, SECRET);
	load(false, 1,
		"D/c.conf:3: SecretFile=secret: D/secret: No such file or directory, and "
		"there is no $CREDENTIALS_DIRECTORY\n");
	config_unref(load(true, 0,
		"D/c.conf:3: SecretFile=secret: D/secret: No such file or "
		"directory, and there is no $CREDENTIALS_DIRECTORY\n"));
	setenv("CREDENTIALS_DIRECTORY", directory, 1);
	load(true, 1,
		"D/c.conf:3: SecretFile=secret: D/secret: No such file or directory\n");
	/* A path is no credential. */
	unsetenv("CREDENTIALS_DIRECTORY");
	put("c.conf", 0644, "[Source a]\nVerify=hmac\nSecretFile=x/secret\n");
	load(true, 1,
		"D/c.conf:3: SecretFile=x/secret: D/x/secret: No such file or "
		"directory\n");
	put("c.conf", 0644, "[Source a]\nVerify=hmac\nSecretFile=/nowhere/secret\n");
	load(true, 1,
		"D/c.conf:3: SecretFile=/nowhere/secret: /nowhere/secret: No such file "
		"or directory\n");
}

static void test_odd_secrets(void **state)
{
	CLEANUP(freep) char *path = path_of("secret");
	(void)state;
	put("c.conf", 0644, SECRET);
	assert_int_equal(mkfifo(path, 0600), 0);
	load(false, 1, "D/c.conf:3: SecretFile=secret: D/secret: not a regular file\n");
	assert_int_equal(unlink(path), 0);
	put("secret", 0600, "x");
	assert_int_equal(truncate(path, 65536), 0);
	config_unref(load(false, 0, ""));
	assert_int_equal(truncate(path, 65537), 0);
	load(false, 1,
		"D/c.conf:3: SecretFile=secret: D/secret: the file is too large\n");
}

static void test_tls_files(void **state)
{
	(void)state;
	put("c.conf", 0644,
		"[Daemon]\nListenTLS=127.0.0.1:8443\nTLSCertificateFile=crt.pem\n"
		"TLSKeyFile=key.pem\n");
	put("crt.pem", 0644, "certificate");
	load(false, 1,
		"D/c.conf:4: TLSKeyFile=key.pem: D/key.pem: No such file or directory, "
		"and there is no $CREDENTIALS_DIRECTORY\n");
	put("key.pem", 0600, "key");
	struct config *c = load(false, 0, "");
	CLEANUP(freep) char *crt = path_of("crt.pem");
	CLEANUP(freep) char *key = path_of("key.pem");
	assert_string_equal(c->tls_certificate_file, crt);
	assert_string_equal(c->tls_key_file, key);
	config_unref(c);
	put("key.pem", 0604, "key");
	config_unref(load(false, 0,
		"D/c.conf:4: TLSKeyFile=key.pem: D/key.pem: others can read it "
		"(mode 0604)\n"));
}

static void test_directories(void **state)
{
	(void)state;
	put("c.conf", 0644, "");
	setenv("STATE_DIRECTORY", "/var/lib/z", 1);
	setenv("RUNTIME_DIRECTORY", "/run/z", 1);
	struct config *c = load(false, 0, "");
	assert_string_equal(c->state_directory, "/var/lib/z");
	assert_string_equal(c->control_socket, "/run/z/control.sock");
	config_unref(c);
}

/* `-c c.conf` from within the directory: what is found does not move with a chdir(). */
static void test_relative_path(void **state)
{
	struct config_report report = {0};
	struct config *c = NULL;
	(void)state;
	put("c.conf", 0644, "[Source a]\nVerify=none\nCAFile=ca.pem\n");
	put("ca.pem", 0644, "ca");
	int before = open(".", O_RDONLY | O_CLOEXEC);
	assert_true(before >= 0);
	assert_int_equal(chdir(directory), 0);
	assert_int_equal(conffile_load("c.conf", false, &report, &c), 0);
	CLEANUP(freep) char *ca = path_of("ca.pem");
	assert_string_equal(c->sources[0]->ca_file, ca);
	config_unref(c);
	config_report_fini(&report);
	assert_int_equal(fchdir(before), 0);
	close(before);
}

#define NO_PUBLIC_URL                                                                   \
	"without SecretFile= only tokens of uploads verify, and without PublicURL= in " \
	"[Daemon] there are none\n"

/* The sample is a configuration, and so it is with each default written out. */
static void test_sample(void **state)
{
	struct text plain = TEXT_EMPTY, whole = TEXT_EMPTY;
	char line[512];
	unsigned n = 0, at = 0;
	(void)state;
	FILE *f = fopen("conf/callbackd.conf", "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		n++;
		if (strncmp(line, "[Source", 7) == 0)
			at = n;
		bool key = line[0] == '#' && line[1] >= 'A' && line[1] <= 'Z' &&
			   strchr(line, '=');
		text_adds(&plain, line);
		if (strncmp(line, "#Verify=", 8) == 0)
			text_adds(&whole, "Verify=none\n");
		else
			text_adds(&whole, key ? line + 1 : line);
	}
	fclose(f);
	CLEANUP(freep)
	char *said = text_format("D/c.conf:%u: " NO_PUBLIC_URL, at);
	put("c.conf", 0644, plain.data);
	struct config *c = load(false, 0, said);
	assert_int_equal(c->n_sources, 1);
	assert_int_equal(c->n_hooks, 1);
	config_unref(c);
	put("c.conf", 0644, whole.data);
	config_unref(load(false, 0, ""));
	text_fini(&plain);
	text_fini(&whole);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_dropins_by_name),
		TEST(test_files_that_cannot_be_read),
		TEST(test_odd_files),
		TEST(test_secret_beside),
		TEST(test_credentials_come_first),
		TEST(test_missing_secret),
		TEST(test_odd_secrets),
		TEST(test_tls_files),
		TEST(test_directories),
		TEST(test_relative_path),
		TEST(test_sample),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
