/* SPDX-License-Identifier: Apache-2.0 */
/* Archives: what is written is read again, and what is not whole or not plain is refused. */
#include <fcntl.h>
#include <sys/stat.h>

#include "base/scope.h"
#include "bundle/archive.h"
#include "t.h"

static const enum du_archive_form forms[] = { DU_ARCHIVE_ZIP, DU_ARCHIVE_TAR, DU_ARCHIVE_TAR_ZST };
#define FORMS (sizeof forms / sizeof forms[0])

/* Content that is hard for a reader that looks for a zip's records. */
static const char hard[] = "PK\003\004 PK\007\010 PK\001\002 PK\005\006 and PK\007\010 again";

static void add(struct du_archive_writer *writer, const char *path, const void *bytes, size_t count)
{
    defupd_error err = { 0 };

    T_OK(du_archive_member(writer, path, count, &err), &err);
    if (count > 0)
        T_OK(du_archive_put(writer, bytes, count, &err), &err);
}

/* The archive that the tests read: three members, the second of them empty. */
static void make(const char *file, enum du_archive_form form)
{
    DU_AUTO_FD fd = open(file, O_RDWR | O_CREAT | O_TRUNC, 0644);
    DU_AUTO_ARCHIVE_WRITER *writer = NULL;
    static char large[300000];
    defupd_error err = { 0 };
    uint64_t bytes = 0;
    struct stat st;

    for (size_t i = 0; i < sizeof large; i++)
        large[i] = (char)(i * i >> 7);
    T_OK(du_archive_writer_new(&writer, &du_sys_posix, fd, form, &err), &err);
    add(writer, "metadata/timestamp.json", hard, sizeof hard);
    add(writer, "metadata/empty.json", NULL, 0);
    add(writer, "objects/ab/large", large, sizeof large);
    T_OK(du_archive_finish(writer, &bytes, &err), &err);
    T_CHECK(fstat(fd, &st) == 0 && (uint64_t)st.st_size == bytes);
}

static defupd_code gather(void *user, const void *bytes, size_t count, defupd_error *err)
{
    return du_buf_add(user, bytes, count, err);
}

/* All of a file: "path bytes" lines into `list`, and contents, one after the other, into `content`.
 */
static defupd_code read_all(const char *file, char *list, size_t size, struct du_buf *content,
                            defupd_error *err)
{
    DU_AUTO_FD fd = open(file, O_RDONLY);
    DU_AUTO_ARCHIVE *archive = NULL;
    struct du_member member;
    bool end = false;

    list[0] = '\0';
    DU_TRY(du_archive_open(&archive, &du_sys_posix, fd, file, NULL, err));
    for (;;) {
        DU_TRY(du_archive_next(archive, &member, &end, err));
        if (end)
            return DEFUPD_OK;
        (void)snprintf(list + strlen(list), size - strlen(list), "%s %llu\n", member.path,
                       (unsigned long long)member.bytes);
        if (content != NULL)
            DU_TRY(du_archive_content(archive, gather, content, err));
    }
}

static const char members[] =
    "metadata/timestamp.json 35\nmetadata/empty.json 0\nobjects/ab/large 300000\n";

static void what_is_written_is_read_again(void)
{
    char list[4096];
    defupd_error err = { 0 };

    for (size_t i = 0; i < FORMS; i++) {
        DU_AUTO_BUF content = DU_BUF(1 << 20);

        make("a", forms[i]);
        T_OK(read_all("a", list, sizeof list, &content, &err), &err);
        T_SAME(list, members);
        T_CHECK(content.len == sizeof hard + 300000 &&
                memcmp(content.data, hard, sizeof hard) == 0);
        /* passing over contents leads to the same members */
        T_OK(read_all("a", list, sizeof list, NULL, &err), &err);
        T_SAME(list, members);
    }
}

static void the_same_members_give_the_same_bytes(void)
{
    for (size_t i = 0; i < FORMS; i++) {
        T_CHECK(setenv("TZ", "Asia/Tokyo", 1) == 0);
        make("a", forms[i]);
        T_CHECK(setenv("TZ", "America/New_York", 1) == 0);
        T_CHECK(t_shell("sleep 0.01") == 0);
        make("b", forms[i]);
        T_CHECK(t_shell("cmp a b") == 0);
    }
    T_CHECK(unsetenv("TZ") == 0);
}

static void a_second_look_begins_at_the_beginning(void)
{
    defupd_error err = { 0 };

    for (size_t i = 0; i < FORMS; i++) {
        DU_AUTO_ARCHIVE *archive = NULL;
        struct du_member member;
        bool end = false;

        make("a", forms[i]);
        DU_AUTO_FD fd = open("a", O_RDONLY);
        T_OK(du_archive_open(&archive, &du_sys_posix, fd, "a", NULL, &err), &err);
        for (int n = 0; n < 3; n++) {
            T_OK(du_archive_next(archive, &member, &end, &err), &err);
            T_SAME(member.path, "metadata/timestamp.json");
            T_OK(du_archive_next(archive, &member, &end, &err), &err);
            T_OK(du_archive_rewind(archive, &err), &err);
        }
    }
}

