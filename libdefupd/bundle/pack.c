/* SPDX-License-Identifier: Apache-2.0 */
/* A tree becomes a full bundle: the publisher's side. */
#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "base/scope.h"
#include "bundle/bundle.h"
#include "crypto/crypto.h"
#include "sys/disk.h"

#define CHUNK_BYTES (128U * 1024)
#define MEMBER_BYTES 2048 /* beside the content: header, a long path's own, padding */
#define WINDOW_LOG_MIN 17
#define LEVEL_LARGE 16   /* from here on zstd's tables are the largest it has: */
#define TABLE_LOG_MAX 22 /* 2^22 and more entries */

struct pack {
    const struct du_sys *sys;
    struct archive *archive;
    ZSTD_CCtx *zstd;
    unsigned char *out, *chunk;
    size_t out_size;
    int fd;
    struct du_hash hash;
    uint64_t bytes;
    const struct du_tick *tick;
    defupd_error *err;
    defupd_code failed;
};

static void pack_end(struct pack *p)
{
    if (p->failed == DEFUPD_OK)
        p->failed = DEFUPD_E_CANCELLED; /* so that freeing it writes no more */
    if (p->archive != NULL)
        (void)archive_write_free(p->archive);
    (void)ZSTD_freeCCtx(p->zstd);
    free(p->out);
    free(p->chunk);
    du_hash_free(&p->hash);
}

static defupd_code deflate(struct pack *p, const void *bytes, size_t count, ZSTD_EndDirective end)
{
    ZSTD_inBuffer in = { bytes, count, 0 };
    size_t rest;

    do {
        ZSTD_outBuffer out = { p->out, p->out_size, 0 };

        /* The end of a large tree is still in the works: it must be possible to stop there too. */
        if (p->tick != NULL && p->tick->fn != NULL)
            DU_TRY(p->tick->fn(p->tick->user, 0, p->err));
        rest = ZSTD_compressStream2(p->zstd, &out, &in, end);
        if (ZSTD_isError(rest))
            return DU_FAIL(p->err, DEFUPD_E_BUG, "compress: %s", ZSTD_getErrorName(rest));
        du_hash_update(&p->hash, p->out, out.pos);
        p->bytes += out.pos;
        DU_TRY(du_write_all(p->sys, p->fd, p->out, out.pos, "the bundle", p->err));
    } while (end == ZSTD_e_end ? rest != 0 : in.pos < in.size);
    return DEFUPD_OK;
}

/* A failure is kept, and libarchive not told: after one in its callback it never closes its writer,
 * which leaks (3.6.2). Whoever has called it looks at p->failed. */
static la_ssize_t take(struct archive *archive, void *user, const void *bytes, size_t count)
{
    struct pack *p = user;

    (void)archive;
    if (p->failed == DEFUPD_OK)
        p->failed = deflate(p, bytes, count, ZSTD_e_continue);
    return (la_ssize_t)count;
}

static defupd_code went(struct pack *p, bool well)
{
    if (p->failed != DEFUPD_OK || well)
        return p->failed;
    return DU_FAIL(p->err, DEFUPD_E_IO, "write the archive: %s", archive_error_string(p->archive));
}

static bool all_ascii(const struct du_index *index)
{
    for (size_t i = 0; i < index->count; i++) {
        for (const char *c = index->file[i].path; *c != '\0'; c++) {
            if ((unsigned char)*c > 0x7f)
                return false;
        }
    }
    return true;
}

/* As much window as the archive can use and no more: it decides over the size of tables that are
 * cleared for each bundle, here, and over what a client needs to unpack. */
static int window_log(const struct du_index *index)
{
    const uint64_t most = (uint64_t)1 << DU_BUNDLE_WINDOW_LOG;
    uint64_t bytes = MEMBER_BYTES; /* the archive's end */
    int log = WINDOW_LOG_MIN;

    for (size_t i = 0; i < index->count && bytes < most; i++) {
        const uint64_t size = index->file[i].size;
        bytes += (size < most ? size : most) + MEMBER_BYTES;
    }
    while (log < DU_BUNDLE_WINDOW_LOG && (uint64_t)1 << log < bytes)
        log++;
    return log;
}

static bool set(struct pack *p, ZSTD_cParameter parameter, int value)
{
    return !ZSTD_isError(ZSTD_CCtx_setParameter(p->zstd, parameter, value));
}

static bool set_parameters(struct pack *p, const struct du_index *index, int level)
{
    const int log = window_log(index);

    /* Tables follow the window by themselves only for content of known size. */
    return set(p, ZSTD_c_compressionLevel, level) && set(p, ZSTD_c_windowLog, log) &&
           set(p, ZSTD_c_enableLongDistanceMatching, 1) &&
           (level < LEVEL_LARGE || log >= TABLE_LOG_MAX ||
            (set(p, ZSTD_c_hashLog, log + 1) && set(p, ZSTD_c_chainLog, log + 1)));
}

