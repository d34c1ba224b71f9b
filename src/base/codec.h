/*
 * Hex, base64, base64url and percent encoding of bytes that others wrote: strict, one
 * spelling for each value. A decoder that forgives would make two signatures of one (RFC
 * 4648, 3.3, 3.5).
 */
#ifndef BASE_CODEC_H
#define BASE_CODEC_H

#include "base/bytes.h"

#include <stdint.h>

/*
 * Decoders write at most `room` bytes to `out` and return how many, or -EINVAL (not that
 * encoding), or -ENOSPC. Hex takes both cases. base64 wants its padding, base64url has
 * none.
 */
ptrdiff_t codec_hex_decode(struct bytes text, unsigned char *out, size_t room) MUST_CHECK;
ptrdiff_t codec_base64_decode(
	struct bytes text, unsigned char *out, size_t room) MUST_CHECK;
ptrdiff_t codec_base64url_decode(
	struct bytes text, unsigned char *out, size_t room) MUST_CHECK;
/* %HH; `plus_is_space` for application/x-www-form-urlencoded. */
ptrdiff_t codec_percent_decode(
	struct bytes text, bool plus_is_space, char *out, size_t room) MUST_CHECK;

/* What one hex digit is worth, of either case; -1 when it is none. */
int codec_hex_digit(char c);

/* Encoders return a NUL-terminated string owned by the caller, NULL when memory is short.
 */
char *codec_hex_encode(const void *data, size_t size) MUST_CHECK;
char *codec_base64_encode(const void *data, size_t size) MUST_CHECK;
char *codec_base64url_encode(const void *data, size_t size) MUST_CHECK;
/* All but unreserved characters (RFC 3986, 2.3) as %HH. */
char *codec_percent_encode(struct bytes b) MUST_CHECK;

#endif
