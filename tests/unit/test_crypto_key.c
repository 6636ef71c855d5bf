/* SPDX-License-Identifier: Apache-2.0 */
#include "base/scope.h"
#include "crypto/crypto.h"
#include "t.h"

/* Made once with openssl(1): keys, and signatures over MESSAGE. */
static const char message[] = "defupd test message";
static const char rsa_pem[] = "-----BEGIN PUBLIC KEY-----\n"
                              "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAwibzXmV5XrBTaRkFdpYf\n"
                              "ln+wHYygrjq5QSiJWdiBp4cHrXLbDiwitIWDhB75e71TS7n1TLJxFZC9tx6QlW1y\n"
                              "8v6bKEq8gKUkqG2Tg69EueNBqFdqItmHJ1+VTgGIucymlp09wYUGj0LUq7y3KGPb\n"
                              "SQZgbv3eNag0+8lyeYH/IL6P5ArkIP3fxVCBV3caFMZbF46kXKxlH4l79GI40MbE\n"
                              "zMIdIwR5Mnq8JJ3vJl4VD6ZYwRtAokn8RJNSKmJYHNZUEFDihHTvbNCTnTtW+RtY\n"
                              "crD02TQV1d47wonu3QFKPLZPaKs0SH7Zq89M5NVn8Sl7PpUkMJiCJcd7TLS7G0X4\n"
                              "rQIDAQAB\n"
                              "-----END PUBLIC KEY-----\n";
static const char rsa_pkcs1_pem[] =
    "-----BEGIN RSA PUBLIC KEY-----\n"
    "MIIBCgKCAQEAwibzXmV5XrBTaRkFdpYfln+wHYygrjq5QSiJWdiBp4cHrXLbDiwi\n"
    "tIWDhB75e71TS7n1TLJxFZC9tx6QlW1y8v6bKEq8gKUkqG2Tg69EueNBqFdqItmH\n"
    "J1+VTgGIucymlp09wYUGj0LUq7y3KGPbSQZgbv3eNag0+8lyeYH/IL6P5ArkIP3f\n"
    "xVCBV3caFMZbF46kXKxlH4l79GI40MbEzMIdIwR5Mnq8JJ3vJl4VD6ZYwRtAokn8\n"
    "RJNSKmJYHNZUEFDihHTvbNCTnTtW+RtYcrD02TQV1d47wonu3QFKPLZPaKs0SH7Z\n"
    "q89M5NVn8Sl7PpUkMJiCJcd7TLS7G0X4rQIDAQAB\n"
    "-----END RSA PUBLIC KEY-----\n";
static const char rsa_1024_pem[] =
    "-----BEGIN PUBLIC KEY-----\n"
    "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC6FeBF86+K0Rnj4P+9EfELfgxQ\n"
    "Qi567Xnj4zCSuEfr0xzquBR0C87AgUcAMViyhEgowzPL0gWf9v4HNszPYC7RJAoL\n"
    "ilx8ylWJ+/E2FvWEuDGyyVwuowH6evI0kMNKhVLk6FSrkG9lEpvArw/yU2hXCD93\n"
    "8ywW720XkWkLFgk6JwIDAQAB\n"
    "-----END PUBLIC KEY-----\n";
static const char ec_pem[] = "-----BEGIN PUBLIC KEY-----\n"
                             "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEbC7s1/cvHhLzwZtpXX2+TIOv3+ys\n"
                             "U3Bmj22pTUmvEuHt/vuddKP2fliot3cuokJw6x60DSP/8OSYRkgVgPXjgA==\n"
                             "-----END PUBLIC KEY-----\n";
static const char ec_384_pem[] =
    "-----BEGIN PUBLIC KEY-----\n"
    "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEKZOkq8EyQP8YLCEZJpCSAGEO6DjFFNpN\n"
    "AWs33to5Leqvsc21vW7QKee6Dr+rlx7XRIUd/C8CrpLQx/qbeK4fTL0pXSuWnEUy\n"
    "Py49vuDTEKVrYSq+WBc4XfujJflTxFh2\n"
    "-----END PUBLIC KEY-----\n";
static const char ec_point[] = "046c2eecd7f72f1e12f3c19b695d7dbe4c83afdfecac5370668f6da94d49af12e1e"
                               "dfefb9d74a3f67e58a8b7772ea242"
                               "70eb1eb40d23fff0e49846481580f5e380";
static const char ec_signature[] = "304502202f81a86055fa92b661c4bc7f5f32f2499dadff7b6c9935122b8632e"
                                   "a4e86e4e4022100889212ddfbecdf0ba9"
                                   "4a04805325872d957d050ddb0d5da42b96d84fbe9fdec7";
