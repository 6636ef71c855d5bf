/* SPDX-License-Identifier: Apache-2.0 */
#include "store_kit.h"

static void staging_begins_empty_and_can_be_dropped(void)
{
    struct du_store store;
    defupd_error err = { 0 };
    struct stat st;
    int fd = -1;

    kit_lock(&store);
    T_OK(du_store_stage(&store, "tetra", 1, &fd, &err), &err);
    T_CHECK(fstat(fd, &st) == 0 && (st.st_mode & 07777) == 0755);
    T_CHECK(mkdirat(fd, "left", 0755) == 0);
    du_fd_close(&fd);
    T_OK(du_store_stage(&store, "tetra", 1, &fd, &err), &err); /* after a run that died */
    T_CHECK(faccessat(fd, "left", F_OK, 0) != 0);
    du_fd_close(&fd);
    T_CHECK(kit_names("state/staging") == 1);
    du_store_stage_drop(&store, "tetra", 1);
    du_store_stage_drop(&store, "tetra", 1);
    T_CHECK(kit_names("state/staging") == 0);
    T_FAILS(du_store_stage(&store, "../x", 1, &fd, &err), DEFUPD_E_BUG, &err);
    T_FAILS(du_store_stage(&store, "tetra", 0, &fd, &err), DEFUPD_E_BUG, &err);
    du_store_close(&store);
}

static void the_writers_functions_refuse_to_work_without_the_lock(void)
{
    const unsigned char sha256[DU_SHA256_BYTES] = { 0 };
    DU_AUTO_GENERATION next = { 0 };
    DU_AUTO_INDEX index = { 0 };
    DU_AUTO_FACT fact = { 0 };
    unsigned char id[DU_HOST_ID_BYTES];
    struct du_store store;
    defupd_error err = { 0 };
    const struct du_sweep sweep = { .now = KIT_NOW };
    unsigned failures = 0;
    bool switched;
    int fd = -1;

    kit_lock(&store);
    kit_install(&store, "tetra", 1);
    du_store_unlock(&store);
    T_FAILS(du_store_stage(&store, "tetra", 2, &fd, &err), DEFUPD_E_BUG, &err);
    T_FAILS(du_store_stage_commit(&store, "tetra", 2, 0, &index, &err), DEFUPD_E_BUG, &err);
    T_FAILS(du_store_activate(&store, &next, 0, &switched, &err), DEFUPD_E_BUG, &err);
    T_FAILS(du_store_repair_file(&store, "tetra", 1, 0, "a", &err), DEFUPD_E_BUG, &err);
    T_FAILS(du_store_repair_remove(&store, "tetra", 1, "a", &err), DEFUPD_E_BUG, &err);
    T_FAILS(du_store_repair_record(&store, "tetra", 1, &index, &err), DEFUPD_E_BUG, &err);
    T_FAILS(du_store_download_done(&store, sha256, 0, &err), DEFUPD_E_BUG, &err);
    T_FAILS(du_store_download_drop(&store, sha256, &err), DEFUPD_E_BUG, &err);
    T_FAILS(du_store_clean(&store, NULL, &err), DEFUPD_E_BUG, &err);
    T_FAILS(du_store_fact_write(&store, DU_FACT_HOLD, "tetra", &fact, &err), DEFUPD_E_BUG, &err);
    T_FAILS(du_store_host_id(&store, id, &err), DEFUPD_E_BUG, &err);
    du_store_sweep(&store, &sweep, &failures);
    T_CHECK(failures == 1);
    T_SAME(kit_current(kit_path("state")), "1: tetra@1");
    du_store_close(&store);
}

