/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taking away what no reader can ask for any more. A reader asks for what a snapshot names, that it
 * found by a timestamp: so everything below the present snapshot, and below each that was the
 * present one within the last days, stays. So do all roots, what a pending change names, and what
 * is younger than these days. The rest goes; files that are not ours are left alone.
 */
#include <fcntl.h>
#include <search.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "publish/publish_priv.h"
#include "tree/tree.h"

#define DAY_S (24 * 3600)
#define DAYS_MIN 7
#define DAYS_MAX 3650
#define PATH_SIZE (DU_PART_MAX + 3 * DU_META_NAME)

struct prune {
    const struct defupd_repo *repo;
    defupd_repo_pruning *told;
    struct du_dirs dirs;
    struct du_state state;
    int64_t before; /* what was superseded or written before it may go */
    void *keep;     /* tree of paths */
};

/* --- what stays --- */

static int compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

static bool is_kept(const struct prune *prune, const char *path)
{
    return tfind(path, &prune->keep, compare) != NULL;
}

__attribute__((format(printf, 4, 5))) static defupd_code keep(struct prune *prune, bool *fresh,
                                                              defupd_error *err, const char *format,
                                                              ...)
{
    char path[PATH_SIZE];
    char *copy;
    va_list args;

    va_start(args, format);
    (void)vsnprintf(path, sizeof path, format, args);
    va_end(args);
    *fresh = !is_kept(prune, path);
    if (!*fresh)
        return DEFUPD_OK;
    copy = du_strdup(path);
    if (copy == NULL || tsearch(copy, &prune->keep, compare) == NULL) {
        free(copy);
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a list of files");
    }
    return DEFUPD_OK;
}

static defupd_code keep_object(struct prune *prune, const struct du_object *object,
                               defupd_error *err)
{
    char hex[DU_SHA256_HEX + 1];
    bool fresh;

    if (object->codec[0] == '\0')
        return DEFUPD_OK;
    du_hex(hex, object->sha256, sizeof object->sha256);
    return keep(prune, &fresh, err, "objects/%.2s/%s", hex, hex);
}

/* A superseded file that is not there or not right names nothing that anybody could find by it. A
 * failing disk is another matter: what cannot be read might name something. */
static defupd_code pass_over(const defupd_error *err)
{
    if (err->code == DEFUPD_E_NOMEM || (err->code == DEFUPD_E_IO && !du_is_missing(err)))
        return err->code;
    return DEFUPD_OK;
}

static defupd_code read_manifest(const struct prune *prune, const char *component, const char *file,
                                 const struct du_target *target, struct du_manifest **out,
                                 defupd_error *err)
{
    DU_AUTO_BUF bytes = DU_BUF(DU_MANIFEST_BYTES_MAX);
    struct du_verified verified;
    DU_AUTO_FD dir = -1;

    DU_TRY(du_dir_open(prune->repo->sys, prune->dirs.targets, component, false, 0, &dir, err));
    DU_TRY(du_file_read(prune->repo->sys, dir, file, &bytes, err));
    DU_TRY(du_target_check(target, du_buf_bytes(&bytes), file, &verified, err));
    return du_manifest_parse(out, &verified, component, file, err);
}

/* A target: {length, hashes}. */
static defupd_code keep_manifest(struct prune *prune, const char *component,
                                 const struct du_json *stated, defupd_error *err)
{
    const char *hex = du_json_string(du_json_object(stated, "hashes"), "sha256");
    DU_AUTO_MANIFEST *manifest = NULL;
    struct du_target target = { .has_sha256 = true };
    char file[DU_META_NAME];
    int64_t length;
    bool fresh;

    if (hex == NULL || !du_unhex(target.sha256, sizeof target.sha256, hex) ||
        !du_json_int(stated, "length", &length) || length < 0)
        return DEFUPD_OK;
    target.length = (uint64_t)length;
    (void)snprintf(file, sizeof file, "%s.manifest.xml", hex);
    DU_TRY(keep(prune, &fresh, err, "targets/%s/%s", component, file));
    if (!fresh)
        return DEFUPD_OK;
    if (read_manifest(prune, component, file, &target, &manifest, err) != DEFUPD_OK)
        return pass_over(err);
    for (size_t i = 0; i < manifest->count; i++) {
        const struct du_release *release = &manifest->release[i];
        DU_TRY(keep_object(prune, &release->full, err));
        for (size_t k = 0; k < release->deltas; k++)
            DU_TRY(keep_object(prune, &release->delta[k], err));
    }
    return DEFUPD_OK;
}

