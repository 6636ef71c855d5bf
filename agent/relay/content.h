/* SPDX-License-Identifier: Apache-2.0 */
/* The content half of a relay, by policy. */
#ifndef AG_RELAY_CONTENT_H
#define AG_RELAY_CONTENT_H

#include <relay/relay.h>

#include "policy/policy.h"

#define AG_RELAY_COMPONENTS 256u

/* Borrows from the policy and from `client`. */
struct ag_relay_content {
    struct du_relay_options options;
    const char *components[AG_RELAY_COMPONENTS + 1];
};
/* What policy says of it; `client`: how sources are asked. */
void ag_relay_content(struct ag_relay_content *out, const struct ag_policy *policy,
                      const defupd_client_options *client);

#endif
