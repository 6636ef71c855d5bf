/* SPDX-License-Identifier: Apache-2.0 */
/* Every operation of every job on the store fails once, and from then on, with EIO and with ENOSPC.
 * Said yes: it happened. Said no: the old or the new, never neither. No descriptor is lost, and the
 * next healthy run completes. */
#include "fault.h"
#include "store_kit.h"

/* Every third step for every day, all of them with DEFUPD_LONG. */
static bool next_round(struct fault *f)
{
    if (f->fail_at > 0 && getenv("DEFUPD_LONG") == NULL)
        f->fail_at += 2;
    return fault_round(f);
}

static int quick_sync(int fd)
{
    (void)fd;
    return fault_here() ? -1 : 0;
}

/* fault_sys, but healthy syncs do not wait for the disk. */
static const struct du_sys *faulty(void)
{
    static struct du_sys sys;

    sys = fault_sys;
    sys.fsync = quick_sync;
    sys.syncfs = quick_sync;
    return &sys;
}

/* Once with EIO, and so on. */
struct way {
    enum fault_mode mode;
    int error;
};
static const struct way ways[] = { { FAULT_ONCE, EIO },
                                   { FAULT_ONCE, ENOSPC },
                                   { FAULT_FROM_THEN_ON, EIO },
                                   { FAULT_FROM_THEN_ON, ENOSPC } };
#define EACH_WAY(way) \
    for (const struct way *way = ways; way < ways + sizeof ways / sizeof ways[0]; way++)

static void check_code(defupd_code rc, const struct fault *f, const defupd_error *err)
{
    if (rc == DEFUPD_OK)
        return;
    T_CHECK(f->hit);
    T_CHECK(err->code == rc && err->message[0] != '\0');
    T_CHECK(rc == (f->error == ENOSPC ? DEFUPD_E_NO_SPACE : DEFUPD_E_IO) ||
            rc == DEFUPD_E_CANNOT_CREATE);
    if (f->error == ENOSPC && rc != DEFUPD_E_NO_SPACE)
        printf("# %s: %s\n", defupd_code_name(rc), err->message);
}

/* `state` from the copy `from`; both lie in the test's directory. */
static void copy_state(const char *from)
{
    kit_copy(AT_FDCWD, from, "state");
}

/* A store with tetra@1 and yara@1, as folder `name`. */
static void make_base(const char *name)
{
    struct du_store store;

    T_CHECK(t_shell("rm -rf state") == 0);
    kit_lock(&store);
    kit_install(&store, "yara", 1);
    kit_install(&store, "tetra", 1);
    du_store_close(&store);
    T_CHECK(t_shell("mv state %s", name) == 0);
}

/* A healthy run brings the store to yara@1 with tetra@`version`, nothing left over. */
static void check_healthy_run(uint64_t version)
{
    struct du_store store;
    char want[64];
    const char *has;

    kit_lock(&store);
    kit_install(&store, "tetra", version);
    T_CHECK(kit_sweep(&store, 0) == 0);
    du_store_close(&store);
    (void)snprintf(want, sizeof want, ": tetra@%llu yara@1", (unsigned long long)version);
    has = kit_current(kit_path("state"));
    T_CHECK(strstr(has, want) != NULL);
    T_CHECK(kit_consistent(kit_path("state")));
    T_CHECK(kit_names("state/staging") == 0 && kit_names("state/generations") == 1);
    T_CHECK(kit_names("state/versions/tetra") == 2 && !kit_has_tmp(AT_FDCWD, "state"));
}

static void making_and_locking_a_store_survives_faults(void)
{
    EACH_WAY(way)
    {
        for (struct fault f = fault_start(way->mode, way->error); next_round(&f);) {
            struct du_store store;
            defupd_error err = { 0 };
            defupd_code rc;
            unsigned fds;

            fault_stop(&f);
            T_OK(du_tree_remove(&du_sys_posix, AT_FDCWD, "state", NULL, &err), &err);
            fds = kit_fds();
            f.armed = true;
            rc = kit_open(&store, faulty(), &err);
            if (rc == DEFUPD_OK) {
                rc = du_store_lock(&store, 0, NULL, &err);
                T_CHECK((rc == DEFUPD_OK) == (store.lock >= 0));
                if (rc == DEFUPD_OK) {
                    unsigned char id[DU_HOST_ID_BYTES];
                    rc = du_store_host_id(&store, id, &err);
                }
            }
            fault_stop(&f);
            du_store_close(&store);
            T_CHECK(kit_fds() == fds);
            check_code(rc, &f, &err);
            kit_lock(&store);
            T_CHECK(du_store_busy(&store) == (uint64_t)getpid());
            kit_install(&store, "yara", 1);
            du_store_close(&store);
            check_healthy_run(1);
        }
    }
}

