/* SPDX-License-Identifier: Apache-2.0 */
/* Objects on demand: what a cache asks its upstream for, and what it never does. */
#include <pthread.h>

#include "relay_kit.h"
#include "server.h"

/* A relay in cache mode that has synced `releases` of alpha; yours to close. Its upstream is `url`,
 * NULL: the folder. */
static struct du_relay *cache(int releases, const char *url)
{
    struct du_relay *relay = NULL;
    defupd_error err = { 0 };

    kit_start();
    hub_start();
    hub_releases(1, releases);
    hub.options.mode = DU_RELAY_CACHE;
    hub.source = url;
    T_OK(hub_open(&relay, &err), &err);
    T_OK(du_relay_sync(relay, NULL, &hub.report, &err), &err);
    /* The server is another process, and opens the store when it is there. */
    du_relay_close(relay);
    T_OK(hub_open(&relay, &err), &err);
    return relay;
}

/* The nth object by age: alpha's release n + 1. */
static void digest_of(unsigned char sha256[32], int release)
{
    char hex[80] = "";
    FILE *out;

    (void)t_shell(
        "grep -o 'version=\"%d\".*' repo/targets/alpha/$(ls -t repo/targets/alpha | head "
        "-1) >x; tr '\\n' ' ' <repo/targets/alpha/$(ls -t repo/targets/alpha | head -1) | "
        "grep -o 'version=\"%d\".*' | grep -o 'full object=\"[0-9a-f]*' | head -1 | cut "
        "-d'\"' -f2 >hex",
        release, release);
    out = fopen("hex", "r");
    T_CHECK(out != NULL && fgets(hex, sizeof hex, out) != NULL);
    hex[64] = '\0';
    T_CHECK(du_unhex(sha256, 32, hex));
    (void)fclose(out);
}

static bool is_held(const unsigned char sha256[32])
{
    char hex[65];

    du_hex(hex, sha256, 32);
    return t_shell("cmp -s repo/objects/%.2s/%s hub/relay/objects/%.2s/%s", hex, hex, hex, hex) ==
           0;
}

struct seen {
    int calls;
    uint64_t bytes, total;
    bool shrank;
};

static void on_bytes(void *user, int fd, uint64_t bytes, uint64_t total)
{
    struct seen *seen = user;

    T_CHECK(fd >= 0);
    seen->shrank = seen->shrank || bytes < seen->bytes;
    seen->calls++;
    seen->bytes = bytes;
    seen->total = total;
}

static void an_object_is_fetched_once_and_then_there(void)
{
    struct du_relay *relay = cache(1, NULL);
    struct seen seen = { 0 };
    unsigned char sha256[32];
    defupd_error err = { 0 };

    digest_of(sha256, 1);
    T_CHECK(!is_held(sha256));
    T_OK(du_relay_object(relay, sha256, on_bytes, &seen, &err), &err);
    T_CHECK(is_held(sha256));
    T_CHECK(seen.calls > 0 && seen.bytes == seen.total && seen.total > 0 && !seen.shrank);
    T_CHECK(t_shell("mv repo away && test -z \"$(ls hub/relay/parts)\"") == 0);
    seen.calls = 0;
    T_OK(du_relay_object(relay, sha256, on_bytes, &seen, &err), &err);
    T_CHECK(seen.calls == 0);
    T_CHECK(t_shell("test -z \"$(find hub/relay/objects -type f ! -perm 0644)\"") == 0);
    du_relay_close(relay);
}

static void nobody_is_asked_for_what_no_manifest_names(void)
{
    static const char *const none[] = { NULL };
    DU_AUTO(server_stop) struct server server = server_liar("repo", none);
    struct du_relay *relay = cache(1, server.url);
    unsigned char sha256[32];
    defupd_error err = { 0 };
    int before;

    digest_of(sha256, 1);
    sha256[31] ^= 1;
    before = server_count(&server, "");
    T_CHECK(before > 0);
    T_FAILS(du_relay_object(relay, sha256, NULL, NULL, &err), DEFUPD_E_NOT_FOUND, &err);
    T_CHECK(server_count(&server, "") == before);
    du_relay_close(relay);
}

