/* SPDX-License-Identifier: Apache-2.0 */
/* A disk that fails while a relay is brought up to date: what it serves is valid at every instant,
 * the old state or the new one, and the next sync completes. ./check takes a spread of the steps,
 * ./check full many. */
#include <dirent.h>

#include "fault.h"
#include "relay_kit.h"

static int stride(void)
{
    return getenv("DEFUPD_LONG") != NULL ? 2 : 19;
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

static defupd_code sync_under(const struct du_sys *sys, defupd_error *err)
{
    defupd_code rc;

    hub.options.sys = sys;
    rc = hub_sync(err);
    hub.options.sys = NULL;
    return rc;
}

/* A new host takes what the relay serves. `least`: the release that it has to get, at least; 0:
 * perhaps none, as long as nothing is served. */
static void check_served(int least, int newest)
{
    defupd_error err = { 0 };
    char tree[16];
    bool right = false;

    if (least == 0 && access("hub/relay/metadata/timestamp.json", F_OK) != 0)
        return;
    T_CHECK(t_remove_tree("state"));
    T_OK(kit_run(KIT_UPDATE, NULL, &err), &err);
    for (int v = least > 0 ? least : 1; v <= newest; v++) {
        (void)snprintf(tree, sizeof tree, "a%d", v);
        right = right || kit_is(tree);
    }
    T_CHECK(right);
}

static void survive(enum fault_mode mode, int error, int before, int after)
{
    char tree[16];
    int failures = 0;

    (void)snprintf(tree, sizeof tree, "a%d", after);
    for (struct fault f = fault_start(mode, error); fault_round(&f); f.fail_at += stride() - 1) {
        const int failed = t_failed;
        defupd_error err = { 0 };
        int descriptors;
        defupd_code rc;

        T_CHECK(t_remove_tree("hub"));
        T_CHECK(access("prepared", F_OK) != 0 || t_shell("cp -a prepared hub") == 0);
        descriptors = open_descriptors();
        rc = sync_under(&fault_sys, &err);
        fault_stop(&f);
        T_CHECK(open_descriptors() == descriptors);
        T_CHECK(rc == DEFUPD_OK || (f.hit && err.message[0] != '\0'));
        failures += rc != DEFUPD_OK;
        check_served(rc == DEFUPD_OK ? after : before, after);
        if (t_failed > failed)
            printf("# operation %d: %s: %s\n", f.fail_at, defupd_code_name(rc), err.message);
        T_OK(sync_under(&du_sys_posix, &err), &err);
        check_served(after, after);
        T_CHECK(t_shell("test -z \"$(find hub/relay -name '*.tmp')\"") == 0);
        if (t_failed > failed)
            return;
    }
    T_CHECK(failures > 2);
}

static void what_is_served_is_valid_whichever_operation_fails(void)
{
    defupd_error err = { 0 };

    kit_start();
    hub_start();
    hub_releases(1, 1);
    kit.source = hub_url();
    survive(FAULT_ONCE, EIO, 0, 1);
    T_OK(hub_sync(&err), &err);
    T_CHECK(rename("hub", "prepared") == 0);
    hub_releases(2, 3);
    {
        T_AUTO_REPO *repo = t_repo(NULL);
        T_OK(t_change(repo, DEFUPD_REPO_KEY_ROTATE, "root", NULL, &err), &err);
    }
    survive(FAULT_ONCE, EIO, 1, 3);
    survive(FAULT_FROM_THEN_ON, ENOSPC, 1, 3);
}

/* --- a folder on another file system --- */

static int no_link(int a, const char *b, int c, const char *d, int e)
{
    (void)a, (void)b, (void)c, (void)d, (void)e;
    errno = EXDEV;
    return -1;
}

static void where_no_second_name_is_possible_objects_are_copied(void)
{
    struct du_sys sys = du_sys_posix;
    defupd_error err = { 0 };

    kit_start();
    hub_start();
    hub_releases(1, 2);
    kit.source = hub_url();
    sys.linkat = no_link;
    T_OK(sync_under(&sys, &err), &err);
    T_CHECK(hub.report.objects == 2 && hub.report.missing == 0);
    /* Not kept twice. */
    T_CHECK(t_is_empty("hub/downloads"));
    T_CHECK(t_shell("test $(find hub/relay/objects -type f -perm 0644 | wc -l) = 2") == 0);
    check_served(2, 2);
}

/* --- an object on demand --- */

static void an_object_is_whole_or_has_no_name(void)
{
    DU_AUTO_NAMED named = { 0 };
    DU_AUTO_FD top = -1;
    defupd_error err = { 0 };
    int failures = 0;

    kit_start();
    hub_start();
    hub_releases(1, 1);
    hub.options.mode = DU_RELAY_CACHE;
    T_OK(hub_sync(&err), &err);
    top = open("hub/relay", O_RDONLY | O_DIRECTORY);
    T_OK(du_named_read(&named, &du_sys_posix, top, &err), &err);
    T_CHECK(named.count == 1);
    for (int mode = 0; mode < 2 && named.count == 1; mode++) {
        for (struct fault f =
                 fault_start(mode == 0 ? FAULT_ONCE : FAULT_FROM_THEN_ON, mode == 0 ? EIO : ENOSPC);
             fault_round(&f);) {
            struct du_relay *relay = NULL;
            const int descriptors = open_descriptors();
            defupd_code rc;

            T_CHECK(t_shell("rm -rf hub/relay/objects/* hub/relay/parts/*") == 0);
            hub.options.sys = &fault_sys;
            rc = hub_open(&relay, &err);
            if (rc == DEFUPD_OK)
                rc = du_relay_object(relay, named.item[0].sha256, NULL, NULL, &err);
            du_relay_close(relay);
            fault_stop(&f);
            hub.options.sys = NULL;
            T_CHECK(open_descriptors() == descriptors);
            failures += rc != DEFUPD_OK;
            T_CHECK(rc == DEFUPD_OK || f.hit);
            T_CHECK(t_shell("f=$(find hub/relay/objects -type f) && { test -z \"$f\" || cmp -s $f "
                            "$(find repo/objects -type f); }") == 0);
            T_OK(hub_open(&relay, &err), &err);
            T_OK(du_relay_object(relay, named.item[0].sha256, NULL, NULL, &err), &err);
            du_relay_close(relay);
            T_CHECK(t_shell("diff -r repo/objects hub/relay/objects") == 0);
        }
    }
    T_CHECK(failures > 5);
}

int main(void)
{
    T_RUN(what_is_served_is_valid_whichever_operation_fails);
    T_RUN(where_no_second_name_is_possible_objects_are_copied);
    T_RUN(an_object_is_whole_or_has_no_name);
    return T_DONE();
}
