/* SPDX-License-Identifier: Apache-2.0 */
/* A relay that is not there, for tests of the command line, which bring their own library calls:
 * the real one needs the real ones. A test that wants something of it has functions of its own. */
#include <stdio.h>

#include "relay/relay.h"

__attribute__((weak)) defupd_code du_relay_open(struct du_relay **out,
                                                const struct du_relay_options *options,
                                                defupd_error *err)
{
    (void)options;
    *out = NULL;
    *err = (defupd_error){ .code = DEFUPD_E_UNSUPPORTED, .origin = __FILE__, .line = __LINE__ };
    (void)snprintf(err->message, sizeof err->message, "no relay in this test");
    return DEFUPD_E_UNSUPPORTED;
}

__attribute__((weak)) void du_relay_close(struct du_relay *relay)
{
    (void)relay;
}

__attribute__((weak)) void du_relay_cancel(struct du_relay *relay)
{
    (void)relay;
}

__attribute__((weak)) defupd_code du_relay_sync(struct du_relay *relay, const defupd_import *import,
                                                struct du_relay_report *report, defupd_error *err)
{
    (void)relay;
    (void)import;
    *report = (struct du_relay_report){ 0 };
    return err->code;
}
