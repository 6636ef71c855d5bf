/* SPDX-License-Identifier: Apache-2.0 */
/* One writer at a time. The lock is on the open description of STATE/lock and dies with it; the
 * file is never unlinked, or two processes could each hold the lock on a file of that name. */
#include "store/store_priv.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define LOCK_FILE "lock"
#define CANCEL_FILE "cancel"
#define TOKEN_BYTES 16
#define LINE_MAX_BYTES 80 /* "PID TOKEN LF" */
#define POLL_MS 50

_Static_assert(2 * TOKEN_BYTES + 1 == sizeof((struct du_store *)0)->token, "token's text");

static void rest_ms(uint64_t ms)
{
    const struct timespec pause = { .tv_sec = (time_t)(ms / 1000),
                                    .tv_nsec = (long)(ms % 1000) * 1000000 };

    (void)nanosleep(&pause, NULL); /* cut short by a signal: the caller looks again */
}

static bool parse_line(char *line, uint64_t *pid, char token[2 * TOKEN_BYTES + 1])
{
    unsigned char bytes[TOKEN_BYTES];
    char *end = strchr(line, '\n');
    char *blank = strchr(line, ' ');

    if (end == NULL || blank == NULL || blank > end)
        return false;
    *end = '\0';
    *blank = '\0';
    if (!du_parse_u64(line, INT32_MAX, pid) || *pid == 0 ||
        !du_unhex(bytes, TOKEN_BYTES, blank + 1))
        return false;
    du_hex(token, bytes, TOKEN_BYTES);
    return true;
}

/* Who holds the lock: *pid is 0 when nobody does. Looked at a few times, because a new writer may
 * be between taking the lock and writing its line. An unreadable line of a held lock leaves *pid 0
 * and *held true. */
