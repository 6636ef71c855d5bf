/* SPDX-License-Identifier: Apache-2.0 */
/* What products are asked around an installation, and what becomes of their answers. */
#include "update_kit.h"

static struct {
    struct {
        int32_t kind, code;
        uint64_t from, to;
        char component[40], tree[300], text[400];
        bool tree_is_there, active; /* ... and was the new version current? */
    } asked[16];
    size_t count;
    int32_t refuse;        /* the kind of question that is not answered with OK, 0: none */
    const char *component; /* ... of this one; NULL: any */
    defupd_code answer;
    const char *words;
} hooks;

static defupd_code on_hook(void *user, const defupd_hook *hook, defupd_error *error)
{
    const size_t n = hooks.count++;
    char file[400];

    T_CHECK(user == &hooks && hook->struct_size >= sizeof *hook && n < 16);
    hooks.asked[n].kind = hook->kind;
    hooks.asked[n].code = hook->code;
    hooks.asked[n].from = hook->from_version;
    hooks.asked[n].to = hook->to_version;
    (void)snprintf(hooks.asked[n].component, 40, "%s", hook->component);
    (void)snprintf(hooks.asked[n].tree, 300, "%s", hook->tree);
    (void)snprintf(hooks.asked[n].text, 400, "%s", hook->text);
    (void)snprintf(file, sizeof file, "%s/f", hook->tree);
    hooks.asked[n].tree_is_there = access(file, R_OK) == 0;
    hooks.asked[n].active = t_shell("grep -q '^%d$' state/current/%s/f 2>/dev/null",
                                    (int)hook->to_version, hook->component) == 0;
    if (hook->kind != hooks.refuse ||
        (hooks.component != NULL && strcmp(hooks.component, hook->component) != 0))
        return DEFUPD_OK;
    if (hooks.words != NULL)
        (void)DU_FAIL(error, hooks.answer, "%s", hooks.words);
    return hooks.answer;
}

static void answer(int32_t kind, const char *component, defupd_code code, const char *words)
{
    hooks.count = 0;
    hooks.refuse = kind;
    hooks.component = component;
    hooks.answer = code;
    hooks.words = words;
}

/* "V1>2 P1>2 p1>2": the questions in order; P before, p after, with the code when it failed. */
static const char *asked(const char *component)
{
    static char text[600];
    size_t used = 0;

    text[0] = '\0';
    for (size_t i = 0; i < hooks.count; i++) {
        if (strcmp(hooks.asked[i].component, component) != 0)
            continue;
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%c%d>%d", used > 0 ? " " : "",
                                 " PVp"[hooks.asked[i].kind], (int)hooks.asked[i].from,
                                 (int)hooks.asked[i].to);
        if (hooks.asked[i].code != 0)
            used += (size_t)snprintf(text + used, sizeof text - used, "!%s",
                                     defupd_code_name((defupd_code)hooks.asked[i].code));
    }
    return text;
}

/* alpha 1 is installed; alpha 2 and beta 1 have come since. */
static void prepare(void)
{
    defupd_error err = { 0 };

    kit_start();
    T_CHECK(t_shell("for n in 1 2 3; do mkdir a$n && echo $n > a$n/f; done") == 0);
    kit_add(1, "a1");
    T_OK(kit_run(KIT_UPDATE, NULL, &err), &err);
    kit_add(2, "a2");
    kit_add_to("beta", 1, "a1");
    kit.options.on_hook = on_hook;
    kit.options.hook_user = &hooks;
    answer(0, NULL, DEFUPD_OK, NULL);
}

static bool beta_is_there(void)
{
    return access("state/current/beta/f", F_OK) == 0;
}

