/* SPDX-License-Identifier: Apache-2.0 */
#include "hand_over.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "control/wire.h"
#include "progress.h"
#include "result.h"
#include "signals.h"
#include "text.h"

#define ANSWER_MS 10000 /* for what needs no run */

struct client {
    int fd;
    const struct ag_args *args;
    struct ag_progress progress;
    struct ag_lines in;
    char *part; /* of a text in parts */
    size_t part_used;
};

/* -1 when nobody listens. */
static int dial(const char *state_dir)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    const int dir = open(state_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int fd = -1;

    if (dir < 0)
        return -1;
    /* The store's path may be longer than an address can be. */
    (void)snprintf(name.sun_path, sizeof name.sun_path, "/proc/self/fd/%d/" AG_SOCKET, dir);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&name, sizeof name) != 0) {
        (void)close(fd);
        fd = -1;
    }
    (void)close(dir);
    return fd;
}

/* The next line; NULL when the agent is gone, says nothing for `wait_ms` (-1: waits for ever), or,
 * with `signals`, when one came. */
static char *next_line(struct client *client, int wait_ms, bool signals)
{
    char *line;

    while ((line = ag_lines_next(&client->in)) == NULL) {
        struct pollfd set = { .fd = client->fd, .events = POLLIN };

        if (client->in.too_long)
            return NULL;
        if (signals ? !ag_signals_wait(client->fd) : poll(&set, 1, wait_ms) == 0)
            return NULL;
        if (ag_lines_read(&client->in, client->fd) <= 0)
            return NULL;
    }
    return line;
}

/* Connected, and greeted by an agent whose policy is the one that is meant. */
static bool greet(struct client *client, const char *state_dir)
{
    const char *config = client->args != NULL ? client->args->value[AG_OPT_CONFIG] : NULL;
    char *line, *words[4], *ours, *theirs;
    bool same = true;

    client->fd = dial(state_dir);
    if (client->fd < 0)
        return false;
    line = next_line(client, ANSWER_MS, false);
    if (line == NULL || ag_split(line, words, 4) < 3 || strcmp(words[0], "defupd-agent") != 0 ||
        strcmp(words[1], "1") != 0)
        return false;
    if (config != NULL) {
        ours = realpath(config, NULL);
        theirs = realpath(words[2], NULL);
        same = ours != NULL && theirs != NULL && strcmp(ours, theirs) == 0;
        free(ours);
        free(theirs);
    }
    return same;
}

static bool is_for_agent(const struct ag_args *args)
{
    /* Who names sources, keys or engines wants those, not the policy's. */
    const uint32_t own = AG_BIT(AG_OPT_SOURCE) | AG_BIT(AG_OPT_TRUSTED_ROOT) |
                         AG_BIT(AG_OPT_PROXY) | AG_BIT(AG_OPT_PROXY_AUTH_FILE) |
                         AG_BIT(AG_OPT_CA_FILE) | AG_BIT(AG_OPT_RING) | AG_BIT(AG_OPT_ENGINE) |
                         AG_BIT(AG_OPT_GRACE) | AG_BIT(AG_OPT_WORKER);

    return (args->given & own) == 0 && ag_ask_known(args->command->name);
}

static bool make_ask(struct ag_ask *ask, const struct ag_args *args)
{
    static const struct {
        enum ag_option_id option;
        unsigned flag;
    } map[] = { { AG_OPT_JSON, AG_RUN_JSON },
                { AG_OPT_DRY_RUN, AG_RUN_DRY_RUN },
                { AG_OPT_OVER_BUDGET, AG_RUN_OVER_BUDGET },
                { AG_OPT_ACCEPT_QUARANTINED, AG_RUN_ACCEPT_QUARANTINED },
                { AG_OPT_REPAIR, AG_RUN_REPAIR },
                { AG_OPT_SCHEDULED, AG_RUN_SCHEDULED } };

    *ask = (struct ag_ask){ .count = 0 };
    (void)snprintf(ask->command, sizeof ask->command, "%s", args->command->name);
    for (size_t i = 0; i < sizeof map / sizeof map[0]; i++) {
        if (ag_given(args, map[i].option))
            ask->flags |= map[i].flag;
    }
    if (args->verbose > 1)
        ask->flags |= AG_RUN_DEBUG;
    if (args->word_count > AG_WORDS - 4)
        return false;
    for (size_t i = 0; i < args->word_count; i++)
        ask->words[ask->count++] = (char *)(uintptr_t)args->words[i];
    return true;
}

