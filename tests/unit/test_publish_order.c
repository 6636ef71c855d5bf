/* SPDX-License-Identifier: Apache-2.0 */
/* The order of publishing is what makes every instant a valid repository, and what a power cut
 * leaves one too: each file is durable before anything names it. */
#include <limits.h>

#include "t_publish.h"

static char events[8192];

static void note(const char *what, const char *name)
{
    const size_t used = strlen(events);

    (void)snprintf(events + used, sizeof events - used, "%s %s\n", what, name);
}

static int noted_fsync(int fd)
{
    char link[64], path[PATH_MAX];
    ssize_t len;

    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    len = readlink(link, path, sizeof path - 1);
    path[len > 0 ? len : 0] = '\0';
    note("sync", strrchr(path, '/') != NULL ? strrchr(path, '/') + 1 : path);
    return 0;
}

static int noted_rename(int from_dir, const char *from, int to_dir, const char *to)
{
    note("rename", to);
    return du_sys_posix.renameat(from_dir, from, to_dir, to);
}

static int noted_mkdir(int dir, const char *name, mode_t mode)
{
    note("mkdir", name);
    return du_sys_posix.mkdirat(dir, name, mode);
}

static const struct du_sys *noting(void)
{
    static struct du_sys sys;

    sys = du_sys_posix;
    sys.fsync = noted_fsync;
    sys.renameat = noted_rename;
    sys.mkdirat = noted_mkdir;
    events[0] = '\0';
    return &sys;
}

static void a_release_is_durable_before_it_is_named(void)
{
    defupd_error err = { 0 };
    T_AUTO_REPO *repo = t_repo(NULL);
    defupd_repo_added added = DEFUPD_REPO_ADDED_INIT;
    char manifest[DU_META_NAME], want[4096];
    DU_AUTO_NAMES names = { 0 };
    DU_AUTO_DIRS dirs = DU_DIRS;
    DU_AUTO_FD dir = -1;

    t_tree("tree", "one");
    T_OK(t_init(repo, &err), &err);
    repo->sys = noting();
    T_OK(t_add(repo, "tetra", 1, "tree", &added, &err), &err);
    repo->sys = &du_sys_posix;
    T_OK(du_dirs_open(repo, &dirs, false, &err), &err);
    T_OK(du_dir_open(repo->sys, dirs.targets, "tetra", false, 0, &dir, &err), &err);
    T_OK(du_dir_names(repo->sys, dir, &names, &err), &err);
    T_CHECK(names.count == 1);
    (void)snprintf(manifest, sizeof manifest, "%s", names.count == 1 ? names.item[0] : "");
    (void)snprintf(want, sizeof want,
                   "mkdir work.tmp\nsync bundle\n"
                   "mkdir %.2s\nsync objects\n"
                   "rename %s\nsync %.2s\n"
                   "mkdir tetra\nsync targets\n"
                   "sync %s.tmp\nrename %s\nsync tetra\n"
                   "sync 2.targets.json.tmp\nrename 2.targets.json\nsync metadata\n"
                   "sync 2.snapshot.json.tmp\nrename 2.snapshot.json\nsync metadata\n"
                   "sync timestamp.json.tmp\nrename timestamp.json\nsync metadata\n",
                   added.object, added.object, added.object, manifest, manifest);
    T_SAME(events, want);
}

static void a_refresh_replaces_the_timestamp_alone(void)
{
    defupd_error err = { 0 };
    T_AUTO_REPO *repo = t_repo(NULL);

    T_OK(t_init(repo, &err), &err);
    repo->sys = noting();
    T_OK(defupd_repo_refresh(repo, &err), &err);
    T_SAME(events, "sync timestamp.json.tmp\nrename timestamp.json\nsync metadata\n");
}

static int64_t mtime_of_timestamp(void)
{
    struct stat st = { 0 };

    T_CHECK(stat("repo/metadata/timestamp.json", &st) == 0);
    T_CHECK(st.st_mtim.tv_nsec == 0);
    return st.st_mtime;
}

static int64_t stopped_s(void)
{
    return 1800000000;
}

/* Web servers make an ETag of the size and the second. */
static void timestamps_of_one_second_have_different_times(void)
{
    defupd_error err = { 0 };
    T_AUTO_REPO *repo = t_repo(NULL);
    struct du_sys sys = du_sys_posix;
    int64_t last;

    sys.now_s = stopped_s;
    repo->sys = &sys;
    T_OK(t_init(repo, &err), &err);
    last = mtime_of_timestamp();
    T_CHECK(last == stopped_s());
    for (int i = 0; i < 3; i++) {
        T_OK(defupd_repo_refresh(repo, &err), &err);
        T_CHECK(mtime_of_timestamp() == last + 1);
        last++;
    }
    t_tree("tree", "one");
    T_OK(t_add(repo, "tetra", 1, "tree", NULL, &err), &err);
    T_CHECK(mtime_of_timestamp() == last + 1);
}

/* The timestamp makes it a repository: then the root that clients are given is there. The keys
 * directory remembers that root. */
static void init_ends_with_the_timestamp(void)
{
    static const char end[] = "sync 1.root.json.tmp\nrename 1.root.json\nsync metadata\n"
                              "sync 1.targets.json.tmp\nrename 1.targets.json\nsync metadata\n"
                              "sync 1.snapshot.json.tmp\nrename 1.snapshot.json\nsync metadata\n"
                              "sync timestamp.json.tmp\nrename timestamp.json\nsync metadata\n"
                              "sync root.json.tmp\nrename root.json\nsync repo.keys\n";
    defupd_error err = { 0 };
    T_AUTO_REPO *repo = t_repo(NULL);

    repo->sys = noting();
    T_OK(t_init(repo, &err), &err);
    T_CHECK(strlen(events) > sizeof end);
    T_SAME(events + strlen(events) - (sizeof end - 1), end);
}

int main(void)
{
    T_RUN(a_release_is_durable_before_it_is_named);
    T_RUN(a_refresh_replaces_the_timestamp_alone);
    T_RUN(timestamps_of_one_second_have_different_times);
    T_RUN(init_ends_with_the_timestamp);
    return T_DONE();
}
