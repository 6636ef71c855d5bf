/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Probation: what is awaited of the current generation, how its time and its starts are counted,
 * and what ends it (docs/formats/store.md, docs/trial.md).
 *
 * Running time is the monotonic clock's, which stands still while the machine is off or asleep.
 * What is counted between two readings is never more than has passed: one that is lower than the
 * one before is of another boot, of which all is counted.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/scope.h"
#include "update/run.h"

#define LIST_MAX 32768 /* about a thousand components; a fact has room for twice that */

static uint64_t uptime_s(const struct du_run *run)
{
    return run->ctx->sys->monotonic_ms() / 1000;
}

/* --- the list of those that are awaited --- */

/* Where the component's name stands in "a,b,c"; NULL when it does not. */
static char *find_name(const char *list, const char *name)
{
    const size_t len = strlen(name);
    const char *at = list;

    while (at != NULL && (strncmp(at, name, len) != 0 || (at[len] != ',' && at[len] != '\0'))) {
        at = strchr(at, ',');
        if (at != NULL)
            at++;
    }
    return (char *)(uintptr_t)at;
}

static defupd_code add_name(struct du_buf *list, const char *name, defupd_error *err)
{
    return du_buf_printf(list, err, "%s%s", list->len > 0 ? "," : "", name);
}

bool du_trial_awaits(const struct du_run *run, const char *component)
{
    return find_name(run->trial.await, component) != NULL;
}

void du_trial_drop(struct du_run *run, const char *component)
{
    char *at = find_name(run->trial.await, component);
    size_t len = strlen(component);

    if (at == NULL)
        return;
    if (at[len] == ',')
        len++;
    else if (at != run->trial.await) /* the comma before the last one */
        at--, len++;
    memmove(at, at + len, strlen(at + len) + 1);
    if (run->trial.await[0] == '\0') {
        free(run->trial.await);
        run->trial.await = NULL;
    }
}

/* --- what generations say --- */

