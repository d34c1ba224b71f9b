/*
 * A last word before the tool dies of Ctrl-C, SIGTERM or SIGHUP: taken on the loop, so it may
 * print. Signals that are ignored (nohup) stay so.
 */
#ifndef CTL_INTERRUPT_H
#define CTL_INTERRUPT_H

#include "ctl/client.h"

/* on_interrupt is called once; then the process ends, by the signal. Where it cannot be had
 * the signals kill as ever. */
void interrupt_open(struct client *c, void (*on_interrupt)(void *arg), void *arg);
void interrupt_close(struct client *c);

#endif
