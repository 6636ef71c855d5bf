/* SPDX-License-Identifier: Apache-2.0 */
/* Checking a whole repository as an auditor: everything that a client could ask for. */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/when.h"
#include "bundle/bundle.h"
#include "delta/delta.h"
#include "publish/publish_priv.h"
#include "tree/tree.h"

#define DAY_S (24 * 3600)
#define ROOT_WARN_S (60 * DAY_S)

struct audit {
    struct defupd_repo *repo;
    const defupd_repo_audit *to;
    struct du_dirs dirs;
    struct du_state state;
    struct du_names components;
    uint64_t findings;
    uint64_t deltas; /* of a component, that gave their tree */
    int temp;        /* where objects are unpacked */
    bool no_memory;
};

__attribute__((format(printf, 3, 0))) static void tell(const struct audit *audit,
                                                       defupd_repo_say_fn say, const char *format,
                                                       va_list args)
{
    char line[DEFUPD_ERROR_MESSAGE_MAX + 256];

    if (say == NULL)
        return;
    (void)vsnprintf(line, sizeof line, format, args);
    say(audit->to->user, line);
}

__attribute__((format(printf, 2, 3))) static void find(struct audit *audit, const char *format, ...)
{
    va_list args;

    audit->findings++;
    va_start(args, format);
    tell(audit, audit->to->on_finding, format, args);
    va_end(args);
}

__attribute__((format(printf, 2, 3))) static void warn(const struct audit *audit,
                                                       const char *format, ...)
{
    va_list args;

    va_start(args, format);
    tell(audit, audit->to->on_warning, format, args);
    va_end(args);
}

/* A failure of this machine ends the audit; anything else is a finding. */
static bool is_finding(const defupd_error *err)
{
    return err->code != DEFUPD_E_NOMEM && err->code != DEFUPD_E_NO_SPACE &&
           err->code != DEFUPD_E_CANCELLED &&
           (err->code != DEFUPD_E_IO || err->sys_errno == ENOENT || err->sys_errno == ELOOP ||
            err->sys_errno == EACCES || err->sys_errno == ENOTDIR || err->sys_errno == 0);
}

/* --- roles --- */

static struct du_authority authority(const struct audit *audit, const char *name)
{
    return du_authority_of(du_state_part(&audit->state, "root"),
                           du_state_part(&audit->state, "targets"), name);
}

/* How long before the end somebody should have acted. A new root is a ceremony: people need time
 * for it. The others `refresh` signs anew when half of their life is over. */
static int64_t warn_s(const struct audit *audit, const struct du_role_doc *doc)
{
    const int64_t quarter = du_authority_life_s(authority(audit, doc->name), doc->role) / 4;

    if (audit->repo->warn_days > 0)
        return (int64_t)audit->repo->warn_days * DAY_S;
    return doc->role == DU_ROLE_ROOT && quarter > ROOT_WARN_S ? ROOT_WARN_S : quarter;
}

static void check_expiry(struct audit *audit, const struct du_role_doc *doc)
{
    const int64_t left = doc->expires - audit->state.now;
    char expires[DU_TIME_TEXT], name[DU_META_NAME];

    du_role_file(name, doc->name, doc->version);
    du_time_format(expires, doc->expires);
    if (left <= 0)
        find(audit, "metadata/%s: expired at %s", name, expires);
    else if (left <= warn_s(audit, doc) && left >= 2 * DAY_S)
        warn(audit, "%s version %llu expires in %lld days, at %s", doc->name,
             (unsigned long long)doc->version, (long long)(left / DAY_S), expires);
    else if (left <= warn_s(audit, doc))
        warn(audit, "%s version %llu expires in %lld hours, at %s", doc->name,
             (unsigned long long)doc->version, (long long)(left / 3600), expires);
}

