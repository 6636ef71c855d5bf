/* SPDX-License-Identifier: Apache-2.0 */
/* Keys and roles. */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "tool.h"

defupd_code pt_key_generate(const struct pt_args *args, defupd_error *err)
{
    const char *component = args->value[PT_OPT_COMPONENT];
    static const char *const roles[] = { "root", "targets", "snapshot", "timestamp" };
    const char *role = component != NULL ? component : args->word[0];
    char id[65] = "";
    bool is_role = false;
    defupd_repo *repo = NULL;
    defupd_code rc;

    if ((component == NULL) == (args->word[0] == NULL))
        return pt_fail(err, DEFUPD_E_INVALID, "key generate: a ROLE, or --component C");
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++)
        is_role = is_role || strcmp(role, roles[i]) == 0;
    if (is_role != (component == NULL))
        return pt_fail(err, DEFUPD_E_INVALID, "key generate: '%s' is %s", role,
                       is_role ? "no component"
                               : "none of root, targets, snapshot, timestamp; --component C is for "
                                 "a component's own key");
    rc = pt_open(&repo, args, pt_say, NULL, err);
    if (rc == DEFUPD_OK)
        rc = defupd_repo_key_generate(repo, role, args->value[PT_OPT_TYPE], id, err);
    if (rc == DEFUPD_OK)
        (void)printf("%s\n", id);
    pt_close(repo);
    return rc;
}

/* --- key list --- */

static void show_role(void *user, const defupd_repo_role *role)
{
    const time_t at = (time_t)role->expires;
    char date[32] = "";
    struct tm tm;

    (void)user;
    if (gmtime_r(&at, &tm) != NULL)
        (void)strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", &tm);
    (void)printf("%-9s  version %" PRIu64 ", %" PRIu32 " of %" PRIu32 " keys sign, %" PRIu32
                 " here, valid until %s, %" PRIu32 " days at a time\n",
                 role->role, role->version, role->threshold, role->keys, role->has_private, date,
                 role->days);
}

static void show_key(void *user, const defupd_repo_key *key)
{
    (void)user;
    (void)printf("%-9s  %-7s  %-7s  %-6s  %.64s  %s\n", key->role, key->type,
                 key->has_private ? "private" : "public", key->in_root ? "in-use" : "unused",
                 key->keyid, key->file[0] != '\0' ? key->file : "-");
}

defupd_code pt_key_list(const struct pt_args *args, defupd_error *err)
{
    defupd_repo *repo = NULL;
    defupd_code rc = pt_open(&repo, args, pt_say, NULL, err);

    if (rc == DEFUPD_OK)
        rc = defupd_repo_role_list(repo, show_role, NULL, err);
    if (rc == DEFUPD_OK)
        rc = defupd_repo_key_list(repo, show_key, NULL, err);
    pt_close(repo);
    return rc;
}

/* --- changes --- */

static defupd_code take_number(const char *option, const char *text, uint64_t max, uint32_t *out,
                               defupd_error *err)
{
    uint64_t number = 0;

    if (text == NULL)
        return DEFUPD_OK;
    if (!pt_number(text, max, &number))
        return pt_fail(err, DEFUPD_E_INVALID, "%s %s: not from 1 to %" PRIu64, option, text, max);
    *out = (uint32_t)number;
    return DEFUPD_OK;
}

static defupd_code change(const struct pt_args *args, defupd_repo_change *change, defupd_error *err)
{
    char id[65] = "";
    defupd_repo *repo = NULL;
    defupd_code rc =
        take_number("--expires", args->value[PT_OPT_EXPIRES], 3650, &change->days, err);

    if (rc == DEFUPD_OK)
        rc = take_number("--threshold", args->value[PT_OPT_THRESHOLD], 64, &change->threshold, err);
    if (rc == DEFUPD_OK && args->value[PT_OPT_NEW] != NULL && args->value[PT_OPT_TYPE] != NULL)
        rc = pt_fail(err, DEFUPD_E_INVALID, "--new names a key that has its type already");
    if (rc == DEFUPD_OK)
        rc = pt_open(&repo, args, pt_say, NULL, err);
    change->key_type = args->value[PT_OPT_TYPE];
    change->new_key = args->value[PT_OPT_NEW];
    change->lost = args->value[PT_OPT_LOST] != NULL;
    change->pending = args->value[PT_OPT_PENDING] != NULL;
    change->made_key = id;
    if (rc == DEFUPD_OK)
        rc = defupd_repo_apply(repo, change, NULL, err);
    if (rc == DEFUPD_OK && id[0] != '\0')
        (void)printf("%s\n", id);
    pt_close(repo);
    return rc;
}

defupd_code pt_key_add(const struct pt_args *args, defupd_error *err)
{
    defupd_repo_change add = DEFUPD_REPO_CHANGE_INIT;

    add.kind = DEFUPD_REPO_KEY_ADD;
    add.role = args->word[0];
    return change(args, &add, err);
}

defupd_code pt_key_rotate(const struct pt_args *args, defupd_error *err)
{
    defupd_repo_change rotate = DEFUPD_REPO_CHANGE_INIT;

    rotate.kind = DEFUPD_REPO_KEY_ROTATE;
    rotate.role = args->word[0];
    rotate.old_key = args->value[PT_OPT_OLD];
    return change(args, &rotate, err);
}

defupd_code pt_key_revoke(const struct pt_args *args, defupd_error *err)
{
    defupd_repo_change out = DEFUPD_REPO_CHANGE_INIT;

    out.kind = DEFUPD_REPO_KEY_REVOKE;
    out.old_key = args->word[0];
    return change(args, &out, err);
}

defupd_code pt_key_threshold(const struct pt_args *args, defupd_error *err)
{
    defupd_repo_change threshold = DEFUPD_REPO_CHANGE_INIT;
    defupd_code rc = take_number("threshold", args->word[1], 64, &threshold.threshold, err);

    if (rc != DEFUPD_OK)
        return rc;
    threshold.kind = DEFUPD_REPO_THRESHOLD;
    threshold.role = args->word[0];
    return change(args, &threshold, err);
}

defupd_code pt_delegate(const struct pt_args *args, defupd_error *err)
{
    defupd_repo_change delegate = DEFUPD_REPO_CHANGE_INIT;

    delegate.kind = DEFUPD_REPO_DELEGATE;
    delegate.role = args->word[0];
    return change(args, &delegate, err);
}

defupd_code pt_renew(const struct pt_args *args, defupd_error *err)
{
    defupd_repo_change renew = DEFUPD_REPO_CHANGE_INIT;

    renew.kind = DEFUPD_REPO_RENEW;
    renew.role = args->word[0];
    return change(args, &renew, err);
}
