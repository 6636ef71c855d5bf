/* SPDX-License-Identifier: Apache-2.0 */
/* A host that is a relay: when what it serves is brought up to date, with which settings, what
 * becomes of a failure, and what reports tell. */
#include <fcntl.h>

#include <libdefupd/relay/relay.h>

#include "agent_fake.h"
#include "relay/figures.h"
#include "report/monitor.h"
#include "report/relay.h"
#include "report/report.h"
#include "trust/trust.h"

#define NOW 1795255200 /* 2026-11-21T10:00:00Z */

/* --- a content half that does what a test says --- */

static struct {
    defupd_code open_code, sync_code;
    struct du_relay_options options;
    defupd_client_options client;
} content;

defupd_code du_relay_open(struct du_relay **out, const struct du_relay_options *options,
                          defupd_error *err)
{
    content.options = *options;
    content.client = *options->client;
    note_call("relay mode=%d releases=%u keep=%llu max=%llu component=%s", (int)options->mode,
              options->releases, (unsigned long long)options->keep_s,
              (unsigned long long)options->max_bytes,
              options->components != NULL ? options->components[0] : "-");
    *out = NULL;
    return fail(content.open_code, err);
}

void du_relay_close(struct du_relay *relay)
{
    (void)relay;
}

void du_relay_cancel(struct du_relay *relay)
{
    (void)relay;
    note_call("relay cancel");
}

defupd_code du_relay_sync(struct du_relay *relay, const defupd_import *import,
                          struct du_relay_report *report, defupd_error *err)
{
    const struct defupd_event events[] = {
        { .struct_size = sizeof events[0], .id = DEFUPD_EVENT_RELAY_REQUESTED },
        { .struct_size = sizeof events[0],
          .id = content.sync_code == DEFUPD_OK ? DEFUPD_EVENT_RELAY_SUCCEEDED
                                               : DEFUPD_EVENT_RELAY_FAILED,
          .code = content.sync_code,
          .version = 4711,
          .source = "http://up.example",
          .text = "so it went" },
    };

    (void)relay;
    note_call("sync %s", import != NULL ? strrchr(import->path, '/') : "sources");
    *report = (struct du_relay_report){ 0 };
    for (size_t i = 0; i < 2; i++)
        content.client.on_event(content.client.event_user, &events[i]);
    content.client.on_log(content.client.log_user, DEFUPD_LEVEL_WARNING, "relay", "left out");
    return fail(content.sync_code, err);
}

/* --- running --- */

static void put_policy(const char *relay)
{
    FILE *file = fopen("p.xml", "w");

    if (file == NULL ||
        fprintf(file,
                "<policy format='1'><sources><server><url>http://a/</url></server></sources>"
                "%s</policy>",
                relay) < 0 ||
        fclose(file) != 0)
        abort();
}

static void start(const char *relay)
{
    memset(&fake, 0, sizeof fake);
    memset(&content, 0, sizeof content);
    fake.status = (struct defupd_status){ .store = { .struct_size = sizeof(defupd_store_status),
                                                     .last_contact = NOW - 60,
                                                     .state_dir = "/s",
                                                     .uuid = "0190",
                                                     .reason = "" } };
    put_policy(relay);
}

#define WITH "--config", "p.xml", "--state-dir", "."

static bool synced(void)
{
    return strstr(CALLS(), "\nsync ") != NULL;
}

