/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEFUPD_ERROR_H
#define DEFUPD_ERROR_H

/**
 * @file defupd/error.h
 * @brief What can go wrong, and what the caller should do about it.
 */

#include <stdint.h>

#include <defupd/visibility.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Result of every fallible call: 0, or the negative number that local.xml and docs/errors.md show
 * too (a test compares them). Values are ABI: never renumbered, never reused. What to do about one
 * is defupd_code_group()'s answer, not a range's. A caller may meet codes newer than its header.
 */
typedef enum defupd_code {
    DEFUPD_OK = 0, /**< Success, also when there was nothing to do. */

    /* -21xx: the way to a source. */
    DEFUPD_E_PROXY_AUTH = -2100,      /**< Proxy refused the credentials. */
    DEFUPD_E_RESOLVE = -2101,         /**< Host name cannot be resolved. */
    DEFUPD_E_CONNECT = -2102,         /**< Cannot connect to the source. */
    DEFUPD_E_PROXY_CONNECT = -2103,   /**< Cannot connect to the proxy. */
    DEFUPD_E_TLS = -2104,             /**< TLS connection failed. */
    DEFUPD_E_TLS_VERIFY = -2105,      /**< Server's certificate is not trusted. */
    DEFUPD_E_TLS_REVOKED = -2106,     /**< Server's certificate has been revoked. */
    DEFUPD_E_TLS_REVOCATION = -2107,  /**< Revocation status of the certificate is not known. */
    DEFUPD_E_INTERRUPTED = -2108,     /**< Transfer was cut short. */
    DEFUPD_E_PROXY_DOWNLOAD = -2109,  /**< Connected through the proxy, but the download failed. */
    DEFUPD_E_TOOLARGE = -2110,        /**< Source sent more bytes than allowed. */
    DEFUPD_E_TIMEOUT = -2111,         /**< Time-out. */
    DEFUPD_E_STALLED = -2112,         /**< Transfer stalled. */
    DEFUPD_E_HTTP_STATUS = -2113,     /**< Unexpected HTTP status. */
    DEFUPD_E_NOT_FOUND = -2114,       /**< File not found on the source. */
    DEFUPD_E_FORBIDDEN = -2115,       /**< Access to the source was refused. */
    DEFUPD_E_MAINTENANCE = -2116,     /**< Source is under maintenance (HTTP 503). */
    DEFUPD_E_RATE_LIMITED = -2117,    /**< Source asks for fewer requests (HTTP 429). */
    DEFUPD_E_SOURCE_BEHIND = -2118,   /**< Source is behind: older than what this store has seen. */
    DEFUPD_E_REDIRECT = -2119,        /**< Redirect was refused. */
    DEFUPD_E_TLS_PIN = -2120,         /**< Server's public key is not the pinned one. */
    DEFUPD_E_TLS_CLIENT_CERT = -2121, /**< Client certificate was refused or cannot be used. */
    DEFUPD_E_INTERCEPTED = -2122,     /**< Something between answers in the source's place. */
    DEFUPD_E_COOL_DOWN = -2123,       /**< Source asked to be left alone for a while. */
    DEFUPD_E_TLS_EXPIRED = -2124,     /**< Server's certificate is out of date. */
    DEFUPD_E_TLS_NAME = -2125,        /**< Server's certificate is for another name. */

    /* -22xx: trust (TUF). */
    DEFUPD_E_SIGNATURE = -2200,        /**< Not enough valid signatures. */
    DEFUPD_E_ROLLBACK = -2201,         /**< Contradicts what is already trusted (rollback). */
    DEFUPD_E_EXPIRED = -2202,          /**< Metadata has expired. */
    DEFUPD_E_METADATA_FORMAT = -2203,  /**< Metadata is malformed. */
    DEFUPD_E_METADATA_DIGEST = -2204,  /**< Metadata differs from what the role above it states. */
    DEFUPD_E_NO_ROOT = -2205,          /**< No trusted root. */
    DEFUPD_E_ROOT_MISMATCH = -2206,    /**< The given root is not one this store has pinned. */
    DEFUPD_E_TARGET_NOT_FOUND = -2207, /**< Not signed by any role. */
    DEFUPD_E_CLOCK = -2208,            /**< This machine's clock is wrong. */
    DEFUPD_E_METADATA_NEWER = -2209,   /**< Metadata needs a newer client. */
    DEFUPD_E_METADATA_LIMIT = -2210,   /**< Metadata is larger or deeper than the limit. */

    /* -23xx: manifest and plan. */
    DEFUPD_E_MANIFEST_FORMAT = -2300,    /**< Manifest is malformed. */
    DEFUPD_E_MANIFEST_COMPONENT = -2301, /**< Manifest is for another component. */
    DEFUPD_E_MANIFEST_NEWER = -2302,     /**< Manifest needs a newer client. */
    DEFUPD_E_NO_RELEASE = -2303,         /**< No such release. */
    DEFUPD_E_NO_COMPONENT = -2304,       /**< No such component in the repository. */
    DEFUPD_E_NO_OBJECT = -2305,          /**< Release has no object that this client can use. */
    DEFUPD_E_NEEDS = -2306,              /**< Release needs another component or a newer engine. */
    DEFUPD_E_VERSION_REUSED =
        -2307, /**< A version number was published twice with different content. */

    /* -24xx: delta and bundle. */
    DEFUPD_E_DIGEST = -2400,         /**< Object differs from its signed digest. */
    DEFUPD_E_BUNDLE_FORMAT = -2401,  /**< Bundle cannot be unpacked. */
    DEFUPD_E_TREE = -2402,           /**< Unpacked tree differs from the signed one. */
    DEFUPD_E_TREE_FORBIDDEN = -2403, /**< Tree holds something that is not allowed. */
    DEFUPD_E_DELTA_FORMAT = -2404,   /**< Delta cannot be decoded. */
    DEFUPD_E_DELTA_BASE = -2405,     /**< Installed files are not what the delta starts from. */
    DEFUPD_E_LIMIT = -2406,          /**< Content is larger than this client allows. */
    DEFUPD_E_ARCHIVE = -2407,        /**< Archive cannot be imported. */

    /* -25xx: store and disk. */
    DEFUPD_E_IO = -2500,             /**< Local file operation failed. */
    DEFUPD_E_NO_SPACE = -2501,       /**< No space left. */
    DEFUPD_E_CANNOT_CREATE = -2502,  /**< Cannot create. */
    DEFUPD_E_STORE_FORMAT = -2503,   /**< Store was written by a newer version of this software. */
    DEFUPD_E_STORE_CORRUPT = -2504,  /**< Store is damaged. */
    DEFUPD_E_STORE_OWNER = -2505,    /**< Store belongs to another user. */
    DEFUPD_E_DAMAGED = -2506,        /**< Installed files differ from what was signed. */
    DEFUPD_E_NOT_INSTALLED = -2507,  /**< Component is not installed. */
    DEFUPD_E_NO_PREVIOUS = -2508,    /**< No earlier version to go back to. */
    DEFUPD_E_NOT_DOWNLOADED = -2509, /**< Nothing downloaded to install. */

    /* -26xx: policy, licence, busy. */
    DEFUPD_E_BUSY = -2600,          /**< Store is in use by another process. */
    DEFUPD_E_CANCELLED = -2601,     /**< Cancelled. */
    DEFUPD_E_POLICY = -2602,        /**< Policy is not valid. */
    DEFUPD_E_POLICY_OWNER = -2603,  /**< Policy could be changed by others. */
    DEFUPD_E_NO_SOURCE = -2604,     /**< No source to update from. */
    DEFUPD_E_NOT_PERMITTED = -2605, /**< Not permitted. */
    DEFUPD_E_HELD = -2606,          /**< Component is held or pinned. */
    DEFUPD_E_UNLICENSED = -2607,    /**< Licence has expired. */
    DEFUPD_E_BUDGET = -2608,        /**< More bytes than the budget allows. */
    DEFUPD_E_AGENT = -2609,         /**< Agent cannot be reached. */
    DEFUPD_E_DISABLED = -2610,      /**< Component is switched off in policy. */

    /* -27xx: validation, trial, withdrawal. */
    DEFUPD_E_VALIDATION = -2700,     /**< Validator refused the release. */
    DEFUPD_E_QUARANTINED = -2701,    /**< Release is in quarantine on this host. */
    DEFUPD_E_WITHDRAWN = -2702,      /**< Release has been withdrawn. */
    DEFUPD_E_NO_REPLACEMENT = -2703, /**< Installed release is withdrawn and nothing replaces it. */
    DEFUPD_E_TRIAL = -2704,          /**< Release failed its trial and was rolled back. */
    DEFUPD_E_POSTPONED = -2705,      /**< Product asked to postpone the installation. */
    DEFUPD_E_HOOK = -2706,           /**< Hook failed. */

    /* -28xx: the caller's mistakes. */
    DEFUPD_E_INVALID = -2800,     /**< Invalid argument. */
    DEFUPD_E_UNSUPPORTED = -2801, /**< Not supported by this build. */
    DEFUPD_E_NOMEM = -2802,       /**< Out of memory. */
    DEFUPD_E_BUG = -2803,         /**< Internal error. */

    /* -29xx: publishing. */
    DEFUPD_E_REPO_EXISTS = -2900,   /**< Repository or key exists already. */
    DEFUPD_E_REPO = -2901,          /**< Repository is not as it should be. */
    DEFUPD_E_VERSION_ORDER = -2902, /**< Version is not newer than what is published. */
    DEFUPD_E_KEY = -2903,           /**< Key is missing or cannot be used. */
    DEFUPD_E_PIN = -2904,           /**< Roots are not those pinned beside the keys. */
    DEFUPD_E_PENDING = -2905,       /**< Pending change does not fit. */
    DEFUPD_E_RECEIPT = -2906        /**< File is no posture. */
} defupd_code;

