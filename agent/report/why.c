/* SPDX-License-Identifier: Apache-2.0 */
#include "report/why.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "fail.h"
#include "json.h"
#include "text.h"
#include "words.h"

static bool is_set(const char *text)
{
    return text != NULL && text[0] != '\0';
}

defupd_code ag_why_find(struct ag_why *why, const char *component, const defupd_status *status,
                        const defupd_report *report, defupd_error *err)
{
    const defupd_component_status *item;
    const defupd_report_item *plan;

    *why = (struct ag_why){ .store = defupd_status_store(status) };
    for (uint32_t i = 0; (item = defupd_status_at(status, i)) != NULL; i++) {
        if (strcmp(item->name, component) == 0)
            why->status = item;
    }
    for (uint32_t i = 0; report != NULL && (plan = defupd_report_at(report, i)) != NULL; i++) {
        if (strcmp(plan->component, component) == 0)
            why->plan = plan;
    }
    if (why->status == NULL)
        return AG_FAIL(err, DEFUPD_E_NO_COMPONENT,
                       "%s is neither installed nor offered nor named by the policy", component);
    return DEFUPD_OK;
}

const char *ag_why_passes(char out[160], const struct ag_why *why)
{
    const defupd_report_item *plan = why->plan;
    const char *name = why->status->name, *option = NULL;
    const bool by_policy = (why->status->holds & DEFUPD_HOLD_POLICY) != 0;

    out[0] = '\0';
    if (plan == NULL || (plan->action != DEFUPD_ACTION_NONE && plan->reason != DEFUPD_REASON_TRIAL))
        return out;
    switch ((defupd_reason)plan->reason) {
    case DEFUPD_REASON_NONE:
    case DEFUPD_REASON_NEWEST: return out;
    case DEFUPD_REASON_HELD:
    case DEFUPD_REASON_PINNED:
        if (by_policy)
            (void)snprintf(out, 160, "the policy must release it");
        else
            (void)snprintf(out, 160, "'defupd unhold %s'", name);
        return out;
    case DEFUPD_REASON_SKIPPED:
        (void)snprintf(out, 160, "'defupd update %s@%" PRIu64 "', or 'defupd unhold %s'", name,
                       plan->newest, name);
        return out;
    case DEFUPD_REASON_QUARANTINED: option = " --accept-quarantined"; break;
    case DEFUPD_REASON_BUDGET:
    case DEFUPD_REASON_METERED: option = " --over-budget"; break;
    case DEFUPD_REASON_ROLLOUT:
    case DEFUPD_REASON_PAUSED:
    case DEFUPD_REASON_DELAY: option = ""; break;
    case DEFUPD_REASON_NEEDS: (void)snprintf(out, 160, "update what it needs first"); return out;
    case DEFUPD_REASON_REQUIRES:
    case DEFUPD_REASON_NO_OBJECT:
        (void)snprintf(out, 160, "a newer version of this software");
        return out;
    case DEFUPD_REASON_WITHDRAWN:
    case DEFUPD_REASON_NO_RELEASE:
        (void)snprintf(out, 160, "a new release from the publisher");
        return out;
    case DEFUPD_REASON_UNLICENSED:
        (void)snprintf(out, 160, "a licence of its class in the policy; it then goes on by itself");
        return out;
    case DEFUPD_REASON_TRIAL:
        (void)snprintf(out, 160,
                       "'defupd confirm' or 'defupd reject', or 'defupd update %s@%" PRIu64 "'",
                       name, plan->to_version);
        return out;
    case DEFUPD_REASON_DISABLED: (void)snprintf(out, 160, "'enabled' in the policy"); return out;
    }
    if (option != NULL && plan->newest != 0)
        (void)snprintf(out, 160, "'defupd update %s@%" PRIu64 "%s'", name, plan->newest, option);
    return out;
}

static const char *reason_text(const defupd_report_item *plan)
{
    return is_set(plan->text) ? plan->text : ag_reason_text(plan->reason);
}

/* What would be done now, or the gate in the way. */
static void tell_plan(FILE *out, const struct ag_why *why)
{
    const defupd_report_item *plan = why->plan;
    char passes[160];

    if (plan == NULL) {
        ag_line(out, "Decision      nothing can be decided: %s", why->unknown);
        return;
    }
    if (plan->code != DEFUPD_OK) {
        ag_line(out, "Decision      none: %s (%d %s)",
                is_set(plan->text) ? plan->text : defupd_code_text((defupd_code)plan->code),
                (int)plan->code, defupd_code_name((defupd_code)plan->code));
        ag_line(out, "What helps    %s", defupd_code_advice((defupd_code)plan->code));
        return;
    }
    if (plan->action != DEFUPD_ACTION_NONE && plan->reason != DEFUPD_REASON_TRIAL) {
        ag_line(out, "Decision      %s to %" PRIu64 "%s%s: no gate is in the way",
                ag_action_name(plan->action), plan->to_version, is_set(plan->how) ? " by " : "",
                is_set(plan->how) ? plan->how : "");
        return;
    }
    if (plan->action != DEFUPD_ACTION_NONE)
        ag_line(out, "Decision      %s to %" PRIu64 ": %s", ag_action_name(plan->action),
                plan->to_version, plan->text);
    else
        ag_line(out, "Decision      stays: %s",
                reason_text(plan)[0] != '\0' ? reason_text(plan) : "nothing newer is known");
    if (ag_why_passes(passes, why)[0] != '\0')
        ag_line(out, "What passes   %s", passes);
}

