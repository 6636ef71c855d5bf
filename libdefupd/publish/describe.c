/* SPDX-License-Identifier: Apache-2.0 */
/* What a document says, and what it changes, in words: so that nobody signs blindly. Whatever is
 * not put into words of its own is at least said to differ. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/when.h"
#include "publish/publish_priv.h"

struct words {
    defupd_repo_say_fn say;
    void *user;
};

__attribute__((format(printf, 2, 3))) static void say(const struct words *words, const char *format,
                                                      ...)
{
    char line[1024];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    for (char *c = line; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?'; /* names in it are foreign: they must not steer a terminal */
    words->say(words->user, line);
}

static bool same(const struct du_json *a, const struct du_json *b)
{
    DU_AUTO_BUF left = DU_BUF(DU_PENDING_MAX), right = DU_BUF(DU_PENDING_MAX);
    defupd_error why;

    if (a == NULL || b == NULL)
        return a == b;
    return du_json_canonical(a, &left, &why) == DEFUPD_OK &&
           du_json_canonical(b, &right, &why) == DEFUPD_OK && left.len == right.len &&
           memcmp(left.data, right.data, left.len) == 0;
}

/* --- who may sign a role --- */

static const char *type_of(struct du_authority by, const char *id)
{
    const char *type = du_json_string(du_json_object(by.keys, id), "keytype");

    return type != NULL ? type : "unknown";
}

static void tell_keys(const struct words *words, const char *name, struct du_authority before,
                      struct du_authority after)
{
    for (size_t i = 0; i < du_authority_count(after); i++) {
        const char *id = du_authority_keyid(after, i);
        if (!du_authority_names(before, id))
            say(words, "  role %s: key %.64s (%s) comes in", name, id, type_of(after, id));
        else if (!same(du_json_object(before.keys, id), du_json_object(after.keys, id)))
            say(words, "  role %s: key %.64s is another under the same id", name, id);
    }
    for (size_t i = 0; i < du_authority_count(before); i++) {
        const char *id = du_authority_keyid(before, i);
        if (!du_authority_names(after, id))
            say(words, "  role %s: key %.64s (%s) goes out", name, id, type_of(before, id));
    }
}

/* Paths of a delegation; nothing for the roles of root. */
static void tell_paths(const struct words *words, const char *name, struct du_authority before,
                       struct du_authority after)
{
    const struct du_json *paths = du_json_array(after.entry, "paths");

    if (same(paths, du_json_array(before.entry, "paths")))
        return;
    for (size_t i = 0; i < du_json_count(paths); i++) {
        const char *path = du_json_text(du_json_at(paths, i));
        say(words, "  role %s speaks for %s", name, path != NULL ? path : "?");
    }
}

static const char *const known_entry_fields[] = { "keyids", "threshold", "x-defupd-days",
                                                  "paths",  "name",      NULL };
static const char *const known_fields[] = { "version", "expires",     "keys", "roles",
                                            "targets", "delegations", NULL };

static bool is_among(const char *const *names, const char *name)
{
    for (; *names != NULL; names++)
        if (strcmp(*names, name) == 0)
            return true;
    return false;
}

/* Fields of an object that nothing else here tells about. */
static void tell_rest(const struct words *words, const char *where, const struct du_json *before,
                      const struct du_json *after, const char *const *known)
{
    for (void *i = du_json_first(after); i != NULL; i = du_json_next(after, i)) {
        const char *field = du_json_iter_key(i);
        const struct du_json *old = NULL;
        for (void *k = du_json_first(before); k != NULL; k = du_json_next(before, k))
            if (strcmp(du_json_iter_key(k), field) == 0)
                old = du_json_iter_value(k);
        if (!is_among(known, field) && before != NULL && !same(old, du_json_iter_value(i)))
            say(words, "  %s: field %s %s", where, field, old == NULL ? "is new" : "differs");
    }
    for (void *i = du_json_first(before); i != NULL; i = du_json_next(before, i))
        if (!is_among(known, du_json_iter_key(i)) && !du_json_has(after, du_json_iter_key(i)))
            say(words, "  %s: field %s goes", where, du_json_iter_key(i));
}

static void tell_entry(const struct words *words, const char *name, enum du_role role,
                       struct du_authority before, struct du_authority after)
{
    const long long days = (long long)(du_authority_life_s(after, role) / (24 * 3600));
    const long long days_before = (long long)(du_authority_life_s(before, role) / (24 * 3600));

