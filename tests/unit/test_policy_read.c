/* SPDX-License-Identifier: Apache-2.0 */
/* policy.xml: what is taken, and what is said about what is not. */
#include <sys/stat.h>

#include "policy/policy.h"
#include "t.h"

static struct ag_findings findings;
static struct ag_policy *policy;

static void put_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    if (file == NULL || fputs(text, file) < 0 || fclose(file) != 0)
        abort();
}

static void forget(void)
{
    ag_policy_free(policy);
    policy = NULL;
    ag_findings_free(&findings);
}

/* Read one document called "p.xml". */
static defupd_code take(const char *text, size_t count, defupd_error *err)
{
    defupd_code rc;

    forget();
    policy = calloc(1, sizeof *policy);
    if (policy == NULL)
        abort();
    rc = ag_policy_read(policy, "p.xml", text, count, &findings, err);
    if (rc == DEFUPD_OK)
        ag_policy_check(policy, &findings);
    return rc;
}

static bool takes(const char *text)
{
    defupd_error err = { 0 };
    const bool taken = take(text, strlen(text), &err) == DEFUPD_OK && findings.count == 0;

    for (size_t i = 0; i < findings.count && !taken; i++)
        printf("# %s\n", findings.line[i]);
    return taken;
}

/* The only finding about a document. */
static const char *says(const char *text)
{
    defupd_error err = { 0 };

    (void)take(text, strlen(text), &err);
    for (size_t i = 1; i < findings.count; i++)
        printf("# and: %s\n", findings.line[i]);
    return findings.count == 1 ? findings.line[0] : findings.count == 0 ? "(nothing)" : "(more)";
}

#define IN(section, inside) "<policy format='1'>\n<" section ">" inside "</" section "></policy>"

static void every_setting_is_read_with_its_type(void)
{
    const struct ag_value *at;

    T_CHECK(takes("<policy format='1'>"
                  "<schedule><interval> PT90M </interval><initial-delay>00:00:30</initial-delay>"
                  "<window days='sat,sun' from='22:30'/><window to='06:00'/>"
                  "<run-missed>no</run-missed><back-off first='PT5S' max='P1DT1H'/></schedule>"
                  "<transfer><bytes-per-day>200M</bytes-per-day></transfer>"
                  "<components><component name='tetra'><pin>1003</pin></component>"
                  "<component name='yara'><engine>scan</engine><hold>yes</hold></component>"
                  "</components>"
                  "<licenses><license class='av' expires='2027-02-28T23:59:59Z'/></licenses>"
                  "<hooks><validate><command>/bin/check</command><argument> a  b </argument>"
                  "<argument>--</argument></validate></hooks>"
                  "<withdrawn-without-replacement>remove</withdrawn-without-replacement>"
                  "</policy>"));
    T_CHECK(ag_policy_number(policy, "schedule/interval") == 5400);
    T_CHECK(ag_policy_number(policy, "schedule/initial-delay") == 30);
    T_CHECK(ag_policy_number(policy, "schedule/run-missed") == 0);
    T_CHECK(ag_policy_number(policy, "schedule/back-off/@max") == 90000);
    T_CHECK(ag_policy_number(policy, "transfer/bytes-per-day") == 200u << 20);
    T_CHECK(ag_policy_number(policy, "withdrawn-without-replacement") == 1);
    at = ag_policy_at(policy, "schedule/window");
    T_CHECK(ag_value_number(at, "days") == 0x60 && ag_value_number(at, "from") == 1350);
    T_CHECK(ag_value_number(at, "to") == 1440);
    at = ag_value_next(at);
    T_CHECK(at != NULL && ag_value_number(at, "days") == 0x7f && ag_value_number(at, "to") == 360);
    T_CHECK(ag_value_next(at) == NULL);
    T_CHECK(ag_value_number(ag_policy_component(policy, "tetra"), "pin") == 1003);
    T_CHECK(ag_value_number(ag_policy_component(policy, "yara"), "hold") == 1);
    T_CHECK(ag_policy_component(policy, "other") == NULL);
    T_SAME(ag_policy_engine(policy, "yara"), "scan");
    T_SAME(ag_policy_engine(policy, "tetra"), "tetra");
    T_CHECK(ag_policy_number(policy, "licenses/license/@expires") == 1803859199);
    at = ag_policy_at(policy, "hooks/validate");
    T_SAME(ag_value_text(at, "argument"), " a  b ");
    T_SAME(ag_value_next(ag_value_in(at, "argument"))->text, "--");
    T_SAME(ag_value_text(at, "user"), "nobody");
    forget();
}

