/* SPDX-License-Identifier: Apache-2.0 */
/* The reports beside the store, docs/formats/reports.md: local.xml and posture.json. */
#ifndef AG_REPORT_H
#define AG_REPORT_H

#include <stddef.h>
#include <stdint.h>

#include <defupd/defupd.h>

/* Time between two scheduled attempts when no policy says another. `connected` in the posture
 * means: the last contact is younger than two of them. */
#define AG_INTERVAL_S 7200

/* local.xml as bytes, yours to free(). `last` is how the attempt ended that the report is about:
 * agent/lasterror. DEFUPD_E_NOMEM. */
DEFUPD_MUST_CHECK defupd_code ag_local_xml(char **out, size_t *count, const defupd_status *status,
                                           defupd_code last, defupd_error *err);

/* The posture as JSON text, yours to free(). DEFUPD_E_NOMEM. */
DEFUPD_MUST_CHECK defupd_code ag_posture(char **out, const defupd_status *status, int64_t now,
                                         int64_t interval_s, defupd_error *err);

/* Write both into the store. A store that does not exist gets none: that is no failure. `last` is
 * how the attempt ended; when it succeeded, what the store knows counts: a verification in between
 * does not clear a failed update. */
DEFUPD_MUST_CHECK defupd_code ag_reports_write(defupd_client *client, const char *state_dir,
                                               defupd_code last, int64_t now, defupd_error *err);

#endif
