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
    for (unsigned i = 0; i < DU_ROLES; i++)
        du_role_doc_free(&state->doc[i]);
    du_trust_freep(&state->trust);
}

const struct du_json *du_state_part(const struct du_state *state, enum du_role role)
{
    return du_json_object(state->doc[role].json, "signed");
}

void du_role_file(char name[DU_META_NAME], enum du_role role, uint64_t version)
{
    if (role == DU_ROLE_TIMESTAMP)
        (void)snprintf(name, DU_META_NAME, "%s.json", du_role_name(role));
    else
        (void)snprintf(name, DU_META_NAME, "%llu.%s.json", (unsigned long long)version,
                       du_role_name(role));
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
    return du_err_set(err, DEFUPD_E_REPO, why.sys_errno, why.origin, "repository %s: %s",
                      repo->dir_path, why.message);
}

/* Read metadata/NAME into a fresh document. */
static defupd_code read_role(const struct defupd_repo *repo, const struct du_dirs *dirs,
                             enum du_role role, const char *name, struct du_role_doc *doc,
                             defupd_error *err)
{
    du_role_doc_free(doc);
    doc->bytes = DU_BUF(du_role_max(role));
    return du_file_read(repo->sys, dirs->metadata, name, &doc->bytes, err);
}

static defupd_code load_roots(const struct defupd_repo *repo, const struct du_dirs *dirs,
                              struct du_state *state, defupd_error *err)
{
    struct du_role_doc *doc = &state->doc[DU_ROLE_ROOT];
    char name[DU_META_NAME], what[DU_META_NAME + 16];

    for (uint64_t n = 1; n <= ROOTS_MAX; n++) {
        DU_AUTO_ROLE_DOC next = { 0 };

        du_role_file(name, DU_ROLE_ROOT, n);
        (void)snprintf(what, sizeof what, "metadata/%s", name);
        if (read_role(repo, dirs, DU_ROLE_ROOT, name, &next, err) != DEFUPD_OK) {
            if (n > 1 && du_is_missing(err))
                break;
            return du_err_prefix(err, "metadata");
        }
        if (n == 1)
            DU_TRY(du_trust_new(&state->trust, du_buf_bytes(&next.bytes), what, err));
        else
            DU_TRY(du_trust_root(state->trust, du_buf_bytes(&next.bytes), what, err));
        DU_TRY(du_role_doc_parse(&next, DU_ROLE_ROOT, what, err));
        du_role_doc_free(doc);
        *doc = next;
        next = (struct du_role_doc){ 0 };
    }
    bool rotated;
    return du_trust_settle(state->trust, NULL, &rotated, err);
}

/* A role that the one above it names. */
static defupd_code load_named(const struct defupd_repo *repo, const struct du_dirs *dirs,
                              struct du_state *state, enum du_role role, defupd_error *err)
{
    DU_AUTO_BUF path = DU_BUF(PATH_TEXT_MAX);
    struct du_role_doc *doc = &state->doc[role];
    const char *what, *name;
    struct du_bytes bytes;
    size_t max;
    bool have;

    DU_TRY(du_trust_want(state->trust, du_role_name(role), &path, &max, &have, err));
    what = du_buf_text(&path);
    name = strrchr(what, '/');
    name = name == NULL ? what : name + 1;
    if (read_role(repo, dirs, role, name, doc, err) != DEFUPD_OK)
        return du_err_prefix(err, "metadata");
    bytes = du_buf_bytes(&doc->bytes);
    if (role == DU_ROLE_SNAPSHOT)
        DU_TRY(du_trust_snapshot(state->trust, bytes, what, &any_time, err));
    else
        DU_TRY(du_trust_targets(state->trust, bytes, what, &any_time, err));
    return du_role_doc_parse(doc, role, what, err);
}

static defupd_code load(const struct defupd_repo *repo, const struct du_dirs *dirs,
                        struct du_state *state, defupd_error *err)
{
    struct du_role_doc *timestamp = &state->doc[DU_ROLE_TIMESTAMP];
    static const char what[] = "metadata/timestamp.json";
    enum du_news news;

