/* SPDX-License-Identifier: Apache-2.0 */
/* The whole program over a library that does as it is told: calls, output, exit codes, reports. */
#include <errno.h>
#include <sys/stat.h>

#include "agent_fake.h"
#include "command.h"

#define NOW 1795255200 /* 2026-11-21T10:00:00Z */

static const defupd_report_item updated = { .struct_size = sizeof updated,
                                            .action = DEFUPD_ACTION_UPDATE,
                                            .progress = DEFUPD_PROGRESS_ACTIVE,
                                            .objects = 1,
                                            .from_version = 1002,
                                            .to_version = 1003,
                                            .newest = 1003,
                                            .bytes = 1234567,
                                            .full_bytes = 42000000,
                                            .component = "tetra",
                                            .from_label = "",
                                            .to_label = "297.0.0.0",
                                            .via = "delta",
                                            .text = "",
                                            .base_version = 1002,
                                            .how = "delta from 1002, 1,234,567 bytes instead of "
                                                   "42,000,000" };
static const defupd_report_item held = { .struct_size = sizeof held,
                                         .reason = DEFUPD_REASON_HELD,
                                         .from_version = 17,
                                         .to_version = 17,
                                         .newest = 18,
                                         .component = "yara",
                                         .from_label = "",
                                         .to_label = "",
                                         .via = "",
                                         .text = "" };
static const defupd_report_item newest = { .struct_size = sizeof newest,
                                           .reason = DEFUPD_REASON_NEWEST,
                                           .from_version = 5,
                                           .to_version = 5,
                                           .newest = 5,
                                           .component = "crs",
                                           .from_label = "",
                                           .to_label = "",
                                           .via = "",
                                           .text = "" };
static const defupd_report_item broken = {
    .struct_size = sizeof broken,
    .action = DEFUPD_ACTION_INSTALL,
    .code = DEFUPD_E_DIGEST,
    .to_version = 9,
    .newest = 9,
    .component = "ips",
    .from_label = "",
    .to_label = "",
    .via = "full",
    .text = "ips 9: object ab12 differs from its signed digest"
};
static const defupd_component_status tetra = { .struct_size = sizeof tetra,
                                               .state = DEFUPD_STATE_FAILING,
                                               .last_error = DEFUPD_E_PROXY_CONNECT,
                                               .failures = 3,
                                               .version = 1002,
                                               .available = 1003,
                                               .published = NOW - 7200,
                                               .last_attempt = NOW,
                                               .last_success = NOW - 86400,
                                               .name = "tetra",
                                               .label = "296 <\"&>",
                                               .tree = "",
                                               .error_text = "proxy 10.0.0.1 <refuses>\x01",
                                               .source = "http://up.example/repo",
                                               .path = "",
                                               .notice = "held since yesterday",
                                               .path_text = "delta from 1001, 9 bytes" };
static const defupd_component_status yara = { .struct_size = sizeof yara,
                                              .state = DEFUPD_STATE_NEVER,
                                              .name = "yara",
                                              .label = "",
                                              .tree = "",
                                              .error_text = "",
                                              .source = "",
                                              .path = "",
                                              .notice = "" };

static defupd_report_item items[4];
static defupd_component_status components[2];

/* A library that succeeds, with two components in the store and the given items in the report. */
static void start(uint32_t count)
{
    memset(&fake, 0, sizeof fake);
    fake.report = (struct defupd_report){ .items = items, .count = count };
    components[0] = tetra;
    components[1] = yara;
    fake.status = (struct defupd_status){
        .store = { .struct_size = sizeof(defupd_store_status),
                   .last_error = DEFUPD_E_PROXY_CONNECT,
                   .generation = 7,
                   .parent = 6,
                   .root_version = 1,
                   .activated = NOW - 86400,
                   .timestamp_expires = NOW + 3600,
                   .last_contact = 1600000000,
                   .state_dir = "/s",
                   .uuid = "0190-uuid",
                   .reason = "update" },
        .items = components,
        .count = 2,
    };
}

