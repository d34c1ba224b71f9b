/*
 * From texts to one immutable configuration: read (settings.c), complete with presets and
 * defaults (settings_default.c), convert by the table of keys, check what needs the whole
 * (config_check.c). Every problem is found in one go; none of them stops the next step.
 */
#include "rules/config.h"

#include "rules/config_build.h"
#include "rules/config_index.h"
#include "rules/words.h"

#include "base/text.h"

#include <errno.h>
#include <stdarg.h>

void config_report_add(struct config_report *r, bool warning, const char *format, ...)
{
	struct text t = TEXT_EMPTY;
	va_list ap;
	r->n_errors += !warning; /* even if its words are lost */
	va_start(ap, format);
	text_addv(&t, format, ap);
	va_end(ap);
	char *text = text_take(&t);
	struct config_problem *problems = reallocarray(
		r->problems, r->size + 1, sizeof(*problems));
	if (problems)
		r->problems = problems;
	if (!text || !problems) {
		free(text);
		return;
	}
	r->problems[r->size++] = (struct config_problem){text, warning};
}

void config_report_fini(struct config_report *r)
{
	for (size_t i = 0; i < r->size; i++)
		free(r->problems[i].text);
	free(r->problems);
	*r = (struct config_report){0};
}

struct config *config_ref(struct config *c)
{
	c->refs++;
	return c;
}

void config_unref(struct config *c)
{
	if (!c || --c->refs > 0)
		return;
	for (size_t i = 0; i < c->n_sources; i++)
		source_free(c->sources[i]);
	for (size_t i = 0; i < c->n_hooks; i++)
		hook_free(c->hooks[i]);
	free(c->sources);
	free(c->hooks);
	config_index_free(c->index);
	words_fini(&c->listen);
	words_fini(&c->listen_tls);
	words_fini(&c->status_listen);
	words_fini(&c->credentials);
	for (size_t i = 0; i < c->n_status_keys; i++)
		secret_fini(&c->status_keys[i]);
	free(c->status_keys);
	cidr_list_fini(&c->trusted_proxy);
	char *texts[] = {c->tls_certificate_file, c->tls_key_file, c->tls_client_ca_file,
		c->public_url, c->state_directory, c->control_socket, c->status_source};
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		free(texts[i]);
	settings_free(c->origins);
	free(c);
}

struct source *config_source(const struct config *c, struct bytes name)
{
	if (c->index)
		return config_index_source(c->index, name);
	for (size_t i = 0; i < c->n_sources; i++)
		if (bytes_equal(bytes_of(c->sources[i]->name), name))
			return c->sources[i];
	return NULL;
}

struct hook *config_hook(const struct config *c, struct bytes name)
{
	if (c->index)
		return config_index_hook(c->index, name);
	for (size_t i = 0; i < c->n_hooks; i++)
		if (bytes_equal(bytes_of(c->hooks[i]->name), name))
			return c->hooks[i];
	return NULL;
}

struct source *config_build_source(const struct section *section)
{
	return section->object;
}

struct hook *config_build_hook(const struct section *section)
{
	return section->object;
}

static struct source *add_source(struct config *c, const struct section *section)
{
	struct source **list = reallocarray(c->sources, c->n_sources + 1, sizeof(*list));
	if (!list)
		return NULL;
	c->sources = list;
	struct source *s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	list[c->n_sources++] = s;
	s->name = strdup(section->name);
	s->answer = strdup(section->preset ? section->preset->answer : "{}");
	if (section->preset && section->preset->echo) {
		s->echo = strdup(section->preset->echo);
		if (!s->echo)
			return NULL;
	}
	return s->name && s->answer ? s : NULL;
}

static struct hook *add_hook(struct config *c, const struct section *section)
{
	struct hook **list = reallocarray(c->hooks, c->n_hooks + 1, sizeof(*list));
	if (!list)
		return NULL;
	c->hooks = list;
	struct hook *h = calloc(1, sizeof(*h));
	if (!h)
		return NULL;
	list[c->n_hooks++] = h;
	h->name = strdup(section->name);
	hook_status_add(h->success_status, 0); /* whatever else is a success */
	return h->name ? h : NULL;
}

static int convert_section(struct build *b, struct section *section)
{
	void *object = b->config;
	if (section->kind == SECTION_SOURCE)
		object = add_source(b->config, section);
	else if (section->kind == SECTION_HOOK)
		object = add_hook(b->config, section);
	if (!object)
		return -ENOMEM;
	section->object = object;
	size_t n;
	int r = 0;
	const struct key *keys = keys_of(section->kind, &n);
	for (size_t i = 0; r == 0 && i < n; i++) {
		struct convert c = {b, section, &keys[i], &section->settings[i],
			(char *)object + keys[i].offset};
		if (config_list_handles(keys[i].type))
			r = config_list_convert(&c);
		else if (config_secret_handles(keys[i].type))
			r = config_secret_convert(&c);
		else
			r = config_value_convert(&c);
	}
	return r;
}

static int build(struct build *b, const struct config_text *texts, size_t n_texts)
{
	int r = settings_read(b->origins, texts, n_texts, &b->findings);
	if (r == 0)
		r = settings_complete(b->origins, b->world, &b->findings);
	for (size_t i = 0; r == 0 && i < b->origins->n_sections; i++)
		r = convert_section(b, &b->origins->sections[i]);
	if (r == 0)
		r = config_check(b);
	if (r == 0 && b->findings.failed)
		r = -ENOMEM;
	return r;
}

int config_build(const struct config_text *texts, size_t n_texts,
	const struct config_world *world, struct config_report *report,
	struct config **ret)
{
	static const struct config_world nothing;
	struct build b = {.world = world ? world : &nothing};
	b.config = calloc(1, sizeof(*b.config));
	b.origins = calloc(1, sizeof(*b.origins));
	if (!b.config || !b.origins) {
		free(b.config);
		free(b.origins);
		return -ENOMEM;
	}
	b.config->refs = 1;
	b.config->origins = b.origins;
	int r = build(&b, texts, n_texts);
	findings_tell(&b.findings, texts, n_texts, report);
	findings_fini(&b.findings);
	if (r == 0 && report->n_errors > 0)
		r = 1;
	if (r == 0)
		r = config_index_make(b.config);
	if (r == 0)
		*ret = b.config;
	else
		config_unref(b.config);
	return r;
}
