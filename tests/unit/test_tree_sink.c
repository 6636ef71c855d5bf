/* SPDX-License-Identifier: Apache-2.0 */
/* What goes through a sink is on disk as it came, and its digest is that of what came. */
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

#include "base/scope.h"
#include "fault.h"
#include "sys/disk.h"
#include "t.h"
#include "tree/sink.h"

#define B ((size_t)DU_SINK_BUFFER)
#define LARGEST (3 * DU_SINK_BUFFERS * B + 12345)

/* Content in which no two places look alike, and whose every prefix is another. */
static unsigned char content[LARGEST];

static void make_content(void)
{
    uint64_t state = 42;

    for (size_t i = 0; i < sizeof content; i++) {
        state = state * 6364136223846793005U + 1442695040888963407U;
        content[i] = (unsigned char)(state >> 56);
    }
}

static int threads_started;

static int start_counted(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
                         void *user)
{
    threads_started++;
    return pthread_create(thread, attr, run, user);
}

static int start_refused(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
                         void *user)
{
    (void)thread;
    (void)attr;
    (void)run;
    (void)user;
    threads_started++;
    return EAGAIN;
}

/* A sink over the empty directory `into` of the test. */
struct kit {
    struct du_place place;
    struct du_sink sink;
    int root;
};

static void kit_start(struct kit *kit, const struct du_sys *sys)
{
    T_CHECK(mkdir("into", 0755) == 0);
    kit->root = open("into", O_RDONLY | O_DIRECTORY);
    du_place_init(&kit->place, sys, kit->root);
    du_sink_init(&kit->sink, &kit->place);
    kit->sink.start = start_counted;
    threads_started = 0;
}

static void kit_end(struct kit *kit)
{
    du_sink_end(&kit->sink);
    du_place_end(&kit->place);
    (void)close(kit->root);
}

/* The first `size` bytes of the content, in pieces of `piece`. */
static defupd_code put(struct du_sink *sink, const char *path, size_t size, size_t piece,
                       unsigned char sha256[DU_SHA256_BYTES], defupd_error *err)
{
    DU_TRY(du_sink_open(sink, path, size, false, err));
    for (size_t at = 0; at < size; at += piece)
        DU_TRY(du_sink_data(sink, content + at, piece < size - at ? piece : size - at, err));
    return du_sink_digest(sink, sha256, err);
}

static bool is_on_disk(const char *path, size_t size)
{
    DU_AUTO_BUF buf = DU_BUF(LARGEST + 1);
    defupd_error err = { 0 };

    return du_file_read(&du_sys_posix, AT_FDCWD, path, &buf, &err) == DEFUPD_OK &&
           buf.len == size && (size == 0 || memcmp(buf.data, content, size) == 0);
}

static bool is_digest(const unsigned char sha256[DU_SHA256_BYTES], size_t size)
{
    unsigned char want[DU_SHA256_BYTES];

    du_sha256(want, content, size);
    return memcmp(want, sha256, sizeof want) == 0;
}

static const size_t sizes[] = { 0,     1,         B - 1,     B,
                                B + 1, 2 * B - 1, 2 * B,     DU_SINK_BUFFERS *B,
                                7,     LARGEST,   4 * B + 1, B + 1 };
#define SIZES (sizeof sizes / sizeof sizes[0])

static void files_of_every_size(struct kit *kit)
{
    static const size_t pieces[] = { 1000, 65536, B, LARGEST };
    defupd_error err = { 0 };

    for (size_t p = 0; p < sizeof pieces / sizeof pieces[0]; p++) {
        for (size_t i = 0; i < SIZES; i++) {
            unsigned char sha256[DU_SHA256_BYTES];
            char path[64];
            (void)snprintf(path, sizeof path, "into/%zu/%zu", p, i);
            T_OK(put(&kit->sink, path + 5, sizes[i], pieces[p], sha256, &err), &err);
            T_CHECK(is_digest(sha256, sizes[i]));
            T_OK(du_sink_keep(&kit->sink, &err), &err);
            T_CHECK(is_on_disk(path, sizes[i]));
        }
    }
}

