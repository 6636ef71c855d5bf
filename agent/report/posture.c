/* SPDX-License-Identifier: Apache-2.0 */
/* The posture: what monitoring and admission control ask an endpoint. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fail.h"
#include "json.h"
#include "report/report.h"

static bool add_code(json_t *row, const char *number, const char *name, defupd_code code)
{
    return ag_json_number(row, number, defupd_code_unsigned(code)) &&
           ag_json_text(row, name, code != DEFUPD_OK ? defupd_code_name(code) : "");
}

static bool definition(json_t *array, const defupd_component_status *item, uint64_t trial_s)
{
    json_t *row = ag_json_row(array);

    return ag_json_text(row, "name", item->name) && ag_json_number(row, "version", item->version) &&
           ag_json_text(row, "label", item->label) &&
           ag_json_number(row, "timestamp", (uint64_t)item->published) &&
           ag_json_number(row, "last_successful_update", (uint64_t)item->last_success) &&
           ag_json_text(row, "state", defupd_state_name((defupd_state)item->state)) &&
           (item->state != DEFUPD_STATE_TRIAL || ag_json_number(row, "trial_left", trial_s)) &&
           add_code(row, "lasterror", "lasterror_name", (defupd_code)item->last_error) &&
           ag_json_number(row, "available", item->available) &&
           ag_json_number(row, "failures", item->failures) &&
           ag_json_number(row, "last_attempt", (uint64_t)item->last_attempt) &&
           ag_json_number(row, "next_attempt", (uint64_t)item->next_attempt);
}

/* The engine's row, a new one when it has none yet. Borrowed. NULL: no memory. */
static json_t *find_engine(json_t *engines, const char *name)
{
    json_t *row, *definitions;

    for (size_t i = 0; i < json_array_size(engines); i++) {
        row = json_array_get(engines, i);
        if (strcmp(json_string_value(json_object_get(row, "name")), name) == 0)
            return row;
    }
    row = ag_json_row(engines);
    definitions = json_array();
    if (!ag_json_text(row, "name", name) || !ag_json_add(row, "enabled", json_false())) {
        json_decref(definitions);
        return NULL;
    }
    return ag_json_add(row, "definitions", definitions) ? row : NULL;
}

static bool add_component(json_t *engines, const defupd_component_status *item, uint64_t trial_s,
                          const struct ag_report_settings *settings)
{
    const char *name =
        settings->engine != NULL ? settings->engine(settings->engine_user, item->name) : item->name;
    json_t *row = find_engine(engines, name != NULL ? name : item->name);

    if (row == NULL)
        return false;
    /* An engine is enabled as long as one of its components is. */
    if (item->state != DEFUPD_STATE_DISABLED && !ag_json_add(row, "enabled", json_true()))
        return false;
    return definition(json_object_get(row, "definitions"), item, trial_s);
}

static bool add_relay(json_t *doc, const struct ag_relay_facts *relay)
{
    json_t *row;

    if (relay == NULL)
        return true;
    row = json_object();
    if (!ag_json_add(doc, "relay", row) || !ag_json_text(row, "mode", relay->mode) ||
        !ag_json_text(row, "source", relay->source) ||
        !ag_json_number(row, "lasterror", relay->lasterror) ||
        !ag_json_text(row, "lasterror_name", relay->lasterror_name))
        return false;
    for (size_t i = 0; i < AG_RELAY_NUMBERS; i++) {
        if (!ag_json_number(row, ag_relay_columns[i].key, (uint64_t)relay->number[i]))
            return false;
    }
    return true;
}

static bool document(json_t *doc, const defupd_status *status,
                     const struct ag_report_settings *settings, int64_t now)
{
    const defupd_store_status *store = defupd_status_store(status);
    const int64_t interval_s = settings->interval_s > 0 ? settings->interval_s : AG_INTERVAL_S;
    /* A contact in the future says that the clock went back: no contact to count on. */
    const bool connected = store->last_contact > 0 && store->last_contact <= now &&
                           now - store->last_contact < 2 * interval_s;
    const bool running = store->busy_pid != 0 || settings->agent_runs;
    const defupd_code last = settings->unable_code != DEFUPD_OK ? settings->unable_code
                             : store->last_error != DEFUPD_OK   ? (defupd_code)store->last_error
                                                                : settings->policy_code;
    const defupd_component_status *item;
    json_t *engines = json_array();

    if (!ag_json_text(doc, "agent_uuid", store->uuid) ||
        !ag_json_add(doc, "connected", json_boolean(connected)) ||
        !ag_json_text(doc, "connector_version", defupd_version()) ||
        !ag_json_add(doc, "running", json_boolean(running)) ||
        !ag_json_number(doc, "time", (uint64_t)now) ||
        !ag_json_number(doc, "last_contact", (uint64_t)store->last_contact) ||
        !ag_json_number(doc, "interval", (uint64_t)interval_s) ||
        !ag_json_number(doc, "generation", store->generation) ||
        !add_code(doc, "lasterror", "lasterror_name", last)) {
        json_decref(engines);
        return false;
    }
    if (!ag_json_add(doc, "engines", engines) || !add_relay(doc, settings->relay))
        return false;
    for (uint32_t i = 0; (item = defupd_status_at(status, i)) != NULL; i++) {
        if (!add_component(engines, item, store->trial_s, settings))
            return false;
    }
    return true;
}

defupd_code ag_posture(char **out, const defupd_status *status,
                       const struct ag_report_settings *settings, int64_t now, defupd_error *err)
{
    json_t *doc = json_object();
    char *text = NULL, *line = NULL;

    if (document(doc, status, settings, now))
        text = json_dumps(doc, JSON_INDENT(2));
    json_decref(doc);
    if (text != NULL && asprintf(&line, "%s\n", text) < 0)
        line = NULL;
    free(text);
    if (line == NULL)
        return AG_FAIL(err, DEFUPD_E_NOMEM, "out of memory while writing the posture");
    *out = line;
    return DEFUPD_OK;
}
