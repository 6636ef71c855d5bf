/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as the posture of a host behind an air gap: what is taken keeps to its limits. */
#include "fuzz.h"

#include <string.h>

#include "publish/export.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct du_bytes bytes = { data, size };
    struct du_receipt receipt = { 0 };
    defupd_error err = { 0 };

    if (du_receipt_parse(&receipt, bytes, "fuzz", &err) != DEFUPD_OK) {
        FUZZ_CHECK(receipt.item == NULL && err.message[0] != '\0');
        FUZZ_CHECK(err.code == DEFUPD_E_RECEIPT || err.code == DEFUPD_E_NOMEM);
        return 0;
    }
    FUZZ_CHECK(receipt.count <= DU_RECEIPT_ITEMS_MAX);
    for (size_t i = 0; i < receipt.count; i++) {
        const struct du_receipt_item *item = &receipt.item[i];

        FUZZ_CHECK(du_name_ok(item->component) && item->version <= DU_VERSION_MAX);
        FUZZ_CHECK(du_receipt_find(&receipt, item->component) == item); /* each once */
    }
    du_receipt_free(&receipt);
    return 0;
}
