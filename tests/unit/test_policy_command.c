/* SPDX-License-Identifier: Apache-2.0 */
/* The policy at work: what the library is asked for, which policy is in force, and `config`. */
#include <sys/stat.h>

#include "agent_fake.h"
#include "policy/compile.h"
#include "policy/config.h"
#include "policy/examples.h"
#include "policy/map.h"

static void put_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    if (file == NULL || fputs(text, file) < 0 || fclose(file) != 0)
        abort();
}

/* A library that succeeds, in a directory that is policy's folder and store at once. */
static void start(void)
{
    memset(&fake, 0, sizeof fake);
    fake.status = (struct defupd_status){ .store = { .struct_size = sizeof(defupd_store_status),
                                                     .state_dir = "/s",
                                                     .uuid = "0190",
                                                     .reason = "" } };
}

#define POLICY(inside) "<policy format='1'>\n" inside "</policy>"
#define STATE "--state-dir", "."
#define WITH "--config", "p.xml", STATE

static void every_setting_reaches_the_library(void)
{
    start();
    put_file("p.xml",
             POLICY("<sources><server><url>http://a/</url></server><server>"
                    "<url>file:///b</url><offline-grace>P1D</offline-grace></server></sources>"
                    "<components><ring>pilot</ring><only-listed>yes</only-listed>"
                    "<installed-engine name='scan' version='4.1'/>"
                    "<component name='tetra'><pin>7</pin><ring>slow</ring><delay>PT1H</delay>"
                    "<license>av</license><max-age>P2D</max-age></component>"
                    "<component name='yara'><hold>yes</hold><enabled>no</enabled></component>"
                    "</components><licenses><license class='av' "
                    "expires='2027-01-01T00:00:00Z'/></licenses>"));
    T_CHECK(RUN(WITH, "update") == 0);
    T_HAS(CALLS(), " ring=pilot ");
    T_HAS(CALLS(), "\nengine scan=4.1\nsource http://a/ grace=0\nsource file:///b grace=86400\n"
                   "component tetra\ncomponent yara\n"
                   "rule tetra flags=0 pin=7 age=172800 delay=3600 ring=slow licence=av\n"
                   "rule yara flags=3 pin=0 age=0 delay=0 ring= licence=\n"
                   "licence av until 1798761600\nupdate flags=");
    /* Without the sections nothing of the kind is asked for. */
    put_file("p.xml", POLICY(""));
    T_CHECK(RUN(WITH, "update") == 0);
    T_CHECK(strstr(CALLS(), "source") == NULL && strstr(CALLS(), "rule") == NULL &&
            strstr(CALLS(), "licence") == NULL && strstr(CALLS(), "component") == NULL);
}

static void numbers_and_flags_reach_the_library(void)
{
    defupd_client_options options = DEFUPD_CLIENT_OPTIONS_INIT;
    const char text[] = POLICY(
        "<transfer><connect-timeout>PT3S</connect-timeout><stall-timeout>PT4S</stall-timeout>"
        "<total-timeout>P30D</total-timeout><attempts>5</attempts><max-tree-size>1G</max-tree-size>"
        "<bytes-per-run>6M</bytes-per-run><bytes-per-day>8M</bytes-per-day><metered>yes</metered></"
        "transfer>"
        "<retention><generations>7</generations></retention>"
        "<trial><enabled>yes</enabled><confirm-within>PT2M</confirm-within>"
        "<on-expiry>confirm</on-expiry><crashes-allowed>5</crashes-allowed></trial>"
        "<withdrawn-without-replacement>remove</withdrawn-without-replacement>");
    struct ag_policy *policy = calloc(1, sizeof *policy);
    struct ag_findings findings = { 0 };
    const struct ag_ways no_ways = { 0 };
    struct ag_map map;
    defupd_error err = { 0 };

    T_OK(ag_policy_read(policy, "p", text, strlen(text), &findings, &err), &err);
    T_OK(ag_map_options(&map, &options, policy, &no_ways, NULL, &err), &err);
    T_CHECK(options.connect_timeout_ms == 3000 && options.stall_timeout_ms == 4000);
    T_CHECK(options.total_timeout_ms == 2592000000u && options.attempts == 5);
    T_CHECK(options.max_tree_bytes == 1u << 30 && options.budget_bytes == 6u << 20);
    T_CHECK(options.bytes_per_day == 8u << 20 && options.interval_s == 7200);
    T_CHECK(options.retention == 7);
    T_CHECK(options.trial_s == 120 && options.trial_starts == 5);
    T_CHECK(options.flags == (DEFUPD_CLIENT_METERED | DEFUPD_CLIENT_REMOVE_WITHDRAWN |
                              DEFUPD_CLIENT_TRIAL_CONFIRMS));
    ag_map_free(&map);
    ag_policy_free(policy);
    ag_findings_free(&findings);
}

