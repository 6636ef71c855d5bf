/* SPDX-License-Identifier: Apache-2.0 */
/* The table of gates, cell by cell: 1003 stands behind a gate; who comes through? */
#include "plan/plan.h"

#include "plan_case.h"

struct gate {
    const char *name;
    const char *release; /* 1003 */
    uint64_t held, pin, skip, quarantine;
    bool accept;
    uint64_t budget; /* 0: none */
    bool over_budget;
    int32_t reason;   /* scheduled and update; NONE: they take it */
    defupd_code code; /* named */
    bool replaces;    /* for a withdrawn release */
};

static const struct gate gates[] = {
    { "none", R3(""), .replaces = true },
    { "a step that has not begun",
      R3(ROLLOUT("09:00",
                 "<step after='PT0S' permille='500'/><step after='PT4H' permille='999'/>")),
      .reason = DEFUPD_REASON_ROLLOUT, .replaces = true },
    { "a step that has begun",
      R3(ROLLOUT("09:00", "<step after='PT3H' permille='501'/><step after='PT0S' permille='1'/>")),
      .replaces = true },
    { "a start to come", R3(ROLLOUT("12:01", "<step after='PT0S' permille='1000'/>")),
      .reason = DEFUPD_REASON_ROLLOUT, .replaces = true },
    { "another ring", R3(ROLLOUT("09:00", "<ring name='canary' after='PT0S'/>")),
      .reason = DEFUPD_REASON_ROLLOUT, .replaces = true },
    { "its own ring", R3(ROLLOUT("09:00", "<ring name='pilot' after='PT3H'/>")), .replaces = true },
    { "its own ring, not begun", R3(ROLLOUT("09:00", "<ring name='pilot' after='PT3H1S'/>")),
      .reason = DEFUPD_REASON_ROLLOUT, .replaces = true },
    { "a roll-out without steps", R3(ROLLOUT("09:00", "")), .reason = DEFUPD_REASON_ROLLOUT,
      .replaces = true },
    { "a paused roll-out",
      R3("<rollout start='2026-11-21T09:00:00Z' paused='2026-11-21T10:00:00Z'>"
         "<step after='PT0S' permille='1000'/></rollout>"),
      .reason = DEFUPD_REASON_PAUSED, .replaces = true },
    { "skip", R3(""), .skip = 1003, .reason = DEFUPD_REASON_SKIPPED, .replaces = true },
    { "skip of another", R3(""), .skip = 1000, .replaces = true },
    { "hold", R3(""), .held = 1, .reason = DEFUPD_REASON_HELD, .code = DEFUPD_E_HELD,
      .replaces = true },
    { "pin", R3(""), .pin = 1002, .reason = DEFUPD_REASON_PINNED, .code = DEFUPD_E_HELD,
      .replaces = true },
    { "pin to it", R3(""), .pin = 1003, .replaces = true },
    { "quarantine", R3(""), .quarantine = 1003, .reason = DEFUPD_REASON_QUARANTINED,
      .code = DEFUPD_E_QUARANTINED },
    { "quarantine of another", R3(""), .quarantine = 1000, .replaces = true },
    { "quarantine, accepted", R3(""), .quarantine = 1003, .accept = true,
      .reason = DEFUPD_REASON_QUARANTINED },
    { "engine too old", R3("<needs engine='scan' min='4.10.1'/>"), .reason = DEFUPD_REASON_NEEDS,
      .code = DEFUPD_E_NEEDS },
    { "engine unknown", R3("<needs engine='net' min='0'/>"), .reason = DEFUPD_REASON_NEEDS,
      .code = DEFUPD_E_NEEDS },
    { "engine new enough", R3("<needs engine='scan' min='4.9'/>"), .replaces = true },
    { "client too old", R3("<needs engine='defupd' min='1000'/>"), .reason = DEFUPD_REASON_NEEDS,
      .code = DEFUPD_E_NEEDS },
    { "client new enough", R3("<needs engine='defupd' min='0.1'/>"), .replaces = true },
    { "component too old", R3("<needs component='yara' min='21'/>"), .reason = DEFUPD_REASON_NEEDS,
      .code = DEFUPD_E_NEEDS },
    { "component missing", R3("<needs component='ips' min='1'/>"), .reason = DEFUPD_REASON_NEEDS,
      .code = DEFUPD_E_NEEDS },
    { "component new enough", R3("<needs component='yara' min='20'/>"), .replaces = true },
    { "the second of two needs",
      R3("<needs component='yara' min='20'/><needs engine='scan' min='5'/>"),
      .reason = DEFUPD_REASON_NEEDS, .code = DEFUPD_E_NEEDS },
    { "needs itself, met", R3("<needs component='tetra' min='1003'/>"), .replaces = true },
    { "needs itself, not met", R3("<needs component='tetra' min='1004'/>"),
      .reason = DEFUPD_REASON_NEEDS, .code = DEFUPD_E_NEEDS },
    { "an unknown word", REL_(1003, "03", "shards", FULL("03")), .reason = DEFUPD_REASON_REQUIRES,
      .code = DEFUPD_E_MANIFEST_NEWER },
    { "an unknown codec", REL_(1003, "03", "", FULL_("03", 9, "tar+br")),
      .reason = DEFUPD_REASON_NO_OBJECT, .code = DEFUPD_E_NO_OBJECT },
    { "no object", REL_(1003, "03", "", ""), .reason = DEFUPD_REASON_NO_OBJECT,
      .code = DEFUPD_E_NO_OBJECT },
    { "budget", R3(""), .budget = 999, .reason = DEFUPD_REASON_BUDGET, .code = DEFUPD_E_BUDGET },
    { "budget that is enough", R3(""), .budget = 1000, .replaces = true },
    { "budget, ordered to pass over", R3(""), .budget = 999, .over_budget = true,
      .reason = DEFUPD_REASON_BUDGET },
    { "withdrawn", R3(GONE("")), .reason = DEFUPD_REASON_NEWEST, .code = DEFUPD_E_WITHDRAWN },
};

