/* SPDX-License-Identifier: Apache-2.0 */
#include "report/seen.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "fail.h"
#include "json.h"
#include "text.h"

#define INTEGER_MAX ((INT64_C(1) << 53) - 1)
#define DEPTH 8 /* of objects and arrays in each other; a posture has 5 */

/* Where in which document, and what to tell about it. */
struct reader {
    const char *name;
    defupd_error *err;
};

static bool bad(const struct reader *r, const char *key, const char *what)
{
    (void)AG_FAIL(r->err, DEFUPD_E_INVALID, "%s: no posture: \"%s\" %s", r->name, key, what);
    return false;
}

/* What is missing leaves `out` empty: members came with time. */
static bool text(const struct reader *r, const json_t *object, const char *key, char *out,
                 size_t size)
{
    const json_t *value = json_object_get(object, key);

    out[0] = '\0';
    if (value == NULL)
        return true;
    if (!json_is_string(value))
        return bad(r, key, "is not a string");
    if (json_string_length(value) >= size)
        return bad(r, key, "is too long");
    memcpy(out, json_string_value(value), json_string_length(value) + 1);
    ag_clean(out);
    return true;
}

static bool integer(const struct reader *r, const json_t *object, const char *key, int64_t most,
                    int64_t *out)
{
    const json_t *value = json_object_get(object, key);

    *out = 0;
    if (value == NULL)
        return true;
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        json_integer_value(value) > most)
        return bad(r, key, "is not a number in its range");
    *out = json_integer_value(value);
    return true;
}

static bool unsigned32(const struct reader *r, const json_t *object, const char *key, uint32_t *out)
{
    int64_t value;

    if (!integer(r, object, key, UINT32_MAX, &value))
        return false;
    *out = (uint32_t)value;
    return true;
}

static bool unsigned64(const struct reader *r, const json_t *object, const char *key, uint64_t *out)
{
    int64_t value;

    if (!integer(r, object, key, INTEGER_MAX, &value))
        return false;
    *out = (uint64_t)value;
    return true;
}

static bool boolean(const struct reader *r, const json_t *object, const char *key, bool *out)
{
    const json_t *value = json_object_get(object, key);

    *out = json_is_true(value);
    return json_is_boolean(value) || bad(r, key, "is neither true nor false");
}

static bool moment(const struct reader *r, const json_t *object, const char *key, int64_t *out)
{
    return integer(r, object, key, INTEGER_MAX, out);
}

static bool definition(const struct reader *r, const json_t *row, struct ag_seen_definition *out)
{
    if (!json_is_object(row))
        return bad(r, "definitions", "holds something else than objects");
    return text(r, row, "name", out->name, sizeof out->name) &&
           (out->name[0] != '\0' || bad(r, "name", "is missing in a definition")) &&
           unsigned64(r, row, "version", &out->version) &&
           text(r, row, "label", out->label, sizeof out->label) &&
           moment(r, row, "timestamp", &out->timestamp) &&
           moment(r, row, "last_successful_update", &out->last_success) &&
           text(r, row, "state", out->state, sizeof out->state) &&
           unsigned32(r, row, "lasterror", &out->lasterror) &&
           text(r, row, "lasterror_name", out->lasterror_name, sizeof out->lasterror_name) &&
           unsigned64(r, row, "available", &out->available) &&
           unsigned32(r, row, "failures", &out->failures) &&
           moment(r, row, "last_attempt", &out->last_attempt) &&
           moment(r, row, "next_attempt", &out->next_attempt);
}

static bool add_definition(const struct reader *r, struct ag_seen *seen,
                           const struct ag_seen_definition *one)
{
    struct ag_seen_definition *grown;
    size_t at = seen->count;

    if (seen->count >= AG_SEEN_MAX) {
        (void)AG_FAIL(r->err, DEFUPD_E_LIMIT, "%s: more than %u definitions", r->name, AG_SEEN_MAX);
        return false;
    }
    grown = reallocarray(seen->definition, seen->count + 1, sizeof *grown);
    if (grown == NULL) {
        (void)AG_FAIL(r->err, DEFUPD_E_NOMEM, "out of memory while reading %s", r->name);
        return false;
    }
    seen->definition = grown;
    while (at > 0 && strcmp(grown[at - 1].name, one->name) > 0)
        at--;
    if (at > 0 && strcmp(grown[at - 1].name, one->name) == 0)
        return bad(r, one->name, "is there twice");
    memmove(grown + at + 1, grown + at, (seen->count - at) * sizeof *grown);
    grown[at] = *one;
    seen->count++;
    return true;
}

