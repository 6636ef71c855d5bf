/* SPDX-License-Identifier: Apache-2.0 */
/* An interrupt cancels the call at work; a second one ends the process at once. */
#ifndef AG_SIGNALS_H
#define AG_SIGNALS_H

#include <stdbool.h>

#include <defupd/client.h>

/* Let SIGINT, SIGTERM and SIGHUP cancel this client's calls; those that the process was started
 * with as ignored stay so. SIGPIPE is ignored: a reader that went away must not end an update. */
void ag_signals_start(defupd_client *client);

/* The client goes away: signals are only noted from here on. */
void ag_signals_stop(void);

/* True when a signal has come. */
bool ag_signals_came(void);

#endif
