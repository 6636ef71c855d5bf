/* SPDX-License-Identifier: Apache-2.0 */
/* The report of one call, while it is being made. */
#ifndef DU_UPDATE_REPORT_H
#define DU_UPDATE_REPORT_H

#include <defupd/report.h>

#include "base/err.h"
#include "base/name.h"

struct du_report_row {
    defupd_report_item item; /* its strings point below */
    char component[DU_NAME_MAX + 1];
    char from_label[DU_LABEL_MAX + 1];
    char to_label[DU_LABEL_MAX + 1];
    char how[192];
    char text[DEFUPD_ERROR_MESSAGE_MAX];
};

struct defupd_report {
    struct du_report_row **row; /* in order of names */
    uint32_t count;
    uint64_t generation;
    uint64_t fetched;
    char source[256];
};

/* Add a component; the row is owned by the report and stays where it is. */
DEFUPD_MUST_CHECK defupd_code du_report_add(defupd_report *report, const char *component,
                                            struct du_report_row **row, defupd_error *err);
__attribute__((format(printf, 2, 3))) void du_report_say(struct du_report_row *row,
                                                         const char *format, ...);
/* The row has failed: code and text; the first failure of a row is kept. */
void du_report_fail(struct du_report_row *row, const defupd_error *err);
/* The first row's failure as the run's, DEFUPD_OK when none failed. */
DEFUPD_MUST_CHECK defupd_code du_report_end(const defupd_report *report, defupd_error *err);

#endif
