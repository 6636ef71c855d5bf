/* SPDX-License-Identifier: Apache-2.0 */
#include "tree/index.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/scope.h"
#include "crypto/crypto.h"

#define LINE_MAX_BYTES (DU_SHA256_HEX + 1 + 20 + 1 + 1 + 1 + DU_PATH_MAX + 1)

defupd_code du_index_add(struct du_index *index, const char *path, uint64_t size,
                         const unsigned char sha256[DU_SHA256_BYTES], bool exec, defupd_error *err)
{
    const char *bad = du_path_why_bad(path);
    struct du_file *file;
    uint64_t bytes;

    if (bad != NULL)
        return DU_FAIL(err, DEFUPD_E_TREE_FORBIDDEN, "path '%s' %s", path, bad);
    if (index->count == DU_INDEX_FILES_MAX)
        return DU_FAIL(err, DEFUPD_E_LIMIT, "more than %u files", DU_INDEX_FILES_MAX);
    if (!du_add(index->bytes, size, &bytes) || bytes > INT64_MAX)
        return DU_FAIL(err, DEFUPD_E_LIMIT, "'%s': files are larger than 2^63 bytes", path);
    if (index->count == index->cap) {
        const size_t cap = index->cap == 0 ? 64 : index->cap * 2;
        file = realloc(index->file, cap * sizeof *file);
        if (file == NULL)
            return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for an index of %zu files", cap);
        index->file = file;
        index->cap = cap;
    }
    file = &index->file[index->count];
    *file = (struct du_file){ .path = strdup(path), .size = size, .exec = exec };
    if (file->path == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a path");
    memcpy(file->sha256, sha256, DU_SHA256_BYTES);
    index->count++;
    index->bytes = bytes;
    return DEFUPD_OK;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct du_file *)a)->path, ((const struct du_file *)b)->path);
}

