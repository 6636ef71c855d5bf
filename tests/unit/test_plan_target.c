/* SPDX-License-Identifier: Apache-2.0 */
/* Which release is gone to, and what is said about it. */
#include "plan/plan.h"

#include "plan_case.h"

#define LATER ROLLOUT("09:00", "<step after='PT6H' permille='1000'/>")
#define NEVER ROLLOUT("09:00", "<step after='PT0S' permille='1'/>")
#define UNKNOWN(v, d) REL_(v, d, "rollout shards", "")

struct target {
    const char *name, *releases;
    uint64_t installed, named, skip, pin;
    uint64_t quarantine[2], on_disk[2];
    bool held;
    int32_t action;
    uint64_t to; /* 0: stays */
    int32_t reason;
    defupd_code code;
    uint64_t newest;
    const char *text;
};

static struct du_plan_facts facts_of(const struct target *t, enum du_order order)
{
    struct du_plan_facts facts = case_facts(order, t->installed);

    facts.named = t->named;
    facts.skip = t->skip;
    facts.pin = t->pin;
    facts.held = t->held;
    facts.quarantine = t->quarantine;
    facts.on_disk = t->on_disk;
    while (facts.quarantines < 2 && t->quarantine[facts.quarantines] != 0)
        facts.quarantines++;
    while (facts.on_disks < 2 && t->on_disk[facts.on_disks] != 0)
        facts.on_disks++;
    return facts;
}

static void run(const struct target *t, enum du_order order)
{
    DU_AUTO_MANIFEST *manifest = case_manifest(t->releases);
    const struct du_plan_facts facts = facts_of(t, order);
    const int before = t_failed;
    struct du_plan plan;

    memset(&plan, 0x55, sizeof plan);
    du_plan_make(&plan, manifest, &facts);
    T_CHECK(plan.action == t->action);
    T_CHECK((plan.target == NULL ? 0 : plan.target->version) == t->to);
    T_CHECK(plan.reason == t->reason);
    T_CHECK(plan.code == t->code);
    T_CHECK(plan.newest == t->newest);
    T_SAME(plan.text, t->text);
    if (t_failed != before)
        printf("# %s: action %d to %llu, reason %d, %s, newest %llu\n", t->name, (int)plan.action,
               plan.target == NULL ? 0ULL : (unsigned long long)plan.target->version,
               (int)plan.reason, defupd_code_name(plan.code), (unsigned long long)plan.newest);
}

