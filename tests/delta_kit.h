/* SPDX-License-Identifier: Apache-2.0 */
/* Deltas written by hand, from docs/formats/delta.md alone: nothing of the encoder's is used, so
 * that decoder and encoder cannot agree on an error. And a host in memory for the decoder. */
#ifndef DELTA_KIT_H
#define DELTA_KIT_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lzma.h>

#include "base/bytes.h"
#include "base/scope.h"
#include "delta/delta.h"

/* --- a host in memory --- */

struct dk_host {
    struct du_bytes delta, old;
    const struct du_index *index;
    uint64_t most; /* bytes of new content that it takes */
    struct du_buf out;
    uint64_t left; /* of the open file */
    bool open;
    const char *broken; /* what the decoder did that it must not; NULL: nothing */
    du_thread_start_fn start;
};

static inline defupd_code dk_give(struct dk_host *host, struct du_bytes from, uint64_t at,
                                  void *bytes, size_t count)
{
    if (at > from.len || count > from.len - at) {
        host->broken = "read outside";
        memset(bytes, 0, count);
    } else if (count > 0) {
        memcpy(bytes, from.data + at, count);
    }
    return DEFUPD_OK;
}

static inline defupd_code dk_delta(void *user, uint64_t at, void *bytes, size_t count,
                                   defupd_error *err)
{
    struct dk_host *host = user;

    (void)err;
    return dk_give(host, host->delta, at, bytes, count);
}

static inline defupd_code dk_old(void *user, uint64_t at, void *bytes, size_t count,
                                 defupd_error *err)
{
    struct dk_host *host = user;

    (void)err;
    return dk_give(host, host->old, at, bytes, count);
}

static inline void dk_name(struct dk_host *host, const char *path)
{
    if (host->open || strlen(path) > DU_PATH_MAX)
        host->broken = "began a file in another one, or with too long a path";
}

/* Each file as a line and its bytes: "keep -|x PATH = OLD PATH", "make -|x PATH SIZE". */
static inline defupd_code dk_keep(void *user, const struct du_file *old, const char *path,
                                  bool exec, defupd_error *err)
{
    struct dk_host *host = user;

    dk_name(host, path);
    if (old < host->index->file || old >= host->index->file + host->index->count)
        host->broken = "kept a file that is none";
    return du_buf_printf(&host->out, err, "keep %c %s = %s\n", exec ? 'x' : '-', path, old->path);
}

static inline defupd_code dk_open(void *user, const char *path, uint64_t size, bool exec,
                                  defupd_error *err)
{
    struct dk_host *host = user;

    dk_name(host, path);
    if (size > host->most)
        return DU_FAIL(err, DEFUPD_E_TREE, "more than is signed");
    host->most -= size;
    host->open = true;
    host->left = size;
    return du_buf_printf(&host->out, err, "make %c %s %" PRIu64 "\n", exec ? 'x' : '-', path, size);
}

static inline defupd_code dk_data(void *user, const void *bytes, size_t count, defupd_error *err)
{
    struct dk_host *host = user;

    if (!host->open || count > host->left || count == 0) {
        host->broken = "gave more than the size it told";
        return DEFUPD_OK;
    }
    host->left -= count;
    return du_buf_add(&host->out, bytes, count, err);
}

static inline defupd_code dk_close(void *user, defupd_error *err)
{
    struct dk_host *host = user;

    if (!host->open || host->left > 0)
        host->broken = "gave less than the size it told";
    host->open = false;
    return du_buf_add(&host->out, "\n", 1, err);
}

/* What the decoder makes is then in host->out. */
static inline defupd_code dk_decode(struct dk_host *host, defupd_error *err)
{
    const struct du_delta_host calls = { .user = host,
                                         .delta = dk_delta,
                                         .old = dk_old,
                                         .keep = dk_keep,
                                         .open = dk_open,
                                         .data = dk_data,
                                         .close = dk_close,
                                         .start = host->start };

    return du_delta_decode(&calls, host->delta.len, host->index, "demo 2", err);
}

/* An old tree of `count` files that stand end to end in `bytes`; their digests are not looked at.
 */
static inline void dk_index(struct du_index *index, const char *const *path, const size_t *size,
                            size_t count)
{
    static const unsigned char none[DU_SHA256_BYTES];
    defupd_error err = { 0 };

    for (size_t i = 0; i < count; i++) {
        if (du_index_add(index, path[i], size[i], none, false, &err) != DEFUPD_OK)
            abort();
    }
}

/* --- a small old tree: text and a table of words --- */

