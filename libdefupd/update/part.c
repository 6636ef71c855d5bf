/* SPDX-License-Identifier: Apache-2.0 */
/* One component: the facts that the store knows of it, and what the planner makes of them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bundle/bundle.h"
#include "crypto/crypto.h"
#include "delta/delta.h"
#include "update/run.h"

/* Codecs that this client decodes. */
static const char *const codecs[] = { DU_BUNDLE_CODEC, DU_DELTA_CODEC, NULL };

/* "1002,1003" */
static defupd_code read_quarantine(struct du_part *part, const struct du_fact *fact,
                                   defupd_error *err)
{
    char list[4096];
    char *rest = list;

    if (du_fact_get(fact, "refuse", list, sizeof list) == NULL)
        return DEFUPD_OK;
    for (char *word; (word = strsep(&rest, ",")) != NULL;) {
        uint64_t *more = realloc(part->quarantine, (part->quarantines + 1) * sizeof *more);

        if (more == NULL)
            return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for the quarantine of %s", part->name);
        part->quarantine = more;
        if (du_version_parse(word, &more[part->quarantines]))
            part->quarantines++;
    }
    return DEFUPD_OK;
}

/* Unreadable facts fail to the safe side: held means held, quarantine means validate again. */
static defupd_code read_facts(struct du_run *run, struct du_part *part, defupd_error *err)
{
    const struct du_store *store = &run->ctx->store;
    DU_AUTO_FACT hold = { 0 }, quarantine = { 0 };

    switch (du_store_fact_read(store, DU_FACT_HOLD, part->name, &hold)) {
    case DU_FACT_ABSENT: break;
    case DU_FACT_UNREADABLE:
        part->held = true;
        du_log(&run->ctx->events, DEFUPD_LEVEL_WARNING, "update",
               "%s: holds/%s cannot be read: treated as held", part->name, part->name);
        break;
    case DU_FACT_READ: {
        char when[32];
        part->held = du_fact_get(&hold, "hold", when, sizeof when) != NULL;
        (void)du_fact_get_u64(&hold, "pin", &part->pin);
        (void)du_fact_get_u64(&hold, "skip", &part->skip);
        break;
    }
    }
    switch (du_store_fact_read(store, DU_FACT_QUARANTINE, part->name, &quarantine)) {
    case DU_FACT_ABSENT: break;
    case DU_FACT_UNREADABLE:
        du_log(&run->ctx->events, DEFUPD_LEVEL_WARNING, "update",
               "%s: quarantine/%s cannot be read: nothing is refused", part->name, part->name);
        break;
    case DU_FACT_READ: DU_TRY(read_quarantine(part, &quarantine, err)); break;
    }
    return DEFUPD_OK;
}

defupd_code du_part_facts(struct du_run *run, struct du_part *part, defupd_error *err)
{
    const struct du_member *member = du_generation_find(&run->current, part->name);

    part->row->item.from_version = part->row->item.to_version = 0;
    if (member != NULL) {
        part->installed = member->version;
        memcpy(part->installed_tree, member->tree, DU_SHA256_BYTES);
        part->row->item.from_version = part->row->item.to_version = member->version;
        memcpy(part->row->from_label, member->label, sizeof part->row->from_label);
        memcpy(part->row->to_label, member->label, sizeof part->row->to_label);
    }
    DU_TRY(read_facts(run, part, err));
    du_rule_apply(run, part);
    DU_TRY(du_distrust_read(run, part->name, &part->distrust, err));
    DU_TRY(du_store_versions(&run->ctx->store, part->name, &part->on_disk, &part->on_disks, err));
    if (part->installed == 0)
        return DEFUPD_OK;
    for (size_t i = 0; i < part->on_disks; i++) {
        if (part->on_disk[i] == part->installed)
            return DEFUPD_OK;
    }
    /* Installed, but its folder or record is gone: nothing can start from it. */
    return du_distrust_version(&part->distrust, part->installed, err);
}

struct cohort {
    const struct du_run *run;
    const struct du_part *part;
};

