/*
 * Signed callbacks over N connections that stay open, each body different, each answer
 * checked. Without --rate the loop is closed: a connection sends its next request when the
 * last one is answered, which finds the peak. With --rate it is open: each request has a
 * time at which it is due, and its latency counts from then, whether or not a connection
 * was free, so that a server that stalls is not spared the requests it delayed. With --drop
 * what finds no connection free when it is due is given up, and counted.
 *
 * Every protocol's client signs, so that all of them cost about the same. Loopback only;
 * ends by itself. Prints one line of JSON; times are microseconds.
 */
#include "load.h"

#include <errno.h>
#include <getopt.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>

#define SECOND_NS 1000000000ull
#define GRACE_NS  (10 * SECOND_NS) /* for answers that are still out at the end */

/* Latencies with an error of at most 1/64: 64 steps for each power of two. */
#define STEPS 64
struct histogram {
	uint64_t count[STEPS * 40], n, max;
};

static const struct protocol *const protocols[] = {
	&load_http, &load_redis, &load_beanstalk, &load_postgres};

static struct {
	const struct protocol *protocol;
	const char *path, *secret;
	int port, n_connections, n_sources;
	double seconds, warm, rate;
	bool drop;
	size_t body_bytes;
	SSL_CTX *tls;
} options = {.protocol = &load_http,
	.path = "/callback/bench",
	.secret = "bench-secret",
	.n_connections = 1,
	.seconds = 10,
	.warm = 0.5,
	.body_bytes = 2048};

static struct peer *peers, **idle;
static size_t n_idle;
static int ep;
static char *body, prefix[9];
static EVP_MAC_CTX *mac;
static uint64_t serial, begin_ns, measure_ns, end_ns;
static uint64_t n_answered, n_shed, n_failed, n_out, n_dropped;
static struct histogram from_due, from_sent;

static uint64_t now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * SECOND_NS + (uint64_t)ts.tv_nsec;
}

static void count(struct histogram *h, uint64_t ns)
{
	uint64_t usec = ns / 1000;
	int power = usec < STEPS ? 0 : 63 - __builtin_clzll(usec) - 5;
	size_t at = (size_t)power * STEPS + (usec >> power);
	h->count[at < STEPS * 40 ? at : STEPS * 40 - 1]++;
	h->n++;
	if (usec > h->max)
		h->max = usec;
}

static uint64_t quantile(const struct histogram *h, double q)
{
	uint64_t want = (uint64_t)(q * (double)h->n), seen = 0;

	for (size_t i = 0; i < STEPS * 40; i++) {
		seen += h->count[i];
		if (seen > want)
			return (uint64_t)(i % STEPS) << (i / STEPS);
	}
	return h->max;
}

/* The body stays as it is but for the id: it is written once. */
static void make_body(void)
{
	int n = snprintf(body, options.body_bytes + 1,
		"{\"id\":\"%012llx-%s\",\"status\":\"completed\",\"padding\":\"", 0ull,
		prefix);

	for (size_t i = (size_t)n; i < options.body_bytes; i++)
		body[i] = (char)('a' + i % 26);
	memcpy(body + options.body_bytes - 2, "\"}", 2);
}

static void sign(char *hex)
{
	static const char digits[] = "0123456789abcdef";
	unsigned char out[32];
	size_t size;

	if (!EVP_MAC_init(mac, NULL, 0, NULL) ||
		!EVP_MAC_update(mac, (unsigned char *)body, options.body_bytes) ||
		!EVP_MAC_final(mac, out, &size, sizeof(out)))
		exit(1);
	for (size_t i = 0; i < size; i++) {
		hex[2 * i] = digits[out[i] >> 4];
		hex[2 * i + 1] = digits[out[i] & 15];
	}
	hex[2 * size] = '\0';
}

/* In no order, as true ids are: one after another they would meet in one page of an index. */
static void make_id(char *id, size_t size)
{
	const uint64_t odd =
		0x9e3779b97f4a7c15; /* so that no two are the same in 48 bits */

	snprintf(id, size, "%012llx-%s",
		(unsigned long long)(serial * odd & 0xffffffffffff), prefix);
}

static void compose(struct peer *p)
{
	char id[32], hex[65], path[256];

	make_id(id, sizeof(id));
	memcpy(body + 7, id, strlen(id));
	sign(hex);
	snprintf(path, sizeof(path), "%s", options.path);
	if (options.n_sources)
		snprintf(path, sizeof(path), "%s%llu", options.path,
			(unsigned long long)serial % (unsigned)options.n_sources);
	struct request r = {path, id, hex, body, options.body_bytes};
	p->size = options.protocol->compose(p->out, &r);
	p->sent = p->got = 0;
	serial++;
}

