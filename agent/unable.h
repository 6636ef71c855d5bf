/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that could not even begin, for a file that policy or the operator named. */
#ifndef AG_UNABLE_H
#define AG_UNABLE_H

#include <stdint.h>

#include "options.h"
#include "prepare.h"

/* The last attempt, if that was one. */
struct ag_unable {
    int64_t time;
    defupd_code code; /* DEFUPD_OK: it began */
    char text[512];
};
/* Whoever may read the store. Unreadable says nothing. */
void ag_unable_read(struct ag_unable *unable, const char *state_dir);
/* An attempt that needs these files has begun. */
void ag_unable_forget(const char *state_dir);

/* Tell the reports and the log why, when the command is one that reports: else they would go on
 * saying that all is well. `setup` is what the failed ag_prepare() left. May become the store's
 * owner, for good. A store is not made for it; failures are passed over, for the error itself is
 * told to who asked. What is told stays until ag_unable_forget(). */
void ag_unable(const struct ag_args *args, struct ag_setup *setup, const char *who,
               const defupd_error *why);

#endif
