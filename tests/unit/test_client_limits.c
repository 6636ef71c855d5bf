/* SPDX-License-Identifier: Apache-2.0 */
/* What keeps a host from asking too much: bytes per day, dear bytes, sources that want to be left
 * alone. */
#include "fetch_help.h"
#include "store/store.h"
#include "update_kit.h"

#define HOUR 3600

/* alpha 1 installed and alpha 2 published; bundles of some kilobytes that do not compress. */
static void prepare(void)
{
    defupd_error err = { 0 };

    kit_start();
    kit_turn_clock(0);
    T_CHECK(t_shell("for n in 1 2 3 b; do mkdir a$n && head -c 20000 /dev/urandom > a$n/f; done") ==
            0);
    kit_add(1, "a1");
    T_OK(kit_run(KIT_UPDATE, NULL, &err), &err);
    kit_add(2, "a2");
}

static defupd_store_status store_status(void)
{
    static defupd_status *status;
    defupd_client *client = NULL;
    defupd_error err = { 0 };

    defupd_status_free(status);
    status = NULL;
    T_OK(kit_open(&client, &err), &err);
    T_OK(defupd_client_status(client, &status, &err), &err);
    defupd_client_close(client);
    return *defupd_status_store(status);
}

/* --- bytes per day --- */

static void the_days_bytes_are_counted_and_obeyed(void)
{
    static const char *const named[] = { "alpha@2", NULL };
    const int64_t day = 86400 - du_sys_posix.now_s() % 86400; /* until tomorrow */
    defupd_source source = DEFUPD_SOURCE_INIT;
    const defupd_source *const list[] = { &source, NULL };
    defupd_report *report = NULL;
    defupd_error err = { 0 };
    char url[300];
    uint64_t bytes;

    prepare();
    (void)snprintf(url, sizeof url, "file://%s/repo", kit.here);
    source.url = url; /* nobody refreshes the timestamp in the days that this test sees */
    source.offline_grace_s = 3 * 86400;
    kit.options.source_list = list;
    kit_add_to("beta", 1, "ab");
    kit.options.bytes_per_day = 30000; /* enough for one of them */
    kit_turn_clock(day + HOUR);        /* so that no midnight comes in between */
    T_FAILS(kit_run(KIT_UPDATE, &report, &err), DEFUPD_E_BUDGET, &err);
    T_CHECK(kit_is("a2") && access("state/current/beta", F_OK) != 0);
    T_CHECK(strstr(err.message, "the day's budget has ") != NULL &&
            strstr(err.message, "T00:00:00Z") != NULL);
    bytes = defupd_report_fetched(report);
    defupd_report_free(report);
    T_CHECK(bytes > 20000 && store_status().day_bytes == bytes);

    kit_add(3, "a3"); /* more than what is left */
    for (int i = 0; i < 2; i++) {
        kit.request.flags = i == 0 ? DEFUPD_REQUEST_SCHEDULED : 0;
        T_FAILS(kit_run(KIT_UPDATE, NULL, &err), DEFUPD_E_BUDGET, &err);
        T_CHECK(kit_is("a2") && store_status().day_bytes == bytes);
    }
    kit.request.components = (const char *const[]){ "alpha@3", NULL };
    T_FAILS(kit_run(KIT_UPDATE, NULL, &err), DEFUPD_E_BUDGET, &err);
    kit.request.flags = DEFUPD_REQUEST_OVER_BUDGET;
    T_OK(kit_run(KIT_UPDATE, NULL, &err), &err);
    T_CHECK(kit_is("a3") && store_status().day_bytes > 2 * 20000);

    kit.request.flags = 0;
    kit.request.components = named; /* on disk: costs nothing */
    T_OK(kit_run(KIT_UPDATE, NULL, &err), &err);
    kit.request.components = NULL;
    kit_turn_clock(day + HOUR + 86400);
    T_CHECK(store_status().day_bytes == 0);
    T_OK(kit_run(KIT_UPDATE, NULL, &err), &err);
    T_CHECK(access("state/current/beta", F_OK) == 0); /* a new day */
    kit_turn_clock(day + HOUR); /* the clock is set back: that day's count is gone */
    T_CHECK(store_status().day_bytes == 0);
}

