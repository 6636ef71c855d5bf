/* SPDX-License-Identifier: Apache-2.0 */
#include "client/options.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/name.h"

/* The 0.1 layouts: the smallest structs that any released header can have produced. */
#define OPTIONS_SIZE_MIN (offsetof(defupd_client_options, budget_bytes) + sizeof(uint64_t))
#define REQUEST_SIZE_MIN (offsetof(defupd_request, components) + sizeof(void *))
#define SIZE_SANE 4096

#define ATTEMPTS_MAX 100
#define RETENTION_MAX 100
#define RATE_MIN 1024 /* what a transfer must bring in each stall time-out, or it is left */

/* Padding holds whatever was on the caller's stack, and all_zero() would take it for a setting. So
 * the structs have none. */
_Static_assert(sizeof(defupd_client_options) ==
                   10 * sizeof(uint32_t) + 10 * sizeof(uint64_t) + 19 * sizeof(void *),
               "defupd_client_options must have no padding");
_Static_assert(sizeof(defupd_request) == 2 * sizeof(uint32_t) + sizeof(void *),
               "defupd_request must have no padding");

static bool all_zero(const unsigned char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (bytes[i] != 0)
            return false;
    }
    return true;
}

defupd_code du_struct_import(void *into, size_t ours, const void *from, size_t theirs, size_t least,
                             const char *init, defupd_error *err)
{
    if (theirs < least || theirs > SIZE_SANE)
        return DU_FAIL(err, DEFUPD_E_INVALID, "struct_size is %zu; start from %s", theirs, init);
    if (theirs > ours && !all_zero((const unsigned char *)from + ours, theirs - ours))
        return DU_FAIL(err, DEFUPD_E_UNSUPPORTED, "a field newer than this library is set");
    memset(into, 0, ours);
    memcpy(into, from, theirs < ours ? theirs : ours);
    return DEFUPD_OK;
}

static defupd_code copy_text(const char **text, defupd_error *err)
{
    if (*text == NULL)
        return DEFUPD_OK;
    *text = strdup(*text);
    return *text != NULL ? DEFUPD_OK : DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for the options");
}

static void free_text(const char *text)
{
    du_text_wipe((char *)(uintptr_t)text); /* some may hold a password, none is long */
}

static void free_list(const char *const *list)
{
    for (size_t i = 0; list != NULL && list[i] != NULL; i++)
        free_text(list[i]);
    free((void *)(uintptr_t)list);
}

static defupd_code copy_list(const char *const **list, defupd_error *err)
{
    const char *const *from = *list;
    const char **copy;
    size_t count = 0;

    if (from == NULL)
        return DEFUPD_OK;
    while (from[count] != NULL)
        count++;
    copy = calloc(count + 1, sizeof *copy);
    *list = copy;
    for (size_t i = 0; copy != NULL && i < count; i++) {
        copy[i] = strdup(from[i]);
        if (copy[i] == NULL)
            copy = NULL;
    }
    return copy != NULL ? DEFUPD_OK : DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for the options");
}

