/* SPDX-License-Identifier: Apache-2.0 */
/* What only the whole shows. */
#include "policy/policy.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void check_window(const struct ag_value *window, struct ag_findings *findings)
{
    if (ag_value_number(window, "from") == ag_value_number(window, "to"))
        ag_finding(findings,
                   "%s:%ld: <window> ends when it begins, %s; allowed: another time, or 00:00 to "
                   "24:00 for the whole day",
                   window->file, window->line, ag_value_text(window, "from"));
}

static void check_component(const struct ag_value *component, struct ag_findings *findings)
{
    const struct ag_value *pin = ag_value_in(component, "pin");

    if (pin != NULL && ag_value_number(component, "hold") != 0)
        ag_finding(findings,
                   "%s:%ld: component '%s' is held and pinned; allowed: one of hold and pin",
                   pin->file, pin->line, ag_value_text(component, "name"));
}

/* The value that tells a group from its neighbours, NULL when there is none. */
static const struct ag_value *key_of(const struct ag_value *group)
{
    for (const struct ag_value *at = group->child; at != NULL; at = at->next) {
        if ((at->setting->flags & AG_SET_KEY) != 0)
            return at;
    }
    return NULL;
}

static void check_keys(const struct ag_value *group, struct ag_findings *findings)
{
    for (const struct ag_value *at = group->child; at != NULL; at = at->next) {
        const struct ag_value *key = key_of(at);

        for (const struct ag_value *other = ag_value_next(at); key != NULL && other != NULL;
             other = ag_value_next(other)) {
            const struct ag_value *same = key_of(other);

            if (same != NULL && strcmp(same->text, key->text) == 0) {
                ag_finding(findings,
                           "%s:%ld: <%s> with %s '%s' comes twice, first in line %ld; allowed: "
                           "once",
                           other->file, other->line, ag_setting_name(at->setting),
                           ag_setting_name(key->setting), key->text, at->line);
                break;
            }
        }
        check_keys(at, findings);
    }
}

void ag_policy_check(const struct ag_policy *policy, struct ag_findings *findings)
{
    const struct ag_value *at;

    for (at = ag_policy_at(policy, "schedule/window"); at != NULL; at = ag_value_next(at))
        check_window(at, findings);
    at = ag_policy_at(policy, "schedule/back-off");
    if (at != NULL && ag_value_number(at, "first") > ag_value_number(at, "max"))
        ag_finding(findings, "%s:%ld: <back-off> begins above its max; allowed: first below max",
                   at->file, at->line);
    for (at = ag_policy_at(policy, "components/component"); at != NULL; at = ag_value_next(at))
        check_component(at, findings);
    at = ag_policy_at(policy, "proxy/auth-file");
    if (at != NULL && ag_policy_at(policy, "proxy/url") == NULL)
        ag_finding(findings, "%s:%ld: auth-file without a proxy; allowed: together with url",
                   at->file, at->line);
    check_keys(&policy->root, findings);
}

static defupd_code check_file(const struct ag_value *value, uid_t owner,
                              struct ag_findings *findings)
{
    const bool secret = (value->setting->flags & AG_SET_SECRET) != 0;
    defupd_error err = { 0 };
    defupd_code rc = DEFUPD_OK;
    int fd = -1;

    if (secret) {
        rc = ag_policy_open(&fd, value->text, owner, true, &err);
        if (rc != DEFUPD_OK)
            ag_finding(findings, "%s:%ld: %s: %s", value->file, value->line, value->setting->path,
                       err.message);
        else
            (void)close(fd);
    } else if (access(value->text, R_OK) != 0) {
        rc = DEFUPD_E_POLICY;
        ag_finding(findings, "%s:%ld: %s: cannot read %s: %m; allowed: a file that is there",
                   value->file, value->line, value->setting->path, value->text);
    }
    return rc == DEFUPD_OK || rc == DEFUPD_E_POLICY_OWNER ? rc : DEFUPD_E_POLICY;
}

/* What is wrong with the policy is the graver one: mending an owner mends nothing else. */
static defupd_code graver(defupd_code one, defupd_code other)
{
    return one == DEFUPD_OK || other == DEFUPD_E_POLICY ? other : one;
}

static defupd_code check_files(const struct ag_value *group, uid_t owner,
                               struct ag_findings *findings)
{
    defupd_code rc = DEFUPD_OK;

    for (const struct ag_value *at = group->child; at != NULL; at = at->next) {
        if ((at->setting->flags & AG_SET_FILE) != 0) {
            const defupd_code found = check_file(at, owner, findings);

            rc = found != DEFUPD_OK ? graver(rc, found) : rc;
        }
        const defupd_code within = check_files(at, owner, findings);

        rc = within != DEFUPD_OK ? graver(rc, within) : rc;
    }
    return rc;
}

defupd_code ag_policy_check_files(const struct ag_policy *policy, uid_t owner,
                                  struct ag_findings *findings)
{
    return check_files(&policy->root, owner, findings);
}
