/* SPDX-License-Identifier: Apache-2.0 */
/* Objects that are fetched while clients wait for them, from an upstream that gives as many bytes
 * as the test allows. */
#include "serve_kit.h"

#include <fcntl.h>
#include <pthread.h>

#define BIG (1u << 20)
#define HASH "ab23456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define OBJECT "/objects/ab/" HASH
#define UNKNOWN "/objects/cd/cd23456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

struct fake {
    pthread_mutex_t lock;
    pthread_cond_t change;
    size_t allowed;
    unsigned fetches, used, waiting;
    defupd_code fails; /* when all that is allowed has been given */
    bool again;        /* the same: begin anew */
    bool forgotten;    /* the object is gone before anybody can open it */
    bool cancelled;
};
static struct fake fake;
static char *content;

static void set(size_t allowed, defupd_code fails, bool again)
{
    (void)pthread_mutex_lock(&fake.lock);
    fake.allowed = allowed;
    fake.fails = fails;
    fake.again = again;
    (void)pthread_cond_broadcast(&fake.change);
    (void)pthread_mutex_unlock(&fake.lock);
}

/* What is to be done after `done` bytes. */
static defupd_code next(size_t done, size_t *count, bool *again)
{
    defupd_code rc;

    (void)pthread_mutex_lock(&fake.lock);
    fake.waiting++;
    while (fake.allowed <= done && fake.fails == DEFUPD_OK && !fake.again && !fake.cancelled)
        (void)pthread_cond_wait(&fake.change, &fake.lock);
    fake.waiting--;
    rc = fake.cancelled ? DEFUPD_E_CANCELLED : fake.allowed <= done ? fake.fails : DEFUPD_OK;
    *again = fake.allowed <= done && fake.again;
    fake.again = fake.again && !*again;
    *count = fake.allowed > done ? fake.allowed - done : 0;
    (void)pthread_mutex_unlock(&fake.lock);
    return rc;
}

