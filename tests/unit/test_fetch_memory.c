/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch/fetch.h"
#include "fetch_help.h"

static void a_small_file_arrives_with_its_etag_and_304_spares_it(void)
{
    DU_AUTO(server_stop) struct server liar = help_liar("a", "hello", NULL);
    DU_AUTO_FETCH *fetch = help_fetch(&liar, NULL);
    DU_AUTO_BUF body = DU_BUF(100);
    struct du_fetch_file file = { .path = "a", .bytes_max = 100 };
    char etag[128];
    defupd_error err = { 0 };

    T_OK(du_fetch_memory(fetch, 0, &file, &body, &err), &err);
    T_SAME(du_buf_text(&body), "hello");
    T_CHECK(file.status == 200 && !file.not_modified && file.etag_out[0] == '"');
    memcpy(etag, file.etag_out, sizeof etag);
    file.etag = etag;
    T_OK(du_fetch_memory(fetch, 0, &file, &body, &err), &err);
    T_CHECK(file.status == 304 && file.not_modified && body.len == 0);
    T_SAME(file.etag_out, etag);
    file.etag = "\"other\"";
    T_OK(du_fetch_memory(fetch, 0, &file, &body, &err), &err);
    T_CHECK(file.status == 200 && !file.not_modified && body.len == 5);
    file.etag = "\"with\r\nAccept-Encoding: gzip";
    T_OK(du_fetch_memory(fetch, 0, &file, &body, &err), &err);
    T_CHECK(body.len == 5);
    T_CHECK(server_count(&liar, "coding=- auth=no") == 4); /* no Accept-Encoding, no secrets */
}

static void one_connection_serves_a_whole_run_errors_included(void)
{
    DU_AUTO(server_stop)
    struct server liar = help_liar("a", "hello", "b=status:404", "c=redirect:/a", NULL);
    DU_AUTO_FETCH *fetch = help_fetch(&liar, NULL);
    DU_AUTO_BUF body = DU_BUF(100);
    struct du_fetch_file file = { .path = "a", .bytes_max = 100 };
    defupd_error err = { 0 };

    for (int i = 0; i < 3; i++) {
        file.path = "a";
        T_OK(du_fetch_memory(fetch, 0, &file, &body, &err), &err);
        file.path = "b";
        T_FAILS(du_fetch_memory(fetch, 0, &file, &body, &err), DEFUPD_E_NOT_FOUND, &err);
        file.path = "c";
        T_OK(du_fetch_memory(fetch, 0, &file, &body, &err), &err);
        T_SAME(du_buf_text(&body), "hello");
    }
    T_CHECK(server_count(&liar, "conn=1 ") == 12 && server_count(&liar, "") == 12);
}

