/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What it costs at least to have files anew, verified and durable: read, hash, write, sync. The
 * measure for "apply": no way of making a tree of new content can do without these.
 *
 *     build/tests/bench_rewrite [sink] FROM INTO <LIST
 *
 * FROM a directory, LIST the paths below it, one in a line, INTO an empty directory. One after the
 * other by one thread with this library's digests; with `sink` in the way in which updates write.
 * Prints files, bytes, seconds of wall clock and of processor time, and MB/s.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/scope.h"
#include "sys/disk.h"
#include "tree/sink.h"
#include "tree/tree.h"

#define PIECE (256U * 1024)

static const struct du_sys *const sys = &du_sys_posix;
static unsigned char piece[PIECE];

static double wall_s(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double cpu_s(void)
{
    struct rusage used;

    (void)getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static defupd_code read_piece(int fd, const char *path, size_t *count, defupd_error *err)
{
    const ssize_t got = sys->read(fd, piece, sizeof piece);

    if (got < 0)
        return DU_FAIL_IO(err, "read '%s'", path);
    *count = (size_t)got;
    return DEFUPD_OK;
}

static defupd_code plain(struct du_place *place, int from, const char *path, bool exec,
                         defupd_error *err)
{
    unsigned char sha256[DU_SHA256_BYTES];
    DU_AUTO_HASH hash;
    DU_AUTO_FD into = -1;
    size_t count = 0;

    du_hash_init(&hash, DU_SHA256);
    DU_TRY(du_place_file(place, path, exec, &into, err));
    do {
        DU_TRY(read_piece(from, path, &count, err));
        du_hash_update(&hash, piece, count);
        DU_TRY(du_write_all(sys, into, piece, count, path, err));
    } while (count > 0);
    du_hash_final(&hash, sha256);
    return DEFUPD_OK;
}

static defupd_code through(struct du_sink *sink, int from, const char *path, uint64_t size,
                           bool exec, defupd_error *err)
{
    unsigned char sha256[DU_SHA256_BYTES];
    size_t count = 0;

    DU_TRY(du_sink_open(sink, path, size, exec, err));
    do {
        DU_TRY(read_piece(from, path, &count, err));
        DU_TRY(du_sink_data(sink, piece, count, err));
    } while (count > 0);
    DU_TRY(du_sink_digest(sink, sha256, err));
    return du_sink_keep(sink, err);
}

static defupd_code rewrite(int from, int into, bool with_sink, uint64_t *files, uint64_t *bytes,
                           defupd_error *err)
{
    DU_AUTO_PLACE place;
    DU_AUTO_SINK sink;
    char path[DU_PATH_MAX + 2];

    du_place_init(&place, sys, into);
    du_sink_init(&sink, &place);
    while (fgets(path, sizeof path, stdin) != NULL) {
        struct stat st;
        path[strcspn(path, "\n")] = '\0';
        DU_AUTO_FD fd = sys->openat(from, path, O_RDONLY, 0);
        if (fd < 0 || fstat(fd, &st) != 0)
            return DU_FAIL_IO(err, "open '%s'", path);
        const bool exec = (st.st_mode & S_IXUSR) != 0;
        if (with_sink)
            DU_TRY(through(&sink, fd, path, (uint64_t)st.st_size, exec, err));
        else
            DU_TRY(plain(&place, fd, path, exec, err));
        (*files)++;
        *bytes += (uint64_t)st.st_size;
    }
    if (sys->syncfs(into) != 0)
        return DU_FAIL_IO(err, "sync");
    return DEFUPD_OK;
}

int main(int argc, char **argv)
{
    const bool with_sink = argc == 4 && strcmp(argv[1], "sink") == 0;
    defupd_error err = { 0 };
    uint64_t files = 0, bytes = 0;

    if (argc != 3 && !with_sink) {
        (void)fprintf(stderr, "usage: bench_rewrite [sink] FROM INTO <LIST\n");
        return 64;
    }
    DU_AUTO_FD from = open(argv[argc - 2], O_RDONLY | O_DIRECTORY);
    DU_AUTO_FD into = open(argv[argc - 1], O_RDONLY | O_DIRECTORY);
    if (from < 0 || into < 0) {
        (void)fprintf(stderr, "no such directory\n");
        return 66;
    }
    const double wall = wall_s(), cpu = cpu_s();
    if (rewrite(from, into, with_sink, &files, &bytes, &err) != DEFUPD_OK) {
        (void)fprintf(stderr, "%s\n", err.message);
        return 74;
    }
    const double took = wall_s() - wall;
    printf("%llu files %llu bytes %.6f s %.6f s cpu %.1f MB/s\n", (unsigned long long)files,
           (unsigned long long)bytes, took, cpu_s() - cpu, (double)bytes / 1e6 / took);
    return 0;
}
