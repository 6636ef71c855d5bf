/* SPDX-License-Identifier: Apache-2.0 */
/* What is installed and known, read from the store alone. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/scope.h"
#include "base/when.h"
#include "crypto/crypto.h"
#include "sys/disk.h"
#include "update/run.h"

struct status_row {
    defupd_component_status status; /* its strings point below */
    char name[DU_NAME_MAX + 1];
    char label[DU_LABEL_MAX + 1];
    char tree[DU_SHA256_HEX + 1];
    char error_text[DEFUPD_ERROR_MESSAGE_MAX];
    char source[256];
    char notice[256];
    char path_text[192];
    char *path;
};

struct defupd_status {
    defupd_store_status store;
    char *state_dir;
    char uuid[37];
    char reason[32];
    struct status_row **row;
    uint32_t count;
};

const defupd_store_status *defupd_status_store(const defupd_status *status)
{
    return &status->store;
}

uint32_t defupd_status_count(const defupd_status *status)
{
    return status->count;
}

const defupd_component_status *defupd_status_at(const defupd_status *status, uint32_t index)
{
    return index < status->count ? &status->row[index]->status : NULL;
}

void defupd_status_free(defupd_status *status)
{
    if (status == NULL)
        return;
    for (uint32_t i = 0; i < status->count; i++) {
        free(status->row[i]->path);
        free(status->row[i]);
    }
    free(status->row);
    free(status->state_dir);
    free(status);
}

const char *defupd_state_name(defupd_state state)
{
    switch (state) {
    case DEFUPD_STATE_NEVER: return "never";
    case DEFUPD_STATE_UPDATING: return "updating";
    case DEFUPD_STATE_FRESH: return "fresh";
    case DEFUPD_STATE_DUE: return "due";
    case DEFUPD_STATE_STALE: return "stale";
    case DEFUPD_STATE_FAILING: return "failing";
    case DEFUPD_STATE_HELD: return "held";
    case DEFUPD_STATE_TRIAL: return "trial";
    case DEFUPD_STATE_QUARANTINED: return "quarantined";
    case DEFUPD_STATE_WITHDRAWN: return "withdrawn";
    case DEFUPD_STATE_UNLICENSED: return "unlicensed";
    case DEFUPD_STATE_DISABLED: return "disabled";
    }
    return "unknown";
}

/* RFC 9562 version 8: our own bits, so that host-id itself (which decides cohorts) stays private.
 */
static void make_uuid(char out[37], const unsigned char id[DU_HOST_ID_BYTES])
{
    unsigned char h[DU_SHA256_BYTES];

    du_hmac_sha256(h, id, DU_HOST_ID_BYTES, "uuid", 4);
    h[6] = (unsigned char)((h[6] & 0x0f) | 0x80);
    h[8] = (unsigned char)((h[8] & 0x3f) | 0x80);
    (void)snprintf(out, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
                   h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7], h[8], h[9], h[10], h[11], h[12],
                   h[13], h[14], h[15]);
}

static defupd_code add_row(defupd_status *status, const char *name, struct status_row **out,
                           defupd_error *err)
{
    struct status_row **rows = realloc(status->row, (status->count + 1) * sizeof *rows);
    struct status_row *row = calloc(1, sizeof *row);
    uint32_t at = 0;

    if (rows != NULL)
        status->row = rows;
    if (rows == NULL || row == NULL) {
        free(row);
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a status");
    }
    (void)snprintf(row->name, sizeof row->name, "%s", name);
    row->status = (defupd_component_status){ .struct_size = (uint32_t)sizeof row->status,
                                             .name = row->name,
                                             .label = row->label,
                                             .tree = row->tree,
                                             .error_text = row->error_text,
                                             .source = row->source,
                                             .path = "",
                                             .notice = row->notice,
                                             .path_text = row->path_text };
    while (at < status->count && strcmp(rows[at]->name, name) < 0)
        at++;
    memmove(rows + at + 1, rows + at, (status->count - at) * sizeof *rows);
    rows[at] = row;
    status->count++;
    *out = row;
    return DEFUPD_OK;
}

static bool has_row(const defupd_status *status, const char *name)
{
    for (uint32_t i = 0; i < status->count; i++) {
        if (strcmp(status->row[i]->name, name) == 0)
            return true;
    }
    return false;
}

