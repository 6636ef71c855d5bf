/* SPDX-License-Identifier: Apache-2.0 */
/* Probation: what is on trial, what ends that, and what passes meanwhile. */
#include "store/store.h"
#include "update_kit.h"

#define HOUR 3600

static uint64_t uptime_ms;
static uint64_t now_ms(void)
{
    return uptime_ms;
}

static defupd_rule rule;
static const defupd_rule *const rules[] = { &rule, NULL };
static const char *words[] = { NULL, NULL };

/* alpha and beta 1 installed with trials of an hour and two starts; then alpha 2 published. */
static void prepare(void)
{
    static struct du_sys sys;
    static const defupd_rule init = DEFUPD_RULE_INIT;
    defupd_error err = { 0 };

    kit_start();
    sys = du_sys_posix;
    sys.monotonic_ms = now_ms;
    kit.sys = &sys;
    uptime_ms = 5000000;
    rule = init;
    rule.component = "alpha";
    words[0] = NULL;
    kit.options.trial_s = HOUR;
    kit.options.trial_starts = 2;
    T_CHECK(t_shell("for i in 1 2 3 4; do mkdir a$i && echo $i > a$i/f; done") == 0);
    kit_add(1, "a1");
    kit_add_to("beta", 1, "a1");
    T_OK(kit_run(KIT_UPDATE, NULL, &err), &err);
    kit_add(2, "a2");
}

enum end { CONFIRM, REJECT, EARLY };

/* For `word` alone, unless it is NULL. */
static defupd_code end_trial(enum end how, const char *word, defupd_error *err)
{
    const char *const one[] = { word, NULL };
    defupd_request request = DEFUPD_REQUEST_INIT;
    defupd_client *client = NULL;
    defupd_code rc = kit_open(&client, err);

    if (word != NULL)
        request.components = one;
    if (rc == DEFUPD_OK && how == CONFIRM)
        rc = defupd_client_confirm(client, &request, err);
    else if (rc == DEFUPD_OK && how == REJECT)
        rc = defupd_client_reject(client, &request, NULL, err);
    else if (rc == DEFUPD_OK)
        rc = defupd_client_early(client, NULL, err);
    defupd_client_close(client);
    return rc;
}

static void update(void)
{
    defupd_error err = { 0 };

    T_OK(kit_run(KIT_UPDATE, NULL, &err), &err);
}

/* An update to one version, by name. */
static defupd_code update_to(const char *word, defupd_error *err)
{
    defupd_code rc;

    words[0] = word;
    kit.request.components = words;
    rc = kit_run(KIT_UPDATE, NULL, err);
    kit.request.components = NULL;
    return rc;
}

struct withdrawal {
    uint64_t version, by;
};

static void edit_withdrawn(struct du_manifest *manifest, void *user)
{
    const struct withdrawal *withdrawal = user;
    struct du_release *release = kit_release(manifest, withdrawal->version);

    release->withdrawn = true;
    release->withdrawn_at = release->published;
    release->replace_by = withdrawal->by;
}

static void withdraw(uint64_t version, uint64_t by)
{
    struct withdrawal withdrawal = { version, by };

    kit_edit(edit_withdrawn, &withdrawal);
}

static bool is(const char *component, uint64_t version, int32_t state)
{
    const defupd_component_status status = kit_status(component);

    if (status.version == version && status.state == state)
        return true;
    printf("# %s %llu is %s: %s %s\n", component, (unsigned long long)status.version,
           defupd_state_name((defupd_state)status.state), status.notice, status.error_text);
    return false;
}

static bool alpha_is(uint64_t version, int32_t state)
{
    return is("alpha", version, state);
}

static uint64_t left_s(uint64_t *starts)
{
    defupd_client *client = NULL;
    defupd_status *status = NULL;
    defupd_error err = { 0 };
    uint64_t left;

    T_OK(kit_open(&client, &err), &err);
    T_OK(defupd_client_status(client, &status, &err), &err);
    left = defupd_status_store(status)->trial_s;
    if (starts != NULL)
        *starts = defupd_status_store(status)->trial_starts;
    defupd_status_free(status);
    defupd_client_close(client);
    return left;
}

/* --- beginning and confirming --- */

