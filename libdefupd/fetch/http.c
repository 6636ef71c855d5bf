/* SPDX-License-Identifier: Apache-2.0 */
/* http and https through libcurl: one pair of handles for all requests, so that connections last.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "fetch/fetch_priv.h"

#define DRAIN_MAX 65536 /* body of an error page that we swallow to keep the connection */
#define POLL_MS 200     /* longest wait between two looks at ticks and time-outs */
#define NO_CERT "SSL certificate"
#define HEADER_MAX 65536 /* bytes of one answer's header */

/* One request and its answer: redirects make several of a du_get. */
struct hop {
    struct du_fetch *fetch;
    struct du_source *source;
    struct du_get *get;
    const char *shown; /* URL for people */
    defupd_error *err;
    defupd_code stop;       /* why a callback ended the transfer; err is filled */
    CURLcode rc;            /* curl's, when it is over */
    bool asked;             /* If-None-Match was sent */
    bool wants_certificate; /* so says the answer's page */
    bool ready;             /* the connection stands, the request goes out */
    bool begun;             /* the sink has been told */
    bool cut;               /* ended on purpose in the middle of a body that nobody wants */
    uint64_t begun_ms;
    uint64_t last_ms; /* when something last came from the other side */
    uint64_t span_ms; /* when the span began in which enough must come; 0: nothing has come yet */
    uint64_t span_bytes;
    uint64_t untold; /* bytes since the last tick */
    size_t header_bytes, drained;
    struct du_answer answer;
};

static long status_of(const struct hop *hop)
{
    long status = 0;

    if (curl_easy_getinfo(hop->source->curl, CURLINFO_RESPONSE_CODE, &status) != CURLE_OK)
        return 0;
    return status >= 200 ? status : 0; /* 1xx is no answer yet */
}

/* Does this status carry the bytes of the file? */
static bool carries_file(const struct hop *hop, long status)
{
    return status == 200 || (status == 206 && hop->get->from > 0);
}

/* Nothing of the request has been sent yet. */
static int on_ready(void *user, char *to_ip, char *from_ip, int to_port, int from_port)
{
    struct hop *hop = user;

    (void)to_ip;
    (void)from_ip;
    (void)to_port;
    (void)from_port;
    hop->stop = du_tls_check_list(hop->fetch, hop->source, hop->shown, hop->err);
    if (hop->stop != DEFUPD_OK)
        return CURL_PREREQFUNC_ABORT;
    hop->ready = true;
    hop->last_ms = hop->fetch->sys->monotonic_ms();
    return CURL_PREREQFUNC_OK;
}

/* A source that sends a byte now and then would keep a run, and the lock, for ever (TUF's slow
 * retrieval attack). What has begun must go on with this much in each time-out. */
#define SPAN_BYTES_MIN 1024

static void came(struct hop *hop, size_t count)
{
    hop->last_ms = hop->fetch->sys->monotonic_ms();
    if (hop->span_ms == 0)
        hop->span_ms = hop->last_ms;
    hop->span_bytes += count;
}

/* Has more come than the options' rate allows until now? Then it is curl that rests. */
static bool is_ahead(const struct hop *hop, uint64_t now_ms)
{
    const uint64_t rate = hop->fetch->options.max_bytes_per_s;
    uint64_t allowed;

    return rate != 0 && hop->begun && du_mul(rate, now_ms - hop->begun_ms, &allowed) &&
           hop->get->received > allowed / 1000;
}

static defupd_code check_pace(struct hop *hop)
{
    const uint32_t limit_ms = hop->fetch->stall_timeout_ms;
    const uint64_t now_ms = hop->fetch->sys->monotonic_ms();

    if (!hop->ready)
        return DEFUPD_OK;
    if (is_ahead(hop, now_ms)) {
        hop->last_ms = now_ms;
        hop->span_ms = 0;
        hop->span_bytes = 0;
    }
    if (now_ms - hop->last_ms >= limit_ms)
        return DU_FAIL(hop->err, DEFUPD_E_STALLED, "%s: no byte for %" PRIu32 " ms", hop->shown,
                       limit_ms);
    if (hop->span_ms == 0 || now_ms - hop->span_ms < limit_ms)
        return DEFUPD_OK;
    if (hop->span_bytes < SPAN_BYTES_MIN)
        return DU_FAIL(hop->err, DEFUPD_E_STALLED,
                       "%s: only %" PRIu64 " bytes in %" PRIu32 " ms, expected at least %d",
                       hop->shown, hop->span_bytes, limit_ms, SPAN_BYTES_MIN);
    hop->span_ms = now_ms;
    hop->span_bytes = 0;
    return DEFUPD_OK;
}