static struct du_plan_facts facts_of(const struct gate *gate, enum du_order order)
{
    struct du_plan_facts facts = case_facts(order, 1002);

    facts.held = gate->held;
    facts.pin = gate->pin;
    facts.skip = gate->skip;
    facts.quarantine = &gate->quarantine;
    facts.quarantines = gate->quarantine != 0;
    facts.accept_quarantined = gate->accept;
    facts.has_budget = gate->budget != 0;
    facts.budget = gate->budget;
    facts.over_budget = gate->over_budget;
    facts.ring = "pilot";
    return facts;
}

/* `code` is a failure to be said, or OK with the reason. */
static void is(const struct gate *gate, const char *column, const struct du_plan *plan,
               int32_t action, int32_t reason, defupd_code code)
{
    if (plan->action == action && plan->reason == reason && plan->code == code &&
        (plan->target != NULL) == (action != DEFUPD_ACTION_NONE) &&
        (plan->target == NULL || plan->target->version == 1003) &&
        (plan->text[0] != '\0' ||
         (code == DEFUPD_OK && (reason == DEFUPD_REASON_NONE || reason == DEFUPD_REASON_NEWEST))))
        return;
    printf("# %s, %s: expected %d/%d/%s, got %d/%d/%s \"%s\"\n", gate->name, column, (int)action,
           (int)reason, defupd_code_name(code), (int)plan->action, (int)plan->reason,
           defupd_code_name(plan->code), plan->text);
    t_failed++;
}

static void an_order_without_a_name_obeys(void)
{
    static const enum du_order orders[] = { DU_ORDER_SCHEDULED, DU_ORDER_UPDATE };

    for (size_t i = 0; i < sizeof gates / sizeof gates[0]; i++) {
        for (size_t k = 0; k < 2; k++) {
            char releases[2000];
            struct du_plan_facts facts = facts_of(&gates[i], orders[k]);
            struct du_plan plan;

            (void)snprintf(releases, sizeof releases, "%s%s", R2(""), gates[i].release);
            DU_AUTO_MANIFEST *manifest = case_manifest(releases);
            du_plan_make(&plan, manifest, &facts);
            is(&gates[i], k == 0 ? "scheduled" : "update", &plan,
               gates[i].reason == DEFUPD_REASON_NONE ? DEFUPD_ACTION_UPDATE : DEFUPD_ACTION_NONE,
               gates[i].reason, DEFUPD_OK);
        }
    }
}

static int32_t named_reason(const struct gate *gate)
{
    switch ((int)gate->code) {
    case DEFUPD_OK: return DEFUPD_REASON_NONE;
    case DEFUPD_E_WITHDRAWN: return DEFUPD_REASON_WITHDRAWN;
    default: return gate->reason;
    }
}

