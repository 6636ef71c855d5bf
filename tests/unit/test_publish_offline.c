/* SPDX-License-Identifier: Apache-2.0 */
/* Signing elsewhere: what is pending, what is said of it, and what comes of it. */
#include "t_publish.h"

static const defupd_repo_rule two_of_three[] = {
    { .struct_size = sizeof(defupd_repo_rule), .threshold = 2, .role = "root" },
};

/* A repository with a 2-of-3 root, whose keys are away: one on each of three sticks. */
static void prepare(defupd_repo *repo)
{
    defupd_error err = { 0 };

    t_tree("tree-1", "one");
    t_tree("tree-2", "two");
    for (int i = 0; i < 3; i++)
        T_OK(defupd_repo_key_generate(repo, "root", "ed25519", NULL, &err), &err);
    T_OK(defupd_repo_init_with(repo, two_of_three, 1, &err), &err);
    T_OK(t_add(repo, "av", 1, "tree-1", NULL, &err), &err);
    T_CHECK(t_shell("for i in 1 2 3; do mkdir -m 0700 stick$i && f=$(ls repo.keys/root-*.pem | "
                    "head -1) && mv $f ${f%%.pem}.json stick$i && cp repo.keys/root.json stick$i; "
                    "done") == 0);
}

static defupd_code pend(defupd_repo *repo, defupd_repo_change_kind kind, const char *role,
                        defupd_error *err)
{
    defupd_repo_change change = DEFUPD_REPO_CHANGE_INIT;
    int is_pending = 0;
    defupd_code rc;

    change.kind = kind;
    change.role = role;
    change.key_type = "ed25519";
    change.pending = 1;
    rc = defupd_repo_apply(repo, &change, &is_pending, err);
    T_CHECK(rc != DEFUPD_OK || is_pending == 1);
    return rc;
}

/* Sign with the keys of a folder alone, as on another machine. */
static defupd_code sign_with(const char *keys, const char *file, struct t_said *said,
                             defupd_repo_confirm_fn confirm, defupd_error *err)
{
    defupd_repo_options options = DEFUPD_REPO_OPTIONS_INIT;
    T_AUTO_REPO *machine = NULL;

    *said = (struct t_said){ 0 };
    options.keys_dir = keys;
    T_OK(defupd_repo_open(&machine, &options, err), err);
    return defupd_repo_sign(machine, file, t_say, confirm, said, err);
}

static uint64_t version_of(defupd_repo *repo, const char *name)
{
    DU_AUTO_DIRS dirs = DU_DIRS;
    DU_AUTO_STATE state = { 0 };
    defupd_error err = { 0 };

    T_OK(du_dirs_open(repo, &dirs, false, &err), &err);
    T_OK(du_state_load(repo, &dirs, &state, &err), &err);
    return du_role_set_find(&state.set, name)->version;
}

static void a_change_waits_until_its_threshold_is_met(void)
{
    struct t_said said;
    defupd_error err = { 0 };
    T_AUTO_REPO *repo = t_repo(NULL);
    int is_pending = 0;

    prepare(repo);
    T_CHECK(t_shell("cp -a repo before") == 0);
    T_FAILS(t_change(repo, DEFUPD_REPO_KEY_ROTATE, "targets", NULL, &err), DEFUPD_E_KEY, &err);
    T_OK(pend(repo, DEFUPD_REPO_KEY_ROTATE, "targets", &err), &err);
    T_OK(defupd_repo_pending_export(repo, "change", &err), &err);
    T_OK(sign_with("stick1", "change", &said, NULL, &err), &err);
    T_CHECK(strstr(said.text, "root is to be signed with root-") != NULL);
    T_OK(defupd_repo_pending_import(repo, "change", &is_pending, &err), &err);
    T_CHECK(is_pending == 1);
    /* One of two: nothing of it is served. */
    T_CHECK(t_shell("diff -r -x .lock repo before") == 0);
    /* The second signs a copy that the first has never seen. */
    T_OK(defupd_repo_pending_export(repo, "copy", &err), &err);
    T_CHECK(t_shell("cp change first && cp copy second") == 0);
    T_OK(sign_with("stick3", "second", &said, NULL, &err), &err);
    T_OK(defupd_repo_pending_import(repo, "second", &is_pending, &err), &err);
    T_CHECK(is_pending == 0);
    T_CHECK(version_of(repo, "root") == 2 && version_of(repo, "targets") == 3);
    T_OK(defupd_repo_verify(repo, NULL, NULL, &err), &err);
    T_CHECK(t_shell("test ! -e repo.pending.json && cmp repo.keys/root.json "
                    "repo/metadata/2.root.json") == 0);
    T_OK(t_add(repo, "av", 2, "tree-2", NULL, &err), &err);
    T_FAILS(defupd_repo_pending_import(repo, "first", &is_pending, &err), DEFUPD_E_PENDING, &err);
}

