/* SPDX-License-Identifier: Apache-2.0 */
/* The service: a supervisor that knows when, under which policy, on whose order; what is to be done
 * about content is done by one worker process a run (`defupd --worker`). One thread, one poll loop,
 * libc only: what stays in memory between runs is small and parses nothing foreign but the lines of
 * its clients. docs/agent.md, docs/formats/control.md. */
#ifndef AG_SERVICE_H
#define AG_SERVICE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

#include "control/wire.h"
#include "hook/hook.h"
#include "schedule/schedule.h"

#define AG_STATE_DIR "/var/lib/defupd"
#define AG_CLIENTS 160        /* at a time */
#define AG_CLIENTS_EACH 64    /* of a user without privilege */
#define AG_RUNS 16            /* waiting */
#define AG_HOOKS 32           /* waiting, of those after a run */
#define AG_LOG_MAX (2u << 20) /* bytes of a run's output that are kept for those who join */

/* --- policy as `defupd config compile` tells it (config.c) --- */

struct ag_config {
    int refs;
    char *policy; /* file it was read from, "last-good" or "built-in" */
    char *error;  /* what is wrong with the file, NULL if nothing */
    int error_code;
    struct ag_schedule schedule;
    bool has_slot;
    bool users_all; /* who may order updates without being root or owner */
    char **users, **groups;
    struct ag_hook *hooks; /* their strings are owned here */
    size_t hook_count;
    int64_t run_timeout_s; /* 0: none */
    char relay[64];        /* what kind of relay this is, as words; "": none */
    int64_t trial_s;       /* left when the policy was read, 0: nothing is on trial */
};
/* From the whole output. NULL, with what is wrong in `why`. */
struct ag_config *ag_config_parse(char *text, char *why, size_t size);
struct ag_config *ag_config_keep(struct ag_config *config);
void ag_config_drop(struct ag_config *config);

/* --- the service manager (notify.c) --- */

struct ag_notify {
    int fd;              /* -1: nobody wants to know */
    int64_t watchdog_ms; /* between two signs of life; 0: none are wanted */
    struct sockaddr_un address;
    socklen_t length;
};
void ag_notify_start(struct ag_notify *notify);
__attribute__((format(printf, 2, 3))) void ag_notify(const struct ag_notify *notify,
                                                     const char *format, ...);

/* --- runs --- */

/* One order: what is done, and what it said. Lives until it is done and the last client has all. */
struct ag_run {
    struct ag_run *next; /* in the queue */
    int refs;            /* clients, queue, worker */
    struct ag_ask ask;
    struct ag_config *config; /* in force when it began */
    bool scheduled, interrupted;
    bool answered; /* its outcome is known; `done`: and its worker is gone */
    bool done;
    bool failed; /* without a worker that could have told why */
    unsigned tries;
    int given;          /* the file that its word names, as its client has opened it; 0: none */
    uint64_t random;    /* draws the back-off, should it fail: told before, and kept to */
    char who[64];       /* as a word: "schedule", "uid%20100" */
    struct ag_out log;  /* frames for clients */
    char progress[512]; /* the latest progress frame */
    uint64_t progress_count; /* frames so far */
    int exit;
    int code; /* the worker's outcome, a defupd_code */
    bool news;
    int64_t retry_at; /* as in the frame O */
    char text[512];   /* of the outcome, one line */
};

struct ag_client {
    int fd; /* -1: free */
    uid_t uid;
    gid_t gid;
    bool greeted, answered, ending;
    int64_t deadline_ms; /* to have made its wish known */
    int given;           /* a file's descriptor that came with its request; 0: none */
    struct ag_lines in;
    struct ag_out out;
    struct ag_run *run; /* whose output it gets */
    size_t offset;      /* of run->log, what was copied to `out` */
    uint64_t progress_count;
};

struct ag_worker {
    pid_t pid; /* 0: none */
    int fd;    /* -1: closed */
    struct ag_run *run;
    struct ag_lines in;
    struct ag_out out;
    bool reaped, outcome, told, too_long;
    int status;
    int64_t deadline_ms; /* when it is told to end; then when it is killed. 0: none */
};

/* A hook that a worker waits for, or one after a run. */
struct ag_order {
    struct ag_config *config;
    size_t next_hook;           /* of config->hooks, to be looked at next */
    struct ag_hook_facts facts; /* strings are owned */
    bool for_worker;
    int code; /* of the first post-install that failed */
    char failure[480];
};

/* The server of a host that is a relay. */
struct ag_relay {
    pid_t pid; /* 0: none */
    bool told; /* to end */
    int64_t started_ms, next_ms, kill_ms;
    unsigned deaths;   /* one after the other */
    char settings[64]; /* of the policy that it was started by */
};

