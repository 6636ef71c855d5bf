/* SPDX-License-Identifier: Apache-2.0 */
#include "manifest/manifest.h"

#include "base/scope.h"
#include "t.h"

#define SHA_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define SHA_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define HEAD "<manifest format='1' component='tetra'>\n"
#define TAIL "</manifest>"
#define GOOD " published='2026-11-21T09:00:00Z' tree='" SHA_A "' size='10' files='1'"
/* A release 1003 that holds `x`, from line 2 on. */
#define IN(x) HEAD "<release version='1003'" GOOD ">\n" x "\n</release>" TAIL
/* The same with `x` as attributes. */
#define WITH(x) HEAD "<release version='1003' " x "/>" TAIL
#define FULL "<full object='" SHA_B "' bytes='5' codec='tar+zst'/>"

static defupd_code parse_bytes(struct du_manifest **out, const void *text, size_t len,
                               defupd_error *err)
{
    const struct du_verified bytes = { text, len };

    return du_manifest_parse(out, &bytes, "tetra", "tetra/manifest.xml", err);
}

static defupd_code parse(struct du_manifest **out, const char *text, defupd_error *err)
{
    return parse_bytes(out, text, strlen(text), err);
}

static void refuses(const char *text, defupd_code code, const char *part)
{
    defupd_error err = { 0 };
    DU_AUTO_MANIFEST *manifest = NULL;

    T_FAILS(parse(&manifest, text, &err), code, &err);
    T_CHECK(manifest == NULL);
    if (strstr(err.message, part) == NULL) {
        printf("# expected \"%s\" in \"%s\"\n", part, err.message);
        t_failed++;
    }
}

static void the_whole_schema_is_read(void)
{
    static const char text[] =
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
        "<manifest format=\"1\" component=\"tetra\">\n"
        "  <release version=\"1002\" published=\"2026-11-20T09:00:00Z\" tree=\"" SHA_B "\""
        " size=\"0\" files=\"1\"/>\n"
        "  <release version=\"1003\" label=\"297.0.0.0\" published=\"2026-11-21T09:00:00Z\""
        " tree=\"" SHA_A "\" size=\"31400000\" files=\"1207\" class=\"antimalware\""
        " requires=\"needs  rollout\">\n"
        "    <full object=\"" SHA_B "\" bytes=\"5100000\" codec=\"tar+zst\"/>\n"
        "    <delta from=\"1002\" object=\"" SHA_A "\" bytes=\"20311\" codec=\"1\"/>\n"
        "    <delta from=\"1002\" object=\"" SHA_A "\" bytes=\"20000\" codec=\"2\"/>\n"
        "    <rollout start=\"2026-11-21T09:00:00Z\" paused=\"2026-11-21T10:00:00Z\">\n"
        "      <step after=\"PT0S\" permille=\"10\"/><step after=\"PT6H\" permille=\"1000\"/>\n"
        "      <ring name=\"pilot\" after=\"P1D\"/>\n"
        "    </rollout>\n"
        "    <needs engine=\"scan\" min=\"4.1\"/><needs component=\"yara\" min=\"20\"/>\n"
        "    <withdrawn at=\"2026-11-21T12:00:00Z\" replace-by=\"1002\" reason=\"false\n"
        " positives\"/>\n"
        "    <note> some\n text &lt; </note>\n"
        "  </release>\n"
        "</manifest>\n";
    defupd_error err = { 0 };
    DU_AUTO_MANIFEST *m = NULL;

    T_OK(parse(&m, text, &err), &err);
    if (m == NULL)
        return;
    T_SAME(m->component, "tetra");
    T_CHECK(m->count == 2 && m->release[0].version == 1003 && m->release[1].version == 1002);
    const struct du_release *r = &m->release[0];
    T_SAME(r->label, "297.0.0.0");
    T_SAME(r->licence_class, "antimalware");
    T_CHECK(r->published == 1795251600 && r->size == 31400000 && r->files == 1207);
    T_CHECK(r->tree[0] == 0xaa && r->tree[31] == 0xaa && r->requires == NULL);
    T_CHECK(r->full.from == 0 && r->full.bytes == 5100000 && r->full.sha256[31] == 0xbb);
    T_SAME(r->full.codec, "tar+zst");
    T_CHECK(r->deltas == 2 && r->delta[0].from == 1002 && r->delta[0].bytes == 20311);
    T_SAME(r->delta[1].codec, "2");
    T_CHECK(r->has_rollout && r->rollout_paused && r->rollout_start == 1795251600);
    T_CHECK(r->rollout_paused_at == 1795255200);
    T_CHECK(r->steps == 3 && r->step[1].after_s == 21600 && r->step[1].permille == 1000);
    T_CHECK(r->step[0].ring[0] == '\0' && r->step[2].after_s == 86400);
    T_SAME(r->step[2].ring, "pilot");
    T_CHECK(r->needs == 2 && r->need[0].engine && !r->need[1].engine && r->need[1].min == 20);
    T_SAME(r->need[0].name, "scan");
    T_SAME(r->need[0].min_text, "4.1");
    T_SAME(r->need[1].name, "yara");
    T_CHECK(r->withdrawn && r->withdrawn_at == 1795262400 && r->replace_by == 1002);
    T_SAME(r->withdrawn_reason, "false positives");
    T_SAME(r->note, "some text <");

    r = &m->release[1];
    T_CHECK(r->full.codec[0] == '\0' && r->deltas == 0 && !r->has_rollout && !r->withdrawn);
    T_CHECK(r->note == NULL && r->needs == 0 && r->size == 0);
    T_CHECK(du_manifest_find(m, 1002) == r && du_manifest_find(m, 1001) == NULL);
    T_CHECK(du_manifest_find(m, 1004) == NULL && du_manifest_find(m, 0) == NULL);
    T_CHECK(du_manifest_clock_floor(m) == 1795251600);
}

