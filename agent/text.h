/* SPDX-License-Identifier: Apache-2.0 */
/* Text for people: clean lines, aligned tables, amounts, times. Nothing here knows the library's
 * calls; all of it can be tested with plain values. */
#ifndef AG_TEXT_H
#define AG_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Make `text` safe for a terminal, XML and JSON, in place: control bytes (C0, DEL, C1),
 * characters that only steer how others are shown (U+202E and its kin), and what is not valid UTF-8
 * become '?'. Labels, notes and paths come from publishers and servers. */
void ag_clean(char *text);

/* Print one line: formatted, cleaned, '\n' added. */
__attribute__((format(printf, 2, 3))) void ag_line(FILE *out, const char *format, ...);

/* Print `text` wrapped at 80 columns, every line after `indent` blanks. Words are never cut. */
void ag_wrap(FILE *out, unsigned indent, const char *text);

#define AG_AMOUNT 24
/* "0 B", "999 B", "1.2 kB", "42.0 MB", ...: decimal units. Returns out. */
const char *ag_bytes(char out[AG_AMOUNT], uint64_t bytes);
/* "01:05", "1:02:03" from an hour on. Returns out. */
const char *ag_clock(char out[AG_AMOUNT], uint64_t seconds);

#define AG_WHEN 48
/* "2026-11-21T09:00:00Z"; "" for 0 and less, and for what has more than four digits of year. */
const char *ag_time(char out[AG_WHEN], int64_t when);
/* "just now", "3 min ago", "in 23 h", "never" for 0. Returns out. */
const char *ag_age(char out[AG_WHEN], int64_t when, int64_t now);
/* Both: "2026-11-21T09:00:00Z (3 min ago)". Returns out. */
const char *ag_time_and_age(char out[AG_WHEN], int64_t when, int64_t now);

#define AG_VERSION 96
/* "1003 (297.0.0.0)", "1003" without label, "-" for 0. Returns out. */
const char *ag_version_text(char out[AG_VERSION], uint64_t version, const char *label);

/* A table of a few columns, aligned when printed. Cells are cleaned; width counts characters, not
 * bytes. Out of memory: cells are missing, and a line after the table says so. */
#define AG_COLUMNS 8
struct ag_table {
    unsigned columns;
    unsigned right; /* bit n: column n is aligned to the right */
    size_t rows;
    char **cells;
    bool broken;
};
/* Start with the header's cells, NULL after the last. */
void ag_table_start(struct ag_table *table, unsigned right, const char *const *header);
/* One row: as many cells as there are columns. */
void ag_table_row(struct ag_table *table, const char *const *cells);
/* Add a line that follows the last row and takes no part in the alignment. */
__attribute__((format(printf, 2, 3))) void ag_table_note(struct ag_table *table, const char *format,
                                                         ...);
/* Print, and free what the table holds. */
void ag_table_end(struct ag_table *table, FILE *out);
/* Free it without printing. */
void ag_table_free(struct ag_table *table);

#endif
