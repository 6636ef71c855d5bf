/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of json/. */
#ifndef DU_JSON_JSON_PRIV_H
#define DU_JSON_JSON_PRIV_H

#include <stdint.h>

#include <jansson.h>

#include "json/json.h"

#define DU_JSON_DEPTH_MAX 64

/* A du_json is a json_t. jansson counts references inside its values, so it has no const ones. */
static inline json_t *du_json_raw(const struct du_json *value)
{
    return (json_t *)(uintptr_t)value;
}

static inline struct du_json *du_json_wrap(json_t *value)
{
    return (struct du_json *)value;
}

#endif