/* Every pointer is first the caller's; what could not be copied yet must not be freed as ours. */
static defupd_code copy_all(defupd_client_options *into, defupd_error *err)
{
    const defupd_client_options theirs = *into;
    const char **const text[] = { &into->state_dir, &into->proxy,      &into->ca_file,
                                  &into->ring,      &into->user_agent, &into->trusted_root_name };
    const char *const from_text[] = {
        theirs.state_dir, theirs.proxy,      theirs.ca_file,
        theirs.ring,      theirs.user_agent, theirs.trusted_root_name
    };
    const char *const **const list[] = { &into->sources, &into->components, &into->engines };
    const char *const *const from_list[] = { theirs.sources, theirs.components, theirs.engines };
    void *root = NULL;

    for (size_t i = 0; i < sizeof text / sizeof text[0]; i++)
        *text[i] = NULL;
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++)
        *list[i] = NULL;
    into->trusted_root = NULL;
    into->rules = NULL;
    into->licences = NULL;
    into->source_list = NULL;

    for (size_t i = 0; i < sizeof text / sizeof text[0]; i++) {
        *text[i] = from_text[i];
        DU_TRY(copy_text(text[i], err));
    }
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
        *list[i] = from_list[i];
        DU_TRY(copy_list(list[i], err));
    }
    DU_TRY(du_lists_import(into, &theirs, err));
    if (theirs.trusted_root != NULL && theirs.trusted_root_bytes > 0) {
        if (theirs.trusted_root_bytes > 1024 * 1024)
            return DU_FAIL(err, DEFUPD_E_INVALID, "trusted_root: larger than 1 MiB");
        root = malloc((size_t)theirs.trusted_root_bytes);
        if (root == NULL)
            return DU_FAIL(err, DEFUPD_E_NOMEM, "no memory for the options");
        memcpy(root, theirs.trusted_root, (size_t)theirs.trusted_root_bytes);
        into->trusted_root = root;
    }
    return DEFUPD_OK;
}

static defupd_code check(const defupd_client_options *options, defupd_error *err)
{
    static const uint32_t known = DEFUPD_CLIENT_METERED | DEFUPD_CLIENT_REMOVE_WITHDRAWN |
                                  DEFUPD_CLIENT_RELAYS_ONLY | DEFUPD_CLIENT_TRIAL_CONFIRMS;
    const char *const *list;

    if (options->state_dir == NULL || options->state_dir[0] != '/')
        return DU_FAIL(err, DEFUPD_E_INVALID, "state_dir: must be an absolute path, not '%s'",
                       options->state_dir != NULL ? options->state_dir : "");
    if (options->attempts > ATTEMPTS_MAX)
        return DU_FAIL(err, DEFUPD_E_INVALID, "attempts: %u is more than %d", options->attempts,
                       ATTEMPTS_MAX);
    if (options->retention > RETENTION_MAX)
        return DU_FAIL(err, DEFUPD_E_INVALID, "retention: %u is more than %d", options->retention,
                       RETENTION_MAX);
    if ((options->flags & ~known) != 0)
        return DU_FAIL(err, DEFUPD_E_UNSUPPORTED, "flags 0x%x are not known to this library",
                       options->flags & ~known);
    if (options->next_on_success < 0 || options->next_on_failure < 0)
        return DU_FAIL(err, DEFUPD_E_INVALID, "%s: is before 1970",
                       options->next_on_success < 0 ? "next_on_success" : "next_on_failure");
    if (options->max_bytes_per_s != 0 && options->max_bytes_per_s < RATE_MIN)
        return DU_FAIL(err, DEFUPD_E_INVALID, "max_bytes_per_s: %llu is less than %d",
                       (unsigned long long)options->max_bytes_per_s, RATE_MIN);
    if (options->trusted_root == NULL && options->trusted_root_bytes != 0)
        return DU_FAIL(err, DEFUPD_E_INVALID, "trusted_root: is NULL, trusted_root_bytes is not 0");
    for (list = options->components; list != NULL && *list != NULL; list++) {
        if (!du_name_ok(*list))
            return DU_FAIL(err, DEFUPD_E_INVALID, "components: '%s' is not a component's name",
                           *list);
    }
    for (list = options->engines; list != NULL && *list != NULL; list++) {
        const char *equals = strchr(*list, '=');
        if (equals == NULL || equals == *list || equals[1] == '\0')
            return DU_FAIL(err, DEFUPD_E_INVALID, "engines: '%s' is not NAME=VERSION", *list);
    }
    if (options->ring != NULL && strlen(options->ring) > 64)
        return DU_FAIL(err, DEFUPD_E_INVALID, "ring: longer than 64 bytes");
    return du_lists_check(options, err);
}

