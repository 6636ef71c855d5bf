/* SPDX-License-Identifier: Apache-2.0 */
/* Slow retrieval: a source that hardly answers is left, for metadata and for objects, and costs
 * the endpoint neither the update nor the lock. */
#include <defupd/client.h>

#include "fetch_help.h"
#include "t.h"

#define PUBLISH "\"$BUILD/agent/defupd-publish\" --repo repo "

static void make_repository(void)
{
    T_CHECK(t_shell("mkdir tree && seq 1 9000 >tree/rules && " PUBLISH "init >out 2>&1") == 0);
    T_CHECK(t_shell(PUBLISH "--level 1 add-release alpha 1 tree >>out 2>&1") == 0);
}

static void last_code(void *user, const defupd_event *event)
{
    int32_t *code = user;

    if (event->id == DEFUPD_EVENT_SOURCE_FAILED)
        *code = event->code;
}

static defupd_client *open_client(const char *const *sources, uint32_t total_ms, int32_t *failed)
{
    defupd_client_options options = DEFUPD_CLIENT_OPTIONS_INIT;
    defupd_client *client = NULL;
    defupd_error err = { 0 };
    static char root[100000], state[600], here[500];
    FILE *file = fopen("repo/metadata/1.root.json", "r");

    if (file == NULL || getcwd(here, sizeof here) == NULL)
        abort();
    options.trusted_root = root;
    options.trusted_root_bytes = fread(root, 1, sizeof root, file);
    (void)fclose(file);
    (void)snprintf(state, sizeof state, "%s/state", here);
    options.state_dir = state;
    options.sources = sources;
    options.stall_timeout_ms = HELP_HASTY_MS;
    options.total_timeout_ms = total_ms;
    options.on_event = last_code;
    options.event_user = failed;
    T_OK(defupd_client_open(&client, &options, &err), &err);
    if (client == NULL)
        abort();
    return client;
}

static defupd_code update(const char *const *sources, uint32_t total_ms, int32_t *failed,
                          defupd_error *err)
{
    defupd_client *client = open_client(sources, total_ms, failed);
    defupd_report *report = NULL;
    const defupd_code rc = defupd_client_update(client, NULL, &report, err);

    defupd_report_free(report);
    defupd_client_close(client);
    return rc;
}

static void a_source_that_hardly_answers_is_left_for_the_next_one(void)
{
    static const char *const rules[] = {
        "metadata/2.root.json=silent\n",
        "metadata/timestamp.json=stall:100\n",
        "metadata/timestamp.json=slow:1/50\n",
        "metadata/*.snapshot.json=slow:2/100\n",
        "metadata/*.targets.json=stall:0\n",
        "targets/*=slow:1/50\n",
        "objects/*=stall:10\n",
        "objects/*=slow:5/50\n",
    };

    make_repository();
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        DU_AUTO(server_stop) struct server slow = server_liar("repo", NULL);
        char good[600], here[500];
        const char *both[] = { slow.url, good, NULL }, *alone[] = { slow.url, NULL };
        defupd_error err = { 0 };
        int32_t failed = 0;

        if (getcwd(here, sizeof here) == NULL)
            abort();
        (void)snprintf(good, sizeof good, "file://%s/repo", here);
        help_rules(rules[i]);
        if (i == 0) {
            T_FAILS(update(alone, 0, &failed, &err), DEFUPD_E_STALLED, &err);
            T_CHECK(t_shell("test ! -e state/current") == 0);
        }
        T_OK(update(both, 0, &failed, &err), &err);
        T_CHECK(failed == DEFUPD_E_STALLED);
        T_CHECK(t_shell("cmp tree/rules state/current/alpha/rules") == 0);
        T_CHECK(t_shell("rm -rf state") == 0);
    }
}

static void a_total_time_out_ends_what_is_just_fast_enough(void)
{
    defupd_error err = { 0 };
    int32_t failed = 0;

    make_repository();
    T_CHECK(t_shell("head -c 3000000 /dev/urandom >tree/big") == 0);
    T_CHECK(t_shell(PUBLISH "--level 1 add-release --deltas 0 alpha 2 tree >>out 2>&1") == 0);
    {
        DU_AUTO(server_stop) struct server slow = server_liar("repo", NULL);
        const char *alone[] = { slow.url, NULL };

        help_rules("objects/*=slow:1024/100\n");
        T_FAILS(update(alone, 2000, &failed, &err), DEFUPD_E_TIMEOUT, &err);
    }
    T_CHECK(t_shell("test ! -e state/current") == 0);
}

int main(void)
{
    T_RUN(a_source_that_hardly_answers_is_left_for_the_next_one);
    T_RUN(a_total_time_out_ends_what_is_just_fast_enough);
    return T_DONE();
}
