/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A repository whose deltas a test chooses, and an endpoint that updates from it: component alpha,
 * in the test's own directory (repo, repo.keys, state).
 *
 *     kit_start(); kit_add(1, "a1"); kit_add(2, "a2"); kit_delta(2, 1, "a1", "a2");
 *     T_OK(kit_run(KIT_UPDATE, &report, &err), &err);
 */
#ifndef UPDATE_KIT_H
#define UPDATE_KIT_H

#include <fcntl.h>

#include <defupd/defupd.h>

#include "client/client.h"
#include "delta/delta.h"
#include "t_publish.h"

static struct {
    char here[200];
    defupd_client_options options;
    defupd_request request;
    const struct du_sys *sys;
    const char *source;     /* another one than repo/ */
    defupd_event event[64]; /* of the last call; texts in `text`, progress left out */
    char text[64][400];
    size_t events;
} kit;

static inline void kit_on_event(void *user, const defupd_event *event)
{
    (void)user;
    if (event->id == DEFUPD_EVENT_PROGRESS || kit.events == 64)
        return;
    kit.event[kit.events] = *event;
    (void)snprintf(kit.text[kit.events], sizeof kit.text[0], "%s",
                   event->text != NULL ? event->text : "");
    kit.events++;
}

/* The text of the last call's first event of that kind; NULL when there was none. */
static inline const char *kit_told(int32_t id)
{
    for (size_t i = 0; i < kit.events; i++) {
        if (kit.event[i].id == id)
            return kit.text[i];
    }
    return NULL;
}

static inline void kit_start(void)
{
    const defupd_client_options options = DEFUPD_CLIENT_OPTIONS_INIT;
    const defupd_request request = DEFUPD_REQUEST_INIT;
    T_AUTO_REPO *repo = t_repo(NULL);
    defupd_error err = { 0 };

    T_CHECK(getcwd(kit.here, sizeof kit.here) != NULL);
    kit.options = options;
    kit.request = request;
    kit.source = NULL;
    kit.sys = &du_sys_posix;
    T_OK(t_init(repo, &err), &err);
}

static inline void kit_add_to(const char *component, uint64_t version, const char *tree)
{
    T_AUTO_REPO *repo = t_repo(NULL);
    defupd_error err = { 0 };

    T_OK(t_add(repo, component, version, tree, NULL, &err), &err);
}

static inline void kit_add(uint64_t version, const char *tree)
{
    kit_add_to("alpha", version, tree);
}

/* --- the manifest as a test wants it --- */

typedef void (*kit_edit_fn)(struct du_manifest *manifest, void *user);

static inline defupd_code kit_publish(defupd_repo *repo, kit_edit_fn edit, void *user,
                                      defupd_error *err)
{
    DU_AUTO_WORK work = DU_WORK;
    DU_AUTO_MANIFEST *manifest = NULL;
    DU_AUTO_BUF text = DU_BUF(DU_MANIFEST_BYTES_MAX);
    DU_AUTO_NEXT next = { 0 };
    DU_AUTO_FD dir = -1;
    char name[DU_META_NAME];
    struct du_json *part;

    DU_TRY(du_work_begin(repo, &work, err));
    DU_TRY(du_state_manifest(repo, &work.dirs, &work.state, "alpha", &manifest, err));
    edit(manifest, user);
    DU_TRY(du_manifest_write(manifest, &text, err));
    DU_TRY(du_work_cover(&work, &next, err));
    DU_TRY(du_next_edit(&work.dirs, &work.state, &next, "targets", &part, err));
    T_CHECK(du_part_target(part, "alpha", du_buf_bytes(&text)));
    DU_TRY(du_next_sign(repo, &work.state, &work.ring, &next, err));
    DU_TRY(du_next_complete(&work.state, &next, err));
    DU_TRY(du_next_finish(repo, &work.dirs, &work.state, &work.ring, &next, "alpha",
                          du_buf_bytes(&text), err));
    DU_TRY(du_dir_open(repo->sys, work.dirs.targets, "alpha", true, 0755, &dir, err));
    du_manifest_file(name, du_buf_bytes(&text));
    DU_TRY(du_file_replace(repo->sys, dir, name, text.data, text.len, 0644, err));
    return du_work_write(repo, &work, &next, err);
}

