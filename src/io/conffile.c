/*
 * Files and directories around a configuration. A relative name of a secret, a key or a
 * certificate is looked for in $CREDENTIALS_DIRECTORY first, then beside the main file;
 * what is there and cannot be read is an error and never passed over for the next place.
 */
#include "io/conffile.h"

#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEXT_MAX_BYTES   (64u * 1024 * 1024)
#define SECRET_MAX_BYTES (64u * 1024)

/* Where relative names are looked for. */
struct places {
	const char *credentials; /* NULL: none */
	char *beside;
	struct words taken; /* of the credentials: names, each once */
};

struct files {
	struct config_text *texts;
	size_t size;
};

static void close_fd(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

/* All of it, NUL behind it; what is not handed out is overwritten. 0 or negative errno. */
static int read_all(int fd, size_t max, char **ret, size_t *ret_size)
{
	size_t size = 0, room = 4096;
	char *data = malloc(room);
	if (!data)
		return -ENOMEM;
	for (;;) {
		if (size + 1 == room) {
			/* No realloc: it would leave a copy of a secret behind. */
			char *more = size > max ? NULL : malloc(room * 2);
			if (!more) {
				bytes_wipe(data, room);
				return size > max ? -EFBIG : -ENOMEM;
			}
			memcpy(more, data, size);
			bytes_wipe(data, room);
			data = more;
			room *= 2;
		}
		ssize_t n = read(fd, data + size, room - 1 - size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 || (n == 0 && size > max)) {
			int r = n < 0 ? -errno : -EFBIG;
			bytes_wipe(data, room);
			return r;
		}
		if (n == 0)
			break;
		size += (size_t)n;
	}
	data[size] = '\0';
	*ret = data;
	*ret_size = size;
	return 0;
}

#define NOT_REGULAR 1

/* 0 and a descriptor, NOT_REGULAR or negative errno. Never hangs: not on a FIFO either. */
static int open_regular(const char *path, struct stat *ret_st, int *ret_fd)
{
	CLEANUP(close_fd)
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0) /* ENXIO: a socket, or a device that is not there */
		return errno == ENXIO ? NOT_REGULAR : -errno;
	if (fstat(fd, ret_st) < 0)
		return -errno;
	if (!S_ISREG(ret_st->st_mode))
		return NOT_REGULAR;
	*ret_fd = take_fd(&fd);
	return 0;
}

/* A path that is there, or the one to name in a message. Results of open_regular(). */
static int open_at(const char *directory, const char *name, char **ret_path,
	struct stat *ret_st, int *ret_fd)
{
	char *path = name[0] == '/' || !directory ? strdup(name)
						  : text_format("%s/%s", directory, name);
	if (!path)
		return -ENOMEM;
	free(*ret_path);
	*ret_path = path;
	return open_regular(path, ret_st, ret_fd);
}

static const char *describe(int error)
{
	if (error == NOT_REGULAR)
		return "not a regular file";
	return error == -EFBIG ? "the file is too large" : strerror(-error);
}

static int note_credential(struct places *places, const char *name)
{
	for (size_t i = 0; i < places->taken.size; i++)
		if (strcmp(places->taken.list[i], name) == 0)
			return 0;
	return words_add(&places->taken, bytes_of(name));
}

/* 0 and a descriptor of a regular file; 1 or 2 and *ret_reason, as config_world has it. */
static int find(struct places *places, const char *name, char **ret_path,
	struct stat *ret_st, int *ret_fd, char **ret_reason)
{
	int r = -ENOENT;
	bool plain = !strchr(name, '/'); /* systemd.exec(5): an ID is a file's name */
	if (places->credentials && plain)
		r = open_at(places->credentials, name, ret_path, ret_st, ret_fd);
	if (r == 0)
		return note_credential(places, name);
	if (r == -ENOENT)
		r = open_at(places->beside, name, ret_path, ret_st, ret_fd);
	if (r == 0 || r == -ENOMEM)
		return r;
	bool only_credential = r == -ENOENT && plain && !places->credentials;
	*ret_reason = text_format("%s: %s%s", *ret_path, describe(r),
		only_credential ? ", and there is no $CREDENTIALS_DIRECTORY" : "");
	if (!*ret_reason)
		return -ENOMEM;
	return only_credential ? 2 : 1;
}

