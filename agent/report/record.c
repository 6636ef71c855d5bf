/* SPDX-License-Identifier: Apache-2.0 */
#include "report/record.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "json.h"
#include "report/event.h"
#include "report/logfile.h"
#include "report/outbox.h"
#include "report/sequence.h"
#include "report/totals.h"
#include "text.h"
#include "words.h"

#define PENDING 32 /* lines kept while there is no store yet */

/* A line that waits for the store to come. */
struct pending {
    struct ag_logfile *log;
    char *line;
};

struct ag_record {
    struct ag_record_options options;
    int dir; /* STATE/log; -1 until it is there */
    int journal;
    struct ag_logfile update, transfer, relay, events;
    struct ag_sequence sequence;
    struct ag_outbox outbox;
    struct ag_message message;
    struct pending pending[PENDING];
    size_t pendings;
    int64_t now; /* of the last call */
    bool told;   /* the last failed source is in transfer.log already */
    bool ended;
};

static void start_logs(struct ag_record *record)
{
    const struct ag_record_options *options = &record->options;

    ag_logfile_start(&record->update, options->disk, record->dir, "update.log", options->log_bytes,
                     options->log_keep);
    ag_logfile_start(&record->transfer, options->disk, record->dir, "transfer.log",
                     options->log_bytes, options->log_keep);
    ag_logfile_start(&record->relay, options->disk, record->dir, "relay.log", options->log_bytes,
                     options->log_keep);
    ag_logfile_start(&record->events, options->disk, record->dir, "events.jsonl",
                     options->log_bytes, options->log_keep);
}

/* The first thing after a loss is to say so. */
static void tell_loss(struct ag_record *record, struct ag_logfile *log)
{
    const unsigned lost = log->lost;
    char when[AG_WHEN], line[160];

    if (log == &record->events)
        (void)snprintf(line, sizeof line, "{\"time\":\"%s\",\"lost\":%u}",
                       ag_time(when, record->now), lost);
    else
        (void)snprintf(line, sizeof line, "%s [%d] %u lines before this one could not be written",
                       ag_time(when, record->now), (int)getpid(), lost);
    if (ag_logfile_add(log, line)) {
        const struct ag_totals more = { .lost = lost };

        log->lost = 0;
        ag_totals_add(record->options.disk, record->dir, &more);
    } else {
        log->lost = lost; /* the line about the loss is none of them */
    }
}

static void write_line(struct ag_record *record, struct ag_logfile *log, const char *line)
{
    if (log->lost > 0)
        tell_loss(record, log);
    (void)ag_logfile_add(log, line); /* counts what it cannot write */
}

/* The library makes the store in the course of the first call that changes it. */
static bool has_folder(struct ag_record *record)
{
    const size_t waiting = record->pendings;

    if (record->dir >= 0)
        return true;
    record->dir = ag_disk_folder(record->options.disk, record->options.state_dir, "log", 1, 0750);
    if (record->dir < 0)
        return false;
    start_logs(record);
    if (record->options.queue != 0)
        ag_outbox_open(&record->outbox, record->options.disk, record->options.state_dir,
                       record->options.queue_bytes, true);
    record->pendings = 0;
    for (size_t i = 0; i < waiting; i++) {
        write_line(record, record->pending[i].log, record->pending[i].line);
        free(record->pending[i].line);
    }
    return true;
}

/* Takes `line`, which may be NULL. */
static void put(struct ag_record *record, struct ag_logfile *log, char *line)
{
    if (line != NULL && has_folder(record)) {
        write_line(record, log, line);
    } else if (line != NULL && record->pendings < PENDING) {
        record->pending[record->pendings++] = (struct pending){ log, line };
        return;
    }
    free(line);
}

/* "2026-11-21T10:00:00Z [1234] ..." */
__attribute__((format(printf, 3, 0))) static void put_args(struct ag_record *record,
                                                           struct ag_logfile *log,
                                                           const char *format, va_list args)
{
    char when[AG_WHEN], *text = NULL, *line = NULL;

    if (vasprintf(&text, format, args) < 0)
        return;
    if (asprintf(&line, "%s [%d] %s", ag_time(when, record->now), (int)getpid(), text) < 0)
        line = NULL;
    free(text);
    if (line != NULL)
        ag_clean(line);
    put(record, log, line);
}

