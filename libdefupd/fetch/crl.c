/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does a certificate revocation list name a certificate? Only for lists that curl's TLS library has
 * turned down, mostly because they are out of date: what such a one lists is revoked all the same.
 * A walk over DER (ITU-T X.690) that knows just enough of RFC 5280, sections 4.1 and 5.1.
 */
#include <stdlib.h>
#include <string.h>

#include "fetch/fetch_priv.h"

enum { TAG_INTEGER = 2, TAG_SEQUENCE = 0x30, TAG_VERSION = 0xa0 };

/* Take the next element off `in`: its tag, its content, and the whole of it. */
static bool next(struct du_bytes *in, int *tag, struct du_bytes *content, struct du_bytes *whole)
{
    size_t head = 2, length;

    if (in->len < 2)
        return false;
    *tag = in->data[0];
    length = in->data[1];
    if (length >= 0x80) {
        const size_t digits = length & 0x7f;

        if (digits == 0 || digits > 4 || in->len < 2 + digits)
            return false;
        head += digits;
        length = 0;
        for (size_t i = 0; i < digits; i++)
            length = length << 8 | in->data[2 + i];
    }
    if (length > in->len - head)
        return false;
    *content = (struct du_bytes){ in->data + head, length };
    *whole = (struct du_bytes){ in->data, head + length };
    in->data += head + length;
    in->len -= head + length;
    return true;
}

/* The content of the next element, which must have this tag. */
static bool enter(struct du_bytes *in, int wanted, struct du_bytes *content)
{
    struct du_bytes whole;
    int tag;

    return next(in, &tag, content, &whole) && tag == wanted;
}

static bool same(struct du_bytes a, struct du_bytes b)
{
    return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

/* Certificate: SEQUENCE { SEQUENCE { [0] version OPTIONAL, serial, algorithm, issuer, ... */
static bool read_certificate(struct du_bytes der, struct du_bytes *serial, struct du_bytes *issuer)
{
    struct du_bytes outer, body, part;
    int tag;

    if (!enter(&der, TAG_SEQUENCE, &outer) || !enter(&outer, TAG_SEQUENCE, &body))
        return false;
    if (body.len > 0 && body.data[0] == TAG_VERSION && !enter(&body, TAG_VERSION, &part))
        return false;
    return enter(&body, TAG_INTEGER, serial) && enter(&body, TAG_SEQUENCE, &part) &&
           next(&body, &tag, &part, issuer);
}

/* List: SEQUENCE { SEQUENCE { version OPTIONAL, algorithm, issuer, this update, next update
 * OPTIONAL, SEQUENCE OF SEQUENCE { serial, ... } OPTIONAL, ... */
static bool list_has(struct du_bytes der, struct du_bytes serial, struct du_bytes issuer)
{
    struct du_bytes outer, body, part, whole, entry, number;
    int tag;

    if (!enter(&der, TAG_SEQUENCE, &outer) || !enter(&outer, TAG_SEQUENCE, &body))
        return false;
    if (body.len > 0 && body.data[0] == TAG_INTEGER && !enter(&body, TAG_INTEGER, &part))
        return false;
    if (!enter(&body, TAG_SEQUENCE, &part) || !next(&body, &tag, &part, &whole) ||
        !same(whole, issuer))
        return false;
    do { /* past the times, which are no sequences */
        if (!next(&body, &tag, &part, &whole))
            return false;
    } while (tag != TAG_SEQUENCE);
    while (enter(&part, TAG_SEQUENCE, &entry)) {
        if (enter(&entry, TAG_INTEGER, &number) && same(number, serial))
            return true;
    }
    return false;
}

static int digit_of(unsigned char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c != '\0' ? strchr(digits, c) : NULL;

    return at != NULL ? (int)(at - digits) : -1;
}

/* The next PEM block off `text`, decoded into `out`, which has room for all of `text`. */
static bool next_block(struct du_bytes *text, unsigned char *out, struct du_bytes *der)
{
    static const char begin[] = "-----BEGIN ", dashes[] = "-----";
    const unsigned char *at = memmem(text->data, text->len, begin, sizeof begin - 1);
    const unsigned char *end = text->data + text->len;
    uint32_t bits = 0;
    int count = 0;
    size_t length = 0;

    if (at == NULL)
        return false;
    at += sizeof begin - 1;
    at = memmem(at, (size_t)(end - at), dashes, sizeof dashes - 1);
    if (at == NULL)
        return false;
    for (at += sizeof dashes - 1; at < end && *at != '-'; at++) {
        const int digit = digit_of(*at);

        if (digit < 0)
            continue; /* line ends and padding */
        bits = bits << 6 | (uint32_t)digit;
        count += 6;
        if (count >= 8) {
            count -= 8;
            out[length++] = (unsigned char)(bits >> count);
        }
    }
    *text = (struct du_bytes){ at, (size_t)(end - at) };
    *der = (struct du_bytes){ out, length };
    return true;
}

bool du_crl_has(struct du_bytes lists, const char *certificate)
{
    struct du_bytes text = { (const unsigned char *)certificate, strlen(certificate) };
    DU_AUTO_FREE unsigned char *of_certificate = malloc(text.len + 1);
    DU_AUTO_FREE unsigned char *of_list = malloc(lists.len + 1);
    struct du_bytes der, serial, issuer;

    if (of_certificate == NULL || of_list == NULL)
        return false;
    if (lists.data == NULL || !next_block(&text, of_certificate, &der) ||
        !read_certificate(der, &serial, &issuer))
        return false;
    while (next_block(&lists, of_list, &der)) {
        if (list_has(der, serial, issuer))
            return true;
    }
    return false;
}