static void an_empty_manifest_is_fine(void)
{
    defupd_error err = { 0 };
    DU_AUTO_MANIFEST *m = NULL;

    T_OK(parse(&m, HEAD TAIL, &err), &err);
    T_CHECK(m != NULL && m->count == 0 && du_manifest_clock_floor(m) == 0 &&
            du_manifest_find(m, 1) == NULL);
}

/* What a repository of a later time may hold, and what this client makes of it. */
static void unknown_things_are_ignored(void)
{
    defupd_error err = { 0 };
    DU_AUTO_MANIFEST *m = NULL;

    T_OK(parse(&m,
               "<manifest format='1' component='tetra' xmlns:x='urn:x' x:format='2' hint='y'>"
               "<x:release version='9'/><policy><release version='zz'/></policy>"
               "<release version='1003'" GOOD " x:version='7' urgency='high' requires=''>"
               "<full object='" SHA_B "' bytes='5' codec='tar+zst' mirror='z'/>"
               "<x:full/><mirror url='u'><full/></mirror>"
               "<delta from='1' object='" SHA_B "' bytes='5' codec='bsdiff.9+x' window='7'/>"
               "<rollout start='2026-11-21T09:00:00Z' end='?'><region name='eu'/>"
               "<step after='PT0S' permille='1' until='PT1S'/></rollout>"
               "<needs engine='scan' min='1' max='2'/></release></manifest>",
               &err),
         &err);
    if (m == NULL)
        return;
    T_CHECK(m->count == 1 && m->release[0].version == 1003 && m->release[0].deltas == 1);
    T_SAME(m->release[0].full.codec, "tar+zst");
    T_SAME(m->release[0].delta[0].codec, "bsdiff.9+x");
    T_CHECK(m->release[0].steps == 1 && m->release[0].needs == 1);
}

