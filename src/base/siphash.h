/*
 * SipHash-2-4: Aumasson, Bernstein, "SipHash: a fast short-input PRF", 2012. Who does not know
 * the key cannot choose what collides. The same key and bytes give the same hash on every
 * machine, so that it may be stored.
 */
#ifndef BASE_SIPHASH_H
#define BASE_SIPHASH_H

#include "base/bytes.h"

#include <stdint.h>

uint64_t siphash(const uint64_t key[2], struct bytes b);

#endif
