/* SPDX-License-Identifier: Apache-2.0 */
/* Public keys and signatures as metadata states them: "KEYTYPE\nSCHEME\nVALUE". No input is
 * expected to verify anything. */
#include "fuzz.h"

#include <stdbool.h>
#include <string.h>

#include "base/scope.h"
#include "crypto/crypto.h"

static char *split(char *text)
{
    char *end = strchr(text, '\n');

    if (end == NULL)
        return NULL;
    *end = '\0';
    return end + 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const unsigned char message[] = "message";
    DU_AUTO_FREE char *text = malloc(size + 1);
    struct du_key *key = NULL, *again = NULL;
    defupd_error err = { 0 };
    bool known = false;
    char *scheme, *value;
    defupd_code rc;

    FUZZ_CHECK(text != NULL);
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    if ((scheme = split(text)) == NULL || (value = split(scheme)) == NULL)
        return 0;
    rc = du_key_parse(&key, &known, text, scheme, value, &err);
    FUZZ_CHECK(rc == DEFUPD_OK || (rc == DEFUPD_E_METADATA_FORMAT && known));
    FUZZ_CHECK((key != NULL) == (rc == DEFUPD_OK && known));
    if (key == NULL)
        return 0;
    FUZZ_CHECK(du_key_parse(&again, &known, text, scheme, value, &err) == DEFUPD_OK);
    FUZZ_CHECK(du_key_same(key, again) && du_key_kind(key) == du_key_kind(again));
    FUZZ_CHECK(!du_key_verify(key, (struct du_bytes){ message, sizeof message },
                              (struct du_bytes){ data, size }));
    FUZZ_CHECK(!du_key_verify(key, (struct du_bytes){ message, sizeof message },
                              (struct du_bytes){ data, size < 64 ? size : 64 }));
    du_key_free(key);
    du_key_free(again);
    return 0;
}
