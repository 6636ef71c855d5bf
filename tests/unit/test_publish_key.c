/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/crypto.h"
#include "publish/key.h"
#include "t.h"

static const enum du_key_type types[] = { DU_KEY_ED25519, DU_KEY_ECDSA_P256, DU_KEY_RSA_PSS };
#define TYPES (sizeof types / sizeof types[0])

static struct du_bytes bytes_of(const char *text)
{
    return (struct du_bytes){ (const unsigned char *)text, strlen(text) };
}

/* The public half, parsed by the door that clients use. */
static struct du_key *client_key(const struct du_signer *signer)
{
    const struct du_json *key = du_signer_public(signer);
    struct du_key *parsed = NULL;
    defupd_error err = { 0 };
    bool known = false;

    T_OK(du_key_parse(&parsed, &known, du_json_string(key, "keytype"),
                      du_json_string(key, "scheme"),
                      du_json_string(du_json_object(key, "keyval"), "public"), &err),
         &err);
    T_CHECK(known && parsed != NULL);
    return parsed;
}

/* One of each type for all tests: making an RSA key takes longer than the rest. */
static struct du_signer *a_signer(size_t i)
{
    static struct du_signer *made[TYPES];
    defupd_error err = { 0 };

    if (made[i] == NULL)
        T_OK(du_signer_generate(&made[i], types[i], &err), &err);
    return made[i];
}

static void what_is_signed_verifies_and_nothing_else_does(void)
{
    for (size_t i = 0; i < TYPES; i++) {
        defupd_error err = { 0 };
        DU_AUTO_SIGNER *other = NULL;
        DU_AUTO_BUF signature = DU_BUF(2048);
        struct du_signer *signer = a_signer(i);
        struct du_key *key, *wrong;

        T_OK(du_signer_generate(&other, types[i], &err), &err);
        T_OK(du_signer_sign(signer, bytes_of("{\"a\":1}"), &signature, &err), &err);
        key = client_key(signer);
        wrong = client_key(other);
        T_CHECK(du_key_kind(key) == types[i]);
        T_CHECK(du_key_verify(key, bytes_of("{\"a\":1}"), du_buf_bytes(&signature)));
        T_CHECK(!du_key_verify(key, bytes_of("{\"a\":2}"), du_buf_bytes(&signature)));
        T_CHECK(!du_key_verify(wrong, bytes_of("{\"a\":1}"), du_buf_bytes(&signature)));
        signature.data[signature.len / 2] ^= 1;
        T_CHECK(!du_key_verify(key, bytes_of("{\"a\":1}"), du_buf_bytes(&signature)));
        du_key_free(key);
        du_key_free(wrong);
    }
}

static void a_key_comes_back_from_its_pem(void)
{
    for (size_t i = 0; i < TYPES; i++) {
        defupd_error err = { 0 };
        DU_AUTO_SIGNER *again = NULL;
        DU_AUTO_SECRET pem = DU_BUF(DU_PEM_MAX);
        struct du_signer *signer = a_signer(i);

        T_OK(du_signer_pem(signer, NULL, &pem, &err), &err);
        T_CHECK(strncmp(du_buf_text(&pem), "-----BEGIN PRIVATE KEY-----\n", 28) == 0);
        T_OK(du_signer_parse(&again, du_buf_bytes(&pem), NULL, "k.pem", &err), &err);
        T_SAME(du_signer_id(again), du_signer_id(signer));
        T_CHECK(du_signer_type(again) == types[i]);
    }
}

