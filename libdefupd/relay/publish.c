/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metadata and manifests into the tree, so that every instant is a valid repository: all that a
 * timestamp leads to stands durably there before the timestamp is renamed into place.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "crypto/crypto.h"
#include "relay/relay_priv.h"

#define TIMESTAMP "timestamp.json"

/* --- one file --- */

/* Does it stand there just so? */
static bool stands(const struct du_sys *sys, int dir, const char *name, struct du_bytes bytes)
{
    DU_AUTO_BUF there = DU_BUF(bytes.len);
    defupd_error ignored;

    return du_file_read(sys, dir, name, &there, &ignored) == DEFUPD_OK && there.len == bytes.len &&
           memcmp(there.data, bytes.data, bytes.len) == 0;
}

/* Something else than a file in its place is damage, and goes. */
static defupd_code clear(const struct du_sys *sys, int dir, const char *name, defupd_error *err)
{
    struct stat st;

    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || S_ISREG(st.st_mode))
        return DEFUPD_OK;
    return du_tree_remove(sys, dir, name, NULL, err);
}

static defupd_code put(struct du_sync *sync, int dir, const char *name, struct du_bytes bytes,
                       defupd_error *err)
{
    const struct du_sys *sys = sync->run.ctx->sys;

    if (stands(sys, dir, name, bytes))
        return DEFUPD_OK;
    DU_TRY(clear(sys, dir, name, err));
    if (du_file_replace(sys, dir, name, bytes.data, bytes.len, 0644, err) != DEFUPD_OK)
        return du_err_prefix(err, "relay");
    sync->report->changed = true;
    return DEFUPD_OK;
}

/* --- what the trusted state names --- */

struct role_list {
    struct du_sync *sync;
    du_relay_path_fn each;
    void *user;
    defupd_error *err;
    defupd_code rc;
};

/* "metadata/4.tetra.json" of a role that is trusted as the snapshot states it. *have false: it is
 * not, so nobody who reads this snapshot asks for what we have. */
static defupd_code role_path(const struct du_sync *sync, const char *role, struct du_buf *path,
                             bool *have, defupd_error *err)
{
    size_t max;

    du_buf_clear(path);
    return du_trust_want(sync->run.trust, role, path, &max, have, err);
}

static bool is_delegated(const char *role)
{
    return strcmp(role, "root") != 0 && strcmp(role, "timestamp") != 0 &&
           strcmp(role, "snapshot") != 0 && strcmp(role, "targets") != 0;
}

static void tell_role(void *user, const struct du_role_info *role)
{
    struct role_list *list = user;
    DU_AUTO_BUF path = DU_BUF(DU_RELAY_PATH_MAX);
    bool have = false;

    /* A role of another name belongs to a repository that is not ours; no client of ours reads it.
     */
    if (list->rc != DEFUPD_OK || !is_delegated(role->name) || !du_name_ok(role->name))
        return;
    list->rc = role_path(list->sync, role->name, &path, &have, list->err);
    if (list->rc == DEFUPD_E_METADATA_FORMAT) { /* the snapshot does not state it any more */
        list->rc = DEFUPD_OK;
        return;
    }
    if (list->rc == DEFUPD_OK && have)
        list->each(list->user, du_buf_text(&path));
}

static defupd_code each_delegated(struct du_sync *sync, du_relay_path_fn each, void *user,
                                  defupd_error *err)
{
    struct role_list list = { sync, each, user, err, DEFUPD_OK };

    du_trust_roles(sync->run.trust, tell_role, &list);
    return list.rc;
}

defupd_code du_relay_each_path(struct du_sync *sync, du_relay_path_fn each, void *user,
                               defupd_error *err)
{
    static const char *const roles[] = { "targets", "snapshot" };
    DU_AUTO_BUF path = DU_BUF(DU_RELAY_PATH_MAX);
    bool have;

    for (size_t i = 0; i < sync->parts; i++)
        each(user, sync->part[i].path);
    DU_TRY(each_delegated(sync, each, user, err));
    for (size_t i = 0; i < 2; i++) {
        DU_TRY(role_path(sync, roles[i], &path, &have, err));
        each(user, du_buf_text(&path));
    }
    each(user, "metadata/" TIMESTAMP);
    return DEFUPD_OK;
}

