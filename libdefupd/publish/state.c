/* SPDX-License-Identifier: Apache-2.0 */
/* The published state, by a client's rules: the same deciders, another reader. */
#include <stdio.h>
#include <string.h>

#include "crypto/crypto.h"
#include "publish/publish_priv.h"

#define PATH_TEXT_MAX 512
#define ROOTS_MAX 1024 /* in one chain */

/* What was published may have expired meanwhile; at this time nothing has. Digests are compared
 * with the role above, which no time at all would leave out. */
static const struct du_trust_time any_time = { .now = 0 };

void du_state_free(struct du_state *state)
{
    du_role_set_free(&state->set);
    du_trust_freep(&state->trust);
}

const struct du_json *du_state_part(const struct du_state *state, const char *name)
{
    const struct du_role_doc *doc = du_role_set_find(&state->set, name);

    return doc != NULL ? du_role_doc_part(doc) : NULL;
}

void du_manifest_file(char name[DU_META_NAME], struct du_bytes manifest)
{
    unsigned char digest[DU_SHA256_BYTES];
    char hex[DU_SHA256_HEX + 1];

    du_sha256(digest, manifest.data, manifest.len);
    du_hex(hex, digest, sizeof digest);
    (void)snprintf(name, DU_META_NAME, "%s.manifest.xml", hex);
}

/* Whatever is wrong with our own files, the answer is the same: the repository needs mending. */
static defupd_code damaged(const struct defupd_repo *repo, defupd_error *err)
{
    const defupd_error why = *err;

    if (why.code == DEFUPD_E_NOMEM || (why.code == DEFUPD_E_IO && why.sys_errno != ENOENT))
        return du_err_prefix(err, "repository %s", repo->dir_path);
    return du_err_set(err, DEFUPD_E_REPO, why.sys_errno, why.origin, why.line, "repository %s: %s",
                      repo->dir_path, why.message);
}

/* Read metadata/FILE into a fresh document. */
static defupd_code read_role(const struct defupd_repo *repo, const struct du_dirs *dirs,
                             enum du_role role, const char *file, struct du_role_doc *doc,
                             defupd_error *err)
{
    du_role_doc_free(doc);
    doc->bytes = DU_BUF(du_role_max(role));
    return du_file_read(repo->sys, dirs->metadata, file, &doc->bytes, err);
}

static defupd_code take_root(struct du_state *state, struct du_role_doc *next, const char *what,
                             defupd_error *err)
{
    struct du_role_doc *doc = &state->set.doc[DU_ROLE_ROOT];

    if (state->trust == NULL)
        DU_TRY(du_trust_new(&state->trust, du_buf_bytes(&next->bytes), what, err));
    else
        DU_TRY(du_trust_root(state->trust, du_buf_bytes(&next->bytes), what, err));
    DU_TRY(du_role_doc_parse(next, "root", what, err));
    du_role_doc_free(doc);
    *doc = *next;
    *next = (struct du_role_doc){ 0 };
    return DEFUPD_OK;
}

/* The chain up to root number `last`, or to its end. */
static defupd_code load_roots(const struct defupd_repo *repo, const struct du_dirs *dirs,
                              struct du_state *state, uint64_t last, defupd_error *err)
{
    const struct du_role_doc *doc = &state->set.doc[DU_ROLE_ROOT];
    char name[DU_META_NAME], what[DU_META_NAME + 16];
    bool rotated;

    for (uint64_t n = doc->version + 1; n <= last; n++) {
        DU_AUTO_ROLE_DOC next = { 0 };

        du_role_file(name, "root", n);
        (void)snprintf(what, sizeof what, "metadata/%s", name);
        if (read_role(repo, dirs, DU_ROLE_ROOT, name, &next, err) != DEFUPD_OK) {
            if (n > 1 && du_is_missing(err))
                break;
            return du_err_prefix(err, "metadata");
        }
        DU_TRY(take_root(state, &next, what, err));
    }
    return du_trust_settle(state->trust, NULL, &rotated, err);
}