static void an_update_says_what_was_done_in_a_line_per_component(void)
{
    start(3);
    items[0] = newest;
    items[1] = updated;
    items[2] = held;
    fake.report.generation = 8;
    fake.report.fetched = 1234567;
    T_CHECK(RUN("--state-dir", ".", "--source", "http://a/", "update") == 0);
    T_SAME(OUT(), "tetra: updated 1002 -> 1003 (297.0.0.0) [delta from 1002, 1,234,567 bytes "
                  "instead of 42,000,000]\n"
                  "yara: stays at 17: held; 'defupd unhold' ends that\n"
                  "Generation 8 is active; 1.2 MB fetched; 40.7 MB saved by deltas.\n");
    T_SAME(ERR(), "");
    T_HAS(CALLS(), "source http://a/\nupdate flags=0\nclose\n");
    T_CHECK(RUN("--state-dir", ".", "update", "--detailed-exitcode") == 2);
    T_CHECK(RUN("--state-dir", ".", "update", "-q") == 0);
    T_SAME(OUT(), "");
}

static void nothing_new_is_said_and_is_no_error(void)
{
    start(1);
    items[0] = newest;
    T_CHECK(RUN("--state-dir", ".", "update", "--detailed-exitcode") == 0);
    T_SAME(OUT(), "Nothing new.\n");
    T_CHECK(RUN("--state-dir", ".", "--forceupdate") == 0);
    T_SAME(OUT(), "Nothing new.\n");
    T_HAS(CALLS(), "update flags=0\n");
}

static void flags_and_words_reach_the_library(void)
{
    start(0);
    T_CHECK(RUN("--state-dir", "/nonexistent", "--ring", "pilot", "--engine", "av=2", "update",
                "tetra@7", "crs", "--dry-run", "--accept-quarantined", "--over-budget", "--wait",
                "9") == 0);
    T_HAS(CALLS(), "open state=/nonexistent root= proxy= ca= ring=pilot wait=9000");
    T_HAS(CALLS(), "engine av=2\nupdate flags=14 tetra@7 crs\n");
    T_CHECK(RUN("--state-dir", ".", "verify", "--repair", "tetra") == 0);
    T_HAS(CALLS(), "verify flags=16 tetra\n");
    T_CHECK(RUN("--state-dir", ".", "pin", "tetra@7") == 0);
    T_HAS(CALLS(), "pin tetra to 7\n");
    T_SAME(OUT(), "tetra is pinned to 7; 'defupd unhold tetra' releases it.\n");
    T_CHECK(RUN("--state-dir", ".", "list", "tetra") == 0);
    T_HAS(CALLS(), "list tetra\n");
    T_CHECK(RUN("--state-dir", ".", "trust", "reset") == 0);
    T_HAS(CALLS(), "trust reset\n");
}

static void check_is_a_table_with_cost_and_reason(void)
{
    start(3);
    items[0] = newest;
    items[1] = updated;
    items[1].progress = DEFUPD_PROGRESS_PLANNED;
    items[2] = held;
    T_CHECK(RUN("--state-dir", ".", "check", "--detailed-exitcode") == 2);
    T_SAME(OUT(),
           "COMPONENT  INSTALLED  AVAILABLE          FETCH  HOW\n"
           "crs        5          5                      -\n"
           "tetra      1002       1003 (297.0.0.0)  1.2 MB  delta from 1002, 1,234,567 bytes "
           "instead of 42,000,000\n"
           "yara       17         18                     -  held; 'defupd unhold' ends that\n"
           "1 to update, 1.2 MB to fetch from http://up.example/repo; 40.7 MB saved by deltas.\n");
}

static void each_failing_component_is_told_with_code_and_advice(void)
{
    start(2);
    items[0] = broken;
    items[1] = updated;
    fake.report.generation = 8;
    fake.call_code = DEFUPD_E_DIGEST;
    fake.message = broken.text;
    T_CHECK(RUN("--state-dir", ".", "update") == 65);
    T_SAME(OUT(), "tetra: updated 1002 -> 1003 (297.0.0.0) [delta from 1002, 1,234,567 bytes "
                  "instead of 42,000,000]\n"
                  "Generation 8 is active.\n");
    T_SAME(ERR(), "defupd: ips 9: object ab12 differs from its signed digest\n"
                  "  -2400 DIGEST: try another source; this one is damaged\n");
    items[1].code = DEFUPD_E_LIMIT;
    items[1].text = "too large";
    T_CHECK(RUN("--state-dir", ".", "update") == 65);
    T_HAS(ERR(), "DIGEST: try another source; this one is damaged\n"
                 "  also tetra: too large (-2406 LIMIT)\n");
}

