/* SPDX-License-Identifier: Apache-2.0 */
/* What policy says of single components: holds, pins, licences, delays, switched off, removed. */
#include "update_kit.h"

static defupd_rule rule;
static defupd_licence licence;
static const defupd_rule *const rules[] = { &rule, NULL };
static const defupd_licence *const licences[] = { &licence, NULL };
static const char *alpha_2[] = { "alpha@2", NULL };

/* alpha 1 installed, alpha 2 and beta 1 published since. */
static void prepare(void)
{
    static const defupd_rule rule_init = DEFUPD_RULE_INIT;
    static const defupd_licence licence_init = DEFUPD_LICENCE_INIT;
    defupd_error err = { 0 };

    rule = rule_init;
    rule.component = "alpha";
    licence = licence_init;
    kit_start();
    T_CHECK(t_shell("mkdir a1 a2 && echo 1 > a1/f && echo 2 > a2/f") == 0);
    kit_add(1, "a1");
    T_OK(kit_run(KIT_UPDATE, NULL, &err), &err);
    kit_add(2, "a2");
    kit_add_to("beta", 1, "a1");
    kit.options.rules = rules;
}

/* The row of a component in the report of a run; yours to free by the report. */
static const defupd_report_item *row_of(const defupd_report *report, const char *component)
{
    for (uint32_t i = 0; report != NULL && i < defupd_report_count(report); i++) {
        if (strcmp(defupd_report_at(report, i)->component, component) == 0)
            return defupd_report_at(report, i);
    }
    return NULL;
}

static bool beta_is_there(void)
{
    return access("state/current/beta/f", F_OK) == 0;
}

/* --- the options themselves --- */

static void refused(defupd_code code, const char *words)
{
    defupd_client *client = NULL;
    defupd_error err = { 0 };

    T_FAILS(kit_open(&client, &err), code, &err);
    if (strstr(err.message, words) == NULL) {
        printf("# \"%s\" lacks \"%s\"\n", err.message, words);
        t_failed++;
    }
    defupd_client_close(client);
}

static void a_wrong_rule_is_refused_by_name(void)
{
    static const defupd_rule *const twice[] = { &rule, &rule, NULL };
    const defupd_rule init = DEFUPD_RULE_INIT;

    kit_start();
    rule = init;
    kit.options.rules = rules;
    refused(DEFUPD_E_INVALID, "rules: '' is not a component's name");
    rule.component = "../x";
    refused(DEFUPD_E_INVALID, "rules: '../x'");
    rule.component = "alpha";
    rule.flags = 8;
    refused(DEFUPD_E_UNSUPPORTED, "rules: alpha: flags 0x8");
    rule.flags = 0;
    rule.pin_version = DU_VERSION_MAX + 1;
    refused(DEFUPD_E_INVALID, "rules: alpha: pin_version");
    rule.pin_version = 0;
    rule.ring = "";
    refused(DEFUPD_E_INVALID, "rules: alpha: ring");
    rule.ring = NULL;
    rule.licence = "av";
    refused(DEFUPD_E_INVALID, "rules: alpha: licence is 'av', and licences are not given");
    rule.licence = NULL;
    rule.struct_size = 8;
    refused(DEFUPD_E_INVALID, "rules: struct_size is 8; start from DEFUPD_RULE_INIT");
    rule.struct_size = sizeof rule;
    kit.options.rules = twice;
    refused(DEFUPD_E_INVALID, "rules: alpha has two rules");
}

static void a_newer_field_of_a_rule_is_refused_when_it_is_set(void)
{
    struct {
        defupd_rule rule;
        uint64_t newer;
    } larger = { .rule = DEFUPD_RULE_INIT };
    const defupd_rule *const list[] = { &larger.rule, NULL };
    defupd_client *client = NULL;
    defupd_error err = { 0 };

    kit_start();
    larger.rule.struct_size = sizeof larger;
    larger.rule.component = "alpha";
    kit.options.rules = list;
    T_OK(kit_open(&client, &err), &err);
    defupd_client_close(client);
    larger.newer = 1;
    refused(DEFUPD_E_UNSUPPORTED, "rules: a field newer than this library is set");
}

