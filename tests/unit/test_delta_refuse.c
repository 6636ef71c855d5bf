/* SPDX-License-Identifier: Apache-2.0 */
/* Each way in which a delta can be wrong is told as such; written by hand (delta_kit.h). */
#include "delta_kit.h"
#include "t.h"

static const char *const names[] = { "a", "b/one", "b/two" };
static const size_t sizes[] = { 6, 6, 8 };
static const char old_text[] = "alpha\nbravo\ncharlie\n";
static const struct du_bytes paths = { (const unsigned char *)"a\nb/one\nb/two\n", 14 };

static struct dk_host host_of(struct du_bytes delta, const struct du_index *index)
{
    return (struct dk_host){ .delta = delta,
                             .old = { (const unsigned char *)old_text, 20 },
                             .index = index,
                             .most = 1U << 30,
                             .out = DU_BUF(SIZE_MAX / 2) };
}

/* Exactly these bytes, from an allocation of their length, are refused for this reason. */
static void refuses_bytes(const void *bytes, size_t count, const char *why)
{
    DU_AUTO_FREE unsigned char *exact = malloc(count + (count == 0));
    DU_AUTO_INDEX index = { 0 };
    defupd_error err = { 0 };

    dk_index(&index, names, sizes, 3);
    memcpy(exact, bytes, count);
    struct dk_host host = host_of((struct du_bytes){ exact, count }, &index);
    T_FAILS(dk_decode(&host, &err), DEFUPD_E_DELTA_FORMAT, &err);
    if (strstr(err.message, why) == NULL)
        printf("# %s\n", err.message);
    T_CHECK(strstr(err.message, "the delta of demo 2 ") == err.message);
    T_CHECK(strstr(err.message, why) != NULL);
    T_CHECK(host.broken == NULL);
    du_buf_free(&host.out);
}

static void refuses(const struct dk_writer *w, const char *why)
{
    DU_AUTO_BUF delta = { 0 };

    dk_finish(w, &delta);
    refuses_bytes(delta.data, delta.len, why);
}

static void accepts(const struct dk_writer *w)
{
    DU_AUTO_BUF delta = { 0 };
    DU_AUTO_INDEX index = { 0 };
    defupd_error err = { 0 };

    dk_finish(w, &delta);
    dk_index(&index, names, sizes, 3);
    struct dk_host host = host_of(du_buf_bytes(&delta), &index);
    T_OK(dk_decode(&host, &err), &err);
    T_CHECK(host.broken == NULL);
    du_buf_free(&host.out);
}

/* Something of everything; right. */
static void fill(struct dk_writer *w)
{
    w->paths = paths;
    dk_change_file(w, 7);
    dk_literal(w, "L", 1);
    dk_copy(w, 6, 0);
    dk_literal(w, "", 0);
    dk_copy(w, 4, 1);
    dk_literal(w, "MN", 2);
    dk_byte(w, DK_MODES, 0);
    dk_byte(w, DK_MODES, 2);
    dk_change_file(w, 0);
    dk_literal(w, "", 0);
    dk_copy(w, 0, 0);
    dk_byte(w, DK_MODES, 1);
    dk_number(w, DK_GAPS, 5); /* one byte of the first copy, two of the last */
    dk_number(w, DK_RUNS, 2);
    dk_text(w, DK_REPLACEMENTS, "R");
    dk_text(w, DK_DIFFERENCES, "dd");
    dk_number(w, DK_WORD_GAPS, 0);
    dk_bytes(w, DK_WORDS, "\1\2\3\4", 4);
    dk_keep_files(w, 1);
}

static void what_is_no_delta_is_refused(void)
{
    refuses_bytes("", 0, "does not begin as one");
    refuses_bytes("DUD\1", 4, "does not begin as one");
    refuses_bytes("DUD\2\0\0\0\0\0\0\0\0\0\0\0\0\0", 17, "does not begin as one");
    refuses_bytes("dUD\1\0\0\0\0\0\0\0\0\0\0\0\0\0", 17, "does not begin as one");
}

static void too_large_a_context_is_refused(void)
{
    DK_WRITER w = { .context = 21 };

    accepts(&w);
    for (unsigned context = 22; context < 256; context++) {
        w.context = (unsigned char)context;
        refuses(&w, "wants too large a dictionary");
    }
}

