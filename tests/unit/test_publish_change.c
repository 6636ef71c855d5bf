/* SPDX-License-Identifier: Apache-2.0 */
/* Who may sign, and how that changes: components with keys of their own, thresholds, new roots. */
#include "t_publish.h"

#define DAY_S (24 * 3600)

static const char *const top[] = { "root", "targets", "snapshot", "timestamp" };

static void verifies(defupd_repo *repo)
{
    struct t_said found = { 0 };
    defupd_error err = { 0 };

    T_OK(defupd_repo_verify(repo, t_say, &found, &err), &err);
    T_SAME(found.text, "");
}

/* Two components, one release each. */
static void prepare(defupd_repo *repo)
{
    defupd_error err = { 0 };

    t_tree("tree-1", "one");
    t_tree("tree-2", "two");
    T_OK(t_init(repo, &err), &err);
    T_OK(t_add(repo, "av", 1, "tree-1", NULL, &err), &err);
    T_OK(t_add(repo, "ips", 1, "tree-1", NULL, &err), &err);
}

static void delegate(defupd_repo *repo, const char *component)
{
    defupd_error err = { 0 };

    T_OK(defupd_repo_key_generate(repo, component, "ed25519", NULL, &err), &err);
    T_OK(t_change(repo, DEFUPD_REPO_DELEGATE, component, NULL, &err), &err);
}

/* The newest published version; 0 without one. */
static uint64_t newest(defupd_repo *repo, const char *component)
{
    DU_AUTO_DIRS dirs = DU_DIRS;
    DU_AUTO_STATE state = { 0 };
    DU_AUTO_MANIFEST *manifest = NULL;
    defupd_error err = { 0 };

    T_OK(du_dirs_open(repo, &dirs, false, &err), &err);
    T_OK(du_state_load(repo, &dirs, &state, &err), &err);
    T_OK(du_state_manifest(repo, &dirs, &state, component, &manifest, &err), &err);
    return manifest == NULL || manifest->count == 0 ? 0 : manifest->release[0].version;
}

struct wanted {
    const char *role;
    defupd_repo_role found;
};

static void find_role(void *user, const defupd_repo_role *role)
{
    struct wanted *wanted = user;

    if (strcmp(role->role, wanted->role) == 0)
        wanted->found = *role;
}

static defupd_repo_role role_of(defupd_repo *repo, const char *name)
{
    struct wanted wanted = { .role = name };
    defupd_error err = { 0 };

    T_OK(defupd_repo_role_list(repo, find_role, &wanted, &err), &err);
    return wanted.found;
}

/* How many signatures stand in a file. */
static int signatures(const char *file)
{
    return t_shell("exit $(grep -c '\"sig\":' repo/metadata/%s)", file);
}

static void a_component_moves_into_a_role_of_its_own(void)
{
    defupd_error err = { 0 };
    T_AUTO_REPO *repo = t_repo(NULL);

    prepare(repo);
    delegate(repo, "ips");
    verifies(repo);
    T_CHECK(newest(repo, "ips") == 1 && newest(repo, "av") == 1);
    T_CHECK(t_shell("grep -q ips/manifest.xml repo/metadata/1.ips.json && "
                    "! grep -q ips/manifest.xml repo/metadata/4.targets.json && "
                    "grep -q 'ips/\\*' repo/metadata/4.targets.json && "
                    "grep -q '\"terminating\": true' repo/metadata/4.targets.json && "
                    "grep -q ips.json repo/metadata/4.snapshot.json") == 0);
    T_OK(t_add(repo, "ips", 2, "tree-2", NULL, &err), &err);
    T_CHECK(newest(repo, "ips") == 2);
    T_CHECK(t_shell("test -e repo/metadata/2.ips.json && test ! -e repo/metadata/5.targets.json") ==
            0);
    T_OK(t_add(repo, "av", 2, "tree-2", NULL, &err), &err);
    T_CHECK(newest(repo, "ips") == 2 && newest(repo, "av") == 2);
    T_FAILS(t_change(repo, DEFUPD_REPO_DELEGATE, "ips", NULL, &err), DEFUPD_E_REPO_EXISTS, &err);
    verifies(repo);
}