static void products_are_asked_before_between_and_after(void)
{
    defupd_error err = { 0 };
    char tree[300];

    prepare();
    T_OK(kit_run(KIT_UPDATE, NULL, &err), &err);
    T_SAME(asked("alpha"), "V1>2 P1>2 p1>2");
    T_SAME(asked("beta"), "V0>1 P0>1 p0>1");
    (void)snprintf(tree, sizeof tree, "%s/state/versions/alpha/2", kit.here);
    T_SAME(hooks.asked[0].tree, tree);
    for (size_t i = 0; i < hooks.count; i++) {
        T_CHECK(hooks.asked[i].tree_is_there == (hooks.asked[i].kind == DEFUPD_HOOK_VALIDATE));
        T_CHECK(hooks.asked[i].active == (hooks.asked[i].kind == DEFUPD_HOOK_POST_INSTALL));
        T_CHECK((hooks.asked[i].tree[0] != '\0') == (hooks.asked[i].kind == DEFUPD_HOOK_VALIDATE));
    }
    hooks.count = 0;
    T_OK(kit_run(KIT_UPDATE, NULL, &err), &err);
    T_CHECK(hooks.count == 0); /* nothing new, nothing to ask */
}

static void a_check_a_download_and_a_rehearsal_ask_nobody(void)
{
    defupd_error err = { 0 };

    prepare();
    T_OK(kit_run(KIT_CHECK, NULL, &err), &err);
    T_OK(kit_run(KIT_DOWNLOAD, NULL, &err), &err);
    kit.request.flags = DEFUPD_REQUEST_DRY_RUN;
    T_OK(kit_run(KIT_UPDATE, NULL, &err), &err);
    T_CHECK(hooks.count == 0);
    kit.request.flags = 0;
    T_OK(kit_run(KIT_INSTALL, NULL, &err), &err);
    T_SAME(asked("alpha"), "V1>2 P1>2 p1>2");
}

static void what_the_validator_refuses_goes_into_quarantine(void)
{
    defupd_component_status status;
    defupd_error err = { 0 };

    prepare();
    answer(DEFUPD_HOOK_VALIDATE, "alpha", DEFUPD_E_VALIDATION, "rule 7 does\nnot parse");
    T_FAILS(kit_run(KIT_UPDATE, NULL, &err), DEFUPD_E_VALIDATION, &err);
    T_CHECK(strstr(err.message, "alpha 2: the validator refused it: rule 7 does") != NULL);
    T_SAME(asked("alpha"), "V1>2"); /* it does not come to an installation */
    T_SAME(asked("beta"), "V0>1 P0>1 p0>1");
    T_CHECK(kit_is("a1") && beta_is_there());
    T_CHECK(t_shell("grep -qx 'refuse 2' state/quarantine/alpha") == 0);
    status = kit_status("alpha");
    T_CHECK(status.state == DEFUPD_STATE_QUARANTINED && status.last_error == DEFUPD_E_VALIDATION);
    T_CHECK(strstr(status.notice, "2 is in quarantine: rule 7 does") != NULL);

    answer(0, NULL, DEFUPD_OK, NULL);
    for (int i = 0; i < 2; i++) {
        kit.request.flags = i == 0 ? DEFUPD_REQUEST_SCHEDULED : 0;
        T_OK(kit_run(KIT_UPDATE, NULL, &err), &err);
        T_CHECK(hooks.count == 0 && kit_is("a1"));
    }
    T_CHECK(kit_status("alpha").state == DEFUPD_STATE_QUARANTINED);
    kit_add(3, "a3"); /* the publisher has mended it */
    T_OK(kit_run(KIT_UPDATE, NULL, &err), &err);
    T_SAME(asked("alpha"), "V1>3 P1>3 p1>3");
    T_CHECK(kit_is("a3") && kit_status("alpha").state == DEFUPD_STATE_FRESH);
}

