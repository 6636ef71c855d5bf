/* SPDX-License-Identifier: Apache-2.0 */
#include "report/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int posix_openat(int dir, const char *name, int flags, mode_t mode)
{
    return openat(dir, name, flags | O_CLOEXEC, mode);
}

const struct ag_disk ag_disk_posix = {
    .openat = posix_openat,
    .read = read,
    .write = write,
    .ftruncate = ftruncate,
    .fchmod = fchmod,
    .fsync = fsync,
    .mkdirat = mkdirat,
    .renameat = renameat,
    .unlinkat = unlinkat,
    .flock = flock,
};

static void close_keeping_errno(int fd)
{
    const int saved = errno;

    (void)close(fd);
    errno = saved;
}

int ag_disk_folder(const struct ag_disk *disk, const char *top, const char *name, int make,
                   mode_t mode)
{
    const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
    int parent, fd;

    parent = disk->openat(AT_FDCWD, top, O_RDONLY | O_DIRECTORY, 0);
    if (parent < 0)
        return -1;
    fd = disk->openat(parent, name, flags, 0);
    if (fd < 0 && errno == ENOENT && make && disk->mkdirat(parent, name, mode) == 0) {
        fd = disk->openat(parent, name, flags, 0);
        if (fd >= 0 && (disk->fchmod(fd, mode) != 0 || disk->fsync(parent) != 0)) {
            close_keeping_errno(fd);
            fd = -1;
        }
    }
    close_keeping_errno(parent);
    return fd;
}

int ag_disk_write(const struct ag_disk *disk, int fd, const void *bytes, size_t count)
{
    const char *from = bytes;

    while (count > 0) {
        const ssize_t n = disk->write(fd, from, count);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            errno = n == 0 ? EIO : errno;
            return -1;
        }
        from += n;
        count -= (size_t)n;
    }
    return 0;
}

/* Open the file beside and own it: of two writers one goes on, and what the other has renamed away
 * meanwhile is not written to. */
static int open_beside(const struct ag_disk *disk, int dir, const char *beside)
{
    struct stat mine, named;

    for (int i = 0; i < 3; i++) {
        const int fd =
            disk->openat(dir, beside, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0600);

        if (fd < 0)
            return -1;
        if (disk->flock(fd, LOCK_EX | LOCK_NB) != 0) {
            close_keeping_errno(fd);
            return -1;
        }
        if (fstat(fd, &mine) == 0 && S_ISREG(mine.st_mode) &&
            fstatat(dir, beside, &named, AT_SYMLINK_NOFOLLOW) == 0 && mine.st_ino == named.st_ino)
            return fd;
        (void)close(fd);
    }
    errno = EWOULDBLOCK;
    return -1;
}

int ag_disk_replace(const struct ag_disk *disk, int dir, const char *name, const void *bytes,
                    size_t count, mode_t mode, int durable)
{
    char beside[300];
    int fd;

    if ((size_t)snprintf(beside, sizeof beside, ".%s.tmp", name) >= sizeof beside) {
        errno = ENAMETOOLONG;
        return -1;
    }
    fd = open_beside(disk, dir, beside);
    if (fd < 0)
        return -1;
    if (disk->ftruncate(fd, 0) != 0 || ag_disk_write(disk, fd, bytes, count) != 0 ||
        disk->fchmod(fd, mode) != 0 || (durable && disk->fsync(fd) != 0) ||
        disk->renameat(dir, beside, dir, name) != 0) {
        const int saved = errno;

        (void)disk->unlinkat(dir, beside, 0);
        (void)close(fd);
        errno = saved;
        return -1;
    }
    (void)close(fd); /* what close could tell, fsync has told */
    return durable ? disk->fsync(dir) : 0;
}

int ag_disk_read(const struct ag_disk *disk, int dir, const char *name, size_t max, char **bytes,
                 size_t *count)
{
    const int fd = disk->openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0);
    struct stat st;
    char *data = NULL;
    size_t used = 0;
    ssize_t n = 1;

    if (fd < 0)
        return -1;
    if (fstat(fd, &st) != 0)
        goto failed;
    errno = S_ISREG(st.st_mode) ? EFBIG : EINVAL;
    if (!S_ISREG(st.st_mode) || (uintmax_t)st.st_size > max)
        goto failed;
    data = malloc((size_t)st.st_size + 1);
    while (data != NULL && n > 0 && used < (size_t)st.st_size) {
        n = disk->read(fd, data + used, (size_t)st.st_size - used);
        if (n < 0 && errno == EINTR)
            n = 1;
        else if (n > 0)
            used += (size_t)n;
    }
    if (data == NULL || n < 0)
        goto failed;
    (void)close(fd);
    data[used] = '\0';
    *bytes = data;
    *count = used;
    return 0;
failed:
    close_keeping_errno(fd);
    free(data);
    return -1;
}
