/* SPDX-License-Identifier: Apache-2.0 */
#include "worker.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fail.h"
#include "signals.h"

#define LINE_MAX_BYTES (16u << 20) /* of a result as one line of JSON */

static void send_all(struct ag_worker *worker, struct ag_out *out)
{
    /* Without the service nobody is left to tell, and this process is about to end. */
    if (!out->failed)
        (void)ag_out_flush(out, worker->fd);
    ag_out_free(out);
}

static void send_text(struct ag_worker *worker, char letter, const char *text)
{
    struct ag_out out = { .max = SIZE_MAX / 2 };

    ag_out_text(&out, letter, text);
    send_all(worker, &out);
}

static ssize_t stream_write(void *cookie, const char *bytes, size_t count)
{
    struct ag_worker_stream *stream = cookie;

    for (size_t i = 0; i < count; i++) {
        if (stream->used + 1 >= stream->size) {
            const size_t size = stream->size > 0 ? 2 * stream->size : 1024;
            char *grown = size <= LINE_MAX_BYTES ? realloc(stream->line, size) : NULL;

            if (grown == NULL)
                return 0;
            stream->line = grown;
            stream->size = size;
        }
        if (bytes[i] != '\n') {
            stream->line[stream->used++] = bytes[i];
            continue;
        }
        stream->line[stream->used] = '\0';
        stream->used = 0;
        send_text(stream->worker, stream->letter, stream->line);
    }
    return (ssize_t)count;
}

static FILE *open_stream(struct ag_worker *worker, size_t index, char letter)
{
    const cookie_io_functions_t calls = { .write = stream_write };
    FILE *file;

    worker->streams[index] = (struct ag_worker_stream){ .worker = worker, .letter = letter };
    file = fopencookie(&worker->streams[index], "w", calls);
    if (file != NULL)
        (void)setvbuf(file, NULL, _IOLBF, BUFSIZ);
    return file;
}

/* The next line of the service, waiting for it. NULL: it is gone. */
static char *next_line(struct ag_worker *worker)
{
    char *line;

    while ((line = ag_lines_next(&worker->in)) == NULL) {
        if (worker->in.too_long || ag_lines_read(&worker->in, worker->fd) <= 0)
            return NULL;
    }
    return line;
}

defupd_code ag_worker_open(struct ag_worker *worker, const char *text, defupd_error *err)
{
    int64_t fd;
    char *line, *words[8];
    int type = 0;
    socklen_t length = sizeof type;

    *worker = (struct ag_worker){ .fd = -1 };
    if (!ag_number(text, false, &fd) || fd < 3 || fd > 1024 ||
        getsockopt((int)fd, SOL_SOCKET, SO_TYPE, &type, &length) != 0 || type != SOCK_STREAM)
        return AG_FAIL(err, DEFUPD_E_INVALID, "--worker is for defupd-agent alone");
    worker->fd = (int)fd;
    /* Killed with the service, also when stopped: the next one's worker must not find the store
     * locked by a sleeper. The store is whole at every instant. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0)
        return AG_FAIL_ERRNO(err, DEFUPD_E_AGENT, "cannot be tied to the service");
    line = next_line(worker); /* fails as well when the service has ended before */
    if (line == NULL || ag_split(line, words, 8) != 4 || strcmp(words[0], "N") != 0 ||
        !ag_number(words[1], false, &worker->next_on_success) ||
        !ag_number(words[2], false, &worker->next_on_failure))
        return AG_FAIL(err, DEFUPD_E_AGENT, "the service does not say what it should");
    (void)snprintf(worker->who, sizeof worker->who, "%s", words[3]);
    worker->out = open_stream(worker, 0, 'T');
    worker->err = open_stream(worker, 1, 'E');
    worker->json = open_stream(worker, 2, 'J');
    if (worker->out == NULL || worker->err == NULL || worker->json == NULL)
        return AG_FAIL(err, DEFUPD_E_NOMEM, "out of memory");
    return DEFUPD_OK;
}

void ag_worker_close(struct ag_worker *worker)
{
    FILE *const files[] = { worker->out, worker->err, worker->json };

    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        if (files[i] != NULL)
            (void)fclose(files[i]);
        free(worker->streams[i].line);
    }
    if (worker->fd >= 0)
        (void)close(worker->fd);
    *worker = (struct ag_worker){ .fd = -1 };
}

static void add_word(struct ag_out *out, const char *text)
{
    char word[3 * 512 + 1], cut[512];

    (void)snprintf(cut, sizeof cut, "%s", text != NULL && text[0] != '\0' ? text : "-");
    (void)ag_encode(word, sizeof word, cut, false);
    ag_out_print(out, " %s", word);
}