static void what_is_not_set_has_its_default(void)
{
    T_CHECK(takes("<policy format=\"1\"/>"));
    T_CHECK(ag_policy_number(policy, "schedule/interval") == 7200);
    T_CHECK(ag_policy_number(NULL, "schedule/interval") == 7200);
    T_CHECK(ag_policy_number(NULL, "schedule/verify") == 604800);
    T_CHECK(ag_policy_number(NULL, "retention/generations") == 1);
    T_CHECK(ag_policy_number(NULL, "withdrawn-without-replacement") == 0);
    T_CHECK(ag_policy_text(NULL, "proxy/url") == NULL);
    T_CHECK(ag_policy_at(NULL, "proxy/url") == NULL);
    T_SAME(ag_policy_engine(NULL, "tetra"), "tetra");
    forget();
}

static void every_default_of_the_table_is_allowed(void)
{
    uint64_t number;

    for (const struct ag_setting *at = ag_settings; at->path != NULL; at++) {
        if (at->standard != NULL && !ag_value_read(at, at->standard, &number)) {
            printf("# %s: %s\n", at->path, at->standard);
            T_CHECK(false && "a default that is not allowed");
        }
        T_CHECK(at->type == AG_GROUP || at->min <= at->max);
        T_CHECK(ag_setting_find(at->path) == at); /* and no path twice */
        T_CHECK(at->text[strlen(at->text) - 1] == '.' && strlen(at->path) < 60);
        T_CHECK((at->flags & AG_SET_MANY) == 0 || at->most > 1);
    }
}

static void each_error_names_the_line_and_what_is_allowed(void)
{
    T_SAME(says(IN("schedule", "<interval>soon</interval>")),
           "p.xml:2: interval 'soon' is not a duration in range; allowed: PT1M to P30D, ISO 8601 "
           "or HH:MM:SS");
    T_SAME(says(IN("schedule", "\n\n<intervall>PT2H</intervall>")),
           "p.xml:4: unknown element 'intervall' in <schedule>; allowed: enabled, interval, "
           "initial-delay, window, run-missed, back-off, verify, run-timeout");
    T_SAME(says(IN("schedule", "<window day='mon'/>")),
           "p.xml:2: unknown attribute 'day' in <window>; allowed: days, from, to");
    T_SAME(says(IN("transfer", "<metered>true</metered>")),
           "p.xml:2: metered 'true' is not yes or no; allowed: yes, no");
    T_SAME(says(IN("transfer", "<attempts>101</attempts>")),
           "p.xml:2: attempts '101' is not a number in range; allowed: 1 to 100");
    T_SAME(says(IN("transfer", "<max-tree-size>1K</max-tree-size>")),
           "p.xml:2: max-tree-size '1K' is not a size in range; allowed: 1M to 1024T, bytes or "
           "with K, M, G, T");
    T_SAME(says(IN("schedule", "<interval>PT2H</interval>\n<interval>PT3H</interval>")),
           "p.xml:3: <interval> comes twice, first in line 2; allowed: once");
    T_SAME(says(IN("debug", "") ""), "(nothing)");
    T_SAME(says("<policy format='1'><debug/>\n<debug/></policy>"),
           "p.xml:2: <debug> comes twice, first in line 1; allowed: once");
    T_SAME(says(IN("licenses", "<license class='av'/>")),
           "p.xml:2: <license> lacks the attribute 'expires'; allowed: class, expires");
    T_SAME(says(IN("sources", "<relays/>")),
           "p.xml:2: <relays> lacks the element 'relay'; allowed: attempts, offline-grace, relay, "
           "auth-file, proxy, proxy-auth-file, proxy-method, bypass, ca-file, pinned-key, "
           "client-certificate, client-key, crl-file, revocation");
    T_SAME(says(IN("trust", "here <root>/r</root>")),
           "p.xml:2: text in <trust>; allowed: elements: root");
    T_SAME(says(IN("trust", "<root>/r<b/></root>")),
           "p.xml:2: unknown element 'b' in <root>; allowed: text alone");
    T_SAME(says(IN("trust", "<root>r</root>")),
           "p.xml:2: root 'r' is not an absolute path; allowed: /..., below 4096 bytes, no control "
           "characters");
    T_SAME(says(IN("components", "<component name='local'/>")),
           "p.xml:2: name 'local' is not a component's name; allowed: a to z first, then a to z, 0 "
           "to 9 and -, at most 32, no reserved word");
    T_SAME(says(IN("withdrawn-without-replacement", "drop")),
           "p.xml:2: withdrawn-without-replacement 'drop' is not one of its words; allowed: keep, "
           "remove");
    forget();
}

