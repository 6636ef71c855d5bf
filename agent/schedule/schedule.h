/* SPDX-License-Identifier: Apache-2.0 */
/* When the next poll is due. Pure: facts come in, a decision goes out; no clock, no disk, no
 * random numbers of its own. docs/schedule.md tells it in words.
 *
 * Poll k of a host is at k * interval + slot in Unix time, so that hosts are spread by their slots
 * for ever, whatever their start. Two polls are never less than half an interval apart and never
 * more than one and a half, whatever the wall clock does: a wall clock that jumps moves the grid,
 * not the time since the last poll, which CLOCK_BOOTTIME measures. */
#ifndef AG_SCHEDULE_H
#define AG_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AG_BOOT_ID 40 /* of /proc/sys/kernel/random/boot_id, with NUL */
#define AG_WINDOWS 64
#define AG_NEVER INT64_MAX

/* Days in `days`: bit 0 is Monday. Minutes of the local day; one that ends before or when it begins
 * ends on the next day, and belongs to the day on which it begins. */
struct ag_window {
    uint8_t days;
    uint16_t from, to; /* 0 to 1440 */
};

/* What policy says. Seconds. */
struct ag_schedule {
    int64_t interval;      /* 0: no polls */
    int64_t initial_delay; /* after a start or a resume from sleep */
    int64_t slot;          /* 0 to interval - 1 */
    int64_t retry_first, retry_max;
    int64_t verify; /* 0: never */
    bool run_missed;
    size_t window_count; /* 0: any time */
    struct ag_window windows[AG_WINDOWS];
};

/* An instant by both clocks: `boot` (CLOCK_BOOTTIME, seconds) counts within the boot `id`, `wall`
 * is all there is across boots. */
struct ag_mark {
    bool set;
    char id[AG_BOOT_ID];
    int64_t boot, wall;
};

/* What is kept across restarts. Zero is the state of a host that never polled. */
struct ag_schedule_state {
    struct ag_mark polled;   /* end of the last poll */
    struct ag_mark verified; /* end of the last verify, or when the first state was made */
    uint32_t failures;       /* of polls since the last success */
    int64_t retry;           /* after `polled`, when failures > 0; 0: as after a success */
    bool verify_failed;
};

struct ag_facts {
    struct ag_mark now; /* set */
    int64_t up_since;   /* CLOCK_BOOTTIME of the agent's start or of the last resume */
    /* Seconds that local time is ahead of UTC at an instant. */
    int64_t (*utc_offset)(void *user, int64_t wall);
    void *user;
};

enum ag_due_kind { AG_DUE_NOTHING, AG_DUE_POLL, AG_DUE_VERIFY };

struct ag_due {
    enum ag_due_kind kind; /* what is to be done now; AG_DUE_NOTHING: wait until `boot` */
    int64_t boot;          /* CLOCK_BOOTTIME when the next thing is due; AG_NEVER: nothing is */
    int64_t poll_wall;     /* the next poll in Unix time, for reports; 0: none is planned */
    bool missed;           /* the poll was due while the agent was down or the host asleep */
};

struct ag_due ag_schedule_due(const struct ag_schedule *schedule,
                              const struct ag_schedule_state *state, const struct ag_facts *facts);

/* What became of a poll. `random` is any number; `not_before` seconds from now that a source asked
 * for (0: none). `usual`: the failure is not one that trying sooner can mend. */
void ag_schedule_succeeded(struct ag_schedule_state *state, const struct ag_mark *now);
void ag_schedule_failed(struct ag_schedule_state *state, const struct ag_schedule *schedule,
                        const struct ag_mark *now, uint64_t random, int64_t not_before, bool usual);
void ag_schedule_verified(struct ag_schedule_state *state, const struct ag_mark *now, bool ok);

/* How long after the nth failure in a row (from 1) the next attempt comes: full jitter, from 1 s to
 * the lesser of retry_max and retry_first doubled n - 1 times. */
int64_t ag_schedule_retry(const struct ag_schedule *schedule, uint32_t failures, uint64_t random);

/* True when polls are allowed at this instant. */
bool ag_schedule_open(const struct ag_schedule *schedule, const struct ag_facts *facts,
                      int64_t wall);

#endif
