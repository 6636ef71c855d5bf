/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Archives that carry a repository where no network does: zip, tar and tar.zst
 * (docs/formats/archive.md). Names and bytes only: what they mean, and what of it is signed, is the
 * caller's. archive_read.c is in the endpoint library, archive_write.c in the publisher's.
 * Layer: uses base/, sys/ and tree/'s tick.
 */
#ifndef DU_BUNDLE_ARCHIVE_H
#define DU_BUNDLE_ARCHIVE_H

#include <stdbool.h>

#include "base/bytes.h"
#include "base/err.h"
#include "sys/sys.h"
#include "tree/tree.h"

enum du_archive_form { DU_ARCHIVE_ZIP, DU_ARCHIVE_TAR, DU_ARCHIVE_TAR_ZST };

#define DU_ARCHIVE_MEMBERS_MAX 65536U
/* A zip's directory, which has to be read into memory before anything else of it. */
#define DU_ARCHIVE_DIRECTORY_MAX (16U * 1024 * 1024)
/* What a compressed tar may unpack to: objects are compressed already, metadata is small. */
#define DU_ARCHIVE_PLAIN_FREE (64U * 1024 * 1024)
#define DU_ARCHIVE_PLAIN_TIMES 16U

/* --- archive_read.c --- */

struct du_archive;

/*
 * Look at an open file from its beginning. `name` is the archive's in messages; it, `fd` and `sys`
 * are borrowed until it is freed. `tick` gets the bytes of content that are handed out.
 * Errors: DEFUPD_E_ARCHIVE (the message says what the file is, when it is of no form that is read
 *         here; or that it is cut short), DEFUPD_E_IO, DEFUPD_E_NOMEM
 */
DEFUPD_MUST_CHECK defupd_code du_archive_open(struct du_archive **out, const struct du_sys *sys,
                                              int fd, const char *name, const struct du_tick *tick,
                                              defupd_error *err);
void du_archive_freep(struct du_archive **archive);
#define DU_AUTO_ARCHIVE __attribute__((cleanup(du_archive_freep))) struct du_archive
/* Begin again with the first member. */
DEFUPD_MUST_CHECK defupd_code du_archive_rewind(struct du_archive *archive, defupd_error *err);

struct du_member {
    const char *path; /* borrowed until the next call; as du_path_why_bad() allows it */
    uint64_t bytes;   /* as stated: du_archive_content() gives so many or fails */
};
/*
 * The next regular file; folders are passed over, and nothing else is taken. *end when there is
 * none: then the archive is known to be whole as far as its form can tell.
 * Errors: DEFUPD_E_ARCHIVE (a link or device, a path that leads out, encryption, too many members,
 *         damage, an end before the end, more plain bytes than the archive's size allows),
 *         DEFUPD_E_IO, DEFUPD_E_NOMEM, the tick's
 */
DEFUPD_MUST_CHECK defupd_code du_archive_next(struct du_archive *archive, struct du_member *member,
                                              bool *end, defupd_error *err);
/* Hand all bytes of the member that du_archive_next() gave to `take`, whose failure is passed on.
 * Otherwise errors as above. */
typedef defupd_code (*du_archive_take_fn)(void *user, const void *bytes, size_t count,
                                          defupd_error *err);
DEFUPD_MUST_CHECK defupd_code du_archive_content(struct du_archive *archive,
                                                 du_archive_take_fn take, void *user,
                                                 defupd_error *err);

/* --- archive_write.c --- */

struct du_archive_writer;

/* Write to `fd` from where it stands. The same members in the same order give the same bytes, by
 * the same libraries. Errors: DEFUPD_E_NOMEM. */
DEFUPD_MUST_CHECK defupd_code du_archive_writer_new(struct du_archive_writer **out,
                                                    const struct du_sys *sys, int fd,
                                                    enum du_archive_form form, defupd_error *err);
void du_archive_writer_freep(struct du_archive_writer **writer);
#define DU_AUTO_ARCHIVE_WRITER \
    __attribute__((cleanup(du_archive_writer_freep))) struct du_archive_writer
/* A regular file of so many bytes; exactly these have to follow. Errors: DEFUPD_E_IO,
 * DEFUPD_E_NO_SPACE, DEFUPD_E_NOMEM. */
DEFUPD_MUST_CHECK defupd_code du_archive_member(struct du_archive_writer *writer, const char *path,
                                                uint64_t bytes, defupd_error *err);
DEFUPD_MUST_CHECK defupd_code du_archive_put(struct du_archive_writer *writer, const void *bytes,
                                             size_t count, defupd_error *err);
/* *bytes out: of the whole archive. Nothing is synced. */
DEFUPD_MUST_CHECK defupd_code du_archive_finish(struct du_archive_writer *writer, uint64_t *bytes,
                                                defupd_error *err);

#endif
