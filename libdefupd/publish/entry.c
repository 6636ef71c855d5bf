/* SPDX-License-Identifier: Apache-2.0 */
/* Who may sign a role: the role's entry in root, or, for a component, its delegation in targets.
 * How long a role's metadata lives stands in its entry too ("x-defupd-days"): so it is signed by
 * whoever may change it, travels with the repository, and other TUF tools pass over it. */
#include <stdio.h>
#include <string.h>

#include "publish/publish_priv.h"

#define DAY_S (24 * 3600)
#define DAYS_FIELD "x-defupd-days"

/* docs/formats/repository.md has the same table. */
static const int64_t default_days[] = { [DU_ROLE_ROOT] = 365,
                                        [DU_ROLE_TARGETS] = 90,
                                        [DU_ROLE_SNAPSHOT] = 7,
                                        [DU_ROLE_TIMESTAMP] = 1,
                                        [DU_ROLE_COMPONENT] = 90 };

struct du_authority du_authority_of(const struct du_json *root, const struct du_json *targets,
                                    const char *name)
{
    const struct du_json *delegations = du_json_object(targets, "delegations");
    const struct du_json *roles = du_json_array(delegations, "roles");
    enum du_role role;

    if (du_role_parse(name, &role))
        return (struct du_authority){ du_json_object(root, "keys"),
                                      du_json_object(du_json_object(root, "roles"), name) };
    for (size_t i = 0; i < du_json_count(roles); i++) {
        const char *here = du_json_string(du_json_at(roles, i), "name");
        if (here != NULL && strcmp(here, name) == 0)
            return (struct du_authority){ du_json_object(delegations, "keys"),
                                          du_json_at(roles, i) };
    }
    return (struct du_authority){ NULL, NULL };
}

int64_t du_authority_threshold(struct du_authority authority)
{
    int64_t threshold;

    if (!du_json_int(authority.entry, "threshold", &threshold) || threshold < 1)
        return INT64_MAX;
    return threshold;
}

size_t du_authority_count(struct du_authority authority)
{
    return du_json_count(du_json_array(authority.entry, "keyids"));
}

const char *du_authority_keyid(struct du_authority authority, size_t index)
{
    const char *id = du_json_text(du_json_at(du_json_array(authority.entry, "keyids"), index));

    return id != NULL ? id : "";
}

bool du_authority_names(struct du_authority authority, const char *keyid)
{
    for (size_t i = 0; i < du_authority_count(authority); i++)
        if (strcmp(du_authority_keyid(authority, i), keyid) == 0)
            return true;
    return false;
}

int64_t du_entry_days(struct du_authority authority)
{
    int64_t days;

    if (!du_json_int(authority.entry, DAYS_FIELD, &days) || days < 1 || days > DU_DAYS_MAX)
        return 0;
    return days;
}

int64_t du_authority_life_s(struct du_authority authority, enum du_role role)
{
    const int64_t days = du_entry_days(authority);

    return (days != 0 ? days : default_days[role]) * DAY_S;
}

bool du_authority_same(struct du_authority a, struct du_authority b)
{
    if (du_authority_threshold(a) != du_authority_threshold(b) ||
        du_authority_count(a) != du_authority_count(b))
        return false;
    for (size_t i = 0; i < du_authority_count(a); i++)
        if (!du_authority_names(b, du_authority_keyid(a, i)))
            return false;
    return true;
}

/* --- editing --- */

/* A key that no role names has no business in the metadata: whoever reads it would wonder. */
static struct du_json *named_keys(const struct du_json *keys, const struct du_keyring *ring,
                                  bool (*named)(const void *, const char *), const void *in)
{
    DU_AUTO_JSON *kept = du_json_new_object();

    for (void *i = du_json_first(keys); kept != NULL && i != NULL; i = du_json_next(keys, i))
        if (named(in, du_json_iter_key(i)) &&
            !du_json_set(kept, du_json_iter_key(i), du_json_copy(du_json_iter_value(i))))
            return NULL;
    for (size_t i = 0; kept != NULL && ring != NULL && i < ring->count; i++)
        if (named(in, ring->key[i].id) && !du_json_has(kept, ring->key[i].id) &&
            !du_json_set(kept, ring->key[i].id, du_json_copy(ring->key[i].public)))
            return NULL;
    return du_take(&kept);
}

static bool root_names(const void *in, const char *keyid)
{
    const struct du_json *roles = in;

    for (void *i = du_json_first(roles); i != NULL; i = du_json_next(roles, i))
        if (du_authority_names((struct du_authority){ NULL, du_json_iter_value(i) }, keyid))
            return true;
    return false;
}

