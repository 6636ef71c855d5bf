/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our deltas as a program, so that it can be measured as others are (see delta.py).
 *
 *   delta_tool index TREE                    TREE.index and TREE.facts: what the record of
 *                                            an installed version knows
 *   delta_tool make OLD NEW FILE [MEMORY]    the delta, and FILE.want: what a manifest says of NEW
 *   delta_tool apply OLD FILE NEWDIR         as a client does: the object's digest, the tree built
 *                                            beside OLD and compared with FILE.want, one syncfs
 *
 * A tree without TREE.index is scanned where its index is needed.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/scope.h"
#include "crypto/crypto.h"
#include "delta/delta.h"
#include "store/store.h"
#include "tree/tree.h"

#define RECORD_MAX ((size_t)1 << 31)

static const struct du_sys *const sys = &du_sys_posix;

static void end_file(FILE **file)
{
    if (*file != NULL)
        (void)fclose(*file);
}

static defupd_code open_tree(const char *path, int *fd, defupd_error *err)
{
    *fd = sys->openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);
    return *fd < 0 ? DU_FAIL_IO(err, "open %s", path) : DEFUPD_OK;
}

static defupd_code write_all(const char *path, const struct du_buf *text, defupd_error *err)
{
    DU_AUTO(end_file) FILE *file = fopen(path, "we");

    if (file == NULL || fwrite(text->data, 1, text->len, file) != text->len || fflush(file) != 0)
        return DU_FAIL_IO(err, "write %s", path);
    return DEFUPD_OK;
}

static defupd_code read_all(const char *path, struct du_buf *text, defupd_error *err)
{
    DU_AUTO(end_file) FILE *file = fopen(path, "re");
    struct stat st;

    if (file == NULL || fstat(fileno(file), &st) != 0)
        return DU_FAIL_IO(err, "read %s", path);
    DU_TRY(du_buf_reserve(text, (size_t)st.st_size, err));
    text->len = fread(text->data, 1, (size_t)st.st_size, file);
    if (text->len != (size_t)st.st_size)
        return DU_FAIL_IO(err, "read %s", path);
    return DEFUPD_OK;
}

/* --- what is known of an installed tree: TREE.index has its lines, TREE.facts the rest --- */

static void beside(char out[PATH_MAX], const char *path, const char *suffix)
{
    (void)snprintf(out, PATH_MAX, "%s%s", path, suffix);
}

