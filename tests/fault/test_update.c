/* SPDX-License-Identifier: Apache-2.0 */
/* The whole of an installation, an update and a rollback while one operation of the machine fails,
 * or all from one on. Afterwards the store holds exactly the old or the new set, and the next
 * healthy run completes. ./check takes a spread of the operations, ./check full every one. */
#include <defupd/publish.h>
#include <dirent.h>
#include <limits.h>

#include "base/scope.h"
#include "client/client.h"
#include "fault.h"
#include "t.h"
#include "t_tree.h"

static char here[200];

static const char *path(const char *name)
{
    static char buffers[4][300];
    static unsigned next;
    char *out = buffers[next++ % 4];

    (void)snprintf(out, sizeof buffers[0], "%s/%s", here, name);
    return out;
}

static unsigned open_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned count = 0;

    while (dir != NULL && readdir(dir) != NULL)
        count++;
    if (dir != NULL)
        (void)closedir(dir);
    return count;
}

static void add_releases(uint64_t version)
{
    defupd_repo_options options = DEFUPD_REPO_OPTIONS_INIT;
    defupd_error err = { 0 };
    defupd_repo *repo = NULL;

    options.repo_dir = path("repo");
    options.compression_level = 1;
    T_OK(defupd_repo_open(&repo, &options, &err), &err);
    if (version == 1)
        T_OK(defupd_repo_init(repo, &err), &err);
    for (int i = 0; i < 2; i++) {
        defupd_repo_release release = DEFUPD_REPO_RELEASE_INIT;
        char tree[32];

        release.component = i == 0 ? "alpha" : "beta";
        release.version = version;
        (void)snprintf(tree, sizeof tree, "%s%d", release.component, (int)version);
        release.tree_dir = tree;
        T_OK(defupd_repo_add_release(repo, &release, &err), &err);
    }
    defupd_repo_close(repo);
}

static void make_trees(void)
{
    T_CHECK(getcwd(here, sizeof here) != NULL);
    T_CHECK(
        t_shell(
            "mkdir -p alpha1/sub beta1 && echo one > alpha1/sub/a && echo same > alpha1/same && "
            "seq 70000 > alpha1/large && echo one > beta1/b && chmod 755 beta1/b && "
            "cp -a alpha1 alpha2 && cp -a beta1 beta2 && echo two > alpha2/sub/a && "
            "rm alpha2/large && echo new > alpha2/sub/n && echo two > beta2/b") == 0);
}

enum work { INSTALL, UPDATE, ROLLBACK, TRY, REJECT, CONFIRM };

static defupd_code agree(void *user, const defupd_hook *hook, defupd_error *error)
{
    (void)user;
    (void)hook;
    (void)error;
    return DEFUPD_OK;
}

/* *held: some component stays where it is because its hold could not be read, which counts as held.
 */
static defupd_code act(enum work work, const struct du_sys *sys, bool *held, defupd_error *err)
{
    static const char *const back[] = { "alpha@1", "beta@1", NULL };
    defupd_client_options options = DEFUPD_CLIENT_OPTIONS_INIT;
    defupd_request request = DEFUPD_REQUEST_INIT;
    char url[300];
    const defupd_source source = { .struct_size = sizeof source,
                                   .offline_grace_s = 86400,
                                   .url = url };
    const defupd_source *const sources[] = { &source, NULL };
    const defupd_rule rule = { sizeof rule, 0, 0, 86400, 0, "alpha", "pilot", "av" };
    const defupd_rule *const rules[] = { &rule, NULL };
    const defupd_licence licence = { sizeof licence, 0, 0, "av" };
    const defupd_licence *const licences[] = { &licence, NULL };
    static char root[65536];
    FILE *file = fopen(path("repo/metadata/1.root.json"), "r");
    defupd_client *client = NULL;
    defupd_report *report = NULL;
    defupd_code rc;

    *held = false;
    (void)snprintf(url, sizeof url, "file://%s", path("repo"));
    options.state_dir = path("state");
    options.source_list = sources;
    options.rules = rules;
    options.licences = licences;
    options.on_hook = agree;
    options.trial_s = work >= TRY ? 3600 : 0;
    options.bytes_per_day = 1 << 30;
    options.interval_s = 3600;
    options.next_on_success = options.next_on_failure = 2000000000;
    options.trusted_root = root;
    options.trusted_root_bytes = file != NULL ? fread(root, 1, sizeof root, file) : 0;
    if (file != NULL)
        (void)fclose(file);
    if (work == ROLLBACK)
        request.components = back;
    rc = du_client_open_sys(&client, &options, sys, err);
    if (rc != DEFUPD_OK)
        return rc;
    if (work == ROLLBACK)
        rc = defupd_client_rollback(client, &request, &report, err);
    else if (work == REJECT)
        rc = defupd_client_reject(client, &request, &report, err);
    else if (work == CONFIRM)
        rc = defupd_client_confirm(client, &request, err);
    else
        rc = defupd_client_update(client, &request, &report, err);
    for (uint32_t i = 0; report != NULL && i < defupd_report_count(report); i++)
        *held = *held || defupd_report_at(report, i)->reason == DEFUPD_REASON_HELD;
    defupd_report_free(report);
    defupd_client_close(client);
    return rc;
}