/* Each attempt takes a good part of a second, on purpose: one type will do for every day. */
static void a_locked_key_opens_with_its_passphrase_alone(void)
{
    const size_t count = getenv("DEFUPD_LONG") != NULL ? TYPES : 1;

    for (size_t i = 0; i < count; i++) {
        defupd_error err = { 0 };
        DU_AUTO_SIGNER *again = NULL;
        DU_AUTO_SECRET pem = DU_BUF(DU_PEM_MAX);
        struct du_signer *signer = a_signer(i);

        T_OK(du_signer_pem(signer, "correct horse", &pem, &err), &err);
        T_CHECK(strncmp(du_buf_text(&pem), "-----BEGIN ENCRYPTED PRIVATE KEY-----\n", 38) == 0);
        T_CHECK(du_signer_is_locked(du_buf_bytes(&pem)));
        T_FAILS(du_signer_parse(&again, du_buf_bytes(&pem), NULL, "k.pem", &err), DEFUPD_E_KEY,
                &err);
        T_FAILS(du_signer_parse(&again, du_buf_bytes(&pem), "correct horsf", "k.pem", &err),
                DEFUPD_E_KEY, &err);
        T_SAME(err.message, "k.pem: the passphrase does not open it");
        T_FAILS(du_signer_parse(&again, du_buf_bytes(&pem), "", "k.pem", &err), DEFUPD_E_KEY, &err);
        T_OK(du_signer_parse(&again, du_buf_bytes(&pem), "correct horse", "k.pem", &err), &err);
        T_SAME(du_signer_id(again), du_signer_id(signer));
        T_CHECK(t_shell("printf '%%s' '%s' >k.pem && openssl asn1parse -in k.pem | grep -q scrypt "
                        "&& openssl pkey -in k.pem -passin pass:'correct horse' -noout",
                        du_buf_text(&pem)) == 0);
    }
}

static void a_key_id_is_the_digest_of_the_canonical_key(void)
{
    defupd_error err = { 0 };
    DU_AUTO_SIGNER *signer = NULL;
    unsigned char digest[DU_SHA256_BYTES];
    char text[512], hex[DU_KEYID_TEXT];

    T_OK(du_signer_generate(&signer, DU_KEY_ED25519, &err), &err);
    (void)snprintf(
        text, sizeof text,
        "{\"keytype\":\"ed25519\",\"keyval\":{\"public\":\"%s\"},\"scheme\":\"ed25519\"}",
        du_json_string(du_json_object(du_signer_public(signer), "keyval"), "public"));
    du_sha256(digest, text, strlen(text));
    du_hex(hex, digest, sizeof digest);
    T_SAME(du_signer_id(signer), hex);
}

static void two_keys_are_two(void)
{
    defupd_error err = { 0 };
    DU_AUTO_SIGNER *a = NULL, *b = NULL;

    T_OK(du_signer_generate(&a, DU_KEY_ED25519, &err), &err);
    T_OK(du_signer_generate(&b, DU_KEY_ED25519, &err), &err);
    T_CHECK(strcmp(du_signer_id(a), du_signer_id(b)) != 0);
}

/* Made for this test alone; they sign nothing. */
static const char p384[] = "-----BEGIN PRIVATE KEY-----\n"
                           "MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDC+yN6eNragMMsfjZ5A\n"
                           "8QZ1PCGzmB/cI9G9EP+zzXhS5VbhWlWPJ5kAuNI+qpe6TR+hZANiAARF3/OdUBXb\n"
                           "72hhr0FdFc5j/+cfdP71fT+wB/MFhinh+YTP6XvmpF7+lzc1uvvxcBoU7Vfymhrt\n"
                           "YKRNW3dvnPbR3jaO8bEYPztsoakCgSdESb/dAC9Ks2Dp6UcuBet3Lzw=\n"
                           "-----END PRIVATE KEY-----\n";
static const char encrypted[] = "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
                                "MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAjQdFPw0KbqxwICCAAw\n"
                                "DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEENJaJHYb1+7szFI+soI5k7YEgZDG\n"
                                "HM/BNm83H7wrkWSDHVaF4KJtUF/pUTpMs8F6rrRZnCClYfKT/u7HlVpqY0KmkVBv\n"
                                "vzuyhDDYANyf2eQuFoAh+L+kycw5TFt57xO98P5a4oM051neiflvOo3Ydp2TqVXc\n"
                                "+i5brgHYOag3b6aQp0s5Kbt0j7383U+o0tj30Hzi8qYy7sO3et4sxmpj74EkQHs=\n"
                                "-----END ENCRYPTED PRIVATE KEY-----\n";
static const char x25519[] = "-----BEGIN PRIVATE KEY-----\n"
                             "MC4CAQAwBQYDK2VuBCIEIOgkDjP0aWEwoTcS71vwZerJd8URgcIPMKnFc3k/+jR6\n"
                             "-----END PRIVATE KEY-----\n";
