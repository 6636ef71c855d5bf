/* SPDX-License-Identifier: Apache-2.0 */
/* What each part of a delta means, with deltas written by hand (delta_kit.h). */
#include "delta_kit.h"
#include "t.h"

/* Three files, with the old positions 0, 6, 12 and the end 20. */
static const char *const names[] = { "a", "b/one", "b/two" };
static const size_t sizes[] = { 6, 6, 8 };
static const char old_text[] = "alpha\nbravo\ncharlie\n";
static const struct du_bytes paths = { (const unsigned char *)"a\nb/one\nb/two\n", 14 };

/* Decode and compare. */
static void makes_of(const struct du_index *index, struct du_bytes old, const struct dk_writer *w,
                     const void *want, size_t count)
{
    DU_AUTO_BUF delta = { 0 };
    defupd_error err = { 0 };

    dk_finish(w, &delta);
    struct dk_host host = { .delta = du_buf_bytes(&delta),
                            .old = old,
                            .index = index,
                            .most = 1U << 30,
                            .out = DU_BUF(SIZE_MAX / 2) };
    T_OK(dk_decode(&host, &err), &err);
    if (host.broken != NULL)
        printf("# the decoder %s\n", host.broken);
    T_CHECK(host.broken == NULL && !host.open);
    T_CHECK(host.out.len == count && (count == 0 || memcmp(host.out.data, want, count) == 0));
    if (host.out.len != count)
        printf("# %zu bytes instead of %zu: %.200s\n", host.out.len, count, du_buf_text(&host.out));
    du_buf_free(&host.out);
}

static void makes(const struct dk_writer *w, const char *want)
{
    DU_AUTO_INDEX index = { 0 };

    dk_index(&index, names, sizes, 3);
    makes_of(&index, (struct du_bytes){ (const unsigned char *)old_text, 20 }, w, want,
             strlen(want));
}

static void nothing_keeps_everything(void)
{
    DK_WRITER w = { 0 };

    makes(&w, "keep - a = a\nkeep - b/one = b/one\nkeep - b/two = b/two\n");
}

static void files_are_kept_and_dropped_in_their_order(void)
{
    DK_WRITER w = { 0 };
    DK_WRITER all = { 0 };

    dk_drop_files(&w, 1);
    dk_keep_files(&w, 1);
    dk_drop_files(&w, 1);
    makes(&w, "keep - b/one = b/one\n");
    dk_drop_files(&all, 3);
    makes(&all, "");
}

static void a_changed_file_may_be_emptied_and_may_stay_as_long(void)
{
    DK_WRITER w = { 0 };

    dk_number(&w, DK_FILES, 2 * 4 + 2);
    dk_signed(&w, DK_FILES, -6);
    dk_signed(&w, DK_FILES, 0);
    dk_literal(&w, "BRAVO\n", 6);
    makes(&w, "make - a 0\n\nmake - b/one 6\nBRAVO\n\nkeep - b/two = b/two\n");
}

static void new_files_share_the_beginning_of_the_path_before(void)
{
    DK_WRITER w = { 0 };

    dk_keep_files(&w, 2);
    dk_new_path(&w, 1, 2, "seven"); /* after b/one */
    dk_number(&w, DK_FILES, 0);
    dk_drop_files(&w, 1); /* names nothing */
    dk_new_path(&w, 0, 3, "ix");
    dk_number(&w, DK_FILES, 1);
    dk_literal(&w, "6", 1);
    makes(&w, "keep - a = a\nkeep - b/one = b/one\nmake x b/seven 0\n\nmake - b/six 1\n6\n");
}

static void the_first_path_shares_nothing(void)
{
    DK_WRITER w = { 0 };

    dk_new_file(&w, true, "A", 0);
    makes(&w, "make x A 0\n\nkeep - a = a\nkeep - b/one = b/one\nkeep - b/two = b/two\n");
}

