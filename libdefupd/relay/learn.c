/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What there is to serve: roles, manifests and roots, verified by the store's own trust from one
 * source, or from an archive.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/crypto.h"
#include "relay/relay_priv.h"

void du_relay_forget(struct du_sync *sync)
{
    for (size_t i = 0; i < sync->parts; i++) {
        du_manifest_freep(&sync->part[i].manifest);
        du_buf_free(&sync->part[i].bytes);
    }
    du_mem_free(&sync->part);
    sync->part = NULL;
    sync->parts = 0;
    for (size_t i = 0; i < sync->roots; i++)
        du_buf_free(&sync->root[i].bytes);
    du_mem_free(&sync->root);
    sync->root = NULL;
    sync->roots = 0;
}

/* --- roots --- */

/* Does the newer root follow from the older one? Of an older one than what is pinned nobody else
 * vouches. */
static bool follows(struct du_bytes older, uint64_t version, struct du_bytes newer)
{
    DU_AUTO_TRUST *trust = NULL;
    defupd_error why = { 0 };

    return du_trust_new(&trust, older, "an older root", &why) == DEFUPD_OK &&
           du_trust_version(trust, "root") == version &&
           du_trust_root(trust, newer, "a root", &why) == DEFUPD_OK;
}

/* From what is pinned, from the tree, or from the source. *got false: nobody has it. */
static defupd_code find_root(struct du_sync *sync, uint64_t version, struct du_buf *bytes,
                             bool *got, defupd_error *err)
{
    struct du_refresh_io io;
    enum du_got what = DU_GOT_NOTHING;
    char name[64], etag[128];

    du_bind_io(&sync->run, &io);
    *got = true;
    (void)snprintf(name, sizeof name, "roots/%" PRIu64 ".root.json", version);
    if (io.load(io.user, name, bytes, err) == DEFUPD_OK)
        return DEFUPD_OK;
    (void)snprintf(name, sizeof name, "%" PRIu64 ".root.json", version);
    if (du_file_read(sync->run.ctx->sys, sync->dirs.metadata, name, bytes, err) == DEFUPD_OK)
        return DEFUPD_OK;
    (void)snprintf(name, sizeof name, "metadata/%" PRIu64 ".root.json", version);
    du_buf_clear(bytes);
    *got = false;
    DU_TRY(io.fetch(io.user, name, DU_ROOT_MAX, NULL, bytes, &what, etag, err));
    *got = what == DU_GOT_BYTES;
    return DEFUPD_OK;
}

/* The chain, from the newest down to the first that can be had: a client may have been given any of
 * them. */
static defupd_code take_roots(struct du_sync *sync, defupd_error *err)
{
    const uint64_t newest = du_trust_version(sync->run.trust, "root");

    for (uint64_t version = newest; version > 0; version--) {
        DU_AUTO_BUF bytes = DU_BUF(DU_ROOT_MAX);
        struct du_relay_root *more;
        bool got;

        DU_TRY(find_root(sync, version, &bytes, &got, err));
        if (got && version < newest)
            got = follows(du_buf_bytes(&bytes), version,
                          du_buf_bytes(&sync->root[sync->roots - 1].bytes));
        if (!got)
            break;
        more = reallocarray(sync->root, sync->roots + 1, sizeof *more);
        if (more == NULL)
            return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for roots");
        sync->root = more;
        more[sync->roots++] = (struct du_relay_root){ version, bytes };
        bytes = DU_BUF(0);
    }
    if (sync->roots == 0)
        return DU_FAIL(err, DEFUPD_E_STORE_CORRUPT,
                       "trust/roots/%" PRIu64 ".root.json is not there", newest);
    return DEFUPD_OK;
}

/* --- manifests --- */

/* The file's name is its digest, by which clients ask for it. */
static defupd_code name_manifest(const struct du_sync *sync, struct du_relay_part *part,
                                 defupd_error *err)
{
    struct du_target target = { .length = part->bytes.len, .has_sha256 = true };
    DU_AUTO_BUF path = DU_BUF(DU_RELAY_PATH_MAX);
    char name[DU_NAME_MAX + sizeof "/manifest.xml"];

    (void)snprintf(name, sizeof name, "%s/manifest.xml", part->name);
    du_sha256(target.sha256, part->bytes.data, part->bytes.len);
    DU_TRY(du_target_path(sync->run.trust, &target, name, &path, err));
    (void)snprintf(part->path, sizeof part->path, "%s", du_buf_text(&path));
    return DEFUPD_OK;
}

/* What this relay cannot read was signed all the same: newer clients may. It is served, without
 * objects. */
static defupd_code read_manifest(const struct du_sync *sync, struct du_relay_part *part,
                                 const struct du_verified *verified, const char *what,
                                 defupd_error *err)
{
    defupd_error why = { 0 };
    const defupd_code rc = du_manifest_parse(&part->manifest, verified, part->name, what, &why);

    if (rc == DEFUPD_E_NOMEM) {
        *err = why;
        return rc;
    }
    if (rc != DEFUPD_OK)
        du_log(&sync->run.ctx->events, DEFUPD_LEVEL_WARNING, "relay",
               "%s: none of its objects is held here: %s", part->name, why.message);
    return DEFUPD_OK;
}

