/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deltas to a new release. Each is a job: unpack the source's bundle, make the delta, apply it, and
 * compare. Jobs run in threads of their own, as many as there are processors and memory for; the
 * caller's thread tells progress meanwhile. All of it happens in the workshop, so that ending it at
 * any time, also by a failure of one job, leaves nothing behind.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bundle/bundle.h"
#include "delta/delta.h"
#include "publish/publish_priv.h"

#define MEMORY_MIN (UINT64_C(64) << 20) /* du_delta_make()'s */
#define MEMORY_FACTOR 6                 /* bytes for each of the old tree, to search all of it */
#define TELL_NS 100000000L
#define SECOND_NS 1000000000L
#define THREADS_MAX DU_CHOOSE_DELTAS_MAX
#define NAME_SIZE 32

/* --- which --- */

static defupd_code add_planned(struct du_release *to, uint64_t from, defupd_error *err)
{
    struct du_object *more = realloc(to->delta, (to->deltas + 1) * sizeof *more);

    if (more == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a manifest");
    to->delta = more;
    to->delta[to->deltas] = (struct du_object){ .from = from, .bytes = to->full.bytes };
    (void)snprintf(to->delta[to->deltas].codec, sizeof to->delta->codec, "%s", DU_DELTA_CODEC);
    to->deltas++;
    return DEFUPD_OK;
}

static int newest_first(const void *a, const void *b)
{
    const uint64_t va = ((const struct du_object *)a)->from;
    const uint64_t vb = ((const struct du_object *)b)->from;

    return va < vb ? 1 : va > vb ? -1 : 0;
}

/* A bundle that somebody has taken away is no reason to fail: its tree is just not to be had. */
static defupd_code find_bundle(const struct defupd_repo *repo, const struct du_dirs *dirs,
                               const struct du_release *release, bool *there, defupd_error *err)
{
    DU_AUTO_FD fd = -1;
    defupd_code rc;

    *there = false;
    if (release->requires != NULL || strcmp(release->full.codec, DU_BUNDLE_CODEC) != 0)
        return DEFUPD_OK;
    rc = du_object_open(repo, dirs, &release->full, &fd, err);
    *there = rc == DEFUPD_OK;
    return rc != DEFUPD_OK && du_is_missing(err) ? DEFUPD_OK : rc;
}

defupd_code du_deltas_plan(const struct defupd_repo *repo, const struct du_dirs *dirs,
                           struct du_manifest *manifest, size_t max, defupd_error *err)
{
    DU_AUTO_FREE bool *usable = calloc(manifest->count, sizeof *usable);
    struct du_release *to = &manifest->release[0];
    size_t source[DU_CHOOSE_DELTAS_MAX], count;

    if (usable == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a manifest");
    for (size_t i = 1; i < manifest->count; i++)
        DU_TRY(find_bundle(repo, dirs, &manifest->release[i], &usable[i], err));
    count = du_choose_sources(manifest, usable, max, source);
    for (size_t i = 0; i < count; i++)
        DU_TRY(add_planned(to, manifest->release[source[i]].version, err));
    if (to->deltas > 0)
        qsort(to->delta, to->deltas, sizeof *to->delta, newest_first);
    return DEFUPD_OK;
}

/* --- one job --- */

struct crew {
    const struct du_shop *shop;
    const struct du_manifest *manifest;
    int root;                     /* the new tree */
    const struct du_index *index; /* its index */
    const struct du_deltas_limits *limits;
    struct du_deltas *deltas;
    atomic_uint_fast64_t done; /* bytes, for progress */
    atomic_bool stop;          /* a job has failed: the others need not go on */

    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t changed;
    size_t next;     /* job */
    size_t members;  /* threads that have not ended */
    uint64_t memory; /* not in use */
    defupd_code rc;  /* of the first job that failed */
    defupd_error err;
};

/* A job at work. */
struct making {
    struct crew *crew;
    struct du_deltas_job *job;
    const struct du_release *from, *to;
    struct du_tick tick;
    uint64_t total, done;
    char old_name[NAME_SIZE], new_name[NAME_SIZE], name[NAME_SIZE];
    struct du_index old_index;
    int old, fd;
};

static uint64_t total_of(const struct du_release *from, const struct du_release *to)
{
    /* Read the bundle, unpack it, make, apply. */
    return from->full.bytes + 2 * from->size + 2 * to->size;
}

static uint64_t memory_of(const struct crew *crew, const struct du_deltas_job *job)
{
    uint64_t need;

    if (!du_mul(crew->manifest->release[job->source].size, MEMORY_FACTOR, &need) ||
        need > crew->limits->memory)
        return crew->limits->memory;
    return need < MEMORY_MIN ? MEMORY_MIN : need;
}

static void advance(struct making *making, uint64_t bytes)
{
    const uint64_t left = making->total - making->done;

    bytes = bytes < left ? bytes : left;
    making->done += bytes;
    (void)atomic_fetch_add(&making->crew->done, bytes);
}

static defupd_code on_tick(void *user, uint64_t bytes, defupd_error *err)
{
    struct making *making = user;

    advance(making, bytes);
    if (atomic_load(&making->crew->stop))
        return DU_FAIL(err, DEFUPD_E_CANCELLED, "another delta failed");
    return du_repo_go_on(making->crew->shop->repo, err);
}

static void want_of(struct du_tree_want *want, const struct du_release *release, const char *what)
{
    *want = (struct du_tree_want){ .what = what, .size = release->size, .files = release->files };
    memcpy(want->tree, release->tree, sizeof want->tree);
}

static defupd_code unpack_old(struct making *making, defupd_error *err)
{
    const struct du_shop *shop = making->crew->shop;
    struct du_tree_want want;
    struct du_verified_file file;
    DU_AUTO_FD fd = -1;
    uint64_t reused;

    want_of(&want, making->from, "its bundle");
    DU_TRY(du_object_check(shop->repo, shop->dirs, &making->from->full, &making->tick, &fd, &file,
                           err));
    DU_TRY(du_dir_open(shop->repo->sys, shop->fd, making->old_name, true, 0700, &making->old, err));
    return du_bundle_unpack(shop->repo->sys, &file, &want, NULL, making->old, &making->tick,
                            &making->old_index, &reused, err);
}

static defupd_code make(struct making *making, defupd_error *err)
{
    const struct crew *crew = making->crew;
    const struct du_delta_side old = { making->old, &making->old_index };
    const struct du_delta_side new = { crew->root, crew->index };
    struct du_object *object = &making->job->object;

    *object = (struct du_object){ .from = making->from->version };
    (void)snprintf(object->codec, sizeof object->codec, "%s", DU_DELTA_CODEC);
    DU_TRY(du_shop_create(crew->shop, making->name, &making->fd, err));
    return du_delta_make(crew->shop->repo->sys, &old, &new, memory_of(crew, making->job),
                         &making->tick, making->fd, object->sha256, &object->bytes, err);
}

/* Unpacked by this process, into a folder that nobody else may enter. */
static bool trust_all(void *user, const struct du_file *file)
{
    (void)user;
    (void)file;
    return true;
}

/* As a client does it, from the bytes that stand on the disk. */
static defupd_code prove(struct making *making, defupd_error *err)
{
    const struct du_shop *shop = making->crew->shop;
    const struct du_sys *sys = shop->repo->sys;
    const struct du_object *object = &making->job->object;
    const struct du_tree_base base = { .index = &making->old_index,
                                       .root = making->old,
                                       .trust = trust_all };
    DU_AUTO_INDEX index = { 0 };
    struct du_verified_file file;
    struct du_tree_want want;
    DU_AUTO_FD into = -1;
    uint64_t reused;

    want_of(&want, making->to, "what it gives");
    DU_TRY(du_object_verify(sys, making->fd, object->bytes, object->sha256, making->name,
                            &making->tick, &file, err));
    DU_TRY(du_dir_open(sys, shop->fd, making->new_name, true, 0700, &into, err));
    return du_delta_merge(sys, &file, &want, &base, into, &making->tick, &index, &reused, err);
}

/* Bytes that are not what they should be; anything else is a failure of this machine. */
static bool is_about_bytes(const defupd_error *err)
{
    return err->code == DEFUPD_E_DIGEST || err->code == DEFUPD_E_BUNDLE_FORMAT ||
           err->code == DEFUPD_E_DELTA_FORMAT || err->code == DEFUPD_E_DELTA_BASE ||
           err->code == DEFUPD_E_TREE || err->code == DEFUPD_E_TREE_FORBIDDEN ||
           err->code == DEFUPD_E_LIMIT || du_is_missing(err);
}

static bool is_dear(const struct du_object *delta, const struct du_object *full)
{
    /* More than 0.9 of it: then the full bundle, which works for everybody, does as well. */
    return (double)delta->bytes > 0.9 * (double)full->bytes;
}

static defupd_code give_up(struct making *making, defupd_repo_delta_state state, defupd_code rc,
                           const defupd_error *err)
{
    if (!is_about_bytes(err))
        return rc;
    making->job->state = state;
    (void)snprintf(making->job->why, sizeof making->job->why, "%s", err->message);
    return DEFUPD_OK;
}

static defupd_code work(struct making *making, defupd_error *err)
{
    struct du_deltas_job *job = making->job;
    defupd_code rc = unpack_old(making, err);

    if (rc != DEFUPD_OK)
        return give_up(making, DEFUPD_REPO_DELTA_NO_SOURCE, rc, err);
    DU_TRY(make(making, err));
    if (is_dear(&job->object, &making->to->full)) {
        job->state = DEFUPD_REPO_DELTA_DEAR;
        return DEFUPD_OK;
    }
    rc = prove(making, err);
    if (rc != DEFUPD_OK)
        return give_up(making, DEFUPD_REPO_DELTA_WRONG, rc, err);
    if (making->crew->shop->repo->sys->fsync(making->fd) != 0)
        return DU_FAIL_IO(err, "sync objects/" DU_REPO_TMP "/%s", making->name);
    job->state = DEFUPD_REPO_DELTA_MADE;
    return DEFUPD_OK;
}

static void name_file(char name[NAME_SIZE], const char *kind, size_t number)
{
    (void)snprintf(name, NAME_SIZE, "%s-%zu", kind, number);
}

static defupd_code clear(const struct making *making, defupd_error *err)
{
    const struct du_shop *shop = making->crew->shop;
    const struct du_sys *sys = shop->repo->sys;

    DU_TRY(du_tree_remove(sys, shop->fd, making->new_name, NULL, err));
    DU_TRY(du_tree_remove(sys, shop->fd, making->old_name, NULL, err));
    if (making->job->state != DEFUPD_REPO_DELTA_MADE)
        DU_TRY(du_tree_remove(sys, shop->fd, making->name, NULL, err));
    return DEFUPD_OK;
}

static defupd_code run_job(struct crew *crew, size_t number, defupd_error *err)
{
    struct du_deltas_job *job = &crew->deltas->job[number];
    struct making making = { .crew = crew,
                             .job = job,
                             .from = &crew->manifest->release[job->source],
                             .to = &crew->manifest->release[0],
                             .tick = { on_tick, &making },
                             .old = -1,
                             .fd = -1 };
    const uint64_t started_ms = crew->shop->repo->sys->monotonic_ms();
    defupd_code rc;

    making.total = total_of(making.from, making.to);
    name_file(making.old_name, "old", number);
    name_file(making.new_name, "new", number);
    name_file(making.name, "delta", number);
    rc = work(&making, err);
    du_index_free(&making.old_index);
    du_fd_close(&making.old);
    du_fd_close(&making.fd);
    if (rc == DEFUPD_OK)
        rc = clear(&making, err);
    advance(&making, making.total);
    job->ms = crew->shop->repo->sys->monotonic_ms() - started_ms;
    if (rc != DEFUPD_OK && rc != DEFUPD_E_CANCELLED)
        return du_err_prefix(err, "delta from %llu", (unsigned long long)making.from->version);
    return rc;
}

/* --- all jobs --- */

/* With the mutex held; it waits until there is memory. False: nothing is left to do. */
static bool take_job(struct crew *crew, size_t *number, uint64_t *memory)
{
    const struct du_deltas *deltas = crew->deltas;

    while (!atomic_load(&crew->stop)) {
        while (crew->next < deltas->count && deltas->job[crew->next].twin != crew->next)
            crew->next++;
        if (crew->next == deltas->count)
            return false;
        *memory = memory_of(crew, &deltas->job[crew->next]);
        if (*memory <= crew->memory) {
            *number = crew->next++;
            crew->memory -= *memory;
            return true;
        }
        (void)pthread_cond_wait(&crew->changed, &crew->mutex);
    }
    return false;
}

static void *member(void *user)
{
    struct crew *crew = user;
    defupd_error err = { 0 };
    uint64_t memory;
    size_t number;

    (void)pthread_mutex_lock(&crew->mutex);
    while (take_job(crew, &number, &memory)) {
        defupd_code rc;

        (void)pthread_mutex_unlock(&crew->mutex);
        rc = run_job(crew, number, &err);
        (void)pthread_mutex_lock(&crew->mutex);
        crew->memory += memory;
        if (rc != DEFUPD_OK && !atomic_exchange(&crew->stop, true)) {
            crew->rc = rc;
            crew->err = err;
        }
        (void)pthread_cond_broadcast(&crew->changed);
    }
    crew->members--;
    (void)pthread_cond_broadcast(&crew->changed);
    (void)pthread_mutex_unlock(&crew->mutex);
    return NULL;
}

/* Progress is told on the thread that made the call. */
static void watch(struct crew *crew, struct du_task *task)
{
    struct timespec until;
    defupd_error ignored;

    (void)pthread_mutex_lock(&crew->mutex);
    while (crew->members > 0) {
        (void)clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += TELL_NS;
        if (until.tv_nsec >= SECOND_NS) {
            until.tv_sec++;
            until.tv_nsec -= SECOND_NS;
        }
        (void)pthread_cond_timedwait(&crew->changed, &crew->mutex, &until);
        (void)pthread_mutex_unlock(&crew->mutex);
        /* When it is cancelled the jobs see it themselves. */
        (void)!task->tick.fn(task, atomic_load(&crew->done) - task->told.bytes_done, &ignored);
        (void)pthread_mutex_lock(&crew->mutex);
    }
    (void)pthread_mutex_unlock(&crew->mutex);
}

static defupd_code run_crew(struct crew *crew, struct du_task *task, defupd_error *err)
{
    pthread_t thread[THREADS_MAX];
    size_t wanted = crew->limits->jobs, started = 0;

    if (wanted > crew->deltas->count)
        wanted = crew->deltas->count;
    (void)pthread_mutex_lock(&crew->mutex);
    while (started < wanted && pthread_create(&thread[started], NULL, member, crew) == 0)
        started++;
    crew->members = started;
    (void)pthread_mutex_unlock(&crew->mutex);
    if (started == 0)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "cannot start a thread to make deltas");
    watch(crew, task);
    for (size_t i = 0; i < started; i++)
        (void)pthread_join(thread[i], NULL);
    if (crew->rc != DEFUPD_OK)
        *err = crew->err;
    return crew->rc;
}

static defupd_code start_crew(struct crew *crew, struct du_task *task, defupd_error *err)
{
    pthread_condattr_t attr;
    defupd_code rc;

    if (pthread_condattr_init(&attr) != 0)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory to make deltas");
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    if (pthread_cond_init(&crew->changed, &attr) != 0) {
        (void)pthread_condattr_destroy(&attr);
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory to make deltas");
    }
    (void)pthread_condattr_destroy(&attr);
    (void)pthread_mutex_init(&crew->mutex, NULL); /* a plain one never fails */
    rc = run_crew(crew, task, err);
    (void)pthread_mutex_destroy(&crew->mutex);
    (void)pthread_cond_destroy(&crew->changed);
    return rc;
}

/* Sources with one and the same tree share one delta. */
static void list_jobs(struct du_deltas *deltas, const struct du_manifest *manifest)
{
    const struct du_release *to = &manifest->release[0];

    deltas->count = 0;
    for (size_t i = 0; i < to->deltas && i < DU_CHOOSE_DELTAS_MAX; i++) {
        const struct du_release *from = du_manifest_find(manifest, to->delta[i].from);
        struct du_deltas_job *job = &deltas->job[deltas->count];

        *job = (struct du_deltas_job){ .source = (size_t)(from - manifest->release),
                                       .twin = deltas->count };
        for (size_t k = deltas->count; k-- > 0;)
            if (memcmp(manifest->release[deltas->job[k].source].tree, from->tree,
                       DU_SHA256_BYTES) == 0)
                job->twin = k;
        deltas->count++;
    }
}

static void take_results(struct du_deltas *deltas, const struct du_manifest *manifest)
{
    struct du_release *to = &manifest->release[0];

    to->deltas = 0;
    for (size_t i = 0; i < deltas->count; i++) {
        struct du_deltas_job *job = &deltas->job[i];
        const size_t source = job->source, twin = job->twin;

        if (twin != i) {
            *job = deltas->job[twin];
            job->source = source;
            job->twin = twin;
            job->ms = 0;
            job->object.from = manifest->release[source].version;
        }
        if (job->state == DEFUPD_REPO_DELTA_MADE)
            to->delta[to->deltas++] = job->object;
    }
}

defupd_code du_deltas_make(const struct du_shop *shop, struct du_manifest *manifest, int root,
                           const struct du_index *index, const struct du_deltas_limits *limits,
                           struct du_deltas *deltas, defupd_error *err)
{
    struct crew crew = { .shop = shop,
                         .manifest = manifest,
                         .root = root,
                         .index = index,
                         .limits = limits,
                         .deltas = deltas,
                         .memory = limits->memory,
                         .rc = DEFUPD_OK };
    struct du_task task;
    uint64_t total = 0;

    list_jobs(deltas, manifest);
    if (deltas->count == 0)
        return DEFUPD_OK;
    for (size_t i = 0; i < deltas->count; i++)
        if (deltas->job[i].twin == i)
            total += total_of(&manifest->release[deltas->job[i].source], &manifest->release[0]);
    du_task_start(&task, shop->repo, DEFUPD_REPO_DELTAS, manifest->component,
                  manifest->release[0].version, total);
    DU_TRY(task.tick.fn(&task, 0, err));
    DU_TRY(start_crew(&crew, &task, err));
    take_results(deltas, manifest);
    return DEFUPD_OK;
}

defupd_code du_deltas_place(const struct du_shop *shop, const struct du_deltas *deltas,
                            defupd_error *err)
{
    char name[NAME_SIZE];

    for (size_t i = 0; i < deltas->count; i++) {
        if (deltas->job[i].state != DEFUPD_REPO_DELTA_MADE || deltas->job[i].twin != i)
            continue;
        name_file(name, "delta", i);
        DU_TRY(du_shop_place(shop, name, &deltas->job[i].object, err));
    }
    return DEFUPD_OK;
}
