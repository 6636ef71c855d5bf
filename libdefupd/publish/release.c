/* SPDX-License-Identifier: Apache-2.0 */
/* Publishing a release. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bundle/bundle.h"
#include "publish/publish_priv.h"
#include "tree/tree.h"

#define JOBS_MAX 64
#define MEMORY_MIN (UINT64_C(64) << 20)
#define MEMORY_DEFAULT (UINT64_C(4) << 30)

static defupd_code check_release(const struct defupd_repo *repo, const defupd_repo_release *release,
                                 defupd_error *err)
{
    if (release == NULL || release->struct_size != sizeof *release)
        return DU_FAIL(err, DEFUPD_E_INVALID, "release is from another version of the header");
    if (release->added != NULL && release->added->struct_size != sizeof *release->added)
        return DU_FAIL(err, DEFUPD_E_INVALID, "result is from another version of the header");
    DU_TRY(du_edition_check_name(release->component, release->version, err));
    if (release->tree_dir == NULL || release->tree_dir[0] == '\0')
        return DU_FAIL(err, DEFUPD_E_INVALID, "no tree to publish");
    /* Clients take the newest release for the least that an honest clock can show: one from the
     * future would make every one of them call its clock wrong. */
    if (release->published < 0 || release->published > repo->sys->now_s())
        return DU_FAIL(err, DEFUPD_E_INVALID,
                       "time of publication lies in the future or before 1970");
    if (release->deltas > DU_CHOOSE_DELTAS_MAX)
        return DU_FAIL(err, DEFUPD_E_INVALID, "%u deltas are more than %d", release->deltas,
                       DU_CHOOSE_DELTAS_MAX);
    if (release->jobs > JOBS_MAX)
        return DU_FAIL(err, DEFUPD_E_INVALID, "%u jobs are more than %d", release->jobs, JOBS_MAX);
    if (release->memory_bytes != 0 && release->memory_bytes < MEMORY_MIN)
        return DU_FAIL(err, DEFUPD_E_INVALID, "deltas need at least 64 MiB of memory");
    DU_TRY(du_edition_text("label", release->label, DU_LABEL_MAX, err));
    DU_TRY(du_edition_text("class", release->licence_class, DU_WORD_MAX, err));
    DU_TRY(du_edition_text("note", release->note, DU_TEXT_PUBLISH_MAX, err));
    return release->rollout != NULL ? du_edition_check_rollout(release->rollout, err) : DEFUPD_OK;
}

/* A tree that holds the keys directory would publish the private keys. */
static defupd_code check_apart(const struct defupd_repo *repo, const struct du_dirs *dirs, int tree,
                               const char *tree_dir, defupd_error *err)
{
    DU_AUTO_FD keys = repo->sys->openat(AT_FDCWD, repo->keys_path, O_RDONLY | O_DIRECTORY, 0);
    bool below = false;

    if (keys >= 0)
        DU_TRY(du_dir_below(repo->sys, keys, tree, &below, err));
    if (below)
        return DU_FAIL(err, DEFUPD_E_TREE_FORBIDDEN,
                       "tree %s holds the keys directory %s: it would be published", tree_dir,
                       repo->keys_path);
    DU_TRY(du_dir_below(repo->sys, dirs->top, tree, &below, err));
    if (below)
        return DU_FAIL(err, DEFUPD_E_TREE_FORBIDDEN, "tree %s holds the repository %s", tree_dir,
                       repo->dir_path);
    return DEFUPD_OK;
}

static defupd_code open_tree(const struct defupd_repo *repo, const struct du_dirs *dirs,
                             const char *tree_dir, int *fd, defupd_error *err)
{
    DU_AUTO_FD tree = repo->sys->openat(AT_FDCWD, tree_dir, O_RDONLY | O_DIRECTORY, 0);

    if (tree < 0 && (errno == ENOENT || errno == ENOTDIR))
        return DU_FAIL_ERRNO(err, DEFUPD_E_INVALID, "tree %s is not a folder", tree_dir);
    if (tree < 0)
        return DU_FAIL_IO(err, "open tree %s", tree_dir);
    DU_TRY(check_apart(repo, dirs, tree, tree_dir, err));
    *fd = du_take_fd(&tree);
    return DEFUPD_OK;
}

/* The manifest so far; an empty one for a new component. */
static defupd_code manifest_so_far(const struct defupd_repo *repo, struct du_work *work,
                                   const defupd_repo_release *release, struct du_edition *edition,
                                   defupd_error *err)
{
    struct du_manifest *made;

    DU_TRY(du_edition_begin(repo, work, release->component, release->pending != 0, edition, err));
    if (edition->manifest == NULL) {
        made = edition->manifest = calloc(1, sizeof *made);
        if (made == NULL)
            return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a manifest");
        (void)snprintf(made->component, sizeof made->component, "%s", release->component);
    }
    for (size_t i = 0; i < edition->manifest->count; i++) {
        const struct du_release *old = &edition->manifest->release[i];
        if (old->version >= release->version)
            return DU_FAIL(err, DEFUPD_E_VERSION_ORDER, "not newer than the published version %llu",
                           (unsigned long long)old->version);
    }
    return DEFUPD_OK;
}

