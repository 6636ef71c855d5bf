/* SPDX-License-Identifier: Apache-2.0 */
/* `cluster-check`: postures of several hosts side by side, and which of them are odd. */
#ifndef AG_SUPPORT_CLUSTER_H
#define AG_SUPPORT_CLUSTER_H

#include <stdbool.h>
#include <stdio.h>

#include "options.h"

#define AG_HOSTS_MAX 10000

/* The whole command; returns the exit code: 0 all alike and well, 65 some host is odd. */
int ag_cluster_check(const struct ag_args *args, FILE *out, FILE *errors);

#endif
