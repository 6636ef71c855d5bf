/* SPDX-License-Identifier: Apache-2.0 */
/* The cheapest objects, and the small arithmetic beside them. */
#include "plan/plan.h"

#include "plan_case.h"

/* What is in downloads/ already: of objects whose digest begins with `digit`, that many bytes. */
struct have {
    unsigned char first;
    uint64_t bytes;
};

static uint64_t have(void *user, const struct du_object *object)
{
    const struct have *h = user;

    return object->sha256[0] == h->first ? h->bytes : 0;
}

/* Objects whose digest begins so have failed before. */
static bool refused(void *user, const struct du_object *object)
{
    const unsigned char *first = user;

    return object->sha256[0] == *first;
}

static void the_cheapest_path_is_found(void)
{
    static const struct {
        const char *name, *releases;
        uint64_t installed;
        struct have have;
        uint64_t on_disk;
        bool on_disk_wanted;
        uint64_t damaged, through_max;
        unsigned char refused;
        size_t steps;
        uint64_t bytes, full_bytes;
        unsigned char object[2]; /* first byte of each step's digest */
        uint64_t version[2], from[2];
    } t[] = {
        { "full, nothing installed", R3(""), .steps = 1, .bytes = 1000, .full_bytes = 1000,
          .object = { 0x03 }, .version = { 1003 } },
        { "a delta, nothing installed", R3(DELTA_(1002, "d3", 10, "1")), .steps = 1, .bytes = 1000,
          .full_bytes = 1000, .object = { 0x03 }, .version = { 1003 } },
        { "a delta", R2("") R3(DELTA_(1002, "d3", 10, "1")), .installed = 1002, .steps = 1,
          .bytes = 10, .full_bytes = 1000, .object = { 0xd3 }, .version = { 1003 },
          .from = { 1002 } },
        { "a delta from a version that is not listed any more", R3(DELTA_(1002, "d3", 10, "1")),
          .installed = 1002, .steps = 1, .bytes = 10, .full_bytes = 1000, .object = { 0xd3 },
          .version = { 1003 }, .from = { 1002 } },
        { "only a delta", R2("") REL_(1003, "03", "", DELTA_(1002, "d3", 10, "1")),
          .installed = 1002, .steps = 1, .bytes = 10, .object = { 0xd3 }, .version = { 1003 },
          .from = { 1002 } },
        { "a delta with an unknown codec", R2("") R3(DELTA_(1002, "d3", 10, "2")),
          .installed = 1002, .steps = 1, .bytes = 1000, .full_bytes = 1000, .object = { 0x03 },
          .version = { 1003 } },
        { "the cheaper of two codecs",
          R3(DELTA_(1002, "d3", 10, "2") DELTA_(1002, "d4", 20, "1")
                 DELTA_(1002, "d5", 15, "tar+zst")),
          .installed = 1002, .steps = 1, .bytes = 15, .full_bytes = 1000, .object = { 0xd5 },
          .version = { 1003 }, .from = { 1002 } },
        { "a full bundle with an unknown codec",
          REL_(1003, "03", "", FULL_("03", 5, "tar+br") DELTA_(1002, "d3", 10, "1")),
          .installed = 1002, .steps = 1, .bytes = 10, .full_bytes = 5, .object = { 0xd3 },
          .version = { 1003 }, .from = { 1002 } },
        { "a delta dearer than full", R3(DELTA_(1002, "d3", 1001, "1")), .installed = 1002,
          .steps = 1, .bytes = 1000, .full_bytes = 1000, .object = { 0x03 }, .version = { 1003 } },
        { "a delta as dear as full", R3(DELTA_(1002, "d3", 1000, "1")), .installed = 1002,
          .steps = 1, .bytes = 1000, .full_bytes = 1000, .object = { 0x03 }, .version = { 1003 } },
        { "a delta from elsewhere", R3(DELTA_(1001, "d3", 10, "1")), .installed = 1002, .steps = 1,
          .bytes = 1000, .full_bytes = 1000, .object = { 0x03 }, .version = { 1003 } },
        { "two deltas", R1("") R2(DELTA_(1001, "d2", 30, "1")) R3(DELTA_(1002, "d3", 10, "1")),
          .installed = 1001, .steps = 2, .bytes = 40, .full_bytes = 1000, .object = { 0xd2, 0xd3 },
          .version = { 1002, 1003 }, .from = { 1001, 1002 } },
        { "one delta dearer than two",
          R2(DELTA_(1001, "d2", 30, "1"))
              R3(DELTA_(1001, "d1", 41, "1") DELTA_(1002, "d3", 10, "1")),
          .installed = 1001, .steps = 2, .bytes = 40, .full_bytes = 1000, .object = { 0xd2, 0xd3 },
          .version = { 1002, 1003 }, .from = { 1001, 1002 } },
        { "one delta as dear as two",
          R2(DELTA_(1001, "d2", 30, "1"))
              R3(DELTA_(1001, "d1", 40, "1") DELTA_(1002, "d3", 10, "1")),
          .installed = 1001, .steps = 1, .bytes = 40, .full_bytes = 1000, .object = { 0xd1 },
          .version = { 1003 }, .from = { 1001 } },
        { "two deltas dearer than full",
          R2(DELTA_(1001, "d2", 995, "1")) R3(DELTA_(1002, "d3", 6, "1")), .installed = 1001,
          .steps = 1, .bytes = 1000, .full_bytes = 1000, .object = { 0x03 }, .version = { 1003 } },
        { "the first of two has an unknown codec",
          R2(DELTA_(1001, "d2", 30, "2")) R3(DELTA_(1002, "d3", 10, "1")), .installed = 1001,
          .steps = 1, .bytes = 1000, .full_bytes = 1000, .object = { 0x03 }, .version = { 1003 } },
        { "the one between is withdrawn",
          R2(DELTA_(1001, "d2", 30, "1") GONE("")) R3(DELTA_(1002, "d3", 10, "1")),
          .installed = 1001, .steps = 1, .bytes = 1000, .full_bytes = 1000, .object = { 0x03 },
          .version = { 1003 } },
        { "the one between is invisible",
          REL_(1002, "02", "shards", DELTA_(1001, "d2", 30, "1")) R3(DELTA_(1002, "d3", 10, "1")),
          .installed = 1001, .steps = 1, .bytes = 1000, .full_bytes = 1000, .object = { 0x03 },
          .version = { 1003 } },
        { "a delta from one that is on disk, but not installed",
          R1("") R2("") R3(DELTA_(1002, "d3", 10, "1")), .installed = 1001, .on_disk = 1002,
          .steps = 1, .bytes = 10, .full_bytes = 1000, .object = { 0xd3 }, .version = { 1003 },
          .from = { 1002 } },
        { "two deltas from one that is on disk, but not installed",
          R2(DELTA_(1001, "d2", 30, "1")) R3(DELTA_(1002, "d3", 10, "1")), .installed = 1000,
          .on_disk = 1001, .steps = 2, .bytes = 40, .full_bytes = 1000, .object = { 0xd2, 0xd3 },
          .version = { 1002, 1003 }, .from = { 1001, 1002 } },
        { "as dear from the one on disk, which is listed first",
          R3(DELTA_(1002, "d2", 10, "1") DELTA_(1001, "d1", 10, "1")), .installed = 1001,
          .on_disk = 1002, .steps = 1, .bytes = 10, .full_bytes = 1000, .object = { 0xd1 },
          .version = { 1003 }, .from = { 1001 } },
        { "as dear from the one on disk, which is listed last",
          R3(DELTA_(1001, "d1", 10, "1") DELTA_(1002, "d2", 10, "1")), .installed = 1001,
          .on_disk = 1002, .steps = 1, .bytes = 10, .full_bytes = 1000, .object = { 0xd1 },
          .version = { 1003 }, .from = { 1001 } },
        { "the installed one is damaged", R3(DELTA_(1002, "d3", 10, "1")), .installed = 1002,
          .damaged = 1002, .steps = 1, .bytes = 1000, .full_bytes = 1000, .object = { 0x03 },
          .version = { 1003 } },
        { "one on disk is damaged", R2("") R3(DELTA_(1002, "d3", 10, "1")), .installed = 1001,
          .on_disk = 1002, .damaged = 1002, .steps = 1, .bytes = 1000, .full_bytes = 1000,
          .object = { 0x03 }, .version = { 1003 } },
        { "the target is on disk and damaged", R2("") R3(DELTA_(1002, "d3", 10, "1")),
          .installed = 1002, .on_disk = 1003, .damaged = 1003, .steps = 1, .bytes = 1000,
          .full_bytes = 1000, .object = { 0x03 }, .version = { 1003 } },
        { "a delta that has failed before",
          R2(DELTA_(1001, "d2", 30, "1"))
              R3(DELTA_(1001, "d1", 20, "1") DELTA_(1002, "d3", 10, "1")),
          .installed = 1001, .refused = 0xd1, .steps = 2, .bytes = 40, .full_bytes = 1000,
          .object = { 0xd2, 0xd3 }, .version = { 1002, 1003 }, .from = { 1001, 1002 } },
        { "the first of two has failed before",
          R2(DELTA_(1001, "d2", 30, "1")) R3(DELTA_(1002, "d3", 10, "1")), .installed = 1001,
          .refused = 0xd2, .steps = 1, .bytes = 1000, .full_bytes = 1000, .object = { 0x03 },
          .version = { 1003 } },
        { "the second of two has failed before",
          R2(DELTA_(1001, "d2", 30, "1")) R3(DELTA_(1002, "d3", 10, "1")), .installed = 1001,
          .refused = 0xd3, .steps = 1, .bytes = 1000, .full_bytes = 1000, .object = { 0x03 },
          .version = { 1003 } },
        { "full has failed before", R3(DELTA_(1002, "d3", 1001, "1")), .installed = 1002,
          .refused = 0x03, .steps = 1, .bytes = 1001, .full_bytes = 1000, .object = { 0xd3 },
          .version = { 1003 }, .from = { 1002 } },
        { "the one between is as large as may be",
          R2(DELTA_(1001, "d2", 30, "1")) R3(DELTA_(1002, "d3", 10, "1")), .installed = 1001,
          .through_max = 9, .steps = 2, .bytes = 40, .full_bytes = 1000, .object = { 0xd2, 0xd3 },
          .version = { 1002, 1003 }, .from = { 1001, 1002 } },
        { "the one between is too large",
          R2(DELTA_(1001, "d2", 30, "1")) R3(DELTA_(1002, "d3", 10, "1")), .installed = 1001,
          .through_max = 8, .steps = 1, .bytes = 1000, .full_bytes = 1000, .object = { 0x03 },
          .version = { 1003 } },
        { "the first of two is downloaded already",
          R2(DELTA_(1001, "d2", 30, "1"))
              R3(DELTA_(1001, "d1", 20, "1") DELTA_(1002, "d3", 10, "1")),
          .installed = 1001, .have = { 0xd2, 30 }, .steps = 2, .bytes = 10, .full_bytes = 1000,
          .object = { 0xd2, 0xd3 }, .version = { 1002, 1003 }, .from = { 1001, 1002 } },
        { "three deltas are too many",
          R1("") R2(DELTA_(1001, "d2", 1, "1")) R3(DELTA_(1002, "d3", 1, "1"))
              R4(DELTA_(1003, "d4", 1, "1")),
          .installed = 1001, .steps = 1, .bytes = 1000, .full_bytes = 1000, .object = { 0x04 },
          .version = { 1004 } },
        { "full is downloaded already", R3(DELTA_(1002, "d3", 10, "1")), .installed = 1002,
          .have = { 0x03, 1000 }, .steps = 1, .bytes = 0, .full_bytes = 1000, .object = { 0x03 },
          .version = { 1003 } },
        { "part of full is downloaded", R3(DELTA_(1002, "d3", 10, "1")), .installed = 1002,
          .have = { 0x03, 995 }, .steps = 1, .bytes = 5, .full_bytes = 1000, .object = { 0x03 },
          .version = { 1003 } },
        { "more is on disk than there should be", R3(""), .installed = 1002, .have = { 0x03, 5000 },
          .steps = 1, .bytes = 0, .full_bytes = 1000, .object = { 0x03 }, .version = { 1003 } },
        { "part of a delta is downloaded",
          R2(DELTA_(1001, "d2", 30, "1"))
              R3(DELTA_(1001, "d1", 41, "1") DELTA_(1002, "d3", 10, "1")),
          .installed = 1001, .have = { 0xd1, 20 }, .steps = 1, .bytes = 21, .full_bytes = 1000,
          .object = { 0xd1 }, .version = { 1003 }, .from = { 1001 } },
        { "the target is on disk", R3(DELTA_(1002, "d3", 10, "1")), .installed = 1002,
          .on_disk = 1003, .on_disk_wanted = true, .full_bytes = 1000 },
        { "the target is on disk and has no object", REL_(1003, "03", "", ""), .installed = 1002,
          .on_disk = 1003, .on_disk_wanted = true },
        { "sizes at their limit",
          R2(DELTA_(1001, "d2", 9007199254740991, "1"))
              REL_(1003, "03", "", DELTA_(1002, "d3", 9007199254740991, "1")),
          .installed = 1001, .steps = 2, .bytes = 18014398509481982U, .object = { 0xd2, 0xd3 },
          .version = { 1002, 1003 }, .from = { 1001, 1002 } },
    };

    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        DU_AUTO_MANIFEST *manifest = case_manifest(t[i].releases);
        struct du_plan_facts facts = case_facts(DU_ORDER_UPDATE, t[i].installed);
        const int before = t_failed;
        struct du_plan plan;

        facts.on_disk = &t[i].on_disk;
        facts.on_disks = 1;
        facts.have = have;
        facts.have_user = (void *)(uintptr_t)&t[i].have;
        facts.damaged = &t[i].damaged;
        facts.damageds = t[i].damaged != 0;
        facts.refused = t[i].refused != 0 ? refused : NULL;
        facts.refused_user = (void *)(uintptr_t)&t[i].refused;
        facts.through_max = t[i].through_max;
        du_plan_make(&plan, manifest, &facts);
        T_CHECK(plan.target != NULL && plan.target == &manifest->release[0]);
        T_CHECK(plan.on_disk == t[i].on_disk_wanted);
        T_CHECK(plan.steps == t[i].steps);
        T_CHECK(plan.bytes == t[i].bytes);
        T_CHECK(plan.full_bytes == t[i].full_bytes);
        for (size_t k = 0; k < plan.steps && k < t[i].steps; k++) {
            T_CHECK(plan.step[k]->sha256[0] == t[i].object[k]);
            T_CHECK(plan.step_version[k] == t[i].version[k]);
            T_CHECK(plan.step[k]->from == t[i].from[k]);
        }
        for (size_t k = plan.steps; k < DU_PLAN_STEPS_MAX; k++)
            T_CHECK(plan.step[k] == NULL && plan.step_version[k] == 0);
        if (t_failed != before)
            printf("# %s: %zu steps, %llu bytes: %s\n", t[i].name, plan.steps,
                   (unsigned long long)plan.bytes, plan.text);
    }
}

