/* SPDX-License-Identifier: Apache-2.0 */
#include "run.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "confine.h"
#include "fail.h"
#include "files.h"
#include "hand_over.h"
#include "own_hook.h"
#include "policy/config.h"
#include "prepare.h"
#include "progress.h"
#include "report/deliver.h"
#include "report/event.h"
#include "report/monitor.h"
#include "report/record.h"
#include "report/report.h"
#include "result.h"
#include "signals.h"
#include "support/bundle.h"
#include "support/cluster.h"
#include "support/preflight.h"
#include "text.h"
#include "unable.h"
#include "worker.h"

#define READABLE 128 /* files and folders that a worker may read beside the system's */
#define SOURCES 16   /* failed ones that are told; more are left out */

/* The last failure of a source. */
struct source {
    char name[256];
    defupd_error failure;
};

struct run {
    struct ag_args args;
    struct ag_setup setup;
    struct ag_result result;
    struct ag_progress progress;
    defupd_client *client;
    char *archive;            /* absolute path of what is imported */
    FILE *out, *err;          /* standard output and error, or the service's */
    struct ag_worker worker;  /* fd is -1 without --worker */
    struct ag_handed handed;  /* to the service: then all was said there */
    struct ag_record *record; /* NULL for commands that change nothing */
    uid_t asked_by;           /* before this process became the store's owner */
    struct source source[SOURCES];
    size_t sources;
};

static uint64_t monotonic_ms(void)
{
    struct timespec now;

    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0)
        return 0;
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void keep_source(struct run *run, const defupd_event *event)
{
    const char *name = event->source != NULL ? event->source : "a source";
    const char *text =
        event->text != NULL ? event->text : defupd_code_text((defupd_code)event->code);
    size_t at = 0;

    while (at < run->sources && strcmp(run->source[at].name, name) != 0)
        at++;
    if (at == SOURCES)
        return;
    if (at == run->sources)
        run->sources++;
    (void)snprintf(run->source[at].name, sizeof run->source[at].name, "%s", name);
    (void)AG_FAIL(&run->source[at].failure, (defupd_code)event->code, "%s%s%s",
                  strstr(text, name) != NULL ? "" : name, strstr(text, name) != NULL ? "" : ": ",
                  text);
}

/* A source that failed is worth a warning when another one went on. When the run failed, its error
 * tells of the last source itself. */
static void tell_sources(const struct run *run)
{
    const bool failed = run->result.code != DEFUPD_OK;

    if (ag_given(&run->args, AG_OPT_QUIET) ||
        (failed && run->args.sources[0] != NULL && run->args.sources[1] == NULL))
        return;
    for (size_t i = 0; i < run->sources; i++) {
        if (!failed || strstr(run->result.err.message, run->source[i].name) == NULL)
            ag_line(run->err, "defupd: warning: %s", run->source[i].failure.message);
    }
}

/* The service gets every event, in both forms: who listens there is not known here. */
static void tell_service(struct run *run, const defupd_event *event)
{
    char who[128];

    if (event->id == DEFUPD_EVENT_PROGRESS) {
        ag_progress_subject(who, sizeof who, &run->progress, event);
        ag_worker_progress(&run->worker, event, who);
    } else if ((run->args.command->traits & AG_CMD_STREAMS) != 0) {
        ag_json_event(run->worker.json, event, (int64_t)time(NULL));
    }
}

static void on_event(void *user, const defupd_event *event)
{
    struct run *run = user;

    ag_record_event(run->record, event, (int64_t)time(NULL));
    if (run->worker.fd >= 0)
        tell_service(run, event);
    /* A signal between its handler's installation and the call's beginning met no call at work. */
    if (ag_signals_came())
        defupd_cancel(run->client);
    if (ag_given(&run->args, AG_OPT_JSON)) {
        if ((run->args.command->traits & AG_CMD_STREAMS) != 0 &&
            !ag_given(&run->args, AG_OPT_QUIET))
            ag_json_event(stdout, event, (int64_t)time(NULL));
        return;
    }
    ag_progress_event(&run->progress, event, monotonic_ms());
    if (event->id == DEFUPD_EVENT_SOURCE_FAILED)
        keep_source(run, event);
    if (event->id == DEFUPD_EVENT_DETOUR && !ag_given(&run->args, AG_OPT_QUIET)) {
        ag_progress_clear(&run->progress);
        ag_line(run->err, "defupd: warning: %s: %s", event->component, event->text);
    }
}

