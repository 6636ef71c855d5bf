/* SPDX-License-Identifier: Apache-2.0 */
/* A server in this process and clients that speak HTTP by hand. */
#ifndef SERVE_KIT_H
#define SERVE_KIT_H

#include "../agent/serve/serve.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#include "t.h"

static struct du_serve *kit_serve;

static inline void kit_start(struct du_serve_options *options)
{
    defupd_error err = { 0 };

    (void)signal(SIGPIPE, SIG_IGN);
    kit_serve = NULL;
    if (options->dir == NULL)
        options->dir = ".";
    T_OK(du_serve_listen(&kit_serve, "127.0.0.1:0", &err), &err);
    T_OK(du_serve_start(kit_serve, options, &err), &err);
}

static inline void kit_stop(void)
{
    du_serve_stop(kit_serve);
    kit_serve = NULL;
}

static inline struct du_serve_figures kit_figures(void)
{
    struct du_serve_figures figures;

    du_serve_figures(kit_serve, &figures);
    return figures;
}

static inline void kit_file(const char *path, const char *bytes, size_t count)
{
    FILE *file;

    (void)t_shell("mkdir -p \"$(dirname '%s')\"", path);
    file = fopen(path, "w");
    T_CHECK(file != NULL && fwrite(bytes, 1, count, file) == count && fclose(file) == 0);
}

/* A connection; `window` limits what it takes before it reads, 0: the system's. */
static inline int kit_dial(int window)
{
    const char *url = du_serve_url(kit_serve, 0);
    struct sockaddr_in to = { .sin_family = AF_INET };
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons((uint16_t)strtoul(strrchr(url, ':') + 1, NULL, 10));
    if (window > 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &window, sizeof window);
    T_CHECK(connect(fd, (struct sockaddr *)&to, sizeof to) == 0);
    return fd;
}

/* False when the other side does not take it. */
static inline bool kit_send(int fd, const char *text)
{
    return send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text);
}

/* Ask for a path with further header lines ("Name: value\r\n..."). */
static inline bool kit_ask(int fd, const char *method, const char *path, const char *headers)
{
    char request[2048];

    (void)snprintf(request, sizeof request, "%s %s HTTP/1.1\r\nHost: x\r\n%s\r\n", method, path,
                   headers);
    return kit_send(fd, request);
}

struct kit_reply {
    int status; /* 0: none came */
    char head[2048];
    char *body;          /* free() it */
    size_t length, told; /* bytes that came, and that Content-Length tells */
    bool whole;
};

/* The head alone; the body is left to be read. */
static inline void kit_head(int fd, struct kit_reply *reply)
{
    size_t used = 0;
    const char *told;

    *reply = (struct kit_reply){ .status = 0 };
    while (used + 1 < sizeof reply->head && strstr(reply->head, "\r\n\r\n") == NULL) {
        if (recv(fd, reply->head + used, 1, 0) != 1)
            return;
        reply->head[++used] = '\0';
    }
    (void)sscanf(reply->head, "HTTP/1.1 %d", &reply->status);
    told = strcasestr(reply->head, "\r\ncontent-length: ");
    reply->told = told != NULL ? strtoull(told + 18, NULL, 10) : 0;
}

static inline void kit_body(int fd, struct kit_reply *reply)
{
    reply->body = malloc(reply->told + 1);
    while (reply->body != NULL && reply->length < reply->told) {
        const ssize_t n = recv(fd, reply->body + reply->length, reply->told - reply->length, 0);

        if (n <= 0)
            break;
        reply->length += (size_t)n;
    }
    reply->whole = reply->length == reply->told;
    if (reply->body != NULL)
        reply->body[reply->length] = '\0';
}

static inline void kit_reply(int fd, struct kit_reply *reply)
{
    kit_head(fd, reply);
    kit_body(fd, reply);
}

/* One request on a connection of its own; the status. */
static inline int kit_get(const char *path, const char *headers)
{
    struct kit_reply reply;
    const int fd = kit_dial(0);

    (void)kit_ask(fd, "GET", path, headers);
    kit_reply(fd, &reply);
    free(reply.body);
    (void)close(fd);
    return reply.status;
}

/* A header's value, "" when it is not there. */
static inline const char *kit_header(const struct kit_reply *reply, const char *name)
{
    static char value[256];
    char key[64];
    const char *at;

    (void)snprintf(key, sizeof key, "\r\n%s: ", name);
    at = strcasestr(reply->head, key);
    value[0] = '\0';
    if (at != NULL)
        (void)snprintf(value, sizeof value, "%.*s", (int)strcspn(at + strlen(key), "\r"),
                       at + strlen(key));
    return value;
}

static inline void kit_pause(long ms)
{
    const struct timespec time = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

    (void)nanosleep(&time, NULL);
}

static inline int64_t kit_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

#endif
