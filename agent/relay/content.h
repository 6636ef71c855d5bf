/* SPDX-License-Identifier: Apache-2.0 */
/* The relay's content half, as policy has it. */
#ifndef AG_RELAY_CONTENT_H
#define AG_RELAY_CONTENT_H

#include <libdefupd/relay/relay.h>

#include "policy/policy.h"

/* What policy says, beside the options of an update on this host; their callbacks count. Errors: as
 * du_relay_open(), DEFUPD_E_NOMEM. */
DEFUPD_MUST_CHECK defupd_code ag_relay_open(struct du_relay **out, const struct ag_policy *policy,
                                            const defupd_client_options *client, defupd_error *err);

#endif
