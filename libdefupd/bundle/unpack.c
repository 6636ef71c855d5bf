/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A full bundle becomes a directory. zstd is driven here and libarchive gets plain tar: its own
 * zstd filter has no way to refuse a frame that asks for a large window.
 */
#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "base/scope.h"
#include "bundle/bundle.h"
#include "crypto/crypto.h"
#include "sys/disk.h"

#define IN_BYTES (128U * 1024)
#define OUT_BYTES (128U * 1024)
#define WHOLE_BYTES (256U * 1024) /* files up to this are compared before anything is written */

struct unpack {
    const struct du_sys *sys;
    const struct du_verified_file *bundle;
    const struct du_tree_want *want;
    const struct du_tree_base *base;
    const struct du_tick *tick;
    struct du_index *index;
    uint64_t *reused;
    struct du_place place, from;

    ZSTD_DStream *zstd;
    struct archive *archive;
    unsigned char *in, *out, *whole;
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
    (void)ZSTD_freeDStream(u->zstd);
    free(u->in);
    free(u->out);
    free(u->whole);
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
    if (archive_errno(u->archive) == ENOMEM)
        return DU_FAIL(u->err, DEFUPD_E_NOMEM, "no memory to unpack %s", u->want->what);
    return DU_FAIL(u->err, DEFUPD_E_BUNDLE_FORMAT, "the bundle of %s cannot be unpacked: %s",
                   u->want->what, archive_error_string(u->archive));
}

static defupd_code open_archive(struct unpack *u)
{
    u->in = malloc(IN_BYTES);
    u->out = malloc(OUT_BYTES);
    u->whole = malloc(WHOLE_BYTES);
    u->zstd = ZSTD_createDStream();
    u->archive = archive_read_new();
    if (u->in == NULL || u->out == NULL || u->whole == NULL || u->zstd == NULL ||
        u->archive == NULL)
        return DU_FAIL(u->err, DEFUPD_E_NOMEM, "no memory to unpack %s", u->want->what);
    if (ZSTD_isError(ZSTD_DCtx_setParameter(u->zstd, ZSTD_d_windowLogMax, DU_BUNDLE_WINDOW_LOG)))
        return DU_FAIL(u->err, DEFUPD_E_BUG, "zstd takes no window limit");
    /* One format and nothing else: what libarchive can also read is no business of ours. */
    if (archive_read_support_format_tar(u->archive) != ARCHIVE_OK ||
        archive_read_open(u->archive, u, NULL, give, NULL) != ARCHIVE_OK)
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

static defupd_code take_old(struct unpack *u, const struct du_file *old, bool exec)
{
    DU_TRY(du_place_reuse(&u->place, old->path, exec, &u->from, old->path, old->exec, u->err));
    (*u->reused)++;
    return DEFUPD_OK;
}

/* Small files are looked at before they are written: an unchanged one costs no write at all. */
static defupd_code unpack_small(struct unpack *u, const char *path, size_t size, bool exec,
                                unsigned char sha256[DU_SHA256_BYTES])
{
    const struct du_file *old;
    DU_AUTO_FD fd = -1;

    DU_TRY(read_content(u, path, u->whole, size));
    du_sha256(sha256, u->whole, size);
    old = unchanged(u, path, size, sha256);
    if (old != NULL)
        return take_old(u, old, exec);
    DU_TRY(du_place_file(&u->place, path, exec, &fd, u->err));
    return du_write_all(u->sys, fd, u->whole, size, path, u->err);
}

/* Large ones are written as they come; an unchanged one then gives its space back. */
static defupd_code unpack_large(struct unpack *u, const char *path, uint64_t size, bool exec,
                                unsigned char sha256[DU_SHA256_BYTES])
{
    DU_AUTO_HASH hash;
    DU_AUTO_FD fd = -1;
    const struct du_file *old;
    const char *name;
    int dir;

    du_hash_init(&hash, DU_SHA256);
    DU_TRY(du_place_file(&u->place, path, exec, &fd, u->err));
    for (uint64_t left = size; left > 0;) {
        const size_t count = left < WHOLE_BYTES ? (size_t)left : WHOLE_BYTES;

        DU_TRY(read_content(u, path, u->whole, count));
        du_hash_update(&hash, u->whole, count);
        DU_TRY(du_write_all(u->sys, fd, u->whole, count, path, u->err));
        left -= count;
    }
    du_hash_final(&hash, sha256);
    old = unchanged(u, path, size, sha256);
    if (old == NULL)
        return DEFUPD_OK;
    DU_TRY(du_place_parent(&u->place, path, false, &dir, &name, u->err));
    if (u->sys->unlinkat(dir, name, 0) != 0)
        return DU_FAIL_IO(u->err, "remove '%s'", path);
    return take_old(u, old, exec);
}

static defupd_code unpack_members(struct unpack *u)
{
    struct archive_entry *entry;
    int rc;

    while ((rc = archive_read_next_header(u->archive, &entry)) == ARCHIVE_OK) {
        unsigned char sha256[DU_SHA256_BYTES];
        const char *path = NULL;
        uint64_t size = 0;
        bool exec = false;

        DU_TRY(check_member(u, entry, &path, &size, &exec));
        DU_TRY(size <= WHOLE_BYTES ? unpack_small(u, path, (size_t)size, exec, sha256)
                                   : unpack_large(u, path, size, exec, sha256));
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
