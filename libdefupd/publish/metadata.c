/* SPDX-License-Identifier: Apache-2.0 */
/* Metadata as TUF 1.0.34, section 4, writes it: building and signing. Checking what is there is
 * trust/'s business. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/when.h"
#include "crypto/crypto.h"
#include "publish/publish_priv.h"

#define SPEC_VERSION "1.0.34"
#define DAY_S (24 * 3600)
#define SIGNATURE_MAX 1024 /* bytes; RSA with 8192 bits */

struct role_facts {
    const char *name;
    enum du_key_type key_type;
    int64_t life_s;
    size_t max;
};
/* docs/formats/repository.md has the same table. */
static const struct role_facts roles[DU_ROLES] = {
    [DU_ROLE_ROOT] = { "root", DU_KEY_ECDSA_P256, 365 * DAY_S, DU_ROOT_MAX },
    [DU_ROLE_TARGETS] = { "targets", DU_KEY_ECDSA_P256, 90 * DAY_S, DU_TARGETS_MAX },
    [DU_ROLE_SNAPSHOT] = { "snapshot", DU_KEY_ED25519, 7 * DAY_S, DU_SNAPSHOT_MAX },
    [DU_ROLE_TIMESTAMP] = { "timestamp", DU_KEY_ED25519, DAY_S, DU_TIMESTAMP_MAX },
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

enum du_key_type du_role_key_type(enum du_role role)
{
    return roles[role].key_type;
}

int64_t du_role_life_s(enum du_role role)
{
    return roles[role].life_s;
}

size_t du_role_max(enum du_role role)
{
    return roles[role].max;
}

void du_role_doc_free(struct du_role_doc *doc)
{
    du_buf_free(&doc->bytes);
    du_json_free(doc->json);
    *doc = (struct du_role_doc){ 0 };
}

defupd_code du_role_doc_parse(struct du_role_doc *doc, enum du_role role, const char *what,
                              defupd_error *err)
{
    const struct du_json *part;
    const char *type, *expires;
    int64_t version = 0;

    DU_TRY(du_json_parse(&doc->json, du_buf_bytes(&doc->bytes), what, err));
    part = du_json_object(doc->json, "signed");
    type = du_json_string(part, "_type");
    expires = du_json_string(part, "expires");
    if (type == NULL || strcmp(type, roles[role].name) != 0)
        return DU_FAIL(err, DEFUPD_E_METADATA_FORMAT, "%s: _type is '%s', expected '%s'", what,
                       type != NULL ? type : "", roles[role].name);
    if (!du_json_int(part, "version", &version) || version < 1)
        return DU_FAIL(err, DEFUPD_E_METADATA_FORMAT, "%s: no version of 1 or higher", what);
    if (expires == NULL || !du_time_parse(expires, &doc->expires))
        return DU_FAIL(err, DEFUPD_E_METADATA_FORMAT, "%s: no expiry date", what);
    doc->version = (uint64_t)version;
    return DEFUPD_OK;
}

/* Key ids of a role, and how many of them the ring can sign with. */
static const struct du_json *role_keyids(const struct du_keyring *ring, const struct du_json *root,
                                         enum du_role role, int64_t *threshold, int64_t *have)
{
    const struct du_json *entry = du_json_object(du_json_object(root, "roles"), roles[role].name);
    const struct du_json *keyids = du_json_array(entry, "keyids");

    *have = 0;
    if (!du_json_int(entry, "threshold", threshold) || *threshold < 1)
        *threshold = INT64_MAX;
    for (size_t i = 0; i < du_json_count(keyids); i++) {
        const char *id = du_json_text(du_json_at(keyids, i));
        if (id != NULL && du_keyring_find(ring, id) != NULL)
            ++*have;
    }
    return keyids;
}

defupd_code du_role_can_sign(const struct du_keyring *ring, const struct du_json *root,
                             enum du_role role, const char *dir, defupd_error *err)
{
    int64_t threshold, have;

    (void)role_keyids(ring, root, role, &threshold, &have);
    if (have < threshold)
        return DU_FAIL(err, DEFUPD_E_KEY,
                       "%s holds %lld of the keys of role '%s', which needs %lld", dir,
                       (long long)have, roles[role].name, (long long)threshold);
    return DEFUPD_OK;
}

static defupd_code add_signature(struct du_json *signatures, const struct du_signer *signer,
                                 struct du_bytes message, defupd_error *err)
{
    DU_AUTO_BUF raw = DU_BUF(SIGNATURE_MAX);
    DU_AUTO_JSON *entry = du_json_new_object();
    char hex[2 * SIGNATURE_MAX + 1];

    DU_TRY(du_signer_sign(signer, message, &raw, err));
    du_hex(hex, raw.data, raw.len);
    if (entry == NULL || !du_json_set(entry, "keyid", du_json_new_string(du_signer_id(signer))) ||
        !du_json_set(entry, "sig", du_json_new_string(hex)) ||
        !du_json_append(signatures, du_take(&entry)))
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a signature");
    return DEFUPD_OK;
}

defupd_code du_role_doc_sign(struct du_role_doc *doc, const struct du_keyring *ring,
                             const struct du_json *root, enum du_role role, struct du_json *part,
                             defupd_error *err)
{
    DU_AUTO_JSON *content = part, *signatures = du_json_new_array(), *whole = du_json_new_object();
    DU_AUTO_BUF message = DU_BUF(roles[role].max);
    DU_AUTO_ROLE_DOC made = { .bytes = DU_BUF(roles[role].max) };
    const struct du_json *keyids;
    int64_t threshold, have;

    if (content == NULL || signatures == NULL || whole == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for role '%s'", roles[role].name);
    keyids = role_keyids(ring, root, role, &threshold, &have);
    if (have < threshold)
        return DU_FAIL(err, DEFUPD_E_KEY, "%lld keys of role '%s', which needs %lld",
                       (long long)have, roles[role].name, (long long)threshold);
    DU_TRY(du_json_canonical(content, &message, err));
    for (size_t i = 0; i < du_json_count(keyids); i++) {
        const char *id = du_json_text(du_json_at(keyids, i));
        const struct du_ring_key *key = id == NULL ? NULL : du_keyring_find(ring, id);
        if (key != NULL)
            DU_TRY(add_signature(signatures, key->signer, du_buf_bytes(&message), err));
    }
    if (!du_json_set(whole, "signatures", du_take(&signatures)) ||
        !du_json_set(whole, "signed", du_take(&content)))
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for role '%s'", roles[role].name);
    DU_TRY(du_json_pretty(whole, &made.bytes, err));
    /* Read back as anybody would: what cannot be parsed is never published. */
    DU_TRY(du_role_doc_parse(&made, role, roles[role].name, err));
    *doc = made;
    made = (struct du_role_doc){ 0 };
    return DEFUPD_OK;
}

static bool set_life(struct du_json *part, enum du_role role, uint64_t version, int64_t now)
{
    char expires[DU_TIME_TEXT];

    du_time_format(expires, now + roles[role].life_s);
    return du_json_set(part, "version", du_json_new_int((int64_t)version)) &&
           du_json_set(part, "expires", du_json_new_string(expires));
}

struct du_json *du_part_new(enum du_role role, uint64_t version, int64_t now)
{
    static const char *const body[DU_ROLES] = { [DU_ROLE_ROOT] = "keys",
                                                [DU_ROLE_TARGETS] = "targets",
                                                [DU_ROLE_SNAPSHOT] = "meta",
                                                [DU_ROLE_TIMESTAMP] = "meta" };
    DU_AUTO_JSON *part = du_json_new_object();

    if (part == NULL || !du_json_set(part, "_type", du_json_new_string(roles[role].name)) ||
        !du_json_set(part, "spec_version", du_json_new_string(SPEC_VERSION)) ||
        !set_life(part, role, version, now) || !du_json_set(part, body[role], du_json_new_object()))
        return NULL;
    if (role == DU_ROLE_ROOT &&
        (!du_json_set(part, "consistent_snapshot", du_json_new_bool(true)) ||
         !du_json_set(part, "roles", du_json_new_object())))
        return NULL;
    return du_take(&part);
}

struct du_json *du_part_next(const struct du_role_doc *doc, enum du_role role, uint64_t version,
                             int64_t now)
{
    DU_AUTO_JSON *part = du_json_copy(du_json_object(doc->json, "signed"));

    if (part == NULL || !set_life(part, role, version, now))
        return NULL;
    return du_take(&part);
}

/* Replace one entry of an object inside `part`; `value` is taken over. */
static bool set_below(struct du_json *part, const char *object, const char *key,
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

bool du_part_state(struct du_json *part, enum du_role of, const struct du_role_doc *doc)
{
    DU_AUTO_JSON *facts = file_facts(du_buf_bytes(&doc->bytes));
    char name[DU_META_NAME];

    (void)snprintf(name, sizeof name, "%s.json", roles[of].name);
    return facts != NULL && du_json_set(facts, "version", du_json_new_int((int64_t)doc->version)) &&
           set_below(part, "meta", name, du_take(&facts));
}

bool du_part_target(struct du_json *part, const char *component, struct du_bytes manifest)
{
    DU_AUTO_JSON *facts = file_facts(manifest);
    char path[DU_META_NAME];

    (void)snprintf(path, sizeof path, "%s/manifest.xml", component);
    return facts != NULL && set_below(part, "targets", path, du_take(&facts));
}

bool du_part_root_keys(struct du_json *part, const struct du_keyring *ring)
{
    for (unsigned r = 0; r < DU_ROLES; r++) {
        DU_AUTO_JSON *entry = du_json_new_object(), *keyids = du_json_new_array();

        if (entry == NULL || keyids == NULL)
            return false;
        for (size_t i = 0; i < ring->count; i++) {
            const struct du_ring_key *key = &ring->key[i];
            if (strcmp(key->role, roles[r].name) != 0)
                continue;
            if (!du_json_append(keyids, du_json_new_string(du_signer_id(key->signer))) ||
                !set_below(part, "keys", du_signer_id(key->signer),
                           du_json_copy(du_signer_public(key->signer))))
                return false;
        }
        if (!du_json_set(entry, "keyids", du_take(&keyids)) ||
            !du_json_set(entry, "threshold", du_json_new_int(1)) ||
            !set_below(part, "roles", roles[r].name, du_take(&entry)))
            return false;
    }
    return true;
}