static void all_errors_of_a_file_are_told(void)
{
    defupd_error err = { 0 };
    const char text[] = "<policy format='1'>\n<schedule><interval>x</interval></schedule>\n"
                        "<bogus/>\n<proxy><url>ftp://p</url></proxy></policy>";

    T_FAILS(take(text, strlen(text), &err), DEFUPD_E_POLICY, &err);
    T_CHECK(findings.count == 3);
    T_SAME(err.message, findings.line[0]);
    T_CHECK(strncmp(findings.line[1], "p.xml:3: unknown element 'bogus'", 32) == 0);
    T_CHECK(strncmp(findings.line[2], "p.xml:4: url 'ftp://p'", 22) == 0);
    forget();
}

static void a_flood_of_errors_is_cut(void)
{
    char *text = malloc(400000), *at = text;
    defupd_error err = { 0 };

    at = stpcpy(at, "<policy format='1'>");
    for (int i = 0; i < 30000; i++)
        at = stpcpy(at, "<a/>");
    (void)stpcpy(at, "</policy>");
    T_FAILS(take(text, strlen(text), &err), DEFUPD_E_POLICY, &err);
    T_CHECK(findings.count == AG_FINDINGS_MAX);
    T_CHECK(findings.more == AG_POLICY_NODES_MAX - AG_FINDINGS_MAX + 1);
    free(text);
    forget();
}

static void a_setting_of_a_later_version_is_refused_and_named(void)
{
    T_SAME(says(IN("report", "<url>http://h/</url><auth-file>/a</auth-file>")),
           "p.xml:2: report/auth-file is not supported by this version");
    /* To ask for what is the case anyway asks for nothing. */
    T_CHECK(takes(IN("tls", "<revocation>off</revocation>")));
    T_CHECK(takes(IN("trial", "<enabled>no</enabled>")));
    forget();
}

static void a_relay_says_where_it_listens_and_whom_it_serves(void)
{
    T_CHECK(takes(IN("relay", "<listen>0.0.0.0:8090</listen><listen>[::]:8090</listen>"
                              "<allow>10.0.0.0/8</allow><mode>cache</mode>")));
    T_SAME(says(IN("relay", "<listen>somewhere:8090</listen>")),
           "p.xml:2: listen 'somewhere:8090' is not an address with a port; allowed: "
           "192.0.2.1:8090 or [2001:db8::1]:8090");
    T_SAME(says(IN("relay", "<allow>10.0.0.0/33</allow>")),
           "p.xml:2: allow '10.0.0.0/33' is not a network; allowed: 192.0.2.0/24, 2001:db8::/32 or "
           "a single address");
    forget();
}

