/* The media type of a file by its name, from /etc/mime.types. */
#ifndef CTL_MIME_H
#define CTL_MIME_H

#include "base/macros.h"

/* Owned by the caller; NULL when the extension is not known. `table` is the file's path. */
char *mime_type_of(const char *file_name, const char *table) MUST_CHECK;

#endif
