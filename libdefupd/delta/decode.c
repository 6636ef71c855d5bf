/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The delta decoder (docs/formats/delta.md): the head, the preset dictionary, then the contents in
 * the order of the files. Bytes in, bytes out; everything else is its host's.
 *
 * What bounds it: windows by du_delta_window_max, the dictionary by DU_DELTA_DICT_MAX, each old
 * position and length by the old tree, each content by its size. Sizes themselves are the host's to
 * refuse, when a file is opened.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "delta/delta_priv.h"

#define OUT_BYTES (128U << 10)
#define HEAD_MAX (DU_DELTA_MAGIC_BYTES + 1 + DU_STREAMS * (2 * DU_VARINT_BYTES + 1))

struct decoder {
    const struct du_delta_host *host;
    const struct du_index *old;
    const char *what;
    unsigned char context;
    struct du_stream_head head[DU_STREAMS];
    struct du_code code[DU_STREAMS];
    struct du_list list;
    struct du_fix fix;
    uint64_t at; /* old position */
    size_t filled;
    unsigned char out[OUT_BYTES];
};

static defupd_code bad_delta(const struct decoder *d, const char *why, defupd_error *err)
{
    return DU_FAIL(err, DEFUPD_E_DELTA_FORMAT, "the delta of %s %s", d->what, why);
}

/* --- head --- */

static bool take_varint(const unsigned char **from, const unsigned char *end, uint64_t *value)
{
    *value = 0;
    for (unsigned shift = 0; shift < 7 * DU_VARINT_BYTES && *from < end; shift += 7) {
        const unsigned char byte = *(*from)++;

        *value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return true;
    }
    return false;
}

static bool take_stream(const unsigned char **from, const unsigned char *end,
                        struct du_stream_head *head)
{
    if (!take_varint(from, end, &head->raw))
        return false;
    if (head->raw == 0)
        return true;
    if (*from == end)
        return false;
    head->coder = *(*from)++;
    head->packed = head->raw;
    return head->coder == DU_DELTA_RAW || take_varint(from, end, &head->packed);
}

static defupd_code read_head(struct decoder *d, uint64_t bytes, defupd_error *err)
{
    unsigned char head[HEAD_MAX];
    const size_t count = bytes < sizeof head ? (size_t)bytes : sizeof head;
    const unsigned char *at = head, *end = head + count;
    uint64_t next;

    DU_TRY(d->host->delta(d->host->user, 0, head, count, err));
    if (count <= DU_DELTA_MAGIC_BYTES || memcmp(head, DU_DELTA_MAGIC, DU_DELTA_MAGIC_BYTES) != 0)
        return bad_delta(d, "does not begin as one", err);
    at += DU_DELTA_MAGIC_BYTES;
    d->context = *at++;
    if (d->context > DU_DELTA_CONTEXT_LOG_MAX + 1)
        return bad_delta(d, "wants too large a dictionary", err);
    for (int i = 0; i < DU_STREAMS; i++) {
        if (!take_stream(&at, end, &d->head[i]))
            return bad_delta(d, "has a head that is cut short", err);
    }
    next = (uint64_t)(at - head);
    for (int i = 0; i < DU_STREAMS; i++) {
        d->head[i].at = next;
        if (!du_add(next, d->head[i].packed, &next) || next > bytes)
            return bad_delta(d, "is cut short", err);
    }
    return next == bytes ? DEFUPD_OK : bad_delta(d, "has bytes after its end", err);
}

/* --- streams --- */

static defupd_code open_stream(struct decoder *d, enum du_delta_stream stream, struct du_bytes dict,
                               defupd_error *err)
{
    return du_code_open(&d->code[stream], d->host, stream, &d->head[stream], dict, d->what, err);
}

static defupd_code open_streams(struct decoder *d, enum du_delta_stream first,
                                enum du_delta_stream last, defupd_error *err)
{
    for (enum du_delta_stream i = first; i <= last; i++)
        DU_TRY(open_stream(d, i, (struct du_bytes){ 0 }, err));
    return DEFUPD_OK;
}

/* The streams that say where everything is; read once for the dictionary and once for the tree. */
static defupd_code open_places(struct decoder *d, defupd_error *err)
{
    DU_AUTO_BUF paths = DU_BUF(DU_DELTA_PATHS_MAX);

    if (d->head[DU_STREAM_FILES].raw > 0 && d->head[DU_STREAM_FILES].coder != DU_DELTA_RAW)
        DU_TRY(du_list_paths(d->old, &paths, err));
    DU_TRY(open_stream(d, DU_STREAM_FILES, du_buf_bytes(&paths), err));
    DU_TRY(open_streams(d, DU_STREAM_LITERAL_LENGTHS, DU_STREAM_SEEKS, err));
    d->list = (struct du_list){ .code = &d->code[DU_STREAM_FILES], .old = d->old, .what = d->what };
    return DEFUPD_OK;
}

