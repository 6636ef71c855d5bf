/* SPDX-License-Identifier: Apache-2.0 */
/* Objects in pieces: over links that break, from several sources, and whose fault it is when the
 * pieces do not make the object. */
#include "fetch_help.h"

#define SIZE 1000000

static unsigned char content[SIZE];

static struct du_want make_object(void)
{
    struct du_want want = { .path = "o", .length_bytes = SIZE };
    uint32_t x = 1;

    for (size_t i = 0; i < SIZE; i++)
        content[i] = (unsigned char)((x = x * 1103515245 + 12345) >> 16);
    help_write("o", content, SIZE);
    du_sha256(want.sha256, content, SIZE);
    return want;
}

static int open_part(void)
{
    const int fd = open("part", O_RDWR | O_CREAT | O_CLOEXEC | O_APPEND, 0600);

    T_CHECK(fd >= 0);
    return fd;
}

static bool is_whole(int fd)
{
    static unsigned char got[SIZE + 1];

    return pread(fd, got, sizeof got, 0) == SIZE && memcmp(got, content, SIZE) == 0;
}

/* The folders 1, 2, ... with the object, as sources LIAR/1, LIAR/2, ... */
static struct du_fetch *sources_of(const struct server *liar, size_t count, uint32_t attempts)
{
    static char url[9][80];
    static const char *sources[10];

    for (size_t i = 0; i < count; i++) {
        (void)snprintf(url[i], sizeof url[i], "%s/%zu", liar->url, i + 1);
        sources[i] = url[i];
        T_CHECK(t_shell("mkdir -p %zu && cp -n o %zu/o", i + 1, i + 1) == 0);
    }
    sources[count] = NULL;
    return help_fetch_with(NULL,
                           (struct du_fetch_options){ .sources = sources, .attempts = attempts });
}

static unsigned asides; /* bit n: source n */

static void note_aside(void *user, size_t source, uint32_t seconds)
{
    (void)user;
    T_CHECK(seconds == DU_FETCH_ASIDE_S);
    asides |= 1U << source;
}

struct result {
    uint64_t fetched;
    size_t source;
    defupd_error err;
};

static defupd_code fetch_it(struct du_fetch *fetch, const struct du_want *want, int fd,
                            struct result *result)
{
    *result = (struct result){ .source = 99 };
    asides = 0;
    du_fetch_on_cool(fetch, NULL, note_aside, NULL);
    return du_fetch_object(fetch, 0, fd, want, &result->source, &result->fetched, &result->err);
}

static void a_cut_after_progress_is_no_failed_attempt(void)
{
    static const char *const rules[] = { "1/o=cut:100000", NULL };
    const struct du_want want = make_object();
    DU_AUTO(server_stop) struct server liar = server_liar(".", rules);
    DU_AUTO_FETCH *fetch = sources_of(&liar, 1, 1);
    DU_AUTO_FD fd = open_part();
    struct result result;

    T_OK(fetch_it(fetch, &want, fd, &result), &result.err);
    T_CHECK(is_whole(fd) && result.fetched == SIZE); /* no byte came twice */
    T_CHECK(server_count(&liar, "") == 10);
    /* The same source, the same file: it is asked for the rest of that very file. */
    T_CHECK(server_count(&liar, "ifrange=\"") == 9);
}

static void a_cut_without_progress_is_one(void)
{
    static const char *const rules[] = { "1/o=cut:100", NULL };
    const struct du_want want = make_object();
    DU_AUTO(server_stop) struct server liar = server_liar(".", rules);
    DU_AUTO_FETCH *fetch = sources_of(&liar, 1, 3);
    DU_AUTO_FD fd = open_part();
    struct result result;

    T_FAILS(fetch_it(fetch, &want, fd, &result), DEFUPD_E_INTERRUPTED, &result.err);
    T_CHECK(server_count(&liar, "") == 3 && lseek(fd, 0, SEEK_END) == 300);
}

