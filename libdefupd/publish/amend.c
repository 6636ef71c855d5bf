/* SPDX-License-Identifier: Apache-2.0 */
/* Changing what is said of a published release: that it is withdrawn, or how it is rolled out. Its
 * tree and objects stay what they are. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/when.h"
#include "bundle/bundle.h"
#include "delta/delta.h"
#include "plan/plan.h"
#include "publish/publish_priv.h"

static defupd_code check(const defupd_repo_amendment *amend, defupd_error *err)
{
    if (amend == NULL || amend->struct_size != sizeof *amend)
        return DU_FAIL(err, DEFUPD_E_INVALID, "amendment is from another version of the header");
    DU_TRY(du_edition_check_name(amend->component, amend->version, err));
    switch ((defupd_repo_amendment_kind)amend->kind) {
    case DEFUPD_REPO_WITHDRAW:
        if (amend->replace_by == amend->version)
            return DU_FAIL(err, DEFUPD_E_INVALID, "a release cannot replace itself");
        return du_edition_text("reason", amend->reason, DU_TEXT_PUBLISH_MAX, err);
    case DEFUPD_REPO_ROLLOUT_SET:
        if (amend->rollout == NULL)
            return DU_FAIL(err, DEFUPD_E_INVALID, "no roll-out to set");
        return du_edition_check_rollout(amend->rollout, err);
    case DEFUPD_REPO_ROLLOUT_PAUSE:
    case DEFUPD_REPO_ROLLOUT_RESUME: return DEFUPD_OK;
    }
    return DU_FAIL(err, DEFUPD_E_INVALID, "no such kind of amendment: %u", amend->kind);
}

static defupd_code find(struct du_manifest *manifest, const char *component, uint64_t version,
                        struct du_release **release, defupd_error *err)
{
    for (size_t i = 0; manifest != NULL && i < manifest->count; i++) {
        if (manifest->release[i].version == version) {
            *release = &manifest->release[i];
            return DEFUPD_OK;
        }
    }
    if (manifest == NULL || manifest->count == 0)
        return DU_FAIL(err, DEFUPD_E_NO_RELEASE, "no release of %s is published", component);
    return DU_FAIL(err, DEFUPD_E_NO_RELEASE,
                   "the manifest has no release %llu of %s: it lists %zu, from %llu to %llu",
                   (unsigned long long)version, component, manifest->count,
                   (unsigned long long)manifest->release[manifest->count - 1].version,
                   (unsigned long long)manifest->release[0].version);
}

/* --- withdrawal --- */

/* Where hosts go that have the release: what their own planner says, for one that has nothing else
 * on disk and that no gate of its own keeps. */
static uint64_t goes_to(const struct du_manifest *manifest, const struct du_release *from,
                        int64_t now)
{
    static const char *const codecs[] = { DU_BUNDLE_CODEC, DU_DELTA_CODEC, NULL };
    const struct du_plan_facts facts = { .order = DU_ORDER_SCHEDULED,
                                         .now = now,
                                         .installed = from->version,
                                         .installed_tree = from->tree,
                                         .cohort = 999,
                                         .codec = codecs };
    struct du_plan plan;

    du_plan_make(&plan, manifest, &facts);
    return plan.target != NULL ? plan.target->version : 0;
}

/* Others that were left for this one: who has them is led on by their own rule, which is worth a
 * word. */
static void warn_of_chain(const struct defupd_repo *repo, const struct du_manifest *manifest,
                          uint64_t version)
{
    for (size_t i = 0; i < manifest->count; i++) {
        const struct du_release *other = &manifest->release[i];
        if (other->withdrawn && other->replace_by == version)
            du_repo_say(repo,
                        "warning: version %llu was withdrawn in favour of %llu, which is withdrawn "
                        "now: name another by 'withdraw' once more",
                        (unsigned long long)other->version, (unsigned long long)version);
    }
}

static defupd_code withdraw(const struct defupd_repo *repo, defupd_repo_amendment *amend,
                            struct du_manifest *manifest, struct du_release *release, int64_t now,
                            defupd_error *err)
{
    struct du_release *other = NULL;
    char *reason = NULL;

    if (amend->replace_by != 0) {
        DU_TRY(find(manifest, amend->component, amend->replace_by, &other, err));
        if (other->withdrawn)
            return DU_FAIL(err, DEFUPD_E_WITHDRAWN, "version %llu is withdrawn itself",
                           (unsigned long long)amend->replace_by);
    }
    if (amend->reason != NULL && amend->reason[0] != '\0') {
        reason = du_strdup(amend->reason);
        if (reason == NULL)
            return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a manifest");
    }
    if (amend->reason != NULL) {
        free(release->withdrawn_reason);
        release->withdrawn_reason = reason;
    }
    if (other != NULL)
        release->replace_by = other->version;
    if (!release->withdrawn)
        release->withdrawn_at = now;
    release->withdrawn = true;
    release->deltas = 0; /* nobody goes there, nor through it */
    warn_of_chain(repo, manifest, release->version);
    return DEFUPD_OK;
}

/* --- roll-out --- */

/* From now on nobody who is not there takes it. One that had no roll-out gets the one that it had
 * in effect. */
