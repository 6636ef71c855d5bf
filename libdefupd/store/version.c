/* SPDX-License-Identifier: Apache-2.0 */
/* Versions and their records (docs/formats/store.md). Records are read and written line by line:
 * a tree may have a million files. */
#include "store/store_priv.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "crypto/crypto.h"

#define RECORD_WORD "defupd-record "
/* digest, size, mode, inode, time, path, blanks; the header is shorter */
#define RECORD_LINE_MAX (DU_SHA256_HEX + 20 + 1 + 20 + 20 + DU_PATH_MAX + 5)

void du_record_free(struct du_record *record)
{
    du_index_free(&record->index);
    free(record->file);
    *record = (struct du_record){ 0 };
}

void du_version_name(char out[DU_VERSION_TEXT], uint64_t version)
{
    (void)snprintf(out, DU_VERSION_TEXT, "%llu", (unsigned long long)version);
}

void du_record_name(char out[DU_VERSION_TEXT + 6], uint64_t version)
{
    (void)snprintf(out, DU_VERSION_TEXT + 6, "%llu.index", (unsigned long long)version);
}

defupd_code du_store_component_dir(const struct du_store *store, const char *component, bool make,
                                   int *fd, defupd_error *err)
{
    DU_AUTO_FD versions = -1;

    if (!du_name_ok(component))
        return DU_FAIL(err, DEFUPD_E_BUG, "'%.64s' is no component's name", component);
    DU_TRY(du_store_sub(store, "versions", &versions, err));
    return du_dir_open(store->sys, versions, component, make, 0755, fd, err);
}

defupd_code du_store_version_dir(const struct du_store *store, const char *component,
                                 uint64_t version, int *fd, defupd_error *err)
{
    DU_AUTO_FD dir = -1;
    char name[DU_VERSION_TEXT];

    du_version_name(name, version);
    if (du_store_component_dir(store, component, false, &dir, err) != DEFUPD_OK ||
        du_dir_open(store->sys, dir, name, false, 0, fd, err) != DEFUPD_OK)
        return du_err_prefix(err, "%s %s", component, name);
    return DEFUPD_OK;
}

/* --- reading --- */

struct reader {
    const struct du_sys *sys;
    const char *what;
    int fd;
    struct du_hash hash; /* of the lines before the present one */
    size_t at, have;     /* in chunk */
    size_t len;          /* of line */
    unsigned long number;
    char line[RECORD_LINE_MAX + 2];
    unsigned char chunk[16384];
};

static defupd_code damaged(const struct reader *r, const char *why, defupd_error *err)
{
    return DU_FAIL(err, DEFUPD_E_STORE_CORRUPT, "%s:%lu: %s", r->what, r->number, why);
}

/* Next line, without its LF; *end at the end of the file. What follows the last LF is damage: a
 * record ends with one. */
static defupd_code next_line(struct reader *r, bool *end, defupd_error *err)
{
    r->len = 0;
    r->number++;
    *end = false;
    while (true) {
        if (r->at == r->have) {
            const ssize_t got = r->sys->read(r->fd, r->chunk, sizeof r->chunk);
            if (got < 0 && errno == EINTR)
                continue;
            if (got < 0)
                return DU_FAIL_IO(err, "read %s", r->what);
            if (got == 0 && r->len > 0)
                return damaged(r, "the line has no end", err);
            if (got == 0) {
                *end = true;
                return DEFUPD_OK;
            }
            r->at = 0;
            r->have = (size_t)got;
        }
        const char c = (char)r->chunk[r->at++];
        if (c == '\n') {
            r->line[r->len] = '\0';
            return DEFUPD_OK;
        }
        if (c == '\0' || r->len >= RECORD_LINE_MAX)
            return damaged(r, "not a line of a record", err);
        r->line[r->len++] = c;
    }
}

/* Cut the next word off; NULL when no blank follows it. */
static char *word(char **at)
{
    char *begin = *at;
    char *blank = strchr(begin, ' ');

    if (blank == NULL)
        return NULL;
    *blank = '\0';
    *at = blank + 1;
    return begin;
}

