/* SPDX-License-Identifier: Apache-2.0 */
/* Checking a whole repository as an auditor: everything that a client could ask for. */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/when.h"
#include "bundle/bundle.h"
#include "publish/publish_priv.h"
#include "tree/tree.h"

struct audit {
    struct defupd_repo *repo;
    struct du_dirs dirs;
    struct du_state state;
    struct du_names components;
    defupd_repo_say_fn on_finding;
    void *user;
    uint64_t findings;
    int temp; /* where objects are unpacked */
    bool no_memory;
};

__attribute__((format(printf, 2, 3))) static void find(struct audit *audit, const char *format, ...)
{
    char line[DEFUPD_ERROR_MESSAGE_MAX + 256];
    va_list args;

    audit->findings++;
    if (audit->on_finding == NULL)
        return;
    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    audit->on_finding(audit->user, line);
}

/* A failure of this machine ends the audit; anything else is a finding. */
static bool is_finding(const defupd_error *err)
{
    return err->code != DEFUPD_E_NOMEM && err->code != DEFUPD_E_NO_SPACE &&
           (err->code != DEFUPD_E_IO || err->sys_errno == ENOENT || err->sys_errno == ELOOP ||
            err->sys_errno == EACCES || err->sys_errno == ENOTDIR || err->sys_errno == 0);
}