static int fold(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

/* Order of paths with A-Z folded and '/' below every other byte, so that all below one directory
 * stand together, whatever else begins with its name. */
static int fold_compare(const char *a, const char *b)
{
    for (;; a++, b++) {
        const int x = *a == '/' ? 1 : fold(*a);
        const int y = *b == '/' ? 1 : fold(*b);
        if (x != y)
            return x < y ? -1 : 1;
        if (x == 0)
            return 0;
    }
}

static int by_fold(const void *a, const void *b)
{
    const struct du_file *const *x = a, *const *y = b;

    return fold_compare((*x)->path, (*y)->path);
}

/*
 * Two neighbours in folded order: may they stand together on a file system that ignores case? Not
 * when they are the same file, when one is a directory of the other, or when they share a directory
 * that is spelt in two ways. Neighbours are enough: whatever lies between two paths in this order
 * shares their common beginning.
 */
static const char *clash(const char *a, const char *b)
{
    size_t same = 0; /* end of the last shared whole part */
    size_t i = 0;

    while (a[i] != '\0' && fold(a[i]) == fold(b[i])) {
        if (a[i] == '/')
            same = i;
        i++;
    }
    if (a[i] == '\0' && b[i] == '\0')
        return strcmp(a, b) == 0 ? "is there twice" : "differ only in case";
    if ((a[i] == '\0' && b[i] == '/') || (b[i] == '\0' && a[i] == '/'))
        return "cannot be both file and directory";
    if (memcmp(a, b, same) != 0)
        return "are in directories that differ only in case";
    return NULL;
}

defupd_code du_index_seal(struct du_index *index, defupd_error *err)
{
    DU_AUTO_FREE const struct du_file **folded = NULL;

    if (index->count == 0)
        return DU_FAIL(err, DEFUPD_E_TREE_FORBIDDEN, "the tree has no file");
    qsort(index->file, index->count, sizeof *index->file, by_path);

    folded = malloc(index->count * sizeof *folded);
    if (folded == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for %zu paths", index->count);
    for (size_t i = 0; i < index->count; i++)
        folded[i] = &index->file[i];
    qsort(folded, index->count, sizeof *folded, by_fold);
    for (size_t i = 1; i < index->count; i++) {
        const char *why = clash(folded[i - 1]->path, folded[i]->path);
        if (why != NULL)
            return DU_FAIL(err, DEFUPD_E_TREE_FORBIDDEN, "'%.200s' and '%.200s' %s",
                           folded[i - 1]->path, folded[i]->path, why);
    }
    return DEFUPD_OK;
}

static size_t line(char *out, const struct du_file *file)
{
    du_hex(out, file->sha256, DU_SHA256_BYTES);
    return DU_SHA256_HEX + (size_t)snprintf(out + DU_SHA256_HEX, LINE_MAX_BYTES - DU_SHA256_HEX + 1,
                                            " %" PRIu64 " %c %s\n", file->size,
                                            file->exec ? 'x' : '-', file->path);
}

void du_index_digest(const struct du_index *index, unsigned char out[DU_SHA256_BYTES])
{
    struct du_hash hash;
    char text[LINE_MAX_BYTES + 1];

    du_hash_init(&hash, DU_SHA256);
    for (size_t i = 0; i < index->count; i++)
        du_hash_update(&hash, text, line(text, &index->file[i]));
    du_hash_final(&hash, out);
}

defupd_code du_index_print(const struct du_index *index, struct du_buf *out, defupd_error *err)
{
    char text[LINE_MAX_BYTES + 1];

    for (size_t i = 0; i < index->count; i++)
        DU_TRY(du_buf_add(out, text, line(text, &index->file[i]), err));
    return DEFUPD_OK;
}

/* "SHA256HEX SP size SP (-|x) SP path", NUL-terminated; the text is taken apart in place. */
static const char *parse_line(char *text, unsigned char sha256[DU_SHA256_BYTES], uint64_t *size,
                              bool *exec, const char **path)
{
    char *space;

    if (strlen(text) < DU_SHA256_HEX + 1 || text[DU_SHA256_HEX] != ' ')
        return "no digest";
    text[DU_SHA256_HEX] = '\0';
    for (const char *c = text; *c != '\0'; c++) {
        if (*c >= 'A' && *c <= 'F')
            return "digest is not lower-case";
    }
    if (!du_unhex(sha256, DU_SHA256_BYTES, text))
        return "digest is not hexadecimal";
    text += DU_SHA256_HEX + 1;
    space = strchr(text, ' ');
    if (space == NULL)
        return "no size";
    *space = '\0';
    if (!du_parse_u64(text, INT64_MAX, size))
        return "size is not a number";
    text = space + 1;
    if ((text[0] != '-' && text[0] != 'x') || text[1] != ' ')
        return "mode is neither - nor x";
    *exec = text[0] == 'x';
    *path = text + 2;
    return NULL;
}

defupd_code du_index_parse(struct du_index *index, struct du_bytes text, const char *what,
                           defupd_code code, defupd_error *err)
{
    const unsigned char *at = text.data;
    const unsigned char *const end = text.len > 0 ? at + text.len : at;

    for (size_t number = 1; at != end; number++) {
        const unsigned char *lf = memchr(at, '\n', (size_t)(end - at));
        const size_t len = lf != NULL ? (size_t)(lf - at) : 0;
        char row[LINE_MAX_BYTES + 1];
        unsigned char sha256[DU_SHA256_BYTES];
        const char *path = NULL, *bad;
        uint64_t size = 0;
        bool exec = false;

        if (lf == NULL || len >= sizeof row || memchr(at, '\0', len) != NULL)
            return DU_FAIL(err, code, "%s:%zu: not a line of an index", what, number);
        memcpy(row, at, len);
        row[len] = '\0';
        bad = parse_line(row, sha256, &size, &exec, &path);
        if (bad != NULL)
            return DU_FAIL(err, code, "%s:%zu: %s", what, number, bad);
        if (index->count > 0 && strcmp(index->file[index->count - 1].path, path) >= 0)
            return DU_FAIL(err, code, "%s:%zu: not in the order of paths", what, number);
        if (du_index_add(index, path, size, sha256, exec, err) != DEFUPD_OK)
            return du_err_prefix(err, "%s:%zu", what, number);
        at = lf + 1;
    }
    if (du_index_seal(index, err) != DEFUPD_OK)
        return du_err_prefix(err, "%s", what);
    return DEFUPD_OK;
}

const struct du_file *du_index_find(const struct du_index *index, const char *path)
{
    size_t low = 0, high = index->count;

    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const int order = strcmp(index->file[middle].path, path);
        if (order == 0)
            return &index->file[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

void du_index_free(struct du_index *index)
{
    for (size_t i = 0; i < index->count; i++)
        free(index->file[i].path);
    free(index->file);
    *index = (struct du_index){ 0 };
}
