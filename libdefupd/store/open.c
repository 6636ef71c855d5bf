/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store_priv.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* What stands in a store ends up in an engine: whoever can change the folder rules the host's
 * definitions. Anybody may look at root's. Readers do without the check (du_store_open_reader()):
 * they trust the folder that their program was built or told to read. */
static defupd_code check_owner(const struct du_store *store, bool writing, defupd_error *err)
{
    const uid_t me = geteuid();
    struct stat st;

    if (fstat(store->dir, &st) != 0)
        return DU_FAIL_IO(err, "look at %s", store->path);
    if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return DU_FAIL(err, DEFUPD_E_STORE_OWNER,
                       "%s may be changed by others (mode %04o): only its owner may write to it",
                       store->path, (unsigned)st.st_mode & 07777);
    if (me != 0 && st.st_uid != me && (writing || st.st_uid != 0))
        return DU_FAIL(err, DEFUPD_E_STORE_OWNER,
                       "%s belongs to user %lu, this is user %lu: only they and root may %s it%s",
                       store->path, (unsigned long)st.st_uid, (unsigned long)me,
                       writing ? "change" : "read",
                       writing ? "" : ", while everybody may read a store of root's");
    return DEFUPD_OK;
}

static defupd_code take_path(struct du_store *store, const char *state_dir, defupd_error *err)
{
    size_t len = strlen(state_dir);

    if (state_dir[0] != '/')
        return DU_FAIL(err, DEFUPD_E_INVALID, "state directory '%s' is not an absolute path",
                       state_dir);
    while (len > 0 && state_dir[len - 1] == '/')
        len--;
    if (len == 0)
        return DU_FAIL(err, DEFUPD_E_INVALID, "state directory '%s' cannot be the root", state_dir);
    store->path = strndup(state_dir, len);
    if (store->path == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a path");
    return DEFUPD_OK;
}

static defupd_code open_there(struct du_store *store, defupd_error *err)
{
    /* The state directory itself may be a link: the operator named it. Nothing below may. */
    store->dir = store->sys->openat(AT_FDCWD, store->path, O_RDONLY | O_DIRECTORY, 0);
    if (store->dir < 0 && errno != ENOENT)
        return DU_FAIL_IO(err, "open state directory %s", store->path);
    return DEFUPD_OK;
}

defupd_code du_store_open_reader(struct du_store *store, const char *state_dir,
                                 const struct du_sys *sys, defupd_error *err)
{
    defupd_code rc;

    *store = (struct du_store){ .sys = sys, .dir = -1, .lock = -1 };
    rc = take_path(store, state_dir, err);
    if (rc == DEFUPD_OK)
        rc = open_there(store, err);
    if (rc != DEFUPD_OK)
        du_store_close(store);
    return rc;
}

defupd_code du_store_open(struct du_store *store, const char *state_dir, const struct du_sys *sys,
                          defupd_error *err)
{
    defupd_code rc = du_store_open_reader(store, state_dir, sys, err);

    if (rc == DEFUPD_OK && store->dir >= 0)
        rc = check_owner(store, false, err);
    if (rc != DEFUPD_OK)
        du_store_close(store);
    return rc;
}

void du_store_close(struct du_store *store)
{
    du_store_unlock(store);
    du_fd_close(&store->dir);
    free(store->path);
    store->path = NULL;
}

/* The new directory's own entry. Where the parent may be entered but not read, there is nothing to
 * sync through; the directory's own fsync has to do. */
static defupd_code sync_parent(const struct du_store *store, defupd_error *err)
{
    const char *slash = strrchr(store->path, '/');
    DU_AUTO_FREE char *parent = strndup(store->path, (size_t)(slash - store->path));
    DU_AUTO_FD fd = -1;

    if (parent == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a path");
    fd = store->sys->openat(AT_FDCWD, parent[0] != '\0' ? parent : "/", O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return errno == EACCES ? DEFUPD_OK : DU_FAIL_IO(err, "open the parent of %s", store->path);
    return du_dir_sync(store->sys, fd, store->path, err);
}

defupd_code du_store_make(struct du_store *store, defupd_error *err)
{
    const struct du_sys *sys = store->sys;
    bool made = false;

    /* Opened anew: the folder of this handle may have been removed or replaced meanwhile. */
    du_fd_close(&store->dir);
    DU_TRY(open_there(store, err));
    if (store->dir < 0) {
        made = sys->mkdirat(AT_FDCWD, store->path, 0755) == 0;
        if (!made && errno != EEXIST) {
            const int why = errno;
            return du_err_set(err,
                              du_err_io_code(why) == DEFUPD_E_NO_SPACE ? DEFUPD_E_NO_SPACE
                                                                       : DEFUPD_E_CANNOT_CREATE,
                              why, DU_HERE, "create state directory %s", store->path);
        }
        DU_TRY(open_there(store, err));
        if (store->dir < 0)
            return DU_FAIL(err, DEFUPD_E_CANNOT_CREATE, "state directory %s does not stay",
                           store->path);
    }
    DU_TRY(check_owner(store, true, err));
    if (made && sys->fchmod(store->dir, 0755) != 0)
        return DU_FAIL_IO(err, "set the mode of %s", store->path);
    /* The lock file is made after this, so where it stands the directory's entry is durable. */
    if (faccessat(store->dir, "lock", F_OK, AT_SYMLINK_NOFOLLOW) != 0)
        DU_TRY(sync_parent(store, err));
    return DEFUPD_OK;
}

defupd_code du_store_sub(const struct du_store *store, const char *name, int *fd, defupd_error *err)
{
    if (store->dir < 0) {
        errno = ENOENT;
        return DU_FAIL_IO(err, "open %s/%s", store->path, name);
    }
    return du_dir_open(store->sys, store->dir, name, false, 0, fd, err);
}

defupd_code du_store_trust_dir(const struct du_store *store, int *fd, defupd_error *err)
{
    return du_store_sub(store, "trust", fd, err);
}

static defupd_code write_own(const struct du_store *store, const char *own, const void *bytes,
                             size_t count, mode_t mode, defupd_error *err)
{
    const struct du_sys *sys = store->sys;
    DU_AUTO_FD fd = sys->openat(store->dir, own, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode);

    if (fd < 0)
        return DU_FAIL_IO(err, "create %s/%s", store->path, own);
    if (sys->fchmod(fd, mode) != 0)
        return DU_FAIL_IO(err, "set the mode of %s", own);
    DU_TRY(du_write_all(sys, fd, bytes, count, own, err));
    if (sys->fsync(fd) != 0)
        return DU_FAIL_IO(err, "sync %s", own);
    return DEFUPD_OK;
}

defupd_code du_store_make_way(const struct du_sys *sys, int dir, const char *name,
                              bool only_folders, defupd_error *err)
{
    struct stat st;

    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
        (only_folders ? !S_ISDIR(st.st_mode) : S_ISREG(st.st_mode)))
        return DEFUPD_OK;
    return du_tree_remove(sys, dir, name, NULL, err);
}

defupd_code du_store_replace(const struct du_store *store, int dir, const char *name,
                             const void *bytes, size_t count, mode_t mode, defupd_error *err)
{
    char tmp[DU_PART_MAX + 1];

    DU_TRY(du_store_make_way(store->sys, dir, name, true, err));
    (void)snprintf(tmp, sizeof tmp, "%s.tmp", name);
    DU_TRY(du_store_make_way(store->sys, dir, tmp, false, err));
    return du_file_replace(store->sys, dir, name, bytes, count, mode, err);
}

defupd_code du_store_remove(const struct du_store *store, int dir, const char *name,
                            defupd_error *err)
{
    DU_TRY(du_store_make_way(store->sys, dir, name, true, err));
    return du_file_remove(store->sys, dir, name, err);
}

/* Not du_file_replace(): its NAME.tmp would be shared, and one process could rename it into place
 * while another has just emptied it. */
defupd_code du_store_replace_shared(const struct du_store *store, const char *name,
                                    const void *bytes, size_t count, mode_t mode, defupd_error *err)
{
    const struct du_sys *sys = store->sys;
    unsigned char random[4];
    char hex[2 * sizeof random + 1];
    char own[DU_PART_MAX + 1];
    defupd_code rc;

    if (store->dir < 0) {
        errno = ENOENT;
        return DU_FAIL_IO(err, "write %s/%s", store->path, name);
    }
    if (sys->random(random, sizeof random) != 0)
        return DU_FAIL_IO(err, "get random bytes");
    du_hex(hex, random, sizeof random);
    (void)snprintf(own, sizeof own, "%s.%s.tmp", name, hex);
    rc = write_own(store, own, bytes, count, mode, err);
    if (rc == DEFUPD_OK && sys->renameat(store->dir, own, store->dir, name) != 0)
        rc = DU_FAIL_IO(err, "rename %s to %s", own, name);
    if (rc != DEFUPD_OK) {
        (void)sys->unlinkat(store->dir, own, 0);
        return rc;
    }
    return du_dir_sync(sys, store->dir, name, err);
}

void du_store_discard(const struct du_store *store, int dir, const char *name)
{
    defupd_error ignored;

    if (du_tree_remove(store->sys, dir, name, NULL, &ignored) != DEFUPD_OK)
        return;
}

/* Names with a dot are not the store's own (lock, current, trust, ...); "x.tmp" are leftovers. */
static bool is_report_name(const char *name)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789.-";
    const size_t len = strlen(name);

    return len > 2 && len <= 64 && strspn(name, allowed) == len && name[0] != '.' &&
           name[len - 1] != '.' && strchr(name, '.') != NULL && strstr(name, ".tmp") == NULL;
}

defupd_code du_store_write_report(struct du_store *store, const char *name, const void *bytes,
                                  size_t count, defupd_error *err)
{
    if (!is_report_name(name))
        return DU_FAIL(err, DEFUPD_E_INVALID, "'%.80s' is not a report's name", name);
    return du_store_replace_shared(store, name, bytes, count, 0644, err);
}
