/* SPDX-License-Identifier: Apache-2.0 */
#include "prepare.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "become.h"
#include "fail.h"
#include "files.h"
#include "policy/config.h"

#define ROOT_MAX (1u << 20) /* far above what a root with many keys needs */

static defupd_code keep_text(char **out, const char *text, defupd_error *err)
{
    *out = strdup(text);
    return *out != NULL ? DEFUPD_OK : AG_FAIL(err, DEFUPD_E_NOMEM, "out of memory");
}

static defupd_code read_root(struct ag_setup *setup, const char *path, defupd_error *err)
{
    const char *option = ag_options[AG_OPT_TRUSTED_ROOT].name;

    AG_TRY(ag_file_read(option, path, ROOT_MAX, &setup->trusted_root, &setup->trusted_root_bytes,
                        err));
    if (setup->trusted_root_bytes == 0) /* to the library that means "none given" */
        return AG_FAIL(err, DEFUPD_E_METADATA_FORMAT, "%s %s: the file is empty", option, path);
    return DEFUPD_OK;
}

#define GIVEN 4 /* descriptor of the file that came with an order to the service */

/* A worker gets what its client has opened, with that one's rights and by that one's names. */
static defupd_code open_archive(struct ag_setup *setup, const struct ag_args *args,
                                defupd_error *err)
{
    AG_TRY(ag_path_absolute(&setup->archive, args->words[0], err));
    if (ag_given(args, AG_OPT_GIVEN) && ag_given(args, AG_OPT_WORKER)) {
        setup->archive_fd = fcntl(GIVEN, F_DUPFD_CLOEXEC, GIVEN + 1);
        return setup->archive_fd >= 0
                   ? DEFUPD_OK
                   : AG_FAIL_ERRNO(err, DEFUPD_E_BUG, "%s was not given", setup->archive);
    }
    /* Not blocking, because a pipe may stand in its place. */
    setup->archive_fd = open(setup->archive, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (setup->archive_fd < 0)
        return AG_FAIL_ERRNO(err, DEFUPD_E_IO, "cannot open %s", setup->archive);
    return DEFUPD_OK;
}

/* Everything the operator named, with the operator's rights. */
static defupd_code open_named_files(struct ag_setup *setup, const struct ag_args *args,
                                    const struct ag_owner *owner, defupd_error *err)
{
    const char *root = args->value[AG_OPT_TRUSTED_ROOT], *ca = args->value[AG_OPT_CA_FILE];
    const char *proxy = args->value[AG_OPT_PROXY], *auth = args->value[AG_OPT_PROXY_AUTH_FILE];

    if (root != NULL)
        AG_TRY(read_root(setup, root, err));
    if (ca != NULL)
        AG_TRY(ag_file_keep(ag_options[AG_OPT_CA_FILE].name, ca, ag_owner_is_other(owner),
                            &setup->ca_fd, &setup->ca_file, err));
    if (args->command->id == AG_CMD_IMPORT)
        AG_TRY(open_archive(setup, args, err));
    if (auth != NULL)
        return ag_proxy_auth(proxy, auth, owner->uid, &setup->proxy, err);
    return proxy != NULL ? keep_text(&setup->proxy, proxy, err) : DEFUPD_OK;
}

/* The store has a root of its own since its first contact; the policy's is not needed any more. */
static bool has_root(const struct ag_setup *setup)
{
    char *path;
    bool there = false;

    if (asprintf(&path, "%s/trust/roots", setup->state_dir) >= 0) {
        there = access(path, F_OK) == 0;
        free(path);
    }
    return there;
}

static defupd_code policy_proxy(struct ag_setup *setup, const struct ag_owner *owner,
                                defupd_error *err)
{
    const struct ag_policy *policy = setup->force.policy;
    const struct ag_value *auth = ag_policy_at(policy, "proxy/auth-file");
    const char *url = ag_policy_text(policy, "proxy/url");
    defupd_code rc;
    int fd;

    if (url == NULL || strcmp(url, "none") == 0)
        return DEFUPD_OK;
    if (auth == NULL)
        return keep_text(&setup->proxy, url, err);
    rc = ag_policy_open(&fd, auth->text, owner->uid, true, err);
    if (rc == DEFUPD_OK) {
        (void)close(fd);
        rc = ag_proxy_auth(url, auth->text, owner->uid, &setup->proxy, err);
    }
    return rc == DEFUPD_OK ? rc : ag_at_setting(auth, rc, err);
}

bool ag_asks_sources(const struct ag_args *args)
{
    const enum ag_command_id id = args->command->id;

    return id == AG_CMD_CHECK || id == AG_CMD_UPDATE || id == AG_CMD_FORCEUPDATE ||
           id == AG_CMD_DOWNLOAD || id == AG_CMD_DOCTOR ||
           (id == AG_CMD_VERIFY && ag_given(args, AG_OPT_REPAIR));
}

/* What the policy names and the command line does not, with the operator's rights, too. Only for
 * commands that need it: who merely asks for the status need not be able to read a password. */
static defupd_code open_policy_files(struct ag_setup *setup, const struct ag_args *args,
                                     const struct ag_owner *owner, defupd_error *err)
{
    const struct ag_value *root = ag_policy_at(setup->force.policy, "trust/root");
    const struct ag_value *ca = ag_policy_at(setup->force.policy, "tls/ca-file");
    const bool network = ag_asks_sources(args);
    const bool reports =
        ag_policy_text(setup->force.policy, "report/url") != NULL &&
        ((args->command->traits & AG_CMD_REPORTS) != 0 || args->command->id == AG_CMD_DELIVER);
    defupd_code rc;

    if (root != NULL && setup->trusted_root == NULL &&
        (network || args->command->id == AG_CMD_TRUST || args->command->id == AG_CMD_IMPORT)) {
        rc = read_root(setup, root->text, err);
        if (rc != DEFUPD_OK && (args->trust_reset || !has_root(setup)))
            return ag_at_setting(root, rc, err);
        setup->root_name = root->text;
    }
    if (ca != NULL && setup->ca_file == NULL && (network || reports)) {
        rc = ag_file_keep(ag_options[AG_OPT_CA_FILE].name, ca->text, ag_owner_is_other(owner),
                          &setup->ca_fd, &setup->ca_file, err);
        if (rc != DEFUPD_OK)
            return ag_at_setting(ca, rc, err);
    }
    if (network && setup->force.policy != NULL)
        AG_TRY(ag_ways_read(&setup->ways, setup->force.policy, owner, err));
    return setup->proxy == NULL && network ? policy_proxy(setup, owner, err) : DEFUPD_OK;
}

/* The policy's options, then what the command line puts in their place. */
static defupd_code set_options(defupd_client_options *options, struct ag_setup *setup,
                               const struct ag_args *args, defupd_error *err)
{
    AG_TRY(ag_map_options(&setup->map, options, setup->force.policy, &setup->ways,
                          args->sources[0] != NULL ? args->sources : NULL, err));
    options->state_dir = setup->state_dir;
    options->trusted_root = setup->trusted_root;
    options->trusted_root_bytes = setup->trusted_root_bytes;
    options->trusted_root_name = setup->root_name;
    if (args->sources[0] != NULL && options->source_list == NULL)
        options->sources = args->sources;
    options->proxy = setup->proxy;
    options->ca_file = setup->ca_file;
    if (args->engines[0] != NULL)
        options->engines = args->engines;
    if (ag_given(args, AG_OPT_RING))
        options->ring = args->value[AG_OPT_RING];
    options->lock_wait_ms = args->wait_ms;
    return DEFUPD_OK;
}

defupd_code ag_prepare_options(defupd_client_options *options, struct ag_setup *setup,
                               const struct ag_args *args, defupd_error *err)
{
    const char *state_dir = args->value[AG_OPT_STATE_DIR];
    const char *standard, *config = ag_config_file(args, &standard);
    struct ag_owner owner;
    defupd_code rc;

    *options = (defupd_client_options)DEFUPD_CLIENT_OPTIONS_INIT;
    *setup = (struct ag_setup){ .ca_fd = -1,
                                .archive_fd = -1,
                                .root_name = args->value[AG_OPT_TRUSTED_ROOT] };
    AG_TRY(ag_path_absolute(&setup->state_dir, state_dir != NULL ? state_dir : AG_DEFAULT_STATE_DIR,
                            err));
    AG_TRY(ag_owner_find(setup->state_dir, &owner, err));
    rc = ag_force_load(&setup->force, config, standard, setup->state_dir, owner.uid, err);
    /* A trial keeps its terms in the store: what is wrong with the policy keeps no product down. */
    if (rc != DEFUPD_OK && (args->command->id != AG_CMD_EARLY || rc == DEFUPD_E_NOMEM))
        return rc;
    AG_TRY(open_named_files(setup, args, &owner, err));
    AG_TRY(open_policy_files(setup, args, &owner, err));
    if (ag_owner_is_other(&owner))
        AG_TRY(ag_become(&owner, err));
    AG_TRY(set_options(options, setup, args, err));
    ag_map_report(&setup->report, &setup->force);
    setup->report.ca_file = setup->ca_file;
    return DEFUPD_OK;
}

defupd_code ag_prepare(defupd_client **client, struct ag_setup *setup, const struct ag_args *args,
                       defupd_event_fn on_event, defupd_log_fn on_log, void *user,
                       defupd_error *err)
{
    defupd_client_options options;

    *client = NULL;
    AG_TRY(ag_prepare_options(&options, setup, args, err));
    options.on_event = on_event;
    options.event_user = user;
    options.on_log = on_log;
    options.log_user = user;
    options.on_hook = args->on_hook;
    options.hook_user = args->hook_user;
    options.next_on_success = args->next_on_success;
    options.next_on_failure = args->next_on_failure;
    setup->options = options;
    return defupd_client_open(client, &options, err);
}

void ag_setup_free(struct ag_setup *setup)
{
    if (setup->ca_fd >= 0)
        (void)close(setup->ca_fd);
    if (setup->archive_fd >= 0)
        (void)close(setup->archive_fd);
    if (setup->proxy != NULL)
        explicit_bzero(setup->proxy, strlen(setup->proxy));
    free(setup->state_dir);
    free(setup->trusted_root);
    free(setup->ca_file);
    free(setup->archive);
    free(setup->proxy);
    ag_map_free(&setup->map);
    ag_ways_free(&setup->ways);
    ag_force_free(&setup->force);
    *setup = (struct ag_setup){ .ca_fd = -1, .archive_fd = -1 };
}
