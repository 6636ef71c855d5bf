/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/crypto.h"

#include <stdio.h>
#include <string.h>

#include <mbedtls/sha256.h>
#include <mbedtls/sha512.h>
#include <mbedtls/version.h>
#include <sodium.h>

#include "crypto/mbed.h"

_Static_assert(sizeof(mbedtls_sha256_context) <= sizeof(((struct du_hash *)0)->state),
               "du_hash has room for SHA-256");
_Static_assert(sizeof(mbedtls_sha512_context) <= sizeof(((struct du_hash *)0)->state),
               "du_hash has room for SHA-512");

static mbedtls_sha256_context *sha256_of(struct du_hash *hash)
{
    return (mbedtls_sha256_context *)(void *)&hash->state;
}

static mbedtls_sha512_context *sha512_of(struct du_hash *hash)
{
    return (mbedtls_sha512_context *)(void *)&hash->state;
}

void du_hash_init(struct du_hash *hash, enum du_hash_alg alg)
{
    *hash = (struct du_hash){ .alg = alg };
    switch (alg) {
    case DU_SHA256:
        mbedtls_sha256_init(sha256_of(hash));
        hash->failed = du_mbed_sha256_starts(sha256_of(hash), 0) != 0;
        break;
    case DU_SHA512:
        mbedtls_sha512_init(sha512_of(hash));
        hash->failed = du_mbed_sha512_starts(sha512_of(hash), 0) != 0;
        break;
    }
}

void du_hash_update(struct du_hash *hash, const void *bytes, size_t count)
{
    int rc = 0;

    if (count == 0)
        return; /* `bytes` may be NULL then, which mbedTLS does not promise to like */
    switch (hash->alg) {
    case DU_SHA256: rc = du_mbed_sha256_update(sha256_of(hash), bytes, count); break;
    case DU_SHA512: rc = du_mbed_sha512_update(sha512_of(hash), bytes, count); break;
    }
    hash->failed |= rc != 0;
}

void du_hash_final(struct du_hash *hash, unsigned char *out)
{
    const size_t size = hash->alg == DU_SHA512 ? 64 : 32;
    int rc = 0;

    switch (hash->alg) {
    case DU_SHA256: rc = du_mbed_sha256_finish(sha256_of(hash), out); break;
    case DU_SHA512: rc = du_mbed_sha512_finish(sha512_of(hash), out); break;
    }
    /* Only builds of mbedTLS with an accelerator can fail here. Zeros equal no real digest, so
     * whoever compares refuses. */
    if (rc != 0 || hash->failed)
        memset(out, 0, size);
    du_hash_free(hash);
}

void du_hash_free(struct du_hash *hash)
{
    switch (hash->alg) {
    case DU_SHA256: mbedtls_sha256_free(sha256_of(hash)); break;
    case DU_SHA512: mbedtls_sha512_free(sha512_of(hash)); break;
    }
    *hash = (struct du_hash){ 0 };
}

void du_sha256(unsigned char out[DU_SHA256_BYTES], const void *bytes, size_t count)
{
    struct du_hash hash;

    du_hash_init(&hash, DU_SHA256);
    du_hash_update(&hash, bytes, count);
    du_hash_final(&hash, out);
}

void du_hmac_sha256(unsigned char out[DU_SHA256_BYTES], const void *key, size_t key_count,
                    const void *bytes, size_t count)
{
    unsigned char block[64] = { 0 }, pad[64];
    struct du_hash hash;

    if (key_count > sizeof block)
        du_sha256(block, key, key_count);
    else if (key_count > 0)
        memcpy(block, key, key_count);

    for (size_t i = 0; i < sizeof pad; i++)
        pad[i] = block[i] ^ 0x36;
    du_hash_init(&hash, DU_SHA256);
    du_hash_update(&hash, pad, sizeof pad);
    du_hash_update(&hash, bytes, count);
    du_hash_final(&hash, out);

    for (size_t i = 0; i < sizeof pad; i++)
        pad[i] = block[i] ^ 0x5c;
    du_hash_init(&hash, DU_SHA256);
    du_hash_update(&hash, pad, sizeof pad);
    du_hash_update(&hash, out, DU_SHA256_BYTES);
    du_hash_final(&hash, out);
    sodium_memzero(block, sizeof block);
    sodium_memzero(pad, sizeof pad);
}

bool du_mem_equal(const void *a, const void *b, size_t count)
{
    return sodium_memcmp(a, b, count) == 0;
}

void du_crypto_versions(char *out, size_t size)
{
    char mbed[32] = "";

    mbedtls_version_get_string_full(mbed);
    /* the library writes its name in several ways; ours is one */
    (void)snprintf(out, size, "mbedTLS %s, libsodium %s",
                   strrchr(mbed, ' ') != NULL ? strrchr(mbed, ' ') + 1 : mbed,
                   sodium_version_string());
}
