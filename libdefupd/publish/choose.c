/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "bundle/bundle.h"
#include "publish/choose.h"

/* Distances from the newest release, the most useful first. Most hosts are a few releases behind;
 * 30 is a month, 20 a month of working days, 28 four weeks. */
static const size_t spine[] = { 1, 2, 3, 5, 7, 30, 9, 11, 28, 13, 20, 15 };
#define DIRECT 3 /* up to this distance one object, even where two would do */

/* The newest older release that may be taken: 0 when there is none. A host never goes through a
 * withdrawn one, and nobody looks into one that needs a newer client. */
static size_t middle_of(const struct du_manifest *manifest)
{
    for (size_t i = 1; i < manifest->count; i++)
        if (!manifest->release[i].withdrawn && manifest->release[i].requires == NULL)
            return i;
    return 0;
}

static bool has_delta_from(const struct du_release *release, uint64_t from)
{
    for (size_t i = 0; i < release->deltas; i++)
        if (release->delta[i].from == from)
            return true;
    return false;
}

struct choice {
    const struct du_manifest *manifest;
    const bool *usable;
    size_t *source, count, max;
};

static bool is_chosen(const struct choice *choice, size_t at)
{
    for (size_t i = 0; i < choice->count; i++)
        if (choice->source[i] == at)
            return true;
    return false;
}

static void choose(struct choice *choice, size_t at)
{
    if (choice->count < choice->max && at > 0 && at < choice->manifest->count &&
        choice->usable[at] && !is_chosen(choice, at))
        choice->source[choice->count++] = at;
}

/* Can a host at `at` come here through the middle? */
static bool is_covered(const struct choice *choice, size_t middle, size_t at)
{
    return middle != 0 && is_chosen(choice, middle) && at < choice->manifest->count &&
           has_delta_from(&choice->manifest->release[middle],
                          choice->manifest->release[at].version);
}

size_t du_choose_sources(const struct du_manifest *manifest, const bool *usable, size_t max,
                         size_t source[DU_CHOOSE_DELTAS_MAX])
{
    struct choice choice = { .manifest = manifest,
                             .usable = usable,
                             .source = source,
                             .max = max < DU_CHOOSE_DELTAS_MAX ? max : DU_CHOOSE_DELTAS_MAX };
    const size_t middle = middle_of(manifest);

    choose(&choice, middle);
    for (size_t i = 0; i < sizeof spine / sizeof spine[0]; i++)
        if (spine[i] <= DIRECT || !is_covered(&choice, middle, spine[i]))
            choose(&choice, spine[i]);
    for (size_t at = DIRECT + 1; at < manifest->count; at++)
        if (!is_covered(&choice, middle, at))
            choose(&choice, at);
    return choice.count;
}

static void remove_delta(struct du_release *release, size_t at)
{
    release->deltas--;
    memmove(&release->delta[at], &release->delta[at + 1],
            (release->deltas - at) * sizeof *release->delta);
}

void du_choose_trim(struct du_manifest *manifest)
{
    const size_t middle = middle_of(manifest);

    for (size_t i = 0; i < manifest->count; i++) {
        struct du_release *release = &manifest->release[i];
        for (size_t k = release->deltas; k-- > 0;)
            if ((i != 0 && i != middle) ||
                du_manifest_find(manifest, release->delta[k].from) == NULL)
                remove_delta(release, k);
    }
}

static void drop_oldest(struct du_manifest *manifest)
{
    du_release_clear(&manifest->release[--manifest->count]);
    du_choose_trim(manifest);
}

/* The delta with the oldest source; not those from the last few releases, which most hosts use. */
static bool drop_farthest(struct du_manifest *manifest)
{
    struct du_release *found = NULL;
    uint64_t from;
    size_t at = 0;

    if (manifest->count <= DIRECT + 2)
        return false;
    from = manifest->release[DIRECT + 1].version;
    for (size_t i = 0; i < manifest->count; i++) {
        struct du_release *release = &manifest->release[i];
        for (size_t k = 0; k < release->deltas; k++) {
            if (release->delta[k].from >= from)
                continue;
            from = release->delta[k].from;
            found = release;
            at = k;
        }
    }
    if (found != NULL)
        remove_delta(found, at);
    return found != NULL;
}

bool du_choose_drop(struct du_manifest *manifest, uint64_t keep)
{
    const bool may =
        manifest->count > 1 && (keep == 0 || manifest->release[manifest->count - 1].version < keep);

    if (may && manifest->count > DU_CHOOSE_RELEASES_MIN) {
        drop_oldest(manifest);
        return true;
    }
    if (drop_farthest(manifest))
        return true;
    if (!may)
        return false;
    drop_oldest(manifest);
    return true;
}