/* --- putting it there --- */

/* The role's file in trust/, if it is what is trusted. */
static defupd_code load_role(const struct du_sync *sync, const char *role, struct du_buf *bytes,
                             defupd_error *err)
{
    unsigned char want[DU_SHA256_BYTES], real[DU_SHA256_BYTES];
    char name[DU_NAME_MAX + sizeof ".json"];
    struct du_refresh_io io;

    du_bind_io((struct du_run *)(uintptr_t)&sync->run, &io);
    (void)snprintf(name, sizeof name, "%s.json", role);
    DU_TRY(io.load(io.user, name, bytes, err));
    du_sha256(real, bytes->data, bytes->len);
    if (!du_trust_digest(sync->run.trust, role, want) || memcmp(want, real, sizeof real) != 0)
        return DU_FAIL(err, DEFUPD_E_STORE_CORRUPT, "trust/%s is not what is trusted", name);
    return DEFUPD_OK;
}

static defupd_code put_role(struct du_sync *sync, const char *role, defupd_error *err)
{
    DU_AUTO_BUF path = DU_BUF(DU_RELAY_PATH_MAX);
    DU_AUTO_BUF bytes = DU_BUF(DU_TARGETS_MAX);
    bool have = false;

    DU_TRY(role_path(sync, role, &path, &have, err));
    if (!have)
        return DU_FAIL(err, DEFUPD_E_STORE_CORRUPT, "%s is not what is stated", role);
    DU_TRY(load_role(sync, role, &bytes, err));
    return put(sync, sync->dirs.metadata, strrchr(du_buf_text(&path), '/') + 1,
               du_buf_bytes(&bytes), err);
}

static defupd_code put_manifests(struct du_sync *sync, defupd_error *err)
{
    const struct du_sys *sys = sync->run.ctx->sys;

    for (size_t i = 0; i < sync->parts; i++) {
        const struct du_relay_part *part = &sync->part[i];
        DU_AUTO_FD dir = -1;

        DU_TRY(du_dir_open(sys, sync->dirs.targets, part->name, true, 0755, &dir, err));
        DU_TRY(put(sync, dir, strrchr(part->path, '/') + 1, du_buf_bytes(&part->bytes), err));
    }
    return DEFUPD_OK;
}

struct put_list {
    struct du_sync *sync;
    defupd_error *err;
    defupd_code rc;
};

static void put_delegated(void *user, const char *path)
{
    struct put_list *list = user;
    const char *dot = strchr(path, '.');
    char role[DU_NAME_MAX + 1];

    /* "metadata/4.tetra.json" */
    if (list->rc != DEFUPD_OK || dot == NULL)
        return;
    (void)snprintf(role, sizeof role, "%.*s", (int)strcspn(dot + 1, "."), dot + 1);
    list->rc = put_role(list->sync, role, list->err);
}

/* What these manifests name, and what earlier ones named: a reader may be under way with one. What
 * has been named long enough ago goes when its file does. */
static defupd_code put_named(struct du_sync *sync, defupd_error *err)
{
    const struct du_sys *sys = sync->run.ctx->sys;
    DU_AUTO_NAMED old = { 0 };
    defupd_error why = { 0 };
    const defupd_code rc = du_named_read(&old, sys, sync->dirs.top, &why);

    if (rc == DEFUPD_E_NOMEM) {
        *err = why;
        return rc;
    }
    if (rc != DEFUPD_OK && !du_is_missing(&why))
        du_log(&sync->run.ctx->events, DEFUPD_LEVEL_WARNING, "relay", "%s; it is made anew",
               why.message);
    for (size_t i = 0; i < old.count; i++) {
        const struct du_named_item *item = &old.item[i];
        const int64_t left = item->left != 0 ? item->left : sync->run.now;

        DU_TRY(du_named_add(&sync->named, item->sha256, item->bytes, left, err));
    }
    du_named_sort(&sync->named);
    return du_named_write(&sync->named, sys, sync->dirs.top, err);
}

