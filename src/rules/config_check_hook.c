/* Is a hook complete: has it a command, do its names exist, are its variables its own? */
#include "rules/config_build.h"

#include "rules/command.h"

#include <sys/un.h>

static bool is_exported(const struct hook *h, struct bytes name)
{
	for (size_t i = 0; i < h->n_exports; i++)
		if (bytes_equal(bytes_of(h->exports[i].variable), name))
			return true;
	return false;
}

static bool is_set(const struct hook *h, struct bytes name)
{
	struct bytes value;
	for (size_t i = 0; i < h->environment.size; i++)
		if (bytes_equal(
			    bytes_split(bytes_of(h->environment.list[i]), '=', &value),
			    name))
			return true;
	return false;
}

static void check_sources(
	struct build *b, const struct section *s, const struct hook *hook)
{
	for (size_t i = 0; i < hook->sources.size; i++) {
		struct bytes name = bytes_of(hook->sources.list[i]);
		const char *nearest = NULL;
		size_t best = SIZE_MAX;
		if (settings_section(b->origins, SECTION_SOURCE, name))
			continue;
		bool told = !findings_full(&b->findings);
		for (size_t j = 0; told && j < b->config->n_sources; j++) {
			const char *have = b->config->sources[j]->name;
			size_t distance = key_distance(name, bytes_of(have));
			if (distance < best) {
				best = distance;
				nearest = have;
			}
		}
		findings_error(&b->findings, settings_of(s, "Source")->at,
			"Source=%s: there is no such source%s%s%s",
			findings_quote(name).text, nearest ? "; did you mean " : "",
			nearest ? nearest : "", nearest ? "?" : "");
	}
}

static void check_names(struct build *b, const struct section *s, const struct hook *hook)
{
	struct place at = settings_of(s, "Export")->at;
	struct bytes value;
	for (size_t i = 0; i < hook->n_exports; i++) {
		struct bytes name = bytes_of(hook->exports[i].variable);
		if (hook_variable_known(name))
			findings_error(&b->findings, at,
				"Export=: %s is built in and cannot be another",
				hook->exports[i].variable);
		for (size_t j = 0; j < i; j++)
			if (bytes_equal(bytes_of(hook->exports[j].variable), name))
				findings_error(&b->findings, at,
					"Export=: %s stands twice",
					hook->exports[i].variable);
	}
	at = settings_of(s, "Environment")->at;
	for (size_t i = 0; i < hook->environment.size; i++) {
		struct bytes name = bytes_split(
			bytes_of(hook->environment.list[i]), '=', &value);
		if (hook_variable_known(name))
			findings_error(&b->findings, at,
				"Environment=: %.*s is built in and cannot be another",
				BYTES_FMT(name));
		else if (is_exported(hook, name))
			findings_error(&b->findings, at,
				"Environment=: %.*s comes from Export= already",
				BYTES_FMT(name));
	}
}

static void check_variables(
	struct build *b, const struct section *s, const struct hook *hook)
{
	for (size_t i = 0; i < hook->exec.size; i++) {
		const char *p = hook->exec.list[i];
		while ((p = strchr(p, '$'))) {
			struct bytes name = command_variable_at(p++);
			if (name.data && !hook_variable_known(name) &&
				!is_exported(hook, name) && !is_set(hook, name))
				findings_warning(&b->findings, settings_of(s, "Exec")->at,
					"Exec=: ${%.*s} is neither built in nor in "
					"Export= "
					"and will be empty",
					BYTES_FMT(name));
		}
	}
}

static void check_statuses(
	struct build *b, const struct section *s, const struct hook *hook)
{
	for (int i = 0; i < 256; i++)
		if (hook_status_in(hook->success_status, i) &&
			hook_status_in(hook->permanent_status, i))
			findings_error(&b->findings,
				settings_of(s, "PermanentExitStatus")->at,
				"PermanentExitStatus=: %d is a success", i);
}

/* What fires for a death is the run's end, not a callback: there is nothing to look at. */
static void check_on(struct build *b, const struct section *s, const struct hook *hook)
{
	if (hook->on_dead && hook->where.size > 0)
		findings_error(&b->findings, settings_of(s, "Where")->at,
			"Where= cannot be had beside On=dead: conditions look at a "
			"callback, and a run that died is none; use a hook of its own");
}

/* A word of On= held against the words its sources know. */
struct slip {
	struct bytes word;
	bool known;
	const char *nearest;
	size_t distance; /* of that one */
};

#define SLIP_MAX     2       /* letters; farther off it may well be another word */
#define COMPARED_MAX 1000000 /* advice may cost a second and not more */

static void compare(struct build *b, struct slip *slip, const struct words *words)
{
	for (size_t i = 0; i < words->size && !slip->known; i++) {
		struct bytes have = bytes_of(words->list[i]);
		b->n_compared++;
		slip->known = bytes_equal_nocase(have, slip->word);
		size_t distance = key_distance(slip->word, have);
		if (distance < slip->distance) {
			slip->distance = distance;
			slip->nearest = words->list[i];
		}
	}
}

