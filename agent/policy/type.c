/* SPDX-License-Identifier: Apache-2.0 */
/* Values as text. Strict: one way to write each thing is easier to explain than five. */
#include <arpa/inet.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/table.h"

#define NAME_MAX_ 64
#define COMPONENT_MAX 32
#define URL_MAX_ 2048
#define PATH_MAX_ 4096

/* Digits at *text, as many as `digits` at most; moves on. False when there is none, or more. */
static bool digits_at(const char **text, unsigned digits, uint64_t *out)
{
    const char *at = *text;
    uint64_t n = 0;

    for (; *at >= '0' && *at <= '9'; at++) {
        if (digits-- == 0)
            return false;
        n = n * 10 + (uint64_t)(*at - '0');
    }
    if (at == *text)
        return false;
    *text = at;
    *out = n;
    return true;
}

static bool whole_number(const char *text, uint64_t *out)
{
    return (text[0] != '0' || text[1] == '\0') && digits_at(&text, 18, out) && *text == '\0';
}

/* The next unit of `units` that stands here with a number before it; true when it was there. */
static bool unit_at(const char **text, char unit, uint64_t seconds, uint64_t *sum)
{
    const char *at = *text;
    uint64_t n;

    if (!digits_at(&at, 9, &n) || *at != unit)
        return false;
    *text = at + 1;
    *sum += n * seconds;
    return true;
}

/* ISO 8601 of weeks, or of days, hours, minutes, seconds; no months and years, whose length is not
 * known. */
static bool iso_duration(const char *text, uint64_t *out)
{
    uint64_t sum = 0;
    bool any;

    if (*text++ != 'P')
        return false;
    if (unit_at(&text, 'W', 604800, &sum)) {
        *out = sum;
        return *text == '\0';
    }
    any = unit_at(&text, 'D', 86400, &sum);
    if (*text == 'T') {
        text++;
        any = unit_at(&text, 'H', 3600, &sum);
        any = unit_at(&text, 'M', 60, &sum) || any;
        any = unit_at(&text, 'S', 1, &sum) || any;
    }
    *out = sum;
    return any && *text == '\0';
}

/* Exactly two digits and below `limit`. */
static bool two_digits(const char **text, uint64_t limit, uint64_t *out)
{
    const char *start = *text;

    return digits_at(text, 2, out) && *text - start == 2 && *out < limit;
}

static bool clock_duration(const char *text, uint64_t *out)
{
    uint64_t hours, minutes, seconds;

    if (!digits_at(&text, 4, &hours) || *text++ != ':' || !two_digits(&text, 60, &minutes) ||
        *text++ != ':' || !two_digits(&text, 60, &seconds) || *text != '\0')
        return false;
    *out = hours * 3600 + minutes * 60 + seconds;
    return true;
}

static bool read_clock(const char *text, uint64_t *out)
{
    uint64_t hours, minutes;

    if (!two_digits(&text, 25, &hours) || *text++ != ':' || !two_digits(&text, 60, &minutes) ||
        *text != '\0')
        return false;
    *out = hours * 60 + minutes;
    return true;
}

static bool read_size(const char *text, uint64_t *out)
{
    static const char units[] = "KMGT";
    const char *unit;
    uint64_t n;

    if (text[0] == '0' && text[1] != '\0')
        return false;
    if (!digits_at(&text, 15, &n))
        return false;
    unit = *text != '\0' ? strchr(units, *text) : NULL;
    if (unit != NULL) {
        const unsigned shift = 10 * (unsigned)(unit - units + 1);

        if (n > UINT64_MAX >> shift)
            return false;
        n <<= shift;
        text++;
    }
    *out = n;
    return *text == '\0';
}

static bool read_days(const char *text, uint64_t *out)
{
    static const char names[] = "montuewedthufrisatsun";
    uint64_t days = 0;

    for (;;) {
        unsigned day = 0;

        while (day < 7 && strncmp(text, names + (size_t)3 * day, 3) != 0)
            day++;
        if (day == 7 || (days & UINT64_C(1) << day) != 0)
            return false;
        days |= UINT64_C(1) << day;
        text += 3;
        if (*text == '\0')
            break;
        if (*text++ != ',')
            return false;
    }
    *out = days;
    return true;
}

/* Days since 1970-01-01 of a date of the Gregorian calendar. */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
    const int64_t y = month <= 2 ? year - 1 : year, era = y / 400, of_era = y % 400;
    const int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static bool is_form(const char *text, const char *form)
{
    for (; *form != '\0'; form++, text++) {
        if (*form == '0' ? *text < '0' || *text > '9' : *text != *form)
            return false;
    }
    return *text == '\0';
}

