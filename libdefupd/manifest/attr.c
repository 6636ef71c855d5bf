/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/scope.h"
#include "base/when.h"
#include "manifest/manifest_priv.h"

defupd_code du_bad(struct du_reader *r, const struct du_xml_node *node, const char *format, ...)
{
    char text[400];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return DU_FAIL(r->err, DEFUPD_E_MANIFEST_FORMAT, "%s:%ld: %s", r->what, du_xml_line(node),
                   text);
}

static defupd_code bad_value(struct du_reader *r, const struct du_xml_node *node, const char *name,
                             const char *value, const char *expected)
{
    return du_bad(r, node, "%s=\"%.100s\" of <%s>: expected %s", name, value, du_xml_name(node),
                  expected);
}

defupd_code du_attr(struct du_reader *r, const struct du_xml_node *node, const char *name,
                    bool required, char **out)
{
    bool nomem = false;

    *out = du_xml_attr(node, name, &nomem);
    if (nomem)
        return DU_FAIL(r->err, DEFUPD_E_NOMEM, "no memory for reading %s", r->what);
    if (*out == NULL && required)
        return du_bad(r, node, "<%s> has no %s", du_xml_name(node), name);
    return DEFUPD_OK;
}

defupd_code du_attr_u64(struct du_reader *r, const struct du_xml_node *node, const char *name,
                        uint64_t min, uint64_t max, uint64_t *out)
{
    DU_AUTO_FREE char *text = NULL;
    char expected[80];

    DU_TRY(du_attr(r, node, name, true, &text));
    if (du_parse_u64(text, max, out) && *out >= min)
        return DEFUPD_OK;
    (void)snprintf(expected, sizeof expected, "a number from %llu to %llu", (unsigned long long)min,
                   (unsigned long long)max);
    return bad_value(r, node, name, text, expected);
}

defupd_code du_attr_time(struct du_reader *r, const struct du_xml_node *node, const char *name,
                         int64_t *out)
{
    DU_AUTO_FREE char *text = NULL;

    DU_TRY(du_attr(r, node, name, true, &text));
    if (du_time_parse(text, out))
        return DEFUPD_OK;
    return bad_value(r, node, name, text, "a time like 2026-11-21T09:00:00Z");
}

defupd_code du_attr_duration(struct du_reader *r, const struct du_xml_node *node, const char *name,
                             uint64_t *out)
{
    DU_AUTO_FREE char *text = NULL;

    DU_TRY(du_attr(r, node, name, true, &text));
    if (text[0] == 'P' && du_duration_parse(text, out)) /* no "02:00:00" here */
        return DEFUPD_OK;
    return bad_value(r, node, name, text, "a duration like PT6H, at most ten years");
}

defupd_code du_attr_digest(struct du_reader *r, const struct du_xml_node *node, const char *name,
                           unsigned char out[DU_SHA256_BYTES])
{
    DU_AUTO_FREE char *text = NULL;

    DU_TRY(du_attr(r, node, name, true, &text));
    if (du_unhex(out, DU_SHA256_BYTES, text))
        return DEFUPD_OK;
    return bad_value(r, node, name, text, "a SHA-256 of 64 hex digits");
}

defupd_code du_attr_word(struct du_reader *r, const struct du_xml_node *node, const char *name,
                         char out[DU_WORD_MAX + 1])
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789._+-";
    DU_AUTO_FREE char *text = NULL;

    DU_TRY(du_attr(r, node, name, true, &text));
    const size_t len = strlen(text);
    if (len == 0 || len > DU_WORD_MAX || strspn(text, allowed) != len)
        return bad_value(r, node, name, text, "a word of at most 64 letters, digits, . _ + -");
    memcpy(out, text, len + 1);
    return DEFUPD_OK;
}

defupd_code du_attr_text(struct du_reader *r, const struct du_xml_node *node, const char *name,
                         size_t max, char *out)
{
    DU_AUTO_FREE char *text = NULL;

    out[0] = '\0';
    DU_TRY(du_attr(r, node, name, false, &text));
    if (text == NULL)
        return DEFUPD_OK;
    du_tidy(text);
    if (strlen(text) > max)
        return du_bad(r, node, "%s of <%s> has %zu bytes, at most %zu are allowed", name,
                      du_xml_name(node), strlen(text), max);
    memcpy(out, text, strlen(text) + 1);
    return DEFUPD_OK;
}

void du_tidy(char *text)
{
    char *to = text;

    for (const char *from = text; *from != '\0'; from++) {
        const unsigned char c = (unsigned char)*from, next = (unsigned char)from[1];

        if (strchr(" \t\r\n", c) != NULL) {
            if (to != text && to[-1] != ' ')
                *to++ = ' ';
        } else if (c < 0x20 || c == 0x7f) {
            *to++ = '?';
        } else if (c == 0xc2 && next >= 0x80 && next < 0xa0) {
            *to++ = '?'; /* C1: some terminals obey these too */
            from++;
        } else {
            *to++ = *from;
        }
    }
    if (to != text && to[-1] == ' ')
        to--;
    *to = '\0';
}