/* Those that are verified, which may be fewer than all. */
static defupd_code check_roles(struct audit *audit, const struct du_keyring *ring,
                               defupd_error *err)
{
    size_t at = 0;

    for (const struct du_role_doc *doc; (doc = du_role_set_at(&audit->state.set, &at)) != NULL;) {
        defupd_repo_role role;

        check_expiry(audit, doc);
        DU_TRY(du_role_facts(&role, doc, authority(audit, doc->name), ring, err));
        if (audit->to->on_role != NULL)
            audit->to->on_role(audit->to->user, &role);
    }
    return DEFUPD_OK;
}

/* Who has the keys folder looks at it too; an auditor who has none, or may not enter it, goes
 * without. What is wrong with the folder says nothing about the repository. */
static defupd_code look_at_keys(struct audit *audit, struct du_keyring *ring, defupd_error *err)
{
    const struct du_role_doc *root = &audit->state.set.doc[DU_ROLE_ROOT];
    DU_AUTO_ROLE_DOC pin = { 0 };

    if (du_keyring_load(audit->repo, ring, err) != DEFUPD_OK ||
        (root->json != NULL &&
         du_pin_compare(audit->repo, &audit->dirs, &audit->state, &pin, err) != DEFUPD_OK)) {
        if (err->code == DEFUPD_E_NOMEM)
            return err->code;
        if (err->code == DEFUPD_E_PIN)
            find(audit, "%s", err->message);
        else if (err->sys_errno != EACCES)
            warn(audit, "%s", err->message);
    }
    return DEFUPD_OK;
}

/* --- objects --- */

/* Unpacked below `into`, which is empty: its tree. */
static defupd_code check_full(const struct audit *audit, const struct du_release *release,
                              const char *what, struct du_task *task, int into,
                              struct du_index *index, defupd_error *err)
{
    DU_AUTO_FD fd = -1;
    struct du_tree_want want = { .what = what, .size = release->size, .files = release->files };
    struct du_verified_file file;
    char hex[DU_SHA256_HEX + 1];
    uint64_t reused;

    memcpy(want.tree, release->tree, sizeof want.tree);
    DU_TRY(
        du_object_check(audit->repo, &audit->dirs, &release->full, &task->tick, &fd, &file, err));
    if (du_bundle_unpack(audit->repo->sys, &file, &want, NULL, into, &task->tick, index, &reused,
                         err) == DEFUPD_OK)
        return DEFUPD_OK;
    du_hex(hex, release->full.sha256, sizeof release->full.sha256);
    return du_err_prefix(err, "objects/%.2s/%s", hex, hex);
}

/* `rc` and `err` of one check: a finding is told, and the audit goes on. */
static defupd_code settle(struct audit *audit, const char *what, defupd_code rc,
                          const defupd_error *err)
{
    if (rc == DEFUPD_OK || !is_finding(err))
        return rc;
    find(audit, "%s: %s", what, err->message);
    return DEFUPD_OK;
}

static bool can_be_judged(struct audit *audit, const struct du_release *release, const char *what)
{
    if (release->requires != NULL)
        find(audit, "%s: cannot be judged, it needs a newer version of this software", what);
    else if (release->full.codec[0] == '\0')
        find(audit, "%s: has no full bundle", what);
    else if (strcmp(release->full.codec, DU_BUNDLE_CODEC) != 0)
        find(audit, "%s: codec '%s' is not known here", what, release->full.codec);
    else
        return true;
    return false;
}

/* --- deltas --- */

/* Just unpacked by this process, and compared with the signed digest. */
static bool trust_all(void *user, const struct du_file *file)
{
    (void)user;
    (void)file;
    return true;
}

