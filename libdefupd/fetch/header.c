/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "fetch/fetch_priv.h"

void du_answer_init(struct du_answer *answer)
{
    *answer = (struct du_answer){ .date = -1, .range_size = DU_FETCH_SIZE_UNKNOWN };
}

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Copy a value whole or not at all: a shortened ETag or date would say something else. */
static void keep(char *out, size_t size, const char *value)
{
    const size_t len = strlen(value);

    out[0] = '\0';
    if (len < size)
        memcpy(out, value, len + 1);
}

/* "bytes FIRST-LAST/SIZE"; SIZE may be "*", and in a 416 so is the range (RFC 9110 section 14.4).
 */
static bool parse_range(struct du_answer *answer, const char *value)
{
    char text[80];
    char *dash, *slash;
    uint64_t last;

    if (strncasecmp(value, "bytes ", 6) != 0 || strlen(value + 6) >= sizeof text)
        return false;
    memcpy(text, value + 6, strlen(value + 6) + 1);
    slash = strchr(text, '/');
    if (slash == NULL)
        return false;
    *slash++ = '\0';
    if (strcmp(slash, "*") != 0 &&
        !du_parse_u64(slash, DU_FETCH_SIZE_UNKNOWN - 1, &answer->range_size))
        return false;
    if (strcmp(text, "*") == 0) {
        answer->unsatisfied = true;
        return true;
    }
    dash = strchr(text, '-');
    if (dash == NULL)
        return false;
    *dash++ = '\0';
    if (!du_parse_u64(text, INT64_MAX, &answer->range_from) ||
        !du_parse_u64(dash, INT64_MAX, &last) || last < answer->range_from)
        return false;
    answer->ranged = true;
    return true;
}

static void note_coding(struct du_answer *answer, const char *value)
{
    if (answer->coded)
        return;
    answer->coded = true;
    (void)snprintf(answer->coding, sizeof answer->coding, "%s", value);
}

static void note(struct du_answer *answer, const char *name, const char *value)
{
    if (strcasecmp(name, "content-encoding") == 0) {
        if (strcasecmp(value, "identity") != 0)
            note_coding(answer, value);
    } else if (strcasecmp(name, "transfer-encoding") == 0) {
        if (strcasecmp(value, "chunked") != 0 && strcasecmp(value, "identity") != 0) {
            note_coding(answer, value);
            answer->transfer_coded = true;
        }
    } else if (strcasecmp(name, "etag") == 0) {
        keep(answer->etag, sizeof answer->etag, value);
    } else if (strcasecmp(name, "retry-after") == 0) {
        keep(answer->retry, sizeof answer->retry, value);
    } else if (strcasecmp(name, "x-squid-error") == 0 ||
               (strcasecmp(name, "server") == 0 && strncasecmp(value, "tinyproxy/", 10) == 0)) {
        answer->by_proxy = true;
    } else if (strcasecmp(name, "server") == 0) {
        answer->product = du_product_in(value);
    } else if (strcasecmp(name, "date") == 0) {
        answer->date = (int64_t)curl_getdate(value, NULL);
    } else if (strcasecmp(name, "content-range") == 0) {
        answer->range_bad = !parse_range(answer, value);
    }
}

void du_answer_line(struct du_answer *answer, const char *line, size_t len)
{
    char text[1024]; /* nothing that we read is longer */
    char *colon, *value;

    while (len > 0 && blank(line[len - 1]))
        len--;
    if (len >= sizeof text)
        len = sizeof text - 1; /* never ignored: its name may be one that we refuse */
    memcpy(text, line, len);
    text[len] = '\0';
    if (strlen(text) != len) /* a NUL inside */
        return;
    if (strncasecmp(text, "HTTP/", 5) == 0) {
        du_answer_init(answer); /* an interim answer (1xx) came before */
        return;
    }
    colon = strchr(text, ':');
    if (colon == NULL)
        return;
    *colon = '\0';
    for (value = colon + 1; blank(*value); value++) {
    }
    note(answer, text, value);
}

uint32_t du_answer_retry_after(const struct du_answer *answer, int64_t now_s)
{
    const int64_t from = answer->date >= 0 ? answer->date : now_s;
    const char *digits = answer->retry + strspn(answer->retry, "0");
    uint64_t seconds;
    int64_t until;

    if (answer->retry[0] == '\0')
        return 0;
    if (strspn(answer->retry, "0123456789") == strlen(answer->retry)) {
        if (digits[0] == '\0')
            return 0;
        if (!du_parse_u64(digits, DU_FETCH_RETRY_AFTER_MAX_S, &seconds))
            return DU_FETCH_RETRY_AFTER_MAX_S;
        return (uint32_t)seconds;
    }
    until = (int64_t)curl_getdate(answer->retry, NULL);
    if (until < 0 || until <= from)
        return 0;
    return until - from < (int64_t)DU_FETCH_RETRY_AFTER_MAX_S ? (uint32_t)(until - from)
                                                              : DU_FETCH_RETRY_AFTER_MAX_S;
}