static void on_log(void *user, defupd_level level, const char *module, const char *text)
{
    static const char *const names[] = { "", "error", "warning", "info", "debug" };
    struct run *run = user;

    ag_record_log(run->record, level, module, text, (int64_t)time(NULL));
    if (run->worker.fd >= 0 && level <= DEFUPD_LEVEL_INFO)
        ag_worker_log(&run->worker, names[level], module, text);
    if (run->args.verbose == 0 ||
        level > (run->args.verbose > 1 ? DEFUPD_LEVEL_DEBUG : DEFUPD_LEVEL_INFO))
        return;
    ag_progress_clear(&run->progress);
    ag_line(run->err, "%-7s %s: %s",
            (size_t)level < sizeof names / sizeof names[0] ? names[level] : "", module, text);
}

static uint32_t request_flags(const struct ag_args *args)
{
    static const struct {
        enum ag_option_id option;
        uint32_t flag;
    } map[] = { { AG_OPT_DRY_RUN, DEFUPD_REQUEST_DRY_RUN },
                { AG_OPT_ACCEPT_QUARANTINED, DEFUPD_REQUEST_ACCEPT_QUARANTINED },
                { AG_OPT_OVER_BUDGET, DEFUPD_REQUEST_OVER_BUDGET },
                { AG_OPT_REPAIR, DEFUPD_REQUEST_REPAIR },
                { AG_OPT_SCHEDULED, DEFUPD_REQUEST_SCHEDULED } };
    uint32_t flags = 0;

    for (size_t i = 0; i < sizeof map / sizeof map[0]; i++) {
        if (ag_given(args, map[i].option))
            flags |= map[i].flag;
    }
    return flags;
}

/* Why a component is where it is: its state, and what would be decided now. */
static defupd_code ask_why(struct run *run, defupd_error *err)
{
    struct ag_result *result = &run->result;
    defupd_request request = DEFUPD_REQUEST_INIT;
    defupd_error *unknown = &result->why_error;

    request.flags = DEFUPD_REQUEST_SCHEDULED;
    request.components = run->args.words;
    AG_TRY(defupd_client_status(run->client, &result->status, err));
    if (defupd_client_explain(run->client, &request, &result->report, unknown) == DEFUPD_OK)
        (void)AG_FAIL(unknown, DEFUPD_OK, "the repository does not offer it");
    AG_TRY(ag_why_find(&result->why, run->args.words[0], result->status, result->report, err));
    result->why.unknown = unknown->message;
    return DEFUPD_OK;
}

/* Send what waits to be sent, where policy wants that. */
static defupd_code deliver(struct run *run, bool at_once, defupd_error *err)
{
    const struct ag_report_settings *report = &run->setup.report;
    const struct ag_deliver deliver = { .disk = &ag_disk_posix,
                                        .state_dir = run->setup.state_dir,
                                        .url = report->report_url,
                                        .ca_file = report->ca_file,
                                        .queue_bytes = report->queue_bytes,
                                        .now = (int64_t)time(NULL),
                                        .at_once = at_once };
    struct ag_delivery *delivery = &run->result.delivery;
    char when[AG_WHEN];
    defupd_code rc;

    if (report->report_url == NULL)
        return AG_FAIL(err, DEFUPD_E_POLICY, "the policy names no URL to report to");
    rc = ag_deliver(&deliver, delivery, err);
    if (delivery->dropped > 0)
        ag_record_note(deliver.disk, deliver.state_dir, deliver.now,
                       "reports: %u refused by the receiver for good, and dropped",
                       delivery->dropped);
    if (rc != DEFUPD_OK)
        ag_record_note(deliver.disk, deliver.state_dir, deliver.now,
                       "reports: %u wait until %s: %d %s: %s", delivery->left,
                       ag_time(when, delivery->next), (int)rc, defupd_code_name(rc), err->message);
    return rc;
}

