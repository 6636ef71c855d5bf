/* SPDX-License-Identifier: Apache-2.0 */
/* A publisher whose disk fails at each step: readers find the old or the new state, whole, and the
 * next run goes on. ./check takes a spread of the steps, ./check full every one. */
#include <dirent.h>

#include "fault.h"
#include "t_publish.h"
#include "t_tree.h"

static const enum fault_mode modes[] = { FAULT_ONCE, FAULT_FROM_THEN_ON };

static int stride(void)
{
    return getenv("DEFUPD_LONG") != NULL ? 1 : 17;
}

/* No power is cut here, so nothing needs to reach the disk; the call still counts and fails. */
static int counted_fsync(int fd)
{
    (void)fd;
    return fault_here() ? -1 : 0;
}

static struct du_sys failing_sys, fast_sys;

static void make_tables(void)
{
    failing_sys = fault_sys;
    fast_sys = du_sys_posix;
    failing_sys.fsync = fast_sys.fsync = counted_fsync;
}

static void restore(bool keys)
{
    T_CHECK(t_remove_tree("repo") && t_shell("cp -a base repo") == 0);
    if (keys)
        T_CHECK(t_remove_tree("repo.keys") && t_shell("cp -a base.keys repo.keys") == 0);
}

static int open_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int n = 0;

    if (dir == NULL)
        return 0;
    while (readdir(dir) != NULL)
        n++;
    (void)closedir(dir);
    return n;
}

/* The newest published version of tetra; 0 without one. */
static uint64_t published(defupd_repo *repo)
{
    DU_AUTO_DIRS dirs = DU_DIRS;
    DU_AUTO_STATE state = { 0 };
    DU_AUTO_MANIFEST *manifest = NULL;
    defupd_error err = { 0 };

    T_OK(du_dirs_open(repo, &dirs, false, &err), &err);
    T_OK(du_state_load(repo, &dirs, &state, &err), &err);
    T_OK(du_state_manifest(repo, &dirs, &state, "tetra", &manifest, &err), &err);
    return manifest == NULL || manifest->count == 0 ? 0 : manifest->release[0].version;
}

static void check_verifies(defupd_repo *repo)
{
    struct t_said found = { 0 };
    defupd_error err = { 0 };

    T_OK(defupd_repo_verify(repo, t_say, &found, &err), &err);
    if (found.lines > 0)
        printf("# %s", found.text);
}

static void add_rounds(defupd_repo *repo, enum fault_mode mode, int error)
{
    int rounds = 0;

    for (struct fault f = fault_start(mode, error); fault_round(&f); rounds++) {
        const int before = open_descriptors();
        defupd_repo_added added = DEFUPD_REPO_ADDED_INIT;
        defupd_error err = { 0 };
        defupd_code rc;
        uint64_t version;

        restore(false);
        repo->sys = &failing_sys;
        rc = t_add_deltas(repo, "tetra", 2, "tree-2", 12, &added, &err);
        fault_stop(&f);
        repo->sys = &fast_sys;
        version = published(repo);
        if (rc == DEFUPD_OK)
            T_CHECK(version == 2 && added.deltas <= 1);
        else
            T_CHECK((version == 1 || version == 2) && err.message[0] != '\0');
        check_verifies(repo);
        T_OK(t_add_deltas(repo, "tetra", 3, "tree-3", 12, &added, &err), &err);
        T_CHECK(published(repo) == 3 && added.deltas == version);
        T_CHECK(access("repo/objects/work.tmp", F_OK) != 0);
        check_verifies(repo);
        T_CHECK(open_descriptors() == before);
        if (t_failed > 0) {
            printf("# in round %d, mode %d, error %d: %s\n", f.fail_at, (int)mode, error,
                   err.message);
            return;
        }
        f.fail_at += stride() - 1;
    }
    printf("# %d rounds\n", rounds);
    T_CHECK(rounds > 4);
}

