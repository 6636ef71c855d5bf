/* SPDX-License-Identifier: Apache-2.0 */
/* The options that are lists of structs: rules, licences, sources. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/name.h"
#include "client/options.h"

#define WORD_MAX 64 /* bytes of a ring or class, as in a manifest */
#define ATTEMPTS_MAX 100
#define GRACE_MAX_S (366ULL * 24 * 60 * 60)
#define ITEMS_MAX 4096

_Static_assert(sizeof(defupd_rule) ==
                   2 * sizeof(uint32_t) + 3 * sizeof(uint64_t) + 3 * sizeof(void *),
               "defupd_rule must have no padding");
_Static_assert(sizeof(defupd_licence) == 2 * sizeof(uint32_t) + sizeof(uint64_t) + sizeof(void *),
               "defupd_licence must have no padding");
_Static_assert(sizeof(defupd_source) ==
                   8 * sizeof(uint32_t) + sizeof(uint64_t) + 13 * sizeof(void *),
               "defupd_source must have no padding");

/* What is known of a struct that lists hold: how large it is, and which of its fields are texts. */
struct shape {
    const char *what, *init;
    size_t size, least, texts, text[13];
};

static const struct shape rule_shape = {
    .what = "rules",
    .init = "DEFUPD_RULE_INIT",
    .size = sizeof(defupd_rule),
    .least = sizeof(defupd_rule),
    .texts = 3,
    .text = { offsetof(defupd_rule, component), offsetof(defupd_rule, ring),
              offsetof(defupd_rule, licence) },
};
static const struct shape licence_shape = {
    .what = "licences",
    .init = "DEFUPD_LICENCE_INIT",
    .size = sizeof(defupd_licence),
    .least = sizeof(defupd_licence),
    .texts = 1,
    .text = { offsetof(defupd_licence, name) },
};
static const struct shape source_shape = {
    .what = "source_list",
    .init = "DEFUPD_SOURCE_INIT",
    .size = sizeof(defupd_source),
    .least = offsetof(defupd_source, kind),
    .texts = 13,
    .text = { offsetof(defupd_source, url), offsetof(defupd_source, object_url),
              offsetof(defupd_source, auth), offsetof(defupd_source, bearer),
              offsetof(defupd_source, proxy), offsetof(defupd_source, proxy_auth),
              offsetof(defupd_source, no_proxy), offsetof(defupd_source, addresses),
              offsetof(defupd_source, ca_file), offsetof(defupd_source, pinned_key),
              offsetof(defupd_source, client_cert), offsetof(defupd_source, client_key),
              offsetof(defupd_source, crl_file) },
};

static void item_free(void *item, const struct shape *shape)
{
    for (size_t i = 0; i < shape->texts; i++) {
        char *text;
        memcpy(&text, (char *)item + shape->text[i], sizeof text);
        du_text_wipe(text);
    }
    free(item);
}

static void list_free(const void *list, const struct shape *shape)
{
    void *const *item = (void *const *)list;

    for (size_t i = 0; item != NULL && item[i] != NULL; i++)
        item_free(item[i], shape);
    free((void *)(uintptr_t)list);
}

/* `item` is a copy whose texts are still the caller's. */
static defupd_code own_texts(char *item, const struct shape *shape, defupd_error *err)
{
    bool full = false;

    for (size_t i = 0; i < shape->texts; i++) {
        const char *theirs;
        char *ours = NULL;

        memcpy(&theirs, item + shape->text[i], sizeof theirs);
        if (theirs != NULL && !full) {
            ours = strdup(theirs);
            full = ours == NULL;
        }
        memcpy(item + shape->text[i], &ours, sizeof ours);
    }
    return full ? DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for the options") : DEFUPD_OK;
}

