/*
 * The whole configuration, immutable and counted: reload makes a new one, what is in
 * flight keeps its own. config_build() is a pure function of texts; io/conffile.h reads
 * the files.
 */
#ifndef RULES_CONFIG_H
#define RULES_CONFIG_H

#include "rules/hook.h"
#include "rules/source.h"

#include <stdio.h>

struct config_limits { /* robustness.md, "Connections" */
	uint64_t handshake_timeout_usec, header_timeout_usec, body_timeout_usec,
		keep_alive_timeout_usec;
	uint64_t body_min_rate; /* bytes a second, after the grace */
	uint64_t max_connections,
		max_connections_per_address; /* per address: default a quarter */
	uint64_t max_header_bytes, max_headers, max_target_bytes, max_body_bytes,
		max_body_bytes_in_flight, max_requests_per_connection;
};

struct config {
	unsigned refs; /* loop thread only */
	struct words listen, listen_tls, status_listen;
	char *status_source; /* as written, or NULL */
	struct secret *status_keys;
	size_t n_status_keys;
	const struct source *status_served; /* by the status API; NULL: none is */
	char *tls_certificate_file, *tls_key_file,
		*tls_client_ca_file; /* resolved, or NULL */
	char *public_url;            /* origin only, no trailing slash; NULL for none */
	char *state_directory, *control_socket;
	int log_level; /* LOG_ERR … LOG_DEBUG of syslog.h */
	uint64_t retention_usec, min_free_bytes, stop_timeout_usec;
	unsigned max_concurrent;
	struct cidr_list trusted_proxy;
	bool proxy_protocol;
	struct config_limits limits;
	struct source **sources;
	size_t n_sources;
	struct hook **hooks;
	size_t n_hooks;
	struct words credentials; /* files that came from $CREDENTIALS_DIRECTORY: a reload
				     finds them as they were; conffile.c's */
	struct config_index *index; /* config_index.h's; NULL while it is not complete */
	struct config_origins *origins; /* of each value, for --print-config; opaque */
};

/* One file's text, in the order they are to be read (main file, then drop-ins by name).
 */
struct config_text {
	const char *path;
	struct bytes text;
};

/* What the outside gives; every pointer may be NULL. Called during config_build() only.
 */
struct config_world {
	/*
	 * Reads the secret or key file `name` as a person wrote it; looks in the
	 * credentials directory first, then beside the configuration file. 0 and *ret
	 * (owned by the caller) and *ret_path; 1: not to be had, *ret_reason (owned by
	 * the caller) says why; 2: could only be in the credentials directory and there
	 * is none (a warning under -n). *ret_warning (owned, may stay NULL): readable by
	 * others and the like.
	 */
	int (*read_secret)(void *arg, const char *name, char **ret, size_t *ret_size,
		char **ret_path, char **ret_reason, char **ret_warning);
	/* Resolves a file that is only named (certificates, CA); same results without
	 * content. */
	int (*find_file)(void *arg, const char *name, char **ret_path, char **ret_reason);
	void *arg;
	const char *state_directory;   /* $STATE_DIRECTORY */
	const char *runtime_directory; /* $RUNTIME_DIRECTORY */
	bool checking; /* -n: what only $CREDENTIALS_DIRECTORY could hold is a warning */
};

struct config_problem {
	char *text; /* "FILE:LINE: message", or "FILE: message" where there is no line */
	bool warning;
};

struct config_report {
	struct config_problem *problems;
	size_t size;
	size_t n_errors;
};

/*
 * 0 and *ret with one reference; 1: the report holds errors, *ret untouched; -ENOMEM.
 * Warnings come with 0 too. All problems are reported, in file and line order.
 */
int config_build(const struct config_text *texts, size_t n_texts,
	const struct config_world *world, struct config_report *report,
	struct config **ret) MUST_CHECK;
void config_report_add(struct config_report *r, bool warning, const char *format, ...)
	PRINTF_LIKE(3, 4);
void config_report_fini(struct config_report *r);

struct config *config_ref(struct config *c); /* returns c */
void config_unref(struct config *c);         /* NULL is fine */
struct source *config_source(const struct config *c, struct bytes name); /* NULL: none */
struct hook *config_hook(const struct config *c, struct bytes name);
/* The effective configuration with each value's origin. Never a secret. 0 or -EIO. */
int config_print(const struct config *c, FILE *out) MUST_CHECK;

#endif
