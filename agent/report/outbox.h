/* SPDX-License-Identifier: Apache-2.0 */
/*
 * STATE/outbox: messages that wait to be sent, docs/formats/reports.md. A run writes its events
 * into NUMBER-ID.part as they come and makes NUMBER-ID.msg of it at its end; what a crash left is
 * taken as it is. Numbers are the order. Bounded: the oldest messages go first, and are counted.
 */
#ifndef AG_REPORT_OUTBOX_H
#define AG_REPORT_OUTBOX_H

#include <stdbool.h>
#include <stdint.h>

#include <defupd/error.h>

#include "report/disk.h"
#include "report/event.h"

#define AG_OUTBOX_BYTES (UINT64_C(4) << 20) /* of all messages, by default */
#define AG_OUTBOX_COUNT 1000u
#define AG_MESSAGE_BYTES (UINT64_C(256) << 10) /* of events in one; the rest is left out */
#define AG_OUTBOX_NAME 64

struct ag_outbox {
    const struct ag_disk *disk;
    int dir;            /* -1: there is no outbox, nothing is queued */
    uint64_t max_bytes; /* of all messages */
};

/* Open the outbox, and with `make` create it. Nothing fails here: without it nothing is queued. */
void ag_outbox_open(struct ag_outbox *outbox, const struct ag_disk *disk, const char *state_dir,
                    uint64_t max_bytes, bool make);
void ag_outbox_close(struct ag_outbox *outbox);

/* The message that a run writes. */
struct ag_message {
    char name[AG_OUTBOX_NAME]; /* without suffix; "" before the first line */
    int fd;
    uint64_t bytes;
    unsigned left_out;
};

/* Add a line of JSON. What cannot be written is counted. */
void ag_message_add(struct ag_message *message, const struct ag_outbox *outbox, const char *line);
/* The posture, one line, whose size does not count among the events'. */
void ag_message_posture(struct ag_message *message, const struct ag_outbox *outbox,
                        const char *line);
/* The message is complete and survives a loss of power; the outbox is brought within its bounds. */
void ag_message_end(struct ag_message *message, const struct ag_outbox *outbox);

/* Make messages of what crashed runs left. */
void ag_outbox_adopt(const struct ag_outbox *outbox);
/* Name of the oldest message after `after` ("" for the first), without suffix; false when there is
 * none. */
bool ag_outbox_next(const struct ag_outbox *outbox, const char *after, char name[AG_OUTBOX_NAME]);
size_t ag_outbox_count(const struct ag_outbox *outbox);
/* Its lines, yours to free(). 0, or -1 with errno. */
int ag_outbox_read(const struct ag_outbox *outbox, const char *name, char **lines, size_t *count);
/* Remove it, durably; `dropped`: undelivered, which is counted. */
void ag_outbox_remove(const struct ag_outbox *outbox, const char *name, bool dropped);
/* How many messages were dropped since the store was made. */
uint64_t ag_outbox_dropped(const struct ag_outbox *outbox);

#endif