/* Applied to the tree it starts from, as a client does: the tree of its release. */
static defupd_code apply_delta(const struct audit *audit, const struct du_release *to,
                               const struct du_object *delta, const char *what,
                               const struct du_tree_base *base, struct du_task *task,
                               defupd_error *err)
{
    const struct du_sys *sys = audit->repo->sys;
    struct du_tree_want want = { .what = what, .size = to->size, .files = to->files };
    DU_AUTO_INDEX index = { 0 };
    DU_AUTO_FD fd = -1, into = -1;
    struct du_verified_file file;
    uint64_t reused;

    memcpy(want.tree, to->tree, sizeof want.tree);
    DU_TRY(du_object_check(audit->repo, &audit->dirs, delta, &task->tick, &fd, &file, err));
    if (base == NULL)
        return DEFUPD_OK;
    DU_TRY(du_tree_remove(sys, audit->temp, "new", NULL, err));
    DU_TRY(du_dir_open(sys, audit->temp, "new", true, 0700, &into, err));
    return du_delta_merge(sys, &file, &want, base, into, &task->tick, &index, &reused, err);
}

/* `base` NULL: its source could not be unpacked, which was told. */
static defupd_code check_delta(struct audit *audit, const struct du_manifest *manifest,
                               const struct du_release *to, const struct du_object *delta,
                               const struct du_tree_base *base, struct du_task *task,
                               defupd_error *err)
{
    char what[DU_NAME_MAX + 2 * DU_VERSION_TEXT + 32];
    defupd_code rc;

    (void)snprintf(what, sizeof what, "%s %llu: delta from %llu", manifest->component,
                   (unsigned long long)to->version, (unsigned long long)delta->from);
    if (strcmp(delta->codec, DU_DELTA_CODEC) != 0) {
        find(audit, "%s: codec '%s' is not known here", what, delta->codec);
        return DEFUPD_OK;
    }
    rc = apply_delta(audit, to, delta, what, base, task, err);
    audit->deltas += rc == DEFUPD_OK && base != NULL;
    return settle(audit, what, rc, err);
}

/* The place in the list where the tree is unpacked that a delta starts from; the list's end when
 * there is none. */
static size_t home_of(const struct du_manifest *manifest, const struct du_object *delta)
{
    const struct du_release *source = du_manifest_find(manifest, delta->from);
    size_t i = 0;

    if (source == NULL || source->requires != NULL)
        return manifest->count;
    while (manifest->release[i].requires != NULL ||
           memcmp(manifest->release[i].tree, source->tree, DU_SHA256_BYTES) != 0)
        i++;
    return i;
}

/* All deltas that start from the tree of this release. */
static defupd_code check_deltas(struct audit *audit, const struct du_manifest *manifest, size_t at,
                                const struct du_tree_base *base, struct du_task *task,
                                defupd_error *err)
{
    for (size_t i = 0; i < manifest->count; i++) {
        const struct du_release *to = &manifest->release[i];
        for (size_t k = 0; to->requires == NULL && k < to->deltas; k++)
            if (home_of(manifest, &to->delta[k]) == at)
                DU_TRY(check_delta(audit, manifest, to, &to->delta[k], base, task, err));
    }
    return du_tree_remove(audit->repo->sys, audit->temp, "new", NULL, err);
}

static defupd_code check_homeless(struct audit *audit, const struct du_manifest *manifest,
                                  defupd_error *err)
{
    struct du_task task;

    for (size_t i = 0; i < manifest->count; i++) {
        const struct du_release *to = &manifest->release[i];
        du_task_start(&task, audit->repo, DEFUPD_REPO_CHECKING, manifest->component, to->version,
                      0);
        for (size_t k = 0; to->requires == NULL && k < to->deltas; k++) {
            if (home_of(manifest, &to->delta[k]) != manifest->count)
                continue;
            find(audit, "%s %llu: delta from %llu: cannot be proven, its source is not listed",
                 manifest->component, (unsigned long long)to->version,
                 (unsigned long long)to->delta[k].from);
            DU_TRY(check_delta(audit, manifest, to, &to->delta[k], NULL, &task, err));
        }
    }
    return DEFUPD_OK;
}

/* --- releases --- */

static uint64_t bytes_at(const struct du_manifest *manifest, size_t at)
{
    uint64_t bytes = manifest->release[at].full.bytes + manifest->release[at].size;

    for (size_t i = 0; i < manifest->count; i++) {
        const struct du_release *to = &manifest->release[i];
        for (size_t k = 0; k < to->deltas; k++)
            if (home_of(manifest, &to->delta[k]) == at)
                bytes += to->delta[k].bytes + to->size;
    }
    return bytes;
}

