/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEFUPD_VERSION_H
#define DEFUPD_VERSION_H

/** @file defupd/version.h
 *  @brief The version of the library: of this header, and of what was linked. */

#include <defupd/visibility.h>

#ifdef __cplusplus
extern "C" {
#endif

/* meson.build holds the same number; tests/abi compares them. */
#define DEFUPD_VERSION "0.1.0"
#define DEFUPD_VERSION_NUMBER 0x000100 /**< 0xMMmmpp: 0.1.0 */

/** Version of the library in use, "0.1.0". Static; any thread. @since 0.1 */
DEFUPD_API const char *defupd_version(void);

/** Versions of the libraries it runs with, one line "mbedTLS 2.28.3, libcurl 7.88.1, ...".
 *  Static text per call into `out`, cut at `size` bytes with the NUL. Any thread. @since 0.1 */
DEFUPD_API void defupd_version_details(char *out, unsigned long size);

#ifdef __cplusplus
}
#endif
#endif
