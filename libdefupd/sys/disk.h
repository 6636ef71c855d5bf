/* SPDX-License-Identifier: Apache-2.0 */
/* Sequences of operations that everybody needs, over the table of sys/sys.h. Directories are
 * descriptors; names are single path parts below them unless said otherwise. `what` in messages is
 * the name as given. */
#ifndef DU_SYS_DISK_H
#define DU_SYS_DISK_H

#include <dirent.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/scope.h"
#include "sys/sys.h"

/* Write all of it, however often the kernel takes less. */
DEFUPD_MUST_CHECK defupd_code du_write_all(const struct du_sys *sys, int fd, const void *bytes,
                                           size_t count, const char *what, defupd_error *err);

/* Replace a file atomically and durably: write NAME.tmp, fsync, rename, fsync the directory. A
 * crash leaves the old or the new content, and perhaps NAME.tmp, which the next call replaces. On
 * failure NAME.tmp is removed. The mode is set whatever the umask.
 * Errors: DEFUPD_E_IO, DEFUPD_E_NO_SPACE. */
DEFUPD_MUST_CHECK defupd_code du_file_replace(const struct du_sys *sys, int dir, const char *name,
                                              const void *bytes, size_t count, mode_t mode,
                                              defupd_error *err);

/* The same, with a time of the last change: Unix seconds; negative: now. */
DEFUPD_MUST_CHECK defupd_code du_file_replace_dated(const struct du_sys *sys, int dir,
                                                    const char *name, const void *bytes,
                                                    size_t count, mode_t mode, int64_t mtime_s,
                                                    defupd_error *err);

/* Read a whole regular file (never through a symlink) of at most buf->max bytes.
 * Errors: DEFUPD_E_IO (sys_errno ENOENT when there is none), DEFUPD_E_LIMIT, DEFUPD_E_NOMEM. */
DEFUPD_MUST_CHECK defupd_code du_file_read(const struct du_sys *sys, int dir, const char *name,
                                           struct du_buf *buf, defupd_error *err);

/* True when the last failure was "there is no such file". */
static inline bool du_is_missing(const defupd_error *err)
{
    return err->code == DEFUPD_E_IO && err->sys_errno == ENOENT;
}

/* Remove a file durably; one that is not there is no error. */
DEFUPD_MUST_CHECK defupd_code du_file_remove(const struct du_sys *sys, int dir, const char *name,
                                             defupd_error *err);

/* Open a directory below `dir` (O_NOFOLLOW), *fd yours; with `make`, create it first when missing
 * (mode set whatever the umask, parent synced). */
DEFUPD_MUST_CHECK defupd_code du_dir_open(const struct du_sys *sys, int dir, const char *name,
                                          bool make, mode_t mode, int *fd, defupd_error *err);

DEFUPD_MUST_CHECK defupd_code du_dir_sync(const struct du_sys *sys, int dir, const char *what,
                                          defupd_error *err);

/* Remove a file or a whole directory without following links; nothing there is no error. Does not
 * sync. `freed` (may be NULL) gains the bytes of removed regular files that had one name only. */
DEFUPD_MUST_CHECK defupd_code du_tree_remove(const struct du_sys *sys, int dir, const char *name,
                                             uint64_t *freed, defupd_error *err);

/* Names in a directory, without "." and "..", sorted bytewise; yours: du_names_free(). */
struct du_names {
    char **item;
    size_t count;
};
DEFUPD_MUST_CHECK defupd_code du_dir_names(const struct du_sys *sys, int dir,
                                           struct du_names *names, defupd_error *err);
void du_names_free(struct du_names *names);
#define DU_AUTO_NAMES __attribute__((cleanup(du_names_free))) struct du_names

#endif
