/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP server's limits as clients meet them. */
#include "serve_kit.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>

#define BIG (6u << 20)

static char *big(void)
{
    char *bytes = malloc(BIG);

    for (size_t i = 0; i < BIG; i++)
        bytes[i] = (char)(i * 2654435761u >> 13);
    return bytes;
}

static void more_requests_than_allowed_are_told_when_to_come_back(void)
{
    struct du_serve_options options = { .requests_per_s = 2 };
    struct kit_reply reply;
    int fd, passed = 0;

    kit_file("metadata/timestamp.json", "{}", 2);
    kit_start(&options);
    fd = kit_dial(0);
    for (int i = 0; i < 40; i++) {
        (void)kit_ask(fd, "GET", "/metadata/timestamp.json", "");
        kit_reply(fd, &reply);
        free(reply.body);
        passed += reply.status == 200;
        if (reply.status != 200)
            break;
    }
    T_CHECK(reply.status == 429 && passed >= 10 && passed < 40);
    T_SAME(kit_header(&reply, "Retry-After"), "1");
    T_SAME(kit_header(&reply, "Cache-Control"), "no-store");
    /* The connection is as good as before. */
    for (int i = 0; i < 100 && reply.status == 429; i++) {
        kit_pause(100);
        (void)kit_ask(fd, "GET", "/metadata/timestamp.json", "");
        kit_reply(fd, &reply);
        free(reply.body);
    }
    T_CHECK(reply.status == 200);
    T_CHECK(kit_figures().limited >= 1);
    T_SAME(kit_figures().last_limited, "127.0.0.1");
    (void)close(fd);
    kit_stop();
}

static void a_client_with_too_many_connections_is_told_and_then_turned_away(void)
{
    struct du_serve_options options = { .per_client = 3 };
    struct kit_reply reply;
    int fds[6], more;

    kit_file("metadata/timestamp.json", "{}", 2);
    kit_start(&options);
    for (int i = 0; i < 3; i++) {
        fds[i] = kit_dial(0);
        (void)kit_ask(fds[i], "GET", "/metadata/timestamp.json", "");
        kit_reply(fds[i], &reply);
        free(reply.body);
        T_CHECK(reply.status == 200);
    }
    for (int i = 3; i < 6; i++) {
        fds[i] = kit_dial(0);
        (void)kit_ask(fds[i], "GET", "/metadata/timestamp.json", "");
        kit_head(fds[i], &reply);
        T_CHECK(reply.status == 429);
        T_SAME(kit_header(&reply, "Connection"), "close");
    }
    /* Those that were told are closed, and room again. */
    for (int i = 0; i < 200 && kit_figures().open > 3; i++)
        kit_pause(20);
    T_CHECK(kit_figures().open == 3);
    /* Connections that say nothing do not have an answer: the seventh is closed unheard. */
    for (int i = 3; i < 6; i++) {
        (void)close(fds[i]);
        fds[i] = kit_dial(0);
    }
    for (int i = 0; i < 200 && kit_figures().open < 6; i++)
        kit_pause(20);
    more = kit_dial(0);
    T_CHECK(recv(more, reply.head, 1, 0) <= 0);
    T_CHECK(kit_figures().turned_away == 1);
    (void)close(more);
    for (int i = 0; i < 6; i++)
        (void)close(fds[i]);
    for (int i = 0; i < 200 && kit_figures().open > 0; i++)
        kit_pause(20);
    T_CHECK(kit_get("/metadata/timestamp.json", "") == 200);
    kit_stop();
}

static void who_is_in_no_allowed_network_gets_nothing(void)
{
    static const char *const others[] = { "192.0.2.0/24", "::1", NULL };
    static const char *const us[] = { "192.0.2.0/24", "127.0.0.0/8", NULL };
    static const char *const wrong[] = { "here", NULL };
    struct du_serve_options options = { .allow = others };
    struct du_serve *serve = NULL;
    defupd_error err = { 0 };

    kit_file("metadata/timestamp.json", "{}", 2);
    kit_start(&options);
    T_CHECK(kit_get("/metadata/timestamp.json", "") == 403);
    T_CHECK(kit_get("/metadata/timestamp.json", "X-Forwarded-For: 192.0.2.7\r\n") == 403);
    kit_stop();
    options.allow = us;
    kit_start(&options);
    T_CHECK(kit_get("/metadata/timestamp.json", "") == 200);
    kit_stop();
    options.allow = wrong;
    T_OK(du_serve_listen(&serve, "127.0.0.1:0", &err), &err);
    T_FAILS(du_serve_start(serve, &options, &err), DEFUPD_E_INVALID, &err);
    du_serve_stop(serve);
}