static void before_the_first_sync_nothing_is_known(void)
{
    const unsigned char sha256[32] = { 1 };
    struct du_relay *relay = NULL;
    defupd_error err = { 0 };

    kit_start();
    hub_start();
    hub.options.mode = DU_RELAY_CACHE;
    T_OK(hub_open(&relay, &err), &err);
    T_FAILS(du_relay_object(relay, sha256, NULL, NULL, &err), DEFUPD_E_NOT_FOUND, &err);
    du_relay_used(relay, sha256);
    du_relay_close(relay);
}

static void what_a_later_sync_names_is_known_without_reopening(void)
{
    struct du_relay *relay = cache(1, NULL);
    unsigned char sha256[32];
    defupd_error err = { 0 };

    hub_releases(2, 2);
    digest_of(sha256, 2);
    T_FAILS(du_relay_object(relay, sha256, NULL, NULL, &err), DEFUPD_E_NOT_FOUND, &err);
    T_OK(hub_sync(&err), &err);
    T_OK(du_relay_object(relay, sha256, NULL, NULL, &err), &err);
    T_CHECK(is_held(sha256));
    du_relay_close(relay);
}

static void wrong_bytes_get_no_name(void)
{
    static const char *const rules[] = { "objects/*=slow:64/150", NULL };
    DU_AUTO(server_stop) struct server server = server_liar("repo", rules);
    struct du_relay *relay = cache(1, server.url);
    struct seen seen = { 0 };
    unsigned char sha256[32];
    defupd_error err = { 0 };

    digest_of(sha256, 1);
    T_CHECK(t_shell("printf X | dd of=$(find repo/objects -type f) bs=1 seek=40 conv=notrunc "
                    "status=none") == 0);
    T_FAILS(du_relay_object(relay, sha256, on_bytes, &seen, &err), DEFUPD_E_DIGEST, &err);
    T_CHECK(t_shell("test -z \"$(find hub/relay/objects -type f)\"") == 0);
    /* Who was given some of it hears that it was wrong. */
    T_CHECK(seen.shrank);
    du_relay_close(relay);
}

static void a_part_is_gone_on_with(void)
{
    static const char *const none[] = { NULL };
    DU_AUTO(server_stop) struct server server = server_liar("repo", none);
    struct du_relay *relay = cache(1, server.url);
    unsigned char sha256[32];
    char hex[65];
    defupd_error err = { 0 };

    digest_of(sha256, 1);
    du_hex(hex, sha256, 32);
    T_CHECK(t_shell("head -c 100 $(find repo/objects -type f) >hub/relay/parts/%s", hex) == 0);
    T_OK(du_relay_object(relay, sha256, NULL, NULL, &err), &err);
    T_CHECK(is_held(sha256));
    T_CHECK(server_count(&server, "bytes=100-") == 1);
    du_relay_close(relay);
}

static void what_is_no_part_does_not_stand_in_the_way(void)
{
    struct du_relay *relay = cache(1, NULL);
    unsigned char sha256[32];
    char hex[65];
    defupd_error err = { 0 };

    digest_of(sha256, 1);
    du_hex(hex, sha256, 32);
    T_CHECK(t_shell("mkdir -p hub/relay/parts/%s/x && head -c 100000 /dev/zero >zero", hex) == 0);
    T_OK(du_relay_object(relay, sha256, NULL, NULL, &err), &err);
    T_CHECK(is_held(sha256));
    T_CHECK(t_shell("rm -r hub/relay/objects/* && ln -s /etc/passwd hub/relay/parts/%s", hex) == 0);
    T_OK(du_relay_object(relay, sha256, NULL, NULL, &err), &err);
    T_CHECK(is_held(sha256));
    T_CHECK(t_shell("rm -r hub/relay/objects/* && cp zero hub/relay/parts/%s", hex) == 0);
    T_OK(du_relay_object(relay, sha256, NULL, NULL, &err), &err);
    T_CHECK(is_held(sha256));
    du_relay_close(relay);
}

