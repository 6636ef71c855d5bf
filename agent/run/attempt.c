/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fail.h"
#include "files.h"
#include "report/deliver.h"
#include "report/event.h"
#include "report/report.h"
#include "run_priv.h"
#include "signals.h"
#include "text.h"
#include "unable.h"

/* Commands go on with the last good policy; but somebody must mend the file. */
static void tell_of_policy(struct run *run)
{
    const defupd_error *error = &run->setup.force.error;

    if (error->code == DEFUPD_OK)
        return;
    run->result.policy_error = error->message;
    if (!ag_given(&run->args, AG_OPT_JSON))
        ag_line(run->err, "defupd: warning: the last good policy is in force: %s", error->message);
}

/* What was read and found right is kept, by who may write the store; others, and commands that
 * only look, leave it. Nor is a store made for it alone. */
static defupd_code keep_policy(const struct run *run, defupd_error *err)
{
    if ((run->args.command->traits & (AG_CMD_REPORTS | AG_CMD_LOGS)) == 0 ||
        access(run->setup.state_dir, W_OK) != 0)
        return DEFUPD_OK;
    return ag_force_keep(&run->setup.force, run->client, run->setup.state_dir, err);
}

/* After each attempt. Not when another process had the store: its own report is about to come,
 * and must not be overwritten by an older look. Nor when nothing was attempted. */
static defupd_code write_reports(struct run *run, defupd_error *err)
{
    char *posture = NULL;
    defupd_code rc;

    if ((run->args.command->traits & AG_CMD_REPORTS) == 0 || run->result.code == DEFUPD_E_BUSY ||
        run->result.code == DEFUPD_E_INVALID)
        return DEFUPD_OK;
    rc = ag_reports_write(run->client, run->setup.state_dir, &run->setup.report, run->result.code,
                          (int64_t)time(NULL), &posture, err);
    ag_record_posture(run->record, posture);
    free(posture);
    return rc;
}

/* Who may not write a store and only looked need not hear of it; who wanted more has the error. */
static bool tells_of_reports(const struct run *run, const defupd_error *err)
{
    const bool not_ours = err->sys_errno == EACCES || err->sys_errno == EROFS;
    const bool looked = run->args.command->id == AG_CMD_VERIFY;

    return !ag_given(&run->args, AG_OPT_JSON) &&
           !(not_ours && (looked || run->result.code != DEFUPD_OK));
}

static void cancel_client(void *client)
{
    defupd_cancel(client);
}

/* Commands that change something are on record: who asked, what was decided, what came of it. */
static void start_record(struct run *run, char who[64], char what[512])
{
    const struct ag_args *args = &run->args;
    const char *name = args->command->name;
    const struct ag_record_options options = { .state_dir = run->setup.state_dir,
                                               .who = who,
                                               .what = what,
                                               .journal = AG_JOURNAL,
                                               .debug_until = run->setup.report.debug_until,
                                               .queue = run->setup.report.report_url != NULL,
                                               .queue_bytes = run->setup.report.queue_bytes };
    size_t used;

    if ((args->command->traits & (AG_CMD_REPORTS | AG_CMD_LOGS)) == 0 ||
        (args->command->id == AG_CMD_TRUST && !args->trust_reset))
        return;
    if (run->worker.fd >= 0)
        (void)snprintf(who, 64, "%s", run->worker.who);
    else
        (void)snprintf(who, 64, "uid %u", (unsigned)run->asked_by);
    (void)snprintf(what, 512, "%s%s", name, ag_given(args, AG_OPT_DRY_RUN) ? " --dry-run" : "");
    for (size_t i = 0; i < args->word_count; i++) {
        used = strlen(what);
        (void)snprintf(what + used, 512 - used, " %s", args->words[i]);
    }
    run->record = ag_record_start(&options, (int64_t)time(NULL));
}

