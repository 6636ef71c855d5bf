/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "base/name.h"
#include "base/when.h"
#include "t.h"

static void a_buffer_never_grows_past_its_maximum(void)
{
    defupd_error err = { 0 };
    DU_AUTO_BUF buf = DU_BUF(10);

    T_OK(du_buf_add_text(&buf, "0123456789", &err), &err);
    T_FAILS(du_buf_add_text(&buf, "x", &err), DEFUPD_E_LIMIT, &err);
    T_SAME(du_buf_text(&buf), "0123456789");
    T_FAILS(du_buf_printf(&buf, &err, "%d", 1), DEFUPD_E_LIMIT, &err);
    du_buf_clear(&buf);
    T_OK(du_buf_printf(&buf, &err, "%d-%s", 42, "abc"), &err);
    T_SAME(du_buf_text(&buf), "42-abc");
}

static void hex_goes_there_and_back_and_refuses_the_rest(void)
{
    const unsigned char in[] = { 0x00, 0x7f, 0xff };
    unsigned char out[3];
    char text[7];

    du_hex(text, in, sizeof in);
    T_SAME(text, "007fff");
    T_CHECK(du_unhex(out, 3, text) && memcmp(in, out, 3) == 0);
    T_CHECK(du_unhex(out, 3, "007FfF"));
    T_CHECK(!du_unhex(out, 3, "007ff"));
    T_CHECK(!du_unhex(out, 3, "007fff0"));
    T_CHECK(!du_unhex(out, 3, "007fg0"));
    T_CHECK(!du_unhex(out, 3, ""));
}

static void numbers_are_plain_decimal(void)
{
    static const char *const bad[] = { "",   "01",  "-1",
                                       "+1", " 1",  "1 ",
                                       "1a", "0x1", "18446744073709551616" };
    uint64_t n;

    T_CHECK(du_parse_u64("0", 9, &n) && n == 0);
    T_CHECK(du_parse_u64("18446744073709551615", UINT64_MAX, &n) && n == UINT64_MAX);
    T_CHECK(!du_parse_u64("10", 9, &n));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        T_CHECK(!du_parse_u64(bad[i], UINT64_MAX, &n));
    T_CHECK(du_version_parse("9007199254740991", &n) && n == DU_VERSION_MAX);
    T_CHECK(!du_version_parse("9007199254740992", &n));
    T_CHECK(!du_version_parse("0", &n));
}