static void behind_a_proxy_limits_count_for_whom_it_names(void)
{
    static const char *const proxies[] = { "127.0.0.1", NULL };
    static const char *const allowed[] = { "192.0.2.0/24", NULL };
    struct du_serve_options options = {
        .requests_per_s = 1, .per_client = 1, .forwards = proxies, .allow = allowed
    };
    int status = 200;

    kit_file("metadata/timestamp.json", "{}", 2);
    kit_start(&options);
    for (int i = 0; i < 30 && status == 200; i++)
        status = kit_get("/metadata/timestamp.json", "X-Forwarded-For: 192.0.2.1\r\n");
    T_CHECK(status == 429);
    T_SAME(kit_figures().last_limited, "192.0.2.1");
    T_CHECK(kit_get("/metadata/timestamp.json", "X-Forwarded-For: 192.0.2.2\r\n") == 200);
    T_CHECK(kit_get("/metadata/timestamp.json", "X-Forwarded-For: 192.0.2.2, 10.0.0.1\r\n") == 403);
    T_CHECK(kit_get("/metadata/timestamp.json", "X-Forwarded-For: 10.0.0.1, 192.0.2.3\r\n") == 200);
    kit_stop();
}

static void bandwidth_is_for_all_together(void)
{
    struct du_serve_options options = { .bytes_per_s = 4 << 20 };
    const int64_t before = kit_ms();
    char *bytes = big();
    struct kit_reply reply;
    int fds[3];

    kit_file("objects/ab/big", bytes, BIG);
    kit_start(&options);
    for (int i = 0; i < 3; i++) {
        fds[i] = kit_dial(0);
        (void)kit_ask(fds[i], "GET", "/objects/ab/big",
                      i == 2 ? "Range: bytes=100-2000099\r\n" : "");
    }
    for (int i = 0; i < 3; i++) {
        kit_reply(fds[i], &reply);
        T_CHECK(reply.status == (i == 2 ? 206 : 200) && reply.whole);
        T_CHECK(reply.length == (i == 2 ? 2000000 : BIG));
        T_CHECK(memcmp(reply.body, bytes + (i == 2 ? 100 : 0), reply.length) == 0);
        free(reply.body);
        (void)close(fds[i]);
    }
    /* 13.9 MiB by 4 a second, less what may lie ready. */
    T_CHECK(kit_ms() - before > 2500);
    T_CHECK(kit_figures().cut == 0);
    kit_stop();
    free(bytes);
}

static void the_end_comes_also_while_somebody_waits_for_bandwidth(void)
{
    struct du_serve_options options = { .bytes_per_s = 100000 };
    char *bytes = big();
    struct kit_reply reply;
    const int fd = (kit_file("objects/ab/big", bytes, BIG), kit_start(&options), kit_dial(0));

    (void)kit_ask(fd, "GET", "/objects/ab/big", "");
    kit_head(fd, &reply);
    T_CHECK(reply.status == 200 && reply.told == BIG);
    kit_stop();
    kit_body(fd, &reply);
    T_CHECK(!reply.whole);
    free(reply.body);
    (void)close(fd);
    free(bytes);
}

/* Whether the other side hangs up while we send a byte now and then. */
static void who_never_comes_to_the_end_of_a_request_is_cut(void)
{
    struct du_serve_options options = { .idle_s = 1 };
    int fd, sent = 0;

    kit_file("metadata/timestamp.json", "{}", 2);
    kit_start(&options);
    fd = kit_dial(0);
    T_CHECK(kit_send(fd, "GET /metadata/timestamp.json HTTP/1.1\r\nHost: x\r\nX: "));
    for (; sent < 300; sent++) {
        struct pollfd set = { .fd = fd, .events = POLLIN };

        if (poll(&set, 1, 200) > 0 || !kit_send(fd, "x"))
            break;
    }
    T_CHECK(sent < 300);
    T_CHECK(kit_figures().cut == 1);
    (void)close(fd);
    kit_stop();
}

