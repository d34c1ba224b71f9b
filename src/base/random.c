/* Chance; see random.h. */
#include "base/random.h"

#include <stdlib.h>
#include <string.h>

static uint64_t test_state;

/* splitmix64 (Steele, Lea, Flood 2014): only what tests repeat comes from it. */
static uint64_t next_for_tests(void)
{
	uint64_t z = test_state += 0x9e3779b97f4a7c15u;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

void random_seed_for_tests(uint64_t seed)
{
	test_state = seed;
}

void random_bytes(void *out, size_t size)
{
	arc4random_buf(out, size);
}

uint64_t random_below(uint64_t bound)
{
	uint64_t value;

	if (bound < 2)
		return 0;
	/* Values in the incomplete last stretch would make the small ones likelier. */
	uint64_t skip = -bound % bound;
	do {
		if (test_state)
			value = next_for_tests();
		else
			arc4random_buf(&value, sizeof(value));
	} while (value < skip);
	return value % bound;
}

void random_token(char out[static RANDOM_TOKEN_SIZE])
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	unsigned char bytes[33];

	/* 43 characters of 6 bits, of which the last has 4 from the 32nd byte and zeros, so that
	 * the text is canonical base64url of 32 bytes. */
	arc4random_buf(bytes, 32);
	bytes[32] = 0;
	for (size_t i = 0; i < RANDOM_TOKEN_SIZE - 1; i++) {
		size_t bit = i * 6;
		unsigned pair = (unsigned)bytes[bit / 8] << 8 | bytes[bit / 8 + 1];
		out[i] = alphabet[pair >> (10 - bit % 8) & 63];
	}
	out[RANDOM_TOKEN_SIZE - 1] = '\0';
	explicit_bzero(bytes, sizeof(bytes));
}