/* The fact's list; NULL where it says that nothing is awaited. False: it says nothing. */
static defupd_code read_list(const struct du_run *run, uint64_t number, struct du_fact *fact,
                             char **list, bool *said, defupd_error *err)
{
    char name[DU_VERSION_TEXT], when[2];

    *list = NULL;
    (void)snprintf(name, sizeof name, "%" PRIu64, number);
    *said = du_store_fact_read(&run->ctx->store, DU_FACT_TRIAL, name, fact) == DU_FACT_READ;
    if (!*said || du_fact_get(fact, "confirmed", when, sizeof when) != NULL)
        return DEFUPD_OK;
    *list = malloc(fact->text.len + 1);
    if (*list == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a trial");
    *said = du_fact_get(fact, "await", *list, fact->text.len + 1) != NULL;
    return DEFUPD_OK;
}

bool du_trial_is_wanted(const struct du_run *run, const char *component)
{
    const defupd_client_options *options = run->ctx->options;

    return options->trial_s != 0 &&
           (du_rule_of(options, component)->flags & DEFUPD_RULE_NO_TRIAL) == 0;
}

static bool is_on_trial(const struct du_run *run, const struct du_generation *generation,
                        const char *component)
{
    DU_AUTO_FACT fact = { 0 };
    DU_AUTO_FREE char *list = NULL;
    defupd_error ignored = { 0 };
    bool said = false;

    if (!generation->trial)
        return false;
    if (read_list(run, generation->number, &fact, &list, &said, &ignored) != DEFUPD_OK || !said)
        return du_trial_is_wanted(run, component);
    return find_name(list, component) != NULL;
}

int du_trial_verdict(const struct du_run *run, const char *component, uint64_t version)
{
    DU_AUTO_FREE uint64_t *number = NULL;
    defupd_error ignored = { 0 };
    size_t count = 0;
    int verdict = 0;

    (void)!du_store_generations(&run->ctx->store, &number, &count, &ignored);
    for (size_t i = 0; i < count && verdict <= 0; i++) {
        DU_AUTO_GENERATION generation = { 0 };
        const struct du_member *member;

        if (du_store_generation(&run->ctx->store, number[i], &generation, &ignored) != DEFUPD_OK)
            continue;
        member = du_generation_find(&generation, component);
        if (member != NULL && member->version == version)
            verdict = is_on_trial(run, &generation, component) ? -1 : 1;
    }
    return verdict;
}

/* A fact that is gone or rotten means unconfirmed: the trial begins anew. */
static defupd_code begin_anew(struct du_run *run, struct du_buf *list, defupd_error *err)
{
    for (size_t i = 0; i < run->current.count; i++) {
        const struct du_member *member = &run->current.member[i];

        if (du_trial_is_wanted(run, member->component) &&
            du_trial_verdict(run, member->component, member->version) < 0)
            DU_TRY(add_name(list, member->component, err));
    }
    return DEFUPD_OK;
}

static void set_terms(const struct du_run *run, struct du_trial *trial)
{
    const defupd_client_options *options = run->ctx->options;

    trial->left_s = options->trial_s;
    trial->starts = 0;
    trial->most = options->trial_starts;
    trial->confirms = (options->flags & DEFUPD_CLIENT_TRIAL_CONFIRMS) != 0;
}

static void read_terms(const struct du_run *run, const struct du_fact *fact, struct du_trial *trial)
{
    const uint64_t now = uptime_s(run);
    uint64_t seen = 0, passed;
    char word[8];

    (void)du_fact_get_u64(fact, "left", &trial->left_s);
    (void)du_fact_get_u64(fact, "seen", &seen);
    (void)du_fact_get_u64(fact, "starts", &trial->starts);
    (void)du_fact_get_u64(fact, "most", &trial->most);
    trial->confirms = du_fact_get(fact, "end", word, sizeof word) != NULL && word[0] == 'c';
    passed = now >= seen ? now - seen : now;
    trial->left_s -= passed < trial->left_s ? passed : trial->left_s;
}

defupd_code du_trial_read(struct du_run *run, defupd_error *err)
{
    struct du_trial *trial = &run->trial;
    DU_AUTO_FACT fact = { 0 };
    bool said;

    if (!run->current.trial)
        return DEFUPD_OK;
    DU_TRY(read_list(run, run->current.number, &fact, &trial->await, &said, err));
    if (said) {
        read_terms(run, &fact, trial);
    } else {
        DU_AUTO_BUF list = DU_BUF(LIST_MAX);

        free(trial->await);
        trial->await = NULL;
        DU_TRY(begin_anew(run, &list, err));
        if (list.len > 0) {
            trial->await = strdup(du_buf_text(&list));
            if (trial->await == NULL)
                return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a trial");
        }
        set_terms(run, trial);
    }
    /* No call touches what is switched off, so nothing is waited for there. */
    for (size_t i = 0; trial->await != NULL && i < run->current.count; i++) {
        if (du_rule_disabled(run->ctx->options, run->current.member[i].component))
            du_trial_drop(run, run->current.member[i].component);
    }
    return DEFUPD_OK;
}

/* --- what is written --- */

static defupd_code print(const struct du_run *run, const struct du_trial *trial,
                         struct du_fact *fact, defupd_error *err)
{
    if (trial->await == NULL)
        return du_fact_set_u64(fact, "confirmed", (uint64_t)run->now, err);
    DU_TRY(du_fact_set(fact, "await", trial->await, err));
    DU_TRY(du_fact_set_u64(fact, "left", trial->left_s, err));
    DU_TRY(du_fact_set_u64(fact, "seen", uptime_s(run), err));
    DU_TRY(du_fact_set_u64(fact, "starts", trial->starts, err));
    DU_TRY(du_fact_set_u64(fact, "most", trial->most, err));
    return du_fact_set(fact, "end", trial->confirms ? "confirm" : "reject", err);
}

defupd_code du_trial_write(struct du_run *run, defupd_error *err)
{
    DU_AUTO_FACT fact = { 0 };
    char name[DU_VERSION_TEXT];

    (void)snprintf(name, sizeof name, "%" PRIu64, run->current.number);
    DU_TRY(print(run, &run->trial, &fact, err));
    return du_store_fact_write(&run->ctx->store, DU_FACT_TRIAL, name, &fact, err);
}

/* Is the member of the next generation one that has to prove itself? What goes down does not, nor
 * what had nothing before it: there would be nothing to go back to. */
static bool begins(const struct du_run *run, const struct du_member *member)
{
    const struct du_member *now = du_generation_find(&run->current, member->component);

    return now != NULL && member->version > now->version &&
           du_trial_is_wanted(run, member->component) &&
           du_trial_verdict(run, member->component, member->version) <= 0;
}

static bool goes_on(const struct du_run *run, const struct du_member *member)
{
    const struct du_member *now = du_generation_find(&run->current, member->component);

    return now != NULL && member->version == now->version &&
           du_trial_awaits(run, member->component);
}

static void tell_begun(const struct du_run *run, const struct du_generation *next,
                       const struct du_trial *trial)
{
    for (size_t i = 0; i < next->count; i++) {
        const struct du_member *member = &next->member[i];
        const struct du_member *now = du_generation_find(&run->current, member->component);

        if (find_name(trial->await, member->component) != NULL && !goes_on(run, member))
            du_event_send(&run->ctx->events,
                          (defupd_event){ .id = DEFUPD_EVENT_TRIAL,
                                          .component = member->component,
                                          .version = member->version,
                                          .from_version = now != NULL ? now->version : 0 });
    }
}

defupd_code du_trial_activate(struct du_run *run, struct du_generation *next, bool *switched,
                              defupd_error *err)
{
    DU_AUTO_BUF list = DU_BUF(LIST_MAX);
    DU_AUTO_FACT fact = { 0 };
    struct du_trial trial = run->trial;
    defupd_code rc;

    for (size_t i = 0; i < next->count; i++) {
        const struct du_member *member = &next->member[i];
        const bool begun = begins(run, member);

        if (begun)
            set_terms(run, &trial);
        if (begun || goes_on(run, member))
            DU_TRY(add_name(&list, member->component, err));
    }
    trial.await = (char *)(uintptr_t)du_buf_text(&list);
    next->trial = list.len > 0;
    if (next->trial) {
        DU_TRY(print(run, &trial, &fact, err));
        next->terms = &fact;
    }
    rc = du_store_activate(&run->ctx->store, next, run->now, switched, err);
    next->terms = NULL;
    if (*switched)
        tell_begun(run, next, &trial);
    return rc;
}

/* --- what ends it --- */

bool du_trial_is_named(const struct du_run *run, const char *component)
{
    const char *const *list = run->request->components;
    char name[DU_NAME_MAX + 1];
    uint64_t version;

    for (; list != NULL && *list != NULL; list++) {
        if (du_component_parse(*list, name, &version) && strcmp(name, component) == 0)
            return true;
    }
    return run->request->components == NULL;
}

defupd_code du_trial_check_words(const struct du_run *run, defupd_error *err)
{
    for (const char *const *list = run->request->components; list != NULL && *list != NULL;
         list++) {
        const struct du_member *member;
        char name[DU_NAME_MAX + 1];
        uint64_t version = 0;

        (void)du_component_parse(*list, name, &version);
        member = du_generation_find(&run->current, name);
        if (member == NULL || (version != 0 && member->version != version))
            return DU_FAIL(err, DEFUPD_E_NOT_INSTALLED, "%s is not installed%s", *list,
                           member != NULL ? "; another version is" : "");
    }
    return DEFUPD_OK;
}

static const defupd_request all = DEFUPD_REQUEST_INIT;

/* Most callers find nothing on trial: that needs no lock. */
static defupd_code look(struct du_context *ctx, const defupd_request *request, bool *awaits,
                        defupd_error *err)
{
    DU_AUTO(du_run_end)
    struct du_run run = { .kind = DU_RUN_INSTALL, .trust_dir = -1, .read_only = true };

    DU_TRY(du_run_begin(&run, ctx, request, err));
    *awaits = run.trial.await != NULL;
    return du_trial_check_words(&run, err);
}

static defupd_code confirm(struct du_context *ctx, const defupd_request *request, const char *why,
                           defupd_error *err)
{
    DU_AUTO(du_run_end) struct du_run run = { .kind = DU_RUN_INSTALL, .trust_dir = -1 };
    DU_AUTO_FREE char *before = NULL;

    DU_TRY(du_run_begin(&run, ctx, request, err));
    DU_TRY(du_trial_check_words(&run, err));
    if (run.trial.await == NULL)
        return DEFUPD_OK;
    before = strdup(run.trial.await);
    if (before == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a trial");
    for (size_t i = 0; i < run.current.count; i++) {
        if (du_trial_is_named(&run, run.current.member[i].component))
            du_trial_drop(&run, run.current.member[i].component);
    }
    DU_TRY(du_trial_write(&run, err));
    for (size_t i = 0; i < run.current.count; i++) {
        const struct du_member *member = &run.current.member[i];

        if (find_name(before, member->component) != NULL &&
            !du_trial_awaits(&run, member->component))
            du_event_send(&ctx->events, (defupd_event){ .id = DEFUPD_EVENT_CONFIRMED,
                                                        .component = member->component,
                                                        .version = member->version,
                                                        .text = why });
    }
    return DEFUPD_OK;
}

defupd_code du_confirm(struct du_context *ctx, const defupd_request *request, defupd_error *err)
{
    bool awaits = false;

    DU_TRY(look(ctx, request, &awaits, err));
    return awaits ? confirm(ctx, request, NULL, err) : DEFUPD_OK;
}

static defupd_code end(struct du_context *ctx, bool confirms, enum du_back_kind kind,
                       defupd_report **report, defupd_error *err)
{
    return confirms ? confirm(ctx, &all, "its time has ended", err)
                    : du_rollback(ctx, &all, kind, report, err);
}

void du_trial_settle(struct du_context *ctx, bool confirms)
{
    defupd_report *report = NULL;
    defupd_error err = { 0 };

    if (end(ctx, confirms, DU_BACK_EXPIRED, &report, &err) != DEFUPD_OK)
        du_log(&ctx->events, DEFUPD_LEVEL_WARNING, "update", "the trial has ended: %s",
               err.message);
    defupd_report_free(report);
}

static defupd_code count_start(struct du_context *ctx, struct du_trial *trial, defupd_error *err)
{
    DU_AUTO(du_run_end) struct du_run run = { .kind = DU_RUN_INSTALL, .trust_dir = -1 };

    DU_TRY(du_run_begin(&run, ctx, &all, err));
    if (run.trial.await == NULL) {
        *trial = (struct du_trial){ .left_s = 1 };
        return DEFUPD_OK;
    }
    run.trial.starts++;
    *trial = run.trial;
    return du_trial_write(&run, err);
}

/* A start that could not be counted because the disk is full or read-only is told: nothing is
 * decided on it. */
defupd_code du_early(struct du_context *ctx, defupd_report **report, defupd_error *err)
{
    struct du_trial trial;
    bool awaits = false;

    DU_TRY(look(ctx, &all, &awaits, err));
    if (!awaits)
        return DEFUPD_OK;
    DU_TRY(count_start(ctx, &trial, err));
    if (trial.starts > trial.most)
        return end(ctx, false, DU_BACK_CRASHED, report, err);
    return trial.left_s == 0 ? end(ctx, trial.confirms, DU_BACK_CRASHED, report, err) : DEFUPD_OK;
}