enum { DK_SMALL = 5 };
static const char *const dk_small_path[DK_SMALL] = { "bin/table", "empty", "rules/a.yar",
                                                     "rules/b.yar", "same" };

struct dk_small {
    size_t size[DK_SMALL];
    struct du_buf bytes;
};

static inline void dk_add(struct du_buf *out, const void *bytes, size_t count)
{
    defupd_error err;

    if (du_buf_add(out, bytes, count, &err) != DEFUPD_OK)
        abort();
}

static inline void dk_rules(struct du_buf *out, unsigned first, unsigned end)
{
    for (unsigned i = first; i < end; i++) {
        char rule[160];
        const int len = snprintf(rule, sizeof rule,
                                 "rule family_%u { strings: $a = \"%08x\" condition: $a at %u }\n",
                                 i, i * 2654435761U, i * 40503U % 997);

        dk_add(out, rule, (size_t)len);
    }
}

static inline void dk_words(struct du_buf *out, unsigned count, unsigned base)
{
    for (unsigned i = 0; i < count; i++) {
        const unsigned word = base + i * i * 3 + i * 37;

        dk_add(out,
               (const unsigned char[]){ (unsigned char)word, (unsigned char)(word >> 8),
                                        (unsigned char)(word >> 16), (unsigned char)(word >> 24) },
               4);
    }
}

static inline void dk_small_make(struct dk_small *small)
{
    size_t before;

    small->bytes = DU_BUF(100000);
    dk_words(&small->bytes, 200, 0x1000);
    small->size[0] = before = small->bytes.len;
    small->size[1] = 0;
    dk_rules(&small->bytes, 0, 20);
    small->size[2] = small->bytes.len - before;
    before = small->bytes.len;
    dk_rules(&small->bytes, 100, 112);
    small->size[3] = small->bytes.len - before;
    dk_add(&small->bytes, "always the same\n", 16);
    small->size[4] = 16;
}

/* --- a writer --- */

enum dk_stream {
    DK_FILES,
    DK_LITERAL_LENGTHS,
    DK_COPY_LENGTHS,
    DK_SEEKS,
    DK_MODES,
    DK_GAPS,
    DK_RUNS,
    DK_REPLACEMENTS,
    DK_DIFFERENCES,
    DK_WORD_GAPS,
    DK_WORDS,
    DK_LITERALS,
    DK_STREAMS
};

struct dk_writer {
    unsigned char context;
    struct du_buf raw[DK_STREAMS];
    int coder[DK_STREAMS];    /* 0: as they are; else 1 + lc + 9 * (lp + 5 * pb) */
    unsigned cut[DK_STREAMS]; /* bytes left out at the end of an LZMA stream */
    struct du_bytes paths;    /* the preset dictionary of the list of files */
    struct du_bytes dict;     /* that of the literals */
};

static inline void dk_bytes(struct dk_writer *w, enum dk_stream stream, const void *bytes,
                            size_t count)
{
    defupd_error err;

    w->raw[stream].max = SIZE_MAX / 2;
    if (du_buf_add(&w->raw[stream], bytes, count, &err) != DEFUPD_OK)
        abort();
}

static inline void dk_byte(struct dk_writer *w, enum dk_stream stream, unsigned byte)
{
    dk_bytes(w, stream, &(unsigned char){ (unsigned char)byte }, 1);
}

static inline void dk_text(struct dk_writer *w, enum dk_stream stream, const char *text)
{
    dk_bytes(w, stream, text, strlen(text));
}

static inline size_t dk_varint(unsigned char out[10], uint64_t value)
{
    size_t count = 0;

    for (; value >= 128; value /= 128)
        out[count++] = (unsigned char)(128 + value % 128);
    out[count++] = (unsigned char)value;
    return count;
}

static inline void dk_number(struct dk_writer *w, enum dk_stream stream, uint64_t value)
{
    unsigned char bytes[10];

    dk_bytes(w, stream, bytes, dk_varint(bytes, value));
}

static inline void dk_signed(struct dk_writer *w, enum dk_stream stream, int64_t value)
{
    dk_number(w, stream, value < 0 ? (uint64_t) - (value + 1) * 2 + 1 : (uint64_t)value * 2);
}

static inline void dk_keep_files(struct dk_writer *w, uint64_t count)
{
    dk_number(w, DK_FILES, count * 4);
}

static inline void dk_drop_files(struct dk_writer *w, uint64_t count)
{
    dk_number(w, DK_FILES, count * 4 + 1);
}