static void a_newer_release_is_on_trial_until_it_is_confirmed(void)
{
    defupd_error err = { 0 };
    uint64_t starts;

    prepare();
    T_CHECK(alpha_is(1, DEFUPD_STATE_FRESH) && left_s(NULL) == 0); /* the first: nothing before */
    update();
    T_CHECK(kit_told(DEFUPD_EVENT_TRIAL) != NULL && kit_is("a2"));
    T_CHECK(alpha_is(2, DEFUPD_STATE_TRIAL) && is("beta", 1, DEFUPD_STATE_FRESH));
    T_SAME(kit_status("alpha").notice,
           "on trial until 'defupd confirm alpha', or 'defupd reject alpha'");
    T_CHECK(t_shell("grep -q 'trial=\"yes\"' state/generations/2/generation.xml") == 0);
    T_CHECK(left_s(&starts) == HOUR && starts == 2);
    T_OK(end_trial(CONFIRM, NULL, &err), &err);
    T_CHECK(kit_told(DEFUPD_EVENT_CONFIRMED) != NULL);
    T_CHECK(alpha_is(2, DEFUPD_STATE_FRESH) && left_s(NULL) == 0);
    uptime_ms += 2 * HOUR * 1000;
    update();
    T_CHECK(kit_is("a2"));
}

static void without_trials_activation_confirms(void)
{
    defupd_error err = { 0 };

    prepare();
    kit.options.trial_s = 0;
    update();
    T_CHECK(kit_told(DEFUPD_EVENT_TRIAL) == NULL && alpha_is(2, DEFUPD_STATE_FRESH));
    T_OK(end_trial(CONFIRM, NULL, &err), &err);
    T_OK(end_trial(EARLY, NULL, &err), &err);
    T_FAILS(end_trial(REJECT, NULL, &err), DEFUPD_E_NO_PREVIOUS, &err);
    T_CHECK(strstr(err.message, "'defupd rollback'") != NULL && kit_is("a2"));
    T_CHECK(t_shell("rmdir state/trial") == 0); /* nothing was written there */
}

static void a_component_whose_product_never_confirms_has_no_trial(void)
{
    prepare();
    rule.flags = DEFUPD_RULE_NO_TRIAL;
    kit.options.rules = rules;
    kit_add_to("beta", 2, "a2");
    update();
    T_CHECK(alpha_is(2, DEFUPD_STATE_FRESH) && is("beta", 2, DEFUPD_STATE_TRIAL));
    kit_add(3, "a3");
    kit_add_to("beta", 3, "a3");
    update(); /* nor does it wait for the trial of others */
    T_CHECK(alpha_is(3, DEFUPD_STATE_FRESH) && is("beta", 2, DEFUPD_STATE_TRIAL));
}

static void what_is_confirmed_by_version_is_that_version_alone(void)
{
    defupd_error err = { 0 };

    prepare();
    update();
    T_FAILS(end_trial(CONFIRM, "alpha@1", &err), DEFUPD_E_NOT_INSTALLED, &err);
    T_FAILS(end_trial(REJECT, "alpha@1", &err), DEFUPD_E_NOT_INSTALLED, &err);
    T_FAILS(end_trial(CONFIRM, "gamma", &err), DEFUPD_E_NOT_INSTALLED, &err);
    T_FAILS(end_trial(REJECT, "beta", &err), DEFUPD_E_NO_PREVIOUS, &err);
    T_OK(end_trial(CONFIRM, "beta", &err), &err);
    T_CHECK(alpha_is(2, DEFUPD_STATE_TRIAL));
    T_OK(end_trial(CONFIRM, "alpha@2", &err), &err);
    T_CHECK(alpha_is(2, DEFUPD_STATE_FRESH));
}

