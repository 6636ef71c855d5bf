/* SPDX-License-Identifier: Apache-2.0 */
/* The encoder: several ways are tried, the smallest delta is written. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/crypto.h"
#include "delta/make_priv.h"
#include "sys/disk.h"

#define PIECE_BYTES (16U << 20)
#define SMALL_SCRIPT (1U << 20) /* bytes of all streams up to which every way is tried */
#define SAMPLE (1U << 20)       /* literals that a dictionary is chosen by */
#define MEMORY_MIN (64U << 20)

struct maker {
    const struct du_sys *sys;
    const struct du_delta_side *old, *new;
    const struct du_tick *tick;
    struct du_changes changes;
    struct du_corpus corpus;
    struct du_buf paths;      /* the dictionary of the list of files */
    struct du_content *parts; /* the contents with their part of `all` */
    struct du_copies all, thin;
    unsigned char *bytes; /* of all contents */
    struct du_script script;
    struct du_packed best[DU_STREAMS], work[DU_STREAMS];
    uint64_t best_bytes, best_raw[DU_STREAMS];
    unsigned char best_context;
};

static defupd_code no_memory(defupd_error *err)
{
    return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory to make a delta");
}

/* --- new content --- */

static defupd_code open_new(const struct maker *m, struct du_place *place, size_t number, int *fd,
                            defupd_error *err)
{
    const char *path = m->new->index->file[number].path, *name;
    int dir;

    DU_TRY(du_place_parent(place, path, false, &dir, &name, err));
    *fd = m->sys->openat(dir, name, O_RDONLY | O_NOFOLLOW, 0);
    return *fd >= 0 ? DEFUPD_OK : DU_FAIL_IO(err, "open '%s'", path);
}

static defupd_code read_piece(const struct maker *m, int fd, size_t number, uint64_t at,
                              unsigned char *to, size_t count, defupd_error *err)
{
    const char *path = m->new->index->file[number].path;

    while (count > 0) {
        const ssize_t got = m->sys->pread(fd, to, count, (off_t)at);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return DU_FAIL_IO(err, "read '%s'", path);
        if (got == 0)
            return DU_FAIL(err, DEFUPD_E_IO, "'%s' is not what its index says", path);
        to += got;
        at += (uint64_t)got;
        count -= (size_t)got;
    }
    return DEFUPD_OK;
}

/* Copies of one content, piece by piece, so that the new tree need not be in memory beside the
 * suffix array. */
static defupd_code match_content(struct maker *m, struct du_place *place,
                                 struct du_content *content, unsigned char *piece,
                                 defupd_error *err)
{
    uint64_t near = du_corpus_near(&m->corpus, content->old_at);
    DU_AUTO_FD fd = -1;

    DU_TRY(open_new(m, place, content->file, &fd, err));
    content->copy = m->all.first = m->all.count;
    for (uint64_t at = 0; at < content->size;) {
        const uint64_t left = content->size - at;
        const size_t count = left < PIECE_BYTES ? (size_t)left : PIECE_BYTES;

        DU_TRY(read_piece(m, fd, content->file, at, piece, count, err));
        DU_TRY(du_match(&m->all, &m->corpus, piece, count, at, near, m->tick, err));
        at += count;
        if (m->all.count > content->copy) {
            const struct du_copy *last = &m->all.item[m->all.count - 1];

            near = last->from + (at - last->at);
            near = near < m->corpus.count ? near : m->corpus.count;
        }
    }
    content->copies = m->all.count - content->copy;
    return DEFUPD_OK;
}

static defupd_code match_contents(struct maker *m, defupd_error *err)
{
    DU_AUTO_FREE unsigned char *piece = malloc(PIECE_BYTES);
    DU_AUTO_PLACE place;

    du_place_init(&place, m->sys, m->new->root);
    if (piece == NULL)
        return no_memory(err);
    for (size_t i = 0; i < m->changes.count; i++)
        DU_TRY(match_content(m, &place, &m->parts[i], piece, err));
    return DEFUPD_OK;
}

/* Once the suffix array is gone there is room for the new content. */
static defupd_code load_contents(struct maker *m, defupd_error *err)
{
    DU_AUTO_PLACE place;
    unsigned char *to;

    du_place_init(&place, m->sys, m->new->root);
    m->bytes = to = malloc((size_t)m->changes.bytes + 1);
    if (to == NULL)
        return no_memory(err);
    for (size_t i = 0; i < m->changes.count; i++) {
        const struct du_content *content = &m->changes.content[i];
        const struct du_file *file = &m->new->index->file[content->file];
        unsigned char sha256[DU_SHA256_BYTES];
        DU_AUTO_FD fd = -1;

        DU_TRY(open_new(m, &place, content->file, &fd, err));
        DU_TRY(read_piece(m, fd, content->file, 0, to, (size_t)content->size, err));
        du_sha256(sha256, to, (size_t)content->size);
        if (!du_mem_equal(sha256, file->sha256, DU_SHA256_BYTES))
            return DU_FAIL(err, DEFUPD_E_IO, "'%s' is not what its index says", file->path);
        to += content->size;
    }
    return DEFUPD_OK;
}