/* NULL: there is no such source, or no word ever comes of it. */
static const struct source *nth_source(
	const struct build *b, const struct hook *hook, size_t i)
{
	const struct source *source = NULL;
	if (hook->sources.size == 0) {
		source = b->config->sources[i];
	} else {
		const struct section *s = settings_section(
			b->origins, SECTION_SOURCE, bytes_of(hook->sources.list[i]));
		source = s ? s->object : NULL;
	}
	return source && source->status.size > 0 ? source : NULL;
}

/* False: enough was compared. */
static bool look_up(struct build *b, const struct hook *hook, struct slip *slip)
{
	size_t n = hook->sources.size > 0 ? hook->sources.size : b->config->n_sources;
	for (size_t i = 0; i < n && !slip->known; i++) {
		const struct source *source = nth_source(b, hook, i);
		if (!source)
			continue;
		compare(b, slip, &source->success);
		compare(b, slip, &source->error);
		compare(b, slip, &source->canceled);
		compare(b, slip, &source->pending);
		if (b->n_compared > COMPARED_MAX)
			return false;
	}
	return true;
}

/*
 * A status may stand in no list and be right; but one that is a slip away from a word that
 * stands in one will hardly come. Of numbers each is as likely as its neighbour.
 */
static void check_slips(struct build *b, const struct section *s, const struct hook *hook)
{
	for (size_t i = 0; i < hook->on_statuses.size; i++) {
		const char *word = hook->on_statuses.list[i];
		struct slip slip = {.word = bytes_of(word), .distance = SLIP_MAX + 1};
		if (word[strspn(word, "0123456789")] == '\0')
			continue;
		if (!look_up(b, hook, &slip))
			return;
		if (!slip.known && slip.nearest)
			findings_warning(&b->findings, settings_of(s, "On")->at,
				"On=%s: no list of its sources holds this status; did "
				"you mean %s?",
				findings_quote(slip.word).text,
				findings_quote(bytes_of(slip.nearest)).text);
	}
}

/* ---- Mode=: who does it, and what that takes ---- */

static bool is_given(const struct section *s, const char *key)
{
	return settings_of(s, key)->size > 0;
}

/* A worker is started for no run in particular: nothing of one can stand in its arguments. */
static void check_worker_arguments(
	struct build *b, const struct section *s, const struct hook *hook)
{
	const char *own = hook_variable_name(HOOK_VARIABLE_HOOK);

	for (size_t i = 0; i < hook->exec.size; i++) {
		const char *p = hook->exec.list[i];
		while ((p = strchr(p, '$'))) {
			struct bytes name = command_variable_at(p++);
			if (!name.data || bytes_equal(name, bytes_of(own)) ||
				(!hook_variable_known(name) && !is_exported(hook, name)))
				continue;
			findings_error(&b->findings, settings_of(s, "Exec")->at,
				"Exec=: ${%.*s} is of one callback, and this process "
				"gets "
				"many: it stands in each line that it reads, or write "
				"Mode=exec",
				BYTES_FMT(name));
			return;
		}
	}
}

static void check_socket(struct build *b, const struct section *s)
{
	/* What a process of ours would need; the other side has its own. */
	static const char *const useless[] = {
		"Environment", "WorkingDirectory", "PermanentExitStatus"};
	const char *path = settings_text(s, "Socket");

	if (!path)
		findings_error(&b->findings, settings_of(s, "Mode")->at,
			"Mode=socket needs Socket=, the absolute path of the service's "
			"socket");
	else if (strlen(path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
		findings_error(&b->findings, settings_of(s, "Socket")->at,
			"Socket=: the path of a socket has at most %zu bytes",
			sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1);
	if (is_given(s, "Exec"))
		findings_error(&b->findings, settings_of(s, "Exec")->at,
			"Exec= cannot be had beside Mode=socket: the service at Socket= "
			"does the work");
	for (size_t i = 0; i < ARRAY_SIZE(useless); i++)
		if (is_given(s, useless[i]))
			findings_warning(&b->findings, settings_of(s, useless[i])->at,
				"%s= is of no use beside Mode=socket: there is no "
				"process "
				"of ours",
				useless[i]);
}

static void check_mode(struct build *b, const struct section *s, const struct hook *hook)
{
	if (hook->mode == HOOK_SOCKET) {
		check_socket(b, s);
		return;
	}
	if (!is_given(s, "Exec"))
		findings_error(&b->findings, settings_of(s, "Exec")->at,
			"[Hook %s] has no Exec=: what is to be run?", s->name);
	if (is_given(s, "Socket"))
		findings_error(&b->findings, settings_of(s, "Socket")->at,
			"Socket= is for Mode=socket, and this hook's Mode= is another");
	if (hook_has_worker(hook))
		check_worker_arguments(b, s, hook);
	if (hook->mode == HOOK_STREAM && is_given(s, "PermanentExitStatus"))
		findings_warning(&b->findings, settings_of(s, "PermanentExitStatus")->at,
			"PermanentExitStatus= is of no use beside Mode=stream: runs are "
			"answered by lines");
}

void config_check_hook(
	struct build *b, const struct section *section, const struct hook *hook)
{
	check_mode(b, section, hook);
	check_sources(b, section, hook);
	check_names(b, section, hook);
	check_variables(b, section, hook);
	check_statuses(b, section, hook);
	check_on(b, section, hook);
	check_slips(b, section, hook);
}
