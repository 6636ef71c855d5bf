/* SPDX-License-Identifier: Apache-2.0 */
/* One coded stream of a delta: bytes as they are, or raw LZMA without its first byte and with
 * zeros for bytes left out at its end. */
#include <string.h>

#include "delta/delta_priv.h"

/* A range decoder looks at most five bytes ahead; zeros beyond them are for a delta that was not
 * made by an encoder. */
#define ZEROS_MAX 16

const uint32_t du_delta_window_max[DU_STREAMS] = {
    [DU_STREAM_FILES] = 512 << 10,        [DU_STREAM_LITERAL_LENGTHS] = 128 << 10,
    [DU_STREAM_COPY_LENGTHS] = 256 << 10, [DU_STREAM_SEEKS] = 256 << 10,
    [DU_STREAM_MODES] = 128 << 10,        [DU_STREAM_GAPS] = 256 << 10,
    [DU_STREAM_RUNS] = 256 << 10,         [DU_STREAM_REPLACEMENTS] = 256 << 10,
    [DU_STREAM_DIFFERENCES] = 512 << 10,  [DU_STREAM_WORD_GAPS] = 512 << 10,
    [DU_STREAM_WORDS] = 1 << 20,          [DU_STREAM_LITERALS] = 4 << 20,
};

uint32_t du_delta_window(enum du_delta_stream stream, uint64_t raw, size_t dict)
{
    const uint32_t most = du_delta_window_max[stream];

    if (raw >= most || raw + dict >= most)
        return most;
    return raw + dict > DU_DELTA_WINDOW_MIN ? (uint32_t)(raw + dict) : DU_DELTA_WINDOW_MIN;
}

static defupd_code open_lzma(struct du_code *code, enum du_delta_stream stream,
                             struct du_bytes dict, defupd_error *err)
{
    const unsigned char props = code->head.coder;
    lzma_options_lzma options = {
        .dict_size = du_delta_window(stream, code->head.raw, dict.len),
        .preset_dict = dict.len > 0 ? dict.data : NULL,
        .preset_dict_size = (uint32_t)dict.len,
        .lc = props % 9,
        .lp = props / 9 % 5,
        .pb = props / 45,
    };
    const lzma_filter filters[] = { { LZMA_FILTER_LZMA1, &options }, { LZMA_VLI_UNKNOWN, NULL } };
    lzma_ret rc;

    if (props >= DU_DELTA_PROPS_END || options.lc + options.lp > LZMA_LCLP_MAX)
        return DU_FAIL(err, DEFUPD_E_DELTA_FORMAT, "the delta of %s has a stream with coder %u",
                       code->what, props);
    rc = lzma_raw_decoder(&code->lzma, filters);
    if (rc != LZMA_OK)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory to decode the delta of %s", code->what);
    code->first = true;
    return DEFUPD_OK;
}

defupd_code du_code_open(struct du_code *code, const struct du_delta_host *host,
                         enum du_delta_stream stream, const struct du_stream_head *head,
                         struct du_bytes dict, const char *what, defupd_error *err)
{
    du_code_close(code);
    code->host = host;
    code->what = what;
    code->head = *head;
    code->left = code->undecoded = head->raw;
    code->taken = 0;
    code->bytes = code->out;
    code->pos = code->end = 0;
    if (head->raw == 0 || head->coder == DU_DELTA_RAW)
        return DEFUPD_OK;
    DU_TRY(open_lzma(code, stream, dict, err));
    if (host->start != NULL && head->packed >= DU_CODE_AHEAD)
        code->ahead = du_ahead_open(code, stream);
    return DEFUPD_OK;
}

void du_code_close(struct du_code *code)
{
    du_ahead_close(code->ahead);
    code->ahead = NULL;
    lzma_end(&code->lzma);
    code->lzma = (lzma_stream)LZMA_STREAM_INIT;
    code->left = 0;
    code->pos = code->end = 0;
}

