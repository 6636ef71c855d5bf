/* SPDX-License-Identifier: Apache-2.0 */
/* The four top-level roles, step by step as "Detailed client workflow" (section 5) has them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/name.h"
#include "base/scope.h"
#include "base/when.h"
#include "trust/trust_priv.h"

void du_trust_free(struct du_trust *trust)
{
    if (trust == NULL)
        return;
    du_doc_free(trust->root);
    du_doc_free(trust->timestamp);
    du_doc_free(trust->snapshot);
    du_doc_free(trust->targets);
    for (size_t i = 0; i < trust->delegated_count; i++) {
        du_doc_free(trust->delegated[i].doc);
        free(trust->delegated[i].name);
    }
    free(trust->delegated);
    du_trust_let_go(trust);
    du_checked_freep(&trust->checked);
    for (size_t i = 0; i < trust->seen_count; i++)
        free(trust->seen[i].name);
    free(trust->seen);
    free(trust->marks);
    free(trust);
}

void du_trust_freep(struct du_trust **trust)
{
    du_trust_free(*trust);
    *trust = NULL;
}

static void replace(struct du_doc **slot, struct du_doc *doc)
{
    du_doc_free(*slot);
    *slot = doc;
}

/* "The expiration timestamp ... MUST be higher than the fixed update start time." */
defupd_code du_expiry_check(const struct du_doc *doc, const char *role,
                            const struct du_trust_time *time, bool grace, const char *what,
                            defupd_error *err)
{
    char date[DU_TIME_TEXT];
    uint64_t until = (uint64_t)doc->expires; /* from 1970 on, so never negative */

    if (time == NULL || time->now < 0)
        return DEFUPD_OK;
    if (grace && !du_add(until, time->grace_s, &until))
        return DEFUPD_OK;
    if (until > (uint64_t)time->now)
        return DEFUPD_OK;
    du_time_format(date, doc->expires);
    return DU_FAIL(err, DEFUPD_E_EXPIRED, "%s: %s version %llu expired on %s", what, role,
                   (unsigned long long)doc->version, date);
}

/* --- root --- */

/* A root that is signed by its own threshold. */
static defupd_code root_parse(struct du_doc **out, struct du_bytes bytes, const char *what,
                              struct du_checked *checked, defupd_error *err)
{
    DU_AUTO_DOC *doc = NULL;

    DU_TRY(du_doc_parse(&doc, bytes, DU_ROOT_MAX, what, err));
    DU_TRY(du_doc_header(doc, "root", what, err));
    DU_TRY(du_doc_root_fields(doc, what, err));
    DU_TRY(du_doc_verify_top(doc, doc, "root", checked, what, err));
    *out = du_take(&doc);
    return DEFUPD_OK;
}

defupd_code du_trust_root_peek(const struct du_trust *trust, struct du_bytes root, const char *what,
                               uint64_t *version, defupd_error *err)
{
    DU_AUTO_DOC *doc = NULL;

    DU_TRY(root_parse(&doc, root, what, trust != NULL ? trust->checked : NULL, err));
    *version = doc->version;
    return DEFUPD_OK;
}

defupd_code du_trust_new(struct du_trust **out, struct du_bytes root, const char *what,
                         defupd_error *err)
{
    struct du_checked *none = NULL;

    return du_trust_new_checked(out, root, what, &none, err);
}

defupd_code du_trust_new_checked(struct du_trust **out, struct du_bytes root, const char *what,
                                 struct du_checked **checked, defupd_error *err)
{
    DU_AUTO_TRUST *trust = calloc(1, sizeof *trust);

