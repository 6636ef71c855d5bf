/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of steps of one update:
 *
 *   lock -> sources in order -> trust -> manifests -> plan -> fetch -> stage -> activate -> sweep
 *
 * A failure at any step leaves `current` as it was. A source at fault is left for the next one. One
 * component's failure does not keep the others. Each outcome is told once: event, report, facts.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/scope.h"
#include "base/when.h"
#include "update/run.h"

/* --- which components --- */

static struct du_part *find_part(struct du_run *run, const char *name)
{
    for (size_t i = 0; i < run->parts; i++) {
        if (strcmp(run->part[i].name, name) == 0)
            return &run->part[i];
    }
    return NULL;
}

static defupd_code add_part(struct du_run *run, const char *name, uint64_t named, bool asked,
                            defupd_error *err)
{
    struct du_part *part = find_part(run, name);

    if (part == NULL) {
        part = realloc(run->part, (run->parts + 1) * sizeof *part);
        if (part == NULL)
            return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a run");
        run->part = part;
        part = &run->part[run->parts];
        *part = (struct du_part){ 0 };
        (void)snprintf(part->name, sizeof part->name, "%s", name);
        DU_TRY(du_report_add(run->report, name, &part->row, err));
        run->parts++;
    }
    if (named != 0)
        part->named = named;
    part->asked = part->asked || asked;
    return DEFUPD_OK;
}

/* What policy has switched off is only looked at, to refuse it, when somebody names it. */
static defupd_code add_enabled(struct du_run *run, const char *name, bool asked, defupd_error *err)
{
    return du_rule_disabled(run->ctx->options, name) ? DEFUPD_OK
                                                     : add_part(run, name, 0, asked, err);
}

struct offer {
    struct du_run *run;
    defupd_code rc;
    defupd_error *err;
};

static void offered(void *user, const char *name)
{
    struct offer *offer = user;

    if (offer->rc == DEFUPD_OK)
        offer->rc = add_enabled(offer->run, name, false, offer->err);
}

/* The request's, else the options', else those with a rule and all that the repository offers;
 * installed ones always. */
static defupd_code choose_parts(struct du_run *run, defupd_error *err)
{
    const defupd_client_options *options = run->ctx->options;
    const char *const *list = run->request->components;
    const defupd_rule *const *rule;

    if (list != NULL) {
        for (; *list != NULL; list++) {
            char name[DU_NAME_MAX + 1];
            uint64_t version;

            if (!du_component_parse(*list, name, &version))
                return DU_FAIL(err, DEFUPD_E_INVALID,
                               "'%s' is not a component's name, nor NAME@VERSION", *list);
            DU_TRY(add_part(run, name, version, true, err));
        }
        return DEFUPD_OK;
    }
    for (list = options->components; list != NULL && *list != NULL; list++)
        DU_TRY(add_enabled(run, *list, true, err));
    if (options->components == NULL) {
        for (rule = options->rules; rule != NULL && *rule != NULL; rule++)
            DU_TRY(add_enabled(run, (*rule)->component, true, err));
    }
    if (options->components == NULL && run->trust != NULL) {
        struct offer offer = { run, DEFUPD_OK, err };
        DU_TRY(du_trust_components(run->trust, offered, &offer, err));
        DU_TRY(offer.rc);
    }
    for (size_t i = 0; i < run->current.count; i++)
        DU_TRY(add_enabled(run, run->current.member[i].component, false, err));
    return DEFUPD_OK;
}

/* --- trust and manifests --- */

static defupd_code check_clock(const struct du_run *run, const struct du_part *part,
                               defupd_error *err)
{
    const int64_t floor = part->manifest != NULL ? du_manifest_clock_floor(part->manifest) : 0;
    char now[DU_TIME_TEXT], least[DU_TIME_TEXT];

    if (run->now + DU_CLOCK_SLACK_S >= floor)
        return DEFUPD_OK;
    du_time_format(now, run->now);
    du_time_format(least, floor);
    return DU_FAIL(err, DEFUPD_E_CLOCK,
                   "this machine's clock says %s, but a verified release of %s was published at %s",
                   now, part->name, least);
}

