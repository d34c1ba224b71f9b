/* The last bytes of a stream that may be endless: what `callbackctl show` shows of an
 * output. */
#ifndef BASE_TAIL_H
#define BASE_TAIL_H

#include "base/bytes.h"

#define TAIL_MAX_BYTES (64u * 1024)

struct tail {
	char *ring; /* allocated when the first byte comes */
	size_t start, size, room;
	bool truncated; /* something fell out at the front, or memory was short */
};

void tail_fini(struct tail *t);
void tail_add(struct tail *t, struct bytes b);
/* All that is kept, in order, in one piece; valid until the next call. */
struct bytes tail_bytes(struct tail *t);

#endif
