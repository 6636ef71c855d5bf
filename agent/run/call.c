/* SPDX-License-Identifier: Apache-2.0 */
/* The one call into the library that a command is about. */
#include <string.h>
#include <time.h>

#include "fail.h"
#include "run_priv.h"
#include "text.h"

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
defupd_code ag_run_deliver(struct run *run, bool at_once, defupd_error *err)
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
    else if (run->setup.force.policy != NULL)
        from.grace_s = ag_policy_number(run->setup.force.policy, "sources/import-grace");
    request->components = NULL; /* its word is no component */
    return defupd_client_import(run->client, &from, request, &run->result.report, err);
}

/* The one call that the command is about. */
defupd_code ag_run_call(struct run *run, defupd_error *err)
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
        if (run->setup.report.is_relay)
            ag_relay_facts_read(&result->relay, run->setup.state_dir,
                                run->setup.report.relay_caches, (int64_t)time(NULL));
        return defupd_client_status(client, &result->status, err);
    case AG_CMD_WHY: return ask_why(run, err);
    case AG_CMD_DELIVER: return ag_run_deliver(run, true, err);
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
