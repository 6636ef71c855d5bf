/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <sys/stat.h>

#include "base/when.h"
#include "t_publish.h"

#define DAY_S (24 * 3600)
#define START INT64_C(1795251600) /* 2026-11-21T09:00:00Z */

static bool verifies(defupd_repo *repo)
{
    struct t_said found = { 0 };
    defupd_error err = { 0 };

    if (defupd_repo_verify(repo, t_say, &found, &err) == DEFUPD_OK)
        return true;
    printf("# %s\n%s", err.message, found.text);
    return false;
}

/* The published content of a role, as text. */
static bool timestamp_says(const char *text)
{
    return t_shell("grep -qF -e '%s' repo/metadata/timestamp.json", text) == 0;
}

static void a_release_is_published_whole(void)
{
    defupd_error err = { 0 };
    T_AUTO_REPO *repo = t_repo(NULL);
    defupd_repo_release release = DEFUPD_REPO_RELEASE_INIT;
    defupd_repo_added added = DEFUPD_REPO_ADDED_INIT;

    t_tree("tree", "one");
    T_OK(t_init(repo, &err), &err);
    t_clock(repo, START);
    release.component = "tetra";
    release.version = 1003;
    release.tree_dir = "tree";
    release.label = "297.0.0.0";
    release.licence_class = "antimalware";
    release.note = "text & <more> \"of it\"";
    release.added = &added;
    T_OK(defupd_repo_add_release(repo, &release, &err), &err);
    T_CHECK(added.files == 3 && added.tree_bytes == 3 + 1 + 1892 && added.releases == 1 &&
            added.oldest == 1003 && added.dropped == 0 && added.shared == 0);
    T_CHECK(t_shell("f=repo/objects/%.2s/%s && test $(sha256sum <$f | cut -c1-64) = %s && "
                    "test $(stat -c %%s $f) = %llu",
                    added.object, added.object, added.object,
                    (unsigned long long)added.bundle_bytes) == 0);
    T_CHECK(t_shell("f=$(echo repo/targets/tetra/*) && test $(sha256sum <$f | cut -c1-64) = "
                    "$(basename $f .manifest.xml)") == 0);
    T_CHECK(t_shell("grep -q 'version=\"1003\" label=\"297.0.0.0\" "
                    "published=\"2026-11-21T09:00:00Z\" tree=\"%s\"' repo/targets/tetra/*",
                    added.tree) == 0);
    T_CHECK(t_shell("grep -q 'text &amp; &lt;more&gt;' repo/targets/tetra/*") == 0);
    T_CHECK(t_shell("test -z \"$(find repo -name '*.tmp')\"") == 0);
    T_CHECK(verifies(repo));
}

static void only_higher_versions_follow(void)
{
    defupd_error err = { 0 };
    T_AUTO_REPO *repo = t_repo(NULL);

    t_tree("tree", "one");
    T_OK(t_init(repo, &err), &err);
    T_OK(t_add(repo, "tetra", 10, "tree", NULL, &err), &err);
    T_CHECK(t_shell("cp -a repo before") == 0);
    T_FAILS(t_add(repo, "tetra", 10, "tree", NULL, &err), DEFUPD_E_VERSION_ORDER, &err);
    T_FAILS(t_add(repo, "tetra", 9, "tree", NULL, &err), DEFUPD_E_VERSION_ORDER, &err);
    T_CHECK(strstr(err.message, "tetra 9") != NULL && strstr(err.message, "10") != NULL);
    T_CHECK(t_shell("diff -r -x .lock repo before") == 0);
    T_OK(t_add(repo, "tetra", DU_VERSION_MAX, "tree", NULL, &err), &err);
    T_OK(t_add(repo, "yara", 1, "tree", NULL, &err), &err);
    T_CHECK(verifies(repo));
}

