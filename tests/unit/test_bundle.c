/* SPDX-License-Identifier: Apache-2.0 */
/* Full bundles: there and back, and everything that a hostile or broken one may try. Hostile ones
 * are made with tar and zstd, since our own packer makes none. */
#include <fcntl.h>
#include <locale.h>
#include <sys/stat.h>

#include "base/scope.h"
#include "bundle/bundle.h"
#include "t.h"

static struct du_tree_want want_of(const struct du_index *index)
{
    struct du_tree_want want = { .what = "demo 1", .size = index->bytes, .files = index->count };

    du_index_digest(index, want.tree);
    return want;
}

static void make_tree(const char *dir)
{
    T_CHECK(
        t_shell("mkdir -p '%s/rules/deep' && cd '%s' && printf 'alpha\\n' > a && : > empty && "
                "printf x > 'rules/with space' && head -c 700000 /dev/zero | tr '\\0' z > big && "
                "printf run > rules/deep/tool && chmod 755 rules/deep/tool && "
                "chmod 644 a empty big 'rules/with space' && p=$(printf 'p%%.0s' $(seq 200)) && "
                "mkdir -p $p/$p && printf long > $p/$p/$p && chmod 644 $p/$p/$p",
                dir, dir) == 0);
}

static defupd_code scan(const char *dir, struct du_index *index, defupd_error *err)
{
    DU_AUTO_FD fd = open(dir, O_RDONLY | O_DIRECTORY);

    return du_tree_scan(&du_sys_posix, fd, NULL, index, err);
}

static defupd_code pack(const char *dir, const struct du_index *index, const char *file,
                        unsigned threads, defupd_error *err)
{
    DU_AUTO_FD root = open(dir, O_RDONLY | O_DIRECTORY);
    DU_AUTO_FD out = open(file, O_RDWR | O_CREAT | O_TRUNC, 0600);
    unsigned char sha256[DU_SHA256_BYTES];
    struct du_verified_file check;
    uint64_t bytes = 0;

    DU_TRY(du_bundle_pack(&du_sys_posix, root, index, 3, threads, out, NULL, sha256, &bytes, err));
    return du_object_verify(&du_sys_posix, out, bytes, sha256, file, NULL, &check, err);
}

/* The bytes of `file` as if a verified manifest had named them. */
static defupd_code unpack(const char *file, const struct du_tree_want *want,
                          const struct du_tree_base *base, const char *into, struct du_index *index,
                          uint64_t *reused, defupd_error *err)
{
    DU_AUTO_FD fd = open(file, O_RDONLY);
    struct stat st;

    T_CHECK(fstat(fd, &st) == 0);
    T_CHECK(t_shell("rm -rf '%s' && mkdir '%s'", into, into) == 0);
    DU_AUTO_FD dir = open(into, O_RDONLY | O_DIRECTORY);
    const struct du_verified_file bundle = { .fd = fd, .bytes = (uint64_t)st.st_size };
    return du_bundle_unpack(&du_sys_posix, &bundle, want, base, dir, NULL, index, reused, err);
}

static int writes_left;

static ssize_t full_write(int fd, const void *bytes, size_t count)
{
    if (writes_left-- > 0)
        return write(fd, bytes, count);
    errno = ENOSPC;
    return -1;
}

/* Wherever it happens. A sanitizer looks at what is left in memory then. */
static void a_full_disk_ends_the_packing(void)
{
    struct du_sys sys = du_sys_posix;
    DU_AUTO_INDEX index = { 0 };
    defupd_error err = { 0 };
    defupd_code rc = DEFUPD_E_NO_SPACE;
    int rounds;

    sys.write = full_write;
    /* What zstd holds back is several writes' worth, so that some come in the middle. */
    T_CHECK(t_shell("mkdir -p tree/sub && for i in 1 2 3 4; do head -c 600000 /dev/urandom "
                    ">tree/sub/$i; done && chmod -R a+rX tree") == 0);
    T_OK(scan("tree", &index, &err), &err);
    DU_AUTO_FD root = open("tree", O_RDONLY | O_DIRECTORY);
    for (rounds = 0; rc != DEFUPD_OK && rounds < 1000; rounds += 1 + rounds / 4) {
        DU_AUTO_FD out = open("bundle", O_RDWR | O_CREAT | O_TRUNC, 0600);
        unsigned char sha256[DU_SHA256_BYTES];
        uint64_t bytes = 0;

        writes_left = rounds;
        rc = du_bundle_pack(&sys, root, &index, 1, 0, out, NULL, sha256, &bytes, &err);
        T_CHECK(rc == DEFUPD_OK || rc == DEFUPD_E_NO_SPACE);
        T_CHECK(rc == DEFUPD_OK || writes_left == -1); /* once it has failed, no more is written */
    }
    T_CHECK(rounds > 10 && rc == DEFUPD_OK);
}

