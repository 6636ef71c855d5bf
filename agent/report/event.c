/* SPDX-License-Identifier: Apache-2.0 */
#include "report/event.h"

#include <stdbool.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include <defupd/error.h>

#include "json.h"
#include "text.h"
#include "words.h"

static bool optional_text(json_t *row, const char *key, const char *text)
{
    return text == NULL || text[0] == '\0' || ag_json_text(row, key, text);
}

static bool optional_number(json_t *row, const char *key, uint64_t number)
{
    return number == 0 || ag_json_number(row, key, number);
}

static bool fill(json_t *row, const defupd_event *event, int64_t now)
{
    const bool progress = event->id == DEFUPD_EVENT_PROGRESS;
    const bool moves = progress || event->id == DEFUPD_EVENT_FETCHED;
    char when[AG_WHEN];

    return ag_json_text(row, "time", ag_time(when, now)) &&
           ag_json_add(row, "id", json_integer(event->id)) &&
           ag_json_text(row, "name", ag_event_name(event->id)) &&
           optional_text(row, "component", event->component) &&
           optional_number(row, "version", event->version) &&
           optional_number(row, "from", event->from_version) &&
           (progress || ag_json_add(row, "code", json_integer(event->code))) &&
           optional_text(row, "source", event->source) && optional_text(row, "text", event->text) &&
           (!progress || ag_json_text(row, "phase", ag_phase_name(event->phase))) &&
           (!moves || ag_json_number(row, "bytes_done", event->bytes_done)) &&
           (!moves || optional_number(row, "bytes_total", event->bytes_total)) &&
           optional_number(row, "resumed_bytes", event->resumed_bytes) &&
           optional_number(row, "duration_ms", event->duration_ms);
}

json_t *ag_event_json(const defupd_event *event, int64_t now)
{
    json_t *row = json_object();

    if (row != NULL && fill(row, event, now))
        return row;
    json_decref(row);
    return NULL;
}

void ag_uid(char out[AG_UID])
{
    unsigned char b[16] = { 0 };
    struct timespec now = { 0 };
    uint64_t ms;

    /* Without the kernel's random bytes, time and address still differ from call to call. */
    if (getrandom(b, sizeof b, GRND_NONBLOCK) != (ssize_t)sizeof b &&
        clock_gettime(CLOCK_MONOTONIC, &now) == 0)
        memcpy(b + 6, &now.tv_nsec, sizeof now.tv_nsec);
    (void)clock_gettime(CLOCK_REALTIME, &now);
    ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    for (int i = 0; i < 6; i++)
        b[i] = (unsigned char)(ms >> (40 - 8 * i));
    b[6] = (unsigned char)((b[6] & 0x0f) | 0x70);
    b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
    (void)snprintf(out, AG_UID,
                   "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0],
                   b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13],
                   b[14], b[15]);
}