__attribute__((format(printf, 3, 4))) static void say(struct ag_record *record,
                                                      struct ag_logfile *log, const char *format,
                                                      ...)
{
    va_list args;

    va_start(args, format);
    put_args(record, log, format, args);
    va_end(args);
}

struct ag_record *ag_record_start(const struct ag_record_options *options, int64_t now)
{
    struct ag_record *record = calloc(1, sizeof *record);

    if (record == NULL)
        return NULL;
    record->options = *options;
    if (record->options.disk == NULL)
        record->options.disk = &ag_disk_posix;
    if (record->options.log_keep == 0)
        record->options.log_keep = AG_LOG_KEEP;
    record->dir = record->outbox.dir = -1;
    record->now = now;
    record->journal = ag_journal_open(options->journal);
    start_logs(record);
    say(record, &record->update, "begin: %s, by %s", options->what, options->who);
    return record;
}

/* " -2103 PROXY_CONNECT: cannot connect ..." */
static const char *failure(char out[DEFUPD_ERROR_MESSAGE_MAX + 64], int32_t code, const char *text)
{
    (void)snprintf(out, DEFUPD_ERROR_MESSAGE_MAX + 64, "%d %s: %s", (int)code,
                   defupd_code_name((defupd_code)code),
                   text != NULL && text[0] != '\0' ? text : defupd_code_text((defupd_code)code));
    return out;
}

static const char *or_none(const char *text)
{
    return text != NULL && text[0] != '\0' ? text : "-";
}

static void tell_transfer(struct ag_record *record, const defupd_event *event)
{
    char why[DEFUPD_ERROR_MESSAGE_MAX + 64];

    if (event->id == DEFUPD_EVENT_SOURCE_ASKED && event->code == DEFUPD_OK)
        say(record, &record->transfer, "asked %s: %" PRIu64 " bytes of metadata, %" PRIu64 " ms",
            or_none(event->source), event->bytes_done, event->duration_ms);
    else if (event->id == DEFUPD_EVENT_SOURCE_ASKED)
        say(record, &record->transfer, "asked %s: failed after %" PRIu64 " ms: %s",
            or_none(event->source), event->duration_ms, failure(why, event->code, event->text));
    else if (event->id == DEFUPD_EVENT_FETCHED && event->code == DEFUPD_OK)
        say(record, &record->transfer,
            "fetched %s %" PRIu64 ": %" PRIu64 " of %" PRIu64 " bytes from %s, %" PRIu64 " ms%s",
            or_none(event->component), event->version, event->bytes_done, event->bytes_total,
            or_none(event->source), event->duration_ms,
            event->resumed_bytes > 0 ? ", resumed" : "");
    else if (event->id == DEFUPD_EVENT_FETCHED)
        say(record, &record->transfer,
            "not fetched %s %" PRIu64 ": %" PRIu64 " of %" PRIu64 " bytes, %" PRIu64 " ms: %s",
            or_none(event->component), event->version, event->bytes_done, event->bytes_total,
            event->duration_ms, failure(why, event->code, event->text));
    else if (event->id == DEFUPD_EVENT_SOURCE_FAILED && !record->told)
        say(record, &record->transfer, "left %s: %s", or_none(event->source),
            failure(why, event->code, event->text));
    record->told = event->id == DEFUPD_EVENT_SOURCE_ASKED && event->code != DEFUPD_OK;
}