static void readers_find_the_old_or_the_new_release(void)
{
    T_AUTO_REPO *repo = t_repo(NULL);
    defupd_error err = { 0 };

    t_tree("tree-1", "one");
    t_tree("tree-2", "two");
    t_tree("tree-3", "three");
    T_OK(t_init(repo, &err), &err);
    T_OK(t_add(repo, "tetra", 1, "tree-1", NULL, &err), &err);
    T_CHECK(t_shell("cp -a repo base") == 0);
    add_rounds(repo, FAULT_ONCE, EIO);
    if (t_failed == 0)
        add_rounds(repo, FAULT_FROM_THEN_ON, ENOSPC);
}

/* What goes is named by nobody, so it does not matter how much of it has gone. */
static void a_prune_that_was_cut_short_goes_on(void)
{
    T_AUTO_REPO *repo = t_repo(NULL);
    defupd_error err = { 0 };

    t_tree("tree-1", "one");
    t_tree("tree-2", "two");
    T_OK(t_init(repo, &err), &err);
    for (uint64_t v = 1; v <= 5; v++)
        T_OK(t_add_deltas(repo, "tetra", v, v % 2 == 0 ? "tree-2" : "tree-1", 12, NULL, &err),
             &err);
    T_CHECK(t_shell("mkdir repo/objects/work.tmp && touch repo/objects/work.tmp/bundle "
                    "repo/metadata/x.tmp && find repo -exec touch -d '9 days ago' {} + && cp -a "
                    "repo base") == 0);
    for (size_t m = 0; m < 2; m++) {
        for (struct fault f = fault_start(modes[m], EIO); fault_round(&f);) {
            defupd_repo_pruning pruning = DEFUPD_REPO_PRUNING_INIT;
            const int before = open_descriptors();

            T_CHECK(t_shell("rm -rf repo && cp -a base repo") == 0);
            repo->sys = &failing_sys;
            const defupd_code rc = defupd_repo_prune(repo, &pruning, &err);
            fault_stop(&f);
            repo->sys = &fast_sys;
            T_CHECK(rc != DEFUPD_OK || !f.hit || pruning.files > 0);
            check_verifies(repo);
            T_OK(defupd_repo_prune(repo, &pruning, &err), &err);
            check_verifies(repo);
            T_CHECK(t_shell("test $(ls repo/metadata | wc -l) = 4 && test $(ls repo/targets/tetra "
                            "| wc -l) = 1 && test -z \"$(find repo -name '*.tmp')\"") == 0);
            T_CHECK(open_descriptors() == before);
            if (t_failed > 0) {
                printf("# in round %d, mode %zu, result %d\n", f.fail_at, m, (int)rc);
                return;
            }
            f.fail_at += stride() - 1;
        }
    }
}

/* Withdrawn for all, or for nobody; and once more it succeeds. */
static void a_failed_withdrawal_leaves_the_release_as_it_was(void)
{
    T_AUTO_REPO *repo = t_repo(NULL);
    defupd_error err = { 0 };

    t_tree("tree-1", "one");
    T_OK(t_init(repo, &err), &err);
    for (uint64_t v = 1; v <= 2; v++)
        T_OK(t_add(repo, "tetra", v, "tree-1", NULL, &err), &err);
    T_CHECK(t_shell("cp -a repo base") == 0);
    for (size_t m = 0; m < 2; m++) {
        for (struct fault f = fault_start(modes[m], m == 0 ? EIO : ENOSPC); fault_round(&f);) {
            defupd_repo_amendment amend = DEFUPD_REPO_AMENDMENT_INIT;
            const int before = open_descriptors();

            amend.kind = DEFUPD_REPO_WITHDRAW;
            amend.component = "tetra";
            amend.version = 2;
            restore(false);
            repo->sys = &failing_sys;
            const defupd_code rc = defupd_repo_amend(repo, &amend, &err);
            fault_stop(&f);
            repo->sys = &fast_sys;
            T_CHECK(rc == DEFUPD_OK || err.message[0] != '\0');
            check_verifies(repo);
            T_OK(defupd_repo_amend(repo, &amend, &err), &err);
            T_CHECK(amend.goes_to == 1);
            check_verifies(repo);
            T_CHECK(open_descriptors() == before);
            if (t_failed > 0) {
                printf("# in round %d, mode %zu, result %d\n", f.fail_at, m, (int)rc);
                return;
            }
            f.fail_at += stride() - 1;
        }
    }
}