static void tell_attempt(FILE *out, const struct ag_why *why, int64_t now)
{
    const defupd_component_status *item = why->status;
    const defupd_code code = (defupd_code)item->last_error;
    const char *advice = defupd_code_advice(code);
    char when[AG_WHEN], success[AG_WHEN];

    (void)ag_time_and_age(when, item->last_attempt, now);
    if (code == DEFUPD_OK) {
        ag_line(out, "Last attempt  %s%s", when, item->last_attempt != 0 ? ": succeeded" : "");
        return;
    }
    ag_line(out, "Last attempt  %s: failed%s: %s", when,
            item->failures > 1 ? ", as did others before it" : "",
            is_set(item->error_text) ? item->error_text : defupd_code_text(code));
    ag_line(out, "              %d %s: %s", (int)code, defupd_code_name(code),
            advice[0] != '\0' ? advice : defupd_code_text(code));
    ag_line(out, "Last success  %s", ag_time_and_age(success, item->last_success, now));
}

void ag_why_text(FILE *out, const struct ag_why *why, int64_t now)
{
    const defupd_component_status *item = why->status;
    char version[AG_VERSION], available[AG_VERSION], next[AG_WHEN];

    ag_line(out, "%s is %s: installed %s, newest known %s.", item->name,
            defupd_state_name((defupd_state)item->state),
            item->version != 0 ? ag_version_text(version, item->version, item->label) : "none",
            item->available != 0 ? ag_version_text(available, item->available, NULL) : "none");
    if (why->store->busy_pid != 0)
        ag_line(out, "At work       process %" PRIu64 " updates this store now",
                why->store->busy_pid);
    tell_plan(out, why);
    if (is_set(item->notice))
        ag_line(out, "Note          %s", item->notice);
    tell_attempt(out, why, now);
    ag_line(out, "Next attempt  %s",
            item->next_attempt != 0 ? ag_time_and_age(next, item->next_attempt, now)
                                    : "none is planned");
}

bool ag_why_json(json_t *doc, const struct ag_why *why)
{
    const defupd_component_status *item = why->status;
    const defupd_report_item *plan = why->plan;
    const defupd_code code = (defupd_code)item->last_error;
    json_t *decision = json_object();
    char passes[160];

    if (!ag_json_add(doc, "decision", decision))
        return false;
    if (plan == NULL) {
        if (!ag_json_text(decision, "action", "unknown") ||
            !ag_json_text(decision, "text", why->unknown))
            return false;
    } else if (!ag_json_text(decision, "action", ag_action_name(plan->action)) ||
               !ag_json_number(decision, "to", plan->to_version) ||
               !ag_json_text(decision, "gate", ag_reason_name(plan->reason)) ||
               !ag_json_add(decision, "code", json_integer(plan->code)) ||
               !ag_json_text(decision, "text", reason_text(plan)) ||
               !ag_json_text(decision, "how", plan->how) ||
               !ag_json_text(decision, "passes", ag_why_passes(passes, why))) {
        return false;
    }
    return ag_json_text(doc, "component", item->name) &&
           ag_json_text(doc, "state", defupd_state_name((defupd_state)item->state)) &&
           ag_json_number(doc, "version", item->version) &&
           ag_json_number(doc, "available", item->available) &&
           ag_json_text(doc, "notice", item->notice) &&
           ag_json_add(doc, "lasterror", json_integer(code)) &&
           ag_json_text(doc, "lasterror_name", defupd_code_name(code)) &&
           ag_json_text(doc, "lasterror_text", item->error_text) &&
           ag_json_text(doc, "lasterror_advice", defupd_code_advice(code)) &&
           ag_json_number(doc, "failures", item->failures) &&
           ag_json_number(doc, "last_attempt", (uint64_t)item->last_attempt) &&
           ag_json_number(doc, "last_success", (uint64_t)item->last_success) &&
           ag_json_number(doc, "next_attempt", (uint64_t)item->next_attempt) &&
           ag_json_number(doc, "busy_pid", why->store->busy_pid);
}
