/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/examples.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "become.h"
#include "fail.h"
#include "policy/embedded.h"

#define MARK "The examples were written once. While this file is here they are not written again.\n"

static const struct example {
    const char *name; /* "/": below the folder of drop-ins */
    const unsigned char *bytes;
    const unsigned long *count;
} examples[] = {
    { "policy.xml.example", ag_embedded_policy, &ag_embedded_policy_bytes },
    { "/proxy.xml.example", ag_embedded_proxy, &ag_embedded_proxy_bytes },
    { "/relays.xml.example", ag_embedded_relays, &ag_embedded_relays_bytes },
    { "/relay.xml.example", ag_embedded_relay, &ag_embedded_relay_bytes },
    { "/hooks.xml.example", ag_embedded_hooks, &ag_embedded_hooks_bytes },
};

static defupd_code cannot(defupd_error *err, const char *what, const char *path)
{
    const int error = errno;
    const defupd_code code = error == ENOSPC || error == EDQUOT ? DEFUPD_E_NO_SPACE
                             : error == EIO                     ? DEFUPD_E_IO
                                                                : DEFUPD_E_CANNOT_CREATE;

    errno = error;
    return AG_FAIL_ERRNO(err, code, "cannot %s %s", what, path);
}

/* A file that is there is somebody's own by now. */
static defupd_code write_example(const struct ag_disk *disk, int dir, const char *name,
                                 const struct example *example, size_t *written, defupd_error *err)
{
    struct stat st;

    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        return DEFUPD_OK;
    if (ag_disk_replace(disk, dir, name, example->bytes, *example->count, 0644, 1) != 0)
        return cannot(err, "write", name);
    (*written)++;
    return DEFUPD_OK;
}

/* Open a folder, made when it is missing. */
static defupd_code open_folder(const struct ag_disk *disk, int parent, const char *name, int *fd,
                               defupd_error *err)
{
    const int flags = O_RDONLY | O_DIRECTORY;

    *fd = disk->openat(parent, name, flags, 0);
    if (*fd < 0 && errno == ENOENT && disk->mkdirat(parent, name, 0755) == 0)
        *fd = disk->openat(parent, name, flags, 0);
    return *fd < 0 ? cannot(err, "create the folder", name) : DEFUPD_OK;
}

static defupd_code write_all(const struct ag_disk *disk, int dir, const char *dropins,
                             size_t *written, defupd_error *err)
{
    defupd_code rc;
    int below;

    AG_TRY(open_folder(disk, dir, dropins, &below, err));
    rc = DEFUPD_OK;
    for (size_t i = 0; i < sizeof examples / sizeof examples[0] && rc == DEFUPD_OK; i++) {
        const bool in = examples[i].name[0] == '/';

        rc = write_example(disk, in ? below : dir, examples[i].name + in, &examples[i], written,
                           err);
    }
    if (rc == DEFUPD_OK && disk->fsync(dir) != 0)
        rc = cannot(err, "sync the folder of", dropins);
    (void)close(below);
    return rc;
}

static defupd_code note(const char *state_dir, const struct ag_owner *owner, defupd_error *err)
{
    defupd_client_options options = DEFUPD_CLIENT_OPTIONS_INIT;
    defupd_client *client = NULL;
    defupd_code rc;

    if (ag_owner_is_other(owner))
        AG_TRY(ag_become(owner, err));
    options.state_dir = state_dir;
    AG_TRY(defupd_client_open(&client, &options, err));
    rc = defupd_client_write_report(client, AG_POLICY_MARKER, MARK, strlen(MARK), err);
    defupd_client_close(client);
    return rc;
}

static bool is_done(const char *state_dir)
{
    char *path;
    bool done = false;

    if (asprintf(&path, "%s/%s", state_dir, AG_POLICY_MARKER) >= 0) {
        done = access(path, F_OK) == 0;
        free(path);
    }
    return done;
}

defupd_code ag_examples_write(const char *state_dir, const char *policy, const struct ag_disk *disk,
                              size_t *written, defupd_error *err)
{
    char *folder = NULL, *dropins = ag_policy_dropins(policy), *name;
    struct ag_owner owner;
    defupd_code rc;
    int dir = -1;

    *written = 0;
    if (is_done(state_dir)) {
        free(dropins);
        return DEFUPD_OK;
    }
    folder = strdup(policy);
    if (folder == NULL || dropins == NULL) {
        rc = AG_FAIL(err, DEFUPD_E_NOMEM, "out of memory while writing examples");
    } else {
        name = strrchr(folder, '/');
        if (name != NULL)
            *name = '\0';
        name = strrchr(dropins, '/');
        rc = ag_owner_find(state_dir, &owner, err);
        if (rc == DEFUPD_OK)
            rc = open_folder(disk, AT_FDCWD, strchr(policy, '/') == NULL ? "." : folder, &dir, err);
        if (rc == DEFUPD_OK)
            rc = write_all(disk, dir, name != NULL ? name + 1 : dropins, written, err);
        if (rc == DEFUPD_OK)
            rc = note(state_dir, &owner, err);
    }
    if (dir >= 0)
        (void)close(dir);
    free(folder);
    free(dropins);
    return rc;
}
