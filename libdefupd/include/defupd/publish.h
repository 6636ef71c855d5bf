/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEFUPD_PUBLISH_H
#define DEFUPD_PUBLISH_H

/**
 * @file defupd/publish.h
 * @brief Making a repository: keys, releases, metadata. In libdefupd-publish, never needed on an
 *        endpoint.
 *
 * A reader who arrives at any instant finds a consistent repository: files are written beside,
 * synced and renamed into place, the timestamp last.
 */

#include <stddef.h>
#include <stdint.h>

#include <defupd/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/** One repository on disk. Use from one thread at a time. */
typedef struct defupd_repo defupd_repo;

/** Receives lines for people: what was done, warnings. */
typedef void (*defupd_repo_say_fn)(void *user, const char *line);

/** Bytes of a passphrase, without the NUL. */
#define DEFUPD_PASSPHRASE_MAX 1024

/**
 * Asks for the passphrase of a private key: writes it with its NUL into `passphrase`, or "" for
 * none. It is wiped after use.
 *
 * @param file   the key's file
 * @param fresh  1 for a key that is being made: ask twice; "" leaves it unencrypted
 */
typedef defupd_code (*defupd_repo_passphrase_fn)(void *user, const char *file, int fresh,
                                                 char *passphrase, size_t size,
                                                 defupd_error *error);

/** What takes long. */
typedef enum defupd_repo_phase {
    DEFUPD_REPO_READING = 1,  /**< A tree is read and hashed. How much it holds is not known yet. */
    DEFUPD_REPO_BUNDLING = 2, /**< It becomes an object. */
    DEFUPD_REPO_CHECKING = 3, /**< A release's objects are read and unpacked. */
    DEFUPD_REPO_DELTAS = 4,   /**< Deltas are made; the bytes are those of all trees at work. */
    DEFUPD_REPO_EXPORTING = 5 /**< Objects go into an archive. */
} defupd_repo_phase;

/** How far it is. */
typedef struct defupd_repo_progress {
    uint32_t struct_size;
    uint32_t phase; /**< A defupd_repo_phase. */
    uint64_t version;
    uint64_t bytes_done;
    uint64_t bytes_total; /**< 0: not known. */
    const char *component;
} defupd_repo_progress;

/** Called often, from the thread that made the call. */
typedef void (*defupd_repo_progress_fn)(void *user, const defupd_repo_progress *progress);

/** Start from DEFUPD_REPO_OPTIONS_INIT. Copied during defupd_repo_open(). */
typedef struct defupd_repo_options {
    uint32_t struct_size;
    uint32_t compression_level; /**< zstd level of bundles, 1 to 19. Default 19. */
    uint32_t threads;           /**< For compression. Default: all processors. */
    /** `verify` warns of what expires within these days. Default: root within 60 days, the others
     *  within a quarter of their life, and root too if that is less. */
    uint32_t warn_days;
    /** Required, but for making and listing keys and for defupd_repo_sign(): keys_dir does there.
     */
    const char *repo_dir;
    const char *keys_dir;      /**< Default repo_dir + ".keys". */
    const char *temp_dir;      /**< Where `verify` unpacks. Default "/tmp". */
    defupd_repo_say_fn on_say; /**< Default: none. */
    void *say_user;
    defupd_repo_passphrase_fn on_passphrase; /**< Default: keys are not encrypted. */
    void *passphrase_user;
    defupd_repo_progress_fn on_progress; /**< Default: none. */
    void *progress_user;
} defupd_repo_options;

#define DEFUPD_REPO_OPTIONS_INIT                                                  \
    {                                                                             \
        (uint32_t)sizeof(defupd_repo_options), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 \
    }

/** Prepare. Touches nothing. DEFUPD_E_INVALID, DEFUPD_E_NOMEM. @since 0.1 */
DEFUPD_API DEFUPD_MUST_CHECK defupd_code defupd_repo_open(defupd_repo **repo,
                                                          const defupd_repo_options *options,
                                                          defupd_error *error);

/** NULL is allowed. @since 0.1 */
DEFUPD_API void defupd_repo_close(defupd_repo *repo);

/**
 * Let the call at work, and every later one with this handle, end with DEFUPD_E_CANCELLED, unless
 * it publishes already: then it completes. May be called from any thread and from a signal's
 * handler.
 * @since 0.1
 */
