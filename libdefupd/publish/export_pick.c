/* SPDX-License-Identifier: Apache-2.0 */
/* Which objects go into an archive: by the planner that the receiving host has, too. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bundle/bundle.h"
#include "delta/delta.h"
#include "plan/plan.h"
#include "publish/export.h"

/* Codecs that hosts are known to decode. */
static const char *const codecs[] = { DU_BUNDLE_CODEC, DU_DELTA_CODEC, NULL };

void du_picks_free(struct du_picks *picks)
{
    free(picks->object);
    *picks = (struct du_picks){ 0 };
}

static defupd_code pick(struct du_picks *picks, const struct du_object *object, defupd_error *err)
{
    for (size_t i = 0; i < picks->count; i++) {
        if (memcmp(picks->object[i].sha256, object->sha256, DU_SHA256_BYTES) == 0)
            return DEFUPD_OK;
    }
    if (picks->count == picks->room) {
        const size_t room = picks->room > 0 ? 2 * picks->room : 64;
        struct du_object *more = reallocarray(picks->object, room, sizeof *more);

        if (more == NULL)
            return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a list of objects");
        picks->object = more;
        picks->room = room;
    }
    picks->object[picks->count++] = *object;
    return DEFUPD_OK;
}

defupd_code du_pick_all(struct du_picks *picks, const struct du_manifest *manifest,
                        struct du_picked *picked, defupd_error *err)
{
    for (size_t i = 0; i < manifest->count; i++) {
        const struct du_release *release = &manifest->release[i];

        if (release->full.codec[0] != '\0')
            DU_TRY(pick(picks, &release->full, err));
        for (size_t k = 0; k < release->deltas; k++)
            DU_TRY(pick(picks, &release->delta[k], err));
    }
    picked->newest = manifest->count > 0 ? manifest->release[0].version : 0;
    (void)snprintf(picked->how, sizeof picked->how, "all of %zu release%s", manifest->count,
                   manifest->count == 1 ? "" : "s");
    return DEFUPD_OK;
}

/* The cheapest path from what the host has to one release; *found says whether there is one. */
static defupd_code pick_to(struct du_picks *picks, const struct du_manifest *manifest,
                           const struct du_receipt_item *host, const struct du_release *release,
                           struct du_picked *picked, bool *found, defupd_error *err)
{
    const struct du_plan_facts facts = { .installed = host->version, .codec = codecs };
    struct du_plan plan;

    *found = du_plan_path(&plan, manifest, &facts, release);
    for (size_t i = 0; *found && i < plan.steps; i++)
        DU_TRY(pick(picks, plan.step[i], err));
    if (*found && host->damaged && release->full.codec[0] != '\0')
        DU_TRY(pick(picks, &release->full, err));
    if (*found && picked->newest == 0) {
        picked->newest = release->version;
        du_plan_how(&plan, picked->how, sizeof picked->how);
    }
    return DEFUPD_OK;
}

static bool may_be_taken(const struct du_release *release)
{
    return release->requires == NULL && !release->withdrawn;
}

/* Something of which the publisher cannot know whether this host passes it. */
static bool has_gates(const struct du_release *release)
{
    return release->has_rollout || release->needs > 0;
}

/* Away from a withdrawn release: to the one that the publisher names, and, when nothing newer is
 * there, to the newest older one. */
static defupd_code pick_replacement(struct du_picks *picks, const struct du_manifest *manifest,
                                    const struct du_receipt_item *host, struct du_picked *picked,
                                    defupd_error *err)
{
    const struct du_release *release = du_manifest_find(manifest, host->version);
    const struct du_release *other;
    bool found = false;

    if (release == NULL || release->requires != NULL || !release->withdrawn)
        return DEFUPD_OK;
    other = release->replace_by != 0 ? du_manifest_find(manifest, release->replace_by) : NULL;
    if (other != NULL && may_be_taken(other))
        DU_TRY(pick_to(picks, manifest, host, other, picked, &found, err));
    for (size_t i = 0; i < manifest->count && picked->newest == 0; i++) {
        other = &manifest->release[i];
        if (other->version < host->version && may_be_taken(other))
            DU_TRY(pick_to(picks, manifest, host, other, picked, &found, err));
    }
    return DEFUPD_OK;
}

defupd_code du_pick_path(struct du_picks *picks, const struct du_manifest *manifest,
                         const struct du_receipt_item *host, struct du_picked *picked,
                         defupd_error *err)
{
    size_t more = host->picky ? 2 : 1; /* releases that nothing is known to stand before */

    for (size_t i = 0; i < manifest->count && more > 0; i++) {
        const struct du_release *release = &manifest->release[i];
        bool found = false;

        if (release->version <= host->version)
            break;
        if (may_be_taken(release))
            DU_TRY(pick_to(picks, manifest, host, release, picked, &found, err));
        if (found && !has_gates(release))
            more--;
    }
    DU_TRY(pick_replacement(picks, manifest, host, picked, err));
    /* What is damaged is mended from the bundle of the very release. */
    if (host->damaged && picked->newest == 0) {
        const struct du_release *release = du_manifest_find(manifest, host->version);

        if (release != NULL && may_be_taken(release) && release->full.codec[0] != '\0') {
            DU_TRY(pick(picks, &release->full, err));
            picked->newest = release->version;
            (void)snprintf(picked->how, sizeof picked->how, "full bundle, for a repair");
        }
    }
    if (picked->newest == 0)
        (void)snprintf(picked->how, sizeof picked->how, "nothing newer");
    return DEFUPD_OK;
}

defupd_code du_pick_since(struct du_picks *picks, const struct du_manifest *manifest, uint64_t from,
                          struct du_picked *picked, defupd_error *err)
{
    struct du_receipt_item host = { .version = from };

    DU_TRY(du_pick_path(picks, manifest, &host, picked, err));
    for (size_t i = manifest->count; i > 0; i--) {
        struct du_picked other = { 0 };

        host.version = manifest->release[i - 1].version;
        if (host.version <= from)
            continue;
        DU_TRY(du_pick_path(picks, manifest, &host, &other, err));
    }
    return DEFUPD_OK;
}
