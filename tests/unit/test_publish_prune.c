/* SPDX-License-Identifier: Apache-2.0 */
/* Files that tests call old have been written ten days ago. */
#include "t_publish.h"

static void age(const char *days)
{
    T_CHECK(t_shell("find repo -exec touch -d '%s days ago' {} +", days) == 0);
}

static void release(defupd_repo *repo, uint64_t version)
{
    defupd_error err = { 0 };
    char tree[32], text[32];

    (void)snprintf(tree, sizeof tree, "tree-%llu", (unsigned long long)version);
    (void)snprintf(text, sizeof text, "rule %llu", (unsigned long long)version);
    t_tree(tree, text);
    T_OK(t_add_deltas(repo, "tetra", version, tree, 12, NULL, &err), &err);
}

static uint64_t prune(defupd_repo *repo)
{
    defupd_repo_pruning pruning = DEFUPD_REPO_PRUNING_INIT;
    defupd_error err = { 0 };

    T_OK(defupd_repo_prune(repo, &pruning, &err), &err);
    return pruning.files;
}

static bool verifies(defupd_repo *repo)
{
    struct t_said found = { 0 };
    defupd_error err = { 0 };

    if (defupd_repo_verify(repo, t_say, &found, &err) == DEFUPD_OK)
        return true;
    printf("# %s\n%s", err.message, found.text);
    return false;
}

static unsigned count(const char *where)
{
    char line[32] = "0";
    FILE *pipe;

    T_CHECK(t_shell("find repo/%s -type f | wc -l >count", where) == 0);
    pipe = fopen("count", "r");
    T_CHECK(pipe != NULL && fgets(line, sizeof line, pipe) != NULL);
    if (pipe != NULL)
        (void)fclose(pipe);
    return (unsigned)atoi(line);
}

static void nothing_goes_that_was_superseded_this_week(void)
{
    T_AUTO_REPO *repo = t_repo(NULL);
    defupd_error err = { 0 };

    T_OK(defupd_repo_init(repo, &err), &err);
    T_CHECK(prune(repo) == 0);
    age("10");
    for (uint64_t v = 1; v <= 5; v++)
        release(repo, v);
    T_CHECK(t_shell("cp -a repo before") == 0);
    T_CHECK(prune(repo) == 0);
    age("6");
    T_CHECK(prune(repo) == 0);
    T_CHECK(t_shell("diff -r -x .lock repo before") == 0);
}

static void what_nobody_can_ask_for_goes_and_the_rest_stays(void)
{
    T_AUTO_REPO *repo = t_repo(NULL);
    defupd_error err = { 0 };
    unsigned objects;

    T_OK(defupd_repo_init(repo, &err), &err);
    for (uint64_t v = 1; v <= 6; v++)
        release(repo, v);
    T_OK(t_change(repo, DEFUPD_REPO_KEY_ROTATE, "root", NULL, &err), &err);
    objects = count("objects");
    age("10");
    T_CHECK(prune(repo) > 0);
    T_CHECK(verifies(repo));
    /* Deltas to releases 2 to 4 are gone; bundles of all six are named. */
    T_CHECK(count("objects") < objects && count("objects") >= 6);
    T_CHECK(count("targets") == 1);
    T_CHECK(t_shell("ls repo/metadata >have && cat >want <<'END'\n1.root.json\n2.root.json\n"
                    "7.snapshot.json\n7.targets.json\ntimestamp.json\nEND\ndiff have want") == 0);
    T_CHECK(prune(repo) == 0);
    release(repo, 7);
    T_CHECK(verifies(repo));
}