DEFUPD_API void defupd_repo_cancel(defupd_repo *repo);

/**
 * Make an empty, signed repository. Roles without a key get one: ECDSA P-256 for root and targets,
 * Ed25519 for snapshot and timestamp. DEFUPD_E_REPO_EXISTS when there is one. @since 0.1
 */
DEFUPD_API DEFUPD_MUST_CHECK defupd_code defupd_repo_init(defupd_repo *repo, defupd_error *error);

/** What `init` makes of a role. Zero: the default. */
typedef struct defupd_repo_rule {
    uint32_t struct_size;
    uint32_t threshold; /**< Signatures it needs. Default 1. */
    uint32_t days;      /**< How long what it signs is valid, at most 3650. */
    uint32_t reserved;  /**< 0 */
    const char *role;   /**< "root", "targets", "snapshot" or "timestamp". */
} defupd_repo_rule;

/** defupd_repo_init() with thresholds and lifetimes. A role with a threshold above 1 must have its
 *  keys already. @since 0.1 */
DEFUPD_API DEFUPD_MUST_CHECK defupd_code defupd_repo_init_with(defupd_repo *repo,
                                                               const defupd_repo_rule *rules,
                                                               size_t count, defupd_error *error);

/**
 * Make a private key for a role of the root ("root", "targets", "snapshot", "timestamp"), before
 * `init`; or for a component, which defupd_repo_apply() then gives its own role.
 *
 * @param type    "ed25519", "ecdsa" or "rsa"; NULL: the role's default
 * @param keyid   out, 65 bytes: its hex id with the NUL; may be NULL
 * DEFUPD_E_INVALID, DEFUPD_E_KEY, DEFUPD_E_CANNOT_CREATE, DEFUPD_E_REPO_EXISTS: the repository is
 * signed already, so the keys of these roles change only by a new root. @since 0.1
 */
DEFUPD_API DEFUPD_MUST_CHECK defupd_code defupd_repo_key_generate(defupd_repo *repo,
                                                                  const char *role,
                                                                  const char *type, char *keyid,
                                                                  defupd_error *error);

/** One key, for `key list`. */
typedef struct defupd_repo_key {
    uint32_t struct_size;
    uint32_t has_private; /**< 1 when the keys directory holds its private half. */
    uint32_t in_root;     /**< 1 when the role names it, in root or targets. */
    uint32_t threshold;   /**< Of its role; 0 before `init`. */
    const char *role;
    const char *type;  /**< "ed25519", "ecdsa", "rsa". */
    const char *keyid; /**< 64 hex digits. */
    const char *file;  /**< In the keys directory; "" when it is not there. */
} defupd_repo_key;

typedef void (*defupd_repo_key_fn)(void *user, const defupd_repo_key *key);

/** Tell each key of the keys directory, of the root and of the components' roles. @since 0.1 */
DEFUPD_API DEFUPD_MUST_CHECK defupd_code defupd_repo_key_list(defupd_repo *repo,
                                                              defupd_repo_key_fn on_key, void *user,
                                                              defupd_error *error);

/** One role, as it is published. */
typedef struct defupd_repo_role {
    uint32_t struct_size;
    uint32_t threshold;   /**< Signatures it needs. */
    uint32_t keys;        /**< Keys that may give them. */
    uint32_t has_private; /**< Of how many of these the keys directory holds the private half. */
    uint64_t version;
    int64_t expires;     /**< Unix seconds. */
    uint32_t days;       /**< How long its next version will be valid. */
    uint32_t signatures; /**< Keys whose signature under this version is right. */
    const char *role;    /**< "root", ..., or a component's name. */
} defupd_repo_role;

typedef void (*defupd_repo_role_fn)(void *user, const defupd_repo_role *role);

/** Tell each role of a repository. @since 0.1 */
DEFUPD_API DEFUPD_MUST_CHECK defupd_code defupd_repo_role_list(defupd_repo *repo,
                                                               defupd_repo_role_fn on_role,
                                                               void *user, defupd_error *error);

