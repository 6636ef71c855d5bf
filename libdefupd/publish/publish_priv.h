/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writing side's kitchen. Its door is <defupd/publish.h>.
 * Layer: uses base/, sys/, crypto/, json/, tree/, trust/, manifest/ and bundle/, and stands beside
 * update/: it checks what it is about to publish with the client's own deciders.
 */
#ifndef DU_PUBLISH_PUBLISH_PRIV_H
#define DU_PUBLISH_PUBLISH_PRIV_H

#include <stdatomic.h>
#include <stdbool.h>

#include <defupd/publish.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/name.h"
#include "base/scope.h"
#include "manifest/manifest.h"
#include "publish/choose.h"
#include "publish/key.h"
#include "sys/disk.h"
#include "sys/sys.h"
#include "tree/index.h"
#include "tree/tree.h"
#include "trust/trust.h"
#include "json/json.h"

#define DU_REPO_TMP "work.tmp" /* folder in objects/: what is being made */
#define DU_MANIFEST_PUBLISH_MAX (16U * 1024)
#define DU_TEXT_PUBLISH_MAX 256 /* bytes of a note or of a withdrawal's reason */
#define DU_META_NAME 96         /* bytes of "N.ROLE.json" and "HASH.manifest.xml", NUL included */

struct defupd_repo {
    const struct du_sys *sys;
    char *dir_path, *keys_path, *temp_path, *pending_path;
    unsigned level, threads, warn_days;
    defupd_repo_say_fn on_say; /* may be NULL */
    void *say_user;
    defupd_repo_passphrase_fn on_passphrase; /* may be NULL */
    void *passphrase_user;
    defupd_repo_progress_fn on_progress; /* may be NULL */
    void *progress_user;
    atomic_bool cancelled;
};

__attribute__((format(printf, 2, 3))) void du_repo_say(const struct defupd_repo *repo,
                                                       const char *format, ...);
/* DEFUPD_E_CANCELLED once somebody has asked for it. */
DEFUPD_MUST_CHECK defupd_code du_repo_go_on(const struct defupd_repo *repo, defupd_error *err);

/* Long work: its tick tells how far it is, and ends it when it is cancelled. */
struct du_task {
    const struct defupd_repo *repo;
    defupd_repo_progress told;
    struct du_tick tick;
};
/* `component` is borrowed; `total` bytes, 0: not known. */
void du_task_start(struct du_task *task, const struct defupd_repo *repo, defupd_repo_phase phase,
                   const char *component, uint64_t version, uint64_t total);

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
    struct du_json *public;   /* the key object as metadata holds it */
    struct du_signer *signer; /* NULL: no private half, or it has not been unlocked yet */
    bool has_private;
    char id[DU_KEYID_TEXT];
    char role[DU_NAME_MAX + 1]; /* of the file's name: what the key was made for */
    char file[DU_PART_MAX + 1]; /* of the private half, else of the public one */
};
struct du_keyring {
    struct du_ring_key *key;
    size_t count;
};
/* Read every "ROLE-KEYID8.pem" and "ROLE-KEYID8.json". A missing folder is an empty ring. Refuses
 * folders and private keys that others may open, naming them. An encrypted key with its public half
 * beside it stays locked until it signs. Errors: DEFUPD_E_KEY, DEFUPD_E_IO, DEFUPD_E_NOMEM */
DEFUPD_MUST_CHECK defupd_code du_keyring_load(const struct defupd_repo *repo,
                                              struct du_keyring *ring, defupd_error *err);
/* Generate a key, store both halves, add it to the ring; encrypted when repo->on_passphrase gives a
 * passphrase. Makes the folder when missing. The index of the new key is ring->count - 1. */
DEFUPD_MUST_CHECK defupd_code du_keyring_generate(const struct defupd_repo *repo,
                                                  struct du_keyring *ring, const char *role,
                                                  enum du_key_type type, defupd_error *err);
/* NULL when the ring has no key with this id. */
struct du_ring_key *du_keyring_find(const struct du_keyring *ring, const char *keyid);
/* The signer of a key with a private half; unlocks it, asking for its passphrase. */
DEFUPD_MUST_CHECK defupd_code du_keyring_unlock(const struct defupd_repo *repo,
                                                struct du_ring_key *key, defupd_error *err);
