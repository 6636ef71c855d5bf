/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Archives that carry a repository: the endpoint's side. Nobody has vouched for any byte here, so
 * libarchive gets one format, decided by what the file begins with, and no filter; zstd is driven
 * here, with a small window and a bound on what may come out.
 */
#include <archive.h>
#include <archive_entry.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/name.h"
#include "base/scope.h"
#include "bundle/archive.h"

#define PIECE_BYTES (128U * 1024)
#define HEAD_BYTES 512
#define WINDOW_LOG 23 /* 8 MiB, as for bundles */
#define EOCD_BYTES 22
#define LOCATOR_BYTES 20
#define EOCD64_BYTES 56

struct du_archive {
    const struct du_sys *sys;
    int fd;
    const char *name;
    struct du_tick tick;
    enum du_archive_form form;
    uint64_t size; /* of the file */

    struct archive *archive;
    struct archive_entry *entry;
    uint64_t at; /* next byte of the file to read */
    uint32_t members;
    uint64_t bytes; /* of the present member */

    ZSTD_DStream *zstd; /* NULL: plain */
    unsigned char *in, *out, *piece;
    ZSTD_inBuffer pending;
    uint64_t plain;
    bool in_frame; /* more of it has to come */

    defupd_error *err; /* where callbacks of libarchive put what went wrong */
    defupd_code failed;
};

static void close_reader(struct du_archive *a)
{
    if (a->archive != NULL)
        (void)archive_read_free(a->archive);
    archive_entry_free(a->entry);
    a->archive = NULL;
    a->entry = NULL;
}

void du_archive_freep(struct du_archive **archive)
{
    const int saved = errno;
    struct du_archive *a = *archive;

    *archive = NULL;
    if (a == NULL)
        return;
    close_reader(a);
    (void)ZSTD_freeDStream(a->zstd);
    free(a->in);
    free(a->out);
    free(a->piece);
    free(a);
    errno = saved;
}

/* --- what the file is --- */

/* For the message about a file that is none of ours. */
static const char *what_it_is(const unsigned char *head, size_t count)
{
    static const struct { /* no pointers: each would be relocated in every process */
        char magic[12], what[28];
    } known[] = {
        { "\x1f\x8b", "a gzip file" },
        { "BZh", "a bzip2 file" },
        { "\xfd"
          "7zXZ",
          "an xz file" },
        { "7z\xbc\xaf\x27\x1c", "a 7z archive" },
        { "Rar!", "a rar archive" },
        { "MSCF", "a cabinet file" },
        { "!<arch>\n", "a deb package or ar archive" },
        { "\xed\xab\xee\xdb", "an rpm package" },
        { "0707", "a cpio archive" },
        { "\x7f"
          "ELF",
          "a program" },
        { "MZ", "a Windows program" },
        { "%PDF", "a PDF document" },
        { "<?xml", "an XML document" },
        { "<", "an XML or HTML document" },
        { "{", "a JSON document" },
        { "-----BEGIN", "a PEM file" },
        { "\x04\x22\x4d\x18", "an lz4 file" },
    };

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        const size_t len = strlen(known[i].magic);
        if (count >= len && memcmp(head, known[i].magic, len) == 0)
            return known[i].what;
    }
    return count == 0 ? "empty" : "no archive that is known here";
}

static bool begins(const unsigned char *head, size_t count, const void *magic, size_t len)
{
    return count >= len && memcmp(head, magic, len) == 0;
}

/* A field of a tar header that holds octal digits (POSIX.1-2017, pax, ustar). */
static unsigned long octal(const unsigned char *field, size_t len)
{
    unsigned long n = 0;
    size_t i = 0;

    while (i < len && field[i] == ' ')
        i++;
    for (; i < len && field[i] >= '0' && field[i] <= '7'; i++)
        n = n * 8 + (unsigned long)(field[i] - '0');
    return n;
}

/* By the sum that every tar header carries, so that old tars without a magic are known too. */
static bool is_tar(const unsigned char *head, size_t count)
{
    unsigned long sum = 0;

    if (count < HEAD_BYTES || head[0] == '\0')
        return false;
    for (size_t i = 0; i < HEAD_BYTES; i++)
        sum += i >= 148 && i < 156 ? ' ' : head[i];
    return sum == octal(head + 148, 8);
}

