/* SPDX-License-Identifier: Apache-2.0 */
#include "publish/key.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/rsa.h>

#include "base/scope.h"

#define RSA_BITS 3072
#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 8192
#define CANONICAL_MAX (16U * 1024)
/* scrypt, RFC 7914: 16 MiB, five times over; about a quarter of a second for us, and for a thief at
 * each guess. */
#define SCRYPT_N 16384
#define SCRYPT_R 8
#define SCRYPT_P 5

struct du_signer {
    EVP_PKEY *pkey;
    enum du_key_type type;
    struct du_json *public;
    char id[DU_KEYID_TEXT];
};

struct type_words {
    enum du_key_type type;
    const char *word, *keytype, *scheme;
};
static const struct type_words type_words[] = {
    { DU_KEY_ED25519, "ed25519", "ed25519", "ed25519" },
    { DU_KEY_ECDSA_P256, "ecdsa", "ecdsa", "ecdsa-sha2-nistp256" },
    { DU_KEY_RSA_PSS, "rsa", "rsa", "rsassa-pss-sha256" },
};

static void bio_freep(BIO **bio)
{
    BIO_free(*bio); /* a memory BIO wipes what it held */
}
#define AUTO_BIO __attribute__((cleanup(bio_freep))) BIO

static void md_freep(EVP_MD_CTX **ctx)
{
    EVP_MD_CTX_free(*ctx);
}
#define AUTO_MD __attribute__((cleanup(md_freep))) EVP_MD_CTX

/* OpenSSL's reason, and nothing left in its queue for the next caller in this thread. */
static defupd_code fail_ssl(defupd_error *err, const char *what)
{
    const unsigned long number = ERR_peek_last_error();
    const char *reason = number == 0 ? NULL : ERR_reason_error_string(number);

    ERR_clear_error();
    return DU_FAIL(err, DEFUPD_E_KEY, "%s: %s", what,
                   reason != NULL ? reason : "the cryptographic library refuses");
}

enum du_key_type du_key_type_parse(const char *word)
{
    for (size_t i = 0; i < sizeof type_words / sizeof type_words[0]; i++)
        if (strcmp(word, type_words[i].word) == 0)
            return type_words[i].type;
    return 0;
}

static const struct type_words *words_of(enum du_key_type type)
{
    for (size_t i = 0; i < sizeof type_words / sizeof type_words[0]; i++)
        if (type == type_words[i].type)
            return &type_words[i];
    return &type_words[0];
}

const char *du_key_type_word(enum du_key_type type)
{
    return words_of(type)->word;
}

void du_secret_free(struct du_buf *buf)
{
    if (buf->data != NULL)
        explicit_bzero(buf->data, buf->cap);
    du_buf_free(buf);
}

defupd_code du_key_object_id(const struct du_json *key, char id[DU_KEYID_TEXT], defupd_error *err)
{
    DU_AUTO_BUF canonical = DU_BUF(CANONICAL_MAX);
    unsigned char digest[DU_SHA256_BYTES];

    DU_TRY(du_json_canonical(key, &canonical, err));
    du_sha256(digest, canonical.data, canonical.len);
    du_hex(id, digest, sizeof digest);
    return DEFUPD_OK;
}

/* The public half as TUF writes it: hex of the 32 bytes for Ed25519, else PEM. */
static defupd_code public_text(EVP_PKEY *pkey, enum du_key_type type, struct du_buf *out,
                               defupd_error *err)
{
    if (type == DU_KEY_ED25519) {
        unsigned char raw[32];
        char hex[2 * sizeof raw + 1];
        size_t len = sizeof raw;
        if (EVP_PKEY_get_raw_public_key(pkey, raw, &len) != 1 || len != sizeof raw)
            return fail_ssl(err, "take the public half of a key");
        du_hex(hex, raw, sizeof raw);
        return du_buf_add_text(out, hex, err);
    }
    AUTO_BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    long len;
    if (bio == NULL || PEM_write_bio_PUBKEY(bio, pkey) != 1)
        return fail_ssl(err, "take the public half of a key");
    len = BIO_get_mem_data(bio, &text);
    return du_buf_add(out, text, (size_t)len, err);
}

