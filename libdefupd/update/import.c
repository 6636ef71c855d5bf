/* SPDX-License-Identifier: Apache-2.0 */
#include "update/import.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/name.h"
#include "base/scope.h"
#include "bundle/archive.h"
#include "crypto/crypto.h"
#include "sys/disk.h"
#include "trust/trust.h"

#define PIECE_BYTES (128U * 1024)

struct file {
    char *path;
    struct du_buf bytes;
};

struct du_import {
    const struct du_sys *sys;
    const char *name;
    uint64_t grace_s;
    struct du_tick tick;
    int fd, own; /* `own`: the same, when it was opened here */
    bool folder;

    /* Of an archive: */
    struct du_archive *archive;
    struct file *file; /* metadata and manifests */
    size_t files;
    size_t bytes;            /* of these together */
    struct du_member member; /* the one that was read last */
    bool at_object, at_end;
    unsigned char (*object)[DU_SHA256_BYTES]; /* sorted after the scan */
    size_t objects, room;
};

void du_import_freep(struct du_import **import)
{
    const int saved = errno;
    struct du_import *im = *import;

    *import = NULL;
    if (im == NULL)
        return;
    for (size_t i = 0; i < im->files; i++) {
        free(im->file[i].path);
        du_buf_free(&im->file[i].bytes);
    }
    free(im->file);
    free(im->object);
    du_archive_freep(&im->archive);
    du_fd_close(&im->own);
    free(im);
    errno = saved;
}

const char *du_import_name(const struct du_import *im)
{
    return im->name;
}

uint64_t du_import_grace_s(const struct du_import *im)
{
    return im->grace_s;
}

static defupd_code no_memory(const struct du_import *im, defupd_error *err)
{
    return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory to import %s", im->name);
}

static defupd_code refuse(const struct du_import *im, const char *why, defupd_error *err)
{
    return DU_FAIL(err, DEFUPD_E_ARCHIVE, "%s: '%.200s' %s", im->name, im->member.path, why);
}

/* --- what a path means --- */

static bool ends_with(const char *text, const char *end)
{
    const size_t len = strlen(text), tail = strlen(end);

    return len > tail && strcmp(text + len - tail, end) == 0;
}

/* "metadata/FILE.json" or "targets/COMPONENT/FILE.manifest.xml" */
static bool is_metadata(const char *path)
{
    const char *slash = strchr(path, '/');
    char component[DU_NAME_MAX + 1];
    const char *file;

    if (strncmp(path, "metadata/", 9) == 0)
        return strchr(path + 9, '/') == NULL && ends_with(path + 9, ".json");
    if (strncmp(path, "targets/", 8) != 0)
        return false;
    file = strchr(slash + 1, '/');
    if (file == NULL || file - (slash + 1) > DU_NAME_MAX || strchr(file + 1, '/') != NULL)
        return false;
    (void)snprintf(component, sizeof component, "%.*s", (int)(file - (slash + 1)), slash + 1);
    return du_name_ok(component) && ends_with(file + 1, "manifest.xml");
}

/* "objects/ab/abcd..." */
static bool is_object(const char *path, unsigned char sha256[DU_SHA256_BYTES])
{
    return strncmp(path, "objects/", 8) == 0 && strlen(path) == 11 + DU_SHA256_HEX &&
           path[10] == '/' && strncmp(path + 8, path + 11, 2) == 0 &&
           du_unhex(sha256, DU_SHA256_BYTES, path + 11);
}

/* --- metadata of an archive --- */

static struct file *find_file(const struct du_import *im, const char *path)
{
    for (size_t i = 0; i < im->files; i++) {
        if (strcmp(im->file[i].path, path) == 0)
            return &im->file[i];
    }
    return NULL;
}

static defupd_code keep(void *user, const void *bytes, size_t count, defupd_error *err)
{
    return du_buf_add(user, bytes, count, err);
}

static defupd_code keep_member(struct du_import *im, defupd_error *err)
{
    struct file *more;

    if (find_file(im, im->member.path) != NULL)
        return refuse(im, "is there twice", err);
    if (im->files == DU_IMPORT_FILES_MAX)
        return DU_FAIL(err, DEFUPD_E_ARCHIVE, "%s holds more than %d files of metadata", im->name,
                       DU_IMPORT_FILES_MAX);
    if (im->member.bytes > DU_TARGETS_MAX || im->member.bytes > DU_IMPORT_METADATA_MAX - im->bytes)
        return refuse(im, "is larger than metadata may be", err);
    more = reallocarray(im->file, im->files + 1, sizeof *more);
    if (more == NULL)
        return no_memory(im, err);
    im->file = more;
    more = &im->file[im->files];
    *more = (struct file){ .path = du_strdup(im->member.path), .bytes = DU_BUF(DU_TARGETS_MAX) };
    if (more->path == NULL)
        return no_memory(im, err);
    im->files++;
    im->bytes += (size_t)im->member.bytes;
    return du_archive_content(im->archive, keep, &more->bytes, err);
}