struct ag_service {
    const char *config_file, *state_dir, *defupd, *self; /* config_file: NULL for the default */
    const char *relay_program;
    int state_fd;
    uid_t owner;
    bool ready, stopping, reload_wanted;
    struct ag_notify notify;
    struct ag_config *config;
    struct ag_schedule_state state;
    int64_t trial_ms;      /* when a trial ends, on the monotonic clock; 0: there is none */
    int64_t trial_look_ms; /* when it was last looked whether one is over */
    int64_t up_since, asleep_s;
    uint64_t random;
    int signal_fd, timer_fd, jump_fd, listen_fd, lock_fd;
    struct ag_client clients[AG_CLIENTS];
    struct ag_run *queue;
    struct ag_worker worker;
    struct { /* `config compile` at work */
        pid_t pid;
        int fd;
        struct ag_out text;
        int64_t deadline_ms;
        bool reaped, killed;
        int status;
    } compile;
    struct ag_relay relay;
    struct ag_hook_job job;
    struct ag_order order; /* the one at work, when job.pid > 0 */
    struct ag_order orders[AG_HOOKS];
    size_t order_count;
    char stale[1024];  /* components that on-outdated was told of, space-separated */
    char paused[1024]; /* components between pre-install and post-install; kept on disk */
    int64_t ping_ms;
    char told[160]; /* last STATUS */
};

/* --- main.c --- */
__attribute__((format(printf, 2, 3))) void ag_log(int priority, const char *format, ...);

/* --- start.c: descriptors, lock, rights --- */
int ag_start_files(void);
int ag_start_store(struct ag_service *service);
int ag_start_rights(struct ag_service *service);
/* Around the start of a hook: what the new process may inherit. */
void ag_rights_lend(bool lend);

/* --- clock.c --- */
int64_t ag_monotonic_ms(void);
void ag_facts_now(const struct ag_service *service, struct ag_facts *facts);
uint64_t ag_random(struct ag_service *service);
/* Notice that the host slept meanwhile. */
void ag_clock_look(struct ag_service *service);

/* --- state.c --- */
/* `paused`: 1024 bytes. False when the text is damaged: then nothing is changed. */
bool ag_state_parse(struct ag_schedule_state *state, char *paused, char *text);
void ag_state_print(const struct ag_schedule_state *state, const char *paused, struct ag_out *out);
void ag_state_load(struct ag_service *service);
void ag_state_save(struct ag_service *service);

/* --- compile.c --- */
void ag_compile_start(struct ag_service *service);
void ag_compile_read(struct ag_service *service);
void ag_compile_reaped(struct ag_service *service, int status);
/* Look whether it has ended, where no signal tells. */
void ag_compile_poll(struct ag_service *service);
void ag_compile_late(struct ag_service *service, int64_t now_ms);

/* --- run.c --- */
/* The run that serves `ask` (taken over), joined or queued; NULL when too many wait. */
struct ag_run *ag_run_order(struct ag_service *service, struct ag_ask *ask, uid_t who);
void ag_run_drop(struct ag_run *run);
/* Start what is due or waits, when nothing is at work. */
void ag_run_next(struct ag_service *service);
/* So much running time is left of a trial; 0: there is none. */
void ag_run_trial(struct ag_service *service, int64_t left_s);
void ag_run_frame(struct ag_run *run, const char *line);
void ag_run_finished(struct ag_service *service, struct ag_run *run);

/* --- worker.c --- */
void ag_worker_start(struct ag_service *service, struct ag_run *run);
void ag_worker_read(struct ag_service *service);
void ag_worker_reaped(struct ag_service *service, int status);
void ag_worker_stop(struct ag_service *service);
void ag_worker_late(struct ag_service *service, int64_t now_ms);
void ag_worker_answer(struct ag_service *service, int code, const char *text);

/* --- relay.c --- */
/* Start or end it, as policy wants. */
void ag_relay_look(struct ag_service *service);
void ag_relay_stop(struct ag_service *service);
/* When something is to be done about it; 0: never. */
int64_t ag_relay_deadline(const struct ag_service *service);
void ag_relay_reaped(struct ag_service *service, int status);
void ag_relay_late(struct ag_service *service, int64_t now_ms);

/* --- hooks.c --- */
/* Run the hooks of a kind: for the worker, which waits for the answer, or after a run. */
void ag_hooks_order(struct ag_service *service, struct ag_config *config,
                    const struct ag_hook_facts *facts, bool for_worker);
void ag_hooks_read(struct ag_service *service);
void ag_hooks_reaped(struct ag_service *service, int status);
void ag_hooks_late(struct ag_service *service, int64_t now_ms);
void ag_hooks_worker_gone(struct ag_service *service);
/* No more hooks after runs; the one at work ends with its worker's time. */
void ag_hooks_stop(struct ag_service *service);
/* Run post-install for those whose update did not come to its end. */
void ag_hooks_resume(struct ag_service *service);
/* A list of names between single spaces. ag_list_set() yields true when it changed something. */
bool ag_list_has(const char *list, const char *name);
bool ag_list_set(char *list, size_t size, const char *name, bool there);

/* --- control.c --- */
int ag_control_listen(struct ag_service *service);
void ag_control_accept(struct ag_service *service);
void ag_control_read(struct ag_service *service, struct ag_client *client);
void ag_control_write(struct ag_service *service, struct ag_client *client);
void ag_control_close(struct ag_service *service, struct ag_client *client);
/* Pass on what runs have said meanwhile. */
void ag_control_feed(struct ag_service *service);
void ag_control_late(struct ag_service *service, int64_t now_ms);

/* --- loop.c --- */
int ag_loop(struct ag_service *service);
/* True when nothing is at work. */
bool ag_idle(const struct ag_service *service);

#endif
