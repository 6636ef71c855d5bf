/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "plan/plan_priv.h"

#define ULL(n) ((unsigned long long)(n))

/* What looking at the releases above the installed one brought up. */
struct du_look {
    struct du_verdict take;   /* the newest that may be taken; release NULL if none */
    struct du_verdict back;   /* the one whose being held back is told; release NULL if none */
    struct du_verdict unseen; /* the newest that this client does not understand */
    bool withdrawn;           /* some are withdrawn */
};

static enum du_way way_of(enum du_order order)
{
    switch (order) {
    case DU_ORDER_SCHEDULED: return DU_WAY_SCHEDULED;
    case DU_ORDER_UPDATE: return DU_WAY_UPDATE;
    case DU_ORDER_NAMED: return DU_WAY_NAMED;
    }
    return DU_WAY_SCHEDULED; /* the strictest */
}

static void look_up(struct du_look *look, const struct du_case *c)
{
    const enum du_way way = way_of(c->facts->order);

    *look = (struct du_look){ 0 };
    for (size_t i = 0; i < c->manifest->count; i++) {
        const struct du_release *release = &c->manifest->release[i];
        struct du_verdict verdict;

        if (release->version <= c->facts->installed)
            return; /* nothing goes down by itself */
        du_gate_judge(&verdict, c, release, way);
        if (verdict.reason == DEFUPD_REASON_NONE) {
            look->take = verdict;
            return;
        }
        look->withdrawn = look->withdrawn || verdict.reason == DEFUPD_REASON_WITHDRAWN;
        if (verdict.reason == DEFUPD_REASON_REQUIRES) {
            if (look->unseen.release == NULL)
                look->unseen = verdict;
        } else if (release->version == c->facts->pin ||
                   (look->back.release == NULL && verdict.reason != DEFUPD_REASON_WITHDRAWN)) {
            look->back = verdict; /* of a pinned component, the pin's own trouble is what counts */
        }
    }
}

static void take(struct du_plan *plan, int32_t action, const struct du_verdict *verdict)
{
    const struct du_path *path = &verdict->path;

    plan->action = action;
    plan->target = verdict->release;
    plan->on_disk = path->on_disk;
    memcpy(plan->step, path->step, sizeof plan->step);
    memcpy(plan->step_version, path->step_version, sizeof plan->step_version);
    plan->steps = path->steps;
    plan->bytes = path->bytes;
    plan->full_bytes = verdict->release->full.bytes;
}

/* The newest older release that passes as a replacement, of those on disk or of all. */
static bool find_older(struct du_verdict *found, const struct du_case *c, bool on_disk)
{
    for (size_t i = 0; i < c->manifest->count; i++) {
        const struct du_release *release = &c->manifest->release[i];

        if (release->version >= c->facts->installed ||
            (on_disk && !du_gate_on_disk(c->facts, release->version)))
            continue;
        du_gate_judge(found, c, release, DU_WAY_WITHDRAWAL);
        if (found->reason == DEFUPD_REASON_NONE)
            return true;
    }
    return false;
}

/* Is there a release that could take its place one day: one that only has to wait for bytes, for
 * what it needs, or for its roll-out? */
static bool may_be_replaced(const struct du_case *c)
{
    for (size_t i = 0; i < c->manifest->count; i++) {
        struct du_verdict verdict;

        du_gate_judge(&verdict, c, &c->manifest->release[i], DU_WAY_WITHDRAWAL);
        if (verdict.reason != DEFUPD_REASON_WITHDRAWN && verdict.reason != DEFUPD_REASON_REQUIRES &&
            verdict.reason != DEFUPD_REASON_QUARANTINED &&
            verdict.reason != DEFUPD_REASON_NO_OBJECT)
            return true;
    }
    return false;
}

