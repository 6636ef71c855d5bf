/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/map.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fail.h"

static defupd_code no_memory(defupd_error *err)
{
    return AG_FAIL(err, DEFUPD_E_NOMEM, "out of memory while applying the policy");
}

static size_t count_all(const struct ag_policy *policy, const char *path)
{
    size_t count = 0;

    for (const struct ag_value *at = ag_policy_at(policy, path); at != NULL; at = ag_value_next(at))
        count++;
    return count;
}

/* --- sources --- */

static bool keep(struct ag_map *map, char *text)
{
    char **longer = reallocarray(map->texts, map->text_count + 1, sizeof *longer);

    if (longer != NULL)
        map->texts = longer;
    if (longer == NULL || text == NULL) {
        free(text);
        return false;
    }
    longer[map->text_count++] = text;
    return true;
}

/* All values of a setting with `between` between them; NULL when there is none. */
static bool joined(struct ag_map *map, const struct ag_value *group, const char *name,
                   const char *between, const char **out)
{
    const struct ag_value *first = group != NULL ? ag_value_in(group, name) : NULL;
    size_t length = 1;
    char *text;

    *out = NULL;
    if (first == NULL)
        return true;
    for (const struct ag_value *at = first; at != NULL; at = ag_value_next(at))
        length += strlen(at->text) + strlen(between);
    text = malloc(length);
    if (text != NULL)
        text[0] = '\0';
    for (const struct ag_value *at = first; text != NULL && at != NULL; at = ag_value_next(at)) {
        (void)strcat(text, at->text);
        if (ag_value_next(at) != NULL)
            (void)strcat(text, between);
    }
    *out = text;
    return keep(map, text);
}

/* "HOST:PORT:ADDRESS,ADDRESS" for the URL's host. */
static bool addresses(struct ag_map *map, const struct ag_value *server, const char *url,
                      const char **out)
{
    const char *host = strstr(url, "://") != NULL ? strstr(url, "://") + 3 : url;
    const size_t length = strcspn(host, ":/");
    const char *list;
    char *text = NULL;
    int port = strncmp(url, "https:", 6) == 0 ? 443 : 80;

    if (!joined(map, server, "address", ",", &list))
        return false;
    if (list == NULL)
        return true;
    if (host[length] == ':')
        port = atoi(host + length + 1);
    if (asprintf(&text, "%.*s:%d:%s", (int)length, host, port, list) < 0)
        text = NULL;
    *out = text;
    return keep(map, text);
}

/* In the order of the table's words. */
static uint32_t methods_of(const struct ag_value *group, const char *name)
{
    static const uint32_t methods[] = { 0, DEFUPD_PROXY_BASIC, DEFUPD_PROXY_DIGEST,
                                        DEFUPD_PROXY_NTLM, DEFUPD_PROXY_NEGOTIATE };

    return group != NULL ? methods[ag_value_number(group, name)] : 0;
}

static const char *file_of(const struct ag_way *own, const struct ag_way *all,
                           enum ag_way_file which)
{
    return own != NULL && own->text[which] != NULL ? own->text[which] : all->text[which];
}

/* What a group says of the way to its sources, else what the sections proxy and tls say. `group`
 * and `own` NULL: there is no group. */
static bool fill_way(struct ag_map *map, defupd_source *source, const struct ag_policy *policy,
                     const struct ag_value *group, const struct ag_way *own,
                     const struct ag_way *all)
{
    const struct ag_value *proxy = group != NULL ? ag_value_in(group, "proxy") : NULL;
    const struct ag_value *section = ag_policy_at(policy, "proxy");
    const struct ag_value *tls = ag_policy_at(policy, "tls");
    const bool pinned = group != NULL && ag_value_in(group, "pinned-key") != NULL;
    const bool looked_up = group != NULL && ag_value_in(group, "revocation") != NULL;

    if (proxy != NULL)
        source->proxy = strcmp(proxy->text, "none") == 0 ? "" : proxy->text;
    source->proxy_methods =
        proxy != NULL ? methods_of(group, "proxy-method") : methods_of(section, "method");
    if (own != NULL) {
        source->auth = own->text[AG_WAY_AUTH];
        source->proxy_auth = own->text[AG_WAY_PROXY_AUTH];
        source->ca_file = own->text[AG_WAY_CA];
    }
    source->client_cert = file_of(own, all, AG_WAY_CERTIFICATE);
    source->client_key = file_of(own, all, AG_WAY_KEY);
    if (looked_up || tls != NULL)
        source->revocation = (uint32_t)ag_value_number(looked_up ? group : tls, "revocation");
    if (source->revocation != DEFUPD_REVOCATION_NONE)
        source->crl_file = file_of(own, all, AG_WAY_CRL);
    return joined(map, proxy != NULL ? group : section, "bypass", ",", &source->no_proxy) &&
           joined(map, pinned ? group : tls, "pinned-key", ";", &source->pinned_key);
}

