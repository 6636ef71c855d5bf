/* SPDX-License-Identifier: Apache-2.0 */
/* Objects: named by their digest, so a file that is there under its name never changes. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "bundle/bundle.h"
#include "publish/publish_priv.h"

struct object_name {
    char dir[3];
    char file[DU_SHA256_HEX + 1];
};

static struct object_name name_of(const unsigned char sha256[DU_SHA256_BYTES])
{
    struct object_name name;

    du_hex(name.file, sha256, DU_SHA256_BYTES);
    memcpy(name.dir, name.file, 2);
    name.dir[2] = '\0';
    return name;
}

defupd_code du_object_open(const struct defupd_repo *repo, const struct du_dirs *dirs,
                           const struct du_object *object, int *fd, defupd_error *err)
{
    const struct object_name name = name_of(object->sha256);
    DU_AUTO_FD dir = -1;

    if (du_dir_open(repo->sys, dirs->objects, name.dir, false, 0, &dir, err) != DEFUPD_OK)
        return du_err_prefix(err, "open objects/%s/%s", name.dir, name.file);
    *fd = repo->sys->openat(dir, name.file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
    if (*fd < 0)
        return DU_FAIL_IO(err, "open objects/%s/%s", name.dir, name.file);
    return DEFUPD_OK;
}

/* Crash after the rename: an object that nobody names yet, which prune removes. */
static defupd_code put_in_place(const struct defupd_repo *repo, const struct du_dirs *dirs,
                                const struct du_object *object, defupd_error *err)
{
    const struct object_name name = name_of(object->sha256);
    DU_AUTO_FD dir = -1;

    DU_TRY(du_dir_open(repo->sys, dirs->objects, name.dir, true, 0755, &dir, err));
    if (repo->sys->renameat(dirs->objects, DU_REPO_TMP, dir, name.file) != 0)
        return DU_FAIL_IO(err, "rename objects/" DU_REPO_TMP " to %s/%s", name.dir, name.file);
    return du_dir_sync(repo->sys, dir, name.file, err);
}

static defupd_code pack(const struct defupd_repo *repo, const struct du_dirs *dirs, int root,
                        const struct du_index *index, const struct du_tick *tick,
                        struct du_object *object, defupd_error *err)
{
    const struct du_sys *sys = repo->sys;
    DU_AUTO_FD fd =
        sys->openat(dirs->objects, DU_REPO_TMP, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW, 0644);

    if (fd < 0)
        return DU_FAIL_IO(err, "create objects/" DU_REPO_TMP);
    if (sys->fchmod(fd, 0644) != 0)
        return DU_FAIL_IO(err, "set the mode of objects/" DU_REPO_TMP);
    DU_TRY(du_bundle_pack(sys, root, index, (int)repo->level, repo->threads, fd, tick,
                          object->sha256, &object->bytes, err));
    if (sys->fsync(fd) != 0)
        return DU_FAIL_IO(err, "sync objects/" DU_REPO_TMP);
    return put_in_place(repo, dirs, object, err);
}

defupd_code du_object_make(const struct defupd_repo *repo, const struct du_dirs *dirs, int root,
                           const struct du_index *index, const struct du_tick *tick,
                           struct du_object *object, defupd_error *err)
{
    defupd_code rc;

    *object = (struct du_object){ 0 };
    (void)snprintf(object->codec, sizeof object->codec, "%s", DU_BUNDLE_CODEC);
    rc = pack(repo, dirs, root, index, tick, object, err);
    if (rc != DEFUPD_OK)
        (void)repo->sys->unlinkat(dirs->objects, DU_REPO_TMP, 0);
    return rc;
}
