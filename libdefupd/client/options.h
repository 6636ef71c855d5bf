/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DU_CLIENT_OPTIONS_H
#define DU_CLIENT_OPTIONS_H

#include <stddef.h>

#include <defupd/client.h>

#include "base/err.h"

/* A deep copy with defaults filled in, whatever version of the header the caller was built with.
 * Errors: as defupd_client_open(). On failure `into` is still to be freed. */
DEFUPD_MUST_CHECK defupd_code du_options_import(defupd_client_options *into,
                                                const defupd_client_options *from,
                                                defupd_error *err);
void du_options_free(defupd_client_options *options);

/* Read a struct that was built against an older or a newer header than ours. Older caller: missing
 * fields are zero. Newer caller: accepted as long as the fields that we do not know are unset; a
 * setting that somebody relies on is refused rather than ignored. Its pointers stay the caller's.
 */
DEFUPD_MUST_CHECK defupd_code du_struct_import(void *into, size_t ours, const void *from,
                                               size_t theirs, size_t least, const char *init,
                                               defupd_error *err);

/* --- lists.c: rules, licences, source_list --- */
/* Copies of `theirs`; also after a failure to be freed. `sources` is filled from source_list. */
DEFUPD_MUST_CHECK defupd_code du_lists_import(defupd_client_options *into,
                                              const defupd_client_options *theirs,
                                              defupd_error *err);
DEFUPD_MUST_CHECK defupd_code du_lists_check(const defupd_client_options *options,
                                             defupd_error *err);
void du_lists_free(defupd_client_options *options);

DEFUPD_MUST_CHECK defupd_code du_request_import(defupd_request *into, const defupd_request *from,
                                                defupd_error *err);

#endif