static defupd_source *add_source(struct ag_map *map, size_t *count, const char *url)
{
    const defupd_source init = DEFUPD_SOURCE_INIT;
    defupd_source *source = &map->source[*count];

    *source = init;
    source->url = url;
    map->sources[(*count)++] = source;
    return source;
}

static bool add_relays(struct ag_map *map, size_t *count, const struct ag_policy *policy,
                       const struct ag_value *group, const struct ag_way *own,
                       const struct ag_way *all, uint32_t number)
{
    for (const struct ag_value *at = ag_value_in(group, "relay"); at != NULL;
         at = ag_value_next(at)) {
        defupd_source *source = add_source(map, count, at->text);

        source->kind = DEFUPD_SOURCE_RELAY;
        source->group = number;
        source->attempts = (uint32_t)ag_value_number(group, "attempts");
        source->offline_grace_s = ag_value_number(group, "offline-grace");
        if (!fill_way(map, source, policy, group, own, all))
            return false;
    }
    return true;
}

static bool add_server(struct ag_map *map, size_t *count, const struct ag_policy *policy,
                       const struct ag_value *server, const struct ag_way *own,
                       const struct ag_way *all)
{
    defupd_source *source = add_source(map, count, ag_value_text(server, "url"));

    source->offline_grace_s = ag_value_number(server, "offline-grace");
    source->object_url = ag_value_text(server, "objects");
    return addresses(map, server, source->url, &source->addresses) &&
           fill_way(map, source, policy, server, own, all);
}

static defupd_code make_room(struct ag_map *map, size_t room, defupd_error *err)
{
    map->source = calloc(room, sizeof *map->source);
    map->sources = calloc(room, sizeof *map->sources);
    return map->source != NULL && map->sources != NULL ? DEFUPD_OK : no_memory(err);
}

static defupd_code map_sources(struct ag_map *map, defupd_client_options *options,
                               const struct ag_policy *policy, const struct ag_ways *ways,
                               defupd_error *err)
{
    static const struct ag_way none = { 0 };
    const struct ag_way *all = ways->count > 0 ? &ways->way[0] : &none;
    const struct ag_way *own = ways->count > 0 ? &ways->way[1] : NULL;
    size_t room = count_all(policy, "sources/server") + 1, count = 0;
    uint32_t group = 0;

    for (const struct ag_value *at = ag_policy_at(policy, "sources/relays"); at != NULL;
         at = ag_value_next(at)) {
        for (const struct ag_value *relay = ag_value_in(at, "relay"); relay != NULL;
             relay = ag_value_next(relay))
            room++;
    }
    if (room == 1)
        return DEFUPD_OK;
    AG_TRY(make_room(map, room, err));
    for (const struct ag_value *at = ag_policy_at(policy, "sources/relays"); at != NULL;
         at = ag_value_next(at), own += own != NULL) {
        if (!add_relays(map, &count, policy, at, own, all, group++))
            return no_memory(err);
    }
    for (const struct ag_value *at = ag_policy_at(policy, "sources/server"); at != NULL;
         at = ag_value_next(at), own += own != NULL) {
        if (!add_server(map, &count, policy, at, own, all))
            return no_memory(err);
    }
    if (ag_policy_number(policy, "sources/fallback-to-servers") == 0)
        options->flags |= DEFUPD_CLIENT_RELAYS_ONLY;
    options->source_list = map->sources;
    return DEFUPD_OK;
}

