/* SPDX-License-Identifier: Apache-2.0 */
#include "report/totals.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME "totals"
#define MOST 512
#define FORM "runs %" PRIu64 "\nfailures %" PRIu64 "\nfetched %" PRIu64 "\nlost %" PRIu64 "\n"

static uint64_t number(const char *text, const char *key)
{
    const char *at = strstr(text, key);

    return at != NULL ? strtoull(at + strlen(key), NULL, 10) : 0;
}

void ag_totals_read(const struct ag_disk *disk, int dir, struct ag_totals *totals)
{
    char *text = NULL;
    size_t count;

    *totals = (struct ag_totals){ 0 };
    if (dir < 0 || ag_disk_read(disk, dir, NAME, MOST, &text, &count) != 0)
        return;
    *totals = (struct ag_totals){ .runs = number(text, "runs "),
                                  .failures = number(text, "failures "),
                                  .fetched = number(text, "fetched "),
                                  .lost = number(text, "lost ") };
    free(text);
}

void ag_totals_add(const struct ag_disk *disk, int dir, const struct ag_totals *more)
{
    struct ag_totals all;
    char text[MOST];
    int length;

    if (dir < 0)
        return;
    ag_totals_read(disk, dir, &all);
    length = snprintf(text, sizeof text, FORM, all.runs + more->runs, all.failures + more->failures,
                      all.fetched + more->fetched, all.lost + more->lost);
    /* Not synced: a counter that begins anew after a loss of power is what counters may do. */
    if (length > 0)
        (void)!ag_disk_replace(disk, dir, NAME, text, (size_t)length, 0640, 0);
}