/* The installed release is withdrawn: leave it for something. */
static void replace(struct du_plan *plan, const struct du_case *c, const struct du_look *look)
{
    const struct du_release *named = du_manifest_find(c->manifest, c->installed->replace_by);
    struct du_verdict found = look->take, by;

    if (named != NULL) {
        du_gate_judge(&by, c, named, DU_WAY_WITHDRAWAL);
        if (by.reason == DEFUPD_REASON_NONE &&
            (found.release == NULL || found.release->version < named->version))
            found = by;
    }
    if (found.release == NULL && !find_older(&found, c, true) && !find_older(&found, c, false))
        found.release = NULL;

    plan->reason = DEFUPD_REASON_WITHDRAWN;
    du_say_withdrawn(plan, c->installed);
    if (found.release != NULL) {
        take(plan, DEFUPD_ACTION_REPLACE, &found);
        du_say(plan, "; %llu replaces it", ULL(found.release->version));
        return;
    }
    if (c->facts->remove_withdrawn && !may_be_replaced(c)) {
        plan->action = DEFUPD_ACTION_REMOVE;
        du_say(plan, "; nothing can replace it, and policy wants it removed");
        return;
    }
    plan->code = DEFUPD_E_NO_REPLACEMENT;
    du_say(plan, "; nothing can replace it, so it stays");
    if (look->back.release != NULL) {
        du_say(plan, "; ");
        du_say_held_back(plan, c, &look->back);
    }
}

/* A pin that is neither installed nor among the releases above. */
static void say_pin(struct du_plan *plan, const struct du_case *c)
{
    const uint64_t pin = c->facts->pin;

    plan->reason = DEFUPD_REASON_PINNED;
    if (pin < c->facts->installed)
        du_say(plan,
               "%s is pinned to %llu, which is older than what is installed; "
               "go there with 'defupd update %s@%llu'",
               c->manifest->component, ULL(pin), c->manifest->component, ULL(pin));
    else
        du_say(plan, "%s is pinned to %llu, which is not published", c->manifest->component,
               ULL(pin));
}

/* Why nothing newer is taken, or not the newest. */
static void explain(struct du_plan *plan, const struct du_case *c, const struct du_look *look)
{
    if (look->back.release != NULL) {
        plan->reason = look->back.reason;
        du_say_held_back(plan, c, &look->back);
    } else if (look->unseen.release != NULL) {
        plan->reason = look->unseen.reason;
    } else if (plan->target != NULL) {
        plan->reason = DEFUPD_REASON_NONE;
    } else if (c->facts->pin != 0 && c->facts->pin != c->facts->installed) {
        say_pin(plan, c);
    } else if (plan->newest == 0) {
        plan->reason = look->withdrawn ? DEFUPD_REASON_WITHDRAWN : DEFUPD_REASON_NO_RELEASE;
        du_say(plan, look->withdrawn ? "all releases are withdrawn" : "no release is published");
    } else {
        plan->reason = DEFUPD_REASON_NEWEST;
        if (plan->newest < c->facts->installed)
            du_say(plan,
                   "%llu is installed, the newest release is %llu; nothing goes back by itself",
                   ULL(c->facts->installed), ULL(plan->newest));
    }
    if (look->unseen.release != NULL) { /* never taken, but said so */
        if (plan->text[0] != '\0')
            du_say(plan, "; ");
        du_say_held_back(plan, c, &look->unseen);
    }
}

/* A host with nothing installed has no protection: what no waiting mends is a failure then. */
static defupd_code code_of_nothing(int32_t reason)
{
    switch ((defupd_reason)reason) {
    case DEFUPD_REASON_NEEDS: return DEFUPD_E_NEEDS;
    case DEFUPD_REASON_NO_OBJECT: return DEFUPD_E_NO_OBJECT;
    case DEFUPD_REASON_REQUIRES: return DEFUPD_E_MANIFEST_NEWER;
    case DEFUPD_REASON_BUDGET: return DEFUPD_E_BUDGET;
    case DEFUPD_REASON_NONE:
    case DEFUPD_REASON_NEWEST:
    case DEFUPD_REASON_HELD:
    case DEFUPD_REASON_PINNED:
    case DEFUPD_REASON_SKIPPED:
    case DEFUPD_REASON_QUARANTINED:
    case DEFUPD_REASON_ROLLOUT:
    case DEFUPD_REASON_PAUSED:
    case DEFUPD_REASON_WITHDRAWN:
    case DEFUPD_REASON_UNLICENSED:
    case DEFUPD_REASON_DELAY:
    case DEFUPD_REASON_METERED:
    case DEFUPD_REASON_DISABLED:
    case DEFUPD_REASON_TRIAL:
    case DEFUPD_REASON_NO_RELEASE: break;
    }
    return DEFUPD_OK;
}

