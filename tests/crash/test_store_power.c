/* SPDX-License-Identifier: Apache-2.0 */
/* The power goes after each operation of a run, with everything that was not synced lost, kept or
 * torn. Then the store opens, holds exactly the old or the new set, everything that looks complete
 * is, and the next run completes. */
#include "power.h"
#include "store_kit.h"

static const struct du_sys *sys_now;

/* The full check cuts everywhere; every day some of it is enough. */
static bool everywhere(void)
{
    return getenv("DEFUPD_LONG") != NULL;
}

static void make_dir(const char *name)
{
    defupd_error err;

    T_OK(du_tree_remove(&du_sys_posix, AT_FDCWD, name, NULL, &err), &err);
    T_CHECK(mkdir(name, 0755) == 0);
}

static void open_store(struct du_store *store)
{
    defupd_error err = { 0 };

    T_OK(du_store_open(store, kit_path("disk/state"), sys_now, &err), &err);
    T_OK(du_store_lock(store, 0, NULL, &err), &err);
}

/* An empty disk; with `installed`, yara@1 and tetra@1 are in disk/state for good. */
static void make_base(bool installed, bool no_syncfs)
{
    struct du_store store;

    make_dir("disk");
    sys_now = power_start("disk");
    power.no_syncfs = no_syncfs;
    if (installed) {
        open_store(&store);
        kit_install(&store, "yara", 1);
        kit_install(&store, "tetra", 1);
        T_CHECK(kit_sweep(&store, 1) == 0);
        du_store_close(&store);
    }
    power_settle();
}

static bool on_disk(const struct du_store *store, uint64_t version)
{
    DU_AUTO_FREE uint64_t *there = NULL;
    defupd_error err = { 0 };
    size_t count = 0;

    T_OK(du_store_versions(store, "tetra", &there, &count, &err), &err);
    return count > 0 && there[count - 1] == version;
}

/* Lock, stage what is not on disk, activate, sweep, as an update does. *yes: number of operations
 * when the activation had succeeded. */
static defupd_code run(uint64_t version, int *yes, defupd_error *err)
{
    struct du_store store;
    defupd_code rc = du_store_open(&store, kit_path("disk/state"), sys_now, err);
    bool switched;

    if (rc == DEFUPD_OK)
        rc = du_store_lock(&store, 0, NULL, err);
    if (rc == DEFUPD_OK && !on_disk(&store, version))
        rc = kit_stage(&store, "tetra", version, err);
    if (rc == DEFUPD_OK)
        rc = kit_activate(&store, "tetra", version, false, &switched, err);
    if (rc == DEFUPD_OK) {
        *yes = power.ops;
        (void)kit_sweep(&store, 0);
    }
    du_store_close(&store);
    return rc;
}

/* Files hash to the record of their version. */
static bool by_record(const struct du_store *store, const char *component, uint64_t version)
{
    DU_AUTO_RECORD record = { 0 };
    DU_AUTO_INDEX index = { 0 };
    unsigned char tree[DU_SHA256_BYTES];
    DU_AUTO_FD root = -1;
    defupd_error err = { 0 };

    if (du_store_record(store, component, version, &record, &err) != DEFUPD_OK ||
        du_store_version_dir(store, component, version, &root, &err) != DEFUPD_OK ||
        du_tree_scan(&du_sys_posix, root, &(struct du_tick){ 0 }, &index, &err) != DEFUPD_OK) {
        printf("# %s\n", err.message);
        return false;
    }
    du_index_digest(&index, tree);
    return memcmp(tree, record.tree, sizeof tree) == 0;
}

/* Every version that is listed as complete is whole, and every generation's members are: any of
 * them may become current again. */
static void check_all(const struct du_store *store)
{
    DU_AUTO_NAMES components = { 0 };
    DU_AUTO_FREE uint64_t *number = NULL;
    defupd_error err = { 0 };
    size_t count;

    T_OK(du_store_components(store, &components, &err), &err);
    for (size_t i = 0; i < components.count; i++) {
        DU_AUTO_FREE uint64_t *version = NULL;

        T_OK(du_store_versions(store, components.item[i], &version, &count, &err), &err);
        for (size_t j = 0; j < count; j++)
            T_CHECK(by_record(store, components.item[i], version[j]));
    }
    T_OK(du_store_generations(store, &number, &count, &err), &err);
    for (size_t i = 0; i < count; i++) {
        DU_AUTO_GENERATION generation = { 0 };

        T_OK(du_store_generation(store, number[i], &generation, &err), &err);
        for (size_t j = 0; j < generation.count; j++)
            T_CHECK(by_record(store, generation.member[j].component, generation.member[j].version));
    }
}

