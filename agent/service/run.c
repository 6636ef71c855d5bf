/* SPDX-License-Identifier: Apache-2.0 */
/* What is to be done and in which order: orders of people first, then what the schedule says. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <syslog.h>
#include <time.h>

#include <defupd/error.h>

#include "service.h"

#define EX_TEMPFAIL 75
#define EX_SOFTWARE 70
#define TRIAL_MS 60000 /* between two looks at a trial that is over */
#define SLACK 65536    /* of a run's log, for what comes last */

void ag_run_drop(struct ag_run *run)
{
    if (run == NULL || --run->refs > 0)
        return;
    ag_ask_free(&run->ask);
    ag_config_drop(run->config);
    ag_out_free(&run->log);
    if (run->given > 0)
        (void)close(run->given);
    free(run);
}

static struct ag_run *new_run(struct ag_ask *ask)
{
    struct ag_run *run = calloc(1, sizeof *run);

    if (run == NULL)
        return NULL;
    run->refs = 1;
    (void)snprintf(run->who, sizeof run->who, "schedule");
    run->log.max = AG_LOG_MAX;
    run->ask = *ask;
    *ask = (struct ag_ask){ .count = 0 };
    return run;
}

struct ag_run *ag_run_order(struct ag_service *service, struct ag_ask *ask, uid_t who)
{
    struct ag_run **end = &service->queue, *run = service->worker.run;
    size_t waiting = 0;

    if (run != NULL && !service->worker.told && !run->answered && ag_ask_covers(&run->ask, ask))
        return run;
    for (; *end != NULL; end = &(*end)->next, waiting++) {
        if (ag_ask_covers(&(*end)->ask, ask))
            return *end;
    }
    if (waiting >= AG_RUNS || service->stopping)
        return NULL;
    run = new_run(ask);
    if (run != NULL)
        (void)snprintf(run->who, sizeof run->who, "uid%%20%u", (unsigned)who);
    *end = run;
    return run;
}

/* A frame of the worker that clients get. The last of a log's room is for the result. */
void ag_run_frame(struct ag_run *run, const char *line)
{
    const size_t length = strlen(line);

    if (line[0] == 'P') {
        if (length < sizeof run->progress) {
            (void)snprintf(run->progress, sizeof run->progress, "%s", line);
            run->progress_count++;
        }
        return;
    }
    run->progress[0] = '\0'; /* what it was about is past */
    if ((line[0] == 'L' || line[0] == 'l') && run->log.used + length > AG_LOG_MAX - SLACK)
        return;
    ag_out_add(&run->log, line, length);
    ag_out_add(&run->log, "\n", 1);
}

static void tell_status(struct ag_service *service, const char *text)
{
    if (strcmp(service->told, text) == 0)
        return;
    (void)snprintf(service->told, sizeof service->told, "%s", text);
    ag_notify(&service->notify, "STATUS=%s", text);
}

