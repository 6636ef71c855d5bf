/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Typed events and log lines to the embedder's callbacks. Silence without them.
 * Layer: uses base/.
 */
#ifndef DU_EVENT_EVENT_H
#define DU_EVENT_EVENT_H

#include <stdarg.h>

#include <defupd/event.h>

#include "base/err.h"

struct du_events {
    defupd_event_fn on_event;
    void *event_user;
    defupd_log_fn on_log;
    void *log_user;
};

/* Fills struct_size and hands the event over. */
void du_event_send(const struct du_events *events, defupd_event event);

/* Control bytes become '?', the line is cut at 1024 bytes. */
__attribute__((format(printf, 4, 5))) void du_log(const struct du_events *events,
                                                  defupd_level level, const char *module,
                                                  const char *format, ...);
/* The same with the arguments of a function that takes them on. */
__attribute__((format(printf, 4, 0))) void du_log_args(const struct du_events *events,
                                                       defupd_level level, const char *module,
                                                       const char *format, va_list args);

#endif
