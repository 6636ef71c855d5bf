/* SPDX-License-Identifier: Apache-2.0 */
/* Objects that are not here yet: fetched once, by a few threads, however many clients want them,
 * and handed on while they arrive. A client's answer begins as soon as the size is known; where it
 * has sent all that is there, its connection is suspended until there is more. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "serve_priv.h"

#define QUEUED_MAX 256u /* objects that wait for a thread */
#define THREADS_MAX 32u
/* News that are worth waking readers for: so many bytes, or some after so long. */
#define WAKE 32768u
#define WAKE_US 100000
#define PIECE 65536u

struct du_miss {
    struct du_miss *next;  /* of all that are not done */
    struct du_miss *queue; /* of those that wait for a thread */
    struct du_misses *owner;
    char digest[65];
    unsigned refs; /* connections, and the table */
    int fd;        /* ours; -1: nothing has come yet */
    int source;    /* the descriptor that it is a duplicate of */
    uint64_t bytes, total, woken;
    int64_t woken_us; /* readers were woken last, when there were `woken` bytes */
    unsigned turn;    /* grows when what had come was wrong */
    bool done;
    defupd_code code; /* then */
    struct du_connection *waiting;
};

struct du_misses {
    struct du_serve *serve;
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct du_miss *all, *queue, **queue_end;
    unsigned queued, idle, threads;
    pthread_t thread[THREADS_MAX];
    bool stopping;
};

struct du_misses *du_misses_new(struct du_serve *serve)
{
    struct du_misses *misses = calloc(1, sizeof *misses);

    if (misses == NULL)
        return NULL;
    misses->serve = serve;
    misses->queue_end = &misses->queue;
    (void)pthread_mutex_init(&misses->lock, NULL);
    (void)pthread_cond_init(&misses->work, NULL);
    return misses;
}

static void drop(struct du_miss *miss)
{
    if (--miss->refs > 0)
        return;
    if (miss->fd >= 0)
        (void)close(miss->fd);
    free(miss);
}

void du_miss_leave(struct du_miss *miss)
{
    struct du_misses *misses = miss->owner;

    (void)pthread_mutex_lock(&misses->lock);
    drop(miss);
    (void)pthread_mutex_unlock(&misses->lock);
}

/* --- waiting --- */

static struct du_connection *take_waiting(struct du_miss *miss)
{
    struct du_connection *waiting = miss->waiting;

    miss->waiting = NULL;
    return waiting;
}

static void resume_all(struct du_connection *at)
{
    while (at != NULL) {
        struct du_connection *next = at->wait;

        MHD_resume_connection(at->mhd);
        at = next;
    }
}

/* Suspend until there is news. `seen`, `turn`: what the caller knows; if it is no longer so, the
 * connection goes on at once. */
static void wait_for_news(struct du_connection *connection, struct du_miss *miss, uint64_t seen)
{
    bool resume;

    connection->waits++;
    connection->held = true;
    MHD_suspend_connection(connection->mhd);
    (void)pthread_mutex_lock(&miss->owner->lock);
    resume = miss->done || miss->bytes > seen || miss->owner->stopping;
    if (!resume) {
        connection->wait = miss->waiting;
        miss->waiting = connection;
    }
    (void)pthread_mutex_unlock(&miss->owner->lock);
    if (resume)
        MHD_resume_connection(connection->mhd);
}

/* --- fetching --- */

static void arrived(void *user, int fd, uint64_t bytes, uint64_t total)
{
    struct du_miss *miss = user;
    struct du_misses *misses = miss->owner;
    struct du_connection *waiting = NULL;
    const int64_t now = du_serve_now_us();

    (void)pthread_mutex_lock(&misses->lock);
    if (miss->fd < 0 || miss->source != fd || bytes < miss->bytes) {
        if (miss->fd >= 0) {
            (void)close(miss->fd);
            if (bytes < miss->bytes)
                miss->turn++;
        }
        miss->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        miss->source = fd;
        miss->woken_us = 0;
    }
    if (miss->fd >= 0) {
        miss->bytes = bytes;
        miss->total = total;
        if (bytes - miss->woken >= WAKE || now - miss->woken_us >= WAKE_US || bytes == total) {
            miss->woken = bytes;
            miss->woken_us = now;
            waiting = take_waiting(miss);
        }
    }
    (void)pthread_mutex_unlock(&misses->lock);
    resume_all(waiting);
}

