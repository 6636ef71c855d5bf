/* SPDX-License-Identifier: Apache-2.0 */
/* local.xml, posture, metrics and the Nagios line: from facts of every kind, also hostile ones. */
#include "agent_fake.h"
#include "report/monitor.h"
#include "report/report.h"

#define NOW 1795255200 /* 2026-11-21T10:00:00Z */

static const defupd_component_status good = { .struct_size = sizeof good,
                                              .state = DEFUPD_STATE_FRESH,
                                              .version = 1003,
                                              .available = 1003,
                                              .published = NOW - 7200,
                                              .last_attempt = NOW - 60,
                                              .last_success = NOW - 60,
                                              .next_attempt = NOW + 7140,
                                              .name = "tetra",
                                              .label = "297.0.0.0",
                                              .tree = "",
                                              .error_text = "",
                                              .source = "http://up.example",
                                              .path = "",
                                              .notice = "",
                                              .path_text = "" };

static defupd_component_status items[4];

static void start(uint32_t count)
{
    memset(&fake, 0, sizeof fake);
    for (size_t i = 0; i < 4; i++)
        items[i] = good;
    items[1].name = "yara";
    items[2].name = "zeek";
    items[3].name = "zoo";
    fake.status = (struct defupd_status){ .store = { .struct_size = sizeof(defupd_store_status),
                                                     .generation = 7,
                                                     .last_contact = NOW - 60,
                                                     .state_dir = "/s",
                                                     .uuid = "0190-uuid",
                                                     .reason = "update" },
                                          .items = items,
                                          .count = count };
}

/* The posture into the file "posture", local.xml into "local.xml". */
static void reports(const struct ag_report_settings *settings, defupd_code last)
{
    FILE *file = fopen("posture", "w"), *xml = fopen("local.xml", "w");
    char *text = NULL, *local = NULL;
    defupd_error err = { 0 };
    size_t count = 0;

    T_OK(ag_posture(&text, &fake.status, settings, NOW, &err), &err);
    T_OK(ag_local_xml(&local, &count, &fake.status, settings, last, &err), &err);
    if (file == NULL || xml == NULL || text == NULL || local == NULL)
        abort();
    (void)fputs(text, file);
    (void)fwrite(local, 1, count, xml);
    (void)fclose(file);
    (void)fclose(xml);
    free(text);
    free(local);
}

static const char *engine_of(const void *user, const char *component)
{
    return strcmp(component, "zoo") == 0 ? "zoo" : user;
}

static void policy_names_engines_and_interval(void)
{
    const struct ag_report_settings settings = { .interval_s = 40,
                                                 .engine = engine_of,
                                                 .engine_user = "av" };
    const struct ag_report_settings running = { .interval_s = 30, .agent_runs = true };

    start(4);
    items[0].state = DEFUPD_STATE_DISABLED;
    items[3].state = DEFUPD_STATE_DISABLED;
    reports(&settings, DEFUPD_OK);
    T_SAME(json_at("posture", 0, "connected"), "true"); /* 60 s ago, within two intervals */
    T_SAME(json_at("posture", 0, "running"), "false");
    T_SAME(json_at("posture", 0, "interval"), "40");
    T_SAME(json_at("posture", 0, "engines.0.name"), "\"av\"");
    T_SAME(json_at("posture", 0, "engines.0.enabled"), "true"); /* yara is */
    T_SAME(json_at("posture", 0, "engines.0.definitions.2.name"), "\"zeek\"");
    T_SAME(json_at("posture", 0, "engines.1.name"), "\"zoo\"");
    T_SAME(json_at("posture", 0, "engines.1.enabled"), "false");
    T_SAME(json_at("posture", 0, "engines.2"), "(none)");
    reports(&running, DEFUPD_OK);
    T_SAME(json_at("posture", 0, "connected"), "false"); /* exactly two are not younger */
    T_SAME(json_at("posture", 0, "running"), "true");
    fake.status.store.last_contact = NOW + 5; /* the clock went back */
    reports(&settings, DEFUPD_OK);
    T_SAME(json_at("posture", 0, "connected"), "false");
}