static void a_change_that_is_live_already_is_forgotten(void)
{
    struct t_said said;
    defupd_error err = { 0 };
    T_AUTO_REPO *repo = t_repo(NULL);
    int is_pending = 1;

    prepare(repo);
    T_OK(pend(repo, DEFUPD_REPO_RENEW, "root", &err), &err);
    T_OK(sign_with("stick1", "repo.pending.json", &said, NULL, &err), &err);
    T_OK(sign_with("stick2", "repo.pending.json", &said, NULL, &err), &err);
    T_CHECK(t_shell("cp repo.pending.json change") == 0);
    T_OK(defupd_repo_pending_import(repo, "change", NULL, &err), &err);
    T_CHECK(t_shell("cp change repo.pending.json") == 0);
    T_OK(defupd_repo_pending_import(repo, "change", &is_pending, &err), &err);
    T_CHECK(is_pending == 0 && version_of(repo, "root") == 2);
    T_CHECK(t_shell("test ! -e repo.pending.json") == 0);
}

static void what_is_to_be_signed_is_said_in_words(void)
{
    defupd_repo_release release = DEFUPD_REPO_RELEASE_INIT;
    defupd_repo_added added = DEFUPD_REPO_ADDED_INIT;
    defupd_repo_change change = DEFUPD_REPO_CHANGE_INIT;
    struct t_said said = { 0 };
    defupd_error err = { 0 };
    T_AUTO_REPO *repo = t_repo(NULL);

    prepare(repo);
    change.kind = DEFUPD_REPO_KEY_ADD;
    change.role = "targets";
    change.threshold = 2;
    change.days = 30;
    change.pending = 1;
    T_OK(defupd_repo_apply(repo, &change, NULL, &err), &err);
    T_OK(defupd_repo_pending_list(repo, t_say, &said, &err), &err);
    T_CHECK(strstr(said.text, "pending: key add targets\n") != NULL);
    T_CHECK(strstr(said.text, "root version 2, valid until ") != NULL);
    T_CHECK(strstr(said.text, "; published is version 1, until ") != NULL);
    T_CHECK(strstr(said.text, " (ecdsa) comes in\n") != NULL);
    T_CHECK(strstr(said.text, "  role targets: 2 of 2 keys sign, before 1 of 1\n") != NULL);
    T_CHECK(strstr(said.text, "  role targets: valid 30 days at a time, before 90\n") != NULL);
    T_CHECK(strstr(said.text, "  signatures by the role's keys: 0, needed 2\n") != NULL);
    T_CHECK(strstr(said.text, "targets version 3") != NULL);
    T_OK(defupd_repo_pending_drop(repo, &err), &err);

    T_CHECK(t_shell("mv repo.keys/targets-* stick1") == 0);
    release.component = "av";
    release.version = 2;
    release.tree_dir = "tree-2";
    release.added = &added;
    release.pending = 1;
    T_OK(defupd_repo_add_release(repo, &release, &err), &err);
    T_CHECK(added.pending == 1);
    said = (struct t_said){ 0 };
    T_OK(defupd_repo_pending_list(repo, t_say, &said, &err), &err);
    T_CHECK(strstr(said.text, "pending: add-release av 2\n") != NULL);
    T_CHECK(strstr(said.text, "  av/manifest.xml: SHA-256 ") != NULL);
    T_CHECK(strstr(said.text, ", before ") != NULL);
}