static defupd_code take_manifest(struct du_sync *sync, struct du_relay_part *part,
                                 defupd_error *err)
{
    char target[DU_NAME_MAX + sizeof "/manifest.xml"], local[DU_NAME_MAX + sizeof ".manifest.xml"];
    struct du_refresh_io io;
    struct du_refresh_options options;
    struct du_verified verified;

    (void)snprintf(target, sizeof target, "%s/manifest.xml", part->name);
    (void)snprintf(local, sizeof local, "%s.manifest.xml", part->name);
    du_bind_io(&sync->run, &io);
    du_bind_options(&sync->run, &options);
    DU_TRY(du_refresh_target(sync->run.trust, &io, &options, target, local, DU_MANIFEST_BYTES_MAX,
                             &part->bytes, &verified, err));
    DU_TRY(read_manifest(sync, part, &verified, target, err));
    return name_manifest(sync, part, err);
}

struct offer {
    struct du_sync *sync;
    defupd_error *err;
    defupd_code rc;
};

static bool is_wanted(const struct du_relay *relay, const char *name)
{
    for (size_t i = 0; i < relay->components.count; i++) {
        if (strcmp(relay->components.item[i], name) == 0)
            return true;
    }
    return relay->components.count == 0;
}

static void add_part(void *user, const char *name)
{
    struct offer *offer = user;
    struct du_sync *sync = offer->sync;
    struct du_relay_part *more;

    if (offer->rc != DEFUPD_OK || !is_wanted(sync->relay, name))
        return;
    more = reallocarray(sync->part, sync->parts + 1, sizeof *more);
    if (more == NULL) {
        offer->rc = DU_FAIL(offer->err, DEFUPD_E_NOMEM, "no memory for components");
        return;
    }
    sync->part = more;
    more = &more[sync->parts++];
    *more = (struct du_relay_part){ .bytes = DU_BUF(DU_MANIFEST_BYTES_MAX) };
    (void)snprintf(more->name, sizeof more->name, "%s", name);
}

/* A component that is delegated may have no manifest yet: it has nothing to serve. */
static defupd_code take_manifests(struct du_sync *sync, defupd_error *err)
{
    struct offer offer = { sync, err, DEFUPD_OK };
    size_t kept = 0;

    DU_TRY(du_trust_components(sync->run.trust, add_part, &offer, err));
    DU_TRY(offer.rc);
    for (size_t i = 0; i < sync->parts; i++) {
        const defupd_code rc = take_manifest(sync, &sync->part[i], err);

        if (rc == DEFUPD_E_TARGET_NOT_FOUND) {
            du_buf_free(&sync->part[i].bytes);
            continue;
        }
        DU_TRY(rc);
        if (i != kept) {
            sync->part[kept] = sync->part[i];
            sync->part[i] = (struct du_relay_part){ 0 };
        }
        kept++;
    }
    sync->parts = kept;
    return DEFUPD_OK;
}

static defupd_code ask(struct du_run *run, defupd_error *err)
{
    struct du_sync *sync = (struct du_sync *)run;
    struct du_refresh_io io;
    struct du_refresh_options options;
    bool unchanged;

    du_relay_forget(sync);
    du_bind_io(run, &io);
    du_bind_options(run, &options);
    DU_TRY(du_refresh_cycle(run->trust, &io, &options, &unchanged, err));
    run->contact = true;
    DU_TRY(take_manifests(sync, err));
    return take_roots(sync, err);
}

/* --- from where --- */

static uint64_t named_bytes(void *user, const unsigned char *sha256)
{
    const struct du_sync *sync = user;

    for (size_t i = 0; i < sync->parts; i++) {
        const struct du_manifest *manifest = sync->part[i].manifest;

        for (size_t r = 0; manifest != NULL && r < manifest->count; r++) {
            const struct du_release *release = &manifest->release[r];

            if (memcmp(release->full.sha256, sha256, DU_SHA256_BYTES) == 0)
                return release->full.bytes;
            for (size_t d = 0; d < release->deltas; d++) {
                if (memcmp(release->delta[d].sha256, sha256, DU_SHA256_BYTES) == 0)
                    return release->delta[d].bytes;
            }
        }
    }
    return UINT64_MAX;
}

static defupd_code read_archive(struct du_sync *sync, defupd_error *err)
{
    struct du_run *run = &sync->run;
    const struct du_tick tick = du_run_tick(run);

    DU_TRY(du_import_open(&run->import, run->ctx->sys, run->from, &tick, err));
    DU_TRY(du_bind_trust(run, err));
    DU_TRY(ask(run, err));
    return du_import_scan(run->import, named_bytes, sync, err);
}

defupd_code du_relay_learn(struct du_sync *sync, defupd_error *err)
{
    struct du_run *run = &sync->run;
    defupd_code rc;

    if (run->from == NULL) {
        DU_TRY(du_run_open_fetch(run, err));
        DU_TRY(du_bind_trust(run, err));
        return du_run_ask_sources(run, ask, err);
    }
    du_run_phase(run, DEFUPD_PHASE_METADATA, NULL, 0);
    (void)snprintf(run->report->source, sizeof run->report->source, "%s", run->from->path);
    rc = read_archive(sync, err);
    if (rc == DEFUPD_E_NOT_FOUND)
        rc = DU_FAIL(err, DEFUPD_E_ARCHIVE, "%s", err->message);
    return rc;
}
