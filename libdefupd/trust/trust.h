/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The trusted set of TUF roles: bytes + keys + time in, verdict out. Never touches disk, network or
 * clock; update/refresh.c knows the order in which to ask. Cites TUF 1.0.34 by section.
 * Layer: uses base/, crypto/ and json/.
 */
#ifndef DU_TRUST_TRUST_H
#define DU_TRUST_TRUST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"

struct du_trust;
struct du_checked;

/* When metadata is judged: the run's fixed start (5.1). Where a `const struct du_trust_time *` is
 * NULL, expiry is not looked at: local metadata that was verified before stays usable for ever. */
struct du_trust_time {
    int64_t now;      /* Unix seconds */
    uint64_t grace_s; /* forgive expiry of timestamp and snapshot this long */
};

/* Limits on metadata, in bytes (docs/formats/repository.md). */
#define DU_ROOT_MAX (512U * 1024)
#define DU_TIMESTAMP_MAX (16U * 1024)
#define DU_SNAPSHOT_MAX (2U * 1024 * 1024)
#define DU_TARGETS_MAX (5U * 1024 * 1024)
#define DU_ROLES_VISITED_MAX 32 /* in one delegation search */

void du_trust_free(struct du_trust *trust);
void du_trust_freep(struct du_trust **trust);
#define DU_AUTO_TRUST __attribute__((cleanup(du_trust_freep))) struct du_trust

/*
 * Taking metadata. `what` names the bytes in messages ("metadata/4.snapshot.json"). Whatever fails
 * leaves `trust` as it was. Errors that all share: DEFUPD_E_METADATA_FORMAT,
 * DEFUPD_E_METADATA_LIMIT, DEFUPD_E_METADATA_NEWER (spec_version), DEFUPD_E_SIGNATURE (threshold
 * not reached, or two signatures of one key id), DEFUPD_E_NOMEM.
 */

/* Start from a root that is trusted because of where it came from (5.2): it must be signed by its
 * own threshold, which finds damage. _checked: with signatures that were checked before, taken over
 * on success. */
DEFUPD_MUST_CHECK defupd_code du_trust_new(struct du_trust **out, struct du_bytes root,
                                           const char *what, defupd_error *err);
DEFUPD_MUST_CHECK defupd_code du_trust_new_checked(struct du_trust **out, struct du_bytes root,
                                                   const char *what, struct du_checked **checked,
                                                   defupd_error *err);

/* The next root: signed by both, version exactly one more (5.3.4 to 5.3.7). DEFUPD_E_ROLLBACK for
 * another version. */
DEFUPD_MUST_CHECK defupd_code du_trust_root(struct du_trust *trust, struct du_bytes bytes,
                                            const char *what, defupd_error *err);

/* The chain of roots has ended: 5.3.10 and 5.3.11. *rotated: a timestamp or snapshot key is no
 * longer trusted, both files and what they made us see are forgotten. What the newest root no
 * longer vouches for is dropped, while the versions seen stay. DEFUPD_E_EXPIRED (not with NULL),
 * DEFUPD_E_SOURCE_BEHIND when a newer root than the trusted one was seen before. */
DEFUPD_MUST_CHECK defupd_code du_trust_settle(struct du_trust *trust,
                                              const struct du_trust_time *time, bool *rotated,
                                              defupd_error *err);

enum du_news {
    DU_NEWS,  /* became the trusted timestamp */
    DU_SAME,  /* the version we have: discarded, as 5.4.3.1 says */
    DU_OTHER, /* the same, but its content differs from what we have: worth a line in the log */
};
/* 5.4. DEFUPD_E_SOURCE_BEHIND, DEFUPD_E_ROLLBACK, DEFUPD_E_EXPIRED. */
DEFUPD_MUST_CHECK defupd_code du_trust_timestamp(struct du_trust *trust, struct du_bytes bytes,
                                                 const char *what, const struct du_trust_time *time,
                                                 enum du_news *news, defupd_error *err);
/* 5.5. DEFUPD_E_METADATA_DIGEST, DEFUPD_E_ROLLBACK, DEFUPD_E_EXPIRED. Without time: a local file,
 * which may be older than the timestamp says. */
DEFUPD_MUST_CHECK defupd_code du_trust_snapshot(struct du_trust *trust, struct du_bytes bytes,
                                                const char *what, const struct du_trust_time *time,
                                                defupd_error *err);