static void components_are_confirmed_and_rejected_one_by_one(void)
{
    defupd_error err = { 0 };

    prepare();
    kit_add_to("beta", 2, "a2");
    update();
    T_CHECK(alpha_is(2, DEFUPD_STATE_TRIAL) && is("beta", 2, DEFUPD_STATE_TRIAL));
    T_OK(end_trial(CONFIRM, "beta", &err), &err);
    T_CHECK(alpha_is(2, DEFUPD_STATE_TRIAL) && is("beta", 2, DEFUPD_STATE_FRESH));
    T_OK(end_trial(REJECT, "alpha", &err), &err);
    T_CHECK(kit_is("a1") && is("beta", 2, DEFUPD_STATE_FRESH) && left_s(NULL) == 0);

    kit_add(3, "a3");
    kit_add_to("beta", 3, "a3");
    update();
    uptime_ms += 600000;
    T_OK(end_trial(REJECT, "beta", &err), &err); /* the other's trial goes on as it was */
    T_CHECK(alpha_is(3, DEFUPD_STATE_TRIAL) && left_s(NULL) == HOUR - 600);
    T_CHECK(kit_status("beta").version == 2);
}

/* --- going back --- */

static void a_rejected_release_goes_and_does_not_come_back(void)
{
    defupd_error err = { 0 };

    prepare();
    update();
    T_OK(end_trial(REJECT, NULL, &err), &err);
    T_CHECK(kit_is("a1") && kit_told(DEFUPD_EVENT_ROLLED_BACK) != NULL);
    T_CHECK(alpha_is(1, DEFUPD_STATE_QUARANTINED));
    T_CHECK(kit_status("alpha").last_error == DEFUPD_E_TRIAL);
    T_CHECK(strstr(kit_status("alpha").error_text, "alpha 2: rejected on this host") != NULL);
    T_CHECK(strstr(kit_status("alpha").notice, "2 is in quarantine: rejected") != NULL);
    update();
    T_CHECK(kit_is("a1") && kit_status("alpha").last_error == DEFUPD_OK);
    T_FAILS(update_to("alpha@2", &err), DEFUPD_E_QUARANTINED, &err);
    kit_add(3, "a3");
    update();
    T_CHECK(alpha_is(3, DEFUPD_STATE_TRIAL));
}

static void what_nobody_confirms_in_time_goes_back(void)
{
    prepare();
    update();
    uptime_ms += (HOUR - 1) * 1000;
    update();
    T_CHECK(alpha_is(2, DEFUPD_STATE_TRIAL));
    uptime_ms += 1000;
    update();
    T_CHECK(kit_is("a1"));
    T_SAME(kit_told(DEFUPD_EVENT_ROLLED_BACK), "alpha 2: its trial ended without a confirmation");
    T_CHECK(alpha_is(1, DEFUPD_STATE_QUARANTINED));
}

static void or_stays_where_the_end_of_the_time_confirms(void)
{
    prepare();
    kit.options.flags = DEFUPD_CLIENT_TRIAL_CONFIRMS;
    update();
    kit.options.flags = 0; /* the terms are those under which it began */
    uptime_ms += HOUR * 1000;
    T_CHECK(alpha_is(2, DEFUPD_STATE_TRIAL)); /* nobody has looked yet who may write */
    update();
    T_SAME(kit_told(DEFUPD_EVENT_CONFIRMED), "its time has ended");
    T_CHECK(alpha_is(2, DEFUPD_STATE_FRESH));
}

static void time_is_counted_over_restarts_of_the_machine(void)
{
    prepare();
    update();
    uptime_ms += 1000 * 1000;
    update(); /* 1000 s are kept */
    T_CHECK(left_s(NULL) == HOUR - 1000);
    uptime_ms = 100 * 1000; /* the machine was started again */
    T_CHECK(left_s(NULL) == HOUR - 1100);
    update();
    uptime_ms += 500 * 1000;
    T_CHECK(left_s(NULL) == HOUR - 1600);
    uptime_ms += (uint64_t)HOUR * 1000;
    T_CHECK(left_s(NULL) == 1); /* over, and nobody has looked yet who may write */
}

static void a_product_that_starts_too_often_gets_the_confirmed_set_back(void)
{
    defupd_error err = { 0 };
    uint64_t starts;

    prepare();
    update();
    T_OK(end_trial(EARLY, NULL, &err), &err);
    T_CHECK(left_s(&starts) == HOUR && starts == 1);
    T_OK(end_trial(EARLY, NULL, &err), &err);
    T_CHECK(kit_is("a2") && alpha_is(2, DEFUPD_STATE_TRIAL));
    T_OK(end_trial(EARLY, NULL, &err), &err);
    T_SAME(kit_told(DEFUPD_EVENT_ROLLED_BACK),
           "alpha 2: the product started too often without a confirmation");
    T_CHECK(kit_is("a1") && alpha_is(1, DEFUPD_STATE_QUARANTINED));
    T_OK(end_trial(EARLY, NULL, &err), &err); /* nothing more comes of it */
    T_CHECK(kit_is("a1"));
}