/* kit.options.source_list holds it alone, and nothing is wrong with it yet. */
static void sources_are_refused_by_field(defupd_source *source)
{
    static const char good_pin[] = "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    static const char *const bad_pins[] = {
        "",
        "sha256//",
        "AAAA",
        "/etc/key.pem",
        "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=;"
    };
    char two[120];

#define WITH(field, value, code, words)                 \
    do {                                                \
        const defupd_source kept = *source;             \
        source->field = value;                          \
        refused(code, "source_list: source 1: " words); \
        *source = kept;                                 \
    } while (0)
    WITH(reserved, 1, DEFUPD_E_UNSUPPORTED, "flags 0x1");
    WITH(kind, 2, DEFUPD_E_UNSUPPORTED, "kind: 2");
    WITH(group, 1, DEFUPD_E_INVALID, "group: only a relay");
    WITH(attempts, 101, DEFUPD_E_INVALID, "attempts: 101");
    WITH(proxy_methods, 16, DEFUPD_E_UNSUPPORTED, "proxy_methods: 0x10");
    WITH(revocation, 3, DEFUPD_E_UNSUPPORTED, "revocation: 3");
    WITH(auth, "TOPSECRET", DEFUPD_E_INVALID, "auth: is not USER:PASSWORD");
    WITH(auth, ":TOPSECRET", DEFUPD_E_INVALID, "auth: is not USER:PASSWORD");
    WITH(proxy_auth, "TOPSECRET", DEFUPD_E_INVALID, "proxy_auth: is not USER:PASSWORD");
    WITH(bearer, "TOP\nSECRET", DEFUPD_E_INVALID, "bearer: has more than one line");
    WITH(client_key, "k", DEFUPD_E_INVALID, "client_key: client_cert is not given");
    WITH(crl_file, "c", DEFUPD_E_INVALID, "crl_file: revocation is not asked for");
    for (size_t i = 0; i < sizeof bad_pins / sizeof bad_pins[0]; i++)
        WITH(pinned_key, bad_pins[i], DEFUPD_E_INVALID, "pinned_key: is not sha256//");
#undef WITH
    (void)snprintf(two, sizeof two, "%s;%s", good_pin, good_pin);
    source->pinned_key = two;
    source->auth = "a:b";
    source->bearer = "t";
    refused(DEFUPD_E_INVALID, "source_list: source 1: bearer: auth is given too");
    source->bearer = NULL;
    {
        defupd_client *client = NULL;
        defupd_error err = { 0 };

        T_OK(defupd_client_open(&client, &kit.options, &err), &err);
        defupd_client_close(client);
    }
}

static void wrong_licences_and_sources_are_refused_by_name(void)
{
    static const defupd_licence *const twice[] = { &licence, &licence, NULL };
    const defupd_licence licence_init = DEFUPD_LICENCE_INIT;
    defupd_source source = DEFUPD_SOURCE_INIT;
    const defupd_source *const sources[] = { &source, NULL };

    kit_start();
    licence = licence_init;
    kit.options.licences = licences;
    refused(DEFUPD_E_INVALID, "licences: a name");
    licence.name = "av";
    licence.reserved = 1;
    refused(DEFUPD_E_UNSUPPORTED, "licences: av: a field newer");
    licence.reserved = 0;
    kit.options.licences = twice;
    refused(DEFUPD_E_INVALID, "licences: 'av' is there twice");
    kit.options.licences = NULL;

    kit.options.source_list = sources;
    refused(DEFUPD_E_INVALID, "source_list: source 1 has no url");
    source.url = "file:///x";
    source.flags = 1;
    refused(DEFUPD_E_UNSUPPORTED, "source_list: source 1: flags 0x1");
    source.flags = 0;
    source.offline_grace_s = UINT64_MAX;
    refused(DEFUPD_E_INVALID, "source_list: source 1: offline_grace_s");
    source = (defupd_source)DEFUPD_SOURCE_INIT;
    source.url = "file:///x";
    sources_are_refused_by_field(&source);
    kit.options.source_list = NULL;
    kit.options.max_bytes_per_s = 1023;
    refused(DEFUPD_E_INVALID, "max_bytes_per_s: 1023");
    kit.options.max_bytes_per_s = 0;
    kit.options.flags = 1U << 31;
    refused(DEFUPD_E_UNSUPPORTED, "flags 0x80000000");
}

