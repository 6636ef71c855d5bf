/* SPDX-License-Identifier: Apache-2.0 */
/* What a worker can still do after it has confined itself, and what not. */
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "confine.h"
#include "t.h"

/* Run `probe` in a confined child whose store is ./state; its exit code, 100 when it could not be
 * confined. 0 is what the test wants. */
static int confined(int (*probe)(void))
{
    char state[300], *here = getcwd(NULL, 0);
    pid_t child;
    int status;

    (void)mkdir("state", 0755);
    (void)snprintf(state, sizeof state, "%s/state", here);
    free(here);
    child = fork();
    if (child == 0) {
        defupd_error err = { 0 };

        if (ag_confine(state, (const char *const[]){ NULL }, &err) != DEFUPD_OK) {
            printf("# %s\n", err.message);
            _exit(100);
        }
        _exit(probe());
    }
    if (waitpid(child, &status, 0) != child)
        abort();
    if (WIFSIGNALED(status))
        printf("# signal %d\n", WTERMSIG(status));
    return WIFEXITED(status) ? WEXITSTATUS(status) : 200;
}

static int write_file(const char *path)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

    if (fd < 0)
        return -1;
    if (write(fd, "x", 1) != 1)
        abort();
    return close(fd);
}

static int try_exec(void)
{
    char *const argv[] = { (char *)(uintptr_t) "true", NULL };

    (void)execv("/bin/true", argv);
    return errno == EPERM ? 0 : 1;
}

static void no_other_program_is_started(void)
{
    T_CHECK(confined(try_exec) == 0);
}

static int try_processes(void)
{
    if (fork() >= 0 || errno != EPERM)
        return 1;
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) >= 0 || errno != EPERM)
        return 2;
    if (kill(getppid(), 0) == 0)
        return 3;
    if (syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0) >= 0 || errno != EPERM)
        return 4;
    return kill(getpid(), 0) == 0 ? 0 : 5;
}

static void no_other_process_is_made_or_touched(void)
{
    T_CHECK(confined(try_processes) == 0);
}

static int try_outside(void)
{
    struct stat st;

    if (write_file("outside") == 0 || errno != EACCES)
        return 1;
    if (open("secret", O_RDONLY) >= 0 || errno != EACCES)
        return 2;
    if (unlink("secret") == 0 || rename("state", "moved") == 0 || mkdir("new", 0755) == 0)
        return 3;
    if (symlink("x", "link") == 0 || truncate("secret", 0) == 0)
        return 4;
    return stat("secret", &st) == 0 && st.st_size == 1 ? 0 : 5;
}

static void nothing_outside_the_store_is_written_or_read(void)
{
    T_CHECK(write_file("secret") == 0);
    T_CHECK(confined(try_outside) == 0);
}

static int try_inside(void)
{
    char byte;
    int fd;

    if (mkdir("state/a", 0755) != 0 || mkdir("state/b", 0755) != 0)
        return 1;
    if (write_file("state/a/f") != 0 || rename("state/a/f", "state/b/f") != 0 ||
        link("state/b/f", "state/a/f") != 0 || symlink("b", "state/c") != 0)
        return 2;
    fd = open("state/c/f", O_RDWR);
    if (fd < 0 || read(fd, &byte, 1) != 1 || ftruncate(fd, 0) != 0 || fsync(fd) != 0 ||
        syncfs(fd) != 0)
        return 3;
    return rename("state/a", "state/b/a") == 0 && unlink("state/c") == 0 ? 0 : 4;
}

static void the_store_can_be_worked_on(void)
{
    T_CHECK(confined(try_inside) == 0);
}

static void *in_thread(void *arg)
{
    *(int *)arg = 1;
    return NULL;
}

static int try_needed(void)
{
    pthread_t thread;
    int ran = 0, fd;

    if (pthread_create(&thread, NULL, in_thread, &ran) != 0 || pthread_join(thread, NULL) != 0 ||
        ran != 1)
        return 1;
    if (open("/etc/hosts", O_RDONLY) < 0 && errno != ENOENT)
        return 2;
    fd = open("/dev/null", O_WRONLY);
    if (fd < 0 || write(fd, "x", 1) != 1)
        return 3;
    fd = socket(AF_INET, SOCK_STREAM, 0);
    return fd >= 0 ? 0 : 4;
}

static void threads_names_and_connections_are_there(void)
{
    T_CHECK(confined(try_needed) == 0);
}

static int try_serving(void)
{
    const int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0)
        return 1;
    return listen(fd, 1) != 0 && errno == EPERM ? 0 : 2;
}

static void nobody_is_served(void)
{
    T_CHECK(confined(try_serving) == 0);
}

static int try_rights(void)
{
    struct rlimit core;

    if (prctl(PR_GET_NAME, (char[16]){ 0 }, 0, 0, 0) != 0)
        return 1;
    if (setuid(0) == 0 && getuid() != 0)
        return 2;
    if (getrlimit(RLIMIT_CORE, &core) != 0 || core.rlim_max != 0)
        return 3;
    core.rlim_cur = core.rlim_max = 1;
    if (setrlimit(RLIMIT_CORE, &core) == 0)
        return 4;
    return chmod("state", 0700) == 0 && chown("state", 1, 1) != 0 ? 0 : 5;
}

static void rights_are_gone_for_good(void)
{
    T_CHECK(confined(try_rights) == 0);
}

static int look_at_status(void)
{
    FILE *file = fopen("/proc/self/status", "r");
    char line[256];
    int found = 0;

    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        found += strcmp(line, "NoNewPrivs:\t1\n") == 0;
        found += strcmp(line, "CapEff:\t0000000000000000\n") == 0;
        found += strcmp(line, "CapPrm:\t0000000000000000\n") == 0;
        found += strcmp(line, "Seccomp:\t2\n") == 0;
    }
    return found == 4 ? 0 : 1;
}

static void the_kernel_says_the_same(void)
{
    T_CHECK(confined(look_at_status) == 0);
}

int main(void)
{
    const long landlock =
        syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    const char *sanitize = getenv("SANITIZE");

    T_RUN(the_store_can_be_worked_on);
    T_RUN(threads_names_and_connections_are_there);
    if (landlock >= 2)
        T_RUN(nothing_outside_the_store_is_written_or_read);
    else
        T_SKIP("nothing_outside_the_store_is_written_or_read", "this kernel has no such Landlock");
    if (sanitize != NULL && strcmp(sanitize, "none") != 0) {
        T_SKIP("the rest", "sanitizers need what the filter denies");
        return T_DONE();
    }
    T_RUN(no_other_program_is_started);
    T_RUN(no_other_process_is_made_or_touched);
    T_RUN(nobody_is_served);
    T_RUN(rights_are_gone_for_good);
    T_RUN(the_kernel_says_the_same);
    return T_DONE();
}