static void a_release_that_requires_the_unknown_is_not_judged_further(void)
{
    defupd_error err = { 0 };
    DU_AUTO_MANIFEST *m = NULL;

    T_OK(parse(&m,
               HEAD "<release version='1004' published='2027-01-01T00:00:00Z' size='-5' tree='?'"
                    " requires='rollout  shards\nneeds blake4:\xc3\xa9'>"
                    "<full/><full/><delta from='x'/><rollout/><rollout/><needs/><withdrawn/>"
                    "</release><release version='1003'" GOOD ">" FULL "</release>" TAIL,
               &err),
         &err);
    if (m == NULL)
        return;
    T_CHECK(m->count == 2);
    T_SAME(m->release[0].requires, "shards blake4:\xc3\xa9");
    T_CHECK(m->release[0].version == 1004 && m->release[0].deltas == 0 &&
            m->release[0].full.codec[0] == '\0' && !m->release[0].withdrawn);
    T_CHECK(m->release[1].requires == NULL);
    T_CHECK(du_manifest_clock_floor(m) == m->release[0].published);
    /* What is read of it, is still judged. */
    refuses(HEAD "<release version='x' requires='shards'/>" TAIL, DEFUPD_E_MANIFEST_FORMAT,
            "version=\"x\"");
    refuses(HEAD "<release version='5' requires='shards'/>" TAIL, DEFUPD_E_MANIFEST_FORMAT,
            "has no published");
}

static void another_format_is_newer_whatever_else_is_wrong(void)
{
    static const char *const later[] = { "2", "10", "1.1", "01", "two", "1 " };

    for (size_t i = 0; i < sizeof later / sizeof later[0]; i++) {
        char text[300];

        (void)snprintf(
            text, sizeof text,
            "<manifest\n format='%s' name='?'><release/><release version='1'/></manifest>",
            later[i]);
        refuses(text, DEFUPD_E_MANIFEST_NEWER, "tetra/manifest.xml:");
        refuses(text, DEFUPD_E_MANIFEST_NEWER, later[i]);
    }
    refuses("<manifest component='tetra'/>", DEFUPD_E_MANIFEST_FORMAT, "has no format");
    refuses("<manifest component='tetra' format=''/>", DEFUPD_E_MANIFEST_FORMAT, "has no format");
}

static void a_manifest_for_another_component_is_refused(void)
{
    refuses("<manifest format='1' component='yara'><release/></manifest>",
            DEFUPD_E_MANIFEST_COMPONENT, "\"yara\", expected \"tetra\"");
    refuses("<manifest format='1' component='Tetra'/>", DEFUPD_E_MANIFEST_COMPONENT, "Tetra");
    refuses("<manifest format='1' component=''/>", DEFUPD_E_MANIFEST_COMPONENT, "expected");
    refuses("<manifest format='1'/>", DEFUPD_E_MANIFEST_FORMAT, "has no component");
}