/* Some failures are the whole machine's or a person's wish: the next component would only meet them
 * again, and a set of which some parts found room and others did not is nothing that anybody asked
 * for. */
static bool ends_the_run(defupd_code rc)
{
    return rc == DEFUPD_E_CANCELLED || rc == DEFUPD_E_NOMEM || rc == DEFUPD_E_BUG ||
           rc == DEFUPD_E_IO || rc == DEFUPD_E_NO_SPACE || rc == DEFUPD_E_CANNOT_CREATE;
}

/* One component's manifest and plan. Its own failures go into its row; what is the source's fault
 * is returned. */
static defupd_code load_part(struct du_run *run, struct du_part *part, defupd_error *err)
{
    defupd_error own = { 0 };
    defupd_code rc = du_rule_check(run, part, &own);

    if (rc == DEFUPD_OK)
        rc = du_bind_manifest(run, part->name, &part->manifest, &own);
    if (rc == DEFUPD_OK)
        rc = check_clock(run, part, &own);
    if (rc == DEFUPD_OK)
        return DEFUPD_OK;
    if (rc == DEFUPD_E_TARGET_NOT_FOUND && !part->asked) {
        part->row->item.reason = DEFUPD_REASON_NO_RELEASE;
        du_report_say(part->row, "no longer offered by the repository; what is installed stays");
        return DEFUPD_OK;
    }
    if (rc == DEFUPD_E_TARGET_NOT_FOUND)
        rc = DU_FAIL(&own, DEFUPD_E_NO_COMPONENT, "the repository offers no component '%s'",
                     part->name);
    if (du_code_next_source(rc) || ends_the_run(rc) || rc == DEFUPD_E_CLOCK) {
        *err = own;
        return rc;
    }
    du_report_fail(part->row, &own);
    return DEFUPD_OK;
}

static defupd_code load_parts(struct du_run *run, defupd_error *err)
{
    DU_TRY(choose_parts(run, err));
    for (size_t i = 0; i < run->parts; i++) {
        struct du_part *part = &run->part[i];

        DU_TRY(du_part_facts(run, part, err));
        DU_TRY(load_part(run, part, err));
    }
    run->knows_all = run->request->components == NULL && run->ctx->options->components == NULL;
    for (size_t i = 0; i < run->parts; i++)
        run->knows_all = run->knows_all && run->part[i].manifest != NULL;
    return DEFUPD_OK;
}

/* Another source may offer other components and tell other things of them. */
static void forget_parts(struct du_run *run)
{
    for (size_t i = 0; i < run->parts; i++)
        du_part_free(&run->part[i]);
    free(run->part);
    run->part = NULL;
    run->parts = 0;
    for (uint32_t i = 0; i < run->report->count; i++)
        free(run->report->row[i]);
    run->report->count = 0;
}

static defupd_code ask_source(struct du_run *run, defupd_error *err)
{
    struct du_refresh_io io;
    struct du_refresh_options options;
    bool unchanged;

    du_bind_io(run, &io);
    du_bind_options(run, &options);
    DU_TRY(du_refresh_cycle(run->trust, &io, &options, &unchanged, err));
    run->contact = true;
    return load_parts(run, err);
}

static void source_failed(void *user, const char *source, const defupd_error *why)
{
    const struct du_run *run = user;

    du_event_send(&run->ctx->events, (defupd_event){ .id = DEFUPD_EVENT_SOURCE_FAILED,
                                                     .code = why->code,
                                                     .source = source,
                                                     .text = why->message });
}

/* How it went with one source, for who keeps a record of transfers. */
static void source_asked(const struct du_run *run, const char *source, defupd_code rc,
                         const defupd_error *why, uint64_t since_ms)
{
    du_event_send(&run->ctx->events,
                  (defupd_event){ .id = DEFUPD_EVENT_SOURCE_ASKED,
                                  .code = rc,
                                  .phase = DEFUPD_PHASE_METADATA,
                                  .bytes_done = run->done,
                                  .source = source,
                                  .text = rc != DEFUPD_OK ? why->message : NULL,
                                  .duration_ms = run->ctx->sys->monotonic_ms() - since_ms });
}

