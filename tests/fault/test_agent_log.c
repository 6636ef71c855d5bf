/* SPDX-License-Identifier: Apache-2.0 */
/* Logs on a disk that fails or fills up, and a process that dies while it rotates them. */
#include <sys/wait.h>

#include "agent_disk.h"
#include "report/logfile.h"
#include "report/record.h"
#include "report/report.h"
#include "report/sequence.h"
#include "t.h"

static int open_here(void)
{
    const int dir = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (dir < 0)
        abort();
    return dir;
}

/* Lines "line N" in all files, each counted; everything else is counted as strange. */
static void count_lines(const char *name, unsigned char seen[256], unsigned *strange)
{
    char path[64], line[128];
    unsigned number;

    for (int i = 0; i < 8; i++) {
        FILE *file;

        (void)snprintf(path, sizeof path, i == 0 ? "%s" : "%s.%d", name, i);
        file = fopen(path, "r");
        while (file != NULL && fgets(line, sizeof line, file) != NULL) {
            if (sscanf(line, "line %u\n", &number) == 1 && number < 256 &&
                strlen(line) == strlen("line 000\n"))
                seen[number]++;
            else
                (*strange)++;
        }
        if (file != NULL)
            (void)fclose(file);
    }
}

static bool add(struct ag_logfile *log, unsigned number)
{
    char line[32];

    (void)snprintf(line, sizeof line, "line %03u", number);
    return ag_logfile_add(log, line);
}

static void a_line_that_was_taken_is_there_whatever_fails(void)
{
    for (struct fault f = fault_start(FAULT_ONCE, EIO); fault_round(&f);) {
        unsigned char taken[256] = { 0 }, seen[256] = { 0 };
        unsigned strange = 0;
        const int dir = open_here();
        struct ag_logfile log;

        fault_stop(&f);
        T_CHECK(t_shell("rm -f log log.*") == 0);
        f.armed = true;
        ag_logfile_start(&log, &fault_disk, dir, "log", 50, 4); /* five lines each */
        for (unsigned i = 0; i < 22; i++)
            taken[i] = add(&log, i);
        ag_logfile_end(&log, true);
        fault_stop(&f);
        count_lines("log", seen, &strange);
        T_CHECK(strange == 0);
        for (unsigned i = 0; i < 22; i++) {
            if (seen[i] != taken[i])
                printf("# round %d: line %u: taken %d, there %d\n", f.fail_at, i, taken[i],
                       seen[i]);
            T_CHECK(seen[i] == taken[i]);
        }
        (void)close(dir);
    }
}

static void a_torn_line_does_not_spoil_the_next_one(void)
{
    fault_short = true;
    for (struct fault f = fault_start(FAULT_ONCE, ENOSPC); fault_round(&f);) {
        unsigned char taken[5], seen[256] = { 0 };
        unsigned strange = 0, lost = 0;
        const int dir = open_here();
        struct ag_logfile log;

        fault_stop(&f);
        T_CHECK(t_shell("rm -f log log.*") == 0);
        f.armed = true;
        ag_logfile_start(&log, &fault_disk, dir, "log", 1000, 4);
        for (unsigned i = 0; i < 5; i++)
            lost += !(taken[i] = add(&log, i));
        T_CHECK(log.lost == lost);
        ag_logfile_end(&log, false);
        fault_stop(&f);
        count_lines("log", seen, &strange);
        T_CHECK(strange <= 1 && lost <= 1 && strange <= lost);
        for (unsigned i = 0; i < 5; i++)
            T_CHECK(seen[i] == taken[i]);
        (void)close(dir);
    }
    fault_short = false;
}

static int renames_left;

static int dying_renameat(int d, const char *a, int e, const char *b)
{
    if (renames_left-- == 0)
        _exit(0);
    return renameat(d, a, e, b);
}

static void a_crash_in_rotation_loses_nothing(void)
{
    struct ag_disk disk = ag_disk_posix;

    disk.renameat = dying_renameat;
    for (int steps = 0; steps < 5; steps++) {
        unsigned char seen[256] = { 0 };
        unsigned strange = 0;
        const int dir = open_here();
        struct ag_logfile log;
        pid_t child;

        T_CHECK(t_shell("rm -f log log.*") == 0);
        ag_logfile_start(&log, &ag_disk_posix, dir, "log", 50, 4);
        for (unsigned i = 0; i < 20; i++) /* log and log.1 to log.3 are full, log.4 is free */
            T_CHECK(add(&log, i));
        ag_logfile_end(&log, false);
        (void)fflush(stdout);
        child = fork();
        if (child == 0) { /* the next line rotates, and dies before the nth rename */
            renames_left = steps;
            ag_logfile_start(&log, &disk, dir, "log", 50, 4);
            (void)add(&log, 20);
            _exit(0);
        }
        T_CHECK(waitpid(child, NULL, 0) == child);
        ag_logfile_start(&log, &ag_disk_posix, dir, "log", 50, 4);
        T_CHECK(add(&log, 21));
        ag_logfile_end(&log, false);
        count_lines("log", seen, &strange);
        T_CHECK(strange == 0);
        for (unsigned i = 0; i < 20; i++)
            T_CHECK(seen[i] == 1);
        T_CHECK(seen[21] == 1);
        (void)close(dir);
    }
}

