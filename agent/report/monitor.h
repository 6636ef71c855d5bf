/* SPDX-License-Identifier: Apache-2.0 */
/* What monitoring systems read, made from a posture: docs/monitoring.md. */
#ifndef AG_REPORT_MONITOR_H
#define AG_REPORT_MONITOR_H

#include <stdint.h>
#include <stdio.h>

#include "report/seen.h"
#include "report/totals.h"

/* Prometheus text format. */
void ag_metrics(FILE *out, const struct ag_seen *seen, const struct ag_totals *totals);

/* How bad a component's or a host's state is, with Nagios's exit codes. */
enum ag_severity { AG_FINE = 0, AG_WARNING = 1, AG_CRITICAL = 2, AG_UNKNOWN = 3 };

/* What a state means to who is to be woken. A failed poll among successes leaves the state as it
 * was, and is fine. */
enum ag_severity ag_state_severity(const char *state);

/* One line of a Nagios plugin, with performance data; the exit code. */
enum ag_severity ag_nagios(FILE *out, const struct ag_seen *seen, int64_t now);
/* The line for a host that cannot be told about. */
void ag_nagios_unknown(FILE *out, const char *why);

#endif
