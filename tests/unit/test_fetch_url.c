/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch/fetch_priv.h"
#include "t.h"

static void base_urls_are_tolerant_about_slashes_and_keep_credentials_apart(void)
{
    static const struct {
        const char *url, *base, *user, *password, *dir;
    } good[] = {
        { "http://h", "http://h", NULL, NULL, NULL },
        { "http://h///", "http://h", NULL, NULL, NULL },
        { "https://h:8443/a/b//", "https://h:8443/a/b", NULL, NULL, NULL },
        { "HTTP://h/A%20b/", "http://h/A%20b", NULL, NULL, NULL },
        { "http://[::1]:80/r/", "http://[::1]:80/r", NULL, NULL, NULL },
        { "http://joe:p%40ss@h/r", "http://h/r", "joe", "p@ss", NULL },
        { "http://joe@h/r", "http://h/r", "joe", NULL, NULL },
        { "file:///srv/my%20repo/", "file:///srv/my%20repo", NULL, NULL, "/srv/my repo" },
        { "file:///", "file://", NULL, NULL, "" },
        { "file://localhost/srv", "file:///srv", NULL, NULL, "/srv" },
    };
    defupd_error err = { 0 };

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        DU_AUTO(du_site_free) struct du_site source = { 0 };
        T_OK(du_site_parse(&source, "source", good[i].url, &err), &err);
        T_SAME(source.base, good[i].base);
        T_CHECK((source.user == NULL) == (good[i].user == NULL));
        T_CHECK((source.password == NULL) == (good[i].password == NULL));
        T_CHECK((source.dir == NULL) == (good[i].dir == NULL));
        if (source.user != NULL && good[i].user != NULL)
            T_SAME(source.user, good[i].user);
        if (source.password != NULL && good[i].password != NULL)
            T_SAME(source.password, good[i].password);
        if (source.dir != NULL && good[i].dir != NULL)
            T_SAME(source.dir, good[i].dir);
    }
}

static void other_urls_are_refused_by_name_and_without_their_password(void)
{
    static const char *const bad[] = { "",
                                       "h/repo",
                                       "/srv/repo",
                                       "ftp://h/",
                                       "http://",
                                       "http:///repo",
                                       "scp://h/repo",
                                       "http://h/?a=b",
                                       "http://h/?",
                                       "http://h/#x",
                                       "http://h:99999/",
                                       "http://h/a b",
                                       "file://elsewhere/srv",
                                       "file:///srv%00x",
                                       "http://h\n/",
                                       "data:text/plain,x",
                                       "http://joe:TOPSECRET@h/?x",
                                       "ftp://joe:TOPSECRET@h/",
                                       "joe:TOPSECRET@h/repo",
                                       "http://joe:TOPSECRET/x@h:port/",
                                       "http://joe:TOPSECRET%00@h/" };
    defupd_error err = { 0 };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        DU_AUTO(du_site_free) struct du_site source = { 0 };
        T_FAILS(du_site_parse(&source, "source", bad[i], &err), DEFUPD_E_INVALID, &err);
        T_CHECK(strstr(err.message, "SECRET") == NULL);
        if (strstr(bad[i], "SECRET") == NULL && strchr(bad[i], '\n') == NULL)
            T_CHECK(strncmp(err.message, "source \"", 8) == 0);
        if (strchr(bad[i], ' ') != NULL)
            T_CHECK(strstr(err.message, "%20") != NULL);
        if (strncmp(bad[i], "file://e", 8) == 0)
            T_CHECK(strstr(err.message, "file:///DIR") != NULL);
    }
}

static void a_proxy_is_a_host_and_nothing_more(void)
{
    static const char *const bad[] = { "h:3128",         "socks4://h:1080",
                                       "file:///x",      "http://h/path",
                                       "http://h:1/?q",  "http://joe:SECRET@h/p",
                                       "joe:SECRET@h:1", "" };
    const char *const none[] = { "http://h", NULL };
    defupd_error err = { 0 };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        DU_AUTO_FETCH *fetch = NULL;
        const struct du_fetch_options options = { .sys = &du_sys_posix,
                                                  .sources = none,
                                                  .proxy = bad[i] };
        T_FAILS(du_fetch_new(&fetch, &options, &err), DEFUPD_E_INVALID, &err);
        T_CHECK(strstr(err.message, "proxy") != NULL && strstr(err.message, "SECRET") == NULL);
    }
}