static size_t on_header(char *line, size_t one, size_t len, void *user)
{
    struct hop *hop = user;

    (void)one;
    came(hop, len);
    hop->header_bytes += len;
    if (hop->header_bytes > HEADER_MAX) {
        hop->stop = DU_FAIL(hop->err, DEFUPD_E_HTTP_STATUS, "%s: header of more than %d bytes",
                            hop->shown, HEADER_MAX);
        return 0;
    }
    du_answer_line(&hop->answer, line, len);
    if (hop->answer.transfer_coded) {
        /* curl would decode it before we see it, and nothing that is signed may reach a
         * decompressor before its digest has matched. */
        hop->stop = DU_FAIL(hop->err, DEFUPD_E_HTTP_STATUS,
                            "%s: answer has the coding \"%s\", which was not asked for", hop->shown,
                            hop->answer.coding);
        return 0;
    }
    return len;
}

/* The header of a 200 or 206 is complete: is this what was asked for? */
static defupd_code check_answer(struct hop *hop, long status, uint64_t *from, uint64_t *size)
{
    const struct du_answer *answer = &hop->answer;
    curl_off_t length = -1;

    if (answer->coded)
        return DU_FAIL(hop->err, DEFUPD_E_HTTP_STATUS,
                       "%s: HTTP %ld with the coding \"%s\", which was not asked for", hop->shown,
                       status, answer->coding);
    if (status == 206) {
        if (!answer->ranged || answer->range_bad || answer->range_from != hop->get->from)
            return DU_FAIL(hop->err, DEFUPD_E_HTTP_STATUS,
                           "%s: HTTP 206 with another range than the one from byte %" PRIu64,
                           hop->shown, hop->get->from);
        *from = hop->get->from;
        *size = answer->range_size;
        return DEFUPD_OK;
    }
    *from = 0;
    *size = DU_FETCH_SIZE_UNKNOWN;
    if (curl_easy_getinfo(hop->source->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length) ==
            CURLE_OK &&
        length >= 0)
        *size = (uint64_t)length;
    return DEFUPD_OK;
}

/* What the sink refuses because of the source gets the source's name. */
static defupd_code named(struct hop *hop, defupd_code rc)
{
    return du_code_next_source(rc) ? du_err_prefix(hop->err, "%s", hop->shown) : rc;
}

static defupd_code begin(struct hop *hop, long status)
{
    const struct du_sink *sink = hop->get->sink;
    uint64_t from = 0, size = 0;

    if (hop->begun)
        return DEFUPD_OK;
    DU_TRY(check_answer(hop, status, &from, &size));
    hop->begun = true;
    hop->begun_ms = hop->fetch->sys->monotonic_ms();
    memcpy(hop->get->etag_out, hop->answer.etag, sizeof hop->get->etag_out);
    return named(hop, sink->begin(sink->user, from, size, hop->err));
}

/* Where a captive portal or a filter stands between, a page for people comes in the file's place.
 * None of our files begins like one. */
static bool is_page(const char *bytes, size_t count)
{
    static const char *const starts[] = { "<!doctype html", "<html" };

    while (count > 0 && (*bytes == ' ' || *bytes == '\r' || *bytes == '\n' || *bytes == '\t')) {
        bytes++;
        count--;
    }
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
        if (count >= strlen(starts[i]) && strncasecmp(bytes, starts[i], strlen(starts[i])) == 0)
            return true;
    }
    return false;
}

