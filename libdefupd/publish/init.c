/* SPDX-License-Identifier: Apache-2.0 */
/* A new repository, and its keys. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "publish/publish_priv.h"

#define ROOT_FILE "1.root.json"
#define TIMESTAMP_FILE "timestamp.json"

static bool is_published(const struct du_dirs *dirs)
{
    return faccessat(dirs->metadata, TIMESTAMP_FILE, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* An interrupted `init` may have left its first files, which nobody was told to trust. Anything
 * else was published once: a second root with number 1 would lock its clients out. */
static defupd_code check_unused(const struct defupd_repo *repo, const struct du_dirs *dirs,
                                defupd_error *err)
{
    static const char *const leftovers[] = { ROOT_FILE, "1.targets.json", "1.snapshot.json" };
    DU_AUTO_NAMES names = { 0 };

    if (is_published(dirs))
        return DU_FAIL(err, DEFUPD_E_REPO_EXISTS, "%s is a repository already", repo->dir_path);
    DU_TRY(du_dir_names(repo->sys, dirs->metadata, &names, err));
    for (size_t i = 0; i < names.count; i++) {
        const size_t len = strlen(names.item[i]);
        bool known = len >= 4 && strcmp(names.item[i] + len - 4, ".tmp") == 0;
        for (size_t k = 0; k < sizeof leftovers / sizeof leftovers[0]; k++)
            known = known || strcmp(names.item[i], leftovers[k]) == 0;
        if (!known)
            return DU_FAIL(err, DEFUPD_E_REPO_EXISTS,
                           "%s/metadata holds %s but no " TIMESTAMP_FILE
                           ": restore that file instead",
                           repo->dir_path, names.item[i]);
    }
    return DEFUPD_OK;
}

static defupd_code make_missing_keys(const struct defupd_repo *repo, struct du_keyring *ring,
                                     defupd_error *err)
{
    for (unsigned r = 0; r < DU_ROLES; r++) {
        const enum du_role role = (enum du_role)r;
        bool found = false;

        for (size_t i = 0; i < ring->count; i++)
            found = found || strcmp(ring->key[i].role, du_role_name(role)) == 0;
        if (found)
            continue;
        DU_TRY(du_keyring_generate(repo, ring, du_role_name(role), du_role_key_type(role), err));
        du_repo_say(repo, "made %s key %s/%s", du_key_type_word(du_role_key_type(role)),
                    repo->keys_path, ring->key[ring->count - 1].file);
    }
    return DEFUPD_OK;
}

/* Sign the four roles, from the one that names the keys to the one that names the rest. */
static defupd_code sign_first(const struct du_keyring *ring, int64_t now, struct du_next *first,
                              defupd_error *err)
{
    const struct du_json *root;

    for (unsigned r = 0; r < DU_ROLES; r++) {
        const enum du_role role = (enum du_role)r;
        DU_AUTO_JSON *part = du_part_new(role, 1, now);
        bool complete = part != NULL;

        if (complete && role == DU_ROLE_ROOT)
            complete = du_part_root_keys(part, ring);
        if (complete && role == DU_ROLE_SNAPSHOT)
            complete = du_part_state(part, DU_ROLE_TARGETS, &first->doc[DU_ROLE_TARGETS]);
        if (complete && role == DU_ROLE_TIMESTAMP)
            complete = du_part_state(part, DU_ROLE_SNAPSHOT, &first->doc[DU_ROLE_SNAPSHOT]);
        if (!complete)
            return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for role '%s'", du_role_name(role));
        root =
            role == DU_ROLE_ROOT ? part : du_json_object(first->doc[DU_ROLE_ROOT].json, "signed");
        DU_TRY(du_role_doc_sign(&first->doc[r], ring, root, role, du_take(&part), err));
    }
    return DEFUPD_OK;
}

static defupd_code init(struct defupd_repo *repo, defupd_error *err)
{
    DU_AUTO_DIRS dirs = DU_DIRS;
    DU_AUTO_KEYRING ring = { 0 };
    DU_AUTO_NEXT first = { 0 };
    DU_AUTO_STATE check = { 0 };
    const struct du_buf *bytes = &first.doc[DU_ROLE_ROOT].bytes;

    DU_TRY(du_dirs_make(repo, &dirs, err));
    DU_TRY(check_unused(repo, &dirs, err));
    DU_TRY(du_keyring_load(repo, &ring, err));
    DU_TRY(make_missing_keys(repo, &ring, err));
    DU_TRY(du_keyring_warn(repo, dirs.top, err));
    DU_TRY(sign_first(&ring, repo->sys->now_s(), &first, err));
    /* The root before the timestamp, which is what makes it a repository. */
    if (du_file_replace(repo->sys, dirs.metadata, ROOT_FILE, bytes->data, bytes->len, 0644, err) !=
        DEFUPD_OK)
        return du_err_prefix(err, "repository %s", repo->dir_path);
    DU_TRY(du_next_write(repo, &dirs, &first, err));
    /* Read back what stands there, by a client's rules. */
    return du_state_load(repo, &dirs, &check, err);
}

defupd_code defupd_repo_init(defupd_repo *repo, defupd_error *error)
{
    defupd_error scratch, *err = error != NULL ? error : &scratch;

    if (repo == NULL)
        return DU_FAIL(err, DEFUPD_E_INVALID, "no repository");
    return init(repo, err);
}

