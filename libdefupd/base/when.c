/* SPDX-License-Identifier: Apache-2.0 */
#include "base/when.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"

#define DAY_S 86400
#define YEAR_9999_END 253402300799 /* 9999-12-31T23:59:59Z */
#define DURATION_MAX (10ULL * 366 * DAY_S)

/* Days from 1970-01-01 to a date of the proleptic Gregorian calendar, counted from 1 March so that
 * the leap day comes last. */
static int64_t days_from_date(int64_t year, int64_t month, int64_t day)
{
    const int64_t y = month <= 2 ? year - 1 : year;
    const int64_t m = month <= 2 ? month + 9 : month - 3;

    return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
}

static int days_in_month(int64_t year, int month)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return month == 2 && leap ? 29 : days[month - 1];
}

static int number(const char *text, int digits)
{
    int value = 0;

    for (int i = 0; i < digits; i++)
        value = value * 10 + (text[i] - '0');
    return value;
}

bool du_time_parse(const char *text, int64_t *unix_s)
{
    static const char form[] = "0000-00-00T00:00:00Z";

    for (size_t i = 0; i < sizeof form; i++) { /* the NUL too */
        const bool digit = text[i] >= '0' && text[i] <= '9';
        if (form[i] == '0' ? !digit : text[i] != form[i])
            return false;
    }
    const int year = number(text, 4), month = number(text + 5, 2), day = number(text + 8, 2);
    const int hour = number(text + 11, 2), minute = number(text + 14, 2);
    const int second = number(text + 17, 2);

    if (year < 1970 || month < 1 || month > 12 || day < 1 || day > days_in_month(year, month) ||
        hour > 23 || minute > 59 || second > 59)
        return false;
    *unix_s = days_from_date(year, month, day) * DAY_S + hour * 3600 + minute * 60 + second;
    return true;
}

void du_time_format(char *out, int64_t unix_s)
{
    const int64_t when = unix_s < 0 ? 0 : unix_s > YEAR_9999_END ? YEAR_9999_END : unix_s;
    int64_t days = when / DAY_S;
    const int rest = (int)(when % DAY_S);
    int year = 1970, month = 1;

    while (true) {
        const int length = days_in_month(year, 2) == 29 ? 366 : 365;
        if (days < length)
            break;
        days -= length;
        year++;
    }
    while (days >= days_in_month(year, month)) {
        days -= days_in_month(year, month);
        month++;
    }
    (void)snprintf(out, DU_TIME_TEXT, "%04u-%02u-%02uT%02u:%02u:%02uZ", (unsigned)year % 10000,
                   (unsigned)month % 100, ((unsigned)days + 1) % 100, (unsigned)rest / 3600 % 100,
                   (unsigned)rest / 60 % 60, (unsigned)rest % 60);
}

/* "02:00:00" */
static bool parse_clock(const char *text, uint64_t *seconds)
{
    static const char form[] = "00:00:00";

    for (size_t i = 0; i < sizeof form; i++) {
        const bool digit = text[i] >= '0' && text[i] <= '9';
        if (form[i] == '0' ? !digit : text[i] != form[i])
            return false;
    }
    if (number(text + 3, 2) > 59 || number(text + 6, 2) > 59)
        return false;
    *seconds = (uint64_t)(number(text, 2) * 3600 + number(text + 3, 2) * 60 + number(text + 6, 2));
    return true;
}

bool du_duration_parse(const char *text, uint64_t *seconds)
{
    /* Units in the order in which ISO 8601 wants them; T stands before the last three. */
    static const struct {
        char unit;
        bool time;
        uint64_t seconds;
    } units[] = { { 'W', false, 7ULL * DAY_S },
                  { 'D', false, DAY_S },
                  { 'H', true, 3600 },
                  { 'M', true, 60 },
                  { 'S', true, 1 } };
    uint64_t total = 0;
    size_t next = 0;
    bool time = false, any = false;

    if (text[0] != 'P')
        return parse_clock(text, seconds);
    for (const char *c = text + 1; *c != '\0';) {
        char digits[16];
        size_t len, unit;
        uint64_t value;

        if (*c == 'T') {
            if (time || c[1] == '\0')
                return false;
            time = true;
            c++;
        }
        len = strspn(c, "0123456789");
        if (len == 0 || len >= sizeof digits)
            return false;
        memcpy(digits, c, len);
        digits[len] = '\0';
        if (!du_parse_u64(digits, DURATION_MAX, &value))
            return false;
        c += len;
        for (unit = next; unit < sizeof units / sizeof units[0]; unit++) {
            if (units[unit].unit == *c && units[unit].time == time)
                break;
        }
        if (unit == sizeof units / sizeof units[0] || !du_mul(value, units[unit].seconds, &value) ||
            !du_add(total, value, &total) || total > DURATION_MAX)
            return false;
        next = unit + 1;
        any = true;
        c++;
    }
    if (!any)
        return false;
    *seconds = total;
    return true;
}
