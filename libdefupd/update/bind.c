/* SPDX-License-Identifier: Apache-2.0 */
/* The refresh workflow's interface, bound to this run's source and to STATE/trust. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/scope.h"
#include "sys/disk.h"
#include "update/run.h"

static bool is_root(const char *path)
{
    static const char end[] = ".root.json";
    const size_t length = strlen(path);

    return length >= sizeof end - 1 && strcmp(path + length - (sizeof end - 1), end) == 0;
}

static defupd_code io_fetch(void *user, const char *path, size_t max, const char *etag,
                            struct du_buf *out, enum du_got *got, char etag_out[128],
                            defupd_error *err)
{
    struct du_run *run = user;
    struct du_fetch_file file = { .path = path, .bytes_max = max, .etag = etag };
    const defupd_code rc = du_fetch_memory(run->fetch, run->source, &file, out, err);

    /* Object stores answer 403 for what is not there. That must end the chain of roots; whatever
     * else is refused must be there. */
    if (rc == DEFUPD_E_NOT_FOUND || (rc == DEFUPD_E_FORBIDDEN && is_root(path))) {
        *got = DU_GOT_NOTHING;
        return DEFUPD_OK;
    }
    DU_TRY(rc);
    *got = file.not_modified ? DU_GOT_UNCHANGED : DU_GOT_BYTES;
    memcpy(etag_out, file.etag_out, sizeof file.etag_out);
    return DEFUPD_OK;
}

static defupd_code io_import(void *user, const char *path, size_t max, const char *etag,
                             struct du_buf *out, enum du_got *got, char etag_out[128],
                             defupd_error *err)
{
    const struct du_run *run = user;
    bool found = false;

    (void)etag;
    etag_out[0] = '\0';
    DU_TRY(du_import_load(run->import, path, max, out, &found, err));
    *got = found ? DU_GOT_BYTES : DU_GOT_NOTHING;
    return DEFUPD_OK;
}

/* "roots/3.root.json" -> the directory that holds it, and the name in it. */
static defupd_code place(const struct du_run *run, const char *name, bool make, int *sub, int *dir,
                         const char **leaf, defupd_error *err)
{
    static const char roots[] = "roots/";

    *dir = run->trust_dir;
    *leaf = name;
    if (run->trust_dir < 0) {
        errno = ENOENT;
        return DU_FAIL_IO(err, "open trust/%s", name);
    }
    if (strncmp(name, roots, sizeof roots - 1) != 0)
        return DEFUPD_OK;
    DU_TRY(du_dir_open(run->ctx->sys, run->trust_dir, "roots", make, 0755, sub, err));
    *dir = *sub;
    *leaf = name + sizeof roots - 1;
    return DEFUPD_OK;
}

static defupd_code io_load(void *user, const char *name, struct du_buf *out, defupd_error *err)
{
    const struct du_run *run = user;
    DU_AUTO_FD sub = -1;
    const char *leaf;
    int dir = -1;

    DU_TRY(place(run, name, false, &sub, &dir, &leaf, err));
    return du_file_read(run->ctx->sys, dir, leaf, out, err);
}

static defupd_code io_save(void *user, const char *name, struct du_bytes bytes, defupd_error *err)
{
    const struct du_run *run = user;
    DU_AUTO_FD sub = -1;
    const char *leaf;
    int dir = -1;

    if (run->read_only)
        return DEFUPD_OK;
    DU_TRY(place(run, name, true, &sub, &dir, &leaf, err));
    if (du_store_replace(&run->ctx->store, dir, leaf, bytes.data, bytes.len, 0644, err) !=
        DEFUPD_OK)
        return du_err_prefix(err, "%s/trust", run->ctx->store.path);
    return DEFUPD_OK;
}

static defupd_code io_remove(void *user, const char *name, defupd_error *err)
{
    const struct du_run *run = user;
    DU_AUTO_FD sub = -1;
    const char *leaf;
    int dir = -1;

    if (run->read_only)
        return DEFUPD_OK;
    DU_TRY(place(run, name, false, &sub, &dir, &leaf, err));
    return du_store_remove(&run->ctx->store, dir, leaf, err);
}

static defupd_code io_roots(void *user, void (*each)(void *arg, uint64_t version), void *arg,
                            defupd_error *err)
{
    static const char ending[] = ".root.json";
    const struct du_run *run = user;
    DU_AUTO_NAMES names = { 0 };
    DU_AUTO_FD sub = -1;
    const char *leaf;
    int dir = -1;

    if (place(run, "roots/", false, &sub, &dir, &leaf, err) != DEFUPD_OK)
        return du_is_missing(err) ? DEFUPD_OK : err->code;
    DU_TRY(du_dir_names(run->ctx->sys, dir, &names, err));
    for (size_t i = 0; i < names.count; i++) {
        char *end = strstr(names.item[i], ending);
        uint64_t version;

        if (end == NULL || strcmp(end, ending) != 0)
            continue;
        *end = '\0';
        if (du_version_parse(names.item[i], &version))
            each(arg, version);
    }
    return DEFUPD_OK;
}