static void a_new_file_may_have_the_content_of_any_old_one(void)
{
    DK_WRITER w = { 0 };

    dk_keep_files(&w, 1);
    dk_new_path(&w, 2, 0, "again"); /* of the one at the cursor */
    dk_signed(&w, DK_FILES, 0);
    dk_new_path(&w, 3, 0, "b/before");
    dk_signed(&w, DK_FILES, -1);
    dk_new_path(&w, 2, 0, "b/next");
    dk_signed(&w, DK_FILES, 1);
    makes(&w, "keep - a = a\nkeep - again = b/one\nkeep x b/before = a\nkeep - b/next = b/two\n"
              "keep - b/one = b/one\nkeep - b/two = b/two\n");
}

static void a_path_may_have_1024_bytes(void)
{
    DK_WRITER w = { 0 };
    char path[1025], want[1100];

    memset(path, 'p', 1024);
    path[1024] = '\0';
    dk_new_file(&w, false, path, 0);
    dk_new_path(&w, 0, 1024, "");
    dk_number(&w, DK_FILES, 0);
    dk_drop_files(&w, 3);
    (void)snprintf(want, sizeof want, "make - %s 0\n\n", path);
    DU_AUTO_BUF twice = DU_BUF(4000);
    dk_add(&twice, want, strlen(want));
    dk_add(&twice, want, strlen(want));
    makes(&w, du_buf_text(&twice));
}

static void copies_begin_at_the_changed_file_and_go_on_from_their_end(void)
{
    DK_WRITER w = { 0 };

    dk_keep_files(&w, 1);
    dk_change_file(&w, 6); /* at 6 */
    dk_literal(&w, "<", 1);
    dk_copy(&w, 3, 0); /* "bra", to 9 */
    dk_literal(&w, ">", 1);
    dk_copy(&w, 2, 1); /* "o\n", to 12 */
    dk_literal(&w, "", 0);
    dk_copy(&w, 5, -12); /* "alpha", to 5 */
    makes(&w, "keep - a = a\nmake - b/one 12\n<bra>o\nalpha\nkeep - b/two = b/two\n");
}

static void copies_of_new_files_begin_at_the_cursor(void)
{
    DK_WRITER w = { 0 };

    dk_keep_files(&w, 1);
    dk_new_file(&w, false, "aa", 5);
    dk_literal(&w, "", 0);
    dk_copy(&w, 0, 0);
    dk_keep_files(&w, 2);
    dk_new_file(&w, false, "c", 8);
    dk_literal(&w, "", 0);
    dk_copy(&w, 8, -8); /* from the end */
    makes(&w, "keep - a = a\nmake - aa 5\nbravo\nkeep - b/one = b/one\nkeep - b/two = b/two\n"
              "make - c 8\ncharlie\n\n");
}

static void a_copy_length_of_0_is_all_that_lacks(void)
{
    DK_WRITER w = { 0 };

    dk_change_file(&w, 15); /* longer than the file it begins in */
    dk_literal(&w, "!", 1);
    dk_copy(&w, 0, 0);
    dk_drop_files(&w, 2);
    makes(&w, "make - a 21\n!alpha\nbravo\ncharlie\n\n");
}

static void wrong_bytes_are_replaced(void)
{
    DK_WRITER w = { 0 };

    dk_change_file(&w, 6);
    dk_drop_files(&w, 2);
    dk_literal(&w, "", 0);
    dk_copy(&w, 0, 0);
    dk_number(&w, DK_GAPS, 2); /* alXXa. */
    dk_number(&w, DK_RUNS, 1);
    dk_text(&w, DK_REPLACEMENTS, "XX");
    dk_number(&w, DK_GAPS, 0); /* a run beside the one before */
    dk_number(&w, DK_RUNS, 0);
    dk_text(&w, DK_REPLACEMENTS, "Y");
    dk_number(&w, DK_GAPS, 6); /* the last byte */
    dk_number(&w, DK_RUNS, 0);
    dk_text(&w, DK_REPLACEMENTS, "Z");
    makes(&w, "make - a 12\nalXXY\nbravoZ\n");
}

