/* SPDX-License-Identifier: Apache-2.0 */
/* Create and merge is identity, whatever the trees and the edits between them. Seeds are fixed;
 * DEFUPD_LONG tries more and larger ones. */
#include "delta_disk.h"
#include "delta_kit.h"

/* --- trees in memory, to be edited --- */

#define FILES_MAX 400

struct file {
    char path[64];
    struct du_buf bytes;
    bool exec;
};

struct tree {
    struct file *file[FILES_MAX];
    size_t count;
    uint64_t seed;
    unsigned names; /* given up to now */
};

static size_t below(struct tree *tree, size_t end)
{
    return (size_t)(dk_random(&tree->seed) >> 11) % end;
}

static struct file *add_file(struct tree *tree)
{
    static const char *const dirs[] = { "", "rules/", "rules/deep/er/", "b i n/", "z/" };
    struct file *file = calloc(1, sizeof *file);

    if (file == NULL || tree->count == FILES_MAX)
        abort();
    file->bytes.max = SIZE_MAX / 2;
    (void)snprintf(file->path, sizeof file->path, "%s%c%u.dat", dirs[below(tree, 5)],
                   (char)('a' + below(tree, 26)), tree->names++);
    return tree->file[tree->count++] = file;
}

static void remove_file(struct tree *tree, size_t number)
{
    du_buf_free(&tree->file[number]->bytes);
    free(tree->file[number]);
    tree->file[number] = tree->file[--tree->count];
}

static void free_tree(struct tree *tree)
{
    while (tree->count > 0)
        remove_file(tree, 0);
}

/* Text like rules, a table of words, random bytes, or many equal ones. */
static void add_content(struct tree *tree, struct du_buf *to, size_t count)
{
    const size_t before = to->len, kind = below(tree, 4), first = below(tree, 100000);

    if (kind == 0)
        dk_rules(to, (unsigned)first, (unsigned)(first + count / 70));
    else if (kind == 1)
        dk_words(to, (unsigned)count / 4, (unsigned)first);
    while (to->len - before < count) {
        const unsigned char byte = kind == 3 ? 0 : (unsigned char)dk_random(&tree->seed);

        dk_add(to, &byte, 1);
    }
}

static void fill_tree(struct tree *tree, size_t files, size_t size)
{
    for (size_t i = 0; i < files; i++) {
        struct file *file = add_file(tree);

        if (below(tree, 8) > 0) /* else empty */
            add_content(tree, &file->bytes, below(tree, size));
        file->exec = below(tree, 5) == 0;
    }
}

static void copy_tree(struct tree *to, const struct tree *from)
{
    *to = *from;
    for (size_t i = 0; i < from->count; i++) {
        to->file[i] = calloc(1, sizeof *to->file[i]);
        *to->file[i] = *from->file[i];
        to->file[i]->bytes = DU_BUF(SIZE_MAX / 2);
        if (from->file[i]->bytes.len > 0)
            dk_add(&to->file[i]->bytes, from->file[i]->bytes.data, from->file[i]->bytes.len);
    }
}

/* `removed` bytes at `at` become `count` others. */
static void put_in(struct du_buf *bytes, size_t at, size_t removed, const void *other, size_t count)
{
    struct du_buf made = DU_BUF(SIZE_MAX / 2);

    if (at > 0)
        dk_add(&made, bytes->data, at);
    if (count > 0)
        dk_add(&made, other, count);
    if (at + removed < bytes->len)
        dk_add(&made, bytes->data + at + removed, bytes->len - at - removed);
    du_buf_free(bytes);
    *bytes = made;
}

/* What a linker does: words that are offsets all move by the same. */
static void shift_words(struct tree *tree, struct du_buf *bytes)
{
    const unsigned by = (unsigned)below(tree, 5000);
    const size_t step = 4 * (1 + below(tree, 6));

    for (size_t at = below(tree, 7); at + 4 <= bytes->len; at += step) {
        unsigned word = by;

        for (int i = 0; i < 4; i++)
            word += (unsigned)bytes->data[at + (size_t)i] << (8 * i);
        for (int i = 0; i < 4; i++)
            bytes->data[at + (size_t)i] = (unsigned char)(word >> (8 * i));
    }
}

