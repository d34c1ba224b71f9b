/*
 * The chunk check; see chunk.h.
 *
 *   SIZE ─► [EXT_NAME ─► EXT_VALUE | QUOTED]* ─► SIZE_LF ─► DATA ─► DATA_CR ─► DATA_LF ─┐
 *    ▲                                             │ last                              │
 *    └─────────────────────────────────────────────┼───────────────────────────────────┘
 *                                                  ▼
 *                       LINE ─► NAME ─► VALUE ─► VALUE_LF ─► LINE … END_LF ─► done
 */
#include "rules/chunk.h"

#include "base/codec.h"
#include "rules/head.h"

#define MAX_DIGITS 16

enum {
	SIZE,
	EXT_NAME_START,
	EXT_NAME,
	EXT_VALUE_START,
	EXT_VALUE,
	QUOTED,
	QUOTED_PAIR,
	QUOTED_END,
	SIZE_LF,
	DATA,
	DATA_CR,
	DATA_LF,
	LINE,
	NAME,
	VALUE,
	VALUE_LF,
	END_LF,
	DONE,
	BROKEN,
};

static int size_byte(struct chunk *c, char b)
{
	int digit = codec_hex_digit(b);

	if (digit >= 0) {
		if (c->digits == MAX_DIGITS) /* 64 bits: it cannot overflow below */
			return BROKEN;
		c->size = c->size << 4 | (unsigned)digit;
		c->digits++;
		return SIZE;
	}
	if (c->digits == 0)
		return BROKEN;
	return b == '\r' ? SIZE_LF : b == ';' ? EXT_NAME_START : BROKEN;
}

static int end_of_extension(char b)
{
	return b == '\r' ? SIZE_LF : b == ';' ? EXT_NAME_START : BROKEN;
}

/* RFC 9112, 7.1.1. Blanks around ';' and '=' are what senders must not make. */
static int extension_byte(int state, char b)
{
	switch (state) {
	case EXT_NAME_START: return head_is_token_char(b) ? EXT_NAME : BROKEN;
	case EXT_NAME:
		if (b == '=')
			return EXT_VALUE_START;
		return head_is_token_char(b) ? EXT_NAME : end_of_extension(b);
	case EXT_VALUE_START:
		if (b == '"')
			return QUOTED;
		return head_is_token_char(b) ? EXT_VALUE : BROKEN;
	case EXT_VALUE: return head_is_token_char(b) ? EXT_VALUE : end_of_extension(b);
	case QUOTED:
		if (b == '"')
			return QUOTED_END;
		if (b == '\\')
			return QUOTED_PAIR;
		return head_is_value_char(b) ? QUOTED : BROKEN;
	case QUOTED_PAIR: return head_is_value_char(b) ? QUOTED : BROKEN;
	default: return end_of_extension(b);
	}
}

/* RFC 9112, 7.1.2; the fields themselves are dropped. */
static int trailer_byte(int state, char b)
{
	switch (state) {
	case LINE:
		if (b == '\r')
			return END_LF;
		return head_is_token_char(b) ? NAME : BROKEN;
	case NAME:
		if (b == ':')
			return VALUE;
		return head_is_token_char(b) ? NAME : BROKEN;
	case VALUE:
		if (b == '\r')
			return VALUE_LF;
		return head_is_value_char(b) ? VALUE : BROKEN;
	case VALUE_LF: return b == '\n' ? LINE : BROKEN;
	default: return b == '\n' ? DONE : BROKEN;
	}
}

/* All that is not data; DATA itself is skipped in chunk_check(). */
static int next_state(struct chunk *c, char b)
{
	switch (c->state) {
	case SIZE: return size_byte(c, b);
	case SIZE_LF:
		if (b != '\n')
			return BROKEN;
		return c->size ? DATA : LINE;
	case DATA_CR: return b == '\r' ? DATA_LF : BROKEN;
	case DATA_LF: c->digits = 0; return b == '\n' ? SIZE : BROKEN;
	case LINE:
	case NAME:
	case VALUE:
	case VALUE_LF:
	case END_LF: c->overhead++; return trailer_byte(c->state, b);
	case DONE:
	case BROKEN: return BROKEN;
	default: c->overhead++; return extension_byte(c->state, b);
	}
}

/* A chunk is refused when it is announced, not when it has come. */
static bool announce(struct chunk *c, uint64_t max)
{
	if (c->size > max || c->total > max - c->size)
		return false;
	c->total += c->size;
	return true;
}

int chunk_check(struct chunk *c, const struct chunk_limits *limits, struct bytes input,
	size_t *ret_used, const char **ret_reason)
{
	for (size_t i = 0; i < input.size; i++) {
		if (c->state == DATA) {
			size_t n = input.size - i < c->size ? input.size - i : c->size;
			c->size -= n;
			i += n - 1;
			if (c->size == 0)
				c->state = DATA_CR;
			continue;
		}
		int before = c->state;
		c->state = next_state(c, input.data[i]);
		if (c->state == BROKEN) {
			*ret_reason = "chunked coding not as RFC 9112 has it";
			return 400;
		}
		if (c->overhead > limits->max_overhead_bytes) {
			c->state = BROKEN;
			*ret_reason = "chunk extensions or trailers too large";
			return 413;
		}
		if (before != SIZE_LF && c->state == SIZE_LF &&
			!announce(c, limits->max_body_bytes)) {
			c->state = BROKEN;
			*ret_reason = "body too large";
			return 413;
		}
		if (c->state == DONE) {
			*ret_used = i + 1;
			return CHUNK_DONE;
		}
	}
	*ret_used = input.size;
	return CHUNK_MORE;
}
