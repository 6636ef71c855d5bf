/* SPDX-License-Identifier: Apache-2.0 */
/* Events as JSON, docs/formats/reports.md, and to the journal. */
#ifndef AG_REPORT_EVENT_H
#define AG_REPORT_EVENT_H

#include <stdint.h>

#include <jansson.h>

#include <defupd/event.h>

/* The members of an event's line; yours to json_decref(). NULL: no memory. `now`: Unix seconds. */
json_t *ag_event_json(const defupd_event *event, int64_t now);

#define AG_UID 37
/* An identifier of an event or a message: RFC 9562 version 7, so that they sort by time. */
void ag_uid(char out[AG_UID]);

#define AG_JOURNAL "/run/systemd/journal/socket"
/* A socket to the journal, for ag_journal_send(); -1 where there is none. */
int ag_journal_open(const char *path);
/* One event as a datagram of the journal's native protocol. Never blocks; what the journal does not
 * take is only missing there. */
void ag_journal_send(int journal, const defupd_event *event, const char *uid);

#endif