static void a_bad_policy_is_reported_until_it_is_mended(void)
{
    const struct ag_report_settings bad = { .policy_code = DEFUPD_E_POLICY };
    const struct ag_report_settings mended = { 0 };

    start(1);
    reports(&bad, DEFUPD_OK);
    T_CHECK(
        t_shell("xmllint --xpath 'string(//agent/lasterror)' local.xml | grep -qx 4294964694") ==
        0);
    T_CHECK(t_shell("xmllint --xpath 'string(//tetra/lasterror)' local.xml | grep -qx 0") == 0);
    T_SAME(json_at("posture", 0, "lasterror"), "4294964694");
    T_SAME(json_at("posture", 0, "lasterror_name"), "\"POLICY\"");
    reports(&bad, DEFUPD_E_TIMEOUT); /* what fails now comes first */
    T_CHECK(
        t_shell("xmllint --xpath 'string(//agent/lasterror)' local.xml | grep -qx 4294965185") ==
        0);
    reports(&mended, DEFUPD_OK);
    T_CHECK(t_shell("xmllint --xpath 'string(//agent/lasterror)' local.xml | grep -qx 0") == 0);
    T_SAME(json_at("posture", 0, "lasterror"), "0");
}

static void every_state_has_its_word_everywhere(void)
{
    const struct ag_report_settings none = { 0 };

    start(1);
    for (int state = 0; state <= DEFUPD_STATE_DISABLED; state++) {
        const char *name = defupd_state_name((defupd_state)state);
        char want[64];

        items[0].state = state;
        reports(&none, DEFUPD_OK);
        (void)snprintf(want, sizeof want, "\"%s\"", name);
        T_SAME(json_at("posture", 0, "engines.0.definitions.0.state"), want);
        T_CHECK(t_shell("xmllint --xpath 'string(//tetra/state)' local.xml | grep -qx %s", name) ==
                0);
        T_CHECK(ag_state_severity(name) != AG_UNKNOWN);
    }
    T_CHECK(ag_state_severity("another") == AG_UNKNOWN);
}

/* Texts as publishers, servers and file systems can make them. */
static void hostile_texts_leave_every_report_well_formed(void)
{
    static const char *const texts[] = {
        "]]><a>&b;\"'",
        "\xff\xfe\x80",
        "\xed\xa0\x80 \xf4\x90\x80\x80",
        "a\x01\x08\x1b[2J\x7f",
        "\xef\xbf\xbe\xef\xbf\xbf",
        "\xe2\x80\xae.abc",
        "\xc0\x80\xe0\x80\x80",
        "line\nbreak\ttab\r",
        "\\\"} 1\ndefupd_x 1",
        "\xc3",
        "\xf0\x9f\x9b\xa1 \xc3\xa9",
        "|'; 2=3",
    };
    const struct ag_report_settings none = { 0 };

    start(1);
    items[0].state = DEFUPD_STATE_FAILING;
    items[0].last_error = DEFUPD_E_VALIDATION;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct ag_seen seen;
        const struct ag_totals totals = { 0 };
        defupd_error err = { 0 };
        FILE *file;
        char *text = NULL;

        items[0].label = items[0].error_text = items[0].source = items[0].notice = texts[i];
        reports(&none, DEFUPD_E_VALIDATION);
        T_CHECK(t_shell("xmllint --noout local.xml") == 0);
        T_CHECK(t_shell("xmllint --xpath 'string(//tetra/lasterrorname)' local.xml | grep -qx "
                        "VALIDATION") == 0);
        T_CHECK(
            t_shell("jq -e '.engines[0].definitions[0].label | length > 0' posture >/dev/null") ==
            0);
        T_CHECK(t_shell("! LC_ALL=C grep -q '[^[:print:]]' posture || "
                        "iconv -f UTF-8 -t UTF-8 posture >/dev/null") == 0);
        T_OK(ag_posture(&text, &fake.status, &none, NOW, &err), &err);
        T_OK(ag_seen_parse(&seen, "p", text, strlen(text), &err), &err);
        file = fopen("prom", "w");
        if (file == NULL)
            abort();
        ag_metrics(file, &seen, &totals);
        (void)fclose(file);
        T_CHECK(t_shell("! grep -vE '^(#|defupd_[a-z_]+({[^}]*})? -?[0-9]+$)' prom") == 0);
        file = fopen("nagios", "w");
        if (file == NULL)
            abort();
        T_CHECK(ag_nagios(file, &seen, NOW) == AG_CRITICAL);
        (void)fclose(file);
        T_CHECK(t_shell("[ $(wc -l <nagios) = 1 ] && [ $(tr -cd '|' <nagios | wc -c) = 1 ]") == 0);
        ag_seen_free(&seen);
        free(text);
    }
}