static void whole_updates_and_imports_bring_it_up_to_date(void)
{
    start("<relay/>");
    T_CHECK(RUN(WITH, "update") == 0 && synced());
    T_HAS(CALLS(), "update flags=0\nrelay mode=0 releases=0 keep=604800 max=0 component=-\n"
                   "sync sources\n");
    T_CHECK(RUN(WITH, "forceupdate") == 0 && synced());
    T_CHECK(RUN(WITH, "update", "--dry-run") == 0 && !synced());
    T_CHECK(RUN(WITH, "update", "tetra") == 0 && !synced());
    T_CHECK(RUN(WITH, "check") == 0 && !synced());
    T_CHECK(RUN(WITH, "download") == 0 && !synced());
    T_CHECK(RUN(WITH, "rollback") == 0 && !synced());
    T_CHECK(t_shell("touch a.zip") == 0);
    T_CHECK(RUN(WITH, "import", "a.zip") == 0 && synced());
    T_HAS(CALLS(), "sync /a.zip\n");
    put_policy("<relay><enabled>no</enabled></relay>");
    T_CHECK(RUN(WITH, "update") == 0 && !synced());
    put_policy("");
    T_CHECK(RUN(WITH, "update") == 0 && !synced());
}

static void what_policy_says_reaches_it(void)
{
    start("<relay><mode>cache</mode><component>tetra</component><releases>3</releases>"
          "<cache-size>5M</cache-size><keep>P1D</keep></relay>");
    T_CHECK(RUN(WITH, "update") == 0);
    T_HAS(CALLS(), "relay mode=1 releases=3 keep=86400 max=5242880 component=tetra\n");
}

static void its_failure_is_told_and_is_the_runs_when_there_is_no_other(void)
{
    start("<relay/>");
    content.sync_code = DEFUPD_E_CONNECT;
    fake.message = "cannot be had";
    T_CHECK(RUN(WITH, "update") == 69);
    T_HAS(ERR(), "defupd: relay: cannot be had");
    T_CHECK(t_shell("xmllint --xpath 'string(//agent/lasterror)' local.xml | grep -qx 0") == 0);
    T_HAS(read_text(0, "log/relay.log"), "sync failed, what is served stays: ");
    T_HAS(read_text(0, "log/relay.log"), "warning relay: left out\n");
    T_HAS(read_text(0, "log/events.jsonl"), "\"id\":1602,\"name\":\"relay update failed\"");
    T_CHECK(strstr(read_text(0, "log/update.log"), "left out") == NULL);
    /* The endpoint's own failure comes first. */
    fake.call_code = DEFUPD_E_VALIDATION;
    T_CHECK(RUN(WITH, "update") == defupd_code_exit(DEFUPD_E_VALIDATION));
    T_CHECK(synced());
    /* Nothing begins after what was called off. */
    fake.call_code = DEFUPD_E_CANCELLED;
    (void)RUN(WITH, "update");
    T_CHECK(!synced());
    fake.call_code = DEFUPD_E_BUSY;
    (void)RUN(WITH, "update");
    T_CHECK(!synced());
    fake.call_code = DEFUPD_OK;
    content.sync_code = DEFUPD_OK;
    T_CHECK(RUN(WITH, "update") == 0);
    T_HAS(read_text(0, "log/relay.log"), "sync: so it went, from http://up.example\n");
}

/* --- reports --- */

static const struct du_relay_figures sample = { .mode = DU_RELAY_CACHE,
                                                .version = 4711,
                                                .confirmed = NOW - 90,
                                                .upstream_since = NOW - 30,
                                                .expires = NOW + 3600,
                                                .last_sync = NOW - 30,
                                                .last_success = NOW - 90,
                                                .last_error = DEFUPD_E_CONNECT,
                                                .components = 2,
                                                .objects = 12,
                                                .object_bytes = 3456,
                                                .named = 20,
                                                .missing = 10,
                                                .source = "http://up.example/repo",
                                                .last_error_text = "cannot connect \" \\ | x" };

static void put_figures(const struct du_relay_figures *figures)
{
    defupd_error err = { 0 };
    int top;

    (void)t_shell("mkdir -p relay");
    top = open("relay", O_RDONLY | O_DIRECTORY);
    T_OK(du_relay_figures_save(figures, &du_sys_posix, top, &err), &err);
    (void)close(top);
}