static defupd_code describe(struct du_signer *signer, defupd_error *err)
{
    const struct type_words *words = words_of(signer->type);
    DU_AUTO_BUF text = DU_BUF(DU_PEM_MAX);
    DU_AUTO_JSON *value = du_json_new_object();

    DU_TRY(public_text(signer->pkey, signer->type, &text, err));
    signer->public = du_json_new_object();
    if (value == NULL || signer->public == NULL ||
        !du_json_set(value, "public", du_json_new_string(du_buf_text(&text))) ||
        !du_json_set(signer->public, "keytype", du_json_new_string(words->keytype)) ||
        !du_json_set(signer->public, "scheme", du_json_new_string(words->scheme)) ||
        !du_json_set(signer->public, "keyval", du_take(&value)))
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a key");
    return du_key_object_id(signer->public, signer->id, err);
}

/* Takes over `pkey`, also on failure. */
static defupd_code adopt(struct du_signer **out, EVP_PKEY *pkey, enum du_key_type type,
                         defupd_error *err)
{
    DU_AUTO_SIGNER *signer = calloc(1, sizeof *signer);

    if (signer == NULL) {
        EVP_PKEY_free(pkey);
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a key");
    }
    signer->pkey = pkey;
    signer->type = type;
    DU_TRY(describe(signer, err));
    *out = du_take(&signer);
    return DEFUPD_OK;
}

defupd_code du_signer_generate(struct du_signer **out, enum du_key_type type, defupd_error *err)
{
    EVP_PKEY *pkey = NULL;

    switch (type) {
    case DU_KEY_ED25519: pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"); break;
    case DU_KEY_ECDSA_P256: pkey = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256"); break;
    case DU_KEY_RSA_PSS: pkey = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)RSA_BITS); break;
    }
    if (pkey == NULL)
        return fail_ssl(err, "generate a key");
    return adopt(out, pkey, type, err);
}

struct passphrase {
    const char *text; /* NULL: none */
    bool asked;
};

/* libcrypto's own callback would ask on the terminal of whatever program this is. */
static int give_passphrase(char *text, int size, int writing, void *user)
{
    struct passphrase *passphrase = user;
    const size_t len = passphrase->text != NULL ? strlen(passphrase->text) : 0;

    (void)writing;
    passphrase->asked = true;
    if (len == 0 || len > (size_t)size)
        return -1;
    memcpy(text, passphrase->text, len);
    return (int)len;
}

bool du_signer_is_locked(struct du_bytes pem)
{
    /* PKCS#8 says so in its first line, the traditional form in a header. */
    static const char *const marks[] = { "-----BEGIN ENCRYPTED PRIVATE KEY-----",
                                         "Proc-Type: 4,ENCRYPTED" };

    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++)
        if (pem.len > 0 && memmem(pem.data, pem.len, marks[i], strlen(marks[i])) != NULL)
            return true;
    return false;
}

static enum du_key_type type_of(const EVP_PKEY *pkey)
{
    char curve[64];
    size_t len;

    if (EVP_PKEY_is_a(pkey, "ED25519"))
        return DU_KEY_ED25519;
    if (EVP_PKEY_is_a(pkey, "EC") &&
        EVP_PKEY_get_group_name(pkey, curve, sizeof curve, &len) == 1 &&
        strcmp(curve, "prime256v1") == 0)
        return DU_KEY_ECDSA_P256;
    if (EVP_PKEY_is_a(pkey, "RSA") && EVP_PKEY_get_bits(pkey) >= RSA_BITS_MIN &&
        EVP_PKEY_get_bits(pkey) <= RSA_BITS_MAX)
        return DU_KEY_RSA_PSS;
    return 0;
}

