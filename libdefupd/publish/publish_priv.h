/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writing side's kitchen. Its door is <defupd/publish.h>.
 * Layer: uses base/, sys/, crypto/, json/, tree/, trust/, manifest/ and bundle/, and stands beside
 * update/: it checks what it is about to publish with the client's own deciders.
 */
#ifndef DU_PUBLISH_PUBLISH_PRIV_H
#define DU_PUBLISH_PUBLISH_PRIV_H

#include <stdbool.h>

#include <defupd/publish.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/name.h"
#include "base/scope.h"
#include "manifest/manifest.h"
#include "publish/key.h"
#include "sys/disk.h"
#include "sys/sys.h"
#include "tree/index.h"
#include "trust/trust.h"
#include "json/json.h"

#define DU_REPO_TMP "bundle.tmp" /* in objects/: a bundle whose name is not known yet */
#define DU_MANIFEST_PUBLISH_MAX (16U * 1024)
#define DU_MANIFEST_KEEP 30 /* releases */
#define DU_META_NAME 96     /* bytes of "N.ROLE.json" and "HASH.manifest.xml", NUL included */

struct defupd_repo {
    const struct du_sys *sys;
    char *dir_path, *keys_path, *temp_path;
    unsigned level, threads;
    defupd_repo_say_fn on_say; /* may be NULL */
    void *say_user;
};

__attribute__((format(printf, 2, 3))) void du_repo_say(const struct defupd_repo *repo,
                                                       const char *format, ...);

/* The repository's folders, open, and the publisher's lock when it was asked for. */
struct du_dirs {
    int top, metadata, targets, objects, lock;
};
#define DU_DIRS            \
    {                      \
        -1, -1, -1, -1, -1 \
    }
/* lock.c. Errors: DEFUPD_E_REPO (no repository), DEFUPD_E_BUSY (pid named), DEFUPD_E_IO */
DEFUPD_MUST_CHECK defupd_code du_dirs_open(const struct defupd_repo *repo, struct du_dirs *dirs,
                                           bool lock, defupd_error *err);
/* Same for `init`: makes what is missing. DEFUPD_E_CANNOT_CREATE. */
DEFUPD_MUST_CHECK defupd_code du_dirs_make(const struct defupd_repo *repo, struct du_dirs *dirs,
                                           defupd_error *err);
void du_dirs_close(struct du_dirs *dirs);
#define DU_AUTO_DIRS __attribute__((cleanup(du_dirs_close))) struct du_dirs
/* Is directory `fd` the directory `top`, or below it? However the paths were written. */
DEFUPD_MUST_CHECK defupd_code du_dir_below(const struct du_sys *sys, int fd, int top, bool *below,
                                           defupd_error *err);

/* keyring.c: the keys directory. Zeroed is an empty ring. */
struct du_ring_key {
    struct du_signer *signer;
    char role[DU_NAME_MAX + 1];
    char file[DU_PART_MAX + 1];
};
struct du_keyring {
    struct du_ring_key *key;
    size_t count;
};
/* Read every "ROLE-KEYID8.pem". A missing folder is an empty ring. Refuses folders and files that
 * others may open, naming them. Errors: DEFUPD_E_KEY, DEFUPD_E_IO, DEFUPD_E_NOMEM */
DEFUPD_MUST_CHECK defupd_code du_keyring_load(const struct defupd_repo *repo,
                                              struct du_keyring *ring, defupd_error *err);
/* Generate a key, store it, add it to the ring. Makes the folder when missing. */
DEFUPD_MUST_CHECK defupd_code du_keyring_generate(const struct defupd_repo *repo,
                                                  struct du_keyring *ring, const char *role,
                                                  enum du_key_type type, defupd_error *err);
/* NULL when the ring has no key with this id. */
const struct du_ring_key *du_keyring_find(const struct du_keyring *ring, const char *keyid);
/* Tell the person when the keys directory stands where a web server may find it. */
DEFUPD_MUST_CHECK defupd_code du_keyring_warn(const struct defupd_repo *repo, int top,
                                              defupd_error *err);
void du_keyring_free(struct du_keyring *ring);
#define DU_AUTO_KEYRING __attribute__((cleanup(du_keyring_free))) struct du_keyring

/* metadata.c: roles as JSON. */
enum du_role { DU_ROLE_ROOT, DU_ROLE_TARGETS, DU_ROLE_SNAPSHOT, DU_ROLE_TIMESTAMP };
#define DU_ROLES 4
const char *du_role_name(enum du_role role);
bool du_role_parse(const char *name, enum du_role *role);
enum du_key_type du_role_key_type(enum du_role role); /* the default one */
int64_t du_role_life_s(enum du_role role);
size_t du_role_max(enum du_role role); /* bytes of its file */

/* A role's file: the bytes as they are (to be) on disk, and the parsed document. */
struct du_role_doc {
    struct du_buf bytes;
    struct du_json *json;
    uint64_t version;
    int64_t expires;
};
void du_role_doc_free(struct du_role_doc *doc);
#define DU_AUTO_ROLE_DOC __attribute__((cleanup(du_role_doc_free))) struct du_role_doc
/* Parse doc->bytes: the parts that every role has. `what` names the file.
 * Errors: DEFUPD_E_METADATA_FORMAT, DEFUPD_E_METADATA_LIMIT, DEFUPD_E_NOMEM */
DEFUPD_MUST_CHECK defupd_code du_role_doc_parse(struct du_role_doc *doc, enum du_role role,
                                                const char *what, defupd_error *err);