/* The command line's, by the way that is for all sources. */
static defupd_code map_named(struct ag_map *map, defupd_client_options *options,
                             const struct ag_policy *policy, const struct ag_ways *ways,
                             const char *const *named, defupd_error *err)
{
    static const struct ag_way none = { 0 };
    size_t room = 1, count = 0;

    while (named[room - 1] != NULL)
        room++;
    AG_TRY(make_room(map, room, err));
    for (; *named != NULL; named++) {
        if (!fill_way(map, add_source(map, &count, *named), policy, NULL, NULL,
                      ways->count > 0 ? &ways->way[0] : &none))
            return no_memory(err);
    }
    options->source_list = map->sources;
    return DEFUPD_OK;
}

/* --- components --- */

static void fill_rule(defupd_rule *rule, const struct ag_value *component)
{
    const defupd_rule init = DEFUPD_RULE_INIT;

    *rule = init;
    rule->component = ag_value_text(component, "name");
    rule->flags = (ag_value_number(component, "hold") != 0 ? DEFUPD_RULE_HELD : 0u) |
                  (ag_value_number(component, "enabled") == 0 ? DEFUPD_RULE_DISABLED : 0u) |
                  (ag_value_number(component, "trial") == 0 ? DEFUPD_RULE_NO_TRIAL : 0u);
    rule->pin_version = ag_value_number(component, "pin");
    rule->max_age_s = ag_value_number(component, "max-age");
    rule->delay_s = ag_value_number(component, "delay");
    rule->ring = ag_value_text(component, "ring");
    rule->licence = ag_value_text(component, "license");
}

static defupd_code map_components(struct ag_map *map, defupd_client_options *options,
                                  const struct ag_policy *policy, defupd_error *err)
{
    const size_t count = count_all(policy, "components/component");
    size_t at = 0;

    if (ag_policy_text(policy, "components/ring") != NULL)
        options->ring = ag_policy_text(policy, "components/ring");
    map->rule = calloc(count + 1, sizeof *map->rule);
    map->rules = calloc(count + 1, sizeof *map->rules);
    map->components = calloc(count + 1, sizeof *map->components);
    if (map->rule == NULL || map->rules == NULL || map->components == NULL)
        return no_memory(err);
    for (const struct ag_value *component = ag_policy_at(policy, "components/component");
         component != NULL; component = ag_value_next(component), at++) {
        fill_rule(&map->rule[at], component);
        map->rules[at] = &map->rule[at];
        map->components[at] = map->rule[at].component;
    }
    if (count > 0)
        options->rules = map->rules;
    if (ag_policy_number(policy, "components/only-listed") != 0)
        options->components = map->components;
    return DEFUPD_OK;
}

static defupd_code map_engines(struct ag_map *map, defupd_client_options *options,
                               const struct ag_policy *policy, defupd_error *err)
{
    const size_t count = count_all(policy, "components/installed-engine");
    const struct ag_value *at = ag_policy_at(policy, "components/installed-engine");

    if (count == 0)
        return DEFUPD_OK;
    map->engines = calloc(count + 1, sizeof *map->engines);
    if (map->engines == NULL)
        return no_memory(err);
    for (size_t i = 0; i < count; i++, at = ag_value_next(at)) {
        if (asprintf(&map->engines[i], "%s=%s", ag_value_text(at, "name"),
                     ag_value_text(at, "version")) < 0) {
            map->engines[i] = NULL;
            return no_memory(err);
        }
    }
    options->engines = (const char *const *)map->engines;
    return DEFUPD_OK;
}

/* A section without any licence says that there is none: what needs one then takes nothing new. */
static defupd_code map_licences(struct ag_map *map, defupd_client_options *options,
                                const struct ag_policy *policy, defupd_error *err)
{
    const defupd_licence init = DEFUPD_LICENCE_INIT;
    const size_t count = count_all(policy, "licenses/license");
    const struct ag_value *at = ag_policy_at(policy, "licenses/license");

    if (ag_policy_at(policy, "licenses") == NULL)
        return DEFUPD_OK;
    map->licence = calloc(count + 1, sizeof *map->licence);
    map->licences = calloc(count + 1, sizeof *map->licences);
    if (map->licence == NULL || map->licences == NULL)
        return no_memory(err);
    for (size_t i = 0; i < count; i++, at = ag_value_next(at)) {
        map->licence[i] = init;
        map->licence[i].name = ag_value_text(at, "class");
        map->licence[i].expires = (int64_t)ag_value_number(at, "expires");
        /* To the library, 0 means never; the first second of 1970 is long gone. */
        if (map->licence[i].expires == 0)
            map->licence[i].expires = 1;
        map->licences[i] = &map->licence[i];
    }
    options->licences = map->licences;
    return DEFUPD_OK;
}

