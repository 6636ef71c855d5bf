/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "publish/publish_priv.h"

void du_next_free(struct du_next *next)
{
    du_role_set_free(&next->set);
}

/* The next version of a role whose file no interrupted run has left behind: a versioned name never
 * gets a second content, which a cache or mirror may have taken already. Roots have no gaps: the
 * file of one is the publication of it. */
static defupd_code next_version(const struct du_dirs *dirs, const char *name, uint64_t last,
                                uint64_t *version, defupd_error *err)
{
    char file[DU_META_NAME];
    const bool gaps = dirs != NULL && strcmp(name, "timestamp") != 0 && strcmp(name, "root") != 0;

    while (++last <= DU_VERSION_MAX) {
        du_role_file(file, name, last);
        if (gaps && faccessat(dirs->metadata, file, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
            continue;
        *version = last;
        return DEFUPD_OK;
    }
    return DU_FAIL(err, DEFUPD_E_REPO, "role '%s' has no version left", name);
}

defupd_code du_next_edit(const struct du_dirs *dirs, const struct du_state *state,
                         struct du_next *next, const char *name, struct du_json **part,
                         defupd_error *err)
{
    const struct du_role_doc *published = du_role_set_find(&state->set, name);
    struct du_role_doc *doc = du_role_set_find(&next->set, name);
    DU_AUTO_JSON *made = NULL;
    enum du_role role;
    uint64_t version = 0;

    if (doc != NULL) {
        *part = doc->part;
        return DEFUPD_OK;
    }
    if (!du_role_of(name, &role))
        return DU_FAIL(err, DEFUPD_E_BUG, "%s: no role", name);
    DU_TRY(next_version(dirs, name, published != NULL ? published->version : 0, &version, err));
    made = published != NULL ? du_json_copy(du_role_doc_part(published)) : du_part_new(role);
    if (made == NULL || !du_part_version(made, version))
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for role '%s'", name);
    doc = du_role_set_slot(&next->set, name);
    if (doc == NULL || (doc->signatures = du_json_new_array()) == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for role '%s'", name);
    doc->part = *part = du_take(&made);
    doc->version = version;
    return DEFUPD_OK;
}

/* --- who signs --- */

const struct du_json *du_next_part(const struct du_state *state, const struct du_next *next,
                                   const char *name)
{
    const struct du_role_doc *doc = du_role_set_find(&next->set, name);

    return doc != NULL ? du_role_doc_part(doc) : du_state_part(state, name);
}

struct du_authority du_next_authority(const struct du_state *state, const struct du_next *next,
                                      const char *name)
{
    return du_authority_of(du_next_part(state, next, "root"), du_next_part(state, next, "targets"),
                           name);
}

/* The keys of a role before this change, when they are others: NULLs, unless root changes them. */
static struct du_authority before(const struct du_state *state, const struct du_next *next,
                                  const char *name)
{
    const struct du_json *root = du_state_part(state, "root");
    enum du_role role;

    if (root != NULL && du_role_set_find(&next->set, "root") != NULL &&
        du_role_parse(name, &role)) {
        const struct du_authority old = du_authority_of(root, NULL, name);
        if (!du_authority_same(old, du_next_authority(state, next, name)))
            return old;
    }
    return (struct du_authority){ NULL, NULL };
}

/* A root is signed by the keys before and after (5.3.4). So is the rest that a root changes: it is
 * published first and is right under both roots, and no reader meets an instant in which it is
 * not. Only where keys are lost can that not be had. */
size_t du_next_authorities(const struct du_state *state, const struct du_next *next,
                           const char *name, struct du_authority authority[2])
{
    authority[0] = du_next_authority(state, next, name);
    authority[1] = before(state, next, name);
    if (authority[1].entry == NULL || (next->lost && strcmp(name, "root") != 0))
        return 1;
    return 2;
}

static defupd_code sign(const struct defupd_repo *repo, const struct du_state *state,
                        struct du_keyring *ring, const struct du_next *next,
                        struct du_role_doc *doc, defupd_error *err)
{
    struct du_authority authority[2];
    const size_t count = du_next_authorities(state, next, doc->name, authority);

    if (doc->expires == 0) {
        doc->expires = state->now + du_authority_life_s(authority[0], doc->role);
        if (!du_part_expires(doc->part, doc->expires))
            return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for role '%s'", doc->name);
    }
    for (size_t i = 0; i < count; i++)
        DU_TRY(du_sign_doc(repo, doc, authority[i], ring, NULL, err));
    return du_sign_seal(doc, err);
}

static bool is_online(const struct du_role_doc *doc)
{
    return doc->role == DU_ROLE_SNAPSHOT || doc->role == DU_ROLE_TIMESTAMP;
}

defupd_code du_next_sign(const struct defupd_repo *repo, const struct du_state *state,
                         struct du_keyring *ring, struct du_next *next, defupd_error *err)
{
    size_t at = 0;

    for (struct du_role_doc *doc; (doc = du_role_set_at(&next->set, &at)) != NULL;)
        if (!is_online(doc))
            DU_TRY(sign(repo, state, ring, next, doc, err));
    return DEFUPD_OK;
}

static defupd_code complete(const struct du_state *state, const struct du_next *next,
                            const struct du_role_doc *doc, defupd_error *err)
{
    struct du_authority authority[2];
    const size_t count = du_next_authorities(state, next, doc->name, authority);

    for (size_t i = 0; i < count; i++) {
        const int64_t threshold = du_authority_threshold(authority[i]);
        int64_t have;

        DU_TRY(du_sign_count(doc, authority[i], &have, err));
        if (have < threshold)
            return DU_FAIL(err, DEFUPD_E_KEY,
                           "%s version %llu has %lld of the %lld signatures it needs by %skeys",
                           doc->name, (unsigned long long)doc->version, (long long)have,
                           (long long)threshold,
                           i == 1       ? "the role's present "
                           : count == 2 ? "the role's coming "
                                        : "the role's ");
    }
    return DEFUPD_OK;
}

defupd_code du_next_complete(const struct du_state *state, const struct du_next *next,
                             defupd_error *err)
{
    size_t at = 0;

    for (const struct du_role_doc *doc; (doc = du_role_set_at(&next->set, &at)) != NULL;)
        if (!is_online(doc))
            DU_TRY(complete(state, next, doc, err));
    return DEFUPD_OK;
}

/* --- snapshot and timestamp --- */

static bool covers_more(const struct du_next *next)
{
    return du_role_set_find(&next->set, "targets") != NULL || next->set.components > 0;
}

bool du_next_needs(const struct du_state *state, const struct du_next *next, enum du_role role)
{
    const bool snapshot =
        next->snapshot || covers_more(next) || before(state, next, "snapshot").entry != NULL;

    if (role == DU_ROLE_SNAPSHOT)
        return snapshot;
    return snapshot || next->timestamp || before(state, next, "timestamp").entry != NULL;
}

static defupd_code finish_role(const struct defupd_repo *repo, const struct du_dirs *dirs,
                               const struct du_state *state, struct du_keyring *ring,
                               struct du_next *next, enum du_role role, defupd_error *err)
{
    const char *name = du_role_name(role);
    struct du_role_doc *doc;
    struct du_json *part;
    bool stated = true;
    size_t at = 0;

    if (!du_next_needs(state, next, role))
        return DEFUPD_OK;
    DU_TRY(du_next_edit(dirs, state, next, name, &part, err));
    if (role == DU_ROLE_TIMESTAMP && next->set.doc[DU_ROLE_SNAPSHOT].json != NULL)
        stated = du_part_state(part, &next->set.doc[DU_ROLE_SNAPSHOT]);
    while (role == DU_ROLE_SNAPSHOT && (doc = du_role_set_at(&next->set, &at)) != NULL)
        if (doc->role == DU_ROLE_TARGETS || doc->role == DU_ROLE_COMPONENT)
            stated = stated && du_part_state(part, doc);
    if (!stated)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for role '%s'", name);
    doc = du_role_set_find(&next->set, name);
    DU_TRY(sign(repo, state, ring, next, doc, err));
    if (complete(state, next, doc, err) != DEFUPD_OK)
        return du_err_prefix(err, "keys directory %s", repo->keys_path);
    return DEFUPD_OK;
}

defupd_code du_next_finish(const struct defupd_repo *repo, const struct du_dirs *dirs,
                           struct du_state *state, struct du_keyring *ring, struct du_next *next,
                           const char *component, struct du_bytes manifest, defupd_error *err)
{
    const struct du_dirs *numbers = state->set.doc[DU_ROLE_ROOT].json != NULL ? dirs : NULL;

    DU_TRY(du_next_complete(state, next, err));
    DU_TRY(finish_role(repo, numbers, state, ring, next, DU_ROLE_SNAPSHOT, err));
    DU_TRY(finish_role(repo, numbers, state, ring, next, DU_ROLE_TIMESTAMP, err));
    return du_state_check_next(repo, dirs, state, next, component, manifest, err);
}

/* --- writing --- */

/* The one file that is replaced under its name gets a later second each time: web servers make its
 * ETag of size and seconds, so that another content of equal length, published within one second,
 * would pass for unchanged. What lies a little ahead of the clock by that is no harm. Negative for
 * the others. */
static int64_t mtime_of(const struct defupd_repo *repo, const struct du_dirs *dirs,
                        const struct du_role_doc *doc, const char *file)
{
    const int64_t now = repo->sys->now_s();
    struct stat st;

    if (doc->role != DU_ROLE_TIMESTAMP)
        return -1;
    if (fstatat(dirs->metadata, file, &st, AT_SYMLINK_NOFOLLOW) != 0 || st.st_mtime < now)
        return now;
    return (int64_t)st.st_mtime + 1;
}

static defupd_code write_role(const struct defupd_repo *repo, const struct du_dirs *dirs,
                              const struct du_role_doc *doc, defupd_error *err)
{
    char file[DU_META_NAME];

    du_role_file(file, doc->name, doc->version);
    if (du_file_replace_dated(repo->sys, dirs->metadata, file, doc->bytes.data, doc->bytes.len,
                              0644, mtime_of(repo, dirs, doc, file), err) != DEFUPD_OK)
        return du_err_prefix(err, "repository %s", repo->dir_path);
    return DEFUPD_OK;
}

/*
 * A crash after any step leaves what readers see as it was:
 *   1. N.targets.json, N.COMPONENT.json    nobody names them yet
 *   2. N.snapshot.json                     nobody names it yet
 *   3. timestamp.json                      the rename that shows the new state
 *   4. N.root.json                         its keys vouch for what stands there already
 * The next run reads the published state again and passes over the numbers of leftovers. A first
 * root comes first: the timestamp is what makes a repository. So does one that lost keys can not
 * introduce: until step 3 readers then find metadata that the new root does not vouch for, take
 * none of it and come back; the next run that signs mends it (du_work_begin()).
 * Proven by tests/fault/test_publish_failing_disk.c.
 */
defupd_code du_next_write(const struct defupd_repo *repo, const struct du_dirs *dirs,
                          const struct du_next *next, defupd_error *err)
{
    const struct du_role_doc *root = du_role_set_find(&next->set, "root");
    const bool root_first = root != NULL && (root->version == 1 || next->lost);
    size_t at = 0;

    if (root_first)
        DU_TRY(write_role(repo, dirs, root, err));
    for (const struct du_role_doc *doc; (doc = du_role_set_at(&next->set, &at)) != NULL;)
        if (doc->role != DU_ROLE_ROOT)
            DU_TRY(write_role(repo, dirs, doc, err));
    if (root != NULL && !root_first)
        DU_TRY(write_role(repo, dirs, root, err));
    return DEFUPD_OK;
}