static void edit_content(struct tree *tree, struct file *file)
{
    struct du_buf *bytes = &file->bytes;
    const size_t at = below(tree, bytes->len + 1);
    const size_t left = bytes->len - at, some = below(tree, 1 + (left < 3000 ? left : 3000));
    DU_AUTO_BUF other = DU_BUF(SIZE_MAX / 2);

    switch (below(tree, 7)) {
    case 0: /* insert */
        add_content(tree, &other, below(tree, 2000));
        put_in(bytes, at, 0, other.data, other.len);
        break;
    case 1: /* delete */ put_in(bytes, at, some, NULL, 0); break;
    case 2: /* replace a little */
        for (size_t i = 0; i < 5 && i < left; i++)
            bytes->data[at + i] = (unsigned char)dk_random(&tree->seed);
        break;
    case 3: /* move or double a part */
        if (some > 0)
            dk_add(&other, bytes->data + at, some);
        if (below(tree, 2) == 0)
            put_in(bytes, at, some, NULL, 0);
        put_in(bytes, below(tree, bytes->len + 1), 0, other.data, other.len);
        break;
    case 4: /* a part of another file */
        if (tree->count > 0 && tree->file[0]->bytes.len > 0) {
            const struct du_buf *from = &tree->file[below(tree, tree->count)]->bytes;
            const size_t start = below(tree, from->len + 1);

            if (start < from->len)
                dk_add(&other, from->data + start, from->len - start);
            put_in(bytes, at, some, other.data, other.len);
        }
        break;
    case 5: shift_words(tree, bytes); break;
    default: du_buf_free(bytes); bytes->max = SIZE_MAX / 2;
    }
}

static void edit_tree(struct tree *tree)
{
    struct file *file = tree->file[below(tree, tree->count)], *other;

    switch (below(tree, 8)) {
    case 0: /* rename */
        (void)snprintf(file->path, sizeof file->path, "renamed/%u", tree->names++);
        break;
    case 1: file->exec = !file->exec; break;
    case 2: /* duplicate */
        other = add_file(tree);
        if (file->bytes.len > 0)
            dk_add(&other->bytes, file->bytes.data, file->bytes.len);
        break;
    case 3:
        if (tree->count > 1)
            remove_file(tree, below(tree, tree->count));
        break;
    case 4: add_content(tree, &add_file(tree)->bytes, below(tree, 5000)); break;
    default: edit_content(tree, file);
    }
}

static void write_tree(const struct tree *tree, const char *dir)
{
    T_CHECK(t_shell("rm -rf '%s' && mkdir '%s'", dir, dir) == 0);
    DU_AUTO_FD root = open(dir, O_RDONLY | O_DIRECTORY);
    for (size_t i = 0; i < tree->count; i++)
        dd_file(root, tree->file[i]->path, tree->file[i]->bytes.data, tree->file[i]->bytes.len,
                tree->file[i]->exec);
}

/* "old" and "new" as they are on disk; the delta's length. */
static uint64_t round_trip(uint64_t memory)
{
    DD_TREE old = { -1, { 0 } }, new = { -1, { 0 } };
    defupd_error err = { 0 };
    uint64_t bytes = 0;

    dd_open(&old, "old");
    dd_open(&new, "new");
    const struct du_tree_want want = dd_want(&new);
    T_OK(dd_make(&old, &new, memory, "delta", &bytes, &err), &err);
    T_OK(dd_merge(&old, "delta", &want, "out", &err), &err);
    T_CHECK(t_shell("diff -rq new out") == 0); /* not the digest's word alone */
    return bytes;
}

static bool thorough(void)
{
    return getenv("DEFUPD_LONG") != NULL;
}

/* --- tests --- */

static void random_trees_come_through_random_edits(void)
{
    const unsigned seeds = thorough() ? 300 : 12;

    for (unsigned seed = 1; seed <= seeds; seed++) {
        struct tree old = { .seed = seed * 0x9e3779b97f4a7c15 }, new;
        const int before = t_failed;

        fill_tree(&old, 1 + below(&old, 30), 1 + below(&old, 8000));
        copy_tree(&new, &old);
        for (size_t i = below(&new, 25); i > 0; i--)
            edit_tree(&new);
        write_tree(&old, "old");
        write_tree(&new, "new");
        (void)round_trip(0);
        if (t_failed != before)
            printf("# seed %u\n", seed);
        free_tree(&old);
        free_tree(&new);
    }
}

static void identical_trees_cost_next_to_nothing(void)
{
    struct tree tree = { .seed = 99 };

    fill_tree(&tree, 20, 3000);
    write_tree(&tree, "old");
    write_tree(&tree, "new");
    T_CHECK(round_trip(0) == 4 + 1 + 12);
    free_tree(&tree);
}

static void trees_without_content_come_through(void)
{
    T_CHECK(t_shell("mkdir old new && : > old/a && : > old/b && cp old/a new/a && : > new/c && "
                    "chmod 644 */* && chmod 755 new/a") == 0);
    (void)round_trip(0);
    T_CHECK(t_shell("printf something > new/c && printf more > new/a") == 0);
    (void)round_trip(0);
    T_CHECK(t_shell("rm -r old && mv new old && mkdir new && : > new/only && chmod 644 new/only") ==
            0);
    (void)round_trip(0);
}

