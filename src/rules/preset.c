/* The presets by name, and their values by key; they themselves stand in preset_table.c. */
#include "rules/preset.h"

#include "rules/keys.h"

const struct preset *preset_find(struct bytes name)
{
	const struct preset *p;

	for (size_t i = 0; (p = preset_at(i)); i++)
		if (bytes_equal(bytes_of(p->name), name))
			return p;
	return NULL;
}

const char *preset_nearest(struct bytes name)
{
	const char *nearest = NULL;
	const struct preset *p;
	size_t best = SIZE_MAX;
	for (size_t i = 0; (p = preset_at(i)); i++) {
		size_t distance = key_distance(name, bytes_of(p->name));
		if (distance < best) {
			best = distance;
			nearest = p->name;
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
