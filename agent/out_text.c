/* SPDX-License-Identifier: Apache-2.0 */
/* Results for people. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "result.h"
#include "text.h"
#include "words.h"

static bool is_set(const char *text)
{
    return text != NULL && text[0] != '\0';
}

void ag_text_error(FILE *out, const defupd_error *err, bool origin)
{
    const char *advice = defupd_code_advice(err->code);

    ag_line(out, "defupd: %s",
            err->message[0] != '\0' ? err->message : defupd_code_text(err->code));
    ag_line(out, "  %d %s: %s", (int)err->code, defupd_code_name(err->code),
            advice[0] != '\0' ? advice : defupd_code_text(err->code));
    /* An internal error is always for support. */
    if (err->origin != NULL && (origin || err->code == DEFUPD_E_BUG))
        ag_line(out, "  at %s:%d, errno %d", err->origin, err->line, err->sys_errno);
}

/* True when the text already begins with the component's name. */
static bool begins_with_name(const char *text, const char *name)
{
    const size_t length = strlen(name);

    return strncmp(text, name, length) == 0 && text[length] != '\0' &&
           strchr(" :@,", text[length]) != NULL;
}

/* A run's failure is also that of each component that it did not come to: told once. */
static bool is_run_failure(const struct ag_result *result, const defupd_report_item *item)
{
    const size_t name = strlen(item->component);
    const char *message = result->err.message;

    if (item->code != result->code || !is_set(item->text))
        return false;
    return strcmp(item->text, message) == 0 ||
           (strncmp(message, item->component, name) == 0 && strncmp(message + name, ": ", 2) == 0 &&
            strcmp(item->text, message + name + 2) == 0);
}

void ag_text_errors(FILE *out, const struct ag_result *result, bool origin)
{
    const defupd_report_item *item;

    if (result->code == DEFUPD_OK)
        return;
    ag_text_error(out, &result->err, origin);
    for (uint32_t i = 0; (item = ag_item(result, i)) != NULL; i++) {
        const defupd_code code = (defupd_code)item->code;
        const char *text = is_set(item->text) ? item->text : defupd_code_text(code);
        const bool named = begins_with_name(text, item->component);

        if (code != DEFUPD_OK && !is_run_failure(result, item))
            ag_line(out, "  also %s%s%s (%d %s)", named ? "" : item->component, named ? "" : ": ",
                    text, (int)code, defupd_code_name(code));
    }
}

/* What deltas spare, against the full bundles. */
static uint64_t saved_by(const defupd_report_item *item)
{
    return item->base_version != 0 && item->code == DEFUPD_OK && item->full_bytes > item->bytes
               ? item->full_bytes - item->bytes
               : 0;
}

/* Why nothing is done; "" when there is nothing to say. */
static const char *why(char *out, size_t size, const defupd_report_item *item)
{
    const bool quiet = item->reason == DEFUPD_REASON_NONE || item->reason == DEFUPD_REASON_NEWEST;
    const char *unhold = item->reason == DEFUPD_REASON_HELD ||
                                 item->reason == DEFUPD_REASON_PINNED ||
                                 item->reason == DEFUPD_REASON_SKIPPED
                             ? "; 'defupd unhold' ends that"
                             : "";

    if (item->code != DEFUPD_OK)
        (void)snprintf(out, size, "failed: %s", defupd_code_text((defupd_code)item->code));
    else if (is_set(item->text) && !quiet)
        (void)snprintf(out, size, "%s", item->text);
    else if (quiet)
        out[0] = '\0';
    else
        (void)snprintf(out, size, "%s%s", ag_reason_text(item->reason), unhold);
    return out;
}

#define AG_SPARED (AG_AMOUNT + 24)

/* "; 1.0 MB saved by deltas" */
static const char *say_saved(char out[AG_SPARED], uint64_t saved)
{
    char amount[AG_AMOUNT];

    out[0] = '\0';
    if (saved > 0)
        (void)snprintf(out, AG_SPARED, "; %s saved by deltas", ag_bytes(amount, saved));
    return out;
}

/* What all that is planned costs. */
struct costs {
    uint32_t planned;
    uint64_t bytes, saved; /* for people: they wrap with no harm */
};

