/* SPDX-License-Identifier: Apache-2.0 */
/* Metadata files: the envelope and the fields of each kind (section 4). Everything here is strict
 * about what it reads and silent about what it does not know. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/name.h"
#include "base/scope.h"
#include "base/when.h"
#include "trust/trust_priv.h"

void du_doc_free(struct du_doc *doc)
{
    if (doc != NULL)
        du_json_free(doc->json);
    free(doc);
}

void du_doc_freep(struct du_doc **doc)
{
    du_doc_free(*doc);
    *doc = NULL;
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The first text that stands twice in the list, which is sorted by this; NULL when none does. */
static const char *find_twice(const char **texts, size_t count)
{
    qsort(texts, count, sizeof *texts, compare_texts);
    for (size_t i = 1; i < count; i++) {
        if (strcmp(texts[i - 1], texts[i]) == 0)
            return texts[i];
    }
    return NULL;
}

/* 4.2: "The keyid MUST be unique in the "signatures" array: multiple signatures with the same keyid
 * are not allowed." */
static defupd_code check_signatures(const struct du_json *signatures, const char *what,
                                    defupd_error *err)
{
    const size_t count = du_json_count(signatures);
    DU_AUTO_FREE const char **keyids = calloc(count + 1, sizeof *keyids);
    const char *twice;

    if (keyids == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "%s: no memory", what);
    for (size_t i = 0; i < count; i++) {
        const struct du_json *entry = du_json_at(signatures, i);
        keyids[i] = du_json_string(entry, "keyid");
        if (keyids[i] == NULL || du_json_string(entry, "sig") == NULL)
            return DU_FAIL(err, DEFUPD_E_METADATA_FORMAT,
                           "%s: \"signatures\" is not a list of {keyid, sig}", what);
    }
    twice = find_twice(keyids, count);
    if (twice != NULL)
        return DU_FAIL(err, DEFUPD_E_SIGNATURE, "%s: two signatures of key %s", what, twice);
    return DEFUPD_OK;
}

defupd_code du_doc_parse(struct du_doc **out, struct du_bytes bytes, size_t max, const char *what,
                         defupd_error *err)
{
    DU_AUTO_DOC *doc = NULL;
    struct du_hash hash;

    if (bytes.len > max)
        return DU_FAIL(err, DEFUPD_E_METADATA_LIMIT, "%s: %zu bytes, expected at most %zu", what,
                       bytes.len, max);
    doc = calloc(1, sizeof *doc);
    if (doc == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "%s: no memory", what);
    DU_TRY(du_json_parse(&doc->json, bytes, what, err));
    doc->content = du_json_object(doc->json, "signed");
    if (doc->content == NULL)
        return DU_FAIL(err, DEFUPD_E_METADATA_FORMAT, "%s: no object \"signed\"", what);
    if (du_json_array(doc->json, "signatures") == NULL)
        return DU_FAIL(err, DEFUPD_E_METADATA_FORMAT,
                       "%s: \"signatures\" is not a list of {keyid, sig}", what);
    DU_TRY(check_signatures(du_json_array(doc->json, "signatures"), what, err));
    doc->length = bytes.len;
    du_sha256(doc->sha256, bytes.data, bytes.len);
    du_hash_init(&hash, DU_SHA512);
    du_hash_update(&hash, bytes.data, bytes.len);
    du_hash_final(&hash, doc->sha512);
    *out = du_take(&doc);
    return DEFUPD_OK;
}

/* 4.3, SPEC_VERSION: "clients MUST verify that it matches". A match is the major version. */
static defupd_code check_spec(const struct du_json *content, const char *what, defupd_error *err)
{
    const char *spec = du_json_string(content, "spec_version");
    const size_t digits = spec != NULL ? strspn(spec, "0123456789") : 0;

    if (digits == 0 || digits > 9 || spec[digits] != '.' || spec[0] == '0')
        return DU_FAIL(err, DEFUPD_E_METADATA_FORMAT, "%s: spec_version is \"%s\", expected 1.x",
                       what, spec != NULL ? spec : "");
    if (digits != 1 || spec[0] != '1')
        return DU_FAIL(err, DEFUPD_E_METADATA_NEWER,
                       "%s: spec_version is \"%s\", this client knows 1.x", what, spec);
    return DEFUPD_OK;
}

static bool get_version(const struct du_json *object, uint64_t *version)
{
    int64_t n;

    if (!du_json_int(object, "version", &n) || n < 1 || (uint64_t)n > DU_VERSION_MAX)
        return false;
    *version = (uint64_t)n;
    return true;
}