static void gaps_and_runs_pass_from_one_copy_to_the_next_and_over_files(void)
{
    DK_WRITER w = { 0 };

    dk_change_file(&w, -1); /* alph|, bra|o., charlie. */
    dk_change_file(&w, 0);
    dk_change_file(&w, 0);
    dk_literal(&w, "", 0);
    dk_copy(&w, 0, 0);
    dk_literal(&w, "", 0);
    dk_copy(&w, 3, 0);
    dk_literal(&w, "+", 1);
    dk_copy(&w, 2, 0);
    dk_literal(&w, "", 0);
    dk_copy(&w, 0, 0);
    dk_number(&w, DK_GAPS, 4); /* a run over the end of the first file */
    dk_number(&w, DK_RUNS, 1);
    dk_text(&w, DK_REPLACEMENTS, "12");
    dk_number(&w, DK_GAPS, 1); /* one over the end of a copy; the literal is not of it */
    dk_number(&w, DK_RUNS, 1);
    dk_text(&w, DK_REPLACEMENTS, "34");
    dk_number(&w, DK_GAPS, 1); /* one that begins where a copy does, and ends with the last */
    dk_number(&w, DK_RUNS, 7);
    dk_text(&w, DK_REPLACEMENTS, "CHARLIE.");
    makes(&w, "make - a 5\nalph1\nmake - b/one 6\n2r3+4o\nmake - b/two 8\nCHARLIE.\n");
}

static void differences_are_added_modulo_256(void)
{
    DK_WRITER w = { 0 };

    dk_change_file(&w, 6);
    dk_drop_files(&w, 2);
    dk_literal(&w, "", 0);
    dk_copy(&w, 6, 0);
    dk_literal(&w, "", 0);
    dk_copy(&w, 6, 0);
    dk_byte(&w, DK_MODES, 1);
    dk_byte(&w, DK_MODES, 0);
    dk_number(&w, DK_GAPS, 4);
    dk_number(&w, DK_RUNS, 3); /* "a\n" by differences, "br" by replacements */
    dk_byte(&w, DK_DIFFERENCES, 2);
    dk_byte(&w, DK_DIFFERENCES, 0x100 - '\n' + '~');
    dk_text(&w, DK_REPLACEMENTS, "__");
    makes(&w, "make - a 12\nalphc~__avo\n\n");
}

static void words_of_each_alignment_get_a_difference_added(void)
{
    for (unsigned mode = 2; mode < 6; mode++) {
        DK_WRITER w = { 0 };
        unsigned char text[] = "make - a 12\nalpha\nbravo\n\n";
        const unsigned first = mode == 2 ? 4 : mode - 2; /* bytes of the first word */

        dk_change_file(&w, 6);
        dk_drop_files(&w, 2);
        dk_literal(&w, "", 0);
        dk_copy(&w, 0, 0);
        dk_byte(&w, DK_MODES, mode);
        dk_number(&w, DK_WORD_GAPS, 0); /* the first word's lowest byte */
        dk_bytes(&w, DK_WORDS, "\1\0\0\0", 4);
        text[12]++;
        dk_number(&w, DK_WORD_GAPS, 0); /* the second word's lowest and highest */
        dk_bytes(&w, DK_WORDS, "\2\0\0\3", 4);
        text[12 + first] = (unsigned char)(text[12 + first] + 2);
        text[12 + first + 3] = (unsigned char)(text[12 + first + 3] + 3);
        makes(&w, (const char *)text);
    }
}

static void a_carry_goes_up_in_its_word_and_is_lost_at_its_end(void)
{
    DK_WRITER w = { 0 };
    static const size_t size[] = { 7 };
    static const char *const path[] = { "a" };
    DU_AUTO_INDEX index = { 0 };

    /* A first word of one byte, a whole one, and a last one of two. */
    dk_index(&index, path, size, 1);
    dk_change_file(&w, 0);
    dk_literal(&w, "", 0);
    dk_copy(&w, 0, 0);
    dk_byte(&w, DK_MODES, 3);
    for (int i = 0; i < 3; i++) {
        dk_number(&w, DK_WORD_GAPS, 0);
        dk_bytes(&w, DK_WORDS, i == 1 ? "\xff\xff\xff\xff" : "\2\0\0\0", 4);
    }
    makes_of(&index, (struct du_bytes){ (const unsigned char *)"\xff\0\0\0\0\xff\xff", 7 }, &w,
             "make - a 7\n\1\xff\xff\xff\xff\1\0\n", 19);
}

