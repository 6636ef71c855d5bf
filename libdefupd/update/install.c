/* SPDX-License-Identifier: Apache-2.0 */
/* A release becomes a complete version on disk. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/scope.h"
#include "bundle/bundle.h"
#include "sys/disk.h"
#include "update/run.h"

/* What the unpacker asks of the installed version before it takes a file from it. */
struct base {
    const struct du_sys *sys;
    struct du_record record;
    int root;
};

static void base_free(struct base *base)
{
    du_record_free(&base->record);
    du_fd_close(&base->root);
}

/* By inode, size and time; else, since they may have changed harmlessly (a restored backup), by its
 * bytes. A cancel or lack of memory while they are read says nothing about the file, and is in err
 * when the answer is false. */
static bool file_is_right(const struct du_sys *sys, const struct du_record *record,
                          const struct du_file *file, int root, const struct du_tick *tick,
                          defupd_error *err)
{
    DU_AUTO_PLACE place;
    unsigned char sha256[DU_SHA256_BYTES];
    const char *name;
    struct stat st;
    uint64_t size;
    int dir;

    du_place_init(&place, sys, root);
    if (du_record_holds(sys, record, file, root))
        return true;
    if (du_place_parent(&place, file->path, false, &dir, &name, err) != DEFUPD_OK)
        return false;
    DU_AUTO_FD fd = sys->openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) ||
        (st.st_mode & 07777) != (file->exec ? 0755U : 0644U) || (uint64_t)st.st_size != file->size)
        return false;
    return du_file_hash(sys, fd, file->path, tick, sha256, &size, err) == DEFUPD_OK &&
           size == file->size && memcmp(sha256, file->sha256, DU_SHA256_BYTES) == 0;
}

static bool base_trust(void *user, const struct du_file *file)
{
    const struct base *base = user;
    defupd_error ignored = { 0 };

    return file_is_right(base->sys, &base->record, file, base->root, NULL, &ignored);
}

defupd_code du_version_check(struct du_run *run, const char *component, uint64_t version,
                             const unsigned char tree[DU_SHA256_BYTES], defupd_error *err)
{
    const struct du_tick tick = du_run_tick(run);
    DU_AUTO_RECORD record = { 0 };
    DU_AUTO_FD root = -1;

    DU_TRY(du_store_record(&run->ctx->store, component, version, &record, err));
    if (memcmp(record.tree, tree, DU_SHA256_BYTES) != 0)
        return DU_FAIL(err, DEFUPD_E_DAMAGED, "%s %" PRIu64 " on disk is not the signed tree",
                       component, version);
    DU_TRY(du_store_version_dir(&run->ctx->store, component, version, &root, err));
    for (size_t i = 0; i < record.index.count; i++) {
        const struct du_file *file = &record.index.file[i];
        defupd_error why = { 0 };

        if (file_is_right(run->ctx->sys, &record, file, root, &tick, &why)) {
            DU_TRY(tick.fn(tick.user, 0, err));
            continue;
        }
        if (why.code != DEFUPD_E_CANCELLED && why.code != DEFUPD_E_NOMEM)
            return DU_FAIL(err, DEFUPD_E_DAMAGED, "%s %" PRIu64 " on disk is damaged: '%s'",
                           component, version, file->path);
        *err = why;
        return why.code;
    }
    return DEFUPD_OK;
}

/* The installed version as a place to take unchanged files from; none is no error, it only costs
 * writes. */
static bool open_base(struct du_run *run, const char *component, struct base *base)
{
    const struct du_member *member = du_generation_find(&run->current, component);
    defupd_error ignored = { 0 };

    return member != NULL &&
           du_store_record(&run->ctx->store, component, member->version, &base->record, &ignored) ==
               DEFUPD_OK &&
           du_store_version_dir(&run->ctx->store, component, member->version, &base->root,
                                &ignored) == DEFUPD_OK;
}

