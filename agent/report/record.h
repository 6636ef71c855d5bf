/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The record of one run, written while it goes on: STATE/log/update.log, transfer.log and, of a
 * relay, relay.log for people, STATE/log/events.jsonl for programs, and the journal. Format:
 * docs/formats/reports.md. Nothing here fails towards the caller.
 */
#ifndef AG_REPORT_RECORD_H
#define AG_REPORT_RECORD_H

#include <stdint.h>

#include <defupd/defupd.h>

#include "report/disk.h"

struct ag_record_options {
    const struct ag_disk *disk; /* NULL: ag_disk_posix */
    const char *state_dir;      /* absolute; nothing is created while it does not exist */
    const char *who;            /* "uid 0 (root)" */
    const char *what;           /* "update tetra" */
    const char *journal;        /* socket; NULL: none */
    int64_t debug_until;        /* Unix seconds; until then debug lines are kept too */
    uint64_t log_bytes;         /* of each file before it is rotated; 0: 1 MiB */
    uint32_t log_keep;          /* rotated files of each; 0: 4 */
    uint32_t queue;             /* 1: events and the posture are queued for delivery */
    uint64_t queue_bytes;       /* most that is queued; 0: 4 MiB */
};

struct ag_record;

/* NULL without memory: all calls below then do nothing. The strings must live until
 * ag_record_end(). `now` is Unix seconds here and below. */
struct ag_record *ag_record_start(const struct ag_record_options *options, int64_t now);

void ag_record_event(struct ag_record *record, const defupd_event *event, int64_t now);

/* A log line of the library, of `module` "fetch" into transfer.log, others into update.log. */
void ag_record_log(struct ag_record *record, defupd_level level, const char *module,
                   const char *text, int64_t now);

/* A line for people in update.log, such as a hook's output. */
__attribute__((format(printf, 3, 4))) void ag_record_line(struct ag_record *record, int64_t now,
                                                          const char *format, ...);

/* The same two of bringing up to date what a relay serves: relay.log in the place of update.log.
 * Also after ag_record_end(). */
void ag_record_relay(struct ag_record *record, const defupd_event *event, int64_t now);
void ag_record_relay_log(struct ag_record *record, defupd_level level, const char *module,
                         const char *text, int64_t now);

/* What the run came to: each component's decision and outcome, then the run's. `report` and
 * `message` may be NULL. Afterwards only ag_record_relay(),
 * ag_record_relay_log(), ag_record_posture() and ag_record_free() may be called. */
void ag_record_end(struct ag_record *record, defupd_code code, const char *message,
                   const defupd_report *report, int64_t now);

/* The posture after the run, as JSON text: the last part of the message that is queued. May come
 * after ag_record_end(). NULL: there is none. */
void ag_record_posture(struct ag_record *record, const char *posture);

/* A line in update.log outside of a run. */
__attribute__((format(printf, 4, 5))) void ag_record_note(const struct ag_disk *disk,
                                                          const char *state_dir, int64_t now,
                                                          const char *format, ...);

/* NULL is allowed. Without ag_record_end() before it, the record says that the run broke off. */
void ag_record_free(struct ag_record *record);

#endif
