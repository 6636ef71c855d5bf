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
    T_OK(t_init(repo, &err), &err);
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

/* Publish a manifest of tetra that `spoil` has changed, under the right signatures. */
static void publish_spoilt(defupd_repo *repo, void (*spoil)(struct du_manifest *manifest))
{
    defupd_error err = { 0 };
    DU_AUTO_WORK work = DU_WORK;
    DU_AUTO_NEXT next = { 0 };
    DU_AUTO_MANIFEST *manifest = NULL;
    DU_AUTO_BUF text = DU_BUF(DU_MANIFEST_BYTES_MAX);
    char name[DU_META_NAME];
    struct du_json *part = NULL;
    DU_AUTO_FD dir = -1;

    T_OK(du_work_begin(repo, &work, &err), &err);
    T_OK(du_state_manifest(repo, &work.dirs, &work.state, "tetra", &manifest, &err), &err);
    spoil(manifest);
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
}

static void another_tree(struct du_manifest *manifest)
{
    manifest->release[0].tree[0] ^= 1;
}

/* Signed by the right keys, and still wrong: only unpacking shows it. */
static void an_object_of_another_tree_is_found(void)
{
    defupd_error err = { 0 };
    T_AUTO_REPO *repo = t_repo(NULL);
    struct t_said found = { 0 };

    prepare(repo);
    publish_spoilt(repo, another_tree);
    T_FAILS(defupd_repo_verify(repo, t_say, &found, &err), DEFUPD_E_REPO, &err);
    T_CHECK(found.lines == 1 && strstr(found.text, "tetra 2: ") != NULL);
}

static void a_delta(struct du_manifest *manifest)
{
    struct du_release *release = &manifest->release[0];

    release->delta = calloc(1, sizeof *release->delta);
    T_CHECK(release->delta != NULL);
    release->deltas = 1;
    release->delta[0] = manifest->release[1].full; /* any bytes will do for an object */
    release->delta[0].from = 1;
    release->delta[0].sha256[0] ^= 1;
    (void)snprintf(release->delta[0].codec, sizeof release->delta[0].codec, "1");
}

static void a_missing_delta_is_found(void)
{
    defupd_error err = { 0 };
    T_AUTO_REPO *repo = t_repo(NULL);
    struct t_said found = { 0 };

    prepare(repo);
    publish_spoilt(repo, a_delta);
    T_FAILS(defupd_repo_verify(repo, t_say, &found, &err), DEFUPD_E_REPO, &err);
    T_CHECK(found.lines == 1 && strstr(found.text, "tetra 2: delta from 1: open objects/") != NULL);
}

/* The one from 2 keeps a file that is another in 1. */
static void swapped(struct du_manifest *manifest)
{
    const struct du_object first = manifest->release[0].delta[0];

    T_CHECK(manifest->release[0].deltas == 2);
    manifest->release[0].delta[0] = manifest->release[0].delta[1];
    manifest->release[0].delta[0].from = first.from;
    manifest->release[0].delta[1] = first;
    manifest->release[0].delta[1].from = 1;
}

static void homeless(struct du_manifest *manifest)
{
    manifest->release[0].delta[1].from = 77;
}

static void of_another_codec(struct du_manifest *manifest)
{
    (void)snprintf(manifest->release[0].delta[1].codec, sizeof manifest->release[0].delta[1].codec,
                   "9");
}

