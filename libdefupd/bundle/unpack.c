/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A full bundle becomes a directory. zstd is driven here and libarchive gets plain tar: its own
 * zstd filter has no way to refuse a frame that asks for a large window.
 */
#include <archive.h>
#include <archive_entry.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/scope.h"
#include "bundle/bundle.h"
#include "crypto/crypto.h"
#include "tree/sink.h"

#define IN_BYTES (128U * 1024)
#define OUT_BYTES (128U * 1024)
#define PIECE_BYTES (64U * 1024)

struct unpack {
    const struct du_sys *sys;
    const struct du_verified_file *bundle;
    const struct du_tree_want *want;
    const struct du_tree_base *base;
    const struct du_tick *tick;
    struct du_index *index;
    uint64_t *reused;
    struct du_place place, from;
    struct du_sink sink;

    ZSTD_DStream *zstd;
    struct archive *archive;
    struct archive_entry *entry;
    unsigned char *in, *out, *piece;
    ZSTD_inBuffer pending; /* compressed bytes not yet taken */
    uint64_t at;           /* next byte of the bundle to read */
    uint64_t plain;        /* bytes of the archive so far; the last of them are in `out` */
    size_t plain_last;     /* how many of them are in `out` */
    bool frame_done;
    defupd_error *err; /* where callbacks of libarchive put what went wrong */
    defupd_code failed;
};

static void unpack_end(struct unpack *u)
{
    if (u->archive != NULL)
        (void)archive_read_free(u->archive);
    archive_entry_free(u->entry);
    (void)ZSTD_freeDStream(u->zstd);
    free(u->in);
    free(u->out);
    free(u->piece);
    du_sink_end(&u->sink);
    du_place_end(&u->place);
    du_place_end(&u->from);
}

