/* SPDX-License-Identifier: Apache-2.0 */
/* Comparing a tree on disk with an index, byte for byte. Private to update/. */
#ifndef DU_UPDATE_INSPECT_H
#define DU_UPDATE_INSPECT_H

#include "store/store.h"
#include "tree/tree.h"

struct du_finding {
    char *path;
    const char *what; /* static: "content differs", "missing", ... */
};

/* Zeroed before use. */
struct du_inspection {
    struct du_record record; /* for the caller's use */
    struct du_finding *finding;
    size_t count;
    uint64_t files; /* of the index that were looked at */

    const struct du_sys *sys;
    const struct du_index *index;
    const struct du_tick *tick;
    bool *seen;
    defupd_code rc;
};

/* Hash everything below `root`. Differences are findings, not errors. */
DEFUPD_MUST_CHECK defupd_code du_inspect(struct du_inspection *in, const struct du_sys *sys,
                                         int root, const struct du_index *index,
                                         const struct du_tick *tick, defupd_error *err);
void du_inspection_free(struct du_inspection *in);

#endif
