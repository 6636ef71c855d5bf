/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include <defupd/version.h>

#include "plan/plan_priv.h"

const char *du_gate_engine(const struct du_plan_facts *facts, const char *name)
{
    if (strcmp(name, "defupd") == 0) /* the client itself knows best, whatever it was told */
        return DEFUPD_VERSION;
    for (size_t i = 0; i < facts->engines; i++) {
        if (strcmp(facts->engine[i].name, name) == 0)
            return facts->engine[i].version;
    }
    return NULL;
}

uint64_t du_gate_component(const struct du_plan_facts *facts, const char *name)
{
    for (size_t i = 0; i < facts->others; i++) {
        if (strcmp(facts->other[i].component, name) == 0)
            return facts->other[i].version;
    }
    return 0;
}

static bool listed(const uint64_t *list, size_t count, uint64_t version)
{
    for (size_t i = 0; i < count; i++) {
        if (list[i] == version)
            return true;
    }
    return false;
}

bool du_gate_quarantined(const struct du_plan_facts *facts, uint64_t version)
{
    return listed(facts->quarantine, facts->quarantines, version);
}

bool du_gate_damaged(const struct du_plan_facts *facts, uint64_t version)
{
    return listed(facts->damaged, facts->damageds, version);
}

bool du_gate_on_disk(const struct du_plan_facts *facts, uint64_t version)
{
    return listed(facts->on_disk, facts->on_disks, version);
}

bool du_plan_licensed(const defupd_licence *const *licences, const char *class, int64_t now)
{
    if (licences == NULL || class[0] == '\0')
        return true;
    for (; *licences != NULL; licences++) {
        if (strcmp((*licences)->name, class) == 0)
            return (*licences)->expires == 0 || now < (*licences)->expires;
    }
    return false;
}

const char *du_gate_class(const struct du_plan_facts *facts, const struct du_release *release)
{
    return facts->licence != NULL ? facts->licence : release->licence_class;
}

/* --- The gates. Each says true when it keeps this host away from v->release. --- */

static bool requires(struct du_verdict *v, const struct du_case *c, enum du_way way)
{
    (void)c;
    (void)way;
    return v->release->requires != NULL;
}

static bool withdrawn(struct du_verdict *v, const struct du_case *c, enum du_way way)
{
    (void)c;
    (void)way;
    return v->release->withdrawn;
}

static bool held(struct du_verdict *v, const struct du_case *c, enum du_way way)
{
    (void)v;
    (void)way;
    return c->facts->held != 0;
}

static bool pinned(struct du_verdict *v, const struct du_case *c, enum du_way way)
{
    (void)way;
    return c->facts->pin != 0 && c->facts->pin != v->release->version;
}

static bool unlicensed(struct du_verdict *v, const struct du_case *c, enum du_way way)
{
    (void)way;
    return !du_plan_licensed(c->facts->licences, du_gate_class(c->facts, v->release),
                             c->facts->now);
}

static bool quarantined(struct du_verdict *v, const struct du_case *c, enum du_way way)
{
    if (way == DU_WAY_NAMED && c->facts->accept_quarantined)
        return false;
    return du_gate_quarantined(c->facts, v->release->version);
}

static bool skipped(struct du_verdict *v, const struct du_case *c, enum du_way way)
{
    (void)way;
    return c->facts->skip == v->release->version;
}

static bool paused(struct du_verdict *v, const struct du_case *c, enum du_way way)
{
    (void)c;
    (void)way;
    return v->release->has_rollout && v->release->rollout_paused;
}

/* May this host take part in the step, once it has begun? */
static bool step_is_ours(const struct du_rollout_step *step, const struct du_plan_facts *facts,
                         uint32_t cohort)
{
    if (step->ring[0] != '\0')
        return facts->ring != NULL && strcmp(facts->ring, step->ring) == 0;
    return cohort < step->permille;
}

static bool rollout(struct du_verdict *v, const struct du_case *c, enum du_way way)
{
    const struct du_plan_facts *facts = c->facts;
    const struct du_release *release = v->release;
    uint32_t cohort;

    (void)way;
    if (!release->has_rollout)
        return false;
    cohort = facts->cohort_of != NULL ? facts->cohort_of(facts->cohort_user, release->version)
                                      : facts->cohort;
    v->reached = 0;
    for (size_t i = 0; i < release->steps; i++) {
        int64_t begin;

        if (!step_is_ours(&release->step[i], facts, cohort) ||
            __builtin_add_overflow(release->rollout_start, release->step[i].after_s, &begin))
            continue;
        if (begin <= facts->now)
            return false;
        if (v->reached == 0 || begin < v->reached)
            v->reached = begin;
    }
    return true;
}

static bool delayed(struct du_verdict *v, const struct du_case *c, enum du_way way)
{
    (void)way;
    if (c->facts->delay_s == 0)
        return false;
    if (__builtin_add_overflow(v->release->published, c->facts->delay_s, &v->reached))
        v->reached = INT64_MAX;
    return v->reached > c->facts->now;
}

