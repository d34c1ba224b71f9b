/*
 * A copy of a store in a file: is it one, and is it whole; and how it becomes the store again
 * while no daemon runs. For callbackctl; nothing here is called by the daemon. Synchronous.
 */
#ifndef IO_STORE_COPY_H
#define IO_STORE_COPY_H

#include "base/bytes.h"

#include <stdint.h>

struct store_copy_facts {
	uint64_t bytes, jobs, runs;
	int version;   /* of the schema */
	char name[16]; /* of the store: run ids are NAME-NUMBER */
};

/* Reads all of it. 0, or negative errno with *ret_error (owned): -EBADMSG damaged, cut short
 * or no store of ours; -ENOTSUP of a newer program. */
int store_copy_check(
	const char *path, struct store_copy_facts *ret, char **ret_error) MUST_CHECK;

/*
 * Puts the copy at `path` in the place of the store in `directory`, which has to be there.
 * What stands there is kept under the name in *ret_aside (owned; NULL when nothing did). The
 * copy is checked before anything is moved; a crash midway leaves the old store, the new one,
 * or both under names that the daemon takes for neither. Numbers of runs and changes go on so
 * far behind those of the copy that none is given twice, whatever the lost life gave.
 * -EBUSY: a daemon has it. Else as above.
 */
int store_copy_restore(const char *directory, const char *path,
	struct store_copy_facts *ret, char **ret_aside, char **ret_error) MUST_CHECK;

#endif