defupd_code du_doc_header(struct du_doc *doc, const char *type, const char *what, defupd_error *err)
{
    const char *found = du_json_string(doc->content, "_type");
    const char *expires = du_json_string(doc->content, "expires");

    if (found == NULL || strcmp(found, type) != 0)
        return DU_FAIL(err, DEFUPD_E_METADATA_FORMAT, "%s: _type is \"%s\", expected \"%s\"", what,
                       found != NULL ? found : "", type);
    DU_TRY(check_spec(doc->content, what, err));
    if (!get_version(doc->content, &doc->version))
        return DU_FAIL(err, DEFUPD_E_METADATA_FORMAT, "%s: version is not from 1 to 2^53-1", what);
    if (expires == NULL || !du_time_parse(expires, &doc->expires))
        return DU_FAIL(err, DEFUPD_E_METADATA_FORMAT,
                       "%s: expires is \"%s\", expected YYYY-MM-DDTHH:MM:SSZ", what,
                       expires != NULL ? expires : "");
    return DEFUPD_OK;
}

static defupd_code check_keys(const struct du_json *keys, const char *what, defupd_error *err)
{
    if (keys == NULL)
        return DU_FAIL(err, DEFUPD_E_METADATA_FORMAT, "%s: no object \"keys\"", what);
    for (void *i = du_json_first(keys); i != NULL; i = du_json_next(keys, i)) {
        const struct du_json *key = du_json_iter_value(i);
        if (du_json_string(key, "keytype") == NULL || du_json_string(key, "scheme") == NULL ||
            du_json_object(key, "keyval") == NULL)
            return DU_FAIL(err, DEFUPD_E_METADATA_FORMAT,
                           "%s: key %s lacks keytype, scheme or keyval", what, du_json_iter_key(i));
    }
    return DEFUPD_OK;
}

/* 4.3, THRESHOLD and KEYID: "a threshold of at least 1" since 1.0.34. */
static defupd_code check_signers(const struct du_json *role, const char *name, const char *what,
                                 defupd_error *err)
{
    const struct du_json *keyids = du_json_array(role, "keyids");
    int64_t threshold;

    if (keyids == NULL)
        return DU_FAIL(err, DEFUPD_E_METADATA_FORMAT, "%s: role %s has no list of keyids", what,
                       name);
    for (size_t i = 0; i < du_json_count(keyids); i++) {
        if (du_json_text(du_json_at(keyids, i)) == NULL)
            return DU_FAIL(err, DEFUPD_E_METADATA_FORMAT, "%s: role %s has a keyid that is no text",
                           what, name);
    }
    if (!du_json_int(role, "threshold", &threshold) || threshold < 1)
        return DU_FAIL(err, DEFUPD_E_METADATA_FORMAT, "%s: role %s has no threshold of at least 1",
                       what, name);
    return DEFUPD_OK;
}

defupd_code du_doc_root_fields(const struct du_doc *doc, const char *what, defupd_error *err)
{
    static const char *const needed[] = { "root", "timestamp", "snapshot", "targets" };
    const struct du_json *roles = du_json_object(doc->content, "roles");
    bool consistent;

    DU_TRY(check_keys(du_json_object(doc->content, "keys"), what, err));
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
        const struct du_json *role = du_json_object(roles, needed[i]);
        if (role == NULL)
            return DU_FAIL(err, DEFUPD_E_METADATA_FORMAT, "%s: no role %s", what, needed[i]);
        DU_TRY(check_signers(role, needed[i], what, err));
    }
    if (du_json_has(doc->content, "consistent_snapshot") &&
        !du_json_bool(doc->content, "consistent_snapshot", &consistent))
        return DU_FAIL(err, DEFUPD_E_METADATA_FORMAT, "%s: consistent_snapshot is not a boolean",
                       what);
    return DEFUPD_OK;
}

defupd_code du_hashes_parse(const struct du_json *hashes, bool *has_sha256,
                            unsigned char sha256[32], bool *has_sha512, unsigned char sha512[64],
                            const char *what, defupd_error *err)
{
    const char *hex256 = du_json_string(hashes, "sha256");
    const char *hex512 = du_json_string(hashes, "sha512");

    *has_sha256 = du_json_has(hashes, "sha256");
    *has_sha512 = du_json_has(hashes, "sha512");
    if ((*has_sha256 && (hex256 == NULL || !du_unhex(sha256, 32, hex256))) ||
        (*has_sha512 && (hex512 == NULL || !du_unhex(sha512, 64, hex512))))
        return DU_FAIL(err, DEFUPD_E_METADATA_FORMAT, "%s: a hash is malformed", what);
    return DEFUPD_OK;
}