static int64_t get_time(const struct du_fact *fact, const char *key)
{
    uint64_t value = 0;

    return du_fact_get_u64(fact, key, &value) && value <= INT64_MAX ? (int64_t)value : 0;
}

static int32_t get_code(const struct du_fact *fact)
{
    char text[16];

    return du_fact_get(fact, "last-error", text, sizeof text) != NULL
               ? (int32_t)strtol(text, NULL, 10)
               : 0;
}

/* "1003 delta from 1002, ...": of another version it says nothing (that one was rolled back to). */
static void read_path(const struct du_fact *fact, struct status_row *row)
{
    char text[256], version[DU_VERSION_TEXT];
    size_t len;

    if (du_fact_get(fact, "path", text, sizeof text) == NULL)
        return;
    (void)snprintf(version, sizeof version, "%" PRIu64, row->status.version);
    len = strlen(version);
    if (strncmp(text, version, len) == 0 && text[len] == ' ')
        (void)snprintf(row->path_text, sizeof row->path_text, "%s", text + len + 1);
}

static void read_attempt(const struct du_run *run, struct status_row *row)
{
    DU_AUTO_FACT fact = { 0 };
    defupd_component_status *status = &row->status;
    uint64_t failures = 0;

    if (du_store_fact_read(&run->ctx->store, DU_FACT_SCHEDULE, row->name, &fact) != DU_FACT_READ)
        return;
    status->last_error = get_code(&fact);
    status->last_attempt = get_time(&fact, "last-attempt");
    status->last_success = get_time(&fact, "last-success");
    status->next_attempt = get_time(&fact, "next-attempt");
    (void)du_fact_get_u64(&fact, "failures", &failures);
    status->failures = failures > UINT32_MAX ? UINT32_MAX : (uint32_t)failures;
    (void)du_fact_get(&fact, "error-text", row->error_text, sizeof row->error_text);
    (void)du_fact_get(&fact, "source", row->source, sizeof row->source);
    read_path(&fact, row);
}

static void read_holds(const struct du_run *run, struct status_row *row)
{
    DU_AUTO_FACT fact = { 0 };
    defupd_component_status *status = &row->status;
    char when[32];

    switch (du_store_fact_read(&run->ctx->store, DU_FACT_HOLD, row->name, &fact)) {
    case DU_FACT_ABSENT: return;
    case DU_FACT_UNREADABLE:
        status->holds = DEFUPD_HOLD_UNREADABLE | DEFUPD_HOLD_HELD;
        (void)snprintf(row->notice, sizeof row->notice,
                       "its hold cannot be read and counts as held; 'defupd unhold %s' removes it",
                       row->name);
        return;
    case DU_FACT_READ: break;
    }
    /* A skip that a newer version has left behind keeps nothing away. */
    if (du_fact_get_u64(&fact, "skip", &status->skip_version) &&
        status->skip_version > status->version) {
        status->holds |= DEFUPD_HOLD_SKIP;
        (void)snprintf(row->notice, sizeof row->notice,
                       "%" PRIu64 " is skipped since a rollback; 'defupd update %s@%" PRIu64
                       "' takes it",
                       status->skip_version, row->name, status->skip_version);
    }
    if (du_fact_get_u64(&fact, "pin", &status->pin_version)) {
        status->holds |= DEFUPD_HOLD_PINNED;
        (void)snprintf(row->notice, sizeof row->notice,
                       "pinned to %" PRIu64 "; 'defupd unhold %s' releases it", status->pin_version,
                       row->name);
    }
    if (du_fact_get(&fact, "hold", when, sizeof when) != NULL) {
        status->holds |= DEFUPD_HOLD_HELD;
        (void)snprintf(row->notice, sizeof row->notice, "held; 'defupd unhold %s' releases it",
                       row->name);
    }
}

/* What policy holds, no command on this host releases. */
static void read_rule(const struct du_run *run, struct status_row *row)
{
    const defupd_rule *rule = du_rule_of(run->ctx->options, row->name);
    defupd_component_status *status = &row->status;

    if (rule->pin_version != 0) {
        status->holds |= DEFUPD_HOLD_PINNED | DEFUPD_HOLD_POLICY;
        status->pin_version = rule->pin_version;
        (void)snprintf(row->notice, sizeof row->notice, "pinned to %" PRIu64 " by policy",
                       rule->pin_version);
    }
    if ((rule->flags & DEFUPD_RULE_HELD) != 0) {
        status->holds |= DEFUPD_HOLD_HELD | DEFUPD_HOLD_POLICY;
        (void)snprintf(row->notice, sizeof row->notice, "held by policy");
    }
}

