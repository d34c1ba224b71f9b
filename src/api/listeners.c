/* Opening, changing and closing the doors; see listeners.h. */
#include "api/listeners.h"

#include "api/public.h"
#include "base/clock.h"
#include "base/text.h"
#include "io/listen.h"
#include "io/log.h"
#include "io/tls.h"
#include "rules/words.h"

#include <errno.h>
#include <openssl/ssl.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* Takes fd over, also on failure. */
static int add(struct listeners *l, int kind, int fd, bool inherited)
{
	struct http_server *server = kind == DOOR_CONTROL  ? l->control
				     : kind == DOOR_STATUS ? l->status
							   : l->public;

	struct listener *list = reallocarray(l->list, l->size + 1, sizeof(*list));
	char *name = list ? listen_name(fd) : NULL;
	if (list)
		l->list = list;
	if (!name) {
		close(fd);
		return -ENOMEM;
	}
	list[l->size++] = (struct listener){
		.kind = kind, .name = name, .inherited = inherited};
	return http_server_listen(server, fd, kind == DOOR_TLS);
}

static bool has(const struct listeners *l, int kind)
{
	for (size_t i = 0; i < l->size; i++)
		if ((int)l->list[i].kind == kind)
			return true;
	return false;
}

static int open_one(
	struct listeners *l, int kind, const char *address, mode_t mode, char **ret_error)
{
	int fd;
	int r = listen_open(address, mode, &fd, ret_error);

	return r < 0 ? r : add(l, kind, fd, false);
}

static int open_all(struct listeners *l, const struct config *c, char **ret_error)
{
	bool public_given = has(l, DOOR_PUBLIC), tls_given = has(l, DOOR_TLS);
	bool status_given = has(l, DOOR_STATUS);
	int r = 0;

	for (size_t i = 0; r == 0 && !public_given && i < c->listen.size; i++)
		r = open_one(l, DOOR_PUBLIC, c->listen.list[i], 0666, ret_error);
	for (size_t i = 0; r == 0 && !tls_given && i < c->listen_tls.size; i++)
		r = open_one(l, DOOR_TLS, c->listen_tls.list[i], 0666, ret_error);
	for (size_t i = 0; r == 0 && !status_given && i < c->status_listen.size; i++)
		r = open_one(l, DOOR_STATUS, c->status_listen.list[i], 0666, ret_error);
	if (r == 0 && !has(l, DOOR_CONTROL))
		r = open_one(l, DOOR_CONTROL, c->control_socket, 0660, ret_error);
	return r;
}

/* A certificate whose end is near is worth a line at every start and reload. */
static void warn_of_expiry(int64_t expires_usec, int64_t now_usec)
{
	const int64_t day = 86400 * (int64_t)USEC_PER_SEC;
	int64_t left = expires_usec - now_usec;

	if (!expires_usec || left >= TLS_EXPIRES_SOON_USEC)
		return;
	long long days = left < 0 ? -left / day : (left + day - 1) / day;
	log_event(LOG_CERTIFICATE_EXPIRES, NULL,
		left < 0 ? "TLSCertificateFile= expired %lld days ago"
			 : "TLSCertificateFile= expires within %lld days",
		days);
}

static int load_tls(const struct config *c, struct ssl_ctx_st **ret,
	int64_t *ret_expires_usec, char **ret_error)
{
	*ret = NULL;
	*ret_expires_usec = 0;
	if (!c->tls_certificate_file)
		return 0;
	int r = tls_server_context(c->tls_certificate_file, c->tls_key_file,
		c->tls_client_ca_file, ret, ret_expires_usec, ret_error);
	if (r == 0)
		warn_of_expiry(*ret_expires_usec, clock_wall_usec());
	return r == -ENOMEM ? r : r < 0 ? -EINVAL : 0;
}

/* Descriptors that connections must leave to the rest: hooks' pipes, the store, the log. */
#define DESCRIPTORS_KEPT      64
#define DESCRIPTORS_PER_HOOK  8
#define STATUS_BODY_MAX_BYTES (64u << 10)

/*
 * No more connections than there are descriptors for: a flood must not keep hooks from starting.
 * A fifth of what there is belongs to the status listeners, where there are any.
 */
static void clamp_connections(
	struct config_limits *public, struct config_limits *status, unsigned n_hooks)
{
	struct rlimit have;
	uint64_t kept = DESCRIPTORS_KEPT + (uint64_t)n_hooks * DESCRIPTORS_PER_HOOK;
	uint64_t others = status ? status->max_connections : 0;

	if (getrlimit(RLIMIT_NOFILE, &have) < 0 ||
		public->max_connections + others + kept <= have.rlim_cur)
		return;
	uint64_t room = have.rlim_cur > 2 * kept ? have.rlim_cur - kept
						 : have.rlim_cur / 2;
	if (status) {
		status->max_connections = room / 5 ? room / 5 : 1;
		room -= room / 5;
	}
	log_event(LOG_CONFIG_WARNING, NULL,
		"MaxConnections=%llu is lowered to %llu: there are %llu descriptors "
		"(LimitNOFILE=)",
		(unsigned long long)public->max_connections, (unsigned long long)room,
		(unsigned long long)have.rlim_cur);
	public->max_connections = room;
	if (public->max_connections_per_address > room)
	public->max_connections_per_address = room;
}

