/* SPDX-License-Identifier: Apache-2.0 */
/* In the hook's process, between the service and the hook: user, limits, no way back. Its own
 * program image, because nothing but exec is safe between fork and exec. */
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hook.h"

static int cannot(const char *what, const char *name)
{
    (void)fprintf(stderr, "defupd-agent: cannot %s %s: %s\n", what, name, strerror(errno));
    return AG_HOOK_CANNOT;
}

static const struct passwd *find_user(const char *name)
{
    char *end;
    const unsigned long uid = strtoul(name, &end, 10);

    if (name[0] >= '0' && name[0] <= '9' && *end == '\0')
        return getpwuid((uid_t)uid);
    errno = 0;
    return getpwnam(name);
}

static int become(const char *name)
{
    const struct passwd *user;
    uid_t uid;
    gid_t gid;

    if (name[0] == '\0')
        return 0;
    user = find_user(name);
    if (user == NULL) {
        (void)fprintf(stderr, "defupd-agent: the hook's user %s does not exist\n", name);
        return AG_HOOK_CANNOT;
    }
    uid = user->pw_uid;
    gid = user->pw_gid;
    if (uid == getuid() && uid == geteuid())
        return 0;
    if (initgroups(user->pw_name, gid) != 0 || setresgid(gid, gid, gid) != 0 ||
        setresuid(uid, uid, uid) != 0)
        return cannot("become the hook's user", name);
    return 0;
}

static void drop_capabilities(void)
{
    struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct none[2] = { { 0 }, { 0 } };

    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    (void)syscall(SYS_capset, &head, none);
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

static int limit(int resource, rlim_t most)
{
    struct rlimit now;

    if (getrlimit((__rlimit_resource_t)resource, &now) != 0)
        return -1;
    if (now.rlim_max < most)
        most = now.rlim_max;
    now = (struct rlimit){ .rlim_cur = most, .rlim_max = most };
    return setrlimit((__rlimit_resource_t)resource, &now);
}

int ag_hook_exec(char **words)
{
    unsigned long long memory;
    char *end;
    int rc;

    if (words[0] == NULL || words[1] == NULL || words[2] == NULL)
        return 64;
    memory = strtoull(words[1], &end, 10);
    if (*end != '\0')
        return 64;
    rc = become(words[0]);
    if (rc != 0)
        return rc;
    drop_capabilities();
    if (chdir("/") != 0 || limit(RLIMIT_CORE, 0) != 0 ||
        (memory > 0 && limit(RLIMIT_AS, (rlim_t)memory) != 0))
        return cannot("limit", words[2]);
    (void)execv(words[2], words + 2);
    rc = errno == ENOENT ? AG_HOOK_MISSING : AG_HOOK_CANNOT;
    (void)cannot("start", words[2]);
    return rc;
}
