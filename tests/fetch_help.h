/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of fetch/ share. */
#ifndef FETCH_HELP_H
#define FETCH_HELP_H

#include <stdarg.h>

#include "fetch/fetch.h"
#include "server.h"

static inline void help_write(const char *name, const void *bytes, size_t count)
{
    FILE *file = fopen(name, "w");

    if (file == NULL || fwrite(bytes, 1, count, file) != count || fclose(file) != 0)
        abort();
}

/* The lines of rules.txt, which a liar reads before every answer. */
static inline void help_rules(const char *lines)
{
    help_write("rules.txt", lines, strlen(lines));
}

/* A liar over the current directory, with one file there, and rules up to a NULL. */
static inline struct server help_liar(const char *name, const char *text, ...)
{
    const char *rules[20];
    size_t count = 0;
    va_list args;

    help_write(name, text, strlen(text));
    va_start(args, text);
    while (count < 20 && (rules[count] = va_arg(args, const char *)) != NULL)
        count++;
    va_end(args);
    return server_liar(".", rules);
}

/* Long enough that no busy machine takes an answer for a stall: only tests that wait for one set
 * less. */
#define HELP_PATIENT_MS 60000
#define HELP_HASTY_MS 300

/* This machine and that server, where the options say nothing else. */
static inline struct du_fetch *help_fetch_with(const struct server *server,
                                               struct du_fetch_options options)
{
    const char *sources[] = { server != NULL ? server->url : NULL, NULL };
    struct du_fetch *fetch = NULL;
    defupd_error err = { 0 };

    if (options.sys == NULL)
        options.sys = &du_sys_posix;
    if (options.sources == NULL)
        options.sources = sources;
    if (options.stall_timeout_ms == 0)
        options.stall_timeout_ms = HELP_PATIENT_MS;
    T_OK(du_fetch_new(&fetch, &options, &err), &err);
    if (fetch == NULL)
        abort();
    return fetch;
}

static inline struct du_fetch *help_fetch(const struct server *server, const char *proxy)
{
    return help_fetch_with(server, (struct du_fetch_options){ .proxy = proxy });
}

#endif
