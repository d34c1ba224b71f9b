/* Looking before leaping; see probe.h. */
#include "io/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define HEAD_BYTES 256 /* as much of a first line as the kernel looks at */

static int say(struct text *why, const char *path, const char *words)
{
	text_add_escaped(why, bytes_of(path), 256);
	text_addf(why, " %s", words);
	return 1;
}

static int say_errno(struct text *why, const char *path, int error)
{
	text_add_escaped(why, bytes_of(path), 256);
	text_addf(why, ": %s", strerrordesc_np(error));
	if (error == ENOENT && (!strncmp(path, "/home", 5) || !strncmp(path, "/root", 5)))
		text_adds(why, " (as the service sees it: ProtectHome= may hide it)");
	return 1;
}

static bool may(const char *path, int mode)
{
	return faccessat(AT_FDCWD, path, mode, AT_EACCESS) == 0;
}

/* Every directory on the way has to let us through: the first that does not is to blame, and
 * not what stands behind it. */
static int probe_way(const char *path, struct text *why)
{
	CLEANUP(freep) char *part = bytes_dup(bytes_of(path));

	if (!part)
		return say_errno(why, path, ENOMEM);
	for (char *slash = part + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		if (!may(part, X_OK)) {
			int error = errno;
			return error == EACCES
				       ? say(why, part, "may not be entered by this user")
				       : say_errno(why, part, error);
		}
		*slash = '/';
	}
	return 0;
}

/* A script needs its interpreter, and what has no #! is not given to any shell. */
static int probe_head(const char *path, unsigned depth, struct text *why);

static int probe_file(const char *path, unsigned depth, struct text *why)
{
	struct stat st;
	struct statvfs vfs;

	if (probe_way(path, why))
		return 1;
	if (stat(path, &st) < 0)
		return say_errno(why, path, errno);
	if (!S_ISREG(st.st_mode))
		return say(why, path, "is no regular file");
	if (!may(path, X_OK))
		return say(why, path, "may not be executed by this user (chmod a+x)");
	if (statvfs(path, &vfs) == 0 && (vfs.f_flag & ST_NOEXEC))
		return say(why, path, "stands on a file system that is mounted noexec");
	return probe_head(path, depth, why);
}

static int probe_head(const char *path, unsigned depth, struct text *why)
{
	char head[HEAD_BYTES + 1], *interpreter;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd < 0) /* a program may be executable and not readable, a script may not */
		return 0;
	ssize_t n = read(fd, head, HEAD_BYTES);
	close(fd);
	if (n < 0)
		return say_errno(why, path, errno);
	head[n] = '\0';
	if (n >= 4 && memcmp(head, "\177ELF", 4) == 0)
		return 0;
	if (strncmp(head, "#!", 2) != 0)
		return say(why, path, "is no program and has no #! line");
	interpreter = head + 2 + strspn(head + 2, " \t");
	interpreter[strcspn(interpreter, "\n")] = '\0';
	if (strchr(interpreter, '\r'))
		return say(why, path, "has a carriage return at the end of its #! line");
	interpreter[strcspn(interpreter, " \t")] = '\0';
	/* The kernel follows a few; two are enough for whoever means well. */
	return depth ? probe_file(interpreter, depth - 1, why) : 0;
}

int probe_program(const char *name, const char *path_list, struct text *why)
{
	struct bytes rest = bytes_of(path_list);

	if (strchr(name, '/'))
		return probe_file(name, 2, why);
	while (rest.data) {
		struct bytes directory = bytes_split(rest, ':', &rest);
		if (!bytes_starts(directory, bytes_of("/")))
			continue;
		CLEANUP(freep)
		char *full = text_format(
			"%.*s/%s", (int)directory.size, directory.data, name);
		if (full && access(full, F_OK) == 0)
			return probe_file(full, 2, why);
	}
	return say(why, name, "stands in no directory of PATH");
}

int probe_directory(const char *path, bool write, struct text *why)
{
	struct stat st;

	if (probe_way(path, why))
		return 1;
	if (stat(path, &st) < 0)
		return say_errno(why, path, errno);
	if (!S_ISDIR(st.st_mode))
		return say(why, path, "is no directory");
	if (!may(path, X_OK))
		return say(why, path, "may not be entered by this user");
	if (write && !may(path, W_OK | X_OK))
		return errno == EROFS ? say(why, path,
						"is read-only in the service "
						"(ReadWritePaths= of the unit)")
				      : say(why, path, "may not be written by this user");
	return 0;
}

int probe_socket(const char *path, struct text *why)
{
	struct stat st;

	if (probe_way(path, why))
		return 1;
	if (stat(path, &st) < 0)
		return say_errno(why, path, errno);
	if (!S_ISSOCK(st.st_mode))
		return say(why, path, "is no socket");
	if (!may(path, W_OK)) /* connect(2) asks for that */
		return say(why, path, "may not be connected to by this user");
	return 0;
}