/** Kinds of defupd_repo_change. */
typedef enum defupd_repo_change_kind {
    DEFUPD_REPO_DELEGATE = 1,   /**< Give component `role` a role of its own. Its keys are those in
                                     the keys directory that were made for it. */
    DEFUPD_REPO_KEY_ADD = 2,    /**< One more key for `role`. */
    DEFUPD_REPO_KEY_ROTATE = 3, /**< A new key for `role`, and `old_key` out. */
    DEFUPD_REPO_KEY_REVOKE = 4, /**< `old_key` out of every role; `role` is not used. */
    DEFUPD_REPO_THRESHOLD = 5,  /**< `role` needs `threshold` signatures. */
    DEFUPD_REPO_RENEW = 6       /**< Sign `role` anew, for another life. */
} defupd_repo_change_kind;

/** A change of who may sign. Start from DEFUPD_REPO_CHANGE_INIT. Borrowed during the call. */
typedef struct defupd_repo_change {
    uint32_t struct_size;
    uint32_t kind;      /**< A defupd_repo_change_kind. */
    uint32_t threshold; /**< Signatures that `role` needs. 0: as it was, 1 for a new role. */
    uint32_t days;      /**< How long what `role` signs is valid, at most 3650. 0: as it was. */
    uint32_t lost; /**< 1: keys that go out can not sign any more. Readers that come in the instant
                        of the change find nothing to take, and come back. */
    uint32_t pending; /**< 1: when private keys are missing here, keep the change pending beside the
                           repository, to be signed elsewhere, instead of failing. */
    const char *role; /**< "root", ..., or a component with a role of its own. */
    const char *key_type; /**< Of a key that is made; NULL: the role's default. */
    const char *new_key;  /**< Id, or its first 8 digits or more, of a key in the keys directory to
                               take instead of making one. */
    const char *old_key;  /**< Id likewise. NULL: the role's only key. */
    char *made_key;       /**< Out, 65 bytes: id of the key that came in; may be NULL. */
} defupd_repo_change;

#define DEFUPD_REPO_CHANGE_INIT                                            \
    {                                                                      \
        (uint32_t)sizeof(defupd_repo_change), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 \
    }

/**
 * Change who may sign, and sign anew what that touches: root by the keys before and after, targets,
 * snapshot and timestamp where their keys change. Private keys are never removed from the keys
 * directory. DEFUPD_E_INVALID, DEFUPD_E_KEY (a private half that is needed is not here; the message
 * says whose), DEFUPD_E_REPO, DEFUPD_E_PIN, DEFUPD_E_REPO_EXISTS, DEFUPD_E_BUSY, DEFUPD_E_PENDING
 * (one is pending already), DEFUPD_E_CANCELLED, DEFUPD_E_IO, DEFUPD_E_NO_SPACE. On
 * failure readers see the repository as it was.
 *
 * @param is_pending  out: 1 when the change waits for signatures, 0 when it is live; may be NULL
 * @since 0.1
 */
DEFUPD_API DEFUPD_MUST_CHECK defupd_code defupd_repo_apply(defupd_repo *repo,
                                                           const defupd_repo_change *change,
                                                           int *is_pending, defupd_error *error);

/** Tell the pending change in words: what it changes, and which signatures are there. Nothing when
 *  there is none. @since 0.1 */
DEFUPD_API DEFUPD_MUST_CHECK defupd_code defupd_repo_pending_list(defupd_repo *repo,
                                                                  defupd_repo_say_fn on_line,
                                                                  void *user, defupd_error *error);

/** Write the pending change to a file, with all that is needed to judge and sign it elsewhere.
 *  DEFUPD_E_PENDING when there is none. @since 0.1 */
DEFUPD_API DEFUPD_MUST_CHECK defupd_code defupd_repo_pending_export(defupd_repo *repo,
                                                                    const char *file,
                                                                    defupd_error *error);

/** Asked before something is signed; 0: do not. */
typedef int (*defupd_repo_confirm_fn)(void *user);

/**
 * Sign such a file with the keys of options.keys_dir that may; no repository is needed. What is to
 * be signed is told in words first. The roots in the file must go on from the root that is pinned
 * in the keys directory.
 *
 * @param confirm  NULL: sign without asking
 * DEFUPD_E_KEY (no key here may sign it), DEFUPD_E_PIN (not the pinned roots), DEFUPD_E_SIGNATURE,
 * DEFUPD_E_ROLLBACK, DEFUPD_E_METADATA_FORMAT (the file), DEFUPD_E_CANCELLED, DEFUPD_E_IO. The file
 * is replaced as a whole. @since 0.1
 */
