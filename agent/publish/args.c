/* SPDX-License-Identifier: Apache-2.0 */
#include "tool.h"

#include <string.h>
#include <time.h>

#define VERSION_MAX ((UINT64_C(1) << 53) - 1)

bool pt_number(const char *text, uint64_t max, uint64_t *out)
{
    uint64_t n = 0;

    if (text[0] < '1' || text[0] > '9')
        return false;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9' || __builtin_mul_overflow(n, 10U, &n) ||
            __builtin_add_overflow(n, (unsigned)(*text - '0'), &n))
            return false;
    }
    *out = n;
    return n <= max;
}

/* Exactly YYYY-MM-DDTHH:MM:SSZ. */
static bool time_of(const char *text, int64_t *out)
{
    char again[32];
    struct tm tm = { 0 };
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    time_t at;

    if (end == NULL || *end != '\0')
        return false;
    at = timegm(&tm);
    /* strptime() takes one digit for two, and 30 February for 2 March. */
    if (strftime(again, sizeof again, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0 || strcmp(again, text) != 0)
        return false;
    *out = (int64_t)at;
    return at > 0;
}

static const struct pt_command *find_command(const char *first, const char *second, bool *two)
{
    for (size_t i = 0; i < pt_command_count; i++) {
        const char *name = pt_commands[i].name;
        const size_t len = strcspn(name, " ");

        *two = name[len] == ' ';
        if (strlen(first) != len || strncmp(first, name, len) != 0)
            continue;
        if (!*two || (second != NULL && strcmp(name + len + 1, second) == 0))
            return &pt_commands[i];
    }
    return NULL;
}

static defupd_code take_many(struct pt_args *args, enum pt_option_id id, defupd_error *err)
{
    if (args->many_count == PT_RULES_MAX)
        return pt_fail(err, DEFUPD_E_INVALID, "--%s is given too often", pt_options[id].name);
    args->many[args->many_count].id = id;
    args->many[args->many_count++].text = args->value[id];
    return DEFUPD_OK;
}

/* One option; *at moves over its argument. */
static defupd_code take_option(struct pt_args *args, char *const **at, defupd_error *err)
{
    const char *name = **at + 2, *equals = strchr(name, '=');
    const size_t len = equals == NULL ? strlen(name) : (size_t)(equals - name);

    for (size_t i = 0; i < PT_OPT_COUNT; i++) {
        const struct pt_option *option = &pt_options[i];

        if (strlen(option->name) != len || strncmp(option->name, name, len) != 0)
            continue;
        if (args->value[i] != NULL && option->arg != NULL && (PT_MANY & PT_BIT(i)) == 0)
            return pt_fail(err, DEFUPD_E_INVALID, "--%s is given twice", option->name);
        if (option->arg == NULL && equals != NULL)
            return pt_fail(err, DEFUPD_E_INVALID, "--%s takes no argument", option->name);
        if (option->arg == NULL) {
            args->value[i] = "";
            return DEFUPD_OK;
        }
        args->value[i] = equals != NULL ? equals + 1 : *++*at;
        if (args->value[i] == NULL)
            return pt_fail(err, DEFUPD_E_INVALID, "--%s needs %s", option->name, option->arg);
        return (PT_MANY & PT_BIT(i)) != 0 ? take_many(args, (enum pt_option_id)i, err) : DEFUPD_OK;
    }
    return pt_fail(err, DEFUPD_E_INVALID, "no such option: --%.*s", (int)len, name);
}

static defupd_code take_words(struct pt_args *args, const char *const *word, size_t count,
                              defupd_error *err)
{
    size_t skip;
    bool two;

    args->command = find_command(word[0], count > 1 ? word[1] : NULL, &two);
    if (args->command == NULL && strcmp(word[0], "key") == 0)
        return pt_fail(err, DEFUPD_E_INVALID,
                       "key: say 'key generate', 'list', 'add', 'rotate', 'revoke' or 'threshold'");
    if (args->command == NULL)
        return pt_fail(err, DEFUPD_E_INVALID, "no such command: %s", word[0]);
    if (args->value[PT_OPT_HELP] != NULL)
        return DEFUPD_OK;
    skip = two ? 2 : 1;
    if (count - skip > args->command->words || count - skip < args->command->words_min)
        return pt_fail(err, DEFUPD_E_INVALID, "%s: expected %s, %zu given", args->command->name,
                       args->command->words > 0 ? args->command->synopsis : "no words",
                       count - skip);
    for (size_t i = 0; i < count - skip; i++)
        args->word[i] = word[skip + i];
    return DEFUPD_OK;
}

/* "512M", "2G", or bytes. */
static bool size_of(const char *text, uint64_t *out)
{
    static const char units[] = "KMG";
    const size_t len = strlen(text);
    const char *unit = len > 1 ? strchr(units, text[len - 1]) : NULL;
    char digits[24];
    uint64_t factor = 1;

    if (len == 0 || len >= sizeof digits)
        return false;
    (void)snprintf(digits, sizeof digits, "%.*s", (int)(unit != NULL ? len - 1 : len), text);
    for (const char *at = units; unit != NULL && at <= unit; at++)
        factor *= 1024;
    return pt_number(digits, UINT64_C(1) << 50, out) && !__builtin_mul_overflow(*out, factor, out);
}

/* What `add-release` and `prune` take. */
static defupd_code check_amounts(struct pt_args *args, defupd_error *err)
{
    const char *deltas = args->value[PT_OPT_DELTAS], *jobs = args->value[PT_OPT_JOBS];
    const char *memory = args->value[PT_OPT_MEMORY], *days = args->value[PT_OPT_KEEP];
    uint64_t n = 0;

    if (deltas != NULL && strcmp(deltas, "0") != 0 &&
        !pt_number(deltas, DEFUPD_REPO_DELTAS_MAX, &n))
        return pt_fail(err, DEFUPD_E_INVALID, "--deltas %s: not from 0 to %d", deltas,
                       DEFUPD_REPO_DELTAS_MAX);
    args->deltas = (uint32_t)n;
    n = 0;
    if (jobs != NULL && !pt_number(jobs, 64, &n))
        return pt_fail(err, DEFUPD_E_INVALID, "--jobs %s: not from 1 to 64", jobs);
    args->jobs = (uint32_t)n;
    if (memory != NULL && (!size_of(memory, &args->memory) || args->memory < 64U << 20))
        return pt_fail(err, DEFUPD_E_INVALID, "--memory %s: not a size of 64M or more", memory);
    n = 0;
    if (days != NULL && (!pt_number(days, 3650, &n) || n < 7))
        return pt_fail(err, DEFUPD_E_INVALID, "--keep %s: not a number of days from 7", days);
    args->keep_days = (uint32_t)n;
    return DEFUPD_OK;
}

static defupd_code check_values(struct pt_args *args, defupd_error *err)
{
    const char *level = args->value[PT_OPT_LEVEL], *published = args->value[PT_OPT_PUBLISHED];
    const char *within = args->value[PT_OPT_WITHIN];
    const bool keys_only = (args->command->options & PT_KEYS_ONLY) != 0;
    uint64_t n = 0;

    for (size_t i = 0; i < PT_OPT_COUNT; i++)
        if (args->value[i] != NULL && ((PT_COMMON | args->command->options) & PT_BIT(i)) == 0)
            return pt_fail(err, DEFUPD_E_INVALID, "%s takes no --%s", args->command->name,
                           pt_options[i].name);
    if (args->value[PT_OPT_REPO] == NULL && (!keys_only || args->value[PT_OPT_KEYS] == NULL))
        return pt_fail(err, DEFUPD_E_INVALID, "--repo DIR%s is needed",
                       keys_only ? " or --keys DIR" : "");
    if (level != NULL && !pt_number(level, 19, &n))
        return pt_fail(err, DEFUPD_E_INVALID, "--level %s: not from 1 to 19", level);
    args->level = (uint32_t)n;
    n = 0;
    if (within != NULL && !pt_number(within, 36500, &n))
        return pt_fail(err, DEFUPD_E_INVALID, "--within %s: not a number of days", within);
    args->within = (uint32_t)n;
    if (published != NULL && !time_of(published, &args->published))
        return pt_fail(err, DEFUPD_E_INVALID, "--published %s: not YYYY-MM-DDTHH:MM:SSZ",
                       published);
    if (args->value[PT_OPT_START] != NULL && !time_of(args->value[PT_OPT_START], &args->start))
        return pt_fail(err, DEFUPD_E_INVALID, "--start %s: not YYYY-MM-DDTHH:MM:SSZ",
                       args->value[PT_OPT_START]);
    if (args->value[PT_OPT_REPLACE_BY] != NULL &&
        !pt_number(args->value[PT_OPT_REPLACE_BY], VERSION_MAX, &args->replace_by))
        return pt_fail(err, DEFUPD_E_INVALID, "--replace-by %s: not an integer from 1 to 2^53 - 1",
                       args->value[PT_OPT_REPLACE_BY]);
    if ((args->command->run == pt_add_release || args->command->run == pt_withdraw ||
         args->command->run == pt_rollout) &&
        !pt_number(args->word[1], VERSION_MAX, &args->version))
        return pt_fail(err, DEFUPD_E_INVALID, "version %s: not an integer from 1 to 2^53 - 1",
                       args->word[1]);
    if (args->command->run == pt_export_offline && args->value[PT_OPT_OUTPUT] == NULL)
        return pt_fail(err, DEFUPD_E_INVALID, "-o FILE is needed");
    if (args->value[PT_OPT_SINCE] != NULL && args->value[PT_OPT_SINCE_POSTURE] != NULL)
        return pt_fail(err, DEFUPD_E_INVALID, "--since and --since-posture contradict each other");
    return check_amounts(args, err);
}

defupd_code pt_args_parse(struct pt_args *args, char *const *argv, defupd_error *err)
{
    const char *word[2 + PT_WORDS_MAX + 1];
    bool options = true;
    size_t count = 0;
    defupd_code rc;

    *args = (struct pt_args){ 0 };
    for (char *const *at = argv; *at != NULL; at++) {
        if (options && strcmp(*at, "--") == 0) {
            options = false;
        } else if (options && strncmp(*at, "--", 2) == 0) {
            rc = take_option(args, &at, err);
            if (rc != DEFUPD_OK)
                return rc;
        } else if (options && strcmp(*at, "-o") == 0) {
            if (args->value[PT_OPT_OUTPUT] != NULL)
                return pt_fail(err, DEFUPD_E_INVALID, "--output is given twice");
            if (at[1] == NULL)
                return pt_fail(err, DEFUPD_E_INVALID, "-o needs FILE");
            args->value[PT_OPT_OUTPUT] = *++at;
        } else if (options && strcmp(*at, "-h") == 0) {
            args->value[PT_OPT_HELP] = "";
        } else if (options && (*at)[0] == '-' && (*at)[1] != '\0') {
            return pt_fail(err, DEFUPD_E_INVALID, "no such option: %s", *at);
        } else if (count < sizeof word / sizeof word[0]) {
            word[count++] = *at;
        } else {
            return pt_fail(err, DEFUPD_E_INVALID, "too many words: %s", *at);
        }
    }
    if (count > 0) {
        rc = take_words(args, word, count, err);
        if (rc != DEFUPD_OK)
            return rc;
    }
    if (args->value[PT_OPT_HELP] != NULL || args->value[PT_OPT_VERSION] != NULL)
        return DEFUPD_OK;
    if (count == 0)
        return pt_fail(err, DEFUPD_E_INVALID, "no command");
    return check_values(args, err);
}
