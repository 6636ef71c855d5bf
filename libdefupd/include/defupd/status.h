/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEFUPD_STATUS_H
#define DEFUPD_STATUS_H

/**
 * @file defupd/status.h
 * @brief What is installed, what is known, and how the last attempt went. Read from the store
 *        alone: no network, no lock.
 */

#include <stdint.h>

#include <defupd/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A component's state as reports name it. Values are ABI; defupd_state_name() gives the word. */
typedef enum defupd_state {
    DEFUPD_STATE_NEVER = 0,       /**< Never installed. */
    DEFUPD_STATE_UPDATING = 1,    /**< A run is at work on the store now. */
    DEFUPD_STATE_FRESH = 2,       /**< Installed; the last attempt succeeded, or failed for a
                                       source's sake and the last success is younger than two of the
                                       options' intervals: last_error tells. */
    DEFUPD_STATE_DUE = 3,         /**< The schedule's next attempt is overdue by a quarter of the
                                       interval, at least a minute. */
    DEFUPD_STATE_STALE = 4,       /**< The last success is older than the rule's maximum age. */
    DEFUPD_STATE_FAILING = 5,     /**< The last attempt failed, or installed files are damaged
                                       (last_error is DEFUPD_E_DAMAGED until they are repaired). */
    DEFUPD_STATE_HELD = 6,        /**< Held or pinned. */
    DEFUPD_STATE_TRIAL = 7,       /**< Active, not confirmed yet. */
    DEFUPD_STATE_QUARANTINED = 8, /**< The newest release is refused by this host. */
    DEFUPD_STATE_WITHDRAWN = 9,   /**< The installed release is withdrawn, nothing replaces it. */
    DEFUPD_STATE_UNLICENSED = 10, /**< Its licence class has expired. */
    DEFUPD_STATE_DISABLED = 11    /**< Switched off in policy. */
} defupd_state;

/** The word: "never", "fresh", ... Static; "unknown" for others. @since 0.1 */
DEFUPD_API const char *defupd_state_name(defupd_state state);

/** What keeps a component where it is; may be combined. Values are ABI. */
enum {
    DEFUPD_HOLD_HELD = 1,       /**< `hold`: nothing new is taken. */
    DEFUPD_HOLD_PINNED = 2,     /**< `pin`: only `pin_version` is taken. */
    DEFUPD_HOLD_SKIP = 4,       /**< After a rollback: `skip_version` is not taken again. */
    DEFUPD_HOLD_UNREADABLE = 8, /**< The record is damaged: treated as held. */
    DEFUPD_HOLD_POLICY = 16     /**< Held or pinned by policy, which alone can release it. */
};

/** One component. Borrowed from the status, with all strings. Times are Unix seconds, 0 if never.
 */
typedef struct defupd_component_status {
    uint32_t struct_size;
    int32_t state;         /**< A defupd_state. */
    int32_t last_error;    /**< A defupd_code: how the last attempt ended. */
    uint32_t holds;        /**< DEFUPD_HOLD_* bits. */
    uint32_t failures;     /**< Failed attempts since the last success. */
    uint32_t reserved;     /**< 0 */
    uint64_t version;      /**< Installed, 0 if none. */
    uint64_t available;    /**< Newest release known and not withdrawn, 0 if not known. */
    uint64_t pin_version;  /**< With DEFUPD_HOLD_PINNED. */
    uint64_t skip_version; /**< With DEFUPD_HOLD_SKIP. */
    uint64_t size;         /**< Bytes of the installed tree. */
    uint64_t files;        /**< Files of the installed tree. */
    int64_t published;     /**< When the installed release was published. */
    int64_t installed;     /**< When it became active. */
    int64_t last_attempt;  /**< Start of the last attempt. */
    int64_t last_success;  /**< End of the last attempt that left it up to date. */
    int64_t next_attempt;  /**< Planned by a schedule, 0 if none. */
    const char *name;
    const char *label;      /**< Of the installed release; "" if none. */
    const char *tree;       /**< Hex SHA-256 of its index; "" if none. */
    const char *error_text; /**< Of the last attempt, one line; "" if it succeeded. */
    const char *source;     /**< Last source used, without credentials; "" if none. */
    const char *path;   /**< Absolute path of the installed tree through `current`; "" if none. */
    const char *notice; /**< What a person should know, one line: a hold, a skip, a withdrawal; ""
                             if nothing. */
    const char *path_text; /**< How the installed version came, one line: "delta from 1002, 5,791
                                bytes instead of 1,024,594"; "" if not known. */
} defupd_component_status;