static void report_rows(struct ag_table *table, const struct ag_result *result, struct costs *costs)
{
    const defupd_report_item *item;

    for (uint32_t i = 0; (item = ag_item(result, i)) != NULL; i++) {
        const bool acts = item->action != DEFUPD_ACTION_NONE && item->code == DEFUPD_OK;
        const bool target = item->action != DEFUPD_ACTION_NONE;
        char from[AG_VERSION], to[AG_VERSION], fetch[AG_AMOUNT], reason[600];

        if (acts) {
            costs->planned++;
            costs->bytes += item->bytes;
            costs->saved += saved_by(item);
        }
        ag_table_row(table, (const char *const[]){
                                item->component,
                                ag_version_text(from, item->from_version, item->from_label),
                                target ? ag_version_text(to, item->to_version, item->to_label)
                                       : ag_version_text(to, item->newest, NULL),
                                acts ? ag_bytes(fetch, item->bytes) : "-",
                                acts ? item->how : why(reason, sizeof reason, item) });
    }
}

/* False when the run failed before it knew anything of any component. */
static bool came_to_components(const struct ag_result *result)
{
    const defupd_report_item *item;

    for (uint32_t i = 0; (item = ag_item(result, i)) != NULL; i++) {
        if (!is_run_failure(result, item))
            return true;
    }
    return result->code == DEFUPD_OK;
}

static void check_text(FILE *out, const struct ag_result *result)
{
    const char *source;
    char amount[AG_AMOUNT], spared[AG_SPARED];
    struct ag_table table;
    struct costs costs = { 0 };

    if (result->report == NULL || !came_to_components(result))
        return;
    source = defupd_report_source(result->report);
    if (defupd_report_count(result->report) == 0) {
        ag_line(out, "The repository offers no component.");
        return;
    }
    ag_table_start(
        &table, 1u << 3,
        (const char *const[]){ "COMPONENT", "INSTALLED", "AVAILABLE", "FETCH", "HOW", NULL });
    report_rows(&table, result, &costs);
    ag_table_end(&table, out);
    if (costs.planned > 0)
        ag_line(out, "%u to update, %s to fetch%s%s%s.", costs.planned,
                ag_bytes(amount, costs.bytes), is_set(source) ? " from " : "",
                is_set(source) ? source : "", say_saved(spared, costs.saved));
    else if (result->code == DEFUPD_OK)
        ag_line(out, "Nothing new%s%s.", is_set(source) ? " at " : "",
                is_set(source) ? source : "");
}

/* What was done with a component, or would be: one line; nothing when it is as it should be. */
static void done_line(FILE *out, const struct ag_result *result, const defupd_report_item *item)
{
    static const char *const done[] = { "",         "installed", "updated", "rolled back",
                                        "replaced", "removed" };
    static const char *const will[] = { "", "install", "update", "roll back", "replace", "remove" };
    const size_t act = (size_t)item->action < sizeof done / sizeof done[0] ? (size_t)item->action
                                                                           : DEFUPD_ACTION_UPDATE;
    char from[AG_VERSION], to[AG_VERSION], way[256] = "", reason[600];
    char move[2 * AG_VERSION + 8];

    if (item->code != DEFUPD_OK)
        return; /* the errors tell it */
    if (item->action == DEFUPD_ACTION_NONE) {
        if (why(reason, sizeof reason, item)[0] != '\0')
            ag_line(out, "%s: stays at %s: %s", item->component,
                    ag_version_text(from, item->from_version, item->from_label), reason);
        else if (result->args->verbose > 0 && item->from_version != 0)
            ag_line(out, "%s: stays at %s: nothing newer", item->component,
                    ag_version_text(from, item->from_version, item->from_label));
        return;
    }
    (void)ag_version_text(to, item->to_version, item->to_label);
    if (item->action == DEFUPD_ACTION_REMOVE)
        (void)ag_version_text(move, item->from_version, item->from_label);
    else if (item->from_version != 0)
        (void)snprintf(move, sizeof move, "%s -> %s",
                       ag_version_text(from, item->from_version, item->from_label), to);
    else
        (void)snprintf(move, sizeof move, "%s", to);
    if (is_set(item->how))
        (void)snprintf(way, sizeof way, " [%.240s]", item->how);
    if (item->progress == DEFUPD_PROGRESS_ACTIVE)
        ag_line(out, "%s: %s %s%s", item->component, done[act], move, way);
    else if (ag_given(result->args, AG_OPT_DRY_RUN))
        ag_line(out, "%s: would %s %s%s", item->component, will[act], move, way);
    else if (item->reason == DEFUPD_REASON_TRIAL)
        ag_line(out, "%s: staged %s%s: %s", item->component, move, way, item->text);
    else if (item->progress == DEFUPD_PROGRESS_DOWNLOADED)
        ag_line(out, "%s: downloaded %s%s", item->component, move, way);
    else
        ag_line(out, "%s: not done: %s %s", item->component, will[act], move);
}