static void a_failed_run_is_told_with_code_and_advice(void)
{
    start(0);
    fake.no_report = true;
    fake.call_code = DEFUPD_E_PROXY_CONNECT;
    fake.message = "http://a/: cannot connect to proxy 10.0.0.1:3128";
    T_CHECK(RUN("--state-dir", ".", "update") == 69);
    T_SAME(OUT(), "");
    T_SAME(ERR(), "defupd: http://a/: cannot connect to proxy 10.0.0.1:3128\n"
                  "  -2103 PROXY_CONNECT: check the proxy's address and port, and that it runs\n");
    T_CHECK(RUN("--state-dir", ".", "update", "-v") == 69);
    T_HAS(ERR(), "  at fake.c:1, errno 0\n");
}

static void a_run_that_failed_for_all_is_told_once(void)
{
    start(2);
    for (size_t i = 0; i < 2; i++) {
        items[i] = broken;
        items[i].code = DEFUPD_E_CONNECT;
        items[i].text = "http://a/: connection refused";
    }
    items[1].component = "tetra";
    fake.call_code = DEFUPD_E_CONNECT;
    fake.message = "http://a/: connection refused";
    T_CHECK(RUN("--state-dir", ".", "check") == 69);
    T_SAME(OUT(), "");
    T_SAME(ERR(), "defupd: http://a/: connection refused\n"
                  "  -2102 CONNECT: check that the server runs and that no firewall stands "
                  "between\n");
}

static void a_source_that_failed_is_a_warning_when_another_went_on(void)
{
    static const defupd_event failed = { .struct_size = sizeof failed,
                                         .id = DEFUPD_EVENT_SOURCE_FAILED,
                                         .code = DEFUPD_E_CONNECT,
                                         .source = "http://a/",
                                         .text = "connection refused" };

    start(0);
    fake.events = &failed;
    fake.event_count = 1;
    T_CHECK(RUN("--state-dir", ".", "update") == 0);
    T_SAME(ERR(), "defupd: warning: http://a/: connection refused\n");
    T_CHECK(RUN("--state-dir", ".", "update", "-q") == 0);
    T_SAME(ERR(), "");
    fake.call_code = DEFUPD_E_NOT_FOUND;
    fake.message = "http://b/: not found";
    fake.no_report = true;
    T_CHECK(RUN("--state-dir", ".", "--source=http://a/", "--source=http://b/", "update") == 69);
    T_HAS(ERR(), "defupd: warning: http://a/: connection refused\ndefupd: http://b/: not found\n");
    fake.message = "http://a/: connection refused";
    T_CHECK(RUN("--state-dir", ".", "--source=http://b/", "--source=http://a/", "update") == 69);
    T_CHECK(strstr(ERR(), "warning") == NULL); /* the error tells it */
    fake.message = "it is damaged";
    T_CHECK(RUN("--state-dir", ".", "--source=http://a/", "update") == 69);
    T_CHECK(strstr(ERR(), "warning") == NULL); /* there was no other */
}

static void a_way_round_is_a_warning_at_once(void)
{
    static const defupd_event detour = { .struct_size = sizeof detour,
                                         .id = DEFUPD_EVENT_DETOUR,
                                         .code = DEFUPD_E_DELTA_BASE,
                                         .component = "tetra",
                                         .text = "the delta from 1 cannot be used" };

    start(0);
    fake.events = &detour;
    fake.event_count = 1;
    T_CHECK(RUN("--state-dir", ".", "update") == 0);
    T_SAME(ERR(), "defupd: warning: tetra: the delta from 1 cannot be used\n");
    T_CHECK(RUN("--state-dir", ".", "update", "-q") == 0);
    T_SAME(ERR(), "");
    T_CHECK(RUN("--state-dir", ".", "--json", "update") == 0);
    T_SAME(ERR(), "");
    T_SAME(json_at("out", 1, "name"), "\"detour\"");
}

