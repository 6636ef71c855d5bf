/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of the support bundle: what is blanked, and an archive that cannot be written. */
#include <fcntl.h>

#include "support/bundle.h"
#include "support/pack.h"
#include "t.h"

static void credentials_in_urls_are_blanked_and_nothing_else(void)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        { "http://joe:secret@host/x", "http://**********@host/x" },
        { "a http://joe@host, https://b:c@d/ e@f.example",
          "a http://***@host, https://***@d/ e@f.example" },
        { "http://a:b@c@host/", "http://*****@host/" },
        { "<url>ftp://u:p@h</url> mail@host", "<url>ftp://***@h</url> mail@host" },
        { "\"http://u:p@h\"", "\"http://***@h\"" },
        { "http://host/path@2", "http://host/path@2" },
        { "http://host tetra@3", "http://host tetra@3" },
        { "http://@host", "http://@host" },
        { "://", "://" },
        { "http://u:p@", "http://***@" },
        { "http://://x:y@z", "http://://***@z" },
        { "", "" },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[100];

        (void)snprintf(text, sizeof text, "%s", cases[i].text);
        ag_scrub(text, strlen(text));
        T_SAME(text, cases[i].want);
    }
}

static void an_archive_is_what_tar_takes(void)
{
    const int fd = open("x.tar.gz", O_WRONLY | O_CREAT | O_EXCL, 0600);
    struct ag_pack *pack = NULL;
    defupd_error err = { 0 };

    T_OK(ag_pack_open(&pack, fd, &err), &err);
    T_OK(ag_pack_add(pack, "top/a b", "one\n", 4, 1795255200, &err), &err);
    T_OK(ag_pack_add(pack, "top/empty", "", 0, 1795255200, &err), &err);
    T_OK(ag_pack_close(pack, &err), &err);
    (void)close(fd);
    T_CHECK(t_shell("tar -xzf x.tar.gz && [ \"$(cat 'top/a b')\" = one ] && [ ! -s top/empty ] && "
                    "[ $(stat -c %%Y top/empty) = 1795255200 ]") == 0);
}

static void a_full_disk_is_told_as_one(void)
{
    const int fd = open("/dev/full", O_WRONLY);
    char *noise = malloc(1 << 20);
    struct ag_pack *pack = NULL;
    defupd_code rc;
    defupd_error err = { 0 };

    if (noise == NULL || fd < 0)
        abort();
    srand(7);
    for (int i = 0; i < 1 << 20; i++)
        noise[i] = (char)rand();
    T_OK(ag_pack_open(&pack, fd, &err), &err);
    rc = ag_pack_add(pack, "a", noise, 1 << 20, 0, &err);
    if (rc == DEFUPD_OK) {
        T_FAILS(ag_pack_close(pack, &err), DEFUPD_E_NO_SPACE, &err);
    } else {
        T_CHECK(rc == DEFUPD_E_NO_SPACE && err.message[0] != '\0');
        T_OK(ag_pack_close(pack, &err), &err);
    }
    (void)close(fd);
    free(noise);
}

int main(void)
{
    T_RUN(credentials_in_urls_are_blanked_and_nothing_else);
    T_RUN(an_archive_is_what_tar_takes);
    T_RUN(a_full_disk_is_told_as_one);
    return T_DONE();
}