static void a_failed_refresh_leaves_a_repository_that_verifies(void)
{
    T_AUTO_REPO *repo = t_repo(NULL);
    defupd_error err = { 0 };
    int64_t now;

    T_OK(t_init(repo, &err), &err);
    T_CHECK(t_shell("cp -a repo base") == 0);
    now = du_sys_posix.now_s() + 60 * 24 * 3600; /* everything is due */
    for (size_t m = 0; m < 2; m++) {
        for (struct fault f = fault_start(modes[m], EIO); fault_round(&f);) {
            restore(false);
            t_clock(repo, now);
            t_sys = failing_sys;
            t_sys.now_s = t_now_s;
            const defupd_code rc = defupd_repo_refresh(repo, &err);
            fault_stop(&f);
            t_clock(repo, now);
            if (rc == DEFUPD_OK)
                check_verifies(repo);
            T_OK(defupd_repo_refresh(repo, &err), &err);
            check_verifies(repo);
            f.fail_at += stride() - 1;
        }
    }
}

/* A new root and all that its keys sign, or a component's new role: before and after, nothing
 * between, and the next run goes on. */
static void change_rounds(defupd_repo *repo, const defupd_repo_change *change, enum fault_mode mode)
{
    int rounds = 0;

    for (struct fault f = fault_start(mode, ENOSPC); fault_round(&f); rounds++) {
        const int before = open_descriptors();
        defupd_error err = { 0 };
        defupd_code rc;

        restore(true);
        repo->sys = &failing_sys;
        rc = defupd_repo_apply(repo, change, NULL, &err);
        fault_stop(&f);
        repo->sys = &fast_sys;
        if (rc != DEFUPD_OK)
            T_CHECK(err.message[0] != '\0');
        check_verifies(repo);
        T_CHECK(published(repo) == 1);
        T_OK(t_add(repo, "tetra", 2, "tree-2", NULL, &err), &err);
        check_verifies(repo);
        T_CHECK(open_descriptors() == before);
        if (t_failed > 0) {
            printf("# in round %d, mode %d, kind %u of %s, result %d\n", f.fail_at, (int)mode,
                   change->kind, change->role, (int)rc);
            return;
        }
        f.fail_at += stride() - 1;
    }
    printf("# %d rounds\n", rounds);
    T_CHECK(rounds > 4);
}

static void a_change_of_keys_is_seen_whole_or_not_at_all(void)
{
    static const struct {
        uint32_t kind;
        const char *role;
    } changes[] = { { DEFUPD_REPO_DELEGATE, "tetra" },
                    { DEFUPD_REPO_KEY_ROTATE, "targets" },
                    { DEFUPD_REPO_KEY_ROTATE, "timestamp" },
                    { DEFUPD_REPO_KEY_ROTATE, "root" } };
    T_AUTO_REPO *repo = t_repo(NULL);
    defupd_error err = { 0 };

    t_tree("tree-1", "one");
    t_tree("tree-2", "two");
    T_OK(t_init(repo, &err), &err);
    T_OK(t_add(repo, "tetra", 1, "tree-1", NULL, &err), &err);
    T_OK(defupd_repo_key_generate(repo, "tetra", "ed25519", NULL, &err), &err);
    T_CHECK(t_shell("cp -a repo base && cp -a repo.keys base.keys") == 0);
    for (size_t i = 0; i < sizeof changes / sizeof changes[0] && t_failed == 0; i++) {
        defupd_repo_change change = DEFUPD_REPO_CHANGE_INIT;
        change.kind = changes[i].kind;
        change.role = changes[i].role;
        change.key_type = "ed25519";
        change_rounds(repo, &change, modes[i % 2]);
    }
}

/* A key that is lost cannot sign what the next root replaces: then a failure may leave the root
 * alone, which the next refresh completes. */