/* 0 nothing, 1 or 2 that release, -1 anything else. Looks at content, not at names. */
static int release_of(const char *component)
{
    char name[64], tree[32];

    (void)snprintf(name, sizeof name, "state/current/%s/.", component);
    if (access(path(name), F_OK) != 0)
        return 0;
    for (int i = 1; i <= 2; i++) {
        (void)snprintf(tree, sizeof tree, "%s%d", component, i);
        if (t_same_tree(tree, name))
            return i;
    }
    return -1;
}

/* Both components are at `release`. */
static bool set_is(int release)
{
    return release_of("alpha") == release && release_of("beta") == release;
}

/* Each component is whole, old or new. */
static bool parts_are(int before, int after)
{
    const int alpha = release_of("alpha"), beta = release_of("beta");

    return (alpha == before || alpha == after) && (beta == before || beta == after);
}

static void under_faults(enum work work, enum fault_mode mode, int error, int before, int after)
{
    const bool all = getenv("DEFUPD_LONG") != NULL;
    const int stride = all ? 1 : 37;
    const int failed_before = t_failed;
    int rounds = 0, failures = 0;

    for (struct fault f = fault_start(mode, error); fault_round(&f); rounds++) {
        defupd_error err = { 0 };
        char said[DEFUPD_ERROR_MESSAGE_MAX];
        unsigned descriptors;
        defupd_code rc;
        bool held;
        T_CHECK(t_remove_tree("state"));
        T_CHECK(access("prepared", F_OK) != 0 || t_shell("cp -a prepared state") == 0);
        descriptors = open_descriptors();
        rc = act(work, &fault_sys, &held, &err);
        fault_stop(&f);
        T_CHECK(open_descriptors() == descriptors);
        if (rc == DEFUPD_OK) {
            T_CHECK(set_is(after) || (held && f.hit && parts_are(before, after)));
        } else {
            failures++;
            T_CHECK(f.hit);
            /* When the machine fails, nothing moves; when the source fails (its files are read
             * through the same table), the component that was fetched already may. */
            T_CHECK(set_is(before) || set_is(after) ||
                    (defupd_code_group(rc) == DEFUPD_GROUP_SOURCE && parts_are(before, after)));
            T_CHECK(err.message[0] != '\0' && strchr(err.message, '\n') == NULL);
        }
        (void)snprintf(said, sizeof said, "%s", err.message);
        err = (defupd_error){ 0 };
        T_OK(act(work, &du_sys_posix, &held, &err), &err);
        T_CHECK(set_is(after));
        T_CHECK(t_is_empty("state/staging"));
        if (t_failed > failed_before) {
            printf("# operation %d (%s): %s %s\n", f.fail_at,
                   mode == FAULT_ONCE ? "once" : "from then on", defupd_code_name(rc), said);
            return;
        }
        f.fail_at += stride - 1;
    }
    printf("# %d rounds, %d failed calls\n", rounds, failures);
    T_CHECK(rounds > 6 && failures >= 2); /* many operations are survived without a word */
}

static void an_installation_survives_every_failing_operation(void)
{
    make_trees();
    add_releases(1);
    under_faults(INSTALL, FAULT_ONCE, EIO, 0, 1);
    under_faults(INSTALL, FAULT_FROM_THEN_ON, ENOSPC, 0, 1);
}

static void an_update_survives_every_failing_operation(void)
{
    defupd_error err = { 0 };
    bool held;

    make_trees();
    add_releases(1);
    T_OK(act(INSTALL, &du_sys_posix, &held, &err), &err);
    T_CHECK(rename("state", "prepared") == 0);
    add_releases(2);
    under_faults(UPDATE, FAULT_ONCE, ENOSPC, 1, 2);
    under_faults(UPDATE, FAULT_FROM_THEN_ON, EIO, 1, 2);
}

static void a_rollback_survives_every_failing_operation(void)
{
    defupd_error err = { 0 };
    bool held;

    make_trees();
    add_releases(1);
    T_OK(act(INSTALL, &du_sys_posix, &held, &err), &err);
    add_releases(2);
    T_OK(act(UPDATE, &du_sys_posix, &held, &err), &err);
    T_CHECK(rename("state", "prepared") == 0);
    under_faults(ROLLBACK, FAULT_ONCE, EIO, 2, 1);
    under_faults(ROLLBACK, FAULT_FROM_THEN_ON, ENOSPC, 2, 1);
}

