/* SPDX-License-Identifier: Apache-2.0 */
/* Policy's commands around an update: argv lists without a shell, under a user of their own, with
 * caps on time, memory and output. docs/agent.md tells administrators of them. Libc only: the
 * service runs hooks, and so does `defupd` where no service runs. */
#ifndef AG_HOOK_H
#define AG_HOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum ag_hook_kind { /* the first three as in <defupd/client.h> */
                    AG_HOOK_PRE_INSTALL = 1,
                    AG_HOOK_VALIDATE = 2,
                    AG_HOOK_POST_INSTALL = 3,
                    AG_HOOK_ON_ERROR = 4,
                    AG_HOOK_ON_OUTDATED = 5
};
/* "pre-install", ...; NULL for others. */
const char *ag_hook_name(int kind);
/* 0 when there is none of that name. */
int ag_hook_kind(const char *name);

/* What policy says. Strings are borrowed. */
struct ag_hook {
    int kind;
    const char *user;      /* NULL or "": whoever runs the update */
    int64_t timeout_s;     /* 0: a minute */
    uint64_t memory_bytes; /* address space of each of its processes; 0: no cap */
    char *const *argv;     /* NULL-terminated; argv[0] is a path */
};

/* What a hook is told, in its environment. */
struct ag_hook_facts {
    int kind;
    int code; /* a defupd_code */
    uint64_t from, to;
    const char *component, *tree, *text, *state_dir; /* NULL: "" */
};

#define AG_HOOK_OUTPUT                                                        \
    65536 /* bytes of output that are passed on; the rest is read and dropped \
           */

/* One hook at work. */
struct ag_hook_job {
    pid_t pid;
    int fd; /* its output, to be read until it ends; not blocking */
    int kind;
    int64_t deadline_ms; /* by the clock that the caller uses */
    bool killed;         /* it took too long */
    size_t passed;       /* bytes of output */
    size_t pending;
    char line[512]; /* of output, not complete yet */
    char last[256]; /* last line of output, for messages */
    char name[128]; /* argv[0] */
};
/* Receives output, line by line. */
typedef void (*ag_hook_line_fn)(void *user, const char *line);

/* Start it through `helper` (defupd-agent, which sets user and limits in the new process). 0 or
 * errno. */
int ag_hook_start(struct ag_hook_job *job, const char *helper, const struct ag_hook *hook,
                  const struct ag_hook_facts *facts, int64_t now_ms);
/* Read what is there. False when the output has ended. */
bool ag_hook_read(struct ag_hook_job *job, ag_hook_line_fn line, void *user);
/* End the whole process group. */
void ag_hook_kill(struct ag_hook_job *job);
/* After it was waited for: reads the rest, closes, and yields the defupd_code with one line of
 * text. */
int ag_hook_end(struct ag_hook_job *job, int status, char *text, size_t size, ag_hook_line_fn line,
                void *user);

/* Exit codes for a hook that could not be started, as shells have them. */
#define AG_HOOK_CANNOT 126
#define AG_HOOK_MISSING 127
/* The helper's side: `words` are USER MEMORY ARG... Returns only when it fails, with the exit code.
 */
int ag_hook_exec(char **words);

#endif
