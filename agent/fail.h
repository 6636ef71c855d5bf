/* SPDX-License-Identifier: Apache-2.0 */
/* How the program's own functions fail: with the library's codes and its caller-owned error, so
 * that one place prints them all and picks the exit code. */
#ifndef AG_FAIL_H
#define AG_FAIL_H

#include <errno.h>

#include <defupd/error.h>

#define AG_HERE __FILE__, __LINE__

/* Record a failure and yield its code. */
#define AG_FAIL(err, code, ...) ag_err_set((err), (code), 0, AG_HERE, __VA_ARGS__)
/* Same, keeping errno. Write it as the first statement after the failing call. */
#define AG_FAIL_ERRNO(err, code, ...) ag_err_set((err), (code), errno, AG_HERE, __VA_ARGS__)

#define AG_TRY(call)                       \
    do {                                   \
        const defupd_code ag_rc_ = (call); \
        if (ag_rc_ != DEFUPD_OK)           \
            return ag_rc_;                 \
    } while (0)

/* Fills `err` (never NULL) and returns `code`. The text becomes one clean line. */
__attribute__((format(printf, 6, 7))) defupd_code ag_err_set(defupd_error *err, defupd_code code,
                                                             int sys_errno, const char *origin,
                                                             int line, const char *format, ...);

#endif
