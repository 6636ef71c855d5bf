/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Probation: what is awaited of the current generation, how its time and its starts are counted,
 * and what ends it (docs/formats/store.md, docs/trial.md).
 *
 * Running time is the monotonic clock's, which stands still while the machine is off or asleep.
 * What is counted between two readings is never more than has passed: one that is lower than the
 * one before is of another boot, of which all is counted.
 *
 * All of it is one fact, kept in memory as it is on disk: numbers, and a line "await COMPONENT" for
 * each that nobody has confirmed.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/scope.h"
#include "update/run.h"

#define AWAIT "await "
#define LIST_MAX 65536 /* well over a thousand components */

static uint64_t uptime_s(const struct du_run *run)
{
    return run->ctx->sys->monotonic_ms() / 1000;
}

/* --- the lines --- */

/* The line of a component; NULL when it is not awaited. */
static char *line_of(const struct du_fact *fact, const char *component)
{
    char *line = fact->text.len > 0 ? (char *)fact->text.data : NULL;
    char wanted[sizeof AWAIT + DU_NAME_MAX + 1];

    (void)snprintf(wanted, sizeof wanted, AWAIT "%s\n", component);
    while (line != NULL && strncmp(line, wanted, strlen(wanted)) != 0) {
        line = strchr(line, '\n');
        if (line != NULL)
            line++;
    }
    return line;
}

static void drop(struct du_fact *fact, const char *component)
{
    char *line = line_of(fact, component);
    size_t len;

    if (line == NULL)
        return;
    len = strcspn(line, "\n") + 1;
    memmove(line, line + len, strlen(line + len) + 1);
    fact->text.len -= len;
}

static bool awaits_any(const struct du_fact *fact)
{
    char first[2];

    return du_fact_get(fact, "await", first, sizeof first) != NULL;
}

bool du_trial_awaits(const struct du_run *run, const char *component)
{
    return line_of(&run->trial.fact, component) != NULL;
}

void du_trial_drop(struct du_run *run, const char *component)
{
    drop(&run->trial.fact, component);
    run->trial.on = awaits_any(&run->trial.fact);
}

static defupd_code add(struct du_fact *fact, const char *component, defupd_error *err)
{
    fact->text.max = LIST_MAX;
    return du_buf_printf(&fact->text, err, AWAIT "%s\n", component);
}

/* --- the numbers --- */

static const char keys[DU_TRIAL_NUMBERS][9] = { "left", "seen", "starts", "most", "confirms" };

/* Those of a trial that begins. */
static void set_terms(const struct du_run *run, uint64_t number[DU_TRIAL_NUMBERS])
{
    const defupd_client_options *options = run->ctx->options;

    number[DU_TRIAL_LEFT] = options->trial_s;
    number[DU_TRIAL_SEEN] = uptime_s(run);
    number[DU_TRIAL_STARTS] = 0;
    number[DU_TRIAL_MOST] = options->trial_starts;
    number[DU_TRIAL_CONFIRMS] = (options->flags & DEFUPD_CLIENT_TRIAL_CONFIRMS) != 0;
}

static void read_terms(const struct du_run *run, const struct du_fact *fact,
                       uint64_t number[DU_TRIAL_NUMBERS])
{
    const uint64_t now = uptime_s(run);
    uint64_t passed;

    for (size_t i = 0; i < DU_TRIAL_NUMBERS; i++)
        (void)du_fact_get_u64(fact, keys[i], &number[i]);
    passed = now >= number[DU_TRIAL_SEEN] ? now - number[DU_TRIAL_SEEN] : now;
    number[DU_TRIAL_LEFT] -= passed < number[DU_TRIAL_LEFT] ? passed : number[DU_TRIAL_LEFT];
    number[DU_TRIAL_SEEN] = now;
}

static defupd_code print(struct du_fact *fact, const uint64_t number[DU_TRIAL_NUMBERS],
                         defupd_error *err)
{
    for (size_t i = 0; i < DU_TRIAL_NUMBERS; i++)
        DU_TRY(du_fact_set_u64(fact, keys[i], number[i], err));
    return DEFUPD_OK;
}

/* --- what generations say --- */

bool du_trial_is_wanted(const struct du_run *run, const char *component)
{
    const defupd_client_options *options = run->ctx->options;

    return options->trial_s != 0 &&
           (du_rule_of(options, component)->flags & DEFUPD_RULE_NO_TRIAL) == 0;
}

static bool read_fact(const struct du_run *run, uint64_t number, struct du_fact *fact)
{
    char name[DU_VERSION_TEXT];

    (void)snprintf(name, sizeof name, "%" PRIu64, number);
    return du_store_fact_read(&run->ctx->store, DU_FACT_TRIAL, name, fact) == DU_FACT_READ;
}