static inline void kit_edit(kit_edit_fn edit, void *user)
{
    T_AUTO_REPO *repo = t_repo(NULL);
    defupd_error err = { 0 };

    T_OK(kit_publish(repo, edit, user, &err), &err);
}

static inline struct du_release *kit_release(struct du_manifest *manifest, uint64_t version)
{
    for (size_t i = 0; i < manifest->count; i++) {
        if (manifest->release[i].version == version)
            return &manifest->release[i];
    }
    abort();
}

struct kit_delta {
    uint64_t version;
    struct du_object object;
};

static inline void kit_edit_delta(struct du_manifest *manifest, void *user)
{
    const struct kit_delta *add = user;
    struct du_release *release = kit_release(manifest, add->version);

    release->delta = realloc(release->delta, (release->deltas + 1) * sizeof *release->delta);
    if (release->delta == NULL)
        abort();
    release->delta[release->deltas++] = add->object;
}

/* Move the file object.tmp to its place below objects/ and name it in the manifest. */
static inline void kit_name(struct kit_delta *add)
{
    char hex[DU_SHA256_HEX + 1];

    du_hex(hex, add->object.sha256, DU_SHA256_BYTES);
    T_CHECK(t_shell("mkdir -p repo/objects/%.2s && mv object.tmp repo/objects/%.2s/%s", hex, hex,
                    hex) == 0);
    kit_edit(kit_edit_delta, add);
}

/* The delta that makes `new` of `old`, named as one from `from` to `version`. Its bytes. */
static inline uint64_t kit_delta(uint64_t version, uint64_t from, const char *old, const char *new)
{
    struct kit_delta add = { .version = version, .object = { .from = from, .codec = "1" } };
    DU_AUTO_INDEX old_index = { 0 }, new_index = { 0 };
    DU_AUTO_FD old_root = open(old, O_RDONLY | O_DIRECTORY);
    DU_AUTO_FD new_root = open(new, O_RDONLY | O_DIRECTORY);
    DU_AUTO_FD fd = open("object.tmp", O_RDWR | O_CREAT | O_TRUNC, 0644);
    struct du_delta_side sides[2];
    defupd_error err = { 0 };

    T_OK(du_tree_scan(&du_sys_posix, old_root, NULL, &old_index, &err), &err);
    T_OK(du_tree_scan(&du_sys_posix, new_root, NULL, &new_index, &err), &err);
    sides[0] = (struct du_delta_side){ old_root, &old_index };
    sides[1] = (struct du_delta_side){ new_root, &new_index };
    T_OK(du_delta_make(&du_sys_posix, &sides[0], &sides[1], 64 << 20, NULL, fd, add.object.sha256,
                       &add.object.bytes, &err),
         &err);
    kit_name(&add);
    return add.object.bytes;
}

/* An object of any bytes in the place of a delta. */
static inline void kit_rubbish(uint64_t version, uint64_t from, const char *codec,
                               const char *bytes)
{
    struct kit_delta add = { .version = version, .object = { .from = from } };
    FILE *file = fopen("object.tmp", "w");

    (void)snprintf(add.object.codec, sizeof add.object.codec, "%s", codec);
    add.object.bytes = strlen(bytes);
    du_sha256(add.object.sha256, bytes, strlen(bytes));
    T_CHECK(file != NULL && fputs(bytes, file) >= 0 && fclose(file) == 0);
    kit_name(&add);
}

/* --- the endpoint --- */

enum kit_call { KIT_CHECK, KIT_UPDATE, KIT_DOWNLOAD, KIT_INSTALL, KIT_ROLLBACK, KIT_REPAIR };

/* A client with kit.options, whose state directory, root and (unless kit.options.source_list or
 * kit.source is set) source are filled in. */
