/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch_help.h"

#define SIZE 100000

static unsigned char content[SIZE];

/* The object "o" in the current directory, and what is signed about it. */
static struct du_want make_object(void)
{
    struct du_want want = { .path = "o", .length_bytes = SIZE };

    for (size_t i = 0; i < SIZE; i++)
        content[i] = (unsigned char)(i * 7 + i / 251);
    help_write("o", content, SIZE);
    du_sha256(want.sha256, content, SIZE);
    return want;
}

static int make_partial(const void *bytes, size_t count)
{
    int fd;

    help_write("partial", bytes, count);
    fd = open("partial", O_RDWR | O_CLOEXEC);
    T_CHECK(fd >= 0);
    return fd;
}

static bool is_whole(int fd)
{
    static unsigned char got[SIZE + 1];

    return pread(fd, got, sizeof got, 0) == SIZE && memcmp(got, content, SIZE) == 0;
}

static off_t length_of(int fd)
{
    return lseek(fd, 0, SEEK_END);
}

/* Sources that failed, in order: "1: NOT_FOUND" and so on, the last one not among them. */
struct failures {
    char text[1000];
};

static void note_failure(void *user, const char *source, const defupd_error *why)
{
    struct failures *failures = user;
    const size_t used = strlen(failures->text);

    (void)snprintf(failures->text + used, sizeof failures->text - used, "%s %s;",
                   strrchr(source, '/') + 1, defupd_code_name(why->code));
}

/* A fetch over one liar seen as several sources: URL/1, URL/2, ... which are the same folder. */
static struct du_fetch *many_in(const struct server *liar, size_t count, uint32_t attempts,
                                uint32_t stall_ms, struct failures *failures)
{
    char url[9][80];
    const char *sources[10] = { NULL };
    struct du_fetch *fetch;

    for (size_t i = 0; i < count; i++) {
        (void)snprintf(url[i], sizeof url[i], "%s/%zu", liar->url, i + 1);
        sources[i] = url[i];
        T_CHECK(t_shell("ln -sfn . %zu", i + 1) == 0);
    }
    fetch = help_fetch_with(NULL, (struct du_fetch_options){ .sources = sources,
                                                             .attempts = attempts,
                                                             .stall_timeout_ms = stall_ms });
    if (failures != NULL)
        du_fetch_on_failed(fetch, note_failure, failures);
    return fetch;
}

static struct du_fetch *many(const struct server *liar, size_t count, uint32_t attempts,
                             struct failures *failures)
{
    return many_in(liar, count, attempts, HELP_PATIENT_MS, failures);
}

static void an_object_arrives_whole_from_the_first_source(void)
{
    const struct du_want want = make_object();
    DU_AUTO(server_stop) struct server liar = server_liar(".", NULL);
    struct failures failures = { "" };
    DU_AUTO_FETCH *fetch = many(&liar, 2, 1, &failures);
    DU_AUTO_FD fd = make_partial("", 0);
    size_t source = 9;
    uint64_t fetched;
    defupd_error err = { 0 };

    T_OK(du_fetch_object(fetch, 0, fd, &want, &source, &fetched, &err), &err);
    T_CHECK(is_whole(fd) && source == 0 && fetched == SIZE);
    T_CHECK(server_count(&liar, "range=- ") == 1 && server_count(&liar, "") == 1);
    /* It is there: nobody is asked. */
    T_OK(du_fetch_object(fetch, 1, fd, &want, &source, &fetched, &err), &err);
    T_CHECK(is_whole(fd) && source == 1 && fetched == 0 && server_count(&liar, "") == 1);
    T_SAME(failures.text, "");
}

static void what_is_there_is_continued_by_a_range(void)
{
    const struct du_want want = make_object();
    DU_AUTO(server_stop) struct server liar = server_liar(".", NULL);
    DU_AUTO_FETCH *fetch = many(&liar, 1, 1, NULL);
    DU_AUTO_FD fd = make_partial(content, 60000);
    size_t source;
    uint64_t fetched;
    defupd_error err = { 0 };

    T_OK(du_fetch_object(fetch, 0, fd, &want, &source, &fetched, &err), &err);
    T_CHECK(is_whole(fd) && fetched == SIZE - 60000);
    T_CHECK(server_count(&liar, "range=bytes=60000- status=206") == 1);
}