/* A role that the one above it names. */
static defupd_code load_named(const struct defupd_repo *repo, const struct du_dirs *dirs,
                              struct du_state *state, const char *role_name, defupd_error *err)
{
    DU_AUTO_BUF path = DU_BUF(PATH_TEXT_MAX);
    struct du_role_doc *doc = du_role_set_slot(&state->set, role_name);
    const char *what, *file;
    struct du_bytes bytes;
    enum du_role role;
    size_t max;
    bool have;

    if (doc == NULL || !du_role_of(role_name, &role))
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for role '%s'", role_name);
    DU_TRY(du_trust_want(state->trust, role_name, &path, &max, &have, err));
    what = du_buf_text(&path);
    file = strrchr(what, '/');
    file = file == NULL ? what : file + 1;
    if (read_role(repo, dirs, role, file, doc, err) != DEFUPD_OK)
        return du_err_prefix(err, "metadata");
    bytes = du_buf_bytes(&doc->bytes);
    if (role == DU_ROLE_SNAPSHOT)
        DU_TRY(du_trust_snapshot(state->trust, bytes, what, &any_time, err));
    else if (role == DU_ROLE_TARGETS)
        DU_TRY(du_trust_targets(state->trust, bytes, what, &any_time, err));
    else
        DU_TRY(du_trust_delegated(state->trust, role_name, bytes, what, err));
    return du_role_doc_parse(doc, role_name, what, err);
}

/* Roles that are named as components; others were delegated by other tools, and are left alone. */
static defupd_code load_components(const struct defupd_repo *repo, const struct du_dirs *dirs,
                                   struct du_state *state, defupd_error *err)
{
    const struct du_json *roles =
        du_json_array(du_json_object(du_state_part(state, "targets"), "delegations"), "roles");

    for (size_t i = 0; i < du_json_count(roles); i++) {
        const char *name = du_json_string(du_json_at(roles, i), "name");
        uint64_t stated;

        if (name == NULL || !du_name_ok(name))
            continue;
        DU_TRY(load_named(repo, dirs, state, name, err));
        /* For a client's local files an older one would do. */
        stated = du_trust_seen(state->trust, name);
        if (du_role_set_find(&state->set, name)->version != stated)
            return DU_FAIL(err, DEFUPD_E_REPO, "metadata/%llu.%s.json holds another version",
                           (unsigned long long)stated, name);
    }
    return DEFUPD_OK;
}

static defupd_code load(const struct defupd_repo *repo, const struct du_dirs *dirs,
                        struct du_state *state, uint64_t last_root, defupd_error *err)
{
    struct du_role_doc *timestamp = &state->set.doc[DU_ROLE_TIMESTAMP];
    static const char what[] = "metadata/timestamp.json";
    enum du_news news;

    DU_TRY(load_roots(repo, dirs, state, last_root, err));
    if (read_role(repo, dirs, DU_ROLE_TIMESTAMP, "timestamp.json", timestamp, err) != DEFUPD_OK)
        return du_err_prefix(err, "metadata");
    DU_TRY(du_trust_timestamp(state->trust, du_buf_bytes(&timestamp->bytes), what, &any_time, &news,
                              err));
    DU_TRY(du_role_doc_parse(timestamp, "timestamp", what, err));
    DU_TRY(load_named(repo, dirs, state, "snapshot", err));
    DU_TRY(load_named(repo, dirs, state, "targets", err));
    return load_components(repo, dirs, state, err);
}

defupd_code du_state_load(const struct defupd_repo *repo, const struct du_dirs *dirs,
                          struct du_state *state, defupd_error *err)
{
    state->now = repo->sys->now_s();
    if (load(repo, dirs, state, ROOTS_MAX, err) != DEFUPD_OK)
        return damaged(repo, err);
    return DEFUPD_OK;
}

/* A root whose publication was cut short (du_next_write()): the rest stands as the root before it
 * vouches for. What the newest one does not is then no longer trusted, and is to be signed anew. */
defupd_code du_state_load_cut(const struct defupd_repo *repo, const struct du_dirs *dirs,
                              struct du_state *state, defupd_error *err)
{
    uint64_t newest;