static void a_role_may_come_before_the_first_release(void)
{
    defupd_error err = { 0 };
    T_AUTO_REPO *repo = t_repo(NULL);

    t_tree("tree-1", "one");
    T_OK(defupd_repo_init(repo, &err), &err);
    T_FAILS(t_change(repo, DEFUPD_REPO_DELEGATE, "ips", NULL, &err), DEFUPD_E_KEY, &err);
    T_FAILS(t_change(repo, DEFUPD_REPO_DELEGATE, "targets", NULL, &err), DEFUPD_E_INVALID, &err);
    delegate(repo, "ips");
    T_CHECK(newest(repo, "ips") == 0);
    T_OK(t_add(repo, "ips", 7, "tree-1", NULL, &err), &err);
    T_CHECK(newest(repo, "ips") == 7);
    verifies(repo);
}

static void a_components_keys_sign_that_component_alone(void)
{
    defupd_error err = { 0 };
    T_AUTO_REPO *repo = t_repo(NULL);

    prepare(repo);
    delegate(repo, "ips");
    delegate(repo, "yara");
    /* The machine of the IPS team: its own keys and the online ones. */
    T_CHECK(
        t_shell("mkdir away && mv repo.keys/root-* repo.keys/targets-* repo.keys/yara-* away") ==
        0);
    T_OK(t_add(repo, "ips", 2, "tree-2", NULL, &err), &err);
    T_FAILS(t_add(repo, "av", 2, "tree-2", NULL, &err), DEFUPD_E_KEY, &err);
    T_CHECK(strstr(err.message, "'targets'") != NULL);
    T_FAILS(t_add(repo, "yara", 1, "tree-2", NULL, &err), DEFUPD_E_KEY, &err);
    T_CHECK(strstr(err.message, "'yara'") != NULL);
    T_FAILS(t_change(repo, DEFUPD_REPO_KEY_ADD, "ips", NULL, &err), DEFUPD_E_KEY, &err);
    T_CHECK(t_shell("ls repo.keys/ips-*.pem | wc -l | grep -qx 1") == 0); /* none made in vain */
    verifies(repo);
}

/* A thief of the IPS team's key signs an antivirus manifest with it. */
static void what_a_component_signs_for_another_is_not_found(void)
{
    static const char forged[] = "<manifest format=\"1\" component=\"av\"/>";
    const struct du_bytes bytes = { (const unsigned char *)forged, sizeof forged - 1 };
    defupd_error err = { 0 };
    T_AUTO_REPO *repo = t_repo(NULL);
    DU_AUTO_WORK work = DU_WORK;
    DU_AUTO_NEXT next = { 0 };
    struct du_json *part = NULL;

    prepare(repo);
    delegate(repo, "ips");
    T_OK(du_work_begin(repo, &work, &err), &err);
    T_OK(du_next_edit(&work.dirs, &work.state, &next, "ips", &part, &err), &err);
    T_CHECK(du_part_target(part, "av", bytes));
    T_OK(du_next_sign(repo, &work.state, &work.ring, &next, &err), &err);
    T_OK(du_next_finish(repo, &work.dirs, &work.state, &work.ring, &next, NULL,
                        (struct du_bytes){ 0 }, &err),
         &err);
    T_OK(du_work_write(repo, &work, &next, &err), &err);
    du_work_end(&work);
    T_CHECK(t_shell("grep -q av/manifest.xml repo/metadata/2.ips.json") == 0);
    T_CHECK(newest(repo, "av") == 1 && newest(repo, "ips") == 1);
}

