/* SPDX-License-Identifier: Apache-2.0 */
/* From files to a policy. A policy runs commands, so nobody but root and the store's owner may have
 * a hand in it. */
#include "policy/policy.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fail.h"

struct loader {
    struct ag_policy *policy;
    struct ag_findings *findings;
    uid_t owner;
    unsigned flags;
};

static defupd_code check_owner(const struct stat *st, const char *what, const char *path,
                               uid_t owner, mode_t others, defupd_error *err)
{
    if (st->st_uid != 0 && st->st_uid != owner)
        return AG_FAIL(err, DEFUPD_E_POLICY_OWNER,
                       "%s: the %s belongs to user %u; allowed: root%s, or the store's owner", path,
                       what, (unsigned)st->st_uid, owner == 0 ? "" : " (0)");
    if ((st->st_mode & others) != 0)
        return AG_FAIL(err, DEFUPD_E_POLICY_OWNER,
                       "%s: the %s is %s others (mode %04o); allowed: %s", path, what,
                       others == 077 ? "open to" : "writable by", (unsigned)st->st_mode & 07777u,
                       others == 077 ? "0600" : "writable by its owner alone");
    return DEFUPD_OK;
}

static defupd_code open_dir(int *fd, const char *dir, uid_t owner, bool anyones, defupd_error *err)
{
    struct stat st;
    defupd_code rc = DEFUPD_OK;

    *fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*fd < 0)
        return AG_FAIL_ERRNO(err, DEFUPD_E_POLICY, "cannot open the folder %s", dir);
    if (fstat(*fd, &st) != 0)
        rc = AG_FAIL_ERRNO(err, DEFUPD_E_POLICY, "cannot look at the folder %s", dir);
    else if (!anyones)
        rc = check_owner(&st, "folder", dir, owner, 022, err);
    if (rc != DEFUPD_OK) {
        (void)close(*fd);
        *fd = -1;
    }
    return rc;
}

/* Folder of a path, yours to free(); *name is the part after it. */
static char *folder_of(const char *path, const char **name)
{
    const char *slash = strrchr(path, '/');

    *name = slash != NULL ? slash + 1 : path;
    if (slash == NULL)
        return strdup(".");
    return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

/* Open `name` in the folder `dir`, no symbolic link, and look at the opened file: nobody can change
 * it in between. */
static defupd_code open_in(int *fd, int dir, const char *name, const char *path, uid_t owner,
                           bool anyones, bool secret, defupd_error *err)
{
    struct stat st;
    defupd_code rc = DEFUPD_OK;

    *fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (*fd < 0)
        return AG_FAIL_ERRNO(err, DEFUPD_E_POLICY, "cannot open %s", path);
    if (fstat(*fd, &st) != 0 || !S_ISREG(st.st_mode))
        rc = AG_FAIL(err, DEFUPD_E_POLICY, "%s is no regular file", path);
    else if (!anyones)
        rc = check_owner(&st, "file", path, owner, secret ? 077 : 022, err);
    if (rc != DEFUPD_OK) {
        (void)close(*fd);
        *fd = -1;
    }
    return rc;
}

static defupd_code open_checked(int *fd, const char *path, uid_t owner, bool anyones, bool secret,
                                defupd_error *err)
{
    const char *name;
    char *dir = folder_of(path, &name), *real = NULL;
    int dir_fd = -1;
    defupd_code rc;

    *fd = -1;
    if (dir == NULL)
        return AG_FAIL(err, DEFUPD_E_NOMEM, "out of memory while opening %s", path);
    /* Both the folder of the name and, behind a symbolic link, that of the file: who can write
     * either decides what is read. */
    rc = open_dir(&dir_fd, dir, owner, anyones, err);
    free(dir);
    if (rc != DEFUPD_OK)
        return rc;
    real = realpath(path, NULL);
    if (real == NULL) {
        rc = AG_FAIL_ERRNO(err, DEFUPD_E_POLICY, "cannot open %s", path);
        (void)close(dir_fd);
        return rc;
    }
    (void)close(dir_fd);
    dir = folder_of(real, &name);
    rc = dir != NULL ? open_dir(&dir_fd, dir, owner, anyones, err)
                     : AG_FAIL(err, DEFUPD_E_NOMEM, "out of memory while opening %s", path);
    if (rc == DEFUPD_OK) {
        rc = open_in(fd, dir_fd, name, path, owner, anyones, secret, err);
        (void)close(dir_fd);
    }
    free(dir);
    free(real);
    return rc;
}

defupd_code ag_policy_open(int *fd, const char *path, uid_t owner, bool secret, defupd_error *err)
{
    return open_checked(fd, path, owner, false, secret, err);
}

/* One byte more than allowed is read, so that a file that is too large is seen to be. */
static defupd_code read_whole(int fd, const char *path, char **bytes, size_t *count,
                              defupd_error *err)
{
    char *data = malloc(AG_POLICY_BYTES_MAX + 1);

    *count = 0;
    if (data == NULL)
        return AG_FAIL(err, DEFUPD_E_NOMEM, "out of memory while reading %s", path);
    while (*count <= AG_POLICY_BYTES_MAX) {
        const ssize_t n = read(fd, data + *count, AG_POLICY_BYTES_MAX + 1 - *count);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            const defupd_code rc = AG_FAIL_ERRNO(err, DEFUPD_E_POLICY, "cannot read %s", path);
            free(data);
            return rc;
        }
        if (n == 0)
            break;
        *count += (size_t)n;
    }
    *bytes = data;
    return DEFUPD_OK;
}

