/* SPDX-License-Identifier: Apache-2.0 */
/* The service manager's protocol (sd_notify(3)): datagrams of VARIABLE=VALUE lines to the socket
 * that $NOTIFY_SOCKET names; a leading '@' is the abstract name space. */
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "service.h"

void ag_notify_start(struct ag_notify *notify)
{
    const char *name = getenv("NOTIFY_SOCKET"), *usec = getenv("WATCHDOG_USEC");
    const char *pid = getenv("WATCHDOG_PID");
    int64_t number;

    *notify = (struct ag_notify){ .fd = -1 };
    if (usec != NULL && ag_number(usec, false, &number) && number >= 2000 &&
        (pid == NULL || strtol(pid, NULL, 10) == (long)getpid()))
        notify->watchdog_ms = number / 2000;
    if (name != NULL && (name[0] == '/' || name[0] == '@') &&
        strlen(name) < sizeof notify->address.sun_path) {
        notify->address.sun_family = AF_UNIX;
        memcpy(notify->address.sun_path, name, strlen(name));
        if (name[0] == '@')
            notify->address.sun_path[0] = '\0';
        notify->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
        notify->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    }
    /* They are about this process; a worker that told READY would be a lie. */
    (void)unsetenv("NOTIFY_SOCKET");
    (void)unsetenv("WATCHDOG_USEC");
    (void)unsetenv("WATCHDOG_PID");
}

void ag_notify(const struct ag_notify *notify, const char *format, ...)
{
    char text[512];
    va_list args;
    int length;

    if (notify->fd < 0)
        return;
    va_start(args, format);
    length = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (length > 0)
        (void)sendto(notify->fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT,
                     (const struct sockaddr *)&notify->address, notify->length);
}