static void a_tree_comes_back_as_it_was_whatever_the_umask(void)
{
    defupd_error err = { 0 };
    DU_AUTO_INDEX index = { 0 }, got = { 0 };
    const mode_t old = umask(077);
    uint64_t reused;

    make_tree("tree");
    T_OK(scan("tree", &index, &err), &err);
    T_OK(pack("tree", &index, "bundle", 1, &err), &err);
    const struct du_tree_want want = want_of(&index);
    T_OK(unpack("bundle", &want, NULL, "out", &got, &reused, &err), &err);
    (void)umask(old);
    T_CHECK(reused == 0);
    T_CHECK(t_shell("diff -r tree out") == 0);
    T_CHECK(t_shell("test \"$(cd out && find . -type f -perm 0755)\" = ./rules/deep/tool") == 0);
    T_CHECK(t_shell("test -z \"$(find out -mindepth 1 -type d ! -perm 0755)\"") == 0);
    T_CHECK(t_shell("test -z \"$(find out -type f ! -perm 0644 ! -perm 0755)\"") == 0);
    T_CHECK(t_shell("mkdir hand && tar --zstd -xf bundle -C hand && diff -r tree hand") == 0);
}

static void the_same_tree_gives_the_same_bundle(void)
{
    defupd_error err = { 0 };
    DU_AUTO_INDEX index = { 0 }, copy = { 0 };

    make_tree("one");
    T_CHECK(
        t_shell("cp -r one two && find two -exec touch -d 2001-01-01 {} + && chmod 600 two/a") ==
        0);
    T_OK(scan("one", &index, &err), &err);
    T_OK(scan("two", &copy, &err), &err);
    T_OK(pack("one", &index, "a.zst", 1, &err), &err);
    T_OK(pack("two", &copy, "b.zst", 4, &err), &err);
    T_CHECK(t_shell("cmp a.zst b.zst") == 0);
}

/* Composed and decomposed, since a translation may also normalize; and one too long for ustar. */
static void paths_beyond_ascii_keep_their_bytes_in_every_locale(void)
{
    static const char *const locales[] = { "C", "C.UTF-8" };

    T_CHECK(t_shell("mkdir tree && cd tree && : > 'na\303\257ve' && : > 'a\314\210' && "
                    ": > '\303\244' && u=$(printf '\303\244%%.0s' $(seq 120)) && mkdir -p $u/$u && "
                    "printf long > $u/$u/$u && chmod -R u=rwX,go=rX .") == 0);
    for (size_t i = 0; i < sizeof locales / sizeof locales[0]; i++) {
        defupd_error err = { 0 };
        DU_AUTO_INDEX index = { 0 }, got = { 0 };
        uint64_t reused;

        T_CHECK(setlocale(LC_ALL, locales[i]) != NULL);
        T_OK(scan("tree", &index, &err), &err);
        T_OK(pack("tree", &index, "bundle", 1, &err), &err);
        T_CHECK(setlocale(LC_ALL, locales[1 - i]) != NULL);
        const struct du_tree_want want = want_of(&index);
        T_OK(unpack("bundle", &want, NULL, "out", &got, &reused, &err), &err);
        T_CHECK(t_shell("diff -r tree out") == 0);
        T_CHECK(t_shell("rm -rf hand && mkdir hand && tar --zstd -xf bundle -C hand 2>/dev/null && "
                        "diff -r tree hand") == 0);
    }
    T_CHECK(setlocale(LC_ALL, "C") != NULL);
}

struct trusting {
    const char *refuse;
    unsigned asked;
};

static bool trust(void *user, const struct du_file *file)
{
    struct trusting *t = user;

    t->asked++;
    return strcmp(file->path, t->refuse) != 0;
}

