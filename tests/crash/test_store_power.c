/* SPDX-License-Identifier: Apache-2.0 */
/* The power goes after each operation of a run, with everything that was not synced lost, kept or
 * torn. Then the store opens, holds exactly the old or the new set, every version that looks
 * complete is, and the next run completes. */
#include "power.h"
#include "store_kit.h"

static const struct du_sys *sys_now;

static void make_dir(const char *name)
{
    defupd_error err;

    T_OK(du_tree_remove(&du_sys_posix, AT_FDCWD, name, NULL, &err), &err);
    T_CHECK(mkdir(name, 0755) == 0);
}

/* yara@1 and tetra@1 in disk/state, on the disk for good. */
static void make_base(bool no_syncfs)
{
    struct du_store store;
    defupd_error err = { 0 };

    make_dir("disk");
    sys_now = power_start("disk");
    power.no_syncfs = no_syncfs;
    T_OK(du_store_open(&store, kit_path("disk/state"), sys_now, &err), &err);
    T_OK(du_store_lock(&store, 0, NULL, &err), &err);
    kit_install(&store, "yara", 1);
    kit_install(&store, "tetra", 1);
    T_CHECK(kit_sweep(&store, 1) == 0);
    du_store_close(&store);
    power_settle();
}

/* Lock, stage, activate, sweep. *yes: number of operations when the activation had succeeded. */
static defupd_code run(uint64_t version, int *yes, defupd_error *err)
{
    struct du_store store;
    defupd_code rc = du_store_open(&store, kit_path("disk/state"), sys_now, err);
    bool switched;

    if (rc == DEFUPD_OK)
        rc = du_store_lock(&store, 0, NULL, err);
    if (rc == DEFUPD_OK)
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

/* Every version that is listed as complete is whole: any of them may become current again. */
static bool all_whole(struct du_store *store, const char *state)
{
    DU_AUTO_NAMES components = { 0 };
    defupd_error err = { 0 };
    bool good = true;

    T_OK(du_store_components(store, &components, &err), &err);
    for (size_t i = 0; i < components.count; i++) {
        DU_AUTO_FREE uint64_t *version = NULL;
        size_t count;

        T_OK(du_store_versions(store, components.item[i], &version, &count, &err), &err);
        for (size_t j = 0; j < count; j++) {
            char path[600];

            (void)snprintf(path, sizeof path, "%s/versions/%s/%llu", state, components.item[i],
                           (unsigned long long)version[j]);
            good = kit_whole_at(path, components.item[i], version[j]) && good;
        }
    }
    return good;
}

/* `wants` are the sets that the store may hold; then a healthy run of tetra@`next`. */
static void check_cut(int n, uint32_t seed, const char *const *wants, uint64_t next)
{
    struct du_store store;
    defupd_error err = { 0 };
    char state[500];
    const char *has;
    const int failed = t_failed;
    bool known = false;

    make_dir("cut");
    power_cut("cut", n, seed);
    (void)snprintf(state, sizeof state, "%s", kit_path("cut/state"));
    has = kit_current(state);
    for (; *wants != NULL; wants++)
        known = known || (strchr(has, ':') != NULL && strcmp(strchr(has, ':'), *wants) == 0);
    T_CHECK(known);
    T_CHECK(kit_consistent(state));

    T_OK(du_store_open(&store, state, kit_sys(), &err), &err);
    T_CHECK(all_whole(&store, state));
    T_OK(du_store_lock(&store, 0, NULL, &err), &err);
    kit_install(&store, "tetra", next);
    T_CHECK(kit_sweep(&store, 0) == 0);
    du_store_close(&store);
    T_CHECK(strstr(kit_current(state), next == 2 ? ": tetra@2 yara@1" : ": tetra@3 yara@1") !=
            NULL);
    T_CHECK(kit_consistent(state));
    T_CHECK(kit_names("cut/state/staging") == 0 && kit_names("cut/state/generations") == 1);
    T_CHECK(kit_names("cut/state/versions/tetra") == 2 && !kit_has_tmp(AT_FDCWD, "cut"));
    if (t_failed != failed)
        printf("# power cut after operation %d of %d, seed %u; it held %s\n", n, power.ops, seed,
               has);
}

static void cut_everywhere(bool no_syncfs)
{
    static const char *const either[] = { ": tetra@1 yara@1", ": tetra@2 yara@1", NULL };
    static const char *const new_only[] = { ": tetra@2 yara@1", NULL };
    defupd_error err = { 0 };
    const int failed = t_failed;
    int first, yes = 0;

    make_base(no_syncfs);
    first = power.ops;
    T_OK(run(2, &yes, &err), &err);
    T_CHECK(yes > first + 20 && yes < power.ops);
    for (int n = first; n <= power.ops && t_failed == failed; n++) {
        for (uint32_t seed = 0; seed < 8 && t_failed == failed; seed++)
            check_cut(n, seed, n >= yes ? new_only : either, 2);
    }
    power_free();
}

static void a_power_cut_leaves_the_old_or_the_new_set(void)
{
    cut_everywhere(false);
}

static void without_syncfs_it_does_too(void)
{
    cut_everywhere(true);
}

/* A run is killed, the next one goes on in the same kernel, then the power goes: what the first had
 * done and not synced, the second may not build upon. */
static void a_kill_and_then_a_power_cut_leave_one_of_the_sets(void)
{
    static const char *const any[] = { ": tetra@1 yara@1", ": tetra@2 yara@1", ": tetra@3 yara@1",
                                       NULL };
    static const char *const new_only[] = { ": tetra@3 yara@1", NULL };
    defupd_error err = { 0 };
    const int failed = t_failed;
    int length, yes;

    make_base(false);
    length = -power.ops;
    T_OK(run(2, &yes, &err), &err);
    length += power.ops;
    for (int die = 1; die <= length && t_failed == failed; die++) {
        int killed;

        make_base(false);
        power.die_at = power.ops + die;
        if (run(2, &yes, &err) == DEFUPD_OK)
            T_CHECK(power.ops >= yes);
        power.die_at = 0;
        killed = power.ops;
        T_OK(run(3, &yes, &err), &err);
        for (int n = killed + die % 5; n <= power.ops && t_failed == failed; n += 5) {
            check_cut(n, 0, n >= yes ? new_only : any, 3);
            check_cut(n, 2 + (uint32_t)die, n >= yes ? new_only : any, 3);
        }
    }
    power_free();
}

int main(void)
{
    kit_fast_disk();
    T_RUN(a_power_cut_leaves_the_old_or_the_new_set);
    T_RUN(without_syncfs_it_does_too);
    T_RUN(a_kill_and_then_a_power_cut_leave_one_of_the_sets);
    return T_DONE();
}
