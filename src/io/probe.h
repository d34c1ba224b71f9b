/*
 * Would it work? Looks at a program, a directory or a socket as this very process would meet
 * it, with its user, its mounts and its limits, and says in words what stands in the way. For
 * the doctor; a path on a file server that is away may keep a caller for as long as the kernel
 * likes, so none of this is called on the loop.
 *
 * Each: 0, it would; 1, it would not, and why was added to `why`, one line without an end.
 */
#ifndef IO_PROBE_H
#define IO_PROBE_H

#include "base/text.h"

/* To be executed: `name` as execve(2) takes it, or one to be looked for in `path_list` like
 * PATH. Its interpreter too, where it begins with #!. */
int probe_program(const char *name, const char *path_list, struct text *why) MUST_CHECK;
/* To be entered, and with `write` to make files in. */
int probe_directory(const char *path, bool write, struct text *why) MUST_CHECK;
/* A listening socket of the file system, to be connected to; nobody is connected to it. */
int probe_socket(const char *path, struct text *why) MUST_CHECK;

#endif
