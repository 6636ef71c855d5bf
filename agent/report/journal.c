/* SPDX-License-Identifier: Apache-2.0 */
/* The journal's native protocol: one datagram of lines KEY=VALUE, which any sender may write
 * (systemd.journal-fields(7)). Values here are single lines, so the binary form is not needed. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <defupd/error.h>

#include "report/event.h"
#include "text.h"
#include "words.h"

#define MOST 4096 /* far above what an event holds */

int ag_journal_open(const char *path)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    int fd;

    if (path == NULL || strlen(path) >= sizeof to.sun_path)
        return -1;
    (void)strcpy(to.sun_path, path);
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&to, sizeof to) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

struct datagram {
    char bytes[MOST];
    size_t used;
};

/* KEY=VALUE; what does not fit is left out as a whole. */
__attribute__((format(printf, 3, 4))) static void field(struct datagram *datagram, const char *key,
                                                        const char *format, ...)
{
    char value[DEFUPD_ERROR_MESSAGE_MAX + 256];
    const size_t room = sizeof datagram->bytes - datagram->used;
    va_list args;
    int length;

    va_start(args, format);
    (void)vsnprintf(value, sizeof value, format, args);
    va_end(args);
    ag_clean(value); /* a line break would begin a field of somebody else's choice */
    length = snprintf(datagram->bytes + datagram->used, room, "%s=%s\n", key, value);
    if (length > 0 && (size_t)length < room)
        datagram->used += (size_t)length;
}

/* Of syslog(3). */
static int priority(const defupd_event *event)
{
    if (event->id == DEFUPD_EVENT_FAILED)
        return 3;
    if (event->code != DEFUPD_OK || event->id == DEFUPD_EVENT_WITHDRAWN ||
        event->id == DEFUPD_EVENT_DAMAGED)
        return 4;
    return event->id == DEFUPD_EVENT_SUCCEEDED || event->id == DEFUPD_EVENT_ROLLED_BACK ? 5 : 6;
}

void ag_journal_send(int journal, const defupd_event *event, const char *uid)
{
    const char *component = event->component != NULL ? event->component : "";
    const char *text = event->text != NULL ? event->text : "";
    struct datagram datagram = { .used = 0 };

    if (journal < 0)
        return;
    field(&datagram, "MESSAGE", "%s%s%s%s%s", component, component[0] != '\0' ? ": " : "",
          ag_event_name(event->id), text[0] != '\0' ? ": " : "", text);
    field(&datagram, "PRIORITY", "%d", priority(event));
    field(&datagram, "SYSLOG_IDENTIFIER", "defupd");
    field(&datagram, "DEFUPD_EVENT", "%d", (int)event->id);
    field(&datagram, "DEFUPD_UID", "%s", uid);
    if (component[0] != '\0')
        field(&datagram, "DEFUPD_COMPONENT", "%s", component);
    if (event->version != 0)
        field(&datagram, "DEFUPD_VERSION", "%" PRIu64, event->version);
    if (event->from_version != 0)
        field(&datagram, "DEFUPD_FROM", "%" PRIu64, event->from_version);
    if (event->code != DEFUPD_OK)
        field(&datagram, "DEFUPD_CODE", "%d", (int)event->code);
    if (event->source != NULL && event->source[0] != '\0')
        field(&datagram, "DEFUPD_SOURCE", "%s", event->source);
    (void)send(journal, datagram.bytes, datagram.used, MSG_NOSIGNAL | MSG_DONTWAIT);
}
