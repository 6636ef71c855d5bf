/* SPDX-License-Identifier: Apache-2.0 */
/* The progress line on a terminal: "tetra 1003 [######....]  66% 3.1 MB/s 01:05 ETA", redrawn in
 * place and cleared at the end. */
#ifndef AG_PROGRESS_H
#define AG_PROGRESS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <defupd/event.h>

struct ag_progress {
    FILE *out;                      /* NULL: draw nothing */
    unsigned columns;               /* of the terminal */
    unsigned drawn;                 /* characters on the line now */
    unsigned fetching;              /* components that are fetched */
    char what[64];                  /* the one, or their number: "tetra 1003", "3 components" */
    uint32_t phase;                 /* what the numbers below are about */
    uint64_t since_ms, since_bytes; /* last point of measurement */
    uint64_t rate;                  /* bytes a second, smoothed; 0: not known yet */
};

/* Ready to draw on `out` when that is a terminal, else one that draws nothing. */
void ag_progress_start(struct ag_progress *progress, FILE *out);

/* Draw what a DEFUPD_EVENT_PROGRESS says; DEFUPD_EVENT_DOWNLOADING tells what it will be about;
 * others are ignored. `now_ms` from a clock that only
 * moves on. */
void ag_progress_event(struct ag_progress *progress, const defupd_event *event, uint64_t now_ms);

/* What the line of this event begins with: "tetra 1003 ". */
void ag_progress_subject(char *out, size_t size, const struct ag_progress *progress,
                         const defupd_event *event);

/* Draw a line about `who` ("bundling tetra 1003 "). Rates are measured within one `phase`; `total`
 * 0 is not known. */
void ag_progress_draw(struct ag_progress *progress, const char *who, uint32_t phase, uint64_t done,
                      uint64_t total, uint64_t now_ms);

/* Take the line away, before something else is printed. The next event draws it again. */
void ag_progress_clear(struct ag_progress *progress);

#endif
