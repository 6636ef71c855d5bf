/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <sys/wait.h>

#include "store_kit.h"

static void the_path_must_be_absolute(void)
{
    static const char *const bad[] = { "", "state", "./state", "../state", "/", "//" };
    struct du_store store;
    defupd_error err = { 0 };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        T_FAILS(du_store_open(&store, bad[i], &du_sys_posix, &err), DEFUPD_E_INVALID, &err);
        T_CHECK(store.path == NULL && store.dir == -1);
    }
    T_OK(du_store_open(&store, kit_path("state///"), &du_sys_posix, &err), &err);
    T_SAME(store.path, kit_path("state"));
    du_store_close(&store);
    kit_write("file", "");
    T_FAILS(du_store_open(&store, kit_path("file"), &du_sys_posix, &err), DEFUPD_E_IO, &err);
}

static void the_layout_does_not_depend_on_the_umask(void)
{
    static const mode_t masks[] = { 0, 022, 077, 0777 };

    for (size_t i = 0; i < sizeof masks / sizeof masks[0]; i++) {
        const mode_t before = umask(0);
        DU_AUTO_FACT fact = { 0 };
        struct du_store store;
        unsigned char id[DU_HOST_ID_BYTES];
        defupd_error err = { 0 };

        T_CHECK(t_shell("rm -rf state") == 0);
        (void)umask(masks[i]);
        kit_lock(&store);
        T_OK(du_store_host_id(&store, id, &err), &err);
        kit_install(&store, "tetra", 1);
        T_OK(du_fact_set(&fact, "hold", "1", &err), &err);
        T_OK(du_store_fact_write(&store, DU_FACT_HOLD, "tetra", &fact, &err), &err);
        T_OK(du_store_write_report(&store, "local.xml", "x", 1, &err), &err);
        (void)umask(before);
        du_store_close(&store);
        T_CHECK(kit_mode("state") == 0755 && kit_mode("state/lock") == 0600);
        T_CHECK(kit_mode("state/host-id") == 0600 && kit_mode("state/local.xml") == 0644);
        T_CHECK(kit_mode("state/trust") == 0755 && kit_mode("state/versions") == 0755);
        T_CHECK(kit_mode("state/generations") == 0755 && kit_mode("state/holds") == 0755);
        T_CHECK(kit_mode("state/downloads") == 0700 && kit_mode("state/staging") == 0700);
        T_CHECK(kit_mode("state/versions/tetra") == 0755);
        T_CHECK(kit_mode("state/versions/tetra/1") == 0755);
        T_CHECK(kit_mode("state/versions/tetra/1/dir/sub") == 0755);
        T_CHECK(kit_mode("state/versions/tetra/1/dir/run.sh") == 0755);
        T_CHECK(kit_mode("state/versions/tetra/1.index") == 0644);
        T_CHECK(kit_mode("state/generations/1/generation.xml") == 0644);
        T_CHECK(kit_mode("state/holds/tetra") == 0644);
    }
}

static void modes_of_an_interrupted_first_run_are_put_right(void)
{
    struct du_store store;

    T_CHECK(t_shell("mkdir -m 0755 state && mkdir -m 0700 state/versions && "
                    "mkdir -m 0755 state/downloads") == 0);
    kit_lock(&store);
    T_CHECK(kit_mode("state/versions") == 0755 && kit_mode("state/downloads") == 0700);
    du_store_close(&store);
}

static void a_store_that_others_may_change_is_refused(void)
{
    static const unsigned modes[] = { 0775, 0757, 0777, 01777, 0720 };
    struct du_store store;
    defupd_error err = { 0 };

    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        T_CHECK(t_shell("rm -rf state && mkdir state && chmod %o state", modes[i]) == 0);
        T_FAILS(kit_open(&store, &du_sys_posix, &err), DEFUPD_E_STORE_OWNER, &err);
        T_CHECK(strstr(err.message, "/state") != NULL);
        T_CHECK(store.dir == -1 && store.path == NULL);
    }
    /* One that becomes so after it was opened, too. */
    T_CHECK(chmod("state", 0755) == 0);
    T_OK(kit_open(&store, &du_sys_posix, &err), &err);
    T_CHECK(chmod("state", 0777) == 0);
    T_FAILS(du_store_lock(&store, 0, NULL, &err), DEFUPD_E_STORE_OWNER, &err);
    T_CHECK(store.lock == -1 && !kit_exists("state/lock"));
    du_store_close(&store);
}

