/* SPDX-License-Identifier: Apache-2.0 */
#include "report/relay.h"

#include <libdefupd/relay/relay.h>

#include <stdio.h>

#include "relay/relay.h"

const struct ag_relay_column ag_relay_columns[AG_RELAY_NUMBERS] = {
    [AG_RELAY_VERSION] = { "version", "timestamp_version", "gauge",
                           "Version of the timestamp that is served, 0 if nothing is." },
    [AG_RELAY_CONFIRMED] = { "confirmed", "confirmed_timestamp_seconds", "gauge",
                             "When upstream last confirmed what is served, 0 if never." },
    [AG_RELAY_LAG] = { "lag", "lag_seconds", "gauge", "How long ago that was." },
    [AG_RELAY_BEHIND] = { "behind", "behind_seconds", "gauge",
                          "How long upstream is known to have something newer, 0 if it has not." },
    [AG_RELAY_EXPIRES] = { "expires", "expires_timestamp_seconds", "gauge",
                           "When the timestamp that is served expires, 0 if there is none." },
    [AG_RELAY_LAST_SYNC] = { "last_sync", "last_sync_timestamp_seconds", "gauge",
                             "When upstream was last asked, 0 if never." },
    [AG_RELAY_LAST_SUCCESS] = { "last_success", "last_success_timestamp_seconds", "gauge",
                                "When that last succeeded, 0 if never." },
    [AG_RELAY_COMPONENTS] = { "components", "components", "gauge", "Components that are held." },
    [AG_RELAY_OBJECTS] = { "objects", "objects", "gauge", "Objects that are held." },
    [AG_RELAY_BYTES] = { "bytes", "object_bytes", "gauge", "Their bytes." },
    [AG_RELAY_NAMED] = { "named", "objects_named", "gauge", "Objects that manifests name." },
    [AG_RELAY_MISSING] = { "missing", "objects_missing", "gauge", "Those of them not held." },
    [AG_RELAY_REQUESTS] = { "requests", "requests_total", "counter",
                            "Requests since the server was started." },
    [AG_RELAY_SENT] = { "sent", "sent_bytes_total", "counter", "Bytes that it sent." },
    [AG_RELAY_LIMITED] = { "limited", "limited_requests_total", "counter",
                           "Requests that were told to come later." },
    [AG_RELAY_REFUSED] = { "refused", "refused_requests_total", "counter",
                           "Requests that were refused for another reason." },
    [AG_RELAY_HITS] = { "hits", "object_hits_total", "counter",
                        "Requests for objects that were held." },
    [AG_RELAY_MISSES] = { "misses", "object_misses_total", "counter",
                          "Requests for objects that were not." },
    [AG_RELAY_CLIENTS] = { "clients", "clients", "gauge",
                           "Addresses that asked within the last hour." },
    [AG_RELAY_OPEN] = { "connections", "connections", "gauge", "Open connections." },
};

/* Larger ones are no true ones, and JSON's readers lose them. */
static int64_t number(uint64_t value)
{
    const uint64_t most = (UINT64_C(1) << 53) - 1;

    return (int64_t)(value < most ? value : most);
}

static void take_content(struct ag_relay_facts *facts, const struct du_relay_figures *from,
                         int64_t now)
{
    const defupd_code code = (defupd_code)from->last_error;
    int64_t *n = facts->number;

    (void)snprintf(facts->mode, sizeof facts->mode, "%s",
                   from->mode == DU_RELAY_CACHE ? "cache" : "mirror");
    (void)snprintf(facts->source, sizeof facts->source, "%s", from->source);
    facts->lasterror = defupd_code_unsigned(code);
    if (code != DEFUPD_OK)
        (void)snprintf(facts->lasterror_name, sizeof facts->lasterror_name, "%s",
                       defupd_code_name(code));
    (void)snprintf(facts->lasterror_text, sizeof facts->lasterror_text, "%s",
                   from->last_error_text);
    n[AG_RELAY_VERSION] = number(from->version);
    n[AG_RELAY_CONFIRMED] = from->confirmed;
    n[AG_RELAY_LAG] = number(du_relay_lag_s(from, now));
    if (from->upstream_since != 0 && from->upstream_since < now)
        n[AG_RELAY_BEHIND] = now - from->upstream_since;
    n[AG_RELAY_EXPIRES] = from->expires;
    n[AG_RELAY_LAST_SYNC] = from->last_sync;
    n[AG_RELAY_LAST_SUCCESS] = from->last_success;
    n[AG_RELAY_COMPONENTS] = number(from->components);
    n[AG_RELAY_OBJECTS] = number(from->objects);
    n[AG_RELAY_BYTES] = number(from->object_bytes);
    n[AG_RELAY_NAMED] = number(from->named);
    n[AG_RELAY_MISSING] = number(from->missing);
}

static void take_failure(struct ag_relay_facts *facts, defupd_code code)
{
    facts->lasterror = defupd_code_unsigned(code);
    (void)snprintf(facts->lasterror_name, sizeof facts->lasterror_name, "%s",
                   defupd_code_name(code));
    (void)snprintf(facts->lasterror_text, sizeof facts->lasterror_text,
                   "nobody is served, the relay's server cannot begin (relay.log tells why): %s",
                   defupd_code_text(code));
}

static void take_served(struct ag_relay_facts *facts, const struct du_serve_figures *from)
{
    int64_t *n = facts->number;

    n[AG_RELAY_REQUESTS] = number(from->requests);
    n[AG_RELAY_SENT] = number(from->bytes);
    n[AG_RELAY_LIMITED] = number(from->limited);
    n[AG_RELAY_REFUSED] = number(from->refused);
    n[AG_RELAY_HITS] = number(from->hits);
    n[AG_RELAY_MISSES] = number(from->misses);
    n[AG_RELAY_CLIENTS] = from->clients;
    n[AG_RELAY_OPEN] = from->open;
}

void ag_relay_facts_read(struct ag_relay_facts *facts, const char *state_dir, bool caches,
                         int64_t now)
{
    struct du_relay_figures figures;
    struct ag_served served;
    defupd_error ignored = { 0 };

    *facts = (struct ag_relay_facts){ .there = true };
    if (du_relay_figures_read(&figures, state_dir, &ignored) != DEFUPD_OK)
        figures = (struct du_relay_figures){ 0 };
    if (figures.last_sync == 0)
        figures.mode = caches ? DU_RELAY_CACHE : DU_RELAY_MIRROR;
    take_content(facts, &figures, now);
    if (ag_served_read(&served, state_dir, &ignored) != DEFUPD_OK)
        return;
    take_served(facts, &served.figures);
    if (served.failed > 0 && served.failed < 10000)
        take_failure(facts, (defupd_code)-served.failed);
}