static uint32_t cohort_of(void *user, uint64_t version)
{
    const struct cohort *cohort = user;
    unsigned char hmac[DU_SHA256_BYTES];
    char text[DU_NAME_MAX + 1 + DU_VERSION_TEXT];
    const size_t len = strlen(cohort->part->name) + 1;

    memcpy(text, cohort->part->name, len); /* with its NUL */
    (void)snprintf(text + len, sizeof text - len, "%llu", (unsigned long long)version);
    du_hmac_sha256(hmac, cohort->run->host_id, DU_HOST_ID_BYTES, text, len + strlen(text + len));
    return du_plan_cohort(hmac);
}

static uint64_t have(void *user, const struct du_object *object)
{
    const struct du_run *run = user;
    bool complete;
    const uint64_t bytes = du_store_download_bytes(&run->ctx->store, object->sha256, &complete);

    /* Without network a part is worth nothing: only whole objects lead anywhere. */
    if (!du_run_has_wire(run) && !complete)
        return 0;
    return bytes < object->bytes ? bytes : object->bytes;
}

static bool refused(void *user, const struct du_object *object)
{
    const struct cohort *of = user;
    const struct du_import *import = of->run->import;
    bool complete = false;

    if (du_distrust_has_delta(&of->part->distrust, object->sha256))
        return true;
    if (import == NULL || du_import_has(import, object))
        return false;
    (void)du_store_download_bytes(&of->run->ctx->store, object->sha256, &complete);
    return !complete;
}

/* What a budget leaves for this part: `taken`, and what the others of the run will take, is gone.
 */
static uint64_t budget_left(const struct du_run *run, const struct du_part *part, uint64_t budget,
                            uint64_t taken)
{
    for (size_t i = 0; i < run->parts; i++) {
        const struct du_part *other = &run->part[i];

        if (other == part || other->plan.target == NULL || other->row->item.code != DEFUPD_OK ||
            other->row->item.progress >= DEFUPD_PROGRESS_DOWNLOADED)
            continue;
        if (!du_add(taken, other->plan.bytes, &taken))
            return 0;
    }
    return taken < budget ? budget - taken : 0;
}

void du_part_tell(struct du_part *part)
{
    const struct du_plan *plan = &part->plan;
    struct du_report_row *row = part->row;

    row->item.action = plan->action;
    row->item.reason = plan->reason;
    row->item.newest = plan->newest;
    row->item.objects = (uint32_t)plan->steps;
    row->item.bytes = plan->bytes;
    row->item.full_bytes = plan->full_bytes;
    row->item.via = "";
    row->item.base_version = row->item.through_version = 0;
    row->how[0] = '\0';
    row->item.code = plan->code;
    row->item.to_version = part->installed;
    memcpy(row->to_label, row->from_label, sizeof row->to_label);
    du_report_say(row, "%s", plan->text);
    if (plan->action == DEFUPD_ACTION_REMOVE) {
        row->item.to_version = 0;
        row->to_label[0] = '\0';
        return;
    }
    if (plan->action == DEFUPD_ACTION_NONE || plan->target == NULL)
        return;
    row->item.to_version = plan->target->version;
    memcpy(row->to_label, plan->target->label, sizeof row->to_label);
    du_plan_how(plan, row->how, sizeof row->how);
    if (plan->on_disk)
        row->item.via = "disk";
    else if (plan->steps == 2)
        row->item.via = "delta+delta";
    else if (plan->steps == 1)
        row->item.via = plan->step[0]->from == 0 ? "full" : "delta";
    if (plan->steps > 0)
        row->item.base_version = plan->step[0]->from;
    if (plan->steps == 2)
        row->item.through_version = plan->step_version[0];
}

/* A version on disk only counts as the release of that number when it is the same tree. */
static void drop_other_trees(const struct du_run *run, struct du_part *part)
{
    size_t kept = 0;

    for (size_t i = 0; i < part->on_disks; i++) {
        const uint64_t version = part->on_disk[i];
        const struct du_release *release = du_manifest_find(part->manifest, version);
        unsigned char tree[DU_SHA256_BYTES];
        defupd_error ignored = { 0 };

        if (release != NULL && release->requires == NULL &&
            du_record_tree(&run->ctx->store, part->name, version, tree, &ignored) == DEFUPD_OK &&
            memcmp(tree, release->tree, DU_SHA256_BYTES) == 0)
            part->on_disk[kept++] = version;
    }
    part->on_disks = kept;
}