/* Take the next compressed bytes from the file. DEFUPD_OK with pending.size 0 at its end. */
static defupd_code refill(struct unpack *u)
{
    size_t count = IN_BYTES;
    ssize_t got;

    if (count > u->bundle->bytes - u->at)
        count = (size_t)(u->bundle->bytes - u->at);
    do {
        got = count == 0 ? 0 : u->sys->pread(u->bundle->fd, u->in, count, (off_t)u->at);
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        return DU_FAIL_IO(u->err, "read the bundle of %s", u->want->what);
    if (got == 0 && count > 0)
        return DU_FAIL(u->err, DEFUPD_E_IO, "the bundle of %s became shorter while it was read",
                       u->want->what);
    u->at += (uint64_t)got;
    u->pending = (ZSTD_inBuffer){ u->in, (size_t)got, 0 };
    return DEFUPD_OK;
}

/* The next plain bytes of the archive into u->out; *count 0 at the end of the frame. */
static defupd_code inflate(struct unpack *u, size_t *count)
{
    ZSTD_outBuffer out = { u->out, OUT_BYTES, 0 };

    while (out.pos == 0 && !u->frame_done) {
        size_t rc;

        if (u->pending.pos == u->pending.size) {
            DU_TRY(refill(u));
            if (u->pending.size == 0)
                return DU_FAIL(u->err, DEFUPD_E_BUNDLE_FORMAT,
                               "the bundle of %s ends in the middle of its frame", u->want->what);
        }
        rc = ZSTD_decompressStream(u->zstd, &out, &u->pending);
        if (ZSTD_getErrorCode(rc) == ZSTD_error_memory_allocation)
            return DU_FAIL(u->err, DEFUPD_E_NOMEM, "no memory to unpack %s", u->want->what);
        if (ZSTD_isError(rc))
            return DU_FAIL(u->err, DEFUPD_E_BUNDLE_FORMAT,
                           "the bundle of %s cannot be unpacked: %s", u->want->what,
                           ZSTD_getErrorName(rc));
        u->frame_done = rc == 0;
    }
    u->plain += out.pos;
    u->plain_last = out.pos;
    *count = out.pos;
    return DEFUPD_OK;
}

static la_ssize_t give(struct archive *archive, void *user, const void **bytes)
{
    struct unpack *u = user;
    size_t count = 0;

    u->failed = inflate(u, &count);
    if (u->failed != DEFUPD_OK) {
        archive_set_error(archive, EINVAL, "%s", u->err->message);
        return -1;
    }
    *bytes = u->out;
    return (la_ssize_t)count;
}

/* What libarchive says, unless the reason was ours. */
static defupd_code archive_failed(struct unpack *u)
{
    if (u->failed != DEFUPD_OK)
        return u->failed;
    /* Without memory for its own message it gives none. */
    if (archive_errno(u->archive) == ENOMEM || archive_error_string(u->archive) == NULL)
        return DU_FAIL(u->err, DEFUPD_E_NOMEM, "no memory to unpack %s", u->want->what);
    return DU_FAIL(u->err, DEFUPD_E_BUNDLE_FORMAT, "the bundle of %s cannot be unpacked: %s",
                   u->want->what, archive_error_string(u->archive));
}

static defupd_code open_archive(struct unpack *u)
{
    u->in = malloc(IN_BYTES);
    u->out = malloc(OUT_BYTES);
    u->piece = malloc(PIECE_BYTES);
    u->zstd = ZSTD_createDStream();
    u->archive = archive_read_new();
    /* An entry of our own: the archive's is NULL when there was no memory for it. */
    u->entry = u->archive != NULL ? archive_entry_new2(u->archive) : NULL;
    if (u->in == NULL || u->out == NULL || u->piece == NULL || u->zstd == NULL || u->entry == NULL)
        return DU_FAIL(u->err, DEFUPD_E_NOMEM, "no memory to unpack %s", u->want->what);
    if (ZSTD_isError(ZSTD_DCtx_setParameter(u->zstd, ZSTD_d_windowLogMax, DU_BUNDLE_WINDOW_LOG)))
        return DU_FAIL(u->err, DEFUPD_E_BUG, "zstd takes no window limit");
    /* One format and nothing else: what libarchive can also read is no business of ours. In single
     * steps, because archive_read_open() passes over a failure of the second and then dies. */
    if (archive_read_support_format_tar(u->archive) != ARCHIVE_OK ||
        archive_read_set_callback_data(u->archive, u) != ARCHIVE_OK ||
        archive_read_set_read_callback(u->archive, give) != ARCHIVE_OK ||
        archive_read_open1(u->archive) != ARCHIVE_OK)
        return archive_failed(u);
    return DEFUPD_OK;
}

/* Path, size and mode of a member, or why it may not be there. */
static defupd_code check_member(struct unpack *u, struct archive_entry *entry, const char **path,
                                uint64_t *size, bool *exec)
{
    const char *bad;
    uint64_t total;

    *path = archive_entry_pathname(entry);
    if (*path == NULL)
        return DU_FAIL(u->err, DEFUPD_E_TREE_FORBIDDEN,
                       "the bundle of %s has a member without a name", u->want->what);
    bad = du_path_why_bad(*path);
    if (bad != NULL)
        return DU_FAIL(u->err, DEFUPD_E_TREE_FORBIDDEN, "%s: path '%s' %s", u->want->what, *path,
                       bad);
    if (archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry) != NULL ||
        archive_entry_sparse_count(entry) > 0)
        return DU_FAIL(u->err, DEFUPD_E_TREE_FORBIDDEN, "%s: '%s' is not a plain regular file",
                       u->want->what, *path);
    if (archive_entry_perm(entry) != 0644 && archive_entry_perm(entry) != 0755)
        return DU_FAIL(u->err, DEFUPD_E_TREE_FORBIDDEN,
                       "%s: '%s' has mode %04o, neither 0644 nor 0755", u->want->what, *path,
                       (unsigned)archive_entry_perm(entry));
    if (!archive_entry_size_is_set(entry) || archive_entry_size(entry) < 0)
        return DU_FAIL(u->err, DEFUPD_E_BUNDLE_FORMAT, "%s: '%s' has no size", u->want->what,
                       *path);
    *size = (uint64_t)archive_entry_size(entry);
    *exec = archive_entry_perm(entry) == 0755;
    if (!du_add(u->index->bytes, *size, &total) || total > u->want->size)
        return DU_FAIL(u->err, DEFUPD_E_TREE,
                       "%s unpacks to more than the signed %" PRIu64 " bytes", u->want->what,
                       u->want->size);
    if (u->index->count >= u->want->files)
        return DU_FAIL(u->err, DEFUPD_E_TREE,
                       "%s unpacks to more than the signed %" PRIu64 " files", u->want->what,
                       u->want->files);
    return DEFUPD_OK;
}

/* Exactly `count` bytes of the member's content. */
static defupd_code read_content(struct unpack *u, const char *path, void *bytes, size_t count)
{
    size_t have = 0;

    while (have < count) {
        const la_ssize_t got =
            archive_read_data(u->archive, (unsigned char *)bytes + have, count - have);
        if (got < 0)
            return archive_failed(u);
        if (got == 0)
            return DU_FAIL(u->err, DEFUPD_E_BUNDLE_FORMAT, "%s: '%s' is cut short", u->want->what,
                           path);
        have += (size_t)got;
    }
    if (u->tick != NULL && u->tick->fn != NULL)
        DU_TRY(u->tick->fn(u->tick->user, count, u->err));
    return DEFUPD_OK;
}