static uint64_t quarter(uint64_t n)
{
	return n / 4 ? n / 4 : 1;
}

/* As hard as the public ones, with room for a quarter as many; what initiates an upload is short. */
static struct config_limits limits_of_status(const struct config *c)
{
	struct config_limits l = c->limits;

	l.max_connections = quarter(l.max_connections);
	if (l.max_body_bytes > STATUS_BODY_MAX_BYTES)
		l.max_body_bytes = STATUS_BODY_MAX_BYTES;
	return l;
}

static int configure(struct listeners *l, const struct config *c)
{
	/* The control socket is for people with the permission: no proxies, ample limits. */
	struct config_limits public = c->limits, control = c->limits;
	struct config_limits status = limits_of_status(c);
	const struct cidr_list none = {0};

	control.max_connections_per_address = control.max_connections;
	control.max_requests_per_connection = UINT32_MAX;
	bool served = has(l, DOOR_STATUS) || c->status_listen.size > 0;
	clamp_connections(&public, served ? &status : NULL, c->max_concurrent);
	if (status.max_connections_per_address > quarter(status.max_connections))
		status.max_connections_per_address = quarter(status.max_connections);
	int r = http_server_configure(
		l->public, &public, &c->trusted_proxy, c->proxy_protocol);
	if (r == 0)
		r = http_server_configure(
			l->status, &status, &c->trusted_proxy, c->proxy_protocol);
	return r < 0 ? r : http_server_configure(l->control, &control, &none, false);
}

/* A socket that is handed over asks for no StatusListen=, so no configuration was refused for it:
 * nobody is served without a source and a key. 0, or -EINVAL with *ret_error. */
static int check_status(
	const struct listeners *l, const struct config *c, char **ret_error)
{
	const struct source *s = c->status_served;

	for (size_t i = 0; i < l->size; i++) {
		const struct listener *door = &l->list[i];

		if (door->kind != DOOR_STATUS || !door->inherited ||
			(s && c->public_url && (c->n_status_keys > 0 || s->api_key)))
			continue;
		*ret_error = text_format("callbackd-status.socket needs %s",
			!s ? "one source with UploadURL=, or StatusSource="
			: !c->public_url
				? "PublicURL="
				: "StatusKeyFile=, or APIKeyFile= of its source");
		return -EINVAL;
	}
	return 0;
}

static int door_of(enum listen_kind kind)
{
	switch (kind) {
	case LISTEN_TLS: return DOOR_TLS;
	case LISTEN_CONTROL: return DOOR_CONTROL;
	case LISTEN_STATUS: return DOOR_STATUS;
	default: return DOOR_PUBLIC;
	}
}

static int take_over(struct listeners *l, const struct config *c)
{
	CLEANUP(freep) struct listen_socket *sockets = NULL;
	size_t n = 0;

	int r = listen_inherited(&sockets, &n);
	for (size_t i = 0; i < n; i++) {
		if (r == 0)
			r = add(l, door_of(sockets[i].kind), sockets[i].fd, true);
		else
			close(sockets[i].fd);
	}
	/* Only now it is known that there are status listeners to share with. */
	return r == 0 && has(l, DOOR_STATUS) && !c->status_listen.size ? configure(l, c)
								       : r;
}

int listeners_open(struct listeners *l, struct flow *flow, struct control *control,
	struct dropin *dropin, char **ret_error)
{
	struct http_options public_options = {
		.base = flow->base, .handler = &public_handler, .arg = flow};
	struct http_options control_options = {.base = flow->base,
		.handler = &control_handler,
		.arg = control,
		.long_poll = true};
	struct http_options status_options = {.base = flow->base,
		.handler = &dropin_handler,
		.arg = dropin,
		.long_poll = true};
	struct ssl_ctx_st *tls = NULL;
	int r;

	*ret_error = NULL;
	if ((r = http_server_new(&l->public, &public_options)) < 0 ||
		(r = http_server_new(&l->control, &control_options)) < 0 ||
		(r = http_server_new(&l->status, &status_options)) < 0 ||
		(r = configure(l, flow->config)) < 0 ||
		(r = load_tls(flow->config, &tls, &l->certificate_expires_usec,
			 ret_error)) < 0)
		return r;
	if (tls) {
		http_server_set_tls(l->public, tls);
		SSL_CTX_free(tls);
	}
	if ((r = take_over(l, flow->config)) < 0 ||
		(r = check_status(l, flow->config, ret_error)) < 0 ||
		(r = open_all(l, flow->config, ret_error)) < 0)
		return r;
	for (size_t i = 0; i < l->size; i++)
		log_event(LOG_LISTENING, NULL, "Listening on %s%s%s", l->list[i].name,
			l->list[i].kind == DOOR_TLS       ? " (TLS)"
			: l->list[i].kind == DOOR_CONTROL ? " (control)"
			: l->list[i].kind == DOOR_STATUS  ? " (status)"
							  : "",
			l->list[i].inherited ? ", handed over" : "");
	return 0;
}

