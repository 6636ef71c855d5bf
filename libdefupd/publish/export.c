/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A repository, or a part of it, as one file for hosts without a network (docs/formats/archive.md):
 * metadata first, so that a reader knows by signatures what may follow, then objects. Readers of a
 * repository need no lock, and neither does this: all is found from one timestamp on, as a client
 * finds it, and what that names stays for days.
 */
#include "publish/export.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bundle/archive.h"
#include "tree/tree.h"

#define CHUNK_BYTES (128U * 1024)
#define SINCE_MAX 1024

struct since {
    char component[DU_NAME_MAX + 1]; /* "": the only one there is */
    uint64_t version;
    bool used;
};

struct job {
    const struct defupd_repo *repo;
    defupd_repo_archive *to;
    struct du_dirs dirs;
    struct du_state state;
    struct du_receipt receipt;
    bool by_receipt;
    struct since *since;
    size_t sinces;
    struct du_names components;
    struct du_picks picks;
    uint64_t total; /* bytes of the objects that were picked */
    struct du_archive_writer *writer;
    bool no_memory;
};

static void job_end(struct job *e)
{
    du_archive_writer_freep(&e->writer);
    du_picks_free(&e->picks);
    du_names_free(&e->components);
    free(e->since);
    du_receipt_free(&e->receipt);
    du_state_free(&e->state);
    du_dirs_close(&e->dirs);
}

/* --- what is asked for --- */

static defupd_code form_of(const char *file, enum du_archive_form *form, defupd_error *err)
{
    static const struct {
        const char *end;
        enum du_archive_form form;
    } known[] = { { ".zip", DU_ARCHIVE_ZIP },
                  { ".tar", DU_ARCHIVE_TAR },
                  { ".tar.zst", DU_ARCHIVE_TAR_ZST } };
    const size_t len = strlen(file);

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        const size_t end = strlen(known[i].end);
        if (len > end && file[len - end - 1] != '/' &&
            strcmp(file + len - end, known[i].end) == 0) {
            *form = known[i].form;
            return DEFUPD_OK;
        }
    }
    return DU_FAIL(err, DEFUPD_E_INVALID, "%s: the name ends in none of .zip, .tar and .tar.zst",
                   file);
}