static void update_text(FILE *out, const struct ag_result *result)
{
    const bool news = ag_result_news(result);
    uint64_t generation, fetched, saved = 0;
    char amount[AG_AMOUNT], spared[AG_SPARED];
    const defupd_report_item *item;
    const char *source;

    if (result->report == NULL)
        return;
    source = defupd_report_source(result->report);
    generation = defupd_report_generation(result->report);
    fetched = defupd_report_fetched(result->report);
    for (uint32_t i = 0; (item = ag_item(result, i)) != NULL; i++) {
        done_line(out, result, item);
        saved += item->progress == DEFUPD_PROGRESS_ACTIVE ? saved_by(item) : 0;
    }
    if (generation != 0 && fetched == 0)
        ag_line(out, "Generation %" PRIu64 " is active.", generation);
    else if (generation != 0)
        ag_line(out, "Generation %" PRIu64 " is active; %s fetched%s.", generation,
                ag_bytes(amount, fetched), say_saved(spared, saved));
    else if (news && ag_given(result->args, AG_OPT_DRY_RUN))
        ag_line(out, "Nothing was changed: dry run.");
    else if (news && result->args->command->id == AG_CMD_DOWNLOAD)
        ag_line(out, "%s fetched; 'defupd install' installs it.", ag_bytes(amount, fetched));
    else if (result->code == DEFUPD_OK && result->args->verbose > 0 && is_set(source))
        ag_line(out, "Nothing new at %s.", source);
    else if (result->code == DEFUPD_OK)
        ag_line(out, "Nothing new.");
}

static void verify_text(FILE *out, const struct ag_result *result)
{
    const char *plural = result->files == 1 ? "" : "s";

    for (size_t i = 0; i < result->damage_kept; i++) {
        const struct ag_damage *row = &result->damage[i];
        ag_line(out, "%s %" PRIu64 ": %s: %s%s", row->component, row->version, row->path, row->what,
                row->repaired ? ", repaired" : "");
    }
    if (result->damage_count > result->damage_kept)
        ag_line(out, "... and %" PRIu64 " more", result->damage_count - result->damage_kept);
    if (ag_given(result->args, AG_OPT_QUIET))
        return;
    if (result->damage_count > 0)
        ag_line(out, "%" PRIu64 " file%s read: %" PRIu64 " damaged, %" PRIu64 " repaired.",
                result->files, plural, result->damage_count, result->repaired_count);
    else if (result->code == DEFUPD_OK && result->files == 0)
        ag_line(out, "No file is installed.");
    else if (result->code == DEFUPD_OK)
        ag_line(out, "%" PRIu64 " file%s read: all as signed.", result->files, plural);
}

static void status_header(FILE *out, const defupd_store_status *store, int64_t now)
{
    char made[AG_WHEN], contact[AG_WHEN], expires[AG_WHEN];

    /* A mistyped directory looks like a store that holds nothing. */
    if (store->generation == 0 && access(store->state_dir, F_OK) != 0 && errno == ENOENT)
        ag_line(out, "Store         %s, which does not exist", store->state_dir);
    else
        ag_line(out, "Store         %s%s%s", store->state_dir, is_set(store->uuid) ? ", host " : "",
                is_set(store->uuid) ? store->uuid : "");
    if (store->generation == 0)
        ag_line(out, "Generation    none: nothing is installed");
    else
        ag_line(out, "Generation    %" PRIu64 ", made by %s %s%s", store->generation,
                is_set(store->reason) ? store->reason : "unknown",
                ag_time_and_age(made, store->activated, now),
                store->parent != 0 ? "" : ", the first");
    if (store->trial_s != 0)
        ag_line(out, "On trial      for %" PRIu64 " min of running time, %" PRIu64 " more start%s",
                (store->trial_s + 59) / 60, store->trial_starts,
                store->trial_starts == 1 ? "" : "s");
    ag_line(out, "Last contact  %s", ag_time_and_age(contact, store->last_contact, now));
    if (store->root_version == 0)
        ag_line(out, "Trust         no root is pinned");
    else if (store->timestamp_expires == 0)
        ag_line(out, "Trust         root %" PRIu64, store->root_version);
    else
        ag_line(out, "Trust         root %" PRIu64 ", timestamp %s %s", store->root_version,
                store->timestamp_expires > now ? "good until" : "expired",
                ag_time_and_age(expires, store->timestamp_expires, now));
    if (store->busy_pid != 0)
        ag_line(out, "At work       process %" PRIu64, store->busy_pid);
}