static const char rsa1024[] = "-----BEGIN PRIVATE KEY-----\n"
                              "MIICdQIBADANBgkqhkiG9w0BAQEFAASCAl8wggJbAgEAAoGBALVQ5Tvz5gp2Lfvm\n"
                              "ko4G/INzHLMelWJtb/5hdu3Q7AXA5TBsTtG8QGl4rSqXd54yZpIRLTXgwkvgc737\n"
                              "XqaNJp2gh8Pdrgs6vqy0nhLIAB/qhcYBX6vx2IynvxCiWIVJt/irAf07d70RJNVF\n"
                              "MPEMkqxyPbSr+/9K2WO3/HVV/TA1AgMBAAECgYAnIkOn0feHsIQyR0zAbM+Zi4HZ\n"
                              "QzOY3+f5Lo4dvCcFAuI0tlu4tvnsCcjOVYzSzywGQMDSTSWCfPpeOd/u8K4xoFDW\n"
                              "PvTLAjTKDf1fKabjKpkPh5Xbfuima7xh+1iA5txlrFghtZR/z3Plhw1yipafMehE\n"
                              "t3hznE0I0rADcE3BbQJBANe5vKEIyxXMbat5XgJ/fal3RPuCSp8hArqxsVosMfmu\n"
                              "SwcitWdBOzr2z3UlMaIFrFb1GizGnMu/JVovOAkLhn8CQQDXKpvdFgDfbzpoFEUo\n"
                              "t13C8Z3qBcrJNCOuj/4Uv0dlu3KpnOUplCP62ifbP8mffDosoadel6gpRNOcGVKB\n"
                              "iLdLAkApynmYWLO/DVNRnLlxknEtm0Vp09vQ5/w3XqUU6urji7hNMZQi5KgszBN0\n"
                              "hjgPQzoXvnPLqM5HSkhaKDuaxPjRAkB2GqBFQZ+nBUG1AXNYvxXLPJ6mZxmBSYpQ\n"
                              "dh9MOhYxpCtzKHitUvBQ8FAyS5gbX6/68ZySEoKubGYO5+Ne0LFzAkAP/viar1o6\n"
                              "9lVnd2nHXS5Zq2QM4vDFV2Tw5Xe7tKyybHpfZfIBITEfwA78gNFmdcS+1B+aXT4g\n"
                              "Z/Na6Wuu21+B\n"
                              "-----END PRIVATE KEY-----\n";

static void keys_that_clients_do_not_know_are_refused(void)
{
    const struct {
        const char *pem, *says;
    } bad[] = { { p384, "k.pem: key is none of" },
                { x25519, "k.pem: key is none of" },
                { rsa1024, "k.pem: key is none of" },
                { encrypted, "k.pem: private key is encrypted" },
                { "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "k.pem: " },
                { "rubbish", "k.pem: " },
                { "", "k.pem: not a private key" } };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        DU_AUTO_SIGNER *signer = NULL;
        defupd_error err = { 0 };
        T_FAILS(du_signer_parse(&signer, bytes_of(bad[i].pem), NULL, "k.pem", &err), DEFUPD_E_KEY,
                &err);
        T_CHECK(strstr(err.message, bad[i].says) == err.message);
        T_CHECK(signer == NULL);
    }
}

static void a_wiped_buffer_holds_no_key(void)
{
    defupd_error err = { 0 };
    DU_AUTO_SIGNER *signer = NULL;
    struct du_buf pem = DU_BUF(DU_PEM_MAX);

    T_OK(du_buf_reserve(&pem, DU_PEM_MAX, &err), &err);
    T_OK(du_signer_generate(&signer, DU_KEY_ED25519, &err), &err);
    const unsigned char *before = pem.data;
    T_OK(du_signer_pem(signer, NULL, &pem, &err), &err);
    T_CHECK(pem.data == before); /* reserved to its maximum: it never moved */
    du_secret_free(&pem);
    T_CHECK(pem.data == NULL && pem.len == 0);
}

int main(void)
{
    T_RUN(what_is_signed_verifies_and_nothing_else_does);
    T_RUN(a_key_comes_back_from_its_pem);
    T_RUN(a_locked_key_opens_with_its_passphrase_alone);
    T_RUN(a_key_id_is_the_digest_of_the_canonical_key);
    T_RUN(two_keys_are_two);
    T_RUN(keys_that_clients_do_not_know_are_refused);
    T_RUN(a_wiped_buffer_holds_no_key);
    return T_DONE();
}
