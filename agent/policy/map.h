/* SPDX-License-Identifier: Apache-2.0 */
/* From a policy to the library's options. */
#ifndef AG_POLICY_MAP_H
#define AG_POLICY_MAP_H

#include "policy/policy.h"
#include "policy/way.h"
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
    char **texts; /* made of several settings */
    size_t text_count;
};

/* Set what the policy (NULL: none) says; options that it does not speak of stay as they are.
 * Trusted root, CA file and proxy of all sources are the caller's business. `ways`: files of the
 * sources; its count is 0 when nobody will ask them. `named`: URLs instead of the policy's sources,
 * NULL: none. `map` is freed by ag_map_free() in either case. DEFUPD_E_NOMEM. */
DEFUPD_MUST_CHECK defupd_code ag_map_options(struct ag_map *map, defupd_client_options *options,
                                             const struct ag_policy *policy,
                                             const struct ag_ways *ways, const char *const *named,
                                             defupd_error *err);
/* What reports need to know. Strings are the policy's. */
void ag_map_report(struct ag_report_settings *settings, const struct ag_force *force);
void ag_map_free(struct ag_map *map);

#endif
