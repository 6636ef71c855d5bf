/* SPDX-License-Identifier: Apache-2.0 */
/* What a fenced process may read beside the store and the system's files, so that it can ask the
 * sources that policy or the command line names. */
#ifndef AG_READABLE_H
#define AG_READABLE_H

#include "options.h"
#include "prepare.h"

#define AG_READABLE 128 /* more are left out */

struct ag_readable {
    const char *path[AG_READABLE + 1]; /* NULL-terminated */
    size_t count;
    char *own[AG_READABLE]; /* of `path`, what was made here */
    size_t owned;
    char archive[32];
};
/* Borrows from both. Without memory, some are missing. */
void ag_readable_gather(struct ag_readable *out, const struct ag_setup *setup,
                        const struct ag_args *args);
void ag_readable_free(struct ag_readable *readable);

#endif
