/* SPDX-License-Identifier: Apache-2.0 */
/* STATE/log/totals: what has been counted on this host since it has a store, for monitoring. */
#ifndef AG_REPORT_TOTALS_H
#define AG_REPORT_TOTALS_H

#include <stdint.h>

#include "report/disk.h"

struct ag_totals {
    uint64_t runs;     /* checks, updates and the like */
    uint64_t failures; /* of them */
    uint64_t fetched;  /* bytes of objects */
    uint64_t lost;     /* lines of logs and events that could not be written */
};

/* Of the log folder `dir`; zeros when there is none, or when it cannot be read: counters may begin
 * anew. */
void ag_totals_read(const struct ag_disk *disk, int dir, struct ag_totals *totals);

/* Add and write. What fails is not counted. */
void ag_totals_add(const struct ag_disk *disk, int dir, const struct ag_totals *more);

#endif