static void credentials_never_come_into_a_message(void)
{
    T_SAME(says(IN("proxy", "<url>http://me:secret@proxy:3128</url>")),
           "p.xml:2: url 'http://***@proxy:3128' is not a proxy's URL; allowed: none, env, or "
           "SCHEME://HOST:PORT (http, https, socks5, socks5h), without user and password "
           "(auth-file)");
    T_CHECK(strstr(says(IN("proxy", "<url>http://p:1</url><auth-file>me:secret</auth-file>")),
                   "secret") == NULL);
    T_CHECK(strstr(says(IN("report", "<url>https://me:secret@h/a@b</url>")), "secret") == NULL);
    forget();
}

static void settings_that_do_not_go_together_are_refused(void)
{
    T_SAME(says(IN("schedule", "<window from='10:00' to='10:00'/>")),
           "p.xml:2: <window> ends when it begins, 10:00; allowed: another time, or 00:00 to 24:00 "
           "for the whole day");
    T_SAME(says(IN("schedule", "<back-off first='PT3H'/>")),
           "p.xml:2: <back-off> begins above its max; allowed: first below max");
    T_SAME(says(IN("components", "<component name='a'><pin>1</pin><hold>yes</hold></component>")),
           "p.xml:2: component 'a' is held and pinned; allowed: one of hold and pin");
    T_SAME(says(IN("proxy", "<auth-file>/a</auth-file>")),
           "p.xml:2: auth-file without a proxy; allowed: together with url");
    T_SAME(says(IN("components", "<component name='a'/>\n<component name='b'/>"
                                 "<component name='a'/>")),
           "p.xml:3: <component> with name 'a' comes twice, first in line 2; allowed: once");
    forget();
}

static void what_is_no_plain_xml_is_refused(void)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        { "<!DOCTYPE policy [<!ENTITY a 'b'>]><policy format='1'/>",
          "p.xml:1: has a DOCTYPE; allowed: elements and comments alone" },
        { "<!DOCTYPE policy SYSTEM 'http://127.0.0.1:1/x'>\n<policy format='1'/>",
          "p.xml:1: has a DOCTYPE; allowed: elements and comments alone" },
        { "<policy format='2'/>",
          "p.xml:1: format '2' of <policy> is not known to this version; allowed: 1" },
        { "<policy/>", "p.xml:1: <policy> lacks the attribute 'format'; allowed: format=\"1\"" },
        { "<policies format='1'/>",
          "p.xml:1: the outermost element is 'policies'; allowed: policy, without namespace" },
        { "<policy xmlns='urn:x' format='1'/>",
          "p.xml:1: the outermost element is 'policy'; allowed: policy, without namespace" },
        { "<policy format='1' xml:base='/'/>",
          "p.xml:1: unknown attribute 'base' in <policy>; allowed: format" },
        { "<?xml version='1.0' encoding='ISO-8859-1'?><policy format='1'/>",
          "p.xml:1: is declared as 'ISO-8859-1'; allowed: UTF-8" },
        { "<policy format='1'>\n\xff</policy>", "p.xml:2: is not UTF-8; allowed: XML in UTF-8" },
        { "<policy format='1'><debug><until>&later;</until></debug></policy>",
          "p.xml:1: is not well-formed XML: Entity 'later' not defined" },
        { "<a><a><a><a><a><a><a><a>\n<a/></a></a></a></a></a></a></a></a>",
          "p.xml:2: elements are nested more than 8 deep; allowed: at most 8" },
    };
    defupd_error err = { 0 };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        T_SAME(says(cases[i].text), cases[i].says);
    T_CHECK(strncmp(says("<policy format='1'>\n<a></policy>"),
                    "p.xml:2: is not well-formed XML: ", 33) == 0);
    T_CHECK(strncmp(says("hello"), "p.xml:1: is not well-formed XML", 31) == 0);
    T_SAME(says(""), "p.xml:1: has 0 bytes; allowed: 1 to 1048576");
    T_FAILS(take("<policy format='1'>\n\0</policy>", 30, &err), DEFUPD_E_POLICY, &err);
    T_SAME(err.message, "p.xml:2: has a NUL byte; allowed: XML in UTF-8");
    T_CHECK(takes("\xef\xbb\xbf<?xml version='1.0' encoding='utf-8'?><!-- a --><policy "
                  "format='1'><?pi?><!-- b --></policy>"));
    forget();
}

