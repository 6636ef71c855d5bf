/* SPDX-License-Identifier: Apache-2.0 */
/* From curl's failures and HTTP's statuses to our codes. */
#include <string.h>

#include "fetch/fetch_priv.h"

/* A table, not a switch: CURLcode has a hundred values, most for other protocols, and grows. */
static const struct {
    CURLcode curl;
    defupd_code direct, proxied;
} codes[] = {
    { CURLE_COULDNT_RESOLVE_HOST, DEFUPD_E_RESOLVE, DEFUPD_E_RESOLVE },
    { CURLE_COULDNT_RESOLVE_PROXY, DEFUPD_E_PROXY_CONNECT, DEFUPD_E_PROXY_CONNECT },
    { CURLE_COULDNT_CONNECT, DEFUPD_E_CONNECT, DEFUPD_E_PROXY_CONNECT },
    { CURLE_AUTH_ERROR, DEFUPD_E_FORBIDDEN, DEFUPD_E_PROXY_AUTH },
    { CURLE_LOGIN_DENIED, DEFUPD_E_FORBIDDEN, DEFUPD_E_PROXY_AUTH },

    { CURLE_SSL_CONNECT_ERROR, DEFUPD_E_TLS, DEFUPD_E_TLS },
    { CURLE_SSL_CIPHER, DEFUPD_E_TLS, DEFUPD_E_TLS },
    { CURLE_SSL_ENGINE_NOTFOUND, DEFUPD_E_TLS, DEFUPD_E_TLS },
    { CURLE_SSL_ENGINE_SETFAILED, DEFUPD_E_TLS, DEFUPD_E_TLS },
    { CURLE_SSL_ENGINE_INITFAILED, DEFUPD_E_TLS, DEFUPD_E_TLS },
    { CURLE_SSL_SHUTDOWN_FAILED, DEFUPD_E_TLS, DEFUPD_E_TLS },
    { CURLE_USE_SSL_FAILED, DEFUPD_E_TLS, DEFUPD_E_TLS },
    { CURLE_PEER_FAILED_VERIFICATION, DEFUPD_E_TLS_VERIFY, DEFUPD_E_TLS_VERIFY },
    { CURLE_SSL_ISSUER_ERROR, DEFUPD_E_TLS_VERIFY, DEFUPD_E_TLS_VERIFY },
    { CURLE_SSL_CACERT_BADFILE, DEFUPD_E_TLS_VERIFY, DEFUPD_E_TLS_VERIFY },
    { CURLE_SSL_INVALIDCERTSTATUS, DEFUPD_E_TLS_REVOCATION, DEFUPD_E_TLS_REVOCATION },
    { CURLE_SSL_CRL_BADFILE, DEFUPD_E_TLS_REVOCATION, DEFUPD_E_TLS_REVOCATION },
    { CURLE_SSL_PINNEDPUBKEYNOTMATCH, DEFUPD_E_TLS_PIN, DEFUPD_E_TLS_PIN },
    { CURLE_SSL_CERTPROBLEM, DEFUPD_E_TLS_CLIENT_CERT, DEFUPD_E_TLS_CLIENT_CERT },
    { CURLE_SSL_CLIENTCERT, DEFUPD_E_TLS_CLIENT_CERT, DEFUPD_E_TLS_CLIENT_CERT },

    { CURLE_GOT_NOTHING, DEFUPD_E_INTERRUPTED, DEFUPD_E_PROXY_DOWNLOAD },
    { CURLE_PARTIAL_FILE, DEFUPD_E_INTERRUPTED, DEFUPD_E_PROXY_DOWNLOAD },
    { CURLE_RECV_ERROR, DEFUPD_E_INTERRUPTED, DEFUPD_E_PROXY_DOWNLOAD },
    { CURLE_SEND_ERROR, DEFUPD_E_INTERRUPTED, DEFUPD_E_PROXY_DOWNLOAD },
    { CURLE_HTTP2, DEFUPD_E_INTERRUPTED, DEFUPD_E_PROXY_DOWNLOAD },
    { CURLE_HTTP2_STREAM, DEFUPD_E_INTERRUPTED, DEFUPD_E_PROXY_DOWNLOAD },

    /* Something answers, but it does not speak HTTP. */
    { CURLE_UNSUPPORTED_PROTOCOL, DEFUPD_E_HTTP_STATUS, DEFUPD_E_PROXY_DOWNLOAD },
    { CURLE_WEIRD_SERVER_REPLY, DEFUPD_E_HTTP_STATUS, DEFUPD_E_PROXY_DOWNLOAD },
    { CURLE_BAD_CONTENT_ENCODING, DEFUPD_E_HTTP_STATUS, DEFUPD_E_PROXY_DOWNLOAD },
    { CURLE_URL_MALFORMAT, DEFUPD_E_HTTP_STATUS, DEFUPD_E_HTTP_STATUS },
};

