/* SPDX-License-Identifier: Apache-2.0 */
/* `add-release` and `prune`: what was made and what went, for people and as JSON. */
#include <inttypes.h>
#include <string.h>

#include "../json.h"
#include "../text.h"
#include "tool.h"

struct told {
    defupd_repo_added added;
    defupd_repo_delta delta[DEFUPD_REPO_DELTAS_MAX];
    char why[DEFUPD_REPO_DELTAS_MAX][DEFUPD_ERROR_MESSAGE_MAX];
    size_t deltas;
};

static void keep_delta(void *user, const defupd_repo_delta *delta)
{
    struct told *told = user;

    if (told->deltas == DEFUPD_REPO_DELTAS_MAX)
        return;
    told->delta[told->deltas] = *delta;
    (void)snprintf(told->why[told->deltas], sizeof told->why[0], "%s", delta->why);
    ag_clean(told->why[told->deltas]);
    told->deltas++;
}

static const char *state_word(uint32_t state)
{
    switch ((defupd_repo_delta_state)state) {
    case DEFUPD_REPO_DELTA_MADE: return "made";
    case DEFUPD_REPO_DELTA_DEAR: return "dear";
    case DEFUPD_REPO_DELTA_NO_SOURCE: return "no-source";
    case DEFUPD_REPO_DELTA_WRONG: return "wrong";
    }
    return "unknown";
}

static double share_of(const defupd_repo_delta *delta)
{
    return delta->full_bytes > 0 ? 100.0 * (double)delta->bytes / (double)delta->full_bytes : 0;
}

/* --- for people --- */

static const char *state_text(const struct told *told, size_t at)
{
    switch ((defupd_repo_delta_state)told->delta[at].state) {
    case DEFUPD_REPO_DELTA_MADE: return "";
    case DEFUPD_REPO_DELTA_DEAR: return "not published: costs as much as the bundle";
    case DEFUPD_REPO_DELTA_NO_SOURCE:
    case DEFUPD_REPO_DELTA_WRONG: break;
    }
    return told->why[at];
}

static void show_deltas(const struct told *told)
{
    static const char *const header[] = { "delta from", "bytes", "of the bundle",
                                          "seconds",    "",      NULL };
    char from[24], bytes[24], share[24], seconds[24];
    struct ag_table table;

    if (told->deltas == 0)
        return;
    ag_table_start(&table, 0xf, header);
    for (size_t i = 0; i < told->deltas; i++) {
        const defupd_repo_delta *delta = &told->delta[i];
        const bool made = delta->bytes > 0;

        (void)snprintf(from, sizeof from, "%" PRIu64, delta->from);
        (void)snprintf(bytes, sizeof bytes, "%" PRIu64, delta->bytes);
        (void)snprintf(share, sizeof share, "%.1f %%", share_of(delta));
        (void)snprintf(seconds, sizeof seconds, "%.1f", (double)delta->ms / 1000);
        ag_table_row(&table, (const char *const[]){ from, made ? bytes : "-", made ? share : "-",
                                                    seconds, state_text(told, i) });
    }
    ag_table_end(&table, stdout);
}

static void show_added(const struct pt_args *args, const struct told *told)
{
    const defupd_repo_added *added = &told->added;

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
    (void)printf("\ndeltas        %" PRIu64, added->deltas);
    if (added->deltas > 0)
        (void)printf(", %" PRIu64 " bytes", added->delta_bytes);
    (void)printf("\nversions      %" PRIu64 ", from %" PRIu64 " to %s\n", added->releases,
                 added->oldest, args->word[1]);
    if (added->dropped > 0)
        (void)printf("dropped       %" PRIu64 " oldest from the manifest\n", added->dropped);
    (void)printf("trusted root  %s/metadata/1.root.json\n", args->value[PT_OPT_REPO]);
    if (added->pending != 0)
        (void)printf("state         pending: see 'sign list'\n");
    show_deltas(told);
}

/* --- for programs --- */

static bool put_delta(json_t *rows, const struct told *told, size_t at)
{
    const defupd_repo_delta *delta = &told->delta[at];
    json_t *row = ag_json_row(rows);

    return ag_json_number(row, "from", delta->from) &&
           ag_json_text(row, "state", state_word(delta->state)) &&
           ag_json_number(row, "bytes", delta->bytes) &&
           ag_json_add(row, "share", json_real(share_of(delta) / 100)) &&
           ag_json_number(row, "ms", delta->ms) && ag_json_text(row, "object", delta->object) &&
           ag_json_text(row, "text", told->why[at]);
}

static bool put_added(json_t *doc, const struct pt_args *args, const struct told *told)
{
    const defupd_repo_added *added = &told->added;
    json_t *rows = json_array();
    bool done = ag_json_text(doc, "component", args->word[0]) &&
                ag_json_number(doc, "version", args->version) &&
                ag_json_text(doc, "tree", added->tree) &&
                ag_json_number(doc, "files", added->files) &&
                ag_json_number(doc, "tree_bytes", added->tree_bytes) &&
                ag_json_text(doc, "object", added->object) &&
                ag_json_number(doc, "bundle_bytes", added->bundle_bytes) &&
                ag_json_add(doc, "shared", json_boolean(added->shared != 0)) &&
                ag_json_number(doc, "releases", added->releases) &&
                ag_json_number(doc, "oldest", added->oldest) &&
                ag_json_number(doc, "dropped", added->dropped) &&
                ag_json_add(doc, "pending", json_boolean(added->pending != 0)) &&
                ag_json_number(doc, "delta_bytes", added->delta_bytes);

    done = ag_json_add(doc, "deltas", rows) && done;
    for (size_t i = 0; done && i < told->deltas; i++)
        done = put_delta(rows, told, i);
    return done;
}

