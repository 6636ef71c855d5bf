/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DU_CLIENT_OPTIONS_H
#define DU_CLIENT_OPTIONS_H

#include <defupd/client.h>

#include "base/err.h"

/* A deep copy with defaults filled in, whatever version of the header the caller was built with.
 * Errors: as defupd_client_open(). On failure `into` is still to be freed. */
DEFUPD_MUST_CHECK defupd_code du_options_import(defupd_client_options *into,
                                                const defupd_client_options *from,
                                                defupd_error *err);
void du_options_free(defupd_client_options *options);

DEFUPD_MUST_CHECK defupd_code du_request_import(defupd_request *into, const defupd_request *from,
                                                defupd_error *err);

#endif
