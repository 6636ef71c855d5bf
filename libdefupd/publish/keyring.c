/* SPDX-License-Identifier: Apache-2.0 */
/* The keys directory. Whoever can read it can publish: so it is refused when others may. */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "publish/publish_priv.h"

#define KEYS_MAX 256
#define FOR_OTHERS 077U

static const char private_suffix[] = ".pem", public_suffix[] = ".json";

static void key_free(struct du_ring_key *key)
{
    du_signer_free(key->signer);
    du_json_free(key->public);
    *key = (struct du_ring_key){ 0 };
}

void du_keyring_free(struct du_keyring *ring)
{
    for (size_t i = 0; i < ring->count; i++)
        key_free(&ring->key[i]);
    free(ring->key);
    *ring = (struct du_keyring){ 0 };
}

struct du_ring_key *du_keyring_find(const struct du_keyring *ring, const char *keyid)
{
    for (size_t i = 0; i < ring->count; i++)
        if (strcmp(ring->key[i].id, keyid) == 0)
            return &ring->key[i];
    return NULL;
}

/* Takes over what is in `key`, also on failure. A private half replaces a public one. */
static defupd_code ring_add(struct du_keyring *ring, struct du_ring_key *key, defupd_error *err)
{
    DU_AUTO(key_free) struct du_ring_key taken = *key;
    struct du_ring_key *here = du_keyring_find(ring, taken.id);

    *key = (struct du_ring_key){ 0 };
    if (here != NULL && strcmp(here->role, taken.role) == 0) {
        if (here->has_private)
            return DEFUPD_OK;
    } else {
        if (ring->count >= KEYS_MAX)
            return DU_FAIL(err, DEFUPD_E_KEY, "more than %d keys", KEYS_MAX);
        here = realloc(ring->key, (ring->count + 1) * sizeof *here);
        if (here == NULL)
            return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for keys");
        ring->key = here;
        here = &ring->key[ring->count++];
        *here = (struct du_ring_key){ 0 };
    }
    key_free(here);
    *here = taken;
    taken = (struct du_ring_key){ 0 };
    return DEFUPD_OK;
}

defupd_code du_keys_open(const struct defupd_repo *repo, int *fd, defupd_error *err)
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
    DU_TRY(du_keys_open(repo, fd, err));
    if (*fd >= 0)
        return DEFUPD_OK;
    if (repo->sys->mkdirat(AT_FDCWD, repo->keys_path, 0700) != 0 && errno != EEXIST)
        return DU_FAIL_ERRNO(err, DEFUPD_E_CANNOT_CREATE, "create keys directory %s",
                             repo->keys_path);
    DU_TRY(du_keys_open(repo, fd, err));
    if (*fd < 0)
        return DU_FAIL(err, DEFUPD_E_CANNOT_CREATE, "create keys directory %s: it vanished",
                       repo->keys_path);
    return DEFUPD_OK;
}

