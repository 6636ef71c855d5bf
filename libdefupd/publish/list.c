/* SPDX-License-Identifier: Apache-2.0 */
/* Keys and roles, for people. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "publish/publish_priv.h"

struct list {
    struct du_dirs dirs;
    struct du_keyring ring;
    struct du_state state;
};

static void list_end(struct list *list)
{
    du_keyring_free(&list->ring);
    du_state_free(&list->state);
    du_dirs_close(&list->dirs);
}

/* Before `init`, and without a repository, there are keys only. */
static defupd_code list_begin(struct defupd_repo *repo, struct list *list, defupd_error *err)
{
    DU_TRY(du_keyring_load(repo, &list->ring, err));
    if (repo->dir_path == NULL)
        return DEFUPD_OK;
    if (du_dirs_open(repo, &list->dirs, false, err) != DEFUPD_OK)
        return err->code == DEFUPD_E_REPO || du_is_missing(err) ? DEFUPD_OK : err->code;
    if (faccessat(list->dirs.metadata, "timestamp.json", F_OK, AT_SYMLINK_NOFOLLOW) != 0)
        return DEFUPD_OK;
    return du_state_load_cut(repo, &list->dirs, &list->state, err);
}

static struct du_authority authority(const struct list *list, const char *name)
{
    return du_authority_of(du_state_part(&list->state, "root"),
                           du_state_part(&list->state, "targets"), name);
}

static const char *type_of(const struct du_json *object)
{
    const char *type = du_json_string(object, "keytype");

    return type != NULL ? type : "";
}

/* Keys that the role names; then those of the keys directory that were made for it and that it does
 * not name. */
static void tell_keys(const struct list *list, const char *name, defupd_repo_key_fn on_key,
                      void *user)
{
    const struct du_authority role = authority(list, name);
    defupd_repo_key key = { .struct_size = sizeof key, .role = name };

    if (role.entry != NULL)
        key.threshold = (uint32_t)du_authority_threshold(role);
    for (size_t i = 0; i < du_authority_count(role); i++) {
        const struct du_ring_key *own = du_keyring_find(&list->ring, du_authority_keyid(role, i));
        key.keyid = du_authority_keyid(role, i);
        key.has_private = own != NULL && own->has_private;
        key.in_root = 1;
        key.type = type_of(du_json_object(role.keys, key.keyid));
        key.file = own != NULL ? own->file : "";
        on_key(user, &key);
    }
    for (size_t i = 0; i < list->ring.count; i++) {
        const struct du_ring_key *own = &list->ring.key[i];
        if (strcmp(own->role, name) != 0 || du_authority_names(role, own->id))
            continue;
        key.keyid = own->id;
        key.has_private = own->has_private;
        key.in_root = 0;
        key.type = type_of(own->public);
        key.file = own->file;
        on_key(user, &key);
    }
}

/* Components: those with a role, then those for which there are keys only. */
static void tell_components(const struct list *list, defupd_repo_key_fn on_key, void *user)
{
    for (size_t i = 0; i < list->state.set.components; i++)
        tell_keys(list, list->state.set.component[i].name, on_key, user);
    for (size_t i = 0; i < list->ring.count; i++) {
        const char *name = list->ring.key[i].role;
        enum du_role role;
        bool told = du_role_parse(name, &role) || authority(list, name).entry != NULL;
        for (size_t k = 0; k < i; k++)
            told = told || strcmp(list->ring.key[k].role, name) == 0;
        if (!told)
            tell_keys(list, name, on_key, user);
    }
}

defupd_code defupd_repo_key_list(defupd_repo *repo, defupd_repo_key_fn on_key, void *user,
                                 defupd_error *error)
{
    defupd_error scratch, *err = error != NULL ? error : &scratch;
    DU_AUTO(list_end) struct list list = { .dirs = DU_DIRS };

    if (repo == NULL || on_key == NULL)
        return DU_FAIL(err, DEFUPD_E_INVALID, "no repository or no receiver of keys");
    DU_TRY(list_begin(repo, &list, err));
    for (unsigned r = 0; r < DU_ROLES; r++)
        tell_keys(&list, du_role_name((enum du_role)r), on_key, user);
    tell_components(&list, on_key, user);
    return DEFUPD_OK;
}

defupd_code du_role_facts(defupd_repo_role *role, const struct du_role_doc *doc,
                          struct du_authority by, const struct du_keyring *ring, defupd_error *err)
{
    int64_t signatures;

    DU_TRY(du_sign_count(doc, by, &signatures, err));
    *role = (defupd_repo_role){
        .struct_size = sizeof *role,
        .threshold = (uint32_t)du_authority_threshold(by),
        .keys = (uint32_t)du_authority_count(by),
        .version = doc->version,
        .expires = doc->expires,
        .days = (uint32_t)(du_authority_life_s(by, doc->role) / (24 * 3600)),
        .signatures = (uint32_t)signatures,
        .role = doc->name,
    };
    for (size_t i = 0; i < du_authority_count(by); i++) {
        const struct du_ring_key *own = du_keyring_find(ring, du_authority_keyid(by, i));
        role->has_private += own != NULL && own->has_private;
    }
    return DEFUPD_OK;
}

defupd_code defupd_repo_role_list(defupd_repo *repo, defupd_repo_role_fn on_role, void *user,
                                  defupd_error *error)
{
    defupd_error scratch, *err = error != NULL ? error : &scratch;
    DU_AUTO(list_end) struct list list = { .dirs = DU_DIRS };
    size_t at = 0;

    if (repo == NULL || on_role == NULL)
        return DU_FAIL(err, DEFUPD_E_INVALID, "no repository or no receiver of roles");
    DU_TRY(list_begin(repo, &list, err));
    for (const struct du_role_doc *doc; (doc = du_role_set_at(&list.state.set, &at)) != NULL;) {
        defupd_repo_role role;

        DU_TRY(du_role_facts(&role, doc, authority(&list, doc->name), &list.ring, err));
        on_role(user, &role);
    }
    return DEFUPD_OK;
}