static void word_gaps_pass_from_one_copy_to_the_next(void)
{
    DK_WRITER w = { 0 };

    /* "alpha." by mode 4 has words al, pha., then "brav" by 2 one, "o." by 5 one (short). */
    dk_change_file(&w, 6);
    dk_drop_files(&w, 2);
    dk_literal(&w, "", 0);
    dk_copy(&w, 6, 0);
    dk_literal(&w, "", 0);
    dk_copy(&w, 4, 0);
    dk_literal(&w, "", 0);
    dk_copy(&w, 2, 0);
    dk_byte(&w, DK_MODES, 4);
    dk_byte(&w, DK_MODES, 2);
    dk_byte(&w, DK_MODES, 5);
    dk_number(&w, DK_WORD_GAPS, 2); /* "brav" */
    dk_bytes(&w, DK_WORDS, "\1\0\0\0", 4);
    dk_number(&w, DK_WORD_GAPS, 0); /* "o." */
    dk_bytes(&w, DK_WORDS, "\0\1\1\1", 4);
    makes(&w, "make - a 12\nalpha\ncravo\v\n");
}

/* --- long copies: the buffer's limit is nothing that shows --- */

#define LONG_BYTES (300U << 10)

static unsigned char *random_bytes(size_t count, uint64_t seed)
{
    unsigned char *bytes = malloc(count);

    if (bytes == NULL)
        abort();
    for (size_t i = 0; i < count; i++)
        bytes[i] = (unsigned char)(dk_random(&seed) >> 32);
    return bytes;
}

/* The words as the format says, one by one. */
static void model_words(struct dk_writer *w, unsigned char *bytes, size_t count, unsigned mode,
                        uint64_t *seed)
{
    uint64_t gap = 0;

    for (size_t at = 0; at < count;) {
        const size_t whole = at == 0 && mode > 2 ? mode - 2 : 4;
        const size_t part = whole < count - at ? whole : count - at;

        if (dk_random(seed) % 3 > 0) {
            gap++;
        } else {
            const uint32_t add = (uint32_t)(dk_random(seed) >> 16);
            const unsigned char difference[4] = { (unsigned char)add, (unsigned char)(add >> 8),
                                                  (unsigned char)(add >> 16),
                                                  (unsigned char)(add >> 24) };
            unsigned carry = 0;

            for (size_t i = 0; i < part; i++) {
                carry += (unsigned)bytes[at + i] + difference[i];
                bytes[at + i] = (unsigned char)carry;
                carry >>= 8;
            }
            dk_number(w, DK_WORD_GAPS, gap);
            dk_bytes(w, DK_WORDS, difference, 4);
            gap = 0;
        }
        at += part;
    }
}

/* Gaps, runs and what they hold, one by one. */
static void model_bytes(struct dk_writer *w, unsigned char *bytes, size_t count, unsigned mode,
                        uint64_t *seed)
{
    for (size_t at = 0;;) {
        const size_t gap = dk_random(seed) % 5000, run = 1 + dk_random(seed) % 3000;

        if (gap + run > count - at)
            return;
        dk_number(w, DK_GAPS, gap);
        dk_number(w, DK_RUNS, run - 1);
        at += gap;
        for (size_t i = 0; i < run; i++, at++) {
            const unsigned char byte = (unsigned char)(dk_random(seed) >> 16);

            dk_byte(w, mode == 1 ? DK_DIFFERENCES : DK_REPLACEMENTS, byte);
            bytes[at] = mode == 1 ? (unsigned char)(bytes[at] + byte) : byte;
        }
    }
}

