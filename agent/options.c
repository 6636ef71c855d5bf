/* SPDX-License-Identifier: Apache-2.0 */
#include "options.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fail.h"

#define VERSION_MAX UINT64_C(9007199254740991) /* 2^53 - 1, as the formats say */

#define USAGE(err, ...) AG_FAIL((err), DEFUPD_E_INVALID, __VA_ARGS__)

static bool number(const char *text, uint64_t max, uint64_t *out)
{
    uint64_t n = 0;

    if (*text == '\0' || (*text == '0' && text[1] != '\0'))
        return false;
    for (; *text != '\0'; text++) {
        const unsigned digit = (unsigned)*text - '0';

        if (digit > 9 || n > (max - digit) / 10)
            return false;
        n = n * 10 + digit;
    }
    *out = n;
    return true;
}

bool ag_component_parse(const char *word, char name[33], uint64_t *version)
{
    const size_t length = strspn(word, "abcdefghijklmnopqrstuvwxyz0123456789-");

    if (length == 0 || length > 32 || word[0] < 'a' || word[0] > 'z')
        return false;
    *version = 0;
    if (word[length] == '@' ? !number(word + length + 1, VERSION_MAX, version) || *version == 0
                            : word[length] != '\0')
        return false;
    memcpy(name, word, length);
    name[length] = '\0';
    return true;
}

/* Start of the authority: past "://", or the whole when there is no scheme. */
static const char *past_scheme(const char *url)
{
    const char *mark = strstr(url, "://");

    return mark != NULL ? mark + 3 : url;
}

const char *ag_url_shown(char *out, size_t size, const char *url)
{
    const char *rest = past_scheme(url);
    const char *at = strrchr(rest, '@'); /* the last: a password may hold one too */

    (void)snprintf(out, size, "%.*s%s%s", (int)(rest - url), url, at != NULL ? "***@" : "",
                   at != NULL ? at + 1 : rest);
    return out;
}

void ag_args_blank(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        char *scheme = strstr(argv[i], "://");
        char *equals = argv[i][0] == '-' ? strchr(argv[i], '=') : NULL;
        char *from = scheme != NULL ? scheme + 3 : equals != NULL ? equals + 1 : argv[i];
        char *at = strrchr(from, '@');

        /* Without scheme it is a proxy's user:password@host, or else a component@version. */
        if (at != NULL && (scheme != NULL || memchr(from, ':', (size_t)(at - from)) != NULL))
            memset(from, '*', (size_t)(at - from));
    }
}

static defupd_code unknown_option(const char *arg, defupd_error *err)
{
    char name[64];
    const char *near;

    (void)snprintf(name, sizeof name, "%.*s", (int)strcspn(arg + 2, "="), arg + 2);
    near = ag_option_nearest(name);
    if (near != NULL)
        return USAGE(err, "unknown option '--%s': did you mean '--%s'?", name, near);
    return USAGE(err, "unknown option '--%s'; see 'defupd help'", name);
}

/* Note that an option was given, with its value if it takes one. */
static defupd_code take(struct ag_args *args, const struct ag_option *option, const char *value,
                        defupd_error *err)
{
    size_t n = 0;

    if (ag_given(args, option->id) && !option->many)
        return USAGE(err, "--%s is given twice", option->name);
    if (value != NULL && value[0] == '\0')
        return USAGE(err, "--%s needs a %s that is not empty", option->name, option->arg);
    args->given |= AG_BIT(option->id);
    if (option->id == AG_OPT_VERBOSE)
        args->verbose++;
    if (option->id == AG_OPT_SOURCE || option->id == AG_OPT_ENGINE) {
        const char **list = option->id == AG_OPT_SOURCE ? args->sources : args->engines;

        while (list[n] != NULL)
            n++;
        list[n] = value; /* there is room for every argument */
    }
    args->value[option->id] = value;
    return DEFUPD_OK;
}

