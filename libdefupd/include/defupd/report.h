/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEFUPD_REPORT_H
#define DEFUPD_REPORT_H

/**
 * @file defupd/report.h
 * @brief What a check, update or rollback found and did, component by component.
 */

#include <stdint.h>

#include <defupd/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What is (or would be) done with a component. Values are ABI. */
typedef enum defupd_action {
    DEFUPD_ACTION_NONE = 0,     /**< Stays as it is; `reason` says why when there is more to say. */
    DEFUPD_ACTION_INSTALL = 1,  /**< First installation. */
    DEFUPD_ACTION_UPDATE = 2,   /**< To a newer version. */
    DEFUPD_ACTION_ROLLBACK = 3, /**< To an earlier version, by order. */
    DEFUPD_ACTION_REPLACE = 4,  /**< Away from a withdrawn version. */
    DEFUPD_ACTION_REMOVE = 5    /**< Withdrawn, and nothing replaces it: it goes. */
} defupd_action;

/** How far a component came in this call. Values are ABI. */
typedef enum defupd_progress {
    DEFUPD_PROGRESS_PLANNED = 0,    /**< Decided only. */
    DEFUPD_PROGRESS_DOWNLOADED = 1, /**< Objects are complete and verified in downloads/. */
    DEFUPD_PROGRESS_STAGED = 2,     /**< Tree is complete and verified, not active. */
    DEFUPD_PROGRESS_ACTIVE = 3      /**< In the current generation. */
} defupd_progress;

/** Why a component stays as it is. Values are ABI. */
typedef enum defupd_reason {
    DEFUPD_REASON_NONE = 0,
    DEFUPD_REASON_NEWEST = 1,      /**< The newest release is installed already. */
    DEFUPD_REASON_HELD = 2,        /**< Held on this host. */
    DEFUPD_REASON_PINNED = 3,      /**< Pinned on this host. */
    DEFUPD_REASON_SKIPPED = 4,     /**< Rolled back from this release; a named update takes it. */
    DEFUPD_REASON_QUARANTINED = 5, /**< This host refuses the release. */
    DEFUPD_REASON_ROLLOUT = 6,     /**< The roll-out has not reached this host yet. */
    DEFUPD_REASON_PAUSED = 7,      /**< The publisher paused the roll-out. */
    DEFUPD_REASON_NEEDS = 8,       /**< Needs another component or a newer engine first. */
    DEFUPD_REASON_REQUIRES = 9,    /**< Needs a newer client to be understood. */
    DEFUPD_REASON_NO_OBJECT = 10,  /**< No object of it has a codec this client knows. */
    DEFUPD_REASON_WITHDRAWN = 11,  /**< Withdrawn by the publisher. */
    DEFUPD_REASON_NO_RELEASE = 12, /**< The manifest lists no release for this host. */
    DEFUPD_REASON_BUDGET = 13,     /**< It costs more bytes than the budget allows. */
    DEFUPD_REASON_UNLICENSED = 14, /**< The licence of its class is missing or has expired. */
    DEFUPD_REASON_DELAY = 15,      /**< Policy waits some time after its publication. */
    DEFUPD_REASON_METERED = 16,    /**< It needs a full bundle, which is too dear here. */
    DEFUPD_REASON_DISABLED = 17,   /**< Policy has switched the component off. */
    DEFUPD_REASON_TRIAL = 18       /**< With an action: it is only staged, and becomes active when
                                        the trial of what is installed has ended. */
} defupd_reason;

/** One component of a report. Borrowed from it, with all strings. */
typedef struct defupd_report_item {
    uint32_t struct_size;
    int32_t action;        /**< A defupd_action. */
    int32_t progress;      /**< A defupd_progress. */
    int32_t reason;        /**< A defupd_reason. */
    int32_t code;          /**< A defupd_code: failure of this component. */
    uint32_t objects;      /**< Objects the plan fetches. */
    uint64_t from_version; /**< Installed before, 0 if none. */
    uint64_t to_version;   /**< Target; equals from_version when action is NONE; 0 when REMOVE. */
    uint64_t newest;       /**< Newest version published and not withdrawn, 0 if not known. */
    uint64_t bytes;        /**< Object bytes the plan fetches; downloaded ones cost nothing. */
    uint64_t full_bytes;   /**< What the full bundle would cost. */
    const char *component;
    const char *from_label;   /**< "" if none. */
    const char *to_label;     /**< "" if none. */
    const char *via;          /**< "full", "delta", "delta+delta", "disk" or "". */
    const char *text;         /**< One line for people: the reason or the failure; "" if none. */
    uint64_t base_version;    /**< On disk, where the first delta starts; 0 without a delta. */
    uint64_t through_version; /**< With two deltas: the release between them, else 0. */
    const char *how;          /**< The path for people: "delta from 1002, 5,791 bytes instead of
                                   1,024,594"; "" when nothing is done. */
} defupd_report_item;

/** Owned by the caller, freed by defupd_report_free(). Read-only and safe to share. */
typedef struct defupd_report defupd_report;

/** Number of components. @since 0.1 */
DEFUPD_API uint32_t defupd_report_count(const defupd_report *report);

/** One of them, in order of names; NULL past the end. Lives as long as the report. @since 0.1 */
DEFUPD_API const defupd_report_item *defupd_report_at(const defupd_report *report, uint32_t index);

/** Number of the generation that this call made, 0 if it made none. @since 0.1 */
DEFUPD_API uint64_t defupd_report_generation(const defupd_report *report);

/** Source whose metadata was used, without credentials; "" if none was asked. @since 0.1 */
DEFUPD_API const char *defupd_report_source(const defupd_report *report);

/** Bytes of objects fetched by this call. @since 0.1 */
DEFUPD_API uint64_t defupd_report_fetched(const defupd_report *report);

/** NULL is allowed. @since 0.1 */
DEFUPD_API void defupd_report_free(defupd_report *report);

#ifdef __cplusplus
}
#endif
#endif
