/* SPDX-License-Identifier: Apache-2.0 */
/* Looking at trees that stand on disk. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/scope.h"
#include "crypto/crypto.h"
#include "sys/disk.h"
#include "tree/tree.h"

struct walk {
    const struct du_sys *sys;
    du_entry_fn visit;
    void *user;
    char path[DU_PATH_MAX + 1];
};

/* `len` is the length of walk->path, which names the directory `dir`; 0 at the root. Depth is
 * bounded by the length of a path. */
static defupd_code walk_dir(struct walk *walk, int dir, size_t len, defupd_error *err)
{
    DU_AUTO_NAMES names = { 0 };

    if (du_dir_names(walk->sys, dir, &names, err) != DEFUPD_OK)
        return du_err_prefix(err, "'%s'", len == 0 ? "." : walk->path);
    if (names.count == 0 && len > 0) {
        struct du_entry entry = {
            .kind = DU_ENTRY_EMPTY_DIR, .dir = dir, .name = ".", .path = walk->path
        };
        return walk->visit(walk->user, &entry, err);
    }
    for (size_t i = 0; i < names.count; i++) {
        const char *name = names.item[i];
        const size_t add = strlen(name) + (len > 0);
        struct du_entry entry = {
            .kind = DU_ENTRY_OTHER, .dir = dir, .name = name, .path = walk->path
        };

        if (len + add > DU_PATH_MAX)
            return DU_FAIL(err, DEFUPD_E_TREE_FORBIDDEN,
                           "path '%.100s.../%.100s' is longer than %d bytes", walk->path, name,
                           DU_PATH_MAX);
        if (len > 0)
            walk->path[len] = '/';
        memcpy(walk->path + len + (len > 0), name, strlen(name) + 1);
        if (fstatat(dir, name, &entry.st, AT_SYMLINK_NOFOLLOW) != 0)
            return DU_FAIL_IO(err, "look at '%s'", walk->path);
        if (S_ISDIR(entry.st.st_mode)) {
            DU_AUTO_FD sub = -1;
            if (du_dir_open(walk->sys, dir, name, false, 0, &sub, err) != DEFUPD_OK)
                return du_err_prefix(err, "'%s'", walk->path);
            DU_TRY(walk_dir(walk, sub, len + add, err));
        } else {
            if (S_ISREG(entry.st.st_mode))
                entry.kind = DU_ENTRY_FILE;
            DU_TRY(walk->visit(walk->user, &entry, err));
        }
        walk->path[len] = '\0';
    }
    return DEFUPD_OK;
}

defupd_code du_tree_walk(const struct du_sys *sys, int root, du_entry_fn visit, void *user,
                         defupd_error *err)
{
    struct walk walk = { .sys = sys, .visit = visit, .user = user };

    return walk_dir(&walk, root, 0, err);
}

