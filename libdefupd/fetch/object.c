/* SPDX-License-Identifier: Apache-2.0 */
/* One signed object into a file, from as many sources as it takes. */
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fetch/fetch_priv.h"
#include "sys/disk.h"

#define PIECE 65536
#define MIXED SIZE_MAX

struct object {
    struct du_fetch *fetch;
    const struct du_want *want;
    int fd;
    struct du_hash hash; /* of the first `have` bytes of fd */
    uint64_t have;
    size_t source;     /* being read */
    size_t origin;     /* the one source of all bytes so far, or MIXED */
    bool excess;       /* the source sent more than it may have */
    bool mixed_failed; /* what failed its digest was not of one source */
};

static void object_end(struct object *object)
{
    du_hash_free(&object->hash);
}

static void hash_anew(struct object *object)
{
    du_hash_free(&object->hash);
    du_hash_init(&object->hash, DU_SHA256);
}

static defupd_code position(struct object *object, uint64_t at, defupd_error *err)
{
    if (lseek(object->fd, (off_t)at, SEEK_SET) < 0)
        return DU_FAIL_IO(err, "seek in the download of %s", object->want->path);
    return DEFUPD_OK;
}

static defupd_code empty(struct object *object, defupd_error *err)
{
    if (object->fetch->sys->ftruncate(object->fd, 0) != 0)
        return DU_FAIL_IO(err, "empty the download of %s", object->want->path);
    hash_anew(object);
    object->have = 0;
    object->origin = object->source;
    return position(object, 0, err);
}

