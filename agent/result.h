/* SPDX-License-Identifier: Apache-2.0 */
/* What a command found and did, between the calls that fill it and the two ways of printing it. */
#ifndef AG_RESULT_H
#define AG_RESULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <defupd/defupd.h>

#include "hand_over.h"
#include "options.h"
#include "report/deliver.h"
#include "report/relay.h"
#include "report/why.h"
#include "support/doctor.h"
#include "unable.h"

/* A damaged file as verify told it. */
struct ag_damage {
    char *component, *path, *what;
    uint64_t version;
    bool repaired;
};

/* A trusted role as trust show told it. */
struct ag_role {
    char *name, *keyids;
    uint64_t version;
    int64_t expires;
    unsigned threshold;
};

#define AG_DAMAGE_MAX 10000 /* findings that are kept; the rest is counted */

struct ag_result {
    const struct ag_args *args;
    defupd_code code;
    defupd_error err; /* when code is not DEFUPD_OK */
    int exit_code;
    /* Below: NULL or 0 where the command has none. */
    int64_t debug_until;      /* Unix seconds: until then policy wants logs in detail */
    const char *policy_error; /* the last good policy is in force; borrowed */
    defupd_report *report;
    defupd_status *status;
    defupd_listing *listing;
    struct ag_damage *damage;
    size_t damage_kept;
    uint64_t damage_count, repaired_count;
    uint64_t files; /* verified */
    struct ag_role *roles;
    size_t role_count;
    struct ag_why why; /* of `why`; its status NULL for other commands */
    struct ag_doctor doctor;
    struct ag_delivery delivery;
    defupd_error why_error;      /* why there is no plan in it */
    struct ag_agent agent;       /* of `status` and `posture` */
    struct ag_unable unable;     /* the last attempt */
    struct ag_relay_facts relay; /* of `status` and `posture`, on a relay */
    uint64_t freed;              /* bytes */
    uint64_t pid;                /* that was asked to cancel */
    bool incomplete;             /* findings or roles did not fit into memory */
};

/* Item of the report, NULL past the end and without a report. */
static inline const defupd_report_item *ag_item(const struct ag_result *result, uint32_t index)
{
    return result->report != NULL ? defupd_report_at(result->report, index) : NULL;
}

void ag_result_free(struct ag_result *result);

/* Callbacks for defupd_client_verify() and defupd_client_trust_show(); user is the result. */
void ag_result_damage(void *user, const defupd_damage *damage);
void ag_result_role(void *user, const defupd_role *role);

/* True when the command found or made something new, for --detailed-exitcode. */
bool ag_result_news(const struct ag_result *result);

/* For people, on `out`; failures are told by ag_text_errors(). `now`: Unix seconds. */
void ag_text_result(FILE *out, const struct ag_result *result, int64_t now);
/* All failures, on `out` (standard error): one line each and one with the advice. `origin`: where
 * in the source it failed, for support. Nothing when the code is DEFUPD_OK. */
void ag_text_errors(FILE *out, const struct ag_result *result, bool origin);
/* One failure. */
void ag_text_error(FILE *out, const defupd_error *err, bool origin);

/* For programs: one document, or, for commands that stream, the line {"result": ...}.
 * DEFUPD_E_NOMEM. */
DEFUPD_MUST_CHECK defupd_code ag_json_result(FILE *out, const struct ag_result *result,
                                             defupd_error *err);
/* The same for a command line that was not understood: code, name, text, advice, exit. */
void ag_json_wrong_use(FILE *out, const struct ag_args *args, const defupd_error *err);
/* One event as a line. */
void ag_json_event(FILE *out, const defupd_event *event, int64_t now);

#endif
