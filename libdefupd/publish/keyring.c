/* SPDX-License-Identifier: Apache-2.0 */
/* The keys directory. Whoever can read it can publish: so it is refused when others may. */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "publish/publish_priv.h"

#define KEYS_MAX 256
#define FOR_OTHERS 077U

static const char suffix[] = ".pem";

void du_keyring_free(struct du_keyring *ring)
{
    for (size_t i = 0; i < ring->count; i++)
        du_signer_free(ring->key[i].signer);
    free(ring->key);
    *ring = (struct du_keyring){ 0 };
}

const struct du_ring_key *du_keyring_find(const struct du_keyring *ring, const char *keyid)
{
    for (size_t i = 0; i < ring->count; i++)
        if (strcmp(du_signer_id(ring->key[i].signer), keyid) == 0)
            return &ring->key[i];
    return NULL;
}

/* Takes over *signer when it succeeds. */
static defupd_code ring_add(struct du_keyring *ring, struct du_signer **signer, const char *role,
                            const char *file, defupd_error *err)
{
    struct du_ring_key *more;

    if (ring->count >= KEYS_MAX)
        return DU_FAIL(err, DEFUPD_E_KEY, "more than %d keys", KEYS_MAX);
    more = realloc(ring->key, (ring->count + 1) * sizeof *more);
    if (more == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for keys");
    ring->key = more;
    more = &ring->key[ring->count++];
    *more = (struct du_ring_key){ .signer = du_take(signer) };
    (void)snprintf(more->role, sizeof more->role, "%s", role);
    (void)snprintf(more->file, sizeof more->file, "%s", file);
    return DEFUPD_OK;
}

/* *fd stays -1 when there is no such folder. */
static defupd_code open_keys(const struct defupd_repo *repo, int *fd, defupd_error *err)
{
    DU_AUTO_FD dir = repo->sys->openat(AT_FDCWD, repo->keys_path, O_RDONLY | O_DIRECTORY, 0);
    struct stat st;

    if (dir < 0 && errno == ENOENT)
        return DEFUPD_OK;
    if (dir < 0)
        return DU_FAIL_ERRNO(err, errno == EACCES || errno == ENOTDIR ? DEFUPD_E_KEY : DEFUPD_E_IO,
                             "open keys directory %s", repo->keys_path);
    if (fstat(dir, &st) != 0)
        return DU_FAIL_IO(err, "look at keys directory %s", repo->keys_path);
    if ((st.st_mode & FOR_OTHERS) != 0)
        return DU_FAIL(err, DEFUPD_E_KEY,
                       "keys directory %s has mode %04o: others may open it, expected 0700",
                       repo->keys_path, (unsigned)st.st_mode & 07777U);
    *fd = du_take_fd(&dir);
    return DEFUPD_OK;
}

static defupd_code make_keys(const struct defupd_repo *repo, int *fd, defupd_error *err)
{
    DU_TRY(open_keys(repo, fd, err));
    if (*fd >= 0)
        return DEFUPD_OK;
    if (repo->sys->mkdirat(AT_FDCWD, repo->keys_path, 0700) != 0 && errno != EEXIST)
        return DU_FAIL_ERRNO(err, DEFUPD_E_CANNOT_CREATE, "create keys directory %s",
                             repo->keys_path);
    DU_TRY(open_keys(repo, fd, err));
    if (*fd < 0)
        return DU_FAIL(err, DEFUPD_E_CANNOT_CREATE, "create keys directory %s: it vanished",
                       repo->keys_path);
    return DEFUPD_OK;
}

/* "ROLE-KEYID8.pem"; false for any other name, and for roles of a later publisher. */
static bool parse_file_name(const char *file, char role_name[DU_NAME_MAX + 1], char id8[9])
{
    const size_t len = strlen(file), tail = 1 + 8 + sizeof suffix - 1;
    enum du_role role;

    if (len <= tail || len - tail > DU_NAME_MAX || file[len - tail] != '-' ||
        strcmp(file + len - (sizeof suffix - 1), suffix) != 0)
        return false;
    memcpy(role_name, file, len - tail);
    role_name[len - tail] = '\0';
    memcpy(id8, file + len - tail + 1, 8);
    id8[8] = '\0';
    return du_role_parse(role_name, &role) && strspn(id8, "0123456789abcdef") == 8;
}

/* Not du_file_read(): that leaves a copy in its own buffer. `pem` is reserved to its maximum. */
static defupd_code read_secret(const struct defupd_repo *repo, int dir, const char *file,
                               struct du_buf *pem, defupd_error *err)
{
    DU_AUTO_FD fd = repo->sys->openat(dir, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
    struct stat st;

    if (fd < 0)
        return DU_FAIL_ERRNO(err, errno == EACCES || errno == ELOOP ? DEFUPD_E_KEY : DEFUPD_E_IO,
                             "open key %s/%s", repo->keys_path, file);
    if (fstat(fd, &st) != 0)
        return DU_FAIL_IO(err, "look at key %s/%s", repo->keys_path, file);
    if (!S_ISREG(st.st_mode))
        return DU_FAIL(err, DEFUPD_E_KEY, "key %s/%s is not a regular file", repo->keys_path, file);
    if ((st.st_mode & FOR_OTHERS) != 0)
        return DU_FAIL(err, DEFUPD_E_KEY,
                       "key %s/%s has mode %04o: others may read it, expected 0600",
                       repo->keys_path, file, (unsigned)st.st_mode & 07777U);
    if (st.st_size <= 0 || (uint64_t)st.st_size > pem->max)
        return DU_FAIL(err, DEFUPD_E_KEY, "key %s/%s is no PEM file", repo->keys_path, file);
    while (pem->len < (size_t)st.st_size) {
        const ssize_t got =
            repo->sys->read(fd, pem->data + pem->len, (size_t)st.st_size - pem->len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return DU_FAIL_IO(err, "read key %s/%s", repo->keys_path, file);
        if (got == 0)
            return DU_FAIL(err, DEFUPD_E_KEY, "key %s/%s changed while it was read",
                           repo->keys_path, file);
        pem->len += (size_t)got;
    }
    return DEFUPD_OK;
}

static defupd_code load_key(const struct defupd_repo *repo, int dir, const char *file,
                            struct du_keyring *ring, defupd_error *err)
{
    DU_AUTO_SECRET pem = DU_BUF(DU_PEM_MAX);
    DU_AUTO_SIGNER *signer = NULL;
    char role[DU_NAME_MAX + 1], id8[9], what[PATH_MAX];

    if (!parse_file_name(file, role, id8))
        return DEFUPD_OK;
    (void)snprintf(what, sizeof what, "key %s/%s", repo->keys_path, file);
    DU_TRY(du_buf_reserve(&pem, DU_PEM_MAX, err));
    DU_TRY(read_secret(repo, dir, file, &pem, err));
    DU_TRY(du_signer_parse(&signer, du_buf_bytes(&pem), what, err));
    if (strncmp(du_signer_id(signer), id8, 8) != 0)
        return DU_FAIL(err, DEFUPD_E_KEY, "%s: holds key %.8s..., another than its name says", what,
                       du_signer_id(signer));
    return ring_add(ring, &signer, role, file, err);
}

defupd_code du_keyring_load(const struct defupd_repo *repo, struct du_keyring *ring,
                            defupd_error *err)
{
    DU_AUTO_FD dir = -1;
    DU_AUTO_NAMES names = { 0 };
    DU_AUTO_KEYRING found = { 0 };

    DU_TRY(open_keys(repo, &dir, err));
    if (dir < 0)
        return DEFUPD_OK;
    DU_TRY(du_dir_names(repo->sys, dir, &names, err));
    for (size_t i = 0; i < names.count; i++)
        DU_TRY(load_key(repo, dir, names.item[i], &found, err));
    *ring = found;
    found = (struct du_keyring){ 0 };
    return DEFUPD_OK;
}

defupd_code du_keyring_generate(const struct defupd_repo *repo, struct du_keyring *ring,
                                const char *role, enum du_key_type type, defupd_error *err)
{
    DU_AUTO_SECRET pem = DU_BUF(DU_PEM_MAX);
    DU_AUTO_SIGNER *signer = NULL;
    DU_AUTO_FD dir = -1;
    char file[DU_PART_MAX + 1];

    DU_TRY(make_keys(repo, &dir, err));
    DU_TRY(du_buf_reserve(&pem, DU_PEM_MAX, err));
    DU_TRY(du_signer_generate(&signer, type, err));
    DU_TRY(du_signer_pem(signer, &pem, err));
    (void)snprintf(file, sizeof file, "%s-%.8s%s", role, du_signer_id(signer), suffix);
    if (du_file_replace(repo->sys, dir, file, pem.data, pem.len, 0600, err) != DEFUPD_OK)
        return du_err_prefix(err, "keys directory %s", repo->keys_path);
    return ring_add(ring, &signer, role, file, err);
}

/* Names that web servers' folders usually have. A guess, so it is a warning only. */
static const char *served_part(const char *path)
{
    static const char *const served[] = { "www",     "public_html", "htdocs", "html",
                                          "wwwroot", "webroot",     "public" };

    for (const char *at = path; *at != '\0';) {
        const size_t len = strcspn(at, "/");
        for (size_t i = 0; i < sizeof served / sizeof served[0]; i++)
            if (strlen(served[i]) == len && memcmp(at, served[i], len) == 0)
                return served[i];
        at += len;
        at += strspn(at, "/");
    }
    return NULL;
}

defupd_code du_keyring_warn(const struct defupd_repo *repo, int top, defupd_error *err)
{
    DU_AUTO_FREE char *path = realpath(repo->keys_path, NULL);
    DU_AUTO_FD dir = -1;
    const char *part;
    bool below = false;

    DU_TRY(open_keys(repo, &dir, err));
    if (dir < 0)
        return DEFUPD_OK;
    DU_TRY(du_dir_below(repo->sys, dir, top, &below, err));
    part = path == NULL ? NULL : served_part(path);
    if (below)
        du_repo_say(repo, "warning: keys directory %s lies inside the repository: move it out",
                    repo->keys_path);
    else if (part != NULL)
        du_repo_say(repo,
                    "warning: keys directory %s lies below a folder named '%s', which looks "
                    "served: move it out",
                    repo->keys_path, part);
    return DEFUPD_OK;
}