static bool needs(struct du_verdict *v, const struct du_case *c, enum du_way way)
{
    (void)way;
    for (size_t i = 0; i < v->release->needs; i++) {
        const struct du_need *need = &v->release->need[i];

        v->need = need;
        if (need->engine) {
            const char *have = du_gate_engine(c->facts, need->name);

            if (have == NULL || du_plan_compare_versions(have, need->min_text) < 0)
                return true;
        } else if (strcmp(need->name, c->manifest->component) == 0) {
            if (v->release->version < need->min) /* what it will be itself after the run */
                return true;
        } else if (du_gate_component(c->facts, need->name) < need->min) {
            return true;
        }
    }
    v->need = NULL;
    return false;
}

static bool no_object(struct du_verdict *v, const struct du_case *c, enum du_way way)
{
    (void)way;
    return !du_path_find(&v->path, c, v->release);
}

/* This and the next after no_object(), which finds the path. */
static bool metered(struct du_verdict *v, const struct du_case *c, enum du_way way)
{
    const struct du_path *path = &v->path;

    if (way == DU_WAY_NAMED && c->facts->over_budget)
        return false;
    return c->facts->metered && c->facts->installed != 0 && path->bytes > 0 &&
           path->step[0]->from == 0;
}

static bool budget(struct du_verdict *v, const struct du_case *c, enum du_way way)
{
    if (way == DU_WAY_NAMED && c->facts->over_budget)
        return false;
    v->daily = c->facts->has_day && v->path.bytes > c->facts->day;
    return v->daily || (c->facts->has_budget && v->path.bytes > c->facts->budget);
}

void du_gate_judge(struct du_verdict *verdict, const struct du_case *c,
                   const struct du_release *release, enum du_way way)
{
    /* DESIGN's table of gates, as far as it is decided from a manifest and facts; the first in the
     * way is the one that is told. Schedules stand before a plan is made. */
    static const struct {
        int32_t reason;
        bool obey[DU_WAYS]; /* scheduled, update, named, withdrawal */
        bool (*in_the_way)(struct du_verdict *v, const struct du_case *c, enum du_way way);
    } gates[] = {
        { DEFUPD_REASON_REQUIRES, { true, true, true, true }, requires },
        { DEFUPD_REASON_WITHDRAWN, { true, true, true, true }, withdrawn },
        { DEFUPD_REASON_HELD, { true, true, true, false }, held },
        { DEFUPD_REASON_PINNED, { true, true, true, false }, pinned },
        { DEFUPD_REASON_UNLICENSED, { true, true, true, false }, unlicensed },
        { DEFUPD_REASON_QUARANTINED, { true, true, true, true }, quarantined },
        { DEFUPD_REASON_SKIPPED, { true, true, false, false }, skipped },
        { DEFUPD_REASON_PAUSED, { true, true, false, false }, paused },
        { DEFUPD_REASON_ROLLOUT, { true, true, false, false }, rollout },
        { DEFUPD_REASON_DELAY, { true, true, false, false }, delayed },
        { DEFUPD_REASON_NEEDS, { true, true, true, true }, needs },
        { DEFUPD_REASON_NO_OBJECT, { true, true, true, true }, no_object },
        { DEFUPD_REASON_METERED, { true, true, true, true }, metered },
        { DEFUPD_REASON_BUDGET, { true, true, true, true }, budget },
    };

    *verdict = (struct du_verdict){ .release = release, .reason = DEFUPD_REASON_NONE };
    for (size_t i = 0; i < sizeof gates / sizeof gates[0]; i++) {
        if (gates[i].obey[way] && gates[i].in_the_way(verdict, c, way)) {
            verdict->reason = gates[i].reason;
            return;
        }
    }
}

uint32_t du_plan_cohort(const unsigned char hmac[DU_SHA256_BYTES])
{
    uint64_t first = 0;

    for (size_t i = 0; i < 8; i++)
        first = first << 8 | hmac[i];
    return (uint32_t)(first % 1000);
}

/* The next part's digits without leading zeros; *text moves to the part after it. Numbers may be
 * longer than any integer type. */
static size_t next_part(const char **text, const char **digits)
{
    size_t len;

    *text += strspn(*text, "0");
    *digits = *text;
    len = strspn(*text, "0123456789");
    *text += strcspn(*text, ".");
    if (**text == '.')
        ++*text;
    return len;
}

int du_plan_compare_versions(const char *a, const char *b)
{
    while (*a != '\0' || *b != '\0') {
        const char *part_a, *part_b;
        const size_t len_a = next_part(&a, &part_a), len_b = next_part(&b, &part_b);
        const int order = len_a != len_b ? (len_a < len_b ? -1 : 1) : memcmp(part_a, part_b, len_a);

        if (order != 0)
            return order < 0 ? -1 : 1;
    }
    return 0;
}