/* RFC 3339 in UTC with whole seconds: YYYY-MM-DDTHH:MM:SSZ. */
static bool read_time(const char *text, uint64_t *out)
{
    static const unsigned char lengths[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    unsigned year, month, day, hour, minute, second, length;

    if (!is_form(text, "0000-00-00T00:00:00Z") ||
        sscanf(text, "%4u-%2u-%2uT%2u:%2u:%2uZ", &year, &month, &day, &hour, &minute, &second) != 6)
        return false;
    if (year < 1970 || month < 1 || month > 12 || hour > 23 || minute > 59 || second > 59)
        return false;
    length = lengths[month - 1];
    if (month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0))
        length++;
    if (day < 1 || day > length)
        return false;
    *out = (uint64_t)(days_of(year, month, day) * 86400 + hour * 3600 + minute * 60 + second);
    return true;
}

/* As the repository's format says; the reserved names are those of the store's own files and of
 * devices elsewhere. */
static bool is_component(const char *text)
{
    static const char *const reserved[] = { "root",  "targets", "snapshot", "timestamp", "mirrors",
                                            "agent", "local",   "current",  "all",       "nul",
                                            "aux",   "prn",     "con",      NULL };
    const size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-");

    if (length == 0 || length > COMPONENT_MAX || text[length] != '\0' || text[0] < 'a' ||
        strncmp(text, "xml", 3) == 0)
        return false;
    if (length == 4 && (strncmp(text, "com", 3) == 0 || strncmp(text, "lpt", 3) == 0) &&
        text[3] >= '1' && text[3] <= '9')
        return false;
    for (size_t i = 0; reserved[i] != NULL; i++) {
        if (strcmp(text, reserved[i]) == 0)
            return false;
    }
    return true;
}

static bool is_word_char(char c)
{
    return isalnum((unsigned char)c) != 0 && (unsigned char)c < 0x80;
}

static bool is_name(const char *text, bool underscore_first)
{
    if (!is_word_char(text[0]) && !(underscore_first && text[0] == '_'))
        return false;
    for (const char *at = text; *at != '\0'; at++) {
        if (!is_word_char(*at) && strchr("._-", *at) == NULL)
            return false;
    }
    return strlen(text) <= NAME_MAX_;
}

static bool is_path(const char *text)
{
    for (const char *at = text; *at != '\0'; at++) {
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            return false;
    }
    return text[0] == '/' && text[1] != '\0' && strlen(text) < PATH_MAX_;
}

/* Past "scheme://" when the URL has it. */
static const char *past_scheme(const char *text, const char *scheme)
{
    const size_t length = strlen(scheme);

    return strncmp(text, scheme, length) == 0 && strncmp(text + length, "://", 3) == 0
               ? text + length + 3
               : NULL;
}

/* No credentials: the policy is a file that many may read. No query and fragment: a base URL has
 * none. */
static bool is_url(const char *text, bool file, bool proxy)
{
    const char *rest = past_scheme(text, "http");
    size_t host;

    if (strlen(text) > URL_MAX_)
        return false;
    for (const char *at = text; *at != '\0'; at++) {
        if ((unsigned char)*at <= 0x20 || (unsigned char)*at >= 0x7f || strchr("@?#\\\"<>", *at))
            return false;
    }
    if (file && past_scheme(text, "file") != NULL)
        return past_scheme(text, "file")[0] == '/';
    if (rest == NULL)
        rest = past_scheme(text, "https");
    if (rest == NULL)
        return false;
    host = strcspn(rest, "/");
    return host > 0 && (!proxy || rest[host] == '\0' || rest[host + 1] == '\0');
}

/* Credentials are in a file of their own. */
static bool is_proxy(const char *text)
{
    if (strcmp(text, "none") == 0 || strcmp(text, "env") == 0)
        return true;
    /* The same form by another scheme. */
    if (strncmp(text, "socks5h:", 8) == 0 || strncmp(text, "socks5:", 7) == 0) {
        char other[URL_MAX_ + 8];

        return snprintf(other, sizeof other, "http%s", strchr(text, ':')) < URL_MAX_ &&
               is_url(other, false, true);
    }
    return is_url(text, false, true);
}

static bool is_address(const char *text)
{
    struct in6_addr ignored;

    return inet_pton(AF_INET, text, &ignored) == 1 || inet_pton(AF_INET6, text, &ignored) == 1;
}