/* One argument that begins with "--"; `next` is the one after it. *used: 1 when next was taken. */
static defupd_code long_option(struct ag_args *args, const char *arg, const char *next, int *used,
                               defupd_error *err)
{
    const size_t length = strcspn(arg + 2, "=");
    const struct ag_option *option = ag_option_find(arg + 2, length);
    const char *value = arg[2 + length] == '=' ? arg + 2 + length + 1 : NULL;

    *used = 0;
    if (option == NULL)
        return unknown_option(arg, err);
    if (option->arg == NULL && value != NULL)
        return USAGE(err, "--%s takes no value", option->name);
    if (option->arg != NULL && value == NULL) {
        if (next == NULL || (next[0] == '-' && next[1] != '\0'))
            return USAGE(err, "--%s needs a %s", option->name, option->arg);
        value = next;
        *used = 1;
    }
    return take(args, option, value, err);
}

/* -q, -v, -h, also together as in -vv; one with a value is the last of them: -oFILE, -o FILE.
 * *used: 1 when `next` was taken. */
static defupd_code letters(struct ag_args *args, const char *arg, const char *next, int *used,
                           defupd_error *err)
{
    *used = 0;
    for (const char *c = arg + 1; *c != '\0'; c++) {
        const struct ag_option *option = ag_option_letter(*c);

        if (option == NULL)
            return USAGE(err, "unknown option '%s'; see 'defupd help'", arg);
        if (option->arg != NULL) {
            *used = c[1] == '\0';
            if (*used && (next == NULL || (next[0] == '-' && next[1] != '\0')))
                return USAGE(err, "-%c needs a %s", *c, option->arg);
            return take(args, option, *used ? next : c + 1, err);
        }
        AG_TRY(take(args, option, NULL, err));
    }
    return DEFUPD_OK;
}

static defupd_code set_command(struct ag_args *args, enum ag_command_id id, const char *arg,
                               defupd_error *err)
{
    if (args->command != NULL)
        return USAGE(err, "'%s' and '%s' are two commands: give one", args->command->name, arg);
    args->command = &ag_commands[id];
    return DEFUPD_OK;
}

static defupd_code word(struct ag_args *args, const char *arg, defupd_error *err)
{
    const struct ag_command *command;
    const char *near;

    if (args->command != NULL) {
        args->words[args->word_count++] = arg;
        return DEFUPD_OK;
    }
    command = ag_command_find(arg);
    if (command != NULL)
        return set_command(args, command->id, arg, err);
    near = ag_command_nearest(arg);
    if (near != NULL)
        return USAGE(err, "unknown command '%.64s': did you mean '%s'?", arg, near);
    return USAGE(err, "unknown command '%.64s'; see 'defupd help'", arg);
}

static defupd_code read_all(struct ag_args *args, char *const *argv, defupd_error *err)
{
    bool options_end = false;

    for (; *argv != NULL; argv++) {
        const char *arg = *argv;

        if (options_end || arg[0] != '-' || arg[1] == '\0') {
            AG_TRY(word(args, arg, err));
        } else if (strcmp(arg, "--") == 0) {
            options_end = true;
        } else if (strcmp(arg, "--forceupdate") == 0 || strcmp(arg, "-forceupdate") == 0) {
            AG_TRY(set_command(args, AG_CMD_FORCEUPDATE, arg, err));
        } else if (strcmp(arg, "--version") == 0) {
            AG_TRY(set_command(args, AG_CMD_VERSION, arg, err));
        } else if (arg[1] == '-') {
            int used;
            AG_TRY(long_option(args, arg, argv[1], &used, err));
            argv += used;
        } else {
            int used;
            AG_TRY(letters(args, arg, argv[1], &used, err));
            argv += used;
        }
    }
    return DEFUPD_OK;
}

static defupd_code check_component(const struct ag_args *args, const char *text, bool may_version,
                                   bool *versioned, defupd_error *err)
{
    char name[33];
    uint64_t version;

    if (!ag_component_parse(text, name, &version))
        return USAGE(err, "'%.80s' is not a component%s", text,
                     may_version ? " (NAME or NAME@VERSION)" : "'s name");
    if (version != 0 && !may_version)
        return USAGE(err, "'%s' takes a component without version: '%s'", args->command->name,
                     name);
    *versioned = *versioned || version != 0;
    return DEFUPD_OK;
}

static defupd_code check_pin(struct ag_args *args, defupd_error *err)
{
    if (args->word_count != 1)
        return USAGE(err, "'pin' needs one component with its version: defupd pin C@V");
    if (!ag_component_parse(args->words[0], args->pin_name, &args->pin_version) ||
        args->pin_version == 0)
        return USAGE(err, "'%.80s' is not a component with its version (NAME@VERSION)",
                     args->words[0]);
    return DEFUPD_OK;
}

