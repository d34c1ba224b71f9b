/* Reading what fits in memory: a sample's body, the table of media types. */
#include "ctl/file.h"

#include <errno.h>
#include <stdio.h>

int file_read(const char *path, size_t max, struct text *ret)
{
	FILE *f = strcmp(path, "-") ? fopen(path, "re") : stdin;
	char buffer[8192];
	size_t n;
	int r = 0;

	if (!f)
		return -errno;
	while (r == 0 && (n = fread(buffer, 1, sizeof(buffer), f)) > 0) {
		text_add(ret, (struct bytes){buffer, n});
		if (ret->failed)
			r = -ENOMEM;
		else if (ret->size > max)
			r = -EFBIG;
	}
	if (r == 0 && ferror(f))
		r = -EIO;
	if (f != stdin)
		fclose(f);
	return r;
}
