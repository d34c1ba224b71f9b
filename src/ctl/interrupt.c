/* Blocked and read from a descriptor that client_loop() looks at. */
#include "ctl/interrupt.h"

#include <errno.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

static struct {
	int fd;
	sigset_t mask;
	struct client *client;
	void (*on_interrupt)(void *arg);
	void *arg;
} state = {.fd = -1};

static void on_readable(void *unused)
{
	struct signalfd_siginfo info;
	int signal_number;

	(void)unused;
	if (read(state.fd, &info, sizeof(info)) != sizeof(info))
		return;
	signal_number = (int)info.ssi_signo;
	state.on_interrupt(state.arg);
	interrupt_close(state.client);
	signal(signal_number, SIG_DFL);
	raise(signal_number);
}

void interrupt_open(struct client *c, void (*on_interrupt)(void *arg), void *arg)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction old;

	sigemptyset(&state.mask);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
			sigaddset(&state.mask, signals[i]);
	state.fd = signalfd(-1, &state.mask, SFD_CLOEXEC | SFD_NONBLOCK);
	if (state.fd < 0)
		return;
	state.client = c;
	state.on_interrupt = on_interrupt;
	state.arg = arg;
	sigprocmask(SIG_BLOCK, &state.mask, NULL);
	client_listen(c, state.fd, on_readable, NULL);
}

void interrupt_close(struct client *c)
{
	if (state.fd < 0)
		return;
	client_listen(c, -1, NULL, NULL);
	close(state.fd);
	state.fd = -1;
	sigprocmask(SIG_UNBLOCK, &state.mask, NULL);
}
