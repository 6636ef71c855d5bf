/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures of one document, as they come together. */
#include <string.h>

#include "crypto/crypto.h"
#include "publish/publish_priv.h"

#define SIGNATURE_MAX 1024 /* bytes; RSA with 8192 bits */

static const struct du_json *signature_of(const struct du_json *signatures, const char *keyid)
{
    for (size_t i = 0; i < du_json_count(signatures); i++) {
        const char *id = du_json_string(du_json_at(signatures, i), "keyid");
        if (id != NULL && strcmp(id, keyid) == 0)
            return du_json_at(signatures, i);
    }
    return NULL;
}

/* So far, or as published. */
static const struct du_json *signatures_of(const struct du_role_doc *doc)
{
    return doc->signatures != NULL ? doc->signatures : du_json_array(doc->json, "signatures");
}

bool du_sign_has(const struct du_role_doc *doc, const char *keyid)
{
    return signature_of(signatures_of(doc), keyid) != NULL;
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

/* What is signed. */
static defupd_code message_of(const struct du_role_doc *doc, struct du_buf *message,
                              defupd_error *err)
{
    *message = DU_BUF(du_role_max(doc->role));
    if (du_json_canonical(du_role_doc_part(doc), message, err) != DEFUPD_OK)
        return du_err_prefix(err, "%s", doc->name);
    return DEFUPD_OK;
}

defupd_code du_sign_doc(const struct defupd_repo *repo, struct du_role_doc *doc,
                        struct du_authority authority, struct du_keyring *ring, size_t *added,
                        defupd_error *err)
{
    DU_AUTO_BUF message = { 0 };

    DU_TRY(message_of(doc, &message, err));
    for (size_t i = 0; i < du_authority_count(authority); i++) {
        const char *id = du_authority_keyid(authority, i);
        struct du_ring_key *key = du_keyring_find(ring, id);

        if (key == NULL || !key->has_private || signature_of(doc->signatures, id) != NULL)
            continue;
        DU_TRY(du_keyring_unlock(repo, key, err));
        DU_TRY(add_signature(doc->signatures, key->signer, du_buf_bytes(&message), err));
        if (added != NULL)
            ++*added;
    }
    return DEFUPD_OK;
}

static bool holds(struct du_authority authority, const char *keyid, const struct du_json *signature,
                  struct du_bytes message)
{
    const struct du_json *object = du_json_object(authority.keys, keyid);
    const char *keytype = du_json_string(object, "keytype");
    const char *scheme = du_json_string(object, "scheme");
    const char *value = du_json_string(du_json_object(object, "keyval"), "public");
    const char *hex = du_json_string(signature, "sig");
    unsigned char raw[SIGNATURE_MAX];
    struct du_key *key = NULL;
    defupd_error why;
    bool known, right;

    if (keytype == NULL || scheme == NULL || value == NULL || hex == NULL ||
        strlen(hex) > 2 * sizeof raw || strlen(hex) % 2 != 0 ||
        !du_unhex(raw, strlen(hex) / 2, hex) ||
        du_key_parse(&key, &known, keytype, scheme, value, &why) != DEFUPD_OK || key == NULL)
        return false;
    right = du_key_verify(key, message, (struct du_bytes){ raw, strlen(hex) / 2 });
    du_key_free(key);
    return right;
}

defupd_code du_sign_count(const struct du_role_doc *doc, struct du_authority authority,
                          int64_t *have, defupd_error *err)
{
    DU_AUTO_BUF message = { 0 };

    *have = 0;
    DU_TRY(message_of(doc, &message, err));
    for (size_t i = 0; i < du_authority_count(authority); i++) {
        const char *id = du_authority_keyid(authority, i);
        bool again = false;
        for (size_t k = 0; k < i; k++)
            again = again || strcmp(du_authority_keyid(authority, k), id) == 0;
        if (!again &&
            holds(authority, id, signature_of(signatures_of(doc), id), du_buf_bytes(&message)))
            ++*have;
    }
    return DEFUPD_OK;
}

defupd_code du_sign_merge(struct du_role_doc *doc, const struct du_json *signatures,
                          struct du_authority authority, size_t *added, defupd_error *err)
{
    DU_AUTO_BUF message = { 0 };

    DU_TRY(message_of(doc, &message, err));
    for (size_t i = 0; i < du_authority_count(authority); i++) {
        const char *id = du_authority_keyid(authority, i);
        const struct du_json *signature = signature_of(signatures, id);

        if (signature == NULL || signature_of(doc->signatures, id) != NULL ||
            !holds(authority, id, signature, du_buf_bytes(&message)))
            continue;
        if (!du_json_append(doc->signatures, du_json_copy(signature)))
            return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a signature");
        ++*added;
    }
    return DEFUPD_OK;
}

defupd_code du_sign_seal(struct du_role_doc *doc, defupd_error *err)
{
    DU_AUTO_JSON *whole = du_json_new_object();

    if (whole == NULL || !du_json_set(whole, "signatures", du_json_copy(doc->signatures)) ||
        !du_json_set(whole, "signed", du_json_copy(doc->part)))
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for role '%s'", doc->name);
    du_buf_free(&doc->bytes);
    doc->bytes = DU_BUF(du_role_max(doc->role));
    DU_TRY(du_json_pretty(whole, &doc->bytes, err));
    du_json_freep(&doc->json);
    /* Read back as anybody would: what cannot be parsed is never published. */
    return du_role_doc_parse(doc, doc->name, doc->name, err);
}

defupd_code du_sign_can(const struct defupd_repo *repo, const struct du_keyring *ring,
                        struct du_authority authority, const char *name, defupd_error *err)
{
    const int64_t threshold = du_authority_threshold(authority);
    int64_t have = 0;

    for (size_t i = 0; i < du_authority_count(authority); i++) {
        const struct du_ring_key *key = du_keyring_find(ring, du_authority_keyid(authority, i));
        have += key != NULL && key->has_private;
    }
    if (have < threshold)
        return DU_FAIL(err, DEFUPD_E_KEY,
                       "%s holds %lld of the keys of role '%s', which needs %lld", repo->keys_path,
                       (long long)have, name, (long long)threshold);
    return DEFUPD_OK;
}
