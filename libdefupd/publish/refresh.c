/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/when.h"
#include "publish/publish_priv.h"

#define ROOT_WARN_S (60 * 24 * 3600) /* a new root is a ceremony: people need time for it */

static struct du_authority authority(const struct du_state *state, const char *name)
{
    return du_authority_of(du_state_part(state, "root"), du_state_part(state, "targets"), name);
}

static int64_t half_life(const struct du_state *state, const struct du_role_doc *doc)
{
    return du_authority_life_s(authority(state, doc->name), doc->role) / 2;
}

/* Take a role along when it is due and its keys are there; tell when it is due and they are not. */
static bool due(const struct defupd_repo *repo, const struct du_work *work,
                const struct du_role_doc *doc)
{
    const struct du_state *state = &work->state;
    char expires[DU_TIME_TEXT];
    defupd_error why;

    if (doc->expires - state->now >= half_life(state, doc))
        return false;
    if (du_sign_can(repo, &work->ring, authority(state, doc->name), doc->name, &why) == DEFUPD_OK)
        return true;
    du_time_format(expires, doc->expires);
    du_repo_say(repo, "warning: %s expires at %s and is not signed anew: %s", doc->name, expires,
                why.message);
    return false;
}

/* Targets and components need a new snapshot, so they wait for its keys too. */
static defupd_code take_due(const struct defupd_repo *repo, const struct du_work *work,
                            struct du_next *next, defupd_error *err)
{
    const struct du_state *state = &work->state;
    const bool can_snapshot = du_sign_can(repo, &work->ring, authority(state, "snapshot"),
                                          "snapshot", &(defupd_error){ 0 }) == DEFUPD_OK;
    size_t at = 0;

    for (const struct du_role_doc *doc; (doc = du_role_set_at(&state->set, &at)) != NULL;) {
        struct du_json *part;

        if (doc->role == DU_ROLE_SNAPSHOT)
            next->snapshot = next->snapshot || due(repo, work, doc);
        else if (doc->role != DU_ROLE_ROOT && doc->role != DU_ROLE_TIMESTAMP &&
                 due(repo, work, doc) && can_snapshot)
            DU_TRY(du_next_edit(&work->dirs, state, next, doc->name, &part, err));
    }
    return DEFUPD_OK;
}

static void warn_of_root(const struct defupd_repo *repo, const struct du_state *state)
{
    const struct du_role_doc *root = &state->set.doc[DU_ROLE_ROOT];
    const int64_t half = half_life(state, root);
    char expires[DU_TIME_TEXT];

    if (root->expires - state->now >= (half < ROOT_WARN_S ? half : ROOT_WARN_S))
        return;
    du_time_format(expires, root->expires);
    du_repo_say(repo, "warning: root expires at %s", expires);
}

static defupd_code check_keys(const struct defupd_repo *repo, const struct du_work *work,
                              const struct du_next *next, defupd_error *err)
{
    if (du_next_needs(&work->state, next, DU_ROLE_SNAPSHOT))
        DU_TRY(
            du_sign_can(repo, &work->ring, authority(&work->state, "snapshot"), "snapshot", err));
    return du_sign_can(repo, &work->ring, authority(&work->state, "timestamp"), "timestamp", err);
}

static defupd_code refresh(struct defupd_repo *repo, defupd_error *err)
{
    DU_AUTO_WORK work = DU_WORK;
    DU_AUTO_NEXT next = { .timestamp = true };

    DU_TRY(du_work_begin(repo, &work, err));
    DU_TRY(take_due(repo, &work, &next, err));
    DU_TRY(du_work_cover(&work, &next, err));
    DU_TRY(check_keys(repo, &work, &next, err));
    DU_TRY(du_next_sign(repo, &work.state, &work.ring, &next, err));
    DU_TRY(du_next_finish(repo, &work.dirs, &work.state, &work.ring, &next, NULL,
                          (struct du_bytes){ 0 }, err));
    DU_TRY(du_work_write(repo, &work, &next, err));
    warn_of_root(repo, &work.state);
    du_work_say(repo, &next);
    return DEFUPD_OK;
}

defupd_code defupd_repo_refresh(defupd_repo *repo, defupd_error *error)
{
    defupd_error scratch, *err = error != NULL ? error : &scratch;

    if (repo == NULL)
        return DU_FAIL(err, DEFUPD_E_INVALID, "no repository");
    return refresh(repo, err);
}
