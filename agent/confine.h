/* SPDX-License-Identifier: Apache-2.0 */
/* A worker gives up what it does not need before it reads the first foreign byte: privileges, other
 * programs, other processes, writing outside the store. docs/agent.md lists what remains. */
#ifndef AG_CONFINE_H
#define AG_CONFINE_H

#include <defupd/error.h>

/* `readable`: files and folders beside the system's that are still to be read, NULL-terminated.
 * What this kernel does not offer is passed over with a line on standard error.
 * DEFUPD_E_NOT_PERMITTED when what it offers cannot be had. */
DEFUPD_MUST_CHECK defupd_code ag_confine(const char *state_dir, const char *const *readable,
                                         defupd_error *err);

/* The same for a server whose sockets listen already: it may take connections from them, and write
 * below `writable` only. Before its threads are made. */
DEFUPD_MUST_CHECK defupd_code ag_confine_server(const char *const *writable,
                                                const char *const *readable, defupd_error *err);

#endif