static void a_staged_tree_that_is_not_its_index_is_refused(void)
{
    static const char *const harm[] = {
        "rm a.dat",  "printf x >> a.dat",      "chmod 0755 a.dat",
        "rm -r dir", "rm -r dir && touch dir", "rm a.dat && ln -s dir/run.sh a.dat"
    };

    for (size_t i = 0; i < sizeof harm / sizeof harm[0]; i++) {
        DU_AUTO_INDEX index = { 0 };
        DU_AUTO_FD fd = -1;
        struct du_store store;
        defupd_error err = { 0 };

        kit_lock(&store);
        T_OK(du_store_stage(&store, "tetra", 1, &fd, &err), &err);
        T_OK(kit_tree(kit_sys(), "tetra", 1, fd, &index, &err), &err);
        T_CHECK(t_shell("cd state/staging/tetra@1 && %s", harm[i]) == 0);
        T_FAILS(du_store_stage_commit(&store, "tetra", 1, fd, &index, &err), DEFUPD_E_DAMAGED,
                &err);
        T_CHECK(!kit_exists("state/versions/tetra/1") &&
                !kit_exists("state/versions/tetra/1.index"));
        du_store_stage_drop(&store, "tetra", 1);
        T_CHECK(kit_names("state/staging") == 0);
        du_store_close(&store);
    }
}

static void a_version_that_nothing_uses_is_replaced(void)
{
    static const char *const before[] = { "true", "rm -r 1", "rm 1.index", "rm -r 1 && touch 1",
                                          "echo rot > 1.index" };

    for (size_t i = 0; i < sizeof before / sizeof before[0]; i++) {
        struct du_store store;
        defupd_error err = { 0 };

        kit_lock(&store);
        T_OK(kit_stage(&store, "tetra", 1, &err), &err);
        T_CHECK(t_shell("cd state/versions/tetra && touch 1/extra && %s", before[i]) == 0);
        T_OK(kit_stage(&store, "tetra", 1, &err), &err);
        T_CHECK(kit_whole_at("state/versions/tetra/1", "tetra", 1));
        T_CHECK(kit_sweep(&store, 1) == 0);
        T_CHECK(kit_names("state/staging") == 0 && kit_names("state/versions") == 0);
        du_store_close(&store);
    }
}

static void a_version_in_use_is_never_replaced(void)
{
    struct du_store store;
    defupd_error err = { 0 };

    kit_lock(&store);
    kit_install(&store, "tetra", 1);
    kit_install(&store, "tetra", 2);
    T_FAILS(kit_stage(&store, "tetra", 2, &err), DEFUPD_E_BUG, &err);
    T_FAILS(kit_stage(&store, "tetra", 1, &err), DEFUPD_E_BUG, &err); /* by an earlier one */
    T_CHECK(strstr(err.message, "generation 1") != NULL);
    T_CHECK(kit_consistent(kit_path("state")) && kit_names("state/staging") == 0);
    /* A generation that was never switched to has no readers. */
    T_OK(kit_stage(&store, "tetra", 3, &err), &err);
    T_CHECK(t_shell("mkdir state/generations/3 && "
                    "ln -s ../../versions/tetra/3 state/generations/3/tetra") == 0);
    T_OK(kit_stage(&store, "tetra", 3, &err), &err);
    /* Where the folder is gone, putting it back harms nobody. */
    T_CHECK(t_shell("rm -r state/versions/tetra/1") == 0);
    T_OK(kit_stage(&store, "tetra", 1, &err), &err);
    T_CHECK(kit_whole_at("state/versions/tetra/1", "tetra", 1));
    du_store_close(&store);
}

static int no_syncfs(int fd)
{
    (void)fd;
    errno = ENOSYS;
    return -1;
}

static int synced;

static int count_fsync(int fd)
{
    struct stat st;

    synced += fstat(fd, &st) == 0;
    return 0;
}

static int broken_syncfs(int fd)
{
    (void)fd;
    errno = EIO;
    return -1;
}

