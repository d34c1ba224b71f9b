/* The checks of `callbackctl doctor`; see doctor.h. */
#include "api/doctor.h"

#include "base/clock.h"
#include "base/text.h"
#include "io/conffile.h"
#include "io/probe.h"
#include "io/tls.h"

#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define DAY_USEC       ((int64_t)86400 * (int64_t)USEC_PER_SEC)
#define JOURNAL_SOCKET "/run/systemd/journal/socket"
#define SYSTEM_PATH    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
/* Of the daemon's own: store, log, runner, listeners; and three for each run. */
#define OWN_DESCRIPTORS 64
#define RUN_DESCRIPTORS 4
/* This program is younger than its clock can say. */
#define BUILT_USEC (INT64_C(1767225600) * (int64_t)USEC_PER_SEC) /* 2026-01-01 */

struct visit {
	const struct doctor *doctor;
	const struct config *config; /* as on the disk, if it can be read, else at work */
	json_t *list;
	bool failed;
};

enum state { OK, WARNING, PROBLEM };

static void add(struct visit *v, enum state state, const char *check, const char *format,
	...) PRINTF_LIKE(4, 5);
static void add(
	struct visit *v, enum state state, const char *check, const char *format, ...)
{
	static const char *const words[] = {"ok", "warning", "problem"};
	struct text t = TEXT_EMPTY;
	va_list ap;

	va_start(ap, format);
	text_addv(&t, format, ap);
	va_end(ap);
	json_t *o = t.failed ? NULL
			     : json_pack("{s:s, s:s, s:s}", "check", check, "state",
				       words[state], "text", t.data ? t.data : "");
	if (json_array_append_new(v->list, o) < 0)
		v->failed = true;
	text_fini(&t);
}

static void look(struct visit *v, const char *what)
{
	v->doctor->on_look(v->doctor->arg, what);
}

/* ---- The configuration, with all that it names ---- */

static void check_config(struct visit *v, struct config **ret)
{
	const struct doctor *d = v->doctor;
	struct config_report report = {0};
	size_t secrets = 0;

	look(v, d->config_path);
	int r = conffile_load(d->config_path, false, &report, ret);
	for (size_t i = 0; i < report.size; i++)
		add(v, report.problems[i].warning ? WARNING : PROBLEM, "configuration",
			"%s", report.problems[i].text);
	if (r == 0) {
		v->config = *ret;
		for (size_t i = 0; i < v->config->n_sources; i++)
			secrets += v->config->sources[i]->n_secrets;
		add(v, OK, "configuration",
			"%s: %zu sources, %zu hooks, %zu secrets read", d->config_path,
			v->config->n_sources, v->config->n_hooks, secrets);
	} else if (r < 0) {
		add(v, PROBLEM, "configuration", "%s: %s", d->config_path,
			strerrordesc_np(-r));
	} else {
		add(v, PROBLEM, "configuration",
			"a reload or a restart would not take it: the one at work is "
			"older");
	}
	config_report_fini(&report);
}

/* ---- Hooks ---- */

static const char *search_path(const struct hook *h)
{
	const char *ours = getenv("PATH");

	for (size_t i = 0; i < h->environment.size; i++)
		if (!strncmp(h->environment.list[i], "PATH=", 5))
			return h->environment.list[i] + 5;
	return ours && *ours ? ours : SYSTEM_PATH;
}

static void check_hook(struct visit *v, const struct hook *h)
{
	CLEANUP(freep) char *check = text_format("hook %s", h->name);
	const char *where = h->working_directory, *what = h->socket;
	struct text why = TEXT_EMPTY;
	int r = 0;

	if (!check) {
		v->failed = true;
		return;
	}
	if (h->mode == HOOK_SOCKET) {
		look(v, what);
		r = probe_socket(what, &why);
	} else {
		what = h->exec.list[0];
		look(v, what);
		if (!strstr(what, "${"))
			r = probe_program(what, search_path(h), &why);
		if (!r && where) {
			look(v, where);
			r = probe_directory(where, false, &why);
		}
	}
	if (why.failed)
		v->failed = true;
	else if (r)
		add(v, PROBLEM, check, "%s", why.data);
	else if (h->mode != HOOK_SOCKET && where && probe_directory(where, true, &why))
		add(v, OK, check, "%s can be run; %s", what, why.data);
	else
		add(v, OK, check, "%s can be %s", what,
			h->mode == HOOK_SOCKET ? "connected to" : "run");
	text_fini(&why);
}

/* ---- Where the store is ---- */

static void check_state(struct visit *v)
{
	const struct doctor *d = v->doctor;
	struct text why = TEXT_EMPTY;
	struct statvfs vfs;

	look(v, d->state_directory);
	if (probe_directory(d->state_directory, true, &why) ||
		statvfs(d->state_directory, &vfs) < 0) {
		add(v, PROBLEM, "state directory", "%s",
			why.data ? why.data : d->state_directory);
		text_fini(&why);
		return;
	}
	uint64_t room = (uint64_t)vfs.f_bavail * vfs.f_frsize,
		 keep = v->config->min_free_bytes;
	unsigned long long mib = room >> 20;
	if (room < keep)
		add(v, PROBLEM, "disk",
			"%llu MiB are free, less than MinFreeBytes=: callbacks are "
			"answered 503 until there is room",
			mib);
	else if (room < keep + d->store_bytes)
		add(v, WARNING, "disk",
			"%llu MiB are free: there is no room for a backup beside the "
			"store, and it may not grow to twice its size",
			mib);
	else
		add(v, OK, "disk", "%llu MiB are free in %s", mib, d->state_directory);
	if (vfs.f_ffree == 0 && vfs.f_files)
		add(v, PROBLEM, "disk", "no inode is free in %s", d->state_directory);
}