/** What a caller should do about a failure. Values are ABI. @since 0.1 */
typedef enum defupd_group {
    DEFUPD_GROUP_NONE = 0,    /**< Success. */
    DEFUPD_GROUP_CALLER = 1,  /**< Mend the call, the program or its configuration, then repeat. */
    DEFUPD_GROUP_MACHINE = 2, /**< Mend this machine (disk, clock, memory), then repeat. */
    DEFUPD_GROUP_SOURCE = 3,  /**< This source is at fault: the next one may do. */
    DEFUPD_GROUP_LATER = 4,   /**< Nothing is wrong that time does not mend: try later. */
    DEFUPD_GROUP_ALARM = 5    /**< Keep what is installed and tell a person. */
} defupd_group;

#define DEFUPD_ERROR_MESSAGE_MAX 512 /**< Bytes, including the terminating NUL. */

/**
 * Detail for one failed call. Caller-owned, needs no freeing, never allocates, so it can also
 * carry DEFUPD_E_NOMEM. Its contents are meaningful only when the call that received it returned
 * something other than DEFUPD_OK.
 */
typedef struct defupd_error {
    defupd_code code;
    int sys_errno;                          /**< errno where it failed, 0 when none was involved. */
    const char *origin;                     /**< "store/activate.c"; static, for bug reports. */
    int line;                               /**< Line of it. */
    int reserved;                           /**< 0 */
    char message[DEFUPD_ERROR_MESSAGE_MAX]; /**< English, UTF-8, one line: what and where. */
} defupd_error;

