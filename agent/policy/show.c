/* SPDX-License-Identifier: Apache-2.0 */
/* `config show`: what counts, and why. */
#include "policy/policy.h"

#include <stdlib.h>
#include <string.h>

#include "fail.h"
#include "json.h"
#include "text.h"

#define NAME_ROOM 512

struct shower {
    struct ag_table table;
    json_t *rows; /* NULL: a table for people */
    const struct ag_override *overrides;
    bool broken;
};

/* One setting. `line` 0: `origin` is no file. */
static void row(struct shower *show, const char *name, const char *value, const char *origin,
                long line)
{
    char from[NAME_ROOM];

    if (show->rows == NULL) {
        if (line > 0)
            (void)snprintf(from, sizeof from, "%s:%ld", origin, line);
        else
            (void)snprintf(from, sizeof from, "%s", origin);
        ag_table_row(&show->table, (const char *const[]){ name, value, from });
        return;
    }
    json_t *made = ag_json_row(show->rows);
    if (!ag_json_text(made, "setting", name) || !ag_json_text(made, "value", value) ||
        !ag_json_text(made, "origin", line > 0 ? "file" : origin) ||
        (line > 0 &&
         (!ag_json_text(made, "file", origin) || !ag_json_number(made, "line", (uint64_t)line))))
        show->broken = true;
}

static const struct ag_override *overridden(const struct shower *show, const char *path)
{
    for (const struct ag_override *at = show->overrides; at->path != NULL; at++) {
        const size_t length = strlen(at->path);

        if (strncmp(path, at->path, length) == 0 && (path[length] == '\0' || path[length] == '/'))
            return at;
    }
    return NULL;
}

/* What tells the group from others of its name: its key, else its number. */
static void tell_apart(char *out, size_t size, const struct ag_value *group, unsigned number)
{
    for (const struct ag_value *at = group->child; at != NULL; at = at->next) {
        if ((at->setting->flags & AG_SET_KEY) != 0) {
            (void)snprintf(out, size, "[%s]", at->text);
            return;
        }
    }
    (void)snprintf(out, size, "[%u]", number);
}

static void show_group(struct shower *show, const struct ag_setting *setting,
                       const struct ag_value *group, const char *prefix);

static void show_value(struct shower *show, const struct ag_value *value, const char *prefix,
                       unsigned number)
{
    char name[NAME_ROOM], which[80] = "";

    if ((value->setting->flags & AG_SET_MANY) != 0)
        tell_apart(which, sizeof which, value, number);
    (void)snprintf(name, sizeof name, "%s%s%s%s%s", prefix, prefix[0] != '\0' ? "/" : "",
                   ag_setting_is_attribute(value->setting) ? "@" : "",
                   ag_setting_name(value->setting), which);
    if (value->setting->type != AG_GROUP)
        row(show, name, value->text, value->file, value->line);
    else if (value->child != NULL && value->child->next == NULL &&
             (value->child->setting->flags & AG_SET_KEY) != 0) /* nothing but its name */
        row(show, name, "-", value->file, value->line);
    if (value->setting->type == AG_GROUP)
        show_group(show, value->setting, value, name);
}

/* A default, or all in a group that the policy does not have. */
static void show_standard(struct shower *show, const struct ag_setting *setting)
{
    if (setting->type == AG_GROUP && (setting->flags & AG_SET_MANY) == 0)
        show_group(show, setting, NULL, setting->path);
    else if (setting->standard != NULL && (setting->flags & AG_SET_UNSUPPORTED) == 0)
        row(show, setting->path, setting->standard, "default", 0);
}

/* In the table's order. `group` NULL: it is not in the policy, the defaults count. Defaults within
 * one of many are left out: docs/formats/policy.md has them. */
static void show_group(struct shower *show, const struct ag_setting *setting,
                       const struct ag_value *group, const char *prefix)
{
    const bool many = setting != NULL && (setting->flags & AG_SET_MANY) != 0;
    const struct ag_setting *in = NULL;

    while ((in = ag_setting_next(setting, in)) != NULL) {
        unsigned number = 0;

        if (!many && overridden(show, in->path) != NULL)
            continue;
        for (const struct ag_value *at = group != NULL ? group->child : NULL; at != NULL;
             at = at->next) {
            if (at->setting == in && (in->flags & AG_SET_KEY) == 0)
                show_value(show, at, prefix, ++number);
            else if (at->setting == in)
                number++; /* it is in the group's name */
        }
        if (number == 0 && !many)
            show_standard(show, in);
    }
}

static const char *in_force(const struct ag_force *force)
{
    switch (force->from) {
    case AG_FORCE_NONE: return "built-in";
    case AG_FORCE_FILE: return "file";
    case AG_FORCE_LAST: return "last-good";
    }
    return "";
}

static void show_rows(struct shower *show, const struct ag_force *force)
{
    for (const struct ag_override *at = show->overrides; at->path != NULL; at++)
        row(show, at->path, at->value, at->option, 0);
    show_group(show, NULL, force->policy != NULL ? &force->policy->root : NULL, "");
}

static defupd_code show_json(FILE *out, struct shower *show, const struct ag_force *force,
                             defupd_error *err)
{
    json_t *doc = json_object();
    char *text = NULL;

    show->rows = json_array();
    if (!ag_json_text(doc, "policy", force->path) ||
        !ag_json_text(doc, "in_force", in_force(force)) ||
        !ag_json_text(doc, "error", force->error.code != DEFUPD_OK ? force->error.message : "")) {
        show->broken = true;
        json_decref(show->rows);
    } else if (!ag_json_add(doc, "settings", show->rows)) {
        show->broken = true;
    } else {
        show_rows(show, force);
        text = json_dumps(doc, JSON_INDENT(2));
    }
    json_decref(doc);
    if (show->broken || text == NULL) {
        free(text);
        return AG_FAIL(err, DEFUPD_E_NOMEM, "out of memory while showing the policy");
    }
    (void)fprintf(out, "%s\n", text);
    free(text);
    return DEFUPD_OK;
}

defupd_code ag_policy_show(FILE *out, const struct ag_force *force,
                           const struct ag_override *overrides, bool json, defupd_error *err)
{
    struct shower show = { .overrides = overrides };

    if (json)
        return show_json(out, &show, force, err);
    switch (force->from) {
    case AG_FORCE_NONE: ag_line(out, "No policy file: the defaults count."); break;
    case AG_FORCE_FILE: ag_line(out, "Policy: %s", force->path); break;
    case AG_FORCE_LAST:
        ag_line(out, "Policy: the last good one. %s is not valid: %s", force->path,
                force->error.message);
        break;
    }
    ag_table_start(&show.table, 0, (const char *const[]){ "SETTING", "VALUE", "FROM", NULL });
    show_rows(&show, force);
    ag_table_end(&show.table, out);
    return DEFUPD_OK;
}
