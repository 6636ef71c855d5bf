/* SPDX-License-Identifier: Apache-2.0 */
/* What reports, logs and queues do to the disk, as a table, so that a test can make the nth
 * operation fail. The members behave as their namesakes in POSIX and Linux. */
#ifndef AG_REPORT_DISK_H
#define AG_REPORT_DISK_H

#include <stddef.h>
#include <sys/types.h>

#include <defupd/error.h>

struct ag_disk {
    int (*openat)(int dir, const char *name, int flags, mode_t mode); /* adds O_CLOEXEC */
    ssize_t (*read)(int fd, void *bytes, size_t count);
    ssize_t (*write)(int fd, const void *bytes, size_t count);
    int (*ftruncate)(int fd, off_t length);
    int (*fchmod)(int fd, mode_t mode);
    int (*fsync)(int fd);
    int (*mkdirat)(int dir, const char *name, mode_t mode);
    int (*renameat)(int from_dir, const char *from, int to_dir, const char *to);
    int (*unlinkat)(int dir, const char *name, int flags);
    int (*flock)(int fd, int operation);
};

extern const struct ag_disk ag_disk_posix;

/* Open the folder `name` of the directory `top` (an absolute path); when `make`, create it first
 * with `mode`, whatever the umask. Never creates `top`. The descriptor, or -1 with errno. */
int ag_disk_folder(const struct ag_disk *disk, const char *top, const char *name, int make,
                   mode_t mode);

/* Write all of it. 0, or -1 with errno. */
int ag_disk_write(const struct ag_disk *disk, int fd, const void *bytes, size_t count);

/* Replace a file: written beside as ".NAME.tmp", renamed into place; a reader sees the old or the
 * new one. With `durable`, it has survived a loss of power when this returns. A second writer at
 * the same time fails with EWOULDBLOCK. 0, or -1 with errno: the old file is then as it was. */
int ag_disk_replace(const struct ag_disk *disk, int dir, const char *name, const void *bytes,
                    size_t count, mode_t mode, int durable);

/* Read a whole regular file of at most `max` bytes, never through a symlink. *bytes is yours to
 * free(), with a NUL past the end. 0, or -1 with errno (EFBIG: larger). */
int ag_disk_read(const struct ag_disk *disk, int dir, const char *name, size_t max, char **bytes,
                 size_t *count);

#endif
