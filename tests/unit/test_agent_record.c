/* SPDX-License-Identifier: Apache-2.0 */
/* The record of a run: what is in which file, and what never is. */
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <jansson.h>

#include "report/event.h"
#include "report/logfile.h"
#include "report/record.h"
#include "report/totals.h"
#include "t.h"

#define NOW 1795255200 /* 2026-11-21T10:00:00Z */

struct defupd_report {
    const defupd_report_item *items;
    uint32_t count;
};

uint32_t defupd_report_count(const defupd_report *report)
{
    return report->count;
}
const defupd_report_item *defupd_report_at(const defupd_report *report, uint32_t index)
{
    return index < report->count ? &report->items[index] : NULL;
}
uint64_t defupd_report_generation(const defupd_report *report)
{
    return report->count > 0 ? 8 : 0;
}
uint64_t defupd_report_fetched(const defupd_report *report)
{
    return report->count > 0 ? 5791 : 0;
}

static const char *text_of(const char *path)
{
    static char text[65536];
    FILE *file = fopen(path, "r");
    size_t n = 0;

    if (file != NULL) {
        n = fread(text, 1, sizeof text - 1, file);
        (void)fclose(file);
    }
    text[n] = '\0';
    return file != NULL ? text : "(no file)";
}

#define T_HAS(text, part)                                                                      \
    do {                                                                                       \
        const char *t_text_ = (text);                                                          \
        if (strstr(t_text_, (part)) == NULL) {                                                 \
            printf("# %s:%d: \"%s\" is not in:\n# %s\n", __FILE__, __LINE__, (part), t_text_); \
            t_failed++;                                                                        \
        }                                                                                      \
    } while (0)

static char state[256];

static struct ag_record *start(int64_t debug_until, uint64_t log_bytes)
{
    const struct ag_record_options options = { .state_dir = state,
                                               .who = "uid 0",
                                               .what = "update tetra",
                                               .journal = "journal.sock",
                                               .debug_until = debug_until,
                                               .log_bytes = log_bytes };

    if (getcwd(state, sizeof state) == NULL)
        abort();
    return ag_record_start(&options, NOW);
}

