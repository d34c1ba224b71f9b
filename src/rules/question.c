/* Questions to a source; see question.h. */
#include "rules/question.h"

#include "base/codec.h"
#include "base/text.h"
#include "rules/backoff.h"

#include <errno.h>

#define PLACE "{id}"

#define DELAY_USEC     (2 * USEC_PER_SEC)
#define DELAY_MAX_USEC (600 * USEC_PER_SEC)
#define PAUSE_USEC     (1 * USEC_PER_SEC)
#define PAUSE_MAX_USEC (60 * USEC_PER_SEC)

int question_url(const struct source *s, const char *id, char **ret)
{
	struct text t = TEXT_EMPTY;
	const char *rest = s->status_url, *at;

	if (strcmp(id, ".") == 0 || strcmp(id, "..") == 0)
		return -EINVAL;
	CLEANUP(freep) char *encoded = codec_percent_encode(bytes_of(id));
	if (!encoded)
		return -ENOMEM;
	for (; (at = strstr(rest, PLACE)); rest = at + strlen(PLACE)) {
		text_add(&t, (struct bytes){rest, (size_t)(at - rest)});
		text_adds(&t, encoded);
	}
	text_adds(&t, rest);
	*ret = text_take(&t);
	return *ret ? 0 : -ENOMEM;
}

enum question_verdict question_judge(long status)
{
	if (status >= 200 && status <= 299)
		return QUESTION_ANSWERED;
	switch (status) {
	case 404:
	case 410: return QUESTION_NO_SUCH;
	case 401:
	case 403:
	case 407: return QUESTION_REFUSED;
	case 429:
	case 503: return QUESTION_TOO_OFTEN;
	case 408: return QUESTION_FAILED;
	}
	return status >= 400 && status <= 499 ? QUESTION_ODD : QUESTION_FAILED;
}

bool question_is_general(enum question_verdict v)
{
	return v >= QUESTION_REFUSED;
}

uint64_t question_delay_usec(const struct source *s, unsigned tries)
{
	uint64_t base = DELAY_USEC;

	if (s->expect_within_usec < base)
		base = s->expect_within_usec;
	return backoff_half_usec(base, DELAY_MAX_USEC, tries);
}

uint64_t question_pause_usec(const struct source *s, unsigned failures)
{
	uint64_t most = s->give_up_usec / 4;

	return backoff_half_usec(
		PAUSE_USEC, most < PAUSE_MAX_USEC ? most : PAUSE_MAX_USEC, failures);
}
