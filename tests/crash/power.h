/* SPDX-License-Identifier: Apache-2.0 */
/* A disk that loses power. power_sys() works on a real directory and keeps a journal of what was
 * done and what was synced; power_cut() then builds the directory as a disk could look when the
 * power went after the first n operations:
 *
 *   kept for sure      what a sync covers: a file's content and mode by fsync of the file, a
 *                      directory's entries by fsync of the directory, all of it by syncfs
 *   anything goes      for the rest: a content may be missing, cut in half or zeros; an entry may
 * be missing or be there still; later operations may survive earlier ones
 *
 * A rename is one operation, kept for sure when the directory that it goes to is synced. fsync of a
 * file does not save its name. This is less than today's file systems promise.
 *
 * A kill is a special case: die_at makes every change after the nth fail, and what was done so far
 * stays as the living kernel has it.
 */
#ifndef POWER_H
#define POWER_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/scope.h"
#include "sys/sys.h"

enum power_kind {
    POWER_ENTER, /* dir/name becomes node */
    POWER_LEAVE, /* dir/name goes */
    POWER_MOVE,  /* dir/name becomes dir2/name2 */
    POWER_WRITE, /* data into node at `at` */
    POWER_CUT,   /* node is `at` bytes long */
    POWER_MODE,  /* of node */
    POWER_SYNC,  /* of node */
    POWER_SYNC_ALL
};

struct power_op {
    enum power_kind kind;
    int dir, dir2, node;
    char *name, *name2;
    unsigned char *data;
    size_t len;
    off_t at;
    mode_t mode;
};

enum power_type { POWER_DIR, POWER_FILE, POWER_LINK };

struct power_node {
    enum power_type type;
    ino_t inode; /* on the real disk; an inode that is used again belongs to the newest node */
    mode_t mode; /* when it was made */
    char *target;
};

/* Tests are single-threaded and the table has no room for a user pointer. */
static struct power {
    struct power_node *node;
    struct power_op *op;
    int nodes, ops;
    int die_at;     /* changes fail from this operation on; 0: never */
    bool no_syncfs; /* as on a system that has none */
} power;

static inline void power_free(void)
{
    for (int i = 0; i < power.nodes; i++)
        free(power.node[i].target);
    for (int i = 0; i < power.ops; i++) {
        free(power.op[i].name);
        free(power.op[i].name2);
        free(power.op[i].data);
    }
    free(power.node);
    free(power.op);
    power = (struct power){ 0 };
}

static inline void *power_grow(void *array, int count, size_t size)
{
    if ((count & (count - 1)) == 0) /* at every power of two */
        array = realloc(array, (size_t)(count == 0 ? 1 : count * 2) * size);
    if (array == NULL)
        abort();
    return array;
}

static inline char *power_text(const char *text)
{
    char *copy = text != NULL ? strdup(text) : NULL;

    if (text != NULL && copy == NULL)
        abort();
    return copy;
}

static inline int power_add_node(enum power_type type, const struct stat *st, const char *target)
{
    power.node = power_grow(power.node, power.nodes, sizeof *power.node);
    power.node[power.nodes] = (struct power_node){
        .type = type, .inode = st->st_ino, .mode = st->st_mode & 07777, .target = power_text(target)
    };
    return power.nodes++;
}

static inline void power_log(struct power_op op)
{
    op.name = power_text(op.name);
    op.name2 = power_text(op.name2);
    if (op.data != NULL) {
        unsigned char *copy = malloc(op.len + 1);
        if (copy == NULL)
            abort();
        memcpy(copy, op.data, op.len);
        op.data = copy;
    }
    power.op = power_grow(power.op, power.ops, sizeof *power.op);
    power.op[power.ops++] = op;
}

static inline int power_node_of(ino_t inode)
{
    for (int i = power.nodes; i > 0; i--) {
        if (power.node[i - 1].inode == inode)
            return i - 1;
    }
    return -1; /* not on this disk: /etc, the test's own files */
}

static inline int power_node_fd(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 ? power_node_of(st.st_ino) : -1;
}

/* The node of the directory that holds `name`, and the last part of it. */
static inline int power_parent(int dir, const char *name, const char **last)
{
    const char *slash = strrchr(name, '/');
    char above[1024];
    struct stat st;

    *last = slash != NULL ? slash + 1 : name;
    (void)snprintf(above, sizeof above, "%.*s", slash != NULL ? (int)(slash - name) : 0, name);
    if (fstatat(dir, above[0] != '\0' ? above : slash != NULL ? "/" : ".", &st, 0) != 0)
        return -1;
    return power_node_of(st.st_ino);
}