defupd_code du_file_hash(const struct du_sys *sys, int fd, const char *what,
                         const struct du_tick *tick, unsigned char sha256[DU_SHA256_BYTES],
                         uint64_t *size, defupd_error *err)
{
    enum { CHUNK = 64 * 1024 }; /* from 128 on, malloc() would map and unmap it for each file */
    DU_AUTO_FREE unsigned char *chunk = malloc(CHUNK);
    DU_AUTO_HASH hash;
    uint64_t at = 0;

    du_hash_init(&hash, DU_SHA256);
    if (chunk == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory to read %s", what);
    while (true) {
        const ssize_t got = sys->pread(fd, chunk, CHUNK, (off_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return DU_FAIL_IO(err, "read %s", what);
        if (got == 0)
            break;
        du_hash_update(&hash, chunk, (size_t)got);
        at += (uint64_t)got;
        if (tick != NULL && tick->fn != NULL)
            DU_TRY(tick->fn(tick->user, (uint64_t)got, err));
    }
    du_hash_final(&hash, sha256);
    *size = at;
    return DEFUPD_OK;
}

defupd_code du_object_verify(const struct du_sys *sys, int fd, uint64_t bytes,
                             const unsigned char sha256[DU_SHA256_BYTES], const char *what,
                             const struct du_tick *tick, struct du_verified_file *out,
                             defupd_error *err)
{
    unsigned char found[DU_SHA256_BYTES];
    char want_hex[DU_SHA256_HEX + 1], found_hex[DU_SHA256_HEX + 1];
    uint64_t size;

    DU_TRY(du_file_hash(sys, fd, what, tick, found, &size, err));
    if (size != bytes)
        return DU_FAIL(err, DEFUPD_E_DIGEST, "%s: has %llu bytes, signed are %llu", what,
                       (unsigned long long)size, (unsigned long long)bytes);
    if (!du_mem_equal(found, sha256, DU_SHA256_BYTES)) {
        du_hex(want_hex, sha256, DU_SHA256_BYTES);
        du_hex(found_hex, found, DU_SHA256_BYTES);
        return DU_FAIL(err, DEFUPD_E_DIGEST, "%s: SHA-256 is %.16s..., signed is %.16s...", what,
                       found_hex, want_hex);
    }
    *out = (struct du_verified_file){ .fd = fd, .bytes = bytes };
    return DEFUPD_OK;
}

struct scan {
    const struct du_sys *sys;
    const struct du_tick *tick;
    struct du_index *index;
};

/* Hash one file, and notice when somebody writes to it meanwhile: a release is what was there at
 * one moment or it is nothing. */
static defupd_code scan_file(struct scan *scan, const struct du_entry *entry, defupd_error *err)
{
    DU_AUTO_FD fd = scan->sys->openat(entry->dir, entry->name, O_RDONLY | O_NOFOLLOW, 0);
    unsigned char sha256[DU_SHA256_BYTES];
    struct stat after;
    uint64_t size;

    if (fd < 0)
        return DU_FAIL_IO(err, "open '%s'", entry->path);
    DU_TRY(du_file_hash(scan->sys, fd, entry->path, scan->tick, sha256, &size, err));
    if (fstat(fd, &after) != 0)
        return DU_FAIL_IO(err, "look at '%s'", entry->path);
    if (after.st_ino != entry->st.st_ino || size != (uint64_t)entry->st.st_size ||
        after.st_mtim.tv_sec != entry->st.st_mtim.tv_sec ||
        after.st_mtim.tv_nsec != entry->st.st_mtim.tv_nsec)
        return DU_FAIL(err, DEFUPD_E_IO, "'%s' changed while it was read", entry->path);
    return du_index_add(scan->index, entry->path, size, sha256, (entry->st.st_mode & S_IXUSR) != 0,
                        err);
}

static defupd_code scan_entry(void *user, const struct du_entry *entry, defupd_error *err)
{
    const char *bad = du_path_why_bad(entry->path);

    if (bad != NULL)
        return DU_FAIL(err, DEFUPD_E_TREE_FORBIDDEN, "path '%s' %s", entry->path, bad);
    switch (entry->kind) {
    case DU_ENTRY_EMPTY_DIR:
        return DU_FAIL(err, DEFUPD_E_TREE_FORBIDDEN, "'%s' is an empty directory", entry->path);
    case DU_ENTRY_OTHER:
        return DU_FAIL(err, DEFUPD_E_TREE_FORBIDDEN, "'%s' is %s, only regular files are allowed",
                       entry->path,
                       S_ISLNK(entry->st.st_mode)    ? "a symbolic link"
                       : S_ISFIFO(entry->st.st_mode) ? "a pipe"
                       : S_ISSOCK(entry->st.st_mode) ? "a socket"
                                                     : "a device");
    case DU_ENTRY_FILE: break;
    }
    if ((entry->st.st_mode & (S_ISUID | S_ISGID | S_ISVTX)) != 0)
        return DU_FAIL(err, DEFUPD_E_TREE_FORBIDDEN, "'%s' has a setuid, setgid or sticky bit",
                       entry->path);
    return scan_file(user, entry, err);
}

defupd_code du_tree_scan(const struct du_sys *sys, int root, const struct du_tick *tick,
                         struct du_index *index, defupd_error *err)
{
    struct scan scan = { .sys = sys, .tick = tick, .index = index };

    DU_TRY(du_tree_walk(sys, root, scan_entry, &scan, err));
    return du_index_seal(index, err);
}