static void another_process_at_the_same_part_is_left_alone(void)
{
    struct du_relay *relay = cache(1, NULL);
    unsigned char sha256[32];
    char hex[65], path[128];
    defupd_error err = { 0 };
    int fd;

    digest_of(sha256, 1);
    du_hex(hex, sha256, 32);
    (void)snprintf(path, sizeof path, "hub/relay/parts/%s", hex);
    fd = open(path, O_RDWR | O_CREAT, 0600);
    T_CHECK(fd >= 0 && du_sys_posix.flock(fd, 2 /* LOCK_EX */) == 0);
    T_FAILS(du_relay_object(relay, sha256, NULL, NULL, &err), DEFUPD_E_BUSY, &err);
    (void)close(fd);
    T_OK(du_relay_object(relay, sha256, NULL, NULL, &err), &err);
    du_relay_close(relay);
}

struct asker {
    pthread_t thread;
    struct du_relay *relay;
    const unsigned char *sha256;
    struct seen seen;
    defupd_code rc;
};

static void *ask(void *user)
{
    struct asker *asker = user;
    defupd_error err = { 0 };

    asker->rc = du_relay_object(asker->relay, asker->sha256, on_bytes, &asker->seen, &err);
    return NULL;
}

#define ASKERS 16

static void ask_all(struct du_relay *relay, struct asker *asker, const unsigned char (*sha256)[32],
                    size_t digests)
{
    for (size_t i = 0; i < ASKERS; i++) {
        asker[i] = (struct asker){ .relay = relay, .sha256 = sha256[i % digests] };
        T_CHECK(pthread_create(&asker[i].thread, NULL, ask, &asker[i]) == 0);
    }
    for (size_t i = 0; i < ASKERS; i++)
        T_CHECK(pthread_join(asker[i].thread, NULL) == 0);
}

static void many_at_once_share_one_fetch(void)
{
    static const char *const rules[] = { "objects/*=slow:64/50", NULL };
    DU_AUTO(server_stop) struct server server = server_liar("repo", rules);
    struct du_relay *relay = cache(1, server.url);
    struct asker asker[ASKERS];
    unsigned char sha256[1][32];

    digest_of(sha256[0], 1);
    ask_all(relay, asker, (const unsigned char(*)[32])sha256, 1);
    for (size_t i = 0; i < ASKERS; i++)
        T_CHECK(asker[i].rc == DEFUPD_OK);
    T_CHECK(is_held(sha256[0]));
    T_CHECK(server_count(&server, "GET /objects/") == 1);
    du_relay_close(relay);
}

static void different_ones_go_side_by_side(void)
{
    static const char *const none[] = { NULL };
    DU_AUTO(server_stop) struct server server = server_liar("repo", none);
    struct du_relay *relay = cache(4, server.url);
    struct asker asker[ASKERS];
    unsigned char sha256[4][32];

    for (int i = 0; i < 4; i++)
        digest_of(sha256[i], i + 1);
    ask_all(relay, asker, (const unsigned char(*)[32])sha256, 4);
    for (size_t i = 0; i < ASKERS; i++)
        T_CHECK(asker[i].rc == DEFUPD_OK);
    for (int i = 0; i < 4; i++)
        T_CHECK(is_held(sha256[i]));
    T_CHECK(server_count(&server, "GET /objects/") == 4);
    du_relay_close(relay);
}

static void a_failure_is_everybodys(void)
{
    static const char *const rules[] = { "objects/*=status:404", NULL };
    DU_AUTO(server_stop) struct server server = server_liar("repo", rules);
    struct du_relay *relay = cache(1, server.url);
    struct asker asker[ASKERS];
    unsigned char sha256[1][32];

    digest_of(sha256[0], 1);
    ask_all(relay, asker, (const unsigned char(*)[32])sha256, 1);
    for (size_t i = 0; i < ASKERS; i++)
        T_CHECK(asker[i].rc == DEFUPD_E_NOT_FOUND);
    du_relay_close(relay);
}