/* "defupd-record 1 COMPONENT VERSION TREEHEX". Another number after the first word is another
 * format, whatever follows it. */
static defupd_code parse_header(struct reader *r, const char *component, uint64_t version,
                                unsigned char tree[DU_SHA256_BYTES], defupd_error *err)
{
    char *at = r->line + sizeof RECORD_WORD - 1;
    const char *format, *name, *number;
    uint64_t known;

    if (strncmp(r->line, RECORD_WORD, sizeof RECORD_WORD - 1) != 0)
        return damaged(r, "not a record", err);
    format = word(&at);
    if (format == NULL || !du_parse_u64(format, UINT64_MAX, &known))
        return damaged(r, "not a record's header", err);
    if (known != DU_STORE_FORMAT)
        return DU_FAIL(err, DEFUPD_E_STORE_FORMAT, "%s has format %s, this software knows %d",
                       r->what, format, DU_STORE_FORMAT);
    name = word(&at);
    number = name == NULL ? NULL : word(&at);
    if (number == NULL || !du_unhex(tree, DU_SHA256_BYTES, at))
        return damaged(r, "not a record's header", err);
    if (strcmp(name, component) != 0 || !du_version_parse(number, &known) || known != version)
        return damaged(r, "is the record of another version", err);
    return DEFUPD_OK;
}

/* SHA256HEX SP size SP (-|x) SP inode SP mtime-ns SP path */
static defupd_code parse_file(struct reader *r, struct du_record *record, size_t *cap,
                              defupd_error *err)
{
    const size_t n = record->index.count;
    char *at = r->line;
    const char *hex = word(&at);
    const char *size = hex == NULL ? NULL : word(&at);
    const char *mode = size == NULL ? NULL : word(&at);
    const char *inode = mode == NULL ? NULL : word(&at);
    const char *mtime = inode == NULL ? NULL : word(&at);
    unsigned char sha256[DU_SHA256_BYTES];
    struct du_record_file facts;
    uint64_t bytes, ns;

    if (mtime == NULL || !du_unhex(sha256, sizeof sha256, hex) ||
        !du_parse_u64(size, INT64_MAX, &bytes) ||
        (strcmp(mode, "-") != 0 && strcmp(mode, "x") != 0) ||
        !du_parse_u64(inode, UINT64_MAX, &facts.inode) ||
        !du_parse_u64(mtime + (mtime[0] == '-'), INT64_MAX, &ns))
        return damaged(r, "not a file of a record", err);
    facts.mtime_ns = mtime[0] == '-' ? -(int64_t)ns : (int64_t)ns;
    /* The order keeps the two arrays in step when the index is sealed. */
    if (n > 0 && strcmp(record->index.file[n - 1].path, at) >= 0)
        return damaged(r, "paths are not in order", err);
    if (n == *cap) {
        const size_t more = *cap == 0 ? 64 : *cap * 2;
        struct du_record_file *file = realloc(record->file, more * sizeof *file);
        if (file == NULL)
            return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for %s", r->what);
        record->file = file;
        *cap = more;
    }
    record->file[n] = facts;
    if (du_index_add(&record->index, at, bytes, sha256, mode[0] == 'x', err) != DEFUPD_OK)
        return err->code == DEFUPD_E_NOMEM ? err->code : damaged(r, "path is not allowed", err);
    return DEFUPD_OK;
}

/* The line "sum SHA256HEX", and nothing after it. */
static defupd_code check_sum(struct reader *r, defupd_error *err)
{
    unsigned char stated[DU_SHA256_BYTES], real[DU_HASH_BYTES_MAX];
    bool end;

    du_hash_final(&r->hash, real);
    if (!du_unhex(stated, sizeof stated, r->line + 4) || memcmp(stated, real, sizeof stated) != 0)
        return damaged(r, "checksum differs", err);
    DU_TRY(next_line(r, &end, err));
    return end ? DEFUPD_OK : damaged(r, "something follows the checksum", err);
}

