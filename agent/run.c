/* SPDX-License-Identifier: Apache-2.0 */
#include "run.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fail.h"
#include "policy/config.h"
#include "prepare.h"
#include "progress.h"
#include "report/event.h"
#include "report/monitor.h"
#include "report/record.h"
#include "report/report.h"
#include "result.h"
#include "signals.h"
#include "text.h"

#define SOURCES 16 /* failed ones that are told; more are left out */

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
            ag_line(stderr, "defupd: warning: %s", run->source[i].failure.message);
    }
}

static void on_event(void *user, const defupd_event *event)
{
    struct run *run = user;

    ag_record_event(run->record, event, (int64_t)time(NULL));
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
        ag_line(stderr, "defupd: warning: %s: %s", event->component, event->text);
    }
}

static void on_log(void *user, defupd_level level, const char *module, const char *text)
{
    static const char *const names[] = { "", "error", "warning", "info", "debug" };
    struct run *run = user;

    ag_record_log(run->record, level, module, text, (int64_t)time(NULL));
    if (run->args.verbose == 0 ||
        level > (run->args.verbose > 1 ? DEFUPD_LEVEL_DEBUG : DEFUPD_LEVEL_INFO))
        return;
    ag_progress_clear(&run->progress);
    ag_line(stderr, "%-7s %s: %s",
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
                { AG_OPT_REPAIR, DEFUPD_REQUEST_REPAIR } };
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
    case AG_CMD_CANCEL: return defupd_client_cancel_other(client, &result->pid, err);
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
    case AG_CMD_POSTURE: return defupd_client_status(client, &result->status, err);
    case AG_CMD_WHY: return ask_why(run, err);
    case AG_CMD_TRUST:
        return args->trust_reset ? defupd_client_trust_reset(client, err)
                                 : defupd_client_trust_show(client, ag_result_role, result, err);
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
        ag_line(stderr, "defupd: warning: the last good policy is in force: %s", error->message);
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
    if ((run->args.command->traits & AG_CMD_REPORTS) == 0 || run->result.code == DEFUPD_E_BUSY ||
        run->result.code == DEFUPD_E_INVALID)
        return DEFUPD_OK;
    return ag_reports_write(run->client, run->setup.state_dir, &run->setup.report, run->result.code,
                            (int64_t)time(NULL), NULL, err);
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
                                               .debug_until = run->setup.report.debug_until };
    size_t used;

    if ((args->command->traits & (AG_CMD_REPORTS | AG_CMD_LOGS)) == 0 ||
        (args->command->id == AG_CMD_TRUST && !args->trust_reset))
        return;
    (void)snprintf(who, 64, "uid %u", (unsigned)run->asked_by);
    (void)snprintf(what, 512, "%s%s", name, ag_given(args, AG_OPT_DRY_RUN) ? " --dry-run" : "");
    for (size_t i = 0; i < args->word_count; i++) {
        used = strlen(what);
        (void)snprintf(what + used, 512 - used, " %s", args->words[i]);
    }
    run->record = ag_record_start(&options, (int64_t)time(NULL));
}

static void attempt(struct run *run)
{
    char who[64], what[512];
    struct ag_result *result = &run->result;
    defupd_error report_err = { 0 };

    result->code =
        ag_prepare(&run->client, &run->setup, &run->args, on_event, on_log, run, &result->err);
    if (result->code != DEFUPD_OK)
        return;
    tell_of_policy(run);
    start_record(run, who, what);
    ag_progress_start(&run->progress, stderr);
    if (ag_given(&run->args, AG_OPT_QUIET) || ag_given(&run->args, AG_OPT_JSON))
        run->progress.out = NULL;
    ag_signals_start(cancel_client, run->client);
    result->code = call(run, &result->err);
    ag_record_end(run->record, result->code, result->err.message, result->report,
                  (int64_t)time(NULL));
    ag_record_free(run->record);
    run->record = NULL;
    ag_progress_clear(&run->progress);
    tell_sources(run);
    if (keep_policy(run, &report_err) != DEFUPD_OK && tells_of_reports(run, &report_err))
        ag_line(stderr, "defupd: warning: the policy could not be kept: %s", report_err.message);
    /* What was asked is done all the same, and its exit code stands; but whoever reads the reports
     * sees old ones. */
    if (write_reports(run, &report_err) != DEFUPD_OK && tells_of_reports(run, &report_err))
        ag_line(stderr, "defupd: warning: reports could not be written: %s", report_err.message);
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
    if (ag_given(&run->args, AG_OPT_JSON))
        return ag_json_result(stdout, result, err);
    if (run->args.command->id == AG_CMD_VERSION)
        print_version();
    else if (run->client != NULL)
        ag_text_result(stdout, result, (int64_t)time(NULL));
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
    if (result->code != DEFUPD_OK && ag_given(&run->args, AG_OPT_NAGIOS)) {
        ag_nagios_unknown(stdout, result->err.message);
        return (int)AG_UNKNOWN;
    }
    rc = print(run, &err);
    if (rc == DEFUPD_OK && (fflush(stdout) != 0 || ferror(stdout)))
        rc = AG_FAIL_ERRNO(&err, DEFUPD_E_IO, "cannot write to standard output");
    ag_text_errors(stderr, result, run->args.verbose > 0);
    if (rc == DEFUPD_OK)
        return result->exit_code;
    ag_text_error(stderr, &err, run->args.verbose > 0);
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
    run->result.args = &run->args;
    if ((run->args.command->traits & AG_CMD_NO_STORE) == 0)
        attempt(run);
    return finish(run);
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
    struct run run = { .setup.ca_fd = -1, .setup.archive_fd = -1, .asked_by = getuid() };
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
    ag_args_free(&run.args);
    for (int i = 1; i < argc && copy != NULL; i++)
        free(copy[i - 1]);
    free(copy);
    return exit_code;
}
