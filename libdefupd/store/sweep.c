/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Removing what nobody needs. Two rules make it safe at any instant:
 *
 *   What depends goes first, durably. `current` is synced before older generations go (it may have
 *   been switched by a process that died before its sync), and generations are gone durably before
 *   the versions that they link.
 *   Names go first, durably; contents after that. Everything is renamed into staging/, the folder
 * it came from is synced, then staging/ is emptied. Else a power cut could bring back a name with
 *   half of its content.
 *
 * Proven by tests/unit/test_store_sweep.c and tests/crash/test_store_power.c.
 */
#include "store/store_priv.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#define DOWNLOAD_S ((int64_t)7 * 24 * 3600)
#define REPORT_TMP_S 3600

/* --- which generations stay --- */

struct shelf {
    uint64_t *number; /* ascending */
    bool *keep;
    size_t count;
    bool on_trial; /* the current one */
};

static void shelf_free(struct shelf *shelf)
{
    free(shelf->number);
    free(shelf->keep);
}

/* Index of the highest number below `bound`; count when there is none. */
static size_t below(const struct shelf *shelf, uint64_t bound)
{
    size_t i = shelf->count;

    while (i > 0 && shelf->number[i - 1] >= bound)
        i--;
    return i > 0 ? i - 1 : shelf->count;
}

/* Follow the parents from the current generation down: they are the ones that once were current.
 * Numbers between them were made and never switched to, so counting numbers would keep the wrong
 * ones. Where a parent is missing, the next lower number takes its place. */
static defupd_code choose(const struct du_store *store, const struct du_sweep *sweep,
                          uint64_t current, struct shelf *shelf, defupd_error *err)
{
    bool confirmed = false;
    uint32_t kept = 0;
    size_t at;

    for (size_t i = 0; i < shelf->count; i++)
        shelf->keep[i] = shelf->number[i] >= current;
    at = below(shelf, current + 1);
    while (at < shelf->count && (kept < sweep->retention || !confirmed)) {
        DU_AUTO_GENERATION generation = { 0 };
        const uint64_t number = shelf->number[at];
        uint64_t bound = number;

        if (number < current && kept < sweep->retention) {
            shelf->keep[at] = true;
            kept++;
        }
        if (du_store_generation(store, number, &generation, err) == DEFUPD_OK) {
            if (!confirmed && du_store_confirmed(store, &generation)) {
                shelf->keep[at] = true;
                confirmed = true;
            }
            if (number == current)
                shelf->on_trial = !confirmed;
            if (generation.parent > 0 && generation.parent < number)
                bound = generation.parent + 1;
        } else if (err->code == DEFUPD_E_NOMEM) {
            return err->code;
        }
        at = below(shelf, bound);
    }
    return DEFUPD_OK;
}

/* --- generations --- */

/* Move one away unless a reader holds it. The lock is given back after the rename: a reader who
 * opened the directory before sees that its name is gone. */
static defupd_code take_generation(const struct du_store *store, int generations, int staging,
                                   uint64_t number, bool *leased, defupd_error *err)
{
    const struct du_sys *sys = store->sys;
    char name[DU_VERSION_TEXT];
    DU_AUTO_FD fd = -1;

    *leased = false;
    du_version_name(name, number);
    DU_TRY(du_dir_open(sys, generations, name, false, 0, &fd, err));
    if (sys->flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK)
            return DU_FAIL_IO(err, "lock generations/%s", name);
        *leased = true;
        return DEFUPD_OK;
    }
    return du_store_move_away(store, generations, name, staging, err);
}

