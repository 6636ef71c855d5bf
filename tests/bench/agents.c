/* SPDX-License-Identifier: Apache-2.0 */
/* Many agents against one source, a few at a time, each with a store of its own that is removed
 * when it is done.
 *
 *     bench_agents AGENTS THREADS URL ROOT FOLDER
 *
 * Each agent is new: it updates, opens its store again, and polls once more, which finds nothing. A
 * line "done N failed M" after each twentieth of them, and the messages of the first failures. The
 * exit status is 1 when one failed. */
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <defupd/defupd.h>

#define TOLD 10
#define ROOT_MAX (1u << 20)

static unsigned agents;
static const char *url, *folder;
static char root[ROOT_MAX];
static size_t root_bytes;
static atomic_uint next_agent, done, failed;
static pthread_mutex_t output = PTHREAD_MUTEX_INITIALIZER;

static int remove_one(const char *path, const struct stat *st, int what, struct FTW *where)
{
    (void)st;
    (void)what;
    (void)where;
    return remove(path);
}

static void tell(unsigned agent, const char *what, const defupd_error *err)
{
    if (++failed > TOLD)
        return;
    (void)pthread_mutex_lock(&output);
    (void)fprintf(stderr, "agent %u: %s: %s\n", agent, what, err->message);
    (void)pthread_mutex_unlock(&output);
}

/* Open the store, do one thing, close it. */
static bool once(unsigned agent, const char *state_dir, bool update)
{
    const char *const sources[] = { url, NULL };
    defupd_client_options options = DEFUPD_CLIENT_OPTIONS_INIT;
    defupd_client *client = NULL;
    defupd_report *report = NULL;
    defupd_error err = { 0 };
    defupd_code rc;

    options.state_dir = state_dir;
    options.sources = sources;
    options.trusted_root = root;
    options.trusted_root_bytes = root_bytes;
    rc = defupd_client_open(&client, &options, &err);
    if (rc == DEFUPD_OK)
        rc = update ? defupd_client_update(client, NULL, &report, &err)
                    : defupd_client_check(client, NULL, &report, &err);
    if (rc != DEFUPD_OK)
        tell(agent, update ? "update" : "check", &err);
    defupd_report_free(report);
    defupd_client_close(client);
    return rc == DEFUPD_OK;
}

static void *work(void *cls)
{
    unsigned agent;

    (void)cls;
    while ((agent = next_agent++) < agents) {
        char state_dir[1024];
        unsigned count;

        (void)snprintf(state_dir, sizeof state_dir, "%s/agent-%u", folder, agent);
        if (once(agent, state_dir, true))
            (void)once(agent, state_dir, false);
        (void)nftw(state_dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
        count = ++done;
        if (count % (agents / 20 > 0 ? agents / 20 : 1) == 0) {
            (void)pthread_mutex_lock(&output);
            (void)printf("done %u failed %u\n", count, (unsigned)failed);
            (void)fflush(stdout);
            (void)pthread_mutex_unlock(&output);
        }
    }
    return NULL;
}

static bool read_root(const char *path)
{
    FILE *file = fopen(path, "r");

    if (file == NULL)
        return false;
    root_bytes = fread(root, 1, sizeof root, file);
    return fclose(file) == 0 && root_bytes > 0;
}

int main(int argc, char **argv)
{
    const unsigned threads = argc == 6 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
    pthread_t thread[256];

    if (threads == 0 || threads > 256) {
        (void)fprintf(stderr, "usage: bench_agents AGENTS THREADS URL ROOT FOLDER\n");
        return 64;
    }
    agents = (unsigned)strtoul(argv[1], NULL, 10);
    url = argv[3];
    folder = argv[5];
    if (!read_root(argv[4])) {
        perror(argv[4]);
        return 66;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    for (unsigned i = 0; i < threads; i++) {
        if (pthread_create(&thread[i], NULL, work, NULL) != 0)
            return 71;
    }
    for (unsigned i = 0; i < threads; i++)
        (void)pthread_join(thread[i], NULL);
    return failed > 0;
}
