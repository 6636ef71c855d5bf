/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics in the Prometheus text format, from the posture. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fail.h"
#include "report/monitor.h"
#include "report/report.h"
#include "text.h"

#define FOLDER "metrics"
#define FILE_NAME "defupd.prom"

static void head(FILE *out, const char *name, const char *type, const char *help)
{
    (void)fprintf(out, "# HELP defupd_%s %s\n# TYPE defupd_%s %s\n", name, help, name, type);
}

/* A label's value: backslash, quote and line break escaped (the text is clean of the last). */
static void label(FILE *out, const char *name, const char *value, char end)
{
    (void)fprintf(out, "%s=\"", name);
    for (; *value != '\0'; value++) {
        if (*value == '\\' || *value == '"')
            (void)fputc('\\', out);
        (void)fputc(*value, out);
    }
    (void)fprintf(out, "\"%c", end);
}

static void one(FILE *out, const char *name, const char *type, const char *help, int64_t value)
{
    head(out, name, type, help);
    (void)fprintf(out, "defupd_%s %" PRId64 "\n", name, value);
}

static int64_t signed_code(uint32_t lasterror)
{
    return (int32_t)lasterror;
}

/* Of each component, one value. */
struct column {
    const char *name, *help;
    int64_t (*value)(const struct ag_seen_definition *);
};

static int64_t version(const struct ag_seen_definition *d)
{
    return (int64_t)d->version;
}
static int64_t available(const struct ag_seen_definition *d)
{
    return (int64_t)d->available;
}
static int64_t published(const struct ag_seen_definition *d)
{
    return d->timestamp;
}
static int64_t last_success(const struct ag_seen_definition *d)
{
    return d->last_success;
}
static int64_t last_attempt(const struct ag_seen_definition *d)
{
    return d->last_attempt;
}
static int64_t next_attempt(const struct ag_seen_definition *d)
{
    return d->next_attempt;
}
static int64_t last_error(const struct ag_seen_definition *d)
{
    return signed_code(d->lasterror);
}
static int64_t failures(const struct ag_seen_definition *d)
{
    return d->failures;
}

static const struct column columns[] = {
    { "component_version", "Installed version, 0 if none.", version },
    { "component_available_version", "Newest version known, 0 if not known.", available },
    { "component_published_timestamp_seconds", "When the installed release was published.",
      published },
    { "component_last_success_timestamp_seconds",
      "End of the last attempt that left it up to date, 0 if never.", last_success },
    { "component_last_attempt_timestamp_seconds", "Start of the last attempt, 0 if never.",
      last_attempt },
    { "component_next_attempt_timestamp_seconds", "Planned next attempt, 0 if none.",
      next_attempt },
    { "component_last_error_code", "How the last attempt ended: 0 or a negative code.",
      last_error },
    { "component_failures", "Failed attempts since the last success.", failures },
};

static void states(FILE *out, const struct ag_seen *seen)
{
    head(out, "component_state", "gauge", "1 for the state that the component is in.");
    for (size_t i = 0; i < seen->count; i++) {
        const struct ag_seen_definition *d = &seen->definition[i];

        for (int state = 0; strcmp(defupd_state_name((defupd_state)state), "unknown") != 0;
             state++) {
            const char *name = defupd_state_name((defupd_state)state);

            (void)fputs("defupd_component_state{", out);
            label(out, "component", d->name, ',');
            label(out, "state", name, '}');
            (void)fprintf(out, " %d\n", strcmp(name, d->state) == 0);
        }
    }
}

static void relay(FILE *out, const struct ag_relay_facts *facts)
{
    char name[64];

    if (!facts->there)
        return;
    head(out, "relay_info", "gauge", "This host is a relay.");
    (void)fputs("defupd_relay_info{", out);
    label(out, "mode", facts->mode, '}');
    (void)fputs(" 1\n", out);
    one(out, "relay_last_error_code", "gauge",
        "How the last attempt to be up to date ended: 0 or a negative code.",
        signed_code(facts->lasterror));
    for (size_t i = 0; i < AG_RELAY_NUMBERS; i++) {
        (void)snprintf(name, sizeof name, "relay_%s", ag_relay_columns[i].metric);
        one(out, name, ag_relay_columns[i].type, ag_relay_columns[i].help, facts->number[i]);
    }
}

