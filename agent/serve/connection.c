/* SPDX-License-Identifier: Apache-2.0 */
/* Connections, and the one thread that looks after them: it cuts who sends no request or reads no
 * answer, counts what was sent, and hands out bandwidth. libmicrohttpd's own time-out is for
 * connections on which nothing moves; a byte now and then keeps those open for ever. It is never
 * called while our lock is held. */
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "serve_priv.h"

#define LOOK_MS 5000
#define TURN_MS 20   /* of bandwidth */
#define LEAST 1448   /* bytes that are worth a packet */
#define BUCKET 65536 /* at least, of bandwidth that was not used */

static int64_t now_ms(void)
{
    return du_serve_now_us() / 1000;
}

static bool matches(const struct du_network *networks, size_t count,
                    const struct du_address *address)
{
    for (size_t i = 0; i < count; i++) {
        if (du_network_has(&networks[i], address))
            return true;
    }
    return false;
}

/* --- coming and going --- */

/* Twice the limit is what no client of ours comes to: no thread reads its requests. */
enum MHD_Result du_connection_accept(void *cls, const struct sockaddr *from, socklen_t length)
{
    struct du_serve *serve = cls;
    struct du_address address;
    uint32_t connections = 0;

    (void)length;
    if (serve->options.per_client == 0 || !du_address_of(&address, from) ||
        matches(serve->forwards, serve->forwards_count, &address))
        return MHD_YES;
    if (du_client_enter(serve->clients, &address, du_serve_now_us(), false, &connections) == NULL ||
        connections < 2 * (uint64_t)serve->options.per_client)
        return MHD_YES;
    (void)pthread_mutex_lock(&serve->keeper.lock);
    serve->last_limited = address;
    (void)pthread_mutex_unlock(&serve->keeper.lock);
    serve->count.turned_away++;
    return MHD_NO;
}

static void begin(struct du_serve *serve, struct MHD_Connection *mhd, void **context)
{
    const union MHD_ConnectionInfo *fd =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    const union MHD_ConnectionInfo *from =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    struct du_connection *made = calloc(1, sizeof *made);
    uint32_t connections;

    *context = made; /* without one, no request is answered */
    if (made == NULL || fd == NULL || from == NULL)
        return;
    made->serve = serve;
    made->mhd = mhd;
    made->fd = fd->connect_fd;
    made->since_ms = now_ms();
    if (du_address_of(&made->from, from->client_addr)) {
        made->forwards = matches(serve->forwards, serve->forwards_count, &made->from);
        made->allowed = serve->allow_count == 0 || made->forwards ||
                        matches(serve->allow, serve->allow_count, &made->from);
        if (!made->forwards)
            made->client =
                du_client_enter(serve->clients, &made->from, du_serve_now_us(), true, &connections);
    }
    serve->count.connections++;
    (void)pthread_mutex_lock(&serve->keeper.lock);
    made->next = serve->keeper.connections;
    made->link = &serve->keeper.connections;
    if (made->next != NULL)
        made->next->link = &made->next;
    serve->keeper.connections = made;
    if (serve->keeper.count++ == 0)
        (void)pthread_cond_signal(&serve->keeper.change);
    (void)pthread_mutex_unlock(&serve->keeper.lock);
}

/* What the other side has confirmed; what was sent is added up. -1: not to be had here. */
static int64_t look_at(struct du_connection *connection)
{
    struct tcp_info info = { 0 };
    socklen_t length = sizeof info;
    uint64_t sent;

    if (getsockopt(connection->fd, IPPROTO_TCP, TCP_INFO, &info, &length) != 0 ||
        length < offsetof(struct tcp_info, tcpi_bytes_retrans) + sizeof info.tcpi_bytes_retrans)
        return -1;
    sent = info.tcpi_bytes_sent - info.tcpi_bytes_retrans;
    if (sent > connection->sent) {
        connection->serve->count.bytes += sent - connection->sent;
        connection->sent = sent;
    }
    return (int64_t)info.tcpi_bytes_acked;
}

