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

#include <defupd/event.h>

#include "base/bytes.h"
#include "base/err.h"
#include "crypto/crypto.h"
#include "sys/sys.h"
#include "tree/tree.h"

struct du_fetch;

struct du_fetch_options {
    const struct du_sys *sys;
    const char *const *sources; /* base URLs, NULL-terminated; borrowed until du_fetch_free() */
    const char *proxy;          /* NULL: none, and the environment is not read */
    const char *ca_file;        /* NULL: the system's */
    const char *user_agent;
    /* 0: the defaults of client.h. The total counts the time that all transfers of this handle
     * take together, not what is done between them. */
    uint32_t connect_timeout_ms, stall_timeout_ms, total_timeout_ms;
    uint32_t attempts; /* for each source and file, when the failure may pass; 0 means 1 */
    /* Called at least every second of waiting; ends a transfer with its code. Only a name server
     * that does not answer can hold that up, for as long as the system's resolver tries. */
    struct du_tick tick;
    void (*log)(void *user, defupd_level level, const char *module, const char *text);
    void *log_user;
};

/* Errors: DEFUPD_E_INVALID (a source that is no http, https or file URL or carries a query or
 * fragment, a proxy that is not http://HOST:PORT or https://HOST:PORT; the message names it,
 * without its password), DEFUPD_E_UNSUPPORTED (libcurl lacks TLS), DEFUPD_E_NOMEM. Opens no
 * connection. One thread at a time; keeps its connections until it is freed. */
DEFUPD_MUST_CHECK defupd_code du_fetch_new(struct du_fetch **out,
                                           const struct du_fetch_options *options,
                                           defupd_error *err);
void du_fetch_free(struct du_fetch *fetch);
void du_fetch_freep(struct du_fetch **fetch);
#define DU_AUTO_FETCH __attribute__((cleanup(du_fetch_freep))) struct du_fetch

size_t du_fetch_sources(const struct du_fetch *fetch);
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
/* Called when a 429 or 503 says for how long; the source is left alone when the callback says so by
 * du_fetch_cool(). */
typedef void (*du_fetch_cool_fn)(void *user, size_t source, uint32_t seconds);
void du_fetch_on_cool(struct du_fetch *fetch, du_fetch_cool_fn fn, void *user);

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

/* What the signed metadata promises about an object. */
struct du_want {
    const char *path;      /* below each source's base URL, already validated */
    uint64_t length_bytes; /* exact, as stored on the server */
    unsigned char sha256[DU_SHA256_BYTES];
};

/*
 * Fetch one signed object into a file, trying the sources in order from `first`, then from the
 * start again. Bytes already in `fd` are hashed and continued by a range request, and each source
 * continues where the one before it stopped; a source that answers with the whole file restarts it.
 * Bytes are hashed as they arrive. When bytes of several origins do not make the object, it is
 * fetched anew from the one source that is at hand before that is called wrong.
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
