/* SPDX-License-Identifier: Apache-2.0 */
/* Copies that the encoder finds: within their content, their corpus and their segment. */
#include "delta/make_priv.h"
#include "delta_kit.h"
#include "t.h"

#include <divsufsort.h>

/* A corpus of these bytes, as one segment at old position 0. */
static void make_corpus(struct du_corpus *corpus, const unsigned char *bytes, size_t count)
{
    static struct du_segment segment[1];
    size_t next = 0;

    *corpus = (struct du_corpus){ .count = count, .segment = segment, .segments = 1 };
    corpus->bytes = malloc(count + 1);
    corpus->suffix = malloc((count + 1) * sizeof *corpus->suffix);
    corpus->bucket = malloc(65537 * sizeof *corpus->bucket);
    if (corpus->bytes == NULL || corpus->suffix == NULL || corpus->bucket == NULL)
        abort();
    memcpy(corpus->bytes, bytes, count);
    T_CHECK(divsufsort(corpus->bytes, corpus->suffix, (saidx_t)count) == 0);
    for (size_t i = 0; i < count; i++) {
        const size_t at = (size_t)corpus->suffix[i];
        const size_t key = (size_t)bytes[at] << 8 | (at + 1 < count ? bytes[at + 1] : 0);

        while (next <= key)
            corpus->bucket[next++] = (uint32_t)i;
    }
    while (next <= 65536)
        corpus->bucket[next++] = (uint32_t)count;
}
