/* SPDX-License-Identifier: Apache-2.0 */
/* The small words of base/: times, durations, versions, names, paths, numbers, hex. What parses
 * must be what the rules say, and what can be written back must come back the same. */
#include "fuzz.h"

#include <string.h>

#include "base/bytes.h"
#include "base/name.h"
#include "base/when.h"

static void times(const char *text)
{
    char back[DU_TIME_TEXT];
    int64_t at;
    uint64_t seconds;

    if (du_time_parse(text, &at)) {
        du_time_format(back, at);
        FUZZ_CHECK(strcmp(back, text) == 0);
    }
    if (du_duration_parse(text, &seconds))
        FUZZ_CHECK(seconds <= UINT64_C(3660) * 86400);
}

static void numbers(const char *text)
{
    char back[32];
    uint64_t n;

    if (du_parse_u64(text, UINT64_MAX, &n)) {
        (void)snprintf(back, sizeof back, "%llu", (unsigned long long)n);
        FUZZ_CHECK(strcmp(back, text) == 0);
    }
    if (du_version_parse(text, &n))
        FUZZ_CHECK(n >= 1 && n <= DU_VERSION_MAX);
}

static void names(const char *text, size_t size)
{
    char name[DU_NAME_MAX + 1];
    unsigned char bytes[4];
    char digits[9];
    uint64_t version;

    if (du_component_parse(text, name, &version)) {
        FUZZ_CHECK(du_name_ok(name) && version <= DU_VERSION_MAX);
        FUZZ_CHECK(strncmp(text, name, strlen(name)) == 0);
    }
    if (du_path_why_bad(text) == NULL) {
        FUZZ_CHECK(size > 0 && size <= DU_PATH_MAX && text[0] != '/' && text[size - 1] != '/');
        FUZZ_CHECK(du_utf8_ok(text, size) && strstr(text, "//") == NULL);
        FUZZ_CHECK(strchr(text, '\\') == NULL && strchr(text, '\n') == NULL);
        FUZZ_CHECK(strcmp(text, "..") != 0 && strncmp(text, "../", 3) != 0);
        FUZZ_CHECK(strstr(text, "/../") == NULL);
    }
    if (du_unhex(bytes, sizeof bytes, text)) {
        du_hex(digits, bytes, sizeof bytes);
        FUZZ_CHECK(strlen(text) == 8 && strlen(digits) == 8);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    const size_t valid = du_utf8_prefix((const char *)data, size);

    FUZZ_CHECK(text != NULL);
    FUZZ_CHECK(valid <= size && du_utf8_ok((const char *)data, valid));
    FUZZ_CHECK((valid == size) == du_utf8_ok((const char *)data, size));
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    times(text);
    numbers(text);
    names(text, strlen(text));
    free(text);
    return 0;
}