static void a_person_may_accept_what_was_refused(void)
{
    defupd_error err = { 0 };

    prepare();
    answer(DEFUPD_HOOK_VALIDATE, "alpha", DEFUPD_E_VALIDATION, "no");
    T_FAILS(kit_run(KIT_UPDATE, NULL, &err), DEFUPD_E_VALIDATION, &err);
    kit.request.components = (const char *const[]){ "alpha@2", NULL };
    T_FAILS(kit_run(KIT_UPDATE, NULL, &err), DEFUPD_E_QUARANTINED, &err);
    T_CHECK(kit_is("a1"));
    kit.request.flags = DEFUPD_REQUEST_ACCEPT_QUARANTINED;
    answer(DEFUPD_HOOK_VALIDATE, "alpha", DEFUPD_E_VALIDATION, "no");
    T_OK(kit_run(KIT_UPDATE, NULL, &err), &err);
    T_SAME(asked("alpha"), "P1>2 p1>2");
    T_CHECK(kit_is("a2") && access("state/quarantine/alpha", F_OK) != 0);
    T_CHECK(kit_status("alpha").state == DEFUPD_STATE_FRESH);
}

static void an_unreadable_quarantine_means_validating_again(void)
{
    defupd_error err = { 0 };

    prepare();
    answer(DEFUPD_HOOK_VALIDATE, "alpha", DEFUPD_E_VALIDATION, "no");
    T_FAILS(kit_run(KIT_UPDATE, NULL, &err), DEFUPD_E_VALIDATION, &err);
    T_CHECK(t_shell("echo rot > state/quarantine/alpha") == 0);
    answer(DEFUPD_HOOK_VALIDATE, "alpha", DEFUPD_E_VALIDATION, "no");
    T_FAILS(kit_run(KIT_UPDATE, NULL, &err), DEFUPD_E_VALIDATION, &err);
    T_SAME(asked("alpha"), "V1>2");
    T_CHECK(t_shell("grep -qx 'refuse 2' state/quarantine/alpha") == 0);
    T_CHECK(t_shell("echo rot > state/quarantine/alpha") == 0);
    answer(0, NULL, DEFUPD_OK, NULL);
    T_OK(kit_run(KIT_UPDATE, NULL, &err), &err);
    T_SAME(asked("alpha"), "V1>2 P1>2 p1>2");
    T_CHECK(kit_is("a2"));
}

static void a_validator_that_cannot_be_asked_refuses_nothing(void)
{
    static const defupd_code codes[] = { DEFUPD_E_HOOK, DEFUPD_E_POSTPONED };
    defupd_error err = { 0 };

    prepare();
    for (size_t i = 0; i < 2; i++) {
        answer(DEFUPD_HOOK_VALIDATE, "alpha", codes[i], NULL);
        T_FAILS(kit_run(KIT_UPDATE, NULL, &err), codes[i], &err);
        T_CHECK(kit_is("a1") && access("state/quarantine/alpha", F_OK) != 0);
    }
    answer(0, NULL, DEFUPD_OK, NULL);
    T_OK(kit_run(KIT_UPDATE, NULL, &err), &err);
    T_CHECK(kit_is("a2"));
}

static void a_product_may_postpone_and_the_next_time_needs_no_network(void)
{
    defupd_report *report = NULL;
    defupd_error err = { 0 };

    prepare();
    answer(DEFUPD_HOOK_PRE_INSTALL, "alpha", DEFUPD_E_POSTPONED, "a scan is running");
    T_FAILS(kit_run(KIT_UPDATE, &report, &err), DEFUPD_E_POSTPONED, &err);
    T_SAME(err.message, "alpha: the product asks to wait: a scan is running");
    defupd_report_free(report);
    T_SAME(asked("alpha"), "V1>2 P1>2 p1>2!POSTPONED");
    T_SAME(asked("beta"), "V0>1 P0>1 p0>1");
    T_CHECK(kit_is("a1") && beta_is_there());
    T_CHECK(access("state/quarantine/alpha", F_OK) != 0);

    T_CHECK(rename("repo/objects", "objects") == 0);
    answer(0, NULL, DEFUPD_OK, NULL);
    T_OK(kit_run(KIT_UPDATE, &report, &err), &err);
    T_CHECK(defupd_report_fetched(report) == 0 && kit_is("a2"));
    defupd_report_free(report);
}