static void limits_hold_at_their_edges(void)
{
    char *text = malloc(AG_POLICY_BYTES_MAX + 100), *at;
    defupd_error err = { 0 };

    memset(text, ' ', AG_POLICY_BYTES_MAX + 1);
    memcpy(text, "<policy format='1'/>", 20);
    T_OK(take(text, AG_POLICY_BYTES_MAX, &err), &err);
    T_FAILS(take(text, AG_POLICY_BYTES_MAX + 1, &err), DEFUPD_E_POLICY, &err);

    at = stpcpy(text, "<policy format='1'><components>");
    for (int i = 0; i < 256; i++)
        at += sprintf(at, "<component name='c%d'/>", i);
    (void)stpcpy(at, "</components></policy>");
    T_CHECK(takes(text));
    (void)stpcpy(at, "\n<component name='one'/></components></policy>");
    T_SAME(says(text), "p.xml:2: <component> comes more than 256 times; allowed: at most 256");

    at = stpcpy(text, "<policy format='1'><hooks><validate><command>/c</command><argument>");
    memset(at, 'x', 4095);
    (void)stpcpy(at + 4095, "</argument></validate></hooks></policy>");
    T_CHECK(takes(text));
    memset(at, 'x', 4096);
    (void)stpcpy(at + 4096, "</argument></validate></hooks></policy>");
    T_CHECK(strstr(says(text), "is not text that fits; allowed: 1 to 4095 bytes") != NULL);
    free(text);
    forget();
}

static void what_is_written_reads_the_same(void)
{
    defupd_error err = { 0 };
    char *first = NULL, *second = NULL;

    T_CHECK(takes("<policy format='1'><debug><until>2027-01-01T00:00:00Z</until></debug>"
                  "<hooks><on-error><command>/b &amp; c</command><argument> &lt;x&gt;\n\t\r&#13;"
                  "</argument><argument>\xc3\xa9</argument></on-error></hooks>"
                  "<schedule><window to='06:00' days='mon'/></schedule></policy>"));
    T_OK(ag_policy_write(&first, policy, "made -- here-", &err), &err);
    T_CHECK(strstr(first, "<!-- made _- here- -->") != NULL);
    T_CHECK(takes(first));
    T_SAME(ag_policy_text(policy, "hooks/on-error/command"), "/b & c");
    T_SAME(ag_policy_text(policy, "hooks/on-error/argument"), " <x>\n\t\n\r");
    T_OK(ag_policy_write(&second, policy, "made -- here-", &err), &err);
    T_SAME(second, first);
    free(first);
    free(second);
    forget();
}

/* --- files --- */

static defupd_code load(const char *path, defupd_error *err)
{
    ag_policy_free(policy);
    ag_findings_free(&findings);
    return ag_policy_load(&policy, path, geteuid(), 0, &findings, err);
}

static void dropins_replace_whole_sections_in_the_order_of_names(void)
{
    defupd_error err = { 0 };

    put_file("p.xml", "<policy format='1'><proxy><url>http://a:1</url></proxy>"
                      "<transfer><attempts>2</attempts><metered>yes</metered></transfer></policy>");
    T_CHECK(mkdir("p.d", 0755) == 0);
    put_file("p.d/20-b.xml", "<policy format='1'>\n<transfer><attempts>4</attempts></transfer>"
                             "</policy>");
    put_file("p.d/10-a.xml", "<policy format='1'><transfer><attempts>3</attempts></transfer>"
                             "<proxy/></policy>");
    put_file("p.d/30-c.xml.old", "no XML");
    put_file("p.d/.40-d.xml", "no XML");
    T_OK(load("p.xml", &err), &err);
    T_CHECK(ag_policy_number(policy, "transfer/attempts") == 4);
    T_CHECK(ag_policy_number(policy, "transfer/metered") == 0); /* the whole section is another */
    T_CHECK(ag_policy_at(policy, "proxy/url") == NULL);
    T_SAME(ag_policy_at(policy, "transfer/attempts")->file, "p.d/20-b.xml");
    T_CHECK(ag_policy_at(policy, "transfer/attempts")->line == 2);
    forget();
}

