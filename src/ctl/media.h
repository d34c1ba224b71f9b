/*
 * How long a sound or a film lasts, where its file says so in a place that is quickly found:
 * the header of a WAV (RIFF) file, the movie header of an MP4 or QuickTime file (ISO/IEC
 * 14496-12). A pure function of what the reader gives; it reads some hundred bytes.
 */
#ifndef CTL_MEDIA_H
#define CTL_MEDIA_H

#include "base/macros.h"

#include <stdbool.h>
#include <stdint.h>

struct media_file {
	/* All `size` bytes at `offset`, or false. */
	bool (*read_at)(void *arg, uint64_t offset, void *buffer, size_t size);
	void *arg;
	uint64_t size_bytes;
};

/* Seconds; 0: not known. */
double media_seconds(const struct media_file *f) MUST_CHECK;
/* The same of an open file. */
double media_seconds_of(int fd, uint64_t size_bytes) MUST_CHECK;

#endif
