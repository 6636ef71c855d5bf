/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of who may sign: new keys, fewer keys, thresholds, lifetimes, roles of components. */
#include <stdio.h>
#include <string.h>

#include "publish/publish_priv.h"

#define KEYID_PREFIX_MIN 8

struct edit {
    struct defupd_repo *repo;
    struct du_work *work;
    struct du_next *next;
    const defupd_repo_change *change;
};

static struct du_authority authority(const struct edit *edit, const char *name)
{
    return du_next_authority(&edit->work->state, edit->next, name);
}

/* The role whose content says who signs `name`. */
static const char *owner_of(const char *name)
{
    enum du_role role;

    return du_role_parse(name, &role) ? "root" : "targets";
}

/* `id`, or its beginning, against a full id. */
static bool is_key(const char *id, const char *full)
{
    return strlen(id) >= KEYID_PREFIX_MIN && strncmp(full, id, strlen(id)) == 0;
}

static struct du_json *keyids_without(struct du_authority role, const char *but)
{
    DU_AUTO_JSON *keyids = du_json_new_array();

    for (size_t i = 0; keyids != NULL && i < du_authority_count(role); i++) {
        const char *id = du_authority_keyid(role, i);
        if (but != NULL && strcmp(id, but) == 0)
            continue;
        if (!du_json_append(keyids, du_json_new_string(id)))
            return NULL;
    }
    return du_take(&keyids);
}

static defupd_code no_memory(const char *name, defupd_error *err)
{
    return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for role '%s'", name);
}

/* Give the role these keys (taken over) and what the change says about threshold and life; sign
 * anew what it has signed, since its keys may be others now. */
static defupd_code set_entry(struct edit *edit, const char *name, struct du_json *keyids,
                             defupd_error *err)
{
    DU_AUTO_JSON *taken = keyids;
    const struct du_authority role = authority(edit, name);
    const int64_t threshold =
        edit->change->threshold != 0 ? edit->change->threshold : du_authority_threshold(role);
    const int64_t days = edit->change->days != 0 ? edit->change->days : du_entry_days(role);
    const size_t count = du_json_count(taken);
    struct du_json *part;

    if (taken == NULL)
        return no_memory(name, err);
    if (count > DU_ENTRY_KEYS_MAX)
        return DU_FAIL(err, DEFUPD_E_INVALID,
                       "role '%s' would have %zu keys, at most %d are "
                       "allowed",
                       name, count, DU_ENTRY_KEYS_MAX);
    if (threshold > (int64_t)count)
        return DU_FAIL(err, DEFUPD_E_INVALID,
                       "role '%s' would have %zu key%s, and needs %lld signatures", name, count,
                       count == 1 ? "" : "s", (long long)threshold);
    DU_TRY(du_next_edit(&edit->work->dirs, &edit->work->state, edit->next, owner_of(name), &part,
                        err));
    if (!du_entry_set(part, name, du_take(&taken), threshold, days, &edit->work->ring))
        return no_memory(name, err);
    if (strcmp(owner_of(name), "targets") == 0)
        DU_TRY(du_next_edit(&edit->work->dirs, &edit->work->state, edit->next, name, &part, err));
    return DEFUPD_OK;
}

/* --- keys --- */

static defupd_code check_type(const char *type, enum du_role role, enum du_key_type *out,
                              defupd_error *err)
{
    *out = type == NULL ? du_role_key_type(role) : du_key_type_parse(type);
    if (*out == 0)
        return DU_FAIL(err, DEFUPD_E_INVALID, "key type '%s' is none of ed25519, ecdsa, rsa", type);
    return DEFUPD_OK;
}

/* A key of the keys directory that is not the role's yet, made elsewhere or before. */
static defupd_code find_new(const struct edit *edit, const char *name, const char **id,
                            defupd_error *err)
{
    const struct du_keyring *ring = &edit->work->ring;
    const struct du_ring_key *found = NULL;

    for (size_t i = 0; i < ring->count; i++) {
        if (!is_key(edit->change->new_key, ring->key[i].id))
            continue;
        if (found != NULL && strcmp(found->id, ring->key[i].id) != 0)
            return DU_FAIL(err, DEFUPD_E_INVALID, "%s: more than one key begins so",
                           edit->change->new_key);
        found = &ring->key[i];
    }
    if (found == NULL)
        return DU_FAIL(err, DEFUPD_E_KEY, "%s holds no key %s", edit->repo->keys_path,
                       edit->change->new_key);
    if (du_authority_names(authority(edit, name), found->id))
        return DU_FAIL(err, DEFUPD_E_INVALID, "key %.8s is one of role '%s' already", found->id,
                       name);
    *id = found->id;
    return DEFUPD_OK;
}

