/* SPDX-License-Identifier: Apache-2.0 */
/* SIGINT, SIGTERM and SIGHUP end the work in an orderly way: what can be kept is kept, and the exit
 * code says "cancelled". A second one ends the process at once, which the files on disk also
 * survive. A signal that was ignored from the start (nohup) stays ignored. SIGPIPE is ignored: a
 * reader that went away becomes a failed write, which has an exit code. */
#ifndef AG_SIGNALS_H
#define AG_SIGNALS_H

#include <stdbool.h>

/* `cancel` is called with `what` in the handler, so it must be safe there. Both live until
 * ag_signals_stop(). */
void ag_signals_start(void (*cancel)(void *what), void *what);
/* Signals no longer reach it. Before it is freed. */
void ag_signals_stop(void);
/* True when one has come: perhaps before the call it was meant for had begun. */
bool ag_signals_came(void);
/* Wait until `fd` can be read or has ended; false when a signal came first. None is missed. */
bool ag_signals_wait(int fd);

#endif
