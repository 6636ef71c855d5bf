/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "serve_priv.h"

/* Files up to this size are sent without asking whether there is bandwidth. */
#define SMALL 4096u
#define PIECE 65536u /* of a file whose bandwidth is limited */

static const struct {
    unsigned status;
    const char *text;
} refusals[DU_REFUSALS] = { { MHD_HTTP_NOT_FOUND, "no such file\n" },
                            { MHD_HTTP_FORBIDDEN, "not permitted\n" },
                            { MHD_HTTP_BAD_REQUEST, "bad request\n" },
                            { MHD_HTTP_METHOD_NOT_ALLOWED, "GET and HEAD only\n" },
                            { MHD_HTTP_BAD_GATEWAY, "not to be had from upstream\n" },
                            { MHD_HTTP_SERVICE_UNAVAILABLE, "overloaded\n" },
                            { MHD_HTTP_INTERNAL_SERVER_ERROR, "cannot be read\n" } };

/* What is asked for, and by whom. */
struct wanted {
    struct du_connection *connection;
    const char *method, *url, *path;
    bool head;
    struct du_address from; /* whose limits count */
};

/* One write(2) to a file opened for appending: lines of several requests never mix. What cannot be
 * logged is still served. */
static void log_request(const struct wanted *want, unsigned status, uint64_t bytes)
{
    const int log = want->connection->serve->log;
    char line[DU_SERVE_PATH_MAX + 128], path[DU_SERVE_PATH_MAX + 1];
    size_t n = 0;
    int len;

    if (log < 0)
        return;
    for (; want->url[n] != '\0' && n < DU_SERVE_PATH_MAX; n++)
        path[n] = want->url[n] > 0x20 && want->url[n] < 0x7f ? want->url[n] : '?';
    path[n] = '\0';
    len = snprintf(line, sizeof line, "%.16s %s %u %" PRIu64 "\n", want->method, path, status,
                   want->head ? 0 : bytes);
    if (write(log, line, (size_t)len) < 0)
        return;
}

static void count(struct du_count *counts, unsigned status)
{
    switch (status) {
    case MHD_HTTP_OK: counts->whole++; break;
    case MHD_HTTP_PARTIAL_CONTENT: counts->part++; break;
    case MHD_HTTP_NOT_MODIFIED: counts->unchanged++; break;
    case MHD_HTTP_NOT_FOUND: counts->missing++; break;
    case MHD_HTTP_TOO_MANY_REQUESTS: counts->limited++; break;
    default: counts->refused++; break;
    }
}

/* Queue a response, which stays the caller's. */
static enum MHD_Result queue(const struct wanted *want, struct MHD_Response *response,
                             unsigned status, uint64_t bytes)
{
    struct du_connection *connection = want->connection;

    log_request(want, status, bytes);
    count(&connection->serve->count, status);
    connection->since_ms = du_serve_now_us() / 1000;
    connection->busy = true;
    return MHD_queue_response(connection->mhd, status, response);
}

/* Queue and release one that was made for this request; incomplete, it ends the connection. */
static enum MHD_Result queue_own(const struct wanted *want, struct MHD_Response *response,
                                 bool complete, unsigned status, uint64_t bytes)
{
    const enum MHD_Result queued = complete ? queue(want, response, status, bytes) : MHD_NO;

    MHD_destroy_response(response);
    return queued;
}

static bool header(struct MHD_Response *response, const char *name, const char *value)
{
    return MHD_add_response_header(response, name, value) == MHD_YES;
}

/* The next root's name is asked for long before it exists: no cache may remember that. */
static bool refusal_headers(struct MHD_Response *response)
{
    return header(response, "Cache-Control", "no-store") &&
           header(response, "Content-Type", "text/plain");
}

