/* SPDX-License-Identifier: Apache-2.0 */
/* Mending an installed version in its place. Readers may be at work in it: files come and go by
 * rename and unlink only, never by writing into one. */
#include "store/store_priv.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* Parts without "", "." and "..", each short enough. What is to be removed was found on disk and
 * may break every other rule of a tree. */
static bool stays_below(const char *path)
{
    for (const char *part = path;; part++) {
        const size_t len = strcspn(part, "/");

        if (len == 0 || len > DU_PART_MAX || strncmp(part, ".", len) == 0 ||
            strncmp(part, "..", len) == 0)
            return false;
        part += len;
        if (*part == '\0')
            return true;
    }
}

/* Open the directory that holds the last part of `path` below `root`; *name points into path. With
 * `mend`, what is missing is made and what is no directory is removed on the way, durably. */
static defupd_code open_parent(const struct du_sys *sys, int root, const char *path, bool mend,
                               int *dir, const char **name, defupd_error *err)
{
    DU_AUTO_FD at = sys->openat(root, ".", O_RDONLY | O_DIRECTORY, 0);
    const char *part = path;

    if (at < 0)
        return DU_FAIL_IO(err, "open an installed version");
    for (const char *slash; (slash = strchr(part, '/')) != NULL; part = slash + 1) {
        char step[DU_PART_MAX + 1];
        int next = -1;
        struct stat st;

        memcpy(step, part, (size_t)(slash - part));
        step[slash - part] = '\0';
        if (mend && fstatat(at, step, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(st.st_mode))
            DU_TRY(du_tree_remove(sys, at, step, NULL, err));
        DU_TRY(du_dir_open(sys, at, step, mend, 0755, &next, err));
        du_fd_close(&at);
        at = next;
    }
    *name = part;
    *dir = du_take_fd(&at);
    return DEFUPD_OK;
}

/*
 *   1. the staged file is synced                  nothing has changed
 *   2. what is no file in its place is removed    the file is missing, as it was before
 *   3. renamed over the damaged one               readers see the old or the new content
 *   4. the directory synced                       mended
 */
static defupd_code mend_file(struct du_store *store, const char *component, uint64_t version,
                             int from, const char *path, defupd_error *err)
{
    const struct du_sys *sys = store->sys;
    DU_AUTO_FD component_dir = -1, root = -1, from_dir = -1, dir = -1, file = -1;
    char number[DU_VERSION_TEXT];
    const char *from_name = NULL, *name = NULL;
    struct stat st;

    DU_TRY(open_parent(sys, from, path, false, &from_dir, &from_name, err));
    file = sys->openat(from_dir, from_name, O_RDONLY | O_NOFOLLOW, 0);
    if (file < 0)
        return DU_FAIL_IO(err, "open the staged file");
    if (sys->fsync(file) != 0)
        return DU_FAIL_IO(err, "sync the staged file");

    du_version_name(number, version);
    DU_TRY(du_store_component_dir(store, component, true, &component_dir, err));
    DU_TRY(du_dir_open(sys, component_dir, number, true, 0755, &root, err));
    DU_TRY(open_parent(sys, root, path, true, &dir, &name, err));
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode))
        DU_TRY(du_tree_remove(sys, dir, name, NULL, err));
    if (sys->renameat(from_dir, from_name, dir, name) != 0)
        return DU_FAIL_IO(err, "rename the staged file");
    return du_dir_sync(sys, dir, name, err);
}

defupd_code du_store_repair_file(struct du_store *store, const char *component, uint64_t version,
                                 int from, const char *path, defupd_error *err)
{
    DU_TRY(du_store_need_lock(store, err));
    if (du_path_why_bad(path) != NULL)
        return DU_FAIL(err, DEFUPD_E_BUG, "'%s' is no path of a tree", path);
    if (mend_file(store, component, version, from, path, err) != DEFUPD_OK)
        return du_err_prefix(err, "repairing '%s' of %s %llu", path, component,
                             (unsigned long long)version);
    return DEFUPD_OK;
}