static void an_object_that_is_cut_is_refused_wherever_it_is_cut(void)
{
    for (int coded = 0; coded < 2; coded++) {
        DK_WRITER w = { 0 };
        DU_AUTO_BUF delta = { 0 };

        fill(&w);
        for (int i = 0; i < DK_STREAMS && coded > 0; i++)
            w.coder[i] = 1;
        dk_finish(&w, &delta);
        accepts(&w);
        for (size_t cut = 5; cut < delta.len; cut++)
            refuses_bytes(delta.data, cut, "cut short");
        refuses_bytes("DUD\1\0\0\0\0\0\0\0\0\0\0\0\0", 16, "has a head that is cut short");
        refuses_bytes("DUD\1\0\5", 6, "has a head that is cut short");
        refuses_bytes(delta.data, delta.len - 1, "is cut short");
    }
}

static void bytes_after_the_end_are_refused(void)
{
    DK_WRITER w = { 0 };
    DU_AUTO_BUF delta = { 0 };

    fill(&w);
    dk_finish(&w, &delta);
    dk_add(&delta, "", 1);
    refuses_bytes(delta.data, delta.len, "has bytes after its end");
}

/* Sums of lengths do not wrap. */
static void streams_longer_than_anything_are_refused(void)
{
    unsigned char delta[5 + 2 * 10 + 10] = "DUD\1";

    for (int i = 0; i < 2; i++) { /* two of 2^63 - 1, as they are */
        memset(delta + 5 + i * 10, 0xff, 10);
        delta[5 + i * 10 + 8] = 0x7f;
    }
    refuses_bytes(delta, sizeof delta, "is cut short");
    delta[5 + 8] = 0xff; /* a number of ten bytes */
    refuses_bytes(delta, sizeof delta, "has a head that is cut short");
}

static void a_stream_that_lacks_an_element_is_refused(void)
{
    for (int i = 0; i < DK_STREAMS; i++) {
        for (int coded = 0; coded < 2; coded++) {
            DK_WRITER w = { 0 };

            fill(&w);
            w.coder[i] = coded;
            if (i == DK_FILES || i == DK_GAPS || i == DK_WORD_GAPS)
                w.raw[i].data[w.raw[i].len - 1] |= 0x80; /* these may end after any element */
            else
                w.raw[i].len--;
            refuses(&w, "has a stream that is too short");
        }
    }
}

static void a_stream_with_an_element_too_many_is_refused(void)
{
    for (int i = 0; i < DK_STREAMS; i++) {
        DK_WRITER w = { 0 };

        fill(&w);
        w.coder[i] = i % 2;
        dk_byte(&w, (enum dk_stream)i, 4);
        refuses(&w, i == DK_FILES       ? "has a list of files that passes the old tree's end"
                    : i == DK_GAPS      ? "has a stream that is too short" /* a run, after it */
                    : i == DK_WORD_GAPS ? "mends more than it copies"
                                        : "has more in its streams than its files need");
    }
}

/* The last wrong byte or word must be one of a copy. */
static void mending_more_than_is_copied_is_refused(void)
{
    DK_WRITER bytes = { 0 };
    DK_WRITER words = { 0 };
    DK_WRITER run = { 0 };

    fill(&bytes);
    dk_number(&bytes, DK_GAPS, 4); /* as many are left */
    dk_number(&bytes, DK_RUNS, 0);
    refuses(&bytes, "mends more than it copies");
    fill(&words);
    dk_number(&words, DK_WORD_GAPS, 0);
    refuses(&words, "mends more than it copies");
    fill(&run);
    dk_number(&run, DK_GAPS, 0); /* a run that is longer than what is left */
    dk_number(&run, DK_RUNS, 9);
    dk_text(&run, DK_DIFFERENCES, "1234");
    refuses(&run, "mends more than it copies");
}

/* Each instruction's error is found with a dictionary, which is gathered before, and without. */
#define EACH_CONTEXT(context) for (unsigned char context = 0; context < 12; context += 11)

