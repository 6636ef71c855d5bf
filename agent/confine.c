/* SPDX-License-Identifier: Apache-2.0 */
#include "confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/landlock.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fail.h"
#include "text.h"

#define PROCESSES 512 /* of the user, threads count */
#define ADDRESS_SPACE (UINT64_C(4) << 30)

/* A sanitizer's run time needs what a filter denies, and more address space than there is. */
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define SANITIZED true
#elif defined __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED true
#endif
#endif
#ifndef SANITIZED
#define SANITIZED false
#endif

/* --- privileges and limits --- */

static defupd_code drop_privileges(defupd_error *err)
{
    struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct none[2] = { { 0 }, { 0 } };

    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || syscall(SYS_capset, &head, none) != 0)
        return AG_FAIL_ERRNO(err, DEFUPD_E_NOT_PERMITTED, "cannot give up privileges");
    return DEFUPD_OK;
}

static bool lower(__rlimit_resource_t resource, uint64_t most)
{
    struct rlimit now;

    if (getrlimit(resource, &now) != 0)
        return false;
    if (now.rlim_max > most)
        now.rlim_max = (rlim_t)most;
    if (now.rlim_cur > now.rlim_max)
        now.rlim_cur = now.rlim_max;
    return setrlimit(resource, &now) == 0;
}

static defupd_code lower_limits(defupd_error *err)
{
    if (!lower(RLIMIT_CORE, 0) || !lower(RLIMIT_NPROC, PROCESSES) ||
        (!SANITIZED && sizeof(void *) > 4 && !lower(RLIMIT_AS, ADDRESS_SPACE)))
        return AG_FAIL_ERRNO(err, DEFUPD_E_NOT_PERMITTED, "cannot lower this process's limits");
    return DEFUPD_OK;
}

/* --- Landlock: landlock(7) --- */

#ifndef LANDLOCK_ACCESS_FS_REFER
#define LANDLOCK_ACCESS_FS_REFER (UINT64_C(1) << 13)
#endif
#define FS_TRUNCATE (UINT64_C(1) << 14)  /* from version 3 of the interface on */
#define FS_IOCTL_DEV (UINT64_C(1) << 15) /* 5 */
#define NET_BIND_TCP (UINT64_C(1) << 0)  /* 4 */

#define READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define READ_WRITE_FILE (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE)
#define STORE                                                                                     \
    (READ | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |                       \
     LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | \
     LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_REFER | FS_TRUNCATE)

struct ruleset {
    uint64_t fs, net;
};

static void allow(int ruleset, const char *path, uint64_t rights, uint64_t handled)
{
    const int fd = open(path, O_PATH | O_CLOEXEC);
    struct stat st;

    if (fd < 0) /* what is not there needs no rule */
        return;
    if (fstat(fd, &st) == 0) {
        struct landlock_path_beneath_attr rule = { .allowed_access = rights & handled,
                                                   .parent_fd = fd };

        if (!S_ISDIR(st.st_mode))
            rule.allowed_access &= READ_WRITE_FILE | FS_TRUNCATE;
        (void)syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    }
    (void)close(fd);
}

/* What resolving names, TLS, time zones and loading the C library's plug-ins read. */
static const char *const system_paths[] = { "/etc",
                                            "/usr",
                                            "/lib",
                                            "/lib32",
                                            "/lib64",
                                            "/proc",
                                            "/run/systemd/resolve",
                                            "/run/resolvconf",
                                            "/run/NetworkManager",
                                            "/run/nscd",
                                            "/sys/devices/system/cpu",
                                            "/dev/urandom",
                                            "/dev/random",
                                            NULL };

