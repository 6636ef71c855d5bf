/* SPDX-License-Identifier: Apache-2.0 */
#include <time.h>

#include "own_hook.h"
#include "run_priv.h"
#include "text.h"

void ag_run_hook_line(void *user, const char *line)
{
    const struct run *run = user;

    ag_record_line(run->record, (int64_t)time(NULL), "hook: %s", line);
}

/* Policy's hooks are the service's to run; without one, this process runs them. */
static defupd_code run_hooks(struct run *run, const struct ag_hook_facts *facts, defupd_error *err)
{
    if (run->worker.fd >= 0)
        return ag_worker_hook(&run->worker, facts, err);
    return ag_own_hooks(run->setup.force.policy, facts, ag_run_hook_line, run, err);
}

defupd_code ag_run_hook(void *user, const defupd_hook *hook, defupd_error *err)
{
    struct run *run = user;
    const struct ag_hook_facts facts = { .kind = hook->kind,
                                         .code = hook->code,
                                         .from = hook->from_version,
                                         .to = hook->to_version,
                                         .component = hook->component,
                                         .tree = hook->tree,
                                         .text = hook->text,
                                         .state_dir = run->setup.state_dir };

    return run_hooks(run, &facts, err);
}

/* After a run without a service: what the service would tell. */
void ag_run_tell_products(struct run *run)
{
    const struct ag_args *args = &run->args;
    const enum ag_command_id id = args->command->id;
    struct ag_hook_facts facts = { .kind = AG_HOOK_ON_ERROR,
                                   .code = run->result.code,
                                   .text = run->result.err.message,
                                   .state_dir = run->setup.state_dir };
    const defupd_component_status *item;
    defupd_status *status = NULL;
    defupd_error err = { 0 };

    if (run->worker.fd >= 0 || ag_policy_at(run->setup.force.policy, "hooks") == NULL ||
        (id != AG_CMD_UPDATE && id != AG_CMD_FORCEUPDATE) || ag_given(args, AG_OPT_DRY_RUN) ||
        args->word_count > 0)
        return;
    if (run->result.code != DEFUPD_OK && run_hooks(run, &facts, &err) != DEFUPD_OK)
        ag_line(run->err, "defupd: warning: %s", err.message);
    if (defupd_client_status(run->client, &status, &err) != DEFUPD_OK)
        return;
    for (uint32_t i = 0; (item = defupd_status_at(status, i)) != NULL; i++) {
        facts = (struct ag_hook_facts){ .kind = AG_HOOK_ON_OUTDATED,
                                        .code = item->last_error,
                                        .from = item->version,
                                        .component = item->name,
                                        .text = "older than the maximum age",
                                        .state_dir = run->setup.state_dir };
        if (item->state == DEFUPD_STATE_STALE && run_hooks(run, &facts, &err) != DEFUPD_OK)
            ag_line(run->err, "defupd: warning: %s", err.message);
    }
    defupd_status_free(status);
}
