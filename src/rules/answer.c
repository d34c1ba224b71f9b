/*
 * Slack asks whether a URL is its owner's with {"type":"url_verification","challenge":"…"} and
 * wants the challenge back ("URL verification handshake"). What is repeated is a string of the
 * sender's own, as JSON: it cannot become anything else in the answer.
 */
#include "rules/answer.h"

#include <errno.h>
#include <jansson.h>

/* The member to repeat: a short string of an object. NULL: there is none. 0 or -ENOMEM. */
static int find_echo(const struct source *s, struct document *d, const json_t **ret)
{
	const json_t *json;

	*ret = NULL;
	if (!s->echo)
		return 0;
	int r = document_json(d, &json);
	if (r != 0)
		return r < 0 ? r : 0;
	const json_t *value = json_object_get(json, s->echo);
	if (json_is_string(value) && json_string_length(value) <= ANSWER_ECHO_MAX)
		*ret = value;
	return 0;
}

int answer_make(const struct source *s, struct document *d, struct text *out)
{
	const json_t *value;
	int r = find_echo(s, d, &value);

	if (r < 0)
		return r;
	if (!value) {
		text_adds(out, s->answer ? s->answer : "{}");
		return out->failed ? -ENOMEM : 0;
	}
	json_t *echo = json_object();
	char *text = NULL;
	if (echo && json_object_set(echo, s->echo, (json_t *)value) == 0)
		text = json_dumps(echo, JSON_COMPACT);
	json_decref(echo);
	if (!text)
		return -ENOMEM;
	text_adds(out, text);
	free(text);
	return out->failed ? -ENOMEM : 0;
}