/* Run `act` as user 12345; its result is the exit status. Needs root. */
static int as_other(int (*act)(void))
{
    int status = -1;
    const pid_t pid = fork();

    if (pid == 0) {
        if (setgid(12345) != 0 || setuid(12345) != 0)
            _exit(99);
        _exit(act());
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
        return -1;
    return WEXITSTATUS(status);
}

static int other_opens(void)
{
    struct du_store store;
    defupd_error err = { 0 };
    const defupd_code rc = kit_open(&store, &du_sys_posix, &err);

    du_store_close(&store);
    return rc == DEFUPD_OK ? 0 : rc == DEFUPD_E_STORE_OWNER ? 1 : 2;
}

static int other_leases(void)
{
    struct du_store store;
    struct du_lease lease;
    defupd_error err = { 0 };

    if (du_store_open_reader(&store, kit_path("state"), &du_sys_posix, &err) != DEFUPD_OK)
        return 1;
    if (du_store_lease(&store, &lease, &err) != DEFUPD_OK)
        return 2;
    du_lease_free(&lease);
    du_store_close(&store);
    return 0;
}

static int other_locks(void)
{
    struct du_store store;
    defupd_error err = { 0 };

    if (kit_open(&store, &du_sys_posix, &err) != DEFUPD_OK)
        return 2;
    const defupd_code rc = du_store_lock(&store, 0, NULL, &err);
    du_store_close(&store);
    return rc == DEFUPD_OK ? 0 : rc == DEFUPD_E_STORE_OWNER ? 1 : 3;
}

static int other_asks_to_cancel(void)
{
    struct du_store store;
    defupd_error err = { 0 };

    if (kit_open(&store, &du_sys_posix, &err) != DEFUPD_OK)
        return 2;
    const defupd_code rc = du_store_cancel_ask(&store, NULL, &err);
    const bool busy = du_store_busy(&store) != 0;
    du_store_close(&store);
    return busy ? 3 : rc == DEFUPD_E_STORE_OWNER ? 1 : 0;
}

static void a_third_users_store_is_refused_and_roots_is_read(void)
{
    struct du_store store;

    T_CHECK(chmod(".", 0755) == 0);
    kit_lock(&store);
    kit_install(&store, "tetra", 1);
    /* Root's: may be read, not written; nobody else may tell its writer to stop. */
    T_CHECK(as_other(other_opens) == 0);
    T_CHECK(as_other(other_locks) == 1);
    T_CHECK(as_other(other_asks_to_cancel) == 1);
    du_store_close(&store);
    /* A third user's: not even opened, except by who only reads what is installed. */
    T_CHECK(chown("state", 23456, 23456) == 0);
    T_CHECK(as_other(other_opens) == 1);
    T_CHECK(as_other(other_leases) == 0);
    /* One's own. */
    T_CHECK(t_shell("chown -R 12345:12345 state") == 0);
    T_CHECK(as_other(other_locks) == 0);
    /* And root may everything. */
    kit_lock(&store);
    du_store_close(&store);
}

static void a_store_whose_folder_cannot_be_made_says_where(void)
{
    struct du_store store;
    defupd_error err = { 0 };

    T_OK(du_store_open(&store, kit_path("no/such/state"), &du_sys_posix, &err), &err);
    T_FAILS(du_store_lock(&store, 0, NULL, &err), DEFUPD_E_CANNOT_CREATE, &err);
    T_CHECK(strstr(err.message, "no/such/state") != NULL && err.sys_errno == ENOENT);
    du_store_close(&store);
    T_CHECK(t_shell("mkdir -p state/lock") == 0);
    T_OK(kit_open(&store, &du_sys_posix, &err), &err);
    T_FAILS(du_store_lock(&store, 0, NULL, &err), DEFUPD_E_CANNOT_CREATE, &err);
    du_store_close(&store);
    T_CHECK(t_shell("rmdir state/lock && ln -s /dev/null state/lock") == 0);
    T_OK(kit_open(&store, &du_sys_posix, &err), &err);
    T_FAILS(du_store_lock(&store, 0, NULL, &err), DEFUPD_E_CANNOT_CREATE, &err);
    du_store_close(&store);
}

static void a_second_writer_is_told_the_pid(void)
{
    struct du_store first, second;
    defupd_error err = { 0 };
    char want[600];

    kit_lock(&first);
    T_OK(kit_open(&second, kit_sys(), &err), &err);
    T_CHECK(du_store_busy(&second) == (uint64_t)getpid());
    T_FAILS(du_store_lock(&second, 0, NULL, &err), DEFUPD_E_BUSY, &err);
    (void)snprintf(want, sizeof want, "%s is in use by process %ld", kit_path("state"),
                   (long)getpid());
    T_SAME(err.message, want);
    T_FAILS(du_store_lock(&first, 0, NULL, &err), DEFUPD_E_BUG, &err);
    du_store_unlock(&first);
    T_CHECK(du_store_busy(&second) == 0);
    T_CHECK(kit_exists("state/lock")); /* never unlinked */
    T_OK(du_store_lock(&second, 0, NULL, &err), &err);
    du_store_close(&second);
    du_store_close(&first);
}

static defupd_code count_ticks(void *user, uint64_t bytes, defupd_error *err)
{
    int *left = user;

    (void)bytes;
    return --*left > 0 ? DEFUPD_OK : DU_FAIL(err, DEFUPD_E_CANCELLED, "cancelled");
}

static void waiting_for_the_lock_ticks_and_ends(void)
{
    struct du_store first, second;
    defupd_error err = { 0 };
    int left = 3;
    const struct du_tick tick = { count_ticks, &left };

    kit_lock(&first);
    T_OK(kit_open(&second, kit_sys(), &err), &err);
    T_FAILS(du_store_lock(&second, 60000, &tick, &err), DEFUPD_E_CANCELLED, &err);
    T_CHECK(left == 0 && second.lock == -1);
    left = 1000;
    T_FAILS(du_store_lock(&second, 60, &tick, &err), DEFUPD_E_BUSY, &err);
    T_CHECK(left < 1000);
    du_store_close(&second);
    du_store_close(&first);
}

static defupd_code let_go(void *user, uint64_t bytes, defupd_error *err)
{
    (void)bytes;
    (void)err;
    du_store_unlock(user);
    return DEFUPD_OK;
}

static void who_waits_gets_the_lock_when_it_is_free(void)
{
    struct du_store first, second;
    defupd_error err = { 0 };
    const struct du_tick tick = { let_go, &first };

    kit_lock(&first);
    T_OK(kit_open(&second, kit_sys(), &err), &err);
    T_OK(du_store_lock(&second, 60000, &tick, &err), &err);
    T_CHECK(second.lock >= 0 && first.lock == -1);
    du_store_close(&second);
    du_store_close(&first);
}

static void a_dead_writers_lock_is_gone_with_it(void)
{
    struct du_store store;
    defupd_error err = { 0 };
    int status, ready[2];
    char byte;

    T_CHECK(pipe(ready) == 0);
    const pid_t pid = fork();
    if (pid == 0) {
        kit_lock(&store);
        (void)!write(ready[1], "x", 1);
        (void)pause();
        _exit(0);
    }
    T_CHECK(read(ready[0], &byte, 1) == 1);
    T_OK(kit_open(&store, kit_sys(), &err), &err);
    T_CHECK(du_store_busy(&store) == (uint64_t)pid);
    T_FAILS(du_store_lock(&store, 0, NULL, &err), DEFUPD_E_BUSY, &err);
    T_CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, &status, 0) == pid);
    T_CHECK(du_store_busy(&store) == 0);
    T_OK(du_store_lock(&store, 0, NULL, &err), &err);
    du_store_close(&store);
    (void)close(ready[0]);
    (void)close(ready[1]);
}

