/* SPDX-License-Identifier: Apache-2.0 */
/* What the trial server makes of a request's text. The sources are taken in: they belong to the
 * programs, which are in no library. */
#include "../../agent/serve/request.c"

#include "t.h"

static void escapes_are_strict(void)
{
    static const struct {
        const char *path, *is; /* NULL: refused */
    } some[] = { { "/a/b", "/a/b" },       { "/a%20b", "/a b" },
                 { "/%2e%2E/x", "/../x" }, { "/a%2Fb", "/a/b" },
                 { "/a+b", "/a+b" },       { "/%00", NULL },
                 { "/%", NULL },           { "/%4", NULL },
                 { "/%zz", NULL },         { "/%c3%a9", "/\xc3\xa9" } };
    char out[32];

    for (size_t i = 0; i < sizeof some / sizeof some[0]; i++) {
        const bool ok = du_serve_unescape(out, sizeof out, some[i].path);
        T_CHECK(ok == (some[i].is != NULL));
        if (ok && some[i].is != NULL)
            T_SAME(out, some[i].is);
    }
    T_CHECK(!du_serve_unescape(out, 4, "/abc"));
    T_CHECK(du_serve_unescape(out, 5, "/abc"));
}

static void only_plain_names_below_the_folder_are_looked_up(void)
{
    static const char *const good[] = { "/metadata/1.root.json",
                                        "/objects/ab/abcd",
                                        "/x",
                                        "/a b",
                                        "/\xc3\xa9",
                                        "/a.tmp/b",
                                        "/tmp",
                                        "/a..b" };
    static const char *const bad[] = { "",     "/",          "x",       "/a/",   "//a",  "/a//b",
                                       "/..",  "/../x",      "/a/../b", "/a/..", "/.",   "/.lock",
                                       "/./a", "/a/.hidden", "/a.tmp",  "/a\\b", "/a\n", "/\x7f" };

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        T_CHECK(du_serve_path_ok(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        T_CHECK(!du_serve_path_ok(bad[i]));
}

static void names_that_never_change_may_be_kept(void)
{
    static const char hash[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    char path[128];

    T_CHECK(du_serve_immutable("/objects/ab/abcd"));
    T_CHECK(du_serve_immutable("/metadata/12.targets.json"));
    T_CHECK(!du_serve_immutable("/metadata/timestamp.json"));
    T_CHECK(!du_serve_immutable("/metadata/x1.json") && !du_serve_immutable("/metadata/12"));
    (void)snprintf(path, sizeof path, "/targets/tetra/%s.manifest.xml", hash);
    T_CHECK(du_serve_immutable(path));
    T_CHECK(!du_serve_immutable("/targets/tetra/manifest.xml"));
    T_CHECK(!du_serve_immutable("/index.html") && !du_serve_immutable("/1.root.json"));
}

static void ranges_follow_the_standard(void)
{
    static const struct {
        const char *header;
        enum du_range is;
        uint64_t first, count;
    } some[] = { { "bytes=0-0", DU_RANGE_PART, 0, 1 },
                 { "bytes=0-99", DU_RANGE_PART, 0, 100 },
                 { "bytes=0-100", DU_RANGE_PART, 0, 100 },
                 { "bytes=99-", DU_RANGE_PART, 99, 1 },
                 { "bytes=10-19", DU_RANGE_PART, 10, 10 },
                 { "bytes=-1", DU_RANGE_PART, 99, 1 },
                 { "bytes=-100", DU_RANGE_PART, 0, 100 },
                 { "bytes=-1000", DU_RANGE_PART, 0, 100 },
                 { "bytes=0-18446744073709551616", DU_RANGE_PART, 0, 100 },
                 { "bytes=5-18446744073709551615", DU_RANGE_PART, 5, 95 },
                 { "bytes=100-", DU_RANGE_UNSATISFIABLE, 0, 0 },
                 { "bytes=100-200", DU_RANGE_UNSATISFIABLE, 0, 0 },
                 { "bytes=99999999999999999999-", DU_RANGE_UNSATISFIABLE, 0, 0 },
                 { "bytes=-0", DU_RANGE_UNSATISFIABLE, 0, 0 },
                 { "bytes=5-4", DU_RANGE_NONE, 0, 0 },
                 { "bytes=0-1,3-4", DU_RANGE_NONE, 0, 0 },
                 { "bytes=", DU_RANGE_NONE, 0, 0 },
                 { "bytes=-", DU_RANGE_NONE, 0, 0 },
                 { "bytes=a-b", DU_RANGE_NONE, 0, 0 },
                 { "bytes=1", DU_RANGE_NONE, 0, 0 },
                 { "bytes=+1-2", DU_RANGE_NONE, 0, 0 },
                 { "bytes 0-1", DU_RANGE_NONE, 0, 0 },
                 { "items=0-1", DU_RANGE_NONE, 0, 0 },
                 { "", DU_RANGE_NONE, 0, 0 } };

    for (size_t i = 0; i < sizeof some / sizeof some[0]; i++) {
        uint64_t first = 0, count = 0;
        const enum du_range is = du_serve_range(some[i].header, 100, &first, &count);
        if (is != some[i].is || first != some[i].first || count != some[i].count)
            printf("# %s: %d %llu %llu\n", some[i].header, (int)is, (unsigned long long)first,
                   (unsigned long long)count);
        T_CHECK(is == some[i].is && first == some[i].first && count == some[i].count);
    }
}

static void an_empty_file_has_no_range(void)
{
    uint64_t first = 0, count = 0;

    T_CHECK(du_serve_range("bytes=0-0", 0, &first, &count) == DU_RANGE_UNSATISFIABLE);
    T_CHECK(du_serve_range("bytes=-5", 0, &first, &count) == DU_RANGE_UNSATISFIABLE);
}

static void lists_of_etags_are_read(void)
{
    static const char *const with[] = { "\"a-1\"",           "W/\"a-1\"", "\"x\", \"a-1\"",
                                        "\"x\" , W/\"a-1\"", "*",         " \"a-1\" " };
    static const char *const without[] = { "",         "\"a-10\"",    "\"A-1\"", "a-1",
                                           "\"xa-1\"", "\"x\",\"y\"", ",,," };

    for (size_t i = 0; i < sizeof with / sizeof with[0]; i++)
        T_CHECK(du_serve_etag_listed(with[i], "\"a-1\""));
    for (size_t i = 0; i < sizeof without / sizeof without[0]; i++)
        T_CHECK(!du_serve_etag_listed(without[i], "\"a-1\""));
}

int main(void)
{
    T_RUN(escapes_are_strict);
    T_RUN(only_plain_names_below_the_folder_are_looked_up);
    T_RUN(names_that_never_change_may_be_kept);
    T_RUN(ranges_follow_the_standard);
    T_RUN(an_empty_file_has_no_range);
    T_RUN(lists_of_etags_are_read);
    return T_DONE();
}
