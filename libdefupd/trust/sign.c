/* SPDX-License-Identifier: Apache-2.0 */
/* Who signed: thresholds of distinct keys. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/scope.h"
#include "trust/trust_priv.h"

#define SIGNATURE_BYTES_MAX 1024U /* RSA with 8192 bits */
#define CANONICAL_MAX (2 * DU_TARGETS_MAX)

/* The keys that have signed so far. */
struct tally {
    struct du_key **key;
    size_t count;
    size_t misnamed; /* have signed, and are called by an id that is not theirs */
};

static void tally_free(struct tally *tally)
{
    for (size_t i = 0; i < tally->count; i++)
        du_key_free(tally->key[i]);
    free(tally->key);
}

/* The signature that is listed for the key id: at most one, du_doc_parse() has seen to it. */
static const char *signature_of(const struct du_json *signatures, const char *keyid)
{
    for (size_t i = 0; i < du_json_count(signatures); i++) {
        const struct du_json *entry = du_json_at(signatures, i);
        const char *id = du_json_string(entry, "keyid");
        if (id != NULL && strcmp(id, keyid) == 0)
            return du_json_string(entry, "sig");
    }
    return NULL;
}

static defupd_code has_id(const struct du_json *entry, const char *keyid, bool *has,
                          defupd_error *err)
{
    DU_AUTO_BUF text = DU_BUF(CANONICAL_MAX);
    unsigned char digest[DU_SHA256_BYTES];
    char hex[DU_SHA256_HEX + 1];

    DU_TRY(du_json_canonical(entry, &text, err));
    du_sha256(digest, text.data, text.len);
    du_hex(hex, digest, sizeof digest);
    *has = strcmp(hex, keyid) == 0;
    return DEFUPD_OK;
}

/* 4.3: "Clients MUST calculate each KEYID to verify this is correct for the associated key": the
 * SHA-256 of the key's canonical form. So no two keys share an id, in no two files. Publishers
 * differ in whether fields of their tools count, so both ids are a key's. A key under another one
 * is passed over like one of an unknown kind. */
static defupd_code named_rightly(const struct du_json *entry, const char *keyid, bool *rightly,
                                 defupd_error *err)
{
    DU_AUTO_JSON *plain = NULL;

    DU_TRY(has_id(entry, keyid, rightly, err));
    if (*rightly)
        return DEFUPD_OK;
    plain = du_json_new_object();
    if (!du_json_set(plain, "keytype", du_json_new_string(du_json_string(entry, "keytype"))) ||
        !du_json_set(plain, "scheme", du_json_new_string(du_json_string(entry, "scheme"))) ||
        !du_json_set(plain, "keyval", du_json_copy(du_json_object(entry, "keyval"))))
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory to check a key's id");
    return has_id(plain, keyid, rightly, err);
}

/* NULL in *key when the key is of an unknown kind or cannot be used: "clients ... ignore", so that
 * a repository may bring in a new kind beside the old ones. */
static defupd_code key_of(const struct du_json *keys, const char *keyid, struct tally *tally,
                          struct du_key **key, defupd_error *err)
{
    const struct du_json *entry = du_json_object(keys, keyid);
    const char *keytype = du_json_string(entry, "keytype");
    const char *scheme = du_json_string(entry, "scheme");
    const char *value = du_json_string(du_json_object(entry, "keyval"), "public");
    defupd_error ignored = { 0 };
    bool known, rightly;
    defupd_code rc;

    *key = NULL;
    if (keytype == NULL || scheme == NULL || value == NULL)
        return DEFUPD_OK;
    DU_TRY(named_rightly(entry, keyid, &rightly, err));
    if (!rightly) {
        tally->misnamed++;
        return DEFUPD_OK;
    }
    rc = du_key_parse(key, &known, keytype, scheme, value, &ignored);
    if (rc == DEFUPD_E_NOMEM)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "%s", ignored.message);
    return DEFUPD_OK;
}