/* At most `length` bytes of the text, as a text of their own. */
static bool part_is_address(const char *text, size_t length, int family)
{
    struct in6_addr ignored;
    char part[INET6_ADDRSTRLEN];

    return length < sizeof part && snprintf(part, sizeof part, "%.*s", (int)length, text) > 0 &&
           inet_pton(family, part, &ignored) == 1;
}

/* Without leading zeros. */
static bool is_number_upto(const char *text, unsigned long most)
{
    return isdigit((unsigned char)text[0]) != 0 && strlen(text) <= 5 &&
           strspn(text, "0123456789") == strlen(text) && (text[0] != '0' || text[1] == '\0') &&
           strtoul(text, NULL, 10) <= most;
}

/* 192.0.2.1:8090 or [2001:db8::1]:8090 */
static bool is_listen(const char *text)
{
    const char *colon = strrchr(text, ':');
    const size_t length = colon != NULL ? (size_t)(colon - text) : 0;

    if (length < 2 || !is_number_upto(colon + 1, 65535) || colon[1] == '0')
        return false;
    if (text[0] == '[')
        return colon[-1] == ']' && part_is_address(text + 1, length - 2, AF_INET6);
    return part_is_address(text, length, AF_INET);
}

/* 10.0.0.0/8, 2001:db8::/32, or a single address */
static bool is_network(const char *text)
{
    const size_t length = strcspn(text, "/");
    const bool four = part_is_address(text, length, AF_INET);

    return (four || part_is_address(text, length, AF_INET6)) &&
           (text[length] == '\0' || is_number_upto(text + length + 1, four ? 32 : 128));
}

/* Which of the words. */
static bool read_word(const char *words, const char *text, uint64_t *out)
{
    const size_t length = strlen(text);

    *out = 0;
    if (strchr(text, ' ') != NULL) /* several of them are not one */
        return false;
    for (const char *at = words; length > 0 && at != NULL; (*out)++) {
        if (strncmp(at, text, length) == 0 && (at[length] == ' ' || at[length] == '\0'))
            return true;
        at = strchr(at, ' ');
        at += at != NULL;
    }
    return false;
}

bool ag_value_read(const struct ag_setting *setting, const char *text, uint64_t *number)
{
    bool right = false;

    *number = 0;
    switch (setting->type) {
    case AG_GROUP: return false;
    case AG_BOOL: return read_word("no yes", text, number);
    case AG_WORD: return read_word(setting->words, text, number);
    case AG_TIME: return read_time(text, number);
    case AG_DAYS: return read_days(text, number);
    case AG_COMPONENT: return is_component(text);
    case AG_NAME: return is_name(text, false);
    case AG_ACCOUNT: return is_name(text, true);
    case AG_URL: return is_url(text, true, false);
    case AG_HTTP: return is_url(text, false, false);
    case AG_PROXY: return is_proxy(text);
    case AG_PATH: return is_path(text);
    case AG_ADDRESS: return is_address(text);
    case AG_LISTEN: return is_listen(text);
    case AG_NETWORK: return is_network(text);
    case AG_TEXT: return text[0] != '\0' && strlen(text) < PATH_MAX_;
    case AG_DURATION: right = iso_duration(text, number) || clock_duration(text, number); break;
    case AG_SIZE: right = read_size(text, number); break;
    case AG_COUNT:
    case AG_RELEASE: right = whole_number(text, number); break;
    case AG_CLOCK: right = read_clock(text, number); break;
    }
    return right && *number >= setting->min && *number <= setting->max;
}

const char *ag_type_text(enum ag_type type)
{
    switch (type) {
    case AG_GROUP: return "a group";
    case AG_BOOL: return "yes or no";
    case AG_WORD: return "one of its words";
    case AG_DURATION: return "a duration in range";
    case AG_SIZE: return "a size in range";
    case AG_COUNT: return "a number in range";
    case AG_RELEASE: return "a version";
    case AG_TIME: return "a point in time";
    case AG_CLOCK: return "a time of day";
    case AG_DAYS: return "a list of days";
    case AG_COMPONENT: return "a component's name";
    case AG_NAME: return "a name";
    case AG_ACCOUNT: return "a user's or group's name";
    case AG_URL: return "a source's URL";
    case AG_HTTP: return "a URL";
    case AG_PROXY: return "a proxy's URL";
    case AG_PATH: return "an absolute path";
    case AG_ADDRESS: return "an address";
    case AG_LISTEN: return "an address with a port";
    case AG_NETWORK: return "a network";
    case AG_TEXT: return "text that fits";
    }
    return "";
}

