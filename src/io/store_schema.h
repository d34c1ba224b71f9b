/*
 * The tables, by number: a database at version N is brought to the newest by the steps N,
 * N+1, …, each in a transaction of its own. A step that has been in the world is never
 * changed; new ones are added at the end. For store_schema.c and the tests of the store.
 */
#ifndef IO_STORE_SCHEMA_H
#define IO_STORE_SCHEMA_H

#define STORE_APPLICATION_ID 0x63626b64 /* "cbkd" */
#define STORE_FILE           "callbackd.db"

/* enum store_lane of a job's row, as the index job_ask has it. */
#define STORE_LANE_SQL                                    \
	"CASE WHEN expected > 0 OR confirmed > 0 THEN 0 " \
	"WHEN asked = 0 THEN 1 ELSE 2 END"

#define STORE_SCHEMA_IDS 6 /* the version from which on there is job_hash */

extern const char *const store_schema_steps[];
extern const int store_schema_newest; /* how many steps there are */

#endif
