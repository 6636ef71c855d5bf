/* SPDX-License-Identifier: Apache-2.0 */
/* How a run begins and ends. */
#include <stdlib.h>
#include <string.h>

#include "base/scope.h"
#include "update/run.h"

/* "scan=4.1" as the planner wants it; the copy lives as long as the run. */
static defupd_code read_engines(struct du_run *run, defupd_error *err)
{
    const char *const *list = run->ctx->options->engines;
    size_t count = 0;

    while (list != NULL && list[count] != NULL)
        count++;
    run->engine = calloc(count + 1, sizeof *run->engine);
    if (run->engine == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a run");
    for (size_t i = 0; i < count; i++) {
        char *name = strdup(list[i]);
        char *equals = name != NULL ? strchr(name, '=') : NULL;

        if (name == NULL)
            return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a run");
        run->engine[run->facts.engines].name = name;
        run->facts.engines++;
        if (equals == NULL)
            return DU_FAIL(err, DEFUPD_E_INVALID, "engine '%s' is not NAME=VERSION", name);
        *equals = '\0';
        run->engine[i].version = equals + 1;
    }
    /* The client itself is an engine that every release may need. */
    run->engine[run->facts.engines] = (struct du_engine){ strdup("defupd"), DEFUPD_VERSION };
    if (run->engine[run->facts.engines].name == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a run");
    run->facts.engines++;
    run->facts.engine = run->engine;
    return DEFUPD_OK;
}

/* A switch that leads nowhere must not keep updates out for ever. What the newest generation on
 * disk holds is the best that is known of the installed set; the run makes a new generation of it,
 * whether or not there is news. */
static defupd_code find_installed(struct du_run *run, defupd_error *err)
{
    const struct du_store *store = &run->ctx->store;
    DU_AUTO_FREE uint64_t *number = NULL;
    size_t count = 0;
    const defupd_code rc = du_store_current(store, &run->current, err);

    if (rc != DEFUPD_E_STORE_CORRUPT || run->read_only)
        return rc;
    run->lost = true;
    du_log(&run->ctx->events, DEFUPD_LEVEL_WARNING, "update", "%s", err->message);
    DU_TRY(du_store_generations(store, &number, &count, err));
    for (size_t i = count; i > 0; i--) {
        const defupd_code got = du_store_generation(store, number[i - 1], &run->current, err);

        if (got == DEFUPD_OK || got == DEFUPD_E_NOMEM)
            return got;
    }
    return DEFUPD_OK;
}

static defupd_code find_current(struct du_run *run, defupd_error *err)
{
    DU_TRY(find_installed(run, err));
    return du_trial_read(run, err);
}

defupd_code du_run_begin(struct du_run *run, struct du_context *ctx, const defupd_request *request,
                         defupd_error *err)
{
    run->ctx = ctx;
    run->request = request;
    /* One that came while no call was at work was meant for none. */
    atomic_store(&ctx->cancel, false);
    run->now = ctx->sys->now_s();
    run->trust_dir = -1;
    run->facts.now = run->now;
    run->report = calloc(1, sizeof *run->report);
    if (run->report == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a run");
    DU_TRY(read_engines(run, err));
    if (run->read_only)
        return find_current(run, err);

    const struct du_tick tick = du_run_tick(run);
    DU_TRY(du_store_lock(&ctx->store, ctx->options->lock_wait_ms, &tick, err));
    DU_TRY(du_store_host_id(&ctx->store, run->host_id, err));
    du_day_begin(run);
    return find_current(run, err);
}

void du_run_end(struct du_run *run)
{
    for (size_t i = 0; i < run->parts; i++)
        du_part_free(&run->part[i]);
    free(run->part);
    free(run->other);
    for (size_t i = 0; run->engine != NULL && i < run->facts.engines; i++)
        free((char *)(uintptr_t)run->engine[i].name);
    free(run->engine);
    if (run->ctx != NULL)
        du_bind_keep(run); /* while the lock is held */
    du_trust_freep(&run->trust);
    du_fetch_freep(&run->fetch);
    du_import_freep(&run->import);
    du_generation_free(&run->current);
    du_fact_free(&run->trial.fact);
    defupd_report_free(run->report);
    if (run->ctx != NULL && run->trust_dir >= 0)
        du_fd_close(&run->trust_dir);
    if (run->ctx != NULL && !run->read_only)
        du_store_unlock(&run->ctx->store);
    if (run->ctx != NULL)
        atomic_store(&run->ctx->cancel, false); /* it was meant for this call */
}

/* A run that looked at some components only cannot say that an object is of no use to the others.
 */
static bool is_named(void *user, const unsigned char sha256[DU_SHA256_BYTES])
{
    const struct du_run *run = user;

    if (!run->knows_all)
        return true;
    for (size_t i = 0; i < run->parts; i++) {
        const struct du_manifest *manifest = run->part[i].manifest;

        for (size_t r = 0; manifest != NULL && r < manifest->count; r++) {
            const struct du_release *release = &manifest->release[r];

            if (memcmp(release->full.sha256, sha256, DU_SHA256_BYTES) == 0)
                return true;
            for (size_t d = 0; d < release->deltas; d++) {
                if (memcmp(release->delta[d].sha256, sha256, DU_SHA256_BYTES) == 0)
                    return true;
            }
        }
    }
    return false;
}

void du_run_sweep(struct du_run *run)
{
    const struct du_sweep sweep = {
        .retention = run->ctx->options->retention, .now = run->now, .named = is_named, .user = run
    };
    unsigned failures = 0;

    du_store_sweep(&run->ctx->store, &sweep, &failures);
    if (failures > 0)
        du_log(&run->ctx->events, DEFUPD_LEVEL_WARNING, "update",
               "%u leftovers could not be removed; the next run tries again", failures);
}

void du_run_event(const struct du_run *run, defupd_event_id id, const struct du_report_row *row)
{
    defupd_event event = { .id = (int32_t)id, .source = run->report->source };

    if (row != NULL) {
        event.component = row->component;
        event.version = row->item.to_version;
        event.from_version = row->item.from_version;
        event.code = row->item.code;
        /* Of what is fetched or has succeeded, the way is the news. */
        if ((id == DEFUPD_EVENT_DOWNLOADING || id == DEFUPD_EVENT_SUCCEEDED) && row->how[0] != '\0')
            event.text = row->how;
        else if (row->text[0] != '\0')
            event.text = row->text;
    }
    du_event_send(&run->ctx->events, event);
}