/* What happens on the way; outcomes come with the report. */
static void tell_update(struct ag_record *record, const defupd_event *event)
{
    char why[DEFUPD_ERROR_MESSAGE_MAX + 64];

    if (event->id == DEFUPD_EVENT_DOWNLOADING)
        say(record, &record->update, "%s: fetching %" PRIu64 ": %s", or_none(event->component),
            event->version, or_none(event->text));
    else if (event->id == DEFUPD_EVENT_SOURCE_FAILED)
        say(record, &record->update, "source %s failed: %s", or_none(event->source),
            failure(why, event->code, event->text));
    else if (event->id == DEFUPD_EVENT_TRIAL || event->id == DEFUPD_EVENT_CONFIRMED)
        say(record, &record->update, "%s: %" PRIu64 " is %s%s%s", or_none(event->component),
            event->version, event->id == DEFUPD_EVENT_TRIAL ? "on trial" : "confirmed",
            event->text != NULL ? ": " : "", event->text != NULL ? event->text : "");
    else if (event->id == DEFUPD_EVENT_ROLLED_BACK && event->code == DEFUPD_E_TRIAL)
        say(record, &record->update, "%s: back at %" PRIu64 ": %s", or_none(event->component),
            event->version, failure(why, event->code, event->text));
    else if (event->id == DEFUPD_EVENT_WITHDRAWN || event->id == DEFUPD_EVENT_DAMAGED ||
             event->id == DEFUPD_EVENT_REPAIRED || event->id == DEFUPD_EVENT_DETOUR)
        say(record, &record->update, "%s: %s: %s", or_none(event->component),
            ag_event_name(event->id), or_none(event->text));
}

static void tell_event(struct ag_record *record, const defupd_event *event)
{
    json_t *row = ag_event_json(event, record->now);
    char *line = NULL;
    char uid[AG_UID];
    uint64_t number = 0;

    ag_uid(uid);
    if (has_folder(record))
        number =
            ag_sequence_next(&record->sequence, record->options.disk, record->dir, record->now);
    if (row != NULL && ag_json_text(row, "uid", uid) &&
        (number == 0 || ag_json_number(row, "seq", number)))
        line = json_dumps(row, JSON_COMPACT);
    json_decref(row);
    /* How single transfers went is for this host's files. */
    if (line != NULL && event->id != DEFUPD_EVENT_SOURCE_ASKED && event->id != DEFUPD_EVENT_FETCHED)
        ag_message_add(&record->message, &record->outbox, line);
    put(record, &record->events, line);
    ag_journal_send(record->journal, event, uid);
}

void ag_record_event(struct ag_record *record, const defupd_event *event, int64_t now)
{
    if (record == NULL || event->id == DEFUPD_EVENT_PROGRESS)
        return;
    record->now = now;
    tell_transfer(record, event);
    tell_update(record, event);
    tell_event(record, event);
}

static void tell_relay(struct ag_record *record, const defupd_event *event)
{
    char why[DEFUPD_ERROR_MESSAGE_MAX + 64];

    if (event->id == DEFUPD_EVENT_RELAY_SUCCEEDED)
        say(record, &record->relay, "sync: %s, from %s", or_none(event->text),
            or_none(event->source));
    else if (event->id == DEFUPD_EVENT_RELAY_FAILED)
        say(record, &record->relay, "sync failed, what is served stays: %s",
            failure(why, event->code, event->text));
    else if (event->id == DEFUPD_EVENT_SOURCE_FAILED)
        say(record, &record->relay, "source %s failed: %s", or_none(event->source),
            failure(why, event->code, event->text));
}

void ag_record_relay(struct ag_record *record, const defupd_event *event, int64_t now)
{
    if (record == NULL || event->id == DEFUPD_EVENT_PROGRESS)
        return;
    record->now = now;
    tell_transfer(record, event);
    tell_relay(record, event);
    tell_event(record, event);
}

static void log_line(struct ag_record *record, struct ag_logfile *log, defupd_level level,
                     const char *module, const char *text, int64_t now)
{
    static const char *const names[] = { "", "error ", "warning ", "", "debug " };

    if (record == NULL || (level > DEFUPD_LEVEL_INFO && now >= record->options.debug_until))
        return;
    record->now = now;
    say(record, strcmp(module, "fetch") == 0 ? &record->transfer : log, "%s%s: %s",
        (size_t)level < sizeof names / sizeof names[0] ? names[level] : "", module, text);
}

void ag_record_log(struct ag_record *record, defupd_level level, const char *module,
                   const char *text, int64_t now)
{
    log_line(record, record != NULL ? &record->update : NULL, level, module, text, now);
}

void ag_record_relay_log(struct ag_record *record, defupd_level level, const char *module,
                         const char *text, int64_t now)
{
    log_line(record, record != NULL ? &record->relay : NULL, level, module, text, now);
}