static void who_reads_too_slowly_is_cut_and_who_reads_enough_is_not(void)
{
    struct du_serve_options options = { .slow_s = 1, .slow_bytes = 65536 };
    char *bytes = big(), some[32768];
    struct kit_reply slow, quick;
    size_t got = 0;
    ssize_t n;
    int fds[2];

    kit_file("objects/ab/big", bytes, BIG);
    kit_start(&options);
    for (int i = 0; i < 2; i++) {
        fds[i] = kit_dial(8192);
        (void)kit_ask(fds[i], "GET", "/objects/ab/big", "");
    }
    kit_head(fds[0], &slow);
    kit_head(fds[1], &quick);
    while (kit_figures().cut == 0 && got < BIG - sizeof some) {
        T_CHECK(recv(fds[0], some, 100, 0) > 0);
        n = recv(fds[1], some, sizeof some, MSG_WAITALL);
        T_CHECK(n == sizeof some && memcmp(some, bytes + got, sizeof some) == 0);
        got += (size_t)n;
        kit_pause(50);
    }
    T_CHECK(kit_figures().cut == 1);
    kit_body(fds[0], &slow);
    T_CHECK(!slow.whole);
    quick.told -= got;
    kit_body(fds[1], &quick);
    T_CHECK(quick.whole && memcmp(quick.body, bytes + got, quick.length) == 0);
    free(slow.body);
    free(quick.body);
    for (int i = 0; i < 2; i++)
        (void)close(fds[i]);
    kit_stop();
    free(bytes);
}

static void answers_under_way_come_to_their_end_when_the_server_does(void)
{
    struct du_serve_options options = { .threads = 2 };
    char *bytes = big();
    struct kit_reply reply;
    int fd, idle, status = -1;

    kit_file("objects/ab/big", bytes, BIG);
    kit_start(&options);
    fd = kit_dial(8192);
    idle = kit_dial(0);
    (void)kit_ask(fd, "GET", "/objects/ab/big", "");
    kit_head(fd, &reply);
    if (fork() == 0) { /* reads on while this process waits */
        kit_body(fd, &reply);
        _exit(reply.whole && memcmp(reply.body, bytes, BIG) == 0 ? 0 : 1);
    }
    du_serve_drain(kit_serve, 60000);
    kit_stop();
    T_CHECK(wait(&status) > 0 && status == 0);
    (void)close(fd);
    (void)close(idle);
    free(bytes);
}

static atomic_bool replacing;

static void *replace(void *cls)
{
    static char text[5000];

    (void)cls;
    for (unsigned n = 0; replacing; n++) {
        FILE *file = fopen("metadata/.new", "w");

        memset(text, 'a' + (int)(n % 26), sizeof text);
        if (file == NULL || fwrite(text, 1, sizeof text, file) != sizeof text ||
            fclose(file) != 0 || rename("metadata/.new", "metadata/timestamp.json") != 0)
            abort();
    }
    return NULL;
}

static void a_file_that_is_replaced_all_the_time_is_never_served_in_two_halves(void)
{
    struct du_serve_options options = { .threads = 2 };
    struct kit_reply reply;
    pthread_t thread;
    char etag[300] = "";
    unsigned changes = 0;
    bool mixed = false; /* two contents in one answer */
    int fd;

    kit_file("metadata/timestamp.json", "aaaa", 4);
    kit_start(&options);
    replacing = true;
    T_CHECK(pthread_create(&thread, NULL, replace, NULL) == 0);
    fd = kit_dial(0);
    for (int i = 0; i < 3000; i++) {
        (void)kit_ask(fd, "GET", "/metadata/timestamp.json", etag);
        kit_reply(fd, &reply);
        T_CHECK(reply.status == 304 || (reply.status == 200 && reply.whole));
        for (size_t k = 1; k < reply.length && !mixed; k++)
            mixed = reply.body[k] != reply.body[0];
        changes += reply.status == 200;
        (void)snprintf(etag, sizeof etag, "If-None-Match: %s\r\n", kit_header(&reply, "ETag"));
        free(reply.body);
    }
    replacing = false;
    T_CHECK(pthread_join(thread, NULL) == 0);
    T_CHECK(changes > 1 && !mixed);
    (void)close(fd);
    kit_stop();
}

