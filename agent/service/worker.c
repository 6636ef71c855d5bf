/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include <defupd/error.h>

#include "launch.h"
#include "service.h"

#define GRACE_MS 10000 /* from the request to end until it is ended */
#define TRIES 2        /* a worker that was killed under its run is started again once */
#define EX_UNAVAILABLE 69
#define EX_SOFTWARE 70
#define EX_TEMPFAIL 75

/* How a run ends that no worker could end. */
static void fail_run(struct ag_service *service, struct ag_run *run, int exit, int code,
                     const char *text)
{
    run->failed = true;
    run->exit = exit;
    run->code = code;
    run->retry_at = -1;
    (void)snprintf(run->text, sizeof run->text, "%s", text);
    service->worker.run = NULL;
    ag_run_finished(service, run);
}

static size_t make_argv(const struct ag_service *service, const struct ag_run *run,
                        const char **argv)
{
    size_t count = 0;

    argv[count++] = "defupd";
    if (service->config_file != NULL) {
        argv[count++] = "--config";
        argv[count++] = service->config_file;
    }
    argv[count++] = "--state-dir";
    argv[count++] = service->state_dir;
    argv[count++] = "--worker";
    argv[count++] = "3";
    /* Another process may be about to end: the one of an agent before, or a person's. */
    argv[count++] = "--wait";
    argv[count++] = "30";
    for (unsigned flag = 1; flag <= AG_RUN_LAST; flag <<= 1) {
        if ((run->ask.flags & flag) != 0 && ag_flag_option(flag) != NULL)
            argv[count++] = ag_flag_option(flag);
    }
    argv[count++] = run->ask.command;
    for (size_t i = 0; i < run->ask.count; i++)
        argv[count++] = run->ask.words[i];
    argv[count] = NULL;
    return count;
}

/* When the next poll comes, by the outcome of this run, for reports. */
static void tell_plan(struct ag_service *service, const struct ag_run *run)
{
    struct ag_schedule_state success = service->state, failure = service->state;
    const struct ag_schedule *schedule = &run->config->schedule;
    struct ag_facts facts;

    ag_facts_now(service, &facts);
    if (ag_ask_is_poll(&run->ask))
        ag_schedule_succeeded(&success, &facts.now);
    if (ag_ask_is_poll(&run->ask) && run->scheduled)
        ag_schedule_failed(&failure, schedule, &facts.now, run->random, 0, false);
    ag_out_print(&service->worker.out, "N %" PRId64 " %" PRId64 " %s\n",
                 ag_schedule_due(schedule, &success, &facts).poll_wall,
                 ag_schedule_due(schedule, &failure, &facts).poll_wall, run->who);
}

void ag_worker_start(struct ag_service *service, struct ag_run *run)
{
    struct ag_worker *worker = &service->worker;
    const char *argv[AG_WORDS + 24];
    int pair[2], rc;

    run->tries++;
    worker->run = run;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        fail_run(service, run, EX_UNAVAILABLE, DEFUPD_E_AGENT, strerror(errno));
        return;
    }
    (void)make_argv(service, run, argv);
    rc = ag_launch(&worker->pid, &(struct ag_launch){ .path = service->defupd,
                                                      .argv = (char *const *)(uintptr_t)argv,
                                                      .env = environ,
                                                      .out = -1,
                                                      .err = -1,
                                                      .three = pair[1],
                                                      .four = run->given });
    (void)close(pair[1]);
    if (rc != 0) {
        char text[256];

        (void)close(pair[0]);
        worker->pid = 0;
        (void)snprintf(text, sizeof text, "cannot start %s: %s", service->defupd, strerror(rc));
        fail_run(service, run, EX_UNAVAILABLE, DEFUPD_E_AGENT, text);
        return;
    }
    (void)fcntl(pair[0], F_SETFL, O_NONBLOCK);
    worker->fd = pair[0];
    worker->in = (struct ag_lines){ .used = 0 };
    worker->out = (struct ag_out){ .max = 4 * AG_LINE };
    worker->reaped = worker->outcome = worker->told = worker->too_long = false;
    worker->deadline_ms =
        run->config->run_timeout_s > 0 ? ag_monotonic_ms() + run->config->run_timeout_s * 1000 : 0;
    tell_plan(service, run);
    (void)ag_out_flush(&worker->out, worker->fd);
}

