/* SPDX-License-Identifier: Apache-2.0 */
/* A tree of 200 MB (35 MB without DEFUPD_LONG) is installed with little memory: RssAnon stays
 * within 16 MiB of what the process has when the fetch is done. A smaller one is merged within
 * 10 MiB, which is less than it has. Also that an embedder gets the
 * events it was promised. */
#include <defupd/defupd.h>
#include <defupd/publish.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "t.h"

#define FULL_LIMIT_KIB (16 * 1024)
#define MERGE_LIMIT_KIB (10 * 1024)

static long rss_anon_kib(void)
{
    char line[256];
    long kib = -1;
    FILE *status = fopen("/proc/self/status", "r");

    while (status != NULL && fgets(line, sizeof line, status) != NULL) {
        if (sscanf(line, "RssAnon: %ld kB", &kib) == 1)
            break;
    }
    if (status != NULL)
        (void)fclose(status);
    return kib;
}

static atomic_bool watching, ended;
static atomic_long after_fetch, most;
static int staged_events, downloading_events;

static void look(void)
{
    const long now = rss_anon_kib();
    long before = atomic_load(&most);

    while (now > before && !atomic_compare_exchange_weak(&most, &before, now))
        ;
}

static void *watch(void *unused)
{
    const struct timespec nap = { .tv_nsec = 400000 };

    while (!atomic_load(&ended)) {
        if (atomic_load(&watching))
            look();
        (void)nanosleep(&nap, NULL);
    }
    return unused;
}

/* The first event of staging comes when the fetch is done and before a byte is unpacked. */
static void on_event(void *user, const defupd_event *event)
{
    (void)user;
    if (event->id == DEFUPD_EVENT_DOWNLOADING)
        downloading_events++;
    if (event->id != DEFUPD_EVENT_PROGRESS)
        return;
    if (event->phase == DEFUPD_PHASE_DOWNLOAD || atomic_load(&after_fetch) == 0)
        atomic_store(&after_fetch, rss_anon_kib());
    if (event->phase == DEFUPD_PHASE_STAGE) {
        atomic_store(&watching, true);
        staged_events++;
        look(); /* also where the other thread gets no time */
    }
}

static void *read_all(const char *name, uint64_t *count)
{
    FILE *file = fopen(name, "r");
    char *bytes = calloc(1, 65536);

    *count = file != NULL ? fread(bytes, 1, 65536, file) : 0;
    if (file != NULL)
        (void)fclose(file);
    return bytes;
}

/* A few large lists and many small ones. */
static void make_tree(void)
{
    const bool large = getenv("DEFUPD_LONG") != NULL;

    T_CHECK(t_shell("mkdir -p tree/small && cd tree && "
                    "for i in %s; do seq ${i}0000000 1 ${i}%s > list$i; done && "
                    "seq %s | split -l 1 -a 4 - small/ && head -c %s /dev/zero > flat && "
                    "chmod -R a+rX . && [ $(du -sb . | cut -f1) -gt %s ]",
                    large ? "1 2 3 4" : "1", large ? "4800000" : "2100000", large ? "3000" : "1000",
                    large ? "30000000" : "17000000", large ? "200000000" : "35000000") == 0);
}

/* What the next tree changes in it: a line in a hundred, the order of the list's halves, some of
 * the small files; and new content that does not compress. */
static void change_tree(void)
{
    const bool large = getenv("DEFUPD_LONG") != NULL;
    const char *lines = large ? "2000000" : "500000";

    T_CHECK(t_shell("cp -a tree next && cd next && "
                    "{ tail -n %s ../tree/list1; head -n -%s ../tree/list1; } | "
                    "sed 's/00$/x/' >list1 && seq %s | gzip -1n >packed && "
                    "for f in small/*a; do echo changed >$f; done && rm small/*b",
                    lines, lines, large ? "4000000" : "100000") == 0);
}

static void publish(uint64_t version, const char *tree, const char *unused)
{
    defupd_repo_options options = DEFUPD_REPO_OPTIONS_INIT;
    defupd_repo_release release = DEFUPD_REPO_RELEASE_INIT;
    defupd_error err = { 0 };
    defupd_repo *repo = NULL;

    (void)unused;
    options.repo_dir = "repo";
    options.compression_level = 1;
    T_OK(defupd_repo_open(&repo, &options, &err), &err);
    if (version == 1)
        T_OK(defupd_repo_init(repo, &err), &err);
    release.component = "hashes";
    release.version = version;
    release.tree_dir = tree;
    T_OK(defupd_repo_add_release(repo, &release, &err), &err);
    defupd_repo_close(repo);
}

