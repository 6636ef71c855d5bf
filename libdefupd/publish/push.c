/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "publish/publish_priv.h"

void du_next_free(struct du_next *next)
{
    for (unsigned i = 0; i < DU_ROLES; i++)
        du_role_doc_free(&next->doc[i]);
}

defupd_code du_next_can_sign(const struct defupd_repo *repo, const struct du_state *state,
                             const struct du_keyring *ring, const struct du_next *next,
                             defupd_error *err)
{
    const struct du_json *root = du_state_part(state, DU_ROLE_ROOT);

    if (next->targets)
        DU_TRY(du_role_can_sign(ring, root, DU_ROLE_TARGETS, repo->keys_path, err));
    if (next->snapshot)
        DU_TRY(du_role_can_sign(ring, root, DU_ROLE_SNAPSHOT, repo->keys_path, err));
    return du_role_can_sign(ring, root, DU_ROLE_TIMESTAMP, repo->keys_path, err);
}

/* The next version of a role whose file no interrupted run has left behind: a versioned name never
 * gets a second content, which a cache or mirror may have taken already. */
static defupd_code next_version(const struct du_dirs *dirs, enum du_role role, uint64_t last,
                                uint64_t *version, defupd_error *err)
{
    char name[DU_META_NAME];

    while (++last <= DU_VERSION_MAX) {
        du_role_file(name, role, last);
        if (role != DU_ROLE_TIMESTAMP &&
            faccessat(dirs->metadata, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
            continue;
        *version = last;
        return DEFUPD_OK;
    }
    return DU_FAIL(err, DEFUPD_E_REPO, "role '%s' has no version left", du_role_name(role));
}

static defupd_code sign_next(const struct du_dirs *dirs, const struct du_state *state,
                             const struct du_keyring *ring, struct du_next *next, enum du_role role,
                             const char *component, struct du_bytes manifest, defupd_error *err)
{
    DU_AUTO_JSON *part = NULL;
    uint64_t version = 0;
    bool complete = true;

    DU_TRY(next_version(dirs, role, state->doc[role].version, &version, err));
    part = du_part_next(&state->doc[role], role, version, state->now);
    if (part != NULL && role == DU_ROLE_TARGETS && component != NULL)
        complete = du_part_target(part, component, manifest);
    if (part != NULL && role == DU_ROLE_SNAPSHOT && next->targets)
        complete = du_part_state(part, DU_ROLE_TARGETS, &next->doc[DU_ROLE_TARGETS]);
    if (part != NULL && role == DU_ROLE_TIMESTAMP && next->snapshot)
        complete = du_part_state(part, DU_ROLE_SNAPSHOT, &next->doc[DU_ROLE_SNAPSHOT]);
    if (part == NULL || !complete)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for role '%s'", du_role_name(role));
    return du_role_doc_sign(&next->doc[role], ring, du_state_part(state, DU_ROLE_ROOT), role,
                            du_take(&part), err);
}

defupd_code du_next_make(const struct du_dirs *dirs, struct du_state *state,
                         const struct du_keyring *ring, struct du_next *next, const char *component,
                         struct du_bytes manifest, defupd_error *err)
{
    if (next->targets)
        DU_TRY(sign_next(dirs, state, ring, next, DU_ROLE_TARGETS, component, manifest, err));
    if (next->snapshot)
        DU_TRY(sign_next(dirs, state, ring, next, DU_ROLE_SNAPSHOT, NULL, manifest, err));
    DU_TRY(sign_next(dirs, state, ring, next, DU_ROLE_TIMESTAMP, NULL, manifest, err));
    return du_state_check_next(state, next, component, manifest, err);
}

/*
 * A crash after any step leaves what readers see as it was:
 *   1. N.targets.json    nobody names it yet
 *   2. N.snapshot.json   nobody names it yet
 *   3. timestamp.json    the rename that shows the new state
 * The next run reads the published state again and passes over the numbers of leftovers.
 * Proven by tests/fault/test_publish_failing_disk.c.
 */
defupd_code du_next_write(const struct defupd_repo *repo, const struct du_dirs *dirs,
                          const struct du_next *next, defupd_error *err)
{
    static const enum du_role order[] = { DU_ROLE_TARGETS, DU_ROLE_SNAPSHOT, DU_ROLE_TIMESTAMP };

    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        const struct du_role_doc *doc = &next->doc[order[i]];
        char name[DU_META_NAME];

        if (doc->json == NULL)
            continue;
        du_role_file(name, order[i], doc->version);
        if (du_file_replace(repo->sys, dirs->metadata, name, doc->bytes.data, doc->bytes.len, 0644,
                            err) != DEFUPD_OK)
            return du_err_prefix(err, "repository %s", repo->dir_path);
    }
    return DEFUPD_OK;
}
