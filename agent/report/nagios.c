/* SPDX-License-Identifier: Apache-2.0 */
/* One line and an exit code, as Nagios, Icinga and their kin want it. */
#include <inttypes.h>
#include <string.h>

#include "report/monitor.h"
#include "text.h"

static const char *const words[] = { "OK", "WARNING", "CRITICAL", "UNKNOWN" };

enum ag_severity ag_state_severity(const char *state)
{
    static const struct {
        const char *state;
        enum ag_severity severity;
    } table[] = {
        { "fresh", AG_FINE },       { "updating", AG_FINE },       { "held", AG_FINE },
        { "trial", AG_FINE },       { "disabled", AG_FINE },       { "due", AG_WARNING },
        { "never", AG_WARNING },    { "quarantined", AG_WARNING }, { "stale", AG_CRITICAL },
        { "failing", AG_CRITICAL }, { "withdrawn", AG_CRITICAL },  { "unlicensed", AG_CRITICAL },
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (strcmp(table[i].state, state) == 0)
            return table[i].severity;
    }
    return AG_UNKNOWN;
}

static void raise_to(enum ag_severity *worst, enum ag_severity severity)
{
    /* What is known to be critical outweighs what is not known. */
    if (severity > *worst && !(severity == AG_UNKNOWN && *worst == AG_CRITICAL))
        *worst = severity;
    else if (severity == AG_CRITICAL && *worst == AG_UNKNOWN)
        *worst = AG_CRITICAL;
}

/* A bar begins performance data, so texts have none. */
static void put(FILE *out, const char *text)
{
    for (; *text != '\0'; text++)
        (void)fputc(*text == '|' ? '/' : *text, out);
}

static void tell(FILE *out, unsigned *told, const struct ag_seen_definition *d)
{
    (void)fputs((*told)++ > 0 ? ", " : "", out);
    put(out, d->name);
    (void)fputc(' ', out);
    put(out, d->state);
    if (d->lasterror != 0) {
        (void)fprintf(out, " (%d ", (int)(int32_t)d->lasterror);
        put(out, d->lasterror_name[0] != '\0' ? d->lasterror_name : "?");
        (void)fputc(')', out);
    }
}

/* Older than two intervals, as the contact of the host itself; the clock of the report. */
static bool lags(const struct ag_seen *seen)
{
    const int64_t *n = seen->relay.number;

    return seen->relay.there &&
           (n[AG_RELAY_CONFIRMED] == 0 || n[AG_RELAY_LAG] > 2 * seen->interval_s);
}

enum ag_severity ag_nagios(FILE *out, const struct ag_seen *seen, int64_t now)
{
    enum ag_severity worst = AG_FINE;
    unsigned told = 0, polls = 0;

    for (size_t i = 0; i < seen->count; i++) {
        raise_to(&worst, ag_state_severity(seen->definition[i].state));
        polls += ag_state_severity(seen->definition[i].state) == AG_FINE &&
                 seen->definition[i].lasterror != 0;
    }
    if (!seen->connected || (seen->lasterror != 0 && polls == 0))
        raise_to(&worst, AG_WARNING);
    if (seen->count == 0 || lags(seen))
        raise_to(&worst, AG_WARNING);
    (void)fprintf(out, "DEFUPD %s - ", words[worst]);
    for (size_t i = 0; i < seen->count; i++) {
        if (ag_state_severity(seen->definition[i].state) != AG_FINE)
            tell(out, &told, &seen->definition[i]);
    }
    if (!seen->connected)
        (void)fprintf(out, "%sno contact with a source", told++ > 0 ? ", " : "");
    if (seen->count == 0)
        (void)fprintf(out, "%sno component is known", told++ > 0 ? ", " : "");
    if (lags(seen))
        (void)fprintf(out, "%srelay not up to date", told++ > 0 ? ", " : "");
    if (told == 0 && worst != AG_FINE)
        (void)fprintf(out, "%s", seen->lasterror_name);
    if (told == 0 && worst == AG_FINE)
        (void)fprintf(out, "%zu component%s up to date", seen->count, seen->count == 1 ? "" : "s");
    if (polls > 0)
        (void)fprintf(out, "%s", ", last poll failed");
    (void)fputs(" |", out);
    for (size_t i = 0; i < seen->count; i++) {
        const struct ag_seen_definition *d = &seen->definition[i];

        if (d->last_success > 0 && d->last_success <= now)
            (void)fprintf(out, " '%s_age'=%" PRId64 "s;;;0", d->name, now - d->last_success);
        (void)fprintf(out, " '%s_version'=%" PRIu64, d->name, d->version);
    }
    if (seen->relay.there)
        (void)fprintf(out, " 'relay_lag'=%" PRId64 "s;;;0", seen->relay.number[AG_RELAY_LAG]);
    (void)fputc('\n', out);
    return worst;
}

void ag_nagios_unknown(FILE *out, const char *why)
{
    (void)fputs("DEFUPD UNKNOWN - ", out);
    put(out, why);
    (void)fputc('\n', out);
}
