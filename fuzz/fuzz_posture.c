/* SPDX-License-Identifier: Apache-2.0 */
/* Postures of other hosts, as cluster-check reads them: what is taken keeps to its limits, and what
 * monitoring makes of it is well-formed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "report/monitor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct ag_totals totals = { 0 };
    char *text = NULL;
    size_t count = 0;
    defupd_error err = { 0 };
    struct ag_seen seen;
    FILE *out;

    if (ag_seen_parse(&seen, "posture", (const char *)data, size, &err) != DEFUPD_OK)
        return 0;
    for (size_t i = 0; i < seen.count; i++) {
        const struct ag_seen_definition *d = &seen.definition[i];

        FUZZ_CHECK(d->name[0] != '\0' && strlen(d->name) < sizeof d->name && d->version >> 53 == 0);
        FUZZ_CHECK(i == 0 || strcmp(d[-1].name, d->name) < 0);
    }
    out = open_memstream(&text, &count);
    FUZZ_CHECK(out != NULL);
    (void)ag_nagios(out, &seen, 1795255200);
    FUZZ_CHECK(fflush(out) == 0);
    FUZZ_CHECK(count > 0 && memchr(text, '\n', count) == text + count - 1);
    ag_metrics(out, &seen, &totals);
    FUZZ_CHECK(fclose(out) == 0);
    free(text);
    ag_seen_free(&seen);
    return 0;
}