static void an_early_look_also_ends_what_is_over(void)
{
    defupd_error err = { 0 };

    prepare();
    update();
    uptime_ms += HOUR * 1000;
    T_OK(end_trial(EARLY, NULL, &err), &err);
    T_CHECK(kit_is("a1"));
}

static unsigned asked;
static defupd_code ask(void *user, const defupd_hook *hook, defupd_error *err)
{
    (void)user;
    (void)err;
    asked++;
    return hook->kind == DEFUPD_HOOK_PRE_INSTALL ? DEFUPD_E_POSTPONED : DEFUPD_OK;
}

static void a_product_that_wants_to_wait_is_asked_again_but_not_before_it_runs(void)
{
    defupd_error err = { 0 };

    prepare();
    update();
    kit.options.on_hook = ask;
    T_FAILS(end_trial(REJECT, NULL, &err), DEFUPD_E_POSTPONED, &err);
    T_CHECK(kit_is("a2") && alpha_is(2, DEFUPD_STATE_FAILING));
    T_CHECK(left_s(NULL) == HOUR && access("state/quarantine/alpha", F_OK) != 0);
    asked = 0;
    uptime_ms += HOUR * 1000;
    T_OK(end_trial(EARLY, NULL, &err), &err);
    T_CHECK(kit_is("a1") && asked == 0);
}

static void what_has_nothing_to_go_back_to_stays_and_waits_for_the_next(void)
{
    defupd_error err = { 0 };

    prepare();
    update();
    withdraw(1, 0);
    update(); /* learns of it */
    T_FAILS(end_trial(REJECT, NULL, &err), DEFUPD_E_NO_PREVIOUS, &err);
    T_CHECK(kit_is("a2") && left_s(NULL) == 0);
    T_CHECK(t_shell("grep -q '^refuse 2' state/quarantine/alpha") == 0);
    T_OK(end_trial(EARLY, NULL, &err), &err);
    kit_add(3, "a3");
    update();
    T_CHECK(alpha_is(3, DEFUPD_STATE_TRIAL));
}

static void a_damaged_confirmed_version_is_nothing_to_go_back_to(void)
{
    defupd_error err = { 0 };

    prepare();
    update();
    T_CHECK(t_shell("echo rot >> state/versions/alpha/1/f") == 0);
    T_FAILS(end_trial(REJECT, NULL, &err), DEFUPD_E_DAMAGED, &err);
    T_CHECK(kit_is("a2") && left_s(NULL) == 0);
}

static void a_rollback_passes_over_what_was_never_confirmed(void)
{
    defupd_error err = { 0 };

    prepare();
    kit.options.retention = 9;
    update();
    kit_add(3, "a3");
    T_OK(update_to("alpha@3", &err), &err); /* from 2, which nobody has confirmed */
    T_OK(end_trial(CONFIRM, NULL, &err), &err);
    T_CHECK(access("state/versions/alpha/2/f", F_OK) == 0);
    T_OK(kit_run(KIT_ROLLBACK, NULL, &err), &err);
    T_CHECK(kit_is("a1"));
    words[0] = "alpha@3"; /* once confirmed is enough */
    kit.request.components = words;
    T_OK(kit_run(KIT_UPDATE, NULL, &err), &err);
    T_CHECK(alpha_is(3, DEFUPD_STATE_FRESH));
}

/* --- meanwhile --- */

