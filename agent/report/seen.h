/* SPDX-License-Identifier: Apache-2.0 */
/* A posture as it is read back: our own for monitoring, other hosts' for a comparison. Its bytes
 * are foreign: everything has a limit, and what is not as the format says is refused as a whole. */
#ifndef AG_REPORT_SEEN_H
#define AG_REPORT_SEEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <defupd/error.h>

#include "report/relay.h"

#define AG_POSTURE_MAX (1u << 20) /* bytes of one */
#define AG_SEEN_MAX 1024          /* definitions in one */
#define AG_SEEN_TEXT 128          /* longer texts are refused */

struct ag_seen_definition {
    char name[33];
    char engine[AG_SEEN_TEXT + 1];
    char label[AG_SEEN_TEXT + 1];
    char state[17]; /* as the host named it, of this version's words or not */
    char lasterror_name[33];
    bool enabled;       /* its engine */
    uint32_t lasterror; /* as in local.xml: unsigned */
    uint32_t failures;
    uint64_t version, available;
    int64_t timestamp, last_success, last_attempt, next_attempt; /* Unix seconds, 0 if never */
};

struct ag_seen {
    char uuid[37], agent_version[33], lasterror_name[33];
    bool connected, running;
    uint32_t lasterror;
    uint64_t generation;
    int64_t time, last_contact, interval_s; /* 0 in postures of other makes */
    struct ag_relay_facts relay;            /* `there` when it is one; no texts */
    struct ag_seen_definition *definition;  /* in order of names */
    size_t count;
};

/* Read one; on failure there is nothing to free. `name` is what messages call it.
 * DEFUPD_E_INVALID (not a posture; the message says where), DEFUPD_E_LIMIT, DEFUPD_E_NOMEM. */
DEFUPD_MUST_CHECK defupd_code ag_seen_parse(struct ag_seen *seen, const char *name,
                                            const char *bytes, size_t count, defupd_error *err);
void ag_seen_free(struct ag_seen *seen);

#endif
