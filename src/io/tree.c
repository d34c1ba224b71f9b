/*
 * Reading /proc, and the hunt. A scan is no snapshot: processes come and go while it is
 * made, hence the second look of every promise here. Costs about 15 µs a process.
 */
#include "io/tree.h"

#include "base/clock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* After so many rounds of stopping we kill whether or not all stand still. */
#define STOP_ROUNDS   24
#define WAIT_MSEC_MAX 50

struct tree_mark {
	pid_t pid;
	uint64_t start_ticks;
};

/* proc_pid_stat(5): the name may hold blanks and brackets, so count from the last ')'. */
static int parse_stat(const char *line, struct tree_process *ret)
{
	const char *rest = strrchr(line, ')');
	unsigned long long start;
	int parent, group, session;
	long n_threads;
	char state;

	if (!rest)
		return -EINVAL;
	if (sscanf(rest + 1,
		    " %c %d %d %d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d"
		    " %ld %*d %llu",
		    &state, &parent, &group, &session, &n_threads, &start) != 6)
		return -EINVAL;
	/* A first thread that has ended leaves a 'Z' although the others run on. */
	*ret = (struct tree_process){
		.parent = parent,
		.group = group,
		.session = session,
		.start_ticks = start,
		.dead = (state == 'Z' || state == 'X') && n_threads <= 1,
		.halted = state == 'T' || state == 't',
	};
	return 0;
}

static int read_process(int proc, pid_t pid, struct tree_process *ret)
{
	char path[32], line[1024];
	int fd, r;
	ssize_t n;

	snprintf(path, sizeof(path), "%d/stat", (int)pid);
	fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, line, sizeof(line) - 1);
	r = n < 0 ? -errno : 0;
	close(fd);
	if (r < 0)
		return r;
	line[n] = 0;
	r = parse_stat(line, ret);
	ret->pid = pid;
	return r;
}

static int add(struct tree *t, const struct tree_process *p)
{
	if (t->size == t->room) {
		size_t room = t->room ? t->room * 2 : 256;
		struct tree_process *list = reallocarray(t->list, room, sizeof(*list));

		if (!list)
			return -ENOMEM;
		t->list = list;
		t->room = room;
	}
	t->list[t->size++] = *p;
	return 0;
}

static int compare_pid(const void *a, const void *b)
{
	const struct tree_process *p = a, *q = b;

	return (p->pid > q->pid) - (p->pid < q->pid);
}

int tree_scan(struct tree *t)
{
	struct dirent *entry;
	int r = 0;
	DIR *proc;

	t->size = 0;
	proc = opendir("/proc");
	if (!proc)
		return -errno;
	while (errno = 0, (entry = readdir(proc))) {
		struct tree_process p = {0};
		char *end;
		long pid = strtol(entry->d_name, &end, 10);

		if (*end || pid <= 0)
			continue;
		r = read_process(dirfd(proc), (pid_t)pid, &p);
		if (r == -ENOENT || r == -ESRCH || r == -EACCES || r == -EPERM ||
			r == -EINVAL) {
			r = 0; /* gone meanwhile, or hidden from us: not ours */
			continue;
		}
		if (r == 0)
			r = add(t, &p);
		if (r < 0)
			break;
	}
	if (r == 0 && !entry && errno)
		r = -errno;
	closedir(proc);
	if (r == 0 && t->size)
		qsort(t->list, t->size, sizeof(*t->list), compare_pid);
	return r;
}

void tree_fini(struct tree *t)
{
	free(t->list);
	*t = TREE_EMPTY;
}

struct tree_process *tree_find(const struct tree *t, pid_t pid)
{
	const struct tree_process key = {.pid = pid};

	if (!t->size)
		return NULL;
	return bsearch(&key, t->list, t->size, sizeof(*t->list), compare_pid);
}

bool tree_descends(const struct tree *t, const struct tree_process *p, pid_t ancestor)
{
	/* Counted: a scan that is not of one moment could show a ring. */
	for (size_t i = 0; p && i <= t->size; i++) {
		if (p->parent == ancestor)
			return true;
		p = tree_find(t, p->parent);
	}
	return false;
}

/*
 * The environment may be of any size and the read may end anywhere, so the bytes go
 * through one by one: `at` is the place in the variable, `matched` whether its beginning
 * was the name so far.
 */
bool tree_run_id(pid_t pid, char ret[static TREE_RUN_SIZE])
{
	static const char name[] = "CALLBACK_RUN=";
	const size_t name_size = sizeof(name) - 1;
	char path[32], chunk[16384];
	bool matched = true, found = false;
	size_t at = 0;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/environ", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	while (!found && (n = read(fd, chunk, sizeof(chunk))) > 0)
		for (ssize_t i = 0; i < n && !found; i++) {
			char c = chunk[i];

			if (matched && at >= name_size) {
				if (at - name_size == TREE_RUN_SIZE)
					matched = false;
				else
					ret[at - name_size] = c;
				found = matched && c == 0;
			} else if (matched && c != name[at]) {
				matched = false;
			}
			at++;
			if (c == 0) {
				at = 0;
				matched = true;
			}
		}
	close(fd);
	return found;
}

bool tree_is_ours(pid_t pid)
{
	char path[32];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	return stat(path, &st) == 0 && st.st_uid == geteuid();
}

static int read_again(pid_t pid, struct tree_process *ret)
{
	int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (proc < 0)
		return -errno;
	r = read_process(proc, pid, ret);
	close(proc);
	return r;
}

