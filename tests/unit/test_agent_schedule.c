/* SPDX-License-Identifier: Apache-2.0 */
/* Years of polls on a virtual clock. */
#include <time.h>

#include "schedule/schedule.h"
#include "t.h"

#define HOUR INT64_C(3600)
#define DAY (24 * HOUR)
#define YEAR (365 * DAY)
#define START INT64_C(1795255200) /* 2026-11-21T10:00:00Z, a Saturday */

/* A host whose time passes only when a test says so. */
struct host {
    struct ag_schedule schedule;
    struct ag_schedule_state state;
    struct ag_facts facts;
    uint64_t random;
    int boots;
};

static uint64_t next_random(struct host *host)
{
    uint64_t x = host->random += UINT64_C(0x9e3779b97f4a7c15);

    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

/* Like Berlin's, by a rule that needs no files. */
static int64_t berlin(void *user, int64_t wall)
{
    const time_t when = (time_t)wall;
    struct tm local;

    (void)user;
    return localtime_r(&when, &local) != NULL ? local.tm_gmtoff : 0;
}

static void pass(struct host *host, int64_t seconds)
{
    host->facts.now.boot += seconds;
    host->facts.now.wall += seconds;
}

static void boot(struct host *host, int64_t off, int64_t wrong_by)
{
    host->facts.now.wall += off + wrong_by;
    host->facts.now.boot = 20;
    host->facts.up_since = 20;
    (void)snprintf(host->facts.now.id, sizeof host->facts.now.id, "boot-%d", host->boots++);
}

static struct host new_host(int64_t interval, int64_t slot)
{
    struct host host = { .schedule = { .interval = interval,
                                       .slot = slot,
                                       .retry_first = 60,
                                       .retry_max = HOUR,
                                       .run_missed = true },
                         .facts = { .now = { .set = true, .wall = START } },
                         .random = 42 };

    boot(&host, 0, 0);
    return host;
}

static struct ag_due due(const struct host *host)
{
    return ag_schedule_due(&host->schedule, &host->state, &host->facts);
}

/* Wait for the next poll as the agent does: until the instant it is told, then look again. */
static void wait_for_poll(struct host *host)
{
    for (int looks = 0; due(host).kind != AG_DUE_POLL; looks++) {
        const struct ag_due next = due(host);

        if (looks > 100 || next.boot == AG_NEVER || next.boot <= host->facts.now.boot) {
            T_CHECK(false && "a poll comes");
            return;
        }
        pass(host, next.boot - host->facts.now.boot);
    }
}

static void poll(struct host *host)
{
    wait_for_poll(host);
    pass(host, 37); /* it takes its time */
    ag_schedule_succeeded(&host->state, &host->facts.now);
}

static void a_year_of_polls_keeps_to_the_slot(void)
{
    struct host host = new_host(2 * HOUR, 1234);
    int count = 0;

    poll(&host);
    for (const int64_t end = host.facts.now.wall + YEAR; host.facts.now.wall < end; count++) {
        const int64_t before = host.facts.now.wall - 37;

        poll(&host);
        if ((host.facts.now.wall - 37 - 1234) % (2 * HOUR) != 0 ||
            (count > 0 && host.facts.now.wall - 37 - before != 2 * HOUR)) {
            T_CHECK(false && "every poll is at k * interval + slot, an interval after the last");
            return;
        }
    }
    T_CHECK(count == 365 * 12 || count == 365 * 12 + 1);
}

static void a_new_host_polls_after_the_initial_delay(void)
{
    struct host host = new_host(2 * HOUR, 1234);

    host.schedule.initial_delay = 90;
    T_CHECK(due(&host).kind == AG_DUE_NOTHING);
    T_CHECK(due(&host).boot == 20 + 90);
    T_CHECK(due(&host).poll_wall == host.facts.now.wall + 90);
    pass(&host, 89);
    T_CHECK(due(&host).kind == AG_DUE_NOTHING);
    pass(&host, 1);
    T_CHECK(due(&host).kind == AG_DUE_POLL);
    T_CHECK(!due(&host).missed);
}

static void without_interval_nothing_is_due(void)
{
    struct host host = new_host(0, 0);

    T_CHECK(due(&host).kind == AG_DUE_NOTHING);
    T_CHECK(due(&host).boot == AG_NEVER);
    T_CHECK(due(&host).poll_wall == 0);
}

/* Told by localtime() alone, without the code under test. */
static bool in_the_night(int64_t wall)
{
    const time_t when = (time_t)wall;
    struct tm local;
    int day;

    if (localtime_r(&when, &local) == NULL)
        return false;
    day = (local.tm_wday + 6) % 7; /* 0: Monday */
    if (local.tm_hour >= 22)
        return day < 5;
    return local.tm_hour < 4 && day >= 1 && day < 6;
}

static void windows_over_midnight_are_kept_for_a_year_and_when_clocks_change(void)
{
    struct host host = new_host(HOUR, 1801);
    int count = 0;

    host.facts.utc_offset = berlin;
    host.schedule.windows[0] = (struct ag_window){ .days = 0x1f, .from = 22 * 60, .to = 4 * 60 };
    host.schedule.window_count = 1;
    for (const int64_t end = START + YEAR; host.facts.now.wall < end; count++) {
        wait_for_poll(&host);
        if (!in_the_night(host.facts.now.wall)) {
            T_CHECK(false && "every poll is in a window");
            return;
        }
        poll(&host);
    }
    /* six a night, five nights a week; the first of a night is spread over its first hour */
    T_CHECK(count >= 52 * 5 * 6 - 12 && count <= 53 * 5 * 7);
}

static void a_window_shorter_than_the_interval_still_gets_its_poll(void)
{
    struct host host = new_host(8 * HOUR, 3 * HOUR);
    int count = 0;

    host.facts.utc_offset = berlin;
    host.schedule.windows[0] = (struct ag_window){ .days = 0x7f, .from = 150, .to = 160 };
    host.schedule.window_count = 1;
    for (const int64_t end = START + YEAR; host.facts.now.wall < end; count++)
        poll(&host);
    /* every day but the one in March that has no 02:30 */
    T_CHECK(count >= 363 && count <= 365);
}

static void a_window_of_a_whole_day_ends_when_the_next_begins(void)
{
    struct host host = new_host(HOUR, 0);

    host.schedule.windows[0] = (struct ag_window){ .days = 1 << 5, .from = 600, .to = 600 };
    host.schedule.window_count = 1;
    T_CHECK(ag_schedule_open(&host.schedule, &host.facts, START));
    T_CHECK(!ag_schedule_open(&host.schedule, &host.facts, START - 1));
    T_CHECK(ag_schedule_open(&host.schedule, &host.facts, START + DAY - 1));
    T_CHECK(!ag_schedule_open(&host.schedule, &host.facts, START + DAY));
    host.schedule.windows[0] = (struct ag_window){ .days = 1 << 6, .from = 1380, .to = 60 };
    /* Sunday's window ends on Monday: 2026-11-23 */
    T_CHECK(ag_schedule_open(&host.schedule, &host.facts, START + 38 * HOUR + 30 * 60));
    T_CHECK(!ag_schedule_open(&host.schedule, &host.facts, START + 39 * HOUR));
}

static void hosts_do_not_rush_in_when_a_window_opens(void)
{
    int64_t first = INT64_MAX, last = 0;

    for (int64_t slot = 0; slot < 4 * HOUR; slot += 60) {
        struct host host = new_host(4 * HOUR, slot);

        poll(&host);
        host.schedule.windows[0] = (struct ag_window){ .days = 0x7f, .from = 60, .to = 120 };
        host.schedule.window_count = 1;
        /* asked again at every minute, it must not forget where in the window it stands */
        while (due(&host).kind != AG_DUE_POLL)
            pass(&host, 60);
        T_CHECK(ag_schedule_open(&host.schedule, &host.facts, host.facts.now.wall));
        if (host.facts.now.wall % DAY < first)
            first = host.facts.now.wall % DAY;
        if (host.facts.now.wall % DAY > last)
            last = host.facts.now.wall % DAY;
    }
    T_CHECK(first >= HOUR && first < HOUR + 120);
    T_CHECK(last > 2 * HOUR - 120 && last < 2 * HOUR);
}

static void windows_that_never_open_are_no_endless_search(void)
{
    struct host host = new_host(HOUR, 0);

    host.schedule.windows[0] = (struct ag_window){ .days = 0, .from = 60, .to = 120 };
    host.schedule.window_count = 1;
    T_CHECK(due(&host).kind == AG_DUE_NOTHING);
    T_CHECK(due(&host).boot > host.facts.now.boot + 7 * DAY);
}

static void a_poll_missed_in_sleep_is_caught_up(void)
{
    struct host host = new_host(2 * HOUR, 3600);

    host.schedule.initial_delay = 30;
    poll(&host);
    pass(&host, 5 * DAY); /* the boot-time clock goes on */
    host.facts.up_since = host.facts.now.boot;
    T_CHECK(due(&host).kind == AG_DUE_NOTHING);
    T_CHECK(due(&host).missed);
    T_CHECK(due(&host).boot == host.facts.now.boot + 30 + 300); /* the middle of ten minutes */
    wait_for_poll(&host);
    T_CHECK(due(&host).missed);
    poll(&host);
    T_CHECK(!due(&host).missed);
    T_CHECK(due(&host).poll_wall % (2 * HOUR) == 3600);
}

static void a_poll_missed_while_switched_off_is_caught_up(void)
{
    struct host host = new_host(2 * HOUR, 0);

    poll(&host);
    boot(&host, 3 * HOUR, 0);
    T_CHECK(due(&host).kind == AG_DUE_POLL);
    T_CHECK(due(&host).missed);
}

static void a_short_absence_misses_nothing(void)
{
    struct host host = new_host(2 * HOUR, 600);
    int64_t planned;

    poll(&host);
    planned = due(&host).poll_wall;
    boot(&host, 300, 0);
    T_CHECK(due(&host).kind == AG_DUE_NOTHING);
    T_CHECK(due(&host).poll_wall == planned);
}

static void what_policy_does_not_catch_up_waits_for_its_slot(void)
{
    struct host host = new_host(2 * HOUR, 3600);

    host.schedule.run_missed = false;
    poll(&host);
    boot(&host, 5 * DAY, 0);
    T_CHECK(due(&host).kind == AG_DUE_NOTHING);
    T_CHECK(!due(&host).missed);
    T_CHECK(due(&host).poll_wall % (2 * HOUR) == 3600);
    T_CHECK(due(&host).poll_wall - host.facts.now.wall <= 2 * HOUR);
    wait_for_poll(&host);
}

static void hosts_that_come_back_together_are_spread(void)
{
    int64_t first = INT64_MAX, last = 0;

    for (int64_t slot = 0; slot < 2 * HOUR; slot += 12) {
        struct host host = new_host(2 * HOUR, slot);
        int64_t wait;

        poll(&host);
        boot(&host, DAY, 0);
        wait = due(&host).kind == AG_DUE_POLL ? 0 : due(&host).boot - host.facts.now.boot;
        if (wait < first)
            first = wait;
        if (wait > last)
            last = wait;
    }
    T_CHECK(first == 0);
    T_CHECK(last > 590 && last < 600);
}

static void a_wall_clock_that_jumps_does_no_harm(void)
{
    static const int64_t jumps[] = { 10 * YEAR, -20 * YEAR, HOUR, -HOUR, 3, -3, 10 * YEAR };
    struct host host = new_host(2 * HOUR, 1234);
    int64_t before;
    unsigned count = 0;

    poll(&host);
    before = host.facts.now.boot;
    for (int64_t end = host.facts.now.boot + YEAR; host.facts.now.boot < end; count++) {
        const int64_t half =
            due(&host).boot - host.facts.now.boot > 60 ? (int64_t)(next_random(&host) % 60) : 0;

        pass(&host, half);
        host.facts.now.wall += jumps[count % (sizeof jumps / sizeof jumps[0])];
        wait_for_poll(&host);
        if (host.facts.now.boot - before < HOUR - 60 || host.facts.now.boot - before > 3 * HOUR) {
            printf("# after %u: %lld s\n", count, (long long)(host.facts.now.boot - before));
            T_CHECK(false && "polls are half to one and a half intervals apart");
            return;
        }
        poll(&host);
        before = host.facts.now.boot;
    }
    T_CHECK(count > 8760 / 3 && count < 8760);
}

static void a_clock_that_lost_its_battery_costs_one_poll_a_boot(void)
{
    static const int64_t wrong[] = { -30 * YEAR, 30 * YEAR, -DAY, 40 * YEAR };

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct host host = new_host(2 * HOUR, 100);

        poll(&host);
        boot(&host, 60, wrong[i]);
        wait_for_poll(&host);
        T_CHECK(host.facts.now.boot <= 20 + 600);
        poll(&host);
        T_CHECK(due(&host).boot - host.facts.now.boot > HOUR / 2);
        /* the network tells the true time: nothing is run again for that */
        host.facts.now.wall -= wrong[i];
        T_CHECK(due(&host).kind == AG_DUE_NOTHING);
        T_CHECK(due(&host).boot - host.facts.now.boot > HOUR / 2);
        T_CHECK(due(&host).boot - host.facts.now.boot <= 3 * HOUR);
    }
}