static defupd_code import(struct run *run, defupd_request *request, defupd_error *err)
{
    defupd_import from = DEFUPD_IMPORT_INIT;

    from.fd = run->setup.archive_fd;
    from.path = run->setup.archive;
    if (ag_given(&run->args, AG_OPT_GRACE))
        from.grace_s = run->args.grace_s;
    request->components = NULL; /* its word is no component */
    return defupd_client_import(run->client, &from, request, &run->result.report, err);
}

/* The one call that the command is about. */
static defupd_code call(struct run *run, defupd_error *err)
{
    const struct ag_args *args = &run->args;
    struct ag_result *result = &run->result;
    defupd_request request = DEFUPD_REQUEST_INIT;
    defupd_client *client = run->client;

    request.flags = request_flags(args);
    request.components = args->word_count > 0 ? args->words : NULL;
    switch (args->command->id) {
    case AG_CMD_CHECK: return defupd_client_check(client, &request, &result->report, err);
    case AG_CMD_UPDATE:
    case AG_CMD_FORCEUPDATE: return defupd_client_update(client, &request, &result->report, err);
    case AG_CMD_DOWNLOAD: return defupd_client_download(client, &request, &result->report, err);
    case AG_CMD_INSTALL: return defupd_client_install(client, &request, &result->report, err);
    case AG_CMD_IMPORT: return import(run, &request, err);
    case AG_CMD_ROLLBACK: return defupd_client_rollback(client, &request, &result->report, err);
    case AG_CMD_CONFIRM: return defupd_client_confirm(client, &request, err);
    case AG_CMD_REJECT: return defupd_client_reject(client, &request, &result->report, err);
    case AG_CMD_EARLY: return defupd_client_early(client, &result->report, err);
    case AG_CMD_CANCEL:
        /* The agent's own run, if it has one and we may; else whoever holds the store. */
        result->pid = ag_agent_cancel(run->setup.state_dir);
        return result->pid > 0 ? DEFUPD_OK : defupd_client_cancel_other(client, &result->pid, err);
    case AG_CMD_LIST:
        return defupd_client_list(client, args->word_count > 0 ? args->words[0] : NULL,
                                  &result->listing, err);
    case AG_CMD_HOLD: return defupd_client_hold(client, args->words[0], err);
    case AG_CMD_UNHOLD: return defupd_client_unhold(client, args->words[0], err);
    case AG_CMD_PIN: return defupd_client_pin(client, args->pin_name, args->pin_version, err);
    case AG_CMD_VERIFY:
        return defupd_client_verify(client, &request, ag_result_damage, result, &result->files,
                                    err);
    case AG_CMD_CLEAN: return defupd_client_clean(client, &result->freed, err);
    case AG_CMD_STATUS:
    case AG_CMD_POSTURE:
        ag_agent_ask(&result->agent, run->setup.state_dir);
        run->setup.report.agent_runs = result->agent.running;
        return defupd_client_status(client, &result->status, err);
    case AG_CMD_WHY: return ask_why(run, err);
    case AG_CMD_DELIVER: return deliver(run, true, err);
    case AG_CMD_DOCTOR: return defupd_client_doctor(client, ag_doctor_step, &result->doctor, err);
    case AG_CMD_TRUST:
        return args->trust_reset ? defupd_client_trust_reset(client, err)
                                 : defupd_client_trust_show(client, ag_result_role, result, err);
    case AG_CMD_PREFLIGHT:
    case AG_CMD_CLUSTER_CHECK:
    case AG_CMD_SUPPORT_BUNDLE:
    case AG_CMD_CONFIG:
    case AG_CMD_HELP:
    case AG_CMD_VERSION:
    case AG_CMD_COUNT: break;
    }
    return AG_FAIL(err, DEFUPD_E_BUG, "no call for '%s'", args->command->name);
}

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
static void tell_outcome(struct run *run)
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

