/*
 * callbackctl backup and restore. A backup is taken by the daemon while it works and comes
 * over the control socket; here it is written beside its name, made durable, looked through,
 * and only then gets the name. A restore is done without the daemon, by whoever may write
 * its state directory.
 */
#include "base/text.h"
#include "ctl/commands.h"
#include "io/store_copy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIRECTORY_DEFAULT "/var/lib/callbackd"
#define REFUSAL_MAX       4096

enum { RESTORE_DIRECTORY };
const struct ctl_option cmd_restore_options[] = {
	{"directory", "DIR", "the daemon's state directory (" DIRECTORY_DEFAULT ")"},
	{0},
};

struct backup {
	int fd, error; /* error: of writing */
	CURL *easy;
	CURLcode code;
	struct text refusal; /* the body of an answer that is no 200 */
};

static int exit_of(int error)
{
	switch (error) {
	case -EACCES:
	case -EPERM:
	case -EROFS: return CTL_NO_ACCESS;
	case -ENOENT:
	case -ENOTDIR:
	case -EISDIR: return CTL_UNKNOWN;
	case -EBUSY: return CTL_JOB;
	}
	return CTL_FAILED;
}

static int complain(const char *path, int error)
{
	ctl_complain("%s: %s", ctl_escape(path), strerror(-error));
	return exit_of(error);
}

/* What the lower floor said of it, once. */
static int complain_of(char *words, int error)
{
	ctl_complain("%s", words ? ctl_escape(words) : strerror(-error));
	free(words);
	return exit_of(error);
}

static size_t on_piece(char *data, size_t one, size_t n, void *arg)
{
	struct backup *b = arg;
	long status = 0;
	size_t size = one * n;

	curl_easy_getinfo(b->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status != 200) {
		if (b->refusal.size < REFUSAL_MAX)
			text_add(&b->refusal, (struct bytes){data, size});
		return size;
	}
	for (size_t at = 0; at < size;) {
		ssize_t w = write(b->fd, data + at, size - at);
		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0) {
			b->error = -errno;
			return 0;
		}
		at += (size_t)w;
	}
	return size;
}

static void on_end(void *arg, CURLcode code)
{
	struct backup *b = arg;

	b->code = code;
}

static int set_up(struct ctl *ctl, struct backup *b)
{
	CURL *e = b->easy = curl_easy_init();

	if (!e || curl_easy_setopt(e, CURLOPT_URL, "http://localhost/v1/backup") ||
		curl_easy_setopt(e, CURLOPT_UNIX_SOCKET_PATH, ctl->socket) ||
		curl_easy_setopt(e, CURLOPT_PROXY, "") ||
		curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_piece) ||
		curl_easy_setopt(e, CURLOPT_WRITEDATA, b))
		return -ENOMEM;
	return client_transfer(ctl->client, e, on_end, b);
}

/* Why there is none, told as any other answer of the daemon is. */
static int fail(struct ctl *ctl, struct backup *b, const char *path, long status)
{
	struct client_answer a = {.status = status};
	int r;

	if (b->error)
		return complain(path, b->error);
	if (b->code ==
		CURLE_COULDNT_CONNECT) { /* it says whether that is for lack of rights */
		client_ask(ctl->client, "GET", "/v1/status", NULL, &a);
		r = a.failure ? ctl_fail(&a, NULL) : CTL_UNREACHABLE;
	} else if (b->code) {
		ctl_complain("the backup broke off: %s (the daemon's journal says more)",
			curl_easy_strerror(b->code));
		return CTL_UNREACHABLE;
	} else {
		a.json = json_loadb(
			b->refusal.data ? b->refusal.data : "", b->refusal.size, 0, NULL);
		r = ctl_fail(&a, "backup");
	}
	client_answer_fini(&a);
	return r;
}