/* Anything that is signed and has no words of its own is at least named. */
static void fields_without_words_are_named(void)
{
    DU_AUTO_JSON *old = NULL, *new = NULL;
    struct du_role_doc before = { .role = DU_ROLE_ROOT, .name = "root", .version = 1 };
    struct du_role_doc after = { .role = DU_ROLE_ROOT, .name = "root", .version = 2 };
    static const char old_text[] =
        "{\"a\":1,\"consistent_snapshot\":true,\"keys\":{},\"roles\":{\"targets\":{\"keyids\":[],"
        "\"threshold\":1,\"x\":1},\"mirrors\":{}}}";
    static const char new_text[] =
        "{\"b\":1,\"consistent_snapshot\":false,\"keys\":{},\"roles\":{\"targets\":{\"keyids\":[],"
        "\"threshold\":1,\"x\":2},\"fresh\":{}}}";
    struct t_said said = { 0 };
    defupd_error err = { 0 };

    T_OK(du_json_parse(&old, (struct du_bytes){ (const unsigned char *)old_text, strlen(old_text) },
                       "old", &err),
         &err);
    T_OK(du_json_parse(&new, (struct du_bytes){ (const unsigned char *)new_text, strlen(new_text) },
                       "new", &err),
         &err);
    before.part = old;
    after.part = new;
    du_describe(&after, &before, 0, t_say, &said);
    T_CHECK(strstr(said.text, "  root: field consistent_snapshot differs\n") != NULL);
    T_CHECK(strstr(said.text, "  root: field a goes\n") != NULL);
    T_CHECK(strstr(said.text, "  root: field b is new\n") != NULL);
    T_CHECK(strstr(said.text, "  targets: field x differs\n") != NULL);
    T_CHECK(strstr(said.text, "  role mirrors is gone\n") != NULL);
    T_CHECK(strstr(said.text, "  role fresh, which this software does not know, differs\n") !=
            NULL);
    T_CHECK(strstr(said.text, "  which has expired\n") != NULL);
}

static int refuse(void *user)
{
    (void)user;
    return 0;
}

static void who_says_no_signs_nothing(void)
{
    struct t_said said;
    defupd_error err = { 0 };
    T_AUTO_REPO *repo = t_repo(NULL);

    prepare(repo);
    T_OK(pend(repo, DEFUPD_REPO_RENEW, "root", &err), &err);
    T_OK(defupd_repo_pending_export(repo, "change", &err), &err);
    T_CHECK(t_shell("cp change before") == 0);
    T_FAILS(sign_with("stick1", "change", &said, refuse, &err), DEFUPD_E_CANCELLED, &err);
    T_FAILS(sign_with("repo.keys", "change", &said, NULL, &err), DEFUPD_E_KEY, &err);
    T_CHECK(t_shell("cmp change before") == 0);
    T_OK(sign_with("stick1", "change", &said, NULL, &err), &err);
    T_FAILS(sign_with("stick1", "change", &said, NULL, &err), DEFUPD_E_KEY, &err);
}

