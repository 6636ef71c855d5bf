/* SPDX-License-Identifier: Apache-2.0 */
/* Results and events for programs. Times are Unix seconds, 0 for never; codes are the negative
 * numbers of docs/errors.md. Events follow docs/formats/reports.md. */
#include <stdlib.h>
#include <string.h>

#include "fail.h"
#include "json.h"
#include "report/event.h"
#include "result.h"
#include "text.h"
#include "words.h"

static bool add_code(json_t *object, const char *key, int32_t code)
{
    return ag_json_add(object, key, json_integer(code));
}

static bool add_flags(json_t *object, const char *key, const struct ag_flag *flags, uint32_t bits)
{
    json_t *array = json_array();

    if (!ag_json_add(object, key, array))
        return false;
    for (; flags->bit != 0; flags++) {
        if ((bits & flags->bit) != 0 && !ag_json_append(array, json_string(flags->name)))
            return false;
    }
    return true;
}

static bool add_item(json_t *array, const defupd_report_item *item)
{
    json_t *row = ag_json_row(array);

    return ag_json_text(row, "component", item->component) &&
           ag_json_text(row, "action", ag_action_name(item->action)) &&
           ag_json_text(row, "progress", ag_progress_name(item->progress)) &&
           ag_json_text(row, "reason", ag_reason_name(item->reason)) &&
           add_code(row, "code", item->code) &&
           ag_json_text(row, "name", defupd_code_name((defupd_code)item->code)) &&
           ag_json_text(row, "text", item->text) &&
           ag_json_number(row, "from", item->from_version) &&
           ag_json_text(row, "from_label", item->from_label) &&
           ag_json_number(row, "to", item->to_version) &&
           ag_json_text(row, "to_label", item->to_label) &&
           ag_json_number(row, "newest", item->newest) &&
           ag_json_number(row, "bytes", item->bytes) &&
           ag_json_number(row, "full_bytes", item->full_bytes) &&
           ag_json_number(row, "objects", item->objects) && ag_json_text(row, "via", item->via) &&
           ag_json_number(row, "base", item->base_version) &&
           ag_json_number(row, "through", item->through_version) &&
           ag_json_text(row, "how", item->how);
}

static bool add_report(json_t *doc, const struct ag_result *result)
{
    json_t *array = json_array();
    const defupd_report_item *item;

    if (!ag_json_add(doc, "components", array) ||
        !ag_json_number(doc, "generation", defupd_report_generation(result->report)) ||
        !ag_json_text(doc, "source", defupd_report_source(result->report)) ||
        !ag_json_number(doc, "fetched", defupd_report_fetched(result->report)))
        return false;
    for (uint32_t i = 0; (item = ag_item(result, i)) != NULL; i++) {
        if (!add_item(array, item))
            return false;
    }
    return true;
}

static bool add_component(json_t *array, const defupd_component_status *item)
{
    json_t *row = ag_json_row(array);

    return ag_json_text(row, "component", item->name) &&
           ag_json_text(row, "state", defupd_state_name((defupd_state)item->state)) &&
           ag_json_number(row, "version", item->version) &&
           ag_json_text(row, "label", item->label) &&
           ag_json_number(row, "available", item->available) &&
           add_flags(row, "holds", ag_hold_flags, item->holds) &&
           ag_json_number(row, "pin_version", item->pin_version) &&
           ag_json_number(row, "skip_version", item->skip_version) &&
           add_code(row, "lasterror", item->last_error) &&
           ag_json_text(row, "lasterror_name", defupd_code_name((defupd_code)item->last_error)) &&
           ag_json_text(row, "lasterror_text", item->error_text) &&
           ag_json_text(row, "advice", defupd_code_advice((defupd_code)item->last_error)) &&
           ag_json_number(row, "failures", item->failures) &&
           ag_json_text(row, "notice", item->notice) &&
           ag_json_number(row, "published", (uint64_t)item->published) &&
           ag_json_number(row, "installed", (uint64_t)item->installed) &&
           ag_json_number(row, "last_attempt", (uint64_t)item->last_attempt) &&
           ag_json_number(row, "last_success", (uint64_t)item->last_success) &&
           ag_json_number(row, "next_attempt", (uint64_t)item->next_attempt) &&
           ag_json_number(row, "size", item->size) && ag_json_number(row, "files", item->files) &&
           ag_json_text(row, "tree", item->tree) && ag_json_text(row, "path", item->path) &&
           ag_json_text(row, "source", item->source) &&
           ag_json_text(row, "path_text", item->path_text);
}

/* Why the last attempt could not begin; null when it did. */
static bool add_unable(json_t *store, const struct ag_unable *unable)
{
    json_t *object;

    if (unable->code == DEFUPD_OK)
        return ag_json_add(store, "unable", json_null());
    object = json_object();
    return ag_json_add(store, "unable", object) &&
           ag_json_number(object, "time", (uint64_t)unable->time) &&
           add_code(object, "code", unable->code) &&
           ag_json_text(object, "name", defupd_code_name(unable->code)) &&
           ag_json_text(object, "text", unable->text);
}