    state->now = repo->sys->now_s();
    if (load(repo, dirs, state, ROOTS_MAX, err) == DEFUPD_OK)
        return DEFUPD_OK;
    newest = state->set.doc[DU_ROLE_ROOT].version;
    if (err->code != DEFUPD_E_SIGNATURE || newest < 2)
        return damaged(repo, err);
    {
        const defupd_error why = *err;
        defupd_error again;

        du_state_free(state);
        if (load(repo, dirs, state, newest - 1, &again) != DEFUPD_OK) {
            *err = why;
            return damaged(repo, err);
        }
    }
    if (load_roots(repo, dirs, state, newest, err) != DEFUPD_OK)
        return damaged(repo, err);
    return DEFUPD_OK;
}

/* Who signs a component's manifest, and what is signed about it. *found false: nobody. */
static defupd_code find_target(const struct defupd_repo *repo, const struct du_dirs *dirs,
                               struct du_state *state, const char *target_path,
                               struct du_target *target, bool *found, defupd_error *err)
{
    DU_AUTO_SEARCH *search = NULL;
    enum du_search_step step = DU_SEARCH_NEED;

    DU_TRY(du_search_new(&search, state->trust, target_path, &any_time, err));
    while (true) {
        DU_AUTO_BUF path = DU_BUF(PATH_TEXT_MAX), bytes = DU_BUF(DU_TARGETS_MAX);
        const char *name;
        size_t max;
        bool have;

        DU_TRY(du_search_next(search, &step, err));
        if (step != DU_SEARCH_NEED)
            break;
        DU_TRY(du_trust_want(state->trust, du_search_role(search), &path, &max, &have, err));
        name = strrchr(du_buf_text(&path), '/');
        name = name == NULL ? du_buf_text(&path) : name + 1;
        if (du_file_read(repo->sys, dirs->metadata, name, &bytes, err) != DEFUPD_OK)
            return du_err_prefix(err, "metadata");
        DU_TRY(du_search_give(search, du_buf_bytes(&bytes), du_buf_text(&path), err));
    }
    *found = step == DU_SEARCH_FOUND;
    if (*found)
        *target = *du_search_target(search);
    return DEFUPD_OK;
}

/* The published manifest's `path` below the repository, and its verified `bytes`; both stay empty
 * when there is none. */
static defupd_code read_manifest_bytes(const struct defupd_repo *repo, const struct du_dirs *dirs,
                                       struct du_state *state, const char *component,
                                       struct du_buf *path, struct du_buf *bytes,
                                       struct du_verified *verified, defupd_error *err)
{
    DU_AUTO_FD dir = -1;
    char target_path[DU_META_NAME];
    struct du_target target;
    const char *name;
    bool found;

    (void)snprintf(target_path, sizeof target_path, "%s/manifest.xml", component);
    DU_TRY(find_target(repo, dirs, state, target_path, &target, &found, err));
    if (!found)
        return DEFUPD_OK;
    DU_TRY(du_target_path(state->trust, &target, target_path, path, err));
    name = strrchr(du_buf_text(path), '/');
    name = name == NULL ? du_buf_text(path) : name + 1;
    if (du_dir_open(repo->sys, dirs->targets, component, false, 0, &dir, err) != DEFUPD_OK ||
        du_file_read(repo->sys, dir, name, bytes, err) != DEFUPD_OK)
        return du_err_prefix(err, "%s", du_buf_text(path));
    return du_target_check(&target, du_buf_bytes(bytes), du_buf_text(path), verified, err);
}

static defupd_code read_manifest(const struct defupd_repo *repo, const struct du_dirs *dirs,
                                 struct du_state *state, const char *component,
                                 struct du_manifest **out, defupd_error *err)
{
    DU_AUTO_BUF path = DU_BUF(PATH_TEXT_MAX), bytes = DU_BUF(DU_MANIFEST_BYTES_MAX);
    struct du_verified verified;