static void relays_and_servers_have_their_ways(void)
{
    char text[2500], here[300];

    start();
    if (getcwd(here, sizeof here) == NULL)
        abort();
    put_file("auth", "me:se cret\n");
    put_file("cert", "C");
    put_file("key", "K");
    T_CHECK(chmod("auth", 0600) == 0 && chmod("key", 0600) == 0);
    (void)snprintf(
        text, sizeof text,
        POLICY("<sources><fallback-to-servers>no</fallback-to-servers>"
               "<server><url>https://s/</url><objects>http://o/</objects>"
               "<address>192.0.2.1</address><address>2001:db8::1</address>"
               "<auth-file>%s/auth</auth-file></server>"
               "<relays><attempts>5</attempts><offline-grace>PT1H</offline-grace>"
               "<relay>http://r0/</relay><relay>http://r1/</relay><proxy>none</proxy>"
               "<client-certificate>%s/cert</client-certificate><client-key>%s/key</client-key>"
               "<revocation>off</revocation></relays>"
               "<relays><relay>http://r2/</relay><proxy>socks5h://p2:1080</proxy>"
               "<proxy-auth-file>%s/auth</proxy-auth-file><proxy-method>ntlm</proxy-method>"
               "<bypass>a</bypass><bypass>b</bypass></relays></sources>"
               "<proxy><url>env</url><method>digest</method><bypass>near.example</bypass></proxy>"
               "<tls><revocation>required</revocation><crl-file>%s/crl</crl-file>"
               "<pinned-key>sha256//x</pinned-key><pinned-key>sha256//y</pinned-key></tls>"
               "<transfer><retry-delay>PT2S</retry-delay><keep-alive>PT30S</keep-alive>"
               "<bandwidth>64K</bandwidth></transfer>"),
        here, here, here, here, here);
    put_file("p.xml", text);
    T_CHECK(RUN(WITH, "check") == 0);
    T_HAS(CALLS(), "proxy=env ");
    T_HAS(CALLS(), "relay http://r0/ grace=3600 group=0 attempts=5 methods=0 revocation=0 proxy= ");
    T_HAS(CALLS(), "relay http://r1/ grace=3600 group=0 attempts=5 ");
    T_HAS(CALLS(), "relay http://r2/ grace=0 group=1 attempts=3 methods=4 revocation=2 "
                   "proxy=socks5h://p2:1080 proxy-auth=me:se cret no-proxy=a,b "
                   "pin=sha256//x;sha256//y crl=");
    T_HAS(CALLS(), "source https://s/ grace=0 methods=2 revocation=2 objects=http://o/ "
                   "auth=me:se cret no-proxy=near.example addresses=s:443:192.0.2.1,2001:db8::1 "
                   "pin=sha256//x;sha256//y crl=");
    T_HAS(CALLS(), "/cert key=");
    T_HAS(CALLS(), "rate=65536 keep-alive=30 retry-delay=2000 flags=4");
    /* What is told on the command line goes the way that is for all. */
    T_CHECK(RUN(WITH, "--source", "http://b/", "check") == 0);
    T_HAS(CALLS(), "source http://b/ grace=0 methods=2 revocation=2 no-proxy=near.example pin=");
    T_CHECK(strstr(CALLS(), "https://s/") == NULL);
    T_CHECK(chmod("key", 0644) == 0);
    T_CHECK(RUN(WITH, "check") == 78);
    T_HAS(ERR(), "p.xml:2: sources/relays/client-key: ");
    T_CHECK(RUN(WITH, "status") == 0); /* asks nobody */
}