static void a_server_without_ranges_starts_over(void)
{
    static const char *const rules[] = { "1/o=norange", "2/o=nobytes", "3/o=wrongrange", NULL };
    const struct du_want want = make_object();
    DU_AUTO(server_stop) struct server liar = server_liar(".", rules);
    DU_AUTO_FETCH *fetch = many(&liar, 3, 1, NULL);
    size_t source;
    uint64_t fetched;
    defupd_error err = { 0 };

    for (size_t i = 0; i < 2; i++) {
        DU_AUTO_FD fd = make_partial(content, 60000);
        T_OK(du_fetch_object(fetch, i, fd, &want, &source, &fetched, &err), &err);
        T_CHECK(is_whole(fd) && source == i && fetched == SIZE);
    }
    T_CHECK(server_count(&liar, "/1/o ") == 1 && server_count(&liar, "/2/o ") == 2);
    {
        /* Bytes that were not asked for are not taken for those that were. */
        struct failures failures = { "" };
        DU_AUTO_FD fd = make_partial(content, 60000);
        du_fetch_on_failed(fetch, note_failure, &failures);
        T_OK(du_fetch_object(fetch, 2, fd, &want, &source, &fetched, &err), &err);
        T_CHECK(is_whole(fd) && source == 0);
        T_SAME(failures.text, "3 HTTP_STATUS;");
    }
}

static void a_damaged_start_is_fetched_anew_from_the_same_source(void)
{
    const struct du_want want = make_object();
    DU_AUTO(server_stop) struct server liar = server_liar(".", NULL);
    struct failures failures = { "" };
    DU_AUTO_FETCH *fetch = many(&liar, 2, 1, &failures);
    size_t source;
    uint64_t fetched;
    defupd_error err = { 0 };
    DU_AUTO_FD fd = make_partial("not the beginning", 17);

    T_OK(du_fetch_object(fetch, 0, fd, &want, &source, &fetched, &err), &err);
    T_CHECK(is_whole(fd) && source == 0 && fetched == SIZE - 17 + SIZE);
    T_SAME(failures.text, "");
    {
        /* The same when it has the full length, or more. */
        static unsigned char wrong[SIZE + 5];
        DU_AUTO_FD full = make_partial(wrong, SIZE);
        T_OK(du_fetch_object(fetch, 0, full, &want, &source, &fetched, &err), &err);
        T_CHECK(is_whole(full) && fetched == SIZE);
    }
    {
        static unsigned char longer[SIZE + 5];
        DU_AUTO_FD full = make_partial(longer, SIZE + 5);
        T_OK(du_fetch_object(fetch, 0, full, &want, &source, &fetched, &err), &err);
        T_CHECK(is_whole(full) && fetched == SIZE);
    }
}

static void another_source_continues_where_one_stopped(void)
{
    static const char *const rules[] = {
        "1/o=cut:30000@1", "1/o=close", "2/o=cut:20000@1", "2/o=close", "3/o=stall:10000",
        "4/o=status:404",  NULL
    };
    const struct du_want want = make_object();
    DU_AUTO(server_stop) struct server liar = server_liar(".", rules);
    struct failures failures = { "" };
    DU_AUTO_FETCH *fetch = many_in(&liar, 5, 1, 2000, &failures);
    DU_AUTO_FD fd = make_partial("", 0);
    size_t source;
    uint64_t fetched;
    defupd_error err = { 0 };

    T_OK(du_fetch_object(fetch, 0, fd, &want, &source, &fetched, &err), &err);
    T_CHECK(is_whole(fd) && source == 4 && fetched == SIZE); /* no byte came twice */
    T_SAME(failures.text, "1 INTERRUPTED;2 INTERRUPTED;3 STALLED;4 NOT_FOUND;");
    T_CHECK(server_count(&liar, "/5/o range=bytes=60000- ") == 1);
}