static bool signature_holds(const struct du_key *key, struct du_bytes message, const char *hex,
                            bool *nomem)
{
    unsigned char signature[SIGNATURE_BYTES_MAX];
    const size_t digits = strlen(hex);

    return digits % 2 == 0 && digits / 2 <= sizeof signature &&
           du_unhex(signature, digits / 2, hex) &&
           du_key_holds(key, message, (struct du_bytes){ signature, digits / 2 }, nomem);
}

/* THRESHOLD is a "number of keys ... whose signatures are required" (4.5), and a field beside the
 * public key gives it another id: one public key under two ids is one key. */
static bool counted(const struct tally *tally, const struct du_key *key)
{
    for (size_t i = 0; i < tally->count; i++) {
        if (du_key_same(tally->key[i], key))
            return true;
    }
    return false;
}

static defupd_code count_keys(const struct du_doc *doc, const struct du_json *keys,
                              const struct du_json *keyids, struct du_bytes message,
                              uint64_t threshold, struct tally *tally, defupd_error *err)
{
    const struct du_json *signatures = du_json_array(doc->json, "signatures");

    for (size_t i = 0; i < du_json_count(keyids) && tally->count < threshold; i++) {
        const char *keyid = du_json_text(du_json_at(keyids, i));
        const char *hex = keyid != NULL ? signature_of(signatures, keyid) : NULL;
        struct du_key *key = NULL;
        bool nomem = false;

        if (hex == NULL)
            continue;
        DU_TRY(key_of(keys, keyid, tally, &key, err));
        if (key == NULL)
            continue;
        if (counted(tally, key) || !signature_holds(key, message, hex, &nomem))
            du_key_free(key);
        else
            tally->key[tally->count++] = key;
        if (nomem) /* not "too few signatures", which would be an alarm */
            return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory to check a signature");
    }
    return DEFUPD_OK;
}

defupd_code du_doc_verify(const struct du_doc *doc, const struct du_json *keys,
                          const struct du_json *role, struct du_checked *checked, const char *by,
                          const char *what, defupd_error *err)
{
    const struct du_json *keyids = du_json_array(role, "keyids");
    DU_AUTO(tally_free) struct tally tally = { NULL, 0, 0 };
    DU_AUTO_BUF message = DU_BUF(CANONICAL_MAX);
    unsigned char digest[DU_SHA256_BYTES];
    int64_t threshold = 0;
    bool before;

    /* A threshold of 0 would make everything signed; readers of the roles refuse it, and so does
     * this. */
    if (!du_json_int(role, "threshold", &threshold) || threshold < 1 || keyids == NULL)
        return DU_FAIL(err, DEFUPD_E_METADATA_FORMAT, "%s: no threshold of at least 1 in %s", what,
                       by);
    if (du_checked_ask(checked, doc, keys, role, digest, &before, err) != DEFUPD_OK)
        return du_err_prefix(err, "%s", what);
    if (before)
        return DEFUPD_OK;
    tally.key = calloc(du_json_count(keyids) + 1, sizeof(struct du_key *));
    if (tally.key == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "%s: no memory", what);
    if (du_json_canonical(doc->content, &message, err) != DEFUPD_OK)
        return du_err_prefix(err, "%s", what);
    DU_TRY(count_keys(doc, keys, keyids, du_buf_bytes(&message), (uint64_t)threshold, &tally, err));
    if (tally.count < (uint64_t)threshold)
        return DU_FAIL(err, DEFUPD_E_SIGNATURE,
                       "%s: %zu valid signatures of keys that %s trusts, expected at least %lld%s",
                       what, tally.count, by, (long long)threshold,
                       tally.misnamed > 0 ? " (a key's id is not its SHA-256)" : "");
    return du_checked_note(checked, digest, err);
}

defupd_code du_doc_verify_top(const struct du_doc *doc, const struct du_doc *root, const char *role,
                              struct du_checked *checked, const char *what, defupd_error *err)
{
    char by[64];

    (void)snprintf(by, sizeof by, "root version %llu", (unsigned long long)root->version);
    return du_doc_verify(doc, du_json_object(root->content, "keys"),
                         du_json_object(du_json_object(root->content, "roles"), role), checked, by,
                         what, err);
}
