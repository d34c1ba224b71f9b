/*
 * A path finds its source by its bytes alone: nothing is decoded, folded or normalised, so
 * no two spellings lead to one source. A walk over all sources: there are dozens, not
 * thousands, and a memcmp of unequal sizes costs nothing.
 */
#include "rules/route.h"

/* The token in PATH/TOKEN; BYTES_NONE when `path` is not that source's token form. */
static struct bytes token_of(const struct source *s, struct bytes own, struct bytes path)
{
	if (!(s->verify & VERIFY_TOKEN) || !bytes_starts(path, own) ||
		path.size < own.size + 2 || path.data[own.size] != '/')
		return BYTES_NONE;
	return (struct bytes){path.data + own.size + 1, path.size - own.size - 1};
}

const struct source *route_find(
	const struct config *c, struct bytes path, struct bytes *ret_token)
{
	const struct source *best = NULL;
	struct bytes best_token = BYTES_NONE;

	for (size_t i = 0; i < c->n_sources; i++) {
		const struct source *s = c->sources[i];
		struct bytes own = bytes_of(s->path);
		if (bytes_equal(own, path)) {
			*ret_token = BYTES_NONE;
			return s;
		}
		struct bytes token = token_of(s, own, path);
		/* The shorter the rest, the longer the path. */
		if (token.data && (!best || token.size < best_token.size)) {
			best = s;
			best_token = token;
		}
	}
	*ret_token = best_token;
	return best;
}