static void equal_trees_share_one_object(void)
{
    defupd_error err = { 0 };
    T_AUTO_REPO *repo = t_repo(NULL);
    defupd_repo_added one = DEFUPD_REPO_ADDED_INIT, two = DEFUPD_REPO_ADDED_INIT;

    t_tree("tree", "one");
    T_OK(t_init(repo, &err), &err);
    T_OK(t_add(repo, "tetra", 1, "tree", &one, &err), &err);
    repo->level = 9; /* would give other bytes */
    T_OK(t_add(repo, "tetra", 2, "tree", &two, &err), &err);
    T_CHECK(two.shared == 1);
    T_SAME(two.object, one.object);
    T_CHECK(t_shell("find repo/objects -type f | wc -l | grep -qx 1") == 0);
    T_CHECK(verifies(repo));
}

static void a_damaged_object_is_not_shared_again(void)
{
    defupd_error err = { 0 };
    T_AUTO_REPO *repo = t_repo(NULL);
    defupd_repo_added one = DEFUPD_REPO_ADDED_INIT, two = DEFUPD_REPO_ADDED_INIT;

    t_tree("tree", "one");
    T_OK(t_init(repo, &err), &err);
    T_OK(t_add(repo, "tetra", 1, "tree", &one, &err), &err);
    T_CHECK(t_shell("printf x | dd of=repo/objects/%.2s/%s conv=notrunc status=none", one.object,
                    one.object) == 0);
    T_OK(t_add(repo, "tetra", 2, "tree", &two, &err), &err);
    T_CHECK(two.shared == 0);
    T_SAME(two.object, one.object); /* the same tree, level and library: mended by the way */
    T_CHECK(verifies(repo));
}

static void forbidden_trees_are_refused_with_their_path(void)
{
    static const struct {
        const char *make, *path;
    } bad[] = {
        { "ln -s rules t/link", "link" },
        { "ln -s nowhere t/dangling", "dangling" },
        { "ln -s .. t/up", "up" },
        { "mkfifo t/pipe", "pipe" },
        { "mkdir t/empty", "empty" },
        { "mkdir -p t/deep/er", "deep/er" },
        { "touch t/suid && chmod 4755 t/suid", "suid" },
        { "touch t/sgid && chmod 2755 t/sgid", "sgid" },
        { "touch t/sticky && chmod 1644 t/sticky", "sticky" },
        { "printf x >'t/back\\slash'", "slash" },
        { "printf x >\"$(printf 't/line\\nfeed')\"", "feed" },
        { "printf x >\"$(printf 't/bad\\377utf')\"", "utf" },
        { "printf x >t/RULES", "RULES" },
        { "mkdir 't/SUB DIR' && printf x >'t/SUB DIR/y'", "SUB DIR" },
    };
    defupd_error err = { 0 };
    T_AUTO_REPO *repo = t_repo(NULL);

    T_OK(t_init(repo, &err), &err);
    T_CHECK(t_shell("cp -a repo before") == 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        T_CHECK(t_shell("rm -rf t") == 0);
        t_tree("t", "one");
        T_CHECK(t_shell("%s", bad[i].make) == 0);
        T_FAILS(t_add(repo, "tetra", 1, "t", NULL, &err), DEFUPD_E_TREE_FORBIDDEN, &err);
        if (strstr(err.message, bad[i].path) == NULL)
            printf("# %s: %s\n", bad[i].make, err.message);
        T_CHECK(strstr(err.message, bad[i].path) != NULL);
    }
    T_CHECK(t_shell("rm -rf t && mkdir t") == 0);
    T_FAILS(t_add(repo, "tetra", 1, "t", NULL, &err), DEFUPD_E_TREE_FORBIDDEN, &err);
    T_CHECK(t_shell("diff -r -x .lock repo before") == 0);
}

static void a_tree_that_holds_the_keys_is_never_published(void)
{
    defupd_error err = { 0 };
    T_AUTO_REPO *repo = t_repo(NULL);

    T_OK(t_init(repo, &err), &err);
    T_FAILS(t_add(repo, "tetra", 1, ".", NULL, &err), DEFUPD_E_TREE_FORBIDDEN, &err);
    T_CHECK(strstr(err.message, "repo.keys") != NULL);
    T_FAILS(t_add(repo, "tetra", 1, "repo.keys", NULL, &err), DEFUPD_E_TREE_FORBIDDEN, &err);
    T_FAILS(t_add(repo, "tetra", 1, "repo/../repo.keys", NULL, &err), DEFUPD_E_TREE_FORBIDDEN,
            &err);
    T_FAILS(t_add(repo, "tetra", 1, "repo", NULL, &err), DEFUPD_E_TREE_FORBIDDEN, &err);
}