static void a_delta_downwards_serves_a_rollback(void)
{
    DU_AUTO_MANIFEST *manifest = case_manifest(R2(DELTA_(1003, "d2", 7, "1")) R3(""));
    struct du_plan_facts facts = case_facts(DU_ORDER_NAMED, 1003);
    struct du_plan plan;

    facts.named = 1002;
    du_plan_make(&plan, manifest, &facts);
    T_CHECK(plan.action == DEFUPD_ACTION_ROLLBACK && plan.bytes == 7 && plan.steps == 1);
}

static void a_budget_counts_what_is_still_to_be_fetched(void)
{
    static const struct {
        uint64_t budget;
        struct have have;
        bool taken;
    } t[] = { { 10, { 0 }, true },
              { 9, { 0 }, false },
              { 9, { 0xd3, 1 }, true },
              { 0, { 0xd3, 9 }, false },
              { 0, { 0xd3, 10 }, true } };

    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        DU_AUTO_MANIFEST *manifest = case_manifest(R2("") R3(DELTA_(1002, "d3", 10, "1")));
        struct du_plan_facts facts = case_facts(DU_ORDER_UPDATE, 1002);
        struct du_plan plan;

        facts.has_budget = true;
        facts.budget = t[i].budget;
        facts.have = have;
        facts.have_user = (void *)(uintptr_t)&t[i].have;
        du_plan_make(&plan, manifest, &facts);
        T_CHECK((plan.target != NULL) == t[i].taken);
        T_CHECK(plan.reason == (t[i].taken ? DEFUPD_REASON_NONE : DEFUPD_REASON_BUDGET));
        T_CHECK(plan.code == DEFUPD_OK);
        if (!t[i].taken && t[i].budget == 9)
            T_SAME(plan.text, "1003 is held back: it costs 10 bytes, the budget has 9 left; take "
                              "it now with 'defupd update tetra@1003 --over-budget'");
    }
}