static void a_lock_file_without_sense_still_locks(void)
{
    static const char *const lines[] = {
        "",     "garbage", "0 00\n",
        "17\n", "-1 x\n",  "99999999999999999999 00000000000000000000000000000000\n"
    };

    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct du_store first, second;
        defupd_error err = { 0 };

        kit_lock(&first);
        kit_write("state/lock", lines[i]);
        T_OK(kit_open(&second, kit_sys(), &err), &err);
        T_CHECK(du_store_busy(&second) == 0);
        T_FAILS(du_store_lock(&second, 0, NULL, &err), DEFUPD_E_BUSY, &err);
        T_CHECK(strstr(err.message, "another process") != NULL);
        T_FAILS(du_store_cancel_ask(&second, NULL, &err), DEFUPD_E_IO, &err);
        du_store_close(&second);
        du_store_close(&first);
        kit_lock(&first);
        T_CHECK(du_store_busy(&first) == (uint64_t)getpid());
        du_store_close(&first);
    }
}

static void a_request_to_cancel_reaches_the_present_writer_only(void)
{
    struct du_store writer, other;
    defupd_error err = { 0 };
    uint64_t pid = 1;

    T_OK(kit_open(&other, kit_sys(), &err), &err);
    T_OK(du_store_cancel_ask(&other, &pid, &err), &err); /* no store */
    T_CHECK(pid == 0);
    kit_lock(&writer);
    du_store_close(&other);
    T_OK(kit_open(&other, kit_sys(), &err), &err);
    T_CHECK(!du_store_cancel_asked(&writer));
    T_OK(du_store_cancel_ask(&other, &pid, &err), &err);
    T_CHECK(pid == (uint64_t)getpid() && du_store_cancel_asked(&writer));
    T_CHECK(!du_store_cancel_asked(&other));
    T_CHECK(kit_mode("state/cancel") == 0600);
    T_CHECK(t_shell("cp state/cancel stale") == 0);
    du_store_unlock(&writer);
    pid = 1;
    T_OK(du_store_cancel_ask(&other, &pid, &err), &err); /* nobody at work */
    T_CHECK(pid == 0);

    /* Meant for the writer before: neither what lay there nor what comes late. */
    T_OK(du_store_lock(&writer, 0, NULL, &err), &err);
    T_CHECK(!du_store_cancel_asked(&writer) && !kit_exists("state/cancel"));
    T_CHECK(t_shell("cp stale state/cancel") == 0);
    T_CHECK(!du_store_cancel_asked(&writer));
    kit_write("state/cancel", "");
    T_CHECK(!du_store_cancel_asked(&writer));
    du_store_close(&other);
    du_store_close(&writer);
}