/* `before` literals, then the whole old file, mended. */
static void long_copy(const unsigned char *old, unsigned mode, size_t before)
{
    static const char *const path[] = { "long" };
    static const size_t size[] = { LONG_BYTES };
    DU_AUTO_FREE unsigned char *literals = random_bytes(before + 1, 77);
    DU_AUTO_FREE unsigned char *copy = malloc(LONG_BYTES);
    DU_AUTO_BUF want = DU_BUF(SIZE_MAX / 2);
    DU_AUTO_INDEX index = { 0 };
    DK_WRITER w = { 0 };
    uint64_t seed = 1234 + before;
    char line[64];

    dk_index(&index, path, size, 1);
    dk_change_file(&w, (int64_t)before);
    dk_literal(&w, literals, before);
    dk_copy(&w, before % 2 == 0 ? 0 : LONG_BYTES, 0);
    dk_byte(&w, DK_MODES, mode);
    memcpy(copy, old, LONG_BYTES);
    if (mode < 2)
        model_bytes(&w, copy, LONG_BYTES, mode, &seed);
    else
        model_words(&w, copy, LONG_BYTES, mode, &seed);
    (void)snprintf(line, sizeof line, "make - long %zu\n", LONG_BYTES + before);
    dk_add(&want, line, strlen(line));
    dk_add(&want, literals, before);
    dk_add(&want, copy, LONG_BYTES);
    dk_add(&want, "\n", 1);
    makes_of(&index, (struct du_bytes){ old, LONG_BYTES }, &w, want.data, want.len);
}

static void copies_are_mended_across_the_decoders_buffer(void)
{
    enum { BUFFER = 128 << 10 };
    static const size_t before[] = { 0,          1,          2,          3,          5,
                                     BUFFER - 9, BUFFER - 8, BUFFER - 7, BUFFER - 6, BUFFER - 5,
                                     BUFFER - 4, BUFFER - 3, BUFFER - 2, BUFFER - 1, BUFFER };
    DU_AUTO_FREE unsigned char *old = random_bytes(LONG_BYTES, 4711);

    for (unsigned mode = 0; mode < 6; mode++) {
        for (size_t i = 0; i < sizeof before / sizeof *before; i++)
            long_copy(old, mode, before[i]);
    }
}

/* --- LZMA and the preset dictionary --- */

static void streams_may_be_lzma_of_any_setting(void)
{
    for (int lc = 0; lc <= 4; lc++) {
        for (int lp = 0; lp + lc <= 4; lp++) {
            for (int pb = 0; pb <= 4; pb += 2) {
                DK_WRITER w = { .paths = paths };

                dk_change_file(&w, 6);
                dk_drop_files(&w, 2);
                dk_literal(&w, "L", 1);
                dk_copy(&w, 5, 0);
                dk_literal(&w, "", 0);
                dk_copy(&w, 0, 1);
                dk_byte(&w, DK_MODES, 0);
                dk_byte(&w, DK_MODES, 2);
                dk_number(&w, DK_GAPS, 0);
                dk_number(&w, DK_RUNS, 0);
                dk_byte(&w, DK_REPLACEMENTS, 'A');
                dk_number(&w, DK_WORD_GAPS, 0);
                dk_bytes(&w, DK_WORDS, "\1\1\1\1", 4);
                for (int i = 0; i < DK_STREAMS; i++) {
                    if (w.raw[i].len > 0)
                        w.coder[i] = 1 + (pb * 5 + lp) * 9 + lc;
                }
                makes(&w, "make - a 12\nLAlphacsbwo\n\n");
            }
        }
    }
}

/* Those of an end marker and of an encoder's flush are not needed. */
static void bytes_at_the_end_of_an_lzma_stream_may_be_left_out(void)
{
    for (unsigned cut = 0; cut <= 5; cut++) {
        DK_WRITER w = { .coder[DK_LITERALS] = 1, .cut[DK_LITERALS] = cut };
        char text[600], want[700];

        memset(text, 'z', sizeof text);
        dk_new_file(&w, false, "z", sizeof text);
        dk_drop_files(&w, 3);
        dk_literal(&w, text, sizeof text);
        (void)snprintf(want, sizeof want, "make - z 600\n%.600s\n", text);
        makes(&w, want);
    }
}

/* One of two kinds of copies of five bytes after eight literals; `wrong` is what all streams of
 * wrong ones hold. */
