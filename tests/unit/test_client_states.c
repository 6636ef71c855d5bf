/* SPDX-License-Identifier: Apache-2.0 */
/* What status makes of time, of failures, of damage and of what is planned. */
#include "store/store.h"
#include "update_kit.h"

#define HOUR 3600

static defupd_rule rule;
static const defupd_rule *const rules[] = { &rule, NULL };

/* alpha 1 installed a moment ago. */
static void prepare(void)
{
    static const defupd_rule init = DEFUPD_RULE_INIT;
    defupd_error err = { 0 };

    rule = init;
    rule.component = "alpha";
    kit_start();
    kit_turn_clock(0);
    T_CHECK(t_shell("mkdir a1 a2 && echo 1 > a1/f && echo 2 > a2/f") == 0);
    kit_add(1, "a1");
    T_OK(kit_run(KIT_UPDATE, NULL, &err), &err);
}

static void is_state(int line, defupd_state state, int64_t later_s)
{
    defupd_component_status status;

    kit_turn_clock(later_s);
    status = kit_status("alpha");
    if (status.state == (int32_t)state)
        return;
    printf("# line %d: after %lld s: expected %s, got %s (%s; %s)\n", line, (long long)later_s,
           defupd_state_name(state), defupd_state_name((defupd_state)status.state),
           status.error_text, status.notice);
    t_failed++;
}
#define IS(state, later_s) is_state(__LINE__, DEFUPD_STATE_##state, later_s)

/* A run of which the source knows nothing. */
static void fail_once(int64_t later_s)
{
    defupd_error err = { 0 };

    kit_turn_clock(later_s);
    kit.source = "file:///nowhere/at/all";
    T_FAILS(kit_run(KIT_UPDATE, NULL, &err), DEFUPD_E_NOT_FOUND, &err);
    kit.source = NULL;
}

static void without_a_schedule_nothing_is_due(void)
{
    prepare();
    IS(FRESH, 0);
    IS(FRESH, 100 * HOUR);
    fail_once(0);
    IS(FAILING, 0);
}

static void a_poll_is_due_when_the_next_one_is_overdue(void)
{
    const int64_t now = du_sys_posix.now_s();
    defupd_error err = { 0 };

    prepare();
    kit.options.interval_s = 2 * HOUR;
    kit.options.next_on_success = now + 2 * HOUR;
    T_OK(kit_run(KIT_UPDATE, NULL, &err), &err);
    T_CHECK(kit_status("alpha").next_attempt == now + 2 * HOUR);
    IS(FRESH, 2 * HOUR);
    IS(FRESH, 2 * HOUR + HOUR / 2 - 60);
    IS(DUE, 2 * HOUR + HOUR / 2 + 60); /* a quarter of the interval is slack */
    kit.options.interval_s = 60;
    IS(FRESH, 2 * HOUR + 30); /* at least a minute */
    IS(DUE, 2 * HOUR + 90);
    kit.options.interval_s = UINT64_MAX;
    IS(FRESH, 1000 * HOUR);
}

static void a_poll_is_due_when_none_was_within_the_interval(void)
{
    prepare();
    kit.options.interval_s = 2 * HOUR;
    IS(FRESH, 2 * HOUR);
    IS(DUE, 2 * HOUR + HOUR / 2 + 60);
    T_CHECK(t_shell("echo rot > state/schedule/alpha") == 0);
    IS(DUE, 0); /* unreadable means due now */
}

static void the_next_attempt_is_told_by_how_this_one_ended(void)
{
    const int64_t now = du_sys_posix.now_s();
    defupd_error err = { 0 };

    prepare();
    T_CHECK(kit_status("alpha").next_attempt == 0);
    kit.options.next_on_success = now + 100;
    kit.options.next_on_failure = now + 200;
    T_OK(kit_run(KIT_UPDATE, NULL, &err), &err);
    T_CHECK(kit_status("alpha").next_attempt == now + 100);
    fail_once(0);
    T_CHECK(kit_status("alpha").next_attempt == now + 200);
    kit.options.next_on_success = kit.options.next_on_failure = 0;
    T_OK(kit_run(KIT_UPDATE, NULL, &err), &err);
    T_CHECK(kit_status("alpha").next_attempt == now + 200); /* kept */
    kit.options.next_on_failure = -1;
    T_FAILS(kit_run(KIT_UPDATE, NULL, &err), DEFUPD_E_INVALID, &err);
    T_CHECK(strstr(err.message, "next_on_failure") != NULL);
}

static void one_failed_poll_among_successes_is_no_alarm(void)
{
    defupd_component_status status;

    prepare();
    kit.options.interval_s = 2 * HOUR;
    fail_once(2 * HOUR);
    kit_turn_clock(2 * HOUR);
    status = kit_status("alpha");
    T_CHECK(status.state == DEFUPD_STATE_FRESH && status.last_error == DEFUPD_E_NOT_FOUND &&
            status.failures == 1 && status.error_text[0] != '\0');
    IS(FRESH, 2 * HOUR + HOUR / 2 - 60);
    IS(FAILING, 4 * HOUR + 10);
    kit.options.interval_s = 0; /* without a schedule each failure is news */
    IS(FAILING, 2 * HOUR);
}

static void a_success_in_the_future_is_no_success(void)
{
    prepare();
    kit.options.interval_s = 2 * HOUR;
    fail_once(0);
    IS(FRESH, 0);
    IS(FRESH, -300); /* clocks differ */
    IS(FAILING, -HOUR);
}

