/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes: views, growable buffers with a maximum, hex. And the types that keep what nobody has
 * vouched for apart from what a signature covers. Verified ones are made by trust/ (metadata and
 * manifests), and by du_object_verify() and du_fetch_object() (objects, against a digest from a
 * verified manifest); by nobody else. */
#ifndef DU_BASE_BYTES_H
#define DU_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

#define DU_SHA256_BYTES 32
#define DU_SHA256_HEX 64 /* digits, without the NUL */

/* Borrowed bytes from anywhere: nobody has vouched for them. */
struct du_bytes {
    const unsigned char *data;
    size_t len;
};

/* Borrowed bytes whose digest or signature has been checked against the trusted roles. */
struct du_verified {
    const unsigned char *data;
    size_t len;
};

/* An open file whose whole content had the right length and digest when this process read it. The
 * descriptor is borrowed. */
struct du_verified_file {
    int fd;
    uint64_t bytes;
};

/* A buffer that grows up to a maximum fixed at birth. `data` is always NUL-terminated one past
 * `len` once anything was appended; it may be NULL when len is 0. */
struct du_buf {
    unsigned char *data;
    size_t len, cap, max;
};

#define DU_AUTO_BUF __attribute__((cleanup(du_buf_free))) struct du_buf
#define DU_BUF(max_bytes)  \
    (struct du_buf)        \
    {                      \
        .max = (max_bytes) \
    }

/* Errors: DEFUPD_E_LIMIT past the maximum, DEFUPD_E_NOMEM. The buffer is then as it was. */
DEFUPD_MUST_CHECK defupd_code du_buf_add(struct du_buf *buf, const void *bytes, size_t count,
                                         defupd_error *err);
DEFUPD_MUST_CHECK defupd_code du_buf_add_text(struct du_buf *buf, const char *text,
                                              defupd_error *err);
__attribute__((format(printf, 3, 4))) DEFUPD_MUST_CHECK defupd_code
du_buf_printf(struct du_buf *buf, defupd_error *err, const char *format, ...);
/* Make room for `count` more bytes without adding them. */
DEFUPD_MUST_CHECK defupd_code du_buf_reserve(struct du_buf *buf, size_t count, defupd_error *err);
void du_buf_free(struct du_buf *buf);
void du_buf_clear(struct du_buf *buf); /* keeps the memory */
static inline struct du_bytes du_buf_bytes(const struct du_buf *buf)
{
    return (struct du_bytes){ buf->data, buf->len };
}
/* The text in the buffer; "" when empty. Borrowed. */
const char *du_buf_text(const struct du_buf *buf);

/* Lower-case hex; `out` gets 2 * count digits and a NUL. */
void du_hex(char *out, const unsigned char *bytes, size_t count);
/* Exactly 2 * count lower- or upper-case digits, then the end of `text`; else false. */
bool du_unhex(unsigned char *out, size_t count, const char *text);

/* Checked arithmetic on foreign sizes: false on overflow, `out` untouched. */
static inline bool du_add(uint64_t a, uint64_t b, uint64_t *out)
{
    uint64_t sum;
    if (__builtin_add_overflow(a, b, &sum))
        return false;
    *out = sum;
    return true;
}
static inline bool du_mul(uint64_t a, uint64_t b, uint64_t *out)
{
    uint64_t product;
    if (__builtin_mul_overflow(a, b, &product))
        return false;
    *out = product;
    return true;
}

/* Plain decimal without sign, blanks or leading zeros ("0" itself is fine), at most `max`; else
 * false. */
bool du_parse_u64(const char *text, uint64_t max, uint64_t *out);

/* NULL on no memory, else yours to free(). NULL stays NULL. */
char *du_strdup(const char *text);
/* Overwrite a text that may be a secret, and free it. NULL is allowed. */
void du_text_wipe(char *text);

#endif
