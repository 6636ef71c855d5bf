/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/name.h"

/* Messages quote what servers and archives told us. Keep them to one line of whole characters. */
static void make_presentable(char *text)
{
    const size_t len = strlen(text);
    size_t good;

    for (char *c = text; *c != '\0'; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    }
    while ((good = du_utf8_prefix(text, len)) < len)
        text[good] = '?';
}

defupd_code du_err_set(defupd_error *err, defupd_code code, int sys_errno, const char *origin,
                       int line, const char *format, ...)
{
    char message[DEFUPD_ERROR_MESSAGE_MAX]; /* arguments may point into err->message */
    char reason[128];
    va_list args;
    int used;

    va_start(args, format);
    used = vsnprintf(message, sizeof message, format, args);
    va_end(args);

    if (sys_errno != 0 && used >= 0 && (size_t)used < sizeof message)
        (void)snprintf(message + used, sizeof message - (size_t)used, ": %s",
                       strerror_r(sys_errno, reason, sizeof reason));
    make_presentable(message);

    err->code = code;
    err->sys_errno = sys_errno;
    err->origin = origin;
    err->line = line;
    err->reserved = 0;
    memcpy(err->message, message, sizeof message);
    return code;
}

defupd_code du_err_prefix(defupd_error *err, const char *format, ...)
{
    char message[DEFUPD_ERROR_MESSAGE_MAX];
    va_list args;
    int used;

    va_start(args, format);
    used = vsnprintf(message, sizeof message, format, args);
    va_end(args);
    if (used >= 0 && (size_t)used < sizeof message)
        (void)snprintf(message + used, sizeof message - (size_t)used, ": %s", err->message);
    make_presentable(message);
    memcpy(err->message, message, sizeof message);
    return err->code;
}

defupd_code du_err_io_code(int sys_errno)
{
    switch (sys_errno) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG: return DEFUPD_E_NO_SPACE;
    case ENOMEM: return DEFUPD_E_NOMEM;
    default: return DEFUPD_E_IO;
    }
}
