/* SPDX-License-Identifier: Apache-2.0 */
/* `withdraw` and `rollout`, and what --step and --ring say. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../json.h"
#include "../text.h"
#include "tool.h"

#define MINUTE UINT64_C(60)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

/* --- what a step is --- */

/* Digits and a unit's letter, in this order of units, each at most once; *at moves on. */
static bool take_units(const char **at, const char *units, const uint64_t *seconds, uint64_t *sum)
{
    const char *unit = units;

    while (**at >= '0' && **at <= '9') {
        char *end;
        const unsigned long long n = strtoull(*at, &end, 10);
        const char *found = *end != '\0' ? strchr(unit, *end) : NULL;

        if (end - *at > 9 || found == NULL)
            return false;
        *sum += n * seconds[found - units];
        unit = found + 1;
        *at = end + 1;
    }
    return true;
}

/* "0", "30m", "6h", "2d"; ISO 8601 like "P1DT6H". */
static bool after_of(const char *text, uint64_t *seconds)
{
    static const uint64_t plain[] = { DAY, HOUR, MINUTE, 1 };
    const char *at = text;

    *seconds = 0;
    if (strcmp(text, "0") == 0)
        return true;
    if (*at != 'P')
        return *at != '\0' && take_units(&at, "dhms", plain, seconds) && *at == '\0';
    at++;
    if (at[0] == '\0' || !take_units(&at, "WD", (const uint64_t[]){ 7 * DAY, DAY }, seconds))
        return false;
    if (*at == '\0')
        return true;
    if (*at++ != 'T' || *at == '\0')
        return false;
    return take_units(&at, "HMS", plain + 1, seconds) && *at == '\0';
}

/* "100%", "12.5%", "0.1%", also without the sign. */
static bool permille_of(const char *text, uint32_t *permille)
{
    char *end;
    unsigned long whole, tenth = 0;

    if (text[0] < '0' || text[0] > '9')
        return false;
    whole = strtoul(text, &end, 10);
    if (end - text > 3)
        return false;
    if (end[0] == '.' && end[1] >= '0' && end[1] <= '9') {
        tenth = (unsigned long)(end[1] - '0');
        end += 2;
    }
    if (*end == '%')
        end++;
    *permille = (uint32_t)(10 * whole + tenth);
    return *end == '\0' && *permille <= 1000;
}

static defupd_code take_step(defupd_repo_step *step, char ring[65], bool is_ring, const char *text,
                             defupd_error *err)
{
    const char *equals = strchr(text, '=');
    char left[65];

    *step = (defupd_repo_step){ .struct_size = sizeof *step };
    if (equals == NULL || equals == text || (size_t)(equals - text) >= sizeof left)
        return pt_fail(err, DEFUPD_E_INVALID, "--%s %s: not %s",
                       pt_options[is_ring ? PT_OPT_RING : PT_OPT_STEP].name, text,
                       pt_options[is_ring ? PT_OPT_RING : PT_OPT_STEP].arg);
    (void)snprintf(left, sizeof left, "%.*s", (int)(equals - text), text);
    if (!after_of(is_ring ? equals + 1 : left, &step->after_s))
        return pt_fail(err, DEFUPD_E_INVALID,
                       "--%s %s: '%s' is not a time like 0, 30m, 6h, 2d or PT6H",
                       is_ring ? "ring" : "step", text, is_ring ? equals + 1 : left);
    if (!is_ring && !permille_of(equals + 1, &step->permille))
        return pt_fail(err, DEFUPD_E_INVALID,
                       "--step %s: '%s' is not a percentage from 0%% to 100%% in steps of 0.1%%",
                       text, equals + 1);
    if (is_ring) {
        (void)snprintf(ring, 65, "%s", left);
        step->ring = ring;
    }
    return DEFUPD_OK;
}

defupd_code pt_take_rollout(struct pt_rollout *out, const struct pt_args *args, bool *given,
                            defupd_error *err)
{
    size_t count = 0;

    *given = args->start != 0;
    out->rollout = (defupd_repo_rollout){ .struct_size = sizeof out->rollout,
                                          .start = args->start,
                                          .steps = out->step };
    for (size_t i = 0; i < args->many_count; i++) {
        const bool is_ring = args->many[i].id == PT_OPT_RING;
        defupd_code rc;

        if (!is_ring && args->many[i].id != PT_OPT_STEP)
            continue;
        if (count == PT_STEPS_MAX)
            return pt_fail(err, DEFUPD_E_INVALID, "more than %d steps and rings", PT_STEPS_MAX);
        rc = take_step(&out->step[count], out->ring[count], is_ring, args->many[i].text, err);
        if (rc != DEFUPD_OK)
            return rc;
        count++;
    }
    *given = *given || count > 0;
    out->rollout.step_count = count;
    return DEFUPD_OK;
}