static const struct target by_itself[] = {
    { "first installation", R1("") R3("") R2(""), .action = DEFUPD_ACTION_INSTALL, .to = 1003,
      .newest = 1003, .text = "" },
    { "an update", R1("") R2("") R3(""), .installed = 1001, .action = DEFUPD_ACTION_UPDATE,
      .to = 1003, .newest = 1003, .text = "" },
    { "nothing new", R1("") R2(""), .installed = 1002, .reason = DEFUPD_REASON_NEWEST,
      .newest = 1002, .text = "" },
    { "installed is not listed any more", R2("") R3(""), .installed = 1001,
      .action = DEFUPD_ACTION_UPDATE, .to = 1003, .newest = 1003, .text = "" },
    { "never down by itself", R1("") R2(""), .installed = 1003, .reason = DEFUPD_REASON_NEWEST,
      .newest = 1002,
      .text = "1003 is installed, the newest release is 1002; nothing goes back by itself" },
    { "nothing published", "", .installed = 1003, .reason = DEFUPD_REASON_NO_RELEASE,
      .text = "no release is published" },
    { "nothing published, nothing installed", "", .reason = DEFUPD_REASON_NO_RELEASE,
      .text = "no release is published" },
    { "all withdrawn", R1(GONE("")) R2(GONE("")), .reason = DEFUPD_REASON_WITHDRAWN,
      .text = "all releases are withdrawn" },
    { "the newest is withdrawn", R1("") R2("") R3(GONE("")), .installed = 1001,
      .action = DEFUPD_ACTION_UPDATE, .to = 1002, .newest = 1002, .text = "" },
    { "only a withdrawn one above", R2("") R3(GONE("")), .installed = 1002,
      .reason = DEFUPD_REASON_NEWEST, .newest = 1002, .text = "" },

    { "the newest in roll-out, the one before it taken", R1("") R2("") R3(LATER), .installed = 1001,
      .action = DEFUPD_ACTION_UPDATE, .to = 1002, .reason = DEFUPD_REASON_ROLLOUT, .newest = 1003,
      .text = "1003 is held back: its roll-out reaches this host at 2026-11-21T15:00:00Z; take it "
              "now with 'defupd update tetra@1003'" },
    { "a roll-out without a time for this host", R2("") R3(NEVER), .installed = 1002,
      .reason = DEFUPD_REASON_ROLLOUT, .newest = 1003,
      .text = "1003 is held back: its roll-out has not reached this host yet; take it now with "
              "'defupd update tetra@1003'" },
    { "first installation during a roll-out", R2("") R3(NEVER), .action = DEFUPD_ACTION_INSTALL,
      .to = 1002, .reason = DEFUPD_REASON_ROLLOUT, .newest = 1003,
      .text = "1003 is held back: its roll-out has not reached this host yet; take it now with "
              "'defupd update tetra@1003'" },
    { "two stages of roll-out: the newest is told", R2("") R3(LATER) R4(NEVER), .installed = 1002,
      .reason = DEFUPD_REASON_ROLLOUT, .newest = 1004,
      .text = "1004 is held back: its roll-out has not reached this host yet; take it now with "
              "'defupd update tetra@1004'" },
    { "paused", R2("") R3("<rollout start='2026-11-21T09:00:00Z' paused='2026-11-21T10:00:00Z'/>"),
      .installed = 1002, .reason = DEFUPD_REASON_PAUSED, .newest = 1003,
      .text = "1003 is held back: the publisher has paused its roll-out; take it now with "
              "'defupd update tetra@1003'" },
    { "skipped", R2("") R3(""), .installed = 1002, .skip = 1003, .reason = DEFUPD_REASON_SKIPPED,
      .newest = 1003,
      .text = "1003 is held back: skipped since the rollback; take it with "
              "'defupd update tetra@1003'" },
    { "the one after the skipped is taken", R2("") R3("") R4(""), .installed = 1002, .skip = 1003,
      .action = DEFUPD_ACTION_UPDATE, .to = 1004, .newest = 1004, .text = "" },
    { "the one before the skipped is taken", R1("") R2("") R3(""), .installed = 1001, .skip = 1003,
      .action = DEFUPD_ACTION_UPDATE, .to = 1002, .reason = DEFUPD_REASON_SKIPPED, .newest = 1003,
      .text = "1003 is held back: skipped since the rollback; take it with "
              "'defupd update tetra@1003'" },
    { "in quarantine", R2("") R3(""), .installed = 1002, .quarantine = { 1, 1003 },
      .reason = DEFUPD_REASON_QUARANTINED, .newest = 1003,
      .text = "1003 is held back: in quarantine on this host; take it with "
              "'defupd update tetra@1003 --accept-quarantined'" },

    { "held", R2("") R3(""), .installed = 1002, .held = true, .reason = DEFUPD_REASON_HELD,
      .newest = 1003,
      .text = "1003 is held back: tetra is held; let it go with 'defupd unhold tetra'" },
    { "held before it is installed", R2(""), .held = true, .reason = DEFUPD_REASON_HELD,
      .newest = 1002,
      .text = "1002 is held back: tetra is held; let it go with 'defupd unhold tetra'" },
    { "held at the newest", R2(""), .installed = 1002, .held = true, .reason = DEFUPD_REASON_NEWEST,
      .newest = 1002, .text = "" },
    { "pinned to what is installed", R2("") R3(""), .installed = 1002, .pin = 1002,
      .reason = DEFUPD_REASON_PINNED, .newest = 1003,
      .text = "1003 is held back: tetra is pinned to 1002; let it go with 'defupd unhold tetra'" },
    { "pinned to something above, not the newest", R1("") R2("") R3(""), .installed = 1001,
      .pin = 1002, .action = DEFUPD_ACTION_UPDATE, .to = 1002, .reason = DEFUPD_REASON_PINNED,
      .newest = 1003,
      .text = "1003 is held back: tetra is pinned to 1002; let it go with 'defupd unhold tetra'" },
    { "pinned to the newest", R1("") R2(""), .installed = 1001, .pin = 1002,
      .action = DEFUPD_ACTION_UPDATE, .to = 1002, .newest = 1002, .text = "" },
    { "pinned before it is installed", R1("") R2("") R3(""), .pin = 1002,
      .action = DEFUPD_ACTION_INSTALL, .to = 1002, .reason = DEFUPD_REASON_PINNED, .newest = 1003,
      .text = "1003 is held back: tetra is pinned to 1002; let it go with 'defupd unhold tetra'" },
    { "the pin's own roll-out is what counts", R1("") R2(NEVER) R3(""), .installed = 1001,
      .pin = 1002, .reason = DEFUPD_REASON_ROLLOUT, .newest = 1003,
      .text = "1002 is held back: its roll-out has not reached this host yet; take it now with "
              "'defupd update tetra@1002'" },
    { "the pin is withdrawn", R1("") R2(GONE("")) R3(""), .installed = 1001, .pin = 1002,
      .reason = DEFUPD_REASON_WITHDRAWN, .newest = 1003, .text = "1002 is withdrawn" },
    { "the pin is older than what is installed", R1("") R2(""), .installed = 1002, .pin = 1001,
      .reason = DEFUPD_REASON_PINNED, .newest = 1002,
      .text = "tetra is pinned to 1001, which is older than what is installed; go there with "
              "'defupd update tetra@1001'" },
    { "the pin is not published", R1("") R2(""), .installed = 1002, .pin = 1009,
      .reason = DEFUPD_REASON_PINNED, .newest = 1002,
      .text = "tetra is pinned to 1009, which is not published" },

    { "an engine is missing", R2("") R3("<needs engine='net' min='2'/>"), .installed = 1002,
      .reason = DEFUPD_REASON_NEEDS, .newest = 1003,
      .text =
          "1003 is held back: it needs engine net 2 or newer, which is not known on this host" },
    { "an engine is old, the release before it taken",
      R1("") R2("") R3("<needs engine='scan' min='5'/>"), .installed = 1001,
      .action = DEFUPD_ACTION_UPDATE, .to = 1002, .reason = DEFUPD_REASON_NEEDS, .newest = 1003,
      .text = "1003 is held back: it needs engine scan 5 or newer, this host has 4.10" },
    { "a component is missing", R2("") R3("<needs component='ips' min='7'/>"), .installed = 1002,
      .reason = DEFUPD_REASON_NEEDS, .newest = 1003,
      .text = "1003 is held back: it needs ips 7 or newer, which is not installed" },
    { "a component is old, nothing installed", R3("<needs component='yara' min='21'/>"),
      .reason = DEFUPD_REASON_NEEDS, .code = DEFUPD_E_NEEDS, .newest = 1003,
      .text = "1003 is held back: it needs yara 21 or newer, this host has 20" },
    { "no usable object, nothing installed", REL_(1003, "03", "", FULL_("03", 9, "tar+br")),
      .reason = DEFUPD_REASON_NO_OBJECT, .code = DEFUPD_E_NO_OBJECT, .newest = 1003,
      .text = "1003 is held back: its objects are packed in a way (tar+br) that this client does "
              "not know; update this software" },
    { "no object", R2("") REL_(1003, "03", "", ""), .installed = 1002,
      .reason = DEFUPD_REASON_NO_OBJECT, .newest = 1003,
      .text = "1003 is held back: it has no object to fetch" },
    { "a delta that does not lead there", R2("") REL_(1003, "03", "", DELTA_(1001, "03", 9, "1")),
      .installed = 1002, .reason = DEFUPD_REASON_NO_OBJECT, .newest = 1003,
      .text = "1003 is held back: none of its objects leads there from what is installed" },

    { "invisible above the newest", R2("") UNKNOWN(1003, "03"), .installed = 1002,
      .reason = DEFUPD_REASON_REQUIRES, .newest = 1002,
      .text = "1003 needs a newer client, it requires 'shards'; update this software" },
    { "invisible above the one that is taken", R1("") R2("") UNKNOWN(1003, "03"), .installed = 1001,
      .action = DEFUPD_ACTION_UPDATE, .to = 1002, .reason = DEFUPD_REASON_REQUIRES, .newest = 1002,
      .text = "1003 needs a newer client, it requires 'shards'; update this software" },
    { "invisible below the one that is taken", R1("") UNKNOWN(1002, "02") R3(""), .installed = 1001,
      .action = DEFUPD_ACTION_UPDATE, .to = 1003, .newest = 1003, .text = "" },
    { "only invisible ones, nothing installed", UNKNOWN(1002, "02") UNKNOWN(1003, "03"),
      .reason = DEFUPD_REASON_REQUIRES, .code = DEFUPD_E_MANIFEST_NEWER,
      .text = "1003 needs a newer client, it requires 'shards'; update this software" },
    { "invisible and held back", R2("") R3(NEVER) UNKNOWN(1004, "04"), .installed = 1002,
      .reason = DEFUPD_REASON_ROLLOUT, .newest = 1003,
      .text = "1003 is held back: its roll-out has not reached this host yet; take it now with "
              "'defupd update tetra@1003'; 1004 needs a newer client, it requires 'shards'; update "
              "this software" },
    { "the installed one is invisible", UNKNOWN(1002, "02"), .installed = 1002,
      .reason = DEFUPD_REASON_NO_RELEASE, .text = "no release is published" },

    { "withdrawn with replace-by", R1("") R2("") R3(GONE("replace-by='1001' reason='it hurts'")),
      .installed = 1003, .action = DEFUPD_ACTION_REPLACE, .to = 1001,
      .reason = DEFUPD_REASON_WITHDRAWN, .newest = 1002,
      .text = "1003 is withdrawn: it hurts; 1001 replaces it" },
    { "withdrawn, replace-by is not published", R1("") R2("") R3(GONE("replace-by='7'")),
      .installed = 1003, .action = DEFUPD_ACTION_REPLACE, .to = 1002,
      .reason = DEFUPD_REASON_WITHDRAWN, .newest = 1002,
      .text = "1003 is withdrawn; 1002 replaces it" },
    { "withdrawn, replace-by in quarantine", R1("") R2("") R3(GONE("replace-by='1002'")),
      .installed = 1003, .quarantine = { 1002, 0 }, .action = DEFUPD_ACTION_REPLACE, .to = 1001,
      .reason = DEFUPD_REASON_WITHDRAWN, .newest = 1002,
      .text = "1003 is withdrawn; 1001 replaces it" },
    { "withdrawn, replace-by withdrawn too", R1("") R2(GONE("")) R3(GONE("replace-by='1002'")),
      .installed = 1003, .action = DEFUPD_ACTION_REPLACE, .to = 1001,
      .reason = DEFUPD_REASON_WITHDRAWN, .newest = 1001,
      .text = "1003 is withdrawn; 1001 replaces it" },
    { "withdrawn, the newest older one does not fit",
      R1("") R2("<needs engine='net' min='1'/>") R3(GONE("")), .installed = 1003,
      .action = DEFUPD_ACTION_REPLACE, .to = 1001, .reason = DEFUPD_REASON_WITHDRAWN,
      .newest = 1002, .text = "1003 is withdrawn; 1001 replaces it" },
    { "withdrawn, on disk preferred", R1("") R2("") R3(GONE("")), .installed = 1003,
      .on_disk = { 1001, 1003 }, .action = DEFUPD_ACTION_REPLACE, .to = 1001,
      .reason = DEFUPD_REASON_WITHDRAWN, .newest = 1002,
      .text = "1003 is withdrawn; 1001 replaces it" },
    { "withdrawn, on disk but in quarantine", R1("") R2("") R3(GONE("")), .installed = 1003,
      .on_disk = { 1001, 1003 }, .quarantine = { 1001, 0 }, .action = DEFUPD_ACTION_REPLACE,
      .to = 1002, .reason = DEFUPD_REASON_WITHDRAWN, .newest = 1002,
      .text = "1003 is withdrawn; 1002 replaces it" },
    { "withdrawn, a newer release passes the gates", R2("") R3(GONE("replace-by='1002'")) R4(""),
      .installed = 1003, .action = DEFUPD_ACTION_REPLACE, .to = 1004,
      .reason = DEFUPD_REASON_WITHDRAWN, .newest = 1004,
      .text = "1003 is withdrawn; 1004 replaces it" },
    { "withdrawn, the newer release is in roll-out", R2("") R3(GONE("")) R4(NEVER),
      .installed = 1003, .action = DEFUPD_ACTION_REPLACE, .to = 1002,
      .reason = DEFUPD_REASON_WITHDRAWN, .newest = 1004,
      .text = "1003 is withdrawn; 1002 replaces it" },
    { "withdrawn in favour of a newer release in roll-out",
      R2("") R3(GONE("replace-by='1004'")) R4(NEVER), .installed = 1003,
      .action = DEFUPD_ACTION_REPLACE, .to = 1004, .reason = DEFUPD_REASON_WITHDRAWN,
      .newest = 1004, .text = "1003 is withdrawn; 1004 replaces it" },
    { "withdrawn, replace-by is newer than what the gates let through",
      R2("") R3("") REL_(1001, "01", "", FULL("01") GONE("replace-by='1003'")), .installed = 1001,
      .skip = 1003, .action = DEFUPD_ACTION_REPLACE, .to = 1003, .reason = DEFUPD_REASON_WITHDRAWN,
      .newest = 1003, .text = "1001 is withdrawn; 1003 replaces it" },
    { "withdrawn passes hold, pin and skip", R2("") R3(GONE("")) R4(""), .installed = 1003,
      .held = true, .pin = 1003, .skip = 1002, .action = DEFUPD_ACTION_REPLACE, .to = 1002,
      .reason = DEFUPD_REASON_WITHDRAWN, .newest = 1004,
      .text = "1003 is withdrawn; 1002 replaces it" },
    { "withdrawn, nothing left", R2(GONE("")) R3(GONE("reason='x'")), .installed = 1003,
      .reason = DEFUPD_REASON_WITHDRAWN, .code = DEFUPD_E_NO_REPLACEMENT,
      .text = "1003 is withdrawn: x; nothing can replace it, so it stays" },
    { "withdrawn, nothing left but one held back", R3(GONE("")) R4(NEVER), .installed = 1003,
      .reason = DEFUPD_REASON_WITHDRAWN, .code = DEFUPD_E_NO_REPLACEMENT, .newest = 1004,
      .text = "1003 is withdrawn; nothing can replace it, so it stays; 1004 is held back: its "
              "roll-out has not reached this host yet; take it now with 'defupd update "
              "tetra@1004'" },
};

