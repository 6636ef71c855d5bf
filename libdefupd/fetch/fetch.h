/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Getting bytes from somewhere else. The only module that includes <curl/curl.h>. It knows sources,
 * limits and resuming; it does not know what the bytes mean.
 * Layer: uses base/, sys/, crypto/, event/ and tree/'s tick.
 */
#ifndef DU_FETCH_FETCH_H
#define DU_FETCH_FETCH_H

#include <stdbool.h>
#include <stdint.h>

#include <defupd/client.h>

#include "base/bytes.h"
#include "base/err.h"
#include "crypto/crypto.h"
#include "sys/sys.h"
#include "tree/tree.h"

struct du_fetch;

/* Strings and lists are borrowed until du_fetch_free(). */
struct du_fetch_options {
    const struct du_sys *sys;
    const char *const *sources;              /* base URLs, NULL-terminated */
    const defupd_source *const *source_list; /* instead, NULL-terminated; checked by client/ */
    bool relays_only;    /* where source_list has relays, its servers are left out */
    const char *proxy;   /* NULL: none, and the environment is not read; "env": what it says */
    const char *ca_file; /* NULL: the system's */
    const char *user_agent;
    /* 0: the defaults of client.h. The total counts the time that all transfers of this handle
     * take together, not what is done between them. */
    uint32_t connect_timeout_ms, stall_timeout_ms, total_timeout_ms;
    uint32_t attempts; /* for each source and file, when the failure may pass; 0 means 1 */
    uint32_t retry_delay_ms;
    uint32_t keep_alive_s;    /* 0: 60 */
    uint64_t max_bytes_per_s; /* 0: no limit */
    /* Called at least every second of waiting; ends a transfer with its code. Only a name server
     * that does not answer can hold that up, for as long as the system's resolver tries. */
    struct du_tick tick;
    void (*log)(void *user, defupd_level level, const char *module, const char *text);
    void *log_user;
};

/* Errors: DEFUPD_E_INVALID (a source that is no http, https or file URL or carries a query or
 * fragment, a proxy that is no proxy's URL, an address that is none; the message names it, without
 * its password), DEFUPD_E_NOMEM. Opens no connection. One thread at a time; keeps its connections
 * until it is freed. */
DEFUPD_MUST_CHECK defupd_code du_fetch_new(struct du_fetch **out,
                                           const struct du_fetch_options *options,
                                           defupd_error *err);
void du_fetch_free(struct du_fetch *fetch);
void du_fetch_freep(struct du_fetch **fetch);
#define DU_AUTO_FETCH __attribute__((cleanup(du_fetch_freep))) struct du_fetch

/* Sources are numbered in the order in which they are asked: relays, by their groups and in random
 * order within, then servers. */
size_t du_fetch_sources(const struct du_fetch *fetch);
/* Their numbers in the order in which they are to be asked now: from `first` on, then from the
 * start again; those that were set aside come last. `out` has room for all. */
void du_fetch_order(const struct du_fetch *fetch, size_t first, size_t *out);
/* Were servers left out because of relays_only? */
bool du_fetch_barred(const struct du_fetch *fetch);
/* What the source was given as; NULL when only a URL was. Borrowed. */
const defupd_source *du_fetch_source_given(const struct du_fetch *fetch, size_t source);
/* URL of a source for people: user name, password and query removed. Borrowed. */
const char *du_fetch_source_name(const struct du_fetch *fetch, size_t source);

/* The same of a URL that no handle has, yours to free(); NULL: it is none, or no memory. */
char *du_fetch_name(const char *url);

/* A source that asked to be left alone until then (Unix seconds by the wall clock): no request goes
 * to it, DEFUPD_E_COOL_DOWN instead. */
void du_fetch_cool(struct du_fetch *fetch, size_t source, int64_t until);
/* Until when a source is to be left alone; 0: it may be asked now. */
int64_t du_fetch_cooling(const struct du_fetch *fetch, size_t source);
/* When the first of the sources may be asked; 0: one may be asked now, or there is none. */
int64_t du_fetch_all_cooling(const struct du_fetch *fetch);
/* DEFUPD_E_COOL_DOWN with that time. */
DEFUPD_MUST_CHECK defupd_code du_fetch_cool_error(const struct du_fetch *fetch, defupd_error *err);
/* on_cool is called when a 429 or 503 says for how long; the source is left alone when the callback
 * says so by du_fetch_cool(). on_aside is called when a source has been found to give wrong bytes;
 * it has been set aside then. NULL: nobody. */
typedef void (*du_fetch_cool_fn)(void *user, size_t source, uint32_t seconds);
void du_fetch_on_cool(struct du_fetch *fetch, du_fetch_cool_fn on_cool, du_fetch_cool_fn on_aside,
                      void *user);
#define DU_FETCH_ASIDE_S (24U * 60 * 60)
/* Ask it only when all others have failed. */
void du_fetch_aside(struct du_fetch *fetch, size_t source);
/* Names a source in facts; `out` gets DU_SOURCE_KEY bytes. By its URL for people. */
#define DU_SOURCE_KEY 33
void du_fetch_key(char out[DU_SOURCE_KEY], const char *name);

