/* What a file's header says of its length, and its name of its type; and what does not say it. */
#include "ctl/media.h"
#include "ctl/mime.h"

#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

static unsigned n_reads;

static bool read_at(void *arg, uint64_t offset, void *buffer, size_t size)
{
	const struct bytes *b = arg;

	n_reads++;
	if (offset > b->size || size > b->size - offset)
		return false;
	memcpy(buffer, b->data + offset, size);
	return true;
}

static double seconds(const char *data, size_t size)
{
	struct bytes b = {data, size};
	const struct media_file f = {read_at, &b, size};

	n_reads = 0;
	return media_seconds(&f);
}

#define SECONDS(literal)           seconds(literal, sizeof(literal) - 1)
#define assert_seconds(s, literal) assert_true(SECONDS(literal) == (s))

/* 8000 bytes a second */
#define FMT "fmt \x10\0\0\0\1\0\1\0\x40\x1f\0\0\x40\x1f\0\0\1\0\x8\0"
#define Z8  "\0\0\0\0\0\0\0\0"

static void test_wav(void **state)
{
	(void)state;
	assert_seconds(0.001, "RIFF\0\0\0\0WAVE" FMT "data\x8\0\0\0" Z8);
	assert_seconds(0.001, "RIFF\0\0\0\0WAVELIST\3\0\0\0abc\0" FMT "data\x8\0\0\0" Z8);
	/* A size that is not known, or larger than the file: what there is. */
	assert_seconds(0.002, "RIFF\0\0\0\0WAVE" FMT "data\xff\xff\xff\xff" Z8 Z8);
	assert_seconds(0.001, "RIFF\0\0\0\0WAVE" FMT "data\0\0\0\0" Z8);
	assert_seconds(0, "RIFF\0\0\0\0WAVE" FMT "data\0\0\0\0");
	assert_seconds(0, "RIFF\0\0\0\0WAVEdata\x8\0\0\0" Z8); /* no format before */
	assert_seconds(0, "RIFF\0\0\0\0WAVE" FMT);
	assert_seconds(0, "RIFF\0\0\0\0WAVE" FMT "LIST\xff\0\0\0abc");
	assert_seconds(0, "RIFF\0\0\0\0WAVEfmt \x10\0\0\0\1\0");
	assert_seconds(0, "RIFF\0\0\0\0AVI " FMT "data\x8\0\0\0" Z8);
	assert_seconds(0, "RIFF");
	assert_seconds(0, "");
}

#define FTYP         \
	"\0\0\0\x0c" \
	"ftypisom"
#define MVHD0                       \
	"\0\0\0\x1c"                \
	"mvhd"                      \
	"\0\0\0\0" Z8 "\0\0\x3\xe8" \
	"\0\0\x9\xc4"
#define MVHD1                          \
	"\0\0\0\x28"                   \
	"mvhd"                         \
	"\1\0\0\0" Z8 Z8 "\0\0\x3\xe8" \
	"\0\0\0\0\0\0\x9\xc4"

static void test_mp4(void **state)
{
	(void)state;
	assert_seconds(2.5, FTYP "\0\0\0\x24moov" MVHD0);
	assert_seconds(2.5, FTYP "\0\0\0\x30moov" MVHD1);
	assert_seconds(2.5, "\0\0\0\x24moov" MVHD0 FTYP);
	/* Behind other boxes, one of them of a long size, and of a size up to the end. */
	assert_seconds(2.5, FTYP "\0\0\0\1mdat\0\0\0\0\0\0\0\x12xx\0\0\0\0moov\0\0\0\x8"
				 "free" MVHD0);
	assert_seconds(0, FTYP "\0\0\0\x24mdat" MVHD0);
	assert_seconds(0, FTYP "\0\0\0\x1bmoov" MVHD0); /* it ends within the box */
	assert_seconds(0, FTYP "\0\0\0\x44moov" MVHD0); /* behind the file's end */
	assert_seconds(0, FTYP "\0\0\0\x7moov" MVHD0);  /* no box is as small */
	assert_seconds(0, FTYP "\0\0\0\1mdat\xff\xff\xff\xff\xff\xff\xff\xff");
	/* No scale; a length that is not known (a fragmented film), or none. */
	assert_seconds(
		0, FTYP "\0\0\0\x24moov\0\0\0\x1cmvhd\0\0\0\0" Z8 "\0\0\0\0\0\0\x9\xc4");
	assert_seconds(0, FTYP "\0\0\0\x24moov\0\0\0\x1cmvhd\0\0\0\0" Z8
			       "\0\0\x3\xe8\xff\xff\xff\xff");
	assert_seconds(
		0, FTYP "\0\0\0\x24moov\0\0\0\x1cmvhd\0\0\0\0" Z8 "\0\0\x3\xe8\0\0\0\0");
}

