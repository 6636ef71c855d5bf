/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store_priv.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#define TRIES 200
#define REST_NS 1000000

/* Open generation N and hold it; *fd stays -1 when it went away or the sweep is about to take it.
 */
static defupd_code try_hold(const struct du_store *store, uint64_t number, int *fd,
                            defupd_error *err)
{
    const struct du_sys *sys = store->sys;
    DU_AUTO_FD generations = -1, opened = -1;
    char name[DU_VERSION_TEXT];
    struct stat ours, named;

    du_version_name(name, number);
    DU_TRY(du_store_sub(store, "generations", &generations, err));
    if (du_dir_open(sys, generations, name, false, 0, &opened, err) != DEFUPD_OK)
        return du_is_missing(err) ? DEFUPD_OK : err->code;
    if (sys->flock(opened, LOCK_SH | LOCK_NB) != 0)
        return errno == EWOULDBLOCK ? DEFUPD_OK : DU_FAIL_IO(err, "hold generations/%s", name);
    /* Between opening and locking the sweep may have moved the directory away: then the lock is on
     * something that is about to be removed. With the lock held, it can do so no more. */
    if (fstat(opened, &ours) != 0)
        return DU_FAIL_IO(err, "look at generations/%s", name);
    if (fstatat(generations, name, &named, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? DEFUPD_OK : DU_FAIL_IO(err, "look at generations/%s", name);
    if (named.st_dev == ours.st_dev && named.st_ino == ours.st_ino)
        *fd = du_take_fd(&opened);
    return DEFUPD_OK;
}

defupd_code du_store_lease(const struct du_store *store, struct du_lease *lease, defupd_error *err)
{
    const struct timespec rest = { .tv_nsec = REST_NS };
    uint64_t number = 0;

    *lease = (struct du_lease){ .fd = -1 };
    for (unsigned i = 0; i < TRIES && lease->fd < 0; i++) {
        if (i > 0)
            (void)nanosleep(&rest, NULL);
        DU_TRY(du_store_current_number(store, &number, err));
        if (number == 0)
            return DU_FAIL(err, DEFUPD_E_NOT_INSTALLED, "nothing is installed in %s", store->path);
        DU_TRY(try_hold(store, number, &lease->fd, err));
    }
    if (lease->fd < 0)
        return DU_FAIL(err, DEFUPD_E_IO, "%s/generations/%llu is missing or locked by another",
                       store->path, (unsigned long long)number);
    lease->number = number;
    if (asprintf(&lease->path, "%s/generations/%llu", store->path, (unsigned long long)number) <
        0) {
        lease->path = NULL;
        du_lease_free(lease);
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a path");
    }
    return DEFUPD_OK;
}

void du_lease_free(struct du_lease *lease)
{
    du_fd_close(&lease->fd);
    free(lease->path);
    lease->path = NULL;
    lease->number = 0;
}
