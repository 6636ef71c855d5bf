/* SPDX-License-Identifier: Apache-2.0 */
/* Every call of the library while its nth allocation fails, or all from the nth on: no crash, no
 * leak, no open descriptor, the code says NOMEM or success, the store holds exactly the old or the
 * new set, and the next run completes. ./check takes a few of the places that allocate, ./check
 * full many, and DEFUPD_LONG=all every one, which takes an hour.
 *
 * The program brings malloc() and its kin, which every library under it uses too. Under ASan, which
 * does the same, and where the C library is another than glibc, there is nothing to test with. */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <defupd/client.h>
#include <defupd/lease.h>
#include <defupd/publish.h>

#include "t.h"
#include "t_tree.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITHOUT 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || !defined(__GLIBC__)
#define WITHOUT 1
#endif

#ifndef WITHOUT

/* glibc's own, for whoever replaces the public ones. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void *__libc_memalign(size_t align, size_t size);
extern void __libc_free(void *block);

#define SITES_MAX 65536 /* a power of two */

static struct {
    bool armed, from_then_on, hit;
    long count, fail_at; /* allocations of this round; 1-based, 0: none fails */
    long live;           /* blocks that were allocated and not freed yet, of all time */
    /* With `noting`: which allocations are the first of their place. Most are calls from a place in
     * a library's loop that has been there before. */
    bool noting;
    uint64_t site_of[SITES_MAX];
    long site[SITES_MAX];
    size_t sites;
} heap;

/* What a round saw, in memory that it shares with its parent. */
static struct seen {
    char library[256]; /* where the allocation that failed was asked for; "" if by us */
    bool hit, ended, descriptors_kept;
    long lost; /* blocks */
    defupd_code rc;
    defupd_error err;
} * seen;

static uintptr_t stack_end;

static bool is_in(uintptr_t address, const char *part, const char **name)
{
    Dl_info info;

    if (dladdr((void *)address, &info) == 0)
        return false;
    *name = info.dli_fname;
    return strstr(info.dli_fname, part) != NULL;
}

/* Name in seen->library who asks for memory: `caller` is where malloc() returns to. When that is in
 * the C library (strdup()), it is the first place in code whose address stands on the stack. There
 * are no tables to unwind it by. */
static void note_asker(uintptr_t caller, const uintptr_t *frame)
{
    const char *name = "", *own = "", *dso;
    bool libc = is_in(caller, "/libc.so", &name);

    (void)is_in((uintptr_t)note_asker, "", &own);
    for (; libc && (uintptr_t)frame < stack_end; frame++) {
        if (is_in(*frame, "", &dso) && strstr(dso, "/libc.so") == NULL &&
            strstr(dso, "/ld-linux") == NULL) {
            name = dso;
            libc = false;
        }
    }
    seen->library[0] = '\0';
    if (strcmp(name, own) != 0)
        (void)snprintf(seen->library, sizeof seen->library, "%s", name);
}

/* A place is a caller at one depth of the stack. */
static void note_site(uintptr_t caller, const uintptr_t *frame)
{
    const uint64_t hash = ((uint64_t)caller ^ (uint64_t)(uintptr_t)frame << 20) * 1099511628211U;

    for (size_t i = (size_t)(hash >> 40) % SITES_MAX; heap.site_of[i] != hash;
         i = (i + 1) % SITES_MAX) {
        if (heap.site_of[i] != 0)
            continue;
        if (heap.sites == SITES_MAX / 2)
            abort();
        heap.site_of[i] = hash;
        heap.site[heap.sites++] = heap.count;
        break;
    }
}

static bool fails(const void *caller, const void *frame)
{
    if (!heap.armed)
        return false;
    heap.count++;
    if (heap.noting)
        note_site((uintptr_t)caller, frame);
    if (heap.fail_at == 0 || heap.count < heap.fail_at ||
        (heap.count > heap.fail_at && !heap.from_then_on))
        return false;
    if (!heap.hit) {
        heap.armed = false;
        note_asker((uintptr_t)caller, frame);
        heap.armed = heap.hit = true;
    }
    errno = ENOMEM;
    return true;
}
#define FAILS() fails(__builtin_return_address(0), __builtin_frame_address(0))

static void *counted(void *block)
{
    heap.live += block != NULL;
    return block;
}

void *malloc(size_t size)
{
    return FAILS() ? NULL : counted(__libc_malloc(size));
}