/* A release's bundle, and all that starts from its tree. */
static defupd_code check_release(struct audit *audit, const struct du_manifest *manifest, size_t at,
                                 defupd_error *err)
{
    const struct du_release *release = &manifest->release[at];
    const struct du_sys *sys = audit->repo->sys;
    char what[DU_NAME_MAX + DU_VERSION_TEXT + 2];
    struct du_task task;
    DU_AUTO_INDEX index = { 0 };
    struct du_tree_base base = { .index = &index, .trust = trust_all };
    DU_AUTO_FD into = -1;
    bool right = false;

    (void)snprintf(what, sizeof what, "%s %llu", manifest->component,
                   (unsigned long long)release->version);
    du_task_start(&task, audit->repo, DEFUPD_REPO_CHECKING, manifest->component, release->version,
                  bytes_at(manifest, at));
    DU_TRY(du_dir_open(sys, audit->temp, "tree", true, 0700, &into, err));
    if (can_be_judged(audit, release, what)) {
        const defupd_code rc = check_full(audit, release, what, &task, into, &index, err);
        right = rc == DEFUPD_OK;
        DU_TRY(settle(audit, what, rc, err));
    }
    base.root = into;
    DU_TRY(check_deltas(audit, manifest, at, right ? &base : NULL, &task, err));
    return du_tree_remove(sys, audit->temp, "tree", NULL, err);
}

/* --- components --- */

static bool same_object(const struct du_object *a, const struct du_object *b)
{
    return a->bytes == b->bytes && strcmp(a->codec, b->codec) == 0 &&
           memcmp(a->sha256, b->sha256, DU_SHA256_BYTES) == 0;
}

/* True when an earlier (newer) release of the list has the same object and tree. */
static bool seen_before(const struct du_manifest *manifest, size_t at)
{
    const struct du_release *release = &manifest->release[at];

    for (size_t i = 0; i < at; i++) {
        const struct du_release *other = &manifest->release[i];
        if (same_object(&other->full, &release->full) && other->size == release->size &&
            other->files == release->files &&
            memcmp(other->tree, release->tree, DU_SHA256_BYTES) == 0 && other->requires == NULL &&
            release->requires == NULL)
            return true;
    }
    return false;
}

static void count_object(const struct du_manifest *manifest, size_t at,
                         const struct du_object *object, defupd_repo_component *facts)
{
    if (object->codec[0] == '\0')
        return;
    for (size_t i = 0; i < at; i++) {
        const struct du_release *other = &manifest->release[i];
        if (same_object(&other->full, object))
            return;
        for (size_t k = 0; k < other->deltas; k++)
            if (same_object(&other->delta[k], object))
                return;
    }
    facts->objects++;
    facts->object_bytes += object->bytes;
}

static void tell_component(const struct audit *audit, const char *component,
                           const struct du_manifest *manifest)
{
    const bool own = du_role_set_find(&audit->state.set, component) != NULL;
    defupd_repo_component facts = { .struct_size = sizeof facts,
                                    .component = component,
                                    .role = own ? component : "targets",
                                    .deltas = audit->deltas };

    if (audit->to->on_component == NULL)
        return;
    if (manifest != NULL && manifest->count > 0) {
        facts.releases = (uint32_t)manifest->count;
        facts.newest = manifest->release[0].version;
    }
    for (size_t i = 0; i < facts.releases; i++) {
        const struct du_release *release = &manifest->release[i];
        count_object(manifest, i, &release->full, &facts);
        for (size_t k = 0; k < release->deltas; k++)
            count_object(manifest, i, &release->delta[k], &facts);
    }
    audit->to->on_component(audit->to->user, &facts);
}

