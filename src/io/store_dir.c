/*
 * The directory of the store: made 0700, locked against a second daemon, and never found
 * empty in silence. The lock file holds the store's name once there is a database; where
 * it has one and the database is gone, something took it, and a new one would forget
 * every job without a word.
 */
#include "base/text.h"
#include "io/store_private.h"
#include "io/store_schema.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCK_FILE "lock"

static int problem(char **ret_error, int error, const char *what)
{
	*ret_error = text_format("%s: %s", what, strerror(-error));
	return error;
}

/* An entry of a directory is durable when the directory is. */
static int sync_parent(int fd)
{
	int parent = openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (parent < 0)
		return errno == EACCES ? 0 : -errno; /* made by somebody else, then */
	int r = fsync(parent) < 0 ? -errno : 0;
	close(parent);
	return r;
}

static int lock(struct store *s, const char *directory, char **ret_error)
{
	s->lock_fd = openat(s->directory_fd, LOCK_FILE,
		O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (s->lock_fd < 0) {
		int error = -errno;
		*ret_error = text_format(
			"%s/" LOCK_FILE ": %s", directory, strerror(-error));
		return error;
	}
	if (flock(s->lock_fd, LOCK_EX | LOCK_NB) < 0) {
		int error = errno == EWOULDBLOCK ? -EBUSY : -errno;
		*ret_error = error == -EBUSY
				     ? text_format("%s is in use by another callbackd",
					       directory)
				     : text_format("%s/" LOCK_FILE ": %s", directory,
					       strerror(-error));
		return error;
	}
	return 0;
}

int store_dir_open(struct store *s, const char *directory, char **ret_error)
{
	bool made = mkdir(directory, 0700) == 0;

	if (!made && errno != EEXIST)
		return problem(ret_error, -errno, directory);
	s->directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->directory_fd < 0)
		return problem(ret_error, -errno, directory);
	if (made) {
		int r = sync_parent(s->directory_fd);
		if (r)
			return problem(ret_error, r, directory);
	}
	s->directory = bytes_dup(bytes_of(directory));
	s->path = text_format("%s/" STORE_FILE, directory);
	s->log_path = text_format("%s/" STORE_FILE "-wal", directory);
	if (!s->directory || !s->path || !s->log_path)
		return problem(ret_error, -ENOMEM, directory);
	int r = lock(s, directory, ret_error);
	if (r)
		return r;
	return fsync(s->directory_fd) < 0 ? problem(ret_error, -errno, directory) : 0;
}

int store_dir_look(struct store *s, char **ret_error)
{
	struct stat st;
	char name[64];

	if (fstatat(s->directory_fd, STORE_FILE, &st, 0) == 0) {
		if (S_ISREG(st.st_mode) && st.st_size > 0)
			return 1;
		*ret_error = text_format("%s is damaged: it is %s", s->path,
			S_ISREG(st.st_mode) ? "empty" : "no regular file");
		return -EBADMSG;
	}
	if (errno != ENOENT)
		return problem(ret_error, -errno, s->path);
	ssize_t n = pread(s->lock_fd, name, sizeof(name), 0);
	if (n < 0)
		return problem(ret_error, -errno, s->path);
	bool log = fstatat(s->directory_fd, STORE_FILE "-wal", &st, 0) == 0 && st.st_size;
	if (n == 0 && !log)
		return 0;
	*ret_error = text_format(
		"%s is gone, and there was a store here; put it back, or "
		"empty the directory to begin anew",
		s->path);
	return -EBADMSG;
}

int store_dir_mark(struct store *s, char **ret_error)
{
	char have[STORE_NAME_SIZE + 1], want[STORE_NAME_SIZE + 1];

	memcpy(want, s->name, STORE_NAME_SIZE - 1);
	want[STORE_NAME_SIZE - 1] = '\n';
	size_t size = STORE_NAME_SIZE;
	if (pread(s->lock_fd, have, sizeof(have), 0) == (ssize_t)size &&
		memcmp(have, want, size) == 0)
		return 0;
	if (ftruncate(s->lock_fd, 0) < 0 ||
		pwrite(s->lock_fd, want, size, 0) != (ssize_t)size ||
		fdatasync(s->lock_fd) < 0)
		return problem(ret_error, errno ? -errno : -EIO, s->path);
	return 0;
}

static struct store_file file_of(const struct stat *st)
{
	return (struct store_file){st->st_dev, st->st_ino};
}

int store_dir_note(struct store *s, char **ret_error)
{
	struct stat directory, db, log;

	if (fstat(s->directory_fd, &directory) < 0 ||
		fstatat(s->directory_fd, STORE_FILE, &db, 0) < 0 ||
		fstatat(s->directory_fd, STORE_FILE "-wal", &log, 0) < 0)
		return problem(ret_error, -errno, s->path);
	s->directory_file = file_of(&directory);
	s->db_file = file_of(&db);
	s->log_file = file_of(&log);
	return 0;
}

static bool is_file(const struct stat *st, struct store_file file)
{
	return st->st_dev == file.device && st->st_ino == file.inode && st->st_nlink > 0;
}

/* What cannot be looked at now cannot be opened by the next life. */
int store_dir_check(struct store *s)
{
	struct stat st;

	if (stat(s->directory, &st) == 0 && is_file(&st, s->directory_file) &&
		fstatat(s->directory_fd, STORE_FILE, &st, 0) == 0 &&
		is_file(&st, s->db_file) &&
		fstatat(s->directory_fd, STORE_FILE "-wal", &st, 0) == 0 &&
		is_file(&st, s->log_file))
		return 0;
	snprintf(s->failure, sizeof(s->failure),
		"the state directory was removed or replaced under the daemon");
	return -EIO;
}

uint64_t store_dir_bytes(const struct store *s)
{
	static const char *const files[] = {STORE_FILE, STORE_FILE "-wal"};
	uint64_t bytes = 0;
	struct stat st;

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		if (fstatat(s->directory_fd, files[i], &st, 0) == 0)
			bytes += (uint64_t)st.st_size;
	}
	return bytes;
}

void store_dir_close(struct store *s)
{
	if (s->lock_fd >= 0)
		close(s->lock_fd);
	if (s->directory_fd >= 0)
		close(s->directory_fd);
	free(s->directory);
	free(s->path);
	free(s->log_path);
}