static void unrelated_trees_come_through(void)
{
    struct tree old = { .seed = 5 }, new = { .seed = 6, .names = 1000 };

    fill_tree(&old, 10, 5000);
    fill_tree(&new, 10, 5000);
    write_tree(&old, "old");
    write_tree(&new, "new");
    (void)round_trip(0);
    free_tree(&old);
    free_tree(&new);
}

static void the_same_trees_give_the_same_delta(void)
{
    struct tree old = { .seed = 55 }, new;

    fill_tree(&old, 12, 6000);
    copy_tree(&new, &old);
    for (int i = 0; i < 20; i++)
        edit_tree(&new);
    write_tree(&old, "old");
    write_tree(&new, "new");
    (void)round_trip(0);
    T_CHECK(t_shell("mv delta first && cp -r old old2 && cp -r new new2 && rm -r old new && "
                    "mv old2 old && mv new2 new && chmod -R u=rwX,go=rX .") == 0);
    write_tree(&old, "old"); /* cp kept no mode */
    write_tree(&new, "new");
    (void)round_trip(0);
    T_CHECK(t_shell("cmp first delta") == 0);
    free_tree(&old);
    free_tree(&new);
}

/* A file that is too large for the memory is left out: what stands around it is in segments that
 * are neighbours in the corpus and not in the tree. */
static void little_memory_searches_in_what_there_is_room_for(void)
{
    struct tree old = { .seed = 12 }, new;
    struct file *large;

    fill_tree(&old, 8, 9000);
    large = add_file(&old);
    (void)snprintf(large->path, sizeof large->path, "m/large");
    add_content(&old, &large->bytes, 12 << 20);
    copy_tree(&new, &old);
    for (int i = 0; i < 30; i++) /* not the large one, which is the last */
        edit_content(&new, new.file[below(&new, 8)]);
    write_tree(&old, "old");
    write_tree(&new, "new");
    (void)round_trip(64 << 20);
    free_tree(&old);
    free_tree(&new);
}

static void many_tiny_files_come_through(void)
{
    const unsigned files = thorough() ? 100000 : 2000;

    for (int side = 0; side < 2; side++) {
        const char *dir = side == 0 ? "old" : "new";

        T_CHECK(mkdir(dir, 0755) == 0);
        DU_AUTO_FD root = open(dir, O_RDONLY | O_DIRECTORY);
        for (unsigned i = 0; i < files; i++) {
            char path[64], text[64];
            const bool edited = side == 1 && i % 97 == 0;

            if (side == 1 && i % 101 == 0)
                continue;
            (void)snprintf(path, sizeof path, "d%u/%s%u", i / 256, edited && i % 2 ? "n" : "f", i);
            (void)snprintf(text, sizeof text, "tiny %u%s\n", i * 7919, edited ? " edited" : "");
            dd_file(root, path, text, i % 13 == 0 ? 0 : strlen(text), i % 17 == 0);
        }
    }
    T_CHECK(round_trip(0) < files);
}

static uint64_t bytes_read; /* by the one thread of these tests */

static ssize_t count_pread(int fd, void *bytes, size_t count, off_t at)
{
    const ssize_t got = pread(fd, bytes, count, at);

    bytes_read += got > 0 ? (uint64_t)got : 0;
    return got;
}

/* A new order of many short pieces must not cost a large block for each. */
static void short_copies_far_apart_read_little(void)
{
    enum { PIECES = 4000, PIECE = 64, FAR = 1000 };
    struct tree old = { .seed = 41 }, new;
    struct file *file = add_file(&old);
    struct du_sys counting = du_sys_posix;
    DD_TREE from = { -1, { 0 } }, to = { -1, { 0 } };
    DU_AUTO_INDEX index = { 0 };
    defupd_error err = { 0 };
    uint64_t bytes;

    for (size_t i = 0; i < PIECES * FAR / 8; i++) {
        const uint64_t eight = dk_random(&old.seed);

        dk_add(&file->bytes, &eight, 8);
    }
    copy_tree(&new, &old);
    for (size_t i = 0; i < PIECES; i++)
        memcpy(new.file[0]->bytes.data + i *PIECE, file->bytes.data + (i * 2741 % PIECES) * FAR,
               PIECE);
    new.file[0]->bytes.len = PIECES *PIECE;
    write_tree(&old, "old");
    write_tree(&new, "new");
    dd_open(&from, "old");
    dd_open(&to, "new");
    const struct du_tree_want want = dd_want(&to);
    T_OK(dd_make(&from, &to, (uint64_t)1 << 30, "delta", &bytes, &err), &err);
    T_CHECK(bytes < 40000 && mkdir("out", 0755) == 0);
    counting.pread = count_pread;
    bytes_read = 0;
    DU_AUTO_FD delta = open("delta", O_RDONLY), into = open("out", O_RDONLY | O_DIRECTORY);
    T_OK(dd_merge_fd(&counting, &from, delta, &want, into, &index, &err), &err);
    T_CHECK(bytes_read > PIECES * PIECE && bytes_read < PIECES * 5000U);
    free_tree(&old);
    free_tree(&new);
}

