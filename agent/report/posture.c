/* SPDX-License-Identifier: Apache-2.0 */
/* The posture: what monitoring and admission control ask an endpoint. */
#include "report/report.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "fail.h"
#include "json.h"

static bool definition(json_t *array, const defupd_component_status *item)
{
    json_t *row = ag_json_row(array);

    return ag_json_text(row, "name", item->name) && ag_json_number(row, "version", item->version) &&
           ag_json_text(row, "label", item->label) &&
           ag_json_number(row, "timestamp", (uint64_t)item->published) &&
           ag_json_number(row, "last_successful_update", (uint64_t)item->last_success) &&
           ag_json_text(row, "state", defupd_state_name((defupd_state)item->state)) &&
           ag_json_number(row, "lasterror", defupd_code_unsigned((defupd_code)item->last_error));
}

/* Without a policy that says otherwise, every component is its own engine. */
static bool engine(json_t *engines, const defupd_component_status *item)
{
    json_t *row = ag_json_row(engines), *definitions = json_array();

    if (!ag_json_text(row, "name", item->name) ||
        !ag_json_add(row, "enabled", json_boolean(item->state != DEFUPD_STATE_DISABLED))) {
        json_decref(definitions);
        return false;
    }
    return ag_json_add(row, "definitions", definitions) && definition(definitions, item);
}

static bool document(json_t *doc, const defupd_status *status, int64_t now, int64_t interval_s)
{
    const defupd_store_status *store = defupd_status_store(status);
    /* A contact in the future says that the clock went back: no contact to count on. */
    const bool connected = store->last_contact > 0 && store->last_contact <= now &&
                           now - store->last_contact < 2 * interval_s;
    const defupd_component_status *item;
    json_t *engines = json_array();

    if (!ag_json_text(doc, "agent_uuid", store->uuid) ||
        !ag_json_add(doc, "connected", json_boolean(connected)) ||
        !ag_json_text(doc, "connector_version", defupd_version()) ||
        !ag_json_add(doc, "running", json_boolean(store->busy_pid != 0))) {
        json_decref(engines);
        return false;
    }
    if (!ag_json_add(doc, "engines", engines))
        return false;
    for (uint32_t i = 0; (item = defupd_status_at(status, i)) != NULL; i++) {
        if (!engine(engines, item))
            return false;
    }
    return true;
}

defupd_code ag_posture(char **out, const defupd_status *status, int64_t now, int64_t interval_s,
                       defupd_error *err)
{
    json_t *doc = json_object();
    char *text = NULL, *line = NULL;

    if (document(doc, status, now, interval_s))
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