/* Build the disk after operation n. `wants` are the sets that the store may hold. */
static void check_cut(int n, uint32_t seed, const char *const *wants)
{
    struct du_store store;
    defupd_error err = { 0 };
    char state[500];
    const char *has;
    bool known = false;

    make_dir("cut");
    power_cut("cut", n, seed);
    (void)snprintf(state, sizeof state, "%s", kit_path("cut/state"));
    has = kit_current(state);
    for (; *wants != NULL; wants++)
        known = known || (strchr(has, ':') != NULL && strcmp(strchr(has, ':'), *wants) == 0);
    if (!known)
        printf("# it holds %s\n", has);
    T_CHECK(known);
    T_CHECK(kit_consistent(state));
    T_OK(du_store_open(&store, state, kit_sys(), &err), &err);
    check_all(&store);
    du_store_close(&store);
}

/* A healthy run on the disk that check_cut() built. */
static void check_next(uint64_t version)
{
    struct du_store store;
    defupd_error err = { 0 };
    char want[64];

    T_OK(du_store_open(&store, kit_path("cut/state"), kit_sys(), &err), &err);
    T_OK(du_store_lock(&store, 0, NULL, &err), &err);
    kit_install(&store, "tetra", version);
    T_CHECK(kit_sweep(&store, 0) == 0);
    check_all(&store);
    du_store_close(&store);
    (void)snprintf(want, sizeof want, ": tetra@%llu", (unsigned long long)version);
    T_CHECK(strstr(kit_current(kit_path("cut/state")), want) != NULL);
    T_CHECK(kit_consistent(kit_path("cut/state")));
    T_CHECK(kit_names("cut/state/staging") == 0 && kit_names("cut/state/generations") == 1);
    T_CHECK(kit_names("cut/state/versions/tetra") == 2 && !kit_has_tmp(AT_FDCWD, "cut"));
}

/* The first failure tells all that there is to tell. */
static bool gone_wrong(int before, int n, uint32_t seed)
{
    if (t_failed == before)
        return false;
    printf("# power cut after operation %d of %d, seed %u\n", n, power.ops, (unsigned)seed);
    return true;
}

static const char *const old_or_2[] = { ": tetra@1 yara@1", ": tetra@2 yara@1", NULL };
static const char *const only_2[] = { ": tetra@2 yara@1", NULL };
static const char *const any_of_3[] = { ": tetra@1 yara@1", ": tetra@2 yara@1", ": tetra@3 yara@1",
                                        NULL };
static const char *const only_3[] = { ": tetra@3 yara@1", NULL };
static const char *const none_or_2[] = { ":", ": tetra@2", NULL };
static const char *const only_new_2[] = { ": tetra@2", NULL };
static const char *const none_2_or_3[] = { ":", ": tetra@2", ": tetra@3", NULL };
static const char *const only_new_3[] = { ": tetra@3", NULL };

static void cut_everywhere(bool installed, bool no_syncfs, const char *const *either,
                           const char *const *only)
{
    const int before = t_failed;
    defupd_error err = { 0 };
    int first, yes = 0;

    make_base(installed, no_syncfs);
    first = power.ops;
    T_OK(run(2, &yes, &err), &err);
    T_CHECK(yes > first + 20 && yes < power.ops);
    for (int n = first; n <= power.ops; n++) {
        for (uint32_t seed = 0; seed < (everywhere() ? 8U : 3U); seed++) {
            check_cut(n, seed, n >= yes ? only : either);
            check_next(2);
            if (gone_wrong(before, n, seed))
                return;
        }
    }
    power_free();
}

static void a_power_cut_leaves_the_old_or_the_new_set(void)
{
    cut_everywhere(true, false, old_or_2, only_2);
}

static void without_syncfs_it_does_too(void)
{
    cut_everywhere(true, true, old_or_2, only_2);
}

static void so_it_does_in_the_first_installation(void)
{
    cut_everywhere(false, false, none_or_2, only_new_2);
}

/* A run is killed, the next one goes on in the same kernel, then the power goes: what the first had
 * done and not synced, the second may not build upon. */
