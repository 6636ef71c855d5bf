/* SPDX-License-Identifier: Apache-2.0 */
/* Looking at what is trusted. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/name.h"
#include "base/scope.h"
#include "trust/trust_priv.h"

struct du_doc *du_trust_doc(const struct du_trust *trust, const char *role)
{
    if (strcmp(role, "root") == 0)
        return trust->root;
    if (strcmp(role, "timestamp") == 0)
        return trust->timestamp;
    if (strcmp(role, "snapshot") == 0)
        return trust->snapshot;
    if (strcmp(role, "targets") == 0)
        return trust->targets;
    for (size_t i = 0; i < trust->delegated_count; i++) {
        if (strcmp(trust->delegated[i].name, role) == 0)
            return trust->delegated[i].doc;
    }
    return NULL;
}

uint64_t du_trust_version(const struct du_trust *trust, const char *role)
{
    const struct du_doc *doc = du_trust_doc(trust, role);

    return doc != NULL ? doc->version : 0;
}

int64_t du_trust_expires(const struct du_trust *trust, const char *role)
{
    const struct du_doc *doc = du_trust_doc(trust, role);

    return doc != NULL ? doc->expires : 0;
}

bool du_trust_digest(const struct du_trust *trust, const char *role,
                     unsigned char sha256[DU_SHA256_BYTES])
{
    const struct du_doc *doc = du_trust_doc(trust, role);

    if (doc != NULL)
        memcpy(sha256, doc->sha256, DU_SHA256_BYTES);
    return doc != NULL;
}

defupd_code du_trust_check_role(const struct du_trust *trust, const char *role,
                                const struct du_trust_time *time, defupd_error *err)
{
    const struct du_doc *doc = du_trust_doc(trust, role);
    const bool grace = strcmp(role, "timestamp") == 0 || strcmp(role, "snapshot") == 0;

    return doc == NULL ? DEFUPD_OK
                       : du_expiry_check(doc, role, time, grace, "trusted metadata", err);
}

defupd_code du_trust_check_expiry(const struct du_trust *trust, int64_t now, uint64_t grace_s,
                                  defupd_error *err)
{
    static const char *const role[] = { "root", "timestamp", "snapshot", "targets" };
    const struct du_trust_time time = { now, grace_s };

    for (size_t i = 0; i < sizeof role / sizeof role[0]; i++)
        DU_TRY(du_trust_check_role(trust, role[i], &time, err));
    return DEFUPD_OK;
}

/* --- components --- */

struct names {
    char (*name)[DU_NAME_MAX + 1];
    size_t count, room;
};

/* The component in "tetra/SUFFIX"; false for other paths. */
static bool component_of(const char *path, const char *suffix, char name[DU_NAME_MAX + 1])
{
    const char *slash = strchr(path, '/');
    const size_t len = slash != NULL ? (size_t)(slash - path) : 0;

    if (len == 0 || len > DU_NAME_MAX || strcmp(slash + 1, suffix) != 0)
        return false;
    memcpy(name, path, len);
    name[len] = '\0';
    return du_name_ok(name);
}

static void note(struct names *names, const char *path)
{
    char name[DU_NAME_MAX + 1];

    if (names->count < names->room &&
        (component_of(path, "manifest.xml", name) || component_of(path, "*", name)))
        memcpy(names->name[names->count++], name, sizeof name);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void tell(struct names *names, void (*each)(void *user, const char *name), void *user)
{
    qsort(names->name, names->count, sizeof *names->name, compare_names);
    for (size_t i = 0; i < names->count; i++) {
        if (i == 0 || strcmp(names->name[i - 1], names->name[i]) != 0)
            each(user, names->name[i]);
    }
}

defupd_code du_trust_components(const struct du_trust *trust,
                                void (*each)(void *user, const char *name), void *user,
                                defupd_error *err)
{
    const struct du_json *targets, *roles;
    struct names names = { NULL, 0, 1 };

    if (trust->targets == NULL)
        return DEFUPD_OK;
    targets = du_json_object(trust->targets->content, "targets");
    roles = du_json_array(du_json_object(trust->targets->content, "delegations"), "roles");
    names.room += du_json_count(targets);
    for (size_t i = 0; i < du_json_count(roles); i++)
        names.room += du_json_count(du_json_array(du_json_at(roles, i), "paths"));
    names.name = calloc(names.room, sizeof *names.name);
    if (names.name == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for the names of components");
    for (void *i = du_json_first(targets); i != NULL; i = du_json_next(targets, i)) {
        if (strchr(du_json_iter_key(i), '*') == NULL) /* a path here, no pattern */
            note(&names, du_json_iter_key(i));
    }
    for (size_t i = 0; i < du_json_count(roles); i++) {
        const struct du_json *paths = du_json_array(du_json_at(roles, i), "paths");
        for (size_t j = 0; j < du_json_count(paths); j++)
            note(&names, du_json_text(du_json_at(paths, j)));
    }
    tell(&names, each, user);
    free(names.name);
    return DEFUPD_OK;
}

/* --- roles --- */

static void show_role(const struct du_trust *trust, const char *name, const struct du_json *keys,
                      const struct du_json *role,
                      void (*each)(void *user, const struct du_role_info *role), void *user)
{
    const struct du_json *keyids = du_json_array(role, "keyids");
    DU_AUTO_BUF text = DU_BUF(64U * 1024);
    defupd_error full = { 0 };
    int64_t threshold = 0;
    struct du_role_info info = { .name = name };

    for (size_t i = 0; i < du_json_count(keyids); i++) {
        const char *keyid = du_json_text(du_json_at(keyids, i));
        const char *keytype = du_json_string(du_json_object(keys, keyid), "keytype");
        if (du_buf_printf(&text, &full, "%s%s:%s", text.len > 0 ? " " : "",
                          keytype != NULL ? keytype : "unknown", keyid) != DEFUPD_OK)
            break; /* enough for people to read */
    }
    (void)du_json_int(role, "threshold", &threshold);
    info.threshold = threshold > UINT32_MAX ? UINT32_MAX : (uint32_t)threshold;
    info.version = du_trust_version(trust, name);
    info.expires = du_trust_expires(trust, name);
    info.keyids = du_buf_text(&text);
    each(user, &info);
}

void du_trust_roles(const struct du_trust *trust,
                    void (*each)(void *user, const struct du_role_info *role), void *user)
{
    static const char *const top[] = { "root", "timestamp", "snapshot", "targets" };
    const struct du_json *keys = du_json_object(trust->root->content, "keys");
    const struct du_json *roles = du_json_object(trust->root->content, "roles");
    const struct du_json *delegations;

    for (size_t i = 0; i < sizeof top / sizeof top[0]; i++)
        show_role(trust, top[i], keys, du_json_object(roles, top[i]), each, user);
    if (trust->targets == NULL)
        return;
    delegations = du_json_object(trust->targets->content, "delegations");
    keys = du_json_object(delegations, "keys");
    roles = du_json_array(delegations, "roles");
    for (size_t i = 0; i < du_json_count(roles); i++)
        show_role(trust, du_json_string(du_json_at(roles, i), "name"), keys, du_json_at(roles, i),
                  each, user);
}
