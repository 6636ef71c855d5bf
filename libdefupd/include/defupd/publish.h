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

#include <stdint.h>

#include <defupd/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/** One repository on disk. Use from one thread at a time. */
typedef struct defupd_repo defupd_repo;

/** Receives lines for people: what was done, warnings. */
typedef void (*defupd_repo_say_fn)(void *user, const char *line);

/** Start from DEFUPD_REPO_OPTIONS_INIT. Copied during defupd_repo_open(). */
typedef struct defupd_repo_options {
    uint32_t struct_size;
    uint32_t compression_level; /**< zstd level of bundles, 1 to 19. Default 19. */
    uint32_t threads;           /**< For compression. Default: all processors. */
    uint32_t reserved;          /**< 0 */
    const char *repo_dir;       /**< Required. */
    const char *keys_dir;       /**< Default repo_dir + ".keys". */
    const char *temp_dir;       /**< Where `verify` unpacks. Default "/tmp". */
    defupd_repo_say_fn on_say;  /**< Default: none. */
    void *say_user;
} defupd_repo_options;

#define DEFUPD_REPO_OPTIONS_INIT                                      \
    {                                                                 \
        (uint32_t)sizeof(defupd_repo_options), 0, 0, 0, 0, 0, 0, 0, 0 \
    }

/** Prepare. Touches nothing. DEFUPD_E_INVALID, DEFUPD_E_NOMEM. @since 0.1 */
DEFUPD_API DEFUPD_MUST_CHECK defupd_code defupd_repo_open(defupd_repo **repo,
                                                          const defupd_repo_options *options,
                                                          defupd_error *error);

/** NULL is allowed. @since 0.1 */
DEFUPD_API void defupd_repo_close(defupd_repo *repo);

/**
 * Make an empty, signed repository. Roles without a key get one: ECDSA P-256 for root and targets,
 * Ed25519 for snapshot and timestamp. DEFUPD_E_REPO_EXISTS when there is one. @since 0.1
 */
DEFUPD_API DEFUPD_MUST_CHECK defupd_code defupd_repo_init(defupd_repo *repo, defupd_error *error);

/**
 * Make a private key for a role ("root", "targets", "snapshot", "timestamp"), before `init`.
 *
 * @param type    "ed25519", "ecdsa" or "rsa"; NULL: the role's default
 * @param keyid   out, 65 bytes: its hex id with the NUL; may be NULL
 * DEFUPD_E_INVALID, DEFUPD_E_KEY, DEFUPD_E_CANNOT_CREATE, DEFUPD_E_REPO_EXISTS: the repository is
 * signed already, so its keys change only by a new root. @since 0.1
 */
DEFUPD_API DEFUPD_MUST_CHECK defupd_code defupd_repo_key_generate(defupd_repo *repo,
                                                                  const char *role,
                                                                  const char *type, char *keyid,
                                                                  defupd_error *error);

/** One key, for `key list`. */
typedef struct defupd_repo_key {
    uint32_t struct_size;
    uint32_t has_private; /**< 1 when the keys directory holds its private half. */
    uint32_t in_root;     /**< 1 when the repository's root names it. */
    uint32_t threshold;   /**< Of its role; 0 before `init`. */
    const char *role;
    const char *type;  /**< "ed25519", "ecdsa", "rsa". */
    const char *keyid; /**< 64 hex digits. */
    const char *file;  /**< In the keys directory; "" without a private half. */
} defupd_repo_key;

typedef void (*defupd_repo_key_fn)(void *user, const defupd_repo_key *key);

/** Tell each key of the keys directory and of the root. @since 0.1 */
DEFUPD_API DEFUPD_MUST_CHECK defupd_code defupd_repo_key_list(defupd_repo *repo,
                                                              defupd_repo_key_fn on_key, void *user,
                                                              defupd_error *error);

/** What was published. Start from DEFUPD_REPO_ADDED_INIT. */
typedef struct defupd_repo_added {
    uint32_t struct_size;
    uint32_t shared;       /**< 1: an earlier release's object has the same tree and is used. */
    uint64_t files;        /**< Of the tree. */
    uint64_t tree_bytes;   /**< Sum of their sizes. */
    uint64_t bundle_bytes; /**< Of the object. */
    uint64_t releases;     /**< In the manifest now. */
    uint64_t oldest;       /**< The lowest version in it. */
    uint64_t dropped;      /**< Old releases that left the manifest by this one. */
    char tree[72];         /**< Digest of the tree's index, hex. */
    char object[72];       /**< Digest of the bundle, hex. */
} defupd_repo_added;

#define DEFUPD_REPO_ADDED_INIT                                           \
    {                                                                    \
        (uint32_t)sizeof(defupd_repo_added), 0, 0, 0, 0, 0, 0, 0, "", "" \
    }

/** A release to publish. Start from DEFUPD_REPO_RELEASE_INIT. Borrowed during the call. */
typedef struct defupd_repo_release {
    uint32_t struct_size;
    uint32_t reserved; /**< 0 */
    uint64_t version;  /**< 1 to 2^53 - 1, higher than all published ones. */
    int64_t published; /**< Unix seconds. Default: now. */
    const char *component;
    const char *tree_dir;      /**< Its files; see docs/formats/tree.md for what is allowed. */
    const char *label;         /**< Default: none. At most 64 bytes. */
    const char *licence_class; /**< `class` of the manifest. Default: none. */
    const char *note;          /**< Default: none. At most 256 bytes. */
    defupd_repo_added *added;  /**< Filled on success. Default: none. */
} defupd_repo_release;

#define DEFUPD_REPO_RELEASE_INIT                                         \
    {                                                                    \
        (uint32_t)sizeof(defupd_repo_release), 0, 0, 0, 0, 0, 0, 0, 0, 0 \
    }

/**
 * Bundle a tree and publish it: object, manifest, targets, snapshot, timestamp, in this order.
 * DEFUPD_E_INVALID, DEFUPD_E_TREE_FORBIDDEN (the message names the path), DEFUPD_E_VERSION_ORDER,
 * DEFUPD_E_KEY, DEFUPD_E_REPO, DEFUPD_E_BUSY, DEFUPD_E_IO, DEFUPD_E_NO_SPACE. On failure readers
 * see the repository as it was. A manifest keeps the newest 30 releases, fewer when they do not fit
 * in 16 KiB. @since 0.1
 */
DEFUPD_API DEFUPD_MUST_CHECK defupd_code defupd_repo_add_release(defupd_repo *repo,
                                                                 const defupd_repo_release *release,
                                                                 defupd_error *error);

/** Sign the timestamp anew (needs only its key); snapshot and targets too when they expire within
 *  half their life and their keys are there. @since 0.1 */
DEFUPD_API DEFUPD_MUST_CHECK defupd_code defupd_repo_refresh(defupd_repo *repo,
                                                             defupd_error *error);

/** Check a whole repository as a client and an auditor would: signatures, digests, every object
 *  present, right, and unpacking to its tree. Needs no private key. `on_finding` gets one line per
 *  defect. DEFUPD_E_REPO when there is any. @since 0.1 */
DEFUPD_API DEFUPD_MUST_CHECK defupd_code defupd_repo_verify(defupd_repo *repo,
                                                            defupd_repo_say_fn on_finding,
                                                            void *user, defupd_error *error);

#ifdef __cplusplus
}
#endif
#endif
