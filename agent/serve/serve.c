/* SPDX-License-Identifier: Apache-2.0 */
#include "serve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <microhttpd.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "serve_priv.h"

#define IDLE_SECONDS 30
#define CACHE_FOR_EVER "public, max-age=31536000, immutable"
#define CACHE_ASK_AGAIN "no-cache"
#define ETAG_TEXT 80

struct du_serve {
    struct MHD_Daemon *daemon;
    int dir, log;
    char url[128];
};

__attribute__((format(printf, 3, 4))) static defupd_code fail(defupd_error *err, defupd_code code,
                                                              const char *format, ...)
{
    va_list args;

    err->code = code;
    err->sys_errno = errno;
    err->origin = "agent/serve/serve.c";
    va_start(args, format);
    (void)vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    return code;
}

/* One write(2) to a file opened for appending: lines of several requests never mix. What cannot be
 * logged is still served. */
static void log_request(const struct du_serve *serve, const char *method, const char *url,
                        unsigned status, uint64_t bytes)
{
    char line[DU_SERVE_PATH_MAX + 128], path[DU_SERVE_PATH_MAX + 1];
    size_t n = 0;
    int len;

    if (serve->log < 0)
        return;
    for (; url[n] != '\0' && n < DU_SERVE_PATH_MAX; n++)
        path[n] = url[n] > 0x20 && url[n] < 0x7f ? url[n] : '?';
    path[n] = '\0';
    len = snprintf(line, sizeof line, "%.16s %s %u %" PRIu64 "\n", method, path, status, bytes);
    if (write(serve->log, line, (size_t)len) < 0)
        return;
}

/* Open a checked path below the folder, never through a link, whatever is renamed meanwhile.
 * -1 with errno. */
