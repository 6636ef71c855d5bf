/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#ifdef __linux__
#include <linux/fs.h>
#endif

static int posix_openat(int dir, const char *name, int flags, mode_t mode)
{
    return openat(dir, name, flags | O_CLOEXEC, mode);
}

static int posix_set_mtime(int fd, int64_t seconds)
{
    const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = (time_t)seconds } };

    return futimens(fd, times);
}

static int posix_syncfs(int fd)
{
#ifdef __linux__
    return syncfs(fd);
#else
    (void)fd;
    errno = ENOSYS;
    return -1;
#endif
}

static void posix_write_early(int fd, off_t from, off_t count)
{
#ifdef __linux__
    const int saved = errno;

    (void)sync_file_range(fd, from, count, SYNC_FILE_RANGE_WRITE);
    errno = saved;
#else
    (void)fd;
    (void)from;
    (void)count;
#endif
}

static int posix_clone(int from_fd, int to_fd)
{
#ifdef FICLONE
    return ioctl(to_fd, FICLONE, from_fd);
#else
    (void)from_fd;
    (void)to_fd;
    errno = EOPNOTSUPP;
    return -1;
#endif
}

static int posix_flock(int fd, int operation)
{
    return flock(fd, operation);
}

#ifdef F_OFD_SETLK
static int posix_lock(int fd)
{
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    const int rc = fcntl(fd, F_OFD_SETLK, &lock);

    if (rc != 0 && errno == EACCES)
        errno = EAGAIN;
    return rc;
}

static int posix_lock_test(int fd)
{
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

    if (fcntl(fd, F_OFD_GETLK, &lock) != 0)
        return -1;
    return lock.l_type == F_UNLCK;
}
#else
static int posix_lock(int fd)
{
    const int rc = flock(fd, LOCK_EX | LOCK_NB);

    if (rc != 0 && errno == EWOULDBLOCK)
        errno = EAGAIN;
    return rc;
}

static int posix_lock_test(int fd)
{
    if (flock(fd, LOCK_SH | LOCK_NB) != 0)
        return errno == EWOULDBLOCK ? 0 : -1;
    (void)flock(fd, LOCK_UN);
    return 1;
}
#endif

static int64_t posix_now_s(void)
{
    return (int64_t)time(NULL);
}

static uint64_t posix_monotonic_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int posix_random(void *bytes, size_t count)
{
    unsigned char *at = bytes;

    while (count > 0) {
        const ssize_t got = getrandom(at, count, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        at += got;
        count -= (size_t)got;
    }
    return 0;
}

const struct du_sys du_sys_posix = {
    .openat = posix_openat,
    .read = read,
    .pread = pread,
    .write = write,
    .ftruncate = ftruncate,
    .fchmod = fchmod,
    .set_mtime = posix_set_mtime,
    .fsync = fsync,
    .syncfs = posix_syncfs,
    .write_early = posix_write_early,
    .mkdirat = mkdirat,
    .symlinkat = symlinkat,
    .linkat = linkat,
    .renameat = renameat,
    .unlinkat = unlinkat,
    .clone = posix_clone,
    .flock = posix_flock,
    .lock = posix_lock,
    .lock_test = posix_lock_test,
    .now_s = posix_now_s,
    .monotonic_ms = posix_monotonic_ms,
    .random = posix_random,
};
