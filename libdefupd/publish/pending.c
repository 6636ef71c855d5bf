/* SPDX-License-Identifier: Apache-2.0 */
/* A change that waits for signatures, as one file: REPO.pending.json beside the repository, and the
 * same file on its way to those who sign (docs/formats/repository.md). It holds all that is needed
 * to judge it: the chain of roots, what is published of the roles that change, and what they are to
 * become. Replaced as a whole, so that a crash leaves the old or the new one. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "publish/publish_priv.h"

#define FORMAT_FIELD "defupd-pending"
#define FORMAT 1
#define ROOTS_MAX 1024

void du_pending_free(struct du_pending *pending)
{
    du_next_free(&pending->next);
    du_state_free(&pending->state);
    du_json_free(pending->roots);
    free(pending->what);
    *pending = (struct du_pending){ 0 };
}

/* --- files by path --- */

defupd_code du_pending_open_parent(const struct du_sys *sys, const char *path, int *dir,
                                   const char **name, defupd_error *err)
{
    const char *slash = strrchr(path, '/');
    DU_AUTO_FREE char *parent =
        slash == NULL ? du_strdup(".") : strndup(path, (size_t)(slash - path) + 1);

    if (parent == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a path");
    *name = slash == NULL ? path : slash + 1;
    *dir = sys->openat(AT_FDCWD, parent, O_RDONLY | O_DIRECTORY, 0);
    if (*dir < 0)
        return DU_FAIL_ERRNO(err, DEFUPD_E_CANNOT_CREATE, "open the folder of %s", path);
    return DEFUPD_OK;
}

defupd_code du_pending_read_file(const struct defupd_repo *repo, const char *path,
                                 struct du_buf *bytes, defupd_error *err)
{
    DU_AUTO_FD dir = -1;
    const char *name;

    DU_TRY(du_pending_open_parent(repo->sys, path, &dir, &name, err));
    if (du_file_read(repo->sys, dir, name, bytes, err) != DEFUPD_OK)
        return du_err_prefix(err, "%s", path);
    return DEFUPD_OK;
}

defupd_code du_pending_write_file(const struct defupd_repo *repo, const char *path,
                                  const struct du_buf *bytes, defupd_error *err)
{
    DU_AUTO_FD dir = -1;
    const char *name;

    DU_TRY(du_pending_open_parent(repo->sys, path, &dir, &name, err));
    if (du_file_replace(repo->sys, dir, name, bytes->data, bytes->len, 0644, err) != DEFUPD_OK)
        return du_err_prefix(err, "%s", path);
    return DEFUPD_OK;
}

/* --- writing --- */

/* Those of a set that a reader needs, by the names of their roles. */
static struct du_json *documents(const struct du_role_set *set, const struct du_next *of)
{
    DU_AUTO_JSON *all = du_json_new_object();
    size_t at = 0;

    for (const struct du_role_doc *doc; all != NULL && (doc = du_role_set_at(set, &at)) != NULL;) {
        const bool wanted =
            of == NULL || strcmp(doc->name, "targets") == 0 ||
            (doc->role == DU_ROLE_COMPONENT && du_role_set_find(&of->set, doc->name) != NULL);
        if (wanted && doc->json != NULL && !du_json_set(all, doc->name, du_json_copy(doc->json)))
            return NULL;
    }
    return du_take(&all);
}

defupd_code du_pending_write(const struct du_pending *pending, struct du_buf *out,
                             defupd_error *err)
{
    DU_AUTO_JSON *whole = du_json_new_object();

    if (whole == NULL || !du_json_set(whole, FORMAT_FIELD, du_json_new_int(FORMAT)) ||
        !du_json_set(whole, "what", du_json_new_string(pending->what)) ||
        !du_json_set(whole, "lost", du_json_new_bool(pending->next.lost)) ||
        !du_json_set(whole, "roots", du_json_copy(pending->roots)) ||
        !du_json_set(whole, "published", documents(&pending->state.set, &pending->next)) ||
        !du_json_set(whole, "next", documents(&pending->next.set, NULL)))
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a pending change");
    return du_json_pretty(whole, out, err);
}

/* The chain of roots as it stands in the repository. */
static defupd_code read_roots(const struct defupd_repo *repo, const struct du_dirs *dirs,
                              uint64_t last, struct du_json **out, defupd_error *err)
{
    DU_AUTO_JSON *roots = du_json_new_array();
    char file[DU_META_NAME];

    for (uint64_t n = 1; roots != NULL && n <= last; n++) {
        DU_AUTO_BUF bytes = DU_BUF(DU_ROOT_MAX);
        struct du_json *root = NULL;

        du_role_file(file, "root", n);
        DU_TRY(du_file_read(repo->sys, dirs->metadata, file, &bytes, err));
        DU_TRY(du_json_parse(&root, du_buf_bytes(&bytes), file, err));
        if (!du_json_append(roots, root))
            return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for the roots");
    }
    if (roots == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for the roots");
    *out = du_take(&roots);
    return DEFUPD_OK;
}

defupd_code du_pending_save(const struct defupd_repo *repo, struct du_work *work,
                            struct du_next *next, const char *what, defupd_error *err)
{
    DU_AUTO(du_pending_free) struct du_pending made = { .state = work->state, .next = *next };
    DU_AUTO_BUF bytes = DU_BUF(DU_PENDING_MAX);

    /* Moved for good: after this there is nothing to do with them here. */
    work->state = (struct du_state){ 0 };
    *next = (struct du_next){ 0 };
    made.what = du_strdup(what);
    if (made.what == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a pending change");
    DU_TRY(
        read_roots(repo, &work->dirs, made.state.set.doc[DU_ROLE_ROOT].version, &made.roots, err));
    DU_TRY(du_pending_write(&made, &bytes, err));
    return du_pending_write_file(repo, repo->pending_path, &bytes, err);
}

/* --- reading --- */

static defupd_code malformed(const char *what, defupd_error *err)
{
    return DU_FAIL(err, DEFUPD_E_METADATA_FORMAT,
                   "%s: not a pending change that this version "
                   "of the software knows",
                   what);
}

/* One envelope into a slot; `made`: with its part and signatures, to be signed further. */
static defupd_code take_document(struct du_role_set *set, const char *name,
                                 const struct du_json *envelope, bool made, const char *what,
                                 defupd_error *err)
{
    struct du_role_doc *doc;
    enum du_role role;

    if (!du_role_of(name, &role) || role == DU_ROLE_SNAPSHOT || role == DU_ROLE_TIMESTAMP ||
        !du_json_is_object(envelope) || du_json_array(envelope, "signatures") == NULL)
        return malformed(what, err);
    doc = du_role_set_slot(set, name);
    if (doc == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for role '%s'", name);
    doc->bytes = DU_BUF(du_role_max(role));
    DU_TRY(du_json_pretty(envelope, &doc->bytes, err));
    if (du_role_doc_parse(doc, name, name, err) != DEFUPD_OK)
        return du_err_prefix(err, "%s", what);
    if (!made)
        return DEFUPD_OK;
    doc->part = du_json_copy(du_json_object(envelope, "signed"));
    doc->signatures = du_json_copy(du_json_array(envelope, "signatures"));
    return doc->part != NULL && doc->signatures != NULL
               ? DEFUPD_OK
               : DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for role '%s'", name);
}

static defupd_code take_documents(struct du_role_set *set, const struct du_json *all, bool made,
                                  const char *what, defupd_error *err)
{
    if (!du_json_is_object(all))
        return malformed(what, err);
    for (void *i = du_json_first(all); i != NULL; i = du_json_next(all, i))
        DU_TRY(take_document(set, du_json_iter_key(i), du_json_iter_value(i), made, what, err));
    return DEFUPD_OK;
}

/* The chain verifies from its first to its last, by a client's rules. */
static defupd_code take_roots(struct du_pending *pending, const char *what, defupd_error *err)
{
    const size_t count = du_json_count(pending->roots);

    if (count < 1 || count > ROOTS_MAX)
        return malformed(what, err);
    for (size_t i = 0; i < count; i++) {
        DU_AUTO_BUF bytes = DU_BUF(DU_ROOT_MAX);

        DU_TRY(du_json_pretty(du_json_at(pending->roots, i), &bytes, err));
        if (i == 0)
            DU_TRY(du_trust_new(&pending->state.trust, du_buf_bytes(&bytes), "roots", err));
        else
            DU_TRY(du_trust_root(pending->state.trust, du_buf_bytes(&bytes), "roots", err));
    }
    return take_document(&pending->state.set, "root", du_json_at(pending->roots, count - 1), false,
                         what, err);
}

/* What is called published is signed as such; else the words about it would be the forger's. */
static defupd_code check_published(const struct du_state *state, defupd_error *err)
{
    size_t at = 0;

    for (const struct du_role_doc *doc; (doc = du_role_set_at(&state->set, &at)) != NULL;) {
        const struct du_authority by = du_authority_of(du_state_part(state, "root"),
                                                       du_state_part(state, "targets"), doc->name);
        struct du_role_doc view = *doc;
        DU_AUTO_JSON *signatures = du_json_copy(du_json_array(doc->json, "signatures"));
        int64_t have;

        view.signatures = signatures;
        DU_TRY(du_sign_count(&view, by, &have, err));
        if (have < du_authority_threshold(by))
            return DU_FAIL(err, DEFUPD_E_SIGNATURE, "published %s is not signed by its keys",
                           doc->name);
    }
    return DEFUPD_OK;
}

static defupd_code check_versions(const struct du_pending *pending, defupd_error *err)
{
    size_t at = 0;

    for (const struct du_role_doc *doc; (doc = du_role_set_at(&pending->next.set, &at)) != NULL;) {
        const struct du_role_doc *before = du_role_set_find(&pending->state.set, doc->name);
        const uint64_t last = before != NULL ? before->version : 0;

        if (doc->role == DU_ROLE_ROOT ? doc->version != last + 1 : doc->version <= last)
            return DU_FAIL(err, DEFUPD_E_ROLLBACK, "%s version %llu does not follow version %llu",
                           doc->name, (unsigned long long)doc->version, (unsigned long long)last);
        if (du_next_authority(&pending->state, &pending->next, doc->name).entry == NULL)
            return DU_FAIL(err, DEFUPD_E_SIGNATURE, "nobody may sign %s", doc->name);
    }
    return DEFUPD_OK;
}

static defupd_code read_whole(struct du_pending *pending, const struct du_json *whole,
                              const char *what, defupd_error *err)
{
    const char *text = du_json_string(whole, "what");
    int64_t format;

    if (!du_json_int(whole, FORMAT_FIELD, &format) || format != FORMAT || text == NULL ||
        !du_json_bool(whole, "lost", &pending->next.lost))
        return malformed(what, err);
    pending->what = du_strdup(text);
    pending->roots = du_json_copy(du_json_array(whole, "roots"));
    if (pending->what == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a pending change");
    DU_TRY(take_roots(pending, what, err));
    DU_TRY(
        take_documents(&pending->state.set, du_json_object(whole, "published"), false, what, err));
    DU_TRY(check_published(&pending->state, err));
    DU_TRY(take_documents(&pending->next.set, du_json_object(whole, "next"), true, what, err));
    if (du_json_count(du_json_object(whole, "next")) == 0)
        return malformed(what, err);
    return check_versions(pending, err);
}

defupd_code du_pending_read(struct du_pending *pending, struct du_bytes bytes, int64_t now,
                            const char *what, defupd_error *err)
{
    DU_AUTO_JSON *whole = NULL;

    DU_TRY(du_json_parse(&whole, bytes, what, err));
    pending->state.now = now;
    if (read_whole(pending, whole, what, err) != DEFUPD_OK)
        return strncmp(err->message, what, strlen(what)) == 0 ? err->code
                                                              : du_err_prefix(err, "%s", what);
    return DEFUPD_OK;
}

defupd_code du_pending_load(const struct defupd_repo *repo, struct du_pending *pending, bool *there,
                            defupd_error *err)
{
    DU_AUTO_BUF bytes = DU_BUF(DU_PENDING_MAX);

    *there = false;
    if (du_pending_read_file(repo, repo->pending_path, &bytes, err) != DEFUPD_OK)
        return du_is_missing(err) ? DEFUPD_OK : err->code;
    *there = true;
    return du_pending_read(pending, du_buf_bytes(&bytes), repo->sys->now_s(), repo->pending_path,
                           err);
}

defupd_code du_pending_remove(const struct defupd_repo *repo, bool *there, defupd_error *err)
{
    DU_AUTO_FD dir = -1;
    const char *name;

    DU_TRY(du_pending_open_parent(repo->sys, repo->pending_path, &dir, &name, err));
    *there = faccessat(dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
    if (du_file_remove(repo->sys, dir, name, err) != DEFUPD_OK)
        return du_err_prefix(err, "%s", repo->pending_path);
    return DEFUPD_OK;
}

defupd_code du_pending_check_none(const struct defupd_repo *repo, defupd_error *err)
{
    DU_AUTO_FD dir = -1;
    const char *name;

    DU_TRY(du_pending_open_parent(repo->sys, repo->pending_path, &dir, &name, err));
    if (faccessat(dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        return DU_FAIL(err, DEFUPD_E_PENDING,
                       "%s: a change is pending already; have it signed, or drop it",
                       repo->pending_path);
    return DEFUPD_OK;
}

/* Built upon what is published now? */
bool du_pending_fits(const struct du_pending *pending, const struct du_state *state)
{
    size_t at = 0;

    for (const struct du_role_doc *doc; (doc = du_role_set_at(&pending->next.set, &at)) != NULL;) {
        const struct du_role_doc *then = du_role_set_find(&pending->state.set, doc->name);
        const struct du_role_doc *now = du_role_set_find(&state->set, doc->name);
        if ((then != NULL ? then->version : 0) != (now != NULL ? now->version : 0))
            return false;
    }
    /* Its chain of roots is the repository's too. */
    return pending->state.set.doc[DU_ROLE_ROOT].version <= state->set.doc[DU_ROLE_ROOT].version;
}

void du_pending_warn(const struct defupd_repo *repo, const struct du_next *written)
{
    DU_AUTO(du_pending_free) struct du_pending pending = { 0 };
    defupd_error why;
    bool there;
    size_t at = 0;

    if (du_pending_load(repo, &pending, &there, &why) != DEFUPD_OK || !there)
        return;
    for (const struct du_role_doc *doc; (doc = du_role_set_at(&pending.next.set, &at)) != NULL;)
        if (du_role_set_find(&written->set, doc->name) != NULL) {
            du_repo_say(repo, "warning: the pending change (%s) is void: %s was published by this",
                        pending.what, doc->name);
            return;
        }
}