static void one_of_many(struct dk_writer *w, size_t number, const unsigned char *old,
                        unsigned char wrong, struct du_buf *want)
{
    const bool words = number % 2 == 0, subtract = number % 4 == 1;
    unsigned char literals[8], piece[5];
    unsigned sum = 0;

    memset(literals, wrong, sizeof literals);
    literals[number % 8] = (unsigned char)number;
    memcpy(piece, old, 5);
    dk_literal(w, literals, 8);
    dk_copy(w, 5, 0);
    dk_byte(w, DK_MODES, words ? 2 : subtract);
    if (words) {
        for (int k = 0; k < 2; k++) {
            dk_number(w, DK_WORD_GAPS, 0);
            dk_bytes(w, DK_WORDS, (const unsigned char[]){ wrong, 0, 0, 0 }, 4);
        }
        sum = (unsigned)wrong << 8;
        for (int k = 0; k < 4; k++) {
            sum = piece[k] + (sum >> 8);
            piece[k] = (unsigned char)sum;
        }
        piece[4] = (unsigned char)(piece[4] + wrong);
    } else { /* all but the second one */
        dk_number(w, DK_GAPS, 0);
        dk_number(w, DK_RUNS, 0);
        dk_number(w, DK_GAPS, 1);
        dk_number(w, DK_RUNS, 2);
        for (int k = 0; k < 5; k += k == 0 ? 2 : 1) {
            dk_byte(w, subtract ? DK_DIFFERENCES : DK_REPLACEMENTS, wrong);
            piece[k] = subtract ? (unsigned char)(piece[k] + wrong) : wrong;
        }
    }
    dk_add(want, literals, 8);
    dk_add(want, piece, 5);
}

/* With DEFUPD_LONG all but the list of files are longer than what a decoder may keep of them. */
static void streams_may_be_longer_than_their_windows(void)
{
    const size_t copies = getenv("DEFUPD_LONG") != NULL ? 600000 : 20000;
    const size_t size[] = { copies * 5 };
    static const char *const path[] = { "a" };
    DU_AUTO_FREE unsigned char *old = random_bytes(size[0], 5);
    DU_AUTO_BUF want = DU_BUF(SIZE_MAX / 2);
    DU_AUTO_INDEX index = { 0 };
    DK_WRITER w = { 0 };
    uint64_t seed = 6;
    char line[64];

    dk_index(&index, path, size, 1);
    dk_change_file(&w, (int64_t)copies * 8);
    (void)snprintf(line, sizeof line, "make - a %zu\n", copies * 13);
    dk_add(&want, line, strlen(line));
    for (size_t i = 0; i < copies; i++)
        one_of_many(&w, i, old + i * 5, (unsigned char)(dk_random(&seed) % 3), &want);
    dk_add(&want, "\n", 1);
    for (int i = 1; i < DK_STREAMS; i++)
        w.coder[i] = 1 + 3;
    makes_of(&index, (struct du_bytes){ old, size[0] }, &w, want.data, want.len);
}

/* A file of each of the old paths' names with an x before it; the list is coded with `dict`. */
static void list_makes(const char *const *path, size_t count, struct du_bytes dict)
{
    DU_AUTO_FREE size_t *size = calloc(count, sizeof *size);
    DU_AUTO_BUF want = DU_BUF(SIZE_MAX / 2);
    DU_AUTO_INDEX index = { 0 };
    DK_WRITER w = { .paths = dict, .coder[DK_FILES] = 1 + 3 };

    dk_index(&index, path, size, count);
    dk_drop_files(&w, count);
    for (size_t i = 0; i < count; i += 1 + count / 50) {
        char name[1100];

        (void)snprintf(name, sizeof name, "x%.1000s", path[i]);
        dk_new_file(&w, false, name, 0);
        dk_add(&want, "make - ", 7);
        dk_add(&want, name, strlen(name));
        dk_add(&want, " 0\n\n", 4);
    }
    makes_of(&index, (struct du_bytes){ NULL, 0 }, &w, want.data, want.len);
}

