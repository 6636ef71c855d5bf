/* SPDX-License-Identifier: Apache-2.0 */
#include "xml/xml.h"

#include <pthread.h>

#include "base/scope.h"
#include "t.h"

static defupd_code parse(struct du_xml_doc **doc, const char *text, defupd_error *err)
{
    return du_xml_parse(doc, (struct du_bytes){ (const unsigned char *)text, strlen(text) }, "it",
                        DEFUPD_E_MANIFEST_FORMAT, err);
}

/* The text is refused, and the message says `part`. */
static void refuses_bytes(const char *text, size_t len, const char *part)
{
    defupd_error err = { 0 };
    struct du_xml_doc *doc = NULL;

    T_FAILS(du_xml_parse(&doc, (struct du_bytes){ (const unsigned char *)text, len }, "it",
                         DEFUPD_E_MANIFEST_FORMAT, &err),
            DEFUPD_E_MANIFEST_FORMAT, &err);
    T_CHECK(doc == NULL);
    if (strstr(err.message, part) == NULL) {
        printf("# expected \"%s\" in \"%s\"\n", part, err.message);
        t_failed++;
    }
}

static void refuses(const char *text, const char *part)
{
    refuses_bytes(text, strlen(text), part);
}

static void elements_attributes_and_text_are_found(void)
{
    defupd_error err = { 0 };
    DU_AUTO_XML *doc = NULL;
    const struct du_xml_node *root, *a, *b;
    bool nomem = false;

    T_OK(parse(&doc,
               "\xef\xbb\xbf<?xml version='1.0' encoding='utf-8'?>\n"
               "<!-- c --><r one='1' empty='' esc='&lt;&amp;&#233;'>\n"
               "  <a>  some <i>inner</i> <![CDATA[<text>]]>\n</a>\n text <?pi?><b/>\n</r>",
               &err),
         &err);
    root = du_xml_root(doc);
    T_SAME(du_xml_name(root), "r");
    T_CHECK(du_xml_line(root) == 2);
    a = du_xml_child(root);
    b = du_xml_next(a);
    T_SAME(du_xml_name(a), "a");
    T_SAME(du_xml_name(b), "b");
    T_CHECK(du_xml_line(b) == 5);
    T_CHECK(du_xml_next(b) == NULL && du_xml_child(b) == NULL);

    DU_AUTO_FREE char *one = du_xml_attr(root, "one", &nomem);
    DU_AUTO_FREE char *empty = du_xml_attr(root, "empty", &nomem);
    DU_AUTO_FREE char *esc = du_xml_attr(root, "esc", &nomem);
    DU_AUTO_FREE char *text = du_xml_text(a, &nomem);
    DU_AUTO_FREE char *nothing = du_xml_text(b, &nomem);
    T_SAME(one, "1");
    T_SAME(empty, "");
    T_SAME(esc, "<&\xc3\xa9");
    T_SAME(text, "some inner <text>");
    T_SAME(nothing, "");
    T_CHECK(du_xml_attr(root, "other", &nomem) == NULL);
    T_CHECK(!nomem);
}

static void foreign_namespaces_are_not_ours(void)
{
    defupd_error err = { 0 };
    DU_AUTO_XML *doc = NULL;
    const struct du_xml_node *node;
    bool nomem = false;

    T_OK(parse(&doc, "<r xmlns:x='urn:x' x:v='1'><x:a/><a xmlns='urn:y'/><a/></r>", &err), &err);
    T_CHECK(du_xml_attr(du_xml_root(doc), "v", &nomem) == NULL);
    node = du_xml_child(du_xml_root(doc));
    T_SAME(du_xml_name(node), "");
    node = du_xml_next(node);
    T_SAME(du_xml_name(node), "");
    node = du_xml_next(node);
    T_SAME(du_xml_name(node), "a");
}

static void what_is_not_well_formed_is_refused_with_its_line(void)
{
    refuses("", "it:1: is empty");
    refuses("\xef\xbb\xbf", "it:1: is empty");
    refuses("text", "it:1:");
    refuses("<a>\n<b>\n</a>", "it:3:");
    refuses("<a/>\n<b/>", "it:2:");
    refuses("<a\nx='1'\nx='2'/>", "redefined");
    refuses("<a>&nbsp;</a>", "nbsp");
    refuses("<a>&#0;</a>", "it:1:");
    refuses("<a>\x01</a>", "it:1:");
    refuses("<a b='<'/>", "it:1:");
    refuses("<a", "it:1:");
}

static void a_doctype_is_refused_before_it_is_read(void)
{
    refuses("<!DOCTYPE a><a/>", "it:1: has a DOCTYPE");
    refuses("<?xml version='1.0'?>\n\n<!DOCTYPE a SYSTEM 'file:///etc/passwd'>\n<a/>",
            "it:3: has a DOCTYPE");
    refuses("<!DOCTYPE a [<!ENTITY x SYSTEM 'http://127.0.0.1:1/'>]><a>&x;</a>", "DOCTYPE");
    refuses("<!DOCTYPE l [<!ENTITY a 'lol'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;'>"
            "<!ENTITY c '&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;'><!ENTITY d '&c;&c;&c;&c;&c;&c;&c;&c;'>"
            "<!ENTITY e '&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;'><!ENTITY f '&e;&e;&e;&e;&e;&e;&e;&e;'>]>"
            "<l>&f;</l>",
            "DOCTYPE");
}