static void a_lost_keys_replacement_goes_on_where_it_was_cut(void)
{
    defupd_repo_change change = DEFUPD_REPO_CHANGE_INIT;
    T_AUTO_REPO *repo = t_repo(NULL);
    defupd_error err = { 0 };
    bool cut = false;

    T_OK(t_init(repo, &err), &err);
    T_CHECK(t_shell("rm repo.keys/targets-* && cp -a repo base && cp -a repo.keys base.keys") == 0);
    change.kind = DEFUPD_REPO_KEY_ROTATE;
    change.role = "targets";
    change.key_type = "ed25519";
    change.lost = 1;
    for (struct fault f = fault_start(FAULT_FROM_THEN_ON, EIO); fault_round(&f);) {
        bool behind;
        restore(true);
        repo->sys = &failing_sys;
        const defupd_code rc = defupd_repo_apply(repo, &change, NULL, &err);
        fault_stop(&f);
        repo->sys = &fast_sys;
        behind = defupd_repo_verify(repo, NULL, NULL, &err) != DEFUPD_OK;
        T_CHECK(!behind || rc != DEFUPD_OK);
        cut = cut || behind;
        T_OK(defupd_repo_refresh(repo, &err), &err);
        check_verifies(repo);
        f.fail_at += (stride() - 1) / 3; /* only some steps leave it behind */
    }
    T_CHECK(cut);
}

/* The pending change is one file beside the repository: the old or the new one, and what is served
 * is as it was until it is all there. */
static void pending_rounds(defupd_repo *repo, enum fault_mode mode, bool import, bool enough)
{
    for (struct fault f = fault_start(mode, EIO); fault_round(&f);) {
        defupd_repo_change change = DEFUPD_REPO_CHANGE_INIT;
        defupd_error err = { 0 };
        struct t_said said = { 0 };
        defupd_code rc;

        restore(true);
        T_CHECK(unlink("repo.pending.json") == 0 || errno == ENOENT);
        T_CHECK(access("base.pending.json", F_OK) != 0 ||
                t_shell("cp base.pending.json repo.pending.json") == 0);
        change.kind = DEFUPD_REPO_RENEW;
        change.role = "targets";
        change.pending = 1;
        repo->sys = &failing_sys;
        rc = import ? defupd_repo_pending_import(repo, enough ? "both" : "one", NULL, &err)
                    : defupd_repo_apply(repo, &change, NULL, &err);
        fault_stop(&f);
        repo->sys = &fast_sys;
        if (rc != DEFUPD_OK)
            T_CHECK(err.message[0] != '\0');
        check_verifies(repo);
        T_OK(defupd_repo_pending_list(repo, t_say, &said, &err), &err); /* it can be read */
        T_CHECK(import || (said.lines > 0) == (access("repo.pending.json", F_OK) == 0));
        /* And gone on with, unless the last step was done. */
        if (!import && said.lines == 0)
            T_OK(defupd_repo_apply(repo, &change, NULL, &err), &err);
        if (import && access("repo/metadata/2.targets.json", F_OK) != 0)
            T_OK(defupd_repo_pending_import(repo, "both", NULL, &err), &err);
        T_OK(defupd_repo_refresh(repo, &err), &err);
        check_verifies(repo);
        if (t_failed > 0) {
            printf("# in round %d, mode %d, import %d, result %d\n", f.fail_at, (int)mode, import,
                   (int)rc);
            return;
        }
        f.fail_at += stride() - 1;
    }
}