static void known_things_in_a_wrong_form_are_refused_with_their_line(void)
{
    static const struct {
        const char *text, *part;
    } t[] = {
        { "<releases/>", ":1: the root element is not <manifest>" },
        { "<m:manifest xmlns:m='urn:m' format='1' component='tetra'/>", "root element" },
        { HEAD "<release" GOOD "/>" TAIL, ":2: <release> has no version" },
        { WITH(""), "has no published" },
        { HEAD "<release version='0'" GOOD "/>" TAIL, "version=\"0\" of <release>: expected" },
        { HEAD "<release version='-1'" GOOD "/>" TAIL, "version=\"-1\"" },
        { HEAD "<release version='+1'" GOOD "/>" TAIL, "version=\"+1\"" },
        { HEAD "<release version=' 1'" GOOD "/>" TAIL, "version=\" 1\"" },
        { HEAD "<release version='01'" GOOD "/>" TAIL, "version=\"01\"" },
        { HEAD "<release version='1e3'" GOOD "/>" TAIL, "version=\"1e3\"" },
        { HEAD "<release version='9007199254740992'" GOOD "/>" TAIL, "9007199254740992" },
        { HEAD "<release version='18446744073709551617'" GOOD "/>" TAIL, "18446744073709551617" },
        { HEAD "<release version='7'" GOOD "/>\n<release version='7'" GOOD "/>" TAIL,
          ":3: release 7 is listed twice" },
        { HEAD "<release version='7' published='2026-11-21T09:00:00Z' requires='x'/>\n"
               "<release version='7'" GOOD "/>" TAIL,
          ":3: release 7 is listed twice" },
        { WITH("tree='" SHA_A "' size='1' files='1'"), "has no published" },
        { WITH("published='yesterday' tree='" SHA_A "' size='1' files='1'"), "expected a time" },
        { WITH("published='2026-11-21T09:00:00Z' size='1' files='1'"), "has no tree" },
        { WITH("published='2026-11-21T09:00:00Z' tree='abc' size='1' files='1'"), "SHA-256" },
        { WITH("published='2026-11-21T09:00:00Z' tree='" SHA_A "0' size='1' files='1'"),
          "SHA-256" },
        { WITH("published='2026-11-21T09:00:00Z' tree='" SHA_A "' files='1'"), "has no size" },
        { WITH("published='2026-11-21T09:00:00Z' tree='" SHA_A "' size='1'"), "has no files" },
        { WITH("published='2026-11-21T09:00:00Z' tree='" SHA_A "' size='1' files='0'"),
          "files=\"0\"" },
        { WITH("published='2026-11-21T09:00:00Z' tree='" SHA_A "' size='9007199254740992'"
               " files='1'"),
          "size=\"9007199254740992\"" },
        { IN(FULL "\n" FULL), ":4: release 1003 has a second <full>" },
        { IN("<full bytes='5' codec='tar+zst'/>"), ":3: <full> has no object" },
        { IN("<full object='" SHA_A "' codec='tar+zst'/>"), "has no bytes" },
        { IN("<full object='" SHA_A "' bytes='0' codec='tar+zst'/>"), "bytes=\"0\"" },
        { IN("<full object='" SHA_A "' bytes='99999999999999999999' codec='x'/>"), "bytes=" },
        { IN("<full object='" SHA_A "' bytes='5'/>"), "has no codec" },
        { IN("<full object='" SHA_A "' bytes='5' codec=''/>"), "codec=\"\"" },
        { IN("<full object='" SHA_A "' bytes='5' codec='a b'/>"), "codec=\"a b\"" },
        { IN("<full object='../../x' bytes='5' codec='x'/>"), "SHA-256" },
        { IN("<delta object='" SHA_A "' bytes='5' codec='1'/>"), "<delta> has no from" },
        { IN("<delta from='0' object='" SHA_A "' bytes='5' codec='1'/>"), "from=\"0\"" },
        { IN("<delta from='1003' object='" SHA_A "' bytes='5' codec='1'/>"), "to itself" },
        { IN("<delta from='1' object='" SHA_A "' bytes='5' codec='1'/>\n"
             "<delta from='1' object='" SHA_B "' bytes='6' codec='1'/>"),
          ":4: a second <delta> from 1 with codec 1" },
        { IN("<rollout/>"), "<rollout> has no start" },
        { IN("<rollout start='soon'/>"), "start=\"soon\"" },
        { IN("<rollout start='2026-11-21T09:00:00Z' paused='yes'/>"), "paused=\"yes\"" },
        { IN("<rollout start='2026-11-21T09:00:00Z'/>\n<rollout start='2026-11-21T09:00:00Z'/>"),
          ":4: release 1003 has a second <rollout>" },
        { IN("<rollout start='2026-11-21T09:00:00Z'><step permille='1'/></rollout>"),
          "<step> has no after" },
        { IN("<rollout start='2026-11-21T09:00:00Z'><step after='PT0S'/></rollout>"),
          "<step> has no permille" },
        { IN("<rollout start='2026-11-21T09:00:00Z'><step after='PT0S' "
             "permille='1001'/></rollout>"),
          "permille=\"1001\"" },
        { IN("<rollout start='2026-11-21T09:00:00Z'><step after='02:00:00' "
             "permille='1'/></rollout>"),
          "expected a duration" },
        { IN("<rollout start='2026-11-21T09:00:00Z'><step after='P99999D' "
             "permille='1'/></rollout>"),
          "expected a duration" },
        { IN("<rollout start='2026-11-21T09:00:00Z'><ring after='PT0S'/></rollout>"),
          "<ring> has no name" },
        { IN("<rollout start='2026-11-21T09:00:00Z'><ring name='' after='PT0S'/></rollout>"),
          "name=\"\"" },
        { IN("<needs min='1'/>"), "either an engine or a component" },
        { IN("<needs engine='a' component='b' min='1'/>"), "either an engine or a component" },
        { IN("<needs engine='scan'/>"), "<needs> has no min" },
        { IN("<needs engine='scan' min='4.'/>"), "dotted numbers" },
        { IN("<needs engine='scan' min='v4'/>"), "dotted numbers" },
        { IN("<needs engine='scan' min='4..1'/>"), "dotted numbers" },
        { IN("<needs engine='scan' min=''/>"), "min=\"\"" },
        { IN("<needs component='../x' min='1'/>"), "not a component's name" },
        { IN("<needs component='yara' min='1.2'/>"), "min=\"1.2\"" },
        { IN("<withdrawn/>"), "<withdrawn> has no at" },
        { IN("<withdrawn at='2026-11-21T09:00:00Z' replace-by='0'/>"), "replace-by=\"0\"" },
        { IN("<withdrawn at='2026-11-21T09:00:00Z' replace-by='1003'/>"), "replace itself" },
        { IN("<withdrawn at='2026-11-21T09:00:00Z'/>\n<withdrawn at='2026-11-21T09:00:00Z'/>"),
          ":4: release 1003 has a second <withdrawn>" },
        { IN("<note>a</note>\n<note>b</note>"), ":4: release 1003 has a second <note>" },
    };

    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++)
        refuses(t[i].text, DEFUPD_E_MANIFEST_FORMAT, t[i].part);
}

