/* SPDX-License-Identifier: Apache-2.0 */
/* One stream coded the smallest way: raw, or by LZMA with the best of some settings. */
#include <stdlib.h>
#include <string.h>

#include "delta/make_priv.h"

#define SAMPLE_BYTES (256U << 10) /* of a longer stream, to choose the settings by */
#define TRIM_MAX 16               /* bytes that an end marker and the coder's flush take */
#define TRIM_BELOW (64U << 10)

struct setting {
    unsigned char lc, lp, pb;
};

/* Text, bytes without neighbours, words; then the less likely. */
static const struct setting settings[] = { { 3, 0, 0 }, { 0, 0, 0 }, { 0, 2, 2 }, { 1, 0, 0 },
                                           { 0, 0, 2 }, { 2, 0, 0 }, { 4, 0, 0 }, { 1, 2, 2 },
                                           { 0, 1, 1 }, { 0, 3, 3 }, { 1, 3, 3 } };

static defupd_code encode(struct du_buf *out, enum du_delta_stream stream, struct du_bytes raw,
                          struct du_bytes dict, const struct setting *setting, bool fast,
                          defupd_error *err)
{
    lzma_options_lzma options;
    const lzma_filter filters[] = { { LZMA_FILTER_LZMA1, &options }, { LZMA_VLI_UNKNOWN, NULL } };
    const size_t most = raw.len + raw.len / 2 + 4096;

    if (lzma_lzma_preset(&options, fast ? 3 : 9 | LZMA_PRESET_EXTREME))
        return DU_FAIL(err, DEFUPD_E_BUG, "liblzma does not know its own presets");
    options.dict_size = du_delta_window(stream, raw.len, dict.len);
    options.preset_dict = dict.len > 0 ? dict.data : NULL;
    options.preset_dict_size = (uint32_t)dict.len;
    options.lc = setting->lc;
    options.lp = setting->lp;
    options.pb = setting->pb;
    du_buf_clear(out);
    DU_TRY(du_buf_reserve(out, most, err));
    if (lzma_raw_buffer_encode(filters, NULL, raw.data, raw.len, out->data, &out->len, most) !=
        LZMA_OK)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory to make a delta");
    if (out->len < 2 || out->data[0] != 0)
        return DU_FAIL(err, DEFUPD_E_BUG, "LZMA of liblzma %s does not begin with 0",
                       lzma_version_string());
    memmove(out->data, out->data + 1, --out->len);
    return DEFUPD_OK;
}

/* --- bytes at the end that a decoder does not need --- */

static defupd_code give(void *user, uint64_t at, void *bytes, size_t count, defupd_error *err)
{
    const struct du_buf *packed = user;

    (void)err;
    memcpy(bytes, packed->data + at, count);
    return DEFUPD_OK;
}

static bool decodes(const struct du_packed *packed, size_t length, enum du_delta_stream stream,
                    struct du_bytes raw, struct du_bytes dict)
{
    const struct du_delta_host host = { .user = (void *)(uintptr_t)&packed->bytes, .delta = give };
    const struct du_stream_head head = { .raw = raw.len, .packed = length, .coder = packed->coder };
    struct du_code *code = calloc(1, sizeof *code);
    unsigned char *back = malloc(raw.len);
    defupd_error err = { 0 };
    bool good = false;

    if (code != NULL && back != NULL &&
        du_code_open(code, &host, stream, &head, dict, "a new delta", &err) == DEFUPD_OK)
        good = du_code_read(code, back, raw.len, &err) == DEFUPD_OK &&
               memcmp(back, raw.data, raw.len) == 0;
    if (code != NULL)
        du_code_close(code);
    free(code);
    free(back);
    return good;
}

static void trim(struct du_packed *packed, enum du_delta_stream stream, struct du_bytes raw,
                 struct du_bytes dict)
{
    size_t length = packed->bytes.len > TRIM_MAX ? packed->bytes.len - TRIM_MAX : 0;

    if (packed->bytes.len > TRIM_BELOW)
        return;
    while (length < packed->bytes.len && !decodes(packed, length, stream, raw, dict))
        length++;
    packed->bytes.len = length;
}

/* --- choosing --- */

static void keep_smaller(struct du_packed *best, struct du_packed *other,
                         const struct setting *setting)
{
    if (other->bytes.len >= best->bytes.len)
        return;
    const struct du_buf worse = best->bytes;
    best->bytes = other->bytes;
    other->bytes = worse;
    best->coder = (unsigned char)((setting->pb * 5 + setting->lp) * 9 + setting->lc);
}

/* The setting that makes the smallest of a sample. */
static defupd_code choose(const struct setting **best, enum du_delta_stream stream,
                          struct du_bytes raw, struct du_bytes dict, size_t count,
                          struct du_buf *work, defupd_error *err)
{
    size_t least = SIZE_MAX;
    const struct du_bytes sample = { raw.data + (raw.len - SAMPLE_BYTES) / 2, SAMPLE_BYTES };

    for (size_t i = 0; i < count; i++) {
        DU_TRY(encode(work, stream, sample, dict, &settings[i], true, err));
        if (work->len < least) {
            least = work->len;
            *best = &settings[i];
        }
    }
    return DEFUPD_OK;
}

static void packed_free(struct du_packed *packed)
{
    du_buf_free(&packed->bytes);
}

defupd_code du_shrink(struct du_packed *out, enum du_delta_stream stream, struct du_bytes raw,
                      struct du_bytes dict, unsigned effort, defupd_error *err)
{
    DU_AUTO(packed_free) struct du_packed other = { .bytes = DU_BUF(SIZE_MAX / 2) };
    const size_t all = sizeof settings / sizeof *settings;
    const size_t count = effort == 0 ? 1 : effort == 1 ? 5 : all;

    out->bytes.max = SIZE_MAX / 2;
    out->coder = DU_DELTA_RAW;
    du_buf_clear(&out->bytes);
    DU_TRY(du_buf_add(&out->bytes, raw.data, raw.len, err));
    if (raw.len < 8)
        return DEFUPD_OK;
    if (raw.len > SAMPLE_BYTES) {
        const struct setting *best = &settings[0];

        DU_TRY(choose(&best, stream, raw, dict, count, &other.bytes, err));
        DU_TRY(encode(&other.bytes, stream, raw, dict, best, effort == 0, err));
        keep_smaller(out, &other, best);
        return DEFUPD_OK;
    }
    for (size_t i = 0; i < count; i++) {
        DU_TRY(encode(&other.bytes, stream, raw, dict, &settings[i], effort == 0, err));
        keep_smaller(out, &other, &settings[i]);
    }
    if (effort > 0 && out->coder != DU_DELTA_RAW)
        trim(out, stream, raw, dict);
    return DEFUPD_OK;
}
