/* SPDX-License-Identifier: Apache-2.0 */
/* The program without its main(), so that tests can call it. */
#ifndef AG_RUN_H
#define AG_RUN_H

/* The whole program; returns the exit code. Secrets in argv are overwritten. */
int ag_main(int argc, char **argv);

#endif
