/*
 * How the database's files are written: pages that lie side by side go to the kernel in one
 * write. SQLite hands over each page of the log by two calls (its header, its content) and
 * each page that is carried over by one; at a batch of 20 callbacks that is 60 system calls
 * where one will do. What is read page after page, as the log when it is carried over, comes in
 * large pieces.
 */
#ifndef IO_STORE_VFS_H
#define IO_STORE_VFS_H

#include "base/macros.h"

/* Makes the VFS known to SQLite, once for the process: its name for sqlite3_open_v2(), or
 * NULL if memory is short. It offers no shared memory: a log in its files is for a
 * connection with locking_mode=EXCLUSIVE alone. */
const char *store_vfs_name(void) MUST_CHECK;

#endif
