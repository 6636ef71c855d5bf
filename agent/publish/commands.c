/* SPDX-License-Identifier: Apache-2.0 */
#include "tool.h"

#include <inttypes.h>
#include <string.h>

/* "ROLE=N" */
static defupd_code take_rule(defupd_repo_rule *rule, char role[16], const char *option,
                             const char *text, uint64_t max, uint64_t *number, defupd_error *err)
{
    const char *equals = strchr(text, '=');

    if (equals == NULL || equals == text || equals - text > 15 ||
        !pt_number(equals + 1, max, number))
        return pt_fail(err, DEFUPD_E_INVALID, "--%s %s: not ROLE=N, N from 1 to %" PRIu64, option,
                       text, max);
    memcpy(role, text, (size_t)(equals - text));
    role[equals - text] = '\0';
    rule->struct_size = sizeof *rule;
    rule->role = role;
    return DEFUPD_OK;
}

static defupd_code take_rules(const struct pt_args *args, defupd_repo_rule rule[PT_RULES_MAX],
                              char role[PT_RULES_MAX][16], defupd_error *err)
{
    for (size_t i = 0; i < args->many_count; i++) {
        const bool days = args->many[i].id == PT_OPT_EXPIRES;
        uint64_t number = 0;
        const defupd_code rc = take_rule(&rule[i], role[i], pt_options[args->many[i].id].name,
                                         args->many[i].text, days ? 3650 : 64, &number, err);
        if (rc != DEFUPD_OK)
            return rc;
        if (days)
            rule[i].days = (uint32_t)number;
        else
            rule[i].threshold = (uint32_t)number;
    }
    return DEFUPD_OK;
}

defupd_code pt_init(const struct pt_args *args, defupd_error *err)
{
    defupd_repo_rule rule[PT_RULES_MAX] = { { 0 } };
    char role[PT_RULES_MAX][16];
    defupd_repo *repo = NULL;
    defupd_code rc = take_rules(args, rule, role, err);

    if (rc == DEFUPD_OK)
        rc = pt_open(&repo, args, pt_say, NULL, err);
    if (rc == DEFUPD_OK)
        rc = defupd_repo_init_with(repo, rule, args->many_count, err);
    if (rc == DEFUPD_OK)
        (void)printf("repository    %s\n"
                     "trusted root  %s/metadata/1.root.json\n",
                     args->value[PT_OPT_REPO], args->value[PT_OPT_REPO]);
    pt_close(repo);
    return rc;
}

static void say_out(void *user, const char *line)
{
    (void)user;
    if (strncmp(line, "warning:", 8) == 0)
        pt_say(NULL, line);
    else
        pt_line(line);
}

defupd_code pt_refresh(const struct pt_args *args, defupd_error *err)
{
    defupd_repo *repo = NULL;
    defupd_code rc = pt_open(&repo, args, say_out, NULL, err);

    if (rc == DEFUPD_OK)
        rc = defupd_repo_refresh(repo, err);
    pt_close(repo);
    return rc;
}