static bool add_status(json_t *doc, const defupd_status *status, const struct ag_unable *unable)
{
    const defupd_store_status *store = defupd_status_store(status);
    const defupd_component_status *item;
    json_t *array = json_array(), *object = json_object();

    if (!ag_json_add(doc, "components", array)) {
        json_decref(object);
        return false;
    }
    if (!ag_json_add(doc, "store", object) ||
        !ag_json_text(object, "state_dir", store->state_dir) ||
        !ag_json_text(object, "uuid", store->uuid) ||
        !ag_json_number(object, "generation", store->generation) ||
        !ag_json_number(object, "parent", store->parent) ||
        !ag_json_text(object, "reason", store->reason) ||
        !ag_json_number(object, "activated", (uint64_t)store->activated) ||
        !add_code(object, "lasterror", store->last_error) || !add_unable(object, unable) ||
        !ag_json_number(object, "last_contact", (uint64_t)store->last_contact) ||
        !ag_json_number(object, "root_version", store->root_version) ||
        !ag_json_number(object, "timestamp_expires", (uint64_t)store->timestamp_expires) ||
        !ag_json_number(object, "trial_left", store->trial_s) ||
        !ag_json_number(object, "trial_starts_left", store->trial_starts) ||
        !ag_json_number(object, "busy_pid", store->busy_pid))
        return false;
    for (uint32_t i = 0; (item = defupd_status_at(status, i)) != NULL; i++) {
        if (!add_component(array, item))
            return false;
    }
    return true;
}

static bool add_agent(json_t *doc, const struct ag_agent *agent)
{
    json_t *object = json_object();

    return ag_json_add(doc, "agent", object) &&
           ag_json_add(object, "running", json_boolean(agent->running)) &&
           ag_json_number(object, "pid", (uint64_t)agent->pid) &&
           ag_json_text(object, "doing", agent->doing) &&
           ag_json_number(object, "next_poll", (uint64_t)agent->next_poll) &&
           ag_json_number(object, "failures", (uint64_t)agent->failures) &&
           ag_json_text(object, "policy_error", agent->policy_error);
}

static bool add_relay(json_t *doc, const struct ag_relay_facts *relay)
{
    json_t *object;

    if (!relay->there)
        return true;
    object = json_object();
    if (!ag_json_add(doc, "relay", object) || !ag_json_text(object, "mode", relay->mode) ||
        !ag_json_text(object, "source", relay->source) ||
        !add_code(object, "lasterror", (int32_t)relay->lasterror) ||
        !ag_json_text(object, "lasterror_text", relay->lasterror_text))
        return false;
    for (size_t i = 0; i < AG_RELAY_NUMBERS; i++) {
        if (!ag_json_number(object, ag_relay_columns[i].key, (uint64_t)relay->number[i]))
            return false;
    }
    return true;
}

static bool add_listing(json_t *doc, const defupd_listing *listing)
{
    json_t *array = json_array();
    const defupd_release *item;

    if (!ag_json_add(doc, "releases", array))
        return false;
    for (uint32_t i = 0; (item = defupd_listing_at(listing, i)) != NULL; i++) {
        json_t *row = ag_json_row(array);

        if (!ag_json_text(row, "component", item->component) ||
            !ag_json_number(row, "version", item->version) ||
            !ag_json_text(row, "label", item->label) ||
            !ag_json_number(row, "published", (uint64_t)item->published) ||
            !ag_json_number(row, "size", item->size) ||
            !ag_json_number(row, "files", item->files) ||
            !ag_json_number(row, "full_bytes", item->full_bytes) ||
            !add_flags(row, "flags", ag_release_flags, item->flags) ||
            !ag_json_text(row, "note", item->note))
            return false;
    }
    return true;
}

static bool add_verify(json_t *doc, const struct ag_result *result)
{
    json_t *array = json_array();

    if (!ag_json_add(doc, "damaged", array) || !ag_json_number(doc, "files", result->files) ||
        !ag_json_number(doc, "damaged_count", result->damage_count) ||
        !ag_json_number(doc, "repaired_count", result->repaired_count))
        return false;
    for (size_t i = 0; i < result->damage_kept; i++) {
        const struct ag_damage *damage = &result->damage[i];
        json_t *row = ag_json_row(array);

        if (!ag_json_text(row, "component", damage->component) ||
            !ag_json_number(row, "version", damage->version) ||
            !ag_json_text(row, "path", damage->path) || !ag_json_text(row, "what", damage->what) ||
            !ag_json_add(row, "repaired", json_boolean(damage->repaired)))
            return false;
    }
    return true;
}