int du_trial_verdict(const struct du_run *run, const char *component, uint64_t version)
{
    DU_AUTO_FREE uint64_t *number = NULL;
    defupd_error ignored = { 0 };
    size_t count = 0;
    int verdict = 0;

    (void)!du_store_generations(&run->ctx->store, &number, &count, &ignored);
    for (size_t i = 0; i < count && verdict <= 0 && ignored.code != DEFUPD_E_NOMEM; i++) {
        DU_AUTO_GENERATION generation = { 0 };
        DU_AUTO_FACT fact = { 0 };
        const struct du_member *member;

        if (du_store_generation(&run->ctx->store, number[i], &generation, &ignored) != DEFUPD_OK)
            continue;
        member = du_generation_find(&generation, component);
        if (member == NULL || member->version != version)
            continue;
        verdict = generation.trial &&
                          (read_fact(run, number[i], &fact) ? line_of(&fact, component) != NULL
                                                            : du_trial_is_wanted(run, component))
                      ? -1
                      : 1;
    }
    return verdict <= 0 && ignored.code == DEFUPD_E_NOMEM ? -2 : verdict;
}

/* A fact that is gone or rotten means unconfirmed: the trial begins anew. */
static defupd_code begin_anew(struct du_run *run, struct du_fact *fact, defupd_error *err)
{
    for (size_t i = 0; i < run->current.count; i++) {
        const struct du_member *member = &run->current.member[i];

        if (du_trial_is_wanted(run, member->component) &&
            du_trial_verdict(run, member->component, member->version) < 0)
            DU_TRY(add(fact, member->component, err));
    }
    return DEFUPD_OK;
}

defupd_code du_trial_read(struct du_run *run, defupd_error *err)
{
    struct du_trial *trial = &run->trial;

    if (!run->current.trial)
        return DEFUPD_OK;
    if (read_fact(run, run->current.number, &trial->fact)) {
        read_terms(run, &trial->fact, trial->number);
    } else {
        set_terms(run, trial->number);
        DU_TRY(begin_anew(run, &trial->fact, err));
    }
    /* No call touches what is switched off, so nothing is waited for there. */
    for (size_t i = 0; i < run->current.count; i++) {
        if (du_rule_disabled(run->ctx->options, run->current.member[i].component))
            drop(&trial->fact, run->current.member[i].component);
    }
    trial->on = awaits_any(&trial->fact);
    return DEFUPD_OK;
}

/* --- what is written --- */

defupd_code du_trial_write(struct du_run *run, defupd_error *err)
{
    struct du_fact *fact = &run->trial.fact;
    char name[DU_VERSION_TEXT];

    DU_TRY(print(fact, run->trial.number, err));
    if (!run->trial.on)
        DU_TRY(du_fact_set_u64(fact, "confirmed", (uint64_t)run->now, err));
    (void)snprintf(name, sizeof name, "%" PRIu64, run->current.number);
    return du_store_fact_write(&run->ctx->store, DU_FACT_TRIAL, name, fact, err);
}

/* Has the member of the next generation to prove itself? What goes down has not, nor what had
 * nothing before it: there would be nothing to go back to. */
static bool begins(const struct du_run *run, const struct du_member *member)
{
    const struct du_member *now = du_generation_find(&run->current, member->component);

    return now != NULL && member->version > now->version &&
           du_trial_is_wanted(run, member->component) &&
           du_trial_verdict(run, member->component, member->version) <= 0;
}

static defupd_code next_fact(const struct du_run *run, const struct du_generation *next,
                             struct du_fact *fact, defupd_error *err)
{
    uint64_t number[DU_TRIAL_NUMBERS];

    memcpy(number, run->trial.number, sizeof number);
    fact->text.max = LIST_MAX;
    if (run->trial.on)
        DU_TRY(du_buf_add_text(&fact->text, du_buf_text(&run->trial.fact.text), err));
    for (size_t i = 0; i < run->current.count; i++) {
        const struct du_member *now = &run->current.member[i];
        const struct du_member *member = du_generation_find(next, now->component);

        if (member == NULL || member->version != now->version)
            drop(fact, now->component);
    }
    for (size_t i = 0; i < next->count; i++) {
        if (begins(run, &next->member[i])) {
            DU_TRY(add(fact, next->member[i].component, err));
            set_terms(run, number);
        }
    }
    return print(fact, number, err);
}

/* What is awaited in the one and not in the other. */
static void tell(const struct du_run *run, const struct du_generation *generation, int32_t id,
                 const struct du_fact *in, const struct du_fact *not_in, const char *text)
{
    for (size_t i = 0; i < generation->count; i++) {
        const struct du_member *member = &generation->member[i];

        if (line_of(in, member->component) != NULL && line_of(not_in, member->component) == NULL)
            du_event_send(&run->ctx->events, (defupd_event){ .id = id,
                                                             .component = member->component,
                                                             .version = member->version,
                                                             .text = text });
    }
}

