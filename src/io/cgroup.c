/*
 * Files under /sys/fs/cgroup, see cgroups(7) and the kernel's cgroup-v2.rst. Anything that
 * is not as we expect it means: not delegated. The attribute is what systemd sets for
 * Delegate=yes; without it we would reorganise somebody's session by accident.
 */
#include "io/cgroup.h"

#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define DEPTH_MAX    16  /* groups that hooks made inside their own */
#define SAME_RUN_MAX 999 /* attempts of one run whose processes still live */

struct cgroup {
	char *path; /* of the parent, absolute */
};

/* The text behind "0::" of /proc/PID/cgroup, owned by the caller. */
static char *group_of(const char *proc_file)
{
	CLEANUP(freep) char *line = NULL;
	size_t room = 0;
	char *path = NULL;
	FILE *f = fopen(proc_file, "re");

	if (!f)
		return NULL;
	while (!path && getline(&line, &room, f) > 0) {
		line[strcspn(line, "\n")] = 0;
		if (strncmp(line, "0::", 3) == 0)
			path = strdup(line + 3);
	}
	fclose(f);
	return path;
}

/*
 * proc_pid_mountinfo(5): "36 35 98:0 ROOT MOUNTPOINT options - cgroup2 …". Escapes (\040)
 * are not undone: such a mount is not ours to use.
 */
static char *find_mount(char **ret_root)
{
	CLEANUP(freep) char *line = NULL;
	size_t room = 0;
	char *found = NULL;
	FILE *f = fopen("/proc/self/mountinfo", "re");

	if (!f)
		return NULL;
	while (!found && getline(&line, &room, f) > 0) {
		CLEANUP(freep) char *root = NULL;
		CLEANUP(freep) char *point = NULL;

		if (!strstr(line, " - cgroup2 "))
			continue;
		if (sscanf(line, "%*d %*d %*s %ms %ms", &root, &point) != 2)
			continue;
		*ret_root = CONSUME(root);
		found = CONSUME(point);
	}
	fclose(f);
	return found;
}

/* Where this process is, as a path in the file system; NULL: not to be found. */
static char *own_path(void)
{
	CLEANUP(freep) char *group = group_of("/proc/self/cgroup");
	CLEANUP(freep) char *root = NULL;
	CLEANUP(freep) char *point = find_mount(&root);
	const char *inside = group;

	/* "/..": outside of what our namespace shows. */
	if (!group || !point || strcmp(group, "/") == 0 || strstr(group, "/.."))
		return NULL;
	if (strcmp(root, "/") != 0) {
		size_t n = strlen(root);

		if (strncmp(group, root, n) != 0 || (group[n] != '/' && group[n] != 0))
			return NULL;
		inside = group + n;
	}
	return text_format("%s%s", point, inside);
}

static bool is_delegated(const char *path)
{
	static const char *const names[] = {"user.delegate", "trusted.delegate"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char value[8];

		if (getxattr(path, names[i], value, sizeof(value)) == 1 &&
			value[0] == '1')
			return true;
	}
	return false;
}

/* Writes `word` into PARENT/LEAF/FILE. */
static int put(struct cgroup *c, const char *leaf, const char *file, const char *word)
{
	CLEANUP(freep) char *path = text_format("%s/%s/%s", c->path, leaf, file);
	int fd, r;

	if (!path)
		return -ENOMEM;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = write(fd, word, strlen(word)) < 0 ? -errno : 0;
	close(fd);
	return r;
}

int cgroup_take(struct cgroup **ret)
{
	CLEANUP(freep) char *path = own_path();
	CLEANUP(freep) char *daemon = NULL;
	struct cgroup *c;

	if (!path || !is_delegated(path))
		return 1;
	daemon = text_format("%s/daemon", path);
	c = calloc(1, sizeof(*c));
	if (!daemon || !c) {
		free(c);
		return -ENOMEM;
	}
	if (mkdir(daemon, 0755) < 0 && errno != EEXIST) {
		free(c);
		return 1;
	}
	c->path = CONSUME(path);
	if (put(c, "daemon", "cgroup.procs", "0") < 0) {
		rmdir(daemon);
		cgroup_free(c);
		return 1;
	}
	*ret = c;
	return 0;
}

void cgroup_free(struct cgroup *c)
{
	if (!c)
		return;
	free(c->path);
	free(c);
}

