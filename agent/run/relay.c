/* SPDX-License-Identifier: Apache-2.0 */
/* On a host that is a relay: after its own update, what it serves is brought up to date, by the
 * same process and from the same downloads. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fail.h"
#include "relay/content.h"
#include "relay/relay.h"
#include "run_priv.h"
#include "signals.h"
#include "text.h"

/* For the callbacks of one sync. */
struct work {
    struct run *run;
    struct du_relay *relay;
};

static void on_event(void *user, const defupd_event *event)
{
    const struct work *work = user;

    if (ag_signals_came())
        du_relay_cancel(work->relay);
    if (event->id == DEFUPD_EVENT_PROGRESS && work->run->worker.fd >= 0)
        ag_worker_progress(&work->run->worker, event, "relay");
    ag_record_relay(work->run->record, event, (int64_t)time(NULL));
}

static void on_log(void *user, defupd_level level, const char *module, const char *text)
{
    const struct work *work = user;

    ag_record_relay_log(work->run->record, level, module, text, (int64_t)time(NULL));
}

static void cancel_relay(void *relay)
{
    du_relay_cancel(relay);
}

static defupd_code sync(struct run *run, defupd_error *err)
{
    defupd_client_options options = run->setup.options;
    struct work work = { .run = run };
    struct du_relay_report report;
    defupd_import from = DEFUPD_IMPORT_INIT;
    const bool imports = run->args.command->id == AG_CMD_IMPORT;
    defupd_code rc;

    options.on_event = on_event;
    options.event_user = &work;
    options.on_log = on_log;
    options.log_user = &work;
    from.fd = run->setup.archive_fd;
    from.path = run->setup.archive;
    if (ag_given(&run->args, AG_OPT_GRACE))
        from.grace_s = run->args.grace_s;
    AG_TRY(ag_relay_open(&work.relay, run->setup.force.policy, &options, err));
    ag_signals_start(cancel_relay, work.relay);
    rc = du_relay_sync(work.relay, imports ? &from : NULL, &report, err);
    ag_signals_stop();
    du_relay_close(work.relay);
    return rc;
}

/* A whole update or an import, that somebody wanted and that could begin. */
static bool is_due(const struct run *run)
{
    const struct ag_args *args = &run->args;
    const enum ag_command_id id = args->command->id;
    struct ag_relay_settings settings;

    ag_relay_settings(&settings, run->setup.force.policy);
    if (!settings.enabled || ag_given(args, AG_OPT_DRY_RUN) || ag_signals_came() ||
        defupd_code_group(run->result.code) == DEFUPD_GROUP_CALLER ||
        run->result.code == DEFUPD_E_BUSY || run->result.code == DEFUPD_E_CANCELLED)
        return false;
    return id == AG_CMD_IMPORT ||
           ((id == AG_CMD_UPDATE || id == AG_CMD_FORCEUPDATE) && args->word_count == 0);
}

/* The endpoint's own outcome counts first. */
void ag_run_relay(struct run *run)
{
    defupd_error err = { 0 };

    if (!is_due(run) || sync(run, &err) == DEFUPD_OK)
        return;
    if (run->result.code == DEFUPD_OK)
        run->relay_failed = AG_FAIL(&run->relay_error, err.code, "relay: %s", err.message);
    else if (!ag_given(&run->args, AG_OPT_QUIET) && !ag_given(&run->args, AG_OPT_JSON) &&
             strcmp(err.message, run->result.err.message) != 0)
        ag_line(run->err, "defupd: warning: relay: %s", err.message);
}

void ag_run_relay_end(struct run *run)
{
    if (run->relay_failed == DEFUPD_OK)
        return;
    run->result.code = run->relay_failed;
    run->result.err = run->relay_error;
}
