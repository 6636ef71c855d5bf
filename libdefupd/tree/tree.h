/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trees on disk: walking, hashing and building them, and vouching for objects.
 * Layer: uses base/, sys/ and crypto/.
 */
#ifndef DU_TREE_TREE_H
#define DU_TREE_TREE_H

#include <stdatomic.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/err.h"
#include "sys/sys.h"
#include "tree/index.h"

/* Called now and then by long work with the bytes done since the last call. Anything but DEFUPD_OK
 * (it fills err: DEFUPD_E_CANCELLED) ends the work with that code. */
typedef defupd_code (*du_tick_fn)(void *user, uint64_t bytes, defupd_error *err);
struct du_tick {
    du_tick_fn fn; /* NULL: never called */
    void *user;
};

enum du_entry_kind {
    DU_ENTRY_FILE,      /* regular, mode bits that the index can say (0644 or 0755) or others */
    DU_ENTRY_EMPTY_DIR, /* a directory that holds nothing */
    DU_ENTRY_OTHER      /* symlink, device, socket, pipe */
};

/* One entry of a walk. `dir` and `name` open it; `path` is its path below the root. */
struct du_entry {
    enum du_entry_kind kind;
    int dir;
    const char *name;
    const char *path;
    struct stat st;
};
typedef defupd_code (*du_entry_fn)(void *user, const struct du_entry *entry, defupd_error *err);

/* Visit every file, empty directory and special file below `root`, names in bytewise order within a
 * directory; links are not followed. A path that is too long ends the walk with
 * DEFUPD_E_TREE_FORBIDDEN. Errors: the visitor's, DEFUPD_E_IO, DEFUPD_E_NOMEM. */
DEFUPD_MUST_CHECK defupd_code du_tree_walk(const struct du_sys *sys, int root, du_entry_fn visit,
                                           void *user, defupd_error *err);

/* Index of a directory that somebody wants to publish; refuses, with its path, everything that
 * docs/formats/tree.md forbids. Permission bits beyond 0644/0755 are refused only when setuid,
 * setgid or sticky; else the owner's execute bit decides. Errors: DEFUPD_E_TREE_FORBIDDEN,
 * DEFUPD_E_IO (also when a file changes while it is read), DEFUPD_E_NOMEM. */
DEFUPD_MUST_CHECK defupd_code du_tree_scan(const struct du_sys *sys, int root,
                                           const struct du_tick *tick, struct du_index *index,
                                           defupd_error *err);

/* Hash an open file from its start to its end; *size its length. */
DEFUPD_MUST_CHECK defupd_code du_file_hash(const struct du_sys *sys, int fd, const char *what,
                                           const struct du_tick *tick,
                                           unsigned char sha256[DU_SHA256_BYTES], uint64_t *size,
                                           defupd_error *err);

/* Vouches for an object that is on disk: reads the whole file and compares length and digest.
 * Errors: DEFUPD_E_DIGEST (the message names both digests and `what`), DEFUPD_E_IO. */
DEFUPD_MUST_CHECK defupd_code du_object_verify(const struct du_sys *sys, int fd, uint64_t bytes,
                                               const unsigned char sha256[DU_SHA256_BYTES],
                                               const char *what, const struct du_tick *tick,
                                               struct du_verified_file *out, defupd_error *err);

/* What the signed manifest says of the tree; who builds it stops at the first byte beyond. */
struct du_tree_want {
    const char *what; /* "tetra 1003", for messages */
    uint64_t size;    /* bytes of all files */
    uint64_t files;
    unsigned char tree[DU_SHA256_BYTES];
};

/* Seal the index of what was built and compare it with what was signed. Errors: DEFUPD_E_TREE,
 * DEFUPD_E_TREE_FORBIDDEN (paths that cannot stand together; no file at all), DEFUPD_E_NOMEM. */
DEFUPD_MUST_CHECK defupd_code du_tree_check(struct du_index *index, const struct du_tree_want *want,
                                            defupd_error *err);

/* Where unchanged files may come from: an installed tree whose files are known to be what `index`
 * says. `trust` is asked for each before it is used (by inode, size and mtime, else by hash). */
struct du_tree_base {
    const struct du_index *index;
    int root;
    bool (*trust)(void *user, const struct du_file *file);
    void *user;
};

/* Building a tree below an open, empty directory. Keeps the last parent directory open, so files
 * in order of their paths cost one open each. Modes are set whatever the umask. */
struct du_place {
    const struct du_sys *sys;
    int root;      /* borrowed */
    int dir;       /* the last parent, -1 when none; owned */
    bool no_clone; /* this file system has shown that it makes no reflinks */
    char dir_path[DU_PATH_MAX + 1];
};
void du_place_init(struct du_place *place, const struct du_sys *sys, int root);
void du_place_end(struct du_place *place);
#define DU_AUTO_PLACE __attribute__((cleanup(du_place_end))) struct du_place

/* Open (with `make`, create) the directory that holds `path`; *name points into `path`. *dir is
 * borrowed and valid until the next call. */
DEFUPD_MUST_CHECK defupd_code du_place_parent(struct du_place *place, const char *path, bool make,
                                              int *dir, const char **name, defupd_error *err);
/* Create a new file (O_EXCL) with mode 0644 or 0755; *fd yours. */
DEFUPD_MUST_CHECK defupd_code du_place_file(struct du_place *place, const char *path, bool exec,
                                            int *fd, defupd_error *err);
/* Put a file of another tree here without reading its content if that is possible: a reflink, else
 * a hard link when the mode is the same, else a copy. `from` stands on the other tree's root. Who
 * calls vouches for the content. */
DEFUPD_MUST_CHECK defupd_code du_place_reuse(struct du_place *place, const char *path, bool exec,
                                             struct du_place *from, const char *from_path,
                                             bool from_exec, defupd_error *err);

#endif
