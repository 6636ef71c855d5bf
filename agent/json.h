/* SPDX-License-Identifier: Apache-2.0 */
/* Small helpers over jansson: values that may be missing, text that may not be clean. Only
 * what writes JSON includes this. */
#ifndef AG_JSON_H
#define AG_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

/* Add a member. False when memory is out (or the text is longer than can be); the value given to
 * ag_json_add() is taken in either case. */
bool ag_json_add(json_t *object, const char *key, json_t *value);
bool ag_json_text(json_t *object, const char *key, const char *text); /* NULL becomes "" */
bool ag_json_number(json_t *object, const char *key, uint64_t number);

/* Append to an array; the value is taken. */
bool ag_json_append(json_t *array, json_t *value);

/* One object with the members to be added by ag_json_*(), put into an array; NULL when memory is
 * out. Borrowed from the array. */
json_t *ag_json_row(json_t *array);

#endif
