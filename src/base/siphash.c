/* See siphash.h. */
#include "base/siphash.h"

#include <endian.h>
#include <string.h>

static uint64_t rotl(uint64_t x, int n)
{
	return x << n | x >> (64 - n);
}

static void sip_rounds(uint64_t v[4], int n)
{
	while (n--) {
		v[0] += v[1];
		v[1] = rotl(v[1], 13) ^ v[0];
		v[0] = rotl(v[0], 32);
		v[2] += v[3];
		v[3] = rotl(v[3], 16) ^ v[2];
		v[0] += v[3];
		v[3] = rotl(v[3], 21) ^ v[0];
		v[2] += v[1];
		v[1] = rotl(v[1], 17) ^ v[2];
		v[2] = rotl(v[2], 32);
	}
}

uint64_t siphash(const uint64_t key[2], struct bytes b)
{
	uint64_t v[4] = {key[0] ^ 0x736f6d6570736575u, key[1] ^ 0x646f72616e646f6du,
		key[0] ^ 0x6c7967656e657261u, key[1] ^ 0x7465646279746573u};

	size_t whole = b.size / 8 * 8;
	for (size_t i = 0; i < whole; i += 8) {
		uint64_t word;
		memcpy(&word, b.data + i, 8);
		word = le64toh(word);
		v[3] ^= word;
		sip_rounds(v, 2);
		v[0] ^= word;
	}
	uint64_t last = (uint64_t)b.size << 56;
	for (size_t i = whole; i < b.size; i++)
		last |= (uint64_t)(unsigned char)b.data[i] << (8 * (i - whole));
	v[3] ^= last;
	sip_rounds(v, 2);
	v[0] ^= last;
	v[2] ^= 0xff;
	sip_rounds(v, 4);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}