static void deltas_are_applied_and_each_that_leads_elsewhere_is_named(void)
{
    static const struct {
        void (*spoil)(struct du_manifest *manifest);
        size_t lines;
        const char *text;
    } row[] = {
        { swapped, 1, "tetra 3: delta from 1: " },
        { homeless, 1, "tetra 3: delta from 77: cannot be proven, its source is not listed" },
        { of_another_codec, 1, "tetra 3: delta from 1: codec '9' is not known here" },
    };

    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        defupd_error err = { 0 };
        T_AUTO_REPO *repo = t_repo(NULL);
        struct t_said found = { 0 };

        T_CHECK(t_shell("rm -rf repo repo.keys tree-3") == 0);
        prepare(repo);
        T_CHECK(t_shell("cp -a tree-2 tree-3 && seq 1 490 >'tree-3/sub dir/same'") == 0);
        T_OK(t_add_deltas(repo, "tetra", 3, "tree-3", 12, NULL, &err), &err);
        T_OK(defupd_repo_verify(repo, NULL, NULL, &err), &err);
        publish_spoilt(repo, row[i].spoil);
        T_FAILS(defupd_repo_verify(repo, t_say, &found, &err), DEFUPD_E_REPO, &err);
        T_CHECK(found.lines == row[i].lines && strstr(found.text, row[i].text) != NULL);
        if (t_failed > 0)
            printf("# row %zu: %s", i, found.text);
    }
}

static void verify_needs_no_key_and_leaves_nothing_behind(void)
{
    defupd_error err = { 0 };
    T_AUTO_REPO *repo = t_repo(NULL);

    prepare(repo);
    T_CHECK(t_shell("rm -rf repo.keys") == 0);
    T_OK(defupd_repo_verify(repo, NULL, NULL, &err), &err);
    T_CHECK(t_shell("diff -r repo good && ! ls | grep -q defupd-verify") == 0);
}

/* What an audit has told, in lines. */
static void tell_role(void *user, const defupd_repo_role *role)
{
    char line[256];

    (void)snprintf(line, sizeof line, "%s %llu: %u signed, %u needed of %u, %u here", role->role,
                   (unsigned long long)role->version, role->signatures, role->threshold, role->keys,
                   role->has_private);
    t_say(user, line);
}

static void tell_component(void *user, const defupd_repo_component *component)
{
    char line[256];

    (void)snprintf(line, sizeof line, "%s: %u to %llu, %llu objects of %llu, by %s",
                   component->component, component->releases, (unsigned long long)component->newest,
                   (unsigned long long)component->objects,
                   (unsigned long long)component->object_bytes, component->role);
    t_say(user, line);
}

static defupd_code audit(defupd_repo *repo, struct t_said *told, defupd_error *err)
{
    defupd_repo_audit to = DEFUPD_REPO_AUDIT_INIT;

    *told = (struct t_said){ 0 };
    to.on_finding = to.on_warning = t_say;
    to.on_role = tell_role;
    to.on_component = tell_component;
    to.user = told;
    return defupd_repo_verify_with(repo, &to, err);
}

static void roles_and_components_are_told_with_signatures_and_objects(void)
{
    defupd_error err = { 0 };
    defupd_repo_audit none = DEFUPD_REPO_AUDIT_INIT;
    struct t_said told;
    char line[256];
    defupd_repo_added more = DEFUPD_REPO_ADDED_INIT;
    T_AUTO_REPO *repo = t_repo(NULL);

    for (int i = 0; i < 2; i++)
        T_OK(defupd_repo_key_generate(repo, "targets", "ed25519", NULL, &err), &err);
    prepare(repo); /* makes the third */
    /* The same tree again: the object is there once. */
    T_OK(t_add(repo, "tetra", 3, "tree-2", &more, &err), &err);
    T_CHECK(more.shared == 1);
    T_OK(t_change(repo, DEFUPD_REPO_KEY_ROTATE, "root", NULL, &err), &err);
    T_CHECK(t_shell("rm $(ls repo.keys/targets-*.pem | head -n 1)") == 0);
    T_OK(audit(repo, &told, &err), &err);
    T_CHECK(strstr(told.text, "root 2: 1 signed, 1 needed of 1, 1 here\n") != NULL);
    T_CHECK(strstr(told.text, "targets 5: 3 signed, 1 needed of 3, 2 here\n") != NULL);
    (void)snprintf(line, sizeof line, "tetra: 3 to 3, 2 objects of ");
    T_CHECK(strstr(told.text, line) != NULL &&
            strstr(told.text, "yara: 1 to 1, 1 objects") != NULL);
    T_CHECK(told.lines == 6); /* no warning */
    T_OK(defupd_repo_verify_with(repo, &none, &err), &err);
    none.struct_size++;
    T_FAILS(defupd_repo_verify_with(repo, &none, &err), DEFUPD_E_INVALID, &err);
    /* What stands on verified ground is told, whatever lies below it. */
    T_CHECK(t_shell("rm repo/metadata/*.snapshot.json") == 0);
    T_FAILS(audit(repo, &told, &err), DEFUPD_E_REPO, &err);
    T_CHECK(strstr(told.text, "timestamp 5: 1 signed") != NULL);
    T_CHECK(strstr(told.text, "targets") == NULL);
}