static void staging_and_activation_survive_faults(void)
{
    make_base("base");
    EACH_WAY(way)
    {
        for (struct fault f = fault_start(way->mode, way->error); next_round(&f);) {
            struct du_store store;
            defupd_error err = { 0 };
            bool switched = false;
            defupd_code rc;
            unsigned fds;
            const char *has;

            fault_stop(&f);
            copy_state("base");
            kit_lock(&store);
            fds = kit_fds();
            store.sys = faulty();
            f.armed = true;
            rc = kit_stage(&store, "tetra", 2, &err);
            if (rc == DEFUPD_OK)
                rc = kit_activate(&store, "tetra", 2, false, &switched, &err);
            fault_stop(&f);
            T_CHECK(kit_fds() == fds);
            check_code(rc, &f, &err);
            has = kit_current(kit_path("state"));
            if (rc == DEFUPD_OK)
                T_CHECK(switched);
            T_CHECK(strcmp(strstr(has, ":"), switched ? ": tetra@2 yara@1" : ": tetra@1 yara@1") ==
                    0);
            T_CHECK(kit_consistent(kit_path("state")));
            du_store_close(&store);
            check_healthy_run(2);
        }
    }
}

static void the_sweep_survives_faults(void)
{
    struct du_store store;
    defupd_error err = { 0 };
    unsigned char sha256[DU_SHA256_BYTES] = { 1 };
    bool complete;
    int fd = -1;

    make_base("base");
    copy_state("base");
    kit_lock(&store);
    kit_install(&store, "tetra", 2);
    kit_install(&store, "tetra", 3);
    T_OK(kit_stage(&store, "tetra", 9, &err), &err);
    T_OK(du_store_download_open(&store, sha256, true, &complete, &fd, &err), &err);
    du_fd_close(&fd);
    T_CHECK(t_shell("touch state/staging/x state/holds/y.tmp state/trial/1") == 0);
    du_store_close(&store);
    T_CHECK(t_shell("mv state full") == 0);

    EACH_WAY(way)
    {
        for (struct fault f = fault_start(way->mode, way->error); next_round(&f);) {
            unsigned failures, fds;

            fault_stop(&f);
            copy_state("full");
            kit_lock(&store);
            fds = kit_fds();
            store.sys = faulty();
            f.armed = true;
            failures = kit_sweep(&store, 1);
            fault_stop(&f);
            T_CHECK(kit_fds() == fds);
            T_CHECK((failures > 0) <= f.hit);
            T_CHECK(strcmp(kit_current(kit_path("state")), "4: tetra@3 yara@1") == 0);
            T_CHECK(kit_consistent(kit_path("state")));
            T_CHECK(kit_whole("state/generations/3", "tetra", 2)); /* the one before is kept */
            T_CHECK(kit_whole("state/generations/3", "yara", 1));
            if (failures == 0)
                T_CHECK(!kit_exists("state/generations/1") && !kit_exists("state/generations/2") &&
                        !kit_exists("state/versions/tetra/1"));
            /* A current generation that cannot be read may be on trial: then the newest waits. */
            if (failures == 0 && kit_exists("state/versions/tetra/9")) {
                T_CHECK(f.hit);
                store.sys = &du_sys_posix;
                T_CHECK(kit_sweep(&store, 1) == 0 && !kit_exists("state/versions/tetra/9"));
            }
            du_store_close(&store);
            check_healthy_run(3);
        }
    }
}

static void facts_survive_faults(void)
{
    make_base("base");
    EACH_WAY(way)
    {
        for (struct fault f = fault_start(way->mode, way->error); next_round(&f);) {
            DU_AUTO_FACT fact = { 0 };
            DU_AUTO_FACT got = { 0 };
            struct du_store store;
            defupd_error err = { 0 };
            uint64_t value = 0;
            defupd_code rc;
            unsigned fds;

            fault_stop(&f);
            copy_state("base");
            kit_lock(&store);
            fds = kit_fds();
            T_OK(du_fact_set_u64(&fact, "pin", 1, &err), &err);
            T_OK(du_store_fact_write(&store, DU_FACT_HOLD, "tetra", &fact, &err), &err);
            T_OK(du_fact_set_u64(&fact, "pin", 2, &err), &err);
            store.sys = faulty();
            f.armed = true;
            rc = du_store_fact_write(&store, DU_FACT_HOLD, "tetra", &fact, &err);
            fault_stop(&f);
            T_CHECK(kit_fds() == fds);
            check_code(rc, &f, &err);
            T_CHECK(du_store_fact_read(&store, DU_FACT_HOLD, "tetra", &got) == DU_FACT_READ);
            T_CHECK(du_fact_get_u64(&got, "pin", &value) &&
                    (value == 2 || (value == 1 && rc != DEFUPD_OK)));
            du_fact_free(&got);

            /* A fault while reading is never taken for "there is none". */
            f.armed = true;
            f.count = 0;
            T_CHECK(du_store_fact_read(&store, DU_FACT_HOLD, "tetra", &got) != DU_FACT_ABSENT);
            fault_stop(&f);
            T_CHECK(kit_fds() == fds);
            du_store_close(&store);
            check_healthy_run(1);
        }
    }
}