static bool delegation_names(const void *in, const char *keyid)
{
    const struct du_json *roles = in;

    for (size_t i = 0; i < du_json_count(roles); i++)
        if (du_authority_names((struct du_authority){ NULL, du_json_at(roles, i) }, keyid))
            return true;
    return false;
}

/* Takes over `keyids`. */
static bool fill(struct du_json *entry, struct du_json *keyids, int64_t threshold, int64_t days)
{
    if (!du_json_set(entry, "keyids", keyids) ||
        !du_json_set(entry, "threshold", du_json_new_int(threshold)))
        return false;
    if (days != 0)
        return du_json_set(entry, DAYS_FIELD, du_json_new_int(days));
    du_json_remove(entry, DAYS_FIELD);
    return true;
}

static bool set_top(struct du_json *part, const char *name, struct du_json *keyids,
                    int64_t threshold, int64_t days, const struct du_keyring *ring)
{
    const struct du_json *old = du_json_object(du_json_object(part, "roles"), name);
    DU_AUTO_JSON *entry = old != NULL ? du_json_copy(old) : du_json_new_object();
    DU_AUTO_JSON *keys = NULL;

    if (entry == NULL) {
        du_json_free(keyids);
        return false;
    }
    if (!fill(entry, keyids, threshold, days) ||
        !du_part_set_below(part, "roles", name, du_take(&entry)))
        return false;
    keys =
        named_keys(du_json_object(part, "keys"), ring, root_names, du_json_object(part, "roles"));
    return keys != NULL && du_json_set(part, "keys", du_take(&keys));
}

/* The delegations anew: `name`'s entry replaced. */
static bool set_delegated(struct du_json *part, const char *name, struct du_json *keyids,
                          int64_t threshold, int64_t days, const struct du_keyring *ring)
{
    const struct du_json *old = du_json_object(part, "delegations");
    DU_AUTO_JSON *taken = keyids, *whole = du_json_copy(old), *roles = du_json_new_array();
    const struct du_json *before = du_json_array(old, "roles");
    DU_AUTO_JSON *keys = NULL;

    if (whole == NULL || roles == NULL)
        return false;
    for (size_t i = 0; i < du_json_count(before); i++) {
        DU_AUTO_JSON *entry = du_json_copy(du_json_at(before, i));
        const char *here = du_json_string(entry, "name");
        if (entry == NULL || (here != NULL && strcmp(here, name) == 0 &&
                              !fill(entry, du_take(&taken), threshold, days)))
            return false;
        if (!du_json_append(roles, du_take(&entry)))
            return false;
    }
    keys = named_keys(du_json_object(old, "keys"), ring, delegation_names, roles);
    return keys != NULL && du_json_set(whole, "keys", du_take(&keys)) &&
           du_json_set(whole, "roles", du_take(&roles)) &&
           du_json_set(part, "delegations", du_take(&whole));
}

bool du_entry_set(struct du_json *part, const char *name, struct du_json *keyids, int64_t threshold,
                  int64_t days, const struct du_keyring *ring)
{
    enum du_role role;

    return du_role_parse(name, &role) ? set_top(part, name, keyids, threshold, days, ring)
                                      : set_delegated(part, name, keyids, threshold, days, ring);
}

bool du_entry_delegate(struct du_json *part, const char *name)
{
    const struct du_json *old = du_json_object(part, "delegations");
    DU_AUTO_JSON *whole = old != NULL ? du_json_copy(old) : du_json_new_object();
    DU_AUTO_JSON *roles = NULL, *entry = du_json_new_object(), *paths = du_json_new_array();
    char path[DU_META_NAME];

    (void)snprintf(path, sizeof path, "%s/*", name);
    if (whole == NULL || entry == NULL || paths == NULL ||
        !du_json_append(paths, du_json_new_string(path)) ||
        !du_json_set(entry, "name", du_json_new_string(name)) ||
        !du_json_set(entry, "paths", du_take(&paths)) ||
        /* Nobody after it speaks for these paths, whatever is delegated later. */
        !du_json_set(entry, "terminating", du_json_new_bool(true)))
        return false;
    roles = old != NULL ? du_json_copy(du_json_array(old, "roles")) : du_json_new_array();
    if (roles == NULL || !du_json_append(roles, du_take(&entry)) ||
        !du_json_set(whole, "roles", du_take(&roles)))
        return false;
    if (old == NULL && !du_json_set(whole, "keys", du_json_new_object()))
        return false;
    return du_json_set(part, "delegations", du_take(&whole));
}
