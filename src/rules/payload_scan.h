/* A look at a body's bytes before a parser sees them. For payload.c alone. */
#ifndef RULES_PAYLOAD_SCAN_H
#define RULES_PAYLOAD_SCAN_H

#include "base/text.h"

/* Is no bracket nested deeper than `max`? Knows strings; says nothing about the grammar. */
bool payload_scan_depth(struct bytes body, unsigned max);
/*
 * Writes `body` to `out` with every number that fits neither an int64_t nor a double in
 * quotes, and nothing else changed. What is no JSON before is none afterwards.
 */
void payload_scan_quote_numbers(struct bytes body, struct text *out);

#endif
