/* SPDX-License-Identifier: Apache-2.0 */
/* Real deltas that were cut or changed, and installed trees that are no longer what they were: an
 * error, or the right tree; never another one, and nothing lost on the way. */
#include "delta_disk.h"
#include "delta_kit.h"
#include "store_kit.h"

static struct dk_small small;

static void write_old(void)
{
    T_CHECK(mkdir("old", 0755) == 0);
    DU_AUTO_FD root = open("old", O_RDONLY | O_DIRECTORY);
    size_t at = 0;

    for (int i = 0; i < DK_SMALL; i++) {
        dd_file(root, dk_small_path[i], small.bytes.data + at, small.size[i], false);
        at += small.size[i];
    }
}

/* New trees that use, together, all that a delta can say. */
static const char *const edits[] = {
    "sed -i 's/family_3 /family_three /; 12d' rules/a.yar && chmod 755 same && rm empty",
    "tr '\\020\\060\\120' '\\021\\061\\122' <bin/table >t && mv t bin/table && mv rules/b.yar B && "
    "sed '4,9d' rules/a.yar >>B",
    "cp rules/a.yar rules/c.yar && : >rules/b.yar && seq 400 500 >numbers && head -c 300 bin/table "
    "| tr -c '\\000' '\\001' >>bin/table",
};
enum { EDITS = sizeof edits / sizeof *edits };

static void write_new(int edit)
{
    T_CHECK(t_shell("rm -rf new && cp -rp old new && cd new && %s && "
                    "find . -type f ! -perm 755 -exec chmod 644 {} +",
                    edits[edit]) == 0);
}

/* `file` merged into an empty "out": its code. Success must be the tree that was wanted. */
static defupd_code merge(const struct dd_tree *old, int file, const struct du_tree_want *want,
                         defupd_error *err)
{
    DU_AUTO_INDEX index = { 0 };
    defupd_code rc;

    T_OK(du_tree_remove(&du_sys_posix, AT_FDCWD, "out", NULL, err), err);
    T_CHECK(mkdir("out", 0755) == 0);
    DU_AUTO_FD into = open("out", O_RDONLY | O_DIRECTORY);
    rc = dd_merge_fd(&du_sys_posix, old, file, want, into, &index, err);
    if (rc == DEFUPD_OK) {
        DD_TREE out = { -1, { 0 } };

        dd_open(&out, "out");
        const struct du_tree_want got = dd_want(&out);
        T_CHECK(memcmp(got.tree, want->tree, DU_SHA256_BYTES) == 0);
    }
    return rc;
}

static void expect_refusal(defupd_code rc, const defupd_error *err, const char *what, size_t at)
{
    if (rc == DEFUPD_OK)
        return;
    if (rc != err->code || err->message[0] == '\0' ||
        (rc != DEFUPD_E_DELTA_FORMAT && rc != DEFUPD_E_TREE && rc != DEFUPD_E_TREE_FORBIDDEN)) {
        printf("# %s %zu: %s: %s\n", what, at, defupd_code_name(rc), err->message);
        t_failed++;
    }
}

static void change_byte(const struct dd_tree *old, int file, const struct du_tree_want *want,
                        size_t at)
{
    const bool all = getenv("DEFUPD_LONG") != NULL;
    unsigned char was;

    T_CHECK(pread(file, &was, 1, (off_t)at) == 1);
    for (unsigned by = 1; by < 256; by++) {
        const unsigned char other = (unsigned char)(was ^ by);
        defupd_error err = { 0 };

        if (!all && (by & (by - 1)) != 0 && by != 255) /* else single bits, and all of them */
            continue;
        T_CHECK(pwrite(file, &other, 1, (off_t)at) == 1);
        expect_refusal(merge(old, file, want, &err), &err, "byte", at);
    }
    T_CHECK(pwrite(file, &was, 1, (off_t)at) == 1);
}

static void harm(int edit)
{
    DD_TREE old = { -1, { 0 } }, new = { -1, { 0 } };
    defupd_error err = { 0 };
    uint64_t bytes = 0;

    write_new(edit);
    dd_open(&old, "old");
    dd_open(&new, "new");
    const struct du_tree_want want = dd_want(&new);
    T_OK(dd_make(&old, &new, 0, "delta", &bytes, &err), &err);
    DU_AUTO_FD file = open("delta", O_RDWR);
    T_OK(merge(&old, file, &want, &err), &err);
    for (size_t at = 0; at < bytes; at++)
        change_byte(&old, file, &want, at);
    for (size_t length = (size_t)bytes; length-- > 0;) {
        T_CHECK(ftruncate(file, (off_t)length) == 0);
        T_FAILS(merge(&old, file, &want, &err), DEFUPD_E_DELTA_FORMAT, &err);
    }
}

