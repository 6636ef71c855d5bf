/* SPDX-License-Identifier: Apache-2.0 */
#include "report/sequence.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>

#define NAME "sequence"
#define BLOCK 64
#define LAST ((UINT64_C(1) << 53) - 1) /* what JSON readers take exactly */
#define TRIES 50

/* Another process has it for the time of a small write; one that was stopped in there must not stop
 * this one. */
static bool lock(const struct ag_disk *disk, int dir)
{
    const struct timespec pause = { .tv_nsec = 2000000 };

    for (int i = 0; i < TRIES; i++) {
        if (disk->flock(dir, LOCK_EX | LOCK_NB) == 0)
            return true;
        if (errno != EWOULDBLOCK && errno != EINTR)
            return false;
        (void)nanosleep(&pause, NULL);
    }
    return false;
}

/* A file that is missing or damaged begins at the time in milliseconds: above all that was given
 * before, as long as fewer than a thousand events came in a second. One that cannot be read now
 * yields 0: it may be read again, and then be ahead of that. */
static uint64_t read_first(const struct ag_disk *disk, int dir, int64_t now)
{
    const uint64_t anew = now > 0 ? (uint64_t)now * 1000 : 1;
    char *text = NULL, *end;
    uint64_t first;
    size_t count;

    if (ag_disk_read(disk, dir, NAME, 32, &text, &count) != 0)
        return errno == ENOENT || errno == EFBIG ? anew : 0;
    errno = 0;
    first = strtoull(text, &end, 10);
    if (errno != 0 || text[0] < '0' || text[0] > '9' || strcmp(end, "\n") != 0 || first > LAST)
        first = 0;
    free(text);
    return first != 0 ? first : anew;
}

uint64_t ag_sequence_next(struct ag_sequence *sequence, const struct ag_disk *disk, int dir,
                          int64_t now)
{
    uint64_t first;
    char text[32];

    if (sequence->next < sequence->end)
        return sequence->next++;
    if (dir < 0 || !lock(disk, dir))
        return 0;
    first = read_first(disk, dir, now);
    (void)snprintf(text, sizeof text, "%" PRIu64 "\n", first + BLOCK);
    /* Durable before one of them is used. */
    if (first != 0 && first + BLOCK <= LAST &&
        ag_disk_replace(disk, dir, NAME, text, strlen(text), 0640, 1) == 0)
        *sequence = (struct ag_sequence){ first, first + BLOCK };
    (void)disk->flock(dir, LOCK_UN);
    return sequence->next < sequence->end ? sequence->next++ : 0;
}
