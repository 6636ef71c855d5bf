/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/content.h"

#include <string.h>

void ag_relay_content(struct ag_relay_content *out, const struct ag_policy *policy,
                      const defupd_client_options *client)
{
    const bool cache = strcmp(ag_policy_text(policy, "relay/mode"), "cache") == 0;
    size_t n = 0;

    *out = (struct ag_relay_content){
        .options = { .client = client,
                     .mode = cache ? DU_RELAY_CACHE : DU_RELAY_MIRROR,
                     .releases = (uint32_t)ag_policy_number(policy, "relay/releases"),
                     .keep_s = ag_policy_number(policy, "relay/keep"),
                     .max_bytes = ag_policy_number(policy, "relay/cache-size") }
    };
    for (const struct ag_value *at = ag_policy_at(policy, "relay/component");
         at != NULL && n < AG_RELAY_COMPONENTS; at = ag_value_next(at))
        out->components[n++] = at->text;
    if (n > 0)
        out->options.components = out->components;
}
