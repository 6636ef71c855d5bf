/* SPDX-License-Identifier: Apache-2.0 */
/* Files that the operator named on the command line. They are opened with the operator's rights,
 * before the process becomes the store's owner. */
#ifndef AG_FILES_H
#define AG_FILES_H

#include <stddef.h>
#include <sys/types.h>

#include <defupd/error.h>

/* Read a whole file of at most `max` bytes; pipes are fine. *bytes is yours to free(), with a NUL
 * past the end. `option` names it in messages. DEFUPD_E_IO, DEFUPD_E_LIMIT, DEFUPD_E_NOMEM. */
DEFUPD_MUST_CHECK defupd_code ag_file_read(const char *option, const char *path, size_t max,
                                           char **bytes, size_t *count, defupd_error *err);

/* A file that must be readable later. Unless `keep`, it is only looked at: *kept stays -1 and
 * `new_path` is `path`. With `keep`, its contents are held in memory under a path that stays
 * readable after the process has become another user; close *kept when done with it.
 * DEFUPD_E_IO, DEFUPD_E_LIMIT, DEFUPD_E_NOMEM. */
DEFUPD_MUST_CHECK defupd_code ag_file_keep(const char *option, const char *path, int keep,
                                           int *kept, char **new_path, defupd_error *err);

/* The proxy's URL with the user and password of a credentials file put in, yours to free(). The
 * file holds one line USER:PASSWORD; it must belong to root, to the caller or to `owner`, and be
 * closed to everybody else.
 * DEFUPD_E_POLICY_OWNER, DEFUPD_E_POLICY (what is in it), DEFUPD_E_INVALID (the URL has
 * credentials already), DEFUPD_E_IO, DEFUPD_E_NOMEM. */
DEFUPD_MUST_CHECK defupd_code ag_proxy_auth(const char *proxy, const char *path, uid_t owner,
                                            char **url, defupd_error *err);

/* The line of such a file, "USER:PASSWORD", yours to blank and free(). The same errors. */
DEFUPD_MUST_CHECK defupd_code ag_auth_read(const char *path, uid_t owner, char **text,
                                           defupd_error *err);

/* The path from the root on, yours to free(). DEFUPD_E_IO, DEFUPD_E_NOMEM. */
DEFUPD_MUST_CHECK defupd_code ag_path_absolute(char **out, const char *path, defupd_error *err);

#endif
