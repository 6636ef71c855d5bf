/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/config.h"

#include <stdlib.h>
#include <string.h>

#include "become.h"
#include "fail.h"
#include "files.h"
#include "json.h"
#include "policy/compile.h"
#include "policy/examples.h"
#include "result.h"
#include "text.h"

const char *ag_config_file(const struct ag_args *args, const char **standard)
{
    const char *dir = args->value[AG_OPT_STATE_DIR];

    /* The default policy is the default store's. Nothing under /etc counts for another store, nor
     * when the options say all that is needed. */
    *standard = dir == NULL || (strcmp(dir, AG_DEFAULT_STATE_DIR) == 0 && args->sources[0] == NULL)
                    ? AG_POLICY_FILE
                    : NULL;
    return args->value[AG_OPT_CONFIG];
}

static defupd_code load(struct ag_force *force, const struct ag_args *args, const char *state_dir,
                        defupd_error *err)
{
    const char *standard, *config = ag_config_file(args, &standard);
    struct ag_owner owner;

    AG_TRY(ag_owner_find(state_dir, &owner, err));
    return ag_force_load(force, config, standard, state_dir, owner.uid, err);
}

/* Options that take the place of settings. */
static void find_overrides(struct ag_override *out, const struct ag_args *args,
                           char shown[AG_OVERRIDES_MAX][200])
{
    static const struct {
        enum ag_option_id option;
        const char *path, *name;
    } map[] = {
        { AG_OPT_PROXY, "proxy", "--proxy" },
        { AG_OPT_CA_FILE, "tls/ca-file", "--ca-file" },
        { AG_OPT_TRUSTED_ROOT, "trust/root", "--trusted-root" },
        { AG_OPT_RING, "components/ring", "--ring" },
    };
    size_t count = 0;

    for (size_t i = 0; i < sizeof map / sizeof map[0]; i++) {
        if (ag_given(args, map[i].option)) {
            out[count] = (struct ag_override){ map[i].path, map[i].name,
                                               ag_url_shown(shown[count], sizeof shown[count],
                                                            args->value[map[i].option]) };
            count++;
        }
    }
    for (size_t i = 0; args->sources[i] != NULL && count < AG_OVERRIDES_MAX; i++) {
        out[count] = (struct ag_override){
            "sources", "--source", ag_url_shown(shown[count], sizeof shown[count], args->sources[i])
        };
        count++;
    }
    for (size_t i = 0; args->engines[i] != NULL && count < AG_OVERRIDES_MAX; i++)
        out[count++] =
            (struct ag_override){ "components/installed-engine", "--engine", args->engines[i] };
}

static defupd_code show(const struct ag_args *args, const char *state_dir, FILE *out,
                        defupd_error *err)
{
    struct ag_override overrides[AG_OVERRIDES_MAX + 1] = { 0 };
    char shown[AG_OVERRIDES_MAX][200];
    struct ag_force force = { 0 };
    defupd_code rc = load(&force, args, state_dir, err);

    if (rc == DEFUPD_OK) {
        find_overrides(overrides, args, shown);
        rc = ag_policy_show(out, &force, overrides, ag_given(args, AG_OPT_JSON), err);
    }
    ag_force_free(&force);
    return rc;
}

static defupd_code export(const struct ag_args *args, const char *state_dir, FILE *out,
                          FILE *errors, defupd_error *err)
{
    static const struct ag_policy none;
    struct ag_force force = { 0 };
    char *bytes = NULL;
    defupd_code rc = load(&force, args, state_dir, err);

    if (rc == DEFUPD_OK && force.from == AG_FORCE_LAST)
        ag_line(errors, "defupd: warning: this is the last good policy: %s", force.error.message);
    if (rc == DEFUPD_OK)
        rc = ag_policy_write(&bytes, force.policy != NULL ? force.policy : &none,
                             "The policy in force, exported by defupd.", err);
    if (rc == DEFUPD_OK)
        (void)fputs(bytes, out);
    free(bytes);
    ag_force_free(&force);
    return rc;
}

static defupd_code tell_json(FILE *out, const char *path, const struct ag_findings *findings,
                             defupd_error *err)
{
    json_t *doc = json_object(), *lines = json_array();
    char *text = NULL;
    bool done = ag_json_text(doc, "file", path) &&
                ag_json_add(doc, "ok", json_boolean(findings->count == 0));

    for (size_t i = 0; i < findings->count; i++)
        done = ag_json_append(lines, json_string(findings->line[i])) && done;
    done = ag_json_add(doc, "errors", lines) && done;
    if (done)
        text = json_dumps(doc, JSON_INDENT(2));
    json_decref(doc);
    if (text == NULL)
        return AG_FAIL(err, DEFUPD_E_NOMEM, "out of memory while telling of the policy");
    (void)fprintf(out, "%s\n", text);
    free(text);
    return DEFUPD_OK;
}