static const char rsa_salt_32[] = "485f82100ba95bf2457d692c6e07b0b546f3031183c37cc383a7805aa10881a0"
                                  "081e46bc8c8da2562a6b7de4c209b771"
                                  "0cbacce7916e234ddec235082666df6095bc292954b6f02bbd51e0121c6d7d91"
                                  "3370d35fa46c17a9698caf8dff243011"
                                  "0f6182d8c08226c1388b210f4642c314df81790753f9d0308350174c6cec5a87"
                                  "dac8085d4427fdde45379b0dba852c3d"
                                  "d69b8f612437d204d669c0623656c2f07534a0b26a10db08b2324ebad4aa1109"
                                  "1eafb8040563881c2ad19e875832c2d3"
                                  "24a23fa4c9916269bc8ca5f1c2914b571dedf0904266db2a3a77c57e28e54ed8"
                                  "bd34316643ab39e022ecd78510c741aa"
                                  "8c8327555c1bd00161ac7ea92bcac17b";
static const char rsa_salt_0[] = "3a449b84f3c68bb3c0d9b76149334a6cce32f60de944922db55928ad1f2090d15"
                                 "b508d0cc5397f78f25a2bb619572594"
                                 "1605dea2dc3ab034a0493a53ed998fa9663aff2664130b47cdd3c66c49fb1dadf"
                                 "f8bf3448f334ec6b143b283746a55ea"
                                 "c0489001d5ad3f9cfc657915714fe9f3cbe2e75e773dc4c113426b112e5e3a205"
                                 "3cc88d09cc96b3855dd301ab5a3d4cd"
                                 "9ded5607da52a093bc045fe115fe1168ecfe5494aa39e6fac7af87d32c5397dff"
                                 "ecdfe87c8a9ff6562786b95a008c2e4"
                                 "ea1d813cebd54925d6e213c346902114618f59e6b8de1c9f664ff5564c09ee6a5"
                                 "9487a6fba476be8028a2aee01188946"
                                 "ae92dbf2af413abd6a6142c465c350ce";
static const char rsa_salt_max[] = "06815f33cf7f77ebffd689116ddb2d7f7398eada4f4056c16e9e50a137836a1"
                                   "5464ed434236be1cecbe52f09099b8073"
                                   "4656acec90ef818baebea677c9b4d41ef5829fcad0cdbd6b9a04bee284cc8bb"
                                   "ad280955ed1596a62e9bf6b89708202bf"
                                   "c17910b49886e17a77a292ecd8ed10ff01fbf99daf79ead6186abfab1ceb644"
                                   "670583702f9c5bb46ea2277caf58370ad"
                                   "385c37d4a055633bb7d560c8dbc0836c51be39a228bc2f12af878e7700488ab"
                                   "ab3b1100a5da73fa60f25a7b50b0ea933"
                                   "9c28169ba5e7318a1f5863d77a8352b22c4e176eb4c5b54c1864878f8c52a36"
                                   "eeaae83be4bbc4cc25cc3eaf68fbb0eac"
                                   "f103c6d40cb2f6695a6a69141a3e1c72";
static const char rsa_pkcs1_v15[] = "5a447c4309fa9a2ef4f32df718ee9238797b13994be1714f9e6eecd0180bcf"
                                    "81fae6b72de3c51b537e7abb6ed25eac74"
                                    "a567a22f471fbd2d8d4cc261f1866106d1959aa070f71ca3f171b2938a63ba"
                                    "7dd1b0969b1cfdfa99bcc1cb4450dcf59f"
                                    "e0d543cd57d517ee7443331632fbee236c66dc0c076bee983a640f9416c755"
                                    "f99a234a2423d4d99d7950fbd27166cb83"
                                    "d00dc137e418511d06e55c42933b186d6eae21a2ec35c07da0d06c9da2fccc"
                                    "aa9f7ca1ad6c659901c7b3e7cb74d2fc01"
                                    "df69f92305ecf4e00fa750baab7e6680d9b66337bf7c1100e9e7fc880c58c0"
                                    "610b8aa60157297af542d7e375d3722ae8"
                                    "88afac5b85627c13df322cde699798d3";
