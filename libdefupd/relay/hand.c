/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who fetches an object on demand. A hand has connections of its own and goes back to its relay
 * afterwards, so that the next object needs no new ones. It reads what the store knows of its
 * sources, and writes nothing there: the store is another process's.
 */
#include <stdlib.h>
#include <string.h>

#include "relay/relay_priv.h"

static void on_event(void *user, const defupd_event *event)
{
    struct du_relay_hand *hand = user;

    if (event->id != DEFUPD_EVENT_PROGRESS)
        return;
    if (atomic_load(&hand->relay->stop))
        atomic_store(&hand->ctx.cancel, true);
    if (hand->on_tick != NULL)
        hand->on_tick(hand->user);
}

static defupd_code make(struct du_relay *relay, struct du_relay_hand **out, defupd_error *err)
{
    struct du_relay_hand *hand = calloc(1, sizeof *hand);
    defupd_code rc;

    if (hand == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory to fetch an object");
    hand->relay = relay;
    hand->ctx.sys = relay->options.sys;
    hand->ctx.store = relay->ctx.store;
    hand->ctx.options = &relay->client;
    hand->ctx.events = (struct du_events){ .on_event = on_event,
                                           .event_user = hand,
                                           .on_log = relay->client.on_log,
                                           .log_user = relay->client.log_user };
    atomic_init(&hand->ctx.cancel, false);
    hand->run = (struct du_run){
        .ctx = &hand->ctx, .kind = DU_RUN_DOWNLOAD, .trust_dir = -1, .read_only = true
    };
    rc = du_run_open_fetch(&hand->run, err);
    if (rc != DEFUPD_OK) {
        du_relay_hand_free(hand);
        return rc;
    }
    *out = hand;
    return DEFUPD_OK;
}

void du_relay_hand_free(struct du_relay_hand *hand)
{
    du_fetch_freep(&hand->run.fetch);
    free(hand);
}

/* What another one was told counts for this one as well. With the mutex held. */
static void share_cool(struct du_relay *relay, struct du_relay_hand *hand)
{
    for (size_t s = 0; s < du_fetch_sources(hand->run.fetch); s++) {
        char key[DU_SOURCE_KEY];

        du_fetch_key(key, du_fetch_source_name(hand->run.fetch, s));
        for (size_t i = 0; i < relay->cools; i++) {
            if (strcmp(relay->cool[i].key, key) == 0)
                du_fetch_cool(hand->run.fetch, s, relay->cool[i].until);
        }
    }
}

static void learn_cool(struct du_relay *relay, const struct du_relay_hand *hand)
{
    for (size_t s = 0; s < du_fetch_sources(hand->run.fetch); s++) {
        const int64_t until = du_fetch_cooling(hand->run.fetch, s);
        char key[DU_SOURCE_KEY];
        size_t i = 0;

        if (until == 0)
            continue;
        du_fetch_key(key, du_fetch_source_name(hand->run.fetch, s));
        while (i < relay->cools && strcmp(relay->cool[i].key, key) != 0)
            i++;
        if (i == DU_RELAY_SOURCES_MAX)
            return;
        if (i == relay->cools)
            memcpy(relay->cool[relay->cools++].key, key, sizeof key);
        relay->cool[i].until = until;
    }
}

defupd_code du_relay_hand_take(struct du_relay *relay, struct du_relay_hand **out,
                               defupd_error *err)
{
    struct du_relay_hand *hand;

    (void)pthread_mutex_lock(&relay->mutex);
    hand = relay->idle;
    if (hand != NULL)
        relay->idle = hand->next;
    (void)pthread_mutex_unlock(&relay->mutex);
    if (hand == NULL)
        DU_TRY(make(relay, &hand, err));
    (void)pthread_mutex_lock(&relay->mutex);
    share_cool(relay, hand);
    (void)pthread_mutex_unlock(&relay->mutex);
    *out = hand;
    return DEFUPD_OK;
}

void du_relay_hand_give_back(struct du_relay *relay, struct du_relay_hand *hand)
{
    /* The total time-out counts what a handle has done in its whole life. */
    const bool keep = relay->client.total_timeout_ms == 0 && !atomic_load(&relay->stop);

    hand->on_tick = NULL;
    (void)pthread_mutex_lock(&relay->mutex);
    learn_cool(relay, hand);
    if (keep) {
        hand->next = relay->idle;
        relay->idle = hand;
    }
    (void)pthread_mutex_unlock(&relay->mutex);
    if (!keep)
        du_relay_hand_free(hand);
}