/* What keeps a host from news until a person or a day comes is told as a failure. */
static defupd_code code_of_gate(const struct du_verdict *back)
{
    if (back->release == NULL)
        return DEFUPD_OK;
    if (back->reason == DEFUPD_REASON_UNLICENSED)
        return DEFUPD_E_UNLICENSED;
    return back->reason == DEFUPD_REASON_METERED ||
                   (back->reason == DEFUPD_REASON_BUDGET && back->daily)
               ? DEFUPD_E_BUDGET
               : DEFUPD_OK;
}

static void plan_newest(struct du_plan *plan, const struct du_case *c)
{
    struct du_look look;

    look_up(&look, c);
    if (c->installed != NULL && c->installed->withdrawn) {
        replace(plan, c, &look);
        return;
    }
    if (look.take.release != NULL)
        take(plan, c->facts->installed == 0 ? DEFUPD_ACTION_INSTALL : DEFUPD_ACTION_UPDATE,
             &look.take);
    if (plan->target == NULL && c->reused) {
        plan->code = DEFUPD_E_VERSION_REUSED;
        plan->reason = look.back.reason;
        du_say_reused(plan, c);
        return;
    }
    explain(plan, c, &look);
    if (plan->target == NULL)
        plan->code = code_of_gate(&look.back);
    if (plan->target == NULL && plan->code == DEFUPD_OK && c->facts->installed == 0)
        plan->code = code_of_nothing(plan->reason);
}

/* Why a named release cannot be taken. */
static defupd_code code_of_named(int32_t reason)
{
    switch ((defupd_reason)reason) {
    case DEFUPD_REASON_REQUIRES: return DEFUPD_E_MANIFEST_NEWER;
    case DEFUPD_REASON_WITHDRAWN: return DEFUPD_E_WITHDRAWN;
    case DEFUPD_REASON_HELD:
    case DEFUPD_REASON_PINNED: return DEFUPD_E_HELD;
    case DEFUPD_REASON_QUARANTINED: return DEFUPD_E_QUARANTINED;
    case DEFUPD_REASON_NEEDS: return DEFUPD_E_NEEDS;
    case DEFUPD_REASON_NO_OBJECT: return DEFUPD_E_NO_OBJECT;
    case DEFUPD_REASON_UNLICENSED: return DEFUPD_E_UNLICENSED;
    case DEFUPD_REASON_METERED:
    case DEFUPD_REASON_BUDGET: return DEFUPD_E_BUDGET;
    case DEFUPD_REASON_NONE:
    case DEFUPD_REASON_NEWEST:
    case DEFUPD_REASON_SKIPPED:
    case DEFUPD_REASON_ROLLOUT:
    case DEFUPD_REASON_PAUSED:
    case DEFUPD_REASON_DELAY:
    case DEFUPD_REASON_DISABLED:
    case DEFUPD_REASON_TRIAL:
    case DEFUPD_REASON_NO_RELEASE: break; /* these do not keep a named release away */
    }
    return DEFUPD_E_BUG;
}

