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

struct rules {
    const defupd_repo_rule *rule;
    size_t count;
};

static defupd_code check_rules(const struct rules *rules, defupd_error *err)
{
    enum du_role role;

    for (size_t i = 0; i < rules->count; i++) {
        const defupd_repo_rule *rule = &rules->rule[i];
        if (rule->struct_size != sizeof *rule || rule->reserved != 0)
            return DU_FAIL(err, DEFUPD_E_INVALID, "rule is from another version of the header");
        if (rule->role == NULL || !du_role_parse(rule->role, &role))
            return DU_FAIL(err, DEFUPD_E_INVALID,
                           "role '%s' is none of root, targets, snapshot, timestamp",
                           rule->role != NULL ? rule->role : "");
        if (rule->threshold > DU_ENTRY_KEYS_MAX || rule->days > DU_DAYS_MAX)
            return DU_FAIL(err, DEFUPD_E_INVALID,
                           "role '%s': at most %d signatures and %d days are allowed", rule->role,
                           DU_ENTRY_KEYS_MAX, DU_DAYS_MAX);
    }
    return DEFUPD_OK;
}

/* The last rule that says something about it counts. */
static void rule_of(const struct rules *rules, const char *role, int64_t *threshold, int64_t *days)
{
    *threshold = 1;
    *days = 0;
    for (size_t i = 0; i < rules->count; i++) {
        const defupd_repo_rule *rule = &rules->rule[i];
        if (strcmp(rule->role, role) != 0)
            continue;
        *threshold = rule->threshold != 0 ? rule->threshold : *threshold;
        *days = rule->days != 0 ? rule->days : *days;
    }
}

static int64_t keys_for(const struct du_keyring *ring, const char *role)
{
    int64_t count = 0;

    for (size_t i = 0; i < ring->count; i++)
        count += strcmp(ring->key[i].role, role) == 0;
    return count;
}

static defupd_code make_missing_keys(const struct defupd_repo *repo, struct du_keyring *ring,
                                     const struct rules *rules, defupd_error *err)
{
    for (unsigned r = 0; r < DU_ROLES; r++) {
        const char *name = du_role_name((enum du_role)r);
        int64_t threshold, days;

        rule_of(rules, name, &threshold, &days);
        if (threshold > 1 && keys_for(ring, name) < threshold)
            return DU_FAIL(err, DEFUPD_E_KEY,
                           "%s holds %lld keys for role '%s', which is to need %lld: make them "
                           "first",
                           repo->keys_path, (long long)keys_for(ring, name), name,
                           (long long)threshold);
    }
    for (unsigned r = 0; r < DU_ROLES; r++) {
        const enum du_role role = (enum du_role)r;

        if (keys_for(ring, du_role_name(role)) > 0)
            continue;
        DU_TRY(du_keyring_generate(repo, ring, du_role_name(role), du_role_key_type(role), err));
        du_repo_say(repo, "made %s key %s/%s", du_key_type_word(du_role_key_type(role)),
                    repo->keys_path, ring->key[ring->count - 1].file);
    }
    return DEFUPD_OK;
}

/* The `roles` and `keys` of a first root: all keys that were made for a role. */
static bool name_keys(struct du_json *root, const struct du_keyring *ring,
                      const struct rules *rules)
{
    for (unsigned r = 0; r < DU_ROLES; r++) {
        const char *name = du_role_name((enum du_role)r);
        DU_AUTO_JSON *keyids = du_json_new_array();
        int64_t threshold, days;

        for (size_t i = 0; keyids != NULL && i < ring->count; i++)
            if (strcmp(ring->key[i].role, name) == 0 &&
                !du_json_append(keyids, du_json_new_string(ring->key[i].id)))
                return false;
        rule_of(rules, name, &threshold, &days);
        if (keyids == NULL || !du_entry_set(root, name, du_take(&keyids), threshold, days, ring))
            return false;
    }
    return true;
}

/* A keys directory serves one repository: its pinned root would have to be two. */
static defupd_code check_no_pin(const struct defupd_repo *repo, defupd_error *err)
{
    DU_AUTO_ROLE_DOC pin = { 0 };

    DU_TRY(du_pin_load(repo, &pin, err));
    if (pin.json != NULL)
        return DU_FAIL(err, DEFUPD_E_REPO_EXISTS,
                       "%s/root.json is the pinned root of a repository: use another keys "
                       "directory, or remove it on purpose",
                       repo->keys_path);
    return DEFUPD_OK;
}

