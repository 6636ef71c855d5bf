/* SPDX-License-Identifier: Apache-2.0 */
#include "base/when.h"
#include "publish/publish_priv.h"

void du_work_end(struct du_work *work)
{
    du_keyring_free(&work->ring);
    du_state_free(&work->state);
    du_dirs_close(&work->dirs);
}

defupd_code du_work_begin(const struct defupd_repo *repo, struct du_work *work, defupd_error *err)
{
    DU_TRY(du_repo_go_on(repo, err));
    DU_TRY(du_dirs_open(repo, &work->dirs, true, err));
    DU_TRY(du_state_load_cut(repo, &work->dirs, &work->state, err));
    DU_TRY(du_keyring_load(repo, &work->ring, err));
    DU_TRY(du_keyring_warn(repo, work->dirs.top, err));
    return du_pin_check(repo, &work->dirs, &work->state, err);
}

defupd_code du_work_cover(const struct du_work *work, struct du_next *next, defupd_error *err)
{
    const struct du_state *state = &work->state;
    struct du_authority authority[2];
    struct du_json *part;

    if (du_next_authorities(state, next, "targets", authority) > 1 ||
        !du_authority_same(authority[0],
                           du_authority_of(du_state_part(state, "root"), NULL, "targets")) ||
        du_trust_version(state->trust, "targets") == 0)
        DU_TRY(du_next_edit(&work->dirs, state, next, "targets", &part, err));
    next->snapshot = next->snapshot || du_trust_version(state->trust, "snapshot") == 0;
    next->timestamp = next->timestamp || du_trust_version(state->trust, "timestamp") == 0;
    return DEFUPD_OK;
}

defupd_code du_work_write(const struct defupd_repo *repo, struct du_work *work,
                          const struct du_next *next, defupd_error *err)
{
    const struct du_role_doc *root = du_role_set_find(&next->set, "root");

    DU_TRY(du_repo_go_on(repo, err)); /* the last chance */
    DU_TRY(du_next_write(repo, &work->dirs, next, err));
    if (root != NULL)
        DU_TRY(du_pin_move(repo, root, err));
    if (!next->was_pending)
        du_pending_warn(repo, next);
    return DEFUPD_OK;
}

void du_work_say(const struct defupd_repo *repo, const struct du_next *next)
{
    char expires[DU_TIME_TEXT];
    size_t at = 0;

    for (const struct du_role_doc *doc; (doc = du_role_set_at(&next->set, &at)) != NULL;) {
        du_time_format(expires, doc->expires);
        du_repo_say(repo, "signed %s version %llu, valid until %s", doc->name,
                    (unsigned long long)doc->version, expires);
    }
}
