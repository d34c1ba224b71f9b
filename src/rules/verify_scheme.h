/* The schemes that verify.c asks one after another. For verify*.c alone. */
#ifndef RULES_VERIFY_SCHEME_H
#define RULES_VERIFY_SCHEME_H

#include "rules/message.h"
#include "rules/source.h"
#include "rules/trace.h"
#include "rules/verify.h"

#define SCHEME_REASON_SIZE 192
#define SCHEME_NEEDS_KEYS  2

/* What a scheme says besides yes and no. */
struct scheme_output {
	enum verify_keys_kind keys_kind;
	bool stale;
	enum verify_matter matter;
	char url[VERIFY_URL_SIZE]; /* of keys that are needed, or of a subscription */
};

struct scheme_input {
	const struct source *source;
	const struct message *message;
	struct bytes token;
	struct bytes origin;            /* for {url}; BYTES_NONE for none */
	const struct verify_keys *keys; /* NULL: none are at hand */
	struct trace *trace;            /* NULL: nobody asks */
	struct scheme_output *out;
	bool head_only; /* the body has not come: what the head proves or rules out */
};

/*
 * Each: 0 holds (or, with head_only, may hold); 1 does not, `reason` says why;
 * SCHEME_NEEDS_KEYS, with the reason and `out` filled; negative errno. The reason names headers and settings, never what was sent in them.
 */
int scheme_token(
	const struct scheme_input *in, char reason[static SCHEME_REASON_SIZE]) MUST_CHECK;
int scheme_header(
	const struct scheme_input *in, char reason[static SCHEME_REASON_SIZE]) MUST_CHECK;
int scheme_basic(
	const struct scheme_input *in, char reason[static SCHEME_REASON_SIZE]) MUST_CHECK;
int scheme_hmac(
	const struct scheme_input *in, char reason[static SCHEME_REASON_SIZE]) MUST_CHECK;
int scheme_standard(
	const struct scheme_input *in, char reason[static SCHEME_REASON_SIZE]) MUST_CHECK;
int scheme_twilio(
	const struct scheme_input *in, char reason[static SCHEME_REASON_SIZE]) MUST_CHECK;
int scheme_ed25519(
	const struct scheme_input *in, char reason[static SCHEME_REASON_SIZE]) MUST_CHECK;
int scheme_jwt(
	const struct scheme_input *in, char reason[static SCHEME_REASON_SIZE]) MUST_CHECK;
int scheme_sns(
	const struct scheme_input *in, char reason[static SCHEME_REASON_SIZE]) MUST_CHECK;
int scheme_http_signature(
	const struct scheme_input *in, char reason[static SCHEME_REASON_SIZE]) MUST_CHECK;

/* 1, with the reason printed; so that a scheme can end with it. */
int scheme_refuse(char reason[static SCHEME_REASON_SIZE], const char *format, ...)
	PRINTF_LIKE(2, 3);
/* SCHEME_NEEDS_KEYS, noted in `out`; so that a scheme can end with it. */
int scheme_need(const struct scheme_input *in, enum verify_keys_kind kind, bool stale,
	const char *url);
/* A header that must stand once: 0, or 1 with the reason. */
int scheme_header_once(const struct message *m, const char *name, struct bytes *ret,
	char reason[static SCHEME_REASON_SIZE]) MUST_CHECK;
/*
 * Is the time that a message names within Tolerance= of its receipt? As digits, seconds or
 * milliseconds, or in usec since the epoch. 0, or 1 with the reason.
 */
int scheme_age_text(const struct scheme_input *in, struct bytes text,
	char reason[static SCHEME_REASON_SIZE]) MUST_CHECK;
int scheme_age(const struct scheme_input *in, int64_t then_usec,
	char reason[static SCHEME_REASON_SIZE]) MUST_CHECK;

#endif
