/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service.h"

#define HEAD "defupd-agent-config 1"
#define WORDS 300
#define LISTED 256                          /* users, groups, hooks */
#define LONGEST (INT64_C(3653) * 24 * 3600) /* ten years */

static bool seconds(const char *word, int64_t *out)
{
    return ag_number(word, false, out) && *out <= LONGEST;
}

static bool minute(const char *word, uint16_t *out)
{
    unsigned hours, minutes;
    char more;

    if (strlen(word) != 5 || sscanf(word, "%2u:%2u%c", &hours, &minutes, &more) != 2 ||
        minutes > 59 || hours * 60 + minutes > 1440)
        return false;
    *out = (uint16_t)(hours * 60 + minutes);
    return true;
}

static bool days(char *word, uint8_t *out)
{
    static const char *const names[] = { "mon", "tue", "wed", "thu", "fri", "sat", "sun" };
    char *rest = word;

    *out = 0;
    if (strcmp(word, "*") == 0) {
        *out = 0x7f;
        return true;
    }
    while (rest != NULL) {
        const char *name = strsep(&rest, ",");
        unsigned day = 0;

        while (day < 7 && strcmp(names[day], name) != 0)
            day++;
        if (day == 7)
            return false;
        *out = (uint8_t)(*out | 1u << day);
    }
    return true;
}

static bool window(struct ag_config *config, char **words, size_t count)
{
    struct ag_schedule *schedule = &config->schedule;
    struct ag_window *new = &schedule->windows[schedule->window_count];

    if (count != 3 || schedule->window_count == AG_WINDOWS || !days(words[0], &new->days) ||
        !minute(words[1], &new->from) || !minute(words[2], &new->to) || new->from == 1440)
        return false;
    schedule->window_count++;
    return true;
}

static size_t length_of(char *const *list)
{
    size_t count = 0;

    while (list != NULL && list[count] != NULL)
        count++;
    return count;
}

/* Append copies of words to a NULL-terminated list. */
static bool append(char ***list, char **words, size_t count)
{
    size_t have = length_of(*list);
    char **grown;

    if (have + count > LISTED)
        return false;
    grown = reallocarray(*list, have + count + 1, sizeof *grown);
    if (grown == NULL)
        return false;
    *list = grown;
    for (size_t i = 0; i < count; i++) {
        grown[have] = strdup(words[i]);
        if (grown[have] == NULL)
            return false;
        grown[++have] = NULL;
    }
    grown[have] = NULL;
    return true;
}

static bool user_update(struct ag_config *config, char **words, size_t count)
{
    if (count < 1)
        return false;
    if (strcmp(words[0], "users") == 0)
        return append(&config->users, words + 1, count - 1);
    if (strcmp(words[0], "groups") == 0)
        return append(&config->groups, words + 1, count - 1);
    config->users_all = strcmp(words[0], "all") == 0;
    return count == 1 && (config->users_all || strcmp(words[0], "none") == 0);
}

/* The value of a word NAME=VALUE of that name, else NULL. */
static const char *value_of(const char *word, const char *name)
{
    const size_t length = strlen(name);

    return strncmp(word, name, length) == 0 && word[length] == '=' ? word + length + 1 : NULL;
}

static bool hook(struct ag_config *config, char **words, size_t count)
{
    struct ag_hook *grown, new = { .kind = count > 0 ? ag_hook_kind(words[0]) : 0 };
    char **argv = NULL;
    int64_t number;
    size_t at = 1;

    for (; at < count; at++) {
        const char *user = value_of(words[at], "user");
        const char *timeout = value_of(words[at], "timeout-s");
        const char *memory = value_of(words[at], "memory-bytes");

        if (user != NULL)
            new.user = user;
        else if (timeout != NULL && seconds(timeout, &number))
            new.timeout_s = number;
        else if (memory != NULL && ag_number(memory, false, &number))
            new.memory_bytes = (uint64_t)number;
        else
            break;
    }
    if (new.kind == 0 || at == count || words[at][0] != '/' || config->hook_count == LISTED)
        return false;
    grown = reallocarray(config->hooks, config->hook_count + 1, sizeof *grown);
    if (grown == NULL)
        return false;
    config->hooks = grown;
    new.user = strdup(new.user != NULL ? new.user : "");
    if (new.user == NULL || !append(&argv, words + at, count - at))
        return false;
    new.argv = argv;
    grown[config->hook_count++] = new;
    return true;
}

