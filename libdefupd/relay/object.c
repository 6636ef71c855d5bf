/* SPDX-License-Identifier: Apache-2.0 */
/* One object on demand, for the server: STATE/relay/parts/HEX grows, is hashed on its way, and gets
 * its name below objects/ when it is whole. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "relay/relay_priv.h"

#define USED_EVERY_S 3600 /* finer than that nobody needs to know when an object was used */

/* Somebody who waits for the object; on the stack of his call. */
struct waiting {
    du_relay_bytes_fn on_bytes;
    void *user;
    struct waiting *next;
    bool done;
    defupd_error err; /* how it ended, when it is done */
};

/* One fetch; on the stack of the call that does it. Guarded by the relay's mutex. */
struct du_relay_job {
    struct du_relay_job *next;
    struct du_relay *relay;
    struct du_relay_dirs dirs;
    unsigned char sha256[DU_SHA256_BYTES];
    uint64_t bytes;
    int fd;        /* of the part; -1 until it is open */
    uint64_t told; /* bytes that who waits was told of */
    struct waiting *first;
};

/* --- who waits --- */

/* With the mutex held. */
static void tell(struct du_relay_job *job)
{
    struct stat st;

    if (job->fd < 0 || fstat(job->fd, &st) != 0 || (uint64_t)st.st_size == job->told)
        return;
    job->told = (uint64_t)st.st_size;
    for (const struct waiting *at = job->first; at != NULL; at = at->next) {
        if (at->on_bytes != NULL)
            at->on_bytes(at->user, job->fd, job->told, job->bytes);
    }
}

static void on_tick(void *user)
{
    struct du_relay_job *job = user;

    (void)pthread_mutex_lock(&job->relay->mutex);
    tell(job);
    (void)pthread_mutex_unlock(&job->relay->mutex);
}

/* With the mutex held, which is let go meanwhile. */
static defupd_code wait_for(struct du_relay *relay, struct du_relay_job *job, struct waiting *me,
                            defupd_error *err)
{
    me->next = job->first;
    job->first = me;
    if (me->on_bytes != NULL && job->fd >= 0 && job->told > 0)
        me->on_bytes(me->user, job->fd, job->told, job->bytes);
    while (!me->done)
        (void)pthread_cond_wait(&relay->ended, &relay->mutex);
    if (me->err.code != DEFUPD_OK)
        *err = me->err;
    return me->err.code;
}

/* With the mutex held. */
static void end(struct du_relay *relay, struct du_relay_job *job, const defupd_error *err)
{
    struct du_relay_job **at = &relay->jobs;

    while (*at != job)
        at = &(*at)->next;
    *at = job->next;
    for (struct waiting *who = job->first; who != NULL; who = who->next) {
        who->err = *err;
        who->done = true;
    }
    (void)pthread_cond_broadcast(&relay->ended);
}

/* --- fetching --- */

static bool is_there(const struct du_relay *relay, int objects,
                     const unsigned char sha256[DU_SHA256_BYTES])
{
    char name[DU_SHA256_HEX + 1];
    DU_AUTO_FD dir = -1;
    defupd_error ignored;
    struct stat st;

    return du_relay_object_dir(relay, objects, sha256, false, &dir, name, &ignored) == DEFUPD_OK &&
           fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode);
}

/* The part, whole or not. Another process that was at it may have given it its name meanwhile: then
 * it is no part any more, and must not be touched. */
