/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include <defupd/version.h>

#include "service.h"

#define EX_USAGE 64
#define EX_UNAVAILABLE 69
#define EX_OSERR 71
#define EX_BUSY 75
#define EX_CONFIG 78

static bool to_journal;

void ag_log(int priority, const char *format, ...)
{
    char text[1024];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    /* What hooks print comes through here too: one line, nothing that steers a terminal. */
    for (char *c = text; *c != '\0'; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    }
    if (to_journal)
        (void)fprintf(stderr, "<%d>%s\n", priority, text);
    else
        (void)fprintf(stderr, "defupd-agent: %s\n", text);
}

static const char usage[] =
    "Usage: defupd-agent [--config FILE] [--state-dir DIR] [--defupd PROGRAM] [--relay PROGRAM]\n\n"
    "Keep security definitions up to date, by schedule and on order, in the foreground.\n\n"
    "  --config FILE\n      Policy file. Default: what defupd takes.\n"
    "  --state-dir DIR\n      State directory, the store. Default: " AG_STATE_DIR ".\n"
    "  --defupd PROGRAM\n      The worker. Default: defupd in this program's folder.\n"
    "  --relay PROGRAM\n      The server of a relay. Default: defupd-relay in this program's "
    "folder, else\n"
    "      " AG_LIBEXEC "/defupd-relay.\n"
    "  --help, --version\n\n"
    "SIGHUP: read the policy anew. SIGTERM, SIGINT: end; a run under way is ended first.\n"
    "Orders come from 'defupd forceupdate' and its like. See defupd-agent(8).\n";

static char *absolute(const char *path)
{
    char *here = NULL, *whole = NULL;

    if (path[0] == '/')
        return strdup(path);
    here = getcwd(NULL, 0);
    if (here == NULL || asprintf(&whole, "%s/%s", here, path) < 0)
        whole = NULL;
    free(here);
    return whole;
}

/* `name` in the folder of this program. */
static char *beside(const struct ag_service *service, const char *name)
{
    char *path = NULL;

    if (asprintf(&path, "%.*s/%s", (int)(strrchr(service->self, '/') - service->self),
                 service->self, name) < 0)
        path = NULL;
    return path;
}

/* This program's own path, and the others beside it. */
static bool find_programs(struct ag_service *service, const char *name)
{
    char path[PATH_MAX];
    const ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);

    if (length > 0) {
        path[length] = '\0';
        service->self = strdup(path);
    } else {
        service->self = absolute(name);
    }
    if (service->self == NULL)
        return false;
    if (service->defupd == NULL)
        service->defupd = beside(service, "defupd");
    if (service->relay_program == NULL) {
        service->relay_program = beside(service, "defupd-relay");
        if (service->relay_program != NULL && access(service->relay_program, X_OK) != 0)
            service->relay_program = AG_LIBEXEC "/defupd-relay";
    }
    return service->defupd != NULL && service->relay_program != NULL;
}

/* -1: go on; else the exit code. */
static int arguments(struct ag_service *service, char **argv)
{
    const char *state_dir = AG_STATE_DIR;

    for (char **arg = argv + 1; *arg != NULL; arg++) {
        const char *equals = strchr(*arg, '='), *value = equals != NULL ? equals + 1 : arg[1];
        const size_t length = equals != NULL ? (size_t)(equals - *arg) : strlen(*arg);
        const char **where = NULL;

        if (strcmp(*arg, "--help") == 0 || strcmp(*arg, "-h") == 0)
            return fputs(usage, stdout) < 0 ? EX_OSERR : 0;
        if (strcmp(*arg, "--version") == 0)
            return printf("defupd-agent %s\n", DEFUPD_VERSION) < 0 ? EX_OSERR : 0;
        if (length == 8 && strncmp(*arg, "--config", length) == 0)
            where = &service->config_file;
        else if (length == 11 && strncmp(*arg, "--state-dir", length) == 0)
            where = &state_dir;
        else if (length == 8 && strncmp(*arg, "--defupd", length) == 0)
            where = &service->defupd;
        else if (length == 7 && strncmp(*arg, "--relay", length) == 0)
            where = &service->relay_program;
        if (where == NULL || value == NULL || value[0] == '\0') {
            (void)fprintf(stderr, "defupd-agent: %s '%.80s'\n\n%s",
                          where == NULL ? "unknown argument" : "a value is missing after", *arg,
                          usage);
            return EX_USAGE;
        }
        *where = value;
        arg += equals == NULL;
    }
    service->state_dir = absolute(state_dir);
    if (service->config_file != NULL)
        service->config_file = absolute(service->config_file);
    if (service->defupd != NULL)
        service->defupd = absolute(service->defupd);
    if (service->relay_program != NULL)
        service->relay_program = absolute(service->relay_program);
    return find_programs(service, argv[0]) && service->state_dir != NULL ? -1 : EX_OSERR;
}