static bool replace(char **text, char **words, size_t count)
{
    free(*text);
    *text = count == 1 ? strdup(words[0]) : NULL;
    return *text != NULL;
}

/* One line; those of a later version are passed over. */
static bool setting(struct ag_config *config, const char *key, char **words, size_t count)
{
    struct ag_schedule *schedule = &config->schedule;
    int64_t number = 0, *one = NULL;

    if (strcmp(key, "policy") == 0)
        return replace(&config->policy, words, count);
    if (strcmp(key, "error") == 0)
        return replace(&config->error, words, count);
    if (strcmp(key, "window") == 0)
        return window(config, words, count);
    if (strcmp(key, "user-update") == 0)
        return user_update(config, words, count);
    if (strcmp(key, "hook") == 0)
        return hook(config, words, count);
    if (strcmp(key, "error-code") == 0) {
        if (count != 1 || !ag_number(words[0], true, &number) || number < -9999 || number > 0)
            return false;
        config->error_code = (int)number;
        return true;
    }
    if (strcmp(key, "run-missed") == 0) {
        schedule->run_missed = count == 1 && strcmp(words[0], "yes") == 0;
        return schedule->run_missed || (count == 1 && strcmp(words[0], "no") == 0);
    }
    if (strcmp(key, "relay") == 0) {
        if (count != 2)
            return false;
        return (size_t)snprintf(config->relay, sizeof config->relay, "%s %s", words[0], words[1]) <
               sizeof config->relay;
    }
    if (strcmp(key, "back-off-s") == 0)
        return count == 2 && seconds(words[0], &schedule->retry_first) &&
               seconds(words[1], &schedule->retry_max);
    if (strcmp(key, "interval-s") == 0)
        one = &schedule->interval;
    else if (strcmp(key, "initial-delay-s") == 0)
        one = &schedule->initial_delay;
    else if (strcmp(key, "verify-s") == 0)
        one = &schedule->verify;
    else if (strcmp(key, "run-timeout-s") == 0)
        one = &config->run_timeout_s;
    else if (strcmp(key, "trial-s") == 0)
        one = &config->trial_s;
    else if (strcmp(key, "slot-s") == 0)
        one = &schedule->slot;
    else
        return true;
    config->has_slot = config->has_slot || one == &schedule->slot;
    return count == 1 && seconds(words[0], one);
}

static struct ag_config *bad(struct ag_config *config, char *why, size_t size, const char *what,
                             const char *line)
{
    (void)snprintf(why, size, "%s: %.200s", what, line);
    ag_config_drop(config);
    return NULL;
}

struct ag_config *ag_config_parse(char *text, char *why, size_t size)
{
    struct ag_config *config = calloc(1, sizeof *config);
    char *line = strsep(&text, "\n"), *words[WORDS], copy[256];
    bool ended = false;

    if (config == NULL) {
        (void)snprintf(why, size, "out of memory");
        return NULL;
    }
    config->refs = 1;
    if (strcmp(line, HEAD) != 0)
        return bad(config, why, size, "not what this version understands", line);
    while (!ended && text != NULL) {
        int count;

        line = strsep(&text, "\n");
        (void)snprintf(copy, sizeof copy, "%s", line);
        ended = strcmp(line, "end") == 0;
        if (ended)
            break;
        count = ag_split(line, words, WORDS);
        if (count < 1 || !setting(config, words[0], words + 1, (size_t)count - 1))
            return bad(config, why, size, "not understood", copy);
    }
    if (!ended)
        return bad(config, why, size, "cut short", "no line \"end\"");
    if (config->schedule.slot >= config->schedule.interval)
        config->schedule.slot = 0;
    return config;
}

static void free_list(char *const *list)
{
    for (size_t i = 0; list != NULL && list[i] != NULL; i++)
        free(list[i]);
    free((void *)(uintptr_t)list);
}

struct ag_config *ag_config_keep(struct ag_config *config)
{
    config->refs++;
    return config;
}

void ag_config_drop(struct ag_config *config)
{
    if (config == NULL || --config->refs > 0)
        return;
    for (size_t i = 0; i < config->hook_count; i++) {
        free((void *)(uintptr_t)config->hooks[i].user);
        free_list(config->hooks[i].argv);
    }
    free(config->hooks);
    free_list(config->users);
    free_list(config->groups);
    free(config->policy);
    free(config->error);
    free(config);
}
