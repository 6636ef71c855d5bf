/* SPDX-License-Identifier: Apache-2.0 */
/* When the polls of many hosts come, by the schedule's own code on a virtual clock.
 *
 *     bench_fleet HOSTS INTERVAL_S          the whole fleet is switched on within an hour; a day
 *                                           from its second day on
 *     bench_fleet HOSTS INTERVAL_S power    as before; in the middle of the day power fails for
 *                                           six hours and comes back everywhere at once
 *
 * Prints the number of polls in each five minutes of that day. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schedule/schedule.h"

#define DAY INT64_C(86400)
#define SPAN 300
#define START INT64_C(1795219200) /* 2026-11-21T00:00:00Z */

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

/* One host's polls of the day. */
static void simulate(uint64_t host, int64_t interval, bool power, unsigned *count)
{
    const struct ag_schedule schedule = { .interval = interval,
                                          .slot = (int64_t)(mix(2 * host + 1) % (uint64_t)interval),
                                          .retry_first = 60,
                                          .retry_max = 7200,
                                          .run_missed = true };
    const int64_t on = START + (int64_t)(mix(2 * host + 2) % 3600);
    const int64_t off = START + DAY + 8 * 3600, back = off + 6 * 3600;
    struct ag_schedule_state state = { .failures = 0 };
    struct ag_facts facts = { .now = { .set = true, .id = "1", .boot = 30, .wall = on + 30 },
                              .up_since = 30 };
    bool failed = !power;

    while (facts.now.wall < START + 2 * DAY) {
        const struct ag_due due = ag_schedule_due(&schedule, &state, &facts);

        if (due.kind == AG_DUE_POLL) {
            if (facts.now.wall >= START + DAY)
                count[(facts.now.wall - START - DAY) / SPAN]++;
            facts.now.boot += 10;
            facts.now.wall += 10;
            ag_schedule_succeeded(&state, &facts.now);
            continue;
        }
        facts.now.wall += due.boot - facts.now.boot;
        facts.now.boot = due.boot;
        if (!failed && facts.now.wall >= off) {
            failed = true;
            facts.now = (struct ag_mark){ .set = true, .id = "2", .boot = 30, .wall = back };
            facts.up_since = 30;
        }
    }
}

int main(int argc, char **argv)
{
    const uint64_t hosts = argc > 2 ? strtoull(argv[1], NULL, 10) : 0;
    const int64_t interval = argc > 2 ? strtoll(argv[2], NULL, 10) : 0;
    unsigned count[DAY / SPAN] = { 0 };

    if (hosts == 0 || interval <= 0) {
        (void)fprintf(stderr, "usage: bench_fleet HOSTS INTERVAL_S [power]\n");
        return 64;
    }
    for (uint64_t host = 0; host < hosts; host++)
        simulate(host, interval, argc > 3 && strcmp(argv[3], "power") == 0, count);
    for (size_t i = 0; i < sizeof count / sizeof count[0]; i++)
        printf("%u\n", count[i]);
    return 0;
}