static void figures_come_back_as_they_were_written(void)
{
    struct du_relay_figures read;
    defupd_error err = { 0 };
    char here[256];

    T_CHECK(getcwd(here, sizeof here) != NULL);
    T_OK(du_relay_figures_read(&read, here, &err), &err);
    T_CHECK(read.version == 0 && read.last_sync == 0);
    put_figures(&sample);
    T_OK(du_relay_figures_read(&read, here, &err), &err);
    T_CHECK(memcmp(&read, &sample, sizeof read) == 0);
    T_CHECK(du_relay_lag_s(&read, NOW) == 90 && du_relay_lag_s(&read, NOW - 100) == 0);
    T_CHECK(t_shell("sed -i 's/version 4711/version 4712/' relay/figures") == 0);
    T_FAILS(du_relay_figures_read(&read, here, &err), DEFUPD_E_STORE_CORRUPT, &err);
    T_CHECK(read.version == 0);
    T_CHECK(t_shell("rm relay/figures && mkfifo relay/figures") == 0);
    T_FAILS(du_relay_figures_read(&read, here, &err), DEFUPD_E_IO, &err);
    T_CHECK(t_shell("rm relay/figures && head -c 100000 /dev/zero >relay/figures") == 0);
    T_CHECK(du_relay_figures_read(&read, here, &err) != DEFUPD_OK);
}

/* A sum that is right over lines that are not. */
static void lines_that_are_no_figures_are_refused(void)
{
    static const char *const texts[] = {
        "",
        "mode mirror\n",
        "mode \n",
        "no line",
        "mode mirror\nversion -1\n",
        "mode mirror\nversion 99999999999999999999999\n",
        "version 1\nversion 2\n",
    };
    char here[256];

    T_CHECK(getcwd(here, sizeof here) != NULL);
    T_CHECK(t_shell("mkdir relay") == 0);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct du_relay_figures read;
        defupd_error err = { 0 };
        DU_AUTO_BUF text = DU_BUF(4096);
        FILE *file = fopen("relay/figures", "w");

        T_OK(du_buf_printf(&text, &err, "%s%s", DU_FACT_HEAD, texts[i]), &err);
        T_OK(du_fact_seal(&text, 0, &err), &err);
        T_CHECK(file != NULL && fwrite(text.data, 1, text.len, file) == text.len &&
                fclose(file) == 0);
        T_FAILS(du_relay_figures_read(&read, here, &err), DEFUPD_E_STORE_CORRUPT, &err);
    }
}

