/* SPDX-License-Identifier: Apache-2.0 */
/* The command line, read once: what was asked, checked as far as it can be without looking at
 * anything else. */
#ifndef AG_OPTIONS_H
#define AG_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <defupd/client.h>

#include "command.h"

#define AG_DEFAULT_STATE_DIR "/var/lib/defupd"

/* What `config` is asked for. */
enum ag_config_id {
    AG_CONFIG_SHOW,
    AG_CONFIG_TEST,
    AG_CONFIG_EXPORT,
    AG_CONFIG_INIT,
    AG_CONFIG_COMPILE
};

/* Strings point into the arguments that were parsed. */
struct ag_args {
    const struct ag_command *command;      /* never NULL after success */
    const struct ag_command *help_command; /* for "help COMMAND"; NULL: help on all */
    const char *value[AG_OPT_COUNT];       /* of options that take one value, NULL if not given */
    const char **words;                    /* of the command, NULL-terminated */
    const char **sources;                  /* NULL-terminated */
    const char **engines;                  /* NULL-terminated */
    size_t word_count;
    uint32_t given; /* AG_BIT()s of all options given */
    uint32_t wait_ms;
    uint64_t grace_s;     /* with AG_OPT_GRACE */
    unsigned verbose;     /* number of -v */
    uint64_t pin_version; /* for pin */
    char pin_name[33];
    /* What the service adds with --worker: the schedule's next poll by outcome (Unix seconds, 0: no
     * schedule), and who is asked about installing. */
    int64_t next_on_success, next_on_failure;
    defupd_hook_fn on_hook;
    void *hook_user;
    bool trust_reset; /* for trust */
    enum ag_config_id config;
};

static inline bool ag_given(const struct ag_args *args, enum ag_option_id option)
{
    return (args->given & AG_BIT(option)) != 0;
}

/* Read the arguments (without the program's name). On failure, DEFUPD_E_INVALID with one clear
 * line. `args` is freed by ag_args_free() in either case. */
DEFUPD_MUST_CHECK defupd_code ag_args_parse(struct ag_args *args, char *const *argv,
                                            defupd_error *err);
void ag_args_free(struct ag_args *args);

/* "tetra" or "tetra@1003": name and version (0: none). False when it is neither. */
bool ag_component_parse(const char *word, char name[33], uint64_t *version);

/* A URL for messages: user and password are masked. Cut at `size`. Returns out. */
const char *ag_url_shown(char *out, size_t size, const char *url);

/* Overwrite what can be a secret in the process's own arguments: everything before an '@' in what
 * looks like a URL. Proxies and sources must be copied before. */
void ag_args_blank(int argc, char **argv);

#endif
