/* SPDX-License-Identifier: Apache-2.0 */
/* Building a tree below a directory that only we write to. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/scope.h"
#include "sys/disk.h"
#include "tree/tree.h"

void du_place_init(struct du_place *place, const struct du_sys *sys, int root)
{
    place->sys = sys;
    place->root = root;
    place->dir = -1;
    place->no_clone = false;
    place->dir_path[0] = '\0';
}

void du_place_end(struct du_place *place)
{
    du_fd_close(&place->dir);
}

/* In a directory that was empty at first and is ours alone, a name that is taken was taken by the
 * tree itself. */
static defupd_code failed(defupd_error *err, const char *what, const char *path)
{
    if (errno == EEXIST || errno == ENOTDIR || errno == EISDIR || errno == ELOOP)
        return DU_FAIL(err, DEFUPD_E_TREE_FORBIDDEN,
                       "'%s' is there twice, or cannot be both file and directory", path);
    return DU_FAIL_IO(err, "%s '%s'", what, path);
}

/* Open one directory below `dir`, making it when asked. No sync: the whole tree is synced when it
 * is complete. */
static defupd_code step(const struct du_place *place, int dir, const char *name, bool make,
                        int *out, defupd_error *err)
{
    const struct du_sys *sys = place->sys;
    const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
    DU_AUTO_FD fd = sys->openat(dir, name, flags, 0);

    if (fd < 0 && errno == ENOENT && make) {
        if (sys->mkdirat(dir, name, 0755) != 0)
            return DU_FAIL_IO(err, "create directory '%s'", name);
        fd = sys->openat(dir, name, flags, 0);
        if (fd >= 0 && sys->fchmod(fd, 0755) != 0)
            return DU_FAIL_IO(err, "set the mode of '%s'", name);
    }
    if (fd < 0)
        return failed(err, "open directory", name);
    *out = du_take_fd(&fd);
    return DEFUPD_OK;
}

/* Somewhere below the directory that is open? Files come in the order of their paths. */
static bool is_below(const struct du_place *place, const char *path)
{
    const size_t len = strlen(place->dir_path);

    return place->dir >= 0 && strncmp(place->dir_path, path, len) == 0 && path[len] == '/';
}

defupd_code du_place_parent(struct du_place *place, const char *path, bool make, int *dir,
                            const char **name, defupd_error *err)
{
    const char *slash = strrchr(path, '/');
    const size_t len = slash != NULL ? (size_t)(slash - path) : 0;
    DU_AUTO_FD at = -1;
    size_t from = 0;
    int above = place->root;

    *name = slash != NULL ? slash + 1 : path;
    if (len == 0) {
        *dir = place->root;
        return DEFUPD_OK;
    }
    if (place->dir >= 0 && strlen(place->dir_path) == len &&
        memcmp(place->dir_path, path, len) == 0) {
        *dir = place->dir;
        return DEFUPD_OK;
    }
    if (is_below(place, path)) {
        from = strlen(place->dir_path) + 1;
        above = place->dir;
    }
    while (from < len) {
        const size_t part_len = strcspn(path + from, "/");
        char part[DU_PART_MAX + 1];
        int next = -1;

        if (part_len > DU_PART_MAX)
            return DU_FAIL(err, DEFUPD_E_BUG, "path was not checked");
        memcpy(part, path + from, part_len);
        part[part_len] = '\0';
        if (step(place, at >= 0 ? at : above, part, make, &next, err) != DEFUPD_OK)
            return du_err_prefix(err, "'%s'", path);
        du_fd_close(&at);
        at = next;
        from += part_len + 1;
    }
    du_fd_close(&place->dir);
    place->dir = du_take_fd(&at);
    memcpy(place->dir_path, path, len);
    place->dir_path[len] = '\0';
    *dir = place->dir;
    return DEFUPD_OK;
}

defupd_code du_place_file(struct du_place *place, const char *path, bool exec, int *fd,
                          defupd_error *err)
{
    const mode_t mode = exec ? 0755 : 0644;
    const char *name;
    int dir;

    DU_TRY(du_place_parent(place, path, true, &dir, &name, err));
    DU_AUTO_FD made = place->sys->openat(dir, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
    if (made < 0)
        return failed(err, "create", path);
    if (place->sys->fchmod(made, mode) != 0)
        return DU_FAIL_IO(err, "set the mode of '%s'", path);
    *fd = du_take_fd(&made);
    return DEFUPD_OK;
}

static defupd_code copy(const struct du_sys *sys, int from, int to, const char *path,
                        defupd_error *err)
{
    enum { CHUNK = 128 * 1024 };
    DU_AUTO_FREE unsigned char *chunk = malloc(CHUNK);

    if (chunk == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory to copy '%s'", path);
    while (true) {
        const ssize_t got = sys->read(from, chunk, CHUNK);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return DU_FAIL_IO(err, "read '%s'", path);
        if (got == 0)
            return DEFUPD_OK;
        DU_TRY(du_write_all(sys, to, chunk, (size_t)got, path, err));
    }
}

/* Put a reflink of the open file `from` at dir/name. *done is false when the file system has none,
 * or cannot now: a link or a copy does as well, once the empty file is gone again. */
static defupd_code clone(struct du_place *place, int from, int dir, const char *name, mode_t mode,
                         bool *done, defupd_error *err)
{
    const struct du_sys *sys = place->sys;
    DU_AUTO_FD to = -1;

    *done = false;
    if (place->no_clone)
        return DEFUPD_OK;
    to = sys->openat(dir, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
    if (to < 0)
        return failed(err, "create", name);
    *done = sys->clone(from, to) == 0 && sys->fchmod(to, mode) == 0;
    if (*done)
        return DEFUPD_OK;
    place->no_clone = true;
    if (sys->unlinkat(dir, name, 0) != 0)
        return DU_FAIL_IO(err, "remove '%s'", name);
    return DEFUPD_OK;
}

defupd_code du_place_reuse(struct du_place *place, const char *path, bool exec,
                           struct du_place *from, const char *from_path, bool from_exec,
                           defupd_error *err)
{
    const struct du_sys *sys = place->sys;
    const mode_t mode = exec ? 0755 : 0644;
    const char *from_name, *name;
    int from_dir, dir;
    bool done;

    DU_TRY(du_place_parent(from, from_path, false, &from_dir, &from_name, err));
    DU_TRY(du_place_parent(place, path, true, &dir, &name, err));
    if (place->no_clone && exec == from_exec && sys->linkat(from_dir, from_name, dir, name, 0) == 0)
        return DEFUPD_OK;

    DU_AUTO_FD source = sys->openat(from_dir, from_name, O_RDONLY | O_NOFOLLOW, 0);
    if (source < 0)
        return DU_FAIL_IO(err, "open installed '%s'", from_path);
    DU_TRY(clone(place, source, dir, name, mode, &done, err));
    if (done)
        return DEFUPD_OK;
    if (exec == from_exec && sys->linkat(from_dir, from_name, dir, name, 0) == 0)
        return DEFUPD_OK;

    DU_AUTO_FD to = -1;
    DU_TRY(du_place_file(place, path, exec, &to, err));
    return copy(sys, source, to, path, err);
}
