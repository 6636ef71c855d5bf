/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of serving that look at text only, so that a test is a table. */
#ifndef DU_SERVE_SERVE_PRIV_H
#define DU_SERVE_SERVE_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DU_SERVE_PATH_MAX 1024

/* Decode the percent escapes of a request's path. False when malformed, too long, or with a NUL. */
bool du_serve_unescape(char *out, size_t size, const char *path);

/* May this decoded path ("/objects/ab/abcd") be looked up? Every part is there, none begins with a
 * dot, no control byte or backslash, and the name does not end in ".tmp". */
bool du_serve_path_ok(const char *path);

/* Content-addressed and versioned names never change: any cache may keep them. */
bool du_serve_immutable(const char *path);

enum du_range { DU_RANGE_NONE, DU_RANGE_PART, DU_RANGE_UNSATISFIABLE };
/* RFC 9110, 14.2: what a malformed header, or one with several ranges, asks for is ignored. */
enum du_range du_serve_range(const char *header, uint64_t size, uint64_t *first, uint64_t *count);

/* Does an If-None-Match header name this ETag (with its quotes)? RFC 9110, 13.1.2: "*" and weak
 * forms do too. */
bool du_serve_etag_listed(const char *header, const char *etag);

#endif