/* Up to the first object: what may follow is decided by what stands before it. */
static defupd_code read_metadata(struct du_import *im, defupd_error *err)
{
    unsigned char sha256[DU_SHA256_BYTES];

    for (;;) {
        DU_TRY(du_archive_next(im->archive, &im->member, &im->at_end, err));
        if (im->at_end)
            break;
        im->at_object = is_object(im->member.path, sha256);
        if (im->at_object)
            break;
        if (!is_metadata(im->member.path))
            return refuse(im, "is no part of a repository", err);
        DU_TRY(keep_member(im, err));
    }
    if (find_file(im, "metadata/timestamp.json") == NULL)
        return DU_FAIL(err, DEFUPD_E_ARCHIVE,
                       "%s holds no repository: metadata/timestamp.json is not there, or comes "
                       "after objects",
                       im->name);
    return DEFUPD_OK;
}

static defupd_code open_folder(struct du_import *im, defupd_error *err)
{
    struct stat st;

    im->folder = true;
    if (fstatat(im->fd, "metadata/timestamp.json", &st, AT_SYMLINK_NOFOLLOW) != 0 &&
        errno != ENOENT)
        return DU_FAIL_IO(err, "look into folder %s", im->name);
    if (fstatat(im->fd, "metadata/timestamp.json", &st, AT_SYMLINK_NOFOLLOW) != 0)
        return DU_FAIL(err, DEFUPD_E_ARCHIVE,
                       "folder %s holds no repository: metadata/timestamp.json is not there",
                       im->name);
    return DEFUPD_OK;
}

static defupd_code open_all(struct du_import *im, const defupd_import *from, defupd_error *err)
{
    struct stat st;

    if (from->fd < 0) {
        im->own = im->sys->openat(AT_FDCWD, from->path, O_RDONLY | O_NONBLOCK, 0);
        if (im->own < 0)
            return DU_FAIL_IO(err, "open %s", im->name);
    }
    im->fd = from->fd < 0 ? im->own : from->fd;
    if (fstat(im->fd, &st) != 0)
        return DU_FAIL_IO(err, "look at %s", im->name);
    if (S_ISDIR(st.st_mode))
        return open_folder(im, err);
    DU_TRY(du_archive_open(&im->archive, im->sys, im->fd, im->name, &im->tick, err));
    return read_metadata(im, err);
}

