/* SPDX-License-Identifier: Apache-2.0 */
#include "unable.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "become.h"
#include "policy/config.h"
#include "report/event.h"
#include "report/record.h"
#include "report/report.h"

static defupd_client *open_store(struct ag_setup *setup)
{
    defupd_client_options options = DEFUPD_CLIENT_OPTIONS_INIT;
    defupd_client *client = NULL;
    defupd_error ignored = { 0 };
    struct ag_owner owner;
    struct stat st;

    if (setup->state_dir == NULL || stat(setup->state_dir, &st) != 0 ||
        ag_owner_find(setup->state_dir, &owner, &ignored) != DEFUPD_OK ||
        (ag_owner_is_other(&owner) && ag_become(&owner, &ignored) != DEFUPD_OK))
        return NULL;
    options.state_dir = setup->state_dir;
    return defupd_client_open(&client, &options, &ignored) == DEFUPD_OK ? client : NULL;
}

void ag_unable(const struct ag_args *args, struct ag_setup *setup, const char *who,
               const defupd_error *why)
{
    const int64_t now = (int64_t)time(NULL);
    struct ag_record_options options = { .who = who,
                                         .what = args->command->name,
                                         .journal = AG_JOURNAL };
    defupd_error ignored = { 0 };
    struct ag_record *record;
    defupd_client *client;
    char *posture = NULL;

    if ((args->command->traits & AG_CMD_REPORTS) == 0 || why->code == DEFUPD_E_BUSY ||
        why->code == DEFUPD_E_INVALID || (client = open_store(setup)) == NULL)
        return;
    if (setup->force.policy != NULL)
        ag_map_report(&setup->report, &setup->force);
    if (setup->report.policy_code == DEFUPD_OK) /* the store knows nothing of it: no run began */
        setup->report.policy_code = why->code;
    options.state_dir = setup->state_dir;
    options.queue = setup->report.report_url != NULL;
    options.queue_bytes = setup->report.queue_bytes;
    record = ag_record_start(&options, now);
    ag_record_end(record, why->code, why->message, NULL, now);
    (void)!ag_reports_write(client, setup->state_dir, &setup->report, why->code, now, &posture,
                            &ignored);
    ag_record_posture(record, posture);
    ag_record_free(record);
    setup->report.report_url = NULL; /* what is queued goes with a run that has its files */
    free(posture);
    defupd_client_close(client);
}