/* "O code exit news retry-at text": those who wait hear it now; the worker may have reports to
 * deliver still. */
static bool outcome(struct ag_run *run, char **words, int count)
{
    int64_t code, exit, news, retry;

    if (count != 6 || !ag_number(words[1], true, &code) || code > 0 || code < -9999 ||
        !ag_number(words[2], false, &exit) || exit > 255 || !ag_number(words[3], false, &news) ||
        !ag_number(words[4], true, &retry))
        return false;
    run->code = (int)code;
    run->exit = (int)exit;
    run->news = news != 0;
    run->retry_at = retry;
    (void)snprintf(run->text, sizeof run->text, "%s", strcmp(words[5], "-") == 0 ? "" : words[5]);
    run->progress[0] = '\0';
    run->answered = true;
    return true;
}

static const char *dash(const char *word)
{
    return strcmp(word, "-") == 0 ? "" : word;
}

/* "H kind component from to code tree text" */
static bool hook_wanted(struct ag_service *service, char **words, int count)
{
    struct ag_hook_facts facts = { .state_dir = service->state_dir };
    int64_t from, to, code;

    if (count != 8 || !ag_number(words[3], false, &from) || !ag_number(words[4], false, &to) ||
        !ag_number(words[5], true, &code))
        return false;
    facts.kind = ag_hook_kind(words[1]);
    if (facts.kind < AG_HOOK_PRE_INSTALL || facts.kind > AG_HOOK_POST_INSTALL)
        return false;
    facts.component = dash(words[2]);
    facts.from = (uint64_t)from;
    facts.to = (uint64_t)to;
    facts.code = (int)code;
    facts.tree = dash(words[6]);
    facts.text = dash(words[7]);
    ag_hooks_order(service, service->worker.run->config, &facts, true);
    return true;
}

/* "S component state version code": a component goes stale only once until it is not. */
static bool component_state(struct ag_service *service, char **words, int count)
{
    struct ag_hook_facts facts = { .kind = AG_HOOK_ON_OUTDATED, .state_dir = service->state_dir };
    int64_t version, code;
    bool stale;

    if (count != 5 || strlen(words[1]) > 32 || !ag_number(words[3], false, &version) ||
        !ag_number(words[4], true, &code))
        return false;
    stale = strcmp(words[2], "stale") == 0;
    if (!ag_list_set(service->stale, sizeof service->stale, words[1], stale) || !stale)
        return true;
    facts.component = words[1];
    facts.from = (uint64_t)version;
    facts.code = (int)code;
    facts.text = "older than the maximum age";
    ag_hooks_order(service, service->worker.run->config, &facts, false);
    return true;
}

/* "U left": of the trial, afterwards. */
static bool trial_left(struct ag_service *service, char **words, int count)
{
    int64_t left;

    if (count != 2 || !ag_number(words[1], false, &left) || left > INT32_MAX)
        return false;
    ag_run_trial(service, left);
    return true;
}

static bool frame(struct ag_service *service, char *line)
{
    struct ag_worker *worker = &service->worker;
    char *words[10];
    int count;

    if (line[0] == '\0' || line[1] != ' ')
        return false;
    if (strchr("TtEeJjLlP", line[0]) != NULL) {
        ag_run_frame(worker->run, line);
        return true;
    }
    count = ag_split(line, words, sizeof words / sizeof words[0]);
    switch (line[0]) {
    case 'O': return worker->outcome = outcome(worker->run, words, count);
    case 'H': return hook_wanted(service, words, count);
    case 'S': return component_state(service, words, count);
    case 'U': return trial_left(service, words, count);
    default: return true; /* of a later version */
    }
}

