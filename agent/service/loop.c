/* SPDX-License-Identifier: Apache-2.0 */
/* The one loop. Each turn looks at what came, ends what is late, starts what is due, and sleeps
 * until the nearest instant at which something can change by itself. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include <defupd/error.h>

#include "service.h"

enum { SIGNALS, TIMER, JUMP, LISTEN, WORKER, COMPILE, HOOK, FIXED };

bool ag_idle(const struct ag_service *service)
{
    return service->worker.run == NULL && service->worker.pid <= 0 && service->compile.pid <= 0 &&
           service->order.config == NULL;
}

/* When the wall clock is set, or the host has slept, plans are made anew: this timer never
 * expires, it is only cancelled by such a change. */
static void watch_jumps(struct ag_service *service)
{
    const struct itimerspec never = { .it_value = { .tv_sec = INT32_MAX } };
    uint64_t count;

    (void)!read(service->jump_fd, &count, sizeof count);
    (void)timerfd_settime(service->jump_fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never,
                          NULL);
}

static void nearer(int64_t *least, int64_t deadline_ms, int64_t now_ms)
{
    const int64_t left = deadline_ms > now_ms ? deadline_ms - now_ms : 1;

    if (deadline_ms > 0 && (*least < 0 || left < *least))
        *least = left;
}

/* Milliseconds until something is late or due, -1: never. */
static int64_t time_left(struct ag_service *service)
{
    const int64_t now_ms = ag_monotonic_ms();
    int64_t least = -1;

    nearer(&least, service->worker.deadline_ms, now_ms);
    nearer(&least, service->compile.deadline_ms, now_ms);
    if (service->job.pid > 0 && !service->job.killed)
        nearer(&least, service->job.deadline_ms, now_ms);
    nearer(&least, ag_relay_deadline(service), now_ms);
    if (service->notify.watchdog_ms > 0)
        nearer(&least, service->ping_ms, now_ms);
    else if (ag_idle(service)) /* with a watchdog, its wake-ups are enough for a trial's end */
        nearer(&least, service->trial_ms, now_ms);
    for (size_t i = 0; i < AG_CLIENTS; i++) {
        if (service->clients[i].fd >= 0)
            nearer(&least, service->clients[i].deadline_ms, now_ms);
    }
    if (ag_idle(service) && !service->stopping && service->config != NULL) {
        struct ag_facts facts;
        struct ag_due due;

        ag_facts_now(service, &facts);
        due = ag_schedule_due(&service->config->schedule, &service->state, &facts);
        if (due.boot != AG_NEVER) {
            struct timespec boot = { 0 };
            int64_t left;

            (void)clock_gettime(CLOCK_BOOTTIME, &boot);
            left = (due.boot - (int64_t)boot.tv_sec) * 1000 - boot.tv_nsec / 1000000;
            nearer(&least, now_ms + (left > 0 ? left : 1), now_ms);
        }
    }
    return least;
}

static void set_timer(struct ag_service *service)
{
    const int64_t left = time_left(service);
    struct itimerspec when = { .it_value = { 0 } };
    uint64_t count;

    if (left >= 0) {
        when.it_value.tv_sec = (time_t)(left / 1000);
        when.it_value.tv_nsec = (long)(left % 1000) * 1000000;
    }
    (void)!read(service->timer_fd, &count, sizeof count);
    (void)timerfd_settime(service->timer_fd, 0, &when, NULL);
}

static void reap(struct ag_service *service)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == service->worker.pid)
            ag_worker_reaped(service, status);
        else if (pid == service->compile.pid)
            ag_compile_reaped(service, status);
        else if (pid == service->job.pid)
            ag_hooks_reaped(service, status);
        else if (pid == service->relay.pid)
            ag_relay_reaped(service, status);
    }
}

/* Those who wait in the queue hear that nothing comes of it. */
static void clear_queue(struct ag_service *service)
{
    while (service->queue != NULL) {
        struct ag_run *run = service->queue;

        service->queue = run->next;
        run->answered = run->done = run->interrupted = run->failed = true;
        run->exit = 75;
        run->code = DEFUPD_E_CANCELLED;
        (void)snprintf(run->text, sizeof run->text, "the agent is being stopped");
        ag_control_feed(service);
        ag_run_drop(run);
    }
}

static void stop(struct ag_service *service)
{
    if (service->stopping)
        return;
    ag_log(LOG_INFO, "stopping");
    ag_notify(&service->notify, "STOPPING=1\nSTATUS=Stopping");
    service->stopping = true;
    ag_worker_stop(service);
    ag_relay_stop(service);
    clear_queue(service);
    ag_hooks_stop(service);
    if (service->compile.pid > 0 && !service->compile.reaped)
        (void)kill(service->compile.pid, SIGKILL);
}