/* Until a moment ago readers found what was the present state then. */
static void the_state_before_the_present_one_stays_whole(void)
{
    T_AUTO_REPO *repo = t_repo(NULL);
    defupd_error err = { 0 };

    T_OK(defupd_repo_init(repo, &err), &err);
    for (uint64_t v = 1; v <= 6; v++)
        release(repo, v);
    age("10");
    T_CHECK(t_shell("cp repo/metadata/timestamp.json held") == 0);
    release(repo, 7);
    T_CHECK(prune(repo) > 0);
    T_CHECK(verifies(repo));
    T_CHECK(t_shell("cp held repo/metadata/timestamp.json") == 0);
    T_CHECK(verifies(repo));
}

/* A run that was cut short has left a snapshot that was never published: it does not stand for the
 * one that was. */
static void a_leftover_snapshot_hides_no_published_one(void)
{
    T_AUTO_REPO *repo = t_repo(NULL);
    defupd_error err = { 0 };

    T_OK(defupd_repo_init(repo, &err), &err);
    for (uint64_t v = 1; v <= 4; v++)
        release(repo, v);
    T_CHECK(t_shell("cp repo/metadata/timestamp.json held && cp repo/metadata/5.snapshot.json "
                    "repo/metadata/6.snapshot.json && cp repo/metadata/5.targets.json "
                    "repo/metadata/6.targets.json") == 0);
    age("10");
    T_CHECK(prune(repo) > 0);
    /* Its number is not free: it may be in a cache. */
    T_CHECK(access("repo/metadata/6.snapshot.json", F_OK) == 0);
    release(repo, 5);
    T_CHECK(access("repo/metadata/7.snapshot.json", F_OK) == 0);
    (void)prune(repo);
    T_CHECK(verifies(repo));
    T_CHECK(t_shell("cp held repo/metadata/timestamp.json") == 0);
    T_CHECK(verifies(repo));
}

static void what_a_pending_change_names_stays(void)
{
    defupd_repo_release later = DEFUPD_REPO_RELEASE_INIT;
    defupd_repo_added added = DEFUPD_REPO_ADDED_INIT;
    T_AUTO_REPO *repo = t_repo(NULL);
    defupd_error err = { 0 };
    int is_pending = 1;

    T_OK(defupd_repo_init(repo, &err), &err);
    release(repo, 1);
    T_CHECK(t_shell("mkdir -m 0700 away && mv repo.keys/targets-*.pem away && cp "
                    "repo.keys/targets-*.json repo.keys/root.json away") == 0);
    t_tree("tree-2", "rule 2");
    later.component = "tetra";
    later.version = 2;
    later.tree_dir = "tree-2";
    later.pending = 1;
    later.added = &added;
    T_OK(defupd_repo_add_release(repo, &later, &err), &err);
    T_CHECK(added.pending == 1 && added.deltas == 1);
    age("10");
    (void)prune(repo);
    T_CHECK(t_shell("cp -a away/* repo.keys && cp repo.pending.json change") == 0);
    T_OK(defupd_repo_sign(repo, "change", t_say, NULL, &(struct t_said){ 0 }, &err), &err);
    T_OK(defupd_repo_pending_import(repo, "change", &is_pending, &err), &err);
    T_CHECK(is_pending == 0);
    T_CHECK(verifies(repo));
}

static void foreign_files_stay_and_leftovers_go(void)
{
    T_AUTO_REPO *repo = t_repo(NULL);
    defupd_error err = { 0 };

    T_OK(defupd_repo_init(repo, &err), &err);
    release(repo, 1);
    T_CHECK(t_shell("cd repo && mkdir -p objects/ab objects/work.tmp/old-1 targets/notes && "
                    "h=$(printf x | sha256sum | cut -c1-64) && echo x >objects/$h && echo x "
                    ">objects/ab/$h && echo x >objects/ab/README && echo x >index.html && echo x "
                    ">metadata/README && echo x >metadata/1.Other.json && echo x "
                    ">metadata/x.root.json && echo x >targets/tetra/manifest.xml && echo x "
                    ">targets/$h.manifest.xml && find . -type f | sort >../want && echo x "
                    ">objects/work.tmp/old-1/rules && echo x >objects/bundle.tmp && echo x "
                    ">metadata/timestamp.json.tmp && mkdir -p objects/${h%%${h#??}} && echo x "
                    ">objects/${h%%${h#??}}/$h") == 0);
    age("10");
    T_CHECK(prune(repo) == 3); /* the nameless object, and the empty repository's metadata */
    T_CHECK(t_shell("cd repo && grep -v '1.snapshot\\|1.targets' ../want >../less && find . -type "
                    "f | sort | diff - ../less") == 0);
}

