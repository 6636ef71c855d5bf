/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DU_PLAN_PRIV_H
#define DU_PLAN_PRIV_H

#include "plan/plan.h"

/* How a release comes to be wanted: the columns of the table of gates. */
enum du_way { DU_WAY_SCHEDULED, DU_WAY_UPDATE, DU_WAY_NAMED, DU_WAY_WITHDRAWAL, DU_WAYS };

/* What all questions of one plan are about. */
struct du_case {
    const struct du_manifest *manifest;
    const struct du_plan_facts *facts;
    const struct du_release *installed; /* as the manifest lists it; NULL if it does not, or not so
                                           that this client understands it */
    bool reused; /* the manifest's tree of that version is not the one installed */
};

struct du_path {
    bool on_disk;
    const struct du_object *step[DU_PLAN_STEPS_MAX];
    uint64_t step_version[DU_PLAN_STEPS_MAX];
    size_t steps;
    uint64_t bytes;
};

/* What is said about one release. */
struct du_verdict {
    const struct du_release *release;
    int32_t reason;             /* defupd_reason; NONE: it may be taken, by `path` */
    const struct du_need *need; /* with NEEDS: the first that is not met */
    int64_t reached;            /* with ROLLOUT: when it reaches this host, 0 if that is not set;
                                   with DELAY: when that is over */
    bool daily;                 /* with BUDGET: it is the day's */
    struct du_path path;
};

/* --- gate.c --- */

void du_gate_judge(struct du_verdict *verdict, const struct du_case *c,
                   const struct du_release *release, enum du_way way);
/* What this host has of an engine, NULL if it is not known here. */
const char *du_gate_engine(const struct du_plan_facts *facts, const char *name);
/* The version that a component will have after this run, 0 if none. */
uint64_t du_gate_component(const struct du_plan_facts *facts, const char *name);
/* The class by which a release is licensed; "" if none. */
const char *du_gate_class(const struct du_plan_facts *facts, const struct du_release *release);
bool du_gate_quarantined(const struct du_plan_facts *facts, uint64_t version);
bool du_gate_damaged(const struct du_plan_facts *facts, uint64_t version);
bool du_gate_on_disk(const struct du_plan_facts *facts, uint64_t version);

/* --- path.c --- */

/* The cheapest way to the release; false if none of its objects is of use. */
bool du_path_find(struct du_path *path, const struct du_case *c, const struct du_release *release);
bool du_path_codec_known(const struct du_plan_facts *facts, const char *codec);

/* --- say.c: plan->text, each appends --- */

__attribute__((format(printf, 2, 3))) void du_say(struct du_plan *plan, const char *format, ...);
/* "1,024,594" */
#define DU_GROUPED_TEXT 32
const char *du_say_grouped(char out[DU_GROUPED_TEXT], uint64_t number);
/* "1003 is held back: ..." */
void du_say_held_back(struct du_plan *plan, const struct du_case *c,
                      const struct du_verdict *verdict);
/* "1003 is withdrawn: false positives" */
void du_say_withdrawn(struct du_plan *plan, const struct du_release *release);
/* "there is no release 5 of tetra; published: 3, 2, 1" */
void du_say_no_release(struct du_plan *plan, const struct du_case *c, uint64_t version);
void du_say_reused(struct du_plan *plan, const struct du_case *c);

#endif
