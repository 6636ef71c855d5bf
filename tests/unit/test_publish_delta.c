/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <sys/stat.h>

#include "t_publish.h"

struct heard {
    defupd_repo_delta delta[DEFUPD_REPO_DELTAS_MAX];
    char why[DEFUPD_REPO_DELTAS_MAX][DEFUPD_ERROR_MESSAGE_MAX];
    size_t count;
};

static void hear(void *user, const defupd_repo_delta *delta)
{
    struct heard *heard = user;

    T_CHECK(heard->count < DEFUPD_REPO_DELTAS_MAX);
    (void)snprintf(heard->why[heard->count], sizeof heard->why[0], "%s", delta->why);
    heard->delta[heard->count++] = *delta;
}

/* 20 KB that stay, and a line for each release so far. */
static void tree_of(uint64_t version)
{
    T_CHECK(t_shell("mkdir -p tree && for i in 1 2 3 4 5; do test -f tree/list$i || awk -v s=$i "
                    "'BEGIN{srand(s); for (i = 0; i < 400; i++) print int(rand() * 1e9)}' "
                    ">tree/list$i; done && echo 'rule r%llu' >>tree/list3",
                    (unsigned long long)version) == 0);
}

static defupd_code add(defupd_repo *repo, uint64_t version, struct heard *heard,
                       defupd_repo_added *added, defupd_error *err)
{
    defupd_repo_release release = DEFUPD_REPO_RELEASE_INIT;

    *heard = (struct heard){ 0 };
    release.component = "tetra";
    release.version = version;
    release.tree_dir = "tree";
    release.added = added;
    release.on_delta = hear;
    release.user = heard;
    return defupd_repo_add_release(repo, &release, err);
}

static void life(defupd_repo *repo, uint64_t from, uint64_t to)
{
    defupd_error err = { 0 };
    struct heard heard;

    for (uint64_t v = from; v <= to; v++) {
        tree_of(v);
        T_OK(add(repo, v, &heard, NULL, &err), &err);
    }
}

static bool verifies(defupd_repo *repo)
{
    struct t_said found = { 0 };
    defupd_error err = { 0 };

    if (defupd_repo_verify(repo, t_say, &found, &err) == DEFUPD_OK)
        return true;
    printf("# %s\n%s", err.message, found.text);
    return false;
}

/* What is published; freed by the caller. */
static struct du_manifest *published(defupd_repo *repo)
{
    DU_AUTO_DIRS dirs = DU_DIRS;
    DU_AUTO_STATE state = { 0 };
    struct du_manifest *manifest = NULL;
    defupd_error err = { 0 };

    T_OK(du_dirs_open(repo, &dirs, false, &err), &err);
    T_OK(du_state_load(repo, &dirs, &state, &err), &err);
    T_OK(du_state_manifest(repo, &dirs, &state, "tetra", &manifest, &err), &err);
    return manifest;
}

static void the_newest_two_releases_have_deltas_that_are_proven(void)
{
    static const uint64_t newest[] = { 6, 5, 4, 2 }, before[] = { 5, 4, 3, 1 };
    defupd_repo_added added = DEFUPD_REPO_ADDED_INIT;
    DU_AUTO_MANIFEST *manifest = NULL;
    T_AUTO_REPO *repo = t_repo(NULL);
    defupd_error err = { 0 };
    struct heard heard;
    uint64_t bytes = 0;

    T_OK(t_init(repo, &err), &err);
    life(repo, 1, 6);
    tree_of(7);
    T_OK(add(repo, 7, &heard, &added, &err), &err);
    T_CHECK(heard.count == 4 && added.deltas == 4);
    manifest = published(repo);
    T_CHECK(manifest->count == 7 && manifest->release[0].deltas == 4 &&
            manifest->release[1].deltas == 4);
    for (size_t i = 0; i < 4 && t_failed == 0; i++) {
        const struct du_object *delta = &manifest->release[0].delta[i];
        char hex[DU_SHA256_HEX + 1];

        du_hex(hex, delta->sha256, sizeof delta->sha256);
        T_SAME(hex, heard.delta[i].object);
        T_CHECK(delta->from == newest[i] && heard.delta[i].from == newest[i]);
        T_CHECK(manifest->release[1].delta[i].from == before[i]);
        T_CHECK(heard.delta[i].state == DEFUPD_REPO_DELTA_MADE && heard.why[i][0] == '\0');
        T_CHECK(heard.delta[i].bytes == delta->bytes && delta->bytes > 0 && delta->bytes < 500);
        T_CHECK(heard.delta[i].full_bytes == added.bundle_bytes);
        T_CHECK(t_shell("test $(sha256sum <repo/objects/%.2s/%s | cut -c1-64) = %s && test $(stat "
                        "-c %%a repo/objects/%.2s/%s) = 644",
                        hex, hex, hex, hex, hex) == 0);
        bytes += delta->bytes;
    }
    T_CHECK(added.delta_bytes == bytes);
    for (size_t i = 2; i < manifest->count; i++)
        T_CHECK(manifest->release[i].deltas == 0);
    T_CHECK(access("repo/objects/work.tmp", F_OK) != 0);
    T_CHECK(verifies(repo));
}