static void scheduled_and_update_go_up_as_far_as_the_gates_let_them(void)
{
    for (size_t i = 0; i < sizeof by_itself / sizeof by_itself[0]; i++) {
        run(&by_itself[i], DU_ORDER_SCHEDULED);
        run(&by_itself[i], DU_ORDER_UPDATE);
    }
}

static void a_named_version_is_gone_to_or_the_reason_is_told(void)
{
    static const struct target t[] = {
        { "newer", R1("") R2("") R3(""), .installed = 1001, .named = 1002,
          .action = DEFUPD_ACTION_UPDATE, .to = 1002, .newest = 1003, .text = "" },
        { "older", R1("") R2("") R3(""), .installed = 1003, .named = 1001,
          .action = DEFUPD_ACTION_ROLLBACK, .to = 1001, .newest = 1003, .text = "" },
        { "first installation", R1("") R2(""), .named = 1001, .action = DEFUPD_ACTION_INSTALL,
          .to = 1001, .newest = 1002, .text = "" },
        { "installed already", R1("") R2(""), .installed = 1001, .named = 1001, .newest = 1002,
          .text = "1001 is installed already" },
        { "installed already, held", R1("") R2(""), .installed = 1002, .named = 1002, .held = true,
          .reason = DEFUPD_REASON_NEWEST, .newest = 1002, .text = "1002 is installed already" },
        { "installed already, not listed", R2(""), .installed = 1001, .named = 1001, .newest = 1002,
          .text = "1001 is installed already" },
        { "installed already, withdrawn", R1("") R2(GONE("reason='x'")), .installed = 1002,
          .named = 1002, .reason = DEFUPD_REASON_WITHDRAWN, .code = DEFUPD_E_WITHDRAWN,
          .newest = 1001, .text = "1002 is withdrawn: x" },
        { "away from a withdrawn one", R1("") R2("") R3(GONE("replace-by='1002'")),
          .installed = 1003, .named = 1001, .action = DEFUPD_ACTION_ROLLBACK, .to = 1001,
          .newest = 1002, .text = "" },
        { "not published", R1("") R2("") R3(GONE("")) UNKNOWN(1004, "04"), .installed = 1001,
          .named = 1009, .reason = DEFUPD_REASON_NO_RELEASE, .code = DEFUPD_E_NO_RELEASE,
          .newest = 1002, .text = "there is no release 1009 of tetra; published: 1002, 1001" },
        { "not published, as nothing is", "", .named = 5, .reason = DEFUPD_REASON_NO_RELEASE,
          .code = DEFUPD_E_NO_RELEASE,
          .text = "there is no release 5 of tetra; none is published that can be taken" },
        { "not published any more, but on disk", R2(""), .installed = 1002, .named = 1001,
          .on_disk = { 1001, 1002 }, .reason = DEFUPD_REASON_NO_RELEASE,
          .code = DEFUPD_E_NO_RELEASE, .newest = 1002,
          .text = "there is no release 1001 of tetra; published: 1002; it is on disk, 'defupd "
                  "rollback tetra@1001' goes there" },
        { "withdrawn", R1("") R2(GONE("reason='false positives'")), .installed = 1001,
          .named = 1002, .reason = DEFUPD_REASON_WITHDRAWN, .code = DEFUPD_E_WITHDRAWN,
          .newest = 1001, .text = "1002 is withdrawn: false positives" },
        { "held", R1("") R2(""), .installed = 1001, .named = 1002, .held = true,
          .reason = DEFUPD_REASON_HELD, .code = DEFUPD_E_HELD, .newest = 1002,
          .text = "1002 is held back: tetra is held; let it go with 'defupd unhold tetra'" },
        { "the pin, older", R1("") R2(""), .installed = 1002, .named = 1001, .pin = 1001,
          .action = DEFUPD_ACTION_ROLLBACK, .to = 1001, .newest = 1002, .text = "" },
        { "the skipped one", R1("") R2(""), .installed = 1001, .named = 1002, .skip = 1002,
          .action = DEFUPD_ACTION_UPDATE, .to = 1002, .newest = 1002, .text = "" },
        { "older, in quarantine", R1("") R2(""), .installed = 1002, .named = 1001,
          .quarantine = { 1001, 0 }, .reason = DEFUPD_REASON_QUARANTINED,
          .code = DEFUPD_E_QUARANTINED, .newest = 1002,
          .text = "1001 is held back: in quarantine on this host; take it with 'defupd update "
                  "tetra@1001 --accept-quarantined'" },
        { "invisible", R1("") UNKNOWN(1002, "02"), .installed = 1001, .named = 1002,
          .reason = DEFUPD_REASON_REQUIRES, .code = DEFUPD_E_MANIFEST_NEWER, .newest = 1001,
          .text = "1002 needs a newer client, it requires 'shards'; update this software" },
        { "no version at all", R1(""), .reason = DEFUPD_REASON_NO_RELEASE,
          .code = DEFUPD_E_NO_RELEASE, .newest = 1001,
          .text = "there is no release 0 of tetra; published: 1001" },
    };

    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++)
        run(&t[i], DU_ORDER_NAMED);
}