static defupd_code fetch(void *context, const unsigned char sha256[32], du_serve_arrived_fn arrived,
                         void *user, defupd_error *err)
{
    int fd;
    size_t done = 0;
    defupd_code rc = DEFUPD_OK;

    T_CHECK(context == &fake);
    (void)err;
    (void)pthread_mutex_lock(&fake.lock);
    fake.fetches++;
    (void)pthread_mutex_unlock(&fake.lock);
    if (sha256[0] != 0xab)
        return DEFUPD_E_NOT_FOUND;
    fd = open("part", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    while (done < BIG && rc == DEFUPD_OK) {
        size_t count = 0;
        bool again = false;

        rc = next(done, &count, &again);
        if (again)
            done = 0;
        count = count > 16384 ? 16384 : count;
        if (rc == DEFUPD_OK && !again)
            T_CHECK(pwrite(fd, content + done, count, (off_t)done) == (ssize_t)count);
        done += again ? 0 : count;
        if (rc == DEFUPD_OK)
            arrived(user, fd, done, BIG);
    }
    if (rc == DEFUPD_OK && !fake.forgotten)
        T_CHECK(t_shell("mkdir -p objects/ab && mv part objects/ab/" HASH) == 0);
    (void)close(fd);
    return rc;
}

static void used(void *context, const unsigned char sha256[32])
{
    (void)context;
    T_CHECK(sha256[0] == 0xab && sha256[1] == 0x23 && sha256[31] == 0xef);
    (void)pthread_mutex_lock(&fake.lock);
    fake.used++;
    (void)pthread_mutex_unlock(&fake.lock);
}

static void cancel(void *context)
{
    (void)context;
    (void)pthread_mutex_lock(&fake.lock);
    fake.cancelled = true;
    (void)pthread_cond_broadcast(&fake.change);
    (void)pthread_mutex_unlock(&fake.lock);
}

static void start(struct du_serve_options *options)
{
    static struct du_serve_upstream upstream = {
        .context = &fake, .fetch = fetch, .used = used, .cancel = cancel, .fetches = 2
    };

    fake = (struct fake){ .lock = PTHREAD_MUTEX_INITIALIZER, .change = PTHREAD_COND_INITIALIZER };
    content = malloc(BIG);
    for (size_t i = 0; i < BIG; i++)
        content[i] = (char)(i * 2654435761u >> 13);
    options->threads = 2;
    options->upstream = &upstream;
    kit_start(options);
}

static void stop(void)
{
    kit_stop();
    free(content);
}

static bool take(int fd, char *out, size_t count)
{
    return recv(fd, out, count, MSG_WAITALL) == (ssize_t)count;
}

static void what_has_come_is_handed_on_before_the_rest_is_there(void)
{
    struct du_serve_options options = { .dir = NULL };
    char *got = malloc(BIG);
    struct kit_reply reply;
    int fd;

    start(&options);
    set(100000, DEFUPD_OK, false);
    fd = kit_dial(0);
    (void)kit_ask(fd, "GET", OBJECT, "");
    kit_head(fd, &reply);
    T_CHECK(reply.status == 200 && reply.told == BIG);
    T_SAME(kit_header(&reply, "ETag"), "\"" HASH "\"");
    T_CHECK(take(fd, got, 90000) && memcmp(got, content, 90000) == 0);
    set(BIG, DEFUPD_OK, false);
    T_CHECK(take(fd, got + 90000, BIG - 90000) && memcmp(got, content, BIG) == 0);
    /* The connection goes on; soon the object is here. */
    for (int i = 0; i < 500 && access("objects/ab/" HASH, F_OK) != 0; i++)
        kit_pause(20);
    (void)kit_ask(fd, "GET", OBJECT, "Range: bytes=5-9\r\n");
    kit_reply(fd, &reply);
    T_CHECK(reply.status == 206 && memcmp(reply.body, content + 5, 5) == 0);
    free(reply.body);
    (void)close(fd);
    T_CHECK(fake.fetches == 1 && fake.used == 1);
    T_CHECK(kit_figures().hits == 1 && kit_figures().misses == 1);
    stop();
    free(got);
}

static void everybody_shares_one_fetch(void)
{
    struct du_serve_options options = { .dir = NULL };
    struct kit_reply reply;
    int fds[40];

    start(&options);
    for (int i = 0; i < 40; i++) {
        fds[i] = kit_dial(0);
        (void)kit_ask(fds[i], i % 4 == 3 ? "HEAD" : "GET", OBJECT,
                      i % 4 == 1 ? "Range: bytes=1000000-\r\n" : "");
        set((size_t)i * 20000, DEFUPD_OK, false);
    }
    set(BIG, DEFUPD_OK, false);
    for (int i = 0; i < 40; i++) {
        const size_t from = i % 4 == 1 ? 1000000 : 0;

        kit_head(fds[i], &reply);
        T_CHECK(reply.status == (from > 0 ? 206 : 200) && reply.told == BIG - from);
        if (i % 4 != 3) {
            kit_body(fds[i], &reply);
            T_CHECK(reply.whole && memcmp(reply.body, content + from, reply.length) == 0);
            free(reply.body);
        }
        (void)close(fds[i]);
    }
    T_CHECK(fake.fetches == 1);
    stop();
}

static void what_nobody_has_is_not_there(void)
{
    struct du_serve_options options = { .dir = NULL };
    struct kit_reply reply;
    int fd;

    start(&options);
    fd = kit_dial(0);
    (void)kit_ask(fd, "GET", UNKNOWN, "");
    kit_reply(fd, &reply);
    T_CHECK(reply.status == 404 && fake.fetches == 1);
    free(reply.body);
    /* Only what can be an object is asked for. */
    (void)kit_ask(fd, "GET", "/objects/ab/abcd", "");
    kit_reply(fd, &reply);
    T_CHECK(reply.status == 404 && fake.fetches == 1);
    free(reply.body);
    (void)kit_ask(fd, "GET", "/metadata/1.root.json", "");
    kit_reply(fd, &reply);
    T_CHECK(reply.status == 404 && fake.fetches == 1);
    free(reply.body);
    (void)close(fd);
    T_CHECK(kit_figures().unfetched == 0);
    stop();
}

static void a_failure_before_the_first_byte_is_an_answer(void)
{
    struct du_serve_options options = { .dir = NULL };
    struct kit_reply reply;
    int fd;

    start(&options);
    set(0, DEFUPD_E_CONNECT, false);
    fd = kit_dial(0);
    (void)kit_ask(fd, "GET", OBJECT, "");
    kit_reply(fd, &reply);
    T_CHECK(reply.status == 502);
    T_SAME(kit_header(&reply, "Retry-After"), ""); /* it would keep clients from all the others */
    free(reply.body);
    set(0, DEFUPD_E_NOMEM, false);
    (void)kit_ask(fd, "GET", OBJECT, "");
    kit_reply(fd, &reply);
    T_CHECK(reply.status == 503);
    T_SAME(kit_header(&reply, "Retry-After"), "10");
    free(reply.body);
    set(BIG, DEFUPD_OK, false); /* it is asked again */
    (void)kit_ask(fd, "GET", OBJECT, "");
    kit_reply(fd, &reply);
    T_CHECK(reply.status == 200 && reply.whole && memcmp(reply.body, content, BIG) == 0);
    free(reply.body);
    (void)close(fd);
    T_CHECK(kit_figures().unfetched == 2);
    stop();
}

static void what_waiting_does_not_mend_is_no_reason_to_leave_the_relay_alone(void)
{
    static const defupd_code codes[] = { DEFUPD_E_DIGEST, DEFUPD_E_TOOLARGE, DEFUPD_E_NO_SPACE };
    struct du_serve_options options = { .dir = NULL };
    struct kit_reply reply;
    int fd;

    start(&options);
    fd = kit_dial(0);
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        set(0, codes[i], false);
        (void)kit_ask(fd, "GET", OBJECT, "");
        kit_reply(fd, &reply);
        T_CHECK(reply.status == 404);
        T_SAME(kit_header(&reply, "Retry-After"), "");
        free(reply.body);
    }
    (void)close(fd);
    T_CHECK(kit_figures().unfetched == 3);
    stop();
}

