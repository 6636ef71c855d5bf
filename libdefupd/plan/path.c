/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "plan/plan_priv.h"

bool du_path_codec_known(const struct du_plan_facts *facts, const char *codec)
{
    for (const char *const *known = facts->codec; known != NULL && *known != NULL; known++) {
        if (strcmp(*known, codec) == 0)
            return true;
    }
    return false;
}

/* Bytes of an object that are still to be fetched; UINT64_MAX when it is of no use here. */
static uint64_t cost(const struct du_case *c, const struct du_object *object)
{
    const struct du_plan_facts *facts = c->facts;
    uint64_t have;

    if (object->codec[0] == '\0' || !du_path_codec_known(facts, object->codec) ||
        (facts->refused != NULL && facts->refused(facts->refused_user, object)))
        return UINT64_MAX;
    have = facts->have != NULL ? facts->have(facts->have_user, object) : 0;
    return have < object->bytes ? object->bytes - have : 0;
}

/* A delta starts from the tree that the publisher calls by that version; a version that was used
 * twice is not known to be that tree. */
static bool can_start_from(const struct du_case *c, uint64_t version)
{
    const struct du_plan_facts *facts = c->facts;

    if (version == 0 || du_gate_damaged(facts, version))
        return false;
    return version == facts->installed ? !c->reused : du_gate_on_disk(facts, version);
}

/* The cheapest delta to `release` from what is on disk, of equally dear ones that from the
 * installed version; NULL if there is none of use. */
static const struct du_object *cheapest_delta(const struct du_case *c,
                                              const struct du_release *release, uint64_t *bytes)
{
    const struct du_object *best = NULL;

    *bytes = UINT64_MAX;
    for (size_t i = 0; i < release->deltas; i++) {
        const struct du_object *delta = &release->delta[i];
        const uint64_t here = can_start_from(c, delta->from) ? cost(c, delta) : UINT64_MAX;

        if (here < *bytes || (here == *bytes && best != NULL && best->from != delta->from &&
                              delta->from == c->facts->installed)) {
            best = delta;
            *bytes = here;
        }
    }
    return best;
}

/* A path of one step when it is cheaper than what *path holds. */
static void offer(struct du_path *path, const struct du_release *release,
                  const struct du_object *step, uint64_t bytes)
{
    if (step == NULL || bytes >= path->bytes)
        return;
    *path = (struct du_path){
        .step = { step }, .step_version = { release->version }, .steps = 1, .bytes = bytes
    };
}

/* A path of two steps, the second of which is given. */
static void offer_through(struct du_path *path, const struct du_case *c,
                          const struct du_release *release, const struct du_object *second)
{
    const struct du_release *middle = du_manifest_find(c->manifest, second->from);
    const uint64_t second_bytes = cost(c, second);
    const struct du_object *first;
    uint64_t bytes;

    if (middle == NULL || middle->requires != NULL || middle->withdrawn ||
        (c->facts->through_max != 0 && middle->size > c->facts->through_max) ||
        second_bytes >= path->bytes)
        return;
    first = cheapest_delta(c, middle, &bytes);
    if (first == NULL || !du_add(bytes, second_bytes, &bytes) || bytes >= path->bytes)
        return;
    *path = (struct du_path){ .step = { first, second },
                              .step_version = { middle->version, release->version },
                              .steps = 2,
                              .bytes = bytes };
}

bool du_path_find(struct du_path *path, const struct du_case *c, const struct du_release *release)
{
    const bool on_disk = du_gate_on_disk(c->facts, release->version);
    const struct du_object *direct;
    uint64_t bytes;

    if (on_disk && !du_gate_damaged(c->facts, release->version)) {
        *path = (struct du_path){ .on_disk = true };
        return true;
    }
    /* The full bundle first: of equally dear paths the one with the fewest assumptions wins. */
    *path = (struct du_path){ .bytes = UINT64_MAX };
    offer(path, release, &release->full, cost(c, &release->full));
    if (on_disk) /* what is mended must not come from files that it may share */
        return path->steps > 0;
    direct = cheapest_delta(c, release, &bytes);
    offer(path, release, direct, bytes);
    for (size_t i = 0; i < release->deltas; i++)
        offer_through(path, c, release, &release->delta[i]);
    return path->steps > 0;
}