static void what_a_release_says_is_checked(void)
{
    char long_note[300];
    memset(long_note, 'n', sizeof long_note);
    long_note[257] = '\0';
    const defupd_repo_release good = {
        .struct_size = sizeof good, .component = "tetra", .version = 1, .tree_dir = "tree"
    };
    defupd_repo_release bad[12];
    defupd_error err = { 0 };
    T_AUTO_REPO *repo = t_repo(NULL);
    size_t n = 0;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        bad[i] = good;
    bad[n++].component = "Tetra";
    bad[n++].component = "../tetra";
    bad[n++].component = "root";
    bad[n++].component = NULL;
    bad[n++].version = 0;
    bad[n++].version = DU_VERSION_MAX + 1;
    bad[n++].tree_dir = NULL;
    bad[n++].tree_dir = "nothing-here";
    bad[n++].label = "two\nlines";
    bad[n++].label = "\xff";
    bad[n++].note = long_note;
    bad[n++].struct_size = 3;
    T_OK(t_init(repo, &err), &err);
    t_tree("tree", "one");
    for (size_t i = 0; i < n; i++)
        T_FAILS(defupd_repo_add_release(repo, &bad[i], &err), DEFUPD_E_INVALID, &err);
    T_CHECK(defupd_repo_add_release(repo, &bad[0], NULL) == DEFUPD_E_INVALID);
    T_CHECK(t_shell("test -z \"$(ls -A repo/targets repo/objects | grep -v :)\"") == 0);
}

/* Clients take `published` for proof that their clock is behind. */
static void a_release_from_the_future_is_refused(void)
{
    defupd_error err = { 0 };
    T_AUTO_REPO *repo = t_repo(NULL);
    defupd_repo_release release = DEFUPD_REPO_RELEASE_INIT;

    t_tree("tree", "one");
    T_OK(t_init(repo, &err), &err);
    t_clock(repo, START);
    release.component = "tetra";
    release.version = 1;
    release.tree_dir = "tree";
    release.published = START + 1;
    T_FAILS(defupd_repo_add_release(repo, &release, &err), DEFUPD_E_INVALID, &err);
    release.published = START;
    T_OK(defupd_repo_add_release(repo, &release, &err), &err);
}

static void the_manifest_keeps_thirty_two_releases_in_sixteen_kib(void)
{
    defupd_error err = { 0 };
    T_AUTO_REPO *repo = t_repo(NULL);
    defupd_repo_added added = DEFUPD_REPO_ADDED_INIT;
    defupd_repo_release release = DEFUPD_REPO_RELEASE_INIT;
    char note[257];

    t_tree("tree", "one");
    T_OK(t_init(repo, &err), &err);
    for (uint64_t v = 1; v <= 34; v++)
        T_OK(t_add(repo, "tetra", v, "tree", &added, &err), &err);
    T_CHECK(added.releases == 32 && added.oldest == 3 && added.dropped == 1);
    memset(note, '&', 256);
    note[256] = '\0';
    release.component = "wordy";
    release.tree_dir = "tree";
    release.note = note;
    release.added = &added;
    for (release.version = 1; release.version <= 12; release.version++)
        T_OK(defupd_repo_add_release(repo, &release, &err), &err);
    T_CHECK(added.releases < 12 && added.releases > 5 && added.dropped == 1);
    T_CHECK(t_shell("test -z \"$(find repo/targets -name '*.xml' -size +16384c)\"") == 0);
    T_CHECK(verifies(repo));
}

static void leftovers_of_an_interrupted_run_are_passed_over(void)
{
    defupd_error err = { 0 };
    T_AUTO_REPO *repo = t_repo(NULL);

    t_tree("tree", "one");
    T_OK(t_init(repo, &err), &err);
    T_CHECK(t_shell("echo rubbish >repo/metadata/2.targets.json && echo rubbish "
                    ">repo/metadata/2.snapshot.json && mkdir -p repo/objects/work.tmp/old-1 && "
                    "echo rubbish >repo/objects/work.tmp/old-1/rules && "
                    "echo rubbish >repo/metadata/timestamp.json.tmp") == 0);
    T_OK(t_add(repo, "tetra", 1, "tree", NULL, &err), &err);
    T_CHECK(verifies(repo));
    T_CHECK(t_shell("grep -qx rubbish repo/metadata/2.targets.json && test -f "
                    "repo/metadata/3.targets.json && test -f repo/metadata/3.snapshot.json") == 0);
    T_CHECK(timestamp_says("\"version\": 3"));
}