/* The agent may have read another policy than this process: it waits for a reload. */
static void agent_line(FILE *out, const struct ag_agent *agent, const char *policy_error,
                       int64_t now)
{
    const size_t kept = sizeof agent->policy_error - 1; /* it may have been cut */
    char next[AG_WHEN] = "";

    if (!agent->running) {
        ag_line(out, "Agent         %s", agent->silent ? "does not answer" : "does not run");
        return;
    }
    if (agent->next_poll > 0)
        (void)ag_age(next, agent->next_poll, now);
    ag_line(out, "Agent         process %" PRId64 "%s%s%s%s", agent->pid,
            is_set(agent->doing) ? ", at work: " : "", agent->doing,
            is_set(next) ? ", next poll " : ", no polls", next);
    if (is_set(agent->policy_error) &&
        (policy_error == NULL || strncmp(agent->policy_error, policy_error, kept) != 0))
        ag_line(out, "Policy        not valid when the agent read it: %s", agent->policy_error);
}

static void relay_lines(FILE *out, const struct ag_relay_facts *relay, int64_t now)
{
    const int64_t *n = relay->number;
    char when[AG_WHEN], bytes[AG_AMOUNT];

    if (!relay->there)
        return;
    if (n[AG_RELAY_VERSION] == 0)
        ag_line(out, "Relay         %s, has nothing to serve yet", relay->mode);
    else
        ag_line(out,
                "Relay         %s, timestamp %" PRId64 " confirmed %s, %" PRId64 " of %" PRId64
                " objects (%s)",
                relay->mode, n[AG_RELAY_VERSION], ag_age(when, n[AG_RELAY_CONFIRMED], now),
                n[AG_RELAY_NAMED] - n[AG_RELAY_MISSING], n[AG_RELAY_NAMED],
                ag_bytes(bytes, (uint64_t)n[AG_RELAY_BYTES]));
    if (relay->lasterror != 0)
        ag_line(out, "              not up to date: %s (%d %s)", relay->lasterror_text,
                (int)(int32_t)relay->lasterror, relay->lasterror_name);
    if (n[AG_RELAY_REQUESTS] > 0)
        ag_line(out,
                "              %" PRId64 " requests answered, %s, %" PRId64 " client%s of late",
                n[AG_RELAY_REQUESTS], ag_bytes(bytes, (uint64_t)n[AG_RELAY_SENT]),
                n[AG_RELAY_CLIENTS], n[AG_RELAY_CLIENTS] == 1 ? "" : "s");
}

static void status_row(struct ag_table *table, const defupd_component_status *item, int64_t now)
{
    char version[AG_VERSION], available[AG_VERSION], published[AG_WHEN], attempt[AG_WHEN];
    char success[AG_WHEN], failures[AG_AMOUNT + 20] = "";

    ag_table_row(table, (const char *const[]){
                            item->name, defupd_state_name((defupd_state)item->state),
                            ag_version_text(version, item->version, item->label),
                            ag_version_text(available, item->available, NULL),
                            item->published > 0 ? ag_age(published, item->published, now) : "-",
                            ag_age(attempt, item->last_attempt, now),
                            ag_age(success, item->last_success, now) });
    if (item->last_error != DEFUPD_OK) {
        const defupd_code code = (defupd_code)item->last_error;
        const char *advice = defupd_code_advice(code);

        /* One failed poll among successes is no alarm: the next one is to come. */
        const bool passing = item->state == DEFUPD_STATE_FRESH || item->state == DEFUPD_STATE_HELD;

        if (item->failures > 1)
            (void)snprintf(failures, sizeof failures, " (%u times)", item->failures);
        ag_table_note(table, "  %s: %s%s%s", item->name, passing ? "last poll failed: " : "",
                      is_set(item->error_text) ? item->error_text : defupd_code_text(code),
                      failures);
        if (!passing)
            ag_table_note(table, "    %d %s: %s", (int)code, defupd_code_name(code),
                          advice[0] != '\0' ? advice : defupd_code_text(code));
    }
    if (is_set(item->notice))
        ag_table_note(table, "  %s: %s", item->name, item->notice);
    if (is_set(item->path_text))
        ag_table_note(table, "  %s: came by %s", item->name, item->path_text);
}