static size_t on_body(char *bytes, size_t one, size_t count, void *user)
{
    struct hop *hop = user;
    const long status = status_of(hop);

    (void)one;
    came(hop, count);
    if (!carries_file(hop, status)) {
        /* nginx accepts any client or none, and says in a page what it thinks of it. */
        hop->wants_certificate =
            hop->wants_certificate ||
            (status == 400 && memmem(bytes, count, NO_CERT, sizeof NO_CERT - 1));
        hop->drained += count;
        hop->cut = hop->drained > DRAIN_MAX;
        return hop->cut ? 0 : count;
    }
    if (!hop->begun && hop->get->from == 0 && is_page(bytes, count)) {
        hop->stop =
            DU_FAIL(hop->err, DEFUPD_E_INTERCEPTED,
                    "%s: answered with a web page instead of the file: a captive portal, or "
                    "a proxy that wants something",
                    hop->shown);
        return 0;
    }
    hop->stop = begin(hop, status);
    if (hop->stop != DEFUPD_OK)
        return 0;
    hop->get->received += count;
    hop->untold += count;
    hop->stop = named(hop, hop->get->sink->add(hop->get->sink->user, bytes, count, hop->err));
    return hop->stop == DEFUPD_OK ? count : 0;
}

static defupd_code tell(struct hop *hop)
{
    const struct du_tick *tick = &hop->fetch->options.tick;
    const uint64_t bytes = hop->untold;

    hop->untold = 0;
    return tick->fn != NULL ? tick->fn(tick->user, bytes, hop->err) : DEFUPD_OK;
}

/* curl calls this with every piece that arrives and each POLL_MS while it waits, for a name or a
 * connection too. */
static int on_progress(void *user, curl_off_t total, curl_off_t now, curl_off_t up_total,
                       curl_off_t up_now)
{
    struct hop *hop = user;

    (void)total;
    (void)now;
    (void)up_total;
    (void)up_now;
    if (hop->stop != DEFUPD_OK)
        return 1;
    hop->stop = tell(hop);
    if (hop->stop == DEFUPD_OK)
        hop->stop = check_pace(hop);
    return hop->stop != DEFUPD_OK;
}

static long methods_of(const struct du_source *source)
{
    static const struct {
        uint32_t ours;
        unsigned long curls;
    } method[] = { { DEFUPD_PROXY_BASIC, CURLAUTH_BASIC },
                   { DEFUPD_PROXY_DIGEST, CURLAUTH_DIGEST },
                   { DEFUPD_PROXY_NTLM, CURLAUTH_NTLM },
                   { DEFUPD_PROXY_NEGOTIATE, CURLAUTH_NEGOTIATE } };
    uint32_t wanted = source->given != NULL ? source->given->proxy_methods : 0;
    unsigned long methods = 0;

    if (wanted == 0)
        wanted = DEFUPD_PROXY_BASIC | DEFUPD_PROXY_DIGEST;
    for (size_t i = 0; i < sizeof method / sizeof method[0]; i++)
        methods |= (wanted & method[i].ours) != 0 ? method[i].curls : 0;
    return (long)methods;
}

static long at_most(uint64_t value, uint64_t most)
{
    return (long)(value < most ? value : most);
}

