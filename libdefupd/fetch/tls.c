/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is asked of a server's certificate, and whose it was when it was refused.
 *
 * curl has one switch for each kind of revocation status, which takes "not known" for "refused".
 * The softer wishes are made of it by asking again without what is missing (docs/adr/0015).
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "fetch/fetch_priv.h"

#define LIST_BYTES_MAX ((size_t)64 << 20)
#define PIECE 65536

static uint32_t revocation_of(const struct du_source *source)
{
    return source->given != NULL ? source->given->revocation : DEFUPD_REVOCATION_NONE;
}

defupd_code du_tls_prepare(const struct du_fetch *fetch, struct du_source *source,
                           defupd_error *err)
{
    const defupd_source *given = source->given;
    const bool status = revocation_of(source) != DEFUPD_REVOCATION_NONE;
    const char *ca =
        given != NULL && given->ca_file != NULL ? given->ca_file : fetch->options.ca_file;
    const char *list = given != NULL ? given->crl_file : NULL;
    const bool list_waived = (source->waived & DU_WAIVE_CRL) != 0;
    CURL *curl = source->curl;
    CURLcode first = CURLE_OK, rc;

#define SET(option, value)                          \
    do {                                            \
        rc = curl_easy_setopt(curl, option, value); \
        first = first != CURLE_OK ? first : rc;     \
    } while (0)
    SET(CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_PROXY_SSLVERSION, CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    if (ca != NULL) {
        /* Instead of the system's CAs, so their folder must go too. */
        SET(CURLOPT_CAINFO, ca);
        SET(CURLOPT_CAPATH, NULL);
        SET(CURLOPT_PROXY_CAINFO, ca);
        SET(CURLOPT_PROXY_CAPATH, NULL);
    }
    if (given != NULL && given->pinned_key != NULL)
        SET(CURLOPT_PINNEDPUBLICKEY, given->pinned_key);
    if (status) {
        SET(CURLOPT_SSL_VERIFYSTATUS, (source->waived & DU_WAIVE_STAPLE) == 0 ? 1L : 0L);
        SET(CURLOPT_SSL_SESSIONID_CACHE, 0L); /* a resumed session has no certificate to look at */
    }
    if (list != NULL) {
        SET(CURLOPT_CRLFILE, list_waived ? NULL : list);
        SET(CURLOPT_CERTINFO, list_waived ? 1L : 0L);
    }
#undef SET
    if (first == CURLE_OUT_OF_MEMORY)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for transfers");
    return first == CURLE_OK ? DEFUPD_OK
                             : DU_FAIL(err, DEFUPD_E_UNSUPPORTED,
                                       "%s cannot do what is asked of TLS", curl_version());
}

static bool says(const char *detail, const char *words)
{
    return strstr(detail, words) != NULL;
}

defupd_code du_tls_code(const char *detail, CURLcode rc)
{
    switch ((int)rc) {
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_SSL_CRL_BADFILE:
    case CURLE_PEER_FAILED_VERIFICATION:
        if (says(detail, "revoked") || says(detail, "revocation reason"))
            return DEFUPD_E_TLS_REVOKED;
        if (rc != CURLE_PEER_FAILED_VERIFICATION || says(detail, "CRL"))
            return DEFUPD_E_TLS_REVOCATION;
        if (says(detail, "expired") || says(detail, "not yet valid"))
            return DEFUPD_E_TLS_EXPIRED;
        return says(detail, "subject name") ? DEFUPD_E_TLS_NAME : DEFUPD_E_TLS_VERIFY;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
        /* The server's word about ours; in TLS 1.3 it comes after the handshake. */
        if (says(detail, "alert") && (says(detail, "certificate") || says(detail, "unknown ca")))
            return DEFUPD_E_TLS_CLIENT_CERT;
        return DEFUPD_OK;
    default: return DEFUPD_OK;
    }
}

bool du_tls_waive(const struct du_fetch *fetch, struct du_source *source, CURLcode rc)
{
    const bool staple = rc == CURLE_SSL_INVALIDCERTSTATUS;
    const unsigned what = staple ? DU_WAIVE_STAPLE : DU_WAIVE_CRL;
    defupd_error ignored = { 0 };

    /* A list that is good says what a staple would say. */
    if (revocation_of(source) == DEFUPD_REVOCATION_HARD &&
        (!staple || source->given->crl_file == NULL))
        return false;
    if ((source->waived & what) != 0)
        return false;
    source->waived |= what;
    du_fetch_log(fetch, DEFUPD_LEVEL_INFO, "%s: revocation status is not known, and accepted: %s",
                 source->site.base, source->detail);
    return du_tls_prepare(fetch, source, &ignored) == DEFUPD_OK;
}

static defupd_code read_list(const struct du_sys *sys, const char *name, struct du_buf *out,
                             defupd_error *err)
{
    DU_AUTO_FD fd = sys->openat(AT_FDCWD, name, O_RDONLY | O_NONBLOCK, 0);

    while (fd >= 0) {
        ssize_t got;

        DU_TRY(du_buf_reserve(out, PIECE, err));
        got = sys->read(fd, out->data + out->len, PIECE);
        if (got <= 0)
            break;
        out->len += (size_t)got;
    }
    return DEFUPD_OK;
}

defupd_code du_tls_check_list(const struct du_fetch *fetch, const struct du_source *source,
                              const char *shown, defupd_error *err)
{
    DU_AUTO_BUF lists = DU_BUF(LIST_BYTES_MAX);
    struct curl_certinfo *chain = NULL;

    if ((source->waived & DU_WAIVE_CRL) == 0 ||
        curl_easy_getinfo(source->curl, CURLINFO_CERTINFO, &chain) != CURLE_OK || chain == NULL ||
        chain->num_of_certs == 0)
        return DEFUPD_OK;
    DU_TRY(read_list(fetch->sys, source->given->crl_file, &lists, err));
    for (int i = 0; i < chain->num_of_certs; i++) {
        for (const struct curl_slist *line = chain->certinfo[i]; line != NULL; line = line->next) {
            if (strncmp(line->data, "Cert:", 5) == 0 &&
                du_crl_has(du_buf_bytes(&lists), line->data + 5))
                return DU_FAIL(err, DEFUPD_E_TLS_REVOKED, "%s: %s lists the certificate as revoked",
                               shown, source->given->crl_file);
        }
    }
    return DEFUPD_OK;
}

/* --- whose certificate it was --- */

const char *du_product_in(const char *text)
{
    /* As they write themselves as issuers of certificates, or in Server. One text, each name ended
     * by its NUL: a table of pointers would be larger than what it points to. */
    static const char known[] =
        "Zscaler\0Blue Coat\0BlueCoat\0Fortinet\0FortiGate\0Palo Alto\0Netskope\0Forcepoint\0"
        "Websense\0McAfee Web\0Skyhigh\0Sophos\0Barracuda\0WatchGuard\0SonicWall\0Check Point\0"
        "Cisco Umbrella\0Smoothwall\0Kaspersky\0Avast\0Bitdefender\0ESET SSL\0AdGuard\0mitmproxy\0"
        "PortSwigger\0Fiddler\0Charles Proxy\0";

    for (const char *name = known; *name != '\0'; name += strlen(name) + 1) {
        if (strcasestr(text, name) != NULL)
            return name;
    }
    return NULL;
}

const char *du_certificate_field(CURL *curl, const char *name)
{
    const size_t length = strlen(name);
    struct curl_certinfo *chain = NULL;

    if (curl_easy_getinfo(curl, CURLINFO_CERTINFO, &chain) != CURLE_OK || chain == NULL ||
        chain->num_of_certs == 0)
        return "";
    for (const struct curl_slist *line = chain->certinfo[0]; line != NULL; line = line->next) {
        if (strncmp(line->data, name, length) == 0 && line->data[length] == ':')
            return line->data + length + 1;
    }
    return "";
}

static void easy_free(CURL **curl)
{
    curl_easy_cleanup(*curl);
}

defupd_code du_tls_explain(const struct du_source *source, defupd_error *err)
{
    __attribute__((cleanup(easy_free))) CURL *curl = curl_easy_duphandle(source->curl);
    const defupd_error first = *err;
    const char *issuer, *product;
    bool ok = curl != NULL;

#define SET(option, value) ok = ok && curl_easy_setopt(curl, option, value) == CURLE_OK
    SET(CURLOPT_CONNECT_ONLY, 1L); /* so nothing is said to whoever answers */
    SET(CURLOPT_SSL_VERIFYPEER, 0L);
    SET(CURLOPT_SSL_VERIFYHOST, 0L);
    SET(CURLOPT_PINNEDPUBLICKEY, NULL);
    SET(CURLOPT_SSLCERT, NULL);
    SET(CURLOPT_SSLKEY, NULL);
    SET(CURLOPT_ERRORBUFFER, NULL);
    SET(CURLOPT_VERBOSE, 0L);
    SET(CURLOPT_RESOLVE, source->addresses);
    SET(CURLOPT_CERTINFO, 1L);
    if (source->given != NULL && source->given->crl_file != NULL)
        SET(CURLOPT_CRLFILE, NULL);
    if (revocation_of(source) != DEFUPD_REVOCATION_NONE)
        SET(CURLOPT_SSL_VERIFYSTATUS, 0L);
#undef SET
    if (!ok || du_http_perform(source, curl) != CURLE_OK)
        return first.code;
    issuer = du_certificate_field(curl, "Issuer");
    product = du_product_in(issuer);
    if (product != NULL)
        return DU_FAIL(err, DEFUPD_E_INTERCEPTED,
                       "%s; the connection is intercepted (%s): certificate issued by \"%.200s\"",
                       first.message, product, issuer);
    if (issuer[0] != '\0')
        return DU_FAIL(err, first.code, "%s; the certificate was issued by \"%.200s\"",
                       first.message, issuer);
    return first.code;
}
