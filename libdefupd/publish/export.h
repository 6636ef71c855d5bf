/* SPDX-License-Identifier: Apache-2.0 */
/* What an archive for hosts without a network is to hold. Private to publish/. */
#ifndef DU_PUBLISH_EXPORT_H
#define DU_PUBLISH_EXPORT_H

#include "publish/publish_priv.h"

/* --- export_receipt.c: the posture of a host as a receipt of what it has --- */

#define DU_RECEIPT_BYTES_MAX (1024U * 1024)
#define DU_RECEIPT_ITEMS_MAX 1024

struct du_receipt_item {
    char component[DU_NAME_MAX + 1];
    uint64_t version; /* 0: none */
    bool disabled;    /* it takes nothing of it */
    bool picky;       /* it refuses a release, and which one is not said */
    bool damaged;     /* its last attempt failed by what is on its disk, or by a delta */
};
struct du_receipt {
    struct du_receipt_item *item;
    size_t count;
};
void du_receipt_free(struct du_receipt *receipt);
#define DU_AUTO_RECEIPT __attribute__((cleanup(du_receipt_free))) struct du_receipt
/* Nothing in it is believed but component names and versions, and these only decide what goes into
 * an archive. `what` names the file. Errors: DEFUPD_E_RECEIPT, DEFUPD_E_NOMEM. */
DEFUPD_MUST_CHECK defupd_code du_receipt_parse(struct du_receipt *out, struct du_bytes bytes,
                                               const char *what, defupd_error *err);
const struct du_receipt_item *du_receipt_find(const struct du_receipt *receipt,
                                              const char *component);

/* --- export_pick.c: which objects --- */

/* Objects in the order in which they are written, each once. */
struct du_picks {
    struct du_object *object;
    size_t count, room;
};
void du_picks_free(struct du_picks *picks);
#define DU_AUTO_PICKS __attribute__((cleanup(du_picks_free))) struct du_picks
/* What was picked of one component. */
struct du_picked {
    uint64_t newest;
    char how[256];
};
/* Every object of every release. */
DEFUPD_MUST_CHECK defupd_code du_pick_all(struct du_picks *picks,
                                          const struct du_manifest *manifest,
                                          struct du_picked *picked, defupd_error *err);
/* What a host needs that has version `from` (0: none) to get to the newest release that it may
 * take. The publisher does not know all gates of a host: where one may keep it from a release, what
 * leads to the next older one is picked too. */
DEFUPD_MUST_CHECK defupd_code du_pick_path(struct du_picks *picks,
                                           const struct du_manifest *manifest,
                                           const struct du_receipt_item *host,
                                           struct du_picked *picked, defupd_error *err);
/* The same for all hosts that have `from` or a newer version. */
DEFUPD_MUST_CHECK defupd_code du_pick_since(struct du_picks *picks,
                                            const struct du_manifest *manifest, uint64_t from,
                                            struct du_picked *picked, defupd_error *err);

#endif
