/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The only code that knows the order of steps (DESIGN's "flow of one update",
 * docs/architecture.md). Binds trust, manifest, plan, fetch, bundle and store together; reports
 * each outcome once.
 */
#ifndef DU_UPDATE_UPDATE_H
#define DU_UPDATE_UPDATE_H

#include <stdatomic.h>

#include <defupd/client.h>

#include "base/err.h"
#include "event/event.h"
#include "store/store.h"
#include "sys/sys.h"
#include "trust/trust.h"

/* Everything a run needs; client/ fills it from the options and owns it. */
struct du_context {
    const struct du_sys *sys;
    struct du_store store;
    struct du_events events;
    const defupd_client_options *options; /* a complete copy with defaults filled in */
    atomic_bool cancel;
    /* What the last run of this handle trusted, and by which files it is known to be still so:
     * checking signatures again for the report after an update would cost more than the update. */
    struct du_trust *trust;
    struct du_trust_mark {
        uint64_t device, inode, size;
        int64_t mtime_ns;
    } trust_mark[2];
};

enum du_run_kind { DU_RUN_CHECK, DU_RUN_DOWNLOAD, DU_RUN_INSTALL, DU_RUN_UPDATE, DU_RUN_IMPORT };

/* Contracts: the functions of the same name in <defupd/client.h>; pointers are never NULL here
 * except `request`'s list. `import` is what DU_RUN_IMPORT reads, else NULL. */
DEFUPD_MUST_CHECK defupd_code du_run(struct du_context *ctx, enum du_run_kind kind,
                                     const defupd_request *request, const defupd_import *import,
                                     defupd_report **report, defupd_error *err);
DEFUPD_MUST_CHECK defupd_code du_explain(struct du_context *ctx, const defupd_request *request,
                                         defupd_report **report, defupd_error *err);
/* Why something goes back, or not. */
enum du_back_kind {
    DU_BACK_ORDER,    /* rollback: what is left is skipped */
    DU_BACK_REJECTED, /* those on trial: what is left goes into quarantine */
    DU_BACK_EXPIRED,  /* the same: nobody has confirmed them in time */
    DU_BACK_CRASHED,  /* the same, before the product runs, if it has started too often: it is not
                         asked */
    DU_BACK_NOT       /* confirm */
};
/* defupd_client_rollback(), _reject(), _early() and _confirm(). */
DEFUPD_MUST_CHECK defupd_code du_back(struct du_context *ctx, const defupd_request *request,
                                      enum du_back_kind kind, defupd_report **report,
                                      defupd_error *err);
/* Without counting or confirming anything. */
DEFUPD_MUST_CHECK defupd_code du_rollback(struct du_context *ctx, const defupd_request *request,
                                          enum du_back_kind kind, defupd_report **report,
                                          defupd_error *err);
DEFUPD_MUST_CHECK defupd_code du_verify(struct du_context *ctx, const defupd_request *request,
                                        defupd_damage_fn on_damage, void *user, uint64_t *files,
                                        defupd_error *err);
DEFUPD_MUST_CHECK defupd_code du_status(struct du_context *ctx, defupd_status **status,
                                        defupd_error *err);
DEFUPD_MUST_CHECK defupd_code du_list(struct du_context *ctx, const char *component,
                                      defupd_listing **listing, defupd_error *err);

DEFUPD_MUST_CHECK defupd_code du_doctor(struct du_context *ctx, defupd_step_fn on_step, void *user,
                                        defupd_error *err);

/* --- admin.c --- */
enum du_hold_change { DU_HOLD, DU_PIN, DU_UNHOLD };
DEFUPD_MUST_CHECK defupd_code du_hold(struct du_context *ctx, const char *component,
                                      enum du_hold_change change, uint64_t version,
                                      defupd_error *err);
DEFUPD_MUST_CHECK defupd_code du_clean(struct du_context *ctx, uint64_t *bytes, defupd_error *err);
DEFUPD_MUST_CHECK defupd_code du_slot(struct du_context *ctx, uint64_t interval_s, uint64_t *slot_s,
                                      defupd_error *err);
DEFUPD_MUST_CHECK defupd_code du_trust_reset(struct du_context *ctx, defupd_error *err);
DEFUPD_MUST_CHECK defupd_code du_trust_show(struct du_context *ctx, defupd_role_fn on_role,
                                            void *user, defupd_error *err);

#endif
