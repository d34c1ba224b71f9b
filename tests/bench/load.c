/*
 * A closed-loop load of signed callbacks: N keep-alive connections, each sends its next request
 * when the last one is answered. Every body is different and signed (HMAC-SHA256, X-Signature);
 * every answer is checked. Made for bench.py; loopback only, ends by itself.
 *
 *   load PORT PATH SECRET CONNECTIONS SECONDS [BODY_BYTES]
 *   prints: requests/s p50_us p99_us max_us failures
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/hmac.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_SAMPLES 4000000

struct connection {
	int fd;
	char request[16384];
	size_t size, sent;
	char answer[4096];
	size_t got;
	uint64_t begun_ns;
};

static const char *path, *secret;
static size_t body_bytes = 2048;
static uint32_t *samples_us;
static size_t n_samples, failures;
static uint64_t serial;
static char run_name[17];

static uint64_t now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void compose(struct connection *c)
{
	static char body[8192];
	unsigned char mac[32];
	char hex[65];
	int n = snprintf(body, sizeof(body),
		"{\"id\":\"%s-%llu\",\"status\":\"completed\",\"padding\":\"", run_name,
		(unsigned long long)serial++);
	size_t size = (size_t)n;
	for (; size < body_bytes - 2; size++)
		body[size] = (char)('a' + size % 26);
	body[size++] = '"';
	body[size++] = '}';
	HMAC(EVP_sha256(), secret, (int)strlen(secret), (unsigned char *)body, size, mac,
		NULL);
	for (size_t i = 0; i < 32; i++)
		snprintf(hex + 2 * i, 3, "%02x", mac[i]);
	c->size = (size_t)snprintf(c->request, sizeof(c->request),
		"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
		"application/json\r\n"
		"X-Signature: %s\r\nContent-Length: %zu\r\n\r\n",
		path, hex, size);
	memcpy(c->request + c->size, body, size);
	c->size += size;
	c->sent = c->got = 0;
}

static void push(struct connection *c)
{
	ssize_t n = send(c->fd, c->request + c->sent, c->size - c->sent, MSG_NOSIGNAL);
	if (n > 0)
		c->sent += (size_t)n;
	else if (n < 0 && errno != EAGAIN)
		failures++;
}

static void next(struct connection *c)
{
	compose(c);
	c->begun_ns = now_ns();
	push(c);
}

/* A whole answer: its head, and as many bytes as Content-Length says. */
static bool complete(const struct connection *c, bool *ok)
{
	char *end = memmem(c->answer, c->got, "\r\n\r\n", 4);
	if (!end)
		return false;
	char *length = memmem(
		c->answer, (size_t)(end - c->answer), "ontent-Length: ", 15);
	if (!length)
		length = memmem(
			c->answer, (size_t)(end - c->answer), "ontent-length: ", 15);
	size_t body = length ? strtoul(length + 15, NULL, 10) : 0;
	*ok = memcmp(c->answer, "HTTP/1.1 200", 12) == 0;
	return c->got >= (size_t)(end - c->answer) + 4 + body;
}

static bool pull(struct connection *c)
{
	bool ok = false;
	ssize_t n = recv(c->fd, c->answer + c->got, sizeof(c->answer) - c->got, 0);
	if (n <= 0) {
		failures += n == 0 || errno != EAGAIN;
		return n < 0 && errno == EAGAIN;
	}
	c->got += (size_t)n;
	if (!complete(c, &ok))
		return true;
	failures += !ok;
	if (n_samples < MAX_SAMPLES)
		samples_us[n_samples++] = (uint32_t)((now_ns() - c->begun_ns) / 1000);
	next(c);
	return true;
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

static int open_connection(int port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		perror("load: connect");
		exit(1);
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

int main(int argc, char **argv)
{
	if (argc < 6) {
		fputs("load PORT PATH SECRET CONNECTIONS SECONDS [BODY_BYTES]\n", stderr);
		return 2;
	}
	int port = atoi(argv[1]), n = atoi(argv[4]);
	double seconds = atof(argv[5]);
	path = argv[2];
	secret = argv[3];
	if (argc > 6)
		body_bytes = strtoul(argv[6], NULL, 10);
	if (body_bytes > 8000)
		body_bytes = 8000;
	snprintf(run_name, sizeof(run_name), "%llx", (unsigned long long)now_ns());
	samples_us = malloc(MAX_SAMPLES * sizeof(*samples_us));
	struct connection *list = calloc((size_t)n, sizeof(*list));
	int ep = epoll_create1(EPOLL_CLOEXEC);
	if (!samples_us || !list || ep < 0)
		return 1;
	for (int i = 0; i < n; i++) {
		list[i].fd = open_connection(port);
		struct epoll_event e = {.events = EPOLLIN, .data.ptr = &list[i]};
		epoll_ctl(ep, EPOLL_CTL_ADD, list[i].fd, &e);
	}
	uint64_t begin = now_ns(), end = begin + (uint64_t)(seconds * 1e9);
	for (int i = 0; i < n; i++)
		next(&list[i]);
	while (now_ns() < end) {
		struct epoll_event events[256];
		int ready = epoll_wait(ep, events, 256, 100);
		for (int i = 0; i < ready; i++)
			if (!pull(events[i].data.ptr))
				epoll_ctl(ep, EPOLL_CTL_DEL,
					((struct connection *)events[i].data.ptr)->fd,
					NULL);
	}
	double took = (double)(now_ns() - begin) / 1e9;
	qsort(samples_us, n_samples, sizeof(*samples_us), compare);
	printf("%.0f %u %u %u %zu\n", (double)n_samples / took,
		n_samples ? samples_us[n_samples / 2] : 0,
		n_samples ? samples_us[n_samples * 99 / 100] : 0,
		n_samples ? samples_us[n_samples - 1] : 0, failures);
	return 0;
}
