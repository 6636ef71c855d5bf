/* SPDX-License-Identifier: Apache-2.0 */
#include "manifest/manifest.h"

#include <stdlib.h>

void du_release_clear(struct du_release *release)
{
    free(release->note);
    free(release->requires);
    free(release->delta);
    free(release->step);
    free(release->need);
    free(release->withdrawn_reason);
    *release = (struct du_release){ 0 };
}

void du_manifest_free(struct du_manifest *manifest)
{
    if (manifest == NULL)
        return;
    for (size_t i = 0; i < manifest->count; i++)
        du_release_clear(&manifest->release[i]);
    free(manifest->release);
    free(manifest);
}

void du_manifest_freep(struct du_manifest **manifest)
{
    const int saved = errno;

    du_manifest_free(*manifest);
    *manifest = NULL;
    errno = saved;
}

const struct du_release *du_manifest_find(const struct du_manifest *manifest, uint64_t version)
{
    size_t from = 0, to = manifest->count;

    while (from < to) { /* newest first */
        const size_t middle = from + (to - from) / 2;
        const struct du_release *release = &manifest->release[middle];

        if (release->version == version)
            return release;
        if (release->version > version)
            from = middle + 1;
        else
            to = middle;
    }
    return NULL;
}

int64_t du_manifest_clock_floor(const struct du_manifest *manifest)
{
    int64_t floor = 0;

    for (size_t i = 0; i < manifest->count; i++) {
        if (manifest->release[i].published > floor)
            floor = manifest->release[i].published;
    }
    return floor;
}
