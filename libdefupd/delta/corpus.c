/* SPDX-License-Identifier: Apache-2.0 */
/* The old bytes end to end, and a suffix array to find in them what the new content repeats. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include <divsufsort.h>

#include "crypto/crypto.h"
#include "delta/make_priv.h"

#define SORTED_MAX ((uint64_t)INT32_MAX - 1)
#define BYTES_EACH 5 /* of memory for each byte of the corpus: itself and its suffix */
#define BUCKETS 65536U
#define COMPARE_MAX (16U << 10) /* a match of this length is long enough to be taken */
#define NEIGHBOURS 64
#define NEIGHBOURS_BYTES (32U << 10) /* compared in all with them, on each side */

/* --- loading --- */

/* Changed files first, then the others in their order, as far as there is room. */
static void choose(const struct du_index *old, const struct du_changes *changes, uint64_t room,
                   unsigned char *chosen)
{
    for (int others = 0; others < 2; others++) {
        for (size_t i = 0; i < old->count; i++) {
            if ((changes->old[i] == 0) != (others == 1) || old->file[i].size > room)
                continue;
            chosen[i] = 1;
            room -= old->file[i].size;
        }
    }
}

static defupd_code load_file(struct du_corpus *corpus, const struct du_sys *sys,
                             struct du_place *place, const struct du_file *file, defupd_error *err)
{
    unsigned char sha256[DU_SHA256_BYTES];
    unsigned char *to = corpus->bytes + corpus->count;
    uint64_t done = 0;
    const char *name;
    int dir;

    DU_TRY(du_place_parent(place, file->path, false, &dir, &name, err));
    DU_AUTO_FD fd = sys->openat(dir, name, O_RDONLY | O_NOFOLLOW, 0);
    if (fd < 0)
        return DU_FAIL_IO(err, "open '%s'", file->path);
    while (done < file->size) {
        const ssize_t got = sys->pread(fd, to + done, (size_t)(file->size - done), (off_t)done);

        if (got < 0 && errno != EINTR)
            return DU_FAIL_IO(err, "read '%s'", file->path);
        if (got == 0)
            break;
        done += got > 0 ? (uint64_t)got : 0;
    }
    du_sha256(sha256, to, (size_t)done);
    if (done != file->size || !du_mem_equal(sha256, file->sha256, DU_SHA256_BYTES))
        return DU_FAIL(err, DEFUPD_E_IO, "'%s' is not what its index says", file->path);
    corpus->count += (size_t)done;
    return DEFUPD_OK;
}

static defupd_code load_files(struct du_corpus *corpus, const struct du_sys *sys,
                              const struct du_delta_side *old, const struct du_changes *changes,
                              const unsigned char *chosen, const struct du_tick *tick,
                              defupd_error *err)
{
    DU_AUTO_PLACE place;
    uint64_t next = UINT64_MAX; /* the old position at which the last segment ends */

    du_place_init(&place, sys, old->root);
    for (size_t i = 0; i < old->index->count; i++) {
        if (chosen[i] == 0)
            continue;
        if (next != changes->old_at[i])
            corpus->segment[corpus->segments++] =
                (struct du_segment){ corpus->count, changes->old_at[i] };
        next = changes->old_at[i + 1];
        DU_TRY(load_file(corpus, sys, &place, &old->index->file[i], err));
        if (tick != NULL && tick->fn != NULL)
            DU_TRY(tick->fn(tick->user, old->index->file[i].size, err));
    }
    return DEFUPD_OK;
}

static defupd_code sort_suffixes(struct du_corpus *corpus, defupd_error *err)
{
    size_t next = 0;

    corpus->suffix = malloc((corpus->count + 1) * sizeof *corpus->suffix);
    corpus->bucket = malloc((BUCKETS + 1) * sizeof *corpus->bucket);
    if (corpus->suffix == NULL || corpus->bucket == NULL ||
        (corpus->count > 0 &&
         divsufsort(corpus->bytes, corpus->suffix, (saidx_t)corpus->count) != 0))
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory to make a delta");
    for (size_t i = 0; i < corpus->count; i++) {
        const size_t at = (size_t)corpus->suffix[i];
        const size_t key =
            (size_t)corpus->bytes[at] << 8 | (at + 1 < corpus->count ? corpus->bytes[at + 1] : 0);

        while (next <= key)
            corpus->bucket[next++] = (uint32_t)i;
    }
    while (next <= BUCKETS)
        corpus->bucket[next++] = (uint32_t)corpus->count;
    return DEFUPD_OK;
}