static void the_way_is_told_to_people(void)
{
    static const struct {
        const char *releases;
        uint64_t on_disk;
        struct have have;
        const char *how;
    } t[] = {
        { R2(""), .how = "full bundle, 1,000 bytes" },
        { R2(""), .have = { 0x02, 1 }, .how = "full bundle, 999 of 1,000 bytes" },
        { R2(""), .have = { 0x02, 1000 }, .how = "full bundle, downloaded already" },
        { REL_(1002, "02", "", FULL_("02", 1024594, "tar+zst") DELTA_(1001, "d2", 5791, "1")),
          .how = "delta from 1001, 5,791 bytes instead of 1,024,594" },
        { REL_(1002, "02", "", FULL_("02", 1024594, "tar+zst") DELTA_(1001, "d2", 5791, "1")),
          .have = { 0xd2, 5000 },
          .how = "delta from 1001, 791 of 5,791 bytes instead of 1,024,594" },
        { REL_(1002, "02", "", DELTA_(1001, "d2", 57, "1")), .how = "delta from 1001, 57 bytes" },
        { R2(DELTA_(1001, "d2", 300, "1")) R3(DELTA_(1002, "d3", 10, "1")),
          .how = "deltas from 1001 through 1002, 310 bytes instead of 1,000" },
        { R2(""), .on_disk = 1002, .how = "on disk" },
        { R1(""), .how = "" },
        { REL_(1002, "02", "", FULL_("02", 9007199254740991, "tar+zst")),
          .how = "full bundle, 9,007,199,254,740,991 bytes" },
    };

    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        DU_AUTO_MANIFEST *manifest = case_manifest(t[i].releases);
        struct du_plan_facts facts = case_facts(DU_ORDER_UPDATE, 1001);
        struct du_plan plan;
        char how[160];

        facts.on_disk = &t[i].on_disk;
        facts.on_disks = 1;
        facts.have = have;
        facts.have_user = (void *)(uintptr_t)&t[i].have;
        du_plan_make(&plan, manifest, &facts);
        du_plan_how(&plan, how, sizeof how);
        T_SAME(how, t[i].how);
    }
}

