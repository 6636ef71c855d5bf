/* SPDX-License-Identifier: Apache-2.0 */
/* A disk that fails while an archive is written or imported: what stood there stays, or the new one
 * is whole, and the next run goes on. ./check takes a spread of the steps, ./check full many.
 */
#include <dirent.h>

#include "fault.h"
#include "t_tree.h"
#include "update_kit.h"

static int stride(void)
{
    return getenv("DEFUPD_LONG") != NULL ? 3 : 23;
}

static int open_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int n = 0;

    while (dir != NULL && readdir(dir) != NULL)
        n++;
    if (dir != NULL)
        (void)closedir(dir);
    return n;
}

static defupd_code write_archive(const char *file, const struct du_sys *sys, defupd_error *err)
{
    defupd_repo_archive archive = DEFUPD_REPO_ARCHIVE_INIT;
    T_AUTO_REPO *repo = t_repo(NULL);

    repo->sys = sys;
    archive.file = file;
    return defupd_repo_export_offline(repo, &archive, err);
}

static void releases(int from, int to)
{
    char name[16], text[16];

    for (int v = from; v <= to; v++) {
        (void)snprintf(name, sizeof name, "a%d", v);
        (void)snprintf(text, sizeof text, "text %d", v);
        t_tree(name, text);
        kit_add((uint64_t)v, name);
    }
}

/* --- writing --- */

static void write_under(const char *file, enum fault_mode mode, int error)
{
    int failures = 0;

    for (struct fault f = fault_start(mode, error); fault_round(&f);
         f.fail_at += stride() > 3 ? 4 : 0) { /* there are few */
        const int before = open_descriptors();
        defupd_error err = { 0 };
        defupd_code rc;

        T_CHECK(t_shell("cp old '%s'", file) == 0);
        rc = write_archive(file, &fault_sys, &err);
        fault_stop(&f);
        T_CHECK(open_descriptors() == before);
        T_CHECK((rc != DEFUPD_OK) == f.hit || rc == DEFUPD_OK);
        if (rc != DEFUPD_OK) {
            failures++;
            T_CHECK(err.message[0] != '\0' && strchr(err.message, '\n') == NULL);
            /* After the rename only its being durable is in doubt. */
            T_CHECK(t_shell("cmp -s old '%s' || cmp -s new '%s'", file, file) == 0);
        } else {
            T_CHECK(t_shell("cmp new '%s'", file) == 0);
        }
        if (mode == FAULT_ONCE)
            T_CHECK(t_shell("test ! -e '%s.tmp'", file) == 0);
    }
    T_CHECK(failures > 3);
}

static void an_archive_is_the_old_or_the_new_one(void)
{
    static const char *const files[] = { "a.zip", "a.tar", "a.tar.zst" };
    defupd_error err = { 0 };

    kit_start();
    releases(1, 1);
    for (size_t i = 0; i < 3; i++) {
        T_CHECK(t_shell("echo something else >old") == 0);
        T_OK(write_archive(files[i], &du_sys_posix, &err), &err);
        T_CHECK(rename(files[i], "new") == 0);
        write_under(files[i], FAULT_ONCE, EIO);
        write_under(files[i], FAULT_FROM_THEN_ON, ENOSPC);
    }
}

static void an_object_that_is_not_right_is_not_written(void)
{
    defupd_error err = { 0 };

    kit_start();
    releases(1, 1);
    T_CHECK(t_shell("echo old >a.zip && f=$(find repo/objects -type f) && "
                    "printf X | dd of=$f bs=1 seek=40 conv=notrunc status=none") == 0);
    T_FAILS(write_archive("a.zip", &du_sys_posix, &err), DEFUPD_E_REPO, &err);
    T_CHECK(strstr(err.message, "is not what is signed") != NULL);
    T_CHECK(t_shell("truncate -s 20 $(find repo/objects -type f)") == 0);
    T_FAILS(write_archive("a.zip", &du_sys_posix, &err), DEFUPD_E_REPO, &err);
    T_CHECK(t_shell("rm $(find repo/objects -type f)") == 0);
    T_FAILS(write_archive("a.zip", &du_sys_posix, &err), DEFUPD_E_REPO, &err);
    T_CHECK(strstr(err.message, "is not there") != NULL);
    T_CHECK(t_shell("test \"$(cat a.zip)\" = old && test ! -e a.zip.tmp") == 0);
}

