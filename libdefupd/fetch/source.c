/* SPDX-License-Identifier: Apache-2.0 */
/* Sources as they are given, in the order in which they are asked. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "fetch/fetch_priv.h"

#define RELAY_ATTEMPTS 3
#define ENTRY_MAX 1024

void du_source_free(struct du_source *source)
{
    curl_easy_cleanup(source->curl);
    if (source->multi != NULL)
        (void)curl_multi_cleanup(source->multi);
    curl_slist_free_all(source->addresses);
    du_site_free(&source->site);
    du_site_free(&source->objects);
    du_proxy_free(&source->proxy[0]);
    du_proxy_free(&source->proxy[1]);
    free(source->no_proxy);
    *source = (struct du_source){ 0 };
}

/* "HOST:PORT:ADDRESS[,ADDRESS...]" */
static bool address_ok(const char *entry)
{
    char text[ENTRY_MAX];
    char *rest, *one, *port = strchr(entry, ':');
    uint64_t number;

    if (port == NULL || port == entry || strlen(entry) >= sizeof text)
        return false;
    memcpy(text, port + 1, strlen(port + 1) + 1);
    rest = strchr(text, ':');
    if (rest == NULL)
        return false;
    *rest++ = '\0';
    if (!du_parse_u64(text, UINT16_MAX, &number) || number == 0)
        return false;
    while ((one = strsep(&rest, ",")) != NULL) {
        unsigned char ignored[16];

        if (inet_pton(AF_INET, one, ignored) != 1 && inet_pton(AF_INET6, one, ignored) != 1)
            return false;
    }
    return true;
}

static defupd_code read_addresses(struct du_source *source, const char *list, defupd_error *err)
{
    DU_AUTO_FREE char *copy = du_strdup(list);
    char *rest = copy, *entry;

    if (list != NULL && copy == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for addresses");
    while ((entry = strsep(&rest, " \t\n")) != NULL) {
        struct curl_slist *longer;

        if (entry[0] == '\0')
            continue;
        if (!address_ok(entry))
            return DU_FAIL(err, DEFUPD_E_INVALID,
                           "addresses: '%s' is not HOST:PORT:ADDRESS[,ADDRESS...]", entry);
        longer = curl_slist_append(source->addresses, entry);
        if (longer == NULL)
            return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for addresses");
        source->addresses = longer;
    }
    return DEFUPD_OK;
}

defupd_code du_auth_take(char **user, char **password, const char *auth, defupd_error *err)
{
    const char *colon = auth != NULL ? strchr(auth, ':') : NULL;

    if (colon == NULL)
        return DEFUPD_OK;
    free(*user);
    du_text_wipe(*password);
    *user = strndup(auth, (size_t)(colon - auth));
    *password = strdup(colon + 1);
    return *user != NULL && *password != NULL
               ? DEFUPD_OK
               : DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a source");
}

static defupd_code read_given(struct du_fetch *fetch, struct du_source *source,
                              const defupd_source *given, defupd_error *err)
{
    source->given = given;
    if (given->attempts != 0 || given->kind == DEFUPD_SOURCE_RELAY)
        source->attempts = given->attempts != 0 ? given->attempts : RELAY_ATTEMPTS;
    DU_TRY(du_site_parse(&source->site, "source", given->url, err));
    DU_TRY(du_auth_take(&source->site.user, &source->site.password, given->auth, err));
    if (given->object_url != NULL)
        DU_TRY(du_site_parse(&source->objects, "object_url", given->object_url, err));
    DU_TRY(read_addresses(source, given->addresses, err));
    return du_proxy_read(fetch, source, err);
}

/* Its own failures free it. */
static defupd_code add(struct du_fetch *fetch, const char *url, const defupd_source *given,
                       defupd_error *err)
{
    struct du_source *source = &fetch->source[fetch->sources];
    defupd_code rc;

    source->attempts = fetch->options.attempts != 0 ? fetch->options.attempts : 1;
    if (given != NULL) {
        rc = read_given(fetch, source, given, err);
    } else {
        rc = du_site_parse(&source->site, "source", url, err);
        if (rc == DEFUPD_OK)
            rc = du_proxy_read(fetch, source, err);
    }
    if (rc != DEFUPD_OK)
        du_source_free(source);
    else
        fetch->sources++;
    return rc;
}

static void swap(const defupd_source **a, const defupd_source **b)
{
    const defupd_source *const kept = *a;

    *a = *b;
    *b = kept;
}

/* Clients that all began with the same relay would make it the only one that works. */
static void shuffle(const struct du_sys *sys, const defupd_source **list, size_t count)
{
    for (size_t left = count; left > 1; left--) {
        uint32_t lot = 0;

        if (sys->random(&lot, sizeof lot) != 0)
            return; /* any order will do */
        swap(&list[left - 1], &list[lot % left]);
    }
}

/* Move what is of the kind (and group, when there is one) to the front, in the order they are in.
 * Returns how many these are. */
static size_t gather(const defupd_source **list, size_t count, uint32_t kind, const uint32_t *group)
{
    size_t found = 0;

    for (size_t i = 0; i < count; i++) {
        if (list[i]->kind != kind || (group != NULL && list[i]->group != *group))
            continue;
        for (size_t at = i; at > found; at--)
            swap(&list[at], &list[at - 1]);
        found++;
    }
    return found;
}

/* Returns how many are left to be asked. */
static size_t arrange(struct du_fetch *fetch, const defupd_source **list, size_t count)
{
    const size_t relays = gather(list, count, DEFUPD_SOURCE_RELAY, NULL);

    for (size_t done = 0; done < relays;) {
        const uint32_t group = list[done]->group;
        const size_t of_group = gather(list + done, relays - done, DEFUPD_SOURCE_RELAY, &group);

        shuffle(fetch->sys, list + done, of_group);
        done += of_group;
    }
    fetch->barred = fetch->options.relays_only && relays > 0 && relays < count;
    return fetch->barred ? relays : count;
}

defupd_code du_sources_read(struct du_fetch *fetch, defupd_error *err)
{
    const struct du_fetch_options *options = &fetch->options;
    DU_AUTO_FREE const defupd_source **order = NULL;
    size_t count = 0;

    if (options->source_list != NULL) {
        while (options->source_list[count] != NULL)
            count++;
    } else {
        while (options->sources != NULL && options->sources[count] != NULL)
            count++;
    }
    if (count == 0)
        return DEFUPD_OK;
    fetch->source = calloc(count, sizeof *fetch->source);
    order = calloc(count, sizeof(defupd_source *));
    if (fetch->source == NULL || order == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for %zu sources", count);
    if (options->source_list != NULL) {
        for (size_t i = 0; i < count; i++)
            order[i] = options->source_list[i];
        count = arrange(fetch, order, count);
    }
    for (size_t i = 0; i < count; i++) {
        const char *url = order[i] != NULL ? order[i]->url : options->sources[i];
        const defupd_code rc = add(fetch, url, order[i], err);

        if (rc != DEFUPD_OK && order[i] != NULL) {
            DU_AUTO_FREE char *name = du_url_shown(url);
            return du_err_prefix(err, "source %s", name != NULL ? name : "");
        }
        DU_TRY(rc);
    }
    return DEFUPD_OK;
}