static defupd_code read_at(const struct du_archive *a, uint64_t at, unsigned char *bytes,
                           size_t want, size_t *count, defupd_error *err)
{
    *count = 0;
    while (*count < want) {
        const ssize_t got =
            a->sys->pread(a->fd, bytes + *count, want - *count, (off_t)(at + *count));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return DU_FAIL_IO(err, "read %s", a->name);
        if (got == 0)
            break;
        *count += (size_t)got;
    }
    return DEFUPD_OK;
}

static defupd_code find_form(struct du_archive *a, defupd_error *err)
{
    unsigned char head[HEAD_BYTES];
    size_t count;

    DU_TRY(read_at(a, 0, head, sizeof head, &count, err));
    if (begins(head, count, "PK\003\004", 4) || begins(head, count, "PK\005\006", 4))
        a->form = DU_ARCHIVE_ZIP;
    else if (begins(head, count, "\x28\xb5\x2f\xfd", 4))
        a->form = DU_ARCHIVE_TAR_ZST;
    else if (is_tar(head, count))
        a->form = DU_ARCHIVE_TAR;
    else
        return DU_FAIL(err, DEFUPD_E_ARCHIVE,
                       "%s is %s; taken are .zip, .tar and .tar.zst, as 'defupd-publish "
                       "export-offline' writes them, or a folder",
                       a->name, what_it_is(head, count));
    return DEFUPD_OK;
}

/* --- is it whole? --- */

static uint64_t little(const unsigned char *bytes, size_t count)
{
    uint64_t n = 0;

    while (count > 0)
        n = n << 8 | bytes[--count];
    return n;
}

static defupd_code cut_short(const struct du_archive *a, defupd_error *err)
{
    return DU_FAIL(err, DEFUPD_E_ARCHIVE, "%s is cut short or damaged: its end is missing",
                   a->name);
}

/* Where the directory begins and how long it is, by the zip64 records before the plain one
 * (APPNOTE.TXT 4.3.14 and 4.3.15). *end: where the first of them stands. */
static defupd_code find_directory64(const struct du_archive *a, uint64_t *start, uint64_t *bytes,
                                    uint64_t *end, defupd_error *err)
{
    unsigned char locator[LOCATOR_BYTES], eocd[EOCD64_BYTES];
    size_t count;

    if (*end < LOCATOR_BYTES + EOCD64_BYTES)
        return cut_short(a, err);
    DU_TRY(read_at(a, *end - LOCATOR_BYTES, locator, sizeof locator, &count, err));
    if (!begins(locator, count, "PK\006\007", 4))
        return cut_short(a, err);
    *end = little(locator + 8, 8);
    if (*end > a->size - EOCD64_BYTES)
        return cut_short(a, err);
    DU_TRY(read_at(a, *end, eocd, sizeof eocd, &count, err));
    if (count < sizeof eocd || !begins(eocd, count, "PK\006\006", 4))
        return cut_short(a, err);
    *bytes = little(eocd + 40, 8);
    *start = little(eocd + 48, 8);
    return DEFUPD_OK;
}

/* The directory has to end exactly where the records of the end begin, and to be small: libarchive
 * reads entries, of which it keeps each in memory, until it meets something else. */
