/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/upstream.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define FETCHES 8      /* at a time */
#define AGAIN_MS 100   /* an object that another process fetches is looked for that often, */
#define AGAIN_MOST 300 /* and so many times */
#define TELL_S 60      /* the same failure is told again after that */

static void tell(struct ag_relay_upstream *upstream, const defupd_error *err)
{
    const int64_t now = (int64_t)time(NULL);

    (void)pthread_mutex_lock(&upstream->lock);
    if (strcmp(upstream->told, err->message) != 0 || now - upstream->told_at >= TELL_S) {
        (void)snprintf(upstream->told, sizeof upstream->told, "%s", err->message);
        upstream->told_at = now;
        upstream->say(upstream->user, upstream->told);
    }
    (void)pthread_mutex_unlock(&upstream->lock);
}

/* The worker that brings metadata may be at this very object: then it is here soon. */
static defupd_code fetch(void *context, const unsigned char sha256[32], du_serve_arrived_fn arrived,
                         void *user, defupd_error *err)
{
    const struct timespec moment = { .tv_nsec = AGAIN_MS * 1000000 };
    struct ag_relay_upstream *upstream = context;
    defupd_code rc = du_relay_object(upstream->relay, sha256, arrived, user, err);

    for (int i = 0; rc == DEFUPD_E_BUSY && i < AGAIN_MOST && !upstream->ending; i++) {
        (void)nanosleep(&moment, NULL);
        rc = du_relay_object(upstream->relay, sha256, arrived, user, err);
    }
    if (rc != DEFUPD_OK && rc != DEFUPD_E_NOT_FOUND && rc != DEFUPD_E_CANCELLED)
        tell(upstream, err);
    return rc;
}

static void used(void *context, const unsigned char sha256[32])
{
    struct ag_relay_upstream *upstream = context;

    du_relay_used(upstream->relay, sha256);
}

static void cancel(void *context)
{
    struct ag_relay_upstream *upstream = context;

    upstream->ending = true;
    du_relay_cancel(upstream->relay);
}

defupd_code ag_relay_upstream_open(struct ag_relay_upstream *upstream,
                                   const struct ag_policy *policy,
                                   const defupd_client_options *client,
                                   void (*say)(void *user, const char *text), void *user,
                                   defupd_error *err)
{
    (void)pthread_mutex_init(&upstream->lock, NULL);
    upstream->say = say;
    upstream->user = user;
    upstream->serve = (struct du_serve_upstream){
        .context = upstream, .fetch = fetch, .used = used, .cancel = cancel, .fetches = FETCHES
    };
    return ag_relay_open(&upstream->relay, policy, client, err);
}

void ag_relay_upstream_close(struct ag_relay_upstream *upstream)
{
    du_relay_close(upstream->relay);
    upstream->relay = NULL;
}
