/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "serve_priv.h"

#define CONNECTIONS 1000u
#define IDLE_SECONDS 30u
#define SLOW_SECONDS 60u
#define SLOW_BYTES 16384u
#define BACKLOG 4096
#define OTHER_FILES 64 /* beside those of connections */
/* Of a connection, for its request and the answer's headers. */
#define MEMORY ((size_t)8192)
#define HOUR_US INT64_C(3600000000)

__attribute__((format(printf, 3, 4))) defupd_code du_serve_fail(defupd_error *err, defupd_code code,
                                                                const char *format, ...)
{
    va_list args;

    err->code = code;
    err->sys_errno = errno;
    err->origin = "agent/serve";
    va_start(args, format);
    (void)vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    return code;
}

int64_t du_serve_now_us(void)
{
    struct timespec now = { 0 };

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* --- addresses --- */

/* "ADDR:PORT", "[ADDR6]:PORT", "ADDR"; an empty ADDR is 127.0.0.1. */
static defupd_code parse_listen(const char *text, struct sockaddr_storage *address,
                                socklen_t *length, defupd_error *err)
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
        return du_serve_fail(err, DEFUPD_E_INVALID,
                             "listen address '%.100s': no port from 0 to 65535", text);
    if (colon != NULL)
        (void)snprintf(port, sizeof port, "%s", colon + 1);
    if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
        text++;
        len -= 2;
    }
    if (len >= sizeof host)
        return du_serve_fail(err, DEFUPD_E_INVALID, "listen address '%.100s' is too long", text);
    if (len > 0) {
        memcpy(host, text, len);
        host[len] = '\0';
    }
    rc = getaddrinfo(host, port, &hints, &found);
    if (rc != 0 || found == NULL)
        return du_serve_fail(err, DEFUPD_E_INVALID, "listen address '%.100s': %s", host,
                             gai_strerror(rc));
    memcpy(address, found->ai_addr, found->ai_addrlen);
    *length = found->ai_addrlen;
    freeaddrinfo(found);
    return DEFUPD_OK;
}

static void name_url(char *out, size_t size, int fd)
{
    struct sockaddr_storage address = { 0 };
    socklen_t length = sizeof address;
    char host[INET6_ADDRSTRLEN] = "";

    if (getsockname(fd, (struct sockaddr *)&address, &length) != 0)
        return;
    if (address.ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const void *)&address;
        (void)inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof host);
        (void)snprintf(out, size, "http://[%s]:%u/", host, ntohs(in6->sin6_port));
        return;
    }
    const struct sockaddr_in *in = (const void *)&address;
    (void)inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
    (void)snprintf(out, size, "http://%s:%u/", host, ntohs(in->sin_port));
}

static int open_socket(const struct sockaddr_storage *address, socklen_t length)
{
    const int on = 1;
    const int fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        (address->ss_family != AF_INET6 ||
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) == 0) &&
        bind(fd, (const struct sockaddr *)address, length) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    const int saved = errno;
    if (fd >= 0)
        (void)close(fd);
    errno = saved;
    return -1;
}

static struct du_serve *make(void)
{
    struct du_serve *serve = calloc(1, sizeof *serve);
    pthread_condattr_t attributes;

    if (serve == NULL)
        return NULL;
    serve->dir = serve->log = -1;
    for (unsigned i = 0; i < DU_SERVE_ADDRESSES; i++)
        serve->listen[i] = -1;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&serve->keeper.change, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    (void)pthread_mutex_init(&serve->keeper.lock, NULL);
    return serve;
}

defupd_code du_serve_listen(struct du_serve **serve, const char *address, defupd_error *err)
{
    struct sockaddr_storage parsed = { 0 };
    socklen_t length = 0;
    defupd_code rc;
    unsigned n;

    if (*serve == NULL)
        *serve = make();
    if (*serve == NULL)
        return du_serve_fail(err, DEFUPD_E_NOMEM, "no memory for the HTTP server");
    n = (*serve)->addresses;
    errno = 0;
    if (n == DU_SERVE_ADDRESSES)
        return du_serve_fail(err, DEFUPD_E_INVALID, "more than %u addresses to listen at",
                             DU_SERVE_ADDRESSES);
    rc = parse_listen(address, &parsed, &length, err);
    if (rc != DEFUPD_OK)
        return rc;
    (*serve)->listen[n] = open_socket(&parsed, length);
    if ((*serve)->listen[n] < 0)
        return du_serve_fail(err, DEFUPD_E_CONNECT, "cannot listen on %s: %s", address,
                             strerror(errno));
    name_url((*serve)->url[n], sizeof(*serve)->url[n], (*serve)->listen[n]);
    (*serve)->addresses++;
    return DEFUPD_OK;
}