/* Wherever a copy ends, it is never taken for the whole. */
static void a_file_that_is_cut_is_never_whole(void)
{
    char list[4096];

    for (size_t i = 0; i < FORMS; i++) {
        struct stat st;

        make("a", forms[i]);
        T_CHECK(stat("a", &st) == 0);
        for (off_t size = 0; size < st.st_size; size += size < 4096 ? 61 : 4093) {
            DU_AUTO_BUF content = DU_BUF(1 << 20);
            defupd_error err = { 0 };

            T_CHECK(t_shell("cp a b") == 0 && truncate("b", size) == 0);
            T_FAILS(read_all("b", list, sizeof list, &content, &err), DEFUPD_E_ARCHIVE, &err);
        }
        for (off_t off = 1; off < 1100; off += 73) {
            DU_AUTO_BUF content = DU_BUF(1 << 20);
            defupd_error err = { 0 };

            T_CHECK(t_shell("cp a b") == 0 && truncate("b", st.st_size - off) == 0);
            T_FAILS(read_all("b", list, sizeof list, &content, &err), DEFUPD_E_ARCHIVE, &err);
        }
    }
}

static void what_a_file_is_else_is_said(void)
{
    static const struct {
        const char *make, *what;
    } files[] = {
        { "printf hello | gzip", "a gzip file" },
        { "printf hello | xz", "an xz file" },
        { "printf hello | bzip2", "a bzip2 file" },
        { "printf '7z\\274\\257\\047\\034'", "a 7z archive" },
        { "printf 'Rar!'", "a rar archive" },
        { "cat \"$BUILD/tests/errors_md\"", "a program" },
        { "printf '<html>'", "an XML or HTML document" },
        { "printf '<?xml'", "an XML document" },
        { "printf '{}'", "a JSON document" },
        { "printf 'hello'", "no archive that is known here" },
        { "head -c 2000 /dev/zero", "no archive that is known here" },
        { "true", "empty" },
    };
    char list[64];

    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        defupd_error err = { 0 };

        T_CHECK(t_shell("%s >a", files[i].make) == 0);
        T_FAILS(read_all("a", list, sizeof list, NULL, &err), DEFUPD_E_ARCHIVE, &err);
        T_CHECK(strstr(err.message, files[i].what) != NULL);
        T_CHECK(strstr(err.message, ".zip, .tar and .tar.zst") != NULL);
    }
}

static void what_is_no_tar_inside_is_refused(void)
{
    char list[64];
    defupd_error err = { 0 };

    T_CHECK(t_shell("seq 1 5000 | zstd -q >a") == 0);
    T_FAILS(read_all("a", list, sizeof list, NULL, &err), DEFUPD_E_ARCHIVE, &err);
    /* a window that an endpoint need not have memory for */
    T_CHECK(t_shell("seq 1 5000 >f && tar -cf - f | zstd -q --ultra -22 --long=27 >a") == 0);
    T_FAILS(read_all("a", list, sizeof list, NULL, &err), DEFUPD_E_ARCHIVE, &err);
}

static void paths_that_lead_out_are_refused(void)
{
    static const char *const wrong[] = { "../a", "a/../b", "/a", "a//b", "./a", "a\001b" };
    char list[256];

    for (size_t i = 0; i < FORMS; i++) {
        for (size_t k = 0; k < sizeof wrong / sizeof wrong[0]; k++) {
            DU_AUTO_FD fd = open("a", O_RDWR | O_CREAT | O_TRUNC, 0644);
            DU_AUTO_ARCHIVE_WRITER *writer = NULL;
            defupd_error err = { 0 };
            uint64_t bytes;

            T_OK(du_archive_writer_new(&writer, &du_sys_posix, fd, forms[i], &err), &err);
            add(writer, wrong[k], "x", 1);
            T_OK(du_archive_finish(writer, &bytes, &err), &err);
            T_FAILS(read_all("a", list, sizeof list, NULL, &err), DEFUPD_E_ARCHIVE, &err);
            T_SAME(list, "");
        }
    }
}

/* A directory of entries without end, each of which would be kept in memory. */
static void a_zip_with_a_huge_directory_is_refused_unread(void)
{
    char list[64];
    defupd_error err = { 0 };

    T_CHECK(
        t_shell("(printf 'PK\\003\\004'; head -c 20000000 /dev/zero) >a && "
                "printf 'PK\\005\\006\\0\\0\\0\\0\\1\\0\\1\\0\\0\\055\\061\\1\\4\\0\\0\\0\\0\\0' "
                ">>a") == 0);
    T_FAILS(read_all("a", list, sizeof list, NULL, &err), DEFUPD_E_ARCHIVE, &err);
    T_CHECK(strstr(err.message, "directory of 20000000 bytes") != NULL);
}

static defupd_code cancel(void *user, uint64_t bytes, defupd_error *err)
{
    (void)user;
    (void)bytes;
    return DU_FAIL(err, DEFUPD_E_CANCELLED, "cancelled");
}

static void reading_can_be_cancelled(void)
{
    const struct du_tick tick = { cancel, NULL };

    for (size_t i = 0; i < FORMS; i++) {
        DU_AUTO_ARCHIVE *archive = NULL;
        struct du_member member;
        defupd_error err = { 0 };
        defupd_code rc;
        bool end;

        make("a", forms[i]);
        DU_AUTO_FD fd = open("a", O_RDONLY);
        rc = du_archive_open(&archive, &du_sys_posix, fd, "a", &tick, &err);
        if (rc == DEFUPD_OK)
            rc = du_archive_next(archive, &member, &end, &err);
        T_FAILS(rc, DEFUPD_E_CANCELLED, &err);
    }
}

int main(void)
{
    T_RUN(what_is_written_is_read_again);
    T_RUN(the_same_members_give_the_same_bytes);
    T_RUN(a_second_look_begins_at_the_beginning);
    T_RUN(a_file_that_is_cut_is_never_whole);
    T_RUN(what_a_file_is_else_is_said);
    T_RUN(what_is_no_tar_inside_is_refused);
    T_RUN(paths_that_lead_out_are_refused);
    T_RUN(a_zip_with_a_huge_directory_is_refused_unread);
    T_RUN(reading_can_be_cancelled);
    return T_DONE();
}
