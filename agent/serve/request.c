/* SPDX-License-Identifier: Apache-2.0 */
#include "serve_priv.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

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

bool du_serve_unescape(char *out, size_t size, const char *path)
{
    size_t n = 0;

    for (const char *at = path; *at != '\0'; at++) {
        char c = *at;

        if (c == '%') {
            const int high = hex_digit(at[1]);
            const int low = high < 0 ? -1 : hex_digit(at[2]);
            if (low < 0 || (high == 0 && low == 0))
                return false;
            c = (char)(high * 16 + low);
            at += 2;
        }
        if (n + 1 >= size)
            return false;
        out[n++] = c;
    }
    out[n] = '\0';
    return true;
}

bool du_serve_path_ok(const char *path)
{
    const size_t len = strlen(path);

    if (path[0] != '/' || len < 2 || path[len - 1] == '/')
        return false;
    if (len >= 4 && strcmp(path + len - 4, ".tmp") == 0)
        return false;
    for (const char *at = path; *at != '\0'; at++) {
        const unsigned char c = (unsigned char)*at;
        if (c < 0x20 || c == 0x7f || c == '\\')
            return false;
        if (c == '/' && (at[1] == '/' || at[1] == '.'))
            return false;
    }
    return true;
}

bool du_serve_in_repository(const char *path)
{
    return strncmp(path, "/metadata/", 10) == 0 || strncmp(path, "/targets/", 9) == 0 ||
           strncmp(path, "/objects/", 9) == 0;
}

bool du_serve_immutable(const char *path)
{
    const char *name = strrchr(path, '/');

    if (strncmp(path, "/objects/", 9) == 0)
        return true;
    if (name == NULL)
        return false;
    name++;
    if (strncmp(path, "/metadata/", 10) == 0) {
        const size_t digits = strspn(name, "0123456789");
        return digits > 0 && name[digits] == '.';
    }
    if (strncmp(path, "/targets/", 9) == 0)
        return strspn(name, "0123456789abcdef") == 64 && name[64] == '.';
    return false;
}

const char *du_serve_digest(const char *path)
{
    const char *name = path + sizeof "/objects/ab/" - 1;

    if (strncmp(path, "/objects/", 9) != 0 || strlen(path) != sizeof "/objects/ab/" - 1 + 64 ||
        path[11] != '/' || strspn(name, "0123456789abcdef") != 64 ||
        strncmp(path + 9, name, 2) != 0)
        return NULL;
    return name;
}

void du_serve_from_hex(unsigned char out[32], const char *digest)
{
    for (size_t i = 0; i < 32; i++)
        out[i] = (unsigned char)(hex_digit(digest[2 * i]) * 16 + hex_digit(digest[2 * i + 1]));
}

/* Days since 1970 as a date: after Howard Hinnant's description of the calendar in eras of 400
 * years that begin in March. strftime() would speak the language of the environment. */
void du_serve_date(char out[DU_HTTP_DATE], int64_t when)
{
    static const char days[7][4] = { "Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed" };
    static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
    const uint64_t second = when > 0 ? (uint64_t)when : 0, day = second / 86400;
    const uint64_t shifted = day + 719468, era = shifted / 146097, in_era = shifted % 146097;
    const uint64_t year = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    const uint64_t in_year = in_era - (365 * year + year / 4 - year / 100);
    const uint64_t month = (5 * in_year + 2) / 153; /* March is 0 */

    (void)snprintf(out, DU_HTTP_DATE, "%s, %02u %s %04u %02u:%02u:%02u GMT", days[day % 7],
                   (unsigned)(in_year - (153 * month + 2) / 5 + 1), months[(month + 2) % 12],
                   (unsigned)(year + era * 400 + (month >= 10)) % 10000,
                   (unsigned)(second / 3600 % 24), (unsigned)(second / 60 % 60),
                   (unsigned)(second % 60));
}

/* Digits at *at, moving past them; values beyond what a file can have stay at UINT64_MAX. */
static bool number(const char **at, uint64_t *out)
{
    uint64_t n = 0;

    if (!isdigit((unsigned char)**at))
        return false;
    for (; isdigit((unsigned char)**at); (*at)++)
        if (__builtin_mul_overflow(n, 10U, &n) ||
            __builtin_add_overflow(n, (unsigned)(**at - '0'), &n))
            n = UINT64_MAX;
    *out = n;
    return true;
}

enum du_range du_serve_range(const char *header, uint64_t size, uint64_t *first, uint64_t *count)
{
    uint64_t from = 0, to = UINT64_MAX;
    const char *at = header;
    bool has_from;

    if (strncmp(at, "bytes=", 6) != 0)
        return DU_RANGE_NONE;
    at += 6;
    has_from = number(&at, &from);
    if (*at++ != '-')
        return DU_RANGE_NONE;
    if (!number(&at, &to) && !has_from)
        return DU_RANGE_NONE;
    if (*at != '\0' || (has_from && to < from))
        return DU_RANGE_NONE;
    if (!has_from) { /* the last `to` bytes */
        if (to == 0 || size == 0)
            return DU_RANGE_UNSATISFIABLE;
        *count = to < size ? to : size;
        *first = size - *count;
        return DU_RANGE_PART;
    }
    if (from >= size)
        return DU_RANGE_UNSATISFIABLE;
    *first = from;
    *count = (to < size ? to + 1 : size) - from;
    return DU_RANGE_PART;
}

bool du_serve_etag_listed(const char *header, const char *etag)
{
    const size_t len = strlen(etag);

    for (const char *at = header; *at != '\0';) {
        at += strspn(at, " \t,");
        if (*at == '*')
            return true;
        if (strncmp(at, "W/", 2) == 0)
            at += 2;
        if (strncmp(at, etag, len) == 0 && (at[len] == '\0' || strchr(" \t,", at[len]) != NULL))
            return true;
        at += strcspn(at, ",");
    }
    return false;
}