static defupd_code check_component(struct audit *audit, const char *component, defupd_error *err)
{
    DU_AUTO_MANIFEST *manifest = NULL;

    audit->deltas = 0;
    if (du_state_manifest(audit->repo, &audit->dirs, &audit->state, component, &manifest, err) !=
        DEFUPD_OK) {
        if (err->code != DEFUPD_E_REPO)
            return err->code;
        find(audit, "%s: %s", component, err->message);
        return DEFUPD_OK;
    }
    if (manifest == NULL && du_role_set_find(&audit->state.set, component) == NULL) {
        find(audit, "%s: nobody signs its manifest", component);
        return DEFUPD_OK;
    }
    if (manifest != NULL && du_manifest_clock_floor(manifest) > audit->state.now)
        find(audit, "%s: a release was published in the future", component);
    for (size_t i = 0; manifest != NULL && i < manifest->count; i++)
        if (!seen_before(manifest, i))
            DU_TRY(check_release(audit, manifest, i, err));
    if (manifest != NULL)
        DU_TRY(check_homeless(audit, manifest, err));
    tell_component(audit, component, manifest);
    return DEFUPD_OK;
}

static void remember(void *user, const char *name)
{
    struct audit *audit = user;
    char *copy = du_strdup(name);
    char **more = realloc(audit->components.item,
                          (audit->components.count + 1) * sizeof *audit->components.item);

    if (more != NULL)
        audit->components.item = more;
    if (more == NULL || copy == NULL) {
        free(copy);
        audit->no_memory = true;
        return;
    }
    audit->components.item[audit->components.count++] = copy;
}

static defupd_code check_components(struct audit *audit, defupd_error *err)
{
    DU_TRY(du_trust_components(audit->state.trust, remember, audit, err));
    if (audit->no_memory)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for the components");
    for (size_t i = 0; i < audit->components.count; i++)
        DU_TRY(check_component(audit, audit->components.item[i], err));
    return DEFUPD_OK;
}

static defupd_code audit_all(struct audit *audit, defupd_error *err)
{
    DU_AUTO_KEYRING ring = { 0 };
    bool whole = true;

    if (du_dirs_open(audit->repo, &audit->dirs, false, err) != DEFUPD_OK ||
        du_state_load(audit->repo, &audit->dirs, &audit->state, err) != DEFUPD_OK) {
        if (err->code != DEFUPD_E_REPO && !du_is_missing(err))
            return err->code;
        find(audit, "%s", err->message);
        whole = false;
    }
    DU_TRY(look_at_keys(audit, &ring, err));
    DU_TRY(check_roles(audit, &ring, err));
    /* Without the chain of roles nothing below it means anything. */
    return whole ? check_components(audit, err) : DEFUPD_OK;
}

/* --- where it unpacks --- */

#define TEMP_NAME "defupd-verify-" /* and 16 hex digits */
#define TEMP_DIGITS 16
#define TEMP_TRIES 16

static bool is_temp_name(const char *name)
{
    const size_t len = strlen(TEMP_NAME);

    return strncmp(name, TEMP_NAME, len) == 0 &&
           strspn(name + len, "0123456789abcdef") == TEMP_DIGITS && name[len + TEMP_DIGITS] == '\0';
}

/* Open a folder and take its lock, which dies with who holds it; false when another has it, when it
 * is not ours, or has gone meanwhile. */