static int on_read_secret(void *arg, const char *name, char **ret, size_t *ret_size,
	char **ret_path, char **ret_reason, char **ret_warning)
{
	CLEANUP(close_fd) int fd = -1;
	struct stat st = {0};
	int r = find(arg, name, ret_path, &st, &fd, ret_reason);
	if (r != 0)
		return r;
	if (st.st_mode & (S_IROTH | S_IWOTH)) {
		*ret_warning = text_format("%s: others can %s it (mode %04o)", *ret_path,
			st.st_mode & S_IROTH ? "read" : "write",
			(unsigned)(st.st_mode & 07777));
		if (!*ret_warning)
			return -ENOMEM;
	}
	r = read_all(fd, SECRET_MAX_BYTES, ret, ret_size);
	if (r == 0 || r == -ENOMEM)
		return r;
	*ret_reason = text_format("%s: %s", *ret_path, describe(r));
	return *ret_reason ? 1 : -ENOMEM;
}

static int on_find_file(void *arg, const char *name, char **ret_path, char **ret_reason)
{
	CLEANUP(close_fd) int fd = -1;
	struct stat st = {0};
	return find(arg, name, ret_path, &st, &fd, ret_reason);
}

/* 0, 1 (in the report), -ENOMEM. */
static int add_file(struct files *files, const char *path, struct config_report *report)
{
	CLEANUP(close_fd) int fd = -1;
	struct stat st;
	char *data = NULL;
	size_t size = 0;
	int r = open_regular(path, &st, &fd);
	if (r == 0)
		r = read_all(fd, TEXT_MAX_BYTES, &data, &size);
	if (r == -ENOMEM)
		return r;
	if (r != 0) {
		config_report_add(report, false, "%s: %s", path, describe(r));
		return 1;
	}
	struct config_text *texts = reallocarray(
		files->texts, files->size + 1, sizeof(*texts));
	char *name = strdup(path);
	if (texts)
		files->texts = texts;
	if (!texts || !name) {
		free(name);
		free(data);
		return -ENOMEM;
	}
	texts[files->size++] = (struct config_text){name, {data, size}};
	return 0;
}

static void files_fini(struct files *files)
{
	for (size_t i = 0; i < files->size; i++) {
		free((char *)files->texts[i].path);
		free((char *)files->texts[i].text.data);
	}
	free(files->texts);
}

static int is_dropin(const struct dirent *entry)
{
	const char *name = entry->d_name;
	size_t size = strlen(name);
	return name[0] != '.' && size > 5 && strcmp(name + size - 5, ".conf") == 0;
}

/* By bytes, whatever the locale: 10-a before 20-b on every machine. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int add_dropins(
	struct files *files, const char *path, struct config_report *report)
{
	struct dirent **entries = NULL;
	CLEANUP(freep) char *directory = text_format("%s.d", path);
	if (!directory)
		return -ENOMEM;
	int n = scandir(directory, &entries, is_dropin, by_name);
	if (n < 0 && errno == ENOENT)
		return 0;
	if (n < 0 && errno == ENOMEM)
		return -ENOMEM;
	if (n < 0)
		config_report_add(report, false, "%s: %s", directory, strerror(errno));
	int r = 0;
	for (int i = 0; i < n; i++) {
		CLEANUP(freep)
		char *dropin = text_format("%s/%s", directory, entries[i]->d_name);
		if (r >= 0)
			r = dropin ? add_file(files, dropin, report) : -ENOMEM;
		free(entries[i]);
	}
	free(entries);
	return r < 0 ? r : 0;
}

/* Absolute, so that it holds whatever directory the process changes to. */
static char *directory_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	struct bytes parent = bytes_of(".");
	if (slash)
		parent = slash == path ? bytes_of("/")
				       : (struct bytes){path, (size_t)(slash - path)};
	CLEANUP(freep) char *directory = bytes_dup(parent);
	if (!directory)
		return NULL;
	char *whole = realpath(directory, NULL);
	return whole ? whole : CONSUME(directory);
}

static const char *environment(const char *name)
{
	const char *value = secure_getenv(name);
	return value && value[0] ? value : NULL;
}

int conffile_load(const char *path, bool checking, struct config_report *report,
	struct config **ret)
{
	struct files files = {0};
	struct places places = {.credentials = environment("CREDENTIALS_DIRECTORY"),
		.beside = directory_of(path)};
	const struct config_world world = {
		.read_secret = on_read_secret,
		.find_file = on_find_file,
		.arg = &places,
		.state_directory = environment("STATE_DIRECTORY"),
		.runtime_directory = environment("RUNTIME_DIRECTORY"),
		.checking = checking,
	};
	int r = places.beside ? add_file(&files, path, report) : -ENOMEM;
	if (r == 0)
		r = add_dropins(&files, path, report);
	if (r == 0)
		r = config_build(files.texts, files.size, &world, report, ret);
	if (r == 0) {
		(*ret)->credentials = places.taken;
		places.taken = (struct words){0};
	}
	words_fini(&places.taken);
	files_fini(&files);
	free(places.beside);
	return r;
}
