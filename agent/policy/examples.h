/* SPDX-License-Identifier: Apache-2.0 */
/* First set-up: examples beside the policy file. */
#ifndef AG_POLICY_EXAMPLES_H
#define AG_POLICY_EXAMPLES_H

#include "policy/policy.h"
#include "report/disk.h"

/* Write policy.xml.example and examples of drop-ins into the folder of `policy` and its drop-ins,
 * made when missing. What is there stays as it is. Then note in the store that it was done: from
 * then on nothing is written any more. Root becomes the store's owner, for good.
 * DEFUPD_E_CANNOT_CREATE, DEFUPD_E_IO, DEFUPD_E_NO_SPACE, DEFUPD_E_NOMEM, DEFUPD_E_STORE_OWNER. */
DEFUPD_MUST_CHECK defupd_code ag_examples_write(const char *state_dir, const char *policy,
                                                const struct ag_disk *disk, size_t *written,
                                                defupd_error *err);

#endif
