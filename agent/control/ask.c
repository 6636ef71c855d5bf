/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire.h"

enum { POLL = 1, HARMLESS = 2 };

/* `joins`: commands with the same letter do the same work. */
static const struct command {
    const char *name;
    char joins;
    unsigned traits;
} commands[] = {
    { "check", 'c', HARMLESS },
    { "update", 'u', HARMLESS | POLL },
    { "forceupdate", 'u', HARMLESS | POLL },
    { "download", 'd', 0 },
    { "install", 'i', 0 },
    { "rollback", 0, 0 }, /* a second one goes further back */
    { "hold", 0, 0 },
    { "unhold", 0, 0 },
    { "pin", 0, 0 },
    { "verify", 'v', 0 },
    { "clean", 'x', 0 },
    { "import", 0, 0 },
    { "confirm", 0, 0 },
    { "reject", 0, 0 },
};

static const struct {
    unsigned flag;
    const char *name;
    const char *option;
} flags[] = {
    { AG_RUN_JSON, "json", NULL },
    { AG_RUN_DRY_RUN, "dry-run", "--dry-run" },
    { AG_RUN_OVER_BUDGET, "over-budget", "--over-budget" },
    { AG_RUN_ACCEPT_QUARANTINED, "accept-quarantined", "--accept-quarantined" },
    { AG_RUN_REPAIR, "repair", "--repair" },
    { AG_RUN_SCHEDULED, "scheduled", "--scheduled" },
    { AG_RUN_DEBUG, "debug", "-vv" },
    { AG_RUN_GIVEN, "given", "--given" },
};
#define FLAGS (sizeof flags / sizeof flags[0])

static const struct command *find(const char *name)
{
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    }
    return NULL;
}

bool ag_ask_known(const char *command)
{
    return find(command) != NULL;
}

const char *ag_flag_option(unsigned flag)
{
    for (size_t i = 0; i < FLAGS; i++) {
        if (flags[i].flag == flag)
            return flags[i].option;
    }
    return NULL;
}

static bool parse_flags(struct ag_ask *ask, char *text)
{
    char *rest = text;

    if (strcmp(text, "-") == 0)
        return true;
    while (rest != NULL) {
        const char *name = strsep(&rest, ",");
        size_t i = 0;

        while (i < FLAGS && strcmp(flags[i].name, name) != 0)
            i++;
        if (i == FLAGS)
            return false;
        ask->flags |= flags[i].flag;
    }
    return true;
}

const char *ag_ask_parse(struct ag_ask *ask, char **words, size_t count)
{
    *ask = (struct ag_ask){ 0 };
    if (count < 2)
        return "a run needs a command and flags";
    if (find(words[0]) == NULL)
        return "the agent does not do this command";
    (void)snprintf(ask->command, sizeof ask->command, "%s", words[0]);
    if (!parse_flags(ask, words[1]))
        return "unknown flag: this agent is of another version";
    for (size_t i = 2; i < count; i++) {
        /* Words become arguments of the worker: none may pass for an option there. */
        if (words[i][0] == '-')
            return "an argument begins with '-'";
        ask->words[ask->count] = strdup(words[i]);
        if (ask->words[ask->count] == NULL)
            return "out of memory";
        ask->count++;
    }
    return NULL;
}

void ag_ask_print(struct ag_out *out, const struct ag_ask *ask)
{
    char word[AG_LINE];
    const char *comma = "";

    ag_out_print(out, "run %s ", ask->command);
    for (size_t i = 0; i < FLAGS; i++) {
        if ((ask->flags & flags[i].flag) != 0) {
            ag_out_print(out, "%s%s", comma, flags[i].name);
            comma = ",";
        }
    }
    if (comma[0] == '\0')
        ag_out_print(out, "-");
    for (size_t i = 0; i < ask->count; i++) {
        if (ag_encode(word, sizeof word, ask->words[i], false) >= sizeof word)
            out->failed = true;
        ag_out_print(out, " %s", word);
    }
    ag_out_print(out, "\n");
}

static bool has_version(const struct ag_ask *ask)
{
    for (size_t i = 0; i < ask->count; i++) {
        if (strchr(ask->words[i], '@') != NULL)
            return true;
    }
    return false;
}

static bool has_word(const struct ag_ask *ask, const char *word)
{
    for (size_t i = 0; i < ask->count; i++) {
        if (strcmp(ask->words[i], word) == 0)
            return true;
    }
    return false;
}

bool ag_ask_covers(const struct ag_ask *run, const struct ag_ask *ask)
{
    const struct command *a = find(run->command), *b = find(ask->command);
    /* These change nothing that is done; but what was not told in detail cannot be told later. */
    const unsigned how = AG_RUN_JSON | AG_RUN_SCHEDULED | (run->flags & AG_RUN_DEBUG);

    if (a == NULL || b == NULL || a->joins == 0 || a->joins != b->joins ||
        ((run->flags ^ ask->flags) & ~how) != 0)
        return false;
    if (run->count == 0)
        return !has_version(ask);
    if (run->count != ask->count)
        return false;
    for (size_t i = 0; i < ask->count; i++) {
        if (!has_word(run, ask->words[i]))
            return false;
    }
    return true;
}

bool ag_ask_is_harmless(const struct ag_ask *ask)
{
    const struct command *command = find(ask->command);

    return command != NULL && (command->traits & HARMLESS) != 0 && !has_version(ask) &&
           (ask->flags & ~(unsigned)(AG_RUN_JSON | AG_RUN_DRY_RUN | AG_RUN_DEBUG)) == 0;
}

bool ag_ask_is_poll(const struct ag_ask *ask)
{
    const struct command *command = find(ask->command);

    return command != NULL && (command->traits & POLL) != 0 && ask->count == 0 &&
           (ask->flags & AG_RUN_DRY_RUN) == 0;
}

void ag_ask_free(struct ag_ask *ask)
{
    for (size_t i = 0; i < ask->count; i++)
        free(ask->words[i]);
    *ask = (struct ag_ask){ 0 };
}