static int open_below(int top, const char *path)
{
    char part[DU_SERVE_PATH_MAX + 1];
    int dir = top, fd;

    while (true) {
        const size_t len = strcspn(++path, "/");
        const bool last = path[len] == '\0';

        memcpy(part, path, len);
        part[len] = '\0';
        fd = openat(dir, part,
                    O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | (last ? 0 : O_DIRECTORY));
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

static unsigned status_of_errno(int error)
{
    switch (error) {
    case EACCES:
    case EPERM: return MHD_HTTP_FORBIDDEN;
    case EMFILE:
    case ENFILE:
    case ENOMEM: return MHD_HTTP_SERVICE_UNAVAILABLE;
    case EIO: return MHD_HTTP_INTERNAL_SERVER_ERROR;
    default: return MHD_HTTP_NOT_FOUND;
    }
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

/* Queue and release a response; a header that could not be added drops the connection. */
static enum MHD_Result answer(struct MHD_Connection *connection, struct MHD_Response *response,
                              unsigned status, bool complete)
{
    const enum MHD_Result queued =
        complete ? MHD_queue_response(connection, status, response) : MHD_NO;

    MHD_destroy_response(response);
    return queued;
}

static bool header(struct MHD_Response *response, const char *name, const char *value)
{
    return MHD_add_response_header(response, name, value) == MHD_YES;
}

static enum MHD_Result refuse(const struct du_serve *serve, struct MHD_Connection *connection,
                              const char *method, const char *url, unsigned status)
{
    static char text[] = "no such file\n";
    struct MHD_Response *response =
        MHD_create_response_from_buffer(sizeof text - 1, text, MHD_RESPMEM_PERSISTENT);
    bool complete;

    if (response == NULL)
        return MHD_NO;
    /* The next root's name is asked for long before it exists: no cache may remember that. */
    complete = header(response, "Cache-Control", "no-store") &&
               header(response, "Content-Type", "text/plain");
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        complete = complete && header(response, "Allow", "GET, HEAD");
    log_request(serve, method, url, status, strcmp(method, "HEAD") == 0 ? 0 : sizeof text - 1);
    return answer(connection, response, status, complete);
}

/* What a request asks for, once its file is open. */
struct wanted {
    const char *method, *url, *path;
    uint64_t size;
    char etag[ETAG_TEXT];
};

static bool file_headers(struct MHD_Response *response, const struct wanted *want)
{
    return header(response, "ETag", want->etag) &&
           header(response, "Cache-Control",
                  du_serve_immutable(want->path) ? CACHE_FOR_EVER : CACHE_ASK_AGAIN) &&
           header(response, "Accept-Ranges", "bytes");
}

static enum MHD_Result send_nothing(const struct du_serve *serve, struct MHD_Connection *connection,
                                    const struct wanted *want, unsigned status)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    char text[64];
    bool complete;

    if (response == NULL)
        return MHD_NO;
    complete = file_headers(response, want);
    if (status == MHD_HTTP_RANGE_NOT_SATISFIABLE) {
        (void)snprintf(text, sizeof text, "bytes */%" PRIu64, want->size);
        complete = complete && header(response, "Content-Range", text);
    }
    log_request(serve, want->method, want->url, status, 0);
    return answer(connection, response, status, complete);
}

/* Takes over `fd`. */
static enum MHD_Result send_file(const struct du_serve *serve, struct MHD_Connection *connection,
                                 const struct wanted *want, int fd)
{
    const bool head = strcmp(want->method, "HEAD") == 0;
    const char *none = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "If-None-Match");
    const char *range = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Range");
    const char *if_range = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "If-Range");
    enum du_range part = DU_RANGE_NONE;
    uint64_t first = 0, count = want->size;
    struct MHD_Response *response;
    bool complete;

    if (none != NULL && du_serve_etag_listed(none, want->etag)) {
        (void)close(fd);
        return send_nothing(serve, connection, want, MHD_HTTP_NOT_MODIFIED);
    }
    /* RFC 9110, 13.1.5: a range of another state of the file would be spliced to what the client
     * has, so it gets the whole; a date can never match a strong ETag. */
    if (!head && range != NULL && (if_range == NULL || strcmp(if_range, want->etag) == 0))
        part = du_serve_range(range, want->size, &first, &count);
    if (part == DU_RANGE_UNSATISFIABLE) {
        (void)close(fd);
        return send_nothing(serve, connection, want, MHD_HTTP_RANGE_NOT_SATISFIABLE);
    }
    response = MHD_create_response_from_fd_at_offset64(count, fd, first);
    if (response == NULL) {
        (void)close(fd);
        return MHD_NO;
    }
    complete =
        file_headers(response, want) && header(response, "Content-Type", content_type(want->path));
    if (part == DU_RANGE_PART) {
        char text[80];
        (void)snprintf(text, sizeof text, "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, first,
                       first + count - 1, want->size);
        complete = complete && header(response, "Content-Range", text);
    }
    log_request(serve, want->method, want->url,
                part == DU_RANGE_PART ? MHD_HTTP_PARTIAL_CONTENT : MHD_HTTP_OK, head ? 0 : count);
    return answer(connection, response,
                  part == DU_RANGE_PART ? MHD_HTTP_PARTIAL_CONTENT : MHD_HTTP_OK, complete);
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload_data,
                                  size_t *upload_data_size, void **request_cls)
{
    const struct du_serve *serve = cls;
    struct wanted want = { .method = method, .url = url };
    char path[DU_SERVE_PATH_MAX + 1];
    struct stat st = { 0 };
    int fd;

    (void)version;
    (void)upload_data;
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
        return refuse(serve, connection, method, url, MHD_HTTP_METHOD_NOT_ALLOWED);
    /* The first call comes with the headers only. Who answers it has the connection closed, which
     * is right for uploads (above) and would end keep-alive here. */
    if (*request_cls == NULL) {
        *request_cls = cls;
        return MHD_YES;
    }
    if (*upload_data_size > 0) {
        *upload_data_size = 0; /* a GET with content, which means nothing */
        return MHD_YES;
    }
    if (!du_serve_unescape(path, sizeof path, url))
        return refuse(serve, connection, method, url, MHD_HTTP_BAD_REQUEST);
    if (!du_serve_path_ok(path))
        return refuse(serve, connection, method, url, MHD_HTTP_NOT_FOUND);
    fd = open_below(serve->dir, path);
    if (fd < 0)
        return refuse(serve, connection, method, url, status_of_errno(errno));
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || (st.st_mode & S_IROTH) == 0) {
        const bool regular = S_ISREG(st.st_mode);
        (void)close(fd);
        return refuse(serve, connection, method, url,
                      regular ? MHD_HTTP_FORBIDDEN : MHD_HTTP_NOT_FOUND);
    }
    want.path = path;
    want.size = (uint64_t)st.st_size;
    /* Publishers replace files by rename: another content is another inode, at least another
     * modification time. */
    (void)snprintf(want.etag, sizeof want.etag, "\"%jx-%jx-%jx.%lx\"", (uintmax_t)st.st_ino,
                   (uintmax_t)st.st_size, (uintmax_t)st.st_mtim.tv_sec,
                   (unsigned long)st.st_mtim.tv_nsec);
    return send_file(serve, connection, &want, fd);
}

/* Paths stay as they were sent: du_serve_unescape() is strict, the library's own is not. */
static size_t keep_escapes(void *cls, struct MHD_Connection *connection, char *text)
{
    (void)cls;
    (void)connection;
    return strlen(text);
}

