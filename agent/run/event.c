/* SPDX-License-Identifier: Apache-2.0 */
/* What the library tells while it works, passed on to people, programs, the service and the log. */
#include <string.h>
#include <time.h>

#include "fail.h"
#include "report/event.h"
#include "run_priv.h"
#include "signals.h"
#include "text.h"

static uint64_t monotonic_ms(void)
{
    struct timespec now;

    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0)
        return 0;
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void keep_source(struct run *run, const defupd_event *event)
{
    const char *name = event->source != NULL ? event->source : "a source";
    const char *text =
        event->text != NULL ? event->text : defupd_code_text((defupd_code)event->code);
    size_t at = 0;

    while (at < run->sources && strcmp(run->source[at].name, name) != 0)
        at++;
    if (at == AG_RUN_SOURCES)
        return;
    if (at == run->sources)
        run->sources++;
    (void)snprintf(run->source[at].name, sizeof run->source[at].name, "%s", name);
    (void)AG_FAIL(&run->source[at].failure, (defupd_code)event->code, "%s%s%s",
                  strstr(text, name) != NULL ? "" : name, strstr(text, name) != NULL ? "" : ": ",
                  text);
}

/* A source that failed is worth a warning when another one went on. When the run failed, its error
 * tells of the last source itself. */
void ag_run_tell_sources(const struct run *run)
{
    const bool failed = run->result.code != DEFUPD_OK;

    if (ag_given(&run->args, AG_OPT_QUIET) ||
        (failed && run->args.sources[0] != NULL && run->args.sources[1] == NULL))
        return;
    for (size_t i = 0; i < run->sources; i++) {
        if (!failed || strstr(run->result.err.message, run->source[i].name) == NULL)
            ag_line(run->err, "defupd: warning: %s", run->source[i].failure.message);
    }
}

/* The service gets every event, in both forms: who listens there is not known here. */
static void tell_service(struct run *run, const defupd_event *event)
{
    char who[128];

    if (event->id == DEFUPD_EVENT_PROGRESS) {
        ag_progress_subject(who, sizeof who, &run->progress, event);
        ag_worker_progress(&run->worker, event, who);
    } else if ((run->args.command->traits & AG_CMD_STREAMS) != 0) {
        ag_json_event(run->worker.json, event, (int64_t)time(NULL));
    }
}

void ag_run_event(void *user, const defupd_event *event)
{
    struct run *run = user;

    ag_record_event(run->record, event, (int64_t)time(NULL));
    if (run->worker.fd >= 0)
        tell_service(run, event);
    /* A signal between its handler's installation and the call's beginning met no call at work. */
    if (ag_signals_came())
        defupd_cancel(run->client);
    if (ag_given(&run->args, AG_OPT_JSON)) {
        if ((run->args.command->traits & AG_CMD_STREAMS) != 0 &&
            !ag_given(&run->args, AG_OPT_QUIET))
            ag_json_event(stdout, event, (int64_t)time(NULL));
        return;
    }
    ag_progress_event(&run->progress, event, monotonic_ms());
    if (event->id == DEFUPD_EVENT_SOURCE_FAILED)
        keep_source(run, event);
    if (event->id == DEFUPD_EVENT_DETOUR && !ag_given(&run->args, AG_OPT_QUIET)) {
        ag_progress_clear(&run->progress);
        ag_line(run->err, "defupd: warning: %s: %s", event->component, event->text);
    }
}

void ag_run_log(void *user, defupd_level level, const char *module, const char *text)
{
    static const char *const names[] = { "", "error", "warning", "info", "debug" };
    enum { NAMES = sizeof names / sizeof names[0] };
    struct run *run = user;

    ag_record_log(run->record, level, module, text, (int64_t)time(NULL));
    if (level > (run->args.verbose > 1 ? DEFUPD_LEVEL_DEBUG : DEFUPD_LEVEL_INFO))
        return;
    if (run->worker.fd >= 0)
        ag_worker_log(&run->worker, (size_t)level < NAMES ? names[level] : "", module, text);
    if (run->worker.fd >= 0 || run->args.verbose == 0)
        return;
    ag_progress_clear(&run->progress);
    ag_line(run->err, "%-7s %s: %s", (size_t)level < NAMES ? names[level] : "", module, text);
}