static void order_starts_where_told_and_wraps(void)
{
    static const char *const rules[] = { "2/o=status:500", "3/o=status:503", NULL };
    const struct du_want want = make_object();
    DU_AUTO(server_stop) struct server liar = server_liar(".", rules);
    struct failures failures = { "" };
    DU_AUTO_FETCH *fetch = many(&liar, 3, 2, &failures);
    DU_AUTO_FD fd = make_partial("", 0);
    size_t source;
    uint64_t fetched;
    defupd_error err = { 0 };

    T_OK(du_fetch_object(fetch, 1, fd, &want, &source, &fetched, &err), &err);
    T_CHECK(is_whole(fd) && source == 0);
    T_SAME(failures.text, "2 HTTP_STATUS;3 MAINTENANCE;");
    T_CHECK(server_count(&liar, "/2/o ") == 2); /* attempts */
    T_CHECK(server_count(&liar, "/3/o ") == 1); /* asked to be left alone */
}

static void a_lying_source_is_left_for_the_next(void)
{
    static const struct {
        const char *rule, *code;
    } row[] = {
        { "1/o=flip:5", "1 DIGEST;" },
        { "1/o=flip:99999", "1 DIGEST;" },
        { "1/o=truncate:500", "1 DIGEST;" },
        { "1/o=truncate:0", "1 DIGEST;" },
        { "1/o=append:1", "1 TOOLARGE;" },
        { "1/o=more:1", "1 TOOLARGE;" },
        { "1/o=endless", "1 TOOLARGE;" },
        { "1/o=length:99999", "1 DIGEST;" },
        { "1/o=length:100001", "1 TOOLARGE;" },
        { "1/o=gzip", "1 HTTP_STATUS;" },
        { "1/o=tegzip", "1 HTTP_STATUS;" },
        { "1/o=garbage", "1 HTTP_STATUS;" },
        { "1/o=loop", "1 REDIRECT;" },
        { "1/o=unstated", "" },
        { "1/o=bare", "" },
    };
    const struct du_want want = make_object();
    DU_AUTO(server_stop) struct server liar = server_liar(".", NULL);
    size_t source;
    uint64_t fetched;
    defupd_error err = { 0 };

    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        struct failures failures = { "" };
        DU_AUTO_FETCH *fetch = many(&liar, 2, 3, &failures);
        DU_AUTO_FD fd = make_partial("", 0);

        help_rules(row[i].rule);
        T_OK(du_fetch_object(fetch, 0, fd, &want, &source, &fetched, &err), &err);
        T_CHECK(is_whole(fd) && source == (row[i].code[0] == '\0' ? 0 : 1));
        T_SAME(failures.text, row[i].code);
    }
}

static void alone_a_lying_source_fails_and_leaves_nothing_false(void)
{
    static const struct {
        const char *rule;
        defupd_code code;
        off_t left;
        const char *words;
    } row[] = {
        { "o=flip:5", DEFUPD_E_DIGEST, 0, "/o: SHA-256 is " },
        { "o=truncate:500", DEFUPD_E_DIGEST, 0, "/o: has only 500 bytes, 100000 are signed" },
        { "o=append:1", DEFUPD_E_TOOLARGE, 0, "/o: has 100001 bytes, 100000 are signed" },
        { "o=more:1", DEFUPD_E_TOOLARGE, 0, "/o: sends more than the 100000 bytes signed" },
        { "o=endless", DEFUPD_E_TOOLARGE, 0, "/o: sends more than the 100000 bytes signed" },
        { "o=cut:700", DEFUPD_E_INTERRUPTED, 700, "/o: " },
        { "o=stall:700", DEFUPD_E_STALLED, 700, "/o: no byte for 300 ms" },
        { "o=status:404", DEFUPD_E_NOT_FOUND, 0, "/o: HTTP 404" },
    };
    const struct du_want want = make_object();
    DU_AUTO(server_stop) struct server liar = server_liar(".", NULL);
    DU_AUTO_FETCH *patient = help_fetch(&liar, NULL);
    DU_AUTO_FETCH *hasty =
        help_fetch_with(&liar, (struct du_fetch_options){ .stall_timeout_ms = HELP_HASTY_MS });
    size_t source;
    uint64_t fetched;
    defupd_error err = { 0 };

    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        DU_AUTO_FD fd = make_partial("", 0);
        struct du_fetch *fetch = row[i].code == DEFUPD_E_STALLED ? hasty : patient;

        help_rules(row[i].rule);
        source = 77;
        T_FAILS(du_fetch_object(fetch, 0, fd, &want, &source, &fetched, &err), row[i].code, &err);
        T_CHECK(source == 77 && length_of(fd) == row[i].left && !is_whole(fd));
        T_CHECK(strstr(err.message, row[i].words) != NULL);
        /* The next call, with an honest source, succeeds with what is left. */
        help_rules("");
        T_OK(du_fetch_object(patient, 0, fd, &want, &source, &fetched, &err), &err);
        T_CHECK(is_whole(fd) && fetched == SIZE - (uint64_t)row[i].left);
    }
}

