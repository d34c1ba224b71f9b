/*
 * The n-th allocation fails: a test counts from 1 until nothing fails any more. Takes the
 * place of malloc and its kin in this program; under a sanitizer, which has its own, it does
 * nothing and fail_malloc_works() says so. Include in one file.
 */
#ifndef FAIL_MALLOC_H
#define FAIL_MALLOC_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

static long fail_malloc_countdown; /* 0: nothing fails */
static bool fail_malloc_fired;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)

static inline bool fail_malloc_works(void)
{
	return false;
}

#else

static inline bool fail_malloc_works(void)
{
	return true;
}

static bool fails_now(void)
{
	if (fail_malloc_countdown == 0 || --fail_malloc_countdown > 0)
		return false;
	fail_malloc_fired = true;
	errno = ENOMEM;
	return true;
}

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void *malloc(size_t size);
void *calloc(size_t n, size_t size);
void *realloc(void *p, size_t size);

void *malloc(size_t size)
{
	return fails_now() ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	return fails_now() ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
	return fails_now() ? NULL : __libc_realloc(p, size);
}

#endif

static inline void fail_malloc_at(long n)
{
	fail_malloc_fired = false;
	fail_malloc_countdown = n;
}

/* Did it fail? And no more of it. */
static inline bool fail_malloc_end(void)
{
	fail_malloc_countdown = 0;
	return fail_malloc_fired;
}

#endif