static void what_expires_soon_is_warned_of_with_days(void)
{
    const int64_t now = du_sys_posix.now_s();
    static const struct {
        int64_t later;
        const char *role, *left; /* NULL: no warning */
    } at[] = {
        { 17 * 3600, "timestamp", NULL }, { 19 * 3600 + 60, "timestamp", "in 4 hours" },
        { 5 * DAY_S, "snapshot", NULL },  { 5 * DAY_S + DAY_S / 2 + 60, "snapshot", "in 35 hours" },
        { 67 * DAY_S, "targets", NULL },  { 68 * DAY_S + 60, "targets", "in 21 days" },
        { 300 * DAY_S, "root", NULL },    { 310 * DAY_S + 60, "root", "in 54 days" },
    };
    defupd_error err = { 0 };
    struct t_said told;
    char line[64];
    T_AUTO_REPO *repo = t_repo(NULL);

    prepare(repo);
    for (size_t i = 0; i < sizeof at / sizeof at[0]; i++) {
        t_clock(repo, now + at[i].later);
        (void)audit(repo, &told, &err); /* defects of others, which have expired by then */
        (void)snprintf(line, sizeof line, " expires in");
        if (at[i].left == NULL) {
            T_CHECK(strstr(told.text, line) == NULL);
            continue;
        }
        T_CHECK(strstr(told.text, line) != NULL && strstr(told.text, at[i].left) != NULL &&
                strstr(told.text, at[i].role) != NULL);
    }
    repo->warn_days = 8;
    t_clock(repo, now + 60);
    T_OK(audit(repo, &told, &err), &err);
    T_CHECK(strstr(told.text, "snapshot version 4 expires in 6 days, at ") != NULL);
    T_CHECK(strstr(told.text, "targets version 4 expires") == NULL);
}

/* What an auditor may not enter is not his concern; what is wrong with it is. */
static void a_keys_folder_that_others_may_open_is_a_warning(void)
{
    defupd_error err = { 0 };
    struct t_said told;
    T_AUTO_REPO *repo = t_repo(NULL);

    prepare(repo);
    T_CHECK(t_shell("chmod 0777 repo.keys") == 0);
    T_OK(audit(repo, &told, &err), &err);
    T_CHECK(strstr(told.text, "repo.keys has mode 0777") != NULL);
}

struct stop {
    defupd_repo *repo;
    unsigned phase, after, seen;
    uint64_t most, total;
};

/* Cancelled from where a signal would: in the middle of the work. */
static void stop_there(void *user, const defupd_repo_progress *progress)
{
    struct stop *stop = user;

    if (progress->phase != stop->phase)
        return;
    stop->most = progress->bytes_done;
    stop->total = progress->bytes_total;
    T_CHECK(strcmp(progress->component, "tetra") == 0 && progress->version == 2);
    if (++stop->seen == stop->after)
        defupd_repo_cancel(stop->repo);
}

