/* SPDX-License-Identifier: Apache-2.0 */
/* `doctor`: the way to each source, step by step, as a table and as JSON. */
#ifndef AG_SUPPORT_DOCTOR_H
#define AG_SUPPORT_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

#include <defupd/defupd.h>

struct ag_step {
    char *source, *name, *text;
    const char *advice; /* static */
    int32_t result;
    defupd_code code;
    uint64_t duration_ms;
};

struct ag_doctor {
    struct ag_step *step;
    size_t count;
    bool incomplete; /* some did not fit into memory */
};

/* Callback for defupd_client_doctor(); user is the ag_doctor. */
void ag_doctor_step(void *user, const defupd_step *step);
void ag_doctor_text(FILE *out, const struct ag_doctor *doctor);
/* "sources": [{"source", "steps": [...]}]. False when memory is out. */
bool ag_doctor_json(json_t *doc, const struct ag_doctor *doctor);
void ag_doctor_free(struct ag_doctor *doctor);

#endif
