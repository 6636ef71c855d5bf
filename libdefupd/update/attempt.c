/* SPDX-License-Identifier: Apache-2.0 */
/* Facts about attempts: schedule/COMPONENT, and schedule/agent for the run as a whole ("agent" is
 * no component's name). */
#include <inttypes.h>
#include <stdio.h>

#include "update/run.h"

static defupd_code fill(struct du_fact *fact, const struct du_attempt *attempt, bool counts,
                        bool contact, defupd_error *err)
{
    char code[16];
    uint64_t failures = 0;

    (void)du_fact_get_u64(fact, "failures", &failures);
    (void)snprintf(code, sizeof code, "%d", (int)attempt->code);
    if (contact)
        DU_TRY(du_fact_set_u64(fact, "last-contact", (uint64_t)attempt->at, err));
    if (attempt->next > 0 && attempt->code != DEFUPD_E_CANCELLED)
        DU_TRY(du_fact_set_u64(fact, "next-attempt", (uint64_t)attempt->next, err));
    if (!counts)
        return DEFUPD_OK;
    DU_TRY(du_fact_set_u64(fact, "last-attempt", (uint64_t)attempt->at, err));
    if (attempt->success != 0)
        DU_TRY(du_fact_set_u64(fact, "last-success", (uint64_t)attempt->success, err));
    DU_TRY(du_fact_set(fact, "last-error", code, err));
    DU_TRY(du_fact_set(fact, "error-text", attempt->code != DEFUPD_OK ? attempt->text : NULL, err));
    DU_TRY(du_fact_set_u64(fact, "failures", attempt->code == DEFUPD_OK ? 0 : failures + 1, err));
    if (attempt->path != NULL && attempt->path[0] != '\0') {
        char path[256];
        (void)snprintf(path, sizeof path, "%" PRIu64 " %s", attempt->version, attempt->path);
        DU_TRY(du_fact_set(fact, "path", path, err));
    }
    if (attempt->source[0] != '\0')
        DU_TRY(du_fact_set(fact, "source", attempt->source, err));
    return DEFUPD_OK;
}

bool du_attempt_counts(const struct du_run *run, defupd_code code)
{
    const bool named = run->request->components != NULL;

    if (code == DEFUPD_E_CANCELLED || code == DEFUPD_E_BUSY || code == DEFUPD_E_HELD ||
        code == DEFUPD_E_DISABLED || code == DEFUPD_E_NOT_PERMITTED ||
        code == DEFUPD_E_NOT_INSTALLED || code == DEFUPD_E_NO_PREVIOUS ||
        code == DEFUPD_E_NOT_DOWNLOADED || code == DEFUPD_E_ARCHIVE)
        return false;
    return !named || (code != DEFUPD_E_INVALID && code != DEFUPD_E_UNSUPPORTED &&
                      code != DEFUPD_E_NO_COMPONENT && code != DEFUPD_E_NO_RELEASE &&
                      code != DEFUPD_E_QUARANTINED && code != DEFUPD_E_WITHDRAWN);
}

void du_attempt_write(struct du_run *run, const char *name, const struct du_attempt *attempt,
                      bool contact)
{
    struct du_store *store = &run->ctx->store;
    const bool counts = du_attempt_counts(run, attempt->code);
    DU_AUTO_FACT fact = { 0 };
    defupd_error err = { 0 };

    if (!counts && !contact && attempt->next == 0)
        return;
    /* Unreadable means due now: it begins anew. */
    if (du_store_fact_read(store, DU_FACT_SCHEDULE, name, &fact) == DU_FACT_UNREADABLE)
        du_fact_free(&fact);
    if (fill(&fact, attempt, counts, contact, &err) != DEFUPD_OK ||
        du_store_fact_write(store, DU_FACT_SCHEDULE, name, &fact, &err) != DEFUPD_OK)
        du_log(&run->ctx->events, DEFUPD_LEVEL_WARNING, "update",
               "the outcome for %s could not be recorded: %s", name, err.message);
}