static void end(struct du_serve *serve, struct du_connection *connection)
{
    if (connection->serve != NULL) {
        (void)pthread_mutex_lock(&serve->keeper.lock);
        (void)look_at(connection);
        *connection->link = connection->next;
        if (connection->next != NULL)
            connection->next->link = connection->link;
        serve->keeper.count--;
        (void)pthread_mutex_unlock(&serve->keeper.lock);
        if (connection->miss != NULL)
            du_miss_leave(connection->miss);
        if (connection->client != NULL)
            du_client_leave(serve->clients, connection->client);
    }
    free(connection);
}

/* The descriptor is still open when its end is told, so nobody shuts down somebody else's. */
void du_connection_notify(void *cls, struct MHD_Connection *mhd, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        begin(cls, mhd, context);
    } else if (*context != NULL) {
        end(cls, *context);
        *context = NULL;
    }
}

/* --- looking after them --- */

static void cut(struct du_connection *connection)
{
    connection->shut = true;
    connection->serve->count.cut++;
    (void)shutdown(connection->fd, SHUT_RDWR);
}

static void look(struct du_connection *connection, int64_t now)
{
    const struct du_serve_options *options = &connection->serve->options;
    const int64_t taken = look_at(connection);
    const int64_t since = connection->since_ms;
    const uint32_t waits = connection->waits;

    if (connection->shut)
        return;
    if (connection->held) { /* by us */
        connection->then_ms = 0;
        return;
    }
    if (!connection->busy) {
        /* libmicrohttpd closes where nothing comes; here something does, but no whole request. */
        if (now - since >= 2000 * (int64_t)options->idle_s)
            cut(connection);
        connection->then_ms = 0;
        return;
    }
    if (taken < 0)
        return;
    if (connection->then_ms <= since || connection->waits_then != waits) {
        connection->then_ms = now;
        connection->sent_then = (uint64_t)taken;
        connection->waits_then = waits;
    } else if (now - connection->then_ms >= 1000 * (int64_t)options->slow_s) {
        if ((uint64_t)taken - connection->sent_then < options->slow_bytes)
            cut(connection);
        connection->then_ms = now;
        connection->sent_then = (uint64_t)taken;
    }
}

/* --- bandwidth --- */

static void refill(struct du_serve *serve)
{
    struct du_keeper *keeper = &serve->keeper;
    const int64_t now = du_serve_now_us(), rate = (int64_t)serve->options.bytes_per_s;
    const int64_t most = rate / 5 > BUCKET ? rate / 5 : BUCKET;
    const int64_t passed = now - keeper->filled_us;

    if (passed < TURN_MS * 500)
        return;
    keeper->filled_us = now;
    keeper->tokens += passed >= 1000000 ? rate : rate / 1000 * (passed / 1000) + 1;
    if (keeper->tokens > most)
        keeper->tokens = most;
    keeper->share = keeper->tokens / (keeper->waiting_count + 1);
    if (keeper->share < LEAST)
        keeper->share = LEAST;
}

int64_t du_keeper_take(struct du_connection *connection, size_t most)
{
    struct du_keeper *keeper = &connection->serve->keeper;
    int64_t got = (int64_t)most;
    bool resume;

    connection->held = false;
    (void)pthread_mutex_lock(&keeper->lock);
    if (!keeper->stopping && keeper->tokens <= 0)
        refill(connection->serve);
    if (keeper->stopping)
        got = -1;
    else if (got > keeper->share)
        got = keeper->share;
    if (got > 0 && keeper->tokens <= 0)
        got = 0;
    if (got > 0)
        keeper->tokens -= got;
    (void)pthread_mutex_unlock(&keeper->lock);
    if (got != 0)
        return got;
    /* Only who is suspended may be resumed, so it is entered afterwards. */
    connection->waits++;
    connection->held = true;
    MHD_suspend_connection(connection->mhd);
    (void)pthread_mutex_lock(&keeper->lock);
    resume = keeper->stopping;
    if (!resume) {
        connection->wait = keeper->waiting;
        keeper->waiting = connection;
        if (keeper->waiting_count++ == 0)
            (void)pthread_cond_signal(&keeper->change);
    }
    (void)pthread_mutex_unlock(&keeper->lock);
    if (resume)
        MHD_resume_connection(connection->mhd);
    return 0;
}

void du_keeper_spend(struct du_serve *serve, uint64_t bytes)
{
    if (serve->options.bytes_per_s == 0)
        return;
    (void)pthread_mutex_lock(&serve->keeper.lock);
    serve->keeper.tokens -= (int64_t)bytes;
    (void)pthread_mutex_unlock(&serve->keeper.lock);
}