    if (after.entry == NULL) {
        say(words, "  role %s is gone", name);
        return;
    }
    tell_keys(words, name, before, after);
    tell_paths(words, name, before, after);
    if (before.entry == NULL)
        say(words, "  role %s is new: %lld of %zu keys sign, valid %lld days at a time", name,
            (long long)du_authority_threshold(after), du_authority_count(after), days);
    else if (du_authority_threshold(before) != du_authority_threshold(after) ||
             du_authority_count(before) != du_authority_count(after))
        say(words, "  role %s: %lld of %zu keys sign, before %lld of %zu", name,
            (long long)du_authority_threshold(after), du_authority_count(after),
            (long long)du_authority_threshold(before), du_authority_count(before));
    if (before.entry != NULL && days != days_before)
        say(words, "  role %s: valid %lld days at a time, before %lld", name, days, days_before);
    tell_rest(words, name, before.entry, after.entry, known_entry_fields);
}

static void tell_roles(const struct words *words, const struct du_json *before,
                       const struct du_json *after)
{
    const struct du_json *roles = du_json_object(after, "roles");
    const struct du_json *gone = du_json_object(before, "roles");

    for (void *i = du_json_first(roles); i != NULL; i = du_json_next(roles, i)) {
        const char *name = du_json_iter_key(i);
        enum du_role role;
        if (du_role_parse(name, &role))
            tell_entry(words, name, role, du_authority_of(before, NULL, name),
                       du_authority_of(after, NULL, name));
        else if (!same(du_json_object(gone, name), du_json_object(roles, name)))
            say(words, "  role %s, which this software does not know, differs", name);
    }
    for (void *i = du_json_first(gone); i != NULL; i = du_json_next(gone, i))
        if (!du_json_has(roles, du_json_iter_key(i)))
            say(words, "  role %s is gone", du_json_iter_key(i));
}

static void tell_delegations(const struct words *words, const struct du_json *before,
                             const struct du_json *after)
{
    const struct du_json *roles = du_json_array(du_json_object(after, "delegations"), "roles");
    const struct du_json *gone = du_json_array(du_json_object(before, "delegations"), "roles");

    for (size_t i = 0; i < du_json_count(roles); i++) {
        const char *name = du_json_string(du_json_at(roles, i), "name");
        if (name != NULL)
            tell_entry(
                words, name, DU_ROLE_COMPONENT, du_authority_of(NULL, before, name),
                (struct du_authority){ du_json_object(du_json_object(after, "delegations"), "keys"),
                                       du_json_at(roles, i) });
    }
    for (size_t i = 0; i < du_json_count(gone); i++) {
        const char *name = du_json_string(du_json_at(gone, i), "name");
        if (name != NULL && du_authority_of(NULL, after, name).entry == NULL)
            say(words, "  role %s is gone", name);
    }
}

/* --- targets --- */

static const char *digest_of(const struct du_json *target)
{
    const char *digest = du_json_string(du_json_object(target, "hashes"), "sha256");

    return digest != NULL ? digest : "none";
}

static void tell_targets(const struct words *words, const struct du_json *before,
                         const struct du_json *after)
{
    const struct du_json *new = du_json_object(after, "targets");
    const struct du_json *old = du_json_object(before, "targets");

    for (void *i = du_json_first(new); i != NULL; i = du_json_next(new, i)) {
        const char *path = du_json_iter_key(i);
        const struct du_json *target = du_json_iter_value(i), *was = du_json_object(old, path);
        if (was == NULL)
            say(words, "  %s is new: SHA-256 %.64s", path, digest_of(target));
        else if (!same(was, target))
            say(words, "  %s: SHA-256 %.64s, before %.64s", path, digest_of(target),
                digest_of(was));
    }
    for (void *i = du_json_first(old); i != NULL; i = du_json_next(old, i))
        if (!du_json_has(new, du_json_iter_key(i)))
            say(words, "  %s goes", du_json_iter_key(i));
}

void du_describe(const struct du_role_doc *doc, const struct du_role_doc *published, int64_t now,
                 defupd_repo_say_fn on_line, void *user)
{
    const struct words words = { on_line, user };
    const struct du_json *after = du_role_doc_part(doc);
    const struct du_json *before = published != NULL ? du_role_doc_part(published) : NULL;
    char until[DU_TIME_TEXT], until_before[DU_TIME_TEXT];

    du_time_format(until, doc->expires);
    if (published == NULL) {
        say(&words, "%s version %llu, valid until %s; none is published yet", doc->name,
            (unsigned long long)doc->version, until);
    } else {
        du_time_format(until_before, published->expires);
        say(&words, "%s version %llu, valid until %s; published is version %llu, until %s",
            doc->name, (unsigned long long)doc->version, until,
            (unsigned long long)published->version, until_before);
    }
    if (doc->expires <= now)
        say(&words, "  which has expired");
    if (doc->role == DU_ROLE_ROOT) {
        tell_roles(&words, before, after);
    } else {
        tell_targets(&words, before, after);
        tell_delegations(&words, before, after);
    }
    tell_rest(&words, doc->name, before, after, known_fields);
}
