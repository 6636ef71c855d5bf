/* SPDX-License-Identifier: Apache-2.0 */
#include "update/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

defupd_code du_report_add(defupd_report *report, const char *component, struct du_report_row **row,
                          defupd_error *err)
{
    struct du_report_row **rows = realloc(report->row, (report->count + 1) * sizeof *rows);
    struct du_report_row *added = calloc(1, sizeof *added);
    uint32_t at = 0;

    if (rows != NULL)
        report->row = rows;
    if (rows == NULL || added == NULL) {
        free(added);
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a report");
    }
    (void)snprintf(added->component, sizeof added->component, "%s", component);
    added->item = (defupd_report_item){ .struct_size = (uint32_t)sizeof added->item,
                                        .component = added->component,
                                        .from_label = added->from_label,
                                        .to_label = added->to_label,
                                        .via = "",
                                        .text = added->text,
                                        .how = added->how };
    while (at < report->count && strcmp(rows[at]->component, component) < 0)
        at++;
    memmove(rows + at + 1, rows + at, (report->count - at) * sizeof *rows);
    rows[at] = added;
    report->count++;
    *row = added;
    return DEFUPD_OK;
}

void du_report_say(struct du_report_row *row, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(row->text, sizeof row->text, format, args);
    va_end(args);
}

void du_report_fail(struct du_report_row *row, const defupd_error *err)
{
    if (row->item.code != DEFUPD_OK)
        return;
    row->item.code = err->code;
    du_report_say(row, "%s", err->message);
}

defupd_code du_report_end(const defupd_report *report, defupd_error *err)
{
    for (uint32_t i = 0; i < report->count; i++) {
        const struct du_report_row *row = report->row[i];
        /* What was decided about a component speaks of its versions alone. */
        const bool decided = row->item.reason != DEFUPD_REASON_NONE;

        if (row->item.code != DEFUPD_OK)
            return DU_FAIL(err, (defupd_code)row->item.code, "%s%s%s",
                           decided ? row->component : "", decided ? ": " : "", row->text);
    }
    return DEFUPD_OK;
}

uint32_t defupd_report_count(const defupd_report *report)
{
    return report->count;
}

const defupd_report_item *defupd_report_at(const defupd_report *report, uint32_t index)
{
    return index < report->count ? &report->row[index]->item : NULL;
}

uint64_t defupd_report_generation(const defupd_report *report)
{
    return report->generation;
}

const char *defupd_report_source(const defupd_report *report)
{
    return report->source;
}

uint64_t defupd_report_fetched(const defupd_report *report)
{
    return report->fetched;
}

void defupd_report_free(defupd_report *report)
{
    if (report == NULL)
        return;
    for (uint32_t i = 0; i < report->count; i++)
        free(report->row[i]);
    free(report->row);
    free(report);
}