/* However many boxes there are, it is a constant that is looked at. */
static void test_bounded(void **state)
{
	static char many[1 << 20];

	(void)state;
	for (size_t i = 0; i < sizeof(many); i += 8)
		memcpy(many + i,
			"\0\0\0\x8"
			"free",
			8);
	memcpy(many,
		"\0\0\0\x8"
		"ftyp",
		8);
	assert_true(seconds(many, sizeof(many)) == 0);
	assert_in_range(n_reads, 2, 1000);
	for (size_t i = 12; i + 8 <= sizeof(many); i += 8)
		memcpy(many + i, "LIST\0\0\0\0", 8);
	memcpy(many, "RIFF\0\0\0\0WAVE", 12);
	assert_true(seconds(many, sizeof(many)) == 0);
	assert_in_range(n_reads, 2, 1000);
}

static void write_file(char *path, const char *text)
{
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static void assert_type(
	const char *name, const char *types, const char *globs, const char *want)
{
	char *type = mime_type_of(name, types, globs);

	if (want)
		assert_string_equal(type, want);
	else
		assert_null(type);
	free(type);
}

static void test_types(void **state)
{
	char types[] = "/tmp/test_media_XXXXXX", globs[] = "/tmp/test_media_XXXXXX";

	(void)state;
	write_file(types, "# a comment mp4\nvideo/mp4\t\tmp4 m4v\r\nnothing/here\n"
			  "application/gzip gz");
	write_file(globs, "# 50:x/comment:*\n50:audio/mpeg:*.mp3\n50:wrong/mp4:*.mp4\n"
			  "50:application/x-tar-gz:*.tar.xz\n50:application/x-xz:*.xz\n"
			  "50:text/x-c:*.c:cs\n50:text/x-c++:*.C:cs\n"
			  "50:text/x-makefile:makefile\n80:image/heavy:*.pic\n"
			  "50:image/longer:*.a.pic\nbroken\n::\n50:x/y\n");
	assert_type(
		"a/b.c/clip.MP4", types, globs, "video/mp4"); /* the first table first */
	assert_type("clip.m4v", types, globs, "video/mp4");
	assert_type("x.mp3", types, globs, "audio/mpeg");
	assert_type("x.MP3", types, globs, "audio/mpeg");
	assert_type("x.tar.xz", types, globs, "application/x-tar-gz"); /* the longest */
	assert_type("x.xz", types, globs, "application/x-xz");
	assert_type("x.C", types, globs, "text/x-c++");
	assert_type("x.c", types, globs, "text/x-c");
	assert_type("/src/Makefile", types, globs, "text/x-makefile");
	assert_type(
		"x.a.pic", types, globs, "image/heavy"); /* the heaviest before that */
	assert_type("dir.mp4/none", types, globs, NULL);
	assert_type("x.", types, globs, NULL);
	assert_type("clip.mp4", "/nonexistent", globs, "wrong/mp4");
	assert_type("clip.mp4", "/nonexistent", "/nonexistent", NULL);
	unlink(types);
	unlink(globs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wav),
		cmocka_unit_test(test_mp4),
		cmocka_unit_test(test_bounded),
		cmocka_unit_test(test_types),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