/* Tell the person when the keys directory stands where a web server may find it. */
DEFUPD_MUST_CHECK defupd_code du_keyring_warn(const struct defupd_repo *repo, int top,
                                              defupd_error *err);
/* Open the keys directory; *fd stays -1 when there is none. */
DEFUPD_MUST_CHECK defupd_code du_keys_open(const struct defupd_repo *repo, int *fd,
                                           defupd_error *err);
void du_keyring_free(struct du_keyring *ring);
#define DU_AUTO_KEYRING __attribute__((cleanup(du_keyring_free))) struct du_keyring

/* metadata.c: roles as JSON. */
enum du_role {
    DU_ROLE_ROOT,
    DU_ROLE_TARGETS,
    DU_ROLE_SNAPSHOT,
    DU_ROLE_TIMESTAMP,
    DU_ROLE_COMPONENT /* a delegated role, named as its component */
};
#define DU_ROLES 4                                        /* those of the root */
const char *du_role_name(enum du_role role);              /* of those of the root */
bool du_role_parse(const char *name, enum du_role *role); /* those of the root only */
bool du_role_of(const char *name, enum du_role *role);    /* components too */
enum du_key_type du_role_key_type(enum du_role role);     /* the default one */
size_t du_role_max(enum du_role role);                    /* bytes of its file */
/* "12.snapshot.json", or "timestamp.json". */
void du_role_file(char file[DU_META_NAME], const char *name, uint64_t version);

/* A role's file: the bytes as they are (to be) on disk, and the parsed document. */
struct du_role_doc {
    enum du_role role;
    char name[DU_NAME_MAX + 1];
    struct du_buf bytes;
    struct du_json *json; /* NULL: there is none (yet) */
    uint64_t version;
    int64_t expires; /* 0: not set yet */
    /* While it is being made: what will be "signed", and the "signatures" so far. */
    struct du_json *part, *signatures;
};
void du_role_doc_free(struct du_role_doc *doc);
#define DU_AUTO_ROLE_DOC __attribute__((cleanup(du_role_doc_free))) struct du_role_doc
/* Parse doc->bytes: the parts that every role has. `what` names the file.
 * Errors: DEFUPD_E_METADATA_FORMAT, DEFUPD_E_METADATA_LIMIT, DEFUPD_E_NOMEM */
DEFUPD_MUST_CHECK defupd_code du_role_doc_parse(struct du_role_doc *doc, const char *name,
                                                const char *what, defupd_error *err);
/* Content ("signed") of a document, made or being made. Borrowed. */
const struct du_json *du_role_doc_part(const struct du_role_doc *doc);

/* Documents by the name of their role. */
struct du_role_set {
    struct du_role_doc doc[DU_ROLES];
    struct du_role_doc *component; /* in order of arrival */
    size_t components;
};
void du_role_set_free(struct du_role_set *set);
/* NULL when the set has none. */
struct du_role_doc *du_role_set_find(const struct du_role_set *set, const char *name);
/* The slot for a role, empty when it is new; NULL: no memory. Moves the others. */
struct du_role_doc *du_role_set_slot(struct du_role_set *set, const char *name);
/* Walk those that are there: root, targets, components, snapshot, timestamp. `at` counts. */
struct du_role_doc *du_role_set_at(const struct du_role_set *set, size_t *at);

/* Contents, to be signed. NULL or false: no memory. */
struct du_json *du_part_new(enum du_role role);
bool du_part_version(struct du_json *part, uint64_t version);
bool du_part_expires(struct du_json *part, int64_t expires);
/* State in `part` (timestamp or snapshot) the version, length and SHA-256 of a role's file. */
bool du_part_state(struct du_json *part, const struct du_role_doc *doc);
/* State in targets content what a component's manifest is. */
bool du_part_target(struct du_json *part, const char *component, struct du_bytes manifest);
/* Replace one entry of an object inside `part`; `value` is taken over. */
bool du_part_set_below(struct du_json *part, const char *object, const char *key,
                       struct du_json *value);

