/* SPDX-License-Identifier: Apache-2.0 */
/* Which foreign names may become parts of a path. */
#ifndef DU_BASE_NAME_H
#define DU_BASE_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DU_NAME_MAX 32                   /* bytes of a component's name */
#define DU_PATH_MAX 1024                 /* bytes of a tree path */
#define DU_PART_MAX 255                  /* bytes of one part of it */
#define DU_VERSION_MAX 9007199254740991U /* 2^53 - 1 */
#define DU_VERSION_TEXT 17               /* decimal digits and NUL */
#define DU_LABEL_MAX 64                  /* bytes of a label */

/* [a-z][a-z0-9-]{0,31}, and none of the reserved words (docs/formats/repository.md). */
bool du_name_ok(const char *name);

/* 1 to 2^53 - 1 in decimal without leading zeros. */
bool du_version_parse(const char *text, uint64_t *version);

/* NULL when a tree path is allowed, else why it is not ("has a control byte", ...), static.
 * Relative, '/' between parts, UTF-8, no backslash, no ".", "..", no empty part; lengths as above.
 * docs/formats/tree.md. Uniqueness under case folding is the index's business. */
const char *du_path_why_bad(const char *path);

/* Split "tetra" or "tetra@1003". `name` gets DU_NAME_MAX + 1 bytes; version 0 without '@'. False
 * when malformed. */
bool du_component_parse(const char *text, char *name, uint64_t *version);

/* True for well-formed UTF-8 (RFC 3629: no surrogates, nothing overlong). */
bool du_utf8_ok(const char *text, size_t len);
/* Length of the longest well-formed beginning. */
size_t du_utf8_prefix(const char *text, size_t len);

#endif