/* --- one way --- */

static struct du_bytes raw_of(const struct maker *m, enum du_delta_stream stream)
{
    return du_buf_bytes(stream == DU_STREAM_FILES ? &m->changes.files : &m->script.stream[stream]);
}

static uint64_t script_bytes(const struct maker *m)
{
    uint64_t sum = 0;

    for (int i = 0; i < DU_STREAMS; i++)
        sum += m->script.stream[i].len;
    return sum;
}

static size_t varint_bytes(uint64_t value)
{
    size_t count = 1;

    while (value > 0x7f) {
        value >>= 7;
        count++;
    }
    return count;
}

static uint64_t packed_bytes(const struct du_packed *packed, uint64_t raw)
{
    return packed->bytes.len + varint_bytes(raw) + (raw > 0) +
           (packed->coder != DU_DELTA_RAW ? varint_bytes(packed->bytes.len) : 0);
}

static void dict_free(struct du_buf *dict)
{
    du_buf_free(dict);
}

/* The context whose dictionary makes the literals smallest, found with one setting of the coder; of
 * many literals by the first of them. */
static defupd_code choose_context(struct maker *m, unsigned effort, unsigned char *context,
                                  defupd_error *err)
{
    static const unsigned char contexts[] = { 13, 17, 10, 15 };
    const uint64_t old_size = m->old->index->bytes;
    const struct du_bytes all = raw_of(m, DU_STREAM_LITERALS);
    const struct du_bytes raw = { all.data, all.len < SAMPLE ? all.len : SAMPLE };
    const size_t tries = all.len > SMALL_SCRIPT || effort == 0 ? 1 : sizeof contexts;
    struct du_packed *work = &m->work[DU_STREAM_LITERALS];
    DU_AUTO(dict_free) struct du_buf dict = DU_BUF(DU_DELTA_DICT_MAX);
    size_t least;

    *context = 0;
    /* The decoder's dictionary is from the whole old tree. */
    if (raw.len == 0 || m->corpus.count != old_size)
        return DEFUPD_OK;
    DU_TRY(du_shrink(work, DU_STREAM_LITERALS, raw, (struct du_bytes){ 0 }, 0, err));
    least = work->bytes.len;
    for (size_t i = 0; i < tries; i++) {
        DU_TRY(
            du_script_dict(&dict, &m->changes, &m->thin, &m->corpus, old_size, contexts[i], err));
        DU_TRY(du_shrink(work, DU_STREAM_LITERALS, raw, du_buf_bytes(&dict), 0, err));
        if (work->bytes.len < least) {
            least = work->bytes.len;
            *context = contexts[i];
        }
    }
    return DEFUPD_OK;
}

/* The literals with the dictionary of that context; work[LITERALS] is the result. */
static defupd_code shrink_literals(struct maker *m, unsigned effort, unsigned char context,
                                   defupd_error *err)
{
    DU_AUTO(dict_free) struct du_buf dict = DU_BUF(DU_DELTA_DICT_MAX);

    if (context > 0)
        DU_TRY(du_script_dict(&dict, &m->changes, &m->thin, &m->corpus, m->old->index->bytes,
                              context, err));
    return du_shrink(&m->work[DU_STREAM_LITERALS], DU_STREAM_LITERALS,
                     raw_of(m, DU_STREAM_LITERALS), du_buf_bytes(&dict), effort, err);
}

/* Code all streams but the literals; keep the result if it is the smallest up to now. */
static defupd_code shrink_script(struct maker *m, unsigned effort, unsigned char context,
                                 defupd_error *err)
{
    uint64_t sum = packed_bytes(&m->work[DU_STREAM_LITERALS], raw_of(m, DU_STREAM_LITERALS).len);

    for (enum du_delta_stream i = 0; i < DU_STREAM_LITERALS; i++) {
        const struct du_bytes dict = { m->paths.data, i == DU_STREAM_FILES ? m->paths.len : 0 };

        DU_TRY(du_shrink(&m->work[i], i, raw_of(m, i), dict, effort, err));
        sum += packed_bytes(&m->work[i], raw_of(m, i).len);
    }
    if (sum >= m->best_bytes)
        return DEFUPD_OK;
    m->best_bytes = sum;
    m->best_context = context;
    for (enum du_delta_stream i = 0; i < DU_STREAMS; i++) {
        const struct du_bytes packed = du_buf_bytes(&m->work[i].bytes);

        m->best_raw[i] = raw_of(m, i).len;
        m->best[i].coder = m->work[i].coder;
        m->best[i].bytes.max = SIZE_MAX / 2;
        du_buf_clear(&m->best[i].bytes);
        DU_TRY(du_buf_add(&m->best[i].bytes, packed.data, packed.len, err));
    }
    return DEFUPD_OK;
}

