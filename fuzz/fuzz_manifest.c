/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a manifest; what is understood is planned with, from every version and order. */
#include "fuzz.h"

#include <string.h>

#include "base/name.h"
#include "plan/plan.h"

static uint64_t have(void *user, const struct du_object *object)
{
    (void)user;
    return object->sha256[0] % 4 == 0 ? object->bytes / 2 : 0;
}

static uint32_t cohort_of(void *user, uint64_t version)
{
    (void)user;
    return (uint32_t)(version * 7919 % 1000);
}

/* Installed, or complete on disk. */
static bool is_there(const struct du_plan_facts *facts, uint64_t version)
{
    for (size_t i = 0; i < facts->on_disks; i++) {
        if (facts->on_disk[i] == version)
            return true;
    }
    return version == facts->installed;
}

/* What holds for every plan, whatever the manifest says. */
static void check(const struct du_plan *plan, const struct du_manifest *manifest,
                  const struct du_plan_facts *facts)
{
    const struct du_release *target = plan->target;

    FUZZ_CHECK(memchr(plan->text, '\0', sizeof plan->text) != NULL);
    FUZZ_CHECK(du_utf8_ok(plan->text, strlen(plan->text)));
    FUZZ_CHECK((target != NULL) ==
               (plan->action != DEFUPD_ACTION_NONE && plan->action != DEFUPD_ACTION_REMOVE));
    FUZZ_CHECK(plan->action != DEFUPD_ACTION_REMOVE ||
               (facts->remove_withdrawn && facts->order != DU_ORDER_NAMED));
    FUZZ_CHECK(plan->code == DEFUPD_OK || (target == NULL && plan->text[0] != '\0'));
    if (target == NULL)
        return;
    FUZZ_CHECK(du_manifest_find(manifest, target->version) == target);
    FUZZ_CHECK(target->requires == NULL && !target->withdrawn);
    FUZZ_CHECK(target->version != facts->installed);
    FUZZ_CHECK(target->version > facts->installed || facts->order == DU_ORDER_NAMED ||
               plan->action == DEFUPD_ACTION_REPLACE);
    FUZZ_CHECK(facts->held == 0 || plan->action == DEFUPD_ACTION_REPLACE);
    FUZZ_CHECK(plan->on_disk == (plan->steps == 0) && plan->steps <= DU_PLAN_STEPS_MAX);
    if (plan->steps == 0)
        return;
    FUZZ_CHECK(plan->step_version[plan->steps - 1] == target->version);
    FUZZ_CHECK(plan->step[0]->from == 0 ? plan->steps == 1 : is_there(facts, plan->step[0]->from));
    FUZZ_CHECK(plan->steps == 1 || plan->step[1]->from == plan->step_version[0]);
    if (strcmp(target->full.codec, facts->codec[0]) == 0)
        FUZZ_CHECK(plan->bytes <= target->full.bytes);
}

/* A policy that wants much, of the same facts. */
static void under_policy(const struct du_manifest *manifest, const struct du_plan_facts *all)
{
    static const defupd_licence licence = { sizeof licence, 0, 1795262401, "antimalware" };
    static const defupd_licence *const licences[] = { &licence, NULL };
    struct du_plan_facts facts = *all;
    struct du_plan plan;

    facts.remove_withdrawn = facts.metered = facts.has_day = true;
    facts.day = 1000;
    facts.day_ends = facts.now + 1;
    facts.delay_s = 3600;
    facts.licences = licences;
    du_plan_make(&plan, manifest, &facts);
    check(&plan, manifest, &facts);
    FUZZ_CHECK(plan.bytes <= facts.day || plan.target == NULL);
}

static void plan_all(const struct du_manifest *manifest)
{
    static const char *const codecs[] = { "tar+zst", "1", NULL };
    static const struct du_engine engine[] = { { "scan", "4.1" } };
    static const struct du_installed other[] = { { "yara", 20 } };
    static const uint64_t refused[] = { 1001 }, on_disk[] = { 1000, 1002 };
    struct du_plan_facts facts = { .now = 1795262400,
                                   .quarantine = refused,
                                   .quarantines = 1,
                                   .on_disk = on_disk,
                                   .on_disks = 2,
                                   .cohort_of = cohort_of,
                                   .ring = "pilot",
                                   .engine = engine,
                                   .engines = 1,
                                   .other = other,
                                   .others = 1,
                                   .codec = codecs,
                                   .have = have };
    const size_t shown = manifest->count < 8 ? manifest->count : 8;
    struct du_plan plan;

    for (size_t i = 0; i <= shown; i++) {
        facts.installed = i < shown ? manifest->release[i].version : 0;
        facts.installed_tree = i < shown && i % 2 == 0 ? manifest->release[i].tree : NULL;
        facts.held = 0;
        facts.order = DU_ORDER_SCHEDULED;
        du_plan_make(&plan, manifest, &facts);
        check(&plan, manifest, &facts);
        facts.held = 1;
        du_plan_make(&plan, manifest, &facts);
        check(&plan, manifest, &facts);
        facts.held = 0;
        under_policy(manifest, &facts);
        facts.order = DU_ORDER_NAMED;
        for (size_t k = 0; k < shown; k++) {
            facts.named = manifest->release[k].version;
            du_plan_make(&plan, manifest, &facts);
            check(&plan, manifest, &facts);
            FUZZ_CHECK(plan.target == NULL || plan.target == &manifest->release[k]);
        }
        FUZZ_CHECK(du_plan_rollback(manifest, &facts) <= facts.installed);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct du_verified bytes = { data, size };
    struct du_manifest *manifest = NULL;
    defupd_error err = { 0 };

    if (du_manifest_parse(&manifest, &bytes, "tetra", "fuzz", &err) != DEFUPD_OK) {
        FUZZ_CHECK(manifest == NULL && err.code != DEFUPD_OK && err.message[0] != '\0');
        FUZZ_CHECK(err.code != DEFUPD_E_BUG);
        return 0;
    }
    for (size_t i = 1; i < manifest->count; i++)
        FUZZ_CHECK(manifest->release[i - 1].version > manifest->release[i].version);
    plan_all(manifest);
    du_manifest_free(manifest);
    return 0;
}