/* The key that comes in: named, or made. */
static defupd_code new_key(struct edit *edit, const char *name, const char **id, defupd_error *err)
{
    struct du_keyring *ring = &edit->work->ring;
    enum du_key_type type;
    enum du_role role;

    if (edit->change->new_key != NULL)
        return find_new(edit, name, id, err);
    if (!du_role_of(name, &role))
        return DU_FAIL(err, DEFUPD_E_BUG, "%s: no role", name);
    DU_TRY(check_type(edit->change->key_type, role, &type, err));
    DU_TRY(du_keyring_generate(edit->repo, ring, name, type, err));
    *id = ring->key[ring->count - 1].id;
    du_repo_say(edit->repo, "made %s key %s/%s", du_key_type_word(type), edit->repo->keys_path,
                ring->key[ring->count - 1].file);
    return DEFUPD_OK;
}

/* The key that goes out: named, or the only one. */
static defupd_code old_key(const struct edit *edit, const char *name, char id[DU_KEYID_TEXT],
                           defupd_error *err)
{
    const struct du_authority role = authority(edit, name);
    const char *wanted = edit->change->old_key, *found = NULL;

    if (wanted == NULL && du_authority_count(role) != 1)
        return DU_FAIL(err, DEFUPD_E_INVALID, "role '%s' has %zu keys: say which one goes", name,
                       du_authority_count(role));
    for (size_t i = 0; i < du_authority_count(role); i++) {
        const char *here = du_authority_keyid(role, i);
        if (wanted == NULL || is_key(wanted, here))
            found = here;
    }
    if (found == NULL)
        return DU_FAIL(err, DEFUPD_E_INVALID, "role '%s' has no key %s", name, wanted);
    (void)snprintf(id, DU_KEYID_TEXT, "%s", found);
    return DEFUPD_OK;
}

/* Before a key is made for it: could the role's entry be signed? */
static defupd_code check_owner(const struct edit *edit, const char *name, defupd_error *err)
{
    if (authority(edit, name).entry == NULL)
        return DU_FAIL(err, DEFUPD_E_INVALID,
                       "'%.64s' is none of root, targets, snapshot, timestamp, and no component "
                       "with a role of its own",
                       name);
    if (edit->change->pending != 0)
        return DEFUPD_OK;
    return du_sign_can(edit->repo, &edit->work->ring, authority(edit, owner_of(name)),
                       owner_of(name), err);
}

static defupd_code replace_key(struct edit *edit, const char *name, bool out, defupd_error *err)
{
    char gone[DU_KEYID_TEXT] = "";
    DU_AUTO_JSON *keyids = NULL;
    const char *id = NULL;

    DU_TRY(check_owner(edit, name, err));
    if (out)
        DU_TRY(old_key(edit, name, gone, err));
    DU_TRY(new_key(edit, name, &id, err));
    keyids = keyids_without(authority(edit, name), gone);
    if (keyids == NULL || !du_json_append(keyids, du_json_new_string(id)))
        return no_memory(name, err);
    if (edit->change->made_key != NULL)
        memcpy(edit->change->made_key, id, DU_KEYID_TEXT);
    return set_entry(edit, name, du_take(&keyids), err);
}

/* Out of every role that names it; `done` counts them. */
static defupd_code revoke_in(struct edit *edit, const char *name, const char *wanted, size_t *done,
                             defupd_error *err)
{
    const struct du_authority role = authority(edit, name);
    char gone[DU_KEYID_TEXT] = "";

    for (size_t i = 0; i < du_authority_count(role); i++)
        if (is_key(wanted, du_authority_keyid(role, i)))
            (void)snprintf(gone, sizeof gone, "%s", du_authority_keyid(role, i));
    if (gone[0] == '\0')
        return DEFUPD_OK;
    ++*done;
    if (set_entry(edit, name, keyids_without(role, gone), err) != DEFUPD_OK)
        return du_err_prefix(err, "without key %.8s", gone);
    return DEFUPD_OK;
}

