/* SPDX-License-Identifier: Apache-2.0 */
/* The program: policy, sockets, the store's owner, a fence, and then nothing but serving. */
#include "relay/relay.h"
#include "relay/upstream.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <malloc.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <defupd/version.h>

#include "confine.h"
#include "fail.h"
#include "files.h"
#include "policy/config.h"
#include "prepare.h"
#include "readable.h"
#include "report/logfile.h"
#include "text.h"

#define DRAIN_MS 4000  /* for answers under way, when told to end */
#define WRITE_S 60     /* between two writings of the figures */
#define SUMMARY_S 3600 /* between two lines that sum up */
#define FILES_MAX 131072
#define THREADS_MAX 16 /* that answer, of all addresses */

struct relay {
    const char *listen[AG_RELAY_LISTEN + 1]; /* from the command line */
    const char *words[8];                    /* what ag_args_parse() gets */
    const char *log_file;
    pid_t agent; /* 0: it runs alone */
    struct ag_args args;
    struct ag_setup setup;
    defupd_client_options options;
    struct ag_relay_settings settings;
    struct ag_relay_upstream upstream;
    struct du_serve *serve;
    struct ag_logfile log;
    pthread_mutex_t log_lock;
    struct ag_served served;
    struct du_serve_figures summed; /* when the last summary was written */
};

static const char usage[] =
    "Usage: defupd-relay [--config FILE] [--state-dir DIR] [--listen ADDR:PORT]... [--log FILE]\n\n"
    "Serve what is in the relay's folder of the store (STATE/relay) to other hosts, over HTTP, in\n"
    "the foreground. 'defupd-agent' starts it where the policy has a relay section.\n\n"
    "  --config FILE\n      Policy file. Default: what defupd takes.\n"
    "  --state-dir DIR\n      State directory, the store. Default: " AG_DEFAULT_STATE_DIR ".\n"
    "  --listen ADDR:PORT\n      Listen there and not where the policy says. Can be given again.\n"
    "  --log FILE\n      A line for each request: METHOD PATH STATUS BYTES.\n"
    "  --help, --version\n\n"
    "SIGTERM, SIGINT, SIGHUP: end when the answers under way are out. See defupd-relay(8).\n";

/* To relay.log and, for whoever started this, to standard error. */
__attribute__((format(printf, 2, 3))) static void say(struct relay *relay, const char *format, ...)
{
    char text[1024], line[1200], when[AG_WHEN];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    ag_clean(text);
    (void)snprintf(line, sizeof line, "%s [%d] %s", ag_time(when, (int64_t)time(NULL)),
                   (int)getpid(), text);
    (void)pthread_mutex_lock(&relay->log_lock);
    ag_line(stderr, "defupd-relay: %s", text);
    (void)ag_logfile_add(&relay->log, line);
    (void)pthread_mutex_unlock(&relay->log_lock);
}

/* --- starting --- */

static defupd_code add_listen(struct relay *relay, const char *value, defupd_error *err)
{
    size_t n = 0;

    while (relay->listen[n] != NULL)
        n++;
    if (n == AG_RELAY_LISTEN)
        return AG_FAIL(err, DEFUPD_E_INVALID, "more than %u addresses", AG_RELAY_LISTEN);
    relay->listen[n] = value;
    return DEFUPD_OK;
}

static defupd_code add_word(struct relay *relay, const char *option, const char *value,
                            defupd_error *err)
{
    size_t n = 0;

    while (relay->words[n] != NULL)
        n++;
    if (n + 2 > 4)
        return AG_FAIL(err, DEFUPD_E_INVALID, "%s is there twice", option);
    relay->words[n] = option;
    relay->words[n + 1] = value;
    return DEFUPD_OK;
}

static defupd_code take_option(struct relay *relay, const char *option, const char *value,
                               defupd_error *err)
{
    if (strcmp(option, "--listen") == 0)
        return add_listen(relay, value, err);
    if (strcmp(option, "--config") == 0)
        return add_word(relay, "--config", value, err);
    if (strcmp(option, "--state-dir") == 0)
        return add_word(relay, "--state-dir", value, err);
    if (strcmp(option, "--log") == 0)
        relay->log_file = value;
    else if (strcmp(option, "--agent") == 0) /* the one that starts it: not for people */
        relay->agent = (pid_t)strtol(value, NULL, 10);
    else
        return AG_FAIL(err, DEFUPD_E_INVALID, "unknown argument '%.80s'", option);
    return DEFUPD_OK;
}