static void on_hook_line(void *user, const char *line)
{
    const struct run *run = user;

    ag_record_line(run->record, (int64_t)time(NULL), "hook: %s", line);
}

/* Policy's hooks are the service's to run; without one, this process runs them. */
static defupd_code run_hooks(struct run *run, const struct ag_hook_facts *facts, defupd_error *err)
{
    if (run->worker.fd >= 0)
        return ag_worker_hook(&run->worker, facts, err);
    return ag_own_hooks(run->setup.force.policy, facts, on_hook_line, run, err);
}

static defupd_code on_hook(void *user, const defupd_hook *hook, defupd_error *err)
{
    struct run *run = user;
    const struct ag_hook_facts facts = { .kind = hook->kind,
                                         .code = hook->code,
                                         .from = hook->from_version,
                                         .to = hook->to_version,
                                         .component = hook->component,
                                         .tree = hook->tree,
                                         .text = hook->text,
                                         .state_dir = run->setup.state_dir };

    return run_hooks(run, &facts, err);
}

/* After a run without a service: what the service would tell. */
static void tell_products(struct run *run)
{
    const struct ag_args *args = &run->args;
    const enum ag_command_id id = args->command->id;
    struct ag_hook_facts facts = { .kind = AG_HOOK_ON_ERROR,
                                   .code = run->result.code,
                                   .text = run->result.err.message,
                                   .state_dir = run->setup.state_dir };
    const defupd_component_status *item;
    defupd_status *status = NULL;
    defupd_error err = { 0 };

    if (run->worker.fd >= 0 || ag_policy_at(run->setup.force.policy, "hooks") == NULL ||
        (id != AG_CMD_UPDATE && id != AG_CMD_FORCEUPDATE) || ag_given(args, AG_OPT_DRY_RUN) ||
        args->word_count > 0)
        return;
    if (run->result.code != DEFUPD_OK && run_hooks(run, &facts, &err) != DEFUPD_OK)
        ag_line(run->err, "defupd: warning: %s", err.message);
    if (defupd_client_status(run->client, &status, &err) != DEFUPD_OK)
        return;
    for (uint32_t i = 0; (item = defupd_status_at(status, i)) != NULL; i++) {
        facts = (struct ag_hook_facts){ .kind = AG_HOOK_ON_OUTDATED,
                                        .code = item->last_error,
                                        .from = item->version,
                                        .component = item->name,
                                        .text = "older than the maximum age",
                                        .state_dir = run->setup.state_dir };
        if (item->state == DEFUPD_STATE_STALE && run_hooks(run, &facts, &err) != DEFUPD_OK)
            ag_line(run->err, "defupd: warning: %s", err.message);
    }
    defupd_status_free(status);
}

/* With --worker: everything goes to the service from here on. */
static defupd_code open_worker(struct run *run, defupd_error *err)
{
    struct ag_worker *worker = &run->worker;

    AG_TRY(ag_worker_open(worker, run->args.value[AG_OPT_WORKER], err));
    run->out = worker->out;
    run->err = worker->err;
    worker->on_line = on_hook_line;
    worker->user = run;
    run->args.next_on_success = worker->next_on_success;
    run->args.next_on_failure = worker->next_on_failure;
    return DEFUPD_OK;
}

/* The folder of a file URL, yours to free(); NULL for others. */
static char *file_source(const char *url)
{
    char *path;
    unsigned byte;

    if (strncasecmp(url, "file://", 7) != 0)
        return NULL;
    path = strdup(strchr(url + 7, '/') != NULL ? strchr(url + 7, '/') : "/");
    for (char *c = path; c != NULL && *c != '\0'; c++) {
        if (*c == '%' && sscanf(c + 1, "%2x", &byte) == 1 && c[1] != '\0' && c[2] != '\0') {
            *c = (char)byte;
            memmove(c + 1, c + 3, strlen(c + 3) + 1);
        }
    }
    return path;
}