/* One small file into memory, from one source. */
struct du_fetch_file {
    const char *path;   /* below the source's base URL; each part is percent-encoded here */
    size_t bytes_max;   /* byte bytes_max + 1 ends the transfer with DEFUPD_E_TOOLARGE */
    const char *etag;   /* NULL or "", or send If-None-Match */
    bool not_modified;  /* out: 304, `body` is empty */
    char etag_out[128]; /* out: ETag of the answer, "" if none or longer */
    long status;        /* out: HTTP status, 0 if there was no answer; 404 for a missing file:// */
    uint32_t retry_after_s; /* out: Retry-After of a 429 or 503, capped at 24 hours; else 0 */
};
/* Blocks. On failure `body` is empty. Errors: -21xx (the message begins with the URL, without
 * credentials), DEFUPD_E_LIMIT (the buffer is smaller than bytes_max), DEFUPD_E_NOMEM, the tick's.
 */
DEFUPD_MUST_CHECK defupd_code du_fetch_memory(struct du_fetch *fetch, size_t source,
                                              struct du_fetch_file *file, struct du_buf *body,
                                              defupd_error *err);

/* What is seen of a request on its way; strings "" when there was nothing to see. */
struct du_probe {
    bool local, secure, proxied; /* a folder; https; through a proxy */
    bool connected, ready;       /* ... and the request went out */
    char addresses[512], peer[80];
    char tls[32];                                /* "TLSv1.3" */
    char subject[128], issuer[128], expires[40]; /* of the server's certificate */
    unsigned waived;                             /* what of its revocation status is not known */
    int64_t date;                                /* of the answer, Unix seconds; -1: none */
    uint64_t resolve_ms, connect_ms, tls_ms, http_ms, total_ms;
    const char *proxy; /* borrowed from `fetch` */
};
/* du_fetch_memory() with eyes open. Errors: the same. */
DEFUPD_MUST_CHECK defupd_code du_fetch_probe(struct du_fetch *fetch, size_t source,
                                             struct du_fetch_file *file, struct du_buf *body,
                                             struct du_probe *probe, defupd_error *err);

/* Which source gave which bytes of a file that is being fetched. */
#define DU_PIECES_MAX 64
struct du_pieces {
    size_t count; /* 0: nothing is known */
    struct du_piece {
        uint64_t from;              /* to the next piece's, or to the end */
        char source[DU_SOURCE_KEY]; /* "": not known */
    } piece[DU_PIECES_MAX];
    char etag[128]; /* of the last piece, when it is a strong one; "" otherwise */
};

/* What the signed metadata promises about an object. */
struct du_want {
    const char *path;      /* below each source's base URL, already validated */
    uint64_t length_bytes; /* exact, as stored on the server */
    unsigned char sha256[DU_SHA256_BYTES];
    /* For the next call, by whatever process. In: what is known of the bytes in the file; out: the
     * same, kept up to date. NULL: nothing is known, and nobody wants to know. */
    struct du_pieces *pieces;
    void (*keep)(void *user, const struct du_pieces *pieces); /* it has changed; NULL: nobody */
    void *keep_user;
};

/*
 * Fetch one signed object into a file, trying the sources in order from `first`, then from the
 * start again, as long as a round brings bytes. Those that were set aside come last. Bytes already
 * in `fd` are hashed and continued by a range request, and each source continues where the one
 * before it stopped; a source that answers with the whole file restarts it. Bytes are hashed as
 * they arrive. A connection that is cut after it brought something is no failed attempt.
 *
 * When bytes of several sources do not make the object, it is fetched anew from the one source that
 * is at hand; then it is known who gave wrong ones, and who did is set aside. So is a source that
 * is wrong alone.
 *
 * fd       open for reading and writing; its offset is used
 * source   out, on success: the source that delivered the last byte (`first` when no byte lacked)
 * fetched  out, also on failure: bytes that came over the wire in this call
 *
 * DEFUPD_OK means that length and digest equal `want`; anything else means `fd` holds bytes nobody
 * has vouched for (a prefix worth continuing, or nothing: after a digest mismatch or too many bytes
 * it is emptied). Blocks. Errors, the last source's when several failed:
 *   -21xx                as in client.h
 *   DEFUPD_E_TOOLARGE    more than length_bytes announced, or byte length_bytes + 1 arrived; the
 *                        transfer stopped there
 *   DEFUPD_E_DIGEST      right length, wrong content; or the source's file is shorter than signed
 *   DEFUPD_E_NO_SOURCE   there is none
 *   DEFUPD_E_COOL_DOWN   all of them asked to be left alone; others are passed over
 *   DEFUPD_E_IO, DEFUPD_E_NO_SPACE   reading or writing `fd` failed; no further source was tried
 *   DEFUPD_E_NOMEM, the tick's
 */
DEFUPD_MUST_CHECK defupd_code du_fetch_object(struct du_fetch *fetch, size_t first, int fd,
                                              const struct du_want *want, size_t *source,
                                              uint64_t *fetched, defupd_error *err);

/* Called for each source that failed before another is tried. NULL: nobody. */
typedef void (*du_fetch_failed_fn)(void *user, const char *source, const defupd_error *why);
void du_fetch_on_failed(struct du_fetch *fetch, du_fetch_failed_fn fn, void *user);

void du_fetch_versions(char *out, size_t size); /* "libcurl 7.88.1 (OpenSSL/3.0.15)" */

#endif
