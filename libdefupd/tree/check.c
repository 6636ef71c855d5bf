/* SPDX-License-Identifier: Apache-2.0 */
/* Is what was built what was signed? */
#include <inttypes.h>

#include "crypto/crypto.h"
#include "tree/tree.h"

defupd_code du_tree_check(struct du_index *index, const struct du_tree_want *want,
                          defupd_error *err)
{
    unsigned char tree[DU_SHA256_BYTES];

    if (index->count > 0 && du_index_seal(index, err) != DEFUPD_OK)
        return du_err_prefix(err, "%s", want->what);
    if (index->count != want->files || index->bytes != want->size)
        return DU_FAIL(err, DEFUPD_E_TREE,
                       "%s unpacks to %zu files and %" PRIu64 " bytes, signed are %" PRIu64
                       " and %" PRIu64,
                       want->what, index->count, index->bytes, want->files, want->size);
    if (index->count == 0)
        return DU_FAIL(err, DEFUPD_E_TREE_FORBIDDEN, "%s: the tree has no file", want->what);
    du_index_digest(index, tree);
    if (!du_mem_equal(tree, want->tree, DU_SHA256_BYTES))
        return DU_FAIL(err, DEFUPD_E_TREE, "%s unpacks to a tree that differs from the signed one",
                       want->what);
    return DEFUPD_OK;
}
