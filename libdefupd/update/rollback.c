/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Going back. Needs no network and no manifest; a manifest that is there says which releases were
 * withdrawn. What is left behind is remembered as skipped before the switch: dying in between costs
 * nothing, while the other order could bring the bad release back at the next scheduled update.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/scope.h"
#include "update/run.h"

struct back {
    enum du_back_kind kind;
    struct du_run run;
    struct du_generation next;
};

static void back_free(struct back *back)
{
    du_generation_free(&back->next);
    du_run_end(&back->run);
}

static defupd_code add_row(struct back *back, const char *name, struct du_part **out,
                           defupd_error *err)
{
    struct du_run *run = &back->run;
    struct du_part *more = realloc(run->part, (run->parts + 1) * sizeof *more);
    struct du_part *part;

    if (more == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a rollback");
    run->part = more;
    part = &more[run->parts];
    *part = (struct du_part){ .asked = true };
    (void)snprintf(part->name, sizeof part->name, "%s", name);
    DU_TRY(du_report_add(run->report, name, &part->row, err));
    run->parts++;
    DU_TRY(du_part_facts(run, part, err));
    *out = part;
    return DEFUPD_OK;
}

/* The member that a version on disk makes: from a generation that had it, else from its manifest,
 * else from its record alone. */
static defupd_code member_of(struct back *back, const struct du_part *part, uint64_t version,
                             struct du_member *member, defupd_error *err)
{
    struct du_store *store = &back->run.ctx->store;
    DU_AUTO_FREE uint64_t *number = NULL;
    DU_AUTO_RECORD record = { 0 };
    size_t count = 0;

    DU_TRY(du_store_record(store, part->name, version, &record, err));
    *member = (struct du_member){ .version = version };
    memcpy(member->component, part->name, sizeof member->component);
    memcpy(member->tree, record.tree, DU_SHA256_BYTES);
    DU_TRY(du_store_generations(store, &number, &count, err));
    for (size_t i = 0; i < count; i++) {
        DU_AUTO_GENERATION generation = { 0 };
        const struct du_member *had;
        defupd_error ignored = { 0 };

        if (du_store_generation(store, number[i], &generation, &ignored) != DEFUPD_OK)
            continue;
        had = du_generation_find(&generation, part->name);
        if (had != NULL && had->version == version &&
            memcmp(had->tree, record.tree, DU_SHA256_BYTES) == 0) {
            *member = *had;
            return DEFUPD_OK;
        }
    }
    const struct du_release *release =
        part->manifest != NULL ? du_manifest_find(part->manifest, version) : NULL;
    if (release != NULL) {
        member->published = release->published;
        memcpy(member->label, release->label, sizeof member->label);
    }
    return DEFUPD_OK;
}

/* A manifest is welcome, not needed. But lack of memory says nothing about it: going on could
 * choose what was withdrawn. */
static defupd_code load_manifest(struct back *back, struct du_part *part, defupd_error *err)
{
    defupd_error why = { 0 };
    defupd_code rc = DEFUPD_OK;

    if (back->run.trust == NULL)
        DU_TRY(du_bind_trust_if_sound(&back->run, err));
    if (back->run.trust != NULL)
        rc = du_bind_manifest(&back->run, part->name, &part->manifest, &why);
    if (rc != DEFUPD_E_NOMEM)
        return DEFUPD_OK;
    *err = why;
    return rc;
}

/* What is on disk for a trial that nobody has confirmed is nothing to go back to. */
static defupd_code drop_tried(const struct du_run *run, struct du_part *part, defupd_error *err)
{
    size_t kept = 0;

    for (size_t i = 0; i < part->on_disks; i++) {
        const int verdict = du_trial_verdict(run, part->name, part->on_disk[i]);

        if (verdict < -1)
            return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a rollback");
        if (verdict >= 0)
            part->on_disk[kept++] = part->on_disk[i];
    }
    part->on_disks = kept;
    return DEFUPD_OK;
}

static defupd_code choose_version(struct back *back, struct du_part *part, uint64_t *version,
                                  defupd_error *err)
{
    struct du_plan_facts facts = { .installed = part->installed,
                                   .on_disk = part->on_disk,
                                   .on_disks = part->on_disks,
                                   .quarantine = part->quarantine,
                                   .quarantines = part->quarantines };

    if (part->installed == 0)
        return DU_FAIL(err, DEFUPD_E_NOT_INSTALLED, "%s is not installed", part->name);
    if (*version == 0) {
        DU_TRY(drop_tried(&back->run, part, err));
        facts.on_disks = part->on_disks;
        *version = du_plan_rollback(part->manifest, &facts);
        if (*version == 0)
            return DU_FAIL(err, DEFUPD_E_NO_PREVIOUS,
                           "no earlier version of %s to go back to is on disk", part->name);
        return DEFUPD_OK;
    }
    for (size_t i = 0; i < part->on_disks; i++) {
        if (part->on_disk[i] == *version)
            return DEFUPD_OK;
    }
    return DU_FAIL(err, DEFUPD_E_NO_PREVIOUS,
                   "%s %" PRIu64 " is not on disk; 'defupd update %s@%" PRIu64
                   "' fetches it when the repository has it",
                   part->name, *version, part->name, *version);
}

static defupd_code go_back(struct back *back, struct du_part *part, uint64_t version,
                           defupd_error *err)
{
    struct du_member member;

    if (part->installed == version) {
        du_report_say(part->row, "%s %" PRIu64 " is installed already", part->name, version);
        return DEFUPD_OK;
    }
    DU_TRY(member_of(back, part, version, &member, err));
    if (du_version_check(&back->run, part->name, version, member.tree, err) != DEFUPD_OK)
        return err->code != DEFUPD_E_DAMAGED
                   ? err->code
                   : DU_FAIL(err, DEFUPD_E_DAMAGED,
                             "%s %" PRIu64 " on disk is damaged; 'defupd update %s@%" PRIu64
                             "' fetches it anew",
                             part->name, version, part->name, version);
    part->row->item.action = DEFUPD_ACTION_ROLLBACK;
    part->row->item.to_version = version;
    part->row->item.via = "disk";
    (void)snprintf(part->row->how, sizeof part->row->how, "on disk");
    memcpy(part->row->to_label, member.label, sizeof part->row->to_label);
    part->staged = true;
    return du_generation_put(&back->next, &member, err);
}

static bool is_there(const struct back *back, const char *name)
{
    for (size_t i = 0; i < back->run.parts; i++) {
        if (strcmp(back->run.part[i].name, name) == 0)
            return true;
    }
    return false;
}

/* "tetra tetra@1" is one wish; 0 when none of the words states a version. */
static uint64_t version_named(const char *const *list, const char *name)
{
    char other[DU_NAME_MAX + 1];
    uint64_t version;

    for (; *list != NULL; list++) {
        if (du_component_parse(*list, other, &version) && version != 0 && strcmp(other, name) == 0)
            return version;
    }
    return 0;
}

static defupd_code back_named(struct back *back, defupd_error *err)
{
    for (const char *const *list = back->run.request->components; *list != NULL; list++) {
        char name[DU_NAME_MAX + 1];
        struct du_part *part;
        uint64_t version;

        if (!du_component_parse(*list, name, &version))
            return DU_FAIL(err, DEFUPD_E_INVALID,
                           "'%s' is not a component's name, nor NAME@VERSION", *list);
        if (is_there(back, name))
            continue;
        if (version == 0)
            version = version_named(list + 1, name);
        DU_TRY(add_row(back, name, &part, err));
        DU_TRY(du_rule_check(&back->run, part, err));
        DU_TRY(load_manifest(back, part, err));
        DU_TRY(choose_version(back, part, &version, err));
        DU_TRY(go_back(back, part, version, err));
    }
    return DEFUPD_OK;
}

/* The components that were older in `generation` than they are now. */
static defupd_code back_to(struct back *back, const struct du_generation *generation,
                           defupd_error *err)
{
    const struct du_generation *current = &back->run.current;

    for (size_t i = 0; i < current->count; i++) {
        const struct du_member *now = &current->member[i];
        const struct du_member *then = du_generation_find(generation, now->component);
        struct du_part *part;
        uint64_t version = 0;

        if (then == NULL || then->version >= now->version ||
            du_rule_disabled(back->run.ctx->options, now->component))
            continue;
        DU_TRY(add_row(back, now->component, &part, err));
        DU_TRY(load_manifest(back, part, err));
        const struct du_release *release =
            part->manifest != NULL ? du_manifest_find(part->manifest, then->version) : NULL;
        if ((release == NULL || !release->withdrawn) &&
            du_trial_verdict(&back->run, part->name, then->version) >= 0)
            version = then->version;
        DU_TRY(choose_version(back, part, &version, err));
        DU_TRY(go_back(back, part, version, err));
    }
    return DEFUPD_OK;
}

/* Without names: undo the last change, that is the newest generation on disk in which something was
 * older. A second rollback goes further back, never forward again. */
static defupd_code back_all(struct back *back, defupd_error *err)
{
    struct du_store *store = &back->run.ctx->store;
    DU_AUTO_FREE uint64_t *number = NULL;
    size_t count = 0;

    if (back->run.current.number == 0)
        return DU_FAIL(err, DEFUPD_E_NOT_INSTALLED, "nothing is installed in %s", store->path);
    DU_TRY(du_store_generations(store, &number, &count, err));
    for (size_t i = count; i > 0 && back->run.parts == 0; i--) {
        DU_AUTO_GENERATION generation = { 0 };
        defupd_error ignored = { 0 };

        if (number[i - 1] >= back->run.current.number ||
            du_store_generation(store, number[i - 1], &generation, &ignored) != DEFUPD_OK)
            continue;
        DU_TRY(back_to(back, &generation, err));
    }
    if (back->run.parts == 0)
        return DU_FAIL(err, DEFUPD_E_NO_PREVIOUS,
                       "no earlier generation with an older version is on disk");
    return DEFUPD_OK;
}

/* One of those on trial goes back, or, where it has nothing to go back to, stays: then it is at
 * least left for the next release that comes. */
static defupd_code back_tried(struct back *back, const char *name, defupd_error *err)
{
    struct du_part *part;
    uint64_t version = 0;

    DU_TRY(add_row(back, name, &part, err));
    DU_TRY(load_manifest(back, part, err));
    if (choose_version(back, part, &version, err) == DEFUPD_OK &&
        go_back(back, part, version, err) == DEFUPD_OK)
        return DEFUPD_OK;
    if (err->code == DEFUPD_E_CANCELLED || err->code == DEFUPD_E_NOMEM)
        return err->code;
    part->given_up = true;
    du_report_fail(part->row, err);
    return DEFUPD_OK;
}

static defupd_code back_from_trial(struct back *back, defupd_error *err)
{
    struct du_run *run = &back->run;

    for (size_t i = 0; i < run->current.count; i++) {
        const struct du_member *member = &run->current.member[i];

        if (du_trial_is_named(run, member) && du_trial_awaits(run, member->component))
            DU_TRY(back_tried(back, member->component, err));
    }
    if (run->parts == 0)
        return DU_FAIL(err, DEFUPD_E_NO_PREVIOUS, "not on trial; 'defupd rollback' goes back");
    return DEFUPD_OK;
}

/* For whoever reads quarantine and reports. */
static const char *why_of(enum du_back_kind kind)
{
    switch (kind) {
    case DU_BACK_ORDER:
    case DU_BACK_NOT:
    case DU_BACK_REJECTED: break;
    case DU_BACK_EXPIRED: return "its trial ended without a confirmation";
    case DU_BACK_CRASHED: return "the product started too often without a confirmation";
    }
    return "rejected on this host";
}

/* Refused before the switch, as with a skip. */
static void refuse(struct back *back)
{
    struct du_run *run = &back->run;

    for (size_t i = 0; back->kind != DU_BACK_ORDER && i < run->parts; i++) {
        const struct du_part *part = &run->part[i];

        if (!part->staged && !part->given_up)
            continue;
        du_quarantine_add(run, part->name, part->installed, why_of(back->kind));
        du_trial_drop(run, part->name);
    }
}

static defupd_code set_skip(struct back *back, const struct du_part *part, uint64_t skip,
                            defupd_error *err)
{
    struct du_store *store = &back->run.ctx->store;
    DU_AUTO_FACT fact = { 0 };

    if (du_store_fact_read(store, DU_FACT_HOLD, part->name, &fact) == DU_FACT_UNREADABLE)
        return DEFUPD_OK; /* it means held, which is more than a skip: leave it so */
    if (skip != 0)
        DU_TRY(du_fact_set_u64(&fact, "skip", skip, err));
    else
        DU_TRY(du_fact_set(&fact, "skip", NULL, err));
    return du_store_fact_write(store, DU_FACT_HOLD, part->name, &fact, err);
}

/* Going forward by `rollback C@V` leaves nothing to skip. */
static bool leaves_skip(const struct back *back, const struct du_part *part)
{
    return back->kind == DU_BACK_ORDER && part->staged &&
           part->row->item.to_version < part->installed;
}

/* Ask the product of each component that goes back; one that does not want to stays. */
static defupd_code quiesce(struct back *back, bool *any, defupd_error *err)
{
    struct du_run *run = &back->run;

    for (size_t i = 0; i < run->parts; i++) {
        struct du_part *part = &run->part[i];
        defupd_error own = { 0 };

        if (part->staged && back->kind != DU_BACK_CRASHED &&
            du_hook_pre(run, part, &own) != DEFUPD_OK) {
            du_report_fail(part->row, &own);
            if (own.code == DEFUPD_E_CANCELLED || own.code == DEFUPD_E_NOMEM) {
                *err = own;
                return own.code;
            }
            part->staged = false;
            DU_TRY(
                du_generation_put(&back->next, du_generation_find(&run->current, part->name), err));
        }
        *any = *any || part->staged;
    }
    return DEFUPD_OK;
}

static defupd_code make_current(struct back *back, defupd_error *err)
{
    struct du_run *run = &back->run;
    bool switched = false;
    defupd_code rc = DEFUPD_OK;

    for (size_t i = 0; i < run->parts && rc == DEFUPD_OK; i++) {
        if (leaves_skip(back, &run->part[i]))
            rc = set_skip(back, &run->part[i], run->part[i].installed, err);
    }
    (void)snprintf(back->next.reason, sizeof back->next.reason, "%s",
                   back->kind == DU_BACK_ORDER ? "rollback" : "reject");
    if (rc == DEFUPD_OK)
        rc = du_trial_activate(run, &back->next, &switched, err);
    if (switched)
        run->report->generation = back->next.number;
    for (size_t i = 0; i < run->parts; i++) {
        defupd_error ignored = { 0 };

        if (switched && run->part[i].staged)
            run->part[i].row->item.progress = DEFUPD_PROGRESS_ACTIVE;
        else if (leaves_skip(back, &run->part[i]))
            (void)!set_skip(back, &run->part[i], run->part[i].skip, &ignored);
    }
    return rc;
}

static defupd_code switch_back(struct back *back, defupd_error *err)
{
    struct du_run *run = &back->run;
    bool any = false;
    defupd_code rc = quiesce(back, &any, err);

    if (rc == DEFUPD_OK)
        refuse(back);
    if (rc == DEFUPD_OK && any)
        rc = make_current(back, err);
    else if (rc == DEFUPD_OK && back->kind != DU_BACK_ORDER)
        rc = du_trial_write(run, err);
    for (size_t i = 0; i < run->parts; i++)
        du_hook_post(run, &run->part[i], rc == DEFUPD_OK ? NULL : err);
    return rc;
}

static defupd_code work(struct back *back, defupd_error *err)
{
    const struct du_generation *current = &back->run.current;

    for (size_t i = 0; i < current->count; i++)
        DU_TRY(du_generation_put(&back->next, &current->member[i], err));
    if (back->kind != DU_BACK_ORDER)
        DU_TRY(back_from_trial(back, err));
    else
        DU_TRY(back->run.request->components != NULL ? back_named(back, err) : back_all(back, err));
    if ((back->run.request->flags & DEFUPD_REQUEST_DRY_RUN) != 0)
        return DEFUPD_OK;
    return switch_back(back, err);
}

/* An outcome is told once. Where the call itself does what it should, the failure of a trial is the
 * component's, not the call's. */
static void tell_part(struct back *back, struct du_part *part)
{
    struct du_run *run = &back->run;
    struct du_report_row *row = part->row;
    struct du_attempt attempt = { .at = run->now, .text = row->text, .source = "" };
    const bool failed = row->item.code != DEFUPD_OK;

    if (!failed && back->kind != DU_BACK_ORDER) {
        row->item.code = DEFUPD_E_TRIAL;
        du_report_say(row, "%s %" PRIu64 ": %s", part->name, part->installed, why_of(back->kind));
    }
    attempt.code = row->item.code;
    if (row->item.progress == DEFUPD_PROGRESS_ACTIVE &&
        (!failed || row->item.code == DEFUPD_E_HOOK))
        du_run_event(run, DEFUPD_EVENT_ROLLED_BACK, row);
    if (failed)
        du_run_event(run, DEFUPD_EVENT_FAILED, row);
    if ((run->request->flags & DEFUPD_REQUEST_DRY_RUN) == 0)
        du_attempt_write(run, part->name, &attempt, false);
    if (!failed)
        row->item.code = DEFUPD_OK;
}

defupd_code du_rollback(struct du_context *ctx, const defupd_request *request,
                        enum du_back_kind kind, defupd_report **report, defupd_error *err)
{
    DU_AUTO(back_free)
    struct back back = { .kind = kind, .run = { .kind = DU_RUN_INSTALL, .trust_dir = -1 } };
    struct du_run *run = &back.run;
    defupd_code rc;

    DU_TRY(kind == DU_BACK_ORDER ? du_run_begin(run, ctx, request, err)
                                 : du_trial_enter(run, ctx, request, err));
    rc = work(&back, err);
    for (size_t i = 0; i < run->parts; i++) {
        if (rc != DEFUPD_OK)
            du_report_fail(run->part[i].row, err);
        tell_part(&back, &run->part[i]);
    }
    if (!run->read_only)
        du_run_sweep(run);
    if (rc == DEFUPD_OK)
        rc = du_report_end(run->report, err);
    *report = du_take(&run->report);
    return rc;
}
