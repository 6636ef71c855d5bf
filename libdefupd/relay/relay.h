/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The relay: an endpoint that holds the repository for others. Two halves meet in a folder
 * (docs/formats/relay.md):
 *
 *   STATE/relay/metadata targets objects   a repository as docs/formats/repository.md has it; what
 *                                          stands here under its name is whole and verified
 *   STATE/relay/named left figures parts/  the relay's own
 *
 * du_relay_sync() brings the folder up to date; du_relay_object() fetches one object on demand for
 * the server. An archive of its own that the endpoint's library does not hold.
 * Layer: over update/ and client/. Needs the public headers only, so that the agent may include it.
 */
#ifndef DU_RELAY_RELAY_H
#define DU_RELAY_RELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <defupd/client.h>

struct du_sys;

enum du_relay_mode {
    DU_RELAY_MIRROR, /* every object that the manifests name is fetched */
    DU_RELAY_CACHE   /* objects come on demand */
};

#define DU_RELAY_KEEP_S (UINT64_C(7) * 24 * 60 * 60)

/* Zero means the default. All is copied by du_relay_open(). */
struct du_relay_options {
    const defupd_client_options *client; /* required: state_dir, sources, root, time-outs, callbacks
                                            as for defupd_client_open(); what it says of installing
                                            and of budgets is not looked at */
    const char *const *components; /* NULL-terminated; NULL: all that the repository offers. The
                                      metadata names the others still: a client that wants one of
                                      them is told 404 for its manifest, and asks the next source */
    enum du_relay_mode mode;
    uint32_t releases;        /* mirror: only the newest so many of each component; 0: all */
    uint64_t keep_s;          /* superseded files stay so long for readers under way; 0: 7 days */
    uint64_t max_bytes;       /* cache: of objects together; 0: no limit */
    const struct du_sys *sys; /* tests; NULL: the system's. Borrowed */
};

struct du_relay;

/* Opens no connection, takes no lock, makes nothing. Errors: as defupd_client_open(). */
DEFUPD_MUST_CHECK defupd_code du_relay_open(struct du_relay **out,
                                            const struct du_relay_options *options,
                                            defupd_error *err);
/* Nobody may be in another call. NULL is allowed. */
void du_relay_close(struct du_relay *relay);
/* Let the calls at work end soon with DEFUPD_E_CANCELLED. Any thread; async-signal-safe. For
 * du_relay_object() it holds for all later calls, too. */
void du_relay_cancel(struct du_relay *relay);

/* What a sync found and did; also after a failure, as far as it got. */
struct du_relay_report {
    bool changed;     /* what is served has changed */
    uint64_t version; /* of the timestamp that is served; 0: nothing yet */
    uint64_t fetched; /* bytes of objects that came over the wire, or from the archive */
    uint64_t objects; /* that manifests name and that are here */
    uint64_t missing; /* that manifests name and no source has (mirror) */
    uint64_t removed; /* files that were superseded, or had to make room */
    char source[256]; /* who gave it; "" */
};

/*
 * Ask the sources (import NULL) or read an archive, verify, fetch what is missing, and publish into
 * STATE/relay: objects, manifests, delegated roles, targets, snapshot, timestamp last, each written
 * beside, synced and renamed, so that every instant is a valid repository. Then superseded files
 * go. Metadata and downloads are the store's own: what an update has just fetched is not fetched
 * again. Takes the store's lock, as an update does.
 *
 * On failure the last complete state stays as it is. It never goes back to an older timestamp. An
 * object that every source lacks or spoils is left out, with a line in the log, as long as the
 * newest release of its component has its full bundle; an archive may lack any.
 *
 * Events: DEFUPD_EVENT_RELAY_REQUESTED, then _RELAY_SUCCEEDED or _RELAY_FAILED; those of transfers.
 * STATE/relay/figures is written at the end.
 * Errors: those of defupd_client_download(), and of defupd_client_import()
 */
DEFUPD_MUST_CHECK defupd_code du_relay_sync(struct du_relay *relay, const defupd_import *import,
                                            struct du_relay_report *report, defupd_error *err);

/*
 * Bytes of an object that is being fetched: the first `bytes` of `fd` are there, of `total` in the
 * end. `fd` is borrowed until du_relay_object() returns, and is to be read by pread() (or to be
 * dup()ed). Nobody has vouched for these bytes yet: they may be handed to who checks the digest.
 * Fewer bytes than before: what was there was wrong, and whoever was given some of it must be cut
 * off. Comes on the thread that fetches, which need not be the caller's, and never after the
 * caller's du_relay_object() has returned; must not block for long.
 */
typedef void (*du_relay_bytes_fn)(void *user, int fd, uint64_t bytes, uint64_t total);

/*
 * Fetch an object that a verified manifest names into STATE/relay/objects, from the sources in
 * order; goes on where an earlier try, also of another process, broke off. Callers for the same
 * digest at once share one fetch. When it is there already, nothing is fetched and on_bytes is not
 * called. Where max_bytes asks for room, least recently used objects go. Blocks; any thread,
 * several at once; needs no lock of the store.
 *
 * Errors: DEFUPD_E_NOT_FOUND (no verified manifest names it: answer 404; nobody was asked), -21xx,
 * DEFUPD_E_COOL_DOWN, DEFUPD_E_DIGEST, DEFUPD_E_NO_SPACE (also: larger than max_bytes),
 * DEFUPD_E_IO, DEFUPD_E_CANCELLED, DEFUPD_E_NOMEM. Only a whole, verified object gets its name.
 */
DEFUPD_MUST_CHECK defupd_code du_relay_object(struct du_relay *relay,
                                              const unsigned char sha256[32],
                                              du_relay_bytes_fn on_bytes, void *user,
                                              defupd_error *err);

/* The object was served: it is not the least recently used. Cheap; any thread; never fails. */
void du_relay_used(struct du_relay *relay, const unsigned char sha256[32]);

/* STATE/relay/figures: how the content half fares. */
struct du_relay_figures {
    enum du_relay_mode mode;
    uint64_t version;       /* of the timestamp that is served; 0: nothing is */
    int64_t confirmed;      /* when upstream last gave or confirmed just this state; 0: never */
    int64_t upstream_since; /* since when upstream is known to have a newer one; 0: it has none */
    int64_t expires;        /* of the served timestamp */
    int64_t last_sync, last_success; /* Unix seconds; 0: never */
    int32_t last_error;              /* defupd_code of the last sync */
    uint64_t components;
    uint64_t objects, object_bytes; /* in objects/ */
    uint64_t named, missing;        /* objects that manifests name; of these not in objects/ */
    char source[256];
    char last_error_text[512];
};
/* How far the relay lags behind: seconds since `confirmed`; 0 when that is in the future. */
uint64_t du_relay_lag_s(const struct du_relay_figures *figures, int64_t now);
/* *out all zero and DEFUPD_OK when there is no such file; DEFUPD_E_STORE_CORRUPT, DEFUPD_E_IO. */
DEFUPD_MUST_CHECK defupd_code du_relay_figures_read(struct du_relay_figures *out,
                                                    const char *state_dir, defupd_error *err);

#endif