bool du_answers_prepare(struct du_serve *serve)
{
    for (unsigned i = 0; i < DU_REFUSALS; i++) {
        struct MHD_Response *response = MHD_create_response_from_buffer(
            strlen(refusals[i].text), (void *)(uintptr_t)refusals[i].text, MHD_RESPMEM_PERSISTENT);

        serve->refusals[i] = response;
        if (response == NULL || !refusal_headers(response))
            return false;
        if (refusals[i].status == MHD_HTTP_METHOD_NOT_ALLOWED &&
            !header(response, "Allow", "GET, HEAD"))
            return false;
        if (refusals[i].status == MHD_HTTP_SERVICE_UNAVAILABLE &&
            !header(response, "Retry-After", "10"))
            return false;
    }
    return true;
}

static enum MHD_Result refuse(const struct wanted *want, unsigned status)
{
    unsigned i = 0;

    while (i + 1 < DU_REFUSALS && refusals[i].status != status)
        i++;
    return queue(want, want->connection->serve->refusals[i], refusals[i].status,
                 strlen(refusals[i].text));
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

/* --- limits --- */

static enum MHD_Result too_many(const struct wanted *want, uint32_t seconds, bool end)
{
    struct du_serve *serve = want->connection->serve;
    static char text[] = "too many requests\n";
    struct MHD_Response *response =
        MHD_create_response_from_buffer(sizeof text - 1, text, MHD_RESPMEM_PERSISTENT);
    char wait[16];

    if (response == NULL)
        return MHD_NO;
    (void)pthread_mutex_lock(&serve->keeper.lock);
    serve->last_limited = want->from;
    (void)pthread_mutex_unlock(&serve->keeper.lock);
    (void)snprintf(wait, sizeof wait, "%" PRIu32, seconds);
    return queue_own(want, response,
                     refusal_headers(response) && header(response, "Retry-After", wait) &&
                         (!end || header(response, "Connection", "close")),
                     MHD_HTTP_TOO_MANY_REQUESTS, sizeof text - 1);
}

/* Whose account a request goes to; NULL for nobody's. */
static struct du_client *account(struct wanted *want, bool *allowed)
{
    const struct du_connection *connection = want->connection;
    struct du_serve *serve = connection->serve;
    const char *forwarded;
    uint32_t connections;

    want->from = connection->from;
    *allowed = connection->allowed;
    if (!connection->forwards)
        return connection->client;
    forwarded = MHD_lookup_connection_value(connection->mhd, MHD_HEADER_KIND, "X-Forwarded-For");
    if (forwarded == NULL || !du_address_forwarded(&want->from, forwarded))
        return NULL; /* the proxy's own requests */
    *allowed = serve->allow_count == 0;
    for (size_t i = 0; i < serve->allow_count && !*allowed; i++)
        *allowed = du_network_has(&serve->allow[i], &want->from);
    return du_client_enter(serve->clients, &want->from, du_serve_now_us(), false, &connections);
}

/* True when the request was answered here, with what in *result. */
static bool limited(struct wanted *want, enum MHD_Result *result)
{
    const struct du_connection *connection = want->connection;
    struct du_serve *serve = connection->serve;
    struct du_client *client;
    bool allowed;
    uint32_t wait;

    client = account(want, &allowed);
    if (!allowed) {
        *result = refuse(want, MHD_HTTP_FORBIDDEN);
        return true;
    }
    if (client == NULL)
        return false;
    if (serve->options.per_client > 0 && client == connection->client &&
        du_client_connections(serve->clients, client) > serve->options.per_client) {
        *result = too_many(want, 1, true);
        return true;
    }
    wait = serve->options.requests_per_s == 0
               ? 0
               : du_client_ask(serve->clients, client, du_serve_now_us(),
                               serve->options.requests_per_s);
    if (wait > 0)
        *result = too_many(want, wait, false);
    return wait > 0;
}

/* --- content --- */

static const char *asked(const struct wanted *want, const char *name)
{
    return MHD_lookup_connection_value(want->connection->mhd, MHD_HEADER_KIND, name);
}

static bool is_unchanged(const struct wanted *want, const char *etag, int64_t changed)
{
    const char *none = asked(want, "If-None-Match");
    const char *since;
    char date[DU_HTTP_DATE];

    if (none != NULL)
        return du_serve_etag_listed(none, etag);
    /* Only the very date that was given out: then it is no matter of clocks. */
    since = du_serve_immutable(want->path) ? asked(want, "If-Modified-Since") : NULL;
    if (since == NULL)
        return false;
    du_serve_date(date, changed);
    return strcmp(since, date) == 0;
}

/* RFC 9110, 13.1.5: a range of another state of the file would be spliced to what the client has,
 * so it gets the whole; a date can never match a strong ETag. */
static enum du_range range_of(const struct wanted *want, const char *etag, uint64_t size,
                              uint64_t *first, uint64_t *length)
{
    const char *range = asked(want, "Range"), *if_range = asked(want, "If-Range");

    *first = 0;
    *length = size;
    if (want->head || range == NULL || (if_range != NULL && strcmp(if_range, etag) != 0))
        return DU_RANGE_NONE;
    return du_serve_range(range, size, first, length);
}

static enum MHD_Result send_nothing(const struct wanted *want, const char *etag, int64_t changed,
                                    unsigned status, uint64_t size)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    char text[64];
    bool complete;