/* What the agent's worker does besides: it tells the service how things stand. */
void ag_run_tell_outcome(struct run *run)
{
    const struct ag_result *result = &run->result;
    defupd_status *status = NULL;
    defupd_error ignored = { 0 };

    if (run->client != NULL && defupd_client_status(run->client, &status, &ignored) == DEFUPD_OK)
        ag_worker_states(&run->worker, status);
    ag_worker_outcome(&run->worker, result->code, ag_result_news(result), result->exit_code,
                      status != NULL ? defupd_status_store(status)->cool_until : 0,
                      result->err.message);
    defupd_status_free(status);
}

/* A running agent does what changes the store; true when it did, or refused to. */
static bool hand_over(struct run *run)
{
    struct ag_result *result = &run->result;
    const char *state_dir = run->args.value[AG_OPT_STATE_DIR];
    int given = -1;

    if (run->worker.fd >= 0)
        return false;
    /* The agent's working directory is another one, it may not read what the operator may, and
     * private folders of a unit have the same names as the operator's. */
    if (run->args.command->id == AG_CMD_IMPORT) {
        result->code = ag_path_absolute(&run->archive, run->args.words[0], &result->err);
        if (result->code != DEFUPD_OK)
            return true;
        run->args.words[0] = run->archive;
        given = open(run->archive, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    }
    ag_hand_over(&run->handed, &run->args, state_dir != NULL ? state_dir : AG_DEFAULT_STATE_DIR,
                 given);
    if (given >= 0)
        (void)close(given);
    if (run->handed.refused)
        result->code = AG_FAIL(&result->err, run->handed.code, "%s", run->handed.text);
    return run->handed.done;
}

/* Whether the attempt before this one could begin; this one has. */
static void look_back(struct run *run)
{
    if ((run->args.command->traits & AG_CMD_REPORTS) != 0 && ag_asks_sources(&run->args))
        ag_unable_forget(run->setup.state_dir);
    ag_unable_read(&run->result.unable, run->setup.state_dir);
    run->setup.report.unable_code = run->result.unable.code;
    run->result.debug_until = run->setup.report.debug_until;
}

void ag_run_attempt(struct run *run)
{
    char who[64], what[512];
    struct ag_result *result = &run->result;
    defupd_error report_err = { 0 };

    if (hand_over(run))
        return;
    run->args.on_hook = ag_run_hook;
    run->args.hook_user = run;
    result->code = ag_prepare(&run->client, &run->setup, &run->args, ag_run_event, ag_run_log, run,
                              &result->err);
    if (result->code == DEFUPD_OK && run->worker.fd >= 0)
        result->code = ag_run_confine(run, &result->err);
    if (result->code != DEFUPD_OK) {
        (void)snprintf(who, sizeof who, "uid %u", (unsigned)run->asked_by);
        if (run->client == NULL)
            ag_unable(&run->args, &run->setup, run->worker.fd >= 0 ? run->worker.who : who,
                      &result->err);
        return;
    }
    tell_of_policy(run);
    look_back(run);
    run->setup.report.agent_runs = run->worker.fd >= 0;
    start_record(run, who, what);
    ag_progress_start(&run->progress, stderr);
    if (ag_given(&run->args, AG_OPT_QUIET) || ag_given(&run->args, AG_OPT_JSON) ||
        run->worker.fd >= 0)
        run->progress.out = NULL;
    ag_signals_start(cancel_client, run->client);
    result->code = ag_run_call(run, &result->err);
    ag_record_end(run->record, result->code, result->err.message, result->report,
                  (int64_t)time(NULL));
    ag_progress_clear(&run->progress);
    ag_run_tell_sources(run);
    ag_run_tell_products(run);
    ag_run_relay(run);
    if (keep_policy(run, &report_err) != DEFUPD_OK && tells_of_reports(run, &report_err))
        ag_line(run->err, "defupd: warning: the policy could not be kept: %s", report_err.message);
    /* What was asked is done all the same, and its exit code stands; but whoever reads the reports
     * sees old ones. */
    if (write_reports(run, &report_err) != DEFUPD_OK && tells_of_reports(run, &report_err))
        ag_line(run->err, "defupd: warning: reports could not be written: %s", report_err.message);
    ag_record_free(run->record);
    run->record = NULL;
    ag_signals_stop();
    ag_run_relay_end(run);
}