static void what_is_older_than_the_maximum_age_is_stale(void)
{
    prepare();
    kit.options.rules = rules;
    rule.max_age_s = 24 * HOUR;
    IS(FRESH, 24 * HOUR - 60);
    IS(STALE, 24 * HOUR + 60);
    IS(FRESH, -HOUR);
    kit.options.interval_s = HOUR;
    IS(STALE, 24 * HOUR + 60); /* more than due */
    fail_once(HOUR);
    IS(STALE, 24 * HOUR + 60); /* and more than failing: its error tells why */
    T_CHECK(t_shell("echo rot > state/schedule/alpha") == 0);
    IS(STALE, 24 * HOUR + 60); /* then the installation counts */
    rule.max_age_s = UINT64_MAX;
    IS(DUE, 24 * HOUR + 60);
}

static void damage_stays_known_until_it_is_repaired(void)
{
    defupd_component_status status;
    defupd_client *client = NULL;
    defupd_error err = { 0 };

    prepare();
    kit.options.interval_s = 2 * HOUR; /* no forgiveness for this */
    T_CHECK(t_shell("echo rot > state/versions/alpha/1/f") == 0);
    IS(FRESH, 0); /* nobody has looked */
    T_OK(kit_open(&client, &err), &err);
    T_FAILS(defupd_client_verify(client, NULL, NULL, NULL, NULL, &err), DEFUPD_E_DAMAGED, &err);
    defupd_client_close(client);
    IS(FAILING, 0);
    status = kit_status("alpha");
    T_CHECK(status.last_error == DEFUPD_E_DAMAGED &&
            strstr(status.error_text, "defupd verify --repair") != NULL);
    T_OK(kit_run(KIT_UPDATE, NULL, &err), &err); /* nothing new, and nothing mended */
    IS(FAILING, 0);
    T_OK(kit_run(KIT_REPAIR, NULL, &err), &err);
    IS(FRESH, 0);
    T_CHECK(kit_is("a1") && access("state/distrust/alpha", F_OK) != 0);
}

static void what_somebody_else_has_put_right_is_found_right(void)
{
    defupd_client *client = NULL;
    defupd_error err = { 0 };

    prepare();
    T_OK(kit_open(&client, &err), &err);
    T_CHECK(t_shell("cp -p state/versions/alpha/1/f f && echo rot > state/versions/alpha/1/f") ==
            0);
    T_FAILS(defupd_client_verify(client, NULL, NULL, NULL, NULL, &err), DEFUPD_E_DAMAGED, &err);
    IS(FAILING, 0);
    T_CHECK(t_shell("cp f state/versions/alpha/1/f") == 0);
    T_OK(defupd_client_verify(client, NULL, NULL, NULL, NULL, &err), &err);
    IS(FRESH, 0);
    defupd_client_close(client);
}

static void a_tree_that_is_gone_is_damage_that_needs_no_look(void)
{
    defupd_error err = { 0 };

    prepare();
    T_CHECK(rename("state/versions/alpha/1", "state/versions/alpha/gone") == 0);
    IS(FAILING, 0);
    T_CHECK(kit_status("alpha").last_error == DEFUPD_E_DAMAGED);
    T_OK(kit_run(KIT_REPAIR, NULL, &err), &err);
    IS(FRESH, 0);
}

static void a_verification_beside_a_writer_only_looks(void)
{
    struct du_store writer = { .dir = -1, .lock = -1 };
    defupd_client *client = NULL;
    defupd_error err = { 0 };
    char state[300];

    prepare();
    (void)snprintf(state, sizeof state, "%s/state", kit.here);
    T_CHECK(t_shell("echo rot > state/versions/alpha/1/f") == 0);
    T_OK(du_store_open(&writer, state, &du_sys_posix, &err), &err);
    T_OK(du_store_lock(&writer, 0, NULL, &err), &err);
    T_OK(kit_open(&client, &err), &err);
    T_FAILS(defupd_client_verify(client, NULL, NULL, NULL, NULL, &err), DEFUPD_E_DAMAGED, &err);
    T_CHECK(access("state/distrust/alpha", F_OK) != 0);
    du_store_close(&writer);
    T_FAILS(defupd_client_verify(client, NULL, NULL, NULL, NULL, &err), DEFUPD_E_DAMAGED, &err);
    T_CHECK(access("state/distrust/alpha", F_OK) == 0);
    defupd_client_close(client);
}

static void expired_metadata_is_said(void)
{
    prepare();
    kit_turn_clock(23 * HOUR);
    T_SAME(kit_status("alpha").notice, "");
    kit_turn_clock(25 * HOUR);
    T_CHECK(strstr(kit_status("alpha").notice, "its metadata expired at ") != NULL);
}

int main(void)
{
    T_RUN(without_a_schedule_nothing_is_due);
    T_RUN(a_poll_is_due_when_the_next_one_is_overdue);
    T_RUN(a_poll_is_due_when_none_was_within_the_interval);
    T_RUN(the_next_attempt_is_told_by_how_this_one_ended);
    T_RUN(one_failed_poll_among_successes_is_no_alarm);
    T_RUN(a_success_in_the_future_is_no_success);
    T_RUN(what_is_older_than_the_maximum_age_is_stale);
    T_RUN(damage_stays_known_until_it_is_repaired);
    T_RUN(what_somebody_else_has_put_right_is_found_right);
    T_RUN(a_tree_that_is_gone_is_damage_that_needs_no_look);
    T_RUN(a_verification_beside_a_writer_only_looks);
    T_RUN(expired_metadata_is_said);
    return T_DONE();
}
