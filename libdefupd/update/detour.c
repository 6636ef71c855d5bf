/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A path that did not lead there, and the way round it, within the same run.
 *
 * What failed is passed over for the rest of the run. What will fail again is also noted on disk
 * (distrust.c), so that no later run fetches bytes only to meet the same end: a version on disk
 * that is damaged, or, when that was read through and is right, the delta itself. What a source
 * merely lacks or spoils is not noted: it may be well tomorrow.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/scope.h"
#include "update/inspect.h"
#include "update/run.h"

#define DAMAGE_TOLD_MAX 16

/* One object cannot be had from any source; another may be. */
static bool is_object_missing(const struct du_run *run, defupd_code code)
{
    return code == DEFUPD_E_NOT_FOUND || code == DEFUPD_E_FORBIDDEN ||
           code == DEFUPD_E_HTTP_STATUS || code == DEFUPD_E_DIGEST || code == DEFUPD_E_TOOLARGE ||
           (code == DEFUPD_E_NOT_DOWNLOADED && run->fetch == NULL);
}

/* Its digest is right, and yet it does not give the signed tree. */
static bool is_content_wrong(defupd_code code)
{
    return code == DEFUPD_E_DELTA_FORMAT || code == DEFUPD_E_DELTA_BASE ||
           code == DEFUPD_E_BUNDLE_FORMAT || code == DEFUPD_E_TREE ||
           code == DEFUPD_E_TREE_FORBIDDEN;
}

static void tell_damage(const struct du_run *run, const char *component, uint64_t version,
                        const char *text)
{
    du_event_send(&run->ctx->events, (defupd_event){ .id = DEFUPD_EVENT_DAMAGED,
                                                     .code = DEFUPD_E_DAMAGED,
                                                     .component = component,
                                                     .version = version,
                                                     .text = text });
}

/* Findings that can spoil a delta: what is not part of the release is nobody's base. */
static size_t tell_findings(const struct du_run *run, const char *component, uint64_t version,
                            const struct du_inspection *in, char text[DEFUPD_ERROR_MESSAGE_MAX])
{
    size_t count = 0;

    for (size_t i = 0; i < in->count; i++) {
        const struct du_finding *finding = &in->finding[i];
        char line[DEFUPD_ERROR_MESSAGE_MAX];

        if (du_index_find(in->index, finding->path) == NULL || count++ >= DAMAGE_TOLD_MAX)
            continue;
        (void)snprintf(line, sizeof line, "'%s' %s", finding->path, finding->what);
        tell_damage(run, component, version, line);
        if (count == 1)
            (void)snprintf(text, DEFUPD_ERROR_MESSAGE_MAX,
                           "%s %" PRIu64 " on disk is damaged: %.300s", component, version, line);
    }
    if (count > 1)
        (void)snprintf(text + strlen(text), DEFUPD_ERROR_MESSAGE_MAX - strlen(text),
                       " and %zu more", count - 1);
    return count;
}

/* Read the version that a delta starts from through. *damaged, and then `text` says how. */
static defupd_code look_at_base(struct du_run *run, const struct du_part *part, uint64_t version,
                                bool *damaged, char text[DEFUPD_ERROR_MESSAGE_MAX],
                                defupd_error *err)
{
    const struct du_store *store = &run->ctx->store;
    const struct du_tick tick = du_run_tick(run);
    DU_AUTO(du_inspection_free) struct du_inspection in = { 0 };
    DU_AUTO_FD root = -1;
    defupd_code rc;

    du_run_phase(run, DEFUPD_PHASE_VERIFY, part->name, 0);
    rc = du_store_record(store, part->name, version, &in.record, err);
    if (rc == DEFUPD_OK)
        rc = du_store_version_dir(store, part->name, version, &root, err);
    if (rc == DEFUPD_OK)
        rc = du_inspect(&in, run->ctx->sys, root, &in.record.index, &tick, err);
    if (rc == DEFUPD_OK) {
        *damaged = tell_findings(run, part->name, version, &in, text) > 0;
        return DEFUPD_OK;
    }
    if (rc == DEFUPD_E_NOMEM || rc == DEFUPD_E_CANCELLED)
        return rc;
    *damaged = true; /* what cannot be looked at is no base either */
    (void)snprintf(text, DEFUPD_ERROR_MESSAGE_MAX, "%s", err->message);
    tell_damage(run, part->name, version, text);
    return DEFUPD_OK;
}