static void files_that_policy_names_are_opened_when_they_are_needed(void)
{
    char text[1500], here[300];

    start();
    if (getcwd(here, sizeof here) == NULL)
        abort();
    (void)snprintf(text, sizeof text,
                   POLICY("<proxy><url>http://p:1</url><auth-file>%s/auth</auth-file></proxy>"
                          "<tls><ca-file>%s/ca</ca-file></tls><trust><root>%s/root</root></trust>"),
                   here, here, here);
    put_file("p.xml", text);
    T_CHECK(RUN(WITH, "status") == 0); /* needs none of them */
    T_HAS(CALLS(), "root= proxy= ca= ");
    T_CHECK(RUN(WITH, "check") == 74);
    T_HAS(ERR(), "p.xml:2: trust/root: cannot open ");
    put_file("root", "ROOT");
    put_file("ca", "CA");
    put_file("auth", "me:se cret\n");
    T_CHECK(chmod("auth", 0600) == 0);
    T_CHECK(RUN(WITH, "check") == 0);
    T_HAS(CALLS(), "root=ROOT proxy=http://me:se%20cret@p:1 ca=");
    T_CHECK(strstr(ERR(), "cret") == NULL);
    T_CHECK(chmod("auth", 0644) == 0);
    T_CHECK(RUN(WITH, "update") == 78);
    T_HAS(ERR(), "p.xml:2: proxy/auth-file: ");
    T_HAS(ERR(), "auth: the file is open to others (mode 0644); allowed: 0600");
    T_HAS(ERR(), "-2603 POLICY_OWNER");
    T_CHECK(chmod("auth", 0600) == 0);
    /* With a root of its own the store needs no other. */
    T_CHECK(unlink("root") == 0 && mkdir("trust", 0755) == 0 && mkdir("trust/roots", 0755) == 0);
    T_CHECK(RUN(WITH, "check") == 0);
    T_CHECK(RUN(WITH, "trust", "reset") == 74);
}

static void the_command_line_takes_the_place_of_settings(void)
{
    start();
    put_file("p.xml", POLICY("<sources><server><url>http://a/</url></server></sources>"
                             "<proxy><url>http://p:1</url></proxy>"
                             "<components><ring>pilot</ring>"
                             "<component name='tetra'><hold>yes</hold></component></components>"));
    T_CHECK(RUN(WITH, "--source", "http://b/", "--proxy", "http://q:2", "--ring", "slow",
                "--engine", "e=1", "check") == 0);
    T_HAS(CALLS(), "proxy=http://q:2 ");
    T_HAS(CALLS(), "ring=slow ");
    T_HAS(CALLS(), "engine e=1\nsource http://b/ grace=0\nrule tetra flags=1 ");
    T_CHECK(strstr(CALLS(), "http://a/") == NULL);
    T_CHECK(RUN(WITH, "--source", "http://b/", "--proxy", "http://q:2", "config", "show") == 0);
    T_HAS(OUT(), "sources ");
    T_HAS(OUT(), "http://b/   --source\n");
    T_HAS(OUT(), "http://q:2  --proxy\n");
    T_CHECK(strstr(OUT(), "http://p:1") == NULL);
}