static bool take_temp(const struct du_sys *sys, int top, const char *name, int *fd)
{
    DU_AUTO_FD dir = sys->openat(top, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    struct stat st, named;

    if (dir < 0 || fstat(dir, &st) != 0 || st.st_uid != geteuid() || (st.st_mode & 07777) != 0700 ||
        sys->flock(dir, LOCK_EX | LOCK_NB) != 0 ||
        fstatat(top, name, &named, AT_SYMLINK_NOFOLLOW) != 0 || named.st_dev != st.st_dev ||
        named.st_ino != st.st_ino)
        return false;
    *fd = du_take_fd(&dir);
    return true;
}

/* What killed runs of the same user have left: nobody holds its lock. Best effort. */
static void sweep_temp(const struct du_sys *sys, int top)
{
    DU_AUTO_NAMES names = { 0 };
    defupd_error ignored;

    if (du_dir_names(sys, top, &names, &ignored) != DEFUPD_OK)
        return;
    for (size_t i = 0; i < names.count; i++) {
        DU_AUTO_FD fd = -1;

        if (is_temp_name(names.item[i]) && take_temp(sys, top, names.item[i], &fd) &&
            du_tree_remove(sys, top, names.item[i], NULL, &ignored) != DEFUPD_OK)
            continue;
    }
}

/* Another run's sweep may be quicker than the lock: then another one is made. */
static defupd_code make_temp(const struct defupd_repo *repo, int top,
                             char name[sizeof TEMP_NAME + TEMP_DIGITS], int *fd, defupd_error *err)
{
    const struct du_sys *sys = repo->sys;
    unsigned char random[TEMP_DIGITS / 2];

    memcpy(name, TEMP_NAME, sizeof TEMP_NAME);
    for (int i = 0; i < TEMP_TRIES; i++) {
        if (sys->random(random, sizeof random) != 0)
            return DU_FAIL_IO(err, "draw a name below %s", repo->temp_path);
        du_hex(name + strlen(TEMP_NAME), random, sizeof random);
        if (sys->mkdirat(top, name, 0700) != 0)
            break;
        if (take_temp(sys, top, name, fd))
            return DEFUPD_OK;
    }
    return DU_FAIL_ERRNO(err, DEFUPD_E_CANNOT_CREATE, "create %s/%s", repo->temp_path, name);
}

/* Unpacking needs an empty folder; it is thrown away again, whatever the outcome. */
static defupd_code audit_in_temp(struct audit *audit, defupd_error *err)
{
    const struct du_sys *sys = audit->repo->sys;
    char name[sizeof TEMP_NAME + TEMP_DIGITS];
    DU_AUTO_FD top = sys->openat(AT_FDCWD, audit->repo->temp_path, O_RDONLY | O_DIRECTORY, 0);
    DU_AUTO_FD temp = -1;
    defupd_error ignored;
    defupd_code rc;

    if (top < 0)
        return DU_FAIL_IO(err, "open temporary folder %s", audit->repo->temp_path);
    sweep_temp(sys, top);
    DU_TRY(make_temp(audit->repo, top, name, &temp, err));
    audit->temp = temp;
    rc = audit_all(audit, err);
    if (du_tree_remove(sys, top, name, NULL, rc == DEFUPD_OK ? err : &ignored) != DEFUPD_OK &&
        rc == DEFUPD_OK)
        rc = err->code;
    return rc;
}

defupd_code defupd_repo_verify_with(defupd_repo *repo, const defupd_repo_audit *to,
                                    defupd_error *error)
{
    defupd_error scratch, *err = error != NULL ? error : &scratch;
    struct audit audit = { .repo = repo, .to = to, .dirs = DU_DIRS };
    defupd_code rc;

    if (repo == NULL)
        return DU_FAIL(err, DEFUPD_E_INVALID, "no repository");
    if (to == NULL || to->struct_size != sizeof *to)
        return DU_FAIL(err, DEFUPD_E_INVALID, "audit is from another version of the header");
    rc = audit_in_temp(&audit, err);
    du_names_free(&audit.components);
    du_state_free(&audit.state);
    du_dirs_close(&audit.dirs);
    DU_TRY(rc);
    if (audit.findings > 0)
        return DU_FAIL(err, DEFUPD_E_REPO, "repository %s: %llu defect%s", repo->dir_path,
                       (unsigned long long)audit.findings, audit.findings == 1 ? "" : "s");
    return DEFUPD_OK;
}

defupd_code defupd_repo_verify(defupd_repo *repo, defupd_repo_say_fn on_finding, void *user,
                               defupd_error *error)
{
    defupd_repo_audit audit = DEFUPD_REPO_AUDIT_INIT;

    audit.on_finding = on_finding;
    audit.user = user;
    return defupd_repo_verify_with(repo, &audit, error);
}
