/* SPDX-License-Identifier: Apache-2.0 */
/* The command `config`. */
#ifndef AG_POLICY_CONFIG_H
#define AG_POLICY_CONFIG_H

#include <stdio.h>

#include "options.h"
#include "policy/policy.h"

/* The policy file that the command line asks for, NULL: the default one is not to be read either
 * unless *standard is set to it. */
const char *ag_config_file(const struct ag_args *args, const char **standard);

/* The whole command; returns the exit code. */
int ag_config(const struct ag_args *args, FILE *out, FILE *errors);

#endif