static void without_a_limit_nothing_is_counted(void)
{
    defupd_error err = { 0 };

    prepare();
    T_OK(kit_run(KIT_UPDATE, NULL, &err), &err);
    T_CHECK(t_shell("grep -q day state/schedule/agent") != 0 && store_status().day_bytes == 0);
}

static void what_a_killed_process_fetched_counts_too(void)
{
    struct du_store store = { .dir = -1, .lock = -1 };
    const int64_t today = du_sys_posix.now_s() / 86400;
    DU_AUTO_FACT fact = { 0 };
    defupd_error err = { 0 };
    char state[300], text[200];
    unsigned char sha256[DU_SHA256_BYTES] = { 7 };
    bool complete;
    int fd = -1;

    prepare();
    (void)snprintf(state, sizeof state, "%s/state", kit.here);
    T_OK(du_store_open(&store, state, &du_sys_posix, &err), &err);
    T_OK(du_store_lock(&store, 0, NULL, &err), &err);
    T_OK(du_store_download_open(&store, sha256, true, &complete, &fd, &err), &err);
    T_CHECK(ftruncate(fd, 15000) == 0 && close(fd) == 0);
    du_hex(text, sha256, sizeof sha256);
    memcpy(text + DU_SHA256_HEX, " 5000", 6);
    T_CHECK(du_store_fact_read(&store, DU_FACT_SCHEDULE, "agent", &fact) == DU_FACT_READ);
    T_OK(du_fact_set(&fact, "fetching", text, &err), &err);
    T_OK(du_fact_set_u64(&fact, "day", (uint64_t)today, &err), &err);
    T_OK(du_store_fact_write(&store, DU_FACT_SCHEDULE, "agent", &fact, &err), &err);
    du_store_close(&store);

    kit.options.bytes_per_day = 30000; /* 10000 are gone */
    T_FAILS(kit_run(KIT_UPDATE, NULL, &err), DEFUPD_E_BUDGET, &err);
    T_CHECK(strstr(err.message, "has 20,000 left") != NULL);
    kit.options.bytes_per_day = 40000;
    T_OK(kit_run(KIT_UPDATE, NULL, &err), &err);
    T_CHECK(kit_is("a2") && t_shell("grep -q fetching state/schedule/agent") != 0);
}

static void where_bytes_are_dear_a_delta_is_taken_and_no_bundle(void)
{
    defupd_error err = { 0 };
    char how[256];

    prepare();
    kit.options.flags = DEFUPD_CLIENT_METERED;
    T_FAILS(kit_run(KIT_UPDATE, NULL, &err), DEFUPD_E_BUDGET, &err);
    T_CHECK(kit_is("a1") && strstr(err.message, "--over-budget") != NULL);
    (void)t_shell("cp -a a2 a4 && echo more >> a4/f");
    kit_add(4, "a4");
    (void)kit_delta(4, 1, "a1", "a4");
    T_OK(kit_how(KIT_UPDATE, how, &err), &err);
    T_CHECK(strncmp(how, "delta: ", 7) == 0 && kit_is("a4"));
    kit.options.components = (const char *const[]){ "beta", NULL };
    kit_add_to("beta", 1, "ab"); /* a first installation */
    T_OK(kit_run(KIT_UPDATE, NULL, &err), &err);
    T_CHECK(access("state/current/beta", F_OK) == 0);
}

static void what_was_postponed_by_the_budget_is_installed_from_the_disk(void)
{
    defupd_error err = { 0 };

    prepare();
    T_OK(kit_run(KIT_DOWNLOAD, NULL, &err), &err);
    kit.options.flags = DEFUPD_CLIENT_METERED;
    kit.options.bytes_per_day = 1;
    T_OK(kit_run(KIT_INSTALL, NULL, &err), &err);
    T_CHECK(kit_is("a2"));
}

/* --- sources that want to be left alone --- */

/* One source over HTTP; rules.txt says how it behaves. */
static void serve(struct server *liar)
{
    prepare();
    help_rules("");
    *liar = server_liar("repo", NULL);
    kit.source = liar->url;
}