static defupd_code look(const struct du_store *store, bool *held, uint64_t *pid,
                        char token[2 * TOKEN_BYTES + 1], defupd_error *err)
{
    const struct du_sys *sys = store->sys;
    DU_AUTO_FD fd = -1;

    *held = false;
    *pid = 0;
    if (store->dir < 0)
        return DEFUPD_OK;
    fd = sys->openat(store->dir, LOCK_FILE, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
    if (fd < 0)
        return errno == ENOENT ? DEFUPD_OK : DU_FAIL_IO(err, "open %s/lock", store->path);
    for (unsigned i = 0; i < 5; i++) {
        char line[LINE_MAX_BYTES + 1];
        const int unused = sys->lock_test(fd);
        ssize_t got;

        if (unused < 0)
            return DU_FAIL_IO(err, "test the lock of %s", store->path);
        *held = unused == 0;
        if (!*held)
            return DEFUPD_OK;
        got = sys->pread(fd, line, LINE_MAX_BYTES, 0);
        if (got < 0)
            return DU_FAIL_IO(err, "read %s/lock", store->path);
        line[got] = '\0';
        if (parse_line(line, pid, token))
            return DEFUPD_OK;
        *pid = 0;
        rest_ms(2);
    }
    return DEFUPD_OK;
}

uint64_t du_store_busy(const struct du_store *store)
{
    char token[2 * TOKEN_BYTES + 1];
    defupd_error ignored;
    uint64_t pid;
    bool held;

    if (look(store, &held, &pid, token, &ignored) != DEFUPD_OK)
        return 0;
    return pid;
}

static defupd_code say_busy(const struct du_store *store, defupd_error *err)
{
    const uint64_t pid = du_store_busy(store);

    if (pid == 0)
        return DU_FAIL(err, DEFUPD_E_BUSY, "%s is in use by another process", store->path);
    return DU_FAIL(err, DEFUPD_E_BUSY, "%s is in use by process %llu", store->path,
                   (unsigned long long)pid);
}

/* Not mended here: of two processes that did, one could remove the other's new lock. */
static defupd_code no_lock_file(const struct du_store *store, defupd_error *err)
{
    return DU_FAIL(err, DEFUPD_E_CANNOT_CREATE, "%s/lock is not a regular file: remove it",
                   store->path);
}

/* Open the lock file and try for the lock; *fd is -1 when another has it. */
static defupd_code try_lock(const struct du_store *store, int *fd, defupd_error *err)
{
    const struct du_sys *sys = store->sys;
    struct stat named, opened;
    DU_AUTO_FD got =
        sys->openat(store->dir, LOCK_FILE, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0600);

    *fd = -1;
    if (got < 0 && (errno == EISDIR || errno == ELOOP || errno == ENXIO))
        return no_lock_file(store, err);
    if (got < 0) {
        const int why = errno;
        return du_err_set(
            err, du_err_io_code(why) == DEFUPD_E_IO ? DEFUPD_E_CANNOT_CREATE : du_err_io_code(why),
            why, DU_HERE, "open %s/lock", store->path);
    }
    if (fstat(got, &opened) != 0)
        return DU_FAIL_IO(err, "look at %s/lock", store->path);
    if (!S_ISREG(opened.st_mode))
        return no_lock_file(store, err);
    if (sys->lock(got) != 0)
        return errno == EAGAIN ? DEFUPD_OK : DU_FAIL_IO(err, "lock %s", store->path);
    /* Somebody may have removed the file by hand after we opened it: a lock on a file without
     * that name keeps nobody out. The next try opens the new one. */
    if (fstatat(store->dir, LOCK_FILE, &named, AT_SYMLINK_NOFOLLOW) != 0 ||
        named.st_dev != opened.st_dev || named.st_ino != opened.st_ino)
        return DEFUPD_OK;
    if ((opened.st_mode & 07777) != 0600 && sys->fchmod(got, 0600) != 0)
        return DU_FAIL_IO(err, "set the mode of %s/lock", store->path);
    *fd = du_take_fd(&got);
    return DEFUPD_OK;
}

static defupd_code take_lock(struct du_store *store, uint32_t wait_ms, const struct du_tick *tick,
                             defupd_error *err)
{
    const uint64_t start = store->sys->monotonic_ms();

    while (true) {
        uint64_t passed;

        DU_TRY(try_lock(store, &store->lock, err));
        if (store->lock >= 0)
            return DEFUPD_OK;
        passed = store->sys->monotonic_ms() - start;
        if (passed >= wait_ms)
            return say_busy(store, err);
        if (tick != NULL && tick->fn != NULL)
            DU_TRY(tick->fn(tick->user, 0, err));
        rest_ms(wait_ms - passed < POLL_MS ? wait_ms - passed : POLL_MS);
    }
}

/* Say who we are. The line is overwritten in place with one write and cut afterwards, so that a
 * reader never finds the file empty. A full disk is no reason to refuse the lock: freeing space
 * needs it too. Then others see "another process" instead of a pid, and cannot ask us to cancel. */
static defupd_code sign_lock(struct du_store *store, defupd_error *err)
{
    const struct du_sys *sys = store->sys;
    unsigned char bytes[TOKEN_BYTES];
    char line[LINE_MAX_BYTES];
    ssize_t wrote;
    int len;

    if (sys->random(bytes, sizeof bytes) != 0)
        return DU_FAIL_IO(err, "get random bytes");
    du_hex(store->token, bytes, sizeof bytes);
    len = snprintf(line, sizeof line, "%ld %s\n", (long)getpid(), store->token);
    do {
        wrote = sys->write(store->lock, line, (size_t)len);
    } while (wrote < 0 && errno == EINTR);
    if (wrote != len) {
        if (wrote >= 0)
            errno = ENOSPC;
        if (du_err_io_code(errno) != DEFUPD_E_NO_SPACE)
            return DU_FAIL_IO(err, "write %s/lock", store->path);
        len = 0; /* no half line, and no line of a process that is gone */
    }
    if (sys->ftruncate(store->lock, len) != 0)
        return DU_FAIL_IO(err, "cut %s/lock", store->path);
    return DEFUPD_OK;
}

static bool is_no_folder(const defupd_error *err)
{
    return err->code == DEFUPD_E_IO && (err->sys_errno == ENOTDIR || err->sys_errno == ELOOP);
}

/* A store that newer software wrote is left alone: this one would misread or sweep what it does not
 * know. Damage is no reason to refuse; what is damaged is found, named and mended later. */
static defupd_code check_format(const struct du_store *store, defupd_error *err)
{
    DU_AUTO_FREE uint64_t *number = NULL;
    DU_AUTO_NAMES components = { 0 };
    defupd_error why = { 0 };
    size_t count;

    if (du_store_generations(store, &number, &count, err) != DEFUPD_OK && !is_no_folder(err))
        return err->code;
    for (size_t i = 0; i < count; i++) {
        DU_AUTO_GENERATION generation = { 0 };
        if (du_store_generation(store, number[i], &generation, &why) == DEFUPD_E_STORE_FORMAT) {
            *err = why;
            return why.code;
        }
    }
    if (du_store_components(store, &components, err) != DEFUPD_OK && !is_no_folder(err))
        return err->code;
    for (size_t i = 0; i < components.count; i++) {
        DU_AUTO_FREE uint64_t *version = NULL;
        size_t versions;

        DU_TRY(du_store_versions(store, components.item[i], &version, &versions, err));
        for (size_t j = 0; j < versions; j++) {
            unsigned char tree[DU_SHA256_BYTES];
            if (du_record_tree(store, components.item[i], version[j], tree, &why) ==
                DEFUPD_E_STORE_FORMAT) {
                *err = why;
                return why.code;
            }
        }
    }
    return DEFUPD_OK;
}

/* Something else where a folder of the store belongs would keep every writer out for ever. Nobody
 * can be reading through it, so it goes. A link to a folder stays: somebody may be. */
static defupd_code clear_place(const struct du_store *store, int dir, const char *where,
                               const char *name, defupd_error *err)
{
    struct stat st;

    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || S_ISDIR(st.st_mode))
        return DEFUPD_OK;
    if (fstatat(dir, name, &st, 0) == 0 && S_ISDIR(st.st_mode))
        return DU_FAIL(err, DEFUPD_E_STORE_CORRUPT,
                       "%s/%s%s is a link to a folder: put the folder itself in its place, or "
                       "remove the link",
                       store->path, where, name);
    return du_tree_remove(store->sys, dir, name, NULL, err);
}