/* "ROLE-KEYID8" and the suffix; false for any other name, and for roles of a later publisher. */
static bool parse_file_name(const char *file, const char *suffix, char role_name[DU_NAME_MAX + 1],
                            char id8[9])
{
    const size_t len = strlen(file), tail = 1 + 8 + strlen(suffix);
    enum du_role role;

    if (len <= tail || len - tail > DU_NAME_MAX || file[len - tail] != '-' ||
        strcmp(file + len - strlen(suffix), suffix) != 0)
        return false;
    memcpy(role_name, file, len - tail);
    role_name[len - tail] = '\0';
    memcpy(id8, file + len - tail + 1, 8);
    id8[8] = '\0';
    return du_role_of(role_name, &role) && strspn(id8, "0123456789abcdef") == 8;
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

/* A key object that clients know: their own parser is asked. */
static defupd_code check_public(const struct du_json *object, const char *what, defupd_error *err)
{
    const char *keytype = du_json_string(object, "keytype");
    const char *scheme = du_json_string(object, "scheme");
    const char *value = du_json_string(du_json_object(object, "keyval"), "public");
    struct du_key *key = NULL;
    bool known = false;

    if (keytype == NULL || scheme == NULL || value == NULL ||
        du_key_parse(&key, &known, keytype, scheme, value, err) != DEFUPD_OK || !known)
        return DU_FAIL(err, DEFUPD_E_KEY, "%s: not a public key that clients know", what);
    du_key_free(key);
    return DEFUPD_OK;
}

/* Public halves are no secret, but whoever can put one here chooses who signs. */
static defupd_code load_public(const struct defupd_repo *repo, int dir, const char *file,
                               const char *role, const char *id8, struct du_ring_key *key,
                               defupd_error *err)
{
    DU_AUTO_BUF text = DU_BUF(DU_PEM_MAX);
    char what[PATH_MAX];

    (void)snprintf(what, sizeof what, "key %s/%s", repo->keys_path, file);
    if (du_file_read(repo->sys, dir, file, &text, err) != DEFUPD_OK)
        return du_err_prefix(err, "keys directory %s", repo->keys_path);
    if (du_json_parse(&key->public, du_buf_bytes(&text), what, err) != DEFUPD_OK)
        return err->code == DEFUPD_E_NOMEM ? err->code
                                           : DU_FAIL(err, DEFUPD_E_KEY, "%s: no public key", what);
    DU_TRY(check_public(key->public, what, err));
    DU_TRY(du_key_object_id(key->public, key->id, err));
    if (strncmp(key->id, id8, 8) != 0)
        return DU_FAIL(err, DEFUPD_E_KEY, "%s: holds key %.8s..., another than its name says", what,
                       key->id);
    (void)snprintf(key->role, sizeof key->role, "%s", role);
    (void)snprintf(key->file, sizeof key->file, "%s", file);
    return DEFUPD_OK;
}

static defupd_code ask_passphrase(const struct defupd_repo *repo, const char *file, bool fresh,
                                  struct du_buf *passphrase, bool *given, defupd_error *err)
{
    defupd_code rc;

    *given = false;
    if (repo->on_passphrase == NULL)
        return DEFUPD_OK;
    DU_TRY(du_buf_reserve(passphrase, DEFUPD_PASSPHRASE_MAX + 1, err));
    passphrase->data[0] = '\0';
    rc = repo->on_passphrase(repo->passphrase_user, file, fresh, (char *)passphrase->data,
                             DEFUPD_PASSPHRASE_MAX + 1, err);
    DU_TRY(rc);
    passphrase->data[DEFUPD_PASSPHRASE_MAX] = '\0';
    passphrase->len = strlen((char *)passphrase->data);
    *given = passphrase->len > 0;
    return DEFUPD_OK;
}

/* *locked: it is encrypted, and `unlock` is false. */
static defupd_code load_private(const struct defupd_repo *repo, int dir, const char *file,
                                bool unlock, struct du_signer **signer, bool *locked,
                                defupd_error *err)
{
    DU_AUTO_SECRET pem = DU_BUF(DU_PEM_MAX), passphrase = DU_BUF(DEFUPD_PASSPHRASE_MAX + 1);
    char what[PATH_MAX];
    bool given;

    (void)snprintf(what, sizeof what, "key %s/%s", repo->keys_path, file);
    DU_TRY(du_buf_reserve(&pem, DU_PEM_MAX, err));
    DU_TRY(read_secret(repo, dir, file, &pem, err));
    *locked = du_signer_is_locked(du_buf_bytes(&pem));
    if (!*locked)
        return du_signer_parse(signer, du_buf_bytes(&pem), NULL, what, err);
    if (!unlock)
        return DEFUPD_OK;
    DU_TRY(ask_passphrase(repo, file, false, &passphrase, &given, err));
    if (!given)
        return DU_FAIL(err, DEFUPD_E_KEY, "%s is encrypted, and no passphrase was given", what);
    return du_signer_parse(signer, du_buf_bytes(&pem), (const char *)passphrase.data, what, err);
}

static defupd_code check_id(const struct defupd_repo *repo, const char *file,
                            const struct du_signer *signer, const char *id, size_t digits,
                            defupd_error *err)
{
    if (strncmp(du_signer_id(signer), id, digits) == 0)
        return DEFUPD_OK;
    return DU_FAIL(err, DEFUPD_E_KEY, "key %s/%s: holds key %.8s..., another than its name says",
                   repo->keys_path, file, du_signer_id(signer));
}

/* What the signer says about itself. */
static defupd_code fill_key(struct du_ring_key *key, struct du_signer **signer, const char *role,
                            const char *file, defupd_error *err)
{
    key->signer = du_take(signer);
    key->has_private = true;
    du_json_free(key->public);
    key->public = du_json_copy(du_signer_public(key->signer));
    if (key->public == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for a key");
    (void)snprintf(key->id, sizeof key->id, "%s", du_signer_id(key->signer));
    (void)snprintf(key->role, sizeof key->role, "%s", role);
    (void)snprintf(key->file, sizeof key->file, "%s", file);
    return DEFUPD_OK;
}

static defupd_code load_pair(const struct defupd_repo *repo, int dir, const char *file,
                             const char *role, const char *id8, struct du_ring_key *key,
                             defupd_error *err)
{
    DU_AUTO_SIGNER *signer = NULL;
    char other[DU_PART_MAX + 1];
    bool locked;

    (void)snprintf(other, sizeof other, "%s-%s%s", role, id8, public_suffix);
    DU_TRY(load_private(repo, dir, file, false, &signer, &locked, err));
    if (locked && faccessat(dir, other, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
        DU_TRY(load_public(repo, dir, other, role, id8, key, err));
        key->has_private = true;
        (void)snprintf(key->file, sizeof key->file, "%s", file);
        return DEFUPD_OK;
    }
    if (locked)
        DU_TRY(load_private(repo, dir, file, true, &signer, &locked, err));
    DU_TRY(check_id(repo, file, signer, id8, 8, err));
    return fill_key(key, &signer, role, file, err);
}

static defupd_code load_key(const struct defupd_repo *repo, int dir, const char *file,
                            struct du_keyring *ring, defupd_error *err)
{
    DU_AUTO(key_free) struct du_ring_key key = { 0 };
    char role[DU_NAME_MAX + 1], id8[9];

    if (parse_file_name(file, private_suffix, role, id8))
        DU_TRY(load_pair(repo, dir, file, role, id8, &key, err));
    else if (parse_file_name(file, public_suffix, role, id8))
        DU_TRY(load_public(repo, dir, file, role, id8, &key, err));
    else
        return DEFUPD_OK;
    return ring_add(ring, &key, err);
}

defupd_code du_keyring_load(const struct defupd_repo *repo, struct du_keyring *ring,
                            defupd_error *err)
{
    DU_AUTO_FD dir = -1;
    DU_AUTO_NAMES names = { 0 };
    DU_AUTO_KEYRING found = { 0 };

    DU_TRY(du_keys_open(repo, &dir, err));
    if (dir < 0)
        return DEFUPD_OK;
    DU_TRY(du_dir_names(repo->sys, dir, &names, err));
    for (size_t i = 0; i < names.count; i++)
        DU_TRY(load_key(repo, dir, names.item[i], &found, err));
    *ring = found;
    found = (struct du_keyring){ 0 };
    return DEFUPD_OK;
}

defupd_code du_keyring_unlock(const struct defupd_repo *repo, struct du_ring_key *key,
                              defupd_error *err)
{
    DU_AUTO_SIGNER *signer = NULL;
    DU_AUTO_FD dir = -1;
    bool locked;

    if (key->signer != NULL)
        return DEFUPD_OK;
    DU_TRY(du_keys_open(repo, &dir, err));
    if (dir < 0 || !key->has_private)
        return DU_FAIL(err, DEFUPD_E_KEY, "key %s/%s has no private half here", repo->keys_path,
                       key->file);
    DU_TRY(load_private(repo, dir, key->file, true, &signer, &locked, err));
    DU_TRY(check_id(repo, key->file, signer, key->id, strlen(key->id), err));
    key->signer = du_take(&signer);
    return DEFUPD_OK;
}

static defupd_code store_key(const struct defupd_repo *repo, int dir, const char *file,
                             const void *bytes, size_t len, defupd_error *err)
{
    if (du_file_replace(repo->sys, dir, file, bytes, len, 0600, err) != DEFUPD_OK)
        return du_err_prefix(err, "keys directory %s", repo->keys_path);
    return DEFUPD_OK;
}

/* A crash between the two leaves a private half, which knows its public one. */
static defupd_code store_both(const struct defupd_repo *repo, int dir, const char *stem,
                              const struct du_signer *signer, defupd_error *err)
{
    DU_AUTO_SECRET pem = DU_BUF(DU_PEM_MAX), passphrase = DU_BUF(DEFUPD_PASSPHRASE_MAX + 1);
    DU_AUTO_BUF public = DU_BUF(DU_PEM_MAX);
    char file[DU_PART_MAX + 1];
    bool given;

    (void)snprintf(file, sizeof file, "%s%s", stem, private_suffix);
    DU_TRY(ask_passphrase(repo, file, true, &passphrase, &given, err));
    DU_TRY(du_buf_reserve(&pem, DU_PEM_MAX, err));
    DU_TRY(du_signer_pem(signer, given ? (const char *)passphrase.data : NULL, &pem, err));
    DU_TRY(store_key(repo, dir, file, pem.data, pem.len, err));
    DU_TRY(du_json_pretty(du_signer_public(signer), &public, err));
    (void)snprintf(file, sizeof file, "%s%s", stem, public_suffix);
    return store_key(repo, dir, file, public.data, public.len, err);
}

defupd_code du_keyring_generate(const struct defupd_repo *repo, struct du_keyring *ring,
                                const char *role, enum du_key_type type, defupd_error *err)
{
    DU_AUTO(key_free) struct du_ring_key key = { 0 };
    DU_AUTO_SIGNER *signer = NULL;
    DU_AUTO_FD dir = -1;
    char stem[DU_PART_MAX + 1], file[DU_PART_MAX + 1];

    DU_TRY(make_keys(repo, &dir, err));
    DU_TRY(du_signer_generate(&signer, type, err));
    (void)snprintf(stem, sizeof stem, "%s-%.8s", role, du_signer_id(signer));
    (void)snprintf(file, sizeof file, "%s%s", stem, private_suffix);
    DU_TRY(store_both(repo, dir, stem, signer, err));
    DU_TRY(fill_key(&key, &signer, role, file, err));
    return ring_add(ring, &key, err);
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

    DU_TRY(du_keys_open(repo, &dir, err));
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