static defupd_code fence(const char *const *writable, const char *const *readable,
                         defupd_error *err)
{
    const long version =
        syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    struct ruleset handled = { .fs = LANDLOCK_ACCESS_FS_EXECUTE | STORE |
                                     LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_SOCK |
                                     LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK };
    int ruleset;
    long rc;

    /* Version 1 forbids every rename between folders, and a store lives by those. */
    if (version < 2) {
        ag_line(stderr, "defupd: this kernel's Landlock cannot fence the store: going on without");
        return DEFUPD_OK;
    }
    if (version < 3)
        handled.fs &= ~FS_TRUNCATE;
    if (version >= 4)
        handled.net = NET_BIND_TCP;
    if (version >= 5)
        handled.fs |= FS_IOCTL_DEV;
    ruleset = (int)syscall(SYS_landlock_create_ruleset, &handled,
                           version >= 4 ? sizeof handled : sizeof handled.fs, 0);
    if (ruleset < 0)
        return AG_FAIL_ERRNO(err, DEFUPD_E_NOT_PERMITTED, "cannot make a Landlock rule set");
    for (const char *const *path = writable; *path != NULL; path++)
        allow(ruleset, *path, STORE, handled.fs);
    allow(ruleset, "/dev/null", READ_WRITE_FILE, handled.fs);
    for (const char *const *path = system_paths; *path != NULL; path++)
        allow(ruleset, *path, READ, handled.fs);
    for (const char *const *path = readable; path != NULL && *path != NULL; path++)
        allow(ruleset, *path, READ, handled.fs);
    rc = syscall(SYS_landlock_restrict_self, ruleset, 0);
    if (rc != 0)
        (void)AG_FAIL_ERRNO(err, DEFUPD_E_NOT_PERMITTED, "cannot enter the Landlock fence");
    (void)close(ruleset);
    return rc == 0 ? DEFUPD_OK : DEFUPD_E_NOT_PERMITTED;
}

/* --- system calls --- */

static const char *const allowed[] = {
    /* files */
    "read", "write", "readv", "writev", "pread64", "pwrite64", "preadv", "pwritev", "preadv2",
    "pwritev2", "open", "openat", "openat2", "creat", "close", "close_range", "stat", "stat64",
    "fstat", "fstat64", "lstat", "lstat64", "newfstatat", "fstatat64", "statx", "statfs",
    "statfs64", "fstatfs", "fstatfs64", "lseek", "_llseek", "access", "faccessat", "faccessat2",
    "getdents", "getdents64", "getcwd", "mkdir", "mkdirat", "rmdir", "unlink", "unlinkat", "rename",
    "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat", "readlink", "readlinkat",
    "chmod", "fchmod", "fchmodat", "fchmodat2", "utimensat", "utimensat_time64", "truncate",
    "truncate64", "ftruncate", "ftruncate64", "fallocate", "fadvise64", "fadvise64_64",
    "arm_fadvise64_64", "readahead", "fsync", "fdatasync", "sync_file_range", "sync_file_range2",
    "arm_sync_file_range", "syncfs", "flock", "fcntl", "fcntl64", "dup", "dup2", "dup3",
    "copy_file_range", "sendfile", "sendfile64", "memfd_create", "pipe", "pipe2", "eventfd2",
    "umask",
    /* memory */
    "brk", "mmap", "mmap2", "munmap", "mremap", "mprotect", "madvise", "mlock", "munlock",
    /* network, as a client */
    "socket", "socketcall", "connect", "bind", "send", "sendto", "sendmsg", "sendmmsg", "recv",
    "recvfrom", "recvmsg", "recvmmsg", "recvmmsg_time64", "getsockname", "getpeername",
    "getsockopt", "setsockopt", "shutdown", "socketpair",
    /* waiting */
    "poll", "ppoll", "ppoll_time64", "select", "_newselect", "pselect6", "pselect6_time64",
    "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2", "clock_gettime",
    "clock_gettime64", "clock_getres", "clock_getres_time64", "clock_nanosleep",
    "clock_nanosleep_time64", "nanosleep", "gettimeofday", "time", "times",
    /* signals and threads */
    "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigpending", "rt_sigtimedwait",
    "rt_sigtimedwait_time64", "sigaltstack", "sigreturn", "restart_syscall", "futex",
    "futex_time64", "futex_waitv", "set_robust_list", "get_robust_list", "rseq", "set_tid_address",
    "sched_yield", "sched_getaffinity", "gettid", "exit", "exit_group", "membarrier", "getcpu",
    /* who and where */
    "getpid", "getppid", "getuid", "geteuid", "getgid", "getegid", "getuid32", "geteuid32",
    "getgid32", "getegid32", "getgroups", "getgroups32", "getresuid", "getresgid", "getresuid32",
    "getresgid32", "getpgrp", "uname", "sysinfo", "getrandom", "getrlimit", "ugetrlimit",
    "getrusage", NULL
};

