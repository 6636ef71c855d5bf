/* SPDX-License-Identifier: Apache-2.0 */
/* Everything that is known of a code, from the one table. */
#include <stddef.h>

#include "base/err.h"

struct code_row {
    int number;
    const char *name;
    defupd_group group;
    int exit_code;
    const char *text;
    const char *advice;
};

static const struct code_row rows[] = {
    { 0, "OK", DEFUPD_GROUP_NONE, 0, "success", "" },
#define DU_CODE(name, number, group, exit_code, text, advice) \
    { number, #name, DEFUPD_GROUP_##group, exit_code, text, advice },
#include "base/codes.def"
#undef DU_CODE
};

/* The header is written for people, the table for programs: neither may drift. */
#define DU_CODE(name, number, group, exit_code, text, advice) \
    _Static_assert((int)DEFUPD_E_##name == (number), "error.h and codes.def differ: " #name);
#include "base/codes.def"
#undef DU_CODE

static const struct code_row *find(defupd_code code)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].number == (int)code)
            return &rows[i];
    }
    return NULL;
}

const char *defupd_code_text(defupd_code code)
{
    const struct code_row *row = find(code);

    return row != NULL ? row->text : "unknown error";
}

const char *defupd_code_name(defupd_code code)
{
    const struct code_row *row = find(code);

    return row != NULL ? row->name : "UNKNOWN";
}

const char *defupd_code_advice(defupd_code code)
{
    const struct code_row *row = find(code);

    return row != NULL ? row->advice : "";
}

defupd_group defupd_code_group(defupd_code code)
{
    const struct code_row *row = find(code);

    return row != NULL ? row->group : DEFUPD_GROUP_CALLER;
}

int defupd_code_exit(defupd_code code)
{
    const struct code_row *row = find(code);

    return row != NULL ? row->exit_code : 70;
}

uint32_t defupd_code_unsigned(defupd_code code)
{
    return (uint32_t)(int32_t)code;
}

int defupd_code_at(unsigned index)
{
    return index < sizeof rows / sizeof rows[0] ? rows[index].number : 1;
}

bool du_code_next_source(defupd_code code)
{
    const defupd_group group = defupd_code_group(code);

    /* -21xx with "try later" is one source's state: another may be at hand now. */
    return group == DEFUPD_GROUP_SOURCE ||
           (group == DEFUPD_GROUP_LATER && (int)code <= -2100 && (int)code > -2200);
}
