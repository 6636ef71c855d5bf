/* SPDX-License-Identifier: Apache-2.0 */
/* file: URLs, read without curl: errno tells more than curl would pass on, and so the network side
 * never has a scheme that opens local files. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "fetch/fetch_priv.h"

#define PIECE 65536

static defupd_code open_failed(struct du_get *get, const char *shown, defupd_error *err)
{
    const int reason = errno;

    if (reason == ENOENT || reason == ENOTDIR) {
        get->status = 404;
        return DU_FAIL(err, DEFUPD_E_NOT_FOUND, "%s: no such file", shown);
    }
    if (reason == EACCES || reason == EPERM) {
        get->status = 403;
        return DU_FAIL_ERRNO(err, DEFUPD_E_FORBIDDEN, "%s", shown);
    }
    return DU_FAIL_ERRNO(err, DEFUPD_E_INTERRUPTED, "%s", shown);
}

static defupd_code open_source(const struct du_fetch *fetch, struct du_get *get, const char *shown,
                               int *fd, uint64_t *size, defupd_error *err)
{
    DU_AUTO_FREE char *name = NULL;
    struct stat st;

    if (asprintf(&name, "%s/%s", get->site->dir, get->path) < 0) {
        name = NULL;
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a path");
    }
    /* O_NONBLOCK: a pipe in the file's place must not hold us. */
    *fd = fetch->sys->openat(AT_FDCWD, name, O_RDONLY | O_NONBLOCK, 0);
    if (*fd < 0)
        return open_failed(get, shown, err);
    if (fstat(*fd, &st) != 0)
        return DU_FAIL_ERRNO(err, DEFUPD_E_INTERRUPTED, "%s", shown);
    if (!S_ISREG(st.st_mode)) {
        get->status = 404;
        return DU_FAIL(err, DEFUPD_E_NOT_FOUND, "%s: not a regular file", shown);
    }
    *size = (uint64_t)st.st_size;
    return DEFUPD_OK;
}

static defupd_code named(const char *shown, defupd_code rc, defupd_error *err)
{
    return du_code_next_source(rc) ? du_err_prefix(err, "%s", shown) : rc;
}

static defupd_code copy(struct du_fetch *fetch, struct du_get *get, const char *shown, int fd,
                        uint64_t at, defupd_error *err)
{
    const struct du_sink *sink = get->sink;
    DU_AUTO_FREE unsigned char *piece = malloc(PIECE);
    const uint64_t start_ms = fetch->sys->monotonic_ms();
    const uint32_t left_ms = du_fetch_left_ms(fetch);

    if (piece == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a transfer");
    for (;;) {
        const ssize_t got = fetch->sys->pread(fd, piece, PIECE, (off_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return DU_FAIL_ERRNO(err, DEFUPD_E_INTERRUPTED, "%s: byte %" PRIu64, shown, at);
        if (got == 0)
            return DEFUPD_OK;
        at += (uint64_t)got;
        get->received += (uint64_t)got;
        DU_TRY(named(shown, sink->add(sink->user, piece, (size_t)got, err), err));
        if (fetch->options.tick.fn != NULL)
            DU_TRY(fetch->options.tick.fn(fetch->options.tick.user, (uint64_t)got, err));
        if (left_ms != INT32_MAX && fetch->sys->monotonic_ms() - start_ms >= left_ms)
            return DU_FAIL(err, DEFUPD_E_TIMEOUT,
                           "%s: no time left of %" PRIu32 " ms for all transfers", shown,
                           fetch->options.total_timeout_ms);
    }
}

static defupd_code fetch_file(struct du_fetch *fetch, struct du_get *get, const char *shown,
                              defupd_error *err)
{
    DU_AUTO_FD fd = -1;
    uint64_t size = 0;

    DU_TRY(open_source(fetch, get, shown, &fd, &size, err));
    if (get->from > 0 && get->from >= size) {
        get->status = 416;
        get->refused_range = true;
        get->size = size;
        return DU_FAIL(err, DEFUPD_E_HTTP_STATUS, "%s: has %" PRIu64 " bytes, none from %" PRIu64,
                       shown, size, get->from);
    }
    get->status = get->from > 0 ? 206 : 200;
    DU_TRY(named(shown, get->sink->begin(get->sink->user, get->from, size, err), err));
    return copy(fetch, get, shown, fd, get->from, err);
}

defupd_code du_get_file(struct du_fetch *fetch, struct du_get *get, defupd_error *err)
{
    const uint64_t start_ms = fetch->sys->monotonic_ms();
    DU_AUTO_FREE char *shown = du_url_join(get->site->base, get->path);
    defupd_code rc;

    if (shown == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a URL");
    rc = fetch_file(fetch, get, shown, err);
    fetch->spent_ms += fetch->sys->monotonic_ms() - start_ms;
    du_fetch_log(fetch, DEFUPD_LEVEL_DEBUG, "read %s from byte %" PRIu64 ": %" PRIu64 " bytes",
                 shown, get->from, get->received);
    return rc;
}
