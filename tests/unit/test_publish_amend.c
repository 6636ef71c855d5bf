/* SPDX-License-Identifier: Apache-2.0 */
/* Withdrawals and roll-outs of what is published. */
#include <stdlib.h>

#include "t_publish.h"

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

static struct du_manifest *published(defupd_repo *repo, const char *component)
{
    DU_AUTO_DIRS dirs = DU_DIRS;
    DU_AUTO_STATE state = { 0 };
    struct du_manifest *manifest = NULL;
    defupd_error err = { 0 };

    T_OK(du_dirs_open(repo, &dirs, false, &err), &err);
    T_OK(du_state_load(repo, &dirs, &state, &err), &err);
    T_OK(du_state_manifest(repo, &dirs, &state, component, &manifest, &err), &err);
    return manifest;
}

static defupd_repo_amendment of(uint32_t kind, uint64_t version)
{
    defupd_repo_amendment amend = DEFUPD_REPO_AMENDMENT_INIT;

    amend.kind = kind;
    amend.component = "tetra";
    amend.version = version;
    return amend;
}

/* Releases 1 to `last`, each with deltas, at START and an hour after each other. */
static void releases(defupd_repo *repo, uint64_t last)
{
    defupd_error err = { 0 };
    char text[24];

    T_OK(t_init(repo, &err), &err);
    for (uint64_t version = 1; version <= last; version++) {
        t_clock(repo, START + (int64_t)version * 3600);
        (void)snprintf(text, sizeof text, "%d", (int)version);
        t_tree("tree", text);
        T_OK(t_add_deltas(repo, "tetra", version, "tree", 3, NULL, &err), &err);
    }
}

static void hosts_leave_a_withdrawn_release_for_the_one_before(void)
{
    defupd_error err = { 0 };
    T_AUTO_REPO *repo = t_repo(NULL);
    defupd_repo_amendment amend = of(DEFUPD_REPO_WITHDRAW, 4);
    DU_AUTO_MANIFEST *manifest = NULL;

    releases(repo, 4);
    amend.reason = "false positives";
    T_OK(defupd_repo_amend(repo, &amend, &err), &err);
    T_CHECK(amend.goes_to == 3 && amend.is_pending == 0 && amend.dropped == 0);
    manifest = published(repo, "tetra");
    T_CHECK(manifest != NULL && manifest->count == 4);
    T_CHECK(manifest->release[0].withdrawn && manifest->release[0].withdrawn_at == t_now &&
            manifest->release[0].replace_by == 0);
    T_SAME(manifest->release[0].withdrawn_reason, "false positives");
    /* Nobody goes there, so nothing leads there; to the one before it does. */
    T_CHECK(manifest->release[0].deltas == 0 && manifest->release[1].deltas == 2);
    T_CHECK(manifest->release[0].full.bytes > 0 && !manifest->release[1].withdrawn);
    T_CHECK(verifies(repo));
}

static void a_second_withdrawal_says_more(void)
{
    defupd_error err = { 0 };
    struct t_said said;
    T_AUTO_REPO *repo = t_repo(&said);
    defupd_repo_amendment amend = of(DEFUPD_REPO_WITHDRAW, 3);
    DU_AUTO_MANIFEST *manifest = NULL;

    releases(repo, 3);
    amend.reason = "first";
    T_OK(defupd_repo_amend(repo, &amend, &err), &err);
    t_clock(repo, t_now + 60);
    amend.reason = NULL;
    amend.replace_by = 1;
    T_OK(defupd_repo_amend(repo, &amend, &err), &err);
    T_CHECK(amend.goes_to == 1);
    manifest = published(repo, "tetra");
    T_CHECK(manifest->release[0].withdrawn_at == t_now - 60 &&
            manifest->release[0].replace_by == 1);
    T_SAME(manifest->release[0].withdrawn_reason, "first");
    /* Its replacement goes, too: who named it is told, and where hosts go now. */
    said = (struct t_said){ 0 };
    amend = of(DEFUPD_REPO_WITHDRAW, 1);
    T_OK(defupd_repo_amend(repo, &amend, &err), &err);
    T_CHECK(strstr(said.text, "version 3 was withdrawn in favour of 1") != NULL);
    T_CHECK(amend.goes_to == 2);
    amend = of(DEFUPD_REPO_WITHDRAW, 2);
    T_OK(defupd_repo_amend(repo, &amend, &err), &err);
    T_CHECK(amend.goes_to == 0); /* none is left */
    T_CHECK(verifies(repo));
    /* Life goes on. */
    t_tree("tree", "new");
    T_OK(t_add_deltas(repo, "tetra", 4, "tree", 12, NULL, &err), &err);
    amend = of(DEFUPD_REPO_WITHDRAW, 1);
    T_OK(defupd_repo_amend(repo, &amend, &err), &err);
    T_CHECK(amend.goes_to == 4);
    T_CHECK(verifies(repo));
}