static void a_restart_of_the_agent_changes_nothing(void)
{
    struct host host = new_host(2 * HOUR, 100);
    int64_t planned;

    poll(&host);
    planned = due(&host).boot;
    pass(&host, 600);
    host.facts.up_since = host.facts.now.boot; /* same boot, state read from disk */
    host.facts.now.wall -= YEAR;
    T_CHECK(due(&host).kind == AG_DUE_NOTHING);
    T_CHECK(due(&host).boot - planned <= HOUR && planned - due(&host).boot <= HOUR);
}

static void failures_back_off_with_full_jitter(void)
{
    struct host host = new_host(2 * HOUR, 100);
    int64_t cap = 60, longest = 0, shortest = HOUR;

    for (uint32_t n = 1; n < 40; n++) {
        for (int i = 0; i < 200; i++) {
            const int64_t retry = ag_schedule_retry(&host.schedule, n, next_random(&host));

            T_CHECK(retry >= 1 && retry <= cap);
            if (cap == HOUR && retry > longest)
                longest = retry;
            if (cap == HOUR && retry < shortest)
                shortest = retry;
        }
        cap = cap * 2 < HOUR ? cap * 2 : HOUR;
    }
    T_CHECK(longest > HOUR - 60); /* full jitter: from nothing to the whole */
    T_CHECK(shortest < 60);
}