static void a_failure_in_the_middle_cuts_the_answer_and_the_rest_can_be_had_later(void)
{
    struct du_serve_options options = { .dir = NULL };
    struct kit_reply reply;
    char range[256];
    size_t got;
    int fd;

    start(&options);
    set(500000, DEFUPD_OK, false);
    fd = kit_dial(0);
    (void)kit_ask(fd, "GET", OBJECT, "");
    kit_head(fd, &reply);
    set(500000, DEFUPD_E_INTERRUPTED, false);
    kit_body(fd, &reply);
    T_CHECK(reply.status == 200 && !reply.whole);
    T_CHECK(memcmp(reply.body, content, reply.length) == 0);
    got = reply.length;
    free(reply.body);
    (void)close(fd);
    set(BIG, DEFUPD_OK, false);
    fd = kit_dial(0);
    (void)snprintf(range, sizeof range, "Range: bytes=%zu-\r\nIf-Range: \"" HASH "\"\r\n", got);
    (void)kit_ask(fd, "GET", OBJECT, range);
    kit_reply(fd, &reply);
    T_CHECK(reply.status == 206 && reply.whole && reply.length == BIG - got);
    T_CHECK(memcmp(reply.body, content + got, reply.length) == 0);
    free(reply.body);
    (void)close(fd);
    stop();
}

static void who_was_given_wrong_bytes_is_cut_off(void)
{
    struct du_serve_options options = { .dir = NULL };
    char *got = malloc(BIG);
    struct kit_reply reply;
    int early, late;

    start(&options);
    set(300000, DEFUPD_OK, false);
    early = kit_dial(0);
    (void)kit_ask(early, "GET", OBJECT, "");
    kit_head(early, &reply);
    T_CHECK(reply.status == 200 && take(early, got, 250000));
    set(0, DEFUPD_OK, true); /* what has come was wrong */
    T_CHECK(!take(early, got, BIG - 250000));
    late = kit_dial(0);
    (void)kit_ask(late, "GET", OBJECT, "");
    set(BIG, DEFUPD_OK, false);
    kit_reply(late, &reply);
    T_CHECK(reply.status == 200 && reply.whole && memcmp(reply.body, content, BIG) == 0);
    free(reply.body);
    (void)close(early);
    (void)close(late);
    T_CHECK(fake.fetches == 1);
    stop();
    free(got);
}

static void an_object_that_had_to_go_at_once_still_reaches_who_waits(void)
{
    struct du_serve_options options = { .dir = NULL };
    struct kit_reply reply;
    int fd;

    start(&options);
    fake.forgotten = true;
    set(1000, DEFUPD_OK, false);
    fd = kit_dial(0);
    (void)kit_ask(fd, "GET", OBJECT, "");
    kit_head(fd, &reply);
    set(BIG, DEFUPD_OK, false);
    kit_body(fd, &reply);
    T_CHECK(reply.whole && memcmp(reply.body, content, BIG) == 0);
    free(reply.body);
    (void)close(fd);
    stop();
}

