/* What systemd is told (sd_notify(3)); nothing happens without $NOTIFY_SOCKET. */
#ifndef IO_NOTIFY_H
#define IO_NOTIFY_H

#include "base/macros.h"

#include <stdint.h>

void notify_ready(void);
void notify_status(const char *format, ...) PRINTF_LIKE(1, 2);
void notify_reloading(void);         /* with MONOTONIC_USEC; notify_ready() ends it */
void notify_stopping(uint64_t usec); /* and it may take that long */
void notify_watchdog(void);
/* The interval at which to feed the watchdog (half of WatchdogSec=); 0 = none wanted. */
uint64_t notify_watchdog_usec(void);

#endif