static const char rsa_mgf1_sha1[] = "3b4453f9703e3ed5f648e2d96f90aaf88f982b9559e65356043919b86d31fb"
                                    "fe5483a7954f486c1c6c50c1c7841b4c84"
                                    "4802fab9ef6922eb8072630767efbba0a33358d88d0558b6eb136f52fff7b7"
                                    "c91d14e4cbdb4502beff2a39386d0774c8"
                                    "ba2754a581a4469069f89d9eacfe1c7574fc4cd24b20f249d4034576270206"
                                    "82e547361d8280a5cae7788a15c0c4b4b9"
                                    "08d8d500dfb57788e431f50882a07224c02feb81f06f5cee7ac3391a56366a"
                                    "6606223627433c8ee235228b5b86a487d8"
                                    "0359fb1e6dedd1427406051ab32173b76a84fad655dd2d5b91d6a2de9eb491"
                                    "b1884fc112b0936efea767efdb71b7459c"
                                    "415924d3fbd148e795845bc663899f97";

/* RFC 8032, section 7.1, TEST 3 */
static const char ed_key[] = "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025";
static const char ed_signature[] =
    "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
    "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a";

static struct du_bytes text_bytes(const char *text)
{
    return (struct du_bytes){ (const unsigned char *)text, strlen(text) };
}

static struct du_key *key_of(const char *keytype, const char *scheme, const char *value)
{
    defupd_error err = { 0 };
    struct du_key *key = NULL;
    bool known = false;

    T_OK(du_key_parse(&key, &known, keytype, scheme, value, &err), &err);
    T_CHECK(known && key != NULL);
    return key;
}

static bool verifies(const struct du_key *key, struct du_bytes what, const char *hex)
{
    unsigned char signature[1024];
    const size_t count = strlen(hex) / 2;

    T_CHECK(count <= sizeof signature && du_unhex(signature, count, hex));
    return du_key_verify(key, what, (struct du_bytes){ signature, count });
}

/* The signature verifies; with any one bit flipped, cut or extended, or over another message, it
 * does not. */
static void check_signature(const struct du_key *key, struct du_bytes what, const char *hex)
{
    unsigned char signature[1024];
    const size_t count = strlen(hex) / 2;
    unsigned char changed[64];

    T_CHECK(count < sizeof signature && du_unhex(signature, count, hex));
    signature[count] = 0;
    T_CHECK(du_key_verify(key, what, (struct du_bytes){ signature, count }));
    for (size_t i = 0; i < count; i++) {
        signature[i] ^= (unsigned char)(1U << (i % 8));
        T_CHECK(!du_key_verify(key, what, (struct du_bytes){ signature, count }));
        signature[i] ^= (unsigned char)(1U << (i % 8));
    }
    T_CHECK(!du_key_verify(key, what, (struct du_bytes){ signature, count - 1 }));
    T_CHECK(!du_key_verify(key, what, (struct du_bytes){ signature, count + 1 }));
    T_CHECK(!du_key_verify(key, what, (struct du_bytes){ signature, 0 }));
    T_CHECK(!du_key_verify(key, what, (struct du_bytes){ NULL, 0 }));
    memcpy(changed, what.data, what.len);
    changed[what.len - 1] ^= 1;
    T_CHECK(!du_key_verify(key, (struct du_bytes){ changed, what.len },
                           (struct du_bytes){ signature, count }));
}

static void ed25519_signatures_verify_and_changed_ones_do_not(void)
{
    DU_AUTO_FREE struct du_key *key = key_of("ed25519", "ed25519", ed_key);
    static const unsigned char what[] = { 0xaf, 0x82 };

    T_CHECK(du_key_kind(key) == DU_KEY_ED25519);
    check_signature(key, (struct du_bytes){ what, sizeof what }, ed_signature);
}

static void ecdsa_signatures_verify_and_changed_ones_do_not(void)
{
    DU_AUTO_FREE struct du_key *key = key_of("ecdsa", "ecdsa-sha2-nistp256", ec_pem);

    T_CHECK(du_key_kind(key) == DU_KEY_ECDSA_P256);
    check_signature(key, text_bytes(message), ec_signature);
}

static void rsa_signatures_verify_and_changed_ones_do_not(void)
{
    DU_AUTO_FREE struct du_key *key = key_of("rsa", "rsassa-pss-sha256", rsa_pem);

    T_CHECK(du_key_kind(key) == DU_KEY_RSA_PSS);
    check_signature(key, text_bytes(message), rsa_salt_32);
}

static void pss_takes_any_salt_length_and_no_other_padding(void)
{
    DU_AUTO_FREE struct du_key *key = key_of("rsa", "rsassa-pss-sha256", rsa_pem);

    T_CHECK(verifies(key, text_bytes(message), rsa_salt_0));
    T_CHECK(verifies(key, text_bytes(message), rsa_salt_max));
    T_CHECK(!verifies(key, text_bytes(message), rsa_pkcs1_v15));
    T_CHECK(!verifies(key, text_bytes(message), rsa_mgf1_sha1));
}

