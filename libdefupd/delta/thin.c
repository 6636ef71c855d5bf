/* SPDX-License-Identifier: Apache-2.0 */
/* A copy has a price: two lengths, a seek, its wrong bytes. One that saves less than that goes, and
 * the copy before it may then reach further. */
#include "delta/make_priv.h"

#define COPY_BITS 13  /* lengths of literals and copy */
#define WRONG_BITS 10 /* of each wrong byte */

static unsigned log2_of(uint64_t value)
{
    return value == 0 ? 0 : 64 - (unsigned)__builtin_clzll(value);
}

struct thinner {
    const struct du_corpus *corpus;
    const unsigned char *bytes; /* of the content */
    unsigned rate;
    struct du_copies *out;
};

static int64_t worth(const struct thinner *t, const struct du_copy *copy, uint64_t expected)
{
    const uint64_t old_at = du_corpus_to_old(t->corpus, copy->from);
    const uint64_t seek = old_at > expected ? old_at - expected : expected - old_at;
    uint64_t wrong = 0;

    for (uint64_t i = 0; i < copy->count; i++)
        wrong += t->corpus->bytes[copy->from + i] != t->bytes[copy->at + i];
    return (int64_t)(copy->count * t->rate) - 16 * (int64_t)(wrong * WRONG_BITS) - 16 * COPY_BITS -
           20 * (int64_t)log2_of(seek);
}

/* Let a copy go on as long as right bytes outweigh wrong ones, at most to `end`. */
static void go_on(const struct thinner *t, struct du_copy *copy, uint64_t end)
{
    const uint64_t segment_end = du_corpus_segment_end(t->corpus, copy->from);
    uint64_t best = copy->count;
    int64_t score = 0, best_score = 0;

    for (uint64_t i = copy->count; copy->at + i < end && copy->from + i < segment_end; i++) {
        score += t->corpus->bytes[copy->from + i] == t->bytes[copy->at + i] ? 1 : -2;
        if (score > best_score) {
            best_score = score;
            best = i + 1;
        }
        if (score < -64)
            break;
    }
    copy->count = best;
}

static defupd_code thin_part(struct thinner *t, const struct du_content *content,
                             const struct du_copy *copy, size_t count, defupd_error *err)
{
    uint64_t expected = content->old_at;
    struct du_copy *last = NULL;

    for (size_t i = 0; i < count; i++) {
        if (worth(t, &copy[i], expected) <= 0)
            continue;
        if (last != NULL)
            go_on(t, last, copy[i].at);
        DU_TRY(du_copies_add(t->out, &copy[i], err));
        last = &t->out->item[t->out->count - 1];
        expected = du_corpus_to_old(t->corpus, copy[i].from) + copy[i].count;
    }
    if (last != NULL)
        go_on(t, last, content->size);
    return DEFUPD_OK;
}

defupd_code du_thin(struct du_copies *out, struct du_changes *changes,
                    const struct du_content *parts, const struct du_copies *all,
                    const struct du_corpus *corpus, const unsigned char *bytes, unsigned rate,
                    defupd_error *err)
{
    struct thinner t = { .corpus = corpus, .bytes = bytes, .rate = rate, .out = out };

    out->count = 0;
    for (size_t i = 0; i < changes->count; i++) {
        struct du_content *content = &changes->content[i];

        content->copy = out->count;
        DU_TRY(thin_part(&t, content, all->item + parts[i].copy, parts[i].copies, err));
        content->copies = out->count - content->copy;
        t.bytes += content->size;
    }
    return DEFUPD_OK;
}