static void equal_content_has_an_equal_etag_at_every_relay(void)
{
    struct du_serve_options options = { .repository = true };
    struct kit_reply reply;
    char etag[2][256], path[128];
    static const char hash[] = "ab23456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    int fd;

    (void)snprintf(path, sizeof path, "objects/ab/%s", hash);
    for (int i = 0; i < 2; i++) {
        kit_file("metadata/timestamp.json", "{}", 2);
        (void)t_shell("cp metadata/timestamp.json new && mv new metadata/timestamp.json");
        kit_file(path, "0123456789", 10);
        kit_start(&options);
        fd = kit_dial(0);
        (void)kit_ask(fd, "GET", "/metadata/timestamp.json", "");
        kit_reply(fd, &reply);
        free(reply.body);
        (void)snprintf(etag[i], sizeof etag[i], "%s", kit_header(&reply, "ETag"));
        T_SAME(kit_header(&reply, "Last-Modified"), "");
        (void)snprintf(path, sizeof path, "/objects/ab/%s", hash);
        (void)kit_ask(fd, "GET", path, "");
        kit_reply(fd, &reply);
        free(reply.body);
        T_CHECK(strstr(kit_header(&reply, "ETag"), hash) != NULL);
        T_CHECK(kit_header(&reply, "Last-Modified")[0] != '\0');
        (void)snprintf(path, sizeof path, "objects/ab/%s", hash);
        (void)close(fd);
        /* Only a repository's folders are there. */
        kit_file("figures", "x", 1);
        T_CHECK(kit_get("/figures", "") == 404);
        kit_stop();
    }
    T_CHECK(etag[0][0] == '"');
    T_SAME(etag[1], etag[0]);
}

static void the_date_that_was_given_out_is_known_again(void)
{
    struct du_serve_options options = { .dir = NULL };
    struct kit_reply reply;
    char date[300], none[400];
    int fd;

    kit_file("metadata/1.root.json", "{}", 2);
    kit_file("metadata/timestamp.json", "{}", 2);
    kit_start(&options);
    fd = kit_dial(0);
    (void)kit_ask(fd, "HEAD", "/metadata/1.root.json", "");
    kit_head(fd, &reply);
    T_CHECK(reply.status == 200);
    (void)snprintf(date, sizeof date, "If-Modified-Since: %s\r\n",
                   kit_header(&reply, "Last-Modified"));
    (void)close(fd);
    T_CHECK(kit_get("/metadata/1.root.json", date) == 304);
    T_CHECK(kit_get("/metadata/timestamp.json", date) == 200);
    T_CHECK(kit_get("/metadata/1.root.json",
                    "If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT\r\n") == 200);
    (void)snprintf(none, sizeof none, "%sIf-None-Match: \"other\"\r\n", date);
    T_CHECK(kit_get("/metadata/1.root.json", none) == 200);
    kit_stop();
}

static void what_was_sent_is_counted(void)
{
    struct du_serve_options options = { .threads = 2 };
    char *bytes = big();
    struct du_serve_figures figures;

    kit_file("objects/ab/big", bytes, BIG);
    kit_start(&options);
    T_CHECK(kit_get("/objects/ab/big", "") == 200);
    T_CHECK(kit_get("/objects/ab/big", "Range: bytes=0-9\r\n") == 206);
    T_CHECK(kit_get("/objects/ab/big", "If-None-Match: *\r\n") == 304);
    T_CHECK(kit_get("/objects/ab/none", "") == 404);
    T_CHECK(kit_get("/%", "") == 400);
    for (int i = 0; i < 200 && kit_figures().open > 0; i++)
        kit_pause(20);
    figures = kit_figures();
    T_CHECK(figures.requests == 5 && figures.connections == 5 && figures.open == 0);
    T_CHECK(figures.whole == 1 && figures.part == 1 && figures.unchanged == 1);
    T_CHECK(figures.missing == 1 && figures.refused == 1 && figures.clients == 1);
    T_CHECK(figures.bytes > BIG && figures.bytes < BIG + 5000);
    kit_stop();
    free(bytes);
}

int main(void)
{
    T_RUN(more_requests_than_allowed_are_told_when_to_come_back);
    T_RUN(a_client_with_too_many_connections_is_told_and_then_turned_away);
    T_RUN(who_is_in_no_allowed_network_gets_nothing);
    T_RUN(behind_a_proxy_limits_count_for_whom_it_names);
    T_RUN(bandwidth_is_for_all_together);
    T_RUN(the_end_comes_also_while_somebody_waits_for_bandwidth);
    T_RUN(who_never_comes_to_the_end_of_a_request_is_cut);
    T_RUN(who_reads_too_slowly_is_cut_and_who_reads_enough_is_not);
    T_RUN(answers_under_way_come_to_their_end_when_the_server_does);
    T_RUN(a_file_that_is_replaced_all_the_time_is_never_served_in_two_halves);
    T_RUN(equal_content_has_an_equal_etag_at_every_relay);
    T_RUN(the_date_that_was_given_out_is_known_again);
    T_RUN(what_was_sent_is_counted);
    return T_DONE();
}
