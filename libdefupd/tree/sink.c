/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ring of buffers between the thread that brings content and writes it, and one that hashes it.
 * Writing stays with the caller's thread: every change to the disk is then in one order, which the
 * fault and crash tests count on. A digest needs nothing but bytes, so it is what can move.
 */
#include "tree/sink.h"

#include <stdlib.h>
#include <string.h>

#include "base/scope.h"
#include "sys/disk.h"
#include "sys/thread.h"

/* A large file is handed to the disk in such steps, and when it is kept: it works while the next
 * content is made. On ext4 (tests/bench/rewrite.c) one file of 200 MB and its sync take 0.20 s
 * instead of 0.31, 500 of 0.4 MB 0.43 instead of 0.55. Smaller ones are quicker in one go. */
#define EARLY_BYTES (8U * 1024 * 1024)

struct du_sink_helper {
    pthread_t thread;
    pthread_mutex_t lock; /* over what follows */
    pthread_cond_t more;  /* a buffer waits, or the end is near */
    pthread_cond_t done;  /* a buffer was hashed */
    struct du_hash *hash;
    const unsigned char *buffers;
    size_t count[DU_SINK_BUFFERS]; /* bytes in each buffer that waits */
    size_t first, waiting;         /* the buffers that wait, in the order of their content */
    bool end;
};

static void *help(void *user)
{
    struct du_sink_helper *helper = user;

    (void)pthread_mutex_lock(&helper->lock);
    while (true) {
        while (helper->waiting == 0 && !helper->end)
            (void)pthread_cond_wait(&helper->more, &helper->lock);
        if (helper->waiting == 0)
            break;
        const size_t slot = helper->first;
        (void)pthread_mutex_unlock(&helper->lock);
        du_hash_update(helper->hash, helper->buffers + slot * DU_SINK_BUFFER, helper->count[slot]);
        (void)pthread_mutex_lock(&helper->lock);
        helper->first = (slot + 1) % DU_SINK_BUFFERS;
        helper->waiting--;
        (void)pthread_cond_signal(&helper->done);
    }
    (void)pthread_mutex_unlock(&helper->lock);
    return NULL;
}

static void free_helper(struct du_sink_helper *helper)
{
    (void)pthread_cond_destroy(&helper->done);
    (void)pthread_cond_destroy(&helper->more);
    (void)pthread_mutex_destroy(&helper->lock);
    free(helper);
}

/* A host without threads to spare is slower and nothing else. */
static void want_helper(struct du_sink *sink)
{
    struct du_sink_helper *helper;

    if (sink->helper != NULL || sink->no_helper)
        return;
    sink->no_helper = true;
    helper = calloc(1, sizeof *helper);
    if (helper == NULL)
        return;
    (void)pthread_mutex_init(&helper->lock, NULL);
    (void)pthread_cond_init(&helper->more, NULL);
    (void)pthread_cond_init(&helper->done, NULL);
    helper->hash = &sink->hash;
    helper->buffers = sink->buffers;
    if (du_thread_start(sink->start, &helper->thread, help, helper) != 0) {
        free_helper(helper);
        return;
    }
    sink->helper = helper;
    sink->no_helper = false;
}

/* Wait until at most `waiting` buffers are still to be hashed. */
static void settle(struct du_sink_helper *helper, size_t waiting)
{
    if (helper == NULL)
        return;
    (void)pthread_mutex_lock(&helper->lock);
    while (helper->waiting > waiting)
        (void)pthread_cond_wait(&helper->done, &helper->lock);
    (void)pthread_mutex_unlock(&helper->lock);
}

static void hand_over(struct du_sink_helper *helper, size_t slot, size_t count)
{
    (void)pthread_mutex_lock(&helper->lock);
    helper->count[slot] = count;
    helper->waiting++;
    (void)pthread_cond_signal(&helper->more);
    (void)pthread_mutex_unlock(&helper->lock);
}

static unsigned char *filling(const struct du_sink *sink)
{
    return sink->buffers + sink->next * DU_SINK_BUFFER;
}

static defupd_code write_out(struct du_sink *sink, defupd_error *err)
{
    if (sink->fd < 0)
        DU_TRY(du_place_file(sink->place, sink->path, sink->exec, &sink->fd, err));
    return du_write_all(sink->place->sys, sink->fd, filling(sink), sink->fill, sink->path, err);
}

static void begin_to_sync(struct du_sink *sink)
{
    sink->place->sys->write_early(sink->fd, (off_t)sink->early,
                                  (off_t)(sink->written - sink->early));
    sink->early = sink->written;
}

