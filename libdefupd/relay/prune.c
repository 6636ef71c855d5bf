/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What nothing served names any more goes, a while after it was superseded: readers may be under
 * way with it. When that was is in STATE/relay/left for metadata and manifests, lines "TIME PATH"
 * in the form of a fact, and in STATE/relay/named for objects. Roots stay for ever. Failures are
 * logged: what stays is looked at again.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "relay/relay_priv.h"
#include "trust/trust.h"

#define LEFT "left"
#define LEFT_MAX (16U * 1024 * 1024)

struct left {
    char path[DU_RELAY_PATH_MAX];
    int64_t since; /* 0: it is named */
    bool seen;     /* it is on disk */
};

struct list {
    struct left *item;
    size_t count, room;
    bool no_memory;
};

static void list_free(struct list *list)
{
    du_mem_free(&list->item);
}

struct prune {
    struct du_sync *sync;
    struct list known; /* what is named, and what is known to have left; sorted by path */
    struct list fresh; /* found on disk, and neither */
    struct du_named stray;
    unsigned failures;
};

static void add(struct list *list, const char *path, int64_t since)
{
    struct left *more;

    if (strlen(path) >= DU_RELAY_PATH_MAX)
        return;
    if (list->count == list->room) {
        const size_t room = list->room > 0 ? 2 * list->room : 64;

        more = reallocarray(list->item, room, sizeof *more);
        if (more == NULL) {
            list->no_memory = true;
            return;
        }
        list->item = more;
        list->room = room;
    }
    more = &list->item[list->count++];
    *more = (struct left){ .since = since };
    (void)snprintf(more->path, sizeof more->path, "%s", path);
}

static void add_named(void *user, const char *path)
{
    add(user, path, 0);
}

static int by_path(const void *a, const void *b)
{
    const struct left *left = a, *right = b;
    const int order = strcmp(left->path, right->path);

    if (order != 0)
        return order;
    return left->since < right->since ? -1 : left->since > right->since;
}

/* Each path once: what is named counts before what has left. */
static void sort(struct list *list)
{
    size_t kept = 0;

    if (list->count == 0)
        return;
    qsort(list->item, list->count, sizeof *list->item, by_path);
    for (size_t i = 1; i < list->count; i++) {
        if (strcmp(list->item[kept].path, list->item[i].path) != 0)
            list->item[++kept] = list->item[i];
    }
    list->count = kept + 1;
}

static int find_path(const void *key, const void *item)
{
    return strcmp(key, ((const struct left *)item)->path);
}

static struct left *find(const struct list *list, const char *path)
{
    return list->count == 0 ? NULL
                            : bsearch(path, list->item, list->count, sizeof *list->item, find_path);
}

/* A file that is lost or damaged says nothing: all that is not named has left just now. */
static void read_left(struct prune *prune)
{
    const struct du_sync *sync = prune->sync;
    DU_AUTO_BUF bytes = DU_BUF(LEFT_MAX);
    defupd_error ignored;
    size_t body;
    char *at, *line;

    if (du_file_read(sync->run.ctx->sys, sync->dirs.top, LEFT, &bytes, &ignored) != DEFUPD_OK ||
        !du_fact_holds(du_buf_bytes(&bytes), &body))
        return;
    bytes.data[body] = '\0';
    at = (char *)bytes.data + strlen(DU_FACT_HEAD);
    while ((line = strsep(&at, "\n")) != NULL) {
        char *path = strchr(line, ' ');
        uint64_t since;

        if (path == NULL)
            continue;
        *path++ = '\0';
        if (du_parse_u64(line, INT64_MAX, &since) && since != 0)
            add(&prune->known, path, (int64_t)since);
    }
}

static defupd_code print_left(struct du_buf *text, const struct list *list, int64_t since,
                              defupd_error *err)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct left *item = &list->item[i];

        if (item->since != 0 && item->seen)
            DU_TRY(du_buf_printf(text, err, "%" PRId64 " %s\n", since != 0 ? since : item->since,
                                 item->path));
    }
    return DEFUPD_OK;
}

static defupd_code write_left(const struct prune *prune, defupd_error *err)
{
    const struct du_sync *sync = prune->sync;
    DU_AUTO_BUF text = DU_BUF(LEFT_MAX), old = DU_BUF(LEFT_MAX);

    DU_TRY(du_buf_add_text(&text, DU_FACT_HEAD, err));
    DU_TRY(print_left(&text, &prune->known, 0, err));
    DU_TRY(print_left(&text, &prune->fresh, sync->run.now, err));
    DU_TRY(du_fact_seal(&text, 0, err));
    if (du_file_read(sync->run.ctx->sys, sync->dirs.top, LEFT, &old, err) == DEFUPD_OK &&
        old.len == text.len && memcmp(old.data, text.data, text.len) == 0)
        return DEFUPD_OK;
    return du_file_replace(sync->run.ctx->sys, sync->dirs.top, LEFT, text.data, text.len, 0644,
                           err);
}

/* --- walking --- */

static bool ends_with(const char *text, const char *end)
{
    const size_t len = strlen(text), tail = strlen(end);

    return len > tail && strcmp(text + len - tail, end) == 0;
}

static bool is_over(const struct prune *prune, int64_t since)
{
    const int64_t now = prune->sync->run.now;

    /* A clock that was put back must not keep what was noted under the wrong one for ever. */
    return since > now || now - since >= (int64_t)prune->sync->relay->options.keep_s;
}

static void drop(struct prune *prune, int dir, const char *name)
{
    defupd_error ignored;

    if (du_tree_remove(prune->sync->run.ctx->sys, dir, name, NULL, &ignored) != DEFUPD_OK)
        prune->failures++;
    else
        prune->sync->report->removed++;
}