static void a_bad_dropin_spoils_the_whole(void)
{
    defupd_error err = { 0 };

    put_file("p.xml", "<policy format='1'/>");
    T_CHECK(mkdir("p.d", 0755) == 0);
    put_file("p.d/a.xml", "<policy format='1'><x/></policy>");
    put_file("p.d/b.xml", "<policy format='1'><y/></policy>");
    T_FAILS(load("p.xml", &err), DEFUPD_E_POLICY, &err);
    T_CHECK(policy == NULL && findings.count == 2);
    T_CHECK(strncmp(findings.line[1], "p.d/b.xml:1: unknown element 'y'", 32) == 0);
    forget();
}

static void more_dropins_than_the_limit_are_refused(void)
{
    defupd_error err = { 0 };

    put_file("p.xml", "<policy format='1'/>");
    T_CHECK(t_shell("mkdir p.d && for i in $(seq 64); do echo '<policy format=\"1\"/>' >"
                    "p.d/$i.xml; done") == 0);
    T_OK(load("p.xml", &err), &err);
    put_file("p.d/65.xml", "<policy format='1'/>");
    T_FAILS(load("p.xml", &err), DEFUPD_E_POLICY, &err);
    T_SAME(err.message, "p.d: has 65 drop-ins; allowed: at most 64");
    forget();
}

static void what_others_can_change_is_not_taken(void)
{
    defupd_error err = { 0 };

    put_file("p.xml", "<policy format='1'/>");
    T_CHECK(chmod("p.xml", 0664) == 0);
    T_FAILS(load("p.xml", &err), DEFUPD_E_POLICY_OWNER, &err);
    T_CHECK(strstr(err.message, "p.xml: the file is writable by others (mode 0664)") != NULL);
    T_CHECK(findings.count == 1);
    T_CHECK(chmod("p.xml", 0644) == 0 && chmod(".", 0777) == 0);
    T_FAILS(load("p.xml", &err), DEFUPD_E_POLICY_OWNER, &err);
    T_CHECK(strstr(err.message, ".: the folder is writable by others (mode 0777)") != NULL);
    T_CHECK(chmod(".", 0755) == 0 && mkdir("p.d", 0755) == 0 && chmod("p.d", 0775) == 0);
    T_FAILS(load("p.xml", &err), DEFUPD_E_POLICY_OWNER, &err);
    T_CHECK(chmod("p.d", 0755) == 0);
    put_file("p.d/a.xml", "<policy format='1'/>");
    T_OK(load("p.xml", &err), &err);
    T_CHECK(chmod("p.d/a.xml", 0646) == 0);
    T_FAILS(load("p.xml", &err), DEFUPD_E_POLICY_OWNER, &err);
    T_CHECK(strstr(err.message, "p.d/a.xml: the file is writable") != NULL);
    forget();
}

static void a_link_leads_only_where_nobody_else_can_write(void)
{
    defupd_error err = { 0 };

    T_CHECK(mkdir("open", 0755) == 0 && mkdir("shut", 0755) == 0 && chmod("open", 0777) == 0);
    put_file("open/real.xml", "<policy format='1'/>");
    put_file("shut/real.xml", "<policy format='1'/>");
    T_CHECK(symlink("shut/real.xml", "p.xml") == 0);
    T_OK(load("p.xml", &err), &err);
    T_CHECK(unlink("p.xml") == 0 && symlink("open/real.xml", "p.xml") == 0);
    T_FAILS(load("p.xml", &err), DEFUPD_E_POLICY_OWNER, &err);
    forget();
}

