/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as policy.xml; what is taken can be written and read again, and used. */
#include "fuzz.h"

#include <string.h>

#include "policy/compile.h"
#include "policy/map.h"

/* One clean line each, and never a word of the schema: it agrees with the table, or the table is
 * wrong. */
static void check_findings(const struct ag_findings *findings)
{
    for (size_t i = 0; i < findings->count; i++) {
        const char *after;

        FUZZ_CHECK(strncmp(findings->line[i], "fuzz:", 5) == 0);
        FUZZ_CHECK(strpbrk(findings->line[i], "\n\r\t\x1b\x7f") == NULL);
        after = strchr(findings->line[i] + 5, ':');
        FUZZ_CHECK(after != NULL && strncmp(after, ": does not fit the schema", 25) != 0);
    }
}

static struct ag_policy *read_policy(const char *bytes, size_t count)
{
    struct ag_policy *policy = calloc(1, sizeof *policy);
    struct ag_findings findings = { 0 };
    defupd_error err = { 0 };
    defupd_code rc;

    FUZZ_CHECK(policy != NULL);
    rc = ag_policy_read(policy, "fuzz", bytes, count, &findings, &err);
    FUZZ_CHECK(rc == DEFUPD_OK || rc == DEFUPD_E_POLICY);
    FUZZ_CHECK((rc == DEFUPD_OK) == (findings.count == 0));
    check_findings(&findings);
    if (rc == DEFUPD_OK) {
        ag_policy_check(policy, &findings);
        check_findings(&findings);
    } else {
        ag_policy_free(policy);
        policy = NULL;
    }
    ag_findings_free(&findings);
    return policy;
}

static void use(const struct ag_policy *policy)
{
    defupd_client_options options = DEFUPD_CLIENT_OPTIONS_INIT;
    struct ag_force force = { .policy = (struct ag_policy *)(uintptr_t)policy,
                              .from = AG_FORCE_FILE,
                              .path = (char *)(uintptr_t) "/p.xml" };
    const struct ag_override none = { 0 };
    const struct ag_ways no_ways = { 0 };
    defupd_error err = { 0 };
    struct ag_map map;
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    FUZZ_CHECK(out != NULL);
    FUZZ_CHECK(ag_map_options(&map, &options, policy, &no_ways, NULL, &err) == DEFUPD_OK);
    ag_map_free(&map);
    ag_compile_print(out, policy);
    FUZZ_CHECK(ag_policy_show(out, &force, &none, true, &err) == DEFUPD_OK);
    FUZZ_CHECK(ag_policy_show(out, &force, &none, false, &err) == DEFUPD_OK);
    FUZZ_CHECK(fclose(out) == 0);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ag_policy *policy = read_policy((const char *)data, size), *again;
    char *first = NULL, *second = NULL;
    defupd_error err = { 0 };

    if (policy == NULL)
        return 0;
    use(policy);
    FUZZ_CHECK(ag_policy_write(&first, policy, "fuzz", &err) == DEFUPD_OK);
    again = read_policy(first, strlen(first));
    FUZZ_CHECK(again != NULL);
    FUZZ_CHECK(ag_policy_write(&second, again, "fuzz", &err) == DEFUPD_OK);
    FUZZ_CHECK(strcmp(first, second) == 0);
    free(first);
    free(second);
    ag_policy_free(policy);
    ag_policy_free(again);
    return 0;
}
