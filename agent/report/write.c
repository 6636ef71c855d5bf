/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fail.h"
#include "report/report.h"

/* What a person asked for that cannot be had, or called off, is told to that person: the report
 * keeps what the store knows. */
static bool tells_of_host(defupd_code code)
{
    const int status = defupd_code_exit(code);

    return code != DEFUPD_OK && code != DEFUPD_E_CANCELLED &&
           (defupd_code_group(code) != DEFUPD_GROUP_CALLER ||
            (status != 64 && status != 65 && status != 77));
}

defupd_code ag_reports_write(defupd_client *client, const char *state_dir,
                             const struct ag_report_settings *settings, defupd_code last,
                             int64_t now, char **posture, defupd_error *err)
{
    struct ag_report_settings with = *settings;
    struct ag_relay_facts relay;
    defupd_status *status = NULL;
    char *local = NULL, *text = NULL;
    struct stat st;
    size_t count = 0;
    defupd_code rc;

    if (posture != NULL)
        *posture = NULL;
    /* Asked before the library: a failed first attempt must not leave a store behind that holds
     * nothing but its own reports. */
    if (stat(state_dir, &st) != 0 && errno == ENOENT)
        return DEFUPD_OK;
    if (settings->is_relay) {
        ag_relay_facts_read(&relay, state_dir, settings->relay_caches, now);
        with.relay = &relay;
    }
    rc = defupd_client_status(client, &status, err);
    if (rc == DEFUPD_OK && !tells_of_host(last))
        last = settings->unable_code != DEFUPD_OK
                   ? settings->unable_code
                   : (defupd_code)defupd_status_store(status)->last_error;
    if (rc == DEFUPD_OK)
        rc = ag_local_xml(&local, &count, status, settings, last, err);
    if (rc == DEFUPD_OK)
        rc = ag_posture(&text, status, &with, now, err);
    if (rc == DEFUPD_OK)
        rc = defupd_client_write_report(client, "local.xml", local, count, err);
    if (rc == DEFUPD_OK)
        rc = defupd_client_write_report(client, "posture.json", text, strlen(text), err);
    if (rc == DEFUPD_OK)
        rc = ag_metrics_write(&ag_disk_posix, state_dir, text, err);
    free(local);
    defupd_status_free(status);
    if (posture != NULL && text != NULL)
        *posture = text;
    else
        free(text);
    return rc;
}
