/* SPDX-License-Identifier: Apache-2.0 */
/* `why C`: what keeps a component where it is, how its last attempt went, and what helps. */
#ifndef AG_REPORT_WHY_H
#define AG_REPORT_WHY_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

#include <defupd/defupd.h>

struct ag_why {
    const defupd_component_status *status;
    const defupd_store_status *store;
    const defupd_report_item *plan; /* what would be decided now; NULL when nothing is known */
    const char *unknown;            /* then: why */
};

/* Find the component; the strings live as long as status and report. `report` may be NULL.
 * DEFUPD_E_NO_COMPONENT. */
DEFUPD_MUST_CHECK defupd_code ag_why_find(struct ag_why *why, const char *component,
                                          const defupd_status *status, const defupd_report *report,
                                          defupd_error *err);

/* What passes the gate that the plan names, one line for people; "" when no gate is in the way. */
const char *ag_why_passes(char out[160], const struct ag_why *why);

void ag_why_text(FILE *out, const struct ag_why *why, int64_t now);
/* Members of the answer into `doc`; false without memory. */
bool ag_why_json(json_t *doc, const struct ag_why *why);

#endif