static void each_failure_has_its_code_and_names_the_url(void)
{
    static const struct {
        const char *rule;
        defupd_code code;
        long status;
        const char *words;
    } row[] = {
        { "x=status:404", DEFUPD_E_NOT_FOUND, 404, "/x: HTTP 404" },
        { "x=status:410", DEFUPD_E_NOT_FOUND, 410, "/x: HTTP 410" },
        { "x=status:403", DEFUPD_E_FORBIDDEN, 403, "/x: HTTP 403" },
        { "x=status:401", DEFUPD_E_FORBIDDEN, 401, "/x: HTTP 401" },
        { "x=status:500", DEFUPD_E_HTTP_STATUS, 500, "/x: HTTP 500" },
        { "x=status:407", DEFUPD_E_HTTP_STATUS, 407, "/x: HTTP 407" },
        { "x=status:204", DEFUPD_E_HTTP_STATUS, 204, "/x: HTTP 204" },
        { "x=status:304", DEFUPD_E_HTTP_STATUS, 304, "/x: HTTP 304" },
        { "x=status:206", DEFUPD_E_HTTP_STATUS, 206, "/x: HTTP 206" },
        { "x=status:302", DEFUPD_E_HTTP_STATUS, 302, "/x: HTTP 302" },
        { "x=bigerror:404", DEFUPD_E_NOT_FOUND, 404, "/x: HTTP 404" },
        { "x=close", DEFUPD_E_INTERRUPTED, 0, "/x: " },
        { "x=cut:3", DEFUPD_E_INTERRUPTED, 200, "/x: " },
        { "x=reset:3", DEFUPD_E_INTERRUPTED, 200, "/x: " },
        { "x=length:50", DEFUPD_E_INTERRUPTED, 200, "/x: " },
        { "x=garbage", DEFUPD_E_HTTP_STATUS, 0, "/x: " },
        { "x=longheader", DEFUPD_E_HTTP_STATUS, 200, "/x: " },
        { "x=gzip", DEFUPD_E_HTTP_STATUS, 200, "\"gzip\"" },
        { "x=tegzip", DEFUPD_E_HTTP_STATUS, 200, "\"gzip, chunked\"" },
        /* Refused before libcurl decodes it. */
        { "x=tegzip:bad", DEFUPD_E_HTTP_STATUS, 200, "\"gzip, chunked\"" },
        { "x=append:100", DEFUPD_E_TOOLARGE, 200, "/x: more than 100 bytes" },
        { "x=more:100", DEFUPD_E_TOOLARGE, 200, "/x: more than 100 bytes" },
        { "x=endless", DEFUPD_E_TOOLARGE, 200, "/x: more than 100 bytes" },
        { "x=stall:2", DEFUPD_E_STALLED, 200, "/x: no byte for 300 ms" },
        { "x=slow:1/100", DEFUPD_E_STALLED, 200, " bytes in 300 ms, expected at least 1024" },
        { "x=silent", DEFUPD_E_STALLED, 0, "/x: no byte for 300 ms" },
        { "x=loop", DEFUPD_E_REDIRECT, 302, "/x: more than 5 redirects" },
        { "x=redirect:file:///etc/passwd", DEFUPD_E_REDIRECT, 302, "file:///etc/passwd" },
        { "x=redirect:ftp://joe:SECRET@h/?SECRET", DEFUPD_E_REDIRECT, 302, "to ftp://h/" },
    };
    DU_AUTO(server_stop) struct server liar = help_liar("x", "hello", NULL);
    DU_AUTO_FETCH *patient = help_fetch(&liar, NULL);
    DU_AUTO_FETCH *hasty =
        help_fetch_with(&liar, (struct du_fetch_options){ .stall_timeout_ms = HELP_HASTY_MS });

    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        DU_AUTO_BUF body = DU_BUF(1000);
        struct du_fetch_file file = { .path = "x", .bytes_max = 100 };
        defupd_error err = { 0 };
        const int before = t_failed;
        struct du_fetch *fetch = row[i].code == DEFUPD_E_STALLED ? hasty : patient;

        help_rules(row[i].rule);
        T_FAILS(du_fetch_memory(fetch, 0, &file, &body, &err), row[i].code, &err);
        T_CHECK(file.status == row[i].status);
        T_CHECK(strncmp(err.message, liar.url, strlen(liar.url)) == 0);
        T_CHECK(strstr(err.message, row[i].words) != NULL);
        T_CHECK(strstr(err.message, "SECRET") == NULL);
        T_CHECK(body.len == 0 && !file.not_modified);
        if (t_failed != before)
            printf("# with %s: status %ld: %s\n", row[i].rule, file.status, err.message);
    }
    help_rules("");
    {
        DU_AUTO_BUF body = DU_BUF(1000);
        struct du_fetch_file file = { .path = "x", .bytes_max = 5 };
        defupd_error err = { 0 };
        T_OK(du_fetch_memory(patient, 0, &file, &body, &err), &err);
        T_SAME(du_buf_text(&body), "hello"); /* the limit itself is allowed */
    }
}

static void five_redirects_are_followed_and_no_more(void)
{
    DU_AUTO(server_stop)
    struct server liar = help_liar("x", "hello", "5=redirect:/4", "4=redirect:/3", "3=redirect:2",
                                   "2=redirect:./1", "1=redirect:/x", "6=redirect:/5", NULL);
    DU_AUTO_FETCH *fetch = help_fetch(&liar, NULL);
    DU_AUTO_BUF body = DU_BUF(1000);
    struct du_fetch_file file = { .path = "5", .bytes_max = 100 };
    defupd_error err = { 0 };

    T_OK(du_fetch_memory(fetch, 0, &file, &body, &err), &err);
    T_CHECK(body.len == 5 && file.status == 200 && server_count(&liar, "") == 6);
    file.path = "6";
    T_FAILS(du_fetch_memory(fetch, 0, &file, &body, &err), DEFUPD_E_REDIRECT, &err);
    T_CHECK(server_count(&liar, "") == 12);
}

