/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/crypto.h"

#include <stdlib.h>
#include <string.h>

#include <mbedtls/asn1.h>
#include <mbedtls/bignum.h>
#include <mbedtls/ecp.h>
#include <mbedtls/md.h>
#include <mbedtls/pem.h>
#include <mbedtls/pk.h>
#include <mbedtls/rsa.h>
#include <sodium.h>

#include "base/scope.h"

#define ED25519_BYTES 32
#define ED25519_SIGNATURE_BYTES 64
#define RSA_BITS_MIN 2048U
#define RSA_BITS_MAX 8192U
#define POINT_BYTES 65 /* 0x04, X, Y */
#define PEM_MAX (16U * 1024)
#define DER_MAX 2048 /* an RSA key of 8192 bits takes 1062 bytes */

_Static_assert(ED25519_BYTES == crypto_sign_PUBLICKEYBYTES, "Ed25519 keys have 32 bytes");
_Static_assert(ED25519_SIGNATURE_BYTES == crypto_sign_BYTES, "Ed25519 signatures have 64 bytes");

/* `der` is one form per key: the raw key for Ed25519, SubjectPublicKeyInfo for the others. No
 * mbedTLS context is kept: its public operations cache in the context (RN of RSA, the comb table
 * of the group), so one shared by threads would need a lock. */
struct du_key {
    enum du_key_type type;
    size_t len;
    unsigned char der[];
};

/* SubjectPublicKeyInfo of a P-256 key up to the point (RFC 5480): id-ecPublicKey, prime256v1. */
static const unsigned char p256_head[] = { 0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48,
                                           0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
                                           0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00 };
#define P256_DER_BYTES (sizeof p256_head + POINT_BYTES)