static void metrics_tell_what_the_posture_says(void)
{
    const struct ag_report_settings none = { 0 };
    char dir[256], *text = NULL;
    defupd_error err = { 0 };

    start(2);
    items[1].state = DEFUPD_STATE_FAILING;
    items[1].last_error = DEFUPD_E_PROXY_CONNECT;
    items[1].failures = 3;
    T_CHECK(getcwd(dir, sizeof dir) != NULL);
    T_CHECK(t_shell("mkdir log && printf 'runs 9\\nfailures 2\\nfetched 12345\\n' >log/totals") ==
            0);
    T_OK(ag_posture(&text, &fake.status, &none, NOW, &err), &err);
    T_OK(ag_metrics_write(&ag_disk_posix, dir, text, &err), &err);
    T_HAS(read_text(0, "metrics/defupd.prom"), "\ndefupd_connected 1\n");
    T_HAS(read_text(0, "metrics/defupd.prom"),
          "\ndefupd_component_version{component=\"tetra\",engine=\"tetra\"} 1003\n");
    T_HAS(read_text(0, "metrics/defupd.prom"),
          "\ndefupd_component_last_success_timestamp_seconds{component=\"yara\",engine=\"yara\"} "
          "1795255140\n");
    T_HAS(read_text(0, "metrics/defupd.prom"),
          "\ndefupd_component_state{component=\"yara\",state=\"failing\"} 1\n");
    T_HAS(read_text(0, "metrics/defupd.prom"),
          "\ndefupd_component_state{component=\"yara\",state=\"fresh\"} 0\n");
    T_HAS(read_text(0, "metrics/defupd.prom"),
          "\ndefupd_component_last_error_code{component=\"yara\",engine=\"yara\"} -2103\n");
    T_HAS(read_text(0, "metrics/defupd.prom"), "\n# TYPE defupd_bytes_fetched_total counter\n"
                                               "defupd_bytes_fetched_total 12345\n");
    /* Every sample's family is declared before it, once. */
    T_CHECK(t_shell("awk '/^# TYPE/ { if (seen[$3]++) exit 1; next } /^#/ { next } "
                    "{ name = $1; sub(/{.*/, \"\", name); if (!seen[name]) exit 1 }' "
                    "metrics/defupd.prom") == 0);
    T_CHECK(
        t_shell("stat -c %%a metrics metrics/defupd.prom | paste -sd' ' | grep -qx '755 644'") ==
        0);
    T_CHECK(t_shell("[ \"$(ls -A metrics)\" = defupd.prom ]") == 0);
    free(text);
}