static void an_announced_excess_ends_it_at_once(void)
{
    DU_AUTO(server_stop) struct server liar = help_liar("x", "hello, world", "x=stall:2", NULL);
    DU_AUTO_FETCH *fetch = help_fetch(&liar, NULL);
    DU_AUTO_BUF body = DU_BUF(1000);
    struct du_fetch_file file = { .path = "x", .bytes_max = 5 };
    defupd_error err = { 0 };

    T_FAILS(du_fetch_memory(fetch, 0, &file, &body, &err), DEFUPD_E_TOOLARGE, &err);
}

static void busy_servers_are_heard(void)
{
    DU_AUTO(server_stop) struct server liar = help_liar("x", "hello", NULL);
    DU_AUTO_FETCH *fetch = help_fetch(&liar, NULL);
    DU_AUTO_BUF body = DU_BUF(1000);
    struct du_fetch_file file = { .path = "x", .bytes_max = 100 };
    defupd_error err = { 0 };

    help_rules("x=status:503:120");
    T_FAILS(du_fetch_memory(fetch, 0, &file, &body, &err), DEFUPD_E_MAINTENANCE, &err);
    T_CHECK(file.retry_after_s == 120 && strstr(err.message, "120 s") != NULL);
    help_rules("x=status:429:Fri, 01 Jan 2100 00:00:00 GMT");
    T_FAILS(du_fetch_memory(fetch, 0, &file, &body, &err), DEFUPD_E_RATE_LIMITED, &err);
    T_CHECK(file.retry_after_s == 86400);
    help_rules("x=status:503");
    T_FAILS(du_fetch_memory(fetch, 0, &file, &body, &err), DEFUPD_E_MAINTENANCE, &err);
    T_CHECK(file.retry_after_s == 0);
    help_rules("x=status:500:9"); /* means nothing there */
    T_FAILS(du_fetch_memory(fetch, 0, &file, &body, &err), DEFUPD_E_HTTP_STATUS, &err);
    T_CHECK(file.retry_after_s == 0);
    T_CHECK(server_count(&liar, "") == 4); /* none was asked again at once */
}

static void a_passing_failure_is_tried_again_as_often_as_allowed(void)
{
    DU_AUTO(server_stop) struct server liar = help_liar("x", "hello", NULL);
    DU_AUTO_BUF body = DU_BUF(1000);
    struct du_fetch_file file = { .path = "x", .bytes_max = 100 };
    defupd_error err = { 0 };

    {
        DU_AUTO_FETCH *fetch = help_fetch_with(&liar, (struct du_fetch_options){ .attempts = 3 });
        help_rules("x=cut:3@2");
        T_OK(du_fetch_memory(fetch, 0, &file, &body, &err), &err);
        T_SAME(du_buf_text(&body), "hello");
        T_CHECK(server_count(&liar, "") == 3);
        help_rules("x=cut:2@3");
        T_FAILS(du_fetch_memory(fetch, 0, &file, &body, &err), DEFUPD_E_INTERRUPTED, &err);
        T_CHECK(server_count(&liar, "") == 6);
        help_rules("x=status:404");
        T_FAILS(du_fetch_memory(fetch, 0, &file, &body, &err), DEFUPD_E_NOT_FOUND, &err);
        T_CHECK(server_count(&liar, "") == 7);
    }
}

