/*
 * Amazon SNS' messages: the document, the text its signature covers, and the URLs in it that
 * may be asked at all ("Verifying the signatures of Amazon SNS messages"). A URL is compared
 * with an exact pattern, byte for byte and before anything is resolved: nobody else's word
 * leads us anywhere but to SNS.
 */
#ifndef RULES_SNS_H
#define RULES_SNS_H

#include "base/text.h"
#include "rules/document.h"

enum sns_type { SNS_NOTIFICATION, SNS_SUBSCRIPTION, SNS_UNSUBSCRIPTION };

struct sns {
	enum sns_type type;
	unsigned version; /* of the signature: 1 with SHA-1, 2 with SHA-256 */
	int64_t timestamp_usec;
	struct bytes topic, signature, certificate_url, subscribe_url;
	json_t *json; /* holds all of them */
};

/*
 * 0; 1 with *ret_problem (static text); -ENOMEM. Whatever comes of it, sns_fini(). The URLs
 * are those of the patterns below, subscribe_url of a subscription alone.
 */
int sns_read(struct bytes body, struct sns *ret, const char **ret_problem) MUST_CHECK;
void sns_fini(struct sns *s);
/* What is signed. */
void sns_write(const struct sns *s, struct text *out);

/* sns.REGION.amazonaws.com or that with .cn behind it, in small letters. */
bool sns_is_host(struct bytes host);
/* https, that host, port 443, a path that ends in .pem; no user, no query, no fragment. */
bool sns_is_certificate_url(struct bytes url);
/* https, that host, port 443, the path /, and Action=ConfirmSubscription in the query. */
bool sns_is_subscribe_url(struct bytes url);

#endif
