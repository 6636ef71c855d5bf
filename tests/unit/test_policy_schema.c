/* SPDX-License-Identifier: Apache-2.0 */
/* The table of settings and policy.rng say the same: on documents made from the table, setting by
 * setting, value by value. (The corpus of fuzz_policy is the other half: fuzz/fuzz_policy.c.) */
#include <stdarg.h>

#include <libxml/parser.h>
#include <libxml/relaxng.h>

#include "policy/embedded.h"
#include "policy/policy.h"
#include "t.h"

/* One for every type, in range and out of it, and what is nothing at all. */
static const char *const values[] = {
    "yes",
    "no",
    "true",
    "",
    "off",
    "keep",
    "remove",
    "mirror",
    "cache",
    "reject",
    "confirm",
    "required",
    "best-effort",
    "password",
    "ntlm",
    "none",
    "env",
    "socks5://h:1080",
    "socks5h://h",
    "socks4://h",
    "Yes",
    "keep remove",
    "PT1M",
    "PT2H",
    "P1D",
    "P1W",
    "P1DT1H1M1S",
    "PT1H1S",
    "PT1S",
    "PT0S",
    "P",
    "PT",
    "P1DT",
    "P1Y",
    "PT1M1H",
    "P1WT1H",
    "-PT1M",
    "pt1m",
    "PT1.5H",
    "PT01H",
    "01:00:00",
    "00:60:00",
    "1:00:00",
    "24:00:00",
    "00001:00:00",
    "0",
    "1",
    "01",
    "7",
    "100",
    "101",
    "1003",
    "9007199254740991",
    "9007199254740992",
    "-1",
    "+1",
    "1K",
    "256M",
    "4G",
    "1T",
    "1k",
    "1KB",
    "0K",
    "1 M",
    "99999999999999999",
    "2027-01-31T12:00:00Z",
    "2027-02-30T12:00:00Z",
    "2027-13-01T00:00:00Z",
    "2027-01-31T12:00:00",
    "2027-01-31",
    "2027-01-31T24:00:00Z",
    "1969-12-31T23:59:59Z",
    "00:00",
    "23:59",
    "24:00",
    "24:01",
    "25:00",
    "7:30",
    "mon",
    "mon,tue",
    "mon,mon",
    "mon tue",
    "Mon",
    "mon,",
    "*",
    "tetra",
    "a-1",
    "-a",
    "1a",
    "local",
    "xmlish",
    "com1",
    "A.b_c-D",
    "_a",
    ".a",
    "a b",
    "a/b",
    "http://h/",
    "http://h",
    "https://h:8443/p/q",
    "file:///srv/repo",
    "file://h/p",
    "ftp://h/",
    "http://",
    "http:///p",
    "http://u@h/",
    "http://h/?q",
    "http://h/#f",
    "http://h/a b",
    "http://[::1]:3128",
    "http://p:3128/",
    "http://p:3128/x",
    "HTTP://h/",
    "http://h/\\",
    "/",
    "/a",
    "/a b/\xc3\xa9",
    "a/b",
    "//",
    "192.0.2.1",
    "2001:db8::1",
    "192.0.2.256",
    "::",
    "192.0.2.1:8090",
    "192.0.2.1:0",
    "192.0.2.1:08",
    "192.0.2.1:65536",
    "[::1]:80",
    "[::1]",
    "::1:80",
    ":80",
    "192.0.2.0/24",
    "192.0.2.0/33",
    "2001:db8::/129",
    "::/0",
    "10.0.0.0/",
    "10.0.0.0/08",
    "0123456789012345678901234567890123456789012345678901234567890123",
    "01234567890123456789012345678901234567890123456789012345678901234",
    "a123456789012345678901234567890",
    "a1234567890123456789012345678901",
    "a12345678901234567890123456789012",
};

struct doc {
    char text[1 << 20];
    size_t used;
};

__attribute__((format(printf, 2, 3))) static void put(struct doc *doc, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    doc->used +=
        (size_t)vsnprintf(doc->text + doc->used, sizeof doc->text - doc->used, format, args);
    va_end(args);
    if (doc->used >= sizeof doc->text)
        abort();
}

static void put_escaped(struct doc *doc, const char *text)
{
    for (; *text != '\0'; text++) {
        if (strchr("&<>\"'", *text) != NULL)
            put(doc, "&#%d;", *text);
        else
            put(doc, "%c", *text);
    }
}