/* entry.c: who may sign a role, as root or targets state it. */

/* A role's {keyids, threshold}, and the keys it names. NULL when there is no such role. */
struct du_authority {
    const struct du_json *keys, *entry;
};
/* `root` and `targets` are contents; targets may be NULL. */
struct du_authority du_authority_of(const struct du_json *root, const struct du_json *targets,
                                    const char *name);
/* INT64_MAX when it is not stated, so that nothing reaches it. */
int64_t du_authority_threshold(struct du_authority authority);
size_t du_authority_count(struct du_authority authority);                    /* keys */
const char *du_authority_keyid(struct du_authority authority, size_t index); /* "" if malformed */
bool du_authority_names(struct du_authority authority, const char *keyid);
/* How long what it signs is valid. */
int64_t du_authority_life_s(struct du_authority authority, enum du_role role);
bool du_authority_same(struct du_authority a, struct du_authority b);

#define DU_ENTRY_KEYS_MAX 64
#define DU_DAYS_MAX 3650
/* `part` is the content of root, or of targets for a component. Give a role these keys (taken
 * over), threshold and life (0: the default), and make `keys` hold what roles name, no more; those
 * that are new are in `ring`. False: no memory. */
bool du_entry_set(struct du_json *part, const char *name, struct du_json *keyids, int64_t threshold,
                  int64_t days, const struct du_keyring *ring);
/* 0: the default. */
int64_t du_entry_days(struct du_authority authority);
/* Add the delegation NAME/ *, terminating, without keys. */
bool du_entry_delegate(struct du_json *part, const char *name);

struct du_next;

