/* SPDX-License-Identifier: Apache-2.0 */
/* Metadata as TUF 1.0.34, section 4, writes it: documents and their contents. Checking what is
 * there is trust/'s business. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/when.h"
#include "crypto/crypto.h"
#include "publish/publish_priv.h"

#define SPEC_VERSION "1.0.34"

struct role_facts {
    const char *name; /* NULL: the component's */
    const char *type, *body;
    enum du_key_type key_type;
    size_t max;
};
/* docs/formats/repository.md has the same table. */
static const struct role_facts roles[] = {
    [DU_ROLE_ROOT] = { "root", "root", "keys", DU_KEY_ECDSA_P256, DU_ROOT_MAX },
    [DU_ROLE_TARGETS] = { "targets", "targets", "targets", DU_KEY_ECDSA_P256, DU_TARGETS_MAX },
    [DU_ROLE_SNAPSHOT] = { "snapshot", "snapshot", "meta", DU_KEY_ED25519, DU_SNAPSHOT_MAX },
    [DU_ROLE_TIMESTAMP] = { "timestamp", "timestamp", "meta", DU_KEY_ED25519, DU_TIMESTAMP_MAX },
    [DU_ROLE_COMPONENT] = { NULL, "targets", "targets", DU_KEY_ECDSA_P256, DU_TARGETS_MAX },
};

const char *du_role_name(enum du_role role)
{
    return roles[role].name;
}

bool du_role_parse(const char *name, enum du_role *role)
{
    for (unsigned i = 0; i < DU_ROLES; i++) {
        if (strcmp(name, roles[i].name) == 0) {
            *role = (enum du_role)i;
            return true;
        }
    }
    return false;
}

bool du_role_of(const char *name, enum du_role *role)
{
    if (du_role_parse(name, role))
        return true;
    *role = DU_ROLE_COMPONENT;
    return du_name_ok(name);
}

enum du_key_type du_role_key_type(enum du_role role)
{
    return roles[role].key_type;
}

size_t du_role_max(enum du_role role)
{
    return roles[role].max;
}

void du_role_file(char file[DU_META_NAME], const char *name, uint64_t version)
{
    if (strcmp(name, roles[DU_ROLE_TIMESTAMP].name) == 0)
        (void)snprintf(file, DU_META_NAME, "%s.json", name);
    else
        (void)snprintf(file, DU_META_NAME, "%llu.%s.json", (unsigned long long)version, name);
}

/* --- documents --- */

void du_role_doc_free(struct du_role_doc *doc)
{
    du_buf_free(&doc->bytes);
    du_json_free(doc->json);
    du_json_free(doc->part);
    du_json_free(doc->signatures);
    *doc = (struct du_role_doc){ 0 };
}

defupd_code du_role_doc_parse(struct du_role_doc *doc, const char *name, const char *what,
                              defupd_error *err)
{
    const struct du_json *part;
    const char *type, *expires;
    int64_t version = 0;

    if (!du_role_of(name, &doc->role))
        return DU_FAIL(err, DEFUPD_E_BUG, "%s: no role", name);
    if (name != doc->name)
        (void)snprintf(doc->name, sizeof doc->name, "%s", name);
    DU_TRY(du_json_parse(&doc->json, du_buf_bytes(&doc->bytes), what, err));
    part = du_json_object(doc->json, "signed");
    type = du_json_string(part, "_type");
    expires = du_json_string(part, "expires");
    if (type == NULL || strcmp(type, roles[doc->role].type) != 0)
        return DU_FAIL(err, DEFUPD_E_METADATA_FORMAT, "%s: _type is '%s', expected '%s'", what,
                       type != NULL ? type : "", roles[doc->role].type);
    if (!du_json_int(part, "version", &version) || version < 1)
        return DU_FAIL(err, DEFUPD_E_METADATA_FORMAT, "%s: no version of 1 or higher", what);
    if (expires == NULL || !du_time_parse(expires, &doc->expires))
        return DU_FAIL(err, DEFUPD_E_METADATA_FORMAT, "%s: no expiry date", what);
    doc->version = (uint64_t)version;
    return DEFUPD_OK;
}

const struct du_json *du_role_doc_part(const struct du_role_doc *doc)
{
    return doc->part != NULL ? doc->part : du_json_object(doc->json, "signed");
}

/* --- sets --- */

void du_role_set_free(struct du_role_set *set)
{
    for (unsigned i = 0; i < DU_ROLES; i++)
        du_role_doc_free(&set->doc[i]);
    for (size_t i = 0; i < set->components; i++)
        du_role_doc_free(&set->component[i]);
    free(set->component);
    *set = (struct du_role_set){ 0 };
}

