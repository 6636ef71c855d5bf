/* SPDX-License-Identifier: Apache-2.0 */
#include "prepare.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "become.h"
#include "fail.h"
#include "files.h"

#define ROOT_MAX (1u << 20) /* far above what a root with many keys needs */

static defupd_code absolute(char **out, const char *path, defupd_error *err)
{
    char *here = NULL;
    int made;

    if (path[0] == '/') {
        *out = strdup(path);
        return *out != NULL ? DEFUPD_OK : AG_FAIL(err, DEFUPD_E_NOMEM, "out of memory");
    }
    here = getcwd(NULL, 0);
    if (here == NULL)
        return AG_FAIL_ERRNO(err, DEFUPD_E_IO, "cannot tell the working directory for %s", path);
    made = asprintf(out, "%s/%s", here, path);
    free(here);
    if (made < 0) {
        *out = NULL;
        return AG_FAIL(err, DEFUPD_E_NOMEM, "out of memory");
    }
    return DEFUPD_OK;
}

/* Everything the operator named, with the operator's rights. */
static defupd_code open_named_files(struct ag_setup *setup, const struct ag_args *args,
                                    const struct ag_owner *owner, defupd_error *err)
{
    const char *root = args->value[AG_OPT_TRUSTED_ROOT], *ca = args->value[AG_OPT_CA_FILE];
    const char *proxy = args->value[AG_OPT_PROXY], *auth = args->value[AG_OPT_PROXY_AUTH_FILE];

    if (root != NULL)
        AG_TRY(ag_file_read(ag_options[AG_OPT_TRUSTED_ROOT].name, root, ROOT_MAX,
                            &setup->trusted_root, &setup->trusted_root_bytes, err));
    if (root != NULL && setup->trusted_root_bytes == 0) /* to the library that means "none given" */
        return AG_FAIL(err, DEFUPD_E_METADATA_FORMAT, "%s %s: the file is empty",
                       ag_options[AG_OPT_TRUSTED_ROOT].name, root);
    if (ca != NULL)
        AG_TRY(ag_file_keep(ag_options[AG_OPT_CA_FILE].name, ca, ag_owner_is_other(owner),
                            &setup->ca_fd, &setup->ca_file, err));
    if (auth != NULL)
        return ag_proxy_auth(proxy, auth, owner->uid, &setup->proxy, err);
    if (proxy != NULL) {
        setup->proxy = strdup(proxy);
        if (setup->proxy == NULL)
            return AG_FAIL(err, DEFUPD_E_NOMEM, "out of memory");
    }
    return DEFUPD_OK;
}

defupd_code ag_prepare(defupd_client **client, struct ag_setup *setup, const struct ag_args *args,
                       defupd_event_fn on_event, defupd_log_fn on_log, void *user,
                       defupd_error *err)
{
    defupd_client_options options = DEFUPD_CLIENT_OPTIONS_INIT;
    const char *state_dir = args->value[AG_OPT_STATE_DIR];
    struct ag_owner owner;

    *client = NULL;
    *setup = (struct ag_setup){ .ca_fd = -1 };
    if (ag_given(args, AG_OPT_CONFIG))
        return AG_FAIL(err, DEFUPD_E_UNSUPPORTED, "--config %s: this version reads no policy file",
                       args->value[AG_OPT_CONFIG]);
    AG_TRY(absolute(&setup->state_dir, state_dir != NULL ? state_dir : AG_DEFAULT_STATE_DIR, err));
    AG_TRY(ag_owner_find(setup->state_dir, &owner, err));
    AG_TRY(open_named_files(setup, args, &owner, err));
    if (ag_owner_is_other(&owner))
        AG_TRY(ag_become(&owner, err));

    options.state_dir = setup->state_dir;
    options.trusted_root = setup->trusted_root;
    options.trusted_root_bytes = setup->trusted_root_bytes;
    options.trusted_root_name = args->value[AG_OPT_TRUSTED_ROOT];
    options.sources = args->sources[0] != NULL ? args->sources : NULL;
    options.proxy = setup->proxy;
    options.ca_file = setup->ca_file;
    options.engines = args->engines[0] != NULL ? args->engines : NULL;
    options.ring = args->value[AG_OPT_RING];
    options.lock_wait_ms = args->wait_ms;
    options.on_event = on_event;
    options.event_user = user;
    options.on_log = on_log;
    options.log_user = user;
    options.on_hook = args->on_hook;
    options.hook_user = args->hook_user;
    options.next_on_success = args->next_on_success;
    options.next_on_failure = args->next_on_failure;
    return defupd_client_open(client, &options, err);
}

void ag_setup_free(struct ag_setup *setup)
{
    if (setup->ca_fd >= 0)
        (void)close(setup->ca_fd);
    if (setup->proxy != NULL)
        explicit_bzero(setup->proxy, strlen(setup->proxy));
    free(setup->state_dir);
    free(setup->trusted_root);
    free(setup->ca_file);
    free(setup->proxy);
    *setup = (struct ag_setup){ .ca_fd = -1 };
}