static void only_utf_8_is_read(void)
{
    static const char nul[] = "<a>\n</a>\0<b>";
    static const char utf16[] = "\xff\xfe<\0a\0/\0>\0";

    refuses("<?xml version='1.0' encoding='ISO-8859-1'?><a/>", "declared as ISO-8859-1");
    refuses("<?xml version=\"1.0\" encoding=\"UTF-7\"?><a/>", "declared as UTF-7");
    refuses("<?xml version=\"1.0\" encoding = \"UTF-16\"?><a/>", "declared as UTF-16");
    refuses("<a>\n\xe9</a>", "it:2: is not UTF-8");
    refuses("<a>\xed\xa0\x80</a>", "is not UTF-8");
    refuses_bytes(nul, sizeof nul - 1, "it:2: has a NUL byte");
    refuses_bytes(utf16, sizeof utf16 - 1, "it:1:");
}

/* `levels` elements in each other. */
static char *nested(size_t levels)
{
    char *text = malloc(levels * 7 + 1), *at = text;

    if (text == NULL)
        abort();
    for (size_t i = 0; i < levels; i++)
        at = stpcpy(at, "<a>");
    for (size_t i = 0; i < levels; i++)
        at = stpcpy(at, "</a>");
    return text;
}

static void depth_and_size_have_limits(void)
{
    defupd_error err = { 0 };
    DU_AUTO_FREE char *at_limit = nested(DU_XML_DEPTH_MAX);
    DU_AUTO_FREE char *past = nested(DU_XML_DEPTH_MAX + 1);
    DU_AUTO_FREE char *far = nested(100000);
    DU_AUTO_FREE char *big = malloc(DU_XML_BYTES_MAX + 1);
    DU_AUTO_XML *doc = NULL;

    T_OK(parse(&doc, at_limit, &err), &err);
    refuses(past, "more than 64 levels");
    refuses(far, "it:1:");
    if (big == NULL)
        abort();
    memset(big, ' ', DU_XML_BYTES_MAX + 1);
    memcpy(big, "<a/>", 4);
    refuses_bytes(big, DU_XML_BYTES_MAX + 1, "at most 4194304");
    du_xml_freep(&doc);
    T_OK(du_xml_parse(&doc, (struct du_bytes){ (unsigned char *)big, DU_XML_BYTES_MAX }, "it",
                      DEFUPD_E_MANIFEST_FORMAT, &err),
         &err);
}

static void lines_past_65535_are_counted(void)
{
    defupd_error err = { 0 };
    char *text = malloc(70100), *at;
    DU_AUTO_XML *doc = NULL;

    if (text == NULL)
        abort();
    at = stpcpy(text, "<r>");
    memset(at, '\n', 70000);
    (void)stpcpy(at + 70000, "<a>x</a></r>");
    T_OK(parse(&doc, text, &err), &err);
    free(text);
    T_CHECK(du_xml_line(du_xml_child(du_xml_root(doc))) == 70001);
}

static void *parse_both(void *user)
{
    long *wrong = user;

    for (int i = 0; i < 200; i++) {
        defupd_error err = { 0 };
        DU_AUTO_XML *good = NULL;
        struct du_xml_doc *bad = NULL;

        if (parse(&good, "<a x='1'><b/></a>", &err) != DEFUPD_OK)
            ++*wrong;
        if (parse(&bad, "<a>\n<b></a>", &err) != DEFUPD_E_MANIFEST_FORMAT ||
            strncmp(err.message, "it:2:", 5) != 0)
            ++*wrong;
    }
    return NULL;
}

static void threads_do_not_meet(void)
{
    pthread_t thread[4];
    long wrong[4] = { 0 };

    for (int i = 0; i < 4; i++) {
        if (pthread_create(&thread[i], NULL, parse_both, &wrong[i]) != 0)
            abort();
    }
    for (int i = 0; i < 4; i++) {
        (void)pthread_join(thread[i], NULL);
        T_CHECK(wrong[i] == 0);
    }
}

static void nothing_is_printed(void)
{
    const int kept = dup(2);

    (void)fflush(stderr);
    if (kept < 0 || freopen("stderr.txt", "w", stderr) == NULL)
        abort();
    refuses("<a><b></a>", "it:1:");
    refuses("<a>&x;</a>", "it:1:");
    refuses("<x:a/ y", "it:1:");
    refuses("<!DOCTYPE a SYSTEM 'http://127.0.0.1:1/a.dtd'><a/>", "DOCTYPE");
    (void)fflush(stderr);
    T_CHECK(dup2(kept, 2) == 2);
    (void)close(kept);
    T_CHECK(t_shell("test -s stderr.txt") == 1);
}

int main(void)
{
    T_RUN(elements_attributes_and_text_are_found);
    T_RUN(foreign_namespaces_are_not_ours);
    T_RUN(what_is_not_well_formed_is_refused_with_its_line);
    T_RUN(a_doctype_is_refused_before_it_is_read);
    T_RUN(only_utf_8_is_read);
    T_RUN(depth_and_size_have_limits);
    T_RUN(lines_past_65535_are_counted);
    T_RUN(threads_do_not_meet);
    T_RUN(nothing_is_printed);
    return T_DONE();
}
