/* SPDX-License-Identifier: Apache-2.0 */
/* From a policy to the library's options. */
#ifndef AG_POLICY_MAP_H
#define AG_POLICY_MAP_H

#include "policy/policy.h"
#include "report/report.h"

/* What the options point to; lives as long as they. */
struct ag_map {
    defupd_source *source;
    const defupd_source **sources;
    defupd_rule *rule;
    const defupd_rule **rules;
    defupd_licence *licence;
    const defupd_licence **licences;
    const char **components;
    char **engines;
};

/* Set what the policy (NULL: none) says; options that it does not speak of stay as they are. Files
 * that it names are the caller's business: trusted root, CA file, the proxy's credentials. `map` is
 * freed by ag_map_free() in either case. DEFUPD_E_NOMEM. */
DEFUPD_MUST_CHECK defupd_code ag_map_options(struct ag_map *map, defupd_client_options *options,
                                             const struct ag_policy *policy, defupd_error *err);
/* What reports need to know. Strings are the policy's. */
void ag_map_report(struct ag_report_settings *settings, const struct ag_force *force);
void ag_map_free(struct ag_map *map);

#endif
