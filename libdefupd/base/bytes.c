/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

defupd_code du_buf_reserve(struct du_buf *buf, size_t count, defupd_error *err)
{
    size_t cap = buf->cap;
    unsigned char *data;

    if (count > buf->max || buf->len > buf->max - count)
        return DU_FAIL(err, DEFUPD_E_LIMIT, "more than %zu bytes", buf->max);
    if (buf->data != NULL && buf->len + count < cap)
        return DEFUPD_OK;
    while (cap <= buf->len + count)
        cap = cap < 256 ? 256 : cap + cap / 2;
    if (cap > buf->max)
        cap = buf->max + 1; /* room for the NUL, never more */
    data = realloc(buf->data, cap);
    if (data == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for %zu bytes", cap);
    buf->data = data;
    buf->cap = cap;
    buf->data[buf->len] = '\0';
    return DEFUPD_OK;
}

defupd_code du_buf_add(struct du_buf *buf, const void *bytes, size_t count, defupd_error *err)
{
    DU_TRY(du_buf_reserve(buf, count, err));
    if (count > 0)
        memcpy(buf->data + buf->len, bytes, count);
    buf->len += count;
    buf->data[buf->len] = '\0';
    return DEFUPD_OK;
}

defupd_code du_buf_add_text(struct du_buf *buf, const char *text, defupd_error *err)
{
    return du_buf_add(buf, text, strlen(text), err);
}

defupd_code du_buf_printf(struct du_buf *buf, defupd_error *err, const char *format, ...)
{
    va_list args;
    int need;

    va_start(args, format);
    need = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (need < 0)
        return DU_FAIL(err, DEFUPD_E_BUG, "bad format");
    DU_TRY(du_buf_reserve(buf, (size_t)need, err));
    va_start(args, format);
    (void)vsnprintf((char *)buf->data + buf->len, (size_t)need + 1, format, args);
    va_end(args);
    buf->len += (size_t)need;
    return DEFUPD_OK;
}

void du_buf_free(struct du_buf *buf)
{
    free(buf->data);
    *buf = (struct du_buf){ .max = buf->max };
}

void du_buf_clear(struct du_buf *buf)
{
    buf->len = 0;
    if (buf->data != NULL)
        buf->data[0] = '\0';
}

const char *du_buf_text(const struct du_buf *buf)
{
    return buf->data != NULL ? (const char *)buf->data : "";
}

void du_hex(char *out, const unsigned char *bytes, size_t count)
{
    static const char digit[] = "0123456789abcdef";

    for (size_t i = 0; i < count; i++) {
        out[2 * i] = digit[bytes[i] >> 4];
        out[2 * i + 1] = digit[bytes[i] & 15];
    }
    out[2 * count] = '\0';
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool du_unhex(unsigned char *out, size_t count, const char *text)
{
    for (size_t i = 0; i < count; i++) {
        const int high = hex_digit(text[2 * i]);
        const int low = high < 0 ? -1 : hex_digit(text[2 * i + 1]);
        if (low < 0)
            return false;
        out[i] = (unsigned char)(high << 4 | low);
    }
    return text[2 * count] == '\0';
}

bool du_parse_u64(const char *text, uint64_t max, uint64_t *out)
{
    uint64_t value = 0;

    if (text[0] == '\0' || (text[0] == '0' && text[1] != '\0'))
        return false;
    for (const char *c = text; *c != '\0'; c++) {
        if (*c < '0' || *c > '9' || !du_mul(value, 10, &value) ||
            !du_add(value, (uint64_t)(*c - '0'), &value))
            return false;
    }
    if (value > max)
        return false;
    *out = value;
    return true;
}

char *du_strdup(const char *text)
{
    return text != NULL ? strdup(text) : NULL;
}

void du_text_wipe(char *text)
{
    if (text != NULL)
        explicit_bzero(text, strlen(text));
    free(text);
}
