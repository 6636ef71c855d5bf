/* SPDX-License-Identifier: Apache-2.0 */
#include "launch.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <unistd.h>

static int set_files(posix_spawn_file_actions_t *files, const struct ag_launch *what)
{
    int rc = posix_spawn_file_actions_addopen(files, 0, "/dev/null", O_RDONLY, 0);

    if (rc == 0)
        rc = posix_spawn_file_actions_adddup2(files, what->out >= 0 ? what->out : 2, 1);
    if (rc == 0 && what->err >= 0)
        rc = posix_spawn_file_actions_adddup2(files, what->err, 2);
    if (rc == 0 && what->three >= 0)
        rc = posix_spawn_file_actions_adddup2(files, what->three, 3);
    if (rc == 0 && what->four > 0)
        rc = posix_spawn_file_actions_adddup2(files, what->four, 4);
#ifdef __GLIBC__
    /* Ours are close-on-exec; this is for what a library or a parent has left open. */
    if (rc == 0)
        rc = posix_spawn_file_actions_addclosefrom_np(files, what->four > 0     ? 5
                                                             : what->three >= 0 ? 4
                                                                                : 3);
#endif
    return rc;
}

static int set_attributes(posix_spawnattr_t *attributes, const struct ag_launch *what)
{
    const int apart = what->session ? POSIX_SPAWN_SETSID : POSIX_SPAWN_SETPGROUP;
    sigset_t none, all;
    int rc;

    (void)sigemptyset(&none);
    (void)sigfillset(&all);
    if ((rc = posix_spawnattr_setsigmask(attributes, &none)) != 0 ||
        (rc = posix_spawnattr_setsigdefault(attributes, &all)) != 0 ||
        (rc = posix_spawnattr_setpgroup(attributes, 0)) != 0)
        return rc;
    return posix_spawnattr_setflags(
        attributes, (short)(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | apart));
}

int ag_launch(pid_t *pid, const struct ag_launch *what)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    int rc = posix_spawn_file_actions_init(&files);

    if (rc != 0)
        return rc;
    rc = posix_spawnattr_init(&attributes);
    if (rc == 0) {
        if ((rc = set_files(&files, what)) == 0 && (rc = set_attributes(&attributes, what)) == 0)
            rc = posix_spawn(pid, what->path, &files, &attributes, what->argv, what->env);
        (void)posix_spawnattr_destroy(&attributes);
    }
    (void)posix_spawn_file_actions_destroy(&files);
    return rc;
}