/* A full buffer of a large file, or its last: hashed over there while it is written here. */
static defupd_code pass_on(struct du_sink *sink, defupd_error *err)
{
    if (sink->helper != NULL)
        hand_over(sink->helper, sink->next, sink->fill);
    else
        du_hash_update(&sink->hash, filling(sink), sink->fill);
    DU_TRY(write_out(sink, err));
    sink->written += sink->fill;
    sink->fill = 0;
    if (sink->written - sink->early >= EARLY_BYTES)
        begin_to_sync(sink);
    if (sink->helper != NULL) {
        sink->next = (sink->next + 1) % DU_SINK_BUFFERS;
        settle(sink->helper, DU_SINK_BUFFERS - 1); /* the next buffer is free again */
    }
    return DEFUPD_OK;
}

static bool is_small(const struct du_sink *sink)
{
    return sink->size <= DU_SINK_SMALL;
}

void du_sink_init(struct du_sink *sink, struct du_place *place)
{
    *sink = (struct du_sink){ .place = place, .start = pthread_create, .fd = -1 };
}

defupd_code du_sink_open(struct du_sink *sink, const char *path, uint64_t size, bool exec,
                         defupd_error *err)
{
    const size_t len = strlen(path);

    if (sink->open || len >= sizeof sink->path)
        return DU_FAIL(err, DEFUPD_E_BUG, "'%.64s' cannot be begun", path);
    if (sink->buffers == NULL)
        sink->buffers = malloc((size_t)DU_SINK_BUFFERS * DU_SINK_BUFFER);
    if (sink->buffers == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory to write '%s'", path);
    memcpy(sink->path, path, len + 1);
    sink->size = sink->left = size;
    sink->written = sink->early = 0;
    sink->exec = exec;
    sink->fill = 0;
    sink->digested = false;
    sink->open = true;
    if (!is_small(sink)) {
        want_helper(sink);
        du_hash_init(&sink->hash, DU_SHA256);
    }
    return DEFUPD_OK;
}

defupd_code du_sink_data(struct du_sink *sink, const void *bytes, size_t count, defupd_error *err)
{
    const unsigned char *from = bytes;

    if (!sink->open || count > sink->left)
        return DU_FAIL(err, DEFUPD_E_BUG, "content beyond the %llu bytes of '%s'",
                       (unsigned long long)sink->size, sink->path);
    sink->left -= count;
    while (count > 0) {
        const size_t room = DU_SINK_BUFFER - sink->fill;
        const size_t add = count < room ? count : room;

        memcpy(filling(sink) + sink->fill, from, add);
        sink->fill += add;
        from += add;
        count -= add;
        if (sink->fill == DU_SINK_BUFFER && !is_small(sink))
            DU_TRY(pass_on(sink, err));
    }
    return DEFUPD_OK;
}

defupd_code du_sink_digest(struct du_sink *sink, unsigned char sha256[DU_SHA256_BYTES],
                           defupd_error *err)
{
    if (!sink->open || sink->digested || sink->left > 0)
        return DU_FAIL(err, DEFUPD_E_BUG, "'%s' lacks %llu of its bytes", sink->path,
                       (unsigned long long)sink->left);
    sink->digested = true;
    if (is_small(sink)) {
        du_sha256(sha256, filling(sink), sink->fill);
        return DEFUPD_OK;
    }
    if (sink->fill > 0)
        DU_TRY(pass_on(sink, err));
    settle(sink->helper, 0);
    du_hash_final(&sink->hash, sha256);
    return DEFUPD_OK;
}

defupd_code du_sink_keep(struct du_sink *sink, defupd_error *err)
{
    if (!sink->open || !sink->digested)
        return DU_FAIL(err, DEFUPD_E_BUG, "'%s' is kept before its digest is known", sink->path);
    if (is_small(sink))
        DU_TRY(write_out(sink, err));
    else
        begin_to_sync(sink);
    du_fd_close(&sink->fd);
    sink->open = false;
    return DEFUPD_OK;
}

defupd_code du_sink_drop(struct du_sink *sink, defupd_error *err)
{
    const char *name;
    int dir;

    if (!sink->open || !sink->digested)
        return DU_FAIL(err, DEFUPD_E_BUG, "'%s' is dropped before its digest is known", sink->path);
    sink->open = false;
    if (sink->fd < 0)
        return DEFUPD_OK;
    du_fd_close(&sink->fd);
    DU_TRY(du_place_parent(sink->place, sink->path, false, &dir, &name, err));
    if (sink->place->sys->unlinkat(dir, name, 0) != 0)
        return DU_FAIL_IO(err, "remove '%s'", sink->path);
    return DEFUPD_OK;
}

void du_sink_end(struct du_sink *sink)
{
    struct du_sink_helper *helper = sink->helper;

    if (sink->place == NULL)
        return;
    if (helper != NULL) {
        (void)pthread_mutex_lock(&helper->lock);
        helper->end = true;
        (void)pthread_cond_signal(&helper->more);
        (void)pthread_mutex_unlock(&helper->lock);
        (void)pthread_join(helper->thread, NULL);
        free_helper(helper);
    }
    du_hash_free(&sink->hash);
    du_fd_close(&sink->fd);
    free(sink->buffers);
    *sink = (struct du_sink){ .fd = -1 };
}