defupd_code du_run_unpack(struct du_run *run, const char *component,
                          const struct du_release *release, bool reuse, int *fd,
                          struct du_index *index, defupd_error *err)
{
    const struct du_tick tick = du_run_tick(run);
    DU_AUTO(base_free) struct base base = { .sys = run->ctx->sys, .root = -1 };
    char what[DU_NAME_MAX + 1 + DU_VERSION_TEXT];
    struct du_tree_want want = { .what = what, .size = release->size, .files = release->files };
    struct du_tree_base from = { .trust = base_trust, .user = &base };
    struct du_verified_file bundle;
    DU_AUTO_FD object = -1, stage = -1;
    uint64_t reused;

    (void)snprintf(what, sizeof what, "%s %" PRIu64, component, release->version);
    memcpy(want.tree, release->tree, DU_SHA256_BYTES);
    if (release->size > run->ctx->options->max_tree_bytes)
        return DU_FAIL(err, DEFUPD_E_LIMIT,
                       "%s unpacks to %" PRIu64 " bytes, the limit is %" PRIu64, what,
                       release->size, run->ctx->options->max_tree_bytes);
    if (release->full.codec[0] == '\0' || strcmp(release->full.codec, DU_BUNDLE_CODEC) != 0)
        return DU_FAIL(err, DEFUPD_E_NO_OBJECT, "%s has no full bundle that this client can use",
                       what);
    DU_TRY(du_run_object(run, what, &release->full, &object, &bundle, err));

    DU_TRY(du_store_stage(&run->ctx->store, component, release->version, &stage, err));
    if (reuse && open_base(run, component, &base)) {
        from.index = &base.record.index;
        from.root = base.root;
    }
    du_run_phase(run, DEFUPD_PHASE_STAGE, component, release->size);
    DU_TRY(du_bundle_unpack(run->ctx->sys, &bundle, &want, from.index != NULL ? &from : NULL, stage,
                            &tick, index, &reused, err));
    du_log(&run->ctx->events, DEFUPD_LEVEL_INFO, "update",
           "%s: %zu files unpacked, %" PRIu64 " of them unchanged", what, index->count, reused);
    *fd = du_take_fd(&stage);
    return DEFUPD_OK;
}

static defupd_code unpack_and_commit(struct du_run *run, const struct du_part *part,
                                     defupd_error *err)
{
    const struct du_release *target = part->plan.target;
    DU_AUTO_INDEX index = { 0 };
    DU_AUTO_FD fd = -1;

    DU_TRY(du_run_unpack(run, part->name, target, true, &fd, &index, err));
    return du_store_stage_commit(&run->ctx->store, part->name, target->version, fd, &index, err);
}

/* Is the version linked by a generation that is kept? Then it is mended, never replaced. */
static bool is_linked(struct du_run *run, const char *component, uint64_t version)
{
    defupd_error ignored = { 0 };
    DU_AUTO_FREE uint64_t *number = NULL;
    size_t count = 0;

    if (du_store_generations(&run->ctx->store, &number, &count, &ignored) != DEFUPD_OK)
        return true;
    for (size_t i = 0; i < count; i++) {
        DU_AUTO_GENERATION generation = { 0 };
        const struct du_member *member;

        if (du_store_generation(&run->ctx->store, number[i], &generation, &ignored) != DEFUPD_OK)
            continue;
        member = du_generation_find(&generation, component);
        if (member != NULL && member->version == version)
            return true;
    }
    return false;
}

defupd_code du_run_stage(struct du_run *run, struct du_part *part, defupd_error *err)
{
    const struct du_release *target = part->plan.target;
    defupd_code rc;

    if (part->plan.on_disk) {
        rc = du_version_check(run, part->name, target->version, target->tree, err);
        if (rc == DEFUPD_OK) {
            part->staged = true;
            return DEFUPD_OK;
        }
        if (rc == DEFUPD_E_CANCELLED || rc == DEFUPD_E_NOMEM)
            return rc;
        du_log(&run->ctx->events, DEFUPD_LEVEL_WARNING, "update", "%s; it is unpacked anew",
               err->message);
        if (is_linked(run, part->name, target->version)) {
            DU_TRY(du_version_repair(run, part->name, target, NULL, NULL, err));
            part->staged = true;
            return DEFUPD_OK;
        }
    }
    rc = unpack_and_commit(run, part, err);
    if (rc != DEFUPD_OK)
        du_store_stage_drop(&run->ctx->store, part->name, target->version);
    part->staged = rc == DEFUPD_OK;
    return rc;
}
