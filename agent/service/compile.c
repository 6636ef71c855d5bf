/* SPDX-License-Identifier: Apache-2.0 */
/* Policy is read by `defupd config compile`, so that no XML parser lives in this process. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "launch.h"
#include "service.h"

#define OUTPUT_MAX (1u << 18)
#define TIMEOUT_MS 60000

void ag_compile_start(struct ag_service *service)
{
    const char *argv[8];
    size_t count = 0;
    int pipes[2], rc;

    if (service->compile.pid > 0) { /* what is being read may be the old one */
        service->reload_wanted = true;
        return;
    }
    service->reload_wanted = false;
    argv[count++] = "defupd";
    if (service->config_file != NULL) {
        argv[count++] = "--config";
        argv[count++] = service->config_file;
    }
    argv[count++] = "--state-dir";
    argv[count++] = service->state_dir;
    argv[count++] = "config";
    argv[count++] = "compile";
    argv[count] = NULL;
    if (pipe2(pipes, O_CLOEXEC) != 0) {
        ag_log(LOG_ERR, "cannot read the policy: %s", strerror(errno));
        return;
    }
    rc = ag_launch(&service->compile.pid,
                   &(struct ag_launch){ .path = service->defupd,
                                        .argv = (char *const *)(uintptr_t)argv,
                                        .env = environ,
                                        .out = pipes[1],
                                        .err = -1,
                                        .three = -1 });
    (void)close(pipes[1]);
    if (rc != 0) {
        (void)close(pipes[0]);
        service->compile.pid = 0;
        ag_log(LOG_ERR, "cannot start %s: %s", service->defupd, strerror(rc));
        return;
    }
    (void)fcntl(pipes[0], F_SETFL, O_NONBLOCK);
    service->compile.fd = pipes[0];
    service->compile.reaped = service->compile.killed = false;
    service->compile.deadline_ms = ag_monotonic_ms() + TIMEOUT_MS;
    service->compile.text = (struct ag_out){ .max = OUTPUT_MAX };
}

static void replace(struct ag_service *service, char *text)
{
    char why[320];
    struct ag_config *config = ag_config_parse(text, why, sizeof why);

    if (config == NULL) {
        ag_log(LOG_ERR, "the output of defupd config compile is %s; %s", why,
               service->config != NULL ? "the policy before stays in force" : "there is no policy");
        return;
    }
    if (config->error != NULL)
        ag_log(LOG_ERR, "policy: %s; in force: %s", config->error,
               config->policy != NULL ? config->policy : "the one before");
    else if (service->config == NULL || config->policy == NULL || service->config->policy == NULL ||
             strcmp(service->config->policy, config->policy) != 0 || service->config->has_slot)
        ag_log(LOG_INFO, "policy: %s", config->policy != NULL ? config->policy : "built-in");
    ag_config_drop(service->config);
    service->config = config;
    ag_run_trial(service, config->trial_s);
}

/* Both its output and itself have ended. */
static void finish(struct ag_service *service)
{
    const int status = service->compile.status;
    struct ag_out *text = &service->compile.text;

    if (!service->compile.reaped || service->compile.fd >= 0)
        return;
    ag_out_add(text, "", 1);
    if (service->compile.killed)
        ag_log(LOG_ERR, "reading the policy took too long");
    else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0 || text->failed)
        ag_log(LOG_ERR, "%s config compile failed (%s %d)", service->defupd,
               WIFEXITED(status) ? "exit" : "signal",
               WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
    else
        replace(service, text->bytes);
    ag_out_free(text);
    service->compile.pid = 0;
    service->compile.deadline_ms = 0;
    if (service->reload_wanted && !service->stopping)
        ag_compile_start(service);
    else if (service->ready && !service->stopping)
        ag_notify(&service->notify, "READY=1");
}

void ag_compile_read(struct ag_service *service)
{
    char bytes[4096];
    const ssize_t got = read(service->compile.fd, bytes, sizeof bytes);

    if (got > 0) {
        ag_out_add(&service->compile.text, bytes, (size_t)got);
        return;
    }
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    (void)close(service->compile.fd);
    service->compile.fd = -1;
    finish(service);
}

void ag_compile_reaped(struct ag_service *service, int status)
{
    service->compile.reaped = true;
    service->compile.status = status;
    finish(service);
}

void ag_compile_poll(struct ag_service *service)
{
    int status;

    if (service->compile.pid > 0 && !service->compile.reaped &&
        waitpid(service->compile.pid, &status, WNOHANG) == service->compile.pid)
        ag_compile_reaped(service, status);
}

void ag_compile_late(struct ag_service *service, int64_t now_ms)
{
    if (service->compile.pid > 0 && service->compile.deadline_ms > 0 &&
        now_ms >= service->compile.deadline_ms) {
        service->compile.killed = true;
        service->compile.deadline_ms = 0;
        if (!service->compile.reaped)
            (void)kill(service->compile.pid, SIGKILL);
    }
}