defupd_code du_corpus_load(struct du_corpus *corpus, const struct du_sys *sys,
                           const struct du_delta_side *old, const struct du_changes *changes,
                           uint64_t memory, const struct du_tick *tick, defupd_error *err)
{
    DU_AUTO_FREE unsigned char *chosen = calloc(old->index->count + 1, 1);
    uint64_t room = memory / (BYTES_EACH + 1), bytes = 0;

    if (chosen == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory to make a delta");
    if (changes->count > 0) /* else there is nothing to search for */
        choose(old->index, changes, room < SORTED_MAX ? room : SORTED_MAX, chosen);
    for (size_t i = 0; i < old->index->count; i++)
        bytes += chosen[i] != 0 ? old->index->file[i].size : 0;
    corpus->bytes = malloc((size_t)bytes + 1);
    corpus->segment = calloc(old->index->count + 1, sizeof *corpus->segment);
    if (corpus->bytes == NULL || corpus->segment == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory to make a delta");
    DU_TRY(load_files(corpus, sys, old, changes, chosen, tick, err));
    return sort_suffixes(corpus, err);
}

void du_corpus_end_search(struct du_corpus *corpus)
{
    free(corpus->suffix);
    free(corpus->bucket);
    corpus->suffix = NULL;
    corpus->bucket = NULL;
}

void du_corpus_free(struct du_corpus *corpus)
{
    du_corpus_end_search(corpus);
    free(corpus->bytes);
    free(corpus->segment);
    *corpus = (struct du_corpus){ 0 };
}

/* --- positions --- */

/* Index of the last segment that begins at or before `at`. */
static size_t segment_of(const struct du_corpus *corpus, uint64_t at)
{
    size_t low = 0, high = corpus->segments;

    while (low + 1 < high) {
        const size_t middle = low + (high - low) / 2;

        if (corpus->segment[middle].at <= at)
            low = middle;
        else
            high = middle;
    }
    return low;
}

uint64_t du_corpus_to_old(const struct du_corpus *corpus, uint64_t at)
{
    const struct du_segment *segment = &corpus->segment[segment_of(corpus, at)];

    return segment->old_at + (at - segment->at);
}

uint64_t du_corpus_segment_end(const struct du_corpus *corpus, uint64_t at)
{
    const size_t next = segment_of(corpus, at) + 1;

    return next < corpus->segments ? corpus->segment[next].at : corpus->count;
}

uint64_t du_corpus_near(const struct du_corpus *corpus, uint64_t old_at)
{
    size_t low = 0, high = corpus->segments;
    uint64_t at, end;

    if (corpus->segments == 0)
        return 0;
    while (low + 1 < high) {
        const size_t middle = low + (high - low) / 2;

        if (corpus->segment[middle].old_at <= old_at)
            low = middle;
        else
            high = middle;
    }
    if (old_at < corpus->segment[low].old_at)
        return corpus->segment[low].at;
    at = corpus->segment[low].at + (old_at - corpus->segment[low].old_at);
    end = low + 1 < corpus->segments ? corpus->segment[low + 1].at : corpus->count;
    return at < end ? at : end;
}

/* --- searching --- */

size_t du_equal_bytes(const unsigned char *a, const unsigned char *b, size_t count)
{
    size_t i = 0;

    while (i + sizeof(uint64_t) <= count) {
        uint64_t x, y;

        memcpy(&x, a + i, sizeof x);
        memcpy(&y, b + i, sizeof y);
        if (x != y)
            break;
        i += sizeof x;
    }
    while (i < count && a[i] == b[i])
        i++;
    return i;
}

/* Equal bytes of the suffix and the pattern, which are known to share the first `shared`. */
static size_t compare(const struct du_corpus *corpus, size_t suffix, const unsigned char *bytes,
                      size_t count, size_t shared)
{
    const size_t left = corpus->count - suffix;

    count = count < left ? count : left;
    return shared >= count ? count
                           : shared + du_equal_bytes(corpus->bytes + suffix + shared,
                                                     bytes + shared, count - shared);
}

static uint64_t distance(uint64_t a, uint64_t b)
{
    return a < b ? b - a : a - b;
}

size_t du_corpus_search(const struct du_corpus *corpus, const unsigned char *bytes, size_t count,
                        size_t *found)
{
    const size_t most = count < COMPARE_MAX ? count : COMPARE_MAX;
    size_t low, high, low_shared = 0, high_shared = 0, best = 0;
    size_t key;

    *found = 0;
    if (count < 2)
        return 0;
    key = (size_t)bytes[0] << 8 | bytes[1];
    low = corpus->bucket[key];
    high = corpus->bucket[key + 1];
    while (low < high) {
        const size_t middle = low + (high - low) / 2, suffix = (size_t)corpus->suffix[middle];
        const size_t shared = compare(corpus, suffix, bytes, most,
                                      low_shared < high_shared ? low_shared : high_shared);

        if (shared > best) {
            best = shared;
            *found = middle;
        }
        if (shared == most)
            break;
        if (suffix + shared == corpus->count || corpus->bytes[suffix + shared] < bytes[shared]) {
            low = middle + 1;
            low_shared = shared;
        } else {
            high = middle;
            high_shared = shared;
        }
    }
    return best;
}

/* The suffixes beside number `found` share with it as much or less, the further the less. */
uint64_t du_corpus_nearest(const struct du_corpus *corpus, size_t found, const unsigned char *bytes,
                           size_t count, uint64_t near, size_t *length)
{
    uint64_t best = (uint64_t)corpus->suffix[found];

    for (int up = 0; up < 2; up++) {
        size_t i = found;

        for (size_t n = 0; n < NEIGHBOURS && n * *length < NEIGHBOURS_BYTES; n++) {
            if (up == 1 ? i + 1 >= corpus->count : i == 0)
                break;
            i = up == 1 ? i + 1 : i - 1;
            if (compare(corpus, (size_t)corpus->suffix[i], bytes, *length, 0) < *length)
                break;
            if (distance((uint64_t)corpus->suffix[i], near) < distance(best, near))
                best = (uint64_t)corpus->suffix[i];
        }
    }
    *length = compare(corpus, (size_t)best, bytes, count, *length);
    return best;
}