/* The object of an earlier release with the same tree, if it is there and right: caches may hold it
 * already. Anything wrong with it means a new one. */
static bool shared_object(const struct defupd_repo *repo, const struct du_dirs *dirs,
                          const struct du_manifest *manifest,
                          const unsigned char tree[DU_SHA256_BYTES], struct du_object *object)
{
    for (size_t i = 0; i < manifest->count; i++) {
        const struct du_release *old = &manifest->release[i];
        struct du_verified_file file;
        DU_AUTO_FD fd = -1;
        defupd_error why;

        if (strcmp(old->full.codec, DU_BUNDLE_CODEC) == 0 &&
            memcmp(old->tree, tree, DU_SHA256_BYTES) == 0 &&
            du_object_check(repo, dirs, &old->full, NULL, &fd, &file, &why) == DEFUPD_OK) {
            *object = old->full;
            return true;
        }
    }
    return false;
}

/* Put the new release before the others. */
static defupd_code prepend(struct du_manifest *manifest, const defupd_repo_release *release,
                           const struct du_index *index, const struct du_object *object,
                           int64_t published, defupd_error *err)
{
    struct du_release *more =
        realloc(manifest->release, (manifest->count + 1) * sizeof *manifest->release);
    struct du_release *made;

    if (more == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a manifest");
    manifest->release = more;
    memmove(more + 1, more, manifest->count * sizeof *more);
    manifest->count++;
    made = &more[0];
    *made = (struct du_release){ .version = release->version,
                                 .published = published,
                                 .size = index->bytes,
                                 .files = index->count,
                                 .full = *object };
    du_index_digest(index, made->tree);
    if (release->label != NULL)
        (void)snprintf(made->label, sizeof made->label, "%s", release->label);
    if (release->licence_class != NULL)
        (void)snprintf(made->licence_class, sizeof made->licence_class, "%s",
                       release->licence_class);
    if (release->note != NULL && release->note[0] != '\0') {
        made->note = du_strdup(release->note);
        if (made->note == NULL)
            return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a manifest");
    }
    return DEFUPD_OK;
}

/* Everything of a release, before anything of it is in place. */
struct fresh {
    const defupd_repo_release *release;
    struct du_edition edition;
    struct du_index index;
    struct du_deltas deltas;
    int tree;
    bool shared; /* its bundle is an earlier release's */
};

static void fresh_end(struct fresh *fresh)
{
    du_edition_end(&fresh->edition);
    du_index_free(&fresh->index);
    du_fd_close(&fresh->tree);
}

static void fill_added(const struct fresh *fresh)
{
    const struct du_manifest *manifest = fresh->edition.manifest;
    const struct du_release *made = &manifest->release[0];
    defupd_repo_added *added = fresh->release->added;

    if (added == NULL)
        return;
    added->shared = fresh->shared;
    added->pending = fresh->edition.is_pending;
    added->files = made->files;
    added->tree_bytes = made->size;
    added->bundle_bytes = made->full.bytes;
    added->releases = manifest->count;
    added->oldest = manifest->release[manifest->count - 1].version;
    added->dropped = fresh->edition.dropped;
    added->deltas = made->deltas;
    added->delta_bytes = 0;
    for (size_t i = 0; i < made->deltas; i++)
        added->delta_bytes += made->delta[i].bytes;
    du_hex(added->tree, made->tree, DU_SHA256_BYTES);
    du_hex(added->object, made->full.sha256, DU_SHA256_BYTES);
}

static void tell_deltas(const struct fresh *fresh)
{
    const struct du_manifest *manifest = fresh->edition.manifest;

    for (size_t i = 0; fresh->release->on_delta != NULL && i < fresh->deltas.count; i++) {
        const struct du_deltas_job *job = &fresh->deltas.job[i];
        defupd_repo_delta told = { .struct_size = sizeof told,
                                   .state = job->state,
                                   .from = manifest->release[job->source].version,
                                   .bytes = job->object.bytes,
                                   .full_bytes = manifest->release[0].full.bytes,
                                   .ms = job->ms,
                                   .why = job->why };
        if (job->state == DEFUPD_REPO_DELTA_MADE)
            du_hex(told.object, job->object.sha256, DU_SHA256_BYTES);
        fresh->release->on_delta(fresh->release->user, &told);
    }
}

/* The tree's object: an earlier one, or a new one. */
static defupd_code bundle(const struct du_work *work, const struct du_shop *shop,
                          struct fresh *fresh, struct du_object *object, defupd_error *err)
{
    const defupd_repo_release *release = fresh->release;
    const struct defupd_repo *repo = shop->repo;
    unsigned char digest[DU_SHA256_BYTES];
    struct du_task task;

    DU_TRY(open_tree(repo, &work->dirs, release->tree_dir, &fresh->tree, err));
    du_task_start(&task, repo, DEFUPD_REPO_READING, release->component, release->version, 0);
    if (du_tree_scan(repo->sys, fresh->tree, &task.tick, &fresh->index, err) != DEFUPD_OK)
        return du_err_prefix(err, "tree %s", release->tree_dir);
    du_index_digest(&fresh->index, digest);
    fresh->shared = shared_object(repo, &work->dirs, fresh->edition.manifest, digest, object);
    du_task_start(&task, repo, DEFUPD_REPO_BUNDLING, release->component, release->version,
                  fresh->index.bytes);
    if (!fresh->shared &&
        du_shop_bundle(shop, fresh->tree, &fresh->index, &task.tick, object, err) != DEFUPD_OK)
        return du_err_prefix(err, "bundle of %s", release->tree_dir);
    return DEFUPD_OK;
}

/* The deltas that the manifest has room for, and the manifest with those that are worth it. */
static defupd_code add_deltas(const struct du_work *work, const struct du_shop *shop,
                              struct fresh *fresh, defupd_error *err)
{
    const defupd_repo_release *release = fresh->release;
    const struct du_deltas_limits limits = {
        .jobs = release->jobs != 0 ? release->jobs : shop->repo->threads,
        .memory = release->memory_bytes != 0 ? release->memory_bytes : MEMORY_DEFAULT
    };
    const size_t most = release->deltas != 0 ? release->deltas : DU_CHOOSE_DELTAS_MAX;

    DU_TRY(du_deltas_plan(shop->repo, &work->dirs, fresh->edition.manifest,
                          release->no_deltas != 0 ? 0 : most, err));
    DU_TRY(du_edition_fit(&fresh->edition, 0, err));
    DU_TRY(du_deltas_make(shop, fresh->edition.manifest, fresh->tree, &fresh->index, &limits,
                          &fresh->deltas, err));
    return du_edition_fit(&fresh->edition, 0, err);
}

static defupd_code make_all(const struct du_work *work, const struct du_shop *shop,
                            struct fresh *fresh, defupd_error *err)
{
    const int64_t published = fresh->release->published;
    struct du_object object = { 0 };

    DU_TRY(bundle(work, shop, fresh, &object, err));
    DU_TRY(prepend(fresh->edition.manifest, fresh->release, &fresh->index, &object,
                   published != 0 ? published : work->state.now, err));
    if (fresh->release->rollout != NULL &&
        !du_edition_set_rollout(&fresh->edition.manifest->release[0], fresh->release->rollout,
                                work->state.now))
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a roll-out");
    du_choose_trim(fresh->edition.manifest);
    return add_deltas(work, shop, fresh, err);
}

/* Nobody names them yet. */
static defupd_code place_objects(const struct du_shop *shop, const struct fresh *fresh,
                                 defupd_error *err)
{
    DU_TRY(du_repo_go_on(shop->repo, err));
    if (!fresh->shared)
        DU_TRY(du_shop_place(shop, DU_SHOP_BUNDLE, &fresh->edition.manifest->release[0].full, err));
    return du_deltas_place(shop, &fresh->deltas, err);
}

static defupd_code add_release(struct defupd_repo *repo, const defupd_repo_release *release,
                               defupd_error *err)
{
    DU_AUTO(fresh_end)
    struct fresh fresh = { .release = release, .edition = DU_EDITION, .tree = -1 };
    DU_AUTO_WORK work = DU_WORK;
    DU_AUTO_SHOP shop = DU_SHOP;
    DU_AUTO_NEXT next = { 0 };
    char what[DU_NAME_MAX + DU_VERSION_TEXT + 32];

    DU_TRY(du_work_begin(repo, &work, err));
    DU_TRY(manifest_so_far(repo, &work, release, &fresh.edition, err));
    DU_TRY(du_shop_open(&shop, repo, &work.dirs, err));
    DU_TRY(make_all(&work, &shop, &fresh, err));
    DU_TRY(du_edition_sign(repo, &work, &fresh.edition, &next, err));
    DU_TRY(place_objects(&shop, &fresh, err));
    (void)snprintf(what, sizeof what, "add-release %s %llu", release->component,
                   (unsigned long long)release->version);
    DU_TRY(du_edition_publish(repo, &work, &fresh.edition, &next, what, err));
    fill_added(&fresh);
    tell_deltas(&fresh);
    return DEFUPD_OK;
}

defupd_code defupd_repo_add_release(defupd_repo *repo, const defupd_repo_release *release,
                                    defupd_error *error)
{
    defupd_error scratch, *err = error != NULL ? error : &scratch;

    if (repo == NULL)
        return DU_FAIL(err, DEFUPD_E_INVALID, "no repository");
    DU_TRY(check_release(repo, release, err));
    if (add_release(repo, release, err) != DEFUPD_OK)
        return du_err_prefix(err, "%s %llu", release->component,
                             (unsigned long long)release->version);
    return DEFUPD_OK;
}
