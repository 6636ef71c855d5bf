/* SPDX-License-Identifier: Apache-2.0 */
/* How functions fail. Inside the library `err` is never NULL: the public entry points pass a
 * scratch one when the caller gave none. */
#ifndef DU_BASE_ERR_H
#define DU_BASE_ERR_H

#include <errno.h>
#include <stdbool.h>

#include <defupd/error.h>

#define DU_STR_(x) #x
#define DU_STR(x) DU_STR_(x)
/* -fmacro-prefix-map in meson.build makes this "store/activate.c", 61. Not one string for each
 * place: there are a thousand, and an endpoint's library is to be small. */
#define DU_HERE __FILE__, __LINE__

/* Record a failure and yield its code: `return DU_FAIL(err, DEFUPD_E_..., "...");` */
#define DU_FAIL(err, code, ...) du_err_set((err), (code), 0, DU_HERE, __VA_ARGS__)
/* Same, keeping errno. Write it as the first statement after the failing call. */
#define DU_FAIL_ERRNO(err, code, ...) du_err_set((err), (code), errno, DU_HERE, __VA_ARGS__)
/* A failed operation on the disk: the code is DEFUPD_E_NO_SPACE or DEFUPD_E_IO, as errno says. */
#define DU_FAIL_IO(err, ...) du_err_set((err), du_err_io_code(errno), errno, DU_HERE, __VA_ARGS__)

/* Hand a failure up unchanged. The only macro here that returns. */
#define DU_TRY(call)                       \
    do {                                   \
        const defupd_code du_rc_ = (call); \
        if (du_rc_ != DEFUPD_OK)           \
            return du_rc_;                 \
    } while (0)

/* Fills `err` and returns `code`. The text is cut to one line of valid length; control bytes in
 * it become '?', since messages quote what servers and archives told us. */
__attribute__((format(printf, 6, 7))) defupd_code du_err_set(defupd_error *err, defupd_code code,
                                                             int sys_errno, const char *origin,
                                                             int line, const char *format, ...);

/* Put "context: " before the message that is there; for a caller that knows something new. Returns
 * err->code, so `return du_err_prefix(err, "activating %s", name);` */
__attribute__((format(printf, 2, 3))) defupd_code du_err_prefix(defupd_error *err,
                                                                const char *format, ...);

/* DEFUPD_E_NO_SPACE for ENOSPC, EDQUOT and EFBIG, DEFUPD_E_NOMEM for ENOMEM, else DEFUPD_E_IO. */
defupd_code du_err_io_code(int sys_errno);

/* True when another source may do better: the source was at fault, is behind, busy or resting. */
bool du_code_next_source(defupd_code code);

#endif
