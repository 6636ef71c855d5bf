/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "confine.h"
#include "run_priv.h"

#define READABLE 128 /* files and folders that a worker may read beside the system's */

/* The folder of a file URL, yours to free(); NULL for others. */
static char *file_source(const char *url)
{
    char *path;
    unsigned byte;

    if (strncasecmp(url, "file://", 7) != 0)
        return NULL;
    path = strdup(strchr(url + 7, '/') != NULL ? strchr(url + 7, '/') : "/");
    for (char *c = path; c != NULL && *c != '\0'; c++) {
        if (*c == '%' && sscanf(c + 1, "%2x", &byte) == 1 && c[1] != '\0' && c[2] != '\0') {
            *c = (char)byte;
            memmove(c + 1, c + 3, strlen(c + 3) + 1);
        }
    }
    return path;
}

/* The sources in use, by number; `object` is where a policy says that its objects are, or NULL. */
static const char *source_url(const struct run *run, size_t index, const char **object)
{
    const defupd_source *const *list = (const defupd_source *const *)run->setup.map.sources;

    *object = NULL;
    if (list == NULL)
        return run->args.sources[index];
    if (list[index] == NULL)
        return NULL;
    *object = list[index]->object_url;
    return list[index]->url;
}

static void add_readable(const char **readable, size_t *count, const char *path)
{
    for (size_t i = 0; i < *count; i++) {
        if (path != NULL && strcmp(readable[i], path) == 0)
            return;
    }
    if (path != NULL && *count < READABLE)
        readable[(*count)++] = path;
}

/* What the ways to the sources are made of. */
static void add_certificates(const struct run *run, const char **readable, size_t *count)
{
    const defupd_source *const *list = (const defupd_source *const *)run->setup.map.sources;

    for (; list != NULL && *list != NULL; list++) {
        add_readable(readable, count, (*list)->ca_file);
        add_readable(readable, count, (*list)->client_cert);
        add_readable(readable, count, (*list)->client_key);
        add_readable(readable, count, (*list)->crl_file);
    }
}

/* The worker's fence; it still reads what the policy and the command name. */
defupd_code ag_run_confine(const struct run *run, defupd_error *err)
{
    const char *readable[READABLE + 1] = { NULL };
    char *source[READABLE] = { NULL };
    size_t count = 0, sources = 0;
    char archive[32];
    const char *url, *object;
    defupd_code rc;

    add_readable(readable, &count, run->setup.ca_file);
    if (run->setup.archive_fd >= 0) { /* a folder's files are opened as wanted */
        (void)snprintf(archive, sizeof archive, "/proc/self/fd/%d", run->setup.archive_fd);
        add_readable(readable, &count, archive);
    }
    for (size_t i = 0; (url = source_url(run, i, &object)) != NULL; i++) {
        const char *const both[] = { url, object };

        for (size_t k = 0; k < 2 && sources < READABLE; k++) {
            char *path = both[k] != NULL ? file_source(both[k]) : NULL;

            if (path != NULL)
                add_readable(readable, &count, source[sources++] = path);
        }
    }
    add_certificates(run, readable, &count);
    rc = ag_confine(run->setup.state_dir, readable, err);
    while (sources > 0)
        free(source[--sources]);
    return rc;
}