static void a_changed_or_cut_delta_makes_nothing_else(void)
{
    const unsigned fds = kit_fds();

    write_old();
    for (int i = 0; i < EDITS; i++)
        harm(i);
    T_CHECK(kit_fds() == fds);
}

/* --- a damaged base --- */

struct damage {
    const char *what, *command; /* of the file $f */
    defupd_code code;
};
static const struct damage damages[] = {
    { "a changed byte", "printf '~' | dd of=$f conv=notrunc bs=1 seek=70 2>/dev/null",
      DEFUPD_E_TREE },
    { "a lost end", "truncate -s -1 $f", DEFUPD_E_DELTA_BASE },
    { "no content", ": >$f", DEFUPD_E_DELTA_BASE },
    { "no file", "rm $f", DEFUPD_E_DELTA_BASE },
    { "a link", "mv $f $f.real && ln -s $f.real $f", DEFUPD_E_DELTA_BASE },
    { "a pipe", "rm $f && mkfifo $f", DEFUPD_E_DELTA_BASE },
    { "a directory", "rm $f && mkdir $f", DEFUPD_E_DELTA_BASE },
    { "no directory", "rm -r rules", DEFUPD_E_DELTA_BASE },
    { "a file for the directory", "rm -r rules && : >rules", DEFUPD_E_DELTA_BASE },
    { "a link for the directory", "mv rules real && ln -s real rules", DEFUPD_E_DELTA_BASE },
};

/* All of rules/a.yar goes into the new tree. */
static void a_damaged_base_is_an_error(void)
{
    const unsigned fds = kit_fds();

    write_old();
    T_CHECK(t_shell("cp -rp old sound && cp -rp old new && sed -i 's/family_3 /family_three /' "
                    "new/rules/a.yar && chmod 644 new/rules/a.yar") == 0);
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        DD_TREE old = { -1, { 0 } }, new = { -1, { 0 } };
        defupd_error err = { 0 };
        uint64_t bytes;

        T_CHECK(t_shell("rm -rf old && cp -rp sound old") == 0);
        dd_open(&old, "old");
        dd_open(&new, "new");
        const struct du_tree_want want = dd_want(&new);
        T_OK(dd_make(&old, &new, 0, "delta", &bytes, &err), &err);
        T_CHECK(t_shell("f=rules/a.yar; cd old && %s", damages[i].command) == 0);
        DU_AUTO_FD file = open("delta", O_RDWR);
        printf("# %s\n", damages[i].what);
        T_FAILS(merge(&old, file, &want, &err), damages[i].code, &err);
        T_CHECK(damages[i].code == DEFUPD_E_TREE || strstr(err.message, "rules/a.yar") != NULL);
    }
    T_CHECK(kit_fds() == fds);
}

static bool refuse_same(void *user, const struct du_file *file)
{
    (void)user;
    return strcmp(file->path, "same") != 0;
}

static void a_kept_file_that_nobody_vouches_for_is_an_error(void)
{
    DD_TREE old = { -1, { 0 } }, new = { -1, { 0 } };
    DU_AUTO_INDEX index = { 0 };
    defupd_error err = { 0 };
    uint64_t bytes, reused;

    write_old();
    write_new(1);
    dd_open(&old, "old");
    dd_open(&new, "new");
    const struct du_tree_want want = dd_want(&new);
    T_OK(dd_make(&old, &new, 0, "delta", &bytes, &err), &err);
    T_CHECK(mkdir("out", 0755) == 0);
    DU_AUTO_FD into = open("out", O_RDONLY | O_DIRECTORY), file = open("delta", O_RDONLY);
    const struct du_tree_base base = { .index = &old.index,
                                       .root = old.root,
                                       .trust = refuse_same };
    const struct du_verified_file delta = { .fd = file, .bytes = bytes };
    T_FAILS(du_delta_merge(&du_sys_posix, &delta, &want, &base, into, NULL, &index, &reused, &err),
            DEFUPD_E_DELTA_BASE, &err);
    T_CHECK(strstr(err.message, "'same'") != NULL);
}

/* --- what the signed tree does not allow --- */