static void a_delta_as_dear_as_the_bundle_is_left_out(void)
{
    defupd_repo_added added = DEFUPD_REPO_ADDED_INIT;
    T_AUTO_REPO *repo = t_repo(NULL);
    defupd_error err = { 0 };
    struct heard heard;

    T_OK(t_init(repo, &err), &err);
    life(repo, 1, 1);
    T_CHECK(t_shell("rm -rf tree && mkdir tree && head -c 30000 /dev/urandom >tree/other") == 0);
    T_OK(add(repo, 2, &heard, &added, &err), &err);
    T_CHECK(heard.count == 1 && heard.delta[0].state == DEFUPD_REPO_DELTA_DEAR);
    T_CHECK(heard.delta[0].bytes > 27000 && heard.delta[0].object[0] == '\0');
    T_CHECK(added.deltas == 0 && added.delta_bytes == 0);
    T_CHECK(t_shell("find repo/objects -type f | wc -l | grep -qx 2") == 0);
    T_CHECK(verifies(repo));
}

/* Path of a release's bundle. */
static void bundle_of(const struct du_manifest *manifest, uint64_t version, char path[128])
{
    char hex[DU_SHA256_HEX + 1];

    du_hex(hex, du_manifest_find(manifest, version)->full.sha256, DU_SHA256_BYTES);
    (void)snprintf(path, 128, "repo/objects/%.2s/%s", hex, hex);
}

static void a_source_without_a_right_bundle_gets_no_delta(void)
{
    DU_AUTO_MANIFEST *manifest = NULL;
    T_AUTO_REPO *repo = t_repo(NULL);
    defupd_error err = { 0 };
    struct heard heard;
    char path[128];

    T_OK(t_init(repo, &err), &err);
    life(repo, 1, 3);
    manifest = published(repo);
    bundle_of(manifest, 2, path);
    T_CHECK(unlink(path) == 0);
    bundle_of(manifest, 3, path);
    T_CHECK(t_shell("printf xxxx | dd of=%s conv=notrunc seek=100 bs=1 status=none", path) == 0);
    tree_of(4);
    T_OK(add(repo, 4, &heard, NULL, &err), &err);
    T_CHECK(heard.count == 2);
    T_CHECK(heard.delta[0].from == 3 && heard.delta[0].state == DEFUPD_REPO_DELTA_NO_SOURCE);
    T_CHECK(strstr(heard.why[0], path + 5) != NULL); /* says which object is wrong */
    T_CHECK(heard.delta[1].from == 1 && heard.delta[1].state == DEFUPD_REPO_DELTA_MADE);
    T_CHECK(access("repo/objects/work.tmp", F_OK) != 0);
}

static void sources_with_one_tree_share_one_delta(void)
{
    DU_AUTO_MANIFEST *manifest = NULL;
    T_AUTO_REPO *repo = t_repo(NULL);
    defupd_error err = { 0 };
    struct heard heard;

    T_OK(t_init(repo, &err), &err);
    tree_of(1);
    T_OK(add(repo, 1, &heard, NULL, &err), &err);
    T_OK(add(repo, 2, &heard, NULL, &err), &err); /* the same tree */
    tree_of(3);
    T_OK(add(repo, 3, &heard, NULL, &err), &err);
    manifest = published(repo);
    T_CHECK(manifest->release[0].deltas == 2 && manifest->release[0].delta[0].from == 2 &&
            manifest->release[0].delta[1].from == 1);
    T_CHECK(memcmp(manifest->release[0].delta[0].sha256, manifest->release[0].delta[1].sha256,
                   DU_SHA256_BYTES) == 0);
    T_CHECK(heard.count == 2 && heard.delta[1].state == DEFUPD_REPO_DELTA_MADE &&
            heard.delta[1].bytes == heard.delta[0].bytes);
    T_CHECK(verifies(repo));
}