/* Whoever is still reading reads on from the object itself. It may be gone already, for want of
 * room: then from what has come, if that is all. */
static void finish(struct du_miss *miss, defupd_code code)
{
    struct du_misses *misses = miss->owner;
    struct du_connection *waiting;
    struct du_miss **at = &misses->all;
    char path[sizeof "/objects/ab/" + 64];
    struct stat st;
    int fd = -1;

    (void)snprintf(path, sizeof path, "/objects/%.2s/%s", miss->digest, miss->digest);
    if (code == DEFUPD_OK)
        fd = du_file_open(misses->serve->dir, path, &st);
    (void)pthread_mutex_lock(&misses->lock);
    if (fd >= 0 && (miss->fd < 0 || (uint64_t)st.st_size == miss->total)) {
        if (miss->fd >= 0)
            (void)close(miss->fd);
        miss->fd = fd;
        miss->bytes = miss->total = (uint64_t)st.st_size;
        fd = -1;
    } else if (code == DEFUPD_OK && (miss->fd < 0 || miss->bytes < miss->total)) {
        code = DEFUPD_E_IO;
    }
    miss->done = true;
    miss->code = code;
    while (*at != miss)
        at = &(*at)->next;
    *at = miss->next;
    waiting = take_waiting(miss);
    drop(miss);
    (void)pthread_mutex_unlock(&misses->lock);
    if (fd >= 0)
        (void)close(fd);
    if (code != DEFUPD_OK && code != DEFUPD_E_NOT_FOUND)
        misses->serve->count.unfetched++;
    resume_all(waiting);
}

static void fetch(struct du_miss *miss)
{
    const struct du_serve_upstream *upstream = miss->owner->serve->options.upstream;
    unsigned char sha256[32];
    defupd_error err = { 0 };
    defupd_code rc;

    du_serve_from_hex(sha256, miss->digest);
    rc = upstream->fetch(upstream->context, sha256, arrived, miss, &err);
    finish(miss, rc);
}

static void *work(void *cls)
{
    struct du_misses *misses = cls;

    (void)pthread_mutex_lock(&misses->lock);
    while (true) {
        struct du_miss *miss = misses->queue;

        if (miss != NULL) {
            const bool stopping = misses->stopping;

            misses->queue = miss->queue;
            if (misses->queue == NULL)
                misses->queue_end = &misses->queue;
            misses->queued--;
            (void)pthread_mutex_unlock(&misses->lock);
            if (stopping)
                finish(miss, DEFUPD_E_CANCELLED);
            else
                fetch(miss);
            (void)pthread_mutex_lock(&misses->lock);
            continue;
        }
        if (misses->stopping)
            break;
        misses->idle++;
        (void)pthread_cond_wait(&misses->work, &misses->lock);
        misses->idle--;
    }
    (void)pthread_mutex_unlock(&misses->lock);
    return NULL;
}

/* Threads come as they are needed, and stay. */
static bool hire(struct du_misses *misses)
{
    uint32_t most = misses->serve->options.upstream->fetches;

    if (most == 0 || most > THREADS_MAX)
        most = THREADS_MAX;
    if (misses->idle < misses->queued && misses->threads < most &&
        pthread_create(&misses->thread[misses->threads], NULL, work, misses) == 0)
        misses->threads++;
    (void)pthread_cond_signal(&misses->work);
    return misses->threads > 0;
}

static struct du_miss *begin(struct du_misses *misses, const char *digest)
{
    struct du_miss *miss;

    if (misses->stopping || misses->queued >= QUEUED_MAX)
        return NULL;
    miss = calloc(1, sizeof *miss);
    if (miss == NULL)
        return NULL;
    miss->owner = misses;
    miss->fd = miss->source = -1;
    miss->refs = 1;
    (void)snprintf(miss->digest, sizeof miss->digest, "%.64s", digest);
    miss->next = misses->all;
    misses->all = miss;
    *misses->queue_end = miss;
    misses->queue_end = &miss->queue;
    misses->queued++;
    if (hire(misses))
        return miss;
    /* No thread, ever: nobody would come for it. */
    misses->all = misses->queue = NULL;
    misses->queue_end = &misses->queue;
    misses->queued = 0;
    free(miss);
    return NULL;
}

struct du_miss *du_miss_join(struct du_misses *misses, const char *digest)
{
    struct du_miss *miss;