static void unable_line(FILE *out, const char *label, const struct ag_unable *unable, int64_t now)
{
    char when[AG_WHEN];

    ag_line(out, "%s  %s: could not begin: %s (%d %s)", label, ag_age(when, unable->time, now),
            unable->text, (int)unable->code, defupd_code_name(unable->code));
}

static void status_text(FILE *out, const struct ag_result *result, int64_t now)
{
    const defupd_component_status *item;
    const defupd_store_status *store;
    struct ag_table table;
    char when[AG_WHEN];

    if (result->status == NULL)
        return;
    store = defupd_status_store(result->status);
    status_header(out, store, now);
    if (result->policy_error != NULL)
        ag_line(out, "Policy        not valid, the last good one is in force: %s",
                result->policy_error);
    agent_line(out, &result->agent, result->policy_error, now);
    relay_lines(out, &result->relay, now);
    if (result->debug_until > now)
        ag_line(out, "Debug         the logs are kept in detail until %s",
                ag_time_and_age(when, result->debug_until, now));
    /* A run that failed before it came to a component is told here. */
    if (result->unable.code != DEFUPD_OK)
        unable_line(out, "Last attempt", &result->unable, now);
    else if (store->last_error != DEFUPD_OK) {
        const defupd_code code = (defupd_code)store->last_error;
        ag_line(out, "Last attempt  failed: %s (%d %s)", defupd_code_text(code), (int)code,
                defupd_code_name(code));
    }
    if (defupd_status_count(result->status) == 0)
        return;
    (void)fputc('\n', out);
    ag_table_start(&table, 0,
                   (const char *const[]){ "COMPONENT", "STATE", "INSTALLED", "NEWEST", "PUBLISHED",
                                          "TRIED", "UP TO DATE", NULL });
    for (uint32_t i = 0; (item = defupd_status_at(result->status, i)) != NULL; i++)
        status_row(&table, item, now);
    ag_table_end(&table, out);
}

static void list_text(FILE *out, const struct ag_result *result)
{
    const defupd_release *item;
    struct ag_table table;

    if (result->listing == NULL)
        return;
    if (defupd_listing_count(result->listing) == 0) {
        ag_line(out, "No release is known; 'defupd check' asks the sources.");
        return;
    }
    ag_table_start(&table, 1u << 3 | 1u << 4,
                   (const char *const[]){ "COMPONENT", "VERSION", "PUBLISHED", "SIZE", "FETCH",
                                          "STATE", NULL });
    for (uint32_t i = 0; (item = defupd_listing_at(result->listing, i)) != NULL; i++) {
        char version[AG_VERSION], published[AG_WHEN], size[AG_AMOUNT], fetch[AG_AMOUNT];
        char flags[256] = "";
        size_t used = 0;

        for (const struct ag_flag *flag = ag_release_flags; flag->bit != 0; flag++) {
            if ((item->flags & flag->bit) == 0)
                continue;
            /* What is current is on disk, too. */
            if (flag->bit == DEFUPD_RELEASE_ON_DISK && (item->flags & DEFUPD_RELEASE_CURRENT) != 0)
                continue;
            (void)snprintf(flags + used, sizeof flags - used, "%s%s", used > 0 ? ", " : "",
                           flag->text);
            used = strlen(flags);
        }
        ag_table_row(&table,
                     (const char *const[]){
                         item->component, ag_version_text(version, item->version, item->label),
                         ag_time(published, item->published), ag_bytes(size, item->size),
                         item->full_bytes != 0 ? ag_bytes(fetch, item->full_bytes) : "-", flags });
        if (is_set(item->note))
            ag_table_note(&table, "  note: %s", item->note);
    }
    ag_table_end(&table, out);
}

static void trust_text(FILE *out, const struct ag_result *result, int64_t now)
{
    struct ag_table table;

    if (result->role_count == 0)
        return;
    ag_table_start(&table, 1u << 1,
                   (const char *const[]){ "ROLE", "VERSION", "EXPIRES", "SIGNATURES", NULL });
    for (size_t i = 0; i < result->role_count; i++) {
        const struct ag_role *role = &result->roles[i];
        char version[AG_VERSION], expires[AG_WHEN], needed[32];

        (void)snprintf(needed, sizeof needed, "%u of these keys:", role->threshold);
        ag_table_row(&table,
                     (const char *const[]){
                         role->name, ag_version_text(version, role->version, NULL),
                         role->expires != 0 ? ag_time_and_age(expires, role->expires, now) : "-",
                         needed });
        for (const char *key = role->keyids; *key != '\0'; key += strspn(key, " ")) {
            const size_t length = strcspn(key, " ");
            ag_table_note(&table, "  %.*s", (int)length, key);
            key += length;
        }
    }
    ag_table_end(&table, out);
}