static void an_install_after_a_postponement_is_offline(void)
{
    defupd_error err = { 0 };

    prepare();
    answer(DEFUPD_HOOK_PRE_INSTALL, NULL, DEFUPD_E_POSTPONED, "later");
    T_FAILS(kit_run(KIT_UPDATE, NULL, &err), DEFUPD_E_POSTPONED, &err);
    T_CHECK(rename("repo", "gone") == 0 && mkdir("repo", 0755) == 0);
    answer(0, NULL, DEFUPD_OK, NULL);
    T_OK(kit_run(KIT_INSTALL, NULL, &err), &err);
    T_CHECK(kit_is("a2") && beta_is_there());
}

static void every_product_that_was_asked_to_wait_is_told_to_go_on(void)
{
    defupd_error err = { 0 };

    prepare();
    answer(DEFUPD_HOOK_PRE_INSTALL, "alpha", DEFUPD_E_INVALID, NULL);
    T_FAILS(kit_run(KIT_UPDATE, NULL, &err), DEFUPD_E_HOOK, &err);
    T_SAME(asked("alpha"), "V1>2 P1>2 p1>2!HOOK");
    T_CHECK(kit_is("a1") && beta_is_there());
    kit_add_to("beta", 2, "a2");

    answer(DEFUPD_HOOK_PRE_INSTALL, "beta", DEFUPD_E_CANCELLED, "stop");
    T_FAILS(kit_run(KIT_UPDATE, NULL, &err), DEFUPD_E_CANCELLED, &err);
    T_SAME(asked("alpha"), "V1>2 P1>2 p1>2!CANCELLED");
    T_SAME(asked("beta"), "V1>2 P1>2 p1>2!CANCELLED");
    T_CHECK(kit_is("a1"));
    T_CHECK(kit_status("alpha").last_error ==
            DEFUPD_E_HOOK); /* a cancelled run counts for nothing */
}

/* alpha 2 needs beta 1. */
static void need_beta(struct du_manifest *manifest, void *user)
{
    struct du_release *release = kit_release(manifest, 2);

    (void)user;
    release->need = calloc(1, sizeof *release->need);
    if (release->need == NULL)
        abort();
    release->needs = 1;
    release->need->min = 1;
    (void)snprintf(release->need->name, sizeof release->need->name, "beta");
}

static void what_needs_a_component_that_stays_behind_stays_too(void)
{
    defupd_error err = { 0 };

    prepare();
    kit_edit(need_beta, NULL);
    answer(DEFUPD_HOOK_PRE_INSTALL, "beta", DEFUPD_E_POSTPONED, "later");
    T_FAILS(kit_run(KIT_UPDATE, NULL, &err), DEFUPD_E_NEEDS, &err);
    T_SAME(asked("alpha"), "V1>2 P1>2 p1>2!NEEDS");
    T_CHECK(kit_is("a1") && !beta_is_there());
    answer(0, NULL, DEFUPD_OK, NULL);
    T_OK(kit_run(KIT_INSTALL, NULL, &err), &err);
    T_CHECK(kit_is("a2") && beta_is_there());
}

static void a_validator_may_call_the_run_off(void)
{
    defupd_error err = { 0 };

    prepare();
    answer(DEFUPD_HOOK_VALIDATE, "alpha", DEFUPD_E_CANCELLED, "stop");
    T_FAILS(kit_run(KIT_UPDATE, NULL, &err), DEFUPD_E_CANCELLED, &err);
    T_CHECK(kit_is("a1") && access("state/quarantine/alpha", F_OK) != 0);
}