static void trials_are_off_until_policy_wants_them(void)
{
    start();
    put_file("p.xml", POLICY("<components><component name='alpha'><trial>no</trial></component>"
                             "</components>"));
    T_CHECK(RUN(WITH, "update") == 0);
    T_HAS(CALLS(), "rule alpha flags=4 ");
    T_CHECK(strstr(CALLS(), "\ntrial ") == NULL);
    put_file("p.xml", POLICY("<trial><enabled>yes</enabled></trial>"));
    T_CHECK(RUN(WITH, "update") == 0);
    T_HAS(CALLS(), "\ntrial 3600 s, 2 starts\n");
    T_CHECK(RUN(WITH, "confirm", "tetra@3", "alpha") == 0);
    T_HAS(CALLS(), "\nconfirm flags=0 tetra@3 alpha\n");
    T_SAME(OUT(), "tetra@3 is not on trial.\nalpha is not on trial.\n");
    T_CHECK(RUN(WITH, "reject") == 0);
    T_HAS(CALLS(), "\nreject flags=0\n");
    T_CHECK(RUN(WITH, "early") == 0);
    T_HAS(CALLS(), "\nearly flags=0\n");
}

/* What is on trial keeps its terms in the store. */
static void a_policy_that_nobody_can_read_keeps_no_product_from_starting(void)
{
    start();
    put_file("p.xml", "<policy");
    T_CHECK(RUN(WITH, "status") == 78);
    T_CHECK(RUN(WITH, "confirm") == 78);
    T_CHECK(RUN(WITH, "early") == 0);
    T_HAS(CALLS(), "\nearly flags=0\n");
}

static void a_good_policy_is_kept_and_goes_on_counting_when_the_file_is_bad(void)
{
    const char *kept;

    start();
    put_file("p.xml", POLICY("<components><ring>pilot</ring></components>"));
    T_CHECK(RUN(WITH, "update") == 0);
    kept = read_text(0, "policy.last.xml");
    T_HAS(kept, "<ring>pilot</ring>");
    T_HAS(kept, "\n<!-- crc32 ");
    T_CHECK(strstr(read_text(0, "local.xml"), "<lasterror>0</lasterror>") != NULL);

    put_file("p.xml", POLICY("<components><ring>?</ring></components>"));
    T_CHECK(RUN(WITH, "update") == 0);
    T_HAS(CALLS(), " ring=pilot ");
    T_HAS(ERR(), "defupd: warning: the last good policy is in force: ");
    T_HAS(ERR(), "p.xml:2: ring '?' is not a name; allowed: ");
    T_HAS(read_text(0, "local.xml"), "<lasterror>4294964694</lasterror>"); /* POLICY */
    T_HAS(read_text(0, "policy.last.xml"), "<ring>pilot</ring>");
    T_CHECK(RUN(WITH, "status") == 0);
    T_HAS(OUT(), "Policy        not valid, the last good one is in force: ");
    T_CHECK(RUN(WITH, "--json", "status") == 0);
    T_HAS(json_at("out", 0, "policy_error"), "p.xml:2: ring '?' is not a name");
    T_CHECK(RUN(WITH, "config", "show") == 0);
    T_HAS(OUT(), "Policy: the last good one. ");
    T_HAS(OUT(), "/policy.last.xml:5\n");
    T_CHECK(RUN(WITH, "config", "export") == 0);
    T_HAS(OUT(), "<ring>pilot</ring>");
    T_HAS(ERR(), "warning: this is the last good policy");

    put_file("p.xml", POLICY("<components><ring>slow</ring></components>"));
    T_CHECK(RUN(WITH, "update") == 0);
    T_HAS(CALLS(), " ring=slow ");
    T_SAME(ERR(), "");
    T_HAS(read_text(0, "policy.last.xml"), "<ring>slow</ring>");
    T_HAS(read_text(0, "local.xml"), "<lasterror>0</lasterror>");
}