/* The sources in use, by number; `object` is where a policy says that its objects are, or NULL. */
static const char *source_url(const struct run *run, size_t index, const char **object)
{
    const defupd_source *const *list = (const defupd_source *const *)run->setup.map.sources;

    *object = NULL;
    if (list == NULL)
        return run->args.sources[index];
    if (list[index] == NULL)
        return NULL;
    *object = list[index]->object_url;
    return list[index]->url;
}

static void add_readable(const char **readable, size_t *count, const char *path)
{
    for (size_t i = 0; i < *count; i++) {
        if (path != NULL && strcmp(readable[i], path) == 0)
            return;
    }
    if (path != NULL && *count < READABLE)
        readable[(*count)++] = path;
}

/* What the ways to the sources are made of. */
static void add_certificates(const struct run *run, const char **readable, size_t *count)
{
    const defupd_source *const *list = (const defupd_source *const *)run->setup.map.sources;

    for (; list != NULL && *list != NULL; list++) {
        add_readable(readable, count, (*list)->ca_file);
        add_readable(readable, count, (*list)->client_cert);
        add_readable(readable, count, (*list)->client_key);
        add_readable(readable, count, (*list)->crl_file);
    }
}

/* The worker's fence; it still reads what the policy and the command name. */
static defupd_code confine(const struct run *run, defupd_error *err)
{
    const char *readable[READABLE + 1] = { NULL };
    char *source[READABLE] = { NULL };
    size_t count = 0, sources = 0;
    const char *url, *object;
    defupd_code rc;

    add_readable(readable, &count, run->setup.ca_file);
    add_readable(readable, &count, run->setup.archive); /* a folder's files are opened as wanted */
    for (size_t i = 0; (url = source_url(run, i, &object)) != NULL; i++) {
        const char *const both[] = { url, object };

        for (size_t k = 0; k < 2 && sources < READABLE; k++) {
            char *path = both[k] != NULL ? file_source(both[k]) : NULL;

            if (path != NULL)
                add_readable(readable, &count, source[sources++] = path);
        }
    }
    add_certificates(run, readable, &count);
    rc = ag_confine(run->setup.state_dir, readable, err);
    while (sources > 0)
        free(source[--sources]);
    return rc;
}

/* A running agent does what changes the store; true when it did, or refused to. */
static bool hand_over(struct run *run)
{
    struct ag_result *result = &run->result;
    const char *state_dir = run->args.value[AG_OPT_STATE_DIR];

    if (run->worker.fd >= 0)
        return false;
    /* The agent's working directory is another one. */
    if (run->args.command->id == AG_CMD_IMPORT) {
        result->code = ag_path_absolute(&run->archive, run->args.words[0], &result->err);
        if (result->code != DEFUPD_OK)
            return true;
        run->args.words[0] = run->archive;
    }
    ag_hand_over(&run->handed, &run->args, state_dir != NULL ? state_dir : AG_DEFAULT_STATE_DIR);
    if (run->handed.refused)
        result->code = AG_FAIL(&result->err, run->handed.code, "%s", run->handed.text);
    return run->handed.done;
}

static void attempt(struct run *run)
{
    char who[64], what[512];
    struct ag_result *result = &run->result;
    defupd_error report_err = { 0 };

    if (hand_over(run))
        return;
    run->args.on_hook = on_hook;
    run->args.hook_user = run;
    result->code =
        ag_prepare(&run->client, &run->setup, &run->args, on_event, on_log, run, &result->err);
    if (result->code == DEFUPD_OK && run->worker.fd >= 0)
        result->code = confine(run, &result->err);
    if (result->code != DEFUPD_OK) {
        (void)snprintf(who, sizeof who, "uid %u", (unsigned)run->asked_by);
        if (run->client == NULL)
            ag_unable(&run->args, &run->setup, run->worker.fd >= 0 ? run->worker.who : who,
                      &result->err);
        return;
    }
    tell_of_policy(run);
    run->setup.report.agent_runs = run->worker.fd >= 0;
    start_record(run, who, what);
    ag_progress_start(&run->progress, stderr);
    if (ag_given(&run->args, AG_OPT_QUIET) || ag_given(&run->args, AG_OPT_JSON) ||
        run->worker.fd >= 0)
        run->progress.out = NULL;
    ag_signals_start(cancel_client, run->client);
    result->code = call(run, &result->err);
    ag_record_end(run->record, result->code, result->err.message, result->report,
                  (int64_t)time(NULL));
    ag_progress_clear(&run->progress);
    tell_sources(run);
    tell_products(run);
    if (keep_policy(run, &report_err) != DEFUPD_OK && tells_of_reports(run, &report_err))
        ag_line(run->err, "defupd: warning: the policy could not be kept: %s", report_err.message);
    /* What was asked is done all the same, and its exit code stands; but whoever reads the reports
     * sees old ones. */
    if (write_reports(run, &report_err) != DEFUPD_OK && tells_of_reports(run, &report_err))
        ag_line(run->err, "defupd: warning: reports could not be written: %s", report_err.message);
    ag_record_free(run->record);
    run->record = NULL;
    ag_signals_stop();
}

