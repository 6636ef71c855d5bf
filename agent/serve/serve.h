/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A static HTTP/1.1 server over a repository's folder: GET and HEAD, one byte range, strong ETags,
 * keep-alive, sendfile. `defupd-publish serve` and `defupd-relay` are this. The only user of
 * libmicrohttpd.
 *
 * Nothing outside the folder is served: names are opened without following links, and a part that
 * begins with a dot, or a name that ends in ".tmp", is not there. A file that is not readable for
 * everybody is not for the network either. Files are replaced by rename; one that is rewritten in
 * place may be served torn.
 */
#ifndef DU_SERVE_SERVE_H
#define DU_SERVE_SERVE_H

#include <stdbool.h>
#include <stdint.h>

#include <defupd/error.h>

struct du_serve;

/* Bytes of an object that is being fetched: the first `bytes` of `fd` are there, of `total` in the
 * end. `fd` is looked at during the call only. Fewer bytes than before: those were wrong. */
typedef void (*du_serve_arrived_fn)(void *user, int fd, uint64_t bytes, uint64_t total);

/* Where objects come from that are asked for and not here. Called from several threads. */
struct du_serve_upstream {
    void *context;
    /* Put the object into the folder; blocks. DEFUPD_E_NOT_FOUND: there is no such object. */
    defupd_code (*fetch)(void *context, const unsigned char sha256[32], du_serve_arrived_fn arrived,
                         void *user, defupd_error *err);
    /* An object was asked for that is here. */
    void (*used)(void *context, const unsigned char sha256[32]);
    /* Fetches end soon, and so do those that begin later. */
    void (*cancel)(void *context);
    uint32_t fetches; /* at a time; 0: 32, the most */
};

struct du_serve_options {
    const char *dir; /* the folder; required */
    const char *log; /* file that gets a line "METHOD PATH STATUS BYTES" for each request, before
                        its answer is sent; NULL: none */
    bool repository; /* nothing but metadata/, targets/ and objects/ is there */
    /* Limits; 0 is the default in brackets. */
    uint32_t threads;     /* that answer, for each address (1) */
    uint32_t connections; /* at a time (1000); further ones wait, unaccepted. Fewer where the
                             process may not open as many files: two each */
    uint32_t per_client;  /* connections at a time of one address (any); further requests get 429,
                             beyond twice as many connections are closed at once */
    uint32_t requests_per_s;     /* of one client (any); five seconds' worth may come at once */
    uint64_t bytes_per_s;        /* of content, to all (any) */
    uint32_t idle_s;             /* until a connection without a request is closed (30) */
    uint32_t slow_s;             /* over which a reader is looked at (60) ... */
    uint32_t slow_bytes;         /* ... and cut when it took fewer bytes (16 KiB) */
    const char *const *allow;    /* networks ("10.0.0.0/8", "::1") that may ask, NULL-terminated;
                                    none: everybody. Others get 403 */
    const char *const *forwards; /* networks whose X-Forwarded-For is believed: proxies in front.
                                    Limits then count for the address named there */
    const struct du_serve_upstream *upstream; /* NULL: what is not here is not there. Borrowed
                                                 until du_serve_stop() */
};

/* Listen at "ADDR:PORT", "[ADDR6]:PORT" or "ADDR"; port 0, or none, means any free one. Several
 * addresses by several calls, *serve being NULL at the first. Yours to stop, also after a failure.
 * To be called before privileges are given up.
 * Errors: DEFUPD_E_INVALID (malformed or unknown address), DEFUPD_E_CONNECT (cannot listen there),
 *         DEFUPD_E_NOMEM */
DEFUPD_MUST_CHECK defupd_code du_serve_listen(struct du_serve **serve, const char *address,
                                              defupd_error *err);

/* Serve, from threads of its own. The caller should ignore SIGPIPE, and block the signals it waits
 * for before this call.
 * Errors: DEFUPD_E_INVALID (a network), DEFUPD_E_IO (folder or log), DEFUPD_E_CONNECT (the server
 *         does not start), DEFUPD_E_NOMEM */
DEFUPD_MUST_CHECK defupd_code du_serve_start(struct du_serve *serve,
                                             const struct du_serve_options *options,
                                             defupd_error *err);

/* "http://127.0.0.1:40123/", of the address number `index` in their order; NULL past the last. */
const char *du_serve_url(const struct du_serve *serve, unsigned index);

/* What happened since the start. */
struct du_serve_figures {
    uint64_t requests;
    uint64_t whole, part, unchanged, missing; /* answered 200, 206, 304, 404 */
    uint64_t limited;                         /* 429 */
    uint64_t refused;                         /* other answers from 400 on */
    uint64_t connections;                     /* accepted */
    uint64_t turned_away;                     /* closed at once, being too many of one client */
    uint64_t cut;                             /* closed as idle or slow */
    uint64_t bytes;                           /* sent, with headers */
    uint64_t hits, misses;                    /* objects asked for that were here, and not */
    uint64_t unfetched;                       /* that could not be had upstream */
    uint32_t open;                            /* connections now */
    uint32_t clients;                         /* seen within the last hour */
    char last_limited[48];                    /* the address that got 429 last */
};
void du_serve_figures(struct du_serve *serve, struct du_serve_figures *figures);

/* No new connections; those under way have `ms` milliseconds to get the answer they wait for. */
void du_serve_drain(struct du_serve *serve, unsigned ms);

/* Close all connections and free. NULL is allowed. */
void du_serve_stop(struct du_serve *serve);

#endif