static void newer_releases_are_staged_and_become_active_afterwards(void)
{
    defupd_error err = { 0 };
    defupd_report *report = NULL;
    char how[256];

    prepare();
    update();
    kit_add(3, "a3");
    T_OK(kit_run(KIT_UPDATE, &report, &err), &err);
    T_CHECK(defupd_report_at(report, 0)->reason == DEFUPD_REASON_TRIAL);
    T_CHECK(defupd_report_at(report, 0)->progress == DEFUPD_PROGRESS_STAGED);
    T_CHECK(strstr(defupd_report_at(report, 0)->text, "only staged") != NULL);
    defupd_report_free(report);
    T_CHECK(kit_is("a2") && access("state/versions/alpha/3/f", F_OK) == 0);
    update(); /* stays there */
    T_CHECK(kit_is("a2") && access("state/versions/alpha/3/f", F_OK) == 0);
    kit_add(4, "a4");
    update(); /* of several only the newest */
    T_CHECK(access("state/versions/alpha/3", F_OK) != 0);
    T_CHECK(access("state/versions/alpha/4/f", F_OK) == 0);
    T_CHECK(t_shell("mv repo gone") == 0);
    T_OK(kit_run(KIT_INSTALL, NULL, &err), &err);
    T_CHECK(kit_is("a2"));
    T_OK(end_trial(CONFIRM, NULL, &err), &err);
    words[0] = "alpha";
    kit.request.components = words;
    T_OK(kit_how(KIT_INSTALL, how, &err), &err);
    T_SAME(how, "disk: on disk");
    T_CHECK(alpha_is(4, DEFUPD_STATE_TRIAL));
}

static void staged_trees_are_validated_when_they_become_active(void)
{
    prepare();
    update();
    kit_add(3, "a3");
    asked = 0;
    kit.options.on_hook = ask;
    update();
    T_CHECK(asked == 0);
}

static void a_first_installation_does_not_wait(void)
{
    prepare();
    update();
    kit_add_to("gamma", 1, "a1");
    update();
    T_CHECK(is("gamma", 1, DEFUPD_STATE_FRESH) && alpha_is(2, DEFUPD_STATE_TRIAL));
    T_CHECK(left_s(NULL) == HOUR);
}

static void a_named_version_passes_and_begins_a_trial_of_its_own(void)
{
    defupd_error err = { 0 };

    prepare();
    update();
    uptime_ms += 1000000;
    kit_add(3, "a3");
    T_OK(update_to("alpha@3", &err), &err);
    T_CHECK(alpha_is(3, DEFUPD_STATE_TRIAL) && left_s(NULL) == HOUR);
    T_OK(end_trial(REJECT, NULL, &err), &err);
    T_CHECK(kit_is("a1")); /* 2 was never confirmed */
}

static void a_withdrawal_passes(void)
{
    prepare();
    update();
    withdraw(2, 0);
    update();
    T_CHECK(kit_is("a1") && left_s(NULL) == 0 && kit_status("alpha").version == 1);
    kit_add(3, "a3");
    update();
    kit_add(4, "a4");
    withdraw(3, 4);
    update();
    T_CHECK(alpha_is(4, DEFUPD_STATE_TRIAL)); /* what is newer proves itself */
}

static void the_last_confirmed_set_stays_on_disk(void)
{
    defupd_error err = { 0 };

    prepare();
    for (int version = 2; version <= 4; version++) {
        char word[16];

        if (version > 2)
            kit_add((uint64_t)version, version == 3 ? "a3" : "a4");
        (void)snprintf(word, sizeof word, "alpha@%d", version);
        T_OK(update_to(word, &err), &err);
    }
    T_OK(end_trial(REJECT, NULL, &err), &err);
    T_CHECK(kit_is("a1"));
}

static void a_repair_of_the_generation_keeps_the_trial(void)
{
    defupd_error err = { 0 };

    prepare();
    update();
    uptime_ms += 60000;
    T_CHECK(t_shell("rm state/generations/2/beta") == 0);
    T_OK(kit_run(KIT_REPAIR, NULL, &err), &err);
    T_CHECK(access("state/generations/3/beta/f", F_OK) == 0);
    T_CHECK(alpha_is(2, DEFUPD_STATE_TRIAL) && left_s(NULL) == HOUR - 60);
}

/* --- damage --- */

static void an_unreadable_trial_begins_anew(void)
{
    defupd_error err = { 0 };

    prepare();
    update();
    uptime_ms += 600000;
    T_CHECK(t_shell("echo rot >> state/trial/2") == 0);
    T_CHECK(alpha_is(2, DEFUPD_STATE_TRIAL) && is("beta", 1, DEFUPD_STATE_FRESH));
    T_CHECK(left_s(NULL) == HOUR);
    update();
    uptime_ms += 600000;
    T_CHECK(left_s(NULL) == HOUR - 600);
    T_CHECK(t_shell("rm state/trial/2") == 0);
    T_OK(end_trial(REJECT, NULL, &err), &err);
    T_CHECK(kit_is("a1"));
}

