/* SPDX-License-Identifier: Apache-2.0 */
/* Builders, and the two forms of writing. */
#include "json/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/scope.h"
#include "json/json_priv.h"

struct du_json *du_json_new_object(void)
{
    return du_json_wrap(json_object());
}

struct du_json *du_json_new_array(void)
{
    return du_json_wrap(json_array());
}

struct du_json *du_json_new_string(const char *text)
{
    return du_json_wrap(json_string(text));
}

struct du_json *du_json_new_int(int64_t number)
{
    return du_json_wrap(json_integer(number));
}

struct du_json *du_json_new_bool(bool value)
{
    return du_json_wrap(json_boolean(value));
}

struct du_json *du_json_copy(const struct du_json *value)
{
    return du_json_wrap(json_deep_copy(du_json_raw(value)));
}

bool du_json_set(struct du_json *object, const char *key, struct du_json *value)
{
    return json_object_set_new(du_json_raw(object), key, du_json_raw(value)) == 0;
}

bool du_json_append(struct du_json *array, struct du_json *value)
{
    return json_array_append_new(du_json_raw(array), du_json_raw(value)) == 0;
}

void du_json_remove(struct du_json *object, const char *key)
{
    (void)json_object_del(du_json_raw(object), key);
}

static defupd_code canonical(json_t *value, unsigned depth, struct du_buf *out, defupd_error *err);

/* OLPC's canonical JSON escapes these two and nothing else: control bytes and UTF-8 stand raw. */
static defupd_code canonical_text(const char *text, struct du_buf *out, defupd_error *err)
{
    DU_TRY(du_buf_add(out, "\"", 1, err));
    while (*text != '\0') {
        const size_t plain = strcspn(text, "\"\\");
        DU_TRY(du_buf_add(out, text, plain, err));
        text += plain;
        if (*text != '\0') {
            const char escaped[2] = { '\\', *text++ };
            DU_TRY(du_buf_add(out, escaped, 2, err));
        }
    }
    return du_buf_add(out, "\"", 1, err);
}

static int compare_keys(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static defupd_code canonical_object(json_t *object, unsigned depth, struct du_buf *out,
                                    defupd_error *err)
{
    const size_t count = json_object_size(object);
    DU_AUTO_FREE const char **keys = calloc(count + 1, sizeof *keys);
    const char *key;
    json_t *value;
    size_t n = 0;

    if (keys == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for %zu keys", count);
    json_object_foreach (object, key, value)
        keys[n++] = key;
    qsort(keys, n, sizeof *keys, compare_keys);
    DU_TRY(du_buf_add(out, "{", 1, err));
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            DU_TRY(du_buf_add(out, ",", 1, err));
        DU_TRY(canonical_text(keys[i], out, err));
        DU_TRY(du_buf_add(out, ":", 1, err));
        DU_TRY(canonical(json_object_get(object, keys[i]), depth + 1, out, err));
    }
    return du_buf_add(out, "}", 1, err);
}

static defupd_code canonical_array(json_t *array, unsigned depth, struct du_buf *out,
                                   defupd_error *err)
{
    size_t i;
    json_t *value;

    DU_TRY(du_buf_add(out, "[", 1, err));
    json_array_foreach (array, i, value) {
        if (i > 0)
            DU_TRY(du_buf_add(out, ",", 1, err));
        DU_TRY(canonical(value, depth + 1, out, err));
    }
    return du_buf_add(out, "]", 1, err);
}

static defupd_code canonical(json_t *value, unsigned depth, struct du_buf *out, defupd_error *err)
{
    if (depth > DU_JSON_DEPTH_MAX)
        return DU_FAIL(err, DEFUPD_E_LIMIT, "nested deeper than %d levels", DU_JSON_DEPTH_MAX);
    switch (json_typeof(value)) {
    case JSON_OBJECT: return canonical_object(value, depth, out, err);
    case JSON_ARRAY: return canonical_array(value, depth, out, err);
    case JSON_STRING: return canonical_text(json_string_value(value), out, err);
    case JSON_INTEGER:
        return du_buf_printf(out, err, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    case JSON_TRUE: return du_buf_add_text(out, "true", err);
    case JSON_FALSE: return du_buf_add_text(out, "false", err);
    case JSON_NULL: return du_buf_add_text(out, "null", err);
    case JSON_REAL: break;
    }
    return DU_FAIL(err, DEFUPD_E_METADATA_FORMAT, "a fraction, which has no canonical form");
}

defupd_code du_json_canonical(const struct du_json *value, struct du_buf *out, defupd_error *err)
{
    return canonical(du_json_raw(value), 0, out, err);
}

struct writing {
    struct du_buf *out;
    defupd_error *err;
};

static int add_piece(const char *bytes, size_t count, void *data)
{
    struct writing *w = data;

    return du_buf_add(w->out, bytes, count, w->err) == DEFUPD_OK ? 0 : -1;
}

defupd_code du_json_pretty(const struct du_json *value, struct du_buf *out, defupd_error *err)
{
    struct writing w = { out, err };

    err->code = DEFUPD_OK;
    if (json_dump_callback(du_json_raw(value), add_piece, &w, JSON_INDENT(1)) != 0)
        return err->code != DEFUPD_OK ? err->code
                                      : DU_FAIL(err, DEFUPD_E_NOMEM, "no memory to write JSON");
    return du_buf_add(out, "\n", 1, err);
}