static void json_is_events_by_line_and_then_the_result(void)
{
    static const defupd_event events[] = {
        { .struct_size = sizeof events[0], .id = DEFUPD_EVENT_REQUESTED },
        { .struct_size = sizeof events[0],
          .id = DEFUPD_EVENT_PROGRESS,
          .phase = DEFUPD_PHASE_DOWNLOAD,
          .version = 1003,
          .bytes_done = 10,
          .bytes_total = 20,
          .component = "tetra" },
        { .struct_size = sizeof events[0],
          .id = DEFUPD_EVENT_SUCCEEDED,
          .version = 1003,
          .from_version = 1002,
          .component = "tetra",
          .text = "updat\xff" },
    };

    start(1);
    items[0] = updated;
    fake.events = events;
    fake.event_count = 3;
    T_CHECK(RUN("--state-dir", ".", "--json", "update") == 0);
    T_SAME(json_at("out", 1, "id"), "273");
    T_SAME(json_at("out", 1, "name"), "\"requested\"");
    T_CHECK(strlen(json_at("out", 1, "time")) == 22);
    T_SAME(json_at("out", 1, "component"), "(none)");
    T_SAME(json_at("out", 2, "phase"), "\"download\"");
    T_SAME(json_at("out", 2, "bytes_done"), "10");
    T_SAME(json_at("out", 2, "bytes_total"), "20");
    T_SAME(json_at("out", 3, "from"), "1002");
    T_SAME(json_at("out", 3, "version"), "1003");
    T_SAME(json_at("out", 3, "code"), "0");
    T_SAME(json_at("out", 3, "text"), "\"updat?\"");
    T_SAME(json_at("out", 4, "result.exit"), "0");
    T_SAME(json_at("out", 4, "result.components.0.to"), "1003");
    T_SAME(json_at("out", 4, "result.components.0.action"), "\"update\"");
    T_SAME(json_at("out", 5, ""), "(none)");
    T_CHECK(RUN("--state-dir", ".", "--json", "-q", "update") == 0);
    T_SAME(json_at("out", 1, "result.code"), "0");
    T_SAME(json_at("out", 2, ""), "(none)");
    T_CHECK(RUN("--state-dir", ".", "--json", "check") == 0);
    T_SAME(json_at("out", 0, "command"), "\"check\"");
    T_SAME(json_at("out", 0, "components.0.via"), "\"delta\"");
    T_SAME(json_at("out", 0, "components.0.base"), "1002");
    T_SAME(json_at("out", 0, "components.0.through"), "0");
    T_SAME(json_at("out", 0, "components.0.how"),
           "\"delta from 1002, 1,234,567 bytes instead of 42,000,000\"");
    fake.open_code = DEFUPD_E_STORE_OWNER;
    T_CHECK(RUN("--state-dir", ".", "--json", "status") == 77);
    T_SAME(json_at("out", 0, "code"), "-2505");
    T_SAME(json_at("out", 0, "exit"), "77");
    T_SAME(json_at("out", 0, "name"), "\"STORE_OWNER\"");
}

static void local_xml_and_posture_follow_each_attempt(void)
{
    start(0);
    fake.no_report = true;
    fake.call_code = DEFUPD_E_PROXY_CONNECT;
    T_CHECK(RUN("--state-dir", ".", "update") == 69);
    T_SAME(read_text(0, "local.xml"),
           "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
           "<local>\n"
           "  <agent>\n"
           "    <uuid>0190-uuid</uuid>\n"
           "    <version>" DEFUPD_VERSION "</version>\n"
           "    <lasterror>4294965193</lasterror>\n"
           "    <lastcontact>2020-09-13T12:26:40Z</lastcontact>\n"
           "  </agent>\n"
           "  <tetra>\n"
           "    <version>1002</version>\n"
           "    <state>failing</state>\n"
           "    <lasterror>4294965193</lasterror>\n"
           "    <lasterrorname>PROXY_CONNECT</lasterrorname>\n"
           "    <lasterrortext>proxy 10.0.0.1 &lt;refuses&gt;?</lasterrortext>\n"
           "    <lastattempt>2026-11-21T10:00:00Z</lastattempt>\n"
           "    <lastsuccess>2026-11-20T10:00:00Z</lastsuccess>\n"
           "    <nextattempt></nextattempt>\n"
           "    <source>http://up.example/repo</source>\n"
           "  </tetra>\n"
           "  <yara>\n"
           "    <version></version>\n"
           "    <state>never</state>\n"
           "    <lasterror>0</lasterror>\n"
           "    <lasterrorname></lasterrorname>\n"
           "    <lasterrortext></lasterrortext>\n"
           "    <lastattempt></lastattempt>\n"
           "    <lastsuccess></lastsuccess>\n"
           "    <nextattempt></nextattempt>\n"
           "    <source></source>\n"
           "  </yara>\n"
           "</local>\n");
    T_SAME(json_at("posture.json", 0, "agent_uuid"), "\"0190-uuid\"");
    T_SAME(json_at("posture.json", 0, "running"), "false");
    T_SAME(json_at("posture.json", 0, "connected"), "false");
    T_SAME(json_at("posture.json", 0, "engines.0.name"), "\"tetra\"");
    T_SAME(json_at("posture.json", 0, "engines.0.enabled"), "true");
    T_SAME(json_at("posture.json", 0, "engines.0.definitions"),
           "[{\"name\":\"tetra\",\"version\":1002,\"label\":\"296 <\\\"&>\","
           "\"timestamp\":1795248000,\"last_successful_update\":1795168800,"
           "\"state\":\"failing\",\"lasterror\":4294965193,"
           "\"lasterror_name\":\"PROXY_CONNECT\",\"available\":1003,\"failures\":3,"
           "\"last_attempt\":1795255200,\"next_attempt\":0}]");
    T_SAME(json_at("posture.json", 0, "engines.1.definitions.0.version"), "0");
    T_SAME(json_at("posture.json", 0, "engines.2"), "(none)");
}