/* The table keeps these far below 2^32 ms. */
static uint32_t milliseconds(const struct ag_policy *policy, const char *path)
{
    return (uint32_t)(ag_policy_number(policy, path) * 1000);
}

static void map_numbers(defupd_client_options *options, const struct ag_policy *policy)
{
    options->connect_timeout_ms = milliseconds(policy, "transfer/connect-timeout");
    options->stall_timeout_ms = milliseconds(policy, "transfer/stall-timeout");
    options->total_timeout_ms = milliseconds(policy, "transfer/total-timeout");
    options->attempts = (uint32_t)ag_policy_number(policy, "transfer/attempts");
    options->retry_delay_ms = milliseconds(policy, "transfer/retry-delay");
    options->keep_alive_s = (uint32_t)ag_policy_number(policy, "transfer/keep-alive");
    options->max_bytes_per_s = ag_policy_number(policy, "transfer/bandwidth");
    options->max_tree_bytes = ag_policy_number(policy, "transfer/max-tree-size");
    options->budget_bytes = ag_policy_number(policy, "transfer/bytes-per-run");
    options->bytes_per_day = ag_policy_number(policy, "transfer/bytes-per-day");
    if (ag_policy_number(policy, "schedule/enabled") != 0)
        options->interval_s = ag_policy_number(policy, "schedule/interval");
    options->retention = (uint32_t)ag_policy_number(policy, "retention/generations");
    if (ag_policy_number(policy, "transfer/metered") != 0)
        options->flags |= DEFUPD_CLIENT_METERED;
    if (ag_policy_number(policy, "trial/enabled") != 0)
        options->trial_s = ag_policy_number(policy, "trial/confirm-within");
    options->trial_starts = ag_policy_number(policy, "trial/crashes-allowed");
    if (ag_policy_number(policy, "trial/on-expiry") != 0)
        options->flags |= DEFUPD_CLIENT_TRIAL_CONFIRMS;
    if (ag_policy_number(policy, "withdrawn-without-replacement") != 0)
        options->flags |= DEFUPD_CLIENT_REMOVE_WITHDRAWN;
}

defupd_code ag_map_options(struct ag_map *map, defupd_client_options *options,
                           const struct ag_policy *policy, const struct ag_ways *ways,
                           const char *const *named, defupd_error *err)
{
    *map = (struct ag_map){ 0 };
    if (policy == NULL)
        return DEFUPD_OK;
    map_numbers(options, policy);
    if (named != NULL)
        AG_TRY(map_named(map, options, policy, ways, named, err));
    else
        AG_TRY(map_sources(map, options, policy, ways, err));
    AG_TRY(map_components(map, options, policy, err));
    AG_TRY(map_engines(map, options, policy, err));
    return map_licences(map, options, policy, err);
}

static const char *engine_of(const void *policy, const char *component)
{
    return ag_policy_engine(policy, component);
}

void ag_map_report(struct ag_report_settings *settings, const struct ag_force *force)
{
    const struct ag_policy *policy = force->policy;

    settings->interval_s = (int64_t)ag_policy_number(policy, "schedule/interval");
    settings->engine = engine_of;
    settings->engine_user = policy;
    settings->policy_code = force->error.code;
    settings->debug_until = (int64_t)ag_policy_number(policy, "debug/until");
    settings->report_url = ag_policy_text(policy, "report/url");
    settings->is_relay =
        ag_policy_at(policy, "relay") != NULL && ag_policy_number(policy, "relay/enabled") != 0;
    settings->relay_caches = ag_policy_number(policy, "relay/mode") != 0;
    settings->queue_bytes = ag_policy_number(policy, "report/queue-size");
}

void ag_map_free(struct ag_map *map)
{
    for (size_t i = 0; map->engines != NULL && map->engines[i] != NULL; i++)
        free(map->engines[i]);
    free(map->engines);
    for (size_t i = 0; i < map->text_count; i++)
        free(map->texts[i]);
    free(map->texts);
    free(map->source);
    free(map->sources);
    free(map->rule);
    free(map->rules);
    free(map->licence);
    free(map->licences);
    free(map->components);
    *map = (struct ag_map){ 0 };
}
