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
    uint64_t day; /* bytes left of the day; 0: no limit */
    bool metered;
    uint64_t delay_s;
    const char *licence; /* policy's class */
    int32_t reason;      /* scheduled and update; NONE: they take it */
    defupd_code told;    /* ... and what it is told as, when it is told as a failure */
    defupd_code code;    /* named */
    bool replaces;       /* for a withdrawn release */
};

#define CLASSED(class)                                                                       \
    "<release version='1003' published='2026-11-21T09:00:00Z' size='9' files='1' tree='" DD( \
        "03") "' requires='' class='" class "'>" FULL("03") "</release>"

/* Licences of every case: "old" ends at the very second. */
static const defupd_licence av = { sizeof av, 0, NOON + 1, "av" };
static const defupd_licence old = { sizeof old, 0, NOON, "old" };
static const defupd_licence ever = { sizeof ever, 0, 0, "ever" };
static const defupd_licence *const licences[] = { &old, &ever, &av, NULL };

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
    { "the day's bytes", R3(""), .day = 999, .reason = DEFUPD_REASON_BUDGET,
      .told = DEFUPD_E_BUDGET, .code = DEFUPD_E_BUDGET },
    { "the day's bytes, enough", R3(""), .day = 1000, .replaces = true },
    { "the day's bytes, ordered to pass over", R3(""), .day = 999, .over_budget = true,
      .reason = DEFUPD_REASON_BUDGET, .told = DEFUPD_E_BUDGET },
    { "bytes are dear", R3(""), .metered = true, .reason = DEFUPD_REASON_METERED,
      .told = DEFUPD_E_BUDGET, .code = DEFUPD_E_BUDGET },
    { "bytes are dear, ordered to pass over", R3(""), .metered = true, .over_budget = true,
      .reason = DEFUPD_REASON_METERED, .told = DEFUPD_E_BUDGET },
    { "bytes are dear, by delta", R3(DELTA_(1002, "0a", 10, "1") DELTA_(1004, "0b", 10, "1")),
      .metered = true, .replaces = true },
    { "published an hour ago less a second", R3(""), .delay_s = 10801,
      .reason = DEFUPD_REASON_DELAY, .replaces = true },
    { "published an hour ago", R3(""), .delay_s = 10800, .replaces = true },
    { "a delay without end", R3(""), .delay_s = UINT64_MAX, .reason = DEFUPD_REASON_DELAY,
      .replaces = true },
    { "no class", R3(""), .replaces = true },
    { "a class with a licence", CLASSED("av"), .replaces = true },
    { "a class whose licence lasts for ever", CLASSED("ever"), .replaces = true },
    { "a class whose licence ends now", CLASSED("old"), .reason = DEFUPD_REASON_UNLICENSED,
      .told = DEFUPD_E_UNLICENSED, .code = DEFUPD_E_UNLICENSED, .replaces = true },
    { "a class without a licence", CLASSED("ips"), .reason = DEFUPD_REASON_UNLICENSED,
      .told = DEFUPD_E_UNLICENSED, .code = DEFUPD_E_UNLICENSED, .replaces = true },
    { "policy's class instead", CLASSED("old"), .licence = "av", .replaces = true },
    { "policy's class, expired", CLASSED("av"), .licence = "old",
      .reason = DEFUPD_REASON_UNLICENSED, .told = DEFUPD_E_UNLICENSED, .code = DEFUPD_E_UNLICENSED,
      .replaces = true },
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
    facts.has_day = gate->day != 0;
    facts.day = gate->day;
    facts.day_ends = NOON + 43200;
    facts.metered = gate->metered;
    facts.delay_s = gate->delay_s;
    facts.licence = gate->licence;
    facts.licences = licences;
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
               gates[i].reason, gates[i].told);
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

/* --- what is said --- */

static void the_text_says_what_would_help(void)
{
    static const struct {
        const struct gate gate;
        bool held_by_policy;
        const char *words;
    } t[] = {
        { { .name = "day", .release = R3(""), .day = 999 },
          false,
          "it costs 1,000 bytes, the day's budget has 999 left until 2026-11-22T00:00:00Z; take it "
          "now with 'defupd update tetra@1003 --over-budget'" },
        { { .name = "metered", .release = R3(""), .metered = true },
          false,
          "'defupd update tetra@1003 --over-budget'" },
        { { .name = "delay", .release = R3(""), .delay_s = 10801 },
          false,
          "policy waits until 2026-11-21T12:00:01Z" },
        { { .name = "old", .release = CLASSED("old") },
          false,
          "the licence of class 'old' expired at 2026-11-21T12:00:00Z" },
        { { .name = "none", .release = CLASSED("ips") }, false, "no licence of class 'ips'" },
        { { .name = "hold", .release = R3(""), .held = 1 }, false, "'defupd unhold tetra'" },
        { { .name = "hold", .release = R3(""), .held = 1 }, true, "policy holds tetra" },
        { { .name = "pin", .release = R3(""), .pin = 1002 }, true, "policy pins tetra to 1002" },
    };

    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        struct du_plan_facts facts = facts_of(&t[i].gate, DU_ORDER_UPDATE);
        DU_AUTO_MANIFEST *manifest = case_manifest(t[i].gate.release);
        struct du_plan plan;

        facts.held_by_policy = facts.pinned_by_policy = t[i].held_by_policy;
        du_plan_make(&plan, manifest, &facts);
        if (strstr(plan.text, t[i].words) == NULL ||
            (t[i].held_by_policy && strstr(plan.text, "unhold") != NULL)) {
            printf("# %s: \"%s\"\n", t[i].gate.name, plan.text);
            t_failed++;
        }
    }
}