static void a_long_list_of_releases_is_cut(void)
{
    static const struct target t = {
        .name = "many",
        .releases = REL_(1, "01", "", "") REL_(2, "01", "", "") REL_(3, "01", "", "")
            REL_(4, "01", "", "") REL_(5, "01", "", "") REL_(6, "01", "", "") REL_(7, "01", "", "")
                REL_(8, "01", "", "") REL_(9, "01", "", ""),
        .named = 10,
        .reason = DEFUPD_REASON_NO_RELEASE,
        .code = DEFUPD_E_NO_RELEASE,
        .newest = 9,
        .text = "there is no release 10 of tetra; published: 9, 8, 7, 6, 5, 4, 3, 2 and older ones"
    };

    run(&t, DU_ORDER_NAMED);
}

/* The installed tree is not the one that the manifest lists under its version. */
static void a_version_used_twice_is_told_until_a_newer_one_comes(void)
{
    unsigned char tree[DU_SHA256_BYTES];
    DU_AUTO_MANIFEST *old = case_manifest(R1("") R2("") R3(""));
    DU_AUTO_MANIFEST *mended =
        case_manifest(R3("") REL_(1004, "04", "", FULL("04") DELTA_(1003, "05", 1, "1")));
    DU_AUTO_MANIFEST *gone = case_manifest(R2("") R3(GONE("")));
    struct du_plan_facts facts = case_facts(DU_ORDER_UPDATE, 1003);
    struct du_plan plan;

    memset(tree, 0x03, sizeof tree);
    facts.installed_tree = tree;
    du_plan_make(&plan, old, &facts);
    T_CHECK(plan.code == DEFUPD_OK && plan.reason == DEFUPD_REASON_NEWEST);
    du_plan_make(&plan, mended, &facts);
    T_CHECK(plan.target != NULL && plan.steps == 1 && plan.bytes == 1);

    tree[31] = 0x33;
    du_plan_make(&plan, old, &facts);
    T_CHECK(plan.code == DEFUPD_E_VERSION_REUSED && plan.target == NULL &&
            plan.action == DEFUPD_ACTION_NONE);
    T_SAME(plan.text,
           "1003 was published a second time with other content: tree 0303030303030303 "
           "is installed, 0303030303030303 is listed; it waits for a new version number");
    facts.held = 1;
    du_plan_make(&plan, old, &facts);
    T_CHECK(plan.code == DEFUPD_E_VERSION_REUSED && plan.target == NULL);
    facts.held = 0;
    facts.order = DU_ORDER_NAMED;
    facts.named = 1003;
    du_plan_make(&plan, old, &facts);
    T_CHECK(plan.code == DEFUPD_E_VERSION_REUSED && plan.target == NULL);

    /* Another release may be gone to, but no delta starts from a tree that is not what it says. */
    facts.named = 1002;
    du_plan_make(&plan, old, &facts);
    T_CHECK(plan.code == DEFUPD_OK && plan.action == DEFUPD_ACTION_ROLLBACK);
    facts.order = DU_ORDER_SCHEDULED;
    du_plan_make(&plan, mended, &facts);
    T_CHECK(plan.code == DEFUPD_OK && plan.target != NULL && plan.target->version == 1004 &&
            plan.steps == 1 && plan.step[0] == &plan.target->full && plan.bytes == 1000);
    du_plan_make(&plan, gone, &facts);
    T_CHECK(plan.code == DEFUPD_OK && plan.action == DEFUPD_ACTION_REPLACE);
}