static void each_file_gets_what_is_its_own(void)
{
    const defupd_event asked = { .id = DEFUPD_EVENT_SOURCE_ASKED,
                                 .code = DEFUPD_E_PROXY_CONNECT,
                                 .source = "http://a.example",
                                 .text = "cannot connect to 10.0.0.1:3128",
                                 .duration_ms = 12 };
    const defupd_event left = { .id = DEFUPD_EVENT_SOURCE_FAILED,
                                .code = DEFUPD_E_PROXY_CONNECT,
                                .source = "http://a.example",
                                .text = "cannot connect to 10.0.0.1:3128" };
    const defupd_event fetched = { .id = DEFUPD_EVENT_FETCHED,
                                   .version = 1003,
                                   .bytes_done = 791,
                                   .bytes_total = 5791,
                                   .resumed_bytes = 5000,
                                   .duration_ms = 40,
                                   .component = "tetra",
                                   .source = "http://b.example" };
    const defupd_event progress = { .id = DEFUPD_EVENT_PROGRESS, .bytes_done = 1 };
    const defupd_report_item item = { .action = DEFUPD_ACTION_UPDATE,
                                      .progress = DEFUPD_PROGRESS_ACTIVE,
                                      .from_version = 1002,
                                      .to_version = 1003,
                                      .component = "tetra",
                                      .from_label = "",
                                      .to_label = "297",
                                      .text = "",
                                      .how = "delta from 1002, 5,791 bytes" };
    const defupd_report_item other = { .code = DEFUPD_E_DIGEST,
                                       .from_version = 9,
                                       .component = "ips",
                                       .from_label = "",
                                       .to_label = "",
                                       .text = "object ab12 differs" };
    const defupd_report_item both[] = { item, other };
    const struct defupd_report report = { both, 2 };
    struct ag_record *record = start(0, 0);
    struct ag_totals totals;
    const int dir = open("log", O_RDONLY | O_DIRECTORY);

    ag_record_event(record, &asked, NOW + 1);
    ag_record_event(record, &left, NOW + 1);
    ag_record_event(record, &progress, NOW + 1);
    ag_record_event(record, &fetched, NOW + 2);
    ag_record_log(record, DEFUPD_LEVEL_WARNING, "trust", "root 2 is missing", NOW + 2);
    ag_record_log(record, DEFUPD_LEVEL_INFO, "fetch", "attempt 1: x", NOW + 2);
    ag_record_log(record, DEFUPD_LEVEL_DEBUG, "fetch", "GET http://b.example", NOW + 2);
    ag_record_line(record, NOW + 2, "post-install tetra: %s", "restarted");
    ag_record_end(record, DEFUPD_E_DIGEST, "ips: object ab12 differs", &report, NOW + 3);
    ag_record_free(record);

    T_HAS(text_of("log/transfer.log"), "2026-11-21T10:00:01Z [");
    T_HAS(text_of("log/transfer.log"), "] asked http://a.example: failed after 12 ms: -2103 "
                                       "PROXY_CONNECT: cannot connect to 10.0.0.1:3128\n");
    T_HAS(text_of("log/transfer.log"), "] fetched tetra 1003: 791 of 5791 bytes from "
                                       "http://b.example, 40 ms, resumed\n");
    T_HAS(text_of("log/transfer.log"), "] fetch: attempt 1: x\n");
    T_CHECK(strstr(text_of("log/transfer.log"), "left http") == NULL); /* told as asked */
    T_CHECK(strstr(text_of("log/transfer.log"), "GET") == NULL);
    T_HAS(text_of("log/update.log"), "] begin: update tetra, by uid 0\n");
    T_HAS(text_of("log/update.log"), "] warning trust: root 2 is missing\n");
    T_HAS(text_of("log/update.log"), "] post-install tetra: restarted\n");
    T_HAS(text_of("log/update.log"),
          "] tetra: update 1002 -> 1003 (297): active, delta from 1002, 5,791 bytes\n");
    T_HAS(text_of("log/update.log"), "] ips: stays at 9: -2400 DIGEST: object ab12 differs\n");
    T_HAS(text_of("log/update.log"), "2026-11-21T10:00:03Z [");
    T_HAS(text_of("log/update.log"), "] end: -2400 DIGEST: ips: object ab12 differs\n");
    T_CHECK(t_shell("[ $(wc -l <log/events.jsonl) = 3 ]") == 0);
    T_CHECK(t_shell("stat -c %%a log log/update.log log/events.jsonl | paste -sd' ' | "
                    "grep -qx '750 640 640'") == 0);
    ag_totals_read(&ag_disk_posix, dir, &totals);
    T_CHECK(dir >= 0 && totals.runs == 1 && totals.failures == 1 && totals.fetched == 5791);
    (void)close(dir);
}

static void debug_lines_end_by_themselves_at_the_stated_time(void)
{
    struct ag_record *record = start(NOW + 60, 0);

    ag_record_log(record, DEFUPD_LEVEL_DEBUG, "fetch", "before", NOW + 59);
    ag_record_log(record, DEFUPD_LEVEL_DEBUG, "fetch", "after", NOW + 60);
    ag_record_log(record, DEFUPD_LEVEL_INFO, "fetch", "as always", NOW + 60);
    ag_record_end(record, DEFUPD_OK, NULL, NULL, NOW + 61);
    ag_record_free(record);
    T_HAS(text_of("log/transfer.log"), "debug fetch: before\n");
    T_HAS(text_of("log/transfer.log"), "fetch: as always\n");
    T_CHECK(strstr(text_of("log/transfer.log"), "after") == NULL);
}

static void hostile_text_stays_one_clean_line(void)
{
    const defupd_event event = { .id = DEFUPD_EVENT_FAILED,
                                 .code = DEFUPD_E_VALIDATION,
                                 .component = "tetra",
                                 .text = "a\nMESSAGE=b\x1b[31m\xff\xe2\x80\xae\" c" };
    const defupd_event harm = { .id = DEFUPD_EVENT_WITHDRAWN,
                                .component = "tetra",
                                .text = "x\n2026-11-21T10:00:00Z [1] begin: forged\r\x7f" };
    struct ag_record *record = start(0, 0);

    ag_record_event(record, &event, NOW);
    ag_record_event(record, &harm, NOW);
    ag_record_end(record, DEFUPD_E_VALIDATION, "a\nb", NULL, NOW);
    ag_record_free(record);
    T_CHECK(t_shell("! cat log/*.log | LC_ALL=C grep -q '[^[:print:]]'") == 0);
    T_CHECK(t_shell("! grep -q '^2026-11-21T10:00:00Z .1. begin: forged' log/update.log") == 0);
    T_CHECK(t_shell("jq -e '.text' log/events.jsonl >/dev/null") == 0);
    T_CHECK(t_shell("[ $(wc -l <log/events.jsonl) = 2 ]") == 0);
}

