/* SPDX-License-Identifier: Apache-2.0 */
/* Objects: from a source into downloads/, and vouched for before anybody reads them. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/scope.h"
#include "sys/disk.h"
#include "update/run.h"

void du_object_path(char *out, const unsigned char sha256[DU_SHA256_BYTES])
{
    char hex[DU_SHA256_HEX + 1];

    du_hex(hex, sha256, DU_SHA256_BYTES);
    (void)snprintf(out, 80, "objects/%.2s/%s", hex, hex);
}

/* A complete download is only a file with a name: nobody reads it before its digest has matched in
 * this process. A damaged one is thrown away, and *fd stays -1. */
static defupd_code take_complete(struct du_run *run, const char *what,
                                 const struct du_object *object, int *fd,
                                 struct du_verified_file *file, defupd_error *err)
{
    struct du_store *store = &run->ctx->store;
    const struct du_tick tick = du_run_tick(run);
    DU_AUTO_FD opened = -1;
    bool complete = false;
    defupd_code rc;

    if (du_store_download_open(store, object->sha256, false, &complete, &opened, err) != DEFUPD_OK)
        return du_is_missing(err) ? DEFUPD_OK : err->code;
    if (!complete)
        return DEFUPD_OK;
    rc = du_object_verify(run->ctx->sys, opened, object->bytes, object->sha256, what, &tick, file,
                          err);
    if (rc == DEFUPD_OK) {
        *fd = du_take_fd(&opened);
        return DEFUPD_OK;
    }
    if (rc != DEFUPD_E_DIGEST)
        return rc;
    du_log(&run->ctx->events, DEFUPD_LEVEL_WARNING, "update", "damaged download removed: %s",
           err->message);
    return du_store_download_drop(store, object->sha256, err);
}

/* What du_run_object() is about. */
struct wanted {
    const char *component;
    uint64_t version;
    const struct du_object *object;
    char what[DU_NAME_MAX + 1 + DU_VERSION_TEXT]; /* for messages */
};

/* For who keeps a record of transfers. `source` NULL: none delivered the whole. */
static void tell_fetched(const struct du_run *run, const struct wanted *wanted, const char *source,
                         uint64_t fetched, uint64_t since_ms, const defupd_error *failed)
{
    const uint64_t total = wanted->object->bytes;
    defupd_event event = { .id = DEFUPD_EVENT_FETCHED,
                           .phase = DEFUPD_PHASE_DOWNLOAD,
                           .component = wanted->component,
                           .version = wanted->version,
                           .source = source,
                           .bytes_done = fetched,
                           .bytes_total = total,
                           .duration_ms = run->ctx->sys->monotonic_ms() - since_ms };

    if (failed != NULL) {
        event.code = failed->code;
        event.text = failed->message;
    } else if (fetched < total) {
        event.resumed_bytes = total - fetched;
    }
    du_event_send(&run->ctx->events, event);
}

/* Where this much is at stake, it is remembered which source gave what. */
#define NOTED_MIN 262144

/* "pieces FROM:KEY FROM:KEY ...", "etag TEXT" */
static void read_pieces(const struct du_run *run, const unsigned char *sha256,
                        struct du_pieces *pieces)
{
    DU_AUTO_FACT fact = { 0 };
    char text[DU_PIECES_MAX * (DU_SOURCE_KEY + 21)];
    char *rest = text, *word;

    du_store_download_note_read(&run->ctx->store, sha256, &fact);
    if (du_fact_get(&fact, "pieces", text, sizeof text) == NULL)
        return;
    while ((word = strsep(&rest, " ")) != NULL && pieces->count < DU_PIECES_MAX) {
        struct du_piece *piece = &pieces->piece[pieces->count];
        char *key = strchr(word, ':');

        if (key == NULL || strlen(key + 1) >= DU_SOURCE_KEY)
            break;
        *key++ = '\0';
        if (!du_parse_u64(word, INT64_MAX, &piece->from))
            break;
        memcpy(piece->source, key, strlen(key) + 1);
        pieces->count++;
    }
    if (word != NULL) /* not to be read to its end: nothing is known */
        pieces->count = 0;
    if (du_fact_get(&fact, "etag", pieces->etag, sizeof pieces->etag) == NULL)
        pieces->etag[0] = '\0';
}

struct noted {
    struct du_run *run;
    const unsigned char *sha256;
};

