/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of steps of one sync:
 *
 *   lock -> sources in order -> trust -> manifests -> objects -> metadata, timestamp last -> prune
 *
 * A failure at any step leaves what is served as it was. The outcome is told once: event, figures.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "relay/relay_priv.h"

static void sync_end(struct du_sync *sync)
{
    du_relay_forget(sync);
    du_named_free(&sync->named);
    du_relay_dirs_close(&sync->dirs);
    du_run_end(&sync->run);
}

static defupd_code work(struct du_sync *sync, defupd_error *err)
{
    DU_TRY(du_relay_dirs_open(sync->relay, true, &sync->dirs, err));
    DU_TRY(du_relay_learn(sync, err));
    DU_TRY(du_relay_place(sync, err));
    DU_TRY(du_relay_publish(sync, err));
    du_relay_prune(sync);
    return DEFUPD_OK;
}

/* --- what is told --- */

static void note_success(const struct du_sync *sync, struct du_relay_figures *figures)
{
    const struct du_trust *trust = sync->run.trust;

    figures->version = du_trust_version(trust, "timestamp");
    figures->confirmed = figures->last_success = sync->run.now;
    figures->upstream_since = 0;
    figures->expires = du_trust_expires(trust, "timestamp");
    figures->components = sync->parts;
    figures->objects = sync->object_count;
    figures->object_bytes = sync->object_bytes;
    figures->named = sync->named_count;
    figures->missing =
        sync->named_count > sync->named_here ? sync->named_count - sync->named_here : 0;
    (void)snprintf(figures->source, sizeof figures->source, "%s", sync->run.report->source);
}

/* What is trusted may be newer than what is served: then something kept us from it. */
static void note_failure(const struct du_sync *sync, struct du_relay_figures *figures)
{
    const uint64_t known =
        sync->run.trust != NULL ? du_trust_version(sync->run.trust, "timestamp") : 0;

    if (known > figures->version && figures->upstream_since == 0)
        figures->upstream_since = sync->run.now;
}

/* A report must not fail a sync. */
static void write_figures(struct du_sync *sync, defupd_code rc, const defupd_error *failed)
{
    const struct du_sys *sys = sync->run.ctx->sys;
    struct du_relay_figures figures;
    defupd_error why = { 0 };

    if (sync->dirs.top < 0)
        return;
    if (du_relay_figures_load(&figures, sys, sync->dirs.top, &why) != DEFUPD_OK)
        du_log(&sync->run.ctx->events, DEFUPD_LEVEL_WARNING, "relay", "%s", why.message);
    figures.mode = sync->relay->options.mode;
    figures.last_sync = sync->run.now;
    figures.last_error = rc;
    (void)snprintf(figures.last_error_text, sizeof figures.last_error_text, "%s",
                   rc != DEFUPD_OK ? failed->message : "");
    if (rc == DEFUPD_OK)
        note_success(sync, &figures);
    else
        note_failure(sync, &figures);
    sync->report->version = figures.version;
    sync->report->objects = sync->named_here;
    sync->report->missing = rc == DEFUPD_OK ? figures.missing : 0;
    if (du_relay_figures_save(&figures, sys, sync->dirs.top, &why) != DEFUPD_OK)
        du_log(&sync->run.ctx->events, DEFUPD_LEVEL_WARNING, "relay", "%s", why.message);
}

static void tell(const struct du_sync *sync, defupd_code rc, const defupd_error *failed)
{
    const struct du_relay_report *report = sync->report;
    char text[160];

    (void)snprintf(text, sizeof text,
                   "%s, timestamp %" PRIu64 ", %" PRIu64 " objects here, %" PRIu64 " not, %" PRIu64
                   " bytes fetched, %" PRIu64 " files removed",
                   report->changed ? "updated" : "nothing new", report->version, report->objects,
                   report->missing, report->fetched, report->removed);
    du_event_send(&sync->run.ctx->events,
                  (defupd_event){ .id = rc == DEFUPD_OK ? DEFUPD_EVENT_RELAY_SUCCEEDED
                                                        : DEFUPD_EVENT_RELAY_FAILED,
                                  .code = rc,
                                  .version = report->version,
                                  .source = report->source,
                                  .bytes_done = report->fetched,
                                  .text = rc == DEFUPD_OK ? text : failed->message });
}

defupd_code du_relay_sync(struct du_relay *relay, const defupd_import *import,
                          struct du_relay_report *report, defupd_error *err)
{
    const defupd_request request = DEFUPD_REQUEST_INIT;
    DU_AUTO(sync_end)
    struct du_sync sync = { .run = { .kind = import != NULL ? DU_RUN_IMPORT : DU_RUN_DOWNLOAD,
                                     .from = import,
                                     .trust_dir = -1 },
                            .relay = relay,
                            .report = report,
                            .dirs = DU_RELAY_DIRS };
    defupd_code rc;

    *report = (struct du_relay_report){ 0 };
    du_event_send(&relay->ctx.events, (defupd_event){ .id = DEFUPD_EVENT_RELAY_REQUESTED });
    rc = du_run_begin(&sync.run, &relay->ctx, &request, err);
    if (rc == DEFUPD_OK)
        rc = work(&sync, err);
    if (sync.run.report != NULL) {
        du_run_phase(&sync.run, DEFUPD_PHASE_NONE, NULL, 0);
        report->fetched = sync.run.report->fetched;
        (void)snprintf(report->source, sizeof report->source, "%s", sync.run.report->source);
    }
    write_figures(&sync, rc, err);
    tell(&sync, rc, err);
    return rc;
}