static void any_number_of_jobs_gives_the_same_deltas(void)
{
    static const uint32_t jobs[] = { 1, 2, 7 };
    defupd_repo_release release = DEFUPD_REPO_RELEASE_INIT;
    T_AUTO_REPO *repo = t_repo(NULL);
    defupd_error err = { 0 };
    char first[8][72];

    T_OK(t_init(repo, &err), &err);
    life(repo, 1, 6);
    tree_of(7);
    T_CHECK(t_shell("cp -a repo before") == 0);
    for (size_t i = 0; i < sizeof jobs / sizeof jobs[0]; i++) {
        struct heard heard = { 0 };

        T_CHECK(t_shell("rm -rf repo && cp -a before repo") == 0);
        release.component = "tetra";
        release.version = 7;
        release.tree_dir = "tree";
        release.jobs = jobs[i];
        release.memory_bytes = UINT64_C(64) << 20; /* for one at a time */
        release.on_delta = hear;
        release.user = &heard;
        T_OK(defupd_repo_add_release(repo, &release, &err), &err);
        T_CHECK(heard.count == 4);
        for (size_t k = 0; k < heard.count; k++) {
            if (i == 0)
                (void)snprintf(first[k], sizeof first[k], "%s", heard.delta[k].object);
            T_SAME(heard.delta[k].object, first[k]);
        }
    }
}

/* Whatever ends the work: the repository is as it was, and the next run publishes. */
static void was_left_alone(defupd_repo *repo)
{
    defupd_error err = { 0 };
    struct heard heard;

    T_CHECK(t_shell("diff -r -x .lock repo before") == 0);
    repo->sys = &du_sys_posix;
    T_OK(add(repo, 7, &heard, NULL, &err), &err);
    T_CHECK(heard.count == 4 && verifies(repo));
}

static void cancel_at_deltas(void *user, const defupd_repo_progress *progress)
{
    if (progress->phase == DEFUPD_REPO_DELTAS)
        defupd_repo_cancel(user);
}

static void cancelling_in_the_middle_leaves_the_repository_as_it_was(void)
{
    T_AUTO_REPO *repo = t_repo(NULL), *again = t_repo(NULL);
    defupd_error err = { 0 };
    struct heard heard;

    T_OK(t_init(repo, &err), &err);
    life(repo, 1, 6);
    tree_of(7);
    T_CHECK(t_shell("cp -a repo before") == 0);
    repo->on_progress = cancel_at_deltas;
    repo->progress_user = repo;
    T_FAILS(add(repo, 7, &heard, NULL, &err), DEFUPD_E_CANCELLED, &err);
    T_CHECK(heard.count == 0);
    was_left_alone(again);
}

static struct du_sys broken;
static const char *break_at;

static int mkdir_full(int dir, const char *name, mode_t mode)
{
    if (strcmp(name, break_at) == 0) {
        errno = ENOSPC;
        return -1;
    }
    return du_sys_posix.mkdirat(dir, name, mode);
}

static void a_full_disk_leaves_the_repository_as_it_was(void)
{
    static const char *const places[] = { "old-0", "old-3", "new-2" };
    T_AUTO_REPO *repo = t_repo(NULL);
    defupd_error err = { 0 };
    struct heard heard;

    T_OK(t_init(repo, &err), &err);
    life(repo, 1, 6);
    tree_of(7);
    T_CHECK(t_shell("cp -a repo before") == 0);
    broken = du_sys_posix;
    broken.mkdirat = mkdir_full;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        break_at = places[i];
        repo->sys = &broken;
        T_CHECK(t_shell("rm -rf repo && cp -a before repo") == 0);
        T_FAILS(add(repo, 7, &heard, NULL, &err), DEFUPD_E_NO_SPACE, &err);
        T_CHECK(strstr(err.message, "tetra 7: delta from ") != NULL);
        was_left_alone(repo);
    }
}

