/* SPDX-License-Identifier: Apache-2.0 */
#include "unable.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "become.h"
#include "policy/config.h"
#include "report/disk.h"
#include "report/event.h"
#include "report/record.h"
#include "report/report.h"

#define NAME "unable"
#define MOST 1024 /* bytes of the file */

static int open_state(const char *state_dir)
{
    return open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

void ag_unable_read(struct ag_unable *unable, const char *state_dir)
{
    const int dir = open_state(state_dir);
    char *text = NULL, *end;
    size_t count;
    int code, at = 0;

    *unable = (struct ag_unable){ .code = DEFUPD_OK };
    if (dir >= 0 && ag_disk_read(&ag_disk_posix, dir, NAME, MOST, &text, &count) == 0 &&
        sscanf(text, "%" SCNd64 " %d %n", &unable->time, &code, &at) == 2 && at > 0 && code < 0 &&
        (end = strchr(text + at, '\n')) != NULL) {
        *end = '\0';
        unable->code = (defupd_code)code;
        (void)snprintf(unable->text, sizeof unable->text, "%s", text + at);
    }
    free(text);
    if (dir >= 0)
        (void)close(dir);
}

void ag_unable_forget(const char *state_dir)
{
    const int dir = open_state(state_dir);

    if (dir < 0)
        return;
    (void)unlinkat(dir, NAME, 0);
    (void)close(dir);
}

/* Beside the reports, which everybody may read. */
static void keep(const char *state_dir, const defupd_error *why, int64_t now)
{
    const int dir = open_state(state_dir);
    char text[MOST];
    const int length =
        snprintf(text, sizeof text, "%" PRId64 " %d %s\n", now, (int)why->code, why->message);

    if (dir < 0)
        return;
    if (length > 0 && (size_t)length < sizeof text)
        (void)!ag_disk_replace(&ag_disk_posix, dir, NAME, text, (size_t)length, 0644, 0);
    (void)close(dir);
}

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
        why->code == DEFUPD_E_INVALID ||
        args->command->id == AG_CMD_IMPORT || /* a person's order, of a file that person named */
        (client = open_store(setup)) == NULL)
        return;
    if (setup->force.policy != NULL)
        ag_map_report(&setup->report, &setup->force);
    setup->report.unable_code = why->code;
    keep(setup->state_dir, why, now);
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