static defupd_code update(uint32_t flags, defupd_error *err)
{
    kit.request.flags = flags;
    return kit_run(KIT_UPDATE, NULL, err);
}

static void who_asks_to_be_left_alone_is_left_alone_by_every_order(void)
{
    static const char *const named[] = { "alpha@2", NULL };
    defupd_error err = { 0 };
    int asked;

    prepare();
    help_rules("*=status:429:600\n");
    DU_AUTO(server_stop) struct server liar = server_liar("repo", NULL);
    kit.source = liar.url;
    T_FAILS(update(0, &err), DEFUPD_E_RATE_LIMITED, &err);
    T_CHECK(strstr(err.message, "600 s") != NULL);
    asked = server_count(&liar, "");
    help_rules("");
    for (int i = 0; i < 4; i++) {
        kit.request.components = i == 2 ? named : NULL;
        T_FAILS(update(i == 0 ? DEFUPD_REQUEST_SCHEDULED : 0, &err), DEFUPD_E_COOL_DOWN, &err);
        T_CHECK(strstr(err.message, "asked to be left alone until 20") != NULL);
        T_CHECK(defupd_code_exit(err.code) == 75);
    }
    kit.request.components = NULL;
    T_FAILS(kit_run(KIT_CHECK, NULL, &err), DEFUPD_E_COOL_DOWN, &err);
    T_FAILS(kit_run(KIT_DOWNLOAD, NULL, &err), DEFUPD_E_COOL_DOWN, &err);
    T_CHECK(server_count(&liar, "") == asked && kit_is("a1"));
    T_CHECK(store_status().cool_until >= du_sys_posix.now_s() + 590 &&
            store_status().cool_until <= du_sys_posix.now_s() + 600);
    T_CHECK(t_shell("grep -q '^url %s$' state/sources/*", liar.url) == 0);

    kit_turn_clock(601);
    T_CHECK(store_status().cool_until == 0);
    T_OK(update(0, &err), &err);
    T_CHECK(kit_is("a2") && t_shell("test -z \"$(ls state/sources)\"") == 0);
}

static void a_date_serves_as_well_and_a_day_is_the_most(void)
{
    defupd_error err = { 0 };
    DU_AUTO(server_stop) struct server liar = { 0 };

    serve(&liar);
    help_rules("*=status:503:Fri, 01 Jan 2100 00:00:00 GMT\n");
    T_FAILS(update(0, &err), DEFUPD_E_MAINTENANCE, &err);
    help_rules("");
    kit_turn_clock(23 * HOUR);
    T_FAILS(update(0, &err), DEFUPD_E_COOL_DOWN, &err);
    kit_turn_clock(-500); /* more than a day ahead: the clock was wrong, and nobody waits for it */
    T_CHECK(store_status().cool_until == 0);
    T_OK(update(0, &err), &err);
    T_CHECK(kit_is("a2"));
}

static void without_a_time_there_is_nothing_to_wait_for(void)
{
    defupd_error err = { 0 };
    DU_AUTO(server_stop) struct server liar = { 0 };

    serve(&liar);
    help_rules("*=status:503\n");
    T_FAILS(update(0, &err), DEFUPD_E_MAINTENANCE, &err);
    help_rules("*=status:500:600\n");
    T_FAILS(update(0, &err), DEFUPD_E_HTTP_STATUS, &err);
    help_rules("");
    T_OK(update(0, &err), &err);
}

static void another_source_is_asked_meanwhile(void)
{
    defupd_source first = DEFUPD_SOURCE_INIT, second = DEFUPD_SOURCE_INIT;
    const defupd_source *const list[] = { &first, &second, NULL };
    defupd_error err = { 0 };
    char url[300];
    int asked;
    DU_AUTO(server_stop) struct server liar = { 0 };

    serve(&liar);
    (void)snprintf(url, sizeof url, "file://%s/repo", kit.here);
    first.url = liar.url;
    second.url = url;
    kit.options.source_list = list;
    help_rules("*=status:429:600\n");
    T_OK(update(0, &err), &err);
    T_CHECK(kit_is("a2") && kit_told(DEFUPD_EVENT_SOURCE_FAILED) != NULL);
    asked = server_count(&liar, "");
    kit_add(3, "a3");
    T_OK(update(0, &err), &err);
    T_CHECK(kit_is("a3") && server_count(&liar, "") == asked && store_status().cool_until == 0);

    second.url = "file:///nowhere/at/all"; /* what the other one fails by is the news */
    T_FAILS(update(0, &err), DEFUPD_E_NOT_FOUND, &err);
}

