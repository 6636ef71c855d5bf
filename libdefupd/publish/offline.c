/* SPDX-License-Identifier: Apache-2.0 */
/* Signing elsewhere: a pending change is exported, signed where the keys are, and imported; it goes
 * live when all thresholds are met. Snapshot and timestamp are signed here, at the end: they state
 * the digests of what has come together by then. */
#include <stdio.h>
#include <string.h>

#include "publish/publish_priv.h"

/* --- what is there, and what is missing --- */

static void tell_missing(const struct du_pending *pending, const struct du_role_doc *doc,
                         defupd_repo_say_fn on_line, void *user)
{
    struct du_authority by[2];
    const size_t count = du_next_authorities(&pending->state, &pending->next, doc->name, by);

    for (size_t i = 0; i < count; i++) {
        char line[160];
        defupd_error why;
        int64_t have = 0;

        if (du_sign_count(doc, by[i], &have, &why) != DEFUPD_OK)
            have = 0;
        (void)snprintf(line, sizeof line, "  signatures by the %s keys: %lld, needed %lld",
                       i == 1 ? "present" : "role's", (long long)have,
                       (long long)du_authority_threshold(by[i]));
        on_line(user, line);
    }
}

static void tell_pending(const struct du_pending *pending, defupd_repo_say_fn on_line, void *user)
{
    char line[512];
    size_t at = 0;

    (void)snprintf(line, sizeof line, "pending: %s", pending->what);
    for (char *c = line; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    on_line(user, line);
    for (const struct du_role_doc *doc; (doc = du_role_set_at(&pending->next.set, &at)) != NULL;) {
        du_describe(doc, du_role_set_find(&pending->state.set, doc->name), pending->state.now,
                    on_line, user);
        tell_missing(pending, doc, on_line, user);
    }
}

defupd_code defupd_repo_pending_list(defupd_repo *repo, defupd_repo_say_fn on_line, void *user,
                                     defupd_error *error)
{
    defupd_error scratch, *err = error != NULL ? error : &scratch;
    DU_AUTO(du_pending_free) struct du_pending pending = { 0 };
    bool there;

    if (repo == NULL || on_line == NULL || repo->pending_path == NULL)
        return DU_FAIL(err, DEFUPD_E_INVALID, "no repository or no receiver of lines");
    DU_TRY(du_pending_load(repo, &pending, &there, err));
    if (there)
        tell_pending(&pending, on_line, user);
    return DEFUPD_OK;
}

defupd_code defupd_repo_pending_drop(defupd_repo *repo, defupd_error *error)
{
    defupd_error scratch, *err = error != NULL ? error : &scratch;
    DU_AUTO_DIRS dirs = DU_DIRS;
    bool there;

    if (repo == NULL || repo->pending_path == NULL)
        return DU_FAIL(err, DEFUPD_E_INVALID, "no repository");
    DU_TRY(du_dirs_open(repo, &dirs, true, err));
    DU_TRY(du_pending_remove(repo, &there, err));
    if (!there)
        return DU_FAIL(err, DEFUPD_E_PENDING, "no change is pending at %s", repo->pending_path);
    return DEFUPD_OK;
}

defupd_code defupd_repo_pending_export(defupd_repo *repo, const char *file, defupd_error *error)
{
    defupd_error scratch, *err = error != NULL ? error : &scratch;
    DU_AUTO(du_pending_free) struct du_pending pending = { 0 };
    DU_AUTO_BUF bytes = DU_BUF(DU_PENDING_MAX);
    bool there;

    if (repo == NULL || file == NULL || repo->pending_path == NULL)
        return DU_FAIL(err, DEFUPD_E_INVALID, "no repository or no file");
    DU_TRY(du_pending_load(repo, &pending, &there, err));
    if (!there)
        return DU_FAIL(err, DEFUPD_E_PENDING, "no change is pending at %s", repo->pending_path);
    DU_TRY(du_pending_write(&pending, &bytes, err));
    return du_pending_write_file(repo, file, &bytes, err);
}

/* --- signing --- */

/* The roots in the file go on from the one that is pinned beside the keys. Contents are compared:
 * in the file the roots are written anew. */
static defupd_code check_pin(const struct defupd_repo *repo, const struct du_pending *pending,
                             bool *pinned, defupd_error *err)
{
    DU_AUTO_BUF left = DU_BUF(DU_ROOT_MAX), right = DU_BUF(DU_ROOT_MAX);
    DU_AUTO_ROLE_DOC pin = { 0 };
    const struct du_json *there;

    DU_TRY(du_pin_load(repo, &pin, err));
    *pinned = pin.json != NULL;
    if (!*pinned)
        return DEFUPD_OK;
    there = du_json_object(du_json_at(pending->roots, (size_t)pin.version - 1), "signed");
    if (there == NULL)
        return DU_FAIL(err, DEFUPD_E_PIN,
                       "its newest root is version %llu, but %s/root.json is version %llu",
                       (unsigned long long)pending->state.set.doc[DU_ROLE_ROOT].version,
                       repo->keys_path, (unsigned long long)pin.version);
    DU_TRY(du_json_canonical(there, &left, err));
    DU_TRY(du_json_canonical(du_role_doc_part(&pin), &right, err));
    if (left.len != right.len || memcmp(left.data, right.data, left.len) != 0)
        return DU_FAIL(err, DEFUPD_E_PIN,
                       "its root version %llu is not the one pinned in "
                       "%s/root.json",
                       (unsigned long long)pin.version, repo->keys_path);
    return DEFUPD_OK;
}

/* Which keys here may sign it, and have not? Nothing is unlocked for that. */
static size_t could_sign(const struct du_pending *pending, const struct du_keyring *ring,
                         defupd_repo_say_fn on_line, void *user)
{
    size_t count = 0, at = 0;

    for (const struct du_role_doc *doc; (doc = du_role_set_at(&pending->next.set, &at)) != NULL;) {
        struct du_authority by[2];
        const size_t authorities =
            du_next_authorities(&pending->state, &pending->next, doc->name, by);
        for (size_t i = 0; i < ring->count; i++) {
            const struct du_ring_key *key = &ring->key[i];
            char line[DU_PART_MAX + 128];
            const bool named = du_authority_names(by[0], key->id) ||
                               (authorities == 2 && du_authority_names(by[1], key->id));
            if (!named || !key->has_private || du_sign_has(doc, key->id))
                continue;
            (void)snprintf(line, sizeof line, "%s is to be signed with %s", doc->name, key->file);
            on_line(user, line);
            count++;
        }
    }
    return count;
}

static defupd_code sign_all(const struct defupd_repo *repo, struct du_pending *pending,
                            struct du_keyring *ring, defupd_error *err)
{
    size_t at = 0;

    for (struct du_role_doc *doc; (doc = du_role_set_at(&pending->next.set, &at)) != NULL;) {
        struct du_authority by[2];
        const size_t count = du_next_authorities(&pending->state, &pending->next, doc->name, by);
        for (size_t i = 0; i < count; i++)
            DU_TRY(du_sign_doc(repo, doc, by[i], ring, NULL, err));
        DU_TRY(du_sign_seal(doc, err));
    }
    return DEFUPD_OK;
}

static defupd_code sign_file(struct defupd_repo *repo, const char *file, defupd_repo_say_fn on_line,
                             defupd_repo_confirm_fn confirm, void *user, defupd_error *err)
{
    DU_AUTO(du_pending_free) struct du_pending pending = { 0 };
    DU_AUTO_BUF bytes = DU_BUF(DU_PENDING_MAX), out = DU_BUF(DU_PENDING_MAX);
    const struct du_role_doc *root = &pending.state.set.doc[DU_ROLE_ROOT];
    DU_AUTO_KEYRING ring = { 0 };
    bool pinned;

    DU_TRY(du_pending_read_file(repo, file, &bytes, err));
    DU_TRY(du_pending_read(&pending, du_buf_bytes(&bytes), repo->sys->now_s(), file, err));
    DU_TRY(du_keyring_load(repo, &ring, err));
    if (check_pin(repo, &pending, &pinned, err) != DEFUPD_OK)
        return du_err_prefix(err, "%s", file);
    tell_pending(&pending, on_line, user);
    if (could_sign(&pending, &ring, on_line, user) == 0)
        return DU_FAIL(err, DEFUPD_E_KEY, "%s: no key of %s may sign it, or all have", file,
                       repo->keys_path);
    if (!pinned)
        on_line(user, "warning: no root is pinned beside these keys; that of this file will be. "
                      "Compare it with the repository's first");
    if (confirm != NULL && confirm(user) == 0)
        return DU_FAIL(err, DEFUPD_E_CANCELLED, "%s: not signed", file);
    DU_TRY(sign_all(repo, &pending, &ring, err));
    DU_TRY(du_pending_write(&pending, &out, err));
    DU_TRY(du_pending_write_file(repo, file, &out, err));
    return pinned ? DEFUPD_OK : du_pin_write(repo, root, err);
}

defupd_code defupd_repo_sign(defupd_repo *repo, const char *file, defupd_repo_say_fn on_line,
                             defupd_repo_confirm_fn confirm, void *user, defupd_error *error)
{
    defupd_error scratch, *err = error != NULL ? error : &scratch;

    if (repo == NULL || file == NULL || on_line == NULL)
        return DU_FAIL(err, DEFUPD_E_INVALID, "no keys, no file or no receiver of lines");
    return sign_file(repo, file, on_line, confirm, user, err);
}

/* --- import --- */

static bool same_content(const struct du_role_doc *a, const struct du_role_doc *b)
{
    DU_AUTO_BUF left = DU_BUF(du_role_max(a->role)), right = DU_BUF(du_role_max(a->role));
    defupd_error why;

    return b != NULL && du_json_canonical(du_role_doc_part(a), &left, &why) == DEFUPD_OK &&
           du_json_canonical(du_role_doc_part(b), &right, &why) == DEFUPD_OK &&
           left.len == right.len && memcmp(left.data, right.data, left.len) == 0;
}

/* Only signatures are taken from the file; what they are for is what we hold ourselves. */
static defupd_code merge(const struct defupd_repo *repo, struct du_pending *pending,
                         const struct du_pending *from, const char *file, defupd_error *err)
{
    size_t at = 0;

    for (struct du_role_doc *doc; (doc = du_role_set_at(&pending->next.set, &at)) != NULL;) {
        const struct du_role_doc *other = du_role_set_find(&from->next.set, doc->name);
        struct du_authority by[2];
        const size_t count = du_next_authorities(&pending->state, &pending->next, doc->name, by);
        size_t added = 0;

        if (!same_content(doc, other))
            return DU_FAIL(err, DEFUPD_E_PENDING, "%s: its %s is not that of the pending change",
                           file, doc->name);
        for (size_t i = 0; i < count; i++)
            DU_TRY(du_sign_merge(doc, other->signatures, by[i], &added, err));
        DU_TRY(du_sign_seal(doc, err));
        if (added > 0)
            du_repo_say(repo, "%s: %zu signature%s came in", doc->name, added,
                        added == 1 ? "" : "s");
    }
    return DEFUPD_OK;
}

static defupd_code save(const struct defupd_repo *repo, const struct du_pending *pending,
                        defupd_error *err)
{
    DU_AUTO_BUF bytes = DU_BUF(DU_PENDING_MAX);

    DU_TRY(du_pending_write(pending, &bytes, err));
    return du_pending_write_file(repo, repo->pending_path, &bytes, err);
}

/* A run that was cut short after publishing has left the file behind. */
static bool is_live(const struct du_pending *pending, const struct du_state *state)
{
    size_t at = 0;

    for (const struct du_role_doc *doc; (doc = du_role_set_at(&pending->next.set, &at)) != NULL;)
        if (!same_content(doc, du_role_set_find(&state->set, doc->name)))
            return false;
    return true;
}

/* Everything is signed: publish, then forget. */
static defupd_code go_live(const struct defupd_repo *repo, struct du_work *work,
                           struct du_pending *pending, defupd_error *err)
{
    struct du_next *next = &pending->next;
    bool there;

    next->was_pending = true;
    DU_TRY(du_work_cover(work, next, err));
    DU_TRY(du_next_sign(repo, &work->state, &work->ring, next, err));
    DU_TRY(du_next_finish(repo, &work->dirs, &work->state, &work->ring, next, NULL,
                          (struct du_bytes){ 0 }, err));
    DU_TRY(du_work_write(repo, work, next, err));
    du_work_say(repo, next);
    return du_pending_remove(repo, &there, err);
}

static defupd_code import(struct defupd_repo *repo, const char *file, int *is_pending,
                          defupd_error *err)
{
    DU_AUTO(du_pending_free) struct du_pending pending = { 0 }, from = { 0 };
    DU_AUTO_BUF bytes = DU_BUF(DU_PENDING_MAX);
    DU_AUTO_WORK work = DU_WORK;
    defupd_error missing;
    bool there;

    DU_TRY(du_work_begin(repo, &work, err));
    DU_TRY(du_pending_load(repo, &pending, &there, err));
    if (!there)
        return DU_FAIL(err, DEFUPD_E_PENDING, "no change is pending at %s", repo->pending_path);
    if (is_live(&pending, &work.state)) {
        *is_pending = 0;
        return du_pending_remove(repo, &there, err);
    }
    if (!du_pending_fits(&pending, &work.state))
        return DU_FAIL(err, DEFUPD_E_PENDING,
                       "%s: the repository has moved on since this change was made: drop it, and "
                       "make it again",
                       repo->pending_path);
    DU_TRY(du_pending_read_file(repo, file, &bytes, err));
    DU_TRY(du_pending_read(&from, du_buf_bytes(&bytes), work.state.now, file, err));
    DU_TRY(merge(repo, &pending, &from, file, err));
    DU_TRY(save(repo, &pending, err));
    *is_pending = du_next_complete(&work.state, &pending.next, &missing) != DEFUPD_OK;
    if (*is_pending)
        du_repo_say(repo, "still pending: %s", missing.message);
    return *is_pending ? DEFUPD_OK : go_live(repo, &work, &pending, err);
}

defupd_code defupd_repo_pending_import(defupd_repo *repo, const char *file, int *is_pending,
                                       defupd_error *error)
{
    defupd_error scratch, *err = error != NULL ? error : &scratch;
    int outcome;

    if (repo == NULL || file == NULL || repo->pending_path == NULL)
        return DU_FAIL(err, DEFUPD_E_INVALID, "no repository or no file");
    return import(repo, file, is_pending != NULL ? is_pending : &outcome, err);
}
