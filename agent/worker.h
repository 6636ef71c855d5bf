/* SPDX-License-Identifier: Apache-2.0 */
/* The service's side of a run in this process (`--worker FD`): instead of a terminal there is a
 * socket to the service, and everything that is told goes there as frames
 * (docs/formats/control.md). */
#ifndef AG_WORKER_H
#define AG_WORKER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <defupd/defupd.h>

#include "control/wire.h"
#include "hook/hook.h"

struct ag_worker_stream {
    struct ag_worker *worker;
    char letter;
    char *line;
    size_t used, size;
};

struct ag_worker {
    int fd;
    FILE *out, *err, *json; /* for people, for people about failures, for programs */
    struct ag_worker_stream streams[3];
    struct ag_lines in;
    unsigned unanswered;                      /* questions whose answer nobody waits for any more */
    int64_t next_on_success, next_on_failure; /* Unix seconds; 0: no schedule */
    char who[64];                             /* who asked for the run */
    void (*on_line)(void *user, const char *line); /* a hook's output; may be NULL */
    void *user;
};

/* Take the descriptor that `text` names, read what the service says first, and end with it: this
 * process does not outlive the service. DEFUPD_E_INVALID, DEFUPD_E_AGENT, DEFUPD_E_NOMEM. */
DEFUPD_MUST_CHECK defupd_code ag_worker_open(struct ag_worker *worker, const char *text,
                                             defupd_error *err);
void ag_worker_close(struct ag_worker *worker);

/* `who`: what is written before the bar: "tetra 1003 ". */
void ag_worker_progress(struct ag_worker *worker, const defupd_event *event, const char *who);

/* A line of the library's log. */
void ag_worker_log(struct ag_worker *worker, const char *level, const char *module,
                   const char *text);

/* Let the service run policy's hooks of this kind, and wait for what they say. DEFUPD_E_CANCELLED
 * when a signal came first; others as in <defupd/client.h>. */
DEFUPD_MUST_CHECK defupd_code ag_worker_hook(struct ag_worker *worker,
                                             const struct ag_hook_facts *facts, defupd_error *err);

/* The components' states afterwards. */
void ag_worker_states(struct ag_worker *worker, const defupd_status *status);

/* The last word to those who wait. `cool_until`: when the first source may be asked again, 0 if
 * now. */
void ag_worker_outcome(struct ag_worker *worker, defupd_code code, bool news, int exit_code,
                       int64_t cool_until, const char *text);

#endif
