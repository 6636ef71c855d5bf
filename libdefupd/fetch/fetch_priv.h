/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DU_FETCH_FETCH_PRIV_H
#define DU_FETCH_FETCH_PRIV_H

#include <curl/curl.h>

#include "base/scope.h"
#include "fetch/fetch.h"

#define DU_FETCH_REDIRECTS_MAX 5
#define DU_FETCH_RETRY_AFTER_MAX_S (24U * 60 * 60)
#define DU_FETCH_SIZE_UNKNOWN UINT64_MAX

/* One place to read a repository from. */
struct du_source {
    char *base; /* URL without credentials and closing slashes; its name for people too */
    char *user, *password; /* decoded; NULL: none */
    char *dir;             /* of a file URL: the folder, decoded; else NULL */
    int64_t cool_until;    /* to be left alone until then; 0: not */
};

struct du_fetch {
    const struct du_sys *sys;
    struct du_source *source;
    size_t sources;
    char *proxy, *proxy_name; /* as given, and without credentials; NULL: none */
    char *proxy_password;     /* so that no message repeats it; NULL: none */
    uint32_t stall_timeout_ms, total_timeout_ms, attempts;
    uint64_t spent_ms; /* by all transfers so far; counts against total_timeout_ms */
    struct du_tick tick;
    void (*log)(void *user, defupd_level level, const char *module, const char *text);
    void *log_user;
    du_fetch_failed_fn on_failed;
    void *failed_user;
    du_fetch_cool_fn on_cool;
    void *cool_user;
    CURL *curl;   /* one handle for all requests */
    CURLM *multi; /* drives it, and keeps the connections */
    char detail[CURL_ERROR_SIZE];
};

/* Where the bytes of an accepted answer go. Both may refuse, which ends the transfer. */
struct du_sink {
    /* The bytes that follow start at `from` of the file, which is what was asked for, or 0. `size`
     * is the whole file's as the source states it, or DU_FETCH_SIZE_UNKNOWN. */
    defupd_code (*begin)(void *user, uint64_t from, uint64_t size, defupd_error *err);
    defupd_code (*add)(void *user, const void *bytes, size_t count, defupd_error *err);
    void *user;
};

/* One request for one file. */
struct du_get {
    const struct du_source *source;
    const char *path;
    uint64_t from;    /* ask for the bytes from here on */
    const char *etag; /* NULL or "": none */
    const struct du_sink *sink;

    /* out */
    long status;
    bool not_modified;
    char etag_out[128];
    uint32_t retry_after_s;
    uint64_t received;  /* bytes of accepted answers */
    bool refused_range; /* a range was asked for and answered with 416 */
    uint64_t size;      /* of the whole file, as a 416 stated it; else DU_FETCH_SIZE_UNKNOWN */
};

/* fetch.c: one request over whatever the source's scheme is. */
DEFUPD_MUST_CHECK defupd_code du_get(struct du_fetch *fetch, struct du_get *get, defupd_error *err);
/* Would the same source perhaps do better at once? */
bool du_get_again(const struct du_fetch *fetch, defupd_code code, long status);
/* Milliseconds left of the total time-out, at most INT32_MAX; INT32_MAX when there is none. */
uint32_t du_fetch_left_ms(const struct du_fetch *fetch);
__attribute__((format(printf, 3, 4))) void du_fetch_log(const struct du_fetch *fetch,
                                                        defupd_level level, const char *format,
                                                        ...);

/* http.c, file.c */
DEFUPD_MUST_CHECK defupd_code du_get_http(struct du_fetch *fetch, struct du_get *get,
                                          defupd_error *err);
DEFUPD_MUST_CHECK defupd_code du_get_file(struct du_fetch *fetch, struct du_get *get,
                                          defupd_error *err);
/* Set what stays the same for all requests. */
DEFUPD_MUST_CHECK defupd_code du_http_prepare(struct du_fetch *fetch,
                                              const struct du_fetch_options *options,
                                              defupd_error *err);

/* url.c */
DEFUPD_MUST_CHECK defupd_code du_source_parse(struct du_source *source, const char *url,
                                              defupd_error *err);
void du_source_free(struct du_source *source);
DEFUPD_MUST_CHECK defupd_code du_proxy_parse(struct du_fetch *fetch, const char *url,
                                             defupd_error *err);
/* base + "/" + path with each part percent-encoded (RFC 3986 section 2.1); NULL: no memory. */
char *du_url_join(const char *base, const char *path);
/* A URL for people: no user, no password, no query, no fragment. NULL: no memory. */
char *du_url_shown(const char *url);
/* Same scheme, host and port (RFC 6454 section 5)? False also when either is malformed. */
bool du_url_same_origin(const char *a, const char *b);
/* NULL when a redirect from one to the other may be followed, else why not, static. */
const char *du_redirect_why_bad(const char *from, const char *to);

/* header.c: what we read of an answer's header. */
struct du_answer {
    bool coded;          /* has a Content-Encoding or Transfer-Encoding that changes the bytes */
    bool transfer_coded; /* ... and it is a Transfer-Encoding */
    char coding[32];     /* the first such */
    char etag[128];      /* "" if none or longer */
    char retry[64];      /* Retry-After's value */
    bool by_proxy;       /* a well-known proxy's own error page, not something that it passed on */
    int64_t date;        /* Date, Unix seconds; -1 when there is none */
    bool ranged;         /* has a Content-Range that we understand */
    bool range_bad;      /* has one that we do not */
    bool unsatisfied;    /* it is that of a 416: no range, only the size */
    uint64_t range_from, range_size; /* size of the whole, or DU_FETCH_SIZE_UNKNOWN */
};
void du_answer_init(struct du_answer *answer);
/* One line of the header as it came, with or without line end. */
void du_answer_line(struct du_answer *answer, const char *line, size_t len);
/* RFC 9110 section 10.2.3, either form; a date counts from the answer's own Date when it has one,
 * so this machine's clock may be wrong. Capped; 0 when absent, past or malformed. */
uint32_t du_answer_retry_after(const struct du_answer *answer, int64_t now_s);

/* failure.c */
/* What curl's failure means. `ready`: the connection stood and the request was on its way. */
defupd_code du_curl_code(const struct du_fetch *fetch, CURLcode rc, bool ready);
/* What a final status that is neither 200, 206, 304 nor a redirect means. */
defupd_code du_status_code(const struct du_fetch *fetch, long status, bool by_proxy);
/* What went wrong in curl's words, free of passwords. Borrowed until the next request. */
const char *du_curl_detail(const struct du_fetch *fetch, const struct du_source *source,
                           CURLcode rc);

#endif
