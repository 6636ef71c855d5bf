/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/way.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fail.h"
#include "files.h"

static const char *const names[AG_WAY_FILES] = {
    [AG_WAY_AUTH] = "auth-file", [AG_WAY_PROXY_AUTH] = "proxy-auth-file",
    [AG_WAY_CA] = "ca-file",     [AG_WAY_CERTIFICATE] = "client-certificate",
    [AG_WAY_KEY] = "client-key", [AG_WAY_CRL] = "crl-file",
};

defupd_code ag_at_setting(const struct ag_value *value, defupd_code rc, defupd_error *err)
{
    char text[DEFUPD_ERROR_MESSAGE_MAX];
    const char *rest = err->message;
    const int sys_errno = err->sys_errno;

    if (strncmp(rest, "--", 2) == 0 && strstr(rest, ": ") != NULL)
        rest = strstr(rest, ": ") + 2; /* the option of the same meaning */
    (void)snprintf(text, sizeof text, "%s", rest);
    rc = AG_FAIL(err, rc, "%s:%ld: %s: %s", value->file, value->line, value->setting->path, text);
    err->sys_errno = sys_errno;
    return rc;
}

static defupd_code read_file(struct ag_way *way, enum ag_way_file which,
                             const struct ag_value *value, const struct ag_owner *owner,
                             defupd_error *err)
{
    const bool text = which == AG_WAY_AUTH || which == AG_WAY_PROXY_AUTH;
    int fd = -1;

    /* What is secret is looked at twice: who could change it, then what is in it. */
    if ((value->setting->flags & AG_SET_SECRET) != 0) {
        AG_TRY(ag_policy_open(&fd, value->text, owner->uid, true, err));
        (void)close(fd);
    }
    if (text)
        return ag_auth_read(value->text, owner->uid, &way->text[which], err);
    if (which == AG_WAY_CRL && access(value->text, R_OK) != 0) {
        way->text[which] = strdup(value->text); /* what that means is for `revocation` to say */
        return way->text[which] != NULL ? DEFUPD_OK : AG_FAIL(err, DEFUPD_E_NOMEM, "out of memory");
    }
    return ag_file_keep(names[which], value->text, ag_owner_is_other(owner), &way->fd[which],
                        &way->text[which], err);
}

static defupd_code read_group(struct ag_way *way, const struct ag_value *group,
                              const struct ag_owner *owner, enum ag_way_file first,
                              defupd_error *err)
{
    for (enum ag_way_file i = 0; i < AG_WAY_FILES; i++)
        way->fd[i] = -1;
    for (enum ag_way_file i = first; group != NULL && i < AG_WAY_FILES; i++) {
        const struct ag_value *value = ag_value_in(group, names[i]);
        defupd_code rc;

        if (value == NULL)
            continue;
        rc = read_file(way, i, value, owner, err);
        if (rc != DEFUPD_OK)
            return ag_at_setting(value, rc, err);
    }
    return DEFUPD_OK;
}

defupd_code ag_ways_read(struct ag_ways *ways, const struct ag_policy *policy,
                         const struct ag_owner *owner, defupd_error *err)
{
    static const char *const groups[] = { "sources/relays", "sources/server" };
    const struct ag_value *at;
    size_t count = 1;

    for (size_t i = 0; i < 2; i++) {
        for (at = ag_policy_at(policy, groups[i]); at != NULL; at = ag_value_next(at))
            count++;
    }
    ways->way = calloc(count, sizeof *ways->way);
    if (ways->way == NULL)
        return AG_FAIL(err, DEFUPD_E_NOMEM, "out of memory while applying the policy");
    ways->count = 1;
    /* The proxy's credentials and the CA file of all sources are older, and the caller's. */
    AG_TRY(read_group(&ways->way[0], ag_policy_at(policy, "tls"), owner, AG_WAY_CERTIFICATE, err));
    for (size_t i = 0; i < 2; i++) {
        for (at = ag_policy_at(policy, groups[i]); at != NULL; at = ag_value_next(at))
            AG_TRY(read_group(&ways->way[ways->count++], at, owner, AG_WAY_AUTH, err));
    }
    return DEFUPD_OK;
}

void ag_ways_free(struct ag_ways *ways)
{
    for (size_t i = 0; i < ways->count; i++) {
        for (size_t f = 0; f < AG_WAY_FILES; f++) {
            if (ways->way[i].fd[f] >= 0)
                (void)close(ways->way[i].fd[f]);
            if (ways->way[i].text[f] != NULL)
                explicit_bzero(ways->way[i].text[f], strlen(ways->way[i].text[f]));
            free(ways->way[i].text[f]);
        }
    }
    free(ways->way);
    *ways = (struct ag_ways){ 0 };
}