static void fewer_keys_than_the_threshold_sign_nothing(void)
{
    const defupd_repo_rule rules[] = {
        { .struct_size = sizeof rules[0], .threshold = 2, .role = "root" },
        { .struct_size = sizeof rules[0], .threshold = 2, .role = "targets" },
    };
    defupd_error err = { 0 };
    T_AUTO_REPO *repo = t_repo(NULL);

    t_tree("tree-1", "one");
    T_OK(defupd_repo_key_generate(repo, "root", NULL, NULL, &err), &err);
    T_FAILS(defupd_repo_init_with(repo, rules, 2, &err), DEFUPD_E_KEY, &err);
    T_CHECK(strstr(err.message, "1 keys for role 'root', which is to need 2") != NULL);
    for (int i = 0; i < 2; i++)
        T_OK(defupd_repo_key_generate(repo, "root", "ed25519", NULL, &err), &err);
    for (int i = 0; i < 3; i++)
        T_OK(defupd_repo_key_generate(repo, "targets", "ed25519", NULL, &err), &err);
    T_OK(defupd_repo_init_with(repo, rules, 2, &err), &err);
    T_CHECK(role_of(repo, "root").threshold == 2 && role_of(repo, "root").keys == 3);
    T_CHECK(signatures("1.root.json") == 3 && signatures("1.targets.json") == 3);
    /* Two of three are enough, one is not. */
    T_CHECK(t_shell("mkdir away && mv $(ls repo.keys/targets-*.pem | head -1) away") == 0);
    T_OK(t_add(repo, "av", 1, "tree-1", NULL, &err), &err);
    T_CHECK(signatures("2.targets.json") == 2);
    T_CHECK(t_shell("mv $(ls repo.keys/targets-*.pem | head -1) away") == 0);
    T_FAILS(t_add(repo, "av", 2, "tree-1", NULL, &err), DEFUPD_E_KEY, &err);
    T_CHECK(strstr(err.message, "repo.keys holds 1 of the keys of role 'targets', which needs 2") !=
            NULL);
    verifies(repo);
}

static void rules_that_make_no_sense_are_refused(void)
{
    const defupd_repo_rule rules[] = {
        { .struct_size = sizeof rules[0], .threshold = 2, .role = "tetra" },
        { .struct_size = sizeof rules[0], .threshold = 2, .role = NULL },
        { .struct_size = sizeof rules[0], .days = DU_DAYS_MAX + 1, .role = "root" },
        { .struct_size = sizeof rules[0], .threshold = DU_ENTRY_KEYS_MAX + 1, .role = "root" },
        { .struct_size = sizeof rules[0] - 1, .threshold = 1, .role = "root" },
    };
    T_AUTO_REPO *repo = t_repo(NULL);

    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        defupd_error err = { 0 };
        T_FAILS(defupd_repo_init_with(repo, &rules[i], 1, &err), DEFUPD_E_INVALID, &err);
    }
    T_CHECK(t_shell("test ! -e repo.keys") == 0);
}

static void every_role_can_have_its_key_rotated(void)
{
    defupd_error err = { 0 };
    T_AUTO_REPO *repo = t_repo(NULL);

    prepare(repo);
    delegate(repo, "ips");
    for (size_t i = 0; i < sizeof top / sizeof top[0]; i++) {
        const defupd_repo_role before = role_of(repo, top[i]);
        T_OK(t_change(repo, DEFUPD_REPO_KEY_ROTATE, top[i], NULL, &err), &err);
        verifies(repo);
        T_CHECK(role_of(repo, top[i]).version == before.version + 1);
        T_CHECK(role_of(repo, "root").version == i + 2);
        T_CHECK(role_of(repo, top[i]).keys == 1);
        T_CHECK(t_shell("ls repo.keys/%s-*.pem | wc -l | grep -qx 2", top[i]) == 0);
        T_OK(t_add(repo, "av", i + 2, i % 2 == 0 ? "tree-2" : "tree-1", NULL, &err), &err);
    }
    T_OK(t_change(repo, DEFUPD_REPO_KEY_ROTATE, "ips", NULL, &err), &err);
    T_OK(t_add(repo, "ips", 2, "tree-2", NULL, &err), &err);
    T_CHECK(role_of(repo, "root").version == 5);
    verifies(repo);
}

