/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that could not even begin, for a file that policy or the operator named. */
#ifndef AG_UNABLE_H
#define AG_UNABLE_H

#include "options.h"
#include "prepare.h"

/* Tell the reports and the log why, when the command is one that reports: else they would go on
 * saying that all is well. `setup` is what the failed ag_prepare() left. May become the store's
 * owner, for good. A store is not made for it; failures are passed over, for the error itself is
 * told to who asked. */
void ag_unable(const struct ag_args *args, struct ag_setup *setup, const char *who,
               const defupd_error *why);

#endif
