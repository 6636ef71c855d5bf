/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fail.h"
#include "report/monitor.h"
#include "report/report.h"
#include "run_priv.h"
#include "text.h"

/* The posture is JSON whether asked for or not, and its form is a contract of its own. */
static defupd_code print_posture(struct run *run, defupd_error *err)
{
    const int64_t now = (int64_t)time(NULL);
    struct ag_report_settings settings = run->setup.report;
    char *text = NULL;
    struct ag_seen seen;
    defupd_code rc;

    settings.relay = run->result.relay.there ? &run->result.relay : NULL;
    AG_TRY(ag_posture(&text, run->result.status, &settings, now, err));
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
int ag_run_finish(struct run *run)
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
