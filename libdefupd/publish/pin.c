/* SPDX-License-Identifier: Apache-2.0 */
/* root.json in the keys directory: the newest root that was seen from here. Whoever can write to
 * the repository, but holds no root keys, could put another chain of roots there, or an older end
 * of ours, and would get our signatures under it. */
#include <fcntl.h>
#include <string.h>

#include "publish/publish_priv.h"

#define PIN_FILE "root.json"

defupd_code du_pin_load(const struct defupd_repo *repo, struct du_role_doc *pin, defupd_error *err)
{
    DU_AUTO_FD keys = -1;
    struct stat st;

    DU_TRY(du_keys_open(repo, &keys, err));
    if (keys < 0)
        return DEFUPD_OK;
    pin->bytes = DU_BUF(DU_ROOT_MAX);
    if (du_file_read(repo->sys, keys, PIN_FILE, &pin->bytes, err) != DEFUPD_OK)
        return du_is_missing(err) ? DEFUPD_OK : du_err_prefix(err, "%s", repo->keys_path);
    if (fstatat(keys, PIN_FILE, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return DU_FAIL_IO(err, "look at %s/" PIN_FILE, repo->keys_path);
    if ((st.st_mode & 022U) != 0)
        return DU_FAIL(err, DEFUPD_E_KEY, "%s/" PIN_FILE " has mode %04o: others may change it",
                       repo->keys_path, (unsigned)st.st_mode & 07777U);
    if (du_role_doc_parse(pin, "root", PIN_FILE, err) == DEFUPD_OK)
        return DEFUPD_OK;
    if (err->code == DEFUPD_E_NOMEM)
        return err->code;
    {
        const defupd_error why = *err;
        return DU_FAIL(err, DEFUPD_E_PIN, "%s: %s", repo->keys_path, why.message);
    }
}

static bool same_bytes(const struct du_buf *a, const struct du_buf *b)
{
    return a->len == b->len && a->len > 0 && memcmp(a->data, b->data, a->len) == 0;
}

defupd_code du_pin_write(const struct defupd_repo *repo, const struct du_role_doc *root,
                         defupd_error *err)
{
    DU_AUTO_FD keys = -1;

    DU_TRY(du_keys_open(repo, &keys, err));
    if (keys < 0)
        return DEFUPD_OK;
    if (du_file_replace(repo->sys, keys, PIN_FILE, root->bytes.data, root->bytes.len, 0600, err) !=
        DEFUPD_OK)
        return du_err_prefix(err, "keys directory %s", repo->keys_path);
    return DEFUPD_OK;
}

/* A keys folder that cannot be written keeps the pin it has: still one of this chain, and whatever
 * goes on from it is verified each time. */
defupd_code du_pin_move(const struct defupd_repo *repo, const struct du_role_doc *root,
                        defupd_error *err)
{
    if (du_pin_write(repo, root, err) == DEFUPD_OK)
        return DEFUPD_OK;
    if (err->sys_errno != EACCES && err->sys_errno != EPERM && err->sys_errno != EROFS)
        return err->code;
    du_repo_say(repo, "warning: root version %llu is not pinned: %s",
                (unsigned long long)root->version, err->message);
    return DEFUPD_OK;
}

/* The root with the pin's number, as the repository has it now. */
static defupd_code root_number(const struct defupd_repo *repo, const struct du_dirs *dirs,
                               const struct du_state *state, uint64_t version, struct du_buf *bytes,
                               defupd_error *err)
{
    const struct du_role_doc *newest = &state->set.doc[DU_ROLE_ROOT];
    char file[DU_META_NAME];

    if (version > newest->version)
        return DU_FAIL(err, DEFUPD_E_PIN,
                       "repository %s ends with root version %llu, but %s/" PIN_FILE
                       " is version %llu: somebody has replaced the newest root",
                       repo->dir_path, (unsigned long long)newest->version, repo->keys_path,
                       (unsigned long long)version);
    du_role_file(file, "root", version);
    return du_file_read(repo->sys, dirs->metadata, file, bytes, err);
}

defupd_code du_pin_compare(const struct defupd_repo *repo, const struct du_dirs *dirs,
                           const struct du_state *state, struct du_role_doc *pin, defupd_error *err)
{
    DU_AUTO_BUF bytes = DU_BUF(DU_ROOT_MAX);

    DU_TRY(du_pin_load(repo, pin, err));
    if (pin->json == NULL)
        return DEFUPD_OK;
    DU_TRY(root_number(repo, dirs, state, pin->version, &bytes, err));
    if (same_bytes(&bytes, &pin->bytes))
        return DEFUPD_OK;
    return DU_FAIL(err, DEFUPD_E_PIN,
                   "root version %llu of repository %s is not the one pinned in %s/" PIN_FILE
                   ": somebody has replaced the roots, or these are keys of another repository",
                   (unsigned long long)pin->version, repo->dir_path, repo->keys_path);
}

/* Without a folder there are no keys either, and nothing will be signed. */
static defupd_code pin_first(const struct defupd_repo *repo, const struct du_role_doc *newest,
                             defupd_error *err)
{
    DU_AUTO_FD keys = -1;

    DU_TRY(du_keys_open(repo, &keys, err));
    if (keys < 0)
        return DEFUPD_OK;
    DU_TRY(du_pin_write(repo, newest, err));
    du_repo_say(repo, "root version %llu is pinned in %s/" PIN_FILE ": these keys had none yet",
                (unsigned long long)newest->version, repo->keys_path);
    return DEFUPD_OK;
}

defupd_code du_pin_check(const struct defupd_repo *repo, const struct du_dirs *dirs,
                         const struct du_state *state, defupd_error *err)
{
    const struct du_role_doc *newest = &state->set.doc[DU_ROLE_ROOT];
    DU_AUTO_ROLE_DOC pin = { 0 };

    DU_TRY(du_pin_compare(repo, dirs, state, &pin, err));
    if (pin.json == NULL)
        return pin_first(repo, newest, err);
    /* The chain from the pin to the newest has been verified by whoever loaded the state. */
    return pin.version < newest->version ? du_pin_move(repo, newest, err) : DEFUPD_OK;
}

bool du_pin_same(const struct du_role_doc *pin, const struct du_role_doc *root)
{
    return same_bytes(&pin->bytes, &root->bytes);
}
