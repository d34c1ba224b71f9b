/* Which addresses may be connected to; see fetch_public.h. */
#include "io/fetch_public.h"

#include "rules/address.h"

#include <curl/curl.h>

/*
 * The address that is about to be connected to, behind every resolver: what the name said
 * before, or says to others, does not count. CURL_SOCKET_BAD: on to the host's next address.
 */
static curl_socket_t on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *a)
{
	bool *passed_over = arg;

	if (purpose != CURLSOCKTYPE_IPCXN || !address_is_public(&a->addr, a->addrlen)) {
		*passed_over = true;
		return CURL_SOCKET_BAD;
	}
	return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

bool fetch_keep_public(void *easy, bool *passed_over)
{
	/* A connection that another transfer left open was not looked at. */
	return curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, passed_over) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https") == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L) == CURLE_OK;
}
