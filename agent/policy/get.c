/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/policy.h"

#include <string.h>

const struct ag_value *ag_value_in(const struct ag_value *group, const char *name)
{
    const struct ag_value *at = group != NULL ? group->child : NULL;

    while (at != NULL && strcmp(ag_setting_name(at->setting), name) != 0)
        at = at->next;
    return at;
}

const struct ag_value *ag_value_next(const struct ag_value *value)
{
    const struct ag_value *at = value->next;

    while (at != NULL && at->setting != value->setting)
        at = at->next;
    return at;
}

const struct ag_value *ag_policy_at(const struct ag_policy *policy, const char *path)
{
    const struct ag_value *at = policy != NULL ? &policy->root : NULL;
    char name[64];

    while (at != NULL && *path != '\0') {
        const size_t length = strcspn(path, "/");

        (void)snprintf(name, sizeof name, "%.*s", (int)length, path);
        at = ag_value_in(at, name[0] == '@' ? name + 1 : name);
        path += length + (path[length] == '/');
    }
    return at;
}

uint64_t ag_policy_number(const struct ag_policy *policy, const char *path)
{
    const struct ag_value *value = ag_policy_at(policy, path);

    return value != NULL ? value->number : ag_setting_standard(ag_setting_find(path));
}

const char *ag_policy_text(const struct ag_policy *policy, const char *path)
{
    const struct ag_value *value = ag_policy_at(policy, path);

    return value != NULL ? value->text : ag_setting_find(path)->standard;
}

/* The setting of that name in the group, element or attribute. */
static const struct ag_setting *setting_of(const struct ag_value *group, const char *name)
{
    const struct ag_setting *setting = ag_setting_in(group->setting, name, false);

    return setting != NULL ? setting : ag_setting_in(group->setting, name, true);
}

uint64_t ag_value_number(const struct ag_value *group, const char *name)
{
    const struct ag_value *value = ag_value_in(group, name);

    return value != NULL ? value->number : ag_setting_standard(setting_of(group, name));
}

const char *ag_value_text(const struct ag_value *group, const char *name)
{
    const struct ag_value *value = ag_value_in(group, name);

    return value != NULL ? value->text : setting_of(group, name)->standard;
}

const struct ag_value *ag_policy_component(const struct ag_policy *policy, const char *name)
{
    const struct ag_value *at = ag_policy_at(policy, "components/component");

    while (at != NULL && strcmp(ag_value_text(at, "name"), name) != 0)
        at = ag_value_next(at);
    return at;
}

const char *ag_policy_engine(const struct ag_policy *policy, const char *component)
{
    const struct ag_value *found = ag_policy_component(policy, component);
    const char *engine = found != NULL ? ag_value_text(found, "engine") : NULL;

    return engine != NULL ? engine : component;
}