    if (response == NULL)
        return MHD_NO;
    complete = du_file_headers(response, want->path, etag, changed, false);
    if (status == MHD_HTTP_RANGE_NOT_SATISFIABLE) {
        (void)snprintf(text, sizeof text, "bytes */%" PRIu64, size);
        complete = complete && header(response, "Content-Range", text);
    }
    return queue_own(want, response, complete, status, 0);
}

static enum MHD_Result send_content(const struct wanted *want, struct MHD_Response *response,
                                    const char *etag, int64_t changed, enum du_range part,
                                    uint64_t first, uint64_t length, uint64_t size)
{
    char text[80];
    bool complete = du_file_headers(response, want->path, etag, changed, true);

    if (part == DU_RANGE_PART) {
        (void)snprintf(text, sizeof text, "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, first,
                       first + length - 1, size);
        complete = complete && header(response, "Content-Range", text);
    }
    return queue_own(want, response, complete,
                     part == DU_RANGE_PART ? MHD_HTTP_PARTIAL_CONTENT : MHD_HTTP_OK, length);
}

static enum MHD_Result send_hot(const struct wanted *want, const struct du_hot *hot)
{
    const int64_t changed = (int64_t)hot->state.st_mtim.tv_sec;
    struct MHD_Response *response;
    uint64_t first, length;
    enum du_range part;

    if (is_unchanged(want, hot->etag, changed))
        return queue(want, hot->unchanged, MHD_HTTP_NOT_MODIFIED, 0);
    part = range_of(want, hot->etag, hot->size, &first, &length);
    if (part == DU_RANGE_UNSATISFIABLE)
        return send_nothing(want, hot->etag, changed, MHD_HTTP_RANGE_NOT_SATISFIABLE, hot->size);
    du_keeper_spend(want->connection->serve, length);
    if (part == DU_RANGE_NONE)
        return queue(want, hot->whole, MHD_HTTP_OK, hot->size);
    response = MHD_create_response_from_buffer(length, hot->bytes + first, MHD_RESPMEM_MUST_COPY);
    return response == NULL
               ? MHD_NO
               : send_content(want, response, hot->etag, changed, part, first, length, hot->size);
}

/* A file whose bytes go out as there is bandwidth. */
struct metered {
    struct du_connection *connection;
    int fd;
    uint64_t first;
};

static ssize_t metered_read(void *cls, uint64_t at, char *out, size_t most)
{
    struct metered *file = cls;
    const int64_t share = du_keeper_take(file->connection, most);
    ssize_t got;

    if (share <= 0)
        return share == 0 ? 0 : MHD_CONTENT_READER_END_WITH_ERROR;
    do {
        got = pread(file->fd, out, (size_t)share, (off_t)(file->first + at));
    } while (got < 0 && errno == EINTR);
    return got > 0 ? got : MHD_CONTENT_READER_END_WITH_ERROR;
}

