/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers of events that only grow, also over crashes: STATE/log/sequence holds the first one that
 * nobody has been given. A process takes some at a time; what it does not use is left out. */
#ifndef AG_REPORT_SEQUENCE_H
#define AG_REPORT_SEQUENCE_H

#include <stdint.h>

#include "report/disk.h"

struct ag_sequence {
    uint64_t next, end; /* those at hand */
};

/* The next number; 0 when none can be had (a full disk). `now`: Unix seconds. */
uint64_t ag_sequence_next(struct ag_sequence *sequence, const struct ag_disk *disk, int dir,
                          int64_t now);

#endif
