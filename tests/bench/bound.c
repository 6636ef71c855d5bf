/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What nobody who proves an update can be below, with our own digest (see delta.py).
 *
 *   bound hash FILE                digest of a file
 *   bound rewrite TREE LIST OUT    read, hash, write each file of TREE that LIST names by a line;
 *                                  then one syncfs
 *   bound sink TREE LIST OUT       the same in the way in which updates write (tree/sink.h)
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/scope.h"
#include "crypto/crypto.h"
#include "sys/sys.h"
#include "tree/sink.h"
#include "tree/tree.h"

enum { PIECE = 256 * 1024 };

static const struct du_sys *const sys = &du_sys_posix;

static int broken(const char *what)
{
    (void)fprintf(stderr, "bound: %s: %s\n", what, strerror(errno));
    return 1;
}

static void end_file(FILE **file)
{
    if (*file != NULL)
        (void)fclose(*file);
}

/* Everything that can be read from `in`; written to `out` unless that is -1. */
static int pass(int in, int out)
{
    static unsigned char bytes[PIECE];
    unsigned char digest[DU_SHA256_BYTES];
    DU_AUTO_HASH hash = { 0 };
    ssize_t got;

    du_hash_init(&hash, DU_SHA256);
    while ((got = sys->read(in, bytes, sizeof bytes)) > 0) {
        du_hash_update(&hash, bytes, (size_t)got);
        for (ssize_t done = 0; out >= 0 && done < got;) {
            const ssize_t put = sys->write(out, bytes + done, (size_t)(got - done));

            if (put < 0)
                return -1;
            done += put;
        }
    }
    du_hash_final(&hash, digest);
    return got < 0 ? -1 : 0;
}

static int hash_file(const char *path)
{
    DU_AUTO_FD in = sys->openat(AT_FDCWD, path, O_RDONLY, 0);

    return in < 0 || pass(in, -1) != 0 ? broken(path) : 0;
}

static defupd_code pass_by_sink(struct du_sink *sink, int in, const char *path, defupd_error *err)
{
    static unsigned char bytes[PIECE];
    unsigned char digest[DU_SHA256_BYTES];
    struct stat st;
    ssize_t got;

    if (fstat(in, &st) != 0)
        return DU_FAIL_IO(err, "stat %s", path);
    DU_TRY(du_sink_open(sink, path, (uint64_t)st.st_size, false, err));
    while ((got = sys->read(in, bytes, sizeof bytes)) > 0)
        DU_TRY(du_sink_data(sink, bytes, (size_t)got, err));
    if (got < 0)
        return DU_FAIL_IO(err, "read %s", path);
    DU_TRY(du_sink_digest(sink, digest, err));
    return du_sink_keep(sink, err);
}

static int rewrite(const char *tree, const char *list, const char *out, bool by_sink)
{
    DU_AUTO_FD from = sys->openat(AT_FDCWD, tree, O_RDONLY | O_DIRECTORY, 0);
    DU_AUTO_PLACE place = { .dir = -1 };
    DU_AUTO_SINK sink = { 0 };
    defupd_error err = { 0 };
    char line[DU_PATH_MAX + 2];

    if (from < 0)
        return broken(tree);
    if (sys->mkdirat(AT_FDCWD, out, 0755) != 0)
        return broken(out);
    DU_AUTO_FD to = sys->openat(AT_FDCWD, out, O_RDONLY | O_DIRECTORY, 0);
    DU_AUTO(end_file) FILE *names = fopen(list, "re");

    if (to < 0 || names == NULL)
        return broken(to < 0 ? out : list);
    du_place_init(&place, sys, to);
    du_sink_init(&sink, &place);
    while (fgets(line, sizeof line, names) != NULL) {
        DU_AUTO_FD target = -1;

        line[strcspn(line, "\n")] = '\0';
        DU_AUTO_FD source = sys->openat(from, line, O_RDONLY, 0);

        if (source < 0)
            return broken(line);
        if ((by_sink ? pass_by_sink(&sink, source, line, &err)
                     : du_place_file(&place, line, false, &target, &err)) != DEFUPD_OK) {
            (void)fprintf(stderr, "bound: %s\n", err.message);
            return 1;
        }
        if (!by_sink && pass(source, target) != 0)
            return broken(line);
    }
    return sys->syncfs(to) != 0 ? broken(out) : 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "hash") == 0)
        return hash_file(argv[2]);
    if (argc == 5 && strcmp(argv[1], "rewrite") == 0)
        return rewrite(argv[2], argv[3], argv[4], false);
    if (argc == 5 && strcmp(argv[1], "sink") == 0)
        return rewrite(argv[2], argv[3], argv[4], true);
    (void)fprintf(stderr, "usage: bound hash FILE | bound rewrite|sink TREE LIST OUT\n");
    return 64;
}