/* A manifest at its limit: what is said of a release drives others out, never that release. */
static void a_full_manifest_keeps_what_is_withdrawn(void)
{
    DU_AUTO(du_edition_end) struct du_edition edition = DU_EDITION;
    struct du_manifest *manifest = calloc(1, sizeof *manifest);
    defupd_error err = { 0 };
    size_t last;

    T_CHECK(manifest != NULL);
    edition.manifest = manifest;
    (void)snprintf(manifest->component, sizeof manifest->component, "tetra");
    manifest->release = calloc(32, sizeof *manifest->release);
    manifest->count = 32;
    for (size_t i = 0; i < 32; i++) {
        struct du_release *release = &manifest->release[i];

        *release = (struct du_release){
            .version = 100 - i, .published = START, .files = 1, .full.bytes = 1
        };
        (void)snprintf(release->full.codec, sizeof release->full.codec, "tar+zst");
        release->note = calloc(1, 257);
        memset(release->note, 'n', 255);
    }
    T_OK(du_edition_fit(&edition, 0, &err), &err);
    last = manifest->count - 1;
    T_CHECK(last > 20 && last < 31 && edition.dropped == 31 - last);
    for (size_t i = last; i > 0 && edition.text.len < 16384 - 64;
         i--) { /* nearly to the last byte */
        manifest->release[i].withdrawn = true;
        manifest->release[i].withdrawn_at = START;
        T_OK(du_edition_fit(&edition, 0, &err), &err);
    }
    T_CHECK(manifest->count == last + 1);
    manifest->release[last].withdrawn_reason = calloc(1, 257);
    memset(manifest->release[last].withdrawn_reason, 'r', 256);
    T_FAILS(du_edition_fit(&edition, 100 - last, &err), DEFUPD_E_LIMIT, &err);
    T_CHECK(strstr(err.message, "at most 16384") != NULL && manifest->count == last + 1);
    T_OK(du_edition_fit(&edition, 101 - last, &err), &err);
    T_CHECK(manifest->count == last && manifest->release[last - 1].version == 101 - last);
}

static const defupd_repo_step steps[] = {
    { .struct_size = sizeof steps[0], .permille = 100 },
    { .struct_size = sizeof steps[0], .permille = 1000, .after_s = 6 * 3600 },
    { .struct_size = sizeof steps[0], .ring = "pilot" },
};
static const defupd_repo_rollout slowly = { .struct_size = sizeof slowly,
                                            .steps = steps,
                                            .step_count = 3 };

static void a_release_comes_with_its_roll_out(void)
{
    defupd_error err = { 0 };
    T_AUTO_REPO *repo = t_repo(NULL);
    defupd_repo_release release = DEFUPD_REPO_RELEASE_INIT;
    DU_AUTO_MANIFEST *manifest = NULL;
    const struct du_release *made;

    T_OK(t_init(repo, &err), &err);
    t_clock(repo, START);
    t_tree("tree", "one");
    release.component = "tetra";
    release.version = 1;
    release.tree_dir = "tree";
    release.rollout = &slowly;
    T_OK(defupd_repo_add_release(repo, &release, &err), &err);
    manifest = published(repo, "tetra");
    made = &manifest->release[0];
    T_CHECK(made->has_rollout && made->rollout_start == START && !made->rollout_paused);
    T_CHECK(made->steps == 3 && made->step[0].permille == 100 && made->step[0].after_s == 0 &&
            made->step[1].permille == 1000 && made->step[1].after_s == 6 * 3600 &&
            made->step[0].ring[0] == '\0');
    T_SAME(made->step[2].ring, "pilot");
    T_CHECK(verifies(repo));
}

