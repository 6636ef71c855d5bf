/* SPDX-License-Identifier: Apache-2.0 */
/* A posture (docs/formats/reports.md) as the receipt of a host that cannot be asked. It comes from
 * the other side of an air gap, on a medium that others had in their hands. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "publish/export.h"

void du_receipt_free(struct du_receipt *receipt)
{
    free(receipt->item);
    *receipt = (struct du_receipt){ 0 };
}

const struct du_receipt_item *du_receipt_find(const struct du_receipt *receipt,
                                              const char *component)
{
    for (size_t i = 0; i < receipt->count; i++) {
        if (strcmp(receipt->item[i].component, component) == 0)
            return &receipt->item[i];
    }
    return NULL;
}

/* After these a host may need the whole again: what it has is not what a delta starts from, or the
 * delta that it was given is no good. */
static bool wants_whole(int64_t lasterror)
{
    static const defupd_code codes[] = {
        DEFUPD_E_NO_OBJECT,  DEFUPD_E_TREE,          DEFUPD_E_DELTA_FORMAT,
        DEFUPD_E_DELTA_BASE, DEFUPD_E_STORE_CORRUPT, DEFUPD_E_DAMAGED,
    };

    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        if (lasterror == (int64_t)defupd_code_unsigned(codes[i]))
            return true;
    }
    return false;
}

static defupd_code read_definition(struct du_receipt *receipt, const struct du_json *definition,
                                   const char *what, defupd_error *err)
{
    const char *name = du_json_string(definition, "name");
    const char *state = du_json_string(definition, "state");
    struct du_receipt_item *item = &receipt->item[receipt->count];
    int64_t version, lasterror = 0;

    if (name == NULL || !du_name_ok(name))
        return DU_FAIL(err, DEFUPD_E_RECEIPT, "%s: a definition has no name that a component has",
                       what);
    if (du_receipt_find(receipt, name) != NULL)
        return DU_FAIL(err, DEFUPD_E_RECEIPT, "%s: %s is listed twice", what, name);
    if (!du_json_int(definition, "version", &version) || version < 0 ||
        (uint64_t)version > DU_VERSION_MAX)
        return DU_FAIL(err, DEFUPD_E_RECEIPT, "%s: %s has no version", what, name);
    if (receipt->count == DU_RECEIPT_ITEMS_MAX)
        return DU_FAIL(err, DEFUPD_E_RECEIPT, "%s lists more than %d definitions", what,
                       DU_RECEIPT_ITEMS_MAX);
    (void)du_json_int(definition, "lasterror", &lasterror);
    *item = (struct du_receipt_item){ .version = (uint64_t)version,
                                      .disabled = state != NULL && strcmp(state, "disabled") == 0,
                                      .picky = state != NULL && strcmp(state, "quarantined") == 0,
                                      .damaged = wants_whole(lasterror) };
    memcpy(item->component, name, strlen(name) + 1);
    receipt->count++;
    return DEFUPD_OK;
}

static defupd_code read_engines(struct du_receipt *receipt, const struct du_json *engines,
                                const char *what, defupd_error *err)
{
    for (size_t i = 0; i < du_json_count(engines); i++) {
        const struct du_json *definitions = du_json_array(du_json_at(engines, i), "definitions");

        if (definitions == NULL)
            return DU_FAIL(err, DEFUPD_E_RECEIPT, "%s: an engine has no definitions", what);
        for (size_t k = 0; k < du_json_count(definitions); k++)
            DU_TRY(read_definition(receipt, du_json_at(definitions, k), what, err));
    }
    return DEFUPD_OK;
}

defupd_code du_receipt_parse(struct du_receipt *out, struct du_bytes bytes, const char *what,
                             defupd_error *err)
{
    DU_AUTO_RECEIPT receipt = { 0 };
    DU_AUTO_JSON *json = NULL;
    defupd_error why = { 0 };

    if (du_json_parse(&json, bytes, what, &why) != DEFUPD_OK) {
        if (why.code == DEFUPD_E_NOMEM)
            return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for %s", what);
        return DU_FAIL(err, DEFUPD_E_RECEIPT, "%s", why.message);
    }
    if (!du_json_is_object(json) || du_json_array(json, "engines") == NULL)
        return DU_FAIL(err, DEFUPD_E_RECEIPT, "%s: it has no engines", what);
    /* One more than there may be, for the one that is being read. */
    receipt.item = calloc(DU_RECEIPT_ITEMS_MAX + 1, sizeof *receipt.item);
    if (receipt.item == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for %s", what);
    DU_TRY(read_engines(&receipt, du_json_array(json, "engines"), what, err));
    *out = receipt;
    receipt = (struct du_receipt){ 0 };
    return DEFUPD_OK;
}