    DU_TRY(read_manifest_bytes(repo, dirs, state, component, &path, &bytes, &verified, err));
    if (path.len == 0)
        return DEFUPD_OK;
    return du_manifest_parse(out, &verified, component, du_buf_text(&path), err);
}

defupd_code du_state_manifest(const struct defupd_repo *repo, const struct du_dirs *dirs,
                              struct du_state *state, const char *component,
                              struct du_manifest **out, defupd_error *err)
{
    *out = NULL;
    if (read_manifest(repo, dirs, state, component, out, err) != DEFUPD_OK)
        return damaged(repo, err);
    return DEFUPD_OK;
}

defupd_code du_state_manifest_bytes(const struct defupd_repo *repo, const struct du_dirs *dirs,
                                    struct du_state *state, const char *component,
                                    struct du_buf *path, struct du_buf *bytes,
                                    struct du_verified *verified, defupd_error *err)
{
    if (read_manifest_bytes(repo, dirs, state, component, path, bytes, verified, err) != DEFUPD_OK)
        return damaged(repo, err);
    return DEFUPD_OK;
}

/* --- the next state --- */

static defupd_code take_next_root(struct du_state *state, const struct du_role_doc *root,
                                  const struct du_trust_time *time, defupd_error *err)
{
    bool rotated;

    if (root == NULL)
        return DEFUPD_OK;
    if (state->trust == NULL)
        DU_TRY(du_trust_new(&state->trust, du_buf_bytes(&root->bytes), "root", err));
    else
        DU_TRY(du_trust_root(state->trust, du_buf_bytes(&root->bytes), "root", err));
    return du_trust_settle(state->trust, time, &rotated, err);
}

/* A component's role, as a client gets to it: by searching. */
static defupd_code take_component(struct du_state *state, const struct du_role_doc *doc,
                                  const struct du_trust_time *time, defupd_error *err)
{
    DU_AUTO_SEARCH *search = NULL;
    char target_path[DU_META_NAME];
    enum du_search_step step;

    (void)snprintf(target_path, sizeof target_path, "%s/manifest.xml", doc->name);
    DU_TRY(du_search_new(&search, state->trust, target_path, time, err));
    DU_TRY(du_search_next(search, &step, err));
    if (step != DU_SEARCH_NEED || strcmp(du_search_role(search), doc->name) != 0)
        return DU_FAIL(err, DEFUPD_E_BUG, "%s is not looked for in its own role", target_path);
    return du_search_give(search, du_buf_bytes(&doc->bytes), doc->name, err);
}

/* The next metadata in the order in which a client gets it. */
static defupd_code take_next(struct du_state *state, const struct du_next *next, defupd_error *err)
{
    const struct du_trust_time time = { .now = state->now };
    const struct du_role_doc *timestamp = du_role_set_find(&next->set, "timestamp");
    const struct du_role_doc *snapshot = du_role_set_find(&next->set, "snapshot");
    const struct du_role_doc *targets = du_role_set_find(&next->set, "targets");
    enum du_news news = DU_NEWS;

    DU_TRY(take_next_root(state, du_role_set_find(&next->set, "root"), &time, err));
    if (timestamp != NULL)
        DU_TRY(du_trust_timestamp(state->trust, du_buf_bytes(&timestamp->bytes), "timestamp", &time,
                                  &news, err));
    if (news != DU_NEWS)
        return DU_FAIL(err, DEFUPD_E_BUG, "the new timestamp says nothing new");
    /* With a new timestamp key clients forget the snapshot, and read it again. */
    if (snapshot == NULL && du_trust_version(state->trust, "snapshot") == 0)
        snapshot = &state->set.doc[DU_ROLE_SNAPSHOT];
    if (snapshot != NULL)
        DU_TRY(du_trust_snapshot(state->trust, du_buf_bytes(&snapshot->bytes), "snapshot", &time,
                                 err));
    if (targets != NULL)
        DU_TRY(
            du_trust_targets(state->trust, du_buf_bytes(&targets->bytes), "targets", &time, err));
    for (size_t i = 0; i < next->set.components; i++)
        DU_TRY(take_component(state, &next->set.component[i], &time, err));
    for (unsigned r = 0; r < DU_ROLES; r++)
        if (du_trust_version(state->trust, du_role_name((enum du_role)r)) == 0)
            return DU_FAIL(err, DEFUPD_E_BUG, "the root does not vouch for %s",
                           du_role_name((enum du_role)r));
    return DEFUPD_OK;
}

