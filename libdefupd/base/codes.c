/* SPDX-License-Identifier: Apache-2.0 */
/* Everything that is known of a code, from the one table. */
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* All words end to end, found by their place: a pointer to each would need a relocation each, which
 * is four times as long as the place and done anew in every process. */
static const struct words {
    char name_OK[sizeof "OK"], text_OK[sizeof "success"], advice_OK[sizeof ""];
#define DU_CODE(name, number, group, exit_code, text, advice) \
    char name_##name[sizeof #name], text_##name[sizeof text], advice_##name[sizeof advice];
#include "base/codes.def"
#undef DU_CODE
} words = {
    "OK",
    "success",
    "",
#define DU_CODE(name, number, group, exit_code, text, advice) #name, text, advice,
#include "base/codes.def"
#undef DU_CODE
};
_Static_assert(sizeof words <= UINT16_MAX, "a place fits into 16 bits");

struct code_row {
    int16_t number;
    uint8_t group, exit_code;
    uint16_t name, text, advice; /* places in `words` */
};

#define DU_CODE(name, number, group, exit_code, text, advice) \
    { number,                                                 \
      DEFUPD_GROUP_##group,                                   \
      exit_code,                                              \
      offsetof(struct words, name_##name),                    \
      offsetof(struct words, text_##name),                    \
      offsetof(struct words, advice_##name) },
static const struct code_row rows[] = { DU_CODE(OK, 0, NONE, 0, "success", "")
#include "base/codes.def"
};
#undef DU_CODE

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

static const char *word_at(uint16_t place)
{
    return (const char *)&words + place;
}

const char *defupd_code_text(defupd_code code)
{
    const struct code_row *row = find(code);

    return row != NULL ? word_at(row->text) : "unknown error";
}

const char *defupd_code_name(defupd_code code)
{
    const struct code_row *row = find(code);

    return row != NULL ? word_at(row->name) : "UNKNOWN";
}

const char *defupd_code_advice(defupd_code code)
{
    const struct code_row *row = find(code);

    return row != NULL ? word_at(row->advice) : "";
}

defupd_group defupd_code_group(defupd_code code)
{
    const struct code_row *row = find(code);

    return row != NULL ? (defupd_group)row->group : DEFUPD_GROUP_CALLER;
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
