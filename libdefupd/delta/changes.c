/* SPDX-License-Identifier: Apache-2.0 */
/* The new tree's list of files, told as a change of the old one's. */
#include <stdlib.h>
#include <string.h>

#include "delta/make_priv.h"

struct lister {
    struct du_changes *changes;
    const struct du_index *old, *new;
    const struct du_file **by_content; /* the old files, sorted by digest */
    size_t cursor;
    enum du_delta_op op; /* the operation that is being counted */
    uint64_t count;
    struct du_buf sizes; /* what follows a DU_OP_CHANGE */
    const char *last;    /* the path that was named before */
};

defupd_code du_put_varint(struct du_buf *to, uint64_t value, defupd_error *err)
{
    unsigned char bytes[DU_VARINT_BYTES];
    size_t count = 0;

    do {
        const unsigned char more = value > 0x7f ? 0x80 : 0;

        bytes[count++] = (unsigned char)((value & 0x7f) | more);
        value >>= 7;
    } while (value > 0 && count < sizeof bytes);
    return du_buf_add(to, bytes, count, err);
}

defupd_code du_put_zigzag(struct du_buf *to, int64_t value, defupd_error *err)
{
    return du_put_varint(to, (uint64_t)value << 1 ^ (uint64_t)(value >> 63), err);
}

static defupd_code end_op(struct lister *l, defupd_error *err)
{
    if (l->count > 0)
        DU_TRY(du_put_varint(&l->changes->files, l->count * 4 + l->op, err));
    if (l->op == DU_OP_CHANGE && l->sizes.len > 0)
        DU_TRY(du_buf_add(&l->changes->files, l->sizes.data, l->sizes.len, err));
    du_buf_clear(&l->sizes);
    l->count = 0;
    return DEFUPD_OK;
}

static defupd_code count_op(struct lister *l, enum du_delta_op op, defupd_error *err)
{
    if (op != l->op)
        DU_TRY(end_op(l, err));
    l->op = op;
    l->count++;
    return DEFUPD_OK;
}

static void add_content(struct lister *l, size_t file, size_t cursor)
{
    struct du_changes *changes = l->changes;
    const uint64_t size = l->new->file[file].size;

    if (size == 0)
        return;
    changes->content[changes->count++] =
        (struct du_content){ .file = file, .size = size, .old_at = changes->old_at[cursor] };
    changes->bytes += size;
}

static int by_content(const void *a, const void *b)
{
    const struct du_file *x = *(const struct du_file *const *)a;
    const struct du_file *y = *(const struct du_file *const *)b;
    const int order = memcmp(x->sha256, y->sha256, DU_SHA256_BYTES);

    return order != 0 ? order : (x > y) - (x < y);
}

static bool same_content(const struct du_file *a, const struct du_file *b)
{
    return a->size == b->size && memcmp(a->sha256, b->sha256, DU_SHA256_BYTES) == 0;
}

/* The first old file with this content; NULL when there is none. */
static const struct du_file *find_content(const struct lister *l, const struct du_file *file)
{
    size_t low = 0, high = l->old->count;

    while (low < high) {
        const size_t middle = low + (high - low) / 2;

        if (memcmp(l->by_content[middle]->sha256, file->sha256, DU_SHA256_BYTES) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < l->old->count && same_content(l->by_content[low], file) ? l->by_content[low]
                                                                         : NULL;
}

static defupd_code put_new(struct lister *l, size_t number, defupd_error *err)
{
    const struct du_file *file = &l->new->file[number];
    const struct du_file *old = file->size > 0 ? find_content(l, file) : NULL;
    struct du_buf *to = &l->changes->files;
    size_t shared = 0;

    DU_TRY(end_op(l, err));
    DU_TRY(du_put_varint(
        to,
        ((file->exec ? DU_NEW_EXEC : 0) | (old != NULL ? DU_NEW_OLD_CONTENT : 0U)) * 4 + DU_OP_NEW,
        err));
    while (file->path[shared] != '\0' && file->path[shared] == l->last[shared])
        shared++;
    DU_TRY(du_put_varint(to, shared, err));
    DU_TRY(du_put_varint(to, strlen(file->path + shared), err));
    DU_TRY(du_buf_add_text(to, file->path + shared, err));
    if (old != NULL)
        return du_put_zigzag(to, (old - l->old->file) - (int64_t)l->cursor, err);
    add_content(l, number, l->cursor);
    return du_put_varint(to, file->size, err);
}

static defupd_code put_same_path(struct lister *l, size_t number, defupd_error *err)
{
    const struct du_file *old = &l->old->file[l->cursor], *file = &l->new->file[number];

    if (old->exec != file->exec) { /* dropped, and new with its old content */
        DU_TRY(count_op(l, DU_OP_DROP, err));
        l->cursor++;
        DU_TRY(put_new(l, number, err));
    } else if (same_content(old, file)) {
        DU_TRY(count_op(l, DU_OP_KEEP, err));
        l->cursor++;
    } else {
        DU_TRY(count_op(l, DU_OP_CHANGE, err));
        DU_TRY(du_put_zigzag(&l->sizes, (int64_t)(file->size - old->size), err));
        add_content(l, number, l->cursor);
        l->changes->old[l->cursor] = 1;
        l->cursor++;
    }
    return DEFUPD_OK;
}

static defupd_code walk(struct lister *l, defupd_error *err)
{
    for (size_t i = 0; i < l->new->count; i++) {
        const char *path = l->new->file[i].path;
        int order = -1;

        while (l->cursor < l->old->count &&
               (order = strcmp(l->old->file[l->cursor].path, path)) < 0) {
            DU_TRY(count_op(l, DU_OP_DROP, err));
            l->cursor++;
        }
        DU_TRY(l->cursor < l->old->count && order == 0 ? put_same_path(l, i, err)
                                                       : put_new(l, i, err));
        l->last = path;
    }
    while (l->cursor < l->old->count) {
        DU_TRY(count_op(l, DU_OP_DROP, err));
        l->cursor++;
    }
    /* Files that are kept at the end need no word. */
    return l->op == DU_OP_KEEP ? DEFUPD_OK : end_op(l, err);
}

static void lister_free(struct lister *l)
{
    free(l->by_content);
    du_buf_free(&l->sizes);
}

defupd_code du_changes_find(struct du_changes *changes, const struct du_index *old,
                            const struct du_index *new, defupd_error *err)
{
    DU_AUTO(lister_free)
    struct lister l = { .changes = changes,
                        .old = old,
                        .new = new,
                        .op = DU_OP_KEEP,
                        .sizes = DU_BUF(SIZE_MAX / 2),
                        .last = "" };

    changes->files = DU_BUF(SIZE_MAX / 2);
    changes->content = calloc(new->count + 1, sizeof *changes->content);
    changes->old = calloc(old->count + 1, 1);
    changes->old_at = calloc(old->count + 1, sizeof *changes->old_at);
    l.by_content = calloc(old->count + 1, sizeof *l.by_content);
    if (changes->content == NULL || changes->old == NULL || changes->old_at == NULL ||
        l.by_content == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory to make a delta");
    for (size_t i = 0; i < old->count; i++) {
        changes->old_at[i + 1] = changes->old_at[i] + old->file[i].size;
        l.by_content[i] = &old->file[i];
    }
    qsort(l.by_content, old->count, sizeof *l.by_content, by_content);
    return walk(&l, err);
}

void du_changes_free(struct du_changes *changes)
{
    free(changes->content);
    free(changes->old);
    free(changes->old_at);
    du_buf_free(&changes->files);
    *changes = (struct du_changes){ 0 };
}