static void sources_are_given_in_one_way(void)
{
    static const char *const urls[] = { "file:///x", NULL };
    const defupd_source source = { .struct_size = sizeof source, .url = "file:///x" };
    const defupd_source *const list[] = { &source, NULL };
    defupd_client *client = NULL;
    defupd_error err = { 0 };

    kit_start();
    kit.options.state_dir = "/nowhere";
    kit.options.source_list = list;
    T_OK(defupd_client_open(&client, &kit.options, &err), &err);
    defupd_client_close(client);
    kit.options.sources = urls;
    T_FAILS(defupd_client_open(&client, &kit.options, &err), DEFUPD_E_INVALID, &err);
    T_CHECK(strstr(err.message, "source_list: sources is given too") != NULL);
}

static void the_lists_are_copied(void)
{
    char name[] = "alpha", class[] = "av", url[300];
    defupd_source source = DEFUPD_SOURCE_INIT;
    const defupd_source *sources[] = { &source, NULL };
    const defupd_rule *own[] = { &rule, NULL };
    defupd_client *client = NULL;
    defupd_error err = { 0 };

    prepare();
    (void)snprintf(url, sizeof url, "file://%s/repo", kit.here);
    source.url = url;
    rule.component = name;
    rule.flags = DEFUPD_RULE_DISABLED;
    licence.name = class;
    kit.options.rules = own;
    kit.options.licences = licences;
    kit.options.source_list = sources;
    T_OK(kit_open(&client, &err), &err);
    memset(name, 'x', sizeof name - 1);
    memset(url, 'x', sizeof url - 1);
    memset(&rule, 0, sizeof rule);
    memset(&source, 0, sizeof source);
    own[0] = NULL;
    sources[0] = NULL;
    T_OK(defupd_client_update(client, NULL, NULL, &err), &err);
    defupd_client_close(client);
    T_CHECK(kit_is("a1") && beta_is_there());
}

/* --- hold and pin --- */

static void what_policy_holds_cannot_be_unheld(void)
{
    defupd_report *report = NULL;
    defupd_component_status status;
    defupd_client *client = NULL;
    defupd_error err = { 0 };

    prepare();
    rule.flags = DEFUPD_RULE_HELD;
    T_OK(kit_run(KIT_UPDATE, &report, &err), &err);
    T_CHECK(row_of(report, "alpha")->reason == DEFUPD_REASON_HELD && beta_is_there());
    defupd_report_free(report);
    kit.request.components = alpha_2;
    T_FAILS(kit_run(KIT_UPDATE, NULL, &err), DEFUPD_E_HELD, &err);
    T_CHECK(strstr(err.message, "policy holds alpha") != NULL && kit_is("a1"));

    T_OK(kit_open(&client, &err), &err);
    T_FAILS(defupd_client_unhold(client, "alpha", &err), DEFUPD_E_HELD, &err);
    T_OK(defupd_client_unhold(client, "beta", &err), &err);
    defupd_client_close(client);
    status = kit_status("alpha");
    T_CHECK(status.state == DEFUPD_STATE_HELD &&
            status.holds == (DEFUPD_HOLD_HELD | DEFUPD_HOLD_POLICY));
    T_SAME(status.notice, "held by policy");

    rule.flags = 0;
    kit.request.components = NULL;
    T_OK(kit_run(KIT_UPDATE, NULL, &err), &err);
    T_CHECK(kit_is("a2") && kit_status("alpha").holds == 0);
}