/* When the installed version became active: the oldest of the generations, from the current one
 * back, that all have it. */
static int64_t active_since(const struct du_run *run, const struct du_member *member)
{
    DU_AUTO_FREE uint64_t *number = NULL;
    defupd_error ignored = { 0 };
    int64_t since = run->current.made;
    size_t count = 0;

    if (du_store_generations(&run->ctx->store, &number, &count, &ignored) != DEFUPD_OK)
        return since;
    for (size_t i = count; i > 0; i--) {
        DU_AUTO_GENERATION generation = { 0 };
        const struct du_member *had;

        if (number[i - 1] >= run->current.number)
            continue;
        if (du_store_generation(&run->ctx->store, number[i - 1], &generation, &ignored) !=
            DEFUPD_OK)
            break;
        had = du_generation_find(&generation, member->component);
        if (had == NULL || had->version != member->version)
            break;
        since = generation.made;
    }
    return since;
}

static defupd_code read_installed(const struct du_run *run, const struct du_member *member,
                                  struct status_row *row, defupd_error *err)
{
    DU_AUTO_RECORD record = { 0 };
    defupd_error ignored = { 0 };

    row->status.version = member->version;
    row->status.published = member->published;
    row->status.installed = active_since(run, member);
    memcpy(row->label, member->label, sizeof row->label);
    du_hex(row->tree, member->tree, DU_SHA256_BYTES);
    if (du_store_record(&run->ctx->store, member->component, member->version, &record, &ignored) ==
        DEFUPD_OK) {
        row->status.size = record.index.bytes;
        row->status.files = record.index.count;
    }
    if (asprintf(&row->path, "%s/current/%s", run->ctx->store.path, member->component) < 0) {
        row->path = NULL;
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a status");
    }
    row->status.path = row->path;
    return DEFUPD_OK;
}

/* What a state is decided from, beside the status itself. */
struct finding {
    bool disabled, withdrawn, unlicensed, damaged, quarantined, trial;
};

/* The first thing that is said stays: it is the stronger one. */
__attribute__((format(printf, 2, 3))) static void say_notice(struct status_row *row,
                                                             const char *format, ...)
{
    va_list args;

    if (row->notice[0] != '\0')
        return;
    va_start(args, format);
    (void)vsnprintf(row->notice, sizeof row->notice, format, args);
    va_end(args);
    row->notice[du_utf8_prefix(row->notice, strlen(row->notice))] = '\0';
}

/* Of the policy's class, else of the one that the newest release states. */
static void read_licence(const struct du_run *run, struct status_row *row,
                         const struct du_release *newest, struct finding *finding)
{
    const defupd_client_options *options = run->ctx->options;
    const defupd_rule *rule = du_rule_of(options, row->name);
    const char *class = rule->licence != NULL ? rule->licence
                        : newest != NULL      ? newest->licence_class
                                              : "";

    finding->unlicensed = !du_plan_licensed(options->licences, class, run->now);
    if (finding->unlicensed)
        say_notice(row, "the licence of class '%s' is missing or has expired; nothing new is taken",
                   class);
}

/* A manifest that lists releases, and all that we understand are withdrawn. */
static bool is_all_withdrawn(const struct du_manifest *manifest)
{
    bool any = false;

    for (size_t i = 0; i < manifest->count; i++) {
        if (manifest->release[i].requires == NULL && !manifest->release[i].withdrawn)
            return false;
        any = any || manifest->release[i].requires == NULL;
    }
    return any;
}

static const struct du_release *newest_of(const struct du_manifest *manifest)
{
    for (size_t i = 0; i < manifest->count; i++) {
        if (!manifest->release[i].withdrawn && manifest->release[i].requires == NULL)
            return &manifest->release[i];
    }
    return NULL;
}