static void pieces_of_two_sources_that_do_not_fit_are_fetched_anew_from_one(void)
{
    static const char *const rules[] = { "1/o=cut:30000@1", "1/o=close", NULL };
    const struct du_want want = make_object();
    DU_AUTO(server_stop) struct server liar = server_liar(".", rules);
    struct failures failures = { "" };
    DU_AUTO_FETCH *fetch = many(&liar, 2, 1, &failures);
    DU_AUTO_FD fd = make_partial("", 0);
    size_t source;
    uint64_t fetched;
    defupd_error err = { 0 };

    /* The first has other bytes and is cut; the second is honest and not blamed for the mixture. */
    T_CHECK(t_shell("rm 1 && mkdir 1") == 0);
    content[7] ^= 1;
    help_write("1/o", content, SIZE);
    content[7] ^= 1;
    T_OK(du_fetch_object(fetch, 0, fd, &want, &source, &fetched, &err), &err);
    T_CHECK(is_whole(fd) && source == 1 && fetched == 2 * SIZE);
    T_SAME(failures.text, "1 INTERRUPTED;");
}

static void a_source_that_is_wrong_alone_is_not_asked_for_ever(void)
{
    static const char *const rules[] = { "?/o=flip:1", NULL };
    const struct du_want want = make_object();
    DU_AUTO(server_stop) struct server liar = server_liar(".", rules);
    struct failures failures = { "" };
    DU_AUTO_FETCH *fetch = many(&liar, 2, 5, &failures);
    DU_AUTO_FD fd = make_partial(content, 50000);
    size_t source;
    uint64_t fetched;
    defupd_error err = { 0 };

    /* Source 1 ends the good start well; so the lie must be in the other half. */
    help_rules("?/o=flip:70000");
    T_FAILS(du_fetch_object(fetch, 0, fd, &want, &source, &fetched, &err), DEFUPD_E_DIGEST, &err);
    T_CHECK(length_of(fd) == 0);
    T_CHECK(server_count(&liar, "/1/o ") == 2); /* the rest, then all */
    T_CHECK(server_count(&liar, "/2/o ") == 1);
    T_SAME(failures.text, "1 DIGEST;");
}

static void a_short_file_does_not_cost_what_is_there_already(void)
{
    static const char *const rules[] = { "1/o=truncate:40000", "2/o=append:9", NULL };
    const struct du_want want = make_object();
    DU_AUTO(server_stop) struct server liar = server_liar(".", rules);
    struct failures failures = { "" };
    DU_AUTO_FETCH *fetch = many(&liar, 3, 1, &failures);
    DU_AUTO_FD fd = make_partial(content, 60000);
    size_t source;
    uint64_t fetched;
    defupd_error err = { 0 };

    T_OK(du_fetch_object(fetch, 0, fd, &want, &source, &fetched, &err), &err);
    T_CHECK(is_whole(fd) && source == 2 && fetched == 40000);
    T_SAME(failures.text, "1 DIGEST;2 TOOLARGE;");
}

static void complete_counts_even_if_the_end_was_ugly(void)
{
    static const char *const rules[] = { "o=unended", NULL };
    const struct du_want want = make_object();
    DU_AUTO(server_stop) struct server liar = server_liar(".", rules);
    DU_AUTO_FETCH *fetch = help_fetch(&liar, NULL);
    DU_AUTO_FD fd = make_partial("", 0);
    size_t source;
    uint64_t fetched;
    defupd_error err = { 0 };

    T_OK(du_fetch_object(fetch, 0, fd, &want, &source, &fetched, &err), &err);
    T_CHECK(is_whole(fd));
}

static defupd_code cancel_half_way(void *user, uint64_t bytes, defupd_error *err)
{
    uint64_t *sum = user;

    *sum += bytes;
    return *sum >= 50000 ? DU_FAIL(err, DEFUPD_E_CANCELLED, "cancelled") : DEFUPD_OK;
}