const char *du_serve_url(const struct du_serve *serve, unsigned index)
{
    return index < serve->addresses ? serve->url[index] : NULL;
}

/* --- starting --- */

/* Each connection takes a descriptor, and one more while a file goes out. */
static uint32_t connections_possible(uint32_t wanted)
{
    const uint64_t files = 2 * (uint64_t)wanted + OTHER_FILES;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return wanted;
    if (limit.rlim_cur < files) {
        limit.rlim_cur = limit.rlim_max == RLIM_INFINITY || limit.rlim_max >= files
                             ? (rlim_t)files
                             : limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= files)
        return wanted;
    return limit.rlim_cur > OTHER_FILES + 32 ? (uint32_t)((limit.rlim_cur - OTHER_FILES) / 2) : 16;
}

static defupd_code take_networks(struct du_network **out, size_t *count, const char *const *texts,
                                 defupd_error *err)
{
    size_t n = 0;

    while (texts != NULL && texts[n] != NULL)
        n++;
    if (n == 0)
        return DEFUPD_OK;
    *out = calloc(n, sizeof **out);
    if (*out == NULL)
        return du_serve_fail(err, DEFUPD_E_NOMEM, "out of memory");
    for (; *count < n; (*count)++) {
        if (!du_network_parse(&(*out)[*count], texts[*count]))
            return du_serve_fail(err, DEFUPD_E_INVALID,
                                 "'%.100s' is no address or network, such as 192.0.2.0/24",
                                 texts[*count]);
    }
    return DEFUPD_OK;
}

static void standard(uint32_t *value, uint32_t otherwise)
{
    if (*value == 0)
        *value = otherwise;
}