static void metered_free(void *cls)
{
    struct metered *file = cls;

    (void)close(file->fd);
    free(file);
}

/* Takes over `fd`. NULL without memory. */
static struct MHD_Response *file_response(const struct wanted *want, int fd, uint64_t first,
                                          uint64_t length)
{
    struct du_serve *serve = want->connection->serve;
    struct MHD_Response *response = NULL;
    struct metered *file;

    if (serve->options.bytes_per_s == 0 || length <= SMALL) {
        du_keeper_spend(serve, length);
        response = MHD_create_response_from_fd_at_offset64(length, fd, first);
        if (response == NULL)
            (void)close(fd);
        return response;
    }
    file = malloc(sizeof *file);
    if (file != NULL) {
        *file = (struct metered){ .connection = want->connection, .fd = fd, .first = first };
        response =
            MHD_create_response_from_callback(length, PIECE, metered_read, file, metered_free);
    }
    if (response == NULL) {
        (void)close(fd);
        free(file);
    }
    return response;
}

/* Takes over `fd`. */
static enum MHD_Result send_file(const struct wanted *want, int fd, const struct stat *st)
{
    const uint64_t size = (uint64_t)st->st_size;
    const int64_t changed = (int64_t)st->st_mtim.tv_sec;
    struct MHD_Response *response;
    uint64_t first, length;
    enum du_range part;
    char etag[DU_ETAG];

    du_file_etag(etag, want->path, st);
    if (is_unchanged(want, etag, changed)) {
        (void)close(fd);
        return send_nothing(want, etag, changed, MHD_HTTP_NOT_MODIFIED, size);
    }
    part = range_of(want, etag, size, &first, &length);
    if (part == DU_RANGE_UNSATISFIABLE) {
        (void)close(fd);
        return send_nothing(want, etag, changed, MHD_HTTP_RANGE_NOT_SATISFIABLE, size);
    }
    response = file_response(want, fd, first, length);
    return response == NULL
               ? MHD_NO
               : send_content(want, response, etag, changed, part, first, length, size);
}

/* "Later" makes a client leave this relay alone, with all that it holds: it is only for a relay
 * that has too much to do itself. What a later attempt cannot mend, as upstream's copy that is
 * wrong or an object that does not fit, is "not here"; else upstream is at fault. In both the
 * client gets that object elsewhere, and the others from here. */
static unsigned status_of_miss(defupd_code code)
{
    const bool for_good = code == DEFUPD_E_NOT_FOUND || code == DEFUPD_E_DIGEST ||
                          code == DEFUPD_E_TOOLARGE || code == DEFUPD_E_NO_SPACE;

    if (for_good)
        return MHD_HTTP_NOT_FOUND;
    return code == DEFUPD_E_BUSY || code == DEFUPD_E_NOMEM || code == DEFUPD_E_CANCELLED
               ? MHD_HTTP_SERVICE_UNAVAILABLE
               : MHD_HTTP_BAD_GATEWAY;
}

/* The object is on its way: begin the answer when its size is known. While the connection is
 * suspended nothing is answered; then the same request comes here again. */
static enum MHD_Result send_miss(const struct wanted *want, const char *digest)
{
    struct du_connection *connection = want->connection;
    struct MHD_Response *response;
    uint64_t first, length, total = 0;
    defupd_code code = DEFUPD_OK;
    enum du_range part;
    char etag[DU_ETAG];