static void roots_that_are_not_the_pinned_ones_get_no_signature(void)
{
    struct t_said said;
    defupd_repo_options options = DEFUPD_REPO_OPTIONS_INIT;
    defupd_error err = { 0 };
    T_AUTO_REPO *repo = t_repo(NULL), *thief = NULL;

    prepare(repo);
    /* A thief's repository, whose root names our targets key beside his own. */
    options.repo_dir = "thief";
    T_OK(defupd_repo_open(&thief, &options, &err), &err);
    T_CHECK(t_shell("mkdir -m 0700 thief.keys && cp stick1/root-*.json thief.keys") == 0);
    T_OK(defupd_repo_key_generate(thief, "root", NULL, NULL, &err), &err);
    T_OK(defupd_repo_init(thief, &err), &err);
    T_OK(t_change(thief, DEFUPD_REPO_RENEW, "root", NULL, &err), &err);
    T_CHECK(t_shell("rm thief.keys/root-*.pem") == 0);
    T_OK(pend(thief, DEFUPD_REPO_RENEW, "root", &err), &err);
    T_FAILS(sign_with("stick1", "thief.pending.json", &said, NULL, &err), DEFUPD_E_PIN, &err);
    T_CHECK(strstr(err.message, "is not the one pinned in stick1/root.json") != NULL);
    T_SAME(said.text, "");
    /* Without a pin it is said, before anything is signed. */
    T_CHECK(t_shell("rm stick1/root.json") == 0);
    T_FAILS(sign_with("stick1", "thief.pending.json", &said, refuse, &err), DEFUPD_E_CANCELLED,
            &err);
    T_CHECK(strstr(said.text, "warning: no root is pinned") != NULL);
    T_CHECK(t_shell("test ! -e stick1/root.json") == 0);
    /* Roots that end before the pinned one: an older state is passed off as the present. */
    T_OK(pend(repo, DEFUPD_REPO_RENEW, "root", &err), &err);
    T_CHECK(t_shell("cp thief/metadata/2.root.json stick2/root.json") == 0);
    T_FAILS(sign_with("stick2", "repo.pending.json", &said, NULL, &err), DEFUPD_E_PIN, &err);
    T_CHECK(strstr(err.message, "newest root is version 1") != NULL);
}

static void a_file_that_was_tampered_with_gets_nowhere(void)
{
    static const struct {
        const char *edit;
        defupd_code signing, importing;
    } bad[] = {
        /* what is published is not what its keys signed */
        { "s/\"version\": 2,/\"version\": 1,/", DEFUPD_E_SIGNATURE, DEFUPD_E_SIGNATURE },
        /* another lifetime: who signs sees it; here it is not the change we made */
        { "s/\"x-defupd-days\": 30/\"x-defupd-days\": 3000/", DEFUPD_OK, DEFUPD_E_PENDING },
        { "s/\"defupd-pending\": 1/\"defupd-pending\": 2/", DEFUPD_E_METADATA_FORMAT,
          DEFUPD_E_METADATA_FORMAT },
        { "s/\"next\":/\"text\":/", DEFUPD_E_METADATA_FORMAT, DEFUPD_E_METADATA_FORMAT },
        { "s/\"roots\":/\"boots\":/", DEFUPD_E_METADATA_FORMAT, DEFUPD_E_METADATA_FORMAT },
        { "s/\"_type\": \"root\"/\"_type\": \"toor\"/", DEFUPD_E_METADATA_FORMAT,
          DEFUPD_E_METADATA_FORMAT },
        { "1,5d", DEFUPD_E_METADATA_FORMAT, DEFUPD_E_METADATA_FORMAT },
    };
    defupd_repo_change change = DEFUPD_REPO_CHANGE_INIT;
    T_AUTO_REPO *repo = t_repo(NULL);
    struct t_said said;
    defupd_error err = { 0 };

    prepare(repo);
    change.kind = DEFUPD_REPO_THRESHOLD;
    change.role = "targets";
    change.threshold = 1;
    change.days = 30;
    change.pending = 1;
    T_OK(defupd_repo_apply(repo, &change, NULL, &err), &err);
    T_CHECK(t_shell("cp -a repo before") == 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        T_OK(defupd_repo_pending_export(repo, "change", &err), &err);
        T_CHECK(t_shell("cp change good && sed -i '%s' change && ! cmp -s change good",
                        bad[i].edit) == 0);
        if (bad[i].signing == DEFUPD_OK)
            T_OK(sign_with("stick1", "change", &said, NULL, &err), &err);
        else
            T_FAILS(sign_with("stick1", "change", &said, NULL, &err), bad[i].signing, &err);
        T_FAILS(defupd_repo_pending_import(repo, "change", NULL, &err), bad[i].importing, &err);
    }
    T_CHECK(t_shell("diff -r -x .lock repo before") == 0);
}