static inline bool power_dead(void)
{
    if (power.die_at == 0 || power.ops < power.die_at)
        return false;
    errno = EIO;
    return true;
}

/* --- the table --- */

static inline int power_openat(int dir, const char *name, int flags, mode_t mode)
{
    struct stat st;
    const bool there = fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
    const char *last;
    int fd;

    if ((flags & (O_CREAT | O_TRUNC)) != 0 && power_dead())
        return -1;
    fd = du_sys_posix.openat(dir, name, flags, mode);
    if (fd < 0 || fstat(fd, &st) != 0)
        return fd;
    if (!there && (flags & O_CREAT) != 0) {
        const int parent = power_parent(dir, name, &last);
        const int node = power_add_node(POWER_FILE, &st, NULL);
        power_log((struct power_op){
            .kind = POWER_ENTER, .dir = parent, .name = (char *)(uintptr_t)last, .node = node });
    } else if (there && (flags & O_TRUNC) != 0) {
        power_log((struct power_op){ .kind = POWER_CUT, .node = power_node_fd(fd) });
    }
    return fd;
}

static inline ssize_t power_write(int fd, const void *bytes, size_t count)
{
    const off_t at =
        (fcntl(fd, F_GETFL) & O_APPEND) != 0 ? lseek(fd, 0, SEEK_END) : lseek(fd, 0, SEEK_CUR);
    ssize_t wrote;

    if (power_dead())
        return -1;
    wrote = write(fd, bytes, count);
    if (wrote > 0)
        power_log((struct power_op){ .kind = POWER_WRITE,
                                     .node = power_node_fd(fd),
                                     .data = (unsigned char *)(uintptr_t)bytes,
                                     .len = (size_t)wrote,
                                     .at = at });
    return wrote;
}

static inline int power_ftruncate(int fd, off_t length)
{
    if (power_dead() || ftruncate(fd, length) != 0)
        return -1;
    power_log((struct power_op){ .kind = POWER_CUT, .node = power_node_fd(fd), .at = length });
    return 0;
}

static inline int power_fchmod(int fd, mode_t mode)
{
    if (power_dead() || fchmod(fd, mode) != 0)
        return -1;
    power_log((struct power_op){ .kind = POWER_MODE, .node = power_node_fd(fd), .mode = mode });
    return 0;
}

static inline int power_fsync(int fd)
{
    if (power_dead())
        return -1;
    power_log((struct power_op){ .kind = POWER_SYNC, .node = power_node_fd(fd) });
    return 0;
}

static inline int power_syncfs(int fd)
{
    (void)fd;
    if (power.no_syncfs)
        errno = ENOSYS;
    if (power.no_syncfs || power_dead())
        return -1;
    power_log((struct power_op){ .kind = POWER_SYNC_ALL });
    return 0;
}

static inline int power_mkdirat(int dir, const char *name, mode_t mode)
{
    struct stat st;
    const char *last;

    if (power_dead() || mkdirat(dir, name, mode) != 0)
        return -1;
    const int parent = power_parent(dir, name, &last);
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        abort();
    power_log((struct power_op){ .kind = POWER_ENTER,
                                 .dir = parent,
                                 .name = (char *)(uintptr_t)last,
                                 .node = power_add_node(POWER_DIR, &st, NULL) });
    return 0;
}

static inline int power_symlinkat(const char *target, int dir, const char *name)
{
    struct stat st;
    const char *last;

    if (power_dead() || symlinkat(target, dir, name) != 0)
        return -1;
    const int parent = power_parent(dir, name, &last);
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        abort();
    power_log((struct power_op){ .kind = POWER_ENTER,
                                 .dir = parent,
                                 .name = (char *)(uintptr_t)last,
                                 .node = power_add_node(POWER_LINK, &st, target) });
    return 0;
}

static inline int power_linkat(int from_dir, const char *from, int to_dir, const char *to,
                               int flags)
{
    struct stat st;
    const char *last;

    if (power_dead() || linkat(from_dir, from, to_dir, to, flags) != 0)
        return -1;
    const int parent = power_parent(to_dir, to, &last);
    if (fstatat(to_dir, to, &st, AT_SYMLINK_NOFOLLOW) != 0)
        abort();
    power_log((struct power_op){ .kind = POWER_ENTER,
                                 .dir = parent,
                                 .name = (char *)(uintptr_t)last,
                                 .node = power_node_of(st.st_ino) });
    return 0;
}

