/*
 * A copy of the whole store while it is used: so many pages a step, batches between the
 * steps. A page that a batch changes behind the copy is copied once more with its commit, so
 * what comes out is the store as of the last step.
 *
 *	STORE_BACKUP ─► begin ─► step ─► batch ─► step ─► … ─► end ─► a file without a name
 *	                  └───────┴── disk low, cancelled, closing ──► nothing is left of it
 *
 * The copy stands in the state directory, for that is where the daemon may write, and has a
 * name for as long as it grows; one left over by a crash is taken away by the next start.
 * It need not be durable: who reads it stores it elsewhere.
 */
#include "io/store_backup.h"

#include "base/text.h"
#include "io/store_batch.h"
#include "io/store_schema.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define COPY_FILE  STORE_FILE ".backup"
#define STEP_BYTES (512 * 1024) /* about as long as a commit */

void store_backup_clean(struct store *s)
{
	if (unlinkat(s->directory_fd, COPY_FILE, 0) < 0 && errno != ENOENT)
		return; /* begin() will say so */
}

static struct store_backup *current(const struct store *s)
{
	return container_of(s->backup.ops.first, struct store_backup, op);
}

/* As large as the store, and what is to stay free has to. */
static bool has_room(const struct store *s)
{
	struct statvfs vfs;

	return fstatvfs(s->directory_fd, &vfs) < 0 ||
	       (uint64_t)vfs.f_bavail * vfs.f_frsize >= store_dir_bytes(s) + s->min_free;
}

static int open_copy(struct store *s, struct store_backup *b)
{
	CLEANUP(freep) char *path = text_format("%s/" COPY_FILE, s->directory);

	store_backup_clean(s);
	if (!path)
		return -ENOMEM;
	b->fd = openat(s->directory_fd, COPY_FILE,
		O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (b->fd < 0)
		return -errno;
	b->made = true;
	if (sqlite3_open_v2(path, &s->backup.copy,
		    SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) ||
		sqlite3_exec(s->backup.copy,
			"PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; "
			"PRAGMA locking_mode=EXCLUSIVE",
			NULL, NULL, NULL))
		return -EIO;
	s->backup.job = sqlite3_backup_init(s->backup.copy, "main", s->db, "main");
	return s->backup.job ? 0 : -EIO;
}

static int begin(struct store *s)
{
	if (!has_room(s))
		return -ENOSPC;
	s->backup.active = true;
	return open_copy(s, current(s));
}

/* 1: there is more to copy, 0: it is whole. */
static int step(struct store *s)
{
	int pages = STEP_BYTES / (int)s->page_bytes;

	switch (sqlite3_backup_step(s->backup.job, pages) & 0xff) {
	case SQLITE_OK: return 1;
	case SQLITE_DONE: return 0;
	case SQLITE_FULL: return -ENOSPC;
	case SQLITE_NOMEM: return -ENOMEM;
	}
	return -EIO; /* of the copy; that of the store itself shows in the next batch */
}

/* Closes the copy and gives it up to its descriptor. 0, or what went wrong before or now. */
static int end(struct store *s, struct store_backup *b, int error)
{
	struct stat st;

	if (!s->backup.active)
		return error;
	if (sqlite3_backup_finish(s->backup.job) && !error)
		error = -EIO;
	if (sqlite3_close(s->backup.copy) && !error)
		error = -EIO;
	s->backup.job = NULL;
	s->backup.copy = NULL;
	s->backup.active = false;
	store_backup_clean(s);
	if (!error && fstat(b->fd, &st) < 0)
		error = -errno;
	if (!error)
		b->bytes = (uint64_t)st.st_size;
	return error;
}

static void give_back(struct store *s, int result)
{
	struct store_list one = {NULL, NULL};
	struct store_backup *b = current(s);

	result = end(s, b, result);
	store_list_add(&one, store_list_take(&s->backup.ops));
	if (result)
		store_fail_op(&b->op, result);
	else
		b->op.result = 0;
	store_deliver(s, &one, NULL, 0);
}

void store_backup_step(struct store *s)
{
	int r = 0;

	if (atomic_load(&current(s)->cancelled))
		r = -ECANCELED;
	else if (s->stalled || s->low)
		r = -ENOSPC;
	else if (!s->backup.active)
		r = begin(s);
	if (!r)
		r = step(s);
	if (r <= 0)
		give_back(s, r);
	else
		store_check_space(s, false);
}

void store_backup_stop(struct store *s, int error)
{
	while (s->backup.ops.first)
		give_back(s, error);
}