/* Every path, as long as they have 384 KiB with their line's ends; then every second, every third.
 */
static void the_list_of_files_knows_the_old_paths(void)
{
    enum { MOST = 384 << 10, FILES = 4 * 2048, LONG = MOST / 2048 };
    static char name[FILES][LONG + 1];
    static const char *path[FILES];
    static const size_t counts[] = { 1, 100, 2048, 2049, 4096, 4097, 2 * 2048 + 2, FILES };
    static const size_t every[] = { 1, 1, 1, 2, 2, 3, 3, 4 };
    uint64_t seed = 17;

    for (size_t i = 0; i < FILES; i++) { /* of LONG - 1 bytes */
        int len = snprintf(name[i], sizeof name[i], "%05zu-", i);

        for (; len < LONG - 1; len++)
            name[i][len] = (char)('a' + dk_random(&seed) % 26);
        path[i] = name[i];
    }
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        DU_AUTO_BUF dict = DU_BUF(MOST);

        for (size_t k = 0; k < counts[i]; k += every[i]) {
            dk_add(&dict, path[k], strlen(path[k]));
            dk_add(&dict, "\n", 1);
        }
        list_makes(path, counts[i], du_buf_bytes(&dict));
    }
}

#define CONTEXT_OLD (5U << 20)

struct range {
    uint64_t low, high;
};

/* Literals at these old positions, compressed with these ranges of the old bytes, which they
 * repeat: another dictionary would give other bytes. */
static void context_makes(const unsigned char *old, unsigned char context, const uint64_t *at,
                          size_t places, const struct range *range, size_t ranges)
{
    static const char *const path[] = { "a" };
    static const size_t size[] = { CONTEXT_OLD };
    DU_AUTO_BUF dict = DU_BUF(SIZE_MAX / 2), want = DU_BUF(SIZE_MAX / 2);
    DU_AUTO_INDEX index = { 0 };
    DK_WRITER w = { .context = context };
    uint64_t old_at = 0;
    char line[64];

    for (size_t i = 0; i < ranges; i++)
        dk_add(&dict, old + range[i].low, (size_t)(range[i].high - range[i].low));
    w.dict = du_buf_bytes(&dict);
    w.coder[DK_LITERALS] = 1 + 3;
    dk_index(&index, path, size, 1);
    dk_change_file(&w, (int64_t)places * 17 - (int64_t)CONTEXT_OLD);
    (void)snprintf(line, sizeof line, "make - a %zu\n", places * 17);
    dk_add(&want, line, strlen(line));
    dk_number(&w, DK_LITERAL_LENGTHS, 0);
    for (size_t i = 0; i < places; i++) { /* a copy of one byte leads to the literals' place */
        const unsigned char *taken = dict.data + (dict.len - 16) * i / places;

        dk_copy(&w, 1, (int64_t)(at[i] - 1 - old_at));
        dk_literal(&w, taken, 16);
        dk_add(&want, old + at[i] - 1, 1);
        dk_add(&want, taken, 16);
        old_at = at[i];
    }
    dk_add(&want, "\n", 1);
    makes_of(&index, (struct du_bytes){ old, CONTEXT_OLD }, &w, want.data, want.len);
}

