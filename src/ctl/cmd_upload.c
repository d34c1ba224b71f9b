/*
 * callbackctl upload: the daemon initiates (the API key is never seen here), the file goes
 * to the presigned URL, the callback says what became of it.
 *
 *   file ─► sending (--jobs at a time) ─► waiting (all that are sent) ─► a line
 *                                     └─► a line, with --detach
 */
#include "base/clock.h"
#include "base/text.h"
#include "ctl/commands.h"
#include "ctl/interrupt.h"
#include "ctl/media.h"
#include "ctl/mime.h"
#include "ctl/progress.h"
#include "ctl/sending.h"
#include "ctl/uploaded.h"
#include "ctl/waiting.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define JOBS_MAX  64
#define TICK_USEC (200 * USEC_PER_MSEC)

enum {
	UP_TYPE,
	UP_FILE_TYPE,
	UP_OWNER,
	UP_SOURCE,
	UP_JOBS,
	UP_DETACH,
	UP_TIMEOUT,
	UP_AUDIO_DURATION,
	UP_VIDEO_DURATION,
	UP_VIDEO_BITRATE,
	UP_CA_FILE,
};
const struct ctl_option cmd_upload_options[] = {
	{"content-type", "TYPE", "media type (by the file's name)"},
	{"file-type", "TYPE", "image, video, audio or other"},
	{"owner", "OWNER", "whose it is (UploadOwner=)"},
	{"source", "SOURCE", "the source to initiate at (the only one with UploadURL=)"},
	{"jobs", "N", "so many files at a time (1)"},
	{"detach", NULL, "do not wait for the callbacks"},
	{"timeout", "SPAN", "at most so long in all; then the exit status is 124"},
	{"audio-duration", "N", "seconds (from WAV and MP4 files)"},
	{"video-duration", "N", "seconds (from MP4 files)"},
	{"video-bitrate", "N", "kbit/s"},
	{"ca-file", "FILE", "authorities for the storage service's certificate"},
	{0},
};

enum stage { FILE_LEFT, FILE_SENT, FILE_WAITS, FILE_OVER };

struct file {
	struct batch *batch;
	const char *path;
	enum stage stage; /* FILE_SENT: on its way */
	int fd;
	uint64_t size_bytes;
	json_t *request, *initiated;
	struct sending *sending;
};

struct batch {
	struct ctl *ctl;
	const struct ctl_args *args;
	struct file *files;
	size_t n, next, n_sent, n_left, jobs;
	uint64_t until_usec, began_usec;
	struct waiting *waiting;
	int exit;
	struct client_timer tick;
	uint64_t sent_before; /* at the last look, and bytes a second */
	double rate;
};

static void start(struct batch *b);

/* ---- one file ---- */

static void finish_file(struct file *f, int exit)
{
	struct batch *b = f->batch;

	f->stage = FILE_OVER;
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
	b->n_left--;
	b->exit = ctl_worse(b->exit, exit);
	if (b->n_left == 0)
		client_stop(b->ctl->client);
}

static struct uploaded uploaded_of(const struct file *f)
{
	return (struct uploaded){f->path, f->batch->n > 1, f->size_bytes, f->initiated};
}

static bool add_number(json_t *o, const char *key, double n)
{
	return json_object_set_new(o, key,
		       n == (double)(json_int_t)n ? json_integer((json_int_t)n)
						  : json_real(n)) == 0;
}

/* What a person said; false: told. */
static bool add_given(json_t *o, const char *key, const char *text)
{
	char *end;
	double n;

	if (!text)
		return true;
	n = strtod(text, &end);
	if (!*text || *end || !(n >= 0) || n > 1e12) {
		ctl_complain("%s: not a number: %s", key, ctl_escape(text));
		return false;
	}
	return add_number(o, key, n);
}

/* What the file says, to the millisecond, where nobody said it. */
static void add_duration(json_t *o, const struct file *f, const char *type)
{
	const char *const *options = f->batch->args->option;
	const char *kind = options[UP_FILE_TYPE] ? options[UP_FILE_TYPE] : type;
	bool audio = strncmp(kind, "audio", 5) == 0, video = !strncmp(kind, "video", 5);
	double seconds;

	if (!(audio && !options[UP_AUDIO_DURATION]) &&
		!(video && !options[UP_VIDEO_DURATION]))
		return;
	seconds = media_seconds_of(f->fd, f->size_bytes);
	seconds = (double)(json_int_t)(seconds * 1000 + 0.5) / 1000;
	if (seconds > 0)
		(void)add_number(o,
			audio ? "audio_duration_seconds" : "video_duration_seconds",
			seconds);
}