static defupd_code take_options(struct du_serve *serve, const struct du_serve_options *options,
                                defupd_error *err)
{
    defupd_code rc;

    serve->options = *options;
    standard(&serve->options.threads, 1);
    standard(&serve->options.connections, CONNECTIONS);
    standard(&serve->options.idle_s, IDLE_SECONDS);
    standard(&serve->options.slow_s, SLOW_SECONDS);
    standard(&serve->options.slow_bytes, SLOW_BYTES);
    serve->options.connections = connections_possible(serve->options.connections);
    rc = take_networks(&serve->allow, &serve->allow_count, options->allow, err);
    if (rc == DEFUPD_OK)
        rc = take_networks(&serve->forwards, &serve->forwards_count, options->forwards, err);
    if (rc != DEFUPD_OK)
        return rc;
    serve->dir = open(options->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (serve->dir < 0)
        return du_serve_fail(err, DEFUPD_E_IO, "open folder %s: %s", options->dir, strerror(errno));
    if (options->log != NULL) {
        serve->log = open(options->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        if (serve->log < 0)
            return du_serve_fail(err, DEFUPD_E_IO, "open log %s: %s", options->log,
                                 strerror(errno));
    }
    return DEFUPD_OK;
}

/* Paths stay as they were sent: du_serve_unescape() is strict, the library's own is not. */
static size_t keep_escapes(void *cls, struct MHD_Connection *connection, char *text)
{
    (void)cls;
    (void)connection;
    return strlen(text);
}

static defupd_code start_daemon(struct du_serve *serve, unsigned n, defupd_error *err)
{
    const unsigned threads = serve->options.threads;
    const struct MHD_OptionItem pool[] = {
        { threads > 1 ? MHD_OPTION_THREAD_POOL_SIZE : MHD_OPTION_END, (intptr_t)threads, NULL },
        { MHD_OPTION_END, 0, NULL }
    };

    errno = 0;
    serve->daemons[n] = MHD_start_daemon(
        MHD_USE_AUTO_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, 0, du_connection_accept, serve,
        du_answer, serve, MHD_OPTION_LISTEN_SOCKET, serve->listen[n], MHD_OPTION_CONNECTION_TIMEOUT,
        serve->options.idle_s, MHD_OPTION_CONNECTION_LIMIT,
        serve->options.connections / serve->addresses + threads, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        MEMORY, MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL, MHD_OPTION_NOTIFY_CONNECTION,
        du_connection_notify, serve, MHD_OPTION_NOTIFY_COMPLETED, du_answer_done, serve,
        MHD_OPTION_ARRAY, pool, MHD_OPTION_END);
    if (serve->daemons[n] == NULL)
        return du_serve_fail(err, DEFUPD_E_CONNECT, "cannot serve %s: %s", serve->url[n],
                             errno != 0 ? strerror(errno) : "the HTTP server does not start");
    serve->listen[n] = -1; /* its own from now on */
    return DEFUPD_OK;
}

defupd_code du_serve_start(struct du_serve *serve, const struct du_serve_options *options,
                           defupd_error *err)
{
    uint64_t seed = 0;
    defupd_code rc = take_options(serve, options, err);

    if (rc != DEFUPD_OK)
        return rc;
    (void)!getrandom(&seed, sizeof seed, GRND_NONBLOCK);
    serve->clients = du_clients_new(seed);
    serve->hots = du_hots_new();
    errno = 0;
    if (serve->clients == NULL || serve->hots == NULL || !du_answers_prepare(serve))
        return du_serve_fail(err, DEFUPD_E_NOMEM, "no memory for the HTTP server");
    if (options->upstream != NULL && (serve->misses = du_misses_new(serve)) == NULL)
        return du_serve_fail(err, DEFUPD_E_NOMEM, "no memory for the HTTP server");
    rc = du_keeper_start(serve, err);
    for (unsigned i = 0; i < serve->addresses && rc == DEFUPD_OK; i++)
        rc = start_daemon(serve, i, err);
    return rc;
}

void du_serve_figures(struct du_serve *serve, struct du_serve_figures *figures)
{
    struct du_count *count = &serve->count;

    *figures = (struct du_serve_figures){ .requests = count->requests,
                                          .whole = count->whole,
                                          .part = count->part,
                                          .unchanged = count->unchanged,
                                          .missing = count->missing,
                                          .limited = count->limited,
                                          .refused = count->refused,
                                          .connections = count->connections,
                                          .turned_away = count->turned_away,
                                          .cut = count->cut,
                                          .bytes = count->bytes,
                                          .hits = count->hits,
                                          .misses = count->misses,
                                          .unfetched = count->unfetched };
    (void)pthread_mutex_lock(&serve->keeper.lock);
    figures->open = serve->keeper.count;
    if (count->limited + count->turned_away > 0)
        du_address_text(figures->last_limited, &serve->last_limited);
    (void)pthread_mutex_unlock(&serve->keeper.lock);
    figures->clients = du_clients_seen(serve->clients, du_serve_now_us() - HOUR_US);
}

void du_serve_stop(struct du_serve *serve)
{
    if (serve == NULL)
        return;
    if (serve->misses != NULL)
        du_misses_stop(serve->misses);
    du_keeper_release(serve);
    for (unsigned i = 0; i < DU_SERVE_ADDRESSES; i++) {
        if (serve->daemons[i] != NULL)
            MHD_stop_daemon(serve->daemons[i]);
        if (serve->listen[i] >= 0)
            (void)close(serve->listen[i]);
    }
    for (unsigned i = 0; i < DU_REFUSALS; i++) {
        if (serve->refusals[i] != NULL)
            MHD_destroy_response(serve->refusals[i]);
    }
    du_misses_free(serve->misses);
    du_hots_free(serve->hots);
    du_clients_free(serve->clients);
    (void)pthread_mutex_destroy(&serve->keeper.lock);
    (void)pthread_cond_destroy(&serve->keeper.change);
    if (serve->dir >= 0)
        (void)close(serve->dir);
    if (serve->log >= 0)
        (void)close(serve->log);
    free(serve->allow);
    free(serve->forwards);
    free(serve);
}