static inline int power_renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    struct stat st;
    const char *last, *last2;

    if (power_dead() || renameat(from_dir, from, to_dir, to) != 0)
        return -1;
    const int parent = power_parent(from_dir, from, &last);
    const int parent2 = power_parent(to_dir, to, &last2);
    if (fstatat(to_dir, to, &st, AT_SYMLINK_NOFOLLOW) != 0)
        abort();
    power_log((struct power_op){ .kind = POWER_MOVE,
                                 .dir = parent,
                                 .name = (char *)(uintptr_t)last,
                                 .dir2 = parent2,
                                 .name2 = (char *)(uintptr_t)last2,
                                 .node = power_node_of(st.st_ino) });
    return 0;
}

static inline int power_unlinkat(int dir, const char *name, int flags)
{
    struct stat st;
    const char *last;

    if (power_dead())
        return -1;
    const bool there = fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
    const int node = there ? power_node_of(st.st_ino) : -1;
    if (unlinkat(dir, name, flags) != 0)
        return -1;
    const int parent = power_parent(dir, name, &last);
    power_log((struct power_op){
        .kind = POWER_LEAVE, .dir = parent, .name = (char *)(uintptr_t)last, .node = node });
    return 0;
}

static inline int power_clone(int from_fd, int to_fd)
{
    (void)from_fd;
    (void)to_fd;
    errno = EOPNOTSUPP;
    return -1;
}

/* Begin with the existing, empty directory `disk`. */
static inline const struct du_sys *power_start(const char *disk)
{
    static struct du_sys sys;
    struct stat st;

    power_free();
    if (stat(disk, &st) != 0)
        abort();
    (void)power_add_node(POWER_DIR, &st, NULL);
    sys = du_sys_posix;
    sys.openat = power_openat;
    sys.write = power_write;
    sys.ftruncate = power_ftruncate;
    sys.fchmod = power_fchmod;
    sys.fsync = power_fsync;
    sys.syncfs = power_syncfs;
    sys.mkdirat = power_mkdirat;
    sys.symlinkat = power_symlinkat;
    sys.linkat = power_linkat;
    sys.renameat = power_renameat;
    sys.unlinkat = power_unlinkat;
    sys.clone = power_clone;
    return &sys;
}

/* What was done so far is on the disk for good. */
static inline void power_settle(void)
{
    power_log((struct power_op){ .kind = POWER_SYNC_ALL });
}

/* --- after the cut --- */

struct power_entry {
    int dir, node;
    const char *name;
};
struct power_content {
    unsigned char *data;
    size_t len;
    mode_t mode;
    char *placed; /* where it was written first: further names are hard links */
};
struct power_disk {
    struct power_entry *entry;
    int entries;
    struct power_content *content;
};

static inline void power_leave(struct power_disk *disk, int dir, const char *name, int node)
{
    for (int i = 0; i < disk->entries; i++) {
        if (disk->entry[i].dir == dir && strcmp(disk->entry[i].name, name) == 0 &&
            (node < 0 || disk->entry[i].node == node)) {
            disk->entry[i] = disk->entry[--disk->entries];
            return;
        }
    }
}

static inline void power_enter(struct power_disk *disk, int dir, const char *name, int node)
{
    power_leave(disk, dir, name, -1);
    for (int i = 0; i < disk->entries && power.node[node].type == POWER_DIR; i++) {
        if (disk->entry[i].node == node) { /* a directory has one name */
            disk->entry[i] = disk->entry[--disk->entries];
            break;
        }
    }
    disk->entry = power_grow(disk->entry, disk->entries, sizeof *disk->entry);
    disk->entry[disk->entries++] = (struct power_entry){ dir, node, name };
}

static inline void power_resize(struct power_content *content, size_t len)
{
    unsigned char *data = realloc(content->data, len + 1);

    if (data == NULL)
        abort();
    if (len > content->len)
        memset(data + content->len, 0, len - content->len);
    content->data = data;
    content->len = len;
}

enum power_how { POWER_DROP, POWER_KEEP, POWER_HALF, POWER_ZEROS };

static inline void power_apply(struct power_disk *disk, const struct power_op *op,
                               enum power_how how)
{
    struct power_content *content = op->node >= 0 ? &disk->content[op->node] : NULL;
    const size_t len = how == POWER_HALF ? op->len / 2 : op->len;

