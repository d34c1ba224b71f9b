/*
 * What a person does at the sender's end for a preset: where the callback URL goes, and
 * where the secret comes from. For `callbackctl presets NAME`; callbackd-senders(7) says
 * the same at more length.
 */
#ifndef CTL_GUIDE_H
#define CTL_GUIDE_H

#include "base/macros.h"

struct guide {
	const char *preset;
	/* Sentences, in which {url} stands for the callback URL. */
	const char *url;
	const char *secret; /* what belongs into SecretFile=; NULL: there is none */
};

/* NULL: no preset of that name. */
const struct guide *guide_find(const char *preset);
/* Lines of its section that only the person can fill in, with {url} as above; or NULL. */
const char *guide_lines(const char *preset);

#endif
