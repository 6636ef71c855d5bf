/* SPDX-License-Identifier: Apache-2.0 */
#include "report/post.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include <defupd/version.h>

#include "fail.h"

#define CONNECT_MS 10000L
#define TOTAL_MS 60000L
#define ANSWER_MAX 65536u /* bytes of an answer, which nobody reads */

struct ag_post {
    CURL *curl;
    struct curl_slist *headers;
    size_t answered;
    char detail[CURL_ERROR_SIZE];
    char host[256]; /* for messages: no path, no credentials */
};

static size_t swallow(char *bytes, size_t size, size_t count, void *user)
{
    struct ag_post *post = user;

    (void)bytes;
    post->answered += size * count;
    return post->answered <= ANSWER_MAX ? size * count : 0;
}

/* "https://manager.example:8443" */
static defupd_code read_host(struct ag_post *post, const char *url, defupd_error *err)
{
    CURLU *parsed = curl_url();
    char *scheme = NULL, *host = NULL, *port = NULL;
    bool good = parsed != NULL && curl_url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK &&
                curl_url_get(parsed, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
                curl_url_get(parsed, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
                curl_url_get(parsed, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK;

    good = good && (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);
    if (good)
        (void)snprintf(post->host, sizeof post->host, "%s://%s:%s", scheme, host, port);
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    curl_url_cleanup(parsed);
    return good ? DEFUPD_OK
                : AG_FAIL(err, DEFUPD_E_INVALID, "the report's URL is no http or https URL");
}

static bool set_up(struct ag_post *post, const char *url, const char *ca_file)
{
    CURL *curl = post->curl;

    /* No wait for a "100 Continue" that few servers send. */
    post->headers = curl_slist_append(NULL, "Content-Type: application/json");
    if (post->headers == NULL || curl_slist_append(post->headers, "Expect:") == NULL)
        return false;
    return curl_easy_setopt(curl, CURLOPT_URL, url) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_PROXY, "") == CURLE_OK && /* nor the environment's */
           curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, TOTAL_MS) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, post->detail) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_USERAGENT, "defupd/" DEFUPD_VERSION) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_HTTPHEADER, post->headers) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, swallow) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_WRITEDATA, post) == CURLE_OK &&
           (ca_file == NULL || curl_easy_setopt(curl, CURLOPT_CAINFO, ca_file) == CURLE_OK);
}

defupd_code ag_post_open(struct ag_post **out, const char *url, const char *ca_file,
                         defupd_error *err)
{
    struct ag_post *post = calloc(1, sizeof *post);
    defupd_code rc;

    *out = NULL;
    if (post == NULL)
        return AG_FAIL(err, DEFUPD_E_NOMEM, "out of memory");
    rc = read_host(post, url, err);
    post->curl = rc == DEFUPD_OK ? curl_easy_init() : NULL;
    if (rc == DEFUPD_OK && (post->curl == NULL || !set_up(post, url, ca_file)))
        rc = AG_FAIL(err, DEFUPD_E_NOMEM, "out of memory");
    if (rc != DEFUPD_OK) {
        ag_post_close(post);
        return rc;
    }
    *out = post;
    return DEFUPD_OK;
}

static defupd_code code_of(CURLcode rc)
{
    static const struct {
        CURLcode curl;
        defupd_code code;
    } table[] = {
        { CURLE_COULDNT_RESOLVE_HOST, DEFUPD_E_RESOLVE },
        { CURLE_COULDNT_CONNECT, DEFUPD_E_CONNECT },
        { CURLE_OPERATION_TIMEDOUT, DEFUPD_E_TIMEOUT },
        { CURLE_PEER_FAILED_VERIFICATION, DEFUPD_E_TLS_VERIFY },
        { CURLE_SSL_CACERT_BADFILE, DEFUPD_E_TLS_VERIFY },
        { CURLE_SSL_CONNECT_ERROR, DEFUPD_E_TLS },
        { CURLE_OUT_OF_MEMORY, DEFUPD_E_NOMEM },
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (table[i].curl == rc)
            return table[i].code;
    }
    return DEFUPD_E_INTERRUPTED;
}

defupd_code ag_post_send(struct ag_post *post, const char *body, size_t count, long *status,
                         int64_t *retry_after_s, defupd_error *err)
{
    curl_off_t retry_after = 0;
    CURLcode rc;

    *status = 0;
    *retry_after_s = 0;
    post->answered = 0;
    post->detail[0] = '\0';
    if (curl_easy_setopt(post->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)count) != CURLE_OK ||
        curl_easy_setopt(post->curl, CURLOPT_POSTFIELDS, body) != CURLE_OK)
        return AG_FAIL(err, DEFUPD_E_NOMEM, "out of memory");
    rc = curl_easy_perform(post->curl);
    (void)curl_easy_getinfo(post->curl, CURLINFO_RESPONSE_CODE, status);
    (void)curl_easy_getinfo(post->curl, CURLINFO_RETRY_AFTER, &retry_after);
    *retry_after_s = retry_after > 0 ? (int64_t)retry_after : 0;
    /* An answer that goes on too long has said what it had to say in its first line. */
    if (rc == CURLE_OK || (rc == CURLE_WRITE_ERROR && *status != 0))
        return DEFUPD_OK;
    *status = 0;
    return AG_FAIL(err, code_of(rc), "%s: %s", post->host,
                   post->detail[0] != '\0' ? post->detail : curl_easy_strerror(rc));
}

void ag_post_close(struct ag_post *post)
{
    if (post == NULL)
        return;
    curl_easy_cleanup(post->curl);
    curl_slist_free_all(post->headers);
    free(post);
}
