/* SPDX-License-Identifier: Apache-2.0 */
/* Policy's hooks where no service runs: this process starts them itself, by the same code. */
#ifndef AG_OWN_HOOK_H
#define AG_OWN_HOOK_H

#include "hook/hook.h"
#include "policy/policy.h"

/* Run all hooks of the facts' kind, one after the other, as the service does. Their output goes to
 * `line`. DEFUPD_E_CANCELLED when a signal came first (never for post-install); others as in
 * <defupd/client.h>. */
DEFUPD_MUST_CHECK defupd_code ag_own_hooks(const struct ag_policy *policy,
                                           const struct ag_hook_facts *facts, ag_hook_line_fn line,
                                           void *user, defupd_error *err);

#endif
