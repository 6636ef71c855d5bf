/* SPDX-License-Identifier: Apache-2.0 */
#include "t.h"
#include "json/json.h"

static struct du_bytes text_bytes(const char *text)
{
    return (struct du_bytes){ (const unsigned char *)text, strlen(text) };
}

static void canonical_form_is_that_of_olpc(void)
{
    static const struct {
        const char *in, *want;
    } row[] = {
        { "{}", "{}" },
        { "[ ]", "[]" },
        { "{ \"b\" : 1, \"a\" : [ true, false, null ] }", "{\"a\":[true,false,null],\"b\":1}" },
        { "{\"a\":-0,\"A\":-12,\"\":0}", "{\"\":0,\"A\":-12,\"a\":0}" },
        /* only the quote and the backslash are escaped */
        { "[\"\\\"\\\\\\/\\n\\t\\u0001\\u007f\"]", "[\"\\\"\\\\/\n\t\x01\x7f\"]" },
        { "[\"\\u00e9\\ud83d\\ude00\"]", "[\"\xc3\xa9\xf0\x9f\x98\x80\"]" },
        /* by bytes, so by code points: U+FF5E before U+1F600, which UTF-16 orders otherwise */
        { "{\"\\ud83d\\ude00\":2,\"\xef\xbd\x9e\":1,\"z\":0}",
          "{\"z\":0,\"\xef\xbd\x9e\":1,\"\xf0\x9f\x98\x80\":2}" },
        { "{\"ab\":1,\"a\":{\"y\":[[]],\"x\":\"\"}}", "{\"a\":{\"x\":\"\",\"y\":[[]]},\"ab\":1}" },
    };
    defupd_error err = { 0 };

    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        DU_AUTO_JSON *json = NULL;
        DU_AUTO_BUF out = DU_BUF(1000);
        T_OK(du_json_parse(&json, text_bytes(row[i].in), "in", &err), &err);
        T_OK(du_json_canonical(json, &out, &err), &err);
        T_SAME(du_buf_text(&out), row[i].want);
    }
}

static void fractions_have_no_canonical_form(void)
{
    defupd_error err = { 0 };
    DU_AUTO_JSON *json = NULL;
    DU_AUTO_BUF out = DU_BUF(1000);

    T_OK(du_json_parse(&json, text_bytes("{\"a\":1.5}"), "in", &err), &err);
    T_FAILS(du_json_canonical(json, &out, &err), DEFUPD_E_METADATA_FORMAT, &err);
}

static void canonical_form_stays_within_the_buffers_maximum(void)
{
    defupd_error err = { 0 };
    DU_AUTO_JSON *json = NULL;

    T_OK(du_json_parse(&json, text_bytes("{\"a\":[1,\"b\",true,null],\"c\":{}}"), "in", &err),
         &err);
    for (size_t max = 0; max < 30; max++) {
        DU_AUTO_BUF out = DU_BUF(max);
        T_FAILS(du_json_canonical(json, &out, &err), DEFUPD_E_LIMIT, &err);
        T_FAILS(du_json_pretty(json, &out, &err), DEFUPD_E_LIMIT, &err);
    }
}

static void builders_chain_and_a_missing_value_shows_at_the_end(void)
{
    defupd_error err = { 0 };
    DU_AUTO_JSON *object = du_json_new_object();
    DU_AUTO_JSON *copy = NULL;
    struct du_json *array = du_json_new_array();
    DU_AUTO_BUF out = DU_BUF(1000);

    T_CHECK(du_json_append(array, du_json_new_int(1)));
    T_CHECK(du_json_append(array, du_json_new_bool(true)));
    T_CHECK(!du_json_append(array, NULL));
    T_CHECK(du_json_set(object, "list", array));
    T_CHECK(du_json_set(object, "a", du_json_new_string("\xc3\xa9")));
    T_CHECK(du_json_set(object, "gone", du_json_new_bool(false)));
    T_CHECK(!du_json_set(object, "none", NULL) && !du_json_set(NULL, "a", du_json_new_int(1)));
    T_CHECK(du_json_new_string("\xff") == NULL);
    copy = du_json_copy(object);
    du_json_remove(object, "gone");
    du_json_remove(object, "gone");
    T_CHECK(du_json_has(copy, "gone") && !du_json_has(object, "gone"));
    T_OK(du_json_pretty(object, &out, &err), &err);
    T_SAME(du_buf_text(&out), "{\n \"list\": [\n  1,\n  true\n ],\n \"a\": \"\xc3\xa9\"\n}\n");
}

static void a_structure_deeper_than_the_limit_is_not_written(void)
{
    defupd_error err = { 0 };
    DU_AUTO_JSON *value = du_json_new_array();
    DU_AUTO_BUF out = DU_BUF(1000);

    for (int i = 0; i < 70; i++) {
        struct du_json *outer = du_json_new_array();
        T_CHECK(du_json_append(outer, value));
        value = outer;
    }
    T_FAILS(du_json_canonical(value, &out, &err), DEFUPD_E_LIMIT, &err);
}

static void the_version_names_the_library(void)
{
    char text[64];

    du_json_versions(text, sizeof text);
    T_CHECK(strncmp(text, "jansson 2.", 10) == 0);
}

int main(void)
{
    T_RUN(canonical_form_is_that_of_olpc);
    T_RUN(fractions_have_no_canonical_form);
    T_RUN(canonical_form_stays_within_the_buffers_maximum);
    T_RUN(builders_chain_and_a_missing_value_shows_at_the_end);
    T_RUN(a_structure_deeper_than_the_limit_is_not_written);
    T_RUN(the_version_names_the_library);
    return T_DONE();
}