static void posture_metrics_and_the_nagios_line_tell_of_it(void)
{
    const struct ag_totals totals = { 0 };
    struct ag_relay_facts facts;
    struct ag_report_settings settings = { .relay = &facts };
    struct ag_seen seen;
    char here[256], *text = NULL, *line = NULL;
    size_t count;
    defupd_error err = { 0 };
    FILE *out;

    start("");
    T_CHECK(getcwd(here, sizeof here) != NULL);
    ag_relay_facts_read(&facts, here, true,
                        NOW); /* before the first sync it is policy that knows */
    T_SAME(facts.mode, "cache");
    ag_relay_facts_read(&facts, here, false, NOW);
    T_SAME(facts.mode, "mirror");
    put_figures(&sample);
    ag_relay_facts_read(&facts, here, false, NOW);
    T_OK(ag_posture(&text, &fake.status, &settings, NOW, &err), &err);
    out = fopen("posture", "w");
    T_CHECK(out != NULL && fputs(text, out) >= 0 && fclose(out) == 0);
    T_CHECK(t_shell("jq -ce '.relay | [.mode, .source, .lasterror_name, .version, .lag, .behind, "
                    ".objects, .bytes, .named, .missing, .requests]' posture | grep -qxF "
                    "'[\"cache\",\"http://up.example/"
                    "repo\",\"CONNECT\",4711,90,30,12,3456,20,10,0]'") == 0);
    T_OK(ag_seen_parse(&seen, "p", text, strlen(text), &err), &err);
    T_CHECK(seen.relay.there && memcmp(seen.relay.number, facts.number, sizeof facts.number) == 0);
    out = fopen("prom", "w");
    T_CHECK(out != NULL);
    ag_metrics(out, &seen, &totals);
    (void)fclose(out);
    T_HAS(read_text(0, "prom"), "\ndefupd_relay_info{mode=\"cache\"} 1\n");
    T_HAS(read_text(0, "prom"), "\ndefupd_relay_lag_seconds 90\n");
    T_HAS(read_text(0, "prom"), "\ndefupd_relay_last_error_code -2102\n");
    T_HAS(read_text(0, "prom"), "\n# TYPE defupd_relay_requests_total counter\n");
    T_CHECK(t_shell("awk '/^# TYPE/ { if (seen[$3]++) exit 1; next } /^#/ { next } "
                    "{ name = $1; sub(/{.*/, \"\", name); if (!seen[name]) exit 1 }' prom") == 0);
    for (int late = 0; late < 2; late++) {
        seen.relay.number[AG_RELAY_LAG] = late ? 3 * seen.interval_s : 5;
        out = open_memstream(&line, &count);
        (void)ag_nagios(out, &seen, NOW);
        (void)fclose(out);
        T_CHECK((strstr(line, "relay not up to date") != NULL) == late);
        T_HAS(line, " 'relay_lag'=");
        free(line);
    }
    ag_seen_free(&seen);
    free(text);
}

static void a_foreign_posture_with_an_odd_relay_is_none(void)
{
    static const char *const relays[] = { "[]",           "1",
                                          "{\"lag\":-1}", "{\"lag\":\"x\"}",
                                          "{\"mode\":7}", "{\"lasterror\":99999999999}" };

    for (size_t i = 0; i < sizeof relays / sizeof relays[0]; i++) {
        struct ag_seen seen;
        defupd_error err = { 0 };
        char text[256];

        (void)snprintf(text, sizeof text,
                       "{\"connected\":true,\"running\":true,\"engines\":[],\"relay\":%s}",
                       relays[i]);
        T_FAILS(ag_seen_parse(&seen, "p", text, strlen(text), &err), DEFUPD_E_INVALID, &err);
    }
}

static void status_tells_of_it(void)
{
    start("<relay/>");
    put_figures(&sample);
    T_CHECK(RUN(WITH, "status") == 0);
    T_HAS(OUT(), "\nRelay         cache, timestamp 4711 confirmed ");
    T_HAS(OUT(), ", 10 of 20 objects (3.4 kB)\n");
    T_HAS(OUT(), "not up to date: cannot connect \" \\ | x (-2102 CONNECT)\n");
    T_CHECK(RUN("--json", WITH, "status") == 0);
    T_SAME(json_at("out", 0, "relay.version"), "4711");
    T_SAME(json_at("out", 0, "relay.lasterror"), "-2102");
    T_CHECK(t_shell("rm relay/figures") == 0);
    T_CHECK(RUN(WITH, "status") == 0);
    T_HAS(OUT(), "\nRelay         mirror, has nothing to serve yet\n");
    put_policy("");
    T_CHECK(RUN(WITH, "status") == 0 && strstr(OUT(), "Relay") == NULL);
}

int main(void)
{
    T_RUN(whole_updates_and_imports_bring_it_up_to_date);
    T_RUN(what_policy_says_reaches_it);
    T_RUN(its_failure_is_told_and_is_the_runs_when_there_is_no_other);
    T_RUN(figures_come_back_as_they_were_written);
    T_RUN(lines_that_are_no_figures_are_refused);
    T_RUN(posture_metrics_and_the_nagios_line_tell_of_it);
    T_RUN(a_foreign_posture_with_an_odd_relay_is_none);
    T_RUN(status_tells_of_it);
    return T_DONE();
}