/* *settled: versions may be looked at now; what links them is known and durable. */
static defupd_code sweep_generations(const struct du_store *store, const struct du_sweep *sweep,
                                     int staging, bool *settled, bool *on_trial, unsigned *failures,
                                     defupd_error *err)
{
    __attribute__((cleanup(shelf_free))) struct shelf shelf = { 0 };
    DU_AUTO_FD generations = -1;
    uint64_t current;

    *settled = false;
    DU_TRY(du_store_current_number(store, &current, err));
    DU_TRY(du_dir_sync(store->sys, store->dir, DU_CURRENT, err));
    DU_TRY(du_store_sub(store, "generations", &generations, err));
    DU_TRY(du_store_numbers(store, generations, &shelf.number, &shelf.count, err));
    shelf.keep = calloc(shelf.count + 1, sizeof *shelf.keep);
    if (shelf.keep == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory to sweep");
    DU_TRY(choose(store, sweep, current, &shelf, err));
    for (size_t i = 0; i < shelf.count; i++) {
        bool leased;

        if (!shelf.keep[i] && take_generation(store, generations, staging, shelf.number[i], &leased,
                                              err) != DEFUPD_OK)
            (*failures)++;
    }
    DU_TRY(du_dir_sync(store->sys, staging, "staging", err));
    DU_TRY(du_dir_sync(store->sys, generations, "generations", err));
    *settled = true;
    *on_trial = shelf.on_trial;
    return DEFUPD_OK;
}

/* --- versions --- */

/* What generation.xml says is there, too: the tree behind a lost link is still the installed one,
 * and what the repair of the link needs. */
static defupd_code add_members(const struct du_store *store, uint64_t number,
                               struct du_links *links, defupd_error *err)
{
    DU_AUTO_GENERATION generation = { 0 };
    const defupd_code rc = du_store_generation(store, number, &generation, err);

    if (rc != DEFUPD_OK)
        return rc == DEFUPD_E_STORE_CORRUPT ? DEFUPD_OK : rc;
    for (size_t i = 0; i < generation.count; i++) {
        const struct du_member *member = &generation.member[i];

        if (!du_links_have(links, member->component, member->version))
            DU_TRY(du_links_put(links, member->component, member->version, err));
    }
    return DEFUPD_OK;
}

/* What all generations on disk link. One that cannot be read ends the matter: it may link any. */
static defupd_code all_links(const struct du_store *store, struct du_links *links,
                             defupd_error *err)
{
    DU_AUTO_FREE uint64_t *number = NULL;
    size_t count;

    DU_TRY(du_store_generations(store, &number, &count, err));
    for (size_t i = 0; i < count; i++) {
        DU_TRY(du_links_add(store, number[i], links, err));
        DU_TRY(add_members(store, number[i], links, err));
    }
    return DEFUPD_OK;
}

/* The version that a name in versions/C belongs to: "V", "V.index", "V.index.tmp". */
static bool version_of(const char *name, uint64_t *version, bool *tmp)
{
    char number[DU_VERSION_TEXT];
    const size_t len = strcspn(name, ".");

    *tmp = strcmp(name + len, ".index.tmp") == 0;
    if (len >= sizeof number || (name[len] != '\0' && strcmp(name + len, ".index") != 0 && !*tmp))
        return false;
    memcpy(number, name, len);
    number[len] = '\0';
    return du_version_parse(number, version);
}

/* While the current generation is on trial, the newest version waits for the end of that. */
static defupd_code sweep_component(const struct du_store *store, int versions,
                                   const char *component, const struct du_links *links, int staging,
                                   bool on_trial, defupd_error *err)
{
    DU_AUTO_NAMES names = { 0 };
    DU_AUTO_FD dir = -1;
    uint64_t newest = 0;
    size_t left = 0;

    DU_TRY(du_dir_open(store->sys, versions, component, false, 0, &dir, err));
    DU_TRY(du_dir_names(store->sys, dir, &names, err));
    for (size_t i = 0; on_trial && i < names.count; i++) {
        uint64_t version;
        bool tmp;

        if (version_of(names.item[i], &version, &tmp) && !tmp && version > newest)
            newest = version;
    }
    for (size_t i = 0; i < names.count; i++) {
        uint64_t version;
        bool tmp;

        if (!version_of(names.item[i], &version, &tmp) || (!tmp && version == newest) ||
            (!tmp && du_links_have(links, component, version)))
            left++;
        else
            DU_TRY(du_store_move_away(store, dir, names.item[i], staging, err));
    }
    DU_TRY(du_dir_sync(store->sys, dir, component, err));
    if (left == 0 && store->sys->unlinkat(versions, component, AT_REMOVEDIR) != 0)
        return DU_FAIL_IO(err, "remove versions/%s", component);
    return DEFUPD_OK;
}

static defupd_code sweep_versions(const struct du_store *store, int staging, bool on_trial,
                                  unsigned *failures, defupd_error *err)
{
    DU_AUTO_NAMES components = { 0 };
    DU_AUTO_LINKS links = { 0 };
    DU_AUTO_FD versions = -1;

    DU_TRY(all_links(store, &links, err));
    DU_TRY(du_store_components(store, &components, err));
    DU_TRY(du_store_sub(store, "versions", &versions, err));
    for (size_t i = 0; i < components.count; i++) {
        if (sweep_component(store, versions, components.item[i], &links, staging, on_trial, err) !=
            DEFUPD_OK)
            (*failures)++;
    }
    return DEFUPD_OK;
}

/* --- staging --- */

/* Everything that may have been renamed into staging/ is gone durably from where it was, also when
 * an earlier process did it and died. */
static defupd_code settle(const struct du_store *store, defupd_error *err)
{
    DU_AUTO_FD staging = -1, generations = -1, versions = -1;
    DU_AUTO_NAMES components = { 0 };

    DU_TRY(du_store_sub(store, "staging", &staging, err));
    DU_TRY(du_dir_sync(store->sys, staging, "staging", err));
    DU_TRY(du_store_sub(store, "generations", &generations, err));
    DU_TRY(du_dir_sync(store->sys, generations, "generations", err));
    DU_TRY(du_store_sub(store, "versions", &versions, err));
    DU_TRY(du_store_components(store, &components, err));
    for (size_t i = 0; i < components.count; i++) {
        DU_AUTO_FD dir = -1;
        DU_TRY(du_dir_open(store->sys, versions, components.item[i], false, 0, &dir, err));
        DU_TRY(du_dir_sync(store->sys, dir, components.item[i], err));
    }
    return du_dir_sync(store->sys, versions, "versions", err);
}

/* Remove all that stands in a folder of the store. The first failure is reported, the rest is
 * tried. */
static defupd_code empty(const struct du_store *store, const char *folder, uint64_t *bytes,
                         unsigned *failures, defupd_error *err)
{
    DU_AUTO_NAMES names = { 0 };
    DU_AUTO_FD dir = -1;
    defupd_error why;
    defupd_code rc = DEFUPD_OK;

    DU_TRY(du_store_sub(store, folder, &dir, err));
    DU_TRY(du_dir_names(store->sys, dir, &names, err));
    for (size_t i = 0; i < names.count; i++) {
        if (du_tree_remove(store->sys, dir, names.item[i], bytes, &why) == DEFUPD_OK)
            continue;
        (*failures)++;
        if (rc == DEFUPD_OK) {
            *err = why;
            rc = du_err_prefix(err, "%s/%s", store->path, folder);
        }
    }
    return rc;
}

/* --- downloads --- */

/* The object's name in "HEX", "HEX.part" or "HEX.from". */
static bool object_of(const char *name, unsigned char sha256[DU_SHA256_BYTES])
{
    char hex[DU_SHA256_HEX + 1];

    if (strlen(name) < DU_SHA256_HEX ||
        (name[DU_SHA256_HEX] != '\0' && strcmp(name + DU_SHA256_HEX, ".part") != 0 &&
         strcmp(name + DU_SHA256_HEX, ".from") != 0))
        return false;
    memcpy(hex, name, DU_SHA256_HEX);
    hex[DU_SHA256_HEX] = '\0';
    return du_unhex(sha256, DU_SHA256_BYTES, hex);
}

/* A time of change far in the future is of a clock that was wrong: it must not keep a file for
 * ever. */
static bool still_wanted(const struct du_sweep *sweep, int dir, const char *name)
{
    unsigned char sha256[DU_SHA256_BYTES];
    struct stat st;

    if (!object_of(name, sha256) || sweep->named == NULL || !sweep->named(sweep->user, sha256))
        return false;
    if (name[DU_SHA256_HEX] == '.' && name[DU_SHA256_HEX + 1] == 'f') {
        char part[DU_SHA256_HEX + sizeof ".part"];

        (void)snprintf(part, sizeof part, "%.64s.part", name);
        if (fstatat(dir, part, &st, AT_SYMLINK_NOFOLLOW) != 0)
            return false; /* what it tells of is gone */
    }
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return true;
    return S_ISREG(st.st_mode) && (int64_t)st.st_mtim.tv_sec >= sweep->now - DOWNLOAD_S &&
           (int64_t)st.st_mtim.tv_sec <= sweep->now + DOWNLOAD_S;
}

static defupd_code sweep_downloads(const struct du_store *store, const struct du_sweep *sweep,
                                   unsigned *failures, defupd_error *err)
{
    DU_AUTO_NAMES names = { 0 };
    DU_AUTO_FD dir = -1;

    DU_TRY(du_store_sub(store, "downloads", &dir, err));
    DU_TRY(du_dir_names(store->sys, dir, &names, err));
    for (size_t i = 0; i < names.count; i++) {
        if (!still_wanted(sweep, dir, names.item[i]) &&
            du_tree_remove(store->sys, dir, names.item[i], NULL, err) != DEFUPD_OK)
            (*failures)++;
    }
    return DEFUPD_OK;
}

/* --- small leftovers --- */

/* Trials of generations that are no more. A number that is not in use yet is left alone: its trial
 * may have been written before its switch. */
static defupd_code sweep_trials(const struct du_store *store, unsigned *failures, defupd_error *err)
{
    DU_AUTO_FREE uint64_t *trial = NULL, *number = NULL;
    DU_AUTO_FD dir = -1;
    size_t trials, count;
    uint64_t current;

    DU_TRY(du_store_current_number(store, &current, err));
    DU_TRY(du_store_generations(store, &number, &count, err));
    DU_TRY(du_store_sub(store, "trial", &dir, err));
    DU_TRY(du_store_numbers(store, dir, &trial, &trials, err));
    for (size_t i = 0, j = 0; i < trials && trial[i] < current; i++) {
        char name[DU_VERSION_TEXT];

        while (j < count && number[j] < trial[i])
            j++;
        du_version_name(name, trial[i]);
        if ((j == count || number[j] != trial[i]) && store->sys->unlinkat(dir, name, 0) != 0)
            (*failures)++;
    }
    return DEFUPD_OK;
}

/* Who writes it has the lock, so it is of a writer that died. */
static bool is_own_tmp(const char *name)
{
    return strcmp(name, "host-id.tmp") == 0 || strcmp(name, "current.tmp") == 0;
}

/* "NAME.tmp" of writers that died. Others than ours in the state directory may be at work without
 * the lock (reports, requests to cancel), so there only old ones go. */
static defupd_code sweep_tmp(const struct du_store *store, const char *folder, int64_t before,
                             unsigned *failures, defupd_error *err)
{
    DU_AUTO_NAMES names = { 0 };
    DU_AUTO_FD dir = -1;

    DU_TRY(du_store_sub(store, folder, &dir, err));
    DU_TRY(du_dir_names(store->sys, dir, &names, err));
    for (size_t i = 0; i < names.count; i++) {
        const size_t len = strlen(names.item[i]);
        struct stat st;

        if (len < 5 || strcmp(names.item[i] + len - 4, ".tmp") != 0 ||
            fstatat(dir, names.item[i], &st, AT_SYMLINK_NOFOLLOW) != 0 || S_ISDIR(st.st_mode) ||
            ((int64_t)st.st_mtim.tv_sec > before && !is_own_tmp(names.item[i])))
            continue;
        if (store->sys->unlinkat(dir, names.item[i], 0) != 0 && errno != ENOENT)
            (*failures)++;
    }
    return DEFUPD_OK;
}

static void sweep_small(const struct du_store *store, int64_t now, unsigned *failures)
{
    static const char *const locked[] = { "holds",   "quarantine", "distrust", "schedule",
                                          "sources", "trial",      "trust",    "trust/roots" };
    defupd_error why;

    if (sweep_trials(store, failures, &why) != DEFUPD_OK)
        (*failures)++;
    for (size_t i = 0; i < sizeof locked / sizeof locked[0]; i++) {
        if (sweep_tmp(store, locked[i], INT64_MAX, failures, &why) != DEFUPD_OK &&
            !du_is_missing(&why))
            (*failures)++;
    }
    if (sweep_tmp(store, ".", now - REPORT_TMP_S, failures, &why) != DEFUPD_OK)
        (*failures)++;
}

void du_store_sweep(struct du_store *store, const struct du_sweep *sweep, unsigned *failures)
{
    DU_AUTO_FD staging = -1;
    bool settled = false, on_trial = false;
    defupd_error why;

    *failures = 0;
    if (store->lock < 0 || du_store_sub(store, "staging", &staging, &why) != DEFUPD_OK) {
        *failures = 1;
        return;
    }
    if (sweep_generations(store, sweep, staging, &settled, &on_trial, failures, &why) != DEFUPD_OK)
        (*failures)++;
    if (settled && sweep_versions(store, staging, on_trial, failures, &why) != DEFUPD_OK)
        (*failures)++;
    if (settle(store, &why) != DEFUPD_OK)
        (*failures)++;
    else if (empty(store, "staging", NULL, failures, &why) != DEFUPD_OK)
        (*failures) += *failures == 0;
    if (sweep_downloads(store, sweep, failures, &why) != DEFUPD_OK)
        (*failures)++;
    sweep_small(store, sweep->now, failures);
}

defupd_code du_store_clean(struct du_store *store, uint64_t *bytes, defupd_error *err)
{
    uint64_t freed = 0;
    unsigned failures = 0;
    defupd_error second;
    defupd_code rc;

    DU_TRY(du_store_need_lock(store, err));
    rc = settle(store, err);
    if (rc == DEFUPD_OK)
        rc = empty(store, "staging", &freed, &failures, err);
    /* Downloads hold most of the bytes, and somebody wants space: trouble with the rest is no
     * reason to keep them. */
    if (empty(store, "downloads", &freed, &failures, &second) != DEFUPD_OK && rc == DEFUPD_OK) {
        *err = second;
        rc = second.code;
    }
    if (bytes != NULL)
        *bytes = freed;
    return rc;
}