static bool engine(const struct reader *r, struct ag_seen *seen, const json_t *row)
{
    const json_t *definitions = json_object_get(row, "definitions");
    char name[AG_SEEN_TEXT + 1];
    bool enabled;

    if (!json_is_object(row) || !json_is_array(definitions))
        return bad(r, "engines", "holds something else than engines");
    if (!text(r, row, "name", name, sizeof name) || !boolean(r, row, "enabled", &enabled))
        return false;
    for (size_t i = 0; i < json_array_size(definitions); i++) {
        struct ag_seen_definition one = { .enabled = enabled };

        memcpy(one.engine, name, sizeof name);
        if (!definition(r, json_array_get(definitions, i), &one) || !add_definition(r, seen, &one))
            return false;
    }
    return true;
}

static bool relay(const struct reader *r, const json_t *doc, struct ag_relay_facts *out)
{
    const json_t *row = json_object_get(doc, "relay");

    if (row == NULL)
        return true;
    if (!json_is_object(row))
        return bad(r, "relay", "is not an object");
    out->there = true;
    for (size_t i = 0; i < AG_RELAY_NUMBERS; i++) {
        if (!moment(r, row, ag_relay_columns[i].key, &out->number[i]))
            return false;
    }
    return text(r, row, "mode", out->mode, sizeof out->mode) &&
           text(r, row, "source", out->source, sizeof out->source) &&
           unsigned32(r, row, "lasterror", &out->lasterror) &&
           text(r, row, "lasterror_name", out->lasterror_name, sizeof out->lasterror_name);
}

static bool document(const struct reader *r, struct ag_seen *seen, const json_t *doc)
{
    const json_t *engines = json_object_get(doc, "engines");

    if (!json_is_object(doc) || !json_is_array(engines))
        return bad(r, "engines", "is missing");
    if (!text(r, doc, "agent_uuid", seen->uuid, sizeof seen->uuid) ||
        !boolean(r, doc, "connected", &seen->connected) ||
        !text(r, doc, "connector_version", seen->agent_version, sizeof seen->agent_version) ||
        !boolean(r, doc, "running", &seen->running) || !moment(r, doc, "time", &seen->time) ||
        !moment(r, doc, "last_contact", &seen->last_contact) ||
        !moment(r, doc, "interval", &seen->interval_s) ||
        !unsigned64(r, doc, "generation", &seen->generation) ||
        !unsigned32(r, doc, "lasterror", &seen->lasterror) ||
        !text(r, doc, "lasterror_name", seen->lasterror_name, sizeof seen->lasterror_name) ||
        !relay(r, doc, &seen->relay))
        return false;
    for (size_t i = 0; i < json_array_size(engines); i++) {
        if (!engine(r, seen, json_array_get(engines, i)))
            return false;
    }
    return true;
}

/* The JSON reader works by recursion: what goes deeper than a posture does is not given to it. */
static bool is_shallow(const char *bytes, size_t count)
{
    bool quoted = false;
    int depth = 0;

    for (size_t i = 0; i < count; i++) {
        if (quoted && bytes[i] == '\\')
            i++;
        else if (bytes[i] == '"')
            quoted = !quoted;
        else if (!quoted && (bytes[i] == '[' || bytes[i] == '{') && ++depth > DEPTH)
            return false;
        else if (!quoted && (bytes[i] == ']' || bytes[i] == '}'))
            depth--;
    }
    return true;
}

defupd_code ag_seen_parse(struct ag_seen *seen, const char *name, const char *bytes, size_t count,
                          defupd_error *err)
{
    const struct reader r = { name, err };
    json_error_t why = { .text = "" };
    json_t *doc;
    bool done;

    *seen = (struct ag_seen){ 0 };
    if (count > AG_POSTURE_MAX)
        return AG_FAIL(err, DEFUPD_E_LIMIT, "%s: larger than %u bytes", name, AG_POSTURE_MAX);
    if (!is_shallow(bytes, count))
        return AG_FAIL(err, DEFUPD_E_INVALID, "%s: no posture: nested too deep", name);
    doc = json_loadb(bytes, count, JSON_REJECT_DUPLICATES, &why);
    if (doc == NULL)
        return AG_FAIL(err, DEFUPD_E_INVALID, "%s:%d: no posture: %s", name, why.line, why.text);
    done = document(&r, seen, doc);
    json_decref(doc);
    if (done)
        return DEFUPD_OK;
    ag_seen_free(seen);
    return err->code;
}

void ag_seen_free(struct ag_seen *seen)
{
    free(seen->definition);
    *seen = (struct ag_seen){ 0 };
}
