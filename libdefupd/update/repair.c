/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mending an installed version from its release's full bundle. The bundle is unpacked beside, and
 * each file that differs is replaced by rename, so that a reader meets the damaged file or the
 * right one and never half of either. The record is written anew last: until then the old inode and
 * time say "look closer", never "trust".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/scope.h"
#include "sys/disk.h"
#include "update/inspect.h"
#include "update/run.h"

static void tell(const struct du_run *run, const char *component, const struct du_release *release,
                 const struct du_finding *finding, defupd_damage_fn on_damage, void *user)
{
    const defupd_damage damage = { .struct_size = (uint32_t)sizeof damage,
                                   .repaired = 1,
                                   .version = release->version,
                                   .component = component,
                                   .path = finding->path,
                                   .what = finding->what };

    du_log(&run->ctx->events, DEFUPD_LEVEL_INFO, "update", "%s: '%s' %s: repaired", component,
           finding->path, finding->what);
    if (on_damage != NULL)
        on_damage(user, &damage);
}

static defupd_code mend(struct du_run *run, const char *component, const struct du_release *release,
                        int stage, const struct du_index *index, defupd_damage_fn on_damage,
                        void *user, defupd_error *err)
{
    struct du_store *store = &run->ctx->store;
    const struct du_tick tick = du_run_tick(run);
    DU_AUTO(du_inspection_free) struct du_inspection in = { 0 };
    DU_AUTO_FD root = -1;

    if (du_store_version_dir(store, component, release->version, &root, err) != DEFUPD_OK) {
        if (!du_is_missing(err))
            return err->code;
        return du_store_stage_commit(store, component, release->version, stage, index, err);
    }
    DU_TRY(du_inspect(&in, run->ctx->sys, root, index, &tick, err));
    /* What should not be there goes first: a folder may stand where a file belongs. */
    for (size_t i = 0; i < in.count; i++) {
        if (du_index_find(index, in.finding[i].path) == NULL)
            DU_TRY(du_store_repair_remove(store, component, release->version, in.finding[i].path,
                                          err));
    }
    for (size_t i = 0; i < in.count; i++) {
        if (du_index_find(index, in.finding[i].path) != NULL)
            DU_TRY(du_store_repair_file(store, component, release->version, stage,
                                        in.finding[i].path, err));
        tell(run, component, release, &in.finding[i], on_damage, user);
    }
    return du_store_repair_record(store, component, release->version, index, err);
}

defupd_code du_version_repair(struct du_run *run, const char *component,
                              const struct du_release *release, defupd_damage_fn on_damage,
                              void *user, defupd_error *err)
{
    DU_AUTO_INDEX index = { 0 };
    DU_AUTO_FD stage = -1;
    defupd_code rc;

    /* Nothing is reused: what is mended must not come from what is damaged. */
    rc = du_run_unpack(run, component, release, false, &stage, &index, err);
    if (rc == DEFUPD_OK)
        rc = mend(run, component, release, stage, &index, on_damage, user, err);
    du_store_stage_drop(&run->ctx->store, component, release->version);
    if (rc == DEFUPD_OK)
        du_distrust_forget(run, component, release->version);
    return rc;
}