    if (trust == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for the trusted roles");
    /* 5.2: the expiration of the trusted root does not matter yet. */
    DU_TRY(root_parse(&trust->root, root, what, *checked, err));
    DU_TRY(du_seen_raise(trust, "root", 4, trust->root->version, err));
    trust->checked = du_take(checked);
    *out = du_take(&trust);
    return DEFUPD_OK;
}

defupd_code du_trust_root(struct du_trust *trust, struct du_bytes bytes, const char *what,
                          defupd_error *err)
{
    DU_AUTO_DOC *doc = NULL;

    DU_TRY(du_doc_parse(&doc, bytes, DU_ROOT_MAX, what, err));
    /* 5.3.4: signed by a threshold of the keys in version N, before anything in it is believed; */
    DU_TRY(du_doc_verify_top(doc, trust->root, "root", trust->checked, what, err));
    DU_TRY(du_doc_header(doc, "root", what, err));
    DU_TRY(du_doc_root_fields(doc, what, err));
    /* and by one of those in itself. */
    DU_TRY(du_doc_verify_top(doc, doc, "root", trust->checked, what, err));
    /* 5.3.5: exactly N+1. */
    if (doc->version != trust->root->version + 1)
        return DU_FAIL(err, DEFUPD_E_ROLLBACK, "%s: version %llu, expected %llu", what,
                       (unsigned long long)doc->version,
                       (unsigned long long)trust->root->version + 1);
    /* 5.3.6: its expiration does not matter yet. 5.3.7: */
    DU_TRY(du_seen_raise(trust, "root", 4, doc->version, err));
    replace(&trust->root, du_take(&doc));
    trust->recheck = trust->timestamp != NULL || trust->snapshot != NULL || trust->targets != NULL;
    return DEFUPD_OK;
}

defupd_code du_trust_hold(struct du_trust *trust, uint64_t version, struct du_bytes root,
                          defupd_error *err)
{
    struct du_held *grown = reallocarray(trust->held, trust->held_count + 1, sizeof *grown);

    if (grown == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for the chain of roots");
    trust->held = grown;
    grown[trust->held_count] = (struct du_held){ version, DU_BUF(DU_ROOT_MAX) };
    DU_TRY(du_buf_add(&grown[trust->held_count].bytes, root.data, root.len, err));
    trust->held_count++;
    return DEFUPD_OK;
}

bool du_trust_held(const struct du_trust *trust, size_t nth, uint64_t *version,
                   struct du_bytes *root)
{
    if (nth >= trust->held_count)
        return false;
    *version = trust->held[nth].version;
    *root = du_buf_bytes(&trust->held[nth].bytes);
    return true;
}

void du_trust_let_go(struct du_trust *trust)
{
    for (size_t i = 0; i < trust->held_count; i++)
        du_buf_free(&trust->held[i].bytes);
    free(trust->held);
    trust->held = NULL;
    trust->held_count = 0;
}

/* A role keeps being trusted under a new root only if that root's keys vouch for it: keys that were
 * taken away or a threshold that was raised are a statement about metadata we already have. */
static defupd_code recheck(struct du_trust *trust, struct du_doc **slot, const char *role,
                           defupd_error *err)
{
    defupd_error why = { 0 };
    defupd_code rc;

    if (*slot == NULL)
        return DEFUPD_OK;
    rc = du_doc_verify_top(*slot, trust->root, role, trust->checked, role, &why);
    if (rc == DEFUPD_E_NOMEM)
        return DU_FAIL(err, rc, "%s", why.message);
    if (rc != DEFUPD_OK)
        replace(slot, NULL);
    return DEFUPD_OK;
}

defupd_code du_trust_settle(struct du_trust *trust, const struct du_trust_time *time, bool *rotated,
                            defupd_error *err)
{
    const uint64_t seen = du_seen_version(trust, "root");

    *rotated = false;
    /* Not in the specification: the files of newer roots were lost here, and this source withholds
     * them. */
    if (time != NULL && trust->root->version < seen)
        return DU_FAIL(err, DEFUPD_E_SOURCE_BEHIND,
                       "root: the source's newest is version %llu, version %llu was seen before",
                       (unsigned long long)trust->root->version, (unsigned long long)seen);
    /* 5.3.10 */
    DU_TRY(du_expiry_check(trust->root, "root", time, false, "root", err));
    /* 5.3.11: recovery from a fast-forward attack. Versions of targets and delegated roles are
     * known from the snapshot alone, so they are forgotten with it. */
    DU_TRY(du_marks_rotated(trust, rotated, err));
    DU_TRY(du_marks_set(trust, err));
    if (*rotated) {
        replace(&trust->timestamp, NULL);
        replace(&trust->snapshot, NULL);
        du_seen_forget(trust);
    }
    /* 5.3.12: consistent_snapshot is read from the trusted root where it matters. */
    if (!trust->recheck)
        return DEFUPD_OK;
    DU_TRY(recheck(trust, &trust->timestamp, "timestamp", err));
    DU_TRY(recheck(trust, &trust->snapshot, "snapshot", err));
    DU_TRY(recheck(trust, &trust->targets, "targets", err));
    trust->recheck = false;
    return DEFUPD_OK;
}

/* --- timestamp --- */

static defupd_code same_content(const struct du_doc *a, const struct du_doc *b, bool *same,
                                defupd_error *err)
{
    DU_AUTO_BUF left = DU_BUF(2 * DU_TIMESTAMP_MAX);
    DU_AUTO_BUF right = DU_BUF(2 * DU_TIMESTAMP_MAX);

    DU_TRY(du_json_canonical(a->content, &left, err));
    DU_TRY(du_json_canonical(b->content, &right, err));
    *same = left.len == right.len && memcmp(left.data, right.data, left.len) == 0;
    return DEFUPD_OK;
}

/* Older than what was seen. When the rest of it is in order, the source has merely not caught up;
 * when it points at a newer snapshot than the newer timestamp did, somebody made it up. */
static defupd_code older_timestamp(const struct du_trust *trust, const struct du_doc *doc,
                                   const struct du_meta *meta, const char *what,
                                   const struct du_trust_time *time, defupd_error *err)
{
    const uint64_t seen = du_seen_version(trust, "timestamp");

    DU_TRY(du_expiry_check(doc, "timestamp", time, true, what, err));
    if (meta->version > du_seen_version(trust, "snapshot"))
        return DU_FAIL(err, DEFUPD_E_ROLLBACK,
                       "%s: version %llu, older than the %llu seen before, states snapshot "
                       "version %llu, newer than the %llu seen before",
                       what, (unsigned long long)doc->version, (unsigned long long)seen,
                       (unsigned long long)meta->version,
                       (unsigned long long)du_seen_version(trust, "snapshot"));
    return DU_FAIL(err, DEFUPD_E_SOURCE_BEHIND, "%s: version %llu, but %llu was seen before", what,
                   (unsigned long long)doc->version, (unsigned long long)seen);
}

static defupd_code accept_timestamp(struct du_trust *trust, struct du_doc **doc,
                                    const struct du_meta *meta, defupd_error *err)
{
    DU_TRY(du_seen_raise(trust, "timestamp", 9, (*doc)->version, err));
    DU_TRY(du_seen_raise(trust, "snapshot", 8, meta->version, err));
    if (trust->mark_count == 0)
        DU_TRY(du_marks_set(trust, err));
    replace(&trust->timestamp, du_take(doc));
    trust->snapshot_meta = *meta;
    return DEFUPD_OK;
}

defupd_code du_trust_timestamp(struct du_trust *trust, struct du_bytes bytes, const char *what,
                               const struct du_trust_time *time, enum du_news *news,
                               defupd_error *err)
{
    DU_AUTO_DOC *doc = NULL;
    struct du_meta meta;
    bool listed, same = false;

    DU_TRY(du_doc_parse(&doc, bytes, DU_TIMESTAMP_MAX, what, err));
    /* 5.4.2 */
    DU_TRY(du_doc_verify_top(doc, trust->root, "timestamp", trust->checked, what, err));
    DU_TRY(du_doc_header(doc, "timestamp", what, err));
    DU_TRY(du_doc_meta(doc, "snapshot.json", &meta, &listed, what, err));
    if (!listed)
        return DU_FAIL(err, DEFUPD_E_METADATA_FORMAT, "%s: does not state snapshot.json", what);

    if (time == NULL) { /* our own file: what it says counts as seen, whatever it is worth now */
        *news = DU_NEWS;
        return accept_timestamp(trust, &doc, &meta, err);
    }
    /* 5.4.3.1 */
    if (doc->version < du_seen_version(trust, "timestamp"))
        return older_timestamp(trust, doc, &meta, what, time, err);
    if (trust->timestamp != NULL && doc->version == trust->timestamp->version) {
        DU_TRY(du_expiry_check(trust->timestamp, "timestamp", time, true, what, err));
        DU_TRY(same_content(doc, trust->timestamp, &same, err));
        *news = same ? DU_SAME : DU_OTHER;
        return DEFUPD_OK;
    }
    /* 5.4.3.2 */
    if (meta.version < du_seen_version(trust, "snapshot"))
        return DU_FAIL(err, DEFUPD_E_ROLLBACK,
                       "%s: states snapshot version %llu, but %llu was seen before", what,
                       (unsigned long long)meta.version,
                       (unsigned long long)du_seen_version(trust, "snapshot"));
    /* 5.4.4 */
    DU_TRY(du_expiry_check(doc, "timestamp", time, true, what, err));
    *news = DU_NEWS;
    return accept_timestamp(trust, &doc, &meta, err);
}

/* --- snapshot --- */

static bool is_targets_role(const char *role, size_t len)
{
    static const char *const others[] = { "root", "timestamp", "snapshot", "mirrors" };

    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (strlen(others[i]) == len && memcmp(others[i], role, len) == 0)
            return false;
    }
    return true;
}

/* 5.5.5: no listed version went down, none that was listed has vanished. `seen` holds all that
 * earlier snapshots listed. */
static defupd_code check_listed(const struct du_trust *trust, const struct du_doc *doc,
                                const char *what, defupd_error *err)
{
    for (size_t i = 0; i < trust->seen_count; i++) {
        const struct du_seen *seen = &trust->seen[i];
        DU_AUTO_BUF file = DU_BUF(1024);
        struct du_meta meta;
        bool listed;

        if (!is_targets_role(seen->name, strlen(seen->name)))
            continue;
        DU_TRY(du_buf_printf(&file, err, "%s.json", seen->name));
        DU_TRY(du_doc_meta(doc, du_buf_text(&file), &meta, &listed, what, err));
        if (!listed)
            return DU_FAIL(err, DEFUPD_E_ROLLBACK,
                           "%s: no longer lists %s.json, seen before in version %llu", what,
                           seen->name, (unsigned long long)seen->version);
        if (meta.version < seen->version)
            return DU_FAIL(err, DEFUPD_E_ROLLBACK,
                           "%s: lists %s.json version %llu, but %llu was seen before", what,
                           seen->name, (unsigned long long)meta.version,
                           (unsigned long long)seen->version);
    }
    return DEFUPD_OK;
}

static defupd_code accept_snapshot(struct du_trust *trust, struct du_doc **doc, const char *what,
                                   defupd_error *err)
{
    const struct du_json *metas = du_json_object((*doc)->content, "meta");

    for (void *i = du_json_first(metas); i != NULL; i = du_json_next(metas, i)) {
        const char *file = du_json_iter_key(i);
        struct du_meta meta;
        size_t len;
        bool listed;
        /* no delegation can have a longer name, and `seen` would not be read back with it */
        if (!du_meta_role(file, &len) || !is_targets_role(file, len) ||
            du_role_name_length(file, len) > DU_ROLE_NAME_MAX)
            continue;
        DU_TRY(du_doc_meta(*doc, file, &meta, &listed, what, err));
        DU_TRY(du_seen_raise(trust, file, len, meta.version, err));
    }
    DU_TRY(du_seen_raise(trust, "snapshot", 8, (*doc)->version, err));
    replace(&trust->snapshot, du_take(doc));
    return DEFUPD_OK;
}

defupd_code du_trust_snapshot(struct du_trust *trust, struct du_bytes bytes, const char *what,
                              const struct du_trust_time *time, defupd_error *err)
{
    DU_AUTO_DOC *doc = NULL;

    if (time != NULL && trust->timestamp == NULL)
        return DU_FAIL(err, DEFUPD_E_BUG, "%s: a snapshot before the timestamp", what);
    DU_TRY(du_doc_parse(&doc, bytes, DU_SNAPSHOT_MAX, what, err));
    /* 5.5.2 */
    if (time != NULL)
        DU_TRY(du_meta_check(&trust->snapshot_meta, doc, what, err));
    /* 5.5.3 */
    DU_TRY(du_doc_verify_top(doc, trust->root, "snapshot", trust->checked, what, err));
    DU_TRY(du_doc_header(doc, "snapshot", what, err));
    DU_TRY(du_doc_snapshot_fields(doc, what, err));
    if (time == NULL)
        return accept_snapshot(trust, &doc, what, err);
    /* 5.5.4 */
    if (doc->version != trust->snapshot_meta.version)
        return DU_FAIL(err, DEFUPD_E_ROLLBACK, "%s: version %llu, but timestamp.json states %llu",
                       what, (unsigned long long)doc->version,
                       (unsigned long long)trust->snapshot_meta.version);
    /* 5.5.5 */
    DU_TRY(check_listed(trust, doc, what, err));
    /* 5.5.6 */
    DU_TRY(du_expiry_check(doc, "snapshot", time, true, what, err));
    return accept_snapshot(trust, &doc, what, err);
}

/* --- targets --- */

defupd_code du_trust_listed(const struct du_trust *trust, const char *role, struct du_meta *meta,
                            bool *listed, defupd_error *err)
{
    DU_AUTO_BUF file = DU_BUF(1024);

    *listed = false;
    if (trust->snapshot == NULL)
        return DEFUPD_OK;
    DU_TRY(du_buf_printf(&file, err, "%s.json", role));
    return du_doc_meta(trust->snapshot, du_buf_text(&file), meta, listed, "snapshot.json", err);
}

defupd_code du_targets_take(struct du_doc **out, const struct du_trust *trust, const char *name,
                            const struct du_json *keys, const struct du_json *role,
                            struct du_bytes bytes, const char *what,
                            const struct du_trust_time *time, defupd_error *err)
{
    DU_AUTO_DOC *doc = NULL;
    struct du_meta meta;
    bool listed;

    DU_TRY(du_trust_listed(trust, name, &meta, &listed, err));
    if (time != NULL && !listed)
        return DU_FAIL(err, DEFUPD_E_METADATA_FORMAT, "%s: snapshot.json does not list %s.json",
                       what, name);
    DU_TRY(du_doc_parse(&doc, bytes, DU_TARGETS_MAX, what, err));
    /* 5.6.2 */
    if (time != NULL)
        DU_TRY(du_meta_check(&meta, doc, what, err));
    /* 5.6.3 */
    DU_TRY(du_doc_verify(doc, keys, role, trust->checked, name, what, err));
    DU_TRY(du_doc_header(doc, "targets", what, err));
    DU_TRY(du_doc_targets_fields(doc, what, err));
    /* 5.6.4. A local file may be older than the snapshot says: the newer one could not be had yet,
     * and what is verified stays usable. It is never newer, and equal versions are equal. */
    if (time != NULL ? doc->version != meta.version : listed && doc->version > meta.version)
        return DU_FAIL(err, DEFUPD_E_ROLLBACK, "%s: version %llu, but snapshot.json states %llu",
                       what, (unsigned long long)doc->version, (unsigned long long)meta.version);
    if (time == NULL && listed && doc->version == meta.version)
        DU_TRY(du_meta_check(&meta, doc, what, err));
    /* 5.6.5 */
    DU_TRY(du_expiry_check(doc, name, time, false, what, err));
    *out = du_take(&doc);
    return DEFUPD_OK;
}

defupd_code du_trust_targets(struct du_trust *trust, struct du_bytes bytes, const char *what,
                             const struct du_trust_time *time, defupd_error *err)
{
    const struct du_json *roles = du_json_object(trust->root->content, "roles");
    struct du_doc *doc = NULL;

    DU_TRY(du_targets_take(&doc, trust, "targets", du_json_object(trust->root->content, "keys"),
                           du_json_object(roles, "targets"), bytes, what, time, err));
    replace(&trust->targets, doc);
    return DEFUPD_OK;
}

defupd_code du_trust_delegated(struct du_trust *trust, const char *role, struct du_bytes bytes,
                               const char *what, defupd_error *err)
{
    const struct du_json *delegations, *roles;
    struct du_doc *doc = NULL;

    if (trust->targets == NULL)
        return DU_FAIL(err, DEFUPD_E_BUG, "%s: a delegated role before targets", what);
    delegations = du_json_object(trust->targets->content, "delegations");
    roles = du_json_array(delegations, "roles");
    for (size_t i = 0; i < du_json_count(roles); i++) {
        const char *name = du_json_string(du_json_at(roles, i), "name");
        if (strcmp(name, role) != 0)
            continue;
        DU_TRY(du_targets_take(&doc, trust, role, du_json_object(delegations, "keys"),
                               du_json_at(roles, i), bytes, what, NULL, err));
        return du_trust_keep(trust, role, doc, err);
    }
    return DU_FAIL(err, DEFUPD_E_TARGET_NOT_FOUND, "%s: targets does not delegate to %s", what,
                   role);
}

defupd_code du_trust_keep(struct du_trust *trust, const char *name, struct du_doc *doc,
                          defupd_error *err)
{
    DU_AUTO_DOC *owned = doc;
    struct du_named_doc *grown;
    char *copy;

    for (size_t i = 0; i < trust->delegated_count; i++) {
        if (strcmp(trust->delegated[i].name, name) == 0) {
            replace(&trust->delegated[i].doc, du_take(&owned));
            return DEFUPD_OK;
        }
    }
    grown = reallocarray(trust->delegated, trust->delegated_count + 1, sizeof *grown);
    if (grown == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for role %s", name);
    trust->delegated = grown;
    copy = strdup(name);
    if (copy == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for role %s", name);
    grown[trust->delegated_count++] = (struct du_named_doc){ copy, du_take(&owned) };
    return DEFUPD_OK;
}

/* --- what to ask for --- */

static bool consistent(const struct du_trust *trust)
{
    bool yes = false;

    return du_json_bool(trust->root->content, "consistent_snapshot", &yes) && yes;
}

defupd_code du_trust_want(const struct du_trust *trust, const char *role, struct du_buf *path,
                          size_t *max, bool *have, defupd_error *err)
{
    const bool snapshot = strcmp(role, "snapshot") == 0;
    const struct du_doc *doc = du_trust_doc(trust, role);
    struct du_meta meta = trust->snapshot_meta;
    bool listed = trust->timestamp != NULL;

    if (!snapshot)
        DU_TRY(du_trust_listed(trust, role, &meta, &listed, err));
    if (!listed)
        return DU_FAIL(err, DEFUPD_E_METADATA_FORMAT, "%s does not list %s.json",
                       snapshot ? "timestamp.json" : "snapshot.json", role);
    /* 5.5.1, 5.6.1: no more than is stated, nor than we take at all */
    *max = snapshot ? DU_SNAPSHOT_MAX : DU_TARGETS_MAX;
    if (meta.has_length && meta.length > *max)
        return DU_FAIL(err, DEFUPD_E_METADATA_LIMIT, "%s.json has %llu bytes, expected at most %zu",
                       role, (unsigned long long)meta.length, *max);
    if (meta.has_length)
        *max = (size_t)meta.length;
    *have = doc != NULL && du_meta_fits(&meta, doc);
    DU_TRY(du_buf_add_text(path, "metadata/", err));
    if (consistent(trust))
        DU_TRY(du_buf_printf(path, err, "%llu.", (unsigned long long)meta.version));
    DU_TRY(du_role_name_encode(path, role, err));
    return du_buf_add_text(path, ".json", err);
}

defupd_code du_target_path(const struct du_trust *trust, const struct du_target *target,
                           const char *target_path, struct du_buf *path, defupd_error *err)
{
    const char *slash = strrchr(target_path, '/');
    const char *file = slash != NULL ? slash + 1 : target_path;
    char hex[2 * 64 + 1];

    /* Foreign names become parts of a path: one rule for all of them. */
    if (du_path_why_bad(target_path) != NULL)
        return DU_FAIL(err, DEFUPD_E_INVALID, "target path \"%s\" %s", target_path,
                       du_path_why_bad(target_path));
    DU_TRY(du_buf_add_text(path, "targets/", err));
    for (const char *c = target_path; c < file; c += strcspn(c, "/") + 1) {
        DU_AUTO_FREE char *part = strndup(c, strcspn(c, "/"));
        if (part == NULL)
            return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a path");
        DU_TRY(du_role_name_encode(path, part, err));
        DU_TRY(du_buf_add_text(path, "/", err));
    }
    if (consistent(trust)) { /* 5.7.3: HASH is one of the hashes */
        if (target->has_sha256)
            du_hex(hex, target->sha256, 32);
        else
            du_hex(hex, target->sha512, 64);
        DU_TRY(du_buf_printf(path, err, "%s.", hex));
    }
    return du_role_name_encode(path, file, err);
}

defupd_code du_target_check(const struct du_target *target, struct du_bytes bytes, const char *what,
                            struct du_verified *verified, defupd_error *err)
{
    struct du_doc doc = { .length = bytes.len };
    const struct du_meta meta = { .has_length = true,
                                  .length = target->length,
                                  .has_sha256 = target->has_sha256,
                                  .has_sha512 = target->has_sha512 };
    struct du_meta stated = meta;
    struct du_hash hash;

    memcpy(stated.sha256, target->sha256, sizeof stated.sha256);
    memcpy(stated.sha512, target->sha512, sizeof stated.sha512);
    du_sha256(doc.sha256, bytes.data, bytes.len);
    du_hash_init(&hash, DU_SHA512);
    du_hash_update(&hash, bytes.data, bytes.len);
    du_hash_final(&hash, doc.sha512);
    DU_TRY(du_meta_check(&stated, &doc, what, err));
    *verified = (struct du_verified){ bytes.data, bytes.len };
    return DEFUPD_OK;
}