static void a_number_is_never_given_twice(void)
{
    uint64_t last = 0;

    for (int error = 0; error < 2; error++) {
        for (struct fault f = fault_start(error ? FAULT_FROM_THEN_ON : FAULT_ONCE, EIO);
             fault_round(&f);) {
            struct ag_sequence sequence = { 0 };
            const int dir = open_here();

            for (int i = 0; i < 70; i++) {
                const uint64_t number = ag_sequence_next(&sequence, &fault_disk, dir, 1795314888);

                T_CHECK(number == 0 || number > last);
                last = number != 0 ? number : last;
            }
            fault_stop(&f);
            (void)close(dir);
        }
    }
    T_CHECK(last > 0);
}

static void a_record_on_a_failing_disk_does_no_harm(void)
{
    const defupd_event event = { .struct_size = sizeof event,
                                 .id = DEFUPD_EVENT_SUCCEEDED,
                                 .version = 7,
                                 .component = "tetra" };
    char state[256];

    T_CHECK(getcwd(state, sizeof state) != NULL);
    for (int mode = 0; mode < 2; mode++) {
        for (struct fault f = fault_start(mode ? FAULT_FROM_THEN_ON : FAULT_ONCE, ENOSPC);
             fault_round(&f);) {
            const struct ag_record_options options = {
                .disk = &fault_disk, .state_dir = state, .who = "uid 0", .what = "update"
            };
            struct ag_record *record;

            fault_stop(&f);
            T_CHECK(t_shell("rm -rf log") == 0);
            f.armed = true;
            record = ag_record_start(&options, 1795314888);
            ag_record_event(record, &event, 1795314889);
            ag_record_log(record, DEFUPD_LEVEL_INFO, "fetch", "attempt 1", 1795314889);
            ag_record_end(record, DEFUPD_OK, NULL, NULL, 1795314890);
            ag_record_free(record);
            fault_stop(&f);
            /* Whatever is there is whole lines, and JSON where it says so. */
            T_CHECK(t_shell("[ ! -s log/events.jsonl ] || jq -es . log/events.jsonl >/dev/null") ==
                    0);
            T_CHECK(t_shell("! cat log/*.log 2>/dev/null | grep -v '^2026-11-22T02:34:[45]'") == 0);
        }
    }
}

static void metrics_on_a_failing_disk_are_the_old_or_the_new_ones(void)
{
    static const char posture[] = "{\"connected\": true, \"running\": false, \"engines\": [],"
                                  " \"time\": %d}";
    char state[256];

    T_CHECK(getcwd(state, sizeof state) != NULL);
    for (int mode = 0; mode < 4; mode++) {
        fault_short = mode > 1;
        for (struct fault f = fault_start(mode % 2 ? FAULT_FROM_THEN_ON : FAULT_ONCE, ENOSPC);
             fault_round(&f);) {
            char text[128];
            defupd_error err = { 0 };
            defupd_code rc;

            fault_stop(&f);
            T_CHECK(t_shell("rm -rf metrics") == 0);
            (void)snprintf(text, sizeof text, posture, 1);
            T_OK(ag_metrics_write(&ag_disk_posix, state, text, &err), &err);
            f.armed = true;
            (void)snprintf(text, sizeof text, posture, 2);
            rc = ag_metrics_write(&fault_disk, state, text, &err);
            fault_stop(&f);
            T_CHECK(rc == DEFUPD_OK || (rc == DEFUPD_E_IO && err.message[0] != '\0'));
            T_CHECK(t_shell("grep -qx 'defupd_report_timestamp_seconds %d' metrics/defupd.prom && "
                            "[ $(grep -c ^defupd metrics/defupd.prom) = 11 ]",
                            rc == DEFUPD_OK ? 2 : 1) == 0);
        }
    }
    fault_short = false;
}

int main(void)
{
    T_RUN(a_line_that_was_taken_is_there_whatever_fails);
    T_RUN(a_torn_line_does_not_spoil_the_next_one);
    T_RUN(a_crash_in_rotation_loses_nothing);
    T_RUN(a_number_is_never_given_twice);
    T_RUN(a_record_on_a_failing_disk_does_no_harm);
    T_RUN(metrics_on_a_failing_disk_are_the_old_or_the_new_ones);
    return T_DONE();
}
