/* SPDX-License-Identifier: Apache-2.0 */
#include "t_publish.h"

#define DAY_S (24 * 3600)

static defupd_repo_added added = DEFUPD_REPO_ADDED_INIT;

/* Two components, three releases; a copy in `good`. */
static void prepare(defupd_repo *repo)
{
    defupd_error err = { 0 };

    t_tree("tree-1", "one");
    t_tree("tree-2", "two");
    T_OK(defupd_repo_init(repo, &err), &err);
    T_OK(t_add(repo, "yara", 1, "tree-1", NULL, &err), &err);
    T_OK(t_add(repo, "tetra", 1, "tree-1", NULL, &err), &err);
    T_OK(t_add(repo, "tetra", 2, "tree-2", &added, &err), &err);
    T_CHECK(t_shell("cp -a repo good") == 0);
}

static void a_flipped_byte_anywhere_is_found_and_named(void)
{
    static const struct {
        const char *file, *names; /* what the finding says, NULL: the file's name */
    } files[] = {
        { "metadata/1.root.json", NULL },      { "metadata/timestamp.json", NULL },
        { "metadata/4.snapshot.json", NULL },  { "metadata/4.targets.json", NULL },
        { "targets/yara/*", "targets/yara/" }, { "objects/*/*", "objects/" },
    };
    defupd_error err = { 0 };
    T_AUTO_REPO *repo = t_repo(NULL);

    prepare(repo);
    T_OK(defupd_repo_verify(repo, NULL, NULL, &err), &err);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        for (unsigned part = 0; part < 3; part++) {
            struct t_said found = { 0 };
            /* In the middle of the file, near its start and near its end. */
            T_CHECK(
                t_shell("rm -rf repo && cp -a good repo && set -- repo/%s && size=$(stat -c %%s "
                        "\"$1\") && at=$((size * (1 + 3 * %u) / 8)) && byte=$(od -An -tu1 -j $at "
                        "-N1 \"$1\") && printf \"\\\\$(printf %%03o $((byte ^ 1)))\" | dd "
                        "of=\"$1\" bs=1 seek=$at conv=notrunc status=none && ! cmp -s \"$1\" "
                        "\"good${1#repo}\"",
                        files[i].file, part) == 0);
            T_FAILS(defupd_repo_verify(repo, t_say, &found, &err), DEFUPD_E_REPO, &err);
            T_CHECK(found.lines >= 1);
            if (strstr(found.text, files[i].names != NULL ? files[i].names : files[i].file) == NULL)
                printf("# %s: %s", files[i].file, found.text);
            T_CHECK(strstr(found.text, files[i].names != NULL ? files[i].names : files[i].file) !=
                    NULL);
        }
    }
}

static void each_missing_file_is_named(void)
{
    static const char *const files[] = { "metadata/1.root.json", "metadata/timestamp.json",
                                         "metadata/4.snapshot.json", "metadata/4.targets.json" };
    defupd_error err = { 0 };
    T_AUTO_REPO *repo = t_repo(NULL);
    struct t_said found = { 0 };

    prepare(repo);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        struct t_said gone = { 0 };
        T_CHECK(t_shell("rm -rf repo && cp -a good repo && rm repo/%s", files[i]) == 0);
        T_FAILS(defupd_repo_verify(repo, t_say, &gone, &err), DEFUPD_E_REPO, &err);
        T_CHECK(strstr(gone.text, strchr(files[i], '/') + 1) != NULL);
    }
    T_CHECK(t_shell("rm -rf repo && cp -a good repo && rm -r repo/targets/yara "
                    "repo/objects/%.2s/%s",
                    added.object, added.object) == 0);
    T_FAILS(defupd_repo_verify(repo, t_say, &found, &err), DEFUPD_E_REPO, &err);
    T_CHECK(found.lines == 2); /* it goes on after a defect */
    T_CHECK(strstr(found.text, "tetra 2: open objects/") != NULL &&
            strstr(found.text, added.object) != NULL);
    T_CHECK(strstr(found.text, "yara: ") != NULL);
}

static void a_truncated_or_grown_object_is_found(void)
{
    static const char *const how[] = { "truncate -s -1", "truncate -s +1", "truncate -s 0" };
    defupd_error err = { 0 };
    T_AUTO_REPO *repo = t_repo(NULL);

    prepare(repo);
    for (size_t i = 0; i < sizeof how / sizeof how[0]; i++) {
        struct t_said found = { 0 };
        T_CHECK(t_shell("rm -rf repo && cp -a good repo && %s repo/objects/%.2s/%s", how[i],
                        added.object, added.object) == 0);
        T_FAILS(defupd_repo_verify(repo, t_say, &found, &err), DEFUPD_E_REPO, &err);
        T_CHECK(found.lines == 1 && strstr(found.text, "tetra 2: ") != NULL &&
                strstr(found.text, added.object) != NULL);
    }
}