static defupd_code key_new(struct du_key **out, enum du_key_type type, const unsigned char *der,
                           size_t len, defupd_error *err)
{
    struct du_key *key = malloc(sizeof *key + len);

    if (key == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a key");
    key->type = type;
    key->len = len;
    memcpy(key->der, der, len);
    *out = key;
    return DEFUPD_OK;
}

/* mbedTLS adds a code of the layer below (the lowest seven bits) to its own, and does not always
 * pass the one about memory on: then whether there is any now has to do. */
static bool lacks_memory(int rc)
{
    const int low = -(-rc & 0x7f), high = rc - low;
    void *probe;

    if (low == MBEDTLS_ERR_MPI_ALLOC_FAILED || low == MBEDTLS_ERR_ASN1_ALLOC_FAILED ||
        high == MBEDTLS_ERR_PK_ALLOC_FAILED || high == MBEDTLS_ERR_ECP_ALLOC_FAILED ||
        high == MBEDTLS_ERR_PEM_ALLOC_FAILED || high == MBEDTLS_ERR_MD_ALLOC_FAILED)
        return true;
    probe = malloc(PEM_MAX);
    free(probe);
    return probe == NULL;
}

/* A PEM or DER public key that mbedTLS accepts, written again in the one form. */
static bool to_der(const unsigned char *text, size_t count, unsigned char der[DER_MAX], size_t *len,
                   size_t *bits, bool *nomem)
{
    DU_AUTO(mbedtls_pk_free) mbedtls_pk_context pk;
    int written, rc;

    mbedtls_pk_init(&pk);
    rc = mbedtls_pk_parse_public_key(&pk, text, count);
    if (rc != 0) {
        *nomem = lacks_memory(rc);
        return false;
    }
    *bits = mbedtls_pk_get_bitlen(&pk);
    /* writes at the end of the buffer */
    written = mbedtls_pk_write_pubkey_der(&pk, der, DER_MAX);
    if (written <= 0) {
        *nomem = lacks_memory(written);
        return false;
    }
    *len = (size_t)written;
    memmove(der, der + DER_MAX - *len, *len);
    return true;
}

static defupd_code parse_ed25519(struct du_key **key, const char *value, defupd_error *err)
{
    unsigned char raw[ED25519_BYTES];

    if (!du_unhex(raw, sizeof raw, value))
        return DU_FAIL(err, DEFUPD_E_METADATA_FORMAT, "ed25519 key is not 64 hex digits");
    return key_new(key, DU_KEY_ED25519, raw, sizeof raw, err);
}

static bool pem_to_der(const char *value, unsigned char der[DER_MAX], size_t *len, size_t *bits,
                       bool *nomem)
{
    const size_t count = strlen(value);

    /* mbedTLS takes bytes without this line for DER, and counts the NUL of a PEM text. */
    if (count > PEM_MAX || strstr(value, "-----BEGIN ") == NULL)
        return false;
    return to_der((const unsigned char *)value, count + 1, der, len, bits, nomem);
}

static defupd_code parse_ecdsa(struct du_key **key, const char *value, defupd_error *err)
{
    unsigned char der[DER_MAX], spki[P256_DER_BYTES];
    size_t len = 0, bits = 0;
    bool good, nomem = false;

    memcpy(spki, p256_head, sizeof p256_head);
    if (du_unhex(spki + sizeof p256_head, POINT_BYTES, value))
        good = to_der(spki, sizeof spki, der, &len, &bits,
                      &nomem); /* checks that it is on the curve */
    else
        good = pem_to_der(value, der, &len, &bits, &nomem);
    if (nomem)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a key");
    if (!good || len != P256_DER_BYTES || memcmp(der, p256_head, sizeof p256_head) != 0)
        return DU_FAIL(err, DEFUPD_E_METADATA_FORMAT,
                       "ecdsa key is no P-256 public key in PEM or hex");
    return key_new(key, DU_KEY_ECDSA_P256, der, len, err);
}

static defupd_code parse_rsa(struct du_key **key, const char *value, defupd_error *err)
{
    /* rsaEncryption with its NULL, as found in each RSA SubjectPublicKeyInfo (RFC 3279, 2.3.1) */
    static const unsigned char oid[] = { 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7,
                                         0x0d, 0x01, 0x01, 0x01, 0x05, 0x00 };
    unsigned char der[DER_MAX];
    size_t len = 0, bits = 0;
    bool nomem = false, good = pem_to_der(value, der, &len, &bits, &nomem);

    if (nomem)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a key");
    if (!good || memmem(der, len, oid, sizeof oid) == NULL)
        return DU_FAIL(err, DEFUPD_E_METADATA_FORMAT, "rsa key is no RSA public key in PEM");
    if (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX)
        return DU_FAIL(err, DEFUPD_E_METADATA_FORMAT, "rsa key has %zu bits, expected %u to %u",
                       bits, RSA_BITS_MIN, RSA_BITS_MAX);
    return key_new(key, DU_KEY_RSA_PSS, der, len, err);
}

defupd_code du_key_parse(struct du_key **key, bool *known, const char *keytype, const char *scheme,
                         const char *value, defupd_error *err)
{
    *key = NULL;
    *known = true;
    if (strcmp(keytype, "ed25519") == 0 && strcmp(scheme, "ed25519") == 0)
        return parse_ed25519(key, value, err);
    /* Repositories made before 1.0.34 say the scheme in both places. */
    if ((strcmp(keytype, "ecdsa") == 0 || strcmp(keytype, "ecdsa-sha2-nistp256") == 0) &&
        strcmp(scheme, "ecdsa-sha2-nistp256") == 0)
        return parse_ecdsa(key, value, err);
    if (strcmp(keytype, "rsa") == 0 && strcmp(scheme, "rsassa-pss-sha256") == 0)
        return parse_rsa(key, value, err);
    *known = false;
    return DEFUPD_OK;
}

void du_key_free(struct du_key *key)
{
    free(key);
}

enum du_key_type du_key_kind(const struct du_key *key)
{
    return key->type;
}

bool du_key_same(const struct du_key *a, const struct du_key *b)
{
    return a->type == b->type && a->len == b->len && memcmp(a->der, b->der, a->len) == 0;
}

static bool verify_pk(const struct du_key *key, struct du_bytes message, struct du_bytes signature,
                      bool *nomem)
{
    const mbedtls_pk_rsassa_pss_options pss = { .mgf1_hash_id = MBEDTLS_MD_SHA256,
                                                .expected_salt_len = MBEDTLS_RSA_SALT_LEN_ANY };
    const bool rsa = key->type == DU_KEY_RSA_PSS;
    DU_AUTO(mbedtls_pk_free) mbedtls_pk_context pk;
    unsigned char digest[DU_SHA256_BYTES];
    int rc;

    mbedtls_pk_init(&pk);
    if (mbedtls_pk_parse_public_key(&pk, key->der, key->len) != 0) {
        *nomem = true; /* it was parsed before, so nothing else can be wrong */
        return false;
    }
    du_sha256(digest, message.data, message.len);
    rc = mbedtls_pk_verify_ext(rsa ? MBEDTLS_PK_RSASSA_PSS : MBEDTLS_PK_ECDSA, rsa ? &pss : NULL,
                               &pk, MBEDTLS_MD_SHA256, digest, sizeof digest, signature.data,
                               signature.len);
    if (rc != 0 && lacks_memory(rc))
        *nomem = true;
    return rc == 0;
}

bool du_key_holds(const struct du_key *key, struct du_bytes message, struct du_bytes signature,
                  bool *nomem)
{
    if (signature.data == NULL || signature.len == 0)
        return false;
    switch (key->type) {
    case DU_KEY_ED25519:
        /* libsodium refuses keys of small order and signatures that are not in reduced form */
        return signature.len == ED25519_SIGNATURE_BYTES &&
               crypto_sign_verify_detached(signature.data, message.data, message.len, key->der) ==
                   0;
    case DU_KEY_ECDSA_P256:
    case DU_KEY_RSA_PSS: return verify_pk(key, message, signature, nomem);
    }
    return false;
}