/* The version that is named is the one installed: nothing to do, but perhaps to say. */
static void plan_same(struct du_plan *plan, const struct du_case *c)
{
    if (c->installed != NULL && c->installed->withdrawn) {
        plan->reason = DEFUPD_REASON_WITHDRAWN;
        plan->code = DEFUPD_E_WITHDRAWN;
        du_say_withdrawn(plan, c->installed);
    } else if (c->reused) {
        plan->code = DEFUPD_E_VERSION_REUSED;
        du_say_reused(plan, c);
    } else {
        if (plan->newest == c->facts->installed)
            plan->reason = DEFUPD_REASON_NEWEST;
        du_say(plan, "%llu is installed already", ULL(c->facts->installed));
    }
}

static void plan_named(struct du_plan *plan, const struct du_case *c)
{
    const struct du_plan_facts *facts = c->facts;
    const struct du_release *release = du_manifest_find(c->manifest, facts->named);
    struct du_verdict verdict;

    if (facts->named != 0 && facts->named == facts->installed) {
        plan_same(plan, c);
        return;
    }
    if (release == NULL) {
        plan->reason = DEFUPD_REASON_NO_RELEASE;
        plan->code = DEFUPD_E_NO_RELEASE;
        du_say_no_release(plan, c, facts->named);
        return;
    }
    du_gate_judge(&verdict, c, release, DU_WAY_NAMED);
    if (verdict.reason != DEFUPD_REASON_NONE) {
        plan->reason = verdict.reason;
        plan->code = code_of_named(verdict.reason);
        du_say_held_back(plan, c, &verdict);
        return;
    }
    take(plan,
         facts->installed == 0             ? DEFUPD_ACTION_INSTALL
         : facts->named > facts->installed ? DEFUPD_ACTION_UPDATE
                                           : DEFUPD_ACTION_ROLLBACK,
         &verdict);
}

static struct du_case case_of(const struct du_manifest *manifest, const struct du_plan_facts *facts)
{
    struct du_case c = { .manifest = manifest, .facts = facts };

    c.installed = du_manifest_find(manifest, facts->installed); /* none is 0 */
    if (c.installed != NULL && c.installed->requires != NULL)
        c.installed = NULL;
    c.reused = c.installed != NULL && facts->installed_tree != NULL &&
               memcmp(c.installed->tree, facts->installed_tree, DU_SHA256_BYTES) != 0;
    return c;
}

bool du_plan_path(struct du_plan *plan, const struct du_manifest *manifest,
                  const struct du_plan_facts *facts, const struct du_release *release)
{
    const struct du_case c = case_of(manifest, facts);
    struct du_verdict verdict = { .release = release };

    *plan = (struct du_plan){ .action = DEFUPD_ACTION_NONE, .code = DEFUPD_OK };
    if (!du_path_find(&verdict.path, &c, release))
        return false;
    take(plan, DEFUPD_ACTION_NONE, &verdict);
    return true;
}

void du_plan_make(struct du_plan *plan, const struct du_manifest *manifest,
                  const struct du_plan_facts *facts)
{
    const struct du_case c = case_of(manifest, facts);

    *plan = (struct du_plan){ .action = DEFUPD_ACTION_NONE, .code = DEFUPD_OK };
    for (size_t i = 0; i < manifest->count && plan->newest == 0; i++) {
        if (manifest->release[i].requires == NULL && !manifest->release[i].withdrawn)
            plan->newest = manifest->release[i].version;
    }
    if (facts->order == DU_ORDER_NAMED)
        plan_named(plan, &c);
    else
        plan_newest(plan, &c);
}

uint64_t du_plan_rollback(const struct du_manifest *manifest, const struct du_plan_facts *facts)
{
    uint64_t best = 0;

    for (size_t i = 0; i < facts->on_disks; i++) {
        const uint64_t version = facts->on_disk[i];
        const struct du_release *release =
            manifest != NULL ? du_manifest_find(manifest, version) : NULL;

        if (version >= facts->installed || version <= best || du_gate_quarantined(facts, version) ||
            (release != NULL && release->requires == NULL && release->withdrawn))
            continue;
        best = version;
    }
    return best;
}
