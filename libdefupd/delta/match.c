/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where new content has a likeness in the old: copies with some wrong bytes in them.
 *
 * The way is the one that Colin Percival's "Naive differences of executable code" (2003) describes:
 * go through the new bytes; as long as going on at the present distance between old and new
 * explains them about as well as the longest match there is, stay. When another place is better by
 * some bytes, end the present copy where its right bytes stop outweighing the wrong ones, begin the
 * next one so far before the place where it was found as it is right there, and where both claim
 * the same bytes, cut where the sum of right bytes is greatest.
 */
#include <stdlib.h>

#include "delta/make_priv.h"

#define GAIN 8     /* right bytes by which another place must be better */
#define TRUSTED 32 /* equal bytes from which on the expected place needs no search */
#define LONG 64    /* a match of so many bytes is passed whole, whatever is made of it */
#define TICK_BYTES (1U << 20)

struct matcher {
    const struct du_corpus *corpus;
    const unsigned char *bytes;
    size_t count;
    uint64_t at;    /* of the piece in its content */
    size_t done;    /* where the present copy may begin */
    uint64_t place; /* in the corpus, of `done` */
    struct du_copies *copies;
};

defupd_code du_copies_add(struct du_copies *copies, const struct du_copy *copy, defupd_error *err)
{
    if (copies->count == copies->cap) {
        const size_t cap = copies->cap * 2 + 64;
        struct du_copy *item = realloc(copies->item, cap * sizeof *item);

        if (item == NULL)
            return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory to make a delta");
        copies->item = item;
        copies->cap = cap;
    }
    copies->item[copies->count++] = *copy;
    return DEFUPD_OK;
}

/* Is the byte at `i` right when the piece lies `shift` before the corpus? */
static bool right_at(const struct matcher *m, size_t i, int64_t shift)
{
    const int64_t from = (int64_t)i + shift;

    return from >= 0 && (uint64_t)from < m->corpus->count && m->corpus->bytes[from] == m->bytes[i];
}

/* How far the present copy goes before `end`: to where right bytes outweigh wrong ones most. */
static size_t extend_forward(const struct matcher *m, size_t end)
{
    size_t best = 0;
    int64_t score = 0, best_score = 0;

    for (size_t i = 0; m->done + i < end && m->place + i < m->corpus->count; i++) {
        score += m->corpus->bytes[m->place + i] == m->bytes[m->done + i] ? 1 : -1;
        if (score > best_score) {
            best_score = score;
            best = i + 1;
        }
    }
    return best;
}

/* How far the next copy, found at `start`, reaches back. */
static size_t extend_back(const struct matcher *m, size_t start, uint64_t place)
{
    size_t best = 0;
    int64_t score = 0, best_score = 0;

    for (size_t i = 1; start >= m->done + i && place >= i; i++) {
        score += m->corpus->bytes[place - i] == m->bytes[start - i] ? 1 : -1;
        if (score > best_score) {
            best_score = score;
            best = i;
        }
    }
    return best;
}

/* Both claim the last `overlap` bytes of the first: how many of them are better there. */
static size_t divide(const struct matcher *m, size_t first_end, uint64_t next_place, size_t overlap)
{
    const size_t start = first_end - overlap;
    const uint64_t place = m->place + (start - m->done);
    int64_t score = 0, best_score = 0;
    size_t best = 0;

    for (size_t i = 0; i < overlap; i++) {
        score += m->corpus->bytes[place + i] == m->bytes[start + i];
        score -= m->corpus->bytes[next_place + i] == m->bytes[start + i];
        if (score > best_score) {
            best_score = score;
            best = i + 1;
        }
    }
    return best;
}

/* A copy, cut where it crosses to another segment. */
static defupd_code add_copy(struct matcher *m, size_t start, uint64_t from, uint64_t count,
                            defupd_error *err)
{
    uint64_t at = m->at + start;

    while (count > 0) {
        const uint64_t left = du_corpus_segment_end(m->corpus, from) - from;
        const uint64_t part = count < left ? count : left;
        struct du_copy *last =
            m->copies->count > m->copies->first ? &m->copies->item[m->copies->count - 1] : NULL;

        if (last != NULL && last->at + last->count == at && last->from + last->count == from &&
            at == m->at && at > 0 && start == 0 &&
            du_corpus_segment_end(m->corpus, last->from) > from)
            last->count += part; /* goes on from the piece before */
        else
            DU_TRY(du_copies_add(m->copies, &(struct du_copy){ at, from, part }, err));
        at += part;
        from += part;
        count -= part;
    }
    return DEFUPD_OK;
}