static void without_syncfs_each_file_and_folder_is_synced(void)
{
    struct du_sys sys = *kit_sys();
    struct du_store store;
    defupd_error err = { 0 };
    int with;

    sys.fsync = count_fsync;
    kit_lock(&store);
    store.sys = &sys;
    T_OK(kit_stage(&store, "tetra", 1, &err), &err);
    with = synced;
    synced = 0;
    sys.syncfs = no_syncfs;
    T_OK(kit_stage(&store, "tetra", 2, &err), &err);
    T_CHECK(synced >= with - 1 + 3 + 3); /* three files, three folders; versions/tetra stands */
    sys.syncfs = broken_syncfs;          /* has no way around it */
    T_FAILS(kit_stage(&store, "tetra", 3, &err), DEFUPD_E_IO, &err);
    T_CHECK(!kit_exists("state/versions/tetra/3"));
    du_store_close(&store);
}

/* tetra@1, installed and harmed; then its kit tree beside it, in *stage. */
static void make_damage(struct du_store *store, const char *harm, int *stage,
                        struct du_index *index)
{
    defupd_error err = { 0 };

    T_CHECK(t_shell("rm -rf state") == 0);
    kit_lock(store);
    kit_install(store, "tetra", 1);
    T_CHECK(t_shell("cd state/versions/tetra/1 && %s", harm) == 0);
    T_OK(du_store_stage(store, "tetra", 1, stage, &err), &err);
    T_OK(kit_tree(kit_sys(), "tetra", 1, *stage, index, &err), &err);
}

static void damaged_and_missing_files_are_replaced(void)
{
    static const char *const harm[] = { "echo rot > a.dat; echo rot > dir/run.sh",
                                        "rm -r *",
                                        "rm -r ../1",
                                        "rm -r ../1 ../1.index",
                                        "rm -r dir; touch dir",
                                        "rm -r dir; ln -s /tmp dir",
                                        "rm a.dat; mkdir -p a.dat/x; touch a.dat/x/y",
                                        "rm a.dat; ln -s /etc/passwd a.dat",
                                        "chmod 0600 a.dat",
                                        "rm -r dir/sub; ln -s ../../2 dir/sub",
                                        "echo rot > ../1.index" };

    for (size_t i = 0; i < sizeof harm / sizeof harm[0]; i++) {
        DU_AUTO_INDEX index = { 0 };
        DU_AUTO_RECORD record = { 0 };
        DU_AUTO_FD stage = -1, root = -1;
        struct du_store store;
        defupd_error err = { 0 };

        make_damage(&store, harm[i], &stage, &index);
        for (size_t f = 0; f < index.count; f++)
            T_OK(du_store_repair_file(&store, "tetra", 1, stage, index.file[f].path, &err), &err);
        T_OK(du_store_repair_record(&store, "tetra", 1, &index, &err), &err);
        T_CHECK(kit_consistent(kit_path("state")));
        T_OK(du_store_record(&store, "tetra", 1, &record, &err), &err);
        T_OK(du_store_version_dir(&store, "tetra", 1, &root, &err), &err);
        for (size_t f = 0; f < record.index.count; f++)
            T_CHECK(kit_holds(&record, &record.index.file[f], root));
        T_CHECK(!kit_has_tmp(AT_FDCWD, "state/versions"));
        du_store_close(&store);
    }
}

static void a_reader_of_a_damaged_file_keeps_what_it_opened(void)
{
    DU_AUTO_INDEX index = { 0 };
    DU_AUTO_FD stage = -1, reader = -1;
    struct du_store store;
    defupd_error err = { 0 };
    char text[16] = "";

    make_damage(&store, "echo rot > a.dat", &stage, &index);
    reader = open("state/current/tetra/a.dat", O_RDONLY | O_CLOEXEC);
    T_OK(du_store_repair_file(&store, "tetra", 1, stage, "a.dat", &err), &err);
    T_CHECK(read(reader, text, sizeof text) == 4 && strcmp(text, "rot\n") == 0);
    T_CHECK(kit_consistent(kit_path("state")));
    du_store_close(&store);
}

