/* SPDX-License-Identifier: Apache-2.0 */
#include "store_kit.h"

static const unsigned char object[DU_SHA256_BYTES] = { 0xab, 0xcd };
#define HEX "abcd000000000000000000000000000000000000000000000000000000000000"

static void a_part_grows_is_continued_and_becomes_whole(void)
{
    struct du_store store;
    defupd_error err = { 0 };
    bool complete = true;
    char text[16] = "";
    int fd = -1;

    kit_lock(&store);
    T_FAILS(du_store_download_open(&store, object, false, &complete, &fd, &err), DEFUPD_E_IO, &err);
    T_CHECK(du_is_missing(&err) && fd == -1);
    T_CHECK(du_store_download_bytes(&store, object, &complete) == 0 && !complete);

    T_OK(du_store_download_open(&store, object, true, &complete, &fd, &err), &err);
    T_CHECK(!complete && kit_mode("state/downloads/" HEX ".part") == 0600);
    T_OK(du_write_all(store.sys, fd, "one", 3, "x", &err), &err);
    du_fd_close(&fd);
    T_CHECK(du_store_download_bytes(&store, object, &complete) == 3 && !complete);

    T_OK(du_store_download_open(&store, object, true, &complete, &fd, &err), &err);
    T_CHECK(!complete && read(fd, text, sizeof text) == 3 && strcmp(text, "one") == 0);
    T_CHECK(lseek(fd, 0, SEEK_SET) == 0);
    T_OK(du_write_all(store.sys, fd, "two", 3, "x", &err), &err); /* always at the end */
    T_OK(du_store_download_done(&store, object, fd, &err), &err);
    du_fd_close(&fd);
    T_CHECK(!kit_exists("state/downloads/" HEX ".part"));
    T_CHECK(du_store_download_bytes(&store, object, &complete) == 6 && complete);

    T_OK(du_store_download_open(&store, object, true, &complete, &fd, &err), &err);
    T_CHECK(complete && read(fd, text, sizeof text) == 6 && strcmp(text, "onetwo") == 0);
    T_CHECK(write(fd, "x", 1) < 0); /* what is whole is not written to */
    du_fd_close(&fd);
    T_OK(du_store_download_drop(&store, object, &err), &err);
    T_OK(du_store_download_drop(&store, object, &err), &err);
    T_CHECK(kit_names("state/downloads") == 0);
    du_store_close(&store);
}

static void both_forms_are_dropped(void)
{
    struct du_store store;
    defupd_error err = { 0 };

    kit_lock(&store);
    T_CHECK(t_shell("touch state/downloads/" HEX " state/downloads/" HEX ".part") == 0);
    T_OK(du_store_download_drop(&store, object, &err), &err);
    T_CHECK(kit_names("state/downloads") == 0);
    du_store_close(&store);
}

static void what_is_no_file_goes_when_the_writer_meets_it(void)
{
    static const char *const harm[] = { "mkdir " HEX,          "mkdir " HEX ".part",
                                        "ln -s /etc " HEX,     "ln -s /etc/passwd " HEX ".part",
                                        "mkfifo " HEX ".part", "mkfifo " HEX };

    for (size_t i = 0; i < sizeof harm / sizeof harm[0]; i++) {
        struct du_store store, reader;
        defupd_error err = { 0 };
        bool complete;
        int fd = -1;

        kit_lock(&store);
        T_OK(kit_open(&reader, kit_sys(), &err), &err);
        T_CHECK(t_shell("cd state/downloads && %s", harm[i]) == 0);
        T_FAILS(du_store_download_open(&reader, object, false, &complete, &fd, &err), DEFUPD_E_IO,
                &err);
        T_CHECK(fd == -1 && du_store_download_bytes(&store, object, &complete) == 0);
        T_OK(du_store_download_open(&store, object, true, &complete, &fd, &err), &err);
        T_CHECK(!complete && write(fd, "x", 1) == 1);
        T_CHECK(du_store_download_bytes(&reader, object, &complete) == 1);
        du_fd_close(&fd);
        T_OK(du_store_download_drop(&store, object, &err), &err);
        du_store_close(&reader);
        du_store_close(&store);
    }
    T_CHECK(t_shell("test -s /etc/passwd") == 0);
}

int main(void)
{
    kit_fast_disk();
    T_RUN(a_part_grows_is_continued_and_becomes_whole);
    T_RUN(both_forms_are_dropped);
    T_RUN(what_is_no_file_goes_when_the_writer_meets_it);
    return T_DONE();
}