static void write_pieces(void *user, const struct du_pieces *pieces)
{
    const struct noted *noted = user;
    DU_AUTO_BUF text = DU_BUF(DU_PIECES_MAX * (DU_SOURCE_KEY + 21));
    DU_AUTO_FACT fact = { 0 };
    defupd_error ignored = { 0 };
    bool ok = true;

    for (size_t i = 0; ok && i < pieces->count; i++)
        ok = du_buf_printf(&text, &ignored, "%s%" PRIu64 ":%s", i > 0 ? " " : "",
                           pieces->piece[i].from, pieces->piece[i].source) == DEFUPD_OK;
    if (ok && (pieces->count == 0 ||
               (du_fact_set(&fact, "pieces", du_buf_text(&text), &ignored) == DEFUPD_OK &&
                (pieces->etag[0] == '\0' ||
                 du_fact_set(&fact, "etag", pieces->etag, &ignored) == DEFUPD_OK))))
        du_store_download_note_write(&noted->run->ctx->store, noted->sha256, &fact);
}

static defupd_code fetch_missing(struct du_run *run, const struct wanted *wanted, int *fd,
                                 struct du_verified_file *file, defupd_error *err)
{
    struct du_store *store = &run->ctx->store;
    const struct du_object *object = wanted->object;
    const uint64_t since_ms = run->ctx->sys->monotonic_ms();
    char path[80];
    struct du_want want = { .path = path, .length_bytes = object->bytes };
    struct du_pieces pieces = { 0 };
    struct noted noted = { run, object->sha256 };
    DU_AUTO_FD part = -1;
    bool complete = false;
    uint64_t fetched = 0;
    size_t source = 0;
    defupd_code rc;

    du_object_path(path, object->sha256);
    memcpy(want.sha256, object->sha256, DU_SHA256_BYTES);
    DU_TRY(du_store_download_open(store, object->sha256, true, &complete, &part, err));
    du_day_fetching(run, object);
    if (object->bytes >= NOTED_MIN) {
        read_pieces(run, object->sha256, &pieces);
        want.pieces = &pieces;
        want.keep = write_pieces;
        want.keep_user = &noted;
    }
    rc = du_fetch_object(run->fetch, run->source, part, &want, &source, &fetched, err);
    run->report->fetched += fetched;
    tell_fetched(run, wanted, rc == DEFUPD_OK ? du_fetch_source_name(run->fetch, source) : NULL,
                 fetched, since_ms, rc == DEFUPD_OK ? NULL : err);
    du_day_fetched(run, fetched);
    if (rc != DEFUPD_OK)
        return du_err_prefix(err, "%s", wanted->what);
    DU_TRY(du_store_download_done(store, object->sha256, part, err));
    /* Every byte of it went through du_fetch_object()'s digest in this process just now. */
    *file = (struct du_verified_file){ .fd = part, .bytes = object->bytes };
    *fd = du_take_fd(&part);
    return DEFUPD_OK;
}

/* What is in the archive is as near as what is on disk: of a failure nothing is kept. */
static defupd_code take_from_archive(struct du_run *run, const struct wanted *wanted, int *fd,
                                     struct du_verified_file *file, defupd_error *err)
{
    struct du_store *store = &run->ctx->store;
    const struct du_object *object = wanted->object;
    const uint64_t since_ms = run->ctx->sys->monotonic_ms();
    DU_AUTO_FD part = -1;
    bool complete = false;
    defupd_error ignored;
    defupd_code rc;

    DU_TRY(du_store_download_open(store, object->sha256, true, &complete, &part, err));
    if (run->ctx->sys->ftruncate(part, 0) != 0)
        return DU_FAIL_IO(err, "empty the download of %s", wanted->what);
    rc = du_import_object(run->import, object, wanted->what, part, err);
    tell_fetched(run, wanted, rc == DEFUPD_OK ? du_import_name(run->import) : NULL,
                 rc == DEFUPD_OK ? object->bytes : 0, since_ms, rc == DEFUPD_OK ? NULL : err);
    if (rc != DEFUPD_OK) {
        (void)!du_store_download_drop(store, object->sha256, &ignored);
        return rc;
    }
    run->report->fetched += object->bytes;
    DU_TRY(du_store_download_done(store, object->sha256, part, err));
    /* Every byte of it went through du_import_object()'s digest in this process just now. */
    *file = (struct du_verified_file){ .fd = part, .bytes = object->bytes };
    *fd = du_take_fd(&part);
    return DEFUPD_OK;
}

defupd_code du_run_object(struct du_run *run, const char *component, uint64_t version,
                          const struct du_object *object, int *fd, struct du_verified_file *file,
                          defupd_error *err)
{
    struct wanted wanted = { .component = component, .version = version, .object = object };

    (void)snprintf(wanted.what, sizeof wanted.what, "%s %" PRIu64, component, version);
    *fd = -1;
    DU_TRY(take_complete(run, wanted.what, object, fd, file, err));
    if (*fd >= 0)
        return DEFUPD_OK;
    if (run->import != NULL)
        return take_from_archive(run, &wanted, fd, file, err);
    if (run->fetch == NULL)
        return DU_FAIL(err, DEFUPD_E_NOT_DOWNLOADED, "%s is not downloaded", wanted.what);
    return fetch_missing(run, &wanted, fd, file, err);
}
