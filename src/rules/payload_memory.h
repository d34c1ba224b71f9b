/* The counting allocator under jansson. For payload.c alone. */
#ifndef RULES_PAYLOAD_MEMORY_H
#define RULES_PAYLOAD_MEMORY_H

#include "base/macros.h"

enum payload_memory {
	PAYLOAD_MEMORY_FINE,
	PAYLOAD_MEMORY_EXCEEDED, /* the budget refused something */
	PAYLOAD_MEMORY_SHORT,    /* malloc did */
};

void payload_memory_install(void);
/* From here to payload_memory_disarm this thread's jansson may hold at most `budget` bytes. */
void payload_memory_arm(size_t budget);
/* What became of it. A parser that runs out of memory may well call it a syntax error. */
enum payload_memory payload_memory_disarm(void);

#endif