static uint64_t monotonic_ms(void)
{
    struct timespec now = { 0 };

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* "P component phase done total version who" */
static void on_progress(struct client *client, char *line)
{
    char *words[8];
    int64_t number[4];

    if (ag_split(line, words, 8) != 7)
        return;
    for (int i = 0; i < 4; i++) {
        if (!ag_number(words[2 + i], false, &number[i]))
            return;
    }
    if (ag_given(client->args, AG_OPT_JSON)) {
        const defupd_event event = { .struct_size = sizeof event,
                                     .id = DEFUPD_EVENT_PROGRESS,
                                     .phase = (uint32_t)number[0],
                                     .bytes_done = (uint64_t)number[1],
                                     .bytes_total = (uint64_t)number[2],
                                     .version = (uint64_t)number[3],
                                     .component = strcmp(words[1], "-") != 0 ? words[1] : NULL };

        if ((client->args->command->traits & AG_CMD_STREAMS) != 0 &&
            !ag_given(client->args, AG_OPT_QUIET))
            ag_json_event(stdout, &event, (int64_t)time(NULL));
    } else if (client->progress.out != NULL) {
        ag_progress_draw(&client->progress, strcmp(words[6], "-") != 0 ? words[6] : "",
                         (uint32_t)number[0], (uint64_t)number[1], (uint64_t)number[2],
                         monotonic_ms());
    }
}

/* One whole text. */
static void show(struct client *client, char letter, const char *text)
{
    const struct ag_args *args = client->args;
    const bool json = ag_given(args, AG_OPT_JSON), quiet = ag_given(args, AG_OPT_QUIET);

    ag_progress_clear(&client->progress);
    if (letter == 'J' && json) {
        /* Of the stream, with -q only the result. */
        if (!quiet || (args->command->traits & AG_CMD_STREAMS) == 0 ||
            strncmp(text, "{\"result\"", 9) == 0)
            (void)fprintf(stdout, "%s\n", text);
    } else if (letter == 'T' && !json && !quiet) {
        ag_line(stdout, "%s", text);
    } else if (letter == 'E' && (!quiet || strncmp(text, "defupd: warning:", 16) != 0)) {
        ag_line(stderr, "%s", text);
    } else if (letter == 'L' && args->verbose > (strncmp(text, "debug ", 6) == 0 ? 1 : 0)) {
        ag_line(stderr, "%s", text);
    }
    (void)fflush(stdout);
}

static void on_text(struct client *client, char *line)
{
    const char letter = line[0];
    size_t length;
    char *grown;

    if (!ag_decode(line + 2))
        return;
    if (letter >= 'A' && letter <= 'Z' && client->part == NULL) {
        show(client, letter, line + 2);
        return;
    }
    length = strlen(line + 2);
    grown = realloc(client->part, client->part_used + length + 1);
    if (grown == NULL)
        return;
    client->part = grown;
    memcpy(grown + client->part_used, line + 2, length + 1);
    client->part_used += length;
    if (letter >= 'A' && letter <= 'Z') {
        show(client, letter, grown);
        free(client->part);
        client->part = NULL;
        client->part_used = 0;
    }
}

static void on_refusal(struct ag_handed *handed, char *line)
{
    char *words[4];
    int64_t code;

    if (ag_split(line, words, 4) != 3 || !ag_number(words[1], true, &code))
        return;
    handed->refused = true;
    handed->code = (defupd_code)code;
    (void)snprintf(handed->text, sizeof handed->text, "%s", words[2]);
}

/* True at the last line. */
static bool on_end(struct ag_handed *handed, char *line)
{
    char *words[5];
    int64_t exit_code, code, news;

    if (ag_split(line, words, 5) != 4 || !ag_number(words[1], false, &exit_code) ||
        !ag_number(words[2], true, &code) || !ag_number(words[3], false, &news))
        return false;
    handed->exit_code = (int)exit_code;
    handed->code = (defupd_code)code;
    handed->news = news != 0;
    return true;
}

static void lost(struct ag_handed *handed, bool detached)
{
    handed->refused = true;
    handed->code = detached ? DEFUPD_E_CANCELLED : DEFUPD_E_AGENT;
    handed->exit_code = defupd_code_exit(handed->code);
    (void)snprintf(handed->text, sizeof handed->text, "%s",
                   detached ? "no longer waiting; the agent goes on: 'defupd cancel' stops it"
                            : "the agent has gone away; it begins anew when it is started");
}

static void follow(struct client *client, struct ag_handed *handed)
{
    char *line;

    for (;;) {
        line = next_line(client, -1, true);
        if (line == NULL) {
            ag_progress_clear(&client->progress);
            lost(handed, ag_signals_came());
            return;
        }
        if (line[0] == 'X' && on_end(handed, line))
            break;
        if (line[0] == 'P')
            on_progress(client, line);
        else if (line[0] == 'R')
            on_refusal(handed, line);
        else if (line[0] != '\0' && strchr("TtEeJjLl", line[0]) != NULL && line[1] == ' ')
            on_text(client, line);
    }
    ag_progress_clear(&client->progress);
}

static void no_work(void *what)
{
    (void)what;
}

void ag_hand_over(struct ag_handed *handed, const struct ag_args *args, const char *state_dir,
                  int given)
{
    struct client client = { .fd = -1, .args = args };
    struct ag_out out = { .max = AG_LINE };
    struct ag_ask ask;

    *handed = (struct ag_handed){ .done = false };
    if (!is_for_agent(args) || !greet(&client, state_dir) || !make_ask(&ask, args))
        goto end;
    if (given >= 0)
        ask.flags |= AG_RUN_GIVEN;
    ag_out_print(&out, AG_HELLO "\n");
    ag_ask_print(&out, &ask);
    if (out.failed ||
        !(given >= 0 ? ag_out_give(&out, client.fd, given) : ag_out_flush(&out, client.fd)))
        goto end;
    handed->done = true;
    ag_progress_start(&client.progress, stderr);
    if (ag_given(args, AG_OPT_QUIET) || ag_given(args, AG_OPT_JSON))
        client.progress.out = NULL;
    ag_signals_start(no_work, NULL);
    follow(&client, handed);
    ag_signals_stop();
end:
    ag_out_free(&out);
    free(client.part);
    if (client.fd >= 0)
        (void)close(client.fd);
}

/* Ask for what needs no run; true when the answer begins. */
static bool simple_request(struct client *client, const char *state_dir, const char *request)
{
    return greet(client, state_dir) &&
           send(client->fd, request, strlen(request), MSG_NOSIGNAL) == (ssize_t)strlen(request);
}

uint64_t ag_agent_cancel(const char *state_dir)
{
    struct client client = { .fd = -1 };
    char *line, *words[4];
    int64_t pid = 0;

    if (simple_request(&client, state_dir, AG_HELLO "\ncancel\n")) {
        while ((line = next_line(&client, ANSWER_MS, false)) != NULL && line[0] != 'X') {
            if (ag_split(line, words, 4) == 3 && strcmp(words[1], "pid") == 0)
                (void)ag_number(words[2], false, &pid);
        }
    }
    if (client.fd >= 0)
        (void)close(client.fd);
    return (uint64_t)pid;
}

void ag_agent_ask(struct ag_agent *agent, const char *state_dir)
{
    struct client client = { .fd = -1 };
    char *line, *words[4];

    *agent = (struct ag_agent){ .running = false };
    if (simple_request(&client, state_dir, AG_HELLO "\nstatus\n")) {
        while ((line = next_line(&client, ANSWER_MS, false)) != NULL && line[0] != 'X') {
            if (ag_split(line, words, 4) != 3 || strcmp(words[0], "S") != 0)
                continue;
            if (strcmp(words[1], "pid") == 0)
                agent->running = ag_number(words[2], false, &agent->pid);
            else if (strcmp(words[1], "next-poll") == 0)
                (void)ag_number(words[2], false, &agent->next_poll);
            else if (strcmp(words[1], "failures") == 0)
                (void)ag_number(words[2], false, &agent->failures);
            else if (strcmp(words[1], "doing") == 0)
                (void)snprintf(agent->doing, sizeof agent->doing, "%s",
                               strcmp(words[2], "-") != 0 ? words[2] : "");
            else if (strcmp(words[1], "policy-error") == 0)
                (void)snprintf(agent->policy_error, sizeof agent->policy_error, "%s", words[2]);
        }
    }
    agent->silent = client.fd >= 0 && !agent->running;
    if (client.fd >= 0)
        (void)close(client.fd);
}
