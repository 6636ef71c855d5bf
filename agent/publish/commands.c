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

static void show_added(const struct pt_args *args, const defupd_repo_added *added)
{
    (void)printf("release       %s %s%s%s\n", args->word[0], args->word[1],
                 args->value[PT_OPT_LABEL] != NULL ? "  " : "",
                 args->value[PT_OPT_LABEL] != NULL ? args->value[PT_OPT_LABEL] : "");
    (void)printf("files         %" PRIu64 "\n", added->files);
    (void)printf("bytes         %" PRIu64 "\n", added->tree_bytes);
    (void)printf("tree          %s\n", added->tree);
    (void)printf("object        objects/%.2s/%s%s\n", added->object, added->object,
                 added->shared ? "  (shared with an earlier release)" : "");
    (void)printf("bundle        %" PRIu64 " bytes", added->bundle_bytes);
    if (added->bundle_bytes < added->tree_bytes)
        (void)printf(", %.1f %% of the tree",
                     100.0 * (double)added->bundle_bytes / (double)added->tree_bytes);
    (void)putchar('\n');
    (void)printf("versions      %" PRIu64 ", from %" PRIu64 " to %s\n", added->releases,
                 added->oldest, args->word[1]);
    if (added->dropped > 0)
        (void)printf("dropped       %" PRIu64 " oldest from the manifest\n", added->dropped);
    (void)printf("trusted root  %s/metadata/1.root.json\n", args->value[PT_OPT_REPO]);
    if (added->pending != 0)
        (void)printf("state         pending: see 'sign list'\n");
}

defupd_code pt_add_release(const struct pt_args *args, defupd_error *err)
{
    defupd_repo_release release = DEFUPD_REPO_RELEASE_INIT;
    defupd_repo_added added = DEFUPD_REPO_ADDED_INIT;
    defupd_repo *repo = NULL;
    defupd_code rc = pt_open(&repo, args, pt_say, NULL, err);

    release.component = args->word[0];
    release.version = args->version;
    release.tree_dir = args->word[2];
    release.label = args->value[PT_OPT_LABEL];
    release.licence_class = args->value[PT_OPT_CLASS];
    release.note = args->value[PT_OPT_NOTE];
    release.published = args->published;
    release.pending = args->value[PT_OPT_PENDING] != NULL;
    release.added = &added;
    if (rc == DEFUPD_OK)
        rc = defupd_repo_add_release(repo, &release, err);
    if (rc == DEFUPD_OK)
        show_added(args, &added);
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