int listeners_reconfigure(struct listeners *l, const struct config *old,
	const struct config *c, char **ret_warning, char **ret_error)
{
	struct ssl_ctx_st *tls = NULL;
	int64_t expires_usec = 0;

	*ret_warning = *ret_error = NULL;
	int r = check_status(l, c, ret_error);
	if (r == 0)
		r = load_tls(c, &tls, &expires_usec, ret_error);
	if (r < 0)
		return r;
	r = configure(l, c);
	if (r == 0 && tls) {
		http_server_set_tls(l->public, tls);
		l->certificate_expires_usec = expires_usec;
		log_event(LOG_TLS_RELOADED, NULL,
			"TLSCertificateFile= was read again; new connections use it");
	}
	SSL_CTX_free(tls);
	if (r == 0 && (!words_equal(&old->listen, &c->listen) ||
			      !words_equal(&old->listen_tls, &c->listen_tls) ||
			      !words_equal(&old->status_listen, &c->status_listen) ||
			      strcmp(old->control_socket, c->control_socket) != 0 ||
			      strcmp(old->state_directory, c->state_directory) != 0))
		*ret_warning = text_format(
			"Listen=, ListenTLS=, StatusListen=, ControlSocket= and "
			"StateDirectory= keep their values until the next start");
	return r;
}

static bool public_is_inherited(const struct listeners *l)
{
	for (size_t i = 0; i < l->size; i++)
		if ((l->list[i].kind == DOOR_PUBLIC || l->list[i].kind == DOOR_TLS) &&
			!l->list[i].inherited)
			return false;
	return true;
}

static void on_one_drained(void *arg)
{
	struct listeners *l = arg;

	if (--l->undrained == 0)
		l->on_drained(l->drained_arg);
}

void listeners_drain(struct listeners *l, void (*on_drained)(void *arg), void *arg)
{
	l->on_drained = on_drained;
	l->drained_arg = arg;
	l->undrained = 2;
	l->public_stays = public_is_inherited(l);
	if (!l->public_stays)
		http_server_drain(l->public, on_one_drained, l);
	http_server_drain(l->status, on_one_drained, l);
}

void listeners_drain_rest(struct listeners *l)
{
	if (l->public_stays)
		http_server_drain(l->public, on_one_drained, l);
	l->public_stays = false;
}

void listeners_drain_control(
	struct listeners *l, void (*on_drained)(void *arg), void *arg)
{
	if (l->control)
		http_server_drain(l->control, on_drained, arg);
	else
		on_drained(arg);
}

void listeners_close(struct listeners *l)
{
	http_server_free(l->public);
	http_server_free(l->control);
	http_server_free(l->status);
	for (size_t i = 0; i < l->size; i++) {
		struct listener *door = &l->list[i];
		/* Ours to remove; a handed-over one belongs to its socket unit. */
		if (!door->inherited && door->name[0] == '/')
			unlink(door->name);
		free(door->name);
	}
	free(l->list);
	*l = (struct listeners){0};
}

json_t *listeners_json(const struct listeners *l)
{
	static const char *const kinds[] = {"public", "tls", "control", "status"};
	json_t *list = json_array();

	for (size_t i = 0; list && i < l->size; i++)
		json_array_append_new(
			list, json_pack("{s:s, s:s, s:b}", "kind", kinds[l->list[i].kind],
				      "address", l->list[i].name, "inherited",
				      l->list[i].inherited));
	return list;
}

/* 0.0.0.0 and [::] are addresses to listen on, not to speak to. */
static char *reachable(const char *name)
{
	if (strncmp(name, "0.0.0.0:", 8) == 0)
		return text_format("127.0.0.1:%s", name + 8);
	if (strncmp(name, "[::]:", 5) == 0)
		return text_format("[::1]:%s", name + 5);
	return bytes_dup(bytes_of(name));
}

char *listeners_own_url(const struct listeners *l, char **ret_unix)
{
	*ret_unix = NULL;
	for (size_t i = 0; i < l->size; i++) {
		const struct listener *door = &l->list[i];
		if (door->kind == DOOR_CONTROL || door->kind == DOOR_STATUS)
			continue;
		if (door->name[0] == '/') {
			*ret_unix = bytes_dup(bytes_of(door->name));
			return *ret_unix ? text_format("http://localhost") : NULL;
		}
		CLEANUP(freep) char *address = reachable(door->name);
		if (!address)
			return NULL;
		return text_format(
			"%s://%s", door->kind == DOOR_TLS ? "https" : "http", address);
	}
	return NULL;
}