static void cancelling_keeps_what_arrived_and_asks_nobody_else(void)
{
    static const char *const rules[] = { "1/o=slow:10000/10", NULL };
    const struct du_want want = make_object();
    DU_AUTO(server_stop) struct server liar = server_liar(".", rules);
    uint64_t sum = 0, fetched;
    char one[80], two[80];
    const char *sources[] = { one, two, NULL };
    DU_AUTO_FETCH *fetch = NULL;
    DU_AUTO_FD fd = make_partial("", 0);
    size_t source;
    defupd_error err = { 0 };

    T_CHECK(symlink(".", "1") == 0);
    (void)snprintf(one, sizeof one, "%s/1", liar.url);
    (void)snprintf(two, sizeof two, "%s", liar.url);
    fetch = help_fetch_with(
        NULL, (struct du_fetch_options){ .sources = sources, .tick = { cancel_half_way, &sum } });
    T_FAILS(du_fetch_object(fetch, 0, fd, &want, &source, &fetched, &err), DEFUPD_E_CANCELLED,
            &err);
    T_CHECK(fetched >= 50000 && length_of(fd) == (off_t)fetched);
    T_CHECK(server_count(&liar, "") == 1);
}

static void files_are_sources_too_and_mix_with_servers(void)
{
    const struct du_want want = make_object();
    static const char *const rules[] = { "o=cut:30000@1", "o=close@1", NULL };
    DU_AUTO(server_stop) struct server liar = server_liar(".", rules);
    char cwd[400], absent[440], present[440];
    const char *sources[] = { absent, liar.url, present, NULL };
    DU_AUTO_FETCH *fetch = NULL;
    DU_AUTO_FD fd = make_partial("", 0);
    size_t source;
    uint64_t fetched;
    defupd_error err = { 0 };

    T_CHECK(getcwd(cwd, sizeof cwd) != NULL);
    (void)snprintf(absent, sizeof absent, "file://%s/absent", cwd);
    (void)snprintf(present, sizeof present, "file://%s", cwd);
    fetch = help_fetch_with(NULL, (struct du_fetch_options){ .sources = sources });
    T_OK(du_fetch_object(fetch, 0, fd, &want, &source, &fetched, &err), &err);
    T_CHECK(is_whole(fd) && source == 2 && fetched == SIZE);
    T_CHECK(t_shell("truncate -s 99999 o") == 0);
    T_OK(du_fetch_object(fetch, 2, fd, &want, &source, &fetched, &err), &err); /* it is there */
    T_CHECK(ftruncate(fd, 10) == 0);
    T_FAILS(du_fetch_object(fetch, 2, fd, &want, &source, &fetched, &err), DEFUPD_E_DIGEST, &err);
    T_CHECK(length_of(fd) == 10);
    T_CHECK(t_shell("truncate -s 5 o") == 0);
    T_FAILS(du_fetch_object(fetch, 2, fd, &want, &source, &fetched, &err), DEFUPD_E_DIGEST, &err);
}

static void an_empty_object_and_no_source_are_no_trouble(void)
{
    const char *const none[] = { NULL };
    struct du_want want = { .path = "empty" };
    DU_AUTO_FETCH *fetch = help_fetch_with(NULL, (struct du_fetch_options){ .sources = none });
    DU_AUTO_FD fd = make_partial("x", 1);
    size_t source = 5;
    uint64_t fetched = 5;
    defupd_error err = { 0 };

    du_sha256(want.sha256, "", 0);
    T_CHECK(du_fetch_sources(fetch) == 0);
    T_OK(du_fetch_object(fetch, 3, fd, &want, &source, &fetched, &err), &err);
    T_CHECK(length_of(fd) == 0 && fetched == 0 && source == 0);
    want.length_bytes = 1;
    T_FAILS(du_fetch_object(fetch, 3, fd, &want, &source, &fetched, &err), DEFUPD_E_NO_SOURCE,
            &err);
}

