/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/crypto.h"
#include "t.h"

#ifdef DU_LIBCRYPTO
#include <openssl/err.h>
#include <openssl/evp.h>
#endif

/* FIPS 180-2, appendix B and C */
static const char long_text[] = "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn"
                                "hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu";

static void digests_are_those_of_the_standard(void)
{
    static const struct {
        enum du_hash_alg alg;
        const char *text, *want;
    } row[] = {
        { DU_SHA256, "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
        { DU_SHA256, "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
        { DU_SHA256, long_text,
          "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1" },
        { DU_SHA512, "abc",
          "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
          "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f" },
        { DU_SHA512, long_text,
          "8e959b75dae313da8cf4f72814fc143f8f7779c6eb9f7fa17299aeadb6889018"
          "501d289e4900f7e4331b99dec4b5433ac7d329eeb6dd26545e96e55b874be909" },
    };

    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        const size_t len = strlen(row[i].text), bytes = row[i].alg == DU_SHA256 ? 32 : 64;
        for (size_t cut = 0; cut <= len; cut += 7) { /* however it arrives */
            unsigned char digest[DU_HASH_BYTES_MAX];
            char hex[2 * DU_HASH_BYTES_MAX + 1];
            DU_AUTO_HASH hash;
            du_hash_init(&hash, row[i].alg);
            du_hash_update(&hash, row[i].text, cut);
            du_hash_update(&hash, NULL, 0);
            du_hash_update(&hash, row[i].text + cut, len - cut);
            du_hash_final(&hash, digest);
            du_hex(hex, digest, bytes);
            T_SAME(hex, row[i].want);
        }
    }
}

static void libcrypto_is_used_where_it_is_built_in(void)
{
    DU_AUTO_HASH hash;

    du_hash_init(&hash, DU_SHA256);
#ifdef DU_LIBCRYPTO
    T_CHECK(hash.fast);
#else
    T_CHECK(!hash.fast);
#endif
}

#if defined(DU_LIBCRYPTO) && OPENSSL_VERSION_NUMBER >= 0x30000000L
/* A host may set up libcrypto so that it has no SHA-256 for us. */
static void without_a_provider_digests_are_those_of_the_standard_too(void)
{
    DU_AUTO_HASH hash;

    T_CHECK(EVP_set_default_properties(NULL, "provider=none-of-these") == 1);
    ERR_clear_error();
    ERR_raise(ERR_LIB_USER, ERR_R_PASSED_INVALID_ARGUMENT);
    du_hash_init(&hash, DU_SHA256);
    T_CHECK(!hash.fast);
    digests_are_those_of_the_standard();
    /* the host's own error is there still, and no other */
    T_CHECK(ERR_GET_LIB(ERR_get_error()) == ERR_LIB_USER);
    T_CHECK(ERR_get_error() == 0);
    T_CHECK(EVP_set_default_properties(NULL, "") == 1);
}
#endif

static void a_digest_that_failed_on_its_way_is_zeros(void)
{
    static const unsigned char zeros[DU_HASH_BYTES_MAX];
    unsigned char digest[DU_HASH_BYTES_MAX];
    DU_AUTO_HASH hash;

    memset(digest, 1, sizeof digest);
    du_hash_init(&hash, DU_SHA512);
    hash.failed = true;
    du_hash_update(&hash, "abc", 3);
    du_hash_final(&hash, digest);
    T_CHECK(memcmp(digest, zeros, sizeof zeros) == 0);
}

static void a_hash_that_is_given_up_is_freed(void)
{
    DU_AUTO_HASH never = { 0 };
    DU_AUTO_HASH hash;

    du_hash_init(&hash, DU_SHA512);
    du_hash_update(&hash, "abc", 3);
    du_hash_free(&hash);
    du_hash_free(&hash);
    T_CHECK(hash.state.align == 0 && never.state.align == 0);
}

static void hmac_is_that_of_rfc_4231(void)
{
    unsigned char key[131], mac[DU_SHA256_BYTES];
    char hex[DU_SHA256_HEX + 1];

    du_hmac_sha256(mac, "Jefe", 4, "what do ya want for nothing?", 28);
    du_hex(hex, mac, sizeof mac);
    T_SAME(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, sizeof key);
    du_hmac_sha256(mac, key, sizeof key, "Test Using Larger Than Block-Size Key - Hash Key First",
                   54);
    du_hex(hex, mac, sizeof mac);
    T_SAME(hex, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

static void equality_looks_at_every_byte(void)
{
    T_CHECK(du_mem_equal("abc", "abc", 3));
    T_CHECK(!du_mem_equal("abc", "abd", 3));
    T_CHECK(!du_mem_equal("abc", "bbc", 3));
    T_CHECK(du_mem_equal("abc", "xyz", 0));
}

static void versions_name_the_libraries(void)
{
    char text[128];

    du_crypto_versions(text, sizeof text);
    T_CHECK(strncmp(text, "mbedTLS ", 8) == 0 && text[8] >= '2' && text[8] <= '9');
    T_CHECK(strstr(text, ", libsodium 1.") != NULL);
#ifdef DU_LIBCRYPTO
    T_CHECK(strstr(text, "SSL ") != NULL && strchr(strstr(text, "SSL ") + 4, ' ') == NULL);
#else
    T_CHECK(strstr(text, "SSL") == NULL);
#endif
}

int main(void)
{
    T_RUN(digests_are_those_of_the_standard);
    T_RUN(libcrypto_is_used_where_it_is_built_in);
#if defined(DU_LIBCRYPTO) && OPENSSL_VERSION_NUMBER >= 0x30000000L
    T_RUN(without_a_provider_digests_are_those_of_the_standard_too);
#endif
    T_RUN(a_digest_that_failed_on_its_way_is_zeros);
    T_RUN(a_hash_that_is_given_up_is_freed);
    T_RUN(hmac_is_that_of_rfc_4231);
    T_RUN(equality_looks_at_every_byte);
    T_RUN(versions_name_the_libraries);
    return T_DONE();
}