/* The posture is JSON whether asked for or not, and its form is a contract of its own. */
static defupd_code print_posture(struct run *run, defupd_error *err)
{
    const int64_t now = (int64_t)time(NULL);
    char *text = NULL;
    struct ag_seen seen;
    defupd_code rc;

    AG_TRY(ag_posture(&text, run->result.status, &run->setup.report, now, err));
    if (!ag_given(&run->args, AG_OPT_NAGIOS)) {
        (void)fputs(text, stdout);
        free(text);
        return DEFUPD_OK;
    }
    rc = ag_seen_parse(&seen, "posture", text, strlen(text), err);
    free(text);
    AG_TRY(rc);
    run->result.exit_code = (int)ag_nagios(stdout, &seen, now);
    ag_seen_free(&seen);
    return DEFUPD_OK;
}

static void print_version(void)
{
    char libraries[512] = "";

    defupd_version_details(libraries, sizeof libraries);
    ag_line(stdout, "defupd %s", defupd_version());
    ag_line(stdout, "with %s", libraries);
}

static defupd_code print(struct run *run, defupd_error *err)
{
    struct ag_result *result = &run->result;

    if (run->args.command->id == AG_CMD_POSTURE && result->code == DEFUPD_OK)
        return print_posture(run, err);
    if (run->worker.fd >= 0)
        AG_TRY(ag_json_result(run->worker.json, result, err));
    if (ag_given(&run->args, AG_OPT_JSON))
        return ag_json_result(run->out, result, err);
    if (run->args.command->id == AG_CMD_VERSION)
        print_version();
    else if (run->client != NULL)
        ag_text_result(run->out, result, (int64_t)time(NULL));
    return DEFUPD_OK;
}

/* Print everything; yields the exit code. */
static int finish(struct run *run)
{
    struct ag_result *result = &run->result;
    const bool news = result->code == DEFUPD_OK && ag_result_news(result);
    defupd_error err = { 0 };
    defupd_code rc;

    result->exit_code = defupd_code_exit(result->code);
    if (news && ag_given(&run->args, AG_OPT_DETAILED_EXITCODE))
        result->exit_code = 2;
    if (run->handed.done && !run->handed.refused) {
        result->exit_code = run->handed.exit_code;
        if (run->handed.news && result->exit_code == 0 &&
            ag_given(&run->args, AG_OPT_DETAILED_EXITCODE))
            result->exit_code = 2;
    }
    if (result->code != DEFUPD_OK && ag_given(&run->args, AG_OPT_NAGIOS)) {
        ag_nagios_unknown(stdout, result->err.message);
        return (int)AG_UNKNOWN;
    }
    rc = run->handed.done && !run->handed.refused ? DEFUPD_OK : print(run, &err);
    if (rc == DEFUPD_OK && (fflush(run->out) != 0 || ferror(run->out)))
        rc = AG_FAIL_ERRNO(&err, DEFUPD_E_IO, "cannot write to standard output");
    ag_text_errors(run->err, result, run->args.verbose > 0);
    if (rc == DEFUPD_OK)
        return result->exit_code;
    ag_text_error(run->err, &err, run->args.verbose > 0);
    return result->code == DEFUPD_OK ? defupd_code_exit(rc) : result->exit_code;
}