static defupd_code open_part(const struct du_relay_job *job, const char *name, int *fd,
                             defupd_error *err)
{
    const struct du_sys *sys = job->relay->options.sys;
    DU_AUTO_FD part = -1;
    struct stat st, named;

    if (fstatat(job->dirs.parts, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(st.st_mode))
        DU_TRY(du_tree_remove(sys, job->dirs.parts, name, NULL, err));
    part = sys->openat(job->dirs.parts, name, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK,
                       0600);
    if (part < 0)
        return DU_FAIL_IO(err, "open relay/parts/%s", name);
    if (sys->flock(part, LOCK_EX | LOCK_NB) != 0)
        return errno == EWOULDBLOCK ? DU_FAIL(err, DEFUPD_E_BUSY,
                                              "object %s is being fetched by another process", name)
                                    : DU_FAIL_IO(err, "lock relay/parts/%s", name);
    if (fstat(part, &st) != 0)
        return DU_FAIL_IO(err, "look at relay/parts/%s", name);
    if (fstatat(job->dirs.parts, name, &named, AT_SYMLINK_NOFOLLOW) != 0 ||
        named.st_ino != st.st_ino || named.st_dev != st.st_dev)
        return DU_FAIL(err, DEFUPD_E_BUSY, "object %s has just been fetched by another process",
                       name);
    if ((uint64_t)st.st_size > job->bytes && sys->ftruncate(part, 0) != 0)
        return DU_FAIL_IO(err, "empty relay/parts/%s", name);
    *fd = du_take_fd(&part);
    return DEFUPD_OK;
}

static defupd_code transfer(struct du_relay_job *job, int fd, defupd_error *err)
{
    char path[80];
    struct du_want want = { .path = path, .length_bytes = job->bytes };
    struct du_relay_hand *hand;
    uint64_t fetched = 0;
    size_t source = 0;
    defupd_code rc;

    du_object_path(path, job->sha256);
    memcpy(want.sha256, job->sha256, DU_SHA256_BYTES);
    DU_TRY(du_relay_hand_take(job->relay, &hand, err));
    hand->on_tick = on_tick;
    hand->user = job;
    du_run_phase(&hand->run, DEFUPD_PHASE_DOWNLOAD, NULL, job->bytes);
    rc = du_fetch_object(hand->run.fetch, 0, fd, &want, &source, &fetched, err);
    du_run_phase(&hand->run, DEFUPD_PHASE_NONE, NULL, 0);
    du_relay_hand_give_back(job->relay, hand);
    return rc;
}

/* Every byte of it went through du_fetch_object()'s digest in this process just now. */
static defupd_code give_name(const struct du_relay_job *job, int fd, const char *part,
                             defupd_error *err)
{
    const struct du_sys *sys = job->relay->options.sys;
    char name[DU_SHA256_HEX + 1];
    DU_AUTO_FD dir = -1;

    DU_TRY(du_relay_object_dir(job->relay, job->dirs.objects, job->sha256, true, &dir, name, err));
    if (sys->fchmod(fd, 0644) != 0 || sys->fsync(fd) != 0)
        return DU_FAIL_IO(err, "sync relay/parts/%s", part);
    if (sys->renameat(job->dirs.parts, part, dir, name) != 0)
        return DU_FAIL_IO(err, "rename relay/parts/%s", part);
    return du_dir_sync(sys, dir, "relay/objects", err);
}

static void show(struct du_relay_job *job, int fd)
{
    (void)pthread_mutex_lock(&job->relay->mutex);
    job->fd = fd;
    tell(job);
    (void)pthread_mutex_unlock(&job->relay->mutex);
}

static defupd_code fetch(struct du_relay_job *job, defupd_error *err)
{
    struct du_relay *relay = job->relay;
    char part[DU_SHA256_HEX + 1];
    DU_AUTO_FD fd = -1;
    uint64_t removed = 0;
    defupd_code rc;

    /* It may have come between the look at objects/ and the job. */
    if (is_there(relay, job->dirs.objects, job->sha256))
        return DEFUPD_OK;
    du_hex(part, job->sha256, DU_SHA256_BYTES);
    DU_TRY(du_relay_make_room(relay, job->dirs.objects, job->bytes, &removed, err));
    DU_TRY(open_part(job, part, &fd, err));
    show(job, fd);
    rc = transfer(job, fd, err);
    if (rc == DEFUPD_OK)
        rc = give_name(job, fd, part, err);
    on_tick(job); /* the last bytes, or that they were none */
    show(job, -1);
    return rc;
}

/* --- which objects --- */

/* Read `named` again when a sync has written it. With the mutex held. */
static defupd_code refresh_named(struct du_relay *relay, int top, defupd_error *err)
{
    struct du_relay_mark mark = { 0 };
    struct stat st;

    if (fstatat(top, "named", &st, AT_SYMLINK_NOFOLLOW) == 0)
        mark = (struct du_relay_mark){ .device = st.st_dev,
                                       .inode = st.st_ino,
                                       .size = (uint64_t)st.st_size,
                                       .mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 +
                                                   st.st_mtim.tv_nsec };
    if (mark.inode != 0 && memcmp(&mark, &relay->named_mark, sizeof mark) == 0)
        return DEFUPD_OK;
    DU_TRY(du_named_read(&relay->named, relay->options.sys, top, err));
    relay->named_mark = mark;
    return DEFUPD_OK;
}

/* With the mutex held. */
static defupd_code look_up(struct du_relay *relay, struct du_relay_job *job, defupd_error *err)
{
    const struct du_named_item *item;
    char hex[DU_SHA256_HEX + 1];

    if (refresh_named(relay, job->dirs.top, err) != DEFUPD_OK && !du_is_missing(err))
        return err->code;
    item = du_named_find(&relay->named, job->sha256);
    du_hex(hex, job->sha256, DU_SHA256_BYTES);
    if (item == NULL)
        return DU_FAIL(err, DEFUPD_E_NOT_FOUND, "no verified manifest names object %s", hex);
    job->bytes = item->bytes;
    return DEFUPD_OK;
}

static struct du_relay_job *find_job(const struct du_relay *relay,
                                     const unsigned char sha256[DU_SHA256_BYTES])
{
    struct du_relay_job *at = relay->jobs;

    while (at != NULL && memcmp(at->sha256, sha256, DU_SHA256_BYTES) != 0)
        at = at->next;
    return at;
}

/* With the mutex held. */
static defupd_code join_or_fetch(struct du_relay *relay, struct du_relay_job *job,
                                 struct waiting *me, defupd_error *err)
{
    struct du_relay_job *other;
    defupd_code rc;

    DU_TRY(look_up(relay, job, err));
    other = find_job(relay, job->sha256);
    if (other != NULL)
        return wait_for(relay, other, me, err);
    job->first = me;
    job->next = relay->jobs;
    relay->jobs = job;
    (void)pthread_mutex_unlock(&relay->mutex);
    err->code = DEFUPD_OK;
    rc = fetch(job, err);
    (void)pthread_mutex_lock(&relay->mutex);
    if (rc == DEFUPD_OK)
        err->code = DEFUPD_OK; /* what failed on the way does not count */
    end(relay, job, err);
    return rc;
}

defupd_code du_relay_object(struct du_relay *relay, const unsigned char sha256[DU_SHA256_BYTES],
                            du_relay_bytes_fn on_bytes, void *user, defupd_error *err)
{
    struct waiting me = { .on_bytes = on_bytes, .user = user };
    struct du_relay_job job = { .relay = relay, .dirs = DU_RELAY_DIRS, .fd = -1 };
    defupd_code rc = du_relay_dirs_open(relay, false, &job.dirs, err);

    memcpy(job.sha256, sha256, DU_SHA256_BYTES);
    if (rc != DEFUPD_OK && du_is_missing(err))
        rc = DU_FAIL(err, DEFUPD_E_NOT_FOUND, "nothing is held here yet");
    if (rc == DEFUPD_OK && !is_there(relay, job.dirs.objects, sha256)) {
        (void)pthread_mutex_lock(&relay->mutex);
        rc = join_or_fetch(relay, &job, &me, err);
        (void)pthread_mutex_unlock(&relay->mutex);
    }
    du_relay_dirs_close(&job.dirs);
    return rc;
}

/* A hint for du_relay_make_room(): that it cannot be written, or is lost, changes nothing but which
 * object goes first. */
void du_relay_used(struct du_relay *relay, const unsigned char sha256[DU_SHA256_BYTES])
{
    const struct timespec times[2] = { { .tv_nsec = UTIME_NOW }, { .tv_nsec = UTIME_OMIT } };
    char path[sizeof "relay/objects/ab/" + DU_SHA256_HEX], hex[DU_SHA256_HEX + 1];
    struct stat st;

    if (relay->ctx.store.dir < 0)
        return;
    du_hex(hex, sha256, DU_SHA256_BYTES);
    (void)snprintf(path, sizeof path, "relay/objects/%.2s/%s", hex, hex);
    if (fstatat(relay->ctx.store.dir, path, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
        relay->options.sys->now_s() - st.st_atime >= USED_EVERY_S)
        (void)utimensat(relay->ctx.store.dir, path, times, AT_SYMLINK_NOFOLLOW);
}