/* A file of metadata/ or targets/C/, whose path below the tree begins with `folder`. */
static void judge_file(struct prune *prune, int dir, const char *folder, const char *name)
{
    char path[DU_RELAY_PATH_MAX];
    struct left *item;

    if (ends_with(name, ".tmp")) {
        drop(prune, dir, name);
        return;
    }
    if (strcmp(folder, "metadata") == 0 && ends_with(name, ".root.json"))
        return;
    if ((size_t)snprintf(path, sizeof path, "%s/%s", folder, name) >= sizeof path) {
        drop(prune, dir, name); /* no name of ours */
        return;
    }
    item = find(&prune->known, path);
    if (item != NULL && item->since != 0 && is_over(prune, item->since)) {
        drop(prune, dir, name);
        return;
    }
    if (item == NULL) {
        add(&prune->fresh, path, prune->sync->run.now);
        item = prune->fresh.count > 0 ? &prune->fresh.item[prune->fresh.count - 1] : NULL;
    }
    if (item != NULL)
        item->seen = true;
}

typedef void (*name_fn)(struct prune *prune, int dir, const char *folder, const char *name);

static void each_name(struct prune *prune, int at, const char *sub, const char *folder, name_fn fn)
{
    const struct du_sys *sys = prune->sync->run.ctx->sys;
    DU_AUTO_NAMES names = { 0 };
    DU_AUTO_FD dir = -1;
    defupd_error ignored;

    if (du_dir_open(sys, at, sub, false, 0, &dir, &ignored) != DEFUPD_OK ||
        du_dir_names(sys, dir, &names, &ignored) != DEFUPD_OK) {
        prune->failures++;
        return;
    }
    for (size_t i = 0; i < names.count; i++)
        fn(prune, dir, folder, names.item[i]);
}

static void judge_component(struct prune *prune, int dir, const char *folder, const char *name)
{
    char path[DU_RELAY_PATH_MAX];

    (void)folder;
    if (!du_name_ok(name))
        return;
    (void)snprintf(path, sizeof path, "targets/%s", name);
    each_name(prune, dir, name, path, judge_file);
}

/* --- objects --- */

static void judge_object(struct prune *prune, int dir, const char *folder, const char *name)
{
    struct du_sync *sync = prune->sync;
    unsigned char sha256[DU_SHA256_BYTES];
    struct stat st;
    defupd_error ignored;

    (void)folder;
    if (!du_unhex(sha256, sizeof sha256, name)) {
        drop(prune, dir, name);
        return;
    }
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return;
    const struct du_named_item *item = du_named_find(&sync->named, sha256);

    if (item != NULL && item->left != 0 && is_over(prune, item->left)) {
        drop(prune, dir, name);
        return;
    }
    /* Where nobody knows since when it is not named, it is so from now on. */
    if (item == NULL && du_named_add(&prune->stray, sha256, (uint64_t)st.st_size, sync->run.now,
                                     &ignored) != DEFUPD_OK)
        prune->failures++;
    if (item != NULL && item->left == 0)
        sync->named_here++;
    sync->object_count++;
    sync->object_bytes += (uint64_t)st.st_size;
}

static void judge_folder(struct prune *prune, int dir, const char *folder, const char *name)
{
    each_name(prune, dir, name, folder, judge_object);
}

/* Parts of objects that nobody went on with. */
static void judge_part(struct prune *prune, int dir, const char *folder, const char *name)
{
    struct stat st;

    (void)folder;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && is_over(prune, st.st_mtime))
        drop(prune, dir, name);
}

/* Objects that went are asked for no more; strays have their time from now on. */
static defupd_code write_named(struct prune *prune, defupd_error *err)
{
    struct du_named *named = &prune->sync->named;
    size_t kept = 0;

    for (size_t i = 0; i < named->count; i++) {
        if (named->item[i].left == 0 || !is_over(prune, named->item[i].left))
            named->item[kept++] = named->item[i];
    }
    named->count = kept;
    for (size_t i = 0; i < prune->stray.count; i++) {
        const struct du_named_item *item = &prune->stray.item[i];
        DU_TRY(du_named_add(named, item->sha256, item->bytes, item->left, err));
    }
    du_named_sort(named);
    return du_named_write(named, prune->sync->run.ctx->sys, prune->sync->dirs.top, err);
}

void du_relay_prune(struct du_sync *sync)
{
    struct prune prune = { .sync = sync };
    defupd_error why = { 0 };
    defupd_code rc = du_relay_each_path(sync, add_named, &prune.known, &why);

    read_left(&prune);
    sort(&prune.known);
    /* What is not known to be named must not be taken for something that is not. */
    if (rc == DEFUPD_OK && !prune.known.no_memory) {
        each_name(&prune, sync->dirs.top, "metadata", "metadata", judge_file);
        each_name(&prune, sync->dirs.top, "targets", "targets", judge_component);
        each_name(&prune, sync->dirs.top, "objects", "objects", judge_folder);
        each_name(&prune, sync->dirs.top, "parts", "parts", judge_part);
        rc = write_left(&prune, &why);
        if (rc == DEFUPD_OK)
            rc = write_named(&prune, &why);
    }
    if (rc != DEFUPD_OK || prune.known.no_memory || prune.failures > 0)
        du_log(&sync->run.ctx->events, DEFUPD_LEVEL_WARNING, "relay",
               "some of what is superseded stays until the next sync: %s",
               rc != DEFUPD_OK ? why.message : "a file could not be looked at or removed");
    list_free(&prune.known);
    list_free(&prune.fresh);
    du_named_free(&prune.stray);
}