static void watch(struct peer *p, int how)
{
	struct epoll_event e = {
		.events = EPOLLIN | (p->waits_for_room ? EPOLLOUT : 0), .data.ptr = p};
	epoll_ctl(ep, how, p->fd, &e);
}

static void reopen(struct peer *p)
{
	n_failed += p->busy;
	n_out -= p->busy;
	if (!p->busy)
		for (size_t i = 0; i < n_idle; i++)
			if (idle[i] == p)
				idle[i--] = idle[--n_idle];
	peer_close(p);
	peer_open(p, options.port, options.protocol, options.tls);
	watch(p, EPOLL_CTL_ADD);
	idle[n_idle++] = p;
}

static void begin_request(struct peer *p, uint64_t due)
{
	compose(p);
	p->due_ns = due;
	p->sent_ns = now_ns();
	p->busy = true;
	n_out++;
	if (!peer_push(p))
		reopen(p);
	else if (p->waits_for_room)
		watch(p, EPOLL_CTL_MOD);
}

static void note(struct peer *p, enum verdict verdict, uint64_t now)
{
	if (verdict == ANSWER_BAD && !n_failed)
		fprintf(stderr, "load: unexpected: %.*s\n", (int)p->got, p->in);
	n_failed += verdict == ANSWER_BAD;
	/* A rate is of what was answered in the time measured, latency of what was due. */
	bool in_time = now >= measure_ns && now < end_ns;
	n_shed += verdict == ANSWER_SHED && in_time;
	if (verdict != ANSWER_OK)
		return;
	n_answered += in_time;
	if (p->due_ns < measure_ns || p->due_ns >= end_ns)
		return;
	count(&from_due, now - p->due_ns);
	count(&from_sent, now - p->sent_ns);
}

static void on_ready(struct peer *p, uint32_t events)
{
	enum verdict verdict = ANSWER_BAD;

	if ((events & EPOLLOUT) && p->waits_for_room) {
		if (!peer_push(p)) {
			reopen(p);
			return;
		}
		if (!p->waits_for_room)
			watch(p, EPOLL_CTL_MOD);
	}
	if (!(events & ~(uint32_t)EPOLLOUT))
		return;
	if (!peer_pull(p) || (p->got && !p->busy)) {
		reopen(p);
		return;
	}
	if (!p->busy || !options.protocol->answer(p->in, p->got, &verdict))
		return;
	uint64_t now = now_ns();
	note(p, verdict, now);
	p->busy = false;
	n_out--;
	idle[n_idle++] = p;
	if (options.rate <= 0 && now < end_ns) {
		n_idle--;
		begin_request(p, now);
	}
}

/* Whatever is due and finds a connection; when the next one is due. */
static uint64_t send_due(uint64_t *sent)
{
	for (;;) {
		double at = (double)*sent / options.rate * (double)SECOND_NS;
		uint64_t due = begin_ns + (uint64_t)at;
		if (due >= end_ns)
			return UINT64_MAX;
		if (due > now_ns())
			return due;
		if (!n_idle && !options.drop)
			return UINT64_MAX; /* an answer wakes us */
		if (n_idle)
			begin_request(idle[--n_idle], due);
		else
			n_dropped++;
		++*sent;
	}
}

/* How many were due and never sent. */
static uint64_t run(void)
{
	uint64_t sent = 0, due = 0, total = 0;

	begin_ns = now_ns();
	measure_ns = begin_ns + (uint64_t)(options.warm * (double)SECOND_NS);
	end_ns = measure_ns + (uint64_t)(options.seconds * (double)SECOND_NS);
	if (options.rate > 0)
		total = (uint64_t)((options.warm + options.seconds) * options.rate);
	else
		while (n_idle)
			begin_request(idle[--n_idle], now_ns());
	for (;;) {
		struct epoll_event events[256];
		if (options.rate > 0)
			due = send_due(&sent);
		uint64_t now = now_ns();
		if (now >= end_ns + GRACE_NS ||
			(now >= end_ns && !n_out && sent >= total))
			break;
		uint64_t until = now < end_ns ? end_ns : end_ns + GRACE_NS;
		if (options.rate > 0 && due < until)
			until = due;
		uint64_t wait = until > now ? until - now : 0;
		struct timespec ts = {
			(time_t)(wait / SECOND_NS), (long)(wait % SECOND_NS)};
		int ready = epoll_pwait2(ep, events, 256, &ts, NULL);
		for (int i = 0; i < ready; i++)
			on_ready(events[i].data.ptr, events[i].events);
	}
	n_failed += n_out;
	return (total > sent ? total - sent : 0) + n_dropped;
}