/* The line and the exit code for the facts at hand. */
static int nagios(const char *line_has)
{
    const struct ag_report_settings none = { 0 };
    char *text = NULL, *line = NULL;
    defupd_error err = { 0 };
    struct ag_seen seen;
    size_t count;
    FILE *out = open_memstream(&line, &count);
    int severity;

    T_OK(ag_posture(&text, &fake.status, &none, NOW, &err), &err);
    T_OK(ag_seen_parse(&seen, "p", text, strlen(text), &err), &err);
    severity = (int)ag_nagios(out, &seen, NOW);
    (void)fclose(out);
    T_HAS(line, line_has);
    ag_seen_free(&seen);
    free(line);
    free(text);
    return severity;
}

static void the_nagios_line_tells_the_worst_first_and_clears(void)
{
    start(2);
    T_CHECK(nagios("DEFUPD OK - 2 components up to date | 'tetra_age'=60s;;;0 "
                   "'tetra_version'=1003 'yara_age'=60s;;;0 'yara_version'=1003\n") == 0);
    items[0].last_error = DEFUPD_E_TIMEOUT; /* one poll among successes */
    items[0].failures = 1;
    fake.status.store.last_error = DEFUPD_E_TIMEOUT;
    T_CHECK(nagios("DEFUPD OK - 2 components up to date, last poll failed |") == 0);
    items[0].state = DEFUPD_STATE_FAILING;
    T_CHECK(nagios("DEFUPD CRITICAL - tetra failing (-2111 TIMEOUT) |") == 2);
    items[1].state = DEFUPD_STATE_DUE;
    T_CHECK(nagios("DEFUPD CRITICAL - tetra failing (-2111 TIMEOUT), yara due |") == 2);
    items[0] = good;
    fake.status.store.last_error = 0;
    T_CHECK(nagios("DEFUPD WARNING - yara due |") == 1);
    items[1] = good;
    items[1].name = "yara";
    fake.status.store.last_contact = 0;
    T_CHECK(nagios("DEFUPD WARNING - no contact with a source |") == 1);
    fake.status.store.last_contact = NOW;
    T_CHECK(nagios("DEFUPD OK - ") == 0);
    fake.status.count = 0;
    T_CHECK(nagios("DEFUPD WARNING - no component is known |") == 1);
}

static void the_nagios_option_makes_line_and_exit_code(void)
{
    start(1);
    items[0].state = DEFUPD_STATE_STALE;
    T_CHECK(RUN("--state-dir", ".", "posture", "--nagios") == 2);
    T_HAS(OUT(), "DEFUPD CRITICAL - ");
    fake.open_code = DEFUPD_E_STORE_OWNER;
    fake.message = "the store belongs to user 7 | or so";
    T_CHECK(RUN("--state-dir", ".", "posture", "--nagios") == 3);
    T_SAME(OUT(), "DEFUPD UNKNOWN - the store belongs to user 7 / or so\n");
}

static void one_failed_poll_is_told_without_an_alarm(void)
{
    start(1);
    items[0].last_error = DEFUPD_E_TIMEOUT;
    items[0].error_text = "http://up.example: time-out";
    items[0].failures = 1;
    T_CHECK(RUN("--state-dir", ".", "status") == 0);
    T_HAS(OUT(), "  tetra: last poll failed: http://up.example: time-out\n");
    T_CHECK(strstr(OUT(), "raise the time-outs") == NULL);
    items[0].state = DEFUPD_STATE_FAILING;
    items[0].failures = 3;
    T_CHECK(RUN("--state-dir", ".", "status") == 0);
    T_HAS(OUT(), "  tetra: http://up.example: time-out (3 times)\n    -2111 TIMEOUT: check");
}

static defupd_code parse(const char *text, defupd_error *err)
{
    struct ag_seen seen;
    const defupd_code rc = ag_seen_parse(&seen, "p.json", text, strlen(text), err);

    if (rc == DEFUPD_OK)
        ag_seen_free(&seen);
    return rc;
}