static void a_rollback_goes_to_the_newest_older_one_on_disk(void)
{
    static const uint64_t on_disk[] = { 1001, 990, 1003, 1002, 1004 };
    static const struct {
        const char *releases; /* NULL: no manifest */
        uint64_t installed, quarantine, to;
    } t[] = {
        { NULL, 1003, 0, 1002 },
        { R1("") R2("") R3(""), 1003, 0, 1002 },
        { R1("") R2(GONE("")) R3(""), 1003, 0, 1001 },
        { R1("") R2("") R3(""), 1003, 1002, 1001 },
        { R1(GONE("")) R2(""), 1003, 1002, 990 },
        { R3(""), 990, 0, 0 },
        { NULL, 0, 0, 0 },
        { REL_(1002, "02", "shards", GONE("")), 1003, 0, 1002 },
    };

    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        DU_AUTO_MANIFEST *manifest = t[i].releases != NULL ? case_manifest(t[i].releases) : NULL;
        struct du_plan_facts facts = case_facts(DU_ORDER_UPDATE, t[i].installed);

        facts.on_disk = on_disk;
        facts.on_disks = sizeof on_disk / sizeof on_disk[0];
        facts.quarantine = &t[i].quarantine;
        facts.quarantines = 1;
        T_CHECK(du_plan_rollback(manifest, &facts) == t[i].to);
    }
}