static defupd_code check_help(struct ag_args *args, defupd_error *err)
{
    const char *near;

    if (args->word_count > 1)
        return USAGE(err, "'help' takes one command at most");
    if (args->word_count == 0)
        return DEFUPD_OK;
    args->help_command = ag_command_find(args->words[0]);
    if (args->help_command != NULL)
        return DEFUPD_OK;
    near = ag_command_nearest(args->words[0]);
    if (near != NULL)
        return USAGE(err, "unknown command '%.64s': did you mean '%s'?", args->words[0], near);
    return USAGE(err, "unknown command '%.64s'; see 'defupd help'", args->words[0]);
}

static defupd_code check_config(struct ag_args *args, defupd_error *err)
{
    static const char *const names[] = { "show", "test", "export", "init", "compile", NULL };
    const char *name = args->word_count > 0 ? args->words[0] : "";
    size_t at = 0;

    while (names[at] != NULL && strcmp(names[at], name) != 0)
        at++;
    if (names[at] == NULL)
        return USAGE(err, "'config' needs one word: show, test, export or init");
    args->config = (enum ag_config_id)at;
    if (args->word_count > (args->config == AG_CONFIG_TEST ? 2u : 1u))
        return USAGE(err, "'config %s' takes %s: '%.80s'", name,
                     args->config == AG_CONFIG_TEST ? "one file at most" : "no argument",
                     args->words[args->word_count - 1]);
    return DEFUPD_OK;
}

/* Number and form of the command's words. */
static defupd_code check_words(struct ag_args *args, defupd_error *err)
{
    const struct ag_command *command = args->command;
    const bool may_version = command->words == AG_WORDS_VERSIONS;
    bool versioned = false;

    switch (command->words) {
    case AG_WORDS_PIN: return check_pin(args, err);
    case AG_WORDS_COMMAND: return check_help(args, err);
    case AG_WORDS_CONFIG: return check_config(args, err);
    case AG_WORDS_FILES:
        if (args->word_count == 0)
            return USAGE(err, "'%s' needs a file: defupd %s %s", command->name, command->name,
                         command->synopsis);
        return DEFUPD_OK;
    case AG_WORDS_PATH:
        if (args->word_count != 1 || args->words[0][0] == '\0')
            return USAGE(err, "'%s' needs one archive: defupd %s ARCHIVE", command->name,
                         command->name);
        return DEFUPD_OK;
    case AG_WORDS_TRUST:
        if (args->word_count != 1 ||
            (strcmp(args->words[0], "show") != 0 && strcmp(args->words[0], "reset") != 0))
            return USAGE(err, "'trust' needs one word: show or reset");
        args->trust_reset = strcmp(args->words[0], "reset") == 0;
        return DEFUPD_OK;
    case AG_WORDS_NONE:
        if (args->word_count > 0)
            return USAGE(err, "'%s' takes no argument: '%.80s'", command->name, args->words[0]);
        return DEFUPD_OK;
    case AG_WORDS_ONE:
        if (args->word_count != 1)
            return USAGE(err, "'%s' needs one component: defupd %s C", command->name,
                         command->name);
        break;
    case AG_WORDS_MAYBE_ONE:
        if (args->word_count > 1)
            return USAGE(err, "'%s' takes one component at most", command->name);
        break;
    case AG_WORDS_COMPONENTS:
    case AG_WORDS_VERSIONS: break;
    }
    for (size_t i = 0; i < args->word_count; i++)
        AG_TRY(check_component(args, args->words[i], may_version, &versioned, err));
    if (!versioned && ag_given(args, AG_OPT_ACCEPT_QUARANTINED))
        return USAGE(err, "--accept-quarantined needs a named version: C@V");
    if (!versioned && ag_given(args, AG_OPT_OVER_BUDGET))
        return USAGE(err, "--over-budget needs a named version: C@V");
    return DEFUPD_OK;
}

static bool scheme_is(const char *url, const char *const *schemes)
{
    for (; *schemes != NULL; schemes++) {
        const size_t length = strlen(*schemes);
        if (strncasecmp(url, *schemes, length) == 0 && strncmp(url + length, "://", 3) == 0 &&
            url[length + 3] != '\0')
            return true;
    }
    return false;
}

