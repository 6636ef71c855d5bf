/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store_priv.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#define STAGED_MAX (DU_NAME_MAX + 1 + DU_VERSION_TEXT + 6)
#define SYNC_DEPTH_MAX 600 /* a path of 1024 bytes has at most 512 parts */

/* "tetra@1003" and "tetra@1003.index": '@' is in no component's name, so neither is taken for the
 * other or for something else in staging/. */
static void staged_names(char folder[STAGED_MAX], char record[STAGED_MAX], const char *component,
                         uint64_t version)
{
    (void)snprintf(folder, STAGED_MAX, "%s@%llu", component, (unsigned long long)version);
    (void)snprintf(record, STAGED_MAX, "%s@%llu.index", component, (unsigned long long)version);
}

defupd_code du_store_move_away(const struct du_store *store, int dir, const char *name, int staging,
                               defupd_error *err)
{
    struct stat st;

    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? DEFUPD_OK : DU_FAIL_IO(err, "look at %s", name);
    for (unsigned n = 0; n < 1000000; n++) {
        char away[32];

        (void)snprintf(away, sizeof away, "away-%u", n);
        if (fstatat(staging, away, &st, AT_SYMLINK_NOFOLLOW) == 0)
            continue;
        if (store->sys->renameat(dir, name, staging, away) != 0)
            return DU_FAIL_IO(err, "move %s into staging", name);
        return DEFUPD_OK;
    }
    return DU_FAIL(err, DEFUPD_E_IO, "staging is full of leftovers");
}

defupd_code du_store_stage(struct du_store *store, const char *component, uint64_t version, int *fd,
                           defupd_error *err)
{
    char folder[STAGED_MAX], record[STAGED_MAX];
    DU_AUTO_FD staging = -1;

    DU_TRY(du_store_need_lock(store, err));
    if (!du_name_ok(component) || version == 0 || version > DU_VERSION_MAX)
        return DU_FAIL(err, DEFUPD_E_BUG, "'%.64s' %llu is no version", component,
                       (unsigned long long)version);
    staged_names(folder, record, component, version);
    DU_TRY(du_store_sub(store, "staging", &staging, err));
    DU_TRY(du_tree_remove(store->sys, staging, folder, NULL, err));
    DU_TRY(du_tree_remove(store->sys, staging, record, NULL, err));
    return du_dir_open(store->sys, staging, folder, true, 0755, fd, err);
}

void du_store_stage_drop(struct du_store *store, const char *component, uint64_t version)
{
    char folder[STAGED_MAX], record[STAGED_MAX];
    DU_AUTO_FD staging = -1;
    defupd_error ignored;

    staged_names(folder, record, component, version);
    if (store->lock < 0 || du_store_sub(store, "staging", &staging, &ignored) != DEFUPD_OK)
        return;
    du_store_discard(store, staging, folder);
    du_store_discard(store, staging, record);
}