static void kill_and_cut(bool installed, bool no_syncfs, uint64_t version, const char *const *any,
                         const char *const *only)
{
    const int before = t_failed;
    defupd_error err = { 0 };
    int length, yes;

    make_base(installed, no_syncfs);
    length = -power.ops;
    T_OK(run(2, &yes, &err), &err);
    length += power.ops;
    for (int die = 1; die <= length; die += everywhere() ? 1 : 3) {
        int killed;

        make_base(installed, no_syncfs);
        power.die_at = power.ops + die;
        if (run(2, &yes, &err) != DEFUPD_OK)
            yes = INT32_MAX;
        power.die_at = 0;
        killed = power.ops;
        T_OK(run(version, &yes, &err), &err);
        /* Some of the cuts, and always the first after the answer. */
        for (int n = killed + die % 7; n <= power.ops; n += n < yes && n + 7 > yes ? yes - n : 7) {
            const uint32_t seed = n == yes ? 0 : (uint32_t)(n + die) % 9;

            check_cut(n, seed, n >= yes ? only : any);
            if (die % 8 == 0)
                check_next(version);
            if (gone_wrong(before, n, seed)) {
                printf("# killed after operation %d of %d\n", die, length);
                return;
            }
        }
    }
    power_free();
}

static void a_kill_and_then_a_power_cut_leave_one_of_the_sets(void)
{
    kill_and_cut(true, false, 3, any_of_3, only_3);
}

static void what_a_killed_run_staged_is_not_taken_for_durable(void)
{
    kill_and_cut(true, false, 2, any_of_3, only_2);
}

static void a_killed_first_installation_is_continued_safely(void)
{
    kill_and_cut(false, true, 2, none_or_2, only_new_2);
    kill_and_cut(false, false, 3, none_2_or_3, only_new_3);
}

/* Of a version that nothing uses, its replacement may be another tree. */
static void a_replaced_version_never_mixes_with_the_old_one(void)
{
    const int before = t_failed;
    struct du_store store;
    DU_AUTO_INDEX index = { 0 };
    DU_AUTO_FD fd = -1;
    defupd_error err = { 0 };
    int first;

    make_base(true, false);
    open_store(&store);
    T_OK(kit_stage(&store, "tetra", 2, &err), &err);
    power_settle();
    first = power.ops;
    T_OK(du_store_stage(&store, "tetra", 2, &fd, &err), &err);
    T_OK(kit_tree(sys_now, "tetra", 77, fd, &index, &err), &err);
    T_OK(du_store_stage_commit(&store, "tetra", 2, fd, &index, &err), &err);
    du_store_close(&store);
    for (int n = first; n <= power.ops; n++) {
        for (uint32_t seed = 0; seed < (everywhere() ? 64U : 16U); seed++) {
            check_cut(n, seed, old_or_2);
            if (gone_wrong(before, n, seed))
                return;
        }
    }
    T_CHECK(kit_whole_at("cut/state/versions/tetra/2", "tetra", 77));
    power_free();
}

/* The power goes now, and only what is sure survives. */
static void open_cut(struct du_store *store)
{
    defupd_error err = { 0 };

    make_dir("cut");
    power_cut("cut", power.ops, 0);
    T_OK(du_store_open(store, kit_path("cut/state"), kit_sys(), &err), &err);
}

/* The sync after the switch fails: readers see the new set, and a power cut may bring the old one
 * back. So the old one may not go before the sync has been made good. */
static void the_sweep_makes_the_switch_durable_first(void)
{
    struct du_store store, cut;
    defupd_error err = { 0 };
    bool switched;
    int yes;

    make_base(true, false);
    open_store(&store);
    T_OK(kit_stage(&store, "tetra", 2, &err), &err);
    yes = -power.ops;
    T_OK(kit_activate(&store, "tetra", 2, false, &switched, &err), &err);
    yes += power.ops;
    T_OK(kit_stage(&store, "tetra", 3, &err), &err);
    power.die_at = power.ops + yes - 1;
    T_FAILS(kit_activate(&store, "tetra", 3, false, &switched, &err), DEFUPD_E_IO, &err);
    T_CHECK(switched);
    power.die_at = 0;
    open_cut(&cut);
    T_CHECK(kit_consistent(kit_path("cut/state")));
    T_CHECK(strstr(kit_current(kit_path("cut/state")), ": tetra@2 yara@1") != NULL);
    du_store_close(&cut);
    T_CHECK(kit_sweep(&store, 0) == 0);
    du_store_close(&store);
    open_cut(&cut);
    T_CHECK(kit_consistent(kit_path("cut/state")));
    T_CHECK(strstr(kit_current(kit_path("cut/state")), ": tetra@3 yara@1") != NULL);
    du_store_close(&cut);
    power_free();
}

