/* SPDX-License-Identifier: Apache-2.0 */
#include "hook.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <defupd/error.h>

#include "launch.h"

#define TIMEOUT_S 60
#define ARGS_MAX 256
#define POSTPONE 75 /* EX_TEMPFAIL */

static const char *const names[] = { "",         "pre-install", "validate", "post-install",
                                     "on-error", "on-outdated" };

const char *ag_hook_name(int kind)
{
    return kind >= AG_HOOK_PRE_INSTALL && kind <= AG_HOOK_ON_OUTDATED ? names[kind] : NULL;
}

int ag_hook_kind(const char *name)
{
    for (int kind = AG_HOOK_PRE_INSTALL; kind <= AG_HOOK_ON_OUTDATED; kind++) {
        if (strcmp(names[kind], name) == 0)
            return kind;
    }
    return 0;
}

#define VARIABLES 12

/* Strings of the environment; all that a hook gets. */
struct environment {
    char *strings[VARIABLES + 1];
    size_t count;
    bool failed;
};

__attribute__((format(printf, 2, 3))) static void set(struct environment *env, const char *format,
                                                      ...)
{
    __builtin_va_list args;

    __builtin_va_start(args, format);
    if (env->count == VARIABLES || vasprintf(&env->strings[env->count], format, args) < 0) {
        env->failed = true;
        if (env->count < VARIABLES)
            env->strings[env->count] = NULL;
    } else {
        env->strings[++env->count] = NULL;
    }
    __builtin_va_end(args);
}

static const char *text_of(const char *text)
{
    return text != NULL ? text : "";
}

static void number(struct environment *env, const char *name, uint64_t value)
{
    if (value != 0)
        set(env, "%s=%" PRIu64, name, value);
    else
        set(env, "%s=", name);
}