defupd_code du_trial_activate(struct du_run *run, struct du_generation *next, bool *switched,
                              defupd_error *err)
{
    DU_AUTO_FACT fact = { 0 };
    defupd_code rc;

    DU_TRY(next_fact(run, next, &fact, err));
    next->trial = awaits_any(&fact);
    next->terms = next->trial ? &fact : NULL;
    rc = du_store_activate(&run->ctx->store, next, run->now, switched, err);
    next->terms = NULL;
    if (*switched)
        tell(run, next, DEFUPD_EVENT_TRIAL, &fact, &run->trial.fact, NULL);
    return rc;
}

/* --- what ends it --- */

bool du_trial_is_named(const struct du_run *run, const struct du_member *member)
{
    const char *const *list = run->request->components;
    char name[DU_NAME_MAX + 1];
    uint64_t version;

    for (; list != NULL && *list != NULL; list++) {
        if (du_component_parse(*list, name, &version) && strcmp(name, member->component) == 0 &&
            (version == 0 || version == member->version))
            return true;
    }
    return run->request->components == NULL;
}

defupd_code du_trial_enter(struct du_run *run, struct du_context *ctx,
                           const defupd_request *request, defupd_error *err)
{
    const char *const *list = request->components;
    char name[DU_NAME_MAX + 1];
    uint64_t version;

    /* Most callers find nothing on trial: that needs no lock. */
    *run = (struct du_run){ .kind = DU_RUN_INSTALL, .trust_dir = -1, .read_only = true };
    DU_TRY(du_run_begin(run, ctx, request, err));
    if (run->trial.on) {
        du_run_end(run);
        *run = (struct du_run){ .kind = DU_RUN_INSTALL, .trust_dir = -1 };
        DU_TRY(du_run_begin(run, ctx, request, err));
    }
    for (; list != NULL && *list != NULL; list++) {
        const struct du_member *member;

        (void)du_component_parse(*list, name, &version);
        member = du_generation_find(&run->current, name);
        if (member == NULL || !du_trial_is_named(run, member))
            return DU_FAIL(err, DEFUPD_E_NOT_INSTALLED, "%s is not installed", *list);
    }
    return DEFUPD_OK;
}

static const defupd_request all = DEFUPD_REQUEST_INIT;

static defupd_code confirm(struct du_context *ctx, const defupd_request *request, const char *why,
                           defupd_error *err)
{
    DU_AUTO(du_run_end) struct du_run run = { .trust_dir = -1 };
    DU_AUTO_FACT before = { .text = DU_BUF(LIST_MAX) };

    DU_TRY(du_trial_enter(&run, ctx, request, err));
    if (!run.trial.on)
        return DEFUPD_OK;
    DU_TRY(du_buf_add_text(&before.text, du_buf_text(&run.trial.fact.text), err));
    for (size_t i = 0; i < run.current.count; i++) {
        if (du_trial_is_named(&run, &run.current.member[i]))
            du_trial_drop(&run, run.current.member[i].component);
    }
    DU_TRY(du_trial_write(&run, err));
    tell(&run, &run.current, DEFUPD_EVENT_CONFIRMED, &before, &run.trial.fact, why);
    return DEFUPD_OK;
}

/* Counted before anything is decided on it. */
defupd_code du_trial_look(struct du_context *ctx, enum du_back_kind kind, defupd_report **report,
                          defupd_error *err)
{
    bool crashed, over, confirms;
    {
        DU_AUTO(du_run_end) struct du_run run = { .trust_dir = -1 };
        uint64_t *number = run.trial.number;

        DU_TRY(du_trial_enter(&run, ctx, &all, err));
        if (!run.trial.on)
            return DEFUPD_OK;
        number[DU_TRIAL_STARTS] += kind == DU_BACK_CRASHED;
        DU_TRY(du_trial_write(&run, err));
        crashed = kind == DU_BACK_CRASHED && number[DU_TRIAL_STARTS] > number[DU_TRIAL_MOST];
        over = number[DU_TRIAL_LEFT] == 0;
        confirms = number[DU_TRIAL_CONFIRMS] != 0;
    }
    if (crashed || (over && !confirms))
        return du_rollback(ctx, &all, kind, report, err);
    return over ? confirm(ctx, &all, "its time has ended", err) : DEFUPD_OK;
}

defupd_code du_back(struct du_context *ctx, const defupd_request *request, enum du_back_kind kind,
                    defupd_report **report, defupd_error *err)
{
    if (kind == DU_BACK_NOT)
        return confirm(ctx, request, NULL, err);
    return kind == DU_BACK_CRASHED ? du_trial_look(ctx, kind, report, err)
                                   : du_rollback(ctx, request, kind, report, err);
}
