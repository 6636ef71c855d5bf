/* SPDX-License-Identifier: Apache-2.0 */
/* What policy says of single components. */
#include <string.h>

#include "update/run.h"

const defupd_rule *du_rule_of(const defupd_client_options *options, const char *component)
{
    static const defupd_rule none = DEFUPD_RULE_INIT;

    for (const defupd_rule *const *rule = options->rules; rule != NULL && *rule != NULL; rule++) {
        if (strcmp((*rule)->component, component) == 0)
            return *rule;
    }
    return &none;
}

bool du_rule_disabled(const defupd_client_options *options, const char *component)
{
    return (du_rule_of(options, component)->flags & DEFUPD_RULE_DISABLED) != 0;
}

defupd_code du_rule_check(const struct du_run *run, struct du_part *part, defupd_error *err)
{
    if (!du_rule_disabled(run->ctx->options, part->name))
        return DEFUPD_OK;
    part->row->item.reason = DEFUPD_REASON_DISABLED;
    return DU_FAIL(err, DEFUPD_E_DISABLED, "%s is switched off in policy", part->name);
}

/* Policy's pin stands above the one that a person set on this host. */
void du_rule_apply(const struct du_run *run, struct du_part *part)
{
    const defupd_rule *rule = du_rule_of(run->ctx->options, part->name);

    if ((rule->flags & DEFUPD_RULE_HELD) != 0)
        part->held = part->held_by_policy = true;
    if (rule->pin_version != 0) {
        part->pin = rule->pin_version;
        part->pinned_by_policy = true;
    }
}