static void a_policy_of_another_user_is_not_taken(void)
{
    defupd_error err = { 0 };

    if (geteuid() != 0)
        return; /* who is no root cannot give files away */
    put_file("p.xml", "<policy format='1'/>");
    T_CHECK(chown("p.xml", 4711, 0) == 0);
    T_FAILS(load("p.xml", &err), DEFUPD_E_POLICY_OWNER, &err);
    T_SAME(err.message,
           "p.xml: the file belongs to user 4711; allowed: root, or the store's owner");
    ag_findings_free(&findings);
    T_OK(ag_policy_load(&policy, "p.xml", 4711, 0, &findings, &err), &err);
    forget();
}

static void what_is_no_file_is_refused_without_waiting(void)
{
    defupd_error err = { 0 };

    T_FAILS(load("p.xml", &err), DEFUPD_E_POLICY, &err);
    T_CHECK(findings.count == 1);
    T_CHECK(mkfifo("fifo.xml", 0644) == 0 && mkdir("dir.xml", 0755) == 0);
    T_FAILS(load("fifo.xml", &err), DEFUPD_E_POLICY, &err);
    T_FAILS(load("dir.xml", &err), DEFUPD_E_POLICY, &err);
    T_FAILS(load("/dev/null", &err), DEFUPD_E_POLICY, &err);
    forget();
}

static void files_with_credentials_are_closed_to_others(void)
{
    char text[600], here[300];
    defupd_error err = { 0 };

    if (getcwd(here, sizeof here) == NULL)
        abort();
    (void)snprintf(text, sizeof text,
                   "<policy format='1'><proxy><url>http://p:1</url><auth-file>%s/auth</auth-file>"
                   "</proxy><tls><ca-file>%s/ca</ca-file></tls></policy>",
                   here, here);
    put_file("p.xml", text);
    put_file("auth", "me:secret\n");
    put_file("ca", "");
    T_CHECK(chmod("auth", 0640) == 0);
    T_OK(load("p.xml", &err), &err);
    T_CHECK(ag_policy_check_files(policy, geteuid(), &findings) == DEFUPD_E_POLICY_OWNER);
    T_CHECK(findings.count == 1 && strstr(findings.line[0], "is open to others") != NULL);
    ag_findings_free(&findings);
    T_CHECK(chmod("auth", 0600) == 0);
    T_CHECK(ag_policy_check_files(policy, geteuid(), &findings) == DEFUPD_OK);
    T_CHECK(findings.count == 0);
    T_CHECK(unlink("ca") == 0);
    T_CHECK(ag_policy_check_files(policy, geteuid(), &findings) == DEFUPD_E_POLICY);
    T_CHECK(findings.count == 1 && strstr(findings.line[0], "tls/ca-file: cannot read") != NULL);
    T_CHECK(chmod("auth", 0640) == 0);
    T_CHECK(ag_policy_check_files(policy, geteuid(), &findings) == DEFUPD_E_POLICY);
    forget();
}

int main(void)
{
    T_RUN(every_setting_is_read_with_its_type);
    T_RUN(what_is_not_set_has_its_default);
    T_RUN(every_default_of_the_table_is_allowed);
    T_RUN(each_error_names_the_line_and_what_is_allowed);
    T_RUN(all_errors_of_a_file_are_told);
    T_RUN(a_flood_of_errors_is_cut);
    T_RUN(a_setting_of_a_later_version_is_refused_and_named);
    T_RUN(a_relay_says_where_it_listens_and_whom_it_serves);
    T_RUN(credentials_never_come_into_a_message);
    T_RUN(settings_that_do_not_go_together_are_refused);
    T_RUN(what_is_no_plain_xml_is_refused);
    T_RUN(limits_hold_at_their_edges);
    T_RUN(what_is_written_reads_the_same);
    T_RUN(dropins_replace_whole_sections_in_the_order_of_names);
    T_RUN(a_bad_dropin_spoils_the_whole);
    T_RUN(more_dropins_than_the_limit_are_refused);
    T_RUN(what_others_can_change_is_not_taken);
    T_RUN(a_link_leads_only_where_nobody_else_can_write);
    T_RUN(a_policy_of_another_user_is_not_taken);
    T_RUN(what_is_no_file_is_refused_without_waiting);
    T_RUN(files_with_credentials_are_closed_to_others);
    return T_DONE();
}
