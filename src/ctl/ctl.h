/*
 * What every command of callbackctl has at hand, the record a command is, and the exit
 * statuses of callbackctl(1). The tool's own room: nothing here runs in the daemon.
 */
#ifndef CTL_CTL_H
#define CTL_CTL_H

#include "base/bytes.h"
#include "ctl/client.h"

#include <jansson.h>
#include <stdio.h>

enum ctl_exit {
	CTL_DONE = 0,
	CTL_JOB = 1,    /* a job ended in error, canceled or lost; a state forbids it */
	CTL_FAILED = 1, /* the tool itself: no memory, no output */
	CTL_USAGE = 2,
	CTL_UNKNOWN = 66,
	CTL_UNREACHABLE = 69,
	CTL_REFUSED = 76,
	CTL_NO_ACCESS = 77,
	CTL_CONFIG = 78,
	CTL_TIMEOUT = 124,
};

#define CTL_OPTIONS_MAX 14

/* With a daemon that was there and is away: it may be restarted. */
#define CTL_PATIENCE_USEC (60 * USEC_PER_SEC)
#define CTL_PAUSE_USEC    (500 * USEC_PER_MSEC)

struct ctl {
	const char *socket;
	bool json;
	bool color; /* of stdout */
	struct client *client;
	json_t *sources; /* of status, once asked for */
};

struct ctl_option {
	const char *name;     /* long, without the dashes; NULL ends the list */
	const char *argument; /* what --help calls it; NULL: a flag */
	const char *help;
};

struct ctl_args {
	const char *option
		[CTL_OPTIONS_MAX]; /* by place in the command's list; a flag is "" */
	char **operands;
	int n_operands;
};

struct ctl_command {
	const char *name, *operands, *help;
	int min, max; /* operands; max -1: any number */
	int (*run)(struct ctl *ctl, const struct ctl_args *args);
	const struct ctl_option *options; /* NULL: none */
};

/* "callbackctl: …" and a newline on stderr; what comes from elsewhere is escaped first. */
void ctl_complain(const char *format, ...) PRINTF_LIKE(1, 2);
/* What was printed is out. Else this does not return: somebody who closed the pipe has seen
 * enough and is not told, any other failure is, and the exit status is CTL_FAILED. */
void ctl_flush(void);
/* "callbackctl: out of memory"; returns CTL_FAILED. */
int ctl_no_memory(void);
/* One object a line. On a terminal all that is not ASCII is escaped. */
void ctl_print_json(const struct ctl *ctl, const json_t *json);
/* Tells why `answer` is no success (about `what`, may be NULL) and returns the exit
 * status for it. */
int ctl_fail(const struct client_answer *answer, const char *what);
/*
 * Asks; 0 with a 2xx answer whose json is there, else told already and the exit status. A NULL
 * path is memory that was short.
 * client_answer_fini() in every case.
 */
int ctl_ask(struct ctl *ctl, const char *method, const char *path, const json_t *body,
	const char *what, struct client_answer *ret) MUST_CHECK;
/* Of several: 124 before 1 before 0, what ends all before them, a refusal before all. */
int ctl_worse(int a, int b);
/* A span that a person wrote. 0, or told and CTL_USAGE. */
int ctl_span(const char *text, const char *what, uint64_t *ret_usec) MUST_CHECK;
int ctl_number(const char *text, const char *what, uint64_t *ret) MUST_CHECK;

/* Text of a member for people: "-" when it is null or absent. Borrowed. */
const char *ctl_text(const json_t *object, const char *key);
bool ctl_is(const json_t *object, const char *key, const char *value);
/* RFC 3339 member as local time. */
#define CTL_TIME_SIZE 32
const char *ctl_time(
	const json_t *object, const char *key, char buffer[static CTL_TIME_SIZE]);
/* How long ago that was: "3s", "2min 5s", "4h 3min", "2d 3h". */
#define CTL_AGE_SIZE 32
const char *ctl_age(
	const json_t *object, const char *key, char buffer[static CTL_AGE_SIZE]);
/* Escaped, in one of 4 rotating buffers. For "%s". */
const char *ctl_escape(const char *s);
/* The same for a line of the daemon's own, whose words it escaped: backslashes stay. */
const char *ctl_clean(const char *s);

#endif
