/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#ifdef SYS_openat2
#include <linux/openat2.h>
#endif

#include "serve_priv.h"

#define CACHE_FOR_EVER "public, max-age=31536000, immutable"
#define CACHE_ASK_AGAIN "public, max-age=5, must-revalidate"
#define FLAGS (O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK)

/* Part by part, where the kernel does not do it. */
static int walk(int top, const char *path)
{
    char part[DU_SERVE_PATH_MAX + 1];
    int dir = top, fd;

    while (true) {
        const size_t len = strcspn(++path, "/");
        const bool last = path[len] == '\0';

        memcpy(part, path, len);
        part[len] = '\0';
        fd = openat(dir, part, FLAGS | (last ? 0 : O_DIRECTORY));
        if (dir != top) {
            const int saved = errno;
            (void)close(dir);
            errno = saved;
        }
        if (last || fd < 0)
            return fd;
        dir = fd;
        path += len;
    }
}

static int open_below(int top, const char *path)
{
#ifdef SYS_openat2
    const struct open_how how = {
        .flags = FLAGS, .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS
    };
    const long fd = syscall(SYS_openat2, top, path + 1, &how, sizeof how);

    /* EPERM: from a filter that does not know the call. */
    if (fd >= 0 || (errno != ENOSYS && errno != EPERM))
        return (int)fd;
#endif
    return walk(top, path);
}

int du_file_open(int top, const char *path, struct stat *st)
{
    const int fd = open_below(top, path);

    if (fd < 0)
        return -1;
    if (fstat(fd, st) == 0 && S_ISREG(st->st_mode) && (st->st_mode & S_IROTH) != 0)
        return fd;
    errno = S_ISREG(st->st_mode) ? EACCES : ENOENT;
    const int saved = errno;
    (void)close(fd);
    errno = saved;
    return -1;
}

/* An object is its name, at whatever relay: what was begun there can be continued here. Of other
 * files, publishers replace by rename: another content is another inode, at least another
 * modification time. */
void du_file_etag(char out[DU_ETAG], const char *path, const struct stat *st)
{
    const char *digest = du_serve_digest(path);

    if (digest != NULL)
        (void)snprintf(out, DU_ETAG, "\"%s\"", digest);
    else
        (void)snprintf(out, DU_ETAG, "\"%jx-%jx-%jx.%lx\"", (uintmax_t)st->st_ino,
                       (uintmax_t)st->st_size, (uintmax_t)st->st_mtim.tv_sec,
                       (unsigned long)st->st_mtim.tv_nsec);
}

static const char *content_type(const char *path)
{
    const char *dot = strrchr(path, '.');

    if (dot != NULL && strcmp(dot, ".json") == 0)
        return "application/json";
    if (dot != NULL && strcmp(dot, ".xml") == 0)
        return "application/xml";
    return "application/octet-stream";
}

bool du_file_headers(struct MHD_Response *response, const char *path, const char *etag,
                     int64_t changed, bool content)
{
    const bool immutable = du_serve_immutable(path);
    char date[DU_HTTP_DATE];

    /* A time tells seconds apart: of what is replaced, two contents can have the same. */
    if (immutable && changed > 0) {
        du_serve_date(date, changed);
        if (MHD_add_response_header(response, "Last-Modified", date) != MHD_YES)
            return false;
    }
    return MHD_add_response_header(response, "ETag", etag) == MHD_YES &&
           MHD_add_response_header(response, "Cache-Control",
                                   immutable ? CACHE_FOR_EVER : CACHE_ASK_AGAIN) == MHD_YES &&
           MHD_add_response_header(response, "Accept-Ranges", "bytes") == MHD_YES &&
           (!content ||
            MHD_add_response_header(response, "Content-Type", content_type(path)) == MHD_YES);
}
