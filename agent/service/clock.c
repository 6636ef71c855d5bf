/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "service.h"

static int64_t seconds(clockid_t clock)
{
    struct timespec now = { 0 };

    (void)clock_gettime(clock, &now);
    return (int64_t)now.tv_sec;
}

int64_t ag_monotonic_ms(void)
{
    struct timespec now = { 0 };

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t utc_offset(void *user, int64_t wall)
{
    const time_t when = (time_t)wall;
    struct tm local;

    (void)user;
    return localtime_r(&when, &local) != NULL ? local.tm_gmtoff : 0;
}

static void boot_id(char id[AG_BOOT_ID])
{
    const int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, id, AG_BOOT_ID - 1) : -1;

    id[got > 0 ? got : 0] = '\0';
    id[strcspn(id, "\n ")] = '\0';
    if (id[0] == '\0') /* never equal to another boot's: then the wall clock has to do */
        (void)snprintf(id, AG_BOOT_ID, "none-%lld",
                       (long long)(seconds(CLOCK_REALTIME) - seconds(CLOCK_BOOTTIME)));
    if (fd >= 0)
        (void)close(fd);
}

void ag_facts_now(const struct ag_service *service, struct ag_facts *facts)
{
    *facts = (struct ag_facts){
        .now = { .set = true, .boot = seconds(CLOCK_BOOTTIME), .wall = seconds(CLOCK_REALTIME) },
        .up_since = service->up_since,
        .utc_offset = utc_offset
    };
    boot_id(facts->now.id);
}

uint64_t ag_random(struct ag_service *service)
{
    uint64_t number;

    if (getrandom(&number, sizeof number, GRND_NONBLOCK) == (ssize_t)sizeof number)
        return number;
    service->random = service->random * UINT64_C(6364136223846793005) +
                      (uint64_t)ag_monotonic_ms() + (uint64_t)getpid();
    return service->random >> 11;
}

/* The two clocks differ by the time asleep. */
void ag_clock_look(struct ag_service *service)
{
    const int64_t asleep = seconds(CLOCK_BOOTTIME) - seconds(CLOCK_MONOTONIC);

    if (asleep - service->asleep_s > 2)
        service->up_since = seconds(CLOCK_BOOTTIME);
    service->asleep_s = asleep;
}