/* So that no reader finds an instant in which it does not verify: see du_next_write(). */
static void what_a_new_root_changes_is_signed_by_the_keys_before_and_after(void)
{
    defupd_error err = { 0 };
    T_AUTO_REPO *repo = t_repo(NULL);

    prepare(repo);
    T_OK(t_change(repo, DEFUPD_REPO_KEY_ROTATE, "targets", NULL, &err), &err);
    T_CHECK(signatures("2.root.json") == 1 && signatures("4.targets.json") == 2);
    T_CHECK(signatures("4.snapshot.json") == 1);
    T_OK(t_change(repo, DEFUPD_REPO_KEY_ROTATE, "root", NULL, &err), &err);
    T_CHECK(signatures("3.root.json") == 2);
    T_OK(t_add(repo, "av", 2, "tree-2", NULL, &err), &err);
    T_CHECK(signatures("5.targets.json") == 1);
    /* Without the old key that cannot be, unless it is said to be lost. */
    T_CHECK(t_shell("mkdir away && mv repo.keys/timestamp-* away") == 0);
    T_FAILS(t_change(repo, DEFUPD_REPO_KEY_ROTATE, "timestamp", NULL, &err), DEFUPD_E_KEY, &err);
    T_CHECK(strstr(err.message, "by the role's present keys") != NULL);
    verifies(repo);
}

static void a_lost_key_is_replaced_without_it(void)
{
    static const char *const roles[] = { "targets", "snapshot", "timestamp" };
    defupd_repo_change change = DEFUPD_REPO_CHANGE_INIT;
    defupd_error err = { 0 };
    T_AUTO_REPO *repo = t_repo(NULL);

    prepare(repo);
    T_CHECK(t_shell("mkdir away") == 0);
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
        T_CHECK(t_shell("mv repo.keys/%s-* away", roles[i]) == 0);
        change.kind = DEFUPD_REPO_KEY_ROTATE;
        change.role = roles[i];
        change.lost = 1;
        T_OK(defupd_repo_apply(repo, &change, NULL, &err), &err);
        verifies(repo);
    }
    T_OK(t_add(repo, "av", 2, "tree-2", NULL, &err), &err);
    /* The root's own keys must always sign the next root. */
    T_CHECK(t_shell("mv repo.keys/root-* away") == 0);
    change.role = "root";
    T_FAILS(defupd_repo_apply(repo, &change, NULL, &err), DEFUPD_E_KEY, &err);
    verifies(repo);
}

/* A crash after the root, before the rest: readers take nothing, the next refresh mends it. */
static void a_root_whose_publication_was_cut_short_is_completed(void)
{
    defupd_repo_change change = DEFUPD_REPO_CHANGE_INIT;
    struct t_said said;
    defupd_error err = { 0 };
    T_AUTO_REPO *repo = t_repo(&said);

    prepare(repo);
    T_CHECK(t_shell("mkdir away && cp -a repo before && mv repo.keys/targets-* away") == 0);
    change.kind = DEFUPD_REPO_KEY_ROTATE;
    change.role = "targets";
    change.lost = 1;
    T_OK(defupd_repo_apply(repo, &change, NULL, &err), &err);
    T_CHECK(t_shell("cp repo/metadata/2.root.json before/metadata && rm -rf repo && "
                    "mv before repo") == 0);
    T_FAILS(defupd_repo_verify(repo, NULL, NULL, &err), DEFUPD_E_REPO, &err);
    T_OK(defupd_repo_refresh(repo, &err), &err);
    verifies(repo);
    T_CHECK(newest(repo, "av") == 1 && newest(repo, "ips") == 1);
    T_OK(t_add(repo, "av", 2, "tree-2", NULL, &err), &err);
}