static void credentials_go_to_their_own_host_only_and_into_no_message(void)
{
    const char *far_rules[] = { NULL };
    DU_AUTO(server_stop) struct server far = server_liar(".", far_rules);
    DU_AUTO(server_stop) struct server near = help_liar("x", "hello", NULL);
    char url[100], rule[100];
    const char *sources[] = { url, NULL };
    DU_AUTO_FETCH *fetch = NULL;
    DU_AUTO_BUF body = DU_BUF(1000);
    struct du_fetch_file file = { .path = "x", .bytes_max = 100 };
    defupd_error err = { 0 };

    (void)snprintf(url, sizeof url, "http://joe:TOPSECRET@127.0.0.1:%d/", near.port);
    fetch = help_fetch_with(NULL, (struct du_fetch_options){ .sources = sources });
    T_CHECK(strstr(du_fetch_source_name(fetch, 0), "SECRET") == NULL);
    T_OK(du_fetch_memory(fetch, 0, &file, &body, &err), &err);
    T_CHECK(server_count(&near, "auth=yes") == 1);
    T_CHECK(t_shell("cp x y") == 0);
    (void)snprintf(rule, sizeof rule, "x=redirect:%s/y", far.url);
    help_rules(rule);
    T_OK(du_fetch_memory(fetch, 0, &file, &body, &err), &err);
    T_CHECK(server_count(&far, "/y") == 1 && server_count(&far, "auth=yes") == 0);
    server_stop(&near);
    T_FAILS(du_fetch_memory(fetch, 0, &file, &body, &err), DEFUPD_E_CONNECT, &err);
    T_CHECK(strstr(err.message, "SECRET") == NULL && strstr(err.message, "joe") == NULL);
}

static void hosts_that_are_not_there_have_their_own_codes(void)
{
    char refused[64], label[100];
    const char *sources[] = { refused, label, NULL };
    DU_AUTO_FETCH *fetch = NULL;
    DU_AUTO_BUF body = DU_BUF(1000);
    struct du_fetch_file file = { .path = "x", .bytes_max = 100 };
    defupd_error err = { 0 };

    (void)snprintf(refused, sizeof refused, "http://127.0.0.1:%d", server_free_port());
    /* A label of 64 bytes cannot exist, so no name server is asked. */
    (void)snprintf(label, sizeof label, "http://%064d.invalid/", 7);
    fetch = help_fetch_with(NULL, (struct du_fetch_options){ .sources = sources });
    T_FAILS(du_fetch_memory(fetch, 0, &file, &body, &err), DEFUPD_E_CONNECT, &err);
    T_CHECK(file.status == 0);
    T_FAILS(du_fetch_memory(fetch, 1, &file, &body, &err), DEFUPD_E_RESOLVE, &err);
    T_FAILS(du_fetch_memory(fetch, 2, &file, &body, &err), DEFUPD_E_BUG, &err);
}

static void a_host_that_does_not_answer_ends_with_a_time_out(void)
{
    /* A listener whose queue is full neither refuses nor accepts. */
    struct sockaddr_in address = { .sin_family = AF_INET };
    socklen_t size = sizeof address;
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int filler[4];
    char url[64];
    const char *sources[] = { url, NULL };
    DU_AUTO_FETCH *fetch = NULL;
    DU_AUTO_BUF body = DU_BUF(1000);
    struct du_fetch_file file = { .path = "x", .bytes_max = 100 };
    defupd_error err = { 0 };

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    T_CHECK(bind(listener, (struct sockaddr *)&address, size) == 0 && listen(listener, 0) == 0 &&
            getsockname(listener, (struct sockaddr *)&address, &size) == 0);
    for (size_t i = 0; i < 4; i++) {
        filler[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)connect(filler[i], (struct sockaddr *)&address, size);
    }
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%d", ntohs(address.sin_port));
    fetch = help_fetch_with(
        NULL, (struct du_fetch_options){ .sources = sources, .connect_timeout_ms = 300 });
    T_FAILS(du_fetch_memory(fetch, 0, &file, &body, &err), DEFUPD_E_TIMEOUT, &err);
    for (size_t i = 0; i < 4; i++)
        (void)close(filler[i]);
    (void)close(listener);
}

static void the_total_time_out_covers_all_transfers_of_a_handle(void)
{
    DU_AUTO(server_stop) struct server liar = help_liar("x", "hello", "x=slow:1/60000", NULL);
    DU_AUTO_FETCH *fetch = help_fetch_with(
        &liar, (struct du_fetch_options){
                   .total_timeout_ms = 200, .attempts = 5, .stall_timeout_ms = 60000 });
    DU_AUTO_BUF body = DU_BUF(1000);
    struct du_fetch_file file = { .path = "x", .bytes_max = 100 };
    defupd_error err = { 0 };

    T_FAILS(du_fetch_memory(fetch, 0, &file, &body, &err), DEFUPD_E_TIMEOUT, &err);
    T_FAILS(du_fetch_memory(fetch, 0, &file, &body, &err), DEFUPD_E_TIMEOUT, &err);
    T_CHECK(server_count(&liar, "") <= 1); /* the time was spent: nobody was asked again */
}

