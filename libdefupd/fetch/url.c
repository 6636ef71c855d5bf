/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "fetch/fetch_priv.h"

static void url_free(CURLU **url)
{
    curl_url_cleanup(*url);
}
#define AUTO_URL __attribute__((cleanup(url_free))) CURLU

static void text_free(char **text)
{
    curl_free(*text);
}
#define AUTO_TEXT __attribute__((cleanup(text_free))) char

/* A part of the URL, NULL when it has none. Owned by curl. */
static char *part(CURLU *url, CURLUPart what, unsigned flags)
{
    char *text = NULL;

    return curl_url_get(url, what, &text, flags) == CURLUE_OK ? text : NULL;
}

/* Credentials are found by their '@' wherever it stands: what could not be parsed may hold
 * unencoded ones. */
static char *shown_by_force(const char *url)
{
    char *shown = strdup(url);
    char *rest, *at;

    if (shown == NULL)
        return NULL;
    rest = strstr(shown, "://");
    rest = rest != NULL ? rest + 3 : shown;
    at = strrchr(rest, '@');
    if (at != NULL)
        memmove(rest, at + 1, strlen(at + 1) + 1);
    rest[strcspn(rest, "?#")] = '\0';
    return shown;
}

char *du_url_shown(const char *text)
{
    AUTO_URL *url = curl_url();
    AUTO_TEXT *shown = NULL;

    if (url == NULL)
        return NULL;
    if (curl_url_set(url, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK ||
        curl_url_set(url, CURLUPART_USER, NULL, 0) != CURLUE_OK ||
        curl_url_set(url, CURLUPART_PASSWORD, NULL, 0) != CURLUE_OK ||
        curl_url_set(url, CURLUPART_OPTIONS, NULL, 0) != CURLUE_OK ||
        curl_url_set(url, CURLUPART_QUERY, NULL, 0) != CURLUE_OK ||
        curl_url_set(url, CURLUPART_FRAGMENT, NULL, 0) != CURLUE_OK)
        return shown_by_force(text);
    shown = part(url, CURLUPART_URL, 0);
    return shown != NULL ? strdup(shown) : shown_by_force(text);
}

static defupd_code bad_url(const char *what, const char *text, const char *why, defupd_error *err)
{
    DU_AUTO_FREE char *shown = shown_by_force(text);

    if (shown == NULL) /* then that may be all that is wrong with it */
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a URL");
    return DU_FAIL(err, DEFUPD_E_INVALID, "%s \"%s\" %s", what, shown, why);
}

/* Take user name and password out of the URL: they are handed to curl apart from it, and only for
 * the source's own host. */
static defupd_code take_credentials(CURLU *url, char **user, char **password, const char *what,
                                    const char *text, defupd_error *err)
{
    AUTO_TEXT *name = NULL;
    AUTO_TEXT *secret = NULL;
    const CURLUcode got_name = curl_url_get(url, CURLUPART_USER, &name, CURLU_URLDECODE);
    const CURLUcode got_secret = curl_url_get(url, CURLUPART_PASSWORD, &secret, CURLU_URLDECODE);

    if (got_name == CURLUE_OUT_OF_MEMORY || got_secret == CURLUE_OUT_OF_MEMORY)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a URL");
    if ((got_name != CURLUE_OK && got_name != CURLUE_NO_USER) ||
        (got_secret != CURLUE_OK && got_secret != CURLUE_NO_PASSWORD))
        return bad_url(what, text, "has a user name or password that cannot be decoded", err);
    *user = du_strdup(name);
    *password = du_strdup(secret);
    if ((name != NULL && *user == NULL) || (secret != NULL && *password == NULL) ||
        curl_url_set(url, CURLUPART_USER, NULL, 0) != CURLUE_OK ||
        curl_url_set(url, CURLUPART_PASSWORD, NULL, 0) != CURLUE_OK ||
        curl_url_set(url, CURLUPART_OPTIONS, NULL, 0) != CURLUE_OK)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a URL");
    return DEFUPD_OK;
}

/* Parse a URL and get its scheme. No memory is not a person's mistake in it: that is said instead
 * of *good being false. */
static defupd_code parse_scheme(CURLU *url, const char *text, char **scheme, bool *good,
                                defupd_error *err)
{
    const CURLUcode set = url != NULL
                              ? curl_url_set(url, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME)
                              : CURLUE_OUT_OF_MEMORY;
    const CURLUcode got =
        set == CURLUE_OK ? curl_url_get(url, CURLUPART_SCHEME, scheme, 0) : CURLUE_OK;

    if (set == CURLUE_OUT_OF_MEMORY || got == CURLUE_OUT_OF_MEMORY)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a URL");
    *good = set == CURLUE_OK && got == CURLUE_OK;
    return DEFUPD_OK;
}

static void trim_slashes(char *text)
{
    size_t len = strlen(text);

    while (len > 0 && text[len - 1] == '/')
        text[--len] = '\0';
}

/* "http://h/repo//" and "http://h/repo" are one source. */
static defupd_code take_base(struct du_site *site, CURLU *url, bool file, const char *what,
                             defupd_error *err)
{
    AUTO_TEXT *path = part(url, CURLUPART_PATH, 0);
    AUTO_TEXT *base = NULL;

    if (path == NULL) /* without one curl says "/" */
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a URL");
    trim_slashes(path);
    if (curl_url_set(url, CURLUPART_PATH, path[0] != '\0' ? path : "/", 0) != CURLUE_OK)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a URL");
    base = part(url, CURLUPART_URL, 0);
    if (base == NULL || (site->base = strdup(base)) == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a URL");
    if (path[0] == '\0')
        site->base[strlen(site->base) - 1] = '\0';
    if (file) {
        AUTO_TEXT *dir = part(url, CURLUPART_PATH, CURLU_URLDECODE);
        if (dir == NULL) /* curl says the same when it has no memory: what is bad stays bad */
            dir = part(url, CURLUPART_PATH, CURLU_URLDECODE);
        if (dir == NULL)
            return bad_url(what, base, "has a path that cannot be decoded", err);
        trim_slashes(dir);
        if ((site->dir = strdup(dir)) == NULL)
            return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a URL");
    }
    return DEFUPD_OK;
}

/* curl takes "http:/h" and "http:///h" for "http://h"; a person who writes that means another host
 * than the one that comes out. */
static bool has_host(const char *text)
{
    const char *colon = strchr(text, ':');

    return colon != NULL && strncmp(colon, "://", 3) == 0 && colon[3] != '/';
}

/* What people write most, and is not one. */
static const char *why_no_url(const char *text)
{
    if (strchr(text, ' ') != NULL)
        return "holds a space, which a URL writes as %20";
    if (strncasecmp(text, "file://", 7) == 0)
        return "names no absolute path: a directory is file:///DIR";
    return "is not an http, https or file URL";
}

defupd_code du_site_parse(struct du_site *site, const char *what, const char *text,
                          defupd_error *err)
{
    AUTO_URL *url = curl_url();
    AUTO_TEXT *scheme = NULL;
    bool file, good = false;

    if (strpbrk(text, "?#") != NULL)
        return bad_url(what, text, "has a query or fragment, so no path can be added", err);
    DU_TRY(parse_scheme(url, text, &scheme, &good, err));
    if (!good || (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0 &&
                  strcmp(scheme, "file") != 0))
        return bad_url(what, text, why_no_url(text), err);
    file = strcmp(scheme, "file") == 0;
    if (!file && !has_host(text))
        return bad_url(what, text, "has no host", err);
    if (!file)
        DU_TRY(take_credentials(url, &site->user, &site->password, what, text, err));
    return take_base(site, url, file, what, err);
}

void du_site_free(struct du_site *site)
{
    du_text_wipe(site->password);
    free(site->user);
    free(site->base);
    free(site->dir);
    *site = (struct du_site){ 0 };
}

static bool is_proxy_scheme(const char *scheme)
{
    static const char *const known[] = { "http", "https", "socks5", "socks5h" };

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(scheme, known[i]) == 0)
            return true;
    }
    return false;
}