static defupd_code revoke_key(struct edit *edit, defupd_error *err)
{
    const struct du_role_set *set = &edit->work->state.set;
    const char *wanted = edit->change->old_key;
    size_t done = 0, at = 0;

    if (wanted == NULL || strlen(wanted) < KEYID_PREFIX_MIN)
        return DU_FAIL(err, DEFUPD_E_INVALID, "a key id, or its first %d digits or more, is needed",
                       KEYID_PREFIX_MIN);
    for (const struct du_role_doc *doc; (doc = du_role_set_at(set, &at)) != NULL;)
        DU_TRY(revoke_in(edit, doc->name, wanted, &done, err));
    if (done == 0)
        return DU_FAIL(err, DEFUPD_E_INVALID, "no role has a key %s", wanted);
    return DEFUPD_OK;
}

/* --- roles --- */

/* What targets says about the component moves into its own role. */
static defupd_code move_target(struct edit *edit, const char *name, defupd_error *err)
{
    struct du_json *targets, *own;
    DU_AUTO_JSON *all = NULL;
    const struct du_json *target;
    char path[DU_META_NAME];

    (void)snprintf(path, sizeof path, "%s/manifest.xml", name);
    DU_TRY(
        du_next_edit(&edit->work->dirs, &edit->work->state, edit->next, "targets", &targets, err));
    DU_TRY(du_next_edit(&edit->work->dirs, &edit->work->state, edit->next, name, &own, err));
    target = du_json_object(du_json_object(targets, "targets"), path);
    if (target == NULL)
        return DEFUPD_OK;
    if (!du_part_set_below(own, "targets", path, du_json_copy(target)))
        return no_memory(name, err);
    all = du_json_copy(du_json_object(targets, "targets"));
    if (all == NULL)
        return no_memory(name, err);
    du_json_remove(all, path);
    return du_json_set(targets, "targets", du_take(&all)) ? DEFUPD_OK : no_memory(name, err);
}

static defupd_code delegate(struct edit *edit, const char *name, defupd_error *err)
{
    const struct du_keyring *ring = &edit->work->ring;
    DU_AUTO_JSON *keyids = du_json_new_array();
    struct du_json *targets;

    if (!du_name_ok(name))
        return DU_FAIL(err, DEFUPD_E_INVALID, "'%.64s' is not a component name", name);
    if (authority(edit, name).entry != NULL)
        return DU_FAIL(err, DEFUPD_E_REPO_EXISTS, "component '%s' has a role of its own already",
                       name);
    for (size_t i = 0; keyids != NULL && i < ring->count; i++)
        if (strcmp(ring->key[i].role, name) == 0 &&
            !du_json_append(keyids, du_json_new_string(ring->key[i].id)))
            return no_memory(name, err);
    if (keyids == NULL)
        return no_memory(name, err);
    if (du_json_count(keyids) == 0)
        return DU_FAIL(err, DEFUPD_E_KEY,
                       "%s holds no key for component '%s': make one, or put its public half there",
                       edit->repo->keys_path, name);
    DU_TRY(
        du_next_edit(&edit->work->dirs, &edit->work->state, edit->next, "targets", &targets, err));
    /* With no threshold yet: set_entry() looks at what the change says. */
    if (!du_entry_delegate(targets, name) ||
        !du_entry_set(targets, name, du_json_new_array(), 1, 0, ring))
        return no_memory(name, err);
    DU_TRY(move_target(edit, name, err));
    return set_entry(edit, name, du_take(&keyids), err);
}

static defupd_code renew(struct edit *edit, const char *name, defupd_error *err)
{
    struct du_json *part;

    if (edit->change->days != 0 || edit->change->threshold != 0)
        DU_TRY(set_entry(edit, name, keyids_without(authority(edit, name), NULL), err));
    if (strcmp(name, "timestamp") == 0)
        edit->next->timestamp = true;
    else if (strcmp(name, "snapshot") == 0)
        edit->next->snapshot = true;
    else
        DU_TRY(du_next_edit(&edit->work->dirs, &edit->work->state, edit->next, name, &part, err));
    return DEFUPD_OK;
}

static defupd_code apply_edit(struct edit *edit, defupd_error *err)
{
    const char *name = edit->change->role;

    if (edit->change->kind == DEFUPD_REPO_KEY_REVOKE)
        return revoke_key(edit, err);
    if (edit->change->kind == DEFUPD_REPO_DELEGATE)
        return delegate(edit, name, err);
    if (authority(edit, name).entry == NULL)
        return DU_FAIL(err, DEFUPD_E_INVALID,
                       "'%.64s' is none of root, targets, snapshot, timestamp, and no component "
                       "with a role of its own",
                       name);
    switch ((defupd_repo_change_kind)edit->change->kind) {
    case DEFUPD_REPO_KEY_ADD: return replace_key(edit, name, false, err);
    case DEFUPD_REPO_KEY_ROTATE: return replace_key(edit, name, true, err);
    case DEFUPD_REPO_THRESHOLD:
        return set_entry(edit, name, keyids_without(authority(edit, name), NULL), err);
    case DEFUPD_REPO_RENEW: return renew(edit, name, err);
    case DEFUPD_REPO_DELEGATE:
    case DEFUPD_REPO_KEY_REVOKE: break;
    }
    return DU_FAIL(err, DEFUPD_E_INVALID, "no such change");
}

