/* SPDX-License-Identifier: Apache-2.0 */
/* mbedTLS 2.28 and 3.x: the same calls under two names. Only for crypto/. */
#ifndef DU_CRYPTO_MBED_H
#define DU_CRYPTO_MBED_H

#include <mbedtls/version.h>

#if MBEDTLS_VERSION_NUMBER < 0x03000000
#define du_mbed_sha256_starts mbedtls_sha256_starts_ret
#define du_mbed_sha256_update mbedtls_sha256_update_ret
#define du_mbed_sha256_finish mbedtls_sha256_finish_ret
#define du_mbed_sha512_starts mbedtls_sha512_starts_ret
#define du_mbed_sha512_update mbedtls_sha512_update_ret
#define du_mbed_sha512_finish mbedtls_sha512_finish_ret
#else
#define du_mbed_sha256_starts mbedtls_sha256_starts
#define du_mbed_sha256_update mbedtls_sha256_update
#define du_mbed_sha256_finish mbedtls_sha256_finish
#define du_mbed_sha512_starts mbedtls_sha512_starts
#define du_mbed_sha512_update mbedtls_sha512_update
#define du_mbed_sha512_finish mbedtls_sha512_finish
#endif

#endif
