/*
 * What the disk allows: a file laid out beforehand is written round and round, as the
 * store's log is, BYTES in one pwrite(), then fdatasync(). Nothing else is done.
 *
 *   raw FILE BYTES SECONDS      prints: syncs a second
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FILE_BYTES (64u << 20)

static double now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	if (argc != 4) {
		fputs("raw FILE BYTES SECONDS\n", stderr);
		return 2;
	}
	size_t bytes = strtoul(argv[2], NULL, 10), n = 0;
	double seconds = atof(argv[3]);
	int fd = open(argv[1], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	char *block = malloc(FILE_BYTES);
	if (fd < 0 || !block || !bytes || bytes > FILE_BYTES)
		return 1;
	memset(block, 'x', FILE_BYTES);
	if (pwrite(fd, block, FILE_BYTES, 0) != FILE_BYTES || fsync(fd) < 0)
		return 1;
	double begin = now();
	off_t at = 0;
	for (; now() - begin < seconds; n++) {
		if (at + (off_t)bytes > (off_t)FILE_BYTES)
			at = 0;
		memcpy(block, &n, sizeof(n));
		if (pwrite(fd, block, bytes, at) != (ssize_t)bytes || fdatasync(fd) < 0) {
			perror("raw");
			return 1;
		}
		at += (off_t)bytes;
	}
	printf("%.1f\n", (double)n / (now() - begin));
	close(fd);
	unlink(argv[1]);
	return 0;
}