static defupd_code check_ends(const struct decoder *d, defupd_error *err)
{
    for (int i = 0; i < DU_STREAMS; i++) {
        if (du_code_left(&d->code[i]) > 0)
            return bad_delta(d, "has more in its streams than its files need", err);
    }
    if (d->fix.until != DU_DELTA_NOTHING || d->fix.until_word != DU_DELTA_NOTHING)
        return bad_delta(d, "mends more than it copies", err);
    return DEFUPD_OK;
}

/* --- instructions --- */

/* Literals, then a copy: which follows unless the literals were the end. */
static defupd_code read_literal_length(struct decoder *d, uint64_t left, uint64_t *literals,
                                       defupd_error *err)
{
    DU_TRY(du_code_varint(&d->code[DU_STREAM_LITERAL_LENGTHS], literals, err));
    return *literals <= left ? DEFUPD_OK : bad_delta(d, "puts more into a file than its size", err);
}

static defupd_code read_copy(struct decoder *d, uint64_t left, uint64_t *count, defupd_error *err)
{
    uint64_t seek, at;

    DU_TRY(du_code_varint(&d->code[DU_STREAM_COPY_LENGTHS], count, err));
    DU_TRY(du_code_varint(&d->code[DU_STREAM_SEEKS], &seek, err));
    if (*count == 0)
        *count = left;
    if (*count > left)
        return bad_delta(d, "puts more into a file than its size", err);
    at = d->at + (uint64_t)du_unzigzag(seek); /* a result below 0 is far above the old size */
    if (at > d->old->bytes || *count > d->old->bytes - at)
        return bad_delta(d, "copies from outside the old tree", err);
    d->at = at;
    return DEFUPD_OK;
}

/* --- preset dictionary --- */

struct dict {
    unsigned char *data;
    size_t len;
    uint64_t low, high; /* the range taken before */
    bool full;
};

static void dict_free(struct dict *dict)
{
    free(dict->data);
}

static defupd_code take_context(struct decoder *d, struct dict *dict, defupd_error *err)
{
    const uint64_t context = (uint64_t)1 << (d->context - 1);
    uint64_t low = d->at > context ? d->at - context : 0;
    const uint64_t high = d->old->bytes - d->at > context ? d->at + context : d->old->bytes;
    size_t count;

    if (low < dict->high && dict->low < high) {
        low = dict->high;
        dict->high = high > dict->high ? high : dict->high;
    } else {
        dict->low = low;
        dict->high = high;
    }
    if (low >= high)
        return DEFUPD_OK;
    count = DU_DELTA_DICT_MAX - dict->len;
    dict->full = high - low > count;
    count = dict->full ? count : (size_t)(high - low);
    DU_TRY(d->host->old(d->host->user, low, dict->data + dict->len, count, err));
    dict->len += count;
    return DEFUPD_OK;
}

static defupd_code gather_file(struct decoder *d, struct dict *dict, uint64_t left,
                               defupd_error *err)
{
    while (left > 0 && !dict->full) {
        uint64_t literals, count;

        DU_TRY(read_literal_length(d, left, &literals, err));
        if (literals > 0)
            DU_TRY(take_context(d, dict, err));
        left -= literals;
        if (left == 0)
            break;
        DU_TRY(read_copy(d, left, &count, err));
        d->at += count;
        left -= count;
    }
    return DEFUPD_OK;
}

static defupd_code open_literals(struct decoder *d, defupd_error *err)
{
    DU_AUTO(dict_free) struct dict dict = { 0 };
    bool end = false;

    if (d->context > 0) {
        dict.data = malloc(DU_DELTA_DICT_MAX);
        if (dict.data == NULL)
            return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory to decode the delta of %s", d->what);
        DU_TRY(open_places(d, err));
        while (!dict.full) {
            struct du_list_item item;

            DU_TRY(du_list_next(&d->list, &item, &end, err));
            if (end)
                break;
            d->at = item.at;
            if (item.old == NULL)
                DU_TRY(gather_file(d, &dict, item.size, err));
        }
    }
    return open_stream(d, DU_STREAM_LITERALS, (struct du_bytes){ dict.data, dict.len }, err);
}

/* --- content --- */

static defupd_code flush(struct decoder *d, defupd_error *err)
{
    const size_t count = d->filled;

    d->filled = 0;
    return count > 0 ? d->host->data(d->host->user, d->out, count, err) : DEFUPD_OK;
}

