/* SPDX-License-Identifier: Apache-2.0 */
#include "own_hook.h"

#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fail.h"
#include "signals.h"

#define ARGUMENTS 256
#define LOOK_MS 20 /* a hook that has closed its output ends without a sign that poll() knows */

static int64_t now_ms(void)
{
    struct timespec now = { 0 };

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* defupd-agent, which is installed beside this program, sets user and limits. */
static bool helper_path(char path[PATH_MAX])
{
    const ssize_t length = readlink("/proc/self/exe", path, PATH_MAX - 20);
    char *slash;

    if (length <= 0)
        return false;
    path[length] = '\0';
    slash = strrchr(path, '/');
    if (slash == NULL)
        return false;
    (void)strcpy(slash + 1, "defupd-agent");
    return true;
}

/* What policy says of one, with room for its arguments, which are the policy's. */
static bool take(struct ag_hook *hook, char *argv[ARGUMENTS + 2], const struct ag_value *value)
{
    size_t count = 0;

    argv[count++] = (char *)(uintptr_t)ag_value_text(value, "command");
    for (const struct ag_value *at = ag_value_in(value, "argument"); at != NULL;
         at = ag_value_next(at)) {
        if (count > ARGUMENTS)
            return false;
        argv[count++] = at->text;
    }
    argv[count] = NULL;
    *hook = (struct ag_hook){ .kind = ag_hook_kind(ag_setting_name(value->setting)),
                              .user = ag_value_text(value, "user"),
                              .timeout_s = (int64_t)ag_value_number(value, "timeout"),
                              .memory_bytes = ag_value_number(value, "memory"),
                              .argv = argv };
    return argv[0] != NULL;
}

static defupd_code run_one(const struct ag_hook *hook, const struct ag_hook_facts *facts,
                           ag_hook_line_fn line, void *user, defupd_error *err)
{
    char helper[PATH_MAX], text[480];
    struct ag_hook_job job;
    bool open = true, cancelled = false;
    int status = 0, rc;

    if (!helper_path(helper))
        return AG_FAIL_ERRNO(err, DEFUPD_E_HOOK, "cannot find defupd-agent, which starts hooks");
    rc = ag_hook_start(&job, helper, hook, facts, now_ms());
    if (rc != 0)
        return AG_FAIL(err, DEFUPD_E_HOOK, "%s %s cannot be started: %s", ag_hook_name(facts->kind),
                       hook->argv[0], strerror(rc));
    while (waitpid(job.pid, &status, WNOHANG) == 0) {
        struct pollfd set = { .fd = open ? job.fd : -1, .events = POLLIN };

        if (poll(&set, 1, LOOK_MS) > 0)
            open = ag_hook_read(&job, line, user);
        cancelled = facts->kind != AG_HOOK_POST_INSTALL && ag_signals_came();
        if (!job.killed && (cancelled || now_ms() >= job.deadline_ms))
            ag_hook_kill(&job);
    }
    rc = ag_hook_end(&job, status, text, sizeof text, line, user);
    if (cancelled)
        return AG_FAIL(err, DEFUPD_E_CANCELLED, "cancelled");
    return rc == DEFUPD_OK ? DEFUPD_OK : AG_FAIL(err, (defupd_code)rc, "%s", text);
}

defupd_code ag_own_hooks(const struct ag_policy *policy, const struct ag_hook_facts *facts,
                         ag_hook_line_fn line, void *user, defupd_error *err)
{
    const struct ag_value *hooks = ag_policy_at(policy, "hooks");
    defupd_error first = { 0 };

    for (const struct ag_value *at = hooks != NULL ? hooks->child : NULL; at != NULL;
         at = at->next) {
        char *argv[ARGUMENTS + 2];
        struct ag_hook hook;
        defupd_code rc;

        if (ag_hook_kind(ag_setting_name(at->setting)) != facts->kind)
            continue;
        rc = take(&hook, argv, at)
                 ? run_one(&hook, facts, line, user, err)
                 : AG_FAIL(err, DEFUPD_E_HOOK, "%s has too many arguments", argv[0]);
        /* What a failed one has begun, those after it must not go on with; but each post-install
         * brings back what its pre-install has stopped. */
        if (rc != DEFUPD_OK && facts->kind != AG_HOOK_POST_INSTALL)
            return rc;
        if (rc != DEFUPD_OK && first.code == DEFUPD_OK)
            first = *err;
    }
    if (first.code != DEFUPD_OK)
        *err = first;
    return first.code;
}
