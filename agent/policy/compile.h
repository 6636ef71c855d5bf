/* SPDX-License-Identifier: Apache-2.0 */
/* What the service must know of the policy, in lines that need no XML parser:
 * docs/formats/policy.md. */
#ifndef AG_POLICY_COMPILE_H
#define AG_POLICY_COMPILE_H

#include "policy/policy.h"

/* Find the policy in force, keep it as the last good one, refresh the reports (a bad policy is told
 * there), and print it. Root becomes the store's owner, for good. A bad policy is no failure: then
 * the last good one or the defaults are printed, with the error.
 * DEFUPD_E_IO, DEFUPD_E_NOMEM, DEFUPD_E_STORE_OWNER, DEFUPD_E_NOT_PERMITTED. */
DEFUPD_MUST_CHECK defupd_code ag_compile(FILE *out, FILE *errors, const char *config,
                                         const char *standard, const char *state_dir,
                                         defupd_error *err);

/* The lines from interval-s on. `policy` NULL: the defaults. */
void ag_compile_print(FILE *out, const struct ag_policy *policy);

/* A value as one word: what is not a visible ASCII character, and '%', is percent-encoded. */
void ag_compile_word(FILE *out, const char *text);

#endif
