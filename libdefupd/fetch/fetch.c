/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch/fetch.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/name.h"
#include "base/when.h"
#include "event/event.h"
#include "fetch/fetch_priv.h"

defupd_code du_fetch_new(struct du_fetch **out, const struct du_fetch_options *options,
                         defupd_error *err)
{
    DU_AUTO_FETCH *fetch = calloc(1, sizeof *fetch);

    if (fetch == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for transfers");
    fetch->sys = options->sys;
    fetch->options = *options;
    fetch->stall_timeout_ms = options->stall_timeout_ms != 0 ? options->stall_timeout_ms : 30000;
    /* Safe beside other threads since 7.84. Never undone: a host that lets curl_easy_init() do this
     * for it is not counted, and would lose libcurl under its hands. */
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "libcurl cannot be initialised");
    DU_TRY(du_sources_read(fetch, err));
    *out = du_take(&fetch);
    return DEFUPD_OK;
}

void du_fetch_free(struct du_fetch *fetch)
{
    const int saved = errno;

    if (fetch == NULL)
        return;
    for (size_t i = 0; i < fetch->sources; i++)
        du_source_free(&fetch->source[i]);
    free(fetch->source);
    free(fetch);
    errno = saved;
}

void du_fetch_freep(struct du_fetch **fetch)
{
    du_fetch_free(*fetch);
    *fetch = NULL;
}

size_t du_fetch_sources(const struct du_fetch *fetch)
{
    return fetch->sources;
}

const char *du_fetch_source_name(const struct du_fetch *fetch, size_t source)
{
    return fetch->source[source].site.base;
}

bool du_fetch_barred(const struct du_fetch *fetch)
{
    return fetch->barred;
}

const defupd_source *du_fetch_source_given(const struct du_fetch *fetch, size_t source)
{
    return fetch->source[source].given;
}

void du_fetch_on_failed(struct du_fetch *fetch, du_fetch_failed_fn fn, void *user)
{
    fetch->on_failed = fn;
    fetch->failed_user = user;
}

void du_fetch_versions(char *out, size_t size)
{
    const curl_version_info_data *info = curl_version_info(CURLVERSION_NOW);

    (void)snprintf(out, size, "libcurl %s (%s)", info->version,
                   info->ssl_version != NULL ? info->ssl_version : "no TLS");
}

void du_fetch_log(const struct du_fetch *fetch, defupd_level level, const char *format, ...)
{
    const struct du_events events = { .on_log = fetch->options.log,
                                      .log_user = fetch->options.log_user };
    va_list args;

    va_start(args, format);
    du_log_args(&events, level, "fetch", format, args);
    va_end(args);
}

uint32_t du_fetch_left_ms(const struct du_fetch *fetch)
{
    const uint32_t total_ms = fetch->options.total_timeout_ms;

    if (total_ms == 0)
        return INT32_MAX;
    return fetch->spent_ms < total_ms ? (uint32_t)(total_ms - fetch->spent_ms) : 0;
}

defupd_code du_fetch_pause(struct du_fetch *fetch, defupd_error *err)
{
    const uint32_t left_ms = du_fetch_left_ms(fetch);
    const uint32_t wait_ms =
        fetch->options.retry_delay_ms < left_ms ? fetch->options.retry_delay_ms : left_ms;
    const uint64_t start_ms = fetch->sys->monotonic_ms();

    for (uint64_t past; (past = fetch->sys->monotonic_ms() - start_ms) < wait_ms;) {
        const uint64_t step = wait_ms - past < 200 ? wait_ms - past : 200;

        if (fetch->options.tick.fn != NULL)
            DU_TRY(fetch->options.tick.fn(fetch->options.tick.user, 0, err));
        (void)poll(NULL, 0, (int)step);
    }
    fetch->spent_ms += fetch->sys->monotonic_ms() - start_ms;
    return DEFUPD_OK;
}

/* --- sources that asked to be left alone --- */

char *du_fetch_name(const char *url)
{
    struct du_site site = { 0 };
    defupd_error ignored = { 0 };
    char *name = NULL;

    if (du_site_parse(&site, "source", url, &ignored) == DEFUPD_OK)
        name = du_take(&site.base);
    du_site_free(&site);
    return name;
}

void du_fetch_cool(struct du_fetch *fetch, size_t source, int64_t until)
{
    fetch->source[source].cool_until = until;
}

int64_t du_fetch_cooling(const struct du_fetch *fetch, size_t source)
{
    const int64_t until = fetch->source[source].cool_until;

    return until > fetch->sys->now_s() ? until : 0;
}

int64_t du_fetch_all_cooling(const struct du_fetch *fetch)
{
    int64_t first = 0;

    for (size_t i = 0; i < fetch->sources; i++) {
        const int64_t until = du_fetch_cooling(fetch, i);

        if (until == 0)
            return 0;
        if (first == 0 || until < first)
            first = until;
    }
    return first;
}

static defupd_code cooling(const struct du_fetch *fetch, size_t source, defupd_error *err)
{
    char when[DU_TIME_TEXT];

    du_time_format(when, fetch->source[source].cool_until);
    return DU_FAIL(err, DEFUPD_E_COOL_DOWN, "%s: asked to be left alone until %s",
                   fetch->source[source].site.base, when);
}

defupd_code du_fetch_cool_error(const struct du_fetch *fetch, defupd_error *err)
{
    size_t first = 0;

    for (size_t i = 1; i < fetch->sources; i++) {
        if (fetch->source[i].cool_until < fetch->source[first].cool_until)
            first = i;
    }
    return cooling(fetch, first, err);
}