static void policys_pin_stands_above_a_persons(void)
{
    defupd_client *client = NULL;
    defupd_error err = { 0 };

    prepare();
    rule.pin_version = 1;
    T_OK(kit_open(&client, &err), &err);
    T_FAILS(defupd_client_pin(client, "alpha", 2, &err), DEFUPD_E_HELD, &err);
    T_FAILS(defupd_client_unhold(client, "alpha", &err), DEFUPD_E_HELD, &err);
    T_CHECK(strstr(err.message, "policy pins alpha to 1") != NULL);
    T_OK(defupd_client_pin(client, "alpha", 1, &err), &err);
    defupd_client_close(client);
    kit.options.rules = NULL; /* a person's pin that was there before */
    T_OK(kit_open(&client, &err), &err);
    T_OK(defupd_client_pin(client, "alpha", 2, &err), &err);
    defupd_client_close(client);
    kit.options.rules = rules;
    T_OK(kit_run(KIT_UPDATE, NULL, &err), &err);
    T_CHECK(kit_is("a1") && kit_status("alpha").pin_version == 1);
    kit.request.components = alpha_2;
    T_FAILS(kit_run(KIT_UPDATE, NULL, &err), DEFUPD_E_HELD, &err);
    rule.pin_version = 2;
    kit.request.components = NULL;
    T_OK(kit_run(KIT_UPDATE, NULL, &err), &err);
    T_CHECK(kit_is("a2"));
}

/* --- switched off --- */

static void what_is_switched_off_is_not_touched(void)
{
    static const char *const beta[] = { "beta", NULL };
    defupd_report *report = NULL;
    defupd_error err = { 0 };

    prepare();
    rule.flags = DEFUPD_RULE_DISABLED;
    T_OK(kit_run(KIT_UPDATE, &report, &err), &err);
    T_CHECK(row_of(report, "alpha") == NULL && beta_is_there() && kit_is("a1"));
    defupd_report_free(report);
    T_CHECK(kit_status("alpha").state == DEFUPD_STATE_DISABLED);

    kit.request.components = alpha_2;
    T_FAILS(kit_run(KIT_UPDATE, &report, &err), DEFUPD_E_DISABLED, &err);
    T_CHECK(row_of(report, "alpha")->reason == DEFUPD_REASON_DISABLED && kit_is("a1"));
    defupd_report_free(report);
    T_CHECK(kit_status("alpha").last_error == DEFUPD_OK); /* a person's wish, no failure */
    kit.request.components = beta;
    T_OK(kit_run(KIT_UPDATE, NULL, &err), &err);

    kit.request.components = NULL;
    rule.flags = 0;
    T_OK(kit_run(KIT_UPDATE, NULL, &err), &err);
    T_CHECK(kit_is("a2"));
    rule.flags = DEFUPD_RULE_DISABLED;
    T_FAILS(kit_run(KIT_ROLLBACK, NULL, &err), DEFUPD_E_NO_PREVIOUS, &err);
    T_CHECK(kit_is("a2"));
    kit.request.components = alpha_2;
    T_FAILS(kit_run(KIT_ROLLBACK, NULL, &err), DEFUPD_E_DISABLED, &err);
}

static void a_component_with_a_rule_must_exist(void)
{
    defupd_error err = { 0 };

    prepare();
    rule.component = "gamma";
    T_FAILS(kit_run(KIT_UPDATE, NULL, &err), DEFUPD_E_NO_COMPONENT, &err);
    T_CHECK(kit_is("a2") && beta_is_there()); /* the others were updated */
    T_CHECK(kit_status("gamma").last_error == DEFUPD_E_NO_COMPONENT);
    rule.flags = DEFUPD_RULE_DISABLED;
    T_OK(kit_run(KIT_UPDATE, NULL, &err), &err);
    T_CHECK(kit_status("gamma").state == DEFUPD_STATE_DISABLED);
}

/* --- licence --- */

