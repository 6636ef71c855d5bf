/* SPDX-License-Identifier: Apache-2.0 */
/* --help from the table. */
#include <ctype.h>
#include <string.h>

#include "command.h"
#include "text.h"

#define BRIEF_AT                                                                    \
    24 /* the column of the short descriptions; a longer form has a line of its own \
        */

static void option_help(FILE *out, const struct ag_option *option)
{
    char left[64];

    if (option->letter != 0)
        (void)snprintf(left, sizeof left, "-%c, --%s", option->letter, option->name);
    else
        (void)snprintf(left, sizeof left, "--%s%s%s", option->name, option->arg != NULL ? " " : "",
                       option->arg != NULL ? option->arg : "");
    (void)fprintf(out, "  %s\n", left);
    ag_wrap(out, 6, option->help);
}

static void options_help(FILE *out, uint32_t wanted)
{
    for (size_t i = 0; i < AG_OPT_COUNT; i++) {
        if ((wanted & AG_BIT(i)) != 0 && ag_options[i].help != NULL)
            option_help(out, &ag_options[i]);
    }
}

void ag_help(FILE *out)
{
    (void)fputs("Usage: defupd [OPTION]... COMMAND [ARGUMENT]...\n\n", out);
    ag_wrap(out, 0,
            "Keep security definitions up to date: fetched, verified against the publisher's "
            "signatures, installed as one set, and taken back when that is needed.");
    (void)fputs("\nCommands (C is a component, V a version):\n", out);
    for (size_t i = 0; i < AG_CMD_COUNT; i++) {
        const struct ag_command *command = &ag_commands[i];
        char left[64];

        (void)snprintf(left, sizeof left, "%s %s", command->name, command->synopsis);
        if (strlen(left) < BRIEF_AT)
            (void)fprintf(out, "  %-*s%s\n", BRIEF_AT, left, command->brief);
        else
            (void)fprintf(out, "  %s\n  %-*s%s\n", left, BRIEF_AT, "", command->brief);
    }
    (void)fputs("\nOptions, before or after the command:\n", out);
    options_help(out, AG_OPTS_COMMON);
    (void)fputs("\n'defupd help COMMAND' tells more about a command.\n", out);
}

void ag_help_command(FILE *out, const struct ag_command *command)
{
    (void)fprintf(out, "Usage: defupd [OPTION]... %s%s%s\n\n", command->name,
                  command->synopsis[0] != '\0' ? " " : "", command->synopsis);
    (void)fprintf(out, "%c%s.\n", toupper((unsigned char)command->brief[0]), command->brief + 1);
    (void)fputc('\n', out);
    ag_wrap(out, 0, command->text);
    if (command->options != 0) {
        (void)fputs("\nOptions:\n", out);
        options_help(out, command->options);
    }
    (void)fputs("\nOptions of all commands: defupd help\n", out);
}