/* state.c: what is published, read back and checked as a client would before it is built upon. */
struct du_state {
    int64_t now; /* when the command began */
    struct du_role_set set;
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
/* The same for who is about to sign: also a repository whose last root was published and the rest
 * not; du_trust_version() of what has to be signed anew is then 0. */
DEFUPD_MUST_CHECK defupd_code du_state_load_cut(const struct defupd_repo *repo,
                                                const struct du_dirs *dirs, struct du_state *state,
                                                defupd_error *err);
/* Would a client that has the published state take the next one, and find in it what it names? It
 * becomes the trusted one. `manifest` is that of `component` when this is not NULL; those of the
 * others are read from disk. DEFUPD_E_BUG when it would not. */
DEFUPD_MUST_CHECK defupd_code du_state_check_next(const struct defupd_repo *repo,
                                                  const struct du_dirs *dirs,
                                                  struct du_state *state,
                                                  const struct du_next *next, const char *component,
                                                  struct du_bytes manifest, defupd_error *err);
/* The content (`signed`) of a role; NULL when it is not published. Borrowed. */
const struct du_json *du_state_part(const struct du_state *state, const char *name);
/* Read and parse a component's published manifest; *out stays NULL when it has none. */
DEFUPD_MUST_CHECK defupd_code du_state_manifest(const struct defupd_repo *repo,
                                                const struct du_dirs *dirs, struct du_state *state,
                                                const char *component, struct du_manifest **out,
                                                defupd_error *err);

/* The same manifest as it stands there: its path below the repository and its bytes, of which
 * `verified` is a view. Both buffers stay empty when it has none. */
DEFUPD_MUST_CHECK defupd_code du_state_manifest_bytes(const struct defupd_repo *repo,
                                                      const struct du_dirs *dirs,
                                                      struct du_state *state, const char *component,
                                                      struct du_buf *path, struct du_buf *bytes,
                                                      struct du_verified *verified,
                                                      defupd_error *err);

/* next.c: the next state: what changes is edited, signed, checked, and then written in the order
 * that keeps every instant valid. */
struct du_next {
    struct du_role_set set;   /* what changes */
    bool snapshot, timestamp; /* sign it anew though nothing below it changes */
    bool was_pending;         /* it comes out of the pending change */
    bool lost;                /* keys that leave a role need not sign its last version */
};
void du_next_free(struct du_next *next);
#define DU_AUTO_NEXT __attribute__((cleanup(du_next_free))) struct du_next
/* The content of a role's next version, to be edited; a copy of the published one at first.
 * Borrowed, until it is signed. */
DEFUPD_MUST_CHECK defupd_code du_next_edit(const struct du_dirs *dirs, const struct du_state *state,
                                           struct du_next *next, const char *name,
                                           struct du_json **part, defupd_error *err);
/* What root and targets will say. Borrowed. */
const struct du_json *du_next_part(const struct du_state *state, const struct du_next *next,
                                   const char *name);
struct du_authority du_next_authority(const struct du_state *state, const struct du_next *next,
                                      const char *name);
/* Who must sign a role's next version: at most two. Returns how many. */
size_t du_next_authorities(const struct du_state *state, const struct du_next *next,
                           const char *name, struct du_authority authority[2]);
/* Sign root, targets and components with every key the ring has of those that may. */
DEFUPD_MUST_CHECK defupd_code du_next_sign(const struct defupd_repo *repo,
                                           const struct du_state *state, struct du_keyring *ring,
                                           struct du_next *next, defupd_error *err);
/* DEFUPD_E_KEY, saying what is missing, unless all of these are signed by enough keys. */
DEFUPD_MUST_CHECK defupd_code du_next_complete(const struct du_state *state,
                                               const struct du_next *next, defupd_error *err);
/*
 * Make snapshot and timestamp, and check it all by a client's rules on top of the published state:
 * `component` and `manifest` as in du_state_check_next(). Nothing is written yet. `state` has then
 * moved on: it can only be written or freed.
 */
DEFUPD_MUST_CHECK defupd_code du_next_finish(const struct defupd_repo *repo,
                                             const struct du_dirs *dirs, struct du_state *state,
                                             struct du_keyring *ring, struct du_next *next,
                                             const char *component, struct du_bytes manifest,
                                             defupd_error *err);
/* What finish needs of snapshot and timestamp: known once the rest is edited. */
bool du_next_needs(const struct du_state *state, const struct du_next *next, enum du_role role);
/* The release is visible when the last rename is. */
DEFUPD_MUST_CHECK defupd_code du_next_write(const struct defupd_repo *repo,
                                            const struct du_dirs *dirs, const struct du_next *next,
                                            defupd_error *err);

/* sign.c: signatures of one document. */
/* Add a signature by every key that the ring has of those the authority names. */
DEFUPD_MUST_CHECK defupd_code du_sign_doc(const struct defupd_repo *repo, struct du_role_doc *doc,
                                          struct du_authority authority, struct du_keyring *ring,
                                          size_t *added, defupd_error *err);
/* Has this key signed, or is there something under its id? */
bool du_sign_has(const struct du_role_doc *doc, const char *keyid);
/* Keys of the authority whose signature is there and right. */
DEFUPD_MUST_CHECK defupd_code du_sign_count(const struct du_role_doc *doc,
                                            struct du_authority authority, int64_t *have,
                                            defupd_error *err);
/* Take over those signatures of `from` that are right and that doc lacks. */
DEFUPD_MUST_CHECK defupd_code du_sign_merge(struct du_role_doc *doc,
                                            const struct du_json *signatures,
                                            struct du_authority authority, size_t *added,
                                            defupd_error *err);
/* Bytes and document from part and signatures. */
DEFUPD_MUST_CHECK defupd_code du_sign_seal(struct du_role_doc *doc, defupd_error *err);
/* DEFUPD_E_KEY when the ring's private halves cannot reach the threshold; `name` is the role's. */
DEFUPD_MUST_CHECK defupd_code du_sign_can(const struct defupd_repo *repo,
                                          const struct du_keyring *ring,
                                          struct du_authority authority, const char *name,
                                          defupd_error *err);

/* work.c: what every command that signs begins with: the lock, the published state, the keys, and
 * the pinned root. */
struct du_work {
    struct du_dirs dirs;
    struct du_state state;
    struct du_keyring ring;
};
#define DU_WORK         \
    {                   \
        .dirs = DU_DIRS \
    }
DEFUPD_MUST_CHECK defupd_code du_work_begin(const struct defupd_repo *repo, struct du_work *work,
                                            defupd_error *err);
/* What root changes, or has changed without the rest, is signed anew too. */
DEFUPD_MUST_CHECK defupd_code du_work_cover(const struct du_work *work, struct du_next *next,
                                            defupd_error *err);
/* Write what is finished, and move the pin. */
DEFUPD_MUST_CHECK defupd_code du_work_write(const struct defupd_repo *repo, struct du_work *work,
                                            const struct du_next *next, defupd_error *err);
/* Tell what was signed. */
void du_work_say(const struct defupd_repo *repo, const struct du_next *next);
void du_work_end(struct du_work *work);
#define DU_AUTO_WORK __attribute__((cleanup(du_work_end))) struct du_work

/* edition.c: a component's manifest, from the published one to the next. */
struct du_edition {
    const char *component; /* borrowed */
    struct du_manifest *manifest;
    struct du_buf text; /* of the manifest, once it fits */
    uint64_t dropped;   /* releases that had to go */
    bool may_pend;      /* when signatures are missing here, keep it pending */
    bool is_pending;    /* and they are */
};
#define DU_EDITION                            \
    {                                         \
        .text = DU_BUF(DU_MANIFEST_BYTES_MAX) \
    }
void du_edition_end(struct du_edition *edition);
/* One line of UTF-8, at most `max` bytes; NULL is allowed. DEFUPD_E_INVALID with `what`. */
DEFUPD_MUST_CHECK defupd_code du_edition_text(const char *what, const char *text, size_t max,
                                              defupd_error *err);
DEFUPD_MUST_CHECK defupd_code du_edition_check_name(const char *component, uint64_t version,
                                                    defupd_error *err);
DEFUPD_MUST_CHECK defupd_code du_edition_check_rollout(const defupd_repo_rollout *rollout,
                                                       defupd_error *err);
/* A checked one; it starts `now` where neither it nor the release says when. False: no memory. */
bool du_edition_set_rollout(struct du_release *release, const defupd_repo_rollout *rollout,
                            int64_t now);
/* The manifest that is published; it stays NULL when the component has none. Fails where keys are
 * missing, before any work is done: DEFUPD_E_KEY, or DEFUPD_E_PENDING; DEFUPD_E_UNSUPPORTED for one
 * that this software cannot write again. */
DEFUPD_MUST_CHECK defupd_code du_edition_begin(const struct defupd_repo *repo, struct du_work *work,
                                               const char *component, bool pending,
                                               struct du_edition *edition, defupd_error *err);
/* Write the manifest, dropping entries until it is as small as clients expect; `keep` as in
 * du_choose_drop(). DEFUPD_E_LIMIT. */
DEFUPD_MUST_CHECK defupd_code du_edition_fit(struct du_edition *edition, uint64_t keep,
                                             defupd_error *err);
/* Sign it with what is here, and where that is enough, all that states it. Nothing is written. */
DEFUPD_MUST_CHECK defupd_code du_edition_sign(const struct defupd_repo *repo, struct du_work *work,
                                              struct du_edition *edition, struct du_next *next,
                                              defupd_error *err);
/* Put it in place, or keep it pending as `what`. Its objects are there. */
DEFUPD_MUST_CHECK defupd_code du_edition_publish(const struct defupd_repo *repo,
                                                 struct du_work *work,
                                                 const struct du_edition *edition,
                                                 struct du_next *next, const char *what,
                                                 defupd_error *err);

/* pin.c: the newest root, in the keys directory. */
/* `pin` stays empty when there is none. */
DEFUPD_MUST_CHECK defupd_code du_pin_load(const struct defupd_repo *repo, struct du_role_doc *pin,
                                          defupd_error *err);
DEFUPD_MUST_CHECK defupd_code du_pin_write(const struct defupd_repo *repo,
                                           const struct du_role_doc *root, defupd_error *err);
/* Same for a root that goes on from the pin: where the folder cannot be written, that is said. */
DEFUPD_MUST_CHECK defupd_code du_pin_move(const struct defupd_repo *repo,
                                          const struct du_role_doc *root, defupd_error *err);
/* The repository's chain goes on from the pinned root, which is loaded into `pin`; this stays empty
 * when there is none. Writes nothing. DEFUPD_E_PIN. */
DEFUPD_MUST_CHECK defupd_code du_pin_compare(const struct defupd_repo *repo,
                                             const struct du_dirs *dirs,
                                             const struct du_state *state, struct du_role_doc *pin,
                                             defupd_error *err);
/* The same, and the pin moves to the chain's end. Without a pin, the newest root is pinned, and
 * said so. */
DEFUPD_MUST_CHECK defupd_code du_pin_check(const struct defupd_repo *repo,
                                           const struct du_dirs *dirs, const struct du_state *state,
                                           defupd_error *err);
bool du_pin_same(const struct du_role_doc *pin, const struct du_role_doc *root);

/* list.c: a role's document in the words of the public header. */
DEFUPD_MUST_CHECK defupd_code du_role_facts(defupd_repo_role *role, const struct du_role_doc *doc,
                                            struct du_authority by, const struct du_keyring *ring,
                                            defupd_error *err);

/* describe.c: what a document says and changes, one line at a time. `published` may be NULL. */
void du_describe(const struct du_role_doc *doc, const struct du_role_doc *published, int64_t now,
                 defupd_repo_say_fn on_line, void *user);

/* pending.c: a change that waits for signatures. */
#define DU_PENDING_MAX (64U * 1024 * 1024)
struct du_pending {
    struct du_state state; /* what it is built upon: the newest root, and the roles that change */
    struct du_next next;
    struct du_json *roots; /* the chain, from version 1 */
    char *what;            /* in words */
};
void du_pending_free(struct du_pending *pending);
/* The folder that a path leads to, *dir yours, and the name in it. DEFUPD_E_CANNOT_CREATE. */
DEFUPD_MUST_CHECK defupd_code du_pending_open_parent(const struct du_sys *sys, const char *path,
                                                     int *dir, const char **name,
                                                     defupd_error *err);
/* Files by path, at most bytes->max; replaced atomically. */
DEFUPD_MUST_CHECK defupd_code du_pending_read_file(const struct defupd_repo *repo, const char *path,
                                                   struct du_buf *bytes, defupd_error *err);
DEFUPD_MUST_CHECK defupd_code du_pending_write_file(const struct defupd_repo *repo,
                                                    const char *path, const struct du_buf *bytes,
                                                    defupd_error *err);
DEFUPD_MUST_CHECK defupd_code du_pending_write(const struct du_pending *pending, struct du_buf *out,
                                               defupd_error *err);
/* What is called published in it has been verified along its own chain of roots, whose beginning
 * the caller compares. `what` names the file. DEFUPD_E_METADATA_FORMAT, DEFUPD_E_SIGNATURE,
 * DEFUPD_E_ROLLBACK, DEFUPD_E_NOMEM */
DEFUPD_MUST_CHECK defupd_code du_pending_read(struct du_pending *pending, struct du_bytes bytes,
                                              int64_t now, const char *what, defupd_error *err);
/* Keep what is signed so far beside the repository; takes over work->state and next. */
DEFUPD_MUST_CHECK defupd_code du_pending_save(const struct defupd_repo *repo, struct du_work *work,
                                              struct du_next *next, const char *what,
                                              defupd_error *err);
DEFUPD_MUST_CHECK defupd_code du_pending_load(const struct defupd_repo *repo,
                                              struct du_pending *pending, bool *there,
                                              defupd_error *err);
DEFUPD_MUST_CHECK defupd_code du_pending_remove(const struct defupd_repo *repo, bool *there,
                                                defupd_error *err);
/* DEFUPD_E_PENDING when a change is pending. */
DEFUPD_MUST_CHECK defupd_code du_pending_check_none(const struct defupd_repo *repo,
                                                    defupd_error *err);
/* Is it built upon what is published now? */
bool du_pending_fits(const struct du_pending *pending, const struct du_state *state);
/* Tell the person when what was just written makes a pending change void. */
void du_pending_warn(const struct defupd_repo *repo, const struct du_next *written);

/* "HASH.manifest.xml" */
void du_manifest_file(char name[DU_META_NAME], struct du_bytes manifest);

/* object.c */
/* Open a published object; *fd yours. DEFUPD_E_IO with ENOENT when it is not there. */
DEFUPD_MUST_CHECK defupd_code du_object_open(const struct defupd_repo *repo,
                                             const struct du_dirs *dirs,
                                             const struct du_object *object, int *fd,
                                             defupd_error *err);
/* The same, and vouch for it: the whole digest is compared. Errors: du_object_verify()'s too. */
DEFUPD_MUST_CHECK defupd_code du_object_check(const struct defupd_repo *repo,
                                              const struct du_dirs *dirs,
                                              const struct du_object *object,
                                              const struct du_tick *tick, int *fd,
                                              struct du_verified_file *file, defupd_error *err);

/* A private folder on the repository's disk where objects are made and trees are unpacked. Nothing
 * of it is served; it goes when the work ends, also by a failure, and what a killed publisher left
 * goes with the next one. Needs the lock. */
struct du_shop {
    const struct defupd_repo *repo; /* NULL: not open */
    const struct du_dirs *dirs;
    int fd;
};
#define DU_SHOP  \
    {            \
        .fd = -1 \
    }
#define DU_SHOP_BUNDLE "bundle" /* the new release's bundle */
DEFUPD_MUST_CHECK defupd_code du_shop_open(struct du_shop *shop, const struct defupd_repo *repo,
                                           const struct du_dirs *dirs, defupd_error *err);
void du_shop_end(struct du_shop *shop);
#define DU_AUTO_SHOP __attribute__((cleanup(du_shop_end))) struct du_shop
/* An empty file, mode 0644; *fd yours, for reading and writing. */
DEFUPD_MUST_CHECK defupd_code du_shop_create(const struct du_shop *shop, const char *name, int *fd,
                                             defupd_error *err);
/* Bundle the tree at `root`; *object out. Synced, not in place yet. */
DEFUPD_MUST_CHECK defupd_code du_shop_bundle(const struct du_shop *shop, int root,
                                             const struct du_index *index,
                                             const struct du_tick *tick, struct du_object *object,
                                             defupd_error *err);
/* Move a synced file to the object's place, durably. */
DEFUPD_MUST_CHECK defupd_code du_shop_place(const struct du_shop *shop, const char *from,
                                            const struct du_object *object, defupd_error *err);

/* delta.c: the deltas to a new release. */
struct du_deltas_job {
    size_t source;                 /* index in the manifest */
    defupd_repo_delta_state state; /* 0: not made yet */
    struct du_object object;       /* when it is made */
    size_t twin;                   /* the job whose delta it shares; its own number: none */
    uint64_t ms;
    char why[DEFUPD_ERROR_MESSAGE_MAX]; /* of one that could not be made */
};
struct du_deltas {
    struct du_deltas_job job[DU_CHOOSE_DELTAS_MAX];
    size_t count;
};
struct du_deltas_limits {
    unsigned jobs;   /* at a time, at least 1 */
    uint64_t memory; /* of all jobs together */
};
/* Choose them for manifest->release[0] and put them into it as if they were as large as its bundle,
 * so that it is known what fits. */
DEFUPD_MUST_CHECK defupd_code du_deltas_plan(const struct defupd_repo *repo,
                                             const struct du_dirs *dirs,
                                             struct du_manifest *manifest, size_t max,
                                             defupd_error *err);
/*
 * Make those that release[0] still plans, each from the bundle of its source, prove each by
 * applying it, and leave in release[0] those that are worth it. Tells progress on this thread;
 * others work for it. Nothing is in place yet.
 *
 * root, index  the new release's tree
 */
DEFUPD_MUST_CHECK defupd_code du_deltas_make(const struct du_shop *shop,
                                             struct du_manifest *manifest, int root,
                                             const struct du_index *index,
                                             const struct du_deltas_limits *limits,
                                             struct du_deltas *deltas, defupd_error *err);
/* Move them into place. */
DEFUPD_MUST_CHECK defupd_code du_deltas_place(const struct du_shop *shop,
                                              const struct du_deltas *deltas, defupd_error *err);

#endif