static void each_part_of_a_path_is_encoded_once(void)
{
    DU_AUTO_FREE char *plain = du_url_join("http://h/r", "metadata/1.root.json");
    DU_AUTO_FREE char *odd = du_url_join("http://h/r%20x", "a b/%41?#&+;\xc3\xa9/~-_.");

    T_SAME(plain, "http://h/r/metadata/1.root.json");
    T_SAME(odd, "http://h/r%20x/a%20b/%2541%3F%23%26%2B%3B%C3%A9/~-_.");
}

static void what_people_see_has_no_credentials_and_no_query(void)
{
    static const struct {
        const char *url, *shown;
    } row[] = {
        { "http://joe:pw@h:81/a/b?token=x#y", "http://h:81/a/b" },
        { "https://joe@h/a", "https://h/a" },
        { "ftp://joe:pw@h/a?x", "ftp://h/a" },
        { "weird://joe:pw@h/a?x", "weird://h/a" },
        { "http://joe:p/w@h:port/a", "http://h:port/a" },
        { "not a url joe:pw@h?x", "h" },
        { "http://[::1]:8/a", "http://[::1]:8/a" },
    };

    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        DU_AUTO_FREE char *shown = du_url_shown(row[i].url);
        T_SAME(shown, row[i].shown);
    }
}

static void an_origin_is_scheme_host_and_port(void)
{
    T_CHECK(du_url_same_origin("http://h/a", "http://H:80/b"));
    T_CHECK(du_url_same_origin("https://h:443/a", "https://h"));
    T_CHECK(!du_url_same_origin("http://h/", "https://h/"));
    T_CHECK(!du_url_same_origin("http://h:1/", "http://h:2/"));
    T_CHECK(!du_url_same_origin("http://h/", "http://h2/"));
    T_CHECK(!du_url_same_origin("nonsense", "nonsense"));
}

static void redirects_never_leave_https_or_the_web(void)
{
    T_CHECK(du_redirect_why_bad("http://h/a", "http://i/b") == NULL);
    T_CHECK(du_redirect_why_bad("http://h/a", "https://i/b") == NULL);
    T_CHECK(du_redirect_why_bad("https://h/a", "https://i/b") == NULL);
    T_CHECK(du_redirect_why_bad("https://h/a", "http://h/a") != NULL);
    T_CHECK(du_redirect_why_bad("HTTPS://h/a", "http://h/a") != NULL);
    T_CHECK(du_redirect_why_bad("http://h/a", "file:///etc/passwd") != NULL);
    T_CHECK(du_redirect_why_bad("http://h/a", "ftp://h/a") != NULL);
    T_CHECK(du_redirect_why_bad("http://h/a", "gopher://h/a") != NULL);
    T_CHECK(du_redirect_why_bad("http://h/a", "::") != NULL);
}

static struct du_answer answer_of(const char *header)
{
    struct du_answer answer;

    du_answer_init(&answer);
    while (*header != '\0') {
        const size_t len = strcspn(header, "\n") + 1;
        du_answer_line(&answer, header, len);
        header += len;
    }
    return answer;
}

static void retry_after_is_seconds_or_a_date(void)
{
    static const struct {
        const char *header;
        uint32_t seconds;
    } row[] = {
        { "Retry-After: 120\r\n", 120 },
        { "retry-after:0\r\n", 0 },
        { "Retry-After: 0007  \r\n", 7 },
        { "Retry-After: 99999999999999999999999\r\n", 86400 },
        { "Retry-After: 86401\r\n", 86400 },
        { "Retry-After: -5\r\n", 0 },
        { "Retry-After: soon\r\n", 0 },
        { "Retry-After: Fri, 21 Nov 2025 09:00:30 GMT\r\n", 30 }, /* after `now` */
        { "Retry-After: Fri, 21 Nov 2025 08:00:00 GMT\r\n", 0 },
        { "Retry-After: Sun, 21 Dec 2025 08:00:00 GMT\r\n", 86400 },
        /* The server's clock is an hour ahead of ours: what counts is the difference. */
        { "Date: Fri, 21 Nov 2025 10:00:00 GMT\r\nRetry-After: Fri, 21 Nov 2025 10:01:00 GMT\r\n",
          60 },
        { "", 0 },
    };

    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        const struct du_answer answer = answer_of(row[i].header);
        T_CHECK(du_answer_retry_after(&answer, 1763715600) == row[i].seconds);
    }
}