/* Denied in words that programs understand; what is in no list does not exist. */
static const char *const denied[] = { "execve",
                                      "execveat",
                                      "fork",
                                      "vfork",
                                      "ptrace",
                                      "process_vm_readv",
                                      "process_vm_writev",
                                      "kcmp",
                                      "pidfd_getfd",
                                      "pidfd_send_signal",
                                      "mount",
                                      "umount2",
                                      "move_mount",
                                      "open_tree",
                                      "fsopen",
                                      "fspick",
                                      "pivot_root",
                                      "chroot",
                                      "unshare",
                                      "setns",
                                      "bpf",
                                      "perf_event_open",
                                      "keyctl",
                                      "add_key",
                                      "request_key",
                                      "personality",
                                      "init_module",
                                      "finit_module",
                                      "delete_module",
                                      "kexec_load",
                                      "kexec_file_load",
                                      "reboot",
                                      "swapon",
                                      "swapoff",
                                      "acct",
                                      "mknod",
                                      "mknodat",
                                      "chown",
                                      "fchown",
                                      "lchown",
                                      "fchownat",
                                      "setuid",
                                      "setgid",
                                      "setreuid",
                                      "setregid",
                                      "setresuid",
                                      "setresgid",
                                      "setgroups",
                                      "setfsuid",
                                      "setfsgid",
                                      "capset",

                                      "io_uring_setup",
                                      "io_uring_enter",
                                      "io_uring_register",
                                      "userfaultfd",
                                      "settimeofday",
                                      "clock_settime",
                                      "adjtimex",
                                      "clock_adjtime",
                                      "sethostname",
                                      "setdomainname",
                                      "quotactl",
                                      "name_to_handle_at",
                                      "open_by_handle_at",
                                      "tkill",
                                      "rt_sigqueueinfo",
                                      "rt_tgsigqueueinfo",
                                      NULL };

/* Who answers on the network has its sockets listening before; it takes connections from them. */
static const char *const serving[] = { "accept", "accept4", NULL };
static const char *const listening[] = { "listen", NULL };

static int add(scmp_filter_ctx filter, uint32_t action, const char *const *names)
{
    for (; *names != NULL; names++) {
        const int number = seccomp_syscall_resolve_name(*names);
        /* A name that libseccomp or this machine does not know cannot be called by it either. */
        const int rc = number == __NR_SCMP_ERROR ? 0 : seccomp_rule_add(filter, action, number, 0);

        if (rc != 0 && rc != -EDOM)
            return rc;
    }
    return 0;
}

/* A call whose argument number `index`, masked, is `value`. */
static int add_when(scmp_filter_ctx filter, uint32_t action, int number, unsigned index,
                    scmp_datum_t mask, scmp_datum_t value)
{
    const struct scmp_arg_cmp when = {
        .arg = index, .op = SCMP_CMP_MASKED_EQ, .datum_a = mask, .datum_b = value
    };

    return seccomp_rule_add_array(filter, action, number, 1, &when);
}