static defupd_code find_facts(struct du_record *record, int root, defupd_error *err)
{
    const struct du_index *index = &record->index;
    DU_AUTO_PLACE place = { .dir = -1 };

    record->file = calloc(index->count, sizeof *record->file);
    if (record->file == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory");
    du_place_init(&place, sys, root);
    for (size_t i = 0; i < index->count; i++) {
        const char *name;
        struct stat st;
        int dir;

        DU_TRY(du_place_parent(&place, index->file[i].path, false, &dir, &name, err));
        if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            return DU_FAIL_IO(err, "stat %s", index->file[i].path);
        record->file[i].inode = st.st_ino;
        record->file[i].mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
    }
    return DEFUPD_OK;
}

static defupd_code save(const char *tree, const struct du_record *record, defupd_error *err)
{
    DU_AUTO_BUF lines = DU_BUF(RECORD_MAX), facts = DU_BUF(RECORD_MAX);
    char path[PATH_MAX];

    DU_TRY(du_index_print(&record->index, &lines, err));
    DU_TRY(du_buf_add(&facts, record->file, record->index.count * sizeof *record->file, err));
    beside(path, tree, ".facts");
    DU_TRY(write_all(path, &facts, err));
    beside(path, tree, ".index");
    return write_all(path, &lines, err);
}

/* What save() wrote, else what is found by reading the tree. */
static defupd_code load(const char *tree, int root, struct du_record *record, defupd_error *err)
{
    DU_AUTO_BUF lines = DU_BUF(RECORD_MAX), facts = DU_BUF(RECORD_MAX);
    char path[PATH_MAX];

    beside(path, tree, ".index");
    if (access(path, R_OK) != 0) {
        DU_TRY(du_tree_scan(sys, root, NULL, &record->index, err));
        du_index_digest(&record->index, record->tree);
        return find_facts(record, root, err);
    }
    DU_TRY(read_all(path, &lines, err));
    DU_TRY(du_index_parse(&record->index, du_buf_bytes(&lines), path, DEFUPD_E_STORE_CORRUPT, err));
    beside(path, tree, ".facts");
    DU_TRY(read_all(path, &facts, err));
    if (facts.len != record->index.count * sizeof *record->file)
        return DU_FAIL(err, DEFUPD_E_STORE_CORRUPT, "%s does not fit %s.index", path, tree);
    record->file = (struct du_record_file *)(void *)du_take(&facts.data);
    du_index_digest(&record->index, record->tree); /* a store's records are proven when read */
    return DEFUPD_OK;
}

static defupd_code command_index(const char *tree, defupd_error *err)
{
    DU_AUTO_RECORD record = { 0 };
    DU_AUTO_FD root = -1;

    DU_TRY(open_tree(tree, &root, err));
    DU_TRY(du_tree_scan(sys, root, NULL, &record.index, err));
    DU_TRY(find_facts(&record, root, err));
    return save(tree, &record, err);
}

/* --- make --- */

/* "SHA256 BYTES TREE SIZE FILES": what a signed manifest says of a delta and its release. */
static defupd_code write_want(const char *file, const unsigned char sha256[DU_SHA256_BYTES],
                              uint64_t bytes, const struct du_record *new, defupd_error *err)
{
    char object[DU_SHA256_HEX + 1], tree[DU_SHA256_HEX + 1], path[PATH_MAX];
    DU_AUTO_BUF text = DU_BUF(4096);

    du_hex(object, sha256, DU_SHA256_BYTES);
    du_hex(tree, new->tree, DU_SHA256_BYTES);
    DU_TRY(du_buf_printf(&text, err, "%s %" PRIu64 " %s %" PRIu64 " %zu\n", object, bytes, tree,
                         new->index.bytes, new->index.count));
    beside(path, file, ".want");
    return write_all(path, &text, err);
}

static defupd_code command_make(const char *old_path, const char *new_path, const char *file,
                                uint64_t memory, defupd_error *err)
{
    DU_AUTO_RECORD old = { 0 }, new = { 0 };
    DU_AUTO_FD old_root = -1, new_root = -1;
    unsigned char sha256[DU_SHA256_BYTES];
    uint64_t bytes;

    DU_TRY(open_tree(old_path, &old_root, err));
    DU_TRY(open_tree(new_path, &new_root, err));
    DU_TRY(load(old_path, old_root, &old, err));
    DU_TRY(load(new_path, new_root, &new, err));
    DU_AUTO_FD fd = sys->openat(AT_FDCWD, file, O_RDWR | O_CREAT | O_TRUNC, 0644);
    if (fd < 0)
        return DU_FAIL_IO(err, "create %s", file);
    DU_TRY(du_delta_make(sys, &(struct du_delta_side){ old_root, &old.index },
                         &(struct du_delta_side){ new_root, &new.index }, memory, NULL, fd, sha256,
                         &bytes, err));
    return write_want(file, sha256, bytes, &new, err);
}

/* --- apply --- */

struct base {
    const struct du_record *record;
    struct du_place place;
};

static void end_base(struct base *base)
{
    du_place_end(&base->place);
}

static bool trust(void *user, const struct du_file *file)
{
    struct base *base = user;

    return du_record_holds(base->record, file, &base->place);
}

static defupd_code read_want(const char *file, struct du_tree_want *want,
                             unsigned char sha256[DU_SHA256_BYTES], uint64_t *bytes,
                             defupd_error *err)
{
    char object[DU_SHA256_HEX + 1], tree[DU_SHA256_HEX + 1], path[PATH_MAX];
    DU_AUTO_BUF text = DU_BUF(4096);

    beside(path, file, ".want");
    DU_TRY(read_all(path, &text, err));
    if (sscanf(du_buf_text(&text), "%64s %" SCNu64 " %64s %" SCNu64 " %" SCNu64, object, bytes,
               tree, &want->size, &want->files) != 5 ||
        !du_unhex(sha256, DU_SHA256_BYTES, object) || !du_unhex(want->tree, DU_SHA256_BYTES, tree))
        return DU_FAIL(err, DEFUPD_E_INVALID, "%s is not what make writes", path);
    return DEFUPD_OK;
}

static defupd_code command_apply(const char *old_path, const char *file, const char *new_path,
                                 defupd_error *err)
{
    DU_AUTO_RECORD old = { 0 }, new = { 0 };
    DU_AUTO_FD old_root = -1, into = -1;
    struct du_tree_want want = { .what = file };
    unsigned char sha256[DU_SHA256_BYTES];
    struct du_verified_file delta;
    uint64_t bytes, reused;

    DU_TRY(open_tree(old_path, &old_root, err));
    DU_TRY(load(old_path, old_root, &old, err));
    DU_TRY(read_want(file, &want, sha256, &bytes, err));
    DU_AUTO_FD fd = sys->openat(AT_FDCWD, file, O_RDONLY, 0);
    if (fd < 0)
        return DU_FAIL_IO(err, "open %s", file);
    DU_TRY(du_object_verify(sys, fd, bytes, sha256, file, NULL, &delta, err));

    DU_AUTO(end_base) struct base user = { .record = &old, .place = { .dir = -1 } };
    du_place_init(&user.place, sys, old_root);
    const struct du_tree_base base = { &old.index, old_root, trust, &user };
    if (sys->mkdirat(AT_FDCWD, new_path, 0755) != 0)
        return DU_FAIL_IO(err, "make %s", new_path);
    DU_TRY(open_tree(new_path, &into, err));
    DU_TRY(du_delta_merge(sys, &delta, &want, &base, into, NULL, &new.index, &reused, err));
    DU_TRY(find_facts(&new, into, err));
    DU_TRY(save(new_path, &new, err));
    if (sys->syncfs(into) != 0)
        return DU_FAIL_IO(err, "sync %s", new_path);
    return DEFUPD_OK;
}

static defupd_code command(int argc, char **argv, defupd_error *err)
{
    uint64_t memory = UINT64_MAX;

    if (argc == 3 && strcmp(argv[1], "index") == 0)
        return command_index(argv[2], err);
    if ((argc == 5 || (argc == 6 && du_parse_u64(argv[5], UINT64_MAX, &memory))) &&
        strcmp(argv[1], "make") == 0)
        return command_make(argv[2], argv[3], argv[4], memory, err);
    if (argc == 5 && strcmp(argv[1], "apply") == 0)
        return command_apply(argv[2], argv[3], argv[4], err);
    return DU_FAIL(err, DEFUPD_E_INVALID,
                   "usage: index TREE | make OLD NEW FILE [MEMORY] | apply OLD FILE NEWDIR");
}

int main(int argc, char **argv)
{
    defupd_error err = { 0 };

    if (command(argc, argv, &err) == DEFUPD_OK)
        return 0;
    (void)fprintf(stderr, "delta_tool: %s\n", err.message);
    return defupd_code_exit(err.code);
}