static void unchanged_files_come_from_the_base_unless_it_is_not_trusted(void)
{
    defupd_error err = { 0 };
    DU_AUTO_INDEX old = { 0 }, index = { 0 }, got = { 0 };
    struct trusting t = { .refuse = "empty" };
    uint64_t reused;

    make_tree("old");
    T_CHECK(t_shell("cp -rp old new && printf changed > new/a && printf more > new/rules/more") ==
            0);
    T_OK(scan("old", &old, &err), &err);
    T_OK(scan("new", &index, &err), &err);
    T_OK(pack("new", &index, "bundle", 1, &err), &err);
    DU_AUTO_FD root = open("old", O_RDONLY | O_DIRECTORY);
    const struct du_tree_base base = { .index = &old, .root = root, .trust = trust, .user = &t };
    const struct du_tree_want want = want_of(&index);
    T_OK(unpack("bundle", &want, &base, "out", &got, &reused, &err), &err);
    T_CHECK(t_shell("diff -r new out") == 0);
    T_CHECK(reused == 4); /* with space, tool, big, the long one; not empty, a, more */
    T_CHECK(t.asked == 5);
}

static void what_the_manifest_did_not_sign_is_refused(void)
{
    defupd_error err = { 0 };
    DU_AUTO_INDEX index = { 0 };
    struct du_tree_want want;
    uint64_t reused;

    make_tree("tree");
    T_OK(scan("tree", &index, &err), &err);
    T_OK(pack("tree", &index, "bundle", 1, &err), &err);
    for (int round = 0; round < 5; round++) {
        DU_AUTO_INDEX got = { 0 };

        want = want_of(&index);
        want.size += round == 0 ? 1 : 0;
        want.size -= round == 1 ? 1 : 0;
        want.files += round == 2 ? 1 : 0;
        want.files -= round == 3 ? 1 : 0;
        want.tree[31] ^= round == 4;
        T_FAILS(unpack("bundle", &want, NULL, "out", &got, &reused, &err), DEFUPD_E_TREE, &err);
        T_CHECK(strstr(err.message, "demo 1") != NULL);
    }
}

/* Shell that makes `bundle` out of an empty directory, and what must be said of it. */
static const struct {
    const char *make;
    defupd_code code;
    const char *says;
} hostile[] = {
    { "ln -s /etc/passwd link; tar -cf t link", DEFUPD_E_TREE_FORBIDDEN, "link" },
    { "echo a > a; ln a b; tar -cf t a b", DEFUPD_E_TREE_FORBIDDEN, "'b'" },
    { "mkdir d; tar -cf t d", DEFUPD_E_TREE_FORBIDDEN, "d/" },
    { "mkfifo pipe; tar -cf t pipe", DEFUPD_E_TREE_FORBIDDEN, "pipe" },
    { "mkdir d; echo a > a; tar -C d -P -cf t ../a", DEFUPD_E_TREE_FORBIDDEN, "'../a'" },
    { "echo a > a; tar -P -cf t $PWD/a", DEFUPD_E_TREE_FORBIDDEN, "is absolute" },
    { "echo a > a; tar -cf t ./a", DEFUPD_E_TREE_FORBIDDEN, "'./a'" },
    { "echo a > a; tar --transform 's/a/x\\\\y/' -cf t a", DEFUPD_E_TREE_FORBIDDEN, "backslash" },
    { "echo a > a; tar --transform 's/a/x\\n y/' -cf t a", DEFUPD_E_TREE_FORBIDDEN, "control" },
    { "echo a > a; chmod 4755 a; tar -cf t a", DEFUPD_E_TREE_FORBIDDEN, "4755" },
    { "echo a > a; chmod 600 a; tar -cf t a", DEFUPD_E_TREE_FORBIDDEN, "0600" },
    { "echo a > a; tar --hard-dereference -cf t a a", DEFUPD_E_TREE_FORBIDDEN,
      "'a' is there twice" },
    { "mkdir a; echo x > a/b; echo y > c; tar --transform 's/^c$/a/' -cf t a/b c",
      DEFUPD_E_TREE_FORBIDDEN, "'a' is there twice" },
    { "echo y > c; mkdir a; echo x > a/b; tar --transform 's/^c$/a/' -cf t c a/b",
      DEFUPD_E_TREE_FORBIDDEN, "a" },
    { "echo a > a; echo b > A; tar -cf t a A", DEFUPD_E_TREE_FORBIDDEN, "case" },
    { "echo a > a; tar -cf t a; echo more >> t", DEFUPD_E_BUNDLE_FORMAT, "after its end" },
    { "truncate -s 100M s; tar -S -cf t s", DEFUPD_E_TREE_FORBIDDEN, "'s'" },
    { "head -c 2000000 /dev/zero > z; tar -cf t z", DEFUPD_E_TREE, "more than the signed" },
    { "echo hello > t", DEFUPD_E_BUNDLE_FORMAT, "cannot be unpacked" },
    { ": > t", DEFUPD_E_BUNDLE_FORMAT, "" },
    { "echo a > a; tar -cf t a; cpio=1; printf '070701' > t", DEFUPD_E_BUNDLE_FORMAT, "" },
    { "echo a > a; tar -cf - a | gzip > t", DEFUPD_E_BUNDLE_FORMAT, "" },
};