static void an_expired_class_blocks_its_components_until_it_is_renewed(void)
{
    const int64_t now = du_sys_posix.now_s();
    defupd_report *report = NULL;
    defupd_error err = { 0 };

    prepare();
    rule.licence = "av";
    licence.name = "av";
    licence.expires = now - 1;
    kit.options.licences = licences;
    for (int i = 0; i < 2; i++) {
        kit.request.flags = i == 0 ? DEFUPD_REQUEST_SCHEDULED : 0;
        T_FAILS(kit_run(KIT_UPDATE, &report, &err), DEFUPD_E_UNLICENSED, &err);
        T_CHECK(row_of(report, "alpha")->reason == DEFUPD_REASON_UNLICENSED);
        T_CHECK(kit_is("a1") && beta_is_there());
        defupd_report_free(report);
        T_CHECK(kit_status("alpha").state == DEFUPD_STATE_UNLICENSED);
        T_CHECK(kit_status("alpha").last_error == DEFUPD_E_UNLICENSED);
        T_CHECK(kit_status("beta").state == DEFUPD_STATE_FRESH);
    }
    kit.request.components = alpha_2;
    T_FAILS(kit_run(KIT_UPDATE, NULL, &err), DEFUPD_E_UNLICENSED, &err);
    kit.request.components = NULL;

    licence.expires = now + 1000;
    T_OK(kit_run(KIT_UPDATE, NULL, &err), &err);
    T_CHECK(kit_is("a2") && kit_status("alpha").state == DEFUPD_STATE_FRESH);
    licence.expires = now - 1; /* nothing newer there is: still it says so */
    T_CHECK(kit_status("alpha").state == DEFUPD_STATE_UNLICENSED);
}

static void edit_class(struct du_manifest *manifest, void *user)
{
    (void)snprintf(kit_release(manifest, 2)->licence_class, DU_WORD_MAX, "%s", (const char *)user);
}

static void the_class_is_the_releases_own_unless_policy_names_one(void)
{
    static char class[] = "premium";
    defupd_error err = { 0 };

    prepare();
    kit_edit(edit_class, class);
    licence.name = "basic";
    kit.options.licences = licences;
    T_FAILS(kit_run(KIT_UPDATE, NULL, &err), DEFUPD_E_UNLICENSED, &err);
    T_CHECK(strstr(err.message, "no licence of class 'premium'") != NULL);
    rule.licence = "basic";
    T_OK(kit_run(KIT_UPDATE, NULL, &err), &err);
    T_CHECK(kit_is("a2"));
}

/* --- delay and ring --- */

static void a_delay_is_waited_for(void)
{
    defupd_report *report = NULL;
    defupd_error err = { 0 };

    prepare();
    rule.delay_s = 3600;
    T_OK(kit_run(KIT_UPDATE, &report, &err), &err);
    T_CHECK(row_of(report, "alpha")->reason == DEFUPD_REASON_DELAY && kit_is("a1"));
    T_CHECK(beta_is_there()); /* it has no rule */
    defupd_report_free(report);
    kit_turn_clock(3600);
    T_OK(kit_run(KIT_UPDATE, NULL, &err), &err);
    T_CHECK(kit_is("a2"));
}

static void edit_ring(struct du_manifest *manifest, void *user)
{
    struct du_release *release = kit_release(manifest, 2);

    (void)user;
    release->has_rollout = true;
    release->rollout_start = 0;
    release->step = calloc(1, sizeof *release->step);
    if (release->step == NULL)
        abort();
    (void)snprintf(release->step->ring, sizeof release->step->ring, "pilot");
    release->steps = 1;
}

static void a_components_ring_comes_before_the_hosts(void)
{
    defupd_error err = { 0 };

    prepare();
    kit_edit(edit_ring, NULL);
    kit.options.ring = "pilot";
    rule.ring = "broad";
    T_OK(kit_run(KIT_UPDATE, NULL, &err), &err);
    T_CHECK(kit_is("a1"));
    kit.options.ring = NULL;
    rule.ring = "pilot";
    T_OK(kit_run(KIT_UPDATE, NULL, &err), &err);
    T_CHECK(kit_is("a2"));
}

/* --- withdrawn without replacement --- */

static void withdraw_all(struct du_manifest *manifest, void *user)
{
    (void)user;
    for (size_t i = 0; i < manifest->count; i++) {
        manifest->release[i].withdrawn = true;
        manifest->release[i].withdrawn_at = manifest->release[i].published;
    }
}

