/* SPDX-License-Identifier: Apache-2.0 */
/* The repository's folders and the lock that keeps publishers apart. Readers need none. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "publish/publish_priv.h"

#define LOCK_NAME ".lock"
#define LOCK_TEXT_MAX 32
#define DEPTH_MAX 1024

/* Looking upwards passes folders that may be entered but not listed. */
#ifdef O_PATH
#define LOOK (O_PATH | O_DIRECTORY)
#else
#define LOOK (O_RDONLY | O_DIRECTORY)
#endif

void du_dirs_close(struct du_dirs *dirs)
{
    du_fd_close(&dirs->top);
    du_fd_close(&dirs->metadata);
    du_fd_close(&dirs->targets);
    du_fd_close(&dirs->objects);
    du_fd_close(&dirs->lock); /* the lock dies with its descriptor */
}

static defupd_code open_top(const struct defupd_repo *repo, int *top, defupd_error *err)
{
    if (repo->dir_path == NULL)
        return DU_FAIL(err, DEFUPD_E_INVALID, "no repository folder was named");
    *top = repo->sys->openat(AT_FDCWD, repo->dir_path, O_RDONLY | O_DIRECTORY, 0);
    if (*top < 0 && (errno == ENOENT || errno == ENOTDIR))
        return DU_FAIL_ERRNO(err, DEFUPD_E_REPO, "no repository at %s", repo->dir_path);
    if (*top < 0)
        return DU_FAIL_IO(err, "open repository %s", repo->dir_path);
    return DEFUPD_OK;
}

static defupd_code busy(const struct defupd_repo *repo, int lock, defupd_error *err)
{
    char pid[LOCK_TEXT_MAX] = "";
    const ssize_t got = repo->sys->pread(lock, pid, sizeof pid - 1, 0);

    pid[got > 0 ? got : 0] = '\0';
    pid[strspn(pid, "0123456789")] = '\0';
    if (pid[0] == '\0')
        return DU_FAIL(err, DEFUPD_E_BUSY, "repository %s is in use by another publisher",
                       repo->dir_path);
    return DU_FAIL(err, DEFUPD_E_BUSY, "repository %s is in use by another publisher (pid %s)",
                   repo->dir_path, pid);
}

/* Publishers of a group share a folder that the group may write: one signs releases, another user's
 * cron refreshes. They need the lock too, whoever came first and with whatever umask. */
static void share_lock(const struct du_sys *sys, int top, int lock)
{
    struct stat folder, file;

    if (fstat(top, &folder) == 0 && fstat(lock, &file) == 0 && (folder.st_mode & S_IWGRP) != 0 &&
        (file.st_mode & S_IWGRP) == 0 && file.st_uid == geteuid())
        (void)sys->fchmod(lock, 0660); /* else the others are told that it cannot be opened */
}

static defupd_code take_lock(const struct defupd_repo *repo, struct du_dirs *dirs,
                             defupd_error *err)
{
    const struct du_sys *sys = repo->sys;
    DU_AUTO_FD lock = sys->openat(dirs->top, LOCK_NAME, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
    char pid[LOCK_TEXT_MAX];

    if (lock < 0)
        return DU_FAIL_IO(err, "open %s/" LOCK_NAME, repo->dir_path);
    share_lock(sys, dirs->top, lock);
    if (sys->lock(lock) != 0) {
        if (errno == EAGAIN)
            return busy(repo, lock, err);
        return DU_FAIL_IO(err, "lock %s/" LOCK_NAME, repo->dir_path);
    }
    if (sys->ftruncate(lock, 0) != 0)
        return DU_FAIL_IO(err, "write %s/" LOCK_NAME, repo->dir_path);
    (void)snprintf(pid, sizeof pid, "%jd\n", (intmax_t)getpid());
    DU_TRY(du_write_all(sys, lock, pid, strlen(pid), LOCK_NAME, err));
    dirs->lock = du_take_fd(&lock);
    return DEFUPD_OK;
}

static defupd_code open_parts(const struct defupd_repo *repo, struct du_dirs *dirs, bool make,
                              defupd_error *err)
{
    const struct du_sys *sys = repo->sys;

    DU_TRY(du_dir_open(sys, dirs->top, "metadata", make, 0755, &dirs->metadata, err));
    DU_TRY(du_dir_open(sys, dirs->top, "targets", make, 0755, &dirs->targets, err));
    return du_dir_open(sys, dirs->top, "objects", make, 0755, &dirs->objects, err);
}

defupd_code du_dirs_open(const struct defupd_repo *repo, struct du_dirs *dirs, bool lock,
                         defupd_error *err)
{
    DU_TRY(open_top(repo, &dirs->top, err));
    if (faccessat(dirs->top, "metadata", F_OK, 0) != 0 && errno == ENOENT)
        return DU_FAIL(err, DEFUPD_E_REPO, "no repository at %s: it holds no metadata/",
                       repo->dir_path);
    if (lock)
        DU_TRY(take_lock(repo, dirs, err));
    if (open_parts(repo, dirs, false, err) != DEFUPD_OK)
        return du_err_prefix(err, "repository %s", repo->dir_path);
    return DEFUPD_OK;
}

defupd_code du_dirs_make(const struct defupd_repo *repo, struct du_dirs *dirs, defupd_error *err)
{
    const bool made =
        repo->dir_path != NULL && repo->sys->mkdirat(AT_FDCWD, repo->dir_path, 0755) == 0;

    if (repo->dir_path == NULL)
        return DU_FAIL(err, DEFUPD_E_INVALID, "no repository folder was named");

    if (!made && errno != EEXIST) {
        const defupd_code code = du_err_io_code(errno);
        return DU_FAIL_ERRNO(err, code == DEFUPD_E_IO ? DEFUPD_E_CANNOT_CREATE : code,
                             "create repository %s", repo->dir_path);
    }
    DU_TRY(open_top(repo, &dirs->top, err));
    if (made && repo->sys->fchmod(dirs->top, 0755) != 0)
        return DU_FAIL_IO(err, "set the mode of %s", repo->dir_path);
    DU_TRY(take_lock(repo, dirs, err));
    if (open_parts(repo, dirs, true, err) != DEFUPD_OK)
        return du_err_prefix(err, "repository %s", repo->dir_path);
    return DEFUPD_OK;
}

defupd_code du_dir_below(const struct du_sys *sys, int fd, int top, bool *below, defupd_error *err)
{
    DU_AUTO_FD at = sys->openat(fd, ".", LOOK, 0);
    struct stat want, here, last = { 0 };

    *below = false;
    if (at < 0 || fstat(top, &want) != 0)
        return DU_FAIL_IO(err, "look at a folder");
    for (unsigned depth = 0; depth < DEPTH_MAX; depth++) {
        int up;

        if (fstat(at, &here) != 0)
            return DU_FAIL_IO(err, "look at a folder above");
        if (here.st_dev == want.st_dev && here.st_ino == want.st_ino) {
            *below = true;
            return DEFUPD_OK;
        }
        if (depth > 0 && here.st_dev == last.st_dev && here.st_ino == last.st_ino)
            return DEFUPD_OK; /* the root is its own parent */
        last = here;
        up = sys->openat(at, "..", LOOK, 0);
        if (up < 0)
            return DU_FAIL_IO(err, "open a folder above");
        du_fd_close(&at);
        at = up;
    }
    return DEFUPD_OK;
}
