/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Digests and signature checks. The only module of an endpoint that includes mbedTLS, libsodium
 * and libcrypto. Only stateless calls of mbedTLS: 2.28's PSA is a global and not thread-safe.
 * Layer: uses base/.
 */
#ifndef DU_CRYPTO_CRYPTO_H
#define DU_CRYPTO_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"

enum du_hash_alg { DU_SHA256 = 1, DU_SHA512 = 2 };
#define DU_HASH_BYTES_MAX 64

/* A running digest; one thread at a time, not always the same. Zeroed is valid for du_hash_free().
 * By libcrypto where this library was built with it and where it is able to, else by mbedTLS: who
 * calls cannot tell, but by the clock. */
struct du_hash {
    enum du_hash_alg alg;
    bool failed; /* an accelerator gave up: du_hash_final() then writes zeros */
    bool fast;   /* libcrypto's, behind state.pointer */
    union {
        uint64_t align;
        unsigned char space[256];
        void *pointer;
    } state;
};

void du_hash_init(struct du_hash *hash, enum du_hash_alg alg);
void du_hash_update(struct du_hash *hash, const void *bytes, size_t count);
/* Writes 32 or 64 bytes; the state is then freed. */
void du_hash_final(struct du_hash *hash, unsigned char *out);
void du_hash_free(struct du_hash *hash);
#define DU_AUTO_HASH __attribute__((cleanup(du_hash_free))) struct du_hash

void du_sha256(unsigned char out[DU_SHA256_BYTES], const void *bytes, size_t count);

/* HMAC-SHA256 (RFC 2104). */
void du_hmac_sha256(unsigned char out[DU_SHA256_BYTES], const void *key, size_t key_count,
                    const void *bytes, size_t count);

/* In constant time. */
bool du_mem_equal(const void *a, const void *b, size_t count);

/* A public key as TUF metadata states it. */
enum du_key_type { DU_KEY_ED25519 = 1, DU_KEY_ECDSA_P256 = 2, DU_KEY_RSA_PSS = 3 };
struct du_key;

/*
 * Parse a public key. keytype, scheme: TUF's words; the accepted pairs are
 *   "ed25519"                                  "ed25519"               64 hex digits
 *   "ecdsa", "ecdsa-sha2-nistp256"             "ecdsa-sha2-nistp256"   PEM, or hex of the point
 *   "rsa"                                      "rsassa-pss-sha256"     PEM, 2048 to 8192 bits
 * *known is false, and DEFUPD_OK returned with *key NULL, for pairs we do not know: the
 * specification wants those ignored. Errors: DEFUPD_E_METADATA_FORMAT for a known pair with a
 * malformed value, DEFUPD_E_NOMEM.
 */
DEFUPD_MUST_CHECK defupd_code du_key_parse(struct du_key **key, bool *known, const char *keytype,
                                           const char *scheme, const char *value,
                                           defupd_error *err);
void du_key_free(struct du_key *key);
enum du_key_type du_key_kind(const struct du_key *key);
/* The same public key, however it was written down. */
bool du_key_same(const struct du_key *a, const struct du_key *b);

/* Does `signature` over `message` verify? ECDSA signatures are ASN.1 DER over SHA-256; RSA ones are
 * PSS with MGF1-SHA256 and any salt length. Malformed signatures are false, not errors. Stateless:
 * any thread. *nomem becomes true when it is false for lack of memory. */
bool du_key_holds(const struct du_key *key, struct du_bytes message, struct du_bytes signature,
                  bool *nomem);
static inline bool du_key_verify(const struct du_key *key, struct du_bytes message,
                                 struct du_bytes signature)
{
    bool nomem = false;

    return du_key_holds(key, message, signature, &nomem);
}

/* "mbedTLS 2.28.3, libsodium 1.0.18, OpenSSL 3.0.22", the last where digests use it. */
void du_crypto_versions(char *out, size_t size);

#endif