/* What the verified manifest says of it, when there is one. */
static void read_manifest(struct du_run *run, struct status_row *row, struct finding *finding)
{
    DU_AUTO_MANIFEST *manifest = NULL;
    const struct du_release *installed = NULL, *newest = NULL;
    defupd_error ignored = { 0 };

    if (run->trust != NULL && du_bind_manifest(run, row->name, &manifest, &ignored) == DEFUPD_OK) {
        newest = newest_of(manifest);
        installed = du_manifest_find(manifest, row->status.version); /* none is 0 */
    }
    if (newest != NULL)
        row->status.available = newest->version;
    if (installed != NULL && installed->withdrawn) {
        finding->withdrawn = true;
        (void)snprintf(row->notice, sizeof row->notice, "%" PRIu64 " is withdrawn%s%s",
                       installed->version, installed->withdrawn_reason != NULL ? ": " : "",
                       installed->withdrawn_reason != NULL ? installed->withdrawn_reason : "");
    } else if (row->status.version == 0 && manifest != NULL && is_all_withdrawn(manifest)) {
        finding->withdrawn = true;
        say_notice(row, "all its releases are withdrawn");
    }
    read_licence(run, row, newest != NULL ? newest : installed, finding);
}

static bool is_on_disk(const struct du_run *run, const struct status_row *row)
{
    DU_AUTO_FREE uint64_t *version = NULL;
    defupd_error ignored = { 0 };
    size_t count = 0;

    if (du_store_versions(&run->ctx->store, row->name, &version, &count, &ignored) != DEFUPD_OK)
        return true;
    for (size_t i = 0; i < count; i++) {
        if (version[i] == row->status.version)
            return true;
    }
    return false;
}

/* Files of the installed version were found damaged, and nobody has repaired them yet; or it is
 * gone altogether. */
static void read_damage(const struct du_run *run, struct status_row *row, struct finding *finding)
{
    DU_AUTO(du_distrust_free) struct du_distrust distrust = { 0 };
    defupd_error ignored = { 0 };

    if (row->status.version == 0 ||
        du_distrust_read(run, row->name, &distrust, &ignored) != DEFUPD_OK ||
        (!du_distrust_has_version(&distrust, row->status.version) && is_on_disk(run, row)))
        return;
    finding->damaged = true;
    row->status.last_error = DEFUPD_E_DAMAGED;
    (void)snprintf(row->error_text, sizeof row->error_text,
                   "files of %s %" PRIu64 " are damaged; 'defupd verify --repair' mends them",
                   row->name, row->status.version);
}

/* Is the newest release one that this host refuses? */
static void read_quarantine(const struct du_run *run, struct status_row *row,
                            struct finding *finding)
{
    const uint64_t newest = row->status.available;
    char why[400], version[DU_VERSION_TEXT + 1];
    const char *cause = "";
    DU_AUTO_FACT fact = { 0 };

    if (newest == 0 || newest == row->status.version ||
        du_store_fact_read(&run->ctx->store, DU_FACT_QUARANTINE, row->name, &fact) !=
            DU_FACT_READ ||
        !du_quarantine_has(&fact, newest))
        return;
    finding->quarantined = true;
    (void)snprintf(version, sizeof version, "%" PRIu64 " ", newest);
    if (du_fact_get(&fact, "why", why, sizeof why) != NULL &&
        strncmp(why, version, strlen(version)) == 0)
        cause = why + strlen(version);
    say_notice(row, "%" PRIu64 " is in quarantine%s%.120s", newest, cause[0] != '\0' ? ": " : "",
               cause);
}

/* Nothing newer is known to be so, however well it was looked for. */
static void read_expiry(const struct du_run *run, struct status_row *row)
{
    static const char *const roles[] = { "timestamp", "snapshot", "targets" };
    char when[DU_TIME_TEXT];
    int64_t first = 0;

    for (size_t i = 0; run->trust != NULL && i < sizeof roles / sizeof roles[0]; i++) {
        const int64_t expires = du_trust_expires(run->trust, roles[i]);
        if (expires != 0 && (first == 0 || expires < first))
            first = expires;
    }
    if (row->status.version == 0 || first == 0 || first > run->now)
        return;
    du_time_format(when, first);
    say_notice(row, "its metadata expired at %s: no source has told since whether there is news",
               when);
}

/* --- time --- */

/* So long ago; -1 for what is in the future by more than clocks may differ: it says nothing. */
static int64_t age_of(const struct du_run *run, int64_t when)
{
    if (when > run->now)
        return when - run->now <= DU_CLOCK_SLACK_S ? 0 : -1;
    return run->now - when;
}