static void make_environment(struct environment *env, const struct ag_hook_facts *facts)
{
    const char *zone = getenv("TZ");

    set(env, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    set(env, "LC_ALL=C.UTF-8");
    if (zone != NULL)
        set(env, "TZ=%s", zone);
    set(env, "DEFUPD_HOOK=%s", text_of(ag_hook_name(facts->kind)));
    set(env, "DEFUPD_COMPONENT=%s", text_of(facts->component));
    number(env, "DEFUPD_OLD_VERSION", facts->from);
    number(env, "DEFUPD_NEW_VERSION", facts->to);
    set(env, "DEFUPD_CODE=%d", facts->code);
    set(env, "DEFUPD_ERROR=%s", text_of(facts->text));
    set(env, "DEFUPD_TREE=%s", text_of(facts->tree));
    set(env, "DEFUPD_STATE_DIR=%s", text_of(facts->state_dir));
}

int ag_hook_start(struct ag_hook_job *job, const char *helper, const struct ag_hook *hook,
                  const struct ag_hook_facts *facts, int64_t now_ms)
{
    struct environment env = { .count = 0 };
    char memory[32], *argv[ARGS_MAX + 8];
    size_t count = 0;
    int pipes[2], rc;

    *job = (struct ag_hook_job){ .pid = -1, .fd = -1, .kind = hook->kind };
    (void)snprintf(job->name, sizeof job->name, "%s", hook->argv[0]);
    (void)snprintf(memory, sizeof memory, "%" PRIu64, hook->memory_bytes);
    argv[count++] = (char *)(uintptr_t)helper;
    argv[count++] = (char *)(uintptr_t) "--exec-hook";
    argv[count++] = (char *)(uintptr_t)text_of(hook->user);
    argv[count++] = memory;
    for (char *const *word = hook->argv; *word != NULL; word++) {
        if (count == ARGS_MAX)
            return E2BIG;
        argv[count++] = *word;
    }
    argv[count] = NULL;
    if (pipe2(pipes, O_CLOEXEC) != 0)
        return errno;
    make_environment(&env, facts);
    rc = env.failed ? ENOMEM
                    : ag_launch(&job->pid, &(struct ag_launch){ .path = helper,
                                                                .argv = argv,
                                                                .env = env.strings,
                                                                .out = pipes[1],
                                                                .err = pipes[1],
                                                                .three = -1,
                                                                .session = true });
    for (size_t i = 0; i < env.count; i++)
        free(env.strings[i]);
    (void)close(pipes[1]);
    if (rc != 0) {
        (void)close(pipes[0]);
        job->pid = -1;
        return rc;
    }
    (void)fcntl(pipes[0], F_SETFL, O_NONBLOCK);
    job->fd = pipes[0];
    job->deadline_ms = now_ms + (hook->timeout_s > 0 ? hook->timeout_s : TIMEOUT_S) * 1000;
    return 0;
}

static void tell(struct ag_hook_job *job, ag_hook_line_fn line, void *user)
{
    job->line[job->pending] = '\0';
    if (job->pending > 0) {
        (void)snprintf(job->last, sizeof job->last, "%s", job->line);
        if (job->passed <= AG_HOOK_OUTPUT)
            line(user, job->line);
    }
    job->pending = 0;
}

bool ag_hook_read(struct ag_hook_job *job, ag_hook_line_fn line, void *user)
{
    char bytes[4096];
    ssize_t got;

    if (job->fd < 0)
        return false;
    got = read(job->fd, bytes, sizeof bytes);
    if (got < 0)
        return errno == EAGAIN || errno == EINTR;
    for (ssize_t i = 0; i < got; i++) {
        const bool more = job->passed++ <= AG_HOOK_OUTPUT;

        if (job->passed == AG_HOOK_OUTPUT + 1) {
            tell(job, line, user);
            line(user, "(more output is not kept)");
        }
        if (bytes[i] == '\n')
            tell(job, line, user);
        else if (job->pending < sizeof job->line - 1)
            job->line[job->pending++] = bytes[i] == '\0' ? '?' : bytes[i];
        else if (more) { /* a long line comes in parts */
            tell(job, line, user);
            job->line[job->pending++] = bytes[i];
        }
    }
    return got > 0;
}

void ag_hook_kill(struct ag_hook_job *job)
{
    job->killed = true;
    if (job->pid > 0)
        (void)kill(-job->pid, SIGKILL);
}

/* A validator that dies over a release, or never ends, has refused it; one that could not be
 * started has not looked. `exit` is -1 when it did not exit by itself. */
static int code_of(int kind, int exit)
{
    if (kind == AG_HOOK_PRE_INSTALL && exit == POSTPONE)
        return DEFUPD_E_POSTPONED;
    return kind == AG_HOOK_VALIDATE && exit != AG_HOOK_CANNOT && exit != AG_HOOK_MISSING
               ? DEFUPD_E_VALIDATION
               : DEFUPD_E_HOOK;
}

int ag_hook_end(struct ag_hook_job *job, int status, char *text, size_t size, ag_hook_line_fn line,
                void *user)
{
    const bool exited = WIFEXITED(status) && !job->killed;
    const char *said;

    /* What it left running may hold the pipe open for ever: what is there now is all. */
    for (int reads = 0; reads < 64 && job->fd >= 0; reads++) {
        const size_t before = job->passed;

        if (!ag_hook_read(job, line, user) || job->passed == before)
            break;
    }
    tell(job, line, user);
    if (job->fd >= 0)
        (void)close(job->fd);
    job->fd = -1;
    job->pid = -1;
    text[0] = '\0';
    if (exited && WEXITSTATUS(status) == 0)
        return DEFUPD_OK;
    said = job->last[0] != '\0' ? ": " : "";
    if (job->killed)
        (void)snprintf(text, size, "%s %s took too long and was ended%s%s", names[job->kind],
                       job->name, said, job->last);
    else if (exited)
        (void)snprintf(text, size, "%s %s: exit %d%s%s", names[job->kind], job->name,
                       WEXITSTATUS(status), said, job->last);
    else
        (void)snprintf(text, size, "%s %s: ended by signal %d%s%s", names[job->kind], job->name,
                       WTERMSIG(status), said, job->last);
    return code_of(job->kind, exited ? WEXITSTATUS(status) : -1);
}