/* --- the commands --- */

static defupd_code add_release(const struct pt_args *args, struct told *told, defupd_error *err)
{
    defupd_repo_release release = DEFUPD_REPO_RELEASE_INIT;
    defupd_repo *repo = NULL;
    struct pt_rollout rollout;
    bool rolled;
    defupd_code rc = pt_take_rollout(&rollout, args, &rolled, err);

    told->added = (defupd_repo_added)DEFUPD_REPO_ADDED_INIT;
    release.component = args->word[0];
    release.version = args->version;
    release.tree_dir = args->word[2];
    release.label = args->value[PT_OPT_LABEL];
    release.licence_class = args->value[PT_OPT_CLASS];
    release.note = args->value[PT_OPT_NOTE];
    release.published = args->published;
    release.pending = args->value[PT_OPT_PENDING] != NULL;
    release.deltas = args->deltas;
    release.no_deltas = args->value[PT_OPT_DELTAS] != NULL && args->deltas == 0;
    release.jobs = args->jobs;
    release.memory_bytes = args->memory;
    release.added = &told->added;
    release.on_delta = keep_delta;
    release.user = told;
    release.rollout = rolled ? &rollout.rollout : NULL;
    if (rc == DEFUPD_OK)
        rc = pt_open(&repo, args, pt_say, NULL, err);
    if (rc == DEFUPD_OK)
        rc = defupd_repo_add_release(repo, &release, err);
    pt_close(repo);
    return rc;
}

static void warn_of_wrong(const struct told *told)
{
    char line[DEFUPD_ERROR_MESSAGE_MAX + 64];

    for (size_t i = 0; i < told->deltas; i++) {
        if (told->delta[i].state != DEFUPD_REPO_DELTA_WRONG)
            continue;
        (void)snprintf(line, sizeof line, "warning: the delta from %" PRIu64 " is wrong: %s",
                       told->delta[i].from, told->why[i]);
        pt_say(NULL, line);
    }
}

defupd_code pt_add_release(const struct pt_args *args, defupd_error *err)
{
    static struct told told; /* large for a stack */
    const defupd_code rc = add_release(args, &told, err);
    json_t *doc;

    if (rc == DEFUPD_OK)
        warn_of_wrong(&told);
    if (args->value[PT_OPT_JSON] == NULL) {
        if (rc == DEFUPD_OK)
            show_added(args, &told);
        return rc;
    }
    doc = json_object();
    if (rc == DEFUPD_OK && !put_added(doc, args, &told))
        return pt_json_end(doc, args, pt_fail(err, DEFUPD_E_NOMEM, "no memory for the result"),
                           err);
    return pt_json_end(doc, args, rc, err);
}

struct gone {
    bool json, incomplete;
    json_t *files; /* borrowed from the document */
};

static void show_file(void *user, const char *path)
{
    struct gone *gone = user;

    if (!gone->json)
        pt_line(path);
    else if (!ag_json_append(gone->files, json_string(path)))
        gone->incomplete = true;
}

static defupd_code prune_json(json_t *doc, const struct pt_args *args, const struct gone *gone,
                              const defupd_repo_pruning *pruning, defupd_code rc, defupd_error *err)
{
    if (rc == DEFUPD_OK && (gone->incomplete || !ag_json_number(doc, "removed", pruning->files) ||
                            !ag_json_number(doc, "bytes", pruning->bytes) ||
                            !ag_json_number(doc, "days", pruning->days) ||
                            !ag_json_add(doc, "dry_run", json_boolean(pruning->dry_run != 0))))
        rc = pt_fail(err, DEFUPD_E_NOMEM, "no memory for the result");
    return pt_json_end(doc, args, rc, err);
}

defupd_code pt_prune(const struct pt_args *args, defupd_error *err)
{
    defupd_repo_pruning pruning = DEFUPD_REPO_PRUNING_INIT;
    struct gone gone = { .json = args->value[PT_OPT_JSON] != NULL };
    json_t *doc = gone.json ? json_object() : NULL;
    char bytes[AG_AMOUNT];
    defupd_repo *repo = NULL;
    defupd_code rc;

    if (gone.json) {
        gone.files = json_array();
        gone.incomplete = !ag_json_add(doc, "files", gone.files);
    }
    pruning.days = args->keep_days;
    pruning.dry_run = args->value[PT_OPT_DRY_RUN] != NULL;
    pruning.on_file = show_file;
    pruning.user = &gone;
    rc = pt_open(&repo, args, pt_say, NULL, err);
    if (rc == DEFUPD_OK)
        rc = defupd_repo_prune(repo, &pruning, err);
    pt_close(repo);
    if (gone.json)
        return prune_json(doc, args, &gone, &pruning, rc, err);
    if (rc == DEFUPD_OK)
        (void)printf("%s %" PRIu64 " file%s, %s\n",
                     pruning.dry_run != 0 ? "would remove" : "removed", pruning.files,
                     pruning.files == 1 ? "" : "s", ag_bytes(bytes, pruning.bytes));
    return rc;
}