/* 5.6.1 to 5.6.5, as above. */
DEFUPD_MUST_CHECK defupd_code du_trust_targets(struct du_trust *trust, struct du_bytes bytes,
                                               const char *what, const struct du_trust_time *time,
                                               defupd_error *err);
/* A local file of a role that top-level targets delegates to; expiry is not looked at. */
DEFUPD_MUST_CHECK defupd_code du_trust_delegated(struct du_trust *trust, const char *role,
                                                 struct du_bytes bytes, const char *what,
                                                 defupd_error *err);

/* Which file holds the role's metadata, as the role above it states: `path` below the repository
 * ("metadata/4.snapshot.json"), at most `max` bytes. *have: exactly that is trusted already. Role:
 * "snapshot", "targets" or a delegated one. DEFUPD_E_METADATA_FORMAT when it is not stated. */
DEFUPD_MUST_CHECK defupd_code du_trust_want(const struct du_trust *trust, const char *role,
                                            struct du_buf *path, size_t *max, bool *have,
                                            defupd_error *err);

/* Part of a file name or URL path for a role: what is neither letter, digit nor one of "-._~" as
 * %XX (RFC 3986). Component names stay as they are. */
DEFUPD_MUST_CHECK defupd_code du_role_name_encode(struct du_buf *out, const char *role,
                                                  defupd_error *err);

/* What was seen, as a fact file (docs/formats/store.md): a line "ROLE VERSION" for each role and
 * "online-keys HEX,..." for the timestamp and snapshot keys they were seen with. read: adds to what
 * is known; DEFUPD_E_STORE_CORRUPT when damaged, nothing is taken then. */
DEFUPD_MUST_CHECK defupd_code du_trust_seen_read(struct du_trust *trust, struct du_bytes bytes,
                                                 defupd_error *err);
DEFUPD_MUST_CHECK defupd_code du_trust_seen_write(const struct du_trust *trust, struct du_buf *out,
                                                  defupd_error *err);
#define DU_SEEN_MAX (2U * 1024 * 1024)

/* The form of a fact: DU_FACT_HEAD, lines, "sum HEX" over all before it. seal: adds the sum of what
 * stands in `out` from `start` on. holds: is the sum right? `body` is the length before it. */
#define DU_FACT_HEAD "defupd-fact 1\n"
DEFUPD_MUST_CHECK defupd_code du_fact_seal(struct du_buf *out, size_t start, defupd_error *err);
bool du_fact_holds(struct du_bytes bytes, size_t *body);

/* Which signatures were checked already, as a fact file: a line "checked HEX" for each; it may be
 * lost at any time. read: no bytes give an empty one; DEFUPD_E_STORE_CORRUPT when damaged. write:
 * *news is false, and nothing is written, when a file that was read holds all of it. */
DEFUPD_MUST_CHECK defupd_code du_checked_read(struct du_checked **out, struct du_bytes bytes,
                                              defupd_error *err);
void du_checked_freep(struct du_checked **checked);
#define DU_AUTO_CHECKED __attribute__((cleanup(du_checked_freep))) struct du_checked
DEFUPD_MUST_CHECK defupd_code du_trust_checked_write(const struct du_trust *trust,
                                                     struct du_buf *out, bool *news,
                                                     defupd_error *err);
#define DU_CHECKED_MAX (256U * 1024)

/* Roots whose files are to be saved together with the first timestamp that verifies: the chain from
 * a root that was given and is not pinned yet. hold: a copy is kept; it begins the list or follows
 * the last. held: the nth from the oldest on, borrowed; false past the last. */
DEFUPD_MUST_CHECK defupd_code du_trust_hold(struct du_trust *trust, uint64_t version,
                                            struct du_bytes root, defupd_error *err);
bool du_trust_held(const struct du_trust *trust, size_t nth, uint64_t *version,
                   struct du_bytes *root);
void du_trust_let_go(struct du_trust *trust); /* of all that is held: it has been saved */

/* DEFUPD_E_EXPIRED when the role has expired; no error when there is none. */
DEFUPD_MUST_CHECK defupd_code du_trust_check_role(const struct du_trust *trust, const char *role,
                                                  const struct du_trust_time *time,
                                                  defupd_error *err);

/* Digest of the trusted file of a role; false when there is none. */
bool du_trust_digest(const struct du_trust *trust, const char *role,
                     unsigned char sha256[DU_SHA256_BYTES]);

/* Version and validity of a file that claims to be a root, signed by its own threshold. `trust`
 * knows which signatures were checked before, and may be NULL. */
