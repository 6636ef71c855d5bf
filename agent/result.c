/* SPDX-License-Identifier: Apache-2.0 */
#include "result.h"

#include <stdlib.h>
#include <string.h>

static char *copy(const char *text)
{
    return strdup(text != NULL ? text : "");
}

void ag_result_free(struct ag_result *result)
{
    for (size_t i = 0; i < result->damage_kept; i++) {
        free(result->damage[i].component);
        free(result->damage[i].path);
        free(result->damage[i].what);
    }
    for (size_t i = 0; i < result->role_count; i++) {
        free(result->roles[i].name);
        free(result->roles[i].keyids);
    }
    free(result->damage);
    free(result->roles);
    ag_doctor_free(&result->doctor);
    defupd_report_free(result->report);
    defupd_status_free(result->status);
    defupd_listing_free(result->listing);
    *result = (struct ag_result){ 0 };
}

/* A repair is told after the finding that it mends: the same line then says so. */
static struct ag_damage *find_damage(const struct ag_result *result, const defupd_damage *damage)
{
    for (size_t i = result->damage_kept; i > 0; i--) {
        struct ag_damage *row = &result->damage[i - 1];

        if (!row->repaired && strcmp(row->path, damage->path) == 0 &&
            strcmp(row->component, damage->component) == 0)
            return row;
    }
    return NULL;
}

void ag_result_damage(void *user, const defupd_damage *damage)
{
    struct ag_result *result = user;
    struct ag_damage *grown, *row;

    if (damage->repaired != 0) {
        row = find_damage(result, damage);
        result->repaired_count++;
        if (row != NULL)
            row->repaired = true;
        if (row != NULL || result->repaired_count <= result->damage_count)
            return;
    }
    result->damage_count++;
    if (result->damage_kept >= AG_DAMAGE_MAX)
        return;
    grown = reallocarray(result->damage, result->damage_kept + 1, sizeof *grown);
    if (grown == NULL) {
        result->incomplete = true;
        return;
    }
    result->damage = grown;
    row = &grown[result->damage_kept];
    *row = (struct ag_damage){ .component = copy(damage->component),
                               .path = copy(damage->path),
                               .what = copy(damage->what),
                               .version = damage->version,
                               .repaired = damage->repaired != 0 };
    result->damage_kept++;
    if (row->component == NULL || row->path == NULL || row->what == NULL) {
        free(row->component);
        free(row->path);
        free(row->what);
        result->damage_kept--;
        result->incomplete = true;
    }
}

void ag_result_role(void *user, const defupd_role *role)
{
    struct ag_result *result = user;
    struct ag_role *grown, *row;

    grown = reallocarray(result->roles, result->role_count + 1, sizeof *grown);
    if (grown == NULL) {
        result->incomplete = true;
        return;
    }
    result->roles = grown;
    row = &grown[result->role_count];
    *row = (struct ag_role){ .name = copy(role->name),
                             .keyids = copy(role->keyids),
                             .version = role->version,
                             .expires = role->expires,
                             .threshold = role->threshold };
    result->role_count++;
    if (row->name == NULL || row->keyids == NULL) {
        free(row->name);
        free(row->keyids);
        result->role_count--;
        result->incomplete = true;
    }
}

bool ag_result_news(const struct ag_result *result)
{
    const enum ag_command_id id = result->args->command->id;
    int32_t enough = DEFUPD_PROGRESS_ACTIVE;
    const defupd_report_item *item;

    if (id == AG_CMD_CHECK || ag_given(result->args, AG_OPT_DRY_RUN))
        enough = DEFUPD_PROGRESS_PLANNED;
    else if (id == AG_CMD_DOWNLOAD)
        enough = DEFUPD_PROGRESS_DOWNLOADED;
    for (uint32_t i = 0; (item = ag_item(result, i)) != NULL; i++) {
        if (item->code == DEFUPD_OK && item->action != DEFUPD_ACTION_NONE &&
            item->progress >= enough)
            return true;
    }
    return false;
}