/* --- the commands --- */

static bool put(json_t *doc, const struct pt_args *args, const defupd_repo_amendment *amend)
{
    bool done = ag_json_text(doc, "component", amend->component) &&
                ag_json_number(doc, "version", amend->version) &&
                ag_json_number(doc, "dropped", amend->dropped) &&
                ag_json_add(doc, "pending", json_boolean(amend->is_pending != 0));

    if (amend->kind == DEFUPD_REPO_WITHDRAW)
        return done && ag_json_number(doc, "replaced_by", amend->goes_to);
    return done && ag_json_text(doc, "rollout", args->word[2]) &&
           ag_json_add(doc, "start", json_integer(amend->start));
}

static void show(const struct pt_args *args, const defupd_repo_amendment *amend)
{
    char start[AG_WHEN];

    if (amend->kind == DEFUPD_REPO_WITHDRAW) {
        (void)printf("withdrawn     %s %s\n", amend->component, args->word[1]);
        if (amend->goes_to != 0)
            (void)printf("replaced by   %" PRIu64 "\n", amend->goes_to);
        else
            (void)printf("replaced by   nothing: hosts that have it keep it, and say so\n");
    } else {
        (void)printf("roll-out      %s %s: %s\n", amend->component, args->word[1], args->word[2]);
        (void)printf("start         %s\n", ag_time(start, amend->start));
    }
    if (amend->dropped > 0)
        (void)printf("dropped       %" PRIu64 " oldest from the manifest\n", amend->dropped);
    (void)printf("state         %s\n",
                 amend->is_pending != 0 ? "pending: see 'sign list'" : "live");
}

static defupd_code amend(const struct pt_args *args, defupd_repo_amendment *amend,
                         defupd_error *err)
{
    defupd_repo *repo = NULL;
    json_t *doc;
    defupd_code rc;

    amend->component = args->word[0];
    amend->version = args->version;
    amend->pending = args->value[PT_OPT_PENDING] != NULL;
    rc = pt_open(&repo, args, pt_say, NULL, err);
    if (rc == DEFUPD_OK)
        rc = defupd_repo_amend(repo, amend, err);
    pt_close(repo);
    if (args->value[PT_OPT_JSON] == NULL) {
        if (rc == DEFUPD_OK)
            show(args, amend);
        return rc;
    }
    doc = json_object();
    if (rc == DEFUPD_OK && !put(doc, args, amend))
        rc = pt_fail(err, DEFUPD_E_NOMEM, "no memory for the result");
    return pt_json_end(doc, args, rc, err);
}

defupd_code pt_withdraw(const struct pt_args *args, defupd_error *err)
{
    defupd_repo_amendment withdrawal = DEFUPD_REPO_AMENDMENT_INIT;

    withdrawal.kind = DEFUPD_REPO_WITHDRAW;
    withdrawal.replace_by = args->replace_by;
    withdrawal.reason = args->value[PT_OPT_REASON];
    return amend(args, &withdrawal, err);
}

defupd_code pt_rollout(const struct pt_args *args, defupd_error *err)
{
    static const char *const words[] = { "set", "pause", "resume" };
    static const uint32_t kinds[] = { DEFUPD_REPO_ROLLOUT_SET, DEFUPD_REPO_ROLLOUT_PAUSE,
                                      DEFUPD_REPO_ROLLOUT_RESUME };
    defupd_repo_amendment change = DEFUPD_REPO_AMENDMENT_INIT;
    struct pt_rollout rollout;
    bool given;
    defupd_code rc = pt_take_rollout(&rollout, args, &given, err);

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(args->word[2], words[i]) == 0)
            change.kind = kinds[i];
    if (rc == DEFUPD_OK && change.kind == 0)
        rc = pt_fail(err, DEFUPD_E_INVALID, "rollout %s: say set, pause or resume", args->word[2]);
    if (rc == DEFUPD_OK && given && change.kind != DEFUPD_REPO_ROLLOUT_SET)
        rc = pt_fail(err, DEFUPD_E_INVALID, "rollout %s takes no --step, --ring and --start",
                     args->word[2]);
    if (rc == DEFUPD_OK && !given && change.kind == DEFUPD_REPO_ROLLOUT_SET)
        rc = pt_fail(err, DEFUPD_E_INVALID, "rollout set: --step or --ring is needed");
    if (rc != DEFUPD_OK)
        return args->value[PT_OPT_JSON] != NULL ? pt_json_end(json_object(), args, rc, err) : rc;
    change.rollout = given ? &rollout.rollout : NULL;
    return amend(args, &change, err);
}
