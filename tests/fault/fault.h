/* SPDX-License-Identifier: Apache-2.0 */
/* A machine whose nth operation fails. Loop until a round finishes untouched:
 *
 *     for (struct fault f = fault_start(FAULT_ONCE, EIO); fault_round(&f);) {
 *         prepare; act through fault_sys; fault_stop(&f); check;
 *     }
 *
 * Counts every member of the table that can fail, reading ones too.
 */
#ifndef FAULT_H
#define FAULT_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <unistd.h>

#include "sys/sys.h"

enum fault_mode { FAULT_ONCE, FAULT_FROM_THEN_ON };

struct fault {
    enum fault_mode mode;
    int error;   /* errno of the failure */
    int fail_at; /* 1-based index of the operation that fails */
    int count;   /* operations seen in this round */
    bool hit, armed;
};

static struct fault *fault_active; /* tests are single-threaded */

static inline struct fault fault_start(enum fault_mode mode, int error)
{
    return (struct fault){ .mode = mode, .error = error, .hit = true };
}

static inline bool fault_round(struct fault *f)
{
    if (!f->hit) {
        fault_active = NULL; /* it is the loop's, and gone when the next test makes a call */
        return false;        /* the last round met no fault: every operation was covered */
    }
    f->fail_at++;
    f->count = 0;
    f->hit = false;
    f->armed = true;
    fault_active = f;
    return true;
}

static inline void fault_stop(struct fault *f)
{
    f->armed = false;
}

static inline bool fault_here(void)
{
    struct fault *f = fault_active;

    if (f == NULL || !f->armed)
        return false;
    f->count++;
    if (f->count == f->fail_at || (f->mode == FAULT_FROM_THEN_ON && f->count > f->fail_at)) {
        f->hit = true;
        errno = f->error;
        return true;
    }
    return false;
}

#define FAULT_CALL(member, ...) (fault_here() ? -1 : du_sys_posix.member(__VA_ARGS__))

static inline int fault_openat(int d, const char *n, int f, mode_t m)
{
    return FAULT_CALL(openat, d, n, f, m);
}
static inline ssize_t fault_read(int fd, void *b, size_t n)
{
    return FAULT_CALL(read, fd, b, n);
}
static inline ssize_t fault_pread(int fd, void *b, size_t n, off_t at)
{
    return FAULT_CALL(pread, fd, b, n, at);
}
static inline ssize_t fault_write(int fd, const void *b, size_t n)
{
    return FAULT_CALL(write, fd, b, n);
}
static inline int fault_ftruncate(int fd, off_t n)
{
    return FAULT_CALL(ftruncate, fd, n);
}
static inline int fault_fchmod(int fd, mode_t m)
{
    return FAULT_CALL(fchmod, fd, m);
}
static inline int fault_set_mtime(int fd, int64_t s)
{
    return FAULT_CALL(set_mtime, fd, s);
}
static inline int fault_fsync(int fd)
{
    return FAULT_CALL(fsync, fd);
}
static inline int fault_syncfs(int fd)
{
    return FAULT_CALL(syncfs, fd);
}
static inline void fault_write_early(int fd, off_t from, off_t n)
{
    du_sys_posix.write_early(fd, from, n);
}
static inline int fault_mkdirat(int d, const char *n, mode_t m)
{
    return FAULT_CALL(mkdirat, d, n, m);
}
static inline int fault_symlinkat(const char *t, int d, const char *n)
{
    return FAULT_CALL(symlinkat, t, d, n);
}
static inline int fault_linkat(int d, const char *a, int e, const char *b, int f)
{
    return FAULT_CALL(linkat, d, a, e, b, f);
}
static inline int fault_renameat(int d, const char *a, int e, const char *b)
{
    return FAULT_CALL(renameat, d, a, e, b);
}
static inline int fault_unlinkat(int d, const char *n, int f)
{
    return FAULT_CALL(unlinkat, d, n, f);
}
static inline int fault_clone(int a, int b)
{
    return FAULT_CALL(clone, a, b);
}
static inline int fault_flock(int fd, int op)
{
    return FAULT_CALL(flock, fd, op);
}
static inline int fault_lock(int fd)
{
    return FAULT_CALL(lock, fd);
}
static inline int fault_lock_test(int fd)
{
    return FAULT_CALL(lock_test, fd);
}
static inline int fault_random(void *b, size_t n)
{
    return FAULT_CALL(random, b, n);
}
static inline int64_t fault_now_s(void)
{
    return du_sys_posix.now_s();
}
static inline uint64_t fault_monotonic_ms(void)
{
    return du_sys_posix.monotonic_ms();
}

static const struct du_sys fault_sys = {
    .openat = fault_openat,
    .read = fault_read,
    .pread = fault_pread,
    .write = fault_write,
    .ftruncate = fault_ftruncate,
    .fchmod = fault_fchmod,
    .set_mtime = fault_set_mtime,
    .fsync = fault_fsync,
    .syncfs = fault_syncfs,
    .write_early = fault_write_early,
    .mkdirat = fault_mkdirat,
    .symlinkat = fault_symlinkat,
    .linkat = fault_linkat,
    .renameat = fault_renameat,
    .unlinkat = fault_unlinkat,
    .clone = fault_clone,
    .flock = fault_flock,
    .lock = fault_lock,
    .lock_test = fault_lock_test,
    .now_s = fault_now_s,
    .monotonic_ms = fault_monotonic_ms,
    .random = fault_random,
};

#endif