static void every_forbidden_member_is_refused_by_name(void)
{
    for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++) {
        const struct du_tree_want want = { .what = "demo 1", .size = 1000000, .files = 10 };
        DU_AUTO_INDEX got = { 0 };
        defupd_error err = { 0 };
        uint64_t reused;

        T_CHECK(
            t_shell(
                "rm -rf w && mkdir w && cd w && umask 022 && { %s; } && zstd -q -f t -o ../bundle",
                hostile[i].make) == 0);
        T_FAILS(unpack("bundle", &want, NULL, "out", &got, &reused, &err), hostile[i].code, &err);
        T_CHECK(strstr(err.message, "demo 1") != NULL);
        if (strstr(err.message, hostile[i].says) == NULL) {
            printf("# row %zu says: %s\n", i, err.message);
            T_CHECK(false);
        }
    }
}

static void frames_that_are_cut_doubled_or_too_wide_are_refused(void)
{
    static const char *const make[] = {
        "zstd -q t -o b && head -c $(($(stat -c %s b) - 5)) b > ../bundle",
        "zstd -q t -o b && head -c 3 b > ../bundle",
        ": > ../bundle",
        "zstd -q t -o b && cat b b > ../bundle",
        "zstd -q t -o b && { cat b; printf x; } > ../bundle",
        "cp t ../bundle",
        "head -c 30000000 /dev/zero >> t; zstd -q --long=27 t -o ../bundle -f",
        "gzip -c t > ../bundle",
    };

    for (size_t i = 0; i < sizeof make / sizeof make[0]; i++) {
        const struct du_tree_want want = { .what = "demo 1", .size = 1000000, .files = 10 };
        DU_AUTO_INDEX got = { 0 };
        defupd_error err = { 0 };
        uint64_t reused;

        T_CHECK(t_shell("rm -rf w bundle && mkdir w && cd w && umask 022 && head -c 9000 "
                        "/dev/urandom > a && "
                        "tar -cf t a && %s",
                        make[i]) == 0);
        T_FAILS(unpack("bundle", &want, NULL, "out", &got, &reused, &err), DEFUPD_E_BUNDLE_FORMAT,
                &err);
    }
}

static void every_flipped_byte_is_refused_or_yields_the_tree(void)
{
    defupd_error err = { 0 };
    DU_AUTO_INDEX index = { 0 };
    struct stat st;
    uint64_t reused;

    T_CHECK(t_shell("mkdir tree && printf 'rule one' > tree/a && printf 'rule two' > tree/b") == 0);
    T_OK(scan("tree", &index, &err), &err);
    T_OK(pack("tree", &index, "bundle", 1, &err), &err);
    const struct du_tree_want want = want_of(&index);
    T_CHECK(stat("bundle", &st) == 0);
    for (off_t at = 0; at < st.st_size; at++) {
        DU_AUTO_INDEX got = { 0 };
        DU_AUTO_FD fd = open("bundle", O_RDWR);
        unsigned char byte;

        T_CHECK(pread(fd, &byte, 1, at) == 1);
        byte ^= 0x20;
        T_CHECK(pwrite(fd, &byte, 1, at) == 1);
        /* Either it is refused, or du_bundle_unpack() has compared the tree's digest. */
        if (unpack("bundle", &want, NULL, "out", &got, &reused, &err) == DEFUPD_OK)
            T_CHECK(t_shell("diff -r tree out") == 0);
        byte ^= 0x20;
        T_CHECK(pwrite(fd, &byte, 1, at) == 1);
    }
}

int main(void)
{
    T_RUN(a_tree_comes_back_as_it_was_whatever_the_umask);
    T_RUN(the_same_tree_gives_the_same_bundle);
    T_RUN(paths_beyond_ascii_keep_their_bytes_in_every_locale);
    T_RUN(unchanged_files_come_from_the_base_unless_it_is_not_trusted);
    T_RUN(what_the_manifest_did_not_sign_is_refused);
    T_RUN(every_forbidden_member_is_refused_by_name);
    T_RUN(frames_that_are_cut_doubled_or_too_wide_are_refused);
    T_RUN(a_full_disk_ends_the_packing);
    T_RUN(every_flipped_byte_is_refused_or_yields_the_tree);
    return T_DONE();
}
