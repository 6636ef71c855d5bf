/* SPDX-License-Identifier: Apache-2.0 */
/* What fetch/ reads itself of what others wrote: lines of an answer's header, and revocation lists
 * beside a certificate. The first byte says which; the rest is lines, or a certificate (PEM), a NUL
 * and lists (PEM). */
#include "fuzz.h"

#include <string.h>

#include "fetch/fetch_priv.h"

static void header(const char *text, size_t size)
{
    struct du_answer answer;

    du_answer_init(&answer);
    for (const char *end = text + size; text < end;) {
        const char *line_end = memchr(text, '\n', (size_t)(end - text));
        const size_t length =
            line_end != NULL ? (size_t)(line_end - text) + 1 : (size_t)(end - text);

        du_answer_line(&answer, text, length);
        text += length;
    }
    FUZZ_CHECK(memchr(answer.etag, '\0', sizeof answer.etag) != NULL);
    FUZZ_CHECK(memchr(answer.retry, '\0', sizeof answer.retry) != NULL);
    FUZZ_CHECK(memchr(answer.coding, '\0', sizeof answer.coding) != NULL);
    FUZZ_CHECK(!answer.transfer_coded || answer.coded);
    FUZZ_CHECK(du_answer_retry_after(&answer, 1795000000) <= DU_FETCH_RETRY_AFTER_MAX_S);
}

static void lists(const char *text, size_t size)
{
    const char *end = memchr(text, '\0', size);
    struct du_bytes rest;

    if (end == NULL)
        return;
    rest = (struct du_bytes){ (const unsigned char *)end + 1, size - (size_t)(end - text) - 1 };
    /* Nothing is on no list. */
    FUZZ_CHECK(!du_crl_has((struct du_bytes){ rest.data, 0 }, text));
    (void)du_crl_has(rest, text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy; /* exactly as long, so that a step too far is seen */

    if (size < 2)
        return 0;
    copy = malloc(size - 1);
    FUZZ_CHECK(copy != NULL);
    memcpy(copy, data + 1, size - 1);
    if (data[0] == 'h')
        header(copy, size - 1);
    else
        lists(copy, size - 1);
    free(copy);
    return 0;
}
