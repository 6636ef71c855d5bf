/* SPDX-License-Identifier: Apache-2.0 */
/* Lines in a file that is rotated by size: NAME, NAME.1 (the one before), ... NAME.4. Several
 * processes may write at once; a line is one write(2). Nothing here fails towards the caller: an
 * update is worth more than its log. What could not be written is counted and told when there is
 * room again. */
#ifndef AG_REPORT_LOGFILE_H
#define AG_REPORT_LOGFILE_H

#include <stdbool.h>
#include <stdint.h>

#include "report/disk.h"

#define AG_LOG_BYTES (UINT64_C(1) << 20)
#define AG_LOG_KEEP 4u
#define AG_LOG_LINE 8192u /* longer lines are cut */

struct ag_logfile {
    const struct ag_disk *disk;
    int dir; /* borrowed; -1: nowhere, lines are lost without being counted */
    const char *name;
    uint64_t max_bytes; /* the file is rotated before it grows past this */
    unsigned keep;      /* rotated files */
    int fd;             /* -1 until the first line */
    unsigned lost;      /* lines that could not be written */
    bool wrote;
};

void ag_logfile_start(struct ag_logfile *log, const struct ag_disk *disk, int dir, const char *name,
                      uint64_t max_bytes, unsigned keep);

/* One line, without '\n'. False when it could not be written: log->lost counts it, for the caller
 * to tell and to set back. */
bool ag_logfile_add(struct ag_logfile *log, const char *line);

/* Close it; with `durable` what was written survives a loss of power from now on. */
void ag_logfile_end(struct ag_logfile *log, bool durable);

#endif
