/* SPDX-License-Identifier: Apache-2.0 */
#include "tool.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void say(void *user, const char *line)
{
    (void)user;
    (void)fprintf(stderr, "defupd-publish: %s\n", line);
}

/* For commands whose result is told on stdout: warnings only. */
static void say_warnings(void *user, const char *line)
{
    if (strncmp(line, "warning:", 8) == 0)
        say(user, line);
}

static defupd_code open_repo(defupd_repo **repo, const struct pt_args *args,
                             defupd_repo_say_fn on_say, defupd_error *err)
{
    defupd_repo_options options = DEFUPD_REPO_OPTIONS_INIT;

    options.repo_dir = args->value[PT_OPT_REPO];
    options.keys_dir = args->value[PT_OPT_KEYS];
    options.compression_level = args->level;
    options.temp_dir = getenv("TMPDIR");
    options.on_say = on_say;
    return defupd_repo_open(repo, &options, err);
}

defupd_code pt_init(const struct pt_args *args, defupd_error *err)
{
    defupd_repo *repo = NULL;
    defupd_code rc = open_repo(&repo, args, say, err);

    if (rc == DEFUPD_OK)
        rc = defupd_repo_init(repo, err);
    if (rc == DEFUPD_OK)
        (void)printf("repository    %s\n"
                     "trusted root  %s/metadata/1.root.json\n",
                     args->value[PT_OPT_REPO], args->value[PT_OPT_REPO]);
    defupd_repo_close(repo);
    return rc;
}

defupd_code pt_key_generate(const struct pt_args *args, defupd_error *err)
{
    char id[65] = "";
    defupd_repo *repo = NULL;
    defupd_code rc = open_repo(&repo, args, say, err);

    if (rc == DEFUPD_OK)
        rc = defupd_repo_key_generate(repo, args->word[0], args->value[PT_OPT_TYPE], id, err);
    if (rc == DEFUPD_OK)
        (void)printf("%s\n", id);
    defupd_repo_close(repo);
    return rc;
}

static void show_key(void *user, const defupd_repo_key *key)
{
    (void)user;
    (void)printf("%-9s  %-7s  %-7s  %-8s  %.64s  %s\n", key->role, key->type,
                 key->has_private ? "private" : "public", key->in_root ? "in-root" : "unused",
                 key->keyid, key->file[0] != '\0' ? key->file : "-");
}

defupd_code pt_key_list(const struct pt_args *args, defupd_error *err)
{
    defupd_repo *repo = NULL;
    defupd_code rc = open_repo(&repo, args, say, err);

    if (rc == DEFUPD_OK)
        rc = defupd_repo_key_list(repo, show_key, NULL, err);
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
}

defupd_code pt_add_release(const struct pt_args *args, defupd_error *err)
{
    defupd_repo_release release = DEFUPD_REPO_RELEASE_INIT;
    defupd_repo_added added = DEFUPD_REPO_ADDED_INIT;
    defupd_repo *repo = NULL;
    defupd_code rc = open_repo(&repo, args, say, err);

    release.component = args->word[0];
    release.version = args->version;
    release.tree_dir = args->word[2];
    release.label = args->value[PT_OPT_LABEL];
    release.licence_class = args->value[PT_OPT_CLASS];
    release.note = args->value[PT_OPT_NOTE];
    release.published = args->published;
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
        say(NULL, line);
    else
        (void)printf("%s\n", line);
}

defupd_code pt_refresh(const struct pt_args *args, defupd_error *err)
{
    defupd_repo *repo = NULL;
    defupd_code rc = open_repo(&repo, args, say_out, err);

    if (rc == DEFUPD_OK)
        rc = defupd_repo_refresh(repo, err);
    defupd_repo_close(repo);
    return rc;
}

static void json_string(const char *text)
{
    (void)putchar('"');
    for (; *text != '\0'; text++) {
        const unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            (void)printf("\\%c", c);
        else if (c < 0x20)
            (void)printf("\\u%04x", c);
        else
            (void)putchar(c);
    }
    (void)putchar('"');
}

struct findings {
    bool json;
    size_t count;
};

static void show_finding(void *user, const char *line)
{
    struct findings *findings = user;

    if (!findings->json) {
        (void)printf("defect: %s\n", line);
    } else {
        (void)fputs(findings->count == 0 ? "\n  " : ",\n  ", stdout);
        json_string(line);
    }
    findings->count++;
}

defupd_code pt_verify(const struct pt_args *args, defupd_error *err)
{
    struct findings findings = { .json = args->value[PT_OPT_JSON] != NULL };
    defupd_repo *repo = NULL;
    defupd_code rc = open_repo(&repo, args, findings.json ? say_warnings : say_out, err);

    if (rc != DEFUPD_OK)
        return rc;
    if (findings.json) {
        (void)fputs("{\"repository\": ", stdout);
        json_string(args->value[PT_OPT_REPO]);
        (void)fputs(", \"defects\": [", stdout);
    }
    rc = defupd_repo_verify(repo, show_finding, &findings, err);
    if (findings.json)
        (void)printf("%s], \"code\": %d, \"ok\": %s}\n", findings.count > 0 ? "\n" : "", (int)rc,
                     rc == DEFUPD_OK ? "true" : "false");
    else if (rc == DEFUPD_OK)
        (void)printf("repository is right\n");
    defupd_repo_close(repo);
    return rc;
}
