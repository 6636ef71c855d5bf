/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/name.h"
#include "base/when.h"
#include "plan/plan_priv.h"

#define ULL(n) ((unsigned long long)(n))

void du_say(struct du_plan *plan, const char *format, ...)
{
    const size_t used = strlen(plan->text);
    va_list args;

    va_start(args, format);
    (void)vsnprintf(plan->text + used, sizeof plan->text - used, format, args);
    va_end(args);
    /* What was cut is cut between characters. */
    plan->text[du_utf8_prefix(plan->text, strlen(plan->text))] = '\0';
}

void du_say_withdrawn(struct du_plan *plan, const struct du_release *release)
{
    du_say(plan, "%llu is withdrawn", ULL(release->version));
    if (release->withdrawn_reason != NULL)
        du_say(plan, ": %.120s", release->withdrawn_reason);
}

static void say_rollout(struct du_plan *plan, const struct du_case *c, const struct du_verdict *v)
{
    char when[DU_TIME_TEXT];

    if (v->reached != 0) {
        du_time_format(when, v->reached);
        du_say(plan, "its roll-out reaches this host at %s", when);
    } else {
        du_say(plan, "its roll-out has not reached this host yet");
    }
    du_say(plan, "; take it now with 'defupd update %s@%llu'", c->manifest->component,
           ULL(v->release->version));
}

static void say_need(struct du_plan *plan, const struct du_case *c, const struct du_need *need)
{
    const char *engine = need->engine ? du_gate_engine(c->facts, need->name) : NULL;
    const uint64_t version = need->engine ? 0 : du_gate_component(c->facts, need->name);

    if (!need->engine && version == 0)
        du_say(plan, "it needs %s %llu or newer, which is not installed", need->name,
               ULL(need->min));
    else if (!need->engine)
        du_say(plan, "it needs %s %llu or newer, this host has %llu", need->name, ULL(need->min),
               ULL(version));
    else if (engine == NULL)
        du_say(plan, "it needs engine %s %s or newer, which is not known on this host", need->name,
               need->min_text);
    else
        du_say(plan, "it needs engine %s %s or newer, this host has %.40s", need->name,
               need->min_text, engine);
}

static void say_no_object(struct du_plan *plan, const struct du_case *c,
                          const struct du_release *release)
{
    bool known = du_path_codec_known(c->facts, release->full.codec);

    for (size_t i = 0; i < release->deltas; i++)
        known = known || du_path_codec_known(c->facts, release->delta[i].codec);
    if (release->full.codec[0] == '\0' && release->deltas == 0)
        du_say(plan, "it has no object to fetch");
    else if (known)
        du_say(plan, "none of its objects leads there from what is installed");
    else
        du_say(plan,
               "its objects are packed in a way (%s) that this client does not know; "
               "update this software",
               release->full.codec[0] != '\0' ? release->full.codec : release->delta[0].codec);
}

const char *du_say_grouped(char out[DU_GROUPED_TEXT], uint64_t number)
{
    char digits[24];
    size_t used = 0;
    const size_t len = (size_t)snprintf(digits, sizeof digits, "%llu", ULL(number));

    for (size_t i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            out[used++] = ',';
        out[used++] = digits[i];
    }
    out[used] = '\0';
    return out;
}

static void say_unlicensed(struct du_plan *plan, const struct du_case *c,
                           const struct du_release *release)
{
    const char *class = du_gate_class(c->facts, release);
    char when[DU_TIME_TEXT];

    for (const defupd_licence *const *own = c->facts->licences; *own != NULL; own++) {
        if (strcmp((*own)->name, class) != 0)
            continue;
        du_time_format(when, (*own)->expires);
        du_say(plan,
               "the licence of class '%s' expired at %s; it is taken as soon as that is renewed",
               class, when);
        return;
    }
    du_say(plan, "this host has no licence of class '%s'", class);
}

static void say_delay(struct du_plan *plan, const struct du_case *c, const struct du_verdict *v)
{
    char when[DU_TIME_TEXT];

    du_time_format(when, v->reached);
    du_say(plan,
           "policy waits until %s, some time after its publication; "
           "take it now with 'defupd update %s@%llu'",
           when, c->manifest->component, ULL(v->release->version));
}

static void say_metered(struct du_plan *plan, const struct du_case *c, const struct du_verdict *v)
{
    char cost[DU_GROUPED_TEXT];

    du_say(plan,
           "its full bundle of %s bytes is too dear on this connection; "
           "take it all the same with 'defupd update %s@%llu --over-budget'",
           du_say_grouped(cost, v->path.bytes), c->manifest->component, ULL(v->release->version));
}

static void say_budget(struct du_plan *plan, const struct du_case *c, const struct du_verdict *v)
{
    char cost[DU_GROUPED_TEXT], left[DU_GROUPED_TEXT], until[DU_TIME_TEXT];

    du_say(plan, "it costs %s bytes, ", du_say_grouped(cost, v->path.bytes));
    du_time_format(until, c->facts->day_ends);
    if (v->daily)
        du_say(plan, "the day's budget has %s left until %s", du_say_grouped(left, c->facts->day),
               until);
    else
        du_say(plan, "the budget has %s left", du_say_grouped(left, c->facts->budget));
    du_say(plan, "; take it now with 'defupd update %s@%llu --over-budget'", c->manifest->component,
           ULL(v->release->version));
}