static void short_text(FILE *out, const struct ag_result *result)
{
    const struct ag_args *args = result->args;
    const char *name = args->word_count > 0 ? args->words[0] : "";
    char amount[AG_AMOUNT];

    switch (args->command->id) {
    case AG_CMD_CANCEL:
        if (result->pid != 0)
            ag_line(out, "Process %" PRIu64 " was asked to stop.", result->pid);
        else
            ag_line(out, "No process works on this store.");
        break;
    case AG_CMD_HOLD:
        ag_line(out, "%s is held; 'defupd unhold %s' releases it.", name, name);
        break;
    case AG_CMD_UNHOLD: ag_line(out, "%s is free to be updated.", name); break;
    case AG_CMD_PIN:
        ag_line(out, "%s is pinned to %" PRIu64 "; 'defupd unhold %s' releases it.", args->pin_name,
                args->pin_version, args->pin_name);
        break;
    case AG_CMD_CONFIRM:
        if (args->word_count == 0)
            ag_line(out, "Nothing is on trial.");
        for (size_t i = 0; i < args->word_count; i++)
            ag_line(out, "%s is not on trial.", args->words[i]);
        break;
    case AG_CMD_CLEAN: ag_line(out, "%s freed.", ag_bytes(amount, result->freed)); break;
    case AG_CMD_DELIVER:
        ag_line(out, "%u sent, %u refused, %u left.", result->delivery.sent,
                result->delivery.dropped, result->delivery.left);
        break;
    case AG_CMD_TRUST:
        ag_line(out, "The given root is pinned; the next contact reads all metadata anew.");
        break;
    case AG_CMD_CHECK:
    case AG_CMD_UPDATE:
    case AG_CMD_FORCEUPDATE:
    case AG_CMD_DOWNLOAD:
    case AG_CMD_INSTALL:
    case AG_CMD_IMPORT:
    case AG_CMD_LIST:
    case AG_CMD_ROLLBACK:
    case AG_CMD_REJECT:
    case AG_CMD_EARLY:
    case AG_CMD_VERIFY:
    case AG_CMD_STATUS:
    case AG_CMD_POSTURE:
    case AG_CMD_WHY:
    case AG_CMD_DOCTOR:
    case AG_CMD_PREFLIGHT:
    case AG_CMD_CLUSTER_CHECK:
    case AG_CMD_SUPPORT_BUNDLE:
    case AG_CMD_CONFIG:
    case AG_CMD_HELP:
    case AG_CMD_VERSION:
    case AG_CMD_COUNT: break;
    }
}

void ag_text_result(FILE *out, const struct ag_result *result, int64_t now)
{
    const struct ag_args *args = result->args;

    if (result->incomplete)
        ag_line(out, "(out of memory: not all findings are listed)");
    if (args->command->id == AG_CMD_VERIFY) { /* findings are errors: told with -q, too */
        verify_text(out, result);
        return;
    }
    if (ag_given(args, AG_OPT_QUIET) && (args->command->traits & AG_CMD_ANSWERS) == 0)
        return;
    if (args->command->id == AG_CMD_CHECK)
        check_text(out, result);
    else if (args->command->id == AG_CMD_STATUS)
        status_text(out, result, now);
    else if (args->command->id == AG_CMD_WHY && result->why.status != NULL) {
        ag_why_text(out, &result->why, now);
        if (result->unable.code != DEFUPD_OK)
            unable_line(out, "Since then  ", &result->unable, now);
    } else if (args->command->id == AG_CMD_DOCTOR)
        ag_doctor_text(out, &result->doctor);
    else if (args->command->id == AG_CMD_LIST)
        list_text(out, result);
    else if (args->command->id == AG_CMD_TRUST && !args->trust_reset)
        trust_text(out, result, now);
    else if (args->command->id == AG_CMD_EARLY ? result->report != NULL
                                               : args->command->id != AG_CMD_CONFIRM &&
                                                     (args->command->traits & AG_CMD_REPORTS) != 0)
        update_text(out, result);
    else if (result->code == DEFUPD_OK)
        short_text(out, result);
}
