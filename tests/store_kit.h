/* SPDX-License-Identifier: Apache-2.0 */
/* Small stores for tests: trees whose content follows from component and version, so that any of
 * them can be made and checked by anybody. */
#ifndef STORE_KIT_H
#define STORE_KIT_H

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "crypto/crypto.h"
#include "store/store.h"
#include "sys/disk.h"
#include "t.h"

#define KIT_NOW 1795251600 /* 2026-11-21T09:00:00Z */

/* No test of a healthy machine can tell whether something was synced; those of faults and power
 * cuts look at the calls. */
static inline int kit_no_sync(int fd)
{
    (void)fd;
    return 0;
}
static inline const struct du_sys *kit_sys(void)
{
    static struct du_sys sys;

    sys = du_sys_posix;
    sys.fsync = kit_no_sync;
    sys.syncfs = kit_no_sync;
    return &sys;
}

/* Thousands of small stores are made and removed: in memory where that can be had. */
static inline void kit_fast_disk(void)
{
    if (access("/dev/shm", W_OK | X_OK) == 0)
        (void)setenv("TMPDIR", "/dev/shm", 0);
}

/* Absolute path of `name` below the test's directory. */
static inline const char *kit_path(const char *name)
{
    static char path[512];
    char cwd[400];

    if (getcwd(cwd, sizeof cwd) == NULL)
        abort();
    (void)snprintf(path, sizeof path, "%s/%s", cwd, name);
    return path;
}

static inline defupd_code kit_open(struct du_store *store, const struct du_sys *sys,
                                   defupd_error *err)
{
    return du_store_open(store, kit_path("state"), sys, err);
}

/* Opens and locks; a failure is the test's. */
static inline void kit_lock(struct du_store *store)
{
    defupd_error err = { 0 };

    T_OK(kit_open(store, kit_sys(), &err), &err);
    T_OK(du_store_lock(store, 0, NULL, &err), &err);
}

/* The files of every kit tree. "same" does not change from version to version. */
struct kit_file {
    const char *path;
    bool exec, same;
};
static const struct kit_file kit_files[] = { { "a.dat", false, false },
                                             { "dir/run.sh", true, false },
                                             { "dir/sub/same.dat", false, true } };
enum { KIT_FILES = sizeof kit_files / sizeof kit_files[0] };

static inline void kit_content(char out[128], const char *component, uint64_t version,
                               const struct kit_file *file)
{
    (void)snprintf(out, 128, "%s %llu %s\n", component,
                   file->same ? 0ULL : (unsigned long long)version, file->path);
}

/* Index of a kit tree; with `root` >= 0 its files are written there. With `from` >= 0, those that
 * stay the same are taken from that tree. */
static inline defupd_code kit_tree_from(const struct du_sys *sys, const char *component,
                                        uint64_t version, int root, int from,
                                        struct du_index *index, defupd_error *err)
{
    DU_AUTO_PLACE place = { .dir = -1 }, old = { .dir = -1 };

    du_place_init(&place, sys, root);
    du_place_init(&old, sys, from);
    place.no_clone =
        true; /* a hard link shares its fate with the old version's file: the harder case */
    for (size_t i = 0; i < KIT_FILES; i++) {
        unsigned char sha256[DU_SHA256_BYTES];
        char text[128];

        kit_content(text, component, version, &kit_files[i]);
        du_sha256(sha256, text, strlen(text));
        DU_TRY(
            du_index_add(index, kit_files[i].path, strlen(text), sha256, kit_files[i].exec, err));
        if (root >= 0 && from >= 0 && kit_files[i].same) {
            DU_TRY(du_place_reuse(&place, kit_files[i].path, kit_files[i].exec, &old,
                                  kit_files[i].path, kit_files[i].exec, err));
        } else if (root >= 0) {
            DU_AUTO_FD fd = -1;
            DU_TRY(du_place_file(&place, kit_files[i].path, kit_files[i].exec, &fd, err));
            DU_TRY(du_write_all(sys, fd, text, strlen(text), kit_files[i].path, err));
        }
    }
    return du_index_seal(index, err);
}

static inline defupd_code kit_tree(const struct du_sys *sys, const char *component,
                                   uint64_t version, int root, struct du_index *index,
                                   defupd_error *err)
{
    return kit_tree_from(sys, component, version, root, -1, index, err);
}

static inline void kit_member(struct du_member *member, const char *component, uint64_t version)
{
    DU_AUTO_INDEX index = { 0 };
    defupd_error err = { 0 };

    *member = (struct du_member){ .version = version, .published = KIT_NOW - 3600 };
    (void)snprintf(member->component, sizeof member->component, "%s", component);
    (void)snprintf(member->label, sizeof member->label, "%llu.0 \"<&>\"",
                   (unsigned long long)version);
    T_OK(kit_tree(&du_sys_posix, component, version, -1, &index, &err), &err);
    du_index_digest(&index, member->tree);
}

