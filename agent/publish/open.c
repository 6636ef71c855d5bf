/* SPDX-License-Identifier: Apache-2.0 */
/* The repository of a command: with a progress line on a terminal, and with signals that end the
 * work without leaving anything behind. One command opens one repository. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../progress.h"
#include "../signals.h"
#include "tool.h"

#define REDRAW_MS 100

static struct {
    struct ag_progress line;
    uint64_t drawn_ms;
    uint32_t phase;
    uint64_t version;
} at_work;

static uint64_t monotonic_ms(void)
{
    struct timespec now;

    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0)
        return 0;
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void on_progress(void *user, const defupd_repo_progress *progress)
{
    static const char *const verbs[] = { "",         "reading",   "bundling",
                                         "checking", "deltas to", "exporting" };
    const uint64_t now = monotonic_ms();
    const bool same = at_work.phase == progress->phase && at_work.version == progress->version;
    char who[96];

    (void)user;
    if (at_work.line.out == NULL || (same && now - at_work.drawn_ms < REDRAW_MS))
        return;
    at_work.phase = progress->phase;
    at_work.version = progress->version;
    at_work.drawn_ms = now;
    (void)snprintf(who, sizeof who, "%s ",
                   progress->phase < sizeof verbs / sizeof verbs[0] ? verbs[progress->phase] : "");
    if (progress->version != 0) /* else it is about all of them */
        (void)snprintf(who + strlen(who), sizeof who - strlen(who), "%s %" PRIu64 " ",
                       progress->component, progress->version);
    ag_progress_draw(&at_work.line, who, progress->phase, progress->bytes_done,
                     progress->bytes_total, now);
}

void pt_say(void *user, const char *line)
{
    (void)user;
    ag_progress_clear(&at_work.line);
    (void)fprintf(stderr, "defupd-publish: %s\n", line);
}

void pt_line(const char *line)
{
    ag_progress_clear(&at_work.line);
    (void)printf("%s\n", line);
}

static void cancel(void *repo)
{
    defupd_repo_cancel(repo);
}

defupd_code pt_open(defupd_repo **repo, const struct pt_args *args, defupd_repo_say_fn on_say,
                    void *user, defupd_error *err)
{
    defupd_repo_options options = DEFUPD_REPO_OPTIONS_INIT;
    defupd_code rc;

    options.repo_dir = args->value[PT_OPT_REPO];
    options.keys_dir = args->value[PT_OPT_KEYS];
    options.compression_level = args->level;
    options.temp_dir = getenv("TMPDIR");
    options.warn_days = args->within;
    options.on_say = on_say;
    options.say_user = user;
    options.on_passphrase = pt_passphrase;
    options.passphrase_user = (void *)(uintptr_t)args;
    options.on_progress = on_progress;
    rc = defupd_repo_open(repo, &options, err);
    if (rc != DEFUPD_OK)
        return rc;
    ag_progress_start(&at_work.line, stderr);
    if (args->value[PT_OPT_JSON] != NULL)
        at_work.line.out = NULL;
    ag_signals_start(cancel, *repo);
    return DEFUPD_OK;
}

void pt_close(defupd_repo *repo)
{
    ag_progress_clear(&at_work.line);
    ag_signals_stop();
    defupd_repo_close(repo);
}

bool pt_read_line(int fd, char *out, size_t size, bool *cut)
{
    size_t len = 0;
    char c = 0;

    *cut = false;
    while (ag_signals_wait(fd)) {
        if (read(fd, &c, 1) != 1) {
            out[len] = '\0';
            return len > 0;
        }
        if (c == '\n') {
            out[len] = '\0';
            c = 0; /* it may be of a passphrase */
            return true;
        }
        if (len < size - 1)
            out[len++] = c;
        else
            *cut = true;
    }
    explicit_bzero(out, size);
    return false;
}