static void downloads_survive_faults(void)
{
    const unsigned char sha256[DU_SHA256_BYTES] = { 0xab };

    make_base("base");
    EACH_WAY(way)
    {
        for (struct fault f = fault_start(way->mode, way->error); next_round(&f);) {
            struct du_store store;
            defupd_error err = { 0 };
            bool complete = false;
            int fd = -1;
            defupd_code rc;
            unsigned fds;

            fault_stop(&f);
            copy_state("base");
            kit_lock(&store);
            fds = kit_fds();
            store.sys = faulty();
            f.armed = true;
            rc = du_store_download_open(&store, sha256, true, &complete, &fd, &err);
            if (rc == DEFUPD_OK)
                rc = du_write_all(store.sys, fd, "object", 6, "part", &err);
            if (rc == DEFUPD_OK)
                rc = du_store_download_done(&store, sha256, fd, &err);
            fault_stop(&f);
            du_fd_close(&fd);
            T_CHECK(kit_fds() == fds);
            check_code(rc, &f, &err);
            if (rc == DEFUPD_OK)
                T_CHECK(du_store_download_bytes(&store, sha256, &complete) == 6 && complete);
            f.armed = true;
            rc = du_store_download_drop(&store, sha256, &err);
            fault_stop(&f);
            T_CHECK(kit_fds() == fds);
            if (rc == DEFUPD_OK)
                T_CHECK(du_store_download_bytes(&store, sha256, &complete) == 0 && !complete);
            du_store_close(&store);
            check_healthy_run(1);
        }
    }
}

static defupd_code repair_all(struct du_store *store, defupd_error *err)
{
    DU_AUTO_INDEX index = { 0 };
    DU_AUTO_FD stage = -1;

    DU_TRY(du_store_stage(store, "tetra", 1, &stage, err));
    DU_TRY(kit_tree(store->sys, "tetra", 1, stage, &index, err));
    DU_TRY(du_store_repair_remove(store, "tetra", 1, "extra/deep/file", err));
    for (size_t i = 0; i < KIT_FILES; i++)
        DU_TRY(du_store_repair_file(store, "tetra", 1, stage, kit_files[i].path, err));
    DU_TRY(du_store_repair_record(store, "tetra", 1, &index, err));
    du_store_stage_drop(store, "tetra", 1);
    return DEFUPD_OK;
}

static void repairs_survive_faults(void)
{
    make_base("base");
    T_CHECK(t_shell("cd base/versions/tetra/1 && echo rot > a.dat && rm -r dir && echo x > dir && "
                    "mkdir -p extra/deep && touch extra/deep/file && echo rot >> ../1.index") == 0);
    EACH_WAY(way)
    {
        for (struct fault f = fault_start(way->mode, way->error); next_round(&f);) {
            struct du_store store;
            defupd_error err = { 0 };
            defupd_code rc;
            unsigned fds;

            fault_stop(&f);
            copy_state("base");
            kit_lock(&store);
            fds = kit_fds();
            store.sys = faulty();
            f.armed = true;
            rc = repair_all(&store, &err);
            fault_stop(&f);
            T_CHECK(kit_fds() == fds);
            check_code(rc, &f, &err);
            T_CHECK(strcmp(kit_current(kit_path("state")), "2: tetra@1 yara@1") == 0);
            T_CHECK(rc != DEFUPD_OK || kit_consistent(kit_path("state")));
            store.sys = kit_sys();
            T_OK(repair_all(&store, &err), &err);
            T_CHECK(kit_consistent(kit_path("state")));
            du_store_close(&store);
            check_healthy_run(2);
        }
    }
}

static void a_lease_under_faults_is_held_or_refused(void)
{
    make_base("base");
    copy_state("base");
    EACH_WAY(way)
    {
        for (struct fault f = fault_start(way->mode, way->error); next_round(&f);) {
            struct du_store store;
            struct du_lease lease;
            defupd_error err = { 0 };
            unsigned fds;
            defupd_code rc;

            fault_stop(&f);
            fds = kit_fds();
            f.armed = true;
            rc = kit_open(&store, faulty(), &err);
            if (rc == DEFUPD_OK)
                rc = du_store_lease(&store, &lease, &err);
            fault_stop(&f);
            T_CHECK(rc != DEFUPD_OK || (lease.fd >= 0 && lease.number == 2));
            T_CHECK((rc == DEFUPD_OK) == !f.hit);
            if (rc == DEFUPD_OK)
                du_lease_free(&lease);
            du_store_close(&store);
            T_CHECK(kit_fds() == fds);
        }
    }
}

int main(void)
{
    kit_fast_disk();
    T_RUN(making_and_locking_a_store_survives_faults);
    T_RUN(staging_and_activation_survive_faults);
    T_RUN(the_sweep_survives_faults);
    T_RUN(facts_survive_faults);
    T_RUN(downloads_survive_faults);
    T_RUN(repairs_survive_faults);
    T_RUN(a_lease_under_faults_is_held_or_refused);
    return T_DONE();
}
