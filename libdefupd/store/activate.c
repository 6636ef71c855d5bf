/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store_priv.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/when.h"
#include "xml/xml.h"

#define NEW "generation" /* in staging/ */
#define CURRENT_TMP DU_CURRENT ".tmp"

/* Was the member part of `before` just so? */
static bool carried_over(const struct du_generation *before, const struct du_member *member)
{
    const struct du_member *old = du_generation_find(before, member->component);

    return old != NULL && old->version == member->version &&
           memcmp(old->tree, member->tree, sizeof old->tree) == 0;
}

/* The member's tree and record stand and are durable. Who renamed them into place may have died
 * before syncing the directories, so that is done here; it costs little when it was done. */
static defupd_code check_member(const struct du_store *store, const struct du_member *member,
                                bool known, defupd_error *err)
{
    const unsigned long long version = member->version;
    unsigned char tree[DU_SHA256_BYTES];
    DU_AUTO_FD dir = -1;
    char name[DU_VERSION_TEXT];
    struct stat st;
    defupd_code rc;

    du_version_name(name, member->version);
    rc = du_store_component_dir(store, member->component, false, &dir, err);
    if (rc != DEFUPD_OK && !du_is_missing(err))
        return rc;
    if (rc != DEFUPD_OK || fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
        !S_ISDIR(st.st_mode))
        return DU_FAIL(err, DEFUPD_E_STORE_CORRUPT, "versions/%s/%llu is not there",
                       member->component, version);
    if (known)
        return DEFUPD_OK;
    rc = du_record_tree(store, member->component, member->version, tree, err);
    if (rc == DEFUPD_E_NOT_INSTALLED)
        return DU_FAIL(err, DEFUPD_E_STORE_CORRUPT, "versions/%s/%llu has no record",
                       member->component, version);
    DU_TRY(rc);
    if (memcmp(tree, member->tree, sizeof tree) != 0)
        return DU_FAIL(err, DEFUPD_E_STORE_CORRUPT, "versions/%s/%llu is another tree than wanted",
                       member->component, version);
    return du_dir_sync(store->sys, dir, member->component, err);
}

static defupd_code check_members(const struct du_store *store, const struct du_generation *next,
                                 const struct du_generation *before, defupd_error *err)
{
    DU_AUTO_FD versions = -1;

    for (size_t i = 0; i < next->count; i++)
        DU_TRY(check_member(store, &next->member[i], carried_over(before, &next->member[i]), err));
    DU_TRY(du_store_sub(store, "versions", &versions, err));
    return du_dir_sync(store->sys, versions, "versions", err);
}

static defupd_code print_xml(const struct du_generation *next, struct du_buf *out,
                             defupd_error *err)
{
    DU_AUTO_XML_WRITER *w = NULL;
    char time[DU_TIME_TEXT], hex[DU_SHA256_HEX + 1];

    DU_TRY(du_xml_writer_new(&w, err));
    du_xml_start(w, "generation");
    du_xml_put_u64(w, "format", DU_STORE_FORMAT);
    du_xml_put_u64(w, "number", next->number);
    du_xml_put_u64(w, "parent", next->parent);
    du_time_format(time, next->made);
    du_xml_put_attr(w, "made", time);
    du_xml_put_attr(w, "reason", next->reason);
    du_xml_put_attr(w, "trial", next->trial ? "yes" : "no");
    for (size_t i = 0; i < next->count; i++) {
        const struct du_member *member = &next->member[i];

        du_xml_start(w, "member");
        du_xml_put_attr(w, "component", member->component);
        du_xml_put_u64(w, "version", member->version);
        du_xml_put_attr(w, "label", member->label);
        du_time_format(time, member->published);
        du_xml_put_attr(w, "published", time);
        du_hex(hex, member->tree, sizeof member->tree);
        du_xml_put_attr(w, "tree", hex);
        du_xml_end(w);
    }
    du_xml_end(w);
    return du_xml_writer_finish(w, out, err);
}

/* Fill staging/generation. The links need no sync of their own: they are entries of the directory,
 * which du_file_replace() syncs after the last of them. */
static defupd_code fill(const struct du_store *store, int staging, const struct du_generation *next,
                        defupd_error *err)
{
    const struct du_sys *sys = store->sys;
    DU_AUTO_BUF text = DU_BUF((size_t)4 << 20);
    DU_AUTO_FD dir = -1;

    DU_TRY(du_tree_remove(sys, staging, NEW, NULL, err));
    DU_TRY(du_dir_open(sys, staging, NEW, true, 0755, &dir, err));
    for (size_t i = 0; i < next->count; i++) {
        char target[DU_LINK_MAX];

        du_link_print(target, next->member[i].component, next->member[i].version);
        if (sys->symlinkat(target, dir, next->member[i].component) != 0)
            return DU_FAIL_IO(err, "link %s", next->member[i].component);
    }
    DU_TRY(print_xml(next, &text, err));
    return du_file_replace(sys, dir, DU_GENERATION_XML, text.data, text.len, 0644, err);
}