static void each_kind_of_attempt_writes_reports_and_nothing_else_does(void)
{
    static const char *const with[] = { "check",   "update",   "forceupdate", "download",
                                        "install", "rollback", "verify" };
    static const char *const without[] = { "list", "status", "posture", "clean", "cancel" };

    start(0);
    for (size_t i = 0; i < sizeof with / sizeof with[0]; i++) {
        (void)unlink("local.xml");
        T_CHECK(RUN("--state-dir", ".", with[i]) == 0);
        T_CHECK(access("local.xml", F_OK) == 0 && access("posture.json", F_OK) == 0);
    }
    (void)unlink("local.xml");
    for (size_t i = 0; i < sizeof without / sizeof without[0]; i++) {
        T_CHECK(RUN("--state-dir", ".", without[i]) == 0);
        T_CHECK(access("local.xml", F_OK) != 0);
    }
}

static void an_archive_is_opened_by_who_named_it_and_given_with_its_grace(void)
{
    char here[400], want[512];

    start(0);
    T_CHECK(getcwd(here, sizeof here) != NULL && t_shell("echo x >a.zip") == 0);
    T_CHECK(RUN("--state-dir", ".", "import", "a.zip") == 0);
    /* what reports call it does not depend on a folder */
    (void)snprintf(want, sizeof want, "archive %s/a.zip open grace 1209600\n", here);
    T_HAS(CALLS(), want);
    T_CHECK(access("local.xml", F_OK) == 0);
    T_CHECK(RUN("--state-dir", ".", "import", "--grace", "3", "a.zip") == 0);
    T_HAS(CALLS(), "a.zip open grace 259200\n");
    T_CHECK(RUN("--state-dir", ".", "import", "--grace=0", "a.zip") == 0);
    T_HAS(CALLS(), "a.zip open grace 0\n");
    T_CHECK(RUN("--state-dir", ".", "import", "nothing.zip") == 74);
    T_HAS(ERR(), "nothing.zip: No such file");
    T_CHECK(mkfifo("pipe", 0600) == 0); /* and nobody waits for who may write to it */
    T_CHECK(RUN("--state-dir", ".", "import", "pipe") == 0);
}

static void a_verification_does_not_clear_a_failed_update(void)
{
    start(0);
    T_CHECK(RUN("--state-dir", ".", "verify") == 0);
    T_HAS(read_text(0, "local.xml"), "<lasterror>4294965193</lasterror>\n    <lastcontact>");
    fake.status.store.last_error = DEFUPD_OK;
    T_CHECK(RUN("--state-dir", ".", "verify") == 0);
    T_HAS(read_text(0, "local.xml"), "<lasterror>0</lasterror>\n    <lastcontact>");
    fake.call_code = DEFUPD_E_DAMAGED;
    T_CHECK(RUN("--state-dir", ".", "verify") == 65);
    T_HAS(read_text(0, "local.xml"), "<lasterror>4294964790</lasterror>\n    <lastcontact>");
}

static void who_was_refused_because_another_is_at_work_writes_no_report(void)
{
    start(0);
    fake.no_report = true;
    fake.call_code = DEFUPD_E_BUSY;
    T_CHECK(RUN("--state-dir", ".", "update") == 75);
    T_CHECK(access("local.xml", F_OK) != 0);
}

static void a_store_that_does_not_exist_gets_no_report(void)
{
    start(0);
    fake.no_report = true;
    fake.call_code = DEFUPD_E_CANNOT_CREATE;
    T_CHECK(RUN("--state-dir", "nowhere/at/all", "update") == 73);
    T_HAS(ERR(), "CANNOT_CREATE");
    T_CHECK(access("local.xml", F_OK) != 0);
}

