/* SPDX-License-Identifier: Apache-2.0 */
#include "schedule.h"

#include <string.h>

#define DAY 86400
#define WEEK (7 * DAY)
#define WEEK_MINUTES (7 * 1440)
#define CATCH_UP 600         /* hosts that come back together are spread over so long */
#define RETRY_AFTER_MAX WEEK /* a source that asks for more is not believed */
#define VERIFY_AGAIN DAY     /* after one that failed */

static int64_t min(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t max(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Quotient rounded towards minus infinity; the divisor is positive. */
static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* Seconds since a mark, never negative. Within a boot its clock tells; across boots the wall
 * clock, and when that went back, at least this boot has passed. */
static int64_t since(const struct ag_mark *mark, const struct ag_mark *now)
{
    if (strcmp(mark->id, now->id) == 0 && now->boot >= mark->boot)
        return now->boot - mark->boot;
    return max(now->wall - mark->wall, now->boot);
}

/* Across boots with the wall clock set back there is no telling how long it was. */
static bool is_lost(const struct ag_mark *mark, const struct ag_mark *now)
{
    return strcmp(mark->id, now->id) != 0 && now->wall < mark->wall;
}

/* The host's place in a span that all hosts share. */
static int64_t place(const struct ag_schedule *schedule, int64_t span)
{
    const int64_t within = min(span, schedule->interval);

    if (schedule->interval <= 0 || within <= 0)
        return 0;
    return schedule->slot * within / schedule->interval;
}

/* The same place in the period of verifying. */
static int64_t stretched(const struct ag_schedule *schedule)
{
    if (schedule->interval <= 0)
        return 0;
    return (int64_t)((double)schedule->slot / (double)schedule->interval *
                     (double)schedule->verify);
}

/* The first instant at or after `wall` of the grid that has a point at `slot` in every period. */
static int64_t next_slot(int64_t period, int64_t slot, int64_t wall)
{
    return -floor_div(slot - wall, period) * period + slot;
}

/* The instant of the grid that is nearest to `wall`. */
static int64_t nearest_slot(int64_t period, int64_t slot, int64_t wall)
{
    return next_slot(period, slot, wall - period / 2);
}

static int64_t offset(const struct ag_facts *facts, int64_t wall)
{
    return facts->utc_offset != NULL ? facts->utc_offset(facts->user, wall) : 0;
}

/* Local time as minutes since a Monday's midnight, 0 to 10079. */
static int64_t local_minute(const struct ag_facts *facts, int64_t wall)
{
    const int64_t local = wall + offset(facts, wall) - 4 * DAY; /* 1970-01-01 was a Thursday */

    return floor_div(local - floor_div(local, WEEK) * WEEK, 60);
}

/* Minutes from a local minute until a window is open, 0 when one is; a week when none ever is. */
static int64_t minutes_to_open(const struct ag_schedule *schedule, int64_t minute)
{
    int64_t least = WEEK_MINUTES;

    if (schedule->window_count == 0)
        return 0;
    for (size_t i = 0; i < schedule->window_count; i++) {
        const struct ag_window *window = &schedule->windows[i];
        const int64_t length = window->to > window->from ? window->to - window->from
                                                         : window->to + 1440 - window->from;

        for (int day = 0; day < 7; day++) {
            const int64_t begin = day * 1440 + window->from;
            /* The week is a ring: Sunday's may end on Monday. */
            const int64_t into = (minute - begin + WEEK_MINUTES) % WEEK_MINUTES;

            if ((window->days >> day & 1) == 0)
                continue;
            if (into < length)
                return 0;
            least = min(least, WEEK_MINUTES - into);
        }
    }
    return least;
}

bool ag_schedule_open(const struct ag_schedule *schedule, const struct ag_facts *facts,
                      int64_t wall)
{
    return minutes_to_open(schedule, local_minute(facts, wall)) == 0;
}

/* The first instant at or after `wall` that windows allow; one after two weeks when there is none.
 * In a window that has just opened, hosts are spread by their slots over its length, at most an
 * interval. Clocks are changed by whole minutes; a leap that would go over such a change is taken
 * in parts, so that what opens or closes by the change itself is met. */
static int64_t into_window(const struct ag_schedule *schedule, const struct ag_facts *facts,
                           int64_t wall)
{
    int64_t from, to, leap;

    if (ag_schedule_open(schedule, facts, wall))
        return wall;
    from = (floor_div(wall, 60) + 1) * 60;
    to = from + 2 * WEEK;
    while (from < to && (leap = minutes_to_open(schedule, local_minute(facts, from))) > 0) {
        while (leap > 1 && offset(facts, from + leap * 60) != offset(facts, from))
            leap /= 2;
        from += leap * 60;
    }
    if (from >= to)
        return from;
    for (to = from + 60; to < from + schedule->interval && ag_schedule_open(schedule, facts, to);)
        to += 60;
    return from + place(schedule, to - from);
}

/* When the poll is due by the wall clock of now, before windows. */
static int64_t poll_due(const struct ag_schedule *schedule, const struct ag_schedule_state *state,
                        const struct ag_facts *facts, bool *missed)
{
    const struct ag_mark *now = &facts->now;
    const int64_t up = now->wall - (now->boot - facts->up_since);
    const int64_t ready = up + schedule->initial_delay;
    const int64_t polled = now->wall - since(&state->polled, now);
    int64_t due;

    *missed = false;
    if (!state->polled.set)
        return ready;
    if (state->failures > 0 && state->retry > 0)
        due = polled + state->retry;
    else if (is_lost(&state->polled, now))
        due = up - 1;
    else
        due = nearest_slot(schedule->interval, schedule->slot, polled + schedule->interval);
    if (due >= up)
        return max(due, ready);
    if (!schedule->run_missed)
        return next_slot(schedule->interval, schedule->slot, ready);
    *missed = true;
    return ready + place(schedule, CATCH_UP);
}

/* Verifying costs a host its disk's time, and a cluster's hosts may share a disk: a grid too, with
 * the host's slot stretched over the whole period. It is local work, so what was missed is caught
 * up whatever policy says of polls. */
static int64_t verify_due(const struct ag_schedule *schedule, const struct ag_schedule_state *state,
                          const struct ag_facts *facts)
{
    const struct ag_mark *now = &facts->now;
    const int64_t up = now->wall - (now->boot - facts->up_since);
    const int64_t verified = now->wall - since(&state->verified, now);
    int64_t due;

    if (state->verify_failed)
        due = verified + min(schedule->verify, VERIFY_AGAIN);
    else
        due = nearest_slot(schedule->verify, stretched(schedule), verified + schedule->verify);
    return due >= up ? due : up + schedule->initial_delay + place(schedule, CATCH_UP);
}

/* What is due at `due` is done then or when a window opens. Told without regard to now, so that
 * who looks twice gets the same answer; when that instant was missed and windows are closed
 * meanwhile, the next one counts. */
static int64_t allowed(const struct ag_schedule *schedule, const struct ag_facts *facts,
                       int64_t due)
{
    const int64_t wall = facts->now.wall;
    const int64_t when = into_window(schedule, facts, due);

    return when < wall && !ag_schedule_open(schedule, facts, wall)
               ? into_window(schedule, facts, wall)
               : when;
}

struct ag_due ag_schedule_due(const struct ag_schedule *schedule,
                              const struct ag_schedule_state *state, const struct ag_facts *facts)
{
    const int64_t wall = facts->now.wall;
    struct ag_due due = { .kind = AG_DUE_NOTHING, .boot = AG_NEVER };
    int64_t next = AG_NEVER, verify;

    if (schedule->interval > 0) {
        next = allowed(schedule, facts, poll_due(schedule, state, facts, &due.missed));
        due.poll_wall = next;
        if (next <= wall)
            due.kind = AG_DUE_POLL;
    }
    if (schedule->verify > 0 && state->verified.set) {
        verify = allowed(schedule, facts, verify_due(schedule, state, facts));
        if (verify <= wall && due.kind == AG_DUE_NOTHING)
            due.kind = AG_DUE_VERIFY;
        next = min(next, verify);
    }
    if (next != AG_NEVER)
        due.boot = facts->now.boot + (next - wall);
    return due;
}

int64_t ag_schedule_retry(const struct ag_schedule *schedule, uint32_t failures, uint64_t random)
{
    int64_t cap = max(schedule->retry_first, 1);

    for (uint32_t n = 1; n < failures && cap < schedule->retry_max; n++)
        cap *= 2;
    cap = max(min(cap, schedule->retry_max), 1);
    return 1 + (int64_t)(random % (uint64_t)cap);
}

void ag_schedule_succeeded(struct ag_schedule_state *state, const struct ag_mark *now)
{
    state->polled = *now;
    state->failures = 0;
    state->retry = 0;
}

void ag_schedule_failed(struct ag_schedule_state *state, const struct ag_schedule *schedule,
                        const struct ag_mark *now, uint64_t random, int64_t not_before, bool usual)
{
    state->polled = *now;
    if (state->failures < UINT32_MAX)
        state->failures++;
    state->retry = usual ? 0 : ag_schedule_retry(schedule, state->failures, random);
    /* Nobody shall come back at the same second when a source names one. */
    if (not_before > 0)
        state->retry = max(state->retry, min(not_before, RETRY_AFTER_MAX) + (int64_t)(random % 60));
}

void ag_schedule_verified(struct ag_schedule_state *state, const struct ag_mark *now, bool ok)
{
    state->verified = *now;
    state->verify_failed = !ok;
}