static void a_repository_that_was_tampered_with_is_not_built_upon(void)
{
    static const char *const files[] = { "metadata/1.root.json", "metadata/timestamp.json",
                                         "metadata/2.snapshot.json", "metadata/2.targets.json",
                                         "targets/tetra/*.xml" };
    defupd_error err = { 0 };
    T_AUTO_REPO *repo = t_repo(NULL);

    t_tree("tree", "one");
    T_OK(t_init(repo, &err), &err);
    T_OK(t_add(repo, "tetra", 1, "tree", NULL, &err), &err);
    T_CHECK(t_shell("cp -a repo good") == 0);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        const char *name = strrchr(files[i], '/') + 1;
        T_CHECK(t_shell("rm -rf repo && cp -a good repo && sed -i s/20/21/ repo/%s", files[i]) ==
                0);
        T_FAILS(t_add(repo, "tetra", 2, "tree", NULL, &err), DEFUPD_E_REPO, &err);
        T_CHECK(strstr(err.message, name[0] == '*' ? "manifest.xml" : name) != NULL);
    }
}

static void the_keys_that_are_needed_are_named(void)
{
    static const char *const roles[] = { "targets", "snapshot", "timestamp" };
    defupd_error err = { 0 };
    T_AUTO_REPO *repo = t_repo(NULL);

    t_tree("tree", "one");
    T_OK(t_init(repo, &err), &err);
    T_CHECK(t_shell("cp -a repo before") == 0);
    for (size_t i = 0; i < 3; i++) {
        T_CHECK(t_shell("mv repo.keys/%s-* .", roles[i]) == 0);
        T_FAILS(t_add(repo, "tetra", 1, "tree", NULL, &err), DEFUPD_E_KEY, &err);
        T_CHECK(strstr(err.message, roles[i]) != NULL && strstr(err.message, "repo.keys") != NULL);
        T_CHECK(t_shell("mv %s-* repo.keys", roles[i]) == 0);
    }
    T_CHECK(t_shell("diff -r -x .lock repo before") == 0);
    T_CHECK(t_shell("mv repo.keys/root-* .") == 0); /* the root's key may stay in its safe */
    T_OK(t_add(repo, "tetra", 1, "tree", NULL, &err), &err);
}

static void a_foreign_key_signs_nothing(void)
{
    defupd_error err = { 0 };
    T_AUTO_REPO *repo = t_repo(NULL);
    char id[65];

    t_tree("tree", "one");
    T_OK(t_init(repo, &err), &err);
    T_CHECK(t_shell("mv repo repo1 && mv repo.keys/timestamp-* .") == 0);
    T_OK(defupd_repo_key_generate(repo, "timestamp", NULL, id, &err), &err);
    T_CHECK(t_shell("mv repo1 repo") == 0);
    T_FAILS(t_add(repo, "tetra", 1, "tree", NULL, &err), DEFUPD_E_KEY, &err);
}

static void one_publisher_at_a_time(void)
{
    defupd_error err = { 0 };
    T_AUTO_REPO *repo = t_repo(NULL), *other = t_repo(NULL);
    DU_AUTO_DIRS dirs = DU_DIRS;
    char pid[32];

    t_tree("tree", "one");
    T_OK(t_init(repo, &err), &err);
    T_OK(du_dirs_open(repo, &dirs, true, &err), &err);
    T_FAILS(t_add(other, "tetra", 1, "tree", NULL, &err), DEFUPD_E_BUSY, &err);
    (void)snprintf(pid, sizeof pid, "pid %d", (int)getpid());
    T_CHECK(strstr(err.message, pid) != NULL);
    T_FAILS(defupd_repo_refresh(other, &err), DEFUPD_E_BUSY, &err);
    T_FAILS(defupd_repo_init(other, &err), DEFUPD_E_BUSY, &err);
    T_OK(defupd_repo_verify(other, NULL, NULL, &err), &err); /* a reader needs no lock */
    du_dirs_close(&dirs);
    T_OK(t_add(other, "tetra", 1, "tree", NULL, &err), &err);
}

