/*
 * A layer between the database and its files that fails on demand: what is written to the
 * log, what is synced, and what was not when somebody was answered. Include in one file
 * of a test; the store knows nothing of it. shim_install() before the first store_open().
 *
 * It offers no shared memory, so the log works only where the connection is exclusive
 * from its first look at the file.
 */
#ifndef STORE_SHIM_H
#define STORE_SHIM_H

#include <sqlite3.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

static struct {
	atomic_int write_countdown, sync_countdown; /* 1: the next one fails; 0: none */
	atomic_int write_error, sync_error;         /* and every one after it */
	atomic_bool database_sync_fails; /* that of the database, not the log's */
	atomic_bool failing;             /* it began */
	atomic_bool blocked;             /* syncs wait while this is set */
	atomic_bool waiting;             /* one does */
	atomic_bool unsynced;            /* the log has what is not synced */
	atomic_int writes, log_writes, log_syncs; /* writes: to any file */
	atomic_int reads, reads_to_fail;          /* so many from now on do */
} shim;

struct shim_file {
	sqlite3_file base;
	bool is_log;
	sqlite3_file *real; /* behind this struct */
};

static sqlite3_vfs *shim_below;
static sqlite3_vfs shim_vfs;

#define BELOW(file) (((struct shim_file *)(file))->real)

static int shim_close(sqlite3_file *f)
{
	return BELOW(f)->pMethods->xClose(BELOW(f));
}

static int shim_read(sqlite3_file *f, void *data, int n, sqlite3_int64 at)
{
	shim.reads++;
	if (shim.reads_to_fail > 0) {
		shim.reads_to_fail--;
		memset(data, '?', (size_t)n);
		return SQLITE_IOERR_READ;
	}
	return BELOW(f)->pMethods->xRead(BELOW(f), data, n, at);
}

static bool shim_hits(atomic_int *countdown)
{
	return *countdown > 0 && (*countdown == 1 || --*countdown == 0);
}

static int shim_write(sqlite3_file *f, const void *data, int n, sqlite3_int64 at)
{
	if (shim_hits(&shim.write_countdown)) {
		shim.failing = true;
		return shim.write_error;
	}
	shim.writes++;
	if (((struct shim_file *)f)->is_log) {
		shim.unsynced = true;
		shim.log_writes++;
	}
	return BELOW(f)->pMethods->xWrite(BELOW(f), data, n, at);
}

static int shim_truncate(sqlite3_file *f, sqlite3_int64 size)
{
	shim.writes++;
	return BELOW(f)->pMethods->xTruncate(BELOW(f), size);
}

static int shim_sync(sqlite3_file *f, int flags)
{
	while (shim.blocked) {
		shim.waiting = true;
		usleep(1000);
	}
	bool is_log = ((struct shim_file *)f)->is_log;
	if ((shim.database_sync_fails && !is_log) || shim_hits(&shim.sync_countdown)) {
		shim.failing = true;
		return shim.sync_error;
	}
	int code = BELOW(f)->pMethods->xSync(BELOW(f), flags);
	if (!code && is_log) {
		shim.unsynced = false;
		shim.log_syncs++;
	}
	return code;
}

static int shim_size(sqlite3_file *f, sqlite3_int64 *size)
{
	return BELOW(f)->pMethods->xFileSize(BELOW(f), size);
}

static int shim_lock(sqlite3_file *f, int level)
{
	return BELOW(f)->pMethods->xLock(BELOW(f), level);
}

static int shim_unlock(sqlite3_file *f, int level)
{
	return BELOW(f)->pMethods->xUnlock(BELOW(f), level);
}

static int shim_reserved(sqlite3_file *f, int *ret)
{
	return BELOW(f)->pMethods->xCheckReservedLock(BELOW(f), ret);
}

static int shim_control(sqlite3_file *f, int op, void *arg)
{
	return BELOW(f)->pMethods->xFileControl(BELOW(f), op, arg);
}

static int shim_sector(sqlite3_file *f)
{
	return BELOW(f)->pMethods->xSectorSize(BELOW(f));
}

static int shim_device(sqlite3_file *f)
{
	return BELOW(f)->pMethods->xDeviceCharacteristics(BELOW(f));
}

static const sqlite3_io_methods shim_methods = {
	.iVersion = 1,
	.xClose = shim_close,
	.xRead = shim_read,
	.xWrite = shim_write,
	.xTruncate = shim_truncate,
	.xSync = shim_sync,
	.xFileSize = shim_size,
	.xLock = shim_lock,
	.xUnlock = shim_unlock,
	.xCheckReservedLock = shim_reserved,
	.xFileControl = shim_control,
	.xSectorSize = shim_sector,
	.xDeviceCharacteristics = shim_device,
};

static int shim_open(
	sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *ret_flags)
{
	struct shim_file *f = (struct shim_file *)file;

	(void)vfs;
	memset(f, 0, sizeof(*f));
	f->real = (sqlite3_file *)(f + 1);
	f->is_log = flags & SQLITE_OPEN_WAL;
	int code = shim_below->xOpen(shim_below, name, f->real, flags, ret_flags);
	if (!code)
		f->base.pMethods = &shim_methods;
	return code;
}

static void shim_reset(void)
{
	shim.write_countdown = shim.sync_countdown = 0;
	shim.database_sync_fails = false;
	shim.failing = shim.blocked = shim.waiting = shim.unsynced = false;
	shim.writes = shim.log_writes = shim.log_syncs = 0;
	shim.reads = shim.reads_to_fail = 0;
}

static void shim_install(void)
{
	shim_below = sqlite3_vfs_find(NULL);
	shim_vfs = *shim_below;
	shim_vfs.zName = "shim";
	shim_vfs.szOsFile += (int)sizeof(struct shim_file);
	shim_vfs.xOpen = shim_open;
	sqlite3_vfs_register(&shim_vfs, 1);
}

#endif
