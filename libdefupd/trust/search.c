/* SPDX-License-Identifier: Apache-2.0 */
/* 5.6.7: which role speaks for a target. A pre-order depth-first walk that asks its caller for
 * metadata instead of reading it. */
#include <stdlib.h>
#include <string.h>

#include "base/scope.h"
#include "trust/trust_priv.h"

#define PENDING_MAX \
    4096 /* delegations that wait; only the first DU_ROLES_VISITED_MAX are visited */

struct step {
    const char *name;
    const struct du_json *keys, *role; /* of the delegation by which it is reached */
};

struct du_search {
    struct du_trust *trust;
    const struct du_trust_time *time;
    char *path;
    struct du_target target;
    struct step *pending; /* a stack: the next to visit is the last */
    size_t pending_count;
    const char *visited[DU_ROLES_VISITED_MAX];
    size_t visited_count;
    struct step current;
    struct du_doc *found; /* metadata of `current`, when it is there; borrowed from trust */
    bool begun;
};

/* [ and \ are plain bytes: PATHPATTERN (4.5) names `*` and `?` alone. Backtracks to the last `*`
 * only, so the time is at most the product of the lengths. */
bool du_glob_match(const char *pattern, const char *path)
{
    const char *star = NULL, *retry = NULL;

    while (*path != '\0') {
        if (*pattern == '*') {
            star = ++pattern;
            retry = path;
        } else if (*pattern == *path || (*pattern == '?' && *path != '/')) {
            pattern++;
            path++;
        } else if (star != NULL && *retry != '/') {
            pattern = star;
            path = ++retry;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}

static bool hash_prefix_matches(const struct du_json *prefixes, const char *path)
{
    unsigned char digest[DU_SHA256_BYTES];
    char hex[DU_SHA256_HEX + 1];

    du_sha256(digest, path, strlen(path));
    du_hex(hex, digest, sizeof digest);
    for (size_t i = 0; i < du_json_count(prefixes); i++) {
        const char *prefix = du_json_text(du_json_at(prefixes, i));
        if (strncmp(hex, prefix, strlen(prefix)) == 0)
            return true;
    }
    return false;
}

/* 4.5: "Clients MUST check that a target is in one of the trusted paths of all roles in a
 * delegation chain": a delegation that does not match is not walked at all. */
static bool delegates(const struct du_json *role, const char *path)
{
    const struct du_json *paths = du_json_array(role, "paths");

    for (size_t i = 0; i < du_json_count(paths); i++) {
        if (du_glob_match(du_json_text(du_json_at(paths, i)), path))
            return true;
    }
    return hash_prefix_matches(du_json_array(role, "path_hash_prefixes"), path);
}

void du_search_freep(struct du_search **search)
{
    if (*search != NULL) {
        free((*search)->pending);
        free((*search)->path);
        free(*search);
    }
    *search = NULL;
}

defupd_code du_search_new(struct du_search **out, struct du_trust *trust, const char *target_path,
                          const struct du_trust_time *time, defupd_error *err)
{
    DU_AUTO_SEARCH *search = calloc(1, sizeof *search);

    if (search == NULL || (search->path = strdup(target_path)) == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a search");
    search->trust = trust;
    search->time = time;
    *out = du_take(&search);
    return DEFUPD_OK;
}

static bool was_visited(const struct du_search *search, const char *name)
{
    for (size_t i = 0; i < search->visited_count; i++) {
        if (strcmp(search->visited[i], name) == 0)
            return true;
    }
    return false;
}

/* 5.6.7.1, end: metadata about the target in this role? */
static defupd_code look_up(struct du_search *search, const struct du_doc *doc, bool *found,
                           defupd_error *err)
{
    const struct du_json *target =
        du_json_object(du_json_object(doc->content, "targets"), search->path);
    struct du_target *out = &search->target;
    int64_t length = 0;

    *found = target != NULL;
    if (!*found)
        return DEFUPD_OK;
    if (!du_json_int(target, "length", &length) || length < 0)
        return DU_FAIL(err, DEFUPD_E_METADATA_FORMAT, "target %s has no length", search->path);
    out->length = (uint64_t)length;
    DU_TRY(du_hashes_parse(du_json_object(target, "hashes"), &out->has_sha256, out->sha256,
                           &out->has_sha512, out->sha512, search->path, err));
    if (!out->has_sha256 && !out->has_sha512)
        return DU_FAIL(err, DEFUPD_E_METADATA_FORMAT,
                       "%s: neither a sha256 nor a sha512 hash is signed", search->path);
    return DEFUPD_OK;
}

/* 5.6.7.2: its matching delegations come next, in their order and before all that waited. After a
 * terminating one nothing that waits is looked at any more. */
static defupd_code push(struct du_search *search, const struct du_doc *doc, defupd_error *err)
{
    const struct du_json *delegations = du_json_object(doc->content, "delegations");
    const struct du_json *keys = du_json_object(delegations, "keys");
    const struct du_json *roles = du_json_array(delegations, "roles");
    size_t count = 0, waiting = search->pending_count;
    bool terminating = false;
    struct step *grown;

    grown = reallocarray(search->pending, waiting + du_json_count(roles) + 1, sizeof *grown);
    if (grown == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a search");
    search->pending = grown;
    for (size_t i = 0; i < du_json_count(roles) && !terminating; i++) {
        const struct du_json *role = du_json_at(roles, i);
        if (!delegates(role, search->path))
            continue;
        grown[waiting + count++] = (struct step){ du_json_string(role, "name"), keys, role };
        (void)du_json_bool(role, "terminating", &terminating);
    }
    if (terminating) {
        memmove(grown, grown + waiting, count * sizeof *grown);
        waiting = 0;
    }
    for (size_t i = 0; i < count / 2; i++) { /* the first one on top */
        const struct step swap = grown[waiting + i];
        grown[waiting + i] = grown[waiting + count - 1 - i];
        grown[waiting + count - 1 - i] = swap;
    }
    search->pending_count = waiting + count;
    if (search->pending_count > PENDING_MAX)
        return DU_FAIL(err, DEFUPD_E_METADATA_LIMIT, "%s: more than %d delegations to search",
                       search->path, PENDING_MAX);
    return DEFUPD_OK;
}

/* What we have of the role is usable when it is exactly what the snapshot lists, and signed as this
 * delegation asks: another may have led here before. */
static defupd_code usable(const struct du_search *search, struct du_doc *doc, bool *yes,
                          defupd_error *err)
{
    const struct step *step = &search->current;
    defupd_error why = { 0 };
    struct du_meta meta;
    bool listed;
    defupd_code rc;

    *yes = false;
    if (doc == NULL)
        return DEFUPD_OK;
    DU_TRY(du_trust_listed(search->trust, step->name, &meta, &listed, err));
    if (search->time != NULL && (!listed || !du_meta_fits(&meta, doc)))
        return DEFUPD_OK;
    rc = du_doc_verify(doc, step->keys, step->role, search->trust->checked, step->name, step->name,
                       &why);
    if (rc == DEFUPD_E_NOMEM)
        return DU_FAIL(err, rc, "%s", why.message);
    if (rc != DEFUPD_OK)
        return DEFUPD_OK;
    /* 5.6.5; asking again could not bring a newer one. */
    DU_TRY(du_expiry_check(doc, step->name, search->time, false, step->name, err));
    *yes = true;
    return DEFUPD_OK;
}

static defupd_code visit(struct du_search *search, const char *name, const struct du_doc *doc,
                         enum du_search_step *step, bool *done, defupd_error *err)
{
    search->visited[search->visited_count++] = name;
    DU_TRY(look_up(search, doc, done, err));
    *step = DU_SEARCH_FOUND;
    return *done ? DEFUPD_OK : push(search, doc, err);
}

defupd_code du_search_next(struct du_search *search, enum du_search_step *step, defupd_error *err)
{
    bool done = false, yes;

    if (!search->begun) {
        search->begun = true;
        *step = DU_SEARCH_NONE;
        if (search->trust->targets == NULL)
            return DEFUPD_OK;
        DU_TRY(visit(search, "targets", search->trust->targets, step, &done, err));
    }
    while (!done) {
        if (search->current.name == NULL) {
            *step = DU_SEARCH_NONE;
            /* 5.6.7.1: cycles are cut, and a limit bounds what a search can cost */
            if (search->pending_count == 0 || search->visited_count == DU_ROLES_VISITED_MAX)
                return DEFUPD_OK;
            search->current = search->pending[--search->pending_count];
            if (was_visited(search, search->current.name)) {
                search->current.name = NULL;
                continue;
            }
        }
        search->found = du_trust_doc(search->trust, search->current.name);
        DU_TRY(usable(search, search->found, &yes, err));
        *step = DU_SEARCH_NEED;
        if (!yes)
            return DEFUPD_OK;
        DU_TRY(visit(search, search->current.name, search->found, step, &done, err));
        search->current.name = NULL;
    }
    return DEFUPD_OK;
}

const char *du_search_role(const struct du_search *search)
{
    return search->current.name;
}

defupd_code du_search_give(struct du_search *search, struct du_bytes bytes, const char *what,
                           defupd_error *err)
{
    const struct step *step = &search->current;
    struct du_doc *doc = NULL;

    if (step->name == NULL)
        return DU_FAIL(err, DEFUPD_E_BUG, "%s: nothing was asked for", what);
    DU_TRY(du_targets_take(&doc, search->trust, step->name, step->keys, step->role, bytes, what,
                           search->time, err));
    return du_trust_keep(search->trust, step->name, doc, err);
}

const struct du_target *du_search_target(const struct du_search *search)
{
    return &search->target;
}