/* As if the coder had a bug: another byte in a delta, after its digest was looked at. */
static int mkdir_tamper(int dir, const char *name, mode_t mode)
{
    if (strcmp(name, "new-1") == 0) {
        const int fd = openat(dir, "delta-1", O_RDWR);
        struct stat st;
        char c = 0;

        T_CHECK(fd >= 0 && fstat(fd, &st) == 0 && pread(fd, &c, 1, st.st_size / 2) == 1);
        c ^= 1;
        T_CHECK(pwrite(fd, &c, 1, st.st_size / 2) == 1);
        (void)close(fd);
    }
    return du_sys_posix.mkdirat(dir, name, mode);
}

static void a_delta_that_does_not_give_its_tree_is_never_published(void)
{
    defupd_repo_added added = DEFUPD_REPO_ADDED_INIT;
    DU_AUTO_MANIFEST *manifest = NULL;
    T_AUTO_REPO *repo = t_repo(NULL);
    defupd_error err = { 0 };
    struct heard heard;

    T_OK(t_init(repo, &err), &err);
    life(repo, 1, 6);
    tree_of(7);
    broken = du_sys_posix;
    broken.mkdirat = mkdir_tamper;
    repo->sys = &broken;
    T_OK(add(repo, 7, &heard, &added, &err), &err);
    repo->sys = &du_sys_posix;
    T_CHECK(heard.count == 4 && heard.delta[1].state == DEFUPD_REPO_DELTA_WRONG &&
            heard.why[1][0] != '\0' && heard.delta[1].object[0] == '\0');
    T_CHECK(added.deltas == 3);
    manifest = published(repo);
    T_CHECK(manifest->release[0].deltas == 3 && manifest->release[0].delta[1].from == 4);
    T_CHECK(verifies(repo));
}

static void numbers_are_limited(void)
{
    T_AUTO_REPO *repo = t_repo(NULL);
    defupd_error err = { 0 };

    T_OK(t_init(repo, &err), &err);
    tree_of(1);
    for (int i = 0; i < 3; i++) {
        defupd_repo_release release = DEFUPD_REPO_RELEASE_INIT;
        release.component = "tetra";
        release.version = 1;
        release.tree_dir = "tree";
        release.deltas = i == 0 ? DEFUPD_REPO_DELTAS_MAX + 1 : 0;
        release.jobs = i == 1 ? 65 : 0;
        release.memory_bytes = i == 2 ? (64U << 20) - 1 : 0;
        T_FAILS(defupd_repo_add_release(repo, &release, &err), DEFUPD_E_INVALID, &err);
    }
}

/* Notes of the greatest length leave no room for all: spaced deltas give way before releases. */
static void a_long_manifest_sheds_spaced_deltas_first(void)
{
    defupd_repo_release release = DEFUPD_REPO_RELEASE_INIT;
    DU_AUTO_MANIFEST *manifest = NULL;
    T_AUTO_REPO *repo = t_repo(NULL);
    defupd_error err = { 0 };
    char note[129];

    memset(note, 'n', sizeof note - 1);
    note[sizeof note - 1] = '\0';
    T_OK(t_init(repo, &err), &err);
    release.component = "tetra";
    release.tree_dir = "tree";
    release.note = note;
    for (release.version = 1; release.version <= 33; release.version++) {
        tree_of(release.version);
        release.no_deltas = release.version < 32;
        T_OK(defupd_repo_add_release(repo, &release, &err), &err);
    }
    manifest = published(repo);
    T_CHECK(manifest->count == 30);
    T_CHECK(manifest->release[0].deltas >= 3 && manifest->release[0].deltas < 12 &&
            manifest->release[0].delta[0].from == 32);
    T_CHECK(t_shell("test -z \"$(find repo/targets -name '*.xml' -size +16384c)\"") == 0);
    T_CHECK(verifies(repo));
}

int main(void)
{
    T_RUN(the_newest_two_releases_have_deltas_that_are_proven);
    T_RUN(a_delta_as_dear_as_the_bundle_is_left_out);
    T_RUN(a_source_without_a_right_bundle_gets_no_delta);
    T_RUN(sources_with_one_tree_share_one_delta);
    T_RUN(any_number_of_jobs_gives_the_same_deltas);
    T_RUN(cancelling_in_the_middle_leaves_the_repository_as_it_was);
    T_RUN(a_full_disk_leaves_the_repository_as_it_was);
    T_RUN(a_delta_that_does_not_give_its_tree_is_never_published);
    T_RUN(numbers_are_limited);
    T_RUN(a_long_manifest_sheds_spaced_deltas_first);
    return T_DONE();
}