static defupd_code check_change(const defupd_repo_change *change, defupd_error *err)
{
    if (change == NULL || change->struct_size != sizeof *change)
        return DU_FAIL(err, DEFUPD_E_INVALID, "change is from another version of the header");
    if (change->kind < DEFUPD_REPO_DELEGATE || change->kind > DEFUPD_REPO_RENEW)
        return DU_FAIL(err, DEFUPD_E_INVALID, "no such change");
    if (change->role == NULL && change->kind != DEFUPD_REPO_KEY_REVOKE)
        return DU_FAIL(err, DEFUPD_E_INVALID, "no role to change");
    if (change->threshold == 0 && change->kind == DEFUPD_REPO_THRESHOLD)
        return DU_FAIL(err, DEFUPD_E_INVALID, "a threshold is at least 1");
    if (change->days > DU_DAYS_MAX)
        return DU_FAIL(err, DEFUPD_E_INVALID, "%u days are more than %d", change->days,
                       DU_DAYS_MAX);
    return DEFUPD_OK;
}

/* For those who are asked to sign it, and for `sign list`. */
static void in_words(const defupd_repo_change *change, char *text, size_t size)
{
    static const char *const words[] = {
        [DEFUPD_REPO_DELEGATE] = "delegate",       [DEFUPD_REPO_KEY_ADD] = "key add",
        [DEFUPD_REPO_KEY_ROTATE] = "key rotate",   [DEFUPD_REPO_KEY_REVOKE] = "key revoke",
        [DEFUPD_REPO_THRESHOLD] = "key threshold", [DEFUPD_REPO_RENEW] = "renew"
    };

    (void)snprintf(text, size, "%s %.64s", words[change->kind],
                   change->kind == DEFUPD_REPO_KEY_REVOKE ? change->old_key : change->role);
}

static defupd_code keep_pending(struct edit *edit, defupd_error *err)
{
    const struct defupd_repo *repo = edit->repo;
    char what[128];

    in_words(edit->change, what, sizeof what);
    DU_TRY(du_pending_save(repo, edit->work, edit->next, what, err));
    du_repo_say(repo, "pending in %s: %s", repo->pending_path, what);
    return DEFUPD_OK;
}

static defupd_code apply(struct defupd_repo *repo, const defupd_repo_change *change,
                         int *is_pending, defupd_error *err)
{
    DU_AUTO_WORK work = DU_WORK;
    DU_AUTO_NEXT next = { .lost = change->lost != 0 };
    struct edit edit = { repo, &work, &next, change };
    defupd_code rc;

    DU_TRY(du_work_begin(repo, &work, err));
    if (change->pending != 0)
        DU_TRY(du_pending_check_none(repo, err));
    DU_TRY(apply_edit(&edit, err));
    DU_TRY(du_work_cover(&work, &next, err));
    DU_TRY(du_next_sign(repo, &work.state, &work.ring, &next, err));
    rc = du_next_complete(&work.state, &next, err);
    if (rc == DEFUPD_E_KEY && change->pending != 0) {
        *is_pending = 1;
        return keep_pending(&edit, err);
    }
    if (rc != DEFUPD_OK)
        return du_err_prefix(err, "keys directory %s", repo->keys_path);
    DU_TRY(du_next_finish(repo, &work.dirs, &work.state, &work.ring, &next, NULL,
                          (struct du_bytes){ 0 }, err));
    DU_TRY(du_work_write(repo, &work, &next, err));
    du_work_say(repo, &next);
    return DEFUPD_OK;
}

defupd_code defupd_repo_apply(defupd_repo *repo, const defupd_repo_change *change, int *is_pending,
                              defupd_error *error)
{
    defupd_error scratch, *err = error != NULL ? error : &scratch;
    int outcome;

    if (repo == NULL)
        return DU_FAIL(err, DEFUPD_E_INVALID, "no repository");
    DU_TRY(check_change(change, err));
    is_pending = is_pending != NULL ? is_pending : &outcome;
    *is_pending = 0;
    return apply(repo, change, is_pending, err);
}