/* Some value that the setting allows. */
static const char *good_value(const struct ag_setting *setting)
{
    uint64_t number;

    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        if (ag_value_read(setting, values[i], &number))
            return values[i];
    }
    printf("# no value for %s\n", setting->path);
    abort();
}

/* How the setting under test appears in the document. */
struct variant {
    const struct ag_setting *setting;
    const char *value; /* NULL: a good one */
    unsigned times;
    const char *inside; /* put into a group, or into the element, beside what belongs there */
    const char *attribute;
};

static void put_setting(struct doc *doc, const struct ag_setting *setting,
                        const struct variant *variant);

static bool leads_to(const struct ag_setting *setting, const struct variant *variant)
{
    const size_t length = strlen(setting->path);

    return strncmp(setting->path, variant->setting->path, length) == 0 &&
           (variant->setting->path[length] == '/' || variant->setting->path[length] == '\0');
}

/* What the group must have, and what leads to the variant; attributes or elements. */
static void put_members(struct doc *doc, const struct ag_setting *group, bool attributes,
                        const struct variant *variant)
{
    const struct ag_setting *in = NULL;

    while ((in = ag_setting_next(group, in)) != NULL) {
        const bool on_the_way = leads_to(in, variant);
        const unsigned times = in == variant->setting ? variant->times : 1;

        if (ag_setting_is_attribute(in) != attributes ||
            (!on_the_way && (in->flags & AG_SET_NEEDED) == 0))
            continue;
        for (unsigned i = 0; i < times; i++)
            put_setting(doc, in, variant);
    }
}

static void put_setting(struct doc *doc, const struct ag_setting *setting,
                        const struct variant *variant)
{
    const bool under_test = setting == variant->setting;
    const char *value = under_test && variant->value != NULL ? variant->value
                        : setting->type != AG_GROUP          ? good_value(setting)
                                                             : NULL;
    const char *name = ag_setting_name(setting);

    if (ag_setting_is_attribute(setting)) {
        put(doc, " %s='", name);
        put_escaped(doc, value);
        put(doc, "'");
        return;
    }
    put(doc, "<%s%s", name, under_test && variant->attribute != NULL ? variant->attribute : "");
    if (setting->type == AG_GROUP)
        put_members(doc, setting, true, variant);
    put(doc, ">");
    if (setting->type == AG_GROUP)
        put_members(doc, setting, false, variant);
    else
        put_escaped(doc, value);
    put(doc, "%s</%s>\n", under_test && variant->inside != NULL ? variant->inside : "", name);
}

static const char *make(struct doc *doc, const struct variant *variant)
{
    doc->used = 0;
    put(doc, "<policy format='1'>\n");
    put_members(doc, NULL, false, variant);
    put(doc, "</policy>");
    return doc->text;
}

static xmlRelaxNG *schema; /* read once: what ag_schema_check() reads each time */

static void be_quiet(void *user, const char *format, ...)
{
    (void)user;
    (void)format;
}

static bool schema_takes(const char *text)
{
    xmlDoc *doc = xmlReadMemory(text, (int)strlen(text), NULL, NULL, 0);
    xmlRelaxNGValidCtxt *context = xmlRelaxNGNewValidCtxt(schema);
    bool taken;

    if (doc == NULL || context == NULL)
        abort();
    xmlRelaxNGSetValidErrors(context, be_quiet, be_quiet, NULL);
    taken = xmlRelaxNGValidateDoc(context, doc) == 0;
    xmlRelaxNGFreeValidCtxt(context);
    xmlFreeDoc(doc);
    return taken;
}

/* The reader's own verdict, later versions' settings taken; `why` is its first finding. */
static bool table_takes(const char *text, char why[300])
{
    struct ag_policy *policy = calloc(1, sizeof *policy);
    struct ag_findings findings = { 0 };
    defupd_error err = { 0 };
    bool taken = true;

    if (policy == NULL)
        abort();
    why[0] = '\0';
    (void)!ag_policy_read(policy, "d", text, strlen(text), &findings, &err);
    for (size_t i = 0; i < findings.count; i++) {
        if (strstr(findings.line[i], "is not supported by this version") != NULL)
            continue;
        if (taken)
            (void)snprintf(why, 300, "%s", findings.line[i]);
        taken = false;
    }
    ag_policy_free(policy);
    ag_findings_free(&findings);
    return taken;
}