defupd_code du_signer_parse(struct du_signer **out, struct du_bytes pem, const char *passphrase,
                            const char *what, defupd_error *err)
{
    AUTO_BIO *bio =
        pem.len > 0 && pem.len <= DU_PEM_MAX ? BIO_new_mem_buf(pem.data, (int)pem.len) : NULL;
    struct passphrase given = { .text = passphrase };
    enum du_key_type type;
    EVP_PKEY *pkey;

    if (bio == NULL)
        return DU_FAIL(err, DEFUPD_E_KEY, "%s: not a private key", what);
    pkey = PEM_read_bio_PrivateKey(bio, NULL, give_passphrase, &given);
    if (pkey == NULL && given.asked) {
        ERR_clear_error();
        return DU_FAIL(err, DEFUPD_E_KEY, "%s: %s", what,
                       passphrase == NULL ? "private key is encrypted"
                                          : "the passphrase does not open it");
    }
    if (pkey == NULL)
        return fail_ssl(err, what);
    type = type_of(pkey);
    if (type == 0) {
        EVP_PKEY_free(pkey);
        return DU_FAIL(err, DEFUPD_E_KEY,
                       "%s: key is none of Ed25519, ECDSA P-256, RSA of %d to %d bits", what,
                       RSA_BITS_MIN, RSA_BITS_MAX);
    }
    return adopt(out, pkey, type, err);
}

/* Not PEM_write_bio_PKCS8PrivateKey(): its 2048 rounds of PBKDF2 are too few for a key that a
 * thief may guess at as long as he likes. */
static bool write_locked(BIO *bio, EVP_PKEY *pkey, const char *passphrase)
{
    X509_ALGOR *how =
        PKCS5_pbe2_set_scrypt(EVP_aes_256_cbc(), NULL, 0, NULL, SCRYPT_N, SCRYPT_R, SCRYPT_P);
    PKCS8_PRIV_KEY_INFO *plain = EVP_PKEY2PKCS8(pkey);
    X509_SIG *locked = NULL;
    bool written;

    if (how != NULL && plain != NULL) /* takes over `how` when it succeeds */
        locked = PKCS8_set0_pbe(passphrase, (int)strlen(passphrase), plain, how);
    if (locked == NULL)
        X509_ALGOR_free(how);
    written = locked != NULL && PEM_write_bio_PKCS8(bio, locked) == 1;
    PKCS8_PRIV_KEY_INFO_free(plain);
    X509_SIG_free(locked);
    return written;
}

defupd_code du_signer_pem(const struct du_signer *signer, const char *passphrase,
                          struct du_buf *out, defupd_error *err)
{
    AUTO_BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    bool written = false;
    long len;

    if (bio != NULL && passphrase != NULL)
        written = write_locked(bio, signer->pkey, passphrase);
    else if (bio != NULL)
        written = PEM_write_bio_PKCS8PrivateKey(bio, signer->pkey, NULL, NULL, 0, NULL, NULL) == 1;
    if (!written)
        return fail_ssl(err, "write a private key");
    len = BIO_get_mem_data(bio, &text);
    return du_buf_add(out, text, (size_t)len, err);
}

defupd_code du_signer_sign(const struct du_signer *signer, struct du_bytes message,
                           struct du_buf *signature, defupd_error *err)
{
    const EVP_MD *digest = signer->type == DU_KEY_ED25519 ? NULL : EVP_sha256();
    AUTO_MD *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *pctx = NULL;
    unsigned char raw[RSA_BITS_MAX / 8];
    size_t len = sizeof raw;

    if (ctx == NULL || EVP_DigestSignInit(ctx, &pctx, digest, NULL, signer->pkey) != 1)
        return fail_ssl(err, "prepare a signature");
    if (signer->type == DU_KEY_RSA_PSS &&
        (EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) != 1 ||
         EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST) != 1))
        return fail_ssl(err, "prepare a signature");
    if (EVP_DigestSign(ctx, raw, &len, message.data, message.len) != 1)
        return fail_ssl(err, "sign");
    return du_buf_add(signature, raw, len, err);
}

const char *du_signer_id(const struct du_signer *signer)
{
    return signer->id;
}

enum du_key_type du_signer_type(const struct du_signer *signer)
{
    return signer->type;
}

const struct du_json *du_signer_public(const struct du_signer *signer)
{
    return signer->public;
}

void du_signer_free(struct du_signer *signer)
{
    if (signer == NULL)
        return;
    EVP_PKEY_free(signer->pkey);
    du_json_free(signer->public);
    free(signer);
}

void du_signer_freep(struct du_signer **signer)
{
    du_signer_free(*signer);
}
