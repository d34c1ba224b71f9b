/*
 * A file that remembers up to where a consumer was told: the number of the last change, and
 * the name of the store it is of.
 */
#ifndef CTL_CURSOR_H
#define CTL_CURSOR_H

#include "ctl/follow.h"

struct cursor {
	bool known; /* false: there is no file */
	uint64_t seq;
	char store[FOLLOW_STORE_SIZE]; /* "": not known */
};

/* 0, also where there is no such file; or told and the exit status. */
int cursor_read(const char *path, struct cursor *ret) MUST_CHECK;
/* At once whole or not at all: written beside it and renamed. 0, or told and the exit
 * status. */
int cursor_write(const char *path, const struct cursor *c) MUST_CHECK;

#endif
