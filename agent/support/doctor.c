/* SPDX-License-Identifier: Apache-2.0 */
#include "support/doctor.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "text.h"

static const char *const results[] = { "pass", "fail", "skipped" };

static void step_free(struct ag_step *step)
{
    free(step->source);
    free(step->name);
    free(step->text);
}

void ag_doctor_free(struct ag_doctor *doctor)
{
    for (size_t i = 0; i < doctor->count; i++)
        step_free(&doctor->step[i]);
    free(doctor->step);
    *doctor = (struct ag_doctor){ 0 };
}

void ag_doctor_step(void *user, const defupd_step *step)
{
    struct ag_doctor *doctor = user;
    struct ag_step *grown = reallocarray(doctor->step, doctor->count + 1, sizeof *grown);
    struct ag_step row = {
        .source = strdup(step->source),
        .name = strdup(step->name),
        .text = strdup(step->text),
        .advice = defupd_code_advice((defupd_code)step->code),
        .result = step->result >= 0 && step->result <= 2 ? step->result : DEFUPD_STEP_SKIPPED,
        .code = (defupd_code)step->code,
        .duration_ms = step->duration_ms,
    };

    if (grown != NULL)
        doctor->step = grown;
    if (grown == NULL || row.source == NULL || row.name == NULL || row.text == NULL) {
        doctor->incomplete = true;
        step_free(&row);
        return;
    }
    doctor->step[doctor->count++] = row;
}

/* Steps of one source follow each other, and every source begins with the first. */
static bool is_first(const struct ag_doctor *doctor, size_t i)
{
    return i == 0 || strcmp(doctor->step[i].name, doctor->step[0].name) == 0;
}

void ag_doctor_text(FILE *out, const struct ag_doctor *doctor)
{
    for (size_t i = 0; i < doctor->count;) {
        struct ag_table table;

        if (i > 0)
            (void)fputc('\n', out);
        ag_line(out, "%s", doctor->step[i].source);
        ag_table_start(&table, 1U << 2, (const char *const[]){ "STEP", "RESULT", "MS", "", NULL });
        do {
            const struct ag_step *step = &doctor->step[i];
            char ms[24] = "";

            if (step->duration_ms > 0)
                (void)snprintf(ms, sizeof ms, "%" PRIu64, step->duration_ms);
            ag_table_row(
                &table, (const char *const[]){ step->name, results[step->result], ms, step->text });
            if (step->code != DEFUPD_OK)
                ag_table_note(&table, "  %d %s: %s", (int)step->code, defupd_code_name(step->code),
                              step->advice);
        } while (++i < doctor->count && !is_first(doctor, i));
        ag_table_end(&table, out);
    }
    if (doctor->incomplete)
        ag_line(out, "(out of memory: not all steps are listed)");
}

bool ag_doctor_json(json_t *doc, const struct ag_doctor *doctor)
{
    json_t *sources = json_array(), *steps = NULL;

    if (!ag_json_add(doc, "sources", sources))
        return false;
    for (size_t i = 0; i < doctor->count; i++) {
        const struct ag_step *step = &doctor->step[i];
        json_t *row;

        if (is_first(doctor, i)) {
            json_t *source = ag_json_row(sources);
            steps = json_array();
            if (!ag_json_text(source, "source", step->source) ||
                !ag_json_add(source, "steps", steps))
                return false;
        }
        row = ag_json_row(steps);
        if (!ag_json_text(row, "step", step->name) ||
            !ag_json_text(row, "result", results[step->result]) ||
            !ag_json_add(row, "code", json_integer(step->code)) ||
            !ag_json_text(row, "name", defupd_code_name(step->code)) ||
            !ag_json_number(row, "ms", step->duration_ms) ||
            !ag_json_text(row, "text", step->text) || !ag_json_text(row, "advice", step->advice))
            return false;
    }
    return true;
}
