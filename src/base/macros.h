/*
 * The few words the compiler lends us: cleanup on leaving a scope, results that must be
 * looked at, and container_of. Every other file may include this one.
 */
#ifndef BASE_MACROS_H
#define BASE_MACROS_H

#include <stddef.h>
#include <stdlib.h>

#define MUST_CHECK        __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
#define CLEANUP(function) __attribute__((cleanup(function)))
#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define USEC_PER_SEC      1000000ull
#define USEC_PER_MSEC     1000ull

#define container_of(pointer, type, member) \
	((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/* CLEANUP(freep) char *s = NULL; */
static inline void freep(void *p)
{
	free(*(void **)p);
}

/* Hands a descriptor that is closed on leaving the scope to the caller: return take_fd(&fd); */
static inline int take_fd(int *fd)
{
	int taken = *fd;
	*fd = -1;
	return taken;
}

/* Hands a cleaned-up pointer to the caller: return CONSUME(s); */
#define CONSUME(pointer)                           \
	({                                         \
		__auto_type consumed_ = (pointer); \
		(pointer) = NULL;                  \
		consumed_;                         \
	})

#endif