static void resume_all(struct du_connection *at)
{
    while (at != NULL) {
        struct du_connection *next = at->wait; /* the next moment it may be gone */

        MHD_resume_connection(at->mhd);
        at = next;
    }
}

static struct du_connection *take_waiting(struct du_keeper *keeper)
{
    struct du_connection *waiting = keeper->waiting;

    keeper->waiting = NULL;
    keeper->waiting_count = 0;
    return waiting;
}

/* --- the thread --- */

static void sleep_for(struct du_keeper *keeper, int64_t ms)
{
    struct timespec until;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(ms / 1000);
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    (void)pthread_cond_timedwait(&keeper->change, &keeper->lock, &until);
}

static void *keep(void *cls)
{
    struct du_serve *serve = cls;
    struct du_keeper *keeper = &serve->keeper;
    const uint32_t shorter = serve->options.idle_s < serve->options.slow_s ? serve->options.idle_s
                                                                           : serve->options.slow_s;
    const int64_t every = shorter * INT64_C(250) < LOOK_MS ? shorter * INT64_C(250) : LOOK_MS;
    int64_t looked = 0;

    (void)pthread_mutex_lock(&keeper->lock);
    while (!keeper->stopping) {
        struct du_connection *resumed = NULL;
        int64_t now;

        if (keeper->waiting != NULL)
            sleep_for(keeper, TURN_MS);
        else if (keeper->connections != NULL)
            sleep_for(keeper, every);
        else
            (void)pthread_cond_wait(&keeper->change, &keeper->lock);
        now = now_ms();
        if (now - looked >= every) {
            looked = now;
            for (struct du_connection *at = keeper->connections; at != NULL; at = at->next)
                look(at, now);
        }
        if (keeper->waiting != NULL && !keeper->stopping) {
            refill(serve);
            if (keeper->tokens > 0)
                resumed = take_waiting(keeper);
        }
        (void)pthread_mutex_unlock(&keeper->lock);
        resume_all(resumed);
        (void)pthread_mutex_lock(&keeper->lock);
    }
    (void)pthread_mutex_unlock(&keeper->lock);
    return NULL;
}

defupd_code du_keeper_start(struct du_serve *serve, defupd_error *err)
{
    struct du_keeper *keeper = &serve->keeper;
    int rc;

    keeper->filled_us = du_serve_now_us();
    keeper->share = LEAST;
    rc = pthread_create(&keeper->thread, NULL, keep, serve);
    errno = rc;
    if (rc != 0)
        return du_serve_fail(err, DEFUPD_E_NOMEM, "cannot start a thread: %s", strerror(rc));
    keeper->running = true;
    return DEFUPD_OK;
}

void du_keeper_release(struct du_serve *serve)
{
    struct du_keeper *keeper = &serve->keeper;
    struct du_connection *waiting;

    (void)pthread_mutex_lock(&keeper->lock);
    keeper->stopping = true;
    waiting = take_waiting(keeper);
    (void)pthread_cond_signal(&keeper->change);
    (void)pthread_mutex_unlock(&keeper->lock);
    resume_all(waiting);
    if (keeper->running)
        (void)pthread_join(keeper->thread, NULL);
    keeper->running = false;
}

void du_serve_drain(struct du_serve *serve, unsigned ms)
{
    const int64_t until = now_ms() + ms;
    const struct timespec moment = { .tv_nsec = 10000000 };
    uint32_t busy;

    for (unsigned i = 0; i < serve->addresses; i++) {
        const int fd = serve->daemons[i] != NULL ? MHD_quiesce_daemon(serve->daemons[i]) : -1;

        if (fd >= 0)
            (void)close(fd);
    }
    do {
        busy = 0;
        (void)pthread_mutex_lock(&serve->keeper.lock);
        for (struct du_connection *at = serve->keeper.connections; at != NULL; at = at->next)
            busy += at->busy || at->held;
        (void)pthread_mutex_unlock(&serve->keeper.lock);
        if (busy > 0)
            (void)nanosleep(&moment, NULL);
    } while (busy > 0 && now_ms() < until);
}
