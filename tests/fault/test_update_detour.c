/* SPDX-License-Identifier: Apache-2.0 */
/* An update whose delta cannot serve, while one operation of the machine fails, or all from one on:
 * the way round it is as safe as the way itself. */
#include "fault.h"
#include "update_kit.h"

static void make_trees(void)
{
    T_CHECK(t_shell("mkdir -p a1/sub && seq 1 20000 >a1/list && echo same >a1/same && "
                    "echo one >a1/sub/x && cp -a a1 a2 && seq 2 20001 >a2/list && "
                    "echo two >a2/sub/x") == 0);
}

/* A store at release 1 in `prepared`, of which one byte is wrong, and a delta from it to 2. */
static void prepare(bool spoil_base)
{
    defupd_error err = { 0 };

    make_trees();
    kit_start();
    kit_add(1, "a1");
    T_OK(kit_run(KIT_UPDATE, NULL, &err), &err);
    kit_add(2, "a2");
    if (spoil_base) {
        (void)kit_delta(2, 1, "a1", "a2");
        T_CHECK(t_shell("cp -p state/current/alpha/list keep && printf X | dd bs=1 seek=50000 "
                        "conv=notrunc status=none of=state/current/alpha/list && "
                        "touch -r keep state/current/alpha/list && "
                        "mkdir rotten && cp -a state/current/alpha/. rotten/") == 0);
    } else {
        kit_rubbish(2, 1, "1", "this is no delta");
        T_CHECK(t_shell("cp -a a1 rotten") == 0);
    }
    T_CHECK(rename("state", "prepared") == 0);
}

static void under_faults(enum fault_mode mode, int error)
{
    const int stride = getenv("DEFUPD_LONG") != NULL ? 1 : 31;
    const int failed_before = t_failed;
    int rounds = 0, failures = 0;

    for (struct fault f = fault_start(mode, error); fault_round(&f); rounds++) {
        defupd_error err = { 0 };
        defupd_code rc;

        T_CHECK(t_shell("rm -rf state && cp -a prepared state") == 0);
        kit.sys = &fault_sys;
        rc = kit_run(KIT_UPDATE, NULL, &err);
        fault_stop(&f);
        kit.sys = &du_sys_posix;
        if (rc == DEFUPD_OK) {
            T_CHECK(kit_is("a2") || (f.hit && kit_is("rotten"))); /* held: unreadable means so */
        } else {
            failures++;
            T_CHECK(f.hit);
            T_CHECK(kit_is("rotten") || kit_is("a2"));
            T_CHECK(err.message[0] != '\0' && strchr(err.message, '\n') == NULL);
        }
        err = (defupd_error){ 0 };
        T_OK(kit_run(KIT_UPDATE, NULL, &err), &err);
        T_CHECK(kit_is("a2"));
        T_CHECK(t_shell("test -z \"$(ls -A state/staging)\"") == 0);
        if (t_failed > failed_before) {
            printf("# operation %d: %s %s\n", f.fail_at, defupd_code_name(rc), err.message);
            return;
        }
        f.fail_at += stride - 1;
    }
    printf("# %d rounds, %d failed calls\n", rounds, failures);
    T_CHECK(rounds > 8 && failures >= 3);
}

static void a_damaged_base_is_gone_round_on_a_failing_machine(void)
{
    prepare(true);
    under_faults(FAULT_ONCE, EIO);
    under_faults(FAULT_FROM_THEN_ON, ENOSPC);
}

static void a_bad_delta_is_gone_round_on_a_failing_machine(void)
{
    prepare(false);
    under_faults(FAULT_ONCE, ENOSPC);
    under_faults(FAULT_FROM_THEN_ON, EIO);
}

int main(void)
{
    T_RUN(a_damaged_base_is_gone_round_on_a_failing_machine);
    T_RUN(a_bad_delta_is_gone_round_on_a_failing_machine);
    return T_DONE();
}
