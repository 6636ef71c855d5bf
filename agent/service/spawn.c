/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <unistd.h>

#include "service.h"

extern char **environ;

static int actions(posix_spawn_file_actions_t *files, int output, int three)
{
    int rc = posix_spawn_file_actions_addopen(files, 0, "/dev/null", O_RDONLY, 0);

    if (rc == 0)
        rc = posix_spawn_file_actions_adddup2(files, output >= 0 ? output : 2, 1);
    if (rc == 0 && three >= 0)
        rc = posix_spawn_file_actions_adddup2(files, three, 3);
#ifdef __GLIBC__
    /* Ours are close-on-exec; this is for what a library may have opened. */
    if (rc == 0)
        rc = posix_spawn_file_actions_addclosefrom_np(files, three >= 0 ? 4 : 3);
#endif
    return rc;
}

int ag_spawn(const char *program, char *const *argv, int output, int three, pid_t *pid)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    int rc;

    (void)sigemptyset(&none);
    (void)sigfillset(&all);
    rc = posix_spawn_file_actions_init(&files);
    if (rc != 0)
        return rc;
    rc = posix_spawnattr_init(&attributes);
    if (rc != 0) {
        (void)posix_spawn_file_actions_destroy(&files);
        return rc;
    }
    if ((rc = actions(&files, output, three)) == 0 &&
        (rc = posix_spawnattr_setsigmask(&attributes, &none)) == 0 &&
        (rc = posix_spawnattr_setsigdefault(&attributes, &all)) == 0 &&
        (rc = posix_spawnattr_setpgroup(&attributes, 0)) == 0 &&
        (rc = posix_spawnattr_setflags(
             &attributes,
             (short)(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP))) == 0)
        rc = posix_spawn(pid, program, &files, &attributes, argv, environ);
    (void)posix_spawnattr_destroy(&attributes);
    (void)posix_spawn_file_actions_destroy(&files);
    return rc;
}