static void tell_next(struct ag_service *service, const struct ag_due *due)
{
    const time_t when = (time_t)due->poll_wall;
    struct tm utc;
    char text[160] = "Idle; no polls", stamp[40];

    if (due->poll_wall > 0 && gmtime_r(&when, &utc) != NULL &&
        strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ", &utc) > 0)
        (void)snprintf(text, sizeof text, "Idle; next poll %s", stamp);
    tell_status(service, text);
}

static void start(struct ag_service *service, struct ag_run *run)
{
    char text[160];

    run->config = ag_config_keep(service->config);
    (void)snprintf(text, sizeof text, "%s: %s", run->scheduled ? "Scheduled" : "By order",
                   run->ask.command);
    tell_status(service, text);
    ag_log(LOG_INFO, "%s begins (%s)", run->ask.command, run->scheduled ? "schedule" : "by order");
    ag_worker_start(service, run);
}

static void start_scheduled(struct ag_service *service, enum ag_due_kind kind)
{
    struct ag_ask ask = { .flags = AG_RUN_SCHEDULED };
    struct ag_run *run;

    if (kind == AG_DUE_VERIFY)
        ask.flags |= AG_RUN_REPAIR;
    (void)snprintf(ask.command, sizeof ask.command, "%s",
                   kind == AG_DUE_VERIFY ? "verify" : "update");
    run = new_run(&ask);
    if (run == NULL)
        return;
    run->scheduled = true;
    run->random = ag_random(service);
    start(service, run);
}

/* A look that did not end it is not repeated at once. */
void ag_run_trial(struct ag_service *service, int64_t left_s)
{
    const int64_t least = service->trial_look_ms + TRIAL_MS;
    const int64_t end = ag_monotonic_ms() + left_s * 1000;

    service->trial_ms = left_s <= 0 ? 0 : service->trial_look_ms != 0 && end < least ? least : end;
}

/* Its time is over: whoever installs looks at that first, and then at what waits for it, staged. */
static void end_trial(struct ag_service *service)
{
    struct ag_ask ask = { .flags = AG_RUN_SCHEDULED };
    struct ag_run *run;

    service->trial_look_ms = ag_monotonic_ms();
    ag_run_trial(service, 1);
    (void)snprintf(ask.command, sizeof ask.command, "install");
    run = new_run(&ask);
    if (run == NULL)
        return;
    run->scheduled = true;
    start(service, run);
}

void ag_run_next(struct ag_service *service)
{
    struct ag_run *run = service->queue;
    struct ag_facts facts;
    struct ag_due due;

    if (service->stopping || service->worker.pid > 0 || service->worker.run != NULL ||
        service->config == NULL || service->job.pid > 0 || service->order_count > 0)
        return;
    if (run != NULL) {
        service->queue = run->next;
        run->next = NULL;
        start(service, run);
        return;
    }
    if (service->trial_ms != 0 && ag_monotonic_ms() >= service->trial_ms) {
        end_trial(service);
        return;
    }
    ag_facts_now(service, &facts);
    due = ag_schedule_due(&service->config->schedule, &service->state, &facts);
    if (due.kind != AG_DUE_NOTHING)
        start_scheduled(service, due.kind);
    else
        tell_next(service, &due);
}

/* What came of a poll, in the schedule's terms. An order that fails changes no plan: who orders
 * often must not slow the schedule down. */
static void note_poll(struct ag_service *service, const struct ag_run *run,
                      const struct ag_facts *facts)
{
    const int64_t wait = run->retry_at > 0 ? run->retry_at - facts->now.wall : 0;

    if (run->exit == 0)
        ag_schedule_succeeded(&service->state, &facts->now);
    else if (run->scheduled)
        ag_schedule_failed(&service->state, &run->config->schedule, &facts->now, run->random, wait,
                           run->retry_at == 0);
    else
        return;
    ag_state_save(service);
}

static void note(struct ag_service *service, const struct ag_run *run)
{
    struct ag_facts facts;

    ag_facts_now(service, &facts);
    if (run->interrupted)
        return; /* due again, after the next start */
    if (ag_ask_is_poll(&run->ask)) {
        note_poll(service, run, &facts);
    } else if (strcmp(run->ask.command, "verify") == 0 && run->ask.count == 0) {
        ag_schedule_verified(&service->state, &facts.now, run->exit == 0);
        ag_state_save(service);
    }
}

static void after_hooks(struct ag_service *service, struct ag_run *run)
{
    struct ag_hook_facts facts = { .kind = AG_HOOK_ON_ERROR,
                                   .code = run->code,
                                   .text = run->text,
                                   .state_dir = service->state_dir };

    if (run->exit != 0 && !run->interrupted && ag_ask_is_poll(&run->ask))
        ag_hooks_order(service, run->config, &facts, false);
}

void ag_run_finished(struct ag_service *service, struct ag_run *run)
{
    run->done = run->answered = true;
    run->progress[0] = '\0';
    if (run->exit == 0)
        ag_log(LOG_INFO, "%s is done", run->ask.command);
    else
        ag_log(LOG_WARNING, "%s ended with %d: %s", run->ask.command, run->exit,
               run->text[0] != '\0' ? run->text : "no reason given");
    note(service, run);
    after_hooks(service, run);
    ag_control_feed(service);
    ag_run_drop(run);
    if (service->config != NULL && !service->config->has_slot &&
        service->config->schedule.interval > 0 && !service->stopping)
        ag_compile_start(service); /* the host has an id now, and so a slot */
}