static void an_instruction_beyond_its_files_size_is_refused(void)
{
    EACH_CONTEXT(context)
    {
        DK_WRITER literals = { .context = context };
        DK_WRITER copy = { .context = context };
        DK_WRITER largest = { .context = context };

        dk_change_file(&literals, 0);
        dk_literal(&literals, "7bytes.", 7);
        refuses(&literals, "puts more into a file than its size");
        dk_change_file(&copy, 0);
        dk_literal(&copy, "1", 1);
        dk_copy(&copy, 6, 0);
        refuses(&copy, "puts more into a file than its size");
        dk_change_file(&largest, 0);
        dk_number(&largest, DK_LITERAL_LENGTHS, INT64_MAX);
        refuses(&largest, "puts more into a file than its size");
    }
}

static void a_copy_from_outside_the_old_tree_is_refused(void)
{
    static const int64_t seeks[] = {
        -7, 15, 21, INT64_MIN / 2, INT64_MAX / 2, -((int64_t)1 << 61)
    };

    EACH_CONTEXT(context)
    {
        for (size_t i = 0; i < sizeof seeks / sizeof *seeks; i++) {
            DK_WRITER w = { .context = context };

            dk_keep_files(&w, 1); /* position 6 */
            dk_change_file(&w, 0);
            dk_literal(&w, "", 0);
            dk_copy(&w, 0, seeks[i]);
            refuses(&w, "copies from outside the old tree");
        }
        DK_WRITER all = { .context = context };
        dk_change_file(&all, 15); /* 21 of 20 */
        dk_literal(&all, "", 0);
        dk_copy(&all, 0, 0);
        refuses(&all, "copies from outside the old tree");
    }
}

static void unknown_modes_are_refused(void)
{
    for (unsigned mode = 0; mode < 256; mode++) {
        DK_WRITER w = { 0 };

        dk_change_file(&w, 0);
        dk_literal(&w, "", 0);
        dk_copy(&w, 0, 0);
        dk_byte(&w, DK_MODES, mode);
        if (mode < 6)
            accepts(&w);
        else
            refuses(&w, "mends in an unknown way");
    }
}

static void unknown_coders_are_refused(void)
{
    for (int coder = 0; coder < 255; coder++) {
        DK_WRITER w = { 0 };
        DU_AUTO_BUF delta = { 0 };

        dk_keep_files(&w, 3);
        w.coder[DK_FILES] = 1;
        w.paths = paths;
        dk_finish(&w, &delta);
        T_CHECK(delta.data[6] == 0);
        delta.data[6] = (unsigned char)coder;
        if (coder >= 225 || coder % 9 + coder / 9 % 5 > 4) {
            char why[64];
            (void)snprintf(why, sizeof why, "has a stream with coder %d", coder);
            refuses_bytes(delta.data, delta.len, why);
        }
    }
}

/* 0 and above 2^63 - 1, which nine bytes cannot say. */
static void numbers_of_more_than_nine_bytes_are_refused(void)
{
    static const enum dk_stream streams[] = {
        DK_FILES, DK_LITERAL_LENGTHS, DK_COPY_LENGTHS, DK_SEEKS, DK_GAPS, DK_RUNS, DK_WORD_GAPS
    };

    for (size_t i = 0; i < sizeof streams / sizeof *streams; i++) {
        DK_WRITER w = { 0 };

        fill(&w);
        du_buf_clear(&w.raw[streams[i]]);
        dk_bytes(&w, streams[i], "\x80\x80\x80\x80\x80\x80\x80\x80\x80\0", 10);
        refuses(&w, "has a number that is too large");
    }
}

static void broken_lzma_is_refused(void)
{
    DK_WRITER w = { .coder[DK_LITERALS] = 1 };
    DU_AUTO_BUF delta = { 0 };
    char text[2000];
    uint64_t seed = 5;

    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)('a' + dk_random(&seed) % 23);
    dk_new_file(&w, false, "t", sizeof text);
    dk_literal(&w, text, sizeof text);
    dk_finish(&w, &delta);
    accepts(&w);
    T_CHECK(delta.len > 1000);
    memset(delta.data + 200, 0xff, delta.len - 200); /* a match further back than the start */
    refuses_bytes(delta.data, delta.len, "has a stream that cannot be decoded");
}

