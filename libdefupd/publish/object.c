/* SPDX-License-Identifier: Apache-2.0 */
/* Objects: named by their digest, so a file that is there under its name never changes. They are
 * made in a folder of their own and put into place when everything else of a change is ready. */
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

defupd_code du_object_check(const struct defupd_repo *repo, const struct du_dirs *dirs,
                            const struct du_object *object, const struct du_tick *tick, int *fd,
                            struct du_verified_file *file, defupd_error *err)
{
    const struct object_name name = name_of(object->sha256);
    char what[DU_SHA256_HEX + 16];

    (void)snprintf(what, sizeof what, "objects/%s/%s", name.dir, name.file);
    DU_TRY(du_object_open(repo, dirs, object, fd, err));
    return du_object_verify(repo->sys, *fd, object->bytes, object->sha256, what, tick, file, err);
}

/* --- the workshop --- */

defupd_code du_shop_open(struct du_shop *shop, const struct defupd_repo *repo,
                         const struct du_dirs *dirs, defupd_error *err)
{
    /* Of a publisher that was killed: the lock says that nobody works in it. */
    DU_TRY(du_tree_remove(repo->sys, dirs->objects, DU_REPO_TMP, NULL, err));
    if (repo->sys->mkdirat(dirs->objects, DU_REPO_TMP, 0700) != 0)
        return DU_FAIL_IO(err, "create objects/" DU_REPO_TMP);
    shop->repo = repo;
    shop->dirs = dirs;
    if (du_dir_open(repo->sys, dirs->objects, DU_REPO_TMP, false, 0, &shop->fd, err) != DEFUPD_OK)
        return du_err_prefix(err, "objects");
    return DEFUPD_OK;
}

void du_shop_end(struct du_shop *shop)
{
    const int saved = errno;
    defupd_error ignored;

    du_fd_close(&shop->fd);
    if (shop->repo != NULL)
        (void)!du_tree_remove(shop->repo->sys, shop->dirs->objects, DU_REPO_TMP, NULL, &ignored);
    shop->repo = NULL;
    errno = saved;
}

defupd_code du_shop_create(const struct du_shop *shop, const char *name, int *fd, defupd_error *err)
{
    const struct du_sys *sys = shop->repo->sys;
    DU_AUTO_FD made = sys->openat(shop->fd, name, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW, 0644);

    if (made < 0)
        return DU_FAIL_IO(err, "create objects/" DU_REPO_TMP "/%s", name);
    if (sys->fchmod(made, 0644) != 0)
        return DU_FAIL_IO(err, "set the mode of objects/" DU_REPO_TMP "/%s", name);
    *fd = du_take_fd(&made);
    return DEFUPD_OK;
}

/* Crash after the rename: an object that nobody names yet, which prune removes. */
defupd_code du_shop_place(const struct du_shop *shop, const char *from,
                          const struct du_object *object, defupd_error *err)
{
    const struct object_name name = name_of(object->sha256);
    const struct du_sys *sys = shop->repo->sys;
    DU_AUTO_FD dir = -1;

    DU_TRY(du_dir_open(sys, shop->dirs->objects, name.dir, true, 0755, &dir, err));
    if (sys->renameat(shop->fd, from, dir, name.file) != 0)
        return DU_FAIL_IO(err, "rename objects/" DU_REPO_TMP "/%s to objects/%s/%s", from, name.dir,
                          name.file);
    return du_dir_sync(sys, dir, name.file, err);
}

defupd_code du_shop_bundle(const struct du_shop *shop, int root, const struct du_index *index,
                           const struct du_tick *tick, struct du_object *object, defupd_error *err)
{
    const struct defupd_repo *repo = shop->repo;
    DU_AUTO_FD fd = -1;

    *object = (struct du_object){ 0 };
    (void)snprintf(object->codec, sizeof object->codec, "%s", DU_BUNDLE_CODEC);
    DU_TRY(du_shop_create(shop, DU_SHOP_BUNDLE, &fd, err));
    DU_TRY(du_bundle_pack(repo->sys, root, index, (int)repo->level, repo->threads, fd, tick,
                          object->sha256, &object->bytes, err));
    if (repo->sys->fsync(fd) != 0)
        return DU_FAIL_IO(err, "sync objects/" DU_REPO_TMP "/" DU_SHOP_BUNDLE);
    return DEFUPD_OK;
}