/* More packed bytes for the coder: the one left out before, those of the delta, zeros after. */
static defupd_code refill(struct du_code *code, defupd_error *err)
{
    const uint64_t left = code->head.packed - code->taken;
    size_t count = left < DU_CODE_IN ? (size_t)left : DU_CODE_IN;

    if (code->first) {
        code->first = false;
        code->in[0] = 0;
        count = 1;
    } else if (count > 0) {
        DU_TRY(
            code->host->delta(code->host->user, code->head.at + code->taken, code->in, count, err));
        code->taken += count;
    } else {
        if (code->lzma.total_in > code->head.packed + ZEROS_MAX)
            return DU_FAIL(err, DEFUPD_E_DELTA_FORMAT, "the delta of %s has a stream cut short",
                           code->what);
        memset(code->in, 0, ZEROS_MAX);
        count = ZEROS_MAX;
    }
    code->lzma.next_in = code->in;
    code->lzma.avail_in = count;
    return DEFUPD_OK;
}

defupd_code du_code_produce(struct du_code *code, unsigned char *bytes, size_t count,
                            defupd_error *err)
{
    code->undecoded -= count;
    if (code->head.coder == DU_DELTA_RAW) {
        const uint64_t at = code->head.at + code->taken;
        code->taken += count;
        return code->host->delta(code->host->user, at, bytes, count, err);
    }
    code->lzma.next_out = bytes;
    code->lzma.avail_out = count;
    while (code->lzma.avail_out > 0) {
        lzma_ret rc;

        if (code->lzma.avail_in == 0)
            DU_TRY(refill(code, err));
        rc = lzma_code(&code->lzma, LZMA_RUN);
        if (rc == LZMA_MEM_ERROR)
            return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory to decode the delta of %s", code->what);
        /* With the last byte it may already have looked at what follows: an end marker, or nothing
         * that it has to understand. */
        if (rc != LZMA_OK && rc != LZMA_BUF_ERROR &&
            (code->undecoded > 0 || code->lzma.avail_out > 0))
            return DU_FAIL(err, DEFUPD_E_DELTA_FORMAT,
                           "the delta of %s has a stream that cannot be decoded", code->what);
    }
    return DEFUPD_OK;
}

static defupd_code fill(struct du_code *code, defupd_error *err)
{
    const size_t count = code->left < DU_CODE_OUT ? (size_t)code->left : DU_CODE_OUT;

    if (count == 0)
        return DU_FAIL(err, DEFUPD_E_DELTA_FORMAT, "the delta of %s has a stream that is too short",
                       code->what);
    code->pos = code->end = 0;
    if (code->ahead != NULL)
        DU_TRY(du_ahead_next(code->ahead, &code->bytes, &code->end, err));
    else
        DU_TRY(du_code_produce(code, code->out, count, err));
    code->end = code->ahead != NULL ? code->end : count;
    code->left -= code->end;
    return DEFUPD_OK;
}

defupd_code du_code_read(struct du_code *code, void *bytes, size_t count, defupd_error *err)
{
    unsigned char *to = bytes;

    while (count > 0) {
        size_t part = code->end - code->pos;

        if (part == 0 && count >= DU_CODE_OUT && code->left >= count && code->ahead == NULL) {
            code->left -= count;
            return du_code_produce(code, to, count, err);
        }
        if (part == 0) {
            DU_TRY(fill(code, err));
            part = code->end;
        }
        part = part < count ? part : count;
        memcpy(to, code->bytes + code->pos, part);
        code->pos += part;
        to += part;
        count -= part;
    }
    return DEFUPD_OK;
}

defupd_code du_code_long_varint(struct du_code *code, uint64_t *value, defupd_error *err)
{
    uint64_t sum = 0;

    for (unsigned shift = 0; shift < 7 * DU_VARINT_BYTES; shift += 7) {
        unsigned char byte;

        if (code->pos == code->end)
            DU_TRY(fill(code, err));
        byte = code->bytes[code->pos++];
        sum |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *value = sum;
            return DEFUPD_OK;
        }
    }
    return DU_FAIL(err, DEFUPD_E_DELTA_FORMAT, "the delta of %s has a number that is too large",
                   code->what);
}