    connection->held = false;
    if (connection->miss == NULL) {
        connection->serve->count.misses++;
        connection->miss = du_miss_join(connection->serve->misses, digest);
        if (connection->miss == NULL)
            return refuse(want, MHD_HTTP_SERVICE_UNAVAILABLE);
    }
    switch (du_miss_look(connection, connection->miss, &total, &code)) {
    case DU_MISS_WAITS: return MHD_YES;
    case DU_MISS_FAILED: return refuse(want, status_of_miss(code));
    case DU_MISS_COMES: break;
    }
    (void)snprintf(etag, sizeof etag, "\"%s\"", digest);
    part = range_of(want, etag, total, &first, &length);
    if (part == DU_RANGE_UNSATISFIABLE)
        return send_nothing(want, etag, 0, MHD_HTTP_RANGE_NOT_SATISFIABLE, total);
    response = du_miss_response(connection, connection->miss, first, length);
    return response == NULL ? MHD_NO
                            : send_content(want, response, etag, 0, part, first, length, total);
}

static void use(struct du_serve *serve, const char *digest)
{
    const struct du_serve_upstream *upstream = serve->options.upstream;
    unsigned char sha256[32];

    serve->count.hits++;
    if (upstream != NULL) {
        du_serve_from_hex(sha256, digest);
        upstream->used(upstream->context, sha256);
    }
}

static enum MHD_Result find(const struct wanted *want)
{
    const char *digest = du_serve_digest(want->path);
    struct du_serve *serve = want->connection->serve;
    struct du_hot *hot = du_hot_get(serve->hots, serve->dir, want->path);
    struct stat st;
    int fd;

    if (hot != NULL) {
        const enum MHD_Result result = send_hot(want, hot);
        du_hot_done(hot);
        return result;
    }
    if (want->connection->miss != NULL)
        return send_miss(want, digest);
    fd = du_file_open(serve->dir, want->path, &st);
    if (fd < 0 && errno == ENOENT && digest != NULL && serve->misses != NULL)
        return send_miss(want, digest);
    if (fd >= 0 && digest != NULL)
        use(serve, digest);
    if (fd < 0)
        return refuse(want, status_of_errno(errno));
    return send_file(want, fd, &st);
}

enum MHD_Result du_answer(void *cls, struct MHD_Connection *mhd, const char *url,
                          const char *method, const char *version, const char *upload,
                          size_t *upload_size, void **request)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct wanted want = { .method = method,
                           .url = url,
                           .head = strcmp(method, "HEAD") == 0,
                           .connection = info != NULL ? info->socket_context : NULL };
    struct du_serve *serve = cls;
    char path[DU_SERVE_PATH_MAX + 1];
    enum MHD_Result result;

    (void)version;
    (void)upload;
    if (want.connection == NULL || want.connection->serve == NULL)
        return MHD_NO;
    if (!want.head && strcmp(method, "GET") != 0) {
        serve->count.requests++;
        return refuse(&want, MHD_HTTP_METHOD_NOT_ALLOWED);
    }
    /* The first call comes with the headers only. Who answers it has the connection closed, which
     * is right for uploads (above) and would end keep-alive here. */
    if (*request == NULL) {
        *request = want.connection;
        return MHD_YES;
    }
    if (*upload_size > 0) {
        *upload_size = 0; /* a GET with content, which means nothing */
        return MHD_YES;
    }
    if (want.connection->miss == NULL) { /* else it was here before */
        serve->count.requests++;
        if (limited(&want, &result))
            return result;
    }
    if (!du_serve_unescape(path, sizeof path, url))
        return refuse(&want, MHD_HTTP_BAD_REQUEST);
    if (!du_serve_path_ok(path) || (serve->options.repository && !du_serve_in_repository(path)))
        return refuse(&want, MHD_HTTP_NOT_FOUND);
    want.path = path;
    return find(&want);
}

void du_answer_done(void *cls, struct MHD_Connection *mhd, void **request,
                    enum MHD_RequestTerminationCode how)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct du_connection *connection = info != NULL ? info->socket_context : NULL;

    (void)cls;
    (void)request;
    (void)how;
    if (connection != NULL) {
        if (connection->miss != NULL)
            du_miss_leave(connection->miss);
        connection->miss = NULL;
        connection->since_ms = du_serve_now_us() / 1000;
        connection->busy = false;
    }
}