/* End the present copy; the next one is found at `start` (the piece's end: there is none). */
static defupd_code turn(struct matcher *m, size_t start, uint64_t place, defupd_error *err)
{
    size_t forward = extend_forward(m, start);
    size_t back = start < m->count ? extend_back(m, start, place) : 0;

    if (m->done + forward > start - back) {
        const size_t overlap = m->done + forward - (start - back);
        const size_t kept = divide(m, m->done + forward, place - back, overlap);

        forward = forward - overlap + kept;
        back -= kept;
    }
    DU_TRY(add_copy(m, m->done, m->place, forward, err));
    m->done = start - back;
    m->place = place - back;
    return DEFUPD_OK;
}

struct finder {
    size_t scan;   /* where we are */
    size_t scored; /* up to here `score` counts */
    int64_t shift; /* corpus minus piece, of the present copy */
    int64_t score; /* right bytes of [scan, scored) under it */
    uint64_t place;
    size_t length;
    size_t ticked; /* up to here the tick was told */
};

/* The present copy is about as good as a long match. Searching again at each of its bytes would
 * find the same again and again, in time that grows with the square of the length where there are
 * many likenesses; what else begins in it is found at its end, and reaches back. Go to where all
 * the rest of the match is right under the present copy. */
static void pass(const struct matcher *m, struct finder *f)
{
    const size_t start = f->scan, end = start + f->length;

    f->scan = end;
    while (f->scan > start && right_at(m, f->scan - 1, f->shift))
        f->scan--;
    f->length = end - f->scan;
    f->scored = end;
    f->score = (int64_t)f->length;
}

static defupd_code tick_at(const struct du_tick *tick, struct finder *f, defupd_error *err)
{
    const size_t since = f->scan - f->ticked;

    if (since < TICK_BYTES || tick == NULL || tick->fn == NULL)
        return DEFUPD_OK;
    f->ticked = f->scan;
    return tick->fn(tick->user, since, err);
}

/* Go on to the next place that is better than the present one, or to where the present one is as
 * good as any; the end, if there is none. */
static defupd_code find(const struct matcher *m, struct finder *f, const struct du_tick *tick,
                        defupd_error *err)
{
    size_t found;

    f->scan += f->length;
    f->scored = f->scan;
    f->score = 0;
    while (f->scan < m->count) {
        const int64_t expected = (int64_t)f->scan + f->shift;

        DU_TRY(tick_at(tick, f, err));
        f->length = du_corpus_search(m->corpus, m->bytes + f->scan, m->count - f->scan, &found);
        for (; f->scored < f->scan + f->length; f->scored++)
            f->score += right_at(m, f->scored, f->shift);
        if ((int64_t)f->length > f->score + GAIN) {
            f->place = du_corpus_nearest(m->corpus, found, m->bytes + f->scan, m->count - f->scan,
                                         expected > 0 ? (uint64_t)expected : 0, &f->length);
            return DEFUPD_OK;
        }
        if (f->length >= LONG && (int64_t)f->length != f->score) {
            pass(m, f);
            if (f->length == 0)
                continue;
        }
        if (f->length > 0 && (int64_t)f->length == f->score)
            return DEFUPD_OK;
        f->score -= right_at(m, f->scan, f->shift);
        f->scan++;
        if (f->scored < f->scan)
            f->scored = f->scan;
    }
    f->length = 0;
    return DEFUPD_OK;
}

/* Equal bytes at the expected place: an unchanged stretch is passed without a search. */
static size_t go_on(const struct matcher *m, size_t scan, int64_t shift)
{
    const int64_t from = (int64_t)scan + shift;
    size_t count = m->count - scan, left;

    if (from < 0 || (uint64_t)from >= m->corpus->count)
        return 0;
    left = m->corpus->count - (size_t)from;
    return du_equal_bytes(m->corpus->bytes + from, m->bytes + scan, count < left ? count : left);
}

defupd_code du_match(struct du_copies *copies, const struct du_corpus *corpus,
                     const unsigned char *bytes, size_t count, uint64_t at, uint64_t near,
                     const struct du_tick *tick, defupd_error *err)
{
    struct matcher m = {
        .corpus = corpus, .bytes = bytes, .count = count, .at = at, .place = near, .copies = copies
    };
    struct finder f = { .shift = (int64_t)near };

    while (f.scan < count) {
        const size_t same = go_on(&m, f.scan + f.length, f.shift);

        if (same >= TRUSTED) {
            f.length += same;
            if (f.scan + f.length < count)
                continue;
            f.scan = count;
            break;
        }
        DU_TRY(find(&m, &f, tick, err));
        if (f.scan < count && (int64_t)f.length == f.score)
            continue;
        DU_TRY(turn(&m, f.scan, f.place, err));
        f.shift = (int64_t)m.place - (int64_t)m.done;
    }
    if (m.done < count)
        DU_TRY(turn(&m, count, 0, err));
    return DEFUPD_OK;
}
