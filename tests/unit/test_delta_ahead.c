/* SPDX-License-Identifier: Apache-2.0 */
/* Long streams are decoded by threads of their own: what comes out is the same, for good deltas and
 * for bad ones, and where there are no threads. */
#include <errno.h>

#include "delta_disk.h"
#include "delta_kit.h"

static int threads;

static int start_counted(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
                         void *user)
{
    threads++;
    return pthread_create(thread, attr, run, user);
}

static int start_refused(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
                         void *user)
{
    (void)thread;
    (void)attr;
    (void)run;
    (void)user;
    threads++;
    return EAGAIN;
}

/* Two lists of random hex digits: literals that pack to half of their length. */
struct pair {
    struct du_buf old, new, delta;
    struct du_index index;
};

static void pair_free(struct pair *pair)
{
    du_buf_free(&pair->old);
    du_buf_free(&pair->new);
    du_buf_free(&pair->delta);
    du_index_free(&pair->index);
}
#define PAIR __attribute__((cleanup(pair_free))) struct pair

static void digits(struct du_buf *out, uint64_t seed, unsigned lines)
{
    for (unsigned i = 0; i < lines; i++) {
        char line[20];

        (void)snprintf(line, sizeof line, "%016" PRIx64 "\n", dk_random(&seed));
        dk_add(out, line, 17);
    }
}

static void pair_make(struct pair *pair)
{
    DD_TREE old = { -1, { 0 } }, new = { -1, { 0 } };
    defupd_error err = { 0 };
    uint64_t bytes;

    *pair =
        (struct pair){ .old = DU_BUF(1 << 20), .new = DU_BUF(1 << 20), .delta = DU_BUF(1 << 20) };
    digits(&pair->old, 1, 8000);
    digits(&pair->new, 2, 6000);
    dk_add(&pair->new, pair->old.data, 30000);
    T_CHECK(t_shell("mkdir old new") == 0);
    DU_AUTO_FD old_dir = open("old", O_RDONLY | O_DIRECTORY);
    DU_AUTO_FD new_dir = open("new", O_RDONLY | O_DIRECTORY);
    dd_file(old_dir, "list", pair->old.data, pair->old.len, false);
    dd_file(new_dir, "list", pair->new.data, pair->new.len, false);
    dd_open(&old, "old");
    dd_open(&new, "new");
    T_OK(dd_make(&old, &new, 0, "delta", &bytes, &err), &err);
    DU_AUTO_FD fd = open("delta", O_RDONLY);
    T_OK(du_buf_reserve(&pair->delta, (size_t)bytes, &err), &err);
    T_CHECK(read(fd, pair->delta.data, (size_t)bytes) == (ssize_t)bytes);
    pair->delta.len = (size_t)bytes;
    T_OK(du_index_add(&pair->index, "list", pair->old.len, old.index.file[0].sha256, false, &err),
         &err);
    T_OK(du_index_seal(&pair->index, &err), &err);
}

static defupd_code decode(const struct pair *pair, du_thread_start_fn start, struct du_buf *out,
                          defupd_error *err)
{
    struct dk_host host = { .delta = du_buf_bytes(&pair->delta),
                            .old = du_buf_bytes(&pair->old),
                            .index = &pair->index,
                            .most = 1 << 20,
                            .out = DU_BUF(2 << 20),
                            .start = start };
    const defupd_code rc = dk_decode(&host, err);

    T_CHECK(host.broken == NULL);
    *out = host.out;
    return rc;
}

static void a_long_stream_comes_by_a_thread(void)
{
    DU_AUTO_BUF plain = { 0 }, ahead = { 0 }, alone = { 0 };
    defupd_error err = { 0 };
    PAIR pair;

    pair_make(&pair);
    T_OK(decode(&pair, NULL, &plain, &err), &err);
    threads = 0;
    T_OK(decode(&pair, start_counted, &ahead, &err), &err);
    T_CHECK(threads == 1);
    T_OK(decode(&pair, start_refused, &alone, &err), &err);
    T_CHECK(threads == 2);
    T_CHECK(plain.len > pair.new.len &&plain.len == ahead.len &&plain.len == alone.len);
    T_CHECK(memcmp(plain.data, ahead.data, plain.len) == 0);
    T_CHECK(memcmp(plain.data, alone.data, plain.len) == 0);
}

/* Wrong bytes anywhere, also such that nobody reads the stream to its end. */
static void a_bad_stream_ends_as_it_does_without_threads(void)
{
    uint64_t seed = 7;
    unsigned failed = 0;
    PAIR pair;

    pair_make(&pair);
    for (unsigned i = 0; i < 60; i++) {
        DU_AUTO_BUF plain = { 0 }, ahead = { 0 };
        defupd_error plain_err = { 0 }, ahead_err = { 0 };
        unsigned char *byte = pair.delta.data + (i < 30 ? i : dk_random(&seed) % pair.delta.len);
        const unsigned char good = *byte;
        defupd_code rc;

        *byte ^= (unsigned char)(1U << (i % 8));
        rc = decode(&pair, NULL, &plain, &plain_err);
        T_CHECK(decode(&pair, start_counted, &ahead, &ahead_err) == rc);
        if (rc == DEFUPD_OK)
            T_CHECK(plain.len == ahead.len && memcmp(plain.data, ahead.data, plain.len) == 0);
        failed += rc != DEFUPD_OK;
        *byte = good;
    }
    T_CHECK(failed > 10);
}

int main(void)
{
    T_RUN(a_long_stream_comes_by_a_thread);
    T_RUN(a_bad_stream_ends_as_it_does_without_threads);
    return T_DONE();
}
