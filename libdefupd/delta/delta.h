/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deltas: a tree from an older tree and a small object (docs/formats/delta.md). The only module
 * that includes liblzma.
 *
 * decode.c, list.c, code.c, fix.c   the decoder: bytes in, bytes out, no I/O of its own
 * ahead.c                           its long streams in threads of their own
 * merge.c                           the decoder between an installed tree and a new directory
 * make.c and the rest               the encoder; in the publisher's library only
 *
 * Layer: uses base/, sys/, crypto/ and tree/.
 */
#ifndef DU_DELTA_DELTA_H
#define DU_DELTA_DELTA_H

#include "base/bytes.h"
#include "base/err.h"
#include "sys/sys.h"
#include "sys/thread.h"
#include "tree/index.h"
#include "tree/tree.h"

#define DU_DELTA_CODEC "1" /* the manifest's word */

/* Who runs the decoder: gives it bytes and takes the new tree, a file at a time, in bytewise order
 * of their paths. Anything but DEFUPD_OK (it fills err) ends the work with that code. */
struct du_delta_host {
    void *user;
    /* Exactly `count` bytes of the delta, or of the old files, which stand end to end in the order
     * of their index. Never asked beyond their end. */
    defupd_code (*delta)(void *user, uint64_t at, void *bytes, size_t count, defupd_error *err);
    defupd_code (*old)(void *user, uint64_t at, void *bytes, size_t count, defupd_error *err);
    /* A file with the content of an old one. */
    defupd_code (*keep)(void *user, const struct du_file *old, const char *path, bool exec,
                        defupd_error *err);
    /* A file with content of its own: opened, then `size` bytes in pieces, then closed. */
    defupd_code (*open)(void *user, const char *path, uint64_t size, bool exec, defupd_error *err);
    defupd_code (*data)(void *user, const void *bytes, size_t count, defupd_error *err);
    defupd_code (*close)(void *user, defupd_error *err);
    /* pthread_create, if delta() may be called by other threads too, of which each ends before the
     * decoder does. NULL: the calling thread does it all. */
    du_thread_start_fn start;
};

/* Paths that are given to the host are not checked beyond their length; sizes not at all: what the
 * signed tree allows is the host's knowledge. Needs at most 8 MiB for windows and dictionaries,
 * and little beside. Pure and re-entrant.
 *
 * bytes  length of the delta
 * what   "tetra 1003", for messages
 * Errors: DEFUPD_E_DELTA_FORMAT, DEFUPD_E_NOMEM, the host's. */
DEFUPD_MUST_CHECK defupd_code du_delta_decode(const struct du_delta_host *host, uint64_t bytes,
                                              const struct du_index *old, const char *what,
                                              defupd_error *err);

/*
 * Build the tree that `want` describes in an empty directory, from an installed one (`base`,
 * needed) and a delta. Content of unchanged files is neither read nor written where base->trust()
 * vouches for the file and a link or reflink is possible. A damaged old file can only yield a tree
 * that is refused.
 *
 * index   out: the sealed index of the new tree, yours
 * reused  out: files taken from the base
 * Nothing is synced. On failure the directory holds rubbish; the caller throws it away.
 * Errors: DEFUPD_E_DELTA_FORMAT, DEFUPD_E_DELTA_BASE (an old file is missing, too short, no file or
 *         not vouched for), DEFUPD_E_TREE_FORBIDDEN (path named), DEFUPD_E_TREE (also when content
 *         of the base is damaged), DEFUPD_E_LIMIT, DEFUPD_E_IO, DEFUPD_E_NO_SPACE, DEFUPD_E_NOMEM,
 *         the tick's
 */
DEFUPD_MUST_CHECK defupd_code du_delta_merge(const struct du_sys *sys,
                                             const struct du_verified_file *delta,
                                             const struct du_tree_want *want,
                                             const struct du_tree_base *base, int into,
                                             const struct du_tick *tick, struct du_index *index,
                                             uint64_t *reused, defupd_error *err);

/* --- the publisher's half --- */

/* A tree on disk that is what its index says. */
struct du_delta_side {
    int root;
    const struct du_index *index;
};

/*
 * Write the delta that makes `new` of `old` to `fd`, from its start. The same trees, memory and
 * libraries give the same bytes. Uses one thread. Files are hashed again while they are read.
 *
 * memory       most bytes to use; with less than 6 for each byte of the old tree, only a part of
 *              its content is searched. At least 64 MiB.
 * sha256 and bytes out: the object's name and length
 * Errors: DEFUPD_E_IO (also when a file is no longer what the index says), DEFUPD_E_NO_SPACE,
 *         DEFUPD_E_NOMEM, the tick's
 */
DEFUPD_MUST_CHECK defupd_code du_delta_make(const struct du_sys *sys,
                                            const struct du_delta_side *old,
                                            const struct du_delta_side *new, uint64_t memory,
                                            const struct du_tick *tick, int fd,
                                            unsigned char sha256[DU_SHA256_BYTES], uint64_t *bytes,
                                            defupd_error *err);

void du_delta_versions(char *out, size_t size); /* "liblzma 5.4.1" */

#endif
