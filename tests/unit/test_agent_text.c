/* SPDX-License-Identifier: Apache-2.0 */
/* Text for people, the progress line, and the posture's view of time. */
#include "agent_fake.h"
#include "progress.h"
#include "report/report.h"
#include "text.h"

static void text_is_clean_whatever_it_was(void)
{
    static const struct {
        const char *in, *out;
    } some[] = {
        { "plain", "plain" },
        { "r\xc3\xa8gle \xf0\x9f\x98\x80", "r\xc3\xa8gle \xf0\x9f\x98\x80" },
        { "a\nb\r\x1b[31m\x7f", "a?b??[31m?" },
        { "\xc2\x9b"
          "31m",
          "??31m" }, /* the one-byte escape of C1 */
        { "\xff\xc0\xaf\xed\xa0\x80\xe2\x82", "????????" },
        { "\xf4\x90\x80\x80", "????" },
        { "a\u202eb\u2066c\u2069\u200f", "a???b???c??????" }, /* shown in another order */
        { "\u061cx\u200by\ufeffz\U000e0041", "??x???y???z????" },
        { "\u2027\u202f\u2030\u205f\u2070\u00ad", "\u2027\u202f\u2030\u205f\u2070\u00ad" },
    };
    char text[64];

    for (size_t i = 0; i < sizeof some / sizeof some[0]; i++) {
        (void)snprintf(text, sizeof text, "%s", some[i].in);
        ag_clean(text);
        T_SAME(text, some[i].out);
    }
}

static void amounts_times_and_ages_are_short(void)
{
    char amount[AG_AMOUNT], when[AG_WHEN];

    T_SAME(ag_bytes(amount, 0), "0 B");
    T_SAME(ag_bytes(amount, 999), "999 B");
    T_SAME(ag_bytes(amount, 1000), "1.0 kB");
    T_SAME(ag_bytes(amount, 1999), "1.9 kB");
    T_SAME(ag_bytes(amount, 999999), "999.9 kB");
    T_SAME(ag_bytes(amount, 42000000), "42.0 MB");
    T_SAME(ag_bytes(amount, UINT64_MAX), "18.4 EB");
    T_SAME(ag_clock(amount, 65), "01:05");
    T_SAME(ag_clock(amount, 3723), "1:02:03");
    T_SAME(ag_time(when, 1795251600), "2026-11-21T09:00:00Z");
    T_SAME(ag_time(when, 0), "");
    T_SAME(ag_time(when, INT64_MAX), "");
    T_SAME(ag_age(when, 0, 1000), "never");
    T_SAME(ag_age(when, 1000, 1000), "just now");
    T_SAME(ag_age(when, 1000, 1119), "119 s ago");
    T_SAME(ag_age(when, 1000, 1120), "2 min ago");
    T_SAME(ag_age(when, 8200, 1000), "in 2 h");
    T_SAME(ag_age(when, 1000, 1000 + 3 * 86400), "3 d ago");
    T_SAME(ag_age(when, INT64_MAX, -5), "in 106751991167300 d");
}

static const char *drawn(struct ag_progress *progress)
{
    (void)fflush(progress->out);
    return read_text(0, "bar");
}

static void progress_shows_percent_rate_and_time_left(void)
{
    struct ag_progress progress = { .columns = 60 };
    defupd_event event = { .struct_size = sizeof event,
                           .id = DEFUPD_EVENT_PROGRESS,
                           .phase = DEFUPD_PHASE_DOWNLOAD,
                           .version = 1003,
                           .bytes_total = 600000000,
                           .component = "tetra" };

    progress.out = fopen("bar", "w");
    ag_progress_event(&progress, &event, 1000);
    T_SAME(drawn(&progress), "\rtetra 1003   0% --:-- ETA");
    event.bytes_done = 396000000; /* in 100 s: 3.96 MB/s */
    ag_progress_event(&progress, &event, 101000);
    T_SAME(drawn(&progress) + 26, "\rtetra 1003  66% 3.9 MB/s 00:51 ETA");
    event.bytes_done = event.bytes_total; /* a shorter line wipes the longer one's end */
    event.phase = DEFUPD_PHASE_STAGE;
    event.version = 0;
    event.component = "a";
    ag_progress_event(&progress, &event, 101100);
    T_SAME(drawn(&progress) + 61, "\runpacking a 100% 00:00 ETA"
                                  "        \runpacking a 100% 00:00 ETA");
    ag_progress_clear(&progress);
    T_SAME(drawn(&progress) + 61 + 62, "\r                          \r");
    ag_progress_clear(&progress); /* nothing is there to clear */
    T_CHECK(strlen(drawn(&progress)) == 61 + 62 + 28);
    (void)fclose(progress.out);
}