static void foreign_text_is_cut_between_characters(void)
{
    char reason[257], releases[1000];
    struct du_plan_facts facts = case_facts(DU_ORDER_UPDATE, 1003);
    struct du_plan plan;

    for (size_t shift = 0; shift < 3; shift++) {
        size_t len = 0;

        for (size_t i = 0; i < shift; i++)
            reason[len++] = 'a';
        while (len + 3 <= 256) {
            memcpy(reason + len, "\xe2\x82\xac", 3);
            len += 3;
        }
        reason[len] = '\0';
        (void)snprintf(releases, sizeof releases,
                       "<release version='1003' published='2026-11-21T09:00:00Z' size='1' files='1'"
                       " tree='" DD("03") "'><withdrawn at='2026-11-21T09:00:00Z' reason='%s'/>"
                                          "</release>",
                       reason);
        DU_AUTO_MANIFEST *manifest = case_manifest(releases);
        du_plan_make(&plan, manifest, &facts);
        T_CHECK(du_utf8_ok(plan.text, strlen(plan.text)));
        T_CHECK(strstr(plan.text, "nothing can replace it") != NULL);
    }
}

int main(void)
{
    T_RUN(scheduled_and_update_go_up_as_far_as_the_gates_let_them);
    T_RUN(a_named_version_is_gone_to_or_the_reason_is_told);
    T_RUN(a_long_list_of_releases_is_cut);
    T_RUN(a_version_used_twice_is_told_until_a_newer_one_comes);
    T_RUN(foreign_text_is_cut_between_characters);
    return T_DONE();
}