static defupd_code parse_meta(const struct du_json *entry, const char *name, struct du_meta *meta,
                              const char *what, defupd_error *err)
{
    char where[512];
    int64_t length = 0;

    (void)snprintf(where, sizeof where, "%s: %s", what, name);
    *meta = (struct du_meta){ 0 };
    if (!get_version(entry, &meta->version))
        return DU_FAIL(err, DEFUPD_E_METADATA_FORMAT, "%s: version is not from 1 to 2^53-1", where);
    meta->has_length = du_json_has(entry, "length");
    if (meta->has_length && (!du_json_int(entry, "length", &length) || length < 1))
        return DU_FAIL(err, DEFUPD_E_METADATA_FORMAT, "%s: length is not a positive integer",
                       where);
    meta->length = (uint64_t)length;
    if (!du_json_has(entry, "hashes"))
        return DEFUPD_OK;
    DU_TRY(du_hashes_parse(du_json_object(entry, "hashes"), &meta->has_sha256, meta->sha256,
                           &meta->has_sha512, meta->sha512, where, err));
    if (!meta->has_sha256 && !meta->has_sha512)
        return DU_FAIL(err, DEFUPD_E_METADATA_FORMAT, "%s: neither a sha256 nor a sha512 hash",
                       where);
    return DEFUPD_OK;
}

defupd_code du_doc_meta(const struct du_doc *doc, const char *name, struct du_meta *meta,
                        bool *listed, const char *what, defupd_error *err)
{
    const struct du_json *metas = du_json_object(doc->content, "meta");

    *listed = du_json_has(metas, name);
    return *listed ? parse_meta(du_json_object(metas, name), name, meta, what, err) : DEFUPD_OK;
}

bool du_meta_role(const char *file, size_t *len)
{
    const size_t all = strlen(file);

    if (all <= 5 || strcmp(file + all - 5, ".json") != 0)
        return false;
    *len = all - 5;
    return true;
}

defupd_code du_doc_snapshot_fields(const struct du_doc *doc, const char *what, defupd_error *err)
{
    const struct du_json *metas = du_json_object(doc->content, "meta");
    struct du_meta meta;

    if (!du_json_has(metas, "targets.json"))
        return DU_FAIL(err, DEFUPD_E_METADATA_FORMAT, "%s: does not list targets.json", what);
    for (void *i = du_json_first(metas); i != NULL; i = du_json_next(metas, i))
        DU_TRY(parse_meta(du_json_iter_value(i), du_json_iter_key(i), &meta, what, err));
    return DEFUPD_OK;
}

static defupd_code check_texts(const struct du_json *list, const char *name, const char *field,
                               const char *what, defupd_error *err)
{
    if (!du_json_is_array(list))
        return DU_FAIL(err, DEFUPD_E_METADATA_FORMAT, "%s: role %s: \"%s\" is not a list", what,
                       name, field);
    for (size_t i = 0; i < du_json_count(list); i++) {
        if (du_json_text(du_json_at(list, i)) == NULL)
            return DU_FAIL(err, DEFUPD_E_METADATA_FORMAT,
                           "%s: role %s: \"%s\" holds something that is no text", what, name,
                           field);
    }
    return DEFUPD_OK;
}

/* Names of roles become names of files and URLs; a delegated "root" would stand in root's place. */
static bool role_name_ok(const char *name)
{
    static const char *const top[] = { "root", "timestamp", "snapshot", "targets", "mirrors" };

    for (size_t i = 0; i < sizeof top / sizeof top[0]; i++) {
        if (name != NULL && strcmp(name, top[i]) == 0)
            return false;
    }
    return name != NULL && name[0] != '\0' &&
           du_role_name_length(name, strlen(name)) <= DU_ROLE_NAME_MAX;
}

static defupd_code check_delegation(const struct du_json *roles, size_t index, const char *what,
                                    defupd_error *err)
{
    const struct du_json *role = du_json_at(roles, index);
    const char *name = du_json_string(role, "name");
    const bool paths = du_json_has(role, "paths"), hashed = du_json_has(role, "path_hash_prefixes");
    bool terminating;

    if (!role_name_ok(name))
        return DU_FAIL(err, DEFUPD_E_METADATA_FORMAT, "%s: a delegation has no usable name", what);
    DU_TRY(check_signers(role, name, what, err));
    if (du_json_has(role, "terminating") && !du_json_bool(role, "terminating", &terminating))
        return DU_FAIL(err, DEFUPD_E_METADATA_FORMAT, "%s: role %s: terminating is not a boolean",
                       what, name);
    if (paths && hashed)
        return DU_FAIL(err, DEFUPD_E_METADATA_FORMAT,
                       "%s: role %s has both paths and path_hash_prefixes", what, name);
    if (paths)
        return check_texts(du_json_array(role, "paths"), name, "paths", what, err);
    if (hashed)
        return check_texts(du_json_array(role, "path_hash_prefixes"), name, "path_hash_prefixes",
                           what, err);
    return DEFUPD_OK; /* matches nothing */
}

