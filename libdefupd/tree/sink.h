/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one way in which content of a new tree reaches the disk: a file at a time, hashed while it
 * is written. Small files are hashed by the caller's thread before anything of them is written;
 * large ones by one thread beside it, so that an update takes the longer of hashing and writing
 * and not their sum. Who cannot have that thread goes without.
 */
#ifndef DU_TREE_SINK_H
#define DU_TREE_SINK_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/name.h"
#include "crypto/crypto.h"
#include "tree/tree.h"

/* The thread works behind the caller by as many buffers as there are. */
#define DU_SINK_BUFFER (256U * 1024)
#define DU_SINK_BUFFERS 4U
/* Files up to this are not on disk before du_sink_keep(). */
#define DU_SINK_SMALL DU_SINK_BUFFER

struct du_sink_helper;

/* Members are sink.c's, but `start`; path, size and exec of a file may be read until the next one
 * begins. One thread at a time. */
struct du_sink {
    struct du_place *place;
    /* pthread_create(), or what a test puts here before the first file */
    int (*start)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    struct du_sink_helper *helper; /* NULL: none yet, or it could not be had */
    bool no_helper;
    unsigned char *buffers;
    size_t next; /* the buffer being filled */
    size_t fill; /* bytes in it */

    /* the file at hand */
    bool open, digested, exec;
    int fd;                  /* -1 as long as nothing of it is on disk */
    uint64_t size, left;     /* announced, and still to come */
    uint64_t written, early; /* of a large one: written, and of that handed to the disk */
    struct du_hash hash;     /* of a large one; the helper's while it has work */
    char path[DU_PATH_MAX + 1];
};

/* `place` is borrowed until du_sink_end(); between files others may use it too. */
void du_sink_init(struct du_sink *sink, struct du_place *place);

/* Begin a file, of which exactly `size` bytes will come. The path is checked by who calls.
 * Errors: DEFUPD_E_NOMEM, DEFUPD_E_BUG. After the failure of this or any function below, only
 * du_sink_end() may follow; what is on disk is rubbish, as du_place_file() left it. */
DEFUPD_MUST_CHECK defupd_code du_sink_open(struct du_sink *sink, const char *path, uint64_t size,
                                           bool exec, defupd_error *err);

/* The next bytes of its content. Errors: DEFUPD_E_BUG beyond the size, as du_place_file(),
 * du_write_all(). */
DEFUPD_MUST_CHECK defupd_code du_sink_data(struct du_sink *sink, const void *bytes, size_t count,
                                           defupd_error *err);

/* After all of the content: its digest. Errors: DEFUPD_E_BUG when content is missing, as
 * du_sink_data(). */
DEFUPD_MUST_CHECK defupd_code du_sink_digest(struct du_sink *sink,
                                             unsigned char sha256[DU_SHA256_BYTES],
                                             defupd_error *err);

/* Then either: the file stays, whole but not synced; or there is no such file, and for a small one
 * there never was. Errors: as du_sink_data(). */
DEFUPD_MUST_CHECK defupd_code du_sink_keep(struct du_sink *sink, defupd_error *err);
DEFUPD_MUST_CHECK defupd_code du_sink_drop(struct du_sink *sink, defupd_error *err);

/* Ends the thread and frees everything. A file that was not kept stays as far as it was written.
 * Zeroed is fine. */
void du_sink_end(struct du_sink *sink);
#define DU_AUTO_SINK __attribute__((cleanup(du_sink_end))) struct du_sink

#endif
