/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEFUPD_EVENT_H
#define DEFUPD_EVENT_H

/**
 * @file defupd/event.h
 * @brief What a client tells while it works: events for programs, lines for people.
 *
 * Both arrive through callbacks of the handle, on the thread that runs the blocking call. Default
 * is silence. A callback must not call back into the same client, except defupd_cancel().
 */

#include <stdint.h>

#include <defupd/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Stable ids; a program should ignore those it does not know. Values are ABI. */
typedef enum defupd_event_id {
    DEFUPD_EVENT_REQUESTED = 273,   /**< An update was requested (once for each call). */
    DEFUPD_EVENT_DOWNLOADING = 276, /**< A difference was found: objects will be fetched. */
    DEFUPD_EVENT_SUCCEEDED = 784,   /**< A component is now at `version`. */
    DEFUPD_EVENT_FAILED = 785,      /**< A component could not be updated: `code`, `text`. */
    DEFUPD_EVENT_ROLLED_BACK = 786, /**< A component went back to `version`. */
    DEFUPD_EVENT_WITHDRAWN = 787,   /**< The installed release is withdrawn: `text`. */
    DEFUPD_EVENT_UNCHANGED = 788,   /**< A component was checked; nothing new for it. */
    DEFUPD_EVENT_TRIAL = 789,       /**< A component's `version` is on trial from now on: `text`. */
    DEFUPD_EVENT_CONFIRMED = 790,   /**< Its trial has ended, it stays: `text` when by its time. */
    DEFUPD_EVENT_SOURCE_FAILED = 800, /**< One source failed (`source`, `code`); more may follow. */
    DEFUPD_EVENT_DAMAGED = 801,       /**< An installed file is not what was signed: `text`. */
    DEFUPD_EVENT_REPAIRED = 802,      /**< Damaged files were replaced. */
    DEFUPD_EVENT_DETOUR = 803,        /**< An object could not be used (`code`, `text`); another
                                           path is taken in the same call. */
    DEFUPD_EVENT_SOURCE_ASKED = 804,  /**< A source was asked for metadata: `source`, how it went in
                                           `code` and `text`, `bytes_done`, `duration_ms`. */
    DEFUPD_EVENT_FETCHED = 805,       /**< An object was fetched, or not (`code`, `text`): which
                                           component's and `version`'s, the `source` that ended it,
                                           `bytes_done` over the wire of `bytes_total` it has,
                                           `resumed_bytes`, `duration_ms`. */
    DEFUPD_EVENT_PROGRESS = 900,      /**< Bytes moved on; at most about ten a second. */
    DEFUPD_EVENT_RELAY_REQUESTED = 1600, /**< What a relay serves is to be brought up to date. */
    DEFUPD_EVENT_RELAY_SUCCEEDED = 1601, /**< It is: `version` of its timestamp, the `source`,
                                              `bytes_done` of objects fetched for it. */
    DEFUPD_EVENT_RELAY_FAILED = 1602     /**< It is not (`code`, `text`); what was served stays. */
} defupd_event_id;

/** What the bytes of a DEFUPD_EVENT_PROGRESS are. Values are ABI. */
typedef enum defupd_phase {
    DEFUPD_PHASE_NONE = 0,
    DEFUPD_PHASE_METADATA = 1, /**< Fetching metadata and manifests. */
    DEFUPD_PHASE_DOWNLOAD = 2, /**< Fetching objects; bytes_total is the sum of all of them. */
    DEFUPD_PHASE_STAGE = 3,    /**< Unpacking or merging; bytes of the new tree. */
    DEFUPD_PHASE_VERIFY = 4    /**< Hashing installed files. */
} defupd_phase;

/** One event. Borrowed, with all strings, for the duration of the callback. Fields that do not
 *  apply are 0 or NULL. Newer libraries append fields: look at struct_size. */
typedef struct defupd_event {
    uint32_t struct_size;
    int32_t id;             /**< A defupd_event_id. */
    int32_t code;           /**< A defupd_code. */
    uint32_t phase;         /**< A defupd_phase. */
    uint64_t version;       /**< New version of the component, 0 if none. */
    uint64_t from_version;  /**< Version before, 0 if none. */
    uint64_t bytes_done;    /**< Bytes so far in this phase. */
    uint64_t bytes_total;   /**< Bytes of this phase, 0 if not known. */
    const char *component;  /**< NULL when the event is about the whole run. */
    const char *source;     /**< Source's URL without credentials. */
    const char *text;       /**< English, one line, for people. */
    uint64_t resumed_bytes; /**< Of an object: bytes that were there from an earlier call. */
    uint64_t duration_ms;   /**< How long it took, where an event says so. */
} defupd_event;

/** Receives events; `user` is the option's event_user. Must not block for long. */
typedef void (*defupd_event_fn)(void *user, const defupd_event *event);

/** Severity of a log line. Values are ABI. */
typedef enum defupd_level {
    DEFUPD_LEVEL_ERROR = 1,
    DEFUPD_LEVEL_WARNING = 2,
    DEFUPD_LEVEL_INFO = 3,
    DEFUPD_LEVEL_DEBUG = 4
} defupd_level;

/** Receives log lines: `module` is a folder of the library ("fetch"), `text` one line without
 *  '\n' that may change from release to release. No secret and no raw foreign byte is in it. */
typedef void (*defupd_log_fn)(void *user, defupd_level level, const char *module, const char *text);

#ifdef __cplusplus
}
#endif
#endif
