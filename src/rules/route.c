/*
 * A path finds its source by its bytes alone: nothing is decoded, folded or normalised, so
 * no two spellings lead to one source.
 */
#include "rules/route.h"

#include "rules/config_index.h"

/* The token in PATH/TOKEN; BYTES_NONE when `path` is not that source's token form. */
static struct bytes token_of(const struct source *s, struct bytes own, struct bytes path)
{
	if (!(s->verify & VERIFY_TOKEN) || !bytes_starts(path, own) ||
		path.size < own.size + 2 || path.data[own.size] != '/')
		return BYTES_NONE;
	return (struct bytes){path.data + own.size + 1, path.size - own.size - 1};
}

/* As route_find(), of a configuration that is complete. */
static const struct source *look_up(
	const struct config_index *x, struct bytes path, struct bytes *ret_token)
{
	struct bytes own = path;
	const struct source *s = config_index_path(x, path);

	*ret_token = BYTES_NONE;
	if (s || path.size < 2)
		return s;
	/* From its end: the longest of those that are PATH/. */
	if (own.size - 2 > config_index_longest(x))
		own.size = config_index_longest(x) + 2;
	for (own.size -= 2; own.size > 0; own.size--) {
		if (path.data[own.size] != '/')
			continue;
		s = config_index_path(x, own);
		if (!s)
			continue;
		*ret_token = token_of(s, own, path);
		if (ret_token->data)
			return s;
	}
	return NULL;
}

const struct source *route_find(
	const struct config *c, struct bytes path, struct bytes *ret_token)
{
	const struct source *best = NULL;
	struct bytes best_token = BYTES_NONE;

	if (c->index)
		return look_up(c->index, path, ret_token);
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