/* The same for the folders in an open folder of the store that have a name of ours. */
static defupd_code clear_places(const struct du_store *store, int dir, const char *where,
                                bool (*ours)(const char *name), defupd_error *err)
{
    DU_AUTO_NAMES names = { 0 };

    DU_TRY(du_dir_names(store->sys, dir, &names, err));
    for (size_t i = 0; i < names.count; i++) {
        if (ours(names.item[i]))
            DU_TRY(clear_place(store, dir, where, names.item[i], err));
    }
    return DEFUPD_OK;
}

static bool is_number(const char *name)
{
    uint64_t number;

    return du_version_parse(name, &number);
}

static bool is_roots(const char *name)
{
    return strcmp(name, "roots") == 0;
}

static defupd_code clear_folders(const struct du_store *store, defupd_error *err)
{
    DU_AUTO_NAMES components = { 0 };
    DU_AUTO_FD trust = -1, generations = -1, versions = -1;

    DU_TRY(du_store_sub(store, "trust", &trust, err));
    DU_TRY(clear_places(store, trust, "trust/", is_roots, err));
    DU_TRY(du_store_sub(store, "generations", &generations, err));
    DU_TRY(clear_places(store, generations, "generations/", is_number, err));
    DU_TRY(du_store_sub(store, "versions", &versions, err));
    DU_TRY(clear_places(store, versions, "versions/", du_name_ok, err));
    DU_TRY(du_store_components(store, &components, err));
    for (size_t i = 0; i < components.count; i++) {
        DU_AUTO_FD dir = -1;
        char where[sizeof "versions//" + DU_NAME_MAX];

        (void)snprintf(where, sizeof where, "versions/%s/", components.item[i]);
        DU_TRY(du_dir_open(store->sys, versions, components.item[i], false, 0, &dir, err));
        DU_TRY(clear_places(store, dir, where, is_number, err));
    }
    return DEFUPD_OK;
}

/* du_dir_open() syncs the state directory after making a folder. Whose maker died in between is
 * synced with the next one that is missing; so the last is the one that nothing durable is put
 * into. */
