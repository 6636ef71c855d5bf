/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small static HTTP server over a repository's folder: GET and HEAD, one byte range, strong ETag,
 * keep-alive, sendfile. For trials, tests, and whoever passes a repository on. The only user of
 * libmicrohttpd.
 *
 * Nothing outside the folder is served: names are opened part by part without following links, and
 * a part that begins with a dot, or a name that ends in ".tmp", is not there. A file that is not
 * readable for everybody is not for the network either.
 */
#ifndef DU_SERVE_SERVE_H
#define DU_SERVE_SERVE_H

#include <stdint.h>

#include <defupd/error.h>

struct du_serve;

struct du_serve_options {
    const char *dir;    /* the folder; required */
    const char *listen; /* "ADDR:PORT", "[ADDR6]:PORT" or "ADDR"; NULL: 127.0.0.1:0. Port 0 means
                           any free one. */
    const char *log;    /* file that gets a line "METHOD PATH STATUS BYTES" for each request, before
                           its answer is sent; NULL: none */
};

/*
 * Start serving from a thread of its own; *serve is yours to stop. The caller should ignore
 * SIGPIPE, and block the signals it waits for before this call.
 * Errors: DEFUPD_E_INVALID (malformed or unknown address), DEFUPD_E_IO (folder or log),
 *         DEFUPD_E_CONNECT (cannot listen there), DEFUPD_E_NOMEM
 */
DEFUPD_MUST_CHECK defupd_code du_serve_start(struct du_serve **serve,
                                             const struct du_serve_options *options,
                                             defupd_error *err);

/* "http://127.0.0.1:40123/", as long as it runs. */
const char *du_serve_url(const struct du_serve *serve);

/* Close all connections and free. NULL is allowed. */
void du_serve_stop(struct du_serve *serve);

#endif
