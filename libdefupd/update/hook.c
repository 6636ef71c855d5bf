/* SPDX-License-Identifier: Apache-2.0 */
/* What products say before, between and after. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/scope.h"
#include "update/run.h"

/* *why: what the product says, in any case a line. */
static defupd_code ask(struct du_run *run, const struct du_part *part, int32_t kind,
                       const char *tree, const defupd_error *ended, defupd_error *why)
{
    const defupd_client_options *options = run->ctx->options;
    const defupd_hook hook = { .struct_size = (uint32_t)sizeof hook,
                               .kind = kind,
                               .code = ended != NULL ? ended->code : DEFUPD_OK,
                               .from_version = part->row->item.from_version,
                               .to_version = part->row->item.to_version,
                               .component = part->name,
                               .tree = tree,
                               .text = ended != NULL ? ended->message : "" };
    defupd_error said = { 0 };
    const defupd_code rc = options->on_hook(options->hook_user, &hook, &said);

    if (rc == DEFUPD_OK)
        return rc;
    said.message[sizeof said.message - 1] = '\0';
    return DU_FAIL(why, rc, "%s",
                   said.message[0] != '\0' ? said.message : "without a word about the cause");
}

/* An order of the person who asks, not of the product. */
static bool is_accepted(const struct du_run *run, const struct du_part *part)
{
    return part->named != 0 && (run->request->flags & DEFUPD_REQUEST_ACCEPT_QUARANTINED) != 0;
}

defupd_code du_hook_validate(struct du_run *run, struct du_part *part, defupd_error *err)
{
    const uint64_t version = part->row->item.to_version;
    DU_AUTO_FREE char *tree = NULL;
    defupd_error why = { 0 };
    defupd_code rc;

    if (run->ctx->options->on_hook == NULL || !part->staged || is_accepted(run, part))
        return DEFUPD_OK;
    if (asprintf(&tree, "%s/versions/%s/%" PRIu64, run->ctx->store.path, part->name, version) < 0) {
        tree = NULL;
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a path");
    }
    rc = ask(run, part, DEFUPD_HOOK_VALIDATE, tree, NULL, &why);
    if (rc == DEFUPD_OK)
        return rc;
    if (rc == DEFUPD_E_CANCELLED || rc == DEFUPD_E_NOMEM || rc == DEFUPD_E_POSTPONED)
        return DU_FAIL(err, rc, "%s %" PRIu64 ": %.400s", part->name, version, why.message);
    if (rc == DEFUPD_E_HOOK)
        return DU_FAIL(err, rc, "%s %" PRIu64 ": the validator could not be asked: %.400s",
                       part->name, version, why.message);
    du_quarantine_add(run, part->name, version, why.message);
    return DU_FAIL(err, DEFUPD_E_VALIDATION, "%s %" PRIu64 ": the validator refused it: %.400s",
                   part->name, version, why.message);
}

defupd_code du_hook_pre(struct du_run *run, struct du_part *part, defupd_error *err)
{
    defupd_error why = { 0 };
    defupd_code rc;

    if (run->ctx->options->on_hook == NULL)
        return DEFUPD_OK;
    part->told_to_wait = true; /* also when it fails: part of it may be quiet already */
    rc = ask(run, part, DEFUPD_HOOK_PRE_INSTALL, "", NULL, &why);
    if (rc == DEFUPD_OK)
        return rc;
    if (rc == DEFUPD_E_CANCELLED || rc == DEFUPD_E_NOMEM)
        return DU_FAIL(err, rc, "%s: %.400s", part->name, why.message);
    if (rc == DEFUPD_E_POSTPONED)
        return DU_FAIL(err, rc, "%s: the product asks to wait: %.400s", part->name, why.message);
    return DU_FAIL(err, DEFUPD_E_HOOK, "%s: the hook before the installation failed: %.400s",
                   part->name, why.message);
}

void du_hook_post(struct du_run *run, struct du_part *part, const defupd_error *run_failed)
{
    defupd_error ended = { 0 }, why = { 0 }, own = { 0 };

    if (!part->told_to_wait)
        return;
    part->told_to_wait = false;
    if (part->row->item.code != DEFUPD_OK)
        (void)DU_FAIL(&ended, (defupd_code)part->row->item.code, "%s", part->row->text);
    else if (run_failed != NULL)
        ended = *run_failed;
    if (ask(run, part, DEFUPD_HOOK_POST_INSTALL, "", ended.code != DEFUPD_OK ? &ended : NULL,
            &why) == DEFUPD_OK)
        return;
    (void)DU_FAIL(&own, DEFUPD_E_HOOK, "%s: the hook after the installation failed: %.400s",
                  part->name, why.message);
    du_log(&run->ctx->events, DEFUPD_LEVEL_ERROR, "update", "%s", own.message);
    du_report_fail(part->row, &own);
}
