/*
 * A record on its way from the caller's thread to the log thread: one block of memory,
 * either the fields for journald (NAME=value, as sd_journal_sendv takes them) or one line
 * for a person. Made by log_record.c, sent by log_send.c, freed with free().
 */
#ifndef IO_LOG_RECORD_H
#define IO_LOG_RECORD_H

#include "io/log.h"

#include <sys/queue.h>

#define LOG_FIELDS_MAX    20
#define LOG_FIELD_BYTES   256  /* of one value from outside */
#define LOG_LINE_BYTES    8192 /* of a line of a hook's output */
#define LOG_MESSAGE_BYTES 4096 /* of a text of ours */

enum log_sink {
	LOG_TO_STDERR,
	LOG_TO_STREAM, /* stderr leads to journald, but as a stream: lines with <N> */
	LOG_TO_JOURNAL,
};

struct log_record {
	STAILQ_ENTRY(log_record) link;
	size_t size; /* of the data */
	unsigned n_fields;
	uint32_t ends[LOG_FIELDS_MAX]; /* where each field ends */
	char data[];
};

/* The record, owned by the caller; NULL when memory is short. `identifier` NULL: ours. */
struct log_record *log_record_new(enum log_sink sink, enum log_kind kind, int priority,
	const char *identifier, const struct log_fields *fields, struct bytes message,
	size_t max_message) MUST_CHECK;
int log_kind_priority(enum log_kind kind);
const char *log_kind_name(enum log_kind kind);

#endif
