/* SPDX-License-Identifier: Apache-2.0 */
#include "files.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fail.h"

#define CA_MAX (16u << 20)  /* the largest bundles have some hundred kB */
#define AUTH_MAX (4u << 10) /* one line */

/* Read to the end of `fd`; takes the descriptor over. */
static defupd_code read_fd(int fd, const char *option, const char *path, size_t max, char **bytes,
                           size_t *count, defupd_error *err)
{
    char *data = NULL;
    size_t used = 0, room = 0;
    defupd_code rc = DEFUPD_OK;

    for (;;) {
        ssize_t n;

        if (room - used < 2) { /* one byte to read, one for the NUL */
            char *grown = realloc(data, room == 0 ? 16384 : room * 2);
            if (grown == NULL) {
                rc = AG_FAIL(err, DEFUPD_E_NOMEM, "out of memory while reading %s", path);
                break;
            }
            data = grown;
            room = room == 0 ? 16384 : room * 2;
        }
        n = read(fd, data + used, room - used - 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            rc = AG_FAIL_ERRNO(err, DEFUPD_E_IO, "--%s: cannot read %s", option, path);
        if (n <= 0)
            break;
        used += (size_t)n;
        if (used > max) {
            rc = AG_FAIL(err, DEFUPD_E_LIMIT, "--%s: %s is larger than %zu bytes", option, path,
                         max);
            break;
        }
    }
    (void)close(fd);
    if (rc != DEFUPD_OK) {
        free(data);
        return rc;
    }
    data[used] = '\0';
    *bytes = data;
    *count = used;
    return DEFUPD_OK;
}

static defupd_code open_named(const char *option, const char *path, int *fd, defupd_error *err)
{
    struct stat st;

    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (*fd < 0)
        return AG_FAIL_ERRNO(err, DEFUPD_E_IO, "--%s: cannot open %s", option, path);
    if (fstat(*fd, &st) == 0 && S_ISDIR(st.st_mode)) {
        (void)close(*fd);
        return AG_FAIL(err, DEFUPD_E_IO, "--%s: %s is a directory", option, path);
    }
    return DEFUPD_OK;
}

defupd_code ag_file_read(const char *option, const char *path, size_t max, char **bytes,
                         size_t *count, defupd_error *err)
{
    int fd;

    AG_TRY(open_named(option, path, &fd, err));
    return read_fd(fd, option, path, max, bytes, count, err);
}

static int write_all(int fd, const char *bytes, size_t count)
{
    while (count > 0) {
        const ssize_t n = write(fd, bytes, count);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -1;
        bytes += n;
        count -= (size_t)n;
    }
    return 0;
}

defupd_code ag_file_keep(const char *option, const char *path, int keep, int *kept, char **new_path,
                         defupd_error *err)
{
    char *bytes = NULL;
    size_t count = 0;
    int fd;

    *kept = -1;
    if (!keep) {
        AG_TRY(open_named(option, path, &fd, err));
        (void)close(fd);
        *new_path = strdup(path);
        return *new_path != NULL ? DEFUPD_OK : AG_FAIL(err, DEFUPD_E_NOMEM, "out of memory");
    }
    AG_TRY(ag_file_read(option, path, CA_MAX, &bytes, &count, err));
    /* The mode lets the next user open it again through /proc, which checks like any open. */
    fd = memfd_create("defupd", MFD_CLOEXEC);
    if (fd < 0 || write_all(fd, bytes, count) != 0 || fchmod(fd, 0444) != 0) {
        const defupd_code rc =
            AG_FAIL_ERRNO(err, DEFUPD_E_IO, "--%s: cannot keep %s in memory", option, path);
        free(bytes);
        if (fd >= 0)
            (void)close(fd);
        return rc;
    }
    free(bytes);
    if (asprintf(new_path, "/proc/self/fd/%d", fd) < 0) {
        *new_path = NULL;
        (void)close(fd);
        return AG_FAIL(err, DEFUPD_E_NOMEM, "out of memory");
    }
    *kept = fd;
    return DEFUPD_OK;
}

/* Percent-encode all but the unreserved characters (RFC 3986, 2.3); returns the end of `out`,
 * which has room for three times the text. */
static char *encode(char *out, const char *text, size_t length)
{
    static const char hex[] = "0123456789ABCDEF";

    for (size_t i = 0; i < length; i++) {
        const unsigned char c = (unsigned char)text[i];

        if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
            strchr("-._~", c) != NULL) {
            *out++ = (char)c;
        } else {
            *out++ = '%';
            *out++ = hex[c >> 4];
            *out++ = hex[c & 15];
        }
    }
    return out;
}