static defupd_code open_archive(struct pack *p, const struct du_index *index, int level,
                                unsigned threads)
{
    p->out_size = ZSTD_CStreamOutSize();
    p->out = malloc(p->out_size);
    p->chunk = malloc(CHUNK_BYTES);
    p->zstd = ZSTD_createCCtx();
    p->archive = archive_write_new();
    if (p->out == NULL || p->chunk == NULL || p->zstd == NULL || p->archive == NULL)
        return DU_FAIL(p->err, DEFUPD_E_NOMEM, "no memory to make a bundle");
    if (!set_parameters(p, index, level))
        return DU_FAIL(p->err, DEFUPD_E_BUG, "zstd refuses level %d", level);
    /* At least one: the number of workers changes speed, not bytes, but none at all cuts the blocks
     * elsewhere. A library built without threads says no and works on. */
    (void)ZSTD_CCtx_setParameter(p->zstd, ZSTD_c_nbWorkers, threads == 0 ? 1 : (int)threads);
    if (archive_write_set_format_pax_restricted(p->archive) != ARCHIVE_OK)
        return went(p, false);
    /* Without this libarchive translates paths from the character set of the locale, on both sides:
     * what is not ASCII is refused in the C locale, and spelled otherwise in another. Not set for
     * ASCII, since it costs each member an extended header. */
    if (!all_ascii(index) &&
        archive_write_set_format_option(p->archive, "pax", "hdrcharset", "BINARY") != ARCHIVE_OK)
        return went(p, false);
    if (archive_write_set_bytes_per_block(p->archive, 0) != ARCHIVE_OK ||
        archive_write_open(p->archive, p, NULL, take, NULL) != ARCHIVE_OK)
        return went(p, false);
    return DEFUPD_OK;
}

static defupd_code write_header(struct pack *p, const struct du_file *file)
{
    struct archive_entry *entry = archive_entry_new();
    int rc;

    if (entry == NULL)
        return DU_FAIL(p->err, DEFUPD_E_NOMEM, "no memory to make a bundle");
    archive_entry_set_pathname(entry, file->path);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, file->exec ? 0755 : 0644);
    archive_entry_set_size(entry, (la_int64_t)file->size);
    archive_entry_set_mtime(entry, 0, 0);
    archive_entry_set_uid(entry, 0);
    archive_entry_set_gid(entry, 0);
    rc = archive_write_header(p->archive, entry);
    archive_entry_free(entry);
    return went(p, rc == ARCHIVE_OK);
}

/* Read it once more, and let nothing into a bundle but what the index says. */
static defupd_code write_content(struct pack *p, const struct du_file *file, int fd)
{
    DU_AUTO_HASH hash;
    unsigned char sha256[DU_SHA256_BYTES];
    uint64_t left = file->size;

    du_hash_init(&hash, DU_SHA256);
    while (left > 0) {
        const size_t want = left < CHUNK_BYTES ? (size_t)left : CHUNK_BYTES;
        const ssize_t got = p->sys->read(fd, p->chunk, want);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return DU_FAIL_IO(p->err, "read '%s'", file->path);
        if (got == 0)
            break;
        du_hash_update(&hash, p->chunk, (size_t)got);
        DU_TRY(went(p, archive_write_data(p->archive, p->chunk, (size_t)got) == got));
        left -= (uint64_t)got;
        if (p->tick != NULL && p->tick->fn != NULL)
            DU_TRY(p->tick->fn(p->tick->user, (uint64_t)got, p->err));
    }
    du_hash_final(&hash, sha256);
    if (left > 0 || memcmp(sha256, file->sha256, DU_SHA256_BYTES) != 0)
        return DU_FAIL(p->err, DEFUPD_E_IO, "'%s' changed while it was read", file->path);
    return DEFUPD_OK;
}

static defupd_code write_files(struct pack *p, int root, const struct du_index *index)
{
    DU_AUTO_PLACE source;

    du_place_init(&source, p->sys, root);
    for (size_t i = 0; i < index->count; i++) {
        const struct du_file *file = &index->file[i];
        const char *name;
        int dir;

        DU_TRY(du_place_parent(&source, file->path, false, &dir, &name, p->err));
        DU_AUTO_FD fd = p->sys->openat(dir, name, O_RDONLY | O_NOFOLLOW, 0);
        if (fd < 0)
            return DU_FAIL_IO(p->err, "open '%s'", file->path);
        DU_TRY(write_header(p, file));
        DU_TRY(write_content(p, file, fd));
    }
    return went(p, archive_write_close(p->archive) == ARCHIVE_OK);
}

defupd_code du_bundle_pack(const struct du_sys *sys, int root, const struct du_index *index,
                           int level, unsigned threads, int fd, const struct du_tick *tick,
                           unsigned char sha256[DU_SHA256_BYTES], uint64_t *bytes,
                           defupd_error *err)
{
    DU_AUTO(pack_end) struct pack p = { .sys = sys, .fd = fd, .tick = tick, .err = err };
    defupd_code rc;

    du_hash_init(&p.hash, DU_SHA256);
    rc = open_archive(&p, index, level, threads);
    if (rc == DEFUPD_OK)
        rc = write_files(&p, root, index);
    if (rc == DEFUPD_OK)
        rc = deflate(&p, "", 0, ZSTD_e_end);
    if (rc != DEFUPD_OK)
        return rc;
    du_hash_final(&p.hash, sha256);
    *bytes = p.bytes;
    return DEFUPD_OK;
}