/* Sign a role's content with every key that the ring has of those that `root` names for the role.
 * `part` is taken over, also on failure; NULL means "no memory".
 * Errors: DEFUPD_E_KEY (fewer than the threshold), DEFUPD_E_LIMIT, DEFUPD_E_NOMEM */
DEFUPD_MUST_CHECK defupd_code du_role_doc_sign(struct du_role_doc *doc,
                                               const struct du_keyring *ring,
                                               const struct du_json *root, enum du_role role,
                                               struct du_json *part, defupd_error *err);
/* DEFUPD_E_KEY when the ring cannot reach the role's threshold; `dir` is named. */
DEFUPD_MUST_CHECK defupd_code du_role_can_sign(const struct du_keyring *ring,
                                               const struct du_json *root, enum du_role role,
                                               const char *dir, defupd_error *err);
/* Contents, to be signed. NULL: no memory. */
struct du_json *du_part_new(enum du_role role, uint64_t version, int64_t now);
/* A copy of a document's content with another version and a new life. */
struct du_json *du_part_next(const struct du_role_doc *doc, enum du_role role, uint64_t version,
                             int64_t now);
/* State in `part` (timestamp or snapshot) the version, length and SHA-256 of a role's file. */
bool du_part_state(struct du_json *part, enum du_role of, const struct du_role_doc *doc);
/* State in targets content what a component's manifest is. */
bool du_part_target(struct du_json *part, const char *component, struct du_bytes manifest);
/* The `roles` and `keys` of a first root. */
bool du_part_root_keys(struct du_json *part, const struct du_keyring *ring);

struct du_next;

/* state.c: what is published, read back and checked as a client would before it is built upon. */
struct du_state {
    int64_t now; /* when the command began */
    struct du_role_doc doc[DU_ROLES];
    struct du_trust *trust;
};
void du_state_free(struct du_state *state);
#define DU_AUTO_STATE __attribute__((cleanup(du_state_free))) struct du_state
/* Signatures, versions and digests along the chain from 1.root.json; expiry is not looked at: a
 * publisher who comes back after a month must be able to go on.
 * Errors: DEFUPD_E_REPO (what is missing or does not verify), DEFUPD_E_IO, DEFUPD_E_NOMEM */
DEFUPD_MUST_CHECK defupd_code du_state_load(const struct defupd_repo *repo,
                                            const struct du_dirs *dirs, struct du_state *state,
                                            defupd_error *err);
/* Would a client that has the published state take the next one? Also its manifest, of `component`
 * when that is not NULL. What it took becomes the trusted one. DEFUPD_E_BUG when it would not. */
DEFUPD_MUST_CHECK defupd_code du_state_check_next(struct du_state *state,
                                                  const struct du_next *next, const char *component,
                                                  struct du_bytes manifest, defupd_error *err);
/* The content (`signed`) of a role. Borrowed. */
const struct du_json *du_state_part(const struct du_state *state, enum du_role role);
/* Read and parse a component's published manifest; *out stays NULL when it has none. */
DEFUPD_MUST_CHECK defupd_code du_state_manifest(const struct defupd_repo *repo,
                                                const struct du_dirs *dirs, struct du_state *state,
                                                const char *component, struct du_manifest **out,
                                                defupd_error *err);

/* push.c: the next state: signed in memory and checked, then written in the order that keeps every
 * instant valid. */
struct du_next {
    bool targets, snapshot; /* which roles change; the timestamp always does */
    struct du_role_doc doc[DU_ROLES];
};
void du_next_free(struct du_next *next);
#define DU_AUTO_NEXT __attribute__((cleanup(du_next_free))) struct du_next
/* DEFUPD_E_KEY when the ring cannot sign what changes. */
DEFUPD_MUST_CHECK defupd_code du_next_can_sign(const struct defupd_repo *repo,
                                               const struct du_state *state,
                                               const struct du_keyring *ring,
                                               const struct du_next *next, defupd_error *err);
/*
 * Sign. With next->targets, `component` and `manifest` may name a manifest that changes (else NULL
 * and nothing). The result has passed a client's checks on top of the published state, down to the
 * manifest; nothing is written yet. `state` has then moved on: it can only be written or freed.
 */
DEFUPD_MUST_CHECK defupd_code du_next_make(const struct du_dirs *dirs, struct du_state *state,
                                           const struct du_keyring *ring, struct du_next *next,
                                           const char *component, struct du_bytes manifest,
                                           defupd_error *err);
/* Targets, snapshot, timestamp. The release is visible when the last rename is. */
DEFUPD_MUST_CHECK defupd_code du_next_write(const struct defupd_repo *repo,
                                            const struct du_dirs *dirs, const struct du_next *next,
                                            defupd_error *err);

/* "12.snapshot.json", or "timestamp.json". */
void du_role_file(char name[DU_META_NAME], enum du_role role, uint64_t version);
/* "HASH.manifest.xml" */
void du_manifest_file(char name[DU_META_NAME], struct du_bytes manifest);

/* object.c */
/* Open a published object; *fd yours. DEFUPD_E_IO with ENOENT when it is not there. */
DEFUPD_MUST_CHECK defupd_code du_object_open(const struct defupd_repo *repo,
                                             const struct du_dirs *dirs,
                                             const struct du_object *object, int *fd,
                                             defupd_error *err);
/* Bundle the tree at `root` into objects/; *object out. */
DEFUPD_MUST_CHECK defupd_code du_object_make(const struct defupd_repo *repo,
                                             const struct du_dirs *dirs, int root,
                                             const struct du_index *index, struct du_object *object,
                                             defupd_error *err);

#endif
