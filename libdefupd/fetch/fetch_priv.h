/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DU_FETCH_FETCH_PRIV_H
#define DU_FETCH_FETCH_PRIV_H

#include <curl/curl.h>

#include "base/scope.h"
#include "fetch/fetch.h"

#define DU_FETCH_REDIRECTS_MAX 5
#define DU_FETCH_RETRY_AFTER_MAX_S (24U * 60 * 60)
#define DU_FETCH_SIZE_UNKNOWN UINT64_MAX

/* Somewhere to read files from. */
struct du_site {
    char *base; /* URL without credentials and closing slashes; its name for people too */
    char *user, *password; /* decoded; NULL: none */
    char *dir;             /* of a file URL: the folder, decoded; else NULL */
};

struct du_proxy {
    char *url; /* without credentials; its name for people too. NULL: there is none */
    char *user, *password;
    bool socks;
};

/* What was found missing about revocation, and is let pass. */
enum { DU_WAIVE_STAPLE = 1, DU_WAIVE_CRL = 2 };

/* One source of a repository, and the way there. */
struct du_source {
    struct du_site site, objects; /* objects.base NULL: in the same place */
    const defupd_source *given;   /* NULL: only a URL was */
    uint32_t attempts;
    int64_t cool_until;       /* to be left alone until then; 0: not */
    bool aside;               /* to be asked when all others have failed */
    struct du_proxy proxy[2]; /* for http and https */
    char *no_proxy;
    struct curl_slist *addresses;
    unsigned waived; /* DU_WAIVE_* */

    /* Made for the first request. One handle for all requests of a source, so that connections
     * last, and none of them for another source, so that no setting, address or session of one can
     * be another's. */
    CURL *curl;
    CURLM *multi;               /* drives it, and keeps the connections */
    const struct du_proxy *via; /* of the request under way; NULL: direct */
    char detail[CURL_ERROR_SIZE];
};

struct du_fetch {
    const struct du_sys *sys;
    struct du_fetch_options options; /* a copy; what it points to is borrowed */
    struct du_source *source;        /* in the order in which they are asked */
    size_t sources;
    bool barred; /* servers were left out */
    uint32_t stall_timeout_ms;
    uint64_t spent_ms; /* by all transfers so far; counts against the total time-out */
    du_fetch_failed_fn on_failed;
    void *failed_user;
    du_fetch_cool_fn on_cool, on_aside;
    void *cool_user;
    struct du_probe *probe; /* NULL: nobody looks on */
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
    struct du_source *source;
    const struct du_site *site; /* of the source's */
    const char *path;
    uint64_t from;        /* ask for the bytes from here on */
    const char *etag;     /* NULL or "": none */
    const char *if_range; /* NULL or "": none; else an ETag, without which all is wanted */
    const struct du_sink *sink;

    /* out */
    long status;
    bool not_modified;
    char etag_out[128]; /* known when the sink is told to begin */
    uint32_t retry_after_s;
    uint64_t received;  /* bytes of accepted answers */
    bool refused_range; /* a range was asked for and answered with 416 */
    uint64_t size;      /* of the whole file, as a 416 stated it; else DU_FETCH_SIZE_UNKNOWN */
};

/* fetch.c: one request over whatever the place's scheme is. */
DEFUPD_MUST_CHECK defupd_code du_get(struct du_fetch *fetch, struct du_get *get, defupd_error *err);
/* Would the same source perhaps do better at once? */
bool du_get_again(const struct du_fetch *fetch, defupd_code code, long status);
/* Before another attempt: wait as long as the options say. */
DEFUPD_MUST_CHECK defupd_code du_fetch_pause(struct du_fetch *fetch, defupd_error *err);
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
/* Set what stays the same for all requests of a source. */
DEFUPD_MUST_CHECK defupd_code du_http_prepare(const struct du_fetch *fetch,
                                              struct du_source *source, defupd_error *err);

