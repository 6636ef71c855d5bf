/* SPDX-License-Identifier: Apache-2.0 */
/* From the command line to an open client: named files, the right user, the options. */
#ifndef AG_PREPARE_H
#define AG_PREPARE_H

#include <stdbool.h>
#include <stddef.h>

#include <defupd/client.h>

#include "options.h"
#include "policy/map.h"
#include "report/report.h"

/* What must live as long as the client. */
struct ag_setup {
    char *state_dir; /* absolute */
    char *trusted_root;
    size_t trusted_root_bytes;
    char *ca_file;
    int ca_fd; /* -1 when ca_file is the operator's own path */
    char *proxy;
    char *archive;         /* absolute path of what is imported */
    int archive_fd;        /* -1: none */
    const char *root_name; /* what messages call trusted_root */
    struct ag_force force; /* the policy in force */
    struct ag_ways ways;
    struct ag_map map;
    struct ag_report_settings report; /* what policy says of reports */
    defupd_client_options options;    /* the client's; what they point to is here, too */
};

/* Find the policy and open the client; events and log lines go to the callbacks with `user`. On
 * failure *client is NULL. `setup` is freed by ag_setup_free() in either case. */
DEFUPD_MUST_CHECK defupd_code ag_prepare(defupd_client **client, struct ag_setup *setup,
                                         const struct ag_args *args, defupd_event_fn on_event,
                                         defupd_log_fn on_log, void *user, defupd_error *err);
/* The same without a client: its options, callbacks not set. They point into `setup` and `args`. */
DEFUPD_MUST_CHECK defupd_code ag_prepare_options(defupd_client_options *options,
                                                 struct ag_setup *setup, const struct ag_args *args,
                                                 defupd_error *err);
/* The command asks the policy's sources, and needs all that policy names for that. */
bool ag_asks_sources(const struct ag_args *args);
void ag_setup_free(struct ag_setup *setup);

#endif
