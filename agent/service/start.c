/* SPDX-License-Identifier: Apache-2.0 */
/* From whoever started the service to what it stays: the store's owner, in /, with no descriptor
 * but its own, and with three rights at most: to start hooks as their users and to end them. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <syslog.h>
#include <unistd.h>

#include "service.h"

#define BIT(capability) (UINT32_C(1) << (capability))
#define KEPT (BIT(CAP_SETUID) | BIT(CAP_SETGID) | BIT(CAP_KILL))
#define EX_NOPERM 77
#define EX_BUSY 75
#define EX_OSERR 71
#define EX_CANTCREAT 73

/* 0 to 2 must be taken, and nothing beyond: what the starter left open is not for workers. */
int ag_start_files(void)
{
    int fd;

    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd < 0)
        return EX_OSERR;
#ifdef SYS_close_range
    if (syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, 0) != 0)
#endif
        (void)close(fd);
    return chdir("/") == 0 ? 0 : EX_OSERR;
}

/* The default store, when it is not there yet, belongs to the user defupd where there is one. */
static int make_store(const char *path)
{
    const struct passwd *user;

    if (mkdir(path, 0755) != 0)
        return errno == EEXIST ? 0 : -1;
    user = geteuid() == 0 && strcmp(path, AG_STATE_DIR) == 0 ? getpwnam("defupd") : NULL;
    return user != NULL ? lchown(path, user->pw_uid, user->pw_gid) : 0;
}

int ag_start_store(struct ag_service *service)
{
    struct stat st;

    if (make_store(service->state_dir) != 0) {
        ag_log(LOG_ERR, "cannot make the state directory %s: %s%s", service->state_dir,
               strerror(errno),
               errno == EACCES ? "; start as root, or let root make it and give it to this user"
                               : "");
        return EX_CANTCREAT;
    }
    service->state_fd = open(service->state_dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (service->state_fd < 0 || fstat(service->state_fd, &st) != 0) {
        ag_log(LOG_ERR, "cannot open the state directory %s: %s", service->state_dir,
               strerror(errno));
        return EX_OSERR;
    }
    service->owner = st.st_uid;
    if (geteuid() != 0 && geteuid() != st.st_uid) {
        ag_log(LOG_ERR, "%s belongs to user %u: start as that user or as root", service->state_dir,
               (unsigned)st.st_uid);
        return EX_NOPERM;
    }
    return 0;
}

/* The store's owner with all groups of that user, so that policy's files can be given to a group.
 */
static int become_owner(const struct ag_service *service)
{
    const struct passwd *user = getpwuid(service->owner);
    struct stat st;
    gid_t group;

    if (fstat(service->state_fd, &st) != 0)
        return -1;
    group = user != NULL ? user->pw_gid : st.st_gid;
    if ((user != NULL ? initgroups(user->pw_name, group) : setgroups(0, NULL)) != 0)
        return -1;
    /* Capabilities outlive the change; what goes is everything else of root. */
    return prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0 || setresgid(group, group, group) != 0 ||
                   setresuid(service->owner, service->owner, service->owner) != 0
               ? -1
               : 0;
}

/* The rights that are wanted and here; `inheritable` for the start of a hook. */
static uint32_t set_rights(bool inheritable)
{
    struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct data[2] = { { 0 }, { 0 } };
    uint32_t kept;

    if (syscall(SYS_capget, &head, data) != 0)
        return 0;
    kept = data[0].permitted & KEPT;
    data[0] = (struct __user_cap_data_struct){ .effective = kept,
                                               .permitted = kept,
                                               .inheritable = inheritable ? kept : 0 };
    data[1] = (struct __user_cap_data_struct){ 0 };
    return syscall(SYS_capset, &head, data) == 0 ? kept : 0;
}

int ag_start_rights(struct ag_service *service)
{
    const bool root = geteuid() == 0;

    (void)umask(022);
    if (root) {
        for (int capability = 0; capability < 64; capability++) {
            if (capability > 31 || (BIT(capability) & KEPT) == 0)
                (void)prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
        }
        /* Where root owns the store, programs it starts are not given everything anew. */
        (void)prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NOROOT_LOCKED, 0, 0, 0);
        if (service->owner != 0 && become_owner(service) != 0) {
            ag_log(LOG_ERR,
                   "cannot become user %u, to whom %s belongs: %s; start as that user, or as root "
                   "with CAP_SETUID and CAP_SETGID",
                   (unsigned)service->owner, service->state_dir, strerror(errno));
            return EX_NOPERM;
        }
    }
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    (void)set_rights(false);
    service->lock_fd =
        openat(service->state_fd, "agent.lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (service->lock_fd < 0) {
        ag_log(LOG_ERR, "cannot make %s/agent.lock: %s", service->state_dir, strerror(errno));
        return EX_CANTCREAT;
    }
    if (flock(service->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        ag_log(LOG_ERR, "another agent is at work on %s", service->state_dir);
        return EX_BUSY;
    }
    return 0;
}

void ag_rights_lend(bool lend)
{
    const uint32_t kept = set_rights(lend);

    if (!lend)
        (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    for (unsigned long capability = 0; lend && capability < 32; capability++) {
        if ((kept & BIT(capability)) != 0)
            (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0);
    }
}