static void a_report_that_cannot_be_written_is_a_warning(void)
{
    start(1);
    items[0] = newest;
    fake.write_code = DEFUPD_E_NO_SPACE;
    fake.message = "no space for local.xml";
    T_CHECK(RUN("--state-dir", ".", "update") == 0);
    T_HAS(ERR(), "defupd: warning: reports could not be written: no space for local.xml\n");
    fake.call_code = DEFUPD_E_CONNECT;
    fake.no_report = true;
    T_CHECK(RUN("--state-dir", ".", "update") == 69);
    T_HAS(ERR(), "-2102 CONNECT");
}

static void whose_store_it_is_not_hears_of_reports_only_when_it_matters(void)
{
    start(0);
    fake.write_code = DEFUPD_E_IO;
    fake.write_errno = EACCES;
    T_CHECK(RUN("--state-dir", ".", "verify") == 0);
    T_SAME(ERR(), "");
    T_CHECK(RUN("--state-dir", ".", "update") == 0);
    T_HAS(ERR(), "defupd: warning: reports could not be written");
    fake.call_code = DEFUPD_E_STORE_OWNER;
    T_CHECK(RUN("--state-dir", ".", "update") == 77);
    T_CHECK(strstr(ERR(), "warning") == NULL);
    T_HAS(ERR(), "-2505 STORE_OWNER");
}

static void an_interrupt_cancels_the_call_at_work(void)
{
    static const int signals[] = { SIGINT, SIGTERM, SIGHUP };

    start(0);
    fake.message = "cancelled";
    fake.raise_times = 1;
    for (size_t i = 0; i < 3; i++) {
        fake.raise_signal = signals[i];
        (void)signal(signals[i], SIG_DFL); /* whoever runs the tests may ignore it (nohup) */
        T_CHECK(RUN("--state-dir", ".", "update") == 75);
        T_HAS(ERR(), "-2601 CANCELLED");
    }
}

static void a_second_interrupt_ends_the_program_at_once(void)
{
    start(0);
    fake.raise_times = 2;
    fake.raise_signal = SIGTERM;
    (void)signal(SIGTERM, SIG_DFL);
    T_CHECK(RUN("--state-dir", ".", "update") == 128 + SIGTERM);
}

static void a_signal_that_was_ignored_from_the_start_stays_ignored(void)
{
    start(0);
    fake.raise_times = 3;
    fake.raise_signal = SIGHUP;
    (void)signal(SIGHUP, SIG_IGN); /* as nohup does */
    T_CHECK(RUN("--state-dir", ".", "update") == 0);
    (void)signal(SIGHUP, SIG_DFL);
}

static void a_reader_that_went_away_does_not_end_an_update(void)
{
    start(0);
    fake.raise_times = 1;
    fake.raise_signal = SIGPIPE;
    T_CHECK(RUN("--state-dir", ".", "update") == 0);
}

static void secrets_reach_the_library_and_leave_the_process_list(void)
{
    start(0);
    T_CHECK(RUN("--state-dir", ".", "--proxy=http://joe:secret@px:1/", "--source",
                "http://bob:word@h/r", "update", "tetra@7") == 0);
    T_HAS(CALLS(), "proxy=http://joe:secret@px:1/ ");
    T_HAS(CALLS(), "source http://bob:word@h/r\n");
    T_SAME(read_text(0, "argv"), "defupd\n--state-dir\n.\n--proxy=http://**********@px:1/\n"
                                 "--source\nhttp://********@h/r\nupdate\ntetra@7\n");
}

static void status_tells_what_is_wrong_and_what_helps(void)
{
    start(0);
    T_CHECK(RUN("--state-dir", ".", "status", "-q") == 0);
    T_HAS(OUT(), "Store         /s, host 0190-uuid\n"
                 "Generation    7, made by update 2026-11-20T10:00:00Z");
    T_HAS(OUT(), "Trust         root 1, timestamp ");
    T_HAS(OUT(), "\nCOMPONENT  STATE    INSTALLED        NEWEST  PUBLISHED");
    T_HAS(OUT(), "\ntetra      failing  1002 (296 <\"&>)  1003");
    T_HAS(OUT(), "\n  tetra: proxy 10.0.0.1 <refuses>? (3 times)\n"
                 "    -2103 PROXY_CONNECT: check the proxy's address and port, and that it runs\n"
                 "  tetra: held since yesterday\n"
                 "  tetra: came by delta from 1001, 9 bytes\n");
    T_HAS(OUT(), "\nyara       never    -");
    T_CHECK(RUN("--state-dir", ".", "status", "--json") == 0);
    T_SAME(json_at("out", 0, "store.generation"), "7");
    T_SAME(json_at("out", 0, "components.0.failures"), "3");
    T_SAME(json_at("out", 0, "components.0.lasterror"), "-2103");
    fake.status.store.generation = 0;
    T_CHECK(RUN("--state-dir", ".", "status") == 0);
    T_HAS(OUT(), "Store         /s, which does not exist\n");
}

