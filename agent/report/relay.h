/* SPDX-License-Identifier: Apache-2.0 */
/* What reports tell of a relay: posture, metrics, status. */
#ifndef AG_REPORT_RELAY_H
#define AG_REPORT_RELAY_H

#include <stdbool.h>
#include <stdint.h>

/* Numbers of a relay, in the order of ag_relay_numbers[]. */
enum ag_relay_number {
    AG_RELAY_VERSION,
    AG_RELAY_CONFIRMED,
    AG_RELAY_LAG,
    AG_RELAY_BEHIND,
    AG_RELAY_EXPIRES,
    AG_RELAY_LAST_SYNC,
    AG_RELAY_LAST_SUCCESS,
    AG_RELAY_COMPONENTS,
    AG_RELAY_OBJECTS,
    AG_RELAY_BYTES,
    AG_RELAY_NAMED,
    AG_RELAY_MISSING,
    AG_RELAY_REQUESTS,
    AG_RELAY_SENT,
    AG_RELAY_LIMITED,
    AG_RELAY_REFUSED,
    AG_RELAY_HITS,
    AG_RELAY_MISSES,
    AG_RELAY_CLIENTS,
    AG_RELAY_OPEN,
    AG_RELAY_NUMBERS
};

struct ag_relay_column {
    const char *key;    /* in the posture's "relay" */
    const char *metric; /* below defupd_relay_ */
    const char *type, *help;
};
extern const struct ag_relay_column ag_relay_columns[AG_RELAY_NUMBERS];

struct ag_relay_facts {
    bool there;    /* this host is a relay */
    char mode[17]; /* "mirror", "cache" */
    char source[257], lasterror_name[33], lasterror_text[513];
    uint32_t lasterror; /* as in local.xml: unsigned */
    int64_t number[AG_RELAY_NUMBERS];
};

/* From STATE/relay/figures and served; what cannot be read counts as not yet there. `caches`:
 * policy's mode, until there are figures. `now`: Unix seconds. */
void ag_relay_facts_read(struct ag_relay_facts *facts, const char *state_dir, bool caches,
                         int64_t now);

#endif
