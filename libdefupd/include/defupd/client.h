/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEFUPD_CLIENT_H
#define DEFUPD_CLIENT_H

/**
 * @file defupd/client.h
 * @brief One updater over one store.
 *
 * Calls block until they are done; progress comes through a callback and defupd_cancel() ends them
 * early. Whatever happens in them, what is installed stays whole: a call either switches to a
 * complete, verified set or leaves the current one as it was.
 */

#include <stdint.h>

#include <defupd/error.h>
#include <defupd/event.h>
#include <defupd/report.h>
#include <defupd/status.h>
#include <defupd/version.h>

#ifdef __cplusplus
extern "C" {
#endif

/** One updater over one store. Use from one thread at a time, defupd_cancel() excepted; two
 *  clients are independent. Created by defupd_client_open(), freed by defupd_client_close(). */
typedef struct defupd_client defupd_client;

/** Bits of defupd_rule.flags. Values are ABI. */
enum {
    DEFUPD_RULE_HELD = 1,     /**< Held: stays as it is, and cannot be unheld on this host. */
    DEFUPD_RULE_DISABLED = 2, /**< Switched off: no call touches what is installed of it. */
    DEFUPD_RULE_NO_TRIAL = 4  /**< Its product never confirms: its releases are not on trial. */
};

/** What policy says of one component. Start from DEFUPD_RULE_INIT. */
typedef struct defupd_rule {
    uint32_t struct_size;  /**< Set by the INIT macro. */
    uint32_t flags;        /**< DEFUPD_RULE_* bits. */
    uint64_t pin_version;  /**< Only this version is taken; 0: none. Cannot be unheld. */
    uint64_t max_age_s;    /**< DEFUPD_STATE_STALE when the last success is older; 0: never. */
    uint64_t delay_s;      /**< Releases that were published less than this ago are left alone. */
    const char *component; /**< Required. */
    const char *ring;      /**< Its roll-out ring; NULL: the options'. */
    const char *licence;   /**< Class that its licence is of; NULL: the one its release states. */
} defupd_rule;

#define DEFUPD_RULE_INIT                                   \
    {                                                      \
        (uint32_t)sizeof(defupd_rule), 0, 0, 0, 0, 0, 0, 0 \
    }

/** A licence of this host. Start from DEFUPD_LICENCE_INIT. */
typedef struct defupd_licence {
    uint32_t struct_size; /**< Set by the INIT macro. */
    uint32_t reserved;    /**< 0 */
    int64_t expires;      /**< Unix seconds from which on it counts no more; 0: never. */
    const char *name;     /**< Required: the class. */
} defupd_licence;

#define DEFUPD_LICENCE_INIT                       \
    {                                             \
        (uint32_t)sizeof(defupd_licence), 0, 0, 0 \
    }

/** What a source is. Values are ABI. */
enum {
    DEFUPD_SOURCE_SERVER = 0, /**< The publisher's, or a mirror: asked in the list's order. */
    DEFUPD_SOURCE_RELAY = 1   /**< Asked before all servers, in random order within its group. */
};

/** How to log in at a proxy. Values are ABI. */
enum {
    DEFUPD_PROXY_BASIC = 1,
    DEFUPD_PROXY_DIGEST = 2,
    DEFUPD_PROXY_NTLM = 4,
    DEFUPD_PROXY_NEGOTIATE = 8 /**< Kerberos; the ticket is the process's. */
};

/** What to do about revoked server certificates. Values are ABI. */
enum {
    DEFUPD_REVOCATION_NONE = 0, /**< Nothing. */
    DEFUPD_REVOCATION_SOFT = 1, /**< A revoked one is refused; a status that is missing or out of
                                     date is accepted. */
    DEFUPD_REVOCATION_HARD = 2  /**< The status must be known, too: by crl_file, or without one by
                                     what the server staples. */
};

/** Where to read the repository, and the way there. Start from DEFUPD_SOURCE_INIT. Of secrets no
 *  message or log line tells; the library's copies are overwritten when they are freed. */
typedef struct defupd_source {
    uint32_t struct_size;     /**< Set by the INIT macro. */
    uint32_t flags;           /**< 0 */
    uint64_t offline_grace_s; /**< How long after its expiry a timestamp or snapshot of this source
                                   is accepted still; other roles are not forgiven. At most a
                                   year. */
    const char *url;          /**< Required: base URL (http, https, file). */
    uint32_t kind;            /**< DEFUPD_SOURCE_*. */
    uint32_t group;           /**< Of a relay: groups are asked in order of first appearance. */
    uint32_t attempts;        /**< At each file. Default: 3 for a relay, the options' for a server.
                                   A cut after progress does not count. At most 100. */
    uint32_t proxy_methods;   /**< DEFUPD_PROXY_* bits. Default: basic and digest. */
    uint32_t revocation;      /**< DEFUPD_REVOCATION_*. */
    uint32_t reserved;        /**< 0 */
    const char *object_url;   /**< Base URL of objects. Default: url. */
    const char *auth;         /**< "USER:PASSWORD" for the host of url; for others what stands in
                                   their URL. */
    const char *bearer;       /**< A token for that host, instead of auth. */
    const char *proxy;        /**< Like the options' proxy, for this source alone; "": none.
                                   Default: the options'. */
    const char *proxy_auth;   /**< "USER:PASSWORD" for the proxy. */
    const char *no_proxy;     /**< Hosts, domains (".example.org") and networks ("10.0.0.0/8") that
                                   are asked without it, separated by commas or blanks; "*": all. */
    const char *addresses;    /**< "HOST:PORT:ADDRESS[,ADDRESS...]", several separated by blanks:
                                   addresses to use instead of the name server's. A proxy that
                                   resolves names itself does not know them. */
    const char *ca_file;      /**< PEM file with the CAs to trust. Default: the options'. */
    const char *pinned_key;   /**< "sha256//BASE64[;sha256//BASE64...]": the server must have one of
                                   these public keys, beside a certificate that holds. */
    const char *client_cert;  /**< PEM file with the certificate to show to the host of url. */
    const char *client_key;   /**< PEM file with its key. Default: client_cert has it, too. */
    const char *crl_file;     /**< PEM file with revocation lists, of each CA in the chain. */
} defupd_source;

#define DEFUPD_SOURCE_INIT                                                                        \
    {                                                                                             \
        (uint32_t)sizeof(defupd_source), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, \
            0, 0                                                                                  \
    }

/** What a product is asked or told. Values are ABI. */
enum {
    DEFUPD_HOOK_PRE_INSTALL = 1, /**< A component is about to be switched: be quiet now. */
    DEFUPD_HOOK_VALIDATE = 2,    /**< A new tree stands complete and is not active: is it good? */
    DEFUPD_HOOK_POST_INSTALL = 3 /**< The switch is done, or did not come about: go on. */
};

/** One question. Borrowed, with all strings, for the duration of the callback. Newer libraries
 * append fields: look at struct_size. */
typedef struct defupd_hook {
    uint32_t struct_size;
    int32_t kind;          /**< DEFUPD_HOOK_*. */
    int32_t code;          /**< POST_INSTALL: a defupd_code, how it ended; else 0. */
    uint32_t reserved;     /**< 0 */
    uint64_t from_version; /**< Installed before, 0 if none. */
    uint64_t to_version;   /**< New version; 0 when the component is removed. */
    const char *component;
    const char
        *tree; /**< VALIDATE: absolute path of the new tree, not to be written to; else "". */
    const char *text; /**< POST_INSTALL: what failed, one line; "" otherwise. */
} defupd_hook;

/**
 * Asks a product. Comes on the calling thread, with the store locked; it may take its time, and
 * must not call back into the client, except defupd_cancel().
 *
 * VALIDATE comes for each release that is to be activated by an update or install, on disk before
 * or not; not for one that a person named with DEFUPD_REQUEST_ACCEPT_QUARANTINED, and not for a
 * rollback. PRE_INSTALL comes for each component right before the switch of an update, install or
 * rollback; POST_INSTALL afterwards, once for each PRE_INSTALL whatever became of the rest.
 *
 * @param[out] error its message becomes part of the outcome's text
 * @return DEFUPD_OK           go on
 * @return DEFUPD_E_POSTPONED  not now: the component stays as it is, with DEFUPD_E_POSTPONED;
 *                             downloads are kept, so that the next call needs no network for it
 * @return DEFUPD_E_CANCELLED  end the call, as defupd_cancel() does
 * @return DEFUPD_E_HOOK       the product could not be asked: the component stays, and a release
 * that was to be validated will be asked about again
 * @return otherwise           PRE_INSTALL: the same as DEFUPD_E_HOOK. VALIDATE: the release is
 *                             refused: DEFUPD_E_VALIDATION, and it goes into quarantine on this
 * host What POST_INSTALL returns other than DEFUPD_OK is told as DEFUPD_E_HOOK; the switch stays.
 */
typedef defupd_code (*defupd_hook_fn)(void *user, const defupd_hook *hook, defupd_error *error);

/** Bits of defupd_client_options.flags. Values are ABI. */
enum {
    DEFUPD_CLIENT_METERED = 1,          /**< Bytes are dear: where something is installed, no full
                                             bundle is fetched (DEFUPD_REASON_METERED,
                                             DEFUPD_E_BUDGET). */
    DEFUPD_CLIENT_REMOVE_WITHDRAWN = 2, /**< What is withdrawn, and nothing will replace, is
                                             removed: the next generation is without the component.
                                         */
    DEFUPD_CLIENT_RELAYS_ONLY = 4,      /**< Where source_list has relays, its servers are not
                                             asked. */
    DEFUPD_CLIENT_TRIAL_CONFIRMS = 8    /**< A trial whose time ends is confirmed by that; default:
                                             it has failed. */
};

/**
 * Everything a client needs to know. Start from DEFUPD_CLIENT_OPTIONS_INIT and set what differs:
 * zero always means "the default". Everything is copied during defupd_client_open(); the caller may
 * free it afterwards.
 */
typedef struct defupd_client_options {
    uint32_t struct_size;        /**< Set by the INIT macro; lets the struct grow. */
    uint32_t connect_timeout_ms; /**< For each connection. Default 10 000. */
    uint32_t stall_timeout_ms;   /**< Longest time without a byte, and in which at least 1 KiB of
                                      an answer that has begun must come. Default 30 000. */
    uint32_t total_timeout_ms;   /**< For all transfers of one call. Default 0: none. */
    uint32_t attempts;           /**< For each source. Default 1. At most 100. */
    uint32_t retention;          /**< Earlier generations kept. Default 1; at most 100. */
    uint32_t lock_wait_ms;       /**< How long to wait for another writer. Default 0. */
    uint32_t flags;              /**< DEFUPD_CLIENT_* bits. */
    uint64_t max_tree_bytes;     /**< Of one release, unpacked. Default 4 GiB. */
    uint64_t trusted_root_bytes; /**< Length of trusted_root. */
    const void *trusted_root;    /**< Contents of the publisher's 1.root.json; needed
                                    until a source has given metadata that verifies by it: then it is
                                    pinned. */
    const char *state_dir;       /**< Required, absolute. Made by the first call that changes it. */
    const char *const *sources; /**< Base URLs (http, https, file), tried in order, NULL-terminated.
                                     NULL: only calls that need no network work. */
    const char *proxy;          /**< URL of a proxy for all sources (http, https, socks5, socks5h;
                                     HOST:PORT, with USER:PASSWORD@ if need be), or "env": what the
                                     environment says (http_proxy, https_proxy, all_proxy,
                                     no_proxy). Default: none; the environment is not read. */
    const char *ca_file;        /**< PEM file with the CAs to trust instead of the system's. */
    const char *const *components; /**< Names to keep up to date, NULL-terminated. NULL: all that
                                      the repository offers. */
    const char *const *engines; /**< "name=version" of engines on this host, for releases that need
                                     one, NULL-terminated. */
    const char *ring;           /**< Roll-out ring of this host. Default: none. */
    const char *user_agent;     /**< Default "defupd/VERSION". */
    defupd_event_fn on_event;   /**< Default: none. */
    void *event_user;           /**< Handed to on_event. */
    defupd_log_fn on_log;       /**< Default: none. */
    void *log_user;             /**< Handed to on_log. */
    const char *trusted_root_name; /**< What messages call trusted_root, such as its file's name.
                                        Default "the given trusted root". */
    uint64_t budget_bytes; /**< Object bytes that one call may fetch; a release that costs more
                                is left alone, with DEFUPD_REASON_BUDGET. Default 0: no limit.
                                With 1, only what is downloaded already is installed. */
    const defupd_rule *const *rules; /**< What policy says of single components, NULL-terminated;
                                          NULL: nothing. One that `components` does not list is
                                          looked after only when that is NULL, and then it must
                                          exist. */
    const defupd_licence *const *licences;   /**< Licences, NULL-terminated. NULL: none are needed.
                                                  Else a component whose class has none, or an expired
                                                  one, takes nothing new but for a withdrawal. */
    const defupd_source *const *source_list; /**< Instead of `sources`, NULL-terminated. */
    defupd_hook_fn on_hook;                  /**< Default: nobody is asked. */
    void *hook_user;                         /**< Handed to on_hook. */
    uint64_t bytes_per_day;   /**< Object bytes that calls on this store may fetch in one day (UTC);
                                   a release that costs more than is left waits, with
                                   DEFUPD_E_BUDGET. What was begun is completed, and a repair is
                                   counted only. Default 0: no limit, and nothing is counted. */
    uint64_t interval_s;      /**< Of a schedule's attempts: by it status tells what is due, and
                                   one failure among successes from failing. Default 0: there is no
                                   schedule. */
    int64_t next_on_success;  /**< Unix seconds of the attempt after this call, for status, */
    int64_t next_on_failure;  /**< ... by how it ends. Default 0: what is known is kept. */
    uint64_t max_bytes_per_s; /**< Of all downloads. Default 0: no limit. At least 1024. */
    uint32_t keep_alive_s;    /**< An idle connection is kept open through firewalls by a probe in
                                   each such time. Default 60. */
    uint32_t retry_delay_ms;  /**< Between two attempts at a source. Default 0. */
    uint64_t trial_s;         /**< A newer release of an installed component is on trial until
                                   defupd_client_confirm(), at most for so much running time: the
                                   machine's, without sleep. It keeps the terms under which it
                                   began. Default 0: there are no trials. */
    uint64_t trial_starts;    /**< Starts of the product, as defupd_client_early() counts them, that
                                   it may take until then. */
} defupd_client_options;

#define DEFUPD_CLIENT_OPTIONS_INIT                                                               \
    {                                                                                            \
        (uint32_t)sizeof(defupd_client_options), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, \
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0                     \
    }

/** Bits of defupd_request.flags. Values are ABI. */
enum {
    DEFUPD_REQUEST_SCHEDULED = 1, /**< By a schedule, not a person: all gates are obeyed. */
    DEFUPD_REQUEST_DRY_RUN = 2,   /**< Decide and report; download no content, change nothing
                                       but metadata. */
    DEFUPD_REQUEST_ACCEPT_QUARANTINED = 4, /**< With a named version: take it all the same. */
    DEFUPD_REQUEST_OVER_BUDGET = 8, /**< With a named version: budget_bytes does not count. */
    DEFUPD_REQUEST_REPAIR = 16      /**< defupd_client_verify(): replace what is damaged. */
};

/** What a call is about. Start from DEFUPD_REQUEST_INIT. Borrowed during the call. */
typedef struct defupd_request {
    uint32_t struct_size;          /**< Set by the INIT macro. */
    uint32_t flags;                /**< DEFUPD_REQUEST_* bits. */
    const char *const *components; /**< "tetra" or "tetra@1003", NULL-terminated. NULL: all of the
                                        client's components. */
} defupd_request;

#define DEFUPD_REQUEST_INIT                    \
    {                                          \
        (uint32_t)sizeof(defupd_request), 0, 0 \
    }

/**
 * Prepare a client. Touches no network, takes no lock, creates nothing.
 *
 * @param[out] client  owned by the caller on DEFUPD_OK, NULL otherwise
 * @param      options see defupd_client_options
 * @param[out] error   detail on failure; may be NULL
 * @return DEFUPD_OK
 * @return DEFUPD_E_INVALID      an option is missing or malformed; the message names it
 * @return DEFUPD_E_UNSUPPORTED  options set a field newer than this library
 * @return DEFUPD_E_STORE_OWNER  the state directory could be changed by others
 * @return DEFUPD_E_IO, DEFUPD_E_NOMEM
 * @since 0.1
 */
DEFUPD_API DEFUPD_MUST_CHECK defupd_code defupd_client_open(defupd_client **client,
                                                            const defupd_client_options *options,
                                                            defupd_error *error);

/** Release everything. Must not run while another call is at work. NULL is allowed. Never fails;
 *  keeps errno. @since 0.1 */
DEFUPD_API void defupd_client_close(defupd_client *client);

/**
 * Let the call that is at work in this client end soon with DEFUPD_E_CANCELLED; downloads are kept.
 * A call that has already switched to the new set completes. Without a call at work, nothing
 * happens. Does not block. Any thread; async-signal-safe. @since 0.1
 */
DEFUPD_API void defupd_cancel(defupd_client *client);

/**
 * Ask another process that is at work on this client's store to cancel its call.
 *
 * @param[out] pid  process that was asked; 0 when none is at work. May be NULL.
 * @return DEFUPD_OK, DEFUPD_E_IO, DEFUPD_E_STORE_OWNER
 * Does not wait for the other to end. @since 0.1
 */
DEFUPD_API DEFUPD_MUST_CHECK defupd_code defupd_client_cancel_other(defupd_client *client,
                                                                    uint64_t *pid,
                                                                    defupd_error *error);

/**
 * The calls below share their form.
 *
 * @param      request what it is about; NULL means DEFUPD_REQUEST_INIT
 * @param[out] report  what was found and done, also on failure when the call got far enough (else
 *                     NULL); owned by the caller. May be NULL.
 * @param[out] error   detail on failure; may be NULL
 * @return DEFUPD_OK   done, also when there was nothing to do
 * @return otherwise   the first failing component's code, or the run's. Components that did not
 *                     fail are updated all the same; the report has each one's code.
 *
 * Each blocks; callbacks come on the calling thread. All but defupd_client_check() with every
 * source unreachable leave facts for defupd_client_status(). Codes that each can return:
 *   -21xx and -22xx  no source served valid metadata or objects: the last one's failure
 *   -23xx, -24xx     a release cannot be taken; the message names component and version
 *   -25xx            this machine's disk or store; nothing half-done stays
 *   DEFUPD_E_BUSY    another process writes to the store; the message has its pid
 *   DEFUPD_E_CANCELLED, DEFUPD_E_NO_SOURCE, DEFUPD_E_NO_ROOT, DEFUPD_E_INVALID, DEFUPD_E_NOMEM
 */

/** Fetch metadata and decide; download no content. @since 0.1 */
DEFUPD_API DEFUPD_MUST_CHECK defupd_code defupd_client_check(defupd_client *client,
                                                             const defupd_request *request,
                                                             defupd_report **report,
                                                             defupd_error *error);

/** What defupd_client_update() would decide, from what the store knows: no network, no lock,
 * nothing is changed and nothing recorded; no event is told. `report` says of each component what
 * would be done, or which gate keeps it as it is and what passes that gate. Does not wait for a
 * writer. DEFUPD_E_NO_ROOT when no metadata is trusted yet. @since 0.1 */
DEFUPD_API DEFUPD_MUST_CHECK defupd_code defupd_client_explain(defupd_client *client,
                                                               const defupd_request *request,
                                                               defupd_report **report,
                                                               defupd_error *error);

/** Check, download, install. All components that can be updated are activated by one switch.
 *  @since 0.1 */
DEFUPD_API DEFUPD_MUST_CHECK defupd_code defupd_client_update(defupd_client *client,
                                                              const defupd_request *request,
                                                              defupd_report **report,
                                                              defupd_error *error);

/** The first half: check, and fetch the objects into downloads/. @since 0.1 */
DEFUPD_API DEFUPD_MUST_CHECK defupd_code defupd_client_download(defupd_client *client,
                                                                const defupd_request *request,
                                                                defupd_report **report,
                                                                defupd_error *error);

/** The second half: install what is downloaded, without network, even when metadata has expired
 *  meanwhile. DEFUPD_E_NOT_DOWNLOADED when a named version is not there. @since 0.1 */
DEFUPD_API DEFUPD_MUST_CHECK defupd_code defupd_client_install(defupd_client *client,
                                                               const defupd_request *request,
                                                               defupd_report **report,
                                                               defupd_error *error);

#define DEFUPD_IMPORT_GRACE_S (UINT64_C(14) * 24 * 60 * 60)

/** A repository that came without a network. Start from DEFUPD_IMPORT_INIT. Borrowed during the
 *  call. */
typedef struct defupd_import {
    uint32_t struct_size; /**< Set by the INIT macro. */
    int32_t fd;           /**< The open archive (.zip, .tar or .tar.zst) or folder; it must allow
                               positioning. -1, as INIT says: `path` is opened. */
    uint64_t grace_s; /**< How long after its expiry the timestamp or snapshot is accepted still;
                           other roles are not forgiven. INIT says DEFUPD_IMPORT_GRACE_S; at most
                           a year. */
    const char *path; /**< Required: also the source's name in messages and reports. */
} defupd_import;

#define DEFUPD_IMPORT_INIT                                            \
    {                                                                 \
        (uint32_t)sizeof(defupd_import), -1, DEFUPD_IMPORT_GRACE_S, 0 \
    }

/**
 * Update from an archive or folder as defupd_repo_export_offline() makes them, in the place of all
 * sources: the same signatures, versions seen and gates count, but neither budgets nor metering.
 * Opens no connection. Objects that are needed go straight into downloads/, each hashed on its way;
 * of one that fails nothing is kept. Of no byte more is believed than signed metadata names.
 * DEFUPD_E_ARCHIVE (not a form that is taken, cut short, damaged, holding what it may not, or
 * without a way from what is installed), DEFUPD_E_SOURCE_BEHIND (older than what was seen),
 * DEFUPD_E_DIGEST, and those of defupd_client_update(). @since 0.1
 */
DEFUPD_API DEFUPD_MUST_CHECK defupd_code defupd_client_import(defupd_client *client,
                                                              const defupd_import *import,
                                                              const defupd_request *request,
                                                              defupd_report **report,
                                                              defupd_error *error);

/** Go back: each named component to its named version or to the newest earlier one on disk that is
 *  neither withdrawn, nor in quarantine, nor known from a trial alone; without names, the last
 * change is undone: what was older in the newest generation on disk that had anything older. A
 * second rollback goes further back. Needs no network. The version left behind is skipped by later
 * updates that do not name it. DEFUPD_E_NO_PREVIOUS, DEFUPD_E_NOT_INSTALLED. @since 0.1 */
DEFUPD_API DEFUPD_MUST_CHECK defupd_code defupd_client_rollback(defupd_client *client,
                                                                const defupd_request *request,
                                                                defupd_report **report,
                                                                defupd_error *error);

/** End the trial of what is installed: it stays. Of the named components, NAME or NAME@VERSION, or
 *  of all. A product that names the version it runs cannot confirm one that came meanwhile. Nothing
 *  on trial is no error, takes no lock and writes nothing: a product may call it at each start.
 *  DEFUPD_E_NOT_INSTALLED (also: in another version), DEFUPD_E_BUSY, -25xx. @since 0.1 */
DEFUPD_API DEFUPD_MUST_CHECK defupd_code defupd_client_confirm(defupd_client *client,
                                                               const defupd_request *request,
                                                               defupd_error *error);

/** End the trial of what is installed: the named components, or all that are on trial, go back to
 *  their newest confirmed versions by one switch, and the rejected releases into quarantine. Needs
 *  no network. One without a version to go back to stays, in quarantine, no longer on trial:
 *  DEFUPD_E_NO_PREVIOUS. So does what is not on trial, and stays as it is; DEFUPD_E_NOT_INSTALLED,
 *  also for a NAME@VERSION of another version. @since 0.1 */
DEFUPD_API DEFUPD_MUST_CHECK defupd_code defupd_client_reject(defupd_client *client,
                                                              const defupd_request *request,
                                                              defupd_report **report,
                                                              defupd_error *error);

/** The product is about to start: count that. When it has started too often since its trial began,
 *  or its time has ended, the trial ends as defupd_client_reject() or the options say; no hook is
 *  called. `report` tells what went back. Needs no network; without a trial nothing is written and
 *  no lock taken. DEFUPD_E_BUSY, DEFUPD_E_NO_PREVIOUS, -25xx. @since 0.1 */
DEFUPD_API DEFUPD_MUST_CHECK defupd_code defupd_client_early(defupd_client *client,
                                                             defupd_report **report,
                                                             defupd_error *error);

/** One finding of defupd_client_verify(). */
typedef struct defupd_damage {
    uint32_t struct_size;
    uint32_t repaired; /**< 1 when it was replaced. */
    uint64_t version;
    const char *component;
    const char *path; /**< In the component's tree. */
    const char *what; /**< "content differs", "missing", "not part of the release", ... */
} defupd_damage;

/** Receives findings, on the calling thread; borrowed for the duration of the callback. */
typedef void (*defupd_damage_fn)(void *user, const defupd_damage *damage);

/**
 * Hash every installed byte of the current generation and compare it with what was signed. With
 * DEFUPD_REQUEST_REPAIR, damaged and missing files are replaced by rename from the release's full
 * bundle, fetched from the sources when it is not in downloads/.
 *
 * @param[out] files  number of files looked at; may be NULL
 * @return DEFUPD_OK         all is right, or was repaired
 * @return DEFUPD_E_DAMAGED  something differs; `on_damage` was told each
 * @return others as above
 * @since 0.1
 */
DEFUPD_API DEFUPD_MUST_CHECK defupd_code defupd_client_verify(defupd_client *client,
                                                              const defupd_request *request,
                                                              defupd_damage_fn on_damage,
                                                              void *user, uint64_t *files,
                                                              defupd_error *error);

/** What is installed and known. Does not wait for a writer. @since 0.1 */
DEFUPD_API DEFUPD_MUST_CHECK defupd_code defupd_client_status(defupd_client *client,
                                                              defupd_status **status,
                                                              defupd_error *error);

/** Releases that the verified manifests list, and versions on disk. `component` NULL: all.
 *  DEFUPD_E_NO_COMPONENT. @since 0.1 */
DEFUPD_API DEFUPD_MUST_CHECK defupd_code defupd_client_list(defupd_client *client,
                                                            const char *component,
                                                            defupd_listing **listing,
                                                            defupd_error *error);

/** Keep a component at its version until defupd_client_unhold(). Allowed before it is installed.
 *  @since 0.1 */
DEFUPD_API DEFUPD_MUST_CHECK defupd_code defupd_client_hold(defupd_client *client,
                                                            const char *component,
                                                            defupd_error *error);

/** Let a component go only to `version` until defupd_client_unhold(). DEFUPD_E_HELD when policy
 *  pins it to another one. @since 0.1 */
DEFUPD_API DEFUPD_MUST_CHECK defupd_code defupd_client_pin(defupd_client *client,
                                                           const char *component, uint64_t version,
                                                           defupd_error *error);

/** Remove hold, pin and the skip that a rollback left. Nothing to remove is no error. DEFUPD_E_HELD
 *  when policy holds or pins it: then nothing is changed. @since 0.1 */
DEFUPD_API DEFUPD_MUST_CHECK defupd_code defupd_client_unhold(defupd_client *client,
                                                              const char *component,
                                                              defupd_error *error);

/** Steps on the way to a source, in their order. Values are ABI. */
enum {
    DEFUPD_STEP_RESOLVE = 0,  /**< The host's addresses. */
    DEFUPD_STEP_CONNECT = 1,  /**< A connection to one of them. */
    DEFUPD_STEP_PROXY = 2,    /**< The proxy, where there is one, in place of the two. */
    DEFUPD_STEP_TLS = 3,      /**< Version, certificate, issuer, expiry, revocation. */
    DEFUPD_STEP_HTTP = 4,     /**< The timestamp's file. */
    DEFUPD_STEP_METADATA = 5, /**< Signed by the trusted root, complete, not expired. */
    DEFUPD_STEP_CLOCK = 6     /**< This machine's clock beside the source's. */
};

/** How a step went. Values are ABI. */
enum { DEFUPD_STEP_PASS = 0, DEFUPD_STEP_FAIL = 1, DEFUPD_STEP_SKIPPED = 2 };

/** One step of defupd_client_doctor(). Borrowed, with all strings, for the duration of the
 * callback.
 */
typedef struct defupd_step {
    uint32_t struct_size;
    int32_t step;         /**< DEFUPD_STEP_RESOLVE to DEFUPD_STEP_CLOCK. */
    int32_t result;       /**< DEFUPD_STEP_PASS, _FAIL or _SKIPPED. */
    int32_t code;         /**< A defupd_code: why it failed. */
    uint64_t duration_ms; /**< 0 also where it took no time of its own. */
    const char *source;   /**< URL without credentials. */
    const char *name;     /**< "resolve", "connect", "proxy", "tls", "http", "metadata", "clock". */
    const char *text;     /**< What was seen, or what went wrong; one line. */
    const char *advice;   /**< What a person can do; "" unless it failed. */
} defupd_step;

typedef void (*defupd_step_fn)(void *user, const defupd_step *step);

/** Look at the way to each source step by step, by a request like any other. Changes nothing, takes
 *  no lock. on_step is called for every step of every source.
 *  @return DEFUPD_OK when no step failed, else the first failure's code. DEFUPD_E_NO_SOURCE
 *  @since 0.1 */
DEFUPD_API DEFUPD_MUST_CHECK defupd_code defupd_client_doctor(defupd_client *client,
                                                              defupd_step_fn on_step, void *user,
                                                              defupd_error *error);

/** Throw away downloads and staging. @param[out] bytes freed; may be NULL. @since 0.1 */
DEFUPD_API DEFUPD_MUST_CHECK defupd_code defupd_client_clean(defupd_client *client, uint64_t *bytes,
                                                             defupd_error *error);

/** Pin the options' trusted_root anew and forget all metadata and seen versions: on purpose, by a
 *  person. What is installed stays. DEFUPD_E_NO_ROOT, -22xx when it is not a valid root.
 *  @since 0.1 */
DEFUPD_API DEFUPD_MUST_CHECK defupd_code defupd_client_trust_reset(defupd_client *client,
                                                                   defupd_error *error);

/** One trusted role, for `trust show`. */
typedef struct defupd_role {
    uint32_t struct_size;
    uint32_t threshold; /**< Signatures needed. */
    uint64_t version;   /**< 0 when none is there yet. */
    int64_t expires;    /**< Unix seconds, 0 if none. */
    const char *name;   /**< "root", "timestamp", ..., or a component's. */
    const char
        *keyids; /**< Hex ids with key types, "ed25519:8f3c... ecdsa:..."; space-separated. */
} defupd_role;

typedef void (*defupd_role_fn)(void *user, const defupd_role *role);

/** Tell each trusted role. DEFUPD_E_NO_ROOT when none is pinned. @since 0.1 */
DEFUPD_API DEFUPD_MUST_CHECK defupd_code defupd_client_trust_show(defupd_client *client,
                                                                  defupd_role_fn on_role,
                                                                  void *user, defupd_error *error);

/**
 * Replace a report file in the state directory atomically and durably, mode 0644, for programs
 * that write reports beside the store ("local.xml").
 *
 * @param name   plain file name: local.xml, posture.json, policy.last.xml (the last good policy) or
 *               examples.written (that examples were written once)
 * @return DEFUPD_OK, DEFUPD_E_INVALID, DEFUPD_E_IO, DEFUPD_E_NO_SPACE; the old file is then intact
 * @since 0.1
 */
DEFUPD_API DEFUPD_MUST_CHECK defupd_code defupd_client_write_report(defupd_client *client,
                                                                    const char *name,
                                                                    const void *bytes,
                                                                    uint64_t count,
                                                                    defupd_error *error);

/**
 * The second of each interval at which this host should poll: the first 8 bytes, big endian, of
 * HMAC-SHA256(host-id, "slot"), modulo the interval. Stable for a host, spread over a fleet. Makes
 * host-id, and the store, when they are not there yet; else changes nothing.
 *
 * @param      interval_s of the polls; not 0
 * @param[out] slot_s     0 to interval_s - 1
 * @return DEFUPD_OK, DEFUPD_E_INVALID, DEFUPD_E_BUSY, DEFUPD_E_CANNOT_CREATE, DEFUPD_E_IO,
 *         DEFUPD_E_NO_SPACE
 * @since 0.1
 */
DEFUPD_API DEFUPD_MUST_CHECK defupd_code defupd_client_slot(defupd_client *client,
                                                            uint64_t interval_s, uint64_t *slot_s,
                                                            defupd_error *error);

#ifdef __cplusplus
}
#endif
#endif