static void where_there_are_no_trials_a_lost_record_makes_none(void)
{
    defupd_error err = { 0 };

    prepare();
    kit.options.trial_s = 0;
    update();
    T_CHECK(t_shell("rm state/generations/2/generation.xml") == 0);
    T_CHECK(alpha_is(2, DEFUPD_STATE_FRESH));
    T_OK(end_trial(EARLY, NULL, &err), &err);
    T_CHECK(t_shell("rm state/generations/1/generation.xml") == 0);
    T_OK(kit_run(KIT_ROLLBACK, NULL, &err), &err);
    T_CHECK(kit_is("a1"));
}

static void a_component_that_is_switched_off_is_not_waited_for(void)
{
    defupd_error err = { 0 };

    prepare();
    update();
    rule.flags = DEFUPD_RULE_DISABLED;
    kit.options.rules = rules;
    uptime_ms += HOUR * 1000;
    T_OK(end_trial(EARLY, NULL, &err), &err);
    update();
    T_CHECK(kit_is("a2") && alpha_is(2, DEFUPD_STATE_DISABLED) && left_s(NULL) == 0);
}

static void who_may_not_write_is_told_that_a_start_is_not_counted(void)
{
    struct du_store store = { .dir = -1, .lock = -1 };
    defupd_error err = { 0 };

    prepare();
    update();
    T_OK(du_store_open(&store, kit.options.state_dir, &du_sys_posix, &err), &err);
    T_OK(du_store_lock(&store, 0, NULL, &err), &err);
    T_FAILS(end_trial(EARLY, NULL, &err), DEFUPD_E_BUSY, &err);
    T_FAILS(end_trial(CONFIRM, NULL, &err), DEFUPD_E_BUSY, &err);
    du_store_unlock(&store);
    T_OK(end_trial(CONFIRM, NULL, &err), &err);
    T_OK(du_store_lock(&store, 0, NULL, &err), &err);
    T_OK(end_trial(CONFIRM, NULL, &err), &err); /* nothing is on trial: no lock is needed */
    T_OK(end_trial(EARLY, NULL, &err), &err);
    du_store_close(&store);
}

int main(void)
{
    T_RUN(a_newer_release_is_on_trial_until_it_is_confirmed);
    T_RUN(without_trials_activation_confirms);
    T_RUN(a_component_whose_product_never_confirms_has_no_trial);
    T_RUN(what_is_confirmed_by_version_is_that_version_alone);
    T_RUN(components_are_confirmed_and_rejected_one_by_one);
    T_RUN(a_rejected_release_goes_and_does_not_come_back);
    T_RUN(what_nobody_confirms_in_time_goes_back);
    T_RUN(or_stays_where_the_end_of_the_time_confirms);
    T_RUN(time_is_counted_over_restarts_of_the_machine);
    T_RUN(a_product_that_starts_too_often_gets_the_confirmed_set_back);
    T_RUN(an_early_look_also_ends_what_is_over);
    T_RUN(a_product_that_wants_to_wait_is_asked_again_but_not_before_it_runs);
    T_RUN(what_has_nothing_to_go_back_to_stays_and_waits_for_the_next);
    T_RUN(a_damaged_confirmed_version_is_nothing_to_go_back_to);
    T_RUN(a_rollback_passes_over_what_was_never_confirmed);
    T_RUN(newer_releases_are_staged_and_become_active_afterwards);
    T_RUN(staged_trees_are_validated_when_they_become_active);
    T_RUN(a_first_installation_does_not_wait);
    T_RUN(a_named_version_passes_and_begins_a_trial_of_its_own);
    T_RUN(a_withdrawal_passes);
    T_RUN(the_last_confirmed_set_stays_on_disk);
    T_RUN(a_repair_of_the_generation_keeps_the_trial);
    T_RUN(an_unreadable_trial_begins_anew);
    T_RUN(where_there_are_no_trials_a_lost_record_makes_none);
    T_RUN(a_component_that_is_switched_off_is_not_waited_for);
    T_RUN(who_may_not_write_is_told_that_a_start_is_not_counted);
    return T_DONE();
}
