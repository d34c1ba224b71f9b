/*
 * Both formats are boxes with a size and a name. Sizes are not believed: a box never ends
 * behind the one it stands in, and no more than BOXES_MAX are looked at.
 */
#include "ctl/media.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define BOXES_MAX   256
#define SECONDS_MAX 1e8

static uint64_t little(const unsigned char *p, size_t n)
{
	uint64_t v = 0;

	while (n-- > 0)
		v = v << 8 | p[n];
	return v;
}

static uint64_t big(const unsigned char *p, size_t n)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++)
		v = v << 8 | p[i];
	return v;
}

static double sound(double seconds)
{
	return seconds > 0 && seconds < SECONDS_MAX ? seconds : 0;
}

/* RIFF: "fmt " says how many bytes a second take, "data" how many there are. */
static double of_wav(const struct media_file *f)
{
	uint64_t at = 12, byte_rate = 0;
	unsigned char head[8], format[16];

	for (int i = 0; i < BOXES_MAX; i++) {
		uint64_t size, left;

		if (f->size_bytes < 8 || at > f->size_bytes - 8 ||
			!f->read_at(f->arg, at, head, sizeof(head)))
			return 0;
		at += 8;
		left = f->size_bytes - at;
		size = little(head + 4, 4);
		if (memcmp(head, "data", 4) == 0) /* unknown sizes are all ones, or 0 */
			return byte_rate == 0
				       ? 0
				       : sound((double)(size && size < left ? size
									    : left) /
						 (double)byte_rate);
		if (memcmp(head, "fmt ", 4) == 0) {
			if (size < sizeof(format) || left < sizeof(format) ||
				!f->read_at(f->arg, at, format, sizeof(format)))
				return 0;
			byte_rate = little(format + 8, 4);
		}
		size += size & 1; /* chunks begin at even places */
		if (size > left)
			return 0;
		at += size;
	}
	return 0;
}

/* Finds the box `name` in [*at, *end), which become what is inside it. */
static bool enter(
	const struct media_file *f, const char *name, uint64_t *at, uint64_t *end)
{
	unsigned char head[16];

	for (int i = 0; i < BOXES_MAX; i++) {
		uint64_t left = *end - *at, size, head_size = 8;

		if (left < 8 || !f->read_at(f->arg, *at, head, 8))
			return false;
		size = big(head, 4);
		if (size == 1) { /* the size stands behind the name */
			head_size = 16;
			if (left < 16 || !f->read_at(f->arg, *at, head, 16))
				return false;
			size = big(head + 8, 8);
		} else if (size == 0) {
			size = left; /* up to the end */
		}
		if (size < head_size || size > left)
			return false;
		if (memcmp(head + 4, name, 4) == 0) {
			*end = *at + size;
			*at += head_size;
			return true;
		}
		*at += size;
	}
	return false;
}

static double of_mp4(const struct media_file *f)
{
	uint64_t at = 0, end = f->size_bytes, scale, length, unknown;
	unsigned char b[32];
	size_t size;

	if (!enter(f, "moov", &at, &end) || !enter(f, "mvhd", &at, &end) ||
		end - at < 20 || !f->read_at(f->arg, at, b, 20))
		return 0;
	/* version, flags, made, changed, scale, length; version 1 has long times */
	size = b[0] == 1 ? 8 : 4;
	if (size == 8 && (end - at < 32 || !f->read_at(f->arg, at, b, 32)))
		return 0;
	scale = big(b + 4 + 2 * size, 4);
	length = big(b + 8 + 2 * size, size);
	unknown = size == 8 ? UINT64_MAX : UINT32_MAX;
	return scale == 0 || length == unknown ? 0
					       : sound((double)length / (double)scale);
}

double media_seconds(const struct media_file *f)
{
	unsigned char head[12];

	if (f->size_bytes < sizeof(head) || !f->read_at(f->arg, 0, head, sizeof(head)))
		return 0;
	if (memcmp(head, "RIFF", 4) == 0 && memcmp(head + 8, "WAVE", 4) == 0)
		return of_wav(f);
	if (memcmp(head + 4, "ftyp", 4) == 0 || memcmp(head + 4, "moov", 4) == 0)
		return of_mp4(f);
	return 0;
}

static bool read_at(void *arg, uint64_t offset, void *buffer, size_t size)
{
	const int *fd = arg;
	ssize_t n;

	do
		n = pread(*fd, buffer, size, (off_t)offset);
	while (n < 0 && errno == EINTR);
	return n >= 0 && (size_t)n == size;
}

double media_seconds_of(int fd, uint64_t size_bytes)
{
	const struct media_file f = {read_at, &fd, size_bytes};

	return media_seconds(&f);
}