static void versions_compare_part_by_part(void)
{
    static const struct {
        const char *a, *b;
        int order;
    } t[] = {
        { "1.10", "1.9", 1 },
        { "1.9", "1.10", -1 },
        { "1", "1.0.0", 0 },
        { "1.0.1", "1", 1 },
        { "01.002", "1.2", 0 },
        { "", "0", 0 },
        { "", "1", -1 },
        { "4.1-rc2", "4.1", 0 },
        { "v4", "1", -1 },
        { "10", "9", 1 },
        { "0.9", "0.10", -1 },
        { "1..2", "1.0.2", 0 },
        { "1.18446744073709551617", "1.18446744073709551616", 1 },
        { "2.0", "1.99999999999999999999999999", 1 },
    };

    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        T_CHECK(du_plan_compare_versions(t[i].a, t[i].b) == t[i].order);
        T_CHECK(du_plan_compare_versions(t[i].b, t[i].a) == -t[i].order);
    }
}

static void a_cohort_is_the_first_eight_bytes_modulo_1000(void)
{
    unsigned char hmac[DU_SHA256_BYTES] = { 0 };

    T_CHECK(du_plan_cohort(hmac) == 0);
    hmac[8] = 255; /* not looked at */
    hmac[7] = 232;
    hmac[6] = 3;
    T_CHECK(du_plan_cohort(hmac) == 0); /* 1000 */
    hmac[7] = 231;
    T_CHECK(du_plan_cohort(hmac) == 999);
    memset(hmac, 0xff, 8);
    T_CHECK(du_plan_cohort(hmac) == 615); /* 18446744073709551615 */
    memcpy(hmac, "\x01\x02\x03\x04\x05\x06\x07\x08", 8);
    T_CHECK(du_plan_cohort(hmac) == 72623859790382856U % 1000);
}

int main(void)
{
    T_RUN(the_cheapest_path_is_found);
    T_RUN(a_delta_downwards_serves_a_rollback);
    T_RUN(a_budget_counts_what_is_still_to_be_fetched);
    T_RUN(the_way_is_told_to_people);
    T_RUN(a_rollback_goes_to_the_newest_older_one_on_disk);
    T_RUN(versions_compare_part_by_part);
    T_RUN(a_cohort_is_the_first_eight_bytes_modulo_1000);
    return T_DONE();
}