/* The content of a targets role, whatever its name. */
static defupd_code keep_targets(struct prune *prune, const struct du_json *part, defupd_error *err)
{
    static const char manifest[] = "/manifest.xml";
    const struct du_json *targets = du_json_object(part, "targets");

    for (void *i = du_json_first(targets); i != NULL; i = du_json_next(targets, i)) {
        const char *path = du_json_iter_key(i), *slash = strchr(path, '/');
        char component[DU_NAME_MAX + 1];

        if (slash == NULL || strcmp(slash, manifest) != 0 || slash - path > DU_NAME_MAX)
            continue;
        memcpy(component, path, (size_t)(slash - path));
        component[slash - path] = '\0';
        if (du_name_ok(component))
            DU_TRY(keep_manifest(prune, component, du_json_iter_value(i), err));
    }
    return DEFUPD_OK;
}

/* metadata/FILE as JSON; *json stays NULL when it is not there or not right. */
static defupd_code read_json(const struct prune *prune, const char *file, struct du_json **json,
                             defupd_error *err)
{
    DU_AUTO_BUF bytes = DU_BUF(du_role_max(DU_ROLE_TARGETS));

    if (du_file_read(prune->repo->sys, prune->dirs.metadata, file, &bytes, err) != DEFUPD_OK ||
        du_json_parse(json, du_buf_bytes(&bytes), file, err) != DEFUPD_OK)
        return pass_over(err);
    return DEFUPD_OK;
}

/* "NAME.json" in a snapshot's meta, of version N: metadata/N.NAME.json and what it names. */
static defupd_code keep_role(struct prune *prune, const char *name, int64_t version,
                             defupd_error *err)
{
    DU_AUTO_JSON *json = NULL;
    char file[PATH_SIZE];
    bool fresh;

    if (strchr(name, '/') != NULL || strlen(name) > DU_PART_MAX)
        return DEFUPD_OK;
    (void)snprintf(file, sizeof file, "%lld.%s", (long long)version, name);
    DU_TRY(keep(prune, &fresh, err, "metadata/%s", file));
    if (!fresh)
        return DEFUPD_OK;
    DU_TRY(read_json(prune, file, &json, err));
    return keep_targets(prune, du_json_object(json, "signed"), err);
}

static defupd_code keep_snapshot(struct prune *prune, uint64_t version, defupd_error *err)
{
    DU_AUTO_JSON *json = NULL;
    const struct du_json *meta;
    char file[DU_META_NAME];
    bool fresh;

    du_role_file(file, "snapshot", version);
    DU_TRY(keep(prune, &fresh, err, "metadata/%s", file));
    DU_TRY(read_json(prune, file, &json, err));
    meta = du_json_object(du_json_object(json, "signed"), "meta");
    for (void *i = du_json_first(meta); i != NULL; i = du_json_next(meta, i)) {
        int64_t stated;
        if (du_json_int(du_json_iter_value(i), "version", &stated) && stated > 0)
            DU_TRY(keep_role(prune, du_json_iter_key(i), stated, err));
    }
    return DEFUPD_OK;
}

static defupd_code keep_pending(struct prune *prune, defupd_error *err)
{
    struct du_pending pending = { 0 };
    defupd_code rc;
    size_t at = 0;
    bool there;

    rc = du_pending_load(prune->repo, &pending, &there, err);
    if (rc == DEFUPD_OK && there)
        for (const struct du_role_doc *doc;
             rc == DEFUPD_OK && (doc = du_role_set_at(&pending.next.set, &at)) != NULL;)
            rc = keep_targets(prune, du_role_doc_part(doc), err);
    du_pending_free(&pending);
    return rc;
}

/* --- which files there are --- */