static inline defupd_code kit_open(defupd_client **client, defupd_error *err)
{
    static char root[65536], state[256], url[256];
    static const char *sources[] = { url, NULL };
    FILE *file = fopen("repo/metadata/1.root.json", "r");

    kit.events = 0;
    (void)snprintf(state, sizeof state, "%s/state", kit.here);
    (void)snprintf(url, sizeof url, "file://%s/repo", kit.here);
    kit.options.state_dir = state;
    sources[0] = kit.source != NULL ? kit.source : url;
    kit.options.sources = kit.options.source_list == NULL ? sources : NULL;
    kit.options.trusted_root = root;
    kit.options.trusted_root_bytes = file != NULL ? fread(root, 1, sizeof root, file) : 0;
    if (file != NULL)
        (void)fclose(file);
    kit.options.on_event = kit_on_event;
    return du_client_open_sys(client, &kit.options, kit.sys, err);
}

/* *report may be NULL; else yours, and may become NULL. */
static inline defupd_code kit_run(enum kit_call call, defupd_report **report, defupd_error *err)
{
    defupd_client *client = NULL;
    defupd_code rc = kit_open(&client, err);

    if (rc != DEFUPD_OK)
        return rc;
    switch (call) {
    case KIT_CHECK: rc = defupd_client_check(client, &kit.request, report, err); break;
    case KIT_UPDATE: rc = defupd_client_update(client, &kit.request, report, err); break;
    case KIT_DOWNLOAD: rc = defupd_client_download(client, &kit.request, report, err); break;
    case KIT_INSTALL: rc = defupd_client_install(client, &kit.request, report, err); break;
    case KIT_ROLLBACK: rc = defupd_client_rollback(client, &kit.request, report, err); break;
    case KIT_REPAIR: {
        defupd_request request = kit.request;
        request.flags |= DEFUPD_REQUEST_REPAIR;
        rc = defupd_client_verify(client, &request, NULL, NULL, NULL, err);
        break;
    }
    }
    defupd_client_close(client);
    return rc;
}

/* The same, and how alpha's row says it went: "via how". `how` gets 256 bytes. */
static inline defupd_code kit_how(enum kit_call call, char how[256], defupd_error *err)
{
    defupd_report *report = NULL;
    const defupd_code rc = kit_run(call, &report, err);

    how[0] = '\0';
    if (report != NULL && defupd_report_count(report) == 1)
        (void)snprintf(how, 256, "%s: %s", defupd_report_at(report, 0)->via,
                       defupd_report_at(report, 0)->how);
    defupd_report_free(report);
    return rc;
}

/* What status says of a component: a copy whose texts live until the next call; zeroed when it is
 * not there. */
static inline defupd_component_status kit_status(const char *component)
{
    static defupd_status *status;
    defupd_client *client = NULL;
    defupd_error err = { 0 };

    defupd_status_free(status);
    status = NULL;
    T_OK(kit_open(&client, &err), &err);
    T_OK(defupd_client_status(client, &status, &err), &err);
    defupd_client_close(client);
    for (uint32_t i = 0; i < defupd_status_count(status); i++) {
        if (strcmp(defupd_status_at(status, i)->name, component) == 0)
            return *defupd_status_at(status, i);
    }
    return (defupd_component_status){ .state = -1 };
}

/* The clock that the endpoint reads: so much later than the machine's. */
static int64_t kit_later_s;
static inline int64_t kit_now_s(void)
{
    return du_sys_posix.now_s() + kit_later_s;
}
static inline void kit_turn_clock(int64_t later_s)
{
    static struct du_sys sys;

    kit_later_s = later_s;
    sys = du_sys_posix;
    sys.now_s = kit_now_s;
    kit.sys = &sys;
}

/* Does alpha hold this tree, and nothing else? */
static inline bool kit_is(const char *tree)
{
    return t_shell("diff -r %s state/current/alpha >/dev/null 2>&1", tree) == 0;
}

#endif