static void a_failing_poll_comes_again_by_its_back_off_and_then_by_its_slot(void)
{
    struct host host = new_host(2 * HOUR, 100);

    poll(&host);
    wait_for_poll(&host);
    for (uint32_t n = 1; n < 20; n++) {
        const int64_t before = host.facts.now.boot;

        ag_schedule_failed(&host.state, &host.schedule, &host.facts.now, next_random(&host), 0,
                           false);
        T_CHECK(host.state.failures == n);
        wait_for_poll(&host);
        T_CHECK(host.facts.now.boot - before == host.state.retry);
    }
    poll(&host);
    T_CHECK(host.state.failures == 0);
    T_CHECK(due(&host).poll_wall % (2 * HOUR) == 100);
}

static void back_off_survives_a_restart_and_a_boot(void)
{
    struct host host = new_host(2 * HOUR, 100);

    poll(&host);
    ag_schedule_failed(&host.state, &host.schedule, &host.facts.now, 3000, 3000, false);
    T_CHECK(host.state.retry >= 3000);
    boot(&host, 60, 0);
    T_CHECK(due(&host).boot - host.facts.now.boot == host.state.retry - 60);
    boot(&host, 60, -30 * YEAR); /* no telling how long it was: the whole again, at most */
    T_CHECK(due(&host).boot <= host.state.retry);
}