/* An advice to unhold would lead to a refusal. */
static void what_is_held_here_and_pinned_by_policy_is_policys(void)
{
    const struct gate gate = { .name = "both", .release = R3(""), .held = 1, .pin = 1002 };
    struct du_plan_facts facts = facts_of(&gate, DU_ORDER_UPDATE);
    DU_AUTO_MANIFEST *manifest = case_manifest(gate.release);
    struct du_plan plan;

    facts.pinned_by_policy = true;
    du_plan_make(&plan, manifest, &facts);
    T_CHECK(plan.reason == DEFUPD_REASON_HELD);
    T_SAME(plan.text, "1003 is held back: policy pins tetra to 1002");
}

static void without_licences_none_is_needed(void)
{
    DU_AUTO_MANIFEST *manifest = case_manifest(CLASSED("ips"));
    struct du_plan_facts facts = case_facts(DU_ORDER_SCHEDULED, 1002);
    struct du_plan plan;

    du_plan_make(&plan, manifest, &facts);
    T_CHECK(plan.target != NULL && plan.code == DEFUPD_OK);
}

static void a_first_installation_may_be_a_full_bundle_where_bytes_are_dear(void)
{
    DU_AUTO_MANIFEST *manifest = case_manifest(R3(""));
    struct du_plan_facts facts = case_facts(DU_ORDER_SCHEDULED, 0);
    struct du_plan plan;

    facts.metered = true;
    du_plan_make(&plan, manifest, &facts);
    T_CHECK(plan.target != NULL && plan.action == DEFUPD_ACTION_INSTALL);
}

/* 1002 is installed and withdrawn. */
static void what_nothing_will_replace_is_removed_where_that_is_wanted(void)
{
    static const struct {
        const char *what, *others;
        uint64_t quarantine;
        bool metered, removed;
    } t[] = {
        { "alone", "", 0, false, true },
        { "the others are withdrawn too", R1(GONE("")) R3(GONE("")), 0, false, true },
        { "the other is in quarantine", R1(""), 1001, false, true },
        { "the other needs newer software", REL_(1003, "03", "shards", FULL("03")), 0, false,
          true },
        { "the other only waits for bytes", R1(""), 0, true, false },
        { "the other only waits for an engine", R3("<needs engine='scan' min='9'/>"), 0, false,
          false },
        { "a newer one only waits for its roll-out",
          R3(ROLLOUT("12:01", "<step after='PT0S' permille='1000'/>")), 0, false, false },
    };

    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        for (int order = DU_ORDER_SCHEDULED; order <= DU_ORDER_UPDATE; order++) {
            struct du_plan_facts facts = case_facts((enum du_order)order, 1002);
            struct du_plan keep, remove;
            char releases[2000];

            (void)snprintf(releases, sizeof releases, "%s%s", R2(GONE("")), t[i].others);
            DU_AUTO_MANIFEST *manifest = case_manifest(releases);
            facts.quarantine = &t[i].quarantine;
            facts.quarantines = t[i].quarantine != 0;
            facts.metered = t[i].metered;
            facts.held = 1; /* a withdrawal passes it */
            du_plan_make(&keep, manifest, &facts);
            facts.remove_withdrawn = true;
            du_plan_make(&remove, manifest, &facts);
            if (keep.action != DEFUPD_ACTION_NONE || keep.code != DEFUPD_E_NO_REPLACEMENT ||
                (remove.action == DEFUPD_ACTION_REMOVE) != t[i].removed ||
                (remove.code == DEFUPD_OK) != t[i].removed || remove.target != NULL) {
                printf("# %s: %d, %d \"%s\"\n", t[i].what, (int)keep.action, (int)remove.action,
                       remove.text);
                t_failed++;
            }
        }
    }
}

int main(void)
{
    T_RUN(an_order_without_a_name_obeys);
    T_RUN(a_named_order_passes_what_the_table_lets_it);
    T_RUN(a_withdrawal_passes_what_the_table_lets_it);
    T_RUN(the_cohort_is_the_releases_own);
    T_RUN(permille_0_reaches_nobody_and_1000_everybody);
    T_RUN(a_ring_is_only_for_hosts_that_have_one);
    T_RUN(the_text_says_what_would_help);
    T_RUN(what_is_held_here_and_pinned_by_policy_is_policys);
    T_RUN(without_licences_none_is_needed);
    T_RUN(a_first_installation_may_be_a_full_bundle_where_bytes_are_dear);
    T_RUN(what_nothing_will_replace_is_removed_where_that_is_wanted);
    return T_DONE();
}
