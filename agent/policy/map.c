/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/map.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

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

/* In an order by lot. Which relay is asked first is no secret: without random bytes, as they are.
 */
static void shuffle(const struct ag_value **list, size_t count)
{
    for (size_t i = count; i > 1; i--) {
        const struct ag_value *last = list[i - 1];
        uint32_t draw = (uint32_t)i - 1;

        if (getrandom(&draw, sizeof draw, GRND_NONBLOCK) != (ssize_t)sizeof draw)
            draw = (uint32_t)i - 1;
        list[i - 1] = list[draw % i];
        list[draw % i] = last;
    }
}

static void add_source(struct ag_map *map, size_t *count, const char *url, uint64_t grace)
{
    const defupd_source init = DEFUPD_SOURCE_INIT;

    map->source[*count] = init;
    map->source[*count].url = url;
    map->source[*count].offline_grace_s = grace;
    map->sources[*count] = &map->source[*count];
    (*count)++;
}

/* As many attempts as the group asks for, each at the next of its relays, round and round. */
static bool add_relays(struct ag_map *map, size_t *count, const struct ag_value *group)
{
    const size_t attempts = (size_t)ag_value_number(group, "attempts");
    const struct ag_value **relay;
    size_t relays = 0;

    for (const struct ag_value *at = ag_value_in(group, "relay"); at != NULL;
         at = ag_value_next(at))
        relays++;
    relay = calloc(relays, sizeof(const struct ag_value *));
    if (relay == NULL)
        return false;
    relays = 0;
    for (const struct ag_value *at = ag_value_in(group, "relay"); at != NULL;
         at = ag_value_next(at))
        relay[relays++] = at;
    shuffle(relay, relays);
    for (size_t i = 0; i < attempts; i++)
        add_source(map, count, relay[i % relays]->text, ag_value_number(group, "offline-grace"));
    free(relay);
    return true;
}

static defupd_code map_sources(struct ag_map *map, defupd_client_options *options,
                               const struct ag_policy *policy, defupd_error *err)
{
    const struct ag_value *relays = ag_policy_at(policy, "sources/relays");
    const struct ag_value *server = ag_policy_at(policy, "sources/server");
    size_t room = count_all(policy, "sources/server") + 1, count = 0;

    for (const struct ag_value *at = relays; at != NULL; at = ag_value_next(at))
        room += (size_t)ag_value_number(at, "attempts");
    if (room == 1)
        return DEFUPD_OK;
    map->source = calloc(room, sizeof *map->source);
    map->sources = calloc(room, sizeof *map->sources);
    if (map->source == NULL || map->sources == NULL)
        return no_memory(err);
    for (const struct ag_value *at = relays; at != NULL; at = ag_value_next(at)) {
        if (!add_relays(map, &count, at))
            return no_memory(err);
    }
    if (relays != NULL && ag_policy_number(policy, "sources/fallback-to-servers") == 0)
        server = NULL;
    for (; server != NULL; server = ag_value_next(server))
        add_source(map, &count, ag_value_text(server, "url"),
                   ag_value_number(server, "offline-grace"));
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
                  (ag_value_number(component, "enabled") == 0 ? DEFUPD_RULE_DISABLED : 0u);
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
    options->max_tree_bytes = ag_policy_number(policy, "transfer/max-tree-size");
    options->budget_bytes = ag_policy_number(policy, "transfer/bytes-per-run");
    options->bytes_per_day = ag_policy_number(policy, "transfer/bytes-per-day");
    if (ag_policy_number(policy, "schedule/enabled") != 0)
        options->interval_s = ag_policy_number(policy, "schedule/interval");
    options->retention = (uint32_t)ag_policy_number(policy, "retention/generations");
    if (ag_policy_number(policy, "transfer/metered") != 0)
        options->flags |= DEFUPD_CLIENT_METERED;
    if (ag_policy_number(policy, "withdrawn-without-replacement") != 0)
        options->flags |= DEFUPD_CLIENT_REMOVE_WITHDRAWN;
}

defupd_code ag_map_options(struct ag_map *map, defupd_client_options *options,
                           const struct ag_policy *policy, defupd_error *err)
{
    *map = (struct ag_map){ 0 };
    if (policy == NULL)
        return DEFUPD_OK;
    map_numbers(options, policy);
    AG_TRY(map_sources(map, options, policy, err));
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
    settings->queue_bytes = ag_policy_number(policy, "report/queue-size");
}

void ag_map_free(struct ag_map *map)
{
    for (size_t i = 0; map->engines != NULL && map->engines[i] != NULL; i++)
        free(map->engines[i]);
    free(map->engines);
    free(map->source);
    free(map->sources);
    free(map->rule);
    free(map->rules);
    free(map->licence);
    free(map->licences);
    free(map->components);
    *map = (struct ag_map){ 0 };
}
