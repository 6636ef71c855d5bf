/* SPDX-License-Identifier: Apache-2.0 */
/* The reports beside the store, docs/formats/reports.md: local.xml, posture.json and what
 * monitoring reads, which is made from the posture. */
#ifndef AG_REPORT_H
#define AG_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <defupd/defupd.h>

#include "report/disk.h"
#include "report/relay.h"

/* Time between two scheduled attempts when no policy says another. */
#define AG_INTERVAL_S 7200

/* What reports need to know beside the store's status. Zero means the default. Strings live as long
 * as it is used. */
struct ag_report_settings {
    int64_t interval_s; /* `connected`: the last contact is younger than two of them */
    /* Engine that uses a component; NULL: each is its own. */
    const char *(*engine)(const void *user, const char *component);
    const void *engine_user;
    bool agent_runs;         /* the service is there, though it may be idle */
    defupd_code policy_code; /* why the policy file is not the one in force */
    defupd_code
        unable_code;        /* the last attempt could not even begin, and the store knows not why */
    int64_t debug_until;    /* Unix seconds; until then debug lines are kept in the logs */
    const char *report_url; /* where events and the posture are sent, NULL: nowhere */
    const char *ca_file;    /* for it; NULL: the system's */
    uint64_t queue_bytes;   /* most of what waits to be sent; 0: 4 MiB */
    bool is_relay;
    bool relay_caches;                  /* its mode is cache */
    const struct ag_relay_facts *relay; /* NULL: nothing is told of it */
};

/* local.xml as bytes, yours to free(). `last` is how the attempt ended that the report is about:
 * agent/lasterror, unless it succeeded and the policy is bad. DEFUPD_E_NOMEM. */
DEFUPD_MUST_CHECK defupd_code ag_local_xml(char **out, size_t *count, const defupd_status *status,
                                           const struct ag_report_settings *settings,
                                           defupd_code last, defupd_error *err);

/* The posture as JSON text, yours to free(). DEFUPD_E_NOMEM. */
DEFUPD_MUST_CHECK defupd_code ag_posture(char **out, const defupd_status *status,
                                         const struct ag_report_settings *settings, int64_t now,
                                         defupd_error *err);

/* Write all into the store. A store that does not exist gets none: that is no failure. `last` is
 * how the attempt ended; when it succeeded, what the store knows counts: a verification in between
 * does not clear a failed update. With `posture`, the JSON text is yours to free(), NULL when there
 * is none. */
DEFUPD_MUST_CHECK defupd_code ag_reports_write(defupd_client *client, const char *state_dir,
                                               const struct ag_report_settings *settings,
                                               defupd_code last, int64_t now, char **posture,
                                               defupd_error *err);

/* STATE/metrics/defupd.prom, from the posture's text, for the node exporter's textfile collector.
 * DEFUPD_E_IO, DEFUPD_E_NOMEM; the old file is then as it was. */
DEFUPD_MUST_CHECK defupd_code ag_metrics_write(const struct ag_disk *disk, const char *state_dir,
                                               const char *posture, defupd_error *err);

#endif
