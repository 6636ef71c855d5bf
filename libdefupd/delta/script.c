/* SPDX-License-Identifier: Apache-2.0 */
/* Copies and literals as the streams of docs/formats/delta.md. */
#include <string.h>

#include "delta/make_priv.h"

#define WORD 4

struct writer {
    struct du_buf *stream;
    const struct du_corpus *corpus;
    const struct du_mend_costs *costs;
    uint64_t right;       /* right bytes since the last run */
    uint64_t right_words; /* right words since the last wrong one */
    unsigned char last_mode;
    bool moded; /* some mode is not 0 */
    defupd_error *err;
};

/* --- mending --- */

struct wrongs {
    uint64_t runs, bytes, words;
    unsigned char mode; /* of the words' best phase */
};

static size_t word_end(size_t phase, size_t at, size_t count)
{
    const size_t end = at < phase ? phase : at + WORD - (at - phase) % WORD;

    return end < count ? end : count;
}

/* Wrong words for each phase, wrong bytes and their runs. */
static void count_wrongs(const unsigned char *old, const unsigned char *new, size_t count,
                         unsigned char last_mode, struct wrongs *out)
{
    uint64_t words[WORD] = { 0 };
    size_t ends[WORD] = { 0 }; /* of the last wrong word */
    size_t at = 0, last = SIZE_MAX;
    unsigned best = last_mode >= DU_MODE_WORDS ? last_mode - (unsigned)DU_MODE_WORDS : 0;

    *out = (struct wrongs){ 0 };
    while (at < count) {
        at += du_equal_bytes(old + at, new + at, count - at);
        if (at == count)
            break;
        out->bytes++;
        out->runs += last == SIZE_MAX || last + 1 != at;
        last = at;
        for (size_t phase = 0; phase < WORD; phase++) {
            if (at >= ends[phase]) {
                words[phase]++;
                ends[phase] = word_end(phase, at, count);
            }
        }
        at++;
    }
    for (unsigned phase = 0; phase < WORD; phase++) {
        if (words[phase] < words[best])
            best = phase;
    }
    out->words = words[best];
    out->mode = (unsigned char)(DU_MODE_WORDS + best);
}

static unsigned char choose_mode(const struct writer *w, const struct wrongs *wrongs)
{
    const struct du_mend_costs *costs = w->costs;
    const uint64_t runs = wrongs->runs * costs->run;
    const uint64_t replaced = runs + wrongs->bytes * costs->replaced;
    const uint64_t subtracted = runs + wrongs->bytes * costs->subtracted;
    const uint64_t words = wrongs->words * costs->word;

    if (wrongs->bytes == 0)
        return w->last_mode;
    if (!costs->mixed)
        return costs->mode == DU_MODE_WORDS ? wrongs->mode : (unsigned char)costs->mode;
    if (words < replaced && words < subtracted)
        return wrongs->mode;
    return subtracted < replaced ? DU_MODE_SUBTRACT : DU_MODE_REPLACE;
}

static defupd_code put_run(struct writer *w, bool subtract, const unsigned char *old,
                           const unsigned char *new, size_t count)
{
    DU_TRY(du_put_varint(&w->stream[DU_STREAM_GAPS], w->right, w->err));
    DU_TRY(du_put_varint(&w->stream[DU_STREAM_RUNS], count - 1, w->err));
    w->right = 0;
    if (!subtract)
        return du_buf_add(&w->stream[DU_STREAM_REPLACEMENTS], new, count, w->err);
    for (size_t i = 0; i < count; i++) {
        const unsigned char difference = (unsigned char)(new[i] - old[i]);

        DU_TRY(du_buf_add(&w->stream[DU_STREAM_DIFFERENCES], &difference, 1, w->err));
    }
    return DEFUPD_OK;
}

static defupd_code mend_bytes(struct writer *w, bool subtract, const unsigned char *old,
                              const unsigned char *new, size_t count)
{
    size_t at = 0;

    while (at < count) {
        const size_t right = du_equal_bytes(old + at, new + at, count - at);
        size_t run = 0;

        at += right;
        w->right += right;
        while (at + run < count && old[at + run] != new[at + run])
            run++;
        if (run > 0)
            DU_TRY(put_run(w, subtract, old + at, new + at, run));
        at += run;
    }
    return DEFUPD_OK;
}

static uint32_t get_word(const unsigned char *bytes, size_t count)
{
    uint32_t word = 0;

    for (size_t i = 0; i < count; i++)
        word |= (uint32_t)bytes[i] << (8 * i);
    return word;
}

static defupd_code mend_words(struct writer *w, size_t phase, const unsigned char *old,
                              const unsigned char *new, size_t count)
{
    for (size_t at = 0; at < count;) {
        const size_t end = word_end(phase, at, count);
        const uint32_t difference = get_word(new + at, end - at) - get_word(old + at, end - at);

        if (memcmp(old + at, new + at, end - at) == 0) {
            w->right_words++;
        } else {
            const unsigned char bytes[WORD] = { (unsigned char)difference,
                                                (unsigned char)(difference >> 8),
                                                (unsigned char)(difference >> 16),
                                                (unsigned char)(difference >> 24) };

            DU_TRY(du_put_varint(&w->stream[DU_STREAM_WORD_GAPS], w->right_words, w->err));
            DU_TRY(du_buf_add(&w->stream[DU_STREAM_WORDS], bytes, sizeof bytes, w->err));
            w->right_words = 0;
        }
        at = end;
    }
    return DEFUPD_OK;
}