static void lzma_that_lacks_more_than_its_end_is_refused(void)
{
    DK_WRITER w = { .coder[DK_LITERALS] = 1 };
    char text[4000];
    uint64_t seed = 3;

    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)dk_random(&seed);
    dk_new_file(&w, false, "t", sizeof text);
    dk_literal(&w, text, sizeof text);
    accepts(&w);
    w.cut[DK_LITERALS] = 400;
    refuses(&w, "has a stream cut short");
}

/* A stream whose end marker comes before all its bytes. */
static void lzma_that_ends_too_early_is_refused(void)
{
    DK_WRITER w = { .coder[DK_LITERALS] = 1 };
    DU_AUTO_BUF delta = { 0 };

    dk_new_file(&w, false, "t", 100);
    dk_number(&w, DK_LITERAL_LENGTHS, 100);
    for (int i = 0; i < 99; i++)
        dk_byte(&w, DK_LITERALS, 't');
    dk_finish(&w, &delta);
    for (size_t i = 0; i < delta.len; i++) { /* the raw length */
        if (delta.data[i] == 99 && delta.data[i + 1] == 0) {
            delta.data[i] = 100;
            break;
        }
    }
    refuses_bytes(delta.data, delta.len, "has a stream that cannot be decoded");
}

/* --- the list of files --- */

#define LIST "has a list of files "

static void sizes_below_0_are_refused(void)
{
    DK_WRITER w = { 0 };
    DK_WRITER far = { 0 };
    DK_WRITER most = { 0 };

    dk_change_file(&w, -7);
    refuses(&w, LIST "with a size below 0");
    dk_change_file(&far, INT64_MIN / 2);
    refuses(&far, LIST "with a size below 0");
    dk_change_file(&most, INT64_MAX / 2); /* the host's to refuse */
    DU_AUTO_BUF delta = { 0 };
    DU_AUTO_INDEX index = { 0 };
    defupd_error err = { 0 };
    dk_finish(&most, &delta);
    dk_index(&index, names, sizes, 3);
    struct dk_host host = host_of(du_buf_bytes(&delta), &index);
    T_FAILS(dk_decode(&host, &err), DEFUPD_E_TREE, &err);
    du_buf_free(&host.out);
}

static void paths_that_are_too_long_are_refused(void)
{
    DK_WRITER sharing = { 0 };
    DK_WRITER first = { 0 };
    DK_WRITER rest = { 0 };
    DK_WRITER sum = { 0 };
    char path[1026];

    memset(path, 'p', 1025);
    path[1025] = '\0';
    dk_keep_files(&sharing, 2);
    dk_new_path(&sharing, 0, 6, "x"); /* of the five in "b/one" */
    dk_number(&sharing, DK_FILES, 0);
    refuses(&sharing, LIST "with a path that is too long");
    dk_new_path(&first, 0, 1, "x");
    dk_number(&first, DK_FILES, 0);
    refuses(&first, LIST "with a path that is too long");
    dk_new_path(&rest, 0, 0, path);
    dk_number(&rest, DK_FILES, 0);
    refuses(&rest, LIST "with a path that is too long");
    dk_keep_files(&sum, 1);
    dk_new_path(&sum, 0, 1, path + 1); /* 1 + 1024 */
    dk_number(&sum, DK_FILES, 0);
    refuses(&sum, LIST "with a path that is too long");
}

static void a_nul_in_a_path_is_refused(void)
{
    DK_WRITER w = { 0 };

    dk_number(&w, DK_FILES, 3);
    dk_number(&w, DK_FILES, 0);
    dk_number(&w, DK_FILES, 3);
    dk_bytes(&w, DK_FILES, "x\0y", 3);
    dk_number(&w, DK_FILES, 0);
    refuses(&w, LIST "with a path that has a NUL in it");
}

static void unknown_kinds_of_files_are_refused(void)
{
    static const uint64_t flags[] = { 4, 5, 8, (uint64_t)1 << 60 };

    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        DK_WRITER w = { 0 };

        dk_number(&w, DK_FILES, flags[i] * 4 + 3);
        dk_bytes(&w, DK_FILES, "\0\1x\0", 4);
        refuses(&w, LIST "with an unknown kind of file");
    }
}

