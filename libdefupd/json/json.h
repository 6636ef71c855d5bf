/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON, strictly read and canonically written. The only module that includes jansson.
 * Layer: uses base/.
 *
 * A du_json is a value. Getters return borrowed values that live as long as the document. Builders
 * return owned ones; setters and appenders take over ("steal") the value they are given, also when
 * they fail, and treat a NULL value as "no memory", so that chains need one check.
 */
#ifndef DU_JSON_JSON_H
#define DU_JSON_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"

struct du_json; /* opaque: jansson's json_t */

/*
 * Parse one document: an object or array, nothing after it, no duplicate keys, valid UTF-8, no NUL
 * inside strings, integers within +-2^53, at most 64 levels deep.
 * what     names the document in messages ("3.root.json")
 * Errors: DEFUPD_E_METADATA_FORMAT (message has line and column), DEFUPD_E_METADATA_LIMIT (depth),
 *         DEFUPD_E_NOMEM
 */
DEFUPD_MUST_CHECK defupd_code du_json_parse(struct du_json **out, struct du_bytes bytes,
                                            const char *what, defupd_error *err);
void du_json_free(struct du_json *json); /* drops one owned reference; NULL allowed */
void du_json_freep(struct du_json **json);
#define DU_AUTO_JSON __attribute__((cleanup(du_json_freep))) struct du_json

/* NULL (or false) when missing or of another type. */
const struct du_json *du_json_object(const struct du_json *object, const char *key);
const struct du_json *du_json_array(const struct du_json *object, const char *key);
const char *du_json_string(const struct du_json *object, const char *key);
bool du_json_int(const struct du_json *object, const char *key, int64_t *out);
bool du_json_bool(const struct du_json *object, const char *key, bool *out);
bool du_json_has(const struct du_json *object, const char *key);
bool du_json_is_object(const struct du_json *value);
bool du_json_is_array(const struct du_json *value);

size_t du_json_count(const struct du_json *array_or_object);
const struct du_json *du_json_at(const struct du_json *array, size_t index);
const char *du_json_text(const struct du_json *string); /* NULL when no string */

/* Walk an object: `for (void *i = du_json_first(o); i != NULL; i = du_json_next(o, i))`. */
void *du_json_first(const struct du_json *object);
void *du_json_next(const struct du_json *object, void *iter);
const char *du_json_iter_key(void *iter);
const struct du_json *du_json_iter_value(void *iter);

struct du_json *du_json_new_object(void);
struct du_json *du_json_new_array(void);
struct du_json *du_json_new_string(const char *text);
struct du_json *du_json_new_int(int64_t number);
struct du_json *du_json_new_bool(bool value);
struct du_json *du_json_copy(const struct du_json *value); /* deep */
bool du_json_set(struct du_json *object, const char *key, struct du_json *value);
bool du_json_append(struct du_json *array, struct du_json *value);
void du_json_remove(struct du_json *object, const char *key);

/* Canonical JSON as TUF signs it (OLPC): keys sorted bytewise, no white space, only '"' and '\\'
 * escaped, integers only. Errors: DEFUPD_E_METADATA_FORMAT for a fraction, DEFUPD_E_LIMIT,
 * DEFUPD_E_NOMEM. */
DEFUPD_MUST_CHECK defupd_code du_json_canonical(const struct du_json *value, struct du_buf *out,
                                                defupd_error *err);
/* For files that people may open: indented by one, keys in insertion order, a final newline. */
DEFUPD_MUST_CHECK defupd_code du_json_pretty(const struct du_json *value, struct du_buf *out,
                                             defupd_error *err);

void du_json_versions(char *out, size_t size); /* "jansson 2.14" */

#endif