/* A delta that was written by hand, merged as if it made `want`. */
static void merges_to(const struct dk_writer *w, const struct du_tree_want *want, defupd_code code)
{
    DD_TREE old = { -1, { 0 } };
    DU_AUTO_BUF delta = { 0 };
    defupd_error err = { 0 };

    dd_open(&old, "old");
    dk_finish(w, &delta);
    dd_file(AT_FDCWD, "delta", delta.data, delta.len, false);
    DU_AUTO_FD file = open("delta", O_RDWR);
    T_FAILS(merge(&old, file, want, &err), code, &err);
    T_CHECK(strstr(err.message, "demo 2") != NULL || strchr(err.message, '\'') != NULL);
}

static void more_than_is_signed_is_refused_before_it_is_written(void)
{
    struct du_tree_want want = { .what = "demo 2", .size = 5000, .files = DK_SMALL };
    DK_WRITER size = { 0 };
    DK_WRITER sum = { 0 };
    DK_WRITER files = { 0 };
    DK_WRITER kept = { 0 };

    write_old();
    dk_new_file(&size, false, "huge", INT64_MAX);
    merges_to(&size, &want, DEFUPD_E_TREE);
    T_CHECK(kit_names("out") == 0);
    dk_drop_files(&sum, DK_SMALL);
    dk_new_file(&sum, false, "a", 0);
    dk_new_file(&sum, false, "b", INT64_MAX); /* no sum wraps */
    merges_to(&sum, &want, DEFUPD_E_TREE);
    T_CHECK(kit_names("out") == 1);
    dk_new_file(&files, false, "a", 0);
    merges_to(&files, &want, DEFUPD_E_TREE);
    want.size = 20;
    dk_keep_files(&kept, 1);
    merges_to(&kept, &want, DEFUPD_E_TREE);
    T_CHECK(kit_names("out") == 0);
}

static void paths_that_no_tree_has_never_reach_the_disk(void)
{
    static const char *const bad[] = { "",     "/etc/x", "../x",          "a/../../x",
                                       "a//b", ".",      "a\\b",          "a\nb",
                                       "\xff", "a/",     "rules/a.yar/x", "rules" };
    const struct du_tree_want want = { .what = "demo 2", .size = 100000, .files = 100 };

    write_old();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        DK_WRITER w = { 0 };

        dk_keep_files(&w, DK_SMALL);
        dk_new_file(&w, false, bad[i], 1);
        dk_literal(&w, "x", 1);
        merges_to(&w, &want, DEFUPD_E_TREE_FORBIDDEN);
        DK_WRITER kept = { 0 };
        dk_keep_files(&kept, DK_SMALL);
        dk_new_path(&kept, 2, 0, bad[i]);
        dk_signed(&kept, DK_FILES, -1);
        merges_to(&kept, &want, DEFUPD_E_TREE_FORBIDDEN);
    }
    T_CHECK(access("x", F_OK) != 0 && access("out/x", F_OK) != 0);
}

static void a_path_twice_is_refused(void)
{
    const struct du_tree_want want = { .what = "demo 2", .size = 100000, .files = 100 };
    DK_WRITER w = { 0 };
    DK_WRITER kept = { 0 };
    DK_WRITER folded = { 0 };

    write_old();
    dk_keep_files(&w, DK_SMALL);
    dk_new_file(&w, false, "same", 0);
    merges_to(&w, &want, DEFUPD_E_TREE_FORBIDDEN);
    dk_keep_files(&kept, DK_SMALL);
    dk_new_path(&kept, 2, 0, "same");
    dk_signed(&kept, DK_FILES, -1);
    merges_to(&kept, &want, DEFUPD_E_TREE_FORBIDDEN);
    dk_keep_files(&folded, DK_SMALL);
    dk_new_file(&folded, false, "SAME", 0);
    merges_to(&folded, &want, DEFUPD_E_TREE_FORBIDDEN);
}

int main(void)
{
    kit_fast_disk();
    dk_small_make(&small);
    T_RUN(a_changed_or_cut_delta_makes_nothing_else);
    T_RUN(a_damaged_base_is_an_error);
    T_RUN(a_kept_file_that_nobody_vouches_for_is_an_error);
    T_RUN(more_than_is_signed_is_refused_before_it_is_written);
    T_RUN(paths_that_no_tree_has_never_reach_the_disk);
    T_RUN(a_path_twice_is_refused);
    du_buf_free(&small.bytes);
    return T_DONE();
}