/* 4.5, ROLENAME: "multiple roles with the same rolename are not allowed". */
static defupd_code check_unique(const struct du_json *roles, const char *what, defupd_error *err)
{
    const size_t count = du_json_count(roles);
    DU_AUTO_FREE const char **names = calloc(count + 1, sizeof *names);
    const char *twice;

    if (names == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "%s: no memory", what);
    for (size_t i = 0; i < count; i++)
        names[i] = du_json_string(du_json_at(roles, i), "name");
    twice = find_twice(names, count);
    if (twice != NULL)
        return DU_FAIL(err, DEFUPD_E_METADATA_FORMAT, "%s: two delegations named %s", what, twice);
    return DEFUPD_OK;
}

static defupd_code check_delegations(const struct du_json *delegations, const char *what,
                                     defupd_error *err)
{
    const struct du_json *roles = du_json_array(delegations, "roles");

    DU_TRY(check_keys(du_json_object(delegations, "keys"), what, err));
    if (roles == NULL)
        return DU_FAIL(err, DEFUPD_E_METADATA_FORMAT, "%s: delegations without a list of roles",
                       what);
    for (size_t i = 0; i < du_json_count(roles); i++)
        DU_TRY(check_delegation(roles, i, what, err));
    return check_unique(roles, what, err);
}

defupd_code du_doc_targets_fields(const struct du_doc *doc, const char *what, defupd_error *err)
{
    const struct du_json *targets = du_json_object(doc->content, "targets");
    bool has256, has512;
    unsigned char sha256[32], sha512[64];

    if (targets == NULL)
        return DU_FAIL(err, DEFUPD_E_METADATA_FORMAT, "%s: no object \"targets\"", what);
    for (void *i = du_json_first(targets); i != NULL; i = du_json_next(targets, i)) {
        const struct du_json *target = du_json_iter_value(i);
        int64_t length;
        if (!du_json_int(target, "length", &length) || length < 0)
            return DU_FAIL(err, DEFUPD_E_METADATA_FORMAT, "%s: target %s has no length", what,
                           du_json_iter_key(i));
        if (du_json_object(target, "hashes") == NULL)
            return DU_FAIL(err, DEFUPD_E_METADATA_FORMAT, "%s: target %s has no hashes", what,
                           du_json_iter_key(i));
        DU_TRY(du_hashes_parse(du_json_object(target, "hashes"), &has256, sha256, &has512, sha512,
                               what, err));
    }
    if (!du_json_has(doc->content, "delegations"))
        return DEFUPD_OK;
    return check_delegations(du_json_object(doc->content, "delegations"), what, err);
}

static bool digests_fit(const struct du_meta *meta, const struct du_doc *doc)
{
    return (!meta->has_sha256 || du_mem_equal(meta->sha256, doc->sha256, 32)) &&
           (!meta->has_sha512 || du_mem_equal(meta->sha512, doc->sha512, 64));
}

bool du_meta_fits(const struct du_meta *meta, const struct du_doc *doc)
{
    return meta->version == doc->version && (!meta->has_length || meta->length == doc->length) &&
           digests_fit(meta, doc);
}

defupd_code du_meta_check(const struct du_meta *meta, const struct du_doc *doc, const char *what,
                          defupd_error *err)
{
    char got[DU_SHA256_HEX + 1], want[DU_SHA256_HEX + 1];

    if (meta->has_length && meta->length != doc->length)
        return DU_FAIL(err, DEFUPD_E_METADATA_DIGEST, "%s: %llu bytes, expected %llu", what,
                       (unsigned long long)doc->length, (unsigned long long)meta->length);
    if (digests_fit(meta, doc))
        return DEFUPD_OK;
    if (!meta->has_sha256 || du_mem_equal(meta->sha256, doc->sha256, 32))
        return DU_FAIL(err, DEFUPD_E_METADATA_DIGEST, "%s: SHA-512 differs from what is signed",
                       what);
    du_hex(got, doc->sha256, 32);
    du_hex(want, meta->sha256, 32);
    return DU_FAIL(err, DEFUPD_E_METADATA_DIGEST, "%s: SHA-256 is %s, expected %s", what, got,
                   want);
}
