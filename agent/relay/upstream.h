/* SPDX-License-Identifier: Apache-2.0 */
/* Where a cache's objects come from: the content half, for the server. */
#ifndef AG_RELAY_UPSTREAM_H
#define AG_RELAY_UPSTREAM_H

#include <pthread.h>
#include <stdatomic.h>

#include "relay/content.h"
#include "serve/serve.h"

struct ag_relay_upstream {
    struct du_serve_upstream serve; /* for the server's options */
    struct du_relay *relay;
    _Atomic(bool) ending;
    void (*say)(void *user, const char *text); /* any thread, one at a time */
    void *user;
    pthread_mutex_t lock;
    char told[512]; /* the last failure that was told, and when */
    int64_t told_at;
};

/* `client`: how sources are asked. To be closed also after a failure. Errors: as du_relay_open().
 */
DEFUPD_MUST_CHECK defupd_code ag_relay_upstream_open(struct ag_relay_upstream *upstream,
                                                     const struct ag_policy *policy,
                                                     const defupd_client_options *client,
                                                     void (*say)(void *user, const char *text),
                                                     void *user, defupd_error *err);
/* After the server was stopped. */
void ag_relay_upstream_close(struct ag_relay_upstream *upstream);

#endif