struct first_key {
    const char *role;
    char id[65];
};

static void take_key(void *user, const defupd_repo_key *key)
{
    struct first_key *first = user;

    if (strcmp(key->role, first->role) == 0 && key->in_root && first->id[0] == '\0')
        (void)snprintf(first->id, sizeof first->id, "%s", key->keyid);
}

static struct first_key key_of(defupd_repo *repo, const char *role)
{
    struct first_key first = { .role = role };
    defupd_error err = { 0 };

    T_OK(defupd_repo_key_list(repo, take_key, &first, &err), &err);
    return first;
}

static void keys_come_and_go_and_thresholds_move(void)
{
    defupd_repo_change change = DEFUPD_REPO_CHANGE_INIT;
    defupd_error err = { 0 };
    T_AUTO_REPO *repo = t_repo(NULL);
    struct first_key first;
    char made[65] = "";

    prepare(repo);
    delegate(repo, "ips");
    for (size_t i = 0; i < 5; i++) {
        const char *role = i < 4 ? top[i] : "ips";
        change = (defupd_repo_change)DEFUPD_REPO_CHANGE_INIT;
        change.kind = DEFUPD_REPO_THRESHOLD;
        change.role = role;
        change.threshold = 2;
        T_FAILS(defupd_repo_apply(repo, &change, NULL, &err), DEFUPD_E_INVALID, &err);
        change.kind = DEFUPD_REPO_KEY_ADD;
        change.key_type = "ed25519";
        change.made_key = made;
        T_OK(defupd_repo_apply(repo, &change, NULL, &err), &err);
        verifies(repo);
        T_CHECK(role_of(repo, role).threshold == 2 && role_of(repo, role).keys == 2);
        T_CHECK(strlen(made) == 64);
        first = key_of(repo, role);
        T_FAILS(t_change(repo, DEFUPD_REPO_KEY_REVOKE, NULL, first.id, &err), DEFUPD_E_INVALID,
                &err);
        T_CHECK(strstr(err.message, "1 key, and needs 2") != NULL);
        change.kind = DEFUPD_REPO_THRESHOLD;
        change.threshold = 1;
        change.made_key = NULL;
        T_OK(defupd_repo_apply(repo, &change, NULL, &err), &err);
        first.id[10] = '\0'; /* its beginning is enough */
        T_OK(t_change(repo, DEFUPD_REPO_KEY_REVOKE, NULL, first.id, &err), &err);
        T_CHECK(role_of(repo, role).keys == 1);
        T_SAME(key_of(repo, role).id, made);
        verifies(repo);
        T_OK(t_add(repo, "ips", i + 2, i % 2 == 0 ? "tree-2" : "tree-1", NULL, &err), &err);
    }
    verifies(repo);
}

static void a_revoked_key_leaves_every_role_that_names_it(void)
{
    defupd_repo_change change = DEFUPD_REPO_CHANGE_INIT;
    defupd_error err = { 0 };
    T_AUTO_REPO *repo = t_repo(NULL);
    struct first_key shared;

    prepare(repo);
    delegate(repo, "ips");
    shared = key_of(repo, "targets");
    /* The same key in root and in ips. */
    change.kind = DEFUPD_REPO_KEY_ADD;
    change.role = "ips";
    change.new_key = shared.id;
    T_OK(defupd_repo_apply(repo, &change, NULL, &err), &err);
    T_FAILS(defupd_repo_apply(repo, &change, NULL, &err), DEFUPD_E_INVALID, &err);
    T_OK(t_change(repo, DEFUPD_REPO_KEY_ADD, "targets", NULL, &err), &err);
    T_OK(t_change(repo, DEFUPD_REPO_KEY_REVOKE, NULL, shared.id, &err), &err);
    T_CHECK(role_of(repo, "ips").keys == 1 && role_of(repo, "targets").keys == 1);
    verifies(repo);
    T_FAILS(t_change(repo, DEFUPD_REPO_KEY_REVOKE, NULL, shared.id, &err), DEFUPD_E_INVALID, &err);
    T_FAILS(t_change(repo, DEFUPD_REPO_KEY_REVOKE, NULL, "0123", &err), DEFUPD_E_INVALID, &err);
    T_CHECK(t_shell("! grep -q %s repo/metadata/3.root.json", shared.id) == 0);
}

