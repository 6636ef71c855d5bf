/* SPDX-License-Identifier: Apache-2.0 */
/* Accounts of clients in a table that never grows: sets of a few places, the set chosen by a keyed
 * hash of the address. A newcomer takes the place of the one in its set that was away longest; who
 * has a connection keeps its place. So neither a scan nor forged addresses cost more memory. */
#include <stdlib.h>
#include <string.h>

#include "serve_priv.h"

#define SETS 8192u
#define WAYS 8u
#define LOCKS 64u
/* Requests may come at once for this long, at the rate of the limit. */
#define BURST_US INT64_C(5000000)

struct du_clients {
    pthread_mutex_t locks[LOCKS];
    uint64_t seed;
    struct du_client *places;
};

struct du_clients *du_clients_new(uint64_t seed)
{
    struct du_clients *clients = calloc(1, sizeof *clients);

    if (clients == NULL)
        return NULL;
    /* Pages of it are the system's until somebody comes. */
    clients->places = calloc((size_t)SETS * WAYS, sizeof *clients->places);
    if (clients->places == NULL) {
        free(clients);
        return NULL;
    }
    clients->seed = seed;
    for (unsigned i = 0; i < LOCKS; i++)
        (void)pthread_mutex_init(&clients->locks[i], NULL);
    return clients;
}

void du_clients_free(struct du_clients *clients)
{
    if (clients == NULL)
        return;
    for (unsigned i = 0; i < LOCKS; i++)
        (void)pthread_mutex_destroy(&clients->locks[i]);
    free(clients->places);
    free(clients);
}

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

/* What stands for one host: see struct du_client. */
static struct du_address account_of(const struct du_address *who)
{
    static const unsigned char four[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
    struct du_address account = *who;

    if (memcmp(account.bytes, four, sizeof four) != 0)
        memset(account.bytes + 8, 0, 8);
    return account;
}

static unsigned set_of(const struct du_clients *clients, const struct du_address *who)
{
    uint64_t high, low;

    memcpy(&high, who->bytes, 8);
    memcpy(&low, who->bytes + 8, 8);
    return (unsigned)(mix(mix(clients->seed ^ high) ^ low) % SETS);
}

static pthread_mutex_t *lock_of(struct du_clients *clients, const struct du_client *client)
{
    return &clients->locks[(size_t)(client - clients->places) / WAYS % LOCKS];
}

static struct du_client *place_for(struct du_client *set, const struct du_address *who)
{
    struct du_client *best = NULL;

    for (unsigned i = 0; i < WAYS; i++) {
        struct du_client *at = &set[i];

        if (at->used && memcmp(&at->who, who, sizeof *who) == 0)
            return at;
        if (at->connections > 0)
            continue;
        if (best == NULL || (best->used && (!at->used || at->seen_ms < best->seen_ms)))
            best = at;
    }
    if (best != NULL)
        *best = (struct du_client){ .who = *who, .used = true };
    return best;
}

struct du_client *du_client_enter(struct du_clients *clients, const struct du_address *who,
                                  int64_t now_us, bool connect, uint32_t *connections)
{
    const struct du_address account = account_of(who);
    struct du_client *set = clients->places + (size_t)set_of(clients, &account) * WAYS, *client;

    (void)pthread_mutex_lock(lock_of(clients, set));
    client = place_for(set, &account);
    if (client != NULL) {
        client->seen_ms = now_us / 1000;
        client->connections += connect;
        *connections = client->connections;
    }
    (void)pthread_mutex_unlock(lock_of(clients, set));
    return client;
}

void du_client_leave(struct du_clients *clients, struct du_client *client)
{
    (void)pthread_mutex_lock(lock_of(clients, client));
    client->connections--;
    (void)pthread_mutex_unlock(lock_of(clients, client));
}

uint32_t du_client_connections(struct du_clients *clients, const struct du_client *client)
{
    uint32_t connections;

    (void)pthread_mutex_lock(lock_of(clients, client));
    connections = client->connections;
    (void)pthread_mutex_unlock(lock_of(clients, client));
    return connections;
}

/* Each request costs a share of a second. An account may be in debt for as long as a burst; the
 * debt is paid by time alone (the "generic cell rate algorithm"), so nothing has to be refilled. */
uint32_t du_client_ask(struct du_clients *clients, struct du_client *client, int64_t now_us,
                       uint32_t requests_per_s)
{
    const int64_t price = 1000000 / (int64_t)requests_per_s;
    int64_t debt;

    (void)pthread_mutex_lock(lock_of(clients, client));
    client->seen_ms = now_us / 1000;
    if (client->paid_us < now_us)
        client->paid_us = now_us;
    debt = client->paid_us + price - now_us;
    if (debt <= BURST_US)
        client->paid_us += price;
    (void)pthread_mutex_unlock(lock_of(clients, client));
    return debt <= BURST_US ? 0 : (uint32_t)((debt - BURST_US + 999999) / 1000000);
}

uint32_t du_clients_seen(struct du_clients *clients, int64_t since_us)
{
    uint32_t seen = 0;

    for (size_t set = 0; set < SETS; set++) {
        const struct du_client *at = clients->places + set * WAYS;

        (void)pthread_mutex_lock(lock_of(clients, at));
        for (unsigned i = 0; i < WAYS; i++)
            seen += at[i].used && (at[i].connections > 0 || at[i].seen_ms * 1000 >= since_us);
        (void)pthread_mutex_unlock(lock_of(clients, at));
    }
    return seen;
}
