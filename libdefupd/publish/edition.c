/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "publish/publish_priv.h"

#define AFTER_MAX_S (UINT64_C(3650) * 24 * 3600)

/* --- what people say --- */

defupd_code du_edition_text(const char *what, const char *text, size_t max, defupd_error *err)
{
    if (text == NULL)
        return DEFUPD_OK;
    if (strlen(text) > max)
        return DU_FAIL(err, DEFUPD_E_INVALID, "%s has %zu bytes, at most %zu are allowed", what,
                       strlen(text), max);
    if (!du_utf8_ok(text, strlen(text)))
        return DU_FAIL(err, DEFUPD_E_INVALID, "%s is not UTF-8", what);
    for (const char *at = text; *at != '\0'; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            return DU_FAIL(err, DEFUPD_E_INVALID, "%s has a control character", what);
    return DEFUPD_OK;
}

defupd_code du_edition_check_name(const char *component, uint64_t version, defupd_error *err)
{
    if (component == NULL || !du_name_ok(component))
        return DU_FAIL(err, DEFUPD_E_INVALID,
                       "'%.64s' is not a component name: a-z, 0-9 and '-', at most %d, beginning "
                       "with a letter, and no reserved word",
                       component != NULL ? component : "", DU_NAME_MAX);
    if (version < 1 || version > DU_VERSION_MAX)
        return DU_FAIL(err, DEFUPD_E_INVALID, "version %llu is not from 1 to 2^53 - 1",
                       (unsigned long long)version);
    return DEFUPD_OK;
}

/* --- roll-outs --- */

static bool is_word(const char *text)
{
    const size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                    "0123456789._+-");

    return len > 0 && len <= DU_WORD_MAX && text[len] == '\0';
}

static defupd_code check_step(const defupd_repo_step *step, defupd_error *err)
{
    if (step->struct_size != sizeof *step)
        return DU_FAIL(err, DEFUPD_E_INVALID, "step is from another version of the header");
    if (step->ring != NULL && !is_word(step->ring))
        return DU_FAIL(err, DEFUPD_E_INVALID,
                       "'%.64s' is not the name of a ring: letters, digits and . _ + -, at most %d",
                       step->ring, DU_WORD_MAX);
    if (step->permille > 1000)
        return DU_FAIL(err, DEFUPD_E_INVALID, "a step for %u of 1000 hosts", step->permille);
    if (step->after_s > AFTER_MAX_S)
        return DU_FAIL(err, DEFUPD_E_INVALID, "a step that begins after more than ten years");
    return DEFUPD_OK;
}

defupd_code du_edition_check_rollout(const defupd_repo_rollout *rollout, defupd_error *err)
{
    if (rollout->struct_size != sizeof *rollout)
        return DU_FAIL(err, DEFUPD_E_INVALID, "roll-out is from another version of the header");
    if (rollout->start < 0)
        return DU_FAIL(err, DEFUPD_E_INVALID, "a roll-out that starts before 1970");
    if (rollout->step_count == 0 || rollout->steps == NULL)
        return DU_FAIL(err, DEFUPD_E_INVALID,
                       "a roll-out without a step or ring: no host would take the release");
    if (rollout->step_count > DU_ROLLOUT_STEPS_MAX)
        return DU_FAIL(err, DEFUPD_E_INVALID, "%llu steps and rings are more than %d",
                       (unsigned long long)rollout->step_count, DU_ROLLOUT_STEPS_MAX);
    for (size_t i = 0; i < rollout->step_count; i++)
        DU_TRY(check_step(&rollout->steps[i], err));
    return DEFUPD_OK;
}

bool du_edition_set_rollout(struct du_release *release, const defupd_repo_rollout *rollout,
                            int64_t now)
{
    struct du_rollout_step *step = calloc(rollout->step_count, sizeof *step);

    if (step == NULL)
        return false;
    for (size_t i = 0; i < rollout->step_count; i++) {
        const defupd_repo_step *from = &rollout->steps[i];

        step[i].after_s = from->after_s;
        if (from->ring != NULL)
            (void)snprintf(step[i].ring, sizeof step[i].ring, "%s", from->ring);
        else
            step[i].permille = from->permille;
    }
    if (rollout->start != 0)
        release->rollout_start = rollout->start;
    else if (!release->has_rollout)
        release->rollout_start = now;
    free(release->step);
    release->step = step;
    release->steps = rollout->step_count;
    release->has_rollout = true;
    return true;
}

/* --- from what is published to what comes next --- */

void du_edition_end(struct du_edition *edition)
{
    du_manifest_freep(&edition->manifest);
    du_buf_free(&edition->text);
}

