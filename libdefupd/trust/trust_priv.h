/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of trust/. Section numbers are those of TUF 1.0.34. */
#ifndef DU_TRUST_TRUST_PRIV_H
#define DU_TRUST_TRUST_PRIV_H

#include "base/err.h"
#include "crypto/crypto.h"
#include "trust/trust.h"
#include "json/json.h"

/* One metadata file whose signatures were checked. */
struct du_doc {
    struct du_json *json;          /* the envelope */
    const struct du_json *content; /* its "signed" */
    uint64_t version;
    int64_t expires;
    uint64_t length; /* of the file, and its digests */
    unsigned char sha256[32], sha512[64];
};

/* What a role states about a file below it (METAFILES, 4.4): the version always, the rest when
 * given. */
struct du_meta {
    uint64_t version, length;
    bool has_length, has_sha256, has_sha512;
    unsigned char sha256[32], sha512[64];
};

struct du_named_doc {
    char *name;
    struct du_doc *doc;
};

struct du_held {
    uint64_t version;
    struct du_buf bytes;
};

struct du_seen {
    char *name;
    uint64_t version;
};

#define DU_KEY_MARK_BYTES 16

struct du_trust {
    struct du_doc *root, *timestamp, *snapshot, *targets;
    struct du_meta snapshot_meta; /* of `timestamp` */
    bool recheck;                 /* roles were verified under an older root than `root` */
    struct du_named_doc *delegated;
    size_t delegated_count;
    struct du_checked *checked; /* signatures; NULL: each is checked each time */
    struct du_held *held;       /* roots that are not saved yet */
    size_t held_count;
    struct du_seen *seen; /* highest version of each role, whatever became of its file */
    size_t seen_count;
    unsigned char (*marks)[DU_KEY_MARK_BYTES]; /* timestamp and snapshot keys they were seen with */
    size_t mark_count;
};

/* doc.c */
void du_doc_free(struct du_doc *doc);
void du_doc_freep(struct du_doc **doc);
#define DU_AUTO_DOC __attribute__((cleanup(du_doc_freep))) struct du_doc
/* The envelope only: nothing in it is believed yet. */
DEFUPD_MUST_CHECK defupd_code du_doc_parse(struct du_doc **out, struct du_bytes bytes, size_t max,
                                           const char *what, defupd_error *err);
/* _type, spec_version, version, expires; after the signatures have been checked. */
DEFUPD_MUST_CHECK defupd_code du_doc_header(struct du_doc *doc, const char *type, const char *what,
                                            defupd_error *err);
DEFUPD_MUST_CHECK defupd_code du_doc_root_fields(const struct du_doc *doc, const char *what,
                                                 defupd_error *err);
DEFUPD_MUST_CHECK defupd_code du_doc_snapshot_fields(const struct du_doc *doc, const char *what,
                                                     defupd_error *err);
DEFUPD_MUST_CHECK defupd_code du_doc_targets_fields(const struct du_doc *doc, const char *what,
                                                    defupd_error *err);
/* `name` in doc's "meta"; *listed false when it is not there. */
DEFUPD_MUST_CHECK defupd_code du_doc_meta(const struct du_doc *doc, const char *name,
                                          struct du_meta *meta, bool *listed, const char *what,
                                          defupd_error *err);
/* HASHES (4.4); other algorithms are passed over. */
DEFUPD_MUST_CHECK defupd_code du_hashes_parse(const struct du_json *hashes, bool *has_sha256,
                                              unsigned char sha256[32], bool *has_sha512,
                                              unsigned char sha512[64], const char *what,
                                              defupd_error *err);
bool du_meta_fits(const struct du_meta *meta, const struct du_doc *doc);
/* DEFUPD_E_METADATA_DIGEST when length or digest differ. */
DEFUPD_MUST_CHECK defupd_code du_meta_check(const struct du_meta *meta, const struct du_doc *doc,
                                            const char *what, defupd_error *err);
/* "tetra.json" -> "tetra", *len its length; false for other names. */
bool du_meta_role(const char *file, size_t *len);

/* sign.c: threshold of `role` ({keyids, threshold}) with the keys of `keys` reached? `by` names who
 * asks for it; `checked` may be NULL. */
DEFUPD_MUST_CHECK defupd_code du_doc_verify(const struct du_doc *doc, const struct du_json *keys,
                                            const struct du_json *role, struct du_checked *checked,
                                            const char *by, const char *what, defupd_error *err);
DEFUPD_MUST_CHECK defupd_code du_doc_verify_top(const struct du_doc *doc, const struct du_doc *root,
                                                const char *role, struct du_checked *checked,
                                                const char *what, defupd_error *err);

/* roles.c */
DEFUPD_MUST_CHECK defupd_code du_expiry_check(const struct du_doc *doc, const char *role,
                                              const struct du_trust_time *time, bool grace,
                                              const char *what, defupd_error *err);
/* What the snapshot states about a delegated or the top-level targets role. */
DEFUPD_MUST_CHECK defupd_code du_trust_listed(const struct du_trust *trust, const char *role,
                                              struct du_meta *meta, bool *listed,
                                              defupd_error *err);
/* 5.6.2 to 5.6.5 for any targets role; *out is yours. */
DEFUPD_MUST_CHECK defupd_code du_targets_take(struct du_doc **out, const struct du_trust *trust,
                                              const char *name, const struct du_json *keys,
                                              const struct du_json *role, struct du_bytes bytes,
                                              const char *what, const struct du_trust_time *time,
                                              defupd_error *err);
struct du_doc *du_trust_doc(const struct du_trust *trust, const char *role);
/* Takes over `doc`, also on failure. */
DEFUPD_MUST_CHECK defupd_code du_trust_keep(struct du_trust *trust, const char *name,
                                            struct du_doc *doc, defupd_error *err);

/* seen.c */
#define DU_ROLE_NAME_MAX 240 /* bytes as encoded; with ".json" a file's name */
/* Of the first `len` bytes, once they are encoded. */
size_t du_role_name_length(const char *role, size_t len);
uint64_t du_seen_version(const struct du_trust *trust, const char *role);
DEFUPD_MUST_CHECK defupd_code du_seen_raise(struct du_trust *trust, const char *role, size_t len,
                                            uint64_t version, defupd_error *err);
void du_seen_forget(struct du_trust *trust); /* all but the root's */
/* True when a timestamp or snapshot key that was marked is no longer one. */
DEFUPD_MUST_CHECK defupd_code du_marks_rotated(const struct du_trust *trust, bool *rotated,
                                               defupd_error *err);
DEFUPD_MUST_CHECK defupd_code du_marks_set(struct du_trust *trust, defupd_error *err);

/* checked.c: was it found before that `doc` is signed as `role` asks with `keys`? `digest` is for
 * du_checked_note(), which tells that it was found now. checked NULL: never, and nothing to tell.
 */
DEFUPD_MUST_CHECK defupd_code du_checked_ask(struct du_checked *checked, const struct du_doc *doc,
                                             const struct du_json *keys, const struct du_json *role,
                                             unsigned char digest[DU_SHA256_BYTES], bool *yes,
                                             defupd_error *err);
DEFUPD_MUST_CHECK defupd_code du_checked_note(struct du_checked *checked,
                                              const unsigned char digest[DU_SHA256_BYTES],
                                              defupd_error *err);

/* search.c: `*` and `?` do not match a '/' (4.5, PATHPATTERN). */
bool du_glob_match(const char *pattern, const char *path);

#endif
