/* SPDX-License-Identifier: Apache-2.0 */
/* Publishing a release. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bundle/bundle.h"
#include "publish/publish_priv.h"
#include "tree/tree.h"

#define NOTE_MAX 256

/* Text that stands in the manifest: one line of UTF-8. */
static defupd_code check_text(const char *what, const char *text, size_t max, defupd_error *err)
{
    if (text == NULL)
        return DEFUPD_OK;
    if (strlen(text) > max)
        return DU_FAIL(err, DEFUPD_E_INVALID, "%s has %zu bytes, at most %zu are allowed", what,
                       strlen(text), max);
    if (!du_utf8_ok(text, strlen(text)))
        return DU_FAIL(err, DEFUPD_E_INVALID, "%s is not UTF-8", what);
    for (const char *at = text; *at != '\0'; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            return DU_FAIL(err, DEFUPD_E_INVALID, "%s has a control character", what);
    return DEFUPD_OK;
}

static defupd_code check_release(const struct defupd_repo *repo, const defupd_repo_release *release,
                                 defupd_error *err)
{
    if (release == NULL || release->struct_size != sizeof *release)
        return DU_FAIL(err, DEFUPD_E_INVALID, "release is from another version of the header");
    if (release->added != NULL && release->added->struct_size != sizeof *release->added)
        return DU_FAIL(err, DEFUPD_E_INVALID, "result is from another version of the header");
    if (release->component == NULL || !du_name_ok(release->component))
        return DU_FAIL(err, DEFUPD_E_INVALID,
                       "'%.64s' is not a component name: a-z, 0-9 and '-', at most %d, beginning "
                       "with a letter, and no reserved word",
                       release->component != NULL ? release->component : "", DU_NAME_MAX);
    if (release->version < 1 || release->version > DU_VERSION_MAX)
        return DU_FAIL(err, DEFUPD_E_INVALID, "version %llu is not from 1 to 2^53 - 1",
                       (unsigned long long)release->version);
    if (release->tree_dir == NULL || release->tree_dir[0] == '\0')
        return DU_FAIL(err, DEFUPD_E_INVALID, "no tree to publish");
    /* Clients take the newest release for the least that an honest clock can show: one from the
     * future would make every one of them call its clock wrong. */
    if (release->published < 0 || release->published > repo->sys->now_s())
        return DU_FAIL(err, DEFUPD_E_INVALID,
                       "time of publication lies in the future or before 1970");
    DU_TRY(check_text("label", release->label, DU_LABEL_MAX, err));
    DU_TRY(check_text("class", release->licence_class, DU_WORD_MAX, err));
    return check_text("note", release->note, NOTE_MAX, err);
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
static defupd_code manifest_so_far(const struct defupd_repo *repo, const struct du_dirs *dirs,
                                   struct du_state *state, const defupd_repo_release *release,
                                   struct du_manifest **out, defupd_error *err)
{
    DU_AUTO_MANIFEST *manifest = NULL;

    DU_TRY(du_state_manifest(repo, dirs, state, release->component, &manifest, err));
    if (manifest == NULL) {
        manifest = calloc(1, sizeof *manifest);
        if (manifest == NULL)
            return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a manifest");
        (void)snprintf(manifest->component, sizeof manifest->component, "%s", release->component);
    }
    for (size_t i = 0; i < manifest->count; i++) {
        const struct du_release *old = &manifest->release[i];
        if (old->version >= release->version)
            return DU_FAIL(err, DEFUPD_E_VERSION_ORDER, "not newer than the published version %llu",
                           (unsigned long long)old->version);
        /* It was not read whole, so writing it again would lose what it says. */
        if (old->requires != NULL)
            return DU_FAIL(err, DEFUPD_E_UNSUPPORTED,
                           "version %llu was published by a newer version of this software",
                           (unsigned long long)old->version);
    }
    *out = du_take(&manifest);
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
            du_object_open(repo, dirs, &old->full, &fd, &why) == DEFUPD_OK &&
            du_object_verify(repo->sys, fd, old->full.bytes, old->full.sha256, "object", NULL,
                             &file, &why) == DEFUPD_OK) {
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

/* Write the manifest, dropping the oldest releases until it is as small as clients expect. */
static defupd_code write_within(struct du_manifest *manifest, struct du_buf *out, uint64_t *dropped,
                                defupd_error *err)
{
    *dropped = 0;
    while (true) {
        if (manifest->count <= DU_MANIFEST_KEEP) {
            du_buf_clear(out);
            DU_TRY(du_manifest_write(manifest, out, err));
            if (out->len <= DU_MANIFEST_PUBLISH_MAX)
                return DEFUPD_OK;
        }
        if (manifest->count <= 1)
            return DU_FAIL(err, DEFUPD_E_LIMIT,
                           "one release takes %zu bytes of manifest, at most "
                           "%u are allowed",
                           out->len, DU_MANIFEST_PUBLISH_MAX);
        du_release_clear(&manifest->release[--manifest->count]);
        ++*dropped;
    }
}

static void fill_added(defupd_repo_added *added, const struct du_manifest *manifest, bool shared,
                       uint64_t dropped)
{
    const struct du_release *made = &manifest->release[0];

    if (added == NULL)
        return;
    added->shared = shared;
    added->pending = 0;
    added->files = made->files;
    added->tree_bytes = made->size;
    added->bundle_bytes = made->full.bytes;
    added->releases = manifest->count;
    added->oldest = manifest->release[manifest->count - 1].version;
    added->dropped = dropped;
    du_hex(added->tree, made->tree, DU_SHA256_BYTES);
    du_hex(added->object, made->full.sha256, DU_SHA256_BYTES);
}

static defupd_code write_manifest(const struct defupd_repo *repo, const struct du_dirs *dirs,
                                  const char *component, const struct du_buf *text,
                                  defupd_error *err)
{
    DU_AUTO_FD dir = -1;
    char name[DU_META_NAME];

    DU_TRY(du_dir_open(repo->sys, dirs->targets, component, true, 0755, &dir, err));
    du_manifest_file(name, du_buf_bytes(text));
    return du_file_replace(repo->sys, dir, name, text->data, text->len, 0644, err);
}

/* Who speaks for the component: its own role, else targets. */
static const char *role_of(const struct du_state *state, const char *component)
{
    return du_role_set_find(&state->set, component) != NULL ? component : "targets";
}

/* Before the work of bundling: are the keys here? */
static defupd_code check_keys(const struct defupd_repo *repo, const struct du_work *work,
                              const char *role, bool pending, defupd_error *err)
{
    const char *const names[] = { role, "snapshot", "timestamp" };

    if (pending)
        return du_pending_check_none(repo, err);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        DU_TRY(du_sign_can(repo, &work->ring,
                           du_authority_of(du_state_part(&work->state, "root"),
                                           du_state_part(&work->state, "targets"), names[i]),
                           names[i], err));
    return DEFUPD_OK;
}

/* The tree's object: an earlier one, or a new one. */
static defupd_code bundle(struct defupd_repo *repo, const struct du_work *work,
                          const defupd_repo_release *release, const struct du_manifest *manifest,
                          struct du_index *index, struct du_object *object, bool *shared,
                          defupd_error *err)
{
    unsigned char digest[DU_SHA256_BYTES];
    DU_AUTO_FD tree = -1;
    struct du_task task;

    DU_TRY(open_tree(repo, &work->dirs, release->tree_dir, &tree, err));
    du_task_start(&task, repo, DEFUPD_REPO_READING, release->component, release->version, 0);
    if (du_tree_scan(repo->sys, tree, &task.tick, index, err) != DEFUPD_OK)
        return du_err_prefix(err, "tree %s", release->tree_dir);
    du_index_digest(index, digest);
    *shared = shared_object(repo, &work->dirs, manifest, digest, object);
    du_task_start(&task, repo, DEFUPD_REPO_BUNDLING, release->component, release->version,
                  index->bytes);
    if (!*shared &&
        du_object_make(repo, &work->dirs, tree, index, &task.tick, object, err) != DEFUPD_OK)
        return du_err_prefix(err, "bundle of %s", release->tree_dir);
    return DEFUPD_OK;
}

static defupd_code sign_manifest(const struct defupd_repo *repo, struct du_work *work,
                                 struct du_next *next, const char *component,
                                 const struct du_buf *text, defupd_error *err)
{
    struct du_json *part;

    DU_TRY(du_work_cover(work, next, err));
    DU_TRY(du_next_edit(&work->dirs, &work->state, next, role_of(&work->state, component), &part,
                        err));
    if (!du_part_target(part, component, du_buf_bytes(text)))
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for the targets");
    return du_next_sign(repo, &work->state, &work->ring, next, err);
}

/* Object and manifest are in place, and nobody names them before the change goes live. */
static defupd_code keep_pending(const struct defupd_repo *repo, struct du_work *work,
                                struct du_next *next, const defupd_repo_release *release,
                                const struct du_buf *text, defupd_error *err)
{
    char what[DU_NAME_MAX + DU_VERSION_TEXT + 32];

    DU_TRY(write_manifest(repo, &work->dirs, release->component, text, err));
    (void)snprintf(what, sizeof what, "add-release %s %llu", release->component,
                   (unsigned long long)release->version);
    DU_TRY(du_pending_save(repo, work, next, what, err));
    du_repo_say(repo, "pending in %s: %s", repo->pending_path, what);
    if (release->added != NULL)
        release->added->pending = 1;
    return DEFUPD_OK;
}

static defupd_code add_release(struct defupd_repo *repo, const defupd_repo_release *release,
                               defupd_error *err)
{
    DU_AUTO_WORK work = DU_WORK;
    DU_AUTO_MANIFEST *manifest = NULL;
    DU_AUTO_INDEX index = { 0 };
    DU_AUTO_BUF text = DU_BUF(DU_MANIFEST_BYTES_MAX);
    DU_AUTO_NEXT next = { 0 };
    struct du_object object = { 0 };
    uint64_t dropped;
    defupd_code rc;
    bool shared;

    DU_TRY(du_work_begin(repo, &work, err));
    DU_TRY(check_keys(repo, &work, role_of(&work.state, release->component), release->pending != 0,
                      err));
    DU_TRY(manifest_so_far(repo, &work.dirs, &work.state, release, &manifest, err));
    DU_TRY(bundle(repo, &work, release, manifest, &index, &object, &shared, err));
    DU_TRY(prepend(manifest, release, &index, &object,
                   release->published != 0 ? release->published : work.state.now, err));
    DU_TRY(write_within(manifest, &text, &dropped, err));
    DU_TRY(sign_manifest(repo, &work, &next, release->component, &text, err));
    rc = du_next_complete(&work.state, &next, err);
    if (rc != DEFUPD_OK && (rc != DEFUPD_E_KEY || release->pending == 0))
        return rc;
    fill_added(release->added, manifest, shared, dropped);
    if (rc != DEFUPD_OK)
        return keep_pending(repo, &work, &next, release, &text, err);
    DU_TRY(du_next_finish(repo, &work.dirs, &work.state, &work.ring, &next, release->component,
                          du_buf_bytes(&text), err));
    DU_TRY(write_manifest(repo, &work.dirs, release->component, &text, err));
    return du_work_write(repo, &work, &next, err);
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