static defupd_code check_values(struct ag_args *args, defupd_error *err)
{
    static const char *const schemes[] = { "http", "https", "file", NULL };
    static const char *const proxy_schemes[] = { "http", "https", "socks5", "socks5h", NULL };
    char shown[200];
    uint64_t seconds, days;

    for (size_t i = 0; args->sources[i] != NULL; i++) {
        if (args->sources[i][0] == '/')
            return USAGE(err, "--source needs a URL: for a directory say file://%.120s",
                         args->sources[i]);
        if (!scheme_is(args->sources[i], schemes))
            return USAGE(err, "--source '%s' is not an http, https or file URL",
                         ag_url_shown(shown, sizeof shown, args->sources[i]));
    }
    if (ag_given(args, AG_OPT_PROXY) && !scheme_is(args->value[AG_OPT_PROXY], proxy_schemes))
        return USAGE(err,
                     "--proxy '%s' is not of the form http://HOST:PORT, or with https, socks5, "
                     "socks5h",
                     ag_url_shown(shown, sizeof shown, args->value[AG_OPT_PROXY]));
    for (size_t i = 0; args->engines[i] != NULL; i++) {
        const char *equals = strchr(args->engines[i], '=');
        if (equals == NULL || equals == args->engines[i] || equals[1] == '\0')
            return USAGE(err, "--engine '%.80s' is not of the form NAME=VERSION", args->engines[i]);
    }
    if (ag_given(args, AG_OPT_WAIT)) {
        if (!number(args->value[AG_OPT_WAIT], UINT32_MAX / 1000, &seconds))
            return USAGE(err, "--wait '%.40s' is not a number of seconds",
                         args->value[AG_OPT_WAIT]);
        args->wait_ms = (uint32_t)(seconds * 1000);
    }
    if (ag_given(args, AG_OPT_GRACE)) {
        if (!number(args->value[AG_OPT_GRACE], 366, &days))
            return USAGE(err, "--grace '%.40s' is not a number of days from 0 to 366",
                         args->value[AG_OPT_GRACE]);
        args->grace_s = days * 24 * 60 * 60;
    }
    if (ag_given(args, AG_OPT_QUIET) && ag_given(args, AG_OPT_VERBOSE))
        return USAGE(err, "--quiet and --verbose contradict each other");
    if (ag_given(args, AG_OPT_PROXY_AUTH_FILE) && !ag_given(args, AG_OPT_PROXY))
        return USAGE(err, "--proxy-auth-file needs --proxy");
    return DEFUPD_OK;
}

static defupd_code check_fit(const struct ag_args *args, defupd_error *err)
{
    const uint32_t foreign = args->given & ~(AG_OPTS_COMMON | args->command->options);

    for (size_t i = 0; i < AG_OPT_COUNT; i++) {
        if ((foreign & AG_BIT(i)) != 0)
            return USAGE(err, "--%s does not go with '%s'", ag_options[i].name,
                         args->command->name);
    }
    return DEFUPD_OK;
}

defupd_code ag_args_parse(struct ag_args *args, char *const *argv, defupd_error *err)
{
    size_t count = 0;

    *args = (struct ag_args){ 0 };
    while (argv[count] != NULL)
        count++;
    args->words = calloc(count + 1, sizeof *args->words);
    args->sources = calloc(count + 1, sizeof *args->sources);
    args->engines = calloc(count + 1, sizeof *args->engines);
    if (args->words == NULL || args->sources == NULL || args->engines == NULL)
        return AG_FAIL(err, DEFUPD_E_NOMEM, "out of memory");
    AG_TRY(read_all(args, argv, err));
    if (ag_given(args, AG_OPT_HELP)) { /* whatever else is there, help is what is wanted */
        args->help_command = args->command;
        args->command = &ag_commands[AG_CMD_HELP];
        return DEFUPD_OK;
    }
    if (args->command == NULL)
        return USAGE(err, "no command given; see 'defupd help'");
    AG_TRY(check_fit(args, err));
    AG_TRY(check_words(args, err));
    return check_values(args, err);
}

void ag_args_free(struct ag_args *args)
{
    free(args->words);
    free(args->sources);
    free(args->engines);
    *args = (struct ag_args){ 0 };
}