static void what_a_source_asks_for_is_obeyed(void)
{
    struct host host = new_host(2 * HOUR, 100);

    poll(&host);
    for (uint64_t random = 0; random < 200; random++) {
        struct host copy = host;
        const int64_t before = copy.facts.now.boot;

        ag_schedule_failed(&copy.state, &copy.schedule, &copy.facts.now, random, 5 * HOUR, false);
        wait_for_poll(&copy);
        T_CHECK(copy.facts.now.boot - before >= 5 * HOUR);
        T_CHECK(copy.facts.now.boot - before < 5 * HOUR + 60);
    }
    ag_schedule_failed(&host.state, &host.schedule, &host.facts.now, 7, 1000 * YEAR, false);
    T_CHECK(host.state.retry <= 8 * DAY); /* a source cannot switch a host off */
}

static void what_trying_sooner_cannot_mend_waits_for_the_slot(void)
{
    struct host host = new_host(2 * HOUR, 100);

    poll(&host);
    wait_for_poll(&host);
    ag_schedule_failed(&host.state, &host.schedule, &host.facts.now, 1, 0, true);
    T_CHECK(host.state.failures == 1);
    T_CHECK(due(&host).boot - host.facts.now.boot == 2 * HOUR);
}

static void verify_comes_weekly_and_after_the_poll(void)
{
    struct host host = new_host(2 * HOUR, 100);
    int verifies = 0, polls = 0;

    host.schedule.verify = 7 * DAY;
    host.state.verified = host.facts.now;
    while (host.facts.now.wall < START + YEAR) {
        const struct ag_due next = due(&host);

        if (next.kind == AG_DUE_POLL) {
            poll(&host);
            polls++;
        } else if (next.kind == AG_DUE_VERIFY) {
            pass(&host, 120);
            ag_schedule_verified(&host.state, &host.facts.now, true);
            verifies++;
        } else {
            pass(&host, next.boot - host.facts.now.boot);
        }
    }
    T_CHECK(verifies == 52 || verifies == 53);
    T_CHECK(polls >= 365 * 12 && polls <= 365 * 12 + 1);
    /* damage that was not mended is looked at again on the next day */
    ag_schedule_verified(&host.state, &host.facts.now, false);
    host.schedule.interval = 0;
    T_CHECK(due(&host).boot - host.facts.now.boot == DAY);
}

