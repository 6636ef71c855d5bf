/* SPDX-License-Identifier: Apache-2.0 */
#include "readable.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

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
static const char *source_url(const struct ag_setup *setup, const struct ag_args *args,
                              size_t index, const char **object)
{
    const defupd_source *const *list = (const defupd_source *const *)setup->map.sources;

    *object = NULL;
    if (list == NULL)
        return args->sources[index];
    if (list[index] == NULL)
        return NULL;
    *object = list[index]->object_url;
    return list[index]->url;
}

static void add(struct ag_readable *out, const char *path)
{
    for (size_t i = 0; i < out->count; i++) {
        if (path != NULL && strcmp(out->path[i], path) == 0)
            return;
    }
    if (path != NULL && out->count < AG_READABLE)
        out->path[out->count++] = path;
}

/* What the ways to the sources are made of. */
static void add_certificates(struct ag_readable *out, const struct ag_setup *setup)
{
    const defupd_source *const *list = (const defupd_source *const *)setup->map.sources;

    for (; list != NULL && *list != NULL; list++) {
        add(out, (*list)->ca_file);
        add(out, (*list)->client_cert);
        add(out, (*list)->client_key);
        add(out, (*list)->crl_file);
    }
}

void ag_readable_gather(struct ag_readable *out, const struct ag_setup *setup,
                        const struct ag_args *args)
{
    const char *url, *object;

    *out = (struct ag_readable){ .count = 0 };
    add(out, setup->ca_file);
    if (setup->archive_fd >= 0) { /* a folder's files are opened as wanted */
        (void)snprintf(out->archive, sizeof out->archive, "/proc/self/fd/%d", setup->archive_fd);
        add(out, out->archive);
    }
    for (size_t i = 0; (url = source_url(setup, args, i, &object)) != NULL; i++) {
        const char *const both[] = { url, object };

        for (size_t k = 0; k < 2 && out->owned < AG_READABLE; k++) {
            char *path = both[k] != NULL ? file_source(both[k]) : NULL;

            if (path != NULL)
                add(out, out->own[out->owned++] = path);
        }
    }
    add_certificates(out, setup);
}

void ag_readable_free(struct ag_readable *readable)
{
    while (readable->owned > 0)
        free(readable->own[--readable->owned]);
    *readable = (struct ag_readable){ .count = 0 };
}