    (void)pthread_mutex_lock(&misses->lock);
    for (miss = misses->all; miss != NULL; miss = miss->next) {
        if (memcmp(miss->digest, digest, 64) == 0)
            break;
    }
    if (miss == NULL)
        miss = begin(misses, digest);
    if (miss != NULL)
        miss->refs++;
    (void)pthread_mutex_unlock(&misses->lock);
    return miss;
}

enum du_miss_state du_miss_look(struct du_connection *connection, struct du_miss *miss,
                                uint64_t *total, defupd_code *code)
{
    enum du_miss_state state = DU_MISS_WAITS;

    (void)pthread_mutex_lock(&miss->owner->lock);
    if (miss->done && miss->code != DEFUPD_OK) {
        state = DU_MISS_FAILED;
        *code = miss->code;
    } else if (miss->fd >= 0) {
        state = DU_MISS_COMES;
        *total = miss->total;
        connection->miss_turn = miss->turn;
    }
    (void)pthread_mutex_unlock(&miss->owner->lock);
    if (state == DU_MISS_WAITS)
        wait_for_news(connection, miss, 0);
    return state;
}

/* --- an answer that grows --- */

struct growing {
    struct du_connection *connection;
    struct du_miss *miss;
    uint64_t first;
};

static ssize_t growing_read(void *cls, uint64_t at, char *out, size_t most)
{
    struct growing *file = cls;
    struct du_miss *miss = file->miss;
    const uint64_t from = file->first + at;
    uint64_t there;
    int64_t share;
    ssize_t got;
    bool lost;
    int fd;

    file->connection->held = false;
    (void)pthread_mutex_lock(&miss->owner->lock);
    lost = miss->turn != file->connection->miss_turn || (miss->done && miss->code != DEFUPD_OK) ||
           miss->owner->stopping;
    there = miss->bytes;
    /* Another thread may take another descriptor for this object the next moment. */
    fd = !lost && there > from ? fcntl(miss->fd, F_DUPFD_CLOEXEC, 3) : -1;
    (void)pthread_mutex_unlock(&miss->owner->lock);
    if (lost)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    if (there <= from) {
        wait_for_news(file->connection, miss, there);
        return 0;
    }
    if (fd < 0)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    share = (int64_t)(there - from < most ? there - from : most);
    if (file->connection->serve->options.bytes_per_s > 0)
        share = du_keeper_take(file->connection, (size_t)share);
    got = share;
    if (share > 0) {
        do {
            got = pread(fd, out, (size_t)share, (off_t)from);
        } while (got < 0 && errno == EINTR);
        if (got <= 0)
            got = MHD_CONTENT_READER_END_WITH_ERROR;
    } else if (share < 0) {
        got = MHD_CONTENT_READER_END_WITH_ERROR;
    }
    (void)close(fd);
    return got;
}

static void growing_free(void *cls)
{
    struct growing *file = cls;

    du_miss_leave(file->miss);
    free(file);
}

struct MHD_Response *du_miss_response(struct du_connection *connection, struct du_miss *miss,
                                      uint64_t first, uint64_t length)
{
    struct growing *file = malloc(sizeof *file);
    struct MHD_Response *response;

    if (file == NULL)
        return NULL;
    *file = (struct growing){ .connection = connection, .miss = miss, .first = first };
    response = MHD_create_response_from_callback(length, PIECE, growing_read, file, growing_free);
    if (response == NULL) {
        free(file);
        return NULL;
    }
    (void)pthread_mutex_lock(&miss->owner->lock);
    miss->refs++;
    (void)pthread_mutex_unlock(&miss->owner->lock);
    return response;
}

/* --- the end --- */

void du_misses_stop(struct du_misses *misses)
{
    const struct du_serve_upstream *upstream = misses->serve->options.upstream;

    (void)pthread_mutex_lock(&misses->lock);
    misses->stopping = true;
    (void)pthread_cond_broadcast(&misses->work);
    (void)pthread_mutex_unlock(&misses->lock);
    upstream->cancel(upstream->context);
    for (unsigned i = 0; i < misses->threads; i++)
        (void)pthread_join(misses->thread[i], NULL);
    misses->threads = 0;
}

void du_misses_free(struct du_misses *misses)
{
    if (misses == NULL)
        return;
    (void)pthread_mutex_destroy(&misses->lock);
    (void)pthread_cond_destroy(&misses->work);
    free(misses);
}