int cgroup_make(struct cgroup *c, const char *run, char ret_leaf[static CGROUP_LEAF_SIZE])
{
	for (unsigned i = 1; i <= SAME_RUN_MAX; i++) {
		CLEANUP(freep) char *path = NULL;

		if (i == 1)
			snprintf(ret_leaf, CGROUP_LEAF_SIZE, "run-%s", run);
		else
			snprintf(ret_leaf, CGROUP_LEAF_SIZE, "run-%s.%u", run, i);
		path = text_format("%s/%s", c->path, ret_leaf);
		if (!path)
			return -ENOMEM;
		if (mkdir(path, 0755) == 0)
			return 0;
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}

int cgroup_join(struct cgroup *c, const char *leaf)
{
	return put(c, leaf, "cgroup.procs", "0");
}

/* Is this process in that leaf or below? Asked after its pidfd was opened. */
static bool is_inside(pid_t pid, const char *leaf)
{
	CLEANUP(freep) char *file = text_format("/proc/%d/cgroup", (int)pid);
	CLEANUP(freep) char *group = file ? group_of(file) : NULL;
	size_t n = strlen(leaf);
	const char *at;

	for (at = group; at && (at = strchr(at, '/')); at++)
		if (strncmp(at + 1, leaf, n) == 0 &&
			(at[n + 1] == 0 || at[n + 1] == '/' || at[n + 1] == ' '))
			return true;
	return false;
}

static void signal_one(pid_t pid, const char *leaf, int signal)
{
	int fd = pidfd_open(pid, 0);

	if (is_inside(pid, leaf)) {
		if (fd >= 0)
			pidfd_send_signal(fd, signal, NULL, 0);
		else
			kill(pid, signal);
	}
	if (fd >= 0)
		close(fd);
}

/* Runs `each` for path and all groups below it, the deepest first. */
static int walk(const char *path, unsigned depth,
	int (*each)(void *arg, const char *path), void *arg)
{
	struct dirent *entry;
	DIR *dir;
	int r = 0;

	if (depth > DEPTH_MAX)
		return -ELOOP;
	dir = opendir(path);
	if (!dir)
		return -errno;
	while (r == 0 && (entry = readdir(dir))) {
		CLEANUP(freep) char *below = NULL;

		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		below = text_format("%s/%s", path, entry->d_name);
		r = below ? walk(below, depth + 1, each, arg) : -ENOMEM;
		if (r == -ENOENT)
			r = 0;
	}
	closedir(dir);
	return r < 0 ? r : each(arg, path);
}

struct signalling {
	const char *leaf;
	int signal; /* 0: only count */
	unsigned n;
};

static int on_group_signal(void *arg, const char *path)
{
	CLEANUP(freep) char *file = text_format("%s/cgroup.procs", path);
	struct signalling *s = arg;
	int pid;
	FILE *f;

	if (!file)
		return -ENOMEM;
	f = fopen(file, "re");
	if (!f)
		return -errno;
	while (fscanf(f, "%d", &pid) == 1) {
		if (pid <= 1 || pid == getpid())
			continue;
		s->n++;
		if (s->signal)
			signal_one(pid, s->leaf, s->signal);
	}
	fclose(f);
	return 0;
}

int cgroup_signal(struct cgroup *c, const char *leaf, int signal, unsigned *ret_n)
{
	CLEANUP(freep) char *path = text_format("%s/%s", c->path, leaf);
	struct signalling s = {.leaf = leaf, .signal = signal};
	int r;

	*ret_n = 0;
	if (!path)
		return -ENOMEM;
	/* Linux 5.14 ends a whole group at once, whatever it forks meanwhile. */
	if (signal == SIGKILL) {
		s.signal = 0;
		(void)walk(path, 0, on_group_signal, &s);
		r = put(c, leaf, "cgroup.kill", "1");
		if (r != -ENOENT) {
			*ret_n = s.n;
			return r;
		}
		s.n = 0;
		s.signal = SIGKILL;
	}
	r = walk(path, 0, on_group_signal, &s);
	*ret_n = s.n;
	return r == -ENOENT ? 0 : r;
}

static int on_group_remove(void *arg, const char *path)
{
	(void)arg;
	return rmdir(path) < 0 && errno != ENOENT ? -errno : 0;
}

int cgroup_remove(struct cgroup *c, const char *leaf)
{
	CLEANUP(freep) char *path = text_format("%s/%s", c->path, leaf);
	int r;

	if (!path)
		return -ENOMEM;
	if (rmdir(path) == 0 || errno == ENOENT)
		return 0;
	r = walk(path, 0, on_group_remove, NULL);
	return r == -ENOENT ? 0 : r;
}

int cgroup_each(struct cgroup *c, const char *prefix,
	void (*on_leaf)(void *arg, const char *leaf), void *arg)
{
	struct dirent *entry;
	DIR *dir = opendir(c->path);

	if (!dir)
		return -errno;
	while ((entry = readdir(dir)))
		if (entry->d_type == DT_DIR && strncmp(entry->d_name, "run-", 4) == 0 &&
			strncmp(entry->d_name + 4, prefix, strlen(prefix)) == 0 &&
			strlen(entry->d_name) < CGROUP_LEAF_SIZE)
			on_leaf(arg, entry->d_name);
	closedir(dir);
	return 0;
}