static defupd_code arguments(struct relay *relay, char **argv, defupd_error *err)
{
    for (char **arg = argv + 1; *arg != NULL; arg++) {
        const size_t length = strcspn(*arg, "=");
        const char *value = (*arg)[length] == '=' ? *arg + length + 1 : arg[1];
        char option[32];

        (void)snprintf(option, sizeof option, "%.*s", (int)length, *arg);
        if (value == NULL || value[0] == '\0')
            value = strncmp(option, "--", 2) == 0 ? NULL : "";
        if (value == NULL)
            return AG_FAIL(err, DEFUPD_E_INVALID, "a value is missing after '%.80s'", *arg);
        AG_TRY(take_option(relay, option, value, err));
        arg += (*arg)[length] != '=';
    }
    return DEFUPD_OK;
}

/* As a command of `defupd` that asks sources, or one that does not, reads what it needs. */
static defupd_code parse_as(struct relay *relay, const char *command, defupd_error *err)
{
    char *argv[8];
    size_t n = 0;

    ag_args_free(&relay->args);
    for (; relay->words[n] != NULL; n++)
        argv[n] = (char *)(uintptr_t)relay->words[n];
    argv[n++] = (char *)(uintptr_t)command;
    argv[n] = NULL;
    return ag_args_parse(&relay->args, argv, err);
}

/* Which kind of relay it is says what has to be read, and with whose rights: so policy is looked
 * at twice. */
static defupd_code read_policy(struct relay *relay, defupd_error *err)
{
    const char *standard, *config, *state_dir;
    struct ag_force force = { 0 };
    struct ag_owner owner;
    char *path = NULL;
    defupd_code rc;

    AG_TRY(parse_as(relay, "status", err));
    state_dir = relay->args.value[AG_OPT_STATE_DIR];
    config = ag_config_file(&relay->args, &standard);
    AG_TRY(ag_path_absolute(&path, state_dir != NULL ? state_dir : AG_DEFAULT_STATE_DIR, err));
    rc = ag_owner_find(path, &owner, err);
    if (rc == DEFUPD_OK)
        rc = ag_force_load(&force, config, standard, path, owner.uid, err);
    if (rc == DEFUPD_OK)
        ag_relay_settings(&relay->settings, force.policy);
    ag_force_free(&force);
    free(path);
    if (rc == DEFUPD_OK)
        rc = parse_as(relay, relay->settings.cache ? "check" : "status", err);
    if (rc == DEFUPD_OK)
        rc = ag_prepare_options(&relay->options, &relay->setup, &relay->args, err);
    if (rc == DEFUPD_OK)
        ag_relay_settings(&relay->settings, relay->setup.force.policy);
    return rc;
}

static defupd_code open_folders(struct relay *relay, defupd_error *err)
{
    const char *state_dir = relay->setup.state_dir;
    const int served = ag_disk_folder(&ag_disk_posix, state_dir, "relay", 1, 0755);

    if (served < 0)
        return AG_FAIL_ERRNO(err, DEFUPD_E_IO, "cannot open %s/relay", state_dir);
    (void)close(served);
    ag_logfile_start(&relay->log, &ag_disk_posix,
                     ag_disk_folder(&ag_disk_posix, state_dir, "log", 1, 0750), "relay.log", 0,
                     AG_LOG_KEEP);
    return DEFUPD_OK;
}

static defupd_code listen_all(struct relay *relay, defupd_error *err)
{
    const char *const *list = relay->listen[0] != NULL ? relay->listen : relay->settings.listen;

    if (list[0] == NULL && !relay->settings.enabled)
        return AG_FAIL(err, DEFUPD_E_POLICY,
                       "policy has no relay section: this host serves nobody (or use --listen)");
    if (list[0] == NULL) {
        /* A host without IPv6 is a relay, too. */
        AG_TRY(du_serve_listen(&relay->serve, "0.0.0.0:" AG_RELAY_PORT, err));
        if (du_serve_listen(&relay->serve, "[::]:" AG_RELAY_PORT, err) != DEFUPD_OK)
            say(relay, "%s", err->message);
        return DEFUPD_OK;
    }
    for (; *list != NULL; list++)
        AG_TRY(du_serve_listen(&relay->serve, *list, err));
    return DEFUPD_OK;
}

/* Connections are descriptors; the fence does not let it be raised afterwards. */
static void allow_files(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= FILES_MAX)
        return;
    limit.rlim_cur =
        limit.rlim_max != RLIM_INFINITY && limit.rlim_max < FILES_MAX ? limit.rlim_max : FILES_MAX;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