static void lives_are_as_they_were_set(void)
{
    const defupd_repo_rule rules[] = {
        { .struct_size = sizeof rules[0], .days = 730, .role = "root" },
        { .struct_size = sizeof rules[0], .days = 3, .role = "timestamp" },
    };
    defupd_repo_change change = DEFUPD_REPO_CHANGE_INIT;
    defupd_error err = { 0 };
    T_AUTO_REPO *repo = t_repo(NULL);
    const int64_t now = 1795251600;

    t_clock(repo, now);
    t_tree("tree-1", "one");
    T_OK(defupd_repo_init_with(repo, rules, 2, &err), &err);
    T_CHECK(role_of(repo, "root").expires == now + 730 * DAY_S);
    T_CHECK(role_of(repo, "timestamp").expires == now + 3 * DAY_S);
    T_CHECK(role_of(repo, "snapshot").expires == now + 7 * DAY_S);
    t_clock(repo, now + DAY_S);
    T_OK(defupd_repo_refresh(repo, &err), &err);
    T_CHECK(role_of(repo, "timestamp").expires == now + 4 * DAY_S);
    change.kind = DEFUPD_REPO_RENEW;
    change.role = "root";
    T_OK(defupd_repo_apply(repo, &change, NULL, &err), &err);
    T_CHECK(role_of(repo, "root").version == 2);
    T_CHECK(role_of(repo, "root").expires == now + 731 * DAY_S);
    change.days = 30;
    change.role = "targets";
    T_OK(defupd_repo_apply(repo, &change, NULL, &err), &err);
    T_CHECK(role_of(repo, "targets").expires == now + 31 * DAY_S);
    T_CHECK(role_of(repo, "targets").days == 30 && role_of(repo, "root").version == 3);
    change.days = 0;
    for (size_t i = 2; i < 4; i++) {
        const uint64_t before = role_of(repo, top[i]).version;
        change.role = top[i];
        T_OK(defupd_repo_apply(repo, &change, NULL, &err), &err);
        T_CHECK(role_of(repo, top[i]).version == before + 1);
        verifies(repo);
    }
    delegate(repo, "ips");
    change.role = "ips";
    change.days = 10;
    T_OK(defupd_repo_apply(repo, &change, NULL, &err), &err);
    T_OK(t_add(repo, "ips", 1, "tree-1", NULL, &err), &err);
    T_CHECK(role_of(repo, "ips").expires == now + 11 * DAY_S);
    verifies(repo);
    /* Half of ten days is over: refresh takes it along. */
    t_clock(repo, now + 7 * DAY_S);
    T_OK(defupd_repo_refresh(repo, &err), &err);
    T_CHECK(role_of(repo, "ips").expires == now + 17 * DAY_S);
    verifies(repo);
}