static void signatures_that_are_wrong_are_not_taken(void)
{
    struct t_said said;
    defupd_error err = { 0 };
    T_AUTO_REPO *repo = t_repo(NULL);
    int is_pending = 0;

    prepare(repo);
    T_OK(pend(repo, DEFUPD_REPO_RENEW, "root", &err), &err);
    T_OK(defupd_repo_pending_export(repo, "change", &err), &err);
    T_OK(sign_with("stick1", "change", &said, NULL, &err), &err);
    T_OK(sign_with("stick2", "change", &said, NULL, &err), &err);
    T_CHECK(t_shell("cp change good && awk '/\"next\"/ {on = 1} on && /\"sig\": / && !done "
                    "{r = /\"sig\": \"00/ ? \"11\" : \"00\"; "
                    "sub(/\"sig\": \"../, \"\\\"sig\\\": \\\"\" r); done = 1} {print}' good "
                    ">change && ! cmp -s good change") == 0);
    T_OK(defupd_repo_pending_import(repo, "change", &is_pending, &err), &err);
    T_CHECK(is_pending == 1 && version_of(repo, "root") == 1);
    T_OK(defupd_repo_pending_import(repo, "good", &is_pending, &err), &err);
    T_CHECK(is_pending == 0 && version_of(repo, "root") == 2);
}

static void one_change_is_pending_at_a_time(void)
{
    struct t_said said = { 0 };
    defupd_error err = { 0 };
    T_AUTO_REPO *repo = t_repo(NULL);

    prepare(repo);
    T_OK(defupd_repo_pending_list(repo, t_say, &said, &err), &err);
    T_SAME(said.text, "");
    T_FAILS(defupd_repo_pending_drop(repo, &err), DEFUPD_E_PENDING, &err);
    T_FAILS(defupd_repo_pending_export(repo, "change", &err), DEFUPD_E_PENDING, &err);
    T_FAILS(defupd_repo_pending_import(repo, "change", NULL, &err), DEFUPD_E_PENDING, &err);
    T_OK(pend(repo, DEFUPD_REPO_RENEW, "root", &err), &err);
    T_FAILS(pend(repo, DEFUPD_REPO_RENEW, "root", &err), DEFUPD_E_PENDING, &err);
    T_CHECK(strstr(err.message, "repo.pending.json") != NULL);
    T_OK(defupd_repo_pending_drop(repo, &err), &err);
    T_OK(pend(repo, DEFUPD_REPO_RENEW, "root", &err), &err);
}

/* The daily work goes on beside it; what touches the same role makes it void, and says so. */
static void a_change_that_no_longer_fits_is_void(void)
{
    struct t_said said, signing;
    defupd_error err = { 0 };
    T_AUTO_REPO *repo = t_repo(&said);

    prepare(repo);
    T_OK(pend(repo, DEFUPD_REPO_KEY_ROTATE, "targets", &err), &err);
    T_OK(defupd_repo_refresh(repo, &err), &err);
    T_CHECK(strstr(said.text, "is void") == NULL);
    T_OK(t_add(repo, "av", 2, "tree-2", NULL, &err), &err);
    T_CHECK(strstr(said.text,
                   "warning: the pending change (key rotate targets) is void: targets") != NULL);
    T_OK(defupd_repo_pending_export(repo, "change", &err), &err);
    T_OK(sign_with("stick1", "change", &signing, NULL, &err), &err);
    T_OK(sign_with("stick2", "change", &signing, NULL, &err), &err);
    T_FAILS(defupd_repo_pending_import(repo, "change", NULL, &err), DEFUPD_E_PENDING, &err);
    T_CHECK(strstr(err.message, "has moved on") != NULL);
    T_CHECK(version_of(repo, "root") == 1);
    T_OK(defupd_repo_pending_drop(repo, &err), &err);
    T_OK(defupd_repo_verify(repo, NULL, NULL, &err), &err);
}

