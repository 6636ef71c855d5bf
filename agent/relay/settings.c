/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "relay/relay.h"

static void take_list(const char **out, size_t most, const struct ag_policy *policy,
                      const char *path)
{
    size_t n = 0;

    for (const struct ag_value *at = ag_policy_at(policy, path); at != NULL && n < most;
         at = ag_value_next(at))
        out[n++] = at->text;
}

void ag_relay_settings(struct ag_relay_settings *out, const struct ag_policy *policy)
{
    *out = (struct ag_relay_settings){
        .enabled =
            ag_policy_at(policy, "relay") != NULL && ag_policy_number(policy, "relay/enabled") != 0,
        .cache = strcmp(ag_policy_text(policy, "relay/mode"), "cache") == 0,
        .connections = (uint32_t)ag_policy_number(policy, "relay/connections"),
        .per_client = (uint32_t)ag_policy_number(policy, "relay/connections-per-client"),
        .requests_per_s = (uint32_t)ag_policy_number(policy, "relay/requests-per-second"),
        .bytes_per_s = ag_policy_number(policy, "relay/bandwidth"),
    };
    take_list(out->listen, AG_RELAY_LISTEN, policy, "relay/listen");
    take_list(out->allow, AG_RELAY_NETWORKS, policy, "relay/allow");
    take_list(out->forwards, AG_RELAY_NETWORKS, policy, "relay/trusted-proxy");
}

/* FNV-1a, 64 bit. */
static uint64_t fold(uint64_t sum, const char *text)
{
    do {
        sum = (sum ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    } while (*text++ != '\0');
    return sum;
}

static uint64_t fold_value(uint64_t sum, const struct ag_value *value)
{
    if (value->setting != NULL)
        sum = fold(sum, value->setting->path);
    if (value->text != NULL)
        sum = fold(sum, value->text);
    for (const struct ag_value *at = value->child; at != NULL; at = at->next)
        sum = fold_value(sum, at);
    return fold(sum, "");
}

uint64_t ag_relay_settings_sum(const struct ag_policy *policy)
{
    const struct ag_value *relay = ag_policy_at(policy, "relay");
    struct ag_relay_settings settings;

    if (relay == NULL)
        return 0;
    ag_relay_settings(&settings, policy);
    /* Who fetches reads the ways to the sources, too. */
    return fold_value(UINT64_C(0xcbf29ce484222325), settings.cache ? &policy->root : relay);
}