/* --- importing --- */

static defupd_code import(const char *path, const struct du_sys *sys, defupd_error *err)
{
    defupd_import from = DEFUPD_IMPORT_INIT;
    defupd_client *client = NULL;
    defupd_code rc;

    kit.sys = sys;
    from.path = path;
    rc = kit_open(&client, err);
    if (rc == DEFUPD_OK)
        rc = defupd_client_import(client, &from, NULL, NULL, err);
    defupd_client_close(client);
    kit.sys = &du_sys_posix;
    return rc;
}

static void import_under(const char *path, enum fault_mode mode, int error, int release)
{
    char before[16], after[16];
    int failures = 0;

    (void)snprintf(before, sizeof before, "a%d", release - 1);
    (void)snprintf(after, sizeof after, "a%d", release);
    for (struct fault f = fault_start(mode, error); fault_round(&f); f.fail_at += stride() - 1) {
        const int failed = t_failed;
        defupd_error err = { 0 };
        char said[DEFUPD_ERROR_MESSAGE_MAX];
        int descriptors;
        defupd_code rc;

        T_CHECK(t_remove_tree("state"));
        T_CHECK(access("prepared", F_OK) != 0 || t_shell("cp -a prepared state") == 0);
        descriptors = open_descriptors();
        rc = import(path, &fault_sys, &err);
        fault_stop(&f);
        T_CHECK(open_descriptors() == descriptors);
        if (rc == DEFUPD_OK) { /* what cannot be read of a hold means that it holds */
            T_CHECK(kit_is(after) || f.hit);
        } else {
            failures++;
            T_CHECK(f.hit && err.message[0] != '\0' && strchr(err.message, '\n') == NULL);
            T_CHECK(kit_is(after) ||
                    (release == 1 ? access("state/current", F_OK) != 0 : kit_is(before)));
        }
        (void)snprintf(said, sizeof said, "%s", err.message);
        T_OK(import(path, &du_sys_posix, &err), &err);
        T_CHECK(kit_is(after) && t_is_empty("state/staging"));
        if (t_failed > failed) {
            printf("# %s, operation %d: %s: %s\n", path, f.fail_at, defupd_code_name(rc), said);
            return;
        }
    }
    T_CHECK(failures > 2);
}

static void an_import_survives_every_failing_operation(void)
{
    defupd_error err = { 0 };

    kit_start();
    releases(1, 1);
    T_OK(write_archive("one.zip", &du_sys_posix, &err), &err);
    import_under("one.zip", FAULT_ONCE, EIO, 1);
    T_CHECK(t_shell("rm -rf prepared && mv state prepared") == 0);
    releases(2, 2);
    T_OK(write_archive("two.zip", &du_sys_posix, &err), &err);
    T_OK(write_archive("two.tar", &du_sys_posix, &err), &err);
    T_OK(write_archive("two.tar.zst", &du_sys_posix, &err), &err);
    import_under("two.zip", FAULT_FROM_THEN_ON, ENOSPC, 2);
    import_under("two.tar", FAULT_ONCE, EIO, 2);
    import_under("two.tar.zst", FAULT_ONCE, ENOSPC, 2);
    import_under("repo", FAULT_FROM_THEN_ON, EIO, 2);
}

int main(void)
{
    T_RUN(an_archive_is_the_old_or_the_new_one);
    T_RUN(an_object_that_is_not_right_is_not_written);
    T_RUN(an_import_survives_every_failing_operation);
    return T_DONE();
}
