/* SPDX-License-Identifier: Apache-2.0 */
/* The decoder's host on an endpoint: reads the object and the installed tree, builds the new one,
 * hashes what it writes, and compares with what was signed. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "delta/delta_priv.h"
#include "sys/disk.h"
#include "tree/sink.h"

#define BLOCK_BYTES (16U << 10)
#define SECTOR_BYTES (4U << 10)
#define BLOCKS 32U

/* A piece of an old file that begins at a multiple of its size there. */
struct old_block {
    uint64_t begins;    /* old position */
    uint64_t low, high; /* what is there of it */
    unsigned char bytes[BLOCK_BYTES];
};

/* The installed tree as one sequence of bytes. */
struct old_tree {
    struct du_place place;
    uint64_t *at;  /* where each file begins, and the end; NULL until something is read */
    size_t found;  /* the file that was read from last */
    size_t opened; /* the file that is open, when there is one */
    int fd;
    struct old_block block[BLOCKS];
};

struct merge {
    const struct du_sys *sys;
    const struct du_verified_file *delta;
    const struct du_tree_want *want;
    const struct du_tree_base *base;
    const struct du_tick *tick;
    struct du_index *index;
    uint64_t *reused;
    struct du_place place;
    struct du_sink sink;
    struct old_tree old;
};

static defupd_code tick(const struct merge *m, uint64_t bytes, defupd_error *err)
{
    return m->tick != NULL && m->tick->fn != NULL ? m->tick->fn(m->tick->user, bytes, err)
                                                  : DEFUPD_OK;
}

/* Exactly `count` bytes of an open file. */
static defupd_code read_at(const struct du_sys *sys, int fd, uint64_t at, unsigned char *bytes,
                           size_t count, bool *ends, defupd_error *err)
{
    *ends = false;
    while (count > 0) {
        const ssize_t got = sys->pread(fd, bytes, count, (off_t)at);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return DU_FAIL_IO(err, "read");
        if (got == 0) {
            *ends = true;
            return DEFUPD_OK;
        }
        bytes += got;
        at += (uint64_t)got;
        count -= (size_t)got;
    }
    return DEFUPD_OK;
}

/* --- what the decoder reads --- */

static defupd_code give_delta(void *user, uint64_t at, void *bytes, size_t count, defupd_error *err)
{
    const struct merge *m = user;
    bool ends;

    if (read_at(m->sys, m->delta->fd, at, bytes, count, &ends, err) != DEFUPD_OK)
        return du_err_prefix(err, "the delta of %s", m->want->what);
    return ends ? DU_FAIL(err, DEFUPD_E_IO, "the delta of %s was cut while it was read",
                          m->want->what)
                : DEFUPD_OK;
}