/* Findings go bare, a line each, so that editors find the place. */
static defupd_code tell(const struct ag_args *args, FILE *out, FILE *errors, const char *path,
                        const struct ag_findings *findings, defupd_code code, defupd_error *err)
{
    if (ag_given(args, AG_OPT_JSON)) {
        AG_TRY(tell_json(out, path, findings, err));
    } else {
        for (size_t i = 0; i < findings->count; i++)
            ag_line(errors, "%s", findings->line[i]);
        if (findings->more > 0)
            ag_line(errors, "%zu more errors", findings->more);
        if (findings->count == 0)
            ag_line(out, "%s: OK", path);
    }
    if (findings->count == 0)
        return DEFUPD_OK;
    return AG_FAIL(err, code != DEFUPD_OK ? code : DEFUPD_E_POLICY, "%s: %zu error%s", path,
                   findings->count + findings->more,
                   findings->count + findings->more == 1 ? "" : "s");
}

static defupd_code compile(const struct ag_args *args, const char *state_dir, FILE *out,
                           FILE *errors, defupd_error *err)
{
    const char *standard, *config = ag_config_file(args, &standard);

    return ag_compile(out, errors, config, standard, state_dir, err);
}

static defupd_code test(const struct ag_args *args, const char *state_dir, FILE *out, FILE *errors,
                        defupd_error *err)
{
    const char *standard, *config = ag_config_file(args, &standard);
    const bool candidate = args->word_count > 1; /* not in its place yet: it may be anybody's */
    const char *path = candidate ? args->words[1] : config != NULL ? config : standard;
    struct ag_findings findings = { 0 };
    struct ag_policy *policy = NULL;
    struct ag_owner owner;
    defupd_code rc;

    if (path == NULL)
        return AG_FAIL(err, DEFUPD_E_INVALID, "'config test' needs a file, or --config");
    AG_TRY(ag_owner_find(state_dir, &owner, err));
    rc = ag_policy_load(&policy, path, owner.uid, candidate ? AG_LOAD_ANYONES : 0, &findings, err);
    if (rc == DEFUPD_OK)
        rc = ag_policy_check_files(policy, owner.uid, &findings);
    if (rc == DEFUPD_OK || findings.count > 0)
        rc = tell(args, out, errors, path, &findings, rc, err);
    ag_policy_free(policy);
    ag_findings_free(&findings);
    return rc;
}

/* Somebody's own policy made of it, and the examples beside it. */
static defupd_code init(const struct ag_args *args, const char *state_dir, FILE *out,
                        defupd_error *err)
{
    const char *standard, *config = ag_config_file(args, &standard);
    const char *path = config != NULL ? config : standard;
    size_t written = 0;

    if (path == NULL)
        return AG_FAIL(err, DEFUPD_E_INVALID, "'config init' needs --config");
    AG_TRY(ag_examples_write(state_dir, path, &ag_disk_posix, &written, err));
    if (!ag_given(args, AG_OPT_QUIET))
        ag_line(out,
                written > 0 ? "%zu examples written." : "No example written: it was done before.",
                written);
    return DEFUPD_OK;
}

static defupd_code run(const struct ag_args *args, const char *state_dir, FILE *out, FILE *errors,
                       defupd_error *err)
{
    switch (args->config) {
    case AG_CONFIG_SHOW: return show(args, state_dir, out, err);
    case AG_CONFIG_TEST: return test(args, state_dir, out, errors, err);
    case AG_CONFIG_EXPORT: return export(args, state_dir, out, errors, err);
    case AG_CONFIG_INIT: return init(args, state_dir, out, err);
    case AG_CONFIG_COMPILE: return compile(args, state_dir, out, errors, err);
    }
    return AG_FAIL(err, DEFUPD_E_BUG, "no call for 'config'");
}

int ag_config(const struct ag_args *args, FILE *out, FILE *errors)
{
    defupd_error err = { 0 };
    char *dir = NULL;
    defupd_code rc;

    rc = ag_path_absolute(&dir,
                          ag_given(args, AG_OPT_STATE_DIR) ? args->value[AG_OPT_STATE_DIR]
                                                           : AG_DEFAULT_STATE_DIR,
                          &err);
    if (rc == DEFUPD_OK)
        rc = run(args, dir, out, errors, &err);
    free(dir);
    if (rc == DEFUPD_OK && (fflush(out) != 0 || ferror(out)))
        rc = AG_FAIL_ERRNO(&err, DEFUPD_E_IO, "cannot write to standard output");
    if (rc != DEFUPD_OK && ag_given(args, AG_OPT_JSON) && args->config == AG_CONFIG_SHOW)
        ag_json_wrong_use(out, args, &err);
    if (rc != DEFUPD_OK)
        ag_text_error(errors, &err, args->verbose > 0);
    return defupd_code_exit(rc);
}