/* CURLINFO_CONNECT_TIME_T does not tell: with a tunnel it counts only when that stands too. */
static bool reached_proxy(const struct du_source *source)
{
    long port = 0, sent = 0;

    (void)curl_easy_getinfo(source->curl, CURLINFO_PRIMARY_PORT, &port);
    (void)curl_easy_getinfo(source->curl, CURLINFO_REQUEST_SIZE, &sent);
    return port > 0 || sent > 0;
}

/* How far had it come when the time for connecting was over? */
static defupd_code timeout_code(const struct du_source *source, bool ready)
{
    curl_off_t resolved_us = 0;

    if (ready)
        return DEFUPD_E_TIMEOUT;
    if (source->via != NULL)
        return reached_proxy(source) ? DEFUPD_E_PROXY_DOWNLOAD : DEFUPD_E_PROXY_CONNECT;
    (void)curl_easy_getinfo(source->curl, CURLINFO_NAMELOOKUP_TIME_T, &resolved_us);
    return resolved_us > 0 ? DEFUPD_E_TIMEOUT : DEFUPD_E_RESOLVE;
}

/* What a status means that the proxy itself made up. tinyproxy before 1.11.3 refuses a wrong
 * password with 401 where RFC 9110 section 15.5.8 wants 407. */
static defupd_code from_proxy(long status)
{
    return status == 407 || status == 401 ? DEFUPD_E_PROXY_AUTH : DEFUPD_E_PROXY_DOWNLOAD;
}

/* What a SOCKS proxy, or curl on its behalf, says (RFC 1928 section 6, RFC 1929). */
static defupd_code socks_code(const struct du_source *source)
{
    long why = CURLPX_OK;

    (void)curl_easy_getinfo(source->curl, CURLINFO_PROXY_ERROR, &why);
    if (why == CURLPX_RESOLVE_HOST)
        return DEFUPD_E_RESOLVE;
    return why == CURLPX_USER_REJECTED || why == CURLPX_NO_AUTH || why == CURLPX_GSSAPI
               ? DEFUPD_E_PROXY_AUTH
               : DEFUPD_E_PROXY_DOWNLOAD;
}

defupd_code du_curl_code(const struct du_source *source, CURLcode rc, bool ready)
{
    const defupd_code about_tls = du_tls_code(source->detail, rc);
    long connect_status = 0;

    if (about_tls != DEFUPD_OK)
        return about_tls;
    if (rc == CURLE_PROXY)
        return socks_code(source);

    if (curl_easy_getinfo(source->curl, CURLINFO_HTTP_CONNECTCODE, &connect_status) == CURLE_OK &&
        connect_status != 0 && connect_status / 100 != 2)
        return from_proxy(connect_status);
    if (rc == CURLE_OPERATION_TIMEDOUT)
        return timeout_code(source, ready);
    /* Before libcurl 8.6 a header line beyond its limit looks like this too. Were it taken for a
     * lack of memory, one server could keep us from all others. */
    if (rc == CURLE_OUT_OF_MEMORY)
        return ready ? DEFUPD_E_HTTP_STATUS : DEFUPD_E_NOMEM;
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        if (codes[i].curl == rc)
            return source->via != NULL ? codes[i].proxied : codes[i].direct;
    }
    return source->via != NULL ? DEFUPD_E_PROXY_DOWNLOAD : DEFUPD_E_INTERRUPTED;
}

defupd_code du_status_code(const struct du_source *source, long status, bool by_proxy)
{
    if (source->via != NULL && by_proxy)
        return from_proxy(status);
    switch (status) {
    case 401:
    case 403: return DEFUPD_E_FORBIDDEN;
    case 404:
    case 410: return DEFUPD_E_NOT_FOUND;
    case 407: return source->via != NULL ? DEFUPD_E_PROXY_AUTH : DEFUPD_E_HTTP_STATUS;
    case 429: return DEFUPD_E_RATE_LIMITED;
    case 503: return DEFUPD_E_MAINTENANCE;
    case 511: return DEFUPD_E_INTERCEPTED; /* RFC 6585 section 6 */
    default: break;
    }
    /* A proxy that cannot get on says so with a status of its own (RFC 9110 sections 15.6.3 and
     * 15.6.5; some use 500). */
    if (source->via != NULL && status >= 500)
        return DEFUPD_E_PROXY_DOWNLOAD;
    return DEFUPD_E_HTTP_STATUS;
}

static bool repeats(const char *text, const char *secret)
{
    return secret != NULL && secret[0] != '\0' && strstr(text, secret) != NULL;
}

const char *du_curl_detail(const struct du_source *source, CURLcode rc)
{
    const char *text = source->detail;

    if (text[0] == '\0' || repeats(text, source->site.password) ||
        repeats(text, source->objects.password) ||
        (source->via != NULL && repeats(text, source->via->password)) ||
        (source->given != NULL && repeats(text, source->given->bearer)))
        return curl_easy_strerror(rc);
    return text;
}