DEFUPD_API DEFUPD_MUST_CHECK defupd_code defupd_repo_sign(defupd_repo *repo, const char *file,
                                                          defupd_repo_say_fn on_line,
                                                          defupd_repo_confirm_fn confirm,
                                                          void *user, defupd_error *error);

/**
 * Take over the signatures of a file for the pending change. When every threshold is met, snapshot
 * and timestamp are signed with the keys that are here, and the change goes live.
 *
 * @param is_pending  out: 1 when signatures are still missing; may be NULL
 * DEFUPD_E_PENDING (nothing is pending, the repository has moved on, or the file is of another
 * change), and as for defupd_repo_apply(). @since 0.1
 */
DEFUPD_API DEFUPD_MUST_CHECK defupd_code defupd_repo_pending_import(defupd_repo *repo,
                                                                    const char *file,
                                                                    int *is_pending,
                                                                    defupd_error *error);

/** Throw the pending change away. DEFUPD_E_PENDING when there is none. @since 0.1 */
DEFUPD_API DEFUPD_MUST_CHECK defupd_code defupd_repo_pending_drop(defupd_repo *repo,
                                                                  defupd_error *error);

/** What was published. Start from DEFUPD_REPO_ADDED_INIT. */
typedef struct defupd_repo_added {
    uint32_t struct_size;
    uint32_t shared;       /**< 1: an earlier release's object has the same tree and is used. */
    uint32_t pending;      /**< 1: it waits for signatures; see defupd_repo_pending_list(). */
    uint32_t reserved;     /**< 0 */
    uint64_t files;        /**< Of the tree. */
    uint64_t tree_bytes;   /**< Sum of their sizes. */
    uint64_t bundle_bytes; /**< Of the object. */
    uint64_t releases;     /**< In the manifest now. */
    uint64_t oldest;       /**< The lowest version in it. */
    uint64_t dropped;      /**< Old releases that left the manifest by this one. */
    uint64_t deltas;       /**< That lead to this release. */
    uint64_t delta_bytes;  /**< Sum of their objects. */
    char tree[72];         /**< Digest of the tree's index, hex. */
    char object[72];       /**< Digest of the bundle, hex. */
} defupd_repo_added;

#define DEFUPD_REPO_ADDED_INIT                                                       \
    {                                                                                \
        (uint32_t)sizeof(defupd_repo_added), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, "", "" \
    }

/** What became of a delta. */
typedef enum defupd_repo_delta_state {
    DEFUPD_REPO_DELTA_MADE = 1,      /**< It is published. */
    DEFUPD_REPO_DELTA_DEAR = 2,      /**< It costs more than 0.9 of the bundle: not published. */
    DEFUPD_REPO_DELTA_NO_SOURCE = 3, /**< The source's bundle is not there or not right. */
    DEFUPD_REPO_DELTA_WRONG = 4 /**< Applied, it did not give the tree: not published. This is a
                                     bug; the release is published without it. */
} defupd_repo_delta_state;

/** One delta to a release that is being published. */
typedef struct defupd_repo_delta {
    uint32_t struct_size;
    uint32_t state;      /**< A defupd_repo_delta_state. */
    uint64_t from;       /**< Version it starts from. */
    uint64_t bytes;      /**< Of its object; 0 when it was not made. */
    uint64_t full_bytes; /**< Of the release's bundle. */
    uint64_t ms;         /**< What making and proving it took. */
    char object[72];     /**< Its digest, hex; "" when it was not made. */
    const char *why;     /**< One line about one that could not be made; else "". */
} defupd_repo_delta;

typedef void (*defupd_repo_delta_fn)(void *user, const defupd_repo_delta *delta);

#define DEFUPD_REPO_DELTAS_MAX 12

/** Who may take a release from when on. */
typedef struct defupd_repo_step {
    uint32_t struct_size;
    uint32_t permille; /**< So many of 1000 hosts, 0 to 1000; not used with a ring. */
    uint64_t after_s;  /**< After the start, at most ten years. The highest begun step counts. */
    const char *ring;  /**< Hosts of this ring, as their policy says. Default: a step for all. */
} defupd_repo_step;

/** How a release reaches hosts bit by bit. Borrowed during the call. */
typedef struct defupd_repo_rollout {
    uint32_t struct_size;
    uint32_t reserved;             /**< 0 */
    int64_t start;                 /**< Unix seconds. Default: as it was, else now. */
    const defupd_repo_step *steps; /**< At least one. */
    uint64_t step_count;           /**< At most 32. */
} defupd_repo_rollout;