static void print(uint64_t unsent)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	double cpu = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
		     (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
	printf("{\"rate\": %.1f, \"shed\": %.1f, \"failed\": %llu, \"unsent\": %llu, "
	       "\"p50\": %llu, \"p99\": %llu, \"p999\": %llu, \"max\": %llu, "
	       "\"service_p99\": %llu, \"service_max\": %llu, \"client_cpu\": %.2f}\n",
		(double)n_answered / options.seconds, (double)n_shed / options.seconds,
		(unsigned long long)n_failed, (unsigned long long)unsent,
		(unsigned long long)quantile(&from_due, 0.5),
		(unsigned long long)quantile(&from_due, 0.99),
		(unsigned long long)quantile(&from_due, 0.999),
		(unsigned long long)from_due.max,
		(unsigned long long)quantile(&from_sent, 0.99),
		(unsigned long long)from_sent.max, serial ? cpu / (double)serial : 0);
}

static void prepare(void)
{
	char digest[] = "SHA256";
	OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string("digest", digest, 0),
		OSSL_PARAM_construct_end()};
	EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	size_t n = (size_t)options.n_connections;

	mac = EVP_MAC_CTX_new(hmac);
	if (!mac || !EVP_MAC_init(mac, (const unsigned char *)options.secret,
			    strlen(options.secret), params))
		exit(1);
	body = malloc(options.body_bytes + 1);
	peers = calloc(n, sizeof(*peers));
	idle = calloc(n, sizeof(struct peer *));
	ep = epoll_create1(EPOLL_CLOEXEC);
	if (!body || !peers || !idle || ep < 0)
		exit(1);
	snprintf(prefix, sizeof(prefix), "%08x",
		(unsigned)(now_ns() / 1000) * 2654435761u);
	make_body();
	for (size_t i = 0; i < n; i++) {
		peers[i].out = malloc(options.body_bytes + REQUEST_ROOM);
		if (!peers[i].out)
			exit(1);
		peer_open(&peers[i], options.port, options.protocol, options.tls);
		watch(&peers[i], EPOLL_CTL_ADD);
		idle[n_idle++] = &peers[i];
	}
}

static const struct option words[] = {{"protocol", 1, NULL, 'p'}, {"port", 1, NULL, 'P'},
	{"path", 1, NULL, 'a'}, {"secret", 1, NULL, 's'}, {"connections", 1, NULL, 'c'},
	{"seconds", 1, NULL, 't'}, {"warm", 1, NULL, 'w'}, {"rate", 1, NULL, 'r'},
	{"body", 1, NULL, 'b'}, {"sources", 1, NULL, 'n'}, {"tls", 0, NULL, 'T'},
	{"drop", 0, NULL, 'd'}, {0}};

static const struct protocol *find(const char *name)
{
	for (size_t i = 0; i < sizeof(protocols) / sizeof(*protocols); i++)
		if (strcmp(protocols[i]->name, name) == 0)
			return protocols[i];
	fprintf(stderr, "load: no protocol %s\n", name);
	exit(2);
}

static void parse(int argc, char **argv)
{
	int c;

	while ((c = getopt_long(argc, argv, "", words, NULL)) >= 0)
		switch (c) {
		case 'p': options.protocol = find(optarg); break;
		case 'P': options.port = atoi(optarg); break;
		case 'a': options.path = optarg; break;
		case 's': options.secret = optarg; break;
		case 'c': options.n_connections = atoi(optarg); break;
		case 't': options.seconds = atof(optarg); break;
		case 'w': options.warm = atof(optarg); break;
		case 'r': options.rate = atof(optarg); break;
		case 'b': options.body_bytes = strtoul(optarg, NULL, 10); break;
		case 'n': options.n_sources = atoi(optarg); break;
		case 'd': options.drop = true; break;
		case 'T': options.tls = SSL_CTX_new(TLS_client_method()); break;
		default: exit(2);
		}
	if (optind < argc || !options.port || options.n_connections < 1 ||
		options.body_bytes < 128 || options.seconds <= 0) {
		fprintf(stderr,
			"load: --port is needed, and bodies have 128 bytes or more\n");
		exit(2);
	}
}

int main(int argc, char **argv)
{
	parse(argc, argv);
	prctl(PR_SET_TIMERSLACK, 1ul, 0, 0, 0);
	prepare();
	uint64_t unsent = run();
	print(unsent);
	return 0;
}