static void finish(struct ag_service *service)
{
    struct ag_worker *worker = &service->worker;
    struct ag_run *run = worker->run;
    const int status = worker->status;
    char text[200];

    if (!worker->reaped || worker->fd >= 0 || run == NULL)
        return;
    ag_out_free(&worker->out);
    ag_hooks_worker_gone(service);
    worker->pid = 0;
    worker->deadline_ms = 0;
    run->interrupted = service->stopping;
    if (worker->outcome) {
        worker->run = NULL;
        run->interrupted = run->interrupted && run->exit != 0;
        ag_run_finished(service, run);
    } else if (worker->told || service->stopping) {
        fail_run(service, run, EX_TEMPFAIL, DEFUPD_E_CANCELLED, "the run was ended");
    } else if (WIFSIGNALED(status) && run->tries < TRIES) {
        (void)snprintf(text, sizeof text,
                       "defupd: warning: the worker was ended by signal %d: starting again",
                       WTERMSIG(status));
        ag_log(LOG_WARNING, "%s", text + strlen("defupd: warning: "));
        ag_out_text(&run->log, 'E', text);
        ag_worker_start(service, run);
    } else {
        (void)snprintf(text, sizeof text, "the worker ended without a result (%s %d)",
                       WIFEXITED(status) ? "exit" : "signal",
                       WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
        ag_out_text(&run->log, 'E', text);
        fail_run(service, run, EX_SOFTWARE, DEFUPD_E_BUG, text);
    }
    ag_control_feed(service);
}

void ag_worker_read(struct ag_service *service)
{
    struct ag_worker *worker = &service->worker;
    const int rc = ag_lines_read(&worker->in, worker->fd);
    char *line;

    if (rc < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    while ((line = ag_lines_next(&worker->in)) != NULL) {
        if (!frame(service, line)) {
            ag_log(LOG_ERR, "the worker sends what is no frame: '%.40s'", line);
            if (!worker->reaped)
                (void)kill(worker->pid, SIGKILL);
            break;
        }
    }
    if (worker->in.too_long && !worker->too_long) {
        worker->too_long = true;
        ag_log(LOG_ERR, "the worker sends a line that is too long");
        if (!worker->reaped)
            (void)kill(worker->pid, SIGKILL);
    }
    if (rc <= 0) {
        (void)close(worker->fd);
        worker->fd = -1;
        finish(service);
    }
    ag_control_feed(service);
}

void ag_worker_reaped(struct ag_service *service, int status)
{
    service->worker.reaped = true;
    service->worker.status = status;
    finish(service);
}

void ag_worker_stop(struct ag_service *service)
{
    struct ag_worker *worker = &service->worker;

    if (worker->pid <= 0 || worker->reaped || worker->told)
        return;
    worker->told = true;
    worker->deadline_ms = ag_monotonic_ms() + GRACE_MS;
    (void)kill(worker->pid, SIGTERM);
    (void)kill(worker->pid, SIGCONT); /* one that was stopped does not hear */
}

void ag_worker_late(struct ag_service *service, int64_t now_ms)
{
    struct ag_worker *worker = &service->worker;

    if (worker->pid <= 0 || worker->reaped || worker->deadline_ms == 0 ||
        now_ms < worker->deadline_ms)
        return;
    if (!worker->told) {
        ag_log(LOG_WARNING, "%s takes too long: ending it", worker->run->ask.command);
        ag_worker_stop(service);
    } else {
        worker->deadline_ms = 0;
        (void)kill(worker->pid, SIGKILL);
    }
}

void ag_worker_answer(struct ag_service *service, int code, const char *text)
{
    char word[3 * 512 + 1];

    if (service->worker.fd < 0)
        return;
    (void)ag_encode(word, sizeof word, text[0] != '\0' ? text : "-", false);
    ag_out_print(&service->worker.out, "H %d %s\n", code, word);
    (void)ag_out_flush(&service->worker.out, service->worker.fd);
}