static void one_key_is_the_same_however_it_is_written(void)
{
    DU_AUTO_FREE struct du_key *pem = key_of("ecdsa", "ecdsa-sha2-nistp256", ec_pem);
    DU_AUTO_FREE struct du_key *hex =
        key_of("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256", ec_point);
    DU_AUTO_FREE struct du_key *rsa = key_of("rsa", "rsassa-pss-sha256", rsa_pem);
    DU_AUTO_FREE struct du_key *pkcs1 = key_of("rsa", "rsassa-pss-sha256", rsa_pkcs1_pem);

    T_CHECK(du_key_same(pem, hex) && du_key_same(rsa, pkcs1));
    T_CHECK(!du_key_same(pem, rsa));
    T_CHECK(verifies(hex, text_bytes(message), ec_signature));
}

static void unknown_kinds_of_keys_are_no_error(void)
{
    static const struct {
        const char *keytype, *scheme;
    } row[] = { { "ed448", "ed448" },
                { "ed25519", "ed25519ph" },
                { "rsa", "rsa-pkcs1v15-sha256" },
                { "ecdsa", "ecdsa-sha2-nistp384" },
                { "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384" },
                { "", "" } };
    defupd_error err = { 0 };

    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        struct du_key *key = NULL;
        bool known = true;
        T_OK(du_key_parse(&key, &known, row[i].keytype, row[i].scheme, "whatever", &err), &err);
        T_CHECK(!known && key == NULL);
    }
}

static void malformed_keys_of_known_kinds_are_refused(void)
{
    static const char x25519[] = "-----BEGIN PUBLIC KEY-----\n"
                                 "MCowBQYDK2VuAyEAhSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=\n"
                                 "-----END PUBLIC KEY-----\n";
    static const char ec[] = "ecdsa", ec_scheme[] = "ecdsa-sha2-nistp256";
    static const char rsa[] = "rsa", rsa_scheme[] = "rsassa-pss-sha256";
    char off_curve[sizeof ec_point], half[sizeof rsa_pem];
    const struct {
        const char *keytype, *scheme, *value;
    } row[] = {
        { "ed25519", "ed25519", "" },
        { "ed25519", "ed25519", ed_key + 2 },
        { "ed25519", "ed25519", ec_pem },
        { ec, ec_scheme, "" },
        { ec, ec_scheme, ed_key },
        { ec, ec_scheme, ec_point + 2 },
        { ec, ec_scheme, off_curve },
        { ec, ec_scheme, rsa_pem },
        { ec, ec_scheme, ec_384_pem },
        { ec, ec_scheme, x25519 },
        { rsa, rsa_scheme, "" },
        { rsa, rsa_scheme, ec_pem },
        { rsa, rsa_scheme, rsa_1024_pem },
        { rsa, rsa_scheme, half },
        { rsa, rsa_scheme, "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n" },
    };
    defupd_error err = { 0 };

    memcpy(off_curve, ec_point, sizeof off_curve);
    off_curve[20] = off_curve[20] == '0' ? '1' : '0';
    memcpy(half, rsa_pem, sizeof half);
    half[sizeof half / 2] = '\0';
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        struct du_key *key = NULL;
        bool known;
        T_FAILS(du_key_parse(&key, &known, row[i].keytype, row[i].scheme, row[i].value, &err),
                DEFUPD_E_METADATA_FORMAT, &err);
        T_CHECK(key == NULL);
    }
}

static void a_key_of_small_order_verifies_nothing(void)
{
    /* the neutral element: with it, R = identity, S = 0 would "sign" every message */
    DU_AUTO_FREE struct du_key *key = key_of(
        "ed25519", "ed25519", "0100000000000000000000000000000000000000000000000000000000000000");

    T_CHECK(!verifies(key, text_bytes(message),
                      "0100000000000000000000000000000000000000000000000000000000000000"
                      "0000000000000000000000000000000000000000000000000000000000000000"));
}

int main(void)
{
    T_RUN(ed25519_signatures_verify_and_changed_ones_do_not);
    T_RUN(ecdsa_signatures_verify_and_changed_ones_do_not);
    T_RUN(rsa_signatures_verify_and_changed_ones_do_not);
    T_RUN(pss_takes_any_salt_length_and_no_other_padding);
    T_RUN(one_key_is_the_same_however_it_is_written);
    T_RUN(unknown_kinds_of_keys_are_no_error);
    T_RUN(malformed_keys_of_known_kinds_are_refused);
    T_RUN(a_key_of_small_order_verifies_nothing);
    return T_DONE();
}
