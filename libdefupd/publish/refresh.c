/* SPDX-License-Identifier: Apache-2.0 */
#include "base/when.h"
#include "publish/publish_priv.h"

#define ROOT_WARN_S (60 * 24 * 3600) /* a new root is a ceremony: people need time for it */

static bool past_half(const struct du_state *state, enum du_role role)
{
    return state->doc[role].expires - state->now < du_role_life_s(role) / 2;
}

/* Take a role along when it is due and its keys are there; tell when it is due and they are not. */
static bool due(const struct defupd_repo *repo, const struct du_state *state,
                const struct du_keyring *ring, enum du_role role)
{
    char expires[DU_TIME_TEXT];
    defupd_error why;

    if (!past_half(state, role))
        return false;
    if (du_role_can_sign(ring, du_state_part(state, DU_ROLE_ROOT), role, repo->keys_path, &why) ==
        DEFUPD_OK)
        return true;
    du_time_format(expires, state->doc[role].expires);
    du_repo_say(repo, "warning: %s expires at %s and is not signed anew: %s", du_role_name(role),
                expires, why.message);
    return false;
}

static defupd_code refresh(struct defupd_repo *repo, defupd_error *err)
{
    DU_AUTO_DIRS dirs = DU_DIRS;
    DU_AUTO_KEYRING ring = { 0 };
    DU_AUTO_STATE state = { 0 };
    DU_AUTO_NEXT next = { 0 };
    defupd_error no_snapshot;
    char expires[DU_TIME_TEXT];

    DU_TRY(du_dirs_open(repo, &dirs, true, err));
    DU_TRY(du_state_load(repo, &dirs, &state, err));
    DU_TRY(du_keyring_load(repo, &ring, err));
    DU_TRY(du_keyring_warn(repo, dirs.top, err));
    /* New targets need a new snapshot, so they wait for its keys too. */
    next.targets = due(repo, &state, &ring, DU_ROLE_TARGETS) &&
                   du_role_can_sign(&ring, du_state_part(&state, DU_ROLE_ROOT), DU_ROLE_SNAPSHOT,
                                    repo->keys_path, &no_snapshot) == DEFUPD_OK;
    next.snapshot = next.targets || due(repo, &state, &ring, DU_ROLE_SNAPSHOT);
    DU_TRY(du_next_can_sign(repo, &state, &ring, &next, err));
    DU_TRY(du_next_make(&dirs, &state, &ring, &next, NULL, (struct du_bytes){ 0 }, err));
    DU_TRY(du_next_write(repo, &dirs, &next, err));
    if (state.doc[DU_ROLE_ROOT].expires - state.now < ROOT_WARN_S) {
        du_time_format(expires, state.doc[DU_ROLE_ROOT].expires);
        du_repo_say(repo, "warning: root expires at %s", expires);
    }
    for (unsigned r = 0; r < DU_ROLES; r++) {
        if (next.doc[r].json == NULL)
            continue;
        du_time_format(expires, next.doc[r].expires);
        du_repo_say(repo, "signed %s version %llu, valid until %s", du_role_name((enum du_role)r),
                    (unsigned long long)next.doc[r].version, expires);
    }
    return DEFUPD_OK;
}

defupd_code defupd_repo_refresh(defupd_repo *repo, defupd_error *error)
{
    defupd_error scratch, *err = error != NULL ? error : &scratch;

    if (repo == NULL)
        return DU_FAIL(err, DEFUPD_E_INVALID, "no repository");
    return refresh(repo, err);
}