static defupd_code stop_at_once(void *user, uint64_t bytes, defupd_error *err)
{
    int *calls = user;

    (void)bytes;
    return ++*calls >= 2 ? DU_FAIL(err, DEFUPD_E_CANCELLED, "cancelled") : DEFUPD_OK;
}

static void a_tick_ends_a_transfer_that_waits(void)
{
    DU_AUTO(server_stop) struct server liar = help_liar("x", "hello", "x=silent", NULL);
    int calls = 0;
    DU_AUTO_FETCH *fetch = help_fetch_with(
        &liar, (struct du_fetch_options){
                   .attempts = 5, .stall_timeout_ms = 600000, .tick = { stop_at_once, &calls } });
    DU_AUTO_BUF body = DU_BUF(1000);
    struct du_fetch_file file = { .path = "x", .bytes_max = 100 };
    defupd_error err = { 0 };

    T_FAILS(du_fetch_memory(fetch, 0, &file, &body, &err), DEFUPD_E_CANCELLED, &err);
    T_SAME(err.message, "cancelled");
    T_CHECK(calls == 2);
}

static defupd_code count_bytes(void *user, uint64_t bytes, defupd_error *err)
{
    (void)err;
    *(uint64_t *)user += bytes;
    return DEFUPD_OK;
}

static void ticks_tell_every_byte_once(void)
{
    DU_AUTO(server_stop) struct server liar = help_liar("x", "hello", "x=redirect:/y", NULL);
    uint64_t bytes = 0;
    DU_AUTO_FETCH *fetch =
        help_fetch_with(&liar, (struct du_fetch_options){ .tick = { count_bytes, &bytes } });
    DU_AUTO_BUF body = DU_BUF(1000000);
    struct du_fetch_file file = { .path = "x", .bytes_max = 1000000 };
    defupd_error err = { 0 };

    T_CHECK(t_shell("head -c 300000 /dev/zero > y") == 0);
    T_OK(du_fetch_memory(fetch, 0, &file, &body, &err), &err);
    T_CHECK(body.len == 300000 && bytes == 300000);
    help_rules("y=cut:1000"); /* bytes before a failure count too: they may be kept */
    T_FAILS(du_fetch_memory(fetch, 0, &file, &body, &err), DEFUPD_E_INTERRUPTED, &err);
    T_CHECK(bytes == 301000);
}

static void file_urls_need_no_server(void)
{
    char cwd[400], url[500];
    const char *sources[] = { url, NULL };
    DU_AUTO_FETCH *fetch = NULL;
    DU_AUTO_BUF body = DU_BUF(1000);
    struct du_fetch_file file = { .path = "a b/c%41", .bytes_max = 5 };
    defupd_error err = { 0 };

    T_CHECK(getcwd(cwd, sizeof cwd) != NULL);
    (void)snprintf(url, sizeof url, "file://%s/my%%20repo/", cwd);
    T_CHECK(
        t_shell("mkdir -p 'my repo/a b' 'my repo/dir' && printf hello > 'my repo/a b/c%%41' &&"
                " mkfifo 'my repo/pipe' && printf no > 'my repo/dark' && chmod 0 'my repo/dark'") ==
        0);
    fetch = help_fetch_with(NULL, (struct du_fetch_options){ .sources = sources });
    T_OK(du_fetch_memory(fetch, 0, &file, &body, &err), &err);
    T_SAME(du_buf_text(&body), "hello");
    T_CHECK(file.status == 200 && file.etag_out[0] == '\0');
    file.bytes_max = 4;
    T_FAILS(du_fetch_memory(fetch, 0, &file, &body, &err), DEFUPD_E_TOOLARGE, &err);
    file.path = "a b/none";
    T_FAILS(du_fetch_memory(fetch, 0, &file, &body, &err), DEFUPD_E_NOT_FOUND, &err);
    T_CHECK(file.status == 404 && strstr(err.message, "/my%20repo/a%20b/none: ") != NULL);
    file.path = "a b/c%41/below";
    T_FAILS(du_fetch_memory(fetch, 0, &file, &body, &err), DEFUPD_E_NOT_FOUND, &err);
    file.path = "dir";
    T_FAILS(du_fetch_memory(fetch, 0, &file, &body, &err), DEFUPD_E_NOT_FOUND, &err);
    file.path = "pipe";
    T_FAILS(du_fetch_memory(fetch, 0, &file, &body, &err), DEFUPD_E_NOT_FOUND, &err);
    file.path = "../my repo/a b/c%41";
    T_FAILS(du_fetch_memory(fetch, 0, &file, &body, &err), DEFUPD_E_BUG, &err);
    file.path = "dark";
    if (geteuid() != 0)
        T_FAILS(du_fetch_memory(fetch, 0, &file, &body, &err), DEFUPD_E_FORBIDDEN, &err);
}