static void io_log(void *user, defupd_level level, const char *text)
{
    const struct du_run *run = user;

    du_log(&run->ctx->events, level, "trust", "%s", text);
}

void du_bind_io(struct du_run *run, struct du_refresh_io *io)
{
    *io = (struct du_refresh_io){ .user = run,
                                  .fetch = run->import != NULL  ? io_import
                                           : run->fetch != NULL ? io_fetch
                                                                : NULL,
                                  .load = io_load,
                                  .save = io_save,
                                  .remove = io_remove,
                                  .roots = io_roots,
                                  .log = io_log };
}

void du_bind_options(const struct du_run *run, struct du_refresh_options *options)
{
    const defupd_client_options *from = run->ctx->options;

    *options = (struct du_refresh_options){ .now = run->now };
    if (run->fetch != NULL) {
        const defupd_source *given = du_fetch_source_given(run->fetch, run->source);
        options->grace_s = given != NULL ? given->offline_grace_s : 0;
        options->source = du_fetch_source_name(run->fetch, run->source);
    }
    if (run->import != NULL) {
        options->grace_s = du_import_grace_s(run->import);
        options->source = du_import_name(run->import);
    }
    options->pin_name = from->trusted_root_name;
    if (!run->read_only || run->pins)
        options->pin = (struct du_bytes){ from->trusted_root, (size_t)from->trusted_root_bytes };
}

/* `seen` is written before any role's file, and both by rename: while they are the same files,
 * nothing became trusted or was forgotten. */
static bool read_marks(const struct du_run *run, struct du_trust_mark mark[2])
{
    static const char *const files[] = { "seen", "timestamp.json" };

    memset(mark, 0, 2 * sizeof *mark);
    for (size_t i = 0; i < 2; i++) {
        struct stat st;

        if (run->trust_dir < 0 || fstatat(run->trust_dir, files[i], &st, AT_SYMLINK_NOFOLLOW) != 0)
            return false;
        mark[i] = (struct du_trust_mark){ .device = st.st_dev,
                                          .inode = st.st_ino,
                                          .size = (uint64_t)st.st_size,
                                          .mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 +
                                                      st.st_mtim.tv_nsec };
    }
    return true;
}

static bool take_kept(struct du_run *run)
{
    struct du_context *ctx = run->ctx;
    struct du_trust_mark mark[2];

    /* Who changes things looks for himself. */
    if (!run->read_only || ctx->trust == NULL || !read_marks(run, mark) ||
        memcmp(mark, ctx->trust_mark, sizeof mark) != 0)
        return false;
    du_trust_freep(&run->trust);
    run->trust = du_take(&ctx->trust);
    return true;
}

void du_bind_keep(struct du_run *run)
{
    struct du_context *ctx = run->ctx;

    du_trust_freep(&ctx->trust);
    if (run->trust != NULL && read_marks(run, ctx->trust_mark))
        ctx->trust = du_take(&run->trust);
    du_trust_freep(&run->trust);
}

defupd_code du_bind_trust(struct du_run *run, defupd_error *err)
{
    struct du_refresh_io io;
    struct du_refresh_options options;

    if (run->trust_dir < 0 &&
        du_store_trust_dir(&run->ctx->store, &run->trust_dir, err) != DEFUPD_OK &&
        !du_is_missing(err))
        return err->code;
    if (take_kept(run))
        return DEFUPD_OK;
    du_bind_io(run, &io);
    du_bind_options(run, &options);
    du_trust_freep(&run->trust);
    return du_refresh_load(&run->trust, &io, &options, err);
}

defupd_code du_bind_trust_if_sound(struct du_run *run, defupd_error *err)
{
    defupd_error why = { 0 };

    if (du_bind_trust(run, &why) != DEFUPD_E_NOMEM)
        return DEFUPD_OK;
    *err = why;
    return why.code;
}

defupd_code du_bind_manifest(struct du_run *run, const char *component, struct du_manifest **out,
                             defupd_error *err)
{
    DU_AUTO_BUF bytes = DU_BUF(DU_MANIFEST_BYTES_MAX);
    char target[DU_NAME_MAX + sizeof "/manifest.xml"], local[DU_NAME_MAX + sizeof ".manifest.xml"];
    struct du_refresh_io io;
    struct du_refresh_options options;
    struct du_verified verified;

    (void)snprintf(target, sizeof target, "%s/manifest.xml", component);
    (void)snprintf(local, sizeof local, "%s.manifest.xml", component);
    du_bind_io(run, &io);
    du_bind_options(run, &options);
    DU_TRY(du_refresh_target(run->trust, &io, &options, target, local, DU_MANIFEST_BYTES_MAX,
                             &bytes, &verified, err));
    return du_manifest_parse(out, &verified, component, target, err);
}
