/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decoder of deltas, with a small old tree in memory (delta_kit.h). It never reads outside of
 * what it was given, tells sizes that it keeps to, and makes the same of the same.
 *
 * An input that begins like a delta is one. Of any other the target makes one, so that changes of
 * the input reach the streams: the first byte is the context; three bytes for each stream say its
 * length and its coder; then come the streams.
 */
#include "fuzz.h"

#include "delta_kit.h"

#define NEW_MAX (1U << 20)

static defupd_code decode(struct du_bytes delta, const struct dk_small *old,
                          const struct du_index *index, struct du_buf *out)
{
    defupd_error err = { 0 };
    struct dk_host host = {
        .delta = delta, .old = du_buf_bytes(&old->bytes), .index = index, .most = NEW_MAX
    };
    defupd_code rc;

    host.out = DU_BUF(2 * NEW_MAX);
    rc = dk_decode(&host, &err);
    *out = host.out;
    if (host.broken != NULL)
        (void)fprintf(stderr, "the decoder %s\n", host.broken);
    FUZZ_CHECK(host.broken == NULL);
    FUZZ_CHECK(rc == DEFUPD_OK || rc == DEFUPD_E_DELTA_FORMAT ||
               rc == DEFUPD_E_TREE /* NEW_MAX */ || rc == DEFUPD_E_LIMIT /* long paths */);
    FUZZ_CHECK(rc != DEFUPD_OK || !host.open);
    FUZZ_CHECK(rc == err.code);
    return rc;
}

/* At most as many streams as the input has bytes for; what is left over is the literals'. */
static void wrap(const uint8_t *data, size_t size, struct du_buf *delta)
{
    enum { HEAD = 1 + 3 * DK_STREAMS };
    size_t at = HEAD, part[DK_STREAMS];

    *delta = DU_BUF(size + 1000);
    dk_add(delta, "DUD\1", 4);
    dk_add(delta, data, 1);
    for (int i = 0; i < DK_STREAMS; i++) {
        const uint8_t *head = data + 1 + 3 * i;
        const size_t wish = (size_t)head[0] | (size_t)(head[1] & 15) << 8;
        unsigned char number[10];

        part[i] = wish < size - at && i != DK_LITERALS ? wish : size - at;
        at += part[i];
        if (head[2] >= 225) { /* as they are */
            dk_add(delta, number, dk_varint(number, part[i]));
            if (part[i] > 0)
                dk_add(delta, "\xff", 1);
        } else { /* raw: up to some times as long */
            const uint64_t raw = (uint64_t)part[i] * (1U + (head[1] >> 4)) + 1;

            dk_add(delta, number, dk_varint(number, raw));
            dk_add(delta, &head[2], 1);
            dk_add(delta, number, dk_varint(number, part[i]));
        }
    }
    if (size > HEAD)
        dk_add(delta, data + HEAD, size - HEAD);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    DU_AUTO_BUF delta = { 0 }, first = { 0 }, again = { 0 };
    DU_AUTO_INDEX index = { 0 };
    struct dk_small old;
    defupd_code rc;

    if (size == 0 || (data[0] != 'D' && size <= 3 * DK_STREAMS))
        return 0;
    dk_small_make(&old);
    dk_index(&index, dk_small_path, old.size, DK_SMALL);
    if (data[0] == 'D') { /* an exact allocation */
        delta = DU_BUF(size);
        dk_add(&delta, data, size);
    } else {
        wrap(data, size, &delta);
    }
    rc = decode(du_buf_bytes(&delta), &old, &index, &first);
    if (rc == DEFUPD_OK) {
        FUZZ_CHECK(decode(du_buf_bytes(&delta), &old, &index, &again) == DEFUPD_OK);
        FUZZ_CHECK(first.len == again.len &&
                   (first.len == 0 || memcmp(first.data, again.data, first.len) == 0));
    }
    du_buf_free(&old.bytes);
    return 0;
}