    DU_TRY(load_roots(repo, dirs, state, err));
    if (read_role(repo, dirs, DU_ROLE_TIMESTAMP, "timestamp.json", timestamp, err) != DEFUPD_OK)
        return du_err_prefix(err, "metadata");
    DU_TRY(du_trust_timestamp(state->trust, du_buf_bytes(&timestamp->bytes), what, &any_time, &news,
                              err));
    DU_TRY(du_role_doc_parse(timestamp, DU_ROLE_TIMESTAMP, what, err));
    DU_TRY(load_named(repo, dirs, state, DU_ROLE_SNAPSHOT, err));
    return load_named(repo, dirs, state, DU_ROLE_TARGETS, err);
}

defupd_code du_state_load(const struct defupd_repo *repo, const struct du_dirs *dirs,
                          struct du_state *state, defupd_error *err)
{
    state->now = repo->sys->now_s();
    if (load(repo, dirs, state, err) != DEFUPD_OK)
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

static defupd_code read_manifest(const struct defupd_repo *repo, const struct du_dirs *dirs,
                                 struct du_state *state, const char *component,
                                 struct du_manifest **out, defupd_error *err)
{
    DU_AUTO_BUF path = DU_BUF(PATH_TEXT_MAX), bytes = DU_BUF(DU_MANIFEST_BYTES_MAX);
    DU_AUTO_FD dir = -1;
    char target_path[DU_META_NAME];
    struct du_target target;
    struct du_verified verified;
    const char *name;
    bool found;

    (void)snprintf(target_path, sizeof target_path, "%s/manifest.xml", component);
    DU_TRY(find_target(repo, dirs, state, target_path, &target, &found, err));
    if (!found)
        return DEFUPD_OK;
    DU_TRY(du_target_path(state->trust, &target, target_path, &path, err));
    name = strrchr(du_buf_text(&path), '/');
    name = name == NULL ? du_buf_text(&path) : name + 1;
    if (du_dir_open(repo->sys, dirs->targets, component, false, 0, &dir, err) != DEFUPD_OK ||
        du_file_read(repo->sys, dir, name, &bytes, err) != DEFUPD_OK)
        return du_err_prefix(err, "%s", du_buf_text(&path));
    DU_TRY(du_target_check(&target, du_buf_bytes(&bytes), du_buf_text(&path), &verified, err));
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

/* The next metadata in the order in which a client gets it. */
static defupd_code take_next(struct du_state *state, const struct du_next *next, defupd_error *err)
{
    const struct du_trust_time time = { .now = state->now };
    enum du_news news = DU_SAME;

    DU_TRY(du_trust_timestamp(state->trust, du_buf_bytes(&next->doc[DU_ROLE_TIMESTAMP].bytes),
                              "timestamp", &time, &news, err));
    if (news != DU_NEWS)
        return DU_FAIL(err, DEFUPD_E_BUG, "the new timestamp says nothing new");
    if (next->snapshot)
        DU_TRY(du_trust_snapshot(state->trust, du_buf_bytes(&next->doc[DU_ROLE_SNAPSHOT].bytes),
                                 "snapshot", &time, err));
    if (next->targets)
        DU_TRY(du_trust_targets(state->trust, du_buf_bytes(&next->doc[DU_ROLE_TARGETS].bytes),
                                "targets", &time, err));
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

defupd_code du_state_check_next(struct du_state *state, const struct du_next *next,
                                const char *component, struct du_bytes manifest, defupd_error *err)
{
    defupd_code rc = take_next(state, next, err);

    if (rc == DEFUPD_OK && component != NULL)
        rc = take_manifest(state, component, manifest, err);
    if (rc == DEFUPD_OK || rc == DEFUPD_E_NOMEM)
        return rc;
    {
        const defupd_error why = *err;
        return du_err_set(err, DEFUPD_E_BUG, 0, why.origin,
                          "clients would refuse what was to be published, so it is not: %s",
                          why.message);
    }
}
