/* SPDX-License-Identifier: Apache-2.0 */
#include "t.h"
#include "json/json.h"

static struct du_bytes text_bytes(const char *text)
{
    return (struct du_bytes){ (const unsigned char *)text, strlen(text) };
}

static void what_is_not_one_strict_document_is_refused(void)
{
    static const char *const bad[] = {
        "",
        " ",
        "1",
        "\"a\"",
        "null",
        "{",
        "{}x",
        "{} {}",
        "[1,]",
        "{\"a\":1,}",
        "{\"a\":1,\"a\":2}",
        "{\"a\":{\"b\":1,\"b\":1}}",
        "{\"a\":\"\\u0000\"}",
        "{\"a\\u0000\":1}",
        "{\"a\":\"\xff\"}",
        "{\"a\":\"\xed\xa0\x80\"}",
        "{\"a\":\"\\ud800\"}",
        "{\"a\":\"\n\"}",
        "{\"a\":01}",
        "{\"a\":+1}",
        "{\"a\":0x1}",
        "{\"a\":NaN}",
        "{'a':1}",
        "{a:1}",
        "[1] // comment",
        "\xef\xbb\xbf{}",
        "{\"a\":9007199254740993}",
        "{\"a\":-9007199254740993}",
        "[[9223372036854775808]]",
        "[[1e999]]",
    };
    defupd_error err = { 0 };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct du_json *json = NULL;
        T_FAILS(du_json_parse(&json, text_bytes(bad[i]), "3.root.json", &err),
                DEFUPD_E_METADATA_FORMAT, &err);
        T_CHECK(json == NULL && strncmp(err.message, "3.root.json:", 12) == 0);
    }
    {
        struct du_json *json = NULL;
        T_FAILS(du_json_parse(&json, (struct du_bytes){ NULL, 0 }, "nothing", &err),
                DEFUPD_E_METADATA_FORMAT, &err);
        T_FAILS(du_json_parse(&json, (struct du_bytes){ (const unsigned char *)"{}\0", 3 }, "nul",
                              &err),
                DEFUPD_E_METADATA_FORMAT, &err);
    }
}

static void a_message_says_line_and_column(void)
{
    defupd_error err = { 0 };
    struct du_json *json = NULL;

    T_FAILS(du_json_parse(&json, text_bytes("{\n \"a\": tru }"), "x.json", &err),
            DEFUPD_E_METADATA_FORMAT, &err);
    T_CHECK(strncmp(err.message, "x.json:2:", 9) == 0);
}

static void depth_is_limited_before_anything_is_built(void)
{
    char text[300];
    defupd_error err = { 0 };
    DU_AUTO_JSON *good = NULL;
    struct du_json *bad = NULL;

    for (size_t i = 0; i < 64; i++) {
        text[i] = '[';
        text[127 - i] = ']';
    }
    text[128] = '\0';
    T_OK(du_json_parse(&good, text_bytes(text), "deep", &err), &err);
    memset(text, '[', 65);
    memset(text + 65, ']', 65);
    text[130] = '\0';
    T_FAILS(du_json_parse(&bad, text_bytes(text), "deep", &err), DEFUPD_E_METADATA_LIMIT, &err);
    T_CHECK(bad == NULL);
}

static void brackets_in_strings_are_no_depth(void)
{
    char text[300] = "[\"\\\"";
    defupd_error err = { 0 };
    DU_AUTO_JSON *json = NULL;

    memset(text + 4, '{', 200);
    memcpy(text + 204, "\"]", 3);
    T_OK(du_json_parse(&json, text_bytes(text), "flat", &err), &err);
}

static void a_bomb_of_empty_objects_is_refused(void)
{
    const size_t count = 300000;
    char *text = malloc(3 * count + 2);
    defupd_error err = { 0 };
    struct du_json *json = NULL;

    if (text == NULL)
        abort();
    text[0] = '[';
    for (size_t i = 0; i < count; i++)
        memcpy(text + 1 + 3 * i, "{},", 3);
    text[3 * count] = ']';
    T_FAILS(du_json_parse(&json, (struct du_bytes){ (unsigned char *)text, 3 * count + 1 }, "bomb",
                          &err),
            DEFUPD_E_METADATA_LIMIT, &err);
    free(text);
}

static void getters_give_nothing_for_another_type(void)
{
    static const char text[] =
        "{\"o\":{},\"a\":[7,\"x\"],\"s\":\"t\",\"n\":-9007199254740992,\"b\":true,\"z\":null}";
    static const char *const keys[] = { "o", "a", "s", "n", "b", "z", "missing" };
    defupd_error err = { 0 };
    DU_AUTO_JSON *json = NULL;
    int64_t n = 5;
    bool b = false;
    int seen = 0;

    T_OK(du_json_parse(&json, text_bytes(text), "t", &err), &err);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        T_CHECK((du_json_object(json, keys[i]) != NULL) == (keys[i][0] == 'o'));
        T_CHECK((du_json_array(json, keys[i]) != NULL) == (keys[i][0] == 'a'));
        T_CHECK((du_json_string(json, keys[i]) != NULL) == (keys[i][0] == 's'));
        T_CHECK(du_json_int(json, keys[i], &n) == (keys[i][0] == 'n'));
        T_CHECK(du_json_bool(json, keys[i], &b) == (keys[i][0] == 'b'));
        T_CHECK(du_json_has(json, keys[i]) == (keys[i][0] != 'm'));
    }
    T_CHECK(n == -(INT64_C(1) << 53) && b);
    T_CHECK(du_json_is_object(json) && !du_json_is_array(json) && du_json_count(json) == 6);
    T_CHECK(du_json_count(du_json_array(json, "a")) == 2);
    T_CHECK(du_json_text(du_json_at(du_json_array(json, "a"), 0)) == NULL);
    T_SAME(du_json_text(du_json_at(du_json_array(json, "a"), 1)), "x");
    T_CHECK(du_json_at(du_json_array(json, "a"), 2) == NULL);
    T_CHECK(du_json_string(du_json_array(json, "a"), "s") == NULL && !du_json_has(NULL, "s"));
    for (void *i = du_json_first(json); i != NULL; i = du_json_next(json, i), seen++)
        T_CHECK(du_json_has(json, du_json_iter_key(i)) && du_json_iter_value(i) != NULL);
    T_CHECK(seen == 6);
}

int main(void)
{
    T_RUN(what_is_not_one_strict_document_is_refused);
    T_RUN(a_message_says_line_and_column);
    T_RUN(depth_is_limited_before_anything_is_built);
    T_RUN(brackets_in_strings_are_no_depth);
    T_RUN(a_bomb_of_empty_objects_is_refused);
    T_RUN(getters_give_nothing_for_another_type);
    return T_DONE();
}