static void a_named_order_passes_what_the_table_lets_it(void)
{
    for (size_t i = 0; i < sizeof gates / sizeof gates[0]; i++) {
        char releases[2000];
        struct du_plan_facts facts = facts_of(&gates[i], DU_ORDER_NAMED);
        struct du_plan plan;

        (void)snprintf(releases, sizeof releases, "%s%s", R2(""), gates[i].release);
        DU_AUTO_MANIFEST *manifest = case_manifest(releases);
        facts.named = 1003;
        du_plan_make(&plan, manifest, &facts);
        is(&gates[i], "named", &plan,
           gates[i].code == DEFUPD_OK ? DEFUPD_ACTION_UPDATE : DEFUPD_ACTION_NONE,
           named_reason(&gates[i]), gates[i].code);
    }
}

/* 1002 is installed and withdrawn in favour of 1003; with 1004 it is the same downwards. */
static void a_withdrawal_passes_what_the_table_lets_it(void)
{
    for (size_t i = 0; i < sizeof gates / sizeof gates[0]; i++) {
        for (uint64_t installed = 1002; installed <= 1004; installed += 2) {
            char releases[2000];
            struct du_plan_facts facts = facts_of(&gates[i], DU_ORDER_SCHEDULED);
            struct du_plan plan;

            facts.installed = installed;
            (void)snprintf(releases, sizeof releases, "%s%s",
                           installed == 1002 ? R2(GONE("replace-by='1003'")) : R4(GONE("")),
                           gates[i].release);
            DU_AUTO_MANIFEST *manifest = case_manifest(releases);
            du_plan_make(&plan, manifest, &facts);
            is(&gates[i], "withdrawal", &plan,
               gates[i].replaces ? DEFUPD_ACTION_REPLACE : DEFUPD_ACTION_NONE,
               DEFUPD_REASON_WITHDRAWN, gates[i].replaces ? DEFUPD_OK : DEFUPD_E_NO_REPLACEMENT);
        }
    }
}

static uint32_t cohort_by_version(void *user, uint64_t version)
{
    ++*(int *)user;
    return version == 1003 ? 999 : 0;
}

static void the_cohort_is_the_releases_own(void)
{
    DU_AUTO_MANIFEST *manifest =
        case_manifest(R2(ROLLOUT("09:00", "<step after='PT0S' permille='1'/>"))
                          R3(ROLLOUT("09:00", "<step after='PT0S' permille='999'/>")));
    struct du_plan_facts facts = case_facts(DU_ORDER_SCHEDULED, 1001);
    struct du_plan plan;
    int asked = 0;

    facts.cohort_of = cohort_by_version;
    facts.cohort_user = &asked;
    du_plan_make(&plan, manifest, &facts);
    T_CHECK(plan.target != NULL && plan.target->version == 1002 && asked == 2);
}

static void permille_0_reaches_nobody_and_1000_everybody(void)
{
    static const struct {
        const char *release;
        uint32_t cohort;
        bool taken;
    } t[] = {
        { R3(ROLLOUT("09:00", "<step after='PT0S' permille='0'/>")), 0, false },
        { R3(ROLLOUT("09:00", "<step after='PT0S' permille='1'/>")), 0, true },
        { R3(ROLLOUT("09:00", "<step after='PT0S' permille='1'/>")), 1, false },
        { R3(ROLLOUT("09:00", "<step after='PT0S' permille='999'/>")), 999, false },
        { R3(ROLLOUT("09:00", "<step after='PT0S' permille='1000'/>")), 999, true },
    };

    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        DU_AUTO_MANIFEST *manifest = case_manifest(t[i].release);
        struct du_plan_facts facts = case_facts(DU_ORDER_SCHEDULED, 1002);
        struct du_plan plan;

        facts.cohort = t[i].cohort;
        du_plan_make(&plan, manifest, &facts);
        T_CHECK((plan.target != NULL) == t[i].taken);
    }
}

static void a_ring_is_only_for_hosts_that_have_one(void)
{
    DU_AUTO_MANIFEST *manifest =
        case_manifest(R3(ROLLOUT("09:00", "<ring name='pilot' after='PT0S'/>")));
    struct du_plan_facts facts = case_facts(DU_ORDER_SCHEDULED, 1002);
    struct du_plan plan;

    du_plan_make(&plan, manifest, &facts);
    T_CHECK(plan.target == NULL && plan.reason == DEFUPD_REASON_ROLLOUT);
}

int main(void)
{
    T_RUN(an_order_without_a_name_obeys);
    T_RUN(a_named_order_passes_what_the_table_lets_it);
    T_RUN(a_withdrawal_passes_what_the_table_lets_it);
    T_RUN(the_cohort_is_the_releases_own);
    T_RUN(permille_0_reaches_nobody_and_1000_everybody);
    T_RUN(a_ring_is_only_for_hosts_that_have_one);
    return T_DONE();
}