static void files_of_every_size_come_through(void)
{
    struct kit kit;

    kit_start(&kit, &du_sys_posix);
    files_of_every_size(&kit);
    T_CHECK(threads_started == 1);
    kit_end(&kit);
}

static void without_a_thread_they_come_through_too(void)
{
    struct kit kit;

    kit_start(&kit, &du_sys_posix);
    kit.sink.start = start_refused;
    files_of_every_size(&kit);
    T_CHECK(threads_started == 1); /* it is not asked for again */
    kit_end(&kit);
}

static int threads_now(void)
{
    return t_shell("exit $(ls /proc/%d/task | wc -l)", (int)getpid());
}

static void small_files_start_no_thread_and_large_ones_leave_none(void)
{
    defupd_error err = { 0 };
    unsigned char sha256[DU_SHA256_BYTES];
    const int before = threads_now(); /* a sanitizer may have its own */
    struct kit kit;

    kit_start(&kit, &du_sys_posix);
    T_OK(put(&kit.sink, "small", DU_SINK_SMALL, B, sha256, &err), &err);
    T_OK(du_sink_keep(&kit.sink, &err), &err);
    T_CHECK(threads_started == 0);
    T_CHECK(threads_now() == before);
    T_OK(put(&kit.sink, "large", DU_SINK_SMALL + 1, B, sha256, &err), &err);
    T_OK(du_sink_keep(&kit.sink, &err), &err);
    T_CHECK(threads_started == 1 && threads_now() == before + 1);
    kit_end(&kit);
    T_CHECK(threads_now() == before);
}

static sigset_t blocked_there;

static int start_looking(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
                         void *user)
{
    (void)pthread_sigmask(SIG_SETMASK, NULL, &blocked_there); /* which the thread inherits */
    return pthread_create(thread, attr, run, user);
}

static void the_hosts_signals_do_not_reach_the_thread(void)
{
    defupd_error err = { 0 };
    unsigned char sha256[DU_SHA256_BYTES];
    sigset_t after;
    struct kit kit;

    (void)sigemptyset(&blocked_there);
    kit_start(&kit, &du_sys_posix);
    kit.sink.start = start_looking;
    T_OK(put(&kit.sink, "large", 2 * B, B, sha256, &err), &err);
    T_CHECK(sigismember(&blocked_there, SIGTERM) == 1 && sigismember(&blocked_there, SIGUSR1) == 1);
    T_CHECK(pthread_sigmask(SIG_SETMASK, NULL, &after) == 0 && sigismember(&after, SIGTERM) == 0);
    kit_end(&kit);
}

static void modes_are_those_asked_for_whatever_the_umask(void)
{
    defupd_error err = { 0 };
    unsigned char sha256[DU_SHA256_BYTES];
    const mode_t old = umask(077);
    struct kit kit;

    kit_start(&kit, &du_sys_posix);
    for (int exec = 0; exec < 2; exec++) {
        T_OK(du_sink_open(&kit.sink, exec ? "d/run" : "d/plain", 3, exec, &err), &err);
        T_OK(du_sink_data(&kit.sink, "abc", 3, &err), &err);
        T_OK(du_sink_digest(&kit.sink, sha256, &err), &err);
        T_OK(du_sink_keep(&kit.sink, &err), &err);
    }
    kit_end(&kit);
    (void)umask(old);
    T_CHECK(
        t_shell("test \"$(stat -c '%%a %%s' into/d/run into/d/plain into/d | head -2 | xargs)\" "
                "= '755 3 644 3' && test $(stat -c %%a into/d) = 755") == 0);
}

static void a_file_that_is_dropped_is_not_there(void)
{
    defupd_error err = { 0 };
    unsigned char sha256[DU_SHA256_BYTES];
    struct kit kit;

    kit_start(&kit, &du_sys_posix);
    for (size_t i = 0; i < SIZES; i++) {
        T_OK(put(&kit.sink, "sub/gone", sizes[i], 100000, sha256, &err), &err);
        T_CHECK(is_digest(sha256, sizes[i]));
        T_CHECK((access("into/sub/gone", F_OK) == 0) == (sizes[i] > DU_SINK_SMALL));
        T_OK(du_sink_drop(&kit.sink, &err), &err);
        T_CHECK(access("into/sub/gone", F_OK) != 0);
    }
    T_OK(put(&kit.sink, "sub/gone", B + 5, 100000, sha256, &err), &err);
    T_OK(du_sink_keep(&kit.sink, &err), &err);
    T_CHECK(is_on_disk("into/sub/gone", B + 5));
    kit_end(&kit);
}