/** A release to publish. Start from DEFUPD_REPO_RELEASE_INIT. Borrowed during the call. */
typedef struct defupd_repo_release {
    uint32_t struct_size;
    uint32_t pending;  /**< 1: as in defupd_repo_change. */
    uint64_t version;  /**< 1 to 2^53 - 1, higher than all published ones. */
    int64_t published; /**< Unix seconds. Default: now. */
    const char *component;
    const char *tree_dir;      /**< Its files; see docs/formats/tree.md for what is allowed. */
    const char *label;         /**< Default: none. At most 64 bytes. */
    const char *licence_class; /**< `class` of the manifest. Default: none. */
    const char *note;          /**< Default: none. At most 256 bytes. */
    defupd_repo_added *added;  /**< Filled on success. Default: none. */
    uint32_t deltas;    /**< Make at most so many, up to DEFUPD_REPO_DELTAS_MAX. Default: that. */
    uint32_t no_deltas; /**< 1: make none. */
    uint32_t jobs;      /**< Deltas that are made at a time, at most 64. Default: all processors. */
    uint32_t reserved;  /**< 0 */
    uint64_t
        memory_bytes; /**< For all of them together, at least 64 MiB. With less than 6 bytes for
                           each byte of an old tree only a part of it is searched. Default
                           4 GiB. */
    defupd_repo_delta_fn on_delta; /**< Each delta, nearest source first, once all are ready.
                                        Default: none. */
    void *user;
    const defupd_repo_rollout *rollout; /**< Default: none, every host may take it at once. */
} defupd_repo_release;

#define DEFUPD_REPO_RELEASE_INIT                                                                 \
    {                                                                                            \
        (uint32_t)sizeof(defupd_repo_release), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 \
    }

/**
 * Bundle a tree, make deltas to it from earlier releases, and publish it: objects, manifest,
 * targets, snapshot, timestamp, in this order. The trees of earlier releases are taken from their
 * bundles in the repository; each delta is applied once before it is published. A release gets
 * deltas when it is made, and keeps them while it is the newest or the one before.
 * DEFUPD_E_INVALID, DEFUPD_E_TREE_FORBIDDEN (the message names the path), DEFUPD_E_VERSION_ORDER,
 * DEFUPD_E_KEY, DEFUPD_E_REPO, DEFUPD_E_PIN, DEFUPD_E_BUSY, DEFUPD_E_PENDING, DEFUPD_E_CANCELLED,
 * DEFUPD_E_IO, DEFUPD_E_NO_SPACE. On failure readers see the repository as it was. A
 * manifest keeps the newest 30 releases, and two more where they fit in 16 KiB; when it is too
 * long, spaced deltas go first, then the oldest releases. @since 0.1
 */
DEFUPD_API DEFUPD_MUST_CHECK defupd_code defupd_repo_add_release(defupd_repo *repo,
                                                                 const defupd_repo_release *release,
                                                                 defupd_error *error);

/** What can be changed of a published release. */
typedef enum defupd_repo_amendment_kind {
    DEFUPD_REPO_WITHDRAW = 1,      /**< No host takes it any more; who has it leaves it. */
    DEFUPD_REPO_ROLLOUT_SET = 2,   /**< This is its roll-out from now on. */
    DEFUPD_REPO_ROLLOUT_PAUSE = 3, /**< Who has not got it yet waits. */
    DEFUPD_REPO_ROLLOUT_RESUME = 4 /**< It goes on where it was: steps to come are later by the time
                                        that it stood still. */
} defupd_repo_amendment_kind;

/** A change of a published release. Start from DEFUPD_REPO_AMENDMENT_INIT. Borrowed during the
 *  call. */
typedef struct defupd_repo_amendment {
    uint32_t struct_size;
    uint32_t kind;       /**< A defupd_repo_amendment_kind. */
    uint32_t pending;    /**< 1: as in defupd_repo_change. */
    uint32_t is_pending; /**< Out: 1 when it waits for signatures, 0 when it is live. */
    uint64_t version;
    uint64_t replace_by; /**< Withdrawal: version that hosts go to which have the release, older or
                              newer. Default: the newest that they may take, else the newest older
                              one. */
    const char *component;
    const char *reason;                 /**< Withdrawal: at most 256 bytes. Default: none. */
    const defupd_repo_rollout *rollout; /**< For DEFUPD_REPO_ROLLOUT_SET. */
    uint64_t goes_to; /**< Out, withdrawal: the version that these hosts go to, as far as it depends
                           on the repository; 0: none is left, and they keep it. */
    uint64_t dropped; /**< Out: old releases that left the manifest, so that it fits. */
    int64_t start;    /**< Out: of the roll-out, Unix seconds; 0: there is none. */
} defupd_repo_amendment;