static void a_failed_update_is_told_rather_than_the_policy(void)
{
    start();
    put_file("p.xml", POLICY(""));
    T_CHECK(RUN(WITH, "update") == 0);
    put_file("p.xml", "bad");
    fake.call_code = DEFUPD_E_PROXY_CONNECT;
    T_CHECK(RUN(WITH, "update") == 69);
    T_HAS(read_text(0, "local.xml"), "<lasterror>4294965193</lasterror>");
}

static void without_a_last_good_policy_a_bad_one_is_a_failure(void)
{
    start();
    put_file("p.xml", "bad");
    T_CHECK(RUN(WITH, "status") == 78);
    T_HAS(ERR(), "p.xml:1: is not well-formed XML");
    T_HAS(ERR(), "-2602 POLICY");
    T_SAME(CALLS(), "(no file)");
    T_CHECK(RUN("--config", "none.xml", STATE, "status") == 78);
    T_HAS(ERR(), "none.xml: No such file or directory");
    T_CHECK(RUN("--json", WITH, "config", "show") == 78);
    T_SAME(json_at("out", 0, "name"), "\"POLICY\"");
}

/* Each way to spoil the kept policy: then it is as if there were none. */
static void a_spoilt_last_good_policy_does_not_count(void)
{
    static const char *const ways[] = {
        "sed -i s/pilot/pilox/ policy.last.xml",
        "truncate -s -1 policy.last.xml",
        "echo >>policy.last.xml",
        ": >policy.last.xml",
        "rm policy.last.xml",
        "chmod 666 policy.last.xml",
        "rm policy.last.xml && mkdir policy.last.xml",
    };

    start();
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        put_file("p.xml", POLICY("<components><ring>pilot</ring></components>"));
        T_CHECK(t_shell("rm -rf policy.last.xml") == 0 && RUN(WITH, "update") == 0);
        put_file("p.xml", "bad");
        T_CHECK(RUN(WITH, "status") == 0);
        T_CHECK(t_shell("%s", ways[i]) == 0);
        T_CHECK(RUN(WITH, "status") == 78);
    }
}

static void who_only_looks_keeps_no_policy(void)
{
    struct stat before, after;

    start();
    put_file("p.xml", POLICY(""));
    T_CHECK(RUN(WITH, "status") == 0 && RUN(WITH, "list") == 0);
    T_CHECK(access("policy.last.xml", F_OK) != 0);
    T_CHECK(RUN("--config", "p.xml", "--state-dir", "./none", "update") == 0);
    T_CHECK(access("none", F_OK) != 0 && access("policy.last.xml", F_OK) != 0);
    /* The same policy is not written again. */
    T_CHECK(RUN(WITH, "update") == 0 && stat("policy.last.xml", &before) == 0);
    fake.write_code = DEFUPD_E_NO_SPACE;
    T_CHECK(RUN(WITH, "hold", "tetra") == 0);
    T_SAME(ERR(), "");
    T_CHECK(stat("policy.last.xml", &after) == 0 && before.st_mtime == after.st_mtime);
    put_file("p.xml", POLICY("<debug/>"));
    T_CHECK(RUN(WITH, "hold", "tetra") == 0);
    T_HAS(ERR(), "defupd: warning: the policy could not be kept: ");
}

static void the_default_file_is_read_only_where_it_is_meant(void)
{
    struct ag_force force;
    defupd_error err = { 0 };

    T_OK(ag_force_load(&force, NULL, NULL, ".", geteuid(), &err), &err);
    T_CHECK(force.from == AG_FORCE_NONE && force.path == NULL);
    ag_force_free(&force);
    T_OK(ag_force_load(&force, NULL, "std.xml", ".", geteuid(), &err), &err); /* it is not there */
    T_CHECK(force.from == AG_FORCE_NONE && force.policy == NULL && force.findings.count == 0);
    ag_force_free(&force);
    put_file("std.xml", POLICY(""));
    T_OK(ag_force_load(&force, NULL, "std.xml", ".", geteuid(), &err), &err);
    T_CHECK(force.from == AG_FORCE_FILE && force.policy != NULL);
    ag_force_free(&force);
    put_file("std.xml", "bad");
    T_FAILS(ag_force_load(&force, NULL, "std.xml", ".", geteuid(), &err), DEFUPD_E_POLICY, &err);
    ag_force_free(&force);
}