static void cancelled_is_cancelled(void)
{
    struct du_relay *relay = cache(1, NULL);
    unsigned char sha256[32];
    defupd_error err = { 0 };

    digest_of(sha256, 1);
    du_relay_cancel(relay);
    T_FAILS(du_relay_object(relay, sha256, NULL, NULL, &err), DEFUPD_E_CANCELLED, &err);
    du_relay_close(relay);
}

static uint64_t size_of(const unsigned char sha256[32])
{
    char path[128], hex[65];
    struct stat st = { 0 };

    du_hex(hex, sha256, 32);
    (void)snprintf(path, sizeof path, "repo/objects/%.2s/%s", hex, hex);
    T_CHECK(stat(path, &st) == 0);
    return (uint64_t)st.st_size;
}

static void a_full_cache_drops_what_was_not_used_for_longest(void)
{
    struct du_relay *relay = cache(3, NULL);
    unsigned char sha256[3][32];
    defupd_error err = { 0 };

    for (int i = 0; i < 3; i++)
        digest_of(sha256[i], i + 1);
    du_relay_close(relay);
    hub.options.max_bytes = size_of(sha256[0]) + size_of(sha256[1]) + size_of(sha256[2]) - 1;
    T_OK(hub_open(&relay, &err), &err);
    T_OK(du_relay_object(relay, sha256[0], NULL, NULL, &err), &err);
    T_OK(du_relay_object(relay, sha256[1], NULL, NULL, &err), &err);
    T_CHECK(t_shell("find hub/relay/objects -type f -exec touch -a -d '2 days ago' {} +") == 0);
    du_relay_used(relay, sha256[0]);
    T_OK(du_relay_object(relay, sha256[2], NULL, NULL, &err), &err);
    T_CHECK(is_held(sha256[0]) && !is_held(sha256[1]) && is_held(sha256[2]));
    du_relay_close(relay);

    hub.options.max_bytes = size_of(sha256[1]) - 1;
    T_OK(hub_open(&relay, &err), &err);
    T_FAILS(du_relay_object(relay, sha256[1], NULL, NULL, &err), DEFUPD_E_NO_SPACE, &err);
    du_relay_close(relay);
}

static void a_source_that_asked_to_be_left_alone_is(void)
{
    static const char *const rules[] = { "objects/*=status:503:600", NULL };
    DU_AUTO(server_stop) struct server server = server_liar("repo", rules);
    struct du_relay *relay = cache(2, server.url);
    unsigned char sha256[32];
    defupd_error err = { 0 };

    /* So no two fetches are by the same hand. */
    du_relay_close(relay);
    hub.client.total_timeout_ms = 60000;
    T_OK(hub_open(&relay, &err), &err);
    digest_of(sha256, 1);
    T_FAILS(du_relay_object(relay, sha256, NULL, NULL, &err), DEFUPD_E_MAINTENANCE, &err);
    digest_of(sha256, 2);
    T_FAILS(du_relay_object(relay, sha256, NULL, NULL, &err), DEFUPD_E_COOL_DOWN, &err);
    T_CHECK(server_count(&server, "GET /objects/") == 1);
    du_relay_close(relay);
}

int main(void)
{
    T_RUN(an_object_is_fetched_once_and_then_there);
    T_RUN(nobody_is_asked_for_what_no_manifest_names);
    T_RUN(before_the_first_sync_nothing_is_known);
    T_RUN(what_a_later_sync_names_is_known_without_reopening);
    T_RUN(wrong_bytes_get_no_name);
    T_RUN(a_part_is_gone_on_with);
    T_RUN(what_is_no_part_does_not_stand_in_the_way);
    T_RUN(another_process_at_the_same_part_is_left_alone);
    T_RUN(many_at_once_share_one_fetch);
    T_RUN(different_ones_go_side_by_side);
    T_RUN(a_failure_is_everybodys);
    T_RUN(cancelled_is_cancelled);
    T_RUN(a_full_cache_drops_what_was_not_used_for_longest);
    T_RUN(a_source_that_asked_to_be_left_alone_is);
    return T_DONE();
}