/* One old file whose size changes by so much. */
static inline void dk_change_file(struct dk_writer *w, int64_t by)
{
    dk_number(w, DK_FILES, 1 * 4 + 2);
    dk_signed(w, DK_FILES, by);
}

static inline void dk_new_path(struct dk_writer *w, unsigned flags, uint64_t shared,
                               const char *rest)
{
    dk_number(w, DK_FILES, flags * 4 + 3);
    dk_number(w, DK_FILES, shared);
    dk_number(w, DK_FILES, strlen(rest));
    dk_text(w, DK_FILES, rest);
}

static inline void dk_new_file(struct dk_writer *w, bool exec, const char *path, uint64_t size)
{
    dk_new_path(w, exec ? 1 : 0, 0, path);
    dk_number(w, DK_FILES, size);
}

static inline void dk_literal(struct dk_writer *w, const void *bytes, size_t count)
{
    dk_number(w, DK_LITERAL_LENGTHS, count);
    dk_bytes(w, DK_LITERALS, bytes, count);
}

/* A copy without literals before it needs dk_literal(w, "", 0). */
static inline void dk_copy(struct dk_writer *w, uint64_t count, int64_t seek)
{
    dk_number(w, DK_COPY_LENGTHS, count);
    dk_signed(w, DK_SEEKS, seek);
}

/* Raw LZMA, without its first byte, without end marker; the dictionary's size by the rule. */
static inline void dk_lzma(struct du_buf *out, const struct dk_writer *w, int stream)
{
    static const uint32_t most[DK_STREAMS] = { 512, 128, 256, 256, 128,  256,
                                               256, 256, 512, 512, 1024, 4096 };
    const struct du_buf *raw = &w->raw[stream];
    const struct du_bytes dict = stream == DK_FILES      ? w->paths
                                 : stream == DK_LITERALS ? w->dict
                                                         : (struct du_bytes){ 0 };
    const size_t need = raw->len + dict.len;
    const unsigned coder = (unsigned)w->coder[stream] - 1;
    lzma_options_lzma options;
    const lzma_filter filters[] = { { LZMA_FILTER_LZMA1, &options }, { LZMA_VLI_UNKNOWN, NULL } };
    size_t len = 0;
    defupd_error err;

    if (lzma_lzma_preset(&options, 1))
        abort();
    options.dict_size = need < 4096                         ? 4096
                        : need < (size_t)most[stream] << 10 ? (uint32_t)need
                                                            : most[stream] << 10;
    options.preset_dict = dict.data;
    options.preset_dict_size = (uint32_t)dict.len;
    options.lc = coder % 9;
    options.lp = coder / 9 % 5;
    options.pb = coder / 45;
    if (du_buf_reserve(out, raw->len * 2 + 1000, &err) != DEFUPD_OK ||
        lzma_raw_buffer_encode(filters, NULL, raw->data, raw->len, out->data, &len,
                               raw->len * 2 + 1000) != LZMA_OK ||
        out->data[0] != 0)
        abort();
    out->len = len - 1 - w->cut[stream];
    memmove(out->data, out->data + 1, out->len);
}

/* The object. */
static inline void dk_finish(const struct dk_writer *w, struct du_buf *out)
{
    struct du_buf packed[DK_STREAMS];
    unsigned char number[10];

    *out = DU_BUF(SIZE_MAX / 2);
    dk_add(out, "DUD\1", 4);
    dk_add(out, &w->context, 1);
    for (int i = 0; i < DK_STREAMS; i++) {
        const unsigned char coder = (unsigned char)(w->coder[i] - 1); /* 255 for none */

        packed[i] = DU_BUF(SIZE_MAX / 2);
        dk_add(out, number, dk_varint(number, w->raw[i].len));
        if (w->raw[i].len == 0)
            continue;
        dk_add(out, &coder, 1);
        if (w->coder[i] == 0) {
            dk_add(&packed[i], w->raw[i].data, w->raw[i].len);
        } else {
            dk_lzma(&packed[i], w, i);
            dk_add(out, number, dk_varint(number, packed[i].len));
        }
    }
    for (int i = 0; i < DK_STREAMS; i++) {
        if (packed[i].len > 0)
            dk_add(out, packed[i].data, packed[i].len);
        du_buf_free(&packed[i]);
    }
}

static inline void dk_free(struct dk_writer *w)
{
    for (int i = 0; i < DK_STREAMS; i++)
        du_buf_free(&w->raw[i]);
}
#define DK_WRITER __attribute__((cleanup(dk_free))) struct dk_writer

/* xorshift64: the same on every machine. */
static inline uint64_t dk_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

#endif
