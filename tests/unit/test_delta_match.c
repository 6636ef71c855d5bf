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

static void fill_random(unsigned char *bytes, size_t count, uint64_t seed)
{
    for (size_t i = 0; i < count; i++)
        bytes[i] = (unsigned char)(dk_random(&seed) >> 32);
}

static bool is_copy(const struct du_copy *copy, uint64_t at, uint64_t from, uint64_t count)
{
    return copy->at == at && copy->from == from && copy->count == count;
}

/* A content's second piece begins with a copy that would go on from the last one of the content
 * before, which happens to be as long as the first piece. */
static void a_copy_goes_on_from_the_piece_before_but_not_from_another_content(void)
{
    unsigned char old[1000];

    fill_random(old, sizeof old, 7);
    for (int same = 0; same < 2; same++) {
        struct du_copies copies = { 0 };
        struct du_corpus corpus;
        defupd_error err = { 0 };

        make_corpus(&corpus, old, sizeof old);
        T_OK(du_copies_add(&copies, &(struct du_copy){ 0, 0, 500 }, &err), &err);
        copies.first = same == 1 ? 0 : 1;
        T_OK(du_match(&copies, &corpus, old + 500, 300, 500, 500, NULL, &err), &err);
        T_CHECK(copies.count == (same == 1 ? 1 : 2));
        T_CHECK(is_copy(&copies.item[0], 0, 0, same == 1 ? 800 : 500));
        T_CHECK(same == 1 || is_copy(&copies.item[1], 500, 500, 300));
        free(copies.item);
        corpus.segment = NULL;
        du_corpus_free(&corpus);
    }
}

int main(void)
{
    T_RUN(a_copy_goes_on_from_the_piece_before_but_not_from_another_content);
    return T_DONE();
}
