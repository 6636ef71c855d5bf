/* SPDX-License-Identifier: Apache-2.0 */
/* Test harness: TAP on stdout, every test in its own empty directory, which stays when it fails.
 *
 *     static void a_sentence_that_is_true(void) { T_CHECK(1 + 1 == 2); }
 *     int main(void) { T_RUN(a_sentence_that_is_true); return T_DONE(); }
 */
#ifndef T_H
#define T_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <defupd/error.h>

static int t_number, t_failed;

#define T_CHECK(cond)                                                     \
    do {                                                                  \
        if (!(cond)) {                                                    \
            printf("# %s:%d: expected: %s\n", __FILE__, __LINE__, #cond); \
            t_failed++;                                                   \
        }                                                                 \
    } while (0)

/* The call succeeds; else its message and origin are printed. */
#define T_OK(call, err)                                                                    \
    do {                                                                                   \
        if ((call) != DEFUPD_OK) {                                                         \
            printf("# %s:%d: %s: %s (%s:%d)\n", __FILE__, __LINE__, #call, (err)->message, \
                   (err)->origin, (err)->line);                                            \
            t_failed++;                                                                    \
        }                                                                                  \
    } while (0)

/* The call fails with this code and says something. */
#define T_FAILS(call, want, err)                                                        \
    do {                                                                                \
        const defupd_code t_rc_ = (call);                                               \
        if (t_rc_ != (want) || (err)->code != (want) || (err)->message[0] == '\0' ||    \
            strchr((err)->message, '\n') != NULL) {                                     \
            printf("# %s:%d: %s: expected %s, got %s: %s\n", __FILE__, __LINE__, #call, \
                   defupd_code_name(want), defupd_code_name(t_rc_),                     \
                   t_rc_ == DEFUPD_OK ? "" : (err)->message);                           \
            t_failed++;                                                                 \
        }                                                                               \
    } while (0)

#define T_SAME(got, want)                                                                 \
    do {                                                                                  \
        const char *t_got_ = (got), *t_want_ = (want);                                    \
        if (t_got_ == NULL || strcmp(t_got_, t_want_) != 0) {                             \
            printf("# %s:%d: expected \"%s\", got \"%s\"\n", __FILE__, __LINE__, t_want_, \
                   t_got_ == NULL ? "(null)" : t_got_);                                   \
            t_failed++;                                                                   \
        }                                                                                 \
    } while (0)

/* Run a shell command; its exit status. For preparing and looking, not for what is under test. */
__attribute__((format(printf, 1, 2))) static inline int t_shell(const char *format, ...)
{
    char command[4096];
    __builtin_va_list args;
    int status;

    __builtin_va_start(args, format);
    (void)vsnprintf(command, sizeof command, format, args);
    __builtin_va_end(args);
    status = system(command);
    return status == -1 ? -1 : (status >> 8 & 0xff) | (status & 0x7f);
}

static inline void t_run(const char *name, void (*test)(void))
{
    const char *top = getenv("TMPDIR");
    char dir[256];
    const int before = t_failed;

    (void)snprintf(dir, sizeof dir, "%s/defupd-test-XXXXXX", top != NULL ? top : "/tmp");
    if (mkdtemp(dir) == NULL || chdir(dir) != 0)
        abort();
    test();
    if (chdir("/") != 0)
        abort();
    if (t_failed == before && t_shell("chmod -R u+w '%s' && rm -rf '%s'", dir, dir) != 0)
        printf("# cannot remove %s\n", dir);
    printf("%s %d - %s%s%s\n", t_failed == before ? "ok" : "not ok", ++t_number, name,
           t_failed == before ? "" : " # left in ", t_failed == before ? "" : dir);
    (void)fflush(stdout);
}
#define T_RUN(test) t_run(#test, test)
/* For what this machine cannot show, with the reason. */
#define T_SKIP(name, why) printf("ok %d - %s # SKIP %s\n", ++t_number, name, why)
#define T_DONE() (printf("1..%d\n", t_number), t_failed != 0)

#endif