static void a_removed_lock_file_does_not_make_two_writers(void)
{
    struct du_store first, second;
    defupd_error err = { 0 };

    kit_lock(&first);
    T_CHECK(unlink("state/lock") == 0); /* an administrator's mistake */
    T_OK(kit_open(&second, kit_sys(), &err), &err);
    T_OK(du_store_lock(&second, 0, NULL, &err), &err); /* of the new file there is one */
    T_CHECK(du_store_busy(&second) == (uint64_t)getpid());
    du_store_close(&first);
    T_CHECK(du_store_busy(&second) == (uint64_t)getpid());
    du_store_close(&second);
}

static int swap_lock(int dir, const char *name, int flags, mode_t mode)
{
    static bool done;
    const int fd = du_sys_posix.openat(dir, name, flags, mode);

    if (!done && strcmp(name, "lock") == 0 && (flags & O_CREAT) != 0) {
        done = true;
        (void)t_shell("rm state/lock && touch state/lock");
    }
    return fd;
}

static void a_lock_file_replaced_while_it_is_opened_is_opened_again(void)
{
    struct du_sys sys = *kit_sys();
    struct du_store store, other;
    defupd_error err = { 0 };

    sys.openat = swap_lock;
    T_OK(kit_open(&store, &sys, &err), &err);
    T_OK(du_store_lock(&store, 1000, NULL, &err), &err);
    T_OK(kit_open(&other, kit_sys(), &err), &err);
    T_FAILS(du_store_lock(&other, 0, NULL, &err), DEFUPD_E_BUSY, &err);
    du_store_close(&other);
    du_store_close(&store);
}