static void expiry_is_found_role_by_role(void)
{
    defupd_error err = { 0 };
    struct t_said said;
    T_AUTO_REPO *repo = t_repo(&said);
    const int64_t now = du_sys_posix.now_s();
    static const struct {
        int days;
        size_t lines;
        const char *last;
    } later[] = {
        { 2, 1, "timestamp" }, { 8, 2, "snapshot" }, { 91, 3, "targets" }, { 366, 4, "root" }
    };

    prepare(repo);
    for (size_t i = 0; i < sizeof later / sizeof later[0]; i++) {
        struct t_said found = { 0 };
        t_clock(repo, now + later[i].days * DAY_S);
        T_FAILS(defupd_repo_verify(repo, t_say, &found, &err), DEFUPD_E_REPO, &err);
        T_CHECK(found.lines == later[i].lines && strstr(found.text, later[i].last) != NULL);
    }
}

/* Signed by the right keys, and still wrong: only unpacking shows it. */
static void an_object_of_another_tree_is_found(void)
{
    defupd_error err = { 0 };
    T_AUTO_REPO *repo = t_repo(NULL);
    DU_AUTO_WORK work = DU_WORK;
    DU_AUTO_NEXT next = { 0 };
    DU_AUTO_MANIFEST *manifest = NULL;
    DU_AUTO_BUF text = DU_BUF(DU_MANIFEST_BYTES_MAX);
    char name[DU_META_NAME];
    struct t_said found = { 0 };
    struct du_json *part = NULL;
    DU_AUTO_FD dir = -1;

    prepare(repo);
    T_OK(du_work_begin(repo, &work, &err), &err);
    T_OK(du_state_manifest(repo, &work.dirs, &work.state, "tetra", &manifest, &err), &err);
    manifest->release[0].tree[0] ^= 1;
    T_OK(du_manifest_write(manifest, &text, &err), &err);
    T_OK(du_next_edit(&work.dirs, &work.state, &next, "targets", &part, &err), &err);
    T_CHECK(du_part_target(part, "tetra", du_buf_bytes(&text)));
    T_OK(du_next_sign(repo, &work.state, &work.ring, &next, &err), &err);
    T_OK(du_next_finish(repo, &work.dirs, &work.state, &work.ring, &next, "tetra",
                        du_buf_bytes(&text), &err),
         &err);
    du_manifest_file(name, du_buf_bytes(&text));
    T_OK(du_dir_open(repo->sys, work.dirs.targets, "tetra", false, 0, &dir, &err), &err);
    T_OK(du_file_replace(repo->sys, dir, name, text.data, text.len, 0644, &err), &err);
    T_OK(du_work_write(repo, &work, &next, &err), &err);
    du_work_end(&work);
    T_FAILS(defupd_repo_verify(repo, t_say, &found, &err), DEFUPD_E_REPO, &err);
    T_CHECK(found.lines == 1 && strstr(found.text, "tetra 2: ") != NULL);
}

static void verify_needs_no_key_and_leaves_nothing_behind(void)
{
    defupd_error err = { 0 };
    struct t_said said, found = { 0 };
    T_AUTO_REPO *repo = t_repo(&said);

    prepare(repo);
    T_CHECK(t_shell("rm -rf repo.keys") == 0);
    T_OK(defupd_repo_verify(repo, t_say, &found, &err), &err);
    T_CHECK(t_shell("diff -r repo good && ! ls | grep -q defupd-verify") == 0);
    T_CHECK(strstr(said.text, "tetra: 2 releases") != NULL &&
            strstr(said.text, "yara: 1 release") != NULL);
    T_CHECK(strstr(said.text, "timestamp version 4, valid until") != NULL);
}

int main(void)
{
    T_RUN(a_flipped_byte_anywhere_is_found_and_named);
    T_RUN(each_missing_file_is_named);
    T_RUN(a_truncated_or_grown_object_is_found);
    T_RUN(expiry_is_found_role_by_role);
    T_RUN(an_object_of_another_tree_is_found);
    T_RUN(verify_needs_no_key_and_leaves_nothing_behind);
    return T_DONE();
}
