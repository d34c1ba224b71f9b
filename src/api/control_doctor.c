/*
 * GET /v1/doctor: the looking around is done by a thread, for a hook's path may lie on a file
 * server that is away, and then nobody comes back from a look at it.
 *
 *   call ─► examination ◄─ thread ─► looks … ─► the list ─► call
 *                 │ nothing after 10 s: the call is told where it hangs
 *                 └─► the thread keeps it until it comes back, or for ever
 *
 * While one hangs the next is told so, and no further thread is made; nor are there more than
 * a few at a time, for all that are under way may come to hang in the same place.
 */
#include "api/call.h"
#include "api/doctor.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>

#define PATIENCE_SEC     10
#define EXAMINATIONS_MAX 4

struct examination {
	pthread_mutex_t mutex;
	bool abandoned;     /* by the loop: the thread frees it */
	bool done;          /* by the thread */
	char *where;        /* is being looked at */
	json_t *list;       /* once done; NULL: memory was short */
	struct event *wake; /* the loop's; the thread activates it unless abandoned */
	struct doctor doctor;
};

/* Threads, and those that the loop abandoned and that have not come back: it counts them up,
 * they count themselves down. */
static atomic_uint examinations, hanging;

struct asked {
	struct examination *examination;
	struct event *wake;
};

static void examination_free(struct examination *x)
{
	pthread_mutex_destroy(&x->mutex);
	json_decref(x->list);
	free(x->where);
	free(x->doctor.config_path);
	free(x->doctor.state_directory);
	free(x);
}

/* ---- On the thread ---- */

static void on_look(void *arg, const char *what)
{
	struct examination *x = arg;
	char *copy = bytes_dup(bytes_of(what));

	pthread_mutex_lock(&x->mutex);
	free(x->where);
	x->where = copy;
	pthread_mutex_unlock(&x->mutex);
}

static void *examine(void *arg)
{
	struct examination *x = arg;
	json_t *list = doctor_examine(&x->doctor);

	pthread_mutex_lock(&x->mutex);
	bool abandoned = x->abandoned;
	x->list = list;
	x->done = true;
	if (!abandoned)
		event_active(x->wake, EV_TIMEOUT, 0);
	pthread_mutex_unlock(&x->mutex);
	if (abandoned) {
		examination_free(x);
		atomic_fetch_sub(&hanging, 1);
	}
	atomic_fetch_sub(&examinations, 1);
	return NULL;
}

/* ---- On the loop ---- */

/* What is not done by now is left to the thread. The configuration that it looks at is kept
 * as well: one that hangs is one that is leaked. */
static void on_doctor_over(struct call *c)
{
	struct asked *a = c->data;
	struct examination *x = a->examination;

	a->examination = NULL;
	if (!x) {
		event_free(a->wake);
		return;
	}
	pthread_mutex_lock(&x->mutex);
	bool done = x->done;
	x->abandoned = !done;
	struct config *config = x->doctor.config;
	if (!done)
		atomic_fetch_add(&hanging, 1);
	pthread_mutex_unlock(&x->mutex);
	event_free(a->wake); /* nobody activates it any more */
	if (done) {
		config_unref(config);
		examination_free(x);
	}
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct call *c = arg;
	struct examination *x = ((struct asked *)c->data)->examination;
	char where[256];

	(void)fd;
	(void)what;
	pthread_mutex_lock(&x->mutex);
	bool done = x->done;
	json_t *list = json_incref(x->list);
	snprintf(where, sizeof(where), "%s", x->where ? x->where : "memory");
	pthread_mutex_unlock(&x->mutex);
	if (done)
		call_json(c, 200, list ? json_pack("{s:o}", "checks", list) : NULL);
	else
		call_error(c, 504,
			"whoever looks at %s does not come back: its file system does "
			"not answer, and hooks that need it will hang as well",
			where);
}

/* Signals are the loop's. */
static int start(struct examination *x)
{
	sigset_t all, before;
	pthread_t thread;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int r = pthread_create(&thread, NULL, examine, x);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r)
		return -r;
	atomic_fetch_add(&examinations, 1);
	pthread_setname_np(thread, "doctor");
	pthread_detach(thread);
	return 0;
}

static struct examination *new_examination(const struct call *c, struct event *wake)
{
	const struct control_hooks *h = &c->control->hooks;
	struct flow *f = c->flow;
	struct examination *x = calloc(1, sizeof(*x));
	CLEANUP(freep) char *unix_socket = NULL;
	CLEANUP(freep) char *url = NULL;

	if (!x)
		return NULL;
	pthread_mutex_init(&x->mutex, NULL);
	x->wake = wake;
	url = h->own_url ? h->own_url(h->arg, &unix_socket) : NULL;
	x->doctor = (struct doctor){.config_path = bytes_dup(bytes_of(f->config_path)),
		.state_directory = bytes_dup(bytes_of(f->state_directory)),
		.config = f->config,
		.store_bytes = store_counts(f->store).bytes,
		.has_cgroups = runner_has_cgroups(f->runner),
		.has_public_listener = url != NULL,
		.on_look = on_look,
		.arg = x};
	if (x->doctor.config_path && x->doctor.state_directory)
		return x;
	examination_free(x);
	return NULL;
}

void control_doctor_get(struct call *c)
{
	const struct timeval patience = {PATIENCE_SEC, 0};
	struct asked *a;
	int r = -ENOMEM;

	if (atomic_load(&hanging)) {
		call_error(c, 409,
			"the last examination has not come back: a file system does not "
			"answer");
		return;
	}
	if (atomic_load(&examinations) >= EXAMINATIONS_MAX) {
		call_error(c, 409, "%d examinations are under way", EXAMINATIONS_MAX);
		return;
	}
	if (call_last(c) < 0) /* a stop does not wait for it */
		return;
	a = calloc(1, sizeof(*a));
	c->data = a;
	if (a)
		a->wake = evtimer_new(c->flow->base, on_wake, c);
	if (!a || !a->wake || evtimer_add(a->wake, &patience) < 0) {
		if (a && a->wake)
			event_free(a->wake);
		call_error(c, 503, "out of memory");
		return;
	}
	c->on_over = on_doctor_over;
	struct examination *x = new_examination(c, a->wake);
	if (x)
		r = start(x);
	if (r < 0) {
		if (x)
			examination_free(x);
		call_error(c, 503, "it could not begin: %s", strerrordesc_np(-r));
		return;
	}
	config_ref(x->doctor.config);
	a->examination = x;
}