static void component_names_follow_the_rule(void)
{
    static const char *const good[] = { "a",          "tetra",
                                        "yara-rules", "c0m1",
                                        "com",        "com10",
                                        "lpt0",       "abcdefghijklmnopqrstuvwxyz012345" };
    static const char *const bad[] = { "",
                                       "A",
                                       "1a",
                                       "-a",
                                       "a_b",
                                       "a.b",
                                       "a/b",
                                       "..",
                                       "root",
                                       "targets",
                                       "snapshot",
                                       "timestamp",
                                       "mirrors",
                                       "agent",
                                       "local",
                                       "current",
                                       "all",
                                       "con",
                                       "nul",
                                       "aux",
                                       "prn",
                                       "com1",
                                       "lpt9",
                                       "xml",
                                       "xmlrules",
                                       "abcdefghijklmnopqrstuvwxyz0123456",
                                       "t\xc3\xa9tra" };
    char name[DU_NAME_MAX + 1];
    uint64_t v;

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        T_CHECK(du_name_ok(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        T_CHECK(!du_name_ok(bad[i]));
    T_CHECK(du_component_parse("tetra@17", name, &v) && v == 17 && strcmp(name, "tetra") == 0);
    T_CHECK(du_component_parse("tetra", name, &v) && v == 0);
    T_CHECK(!du_component_parse("tetra@", name, &v));
    T_CHECK(!du_component_parse("@1", name, &v));
    T_CHECK(!du_component_parse("tetra@1@2", name, &v));
    T_CHECK(!du_component_parse("abcdefghijklmnopqrstuvwxyz0123456@1", name, &v));
}

static void tree_paths_follow_the_rule(void)
{
    static const char *const good[] = { "a",          "a/b",  "with space",   ".hidden",
                                        "...",        "a..b", "r\xc3\xa8gle", "\xf0\x9f\x98\x80",
                                        "[x]{y}!;'\"" };
    static const char *const bad[] = {
        "",     "/a",   "a/",    "a//b", ".",        "..",           "a/../b",           "./a",
        "a\\b", "a\nb", "a\x7f", "\xff", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc3"
    };
    char path[DU_PATH_MAX + 2];

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        T_CHECK(du_path_why_bad(good[i]) == NULL);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        T_CHECK(du_path_why_bad(bad[i]) != NULL);
    memset(path, 'a', sizeof path);
    path[DU_PART_MAX] = '\0';
    T_CHECK(du_path_why_bad(path) == NULL);
    path[DU_PART_MAX] = 'a';
    path[DU_PART_MAX + 1] = '\0';
    T_CHECK(du_path_why_bad(path) != NULL);
    for (size_t i = 0; i < sizeof path; i++)
        path[i] = i % 2 ? '/' : 'a';
    path[DU_PATH_MAX + 1] = '\0';
    T_CHECK(du_path_why_bad(path) != NULL);
    path[DU_PATH_MAX - 1] = '\0';
    T_CHECK(du_path_why_bad(path) == NULL);
}

static void times_go_there_and_back(void)
{
    static const int64_t some[] = { 0,          951782399,  951782400,   951868800,
                                    1795251600, 4102444800, 253402300799 };
    static const char *const bad[] = { "",
                                       "2026-11-21",
                                       "2026-11-21T09:00:00",
                                       "2026-11-21T09:00:00+00:00",
                                       "2026-02-29T00:00:00Z",
                                       "2026-13-01T00:00:00Z",
                                       "2026-00-01T00:00:00Z",
                                       "2026-11-31T00:00:00Z",
                                       "2026-11-21T24:00:00Z",
                                       "2026-11-21T09:60:00Z",
                                       "2026-11-21T09:00:60Z",
                                       "1969-12-31T23:59:59Z",
                                       "2026-11-21T09:00:00ZZ",
                                       "2026-11-21 09:00:00Z",
                                       "-026-11-21T09:00:00Z" };
    char text[DU_TIME_TEXT];
    int64_t t;

    for (size_t i = 0; i < sizeof some / sizeof some[0]; i++) {
        du_time_format(text, some[i]);
        T_CHECK(du_time_parse(text, &t) && t == some[i]);
    }
    T_CHECK(du_time_parse("2026-11-21T09:00:00Z", &t) && t == 1795251600);
    T_CHECK(du_time_parse("2000-02-29T00:00:00Z", &t) && t == 951782400);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        T_CHECK(!du_time_parse(bad[i], &t));
}

static void durations_are_iso_8601_or_a_clock(void)
{
    static const struct {
        const char *text;
        uint64_t seconds;
    } good[] = { { "PT0S", 0 },      { "PT2H", 7200 },     { "P1DT30M", 88200 },
                 { "P1W", 604800 },  { "02:00:00", 7200 }, { "PT1H1M1S", 3661 },
                 { "P1W2D", 777600 } };
    static const char *const bad[] = {
        "",        "P",       "PT",       "P1",    "1H",    "P1Y",    "P1M",
        "PT1D",    "P1H",     "PT1M1H",   "P1DT",  "PT-1S", "PT1.5S", "P99999999999999999999D",
        "P11000D", "2:00:00", "02:60:00", "02:00", "PT1S ", "P1DTT1H"
    };
    uint64_t s;

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        T_CHECK(du_duration_parse(good[i].text, &s) && s == good[i].seconds);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        T_CHECK(!du_duration_parse(bad[i], &s));
}

static void messages_are_one_line_whatever_is_quoted(void)
{
    defupd_error err = { 0 };
    char big[2000];

    (void)DU_FAIL(&err, DEFUPD_E_IO, "say \"%s\"", "a\nb\r\x1b[31m\xff");
    T_SAME(err.message, "say \"a?b??[31m?\"");
    T_CHECK(strstr(err.origin, "test_base_bytes.c") != NULL && err.line > 100);
    (void)du_err_prefix(&err, "while %s", err.message);
    T_CHECK(strncmp(err.message, "while say", 9) == 0);
    memset(big, 'x', sizeof big);
    big[sizeof big - 1] = '\0';
    (void)DU_FAIL(&err, DEFUPD_E_IO, "%s", big);
    T_CHECK(strlen(err.message) == DEFUPD_ERROR_MESSAGE_MAX - 1);
    (void)du_err_prefix(&err, "%s", "front");
    T_CHECK(strncmp(err.message, "front: xx", 9) == 0);
    T_CHECK(strlen(err.message) == DEFUPD_ERROR_MESSAGE_MAX - 1);
}

static void every_code_has_all_its_words(void)
{
    int last = 1, n = 0;

    for (unsigned i = 0; defupd_code_at(i) != 1; i++, n++) {
        const defupd_code code = (defupd_code)defupd_code_at(i);
        T_CHECK((int)code < last); /* descending: each number once */
        last = (int)code;
        T_CHECK(defupd_code_text(code)[0] != '\0' && defupd_code_name(code)[0] != '\0');
        T_CHECK((code == DEFUPD_OK) == (defupd_code_advice(code)[0] == '\0'));
        T_CHECK((code == DEFUPD_OK) == (defupd_code_exit(code) == 0));
        T_CHECK((code == DEFUPD_OK) == (defupd_code_group(code) == DEFUPD_GROUP_NONE));
    }
    T_CHECK(n > 50);
    T_CHECK(defupd_code_unsigned(DEFUPD_E_PROXY_AUTH) == 4294965196U);
    T_CHECK(defupd_code_unsigned(DEFUPD_E_PROXY_CONNECT) == 4294965193U);
    T_CHECK(defupd_code_unsigned(DEFUPD_E_PROXY_DOWNLOAD) == 4294965187U);
    T_SAME(defupd_code_text((defupd_code)-1), "unknown error");
    T_CHECK(defupd_code_exit((defupd_code)-1) == 70);
}

int main(void)
{
    T_RUN(a_buffer_never_grows_past_its_maximum);
    T_RUN(hex_goes_there_and_back_and_refuses_the_rest);
    T_RUN(numbers_are_plain_decimal);
    T_RUN(component_names_follow_the_rule);
    T_RUN(tree_paths_follow_the_rule);
    T_RUN(times_go_there_and_back);
    T_RUN(durations_are_iso_8601_or_a_clock);
    T_RUN(messages_are_one_line_whatever_is_quoted);
    T_RUN(every_code_has_all_its_words);
    return T_DONE();
}
