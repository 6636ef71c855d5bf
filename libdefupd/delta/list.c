/* SPDX-License-Identifier: Apache-2.0 */
/* The new tree's files, told as a change of the old tree's list. */
#include <string.h>

#include "delta/delta_priv.h"

/* So many that they fit, from all over the tree. */
defupd_code du_list_paths(const struct du_index *old, struct du_buf *out, defupd_error *err)
{
    size_t every = 1, bytes = SIZE_MAX;

    while (bytes > DU_DELTA_PATHS_MAX) {
        bytes = 0;
        for (size_t i = 0; i < old->count; i += every)
            bytes += strlen(old->file[i].path) + 1;
        every += bytes > DU_DELTA_PATHS_MAX;
    }
    for (size_t i = 0; i < old->count; i += every) {
        DU_TRY(du_buf_add_text(out, old->file[i].path, err));
        DU_TRY(du_buf_add_text(out, "\n", err));
    }
    return DEFUPD_OK;
}

static defupd_code bad_list(const struct du_list *list, const char *why, defupd_error *err)
{
    return DU_FAIL(err, DEFUPD_E_DELTA_FORMAT, "the delta of %s has a list of files %s", list->what,
                   why);
}

static void set_path(struct du_list *list, const char *path)
{
    const size_t count = strlen(path);

    memcpy(list->path, path, count + 1); /* an index holds none that is longer */
}

static const struct du_file *pass(struct du_list *list)
{
    const struct du_file *file = &list->old->file[list->cursor++];

    list->at += file->size;
    return file;
}

static defupd_code next_old(struct du_list *list, struct du_list_item *item, defupd_error *err)
{
    const uint64_t at = list->at;
    const struct du_file *file = pass(list);
    uint64_t change, size;

    list->run--;
    set_path(list, file->path);
    *item = (struct du_list_item){ .path = list->path, .size = file->size, .exec = file->exec };
    if (list->op == DU_OP_KEEP) {
        item->old = file;
        return DEFUPD_OK;
    }
    DU_TRY(du_code_varint(list->code, &change, err));
    size = file->size + (uint64_t)du_unzigzag(change); /* wraps as the sum of signed ones does */
    if (size > DU_VARINT_MAX)
        return bad_list(list, "with a size below 0", err);
    item->size = size;
    item->at = at;
    return DEFUPD_OK;
}

static defupd_code read_path(struct du_list *list, defupd_error *err)
{
    uint64_t shared, count;

    DU_TRY(du_code_varint(list->code, &shared, err));
    DU_TRY(du_code_varint(list->code, &count, err));
    if (shared > strlen(list->path) || count > DU_PATH_MAX - shared)
        return bad_list(list, "with a path that is too long", err);
    DU_TRY(du_code_read(list->code, list->path + shared, (size_t)count, err));
    list->path[shared + count] = '\0';
    if (strlen(list->path) != shared + count)
        return bad_list(list, "with a path that has a NUL in it", err);
    return DEFUPD_OK;
}

static defupd_code next_new(struct du_list *list, uint64_t flags, struct du_list_item *item,
                            defupd_error *err)
{
    uint64_t value;

    if (flags > (DU_NEW_EXEC | DU_NEW_OLD_CONTENT))
        return bad_list(list, "with an unknown kind of file", err);
    DU_TRY(read_path(list, err));
    DU_TRY(du_code_varint(list->code, &value, err));
    *item = (struct du_list_item){
        .path = list->path, .size = value, .at = list->at, .exec = (flags & DU_NEW_EXEC) != 0
    };
    if ((flags & DU_NEW_OLD_CONTENT) != 0) {
        const uint64_t number = list->cursor + (uint64_t)du_unzigzag(value);

        if (number >= list->old->count)
            return bad_list(list, "that names an old file there is not", err);
        item->old = &list->old->file[number];
        item->size = item->old->size;
    }
    return DEFUPD_OK;
}

/* The next operation; drops are done here. */
static defupd_code next_op(struct du_list *list, uint64_t *argument, defupd_error *err)
{
    const uint64_t rest = list->old->count - list->cursor;
    uint64_t head;

    if (du_code_left(list->code) == 0) { /* what is left is kept */
        list->op = DU_OP_KEEP;
        list->run = rest;
        return DEFUPD_OK;
    }
    DU_TRY(du_code_varint(list->code, &head, err));
    list->op = (enum du_delta_op)(head & 3);
    *argument = head >> 2;
    if (list->op == DU_OP_NEW)
        return DEFUPD_OK;
    if (*argument == 0 || *argument > rest)
        return bad_list(list, "that passes the old tree's end", err);
    list->run = *argument;
    while (list->op == DU_OP_DROP && list->run > 0) {
        (void)pass(list);
        list->run--;
    }
    return DEFUPD_OK;
}

defupd_code du_list_next(struct du_list *list, struct du_list_item *item, bool *end,
                         defupd_error *err)
{
    *end = false;
    if (list->files++ > DU_INDEX_FILES_MAX)
        return bad_list(list, "with too many files", err);
    while (list->run == 0) {
        uint64_t argument = 0;

        if (list->cursor == list->old->count && du_code_left(list->code) == 0) {
            *end = true;
            return DEFUPD_OK;
        }
        DU_TRY(next_op(list, &argument, err));
        if (list->op == DU_OP_NEW)
            return next_new(list, argument, item, err);
    }
    return next_old(list, item, err);
}