static void verify_names_each_damaged_file(void)
{
#define DAMAGE(file, text, mended)                                                \
    {                                                                             \
        .struct_size = sizeof(defupd_damage), .repaired = (mended), .version = 7, \
        .component = "tetra", .path = (file), .what = (text),                     \
    }
    static const defupd_damage damage[] = {
        DAMAGE("a/b", "content differs", 0), DAMAGE("c", "missing", 0),
        DAMAGE("c", "missing", 1), /* told again when it is mended */
    };

    start(0);
    T_CHECK(RUN("--state-dir", ".", "verify") == 0);
    T_SAME(OUT(), "12 files read: all as signed.\n");
    fake.damage = damage;
    fake.damage_count = 3;
    fake.call_code = DEFUPD_E_DAMAGED;
    T_CHECK(RUN("--state-dir", ".", "verify") == 65);
    T_SAME(OUT(), "tetra 7: a/b: content differs\n"
                  "tetra 7: c: missing, repaired\n"
                  "12 files read: 2 damaged, 1 repaired.\n");
    T_CHECK(RUN("--state-dir", ".", "verify", "--json") == 65);
    T_SAME(json_at("out", 0, "files"), "12");
    T_SAME(json_at("out", 0, "damaged.0.path"), "\"a/b\"");
    T_SAME(json_at("out", 0, "damaged.0.repaired"), "false");
    T_SAME(json_at("out", 0, "repaired_count"), "1");
}

static void list_tells_the_flags_of_each_release(void)
{
    static const defupd_release releases[] = {
        { .struct_size = sizeof releases[0],
          .flags = DEFUPD_RELEASE_CURRENT | DEFUPD_RELEASE_ON_DISK,
          .version = 1003,
          .size = 1000,
          .full_bytes = 500,
          .published = NOW,
          .component = "tetra",
          .label = "r\xc3\xa8gle",
          .note = "new" },
        { .struct_size = sizeof releases[0],
          .flags = DEFUPD_RELEASE_ON_DISK | DEFUPD_RELEASE_WITHDRAWN,
          .version = 9,
          .component = "tetra",
          .label = "",
          .note = "" },
    };

    start(0);
    T_CHECK(RUN("--state-dir", ".", "list") == 0);
    T_SAME(OUT(), "No release is known; 'defupd check' asks the sources.\n");
    fake.listing = (struct defupd_listing){ releases, 2 };
    T_CHECK(RUN("--state-dir", ".", "list") == 0);
    T_SAME(OUT(), "COMPONENT  VERSION       PUBLISHED               SIZE  FETCH  STATE\n"
                  "tetra      1003 (r\xc3\xa8gle)  2026-11-21T10:00:00Z  1.0 kB  500 B  current\n"
                  "  note: new\n"
                  "tetra      9                                      0 B      -  on disk, "
                  "withdrawn\n");
}

static void trust_shows_roles_and_keys(void)
{
    start(0);
    T_CHECK(RUN("--state-dir", ".", "trust", "show") == 0);
    T_HAS(OUT(), "root        3  2026-11-21T09:00:00Z (");
    T_HAS(OUT(), "2 of these keys:\n  ed25519:8f3c\n  ecdsa:77aa\n");
    T_CHECK(RUN("--state-dir", ".", "trust", "show", "--json") == 0);
    T_SAME(json_at("out", 0, "roles.0.keys"), "[\"ed25519:8f3c\",\"ecdsa:77aa\"]");
}

