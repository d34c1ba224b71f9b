/*
 * What goes through the socket between the daemon and its runner: records of fixed size,
 * one a packet (SOCK_SEQPACKET). A spawn carries four descriptors: a memfd with the
 * command, then standard input, output and error. Both ends are one program, so nothing
 * is checked for malice, only for damage.
 *
 *   daemon ── SPAWN KILL SWEEP PING ──► runner ── STARTED EXITED SWEPT PONG ──► daemon
 */
#ifndef IO_RUNNER_WIRE_H
#define IO_RUNNER_WIRE_H

#include "base/macros.h"
#include "io/tree.h"

#include <stdint.h>

enum wire_kind {
	WIRE_SPAWN = 1,
	WIRE_KILL,
	WIRE_SWEEP,
	WIRE_STARTED,
	WIRE_EXITED,
	WIRE_SWEPT,
	WIRE_PING,
	WIRE_PONG,
};

/* Where a child failed before it was the command. */
#define WIRE_STEPS(X)               \
	X(STEP_NONE, "")            \
	X(STEP_COMMAND, "command")  \
	X(STEP_CGROUP, "cgroup")    \
	X(STEP_SESSION, "setsid")   \
	X(STEP_DEATH, "prctl")      \
	X(STEP_DESCRIPTORS, "dup2") \
	X(STEP_LIMIT, "setrlimit")  \
	X(STEP_DIRECTORY, "chdir")  \
	X(STEP_EXEC, "execve")

enum wire_step {
#define WIRE_STEP_NAME(name, word) name,
	WIRE_STEPS(WIRE_STEP_NAME)
#undef WIRE_STEP_NAME
};

struct wire_request {
	uint64_t tag;
	uint32_t kind;
	int32_t signal;          /* KILL */
	char run[TREE_RUN_SIZE]; /* SPAWN: its id; SWEEP: how they begin */
};

struct wire_report {
	uint64_t tag;
	uint32_t kind;
	int32_t value; /* STARTED: errno; EXITED: status; SWEPT: how many were ended */
	int32_t exec_error; /* EXITED */
	uint32_t step;      /* EXITED: enum wire_step */
};

enum { WIRE_FD_COMMAND, WIRE_FD_STDIN, WIRE_FD_STDOUT, WIRE_FD_STDERR, WIRE_FDS };

/* A command as it lies in the memfd, pointing into one mapping. */
struct wire_command {
	const char *directory;
	char **argv, **envp;
};

/* A new memfd, or negative errno. */
int wire_pack(char *const *argv, char *const *envp, const char *directory) MUST_CHECK;
/* For the child, which never gives the memory back. 0 or negative errno. */
int wire_unpack(int fd, struct wire_command *ret) MUST_CHECK;

/* Never block. 0 or negative errno, -EAGAIN among them. `fds` may be NULL; they stay
 * open. */
int wire_send_request(
	int socket, const struct wire_request *q, const int *fds) MUST_CHECK;
int wire_send_report(int socket, const struct wire_report *p) MUST_CHECK;
/* 0; -EAGAIN: nothing waits; -EPIPE: the other end is gone; -EMFILE: the record came, its
 * descriptors did not find room (all are -1 then); -EBADMSG. */
int wire_receive_request(
	int socket, struct wire_request *ret, int ret_fds[WIRE_FDS]) MUST_CHECK;
int wire_receive_report(int socket, struct wire_report *ret) MUST_CHECK;
const char *wire_step_word(uint32_t step);

#endif
