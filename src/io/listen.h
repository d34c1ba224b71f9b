/* Listening sockets: from an address a person wrote, or handed over by systemd. */
#ifndef IO_LISTEN_H
#define IO_LISTEN_H

#include "base/macros.h"

#include <sys/types.h>

enum listen_kind { LISTEN_PUBLIC, LISTEN_TLS, LISTEN_CONTROL, LISTEN_STATUS };

struct listen_socket {
	int fd; /* non-blocking, close-on-exec */
	enum listen_kind kind;
};

/*
 * "ADDR:PORT", "[V6]:PORT" or an absolute path (unix socket; a stale one is replaced, a
 * live one is -EADDRINUSE; `mode` is its permission). 0 and *ret_fd, or negative errno
 * and *ret_error (owned by the caller: one line with the address and the reason).
 */
int listen_open(
	const char *address, mode_t mode, int *ret_fd, char **ret_error) MUST_CHECK;
/*
 * What sd_listen_fds_with_names() holds: callbackd.socket or unnamed = public,
 * callbackd-tls.socket, callbackd-control.socket, callbackd-status.socket. Unsets the environment. Array owned by
 * the caller. 0 or negative errno.
 */
int listen_inherited(struct listen_socket **ret, size_t *ret_n) MUST_CHECK;
/* The address of a listening socket as text ("127.0.0.1:8080", a path); owned by the
 * caller. */
char *listen_name(int fd) MUST_CHECK;

#endif
