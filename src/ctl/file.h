/* A small file, whole. */
#ifndef CTL_FILE_H
#define CTL_FILE_H

#include "base/text.h"

/* "-" is standard input. 0, negative errno, -EFBIG beyond `max`. */
int file_read(const char *path, size_t max, struct text *ret) MUST_CHECK;

#endif
