/* SPDX-License-Identifier: Apache-2.0 */
/* Hashing every installed byte, and telling what differs from what was signed. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/scope.h"
#include "sys/disk.h"
#include "update/inspect.h"
#include "update/run.h"

static void find(struct du_inspection *in, const char *path, const char *what, defupd_error *err)
{
    struct du_finding *more;

    if (in->rc != DEFUPD_OK)
        return;
    more = realloc(in->finding, (in->count + 1) * sizeof *more);
    if (more == NULL) {
        in->rc = DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for findings");
        return;
    }
    in->finding = more;
    more[in->count] = (struct du_finding){ .path = strdup(path), .what = what };
    if (more[in->count].path == NULL) {
        in->rc = DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for findings");
        return;
    }
    in->count++;
}

void du_inspection_free(struct du_inspection *in)
{
    for (size_t i = 0; i < in->count; i++)
        free(in->finding[i].path);
    free(in->finding);
    free(in->seen);
    du_record_free(&in->record);
    *in = (struct du_inspection){ 0 };
}

static defupd_code look(void *user, const struct du_entry *entry, defupd_error *err)
{
    struct du_inspection *in = user;
    const struct du_file *file = du_index_find(in->index, entry->path);
    unsigned char sha256[DU_SHA256_BYTES];
    uint64_t size;
    defupd_code rc;

    if (file == NULL) {
        find(in, entry->path, "not part of the release", err);
        return in->rc;
    }
    in->seen[file - in->index->file] = true;
    in->files++;
    if (entry->kind != DU_ENTRY_FILE) {
        find(in, entry->path, "is no regular file", err);
        return in->rc;
    }
    if ((entry->st.st_mode & 07777) != (file->exec ? 0755U : 0644U)) {
        find(in, entry->path, "mode differs", err);
        return in->rc;
    }
    DU_AUTO_FD fd = in->sys->openat(entry->dir, entry->name, O_RDONLY | O_NOFOLLOW, 0);
    if (fd < 0) {
        find(in, entry->path, "cannot be opened", err);
        return in->rc;
    }
    rc = du_file_hash(in->sys, fd, entry->path, in->tick, sha256, &size, err);
    if (rc == DEFUPD_E_IO) /* a bad sector is damage, not the end of the look */
        find(in, entry->path, "cannot be read", err);
    else if (rc != DEFUPD_OK)
        return rc;
    else if (size != file->size || memcmp(sha256, file->sha256, DU_SHA256_BYTES) != 0)
        find(in, entry->path, "content differs", err);
    return in->rc;
}