defupd_code du_proxy_parse(struct du_proxy *proxy, const char *text, defupd_error *err)
{
    AUTO_URL *url = curl_url();
    AUTO_TEXT *scheme = NULL;
    AUTO_TEXT *path = NULL;
    AUTO_TEXT *shown = NULL;
    bool good = false;

    DU_TRY(parse_scheme(url, text, &scheme, &good, err));
    if (strpbrk(text, "?#") != NULL || !good || !is_proxy_scheme(scheme) || !has_host(text) ||
        ((path = part(url, CURLUPART_PATH, 0)) != NULL && strcmp(path, "/") != 0))
        return bad_url("proxy", text, "is not http://HOST:PORT, https, socks5 or socks5h", err);
    DU_TRY(take_credentials(url, &proxy->user, &proxy->password, "proxy", text, err));
    shown = part(url, CURLUPART_URL, 0);
    proxy->url = du_strdup(shown);
    if (proxy->url == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a URL");
    trim_slashes(proxy->url);
    proxy->socks = strncmp(scheme, "socks", 5) == 0;
    return DEFUPD_OK;
}

bool du_url_host(const char *text, char *host, size_t size, uint16_t *port)
{
    AUTO_URL *url = curl_url();
    AUTO_TEXT *name = NULL;
    AUTO_TEXT *number = NULL;
    uint64_t value;
    size_t length;

    if (url == NULL ||
        curl_url_set(url, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK ||
        (name = part(url, CURLUPART_HOST, 0)) == NULL)
        return false;
    /* curl's own default for a proxy of any scheme but https. */
    number = part(url, CURLUPART_PORT, CURLU_DEFAULT_PORT);
    if (!du_parse_u64(number != NULL ? number : "1080", UINT16_MAX, &value))
        return false;
    *port = (uint16_t)value;
    length = strlen(name);
    if (name[0] == '[' && length > 2) {
        name[length - 1] = '\0';
        memmove(name, name + 1, length - 1);
    }
    if (strlen(name) >= size)
        return false;
    for (size_t i = 0;
         (host[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] + 32 : name[i])) != '\0';
         i++) {
    }
    return true;
}

/* RFC 3986 section 2.3: what needs no encoding anywhere. */
static bool unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

char *du_url_join(const char *base, const char *path)
{
    static const char digit[] = "0123456789ABCDEF";
    const size_t base_len = strlen(base);
    char *url = malloc(base_len + 3 * strlen(path) + 2);
    char *out = url;

    if (url == NULL)
        return NULL;
    memcpy(out, base, base_len);
    out += base_len;
    *out++ = '/';
    for (const char *c = path; *c != '\0'; c++) {
        if (unreserved(*c) || *c == '/') {
            *out++ = *c;
            continue;
        }
        *out++ = '%';
        *out++ = digit[(unsigned char)*c >> 4];
        *out++ = digit[(unsigned char)*c & 15];
    }
    *out = '\0';
    return url;
}

static bool same_part(CURLU *a, CURLU *b, CURLUPart what, unsigned flags)
{
    AUTO_TEXT *one = part(a, what, flags);
    AUTO_TEXT *other = part(b, what, flags);

    return one != NULL && other != NULL && strcasecmp(one, other) == 0;
}

bool du_url_same_origin(const char *a, const char *b)
{
    AUTO_URL *one = curl_url();
    AUTO_URL *other = curl_url();

    return one != NULL && other != NULL && curl_url_set(one, CURLUPART_URL, a, 0) == CURLUE_OK &&
           curl_url_set(other, CURLUPART_URL, b, 0) == CURLUE_OK &&
           same_part(one, other, CURLUPART_SCHEME, 0) && same_part(one, other, CURLUPART_HOST, 0) &&
           same_part(one, other, CURLUPART_PORT, CURLU_DEFAULT_PORT);
}

const char *du_redirect_why_bad(const char *from, const char *to)
{
    AUTO_URL *url = curl_url();
    AUTO_TEXT *scheme = NULL;

    if (url == NULL ||
        curl_url_set(url, CURLUPART_URL, to, CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK ||
        (scheme = part(url, CURLUPART_SCHEME, 0)) == NULL)
        return "its target is no URL";
    if (strcmp(scheme, "https") == 0)
        return NULL;
    if (strcmp(scheme, "http") != 0)
        return "its target is neither http nor https";
    return strncasecmp(from, "https:", 6) == 0 ? "it leaves https" : NULL;
}