static void hostile_documents_are_refused(void)
{
    static const char nul[] = HEAD TAIL "\0<x";
    static const char utf16[] = "\xff\xfe<\0m\0a\0n\0/\0>\0";
    char *big = malloc(300 * 1024 + 1);
    defupd_error err = { 0 };
    DU_AUTO_MANIFEST *m = NULL;

    refuses("", DEFUPD_E_MANIFEST_FORMAT, "is empty");
    refuses("<manifest format='1' component='tetra'", DEFUPD_E_MANIFEST_FORMAT, ":1:");
    refuses("<!DOCTYPE manifest>" HEAD TAIL, DEFUPD_E_MANIFEST_FORMAT, "DOCTYPE");
    refuses("<!DOCTYPE manifest [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'>"
            "<!ENTITY c '&b;&b;&b;&b;&b;&b;&b;&b;'>]><manifest format='&c;' component='tetra'/>",
            DEFUPD_E_MANIFEST_FORMAT, "DOCTYPE");
    refuses("<manifest format='1' format='2' component='tetra'/>", DEFUPD_E_MANIFEST_FORMAT,
            "redefined");
    refuses("<?xml version='1.0' encoding='latin1'?>" HEAD TAIL, DEFUPD_E_MANIFEST_FORMAT,
            "latin1");
    refuses(IN("<note>\xff</note>"), DEFUPD_E_MANIFEST_FORMAT, ":3: is not UTF-8");
    T_FAILS(parse_bytes(&m, nul, sizeof nul - 1, &err), DEFUPD_E_MANIFEST_FORMAT, &err);
    T_FAILS(parse_bytes(&m, utf16, sizeof utf16 - 1, &err), DEFUPD_E_MANIFEST_FORMAT, &err);

    if (big == NULL)
        abort();
    memset(big, ' ', 300 * 1024);
    memcpy(big, HEAD TAIL, strlen(HEAD TAIL));
    T_FAILS(parse_bytes(&m, big, 300 * 1024, &err), DEFUPD_E_LIMIT, &err);
    T_OK(parse_bytes(&m, big, DU_MANIFEST_BYTES_MAX, &err), &err);
    for (size_t i = 0; i < 5000; i++)
        memcpy(big + 3 * i, "<a>", 3);
    T_FAILS(parse_bytes(&m, big, 15000, &err), DEFUPD_E_MANIFEST_FORMAT, &err);
    free(big);
}

/* A release with `count` times `format`, which gets the running number. */
static void many(char *text, size_t size, size_t count, const char *before, const char *format,
                 const char *after)
{
    size_t used = (size_t)snprintf(text, size, "%s", before);

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    for (size_t i = 1; i <= count; i++)
        used += (size_t)snprintf(text + used, size - used, format, (unsigned)i);
#pragma GCC diagnostic pop
    used += (size_t)snprintf(text + used, size - used, "%s", after);
    if (used >= size)
        abort();
}

