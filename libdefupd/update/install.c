/* SPDX-License-Identifier: Apache-2.0 */
/* A release becomes a complete version on disk. */
#include <inttypes.h>
#include <string.h>

#include "base/scope.h"
#include "update/run.h"

defupd_code du_version_check(struct du_run *run, const char *component, uint64_t version,
                             const unsigned char tree[DU_SHA256_BYTES], defupd_error *err)
{
    const struct du_tick tick = du_run_tick(run);
    DU_AUTO(du_distrust_free) struct du_distrust distrust = { 0 };
    DU_AUTO_RECORD record = { 0 };
    DU_AUTO_PLACE place = { .dir = -1 };
    DU_AUTO_FD root = -1;
    bool doubt;

    DU_TRY(du_distrust_read(run, component, &distrust, err));
    doubt = du_distrust_has_version(&distrust, version);
    DU_TRY(du_store_record(&run->ctx->store, component, version, &record, err));
    if (memcmp(record.tree, tree, DU_SHA256_BYTES) != 0)
        return DU_FAIL(err, DEFUPD_E_DAMAGED, "%s %" PRIu64 " on disk is not the signed tree",
                       component, version);
    DU_TRY(du_store_version_dir(&run->ctx->store, component, version, &root, err));
    du_place_init(&place, run->ctx->sys, root);
    for (size_t i = 0; i < record.index.count; i++) {
        const struct du_file *file = &record.index.file[i];
        defupd_error why = { 0 };

        if (du_file_is_right(doubt ? NULL : &record, file, &place, &tick, &why)) {
            DU_TRY(tick.fn(tick.user, 0, err));
            continue;
        }
        if (why.code != DEFUPD_E_CANCELLED && why.code != DEFUPD_E_NOMEM)
            return DU_FAIL(err, DEFUPD_E_DAMAGED, "%s %" PRIu64 " on disk is damaged: '%s'",
                           component, version, file->path);
        *err = why;
        return why.code;
    }
    if (doubt) /* somebody has put it right */
        du_distrust_forget(run, component, version);
    return DEFUPD_OK;
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

static defupd_code build_and_commit(struct du_run *run, struct du_part *part, defupd_error *err)
{
    const uint64_t version = part->plan.target->version;
    DU_AUTO_INDEX index = { 0 };
    DU_AUTO_FD fd = -1;
    defupd_code rc = du_run_build(run, part, &fd, &index, err);

    if (rc == DEFUPD_OK)
        rc = du_store_stage_commit(&run->ctx->store, part->name, version, fd, &index, err);
    if (rc == DEFUPD_OK)
        du_distrust_forget(run, part->name, version);
    else
        du_store_stage_drop(&run->ctx->store, part->name, version);
    return rc;
}

defupd_code du_run_stage(struct du_run *run, struct du_part *part, defupd_error *err)
{
    const struct du_release *target = part->plan.target;
    defupd_code rc;

    part->failed = NULL;
    if (part->plan.on_disk) {
        rc = du_version_check(run, part->name, target->version, target->tree, err);
        part->staged = rc == DEFUPD_OK;
        if (rc == DEFUPD_OK || rc == DEFUPD_E_CANCELLED || rc == DEFUPD_E_NOMEM)
            return rc;
        du_log(&run->ctx->events, DEFUPD_LEVEL_WARNING, "update", "%s; it is unpacked anew",
               err->message);
    }
    rc = is_linked(run, part->name, target->version)
             ? du_version_repair(run, part->name, target, NULL, NULL, err)
             : build_and_commit(run, part, err);
    part->staged = rc == DEFUPD_OK;
    return rc;
}