static defupd_code auth_open(const char *path, uid_t owner, int *fd, defupd_error *err)
{
    struct stat st;

    AG_TRY(open_named("proxy-auth-file", path, fd, err));
    /* The opened file is looked at, not its name: nobody can change it in between. */
    if (fstat(*fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        (void)close(*fd);
        return AG_FAIL(err, DEFUPD_E_POLICY_OWNER, "--proxy-auth-file: %s is no regular file",
                       path);
    }
    if (st.st_uid != 0 && st.st_uid != geteuid() && st.st_uid != owner) {
        (void)close(*fd);
        return AG_FAIL(err, DEFUPD_E_POLICY_OWNER,
                       "--proxy-auth-file: %s belongs to user %u, not to root or the store's owner",
                       path, (unsigned)st.st_uid);
    }
    if ((st.st_mode & 077) != 0) {
        (void)close(*fd);
        return AG_FAIL(err, DEFUPD_E_POLICY_OWNER,
                       "--proxy-auth-file: %s is open to others (mode %04o, expected 0600)", path,
                       (unsigned)st.st_mode & 07777u);
    }
    return DEFUPD_OK;
}

/* One line USER:PASSWORD without control characters; *length is without the line's end. */
static defupd_code auth_check(const char *path, const char *line, size_t count, size_t *length,
                              defupd_error *err)
{
    *length = strcspn(line, "\r\n");
    if (strspn(line + *length, "\r\n") != count - *length)
        return AG_FAIL(err, DEFUPD_E_POLICY, "%s:2: expected one line only, USER:PASSWORD", path);
    for (size_t i = 0; i < *length; i++) {
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            return AG_FAIL(err, DEFUPD_E_POLICY, "%s:1: control character in the credentials",
                           path);
    }
    if (line[0] == ':' || memchr(line, ':', *length) == NULL)
        return AG_FAIL(err, DEFUPD_E_POLICY, "%s:1: expected USER:PASSWORD", path);
    return DEFUPD_OK;
}

/* *line holds `count` bytes, of which the first *length are the credentials. */
static defupd_code auth_line(const char *path, uid_t owner, char **line, size_t *count,
                             size_t *length, defupd_error *err)
{
    defupd_code rc;
    int fd;

    AG_TRY(auth_open(path, owner, &fd, err));
    AG_TRY(read_fd(fd, "proxy-auth-file", path, AUTH_MAX, line, count, err));
    rc = auth_check(path, *line, *count, length, err);
    if (rc == DEFUPD_OK)
        return rc;
    explicit_bzero(*line, *count);
    free(*line);
    *line = NULL;
    return rc;
}

defupd_code ag_auth_read(const char *path, uid_t owner, char **text, defupd_error *err)
{
    size_t count, length = 0;

    AG_TRY(auth_line(path, owner, text, &count, &length, err));
    (*text)[length] = '\0'; /* a line end, or the NUL past the end */
    return DEFUPD_OK;
}

defupd_code ag_proxy_auth(const char *proxy, const char *path, uid_t owner, char **url,
                          defupd_error *err)
{
    const char *mark = strstr(proxy, "://");
    const char *host = mark != NULL ? mark + 3 : proxy; /* one without was refused before */
    char *line = NULL, *out, *at;
    size_t count, length = 0;
    defupd_code rc;

    if (strchr(host, '@') != NULL)
        return AG_FAIL(err, DEFUPD_E_INVALID,
                       "--proxy has credentials already: leave them or --proxy-auth-file away");
    rc = auth_line(path, owner, &line, &count, &length, err);
    if (rc != DEFUPD_OK)
        return rc;
    out = malloc(strlen(proxy) + 3 * length + 16);
    if (out != NULL) {
        const char *colon = memchr(line, ':', length);

        at = out + sprintf(out, "%.*s", (int)(host - proxy), proxy);
        at = encode(at, line, (size_t)(colon - line));
        *at++ = ':';
        at = encode(at, colon + 1, length - (size_t)(colon + 1 - line));
        (void)sprintf(at, "@%s", host);
        *url = out;
    } else {
        rc = AG_FAIL(err, DEFUPD_E_NOMEM, "out of memory");
    }
    explicit_bzero(line, count);
    free(line);
    return rc;
}

defupd_code ag_path_absolute(char **out, const char *path, defupd_error *err)
{
    char *here = path[0] != '/' ? getcwd(NULL, 0) : NULL;

    *out = NULL;
    if (path[0] != '/' && here == NULL)
        return AG_FAIL_ERRNO(err, DEFUPD_E_IO, "cannot tell the working directory for %s", path);
    if (asprintf(out, "%s%s%s", here != NULL ? here : "", here != NULL ? "/" : "", path) < 0)
        *out = NULL;
    free(here);
    return *out != NULL ? DEFUPD_OK : AG_FAIL(err, DEFUPD_E_NOMEM, "out of memory");
}
