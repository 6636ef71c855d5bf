/* SPDX-License-Identifier: Apache-2.0 */
/* What callers do wrong, and what they do in an order that nobody thought of. */
#include <defupd/client.h>
#include <defupd/publish.h>

#include "t.h"

#define SLOT_KNOWN UINT64_C(17181236934943976240)

static char here[200];
static char url[300], state[300];

static defupd_client *open_client(defupd_event_fn on_event, void *user)
{
    static const char *const sources[] = { url, NULL };
    static char root[65536];
    defupd_client_options options = DEFUPD_CLIENT_OPTIONS_INIT;
    defupd_client *client = NULL;
    defupd_error err = { 0 };
    FILE *file = fopen("repo/metadata/1.root.json", "r");

    options.state_dir = state;
    options.sources = sources;
    options.trusted_root = root;
    options.trusted_root_bytes = file != NULL ? fread(root, 1, sizeof root, file) : 0;
    options.on_event = on_event;
    options.event_user = user;
    if (file != NULL)
        (void)fclose(file);
    T_OK(defupd_client_open(&client, &options, &err), &err);
    return client;
}

/* A repository with tetra 1 to `releases`. */
static void make_repo(uint64_t releases)
{
    defupd_repo_options options = DEFUPD_REPO_OPTIONS_INIT;
    defupd_error err = { 0 };
    defupd_repo *repo = NULL;
    char dir[300];

    T_CHECK(getcwd(here, sizeof here) != NULL);
    (void)snprintf(dir, sizeof dir, "%s/repo", here);
    (void)snprintf(url, sizeof url, "file://%s/repo", here);
    (void)snprintf(state, sizeof state, "%s/state", here);
    options.repo_dir = dir;
    options.compression_level = 1;
    T_OK(defupd_repo_open(&repo, &options, &err), &err);
    T_OK(defupd_repo_init(repo, &err), &err);
    for (uint64_t v = 1; v <= releases; v++) {
        defupd_repo_release release = DEFUPD_REPO_RELEASE_INIT;

        T_CHECK(t_shell("mkdir -p tree && echo %d > tree/a", (int)v) == 0);
        release.component = "tetra";
        release.version = v;
        release.tree_dir = "tree";
        T_OK(defupd_repo_add_release(repo, &release, &err), &err);
    }
    defupd_repo_close(repo);
}

static defupd_code update(defupd_client *client, const char *one, const char *two,
                          defupd_report **report, defupd_error *err)
{
    const char *const list[] = { one, two, NULL };
    defupd_request request = DEFUPD_REQUEST_INIT;

    request.components = list;
    return defupd_client_update(client, &request, report, err);
}

static defupd_code rollback(defupd_client *client, const char *one, const char *two,
                            defupd_report **report, defupd_error *err)
{
    const char *const list[] = { one, two, NULL };
    defupd_request request = DEFUPD_REQUEST_INIT;

    request.components = list;
    return defupd_client_rollback(client, &request, report, err);
}

static void a_root_that_is_not_there_is_refused(void)
{
    defupd_client_options options = DEFUPD_CLIENT_OPTIONS_INIT;
    defupd_client *client = NULL;
    defupd_error err = { 0 };

    options.state_dir = "/nowhere";
    options.trusted_root_bytes = 100;
    T_FAILS(defupd_client_open(&client, &options, &err), DEFUPD_E_INVALID, &err);
    T_CHECK(client == NULL && strstr(err.message, "trusted_root") != NULL);
}

static void names_that_are_none_touch_nothing(void)
{
    static const char *const bad[] = { "",         "@",        "@1",
                                       "tetra@",   "tetra@0",  "Tetra",
                                       "../x",     "tetra@01", "tetra@9007199254740992",
                                       "tetra@1@2" };
    defupd_report *report = NULL;
    defupd_client *client;
    defupd_error err = { 0 };

    make_repo(1);
    client = open_client(NULL, NULL);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        T_FAILS(update(client, "tetra", bad[i], &report, &err), DEFUPD_E_INVALID, &err);
        T_CHECK(report == NULL);
        T_FAILS(rollback(client, "tetra", bad[i], &report, &err), DEFUPD_E_INVALID, &err);
    }
    T_FAILS(update(client, "tetra@1", "tetra@2", &report, &err), DEFUPD_E_INVALID, &err);
    T_CHECK(strstr(err.message, "two versions") != NULL);
    T_CHECK(access("state", F_OK) != 0);
    defupd_client_close(client);
}

