/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/name.h"

#define REMOVE_DEPTH_MAX 600 /* a path of 1024 bytes has at most 512 parts */

defupd_code du_write_all(const struct du_sys *sys, int fd, const void *bytes, size_t count,
                         const char *what, defupd_error *err)
{
    const unsigned char *at = bytes;

    while (count > 0) {
        const ssize_t wrote = sys->write(fd, at, count);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return DU_FAIL_IO(err, "write %s", what);
        at += wrote;
        count -= (size_t)wrote;
    }
    return DEFUPD_OK;
}

static defupd_code write_beside(const struct du_sys *sys, int dir, const char *tmp,
                                const void *bytes, size_t count, mode_t mode, int64_t mtime_s,
                                defupd_error *err)
{
    DU_AUTO_FD fd = sys->openat(dir, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, mode);

    if (fd < 0)
        return DU_FAIL_IO(err, "create %s", tmp);
    if (sys->fchmod(fd, mode) != 0)
        return DU_FAIL_IO(err, "set the mode of %s", tmp);
    DU_TRY(du_write_all(sys, fd, bytes, count, tmp, err));
    if (mtime_s >= 0 && sys->set_mtime(fd, mtime_s) != 0)
        return DU_FAIL_IO(err, "set the time of %s", tmp);
    if (sys->fsync(fd) != 0)
        return DU_FAIL_IO(err, "sync %s", tmp);
    return DEFUPD_OK;
}

defupd_code du_file_replace_dated(const struct du_sys *sys, int dir, const char *name,
                                  const void *bytes, size_t count, mode_t mode, int64_t mtime_s,
                                  defupd_error *err)
{
    char tmp[DU_PART_MAX + 1];
    defupd_code rc;

    if ((size_t)snprintf(tmp, sizeof tmp, "%s.tmp", name) >= sizeof tmp)
        return DU_FAIL(err, DEFUPD_E_INVALID, "file name '%.64s...' is too long", name);
    rc = write_beside(sys, dir, tmp, bytes, count, mode, mtime_s, err);
    if (rc == DEFUPD_OK && sys->renameat(dir, tmp, dir, name) != 0)
        rc = DU_FAIL_IO(err, "rename %s to %s", tmp, name);
    if (rc != DEFUPD_OK) {
        (void)sys->unlinkat(dir, tmp, 0);
        return rc;
    }
    if (sys->fsync(dir) != 0)
        return DU_FAIL_IO(err, "make %s durable", name);
    return DEFUPD_OK;
}

defupd_code du_file_replace(const struct du_sys *sys, int dir, const char *name, const void *bytes,
                            size_t count, mode_t mode, defupd_error *err)
{
    return du_file_replace_dated(sys, dir, name, bytes, count, mode, -1, err);
}

defupd_code du_file_read(const struct du_sys *sys, int dir, const char *name, struct du_buf *buf,
                         defupd_error *err)
{
    DU_AUTO_FD fd = sys->openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
    struct stat st;

    if (fd < 0)
        return DU_FAIL_IO(err, "open %s", name);
    if (fstat(fd, &st) != 0)
        return DU_FAIL_IO(err, "look at %s", name);
    if (!S_ISREG(st.st_mode))
        return DU_FAIL(err, DEFUPD_E_IO, "%s is not a regular file", name);
    du_buf_clear(buf);
    while (true) {
        unsigned char chunk[8192];
        const ssize_t got = sys->read(fd, chunk, sizeof chunk);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return DU_FAIL_IO(err, "read %s", name);
        if (got == 0)
            return DEFUPD_OK;
        if (du_buf_add(buf, chunk, (size_t)got, err) != DEFUPD_OK)
            return du_err_prefix(err, "read %s", name);
    }
}

defupd_code du_file_remove(const struct du_sys *sys, int dir, const char *name, defupd_error *err)
{
    if (sys->unlinkat(dir, name, 0) != 0) {
        if (errno == ENOENT)
            return DEFUPD_OK;
        return DU_FAIL_IO(err, "remove %s", name);
    }
    return du_dir_sync(sys, dir, name, err);
}