static bool is_stale(const struct du_run *run, const defupd_component_status *status)
{
    const uint64_t most = du_rule_of(run->ctx->options, status->name)->max_age_s;
    const int64_t since = status->last_success != 0 ? status->last_success : status->installed;

    return most != 0 && status->version != 0 && age_of(run, since) >= 0 &&
           (uint64_t)age_of(run, since) > most;
}

/* One poll that met a source in a bad moment is no alarm: the next one is not far. What no source
 * is to blame for is told at once. */
static bool is_failing(const struct du_run *run, const defupd_component_status *status)
{
    const uint64_t interval = run->ctx->options->interval_s;
    const defupd_code code = (defupd_code)status->last_error;
    uint64_t two;

    if (code == DEFUPD_OK)
        return false;
    if (interval == 0 || status->version == 0 || status->last_success == 0 ||
        (!du_code_next_source(code) && defupd_code_group(code) != DEFUPD_GROUP_LATER))
        return true;
    if (!du_add(interval, interval, &two))
        two = UINT64_MAX;
    return age_of(run, status->last_success) < 0 ||
           (uint64_t)age_of(run, status->last_success) >= two;
}

static bool is_due(const struct du_run *run, const defupd_component_status *status)
{
    const uint64_t interval = run->ctx->options->interval_s;
    const uint64_t slack = interval / 4 > 60 ? interval / 4 : 60;
    uint64_t least = slack;
    int64_t age;

    if (interval == 0)
        return false;
    if (status->next_attempt != 0) {
        age = status->next_attempt > run->now ? 0 : run->now - status->next_attempt;
        return (uint64_t)age > slack;
    }
    age = age_of(run, status->last_attempt);
    return status->last_attempt == 0 ||
           (du_add(interval, slack, &least) && age >= 0 && (uint64_t)age > least);
}

/* The gravest first: what is not looked after, what must not stay as it is, what does not work,
 * what is kept back, what is late. */
static defupd_state decide_state(const struct du_run *run, const defupd_component_status *status,
                                 const struct finding *finding, bool busy)
{
    if (finding->disabled)
        return DEFUPD_STATE_DISABLED;
    if (busy)
        return DEFUPD_STATE_UPDATING;
    if (finding->withdrawn)
        return DEFUPD_STATE_WITHDRAWN;
    if (finding->unlicensed)
        return DEFUPD_STATE_UNLICENSED;
    if (finding->damaged)
        return DEFUPD_STATE_FAILING;
    if (is_stale(run, status))
        return DEFUPD_STATE_STALE;
    if (finding->quarantined &&
        (status->last_error == DEFUPD_OK || status->last_error == DEFUPD_E_VALIDATION ||
         status->last_error == DEFUPD_E_TRIAL))
        return DEFUPD_STATE_QUARANTINED;
    if (is_failing(run, status))
        return DEFUPD_STATE_FAILING;
    if (finding->trial)
        return DEFUPD_STATE_TRIAL;
    if ((status->holds & (DEFUPD_HOLD_HELD | DEFUPD_HOLD_PINNED)) != 0)
        return DEFUPD_STATE_HELD;
    if (status->version == 0)
        return DEFUPD_STATE_NEVER;
    return is_due(run, status) ? DEFUPD_STATE_DUE : DEFUPD_STATE_FRESH;
}

static defupd_code fill_row(struct du_run *run, defupd_status *status, const char *name,
                            defupd_error *err)
{
    const struct du_member *member = du_generation_find(&run->current, name);
    struct status_row *row = NULL;
    struct finding finding = { .disabled = du_rule_disabled(run->ctx->options, name),
                               .trial = du_trial_awaits(run, name) };

    if (has_row(status, name))
        return DEFUPD_OK;
    DU_TRY(add_row(status, name, &row, err));
    if (member != NULL)
        DU_TRY(read_installed(run, member, row, err));
    read_attempt(run, row);
    read_holds(run, row);
    read_rule(run, row);
    read_manifest(run, row, &finding);
    read_damage(run, row, &finding);
    read_quarantine(run, row, &finding);
    if (finding.trial)
        say_notice(row, "on trial until 'defupd confirm %s', or 'defupd reject %s'", name, name);
    read_expiry(run, row);
    row->status.state =
        (int32_t)decide_state(run, &row->status, &finding, status->store.busy_pid != 0);
    return DEFUPD_OK;
}

struct offer {
    struct du_run *run;
    defupd_status *status;
    defupd_code rc;
    defupd_error *err;
};