static defupd_code fill_defaults(defupd_client_options *options, defupd_error *err)
{
    if (options->connect_timeout_ms == 0)
        options->connect_timeout_ms = 10000;
    if (options->stall_timeout_ms == 0)
        options->stall_timeout_ms = 30000;
    if (options->attempts == 0)
        options->attempts = 1;
    if (options->retention == 0)
        options->retention = 1;
    if (options->max_tree_bytes == 0)
        options->max_tree_bytes = 4ULL << 30;
    if (options->user_agent == NULL) {
        options->user_agent = "defupd/" DEFUPD_VERSION;
        DU_TRY(copy_text(&options->user_agent, err));
    }
    return DEFUPD_OK;
}

defupd_code du_options_import(defupd_client_options *into, const defupd_client_options *from,
                              defupd_error *err)
{
    memset(into, 0, sizeof *into);
    if (du_struct_import(into, sizeof *into, from, from->struct_size, OPTIONS_SIZE_MIN,
                         "DEFUPD_CLIENT_OPTIONS_INIT", err) != DEFUPD_OK)
        return du_err_prefix(err, "options");
    into->struct_size = (uint32_t)sizeof *into;
    if (copy_all(into, err) != DEFUPD_OK || check(into, err) != DEFUPD_OK)
        return du_err_prefix(err, "options");
    return fill_defaults(into, err);
}

void du_options_free(defupd_client_options *options)
{
    free((void *)(uintptr_t)options->trusted_root);
    free_text(options->state_dir);
    free_text(options->proxy);
    free_text(options->ca_file);
    free_text(options->ring);
    free_text(options->user_agent);
    free_text(options->trusted_root_name);
    du_lists_free(options);
    free_list(options->sources);
    free_list(options->components);
    free_list(options->engines);
    memset(options, 0, sizeof *options);
}

/* The version that an earlier word than `end` gave the component, 0 when none did. */
static uint64_t version_before(const char *const *list, const char *const *end, const char *name)
{
    char other[DU_NAME_MAX + 1];
    uint64_t version;

    for (; list != end; list++) {
        if (du_component_parse(*list, other, &version) && version != 0 && strcmp(other, name) == 0)
            return version;
    }
    return 0;
}

/* Before anything is locked, asked or recorded: a slip in the call is no failed attempt. */
static defupd_code check_names(const defupd_request *request, defupd_error *err)
{
    const char *const *list = request->components;

    for (; list != NULL && *list != NULL; list++) {
        char name[DU_NAME_MAX + 1];
        uint64_t version, before;

        if (!du_component_parse(*list, name, &version))
            return DU_FAIL(err, DEFUPD_E_INVALID,
                           "'%s' is not a component's name, nor NAME@VERSION", *list);
        if (version == 0)
            continue;
        before = version_before(request->components, list, name);
        if (before != 0 && before != version)
            return DU_FAIL(err, DEFUPD_E_INVALID, "%s is named with two versions", name);
    }
    return DEFUPD_OK;
}

defupd_code du_request_import(defupd_request *into, const defupd_request *from, defupd_error *err)
{
    static const defupd_request none = DEFUPD_REQUEST_INIT;
    static const uint32_t known = DEFUPD_REQUEST_SCHEDULED | DEFUPD_REQUEST_DRY_RUN |
                                  DEFUPD_REQUEST_ACCEPT_QUARANTINED | DEFUPD_REQUEST_OVER_BUDGET |
                                  DEFUPD_REQUEST_REPAIR;

    if (from == NULL)
        from = &none;
    if (du_struct_import(into, sizeof *into, from, from->struct_size, REQUEST_SIZE_MIN,
                         "DEFUPD_REQUEST_INIT", err) != DEFUPD_OK)
        return du_err_prefix(err, "request");
    into->struct_size = (uint32_t)sizeof *into;
    if ((into->flags & ~known) != 0)
        return DU_FAIL(err, DEFUPD_E_UNSUPPORTED,
                       "request: flags 0x%x are not known to this library", into->flags & ~known);
    return check_names(into, err);
}
