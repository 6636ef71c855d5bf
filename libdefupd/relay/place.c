/* SPDX-License-Identifier: Apache-2.0 */
/* Objects into STATE/relay/objects. What has its name there was whole and verified when it got it.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "crypto/crypto.h"
#include "relay/relay_priv.h"

#define PIECE_BYTES (128U * 1024)

/* --- one object --- */

/* Is it there? What stands in its place and cannot be it goes. */
static defupd_code look(const struct du_sys *sys, int dir, const char *name, uint64_t bytes,
                        bool *there, defupd_error *err)
{
    struct stat st;

    *there = false;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? DEFUPD_OK : DU_FAIL_IO(err, "look at relay/objects/%s", name);
    *there = S_ISREG(st.st_mode) && (uint64_t)st.st_size == bytes;
    return *there ? DEFUPD_OK : du_tree_remove(sys, dir, name, NULL, err);
}

static defupd_code copy_bytes(const struct du_sys *sys, int from, int to,
                              const struct du_object *object, const char *name, defupd_error *err)
{
    DU_AUTO_FREE unsigned char *piece = malloc(PIECE_BYTES);
    unsigned char real[DU_SHA256_BYTES];
    DU_AUTO_HASH hash = { 0 };
    uint64_t at = 0;

    if (piece == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory to copy an object");
    du_hash_init(&hash, DU_SHA256);
    while (at < object->bytes) {
        const ssize_t got = sys->pread(from, piece, PIECE_BYTES, (off_t)at);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return DU_FAIL_IO(err, "read object %s", name);
        if (got == 0)
            break;
        du_hash_update(&hash, piece, (size_t)got);
        DU_TRY(du_write_all(sys, to, piece, (size_t)got, name, err));
        at += (uint64_t)got;
    }
    du_hash_final(&hash, real);
    if (at != object->bytes || memcmp(real, object->sha256, sizeof real) != 0)
        return DU_FAIL(err, DEFUPD_E_IO, "object %s changed while it was copied", name);
    return DEFUPD_OK;
}

/* Where the relay's folder is on another file system than the store. */
static defupd_code copy(const struct du_relay *relay, int from, int dir,
                        const struct du_object *object, const char *name, defupd_error *err)
{
    const struct du_sys *sys = relay->ctx.sys;
    char tmp[DU_SHA256_HEX + sizeof ".tmp"];
    DU_AUTO_FD to = -1;
    defupd_code rc;

    (void)snprintf(tmp, sizeof tmp, "%s.tmp", name);
    to = sys->openat(dir, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0644);
    if (to < 0)
        return DU_FAIL_IO(err, "create relay/objects/%s", tmp);
    rc = copy_bytes(sys, from, to, object, name, err);
    if (rc == DEFUPD_OK && (sys->fchmod(to, 0644) != 0 || sys->fsync(to) != 0))
        rc = DU_FAIL_IO(err, "sync relay/objects/%s", tmp);
    if (rc == DEFUPD_OK && sys->renameat(dir, tmp, dir, name) != 0)
        rc = DU_FAIL_IO(err, "rename relay/objects/%s", tmp);
    if (rc != DEFUPD_OK)
        (void)sys->unlinkat(dir, tmp, 0);
    return rc;
}

/* A second name for the download, which was synced when it was complete: no byte is copied. */
static defupd_code give_name(struct du_sync *sync, int fd, int dir, const struct du_object *object,
                             const char *name, defupd_error *err)
{
    struct du_run *run = &sync->run;
    const struct du_sys *sys = run->ctx->sys;
    DU_AUTO_FD downloads = -1;

    if (sys->fchmod(fd, 0644) != 0)
        return DU_FAIL_IO(err, "set the mode of object %s", name);
    DU_TRY(du_dir_open(sys, run->ctx->store.dir, "downloads", false, 0, &downloads, err));
    if (sys->linkat(downloads, name, dir, name, 0) == 0)
        return DEFUPD_OK;
    if (errno != EXDEV && errno != EPERM && errno != EMLINK && errno != EOPNOTSUPP)
        return DU_FAIL_IO(err, "link object %s into the relay", name);
    DU_TRY(copy(sync->relay, fd, dir, object, name, err));
    return du_store_download_drop(&run->ctx->store, object->sha256, err);
}

static bool is_downloaded(const struct du_sync *sync, const struct du_object *object)
{
    bool complete = false;

    (void)du_store_download_bytes(&sync->run.ctx->store, object->sha256, &complete);
    return complete;
}

/* An archive that was made for other hosts has some of them only. Whoever fetches begins a
 * download; one that waits for the network must not suffer. */
static bool is_at_hand(const struct du_sync *sync, const struct du_object *object)
{
    const struct du_run *run = &sync->run;

    return run->import == NULL || du_import_has(run->import, object) || is_downloaded(sync, object);
}

static defupd_code place_object(struct du_sync *sync, const char *component, uint64_t version,
                                const struct du_object *object, defupd_error *err)
{
    const struct du_sys *sys = sync->run.ctx->sys;
    DU_AUTO_FD dir = -1, fd = -1;
    char name[DU_SHA256_HEX + 1];
    struct du_verified_file file;
    bool there = false;

    DU_TRY(du_relay_object_dir(sync->relay, sync->dirs.objects, object->sha256, true, &dir, name,
                               err));
    DU_TRY(look(sys, dir, name, object->bytes, &there, err));
    if (there)
        return DEFUPD_OK;
    if (!is_at_hand(sync, object))
        return DU_FAIL(err, DEFUPD_E_NOT_DOWNLOADED, "%s does not hold it", sync->run.from->path);
    if (sync->run.import == NULL && sync->relay->options.mode == DU_RELAY_CACHE)
        DU_TRY(du_relay_make_room(sync->relay, sync->dirs.objects, object->bytes,
                                  &sync->report->removed, err));
    DU_TRY(du_run_object(&sync->run, component, version, object, &fd, &file, err));
    DU_TRY(give_name(sync, fd, dir, object, name, err));
    return du_dir_sync(sys, dir, "relay/objects", err);
}

/* --- all of them --- */

/* No source has it right: a reader goes round it, as it would at the sources. */
static bool is_spoilt(defupd_code rc)
{
    return rc == DEFUPD_E_NOT_FOUND || rc == DEFUPD_E_FORBIDDEN || rc == DEFUPD_E_DIGEST ||
           rc == DEFUPD_E_TOOLARGE;
}

/* wanted: of a release that is to be here by the options. */
typedef defupd_code (*each_fn)(struct du_sync *sync, const char *component,
                               const struct du_release *release, const struct du_object *object,
                               bool wanted, defupd_error *err);

static defupd_code each_object(struct du_sync *sync, each_fn fn, defupd_error *err)
{
    const uint32_t most = sync->relay->options.releases;

    for (size_t i = 0; i < sync->parts; i++) {
        const struct du_manifest *manifest = sync->part[i].manifest;

        for (size_t r = 0; manifest != NULL && r < manifest->count; r++) {
            const struct du_release *release = &manifest->release[r];
            const bool wanted = most == 0 || r < most;

            if (release->full.codec[0] != '\0')
                DU_TRY(fn(sync, manifest->component, release, &release->full, wanted, err));
            for (size_t d = 0; d < release->deltas; d++)
                DU_TRY(fn(sync, manifest->component, release, &release->delta[d], wanted, err));
        }
    }
    return DEFUPD_OK;
}

static defupd_code note_name(struct du_sync *sync, const char *component,
                             const struct du_release *release, const struct du_object *object,
                             bool wanted, defupd_error *err)
{
    (void)component;
    (void)release;
    (void)wanted;
    return du_named_add(&sync->named, object->sha256, object->bytes, 0, err);
}

/* The newest release that clients take: without its bundle nobody can begin. */
static bool is_newest(const struct du_sync *sync, const char *component,
                      const struct du_release *release)
{
    for (size_t i = 0; i < sync->parts; i++) {
        const struct du_manifest *manifest = sync->part[i].manifest;

        if (manifest == NULL || strcmp(manifest->component, component) != 0)
            continue;
        for (size_t r = 0; r < manifest->count; r++) {
            if (!manifest->release[r].withdrawn && manifest->release[r].requires == NULL)
                return &manifest->release[r] == release;
        }
    }
    return false;
}

/* Into a cache. */
static bool fits(const struct du_sync *sync, const struct du_object *object)
{
    const uint64_t most = sync->relay->options.max_bytes;

    return most == 0 || object->bytes <= most;
}

static defupd_code take_object(struct du_sync *sync, const char *component,
                               const struct du_release *release, const struct du_object *object,
                               bool wanted, defupd_error *err)
{
    const bool archive = sync->run.import != NULL;
    const bool cache = sync->relay->options.mode == DU_RELAY_CACHE;
    char hex[DU_SHA256_HEX + 1];
    defupd_code rc;

    /* What an archive brings comes from nowhere else, whatever the mode. */
    if (!archive && !(cache ? is_downloaded(sync, object) && fits(sync, object) : wanted))
        return DEFUPD_OK;
    rc = place_object(sync, component, release->version, object, err);
    if (archive ? rc != DEFUPD_E_NOT_DOWNLOADED : !is_spoilt(rc))
        return rc;
    if (!archive && object == &release->full && is_newest(sync, component, release))
        return rc;
    du_hex(hex, object->sha256, DU_SHA256_BYTES);
    du_log(&sync->run.ctx->events, archive ? DEFUPD_LEVEL_DEBUG : DEFUPD_LEVEL_WARNING, "relay",
           "%s %" PRIu64 ": object %s is left out: %s", component, release->version, hex,
           err->message);
    return DEFUPD_OK;
}

defupd_code du_relay_place(struct du_sync *sync, defupd_error *err)
{
    du_run_phase(&sync->run, DEFUPD_PHASE_DOWNLOAD, NULL, 0);
    DU_TRY(each_object(sync, note_name, err));
    du_named_sort(&sync->named);
    sync->named_count = sync->named.count;
    return each_object(sync, take_object, err);
}
