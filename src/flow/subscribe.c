/* Confirming a subscription; see subscribe.h. The URL holds a token: it is never told. */
#include "flow/subscribe.h"

#include "base/text.h"
#include "io/log.h"
#include "rules/sns.h"
#include "rules/source.h"

/* Less than the 15 s that SNS waits for its answer. */
#define TIMEOUT_USEC     (10 * USEC_PER_SEC)
#define ANSWER_MAX_BYTES (64u << 10)

/* The verified document once more, for its topic's name. */
static void log_topic(const struct subscribe *s, enum log_kind kind, const char *what)
{
	const char *problem;
	struct sns sns;

	int r = sns_read(s->body, &sns, &problem);
	log_event(kind, &(struct log_fields){.source = s->source->name}, "%s %s", what,
		r == 0 ? log_escape(sns.topic) : "a topic");
	sns_fini(&sns);
}

static void log_failure(const struct subscribe *s, const struct fetch_answer *a)
{
	CLEANUP(freep)
	char *status = text_format("it was answered with status %ld", a->status);
	const char *why = a->error ? a->error_text : status ? status : "out of memory";

	log_event(LOG_SUBSCRIBE_FAILED, &(struct log_fields){.source = s->source->name},
		"The subscription that SNS asks %s to confirm was not: %s; SNS asks "
		"again",
		s->source->name, log_escapes(why));
}

static void on_answer(void *arg, const struct fetch_answer *a)
{
	struct subscribe *s = arg;
	bool confirmed = !a->error && a->status == 200;

	s->fetch = NULL;
	if (confirmed)
		log_topic(s, LOG_SUBSCRIBED, "Confirmed the subscription to");
	else
		log_failure(s, a);
	s->on_done(s, confirmed);
}

int subscribe_start(struct subscribe *s, const char *url,
	void (*on_done)(struct subscribe *s, bool confirmed))
{
	const struct fetch_request request = {.method = "GET",
		.url = url,
		.ca_file = s->source->ca_file,
		.public_only = true,
		.timeout_usec = TIMEOUT_USEC,
		.max_bytes = ANSWER_MAX_BYTES};

	s->on_done = on_done;
	return fetch_start(s->flow->fetch, &request, on_answer, s, &s->fetch);
}

void subscribe_cancel(struct subscribe *s)
{
	if (s->fetch)
		fetch_cancel(CONSUME(s->fetch));
}

void subscribe_ended(const struct subscribe *s)
{
	log_topic(s, LOG_UNSUBSCRIBED, "SNS has ended the subscription to");
}