#define DEFUPD_REPO_AMENDMENT_INIT                                               \
    {                                                                            \
        (uint32_t)sizeof(defupd_repo_amendment), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 \
    }

/**
 * Withdraw a release, or change its roll-out: a new manifest, signed and published like a new
 * release; no object is touched. A withdrawal may be repeated, to name another replacement or
 * reason; what is not given stays. DEFUPD_E_INVALID (also a roll-out to pause that is paused, or to
 * resume that is not), DEFUPD_E_NO_RELEASE, DEFUPD_E_WITHDRAWN (a replacement that is withdrawn; a
 * roll-out of what is), DEFUPD_E_LIMIT (the manifest cannot be made to fit), DEFUPD_E_UNSUPPORTED,
 * DEFUPD_E_KEY, DEFUPD_E_REPO, DEFUPD_E_PIN, DEFUPD_E_BUSY, DEFUPD_E_PENDING, DEFUPD_E_CANCELLED,
 * DEFUPD_E_IO, DEFUPD_E_NO_SPACE. On failure readers see the repository as it was. @since 0.1
 */
DEFUPD_API DEFUPD_MUST_CHECK defupd_code defupd_repo_amend(defupd_repo *repo,
                                                           defupd_repo_amendment *amendment,
                                                           defupd_error *error);

/** Sign the timestamp anew (needs only its key); snapshot and targets too when they expire within
 *  half their life and their keys are there. @since 0.1 */
DEFUPD_API DEFUPD_MUST_CHECK defupd_code defupd_repo_refresh(defupd_repo *repo,
                                                             defupd_error *error);

/** What may go, and what went. Start from DEFUPD_REPO_PRUNING_INIT. */
typedef struct defupd_repo_pruning {
    uint32_t struct_size;
    uint32_t days;     /**< What was superseded within these days stays. Default, and least: 7. */
    uint32_t dry_run;  /**< 1: tell, and remove nothing. */
    uint32_t reserved; /**< 0 */
    defupd_repo_say_fn on_file; /**< Path of each file that goes. Default: none. */
    void *user;
    uint64_t files; /**< Out: that went. */
    uint64_t bytes; /**< Out: their sizes. */
} defupd_repo_pruning;

#define DEFUPD_REPO_PRUNING_INIT                                   \
    {                                                              \
        (uint32_t)sizeof(defupd_repo_pruning), 0, 0, 0, 0, 0, 0, 0 \
    }

/**
 * Remove what no reader can ask for any more: metadata, manifests and objects that neither the
 * published state names, nor any that was published within the last days. Roots stay for ever; so
 * does what a pending change names, and every file that is not of a repository. Needs no private
 * key. DEFUPD_E_INVALID, DEFUPD_E_REPO (what is published does not verify: nothing was removed),
 * DEFUPD_E_BUSY, DEFUPD_E_CANCELLED, DEFUPD_E_IO. @since 0.1
 */
DEFUPD_API DEFUPD_MUST_CHECK defupd_code defupd_repo_prune(defupd_repo *repo,
                                                           defupd_repo_pruning *pruning,
                                                           defupd_error *error);

/** What an archive holds of one component. */
typedef struct defupd_repo_part {
    uint32_t struct_size;
    uint32_t objects; /**< Objects that are in the archive for it; one that two need counts for the
                           first. */
    uint64_t from;    /**< Version the receiving host has; 0: none, or any. */
    uint64_t newest;  /**< The highest version that it leads to; 0: nothing is needed. */
    uint64_t bytes;   /**< Of these objects. */
    const char *component;
    const char *how; /**< For people: "delta from 1002, 5,791 bytes instead of 1,024,594". */
} defupd_repo_part;

typedef void (*defupd_repo_part_fn)(void *user, const defupd_repo_part *part);

/** A repository, or what somebody needs of it, as one file. Start from DEFUPD_REPO_ARCHIVE_INIT.
 *  Borrowed during the call. */