static void literals_know_what_stood_around_them(void)
{
    enum { MIB = 1 << 20 };
    DU_AUTO_FREE unsigned char *old = random_bytes(CONTEXT_OLD, 8);

    /* 16 bytes around: cut by the tree's start, one that overlaps, one that only touches, one that
     * reaches back over the one before, one that is cut by the tree's end. */
    context_makes(
        old, 5, (const uint64_t[]){ 1, 20, 52, 40, 70, CONTEXT_OLD - 6 }, 6,
        (const struct range[]){
            { 0, 17 }, { 17, 36 }, { 36, 68 }, { 68, 86 }, { CONTEXT_OLD - 22, CONTEXT_OLD } },
        5);
    /* One byte around; the same place twice; one within the range that two made together. */
    context_makes(old, 1, (const uint64_t[]){ 100, 100, 200, 201, 202, 300, 400, 500, 600, 700 },
                  10,
                  (const struct range[]){ { 99, 101 },
                                          { 199, 201 },
                                          { 201, 202 },
                                          { 202, 203 },
                                          { 299, 301 },
                                          { 399, 401 },
                                          { 499, 501 },
                                          { 599, 601 },
                                          { 699, 701 } },
                  9);
    /* 2 MiB and no more; what does not fit is cut, and small ones after it find no room. */
    context_makes(old, 21, (const uint64_t[]){ 2 * MIB, MIB, 4 * MIB }, 3,
                  (const struct range[]){ { MIB, 3 * MIB } }, 1);
    context_makes(old, 20, (const uint64_t[]){ MIB, 3 * MIB, 4 * MIB + MIB / 4, 16 }, 4,
                  (const struct range[]){ { MIB / 2, MIB + MIB / 2 },
                                          { 2 * MIB + MIB / 2, 3 * MIB + MIB / 2 } },
                  2);
    context_makes(old, 20, (const uint64_t[]){ 16, MIB * 2, 4 * MIB, MIB }, 4,
                  (const struct range[]){ { 0, MIB / 2 + 16 },
                                          { MIB + MIB / 2, 2 * MIB + MIB / 2 },
                                          { 3 * MIB + MIB / 2, 4 * MIB - 16 } },
                  3);
}

/* Literals at the start of a file that was not there stand at the cursor. */
static void context_of_new_files_is_at_the_cursor(void)
{
    DK_WRITER w = { .context = 3 };

    dk_keep_files(&w, 1);
    dk_new_file(&w, false, "aa", 4);
    dk_literal(&w, "phab", 4);
    dk_drop_files(&w, 1);
    dk_new_path(&w, 2, 0, "ab");
    dk_signed(&w, DK_FILES, -1);
    dk_new_file(&w, false, "ac", 20);
    dk_literal(&w, "bravo\ncharavo\ncbravo", 20);
    /* 2 to 10 around 6, then 8 to 16 around 12: its first two bytes are there */
    static const unsigned char dict[] = "pha\nbravo\nchar";
    w.dict = (struct du_bytes){ dict, 14 };
    w.coder[DK_LITERALS] = 1;
    makes(&w, "keep - a = a\nmake - aa 4\nphab\nkeep - ab = b/one\nmake - ac 20\n"
              "bravo\ncharavo\ncbravo\nkeep - b/two = b/two\n");
}

int main(void)
{
    T_RUN(nothing_keeps_everything);
    T_RUN(files_are_kept_and_dropped_in_their_order);
    T_RUN(a_changed_file_may_be_emptied_and_may_stay_as_long);
    T_RUN(new_files_share_the_beginning_of_the_path_before);
    T_RUN(the_first_path_shares_nothing);
    T_RUN(a_new_file_may_have_the_content_of_any_old_one);
    T_RUN(a_path_may_have_1024_bytes);
    T_RUN(copies_begin_at_the_changed_file_and_go_on_from_their_end);
    T_RUN(copies_of_new_files_begin_at_the_cursor);
    T_RUN(a_copy_length_of_0_is_all_that_lacks);
    T_RUN(wrong_bytes_are_replaced);
    T_RUN(gaps_and_runs_pass_from_one_copy_to_the_next_and_over_files);
    T_RUN(differences_are_added_modulo_256);
    T_RUN(words_of_each_alignment_get_a_difference_added);
    T_RUN(a_carry_goes_up_in_its_word_and_is_lost_at_its_end);
    T_RUN(word_gaps_pass_from_one_copy_to_the_next);
    T_RUN(copies_are_mended_across_the_decoders_buffer);
    T_RUN(streams_may_be_lzma_of_any_setting);
    T_RUN(bytes_at_the_end_of_an_lzma_stream_may_be_left_out);
    T_RUN(streams_may_be_longer_than_their_windows);
    T_RUN(the_list_of_files_knows_the_old_paths);
    T_RUN(literals_know_what_stood_around_them);
    T_RUN(context_of_new_files_is_at_the_cursor);
    return T_DONE();
}