/* The whole of it to `fd`; `path` is what messages call that. */
static int receive(struct ctl *ctl, int fd, const char *path)
{
	struct backup b = {.fd = fd, .refusal = TEXT_EMPTY};
	long status = 0;
	int r = CTL_DONE;

	if (set_up(ctl, &b) < 0) {
		r = ctl_no_memory();
	} else {
		client_loop(ctl->client, UINT64_MAX);
		curl_easy_getinfo(b.easy, CURLINFO_RESPONSE_CODE, &status);
		if (b.code || b.error || status != 200)
			r = fail(ctl, &b, path, status);
	}
	curl_easy_cleanup(b.easy);
	text_fini(&b.refusal);
	return r;
}

static void tell(const struct ctl *ctl, const char *path,
	const struct store_copy_facts *f, const char *aside)
{
	if (ctl->json) {
		json_t *o = json_pack("{s:s, s:I, s:I, s:I, s:s, s:s?}", "file", path,
			"size_bytes", (json_int_t)f->bytes, "jobs", (json_int_t)f->jobs,
			"runs", (json_int_t)f->runs, "store", f->name, "aside", aside);
		ctl_print_json(ctl, o);
		json_decref(o);
		return;
	}
	printf("%s  store %s, %llu jobs, %llu runs, %llu bytes, checked\n",
		ctl_escape(path), ctl_escape(f->name), (unsigned long long)f->jobs,
		(unsigned long long)f->runs, (unsigned long long)f->bytes);
	if (aside)
		printf("what was there is kept as %s\n", ctl_escape(aside));
}

/* A name is durable when its directory is. */
static int sync_directory_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	CLEANUP(freep)
	char *directory = !slash          ? bytes_dup(bytes_of("."))
			  : slash == path ? bytes_dup(bytes_of("/"))
					  : bytes_dup((struct bytes){
						    path, (size_t)(slash - path)});
	int fd = directory ? open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	if (fd < 0)
		return directory ? -errno : -ENOMEM;
	int r = fsync(fd) < 0 ? -errno : 0;
	close(fd);
	return r;
}

static int finish(struct ctl *ctl, const char *new, const char *path)
{
	struct store_copy_facts facts;
	char *words = NULL;
	int r = store_copy_check(new, &facts, &words);

	if (r)
		return complain_of(words, r);
	if (rename(new, path) < 0)
		return complain(path, -errno);
	r = sync_directory_of(path);
	if (r)
		return complain(path, r);
	tell(ctl, path, &facts, NULL);
	return CTL_DONE;
}

int cmd_backup(struct ctl *ctl, const struct ctl_args *args)
{
	const char *path = args->operands[0];
	CLEANUP(freep) char *new = text_format("%s.XXXXXX", path);
	struct stat st;
	int fd, r;

	if (!strcmp(path, "-"))
		return receive(ctl, STDOUT_FILENO, "standard output");
	if (!new)
		return ctl_no_memory();
	/* The new file takes the name: root would lose /dev/null by that. */
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
		ctl_complain(
			"%s is no regular file (- is standard output)", ctl_escape(path));
		return S_ISDIR(st.st_mode) ? CTL_UNKNOWN : CTL_FAILED;
	}
	fd = mkostemp(new, O_CLOEXEC); /* 0600 */
	if (fd < 0)
		return complain(path, -errno);
	r = receive(ctl, fd, path);
	if (r == CTL_DONE && fsync(fd) < 0)
		r = complain(path, -errno);
	close(fd);
	if (r == CTL_DONE)
		r = finish(ctl, new, path);
	if (r != CTL_DONE)
		unlink(new);
	return r;
}

int cmd_restore(struct ctl *ctl, const struct ctl_args *args)
{
	const char *directory = args->option[RESTORE_DIRECTORY];
	CLEANUP(freep) char *aside = NULL;
	struct store_copy_facts facts;
	char *words = NULL;
	int r = store_copy_restore(directory ? directory : DIRECTORY_DEFAULT,
		args->operands[0], &facts, &aside, &words);

	if (r) {
		bool busy = r == -EBUSY;
		r = complain_of(words, r);
		if (busy)
			ctl_complain("stop it first: systemctl stop callbackd.service "
				     "callbackd.socket callbackd-tls.socket");
		return r;
	}
	tell(ctl, args->operands[0], &facts, aside);
	return CTL_DONE;
}