/* Releases 1 confirmed and 2 on trial, in the folder prepared. */
static void prepare_trial(void)
{
    defupd_error err = { 0 };
    bool held;

    make_trees();
    add_releases(1);
    T_OK(act(TRY, &du_sys_posix, &held, &err), &err);
    add_releases(2);
    T_CHECK(t_shell("cp -a state before") == 0);
    T_OK(act(TRY, &du_sys_posix, &held, &err), &err);
    T_CHECK(rename("state", "prepared") == 0);
}

static bool on_trial(void)
{
    return t_shell("grep -q '^await alpha' state/trial/2 && grep -q '^await beta' state/trial/2") ==
           0;
}

/* A trial that cannot be written must not become one that nobody knows of. */
static void a_trial_begins_with_its_terms_whatever_fails(void)
{
    int rounds = 0;

    prepare_trial();
    for (struct fault f = fault_start(FAULT_ONCE, EIO); fault_round(&f); rounds++) {
        defupd_error err = { 0 };
        defupd_code rc;
        bool held;

        T_CHECK(t_remove_tree("state") && t_shell("cp -a before state") == 0);
        rc = act(TRY, &fault_sys, &held, &err);
        fault_stop(&f);
        T_CHECK(set_is(1) || set_is(2) || f.hit);
        if (t_shell("grep -q 'trial=\"yes\"' state/current/generation.xml") == 0)
            T_CHECK(
                t_shell(
                    "cd state/current && grep -q '^await ' ../../trial/$(basename $(pwd -P))") ==
                0);
        else
            T_CHECK(!set_is(2) || rc != DEFUPD_OK);
        if (getenv("DEFUPD_LONG") == NULL)
            f.fail_at += 30;
    }
    T_CHECK(rounds > 6);
}

static void a_rejection_survives_every_failing_operation(void)
{
    const bool all = getenv("DEFUPD_LONG") != NULL;

    prepare_trial();
    for (int way = 0; way < 2; way++) {
        for (struct fault f = fault_start(way == 0 ? FAULT_ONCE : FAULT_FROM_THEN_ON, EIO);
             fault_round(&f);) {
            const unsigned descriptors = open_descriptors();
            defupd_error err = { 0 };
            defupd_code rc;
            bool held;

            T_CHECK(t_remove_tree("state") && t_shell("cp -a prepared state") == 0);
            rc = act(REJECT, &fault_sys, &held, &err);
            fault_stop(&f);
            T_CHECK(open_descriptors() == descriptors);
            T_CHECK(rc != DEFUPD_OK || set_is(1));
            T_CHECK(rc == DEFUPD_OK || f.hit);
            T_CHECK(set_is(1) || set_is(2) || parts_are(1, 2));
            /* What stays by mistake is still on trial, or refused: it does not stay for good. */
            T_CHECK(set_is(1) || on_trial() ||
                    t_shell("grep -q '^refuse 2' state/quarantine/alpha || "
                            "grep -q '^refuse 2' state/quarantine/beta") == 0);
            f.fail_at += all ? 0 : 12;
        }
    }
}

static void a_confirmation_survives_every_failing_operation(void)
{
    prepare_trial();
    for (int way = 0; way < 2; way++) {
        for (struct fault f = fault_start(way == 0 ? FAULT_ONCE : FAULT_FROM_THEN_ON, ENOSPC);
             fault_round(&f);) {
            defupd_error err = { 0 };
            defupd_code rc;
            bool held;

            T_CHECK(t_remove_tree("state") && t_shell("cp -a prepared state") == 0);
            rc = act(CONFIRM, &fault_sys, &held, &err);
            fault_stop(&f);
            T_CHECK(set_is(2));
            if (rc == DEFUPD_OK)
                T_CHECK(t_shell("grep -q '^confirmed ' state/trial/2") == 0 || f.hit);
            else
                T_CHECK(f.hit);
            T_OK(act(CONFIRM, &du_sys_posix, &held, &err), &err);
            T_CHECK(t_shell("grep -q '^confirmed ' state/trial/2") == 0);
        }
    }
}

int main(void)
{
    T_RUN(an_installation_survives_every_failing_operation);
    T_RUN(an_update_survives_every_failing_operation);
    T_RUN(a_rollback_survives_every_failing_operation);
    T_RUN(a_trial_begins_with_its_terms_whatever_fails);
    T_RUN(a_rejection_survives_every_failing_operation);
    T_RUN(a_confirmation_survives_every_failing_operation);
    return T_DONE();
}
