/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tree's index: which files, with which content. Equal digest, equal tree (docs/formats/tree.md).
 * Layer: uses base/, sys/ and crypto/; the modules that move content (bundle, delta, store,
 * publish) use it.
 */
#ifndef DU_TREE_INDEX_H
#define DU_TREE_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/name.h"

#define DU_INDEX_FILES_MAX (1U << 20)

struct du_file {
    char *path; /* owned by the index */
    uint64_t size;
    unsigned char sha256[DU_SHA256_BYTES];
    bool exec;
};

/* Zeroed is an empty index. */
struct du_index {
    struct du_file *file;
    size_t count, cap;
    uint64_t bytes; /* sum of sizes */
};

/* Add a file; `path` is copied and checked. Order does not matter until du_index_seal().
 * Errors: DEFUPD_E_TREE_FORBIDDEN (path named), DEFUPD_E_LIMIT, DEFUPD_E_NOMEM. */
DEFUPD_MUST_CHECK defupd_code du_index_add(struct du_index *index, const char *path, uint64_t size,
                                           const unsigned char sha256[DU_SHA256_BYTES], bool exec,
                                           defupd_error *err);

/* Sort, and refuse what cannot stand together on every file system: equal paths, paths and
 * directories equal under ASCII case folding, a file where another path needs a directory, an
 * empty tree. Errors: DEFUPD_E_TREE_FORBIDDEN (both paths named). */
DEFUPD_MUST_CHECK defupd_code du_index_seal(struct du_index *index, defupd_error *err);

/* Digest of a sealed index: SHA-256 of its lines. */
void du_index_digest(const struct du_index *index, unsigned char out[DU_SHA256_BYTES]);

/* The lines of a sealed index: "SHA256HEX SP size SP (-|x) SP path LF". */
DEFUPD_MUST_CHECK defupd_code du_index_print(const struct du_index *index, struct du_buf *out,
                                             defupd_error *err);

/* Parse lines as du_index_print() writes them, in their order, and seal.
 * Errors: `code` with "WHAT:LINE: ...", DEFUPD_E_TREE_FORBIDDEN, DEFUPD_E_LIMIT, DEFUPD_E_NOMEM. */
DEFUPD_MUST_CHECK defupd_code du_index_parse(struct du_index *index, struct du_bytes text,
                                             const char *what, defupd_code code, defupd_error *err);

/* In a sealed index; NULL when there is none. */
const struct du_file *du_index_find(const struct du_index *index, const char *path);

void du_index_free(struct du_index *index);
#define DU_AUTO_INDEX __attribute__((cleanup(du_index_free))) struct du_index

#endif