/* In a process of its own: what other work leaves in the heap would hide what this takes. */
static void alone(void (*work)(uint64_t version, const char *tree, const char *via),
                  uint64_t version, const char *tree, const char *via)
{
    int status = -1;
    pid_t pid;

    (void)fflush(stdout);
    pid = fork();
    if (pid == 0) {
        t_failed = 0;
        work(version, tree, via);
        (void)fflush(stdout);
        _exit(t_failed != 0);
    }
    T_CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0);
}

/* Update, and compare what it took with the limit. */
static void update(uint64_t version, const char *tree, const char *via)
{
    defupd_error err = { 0 };
    defupd_client_options options = DEFUPD_CLIENT_OPTIONS_INIT;
    defupd_report *report = NULL;
    defupd_client *client = NULL;
    pthread_t watcher;
    char here[200], url[256], state[256];
    const char *const sources[] = { url, NULL };
    const bool merges = strcmp(via, "full") != 0 && getenv("DEFUPD_LONG") == NULL;
    const long limit = merges ? MERGE_LIMIT_KIB : FULL_LIMIT_KIB;

    T_CHECK(getcwd(here, sizeof here) != NULL);
    (void)snprintf(url, sizeof url, "file://%s/repo", here);
    (void)snprintf(state, sizeof state, "%s/state", here);
    options.state_dir = state;
    options.sources = sources;
    options.trusted_root = read_all("repo/metadata/1.root.json", &options.trusted_root_bytes);
    options.on_event = on_event;
    T_OK(defupd_client_open(&client, &options, &err), &err);
    T_CHECK(pthread_create(&watcher, NULL, watch, NULL) == 0);
    T_OK(defupd_client_update(client, NULL, &report, &err), &err);
    atomic_store(&ended, true);
    T_CHECK(pthread_join(watcher, NULL) == 0);
    T_CHECK(t_shell("diff -r %s state/current/hashes", tree) == 0);
    T_CHECK(defupd_report_count(report) == 1);
    T_SAME(defupd_report_at(report, 0)->via, via);
    T_CHECK(defupd_report_generation(report) == version);
    T_CHECK(downloading_events == 1 && staged_events > 0);
    printf("# %s: RssAnon %ld KiB after the fetch, at most %ld KiB later\n",
           defupd_report_at(report, 0)->how, after_fetch, most);
    T_CHECK(after_fetch > 0 && most > 0 && most - after_fetch <= limit);
    defupd_report_free(report);
    defupd_client_close(client);
    free((void *)(uintptr_t)options.trusted_root);
}

static void a_large_tree_is_installed_with_little_memory(void)
{
    make_tree();
    alone(publish, 1, "tree", "");
    alone(update, 1, "tree", "full");
}

/* Making the delta takes longer than what is tested, so the tree is a part of the other. */
static void a_large_tree_is_merged_with_little_memory(void)
{
    make_tree();
    T_CHECK(t_shell("cd tree && rm -f flat list2 list3 list4") == 0);
    if (getenv("DEFUPD_LONG") == NULL)
        T_CHECK(t_shell("cd tree && head -n 1300000 list1 >cut && mv cut list1") == 0);
    alone(publish, 1, "tree", "");
    alone(update, 1, "tree", "full");
    change_tree();
    alone(publish, 2, "next", "");
    alone(update, 2, "next", "delta");
}

int main(void)
{
    const char *sanitize = getenv("SANITIZE");

    if (sanitize != NULL && strcmp(sanitize, "none") != 0) {
        T_SKIP("a_large_tree_is_installed_with_little_memory", "sanitizers hold memory back");
        T_SKIP("a_large_tree_is_merged_with_little_memory", "sanitizers hold memory back");
        return T_DONE();
    }
    T_RUN(a_large_tree_is_installed_with_little_memory);
    T_RUN(a_large_tree_is_merged_with_little_memory);
    return T_DONE();
}