void *calloc(size_t count, size_t size)
{
    return FAILS() ? NULL : counted(__libc_calloc(count, size));
}

static void *resized(void *old, size_t size)
{
    void *block;

    block = __libc_realloc(old, size);
    heap.live += old == NULL && block != NULL;
    heap.live -= old != NULL && size == 0 && block == NULL;
    return block;
}

void *realloc(void *old, size_t size)
{
    return FAILS() ? NULL : resized(old, size);
}

void *reallocarray(void *old, size_t count, size_t size)
{
    size_t bytes;

    if (__builtin_mul_overflow(count, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return FAILS() ? NULL : resized(old, bytes);
}

void *memalign(size_t align, size_t size)
{
    return FAILS() ? NULL : counted(__libc_memalign(align, size));
}

void *aligned_alloc(size_t align, size_t size)
{
    return memalign(align, size);
}

int posix_memalign(void **out, size_t align, size_t size)
{
    void *block = memalign(align, size);

    if (block == NULL)
        return ENOMEM;
    *out = block;
    return 0;
}

void free(void *block)
{
    heap.live -= block != NULL;
    __libc_free(block);
}

/* --- the work --- */

static char here[200], url[300], state[300];
static char root[65536];
static size_t root_bytes;

static void make_trees(void)
{
    T_CHECK(getcwd(here, sizeof here) != NULL);
    (void)snprintf(url, sizeof url, "file://%s/repo", here);
    (void)snprintf(state, sizeof state, "%s/state", here);
    T_CHECK(t_shell("mkdir -p alpha1/sub beta1 && echo one > alpha1/sub/a && echo same > "
                    "alpha1/same && seq 20000 > alpha1/large && echo one > beta1/b && cp -a alpha1 "
                    "alpha2 && cp -a beta1 beta2 && echo two > alpha2/sub/a && rm alpha2/large && "
                    "echo new > alpha2/sub/n && echo two > beta2/b") == 0);
}

static void add_releases(int version)
{
    defupd_repo_options options = DEFUPD_REPO_OPTIONS_INIT;
    defupd_error err = { 0 };
    defupd_repo *repo = NULL;
    char dir[300];
    FILE *file;

    (void)snprintf(dir, sizeof dir, "%s/repo", here);
    options.repo_dir = dir;
    options.compression_level = 1;
    T_OK(defupd_repo_open(&repo, &options, &err), &err);
    if (version == 1)
        T_OK(defupd_repo_init(repo, &err), &err);
    for (int i = 0; i < 2; i++) {
        defupd_repo_release release = DEFUPD_REPO_RELEASE_INIT;
        char tree[32];

        release.component = i == 0 ? "alpha" : "beta";
        release.version = (uint64_t)version;
        (void)snprintf(tree, sizeof tree, "%s%d", release.component, version);
        release.tree_dir = tree;
        release.note = "a note";
        T_OK(defupd_repo_add_release(repo, &release, &err), &err);
    }
    defupd_repo_close(repo);
    file = fopen("repo/metadata/1.root.json", "r");
    root_bytes = file != NULL ? fread(root, 1, sizeof root, file) : 0;
    if (file != NULL)
        (void)fclose(file);
}

static defupd_code install(defupd_client *client, defupd_error *err)
{
    defupd_report *report = NULL;
    const defupd_code rc = defupd_client_update(client, NULL, &report, err);

    defupd_report_free(report);
    return rc;
}

static defupd_code halves(defupd_client *client, defupd_error *err)
{
    const defupd_code rc = defupd_client_download(client, NULL, NULL, err);

    return rc != DEFUPD_OK ? rc : defupd_client_install(client, NULL, NULL, err);
}

static defupd_code rollback(defupd_client *client, defupd_error *err)
{
    static const char *const back[] = { "alpha@1", "beta@1", NULL };
    defupd_request request = DEFUPD_REQUEST_INIT;

    request.components = back;
    return defupd_client_rollback(client, &request, NULL, err);
}

static void ignore_damage(void *user, const defupd_damage *damage)
{
    (void)user;
    (void)damage;
}

static defupd_code repair(defupd_client *client, defupd_error *err)
{
    defupd_request request = DEFUPD_REQUEST_INIT;

    request.flags = DEFUPD_REQUEST_REPAIR;
    return defupd_client_verify(client, &request, ignore_damage, NULL, NULL, err);
}

static void ignore_role(void *user, const defupd_role *role)
{
    (void)user;
    (void)role;
}

/* All that changes nothing. */
static defupd_code look(defupd_client *client, defupd_error *err)
{
    defupd_status *status = NULL;
    defupd_listing *listing = NULL;
    defupd_lease *lease = NULL;
    defupd_code rc = defupd_client_status(client, &status, err);

    defupd_status_free(status);
    if (rc == DEFUPD_OK)
        rc = defupd_client_list(client, NULL, &listing, err);
    defupd_listing_free(listing);
    if (rc == DEFUPD_OK)
        rc = defupd_lease_open(&lease, state, err);
    defupd_lease_close(lease);
    if (rc == DEFUPD_OK)
        rc = defupd_client_verify(client, NULL, NULL, NULL, NULL, err);
    if (rc == DEFUPD_OK)
        rc = defupd_client_trust_show(client, ignore_role, NULL, err);
    return rc;
}

static defupd_code small(defupd_client *client, defupd_error *err)
{
    defupd_code rc = defupd_client_hold(client, "alpha", err);

    if (rc == DEFUPD_OK)
        rc = defupd_client_pin(client, "alpha", 2, err);
    if (rc == DEFUPD_OK)
        rc = defupd_client_unhold(client, "alpha", err);
    if (rc == DEFUPD_OK)
        rc = defupd_client_trust_reset(client, err);
    return rc == DEFUPD_OK ? defupd_client_clean(client, NULL, err) : rc;
}

/* Once more, when nothing is on trial any more, it has nothing to do, and leaves tidying up to those
 * who have. */
static defupd_code reject(defupd_client *client, defupd_error *err)
{
    const defupd_code rc = defupd_client_reject(client, NULL, NULL, err);

    return rc == DEFUPD_E_NO_PREVIOUS ? defupd_client_clean(client, NULL, err) : rc;
}

static defupd_code confirm(defupd_client *client, defupd_error *err)
{
    defupd_code rc = defupd_client_early(client, NULL, err);

    return rc == DEFUPD_OK ? defupd_client_confirm(client, NULL, err) : rc;
}

struct work {
    const char *name;
    defupd_code (*call)(defupd_client *client, defupd_error *err);
    int before, after;   /* release that is installed */
    const char *prepare; /* done to the prepared store, in it */
};

static defupd_code agree(void *user, const defupd_hook *hook, defupd_error *error)
{
    (void)user;
    (void)hook;
    (void)error;
    return DEFUPD_OK;
}

static defupd_code act(const struct work *work, defupd_error *err)
{
    const defupd_source source = { .struct_size = sizeof source,
                                   .offline_grace_s = 86400,
                                   .url = url };
    const defupd_source *const sources[] = { &source, NULL };
    const defupd_rule rule = { sizeof rule, 0, 0, 86400, 0, "alpha", "pilot", "av" };
    const defupd_rule *const rules[] = { &rule, NULL };
    const defupd_licence licence = { sizeof licence, 0, 0, "av" };
    const defupd_licence *const licences[] = { &licence, NULL };
    static const char *const engines[] = { "scan=4.1", NULL };
    defupd_client_options options = DEFUPD_CLIENT_OPTIONS_INIT;
    defupd_client *client = NULL;
    defupd_code rc;

    options.trial_s = 3600;
    options.trial_starts = 100;
    options.state_dir = state;
    options.source_list = sources;
    options.rules = rules;
    options.licences = licences;
    options.on_hook = agree;
    options.bytes_per_day = 1 << 30;
    options.interval_s = 3600;
    options.next_on_success = options.next_on_failure = 2000000000;
    options.engines = engines;
    options.ring = "pilot";
    options.trusted_root = root;
    options.trusted_root_bytes = root_bytes;
    rc = defupd_client_open(&client, &options, err);
    if (rc == DEFUPD_OK)
        rc = work->call(client, err);
    defupd_client_close(client);
    return rc;
}

/* --- looking afterwards --- */

static unsigned open_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned count = 0;

    while (dir != NULL && readdir(dir) != NULL)
        count++;
    if (dir != NULL)
        (void)closedir(dir);
    return count;
}

/* 0 nothing, 1 or 2 that release of both components, -1 anything else. */
static int set_now(void)
{
    if (access("state/current", F_OK) != 0)
        return 0;
    for (int i = 1; i <= 2; i++) {
        if (t_same_tree(i == 1 ? "alpha1" : "alpha2", "state/current/alpha/.") &&
            t_same_tree(i == 1 ? "beta1" : "beta2", "state/current/beta/."))
            return i;
    }
    return -1;
}

static void refresh_state(void)
{
    T_CHECK(t_remove_tree("state"));
    if (access("prepared", F_OK) == 0)
        T_CHECK(t_shell("cp -a prepared state") == 0);
}

static void arm(long fail_at, bool from_then_on)
{
    heap.count = 0;
    heap.fail_at = fail_at;
    heap.from_then_on = from_then_on;
    heap.hit = false;
    heap.armed = true;
}

/* jansson 2.14 drops a byte of a text when there is no memory for it, and says nothing. Then no
 * signature holds, and that is what is said: the safe side. */
static bool says_why(defupd_code rc)
{
    return rc == DEFUPD_E_NOMEM ||
           (strstr(seen->library, "/libjansson") != NULL && rc <= -2200 && rc > -2300);
}

/* libarchive ends the process when there is no memory for a string: for the store that is a kill.
 * So the call is made in a child, which tells what it saw through `seen`. */
static void act_and_tell(const struct work *work, long fail_at, bool from_then_on)
{
    const unsigned descriptors = open_descriptors();
    const long live = heap.live;
    const int null = open("/dev/null", O_WRONLY);

    (void)dup2(null, 2);
    (void)close(null);
    arm(fail_at, from_then_on);
    seen->rc = act(work, &seen->err);
    heap.armed = false;
    seen->hit = heap.hit;
    seen->lost = heap.live - live;
    seen->descriptors_kept = open_descriptors() == descriptors;
    seen->ended = true;
    _exit(0);
}

static bool ended_well(int status, bool from_then_on)
{
    if (!seen->ended)
        return WIFEXITED(status) && WEXITSTATUS(status) == 1 &&
               (from_then_on || strstr(seen->library, "/libarchive") != NULL);
    return seen->descriptors_kept &&
           (seen->lost == 0 || (seen->library[0] != '\0' && seen->lost > 0 && seen->lost <= 3)) &&
           (seen->rc == DEFUPD_OK || says_why(seen->rc));
}

static void survives(const struct work *work, long fail_at, bool from_then_on)
{
    const int failed_before = t_failed;
    defupd_error err = { 0 };
    int status = 0, now;
    pid_t child;

    refresh_state();
    memset(seen, 0, sizeof *seen);
    (void)fflush(stdout);
    child = fork();
    if (child == 0)
        act_and_tell(work, fail_at, from_then_on);
    T_CHECK(child > 0 && waitpid(child, &status, 0) == child);
    T_CHECK(ended_well(status, from_then_on));
    now = set_now();
    T_CHECK(now == work->after || (work->before == -1 && work->after != 0) ||
            (now == work->before && (seen->rc != DEFUPD_OK || !seen->ended)));
    T_OK(act(work, &err), &err); /* also after a success: what memory was lacking to sweep */
    T_CHECK(set_now() == work->after);
    /* A look that finds all well, which is the second repair, sweeps nothing. */
    T_CHECK(work->call == repair || t_is_empty("state/staging"));
    if (t_failed > failed_before)
        printf("# %s, allocation %ld (%s, %s): status %x, %s %s (%s:%d), %ld blocks lost\n",
               work->name, fail_at, from_then_on ? "from then on" : "once", seen->library,
               (unsigned)status, defupd_code_name(seen->rc), seen->err.message,
               seen->err.origin != NULL ? seen->err.origin : "", seen->err.line, seen->lost);
}

/* Undisturbed, which finds the places; libraries allocate some things for ever, the first time. */
static void find_sites(const struct work *work)
{
    for (int noting = 0; noting < 2; noting++) {
        defupd_error err = { 0 };
        long live;

        refresh_state();
        memset(heap.site_of, 0, sizeof heap.site_of);
        heap.sites = 0;
        heap.noting = noting == 1;
        live = heap.live;
        arm(0, false);
        T_OK(act(work, &err), &err);
        heap.armed = heap.noting = false;
        T_CHECK(noting == 0 || heap.live == live);
        T_CHECK(set_now() == work->after);
    }
    T_CHECK(heap.sites > 20);
}

/* How many places of each call to try once, and from then on; 0: all. */
static size_t wanted(void)
{
    const char *form = getenv("DEFUPD_LONG");

    if (form == NULL)
        return 5;
    return strcmp(form, "all") == 0 ? 0 : 100;
}

static void under_failures(const struct work *work)
{
    const size_t rounds_wanted = wanted();
    const int failed_before = t_failed;
    size_t stride, rounds = 0, failures = 0;

    find_sites(work);
    stride = rounds_wanted > 0 ? heap.sites / rounds_wanted + 1 : 1;
    for (size_t mode = 0; mode < 2; mode++) {
        for (size_t i = mode * (stride / 2); i < heap.sites; i += stride, rounds++) {
            survives(work, heap.site[i], mode == 1);
            failures += seen->rc != DEFUPD_OK;
            if (t_failed > failed_before + 20)
                return;
        }
    }
    printf("# %s: %zu places allocate, %zu rounds, %zu failed calls\n", work->name, heap.sites,
           rounds, failures);
    T_CHECK(failures > rounds / 3);
}

static void prepare(int releases, const char *harm)
{
    static const struct work first = { "first", install, 0, 1, NULL };
    static const struct work second = { "second", install, 1, 2, NULL };
    defupd_error err = { 0 };

    make_trees();
    add_releases(1);
    if (releases == 0)
        return;
    T_OK(act(&first, &err), &err);
    add_releases(2);
    if (releases == 2)
        T_OK(act(&second, &err), &err);
    if (harm != NULL)
        T_CHECK(t_shell("cd state && %s", harm) == 0);
    T_CHECK(t_shell("cp -a state prepared") == 0);
}

static void an_installation_survives_every_failing_allocation(void)
{
    static const struct work work = { "install", install, 0, 1, NULL };

    prepare(0, NULL);
    under_failures(&work);
}

static void an_update_survives_every_failing_allocation(void)
{
    static const struct work work = { "update", install, 1, 2, NULL };

    prepare(1, NULL);
    under_failures(&work);
}

static void download_and_install_survive_every_failing_allocation(void)
{
    static const struct work work = { "halves", halves, 1, 2, NULL };

    prepare(1, NULL);
    under_failures(&work);
}

static void a_rollback_survives_every_failing_allocation(void)
{
    static const struct work work = { "rollback", rollback, 2, 1, NULL };

    prepare(2, NULL);
    under_failures(&work);
}

static void a_rejection_survives_every_failing_allocation(void)
{
    static const struct work work = { "reject", reject, 2, 1, NULL };

    prepare(2, NULL);
    under_failures(&work);
}

static void a_confirmation_survives_every_failing_allocation(void)
{
    static const struct work work = { "confirm", confirm, 2, 2, NULL };

    prepare(2, NULL);
    under_failures(&work);
}

static void a_repair_survives_every_failing_allocation(void)
{
    static const struct work work = { "repair", repair, -1, 2, NULL };

    prepare(2, "echo rotten > versions/alpha/2/sub/a && rm versions/beta/2/b && "
               "touch versions/beta/2/more");
    under_failures(&work);
}

static void looking_survives_every_failing_allocation(void)
{
    static const struct work work = { "look", look, 2, 2, NULL };

    prepare(2, NULL);
    under_failures(&work);
}

static void holds_trust_and_clean_survive_every_failing_allocation(void)
{
    static const struct work work = { "small", small, 2, 2, NULL };

    prepare(2, NULL);
    under_failures(&work);
}

int main(void)
{
    stack_end = (uintptr_t)__builtin_frame_address(0);
    seen = mmap(NULL, sizeof *seen, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (seen == MAP_FAILED)
        abort();
    (void)setenv("TMPDIR", access("/dev/shm", W_OK | X_OK) == 0 ? "/dev/shm" : "/tmp", 0);
    T_RUN(an_installation_survives_every_failing_allocation);
    T_RUN(an_update_survives_every_failing_allocation);
    T_RUN(download_and_install_survive_every_failing_allocation);
    T_RUN(a_rollback_survives_every_failing_allocation);
    T_RUN(a_rejection_survives_every_failing_allocation);
    T_RUN(a_confirmation_survives_every_failing_allocation);
    T_RUN(a_repair_survives_every_failing_allocation);
    T_RUN(looking_survives_every_failing_allocation);
    T_RUN(holds_trust_and_clean_survive_every_failing_allocation);
    return T_DONE();
}

#else

int main(void)
{
    printf("1..0 # SKIP malloc() cannot be replaced here\n");
    return 0;
}

#endif