#define HEAD "{\"connected\": true, \"running\": false, \"engines\": ["
#define ENGINE HEAD "{\"name\": \"e\", \"enabled\": true, \"definitions\": ["

static void what_is_no_posture_is_refused_with_its_place(void)
{
    static const char *const wrong[] = {
        "",
        "[]",
        "{}",
        "null",
        "{\"engines\": []}",
        HEAD "]} x",
        HEAD "], \"connected\": true}",
        HEAD "1]}",
        HEAD "{\"name\": \"e\", \"enabled\": 1, \"definitions\": []}]}",
        HEAD "{\"name\": 7, \"enabled\": true, \"definitions\": []}]}",
        HEAD "{\"name\": \"e\", \"enabled\": true}]}",
        ENGINE "[]]}]}",
        ENGINE "{}]}]}",
        ENGINE "{\"name\": \"\"}]}]}",
        ENGINE "{\"name\": \"a\\u0000b\"}]}]}",
        ENGINE "{\"name\": \"0123456789012345678901234567890123\"}]}]}",
        ENGINE "{\"name\": \"a\", \"version\": -1}]}]}",
        ENGINE "{\"name\": \"a\", \"version\": 1.5}]}]}",
        ENGINE "{\"name\": \"a\", \"version\": \"1\"}]}]}",
        ENGINE "{\"name\": \"a\", \"version\": 9007199254740992}]}]}",
        ENGINE "{\"name\": \"a\", \"version\": 99999999999999999999}]}]}",
        ENGINE "{\"name\": \"a\", \"lasterror\": 4294967296}]}]}",
        ENGINE "{\"name\": \"a\"}, {\"name\": \"a\"}]}]}",
        ENGINE "{\"name\": \"a\", \"state\": \"a state that is too long\"}]}]}",
        "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
        "{\"a\": {\"a\": {\"a\": {\"a\": {\"a\": {\"a\": {\"a\": {\"a\": {\"a\": 1}}}}}}}}}",
    };
    defupd_error err = { 0 };
    char *many = malloc(AG_POSTURE_MAX + 2), *end = many;

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        if (parse(wrong[i], &err) == DEFUPD_OK)
            printf("# taken: %s\n", wrong[i]);
        T_FAILS(parse(wrong[i], &err), DEFUPD_E_INVALID, &err);
        T_HAS(err.message, "p.json");
    }
    T_FAILS(parse("[[[[[[[[[", &err), DEFUPD_E_INVALID, &err); /* before anything recurses */
    T_HAS(err.message, "nested too deep");
    T_OK(parse(ENGINE "{\"name\": \"a\", \"future\": {\"b\": []}}]}]}", &err), &err);
    if (many == NULL)
        abort();
    memset(many, ' ', AG_POSTURE_MAX + 1);
    many[AG_POSTURE_MAX + 1] = '\0';
    T_FAILS(parse(many, &err), DEFUPD_E_LIMIT, &err);
    end += sprintf(end, "%s", ENGINE);
    for (int i = 0; i <= AG_SEEN_MAX; i++)
        end += sprintf(end, "%s{\"name\": \"c%d\"}", i > 0 ? "," : "", i);
    (void)sprintf(end, "]}]}");
    T_FAILS(parse(many, &err), DEFUPD_E_LIMIT, &err);
    free(many);
}

int main(void)
{
    T_RUN(policy_names_engines_and_interval);
    T_RUN(a_bad_policy_is_reported_until_it_is_mended);
    T_RUN(every_state_has_its_word_everywhere);
    T_RUN(hostile_texts_leave_every_report_well_formed);
    T_RUN(metrics_tell_what_the_posture_says);
    T_RUN(the_nagios_line_tells_the_worst_first_and_clears);
    T_RUN(the_nagios_option_makes_line_and_exit_code);
    T_RUN(one_failed_poll_is_told_without_an_alarm);
    T_RUN(what_is_no_posture_is_refused_with_its_place);
    return T_DONE();
}