/** Owned by the caller, freed by defupd_status_free(). Read-only and safe to share. */
typedef struct defupd_status defupd_status;

/** Facts about the store as a whole. Borrowed from the status. */
typedef struct defupd_store_status {
    uint32_t struct_size;
    int32_t last_error;    /**< Of the last attempt as a whole: the first component's failure. */
    uint64_t generation;   /**< Current, 0 if none. */
    uint64_t parent;       /**< The generation before it, 0 if none. */
    uint64_t root_version; /**< Trusted root, 0 if none is pinned. */
    int64_t activated;     /**< When the current generation was made. */
    int64_t timestamp_expires; /**< Expiry of the verified timestamp role, 0 if none. */
    int64_t last_contact;      /**< Last time a source gave a verified timestamp, 0 if never. */
    uint64_t busy_pid;         /**< Process that holds the lock now, 0 if none. */
    const char *state_dir;     /**< Absolute. */
    const char *uuid;   /**< Derived from host-id, RFC 9562 version 8; "" before first use. */
    const char *reason; /**< Why the current generation was made: "update", "rollback", ... */
    int64_t cool_until; /**< Every source asked to be left alone: until the first may be asked, Unix
                             seconds; 0: one may be asked now. */
    uint64_t day_bytes; /**< Object bytes fetched today (UTC); counted with bytes_per_day only. */
    uint64_t trial_s;   /**< Running time that is left of the trial, at least 1; 0: nothing is on
                             trial. */
    uint64_t trial_starts; /**< Starts of the product that it may still take. */
} defupd_store_status;

/** Never NULL. @since 0.1 */
DEFUPD_API const defupd_store_status *defupd_status_store(const defupd_status *status);

/** Number of components: installed ones, ones that the options name, and ones the repository
 *  offers. @since 0.1 */
DEFUPD_API uint32_t defupd_status_count(const defupd_status *status);

/** One of them, in order of names; NULL past the end. @since 0.1 */
DEFUPD_API const defupd_component_status *defupd_status_at(const defupd_status *status,
                                                           uint32_t index);

/** NULL is allowed. @since 0.1 */
DEFUPD_API void defupd_status_free(defupd_status *status);

/** What is true of a release on this host; may be combined. Values are ABI. */
enum {
    DEFUPD_RELEASE_CURRENT = 1,      /**< In the current generation. */
    DEFUPD_RELEASE_ON_DISK = 2,      /**< Its tree is complete on disk. */
    DEFUPD_RELEASE_DOWNLOADED = 4,   /**< Its full bundle is in downloads/. */
    DEFUPD_RELEASE_WITHDRAWN = 8,    /**< Withdrawn by the publisher. */
    DEFUPD_RELEASE_PINNED = 16,      /**< The pinned one. */
    DEFUPD_RELEASE_SKIPPED = 32,     /**< The one a rollback left. */
    DEFUPD_RELEASE_QUARANTINED = 64, /**< Refused by this host. */
    DEFUPD_RELEASE_INVISIBLE = 128,  /**< Needs a newer client to be understood. */
    DEFUPD_RELEASE_UNLISTED = 256    /**< On disk, no longer in the manifest. */
};

/** One release. Borrowed from the listing, with all strings. */
typedef struct defupd_release {
    uint32_t struct_size;
    uint32_t flags; /**< DEFUPD_RELEASE_* bits. */
    uint64_t version;
    uint64_t size;       /**< Bytes of the tree. */
    uint64_t files;      /**< Files of the tree. */
    uint64_t full_bytes; /**< Bytes of the full bundle, 0 if not known. */
    int64_t published;   /**< Unix seconds, 0 if not known. */
    const char *component;
    const char *label; /**< "" if none. */
    const char *note;  /**< "" if none. */
} defupd_release;

/** Owned by the caller, freed by defupd_listing_free(). Read-only and safe to share. */
typedef struct defupd_listing defupd_listing;

/** Number of releases, over all components asked for. @since 0.1 */
DEFUPD_API uint32_t defupd_listing_count(const defupd_listing *listing);

/** One of them: by component's name, newest first; NULL past the end. @since 0.1 */
DEFUPD_API const defupd_release *defupd_listing_at(const defupd_listing *listing, uint32_t index);

/** NULL is allowed. @since 0.1 */
DEFUPD_API void defupd_listing_free(defupd_listing *listing);

#ifdef __cplusplus
}
#endif
#endif
