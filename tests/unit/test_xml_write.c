/* SPDX-License-Identifier: Apache-2.0 */
#include "xml/xml.h"

#include "base/scope.h"
#include "t.h"

static struct du_xml_writer *writer(void)
{
    defupd_error err = { 0 };
    struct du_xml_writer *w = NULL;

    if (du_xml_writer_new(&w, &err) != DEFUPD_OK)
        abort();
    return w;
}

static void documents_are_indented_and_closed(void)
{
    defupd_error err = { 0 };
    DU_AUTO_BUF out = DU_BUF(1000);
    DU_AUTO_XML_WRITER *w = writer();

    du_xml_start(w, "local");
    du_xml_start(w, "agent");
    du_xml_put_attr(w, "name", "x");
    du_xml_put_u64(w, "n", UINT64_MAX);
    du_xml_end(w);
    du_xml_start(w, "tetra");
    du_xml_start(w, "version");
    du_xml_put_text(w, "1003");
    du_xml_end(w);
    du_xml_start(w, "source");
    du_xml_put_text(w, "");
    du_xml_end(w);
    du_xml_end(w);
    du_xml_end(w);
    T_OK(du_xml_writer_finish(w, &out, &err), &err);
    T_SAME(du_buf_text(&out), "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                              "<local>\n"
                              "  <agent name=\"x\" n=\"18446744073709551615\"/>\n"
                              "  <tetra>\n"
                              "    <version>1003</version>\n"
                              "    <source/>\n"
                              "  </tetra>\n"
                              "</local>\n");
}

static void any_text_comes_back_or_becomes_a_question_mark(void)
{
    static const struct {
        const char *in, *attr, *text;
    } t[] = {
        { "plain", "plain", "plain" },
        { "<&>\"'", "<&>\"'", "<&>\"'" },
        { "]]>", "]]>", "]]>" },
        { "a\tb\nc\rd", "a\tb\nc\rd", "a\tb\nc\rd" },
        { "a\x01\x1b[1m", "a??[1m", "a??[1m" },
        { "caf\xc3\xa9 \xf0\x9f\x98\x80", "caf\xc3\xa9 \xf0\x9f\x98\x80",
          "caf\xc3\xa9 \xf0\x9f\x98\x80" },
        { "\xff\xfex", "??x", "??x" },
        { "a\xed\xa0\x80z\xc3", "a???z?", "a???z?" },
        { "\xef\xbf\xbe\xef\xbf\xbf\xef\xbf\xbd", "??\xef\xbf\xbd", "??\xef\xbf\xbd" },
    };

    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        defupd_error err = { 0 };
        DU_AUTO_BUF out = DU_BUF(1000);
        DU_AUTO_XML_WRITER *w = writer();
        DU_AUTO_XML *doc = NULL;
        bool nomem = false;

        du_xml_start(w, "a");
        du_xml_put_attr(w, "x", t[i].in);
        du_xml_put_text(w, t[i].in);
        du_xml_end(w);
        T_OK(du_xml_writer_finish(w, &out, &err), &err);
        T_OK(du_xml_parse(&doc, du_buf_bytes(&out), "it", DEFUPD_E_MANIFEST_FORMAT, &err), &err);
        if (doc == NULL)
            continue;
        DU_AUTO_FREE char *attr = du_xml_attr(du_xml_root(doc), "x", &nomem);
        DU_AUTO_FREE char *text = du_xml_text(du_xml_root(doc), &nomem);
        T_SAME(attr, t[i].attr);
        T_SAME(text, t[i].text);
    }
}

static void blanks_are_not_added_to_text(void)
{
    defupd_error err = { 0 };
    DU_AUTO_BUF out = DU_BUF(1000);
    DU_AUTO_XML_WRITER *w = writer();

    du_xml_start(w, "a");
    du_xml_put_text(w, "one ");
    du_xml_start(w, "b");
    du_xml_end(w);
    du_xml_put_text(w, " two");
    du_xml_end(w);
    T_OK(du_xml_writer_finish(w, &out, &err), &err);
    T_SAME(strstr(du_buf_text(&out), "<a>"), "<a>one <b/> two</a>\n");
}

static void what_is_no_document_is_refused(void)
{
    for (int i = 0; i < 9; i++) {
        defupd_error err = { 0 };
        DU_AUTO_BUF out = DU_BUF(10000);
        DU_AUTO_XML_WRITER *w = writer();

        if (i > 0)
            du_xml_start(w, i == 1 ? "1a" : i == 2 ? "a b" : i == 3 ? "" : "a");
        if (i == 4)
            du_xml_put_attr(w, "x y", "1");
        if (i == 5) {
            du_xml_put_text(w, "t");
            du_xml_put_attr(w, "x", "1");
        }
        for (int k = 0; i == 6 && k < DU_XML_DEPTH_MAX; k++)
            du_xml_start(w, "a");
        if (i != 7)
            du_xml_end(w);
        if (i == 8)
            du_xml_start(w, "b");
        T_FAILS(du_xml_writer_finish(w, &out, &err), DEFUPD_E_BUG, &err);
        T_CHECK(out.len == 0);
    }
}

static void the_limits_hold(void)
{
    defupd_error err = { 0 };
    DU_AUTO_BUF small = DU_BUF(20);
    DU_AUTO_XML_WRITER *w = writer();
    DU_AUTO_XML_WRITER *big = writer();

    du_xml_start(w, "a");
    du_xml_end(w);
    T_FAILS(du_xml_writer_finish(w, &small, &err), DEFUPD_E_LIMIT, &err);
    du_xml_start(big, "a");
    for (unsigned i = 0; i < DU_XML_BYTES_MAX / 10 + 1; i++)
        du_xml_put_text(big, "0123456789");
    du_xml_end(big);
    T_FAILS(du_xml_writer_finish(big, &small, &err), DEFUPD_E_LIMIT, &err);
}

int main(void)
{
    T_RUN(documents_are_indented_and_closed);
    T_RUN(any_text_comes_back_or_becomes_a_question_mark);
    T_RUN(blanks_are_not_added_to_text);
    T_RUN(what_is_no_document_is_refused);
    T_RUN(the_limits_hold);
    return T_DONE();
}