/* Children of this thread, the only one that has any; at most `room`. Their numbers are
 * theirs until we wait for them, so kill(2) is exact. */
static size_t list_children(pid_t *ret, size_t room)
{
	FILE *f = fopen("/proc/thread-self/children", "re");
	size_t n = 0;

	while (f && n < room && fscanf(f, "%d", &ret[n]) == 1)
		n++;
	if (f)
		fclose(f);
	return n;
}

static bool still_there(const struct tree_process *p)
{
	struct tree_process now = {0};

	return read_again(p->pid, &now) == 0 && now.start_ticks == p->start_ticks;
}

int tree_signal(const struct tree_process *p, int signal)
{
	int r = 0, fd;

	if (p->pid <= 1 || p->pid == getpid())
		return -EPERM;
	fd = pidfd_open(p->pid, 0);
	if (fd < 0 && errno == ESRCH)
		return -ESRCH;
	/* The comparison comes after the opening: what is the same now is what we hold.
	 */
	if (!still_there(p))
		r = -ESRCH;
	else if (fd >= 0)
		r = pidfd_send_signal(fd, signal, NULL, 0) < 0 ? -errno : 0;
	else /* no pidfd here, or no descriptor free: the smallest window there is */
		r = kill(p->pid, signal) < 0 ? -errno : 0;
	if (fd >= 0)
		close(fd);
	return r;
}

static bool is_marked(const struct tree_hunt *h, const struct tree_process *p)
{
	for (size_t i = 0; i < h->n_marks; i++)
		if (h->marks[i].pid == p->pid &&
			h->marks[i].start_ticks == p->start_ticks)
			return true;
	return false;
}

static int mark(struct tree_hunt *h, const struct tree_process *p)
{
	if (h->n_marks == h->room) {
		size_t room = h->room ? h->room * 2 : 16;
		struct tree_mark *marks = reallocarray(h->marks, room, sizeof(*marks));

		if (!marks)
			return -ENOMEM;
		h->marks = marks;
		h->room = room;
	}
	h->marks[h->n_marks++] = (struct tree_mark){p->pid, p->start_ticks};
	return 0;
}

int tree_hunt_step(
	struct tree_hunt *h, const struct tree *t, tree_is_prey *is_prey, void *arg)
{
	size_t left = 0, moving = 0;
	int error = 0;

	for (size_t i = 0; i < t->size; i++) {
		const struct tree_process *p = &t->list[i];
		/* Who was found once stays found: his parents may be gone by now, and
		 * his environment too while he is dying. */
		bool known = !p->dead && is_marked(h, p);

		if (p->dead || (!known && !is_prey(arg, p)))
			continue;
		left++;
		if (!known && mark(h, p) < 0)
			error = -ENOMEM;
		if (!known || !p->halted)
			moving++;
		(void)tree_signal(p, h->killing ? SIGKILL : SIGSTOP);
	}
	h->rounds++;
	if (left == 0) {
		/* A child of a dead one may have slipped through under the reader's eyes:
		 * only a second empty look counts. */
		h->clean++;
		return h->clean >= 2 ? 0 : 1;
	}
	h->clean = 0;
	if (error < 0)
		return error;
	if (!h->killing) {
		/* Twice for the same reason; then nobody is lost when the parents go. */
		h->quiet = moving ? 0 : h->quiet + 1;
		if (h->quiet >= 2 || h->rounds >= STOP_ROUNDS) {
			h->killing = true;
			h->rounds = 0;
			return tree_hunt_step(h, t, is_prey, arg);
		}
		return 1;
	}
	return h->rounds < WAIT_MSEC_MAX ? (int)h->rounds : WAIT_MSEC_MAX;
}

void tree_hunt_fini(struct tree_hunt *h)
{
	free(h->marks);
	*h = (struct tree_hunt){0};
}

int tree_hunt_all(struct tree *scan, tree_is_prey *is_prey, void *arg, uint64_t max_usec,
	unsigned *ret_n)
{
	uint64_t deadline = clock_kernel_usec() + max_usec;
	struct tree_hunt h = {0};
	int r;

	for (;;) {
		r = tree_scan(scan);
		if (r == 0) {
			r = tree_hunt_step(&h, scan, is_prey, arg);
			if (r == 0)
				break;
		}
		if (clock_kernel_usec() >= deadline) {
			r = r < 0 ? r : -ETIME;
			break;
		}
		poll(NULL, 0, r < 0 ? 10 : r);
	}
	*ret_n = (unsigned)h.n_marks;
	tree_hunt_fini(&h);
	return r;
}

bool tree_end_children(uint64_t max_usec)
{
	uint64_t deadline = clock_kernel_usec() + max_usec;
	unsigned rounds = 0;

	for (;;) {
		pid_t pids[64], pid;
		size_t n;

		while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
			;
		if (pid < 0)
			return true; /* ECHILD */
		n = list_children(pids, ARRAY_SIZE(pids));
		for (size_t i = 0; i < n; i++)
			kill(pids[i], SIGKILL);
		if (clock_kernel_usec() >= deadline)
			return false;
		if (n == 0) /* a kernel without that file (CONFIG_PROC_CHILDREN) */
			poll(NULL, 0, 5);
		/* Without a pause at first: who forks and dies is quick. */
		if (++rounds > 100)
			poll(NULL, 0, 1);
	}
}