static void what_is_withdrawn_stays_unless_policy_wants_it_removed(void)
{
    defupd_report *report = NULL;
    defupd_error err = { 0 };

    prepare();
    T_OK(kit_run(KIT_UPDATE, NULL, &err), &err);
    kit_edit(withdraw_all, NULL);
    T_FAILS(kit_run(KIT_UPDATE, NULL, &err), DEFUPD_E_NO_REPLACEMENT, &err);
    T_CHECK(kit_told(DEFUPD_EVENT_WITHDRAWN) != NULL);
    T_CHECK(kit_is("a2") && kit_status("alpha").state == DEFUPD_STATE_WITHDRAWN);

    kit.options.flags = DEFUPD_CLIENT_REMOVE_WITHDRAWN;
    rule.flags = DEFUPD_RULE_HELD; /* withdrawals pass it */
    T_OK(kit_run(KIT_UPDATE, &report, &err), &err);
    T_CHECK(row_of(report, "alpha")->action == DEFUPD_ACTION_REMOVE &&
            row_of(report, "alpha")->progress == DEFUPD_PROGRESS_ACTIVE &&
            row_of(report, "alpha")->from_version == 2 && row_of(report, "alpha")->to_version == 0);
    defupd_report_free(report);
    T_CHECK(kit_told(DEFUPD_EVENT_WITHDRAWN) != NULL && kit_told(DEFUPD_EVENT_SUCCEEDED) != NULL);
    T_CHECK(access("state/current/alpha", F_OK) != 0 && beta_is_there());
    T_CHECK(t_shell("grep -q 'reason=\"withdrawal\"' state/current/generation.xml") == 0);
    T_CHECK(kit_status("alpha").state == DEFUPD_STATE_WITHDRAWN &&
            kit_status("alpha").version == 0);

    T_OK(kit_run(KIT_UPDATE, &report, &err), &err); /* nothing more to do */
    T_CHECK(defupd_report_generation(report) == 0);
    defupd_report_free(report);
    T_CHECK(t_shell("mkdir a3 && echo 3 > a3/f") == 0);
    kit_add(3, "a3");
    rule.flags = 0;
    T_OK(kit_run(KIT_UPDATE, NULL, &err), &err);
    T_CHECK(kit_is("a3"));
}

static void the_last_component_can_be_removed_too(void)
{
    defupd_error err = { 0 };

    prepare();
    kit.options.components = (const char *const[]){ "alpha", NULL };
    T_OK(kit_run(KIT_UPDATE, NULL, &err), &err);
    kit_edit(withdraw_all, NULL);
    kit.options.flags = DEFUPD_CLIENT_REMOVE_WITHDRAWN;
    T_OK(kit_run(KIT_UPDATE, NULL, &err), &err);
    T_CHECK(access("state/current/alpha", F_OK) != 0 &&
            access("state/current/generation.xml", F_OK) == 0);
    T_OK(kit_run(KIT_UPDATE, NULL, &err), &err);
    kit.options.components = NULL;
    T_OK(kit_run(KIT_UPDATE, NULL, &err), &err);
    T_CHECK(beta_is_there());
}

int main(void)
{
    T_RUN(a_wrong_rule_is_refused_by_name);
    T_RUN(a_newer_field_of_a_rule_is_refused_when_it_is_set);
    T_RUN(wrong_licences_and_sources_are_refused_by_name);
    T_RUN(sources_are_given_in_one_way);
    T_RUN(the_lists_are_copied);
    T_RUN(what_policy_holds_cannot_be_unheld);
    T_RUN(policys_pin_stands_above_a_persons);
    T_RUN(what_is_switched_off_is_not_touched);
    T_RUN(a_component_with_a_rule_must_exist);
    T_RUN(an_expired_class_blocks_its_components_until_it_is_renewed);
    T_RUN(the_class_is_the_releases_own_unless_policy_names_one);
    T_RUN(a_delay_is_waited_for);
    T_RUN(a_components_ring_comes_before_the_hosts);
    T_RUN(what_is_withdrawn_stays_unless_policy_wants_it_removed);
    T_RUN(the_last_component_can_be_removed_too);
    return T_DONE();
}