static void limited_bandwidth_holds_for_what_comes_as_well(void)
{
    struct du_serve_options options = { .bytes_per_s = 1 << 20 };
    const int64_t before = kit_ms();
    struct kit_reply reply;
    int fd;

    start(&options);
    set(BIG, DEFUPD_OK, false);
    fd = kit_dial(0);
    (void)kit_ask(fd, "GET", OBJECT, "");
    kit_reply(fd, &reply);
    T_CHECK(reply.whole && memcmp(reply.body, content, BIG) == 0);
    T_CHECK(kit_ms() - before > 600);
    free(reply.body);
    (void)close(fd);
    stop();
}

static void who_waits_for_upstream_is_not_idle(void)
{
    struct du_serve_options options = { .idle_s = 1, .slow_s = 1 };
    struct kit_reply reply;
    int fds[2];

    start(&options);
    fds[0] = kit_dial(0);
    (void)kit_ask(fds[0], "GET", OBJECT, "");
    kit_pause(3000);
    set(50000, DEFUPD_OK, false);
    kit_head(fds[0], &reply);
    T_CHECK(reply.status == 200);
    kit_pause(3000);
    set(BIG, DEFUPD_OK, false);
    kit_body(fds[0], &reply);
    T_CHECK(reply.whole && memcmp(reply.body, content, BIG) == 0);
    T_CHECK(kit_figures().cut == 0);
    free(reply.body);
    (void)close(fds[0]);
    stop();
}

static void the_end_of_the_server_ends_fetches_and_those_who_wait(void)
{
    struct du_serve_options options = { .dir = NULL };
    struct kit_reply reply;
    int fds[3];

    start(&options);
    set(50000, DEFUPD_OK, false);
    for (int i = 0; i < 3; i++) {
        fds[i] = kit_dial(0);
        (void)kit_ask(fds[i], "GET", OBJECT, "");
    }
    kit_head(fds[0], &reply);
    kit_stop();
    T_CHECK(fake.cancelled && fake.waiting == 0);
    kit_body(fds[0], &reply);
    T_CHECK(!reply.whole);
    free(reply.body);
    for (int i = 0; i < 3; i++)
        (void)close(fds[i]);
    free(content);
}

/* Clients that come and go in any order, with parts of what is half there. */
static void whoever_hangs_up_leaves_nothing_behind(void)
{
    struct du_serve_options options = { .dir = NULL };

    start(&options);
    for (int i = 0; i < 60; i++) {
        const int fd = kit_dial(4096);

        (void)kit_ask(fd, "GET", OBJECT, "");
        set((size_t)i * 10000, DEFUPD_OK, false);
        if (i % 3 > 0) {
            char some[1000];
            (void)recv(fd, some, sizeof some, i % 3 == 1 ? MSG_DONTWAIT : 0);
        }
        (void)close(fd);
    }
    set(BIG, DEFUPD_OK, false);
    for (int i = 0; i < 500 && kit_figures().open > 0; i++)
        kit_pause(20);
    T_CHECK(kit_figures().open == 0);
    T_CHECK(kit_get(OBJECT, "") == 200);
    stop();
}

int main(void)
{
    T_RUN(what_has_come_is_handed_on_before_the_rest_is_there);
    T_RUN(everybody_shares_one_fetch);
    T_RUN(what_nobody_has_is_not_there);
    T_RUN(a_failure_before_the_first_byte_is_an_answer);
    T_RUN(what_waiting_does_not_mend_is_no_reason_to_leave_the_relay_alone);
    T_RUN(a_failure_in_the_middle_cuts_the_answer_and_the_rest_can_be_had_later);
    T_RUN(who_was_given_wrong_bytes_is_cut_off);
    T_RUN(an_object_that_had_to_go_at_once_still_reaches_who_waits);
    T_RUN(limited_bandwidth_holds_for_what_comes_as_well);
    T_RUN(who_waits_for_upstream_is_not_idle);
    T_RUN(the_end_of_the_server_ends_fetches_and_those_who_wait);
    T_RUN(whoever_hangs_up_leaves_nothing_behind);
    return T_DONE();
}
