/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of steps by which trusted metadata becomes newer: TUF's "Detailed client workflow"
 * (specification section 5), over a decider (trust/) that never touches disk, network or clock, and
 * an interface that does. update/ binds the interface to store and fetch; tests/conformance/ binds
 * it to a plain folder.
 */
#ifndef DU_UPDATE_REFRESH_H
#define DU_UPDATE_REFRESH_H

#include <stdbool.h>
#include <stdint.h>

#include <defupd/event.h>

#include "base/bytes.h"
#include "base/err.h"
#include "trust/trust.h"

enum du_got {
    DU_GOT_BYTES,
    DU_GOT_UNCHANGED, /* the etag still holds (304) */
    DU_GOT_NOTHING    /* 403 or 404: the source has no such file */
};

struct du_refresh_io {
    void *user;
    /* From the source: `path` is below its base URL ("metadata/2.root.json",
     * "targets/tetra/HASH.manifest.xml"); in the name of a role or target, what a URL does not take
     * as it is is percent-encoded already (never needed in our own repositories). At most `max`
     * bytes. etag NULL: unconditional.
     * Errors: -21xx (DEFUPD_E_TOOLARGE past max), the tick's. NULL when there is no network: then
     * nothing is fetched. */
    defupd_code (*fetch)(void *user, const char *path, size_t max, const char *etag,
                         struct du_buf *out, enum du_got *got, char etag_out[128],
                         defupd_error *err);
    /* The local folder of verified metadata: "timestamp.json", "roots/3.root.json", "seen",
     * "timestamp.etag", "tetra.manifest.xml". load gives DEFUPD_E_IO with ENOENT when there is
     * none; save is atomic and durable (DEFUPD_E_IO, DEFUPD_E_NO_SPACE); remove of nothing is no
     * error. */
    defupd_code (*load)(void *user, const char *name, struct du_buf *out, defupd_error *err);
    defupd_code (*save)(void *user, const char *name, struct du_bytes bytes, defupd_error *err);
    defupd_code (*remove)(void *user, const char *name, defupd_error *err);
    /* Names "N.root.json" in roots/: calls each(N). */
    defupd_code (*roots)(void *user, void (*each)(void *arg, uint64_t version), void *arg,
                         defupd_error *err);
    /* A line for the log; may be NULL. */
    void (*log)(void *user, defupd_level level, const char *text);
};

struct du_refresh_options {
    int64_t now;          /* fixed at the start of the run, Unix seconds */
    struct du_bytes pin;  /* contents of the root to pin, or to compare with what is pinned;
                             empty when none was given */
    const char *pin_name; /* what messages call it; NULL: "the given trusted root" */
    bool pin_now;         /* pin it without asking anybody: on a person's word */
    uint64_t grace_s;     /* offline-grace: forgive expiry of timestamp and snapshot this long */
    const char *source;   /* names the source, so that an ETag goes back to where it came from;
                             NULL: there is only one */
};

/*
 * What is trusted already, from the local folder alone: starts from the given root when none is
 * pinned, follows roots/ to the newest that verifies, takes timestamp, snapshot, targets and
 * delegated roles as far as they verify. A root that is only given is not saved: it is pinned, with
 * all that follow it, when the first timestamp verifies (docs/adr/0009-first-contact.md). Expiry is
 * not looked at. Damaged or missing files are no error (a line in the log): they are fetched again,
 * and `seen` keeps what they said. Errors: DEFUPD_E_NO_ROOT, DEFUPD_E_ROOT_MISMATCH, -22xx when the
 * given root is no valid root, DEFUPD_E_IO, DEFUPD_E_NOMEM.
 */
DEFUPD_MUST_CHECK defupd_code du_refresh_load(struct du_trust **out, const struct du_refresh_io *io,
                                              const struct du_refresh_options *options,
                                              defupd_error *err);

/*
 * One cycle of the workflow against one source: roots, timestamp, snapshot, targets. Each role is
 * saved when it becomes trusted, `seen` before it. `trust` is from du_refresh_load().
 * *unchanged: the timestamp was the same, nothing else was fetched.
 * Errors: -21xx, -22xx; what became trusted before the failure stays trusted and saved.
 */
DEFUPD_MUST_CHECK defupd_code du_refresh_cycle(struct du_trust *trust,
                                               const struct du_refresh_io *io,
                                               const struct du_refresh_options *options,
                                               bool *unchanged, defupd_error *err);

/*
 * Bytes of a target ("tetra/manifest.xml"), verified: the local copy when its digest still is the
 * signed one, else fetched and saved. Searches delegations (fetching their roles when io can).
 * out        holds the bytes; `verified` is a view of it
 * Errors: DEFUPD_E_TARGET_NOT_FOUND, DEFUPD_E_METADATA_DIGEST (message names file and source's
 * path), -21xx, -22xx. Without network and local copy: DEFUPD_E_TARGET_NOT_FOUND.
 */
DEFUPD_MUST_CHECK defupd_code du_refresh_target(struct du_trust *trust,
                                                const struct du_refresh_io *io,
                                                const struct du_refresh_options *options,
                                                const char *target_path, const char *local_name,
                                                size_t max, struct du_buf *out,
                                                struct du_verified *verified, defupd_error *err);

#endif