static defupd_code write_script(struct maker *m, const struct du_mend_costs *costs,
                                defupd_error *err)
{
    return du_script_write(&m->script, &m->changes, &m->thin, &m->corpus, m->bytes, costs, err);
}

/* Sixteenths of a bit for each of `count` elements that some streams hold. */
static defupd_code cost_of(struct maker *m, const enum du_delta_stream *streams, size_t count,
                           uint64_t elements, unsigned *cost, defupd_error *err)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < count; i++) {
        struct du_packed *packed = &m->work[streams[i]];

        DU_TRY(
            du_shrink(packed, streams[i], raw_of(m, streams[i]), (struct du_bytes){ 0 }, 0, err));
        bytes += packed->bytes.len;
    }
    *cost = elements > 0 ? (unsigned)(bytes * 8 * 16 / elements) : 16 * 8;
    return DEFUPD_OK;
}

/* Mend all in each way, to see what an element of it costs; then each copy in its cheapest. */
static defupd_code choose_mending(struct maker *m, struct du_mend_costs *costs, defupd_error *err)
{
    static const enum du_delta_stream runs[] = { DU_STREAM_GAPS, DU_STREAM_RUNS };
    static const enum du_delta_stream replaced[] = { DU_STREAM_REPLACEMENTS };
    static const enum du_delta_stream subtracted[] = { DU_STREAM_DIFFERENCES };
    static const enum du_delta_stream words[] = { DU_STREAM_WORD_GAPS, DU_STREAM_WORDS };

    *costs = (struct du_mend_costs){ .mode = DU_MODE_REPLACE };
    DU_TRY(write_script(m, costs, err));
    if (m->script.stream[DU_STREAM_REPLACEMENTS].len == 0)
        return DEFUPD_OK; /* nothing is wrong */
    DU_TRY(cost_of(m, runs, 2, m->script.stream[DU_STREAM_RUNS].len, &costs->run, err));
    DU_TRY(cost_of(m, replaced, 1, m->script.stream[DU_STREAM_REPLACEMENTS].len, &costs->replaced,
                   err));
    costs->mode = DU_MODE_SUBTRACT;
    DU_TRY(write_script(m, costs, err));
    DU_TRY(cost_of(m, subtracted, 1, m->script.stream[DU_STREAM_DIFFERENCES].len,
                   &costs->subtracted, err));
    costs->mode = DU_MODE_WORDS;
    DU_TRY(write_script(m, costs, err));
    DU_TRY(cost_of(m, words, 2, m->script.stream[DU_STREAM_WORDS].len / 4, &costs->word, err));
    return DEFUPD_OK;
}

/* One choice of copies, at what a literal byte may cost in sixteenths of a bit: the less, the fewer
 * copies pay. With effort, also each way of mending alone. */
static defupd_code try_rate(struct maker *m, unsigned rate, unsigned effort, defupd_error *err)
{
    struct du_mend_costs costs;
    unsigned char context;

    if (m->tick != NULL && m->tick->fn != NULL)
        DU_TRY(m->tick->fn(m->tick->user, 0, err));
    DU_TRY(du_thin(&m->thin, &m->changes, m->parts, &m->all, &m->corpus, m->bytes, rate, err));
    DU_TRY(choose_mending(m, &costs, err));
    DU_TRY(choose_context(m, effort, &context, err));
    DU_TRY(shrink_literals(m, effort, context, err));
    costs.mixed = true;
    DU_TRY(write_script(m, &costs, err));
    DU_TRY(shrink_script(m, effort, context, err));
    costs.mixed = false;
    for (enum du_delta_mode mode = 0; effort > 1 && mode <= DU_MODE_WORDS; mode++) {
        costs.mode = mode;
        DU_TRY(write_script(m, &costs, err));
        DU_TRY(shrink_script(m, effort, context, err));
    }
    return DEFUPD_OK;
}

/* True when what was copied is too little for a rate to matter: content that is new, or that does
 * not show what it has in common with the old, as an encrypted one. */
static bool hardly_copies(const struct maker *m)
{
    const size_t literals = m->script.stream[DU_STREAM_LITERALS].len;

    return literals >= SMALL_SCRIPT && literals >= m->changes.bytes - m->changes.bytes / 16;
}