static void reload(struct ag_service *service)
{
    ag_notify(&service->notify, "RELOADING=1\nMONOTONIC_USEC=%" PRId64, ag_monotonic_ms() * 1000);
    ag_compile_start(service);
}

static void on_signals(struct ag_service *service)
{
    struct signalfd_siginfo info;

    while (read(service->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT)
            stop(service);
        else if (info.ssi_signo == SIGHUP)
            reload(service);
    }
    reap(service); /* several children can stand behind one SIGCHLD */
}

static nfds_t fill(const struct ag_service *service, struct pollfd *set, size_t *who)
{
    nfds_t count = FIXED;

    set[SIGNALS] = (struct pollfd){ .fd = service->signal_fd, .events = POLLIN };
    set[TIMER] = (struct pollfd){ .fd = service->timer_fd, .events = POLLIN };
    set[JUMP] = (struct pollfd){ .fd = service->jump_fd, .events = POLLIN };
    set[LISTEN] =
        (struct pollfd){ .fd = service->stopping ? -1 : service->listen_fd, .events = POLLIN };
    set[WORKER] = (struct pollfd){ .fd = service->worker.fd, .events = POLLIN };
    if (service->worker.out.used > 0)
        set[WORKER].events |= POLLOUT;
    set[COMPILE] = (struct pollfd){ .fd = service->compile.fd, .events = POLLIN };
    set[HOOK] =
        (struct pollfd){ .fd = service->job.pid > 0 ? service->job.fd : -1, .events = POLLIN };
    for (size_t i = 0; i < AG_CLIENTS; i++) {
        const struct ag_client *client = &service->clients[i];

        if (client->fd < 0)
            continue;
        who[count] = i;
        set[count] = (struct pollfd){ .fd = client->fd, .events = POLLIN };
        /* Between two turns everything was tried: what is left did not go. */
        if (client->out.used > 0 || (client->run != NULL && client->offset < client->run->log.used))
            set[count].events |= POLLOUT;
        count++;
    }
    return count;
}

static void handle(struct ag_service *service, const struct pollfd *set, const size_t *who,
                   nfds_t count)
{
    if (set[JUMP].revents != 0)
        watch_jumps(service);
    if (set[WORKER].revents != 0 && service->worker.fd >= 0) {
        if (service->worker.out.used > 0)
            (void)ag_out_flush(&service->worker.out, service->worker.fd);
        ag_worker_read(service);
    }
    if (set[COMPILE].revents != 0 && service->compile.fd >= 0)
        ag_compile_read(service);
    if (set[HOOK].revents != 0 && service->job.pid > 0 && service->job.fd >= 0)
        ag_hooks_read(service);
    for (nfds_t i = FIXED; i < count; i++) {
        struct ag_client *client = &service->clients[who[i]];

        if ((set[i].revents & POLLOUT) != 0 && client->fd == set[i].fd)
            ag_control_write(service, client);
        if ((set[i].revents & (POLLIN | POLLHUP | POLLERR)) != 0 && client->fd == set[i].fd)
            ag_control_read(service, client);
    }
    if (set[LISTEN].revents != 0)
        ag_control_accept(service);
    if (set[SIGNALS].revents != 0)
        on_signals(service);
}

static void end_late(struct ag_service *service)
{
    const int64_t now_ms = ag_monotonic_ms();

    ag_worker_late(service, now_ms);
    ag_compile_late(service, now_ms);
    ag_hooks_late(service, now_ms);
    ag_relay_late(service, now_ms);
    ag_control_late(service, now_ms);
    if (service->notify.watchdog_ms > 0 && now_ms >= service->ping_ms) {
        ag_notify(&service->notify, "WATCHDOG=1");
        service->ping_ms = now_ms + service->notify.watchdog_ms;
    }
}

int ag_loop(struct ag_service *service)
{
    struct pollfd set[FIXED + AG_CLIENTS];
    size_t who[FIXED + AG_CLIENTS];

    watch_jumps(service);
    service->ping_ms = ag_monotonic_ms() + service->notify.watchdog_ms;
    while (!service->stopping || !ag_idle(service) || service->relay.pid > 0) {
        nfds_t count;

        ag_run_next(service);
        ag_relay_look(service);
        set_timer(service);
        count = fill(service, set, who);
        if (poll(set, count, -1) < 0 && errno != EINTR) {
            ag_log(LOG_ERR, "poll: %s", strerror(errno));
            return 71;
        }
        ag_clock_look(service);
        handle(service, set, who, count);
        end_late(service);
    }
    return 0;
}
