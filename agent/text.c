/* SPDX-License-Identifier: Apache-2.0 */
#include "text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fail.h"

/* Bytes of the valid UTF-8 sequence at `s`, 0 when there is none (RFC 3629: no overlong forms, no
 * surrogates, nothing past U+10FFFF). */
static size_t utf8_length(const unsigned char *s)
{
    unsigned low = 0x80, high = 0xbf;
    size_t length;

    if (s[0] < 0x80)
        return 1;
    if (s[0] >= 0xc2 && s[0] <= 0xdf)
        length = 2;
    else if (s[0] >= 0xe0 && s[0] <= 0xef)
        length = 3;
    else if (s[0] >= 0xf0 && s[0] <= 0xf4)
        length = 4;
    else
        return 0;
    if (s[0] == 0xe0)
        low = 0xa0;
    else if (s[0] == 0xed)
        high = 0x9f;
    else if (s[0] == 0xf0)
        low = 0x90;
    else if (s[0] == 0xf4)
        high = 0x8f;
    if (s[1] < low || s[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++) {
        if (s[i] < 0x80 || s[i] > 0xbf)
            return 0;
    }
    return length;
}

/* What shows nothing itself and changes how the rest is shown: U+061C, U+200B to U+200F, U+2028 to
 * U+202E, U+2060 to U+206F, U+FEFF, U+FFF9 to U+FFFF (the last two are no characters, and XML has
 * no place for them), and the tags from U+E0000 on. With U+202E a name reads as another one. */
static bool is_format_control(const unsigned char *s, size_t length)
{
    if (length == 2)
        return s[0] == 0xd8 && s[1] == 0x9c;
    if (length == 4)
        return s[0] == 0xf3 && s[1] == 0xa0;
    if (length != 3)
        return false;
    if (s[0] == 0xe2 && s[1] == 0x80)
        return (s[2] >= 0x8b && s[2] <= 0x8f) || (s[2] >= 0xa8 && s[2] <= 0xae);
    if (s[0] == 0xe2 && s[1] == 0x81)
        return s[2] >= 0xa0 && s[2] <= 0xaf;
    return (s[0] == 0xef && s[1] == 0xbb && s[2] == 0xbf) ||
           (s[0] == 0xef && s[1] == 0xbf && s[2] >= 0xb9);
}

void ag_clean(char *text)
{
    unsigned char *s = (unsigned char *)text;

    while (*s != '\0') {
        const size_t length = utf8_length(s);
        const bool c1 = length == 2 && s[0] == 0xc2 && s[1] < 0xa0;

        if (length == 0 || *s < 0x20 || *s == 0x7f) {
            *s++ = '?';
        } else if (c1 || is_format_control(s, length)) {
            memset(s, '?', length);
            s += length;
        } else {
            s += length;
        }
    }
}

defupd_code ag_err_set(defupd_error *err, defupd_code code, int sys_errno, const char *origin,
                       int line, const char *format, ...)
{
    va_list args;
    size_t used;

    err->code = code;
    err->sys_errno = sys_errno;
    err->origin = origin;
    err->line = line;
    err->reserved = 0;
    va_start(args, format);
    (void)vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    used = strlen(err->message);
    if (sys_errno != 0)
        (void)snprintf(err->message + used, sizeof err->message - used, ": %s",
                       strerror(sys_errno)); /* the program has one thread */
    ag_clean(err->message);
    return code;
}

void ag_line(FILE *out, const char *format, ...)
{
    char *text = NULL;
    va_list args;
    int length;

    va_start(args, format);
    length = vasprintf(&text, format, args);
    va_end(args);
    if (length < 0)
        return;
    ag_clean(text);
    (void)fprintf(out, "%s\n", text);
    free(text);
}

void ag_wrap(FILE *out, unsigned indent, const char *text)
{
    const size_t room = indent < 60 ? 80 - indent : 20;

    while (*text != '\0') {
        size_t length = strlen(text);

        if (length > room) {
            length = room;
            while (length > 0 && text[length] != ' ')
                length--;
            if (length == 0)
                length = strcspn(text, " ");
        }
        (void)fprintf(out, "%*s%.*s\n", (int)indent, "", (int)length, text);
        text += length;
        text += strspn(text, " ");
    }
}

const char *ag_bytes(char out[AG_AMOUNT], uint64_t bytes)
{
    static const char *const units[] = { "kB", "MB", "GB", "TB", "PB", "EB" };
    size_t unit = 0;
    uint64_t scale = 1000, whole, tenth;

    if (bytes < 1000) {
        (void)snprintf(out, AG_AMOUNT, "%" PRIu64 " B", bytes);
        return out;
    }
    while (bytes / scale >= 1000 && unit + 1 < sizeof units / sizeof units[0]) {
        scale *= 1000;
        unit++;
    }
    whole = bytes / scale;
    tenth = bytes % scale / (scale / 10);
    (void)snprintf(out, AG_AMOUNT, "%" PRIu64 ".%" PRIu64 " %s", whole, tenth, units[unit]);
    return out;
}

const char *ag_clock(char out[AG_AMOUNT], uint64_t seconds)
{
    const uint64_t hours = seconds / 3600, minutes = seconds / 60 % 60;

    if (hours > 0)
        (void)snprintf(out, AG_AMOUNT, "%" PRIu64 ":%02" PRIu64 ":%02" PRIu64, hours, minutes,
                       seconds % 60);
    else
        (void)snprintf(out, AG_AMOUNT, "%02" PRIu64 ":%02" PRIu64, minutes, seconds % 60);
    return out;
}

const char *ag_time(char out[AG_WHEN], int64_t when)
{
    const time_t at = (time_t)when;
    struct tm tm;

    out[0] = '\0';
    if (when > 0 && gmtime_r(&at, &tm) != NULL && tm.tm_year + 1900 <= 9999)
        (void)strftime(out, AG_WHEN, "%Y-%m-%dT%H:%M:%SZ", &tm);
    return out;
}

const char *ag_age(char out[AG_WHEN], int64_t when, int64_t now)
{
    static const struct {
        uint64_t from, unit; /* seconds */
        const char *name;
    } steps[] = {
        { 2 * 86400, 86400, "d" }, { 2 * 3600, 3600, "h" }, { 120, 60, "min" }, { 1, 1, "s" }
    };
    uint64_t distance;

    if (when <= 0) {
        (void)snprintf(out, AG_WHEN, "never");
        return out;
    }
    distance = when < now ? (uint64_t)now - (uint64_t)when : (uint64_t)when - (uint64_t)now;
    if (distance == 0)
        (void)snprintf(out, AG_WHEN, "just now");
    for (size_t i = 0; i < sizeof steps / sizeof steps[0] && distance > 0; i++) {
        if (distance < steps[i].from)
            continue;
        (void)snprintf(out, AG_WHEN, "%s%" PRIu64 " %s%s", when > now ? "in " : "",
                       distance / steps[i].unit, steps[i].name, when > now ? "" : " ago");
        break;
    }
    return out;
}

const char *ag_time_and_age(char out[AG_WHEN], int64_t when, int64_t now)
{
    char age[AG_WHEN], time[AG_WHEN];

    if (ag_time(time, when)[0] == '\0')
        return ag_age(out, when, now);
    (void)snprintf(out, AG_WHEN, "%.24s (%.20s)", time, ag_age(age, when, now));
    return out;
}

const char *ag_version_text(char out[AG_VERSION], uint64_t version, const char *label)
{
    if (version == 0)
        (void)snprintf(out, AG_VERSION, "-");
    else if (label == NULL || label[0] == '\0')
        (void)snprintf(out, AG_VERSION, "%" PRIu64, version);
    else
        (void)snprintf(out, AG_VERSION, "%" PRIu64 " (%.64s)", version, label);
    return out;
}

/* Characters, for alignment: every byte that does not continue a UTF-8 sequence. */
static size_t width_of(const char *text)
{
    size_t width = 0;

    for (; *text != '\0'; text++) {
        if (((unsigned char)*text & 0xc0) != 0x80)
            width++;
    }
    return width;
}

static void add_row(struct ag_table *table, const char *const *cells, unsigned count)
{
    char **grown;
    char **row;

    grown = reallocarray(table->cells, table->rows + 1, AG_COLUMNS * sizeof *grown);
    if (grown == NULL) {
        table->broken = true;
        return;
    }
    table->cells = grown;
    row = grown + table->rows * AG_COLUMNS;
    for (unsigned i = 0; i < AG_COLUMNS; i++)
        row[i] = NULL;
    table->rows++;
    for (unsigned i = 0; i < count; i++) {
        row[i] = strdup(cells[i] != NULL ? cells[i] : "");
        if (row[i] == NULL)
            table->broken = true;
        else
            ag_clean(row[i]);
    }
}

void ag_table_start(struct ag_table *table, unsigned right, const char *const *header)
{
    *table = (struct ag_table){ .right = right };
    while (table->columns < AG_COLUMNS && header[table->columns] != NULL)
        table->columns++;
    add_row(table, header, table->columns);
}

void ag_table_row(struct ag_table *table, const char *const *cells)
{
    add_row(table, cells, table->columns);
}

void ag_table_note(struct ag_table *table, const char *format, ...)
{
    char *text = NULL;
    va_list args;
    int length;

    va_start(args, format);
    length = vasprintf(&text, format, args);
    va_end(args);
    if (length < 0) {
        table->broken = true;
        return;
    }
    /* A row with one cell only is a note: every true row has all its cells. */
    add_row(table, (const char *const[]){ text }, 1);
    free(text);
}

static bool is_note(const struct ag_table *table, char *const *row)
{
    return table->columns > 1 && row[1] == NULL;
}

static void print_row(const struct ag_table *table, char *const *row, const size_t *widths,
                      FILE *out)
{
    unsigned last = table->columns;

    while (last > 1 && (row[last - 1] == NULL || row[last - 1][0] == '\0'))
        last--; /* no blanks at the end of a line */
    for (unsigned i = 0; i < last; i++) {
        const char *text = row[i] != NULL ? row[i] : "";
        const int pad = (int)(widths[i] - width_of(text));

        if ((table->right >> i & 1u) != 0)
            (void)fprintf(out, "%*s%s", pad, "", text);
        else
            (void)fprintf(out, "%s%*s", text, i + 1 < last ? pad : 0, "");
        if (i + 1 < last)
            (void)fputs("  ", out);
    }
    (void)fputc('\n', out);
}

void ag_table_free(struct ag_table *table)
{
    for (size_t i = 0; i < table->rows * AG_COLUMNS; i++)
        free(table->cells[i]);
    free(table->cells);
    *table = (struct ag_table){ 0 };
}

void ag_table_end(struct ag_table *table, FILE *out)
{
    size_t widths[AG_COLUMNS] = { 0 };

    for (size_t r = 0; r < table->rows; r++) {
        char *const *row = table->cells + r * AG_COLUMNS;

        for (unsigned i = 0; i < table->columns && !is_note(table, row); i++) {
            const size_t width = row[i] != NULL ? width_of(row[i]) : 0;
            if (width > widths[i])
                widths[i] = width;
        }
    }
    for (size_t r = 0; r < table->rows; r++) {
        char *const *row = table->cells + r * AG_COLUMNS;

        if (is_note(table, row))
            (void)fprintf(out, "%s\n", row[0] != NULL ? row[0] : "");
        else
            print_row(table, row, widths, out);
    }
    if (table->broken)
        (void)fputs("(out of memory: this table is not complete)\n", out);
    ag_table_free(table);
}