defupd_code du_http_prepare(const struct du_fetch *fetch, struct du_source *source,
                            defupd_error *err)
{
    const struct du_fetch_options *options = &fetch->options;
    const uint32_t connect_ms =
        options->connect_timeout_ms != 0 ? options->connect_timeout_ms : 10000;
    const uint32_t alive_s = options->keep_alive_s != 0 ? options->keep_alive_s : 60;
    const uint64_t rate = options->max_bytes_per_s;
    CURLcode first = CURLE_OK, rc;
    CURL *curl;

    if (source->curl == NULL)
        source->curl = curl_easy_init();
    if (source->multi == NULL)
        source->multi = curl_multi_init();
    curl = source->curl;
    if (curl == NULL || source->multi == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for transfers");

#define SET(option, value)                      \
    rc = curl_easy_setopt(curl, option, value); \
    first = first != CURLE_OK ? first : rc
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS); /* where ALPN offers it */
    SET(CURLOPT_FOLLOWLOCATION, 0L); /* each hop is checked and has its own credentials */
    SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    SET(CURLOPT_PROXYAUTH, methods_of(source));
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    SET(CURLOPT_TCP_KEEPIDLE, at_most(alive_s, INT16_MAX));
    SET(CURLOPT_TCP_KEEPINTVL, at_most(alive_s, INT16_MAX));
    /* curl reads up to a hundred pieces before it looks at the rate. */
    SET(CURLOPT_BUFFERSIZE, rate != 0 ? at_most(rate / 100, 65536) : 65536L);
    SET(CURLOPT_MAX_RECV_SPEED_LARGE, (curl_off_t)at_most(rate, INT64_MAX));
    SET(CURLOPT_USERAGENT, options->user_agent != NULL ? options->user_agent : "defupd");
    SET(CURLOPT_CONNECTTIMEOUT_MS, at_most(connect_ms, INT32_MAX));
    SET(CURLOPT_ERRORBUFFER, source->detail);
    SET(CURLOPT_NOPROXY, ""); /* not NULL: curl would ask the environment */
    SET(CURLOPT_RESOLVE, source->addresses);

    SET(CURLOPT_PREREQFUNCTION, on_ready);
    SET(CURLOPT_HEADERFUNCTION, on_header);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_XFERINFOFUNCTION, on_progress);
    SET(CURLOPT_NOPROGRESS, 0L);
#undef SET
    if (first == CURLE_OUT_OF_MEMORY)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for transfers");
    if (first != CURLE_OK)
        return DU_FAIL(err, DEFUPD_E_UNSUPPORTED, "%s cannot do what is needed of it",
                       curl_version());
    return du_tls_prepare(fetch, source, err);
}

/* What curl_easy_perform() does, but callbacks have their say more often than once a second. */
static CURLcode perform(const struct du_source *source)
{
    CURLcode rc = CURLE_OUT_OF_MEMORY;
    const CURLMsg *message;
    CURLMcode ok;
    int running = 1, left;

    if (curl_multi_add_handle(source->multi, source->curl) != CURLM_OK)
        return rc;
    do {
        ok = curl_multi_perform(source->multi, &running);
        if (ok == CURLM_OK && running > 0)
            ok = curl_multi_poll(source->multi, NULL, 0, POLL_MS, NULL);
    } while (ok == CURLM_OK && running > 0);
    message = curl_multi_info_read(source->multi, &left);
    if (ok == CURLM_OK && message != NULL && message->msg == CURLMSG_DONE)
        rc = message->data.result;
    (void)curl_multi_remove_handle(source->multi, source->curl);
    return rc;
}

/* curl asks for MSG_NOSIGNAL where it writes itself, but a TLS library below it may not, and the
 * process is not ours: a SIGPIPE of this thread is blocked and swallowed. */
