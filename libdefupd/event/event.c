/* SPDX-License-Identifier: Apache-2.0 */
#include "event/event.h"

#include <stdarg.h>
#include <stdio.h>

void du_event_send(const struct du_events *events, defupd_event event)
{
    if (events->on_event == NULL)
        return;
    event.struct_size = (uint32_t)sizeof event;
    events->on_event(events->event_user, &event);
}

void du_log_args(const struct du_events *events, defupd_level level, const char *module,
                 const char *format, va_list args)
{
    char line[1024];

    if (events->on_log == NULL)
        return;
    (void)vsnprintf(line, sizeof line, format, args);
    for (char *c = line; *c != '\0'; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    }
    events->on_log(events->log_user, level, module, line);
}

void du_log(const struct du_events *events, defupd_level level, const char *module,
            const char *format, ...)
{
    va_list args;

    va_start(args, format);
    du_log_args(events, level, module, format, args);
    va_end(args);
}