static void help_comes_from_the_table(void)
{
    char line[96];

    start(0);
    T_CHECK(RUN("help") == 0);
    T_CHECK(t_shell("awk 'length($0) > 80 { exit 1 }' out") == 0);
    for (size_t i = 0; i < AG_CMD_COUNT; i++) {
        (void)snprintf(line, sizeof line, "\n  %s ", ag_commands[i].name);
        T_CHECK(RUN("help") == 0);
        T_HAS(OUT(), line);
        (void)snprintf(line, sizeof line, "  %s\n", ag_commands[i].brief);
        T_HAS(OUT(), line); /* apart from what stands before it */
        T_CHECK(RUN(ag_commands[i].name, "--help") == 0);
        T_HAS(OUT(), ag_commands[i].brief + 1);
        T_CHECK(t_shell("awk 'length($0) > 80 { exit 1 }' out") == 0);
        T_CHECK(t_shell("grep -q ' $' out") == 1);
    }
    T_SAME(CALLS(), "(no file)");
}

static void the_table_is_in_its_order(void)
{
    for (size_t i = 0; i < AG_CMD_COUNT; i++)
        T_CHECK((size_t)ag_commands[i].id == i && ag_commands[i].text[0] != '\0');
    for (size_t i = 0; i < AG_OPT_COUNT; i++) {
        T_CHECK((size_t)ag_options[i].id == i);
        T_CHECK(ag_options[i].help != NULL
                    ? ag_options[i].help[0] != '\0'
                    : i == AG_OPT_WORKER || i == AG_OPT_SCHEDULED || i == AG_OPT_GIVEN);
    }
    /* Every exit code that a code can lead to is explained. */
    for (unsigned i = 0; defupd_code_at(i) != 1; i++) {
        const int code = defupd_code_exit((defupd_code)defupd_code_at(i));
        const struct ag_exit *row = ag_exits;

        while (row->text != NULL && row->code != code)
            row++;
        T_CHECK(row->text != NULL);
    }
}

static void a_full_output_is_an_error(void)
{
    start(0);
    if (access("/dev/full", W_OK) != 0)
        return;
    T_CHECK(symlink("/dev/full", "out") == 0);
    T_CHECK(RUN("--state-dir", ".", "status") == 74);
    T_HAS(ERR(), "cannot write to standard output");
}

static void version_names_the_libraries(void)
{
    start(0);
    T_CHECK(RUN("--version") == 0);
    T_SAME(OUT(), "defupd " DEFUPD_VERSION "\nwith libfake 1.0\n");
    T_CHECK(RUN("version", "--json") == 0);
    T_SAME(json_at("out", 0, "libraries"), "\"libfake 1.0\"");
}

int main(void)
{
    T_RUN(an_update_says_what_was_done_in_a_line_per_component);
    T_RUN(nothing_new_is_said_and_is_no_error);
    T_RUN(flags_and_words_reach_the_library);
    T_RUN(check_is_a_table_with_cost_and_reason);
    T_RUN(each_failing_component_is_told_with_code_and_advice);
    T_RUN(a_failed_run_is_told_with_code_and_advice);
    T_RUN(a_run_that_failed_for_all_is_told_once);
    T_RUN(a_source_that_failed_is_a_warning_when_another_went_on);
    T_RUN(a_way_round_is_a_warning_at_once);
    T_RUN(json_is_events_by_line_and_then_the_result);
    T_RUN(local_xml_and_posture_follow_each_attempt);
    T_RUN(each_kind_of_attempt_writes_reports_and_nothing_else_does);
    T_RUN(an_archive_is_opened_by_who_named_it_and_given_with_its_grace);
    T_RUN(a_verification_does_not_clear_a_failed_update);
    T_RUN(who_was_refused_because_another_is_at_work_writes_no_report);
    T_RUN(a_store_that_does_not_exist_gets_no_report);
    T_RUN(a_report_that_cannot_be_written_is_a_warning);
    T_RUN(whose_store_it_is_not_hears_of_reports_only_when_it_matters);
    T_RUN(an_interrupt_cancels_the_call_at_work);
    T_RUN(a_second_interrupt_ends_the_program_at_once);
    T_RUN(a_signal_that_was_ignored_from_the_start_stays_ignored);
    T_RUN(a_reader_that_went_away_does_not_end_an_update);
    T_RUN(secrets_reach_the_library_and_leave_the_process_list);
    T_RUN(status_tells_what_is_wrong_and_what_helps);
    T_RUN(verify_names_each_damaged_file);
    T_RUN(list_tells_the_flags_of_each_release);
    T_RUN(trust_shows_roles_and_keys);
    T_RUN(help_comes_from_the_table);
    T_RUN(the_table_is_in_its_order);
    T_RUN(a_full_output_is_an_error);
    T_RUN(version_names_the_libraries);
    return T_DONE();
}
