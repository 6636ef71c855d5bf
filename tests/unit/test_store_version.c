/* SPDX-License-Identifier: Apache-2.0 */
#include "store_kit.h"

static void a_committed_version_is_complete_and_in_its_record(void)
{
    DU_AUTO_RECORD record = { 0 };
    DU_AUTO_INDEX want = { 0 };
    DU_AUTO_FREE uint64_t *version = NULL;
    DU_AUTO_NAMES components = { 0 };
    unsigned char tree[DU_SHA256_BYTES];
    struct du_store store;
    defupd_error err = { 0 };
    size_t count;

    kit_lock(&store);
    T_OK(kit_stage(&store, "tetra", 10, &err), &err);
    T_OK(kit_stage(&store, "tetra", 9, &err), &err);
    T_OK(kit_stage(&store, "yara", 1, &err), &err);
    T_OK(kit_tree(kit_sys(), "tetra", 10, -1, &want, &err), &err);
    T_OK(du_store_record(&store, "tetra", 10, &record, &err), &err);
    du_index_digest(&want, tree);
    T_CHECK(memcmp(tree, record.tree, sizeof tree) == 0 && record.index.count == want.count);
    for (size_t i = 0; i < record.index.count; i++) {
        char path[300];
        struct stat st;

        (void)snprintf(path, sizeof path, "state/versions/tetra/10/%s", record.index.file[i].path);
        T_CHECK(stat(path, &st) == 0 && record.file[i].inode == st.st_ino);
        T_CHECK(record.file[i].mtime_ns ==
                (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec);
    }
    T_CHECK(kit_whole_at("state/versions/tetra/10", "tetra", 10));
    T_CHECK(kit_names("state/staging") == 0);
    T_OK(du_store_versions(&store, "tetra", &version, &count, &err), &err);
    T_CHECK(count == 2 && version[0] == 9 && version[1] == 10);
    T_OK(du_store_components(&store, &components, &err), &err);
    T_CHECK(components.count == 2 && strcmp(components.item[0], "tetra") == 0);
    du_store_close(&store);
}

/* The format is fixed: another program can make one. */
static void the_record_is_as_documented(void)
{
    struct du_store store;
    defupd_error err = { 0 };

    kit_lock(&store);
    T_OK(kit_stage(&store, "tetra", 1, &err), &err);
    T_CHECK(t_shell("cd state/versions/tetra && f=1.index && "
                    "tree=$(for p in a.dat dir/run.sh dir/sub/same.dat; do "
                    "  m=-; [ -x 1/$p ] && m=x; "
                    "  echo \"$(sha256sum 1/$p | cut -c1-64) $(stat -c %%s 1/$p) $m $p\"; done | "
                    "  sha256sum | cut -c1-64) && "
                    "{ echo \"defupd-record 1 tetra 1 $tree\"; "
                    "for p in a.dat dir/run.sh dir/sub/same.dat; do "
                    "  m=-; [ -x 1/$p ] && m=x; "
                    "  ns=$(stat -c %%.9Y 1/$p | tr -d .); "
                    "  echo \"$(sha256sum 1/$p | cut -c1-64) $(stat -c %%s 1/$p) $m "
                    "$(stat -c %%i 1/$p) $ns $p\"; done; } > body && "
                    "{ cat body; echo \"sum $(sha256sum < body | cut -c1-64)\"; } > want && "
                    "cmp want $f") == 0);
    du_store_close(&store);
}

static void every_damage_to_a_record_is_found(void)
{
    static const char *const harm[] = {
        ": > %s",
        "sed -i '$d' %s",
        "sed -i '2d' %s",
        "sed -i '2p' %s",
        "sed -i '2s/ [0-9]* \\([^ ]*\\)$/ 7 \\1/' %s", /* a time */
        "sed -i '1s/tetra/yara/' %s",
        "sed -i '1s/tetra 1/tetra 2/' %s",
        "sed -i '1s/tetra 1/tetra 01/' %s",
        "sed -i 's/^sum /sum 0/' %s",
        "echo x >> %s",
        "printf x >> %s",
        "truncate -s -1 %s",
        "truncate -s +1 %s",
        "head -c 100000 /dev/zero > %s",
        "head -c 100000 /dev/zero | tr '\\0' x > %s",
        "rm %s && mkdir %s",
        "echo 'not a record' > %s",
        "sed -i '1s/record 1/record one/' %s",
        "sed -i '2s/^./g/' %s",
    };

    for (size_t i = 0; i < sizeof harm / sizeof harm[0]; i++) {
        DU_AUTO_RECORD record = { 0 };
        struct du_store store;
        defupd_error err = { 0 };
        char command[300];

        T_CHECK(t_shell("rm -rf state") == 0);
        kit_lock(&store);
        T_OK(kit_stage(&store, "tetra", 1, &err), &err);
        (void)snprintf(command, sizeof command, "f=state/versions/tetra/1.index; %s", harm[i]);
        for (char *at; (at = strstr(command, "%s")) != NULL;)
            memcpy(at, "$f", 2);
        T_CHECK(t_shell("%s", command) == 0);
        T_FAILS(du_store_record(&store, "tetra", 1, &record, &err), DEFUPD_E_STORE_CORRUPT, &err);
        T_CHECK(strstr(err.message, "versions/tetra/1.index") != NULL);
        T_CHECK(record.index.count == 0 && record.file == NULL);
        du_store_close(&store);
    }
}

/* Whole by its checksum, wrong all the same: made by somebody else, or by a bug. */
static void a_record_with_a_right_checksum_is_still_checked(void)
{
    static const char *const change[] = {
        "sed -i '2s/a.dat/b.dat/' body",    /* not the tree of the header */
        "sed -i '2{h;d};3G' body",          /* order */
        "sed -i '2s/ - / w / ' body",       /* mode */
        "sed -i '2s,a.dat,../a.dat,' body", /* path */
        "sed -i '2s,a.dat,dir,' body",      /* a file where a folder is needed */
        "sed -i '2s/ [0-9]* - / 99999999999999999999 - /' body",
        "sed -i '2s/ - [0-9]* / - -1 /' body",         /* inode */
        "sed -i '2s/ - [0-9]* [0-9]* / - 1 x /' body", /* time */
        "sed -i '2,$d' body",                          /* an empty tree */
        "sed -i '1s/ [0-9a-f]*$/ 00/' body",
    };

    for (size_t i = 0; i < sizeof change / sizeof change[0]; i++) {
        DU_AUTO_RECORD record = { 0 };
        struct du_store store;
        defupd_error err = { 0 };

        T_CHECK(t_shell("rm -rf state") == 0);
        kit_lock(&store);
        T_OK(kit_stage(&store, "tetra", 1, &err), &err);
        T_CHECK(t_shell("sed '$d' state/versions/tetra/1.index > body && cp body old && %s && "
                        "! cmp -s old body && { cat body; "
                        "echo \"sum $(sha256sum < body | cut -c1-64)\"; } "
                        "> state/versions/tetra/1.index",
                        change[i]) == 0);
        T_FAILS(du_store_record(&store, "tetra", 1, &record, &err), DEFUPD_E_STORE_CORRUPT, &err);
        du_store_close(&store);
    }
}

static void a_version_that_is_not_there_is_not_installed(void)
{
    DU_AUTO_RECORD record = { 0 };
    DU_AUTO_FREE uint64_t *version = NULL;
    struct du_store store;
    defupd_error err = { 0 };
    size_t count = 1;
    int fd = -1;

    T_OK(kit_open(&store, kit_sys(), &err), &err);
    T_FAILS(du_store_record(&store, "tetra", 1, &record, &err), DEFUPD_E_NOT_INSTALLED, &err);
    T_OK(du_store_versions(&store, "tetra", &version, &count, &err), &err);
    T_CHECK(count == 0);
    du_store_close(&store);
    kit_lock(&store);
    T_FAILS(du_store_record(&store, "tetra", 1, &record, &err), DEFUPD_E_NOT_INSTALLED, &err);
    T_OK(kit_stage(&store, "tetra", 2, &err), &err);
    T_FAILS(du_store_record(&store, "tetra", 1, &record, &err), DEFUPD_E_NOT_INSTALLED, &err);
    T_FAILS(du_store_version_dir(&store, "tetra", 1, &fd, &err), DEFUPD_E_IO, &err);
    T_CHECK(du_is_missing(&err));
    T_FAILS(du_store_version_dir(&store, "../tetra", 1, &fd, &err), DEFUPD_E_BUG, &err);
    du_store_close(&store);
}

static void half_a_version_is_none(void)
{
    static const char *const half[] = { "rm -r 1", "rm 1.index", "rm -r 1 && touch 1",
                                        "mv 1 x && ln -s x 1", "rm 1.index && mkdir 1.index" };

    for (size_t i = 0; i < sizeof half / sizeof half[0]; i++) {
        DU_AUTO_FREE uint64_t *version = NULL;
        struct du_store store;
        defupd_error err = { 0 };
        size_t count = 1;

        T_CHECK(t_shell("rm -rf state") == 0);
        kit_lock(&store);
        T_OK(kit_stage(&store, "tetra", 1, &err), &err);
        T_CHECK(t_shell("cd state/versions/tetra && %s", half[i]) == 0);
        T_OK(du_store_versions(&store, "tetra", &version, &count, &err), &err);
        T_CHECK(count == 0);
        du_store_close(&store);
    }
}

static void a_file_is_known_by_inode_size_mode_and_time(void)
{
    static const char *const change[] = {
        "touch -d '2001-01-01' a.dat",   "chmod 0755 a.dat",
        "chmod 0644 dir/run.sh",         "chmod 0664 a.dat",
        "chmod 04755 dir/run.sh",        "rm a.dat",
        "cp -p a.dat x && mv x a.dat",   "printf x >> a.dat",
        "rm a.dat && mkdir a.dat",       "mv a.dat x && ln -s x a.dat",
        "mv dir real && ln -s real dir", "printf y > a.dat && touch -r dir/run.sh a.dat",
        "mv dir x && touch dir",
    };

    for (size_t i = 0; i < sizeof change / sizeof change[0]; i++) {
        DU_AUTO_RECORD record = { 0 };
        DU_AUTO_FD root = -1;
        struct du_store store;
        defupd_error err = { 0 };
        unsigned held = 0;

        T_CHECK(t_shell("rm -rf state") == 0);
        kit_lock(&store);
        T_OK(kit_stage(&store, "tetra", 1, &err), &err);
        T_OK(du_store_record(&store, "tetra", 1, &record, &err), &err);
        T_OK(du_store_version_dir(&store, "tetra", 1, &root, &err), &err);
        for (size_t f = 0; f < record.index.count; f++)
            T_CHECK(kit_holds(&record, &record.index.file[f], root));
        T_CHECK(t_shell("cd state/versions/tetra/1 && %s", change[i]) == 0);
        for (size_t f = 0; f < record.index.count; f++)
            held += kit_holds(&record, &record.index.file[f], root);
        T_CHECK(held < record.index.count);
        du_store_close(&store);
    }
}

static void a_file_that_the_record_does_not_state_does_not_hold(void)
{
    DU_AUTO_RECORD record = { 0 };
    DU_AUTO_FD root = -1;
    struct du_store store;
    defupd_error err = { 0 };
    struct du_file file;
    char other[] = "b.dat";

    kit_lock(&store);
    T_OK(kit_stage(&store, "tetra", 1, &err), &err);
    T_OK(du_store_record(&store, "tetra", 1, &record, &err), &err);
    T_OK(du_store_version_dir(&store, "tetra", 1, &root, &err), &err);
    file = record.index.file[0];
    T_CHECK(kit_holds(&record, &file, root));
    file.sha256[0] ^= 1;
    T_CHECK(!kit_holds(&record, &file, root));
    file = record.index.file[0];
    file.path = other;
    T_CHECK(!kit_holds(&record, &file, root));
    du_store_close(&store);
}

static void a_record_of_many_files_is_written_and_read(void)
{
    enum { MANY = 3000 };
    DU_AUTO_INDEX index = { 0 };
    DU_AUTO_RECORD record = { 0 };
    DU_AUTO_PLACE place = { .dir = -1 };
    DU_AUTO_FD stage = -1;
    unsigned char sha256[DU_SHA256_BYTES];
    struct du_store store;
    defupd_error err = { 0 };

    kit_lock(&store);
    T_OK(du_store_stage(&store, "tetra", DU_VERSION_MAX, &stage, &err), &err);
    du_place_init(&place, kit_sys(), stage);
    du_sha256(sha256, "", 0);
    for (unsigned i = 0; i < MANY; i++) {
        DU_AUTO_FD fd = -1;
        char path[300];

        (void)snprintf(path, sizeof path, "%u with spaces %0200u/%u", i % 7, i % 7, i);
        T_OK(du_place_file(&place, path, i % 2 != 0, &fd, &err), &err);
        T_OK(du_index_add(&index, path, 0, sha256, i % 2 != 0, &err), &err);
    }
    T_OK(du_index_seal(&index, &err), &err);
    T_OK(du_store_stage_commit(&store, "tetra", DU_VERSION_MAX, stage, &index, &err), &err);
    T_OK(du_store_record(&store, "tetra", DU_VERSION_MAX, &record, &err), &err);
    T_CHECK(record.index.count == MANY);
    du_store_close(&store);
}

int main(void)
{
    kit_fast_disk();
    T_RUN(a_committed_version_is_complete_and_in_its_record);
    T_RUN(the_record_is_as_documented);
    T_RUN(every_damage_to_a_record_is_found);
    T_RUN(a_record_with_a_right_checksum_is_still_checked);
    T_RUN(a_version_that_is_not_there_is_not_installed);
    T_RUN(half_a_version_is_none);
    T_RUN(a_file_is_known_by_inode_size_mode_and_time);
    T_RUN(a_file_that_the_record_does_not_state_does_not_hold);
    T_RUN(a_record_of_many_files_is_written_and_read);
    return T_DONE();
}
