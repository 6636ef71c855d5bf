/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The trusted set of TUF roles: bytes + keys + time in, verdict out. Never touches disk, network or
 * clock; update/refresh.c knows the order in which to ask. Cites TUF 1.0.34 by section.
 * Layer: uses base/, crypto/ and json/.
 */
#ifndef DU_TRUST_TRUST_H
#define DU_TRUST_TRUST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"

struct du_trust;

/* Limits on metadata, in bytes (docs/formats/repository.md). */
#define DU_ROOT_MAX (512U * 1024)
#define DU_TIMESTAMP_MAX (16U * 1024)
#define DU_SNAPSHOT_MAX (2U * 1024 * 1024)
#define DU_TARGETS_MAX (5U * 1024 * 1024)
#define DU_ROLES_VISITED_MAX 32 /* in one delegation search */

void du_trust_free(struct du_trust *trust);
void du_trust_freep(struct du_trust **trust);
#define DU_AUTO_TRUST __attribute__((cleanup(du_trust_freep))) struct du_trust

/* Version of a trusted role ("root", "timestamp", "snapshot", "targets", or a delegated one); 0
 * when there is none. */
uint64_t du_trust_version(const struct du_trust *trust, const char *role);
/* Its expiry, Unix seconds; 0 when there is none. */
int64_t du_trust_expires(const struct du_trust *trust, const char *role);

/* DEFUPD_E_EXPIRED, naming role and date, when root, timestamp, snapshot or targets have expired at
 * `now` (timestamp and snapshot forgiven for grace_s); else DEFUPD_OK. */
DEFUPD_MUST_CHECK defupd_code du_trust_check_expiry(const struct du_trust *trust, int64_t now,
                                                    uint64_t grace_s, defupd_error *err);

/* Tell each component that the repository offers: targets "COMPONENT/manifest.xml" of the top-level
 * targets role, and delegations with a path "COMPONENT/" "*" or "COMPONENT/manifest.xml". In order
 * of names, each once. */
void du_trust_components(const struct du_trust *trust, void (*each)(void *user, const char *name),
                         void *user);

/* Tell each trusted role: see defupd_client_trust_show(). */
struct du_role_info {
    const char *name;
    uint64_t version;
    int64_t expires;
    uint32_t threshold;
    const char *keyids; /* "ed25519:HEX ecdsa:HEX" */
};
void du_trust_roles(const struct du_trust *trust,
                    void (*each)(void *user, const struct du_role_info *role), void *user);

#endif