static void a_real_server_resumes(void)
{
    const struct du_want want = make_object();
    char cwd[400], block[440];

    T_CHECK(getcwd(cwd, sizeof cwd) != NULL);
    (void)snprintf(block, sizeof block, "; root %s;", cwd);
    {
        DU_AUTO(server_stop) struct server nginx = server_nginx(block);
        DU_AUTO_FETCH *fetch = help_fetch(&nginx, NULL);
        DU_AUTO_FD fd = make_partial(content, 99999);
        size_t source;
        uint64_t fetched;
        defupd_error err = { 0 };

        T_OK(du_fetch_object(fetch, 0, fd, &want, &source, &fetched, &err), &err);
        T_CHECK(is_whole(fd) && fetched == 1);
        T_CHECK(t_shell("truncate -s 500 o") == 0 && ftruncate(fd, 600) == 0);
        T_FAILS(du_fetch_object(fetch, 0, fd, &want, &source, &fetched, &err), DEFUPD_E_DIGEST,
                &err);
        T_CHECK(strstr(err.message, "/o: has 500 bytes, 100000 are signed") != NULL);
        T_CHECK(length_of(fd) == 600);
    }
}

static void note_busy(void *user, size_t source, uint32_t seconds)
{
    (void)seconds;
    *(size_t *)user = source;
}

static void a_source_that_wants_to_be_left_alone_is_passed_over(void)
{
    struct du_want want = make_object();
    struct failures failures;
    DU_AUTO(server_stop) struct server liar = server_liar(".", NULL);
    DU_AUTO_FETCH *fetch = many_in(&liar, 3, 1, HELP_PATIENT_MS, &failures);
    const int64_t later = du_sys_posix.now_s() + 100;
    DU_AUTO_FD fd = make_partial("", 0);
    size_t source, busy = SIZE_MAX;
    uint64_t fetched;
    defupd_error err = { 0 };

    help_rules("1/*=status:404\n2/*=status:429:100\n");
    du_fetch_on_cool(fetch, note_busy, NULL, &busy);
    T_OK(du_fetch_object(fetch, 0, fd, &want, &source, &fetched, &err), &err);
    T_CHECK(source == 2 && busy == 1 && is_whole(fd));
    T_CHECK(du_fetch_cooling(fetch, 1) == 0); /* that is up to who was told */

    T_CHECK(ftruncate(fd, 0) == 0);
    du_fetch_cool(fetch, 1, later);
    du_fetch_cool(fetch, 2, later + 1);
    /* What the one that was asked fails by is the news, not the others' wish. */
    T_FAILS(du_fetch_object(fetch, 0, fd, &want, &source, &fetched, &err), DEFUPD_E_NOT_FOUND,
            &err);
    T_CHECK(server_count(&liar, "GET /2/") == 1 && server_count(&liar, "GET /3/") == 1);
    T_CHECK(du_fetch_all_cooling(fetch) == 0);
    du_fetch_cool(fetch, 0, later + 2);
    T_FAILS(du_fetch_object(fetch, 0, fd, &want, &source, &fetched, &err), DEFUPD_E_COOL_DOWN,
            &err);
    T_CHECK(du_fetch_all_cooling(fetch) == later && server_count(&liar, "") == 4);
    T_CHECK(strstr(err.message, "/2: asked to be left alone until ") != NULL);
}

int main(void)
{
    T_RUN(an_object_arrives_whole_from_the_first_source);
    T_RUN(what_is_there_is_continued_by_a_range);
    T_RUN(a_server_without_ranges_starts_over);
    T_RUN(a_damaged_start_is_fetched_anew_from_the_same_source);
    T_RUN(another_source_continues_where_one_stopped);
    T_RUN(order_starts_where_told_and_wraps);
    T_RUN(a_lying_source_is_left_for_the_next);
    T_RUN(alone_a_lying_source_fails_and_leaves_nothing_false);
    T_RUN(pieces_of_two_sources_that_do_not_fit_are_fetched_anew_from_one);
    T_RUN(a_source_that_is_wrong_alone_is_not_asked_for_ever);
    T_RUN(a_short_file_does_not_cost_what_is_there_already);
    T_RUN(complete_counts_even_if_the_end_was_ugly);
    T_RUN(cancelling_keeps_what_arrived_and_asks_nobody_else);
    T_RUN(files_are_sources_too_and_mix_with_servers);
    T_RUN(an_empty_object_and_no_source_are_no_trouble);
    T_RUN(a_source_that_wants_to_be_left_alone_is_passed_over);
    SERVER_RUN("nginx", a_real_server_resumes);
    return T_DONE();
}