static void a_folder_that_was_replaced_is_opened_anew(void)
{
    struct du_store store;
    defupd_error err = { 0 };

    kit_lock(&store);
    du_store_unlock(&store);
    T_CHECK(t_shell("rm -rf state") == 0);
    T_OK(du_store_lock(&store, 0, NULL, &err), &err);
    T_CHECK(kit_exists("state/lock") && kit_exists("state/versions"));
    du_store_close(&store);
}

static ssize_t full_write(int fd, const void *bytes, size_t count)
{
    (void)fd;
    (void)bytes;
    (void)count;
    errno = ENOSPC;
    return -1;
}

static void a_full_disk_does_not_keep_the_writer_out(void)
{
    struct du_sys sys = *kit_sys();
    struct du_store store, other;
    defupd_error err = { 0 };
    uint64_t bytes;

    kit_lock(&store);
    du_store_close(&store);
    kit_write("state/downloads/x", "12345");
    sys.write = full_write;
    T_OK(kit_open(&store, &sys, &err), &err);
    T_OK(du_store_lock(&store, 0, NULL, &err), &err);
    T_OK(kit_open(&other, kit_sys(), &err), &err);
    T_FAILS(du_store_lock(&other, 0, NULL, &err), DEFUPD_E_BUSY, &err);
    T_CHECK(strstr(err.message, "another process") != NULL);
    T_OK(du_store_clean(&store, &bytes, &err), &err);
    T_CHECK(bytes == 5 && kit_names("state/downloads") == 0);
    du_store_close(&other);
    du_store_close(&store);
}

static void host_id(struct du_store *store, unsigned char id[DU_HOST_ID_BYTES])
{
    unsigned char peek[DU_HOST_ID_BYTES];
    defupd_error err = { 0 };

    T_OK(du_store_host_id(store, id, &err), &err);
    T_CHECK(du_store_host_id_peek(store, peek) && memcmp(peek, id, sizeof peek) == 0);
}

/* host-id as it would be with `machine` for the machine. */
static void write_host_id(const char *id, const char *machine)
{
    unsigned char digest[DU_SHA256_BYTES];
    char file[400], hex[DU_SHA256_HEX + 1];

    (void)snprintf(file, sizeof file, "defupd-fact 1\nid %s\nmachine %s\n", id, machine);
    du_sha256(digest, file, strlen(file));
    du_hex(hex, digest, sizeof digest);
    (void)snprintf(file, sizeof file, "defupd-fact 1\nid %s\nmachine %s\nsum %s\n", id, machine,
                   hex);
    kit_write("state/host-id", file);
}

static void host_id_stays_until_the_machine_is_another(void)
{
    static const char other[] = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";
    static const unsigned char known[DU_HOST_ID_BYTES] = { 0x11, 0x11, 0x11, 0x11, 0x11, 0x11,
                                                           0x11, 0x11, 0x11, 0x11, 0x11, 0x11,
                                                           0x11, 0x11, 0x11, 0x11 };
    unsigned char id[DU_HOST_ID_BYTES], again[DU_HOST_ID_BYTES];
    const bool machine = t_shell("test -s /etc/machine-id && "
                                 "! grep -q uninitialized /etc/machine-id") == 0;
    struct du_store store;

    kit_lock(&store);
    T_CHECK(!du_store_host_id_peek(&store, id));
    host_id(&store, id);
    host_id(&store, again);
    T_CHECK(memcmp(id, again, sizeof id) == 0);
    T_CHECK(kit_mode("state/host-id") == 0600);

    /* Made before the machine had an id: it is kept, and bound now. */
    write_host_id("11111111111111111111111111111111", "none");
    host_id(&store, again);
    T_CHECK(memcmp(again, known, sizeof known) == 0);
    T_CHECK(!machine || t_shell("grep -q '^machine none' state/host-id") != 0);
    host_id(&store, again);
    T_CHECK(memcmp(again, known, sizeof known) == 0);

    /* A clone is another host. Where this machine has no id, none can be seen. */
    write_host_id("11111111111111111111111111111111", other);
    host_id(&store, again);
    T_CHECK((memcmp(again, known, sizeof known) != 0) == machine);
    du_store_close(&store);
}