void du_part_plan(struct du_run *run, struct du_part *part)
{
    struct cohort cohort = { run, part };
    struct du_plan_facts facts = run->facts;
    const defupd_client_options *options = run->ctx->options;
    const defupd_rule *rule = du_rule_of(options, part->name);

    drop_other_trees(run, part);
    facts.order = part->named != 0                                        ? DU_ORDER_NAMED
                  : (run->request->flags & DEFUPD_REQUEST_SCHEDULED) != 0 ? DU_ORDER_SCHEDULED
                                                                          : DU_ORDER_UPDATE;
    facts.named = part->named;
    facts.installed = part->installed;
    facts.installed_tree = part->installed != 0 ? part->installed_tree : NULL;
    facts.held = part->held;
    facts.pin = part->pin;
    facts.held_by_policy = part->held_by_policy;
    facts.pinned_by_policy = part->pinned_by_policy;
    facts.delay_s = rule->delay_s;
    facts.licences = options->licences;
    facts.licence = rule->licence;
    facts.remove_withdrawn = (options->flags & DEFUPD_CLIENT_REMOVE_WITHDRAWN) != 0;
    facts.ring = rule->ring != NULL ? rule->ring : options->ring;
    facts.skip = part->skip;
    facts.quarantine = part->quarantine;
    facts.quarantines = part->quarantines;
    facts.accept_quarantined = (run->request->flags & DEFUPD_REQUEST_ACCEPT_QUARANTINED) != 0;
    facts.on_disk = part->on_disk;
    facts.on_disks = part->on_disks;
    facts.cohort_of = cohort_of;
    facts.cohort_user = &cohort;
    facts.damaged = part->distrust.version;
    facts.damageds = part->distrust.versions;
    facts.codec = codecs;
    /* Without network nothing is fetched, and what is missing is not a matter of bytes. */
    facts.metered = (options->flags & DEFUPD_CLIENT_METERED) != 0 && du_run_has_wire(run);
    facts.has_budget = options->budget_bytes != 0 && du_run_has_wire(run);
    facts.budget = budget_left(run, part, options->budget_bytes, run->report->fetched);
    facts.has_day = options->bytes_per_day != 0 && du_run_has_wire(run);
    facts.day = budget_left(run, part, options->bytes_per_day, run->day_used);
    facts.day_ends = du_day_ends(run);
    facts.over_budget = (run->request->flags & DEFUPD_REQUEST_OVER_BUDGET) != 0;
    facts.through_max = options->max_tree_bytes;
    facts.have = have;
    facts.have_user = run;
    facts.refused = refused;
    facts.refused_user = &cohort;
    du_plan_make(&part->plan, part->manifest, &facts);
    if (run->trial.on && part->plan.action == DEFUPD_ACTION_UPDATE && part->named == 0 &&
        du_trial_is_wanted(run, part->name)) {
        part->plan.reason = DEFUPD_REASON_TRIAL;
        (void)snprintf(part->plan.text, sizeof part->plan.text,
                       "it is only staged, until the trial of what is installed has ended");
    }
    du_part_tell(part);
}

bool du_part_needs_hold(const struct du_run *run, const struct du_part *part,
                        const struct du_generation *next, const struct du_need **unmet)
{
    const struct du_release *target = part->plan.target;

    (void)run; /* engines do not change within a run: the plan has judged them */
    for (size_t i = 0; target != NULL && i < target->needs; i++) {
        const struct du_need *need = &target->need[i];
        const struct du_member *member;

        if (need->engine)
            continue;
        member = du_generation_find(next, need->name);
        if (member == NULL || member->version < need->min) {
            *unmet = need;
            return false;
        }
    }
    return true;
}

void du_part_free(struct du_part *part)
{
    du_manifest_freep(&part->manifest);
    free(part->quarantine);
    free(part->on_disk);
    du_distrust_free(&part->distrust);
}
