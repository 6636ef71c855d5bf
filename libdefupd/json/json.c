/* SPDX-License-Identifier: Apache-2.0 */
/* Reading and the getters. */
#include "json/json.h"

#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "json/json_priv.h"

/* Values in one document. jansson takes a few hundred bytes for the two of "{}", so the length of
 * the text alone would not bound the memory. */
#define CONTAINERS_MAX (256U * 1024)
#define INT_LIMIT (INT64_C(1) << 53)

/* Nesting and number of arrays and objects, before jansson makes them. Malformed text may be
 * counted wrongly; jansson refuses it afterwards. */
static defupd_code check_shape(struct du_bytes bytes, const char *what, defupd_error *err)
{
    unsigned depth = 0, containers = 0;
    bool in_string = false;

    for (size_t i = 0; i < bytes.len; i++) {
        const unsigned char c = bytes.data[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > DU_JSON_DEPTH_MAX)
                return DU_FAIL(err, DEFUPD_E_METADATA_LIMIT, "%s: nested deeper than %d levels",
                               what, DU_JSON_DEPTH_MAX);
            if (++containers > CONTAINERS_MAX)
                return DU_FAIL(err, DEFUPD_E_METADATA_LIMIT, "%s: more than %u objects and arrays",
                               what, CONTAINERS_MAX);
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        }
    }
    return DEFUPD_OK;
}

/* jansson takes any 64-bit integer; others, and JSON itself (RFC 8259, section 6), agree only on
 * those a double can hold. Recursion is bounded by check_shape(). */
static bool ints_in_range(json_t *value)
{
    const char *key;
    json_t *item;
    size_t i;

    if (json_is_integer(value)) {
        const json_int_t n = json_integer_value(value);
        return n >= -INT_LIMIT && n <= INT_LIMIT;
    }
    if (json_is_object(value)) {
        json_object_foreach (value, key, item) {
            if (!ints_in_range(item))
                return false;
        }
    }
    if (json_is_array(value)) {
        json_array_foreach (value, i, item) {
            if (!ints_in_range(item))
                return false;
        }
    }
    return true;
}

static json_t *load(struct du_bytes bytes, json_error_t *why)
{
    return json_loadb(bytes.data != NULL ? (const char *)bytes.data : "", bytes.len,
                      JSON_REJECT_DUPLICATES, why);
}

/* jansson often takes the lack of memory for a mistake in the text, or says nothing. What is
 * refused for its text is refused again. */
static bool lacks_memory(struct du_bytes bytes, const json_error_t *why)
{
    json_error_t again = { 0 };
    json_t *root;

    if (json_error_code(why) == json_error_out_of_memory || why->text[0] == '\0')
        return true;
    root = load(bytes, &again);
    json_decref(root);
    return root != NULL || again.text[0] == '\0' || strcmp(again.text, why->text) != 0;
}

defupd_code du_json_parse(struct du_json **out, struct du_bytes bytes, const char *what,
                          defupd_error *err)
{
    json_error_t why = { 0 };
    json_t *root;

    DU_TRY(check_shape(bytes, what, err));
    root = load(bytes, &why);
    if (root == NULL) {
        if (lacks_memory(bytes, &why))
            return DU_FAIL(err, DEFUPD_E_NOMEM, "%s: no memory", what);
        return DU_FAIL(err, DEFUPD_E_METADATA_FORMAT, "%s:%d:%d: %s", what, why.line, why.column,
                       why.text);
    }
    if (!ints_in_range(root)) {
        json_decref(root);
        return DU_FAIL(err, DEFUPD_E_METADATA_FORMAT, "%s: an integer beyond 2^53", what);
    }
    *out = du_json_wrap(root);
    return DEFUPD_OK;
}

void du_json_free(struct du_json *json)
{
    json_decref(du_json_raw(json));
}

void du_json_freep(struct du_json **json)
{
    du_json_free(*json);
    *json = NULL;
}

const struct du_json *du_json_object(const struct du_json *object, const char *key)
{
    json_t *value = json_object_get(du_json_raw(object), key);

    return json_is_object(value) ? du_json_wrap(value) : NULL;
}

const struct du_json *du_json_array(const struct du_json *object, const char *key)
{
    json_t *value = json_object_get(du_json_raw(object), key);

    return json_is_array(value) ? du_json_wrap(value) : NULL;
}

const char *du_json_string(const struct du_json *object, const char *key)
{
    return json_string_value(json_object_get(du_json_raw(object), key));
}

bool du_json_int(const struct du_json *object, const char *key, int64_t *out)
{
    json_t *value = json_object_get(du_json_raw(object), key);

    if (!json_is_integer(value))
        return false;
    *out = json_integer_value(value);
    return true;
}

bool du_json_bool(const struct du_json *object, const char *key, bool *out)
{
    json_t *value = json_object_get(du_json_raw(object), key);

    if (!json_is_boolean(value))
        return false;
    *out = json_is_true(value);
    return true;
}

bool du_json_has(const struct du_json *object, const char *key)
{
    return json_object_get(du_json_raw(object), key) != NULL;
}

bool du_json_is_object(const struct du_json *value)
{
    return json_is_object(du_json_raw(value));
}

bool du_json_is_array(const struct du_json *value)
{
    return json_is_array(du_json_raw(value));
}

size_t du_json_count(const struct du_json *array_or_object)
{
    json_t *value = du_json_raw(array_or_object);

    return json_is_object(value) ? json_object_size(value) : json_array_size(value);
}

const struct du_json *du_json_at(const struct du_json *array, size_t index)
{
    return du_json_wrap(json_array_get(du_json_raw(array), index));
}

const char *du_json_text(const struct du_json *string)
{
    return json_string_value(du_json_raw(string));
}

void *du_json_first(const struct du_json *object)
{
    return json_object_iter(du_json_raw(object));
}

void *du_json_next(const struct du_json *object, void *iter)
{
    return json_object_iter_next(du_json_raw(object), iter);
}

const char *du_json_iter_key(void *iter)
{
    return json_object_iter_key(iter);
}

const struct du_json *du_json_iter_value(void *iter)
{
    return du_json_wrap(json_object_iter_value(iter));
}

void du_json_versions(char *out, size_t size)
{
    (void)snprintf(out, size, "jansson %s", jansson_version_str());
}