void du_fetch_on_cool(struct du_fetch *fetch, du_fetch_cool_fn on_cool, du_fetch_cool_fn on_aside,
                      void *user)
{
    fetch->on_cool = on_cool;
    fetch->on_aside = on_aside;
    fetch->cool_user = user;
}

void du_fetch_aside(struct du_fetch *fetch, size_t source)
{
    fetch->source[source].aside = true;
}

void du_fetch_order(const struct du_fetch *fetch, size_t first, size_t *out)
{
    for (int aside = 0; aside < 2; aside++) {
        for (size_t i = 0; i < fetch->sources; i++) {
            const size_t source = (first + i) % fetch->sources;

            if (fetch->source[source].aside == (aside != 0))
                *out++ = source;
        }
    }
}

void du_fetch_key(char out[DU_SOURCE_KEY], const char *name)
{
    unsigned char sha256[DU_SHA256_BYTES];

    du_sha256(sha256, name, strlen(name));
    du_hex(out, sha256, (DU_SOURCE_KEY - 1) / 2);
}

defupd_code du_get(struct du_fetch *fetch, struct du_get *get, defupd_error *err)
{
    const char *why = du_path_why_bad(get->path);
    const size_t source = (size_t)(get->source - fetch->source);
    defupd_code rc;

    get->status = 0;
    get->not_modified = false;
    get->etag_out[0] = '\0';
    get->retry_after_s = 0;
    get->received = 0;
    get->refused_range = false;
    get->size = DU_FETCH_SIZE_UNKNOWN;
    if (why != NULL)
        return DU_FAIL(err, DEFUPD_E_BUG, "path \"%s\" %s", get->path, why);
    if (fetch->options.tick.fn != NULL)
        DU_TRY(fetch->options.tick.fn(fetch->options.tick.user, 0, err));
    if (du_fetch_cooling(fetch, source) != 0)
        return cooling(fetch, source, err);
    rc = get->site->dir != NULL ? du_get_file(fetch, get, err) : du_get_http(fetch, get, err);
    if ((rc == DEFUPD_E_RATE_LIMITED || rc == DEFUPD_E_MAINTENANCE) && get->retry_after_s > 0 &&
        fetch->on_cool != NULL)
        fetch->on_cool(fetch->cool_user, source, get->retry_after_s);
    return rc;
}

bool du_get_again(const struct du_fetch *fetch, defupd_code code, long status)
{
    static const defupd_code passing[] = {
        DEFUPD_E_RESOLVE, DEFUPD_E_CONNECT, DEFUPD_E_PROXY_CONNECT, DEFUPD_E_PROXY_DOWNLOAD,
        DEFUPD_E_TLS,     DEFUPD_E_TIMEOUT, DEFUPD_E_INTERRUPTED,   DEFUPD_E_STALLED,
    };

    if (du_fetch_left_ms(fetch) == 0)
        return false;
    if (code == DEFUPD_E_HTTP_STATUS)
        return status >= 500;
    for (size_t i = 0; i < sizeof passing / sizeof passing[0]; i++) {
        if (passing[i] == code)
            return true;
    }
    return false;
}

struct memory {
    struct du_buf *body;
    size_t max;
};

static defupd_code too_large(const struct memory *memory, defupd_error *err)
{
    return DU_FAIL(err, DEFUPD_E_TOOLARGE, "more than %zu bytes", memory->max);
}

static defupd_code memory_begin(void *user, uint64_t from, uint64_t size, defupd_error *err)
{
    struct memory *memory = user;

    (void)from; /* always 0: no range is asked for */
    du_buf_clear(memory->body);
    if (size != DU_FETCH_SIZE_UNKNOWN && size > memory->max)
        return too_large(memory, err);
    return DEFUPD_OK;
}

static defupd_code memory_add(void *user, const void *bytes, size_t count, defupd_error *err)
{
    struct memory *memory = user;

    if (count > memory->max - memory->body->len)
        return too_large(memory, err);
    return du_buf_add(memory->body, bytes, count, err);
}

defupd_code du_fetch_memory(struct du_fetch *fetch, size_t source, struct du_fetch_file *file,
                            struct du_buf *body, defupd_error *err)
{
    struct memory memory = { body, file->bytes_max };
    const struct du_sink sink = { memory_begin, memory_add, &memory };
    struct du_get get = { .path = file->path, .etag = file->etag, .sink = &sink };
    defupd_code rc = DEFUPD_OK;

    if (source >= fetch->sources)
        return DU_FAIL(err, DEFUPD_E_BUG, "source %zu of %zu", source, fetch->sources);
    get.source = &fetch->source[source];
    get.site = &get.source->site;
    for (uint32_t attempt = 1;; attempt++) {
        du_buf_clear(body);
        rc = du_get(fetch, &get, err);
        if (rc == DEFUPD_OK || attempt >= get.source->attempts ||
            !du_get_again(fetch, rc, get.status))
            break;
        du_fetch_log(fetch, DEFUPD_LEVEL_INFO, "attempt %u: %s", attempt, err->message);
        if ((rc = du_fetch_pause(fetch, err)) != DEFUPD_OK)
            break;
    }
    file->not_modified = get.not_modified;
    memcpy(file->etag_out, get.etag_out, sizeof file->etag_out);
    file->status = get.status;
    file->retry_after_s = get.retry_after_s;
    if (rc != DEFUPD_OK)
        du_buf_clear(body);
    return rc;
}
