/* SPDX-License-Identifier: Apache-2.0 */
/* Reports to a manager that is there, away, busy, or lying. */
#include <fcntl.h>

#include <jansson.h>

#include "report/deliver.h"
#include "report/outbox.h"
#include "report/record.h"
#include "server.h"

#define NOW 1795255200

static char state[256];

static void start(void)
{
    if (getcwd(state, sizeof state) == NULL)
        abort();
}

/* A run with one event of component NAME and a posture. */
static void queue_in(const char *name, uint64_t queue_bytes)
{
    const struct ag_record_options options = {
        .state_dir = state, .who = "uid 0", .what = "update", .queue = 1, .queue_bytes = queue_bytes
    };
    const defupd_event event = { .id = DEFUPD_EVENT_SUCCEEDED, .component = name, .version = 3 };
    const defupd_event detail = { .id = DEFUPD_EVENT_FETCHED, .component = name };
    struct ag_record *record = ag_record_start(&options, NOW);

    ag_record_event(record, &event, NOW);
    ag_record_event(record, &detail, NOW);
    ag_record_end(record, DEFUPD_OK, NULL, NULL, NOW);
    ag_record_posture(record, "{\n  \"agent_uuid\": \"0190\",\n  \"engines\": []\n}\n");
    ag_record_free(record);
}

static void queue(const char *name)
{
    queue_in(name, 0);
}

static defupd_code deliver_to(const char *url, int64_t now, bool at_once, struct ag_delivery *got,
                              defupd_error *err)
{
    const struct ag_deliver deliver = {
        .disk = &ag_disk_posix, .state_dir = state, .url = url, .now = now, .at_once = at_once
    };

    return ag_deliver(&deliver, got, err);
}

/* What "posts" holds is what jq makes of it: one line. */
static bool posts(const char *filter, const char *want)
{
    return t_shell("got=$(jq -c '%s' posts 2>/dev/null | paste -sd' '); [ \"$got\" = '%s' ] || "
                   "{ echo \"# posts: $got\"; false; }",
                   filter, want) == 0;
}

static struct server manager(void)
{
    const char *none[] = { NULL };

    start();
    return server_liar(".", none);
}

static void rules(const char *lines)
{
    FILE *file = fopen("rules.txt", "w");

    if (file == NULL || fputs(lines, file) < 0 || fclose(file) != 0)
        abort();
}

static void messages_arrive_in_order_with_an_id_each(void)
{
    DU_AUTO(server_stop) struct server server = manager();
    struct ag_delivery got;
    defupd_error err = { 0 };

    queue("first");
    queue("second");
    queue("third");
    T_OK(deliver_to(server.url, NOW, false, &got, &err), &err);
    T_CHECK(got.sent == 3 && got.dropped == 0 && got.left == 0);
    T_CHECK(posts(".events[].component", "\"first\" \"second\" \"third\""));
    T_CHECK(posts("(.events | length), .posture.agent_uuid, .host, .dropped",
                  "1 \"0190\" \"0190\" 0 1 \"0190\" \"0190\" 0 1 \"0190\" \"0190\" 0"));
    T_CHECK(t_shell("[ $(jq -r .id posts | sort -u | wc -l) = 3 ]") == 0);
    T_CHECK(t_shell("! jq -r '.id, .events[].uid' posts | grep -vqE '^[0-9a-f-]{36}$'") == 0);
    T_CHECK(t_shell("[ -z \"$(ls outbox/*.msg outbox/*.part 2>/dev/null)\" ]") == 0);
    T_CHECK(t_shell("stat -c %%a outbox | grep -qx 700") == 0);
    T_CHECK(server_count(&server, "conn=1 ") == 3); /* over one connection */
    T_OK(deliver_to(server.url, NOW, false, &got, &err), &err);
    T_CHECK(got.sent == 0 && server_count(&server, "") == 3);
}

