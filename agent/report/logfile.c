/* SPDX-License-Identifier: Apache-2.0 */
#include "report/logfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define MODE 0640
#define NAME_MAX_ 64
/* Where rotation fails for good (a folder that may not be changed), the file stops growing here. */
#define WORST 4

void ag_logfile_start(struct ag_logfile *log, const struct ag_disk *disk, int dir, const char *name,
                      uint64_t max_bytes, unsigned keep)
{
    *log = (struct ag_logfile){ .disk = disk,
                                .dir = dir,
                                .name = name,
                                .max_bytes = max_bytes != 0 ? max_bytes : AG_LOG_BYTES,
                                .keep = keep,
                                .fd = -1 };
}

static void shut(struct ag_logfile *log)
{
    if (log->fd >= 0)
        (void)close(log->fd);
    log->fd = -1;
}

/* A process that died, or a disk that filled up, in the middle of a line left one without an end:
 * it gets one, so that what follows can be read. */
static bool mend_last_line(struct ag_logfile *log)
{
    const int fd = log->disk->openat(log->dir, log->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
    struct stat st;
    char last = '\n';

    if (fd < 0)
        return false;
    if (fstat(fd, &st) == 0 && st.st_size > 0 && pread(fd, &last, 1, st.st_size - 1) != 1)
        last = '\n';
    (void)close(fd);
    return last == '\n' || ag_disk_write(log->disk, log->fd, "\n", 1) == 0;
}

static bool open_log(struct ag_logfile *log)
{
    const int flags = O_WRONLY | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
    struct stat st;

    log->fd = log->disk->openat(log->dir, log->name, flags | O_CREAT | O_EXCL, MODE);
    if (log->fd >= 0) {
        if (log->disk->fchmod(log->fd, MODE) == 0) /* whatever the umask */
            return true;
    } else if (errno == EEXIST) {
        log->fd = log->disk->openat(log->dir, log->name, flags, 0);
        if (log->fd >= 0 && fstat(log->fd, &st) == 0 && S_ISREG(st.st_mode) && mend_last_line(log))
            return true;
    }
    shut(log);
    return false;
}

static const char *rotated(char out[NAME_MAX_], const struct ag_logfile *log, unsigned number)
{
    if (number == 0)
        (void)snprintf(out, NAME_MAX_, "%s", log->name);
    else
        (void)snprintf(out, NAME_MAX_, "%s.%u", log->name, number);
    return out;
}

/* From the oldest to the newest, each is renamed into a gap; only the oldest of a full row is
 * replaced. So a process that dies in between has left a gap, which the next rotation fills, and
 * every line is still there. Proven by tests/fault/test_agent_log.c. */
static void shift(struct ag_logfile *log)
{
    char from[NAME_MAX_], to[NAME_MAX_];
    struct stat st;
    unsigned gap = 1;

    while (gap < log->keep &&
           fstatat(log->dir, rotated(to, log, gap), &st, AT_SYMLINK_NOFOLLOW) == 0)
        gap++;
    for (; gap > 0; gap--) {
        if (log->disk->renameat(log->dir, rotated(from, log, gap - 1), log->dir,
                                rotated(to, log, gap)) != 0)
            return;
    }
}

static bool is_full(const struct ag_logfile *log, const struct stat *st, size_t count)
{
    return st->st_size > 0 && (uint64_t)st->st_size + count > log->max_bytes;
}

/* By one process at a time. Who does not get the lock goes on writing to the old file, which the
 * other has only renamed. */
static void rotate(struct ag_logfile *log, size_t count)
{
    struct stat st;

    if (log->disk->flock(log->dir, LOCK_EX | LOCK_NB) != 0)
        return;
    if (fstatat(log->dir, log->name, &st, AT_SYMLINK_NOFOLLOW) == 0 && is_full(log, &st, count)) {
        if (log->keep == 0)
            (void)log->disk->unlinkat(log->dir, log->name, 0);
        else
            shift(log);
    }
    (void)log->disk->flock(log->dir, LOCK_UN);
}

/* Open the file that bears the name now, with room for `count` more bytes. */
static bool ready(struct ag_logfile *log, size_t count)
{
    struct stat mine, named;

    if (log->fd < 0 && !open_log(log))
        return false;
    if (fstat(log->fd, &mine) != 0)
        return false;
    if (is_full(log, &mine, count))
        rotate(log, count);
    if (fstatat(log->dir, log->name, &named, AT_SYMLINK_NOFOLLOW) != 0 ||
        named.st_ino != mine.st_ino || named.st_dev != mine.st_dev) {
        shut(log);
        return open_log(log);
    }
    return (uint64_t)mine.st_size < WORST * log->max_bytes;
}

static bool write_line(struct ag_logfile *log, const char *line)
{
    size_t length = strnlen(line, AG_LOG_LINE - 1);
    char whole[AG_LOG_LINE];
    ssize_t n;

    /* A cut does not go through a character. */
    while (line[length] != '\0' && length > 0 && ((unsigned char)line[length] & 0xc0) == 0x80)
        length--;
    memcpy(whole, line, length);
    whole[length++] = '\n';
    if (!ready(log, length))
        return false;
    do {
        n = log->disk->write(log->fd, whole, length);
    } while (n < 0 && errno == EINTR);
    if (n == (ssize_t)length)
        return true;
    shut(log); /* a torn line is mended when the file is opened again */
    return false;
}

bool ag_logfile_add(struct ag_logfile *log, const char *line)
{
    const bool done = log->dir >= 0 && write_line(log, line);

    if (done)
        log->wrote = true;
    else if (log->dir >= 0)
        log->lost++;
    return done;
}

void ag_logfile_end(struct ag_logfile *log, bool durable)
{
    if (log->fd >= 0 && durable && log->wrote)
        (void)log->disk->fsync(log->fd); /* what it could tell, nobody can act on */
    shut(log);
}
