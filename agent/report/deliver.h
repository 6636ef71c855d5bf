/* SPDX-License-Identifier: Apache-2.0 */
/* Sends what waits in the outbox, oldest first, each message until it is taken: at least once. */
#ifndef AG_REPORT_DELIVER_H
#define AG_REPORT_DELIVER_H

#include <stdbool.h>
#include <stdint.h>

#include <defupd/error.h>

#include "report/disk.h"

struct ag_deliver {
    const struct ag_disk *disk;
    const char *state_dir, *url, *ca_file; /* ca_file NULL: the system's */
    uint64_t queue_bytes;                  /* 0: the default */
    int64_t now;                           /* Unix seconds */
    bool at_once;                          /* do not wait for the back-off's end */
};

struct ag_delivery {
    unsigned sent, dropped, left; /* messages: taken; refused for good; that still wait */
    int64_t next;                 /* not before; 0: now. Unix seconds */
};

/* DEFUPD_OK, also when nothing was due or another process delivers. Otherwise what kept a message
 * from being taken; it is kept, and the time of the next attempt with it. */
DEFUPD_MUST_CHECK defupd_code ag_deliver(const struct ag_deliver *deliver,
                                         struct ag_delivery *delivery, defupd_error *err);

/* One message as it is sent, from the lines in the outbox; yours to free(). NULL: no memory. */
char *ag_deliver_body(const char *name, const char *lines, uint64_t dropped, size_t *count);

#endif