static void a_dry_run_tells_and_removes_nothing(void)
{
    defupd_repo_pruning pruning = DEFUPD_REPO_PRUNING_INIT;
    struct t_said said = { 0 };
    T_AUTO_REPO *repo = t_repo(NULL);
    defupd_error err = { 0 };

    T_OK(defupd_repo_init(repo, &err), &err);
    for (uint64_t v = 1; v <= 4; v++)
        release(repo, v);
    age("10");
    T_CHECK(t_shell("cp -a repo before") == 0);
    pruning.dry_run = 1;
    pruning.on_file = t_say;
    pruning.user = &said;
    T_OK(defupd_repo_prune(repo, &pruning, &err), &err);
    T_CHECK(pruning.files > 0 && pruning.bytes > 0 && said.lines == pruning.files &&
            pruning.days == 7);
    T_CHECK(strstr(said.text, "metadata/1.snapshot.json\n") != NULL);
    T_CHECK(t_shell("diff -r -x .lock repo before") == 0);
    T_CHECK(prune(repo) == pruning.files);
}

static void days_below_a_week_are_refused(void)
{
    static const uint32_t bad[] = { 1, 6, 3651 };
    defupd_repo_pruning pruning = DEFUPD_REPO_PRUNING_INIT;
    T_AUTO_REPO *repo = t_repo(NULL);
    defupd_error err = { 0 };

    T_OK(defupd_repo_init(repo, &err), &err);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        pruning.days = bad[i];
        T_FAILS(defupd_repo_prune(repo, &pruning, &err), DEFUPD_E_INVALID, &err);
    }
    T_FAILS(defupd_repo_prune(repo, NULL, &err), DEFUPD_E_INVALID, &err);
    T_FAILS(defupd_repo_prune(NULL, &pruning, &err), DEFUPD_E_INVALID, &err);
    release(repo, 1);
    age("10");
    pruning.days = 11;
    T_OK(defupd_repo_prune(repo, &pruning, &err), &err);
    T_CHECK(pruning.files == 0);
}

static void what_does_not_verify_is_left_as_it_is(void)
{
    defupd_repo_pruning pruning = DEFUPD_REPO_PRUNING_INIT;
    T_AUTO_REPO *repo = t_repo(NULL);
    defupd_error err = { 0 };

    T_OK(defupd_repo_init(repo, &err), &err);
    for (uint64_t v = 1; v <= 4; v++)
        release(repo, v);
    T_CHECK(t_shell("sed -i s/20/21/ repo/metadata/timestamp.json") == 0);
    age("10");
    T_CHECK(t_shell("cp -a repo before") == 0);
    T_FAILS(defupd_repo_prune(repo, &pruning, &err), DEFUPD_E_REPO, &err);
    T_CHECK(t_shell("diff -r -x .lock repo before") == 0);
}

int main(void)
{
    T_RUN(nothing_goes_that_was_superseded_this_week);
    T_RUN(what_nobody_can_ask_for_goes_and_the_rest_stays);
    T_RUN(the_state_before_the_present_one_stays_whole);
    T_RUN(a_leftover_snapshot_hides_no_published_one);
    T_RUN(what_a_pending_change_names_stays);
    T_RUN(foreign_files_stay_and_leftovers_go);
    T_RUN(a_dry_run_tells_and_removes_nothing);
    T_RUN(days_below_a_week_are_refused);
    T_RUN(what_does_not_verify_is_left_as_it_is);
    return T_DONE();
}