void ag_worker_progress(struct ag_worker *worker, const defupd_event *event, const char *who)
{
    struct ag_out out = { .max = AG_LINE };

    ag_out_print(&out, "P");
    add_word(&out, event->component);
    ag_out_print(&out, " %u %" PRIu64 " %" PRIu64 " %" PRIu64, event->phase, event->bytes_done,
                 event->bytes_total, event->version);
    add_word(&out, who);
    ag_out_print(&out, "\n");
    send_all(worker, &out);
}

void ag_worker_log(struct ag_worker *worker, const char *level, const char *module,
                   const char *text)
{
    char line[1024];

    (void)snprintf(line, sizeof line, "%-7s %s: %s", level, module, text);
    send_text(worker, 'L', line);
}

/* The answer to the last question, DEFUPD_E_AGENT when none comes. */
static defupd_code answer(struct ag_worker *worker, bool may_cancel, defupd_error *err)
{
    for (;;) {
        char *line = ag_lines_next(&worker->in), *words[4];
        int64_t code;

        if (line == NULL) {
            if (may_cancel && !ag_signals_wait(worker->fd)) {
                worker->unanswered++;
                return AG_FAIL(err, DEFUPD_E_CANCELLED, "cancelled");
            }
            line = next_line(worker);
        }
        if (line == NULL)
            return AG_FAIL(err, DEFUPD_E_AGENT, "the service is gone");
        if ((line[0] == 'L' || line[0] == 'l') && line[1] == ' ') {
            if (ag_decode(line + 2) && worker->on_line != NULL)
                worker->on_line(worker->user, line + 2);
            continue;
        }
        if (ag_split(line, words, 4) != 3 || strcmp(words[0], "H") != 0 ||
            !ag_number(words[1], true, &code) || code > 0 || code < -9999)
            return AG_FAIL(err, DEFUPD_E_AGENT, "the service answers what was not asked");
        if (worker->unanswered > 0) {
            worker->unanswered--;
            continue;
        }
        if (code == 0)
            return DEFUPD_OK;
        return AG_FAIL(err, (defupd_code)code, "%s", words[2]);
    }
}

defupd_code ag_worker_hook(struct ag_worker *worker, const struct ag_hook_facts *facts,
                           defupd_error *err)
{
    struct ag_out out = { .max = AG_LINE };

    ag_out_print(&out, "H %s", ag_hook_name(facts->kind));
    add_word(&out, facts->component);
    ag_out_print(&out, " %" PRIu64 " %" PRIu64 " %d", facts->from, facts->to, facts->code);
    add_word(&out, facts->tree);
    add_word(&out, facts->text);
    ag_out_print(&out, "\n");
    send_all(worker, &out);
    /* What a pre-install stopped must start again, whatever signals say. */
    return answer(worker, facts->kind != AG_HOOK_POST_INSTALL, err);
}

void ag_worker_states(struct ag_worker *worker, const defupd_status *status)
{
    const defupd_component_status *item;
    struct ag_out out = { .max = 1u << 20 };

    for (uint32_t i = 0; (item = defupd_status_at(status, i)) != NULL; i++)
        ag_out_print(&out, "S %s %s %" PRIu64 " %d\n", item->name,
                     defupd_state_name((defupd_state)item->state), item->version,
                     (int)item->last_error);
    ag_out_print(&out, "U %" PRIu64 "\n", defupd_status_store(status)->trial_s);
    send_all(worker, &out);
}

/* Whether coming back before the next poll may help. */
static bool soon(defupd_code code)
{
    const defupd_group group = defupd_code_group(code);

    return group == DEFUPD_GROUP_SOURCE || group == DEFUPD_GROUP_LATER ||
           group == DEFUPD_GROUP_MACHINE;
}

void ag_worker_outcome(struct ag_worker *worker, defupd_code code, bool news, int exit_code,
                       int64_t cool_until, const char *text)
{
    struct ag_out out = { .max = AG_LINE };

    (void)fflush(worker->out);
    (void)fflush(worker->err);
    (void)fflush(worker->json);
    ag_out_print(&out, "O %d %d %d %" PRId64, (int)code, exit_code, news,
                 cool_until > 0 ? cool_until
                 : soon(code)   ? (int64_t)-1
                                : (int64_t)0);
    add_word(&out, code != DEFUPD_OK ? text : "");
    ag_out_print(&out, "\n");
    send_all(worker, &out);
}