static defupd_code read_lines(struct reader *r, const char *component, uint64_t version,
                              struct du_record *record, defupd_error *err)
{
    unsigned char digest[DU_SHA256_BYTES];
    size_t cap = 0;
    bool end;

    DU_TRY(next_line(r, &end, err));
    if (end)
        return damaged(r, "empty", err);
    du_hash_update(&r->hash, r->line, r->len);
    du_hash_update(&r->hash, "\n", 1);
    DU_TRY(parse_header(r, component, version, record->tree, err));
    while (true) {
        DU_TRY(next_line(r, &end, err));
        if (end)
            return damaged(r, "cut short", err);
        if (strncmp(r->line, "sum ", 4) == 0)
            break;
        du_hash_update(&r->hash, r->line, r->len);
        du_hash_update(&r->hash, "\n", 1);
        DU_TRY(parse_file(r, record, &cap, err));
    }
    DU_TRY(check_sum(r, err));
    if (du_index_seal(&record->index, err) != DEFUPD_OK)
        return err->code == DEFUPD_E_NOMEM ? err->code : damaged(r, err->message, err);
    du_index_digest(&record->index, digest);
    if (memcmp(digest, record->tree, sizeof digest) != 0)
        return damaged(r, "lines are not those of the tree that the header names", err);
    return DEFUPD_OK;
}

static defupd_code open_record(const struct du_store *store, const char *component,
                               uint64_t version, int *fd, defupd_error *err)
{
    DU_AUTO_FD dir = -1;
    char name[DU_VERSION_TEXT + 6];
    struct stat st;

    du_record_name(name, version);
    if (du_store_component_dir(store, component, false, &dir, err) != DEFUPD_OK) {
        if (!du_is_missing(err))
            return err->code;
    } else {
        DU_AUTO_FD opened = store->sys->openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
        if (opened >= 0) {
            if (fstat(opened, &st) != 0 || !S_ISREG(st.st_mode))
                return DU_FAIL(err, DEFUPD_E_STORE_CORRUPT, "versions/%s/%s is not a regular file",
                               component, name);
            *fd = du_take_fd(&opened);
            return DEFUPD_OK;
        }
        if (errno != ENOENT)
            return DU_FAIL_IO(err, "open versions/%s/%s", component, name);
    }
    return DU_FAIL(err, DEFUPD_E_NOT_INSTALLED, "%s %llu is not installed", component,
                   (unsigned long long)version);
}

static void start_reader(struct reader *r, const struct du_store *store, int fd, const char *what)
{
    r->sys = store->sys;
    r->what = what;
    r->fd = fd;
    r->at = r->have = r->len = 0;
    r->number = 0;
    du_hash_init(&r->hash, DU_SHA256);
}

defupd_code du_store_record(const struct du_store *store, const char *component, uint64_t version,
                            struct du_record *out, defupd_error *err)
{
    DU_AUTO_RECORD record = { 0 };
    DU_AUTO_FD fd = -1;
    char what[sizeof "versions//.index" + DU_NAME_MAX + DU_VERSION_TEXT];
    struct reader r;
    defupd_code rc;

    DU_TRY(open_record(store, component, version, &fd, err));
    (void)snprintf(what, sizeof what, "versions/%s/%llu.index", component,
                   (unsigned long long)version);
    start_reader(&r, store, fd, what);
    rc = read_lines(&r, component, version, &record, err);
    du_hash_free(&r.hash);
    DU_TRY(rc);
    *out = record;
    record = (struct du_record){ 0 };
    return DEFUPD_OK;
}

defupd_code du_record_tree(const struct du_store *store, const char *component, uint64_t version,
                           unsigned char tree[DU_SHA256_BYTES], defupd_error *err)
{
    DU_AUTO_FD fd = -1;
    char what[sizeof "versions//.index" + DU_NAME_MAX + DU_VERSION_TEXT];
    struct reader r;
    defupd_code rc;
    bool end;

    DU_TRY(open_record(store, component, version, &fd, err));
    (void)snprintf(what, sizeof what, "versions/%s/%llu.index", component,
                   (unsigned long long)version);
    start_reader(&r, store, fd, what);
    rc = next_line(&r, &end, err);
    if (rc == DEFUPD_OK)
        rc = end ? damaged(&r, "empty", err) : parse_header(&r, component, version, tree, err);
    du_hash_free(&r.hash);
    return rc;
}

