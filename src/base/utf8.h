/* Is it UTF-8 (RFC 3629: no surrogates, nothing overlong, nothing above U+10FFFF)? */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include "base/bytes.h"

#include <stdint.h>

bool utf8_valid(struct bytes b);
/* Length in bytes (1 to 4) of the character at the start of `b`, its code point; 0 if
 * broken. */
size_t utf8_char(struct bytes b, uint32_t *ret_code_point);
#define UTF8_CHAR_MAX 4
/* Writes a code point that is sound; its length in bytes. */
size_t utf8_put(uint32_t code_point, char out[static UTF8_CHAR_MAX]);
/* A job id of the contract: UTF-8, 1 to 255 bytes, no C0, DEL or C1 control characters.
 */
bool utf8_valid_id(struct bytes b);

#endif