/* What is there from an earlier call is continued; nobody knows whose bytes they are. */
static defupd_code take_stock(struct object *object, defupd_error *err)
{
    const struct du_sys *sys = object->fetch->sys;
    const struct du_tick *tick = &object->fetch->tick;
    DU_AUTO_FREE unsigned char *piece = malloc(PIECE);
    struct stat st;

    if (piece == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a transfer");
    if (fstat(object->fd, &st) != 0)
        return DU_FAIL_IO(err, "look at the download of %s", object->want->path);
    if (st.st_size == 0 || (uint64_t)st.st_size > object->want->length_bytes)
        return empty(object, err);
    object->origin = MIXED;
    for (;;) {
        const ssize_t got = sys->pread(object->fd, piece, PIECE, (off_t)object->have);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return DU_FAIL_IO(err, "read the download of %s", object->want->path);
        if (got == 0)
            break;
        du_hash_update(&object->hash, piece, (size_t)got);
        object->have += (uint64_t)got;
        if (tick->fn != NULL)
            DU_TRY(tick->fn(tick->user, 0, err));
    }
    if (object->have > object->want->length_bytes)
        return empty(object, err);
    return position(object, object->have, err);
}

static defupd_code object_begin(void *user, uint64_t from, uint64_t size, defupd_error *err)
{
    struct object *object = user;
    const uint64_t want = object->want->length_bytes;

    if (size != DU_FETCH_SIZE_UNKNOWN && size > want) {
        return DU_FAIL(err, DEFUPD_E_TOOLARGE, "has %" PRIu64 " bytes, %" PRIu64 " are signed",
                       size, want);
    }
    if (size != DU_FETCH_SIZE_UNKNOWN && size < want)
        return DU_FAIL(err, DEFUPD_E_DIGEST, "has only %" PRIu64 " bytes, %" PRIu64 " are signed",
                       size, want);
    if (from == 0)
        return empty(object, err);
    if (object->origin != object->source)
        object->origin = MIXED;
    return DEFUPD_OK;
}

static defupd_code object_add(void *user, const void *bytes, size_t count, defupd_error *err)
{
    struct object *object = user;

    if (count > object->want->length_bytes - object->have) {
        object->excess = true;
        return DU_FAIL(err, DEFUPD_E_TOOLARGE, "sends more than the %" PRIu64 " bytes signed",
                       object->want->length_bytes);
    }
    DU_TRY(du_write_all(object->fetch->sys, object->fd, bytes, count, object->want->path, err));
    du_hash_update(&object->hash, bytes, count);
    object->have += count;
    return DEFUPD_OK;
}

/* All bytes are there: right, or emptied. */
static defupd_code settle(struct object *object, defupd_error *err)
{
    unsigned char digest[DU_SHA256_BYTES];
    char got[DU_SHA256_HEX + 1], wanted[DU_SHA256_HEX + 1];

    du_hash_final(&object->hash, digest);
    if (du_mem_equal(digest, object->want->sha256, sizeof digest))
        return DEFUPD_OK;
    object->mixed_failed = object->origin == MIXED;
    du_hex(got, digest, sizeof digest);
    du_hex(wanted, object->want->sha256, sizeof digest);
    DU_TRY(empty(object, err));
    return DU_FAIL(err, DEFUPD_E_DIGEST, "%s/%s: SHA-256 is %s, signed is %s",
                   object->fetch->sources > 0 ? object->fetch->source[object->source].base : "",
                   object->want->path, got, wanted);
}

/* A 416 says how long the source's file is, or nothing that helps. */
static defupd_code range_refused(struct object *object, const struct du_get *get, defupd_error *err)
{
    const uint64_t want = object->want->length_bytes;

    if (get->size != DU_FETCH_SIZE_UNKNOWN && get->size != want)
        return DU_FAIL(err, get->size > want ? DEFUPD_E_TOOLARGE : DEFUPD_E_DIGEST,
                       "%s/%s: has %" PRIu64 " bytes, %" PRIu64 " are signed", get->source->base,
                       get->path, get->size, want);
    return empty(object, err);
}

/* One request, after which the object is complete (DEFUPD_OK) or not. */
static defupd_code try_once(struct object *object, struct du_get *get, uint64_t *fetched,
                            defupd_error *err)
{
    defupd_code rc;

    get->from = object->have;
    rc = du_get(object->fetch, get, err);
    *fetched += get->received;
    if (object->excess) {
        /* A prefix from such a source is worth nothing, and kept it might look complete. */
        defupd_error second = { 0 };
        object->excess = false;
        if (empty(object, &second) != DEFUPD_OK) {
            *err = second;
            return second.code;
        }
        return rc;
    }
    if (rc != DEFUPD_OK && !du_code_next_source(rc))
        return rc;
    /* Complete also counts when the transfer ended badly after its last byte. */
    if (object->have == object->want->length_bytes)
        return settle(object, err);
    if (rc == DEFUPD_OK)
        return DU_FAIL(err, DEFUPD_E_INTERRUPTED,
                       "%s/%s: ended after %" PRIu64 " of %" PRIu64 " bytes", get->source->base,
                       get->path, object->have, object->want->length_bytes);
    return rc;
}

/* Everything that may be tried with one source. */
static defupd_code try_source(struct object *object, uint64_t *fetched, defupd_error *err)
{
    struct du_fetch *fetch = object->fetch;
    const struct du_sink sink = { object_begin, object_add, object };
    struct du_get get = { .source = &fetch->source[object->source],
                          .path = object->want->path,
                          .sink = &sink };

    for (uint32_t attempt = 1;;) {
        const defupd_code rc = try_once(object, &get, fetched, err);

        if (rc == DEFUPD_OK)
            return DEFUPD_OK;
        /* Neither of these says that the source is bad, and neither can come twice in a row: the
         * next request is for all bytes, from this source alone. */
        if (get.refused_range) {
            DU_TRY(range_refused(object, &get, err));
            continue;
        }
        if (rc == DEFUPD_E_DIGEST && object->mixed_failed) {
            object->mixed_failed = false;
            du_fetch_log(fetch, DEFUPD_LEVEL_INFO, "pieces of several origins do not fit: %s",
                         err->message);
            continue;
        }
        if (attempt >= fetch->attempts || !du_get_again(fetch, rc, get.status))
            return rc;
        du_fetch_log(fetch, DEFUPD_LEVEL_INFO, "attempt %u: %s", attempt, err->message);
        attempt++;
    }
}

static defupd_code try_sources(struct object *object, size_t first, size_t *source,
                               uint64_t *fetched, defupd_error *err)
{
    const struct du_fetch *fetch = object->fetch;
    defupd_code rc =
        DU_FAIL(err, DEFUPD_E_NO_SOURCE, "no source to fetch %s from", object->want->path);

    if (du_fetch_all_cooling(fetch) != 0)
        return du_fetch_cool_error(fetch, err);
    for (size_t i = 0; i < fetch->sources; i++) {
        object->source = (first % fetch->sources + i) % fetch->sources;
        if (du_fetch_cooling(fetch, object->source) != 0)
            continue;
        rc = try_source(object, fetched, err);
        if (rc == DEFUPD_OK)
            *source = object->source;
        if (rc == DEFUPD_OK || !du_code_next_source(rc) || du_fetch_left_ms(fetch) == 0)
            return rc;
        if (i + 1 < fetch->sources && fetch->on_failed != NULL)
            fetch->on_failed(fetch->failed_user, fetch->source[object->source].base, err);
    }
    return rc;
}

defupd_code du_fetch_object(struct du_fetch *fetch, size_t first, int fd,
                            const struct du_want *want, size_t *source, uint64_t *fetched,
                            defupd_error *err)
{
    DU_AUTO(object_end) struct object object = { .fetch = fetch, .want = want, .fd = fd };
    defupd_code rc;

    *fetched = 0;
    hash_anew(&object);
    DU_TRY(take_stock(&object, err));
    if (object.have == want->length_bytes) {
        rc = settle(&object, err);
        if (rc == DEFUPD_OK)
            *source = fetch->sources > 0 ? first % fetch->sources : 0;
        if (rc != DEFUPD_E_DIGEST)
            return rc;
        object.mixed_failed = false;
    }
    return try_sources(&object, first, source, fetched, err);
}
