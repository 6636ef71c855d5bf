/* SPDX-License-Identifier: Apache-2.0 */
/* One command from its words to its exit code, between the rooms that share it. */
#ifndef AG_RUN_PRIV_H
#define AG_RUN_PRIV_H

#include <stdio.h>
#include <sys/types.h>

#include <defupd/defupd.h>

#include "hand_over.h"
#include "options.h"
#include "prepare.h"
#include "progress.h"
#include "report/record.h"
#include "result.h"
#include "worker.h"

#define AG_RUN_SOURCES 16 /* failed ones that are told; more are left out */

/* The last failure of a source. */
struct ag_run_source {
    char name[256];
    defupd_error failure;
};

struct run {
    struct ag_args args;
    struct ag_setup setup;
    struct ag_result result;
    struct ag_progress progress;
    defupd_client *client;
    char *archive;            /* absolute path of what is imported */
    FILE *out, *err;          /* standard output and error, or the service's */
    struct ag_worker worker;  /* fd is -1 without --worker */
    struct ag_handed handed;  /* to the service: then all was said there */
    struct ag_record *record; /* NULL for commands that change nothing */
    uid_t asked_by;           /* before this process became the store's owner */
    defupd_code relay_failed; /* what is served could not be brought up to date */
    defupd_error relay_error;
    struct ag_run_source source[AG_RUN_SOURCES];
    size_t sources;
};

/* --- attempt.c --- the command's course where it needs a store; results are in run->result */
void ag_run_attempt(struct run *run);
/* What the agent's worker does besides: it tells the service how things stand. */
void ag_run_tell_outcome(struct run *run);

/* --- call.c --- */
DEFUPD_MUST_CHECK defupd_code ag_run_call(struct run *run, defupd_error *err);
/* Send what waits to be sent, where policy wants that. */
DEFUPD_MUST_CHECK defupd_code ag_run_deliver(struct run *run, bool at_once, defupd_error *err);

/* --- event.c --- callbacks of the client; `user` is the run */
void ag_run_event(void *user, const defupd_event *event);
void ag_run_log(void *user, defupd_level level, const char *module, const char *text);
/* Warn of sources that failed, afterwards. */
void ag_run_tell_sources(const struct run *run);

/* --- hook.c --- callbacks; `user` is the run */
defupd_code ag_run_hook(void *user, const defupd_hook *hook, defupd_error *err);
void ag_run_hook_line(void *user, const char *line);
/* After a run without a service: run the hooks that the service would. */
void ag_run_tell_products(struct run *run);

/* --- fence.c --- the worker's fence; it still reads what the policy and the command name */
DEFUPD_MUST_CHECK defupd_code ag_run_confine(const struct run *run, defupd_error *err);

/* --- relay.c --- after the call, before the reports; and after these: a failure of it is the run's
 * when there is none of the endpoint's own */
void ag_run_relay(struct run *run);
void ag_run_relay_end(struct run *run);

/* --- answer.c --- print everything; yields the exit code */
int ag_run_finish(struct run *run);

#endif
