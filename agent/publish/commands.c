/* SPDX-License-Identifier: Apache-2.0 */
#include "tool.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void pt_say(void *user, const char *line)
{
    (void)user;
    (void)fprintf(stderr, "defupd-publish: %s\n", line);
}

defupd_code pt_open(defupd_repo **repo, const struct pt_args *args, defupd_repo_say_fn on_say,
                    void *user, defupd_error *err)
{
    defupd_repo_options options = DEFUPD_REPO_OPTIONS_INIT;

    options.repo_dir = args->value[PT_OPT_REPO];
    options.keys_dir = args->value[PT_OPT_KEYS];
    options.compression_level = args->level;
    options.temp_dir = getenv("TMPDIR");
    options.warn_days = args->within;
    options.on_say = on_say;
    options.say_user = user;
    options.on_passphrase = pt_passphrase;
    options.passphrase_user = (void *)(uintptr_t)args;
    return defupd_repo_open(repo, &options, err);
}

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
    defupd_repo_close(repo);
    return rc;
}

static void show_added(const struct pt_args *args, const defupd_repo_added *added)
{
    const double percent =
        added->tree_bytes > 0 ? 100.0 * (double)added->bundle_bytes / (double)added->tree_bytes : 0;

    (void)printf("release       %s %s%s%s\n", args->word[0], args->word[1],
                 args->value[PT_OPT_LABEL] != NULL ? "  " : "",
                 args->value[PT_OPT_LABEL] != NULL ? args->value[PT_OPT_LABEL] : "");
    (void)printf("files         %" PRIu64 "\n", added->files);
    (void)printf("bytes         %" PRIu64 "\n", added->tree_bytes);
    (void)printf("tree          %s\n", added->tree);
    (void)printf("object        objects/%.2s/%s%s\n", added->object, added->object,
                 added->shared ? "  (shared with an earlier release)" : "");
    (void)printf("bundle        %" PRIu64 " bytes, %.1f %% of the tree\n", added->bundle_bytes,
                 percent);
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
    defupd_repo_close(repo);
    return rc;
}

static void say_out(void *user, const char *line)
{
    (void)user;
    if (strncmp(line, "warning:", 8) == 0)
        pt_say(NULL, line);
    else
        (void)printf("%s\n", line);
}

defupd_code pt_refresh(const struct pt_args *args, defupd_error *err)
{
    defupd_repo *repo = NULL;
    defupd_code rc = pt_open(&repo, args, say_out, NULL, err);

    if (rc == DEFUPD_OK)
        rc = defupd_repo_refresh(repo, err);
    defupd_repo_close(repo);
    return rc;
}

static void json_string(FILE *out, const char *text)
{
    (void)putc('"', out);
    for (; *text != '\0'; text++) {
        const unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            (void)fprintf(out, "\\%c", c);
        else if (c < 0x20)
            (void)fprintf(out, "\\u%04x", c);
        else
            (void)putc(c, out);
    }
    (void)putc('"', out);
}

struct findings {
    bool json;
    size_t count, warnings, roles;
    FILE *warned; /* the warnings so far, as JSON */
};

static void show_finding(void *user, const char *line)
{
    struct findings *findings = user;

    if (!findings->json) {
        (void)printf("defect: %s\n", line);
    } else {
        (void)fputs(findings->count == 0 ? "\n  " : ",\n  ", stdout);
        json_string(stdout, line);
    }
    findings->count++;
}

/* Beside --json, what is told is told to nobody, and warnings are kept for the end. */
static void keep_warning(void *user, const char *line)
{
    struct findings *findings = user;

    if (strncmp(line, "warning: ", 9) != 0)
        return;
    (void)fputs(findings->warnings++ == 0 ? "\n  " : ",\n  ", findings->warned);
    json_string(findings->warned, line + 9);
}

static void json_role(void *user, const defupd_repo_role *role)
{
    struct findings *findings = user;

    (void)fputs(findings->roles++ == 0 ? "\n  {\"role\": " : ",\n  {\"role\": ", stdout);
    json_string(stdout, role->role);
    (void)printf(", \"version\": %" PRIu64 ", \"expires\": %" PRId64 ", \"threshold\": %" PRIu32
                 ", \"keys\": %" PRIu32 ", \"private\": %" PRIu32 ", \"days\": %" PRIu32 "}",
                 role->version, role->expires, role->threshold, role->keys, role->has_private,
                 role->days);
}

/* Keys are listed where they can be read; an auditor has none. */
static void json_roles(const struct pt_args *args, struct findings *findings)
{
    defupd_repo *repo = NULL;
    defupd_error why;

    (void)fputs(", \"roles\": [", stdout);
    if (pt_open(&repo, args, keep_warning, findings, &why) == DEFUPD_OK &&
        defupd_repo_role_list(repo, json_role, findings, &why) != DEFUPD_OK)
        findings->roles = 0;
    defupd_repo_close(repo);
    (void)printf("%s]", findings->roles > 0 ? "\n" : "");
}

static defupd_code verify_json(const struct pt_args *args, defupd_error *err)
{
    struct findings findings = { .json = true };
    char *warned = NULL;
    size_t size = 0;
    defupd_repo *repo = NULL;
    defupd_code rc;

    findings.warned = open_memstream(&warned, &size);
    if (findings.warned == NULL)
        return pt_fail(err, DEFUPD_E_NOMEM, "no memory for the warnings");
    rc = pt_open(&repo, args, keep_warning, &findings, err);
    if (rc == DEFUPD_OK) {
        (void)fputs("{\"repository\": ", stdout);
        json_string(stdout, args->value[PT_OPT_REPO]);
        (void)fputs(", \"defects\": [", stdout);
        rc = defupd_repo_verify(repo, show_finding, &findings, err);
        (void)printf("%s]", findings.count > 0 ? "\n" : "");
        json_roles(args, &findings);
        (void)fflush(findings.warned);
        (void)printf(", \"warnings\": [%s%s], \"code\": %d, \"ok\": %s}\n", warned,
                     findings.warnings > 0 ? "\n" : "", (int)rc,
                     rc == DEFUPD_OK ? "true" : "false");
    }
    (void)fclose(findings.warned);
    free(warned);
    defupd_repo_close(repo);
    return rc;
}

defupd_code pt_verify(const struct pt_args *args, defupd_error *err)
{
    struct findings findings = { 0 };
    defupd_repo *repo = NULL;
    defupd_code rc;

    if (args->value[PT_OPT_JSON] != NULL)
        return verify_json(args, err);
    rc = pt_open(&repo, args, say_out, NULL, err);
    if (rc == DEFUPD_OK)
        rc = defupd_repo_verify(repo, show_finding, &findings, err);
    if (rc == DEFUPD_OK)
        (void)printf("repository is right\n");
    defupd_repo_close(repo);
    return rc;
}