/* With its agent: a relay that nobody looks after would be in the next one's way. */
static defupd_code tie_to_agent(const struct relay *relay, defupd_error *err)
{
    if (relay->agent == 0)
        return DEFUPD_OK;
    if (prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0) != 0)
        return AG_FAIL_ERRNO(err, DEFUPD_E_AGENT, "cannot be tied to the agent");
    if (getppid() != relay->agent)
        return AG_FAIL(err, DEFUPD_E_AGENT, "the agent has ended");
    return DEFUPD_OK;
}

static defupd_code fence_in(const struct relay *relay, defupd_error *err)
{
    char *served = NULL, *logs = NULL;
    const char *writable[3] = { NULL };
    struct ag_readable readable;
    defupd_code rc;

    if (asprintf(&served, "%s/relay", relay->setup.state_dir) < 0)
        served = NULL;
    if (asprintf(&logs, "%s/log", relay->setup.state_dir) < 0)
        logs = NULL;
    ag_readable_gather(&readable, &relay->setup, &relay->args);
    if (readable.count == AG_READABLE)
        readable.count--;
    readable.path[readable.count] = relay->setup.state_dir;
    readable.path[readable.count + 1] = NULL;
    writable[0] = served;
    writable[1] = logs;
    rc = served == NULL || logs == NULL ? AG_FAIL(err, DEFUPD_E_NOMEM, "out of memory")
                                        : ag_confine_server(writable, readable.path, err);
    ag_readable_free(&readable);
    free(served);
    free(logs);
    return rc;
}

static defupd_code start(struct relay *relay, defupd_error *err)
{
    const struct ag_relay_settings *settings = &relay->settings;
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    struct du_serve_options options = { .repository = true,
                                        .log = relay->log_file,
                                        .connections = settings->connections,
                                        .per_client = settings->per_client,
                                        .requests_per_s = settings->requests_per_s,
                                        .bytes_per_s = settings->bytes_per_s,
                                        .allow = settings->allow,
                                        .forwards = settings->forwards };
    uint32_t addresses = 0;
    char *dir = NULL;
    defupd_code rc;

    while (du_serve_url(relay->serve, addresses) != NULL)
        addresses++;
    options.threads = cores < 1 ? 1 : cores > THREADS_MAX ? THREADS_MAX : (uint32_t)cores;
    options.threads = (options.threads + addresses - 1) / addresses;
    if (asprintf(&dir, "%s/relay", relay->setup.state_dir) < 0)
        return AG_FAIL(err, DEFUPD_E_NOMEM, "out of memory");
    options.dir = dir;
    if (settings->cache)
        options.upstream = &relay->upstream.serve;
    rc = du_serve_start(relay->serve, &options, err);
    free(dir);
    return rc;
}

static void tell_failure(void *user, const char *text)
{
    say(user, "an object that was asked for cannot be had: %s", text);
}

static defupd_code prepare(struct relay *relay, defupd_error *err)
{
    (void)umask(022);
    AG_TRY(read_policy(relay, err));
    AG_TRY(tie_to_agent(relay, err));
    AG_TRY(open_folders(relay, err));
    AG_TRY(listen_all(relay, err));
    allow_files();
    /* One heap for a few threads: each heap of its own keeps what it was given. */
    (void)mallopt(M_ARENA_MAX, 2);
    if (relay->settings.cache)
        AG_TRY(ag_relay_upstream_open(&relay->upstream, relay->setup.force.policy, &relay->options,
                                      tell_failure, relay, err));
    AG_TRY(fence_in(relay, err));
    return start(relay, err);
}

/* --- while it serves --- */

static void write_figures(struct relay *relay)
{
    const struct du_serve_figures before = relay->served.figures;
    defupd_error err = { 0 };

    du_serve_figures(relay->serve, &relay->served.figures);
    if (relay->served.written != 0 && memcmp(&before, &relay->served.figures, sizeof before) == 0)
        return;
    relay->served.written = (int64_t)time(NULL);
    if (ag_served_write(relay->setup.state_dir, &relay->served, &err) != DEFUPD_OK)
        ag_line(stderr, "defupd-relay: warning: %s", err.message);
    if (relay->served.figures.limited > before.limited ||
        relay->served.figures.turned_away > before.turned_away)
        say(relay,
            "within a minute %" PRIu64 " requests and %" PRIu64
            " connections were more than the limits allow: a client asks too often, the last was "
            "%s",
            relay->served.figures.limited - before.limited,
            relay->served.figures.turned_away - before.turned_away,
            relay->served.figures.last_limited);
}