static defupd_code mend(struct writer *w, const unsigned char *old, const unsigned char *new,
                        size_t count)
{
    struct wrongs wrongs;
    unsigned char mode;

    count_wrongs(old, new, count, w->last_mode, &wrongs);
    mode = choose_mode(w, &wrongs);
    w->last_mode = mode;
    w->moded = w->moded || mode != 0;
    DU_TRY(du_buf_add(&w->stream[DU_STREAM_MODES], &mode, 1, w->err));
    return mode >= DU_MODE_WORDS ? mend_words(w, mode - (size_t)DU_MODE_WORDS, old, new, count)
                                 : mend_bytes(w, mode == DU_MODE_SUBTRACT, old, new, count);
}

/* --- copies and literals --- */

static defupd_code put_copy(struct writer *w, const struct du_content *content,
                            const struct du_copy *copy, const unsigned char *bytes,
                            uint64_t *old_at)
{
    const uint64_t from = du_corpus_to_old(w->corpus, copy->from);
    const uint64_t count = copy->at + copy->count == content->size ? 0 : copy->count;

    DU_TRY(du_put_varint(&w->stream[DU_STREAM_COPY_LENGTHS], count, w->err));
    DU_TRY(du_put_zigzag(&w->stream[DU_STREAM_SEEKS], (int64_t)(from - *old_at), w->err));
    *old_at = from + copy->count;
    return mend(w, w->corpus->bytes + copy->from, bytes + copy->at, (size_t)copy->count);
}

static defupd_code put_content(struct writer *w, const struct du_content *content,
                               const struct du_copy *copy, const unsigned char *bytes)
{
    uint64_t at = 0, old_at = content->old_at;

    for (size_t i = 0; i <= content->copies; i++) {
        const uint64_t next = i < content->copies ? copy[i].at : content->size;

        if (i == content->copies && next == at)
            break; /* a copy was the end */
        DU_TRY(du_put_varint(&w->stream[DU_STREAM_LITERAL_LENGTHS], next - at, w->err));
        DU_TRY(du_buf_add(&w->stream[DU_STREAM_LITERALS], bytes + at, (size_t)(next - at), w->err));
        if (i == content->copies)
            break;
        DU_TRY(put_copy(w, content, &copy[i], bytes, &old_at));
        at = next + copy[i].count;
    }
    return DEFUPD_OK;
}

defupd_code du_script_write(struct du_script *script, const struct du_changes *changes,
                            const struct du_copies *copies, const struct du_corpus *corpus,
                            const unsigned char *bytes, const struct du_mend_costs *costs,
                            defupd_error *err)
{
    struct writer w = { .stream = script->stream, .corpus = corpus, .costs = costs, .err = err };

    if (costs->mixed == false && costs->mode == DU_MODE_WORDS)
        w.last_mode = DU_MODE_WORDS;
    for (int i = 0; i < DU_STREAMS; i++) {
        script->stream[i].max = SIZE_MAX / 2;
        du_buf_clear(&script->stream[i]);
    }
    for (size_t i = 0; i < changes->count; i++) {
        const struct du_content *content = &changes->content[i];

        DU_TRY(put_content(&w, content, copies->item + content->copy, bytes));
        bytes += content->size;
    }
    if (!w.moded)
        du_buf_clear(&script->stream[DU_STREAM_MODES]);
    return DEFUPD_OK;
}

void du_script_free(struct du_script *script)
{
    for (int i = 0; i < DU_STREAMS; i++)
        du_buf_free(&script->stream[i]);
}

/* --- preset dictionary --- */

struct ranges {
    struct du_buf *dict;
    const struct du_corpus *corpus;
    uint64_t old_size, context;
    uint64_t low, high; /* the range taken before */
    bool full;
};

static defupd_code take_range(struct ranges *r, uint64_t at, defupd_error *err)
{
    uint64_t low = at > r->context ? at - r->context : 0;
    const uint64_t high = r->old_size - at > r->context ? at + r->context : r->old_size;
    size_t count;

    if (low < r->high && r->low < high) {
        low = r->high;
        r->high = high > r->high ? high : r->high;
    } else {
        r->low = low;
        r->high = high;
    }
    if (low >= high)
        return DEFUPD_OK;
    count = DU_DELTA_DICT_MAX - r->dict->len;
    r->full = high - low > count;
    count = r->full ? count : (size_t)(high - low);
    return du_buf_add(r->dict, r->corpus->bytes + low, count, err);
}

defupd_code du_script_dict(struct du_buf *dict, const struct du_changes *changes,
                           const struct du_copies *copies, const struct du_corpus *corpus,
                           uint64_t old_size, unsigned char context, defupd_error *err)
{
    struct ranges r = { .dict = dict,
                        .corpus = corpus,
                        .old_size = old_size,
                        .context = (uint64_t)1 << (context - 1) };

    du_buf_clear(dict);
    for (size_t i = 0; i < changes->count && !r.full; i++) {
        const struct du_content *content = &changes->content[i];
        uint64_t at = 0, old_at = content->old_at;

        for (size_t k = 0; k <= content->copies && !r.full; k++) {
            const struct du_copy *copy = &copies->item[content->copy + k];
            const uint64_t next = k < content->copies ? copy->at : content->size;

            if (next > at)
                DU_TRY(take_range(&r, old_at, err));
            if (k == content->copies)
                break;
            old_at = du_corpus_to_old(corpus, copy->from) + copy->count;
            at = next + copy->count;
        }
    }
    return DEFUPD_OK;
}
