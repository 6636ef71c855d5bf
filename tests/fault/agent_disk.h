/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's disk (agent/report/disk.h) whose nth operation fails, in the loop of fault.h. With
 * `fault_short`, a write that fails has written half of what it was given. */
#ifndef AGENT_DISK_H
#define AGENT_DISK_H

#include "fault.h"
#include "report/disk.h"

static bool fault_short;

#define DISK_CALL(member, ...) (fault_here() ? -1 : ag_disk_posix.member(__VA_ARGS__))

static inline int disk_openat(int d, const char *n, int f, mode_t m)
{
    return DISK_CALL(openat, d, n, f, m);
}
static inline ssize_t disk_read(int fd, void *b, size_t n)
{
    return DISK_CALL(read, fd, b, n);
}
static inline ssize_t disk_write(int fd, const void *b, size_t n)
{
    if (!fault_here())
        return ag_disk_posix.write(fd, b, n);
    return fault_short && n > 1 ? ag_disk_posix.write(fd, b, n / 2) : -1;
}
static inline int disk_ftruncate(int fd, off_t n)
{
    return DISK_CALL(ftruncate, fd, n);
}
static inline int disk_fchmod(int fd, mode_t m)
{
    return DISK_CALL(fchmod, fd, m);
}
static inline int disk_fsync(int fd)
{
    return DISK_CALL(fsync, fd);
}
static inline int disk_mkdirat(int d, const char *n, mode_t m)
{
    return DISK_CALL(mkdirat, d, n, m);
}
static inline int disk_renameat(int d, const char *a, int e, const char *b)
{
    return DISK_CALL(renameat, d, a, e, b);
}
static inline int disk_unlinkat(int d, const char *n, int f)
{
    return DISK_CALL(unlinkat, d, n, f);
}
static inline int disk_flock(int fd, int op)
{
    return DISK_CALL(flock, fd, op);
}

static const struct ag_disk fault_disk = {
    .openat = disk_openat,
    .read = disk_read,
    .write = disk_write,
    .ftruncate = disk_ftruncate,
    .fchmod = disk_fchmod,
    .fsync = disk_fsync,
    .mkdirat = disk_mkdirat,
    .renameat = disk_renameat,
    .unlinkat = disk_unlinkat,
    .flock = disk_flock,
};

#endif