/* "N.ROLE.json" with a role of ours. */
static bool role_file(const char *file, char role[DU_NAME_MAX + 1], uint64_t *version)
{
    const char *dot = strchr(file, '.'), *end = strrchr(file, '.');
    char digits[DU_VERSION_TEXT];
    enum du_role known;

    if (dot == NULL || end <= dot + 1 || strcmp(end, ".json") != 0 ||
        dot - file >= (ptrdiff_t)sizeof digits || end - dot - 1 > DU_NAME_MAX)
        return false;
    (void)snprintf(digits, sizeof digits, "%.*s", (int)(dot - file), file);
    (void)snprintf(role, DU_NAME_MAX + 1, "%.*s", (int)(end - dot - 1), dot + 1);
    return du_version_parse(digits, version) && du_role_of(role, &known);
}

static bool written_before(int dir, const char *name, int64_t when, uint64_t *bytes)
{
    struct stat st;

    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return false;
    *bytes = st.st_size > 0 ? (uint64_t)st.st_size : 0;
    return (int64_t)st.st_mtim.tv_sec <= when;
}

static int by_number(const void *a, const void *b)
{
    const uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

    return left < right ? -1 : left > right;
}

/* The present snapshot, and all that were the present one within the last days: those written
 * since, and, when the present one is younger too, the newest two before. One of these was the
 * present one when the days began, and the other may be left by a run that was cut short. */