/* The installed file with this path and content, when there is one that may be used. */
static const struct du_file *unchanged(const struct unpack *u, const char *path, uint64_t size,
                                       const unsigned char sha256[DU_SHA256_BYTES])
{
    const struct du_file *old = u->base != NULL ? du_index_find(u->base->index, path) : NULL;

    if (old == NULL || old->size != size || memcmp(old->sha256, sha256, DU_SHA256_BYTES) != 0 ||
        !u->base->trust(u->base->user, old))
        return NULL;
    return old;
}

/* An unchanged file is taken from the installed tree: a small one was not written at all, a large
 * one gives its space back. */
static defupd_code unpack_member(struct unpack *u, const char *path, uint64_t size, bool exec,
                                 unsigned char sha256[DU_SHA256_BYTES])
{
    const struct du_file *old;

    DU_TRY(du_sink_open(&u->sink, path, size, exec, u->err));
    for (uint64_t left = size; left > 0;) {
        const size_t count = left < PIECE_BYTES ? (size_t)left : PIECE_BYTES;

        DU_TRY(read_content(u, path, u->piece, count));
        DU_TRY(du_sink_data(&u->sink, u->piece, count, u->err));
        left -= count;
    }
    DU_TRY(du_sink_digest(&u->sink, sha256, u->err));
    old = unchanged(u, path, size, sha256);
    if (old == NULL)
        return du_sink_keep(&u->sink, u->err);
    DU_TRY(du_sink_drop(&u->sink, u->err));
    DU_TRY(du_place_reuse(&u->place, old->path, exec, &u->from, old->path, old->exec, u->err));
    (*u->reused)++;
    return DEFUPD_OK;
}

static defupd_code unpack_members(struct unpack *u)
{
    int rc;

    while ((rc = archive_read_next_header2(u->archive, u->entry)) == ARCHIVE_OK) {
        unsigned char sha256[DU_SHA256_BYTES];
        const char *path = NULL;
        uint64_t size = 0;
        bool exec = false;

        DU_TRY(check_member(u, u->entry, &path, &size, &exec));
        DU_TRY(unpack_member(u, path, size, exec, sha256));
        DU_TRY(du_index_add(u->index, path, size, sha256, exec, u->err));
    }
    if (rc != ARCHIVE_EOF)
        return archive_failed(u);
    return DEFUPD_OK;
}

static bool all_zero(const unsigned char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (bytes[i] != 0)
            return false;
    }
    return true;
}

/* After the archive's end only its padding may follow, and nothing after the frame. */
static defupd_code check_end(struct unpack *u)
{
    const uint64_t taken = (uint64_t)archive_filter_bytes(u->archive, 0);
    size_t count = taken <= u->plain && u->plain - taken < u->plain_last
                       ? (size_t)(u->plain - taken)
                       : u->plain_last;
    const unsigned char *rest = u->out + (u->plain_last - count);

    do {
        if (!all_zero(rest, count))
            return DU_FAIL(u->err, DEFUPD_E_BUNDLE_FORMAT, "the bundle of %s goes on after its end",
                           u->want->what);
        DU_TRY(inflate(u, &count));
        rest = u->out;
    } while (count > 0);
    if (u->pending.pos != u->pending.size || u->at != u->bundle->bytes)
        return DU_FAIL(u->err, DEFUPD_E_BUNDLE_FORMAT, "the bundle of %s has bytes after its frame",
                       u->want->what);
    return DEFUPD_OK;
}

defupd_code du_bundle_unpack(const struct du_sys *sys, const struct du_verified_file *bundle,
                             const struct du_tree_want *want, const struct du_tree_base *base,
                             int into, const struct du_tick *tick, struct du_index *index,
                             uint64_t *reused, defupd_error *err)
{
    DU_AUTO(unpack_end)
    struct unpack u = { .sys = sys,
                        .bundle = bundle,
                        .want = want,
                        .base = base,
                        .tick = tick,
                        .index = index,
                        .reused = reused,
                        .err = err };
    defupd_code rc;

    *reused = 0;
    du_place_init(&u.place, sys, into);
    du_place_init(&u.from, sys, base != NULL ? base->root : -1);
    du_sink_init(&u.sink, &u.place);
    rc = open_archive(&u);
    if (rc == DEFUPD_OK) {
        rc = unpack_members(&u);
        if (rc != DEFUPD_OK && strstr(err->message, want->what) == NULL)
            (void)du_err_prefix(err, "%s", want->what);
    }
    if (rc == DEFUPD_OK)
        rc = check_end(&u);
    if (rc == DEFUPD_OK)
        rc = du_tree_check(index, want, err);
    return rc;
}

void du_bundle_versions(char *out, size_t size)
{
    const unsigned zstd = ZSTD_versionNumber();

    (void)snprintf(out, size, "%s, libzstd %u.%u.%u", archive_version_string(), zstd / 10000,
                   zstd / 100 % 100, zstd % 100);
}
