/*
 * What only shows when all of a configuration is there: sections that need each other,
 * keys that need another key. A value that could not be read is not complained of twice:
 * the checks ask whether something was written, not what became of it.
 */
#include "rules/config_build.h"

#include "base/map.h"
#include "base/text.h"

#include <errno.h>

static bool is_written(const struct section *s, const char *key)
{
	return settings_of(s, key)->size > 0;
}

static void need(
	struct build *b, const struct section *s, const char *key, const char *needed)
{
	if (is_written(s, key) && !is_written(s, needed))
		findings_error(&b->findings, settings_of(s, key)->at,
			"%s= needs %s= as well", key, needed);
}

static int check_daemon(struct build *b)
{
	struct section *daemon = &b->origins->sections[0];
	struct config_limits *limits = &b->config->limits;
	need(b, daemon, "ListenTLS", "TLSCertificateFile");
	need(b, daemon, "ListenTLS", "TLSKeyFile");
	need(b, daemon, "TLSCertificateFile", "TLSKeyFile");
	need(b, daemon, "TLSKeyFile", "TLSCertificateFile");
	need(b, daemon, "TLSClientCAFile", "TLSCertificateFile");
	if (limits->max_body_bytes_in_flight < limits->max_body_bytes)
		findings_error(&b->findings,
			settings_of(daemon, "MaxBodyBytesInFlight")->at,
			"MaxBodyBytesInFlight=%s is less than MaxBodyBytes=%s: such a "
			"body would never be taken",
			settings_text(daemon, "MaxBodyBytesInFlight"),
			settings_text(daemon, "MaxBodyBytes"));
	if (is_written(daemon, "MaxConnectionsPerAddress"))
		return 0;
	limits->max_connections_per_address = limits->max_connections / 4;
	if (limits->max_connections_per_address == 0)
		limits->max_connections_per_address = 1;
	CLEANUP(freep)
	char *text = text_format(
		"%llu", (unsigned long long)limits->max_connections_per_address);
	return text ? settings_put(
			      daemon, "MaxConnectionsPerAddress", ORIGIN_DEFAULT, text)
		    : -ENOMEM;
}

/* A source by its path. */
struct by_path {
	struct map_entry entry;
	const char *name;
};

/* Two sources of one path: a callback could be either's. */
static void check_path(struct build *b, struct map *paths, struct by_path *mine,
	const struct section *section, const struct source *source)
{
	if (!source->path)
		return;
	struct bytes path = bytes_of(source->path);
	const struct map_entry *e = map_find(paths, path);
	if (e)
		findings_error(&b->findings, settings_of(section, "Path")->at,
			"Path=%s is that of [Source %s] already",
			findings_quote(path).text,
			container_of(e, const struct by_path, entry)->name);
	else
		map_put(paths, &mine->entry, path);
	mine->name = source->name;
}

static int check_paths(struct build *b)
{
	struct map paths;
	struct by_path *entries = calloc(b->origins->n_sections, sizeof(*entries));
	int r = entries ? map_init(&paths) : -ENOMEM;
	for (size_t i = 0; r == 0 && i < b->origins->n_sections; i++) {
		const struct section *s = &b->origins->sections[i];
		if (s->kind == SECTION_SOURCE)
			check_path(b, &paths, &entries[i], s, config_build_source(s));
	}
	if (r == 0)
		map_fini(&paths);
	free(entries);
	return r;
}

/* ---- the status API: whose it is, and with which key ---- */

static const struct source *named_status_source(
	struct build *b, const struct section *daemon, const char *name)
{
	const struct source *s = config_source(b->config, bytes_of(name));
	struct place at = settings_of(daemon, "StatusSource")->at;
	if (!s)
		findings_error(&b->findings, at,
			"StatusSource=%s: there is no such source",
			findings_quote(bytes_of(name)).text);
	else if (!s->upload_url)
		findings_error(&b->findings, at,
			"StatusSource=%s: [Source %s] has no UploadURL=",
			findings_quote(bytes_of(name)).text, s->name);
	else
		return s;
	return NULL;
}

/* *ret_several: there is more than one, so none is meant. */
static const struct source *only_status_source(const struct config *c, bool *ret_several)
{
	const struct source *found = NULL;
	*ret_several = false;
	for (size_t i = 0; i < c->n_sources; i++) {
		if (!c->sources[i]->upload_url)
			continue;
		*ret_several = found != NULL;
		if (found)
			return NULL;
		found = c->sources[i];
	}
	return found;
}

static void check_status_listen(
	struct build *b, const struct section *daemon, const struct source *s)
{
	struct place at = settings_of(daemon, "StatusListen")->at;
	const struct section *section = settings_section(
		b->origins, SECTION_SOURCE, bytes_of(s->name));
	need(b, daemon, "StatusListen", "PublicURL");
	/* Nobody is ever served without a key. */
	if (!is_written(daemon, "StatusKeyFile") && !is_written(section, "APIKeyFile"))
		findings_error(&b->findings, at,
			"StatusListen= needs StatusKeyFile=, or APIKeyFile= in [Source "
			"%s], whose key its clients must send",
			s->name);
	if (s->verify != 0 && !(s->verify & VERIFY_TOKEN))
		findings_error(&b->findings, at,
			"StatusListen= needs Verify=token in [Source %s]: without it "
			"the callbacks of uploads would not verify",
			s->name);
}

static void check_status(struct build *b)
{
	const struct section *daemon = &b->origins->sections[0];
	struct config *c = b->config;
	bool several = false;
	if (c->status_source)
		c->status_served = named_status_source(b, daemon, c->status_source);
	else
		c->status_served = only_status_source(c, &several);
	if (!is_written(daemon, "StatusListen"))
		return;
	if (c->status_served)
		check_status_listen(b, daemon, c->status_served);
	else if (!c->status_source)
		findings_error(&b->findings, settings_of(daemon, "StatusListen")->at,
			several ? "StatusListen= needs StatusSource=: several sources "
				  "have an UploadURL="
				: "StatusListen= needs a source with UploadURL=");
}

int config_check(struct build *b)
{
	int r = check_daemon(b);
	if (r == 0)
		r = check_paths(b);
	if (r < 0)
		return r;
	for (size_t i = 0; i < b->origins->n_sections; i++) {
		const struct section *s = &b->origins->sections[i];
		if (s->kind == SECTION_SOURCE) {
			struct source *source = config_build_source(s);
			config_secret_decode(b, s, source);
			config_check_source(b, s, source);
		} else if (s->kind == SECTION_HOOK) {
			config_check_hook(b, s, config_build_hook(s));
		}
	}
	check_status(b);
	return 0;
}
