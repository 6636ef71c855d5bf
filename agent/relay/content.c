/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/content.h"

#include <stdlib.h>
#include <string.h>

#include "fail.h"

static defupd_code list_components(const char ***out, const struct ag_policy *policy,
                                   defupd_error *err)
{
    const struct ag_value *first = ag_policy_at(policy, "relay/component");
    const char **list;
    size_t count = 0;

    *out = NULL;
    for (const struct ag_value *at = first; at != NULL; at = ag_value_next(at))
        count++;
    if (count == 0)
        return DEFUPD_OK;
    list = calloc(count + 1, sizeof *list);
    if (list == NULL)
        return AG_FAIL(err, DEFUPD_E_NOMEM, "out of memory while applying the policy");
    count = 0;
    for (const struct ag_value *at = first; at != NULL; at = ag_value_next(at))
        list[count++] = at->text;
    *out = list;
    return DEFUPD_OK;
}

defupd_code ag_relay_open(struct du_relay **out, const struct ag_policy *policy,
                          const defupd_client_options *client, defupd_error *err)
{
    struct du_relay_options options = {
        .client = client,
        .mode = ag_policy_number(policy, "relay/mode") != 0 ? DU_RELAY_CACHE : DU_RELAY_MIRROR,
        .releases = (uint32_t)ag_policy_number(policy, "relay/releases"),
        .keep_s = ag_policy_number(policy, "relay/keep"),
        .max_bytes = ag_policy_number(policy, "relay/cache-size"),
    };
    const char **components;
    defupd_code rc;

    AG_TRY(list_components(&components, policy, err));
    options.components = components;
    rc = du_relay_open(out, &options, err);
    free(components);
    return rc;
}
