/* SPDX-License-Identifier: Apache-2.0 */
/* One signed object into a file, from as many sources as it takes. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fetch/fetch_priv.h"
#include "sys/disk.h"

#define PIECE 65536
/* What an attempt must have brought before its end is no failed one. Whoever sends less each time
 * could keep us for ever. */
#define PROGRESS_MIN 1024

struct object {
    struct du_fetch *fetch;
    const struct du_want *want;
    int fd;
    struct du_hash hash; /* of the first `have` bytes of fd */
    uint64_t have;
    size_t source;            /* being read */
    const struct du_get *get; /* the request under way */
    struct du_pieces *pieces;
    struct du_pieces own; /* when nobody wants to know them */
    bool alone;           /* all bytes are from the source being read, and came in this call */
    bool excess;          /* the source sent more than it may have */
    bool again;           /* the last failure is no reason yet: make another request */
    unsigned misfits;     /* times that pieces did not fit */
    bool any_version;     /* ask for a range whatever the ETag */
    /* After pieces that did not fit: what each of them was, to be compared with what is right. */
    struct du_pieces suspect;
    unsigned char (*digest)[DU_SHA256_BYTES];
};

static void object_end(struct object *object)
{
    du_hash_free(&object->hash);
    free(object->digest);
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

/* --- who gave what --- */

static void keep_pieces(const struct object *object)
{
    if (object->want->keep != NULL)
        object->want->keep(object->want->keep_user, object->pieces);
}

static void key_of(const struct object *object, size_t source, char out[DU_SOURCE_KEY])
{
    du_fetch_key(out, object->fetch->source[source].site.base);
}

/* The source being read goes on from `from`. Its ETag is kept when it names the very bytes. */
static void note_piece(struct object *object, uint64_t from)
{
    struct du_pieces *pieces = object->pieces;
    const char *etag = object->get->etag_out;
    char key[DU_SOURCE_KEY];

    key_of(object, object->source, key);
    if (etag[0] != '"')
        etag = "";
    if (from == 0)
        pieces->count = 0;
    if (pieces->count > 0 && strcmp(pieces->piece[pieces->count - 1].source, key) == 0 &&
        strcmp(pieces->etag, etag) == 0)
        return;
    (void)snprintf(pieces->etag, sizeof pieces->etag, "%s", etag);
    if (pieces->count == 0 || strcmp(pieces->piece[pieces->count - 1].source, key) != 0) {
        if (pieces->count == DU_PIECES_MAX) { /* too many to tell them apart */
            pieces->count = 1;
            pieces->piece[0] = (struct du_piece){ .from = 0 };
        }
        pieces->piece[pieces->count].from = from;
        memcpy(pieces->piece[pieces->count++].source, key, sizeof key);
    }
    keep_pieces(object);
}

/* Are all bytes known to be of one source? */
static bool of_one(const struct object *object)
{
    return object->pieces->count == 1 && object->pieces->piece[0].source[0] != '\0';
}

static void set_aside(struct object *object, const char *key)
{
    struct du_fetch *fetch = object->fetch;

    for (size_t i = 0; i < fetch->sources; i++) {
        char name[DU_SOURCE_KEY];

        key_of(object, i, name);
        if (strcmp(name, key) != 0 || fetch->source[i].aside)
            continue;
        du_fetch_log(fetch, DEFUPD_LEVEL_WARNING, "%s gave wrong bytes of %s: it is set aside",
                     fetch->source[i].site.base, object->want->path);
        du_fetch_aside(fetch, i);
        if (fetch->on_aside != NULL)
            fetch->on_aside(fetch->cool_user, i, DU_FETCH_ASIDE_S);
    }
}

static uint64_t end_of(const struct object *object, const struct du_pieces *pieces, size_t i)
{
    return i + 1 < pieces->count ? pieces->piece[i + 1].from : object->want->length_bytes;
}

static defupd_code hash_piece(const struct object *object, const struct du_pieces *pieces, size_t i,
                              unsigned char digest[DU_SHA256_BYTES], defupd_error *err)
{
    const uint64_t end = end_of(object, pieces, i);
    DU_AUTO_FREE unsigned char *bytes = malloc(PIECE);
    struct du_hash hash;

    if (bytes == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a transfer");
    du_hash_init(&hash, DU_SHA256);
    for (uint64_t at = pieces->piece[i].from; at < end;) {
        const size_t most = end - at < PIECE ? (size_t)(end - at) : PIECE;
        const ssize_t got = object->fetch->sys->pread(object->fd, bytes, most, (off_t)at);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            du_hash_free(&hash);
            return DU_FAIL_IO(err, "read the download of %s", object->want->path);
        }
        if (got == 0)
            break; /* shorter: its digest is another one */
        du_hash_update(&hash, bytes, (size_t)got);
        at += (uint64_t)got;
    }
    du_hash_final(&hash, digest);
    du_hash_free(&hash);
    return DEFUPD_OK;
}

/* The pieces do not fit together. Which of them is wrong is seen when they are compared with the
 * right ones. */
static defupd_code note_suspects(struct object *object, defupd_error *err)
{
    const struct du_pieces *pieces = object->pieces;

    if (object->digest == NULL)
        object->digest = calloc(DU_PIECES_MAX, DU_SHA256_BYTES);
    if (object->digest == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a transfer");
    object->suspect = *pieces;
    for (size_t i = 0; i < pieces->count; i++) {
        if (pieces->piece[i].source[0] != '\0')
            DU_TRY(hash_piece(object, pieces, i, object->digest[i], err));
    }
    return DEFUPD_OK;
}

static defupd_code judge_suspects(struct object *object, defupd_error *err)
{
    for (size_t i = 0; i < object->suspect.count; i++) {
        const struct du_piece *piece = &object->suspect.piece[i];
        unsigned char right[DU_SHA256_BYTES];

        if (piece->source[0] == '\0')
            continue;
        DU_TRY(hash_piece(object, &object->suspect, i, right, err));
        if (memcmp(right, object->digest[i], sizeof right) != 0)
            set_aside(object, piece->source);
    }
    object->suspect.count = 0;
    return DEFUPD_OK;
}

/* --- the file --- */

static defupd_code empty(struct object *object, defupd_error *err)
{
    if (object->fetch->sys->ftruncate(object->fd, 0) != 0)
        return DU_FAIL_IO(err, "empty the download of %s", object->want->path);
    hash_anew(object);
    object->have = 0;
    object->alone = true;
    if (object->pieces->count > 0) {
        object->pieces->count = 0;
        keep_pieces(object);
    }
    return position(object, 0, err);
}

/* Hash what is there, up to object->have or all. */
static defupd_code hash_there(struct object *object, defupd_error *err)
{
    const struct du_sys *sys = object->fetch->sys;
    const struct du_tick *tick = &object->fetch->options.tick;
    DU_AUTO_FREE unsigned char *piece = malloc(PIECE);

    if (piece == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a transfer");
    hash_anew(object);
    object->have = 0;
    for (;;) {
        const ssize_t got = sys->pread(object->fd, piece, PIECE, (off_t)object->have);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return DU_FAIL_IO(err, "read the download of %s", object->want->path);
        if (got == 0)
            return DEFUPD_OK;
        du_hash_update(&object->hash, piece, (size_t)got);
        object->have += (uint64_t)got;
        if (tick->fn != NULL)
            DU_TRY(tick->fn(tick->user, 0, err));
    }
}

/* What is known of the pieces must fit what is there: the two are written apart. */
static void check_pieces(struct object *object)
{
    struct du_pieces *pieces = object->pieces;
    bool good = pieces->count > 0 && pieces->count <= DU_PIECES_MAX && pieces->piece[0].from == 0;

    for (size_t i = 1; good && i < pieces->count; i++)
        good = pieces->piece[i].from > pieces->piece[i - 1].from;
    while (good && pieces->count > 1 && pieces->piece[pieces->count - 1].from >= object->have) {
        pieces->count--;
        pieces->etag[0] = '\0';
    }
    if (!good) {
        pieces->count = 1;
        pieces->piece[0] = (struct du_piece){ .from = 0 };
        pieces->etag[0] = '\0';
    }
}

/* What is there from an earlier call is continued. */
static defupd_code take_stock(struct object *object, defupd_error *err)
{
    struct stat st;

    if (fstat(object->fd, &st) != 0)
        return DU_FAIL_IO(err, "look at the download of %s", object->want->path);
    if (st.st_size == 0 || (uint64_t)st.st_size > object->want->length_bytes)
        return empty(object, err);
    DU_TRY(hash_there(object, err));
    if (object->have > object->want->length_bytes)
        return empty(object, err);
    check_pieces(object);
    return position(object, object->have, err);
}

/* Drop what the source at hand sent last: a piece that ended in too many bytes is worth nothing,
 * and kept it might look complete. */
static defupd_code cut_back(struct object *object, uint64_t to, defupd_error *err)
{
    struct du_pieces *pieces = object->pieces;

    if (to == 0)
        return empty(object, err);
    if (object->fetch->sys->ftruncate(object->fd, (off_t)to) != 0)
        return DU_FAIL_IO(err, "shorten the download of %s", object->want->path);
    DU_TRY(hash_there(object, err));
    check_pieces(object);
    pieces->etag[0] = '\0';
    keep_pieces(object);
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
    if (from == 0 && object->have > 0 && object->get->if_range != NULL) {
        /* Another file, or the same from another server of that name, which counts its files in
         * its own way: the digest will tell. */
        object->any_version = object->again = true;
        return DU_FAIL(err, DEFUPD_E_INTERRUPTED, "has another ETag than before");
    }
    if (from == 0)
        DU_TRY(empty(object, err));
    note_piece(object, from);
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

/* All bytes are there and wrong. Whose fault is it? */
static defupd_code blame(struct object *object, defupd_error *err)
{
    const struct du_fetch *fetch = object->fetch;

    /* One source alone, and in this call; or by what is remembered, when another can be asked
     * instead: a disk that lost something is no source's fault, and would be blamed on it. */
    if (of_one(object) && (object->alone || fetch->sources > 1)) {
        set_aside(object, object->pieces->piece[0].source);
        object->suspect.count = 0;
        return DEFUPD_OK;
    }
    if (object->misfits++ > fetch->sources) /* no source brings the whole, and they differ */
        return DEFUPD_OK;
    DU_TRY(note_suspects(object, err));
    object->again = true;
    return DEFUPD_OK;
}

/* All bytes are there: right, or emptied. */
static defupd_code settle(struct object *object, defupd_error *err)
{
    unsigned char digest[DU_SHA256_BYTES];
    char got[DU_SHA256_HEX + 1], wanted[DU_SHA256_HEX + 1];

    du_hash_final(&object->hash, digest);
    if (du_mem_equal(digest, object->want->sha256, sizeof digest))
        return judge_suspects(object, err);
    du_hex(got, digest, sizeof digest);
    du_hex(wanted, object->want->sha256, sizeof digest);
    DU_TRY(blame(object, err));
    DU_TRY(empty(object, err));
    return DU_FAIL(err, DEFUPD_E_DIGEST, "%s/%s: SHA-256 is %s, signed is %s",
                   object->get != NULL ? object->get->site->base : "", object->want->path, got,
                   wanted);
}

/* A 416 says how long the source's file is, or nothing that helps. */
static defupd_code range_refused(struct object *object, const struct du_get *get, defupd_error *err)
{
    const uint64_t want = object->want->length_bytes;

    if (get->size != DU_FETCH_SIZE_UNKNOWN && get->size != want)
        return DU_FAIL(err, get->size > want ? DEFUPD_E_TOOLARGE : DEFUPD_E_DIGEST,
                       "%s/%s: has %" PRIu64 " bytes, %" PRIu64 " are signed", get->site->base,
                       get->path, get->size, want);
    return empty(object, err);
}

/* One request, after which the object is complete (DEFUPD_OK) or not. */
static defupd_code try_once(struct object *object, struct du_get *get, uint64_t *fetched,
                            defupd_error *err)
{
    const struct du_pieces *pieces = object->pieces;
    const uint64_t before = object->have;
    char key[DU_SOURCE_KEY];
    defupd_code rc;

    key_of(object, object->source, key);
    get->from = before;
    get->if_range = NULL;
    if (before > 0 && !object->any_version && pieces->etag[0] != '\0' && pieces->count > 0 &&
        strcmp(pieces->piece[pieces->count - 1].source, key) == 0)
        get->if_range = pieces->etag;
    rc = du_get(object->fetch, get, err);
    *fetched += get->received;
    if (object->excess) {
        defupd_error second = { 0 };
        object->excess = false;
        if (cut_back(object, get->status == 206 ? before : 0, &second) != DEFUPD_OK) {
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
                       "%s/%s: ended after %" PRIu64 " of %" PRIu64 " bytes", get->site->base,
                       get->path, object->have, object->want->length_bytes);
    return rc;
}

/* Was the connection cut after it had brought something? */
static bool was_cut(const struct object *object, defupd_code rc, uint64_t before)
{
    return (rc == DEFUPD_E_INTERRUPTED || rc == DEFUPD_E_PROXY_DOWNLOAD) &&
           object->have >= before + PROGRESS_MIN;
}

/* Everything that may be tried with one source. *later: it may do better when others have been
 * asked. */
static defupd_code try_source(struct object *object, uint64_t *fetched, bool *later,
                              defupd_error *err)
{
    struct du_fetch *fetch = object->fetch;
    struct du_source *source = &fetch->source[object->source];
    const struct du_sink sink = { object_begin, object_add, object };
    struct du_get get = { .source = source,
                          .site = source->objects.base != NULL ? &source->objects : &source->site,
                          .path = object->want->path,
                          .sink = &sink };

    object->get = &get;
    object->alone = object->have == 0;
    object->any_version = false;
    for (uint32_t attempt = 1;;) {
        const uint64_t before = object->have;
        const defupd_code rc = try_once(object, &get, fetched, err);
        const bool again = object->again;

        object->again = *later = false;
        if (rc == DEFUPD_OK)
            return DEFUPD_OK;
        /* None of these says that the source is bad, and none can come twice in a row: the next
         * request is for all bytes, from this source alone, or for any version of its file. */
        if (get.refused_range) {
            DU_TRY(range_refused(object, &get, err));
            continue;
        }
        if (again) {
            du_fetch_log(fetch, DEFUPD_LEVEL_INFO, "asked again: %s", err->message);
            continue;
        }
        if (!du_get_again(fetch, rc, get.status))
            return rc;
        *later = true;
        if (!was_cut(object, rc, before) && attempt++ >= source->attempts)
            return rc;
        du_fetch_log(fetch, DEFUPD_LEVEL_INFO, "attempt %u: %s", attempt, err->message);
        DU_TRY(du_fetch_pause(fetch, err));
    }
}

/* Ask each source once more that may do better. *more: one of them may, and bytes have come. */
static defupd_code one_round(struct object *object, size_t first, bool *over, bool *more,
                             uint64_t *fetched, defupd_error *err)
{
    struct du_fetch *fetch = object->fetch;
    DU_AUTO_FREE size_t *order = calloc(fetch->sources, sizeof *order);
    const uint64_t before = object->have;
    bool hope = false;
    defupd_code rc = err->code; /* of the round before, when nobody is left to ask */

    if (order == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a transfer");
    du_fetch_order(fetch, first, order);
    *more = false;
    for (size_t i = 0; i < fetch->sources; i++) {
        bool later = false;

        object->source = order[i];
        if (over[object->source] || du_fetch_cooling(fetch, object->source) != 0)
            continue;
        rc = try_source(object, fetched, &later, err);
        if (rc == DEFUPD_OK || !du_code_next_source(rc) || du_fetch_left_ms(fetch) == 0)
            return rc;
        over[object->source] = !later;
        hope = hope || later;
        if (i + 1 < fetch->sources && fetch->on_failed != NULL)
            fetch->on_failed(fetch->failed_user, fetch->source[object->source].site.base, err);
    }
    *more = hope && object->have >= before + PROGRESS_MIN;
    return rc;
}

static defupd_code try_sources(struct object *object, size_t first, size_t *source,
                               uint64_t *fetched, defupd_error *err)
{
    const struct du_fetch *fetch = object->fetch;
    DU_AUTO_FREE bool *over = calloc(fetch->sources + 1, sizeof *over);
    bool more = false;
    defupd_code rc =
        DU_FAIL(err, DEFUPD_E_NO_SOURCE, "no source to fetch %s from", object->want->path);

    if (over == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a transfer");
    if (fetch->sources == 0)
        return rc;
    if (du_fetch_all_cooling(fetch) != 0)
        return du_fetch_cool_error(fetch, err);
    do {
        rc = one_round(object, first % fetch->sources, over, &more, fetched, err);
    } while (rc != DEFUPD_OK && more);
    if (rc == DEFUPD_OK)
        *source = object->source;
    return rc;
}

defupd_code du_fetch_object(struct du_fetch *fetch, size_t first, int fd,
                            const struct du_want *want, size_t *source, uint64_t *fetched,
                            defupd_error *err)
{
    DU_AUTO(object_end) struct object object = { .fetch = fetch, .want = want, .fd = fd };
    defupd_code rc;

    object.pieces = want->pieces != NULL ? want->pieces : &object.own;
    *fetched = 0;
    hash_anew(&object);
    DU_TRY(take_stock(&object, err));
    if (object.have == want->length_bytes) {
        rc = settle(&object, err);
        if (rc == DEFUPD_OK)
            *source = fetch->sources > 0 ? first % fetch->sources : 0;
        if (rc != DEFUPD_E_DIGEST)
            return rc;
        object.again = false;
    }
    return try_sources(&object, first, source, fetched, err);
}
