/* SPDX-License-Identifier: Apache-2.0 */
#include "confine.h"
#include "readable.h"
#include "run_priv.h"

/* The worker's fence; it still reads what the policy and the command name. */
defupd_code ag_run_confine(const struct run *run, defupd_error *err)
{
    struct ag_readable readable;
    defupd_code rc;

    ag_readable_gather(&readable, &run->setup, &run->args);
    rc = ag_confine(run->setup.state_dir, readable.path, err);
    ag_readable_free(&readable);
    return rc;
}
