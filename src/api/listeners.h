/*
 * The doors: the public listeners, the control socket and the status listeners, opened from the configuration or taken
 * over from systemd, where a handed-over name replaces the configured ones of its kind.
 */
#ifndef API_LISTENERS_H
#define API_LISTENERS_H

#include "api/control.h"
#include "api/dropin.h"

#include <jansson.h>

struct listeners {
	struct http_server *public, *control, *status;
	struct listener {
		enum { DOOR_PUBLIC, DOOR_TLS, DOOR_CONTROL, DOOR_STATUS } kind;
		char *name; /* its address as text */
		bool inherited;
	} * list;
	size_t size;
	int64_t certificate_expires_usec; /* 0 = no TLS */
	/* Of listeners_drain(). */
	unsigned undrained;
	bool public_stays;
	void (*on_drained)(void *arg);
	void *drained_arg;
};

/*
 * Opens all; nothing is accepted before the loop runs. 0; -EINVAL: a certificate or key is not
 * usable, or a status socket is handed over and no source can be served on it (exit 78); another negative errno: the system refused (exit 71). *ret_error is one line,
 * owned by the caller. listeners_close() in every case.
 */
int listeners_open(struct listeners *l, struct flow *flow, struct control *control,
	struct dropin *dropin, char **ret_error) MUST_CHECK;
/*
 * A new configuration: limits, proxies, certificate. Addresses stay until the next start; what
 * differs is said in *ret_warning (owned, may stay NULL). As above; on failure the old one serves on.
 */
int listeners_reconfigure(struct listeners *l, const struct config *old,
	const struct config *c, char **ret_warning, char **ret_error) MUST_CHECK;
/*
 * Public and status: no new connections, requests in flight are answered, then on_drained.
 * Public ones that were all handed over stay open until listeners_drain_rest(): what waits in
 * them is the next start's, which hooks that run keep away.
 */
void listeners_drain(struct listeners *l, void (*on_drained)(void *arg), void *arg);
void listeners_drain_rest(struct listeners *l); /* no hook runs any more */
/* The same for the control socket, when nobody is to be told 503 there any more. */
void listeners_drain_control(
	struct listeners *l, void (*on_drained)(void *arg), void *arg);
void listeners_close(struct listeners *l);

/* [{"kind","address","inherited"}…] */
json_t *listeners_json(const struct listeners *l);
/* A URL at which our own public listener answers, *ret_unix a socket path or NULL; owned. NULL: none. */
char *listeners_own_url(const struct listeners *l, char **ret_unix);

#endif
