/* SPDX-License-Identifier: Apache-2.0 */
/* STATE/agent.state: what the schedule must know after a restart. Lost or damaged, it is that of a
 * host that never polled: due now. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "service.h"

#define NAME "agent.state"
#define NEW "agent.state.new"
#define HEAD "defupd-agent-state 1"
#define STATE_MAX 2048

/* FNV-1a: against torn and rotten files, not against anybody's will. */
static uint64_t checksum(const char *bytes, size_t count)
{
    uint64_t sum = UINT64_C(0xcbf29ce484222325);

    for (size_t i = 0; i < count; i++)
        sum = (sum ^ (unsigned char)bytes[i]) * UINT64_C(0x100000001b3);
    return sum;
}

static bool mark(struct ag_mark *mark, char **words, int count)
{
    if (count != 4 || strlen(words[1]) >= sizeof mark->id ||
        !ag_number(words[2], false, &mark->boot) || !ag_number(words[3], true, &mark->wall))
        return false;
    (void)snprintf(mark->id, sizeof mark->id, "%s", words[1]);
    mark->set = true;
    return true;
}

bool ag_state_parse(struct ag_schedule_state *state, char *paused, char *text)
{
    char *sum = strstr(text, "\nsum "), *words[40], *line;
    struct ag_schedule_state read = { .failures = 0 };
    int64_t number = 0;
    char names[1024] = "";
    bool good;

    if (sum == NULL || strtoull(sum + 5, NULL, 16) != checksum(text, (size_t)(sum + 1 - text)))
        return false;
    *sum = '\0';
    line = strsep(&text, "\n");
    good = strcmp(line, HEAD) == 0;
    while (good && text != NULL) {
        const int count = ag_split(strsep(&text, "\n"), words, 40);

        if (count < 2)
            good = false;
        else if (strcmp(words[0], "polled") == 0)
            good = mark(&read.polled, words, count);
        else if (strcmp(words[0], "verified") == 0)
            good = mark(&read.verified, words, count);
        else if (strcmp(words[0], "paused") == 0)
            for (int i = 1; i < count; i++)
                (void)ag_list_set(names, sizeof names, words[i], true);
        else if (!ag_number(words[1], false, &number))
            good = false;
        else if (strcmp(words[0], "failures") == 0)
            read.failures = (uint32_t)number;
        else if (strcmp(words[0], "retry-s") == 0)
            read.retry = number;
        else if (strcmp(words[0], "verify-failed") == 0)
            read.verify_failed = number != 0;
    }
    if (!good)
        return false;
    *state = read;
    (void)snprintf(paused, sizeof names, "%s", names);
    return true;
}

static void print_mark(struct ag_out *out, const char *name, const struct ag_mark *mark)
{
    if (mark->set)
        ag_out_print(out, "%s %s %" PRId64 " %" PRId64 "\n", name, mark->id, mark->boot,
                     mark->wall);
}

void ag_state_print(const struct ag_schedule_state *state, const char *paused, struct ag_out *out)
{
    ag_out_print(out, HEAD "\n");
    print_mark(out, "polled", &state->polled);
    print_mark(out, "verified", &state->verified);
    ag_out_print(out, "failures %" PRIu32 "\nretry-s %" PRId64 "\nverify-failed %d\n",
                 state->failures, state->retry, state->verify_failed);
    if (paused[0] != '\0')
        ag_out_print(out, "paused %s\n", paused);
    ag_out_print(out, "sum %016" PRIx64 "\n", checksum(out->bytes, out->used));
}

void ag_state_load(struct ag_service *service)
{
    const int fd = openat(service->state_fd, NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    char text[STATE_MAX];
    ssize_t got = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;

    service->state = (struct ag_schedule_state){ .failures = 0 };
    if (fd >= 0)
        (void)close(fd);
    if (got >= 0) {
        text[got] = '\0';
        if (!ag_state_parse(&service->state, service->paused, text))
            ag_log(LOG_WARNING, "%s/" NAME " is damaged: a poll is due now", service->state_dir);
    } else if (errno != ENOENT) {
        ag_log(LOG_WARNING, "%s/" NAME ": %s: a poll is due now", service->state_dir,
               strerror(errno));
    }
}

static bool write_state(struct ag_service *service, const struct ag_out *out)
{
    const int fd =
        openat(service->state_fd, NEW, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool done;

    if (fd < 0)
        return false;
    done = write(fd, out->bytes, out->used) == (ssize_t)out->used && fsync(fd) == 0;
    done = close(fd) == 0 && done;
    return done && renameat(service->state_fd, NEW, service->state_fd, NAME) == 0 &&
           fsync(service->state_fd) == 0;
}

void ag_state_save(struct ag_service *service)
{
    struct ag_out out = { .max = STATE_MAX - 1 };

    ag_state_print(&service->state, service->paused, &out);
    if (out.failed || !write_state(service, &out))
        ag_log(LOG_WARNING, "cannot write %s/" NAME ": %s", service->state_dir, strerror(errno));
    ag_out_free(&out);
}