void ag_metrics(FILE *out, const struct ag_seen *seen, const struct ag_totals *totals)
{
    head(out, "info", "gauge", "This agent.");
    (void)fputs("defupd_info{", out);
    label(out, "uuid", seen->uuid, ',');
    label(out, "version", seen->agent_version, '}');
    (void)fputs(" 1\n", out);
    one(out, "connected", "gauge", "1 when a source was reached in the last two intervals.",
        seen->connected);
    one(out, "running", "gauge", "1 when the agent runs or a process updates.", seen->running);
    one(out, "report_timestamp_seconds", "gauge", "When these numbers were written.", seen->time);
    one(out, "last_contact_timestamp_seconds", "gauge",
        "When a source last gave a verified timestamp, 0 if never.", seen->last_contact);
    one(out, "poll_interval_seconds", "gauge", "Time between two scheduled attempts.",
        seen->interval_s);
    one(out, "last_error_code", "gauge", "How the last attempt ended: 0 or a negative code.",
        signed_code(seen->lasterror));
    one(out, "runs_total", "counter", "Checks, updates and the like.", (int64_t)totals->runs);
    one(out, "run_failures_total", "counter", "Those of them that failed.",
        (int64_t)totals->failures);
    one(out, "bytes_fetched_total", "counter", "Bytes of objects that were fetched.",
        (int64_t)totals->fetched);
    one(out, "log_lines_lost_total", "counter", "Lines of logs that could not be written.",
        (int64_t)totals->lost);
    for (size_t c = 0; c < sizeof columns / sizeof columns[0]; c++) {
        head(out, columns[c].name, "gauge", columns[c].help);
        for (size_t i = 0; i < seen->count; i++) {
            (void)fprintf(out, "defupd_%s{", columns[c].name);
            label(out, "component", seen->definition[i].name, ',');
            label(out, "engine", seen->definition[i].engine, '}');
            (void)fprintf(out, " %" PRId64 "\n", columns[c].value(&seen->definition[i]));
        }
    }
    states(out, seen);
    relay(out, &seen->relay);
}

defupd_code ag_metrics_write(const struct ag_disk *disk, const char *state_dir, const char *posture,
                             defupd_error *err)
{
    struct ag_totals totals;
    struct ag_seen seen;
    char *text = NULL;
    size_t count = 0;
    int logs, dir;
    FILE *out;
    defupd_code rc = DEFUPD_OK;

    AG_TRY(ag_seen_parse(&seen, "posture", posture, strlen(posture), err));
    logs = ag_disk_folder(disk, state_dir, "log", 0, 0);
    ag_totals_read(disk, logs, &totals);
    if (logs >= 0)
        (void)close(logs);
    out = open_memstream(&text, &count);
    if (out != NULL)
        ag_metrics(out, &seen, &totals);
    ag_seen_free(&seen);
    if (out == NULL || fclose(out) != 0) {
        free(text);
        return AG_FAIL(err, DEFUPD_E_NOMEM, "out of memory while writing metrics");
    }
    dir = ag_disk_folder(disk, state_dir, FOLDER, 1, 0755);
    /* EWOULDBLOCK: another process writes it just now, and knows as much. Not synced: after a loss
     * of power, the next attempt writes it anew. */
    if (dir < 0 ||
        (ag_disk_replace(disk, dir, FILE_NAME, text, count, 0644, 0) != 0 && errno != EWOULDBLOCK))
        rc = AG_FAIL_ERRNO(err, DEFUPD_E_IO, "cannot write %s/%s/%s", state_dir, FOLDER, FILE_NAME);
    if (dir >= 0)
        (void)close(dir);
    free(text);
    return rc;
}
