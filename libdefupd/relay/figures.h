/* SPDX-License-Identifier: Apache-2.0 */
/* STATE/relay/figures; `top` is the folder. Private to relay/ and its tests. */
#ifndef DU_RELAY_FIGURES_H
#define DU_RELAY_FIGURES_H

#include "relay/relay.h"
#include "sys/sys.h"

DEFUPD_MUST_CHECK defupd_code du_relay_figures_load(struct du_relay_figures *out,
                                                    const struct du_sys *sys, int top,
                                                    defupd_error *err);
DEFUPD_MUST_CHECK defupd_code du_relay_figures_save(const struct du_relay_figures *figures,
                                                    const struct du_sys *sys, int top,
                                                    defupd_error *err);

#endif