/* The encoder goes through a content in pieces of 16 MiB. */
static void contents_of_just_the_pieces_size_come_through(void)
{
    enum { PIECE = 16 << 20 };
    static const size_t sizes[] = { PIECE - 1, PIECE, PIECE + 1, 2 * PIECE };

    for (size_t i = 0; i < 4; i++) {
        struct tree old = { .seed = 21 + i }, new;
        struct file *file = add_file(&old);

        while (file->bytes.len < sizes[i])
            add_content(&old, &file->bytes, 100000);
        file->bytes.len = sizes[i];
        add_content(&old, &add_file(&old)->bytes, 70000);
        copy_tree(&new, &old);
        memset(new.file[0]->bytes.data + 12345, 'x', 99);
        memset(new.file[0]->bytes.data + (sizes[i] < PIECE + 99 ? 99 : PIECE - 50), 'y', 90);
        edit_content(&new, new.file[1]);
        write_tree(&old, "old");
        write_tree(&new, "new");
        T_CHECK(round_trip((uint64_t)1 << 30) < 20000);
        free_tree(&old);
        free_tree(&new);
    }
}

/* Encrypted or packed content: next to nothing can be copied, and looking harder would not help. */
static void large_contents_without_likeness_come_through(void)
{
    struct tree old = { .seed = 51 }, new = { .seed = 52 };
    struct tree *const both[] = { &old, &new };

    for (size_t i = 0; i < 2; i++) {
        struct file *file = add_file(both[i]);

        (void)snprintf(file->path, sizeof file->path, "packed");
        while (file->bytes.len < 1100000) {
            const uint64_t eight = dk_random(&both[i]->seed);

            dk_add(&file->bytes, &eight, 8);
        }
    }
    write_tree(&old, "old");
    write_tree(&new, "new");
    T_CHECK(round_trip((uint64_t)1 << 30) < 1100000 + 100);
    free_tree(&old);
    free_tree(&new);
}

/* A first piece without a copy, and a second one that begins like what comes after the last copy of
 * the content before, which is just a piece long. */
static void a_piece_without_copies_after_a_whole_one_comes_through(void)
{
    enum { PIECE = 16 << 20, REST = 100000 };
    struct tree old = { .seed = 31 }, new;
    struct file *first = add_file(&old), *second = add_file(&old);

    (void)snprintf(first->path, sizeof first->path, "a");
    (void)snprintf(second->path, sizeof second->path, "b");
    while (first->bytes.len < PIECE + REST) {
        const uint64_t eight = dk_random(&old.seed);

        dk_add(&first->bytes, &eight, 8);
    }
    dk_add(&second->bytes, first->bytes.data + PIECE, REST);
    first->bytes.len = PIECE;
    copy_tree(&new, &old);
    new.file[0]->bytes.data[1000] ^= 1;
    new.file[1]->bytes.len = 0;
    while (new.file[1]->bytes.len < PIECE) /* nothing of it is old; what repeats is packed fast */
        dk_add(&new.file[1]->bytes, "Nothing like this! stands there.", 32);
    dk_add(&new.file[1]->bytes, second->bytes.data, REST);
    write_tree(&old, "old");
    write_tree(&new, "new");
    (void)round_trip((uint64_t)1 << 30);
    free_tree(&old);
    free_tree(&new);
}

int main(void)
{
    T_RUN(random_trees_come_through_random_edits);
    T_RUN(identical_trees_cost_next_to_nothing);
    T_RUN(trees_without_content_come_through);
    T_RUN(unrelated_trees_come_through);
    T_RUN(the_same_trees_give_the_same_delta);
    T_RUN(little_memory_searches_in_what_there_is_room_for);
    T_RUN(many_tiny_files_come_through);
    T_RUN(short_copies_far_apart_read_little);
    if (thorough()) {
        T_RUN(contents_of_just_the_pieces_size_come_through);
        T_RUN(a_piece_without_copies_after_a_whole_one_comes_through);
        T_RUN(large_contents_without_likeness_come_through);
    } else {
        T_SKIP("contents_of_just_the_pieces_size_come_through", "only with DEFUPD_LONG");
        T_SKIP("a_piece_without_copies_after_a_whole_one_comes_through", "only with DEFUPD_LONG");
        T_SKIP("large_contents_without_likeness_come_through", "only with DEFUPD_LONG");
    }
    return T_DONE();
}
