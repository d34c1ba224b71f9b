/*
 * A layer over SQLite's own VFS (https://www.sqlite.org/vfs.html) that keeps back what is
 * written until something else is asked of the file:
 *
 *	write ─► does it go on where the last one ended? ─► kept back ─┐
 *	              └─ no, or no more room ──────────────────────────┤
 *	anything else that is asked of the file ───────────────────────┴─► one pwrite
 *
 * Nothing is promised later than before: a write was never durable before the sync behind
 * it, and the sync comes after all that was kept back. What could not be written is told by
 * the call that tried; it is then forgotten, as a write that failed is, and SQLite rolls the
 * transaction back.
 *
 * Another connection would not see what is kept back. There is none (store_schema.c).
 */
#include "io/store_vfs.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* The VFS for Unix takes less than 128 KiB at a time: of a size it keeps the lower 17 bits. */
#define ROOM (120 * 1024)

struct joined_file {
	sqlite3_file base;
	sqlite3_file *real; /* behind this struct */
	char *kept;         /* ROOM bytes, or NULL as long as nothing was written */
	int n_kept;
	sqlite3_int64 kept_at; /* where they go */
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
	return n ? f->real->pMethods->xWrite(f->real, f->kept, n, f->kept_at) : SQLITE_OK;
}

static int joined_write(sqlite3_file *file, const void *data, int n, sqlite3_int64 at)
{
	struct joined_file *f = joined(file);

	if (f->n_kept && (at != f->kept_at + f->n_kept || n > ROOM - f->n_kept)) {
		int code = flush(file);
		if (code)
			return code;
	}
	if (!f->kept)
		f->kept = malloc(ROOM);
	if (!f->kept || n > ROOM)
		return f->real->pMethods->xWrite(f->real, data, n, at);
	if (!f->n_kept)
		f->kept_at = at;
	memcpy(f->kept + f->n_kept, data, (size_t)n);
	f->n_kept += n;
	return SQLITE_OK;
}

static int joined_read(sqlite3_file *file, void *data, int n, sqlite3_int64 at)
{
	int code = flush(file);

	return code ? code : real(file)->pMethods->xRead(real(file), data, n, at);
}

static int joined_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	int code = flush(file);

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

	free(joined(file)->kept);
	joined(file)->kept = NULL;
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
