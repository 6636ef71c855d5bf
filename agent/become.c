/* SPDX-License-Identifier: Apache-2.0 */
#include "become.h"

#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fail.h"

defupd_code ag_owner_find(const char *state_dir, struct ag_owner *owner, defupd_error *err)
{
    const struct passwd *user;
    struct stat st;

    *owner = (struct ag_owner){ .uid = geteuid(), .gid = getegid() };
    if (stat(state_dir, &st) != 0) {
        if (errno == ENOENT)
            return DEFUPD_OK;
        return AG_FAIL_ERRNO(err, DEFUPD_E_IO, "cannot look at the store %s", state_dir);
    }
    *owner = (struct ag_owner){ .exists = true, .uid = st.st_uid, .gid = st.st_gid };
    /* A store that was only given to the user still has root's group: not one to keep. */
    if (ag_owner_is_other(owner) && owner->gid == 0) {
        user = getpwuid(owner->uid);
        if (user != NULL)
            owner->gid = user->pw_gid;
    }
    return DEFUPD_OK;
}

bool ag_owner_is_other(const struct ag_owner *owner)
{
    return geteuid() == 0 && owner->exists && owner->uid != 0;
}

defupd_code ag_become(const struct ag_owner *owner, defupd_error *err)
{
    uid_t ruid, euid, suid;
    gid_t rgid, egid, sgid;

    /* Groups while still root, the user last. */
    if (setgroups(0, NULL) != 0 || setgid(owner->gid) != 0 || setuid(owner->uid) != 0)
        return AG_FAIL_ERRNO(err, DEFUPD_E_NOT_PERMITTED,
                             "cannot become user %u, the store's owner (start as that user, or as "
                             "root with CAP_SETUID and CAP_SETGID)",
                             (unsigned)owner->uid);
    /* Half a change is worse than none: look that no way leads back. */
    if (getresuid(&ruid, &euid, &suid) != 0 || getresgid(&rgid, &egid, &sgid) != 0 ||
        ruid != owner->uid || euid != owner->uid || suid != owner->uid || rgid != owner->gid ||
        egid != owner->gid || sgid != owner->gid || getgroups(0, NULL) != 0 || setuid(0) == 0)
        return AG_FAIL(err, DEFUPD_E_NOT_PERMITTED,
                       "did not become the store's owner, user %u, completely",
                       (unsigned)owner->uid);
    return DEFUPD_OK;
}