static void expect(struct doc *doc, const struct variant *variant, bool want, const char *what)
{
    const char *text = make(doc, variant);
    char why[300];
    const bool table = table_takes(text, why), grammar = schema_takes(text);

    if (table != want || grammar != want)
        printf("# %s, %s: table %s (%s), schema %s\n%s\n", variant->setting->path, what,
               table ? "takes it" : "refuses", why, grammar ? "takes it" : "refuses", text);
    T_CHECK(table == want && grammar == want);
}

/* What a pattern can say whole; of the others the schema knows the form, the table also the
 * range. */
static bool is_form_alone(enum ag_type type)
{
    return type == AG_BOOL || type == AG_WORD || type == AG_NAME || type == AG_ACCOUNT ||
           type == AG_URL || type == AG_HTTP || type == AG_PROXY || type == AG_PATH ||
           type == AG_TEXT;
}

static void both_take_the_same_values(void)
{
    static struct doc doc;
    unsigned taken = 0, refused = 0;

    for (const struct ag_setting *at = ag_settings; at->path != NULL; at++) {
        for (size_t i = 0; i < sizeof values / sizeof values[0] && at->type != AG_GROUP; i++) {
            struct variant variant = { at, values[i], 1, NULL, NULL };
            uint64_t number;
            const bool table = ag_value_read(at, values[i], &number);
            const bool grammar = schema_takes(make(&doc, &variant));

            if (table ? !grammar : grammar && is_form_alone(at->type)) {
                printf("# %s '%s': table %d, schema %d\n", at->path, values[i], table, grammar);
                T_CHECK(false && "table and schema agree");
            }
            taken += table;
            refused += !grammar;
        }
    }
    T_CHECK(taken > 300 && refused > 3000);
}

static void both_know_the_same_elements_and_attributes(void)
{
    static struct doc doc;

    for (const struct ag_setting *at = ag_settings; at->path != NULL; at++) {
        const bool attribute = ag_setting_is_attribute(at);
        const bool needed = (at->flags & AG_SET_NEEDED) != 0;

        expect(&doc, &(struct variant){ at, NULL, 1, NULL, NULL }, true, "once");
        expect(&doc, &(struct variant){ at, NULL, 0, NULL, NULL }, !needed, "left out");
        if (attribute)
            continue;
        expect(&doc, &(struct variant){ at, NULL, 2, NULL, NULL }, (at->flags & AG_SET_MANY) != 0,
               "twice");
        expect(&doc, &(struct variant){ at, NULL, 1, "<x/>", NULL }, false, "with an element");
        expect(&doc, &(struct variant){ at, NULL, 1, NULL, " x='1'" }, false, "with an attribute");
        if (at->type == AG_GROUP)
            expect(&doc, &(struct variant){ at, NULL, 1, "text", NULL }, false, "with text");
    }
}

static void blanks_around_a_value_do_not_count(void)
{
    static struct doc doc;
    char text[64];

    for (const struct ag_setting *at = ag_settings; at->path != NULL; at++) {
        if (at->type == AG_GROUP || at->type == AG_TEXT)
            continue;
        (void)snprintf(text, sizeof text, " \t%s ", good_value(at));
        expect(&doc, &(struct variant){ at, text, 1, NULL, NULL }, true, "with blanks");
    }
}

static void both_refuse_another_root(void)
{
    static const char *const texts[] = { "<policy/>",
                                         "<policy format='2'/>",
                                         "<policies format='1'/>",
                                         "<policy format='1' x='1'/>",
                                         "<policy format='1'>t</policy>",
                                         "<policy format='1'><x/></policy>",
                                         "<policy xmlns='urn:x' format='1'/>",
                                         "<p:policy xmlns:p='urn:x' format='1'/>" };
    char why[300];

    T_CHECK(schema_takes("<policy format='1'/>") && table_takes("<policy format='1'/>", why));
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        T_CHECK(!schema_takes(texts[i]) && !table_takes(texts[i], why));
}

int main(void)
{
    xmlRelaxNGParserCtxt *parser =
        xmlRelaxNGNewMemParserCtxt((const char *)ag_embedded_schema, (int)ag_embedded_schema_bytes);

    schema = xmlRelaxNGParse(parser);
    xmlRelaxNGFreeParserCtxt(parser);
    if (schema == NULL)
        abort();
    T_RUN(both_take_the_same_values);
    T_RUN(both_know_the_same_elements_and_attributes);
    T_RUN(blanks_around_a_value_do_not_count);
    T_RUN(both_refuse_another_root);
    xmlRelaxNGFree(schema);
    return T_DONE();
}
