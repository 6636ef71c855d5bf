/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>

#include "fault.h"
#include "fetch_help.h"

#define SIZE 200000

static unsigned char content[SIZE];

static struct du_want make_object(void)
{
    struct du_want want = { .path = "o", .length_bytes = SIZE };

    for (size_t i = 0; i < SIZE; i++)
        content[i] = (unsigned char)(i * 7 + i / 251);
    help_write("o", content, SIZE);
    du_sha256(want.sha256, content, SIZE);
    return want;
}

static bool is_whole(int fd)
{
    static unsigned char got[SIZE + 1];

    return pread(fd, got, sizeof got, 0) == SIZE && memcmp(got, content, SIZE) == 0;
}

static int open_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int count = 0;

    while (dir != NULL && readdir(dir) != NULL)
        count++;
    if (dir != NULL)
        (void)closedir(dir);
    return count;
}

/* Fetch with each operation failing in turn. The call fails or holds what it promises; what it
 * leaves is good enough for the next one; no descriptor stays open. `start` is in the file before
 * (a damaged one costs a second request). */
static void every_failure(const struct du_want *want, const char *const *sources,
                          enum fault_mode mode, int error, const void *start, size_t count)
{
    int rounds = 0, failed = 0;

    for (struct fault f = fault_start(mode, error); fault_round(&f); rounds++) {
        const int before = open_descriptors();
        {
            DU_AUTO_FETCH *fetch = NULL;
            DU_AUTO_FETCH *good = NULL;
            DU_AUTO_FD fd = open("partial", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
            const struct du_fetch_options options = { .sys = &fault_sys, .sources = sources };
            size_t source = 99;
            uint64_t fetched;
            defupd_error err = { 0 };
            defupd_code rc;

            T_CHECK(write(fd, start, count) == (ssize_t)count);
            T_OK(du_fetch_new(&fetch, &options, &err), &err);
            rc = du_fetch_object(fetch, 0, fd, want, &source, &fetched, &err);
            fault_stop(&f);
            if (rc == DEFUPD_OK) {
                T_CHECK(is_whole(fd) && source == 0);
            } else {
                failed++;
                T_CHECK(rc == DEFUPD_E_IO || rc == DEFUPD_E_NO_SPACE ||
                        (rc == DEFUPD_E_INTERRUPTED && strncmp(sources[0], "file:", 5) == 0));
                T_CHECK(rc == err.code && err.sys_errno == error && source == 99);
            }
            good = help_fetch_with(NULL, (struct du_fetch_options){ .sources = sources });
            T_OK(du_fetch_object(good, 0, fd, want, &source, &fetched, &err), &err);
            T_CHECK(is_whole(fd));
        }
        T_CHECK(open_descriptors() == before);
    }
    /* A source's disk that fails once, after it gave something, is asked again. */
    T_CHECK(rounds > 4 && failed >= (strncmp(sources[0], "file:", 5) == 0 ? 4 : rounds - 3));
}

static void a_failing_disk_never_yields_a_false_object(void)
{
    const struct du_want want = make_object();
    DU_AUTO(server_stop) struct server liar = server_liar(".", NULL);
    const char *sources[] = { liar.url, NULL };

    every_failure(&want, sources, FAULT_ONCE, EIO, "", 0);
    every_failure(&want, sources, FAULT_FROM_THEN_ON, ENOSPC, content, 70000);
    every_failure(&want, sources, FAULT_ONCE, EIO, "damaged", 7);
}

static void a_failing_source_on_disk_never_yields_one_either(void)
{
    const struct du_want want = make_object();
    char cwd[400], url[440];
    const char *sources[] = { url, NULL };

    T_CHECK(getcwd(cwd, sizeof cwd) != NULL);
    (void)snprintf(url, sizeof url, "file://%s", cwd);
    every_failure(&want, sources, FAULT_ONCE, EIO, "", 0);
    every_failure(&want, sources, FAULT_FROM_THEN_ON, EIO, content, 70000);
    every_failure(&want, sources, FAULT_ONCE, ENOSPC, "damaged", 7);
}

static int failures_told;

static void count_failure(void *user, const char *source, const defupd_error *why)
{
    (void)user;
    (void)source;
    (void)why;
    failures_told++;
}

static void a_full_disk_is_not_blamed_on_sources(void)
{
    const struct du_want want = make_object();
    DU_AUTO(server_stop) struct server liar = server_liar(".", NULL);
    const char *sources[] = { liar.url, liar.url, NULL };
    int rounds = 0;

    for (struct fault f = fault_start(FAULT_FROM_THEN_ON, ENOSPC); fault_round(&f); rounds++) {
        DU_AUTO_FETCH *fetch = help_fetch_with(
            NULL,
            (struct du_fetch_options){ .sys = &fault_sys, .sources = sources, .attempts = 9 });
        DU_AUTO_FD fd = open("partial", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        const int before = server_count(&liar, "");
        size_t source;
        uint64_t fetched;
        defupd_error err = { 0 };
        defupd_code rc;

        du_fetch_on_failed(fetch, count_failure, NULL);
        rc = du_fetch_object(fetch, 0, fd, &want, &source, &fetched, &err);
        fault_stop(&f);
        T_CHECK(rc == DEFUPD_E_NO_SPACE || (rc == DEFUPD_OK && !f.hit));
        T_CHECK(server_count(&liar, "") - before <= 1);
    }
    T_CHECK(rounds > 2 && failures_told == 0);
}

int main(void)
{
    T_RUN(a_failing_disk_never_yields_a_false_object);
    T_RUN(a_failing_source_on_disk_never_yields_one_either);
    T_RUN(a_full_disk_is_not_blamed_on_sources);
    return T_DONE();
}
