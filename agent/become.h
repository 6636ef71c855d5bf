/* SPDX-License-Identifier: Apache-2.0 */
/* Root on a store of another user becomes that user, so that nothing root does follows what that
 * user may have laid out, and nothing in the store ends up belonging to root. */
#ifndef AG_BECOME_H
#define AG_BECOME_H

#include <stdbool.h>
#include <sys/types.h>

#include <defupd/error.h>

struct ag_owner {
    bool exists; /* the store is there */
    uid_t uid;
    gid_t gid;
};

/* Who owns the store. One that does not exist yet is no error. DEFUPD_E_IO. */
DEFUPD_MUST_CHECK defupd_code ag_owner_find(const char *state_dir, struct ag_owner *owner,
                                            defupd_error *err);

/* True when this process is root and the store is somebody else's. */
bool ag_owner_is_other(const struct ag_owner *owner);

/* Become the owner, for good: user, group, no further groups. DEFUPD_E_NOT_PERMITTED. */
DEFUPD_MUST_CHECK defupd_code ag_become(const struct ag_owner *owner, defupd_error *err);

#endif
