/* SPDX-License-Identifier: Apache-2.0 */
/* Private door for tests: a client over another table of OS calls. */
#ifndef DU_CLIENT_CLIENT_H
#define DU_CLIENT_CLIENT_H

#include <defupd/client.h>

#include "sys/sys.h"

/* defupd_client_open() with a table; it is borrowed until the client is closed. */
DEFUPD_MUST_CHECK defupd_code du_client_open_sys(defupd_client **client,
                                                 const defupd_client_options *options,
                                                 const struct du_sys *sys, defupd_error *err);

#endif