static void each_piece_may_come_from_another_source(void)
{
    /* Each source gives a tenth and is then out of order, until the next round. */
    static const char *const rules[] = { "1/o=cut:100000@1",
                                         "1/o=close@1",
                                         "2/o=cut:100000@1",
                                         "2/o=close@1",
                                         "3/o=cut:100000@1",
                                         "3/o=close@1",
                                         "1/o=cut:100001@1",
                                         "1/o=status:500@1",
                                         "2/o=cut:100001@1",
                                         "2/o=status:500@1",
                                         NULL };
    struct du_pieces pieces = { 0 };
    struct du_want want = make_object();
    DU_AUTO(server_stop) struct server liar = server_liar(".", rules);
    DU_AUTO_FETCH *fetch = sources_of(&liar, 3, 1);
    DU_AUTO_FD fd = open_part();
    struct result result;

    want.pieces = &pieces;
    T_OK(fetch_it(fetch, &want, fd, &result), &result.err);
    T_CHECK(is_whole(fd) && result.fetched == SIZE && asides == 0);
    T_CHECK(pieces.count == 6 && pieces.piece[5].from == 500002);
    T_CHECK(strcmp(pieces.piece[0].source, pieces.piece[3].source) == 0);
    T_CHECK(strcmp(pieces.piece[0].source, pieces.piece[1].source) != 0);
}

static void who_gave_the_wrong_piece_is_set_aside(void)
{
    static const char *const rules[] = { "1/o=cut:300000@1", "1/o=close", "2/o=cut:300000@1",
                                         "2/o=close", NULL };
    const struct du_want want = make_object();
    DU_AUTO(server_stop) struct server liar = server_liar(".", rules);
    DU_AUTO_FETCH *fetch = sources_of(&liar, 3, 1);
    DU_AUTO_FD fd = open_part();
    struct result result;

    content[400000] ^= 1;
    help_write("2/o", content, SIZE);
    content[400000] ^= 1;
    T_OK(fetch_it(fetch, &want, fd, &result), &result.err);
    T_CHECK(is_whole(fd) && result.source == 2 && result.fetched == 2 * SIZE);
    T_CHECK(asides == 1U << 1); /* the second, and nobody else */
}

static void a_source_that_is_wrong_alone_is_set_aside(void)
{
    static const char *const rules[] = { "1/o=flip:7", NULL };
    const struct du_want want = make_object();
    DU_AUTO(server_stop) struct server liar = server_liar(".", rules);
    DU_AUTO_FETCH *fetch = sources_of(&liar, 2, 1);
    DU_AUTO_FD fd = open_part();
    struct result result;

    T_OK(fetch_it(fetch, &want, fd, &result), &result.err);
    T_CHECK(is_whole(fd) && result.source == 1 && asides == 1);
    /* The next object is the other's at once. */
    T_CHECK(ftruncate(fd, 0) == 0);
    T_OK(fetch_it(fetch, &want, fd, &result), &result.err);
    T_CHECK(result.source == 1 && server_count(&liar, "/1/o ") == 1);
}

static void what_was_remembered_is_believed_where_another_can_be_asked(void)
{
    struct du_pieces pieces = { .count = 1 };
    struct du_want want = make_object();
    DU_AUTO(server_stop) struct server liar = server_liar(".", NULL);
    DU_AUTO_FETCH *two = sources_of(&liar, 2, 1);
    DU_AUTO_FD fd = open_part();
    struct result result;

    want.pieces = &pieces;
    du_fetch_key(pieces.piece[0].source, du_fetch_source_name(two, 0));
    T_CHECK(write(fd, "wrong", 5) == 5);
    T_OK(fetch_it(two, &want, fd, &result), &result.err);
    T_CHECK(is_whole(fd) && asides == 1 && result.source == 1);
    {
        /* Alone, it has another chance: the disk may be at fault. */
        DU_AUTO_FETCH *one = sources_of(&liar, 1, 1);

        pieces = (struct du_pieces){ .count = 1 };
        du_fetch_key(pieces.piece[0].source, du_fetch_source_name(one, 0));
        T_CHECK(ftruncate(fd, 0) == 0 && write(fd, "wrong", 5) == 5);
        T_OK(fetch_it(one, &want, fd, &result), &result.err);
        T_CHECK(is_whole(fd));
    }
}

static void servers_of_one_name_with_other_etags_do_not_start_over(void)
{
    struct du_pieces pieces = { .count = 1 };
    struct du_want want = make_object();
    DU_AUTO(server_stop) struct server liar = server_liar(".", NULL);
    DU_AUTO_FETCH *fetch = sources_of(&liar, 1, 1);
    DU_AUTO_FD fd = open_part();
    struct result result;

    want.pieces = &pieces;
    du_fetch_key(pieces.piece[0].source, du_fetch_source_name(fetch, 0));
    (void)snprintf(pieces.etag, sizeof pieces.etag, "\"of another machine\"");
    T_CHECK(write(fd, content, 900000) == 900000);
    T_OK(fetch_it(fetch, &want, fd, &result), &result.err);
    T_CHECK(is_whole(fd) && result.fetched == 100000);
    T_CHECK(server_count(&liar, "status=200") == 1 && server_count(&liar, "status=206") == 1);
}

