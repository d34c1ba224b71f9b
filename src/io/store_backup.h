/* A copy of the store while it is used; for store_writer.c, on its thread. */
#ifndef IO_STORE_BACKUP_H
#define IO_STORE_BACKUP_H

#include "io/store_private.h"

/* The next step of the first that waits, which goes back to the loop when it is whole or has
 * failed. Outside of a transaction, and only while one waits. */
void store_backup_step(struct store *s);
/* All that wait go back with this error. */
void store_backup_stop(struct store *s, int error);
/* What a former life left. */
void store_backup_clean(struct store *s);

#endif