static void a_real_server_and_odd_paths_agree(void)
{
    char cwd[400], block[500], url[100];
    const char *sources[] = { url, NULL };
    defupd_error err = { 0 };

    T_CHECK(getcwd(cwd, sizeof cwd) != NULL);
    T_CHECK(t_shell("mkdir -p 'r/s p' && printf hello > 'r/s p/%%41?#&+;\xc3\xa9'") == 0);
    (void)snprintf(block, sizeof block, "; root %s/r;", cwd);
    {
        DU_AUTO(server_stop) struct server nginx = server_nginx(block);
        DU_AUTO_FETCH *fetch = NULL;
        DU_AUTO_BUF body = DU_BUF(1000);
        struct du_fetch_file file = { .path = "s p/%41?#&+;\xc3\xa9", .bytes_max = 100 };

        (void)snprintf(url, sizeof url, "%s///", nginx.url);
        fetch = help_fetch_with(NULL, (struct du_fetch_options){ .sources = sources });
        T_OK(du_fetch_memory(fetch, 0, &file, &body, &err), &err);
        T_SAME(du_buf_text(&body), "hello");
        file.etag = file.etag_out;
        T_OK(du_fetch_memory(fetch, 0, &file, &body, &err), &err);
        T_CHECK(file.not_modified);
        file.etag = NULL;
        file.path = "none";
        T_FAILS(du_fetch_memory(fetch, 0, &file, &body, &err), DEFUPD_E_NOT_FOUND, &err);
    }
}

static void ipv6_literals_are_addresses_too(void)
{
    DU_AUTO(server_stop) struct server liar = help_liar("x", "hello", NULL);
    char url[64];
    const char *sources[] = { url, NULL };
    DU_AUTO_FETCH *fetch = NULL;
    DU_AUTO_BUF body = DU_BUF(1000);
    struct du_fetch_file file = { .path = "x", .bytes_max = 100 };
    defupd_error err = { 0 };

    (void)snprintf(url, sizeof url, "http://[::ffff:127.0.0.1]:%d/", liar.port);
    fetch = help_fetch_with(NULL, (struct du_fetch_options){ .sources = sources });
    T_OK(du_fetch_memory(fetch, 0, &file, &body, &err), &err);
    T_SAME(du_buf_text(&body), "hello");
}

int main(void)
{
    T_RUN(a_small_file_arrives_with_its_etag_and_304_spares_it);
    T_RUN(one_connection_serves_a_whole_run_errors_included);
    T_RUN(each_failure_has_its_code_and_names_the_url);
    T_RUN(five_redirects_are_followed_and_no_more);
    T_RUN(an_announced_excess_ends_it_at_once);
    T_RUN(busy_servers_are_heard);
    T_RUN(a_passing_failure_is_tried_again_as_often_as_allowed);
    T_RUN(credentials_go_to_their_own_host_only_and_into_no_message);
    T_RUN(hosts_that_are_not_there_have_their_own_codes);
    T_RUN(a_host_that_does_not_answer_ends_with_a_time_out);
    T_RUN(the_total_time_out_covers_all_transfers_of_a_handle);
    T_RUN(a_tick_ends_a_transfer_that_waits);
    T_RUN(ticks_tell_every_byte_once);
    T_RUN(file_urls_need_no_server);
    SERVER_RUN("nginx", a_real_server_and_odd_paths_agree);
    T_RUN(ipv6_literals_are_addresses_too);
    return T_DONE();
}
