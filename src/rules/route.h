/*
 * From a path to a source: byte for byte, undecoded. An exact path beats the token form
 * PATH/TOKEN, the longest path wins.
 */
#ifndef RULES_ROUTE_H
#define RULES_ROUTE_H

#include "rules/config.h"

/* NULL: no such path. *ret_token is what follows PATH/ in the token form, else
 * BYTES_NONE. The token form is taken only for sources that verify by token. */
const struct source *route_find(
	const struct config *c, struct bytes path, struct bytes *ret_token);

#endif
