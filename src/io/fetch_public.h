/*
 * A transfer that keeps to the public Internet, because its URL is somebody else's word: https
 * alone, and only addresses that address_is_public() lets pass. For fetch.c.
 */
#ifndef IO_FETCH_PUBLIC_H
#define IO_FETCH_PUBLIC_H

#include "base/macros.h"

#include <stdbool.h>

/* `easy` is a CURL *. *passed_over becomes true when an address of the host was not connected
 * to; it must live as long as the transfer. False: it could not be set, do not begin. */
bool fetch_keep_public(void *easy, bool *passed_over) MUST_CHECK;

#endif
