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
    uint64_t have;

    if (object->codec[0] == '\0' || !du_path_codec_known(c->facts, object->codec))
        return UINT64_MAX;
    have = c->facts->have != NULL ? c->facts->have(c->facts->have_user, object) : 0;
    return have < object->bytes ? object->bytes - have : 0;
}

/* The cheapest delta of `release` from `from`; NULL if there is none of use. */
static const struct du_object *cheapest_delta(const struct du_case *c,
                                              const struct du_release *release, uint64_t from,
                                              uint64_t *bytes)
{
    const struct du_object *best = NULL;

    *bytes = UINT64_MAX;
    for (size_t i = 0; i < release->deltas; i++) {
        const uint64_t here =
            release->delta[i].from == from ? cost(c, &release->delta[i]) : UINT64_MAX;

        if (here < *bytes) {
            best = &release->delta[i];
            *bytes = here;
        }
    }
    return best;
}

/* A path of one or two steps when it is cheaper than what *path holds. */
static void offer(struct du_path *path, const struct du_release *release,
                  const struct du_object *step, uint64_t bytes)
{
    if (step == NULL || bytes >= path->bytes)
        return;
    *path = (struct du_path){
        .step = { step }, .step_version = { release->version }, .steps = 1, .bytes = bytes
    };
}

static void offer_through(struct du_path *path, const struct du_case *c,
                          const struct du_release *release, const struct du_object *second)
{
    const struct du_release *middle = du_manifest_find(c->manifest, second->from);
    const uint64_t second_bytes = cost(c, second);
    const struct du_object *first;
    uint64_t bytes;

    /* Objects of withdrawn releases need not be kept by the repository. */
    if (middle == NULL || middle->requires != NULL || middle->withdrawn ||
        second_bytes >= path->bytes)
        return;
    first = cheapest_delta(c, middle, c->facts->installed, &bytes);
    if (first == NULL || !du_add(bytes, second_bytes, &bytes) || bytes >= path->bytes)
        return;
    *path = (struct du_path){ .step = { first, second },
                              .step_version = { middle->version, release->version },
                              .steps = 2,
                              .bytes = bytes };
}

bool du_path_find(struct du_path *path, const struct du_case *c, const struct du_release *release)
{
    const struct du_object *direct;
    uint64_t bytes;

    if (du_gate_on_disk(c->facts, release->version)) {
        *path = (struct du_path){ .on_disk = true };
        return true;
    }
    /* The full bundle first: of equally dear paths the one with the fewest assumptions wins. */
    *path = (struct du_path){ .bytes = UINT64_MAX };
    offer(path, release, &release->full, cost(c, &release->full));
    /* A delta starts from the tree that the publisher calls by that version; a version that was
     * used twice is not known to be that tree. */
    if (c->facts->installed != 0 && !c->reused) {
        direct = cheapest_delta(c, release, c->facts->installed, &bytes);
        offer(path, release, direct, bytes);
        for (size_t i = 0; i < release->deltas; i++)
            offer_through(path, c, release, &release->delta[i]);
    }
    return path->steps > 0;
}