static void a_component_that_is_named_twice_is_one(void)
{
    defupd_report *report = NULL;
    defupd_client *client;
    defupd_error err = { 0 };

    make_repo(3);
    client = open_client(NULL, NULL);
    T_OK(update(client, "tetra", "tetra@1", &report, &err), &err);
    T_CHECK(defupd_report_count(report) == 1 && defupd_report_at(report, 0)->to_version == 1);
    defupd_report_free(report);
    T_OK(update(client, "tetra@2", "tetra@2", NULL, &err), &err);
    T_OK(update(client, "tetra@3", NULL, NULL, &err), &err);
    T_OK(rollback(client, "tetra", "tetra@2", &report, &err), &err);
    T_CHECK(defupd_report_count(report) == 1);
    T_CHECK(defupd_report_at(report, 0)->from_version == 3 &&
            defupd_report_at(report, 0)->to_version == 2 &&
            defupd_report_at(report, 0)->progress == DEFUPD_PROGRESS_ACTIVE);
    T_CHECK(t_shell("test $(cat state/current/tetra/a) = 2") == 0);
    defupd_report_free(report);
    defupd_client_close(client);
}

static void cancel_on_event(void *user, const defupd_event *event)
{
    if (event->id == DEFUPD_EVENT_REQUESTED)
        defupd_cancel(*(defupd_client **)user);
}

static void cancel_ends_the_call_at_work_and_no_other(void)
{
    defupd_client *client = NULL;
    defupd_error err = { 0 };

    make_repo(1);
    client = open_client(cancel_on_event, &client);
    T_FAILS(defupd_client_update(client, NULL, NULL, &err), DEFUPD_E_CANCELLED, &err);
    T_CHECK(access("state/current", F_OK) != 0);
    defupd_client_close(client);

    client = open_client(NULL, NULL);
    defupd_cancel(client); /* nothing is at work: nothing happens */
    T_OK(defupd_client_update(client, NULL, NULL, &err), &err);
    T_CHECK(access("state/current/tetra/a", F_OK) == 0);
    defupd_client_close(client);
}

static void details_are_cut_at_any_size(void)
{
    char whole[512], part[512];

    defupd_version_details(whole, sizeof whole);
    T_CHECK(strstr(whole, "libcurl") != NULL);
    for (size_t size = 0; size < sizeof part; size++) {
        memset(part, '#', sizeof part);
        defupd_version_details(part, size);
        T_CHECK(size == 0 ||
                (memchr(part, '\0', size) != NULL && strncmp(part, whole, strlen(part)) == 0));
        T_CHECK(part[size] == '#');
    }
}

/* A host-id whose HMAC-SHA256 over "slot" another program computed. */
static void the_slot_is_the_hosts_own_and_stable(void)
{
    static const char known[] = "defupd-fact 1\nid 000102030405060708090a0b0c0d0e0f\n";
    defupd_client_options options = DEFUPD_CLIENT_OPTIONS_INIT;
    uint64_t slot = 99, again = 98;
    defupd_client *client = NULL;
    defupd_error err = { 0 };

    if (getcwd(here, sizeof here) == NULL)
        abort();
    (void)snprintf(state, sizeof state, "%s/state", here);
    options.state_dir = state;
    T_OK(defupd_client_open(&client, &options, &err), &err);
    T_FAILS(defupd_client_slot(client, 0, &slot, &err), DEFUPD_E_INVALID, &err);
    T_OK(defupd_client_slot(client, 7200, &slot, &err), &err);
    T_CHECK(slot < 7200 && access("state/host-id", F_OK) == 0);
    T_OK(defupd_client_slot(client, 7200, &again, &err), &err);
    T_CHECK(again == slot);
    T_OK(defupd_client_slot(client, 1, &slot, &err), &err);
    T_CHECK(slot == 0);
    T_CHECK(t_shell("{ printf '%s'; printf 'machine none\n'; } >body && { cat body; echo \"sum "
                    "$(sha256sum <body | cut -c1-64)\"; } >state/host-id",
                    known) == 0);
    T_OK(defupd_client_slot(client, UINT64_MAX, &slot, &err), &err);
    T_CHECK(slot == SLOT_KNOWN);
    T_OK(defupd_client_slot(client, 7200, &again, &err), &err);
    T_CHECK(again == SLOT_KNOWN % 7200);
    defupd_client_close(client);
}

int main(void)
{
    T_RUN(a_root_that_is_not_there_is_refused);
    T_RUN(names_that_are_none_touch_nothing);
    T_RUN(a_component_that_is_named_twice_is_one);
    T_RUN(cancel_ends_the_call_at_work_and_no_other);
    T_RUN(details_are_cut_at_any_size);
    T_RUN(the_slot_is_the_hosts_own_and_stable);
    return T_DONE();
}