static void a_sink_may_end_in_the_middle_of_a_file(void)
{
    defupd_error err = { 0 };
    struct du_sink never = { 0 };
    struct kit kit;

    du_sink_end(&never);
    for (size_t i = 0; i < 6; i++) {
        T_CHECK(t_shell("rm -rf into") == 0);
        kit_start(&kit, &du_sys_posix);
        T_OK(du_sink_open(&kit.sink, "a", LARGEST, false, &err), &err);
        T_OK(du_sink_data(&kit.sink, content, i * B + i, &err), &err);
        kit_end(&kit);
        T_CHECK((access("into/a", F_OK) == 0) == (i > 0));
    }
}

static void calls_out_of_order_are_refused(void)
{
    defupd_error err = { 0 };
    unsigned char sha256[DU_SHA256_BYTES];
    char path[DU_PATH_MAX + 2];
    struct kit kit;

    kit_start(&kit, &du_sys_posix);
    memset(path, 'a', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    T_FAILS(du_sink_open(&kit.sink, path, 1, false, &err), DEFUPD_E_BUG, &err);
    T_FAILS(du_sink_data(&kit.sink, "a", 1, &err), DEFUPD_E_BUG, &err);
    T_FAILS(du_sink_digest(&kit.sink, sha256, &err), DEFUPD_E_BUG, &err);
    T_FAILS(du_sink_keep(&kit.sink, &err), DEFUPD_E_BUG, &err);
    T_FAILS(du_sink_drop(&kit.sink, &err), DEFUPD_E_BUG, &err);
    T_OK(du_sink_open(&kit.sink, "a", 2, false, &err), &err);
    T_FAILS(du_sink_open(&kit.sink, "b", 2, false, &err), DEFUPD_E_BUG, &err);
    T_FAILS(du_sink_data(&kit.sink, "abc", 3, &err), DEFUPD_E_BUG, &err);
    T_OK(du_sink_data(&kit.sink, "a", 1, &err), &err);
    T_FAILS(du_sink_digest(&kit.sink, sha256, &err), DEFUPD_E_BUG, &err);
    T_FAILS(du_sink_keep(&kit.sink, &err), DEFUPD_E_BUG, &err);
    T_FAILS(du_sink_drop(&kit.sink, &err), DEFUPD_E_BUG, &err);
    T_OK(du_sink_data(&kit.sink, "b", 1, &err), &err);
    T_OK(du_sink_digest(&kit.sink, sha256, &err), &err);
    T_FAILS(du_sink_digest(&kit.sink, sha256, &err), DEFUPD_E_BUG, &err);
    T_OK(du_sink_keep(&kit.sink, &err), &err);
    T_FAILS(du_sink_keep(&kit.sink, &err), DEFUPD_E_BUG, &err);
    kit_end(&kit);
}

static void a_path_that_is_taken_is_refused(void)
{
    static const size_t both[] = { 3, 2 * B };
    defupd_error err = { 0 };
    unsigned char sha256[DU_SHA256_BYTES];

    for (size_t i = 0; i < 2; i++) {
        struct kit kit;
        T_CHECK(t_shell("rm -rf into") == 0);
        kit_start(&kit, &du_sys_posix);
        T_OK(put(&kit.sink, "a", 3, 3, sha256, &err), &err);
        T_OK(du_sink_keep(&kit.sink, &err), &err);
        defupd_code rc = put(&kit.sink, "a", both[i], B, sha256, &err);
        if (rc == DEFUPD_OK)
            rc = du_sink_keep(&kit.sink, &err);
        T_CHECK(rc == DEFUPD_E_TREE_FORBIDDEN && strstr(err.message, "'a'") != NULL);
        kit_end(&kit);
        T_CHECK(is_on_disk("into/a", 3));
    }
}

static uint64_t early_bytes, early_calls;

static void count_early(int fd, off_t from, off_t count)
{
    T_CHECK(fd >= 0 && count > 0 && (uint64_t)from == early_bytes);
    early_bytes += (uint64_t)count;
    early_calls++;
}

static void large_files_go_to_the_disk_early_and_each_byte_once(void)
{
    const uint64_t size = (20U << 20) + 5;
    unsigned char sha256[DU_SHA256_BYTES];
    struct du_sys sys = du_sys_posix;
    defupd_error err = { 0 };
    struct kit kit;

    sys.write_early = count_early;
    kit_start(&kit, &sys);
    T_OK(put(&kit.sink, "small", DU_SINK_SMALL, B, sha256, &err), &err);
    T_OK(du_sink_keep(&kit.sink, &err), &err);
    T_CHECK(early_calls == 0);
    for (int i = 0; i < 2; i++) {
        early_calls = early_bytes = 0;
        T_OK(du_sink_open(&kit.sink, i == 0 ? "one" : "two", size, false, &err), &err);
        for (uint64_t left = size; left > 0;) {
            const size_t count = left < 1000000 ? (size_t)left : 1000000;
            T_OK(du_sink_data(&kit.sink, content, count, &err), &err);
            left -= count;
        }
        T_OK(du_sink_digest(&kit.sink, sha256, &err), &err);
        T_CHECK(early_calls == 2);
        T_OK(du_sink_keep(&kit.sink, &err), &err);
        T_CHECK(early_calls == 3 && early_bytes == size);
    }
    kit_end(&kit);
}

static defupd_code put_all(struct du_sink *sink, defupd_error *err)
{
    unsigned char sha256[DU_SHA256_BYTES];

    DU_TRY(put(sink, "one/small", 100, 100, sha256, err));
    DU_TRY(du_sink_keep(sink, err));
    DU_TRY(put(sink, "one/large", 6 * B + 1, 100000, sha256, err));
    DU_TRY(du_sink_keep(sink, err));
    DU_TRY(put(sink, "two/large", 3 * B, B, sha256, err));
    DU_TRY(du_sink_drop(sink, err));
    DU_TRY(put(sink, "small", 200, 100, sha256, err));
    return du_sink_keep(sink, err);
}

static void a_failing_disk_is_reported_and_nothing_is_left_open(void)
{
    const int errnos[] = { ENOSPC, EIO };

    for (size_t i = 0; i < 2; i++) {
        int rounds = 0;
        for (struct fault f = fault_start(FAULT_ONCE, errnos[i]); fault_round(&f); rounds++) {
            defupd_error err = { 0 };
            struct kit kit;
            T_CHECK(t_shell("rm -rf into") == 0);
            kit_start(&kit, &fault_sys);
            const int descriptors = open("/dev/null", O_RDONLY | O_CLOEXEC);
            (void)close(descriptors);
            const defupd_code rc = put_all(&kit.sink, &err);
            fault_stop(&f);
            du_sink_end(&kit.sink);
            du_place_end(&kit.place);
            const int now = open("/dev/null", O_RDONLY | O_CLOEXEC);
            T_CHECK(now == descriptors);
            (void)close(now);
            kit_end(&kit);
            if (f.hit)
                T_CHECK(rc == (i == 0 ? DEFUPD_E_NO_SPACE : DEFUPD_E_IO) && err.message[0] != '\0');
            else
                T_CHECK(rc == DEFUPD_OK && is_on_disk("into/one/large", 6 * B + 1));
        }
        T_CHECK(rounds > 20);
    }
}

int main(void)
{
    make_content();
    T_RUN(files_of_every_size_come_through);
    T_RUN(without_a_thread_they_come_through_too);
    T_RUN(small_files_start_no_thread_and_large_ones_leave_none);
    T_RUN(the_hosts_signals_do_not_reach_the_thread);
    T_RUN(modes_are_those_asked_for_whatever_the_umask);
    T_RUN(a_file_that_is_dropped_is_not_there);
    T_RUN(a_sink_may_end_in_the_middle_of_a_file);
    T_RUN(calls_out_of_order_are_refused);
    T_RUN(a_path_that_is_taken_is_refused);
    T_RUN(large_files_go_to_the_disk_early_and_each_byte_once);
    T_RUN(a_failing_disk_is_reported_and_nothing_is_left_open);
    return T_DONE();
}
