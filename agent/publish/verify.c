/* SPDX-License-Identifier: Apache-2.0 */
/* `verify`: what an audit finds, for people and as JSON. */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "../json.h"
#include "../text.h"
#include "tool.h"

#define DAY_S (24 * 3600)

/* --- for people --- */

/* "in 30 days", "in 20 hours", "3 days ago" */
static void when(char *out, size_t size, int64_t expires, int64_t now)
{
    const int64_t left = expires - now, apart = left < 0 ? -left : left;
    const bool days = apart >= 2 * DAY_S;
    const int64_t count = apart / (days ? DAY_S : 3600);

    (void)snprintf(out, size, "%s%" PRId64 " %s%s%s", left > 0 ? "in " : "", count,
                   days ? "day" : "hour", count == 1 ? "" : "s", left > 0 ? "" : " ago");
}

static void show_role(void *user, const defupd_repo_role *role)
{
    const int64_t now = (int64_t)time(NULL);
    char line[256], date[AG_WHEN], left[48];

    (void)user;
    when(left, sizeof left, role->expires, now);
    (void)snprintf(line, sizeof line,
                   "%-9s  version %" PRIu64 ", signed by %" PRIu32 " of %" PRIu32 " keys (%" PRIu32
                   " needed), expire%s %s (%s)",
                   role->role, role->version, role->signatures, role->keys, role->threshold,
                   role->expires > now ? "s" : "d", left, ag_time(date, role->expires));
    pt_line(line);
}

static void show_component(void *user, const defupd_repo_component *component)
{
    char line[256], bytes[AG_AMOUNT];

    (void)user;
    if (component->releases == 0)
        (void)snprintf(line, sizeof line, "%s: no release yet, signed by %s", component->component,
                       component->role);
    else
        (void)snprintf(line, sizeof line,
                       "%s: %" PRIu32 " release%s, newest %" PRIu64 ", %" PRIu64
                       " object%s of %s, %" PRIu64 " delta%s applied, signed by %s",
                       component->component, component->releases,
                       component->releases == 1 ? "" : "s", component->newest, component->objects,
                       component->objects == 1 ? "" : "s", ag_bytes(bytes, component->object_bytes),
                       component->deltas, component->deltas == 1 ? "" : "s", component->role);
    pt_line(line);
}

static void show_finding(void *user, const char *text)
{
    char line[DEFUPD_ERROR_MESSAGE_MAX + 300];

    (void)user;
    (void)snprintf(line, sizeof line, "defect: %s", text);
    ag_clean(line); /* names of files in it may be foreign */
    pt_line(line);
}

static void show_warning(void *user, const char *text)
{
    char line[DEFUPD_ERROR_MESSAGE_MAX + 300];

    (void)snprintf(line, sizeof line, "warning: %s", text);
    pt_say(user, line);
}

/* --- for programs --- */

struct rows {
    json_t *defects, *warnings, *roles, *components; /* borrowed from the document */
    bool incomplete;
};

static void keep_text(struct rows *rows, json_t *array, const char *text)
{
    char line[DEFUPD_ERROR_MESSAGE_MAX + 300];

    (void)snprintf(line, sizeof line, "%s", text);
    ag_clean(line);
    if (!ag_json_append(array, json_string(line)))
        rows->incomplete = true;
}

static void keep_finding(void *user, const char *text)
{
    struct rows *rows = user;

    keep_text(rows, rows->defects, text);
}

static void keep_warning(void *user, const char *text)
{
    struct rows *rows = user;

    keep_text(rows, rows->warnings, text);
}

static void keep_role(void *user, const defupd_repo_role *role)
{
    const int64_t left = role->expires - (int64_t)time(NULL);
    struct rows *rows = user;
    json_t *row = ag_json_row(rows->roles);

    if (!ag_json_text(row, "role", role->role) || !ag_json_number(row, "version", role->version) ||
        !ag_json_add(row, "expires", json_integer((json_int_t)role->expires)) ||
        !ag_json_add(row, "expires_in_days", json_integer((json_int_t)(left / DAY_S))) ||
        !ag_json_number(row, "threshold", role->threshold) ||
        !ag_json_number(row, "signatures", role->signatures) ||
        !ag_json_number(row, "keys", role->keys) ||
        !ag_json_number(row, "private", role->has_private) ||
        !ag_json_number(row, "days", role->days))
        rows->incomplete = true;
}

static void keep_component(void *user, const defupd_repo_component *component)
{
    struct rows *rows = user;
    json_t *row = ag_json_row(rows->components);

    if (!ag_json_text(row, "component", component->component) ||
        !ag_json_text(row, "role", component->role) ||
        !ag_json_number(row, "releases", component->releases) ||
        !ag_json_number(row, "newest", component->newest) ||
        !ag_json_number(row, "objects", component->objects) ||
        !ag_json_number(row, "object_bytes", component->object_bytes) ||
        !ag_json_number(row, "deltas", component->deltas))
        rows->incomplete = true;
}

static json_t *array_in(json_t *doc, const char *key)
{
    json_t *array = json_array();

    return ag_json_add(doc, key, array) ? array : NULL;
}

static defupd_code verify_json(const struct pt_args *args, defupd_error *err)
{
    defupd_repo_audit audit = DEFUPD_REPO_AUDIT_INIT;
    json_t *doc = json_object();
    struct rows rows = { 0 };
    defupd_repo *repo = NULL;
    defupd_code rc;

    rows.incomplete = !ag_json_text(doc, "repository", args->value[PT_OPT_REPO]);
    rows.defects = array_in(doc, "defects");
    rows.warnings = array_in(doc, "warnings");
    rows.roles = array_in(doc, "roles");
    rows.components = array_in(doc, "components");
    audit.on_finding = keep_finding;
    audit.on_warning = keep_warning;
    audit.on_role = keep_role;
    audit.on_component = keep_component;
    audit.user = &rows;
    rc = pt_open(&repo, args, NULL, NULL, err);
    if (rc == DEFUPD_OK)
        rc = defupd_repo_verify_with(repo, &audit, err);
    pt_close(repo);
    if (rc == DEFUPD_OK && rows.incomplete)
        rc = pt_fail(err, DEFUPD_E_NOMEM, "no memory for the result");
    return pt_json_end(doc, args, rc, err);
}

defupd_code pt_verify(const struct pt_args *args, defupd_error *err)
{
    defupd_repo_audit audit = DEFUPD_REPO_AUDIT_INIT;
    defupd_repo *repo = NULL;
    defupd_code rc;

    if (args->value[PT_OPT_JSON] != NULL)
        return verify_json(args, err);
    audit.on_finding = show_finding;
    audit.on_warning = show_warning;
    audit.on_role = show_role;
    audit.on_component = show_component;
    rc = pt_open(&repo, args, pt_say, NULL, err);
    if (rc == DEFUPD_OK)
        rc = defupd_repo_verify_with(repo, &audit, err);
    pt_close(repo);
    if (rc == DEFUPD_OK)
        (void)printf("repository is right\n");
    return rc;
}