defupd_code du_import_open(struct du_import **out, const struct du_sys *sys,
                           const defupd_import *from, const struct du_tick *tick, defupd_error *err)
{
    DU_AUTO(du_import_freep) struct du_import *im = calloc(1, sizeof *im);

    if (im == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for an import");
    im->sys = sys;
    im->name = from->path;
    im->grace_s = from->grace_s;
    im->tick = *tick;
    im->own = -1;
    DU_TRY(open_all(im, from, err));
    *out = du_take(&im);
    return DEFUPD_OK;
}

/* --- reading --- */

/* A path of a few parts below the folder, through no link; *dir yours. */
static defupd_code open_parent(const struct du_import *im, const char *path, int *dir,
                               const char **name, defupd_error *err)
{
    DU_AUTO_FD at = -1;
    const char *slash;

    while ((slash = strchr(path, '/')) != NULL) {
        char part[DU_PART_MAX + 1];
        int next;

        (void)snprintf(part, sizeof part, "%.*s", (int)(slash - path), path);
        DU_TRY(du_dir_open(im->sys, at >= 0 ? at : im->fd, part, false, 0, &next, err));
        du_fd_close(&at);
        at = next;
        path = slash + 1;
    }
    *name = path;
    *dir = du_take_fd(&at);
    return DEFUPD_OK;
}

static defupd_code load_below(const struct du_import *im, const char *path, size_t max,
                              struct du_buf *out, bool *found, defupd_error *err)
{
    DU_AUTO_BUF bytes = DU_BUF(max);
    DU_AUTO_FD dir = -1;
    const char *name;
    defupd_code rc = open_parent(im, path, &dir, &name, err);

    if (rc == DEFUPD_OK)
        rc = du_file_read(im->sys, dir, name, &bytes, err);
    if (rc != DEFUPD_OK && du_is_missing(err))
        return DEFUPD_OK;
    if (rc == DEFUPD_E_LIMIT)
        return DU_FAIL(err, DEFUPD_E_TOOLARGE, "%s: more than %zu bytes", path, max);
    DU_TRY(rc);
    *found = true;
    return bytes.len > 0 ? du_buf_add(out, bytes.data, bytes.len, err) : DEFUPD_OK;
}

defupd_code du_import_load(struct du_import *im, const char *path, size_t max, struct du_buf *out,
                           bool *found, defupd_error *err)
{
    const struct file *file;

    *found = false;
    if (du_path_why_bad(path) != NULL)
        return DU_FAIL(err, DEFUPD_E_BUG, "path \"%s\" %s", path, du_path_why_bad(path));
    if (im->folder)
        return load_below(im, path, max, out, found, err);
    file = find_file(im, path);
    if (file == NULL)
        return DEFUPD_OK;
    if (file->bytes.len > max)
        return DU_FAIL(err, DEFUPD_E_TOOLARGE, "%s: more than %zu bytes", path, max);
    *found = true;
    return file->bytes.len > 0 ? du_buf_add(out, file->bytes.data, file->bytes.len, err)
                               : DEFUPD_OK;
}

/* --- objects --- */

static int compare(const void *a, const void *b)
{
    return memcmp(a, b, DU_SHA256_BYTES);
}

static defupd_code note_object(struct du_import *im, const unsigned char sha256[DU_SHA256_BYTES],
                               defupd_error *err)
{
    if (im->objects == im->room) {
        const size_t room = im->room > 0 ? 2 * im->room : 64;
        unsigned char(*more)[DU_SHA256_BYTES] = reallocarray(im->object, room, sizeof *more);

        if (more == NULL)
            return no_memory(im, err);
        im->object = more;
        im->room = room;
    }
    memcpy(im->object[im->objects++], sha256, DU_SHA256_BYTES);
    return DEFUPD_OK;
}

static defupd_code check_twice(const struct du_import *im, defupd_error *err)
{
    char hex[DU_SHA256_HEX + 1];

    for (size_t i = 1; i < im->objects; i++) {
        if (memcmp(im->object[i - 1], im->object[i], DU_SHA256_BYTES) != 0)
            continue;
        du_hex(hex, im->object[i], DU_SHA256_BYTES);
        return DU_FAIL(err, DEFUPD_E_ARCHIVE, "%s: object %s is there twice", im->name, hex);
    }
    return DEFUPD_OK;
}

defupd_code du_import_scan(struct du_import *im,
                           uint64_t (*named)(void *user, const unsigned char *sha256), void *user,
                           defupd_error *err)
{
    unsigned char sha256[DU_SHA256_BYTES];

    if (im->folder)
        return DEFUPD_OK; /* each is looked at when it is wanted */
    while (!im->at_end) {
        uint64_t bytes;

        if (!is_object(im->member.path, sha256))
            return refuse(im,
                          is_metadata(im->member.path) ? "comes after objects, where no metadata "
                                                         "may stand"
                                                       : "is no part of a repository",
                          err);
        bytes = named(user, sha256);
        if (bytes != UINT64_MAX && bytes != im->member.bytes)
            return DU_FAIL(err, DEFUPD_E_ARCHIVE,
                           "%s: '%.200s' has %" PRIu64 " bytes, %" PRIu64 " are signed", im->name,
                           im->member.path, im->member.bytes, bytes);
        if (bytes != UINT64_MAX)
            DU_TRY(note_object(im, sha256, err));
        DU_TRY(du_archive_next(im->archive, &im->member, &im->at_end, err));
    }
    if (im->objects > 0)
        qsort(im->object, im->objects, sizeof *im->object, compare);
    return check_twice(im, err);
}

static void path_of(char path[80], const struct du_object *object)
{
    char hex[DU_SHA256_HEX + 1];

    du_hex(hex, object->sha256, DU_SHA256_BYTES);
    (void)snprintf(path, 80, "objects/%.2s/%s", hex, hex);
}

/* *fd yours. */
static defupd_code open_below(const struct du_import *im, const struct du_object *object, int *fd,
                              defupd_error *err)
{
    DU_AUTO_FD dir = -1;
    const char *name;
    char path[80];

    path_of(path, object);
    DU_TRY(open_parent(im, path, &dir, &name, err));
    *fd = im->sys->openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
    return *fd >= 0 ? DEFUPD_OK : DU_FAIL_IO(err, "open %s", path);
}

bool du_import_has(const struct du_import *im, const struct du_object *object)
{
    DU_AUTO_FD fd = -1;
    defupd_error ignored;
    struct stat st;

    if (!im->folder)
        return im->objects > 0 && bsearch(object->sha256, im->object, im->objects,
                                          sizeof *im->object, compare) != NULL;
    return open_below(im, object, &fd, &ignored) == DEFUPD_OK && fstat(fd, &st) == 0 &&
           S_ISREG(st.st_mode) && (uint64_t)st.st_size == object->bytes;
}

struct copy {
    const struct du_sys *sys;
    int fd;
    const char *what;
    uint64_t left;
    struct du_hash hash;
};

static void copy_end(struct copy *copy)
{
    du_hash_free(&copy->hash);
}

static defupd_code copy_piece(void *user, const void *bytes, size_t count, defupd_error *err)
{
    struct copy *copy = user;

    if (count > copy->left)
        return DU_FAIL(err, DEFUPD_E_DIGEST, "%s: more bytes than are signed", copy->what);
    DU_TRY(du_write_all(copy->sys, copy->fd, bytes, count, copy->what, err));
    du_hash_update(&copy->hash, bytes, count);
    copy->left -= count;
    return DEFUPD_OK;
}

static defupd_code not_there(const struct du_import *im, const char *what, defupd_error *err)
{
    return DU_FAIL(err, DEFUPD_E_NOT_DOWNLOADED, "%s is not in %s", what, im->name);
}

/* From where the reader stands to the end, then once more from the beginning: in the order of an
 * export most objects are found on one way through. */
static defupd_code seek_member(struct du_import *im, const struct du_object *object,
                               const char *what, defupd_error *err)
{
    char path[80];

    path_of(path, object);
    for (int round = 0; round < 2; round++) {
        if (im->at_end) {
            DU_TRY(du_archive_rewind(im->archive, err));
            im->at_end = false;
        }
        for (;;) {
            DU_TRY(du_archive_next(im->archive, &im->member, &im->at_end, err));
            if (im->at_end)
                break;
            if (strcmp(im->member.path, path) == 0)
                return DEFUPD_OK;
        }
    }
    return not_there(im, what, err);
}

static defupd_code copy_below(struct du_import *im, const struct du_object *object,
                              struct copy *copy, defupd_error *err)
{
    DU_AUTO_FREE unsigned char *piece = malloc(PIECE_BYTES);
    DU_AUTO_FD fd = -1;

    if (piece == NULL)
        return no_memory(im, err);
    if (open_below(im, object, &fd, err) != DEFUPD_OK)
        return du_is_missing(err) ? not_there(im, copy->what, err) : err->code;
    for (uint64_t at = 0;;) {
        const ssize_t got = im->sys->pread(fd, piece, PIECE_BYTES, (off_t)at);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return DU_FAIL_IO(err, "read %s", im->name);
        if (got == 0)
            return DEFUPD_OK;
        DU_TRY(copy_piece(copy, piece, (size_t)got, err));
        if (im->tick.fn != NULL)
            DU_TRY(im->tick.fn(im->tick.user, (uint64_t)got, err));
        at += (uint64_t)got;
    }
}

defupd_code du_import_object(struct du_import *im, const struct du_object *object, const char *what,
                             int fd, defupd_error *err)
{
    DU_AUTO(copy_end)
    struct copy copy = { .sys = im->sys, .fd = fd, .what = what, .left = object->bytes };
    char got[DU_SHA256_HEX + 1], want[DU_SHA256_HEX + 1];
    unsigned char sha256[DU_SHA256_BYTES];

    du_hash_init(&copy.hash, DU_SHA256);
    if (im->folder) {
        DU_TRY(copy_below(im, object, &copy, err));
    } else {
        DU_TRY(seek_member(im, object, what, err));
        DU_TRY(du_archive_content(im->archive, copy_piece, &copy, err));
    }
    du_hash_final(&copy.hash, sha256);
    if (copy.left == 0 && du_mem_equal(sha256, object->sha256, DU_SHA256_BYTES))
        return DEFUPD_OK;
    du_hex(got, sha256, DU_SHA256_BYTES);
    du_hex(want, object->sha256, DU_SHA256_BYTES);
    return DU_FAIL(err, DEFUPD_E_DIGEST, "%s: its object in %s has SHA-256 %s, signed is %s", what,
                   im->name, got, want);
}