static void events_have_names_of_their_own_that_grow(void)
{
    const defupd_event event = { .id = DEFUPD_EVENT_UNCHANGED, .component = "tetra" };

    for (int run = 0; run < 3; run++) {
        struct ag_record *record = start(0, 0);

        for (int i = 0; i < 70; i++) /* more than are taken at a time */
            ag_record_event(record, &event, NOW);
        ag_record_free(record); /* as after a crash, but for the last line */
    }
    T_CHECK(t_shell("jq -r .seq log/events.jsonl >seq && sort -nu seq | cmp - seq && "
                    "[ $(wc -l <seq) = 210 ]") == 0);
    T_CHECK(t_shell("[ $(jq -r .uid log/events.jsonl | sort -u | wc -l) = 210 ]") == 0);
    T_CHECK(t_shell("! jq -r .uid log/events.jsonl | grep -vqE "
                    "'^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$'") ==
            0);
    T_HAS(text_of("log/update.log"), "] broken off\n");
    T_CHECK(t_shell("echo damaged >log/sequence") == 0);
    {
        struct ag_record *record = start(0, 0);
        ag_record_event(record, &event, NOW + 9);
        ag_record_free(record);
    }
    T_CHECK(t_shell("jq -r .seq log/events.jsonl >seq && sort -nu seq | cmp - seq") == 0);
}

static void nothing_is_made_where_there_is_no_store(void)
{
    const struct ag_record_options options = { .state_dir = "/nonexistent/store",
                                               .who = "uid 0",
                                               .what = "update" };
    struct ag_record *record = ag_record_start(&options, NOW);
    const defupd_event event = { .id = DEFUPD_EVENT_REQUESTED };

    for (int i = 0; i < 100; i++)
        ag_record_event(record, &event, NOW);
    ag_record_end(record, DEFUPD_E_NO_ROOT, "no root", NULL, NOW);
    ag_record_free(record);
    T_CHECK(access("/nonexistent", F_OK) != 0);
    ag_record_event(NULL, &event, NOW);
    ag_record_end(NULL, DEFUPD_OK, NULL, NULL, NOW);
    ag_record_free(NULL);
}

static void a_store_that_comes_later_gets_the_first_lines_too(void)
{
    struct ag_record_options options = { .who = "uid 0", .what = "update" };
    const defupd_event event = { .id = DEFUPD_EVENT_REQUESTED };
    struct ag_record *record;
    char path[300];

    if (getcwd(state, sizeof state) == NULL)
        abort();
    (void)snprintf(path, sizeof path, "%s/later", state);
    options.state_dir = path;
    record = ag_record_start(&options, NOW);
    ag_record_event(record, &event, NOW);
    T_CHECK(mkdir(path, 0700) == 0);
    ag_record_event(record, &event, NOW + 1);
    ag_record_end(record, DEFUPD_OK, NULL, NULL, NOW + 2);
    ag_record_free(record);
    T_HAS(text_of("later/log/update.log"), "2026-11-21T10:00:00Z");
    T_HAS(text_of("later/log/update.log"), "begin: update");
    T_CHECK(t_shell("[ $(wc -l <later/log/events.jsonl) = 2 ]") == 0);
}

static void a_link_in_place_of_a_log_is_not_followed(void)
{
    struct ag_record *record;

    T_CHECK(t_shell("mkdir log && echo precious >precious && ln -s ../precious log/update.log && "
                    "mkfifo log/transfer.log") == 0);
    record = start(0, 0);
    ag_record_log(record, DEFUPD_LEVEL_INFO, "fetch", "x", NOW);
    ag_record_end(record, DEFUPD_OK, NULL, NULL, NOW);
    ag_record_free(record);
    T_SAME(text_of("precious"), "precious\n");
}

static void many_processes_share_a_log_that_is_rotated(void)
{
    int status, left = 0;

    (void)fflush(stdout);
    for (int p = 0; p < 4; p++) {
        if (fork() == 0) {
            const int dir = open(".", O_RDONLY | O_DIRECTORY);
            struct ag_logfile log;
            char line[32];

            ag_logfile_start(&log, &ag_disk_posix, dir, "log", 3000, 40);
            for (int i = 0; i < 500; i++) {
                (void)snprintf(line, sizeof line, "%d %03d", p, i);
                if (!ag_logfile_add(&log, line))
                    _exit(1);
            }
            ag_logfile_end(&log, false);
            _exit(0);
        }
    }
    while (wait(&status) > 0)
        left += status;
    T_CHECK(left == 0);
    T_CHECK(t_shell("[ $(cat log log.* | sort -u | wc -l) = 2000 ]") == 0);
    T_CHECK(t_shell("[ $(cat log log.* | wc -l) = 2000 ]") == 0);
    T_CHECK(t_shell("[ $(find . -name 'log*' -size +4k | wc -l) = 0 ]") == 0);
}