/* Where there is no syncfs(2): each file, then the directory that holds it. */
static defupd_code sync_each(const struct du_sys *sys, int dir, unsigned depth, defupd_error *err)
{
    DU_AUTO_NAMES names = { 0 };

    if (depth == 0)
        return DU_FAIL(err, DEFUPD_E_IO, "staged tree is nested too deep");
    DU_TRY(du_dir_names(sys, dir, &names, err));
    for (size_t i = 0; i < names.count; i++) {
        DU_AUTO_FD fd = sys->openat(dir, names.item[i], O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
        struct stat st;

        if (fd < 0 || fstat(fd, &st) != 0)
            return DU_FAIL_IO(err, "open staged '%s'", names.item[i]);
        if (S_ISDIR(st.st_mode))
            DU_TRY(sync_each(sys, fd, depth - 1, err));
        else if (sys->fsync(fd) != 0)
            return DU_FAIL_IO(err, "sync staged '%s'", names.item[i]);
    }
    return du_dir_sync(sys, dir, "a staged directory", err);
}

static defupd_code sync_tree(const struct du_sys *sys, int root, defupd_error *err)
{
    if (sys->syncfs(root) == 0)
        return DEFUPD_OK;
    /* EPERM: a sandbox that does not know the call. */
    if (errno != ENOSYS && errno != EOPNOTSUPP && errno != EPERM)
        return DU_FAIL_IO(err, "sync the file system of the staged tree");
    return sync_each(sys, root, SYNC_DEPTH_MAX, err);
}

/* Somebody may be reading a version that the current or an earlier generation links. A later one
 * was made and never switched to: nobody can have got there. */
static defupd_code refuse_linked(const struct du_store *store, const char *component,
                                 uint64_t version, defupd_error *err)
{
    DU_AUTO_FREE uint64_t *number = NULL;
    uint64_t current;
    size_t count;

    if (du_store_current_number(store, &current, err) != DEFUPD_OK) {
        if (err->code != DEFUPD_E_STORE_CORRUPT)
            return err->code;
        current = UINT64_MAX; /* it names none: any may be in use */
    }
    DU_TRY(du_store_generations(store, &number, &count, err));
    for (size_t i = 0; i < count && number[i] <= current; i++) {
        DU_AUTO_LINKS links = { 0 };

        DU_TRY(du_links_add(store, number[i], &links, err));
        if (du_links_have(&links, component, version))
            return DU_FAIL(err, DEFUPD_E_BUG, "%s %llu cannot be replaced: generation %llu uses it",
                           component, (unsigned long long)version, (unsigned long long)number[i]);
    }
    return DEFUPD_OK;
}

/* Take what stands in the new version's place away, durably. Folder and record both: of an old
 * record beside a new folder each file would look damaged. */
static defupd_code make_room(const struct du_store *store, const char *component, uint64_t version,
                             int dir, int staging, defupd_error *err)
{
    char folder[DU_VERSION_TEXT], record[DU_VERSION_TEXT + 6];
    struct stat st;

    du_version_name(folder, version);
    du_record_name(record, version);
    if (fstatat(dir, folder, &st, AT_SYMLINK_NOFOLLOW) == 0)
        DU_TRY(refuse_linked(store, component, version, err));
    else if (errno != ENOENT)
        return DU_FAIL_IO(err, "look at versions/%s/%s", component, folder);
    else if (fstatat(dir, record, &st, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT)
        return DEFUPD_OK;
    DU_TRY(du_store_move_away(store, dir, folder, staging, err));
    DU_TRY(du_store_move_away(store, dir, record, staging, err));
    DU_TRY(du_dir_sync(store->sys, staging, "staging", err));
    return du_dir_sync(store->sys, dir, component, err);
}

/*
 * A crash after a step leaves
 *   1. record written into staging/, all synced   the old state; rubbish in staging/
 *   2. what was in the way moved, synced          the same, without a version that nothing used
 *   3. record renamed into versions/C             half a version: a record without folder
 *   4. folder renamed beside it                   the version, complete; after a power cut perhaps
 *                                                 one of the two, which is half a version
 *   5. versions/C synced                          the version
 * Half a version is none (docs/formats/store.md); the sweep removes it. The data is durable since
 * 1, so no folder that is there holds less than it should.
 */
static defupd_code commit(struct du_store *store, const char *component, uint64_t version, int fd,
                          const struct du_index *index, defupd_error *err)
{
    const struct du_sys *sys = store->sys;
    char staged_folder[STAGED_MAX], staged_record[STAGED_MAX];
    char folder[DU_VERSION_TEXT], record[DU_VERSION_TEXT + 6];
    DU_AUTO_FD staging = -1, dir = -1;

    staged_names(staged_folder, staged_record, component, version);
    du_version_name(folder, version);
    du_record_name(record, version);
    DU_TRY(du_store_sub(store, "staging", &staging, err));
    DU_TRY(du_store_component_dir(store, component, true, &dir, err));
    DU_TRY(du_record_write(store, staging, staged_record, component, version, index, fd, err));
    DU_TRY(sync_tree(sys, fd, err));
    DU_TRY(make_room(store, component, version, dir, staging, err));
    if (sys->renameat(staging, staged_record, dir, record) != 0)
        return DU_FAIL_IO(err, "rename to versions/%s/%s", component, record);
    if (sys->renameat(staging, staged_folder, dir, folder) != 0) {
        const defupd_code rc = DU_FAIL_IO(err, "rename to versions/%s/%s", component, folder);
        (void)sys->unlinkat(dir, record, 0);
        return rc;
    }
    return du_dir_sync(sys, dir, component, err);
}

defupd_code du_store_stage_commit(struct du_store *store, const char *component, uint64_t version,
                                  int fd, const struct du_index *index, defupd_error *err)
{
    DU_TRY(du_store_need_lock(store, err));
    if (commit(store, component, version, fd, index, err) != DEFUPD_OK)
        return du_err_prefix(err, "installing %s %llu", component, (unsigned long long)version);
    return DEFUPD_OK;
}
