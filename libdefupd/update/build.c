/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A release's tree, built in staging/ by the plan's path: from the full bundle, from a version on
 * disk by a delta, or by two deltas through the tree of another release. The tree between is never
 * synced or kept; it only lends the second step its files. Each tree, also the one between, is
 * compared with the signed digest before anything is made of it.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/scope.h"
#include "bundle/bundle.h"
#include "delta/delta.h"
#include "sys/disk.h"
#include "update/run.h"

/* A tree to take unchanged files from, and what is asked before one is taken. */
struct base {
    const struct du_sys *sys;
    struct du_record record; /* of a version on disk */
    struct du_index staged;  /* of a tree between, which has no record */
    int root;
    struct du_place place; /* of it */
    bool doubt;            /* a file of it was found damaged: none is taken without being read */
    struct du_tree_base tree;
};

static void base_free(struct base *base)
{
    du_record_free(&base->record);
    du_index_free(&base->staged);
    du_place_end(&base->place);
    du_fd_close(&base->root);
}

/* By its bytes. */
static bool is_content_right(const struct du_file *file, struct du_place *place,
                             const struct du_tick *tick, defupd_error *err)
{
    const struct du_sys *sys = place->sys;
    unsigned char sha256[DU_SHA256_BYTES];
    const char *name;
    struct stat st;
    uint64_t size;
    int dir;

    if (du_place_parent(place, file->path, false, &dir, &name, err) != DEFUPD_OK)
        return false;
    DU_AUTO_FD fd = sys->openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) ||
        (st.st_mode & 07777) != (file->exec ? 0755U : 0644U) || (uint64_t)st.st_size != file->size)
        return false;
    return du_file_hash(sys, fd, file->path, tick, sha256, &size, err) == DEFUPD_OK &&
           size == file->size && memcmp(sha256, file->sha256, DU_SHA256_BYTES) == 0;
}

bool du_file_is_right(const struct du_record *record, const struct du_file *file,
                      struct du_place *place, const struct du_tick *tick, defupd_error *err)
{
    return (record != NULL && du_record_holds(record, file, place)) ||
           is_content_right(file, place, tick, err);
}

static bool trust_installed(void *user, const struct du_file *file)
{
    struct base *base = user;
    defupd_error ignored = { 0 };

    return du_file_is_right(base->doubt ? NULL : &base->record, file, &base->place, NULL, &ignored);
}

/* The tree between was compared with its digest a moment ago, and nobody else may enter staging/.
 */
static bool trust_staged(void *user, const struct du_file *file)
{
    (void)user;
    (void)file;
    return true;
}

static defupd_code open_version(struct du_run *run, const char *component, uint64_t version,
                                struct base *base, defupd_error *err)
{
    DU_AUTO(du_distrust_free) struct du_distrust distrust = { 0 };

    DU_TRY(du_distrust_read(run, component, &distrust, err));
    base->sys = run->ctx->sys;
    base->doubt = du_distrust_has_version(&distrust, version);
    DU_TRY(du_store_record(&run->ctx->store, component, version, &base->record, err));
    DU_TRY(du_store_version_dir(&run->ctx->store, component, version, &base->root, err));
    du_place_init(&base->place, base->sys, base->root);
    base->tree = (struct du_tree_base){
        .index = &base->record.index, .root = base->root, .trust = trust_installed, .user = base
    };
    return DEFUPD_OK;
}

/* The base of the first step. What keeps it from being read is damage: another path needs none. */
static defupd_code open_start(struct du_run *run, const struct du_part *part, struct base *base,
                              defupd_error *err)
{
    const uint64_t version = part->plan.step[0]->from;
    const defupd_code rc = open_version(run, part->name, version, base, err);

    if (rc == DEFUPD_E_NOMEM)
        return rc;
    if (rc != DEFUPD_OK)
        return DU_FAIL(err, DEFUPD_E_DELTA_BASE, "%s %" PRIu64 ": %.400s", part->name, version,
                       err->message);
    if (version == part->installed &&
        memcmp(base->record.tree, part->installed_tree, DU_SHA256_BYTES) != 0)
        return DU_FAIL(err, DEFUPD_E_DELTA_BASE,
                       "%s %" PRIu64 ": its record is not that of the installed tree", part->name,
                       version);
    return DEFUPD_OK;
}

/* What both ways begin with: the signed facts of the tree, the object, an empty directory. */
struct work {
    char what[DU_NAME_MAX + 1 + DU_VERSION_TEXT];
    struct du_tree_want want;
    struct du_verified_file object;
    int object_fd, stage;
};

static void work_free(struct work *work)
{
    du_fd_close(&work->object_fd);
    du_fd_close(&work->stage);
}

static defupd_code begin(struct du_run *run, const char *component,
                         const struct du_release *release, const struct du_object *object,
                         struct work *work, defupd_error *err)
{
    const uint64_t limit = run->ctx->options->max_tree_bytes;

