/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private keys: making, storing as PKCS#8, signing. The only module that includes OpenSSL: mbedTLS
 * 2.28 cannot write modern PKCS#8. Nothing here prints a private key or puts one into a message.
 * Layer: uses base/, crypto/ and json/.
 */
#ifndef DU_PUBLISH_KEY_H
#define DU_PUBLISH_KEY_H

#include "base/bytes.h"
#include "base/err.h"
#include "crypto/crypto.h"
#include "json/json.h"

#define DU_KEYID_TEXT (DU_SHA256_HEX + 1)
#define DU_PEM_MAX (16U * 1024)

/* A private key with its public half. */
struct du_signer;

/* Errors: DEFUPD_E_KEY, DEFUPD_E_NOMEM. RSA keys get 3072 bits. */
DEFUPD_MUST_CHECK defupd_code du_signer_generate(struct du_signer **out, enum du_key_type type,
                                                 defupd_error *err);
/* Read a PKCS#8 (or traditional) PEM. `passphrase` NULL: it must not be encrypted. `what` names the
 * file. Never asks anybody for a passphrase. Errors: DEFUPD_E_KEY, DEFUPD_E_NOMEM. */
DEFUPD_MUST_CHECK defupd_code du_signer_parse(struct du_signer **out, struct du_bytes pem,
                                              const char *passphrase, const char *what,
                                              defupd_error *err);
/* Does the PEM need a passphrase? */
bool du_signer_is_locked(struct du_bytes pem);
/* Append the private key as PKCS#8 PEM; with a passphrase encrypted by PBES2 (scrypt, AES-256-CBC).
 * The caller wipes the buffer: du_secret_free(). */
DEFUPD_MUST_CHECK defupd_code du_signer_pem(const struct du_signer *signer, const char *passphrase,
                                            struct du_buf *out, defupd_error *err);
/* Append the raw signature over `message`, in the form docs/formats/repository.md states. */
DEFUPD_MUST_CHECK defupd_code du_signer_sign(const struct du_signer *signer,
                                             struct du_bytes message, struct du_buf *signature,
                                             defupd_error *err);

/* TUF key id: SHA-256 of the public key object's canonical JSON, in hex. Borrowed. */
const char *du_signer_id(const struct du_signer *signer);
enum du_key_type du_signer_type(const struct du_signer *signer);
/* The key object as root metadata holds it: keytype, scheme, keyval. Borrowed. */
const struct du_json *du_signer_public(const struct du_signer *signer);

void du_signer_free(struct du_signer *signer);
void du_signer_freep(struct du_signer **signer);
#define DU_AUTO_SIGNER __attribute__((cleanup(du_signer_freep))) struct du_signer

/* "ed25519", "ecdsa", "rsa"; 0 for another word. */
enum du_key_type du_key_type_parse(const char *word);
const char *du_key_type_word(enum du_key_type type);

/* Id of a public key object. */
DEFUPD_MUST_CHECK defupd_code du_key_object_id(const struct du_json *key, char id[DU_KEYID_TEXT],
                                               defupd_error *err);

/* A buffer that held a private key: wiped, then freed. It must have been reserved at its maximum
 * before use, so that growing never left a copy behind. */
void du_secret_free(struct du_buf *buf);
#define DU_AUTO_SECRET __attribute__((cleanup(du_secret_free))) struct du_buf

#endif