static void progress_names_what_is_fetched(void)
{
    struct ag_progress progress = { .columns = 60 };
    defupd_event event = { .struct_size = sizeof event,
                           .id = DEFUPD_EVENT_PROGRESS,
                           .phase = DEFUPD_PHASE_DOWNLOAD,
                           .bytes_done = 1,
                           .bytes_total = 2 };
    const defupd_event fetching = { .struct_size = sizeof event,
                                    .id = DEFUPD_EVENT_DOWNLOADING,
                                    .version = 1003,
                                    .component = "tetra" };

    progress.out = fopen("bar", "w");
    ag_progress_event(&progress, &event, 1);
    T_HAS(drawn(&progress), "\rdownloading  50%");
    ag_progress_event(&progress, &fetching, 1);
    ag_progress_event(&progress, &event, 1);
    T_HAS(drawn(&progress), "\rtetra 1003  50%");
    ag_progress_event(&progress, &fetching, 1);
    ag_progress_event(&progress, &event, 1);
    T_HAS(drawn(&progress), "\r2 components  50%");
    (void)fclose(progress.out);
}

static void progress_fits_the_terminal(void)
{
    struct ag_progress progress = { .columns = 20 };
    defupd_event event = { .struct_size = sizeof event,
                           .id = DEFUPD_EVENT_PROGRESS,
                           .phase = DEFUPD_PHASE_DOWNLOAD,
                           .version = 1003,
                           .bytes_done = 500,
                           .bytes_total = 1000,
                           .component = "tetra" };

    progress.out = fopen("bar", "w");
    ag_progress_event(&progress, &event, 1000);
    T_SAME(drawn(&progress), "\rtetra 1003  50% --:");
    progress.columns = 80;
    ag_progress_event(&progress, &event, 1000);
    T_SAME(drawn(&progress) + 20, "\rtetra 1003 [##########..........]  50% --:-- ETA");
    event.bytes_done = 5000; /* more than announced */
    ag_progress_event(&progress, &event, 1001);
    T_HAS(drawn(&progress), "[####################] 100% 00:00 ETA");
    (void)fclose(progress.out);
}

static void nothing_is_drawn_where_there_is_no_terminal(void)
{
    struct ag_progress progress;
    const defupd_event event = {
        .struct_size = sizeof event, .id = DEFUPD_EVENT_PROGRESS, .bytes_done = 1, .bytes_total = 2
    };
    FILE *file = fopen("bar", "w");

    ag_progress_start(&progress, file);
    ag_progress_event(&progress, &event, 1);
    ag_progress_clear(&progress);
    (void)fclose(file);
    T_SAME(read_text(0, "bar"), "");
}

static void connected_means_a_contact_within_two_intervals(void)
{
    static const struct {
        int64_t contact;
        const char *connected;
    } some[] = { { 0, "false" },
                 { 100000, "true" },
                 { 100000 - 14399, "true" },
                 { 100000 - 14400, "false" },
                 { 100001, "false" } };

    for (size_t i = 0; i < sizeof some / sizeof some[0]; i++) {
        const struct defupd_status status = {
            .store = { .last_contact = some[i].contact, .busy_pid = 1, .uuid = "" }
        };
        defupd_error err = { 0 };
        char *text = NULL;
        FILE *file = fopen("posture", "w");

        T_OK(ag_posture(&text, &status, &(struct ag_report_settings){ 0 }, 100000, &err), &err);
        (void)fputs(text, file);
        (void)fclose(file);
        free(text);
        T_SAME(json_at("posture", 0, "connected"), some[i].connected);
        T_SAME(json_at("posture", 0, "running"), "true");
        T_SAME(json_at("posture", 0, "engines"), "[]");
    }
}

int main(void)
{
    T_RUN(text_is_clean_whatever_it_was);
    T_RUN(amounts_times_and_ages_are_short);
    T_RUN(progress_shows_percent_rate_and_time_left);
    T_RUN(progress_names_what_is_fetched);
    T_RUN(progress_fits_the_terminal);
    T_RUN(nothing_is_drawn_where_there_is_no_terminal);
    T_RUN(connected_means_a_contact_within_two_intervals);
    return T_DONE();
}