static const char *standard_for(const char *const *argv)
{
    struct ag_args args;
    defupd_error err = { 0 };
    const char *standard = "?";

    T_OK(ag_args_parse(&args, (char *const *)(uintptr_t)argv, &err), &err);
    T_CHECK(ag_config_file(&args, &standard) == NULL);
    ag_args_free(&args);
    return standard != NULL ? standard : "none";
}
#define STANDARD(...) standard_for((const char *const[]){ __VA_ARGS__, NULL })

static void options_that_stand_alone_leave_etc_alone(void)
{
    T_SAME(STANDARD("status"), "/etc/defupd/policy.xml");
    T_SAME(STANDARD("--source", "http://a/", "check"), "/etc/defupd/policy.xml");
    T_SAME(STANDARD("--state-dir", "/var/lib/defupd", "check"), "/etc/defupd/policy.xml");
    T_SAME(STANDARD("--state-dir", "/var/lib/defupd", "--source", "http://a/", "check"), "none");
    T_SAME(STANDARD("--state-dir", "/other", "status"), "none");
}

static void config_test_checks_a_file(void)
{
    start();
    put_file("p.xml", POLICY(""));
    T_CHECK(RUN(WITH, "config", "test") == 0);
    T_SAME(OUT(), "p.xml: OK\n");
    put_file("new.xml", POLICY("<a/>\n<b/>"));
    T_CHECK(chmod("new.xml", 0666) == 0); /* on its way, it may be anybody's */
    T_CHECK(RUN(WITH, "config", "test", "new.xml") == 78);
    T_SAME(OUT(), "");
    T_HAS(ERR(), "new.xml:2: unknown element 'a' in <policy>; allowed: schedule, sources, ");
    T_HAS(ERR(), "\nnew.xml:3: unknown element 'b'");
    T_HAS(ERR(), "\ndefupd: new.xml: 2 errors\n  -2602 POLICY: ");
    T_CHECK(RUN(WITH, "--json", "config", "test", "new.xml") == 78);
    T_SAME(json_at("out", 0, "ok"), "false");
    T_HAS(json_at("out", 0, "errors.1"), "new.xml:3: ");
    T_CHECK(chmod("p.xml", 0666) == 0);
    T_CHECK(RUN(WITH, "config", "test") == 78);
    T_HAS(ERR(), "-2603 POLICY_OWNER");
    put_file("ca.xml", POLICY("<tls><ca-file>/nowhere/ca.pem</ca-file></tls>"));
    T_CHECK(RUN(WITH, "config", "test", "ca.xml") == 78);
    T_HAS(ERR(), "ca.xml:2: tls/ca-file: cannot read /nowhere/ca.pem: No such file");
    T_CHECK(RUN(STATE, "config", "test") == 64);
}

static void config_show_tells_where_each_value_comes_from(void)
{
    start();
    put_file("p.xml", POLICY("<schedule><interval>PT3H</interval></schedule>\n"
                             "<components><component name='a'/><component name='b'>\n"
                             "<pin>5</pin></component></components>"));
    T_CHECK(mkdir("p.d", 0755) == 0);
    put_file("p.d/x.xml", POLICY("<retention><generations>3</generations></retention>"));
    T_CHECK(RUN(WITH, "config", "show") == 0);
    T_HAS(OUT(), "/p.xml\nSETTING ");
    T_HAS(OUT(), "schedule/interval              PT3H   ");
    T_HAS(OUT(), "/p.xml:2\n");
    T_HAS(OUT(), "schedule/run-missed            yes       default\n");
    T_HAS(OUT(), "components/component[a]        -      ");
    T_HAS(OUT(), "components/component[b]/pin    5      ");
    T_HAS(OUT(), "/p.d/x.xml:2\n");
    T_CHECK(RUN(WITH, "--json", "config", "show") == 0);
    T_SAME(json_at("out", 0, "in_force"), "\"file\"");
    T_HAS(json_at("out", 0, "settings.1"), "{\"setting\":\"schedule/interval\",\"value\":\"PT3H\","
                                           "\"origin\":\"file\",\"file\":\"");
    T_SAME(json_at("out", 0, "settings.1.line"), "2");
    T_SAME(json_at("out", 0, "settings.2.origin"), "\"default\"");
    T_CHECK(RUN(STATE, "config", "show") == 0);
    T_HAS(OUT(), "No policy file: the defaults count.\n");
}