static void a_roll_out_stands_still_and_goes_on_where_it_was(void)
{
    defupd_error err = { 0 };
    T_AUTO_REPO *repo = t_repo(NULL);
    defupd_repo_amendment set = of(DEFUPD_REPO_ROLLOUT_SET, 2);
    defupd_repo_amendment pause = of(DEFUPD_REPO_ROLLOUT_PAUSE, 2);
    defupd_repo_amendment resume = of(DEFUPD_REPO_ROLLOUT_RESUME, 2);
    defupd_repo_rollout later = slowly;
    DU_AUTO_MANIFEST *manifest = NULL;

    releases(repo, 2);
    /* One that had none: who has it keeps it, nobody else comes. */
    T_OK(defupd_repo_amend(repo, &pause, &err), &err);
    manifest = published(repo, "tetra");
    T_CHECK(manifest->release[0].has_rollout && manifest->release[0].rollout_paused &&
            manifest->release[0].rollout_paused_at == t_now && manifest->release[0].steps == 1 &&
            manifest->release[0].step[0].permille == 1000);
    T_FAILS(defupd_repo_amend(repo, &pause, &err), DEFUPD_E_INVALID, &err);
    T_OK(defupd_repo_amend(repo, &resume, &err), &err);
    T_FAILS(defupd_repo_amend(repo, &resume, &err), DEFUPD_E_INVALID, &err);
    /* Two hours of six, then a day of rest: the four that are left come after it. */
    set.rollout = &slowly;
    T_OK(defupd_repo_amend(repo, &set, &err), &err);
    const int64_t start = set.start;
    t_clock(repo, t_now + 2 * 3600);
    T_OK(defupd_repo_amend(repo, &pause, &err), &err);
    t_clock(repo, t_now + 24 * 3600);
    T_OK(defupd_repo_amend(repo, &resume, &err), &err);
    T_CHECK(resume.start == start + 24 * 3600);
    /* Other steps, the same start; another start. */
    T_OK(defupd_repo_amend(repo, &set, &err), &err);
    T_CHECK(set.start == start + 24 * 3600);
    later.start = t_now + 3600;
    set.rollout = &later;
    T_OK(defupd_repo_amend(repo, &set, &err), &err);
    T_CHECK(set.start == t_now + 3600);
    /* Paused before it starts: it starts when it was to, or at once when that is over. */
    T_OK(defupd_repo_amend(repo, &pause, &err), &err);
    t_clock(repo, t_now + 60);
    T_OK(defupd_repo_amend(repo, &resume, &err), &err);
    T_CHECK(resume.start == later.start);
    T_OK(defupd_repo_amend(repo, &pause, &err), &err);
    t_clock(repo, later.start + 7200);
    T_OK(defupd_repo_amend(repo, &resume, &err), &err);
    T_CHECK(resume.start == later.start + 7200);
    T_CHECK(verifies(repo));
}

static void what_cannot_be_is_refused_and_changes_nothing(void)
{
    defupd_error err = { 0 };
    T_AUTO_REPO *repo = t_repo(NULL);
    char text[258];
    defupd_repo_step many[33], bad = steps[0];
    defupd_repo_rollout rollout = slowly;
    const struct {
        uint32_t kind;
        defupd_code code;
        const char *component, *reason;
        uint64_t version, replace_by;
    } bads[] = {
        { DEFUPD_REPO_WITHDRAW, DEFUPD_E_NO_RELEASE, "tetra", NULL, 4, 0 },
        { DEFUPD_REPO_WITHDRAW, DEFUPD_E_NO_RELEASE, "yara", NULL, 1, 0 },
        { DEFUPD_REPO_WITHDRAW, DEFUPD_E_NO_RELEASE, "tetra", NULL, 3, 9 },
        { DEFUPD_REPO_WITHDRAW, DEFUPD_E_WITHDRAWN, "tetra", NULL, 3, 2 },
        { DEFUPD_REPO_WITHDRAW, DEFUPD_E_INVALID, "tetra", NULL, 3, 3 },
        { DEFUPD_REPO_WITHDRAW, DEFUPD_E_INVALID, "tetra", NULL, 0, 0 },
        { DEFUPD_REPO_WITHDRAW, DEFUPD_E_INVALID, "tetra", text, 3, 0 },
        { DEFUPD_REPO_WITHDRAW, DEFUPD_E_INVALID, "tetra", "a\nb", 3, 0 },
        { DEFUPD_REPO_WITHDRAW, DEFUPD_E_INVALID, "Tetra", NULL, 3, 0 },
        { DEFUPD_REPO_WITHDRAW, DEFUPD_E_INVALID, NULL, NULL, 3, 0 },
        { DEFUPD_REPO_ROLLOUT_PAUSE, DEFUPD_E_WITHDRAWN, "tetra", NULL, 2, 0 },
        { DEFUPD_REPO_ROLLOUT_RESUME, DEFUPD_E_INVALID, "tetra", NULL, 3, 0 },
        { DEFUPD_REPO_ROLLOUT_SET, DEFUPD_E_INVALID, "tetra", NULL, 3, 0 },
        { 0, DEFUPD_E_INVALID, "tetra", NULL, 3, 0 },
        { 5, DEFUPD_E_INVALID, "tetra", NULL, 3, 0 },
    };
    defupd_repo_amendment amend = of(DEFUPD_REPO_WITHDRAW, 2);

    memset(text, 'x', 257);
    text[257] = '\0';
    releases(repo, 3);
    T_OK(defupd_repo_amend(repo, &amend, &err), &err);
    T_CHECK(t_shell("cp -a repo before") == 0);
    for (size_t i = 0; i < sizeof bads / sizeof bads[0]; i++) {
        amend = of(bads[i].kind, bads[i].version);
        amend.component = bads[i].component;
        amend.reason = bads[i].reason;
        amend.replace_by = bads[i].replace_by;
        if (defupd_repo_amend(repo, &amend, &err) != bads[i].code)
            printf("# %zu: %s\n", i, err.message);
        T_CHECK(err.code == bads[i].code);
    }
    amend = of(DEFUPD_REPO_ROLLOUT_SET, 3);
    amend.rollout = &rollout;
    for (size_t i = 0; i < 33; i++)
        many[i] = steps[0];
    for (int i = 0; i < 6; i++) {
        bad = steps[0];
        rollout = slowly;
        rollout.steps = &bad;
        rollout.step_count = 1;
        switch (i) {
        case 0: bad.permille = 1001; break;
        case 1: bad.ring = "two words"; break;
        case 2: bad.ring = ""; break;
        case 3: bad.after_s = UINT64_C(3650) * 86400 + 1; break;
        case 4: rollout.step_count = 0; break;
        default:
            rollout.steps = many;
            rollout.step_count = 33;
            break;
        }
        T_FAILS(defupd_repo_amend(repo, &amend, &err), DEFUPD_E_INVALID, &err);
    }
    T_CHECK(t_shell("diff -r -x .lock repo before") == 0);
}