defupd_code du_dir_open(const struct du_sys *sys, int dir, const char *name, bool make, mode_t mode,
                        int *fd, defupd_error *err)
{
    const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
    DU_AUTO_FD opened = sys->openat(dir, name, flags, 0);

    if (opened < 0 && errno == ENOENT && make) {
        if (sys->mkdirat(dir, name, mode) != 0 && errno != EEXIST)
            return DU_FAIL_IO(err, "create directory %s", name);
        opened = sys->openat(dir, name, flags, 0);
        if (opened < 0)
            return DU_FAIL_IO(err, "open directory %s", name);
        if (sys->fchmod(opened, mode) != 0)
            return DU_FAIL_IO(err, "set the mode of %s", name);
        DU_TRY(du_dir_sync(sys, dir, name, err));
    }
    if (opened < 0)
        return DU_FAIL_IO(err, "open directory %s", name);
    *fd = du_take_fd(&opened);
    return DEFUPD_OK;
}

defupd_code du_dir_sync(const struct du_sys *sys, int dir, const char *what, defupd_error *err)
{
    if (sys->fsync(dir) != 0)
        return DU_FAIL_IO(err, "make %s durable", what);
    return DEFUPD_OK;
}

static defupd_code remove_below(const struct du_sys *sys, int dir, const char *name,
                                uint64_t *freed, unsigned depth, defupd_error *err)
{
    struct stat st;

    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? DEFUPD_OK : DU_FAIL_IO(err, "look at %s", name);
    if (!S_ISDIR(st.st_mode)) {
        if (sys->unlinkat(dir, name, 0) != 0 && errno != ENOENT)
            return DU_FAIL_IO(err, "remove %s", name);
        if (freed != NULL && S_ISREG(st.st_mode) && st.st_nlink == 1)
            *freed += (uint64_t)st.st_size;
        return DEFUPD_OK;
    }
    if (depth == 0)
        return DU_FAIL(err, DEFUPD_E_IO, "remove %s: nested too deep", name);
    {
        DU_AUTO_FD sub = -1;
        DU_AUTO_NAMES names = { 0 };

        DU_TRY(du_dir_open(sys, dir, name, false, 0, &sub, err));
        DU_TRY(du_dir_names(sys, sub, &names, err));
        for (size_t i = 0; i < names.count; i++)
            DU_TRY(remove_below(sys, sub, names.item[i], freed, depth - 1, err));
    }
    if (sys->unlinkat(dir, name, AT_REMOVEDIR) != 0 && errno != ENOENT)
        return DU_FAIL_IO(err, "remove directory %s", name);
    return DEFUPD_OK;
}

defupd_code du_tree_remove(const struct du_sys *sys, int dir, const char *name, uint64_t *freed,
                           defupd_error *err)
{
    return remove_below(sys, dir, name, freed, REMOVE_DEPTH_MAX, err);
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static defupd_code names_add(struct du_names *names, size_t *cap, const char *name,
                             defupd_error *err)
{
    if (names->count == *cap) {
        const size_t more = *cap == 0 ? 32 : *cap * 2;
        char **item = realloc(names->item, more * sizeof *item);
        if (item == NULL)
            return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a directory's names");
        names->item = item;
        *cap = more;
    }
    names->item[names->count] = strdup(name);
    if (names->item[names->count] == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a directory's names");
    names->count++;
    return DEFUPD_OK;
}

defupd_code du_dir_names(const struct du_sys *sys, int dir, struct du_names *names,
                         defupd_error *err)
{
    DU_AUTO_NAMES found = { 0 };
    defupd_code rc = DEFUPD_OK;
    size_t cap = 0;
    /* A descriptor of its own: fdopendir() takes it over and moves its position. */
    const int fd = sys->openat(dir, ".", O_RDONLY | O_DIRECTORY, 0);
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);

    if (stream == NULL) {
        rc = DU_FAIL_IO(err, "list a directory");
        if (fd >= 0)
            (void)close(fd);
        return rc;
    }
    while (rc == DEFUPD_OK) {
        const struct dirent *entry;

        errno = 0;
        entry = readdir(stream);
        if (entry == NULL) {
            if (errno != 0)
                rc = DU_FAIL_IO(err, "list a directory");
            break;
        }
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            rc = names_add(&found, &cap, entry->d_name, err);
    }
    (void)closedir(stream);
    DU_TRY(rc);
    if (found.count > 0)
        qsort(found.item, found.count, sizeof *found.item, by_bytes);
    *names = found;
    found = (struct du_names){ 0 };
    return DEFUPD_OK;
}

void du_names_free(struct du_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->item[i]);
    free(names->item);
    *names = (struct du_names){ 0 };
}