static void an_object_store_that_wants_to_be_left_alone_gets_no_second_request(void)
{
    defupd_error err = { 0 };
    DU_AUTO(server_stop) struct server liar = { 0 };

    serve(&liar);
    kit_add_to("beta", 1, "ab");
    help_rules("objects/*=status:429:600\n");
    T_FAILS(update(0, &err), DEFUPD_E_RATE_LIMITED, &err);
    T_CHECK(server_count(&liar, "GET /objects/") == 1 && kit_is("a1"));
    T_CHECK(kit_status("beta").last_error == DEFUPD_E_COOL_DOWN);
}

static void the_next_attempt_waits_for_the_source(void)
{
    const int64_t now = du_sys_posix.now_s();
    defupd_error err = { 0 };
    DU_AUTO(server_stop) struct server liar = { 0 };

    serve(&liar);
    kit.options.next_on_failure = now + 60;
    help_rules("*=status:429:600\n");
    T_FAILS(update(0, &err), DEFUPD_E_RATE_LIMITED, &err);
    T_CHECK(kit_status("alpha").next_attempt >= now + 600 &&
            kit_status("alpha").next_attempt == store_status().cool_until);
    kit.options.next_on_failure = now + 10000;
    T_FAILS(update(0, &err), DEFUPD_E_COOL_DOWN, &err);
    T_CHECK(kit_status("alpha").next_attempt == now + 10000);
}

static void a_record_that_cannot_be_read_keeps_nobody_waiting(void)
{
    defupd_error err = { 0 };
    DU_AUTO(server_stop) struct server liar = { 0 };

    serve(&liar);
    help_rules("*=status:429:600\n");
    T_FAILS(update(0, &err), DEFUPD_E_RATE_LIMITED, &err);
    T_CHECK(t_shell("for f in state/sources/*; do echo rot > $f; done") == 0);
    help_rules("");
    T_OK(update(0, &err), &err);
    T_CHECK(t_shell("test -z \"$(ls state/sources)\"") == 0);
}

static void an_installation_from_the_disk_waits_for_no_source(void)
{
    defupd_error err = { 0 };
    DU_AUTO(server_stop) struct server liar = { 0 };

    serve(&liar);
    T_OK(kit_run(KIT_DOWNLOAD, NULL, &err), &err);
    help_rules("*=status:429:600\n");
    T_FAILS(update(0, &err), DEFUPD_E_RATE_LIMITED, &err);
    T_OK(kit_run(KIT_INSTALL, NULL, &err), &err);
    T_CHECK(kit_is("a2"));
}

int main(void)
{
    T_RUN(the_days_bytes_are_counted_and_obeyed);
    T_RUN(without_a_limit_nothing_is_counted);
    T_RUN(what_a_killed_process_fetched_counts_too);
    T_RUN(where_bytes_are_dear_a_delta_is_taken_and_no_bundle);
    T_RUN(what_was_postponed_by_the_budget_is_installed_from_the_disk);
    T_RUN(who_asks_to_be_left_alone_is_left_alone_by_every_order);
    T_RUN(a_date_serves_as_well_and_a_day_is_the_most);
    T_RUN(without_a_time_there_is_nothing_to_wait_for);
    T_RUN(another_source_is_asked_meanwhile);
    T_RUN(an_object_store_that_wants_to_be_left_alone_gets_no_second_request);
    T_RUN(the_next_attempt_waits_for_the_source);
    T_RUN(a_record_that_cannot_be_read_keeps_nobody_waiting);
    T_RUN(an_installation_from_the_disk_waits_for_no_source);
    return T_DONE();
}