static defupd_code read_since(struct job *e, defupd_error *err)
{
    size_t count = 0;

    while (e->to->since != NULL && e->to->since[count] != NULL)
        count++;
    if (count > SINCE_MAX)
        return DU_FAIL(err, DEFUPD_E_INVALID, "more than %d versions are named", SINCE_MAX);
    e->since = calloc(count + 1, sizeof *e->since);
    if (e->since == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a request");
    for (; e->sinces < count; e->sinces++) {
        const char *word = e->to->since[e->sinces];
        struct since *since = &e->since[e->sinces];

        if (du_version_parse(word, &since->version) && count == 1)
            continue;
        if (!du_component_parse(word, since->component, &since->version) || since->version == 0)
            return DU_FAIL(err, DEFUPD_E_INVALID, "'%s' is not %sNAME@VERSION", word,
                           count == 1 ? "a version, nor " : "");
        for (size_t i = 0; i < e->sinces; i++) {
            if (strcmp(e->since[i].component, since->component) == 0)
                return DU_FAIL(err, DEFUPD_E_INVALID, "%s is named twice", since->component);
        }
    }
    return DEFUPD_OK;
}

static defupd_code read_receipt(struct job *e, defupd_error *err)
{
    DU_AUTO_BUF bytes = DU_BUF(DU_RECEIPT_BYTES_MAX);
    const char *file = e->to->posture_file;
    defupd_code rc;

    if (file == NULL)
        return DEFUPD_OK;
    if (e->sinces > 0)
        return DU_FAIL(err, DEFUPD_E_INVALID, "a posture and versions contradict each other");
    rc = du_pending_read_file(e->repo, file, &bytes, err);
    if (rc == DEFUPD_E_LIMIT)
        return DU_FAIL(err, DEFUPD_E_RECEIPT, "%s has more than %u bytes", file,
                       DU_RECEIPT_BYTES_MAX);
    DU_TRY(rc);
    e->by_receipt = true;
    return du_receipt_parse(&e->receipt, du_buf_bytes(&bytes), file, err);
}

/* --- what is there --- */

static void remember(void *user, const char *name)
{
    struct job *e = user;
    struct du_names *names = &e->components;
    char *copy = du_strdup(name);
    char **more = reallocarray(names->item, names->count + 1, sizeof *names->item);

    if (more != NULL)
        names->item = more;
    if (more == NULL || copy == NULL) {
        free(copy);
        e->no_memory = true;
        return;
    }
    names->item[names->count++] = copy;
}

static defupd_code load(struct job *e, defupd_error *err)
{
    DU_TRY(du_dirs_open(e->repo, &e->dirs, false, err));
    DU_TRY(du_state_load(e->repo, &e->dirs, &e->state, err));
    DU_TRY(du_trust_components(e->state.trust, remember, e, err));
    if (e->no_memory)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for the components");
    return DEFUPD_OK;
}

static struct since *since_of(const struct job *e, const char *component)
{
    for (size_t i = 0; i < e->sinces; i++) {
        if (e->since[i].component[0] == '\0' || strcmp(e->since[i].component, component) == 0)
            return &e->since[i];
    }
    return NULL;
}

static defupd_code check_since(const struct job *e, defupd_error *err)
{
    if (e->sinces == 1 && e->since[0].component[0] == '\0' && e->components.count > 1)
        return DU_FAIL(err, DEFUPD_E_INVALID,
                       "%" PRIu64 ": the repository has %zu components, so say NAME@VERSION",
                       e->since[0].version, e->components.count);
    for (size_t i = 0; i < e->sinces; i++) {
        if (!e->since[i].used)
            return DU_FAIL(err, DEFUPD_E_INVALID, "the repository has no component %s",
                           e->since[i].component);
    }
    return DEFUPD_OK;
}

/* --- what goes in --- */

static defupd_code pick_component(struct job *e, const char *component,
                                  const struct du_manifest *manifest, defupd_repo_part *part,
                                  struct du_picked *picked, defupd_error *err)
{
    const struct du_receipt_item *host =
        e->by_receipt ? du_receipt_find(&e->receipt, component) : NULL;
    const struct du_receipt_item nothing = { .version = 0 };
    const struct since *since = since_of(e, component);

    if (since != NULL) {
        part->from = since->version;
        return du_pick_since(&e->picks, manifest, since->version, picked, err);
    }
    if (!e->by_receipt)
        return du_pick_all(&e->picks, manifest, picked, err);
    if (host != NULL && host->disabled) {
        (void)snprintf(picked->how, sizeof picked->how, "switched off on that host");
        return DEFUPD_OK;
    }
    /* One that the host has not heard of is new, and it may want it. */
    part->from = host != NULL ? host->version : 0;
    return du_pick_path(&e->picks, manifest, host != NULL ? host : &nothing, picked, err);
}

static defupd_code pick(struct job *e, const char *component, defupd_error *err)
{
    DU_AUTO_MANIFEST *manifest = NULL;
    const size_t before = e->picks.count;
    struct du_picked picked = { 0 };
    defupd_repo_part part = { .struct_size = sizeof part, .component = component };

    DU_TRY(du_state_manifest(e->repo, &e->dirs, &e->state, component, &manifest, err));
    if (manifest != NULL)
        DU_TRY(pick_component(e, component, manifest, &part, &picked, err));
    else
        (void)snprintf(picked.how, sizeof picked.how, "no release yet");
    for (size_t i = before; i < e->picks.count; i++)
        part.bytes += e->picks.object[i].bytes; /* each is below 2^53 */
    part.objects = (uint32_t)(e->picks.count - before);
    part.newest = picked.newest;
    part.how = picked.how;
    e->total += part.bytes;
    if (e->to->on_part != NULL)
        e->to->on_part(e->to->user, &part);
    return DEFUPD_OK;
}

/* A host may have what this repository does not: it follows several, or this is the wrong one. */
static void tell_strangers(const struct job *e)
{
    for (size_t i = 0; i < e->receipt.count; i++) {
        const struct du_receipt_item *item = &e->receipt.item[i];
        bool known = false;

        for (size_t k = 0; k < e->components.count; k++)
            known = known || strcmp(e->components.item[k], item->component) == 0;
        if (!known && item->version != 0)
            du_repo_say(e->repo, "warning: that host has %s, which this repository does not offer",
                        item->component);
    }
}

/* --- writing --- */

static defupd_code put_bytes(struct job *e, const char *path, struct du_bytes bytes,
                             defupd_error *err)
{
    e->to->files++;
    DU_TRY(du_repo_go_on(e->repo, err));
    DU_TRY(du_archive_member(e->writer, path, bytes.len, err));
    return bytes.len > 0 ? du_archive_put(e->writer, bytes.data, bytes.len, err) : DEFUPD_OK;
}

static defupd_code put_metadata(struct job *e, const char *file, size_t max, defupd_error *err)
{
    DU_AUTO_BUF bytes = DU_BUF(max);
    char path[sizeof "metadata/" + DU_PART_MAX];

    (void)snprintf(path, sizeof path, "metadata/%s", file);
    if (du_file_read(e->repo->sys, e->dirs.metadata, file, &bytes, err) != DEFUPD_OK)
        return du_err_prefix(err, "repository %s: metadata", e->repo->dir_path);
    return put_bytes(e, path, du_buf_bytes(&bytes), err);
}

static defupd_code put_roots(struct job *e, defupd_error *err)
{
    const uint64_t last = e->state.set.doc[DU_ROLE_ROOT].version;
    char file[DU_META_NAME];

    for (uint64_t n = 1; n <= last; n++) {
        du_role_file(file, "root", n);
        DU_TRY(put_metadata(e, file, DU_ROOT_MAX, err));
    }
    return DEFUPD_OK;
}

/* Everything that the snapshot states, also roles that other tools have delegated. */
static defupd_code put_stated(struct job *e, defupd_error *err)
{
    const struct du_json *meta = du_json_object(du_state_part(&e->state, "snapshot"), "meta");

    for (void *i = du_json_first(meta); i != NULL; i = du_json_next(meta, i)) {
        const char *name = du_json_iter_key(i);
        char file[DU_PART_MAX + 1];
        int64_t version;
        int len;

        if (!du_json_int(du_json_iter_value(i), "version", &version))
            return DU_FAIL(err, DEFUPD_E_REPO, "the snapshot states no version of %s", name);
        len = snprintf(file, sizeof file, "%" PRId64 ".%s", version, name);
        if (len < 0 || (size_t)len >= sizeof file || strchr(name, '/') != NULL)
            return DU_FAIL(err, DEFUPD_E_REPO,
                           "the snapshot states a role '%.100s', which is no "
                           "file's name",
                           name);
        DU_TRY(put_metadata(e, file, DU_TARGETS_MAX, err));
    }
    return DEFUPD_OK;
}

static defupd_code put_manifest(struct job *e, const char *component, defupd_error *err)
{
    DU_AUTO_BUF path = DU_BUF(512), bytes = DU_BUF(DU_MANIFEST_BYTES_MAX);
    struct du_verified verified;

    DU_TRY(du_state_manifest_bytes(e->repo, &e->dirs, &e->state, component, &path, &bytes,
                                   &verified, err));
    return path.len > 0 ? put_bytes(e, du_buf_text(&path), du_buf_bytes(&bytes), err) : DEFUPD_OK;
}

/* The timestamp last of the metadata, as it is published, and as it was read: the file may be the
 * next one by now. */
static defupd_code put_all_metadata(struct job *e, defupd_error *err)
{
    const struct du_role_doc *snapshot = &e->state.set.doc[DU_ROLE_SNAPSHOT];
    char file[DU_META_NAME], path[2 * DU_META_NAME];

    DU_TRY(put_roots(e, err));
    for (size_t i = 0; i < e->components.count; i++)
        DU_TRY(put_manifest(e, e->components.item[i], err));
    DU_TRY(put_stated(e, err));
    du_role_file(file, "snapshot", snapshot->version);
    (void)snprintf(path, sizeof path, "metadata/%s", file);
    DU_TRY(put_bytes(e, path, du_buf_bytes(&snapshot->bytes), err));
    return put_bytes(e, "metadata/timestamp.json",
                     du_buf_bytes(&e->state.set.doc[DU_ROLE_TIMESTAMP].bytes), err);
}

/* Hashed on its way: what is not what is signed does not leave the house. */
static defupd_code copy_object(struct job *e, int fd, const struct du_object *object,
                               const char *path, const struct du_tick *tick, unsigned char *chunk,
                               defupd_error *err)
{
    const struct du_sys *sys = e->repo->sys;
    unsigned char sha256[DU_SHA256_BYTES];
    uint64_t left = object->bytes;
    DU_AUTO_HASH hash;

    du_hash_init(&hash, DU_SHA256);
    for (uint64_t at = 0; left > 0;) {
        const size_t want = left < CHUNK_BYTES ? (size_t)left : CHUNK_BYTES;
        const ssize_t got = sys->pread(fd, chunk, want, (off_t)at);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return DU_FAIL_IO(err, "read %s", path);
        if (got == 0)
            break;
        du_hash_update(&hash, chunk, (size_t)got);
        DU_TRY(du_archive_put(e->writer, chunk, (size_t)got, err));
        DU_TRY(tick->fn(tick->user, (uint64_t)got, err));
        at += (uint64_t)got;
        left -= (uint64_t)got;
    }
    du_hash_final(&hash, sha256);
    if (left > 0 || memcmp(sha256, object->sha256, DU_SHA256_BYTES) != 0)
        return DU_FAIL(
            err, DEFUPD_E_REPO,
            "repository %s: %s is not what is signed: 'defupd-publish verify' tells more",
            e->repo->dir_path, path);
    return DEFUPD_OK;
}

static defupd_code put_object(struct job *e, const struct du_object *object,
                              const struct du_tick *tick, unsigned char *chunk, defupd_error *err)
{
    char hex[DU_SHA256_HEX + 1], path[sizeof "objects/ab/" + DU_SHA256_HEX];
    DU_AUTO_FD fd = -1;

    du_hex(hex, object->sha256, DU_SHA256_BYTES);
    (void)snprintf(path, sizeof path, "objects/%.2s/%s", hex, hex);
    if (du_object_open(e->repo, &e->dirs, object, &fd, err) != DEFUPD_OK) {
        if (du_is_missing(err))
            return DU_FAIL(err, DEFUPD_E_REPO, "repository %s: %s is not there", e->repo->dir_path,
                           path);
        return err->code;
    }
    e->to->files++;
    e->to->objects++;
    e->to->object_bytes += object->bytes;
    DU_TRY(du_archive_member(e->writer, path, object->bytes, err));
    return copy_object(e, fd, object, path, tick, chunk, err);
}

static defupd_code put_objects(struct job *e, defupd_error *err)
{
    DU_AUTO_FREE unsigned char *chunk = malloc(CHUNK_BYTES);
    struct du_task task;

    if (chunk == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory to write an archive");
    du_task_start(&task, e->repo, DEFUPD_REPO_EXPORTING, "", 0, e->total);
    for (size_t i = 0; i < e->picks.count; i++)
        DU_TRY(put_object(e, &e->picks.object[i], &task.tick, chunk, err));
    return DEFUPD_OK;
}

static defupd_code write_all(struct job *e, int fd, enum du_archive_form form, defupd_error *err)
{
    DU_TRY(du_archive_writer_new(&e->writer, e->repo->sys, fd, form, err));
    DU_TRY(put_all_metadata(e, err));
    DU_TRY(put_objects(e, err));
    DU_TRY(du_archive_finish(e->writer, &e->to->bytes, err));
    if (e->repo->sys->fsync(fd) != 0)
        return DU_FAIL_IO(err, "sync the archive");
    return DEFUPD_OK;
}

/* A crash leaves what stood there, and perhaps NAME.tmp, which the next call replaces. */
static defupd_code write_beside(struct job *e, int dir, const char *name, enum du_archive_form form,
                                defupd_error *err)
{
    const struct du_sys *sys = e->repo->sys;
    DU_AUTO_FREE char *tmp = NULL;
    DU_AUTO_FD fd = -1;
    defupd_code rc;

    if (asprintf(&tmp, "%s.tmp", name) < 0) {
        tmp = NULL;
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a path");
    }
    fd = sys->openat(dir, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK, 0644);
    if (fd < 0) {
        const defupd_code code = du_err_io_code(errno);
        return DU_FAIL_ERRNO(err, code == DEFUPD_E_IO ? DEFUPD_E_CANNOT_CREATE : code, "create %s",
                             tmp);
    }
    rc = write_all(e, fd, form, err);
    if (rc == DEFUPD_OK && sys->renameat(dir, tmp, dir, name) != 0)
        rc = DU_FAIL_IO(err, "rename %s", tmp);
    if (rc != DEFUPD_OK) {
        (void)sys->unlinkat(dir, tmp, 0);
        return rc;
    }
    return du_dir_sync(sys, dir, name, err);
}

static defupd_code write_file(struct job *e, enum du_archive_form form, defupd_error *err)
{
    const char *name, *file = e->to->file;
    DU_AUTO_FD dir = -1;

    DU_TRY(du_pending_open_parent(e->repo->sys, file, &dir, &name, err));
    if (write_beside(e, dir, name, form, err) != DEFUPD_OK)
        return strncmp(err->message, "repository", 10) == 0 || err->code == DEFUPD_E_CANCELLED
                   ? err->code
                   : du_err_prefix(err, "%s", file);
    return DEFUPD_OK;
}

static defupd_code export_all(struct job *e, defupd_error *err)
{
    enum du_archive_form form = DU_ARCHIVE_ZIP;

    DU_TRY(form_of(e->to->file, &form, err));
    DU_TRY(read_since(e, err));
    DU_TRY(read_receipt(e, err));
    DU_TRY(load(e, err));
    for (size_t i = 0; i < e->components.count; i++) {
        struct since *since = since_of(e, e->components.item[i]);
        if (since != NULL)
            since->used = true;
    }
    DU_TRY(check_since(e, err));
    for (size_t i = 0; i < e->components.count; i++)
        DU_TRY(pick(e, e->components.item[i], err));
    tell_strangers(e);
    return write_file(e, form, err);
}

defupd_code defupd_repo_export_offline(defupd_repo *repo, defupd_repo_archive *archive,
                                       defupd_error *error)
{
    defupd_error scratch, *err = error != NULL ? error : &scratch;
    DU_AUTO(job_end) struct job e = { .repo = repo, .to = archive, .dirs = DU_DIRS };

    if (repo == NULL)
        return DU_FAIL(err, DEFUPD_E_INVALID, "no repository");
    if (archive == NULL || archive->struct_size != sizeof *archive)
        return DU_FAIL(err, DEFUPD_E_INVALID, "request is from another version of the header");
    if (archive->file == NULL)
        return DU_FAIL(err, DEFUPD_E_INVALID, "no file to write to");
    archive->files = archive->bytes = archive->objects = archive->object_bytes = 0;
    return export_all(&e, err);
}