typedef struct defupd_repo_archive {
    uint32_t struct_size;
    uint32_t reserved; /**< 0 */
    const char *file;  /**< Required; its form follows from its end: .zip, .tar or .tar.zst. */
    const char *const *since; /**< "V", or "C@V" for components by name, NULL-terminated: what hosts
                                   that have V or a newer version need to get to the newest one.
                                   Of a component that is not named, everything. Default: of all,
                                   everything. */
    const char *posture_file; /**< Instead: what the host needs that wrote this posture. */
    defupd_repo_part_fn on_part; /**< Each component, in order of names. Default: none. */
    void *user;
    uint64_t files;        /**< Out: in the archive. */
    uint64_t bytes;        /**< Out: of the archive. */
    uint64_t objects;      /**< Out: of the files, objects. */
    uint64_t object_bytes; /**< Out: their sizes. */
} defupd_repo_archive;

#define DEFUPD_REPO_ARCHIVE_INIT                                            \
    {                                                                       \
        (uint32_t)sizeof(defupd_repo_archive), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 \
    }

/**
 * Write all metadata, and objects, into an archive for hosts without a network; they take it by
 * defupd_client_import(). The same repository and request give the same bytes. Needs no key and no
 * lock: releases may be published meanwhile. The file is written beside, and renamed; on failure
 * what stood there stays. DEFUPD_E_INVALID (the file's end, a version or component that is not
 * there), DEFUPD_E_RECEIPT (the posture), DEFUPD_E_REPO, DEFUPD_E_CANCELLED,
 * DEFUPD_E_CANNOT_CREATE, DEFUPD_E_IO, DEFUPD_E_NO_SPACE. @since 0.1
 */
DEFUPD_API DEFUPD_MUST_CHECK defupd_code defupd_repo_export_offline(defupd_repo *repo,
                                                                    defupd_repo_archive *archive,
                                                                    defupd_error *error);

/** A component, as far as it was found right. */
typedef struct defupd_repo_component {
    uint32_t struct_size;
    uint32_t releases;     /**< In its manifest; 0: there is none yet. */
    uint64_t newest;       /**< The highest version; 0: none. */
    uint64_t objects;      /**< Objects that its releases name, each counted once. */
    uint64_t object_bytes; /**< Their sizes. */
    uint64_t deltas;       /**< Deltas that were applied and gave their tree. */
    const char *component;
    const char *role; /**< Who signs its manifest: "targets", or the component's own role. */
} defupd_repo_component;

typedef void (*defupd_repo_component_fn)(void *user, const defupd_repo_component *component);

/** Who hears of what an audit finds. Start from DEFUPD_REPO_AUDIT_INIT; all may be NULL. */
typedef struct defupd_repo_audit {
    uint32_t struct_size;
    uint32_t reserved;             /**< 0 */
    defupd_repo_say_fn on_finding; /**< One line for each defect. */
    defupd_repo_say_fn on_warning; /**< One line for what will be one soon. */
    defupd_repo_role_fn on_role;   /**< Each role whose signatures are right. */
    defupd_repo_component_fn on_component;
    void *user;
} defupd_repo_audit;

#define DEFUPD_REPO_AUDIT_INIT                                \
    {                                                         \
        (uint32_t)sizeof(defupd_repo_audit), 0, 0, 0, 0, 0, 0 \
    }

/**
 * Check a whole repository as a client and an auditor would: signatures, digests, every object
 * present and right, each bundle unpacking to its tree, each delta leading to its tree from that of
 * its source. Needs no private key; where a root is pinned in the
 * keys directory, the repository's must go on from it. DEFUPD_E_REPO when there is any defect,
 * DEFUPD_E_CANCELLED, DEFUPD_E_CANNOT_CREATE, DEFUPD_E_IO, DEFUPD_E_NO_SPACE. @since 0.1
 */
DEFUPD_API DEFUPD_MUST_CHECK defupd_code defupd_repo_verify_with(defupd_repo *repo,
                                                                 const defupd_repo_audit *audit,
                                                                 defupd_error *error);

/** The same for who wants the defects only. @since 0.1 */
DEFUPD_API DEFUPD_MUST_CHECK defupd_code defupd_repo_verify(defupd_repo *repo,
                                                            defupd_repo_say_fn on_finding,
                                                            void *user, defupd_error *error);

#ifdef __cplusplus
}
#endif
#endif
