/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A long stream decoded by a thread of its own, a little ahead of its reader. LZMA is what takes
 * longest in large deltas, and each stream can be decoded without the others. What a reader gets is
 * the same; that a stream is bad may be found some bytes earlier.
 * Proven by tests/unit/test_delta_ahead.c.
 */
#include <stdlib.h>
#include <string.h>

#include "delta/delta_priv.h"
#include "sys/thread.h"

#define PIECE (16U << 10)
/* Literals and words come in bursts: a thread that is far enough ahead need not wait between two.
 */
#define PIECES_LONG 64U
#define PIECES_SHORT 8U

struct du_ahead {
    pthread_t thread;
    pthread_mutex_t lock; /* over what follows */
    pthread_cond_t more;  /* a piece is there, or none will come */
    pthread_cond_t room;  /* a piece was read, or nobody reads any more */
    struct du_code *code; /* its decoder is the thread's; the rest is the reader's */
    size_t first, ready;  /* the pieces that are there, in the order of the stream */
    size_t count[PIECES_LONG];
    size_t pieces;
    bool stop;
    bool lent; /* the reader has the first one */
    defupd_code rc;
    defupd_error err;
    unsigned char bytes[][PIECE];
};

static void *decode_ahead(void *user)
{
    struct du_ahead *ahead = user;
    size_t slot = 0;

    (void)pthread_mutex_lock(&ahead->lock);
    while (ahead->rc == DEFUPD_OK && ahead->code->undecoded > 0) {
        const uint64_t left = ahead->code->undecoded;
        const size_t count = left < PIECE ? (size_t)left : PIECE;
        defupd_code rc;

        while (ahead->ready == ahead->pieces && !ahead->stop)
            (void)pthread_cond_wait(&ahead->room, &ahead->lock);
        if (ahead->stop)
            break;
        (void)pthread_mutex_unlock(&ahead->lock);
        rc = du_code_produce(ahead->code, ahead->bytes[slot], count, &ahead->err);
        (void)pthread_mutex_lock(&ahead->lock);
        ahead->rc = rc;
        ahead->count[slot] = count;
        ahead->ready += rc == DEFUPD_OK;
        slot = (slot + 1) % ahead->pieces;
        (void)pthread_cond_signal(&ahead->more);
    }
    (void)pthread_mutex_unlock(&ahead->lock);
    return NULL;
}

struct du_ahead *du_ahead_open(struct du_code *code, enum du_delta_stream stream)
{
    const bool is_long = stream == DU_STREAM_LITERALS || stream == DU_STREAM_WORDS;
    const size_t pieces = is_long ? PIECES_LONG : PIECES_SHORT;
    struct du_ahead *ahead = malloc(sizeof *ahead + pieces * PIECE);

    if (ahead == NULL)
        return NULL;
    memset(ahead, 0, offsetof(struct du_ahead, bytes));
    ahead->code = code;
    ahead->pieces = pieces;
    (void)pthread_mutex_init(&ahead->lock, NULL);
    (void)pthread_cond_init(&ahead->more, NULL);
    (void)pthread_cond_init(&ahead->room, NULL);
    if (du_thread_start(code->host->start, &ahead->thread, decode_ahead, ahead) == 0)
        return ahead;
    (void)pthread_cond_destroy(&ahead->room);
    (void)pthread_cond_destroy(&ahead->more);
    (void)pthread_mutex_destroy(&ahead->lock);
    free(ahead);
    return NULL;
}

defupd_code du_ahead_next(struct du_ahead *ahead, const unsigned char **bytes, size_t *count,
                          defupd_error *err)
{
    defupd_code rc = DEFUPD_OK;

    (void)pthread_mutex_lock(&ahead->lock);
    if (ahead->lent) {
        ahead->first = (ahead->first + 1) % ahead->pieces;
        ahead->ready--;
        ahead->lent = false;
        (void)pthread_cond_signal(&ahead->room);
    }
    while (ahead->ready == 0 && ahead->rc == DEFUPD_OK)
        (void)pthread_cond_wait(&ahead->more, &ahead->lock);
    if (ahead->ready > 0) {
        *bytes = ahead->bytes[ahead->first];
        *count = ahead->count[ahead->first];
        ahead->lent = true;
    } else {
        *err = ahead->err;
        rc = ahead->rc;
    }
    (void)pthread_mutex_unlock(&ahead->lock);
    return rc;
}

void du_ahead_close(struct du_ahead *ahead)
{
    if (ahead == NULL)
        return;
    (void)pthread_mutex_lock(&ahead->lock);
    ahead->stop = true;
    (void)pthread_cond_signal(&ahead->room);
    (void)pthread_mutex_unlock(&ahead->lock);
    (void)pthread_join(ahead->thread, NULL);
    (void)pthread_cond_destroy(&ahead->room);
    (void)pthread_cond_destroy(&ahead->more);
    (void)pthread_mutex_destroy(&ahead->lock);
    free(ahead);
}
