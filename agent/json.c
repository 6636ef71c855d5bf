/* SPDX-License-Identifier: Apache-2.0 */
#include "json.h"

#include <stdlib.h>
#include <string.h>

#include "text.h"

bool ag_json_add(json_t *object, const char *key, json_t *value)
{
    return object != NULL && value != NULL ? json_object_set_new(object, key, value) == 0
                                           : (json_decref(value), false);
}

bool ag_json_text(json_t *object, const char *key, const char *text)
{
    char *clean = strdup(text != NULL ? text : "");
    bool done;

    if (clean == NULL)
        return false;
    ag_clean(clean); /* jansson takes valid UTF-8 only */
    done = ag_json_add(object, key, json_string(clean));
    free(clean);
    return done;
}

bool ag_json_number(json_t *object, const char *key, uint64_t number)
{
    /* JSON readers are safe up to 2^53 - 1; jansson's integers are signed. */
    return ag_json_add(object, key,
                       json_integer(number > INT64_MAX ? INT64_MAX : (json_int_t)number));
}

bool ag_json_append(json_t *array, json_t *value)
{
    return array != NULL && value != NULL ? json_array_append_new(array, value) == 0
                                          : (json_decref(value), false);
}

json_t *ag_json_row(json_t *array)
{
    json_t *row = json_object();

    return ag_json_append(array, row) ? row : NULL;
}