    if (how == POWER_DROP || content == NULL)
        return;
    switch (op->kind) {
    case POWER_ENTER: power_enter(disk, op->dir, op->name, op->node); break;
    case POWER_LEAVE: power_leave(disk, op->dir, op->name, op->node); break;
    case POWER_MOVE:
        power_leave(disk, op->dir, op->name, op->node);
        power_enter(disk, op->dir2, op->name2, op->node);
        break;
    case POWER_WRITE:
        if (content->len < (size_t)op->at + len)
            power_resize(content, (size_t)op->at + len);
        if (how == POWER_ZEROS)
            memset(content->data + op->at, 0, len);
        else
            memcpy(content->data + op->at, op->data, len);
        break;
    case POWER_CUT: power_resize(content, (size_t)op->at); break;
    case POWER_MODE: content->mode = op->mode; break;
    case POWER_SYNC:
    case POWER_SYNC_ALL: break;
    }
}

/* Is operation k on the disk for sure when the power goes after the first n? */
static inline bool power_sure(int k, int n)
{
    const struct power_op *op = &power.op[k];
    const int owner = op->kind == POWER_MOVE                               ? op->dir2
                      : op->kind == POWER_ENTER || op->kind == POWER_LEAVE ? op->dir
                                                                           : op->node;

    for (int i = k + 1; i < n; i++) {
        if (power.op[i].kind == POWER_SYNC_ALL ||
            (power.op[i].kind == POWER_SYNC && power.op[i].node == owner))
            return true;
    }
    return false;
}

static inline void power_place(struct power_disk *disk, int dir, int at, const char *above)
{
    for (int i = 0; i < disk->entries; i++) {
        const struct power_entry *entry = &disk->entry[i];
        const struct power_node *node = &power.node[entry->node];
        struct power_content *content = &disk->content[entry->node];
        char path[1024];
        int fd;

        if (entry->dir != dir)
            continue;
        (void)snprintf(path, sizeof path, "%s/%s", above, entry->name);
        if (node->type == POWER_LINK) {
            if (symlinkat(node->target, at, entry->name) != 0)
                abort();
            continue;
        }
        if (node->type == POWER_FILE && content->placed != NULL) {
            if (linkat(AT_FDCWD, content->placed, at, entry->name, 0) != 0)
                abort();
            continue;
        }
        if (node->type == POWER_DIR && mkdirat(at, entry->name, 0700) != 0)
            abort();
        fd = openat(at, entry->name,
                    O_CLOEXEC | (node->type == POWER_DIR ? O_RDONLY : O_WRONLY | O_CREAT | O_EXCL),
                    0600);
        if (fd < 0 || fchmod(fd, content->mode) != 0)
            abort();
        if (node->type == POWER_DIR)
            power_place(disk, entry->node, fd, path);
        else if (content->len > 0 &&
                 write(fd, content->data, content->len) != (ssize_t)content->len)
            abort();
        content->placed = power_text(path);
        (void)close(fd);
    }
}

/* A small generator of our own, so that a seed means the same everywhere. */
static inline uint32_t power_dice(uint32_t *seed, uint32_t sides)
{
    *seed = *seed * 1664525U + 1013904223U;
    return (*seed >> 8) % sides;
}

/*
 * Fill the empty directory `into` as the disk may be after operation n. seed 0: nothing survives
 * that need not; 1: everything does; odd ones: a prefix; even ones: each by lot.
 */
static inline void power_cut(const char *into, int n, uint32_t seed)
{
    struct power_disk disk = { .content = calloc((size_t)power.nodes, sizeof *disk.content) };
    const int fd = open(into, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    uint32_t dice = seed * 2654435761U + (uint32_t)n;
    int unsure = 0, prefix, seen = 0;

    if (disk.content == NULL || fd < 0)
        abort();
    for (int i = 0; i < power.nodes; i++)
        disk.content[i].mode = power.node[i].mode;
    for (int k = 0; k < n; k++)
        unsure += !power_sure(k, n);
    prefix = (int)power_dice(&dice, (uint32_t)unsure + 1);
    for (int k = 0; k < n; k++) {
        enum power_how how = POWER_KEEP;

        if (!power_sure(k, n)) {
            const bool alive = seed == 0   ? false
                               : seed == 1 ? true
                               : seed % 2  ? seen < prefix
                                           : power_dice(&dice, 2) == 0;
            how = !alive ? POWER_DROP : POWER_KEEP;
            if (alive && seed > 1 && power.op[k].kind == POWER_WRITE)
                how = (enum power_how)power_dice(&dice, 4);
            seen++;
        }
        power_apply(&disk, &power.op[k], how);
    }
    power_place(&disk, 0, fd, into);
    for (int i = 0; i < power.nodes; i++) {
        free(disk.content[i].data);
        free(disk.content[i].placed);
    }
    free(disk.content);
    free(disk.entry);
    (void)close(fd);
}

#endif
