/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Full bundles: a tree as one `tar+zst` object (docs/formats/bundle.md). The only module that
 * includes libarchive. unpack.c is in the endpoint library, pack.c in the publisher's.
 * Layer: uses base/, sys/, crypto/ and tree/.
 */
#ifndef DU_BUNDLE_BUNDLE_H
#define DU_BUNDLE_BUNDLE_H

#include "base/bytes.h"
#include "base/err.h"
#include "sys/sys.h"
#include "tree/index.h"
#include "tree/tree.h"

#define DU_BUNDLE_CODEC "tar+zst"
#define DU_BUNDLE_WINDOW_LOG 23 /* 8 MiB: the largest window a decoder has to keep */

/*
 * Unpack into an empty directory, hashing as it goes, and compare with what was signed.
 *
 * base    may be NULL
 * index   out: the sealed index of the new tree, yours
 * reused  out: files taken from the base
 * Nothing is synced. On failure the directory holds rubbish; the caller throws it away.
 * Errors: DEFUPD_E_BUNDLE_FORMAT, DEFUPD_E_TREE_FORBIDDEN (path named), DEFUPD_E_TREE,
 *         DEFUPD_E_LIMIT, DEFUPD_E_IO, DEFUPD_E_NO_SPACE, DEFUPD_E_NOMEM, the tick's
 */
DEFUPD_MUST_CHECK defupd_code du_bundle_unpack(const struct du_sys *sys,
                                               const struct du_verified_file *bundle,
                                               const struct du_tree_want *want,
                                               const struct du_tree_base *base, int into,
                                               const struct du_tick *tick, struct du_index *index,
                                               uint64_t *reused, defupd_error *err);

/*
 * Write the files of a sealed index (read below `root`) as a bundle to `fd`, from its start. The
 * same tree, level and library give the same bytes. Files are hashed again while they are read.
 * level 1 to 19, threads at least 1; sha256 and bytes out: the object's name and length.
 * Errors: DEFUPD_E_IO (also when a file is no longer what the index says), DEFUPD_E_NO_SPACE,
 *         DEFUPD_E_NOMEM, the tick's (it counts bytes of files)
 */
DEFUPD_MUST_CHECK defupd_code du_bundle_pack(const struct du_sys *sys, int root,
                                             const struct du_index *index, int level,
                                             unsigned threads, int fd, const struct du_tick *tick,
                                             unsigned char sha256[DU_SHA256_BYTES], uint64_t *bytes,
                                             defupd_error *err);

void du_bundle_versions(char *out, size_t size); /* "libarchive 3.6.2, libzstd 1.5.4" */

#endif