DEFUPD_MUST_CHECK defupd_code du_trust_root_peek(const struct du_trust *trust, struct du_bytes root,
                                                 const char *what, uint64_t *version,
                                                 defupd_error *err);

/* --- search.c: 5.6.7 --- */

/* What is signed about a target. */
struct du_target {
    uint64_t length;
    bool has_sha256, has_sha512; /* at least one */
    unsigned char sha256[32], sha512[64];
};

struct du_search;
enum du_search_step {
    DU_SEARCH_FOUND, /* du_search_target() has it */
    DU_SEARCH_NEED,  /* metadata of du_search_role() is needed: du_search_give(), then go on */
    DU_SEARCH_NONE   /* nobody signs it, or too many roles were visited */
};
/* `trust` must not change but through the search while it lives. `time` NULL: local use, expiry is
 * not looked at and roles may be older than the snapshot states. Both are borrowed. */
DEFUPD_MUST_CHECK defupd_code du_search_new(struct du_search **out, struct du_trust *trust,
                                            const char *target_path,
                                            const struct du_trust_time *time, defupd_error *err);
void du_search_freep(struct du_search **search);
#define DU_AUTO_SEARCH __attribute__((cleanup(du_search_freep))) struct du_search
/* Errors end the search: DEFUPD_E_METADATA_FORMAT, DEFUPD_E_EXPIRED, DEFUPD_E_NOMEM. */
DEFUPD_MUST_CHECK defupd_code du_search_next(struct du_search *search, enum du_search_step *step,
                                             defupd_error *err);
/* Borrowed until the next call. */
const char *du_search_role(const struct du_search *search);
/* Verified against the delegation by which the role is reached. Errors as for
 * du_trust_targets(); another file may be given then. */
DEFUPD_MUST_CHECK defupd_code du_search_give(struct du_search *search, struct du_bytes bytes,
                                             const char *what, defupd_error *err);
const struct du_target *du_search_target(const struct du_search *search);

/* Where the target lies below the repository: "targets/tetra/HASH.manifest.xml", or without HASH
 * when snapshots are not consistent; percent-encoded like a role's. DEFUPD_E_INVALID for a path
 * that could leave the folder. */
DEFUPD_MUST_CHECK defupd_code du_target_path(const struct du_trust *trust,
                                             const struct du_target *target,
                                             const char *target_path, struct du_buf *path,
                                             defupd_error *err);
/* 5.7: `verified` becomes a view of `bytes`. DEFUPD_E_METADATA_DIGEST. */
DEFUPD_MUST_CHECK defupd_code du_target_check(const struct du_target *target, struct du_bytes bytes,
                                              const char *what, struct du_verified *verified,
                                              defupd_error *err);

/* --- show.c --- */

/* Version of a trusted role ("root", "timestamp", "snapshot", "targets", or a delegated one); 0
 * when there is none. */
uint64_t du_trust_version(const struct du_trust *trust, const char *role);
/* The highest version of it that was ever seen, whatever became of its file; 0 for none. */
uint64_t du_trust_seen(const struct du_trust *trust, const char *role);
/* Its expiry, Unix seconds; 0 when there is none. */
int64_t du_trust_expires(const struct du_trust *trust, const char *role);

/* DEFUPD_E_EXPIRED, naming role and date, when root, timestamp, snapshot or targets have expired at
 * `now` (timestamp and snapshot forgiven for grace_s); else DEFUPD_OK. */
DEFUPD_MUST_CHECK defupd_code du_trust_check_expiry(const struct du_trust *trust, int64_t now,
                                                    uint64_t grace_s, defupd_error *err);

/* Tell each component that the repository offers: targets "COMPONENT/manifest.xml" of the top-level
 * targets role, and delegations with a path "COMPONENT/" "*" or "COMPONENT/manifest.xml". In order
 * of names, each once; none at all when there is no memory for them. */
DEFUPD_MUST_CHECK defupd_code du_trust_components(const struct du_trust *trust,
                                                  void (*each)(void *user, const char *name),
                                                  void *user, defupd_error *err);

/* Tell each trusted role: see defupd_client_trust_show(). */
struct du_role_info {
    const char *name;
    uint64_t version;
    int64_t expires;
    uint32_t threshold;
    const char *keyids; /* "ed25519:HEX ecdsa:HEX" */
};
void du_trust_roles(const struct du_trust *trust,
                    void (*each)(void *user, const struct du_role_info *role), void *user);

#endif
