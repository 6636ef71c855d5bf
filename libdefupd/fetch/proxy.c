/* SPDX-License-Identifier: Apache-2.0 */
/* Which proxy is for which URL. Decided here, not by curl: failures are told by whether a proxy was
 * in the way, and curl does not say whether it took one. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "fetch/fetch_priv.h"

#define HOST_TEXT 256

void du_proxy_free(struct du_proxy *proxy)
{
    free(proxy->url);
    free(proxy->user);
    du_text_wipe(proxy->password);
    *proxy = (struct du_proxy){ 0 };
}

/* As curl reads them: HTTP_PROXY is set by web servers from a header of the request (CVE-2016-5385)
 * and does not count. */
static const char *from_environment(const char *lower, const char *upper)
{
    const char *value = getenv(lower);

    if (value == NULL && upper != NULL)
        value = getenv(upper);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

static defupd_code read_one(struct du_proxy *proxy, const char *url, defupd_error *err)
{
    DU_AUTO_FREE char *whole = NULL;

    if (strstr(url, "://") != NULL)
        return du_proxy_parse(proxy, url, err);
    if (asprintf(&whole, "http://%s", url) < 0) {
        whole = NULL;
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a URL");
    }
    return du_proxy_parse(proxy, whole, err);
}

static defupd_code read_environment(struct du_source *source, defupd_error *err)
{
    const char *all = from_environment("all_proxy", "ALL_PROXY");
    const char *plain = from_environment("http_proxy", NULL);
    const char *tls = from_environment("https_proxy", "HTTPS_PROXY");
    const char *none = from_environment("no_proxy", "NO_PROXY");

    plain = plain != NULL ? plain : all;
    tls = tls != NULL ? tls : all;
    if (plain != NULL)
        DU_TRY(read_one(&source->proxy[0], plain, err));
    if (tls != NULL)
        DU_TRY(read_one(&source->proxy[1], tls, err));
    if (source->no_proxy == NULL && none != NULL && (source->no_proxy = strdup(none)) == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a proxy");
    return DEFUPD_OK;
}

defupd_code du_proxy_read(const struct du_fetch *fetch, struct du_source *source, defupd_error *err)
{
    const defupd_source *given = source->given;
    const char *url = fetch->options.proxy;

    if (given != NULL && given->proxy != NULL)
        url = given->proxy[0] != '\0' ? given->proxy : NULL;
    if (given != NULL && given->no_proxy != NULL &&
        (source->no_proxy = strdup(given->no_proxy)) == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a proxy");
    if (url == NULL)
        return DEFUPD_OK;
    if (strcmp(url, "env") == 0) {
        DU_TRY(read_environment(source, err));
    } else {
        DU_TRY(du_proxy_parse(&source->proxy[0], url, err));
        DU_TRY(du_proxy_parse(&source->proxy[1], url, err));
    }
    for (size_t i = 0; given != NULL && i < 2; i++) {
        struct du_proxy *proxy = &source->proxy[i];
        if (proxy->url != NULL)
            DU_TRY(du_auth_take(&proxy->user, &proxy->password, given->proxy_auth, err));
    }
    return DEFUPD_OK;
}

/* Is an address in "ADDRESS/BITS", or the same as ADDRESS? */
static bool in_network(const char *host, const char *network)
{
    const char *slash = strchr(network, '/');
    const size_t length = slash != NULL ? (size_t)(slash - network) : strlen(network);
    const int family = strchr(host, ':') != NULL ? AF_INET6 : AF_INET;
    const uint64_t all = family == AF_INET6 ? 128 : 32;
    unsigned char a[16], b[16];
    char base[HOST_TEXT];
    uint64_t bits = all;

    if (length >= sizeof base || (slash != NULL && !du_parse_u64(slash + 1, all, &bits)))
        return false;
    memcpy(base, network, length);
    base[length] = '\0';
    if (inet_pton(family, host, a) != 1 || inet_pton(family, base, b) != 1)
        return false;
    if (memcmp(a, b, bits / 8) != 0)
        return false;
    return bits % 8 == 0 || ((a[bits / 8] ^ b[bits / 8]) >> (8 - bits % 8)) == 0;
}

/* "example.org" and ".example.org": that host and all below it. */
static bool in_domain(const char *host, const char *domain)
{
    const size_t length = strlen(host);
    size_t suffix;

    while (*domain == '.')
        domain++;
    suffix = strlen(domain);
    if (suffix == 0 || suffix > length || strcasecmp(host + length - suffix, domain) != 0)
        return false;
    return suffix == length || host[length - suffix - 1] == '.';
}

static bool is_exempt(const char *list, const char *host)
{
    char entry[HOST_TEXT];

    while (list != NULL && *list != '\0') {
        const size_t length = strcspn(list, ", \t\n");

        if (length > 0 && length < sizeof entry) {
            memcpy(entry, list, length);
            entry[length] = '\0';
            if (strcmp(entry, "*") == 0 || in_domain(host, entry) || in_network(host, entry))
                return true;
        }
        list += length;
        list += strspn(list, ", \t\n");
    }
    return false;
}

const struct du_proxy *du_proxy_for(const struct du_source *source, const char *url)
{
    const struct du_proxy *proxy = &source->proxy[strncasecmp(url, "https:", 6) == 0 ? 1 : 0];
    char host[HOST_TEXT];
    uint16_t port;

    if (proxy->url == NULL)
        return NULL;
    if (du_url_host(url, host, sizeof host, &port) && is_exempt(source->no_proxy, host))
        return NULL;
    return proxy;
}