/* Who speaks for the component: its own role, else targets. */
static const char *role_of(const struct du_state *state, const char *component)
{
    return du_role_set_find(&state->set, component) != NULL ? component : "targets";
}

static defupd_code check_keys(const struct defupd_repo *repo, const struct du_work *work,
                              const char *role, bool pending, defupd_error *err)
{
    const char *const names[] = { role, "snapshot", "timestamp" };

    if (pending)
        return du_pending_check_none(repo, err);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        DU_TRY(du_sign_can(repo, &work->ring,
                           du_authority_of(du_state_part(&work->state, "root"),
                                           du_state_part(&work->state, "targets"), names[i]),
                           names[i], err));
    return DEFUPD_OK;
}

defupd_code du_edition_begin(const struct defupd_repo *repo, struct du_work *work,
                             const char *component, bool pending, struct du_edition *edition,
                             defupd_error *err)
{
    edition->component = component;
    edition->may_pend = pending;
    DU_TRY(check_keys(repo, work, role_of(&work->state, component), pending, err));
    DU_TRY(du_state_manifest(repo, &work->dirs, &work->state, component, &edition->manifest, err));
    for (size_t i = 0; edition->manifest != NULL && i < edition->manifest->count; i++) {
        const struct du_release *old = &edition->manifest->release[i];
        /* It was not read whole, so writing it again would lose what it says. */
        if (old->requires != NULL)
            return DU_FAIL(err, DEFUPD_E_UNSUPPORTED,
                           "version %llu was published by a newer version of this software",
                           (unsigned long long)old->version);
    }
    return DEFUPD_OK;
}

defupd_code du_edition_fit(struct du_edition *edition, uint64_t keep, defupd_error *err)
{
    struct du_manifest *manifest = edition->manifest;
    const size_t before = manifest->count;

    while (manifest->count > DU_CHOOSE_RELEASES && du_choose_drop(manifest, keep))
        ;
    while (true) {
        du_buf_clear(&edition->text);
        DU_TRY(du_manifest_write(manifest, &edition->text, err));
        if (edition->text.len <= DU_MANIFEST_PUBLISH_MAX)
            break;
        if (!du_choose_drop(manifest, keep))
            return DU_FAIL(err, DEFUPD_E_LIMIT,
                           "%zu release%s take%s %zu bytes of manifest, at most "
                           "%u are allowed",
                           manifest->count, manifest->count == 1 ? "" : "s",
                           manifest->count == 1 ? "s" : "", edition->text.len,
                           DU_MANIFEST_PUBLISH_MAX);
    }
    edition->dropped += before - manifest->count;
    return DEFUPD_OK;
}

defupd_code du_edition_sign(const struct defupd_repo *repo, struct du_work *work,
                            struct du_edition *edition, struct du_next *next, defupd_error *err)
{
    const char *component = edition->component;
    const struct du_bytes text = du_buf_bytes(&edition->text);
    struct du_json *part;
    defupd_code complete;

    DU_TRY(du_work_cover(work, next, err));
    DU_TRY(du_next_edit(&work->dirs, &work->state, next, role_of(&work->state, component), &part,
                        err));
    if (!du_part_target(part, component, text))
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for the targets");
    DU_TRY(du_next_sign(repo, &work->state, &work->ring, next, err));
    complete = du_next_complete(&work->state, next, err);
    edition->is_pending = complete == DEFUPD_E_KEY && edition->may_pend;
    if (edition->is_pending)
        return DEFUPD_OK;
    if (complete != DEFUPD_OK)
        return complete;
    return du_next_finish(repo, &work->dirs, &work->state, &work->ring, next, component, text, err);
}

/* Nobody names it yet. */
static defupd_code place_manifest(const struct defupd_repo *repo, const struct du_dirs *dirs,
                                  const struct du_edition *edition, defupd_error *err)
{
    DU_AUTO_FD dir = -1;
    char name[DU_META_NAME];

    DU_TRY(du_dir_open(repo->sys, dirs->targets, edition->component, true, 0755, &dir, err));
    du_manifest_file(name, du_buf_bytes(&edition->text));
    return du_file_replace(repo->sys, dir, name, edition->text.data, edition->text.len, 0644, err);
}

defupd_code du_edition_publish(const struct defupd_repo *repo, struct du_work *work,
                               const struct du_edition *edition, struct du_next *next,
                               const char *what, defupd_error *err)
{
    DU_TRY(du_repo_go_on(repo, err));
    DU_TRY(place_manifest(repo, &work->dirs, edition, err));
    if (!edition->is_pending)
        return du_work_write(repo, work, next, err);
    DU_TRY(du_pending_save(repo, work, next, what, err));
    du_repo_say(repo, "pending in %s: %s", repo->pending_path, what);
    return DEFUPD_OK;
}
