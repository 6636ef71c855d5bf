/* SPDX-License-Identifier: Apache-2.0 */
/* Another program started from a multi-threaded or privileged process: no code of ours runs
 * between fork and exec. Libc only. */
#ifndef AG_LAUNCH_H
#define AG_LAUNCH_H

#include <stdbool.h>
#include <sys/types.h>

/* Standard input is /dev/null, signals are at their defaults and none is blocked. Nothing else
 * that is open here stays open there. */
struct ag_launch {
    const char *path; /* no search */
    char *const *argv, *const *env;
    int out, err; /* become its descriptors 1 and 2; -1: our standard error, ours */
    int three;    /* becomes its descriptor 3; -1: none */
    int four;     /* with three: becomes its descriptor 4; 0: none. Not 3 */
    bool session; /* of its own; else a process group of its own */
};

/* 0 or errno. */
int ag_launch(pid_t *pid, const struct ag_launch *what);

#endif