static bool is_there(const struct du_role_doc *doc)
{
    return doc->json != NULL || doc->part != NULL;
}

struct du_role_doc *du_role_set_find(const struct du_role_set *set, const char *name)
{
    enum du_role role;

    if (du_role_parse(name, &role))
        return is_there(&set->doc[role]) ? (struct du_role_doc *)(uintptr_t)&set->doc[role] : NULL;
    for (size_t i = 0; i < set->components; i++)
        if (strcmp(set->component[i].name, name) == 0)
            return &set->component[i];
    return NULL;
}

struct du_role_doc *du_role_set_slot(struct du_role_set *set, const char *name)
{
    struct du_role_doc *more = du_role_set_find(set, name);
    enum du_role role;

    if (more != NULL)
        return more;
    if (du_role_parse(name, &role)) {
        more = &set->doc[role];
        more->role = role;
    } else {
        more = reallocarray(set->component, set->components + 1, sizeof *more);
        if (more == NULL)
            return NULL;
        set->component = more;
        more = &set->component[set->components++];
        *more = (struct du_role_doc){ .role = DU_ROLE_COMPONENT };
    }
    (void)snprintf(more->name, sizeof more->name, "%s", name);
    return more;
}

struct du_role_doc *du_role_set_at(const struct du_role_set *set, size_t *at)
{
    const size_t all = DU_ROLES + set->components;

    while (*at < all) {
        const size_t i = (*at)++;
        const struct du_role_doc *doc = i < 2                     ? &set->doc[i]
                                        : i < 2 + set->components ? &set->component[i - 2]
                                                                  : &set->doc[i - set->components];
        if (is_there(doc))
            return (struct du_role_doc *)(uintptr_t)doc;
    }
    return NULL;
}

/* --- contents --- */

struct du_json *du_part_new(enum du_role role)
{
    DU_AUTO_JSON *part = du_json_new_object();

    if (part == NULL || !du_json_set(part, "_type", du_json_new_string(roles[role].type)) ||
        !du_json_set(part, "spec_version", du_json_new_string(SPEC_VERSION)) ||
        !du_json_set(part, roles[role].body, du_json_new_object()))
        return NULL;
    if (role == DU_ROLE_ROOT &&
        (!du_json_set(part, "consistent_snapshot", du_json_new_bool(true)) ||
         !du_json_set(part, "roles", du_json_new_object())))
        return NULL;
    return du_take(&part);
}

bool du_part_version(struct du_json *part, uint64_t version)
{
    return du_json_set(part, "version", du_json_new_int((int64_t)version));
}

bool du_part_expires(struct du_json *part, int64_t expires)
{
    char text[DU_TIME_TEXT];

    du_time_format(text, expires);
    return du_json_set(part, "expires", du_json_new_string(text));
}

bool du_part_set_below(struct du_json *part, const char *object, const char *key,
                       struct du_json *value)
{
    DU_AUTO_JSON *copy = du_json_copy(du_json_object(part, object));

    if (copy == NULL) {
        du_json_free(value);
        return false;
    }
    return du_json_set(copy, key, value) && du_json_set(part, object, du_take(&copy));
}

/* {"hashes": {"sha256": ...}, "length": n} */
static struct du_json *file_facts(struct du_bytes bytes)
{
    DU_AUTO_JSON *facts = du_json_new_object(), *hashes = du_json_new_object();
    unsigned char digest[DU_SHA256_BYTES];
    char hex[DU_SHA256_HEX + 1];

    du_sha256(digest, bytes.data, bytes.len);
    du_hex(hex, digest, sizeof digest);
    if (facts == NULL || hashes == NULL ||
        !du_json_set(hashes, "sha256", du_json_new_string(hex)) ||
        !du_json_set(facts, "hashes", du_take(&hashes)) ||
        !du_json_set(facts, "length", du_json_new_int((int64_t)bytes.len)))
        return NULL;
    return du_take(&facts);
}

bool du_part_state(struct du_json *part, const struct du_role_doc *doc)
{
    DU_AUTO_JSON *facts = file_facts(du_buf_bytes(&doc->bytes));
    char name[DU_META_NAME];

    (void)snprintf(name, sizeof name, "%s.json", doc->name);
    return facts != NULL && du_json_set(facts, "version", du_json_new_int((int64_t)doc->version)) &&
           du_part_set_below(part, "meta", name, du_take(&facts));
}

bool du_part_target(struct du_json *part, const char *component, struct du_bytes manifest)
{
    DU_AUTO_JSON *facts = file_facts(manifest);
    char path[DU_META_NAME];

    (void)snprintf(path, sizeof path, "%s/manifest.xml", component);
    return facts != NULL && du_part_set_below(part, "targets", path, du_take(&facts));
}