/* A component whose key never comes to the publishing machine. */
static void a_team_signs_its_releases_on_its_own_machine(void)
{
    defupd_repo_release release = DEFUPD_REPO_RELEASE_INIT;
    defupd_repo_options options = DEFUPD_REPO_OPTIONS_INIT;
    struct t_said said;
    defupd_error err = { 0 };
    T_AUTO_REPO *repo = t_repo(NULL), *team = NULL;
    int is_pending = 1;

    prepare(repo);
    options.keys_dir = "team";
    T_OK(defupd_repo_open(&team, &options, &err), &err);
    T_OK(defupd_repo_key_generate(team, "ips", "ed25519", NULL, &err), &err);
    T_CHECK(t_shell("cp team/ips-*.json repo.keys") == 0);
    T_OK(pend(repo, DEFUPD_REPO_DELEGATE, "ips", &err), &err);
    T_OK(sign_with("team", "repo.pending.json", &said, NULL, &err), &err);
    T_CHECK(strstr(said.text, "  role ips is new: 1 of 1 keys sign, valid 90 days at a time\n") !=
            NULL);
    T_CHECK(strstr(said.text, "  role ips speaks for ips/*\n") != NULL);
    T_CHECK(strstr(said.text, "ips version 1, valid until") != NULL &&
            strstr(said.text, "none is published yet") != NULL);
    T_OK(defupd_repo_pending_import(repo, "repo.pending.json", &is_pending, &err), &err);
    T_CHECK(is_pending == 0 && version_of(repo, "ips") == 1);

    release.component = "ips";
    release.version = 5;
    release.tree_dir = "tree-2";
    release.pending = 1;
    T_OK(defupd_repo_add_release(repo, &release, &err), &err);
    T_OK(defupd_repo_verify(repo, NULL, NULL, &err), &err);
    T_OK(defupd_repo_pending_export(repo, "change", &err), &err);
    T_OK(sign_with("team", "change", &said, NULL, &err), &err);
    T_OK(defupd_repo_pending_import(repo, "change", &is_pending, &err), &err);
    T_CHECK(is_pending == 0 && version_of(repo, "ips") == 2);
    T_OK(defupd_repo_verify(repo, NULL, NULL, &err), &err);
    T_CHECK(t_shell("grep -q 'version=\"5\"' repo/targets/ips/*.manifest.xml && test ! -e "
                    "repo.keys/ips-*.pem") == 0);
}

/* Objects and manifests of a pending release may be swept meanwhile: then it cannot go live. */
static void a_release_whose_manifest_is_gone_does_not_go_live(void)
{
    defupd_repo_release release = DEFUPD_REPO_RELEASE_INIT;
    struct t_said said;
    defupd_error err = { 0 };
    T_AUTO_REPO *repo = t_repo(NULL);

    prepare(repo);
    T_CHECK(t_shell("mv repo.keys/targets-* stick1 && cp -a repo before") == 0);
    release.component = "av";
    release.version = 2;
    release.tree_dir = "tree-2";
    release.pending = 1;
    T_OK(defupd_repo_add_release(repo, &release, &err), &err);
    T_OK(sign_with("stick1", "repo.pending.json", &said, NULL, &err), &err);
    T_CHECK(t_shell("rm -rf repo && mv before repo") == 0);
    T_FAILS(defupd_repo_pending_import(repo, "repo.pending.json", NULL, &err), DEFUPD_E_REPO, &err);
    T_OK(defupd_repo_verify(repo, NULL, NULL, &err), &err);
}

int main(void)
{
    T_RUN(a_change_waits_until_its_threshold_is_met);
    T_RUN(a_change_that_is_live_already_is_forgotten);
    T_RUN(what_is_to_be_signed_is_said_in_words);
    T_RUN(fields_without_words_are_named);
    T_RUN(who_says_no_signs_nothing);
    T_RUN(roots_that_are_not_the_pinned_ones_get_no_signature);
    T_RUN(a_file_that_was_tampered_with_gets_nowhere);
    T_RUN(signatures_that_are_wrong_are_not_taken);
    T_RUN(one_change_is_pending_at_a_time);
    T_RUN(a_change_that_no_longer_fits_is_void);
    T_RUN(a_team_signs_its_releases_on_its_own_machine);
    T_RUN(a_release_whose_manifest_is_gone_does_not_go_live);
    return T_DONE();
}
