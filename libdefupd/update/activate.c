/* SPDX-License-Identifier: Apache-2.0 */
/* What stands complete becomes current: one generation, one switch, products asked around it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "update/run.h"

bool du_part_is_going(const struct du_part *part)
{
    return part->plan.target != NULL && part->plan.action != DEFUPD_ACTION_NONE &&
           part->row->item.code == DEFUPD_OK;
}

/* Withdrawn, nothing replaces it, and policy wants it gone. */
bool du_part_is_leaving(const struct du_part *part)
{
    return part->plan.action == DEFUPD_ACTION_REMOVE && part->row->item.code == DEFUPD_OK;
}

/* Does the next generation differ in this component? */
bool du_part_is_moving(const struct du_part *part)
{
    return (du_part_is_going(part) && part->staged) || du_part_is_leaving(part);
}

static defupd_code put_member(struct du_generation *next, const struct du_part *part,
                              defupd_error *err)
{
    const struct du_release *target = part->plan.target;
    struct du_member member = { .version = target->version, .published = target->published };

    memcpy(member.component, part->name, sizeof member.component);
    memcpy(member.label, target->label, sizeof member.label);
    memcpy(member.tree, target->tree, DU_SHA256_BYTES);
    return du_generation_put(next, &member, err);
}

/* The current members and every staged part, without those whose needs then do not hold. */
static defupd_code compose(struct du_run *run, struct du_generation *next, size_t *count,
                           defupd_error *err)
{
    bool again = true;

    while (again) {
        again = false;
        *count = 0;
        du_generation_free(next);
        for (size_t i = 0; i < run->current.count; i++)
            DU_TRY(du_generation_put(next, &run->current.member[i], err));
        for (size_t i = 0; i < run->parts; i++) {
            if (!du_part_is_moving(&run->part[i]))
                continue;
            if (du_part_is_leaving(&run->part[i]))
                du_generation_drop(next, run->part[i].name);
            else
                DU_TRY(put_member(next, &run->part[i], err));
            (*count)++;
        }
        for (size_t i = 0; i < run->parts; i++) {
            struct du_part *part = &run->part[i];
            const struct du_need *unmet = NULL;
            defupd_error own = { 0 };

            if (!du_part_is_going(part) || !part->staged ||
                du_part_needs_hold(run, part, next, &unmet))
                continue;
            (void)DU_FAIL(&own, DEFUPD_E_NEEDS, "%s %" PRIu64 " needs %s %" PRIu64 " or newer",
                          part->name, part->plan.target->version, unmet->name, unmet->min);
            du_report_fail(part->row, &own);
            again = true;
        }
    }
    return DEFUPD_OK;
}

static const char *reason_of(const struct du_run *run)
{
    const char *reason = run->current.number == 0 ? "install" : run->lost ? "repair" : "update";

    for (size_t i = 0; i < run->parts; i++) {
        if (du_part_is_moving(&run->part[i]) &&
            (run->part[i].plan.action == DEFUPD_ACTION_REPLACE ||
             run->part[i].plan.action == DEFUPD_ACTION_REMOVE))
            reason = "withdrawal";
    }
    return reason;
}

/* A version that was named is wanted: the skip that a rollback left has done its work, and so has
 * the quarantine that a person passed over. */
static void clear_refusals(struct du_run *run, const struct du_part *part)
{
    DU_AUTO_FACT fact = { 0 };
    defupd_error err = { 0 };

    if (part->named != 0)
        du_quarantine_drop(run, part->name, part->named);
    if (part->named == 0 || part->skip != part->named ||
        du_store_fact_read(&run->ctx->store, DU_FACT_HOLD, part->name, &fact) != DU_FACT_READ)
        return;
    if (du_fact_set(&fact, "skip", NULL, &err) != DEFUPD_OK ||
        du_store_fact_write(&run->ctx->store, DU_FACT_HOLD, part->name, &fact, &err) != DEFUPD_OK)
        du_log(&run->ctx->events, DEFUPD_LEVEL_WARNING, "update",
               "%s: the skip of %" PRIu64 " could not be removed: %s", part->name, part->skip,
               err.message);
}

/* Ask the product of each component that moves; one that does not want to stays. */
static defupd_code quiesce(struct du_run *run, defupd_error *err)
{
    for (size_t i = 0; i < run->parts; i++) {
        struct du_part *part = &run->part[i];
        defupd_error own = { 0 };

        if (!du_part_is_moving(part) || du_hook_pre(run, part, &own) == DEFUPD_OK)
            continue;
        du_report_fail(part->row, &own);
        if (own.code == DEFUPD_E_CANCELLED || own.code == DEFUPD_E_NOMEM) {
            *err = own;
            return own.code;
        }
    }
    return DEFUPD_OK;
}

static defupd_code make_current(struct du_run *run, struct du_generation *next, defupd_error *err)
{
    bool switched = false;
    defupd_code rc;

    if (atomic_load(&run->ctx->cancel))
        return DU_FAIL(err, DEFUPD_E_CANCELLED, "cancelled; what was downloaded is kept");
    (void)snprintf(next->reason, sizeof next->reason, "%s", reason_of(run));
    rc = du_trial_activate(run, next, &switched, err);
    if (rc != DEFUPD_OK)
        (void)du_err_prefix(err, "activating generation %" PRIu64, next->number);
    if (switched)
        run->report->generation = next->number;
    for (size_t i = 0; i < run->parts; i++) {
        struct du_part *part = &run->part[i];

        if (!du_part_is_moving(part))
            continue;
        if (switched)
            part->row->item.progress = DEFUPD_PROGRESS_ACTIVE;
        if (rc != DEFUPD_OK)
            du_report_fail(part->row, err);
        else
            clear_refusals(run, part);
    }
    return rc;
}

/* Every product that may have been told to be quiet is told to go on, whatever happened. */
defupd_code du_run_activate(struct du_run *run, defupd_error *err)
{
    DU_AUTO_GENERATION next = { 0 };
    size_t count = 0;
    defupd_code rc;

    DU_TRY(compose(run, &next, &count, err));
    rc = quiesce(run, err);
    if (rc == DEFUPD_OK)
        rc = compose(run, &next, &count, err);
    if (rc == DEFUPD_OK && (count > 0 || (run->lost && next.count > 0)))
        rc = make_current(run, &next, err);
    for (size_t i = 0; i < run->parts; i++)
        du_hook_post(run, &run->part[i], rc == DEFUPD_OK ? NULL : err);
    return rc;
}
