/*
 * A layer over SQLite's own VFS (https://www.sqlite.org/vfs.html) that keeps back what is
 * written until something else is asked of the file:
 *
 *	write ─► does it go on where the last one ended? ─► kept back ─┐
 *	              └─ no, or no more room ──────────────────────────┤
 *	anything else that is asked of the file ───────────────────────┴─► one pwrite
 *
 * And what is read where the last read ended comes with what follows it, as long as nothing
 * is written: so the log is carried over.
 *
 * Nothing is promised later than before: a write was never durable before the sync behind
 * it, and the sync comes after all that was kept back. What could not be written is told by
 * the call that tried; it is then forgotten, as a write that failed is, and SQLite rolls the
 * transaction back.
 *
 * Another connection would not see what is kept back, nor we what it wrote into what was read
 * ahead. There is none (store_schema.c).
 */
#include "io/store_vfs.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* The VFS for Unix takes less than 128 KiB at a time: of a size it keeps the lower 17 bits. */
#define ROOM (120 * 1024)
/* A read goes on where the last one ended, or behind the head of a frame of the log. */
#define GAP 24

struct joined_file {
	sqlite3_file base;
	sqlite3_file *real; /* behind this struct */
	char *room; /* ROOM bytes for one of the two, or NULL as long as none is */
	int n_kept;
	sqlite3_int64 kept_at; /* where they go */
	int n_ahead;
	sqlite3_int64 ahead_at, read_to;
};

static sqlite3_vfs *below;
static sqlite3_vfs joined_vfs;
static bool is_known;

static struct joined_file *joined(sqlite3_file *file)
{
	return (struct joined_file *)file;
}

static sqlite3_file *real(sqlite3_file *file)
{
	return joined(file)->real;
}

static int flush(sqlite3_file *file)
{
	struct joined_file *f = joined(file);
	int n = f->n_kept;

	f->n_kept = 0;
	return n ? f->real->pMethods->xWrite(f->real, f->room, n, f->kept_at) : SQLITE_OK;
}

static bool has_room(struct joined_file *f)
{
	if (!f->room)
		f->room = malloc(ROOM);
	return f->room;
}

static int joined_write(sqlite3_file *file, const void *data, int n, sqlite3_int64 at)
{
	struct joined_file *f = joined(file);

	f->n_ahead = 0;
	if (f->n_kept && (at != f->kept_at + f->n_kept || n > ROOM - f->n_kept)) {
		int code = flush(file);
		if (code)
			return code;
	}
	if (n > ROOM || !has_room(f))
		return f->real->pMethods->xWrite(f->real, data, n, at);
	if (!f->n_kept)
		f->kept_at = at;
	memcpy(f->room + f->n_kept, data, (size_t)n);
	f->n_kept += n;
	return SQLITE_OK;
}

static bool is_ahead(const struct joined_file *f, int n, sqlite3_int64 at)
{
	return at >= f->ahead_at && at + n <= f->ahead_at + f->n_ahead;
}

/* From `at` on, as far as the file goes. Where it fails, the read itself will say how. */
static void read_ahead(struct joined_file *f, sqlite3_int64 at)
{
	sqlite3_int64 size;

	f->n_ahead = 0;
	if (!has_room(f) || f->real->pMethods->xFileSize(f->real, &size) || size <= at)
		return;
	int n = size - at < ROOM ? (int)(size - at) : ROOM;
	if (f->real->pMethods->xRead(f->real, f->room, n, at))
		return;
	f->ahead_at = at;
	f->n_ahead = n;
}

static int joined_read(sqlite3_file *file, void *data, int n, sqlite3_int64 at)
{
	struct joined_file *f = joined(file);
	int code = flush(file);

	if (code)
		return code;
	if (!is_ahead(f, n, at) && at >= f->read_to && at - f->read_to <= GAP)
		read_ahead(f, at);
	f->read_to = at + n;
	if (!is_ahead(f, n, at))
		return f->real->pMethods->xRead(f->real, data, n, at);
	memcpy(data, f->room + (at - f->ahead_at), (size_t)n);
	return SQLITE_OK;
}

static int joined_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	int code = flush(file);

	joined(file)->n_ahead = 0;
	return code ? code : real(file)->pMethods->xTruncate(real(file), size);
}

static int joined_sync(sqlite3_file *file, int flags)
{
	int code = flush(file);

	return code ? code : real(file)->pMethods->xSync(real(file), flags);
}

static int joined_size(sqlite3_file *file, sqlite3_int64 *ret)
{
	int code = flush(file);

	return code ? code : real(file)->pMethods->xFileSize(real(file), ret);
}

static int joined_close(sqlite3_file *file)
{
	int code = flush(file);

	free(joined(file)->room);
	joined(file)->room = NULL;
	joined(file)->n_ahead = 0;
	int closed = real(file)->pMethods->xClose(real(file));
	return code ? code : closed;
}

static int joined_lock(sqlite3_file *file, int level)
{
	return real(file)->pMethods->xLock(real(file), level);
}

static int joined_unlock(sqlite3_file *file, int level)
{
	int code = flush(file);
	int unlocked = real(file)->pMethods->xUnlock(real(file), level);

	return code ? code : unlocked;
}

static int joined_check_reserved(sqlite3_file *file, int *ret)
{
	return real(file)->pMethods->xCheckReservedLock(real(file), ret);
}

static int joined_control(sqlite3_file *file, int op, void *arg)
{
	int code = flush(file); /* it may be "commit what was written", as one piece */

	return code ? code : real(file)->pMethods->xFileControl(real(file), op, arg);
}

static int joined_sector_size(sqlite3_file *file)
{
	return real(file)->pMethods->xSectorSize(real(file));
}

static int joined_characteristics(sqlite3_file *file)
{
	return real(file)->pMethods->xDeviceCharacteristics(real(file));
}

static const sqlite3_io_methods joined_methods = {
	.iVersion = 1, /* neither shared memory nor mapped pages */
	.xClose = joined_close,
	.xRead = joined_read,
	.xWrite = joined_write,
	.xTruncate = joined_truncate,
	.xSync = joined_sync,
	.xFileSize = joined_size,
	.xLock = joined_lock,
	.xUnlock = joined_unlock,
	.xCheckReservedLock = joined_check_reserved,
	.xFileControl = joined_control,
	.xSectorSize = joined_sector_size,
	.xDeviceCharacteristics = joined_characteristics,
};

static int joined_open(
	sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *ret_flags)
{
	struct joined_file *f = joined(file);

	(void)vfs;
	*f = (struct joined_file){.real = (sqlite3_file *)(f + 1)};
	int code = below->xOpen(below, name, f->real, flags, ret_flags);
	/* As SQLite has it: what has methods is closed, even if it could not be opened. */
	if (f->real->pMethods)
		f->base.pMethods = &joined_methods;
	return code;
}

static void make_known(void)
{
	below = sqlite3_vfs_find(NULL);
	if (!below)
		return;
	joined_vfs = *below;
	joined_vfs.zName = "callbackd";
	joined_vfs.pNext = NULL;
	joined_vfs.szOsFile += (int)sizeof(struct joined_file);
	joined_vfs.xOpen = joined_open;
	is_known = sqlite3_vfs_register(&joined_vfs, 0) == SQLITE_OK;
}

const char *store_vfs_name(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, make_known);
	return is_known ? joined_vfs.zName : NULL;
}