static defupd_code make_layout(struct du_store *store, defupd_error *err)
{
    static const struct {
        const char *name;
        mode_t mode;
    } folder[] = { { "trust", 0755 },     { "versions", 0755 }, { "generations", 0755 },
                   { "trial", 0755 },     { "holds", 0755 },    { "quarantine", 0755 },
                   { "distrust", 0755 },  { "schedule", 0755 }, { "sources", 0755 },
                   { "downloads", 0700 }, { "staging", 0700 } };

    for (size_t i = 0; i < sizeof folder / sizeof folder[0]; i++) {
        DU_AUTO_FD fd = -1;
        struct stat st;

        DU_TRY(clear_place(store, store->dir, "", folder[i].name, err));
        if (du_dir_open(store->sys, store->dir, folder[i].name, true, folder[i].mode, &fd, err) !=
            DEFUPD_OK)
            return du_err_prefix(err, "%s", store->path);
        /* One that was made just before a crash may have the umask's mode still. */
        if (fstat(fd, &st) != 0)
            return DU_FAIL_IO(err, "look at %s/%s", store->path, folder[i].name);
        if ((st.st_mode & 07777) != folder[i].mode && store->sys->fchmod(fd, folder[i].mode) != 0)
            return DU_FAIL_IO(err, "set the mode of %s/%s", store->path, folder[i].name);
    }
    return clear_folders(store, err);
}

static defupd_code become_writer(struct du_store *store, defupd_error *err)
{
    DU_TRY(sign_lock(store, err));
    DU_TRY(check_format(store, err));
    DU_TRY(make_layout(store, err));
    /* A request names the token of the writer it is meant for, so a stale one would do no harm; it
     * only would stay for ever. */
    return du_tree_remove(store->sys, store->dir, CANCEL_FILE, NULL, err);
}

defupd_code du_store_lock(struct du_store *store, uint32_t wait_ms, const struct du_tick *tick,
                          defupd_error *err)
{
    defupd_code rc;

    if (store->lock >= 0)
        return DU_FAIL(err, DEFUPD_E_BUG, "the store is locked by this handle already");
    DU_TRY(du_store_make(store, err));
    DU_TRY(take_lock(store, wait_ms, tick, err));
    rc = become_writer(store, err);
    if (rc != DEFUPD_OK)
        du_store_unlock(store);
    return rc;
}

void du_store_unlock(struct du_store *store)
{
    du_fd_close(&store->lock);
    memset(store->token, 0, sizeof store->token);
}

defupd_code du_store_need_lock(const struct du_store *store, defupd_error *err)
{
    if (store->lock < 0)
        return DU_FAIL(err, DEFUPD_E_BUG, "the store is not locked");
    return DEFUPD_OK;
}

defupd_code du_store_cancel_ask(struct du_store *store, uint64_t *pid, defupd_error *err)
{
    char token[2 * TOKEN_BYTES + 2];
    uint64_t found = 0;
    bool held;

    if (pid != NULL)
        *pid = 0;
    if (look(store, &held, &found, token, err) != DEFUPD_OK) {
        if (err->sys_errno == EACCES)
            return DU_FAIL(err, DEFUPD_E_STORE_OWNER,
                           "%s belongs to another user, who alone may cancel its work",
                           store->path);
        return err->code;
    }
    if (!held)
        return DEFUPD_OK;
    if (found == 0)
        return DU_FAIL(err, DEFUPD_E_IO, "%s/lock is held but does not say by whom", store->path);
    token[2 * TOKEN_BYTES] = '\n';
    token[2 * TOKEN_BYTES + 1] = '\0';
    DU_TRY(du_store_replace_shared(store, CANCEL_FILE, token, 2 * TOKEN_BYTES + 1, 0600, err));
    if (pid != NULL)
        *pid = found;
    return DEFUPD_OK;
}

bool du_store_cancel_asked(const struct du_store *store)
{
    DU_AUTO_BUF text = DU_BUF(LINE_MAX_BYTES);
    defupd_error ignored;

    if (store->lock < 0 || store->token[0] == '\0')
        return false;
    if (du_file_read(store->sys, store->dir, CANCEL_FILE, &text, &ignored) != DEFUPD_OK)
        return false;
    return text.len == 2 * TOKEN_BYTES + 1 && text.data[2 * TOKEN_BYTES] == '\n' &&
           memcmp(text.data, store->token, 2 * TOKEN_BYTES) == 0;
}