static int descriptors(struct ag_service *service)
{
    sigset_t signals;
    struct ag_facts facts;

    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGHUP);
    (void)sigaddset(&signals, SIGCHLD);
    (void)signal(SIGCHLD, SIG_DFL);
    (void)signal(SIGPIPE, SIG_IGN);
    if (sigprocmask(SIG_SETMASK, &signals, NULL) != 0)
        return EX_OSERR;
    service->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    service->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    service->jump_fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    tzset();
    ag_clock_look(service);
    ag_facts_now(service, &facts);
    service->up_since = facts.now.boot;
    return service->signal_fd < 0 || service->timer_fd < 0 || service->jump_fd < 0 ? EX_OSERR : 0;
}

/* The first policy: without one there is nothing to go by. */
static int first_policy(struct ag_service *service)
{
    ag_compile_start(service);
    while (service->compile.pid > 0) {
        struct pollfd set = { .fd = service->compile.fd, .events = POLLIN };

        (void)poll(&set, 1, 50);
        if (set.revents != 0 && service->compile.fd >= 0)
            ag_compile_read(service);
        ag_compile_poll(service);
        ag_compile_late(service, ag_monotonic_ms());
    }
    return service->config != NULL ? 0 : EX_CONFIG;
}

static int serve(struct ag_service *service)
{
    int rc;

    if ((rc = ag_start_store(service)) != 0 || (rc = ag_start_rights(service)) != 0 ||
        (rc = descriptors(service)) != 0)
        return rc;
    rc = ag_control_listen(service);
    if (rc != 0) {
        ag_log(LOG_ERR, "cannot listen on %s/" AG_SOCKET ": %s", service->state_dir, strerror(rc));
        return rc == EADDRINUSE ? EX_BUSY : EX_UNAVAILABLE;
    }
    ag_state_load(service);
    if ((rc = first_policy(service)) == 0) {
        struct ag_facts facts;

        ag_facts_now(service, &facts);
        if (!service->state.verified.set) { /* from here on it is counted */
            service->state.verified = facts.now;
            ag_state_save(service);
        }
        ag_hooks_resume(service);
        service->ready = true;
        ag_notify(&service->notify, "READY=1\nMAINPID=%d", (int)getpid());
        ag_log(LOG_INFO, "ready: %s", service->state_dir);
        rc = ag_loop(service);
    }
    (void)unlinkat(service->state_fd, AG_SOCKET, 0);
    return rc;
}

int main(int argc, char **argv)
{
    static struct ag_service service = { .state_fd = -1,
                                         .listen_fd = -1,
                                         .worker = { .fd = -1 },
                                         .compile = { .fd = -1 },
                                         .job = { .fd = -1 } };
    int rc;

    if (argc > 1 && strcmp(argv[1], "--exec-hook") == 0)
        return ag_hook_exec(argv + 2);
    to_journal = getenv("JOURNAL_STREAM") != NULL;
    rc = arguments(&service, argv);
    if (rc >= 0)
        return rc;
    for (size_t i = 0; i < AG_CLIENTS; i++)
        service.clients[i].fd = -1;
    rc = ag_start_files();
    if (rc != 0)
        return rc;
    ag_notify_start(&service.notify);
    rc = serve(&service);
    if (service.stopping)
        ag_log(LOG_INFO, "stopped");
    return rc;
}
