/* SPDX-License-Identifier: Apache-2.0 */
/* Trees on disk, deltas made of them and merged again. */
#ifndef DELTA_DISK_H
#define DELTA_DISK_H

#include <fcntl.h>
#include <sys/stat.h>

#include "base/scope.h"
#include "delta/delta.h"
#include "t.h"

/* A directory with its index. */
struct dd_tree {
    int root;
    struct du_index index;
};

static inline void dd_close(struct dd_tree *tree)
{
    du_fd_close(&tree->root);
    du_index_free(&tree->index);
}
#define DD_TREE __attribute__((cleanup(dd_close))) struct dd_tree

static inline void dd_open(struct dd_tree *tree, const char *dir)
{
    defupd_error err = { 0 };

    tree->root = open(dir, O_RDONLY | O_DIRECTORY);
    T_OK(du_tree_scan(&du_sys_posix, tree->root, NULL, &tree->index, &err), &err);
}

static inline void dd_file(int root, const char *path, const void *bytes, size_t count, bool exec)
{
    char dir[1100];

    (void)snprintf(dir, sizeof dir, "%s", path);
    for (char *slash = strchr(dir, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdirat(root, dir, 0755);
        *slash = '/';
    }
    DU_AUTO_FD fd = openat(root, path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    for (size_t done = 0; done < count;) {
        const ssize_t got = write(fd, (const char *)bytes + done, count - done);

        if (got <= 0)
            abort();
        done += (size_t)got;
    }
    if (fd < 0 || fchmod(fd, exec ? 0755 : 0644) != 0)
        abort();
}

static inline struct du_tree_want dd_want(const struct dd_tree *tree)
{
    struct du_tree_want want = { .what = "demo 2",
                                 .size = tree->index.bytes,
                                 .files = tree->index.count };

    du_index_digest(&tree->index, want.tree);
    return want;
}

/* The delta of two trees as `file`. */
static inline defupd_code dd_make(const struct dd_tree *old, const struct dd_tree *new,
                                  uint64_t memory, const char *file, uint64_t *bytes,
                                  defupd_error *err)
{
    const struct du_delta_side from = { old->root, &old->index }, to = { new->root, &new->index };
    DU_AUTO_FD fd = open(file, O_RDWR | O_CREAT | O_TRUNC, 0600);
    unsigned char sha256[DU_SHA256_BYTES];
    struct du_verified_file check;

    DU_TRY(du_delta_make(&du_sys_posix, &from, &to, memory, NULL, fd, sha256, bytes, err));
    return du_object_verify(&du_sys_posix, fd, *bytes, sha256, file, NULL, &check, err);
}

static inline bool dd_trust(void *user, const struct du_file *file)
{
    (void)user;
    (void)file;
    return true;
}

/* Merge `fd` into an empty directory. */
static inline defupd_code dd_merge_fd(const struct du_sys *sys, const struct dd_tree *old, int fd,
                                      const struct du_tree_want *want, int into,
                                      struct du_index *index, defupd_error *err)
{
    const struct du_tree_base base = { .index = &old->index, .root = old->root, .trust = dd_trust };
    struct stat st;
    uint64_t reused;

    if (fstat(fd, &st) != 0)
        abort();
    const struct du_verified_file delta = { .fd = fd, .bytes = (uint64_t)st.st_size };
    return du_delta_merge(sys, &delta, want, &base, into, NULL, index, &reused, err);
}

static inline defupd_code dd_merge(const struct dd_tree *old, const char *file,
                                   const struct du_tree_want *want, const char *into,
                                   defupd_error *err)
{
    DU_AUTO_INDEX index = { 0 };
    DU_AUTO_FD fd = open(file, O_RDONLY);

    T_CHECK(t_shell("rm -rf '%s' && mkdir '%s'", into, into) == 0);
    DU_AUTO_FD dir = open(into, O_RDONLY | O_DIRECTORY);
    return dd_merge_fd(&du_sys_posix, old, fd, want, dir, &index, err);
}

#endif
