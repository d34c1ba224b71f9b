/*
 * The media type of a file by its name: from /etc/mime.types, which is the administrator's,
 * else from the shared MIME database (freedesktop.org, globs2).
 */
#ifndef CTL_MIME_H
#define CTL_MIME_H

#include "base/macros.h"

#define MIME_TYPES "/etc/mime.types"
#define MIME_GLOBS "/usr/share/mime/globs2"

/* Owned by the caller; NULL when the name says nothing. The tables' paths; one that cannot
 * be read knows nothing. */
char *mime_type_of(
	const char *file_name, const char *types, const char *globs) MUST_CHECK;

#endif