    (void)snprintf(work->what, sizeof work->what, "%s %" PRIu64, component, release->version);
    work->want =
        (struct du_tree_want){ .what = work->what, .size = release->size, .files = release->files };
    memcpy(work->want.tree, release->tree, DU_SHA256_BYTES);
    if (release->size > limit)
        return DU_FAIL(err, DEFUPD_E_LIMIT,
                       "%s unpacks to %" PRIu64 " bytes, the limit is %" PRIu64, work->what,
                       release->size, limit);
    DU_TRY(du_run_object(run, component, release->version, object, &work->object_fd, &work->object,
                         err));
    DU_TRY(du_store_stage(&run->ctx->store, component, release->version, &work->stage, err));
    du_run_phase(run, DEFUPD_PHASE_STAGE, component, release->size);
    return DEFUPD_OK;
}

defupd_code du_run_unpack(struct du_run *run, const char *component,
                          const struct du_release *release, bool reuse, int *fd,
                          struct du_index *index, defupd_error *err)
{
    const struct du_member *member = du_generation_find(&run->current, component);
    const struct du_tick tick = du_run_tick(run);
    DU_AUTO(base_free) struct base base = { .root = -1, .place = { .dir = -1 } };
    DU_AUTO(work_free) struct work work = { .object_fd = -1, .stage = -1 };
    defupd_error ignored = { 0 };
    uint64_t reused;

    if (release->full.codec[0] == '\0' || strcmp(release->full.codec, DU_BUNDLE_CODEC) != 0)
        return DU_FAIL(err, DEFUPD_E_NO_OBJECT,
                       "%s %" PRIu64 " has no full bundle that this client can use", component,
                       release->version);
    DU_TRY(begin(run, component, release, &release->full, &work, err));
    /* The installed version is only a place to take unchanged files from; none costs writes. */
    reuse = reuse && member != NULL &&
            open_version(run, component, member->version, &base, &ignored) == DEFUPD_OK;
    DU_TRY(du_bundle_unpack(run->ctx->sys, &work.object, &work.want, reuse ? &base.tree : NULL,
                            work.stage, &tick, index, &reused, err));
    du_log(&run->ctx->events, DEFUPD_LEVEL_INFO, "update",
           "%s: %zu files unpacked, %" PRIu64 " of them unchanged", work.what, index->count,
           reused);
    *fd = du_take_fd(&work.stage);
    return DEFUPD_OK;
}

/* One step: `release` of `base` and a delta, in a staging directory of its own. */
static defupd_code merge(struct du_run *run, const char *component,
                         const struct du_release *release, const struct du_object *delta,
                         const struct base *base, int *fd, struct du_index *index,
                         defupd_error *err)
{
    const struct du_tick tick = du_run_tick(run);
    DU_AUTO(work_free) struct work work = { .object_fd = -1, .stage = -1 };
    uint64_t reused;

    DU_TRY(begin(run, component, release, delta, &work, err));
    DU_TRY(du_delta_merge(run->ctx->sys, &work.object, &work.want, &base->tree, work.stage, &tick,
                          index, &reused, err));
    du_log(&run->ctx->events, DEFUPD_LEVEL_INFO, "update",
           "%s: %zu files made of %" PRIu64 " by a delta of %" PRIu64 " bytes, %" PRIu64
           " of them unchanged",
           work.what, index->count, delta->from, delta->bytes, reused);
    *fd = du_take_fd(&work.stage);
    return DEFUPD_OK;
}

/* The tree between becomes the base of the next step. */
static void step_onto(struct base *base, int *stage, struct du_index *index)
{
    base_free(base);
    base->staged = *index;
    *index = (struct du_index){ 0 };
    base->root = du_take_fd(stage);
    base->tree =
        (struct du_tree_base){ .index = &base->staged, .root = base->root, .trust = trust_staged };
}

static defupd_code merge_steps(struct du_run *run, struct du_part *part, int *fd,
                               struct du_index *index, defupd_error *err)
{
    const struct du_plan *plan = &part->plan;
    DU_AUTO(base_free) struct base base = { .root = -1, .place = { .dir = -1 } };

    part->failed = plan->step[0];
    DU_TRY(open_start(run, part, &base, err));
    for (size_t i = 0; i < plan->steps; i++) {
        const struct du_release *release =
            i + 1 == plan->steps ? plan->target
                                 : du_manifest_find(part->manifest, plan->step_version[i]);
        DU_AUTO_INDEX made = { 0 };
        DU_AUTO_FD stage = -1;

        part->failed = plan->step[i];
        DU_TRY(merge(run, part->name, release, plan->step[i], &base, &stage, &made, err));
        if (i + 1 < plan->steps) {
            step_onto(&base, &stage, &made);
            continue;
        }
        *index = made;
        made = (struct du_index){ 0 };
        *fd = du_take_fd(&stage);
    }
    part->failed = NULL;
    return DEFUPD_OK;
}

defupd_code du_run_build(struct du_run *run, struct du_part *part, int *fd, struct du_index *index,
                         defupd_error *err)
{
    const struct du_plan *plan = &part->plan;
    defupd_code rc;

    if (plan->steps > 0 && plan->step[0]->from != 0) {
        rc = merge_steps(run, part, fd, index, err);
        for (size_t i = 0; i + 1 < plan->steps; i++)
            du_store_stage_drop(&run->ctx->store, part->name, plan->step_version[i]);
        return rc;
    }
    part->failed = &plan->target->full;
    rc = du_run_unpack(run, part->name, plan->target, true, fd, index, err);
    if (rc == DEFUPD_OK)
        part->failed = NULL;
    return rc;
}