static bool add_roles(json_t *doc, const struct ag_result *result)
{
    json_t *array = json_array();

    if (!ag_json_add(doc, "roles", array))
        return false;
    for (size_t i = 0; i < result->role_count; i++) {
        const struct ag_role *role = &result->roles[i];
        json_t *row = ag_json_row(array), *keys = json_array();

        if (!ag_json_add(row, "keys", keys) || !ag_json_text(row, "role", role->name) ||
            !ag_json_number(row, "version", role->version) ||
            !ag_json_number(row, "expires", (uint64_t)role->expires) ||
            !ag_json_number(row, "threshold", role->threshold))
            return false;
        for (const char *key = role->keyids; *key != '\0'; key += strspn(key, " ")) {
            const size_t length = strcspn(key, " ");

            if (!ag_json_append(keys, json_stringn(key, length)))
                return false;
            key += length;
        }
    }
    return true;
}

static bool add_version(json_t *doc)
{
    char libraries[512] = "";

    defupd_version_details(libraries, sizeof libraries);
    return ag_json_text(doc, "version", defupd_version()) &&
           ag_json_text(doc, "libraries", libraries);
}

/* What the command has beyond success and failure. */
static bool add_parts(json_t *doc, const struct ag_result *result)
{
    const enum ag_command_id id = result->args->command->id;

    if (id == AG_CMD_VERSION)
        return add_version(doc);
    if (id == AG_CMD_VERIFY)
        return add_verify(doc, result);
    if (id == AG_CMD_TRUST && !result->args->trust_reset)
        return add_roles(doc, result);
    if (id == AG_CMD_WHY)
        return result->why.status == NULL || ag_why_json(doc, &result->why);
    if (id == AG_CMD_DOCTOR)
        return ag_doctor_json(doc, &result->doctor);
    if (id == AG_CMD_DELIVER)
        return ag_json_number(doc, "sent", result->delivery.sent) &&
               ag_json_number(doc, "dropped", result->delivery.dropped) &&
               ag_json_number(doc, "left", result->delivery.left) &&
               ag_json_number(doc, "next", (uint64_t)result->delivery.next);
    if (id == AG_CMD_CANCEL)
        return ag_json_number(doc, "pid", result->pid);
    if (id == AG_CMD_CLEAN)
        return ag_json_number(doc, "freed", result->freed);
    return (result->report == NULL || add_report(doc, result)) &&
           (result->status == NULL ||
            (add_status(doc, result->status, &result->unable) && add_agent(doc, &result->agent) &&
             add_relay(doc, &result->relay) &&
             ag_json_text(doc, "policy_error", result->policy_error))) &&
           (result->listing == NULL || add_listing(doc, result->listing));
}

static bool add_outcome(json_t *doc, const struct ag_args *args, defupd_code code,
                        const char *message, int exit_code)
{
    return ag_json_text(doc, "command", args->command != NULL ? args->command->name : "") &&
           add_code(doc, "code", code) && ag_json_text(doc, "name", defupd_code_name(code)) &&
           ag_json_text(doc, "text", code != DEFUPD_OK ? message : "") &&
           ag_json_text(doc, "advice", defupd_code_advice(code)) &&
           ag_json_add(doc, "exit", json_integer(exit_code));
}

/* As a document, or as the line that ends a stream. Takes `doc`. False: no memory. */
static bool print_doc(FILE *out, const struct ag_args *args, json_t *doc, bool done)
{
    const bool streams = args->command != NULL && (args->command->traits & AG_CMD_STREAMS) != 0;
    json_t *whole = doc;
    char *text = NULL;

    if (done && streams) {
        whole = json_object();
        done = ag_json_add(whole, "result", doc); /* takes doc in either case */
    }
    if (done)
        text = json_dumps(whole, streams ? JSON_COMPACT : JSON_INDENT(2));
    json_decref(whole);
    if (text == NULL)
        return false;
    (void)fprintf(out, "%s\n", text);
    free(text);
    return true;
}

defupd_code ag_json_result(FILE *out, const struct ag_result *result, defupd_error *err)
{
    json_t *doc = json_object();
    const bool done =
        add_outcome(doc, result->args, result->code, result->err.message, result->exit_code) &&
        add_parts(doc, result);

    if (!print_doc(out, result->args, doc, done))
        return AG_FAIL(err, DEFUPD_E_NOMEM, "out of memory while writing the result");
    return DEFUPD_OK;
}

void ag_json_wrong_use(FILE *out, const struct ag_args *args, const defupd_error *err)
{
    json_t *doc = json_object();
    const bool done = add_outcome(doc, args, err->code, err->message, defupd_code_exit(err->code));

    (void)print_doc(out, args, doc, done); /* without memory standard error still tells it */
}

void ag_json_event(FILE *out, const defupd_event *event, int64_t now)
{
    json_t *row = ag_event_json(event, now);
    char *text = row != NULL ? json_dumps(row, JSON_COMPACT) : NULL;

    if (text != NULL) { /* without memory the event is lost; the result still comes */
        (void)fprintf(out, "%s\n", text);
        (void)fflush(out);
    }
    free(text);
    json_decref(row);
}