static void changes_that_make_no_sense_are_refused(void)
{
    static const struct {
        defupd_repo_change_kind kind;
        const char *role, *key, *type;
    } bad[] = {
        { DEFUPD_REPO_KEY_ADD, "nobody", NULL, NULL },
        { DEFUPD_REPO_KEY_ADD, "Root", NULL, NULL },
        { DEFUPD_REPO_KEY_ADD, NULL, NULL, NULL },
        { DEFUPD_REPO_KEY_ADD, "root", NULL, "dsa" },
        { DEFUPD_REPO_KEY_ROTATE, "root", "0123456789", NULL },
        { DEFUPD_REPO_KEY_ROTATE, "ips", NULL, NULL }, /* still in targets */
        { DEFUPD_REPO_KEY_REVOKE, NULL, NULL, NULL },
        { DEFUPD_REPO_THRESHOLD, "root", NULL, NULL },
        { DEFUPD_REPO_RENEW, "mirrors", NULL, NULL },
        { DEFUPD_REPO_DELEGATE, "con", NULL, NULL },
        { (defupd_repo_change_kind)0, "root", NULL, NULL },
        { (defupd_repo_change_kind)99, "root", NULL, NULL },
    };
    T_AUTO_REPO *repo = t_repo(NULL);

    prepare(repo);
    T_CHECK(t_shell("cp -a repo before && cp -a repo.keys keys") == 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        defupd_repo_change change = DEFUPD_REPO_CHANGE_INIT;
        defupd_error err = { 0 };
        change.kind = (uint32_t)bad[i].kind;
        change.role = bad[i].role;
        change.old_key = bad[i].key;
        change.key_type = bad[i].type;
        T_FAILS(defupd_repo_apply(repo, &change, NULL, &err), DEFUPD_E_INVALID, &err);
        change.struct_size--;
        T_FAILS(defupd_repo_apply(repo, &change, NULL, &err), DEFUPD_E_INVALID, &err);
    }
    T_CHECK(t_shell("diff -r -x .lock repo before && diff -r repo.keys keys") == 0);
}

static void a_public_half_from_elsewhere_can_become_a_key(void)
{
    defupd_repo_options options = DEFUPD_REPO_OPTIONS_INIT;
    defupd_error err = { 0 };
    T_AUTO_REPO *repo = t_repo(NULL), *team = NULL;

    prepare(repo);
    /* The team makes its key on its own machine and hands over the public half. */
    options.repo_dir = "team";
    T_OK(defupd_repo_open(&team, &options, &err), &err);
    T_OK(defupd_repo_key_generate(team, "ips", NULL, NULL, &err), &err);
    T_CHECK(t_shell("cp team.keys/ips-*.json repo.keys") == 0);
    T_FAILS(t_change(repo, DEFUPD_REPO_DELEGATE, "ips", NULL, &err), DEFUPD_E_KEY, &err);
    T_CHECK(strstr(err.message, "ips version 1 has 0 of the 1 signatures") != NULL);
    T_CHECK(t_shell("cp team.keys/ips-*.pem repo.keys") == 0);
    T_OK(t_change(repo, DEFUPD_REPO_DELEGATE, "ips", NULL, &err), &err);
    verifies(repo);
    /* What is not what its name says is refused. */
    T_CHECK(t_shell("rm repo.keys/ips-*.pem && sed -i 's/MF/MG/' repo.keys/ips-*.json") == 0);
    T_FAILS(defupd_repo_refresh(repo, &err), DEFUPD_E_KEY, &err);
}

int main(void)
{
    T_RUN(a_component_moves_into_a_role_of_its_own);
    T_RUN(a_role_may_come_before_the_first_release);
    T_RUN(a_components_keys_sign_that_component_alone);
    T_RUN(what_a_component_signs_for_another_is_not_found);
    T_RUN(fewer_keys_than_the_threshold_sign_nothing);
    T_RUN(rules_that_make_no_sense_are_refused);
    T_RUN(every_role_can_have_its_key_rotated);
    T_RUN(what_a_new_root_changes_is_signed_by_the_keys_before_and_after);
    T_RUN(a_lost_key_is_replaced_without_it);
    T_RUN(a_root_whose_publication_was_cut_short_is_completed);
    T_RUN(keys_come_and_go_and_thresholds_move);
    T_RUN(a_revoked_key_leaves_every_role_that_names_it);
    T_RUN(lives_are_as_they_were_set);
    T_RUN(changes_that_make_no_sense_are_refused);
    T_RUN(a_public_half_from_elsewhere_can_become_a_key);
    return T_DONE();
}
