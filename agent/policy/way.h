/* SPDX-License-Identifier: Apache-2.0 */
/* The ways to sources: proxies, credentials and certificates of a policy, read with the operator's
 * rights before the process becomes the store's owner. */
#ifndef AG_POLICY_WAY_H
#define AG_POLICY_WAY_H

#include "become.h"
#include "policy/policy.h"

enum ag_way_file {
    AG_WAY_AUTH,       /* credentials: their text, "USER:PASSWORD" */
    AG_WAY_PROXY_AUTH, /* the same */
    AG_WAY_CA,         /* others: a path that stays readable */
    AG_WAY_CERTIFICATE,
    AG_WAY_KEY,
    AG_WAY_CRL,
    AG_WAY_FILES
};

struct ag_way {
    char *text[AG_WAY_FILES]; /* NULL: not set */
    int fd[AG_WAY_FILES];     /* -1: nothing is held */
};

/* [0] is of the sections proxy and tls, the others of <relays> and then <server>, in their order.
 */
struct ag_ways {
    struct ag_way *way;
    size_t count;
};

/* Read the files that the policy (NULL: none) names. DEFUPD_E_POLICY_OWNER, DEFUPD_E_POLICY,
 * DEFUPD_E_IO, DEFUPD_E_NOMEM; the message says which setting is to be mended. `ways` is freed by
 * ag_ways_free() in either case. */
DEFUPD_MUST_CHECK defupd_code ag_ways_read(struct ag_ways *ways, const struct ag_policy *policy,
                                           const struct ag_owner *owner, defupd_error *err);
void ag_ways_free(struct ag_ways *ways);

/* A file that policy names cannot be used: say which setting is to be mended. Returns rc. */
defupd_code ag_at_setting(const struct ag_value *value, defupd_code rc, defupd_error *err);

#endif