/* Each of these said yes, so it is there after the cut, whoever was killed before. */
static void what_was_answered_with_yes_stays(void)
{
    const int before = t_failed;

    for (int die = 0; die < 80; die++) {
        DU_AUTO_FACT fact = { 0 }, got = { 0 };
        struct du_store store, cut;
        defupd_error err = { 0 };
        uint64_t pin = 0;
        int yes;

        make_base(false, false);
        power.die_at = die > 0 ? power.ops + die : 0;
        if (run(1, &yes, &err) != DEFUPD_OK)
            T_CHECK(die > 0);
        power.die_at = 0;
        open_store(&store);
        T_OK(du_fact_set_u64(&fact, "pin", 17, &err), &err);
        T_OK(du_store_fact_write(&store, DU_FACT_HOLD, "tetra", &fact, &err), &err);
        open_cut(&cut);
        T_CHECK(du_store_fact_read(&cut, DU_FACT_HOLD, "tetra", &got) == DU_FACT_READ &&
                du_fact_get_u64(&got, "pin", &pin) && pin == 17);
        du_store_close(&cut);

        T_OK(kit_stage(&store, "tetra", 2, &err), &err);
        du_store_close(&store);
        open_cut(&cut);
        T_CHECK(on_disk(&cut, 2) && by_record(&cut, "tetra", 2));
        du_store_close(&cut);
        if (gone_wrong(before, power.ops, 0)) {
            printf("# killed after operation %d\n", die);
            return;
        }
    }
    power_free();
}

/* tetra@2 on trial, as an update does. */
static defupd_code activate_on_trial(defupd_error *err)
{
    DU_AUTO_GENERATION next = { 0 };
    DU_AUTO_FACT terms = { 0 };
    struct du_member member;
    struct du_store store;
    bool switched;
    defupd_code rc = du_store_open(&store, kit_path("disk/state"), sys_now, err);

    if (rc == DEFUPD_OK)
        rc = du_store_lock(&store, 0, NULL, err);
    if (rc == DEFUPD_OK)
        rc = kit_stage(&store, "tetra", 2, err);
    if (rc == DEFUPD_OK)
        rc = du_store_current(&store, &next, err);
    if (rc == DEFUPD_OK)
        rc = du_fact_set(&terms, "await", "tetra", err);
    if (rc == DEFUPD_OK) {
        kit_member(&member, "tetra", 2);
        rc = du_generation_put(&next, &member, err);
    }
    next.trial = true;
    next.terms = &terms;
    if (rc == DEFUPD_OK)
        rc = du_store_activate(&store, &next, KIT_NOW, &switched, err);
    du_store_close(&store);
    return rc;
}

/* What is on trial is known to be, and under which terms, whenever it is current. */
static void a_power_cut_never_leaves_a_trial_without_its_terms(void)
{
    const int before = t_failed;
    defupd_error err = { 0 };
    int first, on_trial = 0;

    make_base(true, false);
    first = power.ops;
    T_OK(activate_on_trial(&err), &err);
    for (int n = first; n <= power.ops; n++) {
        for (uint32_t seed = 0; seed < (everywhere() ? 8U : 3U); seed++) {
            DU_AUTO_GENERATION current = { 0 };
            DU_AUTO_FACT fact = { 0 };
            struct du_store store;
            char name[32], who[16];

            make_dir("cut");
            power_cut("cut", n, seed);
            T_OK(du_store_open(&store, kit_path("cut/state"), kit_sys(), &err), &err);
            T_OK(du_store_current(&store, &current, &err), &err);
            (void)snprintf(name, sizeof name, "%llu", (unsigned long long)current.number);
            T_CHECK(current.trial == (du_generation_find(&current, "tetra")->version == 2));
            if (current.trial) {
                on_trial++;
                T_CHECK(!du_store_confirmed(&store, &current));
                T_CHECK(du_store_fact_read(&store, DU_FACT_TRIAL, name, &fact) == DU_FACT_READ);
                T_SAME(du_fact_get(&fact, "await", who, sizeof who), "tetra");
            }
            du_store_close(&store);
            if (gone_wrong(before, n, seed))
                return;
        }
    }
    T_CHECK(on_trial > 0);
    power_free();
}

int main(void)
{
    kit_fast_disk();
    T_RUN(a_power_cut_leaves_the_old_or_the_new_set);
    T_RUN(without_syncfs_it_does_too);
    T_RUN(so_it_does_in_the_first_installation);
    T_RUN(a_kill_and_then_a_power_cut_leave_one_of_the_sets);
    T_RUN(what_a_killed_run_staged_is_not_taken_for_durable);
    T_RUN(a_killed_first_installation_is_continued_safely);
    T_RUN(a_replaced_version_never_mixes_with_the_old_one);
    T_RUN(the_sweep_makes_the_switch_durable_first);
    T_RUN(what_was_answered_with_yes_stays);
    T_RUN(a_power_cut_never_leaves_a_trial_without_its_terms);
    return T_DONE();
}