static int help(const struct ag_args *args)
{
    if (args->help_command != NULL)
        ag_help_command(stdout, args->help_command);
    else
        ag_help(stdout);
    return fflush(stdout) == 0 ? 0 : defupd_code_exit(DEFUPD_E_IO);
}

/* Whatever else is wrong with the command line, who wants JSON gets JSON. */
static bool wants_json(char *const *argv)
{
    for (; *argv != NULL && strcmp(*argv, "--") != 0; argv++) {
        if (strcmp(*argv, "--json") == 0)
            return true;
    }
    return false;
}

static int run_all(struct run *run, char *const *argv)
{
    defupd_error err = { 0 };
    const defupd_code rc = ag_args_parse(&run->args, argv, &err);
    int exit_code;

    if (rc != DEFUPD_OK) {
        if (wants_json(argv))
            ag_json_wrong_use(stdout, &run->args, &err);
        (void)fflush(stdout);
        ag_line(stderr, "defupd: %s", err.message); /* says what to do by itself */
        return defupd_code_exit(rc);
    }
    if (run->args.command->id == AG_CMD_HELP)
        return help(&run->args);
    if (run->args.command->id == AG_CMD_CONFIG)
        return ag_config(&run->args, stdout, stderr);
    if (run->args.command->id == AG_CMD_PREFLIGHT)
        return ag_preflight(&run->args, stdout, stderr);
    if (run->args.command->id == AG_CMD_CLUSTER_CHECK)
        return ag_cluster_check(&run->args, stdout, stderr);
    if (run->args.command->id == AG_CMD_SUPPORT_BUNDLE)
        return ag_support_bundle(&run->args, stdout, stderr);
    run->result.args = &run->args;
    if (ag_given(&run->args, AG_OPT_WORKER) && open_worker(run, &err) != DEFUPD_OK) {
        ag_line(stderr, "defupd: %s", err.message);
        return defupd_code_exit(err.code);
    }
    if ((run->args.command->traits & AG_CMD_NO_STORE) == 0)
        attempt(run);
    exit_code = finish(run);
    if (run->worker.fd >= 0)
        tell_outcome(run);
    /* After the answer, for nobody waits for it. What is not taken now stays queued. */
    if ((run->args.command->traits & AG_CMD_REPORTS) != 0 && run->setup.report.report_url != NULL)
        (void)!deliver(run, false, &err);
    return exit_code;
}

/* Descriptors 0 to 2 must be taken: else a file of the store gets such a number, and a message
 * for a closed standard error lands in it. */
static bool standard_files_open(void)
{
    int fd;

    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        (void)close(fd);
    return fd >= 0;
}

int ag_main(int argc, char **argv)
{
    struct run run = { .setup.ca_fd = -1,
                       .setup.archive_fd = -1,
                       .asked_by = getuid(),
                       .out = stdout,
                       .err = stderr,
                       .worker.fd = -1 };
    char **copy = calloc((size_t)argc + 1, sizeof *copy);
    bool copied = copy != NULL && standard_files_open();
    int exit_code = defupd_code_exit(DEFUPD_E_NOMEM);

    /* What is parsed is a copy: the original is what the process list shows. */
    for (int i = 1; i < argc && copied; i++) {
        copy[i - 1] = strdup(argv[i]);
        copied = copy[i - 1] != NULL;
    }
    if (copied) {
        ag_args_blank(argc, argv);
        exit_code = run_all(&run, copy);
    } else {
        (void)fputs("defupd: out of memory\n", stderr);
    }
    ag_result_free(&run.result);
    defupd_client_close(run.client);
    ag_setup_free(&run.setup);
    free(run.archive);
    ag_args_free(&run.args);
    ag_worker_close(&run.worker);
    for (int i = 1; i < argc && copy != NULL; i++)
        free(copy[i - 1]);
    free(copy);
    return exit_code;
}