static defupd_code init(struct defupd_repo *repo, const struct rules *rules, defupd_error *err)
{
    DU_AUTO_DIRS dirs = DU_DIRS;
    DU_AUTO_KEYRING ring = { 0 };
    DU_AUTO_NEXT first = { .snapshot = true, .timestamp = true };
    DU_AUTO_STATE none = { .now = repo->sys->now_s() }, check = { 0 };
    struct du_json *root, *targets;

    DU_TRY(check_rules(rules, err));
    DU_TRY(du_dirs_make(repo, &dirs, err));
    DU_TRY(check_unused(repo, &dirs, err));
    DU_TRY(check_no_pin(repo, err));
    DU_TRY(du_keyring_load(repo, &ring, err));
    DU_TRY(make_missing_keys(repo, &ring, rules, err));
    DU_TRY(du_keyring_warn(repo, dirs.top, err));
    DU_TRY(du_next_edit(NULL, &none, &first, "root", &root, err));
    DU_TRY(du_next_edit(NULL, &none, &first, "targets", &targets, err));
    if (!name_keys(root, &ring, rules))
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for role 'root'");
    DU_TRY(du_next_sign(repo, &none, &ring, &first, err));
    if (du_next_finish(repo, &dirs, &none, &ring, &first, NULL, (struct du_bytes){ 0 }, err) !=
        DEFUPD_OK)
        return du_err_prefix(err, "keys directory %s", repo->keys_path);
    DU_TRY(du_next_write(repo, &dirs, &first, err));
    /* Read back what stands there, by a client's rules. */
    DU_TRY(du_state_load(repo, &dirs, &check, err));
    return du_pin_write(repo, du_role_set_find(&first.set, "root"), err);
}

defupd_code defupd_repo_init_with(defupd_repo *repo, const defupd_repo_rule *rules, size_t count,
                                  defupd_error *error)
{
    defupd_error scratch, *err = error != NULL ? error : &scratch;
    const struct rules given = { rules, count };

    if (repo == NULL || (rules == NULL && count > 0))
        return DU_FAIL(err, DEFUPD_E_INVALID, "no repository or no rules");
    return init(repo, &given, err);
}

defupd_code defupd_repo_init(defupd_repo *repo, defupd_error *error)
{
    return defupd_repo_init_with(repo, NULL, 0, error);
}

static defupd_code key_generate(struct defupd_repo *repo, const char *role_name, const char *type,
                                char *keyid, defupd_error *err)
{
    DU_AUTO_KEYRING ring = { 0 };
    DU_AUTO_DIRS dirs = DU_DIRS;
    enum du_key_type key_type;
    enum du_role role;

    if (role_name == NULL || !du_role_of(role_name, &role))
        return DU_FAIL(err, DEFUPD_E_INVALID,
                       "'%.64s' is none of root, targets, snapshot, timestamp, and no component "
                       "name",
                       role_name != NULL ? role_name : "");
    key_type = type == NULL ? du_role_key_type(role) : du_key_type_parse(type);
    if (key_type == 0)
        return DU_FAIL(err, DEFUPD_E_INVALID, "key type '%s' is none of ed25519, ecdsa, rsa", type);
    if (repo->dir_path == NULL) {
        /* On a machine that has keys only: it is not known what is published. */
    } else if (du_dirs_open(repo, &dirs, true, err) == DEFUPD_OK) {
        if (role != DU_ROLE_COMPONENT && is_published(&dirs))
            return DU_FAIL(err, DEFUPD_E_REPO_EXISTS,
                           "%s is signed already: its keys change only by a new root: see 'key "
                           "add' and 'key rotate'",
                           repo->dir_path);
    } else if (err->code != DEFUPD_E_REPO && !du_is_missing(err)) {
        return err->code;
    }
    DU_TRY(du_keyring_load(repo, &ring, err));
    DU_TRY(du_keyring_generate(repo, &ring, role_name, key_type, err));
    if (dirs.top >= 0)
        DU_TRY(du_keyring_warn(repo, dirs.top, err));
    if (keyid != NULL)
        memcpy(keyid, ring.key[ring.count - 1].id, DU_KEYID_TEXT);
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
