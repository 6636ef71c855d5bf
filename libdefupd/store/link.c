/* SPDX-License-Identifier: Apache-2.0 */
/* A generation's links, looked at one by one: generation.xml says what should be, readers follow
 * the links. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "store/store.h"

bool du_store_link_holds(const struct du_store *store, uint64_t number,
                         const struct du_member *member)
{
    char path[sizeof "generations/" + DU_VERSION_TEXT + DU_NAME_MAX + 1];
    char want[sizeof "../../versions/" + DU_NAME_MAX + 1 + DU_VERSION_TEXT];
    char have[sizeof want + 1];
    ssize_t len;

    (void)snprintf(path, sizeof path, "generations/%" PRIu64 "/%s", number, member->component);
    (void)snprintf(want, sizeof want, "../../versions/%s/%" PRIu64, member->component,
                   member->version);
    len = readlinkat(store->dir, path, have, sizeof have - 1);
    if (len < 0)
        return false;
    have[len] = '\0';
    return strcmp(have, want) == 0;
}