/* A folder in the place of `current` (a backup that followed links) cannot be renamed over. */
static defupd_code move_folder(const struct du_store *store, int staging, defupd_error *err)
{
    struct stat st;

    if (fstatat(store->dir, DU_CURRENT, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISDIR(st.st_mode))
        return DEFUPD_OK;
    return du_store_move_away(store, store->dir, DU_CURRENT, staging, err);
}

static defupd_code switch_to(struct du_store *store, uint64_t number, int staging, bool *switched,
                             defupd_error *err)
{
    const struct du_sys *sys = store->sys;
    char target[sizeof "generations/" + DU_VERSION_TEXT];

    (void)snprintf(target, sizeof target, "generations/%llu", (unsigned long long)number);
    DU_TRY(du_tree_remove(sys, store->dir, CURRENT_TMP, NULL, err));
    if (sys->symlinkat(target, store->dir, CURRENT_TMP) != 0)
        return DU_FAIL_IO(err, "create %s", CURRENT_TMP);
    DU_TRY(move_folder(store, staging, err));
    if (sys->renameat(store->dir, CURRENT_TMP, store->dir, DU_CURRENT) != 0) {
        const defupd_code rc = DU_FAIL_IO(err, "switch %s to %s", DU_CURRENT, target);
        (void)sys->unlinkat(store->dir, CURRENT_TMP, 0);
        return rc;
    }
    *switched = true;
    return du_dir_sync(sys, store->dir, "the switch", err);
}

/* One more than any number that was ever used: the current one, and those that were made but never
 * switched to, which stay until a higher one is current. */
static defupd_code take_number(const struct du_store *store, struct du_generation *next,
                               defupd_error *err)
{
    DU_AUTO_FREE uint64_t *all = NULL;
    uint64_t highest;
    size_t count;

    /* A switch that names none leaves those on disk to count from. */
    if (du_store_current_number(store, &next->parent, err) != DEFUPD_OK &&
        err->code != DEFUPD_E_STORE_CORRUPT)
        return err->code;
    DU_TRY(du_store_generations(store, &all, &count, err));
    highest = next->parent;
    if (count > 0 && all[count - 1] > highest)
        highest = all[count - 1];
    if (highest >= DU_VERSION_MAX)
        return DU_FAIL(err, DEFUPD_E_STORE_CORRUPT, "no generation number is left after %llu",
                       (unsigned long long)highest);
    next->number = highest + 1;
    return DEFUPD_OK;
}

/*
 * The order is the guarantee. A crash (also a power cut) after a step leaves
 *   1. members checked, versions/ and versions/C synced   the old set; versions no generation links
 *   2. staging/generation filled and synced               the old set; rubbish in staging/
 *   3. renamed to generations/N, generations/ synced      the old set; N is used up
 *   4. trial/N written, where it is on trial              the same
 *   5. current.tmp made                                   the same, and a leftover
 *   6. renamed to current                                 the new set; after a power cut either,
 *                                                         and both are complete on disk
 *   7. the state directory synced                         the new set
 * 3 must be durable before 6: else a power cut could keep the switch and lose what it points to.
 * Proven by tests/fault/test_store_faults.c and tests/crash/test_store_power.c.
 */
defupd_code du_store_activate(struct du_store *store, struct du_generation *next, int64_t now,
                              bool *switched, defupd_error *err)
{
    const struct du_sys *sys = store->sys;
    DU_AUTO_GENERATION before = { 0 };
    DU_AUTO_FD staging = -1, generations = -1;
    char name[DU_VERSION_TEXT];
    defupd_code rc;

    *switched = false;
    DU_TRY(du_store_need_lock(store, err));
    /* A damaged current generation only means that every member is looked at as if it were new. */
    rc = du_store_current(store, &before, err);
    if (rc != DEFUPD_OK && rc != DEFUPD_E_STORE_CORRUPT)
        return rc;
    DU_TRY(take_number(store, next, err));
    next->made = now;
    DU_TRY(check_members(store, next, &before, err));

    DU_TRY(du_store_sub(store, "staging", &staging, err));
    DU_TRY(du_store_sub(store, "generations", &generations, err));
    du_version_name(name, next->number);
    rc = fill(store, staging, next, err);
    if (rc == DEFUPD_OK && sys->renameat(staging, NEW, generations, name) != 0)
        rc = DU_FAIL_IO(err, "rename to generations/%s", name);
    if (rc != DEFUPD_OK) {
        du_store_discard(store, staging, NEW);
        return rc;
    }
    DU_TRY(du_dir_sync(sys, generations, "generations", err));
    if (next->terms != NULL)
        DU_TRY(du_store_fact_write(store, DU_FACT_TRIAL, name, next->terms, err));
    return switch_to(store, next->number, staging, switched, err);
}
