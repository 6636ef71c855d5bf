/* SPDX-License-Identifier: Apache-2.0 */
/* JSON, strictly read and canonically written. What parses has one canonical form, however often it
 * is written and read again, and never one longer than its text. */
#include "fuzz.h"

#include <string.h>

#include "base/scope.h"
#include "json/json.h"

/* Getters may be asked for anything. */
static void ask(const struct du_json *value, unsigned depth)
{
    int64_t n;
    bool yes;

    FUZZ_CHECK(depth <= 65); /* a scalar in the deepest container */
    if (du_json_is_object(value)) {
        size_t count = 0;
        for (void *i = du_json_first(value); i != NULL; i = du_json_next(value, i), count++) {
            const char *key = du_json_iter_key(i);
            FUZZ_CHECK(du_json_has(value, key));
            FUZZ_CHECK(!du_json_int(value, key, &n) || (n >= -(1LL << 53) && n <= 1LL << 53));
            (void)du_json_bool(value, key, &yes);
            (void)du_json_string(value, key);
            ask(du_json_iter_value(i), depth + 1);
        }
        FUZZ_CHECK(count == du_json_count(value));
    } else if (du_json_is_array(value)) {
        for (size_t i = 0; i < du_json_count(value); i++)
            ask(du_json_at(value, i), depth + 1);
    } else {
        FUZZ_CHECK(du_json_count(value) == 0 && du_json_object(value, "a") == NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    DU_AUTO_JSON *json = NULL;
    DU_AUTO_JSON *again = NULL;
    DU_AUTO_BUF first = DU_BUF(size);
    DU_AUTO_BUF pretty = DU_BUF(100 * size + 1000);
    DU_AUTO_BUF second = DU_BUF(size);
    defupd_error err = { 0 };
    defupd_code rc = du_json_parse(&json, (struct du_bytes){ data, size }, "input", &err);

    FUZZ_CHECK(rc == DEFUPD_OK || rc == DEFUPD_E_METADATA_FORMAT || rc == DEFUPD_E_METADATA_LIMIT);
    FUZZ_CHECK((rc == DEFUPD_OK) == (json != NULL));
    if (json == NULL)
        return 0;
    ask(json, 1);
    rc = du_json_canonical(json, &first, &err);
    FUZZ_CHECK(rc == DEFUPD_OK || rc == DEFUPD_E_METADATA_FORMAT);
    if (rc != DEFUPD_OK)
        return 0; /* a fraction */
    FUZZ_CHECK(du_json_pretty(json, &pretty, &err) == DEFUPD_OK);
    FUZZ_CHECK(du_json_parse(&again, du_buf_bytes(&pretty), "pretty", &err) == DEFUPD_OK);
    FUZZ_CHECK(du_json_canonical(again, &second, &err) == DEFUPD_OK);
    FUZZ_CHECK(first.len == second.len && memcmp(first.data, second.data, first.len) == 0);
    return 0;
}