static void what_does_not_belong_is_removed_with_its_empty_folders(void)
{
    struct du_store store;
    defupd_error err = { 0 };

    kit_lock(&store);
    kit_install(&store, "tetra", 1);
    T_CHECK(t_shell("cd state/versions/tetra/1 && mkdir -p 'x/y\nz' dir/more other && "
                    "touch 'x/y\nz/f' dir/extra && ln -s /etc link && echo keep > ../../../kept && "
                    "ln -s ../../../.. up && mkfifo pipe") == 0);
    T_OK(du_store_repair_remove(&store, "tetra", 1, "x/y\nz/f", &err), &err);
    T_CHECK(!kit_exists("state/versions/tetra/1/x"));
    T_OK(du_store_repair_remove(&store, "tetra", 1, "dir/extra", &err), &err);
    T_OK(du_store_repair_remove(&store, "tetra", 1, "dir/more", &err), &err);
    T_OK(du_store_repair_remove(&store, "tetra", 1, "other", &err), &err);
    T_OK(du_store_repair_remove(&store, "tetra", 1, "link", &err), &err);
    T_OK(du_store_repair_remove(&store, "tetra", 1, "pipe", &err), &err);
    T_FAILS(du_store_repair_remove(&store, "tetra", 1, "up/kept", &err), DEFUPD_E_IO, &err);
    T_OK(du_store_repair_remove(&store, "tetra", 1, "up", &err), &err);
    T_OK(du_store_repair_remove(&store, "tetra", 1, "no/such/thing", &err), &err);
    T_CHECK(kit_exists("state/kept") && kit_consistent(kit_path("state")));
    du_store_close(&store);
}

static void a_repair_never_leaves_the_version(void)
{
    static const char *const bad[] = { "",     ".",  "..",    "../2", "a/../../2", "/etc/passwd",
                                       "a//b", "a/", "a/./b", "a/.." };
    struct du_store store;
    defupd_error err = { 0 };

    kit_lock(&store);
    kit_install(&store, "tetra", 1);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        T_FAILS(du_store_repair_remove(&store, "tetra", 1, bad[i], &err), DEFUPD_E_BUG, &err);
        T_FAILS(du_store_repair_file(&store, "tetra", 1, store.dir, bad[i], &err), DEFUPD_E_BUG,
                &err);
    }
    T_CHECK(kit_consistent(kit_path("state")));
    du_store_close(&store);
}

static void a_record_is_not_made_for_files_that_differ(void)
{
    DU_AUTO_INDEX index = { 0 };
    DU_AUTO_FD stage = -1;
    struct du_store store;
    defupd_error err = { 0 };

    make_damage(&store, "echo longer than it was before >> a.dat", &stage, &index);
    T_FAILS(du_store_repair_record(&store, "tetra", 1, &index, &err), DEFUPD_E_DAMAGED, &err);
    T_CHECK(strstr(err.message, "a.dat") != NULL);
    T_CHECK(kit_exists("state/versions/tetra/1.index"));
    T_CHECK(!kit_has_tmp(AT_FDCWD, "state/versions"));
    du_store_close(&store);
}

int main(void)
{
    kit_fast_disk();
    T_RUN(staging_begins_empty_and_can_be_dropped);
    T_RUN(the_writers_functions_refuse_to_work_without_the_lock);
    T_RUN(a_staged_tree_that_is_not_its_index_is_refused);
    T_RUN(a_version_that_nothing_uses_is_replaced);
    T_RUN(a_version_in_use_is_never_replaced);
    T_RUN(without_syncfs_each_file_and_folder_is_synced);
    T_RUN(damaged_and_missing_files_are_replaced);
    T_RUN(a_reader_of_a_damaged_file_keeps_what_it_opened);
    T_RUN(what_does_not_belong_is_removed_with_its_empty_folders);
    T_RUN(a_repair_never_leaves_the_version);
    T_RUN(a_record_is_not_made_for_files_that_differ);
    return T_DONE();
}
