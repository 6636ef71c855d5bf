/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>

#include <defupd/lease.h>

#include "store_kit.h"

static void nothing_installed_is_said(void)
{
    defupd_lease *lease = (defupd_lease *)&lease;
    defupd_error err = { 0 };
    struct du_store store;

    T_FAILS(defupd_lease_open(&lease, kit_path("state"), &err), DEFUPD_E_NOT_INSTALLED, &err);
    T_CHECK(lease == NULL);
    kit_lock(&store);
    T_FAILS(defupd_lease_open(&lease, kit_path("state"), &err), DEFUPD_E_NOT_INSTALLED, &err);
    du_store_close(&store);
    T_FAILS(defupd_lease_open(&lease, "state", &err), DEFUPD_E_INVALID, &err);
    T_FAILS(defupd_lease_open(&lease, NULL, &err), DEFUPD_E_INVALID, &err);
    T_FAILS(defupd_lease_open(NULL, kit_path("state"), &err), DEFUPD_E_INVALID, &err);
    T_CHECK(defupd_lease_open(&lease, kit_path("state"), NULL) == DEFUPD_E_NOT_INSTALLED);
    defupd_lease_close(NULL);
}

static void a_lease_reads_its_whole_set_to_the_end(void)
{
    const unsigned fds = kit_fds();
    defupd_lease *lease = NULL, *later = NULL;
    defupd_error err = { 0 };
    struct du_store store;
    struct stat st;

    kit_lock(&store);
    kit_install(&store, "tetra", 1);
    kit_install(&store, "yara", 1);
    T_OK(defupd_lease_open(&lease, kit_path("state"), &err), &err);
    T_CHECK(defupd_lease_generation(lease) == 2);
    T_SAME(defupd_lease_path(lease), kit_path("state/generations/2"));
    for (uint64_t v = 2; v <= 4; v++) {
        kit_install(&store, "tetra", v);
        T_CHECK(kit_sweep(&store, 0) == 0);
    }
    T_CHECK(kit_whole(defupd_lease_path(lease), "tetra", 1));
    T_CHECK(kit_whole(defupd_lease_path(lease), "yara", 1));
    T_CHECK(fstatat(defupd_lease_fd(lease), "tetra/a.dat", &st, 0) == 0);
    T_OK(defupd_lease_open(&later, kit_path("state"), &err), &err);
    T_CHECK(defupd_lease_generation(later) == 5);
    T_CHECK(kit_whole(defupd_lease_path(later), "tetra", 4));
    errno = 7;
    defupd_lease_close(lease);
    T_CHECK(errno == 7);
    T_CHECK(kit_sweep(&store, 0) == 0);
    T_CHECK(!kit_exists("state/generations/2") && !kit_exists("state/versions/tetra/1"));
    T_CHECK(kit_whole(defupd_lease_path(later), "tetra", 4));
    defupd_lease_close(later);
    du_store_close(&store);
    T_CHECK(kit_fds() == fds);
}

static void a_dead_readers_lease_is_gone_with_it(void)
{
    struct du_store store;
    int status, ready[2];
    char byte;

    kit_lock(&store);
    kit_install(&store, "tetra", 1);
    T_CHECK(pipe(ready) == 0);
    const pid_t pid = fork();
    if (pid == 0) {
        defupd_lease *lease;
        if (defupd_lease_open(&lease, kit_path("state"), NULL) != DEFUPD_OK)
            _exit(1);
        (void)!write(ready[1], "x", 1);
        (void)pause();
        _exit(0);
    }
    T_CHECK(read(ready[0], &byte, 1) == 1);
    kit_install(&store, "tetra", 2);
    T_CHECK(kit_sweep(&store, 0) == 0 && kit_exists("state/generations/1"));
    T_CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, &status, 0) == pid);
    T_CHECK(kit_sweep(&store, 0) == 0 && !kit_exists("state/generations/1"));
    (void)close(ready[0]);
    (void)close(ready[1]);
    du_store_close(&store);
}

/* Between a reader's opening of a generation and its lock, the writer switches and sweeps. */
static struct du_store *writer;
static int races;

static int racing_flock(int fd, int operation)
{
    if (races > 0 && (operation & LOCK_SH) != 0) {
        races--;
        kit_install(writer, "tetra", 10 - (uint64_t)races);
        T_CHECK(kit_sweep(writer, 0) == 0);
    }
    return du_sys_posix.flock(fd, operation);
}

static void a_generation_swept_under_a_reader_is_not_leased(void)
{
    struct du_sys sys = *kit_sys();
    struct du_store store, reader;
    struct du_lease lease;
    defupd_error err = { 0 };

    kit_lock(&store);
    kit_install(&store, "tetra", 1);
    writer = &store;
    races = 3;
    sys.flock = racing_flock;
    T_OK(du_store_open_reader(&reader, kit_path("state"), &sys, &err), &err);
    T_OK(du_store_lease(&reader, &lease, &err), &err);
    T_CHECK(lease.number == 4 && kit_whole(lease.path, "tetra", 10));
    du_lease_free(&lease);
    du_store_close(&reader);
    du_store_close(&store);
}

/* The same name, another directory: a restored backup, for one. */
static int swapping_flock(int fd, int operation)
{
    if (races > 0 && (operation & LOCK_SH) != 0) {
        races--;
        T_CHECK(t_shell("cd state/generations && cp -a 1 x && mv 1 old && mv x 1") == 0);
    }
    return du_sys_posix.flock(fd, operation);
}

static void a_lease_is_on_the_directory_that_has_the_name(void)
{
    struct du_sys sys = *kit_sys();
    struct du_store store, reader;
    struct du_lease lease;
    defupd_error err = { 0 };
    struct stat held, named;

    kit_lock(&store);
    kit_install(&store, "tetra", 1);
    races = 1;
    sys.flock = swapping_flock;
    T_OK(du_store_open_reader(&reader, kit_path("state"), &sys, &err), &err);
    T_OK(du_store_lease(&reader, &lease, &err), &err);
    T_CHECK(fstat(lease.fd, &held) == 0 && stat("state/generations/1", &named) == 0);
    T_CHECK(held.st_ino == named.st_ino);
    du_lease_free(&lease);
    du_store_close(&reader);
    du_store_close(&store);
}

static void a_generation_that_is_missing_or_locked_ends_in_an_error(void)
{
    struct du_store store;
    struct du_lease lease;
    defupd_error err = { 0 };

    kit_lock(&store);
    kit_install(&store, "tetra", 1);
    DU_AUTO_FD fd = open("state/generations/1", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    T_CHECK(flock(fd, LOCK_EX) == 0);
    T_FAILS(du_store_lease(&store, &lease, &err), DEFUPD_E_IO, &err);
    T_CHECK(lease.fd == -1 && lease.path == NULL);
    T_CHECK(t_shell("mv state/generations/1 state/generations/x") == 0);
    T_FAILS(du_store_lease(&store, &lease, &err), DEFUPD_E_IO, &err);
    T_CHECK(strstr(err.message, "generations/1") != NULL);
    du_store_close(&store);
}

int main(void)
{
    kit_fast_disk();
    T_RUN(nothing_installed_is_said);
    T_RUN(a_lease_reads_its_whole_set_to_the_end);
    T_RUN(a_dead_readers_lease_is_gone_with_it);
    T_RUN(a_generation_swept_under_a_reader_is_not_leased);
    T_RUN(a_lease_is_on_the_directory_that_has_the_name);
    T_RUN(a_generation_that_is_missing_or_locked_ends_in_an_error);
    return T_DONE();
}