/* Stage and commit a version, taking from the current one what is the same; a failed one is
 * dropped, as update/ does. */
static inline defupd_code kit_stage(struct du_store *store, const char *component, uint64_t version,
                                    defupd_error *err)
{
    DU_AUTO_GENERATION current = { 0 };
    const struct du_member *old;
    DU_AUTO_INDEX index = { 0 };
    DU_AUTO_FD fd = -1, from = -1;
    defupd_code rc = du_store_current(store, &current, err);

    old = rc == DEFUPD_OK ? du_generation_find(&current, component) : NULL;
    if (old != NULL)
        rc = du_store_version_dir(store, component, old->version, &from, err);
    if (rc == DEFUPD_OK)
        rc = du_store_stage(store, component, version, &fd, err);
    if (rc == DEFUPD_OK)
        rc = kit_tree_from(store->sys, component, version, fd, from, &index, err);
    if (rc == DEFUPD_OK)
        rc = du_store_stage_commit(store, component, version, fd, &index, err);
    if (rc != DEFUPD_OK)
        du_store_stage_drop(store, component, version);
    return rc;
}

/* Make `component`@`version` current beside what is. version 0 takes the component out. */
static inline defupd_code kit_activate(struct du_store *store, const char *component,
                                       uint64_t version, bool trial, bool *switched,
                                       defupd_error *err)
{
    DU_AUTO_GENERATION next = { 0 };
    struct du_member member;

    *switched = false;
    DU_TRY(du_store_current(store, &next, err));
    if (version > 0) {
        kit_member(&member, component, version);
        DU_TRY(du_generation_put(&next, &member, err));
    } else {
        du_generation_drop(&next, component);
    }
    next.trial = trial;
    (void)snprintf(next.reason, sizeof next.reason, "update");
    return du_store_activate(store, &next, KIT_NOW, switched, err);
}

/* Stage what is not on disk, activate; a failure is the test's. */
static inline void kit_install(struct du_store *store, const char *component, uint64_t version)
{
    DU_AUTO_FREE uint64_t *there = NULL;
    defupd_error err = { 0 };
    bool switched, on_disk = false;
    size_t count;

    T_OK(du_store_versions(store, component, &there, &count, &err), &err);
    for (size_t i = 0; i < count; i++)
        on_disk = on_disk || there[i] == version;
    if (!on_disk)
        T_OK(kit_stage(store, component, version, &err), &err);
    T_OK(kit_activate(store, component, version, false, &switched, &err), &err);
    T_CHECK(switched);
}

static inline unsigned kit_sweep(struct du_store *store, uint32_t retention)
{
    const struct du_sweep sweep = { .retention = retention, .now = KIT_NOW };
    unsigned failures;

    du_store_sweep(store, &sweep, &failures);
    return failures;
}

/* "7: tetra@2 yara@1"; "0:" when nothing is installed, "!CODE" when it cannot be read. */
static inline const char *kit_current(const char *state)
{
    static char text[512];
    DU_AUTO_GENERATION current = { 0 };
    struct du_store store;
    defupd_error err = { 0 };
    defupd_code rc = du_store_open(&store, state, &du_sys_posix, &err);
    int used;

    if (rc == DEFUPD_OK)
        rc = du_store_current(&store, &current, &err);
    used = snprintf(text, sizeof text, "%llu:", (unsigned long long)current.number);
    if (rc != DEFUPD_OK)
        (void)snprintf(text, sizeof text, "!%s: %.400s", defupd_code_name(rc), err.message);
    for (size_t i = 0; i < current.count; i++)
        used +=
            snprintf(text + used, sizeof text - (size_t)used, " %s@%llu",
                     current.member[i].component, (unsigned long long)current.member[i].version);
    du_store_close(&store);
    return text;
}

/* The folder holds every file of the version as its kit tree has it, and nothing else. */
static inline bool kit_whole_at(const char *path, const char *component, uint64_t version)
{
    DU_AUTO_INDEX want = { 0 }, have = { 0 };
    unsigned char a[DU_SHA256_BYTES], b[DU_SHA256_BYTES];
    DU_AUTO_FD root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    defupd_error err = { 0 };

    if (root < 0 || kit_tree(&du_sys_posix, component, version, -1, &want, &err) != DEFUPD_OK ||
        du_tree_scan(&du_sys_posix, root, &(struct du_tick){ 0 }, &have, &err) != DEFUPD_OK) {
        printf("# %s: %s\n", path, err.message);
        return false;
    }
    du_index_digest(&want, a);
    du_index_digest(&have, b);
    if (memcmp(a, b, sizeof a) != 0)
        printf("# %s: not the tree of version %llu\n", path, (unsigned long long)version);
    return memcmp(a, b, sizeof a) == 0;
}

/* The same for the component's entry in `dir`. */
static inline bool kit_whole(const char *dir, const char *component, uint64_t version)
{
    char path[600];

    (void)snprintf(path, sizeof path, "%s/%s", dir, component);
    return kit_whole_at(path, component, version);
}

