/* SPDX-License-Identifier: Apache-2.0 */
/* Every operation on the disk, the clocks and the random source goes through this table, so that a
 * test can make the nth one fail, die there, or forget what was not synced. Production code uses
 * du_sys_posix. The members behave as their namesakes in POSIX and Linux. */
#ifndef DU_SYS_SYS_H
#define DU_SYS_SYS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct du_sys {
    int (*openat)(int dir, const char *name, int flags, mode_t mode); /* adds O_CLOEXEC */
    ssize_t (*read)(int fd, void *bytes, size_t count);
    ssize_t (*pread)(int fd, void *bytes, size_t count, off_t at);
    ssize_t (*write)(int fd, const void *bytes, size_t count);
    int (*ftruncate)(int fd, off_t length);
    int (*fchmod)(int fd, mode_t mode);
    int (*set_mtime)(int fd, int64_t seconds); /* of the last change, no fraction */
    int (*fsync)(int fd);
    int (*syncfs)(int fd); /* ENOSYS where there is none */
    /* Have the kernel begin to write these bytes of a file, so that a later sync finds less to do.
     * Promises nothing and cannot fail. */
    void (*write_early)(int fd, off_t from, off_t count);
    int (*mkdirat)(int dir, const char *name, mode_t mode);
    int (*symlinkat)(const char *target, int dir, const char *name);
    int (*linkat)(int from_dir, const char *from, int to_dir, const char *to, int flags);
    int (*renameat)(int from_dir, const char *from, int to_dir, const char *to);
    int (*unlinkat)(int dir, const char *name, int flags);
    int (*clone)(int from_fd, int to_fd); /* reflink a whole file; EOPNOTSUPP where there is none */
    int (*flock)(int fd, int operation);
    /* A whole-file writer's lock that belongs to the open description and dies with it. 0, or -1
     * with EAGAIN when another has it. */
    int (*lock)(int fd);
    /* Would lock() succeed now? 1 yes, 0 another has it, -1 errno. Takes nothing, disturbs nobody.
     */
    int (*lock_test)(int fd);
    int64_t (*now_s)(void);                   /* wall clock, Unix seconds */
    uint64_t (*monotonic_ms)(void);           /* for time-outs; stops in suspend */
    int (*random)(void *bytes, size_t count); /* cryptographic; 0 or -1 with errno */
};

extern const struct du_sys du_sys_posix;

#endif