/* ---- The outside ---- */

/* The host of PublicURL=, which is an origin: SCHEME://HOST[:PORT]. Owned. */
static char *host_of(const char *url)
{
	const char *host = strstr(url, "://");

	host = host ? host + 3 : url;
	if (*host == '[')
		return bytes_dup((struct bytes){host + 1, strcspn(host + 1, "]")});
	return bytes_dup((struct bytes){host, strcspn(host, ":/")});
}

static void check_names(struct visit *v, X509 *certificate)
{
	CLEANUP(freep)
	char *host = v->config->public_url ? host_of(v->config->public_url) : NULL;

	if (!host)
		return;
	if (X509_check_host(certificate, host, 0, 0, NULL) == 1 ||
		X509_check_ip_asc(certificate, host, 0) == 1)
		add(v, OK, "certificate", "it is for %s, as PublicURL= says", host);
	else
		add(v, WARNING, "certificate",
			"it is not for %s, the host of PublicURL=: senders will refuse "
			"it, unless a proxy stands before it",
			host);
}

static void check_certificate(struct visit *v)
{
	const struct config *c = v->config;
	CLEANUP(freep) char *error = NULL;
	struct ssl_ctx_st *tls = NULL;
	int64_t expires = 0, now = clock_wall_usec();

	if (!c->tls_certificate_file)
		return;
	look(v, c->tls_certificate_file);
	if (tls_server_context(c->tls_certificate_file, c->tls_key_file,
		    c->tls_client_ca_file, &tls, &expires, &error) < 0) {
		add(v, PROBLEM, "certificate", "%s", error ? error : "out of memory");
		return;
	}
	long long days = (expires - now) / DAY_USEC;
	if (expires < now)
		add(v, PROBLEM, "certificate", "%s has expired: renew it, then reload",
			c->tls_certificate_file);
	else if (expires - now < TLS_EXPIRES_SOON_USEC)
		add(v, WARNING, "certificate",
			"%s expires within %lld days: renew it, then reload",
			c->tls_certificate_file, days + 1);
	else
		add(v, OK, "certificate", "%s is good for %lld days",
			c->tls_certificate_file, days);
	check_names(v, SSL_CTX_get0_certificate(tls));
	SSL_CTX_free(tls);
}

static void check_doors(struct visit *v)
{
	const struct config *c = v->config;

	if (!v->doctor->has_public_listener)
		add(v, PROBLEM, "listeners",
			"nobody can call back: no Listen=, no ListenTLS=, and no socket "
			"unit");
	if (!c->public_url)
		add(v, WARNING, "public URL",
			"PublicURL= is not set: nothing can be uploaded, and senders "
			"who sign the URL cannot be verified");
	else if (!strncmp(c->public_url, "http:", 5) &&
		 strncmp(c->public_url, "http://127.", 11) != 0 &&
		 strncmp(c->public_url, "http://localhost", 16) != 0)
		add(v, WARNING, "public URL",
			"%s is not encrypted: tokens and payloads can be read on the way",
			c->public_url);
	else
		add(v, OK, "public URL", "%s", c->public_url);
}

/* ---- The machine ---- */

/* Whether anything keeps it right is asked by the tool: the service may not ask for it. */
static void check_clock(struct visit *v)
{
	if (clock_wall_usec() < BUILT_USEC)
		add(v, PROBLEM, "clock",
			"it is older than this program: signatures with a time are "
			"refused");
}

static void check_descriptors(struct visit *v)
{
	const struct config *c = v->config;
	uint64_t want = c->limits.max_connections + OWN_DESCRIPTORS +
			RUN_DESCRIPTORS * (uint64_t)c->max_concurrent;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	if (limit.rlim_cur < want)
		add(v, WARNING, "descriptors",
			"%llu may be open, MaxConnections= and MaxConcurrent= may want "
			"%llu: LimitNOFILE= of the unit",
			(unsigned long long)limit.rlim_cur, (unsigned long long)want);
	else
		add(v, OK, "descriptors", "%llu may be open",
			(unsigned long long)limit.rlim_cur);
}

static void check_service(struct visit *v)
{
	if (v->doctor->has_cgroups)
		add(v, OK, "process trees", "each run has a cgroup of its own");
	else
		add(v, WARNING, "process trees",
			"no cgroup is delegated (Delegate=yes of the unit): what a hook "
			"leaves behind is looked for, one process after another");
	look(v, JOURNAL_SOCKET);
	if (!getenv("JOURNAL_STREAM"))
		add(v, OK, "journal",
			"the log goes to standard error, which is not the journal's");
	else if (access(JOURNAL_SOCKET, W_OK) < 0)
		add(v, PROBLEM, "journal",
			JOURNAL_SOCKET " cannot be written: nothing is logged");
	else
		add(v, OK, "journal", "it takes what is logged");
}

json_t *doctor_examine(const struct doctor *d)
{
	struct visit v = {.doctor = d, .config = d->config, .list = json_array()};
	struct config *loaded = NULL;

	if (!v.list)
		return NULL;
	check_config(&v, &loaded);
	for (size_t i = 0; i < v.config->n_hooks; i++)
		check_hook(&v, v.config->hooks[i]);
	check_state(&v);
	check_doors(&v);
	check_certificate(&v);
	check_clock(&v);
	check_descriptors(&v);
	check_service(&v);
	config_unref(loaded);
	if (v.failed)
		json_decref(CONSUME(v.list));
	return v.list;
}
