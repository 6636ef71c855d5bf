/* SPDX-License-Identifier: Apache-2.0 */
/* defupd-relay: serves STATE/relay, which the content half (<libdefupd/relay/relay.h>) fills, to
 * other hosts. docs/serving/relay.md. */
#ifndef AG_RELAY_RELAY_H
#define AG_RELAY_RELAY_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <defupd/error.h>

#include "policy/policy.h"
#include "serve/serve.h"

#define AG_RELAY_PORT "8090" /* where policy names no address: all of them */
#define AG_RELAY_LISTEN 16u
#define AG_RELAY_NETWORKS 64u

/* --- settings.c --- */

/* What policy says of serving. Strings are the policy's. */
struct ag_relay_settings {
    bool enabled; /* there is a relay section, and it is not switched off */
    bool cache;   /* objects are fetched on demand */
    const char *listen[AG_RELAY_LISTEN + 1];
    const char *allow[AG_RELAY_NETWORKS + 1], *forwards[AG_RELAY_NETWORKS + 1];
    uint32_t connections, per_client, requests_per_s;
    uint64_t bytes_per_s;
};
void ag_relay_settings(struct ag_relay_settings *out, const struct ag_policy *policy);
/* A number that changes with what the server reads of the policy. */
uint64_t ag_relay_settings_sum(const struct ag_policy *policy);

/* --- served.c --- */

/* STATE/relay/served: what the server has done since it was started. */
struct ag_served {
    int64_t since, written; /* Unix seconds */
    int64_t pid;
    int64_t failed; /* the defupd_code, above 0, with which it could not begin; 0: it serves or
                       served */
    struct du_serve_figures figures;
};
DEFUPD_MUST_CHECK defupd_code ag_served_write(const char *state_dir, const struct ag_served *served,
                                              defupd_error *err);
/* All zero and DEFUPD_OK when there is no such file; DEFUPD_E_STORE_CORRUPT, DEFUPD_E_IO. */
DEFUPD_MUST_CHECK defupd_code ag_served_read(struct ag_served *out, const char *state_dir,
                                             defupd_error *err);

#endif
