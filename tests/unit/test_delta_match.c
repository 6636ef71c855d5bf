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

/* Old and new are much alike everywhere, so that each place has many long likenesses and none that
 * is better: a search at each byte took minutes for 8 MiB, far beyond a test's limit. */
static void likeness_everywhere_does_not_take_for_ever(void)
{
    enum { SIZE = 8 << 20, WRONG = 2000 };
    static const char line[] = "0123456789abcdef the same line of a list\n";

    for (int lines = 0; lines < 2; lines++) {
        DU_AUTO_FREE unsigned char *old = calloc(1, SIZE);
        DU_AUTO_FREE unsigned char *new = calloc(1, SIZE);
        struct du_copies copies = { 0 };
        struct du_corpus corpus;
        defupd_error err = { 0 };
        uint64_t seed = 5, done = 0, wrong = 0;

        for (size_t i = 0; i < SIZE && lines == 1; i++)
            old[i] = new[i] = (unsigned char)line[i % (sizeof line - 1)];
        for (int i = 0; i < WRONG; i++) {
            old[dk_random(&seed) % SIZE] ^= (unsigned char)(1 + i % 255);
            new[dk_random(&seed) % SIZE] ^= (unsigned char)(1 + i % 255);
        }
        make_corpus(&corpus, old, SIZE);
        T_OK(du_match(&copies, &corpus, new, SIZE, 0, 0, NULL, &err), &err);
        for (size_t i = 0; i < copies.count; i++) {
            const struct du_copy *copy = &copies.item[i];

            T_CHECK(copy->at >= done && copy->count <= SIZE - copy->at);
            T_CHECK(copy->from <= SIZE && copy->count <= SIZE - copy->from);
            done = copy->at + copy->count;
            for (uint64_t k = 0; k < copy->count; k++)
                wrong += old[copy->from + k] != new[copy->at + k];
        }
        T_CHECK(done == SIZE && wrong <= 2 * WRONG);
        free(copies.item);
        corpus.segment = NULL;
        du_corpus_free(&corpus);
    }
}

static defupd_code stop(void *user, uint64_t bytes, defupd_error *err)
{
    (void)bytes;
    *(unsigned *)user += 1;
    return DU_FAIL(err, DEFUPD_E_CANCELLED, "stopped");
}

/* Also where there is a copy every few bytes. */
static void a_search_can_be_stopped(void)
{
    enum { SIZE = 3 << 20 };
    DU_AUTO_FREE unsigned char *old = malloc(SIZE);
    DU_AUTO_FREE unsigned char *new = malloc(SIZE);
    struct du_copies copies = { 0 };
    struct du_corpus corpus;
    defupd_error err = { 0 };
    uint64_t seed = 4;
    unsigned ticks = 0;

    fill_random(old, SIZE, 3);
    for (size_t i = 0; i < SIZE; i += 64)
        memcpy(new + i, old + dk_random(&seed) % (SIZE - 64), 64);
    make_corpus(&corpus, old, SIZE);
    T_FAILS(du_match(&copies, &corpus, new, SIZE, 0, 0, &(struct du_tick){ stop, &ticks }, &err),
            DEFUPD_E_CANCELLED, &err);
    T_CHECK(ticks == 1);
    free(copies.item);
    corpus.segment = NULL;
    du_corpus_free(&corpus);
}

int main(void)
{
    T_RUN(likeness_everywhere_does_not_take_for_ever);
    T_RUN(a_search_can_be_stopped);
    T_RUN(a_copy_goes_on_from_the_piece_before_but_not_from_another_content);
    return T_DONE();
}