/* Quickly at some rates, then thoroughly at the one that was best. */
static defupd_code try_rates(struct maker *m, defupd_error *err)
{
    static const unsigned rates[] = { 96, 56, 40, 30, 22, 16 };
    uint64_t least = UINT64_MAX;
    unsigned best = rates[0];

    m->best_bytes = UINT64_MAX;
    DU_TRY(du_thin(&m->thin, &m->changes, m->parts, &m->all, &m->corpus, m->bytes, best, err));
    DU_TRY(write_script(m, &(struct du_mend_costs){ .mode = DU_MODE_REPLACE }, err));
    if (hardly_copies(m))
        return try_rate(m, best, 1, err);
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        if (i > 1 && script_bytes(m) >= SMALL_SCRIPT)
            break;
        m->best_bytes = UINT64_MAX;
        DU_TRY(try_rate(m, rates[i], 0, err));
        if (m->best_bytes < least) {
            least = m->best_bytes;
            best = rates[i];
        }
    }
    m->best_bytes = UINT64_MAX;
    return try_rate(m, best, script_bytes(m) < SMALL_SCRIPT ? 2 : 1, err);
}

/* --- writing --- */

struct output {
    const struct du_sys *sys;
    int fd;
    struct du_hash hash;
    uint64_t bytes;
};

static defupd_code put(struct output *out, const void *bytes, size_t count, defupd_error *err)
{
    du_hash_update(&out->hash, bytes, count);
    out->bytes += count;
    return count > 0 ? du_write_all(out->sys, out->fd, bytes, count, "the delta", err) : DEFUPD_OK;
}

static void output_free(struct output *out)
{
    du_hash_free(&out->hash);
}

static defupd_code write_delta(const struct maker *m, int fd, unsigned char sha256[DU_SHA256_BYTES],
                               uint64_t *bytes, defupd_error *err)
{
    DU_AUTO(output_free) struct output out = { .sys = m->sys, .fd = fd };
    DU_AUTO(dict_free) struct du_buf head = DU_BUF(1024);

    du_hash_init(&out.hash, DU_SHA256);
    DU_TRY(du_buf_add(&head, DU_DELTA_MAGIC, DU_DELTA_MAGIC_BYTES, err));
    DU_TRY(du_buf_add(&head, &m->best_context, 1, err));
    for (int i = 0; i < DU_STREAMS; i++) {
        DU_TRY(du_put_varint(&head, m->best_raw[i], err));
        if (m->best_raw[i] == 0)
            continue;
        DU_TRY(du_buf_add(&head, &m->best[i].coder, 1, err));
        if (m->best[i].coder != DU_DELTA_RAW)
            DU_TRY(du_put_varint(&head, m->best[i].bytes.len, err));
    }
    DU_TRY(put(&out, head.data, head.len, err));
    for (int i = 0; i < DU_STREAMS; i++)
        DU_TRY(put(&out, m->best[i].bytes.data, m->best[i].bytes.len, err));
    du_hash_final(&out.hash, sha256);
    *bytes = out.bytes;
    return DEFUPD_OK;
}

static void maker_free(struct maker **m)
{
    if (*m == NULL)
        return;
    du_changes_free(&(*m)->changes);
    du_corpus_free(&(*m)->corpus);
    du_script_free(&(*m)->script);
    du_buf_free(&(*m)->paths);
    free((*m)->parts);
    free((*m)->all.item);
    free((*m)->thin.item);
    free((*m)->bytes);
    for (int i = 0; i < DU_STREAMS; i++) {
        du_buf_free(&(*m)->best[i].bytes);
        du_buf_free(&(*m)->work[i].bytes);
    }
    free(*m);
}

defupd_code du_delta_make(const struct du_sys *sys, const struct du_delta_side *old,
                          const struct du_delta_side *new, uint64_t memory,
                          const struct du_tick *tick, int fd, unsigned char sha256[DU_SHA256_BYTES],
                          uint64_t *bytes, defupd_error *err)
{
    DU_AUTO(maker_free) struct maker *m = calloc(1, sizeof *m);

    if (m == NULL)
        return no_memory(err);
    if (memory < MEMORY_MIN)
        memory = MEMORY_MIN;
    m->sys = sys;
    m->old = old;
    m->new = new;
    m->tick = tick;
    DU_TRY(du_changes_find(&m->changes, old->index, new->index, err));
    m->paths = DU_BUF(DU_DELTA_PATHS_MAX);
    DU_TRY(du_list_paths(old->index, &m->paths, err));
    DU_TRY(du_corpus_load(&m->corpus, sys, old, &m->changes, memory, tick, err));
    m->parts = calloc(m->changes.count + 1, sizeof *m->parts);
    if (m->parts == NULL)
        return no_memory(err);
    memcpy(m->parts, m->changes.content, m->changes.count * sizeof *m->parts);
    DU_TRY(match_contents(m, err));
    du_corpus_end_search(&m->corpus);
    DU_TRY(load_contents(m, err));
    DU_TRY(try_rates(m, err));
    return write_delta(m, fd, sha256, bytes, err);
}