/* Remove the directories above `path` that are empty now, the innermost first. Ones that are gone
 * already are no end: an earlier run may have died between two. */
static defupd_code prune(const struct du_sys *sys, int root, const char *path, defupd_error *err)
{
    char above[DU_PATH_MAX * 4];
    size_t len = strlen(path);

    if (len >= sizeof above)
        return DEFUPD_OK; /* deeper than a tree can be: verify finds the empty folders */
    memcpy(above, path, len + 1);
    for (char *slash; (slash = strrchr(above, '/')) != NULL;) {
        DU_AUTO_FD dir = -1;
        const char *name;

        *slash = '\0';
        if (open_parent(sys, root, above, false, &dir, &name, err) != DEFUPD_OK) {
            if (du_is_missing(err))
                continue;
            return err->code;
        }
        if (sys->unlinkat(dir, name, AT_REMOVEDIR) == 0) {
            DU_TRY(du_dir_sync(sys, dir, name, err));
        } else if (errno != ENOENT) {
            return errno == ENOTEMPTY || errno == EEXIST
                       ? DEFUPD_OK
                       : DU_FAIL_IO(err, "remove directory '%s'", above);
        }
    }
    return DEFUPD_OK;
}

static defupd_code remove_one(const struct du_sys *sys, int root, const char *path,
                              defupd_error *err)
{
    DU_AUTO_FD dir = -1;
    const char *name;

    if (open_parent(sys, root, path, false, &dir, &name, err) != DEFUPD_OK)
        return du_is_missing(err) ? DEFUPD_OK : err->code;
    DU_TRY(du_tree_remove(sys, dir, name, NULL, err));
    return du_dir_sync(sys, dir, name, err);
}

defupd_code du_store_repair_remove(struct du_store *store, const char *component, uint64_t version,
                                   const char *path, defupd_error *err)
{
    DU_AUTO_FD root = -1;

    DU_TRY(du_store_need_lock(store, err));
    if (!stays_below(path))
        return DU_FAIL(err, DEFUPD_E_BUG, "'%s' is not below a version", path);
    DU_TRY(du_store_version_dir(store, component, version, &root, err));
    if (remove_one(store->sys, root, path, err) != DEFUPD_OK ||
        prune(store->sys, root, path, err) != DEFUPD_OK)
        return du_err_prefix(err, "removing '%s' from %s %llu", path, component,
                             (unsigned long long)version);
    return DEFUPD_OK;
}

defupd_code du_store_repair_record(struct du_store *store, const char *component, uint64_t version,
                                   const struct du_index *index, defupd_error *err)
{
    const struct du_sys *sys = store->sys;
    char name[DU_VERSION_TEXT + 6], tmp[DU_VERSION_TEXT + 6 + 4];
    DU_AUTO_FD dir = -1, root = -1;
    defupd_code rc;

    DU_TRY(du_store_need_lock(store, err));
    du_record_name(name, version);
    (void)snprintf(tmp, sizeof tmp, "%s.tmp", name);
    DU_TRY(du_store_version_dir(store, component, version, &root, err));
    DU_TRY(du_store_component_dir(store, component, false, &dir, err));
    DU_TRY(du_store_make_way(sys, dir, name, true, err));
    DU_TRY(du_store_make_way(sys, dir, tmp, false, err));
    rc = du_record_write(store, dir, tmp, component, version, index, root, err);
    if (rc == DEFUPD_OK && sys->renameat(dir, tmp, dir, name) != 0)
        rc = DU_FAIL_IO(err, "rename %s to %s", tmp, name);
    if (rc != DEFUPD_OK) {
        (void)sys->unlinkat(dir, tmp, 0);
        return rc;
    }
    return du_dir_sync(sys, dir, name, err);
}