static void old_logs_go_and_the_newest_stay(void)
{
    const int dir = open(".", O_RDONLY | O_DIRECTORY);
    struct ag_logfile log;
    char line[32];

    ag_logfile_start(&log, &ag_disk_posix, dir, "log", 100, 2);
    for (int i = 0; i < 100; i++) {
        (void)snprintf(line, sizeof line, "%09d", i);
        T_CHECK(ag_logfile_add(&log, line));
    }
    ag_logfile_end(&log, false);
    T_CHECK(t_shell("[ \"$(ls | paste -sd' ')\" = 'log log.1 log.2' ]") == 0);
    T_CHECK(t_shell("cat log.2 log.1 log >all && seq -f %%09.0f 70 99 | cmp - all") == 0);
    (void)close(dir);
}

/* A full disk: the folder's file size limit stands in for it. */
static void lost_lines_are_counted_and_told(void)
{
    struct ag_record *record;
    char huge[7000];

    memset(huge, 'x', sizeof huge - 1);
    huge[sizeof huge - 1] = '\0';
    T_CHECK(t_shell("mkdir -p log/update.log.1/full log/update.log.2/full log/update.log.3/full "
                    "log/update.log.4/full") == 0); /* rotation cannot succeed */
    record = start(0, 8000);
    for (int i = 0; i < 8; i++)
        ag_record_line(record, NOW, "%s", huge);
    T_CHECK(t_shell("truncate -s 100 log/update.log") == 0);
    ag_record_line(record, NOW, "room again");
    ag_record_end(record, DEFUPD_OK, NULL, NULL, NOW);
    ag_record_free(record);
    T_HAS(text_of("log/update.log"), "lines before this one could not be written\n");
    T_HAS(text_of("log/update.log"), "] room again\n");
    T_CHECK(t_shell("! grep -qx 'lost 0' log/totals && grep -q '^lost [0-9]' log/totals") == 0);
}

static void the_journal_gets_each_event_as_a_datagram(void)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX, .sun_path = "journal.sock" };
    const defupd_event event = { .id = DEFUPD_EVENT_SUCCEEDED,
                                 .component = "tetra",
                                 .version = 1003,
                                 .from_version = 1002,
                                 .text = "delta\nPRIORITY=0",
                                 .source = "http://b.example" };
    const int journal = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    struct ag_record *record;
    char got[4096] = "";

    T_CHECK(bind(journal, (const struct sockaddr *)&name, sizeof name) == 0);
    record = start(0, 0);
    ag_record_event(record, &event, NOW);
    T_CHECK(recv(journal, got, sizeof got - 1, 0) > 0);
    T_HAS(got, "MESSAGE=tetra: succeeded: delta?PRIORITY=0\n");
    T_HAS(got, "\nPRIORITY=5\nSYSLOG_IDENTIFIER=defupd\nDEFUPD_EVENT=784\nDEFUPD_UID=0");
    T_HAS(got, "\nDEFUPD_COMPONENT=tetra\nDEFUPD_VERSION=1003\nDEFUPD_FROM=1002\n"
               "DEFUPD_SOURCE=http://b.example\n");
    /* A journal that hangs keeps nobody waiting. */
    for (int i = 0; i < 2000; i++)
        ag_record_event(record, &event, NOW);
    ag_record_free(record);
    (void)close(journal);
}

int main(void)
{
    T_RUN(each_file_gets_what_is_its_own);
    T_RUN(debug_lines_end_by_themselves_at_the_stated_time);
    T_RUN(hostile_text_stays_one_clean_line);
    T_RUN(events_have_names_of_their_own_that_grow);
    T_RUN(nothing_is_made_where_there_is_no_store);
    T_RUN(a_store_that_comes_later_gets_the_first_lines_too);
    T_RUN(a_link_in_place_of_a_log_is_not_followed);
    T_RUN(many_processes_share_a_log_that_is_rotated);
    T_RUN(old_logs_go_and_the_newest_stay);
    T_RUN(lost_lines_are_counted_and_told);
    T_RUN(the_journal_gets_each_event_as_a_datagram);
    return T_DONE();
}