static void a_pending_change_survives_and_is_never_half_served(void)
{
    const defupd_repo_rule rule = { .struct_size = sizeof rule, .threshold = 2, .role = "targets" };
    defupd_repo_options options = DEFUPD_REPO_OPTIONS_INIT;
    defupd_repo_change change = DEFUPD_REPO_CHANGE_INIT;
    T_AUTO_REPO *repo = t_repo(NULL), *first = NULL, *second = NULL;
    struct t_said said = { 0 };
    defupd_error err = { 0 };

    repo->sys = &fast_sys;
    for (int i = 0; i < 2; i++)
        T_OK(defupd_repo_key_generate(repo, "targets", "ed25519", NULL, &err), &err);
    T_OK(defupd_repo_key_generate(repo, "root", "ed25519", NULL, &err), &err);
    T_OK(defupd_repo_init_with(repo, &rule, 1, &err), &err);
    T_CHECK(t_shell("for i in 1 2; do mkdir -m 0700 stick$i; f=$(ls repo.keys/targets-*.pem | head "
                    "-1); mv $f ${f%%.pem}.json stick$i; cp repo.keys/root.json stick$i; done; cp "
                    "-a repo base && cp -a repo.keys base.keys") == 0);
    for (size_t m = 0; m < 2 && t_failed == 0; m++)
        pending_rounds(repo, modes[m], false, false);
    change.kind = DEFUPD_REPO_RENEW;
    change.role = "targets";
    change.pending = 1;
    T_CHECK(t_shell("rm -rf repo repo.keys repo.pending.json && cp -a base repo && cp -a base.keys "
                    "repo.keys") == 0);
    T_OK(defupd_repo_apply(repo, &change, NULL, &err), &err);
    options.keys_dir = "stick1";
    T_OK(defupd_repo_open(&first, &options, &err), &err);
    options.keys_dir = "stick2";
    T_OK(defupd_repo_open(&second, &options, &err), &err);
    T_CHECK(t_shell("cp repo.pending.json base.pending.json && cp repo.pending.json one") == 0);
    T_OK(defupd_repo_sign(first, "one", t_say, NULL, &said, &err), &err);
    T_CHECK(t_shell("cp one both") == 0);
    T_OK(defupd_repo_sign(second, "both", t_say, NULL, &said, &err), &err);
    for (size_t m = 0; m < 2 && t_failed == 0; m++) {
        pending_rounds(repo, modes[m], true, false);
        if (t_failed == 0)
            pending_rounds(repo, modes[m], true, true);
    }
}

static void init_can_be_repeated_until_it_succeeds(void)
{
    for (size_t m = 0; m < 2; m++) {
        for (struct fault f = fault_start(modes[m], EIO); fault_round(&f);) {
            T_AUTO_REPO *repo = t_repo(NULL);
            const int before = open_descriptors();
            defupd_error err = { 0 };
            defupd_code rc;

            T_CHECK(t_remove_tree("repo") && t_remove_tree("repo.keys"));
            repo->sys = &failing_sys;
            rc = defupd_repo_init(repo, &err);
            fault_stop(&f);
            repo->sys = &fast_sys;
            T_CHECK(open_descriptors() == before);
            if (access("repo/metadata/timestamp.json", F_OK) == 0)
                T_FAILS(defupd_repo_init(repo, &err), DEFUPD_E_REPO_EXISTS, &err);
            else
                T_OK(defupd_repo_init(repo, &err), &err);
            check_verifies(repo);
            if (t_failed > 0) {
                printf("# in round %d, mode %zu, result %d\n", f.fail_at, m, (int)rc);
                return;
            }
            f.fail_at += stride() - 1;
        }
    }
}

/* The audit itself must not take a failing disk for a right repository. */
static void verify_on_a_failing_disk_is_never_content(void)
{
    T_AUTO_REPO *repo = t_repo(NULL);
    defupd_error err = { 0 };

    t_tree("tree-1", "one");
    T_OK(t_init(repo, &err), &err);
    T_OK(t_add(repo, "tetra", 1, "tree-1", NULL, &err), &err);
    for (struct fault f = fault_start(FAULT_FROM_THEN_ON, EIO); fault_round(&f);) {
        const int before = open_descriptors();
        repo->sys = &failing_sys;
        const defupd_code rc = defupd_repo_verify(repo, NULL, NULL, &err);
        fault_stop(&f);
        repo->sys = &fast_sys;
        T_CHECK((rc != DEFUPD_OK) == f.hit);
        T_CHECK(open_descriptors() == before);
        f.fail_at += stride() - 1;
    }
}

int main(void)
{
    make_tables();
    T_RUN(readers_find_the_old_or_the_new_release);
    T_RUN(a_prune_that_was_cut_short_goes_on);
    T_RUN(a_failed_withdrawal_leaves_the_release_as_it_was);
    T_RUN(a_failed_refresh_leaves_a_repository_that_verifies);
    T_RUN(a_change_of_keys_is_seen_whole_or_not_at_all);
    T_RUN(a_lost_keys_replacement_goes_on_where_it_was_cut);
    T_RUN(a_pending_change_survives_and_is_never_half_served);
    T_RUN(init_can_be_repeated_until_it_succeeds);
    T_RUN(verify_on_a_failing_disk_is_never_content);
    return T_DONE();
}