static defupd_code map_old(struct merge *m, defupd_error *err)
{
    const struct du_index *index = m->base->index;
    uint64_t at = 0;

    if (m->old.at != NULL)
        return DEFUPD_OK;
    m->old.at = calloc(index->count + 1, sizeof *m->old.at);
    if (m->old.at == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory to merge %s", m->want->what);
    for (size_t i = 0; i < index->count; i++) {
        m->old.at[i] = at;
        at += index->file[i].size;
    }
    m->old.at[index->count] = at;
    return DEFUPD_OK;
}

/* O_NONBLOCK: a pipe in the file's place must not hold us. */
static defupd_code open_installed(struct merge *m, const char *path, int *fd, defupd_error *err)
{
    const char *name;
    struct stat st;
    defupd_code rc;
    int dir;

    rc = du_place_parent(&m->old.place, path, false, &dir, &name, err);
    if (rc == DEFUPD_E_TREE_FORBIDDEN || (rc != DEFUPD_OK && du_is_missing(err)))
        return DU_FAIL(err, DEFUPD_E_DELTA_BASE, "the directory of installed '%s' is missing",
                       path);
    DU_TRY(rc);
    DU_AUTO_FD opened = m->sys->openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
    if (opened < 0)
        return errno == ENOENT || errno == ELOOP
                   ? DU_FAIL(err, DEFUPD_E_DELTA_BASE, "installed '%s' is missing", path)
                   : DU_FAIL_IO(err, "open installed '%s'", path);
    if (fstat(opened, &st) != 0 || !S_ISREG(st.st_mode))
        return DU_FAIL(err, DEFUPD_E_DELTA_BASE, "installed '%s' is no file any more", path);
    *fd = du_take_fd(&opened);
    return DEFUPD_OK;
}

/* The old file that holds the byte at `at`: most often that of the one before. */
static size_t find_old(const struct merge *m, uint64_t at)
{
    const struct old_tree *old = &m->old;
    size_t low = 0, high = m->base->index->count - 1;

    if (at >= old->at[old->found] && at < old->at[old->found + 1])
        return old->found;
    while (low < high) { /* the last file that begins at or before `at`: empty ones come before */
        const size_t middle = low + (high - low + 1) / 2;

        if (old->at[middle] <= at)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

/* Bytes of the old file `old->found`, from the old position `at`. */
static defupd_code read_file(struct merge *m, uint64_t at, unsigned char *bytes, size_t count,
                             defupd_error *err)
{
    struct old_tree *old = &m->old;
    const char *path = m->base->index->file[old->found].path;
    bool ends;

    if (old->fd < 0 || old->opened != old->found) {
        du_fd_close(&old->fd);
        old->fd = -1;
        DU_TRY(open_installed(m, path, &old->fd, err));
        old->opened = old->found;
    }
    if (read_at(m->sys, old->fd, at - old->at[old->found], bytes, count, &ends, err) != DEFUPD_OK)
        return du_err_prefix(err, "installed '%s'", path);
    return ends ? DU_FAIL(err, DEFUPD_E_DELTA_BASE, "installed '%s' is shorter than it was", path)
                : DEFUPD_OK;
}

/*
 * Make a block hold `count` bytes from `at`, which lie in it; it ends where its file does or
 * before. The first time only the sectors are read that are needed, since a copy may be the only
 * one from here; the second time all of it.
 */
static defupd_code fill_block(struct merge *m, struct old_block *block, uint64_t begins,
                              uint64_t ends, uint64_t at, size_t count, defupd_error *err)
{
    uint64_t low = begins, high = ends - begins < BLOCK_BYTES ? ends : begins + BLOCK_BYTES;

    if (block->begins == begins && at >= block->low && at + count <= block->high)
        return DEFUPD_OK;
    if (block->begins != begins || block->low == block->high) {
        const uint64_t past = at + count - begins + SECTOR_BYTES - 1;

        low = at - (at - begins) % SECTOR_BYTES;
        if (high - begins > past)
            high = begins + past / SECTOR_BYTES * SECTOR_BYTES;
    }
    block->begins = begins;
    block->low = block->high = 0; /* until it is read */
    DU_TRY(read_file(m, low, block->bytes + (low - begins), (size_t)(high - low), err));
    block->low = low;
    block->high = high;
    return DEFUPD_OK;
}

/*
 * From one old file, as much as is at hand: long pieces at once, short ones from blocks. Short
 * copies jump about among a few places, between which they come back: on a week of compiled YARA
 * there are 2,000 reads instead of 12,600.
 */
static defupd_code read_old(struct merge *m, uint64_t at, unsigned char *bytes, size_t count,
                            size_t *done, defupd_error *err)
{
    struct old_tree *old = &m->old;
    struct old_block *block;
    uint64_t start, end, begins;

    old->found = find_old(m, at);
    start = old->at[old->found];
    end = old->at[old->found + 1];
    *done = count < end - at ? count : (size_t)(end - at);
    if (*done >= BLOCK_BYTES)
        return read_file(m, at, bytes, *done, err);

    begins = at - (at - start) % BLOCK_BYTES;
    if (*done > BLOCK_BYTES - (at - begins))
        *done = BLOCK_BYTES - (size_t)(at - begins);
    block = &old->block[begins / BLOCK_BYTES % BLOCKS];
    DU_TRY(fill_block(m, block, begins, end, at, *done, err));
    memcpy(bytes, block->bytes + (at - begins), *done);
    return DEFUPD_OK;
}

static defupd_code give_old(void *user, uint64_t at, void *bytes, size_t count, defupd_error *err)
{
    struct merge *m = user;
    unsigned char *to = bytes;

    DU_TRY(map_old(m, err));
    while (count > 0) {
        size_t done = 0;

        DU_TRY(read_old(m, at, to, count, &done, err));
        at += done;
        to += done;
        count -= done;
    }
    return DEFUPD_OK;
}

/* --- what the decoder makes --- */

/* The signed tree says how much there may be; paths are checked before the disk sees them. */
static defupd_code check_file(const struct merge *m, const char *path, uint64_t size,
                              defupd_error *err)
{
    const char *bad = du_path_why_bad(path);
    uint64_t total;

    if (bad != NULL)
        return DU_FAIL(err, DEFUPD_E_TREE_FORBIDDEN, "%s: path '%s' %s", m->want->what, path, bad);
    if (m->index->count >= m->want->files || !du_add(m->index->bytes, size, &total) ||
        total > m->want->size)
        return DU_FAIL(err, DEFUPD_E_TREE,
                       "%s merges to more than the signed %" PRIu64 " files and %" PRIu64 " bytes",
                       m->want->what, m->want->files, m->want->size);
    return DEFUPD_OK;
}

static defupd_code keep_file(void *user, const struct du_file *file, const char *path, bool exec,
                             defupd_error *err)
{
    struct merge *m = user;

    DU_TRY(check_file(m, path, file->size, err));
    if (!m->base->trust(m->base->user, file))
        return DU_FAIL(err, DEFUPD_E_DELTA_BASE, "installed '%s' is not what was installed",
                       file->path);
    DU_TRY(du_place_reuse(&m->place, path, exec, &m->old.place, file->path, file->exec, err));
    DU_TRY(du_index_add(m->index, path, file->size, file->sha256, exec, err));
    (*m->reused)++;
    return tick(m, file->size, err);
}

static defupd_code open_file(void *user, const char *path, uint64_t size, bool exec,
                             defupd_error *err)
{
    struct merge *m = user;

    DU_TRY(check_file(m, path, size, err));
    return du_sink_open(&m->sink, path, size, exec, err);
}

static defupd_code take_data(void *user, const void *bytes, size_t count, defupd_error *err)
{
    struct merge *m = user;

    DU_TRY(du_sink_data(&m->sink, bytes, count, err));
    return tick(m, count, err);
}

static defupd_code close_file(void *user, defupd_error *err)
{
    struct merge *m = user;
    unsigned char sha256[DU_SHA256_BYTES];

    DU_TRY(du_sink_digest(&m->sink, sha256, err));
    DU_TRY(du_sink_keep(&m->sink, err));
    return du_index_add(m->index, m->sink.path, m->sink.size, sha256, m->sink.exec, err);
}

static void merge_free(struct merge **m)
{
    if (*m == NULL)
        return;
    du_sink_end(&(*m)->sink);
    du_place_end(&(*m)->place);
    du_place_end(&(*m)->old.place);
    du_fd_close(&(*m)->old.fd);
    free((*m)->old.at);
    free(*m);
}

defupd_code du_delta_merge(const struct du_sys *sys, const struct du_verified_file *delta,
                           const struct du_tree_want *want, const struct du_tree_base *base,
                           int into, const struct du_tick *tick_by, struct du_index *index,
                           uint64_t *reused, defupd_error *err)
{
    DU_AUTO(merge_free) struct merge *m = calloc(1, sizeof *m);
    const struct du_delta_host host = { .user = m,
                                        .delta = give_delta,
                                        .old = give_old,
                                        .keep = keep_file,
                                        .open = open_file,
                                        .data = take_data,
                                        .close = close_file,
                                        .start = pthread_create };

    *reused = 0;
    if (m == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory to merge %s", want->what);
    m->sys = sys;
    m->delta = delta;
    m->want = want;
    m->base = base;
    m->tick = tick_by;
    m->index = index;
    m->reused = reused;
    m->old.fd = -1;
    du_place_init(&m->place, sys, into);
    du_place_init(&m->old.place, sys, base->root);
    du_sink_init(&m->sink, &m->place);
    DU_TRY(du_delta_decode(&host, delta->bytes, base->index, want->what, err));
    return du_tree_check(index, want, err);
}