static void nothing_is_lost_while_the_manager_is_away(void)
{
    struct ag_delivery got;
    char away[64];
    defupd_error err = { 0 };

    start();
    (void)snprintf(away, sizeof away, "http://127.0.0.1:%d/r", server_free_port());
    queue("first");
    T_FAILS(deliver_to(away, NOW, false, &got, &err), DEFUPD_E_CONNECT, &err);
    T_CHECK(got.left == 1 && got.next == NOW + 60);
    T_OK(deliver_to(away, NOW + 59, false, &got, &err), &err); /* is not asked yet */
    T_CHECK(got.left == 1 && got.next == NOW + 60);
    T_FAILS(deliver_to(away, NOW + 60, false, &got, &err), DEFUPD_E_CONNECT, &err);
    T_CHECK(got.next == NOW + 60 + 120);
    for (int i = 0; i < 10; i++)
        T_FAILS(deliver_to(away, NOW, true, &got, &err), DEFUPD_E_CONNECT, &err);
    T_CHECK(got.next == NOW + 3600);
    queue("second");
    {
        DU_AUTO(server_stop) struct server server = manager();

        T_OK(deliver_to(server.url, NOW + 3600, false, &got, &err), &err);
        T_CHECK(got.sent == 2 && got.left == 0);
        T_CHECK(posts(".events[].component", "\"first\" \"second\""));
        T_CHECK(access("outbox/back-off", F_OK) != 0);
    }
    /* A clock that was years ahead does not silence the host for years. */
    T_CHECK(t_shell("echo 'next 2795255200\nfailures 3' >outbox/back-off") == 0);
    queue("third");
    {
        DU_AUTO(server_stop) struct server server = manager();

        T_OK(deliver_to(server.url, NOW, false, &got, &err), &err);
        T_CHECK(got.sent == 1);
    }
}

static void an_answer_decides_what_becomes_of_a_message(void)
{
    DU_AUTO(server_stop) struct server server = manager();
    struct ag_delivery got;
    defupd_error err = { 0 };

    queue("first");
    rules("*=status:503:600");
    T_FAILS(deliver_to(server.url, NOW, false, &got, &err), DEFUPD_E_HTTP_STATUS, &err);
    T_CHECK(got.left == 1 && got.next == NOW + 600);
    rules("*=status:429");
    T_FAILS(deliver_to(server.url, NOW, true, &got, &err), DEFUPD_E_HTTP_STATUS, &err);
    rules("*=status:408");
    T_FAILS(deliver_to(server.url, NOW, true, &got, &err), DEFUPD_E_HTTP_STATUS, &err);
    rules("*=status:302");
    T_FAILS(deliver_to(server.url, NOW, true, &got, &err), DEFUPD_E_HTTP_STATUS, &err);
    T_CHECK(got.left == 1);
    queue("second");
    rules("*=status:400@1");
    T_OK(deliver_to(server.url, NOW, true, &got, &err), &err);
    T_CHECK(got.sent == 1 && got.dropped == 1 && got.left == 0);
    T_CHECK(posts(".events[].component",
                  "\"first\" \"first\" \"first\" \"first\" \"first\" \"second\""));
    T_CHECK(t_shell("[ $(tail -1 posts | jq .dropped) = 1 ]") == 0); /* told with the next */
}

static void an_answer_that_is_lost_brings_the_same_message_again(void)
{
    DU_AUTO(server_stop) struct server server = manager();
    struct ag_delivery got;
    defupd_error err = { 0 };

    queue("first");
    rules("*=close");
    T_FAILS(deliver_to(server.url, NOW, true, &got, &err), DEFUPD_E_INTERRUPTED, &err);
    rules("*=garbage");
    T_FAILS(deliver_to(server.url, NOW, true, &got, &err), DEFUPD_E_INTERRUPTED, &err);
    rules("");
    T_OK(deliver_to(server.url, NOW, true, &got, &err), &err);
    T_CHECK(got.sent == 1);
    T_CHECK(
        t_shell("[ $(jq -r .id posts | wc -l) = 3 ] && [ $(jq -r .id posts | sort -u | wc -l) = "
                "1 ]") == 0);
    queue("second");
    rules("*=bigerror:500");
    T_FAILS(deliver_to(server.url, NOW, true, &got, &err), DEFUPD_E_HTTP_STATUS, &err);
    T_CHECK(got.left == 1);
}

static void the_queue_is_bounded_and_what_is_dropped_is_counted(void)
{
    DU_AUTO(server_stop) struct server server = manager();
    struct ag_delivery got;
    defupd_error err = { 0 };

    for (int i = 0; i < 30; i++) {
        char name[16];

        (void)snprintf(name, sizeof name, "c%02d", i);
        queue_in(name, 3000);
    }
    T_CHECK(t_shell("[ $(cat outbox/*.msg | wc -c) -le 3000 ]") == 0);
    T_OK(deliver_to(server.url, NOW, true, &got, &err), &err);
    T_CHECK(got.sent > 3 && got.sent < 30);
    T_CHECK(t_shell("[ $(tail -1 posts | jq .dropped) = %u ]", 30 - got.sent) == 0);
    T_CHECK(t_shell("[ $(tail -1 posts | jq -r '.events[].component') = c29 ]") == 0);
    T_CHECK(t_shell("jq -r '.events[].component' posts | sort -c") == 0);
}