/* NULL: told; a usage error. */
static json_t *initiate_request(const struct file *f)
{
	const char *const *o = f->batch->args->option;
	CLEANUP(freep)
	char *guessed = o[UP_TYPE] ? NULL : mime_type_of(f->path, MIME_TYPES, MIME_GLOBS);
	const char *type = o[UP_TYPE] ? o[UP_TYPE] : guessed;
	json_t *json;

	if (!type) {
		ctl_complain(
			"%s: its type cannot be told by its name: say --content-type",
			ctl_escape(f->path));
		return NULL;
	}
	json = json_pack("{s:s, s:s*, s:s*, s:s*, s:I}", "content_type", type,
		"file_type", o[UP_FILE_TYPE], "owner", o[UP_OWNER], "source",
		o[UP_SOURCE], "size_bytes", (json_int_t)f->size_bytes);
	if (!json)
		ctl_complain("the options are not UTF-8");
	if (json && add_given(json, "audio_duration_seconds", o[UP_AUDIO_DURATION]) &&
		add_given(json, "video_duration_seconds", o[UP_VIDEO_DURATION]) &&
		add_given(json, "video_bitrate_kbps", o[UP_VIDEO_BITRATE])) {
		add_duration(json, f, type);
		return json;
	}
	json_decref(json);
	return NULL;
}

static int open_file(struct file *f, struct stat *ret)
{
	const char *path = ctl_escape(f->path);

	if (!strcmp(f->path, "-")) {
		ctl_complain(
			"standard input cannot be uploaded: the upload is signed for "
			"a length that has to be known first; name a file");
		return CTL_USAGE;
	}
	f->fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (f->fd < 0 || fstat(f->fd, ret) < 0) {
		int error = errno;

		ctl_complain("%s: %s", path, strerror(error));
		return error == EACCES || error == EPERM ? CTL_NO_ACCESS : CTL_UNKNOWN;
	}
	if (!S_ISREG(ret->st_mode)) {
		ctl_complain(
			S_ISDIR(ret->st_mode)
				? "%s: is a directory: name the files in it"
				: "%s: not a regular file: its length has to be known",
			path);
		return CTL_USAGE;
	}
	if (ret->st_size == 0)
		ctl_complain("%s: is empty, and is uploaded so", path);
	f->size_bytes = (uint64_t)ret->st_size;
	return 0;
}

/* ---- its job ---- */

/* Early: who is killed from here on can be taken up by that id. */
static void on_job(void *arg, const json_t *initiated)
{
	struct file *f = arg;

	json_decref(f->initiated);
	f->initiated = json_incref((json_t *)initiated);
	ctl_complain("%s: is job %s/%s", ctl_escape(f->path),
		ctl_escape(ctl_text(initiated, "source")),
		ctl_escape(ctl_text(initiated, "id")));
}

static void on_over(void *arg, void *tag, const json_t *job, int exit)
{
	struct file *f = tag;
	const struct uploaded u = uploaded_of(f);

	(void)arg;
	if (job)
		uploaded_print(f->batch->ctl, &u, job, exit);
	finish_file(f, exit);
}

static int wait_for(struct file *f)
{
	struct name name = {.source = strdup(ctl_text(f->initiated, "source")),
		.id = strdup(ctl_text(f->initiated, "id"))};

	if (!name.source || !name.id) {
		name_fini(&name);
		return -ENOMEM;
	}
	f->stage = FILE_WAITS;
	return waiting_add(f->batch->waiting, &name, f);
}

static void on_sent(void *arg, int exit)
{
	struct file *f = arg;
	struct batch *b = f->batch;
	const struct uploaded u = uploaded_of(f);

	f->sending = NULL;
	b->n_sent--;
	if (exit == CTL_UNREACHABLE || exit == CTL_CONFIG || exit == CTL_NO_ACCESS) {
		b->n_left -= b->n - b->next; /* the others would fare no better */
		b->next = b->n;
	}
	if (exit != CTL_DONE) {
		finish_file(f, exit);
	} else if (b->args->option[UP_DETACH]) {
		uploaded_print_detached(b->ctl, &u);
		finish_file(f, CTL_DONE);
	} else if (wait_for(f) < 0) {
		finish_file(f, ctl_no_memory());
	}
	start(b);
}

static int send_file(struct file *f)
{
	struct sending_request r = {
		.path = f->path,
		.ca_file = f->batch->args->option[UP_CA_FILE],
		.until_usec = f->batch->until_usec,
		.on_job = on_job,
		.on_end = on_sent,
		.arg = f,
	};
	int exit = open_file(f, &r.stat);

	if (exit)
		return exit;
	r.fd = f->fd;
	r.initiate = f->request = initiate_request(f);
	if (!r.initiate)
		return CTL_USAGE;
	if (sending_new(&f->sending, f->batch->ctl, &r) < 0)
		return ctl_no_memory();
	f->stage = FILE_SENT;
	f->batch->n_sent++;
	return 0;
}

/* ---- all of them ---- */

static void start(struct batch *b)
{
	while (b->n_sent < b->jobs && b->next < b->n) {
		struct file *f = &b->files[b->next++];
		int exit = send_file(f);

		if (exit)
			finish_file(f, exit);
	}
}