static defupd_code hold_back(struct du_release *release, int64_t now, defupd_error *err)
{
    const defupd_repo_step all = { .struct_size = sizeof all, .permille = 1000 };
    const defupd_repo_rollout whole = {
        .struct_size = sizeof whole, .start = release->published, .steps = &all, .step_count = 1
    };

    if (release->rollout_paused)
        return DU_FAIL(err, DEFUPD_E_INVALID, "its roll-out is paused already");
    if (!release->has_rollout && !du_edition_set_rollout(release, &whole, now))
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a roll-out");
    release->rollout_paused = true;
    release->rollout_paused_at = now;
    return DEFUPD_OK;
}

/* It goes on where it was: steps that had not begun come later by the time that it stood still. */
static defupd_code go_on(struct du_release *release, int64_t now, defupd_error *err)
{
    const int64_t since = release->rollout_paused_at > release->rollout_start
                              ? release->rollout_paused_at
                              : release->rollout_start;

    if (!release->rollout_paused)
        return DU_FAIL(err, DEFUPD_E_INVALID, "its roll-out is not paused");
    if (now > since)
        release->rollout_start += now - since;
    release->rollout_paused = false;
    release->rollout_paused_at = 0;
    return DEFUPD_OK;
}

static defupd_code change_rollout(const struct defupd_repo *repo, defupd_repo_amendment *amend,
                                  struct du_release *release, int64_t now, defupd_error *err)
{
    if (release->withdrawn)
        return DU_FAIL(err, DEFUPD_E_WITHDRAWN, "it is withdrawn: no host takes it");
    switch ((defupd_repo_amendment_kind)amend->kind) {
    case DEFUPD_REPO_ROLLOUT_PAUSE: return hold_back(release, now, err);
    case DEFUPD_REPO_ROLLOUT_RESUME: return go_on(release, now, err);
    case DEFUPD_REPO_ROLLOUT_SET: break;
    case DEFUPD_REPO_WITHDRAW: return DU_FAIL(err, DEFUPD_E_BUG, "no change of a roll-out");
    }
    if (!du_edition_set_rollout(release, amend->rollout, now))
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a roll-out");
    if (release->rollout_paused)
        du_repo_say(repo, "warning: the roll-out is still paused");
    return DEFUPD_OK;
}

/* --- */

static defupd_code change(const struct defupd_repo *repo, struct du_work *work,
                          struct du_edition *edition, defupd_repo_amendment *amend,
                          defupd_error *err)
{
    const int64_t now = work->state.now;
    struct du_manifest *manifest = edition->manifest;
    const bool withdraws = amend->kind == DEFUPD_REPO_WITHDRAW;
    uint64_t keep = amend->version;
    struct du_release *release = NULL;

    DU_TRY(find(manifest, amend->component, amend->version, &release, err));
    if (withdraws)
        DU_TRY(withdraw(repo, amend, manifest, release, now, err));
    else
        DU_TRY(change_rollout(repo, amend, release, now, err));
    if (amend->replace_by != 0 && amend->replace_by < keep)
        keep = amend->replace_by;
    du_choose_trim(manifest);
    DU_TRY(du_edition_fit(edition, keep, err));
    /* The array may have moved. */
    DU_TRY(find(manifest, amend->component, amend->version, &release, err));
    amend->goes_to = withdraws ? goes_to(manifest, release, now) : 0;
    amend->start = release->rollout_start;
    return DEFUPD_OK;
}

static defupd_code amend_release(struct defupd_repo *repo, defupd_repo_amendment *amend,
                                 defupd_error *err)
{
    static const char *const words[] = { [DEFUPD_REPO_WITHDRAW] = "withdraw",
                                         [DEFUPD_REPO_ROLLOUT_SET] = "rollout set",
                                         [DEFUPD_REPO_ROLLOUT_PAUSE] = "rollout pause",
                                         [DEFUPD_REPO_ROLLOUT_RESUME] = "rollout resume" };
    DU_AUTO(du_edition_end) struct du_edition edition = DU_EDITION;
    DU_AUTO_WORK work = DU_WORK;
    DU_AUTO_NEXT next = { 0 };
    char what[DU_NAME_MAX + DU_VERSION_TEXT + 32];

    DU_TRY(du_work_begin(repo, &work, err));
    DU_TRY(du_edition_begin(repo, &work, amend->component, amend->pending != 0, &edition, err));
    DU_TRY(change(repo, &work, &edition, amend, err));
    DU_TRY(du_edition_sign(repo, &work, &edition, &next, err));
    (void)snprintf(what, sizeof what, "%s %s %llu", words[amend->kind], amend->component,
                   (unsigned long long)amend->version);
    DU_TRY(du_edition_publish(repo, &work, &edition, &next, what, err));
    amend->is_pending = edition.is_pending;
    amend->dropped = edition.dropped;
    return DEFUPD_OK;
}

defupd_code defupd_repo_amend(defupd_repo *repo, defupd_repo_amendment *amend, defupd_error *error)
{
    defupd_error scratch, *err = error != NULL ? error : &scratch;

    if (repo == NULL)
        return DU_FAIL(err, DEFUPD_E_INVALID, "no repository");
    DU_TRY(check(amend, err));
    if (amend_release(repo, amend, err) != DEFUPD_OK)
        return du_err_prefix(err, "%s %llu", amend->component, (unsigned long long)amend->version);
    return DEFUPD_OK;
}