static void a_product_that_does_not_go_on_is_a_failure_beside_the_success(void)
{
    defupd_report *report = NULL;
    defupd_error err = { 0 };

    prepare();
    answer(DEFUPD_HOOK_POST_INSTALL, "alpha", DEFUPD_E_HOOK, "listener is down");
    T_FAILS(kit_run(KIT_UPDATE, &report, &err), DEFUPD_E_HOOK, &err);
    T_CHECK(strstr(err.message, "listener is down") != NULL);
    T_CHECK(kit_is("a2") && beta_is_there());
    T_CHECK(defupd_report_at(report, 0)->progress == DEFUPD_PROGRESS_ACTIVE);
    defupd_report_free(report);
    T_CHECK(kit_told(DEFUPD_EVENT_SUCCEEDED) != NULL && kit_told(DEFUPD_EVENT_FAILED) != NULL);
    T_CHECK(kit_status("alpha").last_error == DEFUPD_E_HOOK);
    answer(0, NULL, DEFUPD_OK, NULL);
    T_OK(kit_run(KIT_UPDATE, NULL, &err), &err);
    T_CHECK(kit_status("alpha").state == DEFUPD_STATE_FRESH);
}

static void a_rollback_asks_before_and_after_but_validates_nothing(void)
{
    defupd_report *report = NULL;
    defupd_error err = { 0 };

    prepare();
    T_OK(kit_run(KIT_UPDATE, NULL, &err), &err);
    answer(DEFUPD_HOOK_PRE_INSTALL, "alpha", DEFUPD_E_POSTPONED, "not now");
    T_FAILS(kit_run(KIT_ROLLBACK, &report, &err), DEFUPD_E_POSTPONED, &err);
    T_SAME(asked("alpha"), "P2>1 p2>1!POSTPONED");
    T_CHECK(kit_is("a2") && defupd_report_generation(report) == 0);
    T_CHECK(access("state/holds/alpha", F_OK) != 0); /* nothing was left behind */
    defupd_report_free(report);
    answer(0, NULL, DEFUPD_OK, NULL);
    T_OK(kit_run(KIT_ROLLBACK, NULL, &err), &err);
    T_SAME(asked("alpha"), "P2>1 p2>1");
    T_CHECK(kit_is("a1"));
}

static void withdraw_all(struct du_manifest *manifest, void *user)
{
    (void)user;
    for (size_t i = 0; i < manifest->count; i++) {
        manifest->release[i].withdrawn = true;
        manifest->release[i].withdrawn_at = manifest->release[i].published;
    }
}

static void a_removal_is_announced_too(void)
{
    defupd_error err = { 0 };

    prepare();
    T_OK(kit_run(KIT_UPDATE, NULL, &err), &err);
    kit_edit(withdraw_all, NULL);
    kit.options.flags = DEFUPD_CLIENT_REMOVE_WITHDRAWN;
    answer(DEFUPD_HOOK_PRE_INSTALL, "alpha", DEFUPD_E_POSTPONED, "in use");
    T_FAILS(kit_run(KIT_UPDATE, NULL, &err), DEFUPD_E_POSTPONED, &err);
    T_SAME(asked("alpha"), "P2>0 p2>0!POSTPONED");
    T_CHECK(kit_is("a2"));
    answer(0, NULL, DEFUPD_OK, NULL);
    T_OK(kit_run(KIT_UPDATE, NULL, &err), &err);
    T_SAME(asked("alpha"), "P2>0 p2>0");
    T_CHECK(access("state/current/alpha", F_OK) != 0);
}

int main(void)
{
    T_RUN(products_are_asked_before_between_and_after);
    T_RUN(a_check_a_download_and_a_rehearsal_ask_nobody);
    T_RUN(what_the_validator_refuses_goes_into_quarantine);
    T_RUN(a_person_may_accept_what_was_refused);
    T_RUN(an_unreadable_quarantine_means_validating_again);
    T_RUN(a_validator_that_cannot_be_asked_refuses_nothing);
    T_RUN(a_product_may_postpone_and_the_next_time_needs_no_network);
    T_RUN(an_install_after_a_postponement_is_offline);
    T_RUN(every_product_that_was_asked_to_wait_is_told_to_go_on);
    T_RUN(what_needs_a_component_that_stays_behind_stays_too);
    T_RUN(a_validator_may_call_the_run_off);
    T_RUN(a_product_that_does_not_go_on_is_a_failure_beside_the_success);
    T_RUN(a_rollback_asks_before_and_after_but_validates_nothing);
    T_RUN(a_removal_is_announced_too);
    return T_DONE();
}
