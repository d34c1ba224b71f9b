/* A source's memory, of which the secrets are overwritten before it is given back. */
#include "rules/source.h"

#include "base/text.h"
#include "rules/words.h"

#include <errno.h>

#define KEY_HIDDEN_BYTES 8

void secret_fini(struct secret *s)
{
	/* One size for both: decoding is done in place and only ever shortens. */
	bytes_wipe(s->data, s->text_size);
	bytes_wipe(s->text, s->text_size);
	bytes_wipe(s->whsec, s->text_size);
	keyset_unref(s->keys);
	free(s->file);
}

/* A key with a NUL in it would be cut; one with a line end is refused by who sends it. */
int source_key_header(const struct source *s, char **ret)
{
	const struct secret *key = s->api_key;

	*ret = NULL;
	if (!key)
		return 0;
	if (memchr(key->text, '\0', key->text_size))
		return -EINVAL;
	*ret = text_format("%s: %.*s", s->api_key_header, (int)key->text_size,
		(const char *)key->text);
	return *ret ? 0 : -ENOMEM;
}

void source_hide_key(const struct source *s, char *text, size_t size)
{
	const struct secret *key = s->api_key;
	char *at = text;

	if (!key || key->text_size < KEY_HIDDEN_BYTES)
		return;
	while ((at = memmem(at, size - (size_t)(at - text), key->text, key->text_size)))
		memset(at, '*', key->text_size);
}

void source_free(struct source *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n_secrets; i++)
		secret_fini(&s->secrets[i]);
	free(s->secrets);
	free(s->hooks);
	if (s->api_key)
		secret_fini(s->api_key);
	free(s->api_key);
	field_list_fini(&s->id);
	field_list_fini(&s->status);
	field_list_fini(&s->delivery);
	condition_list_fini(&s->where);
	words_fini(&s->success);
	words_fini(&s->error);
	words_fini(&s->canceled);
	words_fini(&s->pending);
	words_fini(&s->issuers);
	words_fini(&s->audience);
	words_fini(&s->subject);
	words_fini(&s->topics);
	words_fini(&s->components);
	cidr_list_fini(&s->allow);
	field_fini(&s->signature.place);
	char *texts[] = {s->name, s->preset, s->path, s->token_header,
		s->signature.prefix, s->signature.signature_field,
		s->signature.timestamp_field, s->signature.content,
		s->signature.timestamp_header, s->signature.key_prefix, s->keys_url,
		s->status_url, s->upload_url, s->upload_owner, s->api_key_header,
		s->ca_file, s->answer, s->echo};
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		free(texts[i]);
	free(s);
}
