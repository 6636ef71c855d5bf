/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEFUPD_LEASE_H
#define DEFUPD_LEASE_H

/**
 * @file defupd/lease.h
 * @brief Reading the installed set: one consistent generation that stays until you let it go.
 *
 * A lease is a shared flock(2) on the generation's directory. It costs two system calls, needs no
 * privilege beyond reading, and vanishes by itself when the process dies. Updates go on meanwhile;
 * what the lease holds is neither changed nor removed.
 */

#include <stdint.h>

#include <defupd/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/** One held generation. Use from one thread at a time. */
typedef struct defupd_lease defupd_lease;

/**
 * Hold the generation that is current now.
 *
 * @param[out] lease     owned by the caller on DEFUPD_OK, NULL otherwise
 * @param      state_dir the store; absolute
 * @param[out] error     detail on failure; may be NULL
 * @return DEFUPD_OK
 * @return DEFUPD_E_NOT_INSTALLED  nothing is installed yet
 * @return DEFUPD_E_IO             the store cannot be read
 * @return DEFUPD_E_NOMEM
 * Does not block. Any thread. @since 0.1
 */
DEFUPD_API DEFUPD_MUST_CHECK defupd_code defupd_lease_open(defupd_lease **lease,
                                                           const char *state_dir,
                                                           defupd_error *error);

/** Number of the held generation. @since 0.1 */
DEFUPD_API uint64_t defupd_lease_generation(const defupd_lease *lease);

/** Absolute path of the held generation, "STATE/generations/7": a component's tree is the entry
 *  with its name. Lives as long as the lease. @since 0.1 */
DEFUPD_API const char *defupd_lease_path(const defupd_lease *lease);

/** Descriptor of the held generation's directory, for openat(2). Borrowed: do not close it.
 *  @since 0.1 */
DEFUPD_API int defupd_lease_fd(const defupd_lease *lease);

/** Let it go. NULL is allowed. Never fails; keeps errno. @since 0.1 */
DEFUPD_API void defupd_lease_close(defupd_lease *lease);

#ifdef __cplusplus
}
#endif
#endif