/* Its own keys sign it, here or elsewhere. */
static void a_components_own_role_withdraws_its_releases(void)
{
    defupd_error err = { 0 };
    T_AUTO_REPO *repo = t_repo(NULL);
    defupd_repo_amendment amend = of(DEFUPD_REPO_WITHDRAW, 2);
    struct t_said said = { 0 };
    int pending = 1;

    releases(repo, 2);
    T_OK(defupd_repo_key_generate(repo, "tetra", "ed25519", NULL, &err), &err);
    T_OK(t_change(repo, DEFUPD_REPO_DELEGATE, "tetra", NULL, &err), &err);
    T_CHECK(t_shell("mkdir -m 0700 away && mv repo.keys/tetra-*.pem away && mv repo.keys/targets-* "
                    "away && cp -a repo before") == 0);
    T_FAILS(defupd_repo_amend(repo, &amend, &err), DEFUPD_E_KEY, &err);
    T_CHECK(t_shell("diff -r -x .lock repo before") == 0);
    amend.pending = 1;
    T_OK(defupd_repo_amend(repo, &amend, &err), &err);
    T_CHECK(amend.is_pending == 1 && amend.goes_to == 1);
    T_CHECK(
        t_shell("grep -q 'withdraw tetra 2' repo.pending.json && cmp repo/metadata/timestamp.json "
                "before/metadata/timestamp.json") == 0);
    T_OK(defupd_repo_pending_export(repo, "change", &err), &err);
    T_CHECK(t_shell("mv away/tetra-*.pem repo.keys") == 0);
    T_OK(defupd_repo_sign(repo, "change", t_say, NULL, &said, &err), &err);
    T_CHECK(t_shell("mv repo.keys/tetra-*.pem away") == 0);
    T_OK(defupd_repo_pending_import(repo, "change", &pending, &err), &err);
    T_CHECK(pending == 0);
    DU_AUTO_MANIFEST *manifest = published(repo, "tetra");
    T_CHECK(manifest != NULL && manifest->release[0].withdrawn);
    T_CHECK(verifies(repo));
}

int main(void)
{
    T_RUN(hosts_leave_a_withdrawn_release_for_the_one_before);
    T_RUN(a_second_withdrawal_says_more);
    T_RUN(a_full_manifest_keeps_what_is_withdrawn);
    T_RUN(a_release_comes_with_its_roll_out);
    T_RUN(a_roll_out_stands_still_and_goes_on_where_it_was);
    T_RUN(what_cannot_be_is_refused_and_changes_nothing);
    T_RUN(a_components_own_role_withdraws_its_releases);
    return T_DONE();
}
