/* SPDX-License-Identifier: Apache-2.0 */
/* One ordinary request with eyes open: what came of each step of it. */
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <arpa/inet.h>

#include "fetch/fetch_priv.h"

static void free_info(struct addrinfo **info)
{
    if (*info != NULL)
        freeaddrinfo(*info);
}

/* All addresses, of which curl tries some. */
static defupd_code resolve(const struct du_fetch *fetch, const char *host, struct du_probe *probe,
                           defupd_error *err)
{
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG };
    __attribute__((cleanup(free_info))) struct addrinfo *info = NULL;
    const uint64_t start_ms = fetch->sys->monotonic_ms();
    const int rc = getaddrinfo(host, NULL, &hints, &info);
    size_t used = 0;

    probe->resolve_ms = fetch->sys->monotonic_ms() - start_ms;
    if (rc != 0)
        return DU_FAIL(err, rc == EAI_MEMORY ? DEFUPD_E_NOMEM : DEFUPD_E_RESOLVE, "%s: %s", host,
                       gai_strerror(rc));
    for (const struct addrinfo *at = info; at != NULL; at = at->ai_next) {
        const size_t left = sizeof probe->addresses - used;
        char text[NI_MAXHOST];

        if (getnameinfo(at->ai_addr, at->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST) !=
                0 ||
            strlen(text) + 2 > left)
            continue;
        used += (size_t)snprintf(probe->addresses + used, left, "%s%s", used > 0 ? " " : "", text);
    }
    return DEFUPD_OK;
}

/* What the source's settings say of the host, "ADDRESS,ADDRESS"; NULL: nothing. Borrowed. */
static const char *fixed_for(const struct du_source *source, const char *host, uint16_t port)
{
    char start[300];
    const int length = snprintf(start, sizeof start, "%s:%u:", host, port);

    for (const struct curl_slist *at = source->addresses; at != NULL; at = at->next) {
        if (strncasecmp(at->data, start, (size_t)length) == 0)
            return at->data + length;
    }
    return NULL;
}

/* curl tells the version of TLS by its log alone. */
static int on_debug(CURL *curl, curl_infotype type, char *text, size_t count, void *user)
{
    static const char start[] = "SSL connection using ";
    struct du_probe *probe = user;

    (void)curl;
    if (type == CURLINFO_TEXT && count > sizeof start && memcmp(text, start, sizeof start - 1) == 0)
        (void)snprintf(probe->tls, sizeof probe->tls, "%.*s",
                       (int)strcspn(text + sizeof start - 1, " \r\n"), text + sizeof start - 1);
    return 0;
}

void du_probe_arm(const struct du_fetch *fetch, const struct du_source *source)
{
    (void)curl_easy_setopt(source->curl, CURLOPT_VERBOSE, 1L);
    (void)curl_easy_setopt(source->curl, CURLOPT_DEBUGFUNCTION, on_debug);
    (void)curl_easy_setopt(source->curl, CURLOPT_DEBUGDATA, fetch->probe);
    (void)curl_easy_setopt(source->curl, CURLOPT_CERTINFO, 1L);
}

static uint64_t ms_of(const struct du_source *source, CURLINFO what)
{
    curl_off_t us = 0;

    return curl_easy_getinfo(source->curl, what, &us) == CURLE_OK ? (uint64_t)us / 1000 : 0;
}

static void take(char *out, size_t size, const char *text)
{
    if (text[0] != '\0')
        (void)snprintf(out, size, "%s", text);
}

void du_probe_note(const struct du_fetch *fetch, const struct du_source *source, bool ready,
                   int64_t date)
{
    const uint64_t looked_ms = ms_of(source, CURLINFO_NAMELOOKUP_TIME_T);
    const uint64_t connected_ms = ms_of(source, CURLINFO_CONNECT_TIME_T);
    const uint64_t secured_ms = ms_of(source, CURLINFO_APPCONNECT_TIME_T);
    const uint64_t sent_ms = ms_of(source, CURLINFO_PRETRANSFER_TIME_T);
    const uint64_t total_ms = ms_of(source, CURLINFO_TOTAL_TIME_T);
    struct du_probe *probe = fetch->probe;
    curl_off_t connected_us = 0;
    char *ip = NULL;
    long port = 0;

    (void)curl_easy_getinfo(source->curl, CURLINFO_CONNECT_TIME_T, &connected_us);
    (void)curl_easy_getinfo(source->curl, CURLINFO_PRIMARY_IP, &ip);
    (void)curl_easy_getinfo(source->curl, CURLINFO_PRIMARY_PORT, &port);
    probe->connected = connected_us > 0;
    probe->ready = ready;
    probe->proxy = source->via != NULL ? source->via->url : NULL;
    probe->connect_ms = connected_ms > looked_ms ? connected_ms - looked_ms : 0;
    probe->tls_ms = secured_ms > connected_ms ? secured_ms - connected_ms : 0;
    probe->http_ms = ready && total_ms > sent_ms ? total_ms - sent_ms : 0;
    probe->total_ms = total_ms;
    probe->waived = source->waived;
    if (date >= 0)
        probe->date = date;
    if (ip != NULL && ip[0] != '\0')
        (void)snprintf(probe->peer, sizeof probe->peer,
                       strchr(ip, ':') != NULL ? "[%s]:%ld" : "%s:%ld", ip, port);
    take(probe->subject, sizeof probe->subject, du_certificate_field(source->curl, "Subject"));
    take(probe->issuer, sizeof probe->issuer, du_certificate_field(source->curl, "Issuer"));
    take(probe->expires, sizeof probe->expires, du_certificate_field(source->curl, "Expire date"));
}

defupd_code du_fetch_probe(struct du_fetch *fetch, size_t source, struct du_fetch_file *file,
                           struct du_buf *body, struct du_probe *probe, defupd_error *err)
{
    const struct du_source *from = &fetch->source[source];
    const char *fixed;
    char host[256];
    uint16_t port;
    defupd_code rc = DEFUPD_OK;

    *probe = (struct du_probe){ .date = -1 };
    probe->local = from->site.dir != NULL;
    probe->secure = strncmp(from->site.base, "https:", 6) == 0;
    probe->proxied = !probe->local && du_proxy_for(from, from->site.base) != NULL;
    if (!probe->local && !probe->proxied &&
        du_url_host(from->site.base, host, sizeof host, &port)) {
        fixed = fixed_for(from, host, port);
        if (fixed != NULL)
            (void)snprintf(probe->addresses, sizeof probe->addresses, "%s (fixed)", fixed);
        else
            rc = resolve(fetch, host, probe, err);
    }
    if (rc != DEFUPD_OK)
        return du_err_prefix(err, "%s", from->site.base);
    fetch->probe = probe;
    rc = du_fetch_memory(fetch, source, file, body, err);
    fetch->probe = NULL;
    return rc;
}