static void numbers_of_things_have_limits(void)
{
    static const struct {
        size_t limit;
        const char *before, *format, *after;
    } t[] = {
        { DU_MANIFEST_RELEASES_MAX, HEAD, "<release version='%u'" GOOD "/>", TAIL },
        { DU_MANIFEST_DELTAS_MAX, HEAD "<release version='1003'" GOOD ">",
          "<delta from='%u' object='" SHA_A "' bytes='5' codec='1'/>", "</release>" TAIL },
        { DU_ROLLOUT_STEPS_MAX,
          HEAD "<release version='1003'" GOOD "><rollout start='2026-11-21T09:00:00Z'>",
          "<step after='PT%uS' permille='5'/>", "</rollout></release>" TAIL },
        { DU_MANIFEST_NEEDS_MAX, HEAD "<release version='1003'" GOOD ">",
          "<needs engine='e%u' min='1'/>", "</release>" TAIL },
    };
    char *text = malloc(DU_MANIFEST_BYTES_MAX);

    if (text == NULL)
        abort();
    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        defupd_error err = { 0 };
        DU_AUTO_MANIFEST *m = NULL;

        many(text, DU_MANIFEST_BYTES_MAX, t[i].limit, t[i].before, t[i].format, t[i].after);
        T_OK(parse(&m, text, &err), &err);
        many(text, DU_MANIFEST_BYTES_MAX, t[i].limit + 1, t[i].before, t[i].format, t[i].after);
        refuses(text, DEFUPD_E_LIMIT, "more than");
    }
    free(text);
}

static void texts_have_limits_and_fit_on_one_line(void)
{
    char text[1500], long_text[400];
    defupd_error err = { 0 };
    DU_AUTO_MANIFEST *m = NULL;

    T_OK(parse(&m,
               HEAD "<release version='1003'" GOOD " label='  a\x7f&#10;&#9;b\xc2\x9b"
                    "c '><note>\r\n x \xc2\x85 y</note></release>" TAIL,
               &err),
         &err);
    if (m != NULL) {
        T_SAME(m->release[0].label, "a? b?c");
        T_SAME(m->release[0].note, "x ? y");
    }
    for (size_t len = 64; len <= 257; len++) {
        const bool label_fits = len == 64, note_fits = len <= 256;

        if (len > 65 && len < 256)
            continue;
        memset(long_text, 'a', len);
        long_text[len] = '\0';
        du_manifest_freep(&m);
        (void)snprintf(text, sizeof text, HEAD "<release version='1003'" GOOD " label='%s'/>" TAIL,
                       long_text);
        T_CHECK((parse(&m, text, &err) == DEFUPD_OK) == label_fits);
        du_manifest_freep(&m);
        (void)snprintf(text, sizeof text, IN("<full object='" SHA_A "' bytes='5' codec='%s'/>"),
                       long_text);
        T_CHECK((parse(&m, text, &err) == DEFUPD_OK) == label_fits);
        du_manifest_freep(&m);
        (void)snprintf(text, sizeof text, IN("<note>%s</note>"), long_text);
        T_CHECK((parse(&m, text, &err) == DEFUPD_OK) == note_fits);
        du_manifest_freep(&m);
        (void)snprintf(text, sizeof text, IN("<withdrawn at='2026-11-21T09:00:00Z' reason='%s'/>"),
                       long_text);
        T_CHECK((parse(&m, text, &err) == DEFUPD_OK) == note_fits);
    }
}

int main(void)
{
    T_RUN(the_whole_schema_is_read);
    T_RUN(an_empty_manifest_is_fine);
    T_RUN(unknown_things_are_ignored);
    T_RUN(a_release_that_requires_the_unknown_is_not_judged_further);
    T_RUN(another_format_is_newer_whatever_else_is_wrong);
    T_RUN(a_manifest_for_another_component_is_refused);
    T_RUN(known_things_in_a_wrong_form_are_refused_with_their_line);
    T_RUN(hostile_documents_are_refused);
    T_RUN(numbers_of_things_have_limits);
    T_RUN(texts_have_limits_and_fit_on_one_line);
    return T_DONE();
}
