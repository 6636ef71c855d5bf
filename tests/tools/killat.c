/* SPDX-License-Identifier: Apache-2.0 */
/*
 * killat N COMMAND...: run a command and kill it with SIGKILL at its Nth system call, before the
 * call is carried out, with all threads and children. With N 0 it runs to its end; then the number
 * of system calls is the last line on standard error, "killat: 1234".
 *
 * Exit status: the command's, or 137 when it was killed.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

static const int options = PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL | PTRACE_O_TRACECLONE |
                           PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC;

static int start(char *const *argv)
{
    const pid_t pid = fork();

    if (pid == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0 && raise(SIGSTOP) == 0)
            (void)execvp(argv[0], argv);
        (void)fprintf(stderr, "killat: cannot run %s\n", argv[0]);
        _exit(127);
    }
    return pid;
}

/* A thread is inside a call or not; entries are counted, exits are not. Small numbers of threads.
 */
static struct thread {
    pid_t id;
    int inside;
} threads[1024];

static struct thread *find(pid_t id)
{
    for (size_t i = 0; i < sizeof threads / sizeof threads[0]; i++) {
        if (threads[i].id == id)
            return &threads[i];
        if (threads[i].id == 0) {
            threads[i].id = id;
            return &threads[i];
        }
    }
    abort();
}

int main(int argc, char **argv)
{
    unsigned long target, count = 0;
    int status, result = 0;
    pid_t first;

    if (argc < 3)
        return 64;
    target = strtoul(argv[1], NULL, 10);
    first = start(argv + 2);
    if (first < 0 || waitpid(first, &status, 0) != first ||
        ptrace(PTRACE_SETOPTIONS, first, NULL, options) != 0 ||
        ptrace(PTRACE_SYSCALL, first, NULL, NULL) != 0) {
        perror("killat");
        return 70;
    }
    while (1) {
        const pid_t id = waitpid(-1, &status, __WALL);
        int deliver = 0;

        if (id < 0)
            break; /* ECHILD: all are gone */
        if (WIFEXITED(status) || WIFSIGNALED(status)) {
            find(id)->inside = 0;
            if (id == first)
                result = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
            continue;
        }
        if (WSTOPSIG(status) == (SIGTRAP | 0x80)) {
            struct thread *thread = find(id);

            thread->inside = !thread->inside;
            if (thread->inside && ++count == target)
                (void)kill(first, SIGKILL);
        } else if (WSTOPSIG(status) != SIGTRAP && WSTOPSIG(status) != SIGSTOP) {
            deliver = WSTOPSIG(status);
        }
        (void)ptrace(PTRACE_SYSCALL, id, NULL, (void *)(long)deliver);
    }
    if (target == 0)
        (void)fprintf(stderr, "killat: %lu\n", count);
    return result;
}