/* "ADDR:PORT", "[ADDR6]:PORT", "ADDR"; an empty ADDR is 127.0.0.1. */
static defupd_code parse_listen(const char *text, struct sockaddr_storage *address,
                                defupd_error *err)
{
    const struct addrinfo hints = { .ai_family = AF_UNSPEC,
                                    .ai_socktype = SOCK_STREAM,
                                    .ai_flags = AI_NUMERICSERV };
    char host[256] = "127.0.0.1", port[6] = "0";
    const char *colon = strrchr(text, ':');
    size_t len = colon == NULL ? strlen(text) : (size_t)(colon - text);
    struct addrinfo *found = NULL;
    int rc;

    errno = 0;
    if (colon != NULL && (strlen(colon + 1) > 5 || colon[1] == '\0' ||
                          strspn(colon + 1, "0123456789") != strlen(colon + 1) ||
                          strtoul(colon + 1, NULL, 10) > 65535))
        return fail(err, DEFUPD_E_INVALID, "listen address '%.100s': no port from 0 to 65535",
                    text);
    if (colon != NULL)
        (void)snprintf(port, sizeof port, "%s", colon + 1);
    if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
        text++;
        len -= 2;
    }
    if (len >= sizeof host)
        return fail(err, DEFUPD_E_INVALID, "listen address '%.100s' is too long", text);
    if (len > 0) {
        memcpy(host, text, len);
        host[len] = '\0';
    }
    rc = getaddrinfo(host, port, &hints, &found);
    if (rc != 0 || found == NULL)
        return fail(err, DEFUPD_E_INVALID, "listen address '%.100s': %s", host, gai_strerror(rc));
    memcpy(address, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    return DEFUPD_OK;
}

static void name_url(struct du_serve *serve, const struct sockaddr_storage *address)
{
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(serve->daemon, MHD_DAEMON_INFO_BIND_PORT);
    const unsigned port = info == NULL ? 0 : info->port;
    char host[INET6_ADDRSTRLEN] = "";

    if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const void *)address;
        (void)inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof host);
        (void)snprintf(serve->url, sizeof serve->url, "http://[%s]:%u/", host, port);
        return;
    }
    const struct sockaddr_in *in = (const void *)address;
    (void)inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
    (void)snprintf(serve->url, sizeof serve->url, "http://%s:%u/", host, port);
}

static defupd_code start(struct du_serve *serve, const struct du_serve_options *options,
                         defupd_error *err)
{
    struct sockaddr_storage address = { 0 };
    const char *listen = options->listen != NULL ? options->listen : "127.0.0.1:0";
    const defupd_code rc = parse_listen(listen, &address, err);
    unsigned flags = MHD_USE_AUTO_INTERNAL_THREAD;

    if (rc != DEFUPD_OK)
        return rc;
    serve->dir = open(options->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (serve->dir < 0)
        return fail(err, DEFUPD_E_IO, "open folder %s: %s", options->dir, strerror(errno));
    if (options->log != NULL) {
        serve->log = open(options->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        if (serve->log < 0)
            return fail(err, DEFUPD_E_IO, "open log %s: %s", options->log, strerror(errno));
    }
    if (address.ss_family == AF_INET6)
        flags |= MHD_USE_IPv6;
    errno = 0;
    serve->daemon = MHD_start_daemon(flags, 0, NULL, NULL, on_request, serve, MHD_OPTION_SOCK_ADDR,
                                     (struct sockaddr *)&address, MHD_OPTION_CONNECTION_TIMEOUT,
                                     (unsigned)IDLE_SECONDS, MHD_OPTION_UNESCAPE_CALLBACK,
                                     keep_escapes, NULL, MHD_OPTION_END);
    if (serve->daemon == NULL)
        return fail(err, DEFUPD_E_CONNECT, "cannot listen on %s: %s", listen,
                    errno != 0 ? strerror(errno) : "the HTTP server does not start");
    name_url(serve, &address);
    return DEFUPD_OK;
}

defupd_code du_serve_start(struct du_serve **serve, const struct du_serve_options *options,
                           defupd_error *err)
{
    struct du_serve *made = calloc(1, sizeof *made);
    defupd_code rc;

    if (made == NULL)
        return fail(err, DEFUPD_E_NOMEM, "no memory for the HTTP server");
    made->dir = made->log = -1;
    rc = start(made, options, err);
    if (rc != DEFUPD_OK) {
        du_serve_stop(made);
        return rc;
    }
    *serve = made;
    return DEFUPD_OK;
}

const char *du_serve_url(const struct du_serve *serve)
{
    return serve->url;
}

void du_serve_stop(struct du_serve *serve)
{
    if (serve == NULL)
        return;
    if (serve->daemon != NULL)
        MHD_stop_daemon(serve->daemon);
    if (serve->dir >= 0)
        (void)close(serve->dir);
    if (serve->log >= 0)
        (void)close(serve->log);
    free(serve);
}