static void offered(void *user, const char *name)
{
    struct offer *offer = user;

    if (offer->rc == DEFUPD_OK)
        offer->rc = fill_row(offer->run, offer->status, name, offer->err);
}

/* A hold or pin may come before the component; a mistyped one is seen here. */
static defupd_code fill_held(struct du_run *run, defupd_status *status, defupd_error *err)
{
    DU_AUTO_NAMES held = { 0 };
    defupd_error why = { 0 };

    if (du_store_fact_names(&run->ctx->store, DU_FACT_HOLD, &held, &why) == DEFUPD_E_NOMEM)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a status");
    for (size_t i = 0; i < held.count; i++)
        DU_TRY(fill_row(run, status, held.item[i], err));
    return DEFUPD_OK;
}

static defupd_code fill_rows(struct du_run *run, defupd_status *status, defupd_error *err)
{
    const char *const *list = run->ctx->options->components;
    const defupd_rule *const *rule = run->ctx->options->rules;

    for (; rule != NULL && *rule != NULL; rule++)
        DU_TRY(fill_row(run, status, (*rule)->component, err));
    for (size_t i = 0; i < run->current.count; i++)
        DU_TRY(fill_row(run, status, run->current.member[i].component, err));
    for (; list != NULL && *list != NULL; list++)
        DU_TRY(fill_row(run, status, *list, err));
    if (run->ctx->options->components == NULL && run->trust != NULL) {
        struct offer offer = { run, status, DEFUPD_OK, err };
        DU_TRY(du_trust_components(run->trust, offered, &offer, err));
        DU_TRY(offer.rc);
    }
    return fill_held(run, status, err);
}

static defupd_code fill_store(struct du_run *run, defupd_status *status, defupd_error *err)
{
    const struct du_store *store = &run->ctx->store;
    unsigned char id[DU_HOST_ID_BYTES];
    DU_AUTO_FACT fact = { 0 };

    status->state_dir = strdup(store->path);
    if (status->state_dir == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a status");
    memcpy(status->reason, run->current.reason, sizeof status->reason);
    status->store = (defupd_store_status){ .struct_size = (uint32_t)sizeof status->store,
                                           .generation = run->current.number,
                                           .parent = run->current.parent,
                                           .activated = run->current.made,
                                           .busy_pid = du_store_busy(store),
                                           .state_dir = status->state_dir,
                                           .uuid = status->uuid,
                                           .reason = status->reason };
    if (du_store_host_id_peek(store, id))
        make_uuid(status->uuid, id);
    if (run->trust != NULL) {
        status->store.root_version = du_trust_version(run->trust, "root");
        status->store.timestamp_expires = du_trust_expires(run->trust, "timestamp");
    }
    if (du_store_fact_read(store, DU_FACT_SCHEDULE, "agent", &fact) == DU_FACT_READ) {
        status->store.last_error = get_code(&fact);
        status->store.last_contact = get_time(&fact, "last-contact");
        status->store.day_bytes = du_day_used(&fact, run->now);
    }
    status->store.cool_until = du_cool_until(run->ctx);
    if (run->trial.on) {
        const uint64_t *number = run->trial.number;

        status->store.trial_s = number[DU_TRIAL_LEFT] > 0 ? number[DU_TRIAL_LEFT] : 1;
        if (number[DU_TRIAL_STARTS] < number[DU_TRIAL_MOST])
            status->store.trial_starts = number[DU_TRIAL_MOST] - number[DU_TRIAL_STARTS];
    }
    return DEFUPD_OK;
}

defupd_code du_status(struct du_context *ctx, defupd_status **out, defupd_error *err)
{
    static const defupd_request none = DEFUPD_REQUEST_INIT;
    DU_AUTO(du_run_end)
    struct du_run run = { .kind = DU_RUN_INSTALL, .trust_dir = -1, .read_only = true };
    defupd_status *status;
    defupd_code rc;

    DU_TRY(du_run_begin(&run, ctx, &none, err));
    DU_TRY(du_bind_trust_if_sound(&run, err)); /* without one there is less to tell */
    status = calloc(1, sizeof *status);
    if (status == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a status");
    rc = fill_store(&run, status, err);
    if (rc == DEFUPD_OK)
        rc = fill_rows(&run, status, err);
    if (rc != DEFUPD_OK) {
        defupd_status_free(status);
        return rc;
    }
    *out = status;
    return DEFUPD_OK;
}