CURLcode du_http_perform(const struct du_source *source, CURL *alone)
{
    sigset_t pipe_only, before, pending;
    bool was_pending;
    CURLcode rc;
    int number;

    (void)sigemptyset(&pipe_only);
    (void)sigaddset(&pipe_only, SIGPIPE);
    (void)sigemptyset(&pending);
    (void)sigpending(&pending);
    was_pending = sigismember(&pending, SIGPIPE) == 1;
    (void)pthread_sigmask(SIG_BLOCK, &pipe_only, &before);
    rc = alone != NULL ? curl_easy_perform(alone) : perform(source);
    (void)sigpending(&pending);
    if (!was_pending && sigismember(&pending, SIGPIPE) == 1)
        (void)sigwait(&pipe_only, &number);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

/* Where a URL leads when it is the source's own: only there go credentials. */
static const struct du_site *owner_of(const struct du_source *source, const char *url)
{
    if (du_url_same_origin(url, source->site.base))
        return &source->site;
    return source->objects.base != NULL && du_url_same_origin(url, source->objects.base)
               ? &source->objects
               : NULL;
}

/* With a ticket, an empty name asks curl to log in at all. */
static const char *proxy_user_of(const struct du_source *source)
{
    if (source->via == NULL)
        return NULL;
    if (source->via->user == NULL && source->given != NULL &&
        (source->given->proxy_methods & DEFUPD_PROXY_NEGOTIATE) != 0)
        return "";
    return source->via->user;
}

/* Set what differs from request to request. Lists and strings live until the request is over. */
static bool prepare_hop(struct hop *hop, const char *url, const char *range,
                        const struct curl_slist *headers)
{
    struct du_source *source = hop->source;
    const defupd_source *given = source->given;
    const struct du_site *owner = owner_of(source, url);
    const char *token = given != NULL && owner == &source->site ? given->bearer : NULL;
    const uint32_t left_ms = du_fetch_left_ms(hop->fetch);
    CURL *curl = source->curl;
    bool ok = true;

    source->via = du_proxy_for(source, url);
#define SET(option, value) ok = curl_easy_setopt(curl, option, value) == CURLE_OK && ok
    SET(CURLOPT_URL, url);
    SET(CURLOPT_RANGE, range);
    SET(CURLOPT_HTTPHEADER, headers);
    SET(CURLOPT_HTTPAUTH, (long)(token != NULL ? CURLAUTH_BEARER : CURLAUTH_BASIC));
    SET(CURLOPT_XOAUTH2_BEARER, token);
    SET(CURLOPT_USERNAME, owner != NULL ? owner->user : NULL);
    SET(CURLOPT_PASSWORD, owner != NULL ? owner->password : NULL);
    SET(CURLOPT_PROXY, source->via != NULL ? source->via->url : "");
    SET(CURLOPT_PROXYUSERNAME, proxy_user_of(source));
    SET(CURLOPT_PROXYPASSWORD, source->via != NULL ? source->via->password : NULL);
    if (given != NULL && given->client_cert != NULL) {
        SET(CURLOPT_SSLCERT, owner != NULL ? given->client_cert : NULL);
        SET(CURLOPT_SSLKEY, owner != NULL ? given->client_key : NULL);
    }
    SET(CURLOPT_TIMEOUT_MS, left_ms == INT32_MAX ? 0L : (long)left_ms);
    SET(CURLOPT_PREREQDATA, hop);
    SET(CURLOPT_HEADERDATA, hop);
    SET(CURLOPT_WRITEDATA, hop);
    SET(CURLOPT_XFERINFODATA, hop);
#undef SET
    return ok;
}

static bool is_redirect(long status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* A 416 is no failure yet when bytes from before were to be continued. It may say how long the
 * file is; without that, or when it contradicts itself, we start over. */
static void note_refused_range(struct hop *hop)
{
    hop->get->refused_range = true;
    if (hop->answer.unsatisfied && !hop->answer.range_bad)
        hop->get->size = hop->answer.range_size;
}

/* An answer came; it has a status. *next: where a redirect leads, yours. */
static defupd_code judge_status(struct hop *hop, long status, char **next)
{
    struct du_get *get = hop->get;
    char *target = NULL;
    defupd_code code;

    if (carries_file(hop, status))
        return begin(hop, status); /* an empty body has not told the sink */
    if (status == 304 && hop->asked) {
        get->not_modified = true;
        return DEFUPD_OK;
    }
    if (is_redirect(status) &&
        curl_easy_getinfo(hop->source->curl, CURLINFO_REDIRECT_URL, &target) == CURLE_OK &&
        target != NULL) {
        *next = strdup(target);
        return *next != NULL ? DEFUPD_OK : DU_FAIL(hop->err, DEFUPD_E_NOMEM, "no memory for a URL");
    }
    if (status == 416 && get->from > 0)
        note_refused_range(hop);
    if (status == 429 || status == 503)
        get->retry_after_s = du_answer_retry_after(&hop->answer, hop->fetch->sys->now_s());
    if (hop->answer.product != NULL && hop->source->via == NULL)
        return DU_FAIL(hop->err, DEFUPD_E_INTERCEPTED, "%s: HTTP %ld from %s, which stands between",
                       hop->shown, status, hop->answer.product);
    if (hop->wants_certificate)
        return DU_FAIL(hop->err, DEFUPD_E_TLS_CLIENT_CERT,
                       "%s: HTTP %ld: the server wants another client certificate", hop->shown,
                       status);
    code = du_status_code(hop->source, status, hop->answer.by_proxy);
    if (code == DEFUPD_E_PROXY_AUTH || code == DEFUPD_E_PROXY_DOWNLOAD)
        return DU_FAIL(hop->err, code, "%s: through proxy %s: HTTP %ld", hop->shown,
                       hop->source->via->url, status);
    if (get->retry_after_s > 0)
        return DU_FAIL(hop->err, code, "%s: HTTP %ld, try again in %" PRIu32 " s", hop->shown,
                       status, get->retry_after_s);
    return DU_FAIL(hop->err, code, "%s: HTTP %ld", hop->shown, status);
}

static defupd_code judge(struct hop *hop, char **next)
{
    const struct du_source *source = hop->source;
    const long status = status_of(hop);
    const char *detail, *tail;
    long reason = 0;
    defupd_code code;
    int len;

    hop->get->status = status;
    if (hop->stop != DEFUPD_OK)
        return hop->stop;
    /* A status that is not about the file counts, whatever became of its body. */
    if (hop->rc == CURLE_OK || hop->cut || (status != 0 && !carries_file(hop, status)))
        return judge_status(hop, status, next);
    code = du_curl_code(source, hop->rc, hop->ready);
    if (code == DEFUPD_E_NOMEM)
        return DU_FAIL(hop->err, code, "no memory for a transfer");
    detail = du_curl_detail(source, hop->rc);
    if (hop->rc == CURLE_COULDNT_CONNECT) /* curl tells of refused and unreachable alike */
        (void)curl_easy_getinfo(source->curl, CURLINFO_OS_ERRNO, &reason);
    /* "... after 0 ms: Couldn't connect to server" says nothing beside the reason. */
    tail = reason != 0 ? strstr(detail, " after ") : NULL;
    errno = (int)reason;
    len = tail != NULL ? (int)(tail - detail) : (int)strlen(detail);
    if (source->via != NULL && (code == DEFUPD_E_PROXY_AUTH || code == DEFUPD_E_PROXY_CONNECT ||
                                code == DEFUPD_E_PROXY_DOWNLOAD))
        return DU_FAIL_ERRNO(hop->err, code, "%s: through proxy %s: %.*s", hop->shown,
                             source->via->url, len, detail);
    (void)DU_FAIL_ERRNO(hop->err, code, "%s: %.*s", hop->shown, len, detail);
    return code == DEFUPD_E_TLS_VERIFY || code == DEFUPD_E_TLS_PIN
               ? du_tls_explain(source, hop->err)
               : code;
}

/* Failures that a second request at once may well not meet: a status of the certificate that need
 * not be known, a connection from before that a firewall has dropped in silence. */
static bool once_more(struct hop *hop, defupd_code rc)
{
    long made = 1;

    if (rc == DEFUPD_E_TLS_REVOCATION)
        return du_tls_waive(hop->fetch, hop->source, hop->rc);
    return rc == DEFUPD_E_STALLED && hop->header_bytes == 0 &&
           curl_easy_getinfo(hop->source->curl, CURLINFO_NUM_CONNECTS, &made) == CURLE_OK &&
           made == 0;
}

static bool header_value_ok(const char *value)
{
    for (; *value != '\0'; value++) {
        if ((unsigned char)*value < 0x20 || *value == 0x7f)
            return false;
    }
    return true;
}

static void slist_free(struct curl_slist **list)
{
    curl_slist_free_all(*list);
}

/* No memory is a failure; a value that cannot be a header's is left away, and *added stays. */
static bool add_header(struct curl_slist **list, const char *name, const char *value, bool *added)
{
    struct curl_slist *longer;
    char line[256];

    if (value == NULL || value[0] == '\0' || !header_value_ok(value) ||
        (size_t)snprintf(line, sizeof line, "%s: %s", name, value) >= sizeof line)
        return true;
    longer = curl_slist_append(*list, line);
    if (longer == NULL)
        return false;
    *list = longer;
    *added = true;
    return true;
}

/* What is known after a request beside how it ended. */
struct outcome {
    char *next; /* the target of a redirect, yours; else NULL */
    bool again; /* the failure is no reason yet: make the same request again */
};

static defupd_code one_hop(struct du_fetch *fetch, struct du_get *get, const char *url,
                           const char *shown, struct outcome *out, defupd_error *err)
{
    __attribute__((cleanup(slist_free))) struct curl_slist *headers = NULL;
    struct hop hop = {
        .fetch = fetch, .source = get->source, .get = get, .shown = shown, .err = err
    };
    const uint64_t start_ms = fetch->sys->monotonic_ms();
    bool conditional = false;
    char range[32];
    defupd_code rc;

    du_answer_init(&hop.answer);
    if (du_fetch_left_ms(fetch) == 0)
        return DU_FAIL(err, DEFUPD_E_TIMEOUT,
                       "%s: no time left of %" PRIu32 " ms for all transfers", shown,
                       fetch->options.total_timeout_ms);
    if (get->source->curl == NULL || get->source->multi == NULL)
        DU_TRY(du_http_prepare(fetch, get->source, err));
    get->source->detail[0] = '\0';
    (void)snprintf(range, sizeof range, "%" PRIu64 "-", get->from);
    if (!add_header(&headers, "If-None-Match", get->etag, &hop.asked) ||
        (get->from > 0 && !add_header(&headers, "If-Range", get->if_range, &conditional)) ||
        !prepare_hop(&hop, url, get->from > 0 ? range : NULL, headers))
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a transfer");

    if (fetch->probe != NULL)
        du_probe_arm(fetch, get->source);
    hop.rc = du_http_perform(get->source, NULL);
    if (fetch->probe != NULL)
        du_probe_note(fetch, get->source, hop.ready, hop.answer.date);
    rc = judge(&hop, &out->next);
    out->again = once_more(&hop, rc);

    fetch->spent_ms += fetch->sys->monotonic_ms() - start_ms;
    du_fetch_log(fetch, DEFUPD_LEVEL_DEBUG,
                 "GET %s from byte %" PRIu64 ": HTTP %ld, %" PRIu64 " ms", shown, get->from,
                 get->status, fetch->sys->monotonic_ms() - start_ms);
    memcpy(get->etag_out, hop.answer.etag, sizeof get->etag_out);
    if (hop.untold > 0 && (rc == DEFUPD_OK || du_code_next_source(rc))) {
        const defupd_code told = tell(&hop);
        if (told != DEFUPD_OK)
            return told;
    }
    return rc;
}

defupd_code du_get_http(struct du_fetch *fetch, struct du_get *get, defupd_error *err)
{
    DU_AUTO_FREE char *url = du_url_join(get->site->base, get->path);
    DU_AUTO_FREE char *shown = du_strdup(url);

    if (shown == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a URL");
    for (int redirects = 0;;) {
        struct outcome out = { NULL, false };
        const defupd_code rc = one_hop(fetch, get, url, shown, &out, err);
        DU_AUTO_FREE char *next = out.next;
        DU_AUTO_FREE char *next_shown = NULL;
        const char *why;

        if (rc != DEFUPD_OK && out.again)
            continue;
        if (rc != DEFUPD_OK || next == NULL)
            return rc;
        if ((next_shown = du_url_shown(next)) == NULL)
            return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a URL");
        if (redirects++ == DU_FETCH_REDIRECTS_MAX)
            return DU_FAIL(err, DEFUPD_E_REDIRECT, "%s: more than %d redirects, the last to %s",
                           shown, DU_FETCH_REDIRECTS_MAX, next_shown);
        if ((why = du_redirect_why_bad(url, next)) != NULL)
            return DU_FAIL(err, DEFUPD_E_REDIRECT, "%s: redirect to %s: %s", shown, next_shown,
                           why);
        free(url);
        url = du_take(&next);
        free(shown);
        shown = du_take(&next_shown);
    }
}