static defupd_code keep_snapshots(struct prune *prune, const struct du_names *files,
                                  defupd_error *err)
{
    DU_AUTO_FREE uint64_t *old = calloc(files->count + 1, sizeof *old);
    const uint64_t now = prune->state.set.doc[DU_ROLE_SNAPSHOT].version;
    char role[DU_NAME_MAX + 1], file[DU_META_NAME];
    uint64_t version, bytes;
    size_t count = 0;

    if (old == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a list of files");
    for (size_t i = 0; i < files->count; i++) {
        if (!role_file(files->item[i], role, &version) || strcmp(role, "snapshot") != 0 ||
            version >= now)
            continue;
        if (written_before(prune->dirs.metadata, files->item[i], prune->before, &bytes))
            old[count++] = version;
        else
            DU_TRY(keep_snapshot(prune, version, err));
    }
    qsort(old, count, sizeof *old, by_number);
    du_role_file(file, "snapshot", now);
    if (written_before(prune->dirs.metadata, file, prune->before, &bytes))
        count = 0; /* it has been the present one all the time */
    for (size_t i = count > 2 ? count - 2 : 0; i < count; i++)
        DU_TRY(keep_snapshot(prune, old[i], err));
    return keep_snapshot(prune, now, err);
}

/* --- what goes --- */

static defupd_code take_away(struct prune *prune, int dir, const char *name, const char *path,
                             uint64_t bytes, defupd_error *err)
{
    if (prune->told->dry_run == 0 && prune->repo->sys->unlinkat(dir, name, 0) != 0 &&
        errno != ENOENT)
        return DU_FAIL_IO(err, "remove %s", path);
    prune->told->files++;
    prune->told->bytes += bytes;
    if (prune->told->on_file != NULL)
        prune->told->on_file(prune->told->user, path);
    return DEFUPD_OK;
}

/* What is beside our files was put there by somebody else. */
static bool is_ours(const struct prune *prune, const char *top, const char *below, const char *file)
{
    unsigned char digest[DU_SHA256_BYTES];
    char role[DU_NAME_MAX + 1], hex[DU_SHA256_HEX + 1];
    const struct du_role_doc *doc;
    uint64_t version;

    if (strcmp(top, "metadata") == 0) {
        if (!role_file(file, role, &version) || strcmp(role, "root") == 0)
            return false;
        /* One with a higher number is of a run that was cut short: the number must not be used
         * again, since a cache may have the file. */
        doc = du_role_set_find(&prune->state.set, role);
        return doc != NULL && version <= doc->version;
    }
    (void)snprintf(hex, sizeof hex, "%s", file);
    if (!du_unhex(digest, sizeof digest, hex))
        return false;
    if (strcmp(top, "targets") == 0)
        return du_name_ok(below) && strcmp(file + DU_SHA256_HEX, ".manifest.xml") == 0;
    return strlen(below) == 2 && strncmp(below, file, 2) == 0 && file[DU_SHA256_HEX] == '\0';
}

static bool is_leftover(const char *name)
{
    const size_t len = strlen(name);

    return len > 4 && strcmp(name + len - 4, ".tmp") == 0;
}

/* Files of one folder; `below` is "" or its name below `top`. */
static defupd_code sweep(struct prune *prune, int dir, const char *top, const char *below,
                         defupd_error *err)
{
    DU_AUTO_NAMES names = { 0 };
    char path[PATH_SIZE + DU_PART_MAX];

    DU_TRY(du_dir_names(prune->repo->sys, dir, &names, err));
    for (size_t i = 0; i < names.count; i++) {
        const char *name = names.item[i];
        uint64_t bytes = 0;

        (void)snprintf(path, sizeof path, "%s/%s%s%s", top, below, below[0] != '\0' ? "/" : "",
                       name);
        if (is_leftover(name)) {
            /* The lock says that nobody is writing it. */
            if (prune->told->dry_run == 0)
                DU_TRY(du_tree_remove(prune->repo->sys, dir, name, NULL, err));
            continue;
        }
        if (is_ours(prune, top, below, name) && !is_kept(prune, path) &&
            written_before(dir, name, prune->before, &bytes))
            DU_TRY(take_away(prune, dir, name, path, bytes, err));
        DU_TRY(du_repo_go_on(prune->repo, err));
    }
    return DEFUPD_OK;
}

static bool is_folder(int dir, const char *name)
{
    struct stat st;

    return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

/* The folders of components, or of objects. */
static defupd_code sweep_below(struct prune *prune, int parent, const char *top, defupd_error *err)
{
    DU_AUTO_NAMES names = { 0 };

    DU_TRY(sweep(prune, parent, top, "", err)); /* leftovers */
    DU_TRY(du_dir_names(prune->repo->sys, parent, &names, err));
    for (size_t i = 0; i < names.count; i++) {
        DU_AUTO_FD dir = -1;

        if (!is_folder(parent, names.item[i]) || is_leftover(names.item[i]))
            continue;
        DU_TRY(du_dir_open(prune->repo->sys, parent, names.item[i], false, 0, &dir, err));
        DU_TRY(sweep(prune, dir, top, names.item[i], err));
    }
    return DEFUPD_OK;
}

static defupd_code prune_all(struct prune *prune, defupd_error *err)
{
    DU_AUTO_NAMES files = { 0 };

    DU_TRY(du_dirs_open(prune->repo, &prune->dirs, true, err));
    /* What does not verify is not understood either: nothing goes before it is mended. */
    DU_TRY(du_state_load(prune->repo, &prune->dirs, &prune->state, err));
    prune->before = prune->state.now - (int64_t)prune->told->days * DAY_S;
    DU_TRY(du_dir_names(prune->repo->sys, prune->dirs.metadata, &files, err));
    DU_TRY(keep_snapshots(prune, &files, err));
    DU_TRY(keep_pending(prune, err));
    /* From the top: what names goes before what is named. */
    DU_TRY(sweep(prune, prune->dirs.metadata, "metadata", "", err));
    DU_TRY(sweep_below(prune, prune->dirs.targets, "targets", err));
    return sweep_below(prune, prune->dirs.objects, "objects", err);
}

defupd_code defupd_repo_prune(defupd_repo *repo, defupd_repo_pruning *pruning, defupd_error *error)
{
    defupd_error scratch, *err = error != NULL ? error : &scratch;
    struct prune prune = { .repo = repo, .told = pruning, .dirs = DU_DIRS };
    defupd_code rc;

    if (repo == NULL)
        return DU_FAIL(err, DEFUPD_E_INVALID, "no repository");
    if (pruning == NULL || pruning->struct_size != sizeof *pruning)
        return DU_FAIL(err, DEFUPD_E_INVALID, "request is from another version of the header");
    if (pruning->days == 0)
        pruning->days = DAYS_MIN;
    if (pruning->days < DAYS_MIN || pruning->days > DAYS_MAX)
        return DU_FAIL(err, DEFUPD_E_INVALID,
                       "%u days are not from %d to %d: readers under way "
                       "need what they found",
                       pruning->days, DAYS_MIN, DAYS_MAX);
    pruning->files = pruning->bytes = 0;
    rc = prune_all(&prune, err);
    tdestroy(prune.keep, free);
    du_state_free(&prune.state);
    du_dirs_close(&prune.dirs);
    return rc;
}