/* --- the switch --- */

static void tmp_name(char out[64], const char *name)
{
    (void)snprintf(out, 64, "%s.tmp", name);
}

static void root_name(char out[64], uint64_t version)
{
    (void)snprintf(out, 64, "%" PRIu64 ".root.json", version);
}

/* NAME.tmp, ready to be renamed. *staged false: it stands there already. */
static defupd_code stage(struct du_sync *sync, const char *name, struct du_bytes bytes,
                         bool *staged, defupd_error *err)
{
    const struct du_sys *sys = sync->run.ctx->sys;
    const int dir = sync->dirs.metadata;
    char tmp[64];
    DU_AUTO_FD fd = -1;

    *staged = !stands(sys, dir, name, bytes);
    if (!*staged)
        return DEFUPD_OK;
    tmp_name(tmp, name);
    DU_TRY(clear(sys, dir, name, err));
    DU_TRY(du_tree_remove(sys, dir, tmp, NULL, err));
    fd = sys->openat(dir, tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0644);
    if (fd < 0)
        return DU_FAIL_IO(err, "create relay/metadata/%s", tmp);
    DU_TRY(du_write_all(sys, fd, bytes.data, bytes.len, tmp, err));
    if (sys->fchmod(fd, 0644) != 0 || sys->fsync(fd) != 0)
        return DU_FAIL_IO(err, "sync relay/metadata/%s", tmp);
    return DEFUPD_OK;
}

static defupd_code unveil(struct du_sync *sync, const char *name, bool staged, defupd_error *err)
{
    const int dir = sync->dirs.metadata;
    char tmp[64];

    if (!staged)
        return DEFUPD_OK;
    tmp_name(tmp, name);
    if (sync->run.ctx->sys->renameat(dir, tmp, dir, name) != 0)
        return DU_FAIL_IO(err, "rename relay/metadata/%s", tmp);
    sync->report->changed = true;
    return DEFUPD_OK;
}

/*
 * The timestamp, and right after it the roots, older ones first. A publisher who changes the online
 * keys has the timestamp of that moment signed by both: who meets it before the root is there
 * verifies it by the old ones. Of later timestamps that is not so; then the instant between the two
 * renames is one in which a reader finds a signature missing, and comes back.
 */
static defupd_code switch_over(struct du_sync *sync, defupd_error *err)
{
    DU_AUTO_FREE bool *staged = calloc(sync->roots + 1, sizeof *staged);
    DU_AUTO_BUF bytes = DU_BUF(DU_TIMESTAMP_MAX);
    bool timestamp;
    char name[64];

    if (staged == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for roots");
    DU_TRY(load_role(sync, "timestamp", &bytes, err));
    for (size_t i = 0; i < sync->roots; i++) {
        root_name(name, sync->root[i].version);
        DU_TRY(stage(sync, name, du_buf_bytes(&sync->root[i].bytes), &staged[i], err));
    }
    DU_TRY(stage(sync, TIMESTAMP, du_buf_bytes(&bytes), &timestamp, err));
    DU_TRY(unveil(sync, TIMESTAMP, timestamp, err));
    for (size_t i = sync->roots; i > 0; i--) {
        root_name(name, sync->root[i - 1].version);
        DU_TRY(unveil(sync, name, staged[i - 1], err));
    }
    return du_dir_sync(sync->run.ctx->sys, sync->dirs.metadata, "relay/metadata", err);
}

defupd_code du_relay_publish(struct du_sync *sync, defupd_error *err)
{
    struct put_list list = { sync, err, DEFUPD_OK };

    DU_TRY(put_manifests(sync, err));
    DU_TRY(each_delegated(sync, put_delegated, &list, err));
    DU_TRY(list.rc);
    DU_TRY(put_role(sync, "targets", err));
    DU_TRY(put_role(sync, "snapshot", err));
    DU_TRY(put_named(sync, err));
    return switch_over(sync, err);
}