defupd_code du_inspect(struct du_inspection *in, const struct du_sys *sys, int root,
                       const struct du_index *index, const struct du_tick *tick, defupd_error *err)
{
    in->sys = sys;
    in->index = index;
    in->tick = tick;
    in->seen = calloc(index->count + 1, sizeof *in->seen);
    if (in->seen == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory to verify %zu files", index->count);
    DU_TRY(du_tree_walk(sys, root, look, in, err));
    for (size_t i = 0; i < index->count; i++) {
        if (!in->seen[i])
            find(in, index->file[i].path, "missing", err);
    }
    return in->rc;
}

/* --- the current generation --- */

/* What became of one component. */
struct verdict {
    const struct du_member *member;
    bool damaged; /* and not repaired */
};

struct verify {
    struct du_run run;
    struct verdict *verdict;
    size_t verdicts;
    struct du_lease lease;
    defupd_damage_fn on_damage;
    void *user;
    uint64_t files;
    unsigned damaged; /* findings that stay */
    bool link_broken;
};

static void verify_free(struct verify *v)
{
    du_lease_free(&v->lease);
    free(v->verdict);
    du_run_end(&v->run);
}

static void tell(struct verify *v, const char *component, uint64_t version, const char *path,
                 const char *what)
{
    const defupd_damage damage = { .struct_size = (uint32_t)sizeof damage,
                                   .version = version,
                                   .component = component,
                                   .path = path,
                                   .what = what };
    char text[DEFUPD_ERROR_MESSAGE_MAX];
    defupd_event event = { .id = DEFUPD_EVENT_DAMAGED,
                           .code = DEFUPD_E_DAMAGED,
                           .component = component,
                           .version = version,
                           .text = text };

    (void)snprintf(text, sizeof text, "'%s' %s", path, what);
    du_event_send(&v->run.ctx->events, event);
    if (v->on_damage != NULL)
        v->on_damage(v->user, &damage);
    v->damaged++;
}

/* Without a readable record there is no telling which file is wrong, only whether all are right. */
static defupd_code inspect_blind(struct verify *v, const struct du_member *member, int root,
                                 defupd_error *err)
{
    const struct du_tick tick = du_run_tick(&v->run);
    DU_AUTO_INDEX index = { 0 };
    unsigned char tree[DU_SHA256_BYTES];
    defupd_code rc = du_tree_scan(v->run.ctx->sys, root, &tick, &index, err);

    if (rc == DEFUPD_E_CANCELLED || rc == DEFUPD_E_NOMEM)
        return rc;
    v->files += index.count;
    if (rc == DEFUPD_OK)
        du_index_digest(&index, tree);
    if (rc != DEFUPD_OK || memcmp(tree, member->tree, DU_SHA256_BYTES) != 0)
        tell(v, member->component, member->version, ".",
             "the record is damaged and the tree differs");
    else
        tell(v, member->component, member->version, ".",
             "the record is damaged; the tree is right");
    return DEFUPD_OK;
}

static defupd_code inspect_member(struct verify *v, const struct du_member *member,
                                  defupd_error *err)
{
    struct du_run *run = &v->run;
    const struct du_tick tick = du_run_tick(run);
    DU_AUTO(du_inspection_free) struct du_inspection in = { 0 };
    DU_AUTO_FD root = -1;
    bool link_holds;
    defupd_code rc;

    du_run_phase(run, DEFUPD_PHASE_VERIFY, member->component, 0);
    DU_TRY(du_store_link_holds(&run->ctx->store, run->current.number, member, &link_holds, err));
    rc = du_store_version_dir(&run->ctx->store, member->component, member->version, &root, err);
    if (!link_holds) {
        tell(v, member->component, member->version, ".", "the generation's link leads elsewhere");
        v->link_broken = true;
    }
    if (rc != DEFUPD_OK) {
        if (rc == DEFUPD_E_NOMEM)
            return rc;
        tell(v, member->component, member->version, ".", "the whole tree is missing");
        return DEFUPD_OK;
    }
    rc = du_store_record(&run->ctx->store, member->component, member->version, &in.record, err);
    if (rc == DEFUPD_E_NOMEM)
        return rc;
    if (rc != DEFUPD_OK || memcmp(in.record.tree, member->tree, DU_SHA256_BYTES) != 0)
        return inspect_blind(v, member, root, err);
    DU_TRY(du_inspect(&in, run->ctx->sys, root, &in.record.index, &tick, err));
    v->files += in.files;
    for (size_t i = 0; i < in.count; i++)
        tell(v, member->component, member->version, in.finding[i].path, in.finding[i].what);
    return DEFUPD_OK;
}

/* Repair comes from the signed release, so its manifest must still list it. */
static defupd_code repair_member(struct verify *v, const struct du_member *member,
                                 defupd_error *err)
{
    struct du_run *run = &v->run;
    DU_AUTO_MANIFEST *manifest = NULL;
    const struct du_release *release;

    if (run->trust == NULL)
        DU_TRY(du_bind_trust(run, err));
    DU_TRY(du_bind_manifest(run, member->component, &manifest, err));
    release = du_manifest_find(manifest, member->version);
    if (release == NULL || memcmp(release->tree, member->tree, DU_SHA256_BYTES) != 0)
        return DU_FAIL(err, DEFUPD_E_NO_RELEASE,
                       "%s %" PRIu64 " cannot be repaired: the repository no longer lists it; "
                       "update to a newer version",
                       member->component, member->version);
    return du_version_repair(run, member->component, release, v->on_damage, v->user, err);
}

static bool is_wanted(const defupd_request *request, const struct du_member *member)
{
    const char *const *list = request->components;

    for (; list != NULL && *list != NULL; list++) {
        if (strcmp(*list, member->component) == 0)
            return true;
    }
    return request->components == NULL;
}

static defupd_code check_names(const struct verify *v, defupd_error *err)
{
    const char *const *list = v->run.request->components;

    for (; list != NULL && *list != NULL; list++) {
        if (!du_name_ok(*list))
            return DU_FAIL(err, DEFUPD_E_INVALID, "'%s' is not a component's name", *list);
        if (du_generation_find(&v->run.current, *list) == NULL)
            return DU_FAIL(err, DEFUPD_E_NOT_INSTALLED, "%s is not installed", *list);
    }
    return DEFUPD_OK;
}

/* A generation is never changed: a new one with the same members takes its place. */
static defupd_code renew_generation(struct verify *v, defupd_error *err)
{
    struct du_run *run = &v->run;
    DU_AUTO_GENERATION next = { 0 };
    bool switched = false;

    for (size_t i = 0; i < run->current.count; i++)
        DU_TRY(du_generation_put(&next, &run->current.member[i], err));
    (void)snprintf(next.reason, sizeof next.reason, "repair");
    return du_trial_activate(run, &next, &switched, err);
}

static defupd_code work(struct verify *v, bool repair, defupd_error *err)
{
    struct du_run *run = &v->run;

    DU_TRY(check_names(v, err));
    v->verdict = calloc(run->current.count + 1, sizeof *v->verdict);
    if (v->verdict == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for findings");
    for (size_t i = 0; i < run->current.count; i++) {
        const struct du_member *member = &run->current.member[i];
        const unsigned before = v->damaged;
        struct verdict *verdict = &v->verdict[v->verdicts];

        if (!is_wanted(run->request, member))
            continue;
        DU_TRY(inspect_member(v, member, err));
        *verdict = (struct verdict){ member, v->damaged != before };
        v->verdicts++;
        if (!repair || !verdict->damaged)
            continue;
        DU_TRY(repair_member(v, member, err));
        v->damaged = before;
        verdict->damaged = false;
        du_event_send(&run->ctx->events, (defupd_event){ .id = DEFUPD_EVENT_REPAIRED,
                                                         .component = member->component,
                                                         .version = member->version });
    }
    du_run_phase(run, DEFUPD_PHASE_NONE, NULL, 0);
    if (repair && (v->link_broken || (run->lost && run->current.count > 0)))
        DU_TRY(renew_generation(v, err));
    if (v->damaged > 0)
        return DU_FAIL(err, DEFUPD_E_DAMAGED, "%u installed file%s not what was signed", v->damaged,
                       v->damaged == 1 ? " is" : "s are");
    return DEFUPD_OK;
}

static bool is_news(const struct verify *v, const struct verdict *verdict)
{
    DU_AUTO(du_distrust_free) struct du_distrust known = { 0 };
    defupd_error ignored = { 0 };

    return du_distrust_read(&v->run, verdict->member->component, &known, &ignored) == DEFUPD_OK &&
           du_distrust_has_version(&known, verdict->member->version) != verdict->damaged;
}

/* Damage stays known until it is repaired, or the files are found right: status tells it, and
 * nothing is built on them. Who may not write, or comes while somebody else writes, only looks. */
static void keep_verdicts(struct verify *v)
{
    struct du_run *run = &v->run;
    const bool locked = !run->read_only;
    defupd_error why = { 0 };
    bool news = false;

    for (size_t i = 0; i < v->verdicts; i++)
        news = news || is_news(v, &v->verdict[i]);
    if (!news)
        return;
    if (!locked &&
        du_store_lock(&run->ctx->store, run->ctx->options->lock_wait_ms, NULL, &why) != DEFUPD_OK) {
        du_log(&run->ctx->events, DEFUPD_LEVEL_WARNING, "update",
               "what was found is not recorded: %s", why.message);
        return;
    }
    run->read_only = false;
    for (size_t i = 0; i < v->verdicts; i++) {
        const struct du_member *member = v->verdict[i].member;

        if (v->verdict[i].damaged)
            du_distrust_note(run, member->component, member->version, NULL);
        else
            du_distrust_forget(run, member->component, member->version);
    }
    run->read_only = !locked;
    if (!locked)
        du_store_unlock(&run->ctx->store);
}

defupd_code du_verify(struct du_context *ctx, const defupd_request *request,
                      defupd_damage_fn on_damage, void *user, uint64_t *files, defupd_error *err)
{
    const bool repair = (request->flags & DEFUPD_REQUEST_REPAIR) != 0;
    DU_AUTO(verify_free)
    struct verify v = { .run = { .kind = DU_RUN_UPDATE, .trust_dir = -1, .read_only = !repair },
                        .lease = { .fd = -1 },
                        .on_damage = on_damage,
                        .user = user };
    defupd_code rc;

    DU_TRY(du_run_begin(&v.run, ctx, request, err));
    /* Looking takes no lock: a lease keeps what is looked at. */
    if (v.run.current.number != 0 && !v.run.lost) {
        DU_TRY(du_store_lease(&ctx->store, &v.lease, err));
        if (v.lease.number != v.run.current.number) {
            du_generation_free(&v.run.current);
            DU_TRY(du_store_generation(&ctx->store, v.lease.number, &v.run.current, err));
        }
    }
    if (repair && ctx->options->sources != NULL && ctx->options->sources[0] != NULL)
        DU_TRY(du_run_open_fetch(&v.run, err));
    rc = work(&v, repair, err);
    keep_verdicts(&v);
    *files = v.files;
    return rc;
}