static defupd_code item_copy(void **out, const void *from, const struct shape *shape,
                             defupd_error *err)
{
    const uint32_t ours = (uint32_t)shape->size;
    uint32_t theirs;
    char *item = calloc(1, shape->size);
    defupd_code rc;

    if (item == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for the options");
    memcpy(&theirs, from, sizeof theirs);
    rc = du_struct_import(item, shape->size, from, theirs, shape->least, shape->init, err);
    if (rc != DEFUPD_OK) {
        free(item);
        return rc;
    }
    memcpy(item, &ours, sizeof ours);
    rc = own_texts(item, shape, err);
    if (rc == DEFUPD_OK)
        *out = item;
    else
        item_free(item, shape);
    return rc;
}

/* *out is to be freed also after a failure. */
static defupd_code list_copy(void ***out, const void *from, const struct shape *shape,
                             defupd_error *err)
{
    const void *const *theirs = from;
    size_t count = 0;

    if (theirs == NULL)
        return DEFUPD_OK;
    while (theirs[count] != NULL)
        count++;
    if (count > ITEMS_MAX)
        return DU_FAIL(err, DEFUPD_E_INVALID, "%s: more than %d", shape->what, ITEMS_MAX);
    *out = calloc(count + 1, sizeof **out);
    if (*out == NULL)
        return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for the options");
    for (size_t i = 0; i < count; i++) {
        if (item_copy(&(*out)[i], theirs[i], shape, err) != DEFUPD_OK)
            return du_err_prefix(err, "%s", shape->what);
    }
    return DEFUPD_OK;
}

/* Does policy keep us from asking a source at all? */
static bool is_barred(const defupd_client_options *options, const defupd_source *source)
{
    if ((options->flags & DEFUPD_CLIENT_RELAYS_ONLY) == 0 || source->kind == DEFUPD_SOURCE_RELAY)
        return false;
    for (const defupd_source *const *other = options->source_list; *other != NULL; other++) {
        if ((*other)->kind == DEFUPD_SOURCE_RELAY)
            return true;
    }
    return false;
}

/* Who only wants to know which sources there are has one list of URLs. */
static defupd_code name_sources(defupd_client_options *into, defupd_error *err)
{
    const char **url;
    size_t count = 0, used = 0;

    while (into->source_list[count] != NULL)
        count++;
    url = calloc(count + 1, sizeof *url);
    into->sources = url;
    for (size_t i = 0; url != NULL && i < count; i++) {
        const defupd_source *source = into->source_list[i];

        if (source->url == NULL)
            return DU_FAIL(err, DEFUPD_E_INVALID, "source_list: source %zu has no url", i + 1);
        if (is_barred(into, source))
            continue;
        url[used] = strdup(source->url);
        if (url[used++] == NULL)
            url = NULL;
    }
    return url != NULL ? DEFUPD_OK : DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for the options");
}

defupd_code du_lists_import(defupd_client_options *into, const defupd_client_options *theirs,
                            defupd_error *err)
{
    void **rules = NULL, **licences = NULL, **sources = NULL;
    defupd_code rc = list_copy(&rules, theirs->rules, &rule_shape, err);

    if (rc == DEFUPD_OK)
        rc = list_copy(&licences, theirs->licences, &licence_shape, err);
    if (rc == DEFUPD_OK)
        rc = list_copy(&sources, theirs->source_list, &source_shape, err);
    into->rules = (const defupd_rule *const *)rules;
    into->licences = (const defupd_licence *const *)licences;
    into->source_list = (const defupd_source *const *)sources;
    DU_TRY(rc);
    if (into->source_list == NULL)
        return DEFUPD_OK;
    if (into->sources != NULL)
        return DU_FAIL(err, DEFUPD_E_INVALID, "source_list: sources is given too");
    return name_sources(into, err);
}

void du_lists_free(defupd_client_options *options)
{
    list_free(options->rules, &rule_shape);
    list_free(options->licences, &licence_shape);
    list_free(options->source_list, &source_shape);
}

static bool is_word(const char *text)
{
    return text[0] != '\0' && strlen(text) <= WORD_MAX;
}

static defupd_code check_rule(const defupd_client_options *options, const defupd_rule *rule,
                              defupd_error *err)
{
    static const uint32_t known = DEFUPD_RULE_HELD | DEFUPD_RULE_DISABLED | DEFUPD_RULE_NO_TRIAL;
    const char *name = rule->component != NULL ? rule->component : "";

    if (!du_name_ok(name))
        return DU_FAIL(err, DEFUPD_E_INVALID, "'%s' is not a component's name", name);
    for (const defupd_rule *const *other = options->rules; *other != rule; other++) {
        if (strcmp((*other)->component, name) == 0)
            return DU_FAIL(err, DEFUPD_E_INVALID, "%s has two rules", name);
    }
    if ((rule->flags & ~known) != 0)
        return DU_FAIL(err, DEFUPD_E_UNSUPPORTED, "%s: flags 0x%x are not known to this library",
                       name, rule->flags & ~known);
    if (rule->pin_version > DU_VERSION_MAX)
        return DU_FAIL(err, DEFUPD_E_INVALID, "%s: pin_version %llu is not a version", name,
                       (unsigned long long)rule->pin_version);
    if (rule->ring != NULL && !is_word(rule->ring))
        return DU_FAIL(err, DEFUPD_E_INVALID, "%s: ring must have 1 to %d bytes", name, WORD_MAX);
    if (rule->licence == NULL)
        return DEFUPD_OK;
    if (!is_word(rule->licence))
        return DU_FAIL(err, DEFUPD_E_INVALID, "%s: licence must have 1 to %d bytes", name,
                       WORD_MAX);
    return options->licences != NULL
               ? DEFUPD_OK
               : DU_FAIL(err, DEFUPD_E_INVALID, "%s: licence is '%s', and licences are not given",
                         name, rule->licence);
}

static defupd_code check_licence(const defupd_client_options *options,
                                 const defupd_licence *licence, defupd_error *err)
{
    if (licence->name == NULL || !is_word(licence->name))
        return DU_FAIL(err, DEFUPD_E_INVALID, "a name must have 1 to %d bytes", WORD_MAX);
    if (licence->reserved != 0)
        return DU_FAIL(err, DEFUPD_E_UNSUPPORTED, "%s: a field newer than this library is set",
                       licence->name);
    for (const defupd_licence *const *other = options->licences; *other != licence; other++) {
        if (strcmp((*other)->name, licence->name) == 0)
            return DU_FAIL(err, DEFUPD_E_INVALID, "'%s' is there twice", licence->name);
    }
    return DEFUPD_OK;
}

static defupd_code check_numbers(const defupd_source *source, defupd_error *err)
{
    const uint32_t methods =
        DEFUPD_PROXY_BASIC | DEFUPD_PROXY_DIGEST | DEFUPD_PROXY_NTLM | DEFUPD_PROXY_NEGOTIATE;

    if (source->flags != 0 || source->reserved != 0)
        return DU_FAIL(err, DEFUPD_E_UNSUPPORTED, "flags 0x%x are not known to this library",
                       source->flags | source->reserved);
    if (source->offline_grace_s > GRACE_MAX_S)
        return DU_FAIL(err, DEFUPD_E_INVALID, "offline_grace_s: more than a year");
    if (source->kind > DEFUPD_SOURCE_RELAY)
        return DU_FAIL(err, DEFUPD_E_UNSUPPORTED, "kind: %u is not known to this library",
                       source->kind);
    if (source->group != 0 && source->kind != DEFUPD_SOURCE_RELAY)
        return DU_FAIL(err, DEFUPD_E_INVALID, "group: only a relay has one");
    if (source->attempts > ATTEMPTS_MAX)
        return DU_FAIL(err, DEFUPD_E_INVALID, "attempts: %u is more than %d", source->attempts,
                       ATTEMPTS_MAX);
    if ((source->proxy_methods & ~methods) != 0)
        return DU_FAIL(err, DEFUPD_E_UNSUPPORTED,
                       "proxy_methods: 0x%x is not known to this library",
                       source->proxy_methods & ~methods);
    if (source->revocation > DEFUPD_REVOCATION_HARD)
        return DU_FAIL(err, DEFUPD_E_UNSUPPORTED, "revocation: %u is not known to this library",
                       source->revocation);
    return DEFUPD_OK;
}

static bool is_user_and_password(const char *text)
{
    return text == NULL || (strchr(text, ':') != NULL && text[0] != ':');
}

/* "sha256//BASE64", several separated by semicolons: what curl takes, which would take a file's
 * name as well. */
static bool is_pin(const char *text)
{
    while (text != NULL) {
        const char *digits = text + 8;
        size_t length;

        if (strncmp(text, "sha256//", 8) != 0)
            return false;
        length = strspn(digits, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
        if (length != 43 || digits[43] != '=' || (digits[44] != ';' && digits[44] != '\0'))
            return false;
        text = digits[44] == ';' ? digits + 45 : NULL;
    }
    return true;
}

/* Secrets are not repeated. */
static defupd_code check_source(const defupd_source *source, defupd_error *err)
{
    const char *wrong = NULL;

    DU_TRY(check_numbers(source, err));
    if (!is_user_and_password(source->auth))
        wrong = "auth: is not USER:PASSWORD";
    else if (source->bearer != NULL && source->auth != NULL)
        wrong = "bearer: auth is given too";
    else if (source->bearer != NULL && strpbrk(source->bearer, "\r\n") != NULL)
        wrong = "bearer: has more than one line";
    else if (!is_user_and_password(source->proxy_auth))
        wrong = "proxy_auth: is not USER:PASSWORD";
    else if (!is_pin(source->pinned_key))
        wrong = "pinned_key: is not sha256//BASE64, or several separated by ';'";
    else if (source->client_key != NULL && source->client_cert == NULL)
        wrong = "client_key: client_cert is not given";
    else if (source->crl_file != NULL && source->revocation == DEFUPD_REVOCATION_NONE)
        wrong = "crl_file: revocation is not asked for";
    return wrong == NULL ? DEFUPD_OK : DU_FAIL(err, DEFUPD_E_INVALID, "%s", wrong);
}

defupd_code du_lists_check(const defupd_client_options *options, defupd_error *err)
{
    for (const defupd_rule *const *rule = options->rules; rule != NULL && *rule != NULL; rule++) {
        if (check_rule(options, *rule, err) != DEFUPD_OK)
            return du_err_prefix(err, "rules");
    }
    for (const defupd_licence *const *licence = options->licences;
         licence != NULL && *licence != NULL; licence++) {
        if (check_licence(options, *licence, err) != DEFUPD_OK)
            return du_err_prefix(err, "licences");
    }
    for (size_t i = 0; options->source_list != NULL && options->source_list[i] != NULL; i++) {
        if (check_source(options->source_list[i], err) != DEFUPD_OK)
            return du_err_prefix(err, "source_list: source %zu", i + 1);
    }
    return DEFUPD_OK;
}