void ag_record_line(struct ag_record *record, int64_t now, const char *format, ...)
{
    va_list args;

    if (record == NULL)
        return;
    record->now = now;
    va_start(args, format);
    put_args(record, &record->update, format, args);
    va_end(args);
}

static void tell_item(struct ag_record *record, const defupd_report_item *item)
{
    char from[AG_VERSION], to[AG_VERSION], why[DEFUPD_ERROR_MESSAGE_MAX + 64];
    const char *text =
        item->text != NULL && item->text[0] != '\0' ? item->text : ag_reason_text(item->reason);

    (void)ag_version_text(from, item->from_version, item->from_label);
    (void)ag_version_text(to, item->to_version, item->to_label);
    if (item->code != DEFUPD_OK)
        say(record, &record->update, "%s: stays at %s: %s", item->component, from,
            failure(why, item->code, item->text));
    else if (item->action == DEFUPD_ACTION_NONE)
        say(record, &record->update, "%s: stays at %s%s%s", item->component, from,
            text[0] != '\0' ? ": " : "", text);
    else
        say(record, &record->update, "%s: %s %s -> %s: %s%s%s", item->component,
            ag_action_name(item->action), from, to, ag_progress_name(item->progress),
            item->how != NULL && item->how[0] != '\0' ? ", " : "",
            item->how != NULL ? item->how : "");
}

void ag_record_end(struct ag_record *record, defupd_code code, const char *message,
                   const defupd_report *report, int64_t now)
{
    const struct ag_totals more = { .runs = 1,
                                    .failures = code != DEFUPD_OK,
                                    .fetched = report != NULL ? defupd_report_fetched(report) : 0 };
    char why[DEFUPD_ERROR_MESSAGE_MAX + 64];
    const defupd_report_item *item;

    if (record == NULL)
        return;
    record->now = now;
    for (uint32_t i = 0; report != NULL && (item = defupd_report_at(report, i)) != NULL; i++)
        tell_item(record, item);
    if (code != DEFUPD_OK)
        say(record, &record->update, "end: %s", failure(why, code, message));
    else if (report != NULL && defupd_report_generation(report) != 0)
        say(record, &record->update, "end: done, generation %" PRIu64 ", %" PRIu64 " bytes fetched",
            defupd_report_generation(report), more.fetched);
    else
        say(record, &record->update, "end: done");
    ag_totals_add(record->options.disk, record->dir, &more);
    record->ended = true;
}

void ag_record_posture(struct ag_record *record, const char *posture)
{
    char *line;

    if (record == NULL || posture == NULL || record->outbox.dir < 0)
        return;
    line = strdup(posture);
    if (line == NULL)
        return;
    /* Outside of its strings, which have none, a line break is as good as a blank. */
    for (char *c = line; *c != '\0'; c++)
        *c = *c == '\n' ? ' ' : *c;
    ag_message_posture(&record->message, &record->outbox, line);
    free(line);
}

void ag_record_free(struct ag_record *record)
{
    if (record == NULL)
        return;
    ag_message_end(&record->message, &record->outbox);
    ag_outbox_close(&record->outbox);
    if (!record->ended)
        say(record, &record->update, "broken off");
    for (size_t i = 0; i < record->pendings; i++)
        free(record->pending[i].line);
    ag_logfile_end(&record->update, false);
    ag_logfile_end(&record->transfer, false);
    ag_logfile_end(&record->relay, false);
    ag_logfile_end(&record->events, true);
    if (record->dir >= 0)
        (void)close(record->dir);
    if (record->journal >= 0)
        (void)close(record->journal);
    free(record);
}

void ag_record_note(const struct ag_disk *disk, const char *state_dir, int64_t now,
                    const char *format, ...)
{
    struct ag_record record = { .options = { .disk = disk, .state_dir = state_dir }, .now = now };
    va_list args;

    record.dir = ag_disk_folder(disk, state_dir, "log", 0, 0);
    record.outbox.dir = record.journal = -1;
    record.options.log_keep = AG_LOG_KEEP;
    if (record.dir < 0)
        return;
    start_logs(&record);
    va_start(args, format);
    put_args(&record, &record.update, format, args);
    va_end(args);
    ag_logfile_end(&record.update, false);
    (void)close(record.dir);
}