static void sum_up(struct relay *relay)
{
    const struct du_serve_figures *now = &relay->served.figures, *then = &relay->summed;
    char bytes[AG_AMOUNT];

    if (now->requests != then->requests)
        say(relay,
            "served %" PRIu64 " requests, %s: %" PRIu64 " whole, %" PRIu64 " in part, %" PRIu64
            " unchanged, %" PRIu64 " not there, %" PRIu64 " too many, %" PRIu64
            " otherwise refused; %" PRIu32 " client%s within the hour",
            now->requests - then->requests, ag_bytes(bytes, now->bytes - then->bytes),
            now->whole - then->whole, now->part - then->part, now->unchanged - then->unchanged,
            now->missing - then->missing, now->limited - then->limited,
            now->refused - then->refused, now->clients, now->clients == 1 ? "" : "s");
    relay->summed = *now;
}

static void serve(struct relay *relay, const sigset_t *ends)
{
    const struct timespec minute = { .tv_sec = WRITE_S };
    time_t summed = time(NULL);
    int got;

    do {
        got = sigtimedwait(ends, NULL, &minute);
        write_figures(relay);
        if (time(NULL) - summed >= SUMMARY_S) {
            sum_up(relay);
            summed = time(NULL);
        }
    } while (got < 0 && (errno == EAGAIN || errno == EINTR));
    du_serve_drain(relay->serve, DRAIN_MS);
    write_figures(relay);
    sum_up(relay);
    say(relay, "ends");
}

static defupd_code run(struct relay *relay, defupd_error *err)
{
    sigset_t ends;
    defupd_code rc;

    (void)sigemptyset(&ends);
    (void)sigaddset(&ends, SIGTERM);
    (void)sigaddset(&ends, SIGINT);
    (void)sigaddset(&ends, SIGHUP);
    (void)signal(SIGPIPE, SIG_IGN);
    if (sigprocmask(SIG_BLOCK, &ends, NULL) != 0)
        return AG_FAIL_ERRNO(err, DEFUPD_E_BUG, "cannot block signals");
    rc = prepare(relay, err);
    if (rc != DEFUPD_OK)
        return rc;
    relay->served.since = (int64_t)time(NULL);
    relay->served.pid = (int64_t)getpid();
    write_figures(relay);
    relay->summed = relay->served.figures;
    for (unsigned i = 0; du_serve_url(relay->serve, i) != NULL; i++) {
        say(relay, "serves %s/relay at %s", relay->setup.state_dir, du_serve_url(relay->serve, i));
        (void)printf("serving %s/relay at %s\n", relay->setup.state_dir,
                     du_serve_url(relay->serve, i));
    }
    (void)fflush(stdout);
    serve(relay, &ends);
    return DEFUPD_OK;
}

/* For reports: what is in the folder may be right, and nobody gets it. What another server, which
 * holds the address, has written would be lost: only its own agent's is known to be none. */
static void note_failure(struct relay *relay, defupd_code code)
{
    struct ag_served failed = { .written = (int64_t)time(NULL), .failed = -(int64_t)code };
    defupd_error ignored = { 0 };

    if (relay->agent != 0 && relay->setup.state_dir != NULL && relay->served.since == 0)
        (void)!ag_served_write(relay->setup.state_dir, &failed, &ignored);
}

/* Descriptors 0 to 2 must be taken, so that no socket is written to as if it were one of them. */
static bool standard_files(void)
{
    int fd;

    do {
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO)
        (void)close(fd);
    return fd >= 0;
}

int main(int argc, char **argv)
{
    static struct relay relay = { .setup = { .ca_fd = -1, .archive_fd = -1 },
                                  .log = { .dir = -1, .fd = -1 },
                                  .log_lock = PTHREAD_MUTEX_INITIALIZER };
    defupd_error err = { 0 };
    defupd_code rc;

    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
        return fputs(usage, stdout) < 0 ? 74 : 0;
    if (argc > 1 && strcmp(argv[1], "--version") == 0)
        return printf("defupd-relay %s\n", DEFUPD_VERSION) < 0 ? 74 : 0;
    if (!standard_files())
        return 71;
    rc = arguments(&relay, argv, &err);
    if (rc != DEFUPD_OK) {
        ag_line(stderr, "defupd-relay: %s", err.message);
        (void)fprintf(stderr, "\n%s", usage);
        return defupd_code_exit(rc);
    }
    rc = run(&relay, &err);
    if (rc != DEFUPD_OK) {
        say(&relay, "%s", err.message);
        note_failure(&relay, rc);
    }
    du_serve_stop(relay.serve);
    ag_relay_upstream_close(&relay.upstream);
    ag_logfile_end(&relay.log, false);
    ag_setup_free(&relay.setup);
    ag_args_free(&relay.args);
    return defupd_code_exit(rc);
}