/* Takes the descriptor over. */
static defupd_code load_file(struct loader *loader, int fd, const char *path, defupd_error *err)
{
    char *bytes = NULL;
    size_t count;
    defupd_code rc = read_whole(fd, path, &bytes, &count, err);

    (void)close(fd);
    if (rc == DEFUPD_OK)
        rc = ag_policy_read(loader->policy, path, bytes, count, loader->findings, err);
    free(bytes);
    return rc;
}

/* A failure without findings of its own becomes one, so that all are told in one way. */
static defupd_code note(struct loader *loader, size_t before, defupd_code rc,
                        const defupd_error *err)
{
    if (rc != DEFUPD_OK && rc != DEFUPD_E_NOMEM && loader->findings->count == before &&
        loader->findings->more == 0)
        ag_finding(loader->findings, "%s", err->message);
    return rc;
}

static int is_dropin(const struct dirent *entry)
{
    const size_t length = strlen(entry->d_name);

    return entry->d_name[0] != '.' && length > 4 && strcmp(entry->d_name + length - 4, ".xml") == 0;
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static defupd_code load_dropin(struct loader *loader, const char *dir, const char *name,
                               defupd_error *err)
{
    const bool anyones = (loader->flags & AG_LOAD_ANYONES) != 0;
    const size_t before = loader->findings->count;
    char *path;
    defupd_code rc;
    int fd;

    if (asprintf(&path, "%s/%s", dir, name) < 0)
        return AG_FAIL(err, DEFUPD_E_NOMEM, "out of memory while reading %s", dir);
    rc = open_checked(&fd, path, loader->owner, anyones, false, err);
    if (rc == DEFUPD_OK)
        rc = load_file(loader, fd, path, err);
    rc = note(loader, before, rc, err);
    free(path);
    return rc;
}

/* All drop-ins, whatever is wrong with one: the first failure counts. */
static defupd_code load_dropins(struct loader *loader, const char *dir, defupd_error *err)
{
    const bool anyones = (loader->flags & AG_LOAD_ANYONES) != 0;
    const size_t before = loader->findings->count;
    struct dirent **names = NULL;
    defupd_code rc;
    int dir_fd, count;

    rc = open_dir(&dir_fd, dir, loader->owner, anyones, err);
    if (rc != DEFUPD_OK)
        return err->sys_errno == ENOENT ? DEFUPD_OK : note(loader, before, rc, err);
    count = scandirat(dir_fd, ".", &names, is_dropin, by_bytes);
    if (count < 0)
        rc = AG_FAIL_ERRNO(err, DEFUPD_E_POLICY, "cannot read the folder %s", dir);
    else if (count > AG_POLICY_DROPINS_MAX)
        rc = AG_FAIL(err, DEFUPD_E_POLICY, "%s: has %d drop-ins; allowed: at most %d", dir, count,
                     AG_POLICY_DROPINS_MAX);
    rc = note(loader, before, rc, err);
    for (int i = 0; i < count; i++) {
        defupd_error one;

        if (count <= AG_POLICY_DROPINS_MAX) {
            const defupd_code got = load_dropin(loader, dir, names[i]->d_name, &one);

            if (rc == DEFUPD_OK && got != DEFUPD_OK) {
                *err = one;
                rc = got;
            }
        }
        free(names[i]);
    }
    free(names);
    (void)close(dir_fd);
    return rc;
}

char *ag_policy_dropins(const char *path)
{
    const size_t length = strlen(path);
    const bool xml = length > 4 && strcmp(path + length - 4, ".xml") == 0;
    char *dir;

    return asprintf(&dir, "%.*s.d", (int)(xml ? length - 4 : length), path) < 0 ? NULL : dir;
}

defupd_code ag_policy_load(struct ag_policy **out, const char *path, uid_t owner, unsigned flags,
                           struct ag_findings *findings, defupd_error *err)
{
    struct loader loader = { calloc(1, sizeof *loader.policy), findings, owner, flags };
    char *dir = ag_policy_dropins(path);
    defupd_error dropin_err = { 0 };
    defupd_code rc, dropin_rc;
    int fd;

    *out = NULL;
    if (loader.policy == NULL || dir == NULL) {
        free(dir);
        ag_policy_free(loader.policy);
        return AG_FAIL(err, DEFUPD_E_NOMEM, "out of memory while reading %s", path);
    }
    rc = open_checked(&fd, path, owner, (flags & AG_LOAD_ANYONES) != 0, false, err);
    if (rc == DEFUPD_OK)
        rc = load_file(&loader, fd, path, err);
    rc = note(&loader, 0, rc, err);
    dropin_rc = load_dropins(&loader, dir, &dropin_err);
    free(dir);
    if (rc == DEFUPD_OK && dropin_rc != DEFUPD_OK) {
        *err = dropin_err;
        rc = dropin_rc;
    }
    if (rc == DEFUPD_OK) {
        ag_policy_check(loader.policy, findings);
        if (findings->count > 0)
            rc = AG_FAIL(err, DEFUPD_E_POLICY, "%s", findings->line[0]);
    }
    if (rc != DEFUPD_OK) {
        ag_policy_free(loader.policy);
        return rc;
    }
    *out = loader.policy;
    return DEFUPD_OK;
}