/* Those whose arguments decide. */
static int add_by_argument(scmp_filter_ctx filter)
{
    const scmp_datum_t whole = UINT32_MAX, self = (scmp_datum_t)getpid();
    const struct {
        int number;
        uint32_t action;
        unsigned index;
        scmp_datum_t mask, value;
    } rules[] = {
        { SCMP_SYS(ioctl), SCMP_ACT_ALLOW, 1, whole, FICLONE },
        { SCMP_SYS(ioctl), SCMP_ACT_ALLOW, 1, whole, FICLONERANGE },
        { SCMP_SYS(ioctl), SCMP_ACT_ALLOW, 1, whole, FIONREAD },
        { SCMP_SYS(ioctl), SCMP_ACT_ALLOW, 1, whole, FIONBIO },
        { SCMP_SYS(ioctl), SCMP_ACT_ALLOW, 1, whole, TCGETS },
        { SCMP_SYS(ioctl), SCMP_ACT_ALLOW, 1, whole, TIOCGWINSZ },
        { SCMP_SYS(prctl), SCMP_ACT_ALLOW, 0, whole, PR_SET_NAME },
        { SCMP_SYS(prctl), SCMP_ACT_ALLOW, 0, whole, PR_GET_NAME },
        /* Threads, no processes; clone3 hides its flags in memory: without it the C library takes
         * this one. */
        { SCMP_SYS(clone), SCMP_ACT_ALLOW, 0, CLONE_THREAD, CLONE_THREAD },
        { SCMP_SYS(clone), SCMP_ACT_ERRNO(EPERM), 0, CLONE_THREAD, 0 },
        /* Signals to itself (abort); limits are looked at, not set. */
        { SCMP_SYS(kill), SCMP_ACT_ALLOW, 0, whole, self },
        { SCMP_SYS(tgkill), SCMP_ACT_ALLOW, 0, whole, self },
        { SCMP_SYS(prlimit64), SCMP_ACT_ALLOW, 2, UINT64_MAX, 0 },
    };
    int rc = 0;

    for (size_t i = 0; i < sizeof rules / sizeof rules[0] && rc == 0; i++)
        rc = add_when(filter, rules[i].action, rules[i].number, rules[i].index, rules[i].mask,
                      rules[i].value);
    return rc;
}

static defupd_code filter_calls(bool serves, defupd_error *err)
{
    scmp_filter_ctx filter;
    int rc;

    if (SANITIZED)
        return DEFUPD_OK;
    if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) < 0 && errno == EINVAL) {
        ag_line(stderr, "defupd: this kernel filters no system calls: going on without");
        return DEFUPD_OK;
    }
    filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
    if (filter == NULL)
        return AG_FAIL(err, DEFUPD_E_NOMEM, "out of memory");
    rc = add(filter, SCMP_ACT_ALLOW, allowed);
    if (rc == 0)
        rc = add(filter, SCMP_ACT_ERRNO(EPERM), denied);
    if (rc == 0)
        rc = add(filter, SCMP_ACT_ERRNO(EPERM), listening);
    if (rc == 0)
        rc = add(filter, serves ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(EPERM), serving);
    if (rc == 0)
        rc = add_by_argument(filter);
    if (rc == 0)
        rc = seccomp_load(filter);
    seccomp_release(filter);
    errno = -rc;
    if (rc != 0)
        return AG_FAIL_ERRNO(err, DEFUPD_E_NOT_PERMITTED, "cannot filter system calls");
    return DEFUPD_OK;
}

defupd_code ag_confine(const char *state_dir, const char *const *readable, defupd_error *err)
{
    const char *const writable[] = { state_dir, NULL };

    AG_TRY(drop_privileges(err));
    AG_TRY(lower_limits(err));
    AG_TRY(fence(writable, readable, err));
    return filter_calls(false, err);
}

defupd_code ag_confine_server(const char *const *writable, const char *const *readable,
                              defupd_error *err)
{
    AG_TRY(drop_privileges(err));
    AG_TRY(lower_limits(err));
    AG_TRY(fence(writable, readable, err));
    return filter_calls(true, err);
}