const char *ag_duration_text(char out[AG_DURATION_TEXT], uint64_t seconds)
{
    const uint64_t days = seconds / 86400, rest = seconds % 86400;
    size_t used;

    if (seconds == 0)
        return strcpy(out, "PT0S");
    (void)strcpy(out, "P");
    if (days > 0)
        (void)snprintf(out, AG_DURATION_TEXT, "P%" PRIu64 "D", days);
    if (rest > 0)
        (void)strcat(out, "T");
    used = strlen(out);
    if (rest >= 3600)
        used += (size_t)sprintf(out + used, "%" PRIu64 "H", rest / 3600);
    if (rest % 3600 >= 60)
        used += (size_t)sprintf(out + used, "%" PRIu64 "M", rest % 3600 / 60);
    if (rest % 60 > 0)
        (void)sprintf(out + used, "%" PRIu64 "S", rest % 60);
    return out;
}

const char *ag_size_text(char out[AG_DURATION_TEXT], uint64_t bytes)
{
    static const char units[] = "\0KMGT";
    unsigned unit = 0;

    while (unit < 4 && bytes != 0 && bytes % 1024 == 0) {
        bytes /= 1024;
        unit++;
    }
    (void)snprintf(out, AG_DURATION_TEXT, "%" PRIu64 "%.1s", bytes, units + unit);
    return out;
}

static void words_allowed(const char *words, char *out, size_t size)
{
    size_t used = 0;

    for (; *words != '\0' && used + 3 < size; words++) {
        out[used++] = *words == ' ' ? ',' : *words;
        if (*words == ' ')
            out[used++] = ' ';
    }
    out[used] = '\0';
}

void ag_value_allowed(const struct ag_setting *setting, char *out, size_t size)
{
    char from[AG_DURATION_TEXT], to[AG_DURATION_TEXT];
    const char *text = "";

    switch (setting->type) {
    case AG_WORD: words_allowed(setting->words, out, size); return;
    case AG_DURATION:
        (void)snprintf(out, size, "%s to %s, ISO 8601 or HH:MM:SS",
                       ag_duration_text(from, setting->min), ag_duration_text(to, setting->max));
        return;
    case AG_SIZE:
        (void)snprintf(out, size, "%s to %s, bytes or with K, M, G, T",
                       ag_size_text(from, setting->min), ag_size_text(to, setting->max));
        return;
    case AG_COUNT:
    case AG_RELEASE:
        (void)snprintf(out, size, "%" PRIu64 " to %" PRIu64, setting->min, setting->max);
        return;
    case AG_CLOCK:
        text = setting->max < 24 * 60 ? "00:00 to 23:59, HH:MM" : "00:00 to 24:00, HH:MM";
        break;
    case AG_GROUP: break;
    case AG_BOOL: text = "yes, no"; break;
    case AG_TIME: text = "UTC, such as 2027-01-31T12:00:00Z"; break;
    case AG_DAYS: text = "mon, tue, wed, thu, fri, sat, sun, joined by commas, each once"; break;
    case AG_COMPONENT:
        text = "a to z first, then a to z, 0 to 9 and -, at most 32, no reserved word";
        break;
    case AG_NAME: text = "letters, digits, then also . _ -, at most 64"; break;
    case AG_ACCOUNT: text = "letters, digits, _, then also . -, at most 64"; break;
    case AG_URL:
        text = "http://HOST/..., https://HOST/... or file:///..., without user, password, '?', '#'";
        break;
    case AG_HTTP:
        text = "http://HOST/... or https://HOST/..., without user, password, '?', '#'";
        break;
    case AG_PROXY:
        text = "none, env, or SCHEME://HOST:PORT (http, https, socks5, socks5h), without user and "
               "password (auth-file)";
        break;
    case AG_PATH: text = "/..., below 4096 bytes, no control characters"; break;
    case AG_ADDRESS: text = "192.0.2.1 or 2001:db8::1"; break;
    case AG_LISTEN: text = "192.0.2.1:8090 or [2001:db8::1]:8090"; break;
    case AG_NETWORK: text = "192.0.2.0/24, 2001:db8::/32 or a single address"; break;
    case AG_TEXT: text = "1 to 4095 bytes"; break;
    }
    (void)snprintf(out, size, "%s", text);
}