/* The current set of a store is consistent: every member is whole, through `current` and by its
 * record. */
static inline bool kit_consistent(const char *state)
{
    DU_AUTO_GENERATION current = { 0 };
    struct du_store store;
    defupd_error err = { 0 };
    char dir[600];
    bool good;

    (void)snprintf(dir, sizeof dir, "%s/current", state);
    good = du_store_open(&store, state, &du_sys_posix, &err) == DEFUPD_OK &&
           du_store_current(&store, &current, &err) == DEFUPD_OK;
    for (size_t i = 0; good && i < current.count; i++) {
        const struct du_member *member = &current.member[i];
        DU_AUTO_RECORD record = { 0 };

        good = kit_whole(dir, member->component, member->version) &&
               du_store_record(&store, member->component, member->version, &record, &err) ==
                   DEFUPD_OK &&
               memcmp(record.tree, member->tree, sizeof record.tree) == 0;
    }
    if (!good)
        printf("# %s is not consistent: %s\n", state, err.message);
    du_store_close(&store);
    return good;
}

/* Number of names in a folder; 999 when it cannot be read. */
static inline size_t kit_names(const char *path)
{
    DU_AUTO_FD dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DU_AUTO_NAMES names = { 0 };
    defupd_error err;

    if (dir < 0 || du_dir_names(&du_sys_posix, dir, &names, &err) != DEFUPD_OK)
        return 999;
    return names.count;
}

/* Does a name that ends in ".tmp" stand anywhere below? */
static inline bool kit_has_tmp(int at, const char *name)
{
    DU_AUTO_FD dir = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    const size_t len = strlen(name);
    DU_AUTO_NAMES names = { 0 };
    defupd_error err;
    bool found = len > 4 && strcmp(name + len - 4, ".tmp") == 0;

    if (found)
        printf("# left over: %s\n", name);
    if (dir >= 0 && du_dir_names(&du_sys_posix, dir, &names, &err) != DEFUPD_OK)
        abort();
    for (size_t i = 0; i < names.count; i++)
        found = kit_has_tmp(dir, names.item[i]) || found;
    return found;
}

/* `to` becomes a copy of `from` (files, folders and links below `at`), whatever it was. */
static inline void kit_copy(int at, const char *from, const char *to)
{
    char data[8192];
    struct stat st;
    defupd_error err;

    T_OK(du_tree_remove(&du_sys_posix, at, to, NULL, &err), &err);
    T_CHECK(fstatat(at, from, &st, AT_SYMLINK_NOFOLLOW) == 0);
    if (S_ISLNK(st.st_mode)) {
        const ssize_t len = readlinkat(at, from, data, sizeof data - 1);
        data[len < 0 ? 0 : len] = '\0';
        T_CHECK(symlinkat(data, at, to) == 0);
    } else if (S_ISDIR(st.st_mode)) {
        DU_AUTO_FD dir = openat(at, from, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DU_AUTO_NAMES names = { 0 };

        T_CHECK(mkdirat(at, to, st.st_mode & 07777) == 0);
        T_OK(du_dir_names(&du_sys_posix, dir, &names, &err), &err);
        for (size_t i = 0; i < names.count; i++) {
            char source[1024], target[1024];
            (void)snprintf(source, sizeof source, "%s/%s", from, names.item[i]);
            (void)snprintf(target, sizeof target, "%s/%s", to, names.item[i]);
            kit_copy(at, source, target);
        }
    } else {
        DU_AUTO_FD in = openat(at, from, O_RDONLY | O_CLOEXEC);
        DU_AUTO_FD out = openat(at, to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        ssize_t got;

        T_CHECK(in >= 0 && out >= 0 && fchmod(out, st.st_mode & 07777) == 0);
        while ((got = read(in, data, sizeof data)) > 0)
            T_CHECK(write(out, data, (size_t)got) == got);
    }
}

/* Open descriptors of this process. */
static inline unsigned kit_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned count = 0;

    if (dir == NULL)
        abort();
    while (readdir(dir) != NULL)
        count++;
    (void)closedir(dir);
    return count;
}

static inline bool kit_exists(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0;
}

static inline unsigned kit_mode(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0 ? (unsigned)st.st_mode & 07777 : 0;
}

/* A file with this text; for damage. */
static inline void kit_write(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    T_CHECK(file != NULL);
    if (file == NULL)
        return;
    T_CHECK(fputs(text, file) >= 0);
    T_CHECK(fclose(file) == 0);
}

/* Looked at anew, not through directories that were open before. */
static inline bool kit_holds(const struct du_record *record, const struct du_file *file, int root)
{
    DU_AUTO_PLACE place = { .dir = -1 };

    du_place_init(&place, kit_sys(), root);
    return du_record_holds(record, file, &place);
}

#endif
