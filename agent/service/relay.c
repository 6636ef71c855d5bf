/* SPDX-License-Identifier: Apache-2.0 */
/* The relay's server: one process that lives as long as policy wants it. It is started anew when it
 * dies, later each time, and when what policy says of it has changed. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "launch.h"
#include "service.h"

#define GRACE_MS 10000    /* from the request to end until it is ended */
#define FIRST_MS 1000     /* after its first death */
#define LONGEST_MS 300000 /* between two starts */
#define STEADY_MS 60000   /* who lived so long died for a new reason */

static bool wanted(const struct ag_service *service)
{
    return !service->stopping && service->config != NULL && service->config->relay[0] != '\0';
}

static void start(struct ag_service *service)
{
    struct ag_relay *relay = &service->relay;
    const char *argv[8];
    size_t count = 0;
    char self[16];
    int rc;

    (void)snprintf(self, sizeof self, "%d", (int)getpid());
    argv[count++] = "defupd-relay";
    if (service->config_file != NULL) {
        argv[count++] = "--config";
        argv[count++] = service->config_file;
    }
    argv[count++] = "--state-dir";
    argv[count++] = service->state_dir;
    argv[count++] = "--agent";
    argv[count++] = self;
    argv[count] = NULL;
    relay->told = false;
    relay->kill_ms = 0;
    relay->started_ms = ag_monotonic_ms();
    (void)snprintf(relay->settings, sizeof relay->settings, "%s", service->config->relay);
    rc = ag_launch(&relay->pid, &(struct ag_launch){ .path = service->relay_program,
                                                     .argv = (char *const *)(uintptr_t)argv,
                                                     .env = environ,
                                                     .out = -1,
                                                     .err = -1,
                                                     .three = -1 });
    if (rc == 0)
        return;
    relay->pid = 0;
    ag_log(LOG_ERR, "cannot start %s: %s", service->relay_program, strerror(rc));
    relay->next_ms = relay->started_ms + LONGEST_MS;
}

void ag_relay_stop(struct ag_service *service)
{
    struct ag_relay *relay = &service->relay;

    if (relay->pid <= 0 || relay->told)
        return;
    relay->told = true;
    relay->kill_ms = ag_monotonic_ms() + GRACE_MS;
    (void)kill(relay->pid, SIGTERM);
    (void)kill(relay->pid, SIGCONT); /* one that was stopped does not hear */
}

void ag_relay_look(struct ag_service *service)
{
    struct ag_relay *relay = &service->relay;
    const bool other =
        service->config != NULL && strcmp(relay->settings, service->config->relay) != 0;

    if (relay->pid > 0) {
        if (!wanted(service) || other)
            ag_relay_stop(service);
        return;
    }
    if (!wanted(service)) {
        relay->next_ms = 0;
        return;
    }
    if (other) { /* what made it die may be mended */
        relay->next_ms = 0;
        relay->deaths = 0;
    }
    if (ag_monotonic_ms() >= relay->next_ms)
        start(service);
}

int64_t ag_relay_deadline(const struct ag_service *service)
{
    const struct ag_relay *relay = &service->relay;

    return relay->pid > 0 ? relay->kill_ms : wanted(service) ? relay->next_ms : 0;
}

void ag_relay_reaped(struct ag_service *service, int status)
{
    struct ag_relay *relay = &service->relay;
    const int64_t now_ms = ag_monotonic_ms();
    int64_t wait_ms = FIRST_MS;

    relay->pid = 0;
    relay->next_ms = 0;
    if (relay->told)
        return;
    if (now_ms - relay->started_ms >= STEADY_MS)
        relay->deaths = 0;
    for (unsigned i = 0; i < relay->deaths && wait_ms < LONGEST_MS; i++)
        wait_ms *= 2;
    if (wait_ms > LONGEST_MS)
        wait_ms = LONGEST_MS;
    relay->deaths++;
    relay->next_ms = now_ms + wait_ms;
    ag_log(LOG_WARNING, "the relay has ended (%s %d): starting it again in %" PRId64 " s",
           WIFEXITED(status) ? "exit" : "signal",
           WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status), wait_ms / 1000);
}

void ag_relay_late(struct ag_service *service, int64_t now_ms)
{
    struct ag_relay *relay = &service->relay;

    if (relay->pid > 0 && relay->kill_ms > 0 && now_ms >= relay->kill_ms) {
        relay->kill_ms = 0;
        (void)kill(relay->pid, SIGKILL);
    }
}
