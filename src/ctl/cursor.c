/* "NUMBER STORE" and a newline. */
#include "ctl/cursor.h"

#include "base/text.h"
#include "ctl/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

#define CURSOR_MAX_BYTES 256

static int complain(const char *path, int error)
{
	ctl_complain("%s: %s", ctl_escape(path), strerror(error));
	switch (error) {
	case EACCES:
	case EPERM:
	case EROFS: return CTL_NO_ACCESS;
	case ENOENT:
	case ENOTDIR:
	case EISDIR: return CTL_UNKNOWN;
	default: return CTL_FAILED;
	}
}

static bool parse(struct bytes text, struct cursor *ret)
{
	struct bytes rest, line = bytes_split(text, '\n', &rest);
	struct bytes store, number = bytes_split(line, ' ', &store);
	uint64_t seq = 0;

	if (number.size < 1 || number.size > 18 || store.size >= sizeof(ret->store) ||
		rest.size)
		return false;
	for (size_t i = 0; i < number.size; i++) {
		if (number.data[i] < '0' || number.data[i] > '9')
			return false;
		seq = seq * 10 + (uint64_t)(number.data[i] - '0');
	}
	*ret = (struct cursor){.known = true, .seq = seq};
	if (store.size)
		memcpy(ret->store, store.data, store.size);
	return true;
}

int cursor_read(const char *path, struct cursor *ret)
{
	struct text text = TEXT_EMPTY;
	int r = file_read(path, CURSOR_MAX_BYTES, &text);

	if (r == -ENOENT) {
		*ret = (struct cursor){0};
		r = 0;
	} else if (r == -ENOMEM) {
		r = ctl_no_memory();
	} else if (r < 0 && r != -EFBIG) {
		r = complain(path, -r);
	} else if (r < 0 || !parse(text_bytes(&text), ret)) {
		ctl_complain("%s: this is no cursor", ctl_escape(path));
		r = CTL_USAGE;
	}
	text_fini(&text);
	return r;
}

static int write_all(int fd, const char *text, size_t size)
{
	ssize_t n = write(fd, text, size);

	if (n < 0)
		return errno;
	return (size_t)n == size ? 0 : ENOSPC;
}

int cursor_write(const char *path, const struct cursor *c)
{
	CLEANUP(freep) char *new = text_format("%s.new", path);
	char line[FOLLOW_STORE_SIZE + 32];
	int fd, error;

	if (!new)
		return ctl_no_memory();
	snprintf(line, sizeof(line), "%" PRIu64 "%s%s\n", c->seq, *c->store ? " " : "",
		c->store);
	fd = open(new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (fd < 0)
		return complain(new, errno);
	error = write_all(fd, line, strlen(line));
	if (close(fd) < 0 && !error)
		error = errno;
	if (!error && rename(new, path) < 0)
		error = errno;
	if (!error)
		return 0;
	unlink(new);
	return complain(path, error);
}