static defupd_code check_zip(const struct du_archive *a, defupd_error *err)
{
    unsigned char eocd[EOCD_BYTES];
    uint64_t start, bytes, end;
    size_t count;

    if (a->size < EOCD_BYTES)
        return cut_short(a, err);
    end = a->size - EOCD_BYTES;
    DU_TRY(read_at(a, end, eocd, sizeof eocd, &count, err));
    if (!begins(eocd, count, "PK\005\006", 4) || little(eocd + 20, 2) != 0)
        return cut_short(a, err);
    bytes = little(eocd + 12, 4);
    start = little(eocd + 16, 4);
    if (start == UINT32_MAX || bytes == UINT32_MAX || little(eocd + 10, 2) == UINT16_MAX)
        DU_TRY(find_directory64(a, &start, &bytes, &end, err));
    if (start > end || end - start != bytes)
        return DU_FAIL(err, DEFUPD_E_ARCHIVE, "%s is damaged: its directory is not where it says",
                       a->name);
    if (bytes > DU_ARCHIVE_DIRECTORY_MAX)
        return DU_FAIL(err, DEFUPD_E_ARCHIVE,
                       "%s has a directory of %" PRIu64 " bytes, more than the %u that are taken",
                       a->name, bytes, DU_ARCHIVE_DIRECTORY_MAX);
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

/* A tar ends with two blocks of zeros. libarchive is content with an end between two members, which
 * is where a copy may have been cut. */
static defupd_code check_tar(const struct du_archive *a, defupd_error *err)
{
    unsigned char tail[2 * HEAD_BYTES];
    size_t count;

    if (a->size < sizeof tail || a->size % HEAD_BYTES != 0)
        return cut_short(a, err);
    DU_TRY(read_at(a, a->size - sizeof tail, tail, sizeof tail, &count, err));
    return count == sizeof tail && all_zero(tail, count) ? DEFUPD_OK : cut_short(a, err);
}

/* --- bytes for libarchive --- */

static defupd_code go_on(const struct du_archive *a, uint64_t bytes)
{
    return a->tick.fn != NULL ? a->tick.fn(a->tick.user, bytes, a->err) : DEFUPD_OK;
}

static defupd_code refill(struct du_archive *a)
{
    size_t count;

    DU_TRY(read_at(a, a->at, a->in, PIECE_BYTES, &count, a->err));
    a->at += count;
    a->pending = (ZSTD_inBuffer){ a->in, count, 0 };
    return DEFUPD_OK;
}

static uint64_t plain_max(const struct du_archive *a)
{
    uint64_t most;

    return du_mul(a->size, DU_ARCHIVE_PLAIN_TIMES, &most) &&
                   du_add(most, DU_ARCHIVE_PLAIN_FREE, &most)
               ? most
               : UINT64_MAX;
}

/* The next plain bytes into a->out; *count 0 at the end of the file. Frames may follow each other.
 */
static defupd_code inflate(struct du_archive *a, size_t *count)
{
    ZSTD_outBuffer out = { a->out, PIECE_BYTES, 0 };

    DU_TRY(go_on(a, 0));
    while (out.pos == 0) {
        size_t rc;

        if (a->pending.pos == a->pending.size) {
            DU_TRY(refill(a));
            if (a->pending.size == 0 && a->in_frame)
                return cut_short(a, a->err);
            if (a->pending.size == 0)
                break;
        }
        rc = ZSTD_decompressStream(a->zstd, &out, &a->pending);
        if (ZSTD_getErrorCode(rc) == ZSTD_error_memory_allocation)
            return DU_FAIL(a->err, DEFUPD_E_NOMEM, "no memory to read %s", a->name);
        if (ZSTD_isError(rc))
            return DU_FAIL(a->err, DEFUPD_E_ARCHIVE, "%s is damaged: %s", a->name,
                           ZSTD_getErrorName(rc));
        a->in_frame = rc != 0;
    }
    a->plain += out.pos;
    if (a->plain > plain_max(a))
        return DU_FAIL(a->err, DEFUPD_E_ARCHIVE,
                       "%s unpacks to more than %" PRIu64 " bytes, which no archive of its size "
                       "needs",
                       a->name, plain_max(a));
    *count = out.pos;
    return DEFUPD_OK;
}

static la_ssize_t give(struct archive *archive, void *user, const void **bytes)
{
    struct du_archive *a = user;
    size_t count = 0;

    if (a->zstd != NULL) {
        a->failed = inflate(a, &count);
        *bytes = a->out;
    } else {
        a->failed = go_on(a, 0);
        if (a->failed == DEFUPD_OK)
            a->failed = read_at(a, a->at, a->in, PIECE_BYTES, &count, a->err);
        a->at += count;
        *bytes = a->in;
    }
    if (a->failed != DEFUPD_OK) {
        archive_set_error(archive, EINVAL, "%s", a->err->message);
        return -1;
    }
    return (la_ssize_t)count;
}

static la_int64_t seek(struct archive *archive, void *user, la_int64_t offset, int whence)
{
    struct du_archive *a = user;
    const la_int64_t from = whence == SEEK_SET   ? 0
                            : whence == SEEK_CUR ? (la_int64_t)a->at
                                                 : (la_int64_t)a->size;
    la_int64_t to;

    (void)archive;
    if (__builtin_add_overflow(from, offset, &to) || to < 0)
        return ARCHIVE_FATAL;
    a->at = (uint64_t)to;
    return to;
}

static la_int64_t skip(struct archive *archive, void *user, la_int64_t count)
{
    struct du_archive *a = user;

    (void)archive;
    if (count <= 0 || (uint64_t)count > a->size - (a->at < a->size ? a->at : a->size))
        return 0; /* what is not there is found out by reading */
    a->at += (uint64_t)count;
    return count;
}

/* --- reading --- */

/* What libarchive says, unless the reason was ours. */
static defupd_code archive_failed(const struct du_archive *a, defupd_error *err)
{
    if (a->failed != DEFUPD_OK)
        return a->failed;
    if (archive_errno(a->archive) == ENOMEM || archive_error_string(a->archive) == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory to read %s", a->name);
    return DU_FAIL(err, DEFUPD_E_ARCHIVE, "%s is cut short or damaged: %s", a->name,
                   archive_error_string(a->archive));
}

static bool set_callbacks(struct du_archive *a)
{
    struct archive *r = a->archive;

    /* In single steps, because archive_read_open() passes over a failure of the second and then
     * dies. */
    if ((a->form == DU_ARCHIVE_ZIP ? archive_read_support_format_zip_seekable(r)
                                   : archive_read_support_format_tar(r)) != ARCHIVE_OK ||
        archive_read_set_callback_data(r, a) != ARCHIVE_OK ||
        archive_read_set_read_callback(r, give) != ARCHIVE_OK)
        return false;
    return a->zstd != NULL || (archive_read_set_seek_callback(r, seek) == ARCHIVE_OK &&
                               archive_read_set_skip_callback(r, skip) == ARCHIVE_OK);
}

defupd_code du_archive_rewind(struct du_archive *a, defupd_error *err)
{
    close_reader(a);
    a->err = err;
    a->failed = DEFUPD_OK;
    a->at = a->plain = 0;
    a->members = 0;
    a->in_frame = false;
    a->pending = (ZSTD_inBuffer){ NULL, 0, 0 };
    if (a->zstd != NULL)
        (void)ZSTD_DCtx_reset(a->zstd, ZSTD_reset_session_only);
    a->archive = archive_read_new();
    /* An entry of our own: the archive's is NULL when there was no memory for it. */
    a->entry = a->archive != NULL ? archive_entry_new2(a->archive) : NULL;
    if (a->entry == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory to read %s", a->name);
    if (!set_callbacks(a) || archive_read_open1(a->archive) != ARCHIVE_OK)
        return archive_failed(a, err);
    return DEFUPD_OK;
}

static defupd_code open_all(struct du_archive *a, defupd_error *err)
{
    struct stat st;

    if (fstat(a->fd, &st) != 0)
        return DU_FAIL_IO(err, "look at %s", a->name);
    if (!S_ISREG(st.st_mode))
        return DU_FAIL(err, DEFUPD_E_ARCHIVE, "%s is neither a file nor a folder", a->name);
    a->size = (uint64_t)st.st_size;
    DU_TRY(find_form(a, err));
    if (a->form == DU_ARCHIVE_ZIP)
        DU_TRY(check_zip(a, err));
    if (a->form == DU_ARCHIVE_TAR)
        DU_TRY(check_tar(a, err));
    a->in = malloc(PIECE_BYTES);
    a->piece = malloc(PIECE_BYTES);
    if (a->form == DU_ARCHIVE_TAR_ZST) {
        a->out = malloc(PIECE_BYTES);
        a->zstd = ZSTD_createDStream();
    }
    if (a->in == NULL || a->piece == NULL ||
        (a->form == DU_ARCHIVE_TAR_ZST && (a->out == NULL || a->zstd == NULL)))
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory to read %s", a->name);
    if (a->zstd != NULL &&
        ZSTD_isError(ZSTD_DCtx_setParameter(a->zstd, ZSTD_d_windowLogMax, WINDOW_LOG)))
        return DU_FAIL(err, DEFUPD_E_BUG, "zstd takes no window limit");
    return du_archive_rewind(a, err);
}

defupd_code du_archive_open(struct du_archive **out, const struct du_sys *sys, int fd,
                            const char *name, const struct du_tick *tick, defupd_error *err)
{
    DU_AUTO_ARCHIVE *a = calloc(1, sizeof *a);

    if (a == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory to read %s", name);
    a->sys = sys;
    a->fd = fd;
    a->name = name;
    if (tick != NULL)
        a->tick = *tick;
    DU_TRY(open_all(a, err));
    *out = du_take(&a);
    return DEFUPD_OK;
}

static defupd_code refuse(const struct du_archive *a, const char *path, const char *why,
                          defupd_error *err)
{
    return DU_FAIL(err, DEFUPD_E_ARCHIVE, "%s: '%.200s' %s", a->name, path, why);
}

/* Is the present entry a file that may be looked at? Folders are not, and no failure. */
static defupd_code check_entry(struct du_archive *a, struct du_member *member, bool *file,
                               defupd_error *err)
{
    const char *path = archive_entry_pathname(a->entry);
    const bool folder = archive_entry_filetype(a->entry) == AE_IFDIR;
    char folder_path[DU_PATH_MAX + 1];
    size_t len;

    *file = false;
    if (path == NULL)
        return DU_FAIL(err, DEFUPD_E_ARCHIVE, "%s: a member has no name that can be read", a->name);
    if (archive_entry_is_encrypted(a->entry))
        return refuse(a, path, "is encrypted", err);
    if (folder) { /* its path may end with a slash */
        len = strlen(path);
        if (len > DU_PATH_MAX)
            return refuse(a, path, "is too long", err);
        memcpy(folder_path, path, len + 1);
        if (len > 0 && folder_path[len - 1] == '/')
            folder_path[len - 1] = '\0';
        path = folder_path;
    }
    if (du_path_why_bad(path) != NULL)
        return refuse(a, path, du_path_why_bad(path), err);
    if (folder)
        return DEFUPD_OK;
    if (archive_entry_filetype(a->entry) != AE_IFREG || archive_entry_hardlink(a->entry) != NULL ||
        archive_entry_symlink(a->entry) != NULL || archive_entry_sparse_count(a->entry) > 0)
        return refuse(a, path, "is not a plain regular file", err);
    if (!archive_entry_size_is_set(a->entry) || archive_entry_size(a->entry) < 0)
        return refuse(a, path, "has no size", err);
    *file = true;
    *member = (struct du_member){ path, (uint64_t)archive_entry_size(a->entry) };
    return DEFUPD_OK;
}

/* Only the end of the last frame says that nothing was cut off. */
static defupd_code read_to_end(struct du_archive *a)
{
    size_t count = 1;

    while (a->zstd != NULL && count > 0)
        DU_TRY(inflate(a, &count));
    return DEFUPD_OK;
}

defupd_code du_archive_next(struct du_archive *a, struct du_member *member, bool *end,
                            defupd_error *err)
{
    bool file = false;

    a->err = err;
    *end = false;
    while (!file) {
        const int rc = archive_read_next_header2(a->archive, a->entry);

        if (rc == ARCHIVE_EOF) {
            *end = true;
            return read_to_end(a);
        }
        if (rc != ARCHIVE_OK)
            return archive_failed(a, err);
        if (a->members++ == DU_ARCHIVE_MEMBERS_MAX)
            return DU_FAIL(err, DEFUPD_E_ARCHIVE, "%s holds more than %u members", a->name,
                           DU_ARCHIVE_MEMBERS_MAX);
        DU_TRY(check_entry(a, member, &file, err));
    }
    a->bytes = member->bytes;
    return DEFUPD_OK;
}

defupd_code du_archive_content(struct du_archive *a, du_archive_take_fn take, void *user,
                               defupd_error *err)
{
    uint64_t left = a->bytes;

    a->err = err;
    for (;;) {
        const la_ssize_t got = archive_read_data(a->archive, a->piece, PIECE_BYTES);

        if (got < 0)
            return archive_failed(a, err);
        if (got == 0)
            break;
        if ((uint64_t)got > left)
            return DU_FAIL(err, DEFUPD_E_ARCHIVE, "%s: '%.200s' is longer than it says", a->name,
                           archive_entry_pathname(a->entry));
        DU_TRY(take(user, a->piece, (size_t)got, err));
        DU_TRY(go_on(a, (uint64_t)got));
        left -= (uint64_t)got;
    }
    if (left > 0)
        return DU_FAIL(err, DEFUPD_E_ARCHIVE, "%s: '%.200s' is cut short", a->name,
                       archive_entry_pathname(a->entry));
    return DEFUPD_OK;
}
