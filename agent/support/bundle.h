/* SPDX-License-Identifier: Apache-2.0 */
/* `support-bundle -o FILE`: what a support engineer asks for, in one tar.gz, without secrets. */
#ifndef AG_SUPPORT_BUNDLE_H
#define AG_SUPPORT_BUNDLE_H

#include <stdio.h>

#include "options.h"

/* The whole command; returns the exit code. */
int ag_support_bundle(const struct ag_args *args, FILE *out, FILE *errors);

/* Blank what stands between "://" and '@' in anything that looks like a URL, in place. */
void ag_scrub(char *text, size_t count);

#endif