static void refresh_signs_what_is_due(void)
{
    defupd_error err = { 0 };
    struct t_said said;
    T_AUTO_REPO *repo = t_repo(&said);

    t_clock(repo, START);
    T_OK(t_init(repo, &err), &err);
    t_clock(repo, START + 3600);
    T_OK(defupd_repo_refresh(repo, &err), &err);
    T_CHECK(timestamp_says("\"version\": 2") && timestamp_says("2026-11-22T10:00:00Z"));
    T_CHECK(access("repo/metadata/2.snapshot.json", F_OK) != 0);
    t_clock(repo, START + 4 * DAY_S);
    T_OK(defupd_repo_refresh(repo, &err), &err);
    T_CHECK(access("repo/metadata/2.snapshot.json", F_OK) == 0);
    T_CHECK(access("repo/metadata/2.targets.json", F_OK) != 0);
    T_CHECK(verifies(repo));
    t_clock(repo, START + 60 * DAY_S); /* everything but root and targets has expired long ago */
    T_CHECK(defupd_repo_verify(repo, NULL, NULL, &err) == DEFUPD_E_REPO);
    T_OK(defupd_repo_refresh(repo, &err), &err);
    T_CHECK(access("repo/metadata/2.targets.json", F_OK) == 0);
    T_CHECK(access("repo/metadata/3.snapshot.json", F_OK) == 0);
    T_CHECK(verifies(repo));
    T_CHECK(strstr(said.text, "warning") == NULL);
    t_clock(repo, START + 330 * DAY_S);
    T_OK(defupd_repo_refresh(repo, &err), &err);
    T_CHECK(strstr(said.text, "warning: root expires at 2027-11-21T09:00:00Z") != NULL);
}

static void refresh_needs_the_timestamp_key_alone(void)
{
    defupd_error err = { 0 };
    struct t_said said;
    T_AUTO_REPO *repo = t_repo(&said);

    t_clock(repo, START);
    T_OK(t_init(repo, &err), &err);
    T_CHECK(
        t_shell("mkdir away && mv repo.keys/[rst][ona][oar]* away/; ls repo.keys/*.pem | wc -l | "
                "grep -qx 1") == 0);
    T_OK(defupd_repo_refresh(repo, &err), &err);
    T_CHECK(strstr(said.text, "warning") == NULL);
    t_clock(repo, START + 50 * DAY_S);
    T_OK(defupd_repo_refresh(repo, &err), &err);
    T_CHECK(strstr(said.text, "warning: snapshot expires at") != NULL);
    T_CHECK(strstr(said.text, "warning: targets expires at") != NULL);
    T_CHECK(t_shell("mv repo.keys/timestamp-* away/") == 0);
    T_FAILS(defupd_repo_refresh(repo, &err), DEFUPD_E_KEY, &err);
}

int main(void)
{
    T_RUN(a_release_is_published_whole);
    T_RUN(only_higher_versions_follow);
    T_RUN(equal_trees_share_one_object);
    T_RUN(a_damaged_object_is_not_shared_again);
    T_RUN(forbidden_trees_are_refused_with_their_path);
    T_RUN(a_tree_that_holds_the_keys_is_never_published);
    T_RUN(what_a_release_says_is_checked);
    T_RUN(a_release_from_the_future_is_refused);
    T_RUN(the_manifest_keeps_thirty_two_releases_in_sixteen_kib);
    T_RUN(leftovers_of_an_interrupted_run_are_passed_over);
    T_RUN(a_repository_that_was_tampered_with_is_not_built_upon);
    T_RUN(the_keys_that_are_needed_are_named);
    T_RUN(a_foreign_key_signs_nothing);
    T_RUN(one_publisher_at_a_time);
    T_RUN(refresh_signs_what_is_due);
    T_RUN(refresh_needs_the_timestamp_key_alone);
    return T_DONE();
}