static defupd_code key_generate(struct defupd_repo *repo, const char *role_name, const char *type,
                                char *keyid, defupd_error *err)
{
    DU_AUTO_KEYRING ring = { 0 };
    DU_AUTO_DIRS dirs = DU_DIRS;
    enum du_key_type key_type;
    enum du_role role;

    if (role_name == NULL || !du_role_parse(role_name, &role))
        return DU_FAIL(err, DEFUPD_E_INVALID,
                       "role '%s' is none of root, targets, snapshot, timestamp",
                       role_name != NULL ? role_name : "");
    key_type = type == NULL ? du_role_key_type(role) : du_key_type_parse(type);
    if (key_type == 0)
        return DU_FAIL(err, DEFUPD_E_INVALID, "key type '%s' is none of ed25519, ecdsa, rsa", type);
    if (du_dirs_open(repo, &dirs, true, err) == DEFUPD_OK) {
        if (is_published(&dirs))
            return DU_FAIL(err, DEFUPD_E_REPO_EXISTS,
                           "%s is signed already: its keys change only by a new root",
                           repo->dir_path);
    } else if (err->code != DEFUPD_E_REPO && !du_is_missing(err)) {
        return err->code;
    }
    DU_TRY(du_keyring_load(repo, &ring, err));
    DU_TRY(du_keyring_generate(repo, &ring, role_name, key_type, err));
    if (dirs.top >= 0)
        DU_TRY(du_keyring_warn(repo, dirs.top, err));
    if (keyid != NULL)
        memcpy(keyid, du_signer_id(ring.key[ring.count - 1].signer), DU_KEYID_TEXT);
    return DEFUPD_OK;
}

defupd_code defupd_repo_key_generate(defupd_repo *repo, const char *role, const char *type,
                                     char *keyid, defupd_error *error)
{
    defupd_error scratch, *err = error != NULL ? error : &scratch;

    if (repo == NULL)
        return DU_FAIL(err, DEFUPD_E_INVALID, "no repository");
    return key_generate(repo, role, type, keyid, err);
}

/* Keys that a role of the root names; those of the ring that it does not name come after. */
static void tell_role(const struct du_keyring *ring, const struct du_json *root, enum du_role role,
                      defupd_repo_key_fn on_key, void *user)
{
    const struct du_json *entry = du_json_object(du_json_object(root, "roles"), du_role_name(role));
    const struct du_json *keyids = du_json_array(entry, "keyids");
    int64_t threshold = 0;

    if (!du_json_int(entry, "threshold", &threshold))
        threshold = 0;
    for (size_t i = 0; i < du_json_count(keyids); i++) {
        const char *id = du_json_text(du_json_at(keyids, i));
        const struct du_ring_key *own = id == NULL ? NULL : du_keyring_find(ring, id);
        const char *type =
            id == NULL
                ? NULL
                : du_json_string(du_json_object(du_json_object(root, "keys"), id), "keytype");
        const defupd_repo_key key = { .struct_size = sizeof key,
                                      .has_private = own != NULL,
                                      .in_root = 1,
                                      .threshold = (uint32_t)threshold,
                                      .role = du_role_name(role),
                                      .type = type != NULL ? type : "",
                                      .keyid = id != NULL ? id : "",
                                      .file = own != NULL ? own->file : "" };
        on_key(user, &key);
    }
    for (size_t i = 0; i < ring->count; i++) {
        const struct du_ring_key *own = &ring->key[i];
        const defupd_repo_key key = { .struct_size = sizeof key,
                                      .has_private = 1,
                                      .threshold = (uint32_t)threshold,
                                      .role = own->role,
                                      .type = du_key_type_word(du_signer_type(own->signer)),
                                      .keyid = du_signer_id(own->signer),
                                      .file = own->file };
        bool named = strcmp(own->role, du_role_name(role)) != 0;
        for (size_t k = 0; k < du_json_count(keyids); k++) {
            const char *id = du_json_text(du_json_at(keyids, k));
            named = named || (id != NULL && strcmp(id, key.keyid) == 0);
        }
        if (!named)
            on_key(user, &key);
    }
}

defupd_code defupd_repo_key_list(defupd_repo *repo, defupd_repo_key_fn on_key, void *user,
                                 defupd_error *error)
{
    defupd_error scratch, *err = error != NULL ? error : &scratch;
    DU_AUTO_KEYRING ring = { 0 };
    DU_AUTO_DIRS dirs = DU_DIRS;
    DU_AUTO_STATE state = { 0 };
    const struct du_json *root = NULL;

    if (repo == NULL || on_key == NULL)
        return DU_FAIL(err, DEFUPD_E_INVALID, "no repository or no receiver of keys");
    DU_TRY(du_keyring_load(repo, &ring, err));
    if (du_dirs_open(repo, &dirs, false, err) == DEFUPD_OK) {
        if (is_published(&dirs)) {
            DU_TRY(du_state_load(repo, &dirs, &state, err));
            root = du_state_part(&state, DU_ROLE_ROOT);
        }
    } else if (err->code != DEFUPD_E_REPO && !du_is_missing(err)) {
        return err->code;
    }
    for (unsigned r = 0; r < DU_ROLES; r++)
        tell_role(&ring, root, (enum du_role)r, on_key, user);
    return DEFUPD_OK;
}
