/* SPDX-License-Identifier: Apache-2.0 */
/* `preflight`: would an update work here? Looks at everything it needs, changes nothing. */
#ifndef AG_SUPPORT_PREFLIGHT_H
#define AG_SUPPORT_PREFLIGHT_H

#include <stdio.h>

#include "options.h"
#include "support/doctor.h"

enum ag_verdict { AG_PASS, AG_WARN, AG_FAILS };

struct ag_check {
    const char *name; /* "disk-space" */
    enum ag_verdict verdict;
    defupd_code code; /* of a failure */
    char text[DEFUPD_ERROR_MESSAGE_MAX];
};

#define AG_CHECKS_MAX 64

struct ag_preflight {
    struct ag_check check[AG_CHECKS_MAX];
    size_t count;
};

/* Look, and let the doctor look at the same sources unless it is NULL. May become the store's
 * owner, for good. */
void ag_preflight_run(struct ag_preflight *preflight, struct ag_doctor *doctor,
                      const struct ag_args *args);

enum ag_preflight_form { AG_AS_TABLE, AG_AS_CSV, AG_AS_JSON };
/* DEFUPD_E_NOMEM. */
DEFUPD_MUST_CHECK defupd_code ag_preflight_print(FILE *out, const struct ag_preflight *preflight,
                                                 enum ag_preflight_form form, defupd_error *err);

/* The whole command; returns the exit code: 0, also with warnings, else the first failure's. */
int ag_preflight(const struct ag_args *args, FILE *out, FILE *errors);

#endif