/* Pass over what is at fault. *why: in, how it failed; out, the cause as far as it is known.
 * Anything but DEFUPD_OK: nothing that another path avoids. */
static defupd_code pass_over(struct du_run *run, struct du_part *part,
                             const struct du_object *object, defupd_error *why, defupd_error *err)
{
    const uint64_t base = part->plan.step[0]->from;
    char text[DEFUPD_ERROR_MESSAGE_MAX] = "";
    bool damaged = why->code == DEFUPD_E_DELTA_BASE;

    *err = *why;
    if (du_distrust_has_delta(&part->distrust, object->sha256))
        return err->code;
    if (is_object_missing(run, why->code) || (is_content_wrong(why->code) && object->from == 0))
        return du_distrust_delta(&part->distrust, object->sha256, err);
    /* An old file that cannot be read comes as a failure of the disk. */
    if ((!is_content_wrong(why->code) && why->code != DEFUPD_E_IO) || object->from == 0)
        return err->code;
    if (!damaged)
        DU_TRY(look_at_base(run, part, base, &damaged, text, err));
    *err = *why;
    if (damaged) {
        if (du_distrust_has_version(&part->distrust, base))
            return err->code;
        if (text[0] != '\0')
            (void)DU_FAIL(why, DEFUPD_E_DELTA_BASE, "%s", text);
        du_distrust_note(run, part->name, base, NULL);
        return du_distrust_version(&part->distrust, base, err);
    }
    if (why->code == DEFUPD_E_IO)
        return err->code;
    du_distrust_note(run, part->name, 0, object->sha256);
    return du_distrust_delta(&part->distrust, object->sha256, err);
}

/* "the delta from 1002" */
static void name_object(const struct du_object *object, char out[48])
{
    if (object->from == 0)
        (void)snprintf(out, 48, "the full bundle");
    else
        (void)snprintf(out, 48, "the delta from %" PRIu64, object->from);
}

/* There is no other path: the part fails by what it was about, and for the first reason. */
static defupd_code give_up(struct du_run *run, struct du_part *part, const struct du_plan *before,
                           const char *name, const defupd_error *why, defupd_error *err)
{
    const struct du_plan other = part->plan;

    part->plan = *before;
    du_part_tell(part);
    *err = *why;
    if (other.target == NULL &&
        (other.reason == DEFUPD_REASON_BUDGET || other.reason == DEFUPD_REASON_METERED))
        return DU_FAIL(err, DEFUPD_E_BUDGET, "%s: %s failed (%.200s), and %.200s", part->name, name,
                       why->message, other.text);
    if (other.target != NULL && why->code != DEFUPD_E_NOT_DOWNLOADED && !du_run_can_fetch(run))
        return DU_FAIL(err, DEFUPD_E_NOT_DOWNLOADED,
                       "%s %" PRIu64 ": %s cannot be used, and nothing else is downloaded; "
                       "'defupd update' fetches it: %.300s",
                       part->name, before->target->version, name, why->message);
    return err->code;
}

defupd_code du_run_detour(struct du_run *run, struct du_part *part, defupd_error *err)
{
    const struct du_object *object = du_take(&part->failed);
    const struct du_plan before = part->plan;
    defupd_error why = *err;
    char name[48], text[DEFUPD_ERROR_MESSAGE_MAX];

    if (object == NULL)
        return err->code;
    DU_TRY(pass_over(run, part, object, &why, err));
    name_object(object, name);
    du_part_plan(run, part);
    if (part->plan.target == NULL || (!du_run_can_fetch(run) && part->plan.bytes > 0))
        return give_up(run, part, &before, name, &why, err);

    (void)snprintf(text, sizeof text, "%s cannot be used: %.300s; instead: %.120s", name,
                   why.message, part->row->how);
    du_event_send(&run->ctx->events, (defupd_event){ .id = DEFUPD_EVENT_DETOUR,
                                                     .code = why.code,
                                                     .component = part->name,
                                                     .version = part->plan.target->version,
                                                     .from_version = part->installed,
                                                     .text = text });
    (void)snprintf(part->row->how + strlen(part->row->how),
                   sizeof part->row->how - strlen(part->row->how), ", after %s failed", name);
    if (run->phase == DEFUPD_PHASE_DOWNLOAD)
        run->total += part->plan.bytes;
    return DEFUPD_OK;
}