static void a_cancelled_audit_leaves_nothing_behind(void)
{
    defupd_error err = { 0 };
    T_AUTO_REPO *first = t_repo(NULL);

    prepare(first);
    for (unsigned after = 1; after <= 4; after++) {
        T_AUTO_REPO *repo = t_repo(NULL);
        struct stop stop = { repo, DEFUPD_REPO_CHECKING, after, 0, 0, 0 };
        struct t_said found = { 0 };

        repo->on_progress = stop_there;
        repo->progress_user = &stop;
        T_FAILS(defupd_repo_verify(repo, t_say, &found, &err), DEFUPD_E_CANCELLED, &err);
        T_CHECK(stop.seen == after && found.lines == 0);
        T_CHECK(t_shell("diff -r repo good && ! ls | grep -q defupd-verify") == 0);
        /* For good: who asked for the end did not ask for a pause. */
        T_FAILS(defupd_repo_verify(repo, NULL, NULL, &err), DEFUPD_E_CANCELLED, &err);
        T_FAILS(defupd_repo_refresh(repo, &err), DEFUPD_E_CANCELLED, &err);
    }
    defupd_repo_cancel(NULL);
}

static void a_cancelled_release_is_not_published(void)
{
    static const unsigned phases[] = { DEFUPD_REPO_READING, DEFUPD_REPO_BUNDLING };
    defupd_error err = { 0 };
    T_AUTO_REPO *first = t_repo(NULL);

    t_tree("tree", "x");
    T_OK(defupd_repo_init(first, &err), &err);
    T_CHECK(t_shell("cp -a repo good") == 0);
    for (size_t i = 0; i < sizeof phases / sizeof phases[0]; i++) {
        T_AUTO_REPO *repo = t_repo(NULL);
        struct stop stop = { repo, phases[i], 2, 0, 0, 0 };

        repo->on_progress = stop_there;
        repo->progress_user = &stop;
        T_FAILS(t_add(repo, "tetra", 2, "tree", NULL, &err), DEFUPD_E_CANCELLED, &err);
        T_CHECK(stop.seen >= 2);
        T_CHECK(t_shell("diff -r -x .lock repo good") == 0);
    }
}

static void progress_ends_at_its_total(void)
{
    static const unsigned phases[] = { DEFUPD_REPO_READING, DEFUPD_REPO_BUNDLING,
                                       DEFUPD_REPO_CHECKING };
    defupd_error err = { 0 };

    t_tree("tree", "x");
    for (size_t i = 0; i < sizeof phases / sizeof phases[0]; i++) {
        defupd_repo_added sizes = DEFUPD_REPO_ADDED_INIT;
        T_AUTO_REPO *repo = t_repo(NULL);
        struct stop stop = { repo, phases[i], 0, 0, 0, 0 };

        T_CHECK(t_shell("rm -rf repo repo.keys") == 0);
        T_OK(t_init(repo, &err), &err);
        repo->on_progress = stop_there;
        repo->progress_user = &stop;
        T_OK(t_add(repo, "tetra", 2, "tree", &sizes, &err), &err);
        T_OK(defupd_repo_verify(repo, NULL, NULL, &err), &err);
        T_CHECK(stop.seen > 0);
        if (phases[i] == DEFUPD_REPO_READING)
            T_CHECK(stop.total == 0 && stop.most == sizes.tree_bytes);
        else if (phases[i] == DEFUPD_REPO_BUNDLING)
            T_CHECK(stop.total == sizes.tree_bytes && stop.most == stop.total);
        else
            T_CHECK(stop.total == sizes.tree_bytes + sizes.bundle_bytes && stop.most == stop.total);
    }
}

int main(void)
{
    T_RUN(a_flipped_byte_anywhere_is_found_and_named);
    T_RUN(each_missing_file_is_named);
    T_RUN(a_truncated_or_grown_object_is_found);
    T_RUN(expiry_is_found_role_by_role);
    T_RUN(an_object_of_another_tree_is_found);
    T_RUN(a_missing_delta_is_found);
    T_RUN(deltas_are_applied_and_each_that_leads_elsewhere_is_named);
    T_RUN(verify_needs_no_key_and_leaves_nothing_behind);
    T_RUN(roles_and_components_are_told_with_signatures_and_objects);
    T_RUN(what_expires_soon_is_warned_of_with_days);
    T_RUN(a_keys_folder_that_others_may_open_is_a_warning);
    T_RUN(a_cancelled_audit_leaves_nothing_behind);
    T_RUN(a_cancelled_release_is_not_published);
    T_RUN(progress_ends_at_its_total);
    return T_DONE();
}