/* How long a source that was behind is asked after the others: a mirror's usual lag. */
#define BEHIND_S 900

/* Sources in order until one serves metadata and manifests that verify. One that asked to be left
 * alone is passed over, whoever orders; what another one failed by is then the news. */
defupd_code du_run_ask_sources(struct du_run *run, du_ask_fn ask, defupd_error *err)
{
    const size_t count = du_fetch_sources(run->fetch);
    DU_AUTO_FREE size_t *order = calloc(count + 1, sizeof *order);
    defupd_code rc = DEFUPD_OK;

    if (order == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a run");
    if (du_fetch_all_cooling(run->fetch) != 0)
        return du_fetch_cool_error(run->fetch, err);
    du_fetch_order(run->fetch, 0, order);
    for (size_t n = 0; n < count; n++) {
        const size_t i = order[n];
        const char *name = du_fetch_source_name(run->fetch, i);
        const uint64_t since_ms = run->ctx->sys->monotonic_ms();

        if (du_fetch_cooling(run->fetch, i) != 0) {
            du_log(&run->ctx->events, DEFUPD_LEVEL_INFO, "update",
                   "%s is passed over: it asked to be left alone", name);
            continue;
        }
        du_run_phase(run, DEFUPD_PHASE_METADATA, NULL, 0);
        run->source = i;
        (void)snprintf(run->report->source, sizeof run->report->source, "%s", name);
        rc = ask(run, err);
        source_asked(run, name, rc, err, since_ms);
        if (rc == DEFUPD_OK || !du_code_next_source(rc))
            return rc;
        if (strstr(err->message, name) == NULL)
            (void)du_err_prefix(err, "%s", name);
        source_failed(run, name, err);
        if (rc == DEFUPD_E_SOURCE_BEHIND)
            du_cool_aside(run, i, BEHIND_S);
        forget_parts(run);
    }
    if (du_fetch_barred(run->fetch))
        return du_err_prefix(err, "no relay will do, and servers are not to be asked");
    return rc;
}

defupd_code du_run_open_fetch(struct du_run *run, defupd_error *err)
{
    const defupd_client_options *from = run->ctx->options;
    const struct du_fetch_options options = { .sys = run->ctx->sys,
                                              .sources = from->sources,
                                              .source_list = from->source_list,
                                              .relays_only =
                                                  (from->flags & DEFUPD_CLIENT_RELAYS_ONLY) != 0,
                                              .max_bytes_per_s = from->max_bytes_per_s,
                                              .keep_alive_s = from->keep_alive_s,
                                              .retry_delay_ms = from->retry_delay_ms,
                                              .proxy = from->proxy,
                                              .ca_file = from->ca_file,
                                              .user_agent = from->user_agent,
                                              .connect_timeout_ms = from->connect_timeout_ms,
                                              .stall_timeout_ms = from->stall_timeout_ms,
                                              .total_timeout_ms = from->total_timeout_ms,
                                              .attempts = from->attempts,
                                              .tick = du_run_tick(run),
                                              .log = from->on_log,
                                              .log_user = from->log_user };

    if (from->sources == NULL || from->sources[0] == NULL)
        return DU_FAIL(err, DEFUPD_E_NO_SOURCE, "no source to update from");
    DU_TRY(du_fetch_new(&run->fetch, &options, err));
    du_fetch_on_failed(run->fetch, source_failed, run);
    return du_cool_begin(run, err);
}

/* --- an archive in the sources' place --- */

/* What a verified manifest says of an object's length; UINT64_MAX when none names it. */
static uint64_t named_bytes(void *user, const unsigned char *sha256)
{
    const struct du_run *run = user;

    for (size_t i = 0; i < run->parts; i++) {
        const struct du_manifest *manifest = run->part[i].manifest;

        for (size_t r = 0; manifest != NULL && r < manifest->count; r++) {
            const struct du_release *release = &manifest->release[r];

            if (memcmp(release->full.sha256, sha256, DU_SHA256_BYTES) == 0)
                return release->full.bytes;
            for (size_t d = 0; d < release->deltas; d++) {
                if (memcmp(release->delta[d].sha256, sha256, DU_SHA256_BYTES) == 0)
                    return release->delta[d].bytes;
            }
        }
    }
    return UINT64_MAX;
}

static defupd_code ask_archive(struct du_run *run, defupd_error *err)
{
    const struct du_tick tick = du_run_tick(run);

    DU_TRY(du_import_open(&run->import, run->ctx->sys, run->from, &tick, err));
    DU_TRY(du_bind_trust(run, err));
    DU_TRY(ask_source(run, err));
    return du_import_scan(run->import, named_bytes, run, err);
}

static defupd_code learn_from_archive(struct du_run *run, defupd_error *err)
{
    const char *name = run->from->path;
    const uint64_t since_ms = run->ctx->sys->monotonic_ms();
    defupd_code rc;

    du_run_phase(run, DEFUPD_PHASE_METADATA, NULL, 0);
    (void)snprintf(run->report->source, sizeof run->report->source, "%s", name);
    rc = ask_archive(run, err);
    if (rc == DEFUPD_E_NOT_FOUND)
        rc = DU_FAIL(err, DEFUPD_E_ARCHIVE, "%s", err->message);
    if (rc != DEFUPD_OK && !ends_the_run(rc) && strstr(err->message, name) == NULL)
        (void)du_err_prefix(err, "%s", name);
    source_asked(run, name, rc, err, since_ms);
    return rc;
}

/* An archive that was made for another host, or for what this one had before: that nothing can be
 * done with it is no quiet success. */
static void blame_archive(struct du_run *run)
{
    for (size_t i = 0; run->import != NULL && i < run->parts; i++) {
        const struct du_part *part = &run->part[i];
        defupd_error own = { 0 };

        if (part->plan.target != NULL || part->plan.reason != DEFUPD_REASON_NO_OBJECT)
            continue;
        if (part->installed != 0)
            (void)DU_FAIL(&own, DEFUPD_E_ARCHIVE,
                          "%s leads from %s %" PRIu64 " to no newer release: it was not made for "
                          "what this host has",
                          run->from->path, part->name, part->installed);
        else
            (void)DU_FAIL(&own, DEFUPD_E_ARCHIVE,
                          "%s holds no full bundle of %s, and none is installed", run->from->path,
                          part->name);
        part->row->item.code = DEFUPD_OK; /* what the plan says of it does not help here */
        du_report_fail(part->row, &own);
    }
}

static defupd_code learn(struct du_run *run, defupd_error *err)
{
    if (run->kind == DU_RUN_IMPORT)
        return learn_from_archive(run, err);
    if (run->kind != DU_RUN_INSTALL)
        DU_TRY(du_run_open_fetch(run, err));
    DU_TRY(du_bind_trust(run, err));
    return run->kind == DU_RUN_INSTALL ? load_parts(run, err)
                                       : du_run_ask_sources(run, ask_source, err);
}

/* --- plan --- */

/* What each component will be at after this run, as far as is known now. */
static defupd_code fill_others(struct du_run *run, bool *changed, defupd_error *err)
{
    const size_t most = run->parts + run->current.count;
    struct du_installed *other = calloc(most + 1, sizeof *other);
    size_t count = 0;

    if (other == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a run");
    for (size_t i = 0; i < run->parts; i++) {
        const struct du_part *part = &run->part[i];
        const uint64_t version =
            part->plan.target != NULL && part->plan.reason != DEFUPD_REASON_TRIAL
                ? part->plan.target->version
                : part->installed;
        if (version != 0)
            other[count++] = (struct du_installed){ part->name, version };
    }
    for (size_t i = 0; i < run->current.count; i++) {
        const struct du_member *member = &run->current.member[i];
        if (find_part(run, member->component) == NULL)
            other[count++] = (struct du_installed){ member->component, member->version };
    }
    *changed = count != run->facts.others ||
               (count > 0 && memcmp(other, run->other, count * sizeof *other) != 0);
    free(run->other);
    run->other = other;
    run->facts.other = other;
    run->facts.others = count;
    return DEFUPD_OK;
}

/* Releases may need each other, so planning is repeated until it no longer changes anything; each
 * round can only add what the round before made possible. */
static defupd_code make_plans(struct du_run *run, defupd_error *err)
{
    bool changed = true;

    for (size_t round = 0; changed && round <= run->parts + 1; round++) {
        DU_TRY(fill_others(run, &changed, err));
        for (size_t i = 0; (changed || round == 0) && i < run->parts; i++) {
            struct du_part *part = &run->part[i];
            if (part->manifest != NULL)
                du_part_plan(run, part);
        }
        changed = changed || round == 0;
    }
    return DEFUPD_OK;
}

/* --- fetch and stage --- */

static defupd_code fetch_objects(struct du_run *run, struct du_part *part, defupd_error *err)
{
    const struct du_plan *plan = &part->plan;

    part->failed = NULL;
    for (size_t i = 0; i < plan->steps; i++) {
        DU_AUTO_FD fd = -1;
        struct du_verified_file file;

        part->failed = plan->step[i];
        DU_TRY(
            du_run_object(run, part->name, plan->step_version[i], plan->step[i], &fd, &file, err));
    }
    part->failed = NULL;
    return DEFUPD_OK;
}

static defupd_code download_part(struct du_run *run, struct du_part *part, defupd_error *err)
{
    while (fetch_objects(run, part, err) != DEFUPD_OK)
        DU_TRY(du_run_detour(run, part, err));
    if (part->row->item.progress < DEFUPD_PROGRESS_DOWNLOADED)
        part->row->item.progress = DEFUPD_PROGRESS_DOWNLOADED;
    return DEFUPD_OK;
}

static defupd_code for_each_going(struct du_run *run,
                                  defupd_code (*work)(struct du_run *, struct du_part *,
                                                      defupd_error *),
                                  defupd_error *err)
{
    for (size_t i = 0; i < run->parts; i++) {
        struct du_part *part = &run->part[i];
        defupd_error own = { 0 };
        defupd_code rc;

        if (!du_part_is_going(part))
            continue;
        rc = work(run, part, &own);
        if (rc == DEFUPD_OK)
            continue;
        du_report_fail(part->row, &own);
        if (ends_the_run(rc)) {
            *err = own;
            return rc;
        }
    }
    return DEFUPD_OK;
}

static defupd_code download_parts(struct du_run *run, defupd_error *err)
{
    uint64_t total = 0;

    for (size_t i = 0; i < run->parts; i++) {
        if (du_part_is_going(&run->part[i]) && !run->part[i].plan.on_disk) {
            total += run->part[i].plan.bytes;
            du_run_event(run, DEFUPD_EVENT_DOWNLOADING, run->part[i].row);
        }
    }
    du_run_phase(run, DEFUPD_PHASE_DOWNLOAD, NULL, total);
    return for_each_going(run, download_part, err);
}

static defupd_code stage_part(struct du_run *run, struct du_part *part, defupd_error *err)
{
    while (du_run_stage(run, part, err) != DEFUPD_OK) {
        DU_TRY(du_run_detour(run, part, err));
        if (!du_run_can_fetch(run))
            continue;
        du_run_phase(run, DEFUPD_PHASE_DOWNLOAD, NULL, part->plan.bytes);
        DU_TRY(download_part(run, part, err));
    }
    part->row->item.progress = DEFUPD_PROGRESS_STAGED;
    part->staged = part->plan.reason != DEFUPD_REASON_TRIAL;
    return DEFUPD_OK;
}

/* --- the whole --- */

static defupd_code work(struct du_run *run, defupd_error *err)
{
    DU_TRY(learn(run, err));
    DU_TRY(make_plans(run, err));
    blame_archive(run);
    if (run->kind == DU_RUN_CHECK || (run->request->flags & DEFUPD_REQUEST_DRY_RUN) != 0)
        return DEFUPD_OK;
    if (run->kind != DU_RUN_INSTALL)
        DU_TRY(download_parts(run, err));
    if (run->kind == DU_RUN_DOWNLOAD)
        return DEFUPD_OK;
    DU_TRY(for_each_going(run, stage_part, err));
    DU_TRY(for_each_going(run, du_hook_validate, err));
    return du_run_activate(run, err);
}

/* Up to date: what was meant to become active did, or a source had nothing for what is installed. A
 * download alone is not there yet, and an installation need not ask a source. */
static bool is_up_to_date(const struct du_run *run, const struct du_part *part)
{
    if (part->row->item.code != DEFUPD_OK)
        return false;
    if (part->plan.action != DEFUPD_ACTION_NONE)
        return part->row->item.progress == DEFUPD_PROGRESS_ACTIVE;
    return part->installed != 0 && du_run_can_fetch(run) && run->kind != DU_RUN_CHECK;
}

static void tell_part(struct du_run *run, struct du_part *part, defupd_code rc)
{
    struct du_report_row *row = part->row;

    const bool active = row->item.progress == DEFUPD_PROGRESS_ACTIVE;

    if (row->item.code == DEFUPD_E_NO_REPLACEMENT || part->plan.action == DEFUPD_ACTION_REMOVE)
        du_run_event(run, DEFUPD_EVENT_WITHDRAWN, row);
    /* A product that does not go on is a failure, beside an update that succeeded. */
    if (active && (row->item.code == DEFUPD_OK || row->item.code == DEFUPD_E_HOOK))
        du_run_event(run, DEFUPD_EVENT_SUCCEEDED, row);
    if (row->item.code != DEFUPD_OK)
        du_run_event(run, DEFUPD_EVENT_FAILED, row);
    else if (active)
        return;
    else if (row->item.reason == DEFUPD_REASON_WITHDRAWN)
        du_run_event(run, DEFUPD_EVENT_WITHDRAWN, row);
    else if (rc == DEFUPD_OK && !du_part_is_going(part) && !du_part_is_leaving(part))
        du_run_event(run, DEFUPD_EVENT_UNCHANGED, row);
}

/* The run's failure is also each component's that did not get its own. */
static void blame_run(struct du_run *run, const defupd_error *err)
{
    for (uint32_t i = 0; i < run->report->count; i++) {
        struct du_report_row *row = run->report->row[i];
        if (row->item.progress != DEFUPD_PROGRESS_ACTIVE)
            du_report_fail(row, err);
    }
}

/* A run that failed before it knew its components is still an attempt for those it was about. */
static void name_parts(struct du_run *run)
{
    defupd_error ignored = { 0 };

    if (run->parts > 0 || choose_parts(run, &ignored) != DEFUPD_OK)
        return;
    for (size_t i = 0; i < run->parts; i++)
        (void)!du_part_facts(run, &run->part[i], &ignored);
}

struct known {
    const char *name;
    bool found;
};

static void is_it(void *user, const char *name)
{
    struct known *known = user;

    known->found = known->found || strcmp(known->name, name) == 0;
}

/* A mistyped name is no component: nothing is kept of it. */
static bool is_known(const struct du_run *run, const struct du_part *part)
{
    const char *const *list = run->ctx->options->components;
    const defupd_rule *const *rule;
    struct known known = { part->name, part->installed != 0 };
    defupd_error ignored = { 0 };

    for (; list != NULL && *list != NULL; list++)
        is_it(&known, *list);
    for (rule = run->ctx->options->rules; rule != NULL && *rule != NULL; rule++)
        is_it(&known, (*rule)->component);
    if (run->trust != NULL)
        (void)!du_trust_components(run->trust, is_it, &known, &ignored);
    return known.found;
}

/* The run's own failure, else the first component's that counts, else the first. */
static void fill_whole(const struct du_run *run, struct du_attempt *whole)
{
    for (uint32_t i = 0; i < run->report->count; i++) {
        const struct du_report_row *row = run->report->row[i];

        if (row->item.code == DEFUPD_OK ||
            (whole->code != DEFUPD_OK && !du_attempt_counts(run, (defupd_code)row->item.code)))
            continue;
        whole->code = (defupd_code)row->item.code;
        whole->text = row->text;
        if (du_attempt_counts(run, whole->code))
            return;
    }
}

static void record(struct du_run *run, defupd_code rc, const defupd_error *err)
{
    struct du_attempt whole = {
        .at = run->now, .code = rc, .text = err->message, .source = run->report->source
    };
    const defupd_client_options *options = run->ctx->options;

    if (rc == DEFUPD_OK)
        fill_whole(run, &whole);
    whole.success = whole.code == DEFUPD_OK ? run->now : 0;
    whole.next = whole.code == DEFUPD_OK ? options->next_on_success : options->next_on_failure;
    if (whole.code != DEFUPD_OK && whole.next != 0 && run->fetch != NULL &&
        du_fetch_all_cooling(run->fetch) > whole.next)
        whole.next = du_fetch_all_cooling(run->fetch);
    for (size_t i = 0; i < run->parts; i++) {
        const struct du_part *part = &run->part[i];
        const bool active = part->row->item.progress == DEFUPD_PROGRESS_ACTIVE;

        if (!is_known(run, part))
            continue;
        const struct du_attempt own = { .at = run->now,
                                        .success = rc == DEFUPD_OK && is_up_to_date(run, part)
                                                       ? run->now
                                                       : 0,
                                        .code = part->row->item.code,
                                        .text = part->row->text,
                                        .source = run->report->source,
                                        .next = whole.next,
                                        .version = part->row->item.to_version,
                                        .path = active ? part->row->how : NULL };
        du_attempt_write(run, part->name, &own, false);
    }
    du_attempt_write(run, "agent", &whole, run->contact);
}

defupd_code du_run(struct du_context *ctx, enum du_run_kind kind, const defupd_request *request,
                   const defupd_import *import, defupd_report **report, defupd_error *err)
{
    DU_AUTO(du_run_end) struct du_run run = { .kind = kind, .from = import, .trust_dir = -1 };
    defupd_code rc;

    /* What comes of it is told by events; where it failed, the next run tries again. */
    if (kind != DU_RUN_CHECK && (request->flags & DEFUPD_REQUEST_DRY_RUN) == 0) {
        (void)!du_trial_look(ctx, DU_BACK_EXPIRED, report, err);
        defupd_report_free(du_take(report));
    }
    DU_TRY(du_run_begin(&run, ctx, request, err));
    du_run_event(&run, DEFUPD_EVENT_REQUESTED, NULL);
    rc = work(&run, err);
    du_run_phase(&run, DEFUPD_PHASE_NONE, NULL, 0);
    if (rc != DEFUPD_OK) {
        name_parts(&run);
        blame_run(&run, err);
    }
    for (size_t i = 0; i < run.parts; i++)
        tell_part(&run, &run.part[i], rc);
    record(&run, rc, err);
    du_run_sweep(&run);

    if (rc == DEFUPD_OK)
        rc = du_report_end(run.report, err);
    *report = du_take(&run.report);
    return rc;
}

/* The same decisions over the metadata in the store. A component's own failure stays in its row: it
 * is part of the answer. */
defupd_code du_explain(struct du_context *ctx, const defupd_request *request,
                       defupd_report **report, defupd_error *err)
{
    DU_AUTO(du_run_end)
    struct du_run run = { .kind = DU_RUN_CHECK, .trust_dir = -1, .read_only = true };

    DU_TRY(du_run_begin(&run, ctx, request, err));
    DU_TRY(du_bind_trust_if_sound(&run, err));
    if (run.trust == NULL || !du_store_host_id_peek(&ctx->store, run.host_id))
        return DU_FAIL(err, DEFUPD_E_NO_ROOT, "%s knows of no release yet", ctx->store.path);
    DU_TRY(load_parts(&run, err));
    DU_TRY(make_plans(&run, err));
    *report = du_take(&run.report);
    return DEFUPD_OK;
}
