/* The presets, as data. A new sender is a table here. */
#include "rules/preset.h"

#include "rules/keys.h"

/*
 * each::labs' storage service documents that it calls back, and nothing of how: no
 * payload, no signature. So ids and words are those of all of the vendor's interfaces,
 * and a callback proves itself by the token of its own upload, or by the secret the
 * vendor's prediction webhooks send in X-Webhook-Secret.
 */
static const struct preset_value eachlabs[] = {
	{"Verify", "token header hmac"},
	{"IdField", "/id /file_id /upload_id /data/id /exec_id /execution_id"},
	{"StatusField", "/status /data/status"},
	{"SuccessValues", "COMPLETED success succeeded"},
	{"ErrorValues", "ERROR failed"},
	{"CanceledValues", "canceled cancelled"},
	{"PendingValues", "PENDING UPLOADING PROCESSING running"},
	{"DeliveryField", "header:webhook-id"},
	{"TokenHeader", "X-Webhook-Secret"},
	{"SignatureAlgorithm", "sha256"},
	{"SignatureEncoding", "hex"},
	{"SignedContent", "{body}"},
	{"StatusURL", "https://storage-service.core.eachlabs.run/api/v1/uploads/{id}"},
	{"UploadURL", "https://storage-service.core.eachlabs.run/api/v1/uploads"},
	{"APIKeyHeader", "X-API-Key"},
};

static const struct preset presets[] = {
	{"eachlabs", "each::labs: storage service, predictions and workflows",
		"https://docs.eachlabs.ai", "{}", eachlabs, ARRAY_SIZE(eachlabs)},
	{"generic", "any sender: nothing but the defaults", NULL, "{}", NULL, 0},
};

const struct preset *preset_at(size_t i)
{
	return i < ARRAY_SIZE(presets) ? &presets[i] : NULL;
}

const struct preset *preset_find(struct bytes name)
{
	for (size_t i = 0; i < ARRAY_SIZE(presets); i++)
		if (bytes_equal(bytes_of(presets[i].name), name))
			return &presets[i];
	return NULL;
}

const char *preset_nearest(struct bytes name)
{
	const char *nearest = NULL;
	size_t best = SIZE_MAX;
	for (size_t i = 0; i < ARRAY_SIZE(presets); i++) {
		size_t distance = key_distance(name, bytes_of(presets[i].name));
		if (distance < best) {
			best = distance;
			nearest = presets[i].name;
		}
	}
	return nearest;
}

const char *preset_value(const struct preset *p, const char *key)
{
	for (size_t i = 0; i < p->n_values; i++)
		if (strcmp(p->values[i].key, key) == 0)
			return p->values[i].value;
	return NULL;
}
