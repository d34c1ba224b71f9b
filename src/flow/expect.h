/* When a job that is expected is asked for: one rule for those a person expects and those an
 * upload does. */
#ifndef FLOW_EXPECT_H
#define FLOW_EXPECT_H

#include <stdint.h>

/* For ask_at_usec of the store's operations, in clock_steady_usec(). A span that ends beyond
 * all time, as "infinity" does: 0, never. */
int64_t expect_ask_at_usec(uint64_t within_usec);

#endif