static void what_a_crash_left_is_sent_too(void)
{
    DU_AUTO(server_stop) struct server server = manager();
    struct ag_delivery got;
    struct ag_outbox outbox;
    struct ag_message message = { .fd = -1 };
    defupd_error err = { 0 };

    ag_outbox_open(&outbox, &ag_disk_posix, state, 0, true);
    ag_message_add(&message, &outbox, "{\"component\":\"alive\"}");
    /* One that is at work keeps its message. */
    T_OK(deliver_to(server.url, NOW, true, &got, &err), &err);
    T_CHECK(got.sent == 0);
    T_CHECK(write(message.fd, "{\"torn\":", 8) == 8);
    (void)close(message.fd); /* the process is dead */
    T_CHECK(t_shell("echo x >outbox/stranger && echo x >outbox/.0000.part.tmp") == 0);
    T_OK(deliver_to(server.url, NOW, true, &got, &err), &err);
    T_CHECK(got.sent == 1 && got.left == 0);
    T_CHECK(posts(".events", "[{\"component\":\"alive\"}]"));
    T_CHECK(access("outbox/stranger", F_OK) == 0);
    ag_outbox_close(&outbox);
}

static void a_run_that_tells_too_much_is_cut(void)
{
    DU_AUTO(server_stop) struct server server = manager();
    struct ag_delivery got;
    struct ag_outbox outbox;
    struct ag_message message = { .fd = -1 };
    defupd_error err = { 0 };

    ag_outbox_open(&outbox, &ag_disk_posix, state, 0, true);
    for (int i = 0; i < 30000; i++)
        ag_message_add(&message, &outbox, "{\"component\":\"tetra\"}");
    ag_message_posture(&message, &outbox, "{\"agent_uuid\": \"u\", \"engines\": []}");
    ag_message_end(&message, &outbox);
    ag_outbox_close(&outbox);
    T_OK(deliver_to(server.url, NOW, true, &got, &err), &err);
    T_CHECK(t_shell("[ $(jq '.left_out + (.events | length)' posts) = 30000 ]") == 0);
    T_CHECK(
        t_shell("[ $(jq -r .posture.agent_uuid posts) = u ] && [ $(wc -c <posts) -lt 400000 ]") ==
        0);
}

static void a_real_server_takes_them_with_tls_and_the_right_ca_alone(void)
{
    struct ag_deliver deliver = { .disk = &ag_disk_posix, .state_dir = state, .now = NOW };
    struct ag_delivery got;
    char url[64];
    defupd_error err = { 0 };

    start();
    T_CHECK(t_shell("openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext "
                    "subjectAltName=IP:127.0.0.1 -keyout key.pem -out cert.pem >/dev/null 2>&1") ==
            0);
    DU_AUTO(server_stop)
    struct server server = server_nginx(" ssl; ssl_certificate ../cert.pem; ssl_certificate_key "
                                        "../key.pem; location / { return 204; }");

    (void)snprintf(url, sizeof url, "https://127.0.0.1:%d/reports", server.port);
    queue("tetra");
    deliver.url = url;
    deliver.at_once = true;
    T_FAILS(ag_deliver(&deliver, &got, &err), DEFUPD_E_TLS_VERIFY, &err);
    T_CHECK(got.left == 1);
    deliver.ca_file = "cert.pem";
    T_OK(ag_deliver(&deliver, &got, &err), &err);
    T_CHECK(got.sent == 1);
    /* nginx writes its log after the answer. */
    T_CHECK(t_shell("for i in $(seq 600); do grep -q '\"POST /reports HTTP/1.1\" 204' "
                    "nginx-%d/access.log && exit 0; sleep 0.05; done; exit 1",
                    server.port) == 0);
    queue("tetra");
    deliver.url = "ftp://127.0.0.1/x";
    T_FAILS(ag_deliver(&deliver, &got, &err), DEFUPD_E_INVALID, &err);
    deliver.url = "file:///etc/passwd";
    T_FAILS(ag_deliver(&deliver, &got, &err), DEFUPD_E_INVALID, &err);
}

int main(void)
{
    T_RUN(messages_arrive_in_order_with_an_id_each);
    T_RUN(nothing_is_lost_while_the_manager_is_away);
    T_RUN(an_answer_decides_what_becomes_of_a_message);
    T_RUN(an_answer_that_is_lost_brings_the_same_message_again);
    T_RUN(the_queue_is_bounded_and_what_is_dropped_is_counted);
    T_RUN(what_a_crash_left_is_sent_too);
    T_RUN(a_run_that_tells_too_much_is_cut);
    SERVER_RUN("nginx openssl", a_real_server_takes_them_with_tls_and_the_right_ca_alone);
    return T_DONE();
}