static void old_files_that_are_none_are_refused(void)
{
    static const int64_t numbers[] = { -2, 2, INT64_MIN / 2, INT64_MAX / 2 };

    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        DK_WRITER w = { 0 };

        dk_keep_files(&w, 1);
        dk_new_path(&w, 2, 0, "x");
        dk_signed(&w, DK_FILES, numbers[i]);
        refuses(&w, LIST "that names an old file there is not");
    }
}

static void passing_no_file_or_too_many_is_refused(void)
{
    for (unsigned op = 0; op < 3; op++) {
        static const uint64_t counts[] = { 0, 3, (uint64_t)1 << 60 };

        for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
            DK_WRITER w = { 0 };

            dk_drop_files(&w, 1);
            dk_number(&w, DK_FILES, counts[i] * 4 + op);
            refuses(&w, LIST "that passes the old tree's end");
        }
    }
}

/* As many as an index may have, and one more. */
static void a_list_without_an_end_is_refused(void)
{
    for (unsigned more = 0; more < 2; more++) {
        DK_WRITER w = { .paths = paths };

        dk_drop_files(&w, 3);
        for (unsigned i = 0; i < DU_INDEX_FILES_MAX + more; i++)
            dk_bytes(&w, DK_FILES, "\3\0\0\0", 4);
        w.coder[DK_FILES] = 1;
        if (more == 0)
            accepts(&w);
        else
            refuses(&w, LIST "with too many files");
    }
}

/* --- the host --- */

static defupd_code fail_old(void *user, uint64_t at, void *bytes, size_t count, defupd_error *err)
{
    (void)user;
    (void)at;
    (void)bytes;
    (void)count;
    return DU_FAIL(err, DEFUPD_E_CANCELLED, "enough");
}

static void what_the_host_says_ends_the_work(void)
{
    EACH_CONTEXT(context)
    {
        DK_WRITER w = { .context = context };
        DU_AUTO_BUF delta = { 0 };
        DU_AUTO_INDEX index = { 0 };
        defupd_error err = { 0 };

        fill(&w);
        dk_finish(&w, &delta);
        dk_index(&index, names, sizes, 3);
        struct dk_host host = host_of(du_buf_bytes(&delta), &index);
        const struct du_delta_host calls = { .user = &host,
                                             .delta = dk_delta,
                                             .old = fail_old,
                                             .keep = dk_keep,
                                             .open = dk_open,
                                             .data = dk_data,
                                             .close = dk_close };
        T_FAILS(du_delta_decode(&calls, delta.len, &index, "demo 2", &err), DEFUPD_E_CANCELLED,
                &err);
        T_SAME(err.message, "enough");
        du_buf_free(&host.out);
    }
}

int main(void)
{
    T_RUN(what_is_no_delta_is_refused);
    T_RUN(too_large_a_context_is_refused);
    T_RUN(an_object_that_is_cut_is_refused_wherever_it_is_cut);
    T_RUN(bytes_after_the_end_are_refused);
    T_RUN(streams_longer_than_anything_are_refused);
    T_RUN(a_stream_that_lacks_an_element_is_refused);
    T_RUN(a_stream_with_an_element_too_many_is_refused);
    T_RUN(mending_more_than_is_copied_is_refused);
    T_RUN(an_instruction_beyond_its_files_size_is_refused);
    T_RUN(a_copy_from_outside_the_old_tree_is_refused);
    T_RUN(unknown_modes_are_refused);
    T_RUN(unknown_coders_are_refused);
    T_RUN(numbers_of_more_than_nine_bytes_are_refused);
    T_RUN(broken_lzma_is_refused);
    T_RUN(lzma_that_lacks_more_than_its_end_is_refused);
    T_RUN(lzma_that_ends_too_early_is_refused);
    T_RUN(sizes_below_0_are_refused);
    T_RUN(paths_that_are_too_long_are_refused);
    T_RUN(a_nul_in_a_path_is_refused);
    T_RUN(unknown_kinds_of_files_are_refused);
    T_RUN(old_files_that_are_none_are_refused);
    T_RUN(passing_no_file_or_too_many_is_refused);
    T_RUN(a_list_without_an_end_is_refused);
    T_RUN(what_the_host_says_ends_the_work);
    return T_DONE();
}