static void too_many_bytes_cost_only_the_piece_they_came_with(void)
{
    static const char *const rules[] = { "1/o=cut:600000@1", "1/o=close", "2/o=more:5", NULL };
    const struct du_want want = make_object();
    DU_AUTO(server_stop) struct server liar = server_liar(".", rules);
    DU_AUTO_FETCH *fetch = sources_of(&liar, 3, 1);
    DU_AUTO_FD fd = open_part();
    struct result result;

    T_OK(fetch_it(fetch, &want, fd, &result), &result.err);
    T_CHECK(is_whole(fd) && result.source == 2);
    T_CHECK(server_count(&liar, "/3/o range=bytes=600000- ") == 1);
}

static void sources_that_only_lie_are_left_some_time(void)
{
    /* Each cuts, each is wrong: nothing is to be had here, and that must end. */
    static const char *const rules[] = { "?/o=cut:510000", NULL };
    const struct du_want want = make_object();
    DU_AUTO(server_stop) struct server liar = server_liar(".", rules);
    DU_AUTO_FETCH *fetch = sources_of(&liar, 2, 1);
    DU_AUTO_FD fd = open_part();
    struct result result;

    content[9] ^= 1;
    help_write("1/o", content, SIZE);
    help_write("2/o", content, SIZE);
    content[9] ^= 1;
    T_FAILS(fetch_it(fetch, &want, fd, &result), DEFUPD_E_DIGEST, &result.err);
    T_CHECK(asides == 3 && lseek(fd, 0, SEEK_END) == 0);
}

static void nonsense_that_is_remembered_does_no_harm(void)
{
    static const struct du_pieces row[] = {
        { .count = DU_PIECES_MAX + 1 },
        { .count = 2, .piece = { { .from = 5 }, { .from = 9 } } },
        { .count = 3, .piece = { { .from = 0 }, { .from = 9 }, { .from = 9 } } },
        { .count = 2, .piece = { { .from = 0 }, { .from = SIZE * 2 } } },
    };
    struct du_want want = make_object();
    DU_AUTO(server_stop) struct server liar = server_liar(".", NULL);
    DU_AUTO_FETCH *fetch = sources_of(&liar, 1, 1);
    struct result result;

    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        struct du_pieces pieces = row[i];
        DU_AUTO_FD fd = open_part();

        want.pieces = &pieces;
        T_CHECK(ftruncate(fd, 0) == 0 && write(fd, "wrong", 5) == 5);
        T_OK(fetch_it(fetch, &want, fd, &result), &result.err);
        T_CHECK(is_whole(fd));
    }
}

static void a_cap_on_bytes_per_second_is_kept_and_no_stall(void)
{
    const struct du_want want = make_object();
    DU_AUTO(server_stop) struct server liar = server_liar(".", NULL);
    const char *sources[] = { liar.url, NULL };
    DU_AUTO_FETCH *fetch = help_fetch_with(
        NULL, (struct du_fetch_options){
                  .sources = sources, .max_bytes_per_s = 500000, .stall_timeout_ms = 300 });
    DU_AUTO_FD fd = open_part();
    const uint64_t start_ms = du_sys_posix.monotonic_ms();
    struct result result;

    T_OK(fetch_it(fetch, &want, fd, &result), &result.err);
    T_CHECK(is_whole(fd));
    /* No machine is too slow for this test: it asks for a least time alone. */
    T_CHECK(du_sys_posix.monotonic_ms() - start_ms >= 1000);
}

int main(void)
{
    T_RUN(a_cut_after_progress_is_no_failed_attempt);
    T_RUN(a_cut_without_progress_is_one);
    T_RUN(each_piece_may_come_from_another_source);
    T_RUN(who_gave_the_wrong_piece_is_set_aside);
    T_RUN(a_source_that_is_wrong_alone_is_set_aside);
    T_RUN(what_was_remembered_is_believed_where_another_can_be_asked);
    T_RUN(servers_of_one_name_with_other_etags_do_not_start_over);
    T_RUN(too_many_bytes_cost_only_the_piece_they_came_with);
    T_RUN(sources_that_only_lie_are_left_some_time);
    T_RUN(nonsense_that_is_remembered_does_no_harm);
    T_RUN(a_cap_on_bytes_per_second_is_kept_and_no_stall);
    return T_DONE();
}