static void check_expiry(struct audit *audit)
{
    char expires[DU_TIME_TEXT], name[DU_META_NAME];
    size_t at = 0;

    for (const struct du_role_doc *doc; (doc = du_role_set_at(&audit->state.set, &at)) != NULL;) {
        du_role_file(name, doc->name, doc->version);
        du_time_format(expires, doc->expires);
        if (doc->expires <= audit->state.now)
            find(audit, "metadata/%s: expired at %s", name, expires);
        else if (doc->expires <= audit->state.now + (int64_t)audit->repo->warn_days * 24 * 3600)
            du_repo_say(audit->repo, "warning: %s version %llu expires at %s", doc->name,
                        (unsigned long long)doc->version, expires);
        else
            du_repo_say(audit->repo, "%s version %llu, valid until %s", doc->name,
                        (unsigned long long)doc->version, expires);
    }
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

/* Length, digest, and unpacked: its tree. `into` is empty. */
static defupd_code check_full(struct audit *audit, const struct du_release *release,
                              const char *what, int into, defupd_error *err)
{
    const struct du_sys *sys = audit->repo->sys;
    const struct du_object *object = &release->full;
    DU_AUTO_INDEX index = { 0 };
    DU_AUTO_FD fd = -1;
    struct du_bundle_want want = { .what = what, .size = release->size, .files = release->files };
    struct du_verified_file file;
    char hex[DU_SHA256_HEX + 1], name[DU_SHA256_HEX + 16];
    uint64_t reused;

    memcpy(want.tree, release->tree, sizeof want.tree);
    du_hex(hex, object->sha256, sizeof object->sha256);
    (void)snprintf(name, sizeof name, "objects/%.2s/%s", hex, hex);
    DU_TRY(du_object_open(audit->repo, &audit->dirs, object, &fd, err));
    DU_TRY(du_object_verify(sys, fd, object->bytes, object->sha256, name, NULL, &file, err));
    if (du_bundle_unpack(sys, &file, &want, NULL, into, NULL, &index, &reused, err) != DEFUPD_OK)
        return du_err_prefix(err, "%s", name);
    return DEFUPD_OK;
}

static defupd_code check_release(struct audit *audit, const char *component,
                                 const struct du_release *release, defupd_error *err)
{
    const struct du_sys *sys = audit->repo->sys;
    char what[DU_NAME_MAX + DU_VERSION_TEXT + 2];
    DU_AUTO_FD into = -1;
    defupd_code rc;

    (void)snprintf(what, sizeof what, "%s %llu", component, (unsigned long long)release->version);
    if (release->requires != NULL) {
        find(audit, "%s: cannot be judged, it needs a newer version of this software", what);
        return DEFUPD_OK;
    }
    if (release->full.codec[0] == '\0') {
        find(audit, "%s: has no full bundle", what);
        return DEFUPD_OK;
    }
    if (strcmp(release->full.codec, DU_BUNDLE_CODEC) != 0) {
        find(audit, "%s: codec '%s' is not known here", what, release->full.codec);
        return DEFUPD_OK;
    }
    DU_TRY(du_dir_open(sys, audit->temp, "tree", true, 0700, &into, err));
    rc = check_full(audit, release, what, into, err);
    if (rc != DEFUPD_OK && is_finding(err)) {
        find(audit, "%s: %s", what, err->message);
        rc = DEFUPD_OK;
    }
    DU_TRY(rc);
    return du_tree_remove(sys, audit->temp, "tree", NULL, err);
}

/* True when an earlier (newer) release of the list has the same object and tree. */
static bool seen_before(const struct du_manifest *manifest, size_t at)
{
    const struct du_release *release = &manifest->release[at];

    for (size_t i = 0; i < at; i++) {
        const struct du_release *other = &manifest->release[i];
        if (other->full.bytes == release->full.bytes && other->size == release->size &&
            other->files == release->files && strcmp(other->full.codec, release->full.codec) == 0 &&
            memcmp(other->full.sha256, release->full.sha256, DU_SHA256_BYTES) == 0 &&
            memcmp(other->tree, release->tree, DU_SHA256_BYTES) == 0 && other->requires == NULL &&
            release->requires == NULL)
            return true;
    }
    return false;
}

static defupd_code check_component(struct audit *audit, const char *component, defupd_error *err)
{
    DU_AUTO_MANIFEST *manifest = NULL;

    if (du_state_manifest(audit->repo, &audit->dirs, &audit->state, component, &manifest, err) !=
        DEFUPD_OK) {
        if (err->code != DEFUPD_E_REPO)
            return err->code;
        find(audit, "%s: %s", component, err->message);
        return DEFUPD_OK;
    }
    if (manifest == NULL && du_role_set_find(&audit->state.set, component) != NULL) {
        du_repo_say(audit->repo, "%s: no release yet", component);
        return DEFUPD_OK;
    }
    if (manifest == NULL) {
        find(audit, "%s: nobody signs its manifest", component);
        return DEFUPD_OK;
    }
    if (du_manifest_clock_floor(manifest) > audit->state.now)
        find(audit, "%s: a release was published in the future", component);
    for (size_t i = 0; i < manifest->count; i++)
        if (!seen_before(manifest, i))
            DU_TRY(check_release(audit, component, &manifest->release[i], err));
    du_repo_say(audit->repo, "%s: %zu release%s", component, manifest->count,
                manifest->count == 1 ? "" : "s");
    return DEFUPD_OK;
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
    if (du_dirs_open(audit->repo, &audit->dirs, false, err) != DEFUPD_OK ||
        du_state_load(audit->repo, &audit->dirs, &audit->state, err) != DEFUPD_OK) {
        /* Without the chain of roles nothing below it means anything. */
        if (err->code != DEFUPD_E_REPO && !du_is_missing(err))
            return err->code;
        find(audit, "%s", err->message);
        return DEFUPD_OK;
    }
    check_expiry(audit);
    return check_components(audit, err);
}

/* Unpacking needs an empty folder; it is thrown away again, whatever the outcome. */
static defupd_code audit_in_temp(struct audit *audit, defupd_error *err)
{
    const struct du_sys *sys = audit->repo->sys;
    unsigned char random[8];
    char name[32 + 2 * sizeof random];
    DU_AUTO_FD top = sys->openat(AT_FDCWD, audit->repo->temp_path, O_RDONLY | O_DIRECTORY, 0);
    DU_AUTO_FD temp = -1;
    defupd_error ignored;
    defupd_code rc;

    if (top < 0)
        return DU_FAIL_IO(err, "open temporary folder %s", audit->repo->temp_path);
    if (sys->random(random, sizeof random) != 0)
        return DU_FAIL_IO(err, "draw a name below %s", audit->repo->temp_path);
    memcpy(name, "defupd-verify-", 14);
    du_hex(name + 14, random, sizeof random);
    if (sys->mkdirat(top, name, 0700) != 0)
        return DU_FAIL_ERRNO(err, DEFUPD_E_CANNOT_CREATE, "create %s/%s", audit->repo->temp_path,
                             name);
    rc = du_dir_open(sys, top, name, false, 0, &temp, err);
    audit->temp = temp;
    if (rc == DEFUPD_OK)
        rc = audit_all(audit, err);
    if (du_tree_remove(sys, top, name, NULL, rc == DEFUPD_OK ? err : &ignored) != DEFUPD_OK &&
        rc == DEFUPD_OK)
        rc = err->code;
    return rc;
}

defupd_code defupd_repo_verify(defupd_repo *repo, defupd_repo_say_fn on_finding, void *user,
                               defupd_error *error)
{
    defupd_error scratch, *err = error != NULL ? error : &scratch;
    struct audit audit = { .repo = repo, .dirs = DU_DIRS, .on_finding = on_finding, .user = user };
    defupd_code rc;

    if (repo == NULL)
        return DU_FAIL(err, DEFUPD_E_INVALID, "no repository");
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