static void what_is_exported_can_be_loaded_again(void)
{
    start();
    put_file("p.xml", POLICY("<hooks><validate><command>/c</command><argument> &lt; </argument>"
                             "</validate></hooks><user-update><user>a</user></user-update>"));
    T_CHECK(RUN(WITH, "config", "export") == 0);
    T_CHECK(t_shell("cp out e.xml") == 0);
    T_CHECK(RUN("--config", "e.xml", STATE, "config", "export") == 0);
    T_CHECK(t_shell("cmp out e.xml") == 0);
    T_HAS(OUT(), "<argument> &lt; </argument>");
    T_CHECK(RUN(STATE, "config", "export") == 0);
    T_HAS(OUT(), "<policy format=\"1\"/>");
}

static void the_service_gets_lines(void)
{
    start();
    put_file("p.xml",
             POLICY("<schedule><interval>PT1H</interval><window days='sun,mon' from='22:00' "
                    "to='06:00'/><window/><run-missed>no</run-missed><verify>PT0S</verify>"
                    "</schedule><user-update><everyone>yes</everyone><user>eve</user><group>g"
                    "</group></user-update><hooks><on-error><command>/b c</command><argument>100%"
                    "</argument><argument>\xc3\xa9\n</argument><user>u</user></on-error></hooks>"
                    "<report><url>https://m/</url></report>"
                    "<debug><until>2027-01-01T00:00:00Z</until></debug>"));
    T_CHECK(RUN(WITH, "config", "compile") == 0);
    T_HAS(OUT(), "defupd-agent-config 1\nstate-dir /");
    T_HAS(OUT(),
          "/p.xml\nslot-s 3599\ninterval-s 3600\ninitial-delay-s 60\n"
          "window mon,sun 22:00 06:00\nwindow * 00:00 24:00\nrun-missed no\n"
          "back-off-s 60 7200\nverify-s 0\nuser-update all\nuser-update users eve\n"
          "user-update groups g\n"
          "hook on-error user=u timeout-s=60 memory-bytes=268435456 /b%20c 100%25 %C3%A9%0A\n"
          "report https://m/\nrun-timeout-s 43200\ndebug-until 1798761600\nend\n");
    T_CHECK(strstr(OUT(), "error") == strstr(OUT(), "error user="));
    T_HAS(read_text(0, "policy.last.xml"), "<url>https://m/</url>");

    put_file("p.xml", "bad");
    T_CHECK(RUN(WITH, "config", "compile") == 0);
    T_HAS(OUT(), "\npolicy last-good\nerror /");
    T_HAS(OUT(), "p.xml:1:%20is%20not%20well-formed");
    T_HAS(OUT(), "\nerror-code -2602\nslot-s 3599\ninterval-s 3600\n");
    T_HAS(read_text(0, "local.xml"), "<lasterror>4294964694</lasterror>");

    T_CHECK(unlink("policy.last.xml") == 0);
    T_CHECK(RUN(WITH, "config", "compile") == 0);
    T_HAS(OUT(), "\npolicy built-in\nerror /");
    T_HAS(OUT(), "\nslot-s 7199\ninterval-s 7200\n");
    put_file("p.xml", POLICY("<schedule><enabled>no</enabled></schedule>"));
    T_CHECK(RUN(WITH, "config", "compile") == 0);
    T_HAS(OUT(), "/p.xml\ninterval-s 0\n");
    T_CHECK(strstr(OUT(), "slot-s") == NULL);
    T_HAS(read_text(0, "local.xml"), "<lasterror>0</lasterror>");
}