/* The whole fleet is switched on within an hour; counted from the second day on. */
static void ten_thousand_hosts_spread_evenly(void)
{
    static unsigned count[288];
    unsigned lowest = UINT32_MAX, highest = 0, mean = 10000 / 24;

    for (int i = 0; i < 10000; i++) {
        struct host host = new_host(2 * HOUR, 0);

        host.random = (uint64_t)i << 32;
        host.schedule.slot = (int64_t)(next_random(&host) % (uint64_t)(2 * HOUR));
        pass(&host, (int64_t)(next_random(&host) % 3600));
        host.facts.up_since = host.facts.now.boot;
        for (;;) {
            wait_for_poll(&host);
            if (host.facts.now.wall >= START + 2 * DAY)
                break;
            if (host.facts.now.wall >= START + DAY)
                count[(host.facts.now.wall - START - DAY) / 300]++;
            poll(&host);
        }
    }
    for (int i = 0; i < 288; i++) {
        lowest = count[i] < lowest ? count[i] : lowest;
        highest = count[i] > highest ? count[i] : highest;
    }
    printf("# polls in five minutes: mean %u, lowest %u, highest %u\n", mean, lowest, highest);
    T_CHECK(lowest >= mean * 8 / 10);
    T_CHECK(highest <= mean * 12 / 10);
}

int main(void)
{
    (void)setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
    tzset();
    T_RUN(a_year_of_polls_keeps_to_the_slot);
    T_RUN(a_new_host_polls_after_the_initial_delay);
    T_RUN(without_interval_nothing_is_due);
    T_RUN(windows_over_midnight_are_kept_for_a_year_and_when_clocks_change);
    T_RUN(a_window_shorter_than_the_interval_still_gets_its_poll);
    T_RUN(a_window_of_a_whole_day_ends_when_the_next_begins);
    T_RUN(hosts_do_not_rush_in_when_a_window_opens);
    T_RUN(windows_that_never_open_are_no_endless_search);
    T_RUN(a_poll_missed_in_sleep_is_caught_up);
    T_RUN(a_poll_missed_while_switched_off_is_caught_up);
    T_RUN(a_short_absence_misses_nothing);
    T_RUN(what_policy_does_not_catch_up_waits_for_its_slot);
    T_RUN(hosts_that_come_back_together_are_spread);
    T_RUN(a_wall_clock_that_jumps_does_no_harm);
    T_RUN(a_clock_that_lost_its_battery_costs_one_poll_a_boot);
    T_RUN(a_restart_of_the_agent_changes_nothing);
    T_RUN(failures_back_off_with_full_jitter);
    T_RUN(a_failing_poll_comes_again_by_its_back_off_and_then_by_its_slot);
    T_RUN(back_off_survives_a_restart_and_a_boot);
    T_RUN(what_a_source_asks_for_is_obeyed);
    T_RUN(what_trying_sooner_cannot_mend_waits_for_the_slot);
    T_RUN(verify_comes_weekly_and_after_the_poll);
    T_RUN(ten_thousand_hosts_spread_evenly);
    return T_DONE();
}