static void ranges_of_answers_are_understood_or_called_bad(void)
{
    static const char *const bad[] = {
        "bytes 5-9",     "bytes 9-5/20",  "bytes -5-9/20", "bytes a-b/20", "lines 5-9/20",
        "bytes 5-9/2x",  "bytes 05-9/20", "bytes 5-/20",   "bytes",        "",
        "bytes 5 - 9/20"
    };
    struct du_answer answer = answer_of("Content-Range: bytes 5-9/20\r\n");

    T_CHECK(answer.ranged && !answer.range_bad && answer.range_from == 5 &&
            answer.range_size == 20);
    answer = answer_of("CONTENT-RANGE:Bytes 0-0/*\r\n");
    T_CHECK(answer.ranged && !answer.range_bad && answer.range_from == 0 &&
            answer.range_size == DU_FETCH_SIZE_UNKNOWN);
    answer = answer_of("Content-Range: bytes */77\r\n");
    T_CHECK(!answer.ranged && answer.unsatisfied && answer.range_size == 77);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char line[100];
        (void)snprintf(line, sizeof line, "Content-Range: %s\r\n", bad[i]);
        answer = answer_of(line);
        T_CHECK(answer.range_bad && !answer.ranged);
    }
}

static void codings_are_seen_however_they_are_written(void)
{
    char line[3000];

    T_CHECK(!answer_of("Content-Encoding: identity\r\nTransfer-Encoding: chunked\r\n").coded);
    T_CHECK(answer_of("content-encoding:gzip\r\n").coded);
    T_CHECK(answer_of("Content-Encoding: identity\r\nContent-Encoding: br\r\n").coded);
    T_CHECK(answer_of("Transfer-Encoding: gzip, chunked\r\n").transfer_coded);
    T_CHECK(answer_of("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n").transfer_coded);
    (void)snprintf(line, sizeof line, "Transfer-Encoding: gzip%2000s\r\n", ",x");
    T_CHECK(answer_of(line).transfer_coded);
    T_CHECK(!answer_of("Content-Encoding: gzip\r\nHTTP/1.1 200 OK\r\n").coded);
}

static void an_etag_is_kept_whole_or_not_at_all(void)
{
    char line[400];

    T_SAME(answer_of("ETag: \"abc\"\r\n").etag, "\"abc\"");
    (void)snprintf(line, sizeof line, "ETag: \"%0125d\"\r\n", 7);
    T_CHECK(strlen(answer_of(line).etag) == 127);
    (void)snprintf(line, sizeof line, "ETag: \"%0126d\"\r\n", 7);
    T_SAME(answer_of(line).etag, "");
}

int main(void)
{
    T_RUN(base_urls_are_tolerant_about_slashes_and_keep_credentials_apart);
    T_RUN(other_urls_are_refused_by_name_and_without_their_password);
    T_RUN(a_proxy_is_a_host_and_nothing_more);
    T_RUN(each_part_of_a_path_is_encoded_once);
    T_RUN(what_people_see_has_no_credentials_and_no_query);
    T_RUN(an_origin_is_scheme_host_and_port);
    T_RUN(redirects_never_leave_https_or_the_web);
    T_RUN(retry_after_is_seconds_or_a_date);
    T_RUN(ranges_of_answers_are_understood_or_called_bad);
    T_RUN(codings_are_seen_however_they_are_written);
    T_RUN(an_etag_is_kept_whole_or_not_at_all);
    return T_DONE();
}