/* "clip.mp4  45%  13.5 of 30.0 MiB  2.7 MiB/s", "3 files  45% …", "waiting for …". */
static void show_progress(struct batch *b)
{
	uint64_t sent = 0, size = 0;
	const struct file *one = NULL;
	char what[32];

	for (size_t i = 0; i < b->n; i++) {
		const struct file *f = &b->files[i];

		if (f->stage != FILE_SENT)
			continue;
		one = f;
		sent += sending_sent_bytes(f->sending);
		size += f->size_bytes;
	}
	if (!one) {
		progress_show("waiting for %zu of %zu callback%s, %s",
			waiting_left(b->waiting), b->n, b->n == 1 ? "" : "s",
			progress_span(clock_mono_usec() - b->began_usec));
		return;
	}
	/* Over about eight looks; a file that ended or began anew counts as none. */
	if (sent > b->sent_before)
		b->rate += ((double)(sent - b->sent_before) * 1e6 / TICK_USEC - b->rate) /
			   8;
	b->sent_before = sent;
	snprintf(what, sizeof(what), "%zu files", b->n_sent);
	progress_show("%s  %3d%%  %.1f of %.1f MiB  %.1f MiB/s",
		b->n_sent == 1 ? ctl_escape(one->path) : what,
		size ? (int)(sent * 100 / size) : 0, (double)sent / (1 << 20),
		(double)size / (1 << 20), b->rate / (1 << 20));
}

static void on_tick(void *arg)
{
	struct batch *b = arg;

	show_progress(b);
	client_timer_set(b->ctl->client, &b->tick, clock_mono_usec() + TICK_USEC);
}

/* What is on its way is lost with us, what is there is not. */
static void on_interrupt(void *arg)
{
	struct batch *b = arg;
	struct text ids = TEXT_EMPTY;

	for (size_t i = 0; i < b->n; i++) {
		const struct file *f = &b->files[i];

		if (f->stage == FILE_WAITS)
			text_addf(&ids, " %s/%s",
				ctl_escape(ctl_text(f->initiated, "source")),
				ctl_escape(ctl_text(f->initiated, "id")));
		else if (f->stage != FILE_OVER)
			ctl_complain("%s: not uploaded", ctl_escape(f->path));
	}
	if (ids.size && !ids.failed)
		ctl_complain(
			"interrupted; to go on waiting: callbackctl wait%s", ids.data);
	text_fini(&ids);
}

static int run(struct batch *b)
{
	const struct waiting_options o = {
		.until_usec = b->until_usec, .on_over = on_over, .arg = b};

	if (waiting_new(&b->waiting, b->ctl, &o) < 0)
		return ctl_no_memory();
	interrupt_open(b->ctl->client, on_interrupt, b);
	if (progress_wanted())
		client_timer_set(b->ctl->client, &b->tick, b->began_usec + TICK_USEC);
	start(b);
	if (b->n_left > 0)
		client_loop(b->ctl->client, UINT64_MAX);
	client_timer_stop(&b->tick);
	progress_clear();
	interrupt_close(b->ctl->client);
	client_forget(b->ctl->client);
	waiting_free(b->waiting);
	return b->n_left > 0 ? ctl_worse(b->exit, CTL_FAILED) : b->exit;
}

static int read_options(struct batch *b)
{
	const char *const *o = b->args->option;
	uint64_t span, jobs = 1;
	int r = 0;

	b->until_usec = UINT64_MAX;
	if (o[UP_TIMEOUT]) {
		r = ctl_span(o[UP_TIMEOUT], "--timeout", &span);
		if (r == 0 && span < UINT64_MAX - b->began_usec)
			b->until_usec = b->began_usec + span;
	}
	if (r == 0 && o[UP_JOBS])
		r = ctl_number(o[UP_JOBS], "--jobs", &jobs);
	if (r == 0 && (jobs < 1 || jobs > JOBS_MAX)) {
		ctl_complain("--jobs: 1 to %d", JOBS_MAX);
		r = CTL_USAGE;
	}
	b->jobs = (size_t)jobs;
	return r;
}

int cmd_upload(struct ctl *ctl, const struct ctl_args *args)
{
	struct batch b = {
		.ctl = ctl,
		.args = args,
		.n = (size_t)args->n_operands,
		.n_left = (size_t)args->n_operands,
		.began_usec = clock_mono_usec(),
		.tick = {.on_time = on_tick, .arg = &b},
	};
	int r = read_options(&b);

	if (r != 0)
		return r;
	b.files = calloc(b.n, sizeof(*b.files));
	if (!b.files)
		return ctl_no_memory();
	for (size_t i = 0; i < b.n; i++) {
		b.files[i].batch = &b;
		b.files[i].path = args->operands[i];
		b.files[i].fd = -1;
	}
	r = run(&b);
	for (size_t i = 0; i < b.n; i++) {
		sending_free(b.files[i].sending);
		json_decref(b.files[i].request);
		json_decref(b.files[i].initiated);
		if (b.files[i].fd >= 0)
			close(b.files[i].fd);
	}
	free(b.files);
	return r;
}