/* The source's request, or the one of a handle that stands alone; no SIGPIPE comes of it. */
CURLcode du_http_perform(const struct du_source *source, CURL *alone);

/* source.c */
/* Read the options' list into fetch->source, in the order in which they are to be asked. */
DEFUPD_MUST_CHECK defupd_code du_sources_read(struct du_fetch *fetch, defupd_error *err);
void du_source_free(struct du_source *source);
/* "USER:PASSWORD" into its parts, instead of those that a URL had; NULL leaves them. */
DEFUPD_MUST_CHECK defupd_code du_auth_take(char **user, char **password, const char *auth,
                                           defupd_error *err);

/* proxy.c */
/* What the source's settings, else the options', say of a proxy. */
DEFUPD_MUST_CHECK defupd_code du_proxy_read(const struct du_fetch *fetch, struct du_source *source,
                                            defupd_error *err);
void du_proxy_free(struct du_proxy *proxy);
/* For this URL; NULL: none. */
const struct du_proxy *du_proxy_for(const struct du_source *source, const char *url);

/* tls.c */
/* Set the source's TLS settings, as far as they have not been waived. */
DEFUPD_MUST_CHECK defupd_code du_tls_prepare(const struct du_fetch *fetch, struct du_source *source,
                                             defupd_error *err);
/* What curl's words say more exactly than its code: expired, another name, revoked, status not
 * known, client certificate refused. DEFUPD_OK: nothing. */
defupd_code du_tls_code(const char *detail, CURLcode rc);
/* May the failure about revocation be let pass? Then the request is to be made again. */
bool du_tls_waive(const struct du_fetch *fetch, struct du_source *source, CURLcode rc);
/* The connection stands, its revocation list was waived: is a certificate on it all the same? */
DEFUPD_MUST_CHECK defupd_code du_tls_check_list(const struct du_fetch *fetch,
                                                const struct du_source *source, const char *shown,
                                                defupd_error *err);
/* After a refused certificate: say whose it was, and know who intercepts. Asks the server for it by
 * a connection over which nothing is sent. */
defupd_code du_tls_explain(const struct du_source *source, defupd_error *err);
/* A field of the server's own certificate, "" when it has none. Borrowed from curl. */
const char *du_certificate_field(CURL *curl, const char *name);
/* A product that inspects traffic and names itself in `text`; NULL: none that we know. Static. */
const char *du_product_in(const char *text);

/* probe.c: before and after a request that somebody looks on at. */
void du_probe_arm(const struct du_fetch *fetch, const struct du_source *source);
void du_probe_note(const struct du_fetch *fetch, const struct du_source *source, bool ready,
                   int64_t date);

/* crl.c */
/* Is a certificate (PEM) on one of the lists (PEM, any number)? Who signed them is not looked at.
 */
bool du_crl_has(struct du_bytes lists, const char *certificate);

/* url.c */
DEFUPD_MUST_CHECK defupd_code du_site_parse(struct du_site *site, const char *what, const char *url,
                                            defupd_error *err);
void du_site_free(struct du_site *site);
/* scheme://[USER[:PASSWORD]@]HOST[:PORT] with one of the proxies' schemes. */
DEFUPD_MUST_CHECK defupd_code du_proxy_parse(struct du_proxy *proxy, const char *url,
                                             defupd_error *err);
/* Lower-case host of a URL without brackets, and its port. False: it has none, or no memory. */
bool du_url_host(const char *url, char *host, size_t size, uint16_t *port);
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
    const char *product; /* that inspects traffic and made the answer itself; NULL: none known */
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
defupd_code du_curl_code(const struct du_source *source, CURLcode rc, bool ready);
/* What a final status that is neither 200, 206, 304 nor a redirect means. */
defupd_code du_status_code(const struct du_source *source, long status, bool by_proxy);
/* What went wrong in curl's words, free of passwords. Borrowed until the next request. */
const char *du_curl_detail(const struct du_source *source, CURLcode rc);

#endif