void du_say_held_back(struct du_plan *plan, const struct du_case *c, const struct du_verdict *v)
{
    const char *component = c->manifest->component;
    const unsigned long long version = ULL(v->release->version);

    if (v->reason == DEFUPD_REASON_WITHDRAWN) {
        du_say_withdrawn(plan, v->release);
        return;
    }
    if (v->reason == DEFUPD_REASON_REQUIRES) {
        du_say(plan, "%llu needs a newer client, it requires '%.80s'; update this software",
               version, v->release->requires);
        return;
    }
    du_say(plan, "%llu is held back: ", version);
    switch ((defupd_reason)v->reason) {
    case DEFUPD_REASON_HELD:
        if (c->facts->held_by_policy)
            du_say(plan, "policy holds %s", component);
        else if (c->facts->pinned_by_policy) /* unhold would be refused */
            du_say(plan, "policy pins %s to %llu", component, ULL(c->facts->pin));
        else
            du_say(plan, "%s is held; let it go with 'defupd unhold %s'", component, component);
        break;
    case DEFUPD_REASON_PINNED:
        if (c->facts->pinned_by_policy)
            du_say(plan, "policy pins %s to %llu", component, ULL(c->facts->pin));
        else
            du_say(plan, "%s is pinned to %llu; let it go with 'defupd unhold %s'", component,
                   ULL(c->facts->pin), component);
        break;
    case DEFUPD_REASON_SKIPPED:
        du_say(plan, "skipped since the rollback; take it with 'defupd update %s@%llu'", component,
               version);
        break;
    case DEFUPD_REASON_QUARANTINED:
        du_say(plan,
               "in quarantine on this host; take it with "
               "'defupd update %s@%llu --accept-quarantined'",
               component, version);
        break;
    case DEFUPD_REASON_ROLLOUT: say_rollout(plan, c, v); break;
    case DEFUPD_REASON_PAUSED:
        du_say(plan,
               "the publisher has paused its roll-out; take it now with 'defupd update %s@%llu'",
               component, version);
        break;
    case DEFUPD_REASON_NEEDS: say_need(plan, c, v->need); break;
    case DEFUPD_REASON_NO_OBJECT: say_no_object(plan, c, v->release); break;
    case DEFUPD_REASON_UNLICENSED: say_unlicensed(plan, c, v->release); break;
    case DEFUPD_REASON_DELAY: say_delay(plan, c, v); break;
    case DEFUPD_REASON_METERED: say_metered(plan, c, v); break;
    case DEFUPD_REASON_BUDGET: say_budget(plan, c, v); break;
    case DEFUPD_REASON_NONE:
    case DEFUPD_REASON_DISABLED:
    case DEFUPD_REASON_TRIAL:
    case DEFUPD_REASON_NEWEST:
    case DEFUPD_REASON_REQUIRES:
    case DEFUPD_REASON_WITHDRAWN:
    case DEFUPD_REASON_NO_RELEASE: break; /* no gates, or said above */
    }
}

void du_say_no_release(struct du_plan *plan, const struct du_case *c, uint64_t version)
{
    const char *before = "; published: ";
    size_t shown = 0;

    du_say(plan, "there is no release %llu of %s", ULL(version), c->manifest->component);
    for (size_t i = 0; i < c->manifest->count; i++) {
        const struct du_release *release = &c->manifest->release[i];

        if (release->requires != NULL || release->withdrawn)
            continue; /* naming one of these would lead nowhere */
        if (++shown > 8) {
            du_say(plan, " and older ones");
            break;
        }
        du_say(plan, "%s%llu", before, ULL(release->version));
        before = ", ";
    }
    if (shown == 0)
        du_say(plan, "; none is published that can be taken");
    if (du_gate_on_disk(c->facts, version))
        du_say(plan, "; it is on disk, 'defupd rollback %s@%llu' goes there",
               c->manifest->component, ULL(version));
}

void du_say_reused(struct du_plan *plan, const struct du_case *c)
{
    char listed[DU_SHA256_HEX + 1], ours[DU_SHA256_HEX + 1];

    du_hex(listed, c->installed->tree, DU_SHA256_BYTES);
    du_hex(ours, c->facts->installed_tree, DU_SHA256_BYTES);
    du_say(plan,
           "%llu was published a second time with other content: tree %.16s is installed, "
           "%.16s is listed; it waits for a new version number",
           ULL(c->facts->installed), ours, listed);
}

/* What the way is called. */
static void name_way(const struct du_plan *plan, char *out, size_t size)
{
    const unsigned long long from = ULL(plan->step[0]->from);

    if (from == 0)
        (void)snprintf(out, size, "full bundle");
    else if (plan->steps == 1)
        (void)snprintf(out, size, "delta from %llu", from);
    else
        (void)snprintf(out, size, "deltas from %llu through %llu", from,
                       ULL(plan->step_version[0]));
}

void du_plan_how(const struct du_plan *plan, char *out, size_t size)
{
    char way[80], cost[DU_GROUPED_TEXT], number[DU_GROUPED_TEXT];
    char part[DU_GROUPED_TEXT + 8] = "", instead[DU_GROUPED_TEXT + 16] = "";
    uint64_t whole = 0;

    out[0] = '\0';
    if (plan->on_disk)
        (void)snprintf(out, size, "on disk");
    if (plan->steps == 0)
        return;
    name_way(plan, way, sizeof way);
    if (plan->bytes == 0) {
        (void)snprintf(out, size, "%s, downloaded already", way);
        return;
    }
    for (size_t i = 0; i < plan->steps; i++)
        whole += plan->step[i]->bytes; /* each is below 2^53 */
    if (plan->bytes < whole)
        (void)snprintf(part, sizeof part, " of %s", du_say_grouped(number, whole));
    if (whole < plan->full_bytes)
        (void)snprintf(instead, sizeof instead, " instead of %s",
                       du_say_grouped(number, plan->full_bytes));
    (void)snprintf(out, size, "%s, %s%s bytes%s", way, du_say_grouped(cost, plan->bytes), part,
                   instead);
}
