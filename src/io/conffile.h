/*
 * The configuration's files: FILE, then FILE.d/ *.conf by name; secrets from
 * $CREDENTIALS_DIRECTORY or from beside the file. Reading only; what it means is
 * rules/config.h's.
 */
#ifndef IO_CONFFILE_H
#define IO_CONFFILE_H

#include "rules/config.h"

/*
 * Reads all and builds. Results as config_build(); a file that cannot be read is an error
 * in the report ("FILE: No such file or directory"). `checking` is -n.
 */
int conffile_load(const char *path, bool checking, struct config_report *report,
	struct config **ret) MUST_CHECK;

#endif