static void a_store_that_cannot_be_used_leaves_the_service_its_policy(void)
{
    start();
    fake.open_code = DEFUPD_E_STORE_OWNER;
    T_CHECK(RUN(STATE, "config", "compile") == 0);
    T_HAS(OUT(), "policy built-in\ninterval-s 7200\n");
    T_HAS(ERR(), "warning: no slot for this host: ");
}

static void examples_are_written_once_and_never_again(void)
{
    start();
    T_CHECK(mkdir("etc", 0755) == 0);
    T_CHECK(RUN("--config", "etc/policy.xml", STATE, "config", "init") == 0);
    T_SAME(OUT(), "5 examples written.\n");
    T_CHECK(access("examples.written", F_OK) == 0 && access("etc/policy.xml", F_OK) != 0);
    T_CHECK(
        t_shell("test \"$(ls etc/policy.d | tr '\\n' ' ')\" = "
                "'hooks.xml.example proxy.xml.example relay.xml.example relays.xml.example '") ==
        0);
    T_CHECK(t_shell("rm -r etc/policy.d etc/policy.xml.example") == 0);
    T_CHECK(RUN("--config", "etc/policy.xml", STATE, "config", "init") == 0);
    T_SAME(OUT(), "No example written: it was done before.\n");
    T_CHECK(t_shell("test -z \"$(ls etc)\"") == 0);
}

static void an_example_takes_no_files_place(void)
{
    start();
    T_CHECK(mkdir("etc", 0755) == 0);
    put_file("etc/policy.xml.example", "mine");
    T_CHECK(symlink("/nowhere", "etc/policy.d") == 0);
    T_CHECK(RUN("--config", "etc/policy.xml", STATE, "config", "init") == 73);
    T_CHECK(access("examples.written", F_OK) != 0);
    T_CHECK(unlink("etc/policy.d") == 0);
    T_CHECK(RUN("--config", "etc/policy.xml", STATE, "config", "init") == 0);
    T_SAME(OUT(), "4 examples written.\n");
    T_SAME(read_text(0, "etc/policy.xml.example"), "mine");
}

int main(void)
{
    T_RUN(every_setting_reaches_the_library);
    T_RUN(numbers_and_flags_reach_the_library);
    T_RUN(relays_and_servers_have_their_ways);
    T_RUN(files_that_policy_names_are_opened_when_they_are_needed);
    T_RUN(the_command_line_takes_the_place_of_settings);
    T_RUN(trials_are_off_until_policy_wants_them);
    T_RUN(a_policy_that_nobody_can_read_keeps_no_product_from_starting);
    T_RUN(a_good_policy_is_kept_and_goes_on_counting_when_the_file_is_bad);
    T_RUN(a_failed_update_is_told_rather_than_the_policy);
    T_RUN(without_a_last_good_policy_a_bad_one_is_a_failure);
    T_RUN(a_spoilt_last_good_policy_does_not_count);
    T_RUN(who_only_looks_keeps_no_policy);
    T_RUN(the_default_file_is_read_only_where_it_is_meant);
    T_RUN(options_that_stand_alone_leave_etc_alone);
    T_RUN(config_test_checks_a_file);
    T_RUN(config_show_tells_where_each_value_comes_from);
    T_RUN(what_is_exported_can_be_loaded_again);
    T_RUN(the_service_gets_lines);
    T_RUN(a_store_that_cannot_be_used_leaves_the_service_its_policy);
    T_RUN(examples_are_written_once_and_never_again);
    T_RUN(an_example_takes_no_files_place);
    return T_DONE();
}