static void a_damaged_host_id_is_made_anew(void)
{
    static const char *const harm[] = { ": > state/host-id", "sed -i 's/^id ./id g/' state/host-id",
                                        "rm state/host-id && ln -s lock state/host-id",
                                        "head -c 70000 /dev/zero > state/host-id" };

    for (size_t i = 0; i < sizeof harm / sizeof harm[0]; i++) {
        unsigned char id[DU_HOST_ID_BYTES], again[DU_HOST_ID_BYTES];
        struct du_store store;

        kit_lock(&store);
        host_id(&store, id);
        T_CHECK(t_shell("%s", harm[i]) == 0);
        T_CHECK(!du_store_host_id_peek(&store, again));
        host_id(&store, again);
        T_CHECK(memcmp(id, again, sizeof id) != 0);
        du_store_close(&store);
    }
}

static void reports_are_replaced_whole_and_only_reports(void)
{
    static const char *const bad[] = { "",          "lock",        "current",  "host-id", "cancel",
                                       "../x.xml",  "trust/x.xml", ".x.xml",   "x.",      "X.xml",
                                       "x.xml.tmp", "current.tmp", "x.tmp.xml" };
    struct du_store store;
    defupd_error err = { 0 };

    T_OK(kit_open(&store, kit_sys(), &err), &err);
    T_FAILS(du_store_write_report(&store, "local.xml", "x", 1, &err), DEFUPD_E_IO, &err);
    du_store_close(&store);
    kit_lock(&store);
    du_store_unlock(&store); /* needs no lock */
    T_OK(du_store_write_report(&store, "local.xml", "one", 3, &err), &err);
    T_OK(du_store_write_report(&store, "local.xml", "second", 6, &err), &err);
    T_CHECK(t_shell("test \"$(cat state/local.xml)\" = second") == 0);
    T_CHECK(kit_mode("state/local.xml") == 0644 && !kit_has_tmp(AT_FDCWD, "state"));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        T_FAILS(du_store_write_report(&store, bad[i], "x", 1, &err), DEFUPD_E_INVALID, &err);
    du_store_close(&store);
}

int main(void)
{
    T_RUN(the_path_must_be_absolute);
    T_RUN(the_layout_does_not_depend_on_the_umask);
    T_RUN(modes_of_an_interrupted_first_run_are_put_right);
    T_RUN(a_store_that_others_may_change_is_refused);
    if (getuid() == 0)
        T_RUN(a_third_users_store_is_refused_and_roots_is_read);
    else
        T_SKIP("a_third_users_store_is_refused_and_roots_is_read", "needs root");
    T_RUN(a_store_whose_folder_cannot_be_made_says_where);
    T_RUN(a_second_writer_is_told_the_pid);
    T_RUN(waiting_for_the_lock_ticks_and_ends);
    T_RUN(who_waits_gets_the_lock_when_it_is_free);
    T_RUN(a_dead_writers_lock_is_gone_with_it);
    T_RUN(a_lock_file_without_sense_still_locks);
    T_RUN(a_request_to_cancel_reaches_the_present_writer_only);
    T_RUN(a_removed_lock_file_does_not_make_two_writers);
    T_RUN(a_lock_file_replaced_while_it_is_opened_is_opened_again);
    T_RUN(a_folder_that_was_replaced_is_opened_anew);
    T_RUN(a_full_disk_does_not_keep_the_writer_out);
    T_RUN(host_id_stays_until_the_machine_is_another);
    T_RUN(a_damaged_host_id_is_made_anew);
    T_RUN(reports_are_replaced_whole_and_only_reports);
    return T_DONE();
}