/** What a code means, "proxy refused the credentials". Static, never NULL, also for codes this
 *  version does not know. Any thread. @since 0.1 */
DEFUPD_API const char *defupd_code_text(defupd_code code);

/** A code's name without prefix, "PROXY_AUTH"; "UNKNOWN" for codes this version does not know.
 *  Static. Any thread. @since 0.1 */
DEFUPD_API const char *defupd_code_name(defupd_code code);

/** What a person can do about it, "check the proxy's user name ..."; "" for success and for codes
 *  this version does not know. Static. Any thread. @since 0.1 */
DEFUPD_API const char *defupd_code_advice(defupd_code code);

/** What a program should do about it; DEFUPD_GROUP_CALLER for codes this version does not know.
 *  Any thread. @since 0.1 */
DEFUPD_API defupd_group defupd_code_group(defupd_code code);

/** Exit code of a command that ends with this code: 0 or a sysexits(3) value; 70 for codes this
 *  version does not know. Any thread. @since 0.1 */
DEFUPD_API int defupd_code_exit(defupd_code code);

/** The code as `local.xml` writes it: its 32-bit two's complement as an unsigned number,
 *  4294965196 for -2100. Any thread. @since 0.1 */
DEFUPD_API uint32_t defupd_code_unsigned(defupd_code code);

/** Codes in their order of numbers, for tables: the code at `index`, from 0; returns 0 (DEFUPD_OK)
 *  for index 0 and 1 (no code) past the end. Any thread. @since 0.1 */
DEFUPD_API int defupd_code_at(unsigned index);

#ifdef __cplusplus
}
#endif
#endif