static defupd_code take_manifest(struct du_state *state, const char *component,
                                 struct du_bytes manifest, defupd_error *err)
{
    DU_AUTO_SEARCH *search = NULL;
    DU_AUTO_MANIFEST *parsed = NULL;
    char target_path[DU_META_NAME];
    struct du_verified verified;
    enum du_search_step step;

    (void)snprintf(target_path, sizeof target_path, "%s/manifest.xml", component);
    DU_TRY(du_search_new(&search, state->trust, target_path, &any_time, err));
    DU_TRY(du_search_next(search, &step, err));
    if (step != DU_SEARCH_FOUND)
        return DU_FAIL(err, DEFUPD_E_BUG, "%s is not among the targets", target_path);
    DU_TRY(du_target_check(du_search_target(search), manifest, target_path, &verified, err));
    return du_manifest_parse(&parsed, &verified, component, target_path, err);
}

/* Digest of a component's manifest as a role's content states it; NULL when it does not. */
static const char *stated_in(const struct du_role_set *set, const char *role, const char *component)
{
    const struct du_role_doc *doc = du_role_set_find(set, role);
    char path[DU_META_NAME];

    (void)snprintf(path, sizeof path, "%s/manifest.xml", component);
    if (doc == NULL)
        return NULL;
    return du_json_string(
        du_json_object(du_json_object(du_json_object(du_role_doc_part(doc), "targets"), path),
                       "hashes"),
        "sha256");
}

static const char *stated(const struct du_role_set *set, const char *component)
{
    const char *own = stated_in(set, component, component);

    return own != NULL ? own : stated_in(set, "targets", component);
}

/* Every manifest that a change names anew, but the one that is not written yet. */
struct others {
    const struct defupd_repo *repo;
    const struct du_dirs *dirs;
    struct du_state *state;
    const struct du_next *next;
    const char *but;
    defupd_error *err;
    defupd_code rc;
};

static void take_other(void *user, const char *name)
{
    struct others *others = user;
    const char *before = stated(&others->state->set, name);
    const char *after = stated(&others->next->set, name);
    DU_AUTO_MANIFEST *manifest = NULL;

    if (others->rc != DEFUPD_OK || (others->but != NULL && strcmp(others->but, name) == 0) ||
        after == NULL || (before != NULL && strcmp(before, after) == 0))
        return;
    others->rc =
        read_manifest(others->repo, others->dirs, others->state, name, &manifest, others->err);
}

static defupd_code check_next(const struct defupd_repo *repo, const struct du_dirs *dirs,
                              struct du_state *state, const struct du_next *next,
                              const char *component, struct du_bytes manifest, defupd_error *err)
{
    struct others others = { repo, dirs, state, next, component, err, DEFUPD_OK };

    DU_TRY(take_next(state, next, err));
    if (component != NULL)
        DU_TRY(take_manifest(state, component, manifest, err));
    DU_TRY(du_trust_components(state->trust, take_other, &others, err));
    return others.rc;
}

defupd_code du_state_check_next(const struct defupd_repo *repo, const struct du_dirs *dirs,
                                struct du_state *state, const struct du_next *next,
                                const char *component, struct du_bytes manifest, defupd_error *err)
{
    const defupd_code rc = check_next(repo, dirs, state, next, component, manifest, err);
    const defupd_error why = *err;

    if (rc == DEFUPD_OK || rc == DEFUPD_E_NOMEM || (rc == DEFUPD_E_IO && !du_is_missing(err)))
        return rc;
    return du_err_set(err, rc == DEFUPD_E_IO ? DEFUPD_E_REPO : DEFUPD_E_BUG, 0, why.origin,
                      why.line, "clients would refuse what was to be published, so it is not: %s",
                      why.message);
}
