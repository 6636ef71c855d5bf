/* SPDX-License-Identifier: Apache-2.0 */
/* Archives that carry a repository: the publisher's side. Content is stored as it is, since objects
 * are compressed already; so the bytes of a zip or tar depend on nothing but the members. */
#include <archive.h>
#include <archive_entry.h>
#include <stdlib.h>
#include <zstd.h>

#include "base/scope.h"
#include "bundle/archive.h"
#include "sys/disk.h"

#define LEVEL 3

struct du_archive_writer {
    const struct du_sys *sys;
    int fd;
    struct archive *archive;
    struct archive_entry *entry;
    ZSTD_CCtx *zstd; /* NULL: not compressed */
    unsigned char *out;
    size_t out_size;
    uint64_t bytes;
    defupd_error *err; /* where callbacks of libarchive put what went wrong */
    defupd_code failed;
};

void du_archive_writer_freep(struct du_archive_writer **writer)
{
    const int saved = errno;
    struct du_archive_writer *w = *writer;

    *writer = NULL;
    if (w == NULL)
        return;
    if (w->failed == DEFUPD_OK)
        w->failed = DEFUPD_E_CANCELLED; /* so that freeing it writes no more */
    if (w->archive != NULL)
        (void)archive_write_free(w->archive);
    archive_entry_free(w->entry);
    (void)ZSTD_freeCCtx(w->zstd);
    free(w->out);
    free(w);
    errno = saved;
}

static defupd_code out(struct du_archive_writer *w, const void *bytes, size_t count)
{
    DU_TRY(du_write_all(w->sys, w->fd, bytes, count, "the archive", w->err));
    w->bytes += count;
    return DEFUPD_OK;
}

static defupd_code deflate(struct du_archive_writer *w, const void *bytes, size_t count,
                           ZSTD_EndDirective end)
{
    ZSTD_inBuffer in = { bytes, count, 0 };
    size_t rest;

    do {
        ZSTD_outBuffer piece = { w->out, w->out_size, 0 };

        rest = ZSTD_compressStream2(w->zstd, &piece, &in, end);
        if (ZSTD_isError(rest))
            return DU_FAIL(w->err, DEFUPD_E_BUG, "compress: %s", ZSTD_getErrorName(rest));
        DU_TRY(out(w, w->out, piece.pos));
    } while (end == ZSTD_e_end ? rest != 0 : in.pos < in.size);
    return DEFUPD_OK;
}

/* libarchive never hears of a failure: it would not free all that it has. Each of its callers here
 * looks for one. */
static la_ssize_t take(struct archive *archive, void *user, const void *bytes, size_t count)
{
    struct du_archive_writer *w = user;

    (void)archive;
    if (w->failed == DEFUPD_OK)
        w->failed =
            w->zstd != NULL ? deflate(w, bytes, count, ZSTD_e_continue) : out(w, bytes, count);
    return (la_ssize_t)count;
}

static defupd_code settle(const struct du_archive_writer *w, bool done)
{
    if (w->failed != DEFUPD_OK || done)
        return w->failed;
    if (archive_errno(w->archive) == ENOMEM || archive_error_string(w->archive) == NULL)
        return DU_FAIL(w->err, DEFUPD_E_NOMEM, "no memory to write an archive");
    return DU_FAIL(w->err, DEFUPD_E_IO, "write the archive: %s", archive_error_string(w->archive));
}

static bool set_form(struct du_archive_writer *w, enum du_archive_form form)
{
    struct archive *a = w->archive;

    if (form == DU_ARCHIVE_ZIP)
        return archive_write_set_format_zip(a) == ARCHIVE_OK &&
               archive_write_zip_set_compression_store(a) == ARCHIVE_OK;
    return archive_write_set_format_pax_restricted(a) == ARCHIVE_OK;
}

static bool set_zstd(struct du_archive_writer *w)
{
    w->out_size = ZSTD_CStreamOutSize();
    w->out = malloc(w->out_size);
    w->zstd = ZSTD_createCCtx();
    if (w->out == NULL || w->zstd == NULL ||
        ZSTD_isError(ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_compressionLevel, LEVEL)) ||
        ZSTD_isError(ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_checksumFlag, 1)))
        return false;
    /* As for bundles: the number of workers is part of what makes the bytes. */
    (void)ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_nbWorkers, 1);
    return true;
}

defupd_code du_archive_writer_new(struct du_archive_writer **out_writer, const struct du_sys *sys,
                                  int fd, enum du_archive_form form, defupd_error *err)
{
    DU_AUTO_ARCHIVE_WRITER *w = calloc(1, sizeof *w);

    if (w == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory to write an archive");
    w->sys = sys;
    w->fd = fd;
    w->err = err;
    w->archive = archive_write_new();
    w->entry = archive_entry_new();
    if (w->archive == NULL || w->entry == NULL || (form == DU_ARCHIVE_TAR_ZST && !set_zstd(w)))
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory to write an archive");
    DU_TRY(settle(w, set_form(w, form) &&
                         archive_write_set_bytes_per_block(w->archive, 0) == ARCHIVE_OK &&
                         archive_write_open(w->archive, w, NULL, take, NULL) == ARCHIVE_OK));
    *out_writer = du_take(&w);
    return DEFUPD_OK;
}

defupd_code du_archive_member(struct du_archive_writer *w, const char *path, uint64_t bytes,
                              defupd_error *err)
{
    w->err = err;
    (void)archive_entry_clear(w->entry);
    archive_entry_set_pathname(w->entry, path);
    archive_entry_set_filetype(w->entry, AE_IFREG);
    archive_entry_set_perm(w->entry, 0644);
    archive_entry_set_size(w->entry, (la_int64_t)bytes);
    archive_entry_set_mtime(w->entry, 0, 0); /* whoever looks at it: no date is the archive's */
    archive_entry_set_uid(w->entry, 0);
    archive_entry_set_gid(w->entry, 0);
    return settle(w, archive_write_header(w->archive, w->entry) == ARCHIVE_OK);
}

defupd_code du_archive_put(struct du_archive_writer *w, const void *bytes, size_t count,
                           defupd_error *err)
{
    w->err = err;
    return settle(w, archive_write_data(w->archive, bytes, count) == (la_ssize_t)count);
}

defupd_code du_archive_finish(struct du_archive_writer *w, uint64_t *bytes, defupd_error *err)
{
    w->err = err;
    DU_TRY(settle(w, archive_write_close(w->archive) == ARCHIVE_OK));
    if (w->zstd != NULL)
        DU_TRY(deflate(w, "", 0, ZSTD_e_end));
    *bytes = w->bytes;
    return DEFUPD_OK;
}
