/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/crypto.h"

#include <stdio.h>
#include <string.h>

#include <mbedtls/sha256.h>
#include <mbedtls/sha512.h>
#include <mbedtls/version.h>
#include <sodium.h>
#ifdef DU_LIBCRYPTO
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#endif

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

#ifdef DU_LIBCRYPTO

/* False when libcrypto cannot do it here: no memory, or a host whose configuration has no provider
 * of the digest. What it then says stays out of the thread's queue of errors, where the host or
 * libcurl would take it for theirs. */
static bool fast_init(struct du_hash *hash)
{
    EVP_MD_CTX *context;

    (void)ERR_set_mark();
    context = EVP_MD_CTX_new();
    if (context != NULL &&
        EVP_DigestInit_ex(context, hash->alg == DU_SHA512 ? EVP_sha512() : EVP_sha256(), NULL) ==
            1) {
        hash->state.pointer = context;
        hash->fast = true;
    } else {
        EVP_MD_CTX_free(context);
    }
    (void)ERR_pop_to_mark();
    return hash->fast;
}

static bool fast_update(struct du_hash *hash, const void *bytes, size_t count)
{
    return EVP_DigestUpdate(hash->state.pointer, bytes, count) == 1;
}

static bool fast_final(struct du_hash *hash, unsigned char *out)
{
    return EVP_DigestFinal_ex(hash->state.pointer, out, NULL) == 1;
}

static void fast_free(struct du_hash *hash)
{
    EVP_MD_CTX_free(hash->state.pointer);
}

/* "OpenSSL 3.0.22 25 Aug 2026" without the date */
static void fast_version(char *out, size_t size)
{
    const char *text = OpenSSL_version(OPENSSL_VERSION);
    const size_t name = strcspn(text, " ");
    const size_t number = text[name] == ' ' ? 1 + strcspn(text + name + 1, " ") : 0;

    (void)snprintf(out, size, ", %.*s", (int)(name + number), text);
}

#else

static bool fast_init(struct du_hash *hash)
{
    (void)hash;
    return false;
}

static bool fast_update(struct du_hash *hash, const void *bytes, size_t count)
{
    (void)hash;
    (void)bytes;
    (void)count;
    return false;
}

static bool fast_final(struct du_hash *hash, unsigned char *out)
{
    (void)hash;
    (void)out;
    return false;
}

static void fast_free(struct du_hash *hash)
{
    (void)hash;
}

static void fast_version(char *out, size_t size)
{
    (void)snprintf(out, size, "%s", "");
}

#endif

void du_hash_init(struct du_hash *hash, enum du_hash_alg alg)
{
    *hash = (struct du_hash){ .alg = alg };
    if (fast_init(hash))
        return;
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
    bool good = true;

    if (count == 0)
        return; /* `bytes` may be NULL then, which mbedTLS does not promise to like */
    if (hash->fast) {
        good = fast_update(hash, bytes, count);
    } else {
        switch (hash->alg) {
        case DU_SHA256: good = du_mbed_sha256_update(sha256_of(hash), bytes, count) == 0; break;
        case DU_SHA512: good = du_mbed_sha512_update(sha512_of(hash), bytes, count) == 0; break;
        }
    }
    hash->failed |= !good;
}

void du_hash_final(struct du_hash *hash, unsigned char *out)
{
    const size_t size = hash->alg == DU_SHA512 ? 64 : 32;
    unsigned char digest[64] = { 0 }; /* for either: an optimiser need not see which it is */
    bool good = true;

    if (hash->fast) {
        good = fast_final(hash, digest);
    } else {
        switch (hash->alg) {
        case DU_SHA256: good = du_mbed_sha256_finish(sha256_of(hash), digest) == 0; break;
        case DU_SHA512: good = du_mbed_sha512_finish(sha512_of(hash), digest) == 0; break;
        }
    }
    /* Only libcrypto, and builds of mbedTLS with an accelerator, can fail here. Zeros equal no
     * real digest, so whoever compares refuses. */
    if (!good || hash->failed)
        memset(digest, 0, sizeof digest);
    memcpy(out, digest, size);
    du_hash_free(hash);
}

void du_hash_free(struct du_hash *hash)
{
    if (hash->fast) {
        fast_free(hash);
    } else {
        switch (hash->alg) {
        case DU_SHA256: mbedtls_sha256_free(sha256_of(hash)); break;
        case DU_SHA512: mbedtls_sha512_free(sha512_of(hash)); break;
        }
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
    char mbed[32] = "", fast[32];

    mbedtls_version_get_string_full(mbed);
    fast_version(fast, sizeof fast);
    /* the library writes its name in several ways; ours is one */
    (void)snprintf(out, size, "mbedTLS %s, libsodium %s%s",
                   strrchr(mbed, ' ') != NULL ? strrchr(mbed, ' ') + 1 : mbed,
                   sodium_version_string(), fast);
}