/* --- comparing --- */

static bool mtime_ns(const struct stat *st, int64_t *out)
{
    int64_t ns;

    if (__builtin_mul_overflow((int64_t)st->st_mtim.tv_sec, 1000000000, &ns) ||
        __builtin_add_overflow(ns, (int64_t)st->st_mtim.tv_nsec, &ns))
        return false;
    *out = ns;
    return true;
}

/* Type, size and mode are what the index says, down to the last bit. */
static bool shape_is(const struct stat *st, const struct du_file *file)
{
    return S_ISREG(st->st_mode) && (st->st_mode & 07777) == (file->exec ? 0755 : 0644) &&
           (uint64_t)st->st_size == file->size;
}

bool du_record_holds(const struct du_record *record, const struct du_file *file,
                     struct du_place *place)
{
    const struct du_file *known = du_index_find(&record->index, file->path);
    defupd_error ignored;
    const char *name;
    struct stat st;
    int64_t ns;
    int dir;

    if (known == NULL || known->size != file->size || known->exec != file->exec ||
        memcmp(known->sha256, file->sha256, sizeof file->sha256) != 0)
        return false;
    if (du_place_parent(place, file->path, false, &dir, &name, &ignored) != DEFUPD_OK ||
        fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !mtime_ns(&st, &ns))
        return false;
    const struct du_record_file *facts = &record->file[known - record->index.file];
    return shape_is(&st, file) && (uint64_t)st.st_ino == facts->inode && ns == facts->mtime_ns;
}

/* --- writing --- */

struct writer {
    const struct du_sys *sys;
    const char *name;
    int fd;
    struct du_buf buf;
    struct du_hash hash;
};

enum { WRITE_AT = 48 * 1024 };

static defupd_code flush(struct writer *w, defupd_error *err)
{
    du_hash_update(&w->hash, w->buf.data, w->buf.len);
    DU_TRY(du_write_all(w->sys, w->fd, w->buf.data, w->buf.len, w->name, err));
    du_buf_clear(&w->buf);
    return DEFUPD_OK;
}

static defupd_code write_file_line(struct writer *w, struct du_place *place,
                                   const struct du_file *file, defupd_error *err)
{
    char hex[DU_SHA256_HEX + 1];
    const char *name;
    struct stat st;
    int64_t ns;
    int dir;

    /* Something else than a folder on the way is TREE_FORBIDDEN there. */
    if (du_place_parent(place, file->path, false, &dir, &name, err) != DEFUPD_OK)
        return du_is_missing(err) || err->code == DEFUPD_E_TREE_FORBIDDEN
                   ? DU_FAIL(err, DEFUPD_E_DAMAGED, "'%s' is missing", file->path)
                   : err->code;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? DU_FAIL(err, DEFUPD_E_DAMAGED, "'%s' is missing", file->path)
                               : DU_FAIL_IO(err, "look at '%s'", file->path);
    if (!shape_is(&st, file) || !mtime_ns(&st, &ns))
        return DU_FAIL(err, DEFUPD_E_DAMAGED, "'%s' has another size, mode or kind", file->path);
    du_hex(hex, file->sha256, sizeof file->sha256);
    DU_TRY(du_buf_printf(&w->buf, err, "%s %llu %c %llu %lld %s\n", hex,
                         (unsigned long long)file->size, file->exec ? 'x' : '-',
                         (unsigned long long)st.st_ino, (long long)ns, file->path));
    return w->buf.len >= WRITE_AT ? flush(w, err) : DEFUPD_OK;
}