static defupd_code put_literals(struct decoder *d, uint64_t count, defupd_error *err)
{
    while (count > 0) {
        const size_t space = OUT_BYTES - d->filled;
        const size_t part = count < space ? (size_t)count : space;

        DU_TRY(du_code_read(&d->code[DU_STREAM_LITERALS], d->out + d->filled, part, err));
        d->filled += part;
        count -= part;
        if (d->filled == OUT_BYTES)
            DU_TRY(flush(d, err));
    }
    return DEFUPD_OK;
}

static defupd_code read_mode(struct decoder *d, unsigned char *mode, defupd_error *err)
{
    *mode = DU_MODE_REPLACE;
    if (d->head[DU_STREAM_MODES].raw > 0)
        DU_TRY(du_code_read(&d->code[DU_STREAM_MODES], mode, 1, err));
    return *mode < DU_MODES ? DEFUPD_OK : bad_delta(d, "mends in an unknown way", err);
}

/* A copy goes through the buffer in pieces, which end between words where words are mended. */
static defupd_code put_copy(struct decoder *d, uint64_t count, defupd_error *err)
{
    unsigned char mode;
    size_t first;

    DU_TRY(read_mode(d, &mode, err));
    first = mode >= DU_MODE_WORDS ? mode - (size_t)DU_MODE_WORDS : 0;
    while (count > 0) {
        unsigned char *to = d->out + d->filled;
        size_t part = OUT_BYTES - d->filled;

        if (part < 8) {
            DU_TRY(flush(d, err));
            continue;
        }
        if (count <= part)
            part = (size_t)count;
        else if (mode >= DU_MODE_WORDS)
            part -= (part - first) % 4;
        DU_TRY(d->host->old(d->host->user, d->at, to, part, err));
        DU_TRY(mode >= DU_MODE_WORDS
                   ? du_fix_words(&d->fix, first, to, part, err)
                   : du_fix_bytes(&d->fix, mode == DU_MODE_SUBTRACT, to, part, err));
        d->filled += part;
        d->at += part;
        count -= part;
        first = 0;
    }
    return DEFUPD_OK;
}

static defupd_code make_content(struct decoder *d, uint64_t left, defupd_error *err)
{
    while (left > 0) {
        uint64_t literals, count;

        DU_TRY(read_literal_length(d, left, &literals, err));
        DU_TRY(put_literals(d, literals, err));
        left -= literals;
        if (left == 0)
            break;
        DU_TRY(read_copy(d, left, &count, err));
        DU_TRY(put_copy(d, count, err));
        left -= count;
    }
    return flush(d, err);
}

static defupd_code make_files(struct decoder *d, defupd_error *err)
{
    const struct du_delta_host *host = d->host;

    for (;;) {
        struct du_list_item item;
        bool end;

        DU_TRY(du_list_next(&d->list, &item, &end, err));
        if (end)
            return DEFUPD_OK;
        if (item.old != NULL) {
            DU_TRY(host->keep(host->user, item.old, item.path, item.exec, err));
            continue;
        }
        d->at = item.at;
        DU_TRY(host->open(host->user, item.path, item.size, item.exec, err));
        DU_TRY(make_content(d, item.size, err));
        DU_TRY(host->close(host->user, err));
    }
}

static void decoder_free(struct decoder **d)
{
    for (int i = 0; *d != NULL && i < DU_STREAMS; i++)
        du_code_close(&(*d)->code[i]);
    free(*d);
}

defupd_code du_delta_decode(const struct du_delta_host *host, uint64_t bytes,
                            const struct du_index *old, const char *what, defupd_error *err)
{
    DU_AUTO(decoder_free) struct decoder *d = calloc(1, sizeof *d);

    if (d == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory to decode the delta of %s", what);
    d->host = host;
    d->old = old;
    d->what = what;
    d->fix = (struct du_fix){ .gaps = &d->code[DU_STREAM_GAPS],
                              .runs = &d->code[DU_STREAM_RUNS],
                              .replacements = &d->code[DU_STREAM_REPLACEMENTS],
                              .differences = &d->code[DU_STREAM_DIFFERENCES],
                              .word_gaps = &d->code[DU_STREAM_WORD_GAPS],
                              .words = &d->code[DU_STREAM_WORDS] };
    DU_TRY(read_head(d, bytes, err));
    DU_TRY(open_literals(d, err));
    DU_TRY(open_places(d, err));
    DU_TRY(open_streams(d, DU_STREAM_MODES, DU_STREAM_WORDS, err));
    DU_TRY(du_fix_begin(&d->fix, err));
    DU_TRY(make_files(d, err));
    return check_ends(d, err);
}

void du_delta_versions(char *out, size_t size)
{
    (void)snprintf(out, size, "liblzma %s", lzma_version_string());
}
