/* SPDX-License-Identifier: Apache-2.0 */
/* Points in time and durations as text. Pure: no clock here. */
#ifndef DU_BASE_WHEN_H
#define DU_BASE_WHEN_H

#include <stdbool.h>
#include <stdint.h>

#define DU_TIME_TEXT 21 /* "2026-11-21T09:00:00Z" and NUL */

/* RFC 3339 in UTC with whole seconds, exactly "YYYY-MM-DDTHH:MM:SSZ", years 1970 to 9999. */
bool du_time_parse(const char *text, int64_t *unix_s);
/* `out` gets DU_TIME_TEXT bytes; times outside 1970 to 9999 are clamped. */
void du_time_format(char *out, int64_t unix_s);

/* ISO 8601 duration of weeks, days, hours, minutes, seconds ("PT2H", "P1DT30M", "P1W"; no years or
 * months), or "HH:MM:SS". At most ten years. */
bool du_duration_parse(const char *text, uint64_t *seconds);

#endif