static defupd_code write_lines(struct writer *w, const char *component, uint64_t version,
                               const struct du_index *index, int root, defupd_error *err)
{
    DU_AUTO_PLACE place = { .dir = -1 };
    unsigned char digest[DU_HASH_BYTES_MAX];
    char hex[DU_SHA256_HEX + 1];

    du_index_digest(index, digest);
    du_hex(hex, digest, DU_SHA256_BYTES);
    DU_TRY(du_buf_printf(&w->buf, err, RECORD_WORD "%d %s %llu %s\n", DU_STORE_FORMAT, component,
                         (unsigned long long)version, hex));
    du_place_init(&place, w->sys, root);
    for (size_t i = 0; i < index->count; i++)
        DU_TRY(write_file_line(w, &place, &index->file[i], err));
    DU_TRY(flush(w, err));
    du_hash_final(&w->hash, digest);
    du_hex(hex, digest, DU_SHA256_BYTES);
    DU_TRY(du_buf_printf(&w->buf, err, "sum %s\n", hex));
    return du_write_all(w->sys, w->fd, w->buf.data, w->buf.len, w->name, err);
}

defupd_code du_record_write(const struct du_store *store, int dir, const char *name,
                            const char *component, uint64_t version, const struct du_index *index,
                            int root, defupd_error *err)
{
    const struct du_sys *sys = store->sys;
    DU_AUTO_FD fd = sys->openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0644);
    struct writer w = { .sys = sys, .name = name, .fd = fd, .buf = DU_BUF((size_t)64 * 1024) };
    defupd_code rc;

    if (fd < 0)
        return DU_FAIL_IO(err, "create %s", name);
    if (sys->fchmod(fd, 0644) != 0)
        return DU_FAIL_IO(err, "set the mode of %s", name);
    du_hash_init(&w.hash, DU_SHA256);
    rc = write_lines(&w, component, version, index, root, err);
    if (rc == DEFUPD_OK && sys->fsync(fd) != 0)
        rc = DU_FAIL_IO(err, "sync %s", name);
    du_hash_free(&w.hash);
    du_buf_free(&w.buf);
    return rc == DEFUPD_OK
               ? rc
               : du_err_prefix(err, "record of %s %llu", component, (unsigned long long)version);
}

/* --- listing --- */

defupd_code du_store_versions(const struct du_store *store, const char *component,
                              uint64_t **version, size_t *count, defupd_error *err)
{
    DU_AUTO_FREE uint64_t *found = NULL;
    DU_AUTO_FD dir = -1;
    size_t all, n = 0;

    *version = NULL;
    *count = 0;
    if (du_store_component_dir(store, component, false, &dir, err) != DEFUPD_OK)
        return du_is_missing(err) ? DEFUPD_OK : err->code;
    DU_TRY(du_store_numbers(store, dir, &found, &all, err));
    for (size_t i = 0; i < all; i++) {
        char folder[DU_VERSION_TEXT], record[DU_VERSION_TEXT + 6];
        struct stat st;

        /* One without the other is half a version: staged, swept or mended when a crash came. */
        du_version_name(folder, found[i]);
        du_record_name(record, found[i]);
        if (fstatat(dir, folder, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode) &&
            fstatat(dir, record, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
            found[n++] = found[i];
    }
    *version = du_take(&found);
    *count = n;
    return DEFUPD_OK;
}

defupd_code du_store_components(const struct du_store *store, struct du_names *names,
                                defupd_error *err)
{
    DU_AUTO_FD dir = -1;
    DU_AUTO_NAMES found = { 0 };
    size_t n = 0;

    *names = (struct du_names){ 0 };
    if (du_store_sub(store, "versions", &dir, err) != DEFUPD_OK)
        return du_is_missing(err) ? DEFUPD_OK : err->code;
    DU_TRY(du_dir_names(store->sys, dir, &found, err));
    for (size_t i = 0; i < found.count; i++) {
        struct stat st;
        if (du_name_ok(found.item[i]) &&
            fstatat(dir, found.item[i], &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode))
            found.item[n++] = found.item[i];
        else
            free(found.item[i]);
    }
    found.count = n;
    *names = found;
    found = (struct du_names){ 0 };
    return DEFUPD_OK;
}
